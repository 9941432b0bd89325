//! Link-layer addresses and the IP addresses of a NIC.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A link-layer address of 1 to 32 bytes: 6 for Ethernet, 20 for IP over InfiniBand
/// (`IFLA_ADDRESS`, `MAX_ADDR_LEN` in `include/linux/netdevice.h`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HwAddr {
    length: u8,
    bytes: [u8; 32],
}

/// Why a text or byte string is no link-layer address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no link-layer address: want 1 to 32 bytes as hexadecimal pairs with colons, like 02:00:5e:10:00:01"
)]
pub struct HwAddrError(String);

impl HwAddr {
    /// The address with these bytes (1 to 32 of them).
    pub fn new(bytes: &[u8]) -> Result<Self, HwAddrError> {
        let mut all = [0; 32];
        match all.get_mut(..bytes.len()) {
            Some(start) if !bytes.is_empty() => start.copy_from_slice(bytes),
            _ => return Err(HwAddrError(format!("{} bytes", bytes.len()))),
        }
        Ok(Self { length: bytes.len() as u8, bytes: all })
    }

    /// The bytes, first on the wire first.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// All bytes are zero: the kernel's way to say "none set" (`IFLA_VF_MAC`, loopback).
    pub fn is_zero(&self) -> bool {
        self.bytes().iter().all(|byte| *byte == 0)
    }

    /// The group bit of an Ethernet address.
    pub fn is_multicast(&self) -> bool {
        self.length == 6 && self.bytes[0] & 1 == 1
    }
}

impl fmt::Display for HwAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.bytes().iter().enumerate() {
            write!(f, "{}{byte:02x}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for HwAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for HwAddr {
    type Err = HwAddrError;

    fn from_str(text: &str) -> Result<Self, HwAddrError> {
        let wrong = || HwAddrError(text.to_owned());
        let pair = |part: &str| match part.len() {
            1 | 2 if part.bytes().all(|c| c.is_ascii_hexdigit()) => u8::from_str_radix(part, 16).ok(),
            _ => None,
        };
        let bytes: Vec<u8> =
            text.trim().split([':', '-']).map(pair).collect::<Option<_>>().ok_or_else(wrong)?;
        Self::new(&bytes).map_err(|_| wrong())
    }
}

impl Serialize for HwAddr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HwAddr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One IP address of a NIC (`RTM_GETADDR`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IpInterface {
    /// The address (`IFA_LOCAL`, else `IFA_ADDRESS`).
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub address: IpAddr,
    /// Prefix length in bits: 0 to 32 (IPv4) or 0 to 128 (IPv6).
    pub prefix_length: u8,
    /// Scope: `global`, `site`, `link`, `host`, `nowhere` or the number of a local one.
    pub scope: String,
    /// The other end of a point-to-point link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub peer: Option<IpAddr>,
    /// Made by router advertisements or DHCP, so it expires (`IFA_F_PERMANENT` is not set).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dynamic: bool,
}

impl IpInterface {
    /// An address with a prefix length and scope, no peer, not dynamic.
    pub fn new(address: IpAddr, prefix_length: u8, scope: &str) -> Self {
        Self { address, prefix_length, scope: scope.to_owned(), peer: None, dynamic: false }
    }

    /// Usable beyond its link: scope global or site.
    pub fn is_global(&self) -> bool {
        self.scope == "global" || self.scope == "site"
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;
    use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
    use utoipa::openapi::{RefOr, Schema};

    impl utoipa::PartialSchema for super::HwAddr {
        fn schema() -> RefOr<Schema> {
            ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::String))
                .description(Some("Link-layer address: lower-case hexadecimal pairs with colons, 6 bytes for Ethernet, 20 for IP over InfiniBand."))
                .pattern(Some("^([0-9a-f]{2}:){0,31}[0-9a-f]{2}$"))
                .examples(["02:00:5e:10:00:01"])
                .into()
        }
    }

    impl utoipa::ToSchema for super::HwAddr {
        fn name() -> Cow<'static, str> {
            "HwAddr".into()
        }
    }
}

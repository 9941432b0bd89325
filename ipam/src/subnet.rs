//! The addresses of a network, as its author writes them (TRAPS O2).

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::block::{BlockError, check_fit};

/// The addresses of a network in one family.
///
/// Prefix length + `interface_block` + `host_block` may be at most 30 (IPv4) or 120 (IPv6), so that a host's block has
/// addresses beside the reserved ones. Interfaces and hosts have one number in all families, so the smallest
/// `interface_block` and `host_block` say how many there can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subnet {
    /// All addresses.
    pub cidr: IpNet,
    /// Bits that number interfaces; absent: none, there is one interface.
    #[serde(default)]
    pub interface_block: u8,
    /// Bits that number hosts; absent: none, there is one host.
    #[serde(default)]
    pub host_block: u8,
    /// Ranges that are never given, a single address when the length is missing. An interface or host number whose
    /// block they cover is skipped; what covers a part of a block takes its addresses out.
    #[serde(
        rename = "excludeCIDRs",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::exclude::deserialize"
    )]
    pub exclude_cidrs: Vec<IpNet>,
}

/// Where a network has its addresses from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addresses {
    /// From subnets, at most one a family; results are in this order.
    Subnets(Vec<Subnet>),
    /// The network has no subnet: pods live in the networks of the hosts' NICs (CONTRACTS §5.3).
    HostNetworks {
        /// Bits that number hosts. None: every host has the whole network, whose addresses its administrator
        /// divides.
        host_block: u8,
        /// As of a [`Subnet`].
        exclude_cidrs: Vec<IpNet>,
    },
}

/// Why subnets cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubnetError {
    /// They leave no addresses.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// There are two of one family.
    #[error("subnets: {first} and {second} are of one family; give one IPv4 and one IPv6 subnet at most")]
    SameFamily {
        /// One.
        first: IpNet,
        /// The other one.
        second: IpNet,
    },
    /// An exclude is of the other family.
    #[error("excludeCIDRs of subnet {subnet}: {exclude} is of the other family; move it to the other subnet")]
    ExcludeFamily {
        /// The subnet.
        subnet: IpNet,
        /// The exclude.
        exclude: IpNet,
    },
}

impl Subnet {
    /// A subnet without excludes.
    pub fn new(cidr: IpNet, interface_block: u8, host_block: u8) -> Self {
        Self { cidr, interface_block, host_block, exclude_cidrs: Vec::new() }
    }
}

impl Addresses {
    /// Whether they can be.
    ///
    /// # Errors
    /// When they cannot; the text names the field.
    pub fn check(&self) -> Result<(), SubnetError> {
        let Self::Subnets(subnets) = self else { return Ok(()) };
        let nets: Vec<IpNet> = subnets.iter().map(|subnet| subnet.cidr).collect();
        one_a_family(&nets)?;
        for subnet in subnets {
            check_fit(subnet.cidr, subnet.interface_block, subnet.host_block)?;
            let other = |exclude: &&IpNet| exclude.max_prefix_len() != subnet.cidr.max_prefix_len();
            if let Some(exclude) = subnet.exclude_cidrs.iter().find(other) {
                return Err(SubnetError::ExcludeFamily { subnet: subnet.cidr, exclude: *exclude });
            }
        }
        Ok(())
    }
}

/// At most one net of a family.
pub(crate) fn one_a_family(nets: &[IpNet]) -> Result<(), SubnetError> {
    for (position, first) in nets.iter().enumerate() {
        let same = |second: &&IpNet| second.max_prefix_len() == first.max_prefix_len();
        if let Some(second) = nets.iter().skip(position + 1).find(same) {
            return Err(SubnetError::SameFamily { first: *first, second: *second });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Addresses {
        Addresses::Subnets(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn it_reads_as_its_author_writes_it() {
        let json = r#"{"cidr":"192.168.0.0/16","interfaceBlock":2,"hostBlock":6,"excludeCIDRs":["192.168.0.7","192.168.1.0/24"]}"#;

        let subnet: Subnet = serde_json::from_str(json).unwrap();

        let wanted = ["192.168.0.7/32".parse().unwrap(), "192.168.1.0/24".parse().unwrap()];
        assert_eq!(subnet.exclude_cidrs, wanted);
        assert_eq!(serde_json::to_string(&subnet).unwrap(), json.replace(".7\"", ".7/32\""));
        let error =
            serde_json::from_str::<Subnet>(&json.replace("192.168.0.7", "x")).unwrap_err().to_string();
        assert!(error.contains("excludeCIDRs: `x` is neither"), "{error}");
    }

    #[test]
    fn what_cannot_be_is_said_with_its_field() {
        let rows = [
            (
                r#"[{"cidr":"10.0.0.0/16"},{"cidr":"10.1.0.0/16"}]"#,
                "subnets: 10.0.0.0/16 and 10.1.0.0/16 are of one family; give one IPv4 and one IPv6 subnet at most",
            ),
            (
                r#"[{"cidr":"10.0.0.0/16","excludeCIDRs":["fd00::1"]}]"#,
                "excludeCIDRs of subnet 10.0.0.0/16: fd00::1/128 is of the other family; move it to the other subnet",
            ),
            (
                r#"[{"cidr":"10.0.0.0/16"},{"cidr":"fd00::/64","hostBlock":57}]"#,
                "subnet fd00::/64: 64 + interfaceBlock 0 + hostBlock 57 = /121, which leaves no addresses for pods; the sum may be at most 120",
            ),
        ];
        for (json, wanted) in rows {
            assert_eq!(read(json).check().unwrap_err().to_string(), wanted);
        }
        let fits = r#"[{"cidr":"10.0.0.0/16","hostBlock":14},{"cidr":"fd00::/64","hostBlock":56}]"#;
        assert_eq!(read(fits).check(), Ok(()));
    }
}

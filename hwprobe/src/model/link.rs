//! The netdev of a NIC: driver, link state, modes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SpeedMbps;

/// The driver that is bound to a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Driver {
    /// Name, like `mlx5_core`; `vfio-pci` is a driver too.
    pub name: String,
    /// Version that the driver reports (`ETHTOOL_GDRVINFO`); usually the kernel release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Firmware version (`ETHTOOL_GDRVINFO`, else devlink `fw` running).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Option ROM version (`ETHTOOL_GDRVINFO`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expansion_rom: Option<String>,
    /// Bus name as the driver reports it (`ETHTOOL_GDRVINFO` bus-info).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus_info: Option<String>,
}

impl Driver {
    /// Whether a driver of this name hands functions to user space through VFIO.
    pub fn is_vfio(name: &str) -> bool {
        name == "vfio-pci" || name.ends_with("-vfio-pci") || name.ends_with("_vfio_pci")
    }

    /// Whether a driver of this name hands functions to user space or a virtual machine in any way: the kernel chooses
    /// none of these by itself.
    pub fn is_passthrough(name: &str) -> bool {
        Self::is_vfio(name)
            || matches!(name, "pci-stub" | "uio_pci_generic" | "igb_uio" | "xen-pciback" | "pciback")
    }
}

/// Operational state (RFC 2863; `IFLA_OPERSTATE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub enum OperState {
    /// The driver does not tell; usual for tun, loopback and some virtual links.
    Unknown,
    /// A component is missing.
    NotPresent,
    /// No carrier, or administratively down.
    Down,
    /// The link below is down.
    LowerLayerDown,
    /// In test.
    Testing,
    /// Waits for an event (802.1X, say).
    Dormant,
    /// Works.
    Up,
}

/// Duplex of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub enum Duplex {
    /// One direction at a time.
    Half,
    /// Both directions at once.
    Full,
}

impl fmt::Display for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Half => "half",
            Self::Full => "full",
        })
    }
}

/// Facts of a netdev (`RTM_GETLINK`, ethtool netlink).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LinkFacts {
    /// Administratively up (`IFF_UP`).
    pub admin_up: bool,
    /// Operational state.
    pub oper_state: OperState,
    /// Carrier; absent when the driver does not say (sysfs `carrier` answers EINVAL while the link is down).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<bool>,
    /// How often the carrier came or went since the netdev was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier_changes: Option<u32>,
    /// Why there is no carrier, in the kernel's terms (`ETHTOOL_A_LINKSTATE_EXT_STATE`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_reason: Option<String>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Least MTU that the driver takes, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_mtu: Option<u32>,
    /// Greatest MTU that the driver takes, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_mtu: Option<u32>,
    /// Hardware type (`ARPHRD_*`): 1 Ethernet, 32 InfiniBand, 772 loopback.
    pub hardware_type: u16,
    /// Flags as `ip link` prints them: `UP`, `BROADCAST`, `LOWER_UP` …
    #[serde(default)]
    pub flags: Vec<String>,
    /// Speed that the running link reports, Mb/s; absent when down or not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_mbps: Option<SpeedMbps>,
    /// Duplex that the running link reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplex: Option<Duplex>,
    /// Lanes in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<u32>,
    /// Autonegotiation is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autonegotiation: Option<bool>,
    /// Connector: `Twisted Pair`, `FIBRE`, `Direct Attach Copper` … (`ETHTOOL_A_LINKINFO_PORT`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Link modes that the port supports, as ethtool names them, fastest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supported_modes: Vec<String>,
    /// Speed of the fastest mode that the port supports, Mb/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supported_speed_mbps: Option<SpeedMbps>,
    /// Link modes that it advertises.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advertised_modes: Vec<String>,
    /// Link modes that the other end advertises.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peer_modes: Vec<String>,
    /// Forward error correction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fec: Option<Fec>,
    /// Flow control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// The pluggable module (transceiver or cable).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Module>,
    /// Group number of the link.
    #[serde(default)]
    pub group: u32,
    /// Length of the transmit queue, packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_queue_length: Option<u32>,
    /// Queueing discipline at the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qdisc: Option<String>,
    /// Counts who asked for promiscuous mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promiscuity: Option<u32>,
    /// Text that somebody set as alias (`IFLA_IFALIAS`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Port number on a card with several ports on one function (sysfs `dev_port`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev_port: Option<u32>,
    /// Physical port id, hexadecimal (`IFLA_PHYS_PORT_ID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phys_port_id: Option<String>,
    /// Physical port name, like `p0` or `pf0vf1` (`IFLA_PHYS_PORT_NAME`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phys_port_name: Option<String>,
    /// Id of the switch that the port belongs to, hexadecimal (`IFLA_PHYS_SWITCH_ID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phys_switch_id: Option<String>,
    /// An XDP program is attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xdp: Option<Xdp>,
}

impl LinkFacts {
    /// A netdev with this MTU and hardware type, down.
    pub fn new(mtu: u32, hardware_type: u16) -> Self {
        Self {
            admin_up: false,
            oper_state: OperState::Unknown,
            carrier: None,
            carrier_changes: None,
            down_reason: None,
            mtu,
            min_mtu: None,
            max_mtu: None,
            hardware_type,
            flags: Vec::new(),
            speed_mbps: None,
            duplex: None,
            lanes: None,
            autonegotiation: None,
            port: None,
            supported_modes: Vec::new(),
            supported_speed_mbps: None,
            advertised_modes: Vec::new(),
            peer_modes: Vec::new(),
            fec: None,
            pause: None,
            module: None,
            group: 0,
            tx_queue_length: None,
            qdisc: None,
            promiscuity: None,
            alias: None,
            dev_port: None,
            phys_port_id: None,
            phys_port_name: None,
            phys_switch_id: None,
            xdp: None,
        }
    }
}

/// Forward error correction (`ETHTOOL_MSG_FEC_GET`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Fec {
    /// Encoding in use, like `RS`, `BaseR`, `Off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// Encodings that are configured, as ethtool names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub configured: Vec<String>,
    /// The driver chooses.
    pub auto: bool,
}

/// Flow control (`ETHTOOL_MSG_PAUSE_GET`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Pause {
    /// Negotiated with the other end.
    pub autonegotiate: bool,
    /// Obeys pause frames.
    pub receive: bool,
    /// Sends pause frames.
    pub transmit: bool,
}

/// A pluggable module, decoded from its EEPROM (SFF-8472, SFF-8636, CMIS).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Module {
    /// Form factor, like `SFP`, `QSFP28`, `OSFP`.
    pub form_factor: String,
    /// Maker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Part number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_number: Option<String>,
    /// Serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// XDP programs of a netdev (`IFLA_XDP`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Xdp {
    /// Where it runs: `driver`, `generic`, `hardware` or `multiple`.
    pub mode: String,
    /// Id of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_id: Option<u32>,
}

/// A devlink port (`DEVLINK_CMD_PORT_GET`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DevlinkPort {
    /// The devlink device, like `pci/0000:3b:00.0`.
    pub device: String,
    /// Index of the port on the device.
    pub index: u32,
    /// Flavour: `physical`, `pcipf`, `pcivf`, `pcisf`, `virtual` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavour: Option<String>,
    /// Number of the PF behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pf: Option<u16>,
    /// Number of the VF behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vf: Option<u16>,
    /// Number of the sub-function behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sf: Option<u32>,
}

/// The neighbour that LLDP frames announce.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LldpNeighbour {
    /// Chassis id.
    pub chassis_id: String,
    /// Port id.
    pub port_id: String,
    /// Port description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port_description: Option<String>,
    /// Name of the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_name: Option<String>,
}

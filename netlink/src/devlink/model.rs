//! Devlink devices, ports, versions and eswitch settings.

use serde::{Deserialize, Serialize};

use crate::link_address::LinkAddress;
use crate::open_enum::open_enum;

/// Names a devlink device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceHandle {
    /// Bus, e.g. `pci`.
    pub bus: String,
    /// Device on that bus, e.g. `0000:01:00.0`.
    pub device: String,
}

impl DeviceHandle {
    /// The device `device` on `bus`.
    pub fn new(bus: impl Into<String>, device: impl Into<String>) -> Self {
        Self { bus: bus.into(), device: device.into() }
    }
}

impl std::fmt::Display for DeviceHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.bus, self.device)
    }
}

/// A devlink device (`DEVLINK_CMD_GET`, `devlink dev show`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Device {
    /// Which device.
    pub handle: DeviceHandle,
    /// Whether its last reload failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload_failed: Option<bool>,
}

/// A devlink port (`DEVLINK_CMD_PORT_GET`, `devlink port show`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Port {
    /// Which device.
    pub handle: DeviceHandle,
    /// Which of its ports.
    pub index: u32,
    /// What the port is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flavour: Option<PortFlavour>,
    /// What kind of interface it has.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub port_type: Option<PortType>,
    /// Index of its network interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netdev_index: Option<u32>,
    /// Name of its network interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netdev_name: Option<String>,
    /// Name of its RDMA device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rdma_name: Option<String>,
    /// Number printed at a physical port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Number of the controller whose function it represents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<u32>,
    /// Number of the PF it represents or belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pf: Option<u16>,
    /// Number of the VF it represents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vf: Option<u16>,
    /// Number of the subfunction it represents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sf: Option<u32>,
    /// Whether the function belongs to another host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<bool>,
    /// Lanes of a physical port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<u32>,
    /// Whether a physical port can be split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splittable: Option<bool>,
    /// Group of ports that were split from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_group: Option<u32>,
    /// Number within that group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_subport: Option<u32>,
    /// The function it represents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<PortFunction>,
}

/// The function a port represents (`DEVLINK_ATTR_PORT_FUNCTION`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct PortFunction {
    /// Link-layer address of the function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware_address: Option<LinkAddress>,
    /// Whether the function is switched on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Whether a driver is attached to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached: Option<bool>,
}

/// Driver, serials and versions (`DEVLINK_CMD_INFO_GET`, `devlink dev info`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Info {
    /// Which device.
    pub handle: DeviceHandle,
    /// Name of the driver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Serial number of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Serial number of the board.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board_serial: Option<String>,
    /// What cannot change: board and chip identifiers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<Version>,
    /// What runs now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<Version>,
    /// What runs after the next reset.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stored: Vec<Version>,
}

/// A named version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Version {
    /// Name, e.g. `fw.mgmt`.
    pub name: String,
    /// Value.
    pub value: String,
}

/// How a device's embedded switch is set (`DEVLINK_CMD_ESWITCH_GET`, `devlink dev eswitch`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Eswitch {
    /// Who programs the switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<EswitchMode>,
    /// How much of a frame's headers the switch needs in the descriptor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline_mode: Option<EswitchInlineMode>,
    /// Whether the switch can encapsulate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encap: Option<bool>,
}

open_enum! {
    /// Who programs the embedded switch, `DEVLINK_ESWITCH_MODE_*`.
    EswitchMode(u16) {
        /// The firmware, by MAC and VLAN.
        Legacy = 0, "legacy";
        /// The host, through representors.
        Switchdev = 1, "switchdev";
    }
}

open_enum! {
    /// Headers in the descriptor, `DEVLINK_ESWITCH_INLINE_MODE_*`.
    EswitchInlineMode(u8) {
        /// None.
        None = 0, "none";
        /// Link layer.
        Link = 1, "link";
        /// Up to the network layer.
        Network = 2, "network";
        /// Up to the transport layer.
        Transport = 3, "transport";
    }
}

open_enum! {
    /// What a port is for, `DEVLINK_PORT_FLAVOUR_*`.
    PortFlavour(u16) {
        /// A plug.
        Physical = 0, "physical";
        /// A switch chip's port to its processor.
        Cpu = 1, "cpu";
        /// Between switch chips.
        Dsa = 2, "dsa";
        /// Represents a PF.
        PciPf = 3, "pcipf";
        /// Represents a VF.
        PciVf = 4, "pcivf";
        /// Faces the user without a plug.
        Virtual = 5, "virtual";
        /// Not wired.
        Unused = 6, "unused";
        /// Represents a subfunction.
        PciSf = 7, "pcisf";
    }
}

open_enum! {
    /// What interface a port has, `DEVLINK_PORT_TYPE_*`.
    PortType(u16) {
        /// None yet.
        NotSet = 0, "notset";
        /// To be found out.
        Auto = 1, "auto";
        /// Ethernet.
        Ethernet = 2, "eth";
        /// InfiniBand.
        InfiniBand = 3, "ib";
    }
}

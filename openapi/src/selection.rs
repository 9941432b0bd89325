//! A dry run of the choice of NICs.

use hwprobe::{HwAddr, NicId};
use serde::{Deserialize, Serialize};

/// Which NICs would a pod get?
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SelectRequest {
    /// Name of the network; absent: no network's wishes count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// At most so many NICs; 0 or absent: all that fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nics: Option<u32>,
    /// Names of NICs, in order; none: no such wish.
    pub masters: Vec<String>,
    /// Device class that the NICs must be of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Networks that the NICs must have an address in, in order; none: no such wish.
    pub master_nets: Vec<String>,
    /// Devices that a device plugin gave the pod, PCI addresses or shares (`0000:41:00.0#3`); when there are any, only
    /// they count.
    pub devices: Vec<String>,
    /// Bandwidth that the NICs are to have together (`25G`, `800M`), for networks with strategy `costOpt` or `perfOpt`;
    /// absent: the network's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// PCI addresses of the pod's GPUs, for networks with strategy `topology`.
    pub gpus: Vec<String>,
    /// What is to be made of the NICs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<SelectPlugin>,
}

/// What is to be made of a NIC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelectPlugin {
    /// `ipvlan`, `macvlan` or `host-device`; any other is a plugin of which nothing is known.
    #[serde(rename = "type")]
    pub kind: String,
    /// Mode of ipvlan or macvlan; absent: its usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// VLAN between the NIC and the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4094)]
    pub vlan: Option<u16>,
}

/// Which NICs a pod would get, and why not the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SelectAnswer {
    /// NICs that it would get, in the order of its links; none when it would be refused.
    pub chosen: Vec<ChosenNic>,
    /// NICs that it would not get.
    pub left_out: Vec<LeftOutNic>,
    /// Why it would be refused; absent when it would not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A NIC that the pod would get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChosenNic {
    /// The NIC.
    pub nic: NicId,
    /// Name of its netdev on the host.
    pub master: String,
    /// Its link-layer address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<HwAddr>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Network of its own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_address: Option<String>,
}

/// A NIC that the pod would not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOutNic {
    /// The NIC.
    pub nic: NicId,
    /// Name of its netdev on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The rule that takes it out, like `notSecondary`, `inUse` or `enoughChosen`.
    pub rule: String,
    /// The rule's reason in words.
    pub why: String,
}

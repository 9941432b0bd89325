//! The networks that this node serves, as the agent planned them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hwprobe::{NicId, SpeedClass, SpeedMbps};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::select::{Expression, LinkUse};

/// Everything that attaching needs to know of the cluster's or folder's wishes; never changes, a change makes
/// a new one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// By name.
    pub networks: BTreeMap<String, Arc<Network>>,
    /// Device classes by name. `highspeed` is every NIC of the high speed class unless it is defined.
    pub classes: BTreeMap<String, DeviceClass>,
}

/// One network on this node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Network {
    /// Its name: `name` of the NetConf, of the `MultiNicNetwork` and of the attachment definition.
    pub name: String,
    /// How NICs are chosen.
    pub policy: Policy,
    /// What its plugin makes of a NIC. For dry runs; a pod's own configuration says it again.
    pub link: LinkUse,
    /// VLAN between the NIC and the link, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// The interfaces that the plan knows, by interface index; also those whose NIC is away just now.
    pub interfaces: Vec<NetworkInterface>,
    /// Whether the node's own uplink may be shared by ipvlan or macvlan (`allowUplink: shared`).
    pub allow_uplink: bool,
    /// MTU of links that are asked for without one, where their NIC has as much; bytes. Absent: that of the NIC below each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Why nothing of this network can be attached now; absent when it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// One interface of a network on this node, with the address blocks that are this node's on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkInterface {
    /// Name of the master on the host.
    pub master: String,
    /// The NIC, when it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nic: Option<NicId>,
    /// The network of the master's own address, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_address: Option<IpNet>,
    /// Index of the interface in the plan, from 0.
    pub index: u32,
    /// Blocks, at most one a family, IPv4 first; none when another IPAM gives the addresses.
    pub blocks: Vec<Block>,
}

/// The addresses of one family that this node may give on one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// Where addresses are taken from.
    pub pod: IpNet,
    /// The block of all hosts on this interface; its length is the prefix length of a pod's address.
    pub interface: IpNet,
    /// Ranges inside `pod` that are never given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<IpNet>,
}

/// How NICs are chosen (`spec.attachPolicy`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Policy {
    /// The strategy.
    pub strategy: Strategy,
    /// Bandwidth wished for by `costOpt` and `perfOpt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<SpeedMbps>,
    /// Device class that NICs must be of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
}

impl Policy {
    /// Classes that the NICs must be of, each once: the network's, and that which a pod asks for beside it.
    pub fn classes(&self, of_pod: Option<&str>) -> Vec<String> {
        let mut classes: Vec<String> = self.class.iter().cloned().chain(of_pod.map(str::to_owned)).collect();
        classes.dedup();
        classes
    }
}

/// Strategy of choice; what is unknown counts as none (CONTRACTS §1.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// All NICs, in order.
    #[default]
    None,
    /// The fewest NICs that reach the target.
    CostOpt,
    /// The NICs with the most headroom.
    PerfOpt,
    /// NICs of a device class.
    DevClass,
    /// NICs near the pod's GPUs.
    Topology,
}

/// A device class: a NIC is in it when it fits everything that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceClass {
    /// PCI ids of which one must fit, four lower-case hexadecimal digits each; none: every NIC fits.
    pub ids: Vec<DeviceId>,
    /// Least speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_speed: Option<SpeedMbps>,
    /// Speed class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<SpeedClass>,
    /// What must be true of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<Expression>,
}

/// Name of the class that is there without being defined: every NIC of the high speed class.
const HIGHSPEED: &str = "highspeed";

/// The class of a name.
///
/// # Errors
/// The names that there are, when it is none of them.
pub fn class_of<'a>(
    classes: &'a BTreeMap<String, DeviceClass>,
    name: &str,
) -> Result<Cow<'a, DeviceClass>, Vec<String>> {
    if let Some(class) = classes.get(name) {
        return Ok(Cow::Borrowed(class));
    }
    if name == HIGHSPEED {
        return Ok(Cow::Owned(DeviceClass { class: Some(SpeedClass::High), ..DeviceClass::default() }));
    }
    let mut known: Vec<String> = classes.keys().cloned().collect();
    if !classes.contains_key(HIGHSPEED) {
        known.push(HIGHSPEED.to_owned());
    }
    Err(known)
}

/// A PCI vendor with its devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeviceId {
    /// Vendor id.
    pub vendor: String,
    /// Device id; absent: every device of the vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

impl Network {
    /// The interface on this master.
    pub fn interface(&self, master: &str) -> Option<&NetworkInterface> {
        self.interfaces.iter().find(|interface| interface.master == master)
    }

    /// The block of this node that an address is in.
    pub fn block_of(&self, address: IpAddr) -> Option<&Block> {
        let mut blocks = self.interfaces.iter().flat_map(|interface| &interface.blocks);
        blocks.find(|block| block.pod.contains(&address))
    }
}

//! Which NICs a pod gets, and why not the others: one pure function of what is known (DESIGN §4.2).
//!
//! Order of decisions (CONTRACTS §8, its edge cases mended): the pool, names that the pod asks for, else the
//! networks that the definition lists, else everything; then rules take NICs out; then the count cuts. A NIC
//! that a rule takes out never uses up the count, and a name that nobody has is never read as "all".

mod asked;
mod expression;
mod pool;
mod rules;
mod strategy;
mod vf;
mod words;

use std::collections::BTreeMap;

use hwprobe::{Generation, HwAddr, Inventory, Nic, NicId, PciAddress, SpeedMbps, WarningCode};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::network::{DeviceClass, Network, Strategy};
use crate::usage::Usage;

pub use self::asked::{Asked, AskedTooMuch, UnknownMode};
pub use self::expression::{Expression, ExpressionError, MOST_EXPRESSION};
pub use self::pool::{is_for_pods, net_addresses};
pub use self::rules::{is_member, usage_id};
pub use self::strategy::Promise;
pub use self::words::SelectError;
pub(crate) use self::words::listed;

/// What is wished for: the network's wishes and the pod's, which may only narrow them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// What will be made of the NICs.
    pub link: LinkUse,
    /// Names of masters (`args.cni.masters`, else `masters` of the NetConf), in order; none: no such wish.
    pub masters: Vec<String>,
    /// Networks that the masters must have an address in, in order; none: no such wish.
    pub master_nets: Vec<IpNet>,
    /// PCI addresses that a device plugin allocated to the pod; when there are any, only they count.
    pub devices: Vec<String>,
    /// At most so many NICs.
    pub count: Option<u32>,
    /// Device classes that the NICs must be of, all of them: the network's and the pod's.
    pub classes: Vec<String>,
    /// How to choose among the NICs that fit.
    pub strategy: Strategy,
    /// Bandwidth that the NICs have together, for `costOpt` and `perfOpt`.
    pub target: Option<SpeedMbps>,
    /// The pod's GPUs, for `topology`.
    pub gpus: Vec<PciAddress>,
    /// VLAN between the NIC and the link: who uses the NIC without it, or with another one, is in nobody's way.
    pub vlan: Option<u16>,
}

/// What will be made of a NIC; decides who can share it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[non_exhaustive]
pub enum LinkUse {
    /// Something that a delegated plugin makes: nothing is known of what it can share.
    #[default]
    Delegated,
    /// ipvlan above it; the mode belongs to the master, so all must agree.
    Ipvlan {
        /// `l2`, `l3` or `l3s`.
        mode: String,
        /// `bridge`, `private` or `vepa`: it, too, is the master's.
        flag: String,
    },
    /// macvlan above it.
    Macvlan {
        /// Mode `passthru`: nobody else's macvlan may be on the master.
        passthru: bool,
    },
    /// The device itself goes to the pod.
    Whole,
    /// A virtual function goes to the pod, set up through its PF.
    Vf,
}

impl LinkUse {
    /// Leaves the NIC to its other users.
    pub fn shares(&self) -> bool {
        matches!(self, Self::Ipvlan { .. } | Self::Macvlan { passthru: false })
    }

    /// Leaves nothing of the NIC to the node.
    pub fn takes_all(&self) -> bool {
        matches!(self, Self::Whole | Self::Vf | Self::Macvlan { passthru: true })
    }
}

/// What is known when NICs are chosen.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The machine.
    pub inventory: &'a Inventory,
    /// The network, when the agent knows it.
    pub network: Option<&'a Network>,
    /// Device classes by name.
    pub classes: &'a BTreeMap<String, DeviceClass>,
    /// What other attachments made of the NICs.
    pub usage: &'a Usage,
}

/// The answer: NICs in the order of the pod's links, and a reason for each other one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// NICs that the pod gets.
    pub chosen: Vec<Chosen>,
    /// NICs that it does not get.
    pub left_out: Vec<LeftOut>,
}

/// A NIC that the pod gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chosen {
    /// The NIC.
    pub nic: NicId,
    /// Which incarnation of it.
    pub generation: Generation,
    /// Name of its netdev in the host's namespace.
    pub master: String,
    /// Index of that netdev.
    pub ifindex: u32,
    /// Its link-layer address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<HwAddr>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Network of its own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net_address: Option<IpNet>,
    /// Name of its PF, where it is a VF that was chosen as one: addresses and names of networks are the PF's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pf: Option<String>,
    /// What the pod may count on, where bandwidth was wished for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
}

/// A NIC that the pod does not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// The NIC.
    pub nic: NicId,
    /// Name of its netdev.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The rule that took it out.
    pub rule: Rule,
    /// The rule's reason in words.
    pub why: String,
}

/// Why a NIC is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Rule {
    /// It is no secondary NIC: virtual, protected, enslaved, held or excluded.
    NotSecondary,
    /// It has no netdev here.
    NoNetdev,
    /// It has no virtual functions.
    NoVfs,
    /// It is administratively down.
    AdminDown,
    /// The plan of the network does not have it.
    NotInNetwork,
    /// The pod or the definition names others.
    NotNamed,
    /// None of its addresses is in the networks that the definition lists.
    NotInMasterNets,
    /// It is not of the device class.
    NotInClass,
    /// The device plugin gave the pod others.
    NotAllocated,
    /// What others made of it excludes this use.
    InUse,
    /// The pod asked for fewer, or the others are enough.
    EnoughChosen,
    /// Bandwidth is wished for, and its speed is not known.
    SpeedUnknown,
    /// All its bandwidth is promised.
    Promised,
    /// Others are nearer to the pod's GPUs.
    FartherFromGpus,
}

/// Chooses.
///
/// # Errors
/// When a name, class or device of the wish exists nowhere, when a NIC that must be in is in a use that excludes
/// this one, or when nothing is left.
pub fn select(known: &Known<'_>, wish: &Wish) -> Result<Selection, SelectError> {
    let uplink_unknown =
        known.inventory.warnings.iter().any(|warning| warning.code == WarningCode::UplinkUnknown);
    if uplink_unknown && wish.link.takes_all() {
        return Err(SelectError::UplinkUnknown);
    }
    if wish.link == LinkUse::Vf {
        return vf::select(known, wish);
    }
    let mut left_out = Vec::new();
    let pool = pool::pool(known, wish, &mut left_out)?;
    let ordered = pool::ordered(known, wish, pool, &mut left_out)?;
    let fitting = rules::in_class(known, wish, ordered, &mut left_out)?;
    let free = rules::free(known, wish, fitting, &mut left_out)?;
    let chosen = strategy::choose(known, wish, free, &mut left_out)?;
    if chosen.is_empty() {
        return Err(SelectError::Nothing { left_out });
    }
    let chosen = chosen.into_iter().filter_map(|(nic, part)| Chosen::of(nic, part)).collect();
    Ok(Selection { chosen, left_out })
}

impl Chosen {
    fn of(nic: &Nic, part: Option<SpeedMbps>) -> Option<Self> {
        Some(Self {
            nic: nic.id.clone(),
            generation: nic.generation,
            master: nic.name.clone()?,
            ifindex: nic.generation.ifindex?,
            mac: nic.mac,
            mtu: nic.link.as_ref()?.mtu,
            net_address: pool::net_addresses(nic).next(),
            pf: None,
            promise: part.map(|speed| Promise { nic: nic.id.clone(), speed }),
        })
    }
}

impl LeftOut {
    fn new(nic: &Nic, rule: Rule, why: impl Into<String>) -> Self {
        Self { nic: nic.id.clone(), name: nic.name.clone(), rule, why: why.into() }
    }
}

#[cfg(test)]
mod tests;

//! Who has which block of a network: the CIDR objects as they should be (CONTRACTS §5.1 to §5.5, TRAPS O1 to O3). Pure.
//!
//! The objects are the only memory: numbers are read from them, what has one keeps it, and only what is new is numbered.
//! At most [`HOSTS_OF_AN_OBJECT`] hosts are in one object, and a host stays in the object that it came into, so a host that
//! joins changes one small object.

mod addresses;
mod config;
mod host;
mod slices;

use std::collections::{BTreeMap, BTreeSet};

use crds::{CidrHost, CidrSpec, Interface, NetworkSpec, Problem};
use ipam::{Addresses, Nic, Plan, PlanError};
use ipnet::IpNet;

pub use config::{net_order, vlan_mode};
pub use slices::number;

/// Hosts in one CIDR object.
pub const HOSTS_OF_AN_OBJECT: usize = 100;

/// Whether a host is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Presence<'a> {
    /// Its agent told of its NICs.
    Here(&'a [Interface]),
    /// Its Node is there, but nobody tells of its NICs, or only that there are none: what it has stays.
    Silent,
}

/// What the blocks are worked out from.
#[derive(Debug)]
pub struct Input<'a> {
    /// Name of the network.
    pub name: &'a str,
    /// The network.
    pub spec: &'a NetworkSpec,
    /// The network's CIDR objects, by name.
    pub objects: &'a BTreeMap<&'a str, &'a CidrSpec>,
    /// Hosts by name. A host that is not among them is gone.
    pub hosts: &'a BTreeMap<&'a str, Presence<'a>>,
    /// Names of objects that are not to be used: those of other networks.
    pub taken: &'a BTreeSet<&'a str>,
    /// Nothing new is numbered: the addresses are disputed.
    pub frozen: bool,
}

/// The blocks as they should be.
#[derive(Debug, Default, PartialEq)]
pub struct Wanted {
    /// The CIDR objects, by name. An object of the network that is not among them has no hosts left.
    pub objects: BTreeMap<String, CidrSpec>,
    /// Networks of the NICs in the order of a pod's links: `masterNets`, or what the hosts have.
    pub nets: Vec<String>,
    /// NICs of hosts that have a block.
    pub assigned: usize,
    /// NICs of hosts that should have one.
    pub expected: usize,
    /// What is the matter.
    pub complaints: Vec<Complaint>,
}

/// Why something is not as the network says.
#[derive(Debug, Clone, PartialEq)]
pub enum Complaint {
    /// The network's fields cannot be.
    Invalid(Vec<Problem>),
    /// A change would move blocks that hosts have; the former values hold.
    WouldMove(String),
    /// No number is left, or networks overlap.
    NoNumber(PlanError),
}

/// Works out the blocks of a network whose addresses are ours to give.
pub fn plan(input: &Input<'_>) -> Wanted {
    let mut wanted = Wanted::default();
    let former = input.objects.values().map(|object| &object.config).next();
    let spoken = match addresses::of_spec(input.spec) {
        Ok(spoken) => spoken,
        Err(problems) => {
            wanted.complaints.push(Complaint::Invalid(problems));
            match former.and_then(addresses::of_config) {
                Some(known) => Some(known),
                None => return wanted,
            }
        }
    };
    // Another IPAM gives the addresses now: there is nothing to number.
    let Some(spoken) = spoken else { return wanted };
    let mut known = host::known(input.objects.values().copied());
    let addresses = match former.and_then(addresses::of_config).filter(|former| *former != spoken) {
        Some(former) => match addresses::moved(input, &known, &spoken) {
            None => spoken,
            Some(moved) => {
                wanted.complaints.push(Complaint::WouldMove(moved));
                former
            }
        },
        None => spoken,
    };
    let mut plan = host::numbers(input, &addresses);
    depart(&mut plan, &mut known, input);
    let arrived = host::bind(&known, input);
    let nets = config::nets(input.spec, &plan, &arrived);
    add_new(&mut plan, &addresses, &nets, &arrived, input, &mut wanted.complaints);
    // Once more: a number that was free below others puts a network before them.
    wanted.nets = config::nets(input.spec, &plan, &arrived);

    wanted.expected = arrived.values().map(Vec::len).sum();
    let blocks = host::blocks(&plan, &addresses, input.name, &known, &arrived);
    wanted.assigned = arrived
        .iter()
        .flat_map(|(key, nics)| nics.iter().map(move |(host, _)| (key.clone(), (*host).to_owned())))
        .filter(|place| blocks.contains_key(place))
        .count();
    let config = config::config(input.name, input.spec, &addresses, &wanted.nets);
    wanted.objects = slices::divide(input, &config, &plan, &addresses, blocks);
    wanted
}

/// Key of an interface in a plan: a NIC network and the rank of a NIC among those of a host there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryKey {
    pub(crate) net: String,
    pub(crate) ordinal: u32,
}

/// What the objects say: by interface and host.
pub(crate) type Known = BTreeMap<(EntryKey, String), CidrHost>;

/// NICs that should have a block, by interface, with the host's name.
pub(crate) type Arrived<'a> = BTreeMap<EntryKey, Vec<(&'a str, &'a Interface)>>;

impl EntryKey {
    pub(crate) fn in_plan(&self) -> String {
        if self.ordinal == 0 { self.net.clone() } else { format!("{}#{}", self.net, self.ordinal) }
    }

    pub(crate) fn of_plan(key: &str) -> Self {
        let (net, ordinal) = key.split_once('#').unwrap_or((key, "0"));
        Self { net: net.to_owned(), ordinal: ordinal.parse().unwrap_or_default() }
    }

    fn nic(&self, interface: Option<&Interface>) -> Nic {
        let own = interface.into_iter().flat_map(Interface::networks);
        let mut nets: Vec<IpNet> = own.filter_map(|net| net.parse().ok()).collect();
        if nets.is_empty() {
            nets.extend(self.net.parse::<IpNet>().ok());
        }
        Nic { key: self.in_plan(), nets }
    }
}

/// Takes off what is gone: hosts that are, and NICs that their hosts no longer tell of.
fn depart(plan: &mut Plan, known: &mut Known, input: &Input<'_>) {
    let gone: Vec<(EntryKey, String)> = known
        .iter()
        .filter(|((key, host), entry)| match input.hosts.get(host.as_str()) {
            None => true,
            Some(Presence::Silent) => false,
            Some(Presence::Here(nics)) => !host::still_there(key, entry, nics),
        })
        .map(|(place, _)| place.clone())
        .collect();
    for place in gone {
        plan.remove_host(&place.0.in_plan(), &place.1);
        known.remove(&place);
    }
}

/// Numbers what has no number.
fn add_new(
    plan: &mut Plan,
    addresses: &Addresses,
    nets: &[String],
    arrived: &Arrived<'_>,
    input: &Input<'_>,
    complaints: &mut Vec<Complaint>,
) {
    if input.frozen {
        return;
    }
    // Networks that are listed have their number by their place, also before a host has a NIC there. Without a subnet
    // there is nothing to number them in before.
    if matches!(addresses, Addresses::Subnets(_)) {
        for net in nets.iter().filter(|net| input.spec.master_nets.contains(net)) {
            let key = EntryKey { net: net.clone(), ordinal: 0 };
            complaints.extend(plan.add_interface(addresses, &key.nic(None)).err().map(Complaint::NoNumber));
        }
    }
    // In the order of the links, then by name of the host, so that the same cluster gets the same numbers.
    let place = |net: &str| nets.iter().position(|other| other == net).unwrap_or(usize::MAX);
    let mut keys: Vec<&EntryKey> = arrived.keys().collect();
    keys.sort_by_key(|key| (key.ordinal, place(&key.net), &key.net));
    for key in keys {
        for (host, interface) in arrived.get(key).into_iter().flatten() {
            let blocks = plan.host(addresses, &key.in_plan(), host).unwrap_or_default();
            let excluded = blocks.iter().any(|block| block.excludes.contains(&block.pod));
            if !blocks.is_empty() && !excluded {
                continue;
            }
            let Err(error) = plan.add_host(addresses, &key.nic(Some(interface)), host) else { continue };
            // One sentence for an interface that has no number, not one for each host.
            let same = |known: &Complaint| matches!(known, Complaint::NoNumber(other) if *other == error);
            if !complaints.iter().any(same) && complaints.len() < 16 {
                complaints.push(Complaint::NoNumber(error));
            }
        }
    }
}

#[cfg(test)]
mod tests;

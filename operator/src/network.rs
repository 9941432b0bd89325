//! What is to be done for one network, and what is to be said of it. Pure.

mod functions;
mod hosts;
mod overlap;
mod status;

use std::collections::{BTreeMap, BTreeSet};

use crds::{CidrSpec, NetConfSettings};

use crate::attachment::{self, AttachmentPlan, Definition};
use crate::blocks::{self, Presence};
use crate::condition::{Finding, Reason};
use crate::former_group;
use crate::index::Index;
use crate::seen::{Key, Network};
use crate::write::{Finalized, Write, WriteKey};

pub(crate) use functions::Functions;
pub use hosts::presences;

/// Whether a finalizer is one of the predecessor's, which nobody takes off any more.
pub(crate) fn is_former_finalizer(name: &str) -> bool {
    name.starts_with("finalizers.") && name.ends_with(".multinic.fms.io")
}

/// What went wrong with changes of this network, by object.
pub type Failures = BTreeMap<WriteKey, String>;

/// What is to be done for a network.
#[derive(Debug, Default, PartialEq)]
pub struct NetworkPlan {
    /// Changes of objects. While there are any, nothing is said of the network.
    pub writes: Vec<Write>,
    /// What is to be said of the network, if it is not said already.
    pub status: Option<Write>,
}

/// Everything that a status is made of.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) network: &'a Network,
    pub(crate) nets: Vec<String>,
    pub(crate) hosts: &'a BTreeMap<&'a str, Presence<'a>>,
    pub(crate) objects: &'a BTreeMap<&'a str, &'a CidrSpec>,
    pub(crate) blocks: Option<blocks::Wanted>,
    pub(crate) refusal: Option<(Reason, String)>,
    /// Nodes that the predecessor still serves.
    pub(crate) migrating: Vec<String>,
    pub(crate) invalid: Vec<crds::Problem>,
    pub(crate) attachments: AttachmentPlan,
    pub(crate) sriov: Option<Finding>,
    pub(crate) failures: &'a Failures,
    pub(crate) waiting: bool,
}

/// Plans a network by its name; `now` is RFC 3339.
pub fn plan(index: &Index, name: &str, failures: &Failures, now: &str) -> NetworkPlan {
    let mut plan = NetworkPlan::default();
    let Some(network) = index.networks.get(&Key::cluster(name)) else {
        plan.writes = leave(index, name);
        return plan;
    };
    if network.meta.deleting {
        plan.writes.extend(unfinalize(index, Finalized::Network, name));
        return plan;
    }
    let invalid = network.spec.validate();
    let hosts = hosts::presences(index);
    let objects = objects_of(index, name);
    let taken = names_of_others(index, name);
    let refusal = overlap::refusal(index, network);
    let ours = is_ours_to_number(network);
    let migrating = hosts::of_predecessor(index);
    let blocks = ours.then(|| {
        blocks::plan(&blocks::Input {
            name,
            spec: &network.spec,
            objects: &objects,
            hosts: &hosts,
            taken: &taken,
            frozen: refusal.is_some() || !invalid.is_empty() || !migrating.is_empty(),
        })
    });
    let nets = match &blocks {
        Some(blocks) => blocks.nets.clone(),
        None => hosts::nets(&network.spec, &hosts),
    };
    // While the fields cannot be, everything stays as it is.
    if let Some(blocks) = blocks.as_ref().filter(|_| invalid.is_empty()) {
        plan.writes.extend(block_writes(index, blocks, &objects));
    }
    let mut functions =
        if invalid.is_empty() { functions::plan(index, network) } else { Functions::default() };
    plan.writes.append(&mut functions.writes);
    let definition = definition(index, network, nets.clone(), &hosts, &functions.resource_name)
        .filter(|_| invalid.is_empty() && !functions.unknown);
    let mut attachments = attachment::plan(index, network, definition.as_ref());
    if !index.attachments.is_absent() {
        plan.writes.append(&mut attachments.writes);
    }
    let waiting = !plan.writes.is_empty();
    let sriov = functions.finding;
    let (hosts, objects) = (&hosts, &objects);
    let found = Found {
        network,
        nets,
        hosts,
        objects,
        blocks,
        refusal,
        migrating,
        invalid,
        attachments,
        sriov,
        failures,
        waiting,
    };
    plan.status = status::write(index, &found, now);
    plan
}

/// `ipam.type` says that the addresses are ours to give.
pub(crate) fn is_ours_to_number(network: &Network) -> bool {
    let section = network.spec.ipam_section().unwrap_or_default();
    section.get("type").and_then(|kind| kind.as_str()) == Some(crds::MULTI_NIC_IPAM)
}

/// What its attachment definitions should be; absent when its `ipam` text cannot be parsed.
fn definition(
    index: &Index,
    network: &Network,
    discovered: Vec<String>,
    hosts: &BTreeMap<&str, Presence<'_>>,
    resource_name: &str,
) -> Option<Definition> {
    let smallest_mtu = hosts::mtus(&discovered, hosts).into_keys().next();
    let mut settings = NetConfSettings { discovered, smallest_mtu, ..NetConfSettings::default() };
    if let Some(config) = index.config() {
        settings.cni_type.clone_from(&config.spec.cni_type);
        settings.daemon_port = u16::try_from(config.spec.daemon.port).unwrap_or(settings.daemon_port);
    }
    let config = network.spec.netconf(&network.meta.key.name, &settings).ok()?;
    Some(Definition { config: config.to_string(), resource_name: resource_name.to_owned() })
}

/// CIDR objects of a network, by name.
fn objects_of<'a>(index: &'a Index, network: &str) -> BTreeMap<&'a str, &'a CidrSpec> {
    let of = |blocks: &'a crate::seen::Blocks| {
        (blocks.spec.config.name == network).then_some((blocks.meta.key.name.as_str(), &blocks.spec))
    };
    let own: BTreeMap<&str, &CidrSpec> = index.blocks.iter().filter_map(of).collect();
    let is_mirror = || {
        index.networks.get(&Key::cluster(network)).is_some_and(|network| !network.mirrored_from.is_empty())
    };
    // The first blocks of a mirrored network are those that its original had.
    if own.is_empty() && is_mirror() { index.former.blocks.iter().filter_map(of).collect() } else { own }
}

/// Names of CIDR objects that other networks have or will have.
fn names_of_others<'a>(index: &'a Index, network: &str) -> BTreeSet<&'a str> {
    let objects = index.blocks.iter().filter(|blocks| blocks.spec.config.name != network);
    let others = index.networks.iter().filter(|other| other.meta.key.name != network);
    objects
        .map(|one| one.meta.key.name.as_str())
        .chain(others.map(|one| one.meta.key.name.as_str()))
        .collect()
}

fn block_writes(index: &Index, wanted: &blocks::Wanted, objects: &BTreeMap<&str, &CidrSpec>) -> Vec<Write> {
    let mut writes = Vec::new();
    for (name, spec) in &wanted.objects {
        match index.blocks.get(&Key::cluster(name)) {
            Some(existing) if existing.spec == *spec => {}
            Some(_) => {
                let version = index.blocks.version(&Key::cluster(name)).cloned().unwrap_or_default();
                writes.push(Write::UpdateBlocks {
                    name: name.clone(),
                    version,
                    spec: Box::new(spec.clone()),
                });
            }
            None => writes.push(Write::CreateBlocks { name: name.clone(), spec: Box::new(spec.clone()) }),
        }
    }
    // An object that could not be worked out anew stays as it is.
    if wanted.objects.is_empty() {
        return writes;
    }
    for name in objects.keys().filter(|name| !wanted.objects.contains_key(**name)) {
        writes.extend(delete_blocks(index, name, false));
    }
    writes
}

/// What a network that is gone has left. Its attachment definitions belong to it: the cluster's garbage collection has
/// them.
fn leave(index: &Index, network: &str) -> Vec<Write> {
    let objects = objects_of(index, network);
    let mut writes: Vec<Write> = objects.keys().filter_map(|name| delete_blocks(index, name, true)).collect();
    writes.extend(functions::leave(index, network));
    writes
}

fn delete_blocks(index: &Index, name: &str, network_gone: bool) -> Option<Write> {
    // What is being deleted already is `plan_rest`'s.
    let blocks = index.blocks.get(&Key::cluster(name)).filter(|blocks| !blocks.meta.deleting)?;
    let network = blocks.spec.config.name.clone();
    Some(Write::DeleteBlocks { name: name.to_owned(), uid: blocks.meta.uid.clone(), network, network_gone })
}

/// Takes the predecessor's finalizers off an object that is being deleted.
fn unfinalize(index: &Index, kind: Finalized, name: &str) -> Option<Write> {
    let key = Key::cluster(name);
    let (meta, version) = match kind {
        Finalized::Network => (&index.networks.get(&key)?.meta, index.networks.version(&key)),
        Finalized::Blocks => (&index.blocks.get(&key)?.meta, index.blocks.version(&key)),
        Finalized::Host => (&index.hosts.get(&key)?.meta, index.hosts.version(&key)),
    };
    if !meta.deleting || !meta.finalizers.iter().any(|one| is_former_finalizer(one)) {
        return None;
    }
    let keep = meta.finalizers.iter().filter(|one| !is_former_finalizer(one)).cloned().collect();
    Some(Write::Finalizers {
        kind,
        name: name.to_owned(),
        version: version.cloned().unwrap_or_default(),
        keep,
    })
}

/// What is to be done beside any network: objects of the former group, HostInterfaces without a Node, and objects that
/// are being deleted. `now` is RFC 3339.
pub fn plan_rest(index: &Index, now: &str) -> Vec<Write> {
    let mut writes = former_group::plan(index, now);
    writes.extend(functions::node_plans(index));
    for host in index.hosts.iter().filter(|host| !host.is_unmanaged()) {
        let name = &host.meta.key.name;
        if host.meta.deleting {
            writes.extend(unfinalize(index, Finalized::Host, name));
        } else if index.nodes.get(&Key::cluster(name)).is_none() {
            writes.push(Write::DeleteHost { name: name.clone(), uid: host.meta.uid.clone() });
        }
    }
    let ending = index.blocks.iter().filter(|blocks| blocks.meta.deleting);
    writes.extend(ending.filter_map(|blocks| unfinalize(index, Finalized::Blocks, &blocks.meta.key.name)));
    writes
}

#[cfg(test)]
mod tests;

//! From a record and the NICs that are here to the network as attaching sees it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use attach::network::{Block, DeviceClass, DeviceId, Network, NetworkInterface, Policy, Strategy, class_of};
use attach::select::{Expression, LinkUse};
use crds::{Addressing, DeviceClassSpec, DeviceIds, Mtu, NetworkSpec};
use hwprobe::{Inventory, NicId, SpeedClass, SpeedMbps};
use ipam::{Addresses, Nic, PlanError, Subnet};
use ipnet::IpNet;

use candidates::{Candidate, Membership, candidates};
use record::{Record, Seen};

pub(crate) mod candidates;
pub(crate) mod record;
#[cfg(test)]
pub(crate) mod samples;

/// Key of this host in a plan: without a cluster there is only one, and it may be renamed.
const HOST: &str = "host";

/// What came of numbering.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// NICs that have a number and are here.
    pub(crate) served: BTreeSet<String>,
    /// NICs that could have none.
    pub(crate) errors: Vec<PlanError>,
    /// The smallest MTU of those that are here, bytes; absent: there is none.
    pub(crate) smallest_mtu: Option<u32>,
}

/// Gives numbers to the candidates that have none. A NIC that is away keeps its number; only when one that is here
/// needs it and no pod has an address of it (`in_use`, by its block), it is given up.
pub(crate) fn number(
    record: &mut Record,
    candidates: &[Candidate],
    in_use: &mut dyn FnMut(&IpNet) -> bool,
) -> Numbered {
    let mut numbered = Numbered::default();
    let addresses = addresses(&record.spec);
    for candidate in candidates {
        let key = candidate.nic.to_string();
        if let Some(addresses) = &addresses {
            let nic = Nic { key: key.clone(), nets: candidate.nets.clone() };
            let here = |away: &str| candidates.iter().any(|one| one.nic.as_str() == away);
            let mut outcome = record.plan.add_host(addresses, &nic, HOST);
            while let Err(error) = &outcome {
                let Some(away) = replaceable(record, addresses, error, &here, in_use) else { break };
                record.plan.remove_host(&away, HOST);
                record.plan.interfaces.remove(&away);
                record.nics.remove(&away);
                outcome = record.plan.add_host(addresses, &nic, HOST);
            }
            if let Err(error) = outcome {
                numbered.errors.push(error);
                continue;
            }
        }
        let next = record.nics.values().map(|seen| seen.order + 1).max().unwrap_or(0);
        let order = record.nics.get(&key).map_or(next, |seen| seen.order);
        let seen =
            Seen { master: candidate.master.clone(), net_address: candidate.nets.first().copied(), order };
        record.nics.insert(key.clone(), seen);
        numbered.served.insert(key);
        let mtus = numbered.smallest_mtu.into_iter().chain([candidate.mtu]);
        numbered.smallest_mtu = mtus.filter(|mtu| *mtu > 0).min();
    }
    numbered
}

/// A NIC that is away and stands in the way of one that is here.
fn replaceable(
    record: &Record,
    addresses: &Addresses,
    error: &PlanError,
    here: &dyn Fn(&str) -> bool,
    in_use: &mut dyn FnMut(&IpNet) -> bool,
) -> Option<String> {
    let mut away = record.plan.interfaces.keys().filter(|key| !here(key));
    away.find(|key| {
        let stands_in_the_way = match error {
            PlanError::NoInterfaceIndex { .. } => true,
            PlanError::Overlap { other, .. } => other == *key,
            _ => false,
        };
        let blocks = record.plan.host(addresses, key, HOST).unwrap_or_default();
        stands_in_the_way && !blocks.iter().any(|block| in_use(&block.pod))
    })
    .cloned()
}

/// The network as attaching sees it. `own`: addresses of the host, which pods never get.
pub(crate) fn network(name: &str, record: &Record, numbered: &Numbered, own: &[IpAddr]) -> Network {
    let mut interfaces: Vec<NetworkInterface> = Vec::new();
    let mut add = |index: u32, key: &str, blocks: Vec<Block>| {
        let Some(seen) = record.nics.get(key) else { return };
        let nic = numbered.served.contains(key).then(|| NicId::new(key));
        let (master, net_address) = (seen.master.clone(), seen.net_address);
        interfaces.push(NetworkInterface { master, nic, net_address, index, blocks });
    };
    let mut refused = None;
    match addresses(&record.spec) {
        Some(addresses) => {
            for (index, key, blocks) in record.plan.interfaces_of(&addresses, HOST) {
                add(index, key, blocks.into_iter().map(|block| with_own(block, own)).collect());
            }
            if numbered.served.is_empty() {
                refused = Some(match numbered.errors.first() {
                    Some(error) => error.to_string(),
                    None => nothing_fits(&record.spec),
                });
            }
        }
        None => {
            let mut nics: Vec<(&String, &Seen)> = record.nics.iter().collect();
            nics.sort_by_key(|(_, seen)| seen.order);
            for (key, seen) in nics {
                add(seen.order, key, Vec::new());
            }
        }
    }
    // Two NICs had one name at different times: the one that is here has it.
    let here: Vec<String> =
        interfaces.iter().filter(|one| one.nic.is_some()).map(|one| one.master.clone()).collect();
    for away in interfaces.iter_mut().filter(|one| one.nic.is_none() && here.contains(&one.master)) {
        away.master.clear();
    }
    let (policy, allow_uplink) = (policy(&record.spec), record.spec.allow_uplink == "shared");
    // A number of bytes stands in the NetConf.
    let auto = record.spec.link_mtu() == Ok(Mtu::Smallest);
    let mtu = numbered.smallest_mtu.filter(|_| auto);
    let (link, vlan) = link(&record.spec);
    Network { name: name.to_owned(), policy, link, vlan, interfaces, allow_uplink, mtu, refused }
}

/// What the network's plugin makes of a NIC, and the VLAN between them. What is in a record has been checked.
pub(crate) fn link(spec: &NetworkSpec) -> (LinkUse, Option<u16>) {
    // As it stands in the NetConf (CONTRACTS §2.3).
    let kind = if spec.plugin.kind == "mellanox" { "host-device" } else { spec.plugin.kind.as_str() };
    let arg = |key: &str| spec.plugin.args.get(key).map(String::as_str).unwrap_or_default();
    let link = LinkUse::of_plugin(kind, arg("mode"), arg("flag")).ok().flatten().unwrap_or_default();
    let vlan = arg("vlan").parse().ok().filter(|_| link.shares());
    (link, vlan)
}

/// What attaching may do with a block.
fn with_own(block: ipam::HostPlan, own: &[IpAddr]) -> Block {
    let mut excludes = block.excludes;
    for address in own.iter().filter(|own| block.pod.contains(*own)) {
        if !excludes.iter().any(|exclude| exclude.contains(address)) {
            excludes.push(IpNet::from(*address));
        }
    }
    Block { pod: block.pod, interface: block.interface, excludes }
}

fn nothing_fits(spec: &NetworkSpec) -> String {
    let mut wanted = "a secondary NIC".to_owned();
    if !spec.master_nets.is_empty() {
        wanted += &format!(" with an address in masterNets ({})", spec.master_nets.join(", "));
    }
    if let Some(class) = class(spec) {
        wanted += &format!(" of device class {class}");
    }
    format!("this host has no NIC for it: it wants {wanted}; GET /v1/nics says why none is")
}

/// The addresses that are planned for; absent when another IPAM gives them.
fn addresses(spec: &NetworkSpec) -> Option<Addresses> {
    // What is in a record has been checked.
    match spec.addressing().ok()? {
        Addressing::Elsewhere => None,
        Addressing::HostNetworks { host_block, excludes } => {
            Some(Addresses::HostNetworks { host_block, exclude_cidrs: excludes })
        }
        Addressing::Subnets(subnets) => Some(Addresses::Subnets(
            subnets
                .into_iter()
                .map(|one| Subnet {
                    cidr: one.cidr,
                    interface_block: one.interface_block,
                    host_block: one.host_block,
                    exclude_cidrs: one.excludes,
                })
                .collect(),
        )),
    }
}

/// The device class that the network asks for.
pub(crate) fn class(spec: &NetworkSpec) -> Option<&str> {
    let policy = spec.attach_policy.as_ref()?;
    (!policy.class.is_empty()).then_some(policy.class.as_str())
}

/// A device class of the cluster or of a file as attaching sees it.
pub(crate) fn device_class(spec: &DeviceClassSpec) -> DeviceClass {
    let of = |ids: &DeviceIds| {
        let vendor = ids.vendor.to_ascii_lowercase();
        let each = ids.products.iter().map(move |product| DeviceId {
            vendor: vendor.clone(),
            device: Some(product.to_ascii_lowercase()),
        });
        each.collect::<Vec<_>>()
    };
    DeviceClass {
        ids: spec.ids.iter().flat_map(of).collect(),
        min_speed: bandwidth(&spec.min_speed),
        class: SpeedClass::ALL.into_iter().find(|class| class.as_str() == spec.class),
        expression: (!spec.expression.is_empty()).then(|| Expression::or_broken(&spec.expression)),
    }
}

/// How NICs of the network are chosen.
pub(crate) fn policy(spec: &NetworkSpec) -> Policy {
    let Some(policy) = &spec.attach_policy else { return Policy::default() };
    let strategy = match policy.strategy.as_str() {
        "costOpt" => Strategy::CostOpt,
        "perfOpt" => Strategy::PerfOpt,
        "devClass" => Strategy::DevClass,
        "topology" => Strategy::Topology,
        _ => Strategy::None,
    };
    Policy { strategy, target: bandwidth(&policy.target), class: class(spec).map(str::to_owned) }
}

fn bandwidth(text: &str) -> Option<SpeedMbps> {
    SpeedMbps::new(crds::bandwidth_mbps(text)?)
}

/// The NICs that are in a network, or why that cannot be told.
pub(crate) fn candidates_of(
    spec: &NetworkSpec,
    classes: &BTreeMap<String, DeviceClass>,
    inventory: &Inventory,
) -> Result<Vec<Candidate>, String> {
    let master_nets: Vec<IpNet> = spec.master_nets.iter().filter_map(|net| net.parse().ok()).collect();
    let class = class(spec).map(|name| {
        class_of(classes, name).map_err(|known| {
            let known = known.join(", ");
            format!("attachPolicy.class: there is no device class {name}; known are {known}")
        })
    });
    let class = class.transpose()?;
    let uplink = spec.allow_uplink == "shared" && ["ipvlan", "macvlan"].contains(&spec.plugin.kind.as_str());
    Ok(candidates(inventory, &Membership { master_nets: &master_nets, class: class.as_deref(), uplink }))
}

#[cfg(test)]
mod tests;

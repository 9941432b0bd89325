//! What the CIDR objects say of their network.

use std::collections::BTreeSet;

use crds::{CidrConfig, NetworkSpec, SubnetSpec};
use ipam::{Addresses, Plan, Subnet};
use ipnet::IpNet;
use serde_json::Value;

use super::{Arrived, EntryKey};

/// Networks of the NICs in the order of a pod's links: `masterNets`; else those that have a number by that, then the
/// others by address.
pub(super) fn nets(spec: &NetworkSpec, plan: &Plan, arrived: &Arrived<'_>) -> Vec<String> {
    if !spec.master_nets.is_empty() {
        return spec.master_nets.clone();
    }
    let mut numbered: Vec<(u32, String)> = Vec::new();
    for (key, interface) in &plan.interfaces {
        let key = EntryKey::of_plan(key);
        if key.ordinal == 0 {
            numbered.push((interface.index, key.net));
        }
    }
    numbered.sort();
    let mut nets: Vec<String> = numbered.into_iter().map(|(_, net)| net).collect();
    let mut others: Vec<&String> =
        arrived.keys().map(|key| &key.net).filter(|net| !nets.contains(net)).collect();
    sort(&mut others);
    others.dedup();
    nets.extend(others.into_iter().cloned().collect::<Vec<_>>());
    nets
}

/// Networks of all NICs of all hosts, by address, for networks whose addresses others give.
pub fn net_order<'a>(nets: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut nets: Vec<&String> = nets.collect::<BTreeSet<_>>().into_iter().collect();
    sort(&mut nets);
    nets.into_iter().cloned().collect()
}

/// IPv4 before IPv6, then by number; what is no network last, by its letters.
fn sort(nets: &mut [&String]) {
    nets.sort_by_key(|text| (text.parse::<IpNet>().map_err(|_| (*text).clone()), (*text).clone()));
}

/// The config of a network's objects.
pub(super) fn config(name: &str, spec: &NetworkSpec, addresses: &Addresses, nets: &[String]) -> CidrConfig {
    let mut config = CidrConfig {
        name: name.to_owned(),
        kind: spec.plugin.kind.clone(),
        master_nets: nets.to_vec(),
        vlan_mode: vlan_mode(spec),
        ..CidrConfig::default()
    };
    let texts = |nets: &[IpNet]| nets.iter().map(IpNet::to_string).collect();
    match addresses {
        Addresses::HostNetworks { host_block, exclude_cidrs } => {
            (config.host_block, config.exclude_cidrs) = (*host_block, texts(exclude_cidrs));
        }
        Addresses::Subnets(subnets) => {
            if let Some(first) = subnets.first() {
                config.subnet = first.cidr.to_string();
                (config.host_block, config.interface_block) = (first.host_block, first.interface_block);
                config.exclude_cidrs = texts(&first.exclude_cidrs);
            }
            if !spec.subnets.is_empty() {
                let of = |subnet: &Subnet| SubnetSpec {
                    cidr: subnet.cidr.to_string(),
                    host_block: subnet.host_block,
                    interface_block: subnet.interface_block,
                    exclude_cidrs: texts(&subnet.exclude_cidrs),
                };
                config.subnets = subnets.iter().map(of).collect();
            }
        }
    }
    config
}

/// `vlanMode` of the `ipam` text.
pub fn vlan_mode(spec: &NetworkSpec) -> String {
    let section = spec.ipam_section().unwrap_or_default();
    section.get("vlanMode").and_then(Value::as_str).unwrap_or_default().to_owned()
}

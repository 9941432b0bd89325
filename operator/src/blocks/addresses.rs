//! Where the addresses come from: as the network says, as the CIDR objects say, and what lies between.

use crds::{Addressing, CidrConfig, NetworkSpec, Problem, SubnetSpec};
use ipam::{Addresses, Subnet};
use ipnet::IpNet;

use super::{Input, Known, host};

/// As the network says; absent when another IPAM gives them.
pub(super) fn of_spec(spec: &NetworkSpec) -> Result<Option<Addresses>, Vec<Problem>> {
    Ok(match spec.addressing()? {
        Addressing::Subnets(all) => {
            let subnet = |blocks: crds::Blocks| Subnet {
                cidr: blocks.cidr,
                interface_block: blocks.interface_block,
                host_block: blocks.host_block,
                exclude_cidrs: blocks.excludes,
            };
            Some(Addresses::Subnets(all.into_iter().map(subnet).collect()))
        }
        Addressing::HostNetworks { host_block, excludes } => {
            Some(Addresses::HostNetworks { host_block, exclude_cidrs: excludes })
        }
        Addressing::Elsewhere => None,
    })
}

/// As the CIDR objects say; absent when that cannot be read.
pub(super) fn of_config(config: &CidrConfig) -> Option<Addresses> {
    let excludes = |texts: &[String]| -> Vec<IpNet> {
        texts.iter().filter_map(|text| ipam::parse_exclude(text).ok()).collect()
    };
    if !config.subnets.is_empty() {
        let subnet = |spec: &SubnetSpec| {
            Some(Subnet {
                cidr: spec.cidr.parse().ok()?,
                interface_block: spec.interface_block,
                host_block: spec.host_block,
                exclude_cidrs: excludes(&spec.exclude_cidrs),
            })
        };
        return config.subnets.iter().map(subnet).collect::<Option<_>>().map(Addresses::Subnets);
    }
    let exclude_cidrs = excludes(&config.exclude_cidrs);
    if config.subnet.is_empty() {
        return Some(Addresses::HostNetworks { host_block: config.host_block, exclude_cidrs });
    }
    let cidr: IpNet = config.subnet.parse().ok()?;
    let (interface_block, host_block) = (config.interface_block, config.host_block);
    Some(Addresses::Subnets(vec![Subnet { cidr: cidr.trunc(), interface_block, host_block, exclude_cidrs }]))
}

/// The first block that other addresses would move, in words.
pub(super) fn moved(input: &Input<'_>, known: &Known, addresses: &Addresses) -> Option<String> {
    let plan = host::numbers(input, addresses);
    known.iter().find_map(|((key, name), entry)| {
        let blocks = plan.host(addresses, &key.in_plan(), name).unwrap_or_default();
        let now = blocks.first().map(|block| block.pod.to_string());
        if now.as_deref() == Some(entry.pod_cidr.as_str()) {
            return None;
        }
        let now = now.unwrap_or_else(|| "none".to_owned());
        Some(format!("{name} has {} on {}, which would become {now}", entry.pod_cidr, key.net))
    })
}

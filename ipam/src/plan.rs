//! Who has which block of a network: interfaces are numbered, hosts are numbered on each interface, and numbers
//! become blocks (CONTRACTS §5.2 to §5.4; both families share the numbers, TRAPS O2).

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::block::{BlockError, check_fit, excluded, sub_block};

/// The addresses of a network in one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subnet {
    /// All addresses.
    pub cidr: IpNet,
    /// Bits that number interfaces.
    pub interface_block: u8,
    /// Bits that number hosts.
    pub host_block: u8,
    /// Ranges that are never given; an interface or host number whose block one of them covers is skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_cidrs: Vec<IpNet>,
}

/// The numbers of a network. They never change while what they number is there, and freed ones are used again
/// last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    /// Interfaces by key: a net address, or a name where a network is told apart by that.
    pub interfaces: BTreeMap<String, InterfacePlan>,
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InterfacePlan {
    /// Its number.
    pub index: u32,
    /// Numbers of the hosts that have it.
    pub hosts: BTreeMap<String, u32>,
}

/// What one host has on one interface, a family each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPlan {
    /// Block of all hosts on the interface.
    pub interface: IpNet,
    /// Block of the host.
    pub pod: IpNet,
    /// Excludes that take addresses out of it.
    pub excludes: Vec<IpNet>,
}

/// Why something has no number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The blocks cannot be.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// There are too many interfaces.
    #[error("interface {interface}: interfaceBlock {bits} numbers {} interfaces and all are taken or excluded", 1u64 << bits)]
    NoInterfaceIndex {
        /// The interface.
        interface: String,
        /// The bits.
        bits: u8,
    },
    /// There are too many hosts.
    #[error("host {host} on interface {interface}: hostBlock {bits} numbers {} hosts and all are taken or excluded", 1u64 << bits)]
    NoHostIndex {
        /// The host.
        host: String,
        /// The interface.
        interface: String,
        /// The bits.
        bits: u8,
    },
}

/// The first number from 0 that a sorted list without repetitions leaves out below its last; absent when it leaves
/// none out.
pub fn first_free_index(taken: &[u32]) -> Option<u32> {
    let gap = taken.iter().zip(0u32..).find(|(taken, index)| **taken != *index);
    gap.map(|(_, index)| index)
}

impl Plan {
    /// Numbers an interface; a known one keeps its number.
    ///
    /// # Errors
    /// When the subnets do not fit or no number is left.
    pub fn add_interface(&mut self, subnets: &[Subnet], key: &str) -> Result<u32, PlanError> {
        for subnet in subnets {
            check_fit(subnet.cidr, subnet.interface_block, subnet.host_block)?;
        }
        if let Some(known) = self.interfaces.get(key) {
            return Ok(known.index);
        }
        let bits = subnets.iter().map(|subnet| subnet.interface_block).min().unwrap_or(16);
        let usable = |index: u32| {
            subnets.iter().all(|subnet| {
                sub_block(subnet.cidr, index, subnet.interface_block)
                    .is_ok_and(|block| !excluded(block, &subnet.exclude_cidrs))
            })
        };
        let taken: Vec<u32> = sorted(self.interfaces.values().map(|interface| interface.index));
        let index = next_index(&taken, bits, usable)
            .ok_or_else(|| PlanError::NoInterfaceIndex { interface: key.to_owned(), bits })?;
        self.interfaces.insert(key.to_owned(), InterfacePlan { index, hosts: BTreeMap::new() });
        Ok(index)
    }

    /// Numbers a host on an interface; a known one keeps its number unless an exclude covers its block now.
    ///
    /// # Errors
    /// When the interface has no number, or no number is left.
    pub fn add_host(&mut self, subnets: &[Subnet], key: &str, host: &str) -> Result<u32, PlanError> {
        let interface_index = self.add_interface(subnets, key)?;
        let usable = |index: u32| {
            subnets.iter().all(|subnet| {
                let block = sub_block(subnet.cidr, interface_index, subnet.interface_block);
                let block = block.and_then(|block| sub_block(block, index, subnet.host_block));
                block.is_ok_and(|block| !excluded(block, &subnet.exclude_cidrs))
            })
        };
        let bits = subnets.iter().map(|subnet| subnet.host_block).min().unwrap_or(0);
        let entry = self.interfaces.entry(key.to_owned()).or_default();
        if let Some(known) = entry.hosts.get(host).copied().filter(|known| usable(*known)) {
            return Ok(known);
        }
        let taken: Vec<u32> =
            sorted(entry.hosts.iter().filter(|(other, _)| *other != host).map(|(_, index)| *index));
        let index = next_index(&taken, bits, usable).ok_or_else(|| PlanError::NoHostIndex {
            host: host.to_owned(),
            interface: key.to_owned(),
            bits,
        })?;
        entry.hosts.insert(host.to_owned(), index);
        Ok(index)
    }

    /// Takes a host off an interface. An interface that had hosts and has none left loses its number, too.
    pub fn remove_host(&mut self, key: &str, host: &str) {
        if let Some(entry) = self.interfaces.get_mut(key)
            && entry.hosts.remove(host).is_some()
            && entry.hosts.is_empty()
        {
            self.interfaces.remove(key);
        }
    }

    /// The blocks of a host on an interface, in the order of `subnets`.
    pub fn host(&self, subnets: &[Subnet], key: &str, host: &str) -> Option<Vec<HostPlan>> {
        let entry = self.interfaces.get(key)?;
        let index = *entry.hosts.get(host)?;
        let of = |subnet: &Subnet| {
            let interface = sub_block(subnet.cidr, entry.index, subnet.interface_block).ok()?;
            let pod = sub_block(interface, index, subnet.host_block).ok()?;
            let inside = |exclude: &&IpNet| exclude.contains(&pod) || pod.contains(*exclude);
            let excludes = subnet.exclude_cidrs.iter().filter(inside).copied().collect();
            Some(HostPlan { interface, pod, excludes })
        };
        subnets.iter().map(of).collect()
    }
}

fn sorted(indices: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut all: Vec<u32> = indices.collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// One more than the largest; gaps only when the top is reached.
fn next_index(taken: &[u32], bits: u8, usable: impl Fn(u32) -> bool) -> Option<u32> {
    let most = u32::try_from((1u64 << bits.min(32)) - 1).unwrap_or(u32::MAX);
    let above = taken.last().map_or(Some(0), |last| last.checked_add(1));
    let above = above.into_iter().flat_map(|first| first..=most);
    let gaps = (0..taken.last().copied().unwrap_or(0)).filter(|index| taken.binary_search(index).is_err());
    above.chain(gaps).find(|index| *index <= most && usable(*index))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subnet(cidr: &str, interface_block: u8, host_block: u8, excludes: &[&str]) -> Subnet {
        let exclude_cidrs = excludes.iter().map(|text| text.parse().unwrap()).collect();
        Subnet { cidr: cidr.parse().unwrap(), interface_block, host_block, exclude_cidrs }
    }

    #[test]
    fn gaps_are_found_from_zero() {
        let rows: [(&[u32], Option<u32>); 7] = [
            (&[], None),
            (&[0], None),
            (&[1], Some(0)),
            (&[0, 1, 2], None),
            (&[0, 2, 3], Some(1)),
            (&[0, 1, 3], Some(2)),
            (&[0, 1, 3, 4], Some(2)),
        ];
        for (taken, wanted) in rows {
            assert_eq!(first_free_index(taken), wanted, "{taken:?}");
        }
    }

    #[test]
    fn two_hosts_with_two_nics_have_the_blocks_of_the_worked_example() {
        let subnets = [subnet("192.168.0.0/16", 2, 6, &[]), subnet("fd10:20::/64", 2, 6, &[])];
        let mut plan = Plan::default();
        for host in ["h1", "h2"] {
            for key in ["10.0.1.0/24", "10.0.2.0/24"] {
                plan.add_host(&subnets, key, host).unwrap();
            }
        }
        let pod = |key: &str, host: &str| -> Vec<String> {
            plan.host(&subnets, key, host).unwrap().iter().map(|plan| plan.pod.to_string()).collect()
        };

        assert_eq!(pod("10.0.1.0/24", "h1"), ["192.168.0.0/24", "fd10:20::/72"]);
        assert_eq!(pod("10.0.2.0/24", "h1"), ["192.168.64.0/24", "fd10:20:0:0:4000::/72"]);
        assert_eq!(pod("10.0.1.0/24", "h2"), ["192.168.1.0/24", "fd10:20:0:0:100::/72"]);
        assert_eq!(pod("10.0.2.0/24", "h2"), ["192.168.65.0/24", "fd10:20:0:0:4100::/72"]);
    }

    #[test]
    fn excluded_numbers_are_skipped_and_narrow_excludes_reach_the_pods() {
        let subnets =
            [subnet("192.168.0.0/16", 2, 6, &["192.168.0.0/18", "192.168.64.0/24", "192.168.65.7/32"])];
        let mut plan = Plan::default();

        assert_eq!(plan.add_host(&subnets, "a", "h").unwrap(), 1);

        assert_eq!(plan.interfaces["a"].index, 1);
        let host = &plan.host(&subnets, "a", "h").unwrap()[0];
        assert_eq!(host.pod.to_string(), "192.168.65.0/24");
        assert_eq!(host.excludes, ["192.168.65.7/32".parse().unwrap()]);
    }

    #[test]
    fn freed_numbers_come_last_and_too_many_is_an_error() {
        let subnets = [subnet("10.0.0.0/24", 0, 2, &[])];
        let mut plan = Plan::default();
        for host in ["a", "b", "c"] {
            plan.add_host(&subnets, "n", host).unwrap();
        }
        plan.remove_host("n", "a");

        assert_eq!(plan.add_host(&subnets, "n", "d").unwrap(), 3);
        assert_eq!(plan.add_host(&subnets, "n", "e").unwrap(), 0);
        assert!(matches!(plan.add_host(&subnets, "n", "f"), Err(PlanError::NoHostIndex { .. })));
        assert!(matches!(plan.add_interface(&subnets, "m"), Err(PlanError::NoInterfaceIndex { .. })));
    }

    proptest! {
        #[test]
        fn nothing_moves_and_nothing_overlaps_in_any_order_of_coming_and_going(
            steps in proptest::collection::vec((any::<bool>(), 0usize..5, 0usize..12), 1..120))
        {
            let subnets = [subnet("192.168.0.0/16", 2, 3, &["192.168.8.0/21"]), subnet("fd10:20::/64", 2, 3, &[])];
            let mut plan = Plan::default();
            for (join, nic, host) in steps {
                let (key, host) = (format!("nic{nic}"), format!("host{host}"));
                let before = plan.clone();
                if join {
                    let _ = plan.add_host(&subnets, &key, &host);
                } else {
                    plan.remove_host(&key, &host);
                }
                for (key, old) in &before.interfaces {
                    let Some(new) = plan.interfaces.get(key) else { continue };
                    prop_assert_eq!(old.index, new.index);
                    for (host, index) in &old.hosts {
                        prop_assert!(new.hosts.get(host).is_none_or(|now| now == index));
                    }
                }
                let mut blocks: Vec<IpNet> = Vec::new();
                for (key, entry) in &plan.interfaces {
                    for host in entry.hosts.keys() {
                        for found in plan.host(&subnets, key, host).unwrap() {
                            prop_assert!(found.interface.contains(&found.pod));
                            prop_assert!(!blocks.iter().any(|other|
                                other.contains(&found.pod) || found.pod.contains(other)));
                            prop_assert!(!excluded(found.pod, &subnets[0].exclude_cidrs));
                            blocks.push(found.pod);
                        }
                    }
                }
            }
        }
    }
}

//! Who has which block of a network: interfaces are numbered, hosts are numbered on each interface, and numbers
//! become blocks (CONTRACTS §5.2 to §5.4; both families share the numbers, TRAPS O2).

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::block::{BlockError, check_fit, largest, sub_block};
use crate::division::{Division, can_be, choose};
use crate::subnet::{Addresses, Subnet, SubnetError, one_a_family};

/// The numbers of a network. They never change while what they number is there, and freed ones are used again
/// last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    /// Interfaces by key: a net address, or a name where a network is told apart by that. Two NICs on one net
    /// address are two interfaces with two keys.
    pub interfaces: BTreeMap<String, InterfacePlan>,
    /// One more than the largest number that an interface has ever had.
    pub next_index: u32,
}

/// One interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InterfacePlan {
    /// Its number.
    pub index: u32,
    /// Networks of the NIC, at most one a family, IPv4 first; empty when the network has subnets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nets: Vec<IpNet>,
    /// Numbers of the hosts that have it.
    pub hosts: BTreeMap<String, u32>,
    /// One more than the largest number that a host has ever had here.
    pub next_host: u32,
}

/// A NIC that gets a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Key of its interface.
    pub key: String,
    /// Its own networks, at most one a family; looked at only with [`Addresses::HostNetworks`].
    pub nets: Vec<IpNet>,
}

/// What one host has on one interface, a family each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPlan {
    /// Block of all hosts on the interface; its length is the prefix length of a pod's address.
    pub interface: IpNet,
    /// Block of the host.
    pub pod: IpNet,
    /// Excludes inside `pod`.
    pub excludes: Vec<IpNet>,
}

/// Why something has no number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The subnets cannot be.
    #[error(transparent)]
    Subnet(#[from] SubnetError),
    /// There are too many interfaces.
    #[error(
        "interface {interface}: interfaceBlock {bits} numbers {} interfaces and all are taken or excluded; \
         raise interfaceBlock or list fewer masterNets", u64::from(largest(*bits)) + 1
    )]
    NoInterfaceIndex {
        /// The interface.
        interface: String,
        /// The bits.
        bits: u8,
    },
    /// The interface has a number from a time when there were more.
    #[error(
        "interface {interface} has the number {index}, which interfaceBlock {bits} does not have; \
         give interfaceBlock its former value, or make the network anew"
    )]
    LostInterfaceIndex {
        /// The interface.
        interface: String,
        /// Its number.
        index: u32,
        /// The bits.
        bits: u8,
    },
    /// There are too many hosts.
    #[error(
        "host {host} on interface {interface}: hostBlock {bits} numbers {} hosts and all are taken or excluded; \
         raise hostBlock", u64::from(largest(*bits)) + 1
    )]
    NoHostIndex {
        /// The host.
        host: String,
        /// The interface.
        interface: String,
        /// The bits.
        bits: u8,
    },
    /// The network has no subnet and the NIC no network.
    #[error("interface {interface}: the network has no subnet and the NIC has no address; give either")]
    NoNet {
        /// The interface.
        interface: String,
    },
    /// The networks of two NICs overlap and are not the same.
    #[error(
        "interface {interface}: {net} overlaps {other_net} of interface {other}; give the network a subnet"
    )]
    Overlap {
        /// The interface.
        interface: String,
        /// Its network.
        net: IpNet,
        /// The other interface.
        other: String,
        /// The other network.
        other_net: IpNet,
    },
}

impl From<BlockError> for PlanError {
    fn from(error: BlockError) -> Self {
        Self::Subnet(error.into())
    }
}

/// The first number from 0 that a sorted list without repetitions leaves out below its last; absent when it leaves
/// none out.
pub fn first_free_index(taken: &[u32]) -> Option<u32> {
    let gap = taken.iter().zip(0u32..).find(|(taken, index)| **taken != *index);
    gap.map(|(_, index)| index)
}

impl Nic {
    /// A NIC of which only the key counts.
    pub fn named(key: &str) -> Self {
        Self { key: key.to_owned(), nets: Vec::new() }
    }
}

impl Plan {
    /// Numbers what has no number yet: first `masters` in their order, then the NICs of `hosts`, by name of the host.
    /// The same input gives the same plan. What cannot be numbered is left out and told.
    pub fn add_all(
        &mut self,
        addresses: &Addresses,
        masters: &[Nic],
        hosts: &BTreeMap<String, Vec<Nic>>,
    ) -> Vec<PlanError> {
        let mut errors: Vec<PlanError> =
            masters.iter().filter_map(|nic| self.add_interface(addresses, nic).err()).collect();
        for (host, nics) in hosts {
            errors.extend(nics.iter().filter_map(|nic| self.add_host(addresses, nic, host).err()));
        }
        errors
    }

    /// Numbers an interface; a known one keeps its number.
    ///
    /// # Errors
    /// When the addresses cannot be or no number is left.
    pub fn add_interface(&mut self, addresses: &Addresses, nic: &Nic) -> Result<u32, PlanError> {
        addresses.check()?;
        let known = self.interfaces.get(&nic.key).map(|interface| interface.index);
        let (index, nets) = match addresses {
            Addresses::Subnets(subnets) => {
                let bits = subnets.iter().map(|subnet| subnet.interface_block).min().unwrap_or(0);
                let index = match known {
                    Some(index) if index > largest(bits) => {
                        return Err(PlanError::LostInterfaceIndex {
                            interface: nic.key.clone(),
                            index,
                            bits,
                        });
                    }
                    Some(index) => index,
                    None => {
                        let divisions: Vec<Division<'_>> = subnets.iter().map(Subnet::interfaces).collect();
                        choose(&divisions, &self.taken(), self.next_index)
                            .ok_or_else(|| PlanError::NoInterfaceIndex { interface: nic.key.clone(), bits })?
                    }
                };
                (index, Vec::new())
            }
            Addresses::HostNetworks { host_block, .. } => {
                let nets = self.nets(nic, *host_block)?;
                let index = known.or_else(|| choose(&[], &self.taken(), self.next_index));
                let no_index = || PlanError::NoInterfaceIndex { interface: nic.key.clone(), bits: 32 };
                (index.ok_or_else(no_index)?, nets)
            }
        };
        self.next_index = self.next_index.max(index.saturating_add(1));
        let entry = self.interfaces.entry(nic.key.clone()).or_default();
        (entry.index, entry.nets) = (index, nets);
        Ok(index)
    }

    /// Numbers a host on an interface; a known one keeps its number unless its block has been excluded.
    ///
    /// # Errors
    /// When the interface cannot be numbered, or no number is left.
    pub fn add_host(&mut self, addresses: &Addresses, nic: &Nic, host: &str) -> Result<u32, PlanError> {
        self.add_interface(addresses, nic)?;
        let Some(entry) = self.interfaces.get(&nic.key) else { return Ok(0) };
        let grounds = grounds(addresses, entry)?;
        let divisions: Vec<Division<'_>> = grounds.iter().map(Ground::hosts).collect();
        // NICs of one network share its blocks, and with them the numbers.
        let sharing = |other: &&InterfacePlan| {
            std::ptr::eq(*other, entry) || other.nets.iter().any(|net| entry.nets.contains(net))
        };
        let sharing: Vec<&InterfacePlan> = self.interfaces.values().filter(sharing).collect();
        let others = sharing.iter().flat_map(|entry| entry.hosts.iter()).filter(|(other, _)| *other != host);
        let undivided = matches!(addresses, Addresses::HostNetworks { host_block: 0, .. });
        let taken: BTreeSet<u32> = others.map(|(_, index)| *index).filter(|_| !undivided).collect();
        let known = std::iter::once(entry).chain(sharing.iter().copied());
        let known = known
            .filter_map(|entry| entry.hosts.get(host).copied())
            .find(|index| !taken.contains(index) && can_be(&divisions, *index));
        let next = sharing.iter().map(|entry| entry.next_host).max().unwrap_or(0);
        let bits = grounds.iter().map(|ground| ground.host_block).min().unwrap_or(0);
        let index = known.or_else(|| choose(&divisions, &taken, next)).ok_or_else(|| {
            PlanError::NoHostIndex { host: host.to_owned(), interface: nic.key.clone(), bits }
        })?;
        if let Some(entry) = self.interfaces.get_mut(&nic.key) {
            entry.hosts.insert(host.to_owned(), index);
            entry.next_host = entry.next_host.max(index.saturating_add(1));
        }
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

    /// The blocks of a host on an interface: in the order of the subnets, or of the NIC's networks. Absent when it has
    /// no number there, or one that the addresses do not have.
    pub fn host(&self, addresses: &Addresses, key: &str, host: &str) -> Option<Vec<HostPlan>> {
        let entry = self.interfaces.get(key)?;
        let index = *entry.hosts.get(host)?;
        grounds(addresses, entry).ok()?.iter().map(|ground| ground.host(index)).collect()
    }

    /// Every interface of a host with its key and its blocks, by number of the interface.
    pub fn interfaces_of<'a>(
        &'a self,
        addresses: &Addresses,
        host: &str,
    ) -> Vec<(u32, &'a str, Vec<HostPlan>)> {
        let of = |(key, entry): (&'a String, &InterfacePlan)| {
            Some((entry.index, key.as_str(), self.host(addresses, key, host)?))
        };
        let mut all: Vec<_> = self.interfaces.iter().filter_map(of).collect();
        all.sort_by_key(|(index, ..)| *index);
        all
    }

    fn taken(&self) -> BTreeSet<u32> {
        self.interfaces.values().map(|interface| interface.index).collect()
    }

    /// The networks of a NIC, IPv4 first.
    fn nets(&self, nic: &Nic, host_block: u8) -> Result<Vec<IpNet>, PlanError> {
        let mut nets: Vec<IpNet> = nic.nets.iter().map(IpNet::trunc).collect();
        nets.sort_by_key(IpNet::max_prefix_len);
        if nets.is_empty() {
            return Err(PlanError::NoNet { interface: nic.key.clone() });
        }
        one_a_family(&nets)?;
        for net in &nets {
            check_fit(*net, 0, host_block)?;
            let others = self.interfaces.iter().filter(|(key, _)| **key != nic.key);
            for (other, other_net) in
                others.flat_map(|(key, entry)| entry.nets.iter().map(move |net| (key, net)))
            {
                if other_net != net && (other_net.contains(net) || net.contains(other_net)) {
                    return Err(PlanError::Overlap {
                        interface: nic.key.clone(),
                        net: *net,
                        other: other.clone(),
                        other_net: *other_net,
                    });
                }
            }
        }
        Ok(nets)
    }
}

impl Subnet {
    fn interfaces(&self) -> Division<'_> {
        Division::new(self.cidr, self.interface_block, &self.exclude_cidrs, false)
    }
}

/// The block of an interface in one family.
struct Ground<'a> {
    block: IpNet,
    host_block: u8,
    excludes: &'a [IpNet],
}

impl<'a> Ground<'a> {
    fn hosts(&self) -> Division<'a> {
        Division::new(self.block, self.host_block, self.excludes, true)
    }

    fn host(&self, index: u32) -> Option<HostPlan> {
        let pod = sub_block(self.block, index, self.host_block).ok()?;
        let inside = self.excludes.iter().filter(|exclude| pod.contains(*exclude) || exclude.contains(&pod));
        let excludes = inside.map(|exclude| if exclude.contains(&pod) { pod } else { *exclude }).collect();
        Some(HostPlan { interface: self.block, pod, excludes })
    }
}

/// The blocks of an interface, a family each.
fn grounds<'a>(addresses: &'a Addresses, entry: &InterfacePlan) -> Result<Vec<Ground<'a>>, BlockError> {
    match addresses {
        Addresses::Subnets(subnets) => {
            let of = |subnet: &'a Subnet| {
                let block = sub_block(subnet.cidr, entry.index, subnet.interface_block)?;
                Ok(Ground { block, host_block: subnet.host_block, excludes: &subnet.exclude_cidrs })
            };
            subnets.iter().map(of).collect()
        }
        Addresses::HostNetworks { host_block, exclude_cidrs } => {
            let of = |net: &IpNet| Ground { block: *net, host_block: *host_block, excludes: exclude_cidrs };
            Ok(entry.nets.iter().map(of).collect())
        }
    }
}

#[cfg(test)]
mod tests;

//! Which NICs of this host are in a network.

use std::net::IpAddr;

use attach::network::DeviceClass;
use attach::select::{is_for_pods, is_member, net_addresses};
use hwprobe::{Inventory, NicId};
use ipnet::IpNet;

/// A NIC that is in a network now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) nic: NicId,
    /// Name of its netdev.
    pub(crate) master: String,
    /// Networks of its global addresses, one a family at most, IPv4 first.
    pub(crate) nets: Vec<IpNet>,
    /// Its MTU, bytes; 0: not known.
    pub(crate) mtu: u32,
}

/// What a NIC must be to be in a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Membership<'a> {
    /// Networks of which it must have an address; none: it need not have any.
    pub(crate) master_nets: &'a [IpNet],
    /// The device class that it must be of.
    pub(crate) class: Option<&'a DeviceClass>,
    /// Whether the node's own uplink counts, too.
    pub(crate) uplink: bool,
}

/// The NICs that are in a network: secondary ones, in the order of `master_nets`; without those by network as text, as
/// the predecessor did, then those without address by name. Two NICs on one network are two.
pub(crate) fn candidates(inventory: &Inventory, membership: &Membership<'_>) -> Vec<Candidate> {
    let mut found: Vec<(Option<usize>, Candidate)> = Vec::new();
    for nic in inventory.nics.iter().filter(|nic| is_for_pods(nic, membership.uplink)) {
        let (Some(master), Some(link)) = (nic.name.clone(), &nic.link) else { continue };
        if membership.class.is_some_and(|class| !is_member(class, nic)) {
            continue;
        }
        let nets: Vec<IpNet> = net_addresses(nic).collect();
        let rank = membership.master_nets.iter().position(|wanted| nets.contains(wanted));
        if rank.is_none() && !membership.master_nets.is_empty() {
            continue;
        }
        found.push((
            rank,
            Candidate {
                nic: nic.id.clone(),
                master,
                nets: one_a_family(&nets, membership.master_nets),
                mtu: link.mtu,
            },
        ));
    }
    found.sort_by_cached_key(|(rank, one)| {
        let net = one.nets.first().map(ToString::to_string);
        let net = (net.is_none(), net);
        (*rank, if rank.is_none() { net } else { (false, None) }, one.master.clone())
    });
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Addresses of the host itself.
pub(crate) fn own_addresses(inventory: &Inventory) -> impl Iterator<Item = IpAddr> + '_ {
    inventory.nics.iter().flat_map(|nic| &nic.addresses).map(|own| own.address)
}

/// Of each family the first that is listed, else the first.
fn one_a_family(nets: &[IpNet], listed: &[IpNet]) -> Vec<IpNet> {
    let of = |bits: u8| {
        let mut family = nets.iter().filter(move |net| net.max_prefix_len() == bits);
        let first = family.clone().next();
        family.find(|net| listed.contains(net)).or(first).copied()
    };
    of(32).into_iter().chain(of(128)).collect()
}

//! The NICs that come into question, in their order.

use hwprobe::{Nic, NotSecondary};
use ipnet::IpNet;

use super::vf::{has_vfs, is_pf_for_pods};
use super::{Known, LeftOut, LinkUse, Rule, SelectError, Wish};

/// Networks of a NIC's global addresses, IPv4 first.
pub fn net_addresses(nic: &Nic) -> impl Iterator<Item = IpNet> + '_ {
    let of = |v4: bool| {
        let wanted = nic.addresses.iter().filter(move |ip| ip.is_global() && ip.address.is_ipv4() == v4);
        wanted.filter_map(|ip| IpNet::new(ip.address, ip.prefix_length).ok().map(|net| net.trunc()))
    };
    of(true).chain(of(false))
}

/// Whether pods may get a NIC at all; `uplink`: also one that carries the node and nothing else speaks against.
pub fn is_for_pods(nic: &Nic, uplink: bool) -> bool {
    nic.secondary.is_secondary || (uplink && nic.secondary.reasons == [NotSecondary::Protected])
}

/// NICs that pods of the network may get at all.
pub(super) fn pool<'a>(
    known: &Known<'a>,
    wish: &Wish,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<&'a Nic>, SelectError> {
    if !wish.devices.is_empty() {
        return allocated(known, wish, left_out);
    }
    let uplink_too = known.network.is_some_and(|network| network.allow_uplink) && wish.link.shares();
    let planned = known.network.filter(|network| !network.interfaces.is_empty());
    let mut pool = Vec::new();
    for nic in &known.inventory.nics {
        let of_vfs = wish.link == LinkUse::Vf;
        if of_vfs && !has_vfs(nic) {
            left_out.push(LeftOut::new(
                nic,
                Rule::NoVfs,
                "it has no virtual functions; set a number of VFs first",
            ));
            continue;
        }
        if !(is_for_pods(nic, uplink_too) || of_vfs && is_pf_for_pods(nic)) {
            left_out.push(LeftOut::new(nic, Rule::NotSecondary, super::words::not_secondary(nic)));
            continue;
        }
        let Some(link) = nic.link.as_ref().filter(|_| nic.name.is_some() && nic.generation.ifindex.is_some())
        else {
            left_out.push(LeftOut::new(nic, Rule::NoNetdev, "it has no network interface on the host"));
            continue;
        };
        if !link.admin_up {
            let why = "it is down; set it up to use it";
            left_out.push(LeftOut::new(nic, Rule::AdminDown, why));
            continue;
        }
        if let Some(network) = planned
            && !network.interfaces.iter().any(|interface| interface.nic.as_ref() == Some(&nic.id))
        {
            let why = format!("network {} has no interface on it", network.name);
            left_out.push(LeftOut::new(nic, Rule::NotInNetwork, why));
            continue;
        }
        pool.push(nic);
    }
    match planned {
        Some(network) => pool.sort_by_key(|nic| {
            network.interfaces.iter().position(|interface| interface.nic.as_ref() == Some(&nic.id))
        }),
        // As texts, as the predecessor did: pods keep the order of their links when they move over.
        None => pool.sort_by_cached_key(|nic| {
            let net = net_addresses(nic).next().map(|net| net.to_string());
            (net.is_none(), net, nic.name.clone())
        }),
    }
    Ok(pool)
}

/// The devices that the device plugin gave, in that order: nothing else counts then.
fn allocated<'a>(
    known: &Known<'a>,
    wish: &Wish,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<&'a Nic>, SelectError> {
    let nics = &known.inventory.nics;
    let mut pool: Vec<&Nic> = Vec::new();
    for device in &wish.devices {
        let found = nics.iter().filter(|nic| nic.is_device(device));
        let before = pool.len();
        pool.extend(found);
        if pool.len() == before {
            return Err(SelectError::NoSuchDevice { device: device.clone() });
        }
        // A device plugin may be wrong; the node's own uplink stays (TRAPS H1).
        let carrying = pool.iter().skip(before).find(|nic| nic.protected.is_some());
        if let Some(nic) = carrying.filter(|_| wish.link.takes_all()) {
            let why = format!("deviceIDs: {}: {}", nic.label(), super::words::not_secondary(nic));
            return Err(SelectError::InUse { why });
        }
    }
    for nic in nics.iter().filter(|nic| !wish.devices.iter().any(|device| nic.is_device(device))) {
        left_out.push(LeftOut::new(nic, Rule::NotAllocated, "the device plugin gave the pod other devices"));
    }
    Ok(pool)
}

/// The pool in the order that names or networks ask for; the rest of it is left out.
pub(super) fn ordered<'a>(
    known: &Known<'a>,
    wish: &Wish,
    pool: Vec<&'a Nic>,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<&'a Nic>, SelectError> {
    if !wish.devices.is_empty() {
        return Ok(pool);
    }
    if !wish.masters.is_empty() {
        return by_name(known, wish, pool, left_out);
    }
    if wish.master_nets.is_empty() {
        return Ok(pool);
    }
    let mut ordered: Vec<&Nic> = Vec::new();
    for net in &wish.master_nets {
        let inside = pool.iter().filter(|nic| net_addresses(nic).any(|own| own == net.trunc()));
        let new: Vec<&Nic> =
            inside.copied().filter(|nic| !ordered.iter().any(|known| known.id == nic.id)).collect();
        ordered.extend(new);
    }
    // A planned interface without an address stands in for its network: rails often have none.
    let unplanned = |nic: &&Nic| !ordered.iter().any(|known| known.id == nic.id);
    let nets = wish.master_nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    for nic in pool.iter().copied().filter(unplanned) {
        let why = format!("it has no address in masterNets ({nets})");
        left_out.push(LeftOut::new(nic, Rule::NotInMasterNets, why));
    }
    Ok(ordered)
}

fn by_name<'a>(
    known: &Known<'a>,
    wish: &Wish,
    pool: Vec<&'a Nic>,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<&'a Nic>, SelectError> {
    let named = |nic: &Nic, name: &String| {
        nic.name.as_ref() == Some(name) || nic.alt_names.contains(name) || nic.id.as_str() == name
    };
    let mut ordered: Vec<&Nic> = Vec::new();
    for name in &wish.masters {
        match pool.iter().find(|nic| named(nic, name)) {
            Some(nic) if ordered.iter().any(|known| known.id == nic.id) => {}
            Some(nic) => ordered.push(nic),
            None => {
                // Said at once: a pod that names a NIC and gets another one fails later and in the dark.
                let known_nic = known.inventory.nics.iter().find(|nic| named(nic, name));
                let why = known_nic
                    .and_then(|nic| left_out.iter().find(|out| out.nic == nic.id))
                    .map(|out| out.why.clone());
                return Err(SelectError::NoSuchMaster {
                    master: name.clone(),
                    why,
                    known: pool.iter().filter_map(|nic| nic.name.clone()).collect(),
                });
            }
        }
    }
    for nic in pool.iter().filter(|nic| !ordered.iter().any(|known| known.id == nic.id)) {
        let why = format!("masters names {}", wish.masters.join(", "));
        left_out.push(LeftOut::new(nic, Rule::NotNamed, why));
    }
    Ok(ordered)
}

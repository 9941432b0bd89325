//! Which VFs a pod gets: one on each PF that the policy chooses, in the policy's order.
//!
//! The order in which a device plugin's ids arrive says nothing of rails, as they are sorted as texts (FOREIGN §2.3).
//! So they are only a set to choose from: the k-th link stands on the k-th PF.

use hwprobe::{Nic, NotSecondary};

use super::{Chosen, Known, LeftOut, Promise, Rule, SelectError, Selection, Wish, pool, rules, strategy};
use crate::network::Strategy;

/// Whether VFs of a NIC may go to pods. A PF that carries the node, or is a port of a bond, has VFs that do not.
pub(super) fn is_pf_for_pods(nic: &Nic) -> bool {
    nic.secondary.reasons.iter().all(|why| matches!(why, NotSecondary::Protected | NotSecondary::Enslaved))
}

/// Whether a NIC has VFs now.
pub(super) fn has_vfs(nic: &Nic) -> bool {
    nic.sriov.as_ref().is_some_and(|sriov| !sriov.vfs.is_empty())
}

/// Chooses VFs.
pub(super) fn select(known: &Known<'_>, wish: &Wish) -> Result<Selection, SelectError> {
    let mut left_out = Vec::new();
    // Names, networks and classes are those of PFs.
    let of_pfs = Wish { devices: Vec::new(), count: None, ..wish.clone() };
    let pfs = pool::pool(known, &of_pfs, &mut left_out)?;
    let pfs = pool::ordered(known, &of_pfs, pfs, &mut left_out)?;
    let pfs = rules::in_class(known, &of_pfs, pfs, &mut left_out)?;
    let chosen = if !wish.devices.is_empty() {
        allocated(known, wish, &pfs, &mut left_out)?
    } else if wish.bandwidth().is_some() || wish.strategy == Strategy::Topology && !wish.gpus.is_empty() {
        by_strategy(known, wish, pfs, &mut left_out)?
    } else {
        free(known, wish, &pfs, &mut left_out)?
    };
    if chosen.is_empty() {
        return Err(SelectError::Nothing { left_out });
    }
    Ok(Selection { chosen, left_out })
}

/// One VF on each PF that the strategy chooses of those that have a free one.
fn by_strategy(
    known: &Known<'_>,
    wish: &Wish,
    pfs: Vec<&Nic>,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<Chosen>, SelectError> {
    let (open, full): (Vec<&Nic>, Vec<&Nic>) = pfs.into_iter().partition(|pf| !free_on(known, pf).is_empty());
    for pf in full {
        left_out.push(LeftOut::new(pf, Rule::InUse, format!("none of the VFs of {} is free", pf.label())));
    }
    let picked = strategy::choose(known, wish, open, left_out)?;
    let each = picked.into_iter().filter_map(|(pf, part)| {
        let vf = free_on(known, pf).into_iter().next()?;
        let promise = part.map(|speed| Promise { nic: pf.id.clone(), speed });
        Some(Chosen { promise, ..vf_chosen(vf, pf) })
    });
    Ok(each.collect())
}

fn wanted(wish: &Wish) -> Option<usize> {
    wish.count.filter(|count| *count > 0).map(|count| count as usize)
}

/// Of the VFs that a device plugin gave the pod.
fn allocated(
    known: &Known<'_>,
    wish: &Wish,
    pfs: &[&Nic],
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<Chosen>, SelectError> {
    let mut given: Vec<(&Nic, &Nic)> = Vec::new();
    for device in &wish.devices {
        let vf = known.inventory.nics.iter().find(|nic| nic.is_device(device));
        let vf = vf.ok_or_else(|| SelectError::NoSuchDevice { device: device.clone() })?;
        let not_a_vf = || SelectError::NotAVf { device: device.clone() };
        let of = vf.vf.as_ref().ok_or_else(not_a_vf)?;
        if let Some(why) = rules::taken(known, vf) {
            return Err(SelectError::InUse { why });
        }
        let Some(pf) = pfs.iter().find(|pf| pf.id == of.pf) else {
            let out = left_out.iter().find(|out| out.nic == of.pf);
            return Err(SelectError::OtherPf {
                device: device.clone(),
                pf: of.pf.to_string(),
                why: out.map_or_else(|| "this node does not have it".to_owned(), |out| out.why.clone()),
                known: pfs.iter().map(|pf| pf.label().to_owned()).collect(),
            });
        };
        given.push((pf, vf));
    }
    let count = wanted(wish);
    let each = !wish.masters.is_empty() || !wish.master_nets.is_empty();
    let most = count.unwrap_or(if each { pfs.len() } else { usize::MAX });
    let mut chosen = Vec::new();
    // A second VF of a PF comes only after the first ones of all.
    for round in 0.. {
        let before = chosen.len();
        for pf in pfs.iter().take(most.saturating_sub(before)) {
            let mut on_pf = given.iter().filter(|(of, _)| of.id == pf.id);
            match on_pf.nth(round) {
                Some((_, vf)) => chosen.push(vf_chosen(vf, pf)),
                None if round == 0 && each => return Err(missing(wish, pf, count)),
                None => {}
            }
        }
        if chosen.len() == before || chosen.len() >= most {
            break;
        }
    }
    if let Some(count) = count.filter(|count| chosen.len() < *count) {
        return Err(SelectError::TooFewDevices { devices: wish.devices.clone(), count });
    }
    for (_, vf) in given.iter().filter(|(_, vf)| !chosen.iter().any(|one| one.nic == vf.id)) {
        left_out.push(LeftOut::new(
            vf,
            Rule::EnoughChosen,
            "the policy chose fewer NICs than the pod has devices",
        ));
    }
    Ok(chosen)
}

fn missing(wish: &Wish, pf: &Nic, count: Option<usize>) -> SelectError {
    SelectError::NoDeviceOnPf { pf: pf.label().to_owned(), devices: wish.devices.clone(), count }
}

/// Of the VFs that nobody has, the first of each PF.
fn free(
    known: &Known<'_>,
    wish: &Wish,
    pfs: &[&Nic],
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<Chosen>, SelectError> {
    let count = wanted(wish);
    let mut of_pfs: Vec<(&Nic, std::vec::IntoIter<&Nic>)> =
        pfs.iter().map(|pf| (*pf, free_on(known, pf).into_iter())).collect();
    let mut chosen = Vec::new();
    for round in 0.. {
        let before = chosen.len();
        for (pf, vfs) in &mut of_pfs {
            if count.is_some_and(|count| chosen.len() >= count) {
                break;
            }
            match vfs.next() {
                Some(vf) => chosen.push(vf_chosen(vf, pf)),
                None if round > 0 => {}
                None => {
                    let all = pf.sriov.as_ref().map_or(0, |sriov| sriov.vfs.len());
                    let why = format!("none of the {all} VFs of {} is free", pf.label());
                    // Without a count the pod is meant to have one of each; a name is never passed over.
                    if count.is_none() || !wish.masters.is_empty() {
                        return Err(SelectError::InUse { why });
                    }
                    left_out.push(LeftOut::new(pf, Rule::InUse, why));
                }
            }
        }
        if count.is_none() || chosen.len() == before || count.is_some_and(|count| chosen.len() >= count) {
            break;
        }
    }
    match count {
        Some(count) if chosen.len() < count => {
            let why = format!("the pod asks for {count} VFs, and {} are free", chosen.len());
            Err(SelectError::InUse { why })
        }
        _ => Ok(chosen),
    }
}

fn free_on<'a>(known: &Known<'a>, pf: &Nic) -> Vec<&'a Nic> {
    let entries = pf.sriov.iter().flat_map(|sriov| &sriov.vfs).filter(|entry| entry.held.is_none());
    let nics = entries.filter_map(|entry| {
        let id = entry.nic.as_ref()?;
        known.inventory.nics.iter().find(|nic| nic.id == *id)
    });
    // One without a netdev is for user space, or its driver is away.
    nics.filter(|nic| nic.name.is_some() && rules::taken(known, nic).is_none()).collect()
}

fn vf_chosen(vf: &Nic, pf: &Nic) -> Chosen {
    Chosen {
        nic: vf.id.clone(),
        generation: vf.generation,
        master: vf.name.clone().unwrap_or_else(|| vf.id.to_string()),
        ifindex: vf.generation.ifindex.unwrap_or_default(),
        mac: vf.mac,
        mtu: vf.link.as_ref().or(pf.link.as_ref()).map_or(0, |link| link.mtu),
        net_address: pool::net_addresses(pf).next(),
        pf: Some(pf.label().to_owned()),
        promise: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hwprobe::{
        Generation, Held, HeldBy, Inventory, IpInterface, LinkFacts, NicId, NicKind, Node, Sriov,
        SriovCapacity, VfEntry, VfOf,
    };

    use super::super::LinkUse;
    use super::*;
    use crate::usage::Usage;

    /// Two PFs with three VFs each. PF `a` has the higher PCI address, so that texts sort the wrong way round.
    fn inventory() -> Inventory {
        let mut nics = Vec::new();
        for (number, (name, bus)) in [("a", "81"), ("b", "41")].into_iter().enumerate() {
            let mut pf = Nic::new(NicId::new(format!("0000:{bus}:00.0")), NicKind::Physical);
            pf.name = Some(name.to_owned());
            pf.generation = Generation::new(Some(number as u32 + 1), None);
            let mut link = LinkFacts::new(1500, 1);
            link.admin_up = true;
            pf.link = Some(link);
            pf.secondary.is_secondary = true;
            pf.addresses = vec![IpInterface::new(format!("10.0.{number}.1").parse().unwrap(), 24, "global")];
            let mut sriov = Sriov::new(SriovCapacity::default());
            for index in 0..3 {
                let id = NicId::new(format!("0000:{bus}:10.{}", index * 2));
                let mut vf = Nic::new(id.clone(), NicKind::VirtualFunction);
                vf.name = Some(format!("{name}v{index}"));
                vf.generation = Generation::new(Some(100 + number as u32 * 10 + u32::from(index)), None);
                vf.vf = Some(VfOf::new(pf.id.clone(), Some(index)));
                let mut entry = VfEntry::new(index);
                entry.nic = Some(id);
                sriov.vfs.push(entry);
                nics.push(vf);
            }
            pf.sriov = Some(sriov);
            nics.push(pf);
        }
        Inventory::new(Node::default(), nics)
    }

    fn choose(
        inventory: &Inventory,
        usage: &Usage,
        set: impl FnOnce(&mut Wish),
    ) -> Result<Vec<String>, SelectError> {
        let mut wish = Wish { link: LinkUse::Vf, ..Wish::default() };
        set(&mut wish);
        let known = Known { inventory, network: None, classes: &BTreeMap::new(), usage };
        let selection = super::super::select(&known, &wish)?;
        Ok(selection.chosen.into_iter().map(|chosen| chosen.master).collect())
    }

    fn devices(wish: &mut Wish, devices: &[&str]) {
        wish.devices = devices.iter().map(|&device| device.to_owned()).collect();
    }

    #[test]
    fn the_kth_vf_stands_on_the_kth_pf_of_the_policy_however_the_ids_are_sorted() {
        let (inventory, usage) = (inventory(), Usage::default());
        let both = ["0000:41:10.4", "0000:81:10.2"];

        let by_nets = choose(&inventory, &usage, |wish| {
            devices(wish, &both);
            wish.master_nets = vec!["10.0.0.0/24".parse().unwrap(), "10.0.1.0/24".parse().unwrap()];
        });
        let by_names = choose(&inventory, &usage, |wish| {
            devices(wish, &both);
            wish.masters = vec!["b".to_owned(), "a".to_owned()];
        });
        let by_itself = choose(&inventory, &usage, |wish| devices(wish, &both));

        assert_eq!(by_nets.unwrap(), ["av1", "bv2"]);
        assert_eq!(by_names.unwrap(), ["bv2", "av1"]);
        assert_eq!(by_itself.unwrap(), ["av1", "bv2"]);
    }

    #[test]
    fn all_devices_of_a_pod_are_used_where_nothing_says_otherwise() {
        let all = ["0000:41:10.0", "0000:81:10.0", "0000:81:10.4"];

        let chosen = choose(&inventory(), &Usage::default(), |wish| devices(wish, &all));

        assert_eq!(chosen.unwrap(), ["av0", "bv0", "av2"]);
    }

    #[test]
    fn a_missing_device_is_said_with_the_pf_that_lacks_it() {
        let (inventory, usage) = (inventory(), Usage::default());
        for (refused, words) in [
            (
                choose(&inventory, &usage, |wish| {
                    devices(wish, &["0000:81:10.2", "0000:81:10.4"]);
                    wish.masters = vec!["a".to_owned(), "b".to_owned()];
                }),
                "deviceIDs: the pod has no VF of b (it has 0000:81:10.2, 0000:81:10.4)",
            ),
            (
                choose(&inventory, &usage, |wish| {
                    devices(wish, &["0000:81:10.2"]);
                    wish.count = Some(2);
                }),
                "deviceIDs: the pod asks for 2 NICs and has only 0000:81:10.2",
            ),
            (
                choose(&inventory, &usage, |wish| devices(wish, &["0000:81:12.0"])),
                "deviceIDs: this node has no network device at `0000:81:12.0`",
            ),
            (
                choose(&inventory, &usage, |wish| devices(wish, &["0000:81:00.0"])),
                "deviceIDs: `0000:81:00.0` is no virtual function",
            ),
            (
                choose(&inventory, &usage, |wish| {
                    devices(wish, &["0000:81:10.2"]);
                    wish.masters = vec!["b".to_owned()];
                }),
                "deviceIDs: `0000:81:10.2` is a VF of 0000:81:00.0, which is left out: masters names b",
            ),
        ] {
            let error = refused.unwrap_err().to_string();

            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn without_devices_each_pf_gives_a_vf_that_nobody_has() {
        let mut inventory = inventory();
        let mut usage = Usage::default();
        usage.add(&NicId::new("0000:81:10.0"), "other", &LinkUse::Vf);
        let held = inventory.nics.iter_mut().find(|nic| nic.name.as_deref() == Some("b")).unwrap();
        held.sriov.as_mut().unwrap().vfs[0].held = Some(Held::new(HeldBy::Upper));

        assert_eq!(choose(&inventory, &usage, |_| {}).unwrap(), ["av1", "bv1"]);
        assert_eq!(choose(&inventory, &usage, |wish| wish.count = Some(3)).unwrap(), ["av1", "bv1", "av2"]);
        let error = choose(&inventory, &usage, |wish| wish.count = Some(5)).unwrap_err().to_string();
        assert_eq!(error, "the pod asks for 5 VFs, and 4 are free");
        for device in ["0000:81:10.2", "0000:81:10.4"] {
            usage.add(&NicId::new(device), "other", &LinkUse::Vf);
        }
        let error = choose(&inventory, &usage, |_| {}).unwrap_err().to_string();
        assert_eq!(error, "none of the 3 VFs of a is free");
    }

    #[test]
    fn a_device_that_another_pod_has_is_refused_with_its_network() {
        let mut usage = Usage::default();
        usage.add(&NicId::new("0000:81:10.2"), "other", &LinkUse::Vf);

        let error = choose(&inventory(), &usage, |wish| devices(wish, &["0000:81:10.2"])).unwrap_err();

        assert_eq!(error.to_string(), "av1 is given to a pod of network other");
    }

    #[test]
    fn the_vfs_of_a_pf_that_carries_the_node_are_for_pods() {
        let mut inventory = inventory();
        for pf in inventory.nics.iter_mut().filter(|nic| nic.sriov.is_some()) {
            pf.secondary.is_secondary = false;
            pf.secondary.reasons = vec![NotSecondary::Protected];
        }

        assert_eq!(choose(&inventory, &Usage::default(), |_| {}).unwrap(), ["av0", "bv0"]);
    }
}

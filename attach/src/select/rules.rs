//! Rules that take NICs out: device class and what others made of them.

use hwprobe::{Nic, NicId, PciName};

use super::{Known, LeftOut, LinkUse, Rule, SelectError, Wish};
use crate::network::{DeviceClass, class_of};

/// Whether a NIC is in a class: it fits everything that the class says. What cannot be told of a NIC does not fit.
pub fn is_member(class: &DeviceClass, nic: &Nic) -> bool {
    misfit(class, nic).is_none() && class.expression.as_ref().is_none_or(|one| one.fits(nic) == Ok(true))
}

/// What of a class a NIC does not fit, in words, but for its expression; absent: it fits everything else.
fn misfit(class: &DeviceClass, nic: &Nic) -> Option<String> {
    let id_fits = class.ids.is_empty()
        || nic.pci.as_ref().is_some_and(|pci| {
            let is = |name: &Option<PciName>, id: &str| name.as_ref().is_some_and(|name| name.id == id);
            class.ids.iter().any(|id| {
                is(&pci.vendor, &id.vendor) && id.device.as_ref().is_none_or(|device| is(&pci.device, device))
            })
        });
    if !id_fits {
        let id =
            |name: &Option<PciName>| name.as_ref().map_or_else(|| "none".to_owned(), |name| name.id.clone());
        let own = nic
            .pci
            .as_ref()
            .map_or_else(String::new, |pci| format!(" ({}:{})", id(&pci.vendor), id(&pci.device)));
        return Some(format!("its PCI id{own} is not listed"));
    }
    let speed = || nic.speed.mbps.map_or_else(|| "unknown speed".to_owned(), |speed| speed.to_string());
    if class.min_speed.is_some_and(|least| nic.speed.mbps.is_none_or(|speed| speed < least)) {
        return Some(speed());
    }
    if class.class.is_some_and(|class| class != nic.speed.class) {
        return Some(speed());
    }
    None
}

/// What the use of a NIC, or of a VLAN above it, is counted under.
pub fn usage_id(nic: &NicId, vlan: Option<u16>) -> NicId {
    vlan.map_or_else(|| nic.clone(), |vlan| NicId::new(format!("{nic}.{vlan}")))
}

/// NICs of the classes that the wish names.
pub(super) fn in_class<'a>(
    known: &Known<'a>,
    wish: &Wish,
    nics: Vec<&'a Nic>,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<&'a Nic>, SelectError> {
    let mut nics = nics;
    for name in wish.classes.iter().filter(|_| wish.devices.is_empty()) {
        nics = in_one(known, name, nics, left_out)?;
    }
    Ok(nics)
}

fn in_one<'a>(
    known: &Known<'a>,
    name: &str,
    nics: Vec<&'a Nic>,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<&'a Nic>, SelectError> {
    let class = class_of(known.classes, name)
        .map_err(|known| SelectError::NoSuchClass { class: name.to_owned(), known })?;
    let mut out = |nic: &Nic, why: String| {
        let why = format!("it is not in device class {name}: {why}");
        left_out.push(LeftOut::new(nic, Rule::NotInClass, why));
    };
    let mut inside = Vec::new();
    for nic in nics {
        match misfit(&class, nic) {
            None => inside.push(nic),
            Some(why) => out(nic, why),
        }
    }
    let Some(expression) = &class.expression else { return Ok(inside) };
    let mut fitting = Vec::new();
    for (nic, fits) in inside.iter().zip(expression.of_each(&inside)) {
        match fits {
            Ok(true) => fitting.push(*nic),
            Ok(false) => out(nic, "its expression is not true of it".to_owned()),
            Err(why) => out(nic, format!("its expression cannot be told of it: {why}")),
        }
    }
    Ok(fitting)
}

/// NICs whose present use leaves room for this one.
///
/// With a count, a NIC that is taken is passed over; without one the pod is meant to have it, so that is an error.
pub(super) fn free<'a>(
    known: &Known<'a>,
    wish: &Wish,
    nics: Vec<&'a Nic>,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<&'a Nic>, SelectError> {
    let mut free = Vec::new();
    let mut taken = Vec::new();
    for nic in nics {
        match conflict(known, wish, nic) {
            None => free.push(nic),
            Some(why) => taken.push((nic, why)),
        }
    }
    let count = wish.count.filter(|count| *count > 0);
    // What is chosen by bandwidth is chosen from what there is.
    let enough = wish.bandwidth().is_some()
        || (count.is_some_and(|count| free.len() >= count as usize) && wish.masters.is_empty());
    if let Some((_, why)) = taken.first().filter(|_| !enough) {
        return Err(SelectError::InUse { why: why.clone() });
    }
    for (nic, why) in taken {
        left_out.push(LeftOut::new(nic, Rule::InUse, why));
    }
    Ok(free)
}

/// Why a VF cannot go to a pod: the node needs it, or somebody has it or stands on it.
pub(super) fn taken(known: &Known<'_>, vf: &Nic) -> Option<String> {
    if let Some(protection) = &vf.protected {
        return Some(format!("{} carries the node ({})", vf.label(), protection.path.join(" > ")));
    }
    conflict(known, &Wish { link: LinkUse::Vf, ..Wish::default() }, vf)
}

/// Why `wanted` cannot be made of the NIC beside what is there; absent when it can.
fn conflict(known: &Known<'_>, wish: &Wish, nic: &Nic) -> Option<String> {
    let name = nic.label();
    let wanted = &wish.link;
    known.usage.of(&usage_id(&nic.id, wish.vlan)).find_map(|used| {
        let network = &used.network;
        match (wanted, &used.link) {
            (LinkUse::Delegated, _) | (_, LinkUse::Delegated) => None,
            (_, LinkUse::Whole) => Some(format!("{name} is given whole to a pod of network {network}")),
            (_, LinkUse::Vf) => Some(format!("{name} is given to a pod of network {network}")),
            (LinkUse::Whole | LinkUse::Vf, _) => {
                Some(format!("{name} carries links of network {network}; it cannot be given whole"))
            }
            (LinkUse::Ipvlan { mode, flag }, LinkUse::Ipvlan { mode: used_mode, flag: used_flag }) => {
                (mode != used_mode || flag != used_flag).then(|| {
                    format!(
                        "{name} already carries ipvlan {used_mode} {used_flag} of network {network}; the mode \
                         belongs to the master, so ipvlan {mode} {flag} cannot share it"
                    )
                })
            }
            (LinkUse::Ipvlan { .. }, LinkUse::Macvlan { .. }) => Some(format!(
                "{name} already carries macvlan of network {network}; ipvlan cannot share it"
            )),
            (LinkUse::Macvlan { .. }, LinkUse::Ipvlan { .. }) => Some(format!(
                "{name} already carries ipvlan of network {network}; macvlan cannot share it"
            )),
            (LinkUse::Macvlan { passthru }, LinkUse::Macvlan { passthru: used_passthru }) => {
                (*passthru || *used_passthru).then(|| {
                    let of = if *used_passthru { " passthru" } else { "" };
                    let wanted = if *passthru { "macvlan passthru" } else { "another macvlan" };
                    format!("{name} already carries macvlan{of} of network {network}; {wanted} cannot share it")
                })
            }
        }
    })
}

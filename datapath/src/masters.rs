//! Links of the host that pods' links stand on: what stands there, VLANs made on demand, settings that multi-homing
//! needs.

use std::os::fd::AsFd;

use netlink::Socket;
use netlink::route::{self, Link, LinkDetail, LinkSettings, MacvlanMode, NewLink, NewLinkKind, VlanProtocol};

use crate::netns::HostNamespace;
use crate::{DatapathError, sysctl};

/// A link that stands on a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upper {
    /// Its name.
    pub name: String,
    /// Its index in its namespace.
    pub index: u32,
    /// `ipvlan`, `macvlan`, `vlan`, …; for the link that the master is a port of: `bridge`, `bond`, ….
    pub kind: String,
    /// What its kind adds.
    pub detail: Option<LinkDetail>,
    /// Number of its namespace here; absent: it is in this one.
    pub namespace: Option<i32>,
}

impl Upper {
    /// It lets no other macvlan onto the master.
    pub fn is_passthru(&self) -> bool {
        matches!(&self.detail, Some(LinkDetail::Macvlan(macvlan)) if macvlan.mode == Some(MacvlanMode::Passthru))
    }

    /// Kind and mode, for people.
    fn words(&self) -> String {
        match &self.detail {
            Some(LinkDetail::Macvlan(macvlan)) => {
                macvlan.mode.map_or("macvlan".to_owned(), |mode| format!("macvlan {mode}"))
            }
            Some(LinkDetail::Ipvlan(ipvlan)) => {
                let flag = match ipvlan.flags {
                    Some(1) => " private",
                    Some(2) => " vepa",
                    _ => "",
                };
                ipvlan.mode.map_or("ipvlan".to_owned(), |mode| format!("ipvlan {mode}{flag}"))
            }
            _ => self.kind.clone(),
        }
    }
}

/// What stands on a master in this namespace and in those that have a number here
/// ([`number_namespace`](netlink::route::number_namespace)); others cannot be seen. Reads only.
///
/// # Errors
/// When the kernel refuses a dump of this namespace.
pub fn uppers(host: &mut Socket, home: &HostNamespace, master: u32) -> Result<Vec<Upper>, DatapathError> {
    let upper = |link: Link, namespace| Upper {
        name: link.name,
        index: link.index,
        kind: link.kind.unwrap_or_default(),
        detail: link.detail,
        namespace,
    };
    let here = route::links(host)?.links;
    let port_of = here.iter().find(|link| link.index == master).and_then(|link| link.master);
    let mut uppers = Vec::new();
    for link in here {
        let above = link.lower == Some(master) && link.lower_netnsid.is_none();
        // The two ends of a veth pair name one another.
        let peer = link.kind.as_deref() == Some("veth");
        if (above && !peer) || Some(link.index) == port_of {
            uppers.push(upper(link, None));
        }
    }
    let mut elsewhere = Vec::new();
    for namespace in route::namespace_ids(host)? {
        // One that ends meanwhile has nothing any more.
        let Ok(there) = route::links_in(host, namespace) else { continue };
        let above = |link: &Link| link.lower == Some(master) && link.kind.as_deref() != Some("veth");
        elsewhere.extend(there.links.into_iter().filter(above).map(|link| (namespace, link)));
    }
    // Asked last: the dumps themselves gave this namespace its number, if it had none.
    let own = route::namespace_id_of(host, home.as_fd())?;
    let ours = elsewhere.into_iter().filter(|(namespace, link)| {
        Some(*namespace) != own && link.lower_netnsid.is_some() && link.lower_netnsid == own
    });
    uppers.extend(ours.map(|(namespace, link)| upper(link, Some(namespace))));
    Ok(uppers)
}

/// Why a link of this kind cannot stand on the master `name` beside `uppers`; absent when it can.
///
/// The kernel refuses most of these, but not an ipvlan of another mode or flag: it changes all ipvlan links of the master.
pub fn conflict(name: &str, uppers: &[Upper], kind: &NewLinkKind) -> Option<String> {
    let says = |other: &Upper, wanted: &str| {
        Some(format!("{name} already carries {} {}; {wanted} cannot share it", other.words(), other.name))
    };
    let holds = |other: &&Upper, kinds: &[&str]| kinds.contains(&other.kind.as_str());
    match kind {
        NewLinkKind::Ipvlan { mode, flag } => {
            if let Some(other) =
                uppers.iter().find(|other| holds(other, &["macvlan", "macvtap", "bridge", "bond", "team"]))
            {
                return says(other, "ipvlan");
            }
            let differs = |other: &&Upper| match &other.detail {
                Some(LinkDetail::Ipvlan(ipvlan) | LinkDetail::Ipvtap(ipvlan)) => {
                    ipvlan.mode.is_some_and(|theirs| theirs != *mode)
                        || ipvlan.flags.is_some_and(|theirs| theirs != *flag as u16)
                }
                _ => false,
            };
            let other = uppers.iter().find(differs)?;
            Some(format!(
                "{name} already carries {} {}; the mode belongs to the master, so ipvlan {mode} {flag} cannot share it",
                other.words(),
                other.name
            ))
        }
        NewLinkKind::Macvlan { mode, .. } => {
            if let Some(other) =
                uppers.iter().find(|other| holds(other, &["ipvlan", "ipvtap", "bridge", "bond", "team"]))
            {
                return says(other, "macvlan");
            }
            let alone = *mode == MacvlanMode::Passthru;
            let other = uppers
                .iter()
                .find(|other| holds(other, &["macvlan", "macvtap"]) && (alone || other.is_passthru()))?;
            says(other, if alone { "macvlan passthru" } else { "another macvlan" })
        }
        _ => None,
    }
}

/// A VLAN of the host that a pod's link can stand on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VlanMaster {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// It was made now; otherwise it was there.
    pub made: bool,
}

/// Name of a VLAN of ours: `mn<parent index>.<id>`, with an `a` behind it for 802.1ad. A parent whose index leaves no
/// room (a device that came back from a pod by itself keeps the number it had there) is written in base 36 after an `x`.
pub fn vlan_name(parent: u32, id: u16, protocol: VlanProtocol) -> String {
    const LONGEST: u32 = 9_999_999;
    let tag = if protocol == VlanProtocol::Dot1ad { "a" } else { "" };
    if parent <= LONGEST {
        return format!("mn{parent}.{id}{tag}");
    }
    let mut digits = Vec::new();
    let mut rest = parent;
    while rest > 0 {
        digits.extend(char::from_digit(rest % 36, 36));
        rest /= 36;
    }
    let digits: String = digits.into_iter().rev().collect();
    format!("mnx{digits}.{id}{tag}")
}

/// The VLAN `id` above `parent`: an existing one whatever its name, else one of ours, up.
///
/// # Errors
/// When the kernel refuses to make it.
pub fn vlan(
    host: &mut Socket,
    home: &HostNamespace,
    parent: u32,
    id: u16,
    protocol: VlanProtocol,
    mtu: Option<u32>,
) -> Result<VlanMaster, DatapathError> {
    let tag: u16 = if protocol == VlanProtocol::Dot1ad { 0x88a8 } else { 0x8100 };
    let existing = route::links(host)?.links.into_iter().find(|link| {
        let same = matches!(&link.detail, Some(LinkDetail::Vlan(vlan)) if vlan.id == id
            && vlan.protocol.is_none_or(|protocol| protocol == tag));
        same && link.lower == Some(parent) && link.lower_netnsid.is_none()
    });
    if let Some(link) = existing {
        return Ok(VlanMaster { name: link.name, index: link.index, made: false });
    }
    let name = vlan_name(parent, id, protocol);
    let new = NewLink {
        name: name.clone(),
        kind: NewLinkKind::Vlan { id, protocol },
        parent: Some(parent),
        mtu,
        ..NewLink::default()
    };
    let step = |step: String| move |source| DatapathError::Step { step, hint: None, source };
    host.apply_one(&route::create_link(&new)).map_err(step(format!("create VLAN {id}")))?;
    let link = route::link_by_name(host, &name)?;
    let link = link.ok_or_else(|| DatapathError::NoLink { what: name.clone() })?;
    if let Err(error) = raise(host, home, &link) {
        drop(host.apply_one(&route::delete_link(link.index)));
        return Err(error);
    }
    Ok(VlanMaster { name, index: link.index, made: true })
}

/// Raises a link of the host that only pods use: it gets no address of its own, whatever a router says (TRAPS P10).
/// IPv6 stays on, as ipvlan l3s hands packets over by it.
///
/// # Errors
/// When a setting cannot be written or the kernel refuses.
pub fn raise(host: &mut Socket, home: &HostNamespace, link: &Link) -> Result<(), DatapathError> {
    let step = |source| DatapathError::Step { step: format!("set {} up", link.name), hint: None, source };
    sysctl::settle_ipv6(home.proc(), &link.name, true)?;
    let quiet = LinkSettings { no_ipv6_address: true, ..LinkSettings::default() };
    let up = LinkSettings { up: Some(true), ..LinkSettings::default() };
    // Two messages: within one the kernel raises the link first.
    host.apply_one(&route::set_link(link.index, &quiet)).map_err(step)?;
    host.apply_one(&route::set_link(link.index, &up)).map_err(step)
}

/// Removes a VLAN of ours; one that is gone or has another name stays as it is.
///
/// # Errors
/// When the kernel refuses.
pub fn remove_vlan(host: &mut Socket, name: &str) -> Result<(), DatapathError> {
    let Some(link) = route::link_by_name(host, name)?.filter(|link| link.name == name) else { return Ok(()) };
    if !matches!(link.detail, Some(LinkDetail::Vlan(_))) {
        return Ok(());
    }
    host.apply_one(&route::delete_link(link.index)).map_err(|source| DatapathError::Step {
        step: format!("remove VLAN {name}"),
        hint: None,
        source,
    })
}

/// A setting of a host link below `/proc/sys/net/FAMILY/conf`, as it is now; `family` is `ipv4` or `ipv6`.
pub fn setting(home: &HostNamespace, family: &str, link: &str, setting: &str) -> Option<u32> {
    sysctl::get(home.proc(), family, link, setting)?.parse().ok()
}

/// Changes it. Call it from a thread that is in the host's namespace.
///
/// # Errors
/// When the file cannot be written.
pub fn set_setting(
    home: &HostNamespace,
    family: &str,
    link: &str,
    setting: &str,
    value: u32,
) -> Result<(), DatapathError> {
    sysctl::set(home.proc(), family, link, setting, &value.to_string())
}

#[cfg(test)]
mod tests {
    use netlink::route::{IpvlanFlag, IpvlanMode};

    use super::*;

    fn upper(kind: &str) -> Upper {
        Upper { name: "up0".to_owned(), index: 9, kind: kind.to_owned(), detail: None, namespace: None }
    }

    #[test]
    fn who_excludes_whom_on_a_master() {
        let ipvlan = NewLinkKind::Ipvlan { mode: IpvlanMode::L2, flag: IpvlanFlag::Bridge };
        let macvlan = |mode| NewLinkKind::Macvlan { mode, sources: Vec::new() };
        let (bridge, passthru) = (macvlan(MacvlanMode::Bridge), macvlan(MacvlanMode::Passthru));
        for (there, wanted, refused) in [
            ("vlan", &ipvlan, None),
            ("vlan", &bridge, None),
            ("macvlan", &bridge, None),
            ("ipvlan", &ipvlan, None),
            ("macvlan", &ipvlan, Some("eth1 already carries macvlan up0; ipvlan cannot share it")),
            ("ipvlan", &bridge, Some("eth1 already carries ipvlan up0; macvlan cannot share it")),
            (
                "macvlan",
                &passthru,
                Some("eth1 already carries macvlan up0; macvlan passthru cannot share it"),
            ),
            ("bridge", &bridge, Some("eth1 already carries bridge up0; macvlan cannot share it")),
            ("bond", &ipvlan, Some("eth1 already carries bond up0; ipvlan cannot share it")),
            ("bond", &NewLinkKind::Dummy, None),
        ] {
            let why = conflict("eth1", &[upper("vlan"), upper(there)], wanted);

            assert_eq!(why.as_deref(), refused, "{wanted:?} beside {there}");
        }
    }

    #[test]
    fn a_vlan_of_ours_has_a_name_that_fits() {
        assert_eq!(vlan_name(7, 100, VlanProtocol::Dot1q), "mn7.100");
        assert_eq!(vlan_name(9_999_999, 4094, VlanProtocol::Dot1ad), "mn9999999.4094a");
        assert_eq!(vlan_name(10_000_000, 1, VlanProtocol::Dot1q), "mnx5yc1s.1");
        assert_eq!(vlan_name(i32::MAX.unsigned_abs(), 4094, VlanProtocol::Dot1ad), "mnxzik0zj.4094a");
    }
}

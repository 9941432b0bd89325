//! Which NICs carry the node: the uplink is sacred.
//!
//! Protected is everything below a default route of any table, the route to the API server, the Node's
//! addresses, network storage, and what the configuration lists. "Below" follows lower links, master and
//! slave both ways, VF → PF and the pairs of hv_netvsc and net_failover. Every port of an Open vSwitch
//! datapath is protected: there the path from `br-ex` to the NIC is in the datapath, not in the links.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{Nic, NicId, Protection, ProtectionReason, Uplink, UplinkBasis};
use crate::settings::RememberedProtection;

/// Something that carries the node, and the NIC (by position) that it leaves by.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    /// Why it is protected.
    pub(crate) reason: ProtectionReason,
    /// For people, like `default route (table 254)`.
    pub(crate) label: String,
    /// Position of the NIC in the list.
    pub(crate) nic: usize,
}

/// Whether the node's uplink can be known from the roots at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// There is a default route, or the administrator listed the NICs.
    Full,
    /// No default route now, or the kernel did not answer: what was remembered counts.
    Lacking,
}

/// Marks the protected NICs and says how we know.
pub(crate) fn protect(
    nics: &mut [Nic],
    roots: &[Root],
    knowledge: Knowledge,
    remembered: &[RememberedProtection],
) -> Uplink {
    let below = Below::new(nics);
    let mut found: BTreeMap<usize, Protection> = BTreeMap::new();
    for root in roots {
        below.mark(root, nics, &mut found);
    }
    for (at, nic) in nics.iter().enumerate() {
        if is_ovs_port(nic) {
            let path = vec!["Open vSwitch datapath".to_owned(), nic.label().to_owned()];
            found.entry(at).or_insert_with(|| Protection::new(ProtectionReason::OvsDatapath, path));
        }
    }
    let mut basis = UplinkBasis::Computed;
    if knowledge == Knowledge::Lacking {
        basis = if remembered.is_empty() { UplinkBasis::Unknown } else { UplinkBasis::Remembered };
        for old in remembered {
            let Some(at) = nics.iter().position(|nic| nic.id == old.nic) else { continue };
            let mut protection = old.protection.clone();
            protection.remembered = true;
            found.entry(at).or_insert(protection);
        }
    }
    let protected: Vec<NicId> =
        found.keys().filter_map(|at| nics.get(*at)).map(|nic| nic.id.clone()).collect();
    for (at, protection) in found {
        if let Some(nic) = nics.get_mut(at) {
            nic.protected = Some(protection);
        }
    }
    Uplink::new(basis, protected)
}

fn is_ovs_port(nic: &Nic) -> bool {
    nic.stacking.master_kind.as_deref() == Some("openvswitch")
        || nic.stacking.master.as_deref() == Some("ovs-system")
}

/// For each NIC the NICs that it stands on or is tied to.
struct Below {
    edges: Vec<Vec<usize>>,
}

impl Below {
    fn new(nics: &[Nic]) -> Self {
        let by_name: BTreeMap<&str, usize> =
            nics.iter().enumerate().filter_map(|(at, nic)| Some((nic.name.as_deref()?, at))).collect();
        let by_id: BTreeMap<&NicId, usize> = nics.iter().enumerate().map(|(at, nic)| (&nic.id, at)).collect();
        let mut edges = vec![Vec::new(); nics.len()];
        let mut tie = |from: usize, to: usize| {
            if let Some(list) = edges.get_mut(from) {
                list.push(to);
            }
        };
        for (at, nic) in nics.iter().enumerate() {
            for lower in &nic.stacking.lower {
                by_name.get(lower.as_str()).into_iter().for_each(|lower| tie(at, *lower));
            }
            if let Some(master) = nic.stacking.master.as_deref().and_then(|master| by_name.get(master)) {
                tie(at, *master);
                tie(*master, at);
            }
            if let Some(pf) = nic.vf.as_ref().and_then(|vf| by_id.get(&vf.pf)) {
                tie(at, *pf);
            }
            for pair in failover_partners(nics, nic, at) {
                tie(at, pair);
                tie(pair, at);
            }
        }
        Self { edges }
    }

    /// Marks everything below a root, with the shortest path to it. An earlier reason stays.
    fn mark(&self, root: &Root, nics: &[Nic], found: &mut BTreeMap<usize, Protection>) {
        let label = |at: usize| nics.get(at).map(|nic| nic.label().to_owned()).unwrap_or_default();
        let mut paths: BTreeMap<usize, Vec<String>> =
            BTreeMap::from([(root.nic, vec![root.label.clone(), label(root.nic)])]);
        let mut queue = VecDeque::from([root.nic]);
        while let Some(at) = queue.pop_front() {
            let path = paths.get(&at).cloned().unwrap_or_default();
            for next in self.edges.get(at).into_iter().flatten() {
                if !paths.contains_key(next) {
                    let mut longer = path.clone();
                    longer.push(label(*next));
                    paths.insert(*next, longer);
                    queue.push_back(*next);
                }
            }
        }
        for (at, path) in paths {
            found.entry(at).or_insert_with(|| Protection::new(root.reason, path));
        }
    }
}

/// hv_netvsc and its VF, net_failover and its pair: two devices with one MAC, one of them paravirtual. The
/// kernel makes the VF a slave of the other one, but a captured tree may not show that.
fn failover_partners(nics: &[Nic], nic: &Nic, at: usize) -> Vec<usize> {
    let paravirtual =
        |nic: &Nic| nic.bus.as_ref().is_some_and(|bus| matches!(bus.kind.as_str(), "vmbus" | "virtio"));
    if nic.mac.is_none() || !paravirtual(nic) {
        return Vec::new();
    }
    let pair = |(other, found): (usize, &Nic)| {
        (other != at && found.hardware && found.mac == nic.mac).then_some(other)
    };
    nics.iter().enumerate().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bus, NicKind, VfOf};

    fn nic(name: &str, kind: NicKind) -> Nic {
        let mut nic = Nic::new(NicId::new(name), kind);
        nic.name = Some(name.to_owned());
        nic
    }

    fn default_route(nic: usize) -> Root {
        Root { reason: ProtectionReason::DefaultRoute, label: "default route (table 254)".to_owned(), nic }
    }

    fn protected(nics: &[Nic]) -> Vec<&str> {
        nics.iter().filter(|nic| nic.protected.is_some()).map(Nic::label).collect()
    }

    /// OVN-Kubernetes: the default route is on `br-ex`; the NIC is a port of the same datapath.
    fn br_ex() -> Vec<Nic> {
        let mut nics = vec![
            nic("br-ex", NicKind::Bridge),
            nic("ovs-system", NicKind::OtherVirtual),
            nic("eno1", NicKind::Physical),
            nic("ens2", NicKind::Physical),
        ];
        for at in [0, 2] {
            nics[at].stacking.master = Some("ovs-system".to_owned());
            nics[at].stacking.master_kind = Some("openvswitch".to_owned());
        }
        nics
    }

    #[test]
    fn the_nic_under_an_ovs_bridge_is_protected_with_its_path() {
        let mut nics = br_ex();

        let uplink = protect(&mut nics, &[default_route(0)], Knowledge::Full, &[]);

        assert_eq!(uplink.basis, UplinkBasis::Computed);
        assert_eq!(protected(&nics), ["br-ex", "ovs-system", "eno1"]);
        let path = &nics[2].protected.as_ref().unwrap().path;
        assert_eq!(path.join(" > "), "default route (table 254) > br-ex > ovs-system > eno1");
    }

    #[test]
    fn an_ovs_port_is_protected_without_any_route() {
        let mut nics = br_ex();

        protect(&mut nics, &[], Knowledge::Lacking, &[]);

        assert_eq!(nics[2].protected.as_ref().unwrap().reason, ProtectionReason::OvsDatapath);
        assert!(nics[3].protected.is_none());
    }

    #[test]
    fn both_of_two_default_routes_protect() {
        let mut nics =
            vec![nic("a", NicKind::Physical), nic("b", NicKind::Physical), nic("c", NicKind::Physical)];

        protect(&mut nics, &[default_route(0), default_route(2)], Knowledge::Full, &[]);

        assert_eq!(protected(&nics), ["a", "c"]);
    }

    #[test]
    fn without_a_default_route_the_remembered_set_counts() {
        let mut nics = vec![nic("a", NicKind::Physical), nic("b", NicKind::Physical)];
        let protection =
            Protection::new(ProtectionReason::DefaultRoute, vec!["default route".to_owned(), "a".to_owned()]);
        let remembered = [RememberedProtection { nic: NicId::new("a"), protection }];

        let uplink = protect(&mut nics, &[], Knowledge::Lacking, &remembered);

        assert_eq!(uplink.basis, UplinkBasis::Remembered);
        assert!(nics[0].protected.as_ref().unwrap().remembered);
        assert!(nics[1].protected.is_none());
    }

    #[test]
    fn with_nothing_to_go_by_the_uplink_is_unknown() {
        let mut nics = vec![nic("a", NicKind::Physical)];

        assert_eq!(protect(&mut nics, &[], Knowledge::Lacking, &[]).basis, UplinkBasis::Unknown);
    }

    #[test]
    fn a_netvsc_protects_the_vf_that_shares_its_mac_and_the_vf_its_pf() {
        let mut nics = vec![
            nic("eth0", NicKind::Paravirtual),
            nic("enP1", NicKind::VirtualFunction),
            nic("pf", NicKind::Physical),
        ];
        nics[0].bus = Some(Bus::new("vmbus".to_owned(), "guid".to_owned(), String::new()));
        nics[0].mac = "00:0d:3a:01:02:03".parse().ok();
        nics[1].mac = nics[0].mac;
        nics[1].vf = Some(VfOf::new(NicId::new("pf"), Some(0)));

        protect(&mut nics, &[default_route(0)], Knowledge::Full, &[]);

        assert_eq!(protected(&nics), ["eth0", "enP1", "pf"]);
    }

    #[test]
    fn a_vlan_on_a_bond_protects_the_slaves_but_not_the_other_vlan() {
        let mut nics = vec![
            nic("bond0.5", NicKind::Vlan),
            nic("bond0", NicKind::Bond),
            nic("eth0", NicKind::Physical),
            nic("bond0.6", NicKind::Vlan),
        ];
        nics[0].stacking.lower = vec!["bond0".to_owned()];
        nics[3].stacking.lower = vec!["bond0".to_owned()];
        nics[1].stacking.lower = vec!["eth0".to_owned()];
        nics[2].stacking.master = Some("bond0".to_owned());

        protect(&mut nics, &[default_route(0)], Knowledge::Full, &[]);

        assert_eq!(protected(&nics), ["bond0.5", "bond0", "eth0"]);
    }
}

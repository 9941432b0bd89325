//! Nothing is taken away while somebody holds a VF.

use std::cell::Cell;
use std::fs;

use crate::pf_lab::{Lab, Namespace, PF, count, drivers, group, netdev, run, vf, vfs};
use sriov::{Action, Claim, DesiredPf, HolderKind, NoClaims, SriovError, VfDriver};

/// Who holds which VF of the PF.
pub(crate) fn holder_kinds(lab: &Lab) -> Vec<(u16, HolderKind)> {
    let pf = lab.control.observe_one(PF, &NoClaims).unwrap();
    pf.vf_holders().iter().map(|holder| (holder.vf.unwrap(), holder.by)).collect()
}

/// Nothing is done while a VF is held: the plan says who holds it, and the VFs stay.
pub(crate) fn assert_refused(lab: &Lab, said: &str) {
    let before: Vec<String> = (0..2).map(|index| vf(PF, index)).collect();
    for wanted in [vfs(0), vfs(1), vfs(5)] {
        let applied = lab.apply(PF, &wanted);

        assert_eq!((applied.done.len(), applied.is_complete()), (0, false), "{applied:?}");
        assert!(applied.plan.needs_drain());
        let text = applied.plan.blocked[0].to_string();
        assert!(text.contains(said), "`{text}` does not say `{said}`");
    }
    assert_eq!(count(PF), "2");
    assert_eq!((0..2).map(|index| vf(PF, index)).collect::<Vec<_>>(), before);
}

#[test]
#[ignore = "needs the lab VM"]
fn a_vf_in_a_namespace_refuses_every_reset() {
    let lab = Lab::new();
    lab.apply(PF, &vfs(2));
    let space = Namespace::new("holder");
    run(&format!("ip link set {} netns holder name net1", netdev(&vf(PF, 1))));

    assert_eq!(holder_kinds(&lab), [(1, HolderKind::Namespace)]);
    assert_refused(&lab, "network namespace holder as net1");

    // What is beside the held VF can still be changed.
    let beside = DesiredPf { groups: vec![group(0, 1, VfDriver::vfio())], ..vfs(2) };
    let applied = lab.apply(PF, &beside);
    assert_eq!(applied.done, [Action::Bind { vf: 0, driver: VfDriver::vfio() }]);
    assert_eq!(drivers(PF, 2), ["vfio-pci", "igbvf"]);
    assert_eq!(applied.plan.blocked.len(), 1);

    drop(space);
    assert!(lab.apply(PF, &vfs(0)).is_complete());
}

#[test]
#[ignore = "needs the lab VM"]
fn a_vf_below_an_ipvlan_in_a_bridge_or_with_an_address_refuses_every_reset() {
    let lab = Lab::new();
    lab.apply(PF, &vfs(2));
    let name = netdev(&vf(PF, 0));

    run(&format!("ip link set {name} up; ip link add link {name} name ipvl0 type ipvlan mode l2"));
    assert_eq!(holder_kinds(&lab), [(0, HolderKind::Upper)]);
    assert_refused(&lab, "below ipvl0");
    run("ip link del ipvl0");

    run(&format!("ip link add brtest type bridge; ip link set {name} master brtest"));
    assert_eq!(holder_kinds(&lab), [(0, HolderKind::Master)]);
    assert_refused(&lab, "slave of brtest");
    run("ip link del brtest");

    run(&format!("ip address add 192.0.2.9/24 dev {name}"));
    assert_eq!(holder_kinds(&lab), [(0, HolderKind::Node)]);
    assert_refused(&lab, "used by the node");
    run(&format!("ip address flush dev {name}"));

    assert_eq!(holder_kinds(&lab), []);
    assert!(lab.apply(PF, &vfs(1)).is_complete());
}

#[test]
#[ignore = "needs the lab VM"]
fn what_the_caller_and_sriov_cni_say_refuses_every_reset() {
    let lab = Lab::new();
    lab.apply(PF, &vfs(2));
    let file = format!("/var/lib/cni/sriov/pci/{}", vf(PF, 1));
    fs::create_dir_all("/var/lib/cni/sriov/pci").unwrap();
    fs::write(&file, "/proc/self/ns/net").unwrap();

    assert_refused(&lab, "sriov-cni gave it to /proc/self/ns/net");
    fs::write(&file, "/run/netns/long-gone").unwrap();
    assert_eq!(holder_kinds(&lab), []);
    fs::remove_file(&file).unwrap();

    let device = vf(PF, 0).parse().unwrap();
    let claims = move || vec![Claim { device, who: "pod shop/cart".to_owned() }];
    let applied = lab.control.apply(PF, &vfs(0), &claims).unwrap();
    assert!(applied.plan.blocked[0].to_string().ends_with(": pod shop/cart"), "{:?}", applied.plan.blocked);
    assert_eq!(count(PF), "2");
}

#[test]
#[ignore = "needs the lab VM"]
fn holders_are_read_again_just_before_the_write() {
    let lab = Lab::new();
    lab.apply(PF, &vfs(2));
    let device = vf(PF, 0).parse().unwrap();
    let asked = Cell::new(0);
    // Nobody when it is planned, somebody when it is written.
    let claims = || {
        asked.set(asked.get() + 1);
        let taken = Claim { device, who: "pod shop/cart".to_owned() };
        if asked.get() > 1 { vec![taken] } else { Vec::new() }
    };

    let applied = lab.control.apply(PF, &vfs(0), &claims).unwrap();

    assert!(
        matches!(&applied.failed, Some((Action::SetCount { to: 0, .. }, SriovError::Held { .. }))),
        "{applied:?}"
    );
    assert_eq!((count(PF), asked.get()), ("2".to_owned(), 2));
}

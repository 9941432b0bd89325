//! Tests of the plan: single rules, and the property that a plan that is carried out leaves nothing to plan.

use hwprobe::SriovZeroReason;
use proptest::prelude::*;

use super::*;
use crate::desired::LinkType;
use crate::holders::{Holder, HolderKind};

/// An igb: 7 VFs at most, an IOMMU, up.
fn igb(enabled: u16) -> ObservedPf {
    let mut pf = ObservedPf::new("0000:01:00.0", "pci");
    pf.ifindex = Some(2);
    pf.up = true;
    pf.mtu = Some(1500);
    pf.max_mtu = Some(9216);
    pf.total = Some(7);
    pf.autoprobe = Some(true);
    pf.iommu_group = Some(1);
    make(&mut pf, enabled);
    pf
}

/// What the kernel does when VFs are made.
fn make(pf: &mut ObservedPf, count: u16) {
    let vf = |index: u16| {
        let mut vf = ObservedVf::new(index);
        vf.pci = format!("0000:01:{:02x}.{}", 0x10 + index / 4, (index % 4) * 2).parse().ok();
        vf.iommu_group = Some(u32::from(index) + 10);
        vf
    };
    pf.enabled = count;
    pf.vfs = (0..count).map(vf).collect();
    if pf.autoprobe == Some(true) {
        pf.vfs.iter_mut().for_each(probe);
    }
}

fn probe(vf: &mut ObservedVf) {
    vf.driver = Some("igbvf".to_owned());
    vf.mtu = Some(1500);
}

fn holder(vf: u16) -> Holder {
    let device = "0000:01:10.0".to_owned();
    Holder { vf: Some(vf), device, by: HolderKind::Claimed, who: "pod shop/cart".to_owned() }
}

fn wants(count: u16) -> DesiredPf {
    DesiredPf { count, ..DesiredPf::default() }
}

fn group(range: std::ops::RangeInclusive<u16>, driver: VfDriver) -> VfGroup {
    VfGroup { range, driver, mtu: None, rdma: false, resource: String::new(), policy: "p".to_owned() }
}

fn actions(plan: &Plan) -> Vec<Action> {
    plan.steps.iter().map(|step| step.action.clone()).collect()
}

/// What carrying out a step does to the PF.
fn carry_out(pf: &mut ObservedPf, action: &Action) {
    let vf = |pf: &mut ObservedPf, index: u16| pf.vfs.iter().position(|vf| vf.index == index);
    match action {
        Action::SetCount { from, to } => {
            assert_eq!(pf.enabled, *from);
            assert!(*from == 0 || *to == 0, "the kernel answers EBUSY");
            assert!(pf.vf_holders().is_empty(), "a held VF was taken away");
            make(pf, *to);
        }
        Action::SetAutoprobe(on) => {
            pf.autoprobe_owed = !on;
            pf.autoprobe = Some(*on);
        }
        Action::SetEswitch(mode) => {
            assert_eq!(pf.enabled, 0);
            pf.eswitch = Some(*mode);
        }
        Action::BringUp => pf.up = true,
        Action::SetMtu(mtu) => pf.mtu = Some(*mtu),
        Action::SetVfMtu { vf: index, mtu } => {
            let at = vf(pf, *index).unwrap();
            assert!(pf.vfs[at].mtu.is_some(), "VF {index} has no netdev");
            assert!(pf.mtu >= Some(*mtu), "the PF is smaller");
            pf.vfs[at].mtu = Some(*mtu);
        }
        Action::Bind { vf: index, driver } => {
            let at = vf(pf, *index).unwrap();
            let autoprobe = pf.autoprobe == Some(true);
            let vf = &mut pf.vfs[at];
            assert!(vf.holders.is_empty(), "a held VF was bound");
            match driver {
                VfDriver::Own => {
                    vf.reserved = None;
                    if vf.driver.as_deref().is_none_or(Driver::is_passthrough) {
                        assert!(autoprobe, "no driver takes VF {index} while they are kept off");
                        probe(vf);
                    }
                }
                VfDriver::Named(name) => {
                    vf.driver = Some(name.clone());
                    vf.reserved = Some(name.clone());
                    vf.mtu = None;
                }
            }
        }
    }
}

#[test]
fn vfs_come_from_none_in_one_step_and_change_only_through_none() {
    assert_eq!(actions(&plan(&igb(0), &wants(4))), [Action::SetCount { from: 0, to: 4 }]);
    assert_eq!(
        actions(&plan(&igb(4), &wants(2))),
        [Action::SetCount { from: 4, to: 0 }, Action::SetCount { from: 0, to: 2 }]
    );
    assert_eq!(actions(&plan(&igb(4), &wants(0))), [Action::SetCount { from: 4, to: 0 }]);
    assert!(plan(&igb(4), &wants(4)).is_empty());
}

#[test]
fn every_step_says_what_it_disturbs() {
    let mut wanted = wants(2);
    wanted.mtu = Some(9000);
    wanted.groups = vec![group(0..=0, VfDriver::vfio())];

    let steps = plan(&igb(1), &wanted).steps;

    let lines: Vec<String> = steps.iter().map(|step| format!("{}: {}", step.action, step.disturbs)).collect();
    assert_eq!(
        lines,
        [
            "set the number of VFs from 1 to 0: all VFs go away",
            "set the PF's MTU to 9000: the PF's link may drop for seconds",
            "keep drivers off new VFs: disturbs nothing",
            "set the number of VFs from 0 to 2: the PF's link may drop for seconds",
            "bind VF 0 to vfio-pci: disturbs VF 0, which nobody holds",
            "let drivers take new VFs: disturbs nothing",
            "bind VF 1 to its own driver: disturbs VF 1, which nobody holds",
        ]
    );
}

#[test]
fn a_held_vf_blocks_the_count_and_is_named_and_other_vfs_are_still_repaired() {
    let mut pf = igb(3);
    pf.vfs[1].holders = vec![holder(1)];
    let mut wanted = wants(5);
    wanted.groups = vec![group(0..=1, VfDriver::vfio())];

    let plan = plan(&pf, &wanted);

    assert!(plan.needs_drain());
    assert_eq!(actions(&plan), [Action::Bind { vf: 0, driver: VfDriver::vfio() }]);
    let blocked: Vec<String> = plan.blocked.iter().map(Blocked::to_string).collect();
    assert_eq!(
        blocked,
        [
            "cannot set the number of VFs from 3 to 5: held by VF 1 (0000:01:10.0): pod shop/cart",
            "cannot bind VF 1 to vfio-pci: held by VF 1 (0000:01:10.0): pod shop/cart",
        ]
    );
}

#[test]
fn the_switch_is_changed_while_there_are_no_vfs() {
    let mut pf = igb(2);
    pf.eswitch = Some(EswitchMode::Legacy);
    let wanted = DesiredPf { eswitch: Some(EswitchMode::Switchdev), ..wants(2) };

    assert_eq!(
        actions(&plan(&pf, &wanted)),
        [
            Action::SetCount { from: 2, to: 0 },
            Action::SetEswitch(EswitchMode::Switchdev),
            Action::SetCount { from: 0, to: 2 }
        ]
    );
    pf.vfs[0].holders = vec![holder(0)];
    assert_eq!(plan(&pf, &wanted).blocked[0].action, Action::SetEswitch(EswitchMode::Switchdev));
}

#[test]
fn what_cannot_be_is_said_with_the_remedy_and_nothing_is_done() {
    let vfio = || DesiredPf { groups: vec![group(0..=0, VfDriver::vfio())], ..wants(1) };
    let range = || DesiredPf { groups: vec![group(2..=9, VfDriver::Own)], ..wants(4) };
    let with = |change: fn(&mut ObservedPf)| {
        let mut pf = igb(0);
        change(&mut pf);
        pf
    };
    let rows: [(ObservedPf, DesiredPf, &str); 11] = [
        (igb(0), wants(8), "8 VFs are wanted, 7 is the most"),
        (igb(0), range(), "policy p is for VFs 2 to 9, there are 4; end the range at 3"),
        (with(|pf| pf.iommu_group = None), vfio(), "boot with intel_iommu=on"),
        (
            with(|pf| {
                make(pf, 2);
                pf.vfs[0].pci = None;
            }),
            wants(1),
            "1 of them are half there",
        ),
        (with(|pf| pf.none_because = Some(SriovZeroReason::FirmwareOff)), wants(1), "vendor's tool"),
        (with(|pf| pf.none_because = Some(SriovZeroReason::PfHeld)), wants(1), "bring it back first"),
        (
            with(|pf| pf.protected = Some("it carries default route (table 254), eth0".into())),
            wants(1),
            "it carries default route (table 254), eth0, so its VFs are not changed",
        ),
        (
            igb(0),
            DesiredPf { eswitch: Some(EswitchMode::Switchdev), ..wants(1) },
            "no switch that devlink knows",
        ),
        (
            igb(0),
            DesiredPf { link_type: Some(LinkType::InfiniBand), ..wants(1) },
            "linkType infiniband is wanted, its ports speak ethernet",
        ),
        (igb(0), DesiredPf { mtu: Some(9999), ..wants(1) }, "9216 is the most"),
        (
            igb(0),
            DesiredPf { managed_by: Some("SriovNetworkNodeState lists it".into()), ..wants(1) },
            "1 VFs are wanted, 0 are there; nothing is changed because SriovNetworkNodeState lists it",
        ),
    ];
    for (pf, wanted, said) in rows {
        let plan = plan(&pf, &wanted);

        assert_eq!((plan.steps.len(), plan.problems.len()), (0, 1), "{plan:?}");
        let text = plan.problems[0].to_string();
        assert!(text.contains(said), "`{text}` does not say `{said}`");
    }
}

#[test]
fn a_vf_that_shares_its_iommu_group_is_not_given_to_vfio() {
    let mut pf = igb(2);
    pf.vfs[1].group_mates = vec!["0000:01:00.0".to_owned()];
    let wanted = DesiredPf { groups: vec![group(0..=1, VfDriver::vfio())], ..wants(2) };

    let plan = plan(&pf, &wanted);

    assert_eq!(actions(&plan), [Action::Bind { vf: 0, driver: VfDriver::vfio() }]);
    assert!(plan.problems[0].to_string().contains("its IOMMU group 11 also has 0000:01:00.0"), "{plan:?}");
}

#[test]
fn an_uplink_is_changed_when_that_is_allowed() {
    let mut pf = igb(0);
    pf.protected = Some("it carries the node".to_owned());

    assert!(plan(&pf, &wants(0)).is_empty());
    assert!(plan(&pf, &wants(1)).steps.is_empty());
    assert_eq!(plan(&pf, &DesiredPf { on_uplink: true, ..wants(1) }).steps.len(), 1);
}

#[test]
fn a_pf_of_the_operator_is_read_only_and_what_differs_is_told_with_the_managers_name() {
    let folder = tempfile::tempdir().unwrap();
    let roots = crate::Roots::below(folder.path());
    std::fs::create_dir_all(roots.operator_state.join("pci")).unwrap();
    let file = roots.operator_state.join("pci/0000:01:00.0");
    std::fs::write(&file, r#"{"numVfs":2,"vfGroups":[{"policyName":"nets"}]}"#).unwrap();
    let mut pf = igb(2);
    pf.manager = crate::manager::of(&roots, &pf.key);
    let vfio = DesiredPf { groups: vec![group(0..=0, VfDriver::vfio())], ..wants(2) };
    pf.vfs[1].holders = vec![holder(1)];

    assert!(plan(&pf, &wants(2)).is_empty());
    for (wanted, said) in [(wants(4), "set the number of VFs from 2 to 4"), (vfio, "bind VF 0 to vfio-pci")] {
        let plan = plan(&pf, &wanted);

        assert_eq!((plan.steps.len(), plan.blocked.len(), plan.problems.len()), (0, 0, 1), "{plan:?}");
        let text = plan.problems[0].to_string();
        let begin = format!(
            "it is not as wanted ({said}); nothing is changed because sriov-network-operator manages it for its \
             policy nets"
        );
        assert!(text.starts_with(&begin) && text.contains("0000:01:00.0 if the operator is gone"), "{text}");
    }
}

fn any_driver() -> impl Strategy<Value = VfDriver> {
    prop_oneof![Just(VfDriver::Own), Just(VfDriver::vfio())]
}

fn any_desired() -> impl Strategy<Value = DesiredPf> {
    let mtu = || proptest::option::of(prop_oneof![Just(1500u32), Just(4000), Just(9000)]);
    let eswitch = proptest::option::of(prop_oneof![Just(EswitchMode::Legacy), Just(EswitchMode::Switchdev)]);
    (0u16..=7, mtu(), eswitch, proptest::collection::vec((0u16..7, any_driver(), mtu()), 0..7)).prop_map(
        |(count, mtu, eswitch, groups)| {
            let groups: Vec<VfGroup> = groups
                .into_iter()
                .filter(|(index, ..)| *index < count)
                .map(|(index, driver, mtu)| VfGroup { mtu, ..group(index..=index, driver) })
                .collect();
            // A VF's netdev is never greater than its PF's.
            let most = groups.iter().filter_map(|group| group.mtu).max();
            DesiredPf { count, mtu: mtu.max(most), eswitch, groups, ..DesiredPf::default() }
        },
    )
}

fn any_pf() -> impl Strategy<Value = ObservedPf> {
    let vf = (any_driver(), any::<bool>(), any::<bool>());
    (proptest::collection::vec(vf, 0..=7), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(vfs, up, autoprobe, owed)| {
            let mut pf = igb(vfs.len() as u16);
            pf.up = up;
            pf.autoprobe = Some(autoprobe);
            pf.autoprobe_owed = owed && !autoprobe;
            pf.eswitch = Some(EswitchMode::Legacy);
            for (vf, (driver, left, held)) in pf.vfs.iter_mut().zip(vfs) {
                if let VfDriver::Named(name) = driver {
                    vf.driver = Some(name);
                    vf.mtu = None;
                } else if left {
                    vf.reserved = Some("vfio-pci".to_owned());
                }
                if held {
                    vf.holders = vec![holder(vf.index)];
                }
            }
            pf
        },
    )
}

proptest! {
    #[test]
    fn a_plan_that_is_carried_out_leaves_nothing_but_what_is_held(pf in any_pf(), wanted in any_desired()) {
        let first = plan(&pf, &wanted);
        let mut pf = pf;
        for step in &first.steps {
            carry_out(&mut pf, &step.action);
        }

        let second = plan(&pf, &wanted);

        prop_assert_eq!(&second.steps, &[], "first {:?}", first);
        prop_assert_eq!(second.blocked, first.blocked);
        prop_assert!(second.problems.is_empty(), "{:?}", second.problems);
    }

    #[test]
    fn nothing_is_done_to_a_pf_that_another_manages(pf in any_pf(), wanted in any_desired()) {
        let drift = !plan(&pf, &wanted).is_empty();
        let mut pf = pf;
        pf.manager = Some(Manager {
            file: "/etc/sriov-operator/pci/0000:01:00.0".into(),
            count: None,
            external: false,
            policies: Vec::new(),
        });

        let plan = plan(&pf, &wanted);

        prop_assert_eq!((plan.steps.len(), plan.blocked.len()), (0, 0));
        // Drivers that are kept off are the operator's affair, too.
        prop_assert!(drift || plan.problems.is_empty(), "{:?}", plan.problems);
    }

    #[test]
    fn a_held_vf_is_never_touched_and_stays(pf in any_pf(), wanted in any_desired()) {
        let held: Vec<ObservedVf> = pf.vfs.iter().filter(|vf| !vf.holders.is_empty()).cloned().collect();
        let mut pf = pf;
        for step in plan(&pf, &wanted).steps {
            carry_out(&mut pf, &step.action);
        }

        for vf in held {
            prop_assert_eq!(pf.vfs.iter().find(|one| one.index == vf.index), Some(&vf));
        }
    }
}

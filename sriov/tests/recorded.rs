//! PFs of recorded machines: what the inventory tells is what a plan goes by.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use std::path::{Path, PathBuf};

use hwprobe::{Probe, ProbeSettings};
use sriov::{DesiredPf, EswitchMode, HolderKind, ObservedPf, PlanProblem, Roots, from_inventory, plan};

/// Absent for a machine that is a captured tree.
fn recorded(machine: &str) -> Option<Vec<ObservedPf>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../hwprobe/tests/machines").join(machine);
    let file =
        ["machine.json", "machine.json.gz"].map(|name| folder.join(name)).into_iter().find(|f| f.exists())?;
    let mut probe = Probe::replay(&file, ProbeSettings::default()).unwrap();
    Some(from_inventory(&probe.inventory(), &Roots::below(Path::new("/nowhere"))))
}

fn pfs(machine: &str) -> Vec<ObservedPf> {
    recorded(machine).unwrap()
}

fn of<'a>(pfs: &'a [ObservedPf], key: &str) -> &'a ObservedPf {
    pfs.iter().find(|pf| pf.key == key).unwrap()
}

#[test]
fn the_vfs_of_the_lab_and_their_holders_are_seen() {
    let pfs = pfs("lab-vfs");

    let pf = of(&pfs, "0000:81:00.0");

    assert_eq!((pf.total, pf.enabled, pf.autoprobe), (Some(7), 3, Some(true)));
    let seen: Vec<_> = pf
        .vfs
        .iter()
        .map(|vf| {
            (vf.pci.unwrap().to_string(), vf.driver.clone().unwrap(), vf.holders.first().map(|one| one.by))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("0000:81:10.0".to_owned(), "igbvf".to_owned(), Some(HolderKind::Namespace)),
            ("0000:81:10.2".to_owned(), "vfio-pci".to_owned(), Some(HolderKind::Vfio)),
            ("0000:81:10.4".to_owned(), "igbvf".to_owned(), None),
        ]
    );
    let refused = plan(pf, &DesiredPf { count: 4, on_uplink: true, ..DesiredPf::default() });
    assert_eq!((refused.steps.len(), refused.blocked[0].holders.len()), (0, 2), "{refused:?}");
}

#[test]
fn a_simulated_switch_is_one_pf_with_representors() {
    let pfs = pfs("lab-switchdev");

    let pf = of(&pfs, "netdevsim7");

    assert_eq!((pf.total, pf.enabled, pf.eswitch), (None, 2, Some(EswitchMode::Switchdev)));
    let representors: Vec<_> = pf.vfs.iter().map(|vf| vf.representor.clone().unwrap()).collect();
    assert_eq!(representors, ["eth4", "eth5"]);
    assert_eq!(pfs.iter().filter(|pf| pf.bus == "netdevsim").count(), 1);
}

#[test]
fn every_pf_of_every_machine_that_is_as_it_should_be_is_left_alone() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../hwprobe/tests/machines");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let machine = entry.file_name().into_string().unwrap();
        for pf in recorded(&machine).unwrap_or_default() {
            let same = DesiredPf { count: pf.enabled, ..DesiredPf::default() };
            let plan = plan(&pf, &same);

            // A PF that is down is brought up, nothing else.
            assert!(
                plan.steps.iter().all(|step| step.action == sriov::Action::BringUp),
                "{machine}: {plan:?}"
            );
            assert!(plan.blocked.is_empty(), "{machine}: {plan:?}");
            let odd = plan
                .problems
                .iter()
                .all(|problem| matches!(problem, PlanProblem::None(_) | PlanProblem::PfAway));
            assert!(odd, "{machine}: {plan:?}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} PFs");
}

//! Tests of the keeper: orders and states over time, with PFs that change when they are told to.

use hwprobe::NicId;
use sriov::{Holder, HolderKind, ObservedVf, Stuck, VfTrouble};

use super::*;

const PF: &str = "0000:01:00.0";

/// A machine with one PF and a clock.
struct Machine {
    keeper: Keeper,
    pf: ObservedPf,
    now: Instant,
    began: Instant,
}

impl Machine {
    fn new() -> Self {
        let mut pf = ObservedPf::new(PF, "pci");
        (pf.nic, pf.total, pf.up, pf.autoprobe) = (NicId::new(PF), Some(7), true, Some(true));
        (pf.name, pf.ifindex) = (Some("eth1".to_owned()), Some(3));
        let now = Instant::now();
        Self { keeper: Keeper::default(), pf, now, began: now }
    }

    fn look(&mut self, wanted: Option<u16>) -> Look {
        let wish = wanted.map(|count| Wish { desired: vfs(count), posted: false, policies: Vec::new() });
        let clock = SystemTime::UNIX_EPOCH + (self.now - self.began);
        self.keeper.look(vec![(self.pf.clone(), wish)], self.now, clock)
    }

    fn state(&mut self, wanted: u16) -> PfState {
        self.look(Some(wanted)).pfs[0].state
    }

    /// The inventory shows so many VFs.
    fn has(&mut self, count: u16) {
        self.pf.enabled = count;
        self.pf.vfs = (0..count)
            .map(|index| {
                let mut vf = ObservedVf::new(index);
                vf.pci = format!("0000:01:10.{index}").parse().ok();
                vf.driver = Some("igbvf".to_owned());
                vf
            })
            .collect();
    }

    fn held(&mut self) {
        let who = "network namespace web";
        self.pf.vfs[0].holders = vec![Holder::new(Some(0), "0000:01:10.0", HolderKind::Namespace, who)];
    }

    fn passes(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn done(&mut self, wanted: u16, outcome: &Outcome) {
        self.keeper.done(PF, &vfs(wanted), outcome, self.now);
    }
}

fn vfs(count: u16) -> DesiredPf {
    DesiredPf { count, ..DesiredPf::default() }
}

/// All went well.
fn well() -> Outcome {
    Ok(Applied::nothing(PF))
}

fn failed() -> Outcome {
    let what = "write 4 to sriov_numvfs".to_owned();
    let source = std::io::Error::other("no");
    Err(Stuck::NoThread { device: PF.to_owned(), what, source }.into())
}

#[test]
fn a_wish_is_begun_at_once_and_is_in_place_when_the_inventory_has_followed() {
    let mut machine = Machine::new();

    let look = machine.look(Some(4));
    assert_eq!((look.start, look.pfs[0].state), (vec![(PF.to_owned(), vfs(4))], PfState::Applying));
    assert!(machine.look(Some(4)).start.is_empty(), "it runs");
    assert!(!machine.keeper.is_settled());
    machine.done(4, &well());
    assert_eq!(machine.state(4), PfState::Applying, "the inventory is old");
    assert!(!machine.keeper.is_settled());
    machine.has(4);
    let look = machine.look(Some(4));

    assert_eq!((look.pfs[0].state, look.due), (PfState::InPlace, None));
    assert!(look.start.is_empty() && machine.keeper.is_settled());
}

#[test]
fn vfs_that_the_inventory_has_half_read_hold_nobody_up() {
    let mut machine = Machine::new();
    machine.look(Some(4));
    machine.has(1);
    machine.held();
    machine.pf.vfs[0].holders[0].by = HolderKind::Unknown;
    machine.done(4, &well());

    assert_eq!(machine.state(4), PfState::Applying, "not held: it was not there a moment ago");
    machine.has(4);
    machine.held();
    machine.pf.vfs[0].holders[0].by = HolderKind::Unknown;
    assert_eq!(machine.state(4), PfState::Applying);
    machine.passes(FOLLOW.as_secs());
    assert_eq!(machine.state(4), PfState::InPlace, "it stays so");
}

#[test]
fn what_seems_right_already_is_changed_once_in_each_run() {
    let mut machine = Machine::new();
    machine.has(4);

    assert_eq!(machine.look(Some(4)).start.len(), 1);
    machine.done(4, &well());
    assert_eq!(machine.state(4), PfState::InPlace);
}

#[test]
fn a_difference_counts_when_it_lasts() {
    let mut machine = Machine::new();
    machine.has(4);
    machine.look(Some(4));
    machine.done(4, &well());
    machine.state(4);

    machine.has(3);
    let look = machine.look(Some(4));
    assert_eq!((look.start.len(), look.pfs[0].state), (0, PfState::InPlace), "a pod may just get a VF");
    assert!(look.due.is_some() && !look.pfs[0].plan.is_empty(), "the drift is shown");
    machine.has(4);
    machine.passes(2);
    assert!(machine.look(Some(4)).start.is_empty());
    machine.has(0);
    machine.look(Some(4));
    machine.passes(1);
    assert_eq!(machine.look(Some(4)).start.len(), 1);
}

#[test]
fn what_goes_wrong_is_tried_again_later_and_later() {
    let mut machine = Machine::new();
    machine.look(Some(4));
    let mut pauses = Vec::new();
    for _ in 0..10 {
        machine.done(4, &failed());
        let look = machine.look(Some(4));
        assert!(look.start.is_empty() && machine.keeper.is_settled());
        let status = &look.pfs[0];
        assert_eq!((status.state, status.next.is_some()), (PfState::Failed, true));
        assert!(status.error.as_ref().unwrap().contains("was not begun"), "{status:?}");
        let pause = look.due.unwrap() - machine.now;
        pauses.push(pause.as_secs());
        machine.passes(pause.as_secs());
        assert_eq!(machine.look(Some(4)).start.len(), 1);
    }

    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    machine.has(4);
    machine.done(4, &well());
    let look = machine.look(Some(4));
    assert_eq!((look.pfs[0].state, look.pfs[0].failures), (PfState::InPlace, 0));
}

#[test]
fn a_vf_that_is_in_trouble_is_named() {
    let mut machine = Machine::new();
    machine.look(Some(2));
    let mut applied = Applied::nothing(PF);
    let mut outcome = VfOutcome::default();
    (outcome.index, outcome.trouble) = (1, Some(VfTrouble::NoDriver));
    applied.vfs = vec![outcome];
    machine.has(2);
    machine.done(2, &Ok(applied));

    let status = machine.look(Some(2)).pfs.remove(0);

    assert_eq!(status.state, PfState::Failed);
    assert!(status.error.unwrap().starts_with("VF 1: no driver took it"));
    assert_eq!(status.vfs.len(), 1);
}

#[test]
fn a_pf_with_a_held_vf_is_left_alone_and_looked_at_again() {
    let mut machine = Machine::new();
    machine.has(4);
    machine.held();
    machine.look(Some(4));
    machine.done(4, &well());
    assert_eq!(machine.state(4), PfState::InPlace);

    // Another count: begun once, which finds who is in the way.
    assert_eq!(machine.look(Some(2)).start.len(), 1);
    let mut applied = Applied::nothing(PF);
    applied.plan = plan(&machine.pf, &vfs(2));
    machine.done(2, &Ok(applied));
    let look = machine.look(Some(2));

    assert_eq!((look.pfs[0].state, look.start.len()), (PfState::Held, 0));
    assert!(look.pfs[0].plan.needs_drain() && machine.keeper.is_settled());
    assert_eq!(look.due, Some(machine.now + HELD));
    machine.has(4);
    machine.passes(HELD.as_secs());
    assert_eq!(machine.look(Some(2)).start.len(), 1);
}

#[test]
fn what_the_inventory_protects_is_never_begun() {
    let mut machine = Machine::new();
    machine.pf.protected = Some("it carries the default route".to_owned());

    let look = machine.look(Some(4));

    assert_eq!((look.pfs[0].state, look.start.len(), look.due), (PfState::Refused, 0, None));
    assert!(machine.keeper.is_settled());
    machine.pf.protected = None;
    assert_eq!(machine.look(Some(4)).start.len(), 1, "it carries nothing any more");
}

#[test]
fn another_wish_while_a_change_runs_is_begun_after_it() {
    let mut machine = Machine::new();
    machine.look(Some(4));

    assert!(machine.look(Some(2)).start.is_empty());
    machine.done(4, &well());
    assert_eq!(machine.look(Some(2)).start, [(PF.to_owned(), vfs(2))]);
}

#[test]
fn a_pf_that_nobody_wants_anything_of_any_more_is_left_as_it_is() {
    let mut machine = Machine::new();
    machine.has(4);
    machine.look(Some(4));
    machine.done(4, &well());

    let look = machine.look(None);

    assert_eq!((look.pfs[0].state, look.start.len(), look.due), (PfState::Unmanaged, 0, None));
    let since = look.pfs[0].since;
    machine.passes(5);
    assert_eq!(machine.look(None).pfs[0].since, since);
}

#[test]
fn a_pf_that_was_unplugged_and_comes_back_is_changed_anew() {
    let mut machine = Machine::new();
    machine.has(4);
    machine.look(Some(4));
    machine.done(4, &well());
    machine.keeper.look(Vec::new(), machine.now, SystemTime::UNIX_EPOCH);
    machine.has(0);

    assert_eq!(machine.look(Some(4)).start.len(), 1);
}

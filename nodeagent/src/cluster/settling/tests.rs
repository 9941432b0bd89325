use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crds::{Interface, SUSPENDED};

use super::{DOWN, GONE, Settled, Settling};
use crate::cluster::host_interface::{Found, key};

fn nic(name: &str, net: &str) -> Interface {
    let nets: Vec<String> = net.split_whitespace().map(str::to_owned).collect();
    let v4 = nets.iter().find(|net| !net.contains(':')).cloned().unwrap_or_default();
    Interface {
        interface_name: name.to_owned(),
        host_ip: if v4.is_empty() { String::new() } else { format!("ip of {v4}") },
        net_address: v4,
        host_ips: nets.iter().map(|net| format!("ip of {net}")).collect(),
        net_addresses: nets,
        ..Interface::default()
    }
}

fn down(mut nic: Interface) -> Interface {
    SUSPENDED.clone_into(&mut nic.state);
    nic
}

fn found(all: &[Interface]) -> Found {
    let interfaces: BTreeMap<String, Interface> =
        all.iter().map(|one| (key(one).to_owned(), one.clone())).collect();
    Found { present: interfaces.keys().cloned().collect(), interfaces, ..Found::default() }
}

/// A server that takes every write at once, and a clock.
struct Run {
    settling: Settling,
    published: Vec<Interface>,
    now: Instant,
}

impl Run {
    fn new(published: &[Interface]) -> Self {
        Self { settling: Settling::default(), published: published.to_vec(), now: Instant::now() }
    }

    fn after(&mut self, pause: Duration, found: &Found) -> Settled {
        self.now += pause;
        let settled = self.settling.settle(&self.published, found, self.now);
        self.published.clone_from(&settled.interfaces);
        settled
    }
}

const NOW: Duration = Duration::ZERO;

#[test]
fn what_comes_up_or_changes_is_told_at_once() {
    let mut run = Run::new(&[]);
    let eth1 = nic("eth1", "10.0.1.0/24");

    assert_eq!(run.after(NOW, &found(std::slice::from_ref(&eth1))).interfaces, std::slice::from_ref(&eth1));
    let moved = nic("eth1", "10.0.9.0/24");
    let settled = run.after(NOW, &found(std::slice::from_ref(&moved)));

    assert_eq!((settled.interfaces, settled.due), (vec![moved], None));
}

#[test]
fn a_short_flap_is_never_told_and_a_long_one_keeps_the_address() {
    let eth1 = nic("eth1", "10.0.1.0/24");
    for gone in [nic("eth1", ""), down(nic("eth1", "10.0.1.0/24")), down(nic("eth1", ""))] {
        let mut run = Run::new(std::slice::from_ref(&eth1));
        let begun = run.now;

        let settled = run.after(NOW, &found(std::slice::from_ref(&gone)));
        assert_eq!((settled.interfaces, settled.due), (vec![eth1.clone()], Some(begun + DOWN)));
        let settled = run.after(DOWN / 2, &found(std::slice::from_ref(&eth1)));
        assert_eq!((settled.interfaces, settled.due), (vec![eth1.clone()], None));

        run.after(NOW, &found(std::slice::from_ref(&gone)));
        let settled = run.after(DOWN, &found(std::slice::from_ref(&gone)));
        assert_eq!((settled.interfaces, settled.due), (vec![down(eth1.clone())], None));
        let settled = run.after(NOW, &found(std::slice::from_ref(&eth1)));
        assert_eq!(settled.interfaces, std::slice::from_ref(&eth1));
    }
}

#[test]
fn an_empty_first_discovery_takes_nothing_away() {
    let all = [nic("eth1", "10.0.1.0/24"), nic("eth2", "10.0.2.0/24")];
    let mut run = Run::new(&all);

    assert_eq!(run.after(NOW, &found(&[])).interfaces, all);
    let later = run.after(DOWN, &found(&[]));

    assert_eq!(later.interfaces, all.map(down));
}

#[test]
fn a_nic_that_is_away_for_a_day_is_gone_and_one_that_is_only_held_is_not() {
    let eth1 = nic("eth1", "10.0.1.0/24");
    let mut run = Run::new(std::slice::from_ref(&eth1));
    run.after(NOW, &found(&[]));
    run.after(DOWN, &found(&[]));

    assert_eq!(run.after(GONE - DOWN * 2, &found(&[])).interfaces.len(), 1);
    assert_eq!(run.after(DOWN, &found(&[])).interfaces, []);

    let mut held = found(&[]);
    held.present.insert("eth1".to_owned());
    let mut run = Run::new(std::slice::from_ref(&eth1));
    run.after(NOW, &held);
    assert_eq!(run.after(GONE * 3, &held).interfaces, [down(eth1)]);
}

#[test]
fn what_the_administrator_excludes_goes_at_once() {
    let mut excluded = found(&[]);
    excluded.excluded.insert("eth1".to_owned());
    let mut run = Run::new(&[nic("eth1", "10.0.1.0/24")]);

    assert_eq!(run.after(NOW, &excluded).interfaces, []);
}

#[test]
fn an_address_of_two_that_goes_is_told_late_and_suspends_nothing() {
    let both = nic("eth1", "10.0.1.0/24 fd00::/64");
    let one = nic("eth1", "10.0.1.0/24");
    let mut run = Run::new(std::slice::from_ref(&both));

    assert_eq!(run.after(NOW, &found(std::slice::from_ref(&one))).interfaces, [both]);
    let settled = run.after(DOWN, &found(std::slice::from_ref(&one)));

    assert_eq!(settled.interfaces, [one]);
}

#[test]
fn what_was_told_stays_told_without_another_write() {
    let gone = down(nic("eth1", "10.0.1.0/24"));
    // As after a restart: nothing is known of when it went.
    let mut run = Run::new(std::slice::from_ref(&gone));

    let settled = run.after(NOW, &found(&[nic("eth1", "")]));

    assert_eq!((settled.interfaces, settled.due), (vec![gone], None));
}

use std::time::{Duration, Instant};

use crds::{DeviceClassSpec, NetworkSpec};
use store::{Identity, Store};

use super::{AGAIN, GRACE, Kind, Known, Object, Said};
use crate::cluster::slice::Slice;

fn network(subnet: &str) -> Object {
    Object::Network(Box::new(NetworkSpec { subnet: subnet.to_owned(), ..NetworkSpec::default() }))
}

fn there(name: &str) -> Said {
    Said::There(name.to_owned(), network("192.168.0.0/16"))
}

fn gone(name: &str) -> Said {
    Said::Gone(name.to_owned())
}

fn names(known: &Known) -> Vec<&str> {
    known.networks.keys().map(String::as_str).collect()
}

fn store(folder: &std::path::Path) -> Store {
    let identity = Identity { machine: "m".to_owned(), boot: "b".to_owned() };
    Store::open(folder, &identity).unwrap().0
}

#[test]
fn what_a_list_no_longer_has_goes_after_a_while_and_what_comes_back_stays() {
    let (mut known, start) = (Known::default(), Instant::now());
    for name in ["red", "blue"] {
        assert!(known.take(Kind::Network, there(name), start));
    }
    assert!(!known.take(Kind::Network, there("red"), start), "nothing new");

    known.take(Kind::Network, Said::Listing, start);
    known.take(Kind::Network, there("red"), start);
    known.take(Kind::Network, Said::Listed, start);
    assert_eq!(known.due(), Some(start + GRACE));
    assert!(known.kinds_due(start).is_empty());
    assert!(!known.let_go(Kind::Network, start) && names(&known) == ["blue", "red"]);

    assert!(known.let_go(Kind::Network, start + GRACE));
    assert_eq!((names(&known), known.due()), (vec!["red"], None));

    known.take(Kind::Network, gone("red"), start);
    known.take(Kind::Network, there("red"), start);
    assert!(!known.let_go(Kind::Network, start + GRACE * 9) && names(&known) == ["red"]);
}

#[test]
fn what_vanished_with_its_definition_stays_as_long_as_the_server_does_not_know_the_kind() {
    let (mut known, start) = (Known::default(), Instant::now());
    known.take(Kind::Network, there("red"), start);
    known.take(Kind::Network, gone("red"), start);
    let mut now = start + GRACE;
    for _ in 0..3 {
        assert_eq!(known.kinds_due(now).into_iter().collect::<Vec<_>>(), [Kind::Network]);
        known.keep(Kind::Network, now);
        assert!(known.kinds_due(now).is_empty());
        now += AGAIN;
    }

    assert_eq!(names(&known), ["red"]);
    assert!(known.let_go(Kind::Network, now) && names(&known).is_empty());
}

#[test]
fn it_is_complete_when_every_kind_that_networks_are_made_of_has_been_listed() {
    let (mut known, now) = (Known::default(), Instant::now());
    for kind in Kind::OF_NETWORKS {
        assert!(!known.is_complete());
        known.take(kind, Said::Listing, now);
        assert!(known.take(kind, Said::Listed, now), "others wait for it");
        assert!(!known.take(kind, Said::Listed, now));
    }
    assert!(known.is_complete());
}

#[test]
fn everything_is_there_after_a_restart_and_is_not_taken_for_complete() {
    let (folder, now) = (tempfile::tempdir().unwrap(), Instant::now());
    let store = store(folder.path());
    let mut known = Known::remembered(Some(&store), "n1");
    let slice = Slice { network: "red".to_owned(), ..Slice::default() };
    known.take(Kind::Network, there("red"), now);
    known.take(Kind::Network, there("blue"), now);
    known.take(Kind::Slice, Said::There("red".to_owned(), Object::Slice(Box::new(slice))), now);
    known.take(Kind::Class, Said::There("fast".to_owned(), Object::Class(DeviceClassSpec::default())), now);
    known.save(Some(&store), "n1");
    known.take(Kind::Network, gone("blue"), now);
    known.let_go(Kind::Network, now + GRACE);
    known.save(Some(&store), "n1");

    let again = Known::remembered(Some(&store), "n1");

    assert_eq!(names(&again), ["red"]);
    assert_eq!((&again.slices, &again.classes), (&known.slices, &known.classes));
    assert_eq!((again.slices.len(), again.classes.len(), again.is_complete()), (1, 1, false));
    let commits = store.counts().commits;
    let mut again = again;
    again.take(Kind::Network, there("red"), now + Duration::from_secs(1));
    again.save(Some(&store), "n1");
    assert_eq!(store.counts().commits, commits, "nothing new, nothing written");

    let mut other = Known::remembered(Some(&store), "n2");
    assert!(names(&other).is_empty() && other.slices.is_empty());
    other.save(Some(&store), "n2");
    assert!(names(&Known::remembered(Some(&store), "n2")).is_empty());
}

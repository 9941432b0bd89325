//! Tests of policies: which PFs they select, and how several on one PF are merged.

use proptest::prelude::*;

use super::*;

fn pf(name: &str) -> ObservedPf {
    let mut pf = ObservedPf::new("0000:01:00.0", "pci");
    pf.name = Some(name.to_owned());
    pf.alt_names = vec!["enp1s0".to_owned()];
    pf.vendor = Some("8086".to_owned());
    pf.device = Some("10c9".to_owned());
    pf
}

fn policy(name: &str, priority: u8, pf_name: &str, count: u16) -> PfPolicy {
    let selector = PfSelector::name(pf_name.parse().unwrap());
    PfPolicy { priority, resource: format!("r_{name}"), ..PfPolicy::new(name, selector, count) }
}

fn ranges(desired: &DesiredPf) -> Vec<(String, u16, u16)> {
    let line = |group: &VfGroup| (group.policy.clone(), *group.range.start(), *group.range.end());
    desired.groups.iter().map(line).collect()
}

#[test]
fn all_keys_of_a_selector_must_fit_and_one_of_each_list() {
    let device = |address: &str| vec![address.parse().unwrap()];
    let names = |text: &str| text.split(' ').map(|name| name.parse().unwrap()).collect();
    let none = PfSelector::default;
    let text = |text: &str| Some(text.to_owned());
    let rows = [
        (none(), false),
        (PfSelector { vendor: text("8086"), ..none() }, true),
        (PfSelector { vendor: text("15B3"), ..none() }, false),
        (PfSelector { vendor: text("8086"), device: text("10C9"), ..none() }, true),
        (PfSelector { vendor: text("8086"), device: text("1521"), ..none() }, false),
        (PfSelector { names: names("eth9 eth1#0-3"), ..none() }, true),
        (PfSelector { names: names("enp1s0"), ..none() }, true),
        (PfSelector { names: names("eth10"), ..none() }, false),
        (PfSelector { devices: device("0000:01:00.0"), ..none() }, true),
        (PfSelector { devices: device("0000:01:00.1"), vendor: text("8086"), ..none() }, false),
        (PfSelector { nics: Some(vec![NicId::new("0000:01:00.0")]), ..none() }, true),
        (PfSelector { nics: Some(Vec::new()), vendor: text("8086"), ..none() }, false),
    ];
    for (selector, selected) in rows {
        assert_eq!(selector.selects(&pf("eth1")), selected, "{selector:?}");
    }
}

#[test]
fn a_range_counts_by_a_further_name_too_and_is_all_vfs_without_one() {
    let of = |name: &str| desired(&[policy("a", 50, name, 4)], &pf("eth1")).map(|desired| ranges(&desired));

    assert_eq!(of("eth1"), Some(vec![("a".to_owned(), 0, 3)]));
    assert_eq!(of("eth1#1-2"), Some(vec![("a".to_owned(), 1, 2)]));
    assert_eq!(of("enp1s0#1-2"), Some(vec![("a".to_owned(), 1, 2)]));
    assert_eq!(of("eth2"), None);
}

#[test]
fn groups_beside_one_another_are_merged_and_the_greater_count_wins() {
    let a = PfPolicy { mtu: Some(9000), ..policy("a", 90, "eth1#0-3", 8) };
    let b = PfPolicy { mtu: Some(1500), driver: VfDriver::vfio(), ..policy("b", 10, "eth1#4-5", 6) };

    let desired = desired(&[b, a], &pf("eth1")).unwrap();

    assert_eq!(ranges(&desired), [("b".to_owned(), 4, 5), ("a".to_owned(), 0, 3)]);
    assert_eq!((desired.count, desired.mtu), (8, Some(9000)));
    assert_eq!(desired.notes, [""; 0]);
}

#[test]
fn the_smaller_priority_number_takes_what_overlaps_and_says_so() {
    let weak = policy("weak", 90, "eth1#0-3", 8);
    let strong = policy("strong", 10, "eth1#2-5", 6);

    let desired = desired(&[strong, weak], &pf("eth1")).unwrap();

    // Nothing of the weaker one stays, so its count does not either.
    assert_eq!((ranges(&desired), desired.count), (vec![("strong".to_owned(), 2, 5)], 6));
    assert_eq!(desired.notes, ["VFs 0-3 of policy weak give way to policy strong"]);
}

#[test]
fn of_equal_priorities_the_last_name_takes_over_and_the_greater_count_stays() {
    let a = policy("a", 50, "eth1#0-3", 8);
    let b = policy("b", 50, "eth1#0-1", 2);

    let desired = desired(&[b, a], &pf("eth1")).unwrap();

    assert_eq!((ranges(&desired), desired.count), (vec![("b".to_owned(), 0, 1)], 8));
}

#[test]
fn the_same_resource_replaces_its_group_and_no_resource_replaces_none() {
    let named = |resource: &str| {
        let a = PfPolicy { resource: resource.to_owned(), ..policy("a", 90, "eth1#0-1", 4) };
        let b = PfPolicy { resource: resource.to_owned(), ..policy("b", 10, "eth1#2-3", 4) };
        ranges(&desired(&[a, b], &pf("eth1")).unwrap()).len()
    };

    assert_eq!((named("nic"), named("")), (1, 2));
}

#[test]
fn a_name_that_is_none_says_why() {
    let rows = [
        ("eth1#", "no `-`"),
        ("eth1#1", "no `-`"),
        ("eth1#a-b", "no numbers"),
        ("eth1#+1-2", "no numbers"),
        ("eth1#3-1", "ends before it begins"),
        ("#0-1", "empty"),
        ("a b", "space"),
    ];
    for (text, said) in rows {
        let error = text.parse::<PfName>().unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("eth1#0-3"), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn names_read_back(name in "[a-z0-9.:]{1,15}", range in proptest::option::of((0u16..100, 0u16..100))) {
        let range = range.map(|(first, length)| first..=first + length);
        let name = PfName { name, range };

        prop_assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[test]
    fn any_text_is_a_name_or_refused_without_panic(text in any::<String>()) {
        let _ = text.parse::<PfName>();
    }

    #[test]
    fn the_order_of_the_policies_is_nothing(
        rows in proptest::collection::vec((0u8..3, 0u16..6, 0u16..3, 1u16..8), 1..6))
    {
        let policies: Vec<PfPolicy> = rows.iter().enumerate().map(|(at, (priority, first, length, count))| {
            policy(&format!("p{at}"), *priority, &format!("eth1#{first}-{}", first + length), *count)
        }).collect();
        let mut turned = policies.clone();
        turned.reverse();

        let (one, other) = (desired(&policies, &pf("eth1")), desired(&turned, &pf("eth1")));

        prop_assert_eq!(&one, &other);
        // Groups never overlap.
        let groups = one.map(|one| one.groups).unwrap_or_default();
        for index in 0..8u16 {
            prop_assert!(groups.iter().filter(|group| group.range.contains(&index)).count() <= 1);
        }
    }
}

use std::collections::{BTreeMap, BTreeSet};

use datapath::host_routes::{Hop, HostRule, Maker, Observed, RouteStep, Standing};
use ipnet::IpNet;
use proptest::prelude::*;

use super::{Delta, Wish, plan};

/// Block `number` of a family.
fn block(number: u8) -> IpNet {
    let text = if number.is_multiple_of(2) {
        format!("192.168.{number}.0/24")
    } else {
        format!("fd10:{number:x}::/72")
    };
    text.parse().unwrap()
}

fn hop(number: u8, link: u32) -> Hop {
    let text =
        if number.is_multiple_of(2) { format!("10.0.1.{number}") } else { format!("fe80::{number:x}") };
    Hop { gateway: text.parse().unwrap(), link }
}

/// What the kernel makes of the steps. It refuses what it would refuse.
fn carry_out(observed: &Observed, steps: &[RouteStep]) -> Observed {
    let mut after = observed.clone();
    for step in steps {
        match *step {
            RouteStep::Add(table, to, hop) => {
                let standing = Standing { hop: Some(hop), maker: Maker::Ours };
                let before = after.tables.entry(table).or_default().insert(to, standing);
                assert_eq!(before, None, "something stands there");
            }
            RouteStep::Replace(table, to, hop) => {
                let standing = Standing { hop: Some(hop), maker: Maker::Ours };
                let before = after.tables.entry(table).or_default().insert(to, standing).unwrap();
                assert_ne!(before.hop.filter(|_| before.maker == Maker::Ours), Some(hop), "nothing changes");
            }
            RouteStep::Remove(table, to) => {
                let before = after.tables.get_mut(&table).unwrap().remove(&to).unwrap();
                assert_eq!(before.maker, Maker::Ours, "not ours to remove");
            }
            RouteStep::AddRule(rule) => assert!(after.rules.insert(rule)),
            RouteStep::RemoveRule(rule) => assert!(after.rules.remove(&rule)),
        }
    }
    after
}

fn maker() -> impl Strategy<Value = Maker> {
    prop_oneof![4 => Just(Maker::Ours), 1 => Just(Maker::Boot), 1 => Just(Maker::Other(186))]
}

fn standing() -> impl Strategy<Value = BTreeMap<IpNet, Standing>> {
    let one = (0u8..12, 0u32..3, maker())
        .prop_map(|(number, link, maker)| (block(number), Standing { hop: Some(hop(number, link)), maker }));
    proptest::collection::vec(one, 0..12).prop_map(|all| all.into_iter().collect())
}

fn wish(table: u32) -> impl Strategy<Value = Wish> {
    let hops = proptest::collection::vec((0u8..12, 0u32..3), 0..12);
    (hops, proptest::collection::vec(0u8..12, 0..4), any::<bool>(), 0usize..3).prop_map(
        move |(hops, waiting, take_over, families)| {
            let waiting: BTreeSet<IpNet> = waiting.into_iter().map(block).collect();
            let hops = hops.into_iter().map(|(number, link)| (block(number), hop(number, link)));
            let hops = hops.filter(|(to, _)| !waiting.contains(to)).collect();
            let subnets = ["192.168.0.0/16", "fd10::/16"][..families].iter().map(|net| net.parse().unwrap());
            Wish { table, priority: 30_000 + table, take_over, sources: subnets.collect(), hops, waiting }
        },
    )
}

fn observed() -> impl Strategy<Value = Observed> {
    let rule = (1u32..5, 0u32..9).prop_map(|(table, priority)| HostRule {
        priority: 30_000 + priority,
        source: "192.168.0.0/16".parse().unwrap(),
        table,
    });
    let tables = proptest::collection::btree_map(1u32..5, standing(), 0..5);
    (proptest::collection::btree_set(rule, 0..4), tables)
        .prop_map(|(rules, tables)| Observed { rules, tables })
}

proptest! {
    #[test]
    fn carried_out_there_is_what_is_wanted_and_nothing_left_to_do(
        observed in observed(), wishes in (wish(1), wish(2)), complete in any::<bool>())
    {
        let wishes = [wishes.0, wishes.1];
        let Delta { steps, foreign } = plan(&observed, &wishes, complete);

        let after = carry_out(&observed, &steps);

        prop_assert_eq!(&plan(&after, &wishes, complete), &Delta { steps: Vec::new(), foreign: foreign.clone() });
        for wish in &wishes {
            for (to, hop) in &wish.hops {
                let stands = after.tables.get(&wish.table).and_then(|table| table.get(to));
                let ours = stands == Some(&Standing { hop: Some(*hop), maker: Maker::Ours });
                prop_assert!(ours != foreign.contains(&(wish.table, *to)), "{} {:?}", to, stands);
            }
        }
        let rules: BTreeSet<HostRule> = wishes.iter().flat_map(super::rules).collect();
        prop_assert!(after.rules.is_superset(&rules));
        if complete {
            prop_assert_eq!(&after.rules, &rules);
        } else {
            prop_assert!(after.rules.is_superset(&observed.rules), "nothing is taken away");
        }
        for (table, standing) in &observed.tables {
            let wish = wishes.iter().find(|wish| wish.table == *table);
            for (to, is) in standing {
                let kept = after.tables[table].get(to);
                match is.maker {
                    Maker::Ours if complete => {
                        let wanted = wish.is_some_and(|wish| wish.hops.contains_key(to) || wish.waiting.contains(to));
                        prop_assert_eq!(kept.is_some(), wanted);
                    }
                    Maker::Ours => prop_assert!(kept.is_some()),
                    Maker::Boot if wish.is_some_and(|wish| wish.take_over && wish.hops.contains_key(to)) => {}
                    Maker::Boot | Maker::Other(_) => prop_assert_eq!(kept, Some(is), "not ours"),
                }
            }
        }
    }
}

#[test]
fn a_rule_goes_before_its_routes_and_comes_after_them() {
    let rule = |table| HostRule { priority: 30_000, source: "192.168.0.0/16".parse().unwrap(), table };
    let ours = Standing { hop: Some(hop(2, 7)), maker: Maker::Ours };
    let observed = Observed { rules: [rule(1)].into(), tables: [(1, [(block(2), ours)].into())].into() };
    let wish = Wish {
        table: 2,
        priority: 30_000,
        sources: vec!["192.168.0.0/16".parse().unwrap()],
        hops: [(block(2), hop(2, 7))].into(),
        ..Wish::default()
    };

    let steps = plan(&observed, &[wish], true).steps;

    let wanted = [
        RouteStep::RemoveRule(rule(1)),
        RouteStep::Add(2, block(2), hop(2, 7)),
        RouteStep::Remove(1, block(2)),
        RouteStep::AddRule(rule(2)),
    ];
    assert_eq!(steps, wanted);
}

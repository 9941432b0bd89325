use super::*;

const NETWORK: &str = "n";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| net(text)).collect()
}

fn owner(number: u32) -> Owner {
    Owner {
        network: NETWORK.to_owned(),
        container_id: format!("c{number}"),
        ifname: "net1".to_owned(),
        index: 0,
    }
}

fn allocator(block: &str, excludes: &[&str]) -> Allocator {
    let mut allocator = Allocator::new(60);
    allocator.set_block(NETWORK, net(block), &nets(excludes));
    allocator
}

fn next(allocator: &mut Allocator, block: &str, number: u32) -> IpAddr {
    allocator.reserve(net(block), &owner(number), Wish::Any, 0).unwrap().change.address
}

fn exactly(
    allocator: &mut Allocator,
    block: &str,
    number: u32,
    address: &str,
) -> Result<IpAddr, ReserveError> {
    let reserved = allocator.reserve(net(block), &owner(number), Wish::Exactly(ip(address)), 0);
    reserved.map(|reserved| reserved.change.address)
}

fn give_back(allocator: &mut Allocator, block: &str, number: u32, address: &str, now: u64) -> bool {
    let change = allocator.released(net(block), ip(address), &owner(number), now);
    change.is_some_and(|change| allocator.release(&change))
}

fn expired(allocator: &mut Allocator, now: u64) -> Vec<IpAddr> {
    allocator.expire(now).into_iter().map(|change| change.address).collect()
}

#[test]
fn the_predecessors_next_free_addresses() {
    // Used 1, 2, 3, 8, 13, 18 and the excludes of each row (CONTRACTS §5.7); the search begins at 1.
    let rows: [(&[&str], &str); 4] = [
        (&[], "192.168.0.4"),
        (&["192.168.0.4/31", "192.168.0.6/32"], "192.168.0.7"),
        (&["192.168.0.4/30"], "192.168.0.9"),
        (&["192.168.0.4/30", "192.168.0.9/32", "192.168.0.10/31", "192.168.0.12/32"], "192.168.0.14"),
    ];
    for (excludes, wanted) in rows {
        let mut allocator = allocator("192.168.0.0/24", &[]);
        for used in [1, 2, 3, 8, 13, 18] {
            exactly(&mut allocator, "192.168.0.0/24", used, &format!("192.168.0.{used}")).unwrap();
        }
        allocator.set_block(NETWORK, net("192.168.0.0/24"), &nets(excludes));
        assert_eq!(next(&mut allocator, "192.168.0.0/24", 99), ip(wanted), "{excludes:?}");
    }
}

#[test]
fn the_search_goes_on_behind_the_last_one_and_begins_anew_at_the_end() {
    let block = "10.0.0.0/28";
    let mut allocator = allocator(block, &["10.0.0.6/31"]);
    let first: Vec<IpAddr> = (1..=12).map(|number| next(&mut allocator, block, number)).collect();
    assert_eq!(
        (first[0], first[4], first[5], first[11]),
        (ip("10.0.0.1"), ip("10.0.0.5"), ip("10.0.0.8"), ip("10.0.0.14"))
    );
    for (number, address) in [(2, "10.0.0.2"), (9, "10.0.0.11")] {
        assert!(give_back(&mut allocator, block, number, address, 0));
    }
    assert_eq!(expired(&mut allocator, 60).len(), 2);

    assert_eq!(next(&mut allocator, block, 20), ip("10.0.0.2"));
    assert!(give_back(&mut allocator, block, 1, "10.0.0.1", 0));
    expired(&mut allocator, 60);
    assert_eq!(
        next(&mut allocator, block, 21),
        ip("10.0.0.11"),
        "behind the last one, though 10.0.0.1 is free"
    );
    assert_eq!(next(&mut allocator, block, 22), ip("10.0.0.1"));
}

#[test]
fn every_address_but_the_ends_is_given_once_and_then_it_is_full() {
    let block = "192.168.0.0/28";
    let mut allocator = allocator(block, &[]);
    let given: Vec<IpAddr> = (0..14).map(|number| next(&mut allocator, block, number)).collect();

    assert_eq!((given[0], given[13]), (ip("192.168.0.1"), ip("192.168.0.14")));
    assert_eq!(
        allocator.reserve(net(block), &owner(99), Wish::Any, 0).unwrap_err().to_string(),
        "block 192.168.0.0/28 is full: 14 of 16 addresses are held, 2 reserved, 0 in quarantine"
    );
}

#[test]
fn a_given_back_address_rests_until_nothing_else_is_free_or_its_time_is_over() {
    let block = "192.168.0.0/29";
    let mut allocator = allocator(block, &[]);
    for number in 1..=3 {
        next(&mut allocator, block, number);
    }
    assert!(give_back(&mut allocator, block, 2, "192.168.0.2", 0));
    assert!(give_back(&mut allocator, block, 1, "192.168.0.1", 1));
    for (number, wanted) in [(4, "192.168.0.4"), (5, "192.168.0.5"), (6, "192.168.0.6")] {
        assert_eq!(next(&mut allocator, block, number), ip(wanted));
    }

    let rested = allocator.reserve(net(block), &owner(7), Wish::Any, 10).unwrap();

    assert_eq!(
        (rested.change.address, rested.rested()),
        (ip("192.168.0.2"), Some(60)),
        "the longest resting one"
    );
    assert_eq!(allocator.usage(NETWORK, net(block)).unwrap().quarantined, 1);
    assert_eq!((expired(&mut allocator, 60), expired(&mut allocator, 61)), (vec![], vec![ip("192.168.0.1")]));
    assert_eq!(allocator.usage(NETWORK, net(block)).unwrap().free, 1);
}

#[test]
fn a_cancelled_reservation_leaves_everything_as_it_was() {
    let block = "192.168.0.0/29";
    let mut allocator = allocator(block, &[]);
    exactly(&mut allocator, block, 1, "192.168.0.3").unwrap();
    give_back(&mut allocator, block, 1, "192.168.0.3", 100);
    let before = allocator.usage(NETWORK, net(block));

    for wish in [Wish::Exactly(ip("192.168.0.3")), Wish::Exactly(ip("192.168.0.4")), Wish::Any] {
        let reserved = allocator.reserve(net(block), &owner(2), wish, 101).unwrap();
        allocator.cancel(&reserved);
        assert_eq!(allocator.usage(NETWORK, net(block)), before, "{wish:?}");
        // A second time it is somebody else's business.
        let again =
            allocator.reserve(net(block), &owner(3), Wish::Exactly(reserved.change.address), 101).unwrap();
        allocator.cancel(&reserved);
        assert_eq!(allocator.usage(NETWORK, net(block)).unwrap().used, 1, "{wish:?}");
        allocator.cancel(&again);
    }
    assert_eq!(
        (expired(&mut allocator, 159), expired(&mut allocator, 160)),
        (vec![], vec![ip("192.168.0.3")])
    );
}

#[test]
fn only_who_holds_an_address_gives_it_back() {
    let block = "192.168.0.0/29";
    let mut allocator = allocator(block, &[]);
    let mut change = allocator.reserve(net(block), &owner(1), Wish::Any, 0).unwrap().change;
    let late = allocator.released(net(block), ip("192.168.0.1"), &owner(1), 0).unwrap();

    assert!(!give_back(&mut allocator, block, 2, "192.168.0.1", 0), "another owner");
    assert!(!give_back(&mut allocator, block, 1, "192.168.0.2", 0), "another address");
    assert!(!give_back(&mut allocator, "192.168.0.8/29", 1, "192.168.0.1", 0), "another block");
    assert!(give_back(&mut allocator, block, 1, "192.168.0.1", 0));
    assert!(!give_back(&mut allocator, block, 1, "192.168.0.1", 0), "twice");
    exactly(&mut allocator, block, 3, "192.168.0.1").unwrap();
    assert!(!allocator.release(&late), "somebody else has it by now");
    change.state = State::Free;
    assert!(!allocator.release(&change), "no release");
    assert!(matches!(exactly(&mut allocator, block, 4, "192.168.0.1"), Err(ReserveError::Held { .. })));
}

#[test]
fn a_clock_that_goes_back_does_not_make_an_address_rest_for_ever() {
    let block = "192.168.0.0/29";
    let mut allocator = allocator(block, &[]);
    for number in 1..=6 {
        next(&mut allocator, block, number);
    }
    give_back(&mut allocator, block, 1, "192.168.0.1", 1_000_000);
    give_back(&mut allocator, block, 2, "192.168.0.2", 100);

    // What was given back first is given first, whatever the clock said.
    assert_eq!(next(&mut allocator, block, 7), ip("192.168.0.1"));
    assert_eq!(
        (expired(&mut allocator, 50), expired(&mut allocator, 110)),
        (vec![], vec![ip("192.168.0.2")])
    );
}

#[test]
fn what_cannot_be_given_is_refused_with_its_reason() {
    let block = "10.0.0.0/28";
    let excludes = ["10.0.0.0/30", "10.0.0.2/31", "10.0.0.12/30", "11.0.0.0/8"];
    let rows = [
        (
            "10.0.0.13",
            "address 10.0.0.13 of block 10.0.0.0/28 is reserved (an end of the block) or in excludeCIDRs",
        ),
        (
            "10.0.0.15",
            "address 10.0.0.15 of block 10.0.0.0/28 is reserved (an end of the block) or in excludeCIDRs",
        ),
        ("10.0.0.4", "address 10.0.0.4 is held by another attachment"),
        ("10.0.1.4", "address 10.0.1.4 is not in block 10.0.0.0/28; ask for one that is"),
        ("fd00::1", "address fd00::1 is not in block 10.0.0.0/28; ask for one that is"),
    ];
    for (address, wanted) in rows {
        let mut allocator = allocator(block, &excludes);
        let free = Usage { total: 16, reserved: 8, used: 0, quarantined: 0, free: 8 };
        assert_eq!(allocator.usage(NETWORK, net(block)), Some(free));
        assert_eq!(next(&mut allocator, block, 1), ip("10.0.0.4"));

        assert_eq!(exactly(&mut allocator, block, 2, address).unwrap_err().to_string(), wanted);
        let any = allocator.reserve(net(block), &owner(2), Wish::Prefer(ip(address)), 0).unwrap();
        assert_eq!(any.change.address, ip("10.0.0.5"), "what is only preferred is no must: {address}");
    }
    let error = exactly(&mut allocator(block, &[]), "10.0.0.16/28", 2, "10.0.0.17").unwrap_err();
    assert_eq!(error.to_string(), "network n has no block 10.0.0.16/28 on this node");
}

#[test]
fn a_preferred_address_is_given_when_it_is_free_or_rests() {
    let block = "10.0.0.0/28";
    let mut allocator = allocator(block, &[]);
    exactly(&mut allocator, block, 1, "10.0.0.9").unwrap();
    give_back(&mut allocator, block, 1, "10.0.0.9", 0);

    for (wished, rested) in [("10.0.0.9", Some(60)), ("10.0.0.12", None)] {
        let reserved = allocator.reserve(net(block), &owner(2), Wish::Prefer(ip(wished)), 1).unwrap();
        assert_eq!((reserved.change.address, reserved.rested()), (ip(wished), rested));
    }
    assert_eq!(next(&mut allocator, block, 3), ip("10.0.0.1"), "wishes do not move the search");
}

#[test]
fn an_ipv6_block_is_as_good_as_endless() {
    let block = "fd10:20::/72";
    let mut allocator = allocator(block, &["fd10:20::/74"]);

    assert_eq!(next(&mut allocator, block, 1), ip("fd10:20:0:0:40::"));
    let usage = allocator.usage(NETWORK, net(block)).unwrap();
    assert_eq!((usage.used, usage.total), (1, 1 << 56));
    let last = "fd10:20::ff:ffff:ffff:ff";
    for (end, wanted) in [("7f", true), ("80", false), ("ff", false)] {
        assert_eq!(exactly(&mut allocator, block, 2, &format!("{last}{end}")).is_ok(), wanted, "{end}");
    }
}

#[test]
fn held_addresses_that_a_new_exclude_covers_are_told_and_kept() {
    // CONTRACTS §5.6: excludes [10.0.1.0/24], allocations 10.0.1.1 and 10.0.2.1.
    let block = "10.0.0.0/16";
    let mut allocator = allocator(block, &[]);
    for (number, address) in [(1, "10.0.1.1"), (2, "10.0.2.1"), (3, "10.0.1.2")] {
        exactly(&mut allocator, block, number, address).unwrap();
    }
    give_back(&mut allocator, block, 3, "10.0.1.2", 0);

    assert_eq!(allocator.set_block(NETWORK, net(block), &nets(&["10.0.1.0/24"])), [ip("10.0.1.1")]);

    assert!(give_back(&mut allocator, block, 1, "10.0.1.1", 0));
    assert!(matches!(exactly(&mut allocator, block, 4, "10.0.1.1"), Err(ReserveError::Reserved { .. })));
}

#[test]
fn blocks_that_change_while_pods_live_never_give_an_address_twice() {
    let (before, after) = ("10.0.0.0/28", "10.0.0.0/29");
    let mut allocator = allocator(before, &[]);
    for number in 1..=3 {
        next(&mut allocator, before, number);
    }
    give_back(&mut allocator, before, 2, "10.0.0.2", 0);

    allocator.set_block(NETWORK, net(after), &[]);
    allocator.retain_blocks(|_, block| block == net(after));

    assert_eq!(allocator.blocks().collect::<Vec<_>>(), [(NETWORK, net(after))]);
    assert!(matches!(exactly(&mut allocator, before, 9, "10.0.0.9"), Err(ReserveError::NoBlock { .. })));
    assert!(matches!(exactly(&mut allocator, after, 9, "10.0.0.2"), Err(ReserveError::Resting { .. })));
    let usage = Usage { total: 8, reserved: 2, used: 2, quarantined: 1, free: 3 };
    assert_eq!(allocator.usage(NETWORK, net(after)), Some(usage));
    let given: Vec<IpAddr> = (4..=6).map(|number| next(&mut allocator, after, number)).collect();
    assert_eq!(given, ["10.0.0.4", "10.0.0.5", "10.0.0.6"].map(ip));
    allocator.reserve(net(after), &owner(9), Wish::Any, 0).unwrap_err();

    // A pod of before gives back under the name of the block that it knows, and then it can be given again.
    assert!(give_back(&mut allocator, before, 1, "10.0.0.1", 0));
    let freed: Vec<(IpNet, IpAddr)> =
        allocator.expire(60).into_iter().map(|change| (change.block, change.address)).collect();
    assert_eq!(freed, [(net(before), ip("10.0.0.1")), (net(before), ip("10.0.0.2"))]);
    assert_eq!(next(&mut allocator, after, 7), ip("10.0.0.1"));
    for number in [3, 4, 5, 6, 7] {
        let address = if number == 7 { 1 } else { number };
        assert!(give_back(&mut allocator, after, number, &format!("10.0.0.{address}"), 0), "{number}");
    }
    expired(&mut allocator, 60);
    allocator.retain_blocks(|_, _| false);
    assert!(allocator.networks.is_empty());
}

#[test]
fn blocks_of_a_network_are_counted_each_for_itself() {
    let (low, high) = ("10.0.0.0/28", "10.0.0.16/28");
    let mut allocator = allocator(low, &[]);
    allocator.set_block(NETWORK, net(high), &[]);
    allocator.set_block(NETWORK, net("fd00::/64"), &[]);
    for number in 1..=3 {
        next(&mut allocator, low, number);
        next(&mut allocator, high, number + 10);
        next(&mut allocator, "fd00::/64", number + 20);
    }
    give_back(&mut allocator, low, 1, "10.0.0.1", 0);
    give_back(&mut allocator, "fd00::/64", 21, "fd00::1", 0);

    let of = |block: &str| allocator.usage(NETWORK, net(block)).map(|usage| (usage.used, usage.quarantined));
    assert_eq!((of(low), of(high), of("fd00::/64")), (Some((2, 1)), Some((3, 0)), Some((2, 1))));
    assert_eq!(of("10.0.0.32/28"), None);
}

#[test]
fn rows_are_taken_in_whatever_their_order_and_contradictions_are_told() {
    let block = net("10.0.0.0/28");
    let row = |address: &str, state: State| Change {
        network: NETWORK.to_owned(),
        block,
        address: ip(address),
        state,
    };
    let held = |number: u32| State::Held { owner: owner(number), since: 0 };
    let resting = |until: u64| State::Resting { until, last_owner: owner(0) };
    let rows = [
        row("10.0.0.1", resting(60)),
        row("10.0.0.2", resting(60)),
        row("10.0.0.2", held(2)),
        row("10.0.0.3", held(3)),
        row("10.0.0.3", held(4)),
        row("10.0.1.1", held(5)),
        row("10.0.0.15", held(6)),
    ];
    let mut allocator = Allocator::new(60);

    let refused = allocator.restore(&rows);

    assert_eq!(refused, [rows[4].clone(), rows[5].clone(), rows[1].clone()]);
    assert_eq!(allocator.blocks().count(), 0, "a block that only the ledger knows gives nothing");
    allocator.set_block(NETWORK, block, &[]);
    let usage = allocator.usage(NETWORK, block).unwrap();
    assert_eq!((usage.used, usage.quarantined, usage.free), (3, 1, 11));
    assert!(
        give_back(&mut allocator, "10.0.0.0/28", 6, "10.0.0.15", 0),
        "what was once given can be given back"
    );
    assert_eq!(expired(&mut allocator, 60), [ip("10.0.0.1"), ip("10.0.0.15")]);
}

use hwprobe::{IpInterface, LinkFacts, NicKind, Node, Protection, ProtectionReason, SpeedMbps};
use proptest::prelude::{Just, Strategy as _, prop_assert_eq, proptest};

use super::*;
use crate::network::NetworkInterface;

fn nic(name: &str, ifindex: u32, address: Option<&str>) -> Nic {
    let mut nic = Nic::new(NicId::new(format!("0000:0{ifindex}:00.0")), NicKind::Physical);
    nic.hardware = true;
    nic.name = Some(name.to_owned());
    nic.generation = Generation::new(Some(ifindex), None);
    let mut link = LinkFacts::new(1500, 1);
    (link.admin_up, link.carrier) = (true, Some(true));
    nic.link = Some(link);
    nic.secondary.is_secondary = true;
    let net = address.map(|text| text.parse::<IpNet>().unwrap());
    nic.addresses =
        net.map(|net| IpInterface::new(net.addr(), net.prefix_len(), "global")).into_iter().collect();
    nic
}

fn machine(nics: Vec<Nic>) -> Inventory {
    Inventory::new(Node::default(), nics)
}

/// The predecessor's pool of its own tests, and a rail without an address.
fn three() -> Inventory {
    machine(vec![
        nic("eth3", 3, None),
        nic("test-eth2", 2, Some("10.244.1.7/24")),
        nic("test-eth1", 1, Some("10.244.0.7/24")),
    ])
}

fn chosen(inventory: &Inventory, wish: &Wish) -> Result<Vec<String>, SelectError> {
    with(inventory, wish, None, &Usage::default())
}

fn with(
    inventory: &Inventory,
    wish: &Wish,
    network: Option<&Network>,
    usage: &Usage,
) -> Result<Vec<String>, SelectError> {
    let classes = BTreeMap::new();
    let known = Known { inventory, network, classes: &classes, usage };
    select(&known, wish).map(|found| found.chosen.into_iter().map(|nic| nic.master).collect())
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn names(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn ipvlan(mode: &str) -> LinkUse {
    LinkUse::Ipvlan { mode: mode.to_owned(), flag: "bridge".to_owned() }
}

#[test]
fn without_a_wish_all_come_by_net_address_and_then_by_name() {
    assert_eq!(chosen(&three(), &Wish::default()).unwrap(), ["test-eth1", "test-eth2", "eth3"]);
}

#[test]
fn the_count_cuts_and_zero_does_not() {
    let wish = |count| Wish { count: Some(count), ..Wish::default() };

    assert_eq!(chosen(&three(), &wish(1)).unwrap(), ["test-eth1"]);
    assert_eq!(chosen(&three(), &wish(0)).unwrap().len(), 3);
    assert_eq!(chosen(&three(), &wish(9)).unwrap().len(), 3);
}

#[test]
fn master_nets_give_the_order_and_leave_out_the_rest() {
    let wish = Wish { master_nets: nets(&["10.244.1.0/24", "10.244.0.0/24"]), ..Wish::default() };

    assert_eq!(chosen(&three(), &wish).unwrap(), ["test-eth2", "test-eth1"]);
}

#[test]
fn two_nics_on_one_subnet_are_two_nics() {
    let machine = machine(vec![nic("a", 1, Some("10.0.0.1/24")), nic("b", 2, Some("10.0.0.2/24"))]);
    let wish = Wish { master_nets: nets(&["10.0.0.0/24"]), ..Wish::default() };

    assert_eq!(chosen(&machine, &wish).unwrap(), ["a", "b"]);
}

#[test]
fn the_count_is_not_used_up_by_what_is_left_out() {
    let mut machine = three();
    machine.nics[2].link.as_mut().unwrap().admin_up = false;
    let wish =
        Wish { count: Some(1), master_nets: nets(&["10.244.0.0/24", "10.244.1.0/24"]), ..Wish::default() };

    assert_eq!(chosen(&machine, &wish).unwrap(), ["test-eth2"]);
}

#[test]
fn masters_come_in_their_order_and_win_over_master_nets() {
    let wish = Wish {
        masters: names(&["eth3", "test-eth1"]),
        master_nets: nets(&["10.244.1.0/24"]),
        ..Wish::default()
    };

    assert_eq!(chosen(&three(), &wish).unwrap(), ["eth3", "test-eth1"]);
}

#[test]
fn an_unknown_master_is_an_error_that_names_the_usable_ones() {
    let wish = Wish { masters: names(&["eth9"]), ..Wish::default() };

    let text = chosen(&three(), &wish).unwrap_err().to_string();

    assert_eq!(
        text,
        "masters: `eth9` cannot be used: this node has no such NIC; usable here: test-eth1, test-eth2, eth3"
    );
}

#[test]
fn a_master_that_is_down_is_an_error_that_says_so() {
    let mut machine = three();
    machine.nics[0].link.as_mut().unwrap().admin_up = false;
    let wish = Wish { masters: names(&["eth3"]), ..Wish::default() };

    let text = chosen(&machine, &wish).unwrap_err().to_string();

    assert!(text.contains("`eth3` cannot be used: it is down"), "{text}");
}

#[test]
fn the_uplink_is_shared_only_where_the_network_says_so_and_never_given_whole() {
    let mut machine = machine(vec![nic("eth0", 1, Some("10.0.0.1/24"))]);
    let path = vec!["default route (table 254)".to_owned(), "eth0".to_owned()];
    machine.nics[0].protected = Some(Protection::new(ProtectionReason::DefaultRoute, path));
    machine.nics[0].secondary.is_secondary = false;
    machine.nics[0].secondary.reasons = vec![hwprobe::NotSecondary::Protected];
    let network = Network { allow_uplink: true, ..Network::default() };
    let wish = |link| Wish { link, ..Wish::default() };
    let usage = Usage::default();

    let text = chosen(&machine, &wish(ipvlan("l2"))).unwrap_err().to_string();
    assert!(text.contains("eth0: it carries the node (default route (table 254) > eth0)"), "{text}");
    assert_eq!(with(&machine, &wish(ipvlan("l2")), Some(&network), &usage).unwrap(), ["eth0"]);
    assert!(with(&machine, &wish(LinkUse::Whole), Some(&network), &usage).is_err());
}

#[test]
fn planned_interfaces_are_the_pool_in_the_order_of_the_plan() {
    let interface = |name: &str, number: u32| NetworkInterface {
        master: name.to_owned(),
        nic: Some(NicId::new(format!("0000:0{number}:00.0"))),
        ..NetworkInterface::default()
    };
    let network =
        Network { interfaces: vec![interface("eth3", 3), interface("test-eth1", 1)], ..Network::default() };

    let found = with(&three(), &Wish::default(), Some(&network), &Usage::default());

    assert_eq!(found.unwrap(), ["eth3", "test-eth1"]);
}

#[test]
fn highspeed_takes_the_fast_ones_and_an_unknown_class_names_the_known_ones() {
    let mut machine = three();
    machine.nics[1].speed.mbps = SpeedMbps::new(400_000);
    machine.nics[1].speed.class = hwprobe::SpeedClass::High;
    let wish = |class: &str| Wish { classes: vec![class.to_owned()], ..Wish::default() };

    assert_eq!(chosen(&machine, &wish("highspeed")).unwrap(), ["test-eth2"]);
    assert_eq!(
        chosen(&machine, &wish("gold")).unwrap_err().to_string(),
        "class: there is no device class `gold`; defined here: highspeed"
    );
}

#[test]
fn allocated_devices_are_the_answer_whatever_else_is_wished() {
    let wish = Wish { devices: names(&["0000:03:00.0"]), masters: names(&["test-eth1"]), ..Wish::default() };
    let missing = Wish { devices: names(&["0000:09:00.0"]), ..Wish::default() };

    assert_eq!(chosen(&three(), &wish).unwrap(), ["eth3"]);
    assert!(chosen(&three(), &missing).unwrap_err().to_string().contains("0000:09:00.0"));
}

#[test]
fn uses_that_exclude_one_another_are_refused_with_the_other_network() {
    let macvlan = |passthru| LinkUse::Macvlan { passthru };
    let rows = [
        (ipvlan("l2"), ipvlan("l2"), None),
        (macvlan(false), macvlan(false), None),
        (
            macvlan(false),
            ipvlan("l3"),
            Some("eth3 already carries macvlan of network b; ipvlan cannot share it"),
        ),
        (
            ipvlan("l3"),
            macvlan(false),
            Some("eth3 already carries ipvlan of network b; macvlan cannot share it"),
        ),
        (ipvlan("l2"), ipvlan("l3"), Some("ipvlan l3 bridge cannot share it")),
        (
            macvlan(true),
            macvlan(false),
            Some("macvlan passthru of network b; another macvlan cannot share it"),
        ),
        (macvlan(false), macvlan(true), Some("macvlan of network b; macvlan passthru cannot share it")),
        (LinkUse::Whole, ipvlan("l2"), Some("eth3 is given whole")),
        (ipvlan("l2"), LinkUse::Whole, Some("it cannot be given whole")),
    ];
    for (there, wanted, refusal) in rows {
        let machine = machine(vec![nic("eth3", 3, None)]);
        let mut usage = Usage::default();
        usage.add(&NicId::new("0000:03:00.0"), "b", &there);
        let found = with(&machine, &Wish { link: wanted, ..Wish::default() }, None, &usage);
        match refusal {
            None => assert_eq!(found.unwrap(), ["eth3"]),
            Some(words) => assert!(found.unwrap_err().to_string().contains(words), "{there:?}: {words}"),
        }
    }
}

#[test]
fn with_a_count_a_taken_nic_is_passed_over() {
    let mut usage = Usage::default();
    usage.add(&NicId::new("0000:01:00.0"), "b", &LinkUse::Whole);
    let wish = |count| Wish { count, link: LinkUse::Whole, ..Wish::default() };

    assert_eq!(with(&three(), &wish(Some(2)), None, &usage).unwrap(), ["test-eth2", "eth3"]);
    assert!(with(&three(), &wish(Some(3)), None, &usage).is_err());
    assert!(with(&three(), &wish(None), None, &usage).is_err());
}

proptest! {
    #[test]
    fn every_nic_is_chosen_or_left_out_once_in_any_order_of_the_inventory(
        order in Just((1u32..7).collect::<Vec<_>>()).prop_shuffle(), count in 0u32..8, down in 0u32..8)
    {
        let build = |order: &[u32]| {
            machine(order.iter().map(|number| {
                let address = format!("10.0.{}.1/24", number / 2);
                let mut nic = nic(&format!("eth{number}"), *number, Some(&address));
                nic.link.as_mut().unwrap().admin_up = *number != down;
                nic
            }).collect())
        };
        let wish = Wish { count: Some(count), ..Wish::default() };
        let (usage, classes) = (Usage::default(), BTreeMap::new());
        let of = |inventory: &Inventory| {
            let known = Known { inventory, network: None, classes: &classes, usage: &usage };
            select(&known, &wish).unwrap()
        };

        let found = of(&build(&order));

        let mut all: Vec<NicId> = found.chosen.iter().map(|nic| nic.nic.clone()).collect();
        all.extend(found.left_out.iter().map(|nic| nic.nic.clone()));
        all.sort();
        prop_assert_eq!(all.len(), 6);
        all.dedup();
        prop_assert_eq!(all.len(), 6);
        let sorted: Vec<u32> = (1..7).collect();
        prop_assert_eq!(found.chosen, of(&build(&sorted)).chosen);
    }
}

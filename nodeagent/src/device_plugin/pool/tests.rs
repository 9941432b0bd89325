use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hwprobe::{Failure, Held, HeldBy, Inventory, NicId, PodHolder};
use proptest::prelude::*;

use super::super::samples::{card, find, machine, pool};
use super::{Device, Fault, Patience, Pool, View};
use crate::podresources::Holdings;

const RESOURCE: &str = "multinic.fms.io/vfs";

const PATIENCE: Patience =
    Patience { unhealthy_after: Duration::from_secs(2), healthy_after: Duration::from_secs(15) };

/// A pool under test, with its time.
struct Bench {
    pool: Pool,
    start: Instant,
}

impl Bench {
    fn new(config: &str) -> Self {
        Self { pool: Pool::new(Arc::new(pool(config)), RESOURCE, PATIENCE), start: Instant::now() }
    }

    fn see(&mut self, millis: u64, inventory: &Inventory, holdings: &Holdings) -> Vec<Device> {
        let (attached, granted) = (BTreeSet::new(), BTreeSet::new());
        let view = View { inventory, holdings, attached: &attached, granted: &granted };
        let mut claimed = BTreeSet::new();
        self.pool.see(&view, &BTreeMap::new(), &mut claimed, self.start + Duration::from_millis(millis));
        self.pool.list()
    }
}

fn holds(resource: &str, ids: &[&str]) -> Holdings {
    let mut holdings = Holdings::default();
    for id in ids {
        holdings.insert(PodHolder::new(resource.to_owned(), (*id).to_owned()));
    }
    holdings
}

fn ids(list: &[Device]) -> Vec<&str> {
    list.iter().map(|device| device.id.as_str()).collect()
}

fn healthy(list: &[Device]) -> Vec<&str> {
    list.iter().filter(|device| device.healthy).map(|device| device.id.as_str()).collect()
}

#[test]
fn the_pool_has_what_its_selectors_say_with_numa_node_and_port() {
    let mut bench = Bench::new(
        "{ name: vfs, selectors: [{ pfNames: [\"a#1-2\"] }, { rootDevices: [\"0000:81:00.0#0\"] }] }",
    );

    let list =
        bench.see(0, &machine(vec![card(0x41, "a", 0, 4), card(0x81, "b", 1, 4)]), &Holdings::default());

    assert_eq!(healthy(&list), ["0000:41:10.1", "0000:41:10.2", "0000:81:10.0"]);
    assert_eq!((list[2].numa, list[2].port.as_str()), (Some(1), "0000:81:00.0"));
}

#[test]
fn two_seconds_without_carrier_on_the_pf_withdraw_its_vfs_and_fifteen_with_bring_them_back() {
    let mut bench = Bench::new("{ name: vfs }");
    let whole = machine(vec![card(0x41, "a", 0, 2), card(0x81, "b", 1, 1)]);
    let mut cut = whole.clone();
    find(&mut cut, "0000:41:00.0").link.as_mut().unwrap().carrier = Some(false);
    let nobody = Holdings::default();

    assert_eq!(healthy(&bench.see(0, &whole, &nobody)).len(), 3);
    assert_eq!(healthy(&bench.see(1000, &cut, &nobody)).len(), 3);
    assert_eq!(bench.pool.due(), Some(bench.start + Duration::from_millis(3000)));
    let list = bench.see(3000, &cut, &nobody);
    assert_eq!(healthy(&list), ["0000:81:10.0"]);
    assert_eq!(list[0].fault, Some(Fault::NoCarrier { port: "a".to_owned() }));
    assert_eq!(healthy(&bench.see(5000, &whole, &nobody)).len(), 1);
    assert_eq!(healthy(&bench.see(19_999, &whole, &nobody)).len(), 1);
    assert_eq!(healthy(&bench.see(20_000, &whole, &nobody)).len(), 3);
}

#[test]
fn what_is_bound_to_the_wrong_driver_is_not_offered() {
    let mut whole = machine(vec![card(0x41, "a", 0, 2)]);
    let vf = find(&mut whole, "0000:41:10.1");
    vf.driver.as_mut().unwrap().name = "vfio-pci".to_owned();
    vf.link = None;

    let netdevice = Bench::new("{ name: vfs }").see(0, &whole, &Holdings::default());
    let vfio = Bench::new("{ name: vfs, use: vfio }").see(0, &whole, &Holdings::default());

    assert_eq!(healthy(&netdevice), ["0000:41:10.0"]);
    assert_eq!(healthy(&vfio), ["0000:41:10.1"]);
    assert_eq!(ids(&netdevice), ids(&vfio));
}

#[test]
fn user_space_gets_no_device_without_an_iommu_group_of_its_own() {
    let mut whole = machine(vec![card(0x41, "a", 0, 3)]);
    for (id, group) in [("0000:41:10.0", None), ("0000:41:10.1", Some(0x41)), ("0000:41:10.2", Some(7))] {
        let vf = find(&mut whole, id);
        vf.driver.as_mut().unwrap().name = "vfio-pci".to_owned();
        vf.iommu_group = group;
    }

    let list = Bench::new("{ name: vfs, use: vfio }").see(0, &whole, &Holdings::default());

    assert_eq!(healthy(&list), ["0000:41:10.2"]);
    assert_eq!(list[0].fault, Some(Fault::NoIommu));
    assert_eq!(list[1].fault, Some(Fault::SharedGroup { group: 0x41 }));
}

#[test]
fn the_first_list_has_what_pods_hold_even_if_it_is_not_there() {
    let mut bench = Bench::new("{ name: vfs }");
    let held = holds(RESOURCE, &["0000:41:10.0", "0000:41:10.7"]);

    let list = bench.see(0, &machine(vec![card(0x41, "a", 0, 1)]), &held);

    assert_eq!(ids(&list), ["0000:41:10.0", "0000:41:10.7"]);
    assert_eq!(list[1].fault, Some(Fault::Gone));
    assert!(list.iter().all(|device| device.held));
    assert_eq!(healthy(&list), ["0000:41:10.0"]);
    // Once its pod is gone, so is it.
    assert_eq!(
        ids(&bench.see(10, &machine(vec![card(0x41, "a", 0, 1)]), &Holdings::default())),
        ["0000:41:10.0"]
    );
}

#[test]
fn a_vf_in_its_pod_is_well_and_one_in_another_namespace_is_taken() {
    let mut bench = Bench::new("{ name: vfs }");
    let whole = machine(vec![card(0x41, "a", 0, 2)]);
    let mut away = whole.clone();
    for id in ["0000:41:10.0", "0000:41:10.1"] {
        let vf = find(&mut away, id);
        (vf.link, vf.name) = (None, None);
        vf.held = Some(Held::new(HeldBy::Namespace));
    }
    let held = holds(RESOURCE, &["0000:41:10.0"]);

    bench.see(0, &whole, &held);
    bench.see(1000, &away, &held);
    let list = bench.see(4000, &away, &held);

    assert_eq!(healthy(&list), ["0000:41:10.0"]);
    assert_eq!(list[1].fault, Some(Fault::Taken { by: "another network namespace".to_owned() }));
}

#[test]
fn a_device_that_a_pod_has_under_another_resource_is_not_offered() {
    let other = holds("openshift.io/other", &["0000:41:10.0"]);

    let list = Bench::new("{ name: vfs }").see(0, &machine(vec![card(0x41, "a", 0, 2)]), &other);

    assert_eq!(healthy(&list), ["0000:41:10.1"]);
    assert!(!list[0].held, "it is not held under this resource");
}

#[test]
fn a_device_is_in_the_first_pool_that_it_fits() {
    let whole = machine(vec![card(0x41, "a", 0, 2), card(0x81, "b", 1, 1)]);
    let (attached, granted, nobody) = (BTreeSet::new(), BTreeSet::new(), Holdings::default());
    let view = View { inventory: &whole, holdings: &nobody, attached: &attached, granted: &granted };
    let mut claimed: BTreeSet<NicId> = BTreeSet::new();
    let mut first = Pool::new(Arc::new(pool("{ name: a, selectors: { pfNames: [a] } }")), "x/a", PATIENCE);
    let mut rest = Pool::new(Arc::new(pool("{ name: rest }")), "x/rest", PATIENCE);

    first.see(&view, &BTreeMap::new(), &mut claimed, Instant::now());
    rest.see(&view, &BTreeMap::new(), &mut claimed, Instant::now());

    assert_eq!(ids(&first.list()), ["0000:41:10.0", "0000:41:10.1"]);
    assert_eq!(ids(&rest.list()), ["0000:81:10.0"]);
}

#[test]
fn a_nic_is_as_many_devices_as_pods_may_share_it() {
    let mut whole = machine(vec![card(0x41, "a", 0, 1), card(0x81, "b", 1, 0)]);
    find(&mut whole, "0000:81:00.0").secondary.is_secondary = false;

    let list = Bench::new("{ name: vfs, kind: nic, count: 3 }").see(0, &whole, &Holdings::default());

    assert_eq!(ids(&list), ["0000:41:00.0#0", "0000:41:00.0#1", "0000:41:00.0#2"]);
}

#[test]
fn what_a_failed_reading_leaves_out_stays_as_it_was() {
    let mut bench = Bench::new("{ name: vfs }");
    let whole = machine(vec![card(0x41, "a", 0, 3)]);
    let mut usual = whole.clone();
    let failure = |source: &str| Failure { source: source.to_owned(), error: "no".to_owned() };
    usual.failures.push(failure("DEVLINK_CMD_GET"));
    bench.see(0, &usual, &Holdings::default());

    let mut torn = machine(vec![]);
    torn.failures = vec![failure("DEVLINK_CMD_GET"), failure("/sys/bus/pci/devices")];
    let list = bench.see(60_000, &torn, &Holdings::default());
    assert_eq!(healthy(&list).len(), 3);
    assert_eq!(list[0].fault, Some(Fault::Unread));

    // A failure that was always there explains nothing.
    let mut gone = machine(vec![]);
    gone.failures = vec![failure("DEVLINK_CMD_GET")];
    assert!(bench.see(61_000, &gone, &Holdings::default()).is_empty());
}

proptest! {
    /// Whatever the machine does: what a pod has is listed, nothing is offered that is not there, and a failed reading
    /// takes nothing away.
    #[test]
    fn held_devices_are_listed_and_offered_ones_are_there(
        steps in prop::collection::vec(
            (0u64..20_000, 0u8..6, prop::option::of(0u8..2), prop::collection::btree_set(0u8..6, 0..4), prop::bool::weighted(0.2)),
            1..40,
        ),
    ) {
        let mut bench = Bench::new("{ name: vfs }");
        let mut now = 0;
        let mut before: BTreeSet<String> = BTreeSet::new();
        for (step, (pause, vfs, dark, held, failed)) in steps.into_iter().enumerate() {
            now += pause;
            let mut whole = machine(vec![card(0x41, "a", 0, vfs), card(0x81, "b", 1, 2)]);
            if let Some(dark) = dark {
                find(&mut whole, ["0000:41:00.0", "0000:81:00.0"][usize::from(dark)]).link.as_mut().unwrap().carrier = Some(false);
            }
            // The first reading decides which failures are usual.
            let failed = failed && step > 0;
            if failed {
                whole.failures.push(Failure { source: "/sys/bus/pci/devices".to_owned(), error: "EIO".to_owned() });
            }
            let held: Vec<String> = held.iter().map(|index| format!("0000:41:10.{index}")).collect();
            let holdings = holds(RESOURCE, &held.iter().map(String::as_str).collect::<Vec<_>>());

            let list = bench.see(now, &whole, &holdings);

            let listed: BTreeSet<String> = list.iter().map(|device| device.id.clone()).collect();
            prop_assert_eq!(listed.len(), list.len());
            prop_assert!(held.iter().all(|id| listed.contains(id)));
            for device in &list {
                let there = whole.nics.iter().any(|nic| nic.id.as_str() == device.id);
                prop_assert!(!device.healthy || there || failed, "{} is offered", device.id);
                prop_assert_eq!(device.held, held.contains(&device.id));
            }
            if failed {
                prop_assert!(before.is_subset(&listed));
            }
            // Seeing the same again at the same time changes nothing.
            prop_assert_eq!(&bench.see(now, &whole, &holdings), &list);
            before = listed;
        }
    }
}

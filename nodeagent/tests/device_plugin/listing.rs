//! `ListAndWatch`: the list is the pool as the kernel's links are, at once and after each change.

use std::time::Duration;

use crate::kubelet_api::v1beta1::Empty;
use crate::{RESOURCE, SOCKET, add_link, machine};

const ALL: [(&str, bool); 4] =
    [("virtual-m0#0", true), ("virtual-m0#1", true), ("virtual-m1#0", true), ("virtual-m1#1", true)];

#[test]
fn a_pool_registers_and_its_list_follows_carrier_and_links() {
    let (lab, mut kubelet) = machine();
    kubelet.start();
    let _agent = lab.agent();

    let request = kubelet.registration();
    assert_eq!((request.version.as_str(), request.resource_name.as_str()), ("v1beta1", RESOURCE));
    assert_eq!(request.endpoint, SOCKET);
    let options = request.options.unwrap();
    assert!(options.get_preferred_allocation_available && !options.pre_start_required);
    let mut client = kubelet.client(SOCKET);
    let asked = kubelet.wait(client.get_device_plugin_options(Empty {})).unwrap().into_inner();
    assert_eq!(asked, options, "asked again it says the same");

    let mut list = kubelet.watch(SOCKET);
    list.wait_for(&ALL);
    lab.ip("link set w1 down");
    list.wait_for(&[ALL[0], ALL[1], ("virtual-m1#0", false), ("virtual-m1#1", false)]);
    lab.ip("link set w1 up");
    list.wait_for(&ALL);
    lab.ip("link del m1");
    list.wait_for(&ALL[..2]);
    add_link(&lab, 1);
    list.wait_for(&ALL);
}

#[test]
fn what_a_pod_has_stays_in_the_list_when_its_nic_is_gone() {
    let (lab, mut kubelet) = machine();
    kubelet.pods(&[["web", RESOURCE, "virtual-m1#1"]]);
    kubelet.start();
    let agent = lab.agent();
    let mut list = kubelet.registered();
    list.wait_for(&ALL);

    lab.ip("link del m1");

    list.wait_for(&[ALL[0], ALL[1], ("virtual-m1#1", false)]);
    assert_eq!(agent.nic("m0").unwrap()["heldBy"], serde_json::Value::Null);
}

#[test]
fn a_pool_waits_with_its_registration_for_what_a_pod_already_has() {
    let (lab, mut kubelet) = machine();
    lab.ip("link del m1");
    kubelet.pods(&[["web", RESOURCE, "virtual-m1#0"]]);
    kubelet.start();
    let agent = lab.agent();
    let early = kubelet.registration_within(Duration::from_secs(2));
    assert_eq!(early, None, "the kubelet would fail the pod for ever");

    add_link(&lab, 1);

    let mut list = kubelet.registered();
    let first = list.next();
    assert!(first.contains(&("virtual-m1#0".to_owned(), true)), "{first:?}");
    let held = agent.wait_for_nic("m1", "its pod", |nic| nic["heldBy"].is_array());
    assert_eq!(held["heldBy"][0]["pod"], "web");
}

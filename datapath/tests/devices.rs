//! Devices that move into a pod and come back, on the running kernel.
//!
//! REQUIRES: root (network namespaces); kind veth.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use datapath::{PodLink, observe};
use harness::{Host, device, index, ip, ip_in, json, json_in, names_in, pod, route};
use netlink::LinkAddress;
use serde_json::Value;

/// A master with everything that has to come back.
fn dressed() -> Value {
    ip("link set m0 mtu 1400 group 12");
    ip("address add 10.9.0.1/24 dev m0");
    ip("address add fd09::1/64 dev m0");
    state()
}

/// What must be as before. The flags of IPv6 addresses come and go with their duplicate check.
fn state() -> Value {
    let mut link = json("address show m0")[0].clone();
    let addresses: Vec<String> = link["addr_info"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|address| address["scope"] == "global")
        .map(|address| format!("{}/{}", address["local"], address["prefixlen"]))
        .collect();
    let kept = ["ifname", "ifindex", "mtu", "group", "address", "altnames", "flags", "link_type"];
    link.as_object_mut().unwrap().retain(|name, _| kept.contains(&name.as_str()));
    link["addresses"] = addresses.into();
    link
}

fn wanted() -> PodLink {
    let mut link = device(0, "m0", &["192.168.0.1/18"]);
    link.mtu = Some(1300);
    link.address = Some(LinkAddress::new([2, 0, 0, 0, 0, 9]));
    link.alt_name = Some("net1".to_owned());
    link
}

#[test]
fn a_device_comes_back_as_it_was() {
    let mut host = Host::with_masters(1);
    let mut pod = pod();
    let before = dressed();
    let link = wanted();

    let made = host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();

    let taken = made.links[0].taken.clone().unwrap();
    assert_eq!((taken.name.as_str(), taken.mtu, taken.up, taken.group), ("m0", 1400, true, 12));
    let inside = json_in(&pod, "address show net1-0")[0].clone();
    assert_eq!(
        (&inside["address"], &inside["mtu"], &inside["altnames"][0], &inside["ifindex"]),
        (&"02:00:00:00:00:09".into(), &1300.into(), &"net1".into(), &1000.into())
    );
    assert_eq!(inside["addr_info"].as_array().unwrap().len(), 1, "no address of the host: {inside}");
    host.unwire_taken(&mut pod, &[(link, Some(taken))]);
    assert_eq!(state(), before);
}

#[test]
fn a_failure_at_any_step_gives_the_device_back() {
    let mut host = Host::with_masters(1);
    let mut pod = pod();
    let before = dressed();
    for failing in ["links", "sysctls", "addresses", "readBack", "announce"] {
        let error = host.wire_until(&mut pod, &[wanted()], &[], failing).unwrap_err();
        assert!(error.to_string().contains(failing), "{error}");
        assert_eq!(state(), before, "{failing}");
    }
    let mut refused = wanted();
    refused.routes = vec![route("10.0.0.0/8", Some("::1"))];
    host.wire(&mut pod, &[refused]).unwrap_err();
    assert_eq!(state(), before, "a refused route");
    let mut half = wanted();
    // The kernel moves the device first and sees then that it cannot have that MTU.
    half.mtu = Some(70_000);
    let error = host.wire(&mut pod, &[half]).unwrap_err();
    assert!(error.sentence().starts_with("move the device to net1-0"), "{}", error.sentence());
    assert_eq!(state(), before, "a move that ended half way");
    assert!(names_in(&pod).is_empty());
}

#[test]
fn a_device_whose_name_is_taken_comes_home_under_another_and_it_is_said() {
    // The name it has in the pod may be taken at home, too.
    for (also, name) in [("", "net1-0"), ("net1-0", "dev")] {
        let mut host = Host::with_masters(1);
        let mut pod = pod();
        let link = wanted();
        let made = host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();
        let taken = made.links[0].taken.clone().unwrap();
        ip("link add m0 type bridge");
        if !also.is_empty() {
            ip(&format!("link add {also} type bridge"));
        }

        let links = [(link, Some(taken.clone()))];
        let left = datapath::unwire(&mut host.socket, &host.home, &mut pod, harness::GROUP, &links).unwrap();

        assert_eq!(left.len(), 1, "{left:?}");
        assert!(left[0].0.starts_with("m0: name it m0 again") && left[0].0.contains("EEXIST"), "{left:?}");
        assert!(names_in(&pod).is_empty());
        let home = json("link show type veth");
        let now = home[0]["ifname"].as_str().unwrap();
        assert!(now.starts_with(name) && home[0]["mtu"] == 1500, "{home:?}");
        assert!(home[0]["altnames"].is_null(), "{home:?}");
        assert_eq!(observe::returned(&mut host.socket, &taken).unwrap(), Some(index(now)));
    }
}

#[test]
fn another_device_under_the_number_stays() {
    let mut host = Host::with_masters(1);
    let mut pod = pod();
    let link = wanted();
    let made = host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();
    let taken = made.links[0].taken.clone();
    ip_in(&pod, "link del net1-0");
    ip_in(&pod, "link add index 1000 theirs type veth peer name peer");

    host.unwire_taken(&mut pod, &[(link, taken)]);

    assert_eq!(names_in(&pod).len(), 2);
}

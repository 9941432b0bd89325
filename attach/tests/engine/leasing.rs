//! Addresses by DHCP: Debian's plugin `dhcp`, busybox's server on the wire. REQUIRES: busybox-static.

use cni::Command::{Add, Check, Del};
use serde_json::json;

use crate::harness::dhcp::Dhcp;
use crate::harness::*;

#[test]
fn a_macvlan_leases_its_address_and_gives_the_lease_back_over_the_wire() {
    let host = host(1);
    let dhcp = Dhcp::start(host.folder.path(), "w0");
    let engine = host.engine();
    let pod = pod();
    let conf = json!({"cniVersion": "1.0.0", "name": "leased", "type": "multi-nic", "plugin": {"type": "macvlan"},
        "ipam": {"type": "dhcp", "daemonSocketPath": dhcp.socket}});

    let answer = result(serve(&engine, Add, "c1", &pod, &conf));

    assert_eq!(
        answer["ips"][0],
        json!({"interface": 0, "address": "10.88.0.100/24", "gateway": "10.88.0.1"})
    );
    assert_eq!(pod.addresses("net1-0"), ["10.88.0.100/24"]);
    let mut check = conf.clone();
    check["prevResult"] = answer.clone();
    assert_eq!(serve(&engine, Check, "c1", &pod, &check).result, Ok(None));
    assert_eq!(serve(&engine, Del, "c1", &pod, &conf).result, Ok(None));
    assert!(pod.links().is_empty() && engine.attachments().is_empty());

    // The server's only address: it was given back, or there is none.
    // It holds one that was given back to be in use until its clock has gone on, and the plugin asks again after 10 s only.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let second = crate::harness::pod();
    let answer = result(serve(&engine, Add, "c2", &second, &conf));

    assert_eq!(answer["ips"][0]["address"], "10.88.0.100/24");
    assert_eq!(serve(&engine, Del, "c2", &second, &conf).result, Ok(None));
}

#[test]
fn an_ipvlan_without_a_client_id_is_refused_before_anything_is_touched() {
    let host = host(1);
    let engine = host.engine();
    let pod = pod();
    let conf = json!({"cniVersion": "1.0.0", "name": "leased", "type": "multi-nic",
        "plugin": {"type": "ipvlan", "mode": "l2"}, "ipam": {"type": "dhcp"}});

    let error = serve(&engine, Add, "c1", &pod, &conf).result.unwrap_err();

    assert_eq!(error.code, 7);
    assert!(error.msg.contains("dhcp does not go with ipvlan l2"), "{error}");
    assert!(error.details.contains("ipam.provide"), "{error}");
    assert!(pod.links().is_empty() && engine.attachments().is_empty());
}

//! What is refused, and with which words.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use crds::{Addressing, Object};
use ipnet::IpNet;
use proptest::prelude::*;
use serde_json::{Value, json};

fn base() -> Value {
    json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": "rails"},
        "spec": {
            "subnet": "192.168.0.0/16",
            "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2}"#,
            "multiNICIPAM": true,
            "plugin": {"cniVersion": "1.0.0", "type": "ipvlan", "args": {"mode": "l2"}},
        },
    })
}

/// The base with the value at a JSON pointer replaced; a new last key is added.
fn with(pointer: &str, value: Value) -> Value {
    let mut object = base();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[key] = value;
    object
}

fn problems(object: &Value) -> Vec<String> {
    let found = match crds::read(object) {
        Ok(object) => object.validate(),
        Err(problems) => problems,
    };
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn each_slip_is_refused_with_its_field_and_the_fix() {
    let ipam = |text: &str| with("/spec/ipam", json!(text));
    let class = |ids: Value| json!({"apiVersion": "multinic.fms.io/v1", "kind": "DeviceClass", "metadata": {"name": "fast"}, "spec": {"ids": ids}});
    let mut both = with("/spec/subnets", json!([{"cidr": "10.1.0.0/16"}]));
    both["spec"]["masterNets"] = json!([]);
    let mut beside = with("/spec/mtu", json!("9000"));
    beside["spec"]["plugin"]["args"] = json!({"mtu": "1500"});
    let rows = [
        json!("rails"),
        json!({}),
        json!({"kind": "MultiNicNetwrk"}),
        json!({"kind": "MultiNicNetwork"}),
        with("/apiVersion", json!("multinic.fms.io/v2")),
        with("/sepc", json!({})),
        with("/metadata/name", json!("Rails_1")),
        with("/metadata/name", json!(7)),
        with("/spec/subnett", json!("10.0.0.0/16")),
        with("/spec/replicas", json!(1)),
        with("/spec/subnet", json!("192.168.0.0/33")),
        with("/spec/subnet", json!("192.168.1.0/16")),
        with("/spec/subnet", json!("fd00::/64")),
        with("/spec/subnet", json!("192.168.0.0/24")),
        with("/spec/ipam", json!({"type": "multi-nic-ipam"})),
        ipam("{type: multi-nic-ipam}"),
        ipam("[]"),
        ipam("{}"),
        ipam(r#"{"type": "multi-nic-ipam", "hostblock": 6, "interfaceBlock": "2"}"#),
        ipam(r#"{"type": "multi-nic-ipam", "vlanMode": "l4", "hostBlock": -1}"#),
        ipam(r#"{"type": "multi-nic-ipam", "excludeCIDRs": ["192.186.0.0/24", "x", "192.168.0.7"]}"#),
        ipam(r#"{"type": "multi-nic-ipam", "excludeCIDRs": "192.168.0.0/24"}"#),
        both,
        json!({"apiVersion": "net.cogadvisor.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": "six"}, "spec": {
            "ipam": r#"{"type": "multi-nic-ipam"}"#, "plugin": {"cniVersion": "1.0.0", "type": "ipvlan"},
            "subnets": [{"cidr": "fd00::/64", "hostBlock": 50, "interfaceBlock": 7}, {"cidr": "fd01::/64", "excludeCIDRs": ["10.0.0.1"]}, {"cidr": "10.0.0.0/16", "hostBlok": 3}]}}),
        json!({"apiVersion": "net.cogadvisor.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": "six"}, "spec": {
            "ipam": r#"{"type": "multi-nic-ipam"}"#, "plugin": {"cniVersion": "1.0.0", "type": "ipvlan"},
            "subnets": [{"cidr": "fd00::/64", "hostBlock": 50, "interfaceBlock": 7}, {"cidr": "fd01::/64", "excludeCIDRs": ["10.0.0.1"]}]}}),
        with("/spec/multiNICIPAM", json!("true")),
        with("/spec/plugin", json!({"type": "ipvlan"})),
        with("/spec/plugin/cniVersion", json!("1.0")),
        with("/spec/plugin/type", json!("../ipvlan")),
        with("/spec/plugin/args", json!({"mtu": 1500})),
        with("/spec/plugin/args", json!({"mtu": "15oo", "mode": "l4", "mdoe": "l2"})),
        with("/spec/plugin/type", json!("host-device")),
        with(
            "/spec/plugin",
            json!({"cniVersion": "1.0.0", "type": "sriov", "args": {"vlan": "5000", "trust": "yes", "numVfs": "many"}}),
        ),
        with(
            "/spec/plugin",
            json!({"cniVersion": "1.0.0", "type": "aws-ipvlan", "args": {"primaryIP": "10.0.0.1"}}),
        ),
        with("/spec/masterNets", json!(["10.0.1.0/24", "eth1", "10.0.1.7/24", "10.0.1.0/24"])),
        with("/spec/masterNets", json!("10.0.1.0/24")),
        with("/spec/attachPolicy", json!({"strategy": "devclass", "target": "fast"})),
        with("/spec/attachPolicy", json!({"strategy": "none", "class": "highspeed"})),
        with("/spec/attachPolicy", json!({})),
        with("/spec/allowUplink", json!("yes")),
        with("/spec/mtu", json!(9000)),
        with("/spec/mtu", json!("jumbo")),
        beside,
        json!({"apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": "whole"}, "spec": {
            "ipam": r#"{"type": "host-device-ipam"}"#, "mtu": "auto", "plugin": {"cniVersion": "1.0.0", "type": "mellanox"}}}),
        with(
            "/spec/plugin",
            json!({"cniVersion": "1.0.0", "type": "sriov", "args": {"linkState": "up", "deviceType": "vfio", "manager": "nobody"}}),
        ),
        class(
            json!([{"vendor": "0x15b3", "products": ["1019", "xyz1"]}, {"vendor": "1d0f", "products": []}]),
        ),
        class(json!([{"vendor": "15b3"}])),
        class(json!({"vendor": "15b3"})),
    ];
    let mut texts = String::new();
    for object in &rows {
        let found = problems(object);
        assert_ne!(found, Vec::<String>::new(), "accepted: {object}");
        texts += &found.join("\n");
        texts += "\n\n";
    }
    insta::assert_snapshot!(texts);
}

#[test]
fn what_the_cluster_gives_back_is_read_too() {
    let mut object = base();
    object["metadata"] = json!({"name": "rails", "uid": "x", "annotations": {"a": "b"}, "managedFields": []});
    object["status"] = json!({"configStatus": "Success"});
    object["spec"]["masterNets"] = Value::Null;
    object["spec"]["attachPolicy"] = json!({"strategy": "none"});

    assert_eq!(problems(&object), Vec::<String>::new());
}

#[test]
fn every_field_of_the_types_is_known_to_the_reader() {
    let object = json!({
        "kind": "MultiNicNetwork", "apiVersion": "net.cogadvisor.io/v1", "metadata": {"name": "full"},
        "spec": {
            "subnet": "10.0.0.0/8", "subnets": [{"cidr": "fd00::/48", "hostBlock": 1, "interfaceBlock": 2, "excludeCIDRs": ["fd00::1"]}],
            "ipam": "{}", "multiNICIPAM": true,
            "plugin": {"cniVersion": "1.0.0", "type": "ipvlan", "capabilities": {"ips": true},
                       "dns": {"nameservers": ["a"], "domain": "b", "search": ["c"], "options": ["d"]}, "args": {"mode": "l2"}},
            "attachPolicy": {"strategy": "devClass", "target": "1Gbps", "class": "highspeed"},
            "masterNets": ["10.0.0.0/8"], "namespaces": ["default"], "allowUplink": "shared", "mtu": "9000",
        },
    });
    let read = crds::read(&object).unwrap();

    // Nothing is lost on the way through the types, so the table of fields and the types know the same.
    assert_eq!(serde_json::to_value(&read).unwrap(), object);
}

proptest! {
    #[test]
    fn blocks_fit_exactly_when_the_allocator_can_use_them(
        v6 in any::<bool>(), length in 0u8..=128, interface_block in 0u8..=120, host_block in 0u8..=120)
    {
        let length = if v6 { length } else { length % 33 };
        let interface_block = interface_block % 33;
        let (cidr, subnet): (IpNet, _) = if v6 {
            (IpNet::new("::".parse().unwrap(), length).unwrap(), Value::Null)
        } else {
            (IpNet::new("0.0.0.0".parse().unwrap(), length).unwrap(), Value::Null)
        };
        let mut object = with("/spec/subnet", subnet);
        object["spec"]["ipam"] = json!(r#"{"type":"multi-nic-ipam"}"#);
        object["spec"]["subnets"] = json!([{"cidr": cidr.to_string(), "interfaceBlock": interface_block, "hostBlock": host_block}]);
        let Ok(Object::MultiNicNetwork(network)) = crds::read(&object) else { panic!("not read") };

        let theirs = ipam::check_fit(cidr, interface_block, host_block).is_ok();

        prop_assert_eq!(network.spec.addressing().is_ok(), theirs);
        if let Ok(Addressing::Subnets(subnets)) = network.spec.addressing() {
            prop_assert_eq!((subnets[0].interface_block, subnets[0].host_block), (interface_block, host_block));
        }
    }

    #[test]
    fn no_text_in_any_field_makes_it_panic(text in "\\PC{0,24}", bits in any::<i64>()) {
        for pointer in ["/spec/subnet", "/spec/ipam", "/spec/plugin/type", "/spec/plugin/cniVersion", "/metadata/name", "/kind", "/spec/masterNets"] {
            let value = if pointer.ends_with("Nets") { json!([text, bits]) } else { json!(text) };
            problems(&with(pointer, value));
        }
        problems(&with("/spec/ipam", json!(json!({"type": "multi-nic-ipam", "hostBlock": bits, &text: bits}).to_string())));
    }
}

//! The NetConf against CONTRACTS §2.2 to §2.4.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

use crds::{MultiNicNetwork, NetConfSettings, Object};
use serde_json::{Value, json};

fn network(name: &str, spec: Value) -> MultiNicNetwork {
    let object = json!({"apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": name}, "spec": spec});
    match crds::read(&object) {
        Ok(Object::MultiNicNetwork(network)) => {
            assert_eq!(network.validate(), [], "{name}");
            *network
        }
        other => panic!("{other:?}"),
    }
}

fn written(network: &MultiNicNetwork, discovered: &[&str]) -> String {
    let discovered = discovered.iter().map(|net| (*net).to_owned()).collect();
    crds::netconf(network, &NetConfSettings { discovered, ..NetConfSettings::default() }).unwrap().to_string()
}

#[test]
fn every_example_of_the_contract_comes_out_byte_for_byte() {
    let rows: [(&str, Value, &[&str], &str); 6] = [
        (
            "netA",
            json!({"subnet": "192.168.0.0/16", "multiNICIPAM": true,
                   "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l3"}"#,
                   "plugin": {"cniVersion": "0.3.0", "type": "ipvlan", "args": {"mode": "l3"}}}),
            &["10.0.0.0/24", "10.1.0.0/24"],
            r#"{"cniVersion":"0.3.0","name":"netA","type":"multi-nic",
                "ipam":{"hostBlock":6,"interfaceBlock":2,"type":"multi-nic-ipam","vlanMode":"l3"},
                "dns":{},
                "plugin":{"cniVersion":"0.3.0","mode":"l3","type":"ipvlan"},
                "subnet":"192.168.0.0/16","masterNets":["10.0.0.0/24","10.1.0.0/24"],
                "multiNICIPAM":true,"daemonIP":"","daemonPort":11000}"#,
        ),
        (
            "netB",
            json!({"subnet": "192.168.0.0/16", "masterNets": ["10.0.0.0/24"],
                   "ipam": r#"{"type": "whereabouts", "range": "192.168.0.0/16"}"#,
                   "plugin": {"cniVersion": "0.3.1", "type": "macvlan", "args": {"mode": "bridge", "mtu": "9000"}}}),
            &["10.9.9.0/24"],
            r#"{"cniVersion":"0.3.0","name":"netB","type":"multi-nic",
                "ipam":{"range":"192.168.0.0/16","type":"whereabouts"},"dns":{},
                "plugin":{"cniVersion":"0.3.1","mode":"bridge","mtu":9000,"type":"macvlan"},
                "subnet":"192.168.0.0/16","masterNets":["10.0.0.0/24"],"daemonIP":"","daemonPort":11000}"#,
        ),
        (
            "net-c",
            json!({"subnet": "172.34.0.0/16", "masterNets": ["10.0.0.0/24"], "multiNICIPAM": true,
                   "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 8, "interfaceBlock": 2, "vlanMode": "l2"}"#,
                   "plugin": {"cniVersion": "0.3.0", "type": "sriov", "args": {"numVfs": "2", "vlan": "999", "isRdma": "true"}}}),
            &[],
            r#"{"cniVersion":"0.3.0","name":"net-c","type":"multi-nic",
                "ipam":{"hostBlock":8,"interfaceBlock":2,"type":"multi-nic-ipam","vlanMode":"l2"},"dns":{},
                "plugin":{"cniVersion":"0.3.0","type":"sriov","vlan":999},
                "subnet":"172.34.0.0/16","masterNets":["10.0.0.0/24"],"multiNICIPAM":true,"daemonIP":"","daemonPort":11000}"#,
        ),
        (
            "netD",
            json!({"masterNets": ["10.0.0.0/24"], "ipam": r#"{"type": "host-device-ipam"}"#,
                   "plugin": {"cniVersion": "0.3.1", "type": "mellanox"}}),
            &[],
            r#"{"cniVersion":"0.3.0","name":"netD","type":"multi-nic","ipam":{"type":"host-device-ipam"},"dns":{},
                "plugin":{"cniVersion":"0.3.1","type":"host-device"},
                "subnet":"","masterNets":["10.0.0.0/24"],"daemonIP":"","daemonPort":11000}"#,
        ),
        (
            "netE",
            json!({"masterNets": ["10.0.0.0/16"], "multiNICIPAM": true,
                   "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 8, "interfaceBlock": 2, "vlanMode": "l2"}"#,
                   "plugin": {"cniVersion": "0.3.0", "type": "aws-ipvlan", "args": {"mode": "l2"}}}),
            &[],
            r#"{"cniVersion":"0.3.0","name":"netE","type":"multi-nic",
                "ipam":{"hostBlock":8,"interfaceBlock":2,"type":"multi-nic-ipam","vlanMode":"l2"},"dns":{},
                "plugin":{"cniVersion":"0.3.0","mode":"l2","type":"aws-ipvlan"},
                "subnet":"","masterNets":["10.0.0.0/16"],"multiNICIPAM":true,"daemonIP":"","daemonPort":11000}"#,
        ),
        (
            "netF",
            json!({"ipam": r#"{"type": "multi-config", "ipam_type": "whereabouts",
                              "args": {"eth2": {"range": "192.168.64.0/18"}, "eth1": {"range": "192.168.0.0/18"}}}"#,
                   "plugin": {"cniVersion": "0.3.0", "type": "ipvlan", "args": {"mode": "l2"}}}),
            &[],
            r#"{"cniVersion":"0.3.0","name":"netF","type":"multi-nic",
                "ipam":{"args":{"eth1":{"range":"192.168.0.0/18"},"eth2":{"range":"192.168.64.0/18"}},"ipam_type":"whereabouts","type":"multi-config"},
                "dns":{},"plugin":{"cniVersion":"0.3.0","mode":"l2","type":"ipvlan"},
                "subnet":"","masterNets":[],"daemonIP":"","daemonPort":11000}"#,
        ),
    ];
    for (name, spec, discovered, wanted) in rows {
        // The cluster's names are lower-case; the contract's examples are not.
        let mut network = network(&name.to_lowercase(), spec);
        network.metadata.name = name.to_owned();

        let wanted: String = wanted.lines().map(str::trim_start).collect();
        assert_eq!(written(&network, discovered), wanted, "{name}");
    }
}

fn plugin(kind: &str, args: Value) -> Value {
    let network = network(
        "one",
        json!({"ipam": r#"{"type":"static"}"#, "plugin": {"cniVersion": "0.3.0", "type": kind, "args": args}}),
    );
    crds::netconf(&network, &NetConfSettings::default()).unwrap()["plugin"].clone()
}

#[test]
fn only_arguments_that_are_given_reach_the_plugin_and_each_with_its_type() {
    let rows = [
        ("ipvlan", json!({"mode": "l2"}), r#"{"cniVersion":"0.3.0","mode":"l2","type":"ipvlan"}"#),
        (
            "ipvlan",
            json!({"mode": "l2", "mtu": "1500"}),
            r#"{"cniVersion":"0.3.0","mode":"l2","mtu":1500,"type":"ipvlan"}"#,
        ),
        (
            "ipvlan",
            json!({"flag": "private", "vlan": "7"}),
            r#"{"cniVersion":"0.3.0","flag":"private","type":"ipvlan","vlan":7}"#,
        ),
        (
            "macvlan",
            json!({"master": "eth1", "mode": ""}),
            r#"{"cniVersion":"0.3.0","master":"eth1","type":"macvlan"}"#,
        ),
        (
            "sriov",
            json!({"vlan": "0", "vlanQoS": "3", "spoofchk": "F", "trust": "1", "priority": "7", "manager": "agent"}),
            r#"{"cniVersion":"0.3.0","spoofchk":false,"trust":true,"type":"sriov","vlanQoS":3}"#,
        ),
        (
            "sriov",
            json!({"minTxRate": "10", "maxTxRate": "0", "linkState": "enable", "deviceType": "vfio-pci"}),
            r#"{"cniVersion":"0.3.0","deviceType":"vfio-pci","link_state":"enable","max_tx_rate":0,"min_tx_rate":10,"type":"sriov"}"#,
        ),
        (
            "aws-ipvlan",
            json!({"podIP": "10.0.0.9", "primaryIP": "{\"b\": 1, \"a\": 2}"}),
            r#"{"cniVersion":"0.3.0","podIP":"10.0.0.9","primaryIP":{"a":2,"b":1},"type":"aws-ipvlan"}"#,
        ),
        (
            "bridge",
            json!({"bridge": "br7", "isGateway": "true", "vlan": "7", "vlanTrunk": "[{\"id\": 5}]", "x": "null"}),
            r#"{"bridge":"br7","cniVersion":"0.3.0","isGateway":true,"type":"bridge","vlan":7,"vlanTrunk":[{"id":5}],"x":"null"}"#,
        ),
    ];
    for (kind, args, wanted) in rows {
        assert_eq!(plugin(kind, args).to_string(), wanted);
    }
}

#[test]
fn the_mtu_of_a_network_reaches_its_plugin_and_auto_is_the_smallest_that_is_known() {
    let written = |kind: &str, mtu: &str, smallest_mtu: Option<u32>| {
        let spec = json!({"mtu": mtu, "ipam": r#"{"type":"static"}"#, "plugin": {"cniVersion": "0.3.0", "type": kind}});
        let settings = NetConfSettings { smallest_mtu, ..NetConfSettings::default() };
        crds::netconf(&network("one", spec), &settings).unwrap()["plugin"].to_string()
    };

    for kind in ["ipvlan", "macvlan", "sriov", "aws-ipvlan", "bridge"] {
        let with = |mtu: &str| format!(r#"{{"cniVersion":"0.3.0",{mtu}"type":"{kind}"}}"#);
        assert_eq!(written(kind, "9000", Some(1500)), with(r#""mtu":9000,"#));
        assert_eq!(written(kind, "auto", Some(1500)), with(r#""mtu":1500,"#));
        assert_eq!(written(kind, "auto", None), with(""));
        assert_eq!(written(kind, "", Some(1500)), with(""));
    }
}

#[test]
fn arguments_that_a_check_would_refuse_are_written_as_the_predecessor_wrote_them() {
    let mut bad = network(
        "bad",
        json!({"ipam": r#"{"type":"static"}"#, "plugin": {"cniVersion": "0.3.0", "type": "ipvlan"}}),
    );
    bad.spec.plugin.args =
        [("mtu", "large"), ("colour", "blue")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let conf = crds::netconf(&bad, &NetConfSettings::default()).unwrap();
    assert_eq!(conf["plugin"].to_string(), r#"{"cniVersion":"0.3.0","mtu":0,"type":"ipvlan"}"#);

    bad.spec.plugin.kind = "aws-ipvlan".to_owned();
    bad.spec.plugin.args = [("primaryIP".to_owned(), "10.0.0.1".to_owned())].into();
    let conf = crds::netconf(&bad, &NetConfSettings::default()).unwrap();
    assert_eq!(conf["plugin"].to_string(), r#"{"cniVersion":"0.3.0","primaryIP":null,"type":"aws-ipvlan"}"#);

    bad.spec.ipam = "{".to_owned();
    assert!(crds::netconf(&bad, &NetConfSettings::default()).is_err());
}

#[test]
fn the_executable_and_the_port_come_from_the_settings() {
    let network = network(
        "one",
        json!({"ipam": r#"{"type":"static"}"#, "plugin": {"cniVersion": "0.3.0", "type": "ipvlan"}}),
    );
    let settings =
        NetConfSettings { cni_type: "other".to_owned(), daemon_port: 12000, ..NetConfSettings::default() };

    let conf = crds::netconf(&network, &settings).unwrap();

    assert_eq!((conf["type"].as_str(), conf["daemonPort"].as_u64()), (Some("other"), Some(12000)));
}

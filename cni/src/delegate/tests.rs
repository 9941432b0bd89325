use super::*;

fn conf(value: &Value) -> NetConf {
    NetConf::parse(&value.to_string()).unwrap()
}

fn target(position: usize, master: &str, addresses: &[&str]) -> Target {
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Target { position, master: master.to_owned(), addresses, ..Target::default() }
}

fn device(position: usize, device: &str) -> Target {
    Target { position, device: device.to_owned(), ..Target::default() }
}

fn made(value: &Value, target: &Target) -> Option<Value> {
    let conf = conf(value);
    config(&conf, conf.plugin().unwrap(), "net1", target).unwrap()
}

/// CONTRACTS §2.4, first example.
fn net_a() -> Value {
    json!({"cniVersion": "0.3.0", "name": "netA", "type": "multi-nic",
        "ipam": {"hostBlock": 6, "interfaceBlock": 2, "type": "multi-nic-ipam", "vlanMode": "l3"}, "dns": {},
        "plugin": {"cniVersion": "0.3.0", "mode": "l3", "type": "ipvlan"},
        "subnet": "192.168.0.0/16", "masterNets": ["10.0.0.0/24", "10.1.0.0/24"],
        "multiNICIPAM": true, "daemonIP": "", "daemonPort": 11000})
}

#[test]
fn an_ipvlan_delegate_is_the_contracts_to_the_byte_but_for_its_name() {
    let mut value = net_a();
    let target = target(0, "eth1", &["192.168.0.1/18"]);
    let wanted = "\"type\":\"ipvlan\",\"ipam\":{\"addresses\":[{\"address\":\"192.168.0.1/18\"}],\"type\":\"static\"},\
                  \"dns\":{},\"master\":\"eth1\",\"mode\":\"l3\",\"mtu\":0}";

    let ours = made(&value, &target).unwrap().to_string();
    assert_eq!(ours, format!("{{\"cniVersion\":\"0.3.0\",\"name\":\"netA-0\",{wanted}"));

    value["predecessorNames"] = json!(true);
    let predecessors = made(&value, &target).unwrap().to_string();
    assert_eq!(predecessors, format!("{{\"cniVersion\":\"0.3.0\",\"name\":\"net1-0\",{wanted}"));
}

#[test]
fn a_link_without_its_address_of_the_network_gets_none_at_all() {
    let none = json!({"addresses": [], "type": "static"});
    assert_eq!(made(&net_a(), &target(1, "eth2", &[])).unwrap()["ipam"], none);

    let mut chained = net_a();
    chained["multiNICIPAM"] = json!(false);
    chained["prevResult"] = json!({"ips": [{"address": "10.0.0.1/24"}]});
    assert_eq!(made(&chained, &target(1, "eth2", &[])).unwrap()["ipam"], none);

    chained["prevResult"] = json!({});
    assert_eq!(made(&chained, &target(1, "eth2", &[])).unwrap()["ipam"], net_a()["ipam"], "as it came");
}

#[test]
fn sriov_and_host_device_get_the_constants_of_the_contract() {
    let sriov = json!({"cniVersion": "0.3.0", "name": "net-c", "type": "multi-nic",
        "ipam": {"type": "whereabouts", "range": "R"}, "plugin": {"cniVersion": "0.3.0", "type": "sriov", "vlan": 999}});
    assert_eq!(
        made(&sriov, &device(1, "0000:01:10.0")).unwrap(),
        json!({"cniVersion": "0.3.0", "name": "net-c-1", "type": "sriov", "ipam": {"type": "whereabouts", "range": "R"},
            "dns": {}, "deviceID": "0000:01:10.0", "vlan": 999,
            "DPDKMode": false, "Master": "", "VFID": 0, "HostIFNames": "", "ContIFNames": ""})
    );

    let host_device = json!({"cniVersion": "0.3.0", "name": "netD", "type": "multi-nic",
        "ipam": {"type": "host-device-ipam"}, "plugin": {"cniVersion": "0.3.1", "type": "host-device"}});
    let with = Target { host_address: Some("10.0.0.7/24".parse().unwrap()), ..device(0, "0000:01:10.2") };
    assert_eq!(
        made(&host_device, &with).unwrap(),
        json!({"cniVersion": "0.3.1", "name": "netD-0", "type": "host-device",
            "ipam": {"type": "static", "addresses": [{"address": "10.0.0.7/24"}]}, "dns": {},
            "runtimeConfig": {"deviceID": "0000:01:10.2"},
            "device": "", "hwaddr": "", "DPDKMode": false, "kernelpath": "", "pciBusID": ""})
    );
    let without = made(&host_device, &device(0, "0000:01:10.2")).unwrap();
    assert_eq!(without["ipam"], json!({"type": "static", "addresses": []}));
}

#[test]
fn aws_ipvlan_gets_its_two_addresses_and_no_link_without() {
    let value = json!({"cniVersion": "0.3.0", "name": "netE", "multiNICIPAM": true, "ipam": {"type": "multi-nic-ipam"},
        "plugin": {"cniVersion": "0.3.0", "mode": "l2", "type": "aws-ipvlan"}});
    let with = Target {
        host_address: Some("10.0.0.7/24".parse().unwrap()),
        ..target(0, "ens5", &["10.0.0.100/24"])
    };
    let found = made(&value, &with).unwrap();

    assert_eq!((&found["primaryIP"], &found["podIP"]), (&json!("10.0.0.7"), &json!("10.0.0.100")));
    assert_eq!(made(&value, &target(1, "ens6", &[])), None);
}

#[test]
fn a_nic_without_what_its_plugin_needs_is_left_out() {
    for kind in ["ipvlan", "macvlan", "aws-ipvlan", "sriov", "host-device"] {
        let value =
            json!({"cniVersion": "1.0.0", "name": "n", "plugin": {"type": kind}, "ipam": {"type": "x"}});
        let wrong = if kind.ends_with("vlan") {
            device(0, "0000:01:10.0")
        } else {
            target(0, "eth1", &["10.0.0.1/24"])
        };
        assert_eq!(made(&value, &wrong), None, "{kind}");
        assert!(
            made(&json!({"cniVersion": "1.0.0", "name": "n", "plugin": {"type": "other"}}), &wrong).is_some()
        );
    }
}

/// CONTRACTS §4.5 with its two vectors.
#[test]
fn multi_config_gives_each_master_its_own() {
    let value = json!({"cniVersion": "0.3.0", "name": "netF", "type": "multi-nic",
        "plugin": {"type": "ipvlan", "mode": "l2"},
        "ipam": {"type": "multi-config", "ipam_type": "whereabouts",
            "args": {"eth0": {"range": "R0"}, "eth1": {"range": "R1"}, "eth2": {"range": "R2", "network_name": "own"},
                "eth3": null}}});
    let of = |master: &str, addresses: &[&str]| {
        made(&value, &target(0, master, addresses)).map(|config| config["ipam"].clone())
    };

    for (master, range, name) in [("eth0", "R0", "eth0"), ("eth1", "R1", "eth1"), ("eth2", "R2", "own")] {
        let wanted = json!({"type": "whereabouts", "network_name": name, "range": range});
        assert_eq!(of(master, &[]).unwrap(), wanted);
        let fixed = json!({"addresses": [{"address": "192.168.0.1/18"}], "type": "static"});
        assert_eq!(of(master, &["192.168.0.1/18"]).unwrap(), fixed);
    }
    assert_eq!((of("eth3", &[]), of("eth9", &[])), (None, None));
    assert_eq!(multi_config_masters(&conf(&value)), ["eth0", "eth1", "eth2"]);
}

#[test]
fn a_wrong_multi_config_names_the_key() {
    let rows = [
        (json!({"type": "multi-config", "args": {"eth0": {}}}), "ipam.ipam_type: multi-config needs"),
        (json!({"type": "multi-config", "ipam_type": "x"}), "ipam.args: multi-config needs"),
        (
            json!({"type": "multi-config", "ipam_type": "x", "args": {"eth0": 1}}),
            "ipam.args.eth0: is no object",
        ),
    ];
    for (wrong, words) in rows {
        let value = json!({"cniVersion": "1.0.0", "name": "n", "plugin": {"type": "macvlan"}, "ipam": wrong});
        let conf = conf(&value);
        let error = config(&conf, conf.plugin().unwrap(), "net1", &target(0, "eth0", &[])).unwrap_err();
        assert!(error.code == 7 && error.msg.starts_with(words), "{error}");
    }
}

#[test]
fn routes_to_one_destination_by_several_gateways_are_multipath() {
    let value = json!({"cniVersion": "0.3.0", "name": "n", "multiNICIPAM": true, "plugin": {"type": "macvlan"},
        "ipam": {"type": "x", "routes": [{"dst": "10.0.0.0/24", "gw": "1.1.1.1"}, {"dst": "10.0.0.0/24", "gw": "2.2.2.2"},
            {"dst": "10.1.0.0/24", "gw": "1.1.1.1"}, {"dst": "10.2.0.0/24"}, {"gw": "1.1.1.1"}, 7]}});
    let (plain, several) = routes(&conf(&value));

    assert_eq!(plain[0], ("10.1.0.0/24".parse().unwrap(), Some("1.1.1.1".parse().unwrap())));
    assert_eq!(plain[1], ("10.2.0.0/24".parse().unwrap(), None));
    let gateways = vec!["1.1.1.1".parse().unwrap(), "2.2.2.2".parse().unwrap()];
    assert_eq!(several, [("10.0.0.0/24".parse().unwrap(), gateways)]);
    assert_eq!(
        made(&value, &target(0, "eth1", &[])).unwrap()["ipam"]["routes"],
        json!([{"dst": "10.1.0.0/24", "gw": "1.1.1.1"}, {"dst": "10.2.0.0/24"}])
    );
}

#[test]
fn keys_that_nobody_knows_reach_the_delegate_and_ours_do_not() {
    let value = json!({"cniVersion": "0.4.0", "name": "n", "ipam": {"type": "x"}, "frob": {"deep": [1]},
        "dad": true, "cni.dev/valid-attachments": [], "args": {"cni": {"ips": ["10.0.0.1/24"]}}, "masters": ["eth1"],
        "plugin": {"type": "sriov", "vlan": 999, "spoofchk": "off", "min_tx_rate": 7}});
    let found = made(&value, &device(0, "0000:01:10.0")).unwrap();

    assert_eq!(found["frob"], json!({"deep": [1]}));
    assert_eq!((&found["vlan"], &found["spoofchk"]), (&json!(999), &json!("off")));
    assert_eq!((&found["min_tx_rate"], &found["cniVersion"]), (&json!(7), &json!("0.4.0")));
    for ours in ["dad", "cni.dev/valid-attachments", "args", "masters", "plugin"] {
        assert_eq!(found.get(ours), None, "{ours}");
    }
}

#[test]
fn what_the_runtime_says_of_the_pod_is_split_over_its_nics() {
    let value = json!({"cniVersion": "1.0.0", "name": "n", "ipam": {"type": "x"}, "plugin": {"type": "macvlan"},
        "runtimeConfig": {"mac": "02:00:00:00:00:07", "ips": ["10.0.0.1/24"], "deviceID": "0000:01:10.0",
            "bandwidth": {"ingressRate": 1}}});

    let first = made(&value, &target(0, "eth1", &[])).unwrap();
    let second = made(&value, &target(1, "eth2", &[])).unwrap();

    let bandwidth = json!({"ingressRate": 1});
    assert_eq!(first["runtimeConfig"], json!({"mac": "02:00:00:00:00:07", "bandwidth": bandwidth}));
    assert_eq!(second["runtimeConfig"], json!({"bandwidth": bandwidth}));
    let mut sriov = value.clone();
    sriov["plugin"]["type"] = json!("sriov");
    assert_eq!(
        made(&sriov, &device(1, "0000:01:10.7")).unwrap()["runtimeConfig"],
        json!({"bandwidth": bandwidth, "deviceID": "0000:01:10.7"})
    );
}

#[test]
fn names_of_links_and_the_call_of_the_common_ipam() {
    let mut value = net_a();
    assert_eq!(
        (ifname(&conf(&value), "net1", 0), ifname(&conf(&value), "net1", 1)),
        ("net1-0".into(), "net1-1".into())
    );
    value["names"] = json!("exact");
    assert_eq!(
        (ifname(&conf(&value), "net1", 0), ifname(&conf(&value), "net1", 1)),
        ("net1".into(), "net1-1".into())
    );

    let found = ipam_config(&conf(&net_a()), &["eth1".to_owned()], &["0000:01:10.0".to_owned()]);
    let mut wanted = net_a();
    wanted["masters"] = json!(["eth1"]);
    wanted["deviceIDs"] = json!(["0000:01:10.0"]);
    assert_eq!(found, wanted);
}

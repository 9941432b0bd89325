use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parse(value: &Value) -> Result<NetConf, Error> {
    NetConf::parse(&value.to_string())
}

/// The example of CONTRACTS §2.4 with what Multus and the runtime add.
fn whole() -> Value {
    json!({"cniVersion": "0.3.0", "name": "netA", "type": "multi-nic",
        "ipam": {"hostBlock": 6, "interfaceBlock": 2, "type": "multi-nic-ipam", "vlanMode": "l3"},
        "dns": {}, "plugin": {"cniVersion": "0.3.0", "mode": "l3", "type": "ipvlan"},
        "subnet": "192.168.0.0/16", "masterNets": ["10.0.0.0/24", "10.1.0.7/24"],
        "multiNICIPAM": true, "daemonIP": "", "daemonPort": 11000,
        "args": {"cni": {"nics": 1, "masters": ["eth1"], "class": "highspeed", "target": "10Gbps",
            "ips": ["192.168.0.1/18"]}},
        "deviceID": "0000:01:10.0", "deviceIDs": ["0000:01:10.0", "0000:01:10.2"],
        "runtimeConfig": {"mac": "02:00:00:00:00:07", "ips": ["fd10::4", "10.0.0.4/24"], "deviceID": "0000:01:10.4",
            "infinibandGUID": "C2:11:22:33:44:55:66:77", "CNIDeviceInfoFile": "/var/run/x"},
        "pciBusID": "0000:01:10.0", "names": "exact", "ipamNeedsLink": true, "dad": "true", "policyRouting": false,
        "frob": {"x": [1]}})
}

#[test]
fn every_key_is_read_and_an_unknown_one_is_kept() {
    let conf = parse(&whole()).unwrap();

    assert_eq!(
        (conf.version, conf.name.as_str(), conf.ipam_type.as_str()),
        (Version::V0_3_0, "netA", "multi-nic-ipam")
    );
    assert_eq!(conf.plugin().unwrap().mode, "l3");
    assert_eq!(conf.master_nets[1].to_string(), "10.1.0.0/24");
    assert_eq!(conf.devices, ["0000:01:10.0", "0000:01:10.2", "0000:01:10.4"]);
    assert_eq!((conf.pod.nics, conf.pod.masters[0].as_str()), (Some(1), "eth1"));
    assert_eq!((conf.pod.class.as_deref(), conf.pod.target.as_deref()), (Some("highspeed"), Some("10Gbps")));
    assert_eq!(conf.runtime.ips[0].prefix_len, None);
    assert_eq!(conf.runtime.ips[1].prefix_len, Some(24));
    assert!(conf.multi_nic_ipam);
    assert_eq!((conf.daemon.host.as_str(), conf.daemon.port), ("localhost", 11_000));
    assert_eq!(conf.runtime.mac.as_deref(), Some("02:00:00:00:00:07"));
    assert_eq!(conf.runtime.device.as_deref(), Some("0000:01:10.4"));
    assert_eq!(conf.runtime.infiniband_guid.as_deref(), Some("c2:11:22:33:44:55:66:77"));
    assert_eq!(conf.runtime.device_info_file.as_deref(), Some("/var/run/x"));
    assert_eq!(conf.pod.ips, [StaticIp::parse("192.168.0.1/18").unwrap()]);
    assert!(conf.own.exact_names && conf.own.ipam_needs_link && conf.own.dad && !conf.own.predecessor_names);
    assert_eq!(conf.own.policy_routing, Some(false));
    assert_eq!(conf.raw["frob"], json!({"x": [1]}));
}

#[test]
fn a_share_of_a_nic_is_that_nic_wherever_it_is_written() {
    for key in ["/deviceID", "/pciBusID", "/runtimeConfig/deviceID"] {
        let mut value = whole();
        value["deviceIDs"] = json!(["0000:01:00.0#12", "br#1#3", "0000:01:00.0#4"]);
        for other in ["/deviceID", "/pciBusID", "/runtimeConfig/deviceID"] {
            *value.pointer_mut(other).unwrap() = json!("");
        }
        *value.pointer_mut(key).unwrap() = json!("0000:81:00.0#0");

        let conf = parse(&value).unwrap();

        assert_eq!(conf.devices, ["0000:01:00.0", "br#1", "0000:81:00.0"], "{key}");
        let runtime = (key == "/runtimeConfig/deviceID").then_some("0000:81:00.0");
        assert_eq!(conf.runtime.device.as_deref(), runtime, "{key}");
    }
}

#[test]
fn only_a_number_makes_an_id_that_of_a_share() {
    for (id, nic) in [
        ("0000:01:10.0", "0000:01:10.0"),
        ("0000:01:00.0#0", "0000:01:00.0"),
        ("mlx5_core.sf.4", "mlx5_core.sf.4"),
        ("a#b", "a#b"),
        ("a#", "a#"),
        ("#1", ""),
    ] {
        assert_eq!(nic_of_device(id), nic, "{id}");
    }
}

#[test]
fn a_wrong_key_is_named_with_its_path_and_what_it_should_be() {
    let rows = [
        ("/name", json!(""), 7, "name: the network has no name"),
        ("/name", json!("a b"), 7, "name: `a b` is not valid"),
        ("/cniVersion", json!("0.2.0"), 1, "cniVersion: 0.2.0 is not supported"),
        ("/cniVersion", json!(""), 1, "cniVersion: 0.1.0 (cniVersion is missing) is not supported"),
        ("/subnet", json!("10.0.0.0"), 7, "subnet: `10.0.0.0` is no network"),
        ("/masterNets", json!(["x"]), 7, "masterNets: `x` is no network"),
        ("/masterNets", json!(7), 7, "masterNets: 7 is not a list of texts"),
        ("/ipam", json!([]), 7, "ipam: [] is not an object"),
        ("/plugin/mtu", json!(70000), 7, "plugin.mtu: 70000 is not a whole number from 0 to 65535"),
        ("/plugin/vlan", json!(4095), 7, "plugin.vlan: 4095 is not a whole number from 0 to 4094"),
        ("/args/cni/nics", json!(-1), 7, "args.cni.nics: -1 is not a whole number from 0 to 1024"),
        (
            "/args/cni/ips",
            json!(["x"]),
            7,
            "args.cni.ips: [\"x\"] is not a list of addresses like 192.168.0.1/18",
        ),
        ("/runtimeConfig/mac", json!(1), 7, "runtimeConfig.mac: 1 is not a text"),
        ("/multiNICIPAM", json!("yes"), 7, "multiNICIPAM: \"yes\" is not true or false"),
        (
            "/runtimeConfig/mac",
            json!("01:00:00:00:00:07"),
            7,
            "runtimeConfig.mac: \"01:00:00:00:00:07\" is not the MAC address of one station: clear the lowest bit \
             of its first byte",
        ),
        (
            "/runtimeConfig/mac",
            json!("00:00:00:00:00:00"),
            7,
            "runtimeConfig.mac: \"00:00:00:00:00:00\" is not a MAC address like 02:00:00:00:00:01",
        ),
        (
            "/runtimeConfig/infinibandGUID",
            json!("c2:11"),
            7,
            "runtimeConfig.infinibandGUID: \"c2:11\" is not a GUID like c2:11:22:33:44:55:66:77",
        ),
        ("/plugin/vlanProtocol", json!("q"), 7, "plugin.vlanProtocol: \"q\" is not 802.1q or 802.1ad"),
        ("/daemonPort", json!(65_536), 7, "daemonPort: 65536 is not a whole number from 0 to 65535"),
        ("/prevResult", json!(7), 7, "prevResult: 7 is not an object"),
        ("/names", json!("odd"), 7, "names: \"odd\" is not indexed or exact"),
    ];
    for (pointer, value, code, message) in rows {
        let mut conf = whole();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = if parent.is_empty() { Some(&mut conf) } else { conf.pointer_mut(parent) };
        parent.unwrap()[key] = value;
        let error = parse(&conf).unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (code, message), "{pointer}");
    }
    assert_eq!(NetConf::parse("{").unwrap_err().code, 6);
    assert_eq!(NetConf::parse("[]").unwrap_err().code, 6);
    let mut conf = whole();
    conf["plugin"] = json!({});
    assert_eq!(parse(&conf).unwrap().plugin().unwrap_err().msg, "plugin.type: is missing");
}

#[test]
fn valid_attachments_absent_null_and_listed_are_three_things() {
    let of = |value: Option<Value>| {
        let mut conf = whole();
        if let Some(value) = value {
            conf["cni.dev/valid-attachments"] = value;
        }
        parse(&conf).map(|conf| conf.valid)
    };

    assert_eq!(of(None).unwrap(), Valid::Absent);
    assert_eq!(of(Some(Value::Null)).unwrap(), Valid::Null);
    assert_eq!(of(Some(json!([]))).unwrap(), Valid::These(vec![]));
    let one = json!([{"containerID": "c", "ifname": "net1"}]);
    assert_eq!(of(Some(one)).unwrap(), Valid::These(vec![("c".to_owned(), "net1".to_owned())]));
    assert_eq!(of(Some(json!([{}]))).unwrap_err().code, 7);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _ = NetConf::parse(&text);
    }

    #[test]
    fn no_value_of_any_key_makes_it_panic(
        key in 0usize..20, value in prop_oneof![
            Just(json!(null)), Just(json!(-1)), Just(json!(1e99)), Just(json!([[]])), Just(json!({"type": {}})),
            Just(json!([null])), ".{0,30}".prop_map(Value::String), any::<u64>().prop_map(|n| json!(n))])
    {
        let mut conf = whole();
        let names: Vec<String> = conf.as_object().unwrap().keys().cloned().collect();
        conf[&names[key % names.len()]] = value;
        let _ = parse(&conf);
    }
}

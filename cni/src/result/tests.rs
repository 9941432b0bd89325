use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn whole() -> CniResult {
    let interface = Interface {
        name: "net1-0".to_owned(),
        mac: "02:00:00:00:00:01".to_owned(),
        mtu: 9000,
        sandbox: "/var/run/netns/p".to_owned(),
        socket_path: String::new(),
        pci_id: "0000:01:10.0".to_owned(),
    };
    CniResult {
        interfaces: vec![interface],
        ips: vec![
            Ip { address: "192.168.0.1/18".parse().unwrap(), gateway: None, interface: Some(0) },
            Ip {
                address: "fd10::1/66".parse().unwrap(),
                gateway: Some("fd10::ff".parse().unwrap()),
                interface: Some(0),
            },
        ],
        routes: vec![Route { mtu: Some(1400), ..plain("10.0.0.0/8".parse().unwrap()) }],
        dns: None,
    }
}

#[test]
fn each_version_has_its_own_fields_and_no_others() {
    let of = |version| whole().emit(version).to_string();
    for version in [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0] {
        assert_eq!(
            of(version),
            format!(
                "{{\"cniVersion\":\"{version}\",\"interfaces\":[{{\"name\":\"net1-0\",\
                 \"mac\":\"02:00:00:00:00:01\",\"sandbox\":\"/var/run/netns/p\"}}],\
                 \"ips\":[{{\"version\":\"4\",\"interface\":0,\"address\":\"192.168.0.1/18\"}},\
                 {{\"version\":\"6\",\"interface\":0,\"address\":\"fd10::1/66\",\"gateway\":\"fd10::ff\"}}],\
                 \"routes\":[{{\"dst\":\"10.0.0.0/8\"}}],\"dns\":{{}}}}"
            )
        );
    }
    assert!(!of(Version::V1_0_0).contains("\"version\":\""));
    assert!(!of(Version::V1_0_0).contains("mtu") && !of(Version::V1_0_0).contains("pciID"));
    for wanted in ["\"mtu\":9000", "\"pciID\":\"0000:01:10.0\"", "\"mtu\":1400"] {
        assert!(of(Version::V1_1_0).contains(wanted), "{wanted}");
    }
}

#[test]
fn what_is_written_reads_back() {
    assert_eq!(
        CniResult { dns: Some(json!({})), ..whole() },
        CniResult::parse(&whole().emit(Version::V1_1_0)).unwrap()
    );
    let older = CniResult::parse(&whole().emit(Version::V0_4_0)).unwrap();
    assert_eq!((older.ips, older.interfaces[0].mtu), (whole().ips, 0));
}

#[test]
fn old_results_nulls_and_unknown_keys_are_read() {
    let old = json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.1.2.3/24", "gateway": "10.1.2.1",
        "routes": [{"dst": "0.0.0.0/0"}]}, "ip6": {"ip": "fd00::1/64"}});
    let found = CniResult::parse(&old).unwrap();
    assert_eq!((found.ips.len(), found.routes.len()), (2, 1));

    let odd = json!({"cniVersion": "1.0.0", "interfaces": null, "routes": null, "new": 1,
        "ips": [{"address": "10.1.2.3/24", "gateway": "", "frob": true}]});
    assert_eq!(CniResult::parse(&odd).unwrap().ips[0].gateway, None);

    assert_eq!(CniResult::parse(&json!({"ips": [{"address": "x"}]})).unwrap_err().code, 6);
    assert_eq!(CniResult::parse(&json!([])).unwrap_err().code, 6);
}

#[test]
fn what_older_plugins_write_for_absent_is_absent() {
    let odd = json!({"cniVersion": "0.3.1", "interfaces": [{"name": "a", "mac": null, "sandbox": ""}],
        "ips": [{"version": "4", "address": "10.1.2.3/24", "gateway": null, "interface": -1}],
        "routes": [{"dst": "0.0.0.0/0", "gw": ""}]});
    let found = CniResult::parse(&odd).unwrap();

    assert_eq!(found.interfaces, [Interface { name: "a".to_owned(), ..Interface::default() }]);
    assert_eq!((found.ips[0].interface, found.ips[0].gateway), (None, None));
    assert_eq!(found.routes, [plain("0.0.0.0/0".parse().unwrap())]);
}

/// FOREIGN §1.4: the keys of each version, and no others.
#[test]
fn no_version_has_a_key_of_another() {
    let mut result = whole();
    result.interfaces[0].socket_path = "/s".to_owned();
    let dst = "10.0.0.0/8".parse().unwrap();
    let (one, gw) = (Some(1), Some("10.0.0.1".parse().unwrap()));
    result.routes =
        vec![Route { dst, gw, mtu: one, advmss: one, priority: one, table: one, scope: Some(253) }];
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let old = ["name mac sandbox", "version interface address gateway", "dst gw"];
    let rows = [
        (Version::V0_3_0, old),
        (Version::V0_3_1, old),
        (Version::V0_4_0, old),
        (Version::V1_0_0, ["name mac sandbox", "interface address gateway", "dst gw"]),
        (
            Version::V1_1_0,
            [
                "name mac mtu sandbox socketPath pciID",
                "interface address gateway",
                "dst gw mtu advmss priority table scope",
            ],
        ),
    ];
    for (version, [interface, ip, route]) in rows {
        let value = result.emit(version);
        assert_eq!(keys(&value), "cniVersion interfaces ips routes dns", "{version}");
        assert_eq!(keys(&value["interfaces"][0]), interface, "{version}");
        assert_eq!(keys(&value["ips"][1]), ip, "{version}");
        assert_eq!(keys(&value["routes"][0]), route, "{version}");
    }
    assert_eq!(
        CniResult::default().emit(Version::V1_0_0).to_string(),
        "{\"cniVersion\":\"1.0.0\",\"dns\":{}}"
    );
}

fn any_net() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<u32>(), 0u8..=32)
            .prop_map(|(bits, length)| IpNet::new(IpAddr::V4(bits.into()), length).unwrap()),
        (any::<u128>(), 0u8..=128)
            .prop_map(|(bits, length)| IpNet::new(IpAddr::V6(bits.into()), length).unwrap()),
    ]
}

fn any_result() -> impl Strategy<Value = CniResult> {
    let interface = ("[a-z]{1,9}", "[0-9a-f]{0,4}", 0u32..70_000, "[/a-z]{0,5}", "[/a-z]{0,5}").prop_map(
        |(name, mac, mtu, sandbox, socket_path)| Interface {
            name,
            pci_id: mac.clone(),
            mac,
            mtu,
            sandbox,
            socket_path,
        },
    );
    let address = || proptest::option::of(any_net().prop_map(|net| net.addr()));
    let ip = (any_net(), address(), proptest::option::of(0usize..9));
    let ip = ip.prop_map(|(address, gateway, interface)| Ip { address, gateway, interface });
    let number = || proptest::option::of(any::<u32>());
    let route =
        (any_net(), address(), number(), number(), number(), number(), proptest::option::of(any::<u8>()));
    let route = route.prop_map(|(dst, gw, mtu, advmss, priority, table, scope)| {
        // `IpNet` compares host bits; a route has none.
        Route { dst: dst.trunc(), gw, mtu, advmss, priority, table, scope }
    });
    (vec(interface, 0..4), vec(ip, 0..4), vec(route, 0..4)).prop_map(|(interfaces, ips, routes)| CniResult {
        interfaces,
        ips,
        routes,
        dns: Some(json!({})),
    })
}

/// What a version can carry of a result.
fn carried(result: &CniResult, version: Version) -> CniResult {
    let mut less = result.clone();
    if version < Version::V1_1_0 {
        for interface in &mut less.interfaces {
            *interface = Interface {
                name: interface.name.clone(),
                mac: interface.mac.clone(),
                sandbox: interface.sandbox.clone(),
                ..Interface::default()
            };
        }
        for route in &mut less.routes {
            *route = Route { gw: route.gw, ..plain(route.dst) };
        }
    }
    less
}

proptest! {
    #[test]
    fn every_version_reads_back_what_it_can_carry(result in any_result(), version in 0usize..5) {
        let version = Version::ALL[version];
        let found = CniResult::parse(&result.emit(version)).unwrap();
        prop_assert_eq!(&found, &carried(&result, version));
        prop_assert_eq!(found.emit(version), result.emit(version), "twice is as once");
    }

    #[test]
    fn no_value_makes_it_panic(key in 0usize..7, value in prop_oneof![
        Just(json!(null)), Just(json!([1])), Just(json!([null])), Just(json!([{"address": 7}])), Just(json!([{}])),
        Just(json!({"ip": 3})), Just(json!([{"interface": 1e300}])), ".{0,20}".prop_map(Value::String)])
    {
        let mut result = whole().emit(Version::V1_1_0);
        result[["interfaces", "ips", "routes", "dns", "ip4", "ip6", "cniVersion"][key]] = value;
        let _ = CniResult::parse(&result);
    }
}

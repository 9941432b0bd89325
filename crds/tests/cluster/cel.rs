//! The CEL rules of the definitions, in kube's interpreter: the lab's API server is too old for them.

use kube::core::cel::Validator;
use serde_json::{Value, json};

fn schema() -> Value {
    let definition = crds::definitions().into_iter().next().unwrap();
    assert!(definition.name.starts_with("multinicnetworks."));
    definition.object["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn network() -> Value {
    json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": "rails"},
        "spec": {
            "subnet": "192.168.0.0/16",
            "ipam": "{\n  \"type\": \"multi-nic-ipam\",\n  \"hostBlock\": 6,\n  \"interfaceBlock\" : 2\n}\n",
            "multiNICIPAM": true,
            "plugin": {"cniVersion": "0.3.0", "type": "ipvlan", "args": {"mode": "l3"}},
            "attachPolicy": {"strategy": "none"},
        },
    })
}

fn with(changes: &[(&str, Value)]) -> Value {
    let mut object = network();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = object.pointer_mut(parent).unwrap();
        if value.is_null() {
            parent.as_object_mut().unwrap().remove(key);
        } else {
            parent[key] = value.clone();
        }
    }
    object
}

fn refused(object: &Value, old: Option<&Value>) -> Vec<String> {
    match Validator::new().validate(&schema(), object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => {
            // The first line counts the others.
            errors.to_string().lines().skip(1).map(str::to_owned).collect()
        }
    }
}

#[test]
fn what_is_right_is_taken() {
    let ours = |blocks: &str| json!(format!(r#"{{"type":"multi-nic-ipam"{blocks}}}"#));
    let both = json!([{"cidr": "10.0.0.0/8", "hostBlock": 10, "interfaceBlock": 4},
                      {"cidr": "fd10:20::/64", "hostBlock": 54, "interfaceBlock": 2}]);
    let rows = [
        network(),
        with(&[("/spec/ipam", ours(r#","hostBlock":12,"interfaceBlock":2"#))]),
        with(&[("/spec/ipam", ours(""))]),
        with(&[
            ("/spec/ipam", json!(r#"{"type": "whereabouts", "range": "192.168.0.0/16"}"#)),
            ("/spec/subnet", json!("10.0.0.0/31")),
        ]),
        with(&[("/spec/subnet", json!(null))]),
        with(&[("/spec/subnet", json!(null)), ("/spec/ipam", ours("")), ("/spec/subnets", both)]),
        with(&[(
            "/spec/plugin",
            json!({"cniVersion": "1.0.0", "type": "bridge", "args": {"whatever": "7"}}),
        )]),
        with(&[("/spec/plugin", json!({"cniVersion": "1.0.0", "type": "mellanox"}))]),
        with(&[("/spec/attachPolicy", json!({"strategy": "devClass", "class": "fast"}))]),
        with(&[("/spec/mtu", json!("auto"))]),
        with(&[("/spec/mtu", json!("68"))]),
        with(&[("/spec/mtu", json!("")), ("/spec/plugin/args", json!({"mtu": "1500"}))]),
    ];
    for object in rows {
        assert_eq!(refused(&object, None), [""; 0], "{object}");
    }
}

/// The lab's server takes each as it stands (`kube_operator/samples`), but knows no rules.
#[test]
fn samples_break_no_rule() {
    let definitions: Vec<Value> =
        crds::definitions().iter().map(|one| serde_json::to_value(&one.object).unwrap()).collect();
    let mut read = 0;
    for folder in ["samples", "samples/cluster"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(folder);
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|one| one == "yaml")) {
            for text in std::fs::read_to_string(&file).unwrap().split("\n---\n") {
                let object: Value = serde_saphyr::from_str(text).unwrap();
                let group = object["apiVersion"].as_str().unwrap().trim_end_matches("/v1");
                let of = |one: &&Value| {
                    one["spec"]["group"] == group && one["spec"]["names"]["kind"] == object["kind"]
                };
                let schema = &definitions.iter().find(of).unwrap()["spec"]["versions"][0]["schema"];

                let verdict = Validator::new().validate(&schema["openAPIV3Schema"], &object, None);

                assert!(verdict.is_ok(), "{}: {verdict:?}", file.display());
                read += 1;
            }
        }
    }
    assert!(read > 20, "only {read} samples");
}

#[test]
fn what_is_wrong_is_refused_with_one_sentence() {
    let ours = |blocks: &str| json!(format!(r#"{{"type":"multi-nic-ipam"{blocks}}}"#));
    let two = json!([{"cidr": "10.0.0.0/8"}, {"cidr": "11.0.0.0/8"}]);
    let plugin = |kind: &str, arg: &str| json!({"cniVersion": "1.0.0", "type": kind, "args": {arg: "1"}});
    let rows = [
        (
            with(&[("/spec/ipam", ours(r#","hostBlock":13,"interfaceBlock":2"#))]),
            "leave no addresses for pods",
        ),
        (with(&[("/spec/ipam", json!(r#"{"hostBlock": 6}"#))]), "ipam names no type"),
        (with(&[("/spec/subnets", json!([{"cidr": "10.0.0.0/8"}]))]), "stands beside subnet"),
        (
            with(&[
                ("/spec/subnet", json!(null)),
                ("/spec/subnets", json!([{"cidr": "10.0.0.0/8"}])),
                ("/spec/ipam", json!(r#"{"type": "static"}"#)),
            ]),
            "only with ipam type multi-nic-ipam",
        ),
        (with(&[("/spec/subnet", json!(null)), ("/spec/subnets", two)]), "two subnets of one family"),
        (
            with(&[
                ("/spec/subnet", json!(null)),
                ("/spec/subnets", json!([{"cidr": "10.0.0.0/24", "hostBlock": 7}])),
            ]),
            "leave no addresses for pods",
        ),
        (
            with(&[
                ("/spec/subnet", json!(null)),
                ("/spec/subnets", json!([{"cidr": "fd10::/64", "hostBlock": 55, "interfaceBlock": 2}])),
            ]),
            "leave no addresses for pods",
        ),
        (with(&[("/spec/plugin", plugin("ipvlan", "colour"))]), "args of ipvlan are master, mode"),
        (with(&[("/spec/plugin", plugin("macvlan", "flag"))]), "args of macvlan are"),
        (with(&[("/spec/plugin", plugin("aws-ipvlan", "vlan"))]), "args of aws-ipvlan are"),
        (with(&[("/spec/plugin", plugin("sriov", "min_tx_rate"))]), "args of sriov are vlan"),
        (with(&[("/spec/plugin", plugin("mellanox", "mode"))]), "mellanox takes no args"),
        (
            with(&[("/spec/attachPolicy", json!({"strategy": "none", "class": "fast"}))]),
            "only with strategy devClass",
        ),
        (with(&[("/spec/mtu", json!("67"))]), "mtu is out of range"),
        (with(&[("/spec/mtu", json!("65536"))]), "mtu is out of range"),
        (
            with(&[
                ("/spec/mtu", json!("1279")),
                ("/spec/subnet", json!(null)),
                ("/spec/ipam", ours("")),
                ("/spec/subnets", json!([{"cidr": "fd10::/64"}])),
            ]),
            "with an IPv6 subnet 1280",
        ),
        (
            with(&[("/spec/mtu", json!("auto")), ("/spec/plugin/args", json!({"mtu": "1500"}))]),
            "mtu stands beside plugin.args.mtu",
        ),
        (
            with(&[
                ("/spec/mtu", json!("auto")),
                ("/spec/plugin", json!({"cniVersion": "1.0.0", "type": "mellanox"})),
            ]),
            "mtu does nothing for whole devices",
        ),
    ];
    for (object, said) in rows {
        let found = refused(&object, None);
        assert!(found.len() == 1 && found[0].contains(said), "{object}: {found:?}");
    }
}

fn with_hosts(mut object: Value, hosts: u32) -> Value {
    object["status"] = json!({"computeResults": [{"netAddress": "10.0.0.0/24", "numOfHosts": hosts}]});
    object
}

#[test]
fn addresses_that_hosts_have_cannot_be_divided_otherwise() {
    let subnet = with(&[("/spec/subnet", json!("192.168.0.0/15"))]);
    let blocks =
        with(&[("/spec/ipam", json!(r#"{"type":"multi-nic-ipam","hostBlock":7,"interfaceBlock":2}"#))]);
    for (changed, said) in
        [(subnet, "subnet cannot change"), (blocks, "hostBlock and interfaceBlock cannot change")]
    {
        assert_eq!(refused(&with_hosts(changed.clone(), 0), Some(&with_hosts(network(), 0))), [""; 0]);
        assert_eq!(refused(&changed, Some(&network())), [""; 0]);
        let found = refused(&with_hosts(changed, 3), Some(&with_hosts(network(), 3)));
        assert!(found.len() == 1 && found[0].contains(said), "{found:?}");
    }
}

#[test]
fn a_second_family_may_be_added_and_other_things_may_change() {
    let dual = |subnets: Value| {
        let ipam = json!(r#"{"type":"multi-nic-ipam"}"#);
        with_hosts(
            with(&[("/spec/subnet", json!(null)), ("/spec/ipam", ipam), ("/spec/subnets", subnets)]),
            2,
        )
    };
    let first = json!({"cidr": "10.0.0.0/8", "hostBlock": 8});
    let one = dual(json!([first]));
    let second = json!({"cidr": "fd10:20::/48", "hostBlock": 8});

    assert_eq!(refused(&dual(json!([first, second])), Some(&one)), [""; 0]);
    let found = refused(&dual(json!([second])), Some(&one));
    assert!(found.len() == 1 && found[0].contains("a subnet cannot go"), "{found:?}");
    let found = refused(&dual(json!([{"cidr": "10.0.0.0/8", "hostBlock": 9}])), Some(&one));
    assert!(found.len() == 1 && found[0].contains("a subnet cannot go"), "{found:?}");
    let mtu = with(&[("/spec/plugin/args", json!({"mode": "l3", "mtu": "9000"}))]);
    assert_eq!(refused(&with_hosts(mtu, 3), Some(&with_hosts(network(), 3))), [""; 0]);
}

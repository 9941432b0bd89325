//! The definitions against a real API server, through kubectl as a person has it.
//!
//! REQUIRES: KUBECONFIG of a control plane that has none of our kinds in use, and kubectl.
//! CEL rules, which the lab's server does not know, are proved by `tests/cluster/cel.rs`.
#![cfg(feature = "cluster")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

#[path = "../../lab/kubectl.rs"]
mod kubectl;

use std::process::Command;

use serde_json::{Value, json};

fn kubectl(arguments: &[&str], input: &str) -> (bool, String) {
    kubectl::run(Command::new("kubectl"), arguments, input)
}

/// Our kinds in the cluster, from the files that people apply.
fn install() {
    let names = kubectl::install(kubectl, &kubectl::our_definitions());
    assert_eq!(names.len(), 12);
    for name in &names {
        let (_, said) = kubectl(
            &["get", name, "-o", "jsonpath={.status.conditions[*].type}={.status.conditions[*].status}"],
            "",
        );
        assert!(!said.contains("NonStructuralSchema"), "{name}: {said}");
    }
}

/// The predecessor's own example, to the letter but for the group.
fn sample(group: &str) -> String {
    format!(
        r#"apiVersion: {group}/v1
kind: MultiNicNetwork
metadata:
  name: multi-nic-sample
spec:
  subnet: "192.168.0.0/16"
  ipam: |
    {{
      "type": "multi-nic-ipam",
      "hostBlock": 6, 
      "interfaceBlock": 2,
      "vlanMode": "l3"
    }}
  multiNICIPAM: true
  plugin:
    cniVersion: "0.3.0"
    type: ipvlan
    args: 
      mode: l3
  attachPolicy:
    strategy: none
  namespaces:
  - default
"#
    )
}

#[test]
#[ignore = "needs the lab VM"]
fn the_sample_is_taken_in_both_groups_and_each_slip_is_refused_with_its_field() {
    install();

    for group in [crds::GROUP, crds::FORMER_GROUP] {
        let (well, said) = kubectl(&["apply", "-f", "-"], &sample(group));
        assert!(well, "{said}");
        let resource = format!("multinicnetworks.{group}");
        let (_, kept) = kubectl(&["get", &resource, "multi-nic-sample", "-o", "json"], "");
        let kept: Value = serde_json::from_str(&kept).unwrap();
        let wanted: Value = serde_saphyr::from_str(&sample(group)).unwrap();
        assert_eq!(kept["spec"], wanted["spec"]);
    }

    let base: Value = serde_saphyr::from_str(&sample(crds::GROUP)).unwrap();
    let rows = [
        ("/spec/subnet", json!("192.168.0.0"), "spec.subnet"),
        ("/spec/ipam", json!("hostBlock: 6"), "spec.ipam"),
        ("/spec/subnets", json!([{"cidr": "fd10:20::/48", "hostBlock": 121}]), "spec.subnets.hostBlock"),
        ("/spec/subnets", json!([{"cidr": "a"}]), "spec.subnets.cidr"),
        ("/spec/masterNets", json!(["eth1"]), "spec.masterNets"),
        ("/spec/namespaces", json!(["Not_One"]), "spec.namespaces"),
        ("/spec/allowUplink", json!("yes"), "spec.allowUplink"),
        ("/spec/plugin/cniVersion", json!("1.0"), "spec.plugin.cniVersion"),
        ("/spec/plugin/args", json!({"mtu": 9000}), "spec.plugin.args.mtu"),
        ("/spec/attachPolicy/strategy", json!("fastest"), "spec.attachPolicy.strategy"),
        ("/spec/attachPolicy/target", json!("100G"), "spec.attachPolicy.target"),
    ];
    for (pointer, value, field) in rows {
        let mut object = base.clone();
        object["metadata"]["name"] = "wrong".into();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value;
        let (well, said) = kubectl(&["create", "--validate=false", "-f", "-"], &object.to_string());
        assert!(!well && said.contains(field), "{pointer}: {said}");
    }
}

#[test]
#[ignore = "needs the lab VM"]
fn people_find_their_way_with_kubectl() {
    install();

    let (well, said) = kubectl(
        &["explain", "multinicnetworks.spec.subnets.hostBlock", "--api-version=multinic.fms.io/v1"],
        "",
    );
    assert!(well && said.contains("Bits that number hosts") && said.contains("Default: 0"), "{said}");
    let (well, said) = kubectl(&["apply", "-f", "-"], &sample(crds::GROUP));
    assert!(well, "{said}");
    let (well, table) = kubectl(&["get", "mnn"], "");
    assert!(well && table.contains("PLUGIN") && table.contains("192.168.0.0/16"), "{table}");
    let (well, said) = kubectl(&["get", "multinic"], "");
    assert!(well && said.contains("multi-nic-sample"), "{said}");
}

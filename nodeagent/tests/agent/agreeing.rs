//! What the dry run says is what a pod gets: any requests to one agent, each asked first and then attached. The speed of a
//! veth is nobody's, so what is chosen by bandwidth is compared below, in `attach/tests/engine/promising.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::harness::pods::Pod;
use crate::harness::{self, Agent, Lab};

const MASTERS: u32 = 4;

/// One pod's request.
#[derive(Debug, Clone)]
struct Asking {
    network: &'static str,
    /// `args.cni`, as the API's request names its keys, too.
    wishes: Map<String, Value>,
    /// Whether the pod goes again at once.
    goes: bool,
}

fn asking() -> impl Strategy<Value = Asking> {
    let masters = proptest::sample::subsequence(vec!["m0", "m1", "m2", "m3", "m9"], 0..3).prop_shuffle();
    let class = prop_oneof![3 => Just(""), 1 => Just("low"), 1 => Just("fast"), 1 => Just("unheard")];
    let target =
        prop_oneof![3 => Just(""), 1 => Just("5Gbps"), 1 => Just("15G"), 1 => Just("90G"), 1 => Just("fast")];
    let network = proptest::sample::select(vec!["bridged", "alone", "few", "wide", "classed"]);
    (network, proptest::option::of(0_u32..4), masters, class, target, any::<bool>()).prop_map(
        |(network, nics, masters, class, target, goes)| {
            let mut wishes = Map::new();
            wishes.extend(nics.map(|nics| ("nics".to_owned(), json!(nics))));
            // Names choose by themselves, and would hide every strategy: in one request of four.
            if masters.len() == 2 {
                wishes.insert("masters".to_owned(), json!(masters));
            }
            for (key, value) in [("class", class), ("target", target)] {
                if !value.is_empty() {
                    wishes.insert(key.to_owned(), json!(value));
                }
            }
            Asking { network, wishes, goes }
        },
    )
}

/// Networks that get in each other's way: one that wants its masters for itself, and three that choose.
fn networks(lab: &Lab) {
    let network = |name: &str, number: u32, plugin: &str, policy: &str| {
        let text = format!(
            r#"apiVersion: multinic.fms.io/v1
kind: MultiNicNetwork
metadata: {{ name: {name} }}
spec:
  subnet: 172.{number}.0.0/16
  ipam: '{{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2, "vlanMode": "l2"}}'
  multiNICIPAM: true
  plugin: {plugin}
  attachPolicy: {policy}
"#
        );
        fs::write(lab.path(&format!("config/{name}.yaml")), text).unwrap();
    };
    let macvlan = r#"{ cniVersion: "1.0.0", type: macvlan, args: { mode: bridge } }"#;
    let alone = r#"{ cniVersion: "1.0.0", type: macvlan, args: { mode: passthru } }"#;
    network("bridged", 16, macvlan, "{ strategy: none }");
    network("alone", 17, alone, "{ strategy: none }");
    network("few", 18, macvlan, "{ strategy: costOpt, target: 15Gbps }");
    network("wide", 19, macvlan, "{ strategy: perfOpt, target: 15Gbps }");
    network("classed", 20, macvlan, "{ strategy: devClass, class: low }");
    let class = |name: &str, spec: &str| {
        let text = format!(
            "apiVersion: multinic.fms.io/v1\nkind: DeviceClass\nmetadata: {{ name: {name} }}\nspec: {{ {spec} }}\n"
        );
        fs::write(lab.path(&format!("config/{name}.yaml")), text).unwrap();
    };
    class("low", "expression: 'nic.name != \"m2\"'");
    class("fast", "minSpeed: 100Gbps");
    fs::remove_file(lab.path("config/red.yaml")).unwrap();
}

/// The configuration of each network, as a runtime hands it over.
fn configs(lab: &Lab) -> BTreeMap<&'static str, Value> {
    let config = |network| {
        let output = Command::new(env!("CARGO_BIN_EXE_multi-nicd"))
            .args(["cni-config", network, "--config"])
            .arg(lab.path("config"))
            .output()
            .unwrap();
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut config = list["plugins"][0].clone();
        config["cniVersion"] = list["cniVersion"].clone();
        (network, config)
    };
    ["bridged", "alone", "few", "wide", "classed"].into_iter().map(config).collect()
}

/// Asks, attaches, and compares.
fn agree(agent: &Agent, config: &Value, number: usize, asking: &Asking) -> Result<Pod, TestCaseError> {
    let pod = Pod::new();
    let mut question = asking.wishes.clone();
    question.insert("network".to_owned(), asking.network.into());
    let mut config = config.clone();
    config["args"] = json!({ "cni": asking.wishes });
    let request = json!({
        "network": asking.network, "containerId": format!("c{number}"), "ifname": "net1", "netns": pod.netns(),
        "config": config,
    });

    let said = agent.send("POST", "/v1/select", &Value::Object(question));
    let made = agent.send("POST", "/v1/attachments", &request);

    if said.status != 200 {
        // A request that cannot be read: the pod's is refused as well.
        prop_assert_eq!((said.status, made.status), (422, 422), "{} {}", said.text(), made.text());
        return Ok(pod);
    }
    let said = said.json();
    if let Some(why) = said["refused"].as_str() {
        prop_assert!(made.status >= 400, "attached in spite of {}: {}", why, made.text());
        let detail = made.json()["detail"].as_str().unwrap_or_default().to_owned();
        prop_assert!(detail.contains(why), "said {}, but the pod was told {}", why, detail);
        return Ok(pod);
    }
    prop_assert_eq!(made.status, 201, "{} was promised: {}", said, made.text());
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["master"].as_str().unwrap().to_owned()).collect()
    };
    prop_assert_eq!(names(&said["chosen"]), names(&made.json()["links"]), "{}", said);
    Ok(pod)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 12, ..ProptestConfig::default() })]
    #[test]
    fn the_dry_run_and_the_attachment_choose_the_same(askings in proptest::collection::vec(asking(), 12..24)) {
        let lab = Lab::new();
        lab.with_network(MASTERS, 8);
        networks(&lab);
        let agent = lab.agent();
        harness::wait_for("the networks", || {
            let found = agent.get("/v1/networks").json();
            let interfaces = found["networks"].as_array().unwrap().iter().map(|one| one["interfaces"].as_array().map_or(0, Vec::len));
            // Four networks over all, and one over those of its class.
            (interfaces.sum::<usize>() == 4 * MASTERS as usize + 3).then_some(())
        });
        let configs = configs(&lab);
        let mut pods = Vec::new();
        for (number, asking) in askings.iter().enumerate() {
            let pod = agree(&agent, &configs[asking.network], number, asking)?;
            if asking.goes {
                agent.send("DELETE", &format!("/v1/attachments/{}/c{number}/net1", asking.network), &Value::Null);
            }
            pods.push(pod);
        }
    }
}

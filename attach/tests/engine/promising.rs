//! Bandwidth that pods are promised, over attachments and restarts.

use std::collections::BTreeMap;
use std::sync::Arc;

use attach::network::{Network, Strategy};
use attach::record::Key;
use attach::select::Asked;
use cni::Command::{Add, Del};
use hwprobe::SpeedMbps;
use proptest::prelude::*;
use serde_json::json;

use crate::harness::{Host, Pod, code, conf, host, pod, result, serve};

/// Two NICs of 10 Gb/s, and a network that gives each pod 8.
fn fast() -> Host {
    bandwidth(2, Strategy::CostOpt, 8_000)
}

fn bandwidth(nics: u32, strategy: Strategy, target: u32) -> Host {
    let host = host(nics);
    let mut inventory = (**host.inventory.lock().unwrap()).clone();
    for nic in &mut inventory.nics {
        nic.speed.mbps = SpeedMbps::new(10_000);
    }
    *host.inventory.lock().unwrap() = Arc::new(inventory);
    let mut networks = (**host.networks.lock().unwrap()).clone();
    let mut neta: Network = (*networks.networks["neta"]).clone();
    (neta.policy.strategy, neta.policy.target) = (strategy, SpeedMbps::new(target));
    networks.networks.insert("neta".to_owned(), Arc::new(neta));
    *host.networks.lock().unwrap() = Arc::new(networks);
    host
}

#[test]
fn a_promise_is_kept_until_the_pod_goes_also_over_a_restart() {
    let host = fast();
    let pods: Vec<Pod> = (0..4).map(|_| pod()).collect();
    {
        let engine = host.engine();
        result(serve(&engine, Add, "c0", &pods[0], &conf()));
        engine.housekeeping();
    }
    let engine = host.engine();
    engine.recover();
    result(serve(&engine, Add, "c1", &pods[1], &conf()));
    assert_eq!(pods[1].addresses("net1-0")[0], "192.168.1.1/24", "the first NIC has 2 Gb/s left");

    let full = serve(&engine, Add, "c2", &pods[2], &conf());
    assert_eq!(code(&full), 103);
    assert!(full.result.unwrap_err().msg.contains("all but 4000 of 20000 Mb/s"));
    let mut little = conf();
    little["args"] = json!({"cni": {"target": "2Gbps"}});
    result(serve(&engine, Add, "c3", &pods[3], &little));
    assert_eq!(pods[3].addresses("net1-0")[0], "192.168.0.2/24");
    let mut much = conf();
    much["args"] = json!({"cni": {"target": "9G"}});
    assert_eq!(code(&serve(&engine, Add, "c2", &pods[2], &much)), 7, "more than the network offers");

    assert_eq!(serve(&engine, Del, "c1", &pods[1], &conf()).result, Ok(None));
    result(serve(&engine, Add, "c2", &pods[2], &conf()));
    assert_eq!(pods[2].addresses("net1-0").len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, ..ProptestConfig::default() })]
    #[test]
    fn the_dry_run_promises_what_the_attachment_gets(
        strategy in prop_oneof![Just(Strategy::CostOpt), Just(Strategy::PerfOpt)],
        askings in proptest::collection::vec((proptest::option::of(1_u32..4), proptest::option::of(1_u32..30)), 4..10),
    ) {
        let host = bandwidth(4, strategy, 25_000);
        let engine = host.engine();
        let network = Arc::clone(&host.networks.lock().unwrap().networks["neta"]);
        let mut pods = Vec::new();
        for (number, (count, gigabits)) in askings.into_iter().enumerate() {
            let target = gigabits.and_then(|gigabits| SpeedMbps::new(gigabits * 1000));
            let asked = Asked { link: network.link.clone(), count, target, ..Asked::default() };
            let mut conf = conf();
            let wishes = json!({ "nics": count, "target": gigabits.map(|gigabits| format!("{gigabits}G")) });
            conf["args"] = json!({ "cni": wishes.as_object().unwrap().iter().filter(|(_, value)| !value.is_null()).collect::<BTreeMap<_, _>>() });
            let said = asked.of(Some(&network)).map_err(|error| error.to_string());
            let said = said.and_then(|wish| engine.would_select("neta", &wish).map_err(|error| error.to_string()));
            let pod = pod();
            let name = format!("c{number}");
            match (said, serve(&engine, Add, &name, &pod, &conf).result) {
                (Ok(said), Ok(_)) => {
                    let key = Key { network: "neta".to_owned(), container_id: name, ifname: "net1".to_owned() };
                    let made = engine.attachment(&key).unwrap();
                    let promised: Vec<_> = said.chosen.iter().map(|one| (one.master.clone(), one.promise.clone())).collect();
                    let got: Vec<_> = made.links.iter().map(|one| (one.master.clone(), one.promise.clone())).collect();
                    prop_assert_eq!(promised, got);
                }
                (Err(why), Err(error)) => prop_assert!(error.msg.contains(&why), "{} is not {}", error.msg, why),
                (said, got) => prop_assert!(false, "said {said:?}, but {got:?}"),
            }
            pods.push(pod);
        }
    }
}

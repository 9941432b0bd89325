//! Bandwidth that pods are promised, over attachments and restarts.

use std::sync::Arc;

use attach::network::{Network, Strategy};
use cni::Command::{Add, Del};
use hwprobe::SpeedMbps;
use serde_json::json;

use crate::harness::{Host, Pod, code, conf, host, pod, result, serve};

/// Two NICs of 10 Gb/s, and a network that gives each pod 8.
fn fast() -> Host {
    let host = host(2);
    let mut inventory = (**host.inventory.lock().unwrap()).clone();
    for nic in &mut inventory.nics {
        nic.speed.mbps = SpeedMbps::new(10_000);
    }
    *host.inventory.lock().unwrap() = Arc::new(inventory);
    let mut networks = (**host.networks.lock().unwrap()).clone();
    let mut neta: Network = (*networks.networks["neta"]).clone();
    (neta.policy.strategy, neta.policy.target) = (Strategy::CostOpt, SpeedMbps::new(8_000));
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

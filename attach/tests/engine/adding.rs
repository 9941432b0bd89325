//! ADD: what a pod gets, what is refused, and that a failure leaves nothing.

use std::sync::Arc;

use cni::Command::{Add, Del, Status};
use serde_json::{Value, json};

use crate::harness::*;

#[test]
fn a_pod_gets_a_link_on_every_nic_with_both_families_and_gives_all_back() {
    let host = host(3);
    let engine = host.engine();
    let pod = pod();

    let answer = result(serve(&engine, Add, "c1", &pod, &conf()));

    assert_eq!(pod.links(), ["net1-0", "net1-1", "net1-2"]);
    assert_eq!(pod.addresses("net1-1"), ["192.168.1.1/24", "fd10:1:24::1/64"]);
    let names: Vec<&str> =
        answer["interfaces"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["net1-0", "net1-1", "net1-2"]);
    assert_eq!(answer["interfaces"][0]["sandbox"], pod.path.display().to_string());
    assert_eq!(answer["ips"][2], json!({"interface": 1, "address": "192.168.1.1/24"}));
    assert_eq!(pod.ip("link show net1")[0]["ifname"], "net1-0", "the plain name finds the first link");
    assert_eq!(used(&engine, &host, "neta"), 6);

    assert_eq!(serve(&engine, Del, "c1", &pod, &conf()).result, Ok(None));

    assert!(pod.links().is_empty());
    assert_eq!(pod.ip("rule show").as_array().unwrap().len(), 3);
    assert_eq!(used(&engine, &host, "neta"), 0);
    assert!(engine.attachments().is_empty());
    assert_eq!(serve(&engine, Del, "c1", &pod, &conf()).result, Ok(None), "once more");
}

#[test]
fn pods_with_shares_of_one_nic_get_links_on_that_nic_alone() {
    let host = host(3);
    let engine = host.engine();
    let pods = [pod(), pod()];

    for (pod, (id, share)) in pods.iter().zip([("c1", "virtual-m1#0"), ("c2", "virtual-m1#7")]) {
        // As Multus puts it: both keys.
        let mut conf = conf();
        (conf["deviceID"], conf["pciBusID"]) = (json!(share), json!(share));
        result(serve(&engine, Add, id, pod, &conf));
    }

    for pod in &pods {
        assert_eq!(pod.links(), ["net1-0"]);
    }
    assert_eq!(
        pods.each_ref().map(|pod| pod.addresses("net1-0")[0].clone()),
        ["192.168.1.1/24", "192.168.1.2/24"]
    );
}

#[test]
fn the_same_add_again_answers_the_same_and_another_configuration_is_refused() {
    let host = host(1);
    let engine = host.engine();
    let pod = pod();
    let first = result(serve(&engine, Add, "c1", &pod, &conf()));

    assert_eq!(result(serve(&engine, Add, "c1", &pod, &conf())), first);
    let mut other = conf();
    other["plugin"]["mtu"] = json!(1400);
    let answer = serve(&engine, Add, "c1", &pod, &other);
    assert_eq!(code(&answer), 7);
    assert_eq!(pod.links().len(), 1);

    // The link was taken away behind our back: the same ADD makes it again, with the address it had.
    pod.run("link delete net1-0");
    let again = result(serve(&engine, Add, "c1", &pod, &conf()));
    assert_eq!(again["ips"], first["ips"]);
    assert_eq!(pod.links().len(), 1);
}

#[test]
fn the_same_key_in_a_new_namespace_is_a_fresh_attachment_with_the_old_addresses() {
    let host = host(1);
    let engine = host.engine();
    let first = pod();
    let before = result(serve(&engine, Add, "c1", &first, &conf()));
    let second = pod();

    let after = result(serve(&engine, Add, "c1", &second, &conf()));

    assert_eq!(before["ips"], after["ips"]);
    assert!(first.links().is_empty(), "the old one is gone");
    assert_eq!(second.links().len(), 1);
    assert_eq!(engine.attachments().len(), 1);
}

#[test]
fn a_failure_leaves_kernel_and_store_as_they_were() {
    let host = host(3);
    let engine = host.engine();
    let pod = pod();
    pod.run("link add net1-1 type veth peer name other");
    let before = pod.links();

    let answer = serve(&engine, Add, "c1", &pod, &conf());

    assert_eq!(code(&answer), 7);
    assert!(answer.result.unwrap_err().msg.contains("net1-1"));
    assert_eq!(pod.links(), before);
    assert_eq!(used(&engine, &host, "neta"), 0);
    assert!(engine.attachments().is_empty());
    engine.housekeeping();
    drop(engine);
    assert!(host.engine().attachments().is_empty());
}

#[test]
fn a_full_block_is_an_error_with_counts_and_nothing_of_the_others_is_held() {
    let host = host(2);
    let engine = host.engine();
    let mut tiny = conf();
    tiny["name"] = json!("tiny");
    let pods: Vec<Pod> = (0..3).map(|_| pod()).collect();
    for (number, pod) in pods.iter().enumerate().take(2) {
        result(serve(&engine, Add, &format!("c{number}"), pod, &tiny));
    }

    let answer = serve(&engine, Add, "c2", &pods[2], &tiny);

    let error = answer.result.unwrap_err();
    assert_eq!(error.code, 101);
    assert!(error.msg.contains("172.16.0.0/30 is full: 2 of 4 addresses are held"), "{}", error.msg);
    assert_eq!(error.details, "held: 172.16.0.1 by default/p net1, 172.16.0.2 by default/p net1");
    assert_eq!(used(&engine, &host, "tiny"), 8);
    assert_eq!(code(&serve(&engine, Status, "", &pods[2], &tiny)), 50);
    assert!(serve(&engine, Status, "", &pods[2], &conf()).result.is_ok());
}

#[test]
fn the_hosts_own_namespace_is_refused() {
    let host = host(1);
    let engine = host.engine();
    let own = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
    let call = call(Add, "c1", std::path::Path::new("/proc/self/ns/net"), &conf());

    let answer = engine.serve(&call, Some(own.into()), &mut Plugins);

    assert_eq!(code(&answer), 8);
    assert_eq!(used(&engine, &host, "neta"), 0);
}

#[test]
fn sixty_four_at_once_on_eight_masters_all_get_addresses_of_their_own() {
    let host = host(8);
    let engine = host.engine();
    let pods: Vec<Pod> = (0..64).map(|_| pod()).collect();
    let answers: Vec<serde_json::Value> = std::thread::scope(|scope| {
        let each = pods.iter().enumerate().map(|(number, pod)| {
            let engine = &engine;
            scope.spawn(move || result(serve(engine, Add, &format!("c{number}"), pod, &conf())))
        });
        let threads: Vec<_> = each.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });

    let mut all: Vec<String> = answers
        .iter()
        .flat_map(|answer| answer["ips"].as_array().unwrap())
        .map(ToString::to_string)
        .collect();
    assert_eq!(all.len(), 64 * 16);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 64 * 16, "an address was given twice");
    std::thread::scope(|scope| {
        for (number, pod) in pods.iter().enumerate() {
            let engine = &engine;
            scope.spawn(move || serve(engine, Del, &format!("c{number}"), pod, &conf()).result.unwrap());
        }
    });
    assert!(pods.iter().all(|pod| pod.links().is_empty()));
    assert_eq!(used(&engine, &host, "neta"), 0);
}

#[test]
fn asked_for_addresses_names_and_macs_are_given_or_refused() {
    let host = host(2);
    let engine = host.engine();
    let first = pod();
    let mut asked = conf();
    asked["runtimeConfig"] = json!({"ips": ["192.168.1.77", "192.168.0.66/24"], "mac": "02:00:00:00:00:77"});
    asked["names"] = json!("exact");

    let answer = result(serve(&engine, Add, "c1", &first, &asked));

    assert_eq!(first.links(), ["net1", "net1-1"]);
    assert_eq!(first.addresses("net1")[0], "192.168.0.66/24");
    assert_eq!(first.addresses("net1-1")[0], "192.168.1.77/24");
    assert_eq!(answer["interfaces"][0]["mac"], "02:00:00:00:00:77");
    let second = pod();
    let taken = serve(&engine, Add, "c2", &second, &asked);
    assert_eq!(code(&taken), 101);
    asked["runtimeConfig"]["ips"] = json!(["1.2.3.4"]);
    let outside = serve(&engine, Add, "c2", &second, &asked);
    assert!(outside.result.unwrap_err().msg.contains("1.2.3.4 is in no block"));
    asked["runtimeConfig"] = json!({"mac": "01:00:00:00:00:77"});
    assert_eq!(code(&serve(&engine, Add, "c2", &second, &asked)), 7);
    assert_eq!(used(&engine, &host, "neta"), 4);
}

#[test]
fn an_mtu_above_the_masters_and_a_name_that_is_too_long_are_refused() {
    let host = host(1);
    let engine = host.engine();
    let pod = pod();
    let mut big = conf();
    big["plugin"]["mtu"] = json!(9000);
    let answer = serve(&engine, Add, "c1", &pod, &big);
    assert_eq!(answer.result.unwrap_err().msg, "plugin.mtu: 9000 is above the 1500 of master m0");
    let mut call = call(Add, "c1", &pod.path, &conf());
    call.environment.ifname = "fourteen-bytes".to_owned();
    let answer = engine.serve(&call, Some(pod.fd()), &mut Plugins);
    assert!(answer.result.unwrap_err().msg.contains("`fourteen-bytes-0` would be over 15 bytes"));
}

#[test]
fn links_without_an_mtu_have_that_of_the_network_and_never_more_than_their_master() {
    let host = host(1);
    let engine = host.engine();
    let with = |container: &str, of_network: u32, asked: Value| {
        let mut networks = (**host.networks.lock().unwrap()).clone();
        let mut network = (*networks.networks["neta"]).clone();
        network.mtu = Some(of_network);
        networks.networks.insert("neta".to_owned(), Arc::new(network));
        *host.networks.lock().unwrap() = Arc::new(networks);
        let (pod, mut conf) = (pod(), conf());
        if !asked.is_null() {
            conf["plugin"]["mtu"] = asked;
        }
        result(serve(&engine, Add, container, &pod, &conf));
        pod.ip("link show net1-0")[0]["mtu"].clone()
    };

    assert_eq!(with("c1", 1400, Value::Null), 1400);
    assert_eq!(with("c2", 1400, json!(1300)), 1300);
    assert_eq!(with("c3", 9000, Value::Null), 1500);
}

#[test]
fn an_unknown_network_names_the_known_ones() {
    let host = host(1);
    let engine = host.engine();
    let mut unknown = conf();
    unknown["name"] = json!("netz");
    let error = serve(&engine, Add, "c1", &pod(), &unknown).result.unwrap_err();

    assert_eq!(error.to_string(), "name: this agent has no network `netz` (it has: neta, tiny)");
}

#[test]
fn addresses_of_prev_result_are_used_and_no_ipam_is_asked() {
    let host = host(2);
    let engine = host.engine();
    let pod = pod();
    let mut chained = conf();
    chained["prevResult"] =
        json!({"cniVersion": "1.1.0", "ips": [{"address": "10.5.0.1/24"}, {"address": "10.6.0.1/24"}]});

    let answer = result(serve(&engine, Add, "c1", &pod, &chained));

    assert_eq!(pod.addresses("net1-0"), ["10.5.0.1/24"]);
    assert_eq!(answer["ips"][1], json!({"interface": 1, "address": "10.6.0.1/24"}));
    assert_eq!(used(&engine, &host, "neta"), 0);
}

#[test]
fn a_number_that_somebody_has_is_passed_over() {
    let host = host(1);
    let engine = host.engine();
    let pod = pod();
    pod.run("link add x index 1000000 type veth peer name y");

    result(serve(&engine, Add, "c1", &pod, &conf()));

    assert!(pod.links().contains(&"net1-0".to_owned()));
    assert_eq!(serve(&engine, Del, "c1", &pod, &conf()).result, Ok(None));
    assert_eq!(pod.links().len(), 2, "only what is not ours is left");
}

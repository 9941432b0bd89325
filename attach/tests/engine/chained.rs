//! Calls of the cluster network's list: what a pod's annotation asks for (TRAPS C1).

use attach::Wanted;
use cni::Command::{Add, Check, Del, Gc};
use serde_json::{Value, json};

use crate::harness::{Host, Plugins, call, code, conf, host, pod, result, serve, used};

/// The call of a list whose plugins before ours made eth0.
fn chain() -> Value {
    json!({"cniVersion": "1.1.0", "name": "lab", "type": "multi-nic", "fromAnnotations": true,
        "runtimeConfig": {"io.kubernetes.cri.pod-annotations": {"k8s.v1.cni.cncf.io/networks": "neta,tiny"}},
        "prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "veth9"}, {"name": "eth0", "sandbox": "/x"}],
            "ips": [{"address": "10.99.0.2/24", "interface": 1}], "dns": {}}})
}

fn wants(host: &Host, networks: &[(&str, Value)]) {
    let each = networks.iter().map(|(ifname, conf)| Wanted {
        name: format!("default/{}", conf["name"].as_str().unwrap()),
        ifname: (*ifname).to_owned(),
        config: conf.to_string(),
    });
    *host.annotated.lock().unwrap() = Ok(each.collect());
}

fn tiny() -> Value {
    let mut tiny = conf();
    tiny["name"] = "tiny".into();
    tiny
}

#[test]
fn each_network_of_the_annotation_is_attached_and_all_of_them_detached() {
    let host = host(2);
    let engine = host.engine();
    let pod = pod();
    wants(&host, &[("net1", conf()), ("fast", tiny())]);

    let added = result(serve(&engine, Add, "c1", &pod, &chain()));

    let names: Vec<&str> =
        added["interfaces"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["veth9", "eth0", "net1-0", "net1-1", "fast-0", "fast-1"]);
    assert_eq!(added["ips"][0], json!({"address": "10.99.0.2/24", "interface": 1}));
    let of_net1: Vec<_> = added["ips"].as_array().unwrap().iter().filter(|ip| ip["interface"] == 2).collect();
    assert_eq!(of_net1[0]["address"], "192.168.0.1/24");
    assert_eq!(pod.addresses("net1-0")[0], "192.168.0.1/24");
    assert_eq!(pod.links().len(), 4);
    let told = host.events.lock().unwrap();
    assert!(
        told.iter().any(|event| matches!(event, attach::Event::Chained { pod } if pod.name == "p")),
        "{told:?}"
    );
    drop(told);

    // The runtime asks again: the same answer, nothing twice.
    assert_eq!(result(serve(&engine, Add, "c1", &pod, &chain())), added);
    let mut check = chain();
    check["prevResult"] = added;
    assert_eq!(serve(&engine, Check, "c1", &pod, &check).result, Ok(None));
    pod.run("link del fast-1");
    assert_eq!(code(&serve(&engine, Check, "c1", &pod, &check)), 999);

    assert_eq!(serve(&engine, Del, "c1", &pod, &chain()).result, Ok(None));
    assert!(pod.links().is_empty() && engine.attachments().is_empty());
    assert_eq!(used(&engine, &host, "neta") + used(&engine, &host, "tiny"), 0);
    assert_eq!(serve(&engine, Del, "c1", &pod, &chain()).result, Ok(None));
}

#[test]
fn when_one_network_fails_nothing_stays_and_the_network_is_named() {
    let host = host(2);
    let engine = host.engine();
    let pod = pod();
    let mut wrong = tiny();
    wrong["masters"] = json!(["nothere"]);
    wants(&host, &[("net1", conf()), ("net2", wrong)]);

    let answer = serve(&engine, Add, "c1", &pod, &chain());

    let error = answer.result.unwrap_err();
    assert!(error.msg.starts_with("default/tiny as net2: "), "{}", error.msg);
    assert!(pod.links().is_empty() && engine.attachments().is_empty());
    assert_eq!(used(&engine, &host, "neta"), 0);
}

#[test]
fn a_del_that_came_without_an_agent_is_made_up_for() {
    let host = host(1);
    let pod = pod();
    {
        let engine = host.engine();
        wants(&host, &[("net1", conf()), ("net2", tiny())]);
        result(serve(&engine, Add, "c1", &pod, &chain()));
        engine.housekeeping();
    }
    let note = cni::note::Note {
        network: "lab".to_owned(),
        container_id: "c1".to_owned(),
        ifname: "net1".to_owned(),
        boot: host.boot.clone(),
        cookie: None,
        time: cni::note::now(),
        delegates_done: true,
    };
    note.write(host.folder.path()).unwrap();
    let engine = host.engine();
    engine.recover();
    assert_eq!(engine.attachments().len(), 2, "they outlive the agent");

    engine.consume_notes(&mut attach::NoConversation);

    assert!(pod.links().is_empty() && engine.attachments().is_empty());
}

#[test]
fn gc_takes_only_what_is_not_listed_and_dead() {
    let host = host(1);
    let engine = host.engine();
    wants(&host, &[("net1", conf())]);
    let (listed, live, dead) = (pod(), pod(), pod());
    for (id, pod) in [("listed", &listed), ("live", &live), ("dead", &dead)] {
        result(serve(&engine, Add, id, pod, &chain()));
    }
    let path = dead.path.clone();
    dead.die();
    let mut gc = chain();
    gc["cni.dev/valid-attachments"] = json!([{"containerID": "listed", "ifname": "eth0"}]);
    let answer = engine.serve(&call(Gc, "", &path, &gc), None, &mut Plugins);
    assert_eq!(answer.result, Ok(None));
    let left: Vec<String> = engine.attachments().iter().map(|one| one.key.container_id.clone()).collect();
    assert_eq!(left, ["listed", "live"]);

    // GC of the network itself comes from elsewhere, and says nothing of these.
    let mut other = conf();
    other["cni.dev/valid-attachments"] = json!([]);
    assert_eq!(engine.serve(&call(Gc, "", &path, &other), None, &mut Plugins).result, Ok(None));
    assert_eq!(engine.attachments().len(), 2);
}

#[test]
fn what_the_annotation_asks_wrongly_is_an_error_before_anything_is_done() {
    let host = host(1);
    let engine = host.engine();
    let pod = pod();
    *host.annotated.lock().unwrap() = Err(cni::Error::new(7, "there is no MultiNicNetwork `neta`"));
    assert_eq!(code(&serve(&engine, Add, "c1", &pod, &chain())), 7);
    let mut none = chain();
    none["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": null});
    let added = result(serve(&engine, Add, "c1", &pod, &none));
    assert_eq!(added["interfaces"].as_array().unwrap().len(), 2, "the cluster network's own");
    assert!(engine.attachments().is_empty());
}

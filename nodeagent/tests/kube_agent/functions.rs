//! What the operator wants of PFs, on a machine that has none: what is said of the plans shows which are taken up.

use serde_json::{Value, json};

use crate::cluster::{Cluster, NODE};
use crate::harness::{Agent, Lab, wait_for, write};
use crate::node::Machine;

/// Writes the plan as the operator does: the status as a whole, of a version that the server has now.
fn plan(cluster: &Cluster, plans: &Value) {
    let path = format!("/apis/multinic.fms.io/v1/hostinterfaces/{NODE}");
    wait_for("the plan to be written", || {
        let mut object = cluster.get("hostinterface", NODE)?;
        object["status"]["sriovPlan"] = plans.clone();
        cluster.tries(&["replace", "--raw", &format!("{path}/status"), "-f", "-"], &object.to_string())
    });
}

fn of_red(more: &Value) -> Value {
    let mut policy = json!({
        "resourceName": "vfs", "nicSelector": {"rootDevices": ["0000:3b:00.0"]}, "numVfs": 4, "priority": 99,
        "needVhostNet": true,
    });
    policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!([{"network": "red", "policy": policy}])
}

/// What is said of policies: gravity and field of each.
fn said(agent: &Agent) -> Vec<String> {
    let list = agent.get("/v1/sriov/pfs").json();
    let reports = list["reports"].as_array().cloned().unwrap_or_default();
    let word = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    reports
        .iter()
        .map(|one| format!("{} {} {}", word(one, "policy"), word(one, "gravity"), word(one, "field")))
        .collect()
}

#[test]
#[ignore = "needs an API server"]
fn what_the_operator_plans_is_taken_up_remembered_and_let_go() {
    const TAKEN: &str = "red warning status.sriovPlan.policy.needVhostNet";
    let cluster = Cluster::new();
    let machine = Machine::new(&cluster);
    cluster.network("red");
    let mut agent = machine.agent();
    plan(&cluster, &of_red(&json!({})));
    wait_for("the plan", || (said(&agent) == [TAKEN]).then_some(()));

    machine.cut(true);
    assert!(agent.stop().0.success());
    let agent = machine.agent();
    wait_for("the plan from memory", || (said(&agent) == [TAKEN]).then_some(()));

    // Two that do not go together: the former plan counts on.
    plan(&cluster, &of_red(&json!({"deviceType": "vfio-pci", "isRdma": true})));
    machine.cut(false);
    let both = ["red error status.sriovPlan.policy.isRdma", TAKEN];
    wait_for("what is wrong", || (said(&agent) == both).then_some(()));

    plan(&cluster, &json!([]));
    wait_for("the end of the plan", || said(&agent).is_empty().then_some(()));
}

#[test]
#[ignore = "a private machine like the others"]
fn the_nic_on_the_way_to_the_api_server_is_protected_without_a_word() {
    let lab = Lab::new();
    lab.with_network(2, 8);
    std::fs::remove_file(lab.path("config/red.yaml")).unwrap();
    let file = lab.path("kubeconfig");
    write(
        &file,
        "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], \
         clusters: [{name: c, cluster: {server: 'https://10.0.1.77:6443'}}], users: [{name: u, user: {token: t}}]}",
    );
    let mode = ["--kubeconfig", file.to_str().unwrap(), "--node-name", NODE];
    let agent = lab.agent_in(&mode, &["--reprobe-interval", "off", "--listen", "127.0.0.1:0"]);

    let protection = |name: &str| agent.nic(name).unwrap()["protected"].clone();

    assert_eq!(protection("m1")["reason"], "apiServer", "{}", agent.log());
    assert_ne!(protection("m0")["reason"], "apiServer");
}

#[test]
#[ignore = "needs an API server"]
fn device_classes_are_told_with_each_nic_and_follow_their_changes() {
    let cluster = Cluster::new();
    let machine = Machine::new(&cluster);
    let _agent = machine.agent();
    let class = |expression: &str| {
        cluster.apply(&json!({
            "apiVersion": "multinic.fms.io/v1", "kind": "DeviceClass", "metadata": {"name": "named"},
            "spec": {"expression": expression},
        }));
    };
    let told = || {
        let object = cluster.get("hostinterface", NODE)?;
        let nics = object["spec"]["interfaces"].as_array()?.iter();
        let inside = nics.filter(|nic| nic["deviceClasses"] == json!(["named"]));
        Some(
            inside
                .map(|nic| nic["interfaceName"].as_str().unwrap_or_default().to_owned())
                .collect::<Vec<_>>(),
        )
    };

    class("nic.name == 'm1'");
    wait_for("the class of a NIC", || (told()? == ["m1"]).then_some(()));
    class("nic.name.startsWith('m') && nic.link.mtu == 1500");
    wait_for("the class of both", || (told()? == ["m0", "m1"]).then_some(()));
    class("nic.name ==");
    wait_for("nobody in a class that cannot be read", || told()?.is_empty().then_some(()));
}

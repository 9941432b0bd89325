//! kubectl-multinic against a real API server and what a real agent published, with the rights of `deploy/kubectl-multinic`.

use clap::Parser;
use kubectl_multinic::{Cli, FINE, PROBLEM};
use serde_json::{Value, json};

use crate::cluster::{Cluster, NODE};
use crate::harness::wait_for;
use crate::node::Machine;

/// The tool as the person ann has it.
struct Tool {
    kubeconfig: String,
}

impl Tool {
    fn run(&self, arguments: &[&str]) -> (u8, String) {
        let flags = ["kubectl-multinic", "--kubeconfig", &self.kubeconfig];
        let cli = Cli::try_parse_from([&flags[..], arguments].concat()).unwrap();
        let mut out = Vec::new();
        let code = kubectl_multinic::run(&cli, &mut out).unwrap_or_else(|error| panic!("{error:#}"));
        (code, String::from_utf8(out).unwrap())
    }

    fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let (_, text) = self.run(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().clone()
    }
}

#[test]
#[ignore = "needs an API server"]
fn the_tool_shows_what_agents_published_with_the_rights_that_deploy_gives() {
    let cluster = Cluster::new();
    let rights = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kubectl-multinic/rbac.yaml");
    cluster.must(&["apply", "-f", rights], "");
    let subject = ["--user", "ann", "--dry-run=client", "-o", "json"];
    let bind = |arguments: &[&str]| {
        let object = cluster.must(&[&["create"], arguments, &subject].concat(), "");
        cluster.must(&["apply", "-f", "-"], &object);
    };
    bind(&["clusterrolebinding", "ann", "--clusterrole", "multi-nic-admin"]);
    bind(&["rolebinding", "ann", "-n", "multi-nic-cni-operator", "--role", "multi-nic-admin"]);
    let machine = Machine::new(&cluster);
    let folder = std::env::var("KUBE_DIR").unwrap();
    let admin = std::fs::read_to_string(format!("{folder}/kubeconfig")).unwrap();
    let ann = machine.lab.path("kubeconfig.ann");
    std::fs::write(&ann, admin.replace("user: {", "user: {as: ann, ")).unwrap();
    assert!(std::fs::read_to_string(&ann).unwrap().contains("as: ann"), "{admin}");
    let tool = Tool { kubeconfig: ann.display().to_string() };
    cluster.network("red");
    cluster.slice(
        "red",
        "red",
        &[(
            0,
            "10.0.0.0/24",
            "192.168.0.0/18",
            &["n1 m0 10.0.0.1 192.168.0.0/24", "n2 eth0 10.0.0.2 192.168.1.0/24"],
        )],
    );
    let _agent = machine.agent();

    let routes = wait_for("the agent's routes", || {
        let rows = tool.rows(&["routes"]);
        rows.first().is_some_and(|row| row["present"] == 1).then_some(rows)
    });
    assert_eq!((&routes[0]["network"], &routes[0]["desired"]), (&json!("red"), &json!(1)), "{routes:?}");
    let nodes = tool.rows(&["nodes"]);
    assert_eq!(
        (&nodes[0]["node"], &nodes[0]["nics"], &nodes[0]["networks"]),
        (&json!(NODE), &json!(2), &json!(1))
    );
    assert_eq!((&nodes[0]["agent"], &nodes[0]["routes"]), (&json!("none"), &json!("1/1")), "{nodes:?}");
    let nics = tool.rows(&["nics"]);
    assert_eq!(
        (nics.len(), &nics[0]["nic"], &nics[0]["networks"][0]),
        (2, &json!("m0"), &json!("10.0.0.0/24"))
    );
    assert_eq!(tool.rows(&["networks"])[0]["status"], "NotSeenByOperator");

    // Without a kubelet nothing can be started in a pod: it is said, and nothing else is lost.
    cluster.apply(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "multi-nicd-x", "namespace": "multi-nic-cni-operator", "labels": {"app": "multi-nicd"}},
        "spec": {"nodeName": NODE, "automountServiceAccountToken": false,
                 "containers": [{"name": "agent", "image": "localhost/multi-nicd:0.1.0"}]},
    }));
    cluster.apply(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "trainer-0", "namespace": "default",
                     "annotations": {"k8s.v1.cni.cncf.io/networks": "red"}},
        "spec": {"nodeName": NODE, "automountServiceAccountToken": false, "containers": [{"name": "c", "image": "none"}]},
    }));
    let findings = tool.rows(&["doctor"]);
    let of = |check: &str| {
        findings
            .iter()
            .find(|one| one["check"] == check)
            .unwrap_or_else(|| panic!("{check}: {findings:?}"))
            .clone()
    };
    assert_eq!(of("kinds-installed")["verdict"], "fine", "{}", of("kinds-installed"));
    assert_eq!(
        (of("nodes-told")["verdict"].as_str(), of("routes-present")["verdict"].as_str()),
        (Some("fine"), Some("fine"))
    );
    assert_eq!(of("operator-runs")["verdict"], "problem");
    assert!(
        of("agents-answer")["evidence"].as_str().unwrap().contains("in pod multi-nicd-x"),
        "{}",
        of("agents-answer")
    );
    assert!(findings.iter().all(|one| !one["evidence"].as_str().unwrap().contains("403")), "{findings:?}");

    let (code, said) = tool.run(&["why", "trainer-0", "-n", "default"]);
    assert_eq!(code, PROBLEM, "{said}");
    assert!(said.contains("it asks for default/red") && said.contains("does not answer"), "{said}");
    let bundle = machine.lab.path("bundle.tar.gz");
    let bundle = bundle.to_str().unwrap();
    tool.run(&["support-bundle", "-o", bundle]);
    let cli = Cli::try_parse_from(["kubectl-multinic", "--facts", bundle, "routes"]).unwrap();
    assert_eq!(kubectl_multinic::run(&cli, &mut Vec::new()).unwrap(), FINE);

    for pod in [["multi-nicd-x", "multi-nic-cni-operator"], ["trainer-0", "default"]] {
        cluster.must(&["delete", "pod", pod[0], "-n", pod[1], "--grace-period=0", "--force"], "");
    }
}

//! kubectl-multinic beside a real agent, over its socket, without a cluster. REQUIRES: root, veth, macvlan.

use std::io::Read;
use std::process::Command;

use clap::Parser;
use hwprobe::{Probe, ProbeSettings};
use kubectl_multinic::{COULD_NOT_ASK, Cli, FINE, PROBLEM};
use serde_json::{Value, json};

use crate::harness::pods::Pod;
use crate::harness::{Agent, Lab, wait_for};

/// Exit code and output of the tool.
fn tool(arguments: &[&str]) -> Result<(u8, String), String> {
    let cli = Cli::try_parse_from([&["kubectl-multinic"], arguments].concat())
        .map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    let code = kubectl_multinic::run(&cli, &mut out).map_err(|error| format!("{error:#}"))?;
    Ok((code, String::from_utf8(out).unwrap()))
}

/// The same of the agent's socket.
fn ask(agent: &Agent, arguments: &[&str]) -> (u8, String) {
    tool(&[&["--socket", agent.socket.to_str().unwrap()], arguments].concat()).unwrap()
}

fn rows(agent: &Agent, arguments: &[&str]) -> Vec<Value> {
    let (_, text) = ask(agent, &[arguments, &["-o", "json"]].concat());
    serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().clone()
}

fn with_masters(lab: &Lab) -> Agent {
    lab.with_network(2, 8);
    let agent = lab.agent();
    wait_for("two masters in the network", || {
        let network = agent.get("/v1/networks/red").json();
        let there = network["interfaces"].as_array()?.iter().filter(|one| one.get("nic").is_some()).count();
        (there == 2).then_some(())
    });
    agent
}

#[test]
fn one_agent_answers_without_a_cluster() {
    let lab = Lab::new();
    let agent = with_masters(&lab);

    let nodes = rows(&agent, &["nodes"]);
    assert_eq!((nodes.len(), &nodes[0]["agent"]), (1, &json!("ready")), "{nodes:?}");
    assert_eq!((&nodes[0]["networks"], &nodes[0]["allNetworks"]), (&json!(1), &json!(1)));
    assert_ne!(nodes[0]["node"], "");
    let nics = rows(&agent, &["nics"]);
    let named: Vec<_> =
        nics.iter().map(|nic| (nic["nic"].as_str().unwrap(), nic["role"].as_str().unwrap())).collect();
    // The machine's own PCI devices are there, too.
    assert!(named.contains(&("m0", "secondary")) && named.contains(&("m1", "secondary")), "{named:?}");
    assert_eq!(rows(&agent, &["networks"])[0]["subnet"], "192.168.0.0/18, 192.168.64.0/18");
    let (code, yaml) = ask(&agent, &["networks", "red", "-o", "yaml"]);
    assert_eq!((code, yaml.contains("network: red")), (FINE, true), "{yaml}");
}

#[test]
fn explain_names_the_rule_of_each_nic_that_is_left_out() {
    let lab = Lab::new();
    let agent = with_masters(&lab);

    let (code, table) = ask(&agent, &["explain", "--network", "red", "--nics", "1"]);
    assert_eq!(code, FINE, "{table}");
    let guide = include_str!("../../../docs/kubectl-multinic.md");
    let example = guide.split("$ kubectl multinic --local explain --network red --nics 1\n").nth(1).unwrap();
    // The machine's own PCI devices stand there, too, and make columns wider.
    let words = |text: &str| -> Vec<String> {
        let ours = ["NIC", "m0", "m1"];
        let lines = text.lines().filter(|line| ours.iter().any(|name| line.starts_with(name)));
        lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(
        words(example.split("```").next().unwrap()),
        words(&table),
        "docs/kubectl-multinic.md\n{table}"
    );
    let line =
        |name: &str| table.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
    assert!(line("m0").contains("1."), "{table}");
    assert!(line("m1").contains("enoughChosen"), "{table}");

    let (code, table) = ask(&agent, &["explain", "--network", "red", "--masters", "m7"]);
    assert_eq!(code, PROBLEM, "{table}");
    assert!(table.starts_with("The pod would be refused:"), "{table}");
    let socket = agent.socket.to_str().unwrap();
    let error = tool(&["--socket", socket, "explain", "--network", "rad"]).unwrap_err();
    assert!(error.contains("rad"), "{error}");
}

#[test]
fn doctor_finds_a_full_block_and_a_link_that_is_down() {
    let lab = Lab::new();
    lab.with_network(1, 2);
    let agent = lab.agent();
    wait_for("the master in the network", || {
        agent.get("/v1/networks/red").json()["interfaces"][0].get("nic").map(|_| ())
    });
    let problems = |wanted: &str| {
        let all = rows(&agent, &["doctor", "--problems"]);
        all.into_iter().find(|finding| finding["check"] == wanted)
    };
    assert_eq!((problems("blocks-not-full"), problems("nics-up")), (None, None));

    let pods = [Pod::new(), Pod::new()];
    for (number, pod) in pods.iter().enumerate() {
        let wish = json!({"network": "red", "containerId": format!("c{number}"), "ifname": "net1",
                          "netns": pod.netns(), "args": "K8S_POD_NAMESPACE=jobs;K8S_POD_NAME=trainer-0"});
        assert_eq!(agent.send("POST", "/v1/attachments", &wish).status, 201);
    }
    lab.ip("link set w0 down");

    let full = problems("blocks-not-full").expect("a finding");
    assert_eq!(full["verdict"], "problem", "{full}");
    assert!(full["evidence"].as_str().unwrap().contains("2 of 2 addresses are held"), "{full}");
    let down = wait_for("the carrier to be missed", || problems("nics-up"));
    assert!(down["evidence"] == "has no carrier" && down["fix"] != "", "{down}");
    assert_eq!(ask(&agent, &["doctor"]).0, PROBLEM);
}

#[test]
fn without_an_agent_it_says_what_to_do() {
    let error = tool(&["--socket", "/nonexistent/api.sock", "nodes"]).unwrap_err();

    assert!(error.contains("/nonexistent/api.sock") && error.contains("is multi-nicd running"), "{error}");
    assert_eq!(COULD_NOT_ASK, 2);
}

#[test]
fn a_bundle_names_nobody_and_replays() {
    let lab = Lab::new();
    let agent = with_masters(&lab);
    let pod = Pod::new();
    let wish = json!({"network": "red", "containerId": "c1", "ifname": "net1", "netns": pod.netns(),
                      "args": "K8S_POD_NAMESPACE=jobs;K8S_POD_NAME=trainer-0"});
    assert_eq!(agent.send("POST", "/v1/attachments", &wish).status, 201);
    let file = lab.path("bundle.tar.gz");
    let file = file.to_str().unwrap();

    let flags = ["--multi-nicd", env!("CARGO_BIN_EXE_multi-nicd"), "support-bundle", "-o", file];
    let (code, said) = ask(&agent, &flags);

    assert_eq!(code, FINE, "{said}");
    let mut files = std::collections::BTreeMap::new();
    let packed = flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap());
    for entry in tar::Archive::new(packed).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(path, text);
    }
    let inventory = agent.get("/v1/inventory").json();
    let host = inventory["node"]["hostname"].as_str().map(str::to_owned);
    let links: Value = serde_json::from_str(&lab.ip("-j link")).unwrap();
    let macs = links.as_array().unwrap().iter().map(|link| link["address"].as_str().unwrap().to_owned());
    let macs: Vec<String> = macs.filter(|mac| mac != "00:00:00:00:00:00").collect();
    assert_eq!(macs.len(), 4, "{links}");
    for (path, text) in &files {
        let text = text.to_lowercase();
        for secret in macs.iter().map(String::as_str).chain(["trainer-0"]).chain(host.as_deref()) {
            assert!(!text.contains(&secret.to_lowercase()), "{secret} is in {path}");
        }
    }
    let snapshot = files.iter().find(|(path, _)| path.ends_with("/snapshot.json")).expect("a recording");
    let replayed = lab.path("snapshot.json");
    std::fs::write(&replayed, snapshot.1).unwrap();
    let inventory = Probe::replay(&replayed, ProbeSettings::default()).unwrap().inventory();
    assert!(inventory.nics.iter().any(|nic| nic.name.as_deref() == Some("m0")));

    // It answers as the agent did.
    let (_, nics) = tool(&["--facts", file, "nics", "-o", "json"]).unwrap();
    let nics: Value = serde_json::from_str(&nics).unwrap();
    let named =
        nics["items"].as_array().unwrap().iter().filter(|nic| nic["nic"] == "m0" || nic["nic"] == "m1");
    assert_eq!(named.count(), 2, "{nics}");
    assert!(
        tool(&["--facts", file, "explain", "--network", "red"]).unwrap_err().contains("leave out --facts")
    );
}

#[test]
fn the_agents_own_program_hands_answers_on() {
    let lab = Lab::new();
    let agent = with_masters(&lab);
    let request = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multi-nicd"));
        command.arg("--run-dir").arg(lab.path("run")).arg("request").args(arguments).output().unwrap()
    };

    let answer = request(&["POST", "/v1/select", r#"{"network": "red"}"#]);
    assert!(answer.status.success());
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(answer["chosen"].as_array().unwrap().len(), 2);

    let refused = request(&["GET", "/v1/networks/rad"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert!(said.contains("/v1/networks/rad (404)") && said.contains("\"type\""), "{said}");
    drop(agent);
}

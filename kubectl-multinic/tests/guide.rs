//! The examples of docs/kubectl-multinic.md are what the tool prints, of two recorded clusters: one where all is well, one
//! with trouble. `UPDATE_GUIDE=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};

use clap::Parser;
use kubectl_multinic::{Cli, FINE, PROBLEM};
use serde_json::Value;

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster").join(name)
}

/// Exit code and output of the tool for a recorded cluster.
fn tool(file: &Path, arguments: &[&str]) -> (u8, String) {
    let facts = ["kubectl-multinic", "--facts", file.to_str().unwrap()];
    let cli = Cli::try_parse_from([&facts[..], arguments].concat()).unwrap();
    let mut out = Vec::new();
    let code = kubectl_multinic::run(&cli, &mut out).unwrap();
    (code, String::from_utf8(out).unwrap())
}

/// What the guide shows for a command; those of `--local` are another test's (nodeagent/tests/agent/tool.rs).
fn shown(command: &str) -> Option<String> {
    let arguments: Vec<&str> = command.split_whitespace().collect();
    if arguments.contains(&"--local") {
        return None;
    }
    let trouble = matches!(arguments.first(), Some(&"why" | &"doctor"));
    let file = recorded(if trouble { "trouble.json" } else { "facts.json" });
    Some(tool(&file, &arguments).1)
}

#[test]
fn examples_of_the_guide_are_what_the_tool_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/kubectl-multinic.md");
    let guide = std::fs::read_to_string(&path).unwrap();
    let mut blocks = 0;
    let mut renewed = String::new();
    let mut rest = guide.as_str();
    while let Some((before, from)) = rest.split_once("```console\n$ kubectl multinic ") {
        let (block, after) = from.split_once("```\n").unwrap();
        let (command, _) = block.split_once('\n').unwrap();
        let block = match shown(command) {
            Some(output) => format!("{command}\n{output}"),
            None => block.to_owned(),
        };
        renewed += &format!("{before}```console\n$ kubectl multinic {block}```\n");
        (blocks, rest) = (blocks + 1, after);
    }
    renewed += rest;

    if std::env::var_os("UPDATE_GUIDE").is_some() {
        std::fs::write(&path, &renewed).unwrap();
    }
    assert!(blocks >= 7, "the guide has {blocks} examples");
    assert_eq!(guide, renewed, "UPDATE_GUIDE=1 writes them anew");
}

#[test]
fn lines_stay_within_eighty_columns_and_wide_ones_do_not_wrap() {
    for command in [&["nodes"][..], &["nics"], &["networks"], &["routes"]] {
        let (_, table) = tool(&recorded("trouble.json"), command);
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{command:?}\n{table}");
    }
    let (_, wide) = tool(&recorded("facts.json"), &["nics", "-o", "wide"]);
    assert_eq!(wide.lines().count(), 1 + 6, "{wide}");
}

#[test]
fn json_and_yaml_hold_the_same() {
    for command in ["nodes", "nics", "networks", "routes", "doctor"] {
        let (_, json) = tool(&recorded("trouble.json"), &[command, "-o", "json"]);
        let (_, yaml) = tool(&recorded("trouble.json"), &[command, "-o", "yaml"]);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), json);
        assert!(!json["items"].as_array().unwrap().is_empty(), "{command}");
    }
}

#[test]
fn exit_codes_tell_trouble() {
    assert_eq!(tool(&recorded("facts.json"), &["doctor"]).0, FINE);
    assert_eq!(tool(&recorded("trouble.json"), &["doctor"]).0, PROBLEM);
    assert_eq!(tool(&recorded("facts.json"), &["why", "trainer-0", "-n", "jobs"]).0, FINE);
    assert_eq!(tool(&recorded("trouble.json"), &["why", "trainer-1", "-n", "jobs"]).0, PROBLEM);
    let facts = recorded("facts.json");
    for wrong in [&["nodes", "--node", "n9"][..], &["networks", "rad"], &["why", "nobody"], &["explain"]] {
        let cli = [&["kubectl-multinic", "--facts", facts.to_str().unwrap()][..], wrong].concat();
        let cli = Cli::try_parse_from(cli).unwrap();
        assert!(kubectl_multinic::run(&cli, &mut Vec::new()).is_err(), "{wrong:?}");
    }
}

#[test]
fn completion_is_there_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let cli = Cli::try_parse_from(["kubectl-multinic", "completion", shell]).unwrap();
        let mut out = Vec::new();
        assert_eq!(kubectl_multinic::run(&cli, &mut out).unwrap(), FINE);
        assert!(String::from_utf8(out).unwrap().contains("support-bundle"), "{shell}");
    }
}

mod why {
    use super::{recorded, tool};
    use serde_json::Value;

    fn cause(change: impl FnOnce(&mut Value), pod: &str) -> (String, String) {
        let mut facts: Value =
            serde_json::from_str(&std::fs::read_to_string(recorded("facts.json")).unwrap()).unwrap();
        change(&mut facts);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("facts.json");
        std::fs::write(&file, facts.to_string()).unwrap();
        let (_, text) = tool(&file, &["why", pod, "-n", "jobs", "-o", "json"]);
        let story: Value = serde_json::from_str(&text).unwrap();
        let word = |name: &str| story[name].as_str().unwrap_or_default().to_owned();
        (word("cause"), word("fix"))
    }

    #[test]
    fn the_first_cause_is_named_with_its_fix() {
        let (why, fix) = cause(|facts| facts["pods"][1]["asked"] = "rad".into(), "trainer-1");
        assert!(
            why.contains("no MultiNicNetwork rad; there are: red") && fix.contains("annotation"),
            "{why}: {fix}"
        );

        let (why, fix) = cause(|facts| facts["pods"][1]["asked"] = "default/red".into(), "trainer-1");
        assert!(why.contains("not for namespace default") && fix.contains("spec.namespaces"), "{why}: {fix}");

        let (why, fix) =
            cause(|facts| facts["attachmentDefinitions"] = Value::Array(Vec::new()), "trainer-1");
        assert!(why.contains("no attachment definition red") && fix.contains("operator"), "{why}: {fix}");

        let (why, _) = cause(|facts| facts["pods"][1]["asked"] = "[{".into(), "trainer-1");
        assert!(why.contains("cannot be read"), "{why}");

        let unscheduled = |facts: &mut Value| {
            facts["pods"][1]["node"] = "".into();
            facts["pods"][1]["unschedulable"] = "0/2 nodes: Insufficient openshift.io/red".into();
        };
        let (why, fix) = cause(unscheduled, "trainer-1");
        assert!(why.contains("Insufficient") && fix.contains("virtual functions"), "{why}: {fix}");

        let silent = |facts: &mut Value| {
            facts["nodes"][1]["agent"].take();
            facts["nodes"][1]["agentError"] = "no answer within 60 s".into();
        };
        let (why, fix) = cause(silent, "trainer-1");
        assert!(
            why.contains("no answer within 60 s") && fix == "kubectl multinic doctor --node n2",
            "{why}: {fix}"
        );

        let lost = |facts: &mut Value| facts["nodes"][0]["agent"]["attachments"][0]["phase"] = "lost".into();
        assert!(cause(lost, "trainer-0").0.contains("a NIC below is gone"));

        let late = |facts: &mut Value| facts["pods"][1]["phase"] = "Running".into();
        assert!(cause(late, "trainer-1").1.contains("make the pod anew"));
    }
}

//! Each check is content with a cluster in which all is well, and finds what it is there to find.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

use kubectl_multinic::{CHECKS, Facts, Verdict, examine};
use serde_json::{Value, json};

fn well() -> Value {
    serde_json::from_str(include_str!("cluster/facts.json")).unwrap()
}

fn facts(value: Value) -> Facts {
    serde_json::from_value(value).unwrap()
}

/// What is set where, what is found of which check, and words of its evidence and fix.
type Bad = (&'static str, &'static [(&'static str, &'static str)], Verdict, &'static str, &'static str);

const AGENT: &str = "/nodes/0/agent";

/// Values are JSON; `null` takes away.
const BAD: &[Bad] = &[
    (
        "kinds-installed",
        &[("/install/missingKinds", r#"["cidrs"]"#)],
        Verdict::Problem,
        "does not know",
        "deploy/crds",
    ),
    (
        "multus",
        &[("/install/knowsAttachmentDefinitions", "false")],
        Verdict::Problem,
        "no --chain",
        "without-multus",
    ),
    ("operator-runs", &[("/install/operator", "null")], Verdict::Problem, "no Deployment", "docs/install.md"),
    ("operator-runs", &[("/install/operator/ready", "0")], Verdict::Problem, "0 of 1", "log"),
    (
        "operator-runs",
        &[("/install/operatorPods/0/reason", r#""OOMKilled""#)],
        Verdict::Problem,
        "want of memory",
        "raise the memory limit",
    ),
    (
        "agent-everywhere",
        &[("/install/daemonSet", "null")],
        Verdict::Problem,
        "no DaemonSet",
        "docs/install.md",
    ),
    ("agent-everywhere", &[("/nodes/0/program", "null")], Verdict::Problem, "no taint", "node selector"),
    (
        "agent-everywhere",
        &[("/nodes/0/program", "null"), ("/nodes/0/taints", r#"["gpu:NoSchedule"]"#)],
        Verdict::Problem,
        "taint gpu:NoSchedule",
        "toleration",
    ),
    (
        "agents-run",
        &[("/nodes/0/program/ready", "false"), ("/nodes/0/program/reason", r#""CrashLoopBackOff""#)],
        Verdict::Problem,
        "CrashLoopBackOff",
        "--previous",
    ),
    (
        "agents-run",
        &[("/nodes/0/program/reason", r#""OOMKilled""#)],
        Verdict::Problem,
        "want of memory",
        "DaemonSet",
    ),
    (
        "agents-answer",
        &[(AGENT, "null"), ("/nodes/0/agentError", r#""no answer within 60 s""#)],
        Verdict::Problem,
        "no answer within",
        "pods/exec",
    ),
    ("agents-answer", &[("/nodes/0/agent/readiness/ready", "false")], Verdict::Problem, "not ready", "log"),
    (
        "agents-answer",
        &[("/nodes/0/agent/readiness/listeners/0/state", r#""busy""#)],
        Verdict::Warning,
        "is not open",
        "listen",
    ),
    ("one-version", &[("/nodes/0/agent/version", r#""0.0.9""#)], Verdict::Warning, "0.0.9 on n1", "rollout"),
    (
        "agent-memory",
        &[("/nodes/0/agent/readiness/store/state", r#""unavailable""#)],
        Verdict::Problem,
        "cannot be written",
        "writable",
    ),
    (
        "agent-memory",
        &[("/nodes/0/agent/readiness/store/state", r#""openedAnew""#)],
        Verdict::Warning,
        "begun anew",
        "disk",
    ),
    (
        "plugins-installed",
        &[(
            "/nodes/0/agent/warnings",
            r#"[{"code": "pluginsNotInstalled", "message": "no folder", "fix": "mount it"}]"#,
        )],
        Verdict::Problem,
        "no folder",
        "mount it",
    ),
    (
        "agent-warnings",
        &[(
            "/nodes/0/agent/warnings",
            r#"[{"code": "rightMissing", "message": "may not", "fix": "give it"}]"#,
        )],
        Verdict::Problem,
        "may not",
        "give it",
    ),
    (
        "predecessor",
        &[
            ("/nodes/0/hostInterface/spec/nodeUID", r#""""#),
            ("/nodes/0/hostInterface/metadata/finalizers", r#"["x"]"#),
        ],
        Verdict::Warning,
        "predecessor's",
        "migration.md",
    ),
    ("nodes-told", &[("/nodes/0/hostInterface", "null")], Verdict::Problem, "no HostInterface", "API server"),
    ("nodes-told", &[("/nodes/0/exists", "false")], Verdict::Warning, "without a Node", "kubectl delete"),
    ("nodes-told", &[("/nodes/0/uid", r#""other""#)], Verdict::Problem, "another Node", "restart"),
    (
        "nics-found",
        &[(
            "/nodes/0/agent/nics",
            r#"[{"name": "eno1", "hardware": true, "protected": {"reason": "defaultRoute"}}]"#,
        )],
        Verdict::Problem,
        "eno1 protected: default route",
        "included",
    ),
    (
        "nics-found",
        &[(AGENT, "null"), ("/nodes/0/hostInterface/spec/interfaces", "[]")],
        Verdict::Problem,
        "no NIC that pods may get",
        "address",
    ),
    (
        "nics-up",
        &[("/nodes/0/agent/nics/1/secondary/usable/missing", r#"["noCarrier"]"#)],
        Verdict::Warning,
        "no carrier",
        "cable",
    ),
    (
        "nics-up",
        &[("/nodes/0/agent/nics/1/secondary/usable/missing", r#"["adminDown"]"#)],
        Verdict::Warning,
        "is down",
        "ip link set eth1 up",
    ),
    (
        "nics-up",
        &[("/nodes/0/agent/nics/1/secondary/usable/missing", r#"["noGlobalAddress"]"#)],
        Verdict::Warning,
        "no address",
        "multi-nic-ipam",
    ),
    (
        "nics-up",
        &[(AGENT, "null"), ("/nodes/0/hostInterface/spec/interfaces/0/state", r#""suspended""#)],
        Verdict::Problem,
        "is gone",
        "bring",
    ),
    (
        "hardware",
        &[(
            "/nodes/0/agent/warnings",
            r#"[{"code": "pcieDegraded", "message": "x4 of x16", "fix": "reseat"}]"#,
        )],
        Verdict::Warning,
        "x4 of x16",
        "reseat",
    ),
    (
        "networks-ready",
        &[(
            "/networks/0/status/conditions/1",
            r#"{"type": "AddressesAssigned", "status": "False", "reason": "HostBlockExhausted", "message": "65 hosts", "lastTransitionTime": ""}"#,
        )],
        Verdict::Problem,
        "65 hosts",
        "larger `hostBlock`",
    ),
    (
        "networks-ready",
        &[("/networks/0/status", "null")],
        Verdict::Problem,
        "has said nothing",
        "operator runs",
    ),
    ("attachment-definitions", &[("/attachmentDefinitions", "[]")], Verdict::Problem, "in jobs", "operator"),
    (
        "networks-served",
        &[("/nodes/0/agent/networks/networks/0/refused", r#""no plan""#)],
        Verdict::Problem,
        "no plan",
        "explain --node n1",
    ),
    (
        "networks-served",
        &[(
            "/nodes/0/agent/networks/reports",
            r#"[{"gravity": "error", "file": "a.yaml", "field": "spec.ipam", "message": "is missing", "fix": "write it"}]"#,
        )],
        Verdict::Problem,
        "spec.ipam: is missing",
        "write it",
    ),
    (
        "blocks-not-full",
        &[("/nodes/0/agent/addresses/networks/0/blocks/0/counts/used", "254")],
        Verdict::Problem,
        "254 of 254",
        "hostBlock",
    ),
    (
        "blocks-not-full",
        &[("/nodes/0/agent/addresses/networks/0/blocks/0/counts/used", "250")],
        Verdict::Warning,
        "250 of 254",
        "hostBlock",
    ),
    (
        "blocks-not-full",
        &[(AGENT, "null"), ("/pools/0/spec/podCIDR", r#""192.168.1.0/31""#)],
        Verdict::Problem,
        "full",
        "hostBlock",
    ),
    (
        "addresses-once",
        &[(
            "/pools/0/spec/allocations/1",
            r#"{"pod": "trainer-1", "namespace": "jobs", "index": 1, "address": "192.168.1.1"}"#,
        )],
        Verdict::Problem,
        "jobs/trainer-0 and jobs/trainer-1",
        "delete the pod",
    ),
    (
        "pools-in-step",
        &[("/pools/0/spec/allocations/0/pod", r#""gone""#)],
        Verdict::Warning,
        "is not there",
        "wait",
    ),
    (
        "routes-present",
        &[("/nodes/0/hostInterface/status/routes/0/present", "1")],
        Verdict::Problem,
        "1 of 2",
        "agent's words",
    ),
    (
        "routes-present",
        &[("/nodes/0/hostInterface/status/routes/0/message", r#""taken away""#)],
        Verdict::Warning,
        "taken away",
        "docs/conditions.md",
    ),
    (
        "attachments-whole",
        &[("/nodes/0/agent/attachments/0/phase", r#""lost""#)],
        Verdict::Problem,
        "NIC of it is gone",
        "bring",
    ),
    (
        "attachments-whole",
        &[("/nodes/0/agent/attachments/0/phase", r#""detaching""#)],
        Verdict::Warning,
        "owed",
        "executable",
    ),
    (
        "pods-start",
        &[(
            "/events",
            r#"[{"kind": "Pod", "namespace": "jobs", "name": "trainer-1", "reason": "FailedCreatePodSandBox", "gravity": "Warning", "message": "plugin type=\"multi-nic\" failed (add): failed to find plugin \"multi-nic\" in path [/opt/cni/bin]"}]"#,
        )],
        Verdict::Problem,
        "does not find a CNI executable",
        "/host/opt/cni/bin",
    ),
    ("pods-complete", &[("/pods/0/got", r#""[]""#)], Verdict::Problem, "without network red", "anew"),
    (
        "pods-complete",
        &[("/pods/0/asked", r#""[{}]""#)],
        Verdict::Problem,
        "[0].name is missing",
        "annotations.md",
    ),
];

fn set(value: &mut Value, pointer: &str, text: &str) {
    let new: Value = serde_json::from_str(text).unwrap();
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = value.pointer_mut(parent).unwrap_or_else(|| panic!("nothing is at {parent}"));
    match parent {
        Value::Object(members) if new.is_null() => drop(members.remove(last)),
        Value::Object(members) => drop(members.insert(last.to_owned(), new)),
        Value::Array(items) => match last.parse::<usize>().unwrap() {
            place if place == items.len() => items.push(new),
            place => items[place] = new,
        },
        other => panic!("{pointer} is below {other}"),
    }
}

#[test]
fn all_is_well_where_all_is_well() {
    let findings = examine(&facts(well()));

    let bad: Vec<_> = findings.iter().filter(|finding| finding.verdict != Verdict::Fine).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    assert_eq!(findings.len(), CHECKS.len());
}

#[test]
fn each_check_finds_what_it_is_there_for() {
    for (check, changes, verdict, evidence, fix) in BAD {
        let mut value = well();
        changes.iter().for_each(|(pointer, text)| set(&mut value, pointer, text));
        let findings = examine(&facts(value));

        let found = findings.iter().find(|one| {
            one.check == *check
                && one.verdict == *verdict
                && one.evidence.contains(evidence)
                && one.fix.contains(fix)
        });
        let all: Vec<_> = findings.iter().filter(|one| one.check == *check).collect();
        assert!(found.is_some(), "{check} with {changes:?}: {all:#?}");
    }
}

#[test]
fn no_check_is_without_a_case() {
    for check in CHECKS {
        assert!(BAD.iter().any(|(id, ..)| *id == check.id), "{} has no case", check.id);
    }
}

#[test]
fn what_cannot_be_read_is_not_called_fine() {
    let mut value = well();
    for what in ["our kinds", "HostInterfaces", "IPPools", "MultiNicNetworks", "pods", "events", "namespaces"]
    {
        value["unread"].as_array_mut().unwrap().push(json!({"what": what, "why": "403"}));
    }
    value["nodes"][0]["agent"].take();
    value["nodes"][1]["agent"].take();

    let findings = examine(&facts(value));

    let not_known = findings.iter().filter(|finding| finding.verdict == Verdict::NotKnown);
    let not_known: Vec<&str> = not_known.map(|finding| finding.check).collect();
    for check in [
        "kinds-installed",
        "nodes-told",
        "addresses-once",
        "networks-ready",
        "pods-start",
        "agent-memory",
        "agents-answer",
    ] {
        assert!(not_known.contains(&check), "{check}: {findings:#?}");
    }
}

//! PFs over the API, as far as no SR-IOV NIC is needed: a recorded machine that has some, and a namespace without any
//! (`vm_sriov` changes real ones). REQUIRES: root.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Lab, http, run, wait_for};

/// A recorded machine of the lab, with VFs.
fn recorded(lab: &Lab) -> String {
    let machine =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../hwprobe/tests/machines/lab-vfs/machine.json.gz");
    let file = lab.path("machine.json");
    std::fs::write(&file, run("gunzip", &format!("-c {}", machine.display()))).unwrap();
    file.to_str().unwrap().to_owned()
}

fn policy(spec: &Value) -> String {
    let (version, kind) = ("sriovnetwork.openshift.io/v1", "SriovNetworkNodePolicy");
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": "rails"}, "spec": spec}).to_string()
}

#[test]
fn pfs_of_a_recorded_machine_are_shown_and_never_changed() {
    let lab = Lab::new();
    let agent = lab.agent_with(&["--replay", &recorded(&lab), "--listen", "127.0.0.1:0"]);

    let list = agent.get("/v1/sriov/pfs").json();

    let pfs = list["pfs"].as_array().unwrap();
    assert!(!pfs.is_empty());
    for pf in pfs {
        let device = pf["device"].as_str().unwrap();
        assert_eq!((&pf["state"], &pf["posted"]), (&json!("unmanaged"), &json!(false)));
        assert_eq!(agent.get(&format!("/v1/sriov/pfs/{device}")).json()["nic"], pf["nic"]);
        let vfs = agent.get(&format!("/v1/sriov/pfs/{device}/vfs")).json();
        assert_eq!(
            vfs["vfs"].as_array().map(Vec::len),
            pf["observed"]["numVfs"].as_u64().map(|count| count as usize)
        );
    }
    let one = format!("/v1/sriov/pfs/{}", pfs[0]["device"].as_str().unwrap());
    let refused = agent.send("POST", &one, &json!({"numVfs": 1}));
    assert_eq!((refused.status, refused.problem().as_str()), (503, "not-ready"));
    assert_eq!(agent.get("/v1/sriov/pfs/lo").problem(), "no-sriov");
    let missing = agent.get("/v1/sriov/pfs/nobody");
    assert_eq!((missing.status, missing.problem().as_str()), (404, "unknown-nic"));
}

#[test]
fn only_root_over_the_socket_says_what_a_pf_should_be() {
    let lab = Lab::new();
    let agent = lab.agent();
    for method in ["POST", "DELETE"] {
        let headers = [("host", "localhost")];
        let refused = http::tcp_with(agent.tcp(), method, "/v1/sriov/pfs/lo", &headers, "{}").unwrap();
        assert_eq!((refused.status, refused.problem().as_str()), (403, "socket-only"), "{method}");
    }

    let of =
        |query: &str, body: &Value| agent.send("POST", &format!("/v1/sriov/pfs/lo{query}"), body).problem();
    assert_eq!(of("", &json!({"numVfs": 4})), "no-sriov");
    assert_eq!(of("", &json!({"numVf": 4})), "invalid-body");
    assert_eq!(of("?dryRun=perhaps", &json!({"numVfs": 4})), "invalid-value");
    assert_eq!(of("?dry=true", &json!({"numVfs": 4})), "unknown-parameter");
    let wrong = agent.send("PUT", "/v1/sriov/pfs/lo", &json!({}));
    assert_eq!((wrong.status, &wrong.json()["allowed"]), (405, &json!(["GET", "HEAD", "POST", "DELETE"])));
    assert_eq!(agent.get("/v1/sriov/pfs").json()["pfs"], json!([]));
    assert!(agent.get("/metrics").text().contains("multi_nic_sriov_pfs{state=\"failed\"} 0"));
}

#[test]
fn what_of_a_policy_does_nothing_here_and_what_is_wrong_is_told() {
    let lab = Lab::new();
    lab.configure("sriov: [{ name: own, deviceClass: rails, numVfs: 2, excludeTopology: true }]");
    let spec = json!({"resourceName": "rails", "nicSelector": {"vendor": "15b3"}, "numVfs": 4, "nodeSelector": {"a": "b"}});
    std::fs::write(lab.path("config/rails.yaml"), policy(&spec)).unwrap();
    let agent = lab.agent();
    let told = || {
        let reports = agent.get("/v1/sriov/pfs").json()["reports"].as_array().unwrap().clone();
        let line = |report: &Value| {
            format!("{} {} {}", report["policy"], report["field"], report["message"]).replace('"', "")
        };
        reports.iter().map(line).collect::<Vec<_>>()
    };

    let lines = told();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("own sriov[0].excludeTopology does nothing here"), "{lines:?}");
    assert!(lines[1].starts_with("rails spec.nodeSelector does nothing without a cluster"), "{lines:?}");
    assert_eq!(lines[2], "own deviceClass there is no device class rails");
    let class = "apiVersion: multinic.fms.io/v1\nkind: DeviceClass\nmetadata: {name: rails}\nspec: {ids: [{vendor: 15b3, products: ['1021']}]}\n";
    std::fs::write(lab.path("config/class.yaml"), class).unwrap();
    wait_for("the class to be known", || (told().len() == 2).then_some(()));
    let output = lab.command(&["sriov-plan"]).output().unwrap();
    let planned = String::from_utf8(output.stdout).unwrap();
    for line in [
        "agent.yaml: sriov[0].excludeTopology: does nothing here",
        "rails.yaml, document 1 (SriovNetworkNodePolicy rails): spec.nodeSelector",
    ] {
        assert!(planned.contains(line), "{planned}");
    }
}

#[test]
fn an_rdma_mode_that_cannot_be_set_is_a_warning_and_the_agent_goes_on() {
    let lab = Lab::new();
    lab.configure("rdmaMode: exclusive");
    // No namespace but the first one may set the mode, and a kernel without RDMA has none.
    let agent = lab.agent();

    let find = |path: &str| {
        let all = agent.get(path).json()["warnings"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["code"] == "rdmaModeOther")
    };
    let told = wait_for("the warning", || find("/v1/warnings"));

    let message = told["message"].as_str().unwrap();
    assert!(message.starts_with("`rdmaMode: exclusive` was not set: ") && message.len() > 40, "{told}");
    let ready = find("/readyz").expect("the readiness has it, too");
    assert_eq!((&ready, &agent.get("/readyz").json()["ready"]), (&told, &json!(true)));
    assert!(agent.get("/metrics").text().contains("multi_nic_warnings{code=\"rdmaModeOther\"} 1"));
}

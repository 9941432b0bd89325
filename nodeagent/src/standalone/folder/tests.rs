use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::*;
use crate::planning::samples::network;
use crate::standalone::settle::{Wanted, settle};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn names(reading: &Reading) -> Vec<String> {
    reading
        .objects
        .iter()
        .map(|(place, object)| format!("{place}: {} {}", object.kind(), object.name()))
        .collect()
}

const CLASS: &str = "apiVersion: net.cogadvisor.io/v1\nkind: DeviceClass\nmetadata: {name: fast}\nspec: {ids: [{vendor: 15B3, products: ['1019']}]}\n";

#[test]
fn each_thing_that_is_wrong_is_said_with_file_document_field_and_fix() {
    let red = network("red", json!({}));
    let mut slip = network("blue", json!({"subnett": "10.0.0.0/8", "subnet": 7}));
    slip["spec"]["plugin"]["args"] = json!({"mode": "l9"});
    let bad_values = network("green", json!({"subnet": "192.168.0.0/24", "masterNets": ["eth1"]}));
    let folder = folder(&[
        ("agent.yaml", "not: [ours"),
        ("a.yaml", &format!("# ours\n---\n{red}\n---\n{slip}\n---\nkind: [\n---\n{bad_values}\n")),
        ("b.json", "{\"kind\": \"MultiNicNetwork\","),
        ("c.yml", &format!("{red}\n---\n{CLASS}")),
        (
            "d.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n---\napiVersion: multinic.fms.io/v1\nkind: IPPool\n---\nkind: MultiNicNetwrk\n---\n- a list\n---\na: 1\n",
        ),
        ("e.yaml", "# nothing\n"),
        ("notes.txt", "kind: ["),
        (".f.yaml", "kind: ["),
    ]);
    fs::write(folder.path().join("g.yaml"), [0xff, 0xfe]).unwrap();
    fs::write(folder.path().join("h.yaml"), " ".repeat(FILE_LIMIT as usize + 1)).unwrap();
    symlink("nowhere", folder.path().join("i.yaml")).unwrap();
    fs::create_dir(folder.path().join("j.yaml")).unwrap();
    nix::unistd::mkfifo(&folder.path().join("k.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();

    let reading = read(folder.path());

    let good = [
        "a.yaml, document 1: MultiNicNetwork red",
        "c.yml, document 1: MultiNicNetwork red",
        "c.yml, document 2: DeviceClass fast",
    ];
    assert_eq!(names(&reading), good);
    let texts: Vec<String> =
        reading.reports.iter().map(|report| format!("{:?} {report}", report.gravity)).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn a_folder_that_is_not_there_has_nothing_wrong() {
    let folder = tempfile::tempdir().unwrap();

    assert_eq!(read(&folder.path().join("gone")), Reading::default());
    assert_eq!(read(folder.path()), Reading { there: true, ..Reading::default() });
}

fn wanted(folder: &Path, before: &Wanted) -> Wanted {
    settle(&read(folder), before)
}

fn subnets(wanted: &Wanted) -> Vec<String> {
    let of = |(name, one): (&String, &crate::standalone::settle::WantedNetwork)| {
        format!("{name} {} {}", one.file, one.spec.subnet)
    };
    wanted.networks.iter().map(of).collect()
}

#[test]
fn a_faulty_file_takes_down_neither_what_it_had_before_nor_others() {
    let at = |subnet: &str| json!({"subnet": subnet});
    let folder = folder(&[
        (
            "a.yaml",
            &format!(
                "{}\n---\n{}\n---\n{CLASS}",
                network("red", at("10.1.0.0/16")),
                network("blue", at("10.2.0.0/16"))
            ),
        ),
        ("b.yaml", &network("green", at("10.3.0.0/16")).to_string()),
    ]);
    let before = wanted(folder.path(), &Wanted::default());
    let all = ["blue a.yaml 10.2.0.0/16", "green b.yaml 10.3.0.0/16", "red a.yaml 10.1.0.0/16"];
    assert_eq!(subnets(&before), all);
    assert_eq!(before.classes["fast"].class.ids[0].vendor, "15b3");

    let some = [all[0], all[1], "red a.yaml 10.9.0.0/16"];
    let right = [all[1], all[2]];
    let cases: [(&str, &[&str]); 5] = [
        // No YAML, a wrong value, empty in the middle of a save: all of it goes on.
        ("kind: [", &all),
        ("", &all),
        (&network("red", at("10.1.0.0/33")).to_string(), &all),
        // What is right of it counts, the rest goes on.
        (&format!("{}\n---\nkind: [", network("red", at("10.9.0.0/16"))), &some),
        // A file that is right says all.
        (&network("red", at("10.1.0.0/16")).to_string(), &right),
    ];
    for (text, networks) in cases {
        fs::write(folder.path().join("a.yaml"), text).unwrap();
        let now = wanted(folder.path(), &before);
        assert_eq!(subnets(&now), networks, "{text}");
        assert_eq!(now.classes.contains_key("fast"), networks.len() > 2, "{text}");
        assert!(now.refused.is_empty());
    }

    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    assert_eq!(subnets(&wanted(folder.path(), &before)), [all[1]]);

    // Moved and spoilt at once.
    fs::write(folder.path().join("c.yaml"), network("red", at("x")).to_string()).unwrap();
    assert_eq!(subnets(&wanted(folder.path(), &before)), [all[1], all[2]]);
}

#[test]
fn a_network_that_was_never_right_is_refused_with_the_reason() {
    let folder = folder(&[("a.yaml", &network("red", json!({"subnet": "x"})).to_string())]);

    let found = wanted(folder.path(), &Wanted::default());

    assert!(found.networks.is_empty());
    let words = "a.yaml, document 1 (MultiNicNetwork red): spec.subnet: `x` is no network; write it like 192.168.0.0/16";
    assert_eq!(found.refused["red"], words);
}

#[test]
fn of_two_definitions_the_one_counts_that_counted_before() {
    let at = |subnet: &str| network("red", json!({"subnet": subnet})).to_string();
    let folder = folder(&[("b.yaml", &at("10.2.0.0/16"))]);
    let before = wanted(folder.path(), &Wanted::default());
    fs::write(folder.path().join("a.yaml"), at("10.1.0.0/16")).unwrap();
    fs::write(folder.path().join("c.yaml"), at("10.3.0.0/16")).unwrap();

    assert_eq!(subnets(&wanted(folder.path(), &before)), ["red b.yaml 10.2.0.0/16"]);
    assert_eq!(subnets(&wanted(folder.path(), &Wanted::default())), ["red a.yaml 10.1.0.0/16"]);
    let reports = read(folder.path()).reports;
    assert_eq!(reports.len(), 3);
    assert_eq!(
        reports[0].to_string(),
        "a.yaml, document 1 (MultiNicNetwork red): metadata.name: red is defined more than once (a.yaml, document 1; \
         b.yaml, document 1; c.yaml, document 1); keep one of them; until then the one counts that counted before, else \
         the first"
    );
}

#[test]
fn the_samples_are_right() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/samples");

    let reading = read(&samples);

    assert_eq!(reading.reports, []);
    let all = [
        "aws-ipvlan.yaml, document 1: MultiNicNetwork cloud",
        "cost.yaml, document 1: MultiNicNetwork frugal",
        "device-class.yaml, document 1: DeviceClass quick",
        "device-class.yaml, document 2: DeviceClass connectx",
        "device-class.yaml, document 3: DeviceClass first-socket",
        "highspeed.yaml, document 1: DeviceClass highspeed",
        "highspeed.yaml, document 2: MultiNicNetwork fast",
        "host-device.yaml, document 1: MultiNicNetwork whole",
        "ipv6.yaml, document 1: MultiNicNetwork six",
        "ipvlan-l2.yaml, document 1: MultiNicNetwork rails",
        "ipvlan-l3.yaml, document 1: MultiNicNetwork routed",
        "ipvlan-l3s.yaml, document 1: MultiNicNetwork filtered",
        "macvlan.yaml, document 1: MultiNicNetwork storage",
        "multi-config.yaml, document 1: MultiNicNetwork by-nic",
        "other-ipam.yaml, document 1: MultiNicNetwork whereabouts",
        "other-plugin.yaml, document 1: MultiNicNetwork infiniband",
        "performance.yaml, document 1: MultiNicNetwork roomy",
        "sriov.yaml, document 1: MultiNicNetwork vfs",
        "topology.yaml, document 1: MultiNicNetwork rails-by-gpu",
    ];
    assert_eq!(names(&reading), all);
}

#[test]
fn an_expression_that_is_none_is_named_and_the_class_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let class = CLASS.replace("ids: [{vendor: 15B3, products: ['1019']}]", "expression: nic.speed.mbps >=");
    std::fs::write(folder.path().join("a.yaml"), class).unwrap();

    let reading = read(folder.path());

    assert!(reading.objects.is_empty());
    let report = reading.reports[0].to_string();
    assert!(
        report.contains("spec.expression: `nic.speed.mbps >=` is no CEL expression over `nic`"),
        "{report}"
    );
}

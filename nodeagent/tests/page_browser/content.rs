//! What stands on the page is what the API says.

use std::collections::BTreeMap;

use hwprobe::{Nic, Warning};
use serde_json::Value;

use super::browser::Browser;
use super::node::{Agent, PAGE, ip, own_network};
use super::start::{UNFOLD, page_of_machine, page_of_this_namespace};

/// Id, speed and class of every NIC on the page.
const SHOWN: &str = "
    return [...document.querySelectorAll('#groups [data-nic]')].map((row) => [
        row.dataset.nic, row.querySelector('.speed').textContent, row.querySelector('.class').textContent]);";

fn every_nic_is_shown(agent: &Agent, browser: &Browser) {
    browser.run(UNFOLD);
    let shown = browser.run(SHOWN);
    let shown: Vec<(String, (String, String))> = shown
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect())
        .map(|row: Vec<String>| (row[0].clone(), (row[1].clone(), row[2].clone())))
        .collect();
    let wanted: BTreeMap<String, (String, String)> = agent.nics().iter().map(wanted).collect();

    assert!(!wanted.is_empty());
    assert_eq!(shown.len(), wanted.len(), "a NIC is missing or there twice: {shown:?}");
    assert_eq!(shown.into_iter().collect::<BTreeMap<_, _>>(), wanted);
}

fn wanted(nic: &Nic) -> (String, (String, String)) {
    let speed = nic.speed.mbps.map_or_else(|| "unknown".to_owned(), |speed| speed.to_string());
    (nic.id.to_string(), (speed, nic.speed.class.to_string()))
}

#[test]
#[ignore = "needs chromium"]
fn every_nic_of_the_api_is_shown_with_its_speed_and_class() {
    own_network();
    ip("link add page0 type veth peer name page1");
    let (agent, browser) = page_of_this_namespace();

    every_nic_is_shown(&agent, &browser);

    assert_eq!(browser.run("return document.title"), format!("{} – Multi-NIC", hostname(&agent)));
    browser.asked_only(PAGE);
}

fn hostname(agent: &Agent) -> String {
    agent.get("/v1/node")["node"]["hostname"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs chromium"]
fn machine_with_virtual_functions_is_shown_whole() {
    let (agent, browser) = page_of_machine("cx6dx-dual");
    assert_eq!(browser.run("return document.querySelectorAll('.vf').length"), 0, "VFs begin folded");

    every_nic_is_shown(&agent, &browser);

    let pf = agent
        .nics()
        .into_iter()
        .find(|nic| nic.sriov.as_ref().is_some_and(|sriov| sriov.vfs.len() > 1))
        .unwrap();
    let sriov = pf.sriov.as_ref().unwrap();
    let row = format!("document.querySelector('[data-nic=\"{}\"]')", pf.id);
    let count =
        |class: &str| browser.run(&format!("return {row}.querySelectorAll('.vf-cells .{class}').length"));
    assert_eq!(count("held"), sriov.capacity.held);
    assert_eq!(count("free"), sriov.capacity.free);
    let holders = browser.text(&format!("return {row}.querySelector('.vfs').textContent"));
    assert!(holders.contains("qemu-system-x86"), "{holders}");
    browser.asked_only(PAGE);
}

#[test]
#[ignore = "needs chromium"]
fn machine_with_gpus_is_shown_with_its_matrix_and_warnings() {
    let (agent, browser) = page_of_machine("gpu-8x10");

    every_nic_is_shown(&agent, &browser);

    let near: BTreeMap<&str, &str> = [
        ("sameSwitch", "switch"),
        ("sameRoot", "root"),
        ("sameNuma", "NUMA"),
        ("otherNuma", "far"),
        ("unknown", "?"),
    ]
    .into();
    let matrix: BTreeMap<String, Vec<String>> = agent.get("/v1/topology")["nics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|nic| {
            let mut relations: Vec<(&str, &str)> = nic["relations"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| (one["gpu"].as_str().unwrap(), near[one["relation"].as_str().unwrap()]))
                .collect();
            relations.sort_unstable();
            (
                nic["name"].as_str().unwrap().to_owned(),
                relations.into_iter().map(|(_, word)| word.to_owned()).collect(),
            )
        })
        .collect();
    let shown = browser.run(
        "return Object.fromEntries([...document.querySelectorAll('#matrix tbody tr')].map((row) => [
            row.querySelector('button').textContent, [...row.querySelectorAll('td')].map((cell) => cell.textContent)]))",
    );
    assert!(matrix.len() > 1);
    assert_eq!(serde_json::from_value::<BTreeMap<String, Vec<String>>>(shown).unwrap(), matrix);

    let warnings: Vec<Warning> =
        serde_json::from_value(agent.get("/v1/warnings")["warnings"].clone()).unwrap();
    assert!(!warnings.is_empty());
    let shown = browser.text("return document.getElementById('warnings').textContent");
    for warning in warnings {
        assert!(
            shown.contains(&warning.message) && shown.contains(&warning.fix),
            "{warning:?} is not in {shown}"
        );
    }
    browser.asked_only(PAGE);
}

#[test]
#[ignore = "needs chromium"]
fn protected_nic_is_shown_with_the_path_that_makes_it_so() {
    let (agent, browser) = page_of_machine("ovn-br-ex");
    browser.run(UNFOLD);

    let protected: Vec<Nic> = agent.nics().into_iter().filter(|nic| nic.protected.is_some()).collect();

    assert!(!protected.is_empty());
    for nic in protected {
        let path = nic.protected.unwrap().path.join(" → ");
        let row = format!("return document.querySelector('[data-nic=\"{}\"]').textContent", nic.id);
        let row = browser.text(&row);
        assert!(row.contains("protected") && row.contains(&path), "{path} is not in {row}");
    }
    browser.asked_only(PAGE);
}

#[test]
#[ignore = "needs chromium"]
fn facts_of_a_nic_hold_every_value_that_the_api_has() {
    let (agent, browser) = page_of_machine("cx6dx-dual");
    for nic in agent.nics().iter().filter(|nic| nic.hardware) {
        browser.run(&format!("location.hash = 'nic=' + encodeURIComponent('{}')", nic.id));
        browser.wait_for(
            "its facts are shown",
            &format!("return document.getElementById('detail').dataset.nic === '{}'", nic.id),
        );

        let facts = browser.text("return document.getElementById('detail').textContent");

        let link = browser.text("return document.querySelector('#detail a').getAttribute('href')");
        let api = agent.get(&format!("/{link}"));
        assert_eq!(api["id"], nic.id.as_str());
        let mut missing = Vec::new();
        missing_texts("", &api, &facts, &mut missing);
        assert!(missing.is_empty(), "{}: {missing:?} in {facts}", nic.id);
    }
    browser.asked_only(PAGE);
}

/// Members whose texts the page says in words of its own.
const IN_OTHER_WORDS: [&str; 13] = [
    "kind",
    "source",
    "class",
    "operState",
    "protected",
    "held",
    "secondary",
    "extraMacs",
    "reason",
    "relation",
    "linkState",
    "speed",
    "vfs",
];

fn missing_texts(name: &str, value: &Value, facts: &str, missing: &mut Vec<String>) {
    match value {
        _ if IN_OTHER_WORDS.contains(&name) => {}
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| missing_texts(name, value, facts, missing))
        }
        Value::Array(items) => items.iter().for_each(|item| missing_texts(name, item, facts, missing)),
        Value::String(text) if !facts.contains(text.as_str()) => missing.push(format!("{name}: {text}")),
        _ => {}
    }
}

#[test]
#[ignore = "needs chromium"]
fn filter_finds_nics_and_virtual_functions() {
    let (agent, browser) = page_of_machine("cx6dx-dual");
    let ids = |query: &str| -> Vec<String> {
        browser.run(&format!(
            "const query = document.getElementById('query'); query.value = {query:?}; query.dispatchEvent(new Event('input'))"
        ));
        let shown = browser
            .run("return [...document.querySelectorAll('#groups [data-nic]')].map((row) => row.dataset.nic)");
        serde_json::from_value(shown).unwrap()
    };
    let nics = agent.nics();
    let vf = nics.iter().find(|nic| nic.vf.is_some() && nic.name.is_some()).unwrap();
    let pf = vf.vf.as_ref().unwrap().pf.to_string();

    assert_eq!(ids(vf.name.as_deref().unwrap()), [pf, vf.id.to_string()]);
    assert_eq!(ids("igb up"), ["0000:01:00.0"]);
    assert_eq!(ids("no such nic"), Vec::<String>::new());
    assert_eq!(browser.run("return document.getElementById('nothing').hidden"), false);
    browser.asked_only(PAGE);
}

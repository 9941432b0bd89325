//! The page of `--html` in a real browser.
//!
//! REQUIRES: root, the Debian packages chromium and chromium-driver.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail by panicking, in its helpers too"
)]

#[path = "../../../nodeagent/tests/page_browser/browser.rs"]
#[allow(dead_code, reason = "the agent's page uses the rest")]
mod browser;

use std::process::Command;

use browser::Browser;
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

/// Three hosts on two NIC networks: one address is slow, one not connected, one host has no pod.
fn report() -> Value {
    let good = |rail: &str, bits: f64| {
        let measured = json!({"bitsPerSecond": bits, "bytes": 1, "seconds": 1.0, "segment": 1448, "interface": "net1-0",
            "sent": 1, "peerInterface": "net1-0", "received": 1, "boundToDevice": true});
        json!({"address": "192.168.0.1", "rail": rail, "connected": true, "measured": measured})
    };
    let bad = |sentence: &str| {
        json!({"address": "192.168.64.1", "rail": "10.0.1.0/24", "connected": false, "reason": "timedOut",
               "sentence": sentence})
    };
    let pair =
        |from: &str, to: &str, addresses: Vec<Value>| json!({"from": from, "to": to, "addresses": addresses});
    let gone = || vec![bad("no pod on c: <script>alert(1)</script>"), bad("no pod on c")];
    json!({"run": "0a1b2c3d", "streams": 5, "seconds": 10, "networks": [
        {"name": "netA", "sameNode": "", "hosts": [{"name": "a"}, {"name": "b"}, {"name": "c", "missing": "no image"}],
         "pairs": [
            pair("a", "b", vec![good("10.0.0.0/24", 9.1e9), good("10.0.1.0/24", 1.2e9)]),
            pair("b", "a", vec![good("10.0.0.0/24", 9.0e9), bad("nothing of b arrives at a")]),
            pair("a", "c", gone()), pair("b", "c", gone()), pair("c", "a", gone()), pair("c", "b", gone()),
         ]},
        {"name": "bare", "notCheckable": "its pods get no addresses", "sameNode": "", "hosts": [], "pairs": []}]})
}

#[test]
#[ignore = "needs a browser"]
fn every_pair_has_a_cell_with_a_figure_and_words_for_each_interface() {
    unshare(CloneFlags::CLONE_NEWNET).expect("root");
    assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
    let folder = tempfile::tempdir().unwrap();
    let (file, page) = (folder.path().join("report.json"), folder.path().join("matrix.html"));
    // As `kubectl logs` has it: progress first.
    std::fs::write(&file, format!("netA: 2 of 3 pods are there\n{:#}\n", report())).unwrap();
    let render = Command::new(env!("CARGO_BIN_EXE_multi-nic-concheck"))
        .args(["render", file.to_str().unwrap(), "--html", page.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(render.status.success(), "{render:?}");

    let browser = Browser::start();
    browser.show(&format!("file://{}", page.display()));

    let cells = browser.run(
        "return [...document.querySelectorAll('[data-network=netA] tbody tr')].map((row) =>
            [...row.cells].map((cell) => cell.innerText.replaceAll('\\n', ' | ').trim()));",
    );
    assert_eq!(
        cells,
        json!([
            ["a", "–", "✓ 9.1Gbits/sec | ▾ 1.2Gbits/sec", "✗ | ✗"],
            ["b", "✓ 9Gbits/sec | ✗", "–", "✗ | ✗"],
            ["c", "✗ | ✗", "✗ | ✗", "–"],
        ])
    );
    let title = browser.text("return document.querySelectorAll('tbody tr')[1].cells[1].children[1].title");
    assert_eq!(title, "b to a 192.168.64.1 on 10.0.1.0/24: nothing of b arrives at a");
    let own = browser.text("return document.querySelector('td.self').title");
    assert!(own.contains("cannot reach its own pods through the same NIC"), "{own}");
    // The colours are there, and differ.
    let colours = browser.run(
        "return ['ok', 'slow', 'bad'].map((name) => getComputedStyle(document.querySelector('.' + name)).backgroundColor);",
    );
    let colours: std::collections::BTreeSet<String> =
        colours.as_array().unwrap().iter().map(|colour| colour.as_str().unwrap().to_owned()).collect();
    assert_eq!(colours.len(), 3, "{colours:?}");
    assert!(!colours.contains("rgba(0, 0, 0, 0)"), "{colours:?}");
    let words = browser.text("return document.body.innerText");
    for part in [
        "3 of 12 addresses connected",
        "c takes no part: no image",
        "<script>alert(1)</script>",
        "Not checked: its pods get no addresses",
        "b → a 192.168.64.1 (10.0.1.0/24): nothing of b arrives at a",
    ] {
        assert!(words.contains(part), "{part} is not in\n{words}");
    }
    let scopes = browser.run("return document.querySelectorAll('[data-network=netA] th[scope]').length");
    assert_eq!(scopes, 7, "heads of rows and columns are named as such");
    browser.asked_only("file://");
}

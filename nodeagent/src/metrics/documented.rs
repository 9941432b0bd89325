//! docs/metrics.md names what the agent serves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cni::Command;
use cni::error::code;
use openapi::{AddressCounts, AddressList, BlockAddresses, NetworkAddresses};
use serde_json::json;

use super::{Given, Held, Metrics, Registered};
use crate::inventory::published::Published;
use crate::routes::RouteState;
use crate::sriov::{Wish, shown_only as shown};

/// Names with their types, of a section of the page.
fn documented(section: &str) -> BTreeMap<String, String> {
    let page = include_str!("../../../docs/metrics.md");
    let section = page.split(&format!("\n## {section}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[0].trim_end_matches('`').to_owned(), cells[1].to_owned())
    })
    .collect()
}

/// Names with their types, of a text.
fn served(text: &str) -> BTreeMap<String, String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| line.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned())).unwrap())
        .collect()
}

/// Metrics with a value for each label.
fn all() -> String {
    let metrics = Metrics::new();
    let inventory = openapi::example_inventory().unwrap();
    metrics.answered("/v1/nics", "GET", 200);
    metrics.attached(&[("wired".to_owned(), 5)]);
    metrics.attach_failed(code::NO_ADDRESS);
    metrics.attach_failed(code::TRY_AGAIN);
    metrics.called(Command::Add, Duration::from_millis(3));
    metrics.device_pool("x/vfs", &[]);
    metrics.device_list_sent("x/vfs");
    metrics.registered("x/vfs", Registered::Watched);
    metrics.registered("x/vfs", Registered::Failed);
    metrics.devices_allocated("x/vfs", Given::Given);
    let mut view = shown(1, &inventory);
    let wish = Wish { desired: ::sriov::DesiredPf::default(), posted: true, policies: Vec::new() };
    view.pfs[0].wish = Some(wish);
    metrics.pfs(&view);
    metrics.pf_changed(true, Duration::from_secs(1));
    let state = RouteState { wanted: 1, present: 1, message: String::new() };
    metrics.routes(&[("red".to_owned(), state)].into());
    let counts = AddressCounts { total: 8, reserved: 2, used: 1, quarantined: 0, free: 5 };
    let blocks = vec![BlockAddresses { block: "192.168.0.0/29".into(), master: "m0".into(), counts }];
    let networks = vec![NetworkAddresses { network: "red".into(), totals: counts, blocks }];
    let attachment = |phase| {
        let one = serde_json::from_value(json!({
            "key": {"network": "red", "containerId": "c1", "ifname": "net1"}, "phase": phase, "boot": "b",
            "netns": "/run/netns/x", "sweepable": true, "digest": 0, "config": "{}", "since": 5, "group": 1,
            "links": [], "delegates": [],
        }));
        Arc::new(one.unwrap())
    };
    let attachments = vec![attachment("attached"), attachment("lost")];
    let held = Held { addresses: AddressList { networks }, attachments };
    let published = Published::new("abc", 7, inventory, Vec::new(), &Default::default());
    metrics.text(Some(&published), &held).unwrap()
}

#[test]
fn the_page_names_every_metric_with_its_type_and_no_other() {
    assert_eq!(served(&all()), documented("Agents"));
}

/// Matchers like `state="free"` of a text, but for what a person chooses.
fn matchers(text: &str) -> BTreeSet<String> {
    let text = text.replace("\\\"", "\"");
    let mut found = BTreeSet::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("=\"").into_iter().chain(rest.find("=~\"")).min() {
        let before = rest[..at].trim_end_matches('!');
        let from =
            before.rfind(|one: char| !(one.is_ascii_alphanumeric() || one == '_')).map_or(0, |at| at + 1);
        let label = &before[from..];
        let (_, value) = rest[at..].split_once('"').unwrap();
        let (values, after) = value.split_once('"').unwrap();
        if !values.contains('$') && !label.is_empty() {
            found.extend(values.split('|').map(|value| format!("{label}=\"{value}\"")));
        }
        rest = after;
    }
    found
}

#[test]
fn alerts_and_dashboard_ask_for_values_that_labels_have() {
    let served = all();
    let rules = include_str!("../../../deploy/monitoring/prometheus-rules.yaml");
    let dashboard = include_str!("../../../deploy/monitoring/dashboard.json");
    let mut asked = matchers(rules);
    asked.extend(matchers(dashboard));
    // The operator's.
    asked.remove("outcome=\"Refused\"");

    let nowhere: Vec<&String> = asked.iter().filter(|one| !served.contains(one.as_str())).collect();

    assert_eq!(nowhere, [""; 0]);
    assert!(asked.len() >= 10, "{asked:?}");
}

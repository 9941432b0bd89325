//! docs/metrics.md names what the agent serves.

use std::collections::BTreeMap;
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
    metrics.called(Command::Add, Duration::from_millis(3));
    metrics.device_pool("x/vfs", &[]);
    metrics.device_list_sent("x/vfs");
    metrics.registered("x/vfs", Registered::Watched);
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
    let attachment = serde_json::from_value(json!({
        "key": {"network": "red", "containerId": "c1", "ifname": "net1"}, "phase": "attached", "boot": "b",
        "netns": "/run/netns/x", "sweepable": true, "digest": 0, "config": "{}", "since": 5, "group": 1, "links": [],
        "delegates": [],
    }));
    let held = Held { addresses: AddressList { networks }, attachments: vec![Arc::new(attachment.unwrap())] };
    let published = Published::new("abc", 7, inventory, Vec::new(), &Default::default());
    metrics.text(Some(&published), &held).unwrap()
}

#[test]
fn the_page_names_every_metric_with_its_type_and_no_other() {
    assert_eq!(served(&all()), documented("Agents"));
}

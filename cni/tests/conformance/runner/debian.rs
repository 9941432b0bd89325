//! Debian's plugins (`containernetworking-plugins`) as subjects: what the Go reference does.

use std::path::Path;

use serde_json::{Value, json};

use super::bench::{Bench, WIRE};
use super::subject::{Kind, Pool, Subject};

/// Where Debian puts the plugins.
pub const FOLDER: &str = "/usr/lib/cni";

/// `macvlan` with `host-local`.
pub fn macvlan(bench: &Bench) -> Result<Subject, String> {
    subject("macvlan", Kind::Main, bench, json!({"master": WIRE, "mode": "bridge"}))
}

/// `ipvlan` with `host-local`.
pub fn ipvlan(bench: &Bench) -> Result<Subject, String> {
    let subject = subject("ipvlan", Kind::Main, bench, json!({"master": WIRE, "mode": "l2"}))?;
    Ok(Subject { takes_mac: false, ..subject })
}

/// `host-local` alone.
pub fn host_local(bench: &Bench) -> Result<Subject, String> {
    subject("host-local", Kind::Ipam, bench, json!({}))
}

/// Rows that each of them must pass: they show that the table itself can be passed.
pub const GREEN: &[&str] = &[
    "CNI_CONTAINERID missing: code 4, named",
    "CNI_NETNS missing: code 4, named",
    "CNI_IFNAME missing: code 4, named",
    "several variables missing: all named",
    "wrong CNI_CONTAINERID: code 4",
    "unknown CNI_COMMAND: code 4",
    "VERSION needs no other variable",
    "wrong network name: code 7",
    "unknown keys of the configuration are fine",
    "ADD gives an address",
    "ADD prints one object in the config's cniVersion",
    "ips[].version below 1.0.0, never from there on",
    "no key that the version does not have",
    "addresses with prefix length, gateways without",
    "16 ADDs at once, distinct addresses",
    "ADD fails when the pool is used up",
    "DEL frees the address",
    "DEL prints nothing",
    "DEL twice succeeds",
    "ADD again after DEL",
    "CHECK of a good attachment succeeds",
    "CHECK prints nothing",
];

/// Rows that those which make interfaces must pass as well. (Not among them: `ipvlan` leaves a link behind when the
/// wanted name is taken.)
pub const GREEN_MAIN: &[&str] = &[
    "ips[].interface is the index of a pod's link",
    "interfaces: one in the pod, sandbox is CNI_NETNS",
    "the links of the result exist in the pod",
    "CNI_IFNAME finds a link in the pod",
    "the kernel has the MAC of the result",
    "the links are up, even with no route to set",
    "the kernel has the addresses of the result",
    "the kernel has the routes of the result",
    "a name that exists in the pod: ADD fails",
    "DEL removes the links",
    "DEL with a dead namespace frees the address",
    "DEL of one interface leaves the other",
    "DEL in one network leaves the other",
    "CHECK fails when a link is gone",
    "CHECK fails when an address is gone",
    "CHECK fails when a route is gone",
];

fn subject(plugin: &str, kind: Kind, bench: &Bench, of_plugin: Value) -> Result<Subject, String> {
    let program = Path::new(FOLDER).join(plugin);
    if !program.exists() {
        return Err(format!("{} is missing: install containernetworking-plugins", program.display()));
    }
    let (folder, plugin) = (bench.folder().to_owned(), plugin.to_owned());
    let named = plugin.clone();
    let config = move |pool, number: usize| {
        // Nothing in common: a pod can be in both.
        let (name, net, last, far) = match pool {
            Pool::Wide => ("wide", "10.77.0", 199, "10.88.0.0/16"),
            Pool::Narrow => ("narrow", "10.78.0", 11, "10.89.0.0/16"),
        };
        let range = json!({"subnet": format!("{net}.0/24"), "rangeStart": format!("{net}.10"),
            "gateway": format!("{net}.1"),
            "rangeEnd": format!("{net}.{last}")});
        let mut config = of_plugin.clone();
        config["name"] = name.into();
        config["type"] = plugin.clone().into();
        config["dns"] = json!({"nameservers": ["10.77.0.2"]});
        config["ipam"] = json!({"type": "host-local", "ranges": [[range]], 
            "routes": [{"dst": far, "gw": format!("{net}.1")}],
            "dataDir": folder.join(number.to_string())});
        config
    };
    Ok(Subject {
        name: named,
        kind,
        program,
        arguments: Vec::new(),
        environment: Vec::new(),
        path: FOLDER.to_owned(),
        config: Box::new(config),
        narrow_size: 2,
        link_name: str::to_owned,
        fault: Some(unreachable_gateway),
        takes_mac: true,
        takes_ip: Some("10.77.0.190/24".to_owned()),
        uses_prev_result: false,
        keep: None,
    })
}

/// The kernel refuses the route, after the address is reserved and the link made.
pub fn unreachable_gateway(config: &mut Value) {
    config["ipam"]["routes"] = json!([{"dst": "203.0.113.0/24", "gw": "198.51.100.1"}]);
}

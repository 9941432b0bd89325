//! The networks that pods join: two with addresses of ours, one with those of another plugin.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Lab, wait_for};

/// The network with another plugin's addresses.
const OTHER: &str = "other";

/// A network as pods are attached to it.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) name: String,
    /// The configuration, as the runtime hands it to the plugin.
    pub(crate) config: Value,
}

impl Network {
    /// What the addresses of a link are taken from: nobody else has them. `host-local` has a folder for each NIC.
    pub(crate) fn pool(network: &str, link: usize) -> String {
        if network == OTHER { format!("{network}-{link}") } else { network.to_owned() }
    }

    /// The configuration's text with one more key.
    pub(crate) fn with(&self, key: &str, value: Value) -> String {
        let mut config = self.config.clone();
        config[key] = value;
        config.to_string()
    }
}

/// Makes two NICs `nic1` and `nic2` that are one end of a cable each.
pub(crate) fn cables(lab: &Lab) {
    for number in 1..=2 {
        lab.ip(&format!(
            "link add nic{number} address 02:00:00:00:01:0{number} type veth peer name wire{number}"
        ));
        lab.ip(&format!("link set nic{number} up"));
        lab.ip(&format!("link set wire{number} up"));
    }
}

/// The files of two networks over `nic1` and `nic2`: `small` has so few addresses that they come again soon.
pub(crate) fn write(lab: &Lab, plugin: &str) {
    // Only then has the host all the routes that it will have.
    wait_for("addresses of the host", || lab.ip("-6 address show tentative").trim().is_empty().then_some(()));
    lab.configure("included: [nic1, nic2]\n");
    let small = json!([{ "cidr": "192.168.0.0/16", "hostBlock": 6, "interfaceBlock": 2 }]);
    let wide = json!([
        { "cidr": "10.0.0.0/8", "hostBlock": 6, "interfaceBlock": 2 },
        { "cidr": "fd10::/64", "hostBlock": 6, "interfaceBlock": 2 },
    ]);
    for (name, subnets) in [("small", small), ("wide", wide)] {
        let network = json!({
            "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": { "name": name },
            "spec": {
                "subnets": subnets, "multiNICIPAM": true, "ipam": r#"{"type": "multi-nic-ipam"}"#,
                "plugin": { "cniVersion": "1.0.0", "type": plugin, "args": { "mode": mode(plugin) } },
            },
        });
        fs::write(lab.path(&format!("config/{name}.yaml")), network.to_string()).unwrap();
    }
}

/// The mode of a plugin's links.
fn mode(plugin: &str) -> &'static str {
    if plugin == "ipvlan" { "l2" } else { "bridge" }
}

/// All of them, once the agent knows its NICs.
pub(crate) fn read(lab: &Lab, plugin: &str) -> Vec<Network> {
    let own = ["small", "wide"].map(|name| Network { name: name.to_owned(), config: printed(lab, name) });
    let ranges = json!([[{ "subnet": "172.20.0.0/16" }]]);
    let other = json!({
        "cniVersion": "1.0.0", "name": OTHER, "type": "multi-nic", "masters": ["nic1", "nic2"],
        "plugin": { "type": plugin, "mode": mode(plugin) },
        "ipam": { "type": "host-local", "dataDir": lab.path("host-local"), "ranges": ranges },
    });
    own.into_iter().chain([Network { name: OTHER.to_owned(), config: other }]).collect()
}

/// What `multi-nicd cni-config` prints, as a runtime hands it to the plugin.
fn printed(lab: &Lab, network: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_multi-nicd"));
    let output = command.args(["cni-config", network, "--config"]).arg(lab.path("config")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut config = list["plugins"][0].clone();
    config.as_object_mut().unwrap().remove("capabilities");
    (config["cniVersion"], config["name"]) = (list["cniVersion"].clone(), list["name"].clone());
    config
}

/// Addresses that `host-local` holds, with the folder of their NIC.
pub(crate) fn held_by_host_local(lab: &Lab) -> Vec<String> {
    let mut held = Vec::new();
    for folder in fs::read_dir(lab.path("host-local")).into_iter().flatten().flatten() {
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.parse::<std::net::IpAddr>().is_ok() {
                held.push(format!("{}/{name}", folder.file_name().to_string_lossy()));
            }
        }
    }
    held
}

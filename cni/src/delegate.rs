//! Configurations of delegated plugins (CONTRACTS §4.3 to §4.5): pure functions of the caller's configuration and the
//! NIC.

mod ipam;

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use crate::config::{NetConf, Plugin};
use crate::error::Error;

pub use self::ipam::{Several, ipam, multi_config_masters, routes};

/// Keys of a configuration that we or the runtime own; all others are passed on to delegates.
const OWNED: [&str; 23] = [
    "cniVersion",
    "name",
    "type",
    "ipam",
    "dns",
    "plugin",
    "subnet",
    "masterNets",
    "multiNICIPAM",
    "daemonIP",
    "daemonPort",
    "masters",
    "deviceIDs",
    "deviceID",
    "pciBusID",
    "args",
    "runtimeConfig",
    "prevResult",
    "capabilities",
    "names",
    "ipamNeedsLink",
    "policyRouting",
    "predecessorNames",
];

/// What a delegate is made for: one NIC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Position in the list of NICs.
    pub position: usize,
    /// Name of the master; empty when there is none.
    pub master: String,
    /// PCI address of the device; empty when there is none.
    pub device: String,
    /// First IPv4 address of the master or device on the host.
    pub host_address: Option<IpNet>,
    /// Addresses that this NIC gets from step 4 of CONTRACTS §4.2; none: its IPAM plugin gives them.
    pub addresses: Vec<IpNet>,
}

/// The name of a delegate's configuration: `<network>-<k>`, or as the predecessor did `<ifname>-<k>` (TRAPS P9).
pub fn name(conf: &NetConf, ifname: &str, position: usize) -> String {
    let first = if conf.own.predecessor_names { ifname } else { &conf.name };
    format!("{first}-{position}")
}

/// The name of the link that a NIC becomes in the pod: `<ifname>-<i>`, or for the first one with `names: exact` the
/// very `CNI_IFNAME`.
pub fn ifname(conf: &NetConf, ifname: &str, position: usize) -> String {
    if conf.own.exact_names && position == 0 { ifname.to_owned() } else { format!("{ifname}-{position}") }
}

/// The configuration for the IPAM plugin that gives all NICs their addresses (CONTRACTS §4.2, step 4): the caller's
/// own with the chosen NICs.
pub fn ipam_config(conf: &NetConf, masters: &[String], devices: &[String]) -> Value {
    let mut object = conf.raw.clone();
    object.insert("masters".to_owned(), masters.into());
    object.insert("deviceIDs".to_owned(), devices.into());
    Value::Object(object)
}

/// The whole configuration for one NIC; `None`: the NIC is left out, as CONTRACTS §4.3 says of NICs without a
/// master, device or entry.
///
/// Keys that nobody here knows, of the caller and of its `plugin`, reach the delegate as they are.
///
/// # Errors
/// Code 7 when `multi-config` is wrong.
pub fn config(
    conf: &NetConf,
    plugin: &Plugin,
    ifname: &str,
    target: &Target,
) -> Result<Option<Value>, Error> {
    let Some(ipam) = ipam(conf, plugin, target)? else { return Ok(None) };
    let version = if plugin.version.is_empty() { conf.version.as_str() } else { &plugin.version };
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
    put("cniVersion", version.into());
    put("name", name(conf, ifname, target.position).into());
    put("type", plugin.kind.clone().into());
    put("ipam", ipam);
    put("dns", json!({}));
    let mut of_device = false;
    match plugin.kind.as_str() {
        "ipvlan" | "macvlan" | "aws-ipvlan" => {
            if target.master.is_empty() {
                return Ok(None);
            }
            put("master", target.master.clone().into());
            if !plugin.mode.is_empty() {
                put("mode", plugin.mode.clone().into());
            }
            put("mtu", plugin.mtu.into());
            if plugin.kind == "aws-ipvlan" {
                let text = |net: Option<&IpNet>| net.map(|net| net.addr().to_string()).unwrap_or_default();
                put("primaryIP", text(target.host_address.as_ref()).into());
                put("podIP", text(target.addresses.first()).into());
            }
        }
        "sriov" | "host-device" if target.device.is_empty() => return Ok(None),
        "sriov" => {
            of_device = true;
            put("deviceID", target.device.clone().into());
            if let Some(vlan) = plugin.vlan {
                put("vlan", vlan.into());
            }
            for (key, value) in [
                ("DPDKMode", json!(false)),
                ("Master", json!("")),
                ("VFID", json!(0)),
                ("HostIFNames", json!("")),
                ("ContIFNames", json!("")),
            ] {
                put(key, value);
            }
        }
        "host-device" => {
            put("runtimeConfig", json!({"deviceID": target.device}));
            put("device", json!(""));
            put("hwaddr", json!(""));
            put("DPDKMode", json!(false));
            put("kernelpath", json!(""));
            put("pciBusID", json!(""));
        }
        // A plugin that the predecessor did not know.
        _ => {
            of_device = !target.device.is_empty();
            if !target.master.is_empty() && !plugin.raw.contains_key("master") {
                put("master", target.master.clone().into());
            }
            if of_device {
                put("deviceID", target.device.clone().into());
            }
        }
    }
    if plugin.kind != "host-device" {
        let runtime = runtime_config(conf, target, of_device);
        if !runtime.is_empty() {
            object.insert("runtimeConfig".to_owned(), runtime.into());
        }
    }
    pass_on(&mut object, &plugin.raw, |_| true);
    let foreign = |key: &str| !OWNED.contains(&key) && key != "dad" && !key.starts_with("cni.dev/");
    pass_on(&mut object, &conf.raw, foreign);
    Ok(Some(Value::Object(object)))
}

/// `runtimeConfig` for one NIC: addresses are in its `ipam`, and one MAC is for one NIC, the first.
fn runtime_config(conf: &NetConf, target: &Target, of_device: bool) -> Map<String, Value> {
    let whole = conf.raw.get("runtimeConfig").and_then(Value::as_object);
    let mut runtime: Map<String, Value> = whole
        .into_iter()
        .flatten()
        .filter(|(key, _)| match key.as_str() {
            "ips" | "deviceID" => false,
            "mac" => target.position == 0,
            _ => true,
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if of_device && whole.is_some_and(|whole| whole.contains_key("deviceID")) {
        runtime.insert("deviceID".to_owned(), target.device.clone().into());
    }
    runtime
}

fn pass_on(object: &mut Map<String, Value>, from: &Map<String, Value>, wanted: impl Fn(&str) -> bool) {
    for (key, value) in from {
        if !object.contains_key(key) && wanted(key) {
            object.insert(key.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests;

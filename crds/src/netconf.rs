//! The NetConf of a network: what its attachment definition, or a file in `/etc/cni/net.d`, tells the executable
//! (CONTRACTS §2.2, §2.3).

use serde_json::{Map, Value, json};

use crate::arguments::PluginType;
use crate::mtu::Mtu;
use crate::multi_nic_network::{MultiNicNetwork, NetworkSpec, PluginSpec};
use crate::problem::Problem;

/// What a NetConf holds beside the network's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetConfSettings {
    /// Name of the executable (`cniType` of the Config).
    pub cni_type: String,
    /// Port that the predecessor's executable asked the agent on.
    pub daemon_port: u16,
    /// `masterNets` of a network that lists none.
    pub discovered: Vec<String>,
    /// What `mtu: auto` becomes: the smallest MTU of the network's NICs on all hosts, bytes. Absent: not known, and
    /// the NetConf names none.
    pub smallest_mtu: Option<u32>,
}

impl Default for NetConfSettings {
    fn default() -> Self {
        Self {
            cni_type: "multi-nic".to_owned(),
            daemon_port: 11000,
            discovered: Vec::new(),
            smallest_mtu: None,
        }
    }
}

/// The NetConf, keys in the predecessor's order: its operator compares bytes.
///
/// Arguments of a plugin that the predecessor did not know (`PluginType::Other`) are all written: one whose text is a
/// JSON number, truth value, list or object as that, any other as a text.
///
/// # Errors
/// When `spec.ipam` is no JSON object.
pub fn netconf(network: &MultiNicNetwork, settings: &NetConfSettings) -> Result<Value, Problem> {
    network.spec.netconf(&network.metadata.name, settings)
}

impl NetworkSpec {
    /// [`netconf`] of the network of this name.
    ///
    /// # Errors
    /// When `spec.ipam` is no JSON object.
    pub fn netconf(&self, name: &str, settings: &NetConfSettings) -> Result<Value, Problem> {
        conf(name, self, settings)
    }
}

fn conf(name: &str, spec: &NetworkSpec, settings: &NetConfSettings) -> Result<Value, Problem> {
    let nets = if spec.master_nets.is_empty() { &settings.discovered } else { &spec.master_nets };
    let mut conf = json!({
        "cniVersion": "0.3.0",
        "name": name,
        "type": settings.cni_type,
        "ipam": sorted(Value::Object(spec.ipam_section()?)),
        "dns": {},
        "plugin": plugin(&spec.plugin, mtu(spec, settings)),
        "subnet": spec.subnet,
        "masterNets": nets,
    });
    if let Some(members) = conf.as_object_mut() {
        if spec.multi_nic_ipam {
            members.insert("multiNICIPAM".to_owned(), true.into());
        }
        members.insert("daemonIP".to_owned(), "".into());
        members.insert("daemonPort".to_owned(), settings.daemon_port.into());
    }
    Ok(conf)
}

/// The MTU that `spec.mtu` gives the links; absent: none, as where it is no MTU.
fn mtu(spec: &NetworkSpec, settings: &NetConfSettings) -> Option<u32> {
    match spec.link_mtu().ok().filter(|_| !spec.has_whole_devices())? {
        Mtu::OfNic => None,
        Mtu::Smallest => settings.smallest_mtu,
        Mtu::Bytes(bytes) => Some(bytes),
    }
}

fn plugin(plugin: &PluginSpec, mtu: Option<u32>) -> Value {
    let kind = PluginType::of(&plugin.kind);
    let mut members = Map::new();
    for (key, text) in &plugin.args {
        let value = match kind.arguments() {
            Some(known) => known.iter().find(|(name, _)| name == key).and_then(|(_, form)| form.write(text)),
            None => Some(free(text)),
        };
        members.extend(value.map(|value| (kind.key_in_netconf(key).to_owned(), value)));
    }
    if let Some(mtu) = mtu {
        members.insert("mtu".to_owned(), mtu.into());
    }
    members.insert("cniVersion".to_owned(), plugin.cni_version.clone().into());
    members.insert("type".to_owned(), kind.in_netconf().into());
    sorted(Value::Object(members))
}

/// An argument of a plugin that we do not know.
fn free(text: &str) -> Value {
    let value =
        serde_json::from_str(text).ok().filter(|value: &Value| !value.is_null() && !value.is_string());
    value.unwrap_or_else(|| text.into())
}

/// Keys in order, at every level, as Go writes a map.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.into_iter().collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(members.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

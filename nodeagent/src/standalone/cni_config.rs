//! `multi-nicd cni-config NETWORK`: the list to drop into `/etc/cni/net.d` (FOREIGN §1.2).

use std::path::{Path, PathBuf};

use cni::version::Version;
use crds::{MultiNicNetwork, NetConfSettings, Object, PluginType, Problem};
use serde_json::{Map, Value, json};

use super::folder;
use super::report::Report;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CniConfigError {
    /// The network is defined, but wrong.
    #[error("network {name} is not right:\n{}", problems.join("\n"))]
    Wrong {
        /// The network.
        name: String,
        /// Everything that is wrong with it, with file and document.
        problems: Vec<String>,
    },
    /// No file of the folder defines it.
    #[error("{} defines no network {name}; {hint}", folder.display())]
    Unknown {
        /// The network.
        name: String,
        /// The folder.
        folder: PathBuf,
        /// Those that there are, and files that cannot be read.
        hint: String,
    },
    /// The network cannot be written.
    #[error("network {name}: {source}")]
    NetConf {
        /// The network.
        name: String,
        /// Why.
        #[source]
        source: Problem,
    },
}

/// The list of a network in `folder`, as JSON for people.
///
/// Two things differ from the NetConf of a cluster, because a list names them once for all its plugins: `cniVersion`
/// (the network's `plugin.cniVersion` where we speak it, else 1.0.0) and `name` stand in the list alone.
///
/// # Errors
/// When there is no such network, or it is wrong.
pub fn cni_config(folder: &Path, name: &str) -> Result<String, CniConfigError> {
    let reading = folder::read(folder);
    let networks = || {
        reading.objects.iter().filter_map(|(_, object)| match object {
            Object::MultiNicNetwork(network) => Some(network.as_ref()),
            Object::DeviceClass(_) => None,
        })
    };
    if let Some(network) = networks().find(|network| network.metadata.name == name) {
        return list(network).map_err(|source| CniConfigError::NetConf { name: name.to_owned(), source });
    }
    let about = reading.reports.iter().filter(|report| report.network() == Some(name));
    let problems: Vec<String> = about.map(Report::to_string).collect();
    if !problems.is_empty() {
        return Err(CniConfigError::Wrong { name: name.to_owned(), problems });
    }
    let known: Vec<&str> = networks().map(|network| network.metadata.name.as_str()).collect();
    let mut hint = match crds::nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => {
            "it defines none: write a MultiNicNetwork into a .yaml file there".to_owned()
        }
        None => String::new(),
    };
    if !known.is_empty() {
        let blank = if hint.is_empty() { "" } else { " " };
        hint += &format!("{blank}known are {}", known.join(", "));
    }
    for report in &reading.reports {
        hint += &format!("\n{report}");
    }
    Err(CniConfigError::Unknown { name: name.to_owned(), folder: folder.to_owned(), hint })
}

fn list(network: &MultiNicNetwork) -> Result<String, Problem> {
    let conf = crds::netconf(network, &NetConfSettings::default())?;
    let mut plugin = Map::new();
    plugin.insert("type".to_owned(), conf.get("type").cloned().unwrap_or_default());
    plugin.insert("capabilities".to_owned(), capabilities(&network.spec.plugin.kind));
    for (key, value) in conf.as_object().into_iter().flatten() {
        if !["cniVersion", "name", "type"].contains(&key.as_str()) {
            plugin.insert(key.clone(), value.clone());
        }
    }
    let version = Version::parse(&network.spec.plugin.cni_version).unwrap_or(Version::V1_0_0);
    let list = json!({"cniVersion": version.as_str(), "name": network.metadata.name, "plugins": [plugin]});
    let text = serde_json::to_string_pretty(&list);
    text.map(|text| text + "\n").map_err(|error| Problem {
        path: String::new(),
        message: error.to_string(),
        fix: "report it".to_owned(),
    })
}

/// What the runtime may hand over: addresses and MAC always, devices where the plugin takes one.
fn capabilities(plugin: &str) -> Value {
    let mut capabilities = json!({"ips": true, "mac": true});
    let takes_device =
        !matches!(PluginType::of(plugin), PluginType::Ipvlan | PluginType::Macvlan | PluginType::AwsIpvlan);
    if takes_device {
        capabilities["deviceID"] = true.into();
    }
    capabilities
}

#[cfg(test)]
mod tests;

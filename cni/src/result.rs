//! Results, read in any version and written strictly in the one that was asked for (FOREIGN §1.4).

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, code};
use crate::version::Version;

/// A result in the newest version's terms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CniResult {
    /// Interfaces.
    pub interfaces: Vec<Interface>,
    /// Addresses.
    pub ips: Vec<Ip>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Name service, as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<Value>,
}

/// An interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its link-layer address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac: String,
    /// MTU in bytes; 0: not told.
    #[serde(skip_serializing_if = "is_zero")]
    pub mtu: u32,
    /// Path of its namespace; empty on the host's side.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sandbox: String,
    /// Path of a socket (vhost-user).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub socket_path: String,
    /// PCI address of a virtual function.
    #[serde(rename = "pciID", skip_serializing_if = "String::is_empty")]
    pub pci_id: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ip {
    /// Address and prefix length.
    pub address: IpNet,
    /// Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Position of its interface; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<usize>,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Destination.
    pub dst: IpNet,
    /// Gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gw: Option<IpAddr>,
    /// MTU in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Advertised maximum segment size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advmss: Option<u32>,
    /// Metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Scope: 0 global, 253 link, 254 host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<u8>,
}

impl CniResult {
    /// Reads a result of any version, 0.1.0 and 0.2.0 too; unknown keys are passed over.
    ///
    /// # Errors
    /// Code 6 naming what cannot be read.
    pub fn parse(value: &Value) -> Result<Self, Error> {
        let Some(object) = value.as_object() else {
            return Err(Error::new(code::DECODE, "the result is no JSON object"));
        };
        if object.contains_key("ip4") || object.contains_key("ip6") {
            return old(object);
        }
        let mut object = object.clone();
        for key in ["interfaces", "ips", "routes"] {
            // Go programs write an absent list as null.
            if object.get(key).is_some_and(Value::is_null) {
                object.remove(key);
            }
            for item in object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                item.as_object_mut().into_iter().for_each(drop_absent);
            }
        }
        serde_json::from_value(Value::Object(object))
            .map_err(|error| Error::new(code::DECODE, format!("the result cannot be read: {error}")))
    }

    /// The result in a version, strictly: nothing that the version does not have.
    pub fn emit(&self, version: Version) -> Value {
        let newest = version >= Version::V1_1_0;
        let mut object = Map::new();
        object.insert("cniVersion".to_owned(), version.as_str().into());
        if !self.interfaces.is_empty() {
            let interfaces = self.interfaces.iter().map(|interface| {
                let mut interface = interface.clone();
                if !newest {
                    interface.mtu = 0;
                    interface.socket_path.clear();
                    interface.pci_id.clear();
                }
                serde_json::to_value(interface).unwrap_or_default()
            });
            object.insert("interfaces".to_owned(), interfaces.collect());
        }
        if !self.ips.is_empty() {
            let ips = self.ips.iter().map(|ip| {
                let mut value = Map::new();
                if version < Version::V1_0_0 {
                    let family = if ip.address.addr().is_ipv4() { "4" } else { "6" };
                    value.insert("version".to_owned(), family.into());
                }
                if let Some(interface) = ip.interface {
                    value.insert("interface".to_owned(), interface.into());
                }
                value.insert("address".to_owned(), ip.address.to_string().into());
                if let Some(gateway) = ip.gateway {
                    value.insert("gateway".to_owned(), gateway.to_string().into());
                }
                Value::Object(value)
            });
            object.insert("ips".to_owned(), ips.collect());
        }
        if !self.routes.is_empty() {
            let routes = self.routes.iter().map(|route| {
                let mut route = route.clone();
                if !newest {
                    route = Route { dst: route.dst, gw: route.gw, ..plain(route.dst) };
                }
                serde_json::to_value(route).unwrap_or_default()
            });
            object.insert("routes".to_owned(), routes.collect());
        }
        object.insert("dns".to_owned(), self.dns.clone().unwrap_or_else(|| json!({})));
        Value::Object(object)
    }
}

/// Drops what means "absent": null, an empty text, and the interface −1 of some older plugins.
fn drop_absent(object: &mut Map<String, Value>) {
    object.retain(|key, value| {
        let no_interface = key == "interface" && value.as_i64().is_some_and(|number| number < 0);
        !(value.is_null() || value.as_str() == Some("") || no_interface)
    });
}

/// A route with a destination only.
pub fn plain(dst: IpNet) -> Route {
    Route { dst, gw: None, mtu: None, advmss: None, priority: None, table: None, scope: None }
}

/// Versions 0.1.0 and 0.2.0: one address a family.
fn old(object: &Map<String, Value>) -> Result<CniResult, Error> {
    let mut result = CniResult { dns: object.get("dns").cloned(), ..CniResult::default() };
    let wrong = |what: &str| Error::new(code::DECODE, format!("the result cannot be read: {what}"));
    for key in ["ip4", "ip6"] {
        let Some(family) = object.get(key).filter(|family| !family.is_null()) else { continue };
        let address = family.get("ip").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let address = address.ok_or_else(|| wrong(&format!("{key}.ip")))?;
        let gateway = family.get("gateway").and_then(Value::as_str).and_then(|text| text.parse().ok());
        result.ips.push(Ip { address, gateway, interface: None });
        for route in family.get("routes").and_then(Value::as_array).into_iter().flatten() {
            let mut route = route.clone();
            route.as_object_mut().into_iter().for_each(drop_absent);
            let route = serde_json::from_value(route);
            result.routes.push(route.map_err(|_| wrong(&format!("{key}.routes")))?);
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests;

//! The toy's result object.

use serde_json::{Value, json};

use super::link::MTU;
use super::plugin::{Input, link_name};
use super::{Toy, variables::Variables};

/// The result of an ADD, behind what the plugin before made.
pub(super) fn result(toy: &Toy, input: &Input, variables: &Variables, mac: &str, address: &str) -> Value {
    let version = input.version.as_str();
    let (newest, old) = (version >= "1.1.0", version < "1.0.0");
    let before = if toy.has("chain-forgets") { Value::Null } else { input.config["prevResult"].clone() };
    let mut interfaces = before["interfaces"].as_array().cloned().unwrap_or_default();
    let mut ips = before["ips"].as_array().cloned().unwrap_or_default();
    if !toy.has("chain-old-form") {
        for ip in ips.iter_mut().filter_map(Value::as_object_mut) {
            ip.remove("version");
            if old {
                ip.insert("version".to_owned(), "4".into());
            }
        }
    }
    let index = if toy.has("chain-index") { 0 } else { interfaces.len() };
    let mut ip = json!({"address": address});
    if old != toy.has("ip-version") {
        ip["version"] = "4".into();
    }
    if toy.has("address-without-prefix") {
        ip["address"] = address.split('/').next().unwrap_or_default().into();
    }
    if !toy.ipam || toy.has("ipam-interface-index") {
        ip["interface"] = (if toy.has("interface-index") { 7 } else { index }).into();
    }
    if !toy.has("no-address-told") {
        ips.push(ip);
    }
    if !toy.ipam || toy.has("ipam-interfaces") {
        let sandbox = if toy.has("sandbox") { "/proc/self/ns/net" } else { variables.netns.as_str() };
        let name = link_name(toy, &variables.ifname);
        let name = if toy.has("told-link") { "frob0" } else { name.as_str() };
        let mac = if toy.has("told-mac") { "02:00:00:00:00:99" } else { mac };
        let mut link = json!({"name": name, "mac": mac, "sandbox": sandbox});
        if newest || toy.has("new-keys") {
            link["mtu"] = (if toy.has("told-mtu") { MTU + 8 } else { MTU }).into();
        }
        interfaces.push(link);
    }
    let version = if toy.has("result-version") { "1.0.1" } else { version };
    let mut result = json!({"cniVersion": version, "ips": ips});
    if !interfaces.is_empty() {
        result["interfaces"] = interfaces.into();
    }
    let mut routes: Vec<Value> = input.routes().iter().map(|(dst, _)| json!({"dst": dst})).collect();
    if toy.has("routes-untold") {
        routes.clear();
        routes.push(json!({"dst": "10.77.0.0/24"}));
    }
    if toy.has("told-route") {
        routes.push(json!({"dst": "10.66.0.0/16"}));
    }
    result["routes"] = routes.into();
    let dns = &input.config["dns"];
    result["dns"] = if dns.is_null() || toy.has("dns-forgotten") { json!({}) } else { dns.clone() };
    result
}

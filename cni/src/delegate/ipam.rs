//! The `ipam` of a delegate (CONTRACTS §4.4, §4.5) and the routes in it (§4.6).

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::Target;
use crate::config::{NetConf, Plugin};
use crate::error::{Error, code};

/// The `ipam` of a delegate (CONTRACTS §4.4); `None`: the NIC is left out.
///
/// Beyond the predecessor (CONTRACTS §11), `multi-config` and fixed addresses are for every plugin, and routes without
/// a gateway stay.
///
/// # Errors
/// Code 7 when `multi-config` is wrong.
pub fn ipam(conf: &NetConf, plugin: &Plugin, target: &Target) -> Result<Option<Value>, Error> {
    if conf.ipam_type == "host-device-ipam" {
        let own: Vec<IpNet> = target.host_address.into_iter().collect();
        return Ok(Some(fixed(conf, &own)));
    }
    if conf.multi_nic_ipam && plugin.kind == "aws-ipvlan" && target.addresses.is_empty() {
        return Ok(None);
    }
    if conf.multi_nic_ipam || !target.addresses.is_empty() || chained_addresses(conf) {
        return Ok(Some(fixed(conf, &target.addresses)));
    }
    if conf.ipam_type == "multi-config" {
        return per_master(conf, &target.master);
    }
    Ok(Some(Value::Object(conf.ipam.clone())))
}

/// Whether a plugin before us gave addresses: then no IPAM plugin is asked, even if they are fewer than NICs.
fn chained_addresses(conf: &NetConf) -> bool {
    let ips = conf.prev_result.as_ref().and_then(|result| result.get("ips")).and_then(Value::as_array);
    ips.is_some_and(|ips| !ips.is_empty())
}

/// IPAM `static` with these addresses and the routes that are not multipath.
fn fixed(conf: &NetConf, addresses: &[IpNet]) -> Value {
    let addresses: Vec<Value> = addresses.iter().map(|net| json!({"address": net.to_string()})).collect();
    let mut object = Map::new();
    object.insert("addresses".to_owned(), addresses.into());
    if conf.ipam.contains_key("routes") {
        let routes = routes(conf).0.into_iter().map(|(dst, gw)| match gw {
            Some(gw) => json!({"dst": dst.to_string(), "gw": gw.to_string()}),
            None => json!({"dst": dst.to_string()}),
        });
        object.insert("routes".to_owned(), routes.collect());
    }
    object.insert("type".to_owned(), "static".into());
    Value::Object(object)
}

/// The object of `multi-config` for one master (CONTRACTS §4.5); `None`: it has no entry.
fn per_master(conf: &NetConf, master: &str) -> Result<Option<Value>, Error> {
    let wrong = |words: &str| Error::new(code::INVALID_CONFIG, format!("ipam.{words}"));
    let kind = conf.ipam.get("ipam_type").and_then(Value::as_str).unwrap_or_default();
    if kind.is_empty() {
        return Err(wrong("ipam_type: multi-config needs the type of the plugin that it runs"));
    }
    let args = conf
        .ipam
        .get("args")
        .and_then(Value::as_object)
        .ok_or_else(|| wrong("args: multi-config needs an object by master name"))?;
    let own = match args.get(master) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(own)) => own,
        Some(_) => return Err(wrong(&format!("args.{master}: is no object"))),
    };
    let mut object = Map::new();
    object.insert("type".to_owned(), kind.into());
    if kind == "whereabouts" {
        object.insert("network_name".to_owned(), master.into());
    }
    for (key, value) in own {
        object.insert(key.clone(), value.clone());
    }
    Ok(Some(Value::Object(object)))
}

/// Masters that `multi-config` names, in order.
pub fn multi_config_masters(conf: &NetConf) -> Vec<String> {
    let args = conf.ipam.get("args").and_then(Value::as_object);
    args.into_iter().flatten().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.clone()).collect()
}

/// A destination with its gateways.
pub type Several = (IpNet, Vec<IpAddr>);

/// `ipam.routes`: those with at most one gateway, and those with several (CONTRACTS §4.6), in order. Entries that are
/// no route are passed over.
pub fn routes(conf: &NetConf) -> (Vec<(IpNet, Option<IpAddr>)>, Vec<Several>) {
    let list = conf.ipam.get("routes").and_then(Value::as_array);
    let mut by_destination: Vec<(IpNet, Vec<Option<IpAddr>>)> = Vec::new();
    for route in list.into_iter().flatten() {
        let text = |key: &str| route.get(key).and_then(Value::as_str);
        let Some(dst) = text("dst").and_then(|text| text.parse::<IpNet>().ok()) else { continue };
        let gw = text("gw").and_then(|text| text.parse().ok());
        match by_destination.iter_mut().find(|(known, _)| *known == dst) {
            Some((_, gateways)) => gateways.push(gw),
            None => by_destination.push((dst, vec![gw])),
        }
    }
    let (mut plain, mut several) = (Vec::new(), Vec::new());
    for (dst, gateways) in by_destination {
        let known: Vec<IpAddr> = gateways.iter().flatten().copied().collect();
        match known[..] {
            [] => plain.push((dst, None)),
            [one] => plain.push((dst, Some(one))),
            _ => several.push((dst, known)),
        }
    }
    (plain, several)
}

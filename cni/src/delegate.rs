//! Configurations of delegated plugins (CONTRACTS §4.3 to §4.5).

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use crate::config::{NetConf, Plugin};
use crate::error::{Error, code};

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
    /// Addresses that this NIC gets from step 4; none: its IPAM plugin gives them.
    pub addresses: Vec<IpNet>,
}

/// The name of a delegate's configuration: `<network>-<k>`, or as the predecessor did `<ifname>-<k>` (TRAPS P9).
pub fn name(conf: &NetConf, ifname: &str, position: usize) -> String {
    let first = if conf.own.predecessor_names { ifname } else { &conf.name };
    format!("{first}-{position}")
}

/// The whole configuration for one NIC; `None`: the NIC is left out, as CONTRACTS §4.3 says of NICs without a
/// master, device or entry.
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
    let mut object = Map::new();
    let version = if plugin.version.is_empty() { conf.version.as_str() } else { &plugin.version };
    object.insert("cniVersion".to_owned(), version.into());
    object.insert("name".to_owned(), name(conf, ifname, target.position).into());
    object.insert("type".to_owned(), plugin.kind.clone().into());
    object.insert("ipam".to_owned(), ipam);
    object.insert("dns".to_owned(), json!({}));
    let above_master = |object: &mut Map<String, Value>| {
        object.insert("master".to_owned(), target.master.clone().into());
        if !plugin.mode.is_empty() {
            object.insert("mode".to_owned(), plugin.mode.clone().into());
        }
        object.insert("mtu".to_owned(), plugin.mtu.into());
    };
    match plugin.kind.as_str() {
        "ipvlan" | "macvlan" if target.master.is_empty() => return Ok(None),
        "ipvlan" | "macvlan" => above_master(&mut object),
        "aws-ipvlan" => {
            above_master(&mut object);
            let primary = target.host_address.map(|net| net.addr().to_string()).unwrap_or_default();
            object.insert("primaryIP".to_owned(), primary.into());
            let pod = target.addresses.first().map(|net| net.addr().to_string()).unwrap_or_default();
            object.insert("podIP".to_owned(), pod.into());
        }
        "sriov" | "host-device" if target.device.is_empty() => return Ok(None),
        "sriov" => {
            keep_unknown(&mut object, plugin);
            object.insert("deviceID".to_owned(), target.device.clone().into());
            if let Some(vlan) = plugin.vlan {
                object.insert("vlan".to_owned(), vlan.into());
            }
        }
        "host-device" => {
            object.insert("runtimeConfig".to_owned(), json!({"deviceID": target.device}));
        }
        _ => {
            // What is no plugin of the predecessor gets everything that was said to it.
            keep_unknown(&mut object, plugin);
            if !target.master.is_empty() && !object.contains_key("master") {
                object.insert("master".to_owned(), target.master.clone().into());
            }
            if !target.device.is_empty() {
                object.insert("deviceID".to_owned(), target.device.clone().into());
            }
        }
    }
    if let Some(runtime) = conf.raw.get("runtimeConfig").filter(|_| plugin.kind != "host-device") {
        object.insert("runtimeConfig".to_owned(), runtime.clone());
    }
    Ok(Some(Value::Object(object)))
}

fn keep_unknown(object: &mut Map<String, Value>, plugin: &Plugin) {
    for (key, value) in &plugin.raw {
        if !object.contains_key(key) {
            object.insert(key.clone(), value.clone());
        }
    }
}

/// The `ipam` of a delegate (CONTRACTS §4.4); `None`: the NIC is left out.
///
/// # Errors
/// Code 7 when `multi-config` is wrong.
pub fn ipam(conf: &NetConf, plugin: &Plugin, target: &Target) -> Result<Option<Value>, Error> {
    if !target.addresses.is_empty() {
        return Ok(Some(fixed(conf, &target.addresses)));
    }
    if conf.ipam_type == "multi-config" {
        return per_master(conf, &target.master);
    }
    if conf.ipam_type == "host-device-ipam" {
        let own: Vec<IpNet> = target.host_address.into_iter().collect();
        return Ok(Some(fixed(conf, &own)));
    }
    if conf.multi_nic_ipam && plugin.kind == "aws-ipvlan" {
        return Ok(None);
    }
    if conf.multi_nic_ipam {
        return Ok(Some(fixed(conf, &[])));
    }
    Ok(Some(Value::Object(conf.ipam.clone())))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(value: &Value) -> NetConf {
        NetConf::parse(&value.to_string()).unwrap()
    }

    fn target(position: usize, master: &str, addresses: &[&str]) -> Target {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Target { position, master: master.to_owned(), addresses, ..Target::default() }
    }

    #[test]
    fn an_ipvlan_delegate_is_the_predecessors_but_for_its_name() {
        let mut value = json!({"cniVersion": "0.3.0", "name": "netA", "type": "multi-nic", "multiNICIPAM": true,
            "ipam": {"type": "multi-nic-ipam"}, "plugin": {"cniVersion": "0.3.0", "mode": "l3", "type": "ipvlan"}});
        let of = |value: &Value| {
            let conf = conf(value);
            let target = target(0, "eth1", &["192.168.0.1/18"]);
            config(&conf, conf.plugin().unwrap(), "net1", &target).unwrap().unwrap()
        };
        let wanted = json!({"cniVersion": "0.3.0", "name": "netA-0", "type": "ipvlan",
            "ipam": {"addresses": [{"address": "192.168.0.1/18"}], "type": "static"}, "dns": {},
            "master": "eth1", "mode": "l3", "mtu": 0});

        assert_eq!(of(&value), wanted);
        value["predecessorNames"] = json!(true);
        assert_eq!(of(&value)["name"], "net1-0");
    }

    #[test]
    fn multi_config_gives_each_master_its_own() {
        let value = json!({"cniVersion": "0.3.0", "name": "netF", "type": "multi-nic",
            "plugin": {"type": "ipvlan", "mode": "l2"},
            "ipam": {"type": "multi-config", "ipam_type": "whereabouts",
                "args": {"eth0": {"range": "R0"}, "eth1": {"range": "R1", "network_name": "own"}, "eth2": null}}});
        let conf = conf(&value);
        let of = |master: &str, addresses: &[&str]| {
            ipam(&conf, conf.plugin().unwrap(), &target(0, master, addresses)).unwrap()
        };

        assert_eq!(
            of("eth0", &[]).unwrap(),
            json!({"type": "whereabouts", "network_name": "eth0", "range": "R0"})
        );
        assert_eq!(of("eth1", &[]).unwrap()["network_name"], "own");
        assert_eq!(of("eth2", &[]), None);
        assert_eq!(of("eth9", &[]), None);
        assert_eq!(
            of("eth0", &["192.168.0.1/18"]).unwrap(),
            json!({"addresses": [{"address": "192.168.0.1/18"}], "type": "static"})
        );
        assert_eq!(multi_config_masters(&conf), ["eth0", "eth1"]);
    }

    #[test]
    fn routes_to_one_destination_by_several_gateways_are_multipath() {
        let value = json!({"cniVersion": "0.3.0", "name": "n", "plugin": {"type": "ipvlan"}, "ipam": {"type": "x",
            "routes": [{"dst": "10.0.0.0/24", "gw": "1.1.1.1"}, {"dst": "10.0.0.0/24", "gw": "2.2.2.2"},
                {"dst": "10.1.0.0/24", "gw": "1.1.1.1"}, {"dst": "10.2.0.0/24"}, {"gw": "1.1.1.1"}]}});
        let (plain, several) = routes(&conf(&value));

        assert_eq!(plain.len(), 2);
        assert_eq!(plain[1], ("10.2.0.0/24".parse().unwrap(), None));
        assert_eq!(several[0].1.len(), 2);
    }

    #[test]
    fn keys_of_other_plugins_reach_them_and_device_plugins_need_devices() {
        let value = json!({"cniVersion": "0.4.0", "name": "n", "ipam": {"type": "x"},
            "plugin": {"type": "sriov", "vlan": 999, "spoofchk": "off", "min_tx_rate": 7}});
        let conf = conf(&value);
        let plugin = conf.plugin().unwrap();
        let with = Target { device: "0000:01:10.0".to_owned(), ..target(0, "", &[]) };
        let found = config(&conf, plugin, "net1", &with).unwrap().unwrap();

        assert_eq!(
            (&found["vlan"], &found["spoofchk"], &found["min_tx_rate"]),
            (&json!(999), &json!("off"), &json!(7))
        );
        assert_eq!(found["cniVersion"], "0.4.0");
        assert_eq!(config(&conf, plugin, "net1", &target(0, "eth1", &[])).unwrap(), None);
    }
}

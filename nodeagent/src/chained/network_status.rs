//! The annotation `k8s.v1.cni.cncf.io/network-status` as Multus writes it (FOREIGN §2.4). Pure.

use attach::record::{Attachment, Pod};
use cni::CniResult;
use cni::result::Interface;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Name of the annotation.
pub(crate) const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// What the annotation of a pod should be, from the attachments that its annotation asked for; absent when it has none.
/// A pod whose sandbox was made anew has those of the newest one.
pub(crate) fn of_pod(all: &[Arc<Attachment>], pod: &Pod) -> Option<String> {
    let its = |one: &&Arc<Attachment>| one.pod.as_ref() == Some(pod) && one.result.is_some();
    let mut members: Vec<_> =
        all.iter().filter(its).filter_map(|one| Some((one.chain.as_ref()?, one))).collect();
    let newest = members.iter().max_by_key(|(_, one)| (one.since, one.group))?.1.key.container_id.clone();
    members.retain(|(_, one)| one.key.container_id == newest);
    members.sort_by_key(|(chain, _)| chain.position);
    let (first, _) = members.first()?;
    let mut statuses = Vec::new();
    if let Ok(cluster) = CniResult::parse(&first.cluster) {
        statuses.extend(entries(&first.network, &cluster, true));
    }
    for (chain, one) in &members {
        if let Some(Ok(result)) = one.result.as_ref().map(CniResult::parse) {
            statuses.extend(entries(&chain.name, &result, false));
        }
    }
    serde_json::to_string_pretty(&statuses).ok()
}

/// The entries of one network: one for each interface in the pod.
fn entries(name: &str, result: &CniResult, default: bool) -> Vec<Value> {
    let in_pod = |interface: &Interface| !interface.sandbox.is_empty() || result.interfaces.len() == 1;
    let positions: Vec<usize> =
        (0..result.interfaces.len()).filter(|at| result.interfaces.get(*at).is_some_and(in_pod)).collect();
    let last = positions.last().copied();
    let ips = |at: Option<usize>| -> Vec<String> {
        let here =
            result.ips.iter().filter(|ip| ip.interface.filter(|at| positions.contains(at)).or(last) == at);
        here.map(|ip| ip.address.addr().to_string()).collect()
    };
    let gateways: Vec<String> = result
        .routes
        .iter()
        .filter(|route| route.dst.prefix_len() == 0)
        .filter_map(|route| route.gw.map(|gw| gw.to_string()))
        .collect();
    let entry = |interface: Option<&Interface>, ips: Vec<String>| {
        let mut entry = Map::new();
        entry.insert("name".to_owned(), name.into());
        if let Some(interface) = interface {
            entry.insert("interface".to_owned(), interface.name.clone().into());
        }
        if !ips.is_empty() {
            entry.insert("ips".to_owned(), ips.into());
        }
        if let Some(interface) = interface {
            if !interface.mac.is_empty() {
                entry.insert("mac".to_owned(), interface.mac.clone().into());
            }
            if interface.mtu > 0 {
                entry.insert("mtu".to_owned(), interface.mtu.into());
            }
        }
        if default {
            entry.insert("default".to_owned(), true.into());
        }
        entry.insert("dns".to_owned(), result.dns.clone().unwrap_or_else(|| json!({})));
        if let Some(pci) = interface.map(|one| &one.pci_id).filter(|pci| !pci.is_empty()) {
            let info = json!({"type": "pci", "version": "1.1.0", "pci": {"pci-address": pci}});
            entry.insert("device-info".to_owned(), info);
        }
        if !gateways.is_empty() {
            entry.insert("gateway".to_owned(), gateways.clone().into());
        }
        Value::Object(entry)
    };
    if positions.is_empty() {
        return vec![entry(None, ips(None))];
    }
    positions.iter().map(|at| entry(result.interfaces.get(*at), ips(Some(*at)))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

    use super::*;

    fn attachment(position: u16, container: &str, since: u64) -> Arc<Attachment> {
        let cluster = json!({"cniVersion": "0.4.0",
            "interfaces": [{"name": "lab0"}, {"name": "veth1"}, {"name": "eth0", "mac": "02:00:00:00:00:09",
                "sandbox": "/run/netns/x"}],
            "ips": [{"version": "4", "address": "10.99.0.2/24", "interface": 2}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.99.0.1"}], "dns": {"nameservers": ["10.0.0.10"]}});
        let result = json!({"cniVersion": "1.1.0",
            "interfaces": [
                {"name": "net1-0", "mac": "02:00:00:00:00:01", "mtu": 1500, "sandbox": "/run/netns/x"},
                {"name": "net1-1", "mac": "02:00:00:00:00:02", "sandbox": "/run/netns/x", "pciID": "0000:01:10.0"}],
            "ips": [{"address": "192.168.0.1/18", "interface": 0}, {"address": "fd00::1/64", "interface": 0},
                {"address": "192.168.64.1/18", "interface": 1}]});
        let stored = json!({
            "key": {"network": "red", "containerId": container, "ifname": format!("net{}", position + 1)},
            "phase": "attached", "boot": "b", "netns": "/run/netns/x", "sweepable": true, "digest": 0,
            "config": "{}", "pod": {"namespace": "pods", "name": "web", "uid": "u"}, "since": since, "group": 1,
            "links": [], "result": result,
            "chain": {"network": "lab", "ifname": "eth0", "name": "pods/red", "position": position,
                "cluster": cluster},
        });
        Arc::new(serde_json::from_value(stored).unwrap())
    }

    fn pod() -> Pod {
        Pod { namespace: "pods".into(), name: "web".into(), uid: "u".into() }
    }

    #[test]
    fn each_interface_of_the_pod_has_an_entry_with_its_own_addresses() {
        let text = of_pod(&[attachment(0, "c1", 5)], &pod()).unwrap();
        let expected = json!([
            {"name": "lab", "interface": "eth0", "ips": ["10.99.0.2"], "mac": "02:00:00:00:00:09", "default": true,
             "dns": {"nameservers": ["10.0.0.10"]}, "gateway": ["10.99.0.1"]},
            {"name": "pods/red", "interface": "net1-0", "ips": ["192.168.0.1", "fd00::1"],
             "mac": "02:00:00:00:00:01", "mtu": 1500, "dns": {}},
            {"name": "pods/red", "interface": "net1-1", "ips": ["192.168.64.1"], "mac": "02:00:00:00:00:02",
             "dns": {}, "device-info": {"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:01:10.0"}}},
        ]);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }

    #[test]
    fn the_newest_sandbox_counts_and_the_annotations_order() {
        let all = [attachment(0, "old", 5), attachment(1, "new", 6), attachment(0, "new", 6)];
        let text = of_pod(&all, &pod()).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Value>>(&text).unwrap().len(), 5);
        assert_eq!(of_pod(&all, &Pod { uid: "other".into(), ..pod() }), None);
    }
}

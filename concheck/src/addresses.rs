//! Which interface of one pod belongs to which of another.

use std::net::IpAddr;

use serde_json::Value;

use crate::networks::Rail;
use crate::rounds::{Ends, Nic};

/// Multus' annotation of what a pod got.
pub(crate) const STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// An address of a pod on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The address.
    pub(crate) ip: IpAddr,
    /// NIC of the host below it, or the pod's interface where that is not known.
    pub(crate) nic: String,
    /// What it is on: interfaces of two hosts with the same one belong together.
    pub(crate) rail: String,
}

/// The addresses that a pod of `host` has on a network, from the annotation's text. `name` is `NAMESPACE/NETWORK`.
///
/// # Errors
/// When the text is not what Multus writes.
pub(crate) fn of_pod(text: &str, name: &str, host: &str, rails: &[Rail]) -> Result<Vec<Address>, String> {
    let list: Vec<Value> =
        serde_json::from_str(text).map_err(|error| format!("annotation {STATUS}: {error}"))?;
    let mut found = Vec::new();
    let ours = list.iter().filter(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
    for entry in ours {
        let interface = entry.get("interface").and_then(Value::as_str).unwrap_or_default();
        for ip in entry.get("ips").and_then(Value::as_array).into_iter().flatten() {
            let ip: IpAddr = ip
                .as_str()
                .and_then(|ip| ip.split('/').next()?.parse().ok())
                .ok_or_else(|| format!("annotation {STATUS}: {ip} is no address"))?;
            // By family: an interface with both is the same one in both.
            let before =
                found.iter().filter(|address: &&Address| address.ip.is_ipv4() == ip.is_ipv4()).count();
            let rail = rails.iter().find_map(|rail| Some((rail, rail.nic(host, ip)?)));
            let (rail, nic) = match rail {
                Some((rail, nic)) => (rail.name.clone(), nic.to_owned()),
                None => (format!("interface {}", before + 1), nic_of(interface, before)),
            };
            found.push(Address { ip, nic, rail });
        }
    }
    Ok(found)
}

/// The predecessor tells one interface for the addresses of all.
fn nic_of(interface: &str, before: usize) -> String {
    format!("{interface} {before}")
}

/// A test: from one address of a pod to one of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    /// Address that it comes from; absent: the sender has none that belongs to it.
    pub(crate) from: Option<Address>,
    /// Address that is measured.
    pub(crate) to: Address,
}

/// The tests from one host to another: one for each address of the receiver.
pub(crate) fn tests(from: &[Address], to: &[Address]) -> Vec<Test> {
    let belongs = |to: &Address| {
        from.iter().find(|from| from.rail == to.rail && from.ip.is_ipv4() == to.ip.is_ipv4()).cloned()
    };
    to.iter().map(|to| Test { from: belongs(to), to: to.clone() }).collect()
}

/// What the plan of rounds has to know of it.
pub(crate) fn ends(from_host: &str, from: &Address, to_host: &str, to: &Address) -> Ends {
    let nic = |host: &str, address: &Address| -> Nic { (host.to_owned(), address.nic.clone()) };
    Ends { from: nic(from_host, from), to: nic(to_host, to) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::Block;

    fn rail(name: &str, blocks: &[(&str, &str, &str)]) -> Rail {
        let block = |(host, nic, block): &(&str, &str, &str)| Block {
            host: (*host).to_owned(),
            nic: (*nic).to_owned(),
            pods: vec![block.parse().unwrap()],
        };
        Rail { name: name.to_owned(), blocks: blocks.iter().map(block).collect() }
    }

    /// As Multus 4 writes it for our plugin: an entry for each interface, other networks beside it.
    const TWO: &str = r#"[
        {"name": "k8s-pod-network", "interface": "eth0", "ips": ["10.244.0.7"], "default": true},
        {"name": "default/rails", "interface": "net1-0", "ips": ["192.168.64.9", "fd10::9"]},
        {"name": "default/rails", "interface": "net1-1", "ips": ["192.168.0.9"]},
        {"name": "other/rails", "interface": "net2", "ips": ["192.168.0.99"]}]"#;

    #[test]
    fn interfaces_belong_together_by_their_blocks_and_not_by_their_order() {
        let rails = [
            rail("10.0.0.0/24", &[("a", "eth1", "192.168.0.0/26"), ("b", "eth7", "192.168.0.64/26")]),
            rail("10.0.1.0/24", &[("a", "eth2", "192.168.64.0/26"), ("b", "eth8", "192.168.64.64/26")]),
        ];
        let other =
            r#"[{"name": "default/rails", "interface": "net1", "ips": ["192.168.0.70", "192.168.64.70"]}]"#;
        let a = of_pod(TWO, "default/rails", "a", &rails).unwrap();
        let b = of_pod(other, "default/rails", "b", &rails).unwrap();

        let pairs: Vec<(String, String, String)> = tests(&a, &b)
            .into_iter()
            .map(|test| {
                (test.from.as_ref().unwrap().ip.to_string(), test.from.unwrap().nic, test.to.ip.to_string())
            })
            .collect();

        assert_eq!(
            pairs,
            [
                ("192.168.0.9".to_owned(), "eth1".to_owned(), "192.168.0.70".to_owned()),
                ("192.168.64.9".to_owned(), "eth2".to_owned(), "192.168.64.70".to_owned()),
            ]
        );
    }

    #[test]
    fn without_blocks_they_belong_together_by_order_in_each_family() {
        let other = r#"[{"name": "default/rails", "interface": "net1-0", "ips": ["192.168.0.1"]},
            {"name": "default/rails", "interface": "net1-1", "ips": ["192.168.0.2", "fd10::1"]}]"#;
        let a = of_pod(TWO, "default/rails", "a", &[]).unwrap();
        let b = of_pod(other, "default/rails", "b", &[]).unwrap();

        let pairs: Vec<String> = tests(&a, &b)
            .into_iter()
            .map(|test| format!("{} {}", test.from.unwrap().ip, test.to.ip))
            .collect();

        assert_eq!(pairs, ["192.168.64.9 192.168.0.1", "192.168.0.9 192.168.0.2", "fd10::9 fd10::1"]);
    }

    #[test]
    fn an_address_that_the_sender_has_no_interface_for_is_still_a_test() {
        let rails = [
            rail("10.0.0.0/24", &[("a", "eth1", "192.168.0.0/26"), ("b", "eth1", "192.168.0.64/26")]),
            rail("10.0.1.0/24", &[("b", "eth2", "192.168.64.64/26")]),
        ];
        let one = |ip: &str| format!(r#"[{{"name": "default/n", "interface": "net1", "ips": [{ip}]}}]"#);
        let a = of_pod(&one(r#""192.168.0.1""#), "default/n", "a", &rails).unwrap();
        let b = of_pod(&one(r#""192.168.0.65", "192.168.64.65""#), "default/n", "b", &rails).unwrap();

        let found = tests(&a, &b);

        assert_eq!(found.len(), 2);
        assert_eq!(found[1].from, None);
    }

    #[test]
    fn what_is_no_status_is_told() {
        assert!(of_pod("[", "default/n", "a", &[]).unwrap_err().contains("network-status"));
        let bad = r#"[{"name": "default/n", "ips": ["nonsense"]}]"#;
        assert!(of_pod(bad, "default/n", "a", &[]).unwrap_err().contains("nonsense"));
    }
}

//! Which networks there are, which can be checked, and on which hosts. Pure: objects come in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crds::cluster::{Cidr, HostInterface, MultiNicNetwork};
use crds::{CidrHost, NETWORK_LABEL};
use ipnet::IpNet;
use kube::ResourceExt;

/// What was read of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Networks.
    pub(crate) networks: Vec<MultiNicNetwork>,
    /// Who has which block.
    pub(crate) cidrs: Vec<Cidr>,
    /// Who has which NICs.
    pub(crate) host_interfaces: Vec<HostInterface>,
    /// Names of the nodes.
    pub(crate) nodes: Vec<String>,
}

/// A network, and what is known of it before it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Network {
    /// Its name.
    pub(crate) name: String,
    /// Its hosts, in the order of their names.
    pub(crate) hosts: Vec<String>,
    /// Its blocks; empty: another plugin gives the addresses.
    pub(crate) rails: Vec<Rail>,
    /// Why it cannot be checked.
    pub(crate) not_checkable: Option<String>,
}

/// The NICs of all hosts on one NIC network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rail {
    /// The NIC network, with the rank of the NIC where hosts have several on it.
    pub(crate) name: String,
    /// By host.
    pub(crate) blocks: Vec<Block>,
}

/// A NIC of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Name of the node.
    pub(crate) host: String,
    /// Name of the NIC there.
    pub(crate) nic: String,
    /// Addresses of the pods there.
    pub(crate) pods: Vec<IpNet>,
}

impl Rail {
    /// NIC of the host that this address of a pod there belongs to.
    pub(crate) fn nic(&self, host: &str, ip: IpAddr) -> Option<&str> {
        let of_host = |block: &&Block| block.host == host && block.pods.iter().any(|pods| pods.contains(&ip));
        self.blocks.iter().find(of_host).map(|block| &*block.nic)
    }

    /// Whether the host has a NIC on it.
    pub(crate) fn has(&self, host: &str) -> bool {
        self.blocks.iter().any(|block| block.host == host)
    }
}

impl Network {
    /// How many interfaces a pod of the host gets, as far as that is known; at least one.
    pub(crate) fn interfaces(&self, host: &str) -> usize {
        self.rails.iter().filter(|rail| rail.has(host)).count().max(1)
    }
}

/// The networks in the order of their names, `wanted` ones only unless that is empty.
///
/// # Errors
/// When a wanted one is not there.
pub(crate) fn networks(
    seen: &Seen,
    namespace: &str,
    wanted: &[String],
    hosts: &[String],
) -> Result<Vec<Network>, String> {
    let mut there: BTreeMap<String, &MultiNicNetwork> = BTreeMap::new();
    there.extend(seen.networks.iter().map(|network| (network.name_any(), network)));
    if let Some(missing) = wanted.iter().find(|name| !there.contains_key(*name)) {
        let names: Vec<&str> = there.keys().map(String::as_str).collect();
        return Err(format!(
            "--network {missing}: there is no such MultiNicNetwork; there are: {}",
            names.join(", ")
        ));
    }
    let chosen = there.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    Ok(chosen.map(|(_, network)| one(seen, namespace, hosts, network)).collect())
}

fn one(seen: &Seen, namespace: &str, wanted: &[String], network: &MultiNicNetwork) -> Network {
    let name = network.name_any();
    let rails = rails(seen, &name);
    let mut hosts: BTreeSet<String> = if rails.is_empty() {
        others(seen, network)
    } else {
        rails.iter().flat_map(|rail| &rail.blocks).map(|block| block.host.clone()).collect()
    };
    if !wanted.is_empty() {
        hosts.retain(|host| wanted.contains(host));
    }
    let not_checkable = obstacle(network, namespace, hosts.len(), !wanted.is_empty());
    Network { name, hosts: hosts.into_iter().collect(), rails, not_checkable }
}

fn obstacle(network: &MultiNicNetwork, namespace: &str, hosts: usize, chosen: bool) -> Option<String> {
    let spec = &network.spec;
    let ipam = match spec.ipam_section() {
        Ok(ipam) => ipam,
        Err(problem) => return Some(problem.to_string()),
    };
    let kind = ipam.get("type").and_then(|kind| kind.as_str()).unwrap_or_default();
    if kind.is_empty() {
        return Some(
            "its pods get no addresses (spec.ipam has no type), and without them nothing can connect"
                .to_owned(),
        );
    }
    if !spec.namespaces.is_empty() && !spec.namespaces.iter().any(|name| name == namespace) {
        return Some(format!(
            "it is not for the namespace {namespace}: choose one of {} with --namespace",
            spec.namespaces.join(", ")
        ));
    }
    match (hosts, chosen) {
        (2.., _) => None,
        (_, true) => Some(format!("{hosts} of the hosts of --host are on it: a pair needs two")),
        (0, false) if kind == crds::MULTI_NIC_IPAM => {
            Some("no host has a block of it yet: `kubectl describe multinicnetwork` says why".to_owned())
        }
        (_, false) => {
            Some(format!("it has {hosts} host{}: a pair needs two", if hosts == 1 { "" } else { "s" }))
        }
    }
}

/// The blocks of a network, of all slices.
fn rails(seen: &Seen, network: &str) -> Vec<Rail> {
    let of_network = |cidr: &&Cidr| match cidr.labels().get(NETWORK_LABEL) {
        Some(label) => label == network,
        None => cidr.name_any() == network,
    };
    let mut rails: BTreeMap<(u32, u32, String), Vec<Block>> = BTreeMap::new();
    for entry in seen.cidrs.iter().filter(of_network).flat_map(|cidr| &cidr.spec.cidr) {
        let key = (entry.interface_index, entry.ordinal, entry.net_address.clone());
        rails.entry(key).or_default().extend(entry.hosts.iter().map(block));
    }
    let rails = rails.into_iter();
    rails.map(|((_, ordinal, net), blocks)| Rail { name: rail_name(&net, ordinal), blocks }).collect()
}

fn rail_name(net: &str, ordinal: u32) -> String {
    if ordinal == 0 { net.to_owned() } else { format!("{net} NIC {}", ordinal + 1) }
}

fn block(host: &CidrHost) -> Block {
    let texts =
        if host.pod_cidrs.is_empty() { std::slice::from_ref(&host.pod_cidr) } else { &host.pod_cidrs[..] };
    let pods = texts.iter().filter_map(|text| text.parse().ok()).collect();
    Block { host: host.host_name.clone(), nic: host.interface_name.clone(), pods }
}

/// Hosts of a network that has no blocks: those with a NIC that fits, or all nodes where nobody tells of NICs.
fn others(seen: &Seen, network: &MultiNicNetwork) -> BTreeSet<String> {
    if network.spec.ipam_section().is_ok_and(|ipam| ipam.get("type") == Some(&crds::MULTI_NIC_IPAM.into())) {
        return BTreeSet::new();
    }
    if seen.host_interfaces.is_empty() {
        return seen.nodes.iter().cloned().collect();
    }
    let wanted = &network.spec.master_nets;
    let fits = |host: &&HostInterface| {
        host.spec.interfaces.iter().any(|nic| {
            let mut nets = nic.net_addresses.iter().chain([&nic.net_address]);
            wanted.is_empty() || nets.any(|net| wanted.contains(net))
        })
    };
    let there = |host: &String| seen.nodes.contains(host);
    seen.host_interfaces.iter().filter(fits).map(|host| host.spec.host_name.clone()).filter(there).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn network(name: &str, spec: Value) -> MultiNicNetwork {
        let mut whole = json!({"subnet": "192.168.0.0/16", "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6}"#,
            "plugin": {"cniVersion": "1.0.0", "type": "ipvlan"}});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        from_value(
            json!({"apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": name},
            "spec": whole}),
        )
        .unwrap()
    }

    fn slice(object: &str, network: &str, hosts: &[(&str, &str)]) -> Cidr {
        let host = |(number, (name, block)): (usize, &(&str, &str))| json!({"hostIndex": number, "hostName": name, "interfaceName": "eth1", "hostIP": "10.0.0.1", "podCIDR": block});
        let hosts: Vec<Value> = hosts.iter().enumerate().map(host).collect();
        from_value(json!({"apiVersion": "multinic.fms.io/v1", "kind": "CIDR",
            "metadata": {"name": object, "labels": {NETWORK_LABEL: network}},
            "spec": {"config": {"name": network, "type": "ipvlan", "subnet": "", "masterNets": [], "hostBlock": 6,
                "interfaceBlock": 2},
                "cidr": [{"netAddress": "10.0.0.0/24", "interfaceIndex": 0, "vlanCIDR": "192.168.0.0/18", "hosts": hosts}]}}))
        .unwrap()
    }

    fn seen() -> Seen {
        Seen {
            networks: vec![network("n", json!({}))],
            cidrs: vec![
                slice("n", "n", &[("a", "192.168.0.0/26"), ("c", "192.168.0.64/26")]),
                slice("n-1", "n", &[("b", "192.168.0.128/26")]),
                slice("other", "other", &[("z", "192.168.0.0/26")]),
            ],
            host_interfaces: vec![],
            nodes: ["a", "b", "c", "z"].map(str::to_owned).to_vec(),
        }
    }

    #[test]
    fn slices_of_a_network_are_one() {
        let found = networks(&seen(), "default", &[], &[]).unwrap();

        assert_eq!(found[0].hosts, ["a", "b", "c"]);
        assert_eq!(found[0].rails.len(), 1);
        assert_eq!(found[0].rails[0].nic("b", "192.168.0.130".parse().unwrap()), Some("eth1"));
        assert_eq!(found[0].rails[0].nic("a", "192.168.0.130".parse().unwrap()), None);
        assert_eq!(found[0].not_checkable, None);
    }

    #[test]
    fn what_cannot_be_checked_is_named() {
        let not = |spec| {
            let seen = Seen { networks: vec![network("n", spec)], ..seen() };
            networks(&seen, "default", &[], &[]).unwrap()[0].not_checkable.clone().unwrap()
        };

        assert!(not(json!({"ipam": "{}"})).contains("no addresses"));
        assert!(not(json!({"namespaces": ["team-a"]})).contains("team-a with --namespace"));
        assert!(not(json!({"ipam": "nonsense"})).contains("spec.ipam"));
    }

    #[test]
    fn a_network_that_is_not_there_is_an_error_that_names_those_that_are() {
        let error = networks(&seen(), "default", &["m".to_owned()], &[]).unwrap_err();

        assert!(error.contains("--network m") && error.ends_with("there are: n"), "{error}");
    }

    #[test]
    fn chosen_hosts_are_the_only_ones() {
        let two = ["a".to_owned(), "b".to_owned()];

        assert_eq!(networks(&seen(), "default", &[], &two).unwrap()[0].hosts, two);
        let one = networks(&seen(), "default", &[], &two[..1]).unwrap();
        assert!(one[0].not_checkable.as_ref().unwrap().contains("a pair needs two"));
    }

    #[test]
    fn other_ipam_is_on_the_hosts_with_a_fitting_nic() {
        let host = |name: &str, net: &str| -> HostInterface {
            from_value(json!({"apiVersion": "multinic.fms.io/v1", "kind": "HostInterface", "metadata": {"name": name},
                "spec": {"hostName": name, "interfaces": [{"interfaceName": "eth1", "netAddress": net}]}}))
            .unwrap()
        };
        let other =
            json!({"ipam": r#"{"type": "whereabouts"}"#, "masterNets": ["10.0.0.0/24"], "subnet": ""});
        let mut seen = Seen {
            networks: vec![network("w", other)],
            host_interfaces: vec![
                host("a", "10.0.0.0/24"),
                host("b", "10.0.9.0/24"),
                host("c", "10.0.0.0/24"),
                host("gone", "10.0.0.0/24"),
            ],
            ..seen()
        };

        assert_eq!(networks(&seen, "default", &[], &[]).unwrap()[0].hosts, ["a", "c"]);
        seen.host_interfaces.clear();
        assert_eq!(networks(&seen, "default", &[], &[]).unwrap()[0].hosts, ["a", "b", "c", "z"]);
    }
}

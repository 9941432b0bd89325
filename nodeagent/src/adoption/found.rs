//! Which addresses which pod has, by everything that tells of it. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use attach::network::Networks;
use attach::record::{Key, Pod};
use attach::{Found, UNKNOWN_INTERFACE, unknown_container};
use crds::IpPoolSpec;

use super::namespaces::Link;
use crate::runtime_service::Sandbox;

/// A pod that runs, with what is in its namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct InPod {
    pub(super) sandbox: Sandbox,
    pub(super) links: Vec<Link>,
}

/// What is to be held. What is seen in a pod counts before what a pool says; what only a pool says is held for the pod that
/// it names.
pub(super) fn found(pools: &[IpPoolSpec], pods: &[InPod], networks: &Networks) -> Vec<Found> {
    let mut all: BTreeMap<Key, Found> = BTreeMap::new();
    let mut seen: BTreeSet<(String, IpAddr)> = BTreeSet::new();
    for pod in pods {
        for (link, addresses) in &pod.links {
            for address in addresses {
                for network in
                    networks.networks.values().filter(|network| network.block_of(*address).is_some())
                {
                    let (container_id, ifname) = (pod.sandbox.id.clone(), interface(link));
                    let key = Key { network: network.name.clone(), container_id, ifname };
                    seen.insert((network.name.clone(), *address));
                    enter(&mut all, key, named(&pod.sandbox), *address);
                }
            }
        }
    }
    for pool in pools {
        for allocation in &pool.allocations {
            let Ok(address) = allocation.address.parse::<IpAddr>() else { continue };
            if seen.contains(&(pool.net_attach_def.clone(), address)) {
                continue;
            }
            let mut pod = Pod {
                namespace: allocation.namespace.clone(),
                name: allocation.pod.clone(),
                uid: String::new(),
            };
            let of = |one: &&InPod| one.sandbox.namespace == pod.namespace && one.sandbox.name == pod.name;
            let mut sandboxes = pods.iter().filter(of);
            let sandbox = sandboxes.next().filter(|_| sandboxes.next().is_none());
            if let Some(one) = sandbox {
                pod = named(&one.sandbox);
            }
            let key = Key {
                network: pool.net_attach_def.clone(),
                container_id: sandbox.map_or_else(|| unknown_container(&pod), |one| one.sandbox.id.clone()),
                ifname: UNKNOWN_INTERFACE.to_owned(),
            };
            enter(&mut all, key, pod, address);
        }
    }
    all.into_values().collect()
}

fn named(sandbox: &Sandbox) -> Pod {
    Pod { namespace: sandbox.namespace.clone(), name: sandbox.name.clone(), uid: sandbox.uid.clone() }
}

fn enter(all: &mut BTreeMap<Key, Found>, key: Key, pod: Pod, address: IpAddr) {
    let one = all.entry(key.clone()).or_insert_with(|| Found { key, pod, addresses: Vec::new() });
    if !one.addresses.contains(&address) {
        one.addresses.push(address);
    }
}

/// `CNI_IFNAME` of a link `<ifname>-<number>`.
fn interface(link: &str) -> String {
    let numbered = link.rsplit_once('-').filter(|(name, number)| {
        !name.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    numbered.map_or(link, |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

    use super::*;
    use attach::network::{Block, Network, NetworkInterface};
    use crds::Allocation;
    use std::sync::Arc;

    fn networks() -> Networks {
        let block = |pod: &str| Block {
            pod: pod.parse().unwrap(),
            interface: pod.parse().unwrap(),
            excludes: vec![],
        };
        let interface =
            |pod: &str| NetworkInterface { blocks: vec![block(pod)], ..NetworkInterface::default() };
        let red = Network {
            name: "red".into(),
            interfaces: vec![interface("192.168.0.0/24"), interface("192.168.64.0/24")],
            ..Network::default()
        };
        Networks { networks: BTreeMap::from([("red".into(), Arc::new(red))]), ..Networks::default() }
    }

    fn pool(block: &str, allocations: &[(&str, &str)]) -> IpPoolSpec {
        let each = allocations.iter().map(|(pod, address)| Allocation {
            pod: (*pod).into(),
            namespace: "pods".into(),
            index: 0,
            address: (*address).into(),
        });
        IpPoolSpec {
            pod_cidr: block.into(),
            net_attach_def: "red".into(),
            host_name: "n1".into(),
            allocations: each.collect(),
            ..IpPoolSpec::default()
        }
    }

    fn pod(id: &str, name: &str, links: &[(&str, &[&str])]) -> InPod {
        let links = links.iter().map(|(link, addresses)| {
            ((*link).to_owned(), addresses.iter().map(|address| address.parse().unwrap()).collect())
        });
        let sandbox = Sandbox {
            id: id.into(),
            namespace: "pods".into(),
            name: name.into(),
            uid: "u".into(),
            ready: true,
        };
        InPod { sandbox, links: links.collect() }
    }

    fn short(all: &[Found]) -> Vec<String> {
        let each = all.iter().map(|one| {
            let addresses: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
            format!("{} {} {}", one.key, one.pod.name, addresses.join(" "))
        });
        each.collect()
    }

    #[test]
    fn what_is_seen_counts_and_what_only_a_pool_says_is_held_for_its_pod() {
        let pools = [
            pool(
                "192.168.0.0/24",
                &[("web", "192.168.0.1"), ("gone", "192.168.0.2"), ("blind", "192.168.0.3")],
            ),
            pool("192.168.64.0/24", &[("web", "192.168.64.1")]),
        ];
        let pods = [
            pod(
                "c1",
                "web",
                &[("eth0", &["10.0.0.1"]), ("net1-0", &["192.168.0.1"]), ("net1-1", &["192.168.64.1"])],
            ),
            pod("c2", "blind", &[]),
            // The pool has lost it.
            pod("c3", "lost", &[("net1-0", &["192.168.0.9"])]),
        ];
        let expected = [
            "red/c1/net1 web 192.168.0.1 192.168.64.1",
            "red/c2/legacy blind 192.168.0.3",
            "red/c3/net1 lost 192.168.0.9",
            "red/legacy-pods.gone/legacy gone 192.168.0.2",
        ];
        assert_eq!(short(&found(&pools, &pods, &networks())), expected);
    }

    #[test]
    fn interfaces_are_named_as_the_runtime_called_them() {
        assert_eq!(
            ["net1-0", "net1", "a-b", "-1", "x-12"].map(interface),
            ["net1", "net1", "a-b", "-1", "x"]
        );
    }
}

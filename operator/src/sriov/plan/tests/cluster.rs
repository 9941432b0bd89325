//! Clusters for the tests.

use std::collections::{BTreeMap, BTreeSet};

use crds::foreign::{SriovClusterPolicySpec, SriovNetworkNodeStateStatus, SriovNetworkSpec};
use crds::{DeviceClassSpec, DeviceIds, Interface, NetworkSpec, SriovCapacity};
use serde_json::Value;

use crate::sriov::overlap::{Scope, share};
use crate::sriov::{Existing, Grouping, Host, Plan, SriovSettings, World, plan};

/// A NIC of a host.
#[derive(Debug, Clone)]
pub(super) struct Nic(pub(super) Interface);

/// A PF with 8 VFs on this bus, in this network.
pub(super) fn pf(bus: &str, net: &str) -> Nic {
    Nic(Interface {
        interface_name: format!("ens{bus}"),
        net_address: net.to_owned(),
        vendor: "15b3".to_owned(),
        product: "101d".to_owned(),
        pci_address: format!("0000:{bus}:00.0"),
        sriov: Some(SriovCapacity { total_vfs: 8, num_vfs: 0, free_vfs: 0 }),
        ..Interface::default()
    })
}

impl Nic {
    pub(super) fn device(mut self, id: &str) -> Self {
        self.0.product = id.to_owned();
        self
    }

    pub(super) fn class(mut self, class: &str) -> Self {
        self.0.class = class.to_owned();
        self
    }

    pub(super) fn total(mut self, total_vfs: u32) -> Self {
        self.0.sriov = (total_vfs > 0).then_some(SriovCapacity { total_vfs, num_vfs: 0, free_vfs: 0 });
        self
    }

    pub(super) fn vfs(mut self, num_vfs: u32) -> Self {
        self.0.sriov.as_mut().unwrap().num_vfs = num_vfs;
        self
    }
}

/// A network of plugin `sriov`.
pub(super) fn network(args: Value) -> NetworkSpec {
    let mut spec = NetworkSpec::default();
    spec.plugin.kind = "sriov".to_owned();
    spec.plugin.args = serde_json::from_value(args).unwrap();
    spec
}

#[derive(Debug, Clone, Default)]
struct Node {
    labels: BTreeMap<String, String>,
    interfaces: Vec<Interface>,
    state: Option<SriovNetworkNodeStateStatus>,
}

/// What the plans are made for, owned.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    nodes: BTreeMap<String, Node>,
    policies: BTreeMap<String, (bool, SriovClusterPolicySpec)>,
    networks: BTreeMap<String, (bool, SriovNetworkSpec)>,
    classes: BTreeMap<String, DeviceClassSpec>,
    operator: bool,
    settings: SriovSettings,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::new(),
            policies: BTreeMap::new(),
            networks: BTreeMap::new(),
            classes: BTreeMap::new(),
            operator: true,
            settings: SriovSettings::default(),
        }
    }
}

impl Cluster {
    /// Adds a node, with the label of node feature discovery or without.
    pub(super) fn node(mut self, name: &str, capable: bool, nics: &[Nic]) -> Self {
        let mut node = Node { interfaces: nics.iter().map(|nic| nic.0.clone()).collect(), ..Node::default() };
        node.labels.insert("kubernetes.io/hostname".to_owned(), name.to_owned());
        if capable {
            let key = "feature.node.kubernetes.io/network-sriov.capable";
            node.labels.insert(key.to_owned(), "true".to_owned());
        }
        self.nodes.insert(name.to_owned(), node);
        self
    }

    pub(super) fn hostname(mut self, node: &str, name: &str) -> Self {
        let labels = &mut self.nodes.get_mut(node).unwrap().labels;
        labels.insert("kubernetes.io/hostname".to_owned(), name.to_owned());
        self
    }

    pub(super) fn labels(mut self, node: &str, keys: &BTreeSet<String>) -> Self {
        let labels = &mut self.nodes.get_mut(node).unwrap().labels;
        labels.extend(keys.iter().map(|key| (key.clone(), "true".to_owned())));
        self
    }

    /// What the SR-IOV operator says of a node.
    pub(super) fn state(mut self, node: &str, interfaces: Value) -> Self {
        let status = serde_json::json!({ "interfaces": interfaces });
        self.nodes.get_mut(node).unwrap().state = Some(serde_json::from_value(status).unwrap());
        self
    }

    pub(super) fn policy(mut self, name: &str, generated: bool, spec: Value) -> Self {
        self.policies.insert(name.to_owned(), (generated, serde_json::from_value(spec).unwrap()));
        self
    }

    pub(super) fn network(mut self, name: &str, generated: bool) -> Self {
        self.networks.insert(name.to_owned(), (generated, SriovNetworkSpec::default()));
        self
    }

    pub(super) fn class(mut self, name: &str, ids: &[(&str, &[&str])]) -> Self {
        let ids = ids.iter().map(|(vendor, products)| DeviceIds {
            vendor: (*vendor).to_owned(),
            products: products.iter().map(|product| (*product).to_owned()).collect(),
        });
        self.classes
            .insert(name.to_owned(), DeviceClassSpec { ids: ids.collect(), ..DeviceClassSpec::default() });
        self
    }

    pub(super) fn operator(mut self, there: bool) -> Self {
        self.operator = there;
        self
    }

    pub(super) fn grouping(mut self, grouping: Grouping) -> Self {
        self.settings.grouping = grouping;
        self
    }

    fn hosts(&self) -> Vec<Host<'_>> {
        let hosts = self.nodes.iter().map(|(name, node)| Host {
            node: name,
            labels: &node.labels,
            interfaces: &node.interfaces,
            state: node.state.as_ref(),
        });
        hosts.collect()
    }

    pub(super) fn plan(&self, name: &str, spec: &NetworkSpec) -> Plan {
        self.plans(&[(name, spec)]).remove(name).unwrap()
    }

    pub(super) fn plans(&self, networks: &[(&str, &NetworkSpec)]) -> BTreeMap<String, Plan> {
        fn existing<T>(all: &BTreeMap<String, (bool, T)>) -> Vec<Existing<'_, T>> {
            all.iter()
                .map(|(name, (generated, spec))| Existing { name, generated: *generated, spec })
                .collect()
        }
        let world = World {
            hosts: self.hosts(),
            policies: existing(&self.policies),
            networks: existing(&self.networks),
            classes: self.classes.iter().map(|(name, class)| (name.as_str(), class)).collect(),
            operator: self.operator,
            settings: &self.settings,
        };
        plan(networks, &world)
    }
}

/// Fails unless the policies, as the SR-IOV operator reads them, select on every node exactly the PFs with an address in
/// the network's `masterNets`, each by one policy.
pub(super) fn exact(
    cluster: &Cluster,
    spec: &NetworkSpec,
    policies: &BTreeMap<String, SriovClusterPolicySpec>,
    labels: &BTreeMap<String, BTreeSet<String>>,
) {
    let mut labelled = cluster.clone();
    for (node, keys) in labels {
        labelled = labelled.labels(node, keys);
    }
    for host in labelled.hosts() {
        for pf in host.pfs().values() {
            let nic = host.interfaces.iter().find(|nic| nic.pci_address == pf.address).unwrap();
            let meant = spec.master_nets.contains(&nic.net_address);
            let selecting = policies.values().filter(|policy| {
                Scope::Labels(&policy.node_selector).holds_on(&host) && share(policy, pf).is_some()
            });
            assert_eq!(selecting.count(), usize::from(meant), "{} on {}", pf.address, host.node);
        }
    }
}

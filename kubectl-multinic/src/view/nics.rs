//! One row for each NIC.

use serde::Serialize;

use super::{spaced, speed};
use crate::facts::{Facts, NicFacts, NodeFacts};
use crate::output::Row;

/// A NIC.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NicRow {
    node: String,
    nic: String,
    pci: String,
    driver: String,
    speed_mbps: Option<u32>,
    /// How the speed is known.
    speed_source: String,
    class: String,
    numa_node: Option<u16>,
    /// `secondary`: pods may get it; else why not.
    role: String,
    /// Virtual functions: free, there, possible.
    vfs: Option<[u32; 3]>,
    held_by: String,
    networks: Vec<String>,
    mtu: Option<i64>,
}

impl Row for NicRow {
    const COLUMNS: &'static [(&'static str, bool)] = &[
        ("NODE", false),
        ("NIC", false),
        ("ADDRESS", false),
        ("DRIVER", false),
        ("SPEED", false),
        ("FROM", true),
        ("CLASS", false),
        ("NUMA", false),
        ("ROLE", false),
        ("VFS", false),
        ("HELD BY", false),
        ("MTU", true),
        ("NETWORKS", true),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.node.clone(),
            self.nic.clone(),
            // A NIC without a netdev is called by its address.
            self.pci.clone().replace(&self.nic, ""),
            self.driver.clone(),
            speed(self.speed_mbps),
            spaced(&self.speed_source),
            self.class.clone(),
            self.numa_node.map(|node| node.to_string()).unwrap_or_default(),
            self.role.clone(),
            self.vfs.map(|[free, there, most]| format!("{free}/{there}/{most}")).unwrap_or_default(),
            self.held_by.clone(),
            self.mtu.map(|mtu| mtu.to_string()).unwrap_or_default(),
            self.networks.join(", "),
        ]
    }
}

/// Rows of all nodes, or of that one: what agents said, else what they published. Without `all` only what has a device
/// and is no virtual function.
pub(crate) fn nics(facts: &Facts, only: Option<&str>, all: bool) -> Vec<NicRow> {
    let wanted = facts.nodes.iter().filter(|node| only.is_none_or(|name| node.name == name));
    wanted.flat_map(|node| of_node(node, all)).collect()
}

fn of_node(node: &NodeFacts, all: bool) -> Vec<NicRow> {
    if let Some(says) = &node.agent {
        let shown = |nic: &&NicFacts| all || nic.secondary.is_secondary || (nic.hardware && nic.vf.is_none());
        return says.nics.iter().filter(shown).map(|nic| told(&node.name, nic)).collect();
    }
    let published = node.host_interface.iter().flat_map(|object| &object.spec.interfaces);
    published.map(|nic| of_object(&node.name, nic)).collect()
}

fn told(node: &str, nic: &NicFacts) -> NicRow {
    NicRow {
        node: node.to_owned(),
        nic: nic.label().to_owned(),
        pci: nic.pci.as_ref().map(|pci| pci.address.clone()).unwrap_or_default(),
        driver: nic.driver.as_ref().map(|driver| driver.name.clone()).unwrap_or_default(),
        speed_mbps: nic.speed.mbps,
        speed_source: nic.speed.source.clone(),
        class: nic.speed.class.clone(),
        numa_node: nic.numa_node,
        role: role(nic),
        vfs: nic.sriov.as_ref().map(|sriov| {
            let capacity = &sriov.capacity;
            [capacity.free, capacity.enabled, capacity.total]
        }),
        held_by: holder(nic),
        networks: Vec::new(),
        mtu: nic.link.as_ref().map(|link| link.mtu.into()),
    }
}

/// `secondary`, or why pods may not get it.
pub(crate) fn role(nic: &NicFacts) -> String {
    if let Some(protected) = &nic.protected {
        return format!("protected: {}", spaced(&protected.reason));
    }
    if nic.secondary.is_secondary {
        // That a NIC has no virtual functions stands in a column of its own.
        let missing = nic.secondary.usable.missing.iter().filter(|word| *word != "noVfCapacity");
        let missing: Vec<String> = missing.map(|word| spaced(word)).collect();
        return if missing.is_empty() {
            "secondary".to_owned()
        } else {
            format!("secondary: {}", missing.join(", "))
        };
    }
    nic.secondary.reasons.iter().map(|word| spaced(word)).collect::<Vec<_>>().join(", ")
}

fn holder(nic: &NicFacts) -> String {
    let pods = nic.held_by.iter().filter_map(|one| {
        Some(format!("{}/{}", one.namespace.as_deref().unwrap_or("?"), one.pod.as_deref()?))
    });
    let pods: Vec<String> = pods.collect();
    if !pods.is_empty() {
        return pods.join(", ");
    }
    nic.held.as_ref().map(|held| held.holder.clone().unwrap_or_else(|| spaced(&held.by))).unwrap_or_default()
}

fn of_object(node: &str, nic: &crds::Interface) -> NicRow {
    NicRow {
        node: node.to_owned(),
        nic: nic.interface_name.clone(),
        pci: nic.pci_address.clone(),
        driver: String::new(),
        speed_mbps: nic.speed_mbps.and_then(|mbps| mbps.try_into().ok()),
        speed_source: String::new(),
        class: nic.class.clone(),
        numa_node: nic.numa_node.and_then(|node| node.try_into().ok()),
        role: if nic.state.is_empty() { "secondary".to_owned() } else { format!("secondary: {}", nic.state) },
        vfs: nic.sriov.map(|sriov| [sriov.free_vfs, sriov.num_vfs, sriov.total_vfs]),
        held_by: String::new(),
        networks: nic.networks().cloned().collect(),
        mtu: nic.mtu,
    }
}

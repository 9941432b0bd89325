//! What is known at one moment; a support bundle holds it as `facts.json`.
//!
//! Objects are Kubernetes' own and what the agent says is read leniently: an agent may be older or newer than this tool.

use crds::cluster::{Cidr, HostInterface, IpPool, MultiNicNetwork, NetworkAttachmentDefinition};
use openapi::{AddressList, Attachment, NetworkList, Readiness};
use serde::{Deserialize, Serialize};

/// What is known.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// When it was asked for: RFC 3339, UTC.
    pub taken: String,
    /// Version of this tool.
    pub tool_version: String,
    /// One agent alone was asked, and no cluster.
    pub local: bool,
    /// What is installed in the cluster.
    pub install: Install,
    /// Nodes, by name.
    pub nodes: Vec<NodeFacts>,
    /// Networks, by name.
    pub networks: Vec<MultiNicNetwork>,
    /// Who has which blocks.
    pub cidrs: Vec<Cidr>,
    /// Addresses that pods hold.
    pub pools: Vec<IpPool>,
    /// Attachment definitions of our plugin.
    pub attachment_definitions: Vec<NetworkAttachmentDefinition>,
    /// Namespaces that are active.
    pub namespaces: Vec<String>,
    /// Pods that ask for networks by annotation.
    pub pods: Vec<PodFacts>,
    /// Recent events about such pods and our objects, oldest first.
    pub events: Vec<EventFacts>,
    /// What could not be read, and why.
    pub unread: Vec<Unread>,
}

/// Something that could not be read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Unread {
    /// What, like `events`.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What is installed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Install {
    /// Our kinds that the API server does not know.
    pub missing_kinds: Vec<String>,
    /// It knows NetworkAttachmentDefinitions.
    pub knows_attachment_definitions: bool,
    /// The agents' DaemonSet.
    pub daemon_set: Option<Workload>,
    /// The operator's Deployment.
    pub operator: Option<Workload>,
    /// The operator's pods.
    pub operator_pods: Vec<Program>,
}

/// A DaemonSet or Deployment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Workload {
    /// Pods that there should be.
    pub wanted: i32,
    /// Those of them that are ready.
    pub ready: i32,
    /// Images of its containers.
    pub images: Vec<String>,
    /// It runs without Multus: `--chain` or `--without-multus` are among its arguments.
    pub without_multus: bool,
}

/// One of our pods.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its first container.
    pub container: String,
    /// Image of that.
    pub image: String,
    /// `Running` and so on.
    pub phase: String,
    /// Its containers are ready.
    pub ready: bool,
    /// How often its containers were started again.
    pub restarts: i32,
    /// Why it waits, or why it ended last, like `CrashLoopBackOff`, `OOMKilled`.
    pub reason: String,
}

/// A node.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// UID of its Node.
    pub uid: String,
    /// When its Node was made: RFC 3339; empty: not known.
    pub created: String,
    /// The kubelet says that it is ready.
    pub ready: bool,
    /// Taints that keep pods away (`NoSchedule`, `NoExecute`), as `key:effect`.
    pub taints: Vec<String>,
    /// There is a Node of that name.
    pub exists: bool,
    /// What its agent published.
    pub host_interface: Option<HostInterface>,
    /// The agent's pod.
    pub program: Option<Program>,
    /// What the agent itself says; absent: it was not asked, or see `agent_error`.
    pub agent: Option<AgentSays>,
    /// Why it could not be asked; empty: it was not asked, or has answered.
    pub agent_error: String,
}

/// What an agent says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AgentSays {
    /// Its version.
    pub version: String,
    /// When it started: RFC 3339.
    pub started: String,
    /// Name of the machine.
    pub host_name: String,
    /// Whether it serves.
    pub readiness: Option<Readiness>,
    /// The machine's NICs.
    pub nics: Vec<NicFacts>,
    /// What it warns about.
    pub warnings: Vec<WarningFacts>,
    /// The networks as it serves them.
    pub networks: Option<NetworkList>,
    /// What its blocks hold.
    pub addresses: Option<AddressList>,
    /// What pods have.
    pub attachments: Vec<Attachment>,
    /// Routes of which it tells, from its metrics. Without a cluster there are none.
    pub unread: Vec<Unread>,
}

/// A warning of an agent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WarningFacts {
    /// One word for programs.
    pub code: String,
    /// The NIC that it is about.
    pub nic: Option<String>,
    /// What is the matter.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// What is shown of a NIC of the agent's inventory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NicFacts {
    /// Its id.
    pub id: String,
    /// `physical`, `bond` and so on.
    pub kind: String,
    /// A device backs it.
    pub hardware: bool,
    /// Name of its netdev.
    pub name: Option<String>,
    /// MAC address.
    pub mac: Option<String>,
    /// PCI function.
    pub pci: Option<Pci>,
    /// Driver.
    pub driver: Option<Named>,
    /// Link.
    pub link: Option<Link>,
    /// Speed.
    pub speed: Speed,
    /// NUMA node.
    pub numa_node: Option<u16>,
    /// Virtual functions.
    pub sriov: Option<Sriov>,
    /// The VF of which PF it is.
    pub vf: Option<serde_json::Value>,
    /// Why nobody may have it alone.
    pub protected: Option<Reason>,
    /// Who holds it.
    pub held: Option<Held>,
    /// Pods that the kubelet gave it to.
    pub held_by: Vec<HeldBy>,
    /// Whether pods may get it.
    pub secondary: Secondary,
}

/// A PCI function.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Pci {
    /// Its address.
    pub address: String,
}

/// Something with a name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// A link.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Link {
    /// Set up by the administrator.
    pub admin_up: bool,
    /// There is a signal.
    pub carrier: Option<bool>,
    /// MTU, bytes.
    pub mtu: u32,
}

/// A speed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Speed {
    /// Mb/s.
    pub mbps: Option<u32>,
    /// How it is known.
    pub source: String,
    /// `unknown`, `low`, `standard` or `high`.
    pub class: String,
}

/// Virtual functions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sriov {
    /// How many there are and can be.
    pub capacity: Capacity,
}

/// Counts of virtual functions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Capacity {
    /// Most that there can be.
    pub total: u32,
    /// Those there are.
    pub enabled: u32,
    /// Those that nobody holds.
    pub free: u32,
}

/// Why something is as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reason {
    /// One word.
    pub reason: String,
    /// From it to the NIC, step by step.
    pub path: Vec<String>,
}

/// Who holds a NIC.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    /// `namespace`, `vfio` and so on.
    pub by: String,
    /// In words.
    pub holder: Option<String>,
}

/// A pod that the kubelet gave a device to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HeldBy {
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub pod: Option<String>,
}

/// Whether pods may get a NIC.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Secondary {
    /// They may.
    pub is_secondary: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// What it lacks for this or that.
    pub usable: Usable,
}

/// What a secondary NIC can be used for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Usable {
    /// What it lacks.
    pub missing: Vec<String>,
}

/// A pod that asks for networks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodFacts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its node; empty: none yet.
    pub node: String,
    /// `Pending`, `Running` and so on.
    pub phase: String,
    /// Why no node took it; empty: one did.
    pub unschedulable: String,
    /// What it asks for: `k8s.v1.cni.cncf.io/networks`.
    pub asked: Option<String>,
    /// What it got: `k8s.v1.cni.cncf.io/network-status`.
    pub got: Option<String>,
}

/// An event.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EventFacts {
    /// Kind of the object that it is about.
    pub kind: String,
    /// Its namespace; empty: it has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// One word.
    pub reason: String,
    /// `Warning` or `Normal`.
    pub gravity: String,
    /// What it says.
    pub message: String,
    /// How often.
    pub count: i32,
    /// When it was seen last: RFC 3339; empty: not known.
    pub last: String,
}

impl Facts {
    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&NodeFacts> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// The network of that name.
    pub fn network(&self, name: &str) -> Option<&MultiNicNetwork> {
        self.networks.iter().find(|network| network.metadata.name.as_deref() == Some(name))
    }

    /// Events about an object, oldest first.
    pub fn events_about<'a>(
        &'a self,
        kind: &'a str,
        namespace: &'a str,
        name: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a EventFacts> {
        let about = move |event: &&EventFacts| {
            event.kind == kind && event.namespace == namespace && event.name == name
        };
        self.events.iter().filter(about)
    }
}

impl NicFacts {
    /// What it is called: its netdev's name, else its id.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }
}

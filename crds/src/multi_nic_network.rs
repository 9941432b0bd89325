//! A network over several NICs of each host (CONTRACTS §1.1).
//!
//! Beyond the predecessor's fields: `subnets` (IPv6 and dual stack, TRAPS O2), `attachPolicy.class`, `allowUplink`.
//! Texts stay texts here, also those that do not parse: the object in the cluster is what it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::object::{ApiVersion, Metadata};
use crate::shape::{Field, Shape, optional, required};

/// Values of `attachPolicy.strategy`.
pub const STRATEGIES: [&str; 5] = ["none", "costOpt", "perfOpt", "devClass", "topology"];

/// A network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MultiNicNetwork {
    /// Group and version.
    pub api_version: ApiVersion,
    /// Its name, which is also the name in the NetConf and of the attachment definition.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: NetworkSpec,
}

/// What is wanted of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkSpec {
    /// Addresses of all pods, an IPv4 network; empty: those of `subnets`, else the networks of the hosts' NICs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subnet: String,
    /// The same with its blocks, one IPv4 and one IPv6 network at most; instead of `subnet`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<SubnetSpec>,
    /// The CNI `ipam` section: a text that holds a JSON object.
    pub ipam: String,
    /// The IPAM plugin is called once for all NICs.
    #[serde(rename = "multiNICIPAM", default, skip_serializing_if = "std::ops::Not::not")]
    pub multi_nic_ipam: bool,
    /// What is made of each NIC.
    pub plugin: PluginSpec,
    /// How NICs are chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach_policy: Option<AttachPolicy>,
    /// Networks that the NICs must have an address in, in the order of the pod's links; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub master_nets: Vec<String>,
    /// Namespaces that get the network; empty: all. Only of use in a cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// `shared`: ipvlan and macvlan may also use the node's own uplink. Empty: no.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub allow_uplink: String,
}

/// Addresses of one family and how they are divided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubnetSpec {
    /// All addresses, a network of either family.
    pub cidr: String,
    /// Bits that number hosts.
    #[serde(default)]
    pub host_block: u8,
    /// Bits that number interfaces.
    #[serde(default)]
    pub interface_block: u8,
    /// Ranges or addresses that are never given.
    #[serde(rename = "excludeCIDRs", default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_cidrs: Vec<String>,
}

/// What is made of each NIC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginSpec {
    /// CNI version of the plugin's configuration.
    pub cni_version: String,
    /// `ipvlan`, `macvlan`, `sriov`, `aws-ipvlan`, `mellanox`, or the name of another CNI plugin.
    #[serde(rename = "type")]
    pub kind: String,
    /// Accepted, not used.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capabilities: BTreeMap<String, bool>,
    /// Accepted, not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<PluginDns>,
    /// Arguments of the plugin; every value is a text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
}

/// DNS settings of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginDns {
    /// Name servers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// Domain.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Search list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// How NICs are chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachPolicy {
    /// One of [`STRATEGIES`]; what is unknown counts as `none`.
    pub strategy: String,
    /// Bandwidth, like `100Gbps`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Name of the device class that NICs must be of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
}

const TEXTS: Shape = Shape::Texts;

/// The fields of the specification.
pub(crate) const FIELDS: &[Field] = &[
    optional("subnet", Shape::Text),
    optional(
        "subnets",
        Shape::Objects(&[
            required("cidr", Shape::Text),
            optional("hostBlock", Shape::Number(120)),
            optional("interfaceBlock", Shape::Number(120)),
            optional("excludeCIDRs", TEXTS),
        ]),
    ),
    required("ipam", Shape::JsonText),
    optional("multiNICIPAM", Shape::Flag),
    required(
        "plugin",
        Shape::Object(&[
            required("cniVersion", Shape::Text),
            required("type", Shape::Text),
            optional("capabilities", Shape::FlagMap),
            optional(
                "dns",
                Shape::Object(&[
                    optional("nameservers", TEXTS),
                    optional("domain", Shape::Text),
                    optional("search", TEXTS),
                    optional("options", TEXTS),
                ]),
            ),
            optional("args", Shape::TextMap),
        ]),
    ),
    optional(
        "attachPolicy",
        Shape::Object(&[
            required("strategy", Shape::Text),
            optional("target", Shape::Text),
            optional("class", Shape::Text),
        ]),
    ),
    optional("masterNets", TEXTS),
    optional("namespaces", TEXTS),
    optional("allowUplink", Shape::Text),
];

//! A network over several NICs of each host (CONTRACTS §1.1).
//!
//! Beyond the predecessor's fields: `subnets` (IPv6 and dual stack, TRAPS O2), `attachPolicy.class` and
//! `.manager`, `allowUplink`, `mtu`.
//! Texts stay texts here, also those that do not parse: the object in the cluster is what it is.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

#[cfg(feature = "cluster")]
use crate::network_status::NetworkStatus;
use crate::object::{ApiVersion, Metadata};
use crate::rules;
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::network()))]
#[cfg_attr(feature = "cluster", derive(kube::CustomResource))]
#[cfg_attr(
    feature = "cluster",
    kube(
        group = "multinic.fms.io",
        version = "v1",
        kind = "MultiNicNetwork",
        root = "NetworkResource",
        plural = "multinicnetworks",
        shortname = "mnn",
        category = "multinic",
        status = "NetworkStatus",
        doc = "A network over several NICs of each host: written once, and everything else follows.",
        printcolumn = r#"{"name": "Plugin", "type": "string", "jsonPath": ".spec.plugin.type"}"#,
        printcolumn = r#"{"name": "Subnet", "type": "string", "jsonPath": ".spec.subnet"}"#,
        printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
        printcolumn = r#"{"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].reason"}"#,
        printcolumn = r#"{"name": "Routes", "type": "string", "jsonPath": ".status.routeStatus", "priority": 1}"#,
        printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
    )
)]
pub struct NetworkSpec {
    /// Addresses of all pods, an IPv4 network like `192.168.0.0/16`; empty: those of `subnets`, else the networks of the
    /// hosts' NICs. Default: empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(
        length(max = 18),
        regex(pattern = r"^$|^([0-9]{1,3}[.]){3}[0-9]{1,3}/([0-9]|[12][0-9]|3[0-2])$")
    )]
    pub subnet: String,
    /// The same with its blocks, one IPv4 and one IPv6 network at most; instead of `subnet`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub subnets: Vec<SubnetSpec>,
    /// The CNI `ipam` section: a text that holds a JSON object, like `{"type": "multi-nic-ipam", "hostBlock": 6,
    /// "interfaceBlock": 2}`. hostBlock and interfaceBlock are numbers of bits.
    #[schemars(length(max = 16384), regex(pattern = r"^\s*\{[\s\S]*\}\s*$"))]
    pub ipam: String,
    /// The IPAM plugin is called once for all NICs, and not once for each. Default: false.
    #[serde(rename = "multiNICIPAM", default, skip_serializing_if = "std::ops::Not::not")]
    pub multi_nic_ipam: bool,
    /// What is made of each NIC.
    pub plugin: PluginSpec,
    /// How NICs are chosen. Default: all that fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach_policy: Option<AttachPolicy>,
    /// Networks that the NICs must have an address in, like `10.0.1.0/24`, in the order of the pod's links. Default: all
    /// that the hosts' NICs are found in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 43), regex(pattern = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")))]
    pub master_nets: Vec<String>,
    /// Namespaces that get the network. Default: all that are active.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 4096),
        inner(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))
    )]
    pub namespaces: Vec<String>,
    /// `shared`: ipvlan and macvlan may also use the node's own uplink. Default: empty, no.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["", "shared"]))]
    pub allow_uplink: String,
    /// MTU of the links in pods: a number of bytes like `"9000"`, or `auto`, the smallest of the network's NICs on all
    /// hosts. Default: empty, that of the NIC below each link, or what `plugin.args.mtu` says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 5), regex(pattern = r"^$|^auto$|^[1-9][0-9]{1,4}$"))]
    pub mtu: String,
}

/// Addresses of one family and how they are divided.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::subnet()))]
pub struct SubnetSpec {
    /// All addresses, a network of either family like `fd10:20::/48`.
    #[schemars(length(max = 43), regex(pattern = r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"))]
    pub cidr: String,
    /// Bits that number hosts: 6 for 64 hosts. Default: 0.
    #[serde(default)]
    #[schemars(range(max = 120))]
    pub host_block: u8,
    /// Bits that number interfaces: 2 for 4 NICs of a host. Default: 0.
    #[serde(default)]
    #[schemars(range(max = 120))]
    pub interface_block: u8,
    /// Ranges or addresses that are never given. Default: none.
    #[serde(rename = "excludeCIDRs", default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 43)))]
    pub exclude_cidrs: Vec<String>,
}

/// What is made of each NIC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::plugin()))]
pub struct PluginSpec {
    /// CNI version of the plugin's configuration, like `1.0.0`.
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]+[.][0-9]+[.][0-9]+$"))]
    pub cni_version: String,
    /// `ipvlan`, `macvlan`, `sriov`, `aws-ipvlan`, `mellanox`, or the name of another CNI plugin.
    #[serde(rename = "type")]
    #[schemars(length(max = 64), regex(pattern = r"^[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$"))]
    pub kind: String,
    /// Accepted, not used. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capabilities: BTreeMap<String, bool>,
    /// Accepted, not used. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<PluginDns>,
    /// Arguments of the plugin; every value is a text, like `mtu: "9000"` (bytes). Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), schema_with = "texts_by_name")]
    pub args: BTreeMap<String, String>,
}

/// DNS settings of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PluginDns {
    /// Addresses of name servers.
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules::attach_policy()))]
pub struct AttachPolicy {
    /// `none`: all that fit; `costOpt`: the fewest that give `target` together, the fast ones left for others;
    /// `perfOpt`: those with the most bandwidth left; `devClass`: of `class`; `topology`: near the pod's GPUs. Empty counts
    /// as `none`.
    #[schemars(extend("enum" = ["", "none", "costOpt", "perfOpt", "devClass", "topology"]))]
    pub strategy: String,
    /// Bandwidth that a pod gets by `costOpt` and `perfOpt`, like `100Gbps`; it may ask for less. Default: none, and all NICs
    /// that fit.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(regex(pattern = r"^$|^[0-9]+(Gbps|Mbps|Kbps)$"))]
    pub target: String,
    /// Name of the device class that NICs must be of. Default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub class: String,
    /// Who manages virtual functions: `operator` (the SR-IOV operator) or `agent` (ours). Default: `operator` where its
    /// kinds are installed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["", "operator", "agent"]))]
    pub manager: String,
}

fn texts_by_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "additionalProperties": {"type": "string", "maxLength": 4096}})
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
            optional("manager", Shape::Text),
        ]),
    ),
    optional("masterNets", TEXTS),
    optional("namespaces", TEXTS),
    optional("allowUplink", Shape::Text),
    optional("mtu", Shape::Text),
];

/// A bandwidth like `100Gbps`, `500Mbps` or `64000Kbps` in Mb/s; parts of one do not count. Absent: it is none.
pub fn bandwidth_mbps(text: &str) -> Option<u32> {
    let number = |unit| text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok());
    let mbps = number("Gbps").map(|number| number.saturating_mul(1000)).or_else(|| number("Mbps"));
    mbps.or_else(|| number("Kbps").map(|number| number / 1000))
}

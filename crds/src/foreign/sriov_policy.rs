//! `SriovNetworkNodePolicy` of sriov-network-operator (group `sriovnetwork.openshift.io`, version `v1`, as of 2026-08): how
//! many VFs the PFs of a node should have, and with which drivers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::object::{Metadata, check_name, without_nulls};
use crate::problem::Problem;
use crate::shape::{self, Field, Shape, optional, required};

/// Group and version.
const API_VERSION: &str = "sriovnetwork.openshift.io/v1";
const KIND: &str = "SriovNetworkNodePolicy";

/// The weakest priority, which a policy without one has here as with the operator's webhook.
const WEAKEST: u8 = 99;

/// A policy for the PFs of some nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SriovNetworkNodePolicy {
    /// Its name.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: SriovNetworkNodePolicySpec,
}

/// What is wanted of which PFs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SriovNetworkNodePolicySpec {
    /// Name of the resource that the VFs are given out as, without prefix.
    pub resource_name: String,
    /// Labels that a node must have; the operator requires some.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Which PFs.
    pub nic_selector: NicSelector,
    /// VFs of each PF.
    pub num_vfs: u16,
    /// 0 to 99; 0 is the strongest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Least MTU of the PF and MTU of the VFs, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Drivers of the VFs.
    pub device_type: DeviceType,
    /// VFs are wanted with RDMA.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_rdma: bool,
    /// `/dev/vhost-net` is wanted beside the VFs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub need_vhost_net: bool,
    /// What the ports must speak: `eth`, `ETH`, `ib` or `IB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_type: Option<String>,
    /// Who programs the embedded switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e_switch_mode: Option<EswitchModeWord>,
    /// Kind of vDPA device: `virtio` or `vhost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vdpa_type: Option<String>,
    /// The resource has no NUMA hints.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exclude_topology: bool,
    /// Somebody else makes the VFs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub externally_managed: bool,
    /// Open vSwitch bridges that the operator makes; carried, not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Value>,
}

/// Which PFs: all keys must fit, of a list one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NicSelector {
    /// PCI vendor id, four hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// PCI device id of the PF, four hexadecimal digits.
    #[serde(rename = "deviceID", skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Names of netdevs, perhaps with VFs: `eth1`, `eth1#0-3`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pf_names: Vec<String>,
    /// PCI addresses of PFs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub root_devices: Vec<String>,
    /// A cloud's network: `openstack/NetworkID:…`, `aws/NetworkID:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_filter: Option<String>,
}

/// Drivers of VFs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceType {
    /// The kernel's own: a netdev.
    #[default]
    #[serde(rename = "netdevice")]
    Netdevice,
    /// For user space.
    #[serde(rename = "vfio-pci")]
    VfioPci,
}

/// Who programs the embedded switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EswitchModeWord {
    /// The firmware.
    Legacy,
    /// The host.
    Switchdev,
}

const NIC_SELECTOR: &[Field] = &[
    optional("vendor", Shape::Text),
    optional("deviceID", Shape::Text),
    optional("pfNames", Shape::Texts),
    optional("rootDevices", Shape::Texts),
    optional("netFilter", Shape::Text),
];

const UPLINK: &[Field] = &[required(
    "interface",
    Shape::Object(&[
        optional("type", Shape::Text),
        optional("options", Shape::TextMap),
        optional("externalIDs", Shape::TextMap),
        optional("otherConfig", Shape::TextMap),
        optional("mtuRequest", Shape::Number(65_535)),
    ]),
)];

const OVS: &[Field] = &[
    optional(
        "bridge",
        Shape::Object(&[
            optional("datapathType", Shape::Text),
            optional("externalIDs", Shape::TextMap),
            optional("otherConfig", Shape::TextMap),
            optional("failMode", Shape::Text),
        ]),
    ),
    optional("uplink", Shape::Object(UPLINK)),
];

const BRIDGE: &[Field] = &[optional("ovs", Shape::Object(OVS))];

/// Whose specification it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The operator's object.
    Operator,
    /// The configuration of a single node: who gives VFs out by no resource needs no name for it, and who selects PFs in
    /// another way no selector.
    Node,
}

impl Whose {
    /// A field that only the operator requires.
    const fn field(self, name: &'static str, shape: Shape) -> Field {
        match self {
            Self::Operator => required(name, shape),
            Self::Node => optional(name, shape),
        }
    }
}

/// The fields of the specification. The operator requires `nodeSelector`, too; here an object without it is read.
const fn fields(whose: Whose) -> [Field; 15] {
    [
        whose.field("resourceName", Shape::Text),
        optional("nodeSelector", Shape::TextMap),
        whose.field("nicSelector", Shape::Object(NIC_SELECTOR)),
        required("numVfs", Shape::Number(65_535)),
        optional("priority", Shape::Number(99)),
        optional("mtu", Shape::Number(65_535)),
        optional("deviceType", Shape::Text),
        optional("isRdma", Shape::Flag),
        optional("needVhostNet", Shape::Flag),
        optional("linkType", Shape::Text),
        optional("eSwitchMode", Shape::Text),
        optional("vdpaType", Shape::Text),
        optional("excludeTopology", Shape::Flag),
        optional("externallyManaged", Shape::Flag),
        optional("bridge", Shape::Object(BRIDGE)),
    ]
}

const FIELDS: [Field; 15] = fields(Whose::Operator);
const FIELDS_OF_A_NODE: [Field; 15] = fields(Whose::Node);

impl SriovNetworkNodePolicy {
    /// Reads an object and checks it: every field must be known, of the right type and of a value that the operator
    /// would take.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(value: &Value) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        for (name, want) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            let is = value.get(name).and_then(Value::as_str).unwrap_or_default();
            if is != want {
                problems.push(Problem::new(name, format!("is `{is}`"), format!("write {want}")));
            }
        }
        let metadata = Metadata {
            name: value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        };
        check_name(&metadata.name, &mut problems);
        match value.get("spec").map(|spec| SriovNetworkNodePolicySpec::read(spec, "spec")) {
            None => problems.push(Problem::new("spec", "is missing", "it is required")),
            Some(Err(more)) => problems.extend(more),
            Some(Ok(spec)) if problems.is_empty() => return Ok(Self { metadata, spec }),
            Some(Ok(_)) => {}
        }
        Err(problems)
    }
}

impl SriovNetworkNodePolicySpec {
    /// Reads a specification that stands at `path`, as [`SriovNetworkNodePolicy::read`] does.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(value: &Value, path: &str) -> Result<Self, Vec<Problem>> {
        Self::read_fields(value, path, &FIELDS)
    }

    /// As [`SriovNetworkNodePolicySpec::read`], for the configuration of a single node: `resourceName` and `nicSelector`
    /// may be absent.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read_of_node(value: &Value, path: &str) -> Result<Self, Vec<Problem>> {
        Self::read_fields(value, path, &FIELDS_OF_A_NODE)
    }

    fn read_fields(value: &Value, path: &str, fields: &'static [Field]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        shape::check(value, Shape::Object(fields), path, &mut problems);
        let words: [(&str, &[&str]); 4] = [
            ("deviceType", &["netdevice", "vfio-pci"]),
            ("linkType", &["eth", "ETH", "ib", "IB"]),
            ("eSwitchMode", &["legacy", "switchdev"]),
            ("vdpaType", &["virtio", "vhost"]),
        ];
        for (name, known) in words {
            // An empty word is none, as in objects that Go programs write.
            if let Some(word) = value.get(name).and_then(Value::as_str)
                && !word.is_empty()
                && !known.contains(&word)
            {
                let message = format!("`{word}` is not known");
                problems.push(Problem::unknown(format!("{path}.{name}"), &message, word, known));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut value = without_nulls(value.clone());
        if let Some(members) = value.as_object_mut() {
            members.retain(|name, value| value != "" || !words.iter().any(|(word, _)| word == name));
        }
        let given: BTreeSet<String> =
            value.as_object().into_iter().flat_map(|all| all.keys().cloned()).collect();
        let spec: Self = serde_json::from_value(value)
            .map_err(|error| vec![Problem::new(path, error.to_string(), "compare it with the samples")])?;
        let problems = spec.problems(path, &given);
        if problems.is_empty() { Ok(spec) } else { Err(problems) }
    }

    /// The priority, 0 to 99; 0 is the strongest.
    pub fn priority(&self) -> u8 {
        self.priority.unwrap_or(WEAKEST)
    }

    /// What of the values the operator would refuse. Whether a field may be absent was asked before: only what is `given`
    /// is looked at.
    fn problems(&self, path: &str, given: &BTreeSet<String>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |name: &str, message: String, fix: &str| {
            problems.push(Problem::new(format!("{path}.{name}"), message, fix));
        };
        let resource = &self.resource_name;
        let plain = resource.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if given.contains("resourceName") && (resource.is_empty() || resource.len() > 63 || !plain) {
            let fix = "write 1 to 63 letters, digits and underscores; other characters break the variables of containers";
            wrong("resourceName", format!("`{resource}` is no name of a resource"), fix);
        }
        let selector = &self.nic_selector;
        if given.contains("nicSelector") && *selector == NicSelector::default() {
            let fix = "name PFs by vendor, deviceID, pfNames, rootDevices or netFilter";
            wrong("nicSelector", "selects no PF".to_owned(), fix);
        }
        for (name, id) in [("vendor", &selector.vendor), ("deviceID", &selector.device_id)] {
            let Some(id) = id else { continue };
            if id.len() != 4 || !id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                let fix = "write four lower-case hexadecimal digits in quotes, without 0x";
                wrong(&format!("nicSelector.{name}"), format!("`{id}` is no PCI id"), fix);
            }
        }
        if self.mtu == Some(0) {
            wrong("mtu", "is 0".to_owned(), "write the bytes, at least 1, or leave it out");
        }
        let vfio = self.device_type == DeviceType::VfioPci;
        if self.is_rdma && vfio {
            wrong("isRdma", "does not go with deviceType vfio-pci".to_owned(), "leave one of both out");
        }
        let switchdev = self.e_switch_mode == Some(EswitchModeWord::Switchdev);
        if switchdev && self.link_type.as_deref().is_some_and(|word| word.eq_ignore_ascii_case("ib")) {
            wrong("eSwitchMode", "switchdev does not go with InfiniBand".to_owned(), "write legacy");
        }
        if self.vdpa_type.is_some() && (vfio || !switchdev) {
            let fix = "write deviceType netdevice and eSwitchMode switchdev, or leave it out";
            wrong("vdpaType", "needs netdevices and switchdev".to_owned(), fix);
        }
        if self.bridge.is_some() && (!switchdev || self.externally_managed) {
            let fix = "write eSwitchMode switchdev without externallyManaged, or leave it out";
            wrong("bridge", "needs switchdev VFs that the operator makes".to_owned(), fix);
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(spec: Value) -> Value {
        json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "rails", "namespace": "sriov-network-operator"}, "spec": spec})
    }

    fn told(spec: Value) -> Vec<String> {
        let problems = SriovNetworkNodePolicy::read(&policy(spec)).unwrap_err();
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn a_policy_of_the_operator_is_read_and_written_again() {
        let spec = json!({
            "resourceName": "rail_nics",
            "nodeSelector": {"feature.node.kubernetes.io/network-sriov.capable": "true"},
            "nicSelector": {"vendor": "15b3", "deviceID": "101d", "pfNames": ["ens1f0#0-3"], "rootDevices": ["0000:3b:00.0"]},
            "numVfs": 8, "priority": 10, "mtu": 9000, "deviceType": "netdevice", "isRdma": true,
            "linkType": "eth", "eSwitchMode": "switchdev", "excludeTopology": true,
            "bridge": {"ovs": {"bridge": {"datapathType": "netdev"}, "uplink": {"interface": {"type": "dpdk"}}}},
        });

        let read = SriovNetworkNodePolicy::read(&policy(spec.clone())).unwrap();

        assert_eq!((read.metadata.name.as_str(), read.spec.num_vfs, read.spec.priority()), ("rails", 8, 10));
        assert_eq!(read.spec.e_switch_mode, Some(EswitchModeWord::Switchdev));
        assert_eq!(serde_json::to_value(&read.spec).unwrap(), spec);
    }

    #[test]
    fn a_short_policy_has_the_operators_defaults() {
        let spec = json!({"resourceName": "nics", "nicSelector": {"pfNames": ["eth1"]}, "numVfs": 4, "linkType": "", "mtu": null});

        let read = SriovNetworkNodePolicy::read(&policy(spec)).unwrap().spec;

        assert_eq!((read.priority(), read.device_type, read.link_type), (99, DeviceType::Netdevice, None));
    }

    #[test]
    fn every_unknown_field_and_word_is_named_at_once() {
        let found = told(json!({
            "resourceName": "nics", "numVF": 4, "numVfs": "4", "nicSelector": {"pfName": ["eth1"]},
            "deviceType": "vfio", "eSwitchMode": "switchdef", "bridge": {"ovs": {"bridges": {}}},
        }));

        let paths: Vec<&str> = found.iter().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "spec.numVF",
                "spec.numVfs",
                "spec.nicSelector.pfName",
                "spec.bridge.ovs.bridges",
                "spec.deviceType",
                "spec.eSwitchMode"
            ]
        );
        assert!(found[0].contains("did you mean `numVfs`?"), "{found:?}");
        assert!(found[5].contains("did you mean `switchdev`?"), "{found:?}");
    }

    #[test]
    fn values_that_the_operator_refuses_are_refused() {
        let with = |more: Value| {
            let mut spec = json!({"resourceName": "nics", "nicSelector": {"pfNames": ["eth1"]}, "numVfs": 4});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            told(spec)
        };
        let rows = [
            (json!({"resourceName": "rail-nics"}), "spec.resourceName: `rail-nics`"),
            (json!({"nicSelector": {}}), "spec.nicSelector: selects no PF"),
            (json!({"nicSelector": {"vendor": "15B3"}}), "spec.nicSelector.vendor: `15B3`"),
            (json!({"priority": 100}), "spec.priority: is 100"),
            (json!({"mtu": 0}), "spec.mtu: is 0"),
            (json!({"isRdma": true, "deviceType": "vfio-pci"}), "spec.isRdma"),
            (json!({"linkType": "IB", "eSwitchMode": "switchdev"}), "spec.eSwitchMode"),
            (json!({"vdpaType": "virtio"}), "spec.vdpaType"),
            (json!({"bridge": {}}), "spec.bridge"),
        ];
        for (more, said) in rows {
            let found = with(more.clone());
            assert!(found.len() == 1 && found[0].starts_with(said), "{more}: {found:?}");
        }
    }

    #[test]
    fn a_node_may_leave_out_what_the_operator_requires_but_not_write_it_wrongly() {
        let read = |spec: Value| SriovNetworkNodePolicySpec::read_of_node(&spec, "sriov[0]");
        let paths = |spec: Value| -> Vec<String> {
            read(spec).unwrap_err().into_iter().map(|problem| problem.path).collect()
        };

        assert_eq!(read(json!({"numVfs": 4})).unwrap().num_vfs, 4);
        assert_eq!(read(json!({"numVfs": 4, "resourceName": null})).unwrap().resource_name, "");
        assert_eq!(
            paths(json!({"numVfs": 4, "resourceName": "", "nicSelector": {}})),
            ["sriov[0].resourceName", "sriov[0].nicSelector"]
        );
        assert_eq!(paths(json!({"resourceName": "nics"})), ["sriov[0].numVfs"]);
        let told = told(json!({"numVfs": 4}));
        assert!(told.len() == 2 && told.iter().all(|line| line.contains("is missing")), "{told:?}");
    }

    #[test]
    fn another_kind_is_not_read_as_a_policy() {
        let found = SriovNetworkNodePolicy::read(&json!({"kind": "SriovNetwork"})).unwrap_err();

        assert_eq!(found.len(), 4, "{found:?}");
    }
}

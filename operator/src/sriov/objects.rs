//! The objects as they are applied, and the annotation of the attachment definition.

use std::collections::BTreeMap;

use crds::foreign::{
    NicClusterPolicySpec, SriovClusterNics, SriovClusterPolicySpec, SriovNetworkSpec, resources,
};
use crds::{SriovPlan, SriovPlanNics, SriovPlanPolicy};
use serde_json::{Value, json};

use super::arguments::SriovArguments;
use crate::attachment::GENERATED_LABEL;

/// Group and version of the SR-IOV operator's kinds.
const API_VERSION: &str = "sriovnetwork.openshift.io/v1";

/// Fields of a SriovNetwork that we set beside those that have a type.
const SET: [&str; 3] = ["spoofChk", "trust", "linkState"];

/// Name of the SriovNetwork of a network.
pub(super) fn network_name(network: &str) -> String {
    format!("{network}-net")
}

pub(super) fn policy(
    arguments: &SriovArguments,
    node_selector: BTreeMap<String, String>,
    nic_selector: SriovClusterNics,
) -> SriovClusterPolicySpec {
    SriovClusterPolicySpec {
        resource_name: arguments.resource.clone(),
        node_selector,
        nic_selector,
        num_vfs: arguments.num_vfs,
        priority: Some(arguments.priority.into()),
        mtu: arguments.mtu,
        device_type: arguments.device_type.clone(),
        is_rdma: arguments.is_rdma,
        need_vhost_net: arguments.need_vhost_net,
        ..SriovClusterPolicySpec::default()
    }
}

/// The same for the agent of one node.
pub(super) fn node_plan(network: &str, arguments: &SriovArguments, nics: SriovClusterNics) -> SriovPlan {
    let policy = SriovPlanPolicy {
        resource_name: arguments.resource.clone(),
        nic_selector: SriovPlanNics {
            root_devices: nics.root_devices,
            vendor: nics.vendor,
            device_id: nics.device_id,
        },
        num_vfs: arguments.num_vfs,
        priority: arguments.priority,
        mtu: arguments.mtu,
        device_type: arguments.device_type.clone(),
        is_rdma: arguments.is_rdma,
        need_vhost_net: arguments.need_vhost_net,
    };
    SriovPlan { network: network.to_owned(), policy }
}

pub(super) fn network(arguments: &SriovArguments) -> SriovNetworkSpec {
    let mut spec = SriovNetworkSpec {
        resource_name: arguments.resource.clone(),
        vlan: arguments.vlan,
        vlan_qos: arguments.vlan_qos,
        min_tx_rate: arguments.min_tx_rate,
        max_tx_rate: arguments.max_tx_rate,
        ..SriovNetworkSpec::default()
    };
    let mut put = |key: &str, text: &str| drop(spec.other.insert(key.to_owned(), text.into()));
    let word = |on: bool| if on { "on" } else { "off" };
    if let Some(on) = arguments.spoofchk {
        put("spoofChk", word(on));
    }
    if let Some(on) = arguments.trust {
        put("trust", word(on));
    }
    if !arguments.link_state.is_empty() {
        put("linkState", &arguments.link_state);
    }
    spec
}

/// A whole object, as it is applied.
pub(super) fn object(kind: &str, namespace: &str, name: &str, spec: &impl serde::Serialize) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {GENERATED_LABEL: "true"}},
        "spec": spec,
    })
}

/// Whether a policy of the cluster says what is wanted. What the server fills in (`deviceType`), and what others have added
/// that we never set, is no difference: else the object would be written for ever.
pub fn policy_says(existing: &SriovClusterPolicySpec, wanted: &SriovClusterPolicySpec) -> bool {
    let own = |spec: &SriovClusterPolicySpec| {
        let nics = &spec.nic_selector;
        let nic_selector = SriovClusterNics {
            vendor: nics.vendor.clone(),
            device_id: nics.device_id.clone(),
            pf_names: nics.pf_names.clone(),
            root_devices: nics.root_devices.clone(),
            ..SriovClusterNics::default()
        };
        SriovClusterPolicySpec {
            resource_name: spec.resource_name.clone(),
            node_selector: spec.node_selector.clone(),
            nic_selector,
            num_vfs: spec.num_vfs,
            priority: spec.priority,
            mtu: spec.mtu,
            device_type: if spec.device_type == "netdevice" {
                String::new()
            } else {
                spec.device_type.clone()
            },
            is_rdma: spec.is_rdma,
            need_vhost_net: spec.need_vhost_net,
            ..SriovClusterPolicySpec::default()
        }
    };
    own(existing) == own(wanted)
}

/// The same of a SriovNetwork (`logLevel`).
pub fn network_says(existing: &SriovNetworkSpec, wanted: &SriovNetworkSpec) -> bool {
    let own = |spec: &SriovNetworkSpec| {
        let mut own = spec.clone();
        own.other.retain(|key, _| SET.contains(&key.as_str()));
        own
    };
    own(existing) == own(wanted)
}

/// The annotation of an attachment definition of plugin `mellanox`: every resource that NVIDIA's network operator gives
/// out, comma-joined, each once (CONTRACTS §3.3; the predecessor looked at the first policy alone).
///
/// # Errors
/// Why there is none, and what to do.
pub fn mellanox_annotation(policies: &[NicClusterPolicySpec]) -> Result<String, String> {
    let fix = "set spec.sriovDevicePlugin.config of the NicClusterPolicy to a JSON object with resourceList";
    if policies.is_empty() {
        return Err("there is no NicClusterPolicy; install NVIDIA's network operator and make one".to_owned());
    }
    let mut found: Vec<String> = Vec::new();
    for plugin in policies.iter().filter_map(|policy| policy.sriov_device_plugin.as_ref()) {
        if plugin.config.is_empty() {
            continue;
        }
        let named = resources(&plugin.config).map_err(|error| {
            format!("the configuration of the SR-IOV device plugin cannot be read: {error}; {fix}")
        })?;
        for resource in named {
            if !found.contains(&resource) {
                found.push(resource);
            }
        }
    }
    if found.is_empty() {
        return Err(format!("the SR-IOV device plugin gives out no resource; {fix}"));
    }
    Ok(found.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_and_others_fill_in_is_no_difference_and_what_we_set_is_one() {
        let spec = |more: Value| {
            let mut spec = json!({"resourceName": "a", "nodeSelector": {"b": "c"}, "numVfs": 4, "priority": 99,
                                  "nicSelector": {"rootDevices": ["0000:3b:00.0"], "vendor": "15b3"}});
            spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value::<SriovClusterPolicySpec>(spec).unwrap()
        };
        let wanted = spec(json!({}));
        for same in [
            json!({"deviceType": "netdevice"}),
            json!({"linkType": "eth", "excludeTopology": true, "bridge": {}}),
        ] {
            assert!(policy_says(&spec(same.clone()), &wanted), "{same}");
        }
        for other in [
            json!({"deviceType": "vfio-pci"}),
            json!({"mtu": 9000}),
            json!({"isRdma": true}),
            json!({"priority": 7}),
            json!({"numVfs": 5}),
            json!({"nodeSelector": {}}),
            json!({"nicSelector": {"rootDevices": ["0000:3b:00.0"]}}),
            json!({"needVhostNet": true}),
        ] {
            assert!(!policy_says(&spec(other.clone()), &wanted), "{other}");
        }
        let network = |spec: Value| serde_json::from_value::<SriovNetworkSpec>(spec).unwrap();
        let wanted = network(json!({"resourceName": "a", "vlan": 7}));
        let filled = network(json!({"resourceName": "a", "vlan": 7, "logLevel": "info", "metaPlugins": "x"}));
        assert!(network_says(&filled, &wanted));
        for other in [json!({"resourceName": "a"}), json!({"resourceName": "a", "vlan": 7, "trust": "on"})] {
            assert!(!network_says(&network(other.clone()), &wanted), "{other}");
        }
    }

    #[test]
    fn the_annotation_of_mellanox_is_what_the_contract_says() {
        let policy = |config: &str| {
            serde_json::from_value::<NicClusterPolicySpec>(json!({"sriovDevicePlugin": {"config": config}}))
                .unwrap()
        };
        let list = |items: &[(&str, &str)]| {
            let items: Vec<Value> = items
                .iter()
                .map(|(prefix, name)| json!({"resourcePrefix": prefix, "resourceName": name}))
                .collect();
            policy(&json!({ "resourceList": items }).to_string())
        };
        let two = list(&[("nvidia.com", "host_dev0"), ("nvidia.com", "host_dev1")]);
        let mixed = list(&[("nvidia.com", "test-resource-1"), ("mellanox.com", "test-resource-2")]);

        assert_eq!(
            mellanox_annotation(std::slice::from_ref(&two)).unwrap(),
            "nvidia.com/host_dev0,nvidia.com/host_dev1"
        );
        assert_eq!(
            mellanox_annotation(&[mixed]).unwrap(),
            "nvidia.com/test-resource-1,mellanox.com/test-resource-2"
        );
        assert_eq!(
            mellanox_annotation(&[two.clone(), list(&[("", "host_dev2"), ("nvidia.com", "host_dev0")])])
                .unwrap(),
            "nvidia.com/host_dev0,nvidia.com/host_dev1,nvidia.com/host_dev2"
        );
        for (policies, said) in [
            (vec![], "there is no NicClusterPolicy"),
            (vec![NicClusterPolicySpec::default()], "gives out no resource"),
            (vec![policy(r#"{"resourceList": []}"#)], "gives out no resource"),
            (vec![policy(r#"{"resourceList": "invalid"}"#)], "cannot be read"),
            (vec![two, policy("{")], "cannot be read"),
        ] {
            let told = mellanox_annotation(&policies).unwrap_err();
            assert!(told.contains(said), "{told}");
        }
    }
}

//! Policies as this node takes them: `SriovNetworkNodePolicy` in files, and its specification in `agent.yaml`. What
//! belongs to a cluster, or to a part that is not ours, is said and not passed over. Pure.

use crds::Problem;
use crds::foreign::{DeviceType, EswitchModeWord, NicSelector, SriovNetworkNodePolicySpec};
use hwprobe::{NicId, PciAddress};
use sriov::{EswitchMode, LinkType, PfName, PfPolicy, PfSelector, VfDriver};

/// A policy of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodePolicy {
    /// What it says.
    pub(crate) policy: PfPolicy,
    /// Device class that a PF must be in, beside what the selector says.
    pub(crate) class: Option<String>,
}

impl NodePolicy {
    /// The policy that a specification at `path` makes, and what of it does nothing on this node.
    ///
    /// # Errors
    /// What the specification's own check does not see: names of PFs, addresses, a selector that no node can follow.
    pub(crate) fn new(
        name: &str,
        spec: &SriovNetworkNodePolicySpec,
        path: &str,
    ) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let selector = selector(&spec.nic_selector, path)?;
        let policy = PfPolicy {
            priority: spec.priority(),
            driver: match spec.device_type {
                DeviceType::Netdevice => VfDriver::Own,
                DeviceType::VfioPci => VfDriver::vfio(),
            },
            mtu: spec.mtu,
            eswitch: spec.e_switch_mode.map(|mode| match mode {
                EswitchModeWord::Legacy => EswitchMode::Legacy,
                EswitchModeWord::Switchdev => EswitchMode::Switchdev,
            }),
            // Its words have been checked.
            link_type: spec.link_type.as_deref().and_then(|word| word.parse::<LinkType>().ok()),
            rdma: spec.is_rdma,
            external: spec.externally_managed,
            resource: spec.resource_name.clone(),
            ..PfPolicy::new(name, selector, spec.num_vfs)
        };
        Ok((Self { policy, class: None }, unhonoured(spec, path)))
    }

    /// The policy with its class resolved to the NICs `of_class`.
    pub(crate) fn resolved(&self, of_class: impl FnOnce(&str) -> Vec<NicId>) -> PfPolicy {
        let mut policy = self.policy.clone();
        if let Some(class) = &self.class {
            policy.selector.nics = Some(of_class(class));
        }
        policy
    }
}

fn selector(selector: &NicSelector, path: &str) -> Result<PfSelector, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut wrong = |field: String, message: String, fix: &str| {
        problems.push(Problem { path: format!("{path}.nicSelector.{field}"), message, fix: fix.to_owned() });
    };
    let mut found = PfSelector {
        vendor: selector.vendor.clone(),
        device: selector.device_id.clone(),
        ..PfSelector::default()
    };
    for (index, text) in selector.pf_names.iter().enumerate() {
        match text.parse::<PfName>() {
            Ok(name) => found.names.push(name),
            Err(error) => {
                let error = error.to_string();
                let (message, fix) = error.split_once("; ").unwrap_or((&error, "correct it"));
                wrong(format!("pfNames[{index}]"), message.to_owned(), fix);
            }
        }
    }
    for (index, text) in selector.root_devices.iter().enumerate() {
        match text.parse::<PciAddress>() {
            Ok(address) => found.devices.push(address),
            Err(_) => {
                let fix = "write the address of the PF, like 0000:3b:00.0";
                wrong(format!("rootDevices[{index}]"), format!("`{text}` is no PCI address"), fix);
            }
        }
    }
    if let Some(filter) = &selector.net_filter {
        let fix =
            "select PFs by pfNames, rootDevices, vendor or deviceID; a cloud's networks are not known here";
        wrong("netFilter".to_owned(), format!("`{filter}` selects no PF of this node"), fix);
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// What of a specification does nothing on a single node.
fn unhonoured(spec: &SriovNetworkNodePolicySpec, path: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |field: &str, message: &str, fix: &str| {
        let path = format!("{path}.{field}");
        problems.push(Problem { path, message: message.to_owned(), fix: fix.to_owned() });
    };
    if !spec.node_selector.is_empty() {
        let fix = "keep the file on the nodes that it is meant for, or take the selector out";
        say("nodeSelector", "does nothing without a cluster: the policy counts for this node", fix);
    }
    if spec.need_vhost_net {
        let fix = "give the container /dev/vhost-net yourself, or take it out";
        say("needVhostNet", "does nothing here: no pod gets /dev/vhost-net by it", fix);
    }
    if spec.vdpa_type.is_some() {
        say("vdpaType", "does nothing here: no vDPA device is made", "make it yourself, or take it out");
    }
    if spec.exclude_topology {
        let fix = "write excludeTopology in the pool of devicePlugin, or take it out";
        say("excludeTopology", "does nothing here: the device plugin's pools say it", fix);
    }
    if spec.bridge.is_some() {
        say("bridge", "does nothing here: no bridge is made", "make it yourself, or take it out");
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(more: Value) -> SriovNetworkNodePolicySpec {
        let mut spec = json!({"resourceName": "vfs", "nicSelector": {"pfNames": ["eth1#0-1"]}, "numVfs": 4});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        SriovNetworkNodePolicySpec::read(&spec, "spec").unwrap()
    }

    #[test]
    fn every_word_that_a_node_can_follow_is_followed() {
        let spec = spec(json!({
            "nicSelector": {"vendor": "8086", "deviceID": "10c9", "pfNames": ["eth1#0-1", "eth2"], "rootDevices": ["0000:01:00.0"]},
            "priority": 7, "mtu": 9000, "isRdma": true, "linkType": "ETH", "eSwitchMode": "legacy",
        }));

        let (made, unhonoured) = NodePolicy::new("rails", &spec, "spec").unwrap();

        let policy = made.policy;
        assert_eq!(unhonoured, []);
        assert_eq!((policy.name.as_str(), policy.priority, policy.count), ("rails", 7, 4));
        assert_eq!((policy.driver, policy.mtu, policy.rdma), (VfDriver::Own, Some(9000), true));
        assert_eq!((policy.eswitch, policy.link_type), (Some(EswitchMode::Legacy), Some(LinkType::Ethernet)));
        assert_eq!((policy.resource.as_str(), policy.external, policy.on_uplink), ("vfs", false, false));
        assert_eq!(policy.selector.vendor.as_deref(), Some("8086"));
        assert_eq!(policy.selector.device.as_deref(), Some("10c9"));
        assert_eq!(policy.selector.names.len(), 2);
        assert_eq!(policy.selector.devices, ["0000:01:00.0".parse().unwrap()]);
    }

    #[test]
    fn what_a_node_cannot_follow_is_said_with_its_field() {
        let spec = spec(json!({
            "nodeSelector": {"a": "b"}, "needVhostNet": true, "vdpaType": "vhost", "excludeTopology": true,
            "eSwitchMode": "switchdev", "bridge": {"ovs": {}},
        }));

        let (_, unhonoured) = NodePolicy::new("rails", &spec, "spec").unwrap();

        let fields: Vec<&str> = unhonoured.iter().map(|one| one.path.as_str()).collect();
        let wanted = ["nodeSelector", "needVhostNet", "vdpaType", "excludeTopology", "bridge"];
        assert_eq!(fields, wanted.map(|field| format!("spec.{field}")));
    }

    #[test]
    fn selectors_that_select_nothing_are_refused() {
        let of = |selector: Value| {
            let refused = NodePolicy::new("rails", &spec(json!({ "nicSelector": selector })), "spec");
            refused.unwrap_err().iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
        };

        for (selector, said) in [
            (json!({"pfNames": ["eth1#3-1"]}), "spec.nicSelector.pfNames[0]: `eth1#3-1` is no PF name"),
            (json!({"rootDevices": ["eth1"]}), "spec.nicSelector.rootDevices[0]: `eth1` is no PCI address"),
            (
                json!({"netFilter": "aws/NetworkID:1"}),
                "spec.nicSelector.netFilter: `aws/NetworkID:1` selects",
            ),
        ] {
            assert!(of(selector).starts_with(said), "{said}");
        }
    }
}

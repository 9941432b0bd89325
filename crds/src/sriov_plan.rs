//! What an agent should make of the PFs of its node, where no SR-IOV operator does it.
//!
//! Carried in the status of the node's HostInterface (`status.sriovPlan`): the agent writes the spec of that object, the
//! operator this list, and each may do no more. An item is what the agent reads from a file as a
//! SriovNetworkNodePolicy, so both have one meaning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::foreign::SriovNetworkNodePolicySpec;
use crate::problem::Problem;

/// The virtual functions of a network on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SriovPlan {
    /// Name of the network.
    pub network: String,
    /// What its PFs should be, in the words of a SriovNetworkNodePolicy.
    pub policy: SriovPlanPolicy,
}

/// What PFs should be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SriovPlanPolicy {
    /// Name of the resource that the VFs are given out as, without prefix.
    #[schemars(length(max = 63))]
    pub resource_name: String,
    /// Which PFs.
    pub nic_selector: SriovPlanNics,
    /// VFs of each PF.
    #[schemars(range(min = 1, max = 65535))]
    pub num_vfs: u32,
    /// 0 to 99; 0 is the strongest.
    #[schemars(range(max = 99))]
    pub priority: u8,
    /// Least MTU of the PFs and MTU of the VFs, bytes. Default: as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub mtu: Option<u32>,
    /// Drivers of the VFs. Default: empty, `netdevice`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(extend("enum" = ["", "netdevice", "vfio-pci"]))]
    pub device_type: String,
    /// VFs are wanted with RDMA. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_rdma: bool,
    /// `/dev/vhost-net` is wanted beside the VFs. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub need_vhost_net: bool,
}

/// Which PFs: every key that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SriovPlanNics {
    /// PCI addresses of the PFs.
    #[schemars(length(max = 256))]
    pub root_devices: Vec<String>,
    /// PCI vendor id of all of them, four hexadecimal digits. Default: any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// PCI device id of all of them, four hexadecimal digits. Default: any.
    #[serde(rename = "deviceID", default, skip_serializing_if = "String::is_empty")]
    pub device_id: String,
}

impl SriovPlan {
    /// The policy as the agent reads it, with everything that it checks.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn policy(&self) -> Result<SriovNetworkNodePolicySpec, Vec<Problem>> {
        let path = "status.sriovPlan.policy";
        let value = serde_json::to_value(&self.policy)
            .map_err(|error| vec![Problem::new(path, error.to_string(), "report it")])?;
        SriovNetworkNodePolicySpec::read(&value, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::DeviceType;

    fn plan() -> SriovPlan {
        let nics = SriovPlanNics {
            root_devices: vec!["0000:3b:00.0".to_owned()],
            vendor: "15b3".to_owned(),
            device_id: "101d".to_owned(),
        };
        let policy = SriovPlanPolicy {
            resource_name: "rails".to_owned(),
            nic_selector: nics,
            num_vfs: 4,
            priority: 99,
            mtu: Some(9000),
            device_type: "vfio-pci".to_owned(),
            ..SriovPlanPolicy::default()
        };
        SriovPlan { network: "rails".to_owned(), policy }
    }

    #[test]
    fn every_word_of_a_plan_is_one_that_an_agent_reads() {
        let read = plan().policy().unwrap();

        assert_eq!((read.num_vfs, read.priority(), read.mtu), (4, 99, Some(9000)));
        assert_eq!(read.device_type, DeviceType::VfioPci);
        assert_eq!(read.nic_selector.root_devices, ["0000:3b:00.0"]);
        let mut rdma = plan();
        (rdma.policy.device_type, rdma.policy.is_rdma, rdma.policy.need_vhost_net) =
            (String::new(), true, true);
        let read = rdma.policy().unwrap();
        assert!(read.is_rdma && read.need_vhost_net);
    }

    #[test]
    fn a_plan_that_cannot_be_is_refused() {
        let mut both = plan();
        both.policy.is_rdma = true;

        assert_eq!(both.policy().unwrap_err()[0].path, "status.sriovPlan.policy.isRdma");
    }
}

//! Kinds of others that we read or write. What we do not know of them is kept where an object is written back.

mod net_attach_def;
mod nvidia;
mod sriov_cluster_policy;
mod sriov_network;
mod sriov_node_state;
mod sriov_policy;

pub use net_attach_def::{NetworkAttachmentDefinitionSpec, RESOURCE_NAME_ANNOTATION};
pub use nvidia::{HostDeviceNetworkSpec, NicClusterPolicySpec, SriovDevicePlugin, resources};
pub use sriov_cluster_policy::{SriovClusterNics, SriovClusterPolicySpec};
pub use sriov_network::SriovNetworkSpec;
pub use sriov_node_state::{
    SriovInterface, SriovInterfaceStatus, SriovNetworkNodeStateSpec, SriovNetworkNodeStateStatus, VfGroup,
};
pub use sriov_policy::{
    DeviceType, EswitchModeWord, NicSelector, SriovNetworkNodePolicy, SriovNetworkNodePolicySpec,
};

#[cfg(feature = "cluster")]
pub use {
    net_attach_def::NetworkAttachmentDefinition,
    nvidia::{HostDeviceNetwork, NicClusterPolicy},
    sriov_cluster_policy::SriovNetworkNodePolicy as SriovClusterPolicy,
    sriov_network::SriovNetwork,
    sriov_node_state::SriovNetworkNodeState,
};

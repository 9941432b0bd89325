//! Our kinds as objects of a cluster, with everything that Kubernetes' machinery wants of them (feature `cluster`).
//!
//! The former group has no types of its own: its objects have the same `spec` and `status`.

pub use crate::cidr::Cidr;
pub use crate::config::Config;
pub use crate::device_class::DeviceClassResource as DeviceClass;
pub use crate::foreign::{
    HostDeviceNetwork, NetworkAttachmentDefinition, NicClusterPolicy, SriovNetwork, SriovNetworkNodeState,
};
// In a cluster it is the object; `foreign` has the reader of files under the same name.
pub use crate::foreign::SriovClusterPolicy as SriovNetworkNodePolicy;
pub use crate::host_interface::HostInterface;
pub use crate::ip_pool::IpPool;
pub use crate::multi_nic_network::NetworkResource as MultiNicNetwork;

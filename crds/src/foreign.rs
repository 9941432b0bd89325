//! Kinds of others that we read or write.

mod sriov_policy;

pub use sriov_policy::{
    DeviceType, EswitchModeWord, NicSelector, SriovNetworkNodePolicy, SriovNetworkNodePolicySpec,
};

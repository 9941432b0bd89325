//! Pools: which devices the kubelet is offered, and who has them.

use hwprobe::NicId;
use serde::{Deserialize, Serialize};

/// The pools of the agent's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolList {
    /// Whether the kubelet is offered pools at all (`devicePlugin.enabled`).
    pub enabled: bool,
    /// Each pool, in the order of the configuration: a device is in the first one that it fits.
    pub pools: Vec<Pool>,
}

/// One pool: an extended resource of the kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// Name of the resource, like `multinic.fms.io/rails`.
    pub resource: String,
    /// What its devices are.
    pub kind: PoolKind,
    /// Pods that share one NIC, in pools of NICs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<u32>,
    /// How a pod uses a device.
    #[serde(rename = "use")]
    pub usage: PoolUse,
    /// The pod gets the character devices of RDMA, too.
    pub rdma: bool,
    /// What is in the pool, in words.
    pub selector: String,
    /// How far it is with the kubelet.
    pub state: PoolState,
    /// Since when: RFC 3339, UTC.
    #[schema(format = DateTime)]
    pub since: String,
    /// What kept it from being registered last; stays when it is registered again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<PoolError>,
    /// How many devices there are; absent until the machine has been read and it is known what pods have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<PoolCounts>,
    /// The devices as the kubelet is told of them, by id.
    pub devices: Vec<PoolDevice>,
}

/// What the devices of a pool are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PoolKind {
    /// Virtual functions, one pod each.
    Vf,
    /// Shares of whole NICs.
    Nic,
}

/// How a pod uses a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PoolUse {
    /// As a network interface.
    Netdevice,
    /// From user space, through vfio-pci.
    Vfio,
}

/// How far a pool is with the kubelet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum PoolState {
    /// There is no device, or no kubelet, or the kubelet has just gone.
    Waiting,
    /// The kubelet watches it.
    Registered,
    /// Another device plugin serves the resource: it stays with that one.
    Taken,
    /// The kubelet cannot be registered with: it is tried again.
    Failed,
}

impl PoolState {
    /// The name that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Registered => "registered",
            Self::Taken => "taken",
            Self::Failed => "failed",
        }
    }
}

/// What kept a pool from being registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolError {
    /// What it was.
    pub message: String,
    /// When it was seen first: RFC 3339, UTC.
    #[schema(format = DateTime)]
    pub time: String,
}

/// Devices of a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolCounts {
    /// All.
    pub total: usize,
    /// Offered to the kubelet, held or not.
    pub healthy: usize,
    /// Pods have them.
    pub held: usize,
    /// Healthy, and no pod has them.
    pub free: usize,
}

/// One device of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolDevice {
    /// Its id: PCI address of a VF; id of the NIC, `#` and a number for a share.
    pub id: String,
    /// Id of the port that it is on: its PF, or the NIC itself.
    pub port: NicId,
    /// NUMA node that the kubelet is told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u16>,
    /// It is offered. What is wrong must last (`unhealthyAfter`) before that changes, and so must what is well again.
    pub healthy: bool,
    /// What is wrong with it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// A pod has it.
    pub held: bool,
    /// Who has it, in words. Told only to those who may see pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
}

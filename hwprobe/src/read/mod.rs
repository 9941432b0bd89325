//! Sources to model: each file reads one side of a NIC, none decides anything.

pub(crate) mod devices;
pub(crate) mod lldp;
pub(crate) mod module;
pub(crate) mod netdev;
pub(crate) mod node;
pub(crate) mod pci;
pub(crate) mod rdma;
pub(crate) mod sriov;
pub(crate) mod storage;

pub(crate) mod virtual_topology;
pub(crate) mod vpd;

//! What the administrator can say about the probe.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::{NicId, Protection, SpeedThresholds};

/// Settings of a probe. The default asks for nothing special.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSettings {
    /// Where the speed classes begin.
    pub thresholds: SpeedThresholds,
    /// NICs that are protected whatever they carry: names, ids, PCI addresses or MACs. Naming any also says
    /// that the administrator knows what carries the node.
    pub protected: Vec<String>,
    /// NICs that are never secondary: names, ids, PCI addresses or MACs.
    pub excluded: Vec<String>,
    /// Virtual links that count like hardware when it is asked what is secondary: names, ids or MACs.
    pub included: Vec<String>,
    /// Addresses of the API server; the NICs that lead there are protected.
    pub api_servers: Vec<IpAddr>,
    /// Addresses of the Node object; the NICs that have them are protected.
    pub node_addresses: Vec<IpAddr>,
    /// The protected NICs of an earlier probe, for when there is no default route now.
    pub remembered: Vec<RememberedProtection>,
    /// Reads the EEPROM of pluggable modules; some milliseconds a port.
    pub read_modules: bool,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            thresholds: SpeedThresholds::default(),
            protected: Vec::new(),
            excluded: Vec::new(),
            included: Vec::new(),
            api_servers: Vec::new(),
            node_addresses: Vec::new(),
            remembered: Vec::new(),
            read_modules: true,
        }
    }
}

/// A NIC that an earlier probe found protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RememberedProtection {
    /// The NIC.
    pub nic: NicId,
    /// Why.
    pub protection: Protection,
}

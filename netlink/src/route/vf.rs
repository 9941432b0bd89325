//! A virtual function as its PF knows it (`IFLA_VF_INFO`).

use serde::{Deserialize, Serialize};

use crate::link_address::LinkAddress;
use crate::open_enum::open_enum;

/// What the PF's driver says of one VF, in the words of `ip link show PF`.
///
/// Source: `IFLA_VFINFO_LIST`. Drivers leave out what they cannot do; that is an absent field.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Vf {
    /// Number of the VF on its PF, from 0.
    pub index: u32,
    /// Address the PF gave the VF; all zero when the VF may choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<LinkAddress>,
    /// Broadcast address, on InfiniBand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<LinkAddress>,
    /// VLAN the switch puts the VF in, 1–4094; absent when it is in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// Priority of that VLAN's frames, 0–7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qos: Option<u8>,
    /// Ethertype of that VLAN's tag: 0x8100 or 0x88a8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan_protocol: Option<u16>,
    /// Whether frames with a foreign source address are dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spoof_check: Option<bool>,
    /// What link the VF is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_state: Option<VfLinkState>,
    /// Whether the VF may change its address and go promiscuous.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<bool>,
    /// Transmit limit in Mb/s; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tx_rate: Option<u32>,
    /// Guaranteed transmit rate in Mb/s; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_tx_rate: Option<u32>,
    /// Whether the VF may read the receive hash configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_query: Option<bool>,
    /// InfiniBand node GUID, 8 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_guid: Option<LinkAddress>,
    /// InfiniBand port GUID, 8 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_guid: Option<LinkAddress>,
}

open_enum! {
    /// Link that a VF is shown, `IFLA_VF_LINK_STATE_*`.
    VfLinkState(u32) {
        /// Follows the PF's.
        Auto = 0, "auto";
        /// Always up.
        Enable = 1, "enable";
        /// Always down.
        Disable = 2, "disable";
    }
}

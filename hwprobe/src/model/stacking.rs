//! Links above and below a link.

use serde::{Deserialize, Serialize};

/// How a link is stacked with others. Links are named by their netdev name in the agent's namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Stacking {
    /// The link it is enslaved to: a bond, team, bridge, VRF or `ovs-system` (`IFLA_MASTER`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<String>,
    /// Kind of that master, like `bond`, `bridge`, `openvswitch`, `vrf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master_kind: Option<String>,
    /// Links it stands on (a VLAN's parent, a bond's slaves).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lower: Vec<String>,
    /// Links that stand on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upper: Vec<String>,
    /// The other end of a veth or netkit pair, when it is in this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Kernel kind of a virtual link (`IFLA_INFO_KIND`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_kind: Option<String>,
    /// Facts of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<StackingDetail>,
}

/// Facts of a kind of virtual link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum StackingDetail {
    /// A VLAN.
    Vlan {
        /// VLAN id, 1 to 4094.
        id: u16,
        /// `802.1Q` or `802.1ad`.
        protocol: String,
    },
    /// A bond.
    Bond {
        /// Mode, like `802.3ad` or `active-backup`.
        mode: String,
        /// Slave in use (active-backup).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        active_slave: Option<String>,
    },
    /// macvlan or macvtap.
    Macvlan {
        /// Mode: `private`, `vepa`, `bridge`, `passthru`, `source`.
        mode: String,
    },
    /// ipvlan or ipvtap.
    Ipvlan {
        /// Mode: `l2`, `l3`, `l3s`.
        mode: String,
        /// Isolation: `bridge`, `private`, `vepa`.
        isolation: String,
    },
    /// VXLAN.
    Vxlan {
        /// Network identifier, 24 bits.
        vni: u32,
    },
    /// VRF.
    Vrf {
        /// Number of its routing table.
        table: u32,
    },
}

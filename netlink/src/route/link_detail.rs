//! What each kind of virtual link adds to a link (`IFLA_INFO_DATA`, `IFLA_INFO_SLAVE_DATA`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::link_address::LinkAddress;
use crate::open_enum::open_enum;

/// The data of one kind of link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum LinkDetail {
    /// 802.1Q or 802.1ad sub-interface.
    Vlan(Vlan),
    /// Link aggregation.
    Bond(Box<Bond>),
    /// Software switch.
    Bridge(Bridge),
    /// Sub-interface with its own link-layer address.
    Macvlan(Macvlan),
    /// The same with a character device.
    Macvtap(Macvlan),
    /// Sub-interface that shares its parent's link-layer address.
    Ipvlan(Ipvlan),
    /// The same with a character device.
    Ipvtap(Ipvlan),
    /// VXLAN tunnel.
    Vxlan(Box<Vxlan>),
    /// Routing domain.
    Vrf(Vrf),
    /// TUN or TAP device of a program.
    Tun(Tun),
}

/// What a master says of an enslaved link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum SlaveDetail {
    /// Member of a bond.
    Bond(BondSlave),
    /// Port of a bridge.
    Bridge(BridgePort),
    /// Member of a VRF.
    Vrf(Vrf),
}

/// 802.1Q data (`IFLA_VLAN_*`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Vlan {
    /// VLAN number, 0–4094.
    pub id: u16,
    /// Ethertype of the tag: 0x8100 or 0x88a8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<u16>,
    /// `VLAN_FLAG_*`: 1 reorder header, 2 GVRP, 4 loose binding, 8 MVRP, 16 bridge binding;
    /// absent when none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<u32>,
}

/// Bonding data (`IFLA_BOND_*`). Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Bond {
    /// How frames are spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<BondMode>,
    /// Index of the slave in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_slave: Option<u32>,
    /// Index of the preferred slave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<u32>,
    /// Link check interval in ms; 0 when off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miimon: Option<u32>,
    /// Delay before a returned link is used, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_delay: Option<u32>,
    /// Delay before a lost link is left, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down_delay: Option<u32>,
    /// Delay between announcements to peers, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_notify_delay: Option<u32>,
    /// Whether the link check trusts the driver's carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_carrier: Option<bool>,
    /// ARP check interval in ms; 0 when off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arp_interval: Option<u32>,
    /// Targets of the ARP check.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arp_ip_targets: Vec<IpAddr>,
    /// Missed ARP answers before a link counts as down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arp_missed_max: Option<u8>,
    /// `BOND_ARP_VALIDATE_*` number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arp_validate: Option<u32>,
    /// 0 any target must answer, 1 all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arp_all_targets: Option<u32>,
    /// When the primary is taken again: 0 always, 1 better, 2 failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_reselect: Option<u8>,
    /// 0 none, 1 active, 2 follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_over_mac: Option<u8>,
    /// What a frame's slave is chosen by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xmit_hash_policy: Option<BondXmitHashPolicy>,
    /// Membership reports sent after failover.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resend_igmp: Option<u32>,
    /// Announcements sent after failover.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_peer_notif: Option<u8>,
    /// Whether inactive slaves deliver frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_slaves_active: Option<bool>,
    /// Links needed for carrier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_links: Option<u32>,
    /// Learning packet interval, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lp_interval: Option<u32>,
    /// Packets sent through a slave before the next one (balance-rr).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets_per_slave: Option<u32>,
    /// Whether LACP frames are sent unasked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_lacp_active: Option<bool>,
    /// 0 slow (30 s), 1 fast (1 s).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_lacp_rate: Option<u8>,
    /// How an aggregator is chosen: 0 stable, 1 bandwidth, 2 count, 3 actor port priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_select: Option<u8>,
    /// LACP system priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_actor_sys_prio: Option<u16>,
    /// LACP user port key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_user_port_key: Option<u16>,
    /// LACP system address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_actor_system: Option<LinkAddress>,
    /// The aggregator in use (802.3ad).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_info: Option<BondAdInfo>,
    /// Whether transmit balancing follows load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tlb_dynamic_lb: Option<bool>,
}

/// The 802.3ad aggregator in use (`IFLA_BOND_AD_INFO`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct BondAdInfo {
    /// Aggregator number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregator: Option<u16>,
    /// Ports in the aggregator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_ports: Option<u16>,
    /// Our key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_key: Option<u16>,
    /// The partner's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_key: Option<u16>,
    /// The partner's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_mac: Option<LinkAddress>,
}

/// Member of a bond (`IFLA_BOND_SLAVE_*`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct BondSlave {
    /// Whether the member is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<BondSlaveState>,
    /// What the link check says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mii_status: Option<BondSlaveMiiStatus>,
    /// How often the link failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_failure_count: Option<u32>,
    /// The member's own address, which the bond hides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permanent_address: Option<LinkAddress>,
    /// Queue that is steered to the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_id: Option<u16>,
    /// Failover priority, higher first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// 802.3ad aggregator number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_aggregator: Option<u16>,
    /// Our LACP state bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_actor_oper_port_state: Option<u8>,
    /// The partner's LACP state bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ad_partner_oper_port_state: Option<u16>,
}

/// Bridge data that placement decisions need (`IFLA_BR_*`); the rest is left to `ip`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Bridge {
    /// 0 off, 1 kernel, 2 a user program runs spanning tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stp_state: Option<u32>,
    /// Bridge priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Whether VLANs are filtered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan_filtering: Option<bool>,
    /// Ethertype of the VLAN tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan_protocol: Option<u16>,
    /// VLAN of untagged frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_pvid: Option<u16>,
    /// Forward delay in hundredths of a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_delay: Option<u32>,
    /// Address ageing in hundredths of a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ageing_time: Option<u32>,
    /// Whether multicast is snooped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcast_snooping: Option<bool>,
}

/// Port of a bridge (`IFLA_BRPORT_*`), the part that placement decisions need.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct BridgePort {
    /// Spanning tree state: 0 disabled, 1 listening, 2 learning, 3 forwarding, 4 blocking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<u8>,
    /// Port priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Port cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
    /// Whether frames go back out of the port they came in by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hairpin: Option<bool>,
    /// Whether addresses are learnt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning: Option<bool>,
    /// Whether unknown unicast is flooded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unicast_flood: Option<bool>,
    /// Whether isolated from other isolated ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolated: Option<bool>,
}

/// Macvlan and macvtap data (`IFLA_MACVLAN_*`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Macvlan {
    /// Who may talk to whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<MacvlanMode>,
    /// `MACVLAN_FLAG_*`: 1 no promiscuous parent, 2 no destination check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<u16>,
    /// Source addresses that are let in (mode `source`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_addresses: Vec<LinkAddress>,
    /// Broadcast queue length asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast_queue_len: Option<u32>,
    /// Broadcast queue length in use on the parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast_queue_len_used: Option<u32>,
    /// Multicast filter size from which frames are treated as broadcast (`IFLA_MACVLAN_BC_CUTOFF`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast_cutoff: Option<i32>,
}

/// Ipvlan and ipvtap data (`IFLA_IPVLAN_*`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Ipvlan {
    /// At which layer packets are handed over; the same on all siblings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<IpvlanMode>,
    /// `IPVLAN_F_*`: 1 private, 2 VEPA; 0 is bridge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<u16>,
}

/// VXLAN data (`IFLA_VXLAN_*`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Vxlan {
    /// Network identifier, 24 bits.
    pub id: u32,
    /// Multicast group or remote end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<IpAddr>,
    /// Source address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<IpAddr>,
    /// Index of the underlay interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub underlay: Option<u32>,
    /// UDP destination port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Lowest UDP source port, 0 when chosen freely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port_min: Option<u16>,
    /// Highest UDP source port, 0 when chosen freely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port_max: Option<u16>,
    /// Whether addresses are learnt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning: Option<bool>,
    /// Address ageing in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ageing: Option<u32>,
    /// Addresses kept at most, 0 without limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Outer time to live, 0 from the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    /// Whether the inner packet's time to live is copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_inherit: Option<bool>,
    /// Outer type of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos: Option<u8>,
    /// 0 unset, 1 set, 2 inherit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dont_fragment: Option<u8>,
    /// Outer IPv6 flow label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_label: Option<u32>,
    /// Whether ARP is answered for others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<bool>,
    /// Route short circuit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_short_circuit: Option<bool>,
    /// Whether unknown link-layer destinations are reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l2_miss: Option<bool>,
    /// Whether unknown IP destinations are reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_miss: Option<bool>,
    /// Whether the tunnel is described by each packet's metadata (`external`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collect_metadata: Option<bool>,
    /// Whether the VNI filter is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vni_filter: Option<bool>,
    /// Whether local destinations are delivered without encapsulation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_bypass: Option<bool>,
    /// Whether UDP checksums are sent over IPv4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp_csum: Option<bool>,
    /// Whether zero checksums are sent over IPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp_zero_csum6_tx: Option<bool>,
    /// Whether zero checksums are taken over IPv6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp_zero_csum6_rx: Option<bool>,
    /// Remote checksum offload, sending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rem_csum_tx: Option<bool>,
    /// Remote checksum offload, receiving.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rem_csum_rx: Option<bool>,
    /// Whether the group policy extension is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gbp: Option<bool>,
    /// Whether the generic protocol extension is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpe: Option<bool>,
}

/// Routing domain (`IFLA_VRF_TABLE`, `IFLA_VRF_PORT_TABLE`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Vrf {
    /// Number of the routing table.
    pub table: u32,
}

/// TUN or TAP device (`IFLA_TUN_*`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Tun {
    /// IP packets or Ethernet frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<TunMode>,
    /// User who may open the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// Group that may open the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// Whether a packet information header is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_info: Option<bool>,
    /// Whether a virtio header is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnet_header: Option<bool>,
    /// Whether the device stays when its program ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persist: Option<bool>,
    /// Whether there may be several queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_queue: Option<bool>,
    /// Queues in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queues: Option<u32>,
    /// Queues switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_queues: Option<u32>,
}

open_enum! {
    /// How a bond spreads frames, `BOND_MODE_*`.
    BondMode(u8) {
        /// One slave after the other.
        BalanceRr = 0, "balance-rr";
        /// One slave at a time.
        ActiveBackup = 1, "active-backup";
        /// By a hash of the frame.
        BalanceXor = 2, "balance-xor";
        /// On all slaves.
        Broadcast = 3, "broadcast";
        /// LACP.
        Ieee8023ad = 4, "802.3ad";
        /// Transmit load balancing.
        BalanceTlb = 5, "balance-tlb";
        /// Adaptive load balancing.
        BalanceAlb = 6, "balance-alb";
    }
}

open_enum! {
    /// What a bond chooses a frame's slave by, `BOND_XMIT_POLICY_*`.
    BondXmitHashPolicy(u8) {
        /// Link-layer addresses.
        Layer2 = 0, "layer2";
        /// IP addresses and ports.
        Layer34 = 1, "layer3+4";
        /// Link-layer and IP addresses.
        Layer23 = 2, "layer2+3";
        /// Layer 2+3 of the inner packet.
        Encap23 = 3, "encap2+3";
        /// Layer 3+4 of the inner packet.
        Encap34 = 4, "encap3+4";
        /// VLAN and source address.
        VlanSrcmac = 5, "vlan+srcmac";
    }
}

open_enum! {
    /// Whether a bond's member is in use, `BOND_STATE_*`.
    BondSlaveState(u8) {
        /// In use.
        Active = 0, "ACTIVE";
        /// In reserve.
        Backup = 1, "BACKUP";
    }
}

open_enum! {
    /// What a bond's link check says of a member, `BOND_LINK_*`.
    BondSlaveMiiStatus(u8) {
        /// Link is there.
        Up = 0, "UP";
        /// Link is lost, delay runs.
        Fail = 1, "GOING_DOWN";
        /// Link is lost.
        Down = 2, "DOWN";
        /// Link came back, delay runs.
        Back = 3, "GOING_BACK";
    }
}

open_enum! {
    /// Who may talk to whom on a macvlan parent, `MACVLAN_MODE_*`.
    MacvlanMode(u32) {
        /// Nobody with siblings.
        Private = 1, "private";
        /// With siblings through the outer switch.
        Vepa = 2, "vepa";
        /// With siblings directly.
        Bridge = 4, "bridge";
        /// The only one, takes the parent's address.
        Passthru = 8, "passthru";
        /// By list of source addresses.
        Source = 16, "source";
    }
}

open_enum! {
    /// At which layer ipvlan hands packets over, `IPVLAN_MODE_*`.
    IpvlanMode(u16) {
        /// Link layer.
        L2 = 0, "l2";
        /// Network layer.
        L3 = 1, "l3";
        /// Network layer with netfilter.
        L3s = 2, "l3s";
    }
}

open_enum! {
    /// What a TUN device carries, `IFF_TUN`/`IFF_TAP`.
    TunMode(u8) {
        /// IP packets.
        Tun = 1, "tun";
        /// Ethernet frames.
        Tap = 2, "tap";
    }
}

//! A network interface as the kernel's `RTM_NEWLINK` tells it.

use serde::{Deserialize, Serialize};

use super::link_detail::{LinkDetail, SlaveDetail};
use super::vf::Vf;
use crate::link_address::LinkAddress;
use crate::open_enum::open_enum;

/// A network interface, in the words of `ip -d link`.
///
/// Every field that the kernel did not send is absent. Source: `RTM_NEWLINK`, its attributes
/// `IFLA_*` of `linux/if_link.h`; the attribute is named where the field's name is not its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Link {
    /// The interface's number, unique in its namespace, never 0 for an existing link.
    pub index: u32,
    /// `IFLA_IFNAME`, at most 15 bytes.
    pub name: String,
    /// `IFLA_PROP_LIST`/`IFLA_ALT_IFNAME`, in the kernel's order, each at most 127 bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alt_names: Vec<String>,
    /// Hardware type `ARPHRD_*`: 1 Ethernet, 32 InfiniBand, 772 loopback, 65534 none.
    pub link_type: u16,
    /// `IFF_*` bits of `linux/if.h`: bit 0 up, bit 6 running, bit 16 lower up.
    pub flags: u32,
    /// `IFLA_INFO_KIND`: `vlan`, `bond`, `veth`, …; absent on most hardware.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What this kind adds (`IFLA_INFO_DATA`); absent for kinds that are not modelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<LinkDetail>,
    /// `IFLA_INFO_SLAVE_KIND`: the kind of the master this link is enslaved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slave_kind: Option<String>,
    /// What the master says of this link (`IFLA_INFO_SLAVE_DATA`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slave_detail: Option<SlaveDetail>,
    /// Bytes of payload in a frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Least MTU the driver takes, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_mtu: Option<u32>,
    /// Greatest MTU the driver takes, in bytes; 0 when it names no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_mtu: Option<u32>,
    /// Current link-layer address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<LinkAddress>,
    /// Link-layer broadcast address; on a point-to-point link the peer's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<LinkAddress>,
    /// Address burnt into the hardware (`IFLA_PERM_ADDRESS`), absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permanent_address: Option<LinkAddress>,
    /// RFC 2863 state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oper_state: Option<OperState>,
    /// Whether the wire is there. Meaningless while the link is administratively down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<bool>,
    /// How often the carrier came or went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_changes: Option<u32>,
    /// How often the carrier came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_up_count: Option<u32>,
    /// How often the carrier went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier_down_count: Option<u32>,
    /// Whether the link is held down by the protocol-down switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proto_down: Option<bool>,
    /// Interface below (`IFLA_LINK`): the parent of a VLAN, the peer of a veth. An index of
    /// the namespace that [`lower_netnsid`](Self::lower_netnsid) names, else of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<u32>,
    /// Namespace of the interface below (`IFLA_LINK_NETNSID`), when it is another one; −1 when
    /// it has no number here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower_netnsid: Option<i32>,
    /// Interface above that this link is enslaved to (`IFLA_MASTER`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master: Option<u32>,
    /// Device group, 0 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// Transmit queues that were allocated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_queues: Option<u32>,
    /// Receive queues that were allocated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rx_queues: Option<u32>,
    /// Packets that the transmit queue holds at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_queue_len: Option<u32>,
    /// Name of the root queueing discipline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qdisc: Option<String>,
    /// Which carrier policy applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_mode: Option<LinkMode>,
    /// How many parties asked for promiscuous mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promiscuity: Option<u32>,
    /// How many parties asked for all multicast frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all_multi: Option<u32>,
    /// Bytes of a segmentation-offload packet at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gso_max_size: Option<u32>,
    /// Segments of a segmentation-offload packet at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gso_max_segs: Option<u32>,
    /// Bytes of an IPv4 segmentation-offload packet at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gso_ipv4_max_size: Option<u32>,
    /// Bytes of a merged received packet at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gro_max_size: Option<u32>,
    /// Bytes of a merged received IPv4 packet at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gro_ipv4_max_size: Option<u32>,
    /// Bytes of a TCP-segmentation packet that the hardware takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tso_max_size: Option<u32>,
    /// Segments of a TCP-segmentation packet that the hardware takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tso_max_segs: Option<u32>,
    /// Bus of the device behind the link (`IFLA_PARENT_DEV_BUS_NAME`): `pci`, `virtio`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_bus: Option<String>,
    /// Name of that device on its bus (`IFLA_PARENT_DEV_NAME`): `0000:01:00.0`, `virtio0`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_device: Option<String>,
    /// Identifies the physical port; the same on all functions that share it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phys_port_id: Option<LinkAddress>,
    /// Name of the port on its switch: `p0`, `pf0vf1`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phys_port_name: Option<String>,
    /// Identifies the switch the port belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phys_switch_id: Option<LinkAddress>,
    /// A person's note on the link (`IFLA_IFALIAS`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Programs attached at the XDP hook; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xdp: Option<Xdp>,
    /// How many virtual functions are enabled; absent on links without a device behind them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_vf: Option<u32>,
    /// The virtual functions as their PF knows them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vfs: Vec<Vf>,
    /// The devlink port behind the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devlink_port: Option<DevlinkPortHandle>,
    /// How the link makes its IPv6 link-local address (`IFLA_INET6_ADDR_GEN_MODE`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addr_gen_mode: Option<AddrGenMode>,
    /// Whether the link may not leave its namespace (`IFLA_NETNS_IMMUTABLE`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netns_immutable: Option<bool>,
    /// In a notification: why it was sent (`IFLA_EVENT`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<LinkEvent>,
    /// In a removal: the namespace the link went to, as a number of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_netnsid: Option<i32>,
    /// In a removal: the index the link has in its new namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_index: Option<u32>,
    /// Attributes that were sent and could not be read. The rest of the link is unharmed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undecoded: Vec<Undecoded>,
}

impl Link {
    /// Whether the link is administratively up (`IFF_UP`).
    pub fn is_up(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Whether the link is a loopback (`IFF_LOOPBACK`).
    pub fn is_loopback(&self) -> bool {
        self.flags & (1 << 3) != 0
    }

    /// Whether the wire below is there (`IFF_LOWER_UP`).
    pub fn is_lower_up(&self) -> bool {
        self.flags & (1 << 16) != 0
    }
}

/// An attribute that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Undecoded {
    /// Attribute numbers from the message's own level down to the one that failed.
    pub path: Vec<u16>,
    /// What is wrong with it.
    pub reason: String,
}

/// The devlink port that stands behind a link (`IFLA_DEVLINK_PORT`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct DevlinkPortHandle {
    /// Bus of the devlink device, e.g. `pci`.
    pub bus: String,
    /// Device on that bus, e.g. `0000:01:00.0`.
    pub device: String,
    /// The port's index on the device.
    pub port: u32,
}

/// What is attached at the XDP hook (`IFLA_XDP`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Xdp {
    /// `XDP_ATTACHED_*`: 1 driver, 2 generic, 3 hardware, 4 several.
    pub attached: u8,
    /// Id of the attached program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<u32>,
    /// Id of the program in the driver, when several are attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_program: Option<u32>,
    /// Id of the generic program, when several are attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generic_program: Option<u32>,
    /// Id of the program in the hardware, when several are attached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware_program: Option<u32>,
}

open_enum! {
    /// RFC 2863 operational state, `IF_OPER_*`.
    OperState(u8) {
        /// The driver does not say.
        Unknown = 0, "unknown";
        /// The hardware is not there.
        NotPresent = 1, "notpresent";
        /// Cannot pass data.
        Down = 2, "down";
        /// Down because the link below is.
        LowerLayerDown = 3, "lowerlayerdown";
        /// Under test.
        Testing = 4, "testing";
        /// Waits for an external event, e.g. 802.1X.
        Dormant = 5, "dormant";
        /// Can pass data.
        Up = 6, "up";
    }
}

open_enum! {
    /// Carrier policy, `IF_LINK_MODE_*`.
    LinkMode(u8) {
        /// Carrier alone makes the link ready.
        Default = 0, "default";
        /// Carrier makes the link dormant until somebody wakes it.
        Dormant = 1, "dormant";
        /// Under test.
        Testing = 2, "testing";
    }
}

open_enum! {
    /// How IPv6 link-local addresses are made, `IN6_ADDR_GEN_MODE_*`.
    AddrGenMode(u8) {
        /// From the link-layer address.
        Eui64 = 0, "eui64";
        /// Not at all.
        None = 1, "none";
        /// RFC 7217 from a secret of the machine.
        StablePrivacy = 2, "stable_secret";
        /// RFC 7217 from a random secret.
        Random = 3, "random";
    }
}

open_enum! {
    /// Why a link notification was sent, `IFLA_EVENT_*`.
    LinkEvent(u32) {
        /// No particular reason.
        None = 0, "none";
        /// The device was restarted after an internal failure.
        Reboot = 1, "reboot";
        /// Features were changed.
        FeaturesChanged = 2, "featuresChanged";
        /// A bond changed its active slave.
        BondingFailover = 3, "bondingFailover";
        /// Peers were told of the address.
        NotifyPeers = 4, "notifyPeers";
        /// Multicast membership was sent again.
        ResendIgmp = 5, "resendIgmp";
        /// A bond's options were changed.
        BondingOptions = 6, "bondingOptions";
    }
}

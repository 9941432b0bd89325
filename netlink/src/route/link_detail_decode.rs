//! `IFLA_LINKINFO` → kind, [`LinkDetail`], [`SlaveDetail`].

use netlink_packet_core::{NlaBuffer, Parseable};
use netlink_packet_route::link::{
    BondAdInfo as PacketAdInfo, InfoBond, InfoBondPort, InfoBridge, InfoBridgePort, InfoIpVlan, InfoMacVlan,
    InfoVrf, InfoVxlan,
};

use super::link::{Link, Undecoded};
use super::link_decode::note;
use super::link_detail::{
    Bond, BondAdInfo, BondMode, BondSlave, BondSlaveMiiStatus, BondSlaveState, BondXmitHashPolicy, Bridge,
    BridgePort, Ipvlan, IpvlanMode, LinkDetail, Macvlan, MacvlanMode, SlaveDetail, Tun, TunMode, Vlan, Vrf,
    Vxlan,
};
use crate::attribute::{Attribute, Malformed};
use crate::link_address::LinkAddress;

const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;

pub(super) fn link_info(link: &mut Link, info: &Attribute<'_>) {
    let mut data = None;
    let mut slave_data = None;
    for attribute in info.nested() {
        match attribute {
            Ok(attribute) => match attribute.number {
                IFLA_INFO_KIND => link.kind = Some(attribute.string()),
                IFLA_INFO_DATA => data = Some(attribute),
                IFLA_INFO_SLAVE_KIND => link.slave_kind = Some(attribute.string()),
                IFLA_INFO_SLAVE_DATA => slave_data = Some(attribute),
                _ => {}
            },
            Err(reason) => note(&mut link.undecoded, &[info.number], reason),
        }
    }
    if let (Some(kind), Some(data)) = (&link.kind, data) {
        link.detail = detail(kind, &Data { info: info.number, data }, &mut link.undecoded);
    }
    if let (Some(kind), Some(data)) = (&link.slave_kind, slave_data) {
        link.slave_detail = slave_detail(kind, &Data { info: info.number, data }, &mut link.undecoded);
    }
}

/// The data of one kind, and the way to it.
struct Data<'a> {
    info: u16,
    data: Attribute<'a>,
}

impl<'a> Data<'a> {
    /// Each attribute as the packet crate's type `P`; what fails is noted.
    fn packets<P: Parseable<NlaBuffer<&'a [u8]>>>(
        &self,
        undecoded: &mut Vec<Undecoded>,
        mut each: impl FnMut(P),
    ) {
        self.attributes(undecoded, |attribute| attribute.packet().map(&mut each));
    }

    fn attributes(
        &self,
        undecoded: &mut Vec<Undecoded>,
        mut each: impl FnMut(&Attribute<'a>) -> Result<(), Malformed>,
    ) {
        for attribute in self.data.nested() {
            let number = attribute.as_ref().map_or(0, |attribute| attribute.number);
            if let Err(reason) = attribute.and_then(|attribute| each(&attribute)) {
                note(undecoded, &[self.info, self.data.number, number], reason);
            }
        }
    }
}

fn detail(kind: &str, data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> Option<LinkDetail> {
    Some(match kind {
        "vlan" => LinkDetail::Vlan(vlan(data, undecoded)),
        "bond" => LinkDetail::Bond(Box::new(bond(data, undecoded))),
        "bridge" => LinkDetail::Bridge(bridge(data, undecoded)),
        "macvlan" => LinkDetail::Macvlan(macvlan(data, undecoded)),
        "macvtap" => LinkDetail::Macvtap(macvlan(data, undecoded)),
        "ipvlan" => LinkDetail::Ipvlan(ipvlan(data, undecoded)),
        "ipvtap" => LinkDetail::Ipvtap(ipvlan(data, undecoded)),
        "vxlan" => LinkDetail::Vxlan(Box::new(vxlan(data, undecoded))),
        "vrf" => LinkDetail::Vrf(vrf(data, undecoded)),
        "tun" => LinkDetail::Tun(tun(data, undecoded)),
        _ => return None,
    })
}

fn slave_detail(kind: &str, data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> Option<SlaveDetail> {
    Some(match kind {
        "bond" => SlaveDetail::Bond(bond_slave(data, undecoded)),
        "bridge" => SlaveDetail::Bridge(bridge_port(data, undecoded)),
        "vrf" => SlaveDetail::Vrf(vrf(data, undecoded)),
        _ => return None,
    })
}

/// Read here: the packet crate calls every unknown protocol 802.1Q.
fn vlan(data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> Vlan {
    let mut vlan = Vlan::default();
    data.attributes(undecoded, |attribute| {
        match attribute.number {
            1 => vlan.id = attribute.u16()?,
            2 => vlan.flags = Some(attribute.u32()?),
            5 => vlan.protocol = Some(u16::from_be(attribute.u16()?)),
            _ => {}
        }
        Ok(())
    });
    vlan
}

fn bond(data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> Bond {
    let mut bond = Bond::default();
    let index = |index: u32| (index != 0).then_some(index);
    data.packets(undecoded, |packet| match packet {
        InfoBond::Mode(mode) => bond.mode = Some(BondMode::from_number(mode.into())),
        InfoBond::ActivePort(slave) => bond.active_slave = index(slave),
        InfoBond::Primary(slave) => bond.primary = index(slave),
        InfoBond::MiiMon(value) => bond.miimon = Some(value),
        InfoBond::UpDelay(value) => bond.up_delay = Some(value),
        InfoBond::DownDelay(value) => bond.down_delay = Some(value),
        InfoBond::PeerNotifDelay(value) => bond.peer_notify_delay = Some(value),
        InfoBond::UseCarrier(value) => bond.use_carrier = Some(value),
        InfoBond::ArpInterval(value) => bond.arp_interval = Some(value),
        InfoBond::ArpIpTarget(targets) => {
            bond.arp_ip_targets.extend(targets.into_iter().map(std::net::IpAddr::from));
        }
        InfoBond::NsIp6Target(targets) => {
            bond.arp_ip_targets.extend(targets.into_iter().map(std::net::IpAddr::from));
        }
        InfoBond::MissedMax(value) => bond.arp_missed_max = Some(value),
        InfoBond::ArpValidate(value) => bond.arp_validate = Some(value.into()),
        InfoBond::ArpAllTargets(value) => bond.arp_all_targets = Some(value.into()),
        InfoBond::PrimaryReselect(value) => bond.primary_reselect = Some(value.into()),
        InfoBond::FailOverMac(value) => bond.fail_over_mac = Some(value.into()),
        InfoBond::XmitHashPolicy(value) => {
            bond.xmit_hash_policy = Some(BondXmitHashPolicy::from_number(value.into()));
        }
        InfoBond::ResendIgmp(value) => bond.resend_igmp = Some(value),
        InfoBond::NumPeerNotif(value) => bond.num_peer_notif = Some(value),
        InfoBond::AllPortsActive(value) => bond.all_slaves_active = Some(u8::from(value) != 0),
        InfoBond::MinLinks(value) => bond.min_links = Some(value),
        InfoBond::LpInterval(value) => bond.lp_interval = Some(value),
        InfoBond::PacketsPerPort(value) => bond.packets_per_slave = Some(value),
        InfoBond::AdLacpActive(value) => bond.ad_lacp_active = Some(value),
        InfoBond::AdLacpRate(value) => bond.ad_lacp_rate = Some(value.into()),
        InfoBond::AdSelect(value) => bond.ad_select = Some(value.into()),
        InfoBond::AdActorSysPrio(value) => bond.ad_actor_sys_prio = Some(value),
        InfoBond::AdUserPortKey(value) => bond.ad_user_port_key = Some(value),
        InfoBond::AdActorSystem(mac) => bond.ad_actor_system = Some(LinkAddress::new(mac)),
        InfoBond::AdInfo(infos) => bond.ad_info = Some(ad_info(infos)),
        InfoBond::TlbDynamicLb(value) => bond.tlb_dynamic_lb = Some(value),
        _ => {}
    });
    bond
}

fn ad_info(infos: Vec<PacketAdInfo>) -> BondAdInfo {
    let mut ad = BondAdInfo::default();
    for info in infos {
        match info {
            PacketAdInfo::Aggregator(value) => ad.aggregator = Some(value),
            PacketAdInfo::NumPorts(value) => ad.num_ports = Some(value),
            PacketAdInfo::ActorKey(value) => ad.actor_key = Some(value),
            PacketAdInfo::PartnerKey(value) => ad.partner_key = Some(value),
            PacketAdInfo::PartnerMac(mac) => ad.partner_mac = Some(LinkAddress::new(mac)),
            _ => {}
        }
    }
    ad
}

fn bond_slave(data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> BondSlave {
    let mut slave = BondSlave::default();
    // The packet crate keeps one of the partner state's two bytes.
    const IFLA_BOND_SLAVE_AD_PARTNER_OPER_PORT_STATE: u16 = 8;
    data.attributes(undecoded, |attribute| {
        if attribute.number == IFLA_BOND_SLAVE_AD_PARTNER_OPER_PORT_STATE {
            slave.ad_partner_oper_port_state = Some(attribute.u16()?);
            return Ok(());
        }
        match attribute.packet()? {
            InfoBondPort::BondPortState(state) => {
                slave.state = Some(BondSlaveState::from_number(state.into()));
            }
            InfoBondPort::MiiStatus(status) => {
                slave.mii_status = Some(BondSlaveMiiStatus::from_number(status.into()));
            }
            InfoBondPort::LinkFailureCount(value) => slave.link_failure_count = Some(value),
            InfoBondPort::PermHwaddr(bytes) => slave.permanent_address = Some(LinkAddress::new(bytes)),
            InfoBondPort::QueueId(value) => slave.queue_id = Some(value),
            InfoBondPort::Prio(value) => slave.priority = Some(value),
            InfoBondPort::AdAggregatorId(value) => slave.ad_aggregator = Some(value),
            InfoBondPort::AdActorOperPortState(state) => slave.ad_actor_oper_port_state = Some(state.bits()),
            _ => {}
        }
        Ok(())
    });
    slave
}

fn bridge(data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> Bridge {
    let mut bridge = Bridge::default();
    // Read here for the reason given at `vlan`.
    const IFLA_BR_VLAN_PROTOCOL: u16 = 8;
    data.attributes(undecoded, |attribute| {
        if attribute.number == IFLA_BR_VLAN_PROTOCOL {
            bridge.vlan_protocol = Some(u16::from_be(attribute.u16()?));
            return Ok(());
        }
        match attribute.packet()? {
            InfoBridge::StpState(state) => bridge.stp_state = Some(state.into()),
            InfoBridge::Priority(value) => bridge.priority = Some(value),
            InfoBridge::VlanFiltering(value) => bridge.vlan_filtering = Some(value),
            InfoBridge::VlanDefaultPvid(value) => bridge.default_pvid = Some(value),
            InfoBridge::ForwardDelay(value) => bridge.forward_delay = Some(value),
            InfoBridge::AgeingTime(value) => bridge.ageing_time = Some(value),
            InfoBridge::MulticastSnooping(value) => bridge.mcast_snooping = Some(value),
            _ => {}
        }
        Ok(())
    });
    bridge
}

fn bridge_port(data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> BridgePort {
    let mut port = BridgePort::default();
    data.packets(undecoded, |packet| match packet {
        InfoBridgePort::State(state) => port.state = Some(state.into()),
        InfoBridgePort::Priority(value) => port.priority = Some(value),
        InfoBridgePort::Cost(value) => port.cost = Some(value),
        InfoBridgePort::HairpinMode(value) => port.hairpin = Some(value),
        InfoBridgePort::Learning(value) => port.learning = Some(value),
        InfoBridgePort::UnicastFlood(value) => port.unicast_flood = Some(value),
        InfoBridgePort::Isolated(value) => port.isolated = Some(value),
        _ => {}
    });
    port
}

/// Macvtap's attributes are macvlan's.
fn macvlan(data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> Macvlan {
    let mut macvlan = Macvlan::default();
    data.packets(undecoded, |packet| match packet {
        InfoMacVlan::Mode(mode) => macvlan.mode = Some(MacvlanMode::from_number(mode.into())),
        InfoMacVlan::Flags(flags) => macvlan.flags = Some(flags.bits()),
        InfoMacVlan::MacAddrData(entries) => {
            macvlan.source_addresses = entries
                .into_iter()
                .filter_map(|entry| match entry {
                    InfoMacVlan::MacAddr(mac) => Some(LinkAddress::new(mac)),
                    _ => None,
                })
                .collect();
        }
        InfoMacVlan::BcQueueLen(value) => macvlan.broadcast_queue_len = Some(value),
        InfoMacVlan::BcQueueLenUsed(value) => macvlan.broadcast_queue_len_used = Some(value),
        InfoMacVlan::BcCutoff(value) => macvlan.broadcast_cutoff = Some(value),
        _ => {}
    });
    macvlan
}

/// Ipvtap's attributes are ipvlan's.
fn ipvlan(data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> Ipvlan {
    let mut ipvlan = Ipvlan::default();
    data.packets(undecoded, |packet| match packet {
        InfoIpVlan::Mode(mode) => ipvlan.mode = Some(IpvlanMode::from_number(mode.into())),
        InfoIpVlan::Flags(flags) => ipvlan.flags = Some(flags.bits()),
        _ => {}
    });
    ipvlan
}

fn vxlan(data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> Vxlan {
    let mut vxlan = Vxlan::default();
    data.packets(undecoded, |packet| match packet {
        InfoVxlan::Id(value) => vxlan.id = value,
        InfoVxlan::Group(ip) => vxlan.group = Some(ip.into()),
        InfoVxlan::Group6(ip) => vxlan.group = Some(ip.into()),
        InfoVxlan::Local(ip) => vxlan.local = Some(ip.into()),
        InfoVxlan::Local6(ip) => vxlan.local = Some(ip.into()),
        InfoVxlan::Link(index) => vxlan.underlay = (index != 0).then_some(index),
        InfoVxlan::Port(value) => vxlan.port = Some(value),
        InfoVxlan::PortRange((low, high)) => {
            vxlan.source_port_min = Some(low);
            vxlan.source_port_max = Some(high);
        }
        InfoVxlan::Learning(value) => vxlan.learning = Some(value),
        InfoVxlan::Ageing(value) => vxlan.ageing = Some(value),
        InfoVxlan::Limit(value) => vxlan.limit = Some(value),
        InfoVxlan::Ttl(value) => vxlan.ttl = Some(value),
        InfoVxlan::TtlInherit(value) => vxlan.ttl_inherit = Some(value != 0),
        InfoVxlan::TtlInheritFlag => vxlan.ttl_inherit = Some(true),
        InfoVxlan::Tos(value) => vxlan.tos = Some(value),
        InfoVxlan::Df(value) => vxlan.dont_fragment = Some(value.into()),
        InfoVxlan::Label(value) => vxlan.flow_label = Some(value),
        InfoVxlan::Proxy(value) => vxlan.proxy = Some(value),
        InfoVxlan::Rsc(value) => vxlan.route_short_circuit = Some(value),
        InfoVxlan::L2Miss(value) => vxlan.l2_miss = Some(value),
        InfoVxlan::L3Miss(value) => vxlan.l3_miss = Some(value),
        InfoVxlan::CollectMetadata(value) => vxlan.collect_metadata = Some(value),
        InfoVxlan::Vnifilter(value) => vxlan.vni_filter = Some(value),
        InfoVxlan::Localbypass(value) => vxlan.local_bypass = Some(value),
        InfoVxlan::UDPCsum(value) => vxlan.udp_csum = Some(value),
        InfoVxlan::UDPZeroCsumTX(value) => vxlan.udp_zero_csum6_tx = Some(value),
        InfoVxlan::UDPZeroCsumRX(value) => vxlan.udp_zero_csum6_rx = Some(value),
        InfoVxlan::RemCsumTX(value) => vxlan.rem_csum_tx = Some(value),
        InfoVxlan::RemCsumRX(value) => vxlan.rem_csum_rx = Some(value),
        InfoVxlan::Gbp => vxlan.gbp = Some(true),
        InfoVxlan::Gpe => vxlan.gpe = Some(true),
        _ => {}
    });
    vxlan
}

/// A VRF and its members carry the table under the same number.
fn vrf(data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> Vrf {
    let mut vrf = Vrf::default();
    data.packets(undecoded, |packet| {
        if let InfoVrf::TableId(table) = packet {
            vrf.table = table;
        }
    });
    vrf
}

/// `IFLA_TUN_*`, which the packet crate does not read.
fn tun(data: &Data<'_>, undecoded: &mut Vec<Undecoded>) -> Tun {
    let mut tun = Tun::default();
    data.attributes(undecoded, |attribute| {
        match attribute.number {
            1 => tun.owner = Some(attribute.u32()?),
            2 => tun.group = Some(attribute.u32()?),
            3 => tun.mode = Some(TunMode::from_number(attribute.u8()?)),
            4 => tun.packet_info = Some(attribute.flag()?),
            5 => tun.vnet_header = Some(attribute.flag()?),
            6 => tun.persist = Some(attribute.flag()?),
            7 => tun.multi_queue = Some(attribute.flag()?),
            8 => tun.queues = Some(attribute.u32()?),
            9 => tun.disabled_queues = Some(attribute.u32()?),
            _ => {}
        }
        Ok(())
    });
    tun
}

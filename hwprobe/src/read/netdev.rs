//! The netdev of a NIC: link message and ethtool answers → model.

use netlink::LinkAddress;
use netlink::ethtool::{Answers, mode};
use netlink::route::{self, Address, Link, LinkDetail};

use crate::model::{
    Coalesce, Driver, Duplex, Failure, Fec, HwAddr, IpInterface, LinkFacts, Nic, Offload, OperState, Pause,
    PtpClock, QueueCounts, RingSizes, SpeedMbps, StackingDetail, Xdp,
};

/// A link-layer address of the kernel's; none for empty ones.
pub(crate) fn address(address: &LinkAddress) -> Option<HwAddr> {
    HwAddr::new(address.as_bytes()).ok()
}

/// Writes what a link message says into the NIC.
pub(crate) fn apply_link(nic: &mut Nic, link: &Link, name_of: &dyn Fn(u32) -> Option<String>) {
    nic.name = Some(link.name.clone());
    nic.alt_names = link.alt_names.clone();
    nic.generation.ifindex = Some(link.index);
    nic.mac = link.address.as_ref().and_then(address);
    nic.permanent_mac = link.permanent_address.as_ref().and_then(address);
    let mut facts = LinkFacts::new(link.mtu.unwrap_or_default(), link.link_type);
    facts.admin_up = link.is_up();
    facts.oper_state = link.oper_state.map_or(OperState::Unknown, oper_state);
    // While a link is down its carrier means nothing.
    facts.carrier = link.carrier.filter(|_| link.is_up());
    facts.carrier_changes = link.carrier_changes;
    facts.min_mtu = link.min_mtu.filter(|mtu| *mtu > 0);
    facts.max_mtu = link.max_mtu.filter(|mtu| *mtu > 0);
    facts.flags = flag_names(link.flags);
    facts.group = link.group.unwrap_or_default();
    facts.tx_queue_length = link.tx_queue_len;
    facts.qdisc = link.qdisc.clone();
    facts.promiscuity = link.promiscuity;
    facts.alias = link.alias.clone();
    facts.phys_port_id = link.phys_port_id.as_ref().map(plain_hex);
    facts.phys_port_name = link.phys_port_name.clone();
    facts.phys_switch_id = link.phys_switch_id.as_ref().map(plain_hex);
    facts.xdp = link.xdp.as_ref().map(xdp);
    nic.link = Some(facts);
    nic.resources.tx_queues = link.tx_queues;
    nic.resources.rx_queues = link.rx_queues;
    nic.stacking.link_kind = link.kind.clone();
    nic.stacking.master_kind = link.slave_kind.clone();
    nic.stacking.master = link.master.and_then(name_of);
    let pair = matches!(link.kind.as_deref(), Some("veth" | "netkit")) && link.lower_netnsid.is_none();
    nic.stacking.peer = link.lower.filter(|_| pair).and_then(name_of);
    nic.stacking.detail = link.detail.as_ref().and_then(|detail| stacking_detail(detail, name_of));
    for undecoded in &link.undecoded {
        let source = format!("RTM_NEWLINK attribute {:?}", undecoded.path);
        nic.failures.push(Failure { source, error: undecoded.reason.clone() });
    }
}

fn plain_hex(bytes: &LinkAddress) -> String {
    bytes.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn oper_state(state: route::OperState) -> OperState {
    match state {
        route::OperState::NotPresent => OperState::NotPresent,
        route::OperState::Down => OperState::Down,
        route::OperState::LowerLayerDown => OperState::LowerLayerDown,
        route::OperState::Testing => OperState::Testing,
        route::OperState::Dormant => OperState::Dormant,
        route::OperState::Up => OperState::Up,
        _ => OperState::Unknown,
    }
}

/// Flags as `ip link` prints them (`include/uapi/linux/if.h`).
fn flag_names(flags: u32) -> Vec<String> {
    const NAMES: [(u32, &str); 18] = [
        (3, "LOOPBACK"),
        (1, "BROADCAST"),
        (4, "POINTOPOINT"),
        (12, "MULTICAST"),
        (7, "NOARP"),
        (9, "ALLMULTI"),
        (8, "PROMISC"),
        (10, "MASTER"),
        (11, "SLAVE"),
        (2, "DEBUG"),
        (15, "DYNAMIC"),
        (14, "AUTOMEDIA"),
        (13, "PORTSEL"),
        (5, "NOTRAILERS"),
        (0, "UP"),
        (16, "LOWER_UP"),
        (17, "DORMANT"),
        (18, "ECHO"),
    ];
    let set = |bit: u32| flags & (1 << bit) != 0;
    let mut names: Vec<String> = Vec::new();
    // `ip` prints this one in place of a flag: up, but no carrier below.
    if set(0) && !set(6) && !set(17) {
        names.push("NO-CARRIER".to_owned());
    }
    names.extend(NAMES.iter().filter(|(bit, _)| set(*bit)).map(|(_, name)| (*name).to_owned()));
    names
}

fn xdp(xdp: &route::Xdp) -> Xdp {
    let mut found = Xdp::default();
    found.mode = match xdp.attached {
        1 => "driver",
        2 => "generic",
        3 => "hardware",
        4 => "multiple",
        _ => "unknown",
    }
    .to_owned();
    found.program_id = xdp.program.or(xdp.driver_program).or(xdp.generic_program).or(xdp.hardware_program);
    found
}

fn stacking_detail(detail: &LinkDetail, name_of: &dyn Fn(u32) -> Option<String>) -> Option<StackingDetail> {
    let name = |name: Option<&'static str>| name.unwrap_or("unknown").to_owned();
    Some(match detail {
        LinkDetail::Vlan(vlan) => {
            StackingDetail::Vlan { id: vlan.id, protocol: vlan_protocol(vlan.protocol.unwrap_or(0x8100)) }
        }
        LinkDetail::Bond(bond) => StackingDetail::Bond {
            mode: name(bond.mode.and_then(|mode| mode.name())),
            active_slave: bond.active_slave.and_then(name_of),
        },
        LinkDetail::Macvlan(macvlan) | LinkDetail::Macvtap(macvlan) => {
            StackingDetail::Macvlan { mode: name(macvlan.mode.and_then(|mode| mode.name())) }
        }
        LinkDetail::Ipvlan(ipvlan) | LinkDetail::Ipvtap(ipvlan) => StackingDetail::Ipvlan {
            mode: name(ipvlan.mode.and_then(|mode| mode.name())),
            // IPVLAN_F_PRIVATE and IPVLAN_F_VEPA of linux/if_link.h.
            isolation: match ipvlan.flags.unwrap_or_default() {
                flags if flags & 1 != 0 => "private",
                flags if flags & 2 != 0 => "vepa",
                _ => "bridge",
            }
            .to_owned(),
        },
        LinkDetail::Vxlan(vxlan) => StackingDetail::Vxlan { vni: vxlan.id },
        LinkDetail::Vrf(vrf) => StackingDetail::Vrf { table: vrf.table },
        _ => return None,
    })
}

/// `802.1Q`, `802.1ad`, or the ethertype of another tag.
pub(crate) fn vlan_protocol(ethertype: u16) -> String {
    match ethertype {
        0x8100 => "802.1Q".to_owned(),
        0x88a8 => "802.1ad".to_owned(),
        other => format!("0x{other:04x}"),
    }
}

/// Writes what ethtool says into the NIC.
pub(crate) fn apply_ethtool(nic: &mut Nic, answers: &Answers) {
    if let Some(info) = &answers.driver {
        let mut driver = nic.driver.take().unwrap_or_default();
        // The bound driver's name is sysfs'; the driver's own word may be older.
        if driver.name.is_empty() {
            driver.name = info.driver.clone();
        }
        let told = |text: &Option<String>| text.clone().filter(|text| text != "N/A");
        driver.version = told(&info.version);
        driver.firmware = told(&info.firmware_version).or(driver.firmware);
        driver.expansion_rom = told(&info.expansion_rom_version);
        driver.bus_info = told(&info.bus_info);
        nic.driver = Some(driver).filter(|driver| *driver != Driver::default());
    }
    if let Some(link) = &mut nic.link {
        if let Some(modes) = &answers.link_modes {
            link.speed_mbps = modes.speed.and_then(SpeedMbps::new);
            link.duplex = match modes.duplex {
                Some(netlink::ethtool::Duplex::Half) => Some(Duplex::Half),
                Some(netlink::ethtool::Duplex::Full) => Some(Duplex::Full),
                _ => None,
            };
            link.lanes = modes.lanes.filter(|lanes| *lanes > 0);
            link.autonegotiation = modes.autoneg;
            link.supported_modes = mode_names(&modes.supported);
            link.supported_speed_mbps = fastest(&modes.supported);
            link.advertised_modes = mode_names(&modes.advertised);
            link.peer_modes = mode_names(&modes.peer);
        }
        link.port =
            answers.link_info.as_ref().and_then(|info| info.port).map(|port| {
                port.name().map_or_else(|| format!("port type {}", port.number()), str::to_owned)
            });
        link.down_reason = answers.link_state.as_ref().filter(|_| link.admin_up).and_then(|state| {
            state.ext_state_name().map(str::to_owned).or_else(|| Some(format!("state {}", state.ext_state?)))
        });
        link.fec = answers.fec.as_ref().map(|fec| {
            let mut found = Fec::default();
            found.active = fec.active.map(fec_name);
            found.configured = fec.configured.iter().copied().map(fec_name).collect();
            found.auto = fec.auto.unwrap_or_default();
            found
        });
        link.pause = answers.pause.as_ref().map(|pause| {
            let mut found = Pause::default();
            found.autonegotiate = pause.autoneg.unwrap_or_default();
            found.receive = pause.rx.unwrap_or_default();
            found.transmit = pause.tx.unwrap_or_default();
            found
        });
    }
    apply_resources(nic, answers);
    for error in &answers.errors {
        let source = format!("ethtool {}", error.command);
        let error = error.kernel.as_ref().map_or_else(|| error.reason.clone(), ToString::to_string);
        nic.failures.push(Failure { source, error });
    }
}

fn apply_resources(nic: &mut Nic, answers: &Answers) {
    nic.resources.channels = answers.channels.as_ref().map(|channels| {
        let mut found = QueueCounts::default();
        (found.rx, found.tx) = (channels.rx, channels.tx);
        (found.combined, found.other) = (channels.combined, channels.other);
        (found.rx_max, found.tx_max) = (channels.rx_max, channels.tx_max);
        (found.combined_max, found.other_max) = (channels.combined_max, channels.other_max);
        found
    });
    nic.resources.rings = answers.rings.as_ref().map(|rings| {
        let mut found = RingSizes::default();
        (found.rx, found.tx, found.rx_max, found.tx_max) = (rings.rx, rings.tx, rings.rx_max, rings.tx_max);
        found
    });
    nic.resources.coalesce = answers.coalesce.as_ref().map(|coalesce| {
        let mut found = Coalesce::default();
        (found.rx_usecs, found.tx_usecs) = (coalesce.rx_usecs, coalesce.tx_usecs);
        (found.adaptive_rx, found.adaptive_tx) = (coalesce.adaptive_rx, coalesce.adaptive_tx);
        found
    });
    nic.resources.ptp_clock = answers.timestamps.as_ref().and_then(|info| info.phc_index).map(PtpClock::new);
    if let Some(features) = &answers.features {
        // A feature counts as there when it is on or could be switched on.
        let mut names: Vec<&String> = features.active.iter().chain(&features.hardware).collect();
        names.sort_unstable();
        names.dedup();
        let offload = |name: &String| {
            let fixed = !features.hardware.contains(name) || features.no_change.contains(name);
            Offload::new(name.clone(), features.active.contains(name), fixed)
        };
        nic.resources.offloads = names.into_iter().map(offload).collect();
    }
}

/// Names of link modes (those with a speed), slowest first, so that the fastest is last.
fn mode_names(bits: &[u32]) -> Vec<String> {
    let mut modes: Vec<_> =
        bits.iter().filter_map(|bit| mode(*bit)).filter(|mode| mode.speed.is_some()).collect();
    modes.sort_by_key(|mode| (mode.speed, mode.bit));
    modes.into_iter().map(|mode| mode.name.to_owned()).collect()
}

/// The fastest of some link modes.
fn fastest(bits: &[u32]) -> Option<SpeedMbps> {
    bits.iter().filter_map(|bit| mode(*bit)?.speed).max().and_then(SpeedMbps::new)
}

/// FEC encodings are link mode bits; ethtool prints them without the `FEC_`.
fn fec_name(bit: u32) -> String {
    match bit {
        49 => "Off".to_owned(),
        50 => "RS".to_owned(),
        51 => "BaseR".to_owned(),
        74 => "LLRS".to_owned(),
        other => format!("mode {other}"),
    }
}

/// An address for the model.
pub(crate) fn ip_interface(address: &Address) -> IpInterface {
    const PERMANENT: u32 = 0x80;
    let scope = match address.scope {
        0 => "global".to_owned(),
        200 => "site".to_owned(),
        253 => "link".to_owned(),
        254 => "host".to_owned(),
        255 => "nowhere".to_owned(),
        other => other.to_string(),
    };
    let mut found = IpInterface::new(address.address, address.prefix_len, &scope);
    found.peer = address.peer;
    found.dynamic = address.flags & PERMANENT == 0;
    found
}

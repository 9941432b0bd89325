//! A [`Link`] in the words of `ip -d -j link` (iproute2 6.1). Every field of ours is taken out
//! of its JSON form as it is said, so that one that is left over is noticed.

use std::collections::BTreeMap;

use netlink::route::Link;
use serde_json::{Value, json};

use super::compare::{Allowed, Object, differences, object, put, rename};

/// What `ip` 6.1 does not print.
const OURS_ALONE: Allowed<'_> = &[
    ("left.carrier", "not printed; `LOWER_UP` is"),
    ("left.carrierChanges", "printed with -s only"),
    ("left.carrierUpCount", "printed with -s only"),
    ("left.carrierDownCount", "printed with -s only"),
    ("left.gsoIpv4MaxSize", "newer than iproute2 6.1"),
    ("left.groIpv4MaxSize", "newer than iproute2 6.1"),
    ("left.netnsImmutable", "newer than iproute2 6.1"),
    ("left.numVf", "not printed; the list of VFs is"),
    ("left.devlinkPort", "newer than iproute2 6.1; compared with `devlink port`"),
    ("left.detail.limit", "printed when not 0"),
    ("left.detail.localBypass", "newer than iproute2 6.1"),
    ("left.detail.dropReason", "newer than iproute2 6.1"),
    ("left.detail.defaultPvid", "printed when VLANs are filtered"),
    ("left.detail.vlanProtocol", "printed when VLANs are filtered"),
];

/// What we do not model: nothing of this product decides by it.
const THEIRS_ALONE: Allowed<'_> = &[
    ("linkinfo.info_slave_data.ad_actor_oper_port_state_str", "the same number in words"),
    ("linkinfo.info_slave_data.ad_partner_oper_port_state_str", "the same number in words"),
];

/// Attributes of bridges and their ports that are left to `ip`: the type says that it keeps
/// only what placement needs.
#[rustfmt::skip]
const BRIDGE: &[&str] = &[
    "hello_time", "max_age", "bridge_id", "root_id", "root_port", "root_path_cost", "topology_change",
    "topology_change_detected", "hello_timer", "tcn_timer", "topology_change_timer", "gc_timer",
    "group_fwd_mask", "group_addr", "no_linklocal_learn", "mcast_vlan_snooping", "mcast_router",
    "mcast_query_use_ifaddr", "mcast_querier", "mcast_hash_elasticity", "mcast_hash_max",
    "mcast_last_member_cnt", "mcast_startup_query_cnt", "mcast_last_member_intvl",
    "mcast_membership_intvl", "mcast_querier_intvl", "mcast_query_intvl",
    "mcast_query_response_intvl", "mcast_startup_query_intvl", "mcast_stats_enabled",
    "mcast_igmp_version", "mcast_mld_version", "nf_call_iptables", "nf_call_ip6tables",
    "nf_call_arptables", "vlan_stats_enabled", "vlan_stats_per_port",
];
#[rustfmt::skip]
const BRIDGE_PORT: &[&str] = &[
    "guard", "root_block", "fastleave", "id", "no", "designated_port", "designated_cost", "bridge_id",
    "root_id", "hold_timer", "message_age_timer", "forward_delay_timer", "topology_change_ack",
    "config_pending", "proxy_arp", "proxy_arp_wifi", "multicast_router", "mcast_flood", "bcast_flood",
    "mcast_to_unicast", "neigh_suppress", "group_fwd_mask", "group_fwd_mask_str", "vlan_tunnel", "locked",
];

/// Compares all links with what `ip` says of them; panics with every difference.
pub fn assert_same_as_ip(links: &[Link], witness: &[Value]) {
    let names: BTreeMap<u64, String> =
        links.iter().map(|link| (u64::from(link.index), link.name.clone())).collect();
    let mut found = Vec::new();
    assert_eq!(
        links.iter().map(|link| u64::from(link.index)).collect::<Vec<_>>(),
        witness.iter().map(|link| link["ifindex"].as_u64().unwrap()).collect::<Vec<_>>(),
        "the same links in the same order"
    );
    for (link, witness) in links.iter().zip(witness) {
        let differences = differences(&said(link, &names), &heard(witness), OURS_ALONE, THEIRS_ALONE);
        found.extend(differences.into_iter().map(|difference| format!("{}: {difference}", link.name)));
    }
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}

/// The witness without what we declare not to model.
fn heard(witness: &Value) -> Value {
    let mut witness = witness.clone();
    if let Some(flags) = witness["flags"].as_array_mut() {
        // `ip` works this one out from the link below.
        flags.retain(|flag| flag != "M-DOWN");
        flags.sort_by_key(ToString::to_string);
    }
    if witness["vfinfo_list"].as_array().is_some_and(Vec::is_empty) {
        // No VFs and no list are one thing to us.
        witness.as_object_mut().unwrap().remove("vfinfo_list");
    }
    let kind = |key: &str| witness["linkinfo"][key].as_str().unwrap_or_default().to_owned();
    let (kind, slave_kind) = (kind("info_kind"), kind("info_slave_kind"));
    let mut drop = |part: &str, fields: &[&str]| {
        for field in fields {
            witness["linkinfo"][part].as_object_mut().unwrap().remove(*field);
        }
    };
    if kind == "bridge" {
        drop("info_data", BRIDGE);
    }
    if slave_kind == "bridge" {
        drop("info_slave_data", BRIDGE_PORT);
    }
    witness
}

/// [`rename`] for switches that the witness prints only when they are on.
fn when_on(from: &mut Object, to: &mut Object, pairs: &[(&str, &str)]) {
    for (ours, theirs) in pairs {
        let value = from.remove(*ours).unwrap_or_default();
        if value != json!(false) && value != json!(0) {
            put(to, theirs, value);
        }
    }
}

/// The same, for numbers that the witness gives names to.
fn named(from: &mut Object, to: &mut Object, ours: &str, theirs: &str, names: &[&str]) {
    if let Some(number) = from.remove(ours) {
        let number = usize::try_from(number.as_u64().unwrap()).unwrap();
        to.insert(theirs.to_owned(), json!(names[number]));
    }
}

/// The same, for booleans that the witness prints as 0 and 1.
fn as_number(from: &mut Object, to: &mut Object, pairs: &[(&str, &str)]) {
    for (ours, theirs) in pairs {
        if let Some(value) = from.remove(*ours) {
            to.insert((*theirs).to_owned(), json!(u8::from(value.as_bool().unwrap())));
        }
    }
}

fn said(link: &Link, names: &BTreeMap<u64, String>) -> Value {
    let mut ours = object(serde_json::to_value(link).unwrap());
    let mut to = Object::new();
    rename(
        &mut ours,
        &mut to,
        &[
            ("index", "ifindex"),
            ("name", "ifname"),
            ("mtu", "mtu"),
            ("minMtu", "min_mtu"),
            ("maxMtu", "max_mtu"),
            ("qdisc", "qdisc"),
            ("txQueueLen", "txqlen"),
            ("address", "address"),
            ("broadcast", "broadcast"),
            ("promiscuity", "promiscuity"),
            ("allMulti", "allmulti"),
            ("addrGenMode", "inet6_addr_gen_mode"),
            ("txQueues", "num_tx_queues"),
            ("rxQueues", "num_rx_queues"),
            ("gsoMaxSize", "gso_max_size"),
            ("gsoMaxSegs", "gso_max_segs"),
            ("tsoMaxSize", "tso_max_size"),
            ("tsoMaxSegs", "tso_max_segs"),
            ("groMaxSize", "gro_max_size"),
            ("parentBus", "parentbus"),
            ("parentDevice", "parentdev"),
            ("physPortName", "phys_port_name"),
            ("altNames", "altnames"),
            ("alias", "ifalias"),
            ("protoDown", "protodown"),
        ],
    );
    if to.get("protodown") == Some(&json!(false)) {
        to.remove("protodown"); // printed when on
    }
    to.insert("flags".to_owned(), flags(ours.remove("flags").unwrap().as_u64().unwrap()));
    let upper = |value: Option<Value>| value.map(|value| json!(value.as_str().unwrap().to_uppercase()));
    put(&mut to, "operstate", upper(ours.remove("operState")).unwrap_or_default());
    put(&mut to, "linkmode", upper(ours.remove("linkMode")).unwrap_or_default());
    let group = ours.remove("group").unwrap_or_default();
    put(&mut to, "group", if group == 0 { json!("default") } else { json!(group.to_string()) });
    let link_type = match ours.remove("linkType").unwrap().as_u64().unwrap() {
        1 => "ether",
        772 => "loopback",
        65534 => "none",
        other => panic!("a name for the link type {other}"),
    };
    to.insert("link_type".to_owned(), json!(link_type));
    let permanent = ours.remove("permanentAddress").unwrap_or_default();
    if to.get("address") != Some(&permanent) {
        put(&mut to, "permaddr", permanent);
    }
    for (mine, key) in [("physPortId", "phys_port_id"), ("physSwitchId", "phys_switch_id")] {
        if let Some(id) = ours.remove(mine) {
            // `ip` 6.1 prints 31 bytes at most.
            let digits: String = id.as_str().unwrap().replace(':', "").chars().take(62).collect();
            to.insert(key.to_owned(), json!(digits));
        }
    }
    let name = |index: Value| index.as_u64().map(|index| json!(names[&index])).unwrap_or_default();
    put(&mut to, "master", ours.remove("master").map(name).unwrap_or_default());
    let lower = ours.remove("lower").unwrap_or_default();
    match ours.remove("lowerNetnsid") {
        Some(id) => {
            put(&mut to, "link_index", lower);
            put(&mut to, "link_netnsid", id);
        }
        None => put(&mut to, "link", name(lower)),
    }
    if let Some(Value::Array(vfs)) = ours.remove("vfs") {
        to.insert("vfinfo_list".to_owned(), vfs.into_iter().map(vf).collect());
    }
    let mut info = Object::new();
    put(&mut info, "info_kind", ours.remove("kind").unwrap_or_default());
    put(&mut info, "info_slave_kind", ours.remove("slaveKind").unwrap_or_default());
    let mut left = Object::new();
    if let Some(detail) = ours.remove("detail") {
        let (said, rest) = self::detail(object(detail), names);
        put(&mut info, "info_data", said);
        put(&mut left, "detail", rest);
    }
    if let Some(detail) = ours.remove("slaveDetail") {
        let (said, rest) = slave_detail(object(detail));
        put(&mut info, "info_slave_data", said);
        put(&mut left, "slaveDetail", rest);
    }
    if !info.is_empty() {
        to.insert("linkinfo".to_owned(), Value::Object(info));
    }
    left.extend(ours);
    flatten("left", left, &mut to);
    Value::Object(to)
}

/// What nothing above took, under names that an allow-list can hold.
fn flatten(path: &str, left: Object, to: &mut Object) {
    for (key, value) in left {
        let path = format!("{path}.{key}");
        match value {
            Value::Object(inner) if path.ends_with("etail") => flatten(&path, inner, to),
            value => {
                to.insert(path, value);
            }
        }
    }
}

fn flags(bits: u64) -> Value {
    const NAMES: &[(u32, &str)] = &[
        (0, "UP"),
        (1, "BROADCAST"),
        (2, "DEBUG"),
        (3, "LOOPBACK"),
        (4, "POINTOPOINT"),
        (5, "NOTRAILERS"),
        (7, "NOARP"),
        (8, "PROMISC"),
        (9, "ALLMULTI"),
        (10, "MASTER"),
        (11, "SLAVE"),
        (12, "MULTICAST"),
        (13, "PORTSEL"),
        (14, "AUTOMEDIA"),
        (15, "DYNAMIC"),
        (16, "LOWER_UP"),
        (17, "DORMANT"),
        (18, "ECHO"),
    ];
    const RUNNING: u64 = 1 << 6;
    let mut names: Vec<&str> =
        NAMES.iter().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| *name).collect();
    if bits & 1 != 0 && bits & RUNNING == 0 {
        names.push("NO-CARRIER");
    }
    names.sort_by_key(|name| format!("\"{name}\""));
    json!(names)
}

fn vf(vf: Value) -> Value {
    let mut ours = object(vf);
    let mut to = object(json!({ "link_type": "ether" }));
    rename(
        &mut ours,
        &mut to,
        &[
            ("index", "vf"),
            ("mac", "address"),
            ("broadcast", "broadcast"),
            ("spoofCheck", "spoofchk"),
            ("linkState", "link_state"),
            ("trust", "trust"),
            ("rssQuery", "query_rss_en"),
        ],
    );
    let mut vlan = Object::new();
    rename(&mut ours, &mut vlan, &[("vlan", "vlan"), ("qos", "qos")]);
    match ours.remove("vlanProtocol") {
        Some(protocol) if protocol == 0x88a8 => put(&mut vlan, "protocol", json!("802.1ad")),
        Some(protocol) => assert_eq!(protocol, 0x8100),
        None => assert!(vlan.is_empty(), "a VLAN without a protocol"),
    }
    to.insert("vlan_list".to_owned(), json!([vlan]));
    // The maximum is printed a second time, as it was before there was a minimum.
    put(&mut to, "tx_rate", ours.get("maxTxRate").cloned().unwrap_or_default());
    let rate = |value: Option<Value>| value.unwrap_or(json!(0));
    let rates = json!({ "max_tx": rate(ours.remove("maxTxRate")), "min_tx": rate(ours.remove("minTxRate")) });
    to.insert("rate".to_owned(), rates);
    flatten("left.vf", ours, &mut to);
    Value::Object(to)
}

fn ethertype(protocol: &Value) -> Value {
    json!(match protocol.as_u64().unwrap() {
        0x8100 => "802.1Q",
        0x88a8 => "802.1ad",
        other => panic!("a name for the ethertype {other:x}"),
    })
}

fn detail(mut ours: Object, names: &BTreeMap<u64, String>) -> (Value, Value) {
    let mut to = Object::new();
    let kind = ours.remove("kind").unwrap();
    match kind.as_str().unwrap() {
        "vlan" => {
            rename(&mut ours, &mut to, &[("id", "id")]);
            put(&mut to, "protocol", ethertype(&ours.remove("protocol").unwrap()));
            if let Some(bits) = ours.remove("flags") {
                let bits = bits.as_u64().unwrap();
                let flags = [
                    (0, "REORDER_HDR"),
                    (1, "GVRP"),
                    (3, "MVRP"),
                    (2, "LOOSE_BINDING"),
                    (4, "BRIDGE_BINDING"),
                ];
                let flags = flags.into_iter().filter(|(bit, _)| bits & (1 << bit) != 0);
                put(&mut to, "flags", flags.map(|(_, name)| name).collect());
            }
        }
        "macvlan" | "macvtap" => {
            rename(
                &mut ours,
                &mut to,
                &[
                    ("mode", "mode"),
                    ("broadcastQueueLen", "bcqueuelen"),
                    ("broadcastQueueLenUsed", "usedbcqueuelen"),
                ],
            );
            match ours.remove("flags").unwrap().as_u64().unwrap() {
                0 => {}
                1 => put(&mut to, "nopromisc", json!(true)),
                other => panic!("a word for the flags {other}"),
            }
            if let Some(Value::Array(sources)) = ours.remove("sourceAddresses") {
                put(&mut to, "macaddr_count", json!(sources.len()));
                put(&mut to, "macaddr_data", json!(sources));
            } else if to.get("mode") == Some(&json!("source")) {
                put(&mut to, "macaddr_count", json!(0));
            }
        }
        "ipvlan" | "ipvtap" => {
            rename(&mut ours, &mut to, &[("mode", "mode")]);
            let word = ["bridge", "private", "vepa"];
            let flags = usize::try_from(ours.remove("flags").unwrap().as_u64().unwrap()).unwrap();
            put(&mut to, word[flags], json!(true));
        }
        "vrf" => rename(&mut ours, &mut to, &[("table", "table")]),
        "tun" => {
            rename(
                &mut ours,
                &mut to,
                &[
                    ("mode", "type"),
                    ("packetInfo", "pi"),
                    ("vnetHeader", "vnet_hdr"),
                    ("multiQueue", "multi_queue"),
                    ("persist", "persist"),
                    ("queues", "numqueues"),
                    ("disabledQueues", "numdisabled"),
                ],
            );
        }
        "bridge" => {
            rename(
                &mut ours,
                &mut to,
                &[
                    ("stpState", "stp_state"),
                    ("priority", "priority"),
                    ("forwardDelay", "forward_delay"),
                    ("ageingTime", "ageing_time"),
                ],
            );
            as_number(
                &mut ours,
                &mut to,
                &[("vlanFiltering", "vlan_filtering"), ("mcastSnooping", "mcast_snooping")],
            );
            if to.get("vlan_filtering") == Some(&json!(1)) {
                put(&mut to, "vlan_protocol", ethertype(&ours.remove("vlanProtocol").unwrap()));
                rename(&mut ours, &mut to, &[("defaultPvid", "vlan_default_pvid")]);
            }
        }
        "vxlan" => vxlan(&mut ours, &mut to, names),
        "bond" => bond(&mut ours, &mut to, names),
        other => panic!("words for the kind {other}"),
    }
    let said = if to.is_empty() { Value::Null } else { Value::Object(to) };
    (said, Value::Object(ours))
}

fn vxlan(ours: &mut Object, to: &mut Object, names: &BTreeMap<u64, String>) {
    rename(
        ours,
        to,
        &[
            ("id", "id"),
            ("port", "port"),
            ("learning", "learning"),
            ("ageing", "ageing"),
            ("udpCsum", "udp_csum"),
            ("udpZeroCsum6Tx", "udp_zero_csum6_tx"),
            ("udpZeroCsum6Rx", "udp_zero_csum6_rx"),
        ],
    );
    when_on(
        ours,
        to,
        &[
            ("flowLabel", "label"),
            ("proxy", "proxy"),
            ("routeShortCircuit", "rsc"),
            ("l2Miss", "l2miss"),
            ("l3Miss", "l3miss"),
            ("collectMetadata", "external"),
            ("vniFilter", "vnifilter"),
            ("remCsumTx", "remcsum_tx"),
            ("remCsumRx", "remcsum_rx"),
            ("gbp", "gbp"),
            ("gpe", "gpe"),
            ("limit", "limit"),
        ],
    );
    named(ours, to, "dontFragment", "df", &["unset", "set", "inherit"]);
    let ip = |value: &Value| serde_json::from_value::<std::net::IpAddr>(value.clone()).unwrap();
    let family = |value: &Value| if ip(value).is_ipv6() { "6" } else { "" };
    if let Some(group) = ours.remove("group") {
        let word = if ip(&group).is_multicast() { "group" } else { "remote" };
        put(to, &format!("{word}{}", family(&group)), group);
    }
    if let Some(local) = ours.remove("local") {
        put(to, &format!("local{}", family(&local)), local);
    }
    let ttl = ours.remove("ttl").unwrap();
    // "inherit" is printed in text only, and the number then not at all.
    if ours.remove("ttlInherit") != Some(json!(true)) {
        put(to, "ttl", ttl);
    }
    let tos = ours.remove("tos").unwrap();
    if tos != 0 {
        put(to, "tos", json!(format!("{:#x}", tos.as_u64().unwrap())));
    }
    if let Some(index) = ours.remove("underlay") {
        put(to, "link", json!(names[&index.as_u64().unwrap()]));
    }
    let low = ours.remove("sourcePortMin").unwrap();
    let high = ours.remove("sourcePortMax").unwrap();
    put(to, "port_range", json!({ "low": low, "high": high }));
}

fn bond(ours: &mut Object, to: &mut Object, names: &BTreeMap<u64, String>) {
    rename(
        ours,
        to,
        &[
            ("mode", "mode"),
            ("miimon", "miimon"),
            ("upDelay", "updelay"),
            ("downDelay", "downdelay"),
            ("peerNotifyDelay", "peer_notify_delay"),
            ("arpInterval", "arp_interval"),
            ("arpIpTargets", "arp_ip_target"),
            ("arpMissedMax", "arp_missed_max"),
            ("xmitHashPolicy", "xmit_hash_policy"),
            ("resendIgmp", "resend_igmp"),
            ("numPeerNotif", "num_peer_notif"),
            ("minLinks", "min_links"),
            ("lpInterval", "lp_interval"),
            ("packetsPerSlave", "packets_per_slave"),
            ("adActorSysPrio", "ad_actor_sys_prio"),
            ("adUserPortKey", "ad_user_port_key"),
            ("adActorSystem", "ad_actor_system"),
        ],
    );
    as_number(
        ours,
        to,
        &[
            ("useCarrier", "use_carrier"),
            ("allSlavesActive", "all_slaves_active"),
            ("tlbDynamicLb", "tlb_dynamic_lb"),
        ],
    );
    named(ours, to, "arpAllTargets", "arp_all_targets", &["any", "all"]);
    named(ours, to, "primaryReselect", "primary_reselect", &["always", "better", "failure"]);
    named(ours, to, "failOverMac", "fail_over_mac", &["none", "active", "follow"]);
    named(ours, to, "adLacpRate", "ad_lacp_rate", &["slow", "fast"]);
    named(ours, to, "adSelect", "ad_select", &["stable", "bandwidth", "count"]);
    if let Some(active) = ours.remove("adLacpActive") {
        put(to, "ad_lacp_active", json!(if active == true { "on" } else { "off" }));
    }
    match ours.remove("arpValidate").and_then(|number| number.as_u64()) {
        // `ip` 6.1 prints an empty JSON value for "none".
        Some(0) => {
            to.insert("arp_validate".to_owned(), Value::Null);
        }
        Some(number) => put(to, "arp_validate", json!(["none", "active", "backup", "all"][number as usize])),
        None => {}
    }
    for (mine, key) in [("activeSlave", "active_slave"), ("primary", "primary")] {
        if let Some(index) = ours.remove(mine) {
            put(to, key, json!(names[&index.as_u64().unwrap()]));
        }
    }
    if let Some(info) = ours.remove("adInfo") {
        let (mut info, mut said) = (object(info), Object::new());
        rename(
            &mut info,
            &mut said,
            &[
                ("aggregator", "aggregator"),
                ("numPorts", "num_ports"),
                ("actorKey", "actor_key"),
                ("partnerKey", "partner_key"),
                ("partnerMac", "partner_mac"),
            ],
        );
        assert!(info.is_empty(), "{info:?}");
        to.insert("ad_info".to_owned(), Value::Object(said));
    }
}

fn slave_detail(mut ours: Object) -> (Value, Value) {
    let mut to = Object::new();
    let kind = ours.remove("kind").unwrap();
    match kind.as_str().unwrap() {
        "bond" => rename(
            &mut ours,
            &mut to,
            &[
                ("state", "state"),
                ("miiStatus", "mii_status"),
                ("linkFailureCount", "link_failure_count"),
                ("permanentAddress", "perm_hwaddr"),
                ("queueId", "queue_id"),
                ("priority", "prio"),
                ("adAggregator", "ad_aggregator_id"),
                ("adActorOperPortState", "ad_actor_oper_port_state"),
                ("adPartnerOperPortState", "ad_partner_oper_port_state"),
            ],
        ),
        "bridge" => {
            named(
                &mut ours,
                &mut to,
                "state",
                "state",
                &["disabled", "listening", "learning", "forwarding", "blocking"],
            );
            rename(
                &mut ours,
                &mut to,
                &[
                    ("priority", "priority"),
                    ("cost", "cost"),
                    ("hairpin", "hairpin"),
                    ("learning", "learning"),
                    ("unicastFlood", "flood"),
                    ("isolated", "isolated"),
                ],
            );
        }
        "vrf" => rename(&mut ours, &mut to, &[("table", "table")]),
        other => panic!("words for the slave kind {other}"),
    }
    (Value::Object(to), Value::Object(ours))
}

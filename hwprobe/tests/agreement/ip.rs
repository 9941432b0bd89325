//! `ip -d -j link` and `ip -j address`.

use hwprobe::{Inventory, LinkFacts, Nic, OperState, StackingDetail, VfEntry, VfLinkState};
use serde_json::Value;

use super::{Comparison, Facts, netdevs, output, put};

const ONE_SIDED: &[(&str, &str)] = &[
    ("linkmode", "carrier policy: always the default on NICs, no user of an inventory asks"),
    ("allmulti", "a count of listeners that changes with every multicast join"),
    ("inet6_addr_gen_mode", "how link-local addresses are made; belongs to the attach engine"),
    ("gso_*", "segmentation limits: tuning, not inventory"),
    ("gro_*", "segmentation limits: tuning, not inventory"),
    ("tso_*", "segmentation limits: tuning, not inventory"),
    ("broadcast", "the same for every Ethernet NIC"),
    ("link_type", "compared as hardwareType, which is the number behind the name"),
    ("link_netnsid", "the lower link is in another namespace, so it has no name here"),
    ("link_index", "ip prints it in place of a name only for a lower link that is not here"),
    ("linkinfo.data.*", "details of virtual links beyond mode, id and table"),
    ("linkinfo.slave.*", "details of slaves: the inventory names master and kind"),
    ("carrier_changes", "ip does not print it without -s"),
    ("vf*.broadcast", "the same for every Ethernet VF"),
    ("vf*.link_type", "the PF's"),
    ("vf*.query_rss_en", "who may read the RSS table: not an inventory fact"),
];

pub(super) fn compare(inventory: &Inventory) -> Vec<Comparison> {
    let links: Vec<Value> =
        serde_json::from_str(&output("ip", &["-d", "-j", "link"])).expect("ip prints JSON");
    let addresses: Vec<Value> =
        serde_json::from_str(&output("ip", &["-j", "address"])).expect("ip prints JSON");
    let mut found = Vec::new();
    for link in &links {
        let name = link["ifname"].as_str().expect("a link has a name").to_owned();
        let nic = netdevs(inventory).find(|(nic, _)| nic.name.as_ref() == Some(&name));
        let mut theirs = theirs(link);
        let own = addresses.iter().find(|entry| entry["ifname"] == link["ifname"]);
        put(&mut theirs, "addresses", own.map(ip_addresses));
        let ours = nic.map(|(nic, link)| ours(nic, link)).unwrap_or_default();
        found.push(Comparison { tool: "ip", nic: name, theirs, ours, one_sided: ONE_SIDED });
    }
    // A link that only we have is a difference too.
    for (nic, link) in netdevs(inventory) {
        if !links.iter().any(|theirs| theirs["ifname"].as_str() == nic.name.as_deref()) {
            let (tool, nic_name) = ("ip", nic.label().to_owned());
            found.push(Comparison {
                tool,
                nic: nic_name,
                theirs: Facts::new(),
                ours: ours(nic, link),
                one_sided: ONE_SIDED,
            });
        }
    }
    found
}

fn ip_addresses(entry: &Value) -> String {
    let mut all: Vec<String> = entry["addr_info"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|info| {
            let dynamic = if info["dynamic"] == true { " dynamic" } else { "" };
            let text = |key: &str| info[key].as_str().unwrap_or_default();
            format!("{}/{} {}{dynamic}", text("local"), info["prefixlen"], text("scope"))
        })
        .collect();
    all.sort();
    all.join(", ")
}

fn theirs(link: &Value) -> Facts {
    let mut facts = Facts::new();
    for (key, value) in link.as_object().expect("a link is an object") {
        match key.as_str() {
            "vfinfo_list" => vf_facts(value, &mut facts),
            "linkinfo" => {
                put(&mut facts, "linkinfo.kind", value["info_kind"].as_str());
                put(&mut facts, "linkinfo.slave_kind", value["info_slave_kind"].as_str());
                flatten("linkinfo.data", &value["info_data"], &mut facts);
                flatten("linkinfo.slave", &value["info_slave_data"], &mut facts);
            }
            "flags" | "altnames" => {
                let mut names: Vec<&str> =
                    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                // No flag of the link: ip's own word for a lower link that is down.
                names.retain(|name| *name != "M-DOWN");
                names.sort_unstable();
                put(&mut facts, key, Some(names.join(" ")));
            }
            "xdp" => put(&mut facts, "xdp", value["prog"]["id"].as_u64()),
            _ => flatten(key, value, &mut facts),
        }
    }
    // Printed only where it differs from the address in use.
    if let Some(address) = facts.get("permaddr").or(facts.get("address")).cloned() {
        facts.insert("permaddr".to_owned(), address);
    }
    // ip prints 0 for "no limit told".
    for limit in ["min_mtu", "max_mtu"] {
        if facts.get(limit).is_some_and(|value| value == "0") {
            facts.remove(limit);
        }
    }
    if facts.get("group").is_some_and(|group| group == "default") {
        facts.insert("group".to_owned(), "0".to_owned());
    }
    facts
}

fn flatten(name: &str, value: &Value, facts: &mut Facts) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| flatten(&format!("{name}.{key}"), value, facts))
        }
        Value::String(text) => put(facts, name, Some(text)),
        other => put(facts, name, Some(other)),
    }
}

fn vf_facts(list: &Value, facts: &mut Facts) {
    for vf in list.as_array().into_iter().flatten() {
        let name = |key: &str| format!("vf{}.{key}", vf["vf"]);
        for (key, value) in vf.as_object().into_iter().flatten() {
            match key.as_str() {
                "vf" => {}
                "vlan_list" => {
                    let tag = &value[0];
                    put(facts, &name("vlan"), tag["vlan"].as_u64());
                    put(facts, &name("qos"), tag["qos"].as_u64());
                    put(facts, &name("protocol"), tag["protocol"].as_str());
                }
                "rate" => {
                    put(facts, &name("max_tx"), value["max_tx"].as_u64());
                    put(facts, &name("min_tx"), value["min_tx"].as_u64());
                }
                _ => flatten(&name(key), value, facts),
            }
        }
    }
}

fn ours(nic: &Nic, link: &LinkFacts) -> Facts {
    let mut facts = Facts::new();
    let joined = |names: &[String]| {
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.sort_unstable();
        names.join(" ")
    };
    put(&mut facts, "ifindex", nic.generation.ifindex);
    put(&mut facts, "ifname", nic.name.as_ref());
    put(&mut facts, "altnames", Some(joined(&nic.alt_names)).filter(|names| !names.is_empty()));
    put(&mut facts, "flags", Some(joined(&link.flags)));
    put(&mut facts, "mtu", Some(link.mtu));
    put(&mut facts, "min_mtu", link.min_mtu);
    put(&mut facts, "max_mtu", link.max_mtu);
    put(&mut facts, "qdisc", link.qdisc.as_ref());
    put(&mut facts, "operstate", Some(oper_state(link.oper_state)));
    put(&mut facts, "group", Some(link.group));
    put(&mut facts, "txqlen", link.tx_queue_length);
    put(&mut facts, "address", nic.mac);
    put(&mut facts, "permaddr", nic.permanent_mac.or(nic.mac));
    put(&mut facts, "promiscuity", link.promiscuity);
    put(&mut facts, "num_tx_queues", nic.resources.tx_queues);
    put(&mut facts, "num_rx_queues", nic.resources.rx_queues);
    put(&mut facts, "ifalias", link.alias.as_ref());
    put(&mut facts, "phys_port_id", link.phys_port_id.as_ref());
    put(&mut facts, "phys_port_name", link.phys_port_name.as_ref());
    // ip prints 31 bytes at most.
    put(
        &mut facts,
        "phys_switch_id",
        link.phys_switch_id.as_ref().map(|id| id.chars().take(62).collect::<String>()),
    );
    put(&mut facts, "xdp", link.xdp.as_ref().and_then(|xdp| xdp.program_id));
    put(&mut facts, "master", nic.stacking.master.as_ref());
    put(&mut facts, "linkinfo.kind", nic.stacking.link_kind.as_ref());
    put(&mut facts, "linkinfo.slave_kind", nic.stacking.master_kind.as_ref());
    put(&mut facts, "carrier_changes", link.carrier_changes);
    let device = nic.bus.as_ref().map(|bus| (bus.kind.clone(), bus.device.clone()));
    put(&mut facts, "parentbus", device.as_ref().map(|(bus, _)| bus));
    put(&mut facts, "parentdev", device.as_ref().map(|(_, device)| device));
    let mut addresses: Vec<String> = nic
        .addresses
        .iter()
        .map(|ip| {
            format!(
                "{}/{} {}{}",
                ip.address,
                ip.prefix_length,
                ip.scope,
                if ip.dynamic { " dynamic" } else { "" }
            )
        })
        .collect();
    addresses.sort();
    put(&mut facts, "addresses", Some(addresses.join(", ")));
    detail(nic, &mut facts);
    for vf in nic.sriov.iter().flat_map(|sriov| &sriov.vfs) {
        our_vf(vf, &mut facts);
    }
    facts
}

fn detail(nic: &Nic, facts: &mut Facts) {
    // The parent of a stacked link; masters are compared from the slave's side.
    let stands_on = matches!(
        nic.stacking.link_kind.as_deref(),
        Some("vlan" | "macvlan" | "macvtap" | "ipvlan" | "ipvtap" | "ipoib")
    );
    put(facts, "link", nic.stacking.lower.first().filter(|_| stands_on).or(nic.stacking.peer.as_ref()));
    match &nic.stacking.detail {
        Some(StackingDetail::Vlan { id, protocol }) => {
            put(facts, "linkinfo.data.id", Some(id));
            put(facts, "linkinfo.data.protocol", Some(protocol));
        }
        Some(StackingDetail::Bond { mode, active_slave }) => {
            put(facts, "linkinfo.data.mode", Some(mode));
            put(facts, "linkinfo.data.active_slave", active_slave.as_ref());
        }
        Some(StackingDetail::Macvlan { mode }) => put(facts, "linkinfo.data.mode", Some(mode)),
        Some(StackingDetail::Ipvlan { mode, isolation }) => {
            put(facts, "linkinfo.data.mode", Some(mode));
            put(facts, "linkinfo.data.mode_flag", Some(isolation));
        }
        Some(StackingDetail::Vxlan { vni }) => put(facts, "linkinfo.data.id", Some(vni)),
        Some(StackingDetail::Vrf { table }) => put(facts, "linkinfo.data.table", Some(table)),
        _ => {}
    }
}

fn our_vf(vf: &VfEntry, facts: &mut Facts) {
    let name = |key: &str| format!("vf{}.{key}", vf.index);
    put(facts, &name("address"), vf.mac);
    put(facts, &name("vlan"), vf.vlan);
    put(facts, &name("qos"), vf.qos.filter(|qos| *qos != 0));
    put(facts, &name("protocol"), vf.vlan_protocol.as_ref().filter(|protocol| *protocol != "802.1Q"));
    put(facts, &name("spoofchk"), vf.spoof_check);
    put(facts, &name("trust"), vf.trust);
    put(facts, &name("max_tx"), Some(vf.max_tx_rate.map_or(0, |rate| rate.get())));
    put(facts, &name("min_tx"), Some(vf.min_tx_rate.map_or(0, |rate| rate.get())));
    let state = vf.link_state.map(|state| match state {
        VfLinkState::Auto => "auto",
        VfLinkState::Enable => "enable",
        VfLinkState::Disable => "disable",
    });
    put(facts, &name("link_state"), state);
}

fn oper_state(state: OperState) -> &'static str {
    match state {
        OperState::Unknown => "UNKNOWN",
        OperState::NotPresent => "NOTPRESENT",
        OperState::Down => "DOWN",
        OperState::LowerLayerDown => "LOWERLAYERDOWN",
        OperState::Testing => "TESTING",
        OperState::Dormant => "DORMANT",
        OperState::Up => "UP",
    }
}

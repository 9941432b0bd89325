//! `ethtool NAME`, `-i`, `-g`, `-l`, `-c`, `-a`, `-k`, `-T`, `--show-fec`.

use hwprobe::{Duplex, Inventory, LinkFacts, Nic, NicKind};

use super::{Comparison, Facts, netdevs, output, put};

const ONE_SIDED: &[(&str, &str)] = &[
    ("Supported ports", "the connector in use is compared as Port"),
    ("Supported pause frame use", "flow control is compared as it is set, from -a"),
    ("Supports auto-negotiation", "compared as it is set"),
    ("Supported FEC modes", "FEC is compared as it is set, from --show-fec"),
    ("Advertised *", "advertised properties that are no link modes"),
    ("Link partner advertised p*", "properties that are no link modes"),
    ("Link partner advertised a*", "properties that are no link modes"),
    ("Link partner advertised F*", "properties that are no link modes"),
    ("PHYAD", "address of the PHY on its management bus: for driver writers"),
    ("Transceiver", "internal on every NIC that is not from the 1990s"),
    ("MDI-X", "pair crossing: sorted out by the hardware"),
    ("Supports Wake-on", "power management, not networking"),
    ("Wake-on", "power management, not networking"),
    ("Current message level", "debugging"),
    ("drv probe*", "debugging: continuation of the message level"),
    ("Link detected", "compared with ip: LOWER_UP"),
    (
        "Duplex",
        "ethtool prints a duplex while no link runs, from the same answer; sides differ only in 'Unknown'",
    ),
    ("master-slave *", "clock roles of 1000BASE-T"),
    ("SQI*", "signal quality of automotive PHYs"),
    ("i.supports-*", "what the ethtool tool could do further"),
    ("offload.*", "a feature that is off and cannot be switched is no offload of this NIC"),
    ("lanes", "printed by newer ethtool only"),
    ("Lanes", "printed by newer ethtool only"),
];

pub(super) fn compare(inventory: &Inventory) -> Vec<Comparison> {
    let asked = netdevs(inventory)
        .filter(|(nic, _)| nic.hardware || matches!(nic.kind, NicKind::Vlan | NicKind::Bond));
    asked
        .map(|(nic, link)| {
            let name = nic.label().to_owned();
            Comparison {
                tool: "ethtool",
                theirs: theirs(&name),
                ours: ours(nic, link),
                nic: name,
                one_sided: ONE_SIDED,
            }
        })
        .collect()
}

/// `Key: value` lines; a line without a colon goes on with the value before.
fn settings(text: &str) -> Facts {
    let mut facts = Facts::new();
    let mut last = String::new();
    for line in text.lines().skip(1) {
        match line.split_once(':') {
            Some((key, value)) => {
                last = key.trim().to_owned();
                facts.insert(last.clone(), value.trim().to_owned());
            }
            None => {
                if let Some(value) = facts.get_mut(&last) {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            }
        }
    }
    facts
}

fn theirs(name: &str) -> Facts {
    let mut facts = settings(&output("ethtool", &[name]));
    for modes in ["Supported link modes", "Advertised link modes", "Link partner advertised link modes"] {
        if let Some(value) = facts.remove(modes).filter(|value| value != "Not reported") {
            let mut names: Vec<&str> = value.split_whitespace().collect();
            names.sort_unstable();
            facts.insert(modes.to_owned(), names.join(" "));
        }
    }
    facts.retain(|key, value| !(value.starts_with("Unknown") || key.ends_with("Port") && value == "None"));
    for line in output("ethtool", &["-i", name]).lines() {
        if let Some((key, value)) =
            line.split_once(": ").filter(|(_, value)| !value.is_empty() && *value != "N/A")
        {
            facts.insert(format!("i.{key}"), value.trim().to_owned());
        }
    }
    for (option, prefix) in [("-g", "rings"), ("-l", "channels"), ("-c", "coalesce")] {
        sectioned(&output("ethtool", &[option, name]), prefix, &mut facts);
    }
    // Not as JSON: there ethtool 6.1 prints every value as true.
    for line in output("ethtool", &["-a", name]).lines().skip(1) {
        if let Some((key, value)) =
            line.split_once(':').filter(|(key, _)| matches!(*key, "Autonegotiate" | "RX" | "TX"))
        {
            facts.insert(format!("pause.{key}"), value.trim().to_owned());
        }
    }
    for line in output("ethtool", &["-k", name]).lines().skip(1) {
        let Some((feature, state)) = line.trim().split_once(": ") else { continue };
        // Old names for groups of features; the features themselves are compared.
        if !line.starts_with('\t') && is_group(feature) {
            continue;
        }
        facts.insert(
            format!("offload.{}", kernel_name(feature)),
            state.replace(" [requested on]", "").replace(" [requested off]", ""),
        );
    }
    let clock = output("ethtool", &["-T", name]);
    let clock = clock.lines().find_map(|line| line.strip_prefix("PTP Hardware Clock: "));
    put(&mut facts, "clock", clock.filter(|clock| *clock != "none"));
    let fec = output("ethtool", &["--show-fec", name]);
    let active = fec.lines().find_map(|line| line.strip_prefix("Active FEC encoding"));
    let active = active.map(|rest| rest.trim_start_matches(['s', ':']).trim());
    put(&mut facts, "fec", active.filter(|name| *name != "None"));
    facts
}

fn is_group(feature: &str) -> bool {
    matches!(
        feature,
        "tx-checksumming" | "scatter-gather" | "tcp-segmentation-offload" | "udp-fragmentation-offload"
    )
}

/// ethtool's old names for single features (`struct off_flag_def`) and the kernel's.
fn kernel_name(feature: &str) -> &str {
    match feature {
        "rx-checksumming" => "rx-checksum",
        "generic-segmentation-offload" => "tx-generic-segmentation",
        "generic-receive-offload" => "rx-gro",
        "large-receive-offload" => "rx-lro",
        "rx-vlan-offload" => "rx-vlan-hw-parse",
        "tx-vlan-offload" => "tx-vlan-hw-insert",
        "ntuple-filters" => "rx-ntuple-filter",
        "receive-hashing" => "rx-hashing",
        other => other,
    }
}

/// `-g`, `-l`, `-c`: maxima first, then what is set; `n/a` is nothing.
fn sectioned(text: &str, prefix: &str, facts: &mut Facts) {
    let mut section = "";
    for line in text.lines() {
        if line.starts_with("Pre-set") {
            section = ".max";
        } else if line.starts_with("Current") {
            section = "";
        } else if let Some(rest) = line.strip_prefix("Adaptive RX:") {
            let words: Vec<&str> = rest.split_whitespace().collect();
            for (key, value) in [("adaptive-rx", words.first()), ("adaptive-tx", words.last())] {
                put(facts, &format!("{prefix}.{key}"), value.filter(|value| **value != "n/a"));
            }
        } else if let Some((key, value)) = line.split_once(':') {
            let key = key.trim().to_lowercase();
            let kept = matches!(
                (prefix, key.as_str()),
                ("rings", "rx" | "tx")
                    | ("channels", "rx" | "tx" | "other" | "combined")
                    | ("coalesce", "rx-usecs" | "tx-usecs")
            );
            let value = value.trim();
            if kept && value != "n/a" {
                facts.insert(format!("{prefix}.{key}{section}"), value.to_owned());
            }
        }
    }
}

fn ours(nic: &Nic, link: &LinkFacts) -> Facts {
    let mut facts = Facts::new();
    let modes = |names: &[String]| {
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.sort_unstable();
        Some(names.join(" ")).filter(|names| !names.is_empty())
    };
    put(&mut facts, "Supported link modes", modes(&link.supported_modes));
    put(&mut facts, "Advertised link modes", modes(&link.advertised_modes));
    put(&mut facts, "Link partner advertised link modes", modes(&link.peer_modes));
    put(&mut facts, "Speed", link.speed_mbps.map(|mbps| format!("{}Mb/s", mbps.get())));
    put(&mut facts, "Duplex", link.duplex.map(|duplex| if duplex == Duplex::Full { "Full" } else { "Half" }));
    put(&mut facts, "Lanes", link.lanes);
    put(&mut facts, "Auto-negotiation", link.autonegotiation.map(on_off));
    put(&mut facts, "Port", link.port.as_ref().filter(|port| *port != "None"));
    if let Some(driver) = &nic.driver {
        put(&mut facts, "i.driver", Some(&driver.name));
        put(&mut facts, "i.version", driver.version.as_ref());
        put(&mut facts, "i.firmware-version", driver.firmware.as_ref());
        put(&mut facts, "i.expansion-rom-version", driver.expansion_rom.as_ref());
        put(&mut facts, "i.bus-info", driver.bus_info.as_ref());
    }
    if let Some(rings) = &nic.resources.rings {
        put(&mut facts, "rings.rx", rings.rx);
        put(&mut facts, "rings.tx", rings.tx);
        put(&mut facts, "rings.rx.max", rings.rx_max);
        put(&mut facts, "rings.tx.max", rings.tx_max);
    }
    if let Some(channels) = &nic.resources.channels {
        put(&mut facts, "channels.rx", channels.rx);
        put(&mut facts, "channels.tx", channels.tx);
        put(&mut facts, "channels.other", channels.other);
        put(&mut facts, "channels.combined", channels.combined);
        put(&mut facts, "channels.rx.max", channels.rx_max);
        put(&mut facts, "channels.tx.max", channels.tx_max);
        put(&mut facts, "channels.other.max", channels.other_max);
        put(&mut facts, "channels.combined.max", channels.combined_max);
    }
    if let Some(coalesce) = &nic.resources.coalesce {
        put(&mut facts, "coalesce.rx-usecs", coalesce.rx_usecs);
        put(&mut facts, "coalesce.tx-usecs", coalesce.tx_usecs);
        put(&mut facts, "coalesce.adaptive-rx", coalesce.adaptive_rx.map(on_off));
        put(&mut facts, "coalesce.adaptive-tx", coalesce.adaptive_tx.map(on_off));
    }
    if let Some(pause) = &link.pause {
        put(&mut facts, "pause.Autonegotiate", Some(on_off(pause.autonegotiate)));
        put(&mut facts, "pause.RX", Some(on_off(pause.receive)));
        put(&mut facts, "pause.TX", Some(on_off(pause.transmit)));
    }
    for offload in &nic.resources.offloads {
        let state = format!("{}{}", on_off(offload.on), if offload.fixed { " [fixed]" } else { "" });
        facts.insert(format!("offload.{}", offload.name), state);
    }
    put(&mut facts, "clock", nic.resources.ptp_clock.map(|clock| clock.index));
    put(&mut facts, "fec", link.fec.as_ref().and_then(|fec| fec.active.as_ref()));
    facts
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

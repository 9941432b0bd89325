//! [`Answers`] in the words of `ethtool` 6.1, which speaks JSON for some questions and text for
//! the others.

use std::process::Command;

use netlink::ethtool::{Answers, MODES, mode};
use serde_json::{Map, Value, json};

use super::compare::{Allowed, Object, differences, object, put, rename};

/// What `ethtool` 6.1 does not print.
const OURS_ALONE: Allowed<'_> = &[
    ("left.rings.rxPush", "newer than ethtool 6.1"),
    ("left.linkModes.rateMatching", "printed when there is some"),
    ("left.linkState.extDownCount", "printed with -I only"),
    ("left.driver.statistics", "printed as yes or no, which is compared"),
    ("left.driver.selfTests", "printed as yes or no, which is compared"),
    ("left.driver.eepromBytes", "printed as yes or no, which is compared"),
    ("left.driver.registerBytes", "printed as yes or no, which is compared"),
    ("left.driver.privateFlags", "printed as yes or no, which is compared"),
    ("left.linkInfo.mdi", "printed on twisted pair only"),
    ("left.linkInfo.mdiControl", "printed on twisted pair only"),
];

/// What nobody here decides by, and is not asked for.
const THEIRS_ALONE: Allowed<'_> = &[
    ("settings.Supports Wake-on", "wake on LAN"),
    ("settings.Wake-on", "wake on LAN"),
    ("settings.Current message level", "how much the driver logs"),
    ("pause.RX negotiated", "worked out by ethtool from the modes of both sides"),
    ("pause.TX negotiated", "worked out by ethtool from the modes of both sides"),
];

/// Everything that `ethtool` says of a NIC, as it prints it: to see that asking changes nothing.
pub fn everything(name: &str) -> String {
    ["", "-g", "-l", "-c", "-a", "-k", "-T", "--show-fec", "-i", "--show-priv-flags"]
        .map(|question| format!("{question}\n{}", ethtool(question, name)))
        .concat()
}

fn ethtool(question: &str, name: &str) -> String {
    let words = question.split_whitespace().chain([name]);
    // It fails for a question that the NIC does not know, and says what it does know first.
    let output = Command::new("ethtool").args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Compares all answers of one NIC; the differences, as lines.
pub fn differences_to_ethtool(name: &str, answers: &Answers) -> Vec<String> {
    let mut found = differences(&said(answers), &heard(name), OURS_ALONE, THEIRS_ALONE);
    found.extend(feature_differences(name, answers));
    if !answers.errors.is_empty() {
        found.push(format!("errors: {:?}", answers.errors));
    }
    found.into_iter().map(|difference| format!("{name}: {difference}")).collect()
}

// ---- what the witness says -----------------------------------------------------------------

fn heard(name: &str) -> Value {
    let mut to = Object::new();
    let mut take = |key: &str, value: Value| {
        if value.as_object().is_some_and(|object| !object.is_empty()) {
            to.insert(key.to_owned(), value);
        }
    };
    take("settings", settings(&ethtool("", name)));
    take("rings", sections(&ethtool("-g", name), &["TX Push", "TCP data split"]));
    take("channels", sections(&ethtool("-l", name), &[]));
    take("coalesce", coalesce(&ethtool("-c", name)));
    take("timestamps", timestamps(&ethtool("-T", name)));
    take("driver", pairs(&ethtool("-i", name), ": "));
    let flags = ethtool("--show-priv-flags", name);
    take("privateFlags", pairs(flags.split_once('\n').map_or("", |(_, flags)| flags), ": "));
    // Text: in the JSON of 6.1 every switch is on.
    take("pause", switches(&ethtool("-a", name)));
    let text = ethtool("--json --show-fec", name);
    let list: Value = serde_json::from_str(text.trim()).unwrap_or_else(|_| json!([]));
    let mut fec = list.get(0).cloned().unwrap_or_default();
    if let Some(fec) = fec.as_object_mut() {
        fec.remove("ifname");
    }
    take("fec", fec);
    Value::Object(to)
}

/// `key: value` lines; a line without a colon continues the one before. Lists become arrays.
fn settings(text: &str) -> Value {
    let mut to: Map<String, Value> = Map::new();
    let mut last = String::new();
    for line in text.lines().skip(1) {
        let line = line.trim();
        let (key, value) = match line.split_once(':') {
            Some((key, value)) => {
                last = key.to_owned();
                (key.to_owned(), value.trim().to_owned())
            }
            None => (last.clone(), line.to_owned()),
        };
        let entry = to.entry(key.clone()).or_insert(json!(""));
        let joined = format!("{} {value}", entry.as_str().unwrap());
        *entry = json!(joined.trim());
    }
    for (key, value) in &mut to {
        if key.contains("link modes") || key.contains("FEC modes") || key.ends_with("ports") {
            let text = value.as_str().unwrap().replace("Not reported", "");
            let mut names: Vec<&str> = text.split_whitespace().filter(|word| !"[]".contains(word)).collect();
            names.sort_unstable();
            *value = json!(names);
        }
    }
    Value::Object(to)
}

/// Two sections of numbers, "Pre-set maximums" and "Current hardware settings"; `n/a` is absent.
fn sections(text: &str, switches: &[&str]) -> Value {
    let mut to = Object::new();
    let mut section = "max";
    for line in text.lines().skip(1) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match (key, value) {
            ("Pre-set maximums", _) => {}
            ("Current hardware settings", _) => section = "now",
            (_, "n/a") => {}
            _ if switches.contains(&key) => put(&mut to, &format!("{section} {key}"), json!(value == "on")),
            _ => put(&mut to, &format!("{section} {key}"), json!(value.parse::<u64>().unwrap())),
        }
    }
    Value::Object(to)
}

/// `key: on` and `key: off` lines.
fn switches(text: &str) -> Value {
    let mut to = Object::new();
    for line in text.lines().skip(1) {
        if let Some((key, value)) = line.split_once(':').filter(|(_, value)| !value.trim().is_empty()) {
            put(&mut to, key, json!(value.trim() == "on"));
        }
    }
    Value::Object(to)
}

fn coalesce(text: &str) -> Value {
    let mut to = Object::new();
    for line in text.lines().skip(1) {
        let (line, pair) = match line.split_once(" RX: ") {
            Some((what, values)) => (what, values.split_once("  TX: ")),
            None => (line, None),
        };
        if let Some((rx, tx)) = pair {
            for (side, value) in [("RX", rx), ("TX", tx)] {
                if value != "n/a" {
                    put(&mut to, &format!("{line} {side}"), json!(value == "on"));
                }
            }
        } else if let Some((key, value)) = line.split_once(": ").filter(|(_, value)| *value != "n/a") {
            put(&mut to, key, json!(value.parse::<u64>().unwrap()));
        }
    }
    Value::Object(to)
}

fn timestamps(text: &str) -> Value {
    let mut to = Object::new();
    let mut section = String::new();
    for line in text.lines().skip(1) {
        match line.split_once(':') {
            Some(("PTP Hardware Clock", clock)) => {
                put(&mut to, "clock", clock.trim().parse::<u64>().ok().map(Value::from).unwrap_or_default());
            }
            Some((title, _)) => {
                section = title.to_owned();
                to.insert(section.clone(), json!([]));
            }
            None => to[&section].as_array_mut().unwrap().push(json!(line.trim())),
        }
    }
    Value::Object(to)
}

fn pairs(text: &str, separator: &str) -> Value {
    let pair = |line: &str| {
        let (key, value) = line.split_once(separator).or_else(|| line.split_once(':'))?;
        (!value.trim().is_empty()).then(|| (key.trim().to_owned(), json!(value.trim())))
    };
    Value::Object(text.lines().filter_map(pair).collect())
}

/// Names under which `ethtool` has known single features since before the kernel named them.
const OLD_NAMES: &[(&str, &str)] = &[
    ("rx-checksumming", "rx-checksum"),
    ("generic-segmentation-offload", "tx-generic-segmentation"),
    ("generic-receive-offload", "rx-gro"),
    ("large-receive-offload", "rx-lro"),
    ("rx-vlan-offload", "rx-vlan-hw-parse"),
    ("tx-vlan-offload", "tx-vlan-hw-insert"),
    ("ntuple-filters", "rx-ntuple-filter"),
    ("receive-hashing", "rx-hashing"),
];

fn feature_differences(name: &str, answers: &Answers) -> Vec<String> {
    let text = ethtool("--json -k", name);
    let list: Value = serde_json::from_str(text.trim()).unwrap();
    let features = answers.features.clone().unwrap_or_default();
    let mut known = Vec::new();
    let mut found = Vec::new();
    for (witness_name, witness) in object(list[0].clone()) {
        // Groups of features have no "fixed"; their members are compared.
        if witness_name == "ifname" || witness["fixed"].is_null() {
            continue;
        }
        let name = OLD_NAMES
            .iter()
            .find(|(old, _)| *old == witness_name)
            .map_or(witness_name.as_str(), |(_, name)| name)
            .to_owned();
        let ours = json!({
            "active": features.active.contains(&name),
            "fixed": !features.hardware.contains(&name) || features.no_change.contains(&name),
            "requested": features.wanted.contains(&name),
        });
        if ours != witness {
            found.push(format!("feature {name}: we say {ours}, the witness {witness}"));
        }
        known.push(name);
    }
    assert!(known.len() > 40, "{known:?}");
    let all = [&features.active, &features.hardware, &features.wanted, &features.no_change];
    for name in all.into_iter().flatten() {
        // `ethtool` leaves out features that the kernel has no name for.
        if !known.contains(name) && !name.starts_with("bit") {
            found.push(format!("feature {name}: only we have it"));
        }
    }
    found
}

// ---- what we say ---------------------------------------------------------------------------

fn said(answers: &Answers) -> Value {
    let mut ours = object(serde_json::to_value(answers).unwrap());
    ours.remove("features"); // compared on their own
    ours.remove("errors");
    let mut to = Object::new();
    let mut left = Object::new();
    let mut take = |key: &str| ours.remove(key).map(object);
    let modes = take("linkModes");
    let info = take("linkInfo");
    let state = take("linkState");
    if modes.is_some() || info.is_some() || state.is_some() {
        let said = say_settings(modes, info, state, &mut left);
        if said.as_object().is_some_and(|said| !said.is_empty()) {
            to.insert("settings".to_owned(), said);
        }
    }
    for (key, say) in [
        ("rings", say_rings as fn(&mut Object) -> Object),
        ("channels", say_channels),
        ("coalesce", say_coalesce),
        ("pause", say_pause),
        ("fec", say_fec),
        ("timestamps", say_timestamps),
        ("driver", say_driver),
    ] {
        if let Some(mut part) = take(key) {
            to.insert(key.to_owned(), Value::Object(say(&mut part)));
            leave(&mut left, key, part);
        }
    }
    if let Some(flags) = &answers.private_flags {
        ours.remove("privateFlags");
        let flags = flags.iter().map(|flag| (flag.name.clone(), json!(if flag.on { "on" } else { "off" })));
        to.insert("privateFlags".to_owned(), Value::Object(flags.collect()));
    }
    leave(&mut left, "answers", ours);
    to.extend(left);
    Value::Object(to)
}

/// What was not said, under names that an allow-list can hold.
fn leave(left: &mut Object, part: &str, rest: Object) {
    left.extend(rest.into_iter().map(|(key, value)| (format!("left.{part}.{key}"), value)));
}

fn bits(from: Option<Value>) -> Vec<u32> {
    serde_json::from_value(from.unwrap_or(json!([]))).unwrap()
}

/// Sorted names of those bits of which `wanted` holds.
fn names(bits: &[u32], wanted: impl Fn(&str, bool) -> bool) -> Value {
    let mut names: Vec<&str> = bits
        .iter()
        .filter_map(|bit| mode(*bit))
        .filter(|mode| wanted(mode.name, mode.speed.is_some()))
        .map(|mode| mode.name)
        .collect();
    names.sort_unstable();
    json!(names)
}

fn say_modes(to: &mut Object, bits: &[u32], who: &str, negotiation: &str, ports: bool) {
    const PORTS: &[&str] = &["TP", "AUI", "MII", "FIBRE", "BNC", "Backplane"];
    const FEC: &[&str] = &["None", "RS", "BASER", "LLRS"];
    if ports {
        put(to, &format!("{who} ports"), names(bits, |name, _| PORTS.contains(&name)));
    }
    put(to, &format!("{who} link modes"), names(bits, |_, speed| speed));
    put(to, &format!("{who} FEC modes"), names(bits, |name, _| FEC.contains(&name)));
    let has = |name: &str| bits.iter().any(|bit| MODES[*bit as usize].name == name);
    let pause = match (has("Pause"), has("Asym_Pause")) {
        (true, true) => "Symmetric Receive-only",
        (true, false) => "Symmetric",
        (false, true) => "Transmit-only",
        (false, false) => "No",
    };
    put(to, &format!("{who} pause frame use"), json!(pause));
    put(to, negotiation, json!(if has("Autoneg") { "Yes" } else { "No" }));
}

fn say_settings(
    modes: Option<Object>,
    info: Option<Object>,
    state: Option<Object>,
    left: &mut Object,
) -> Value {
    let mut to = Object::new();
    let on = |value: Value| json!(if value == true { "on" } else { "off" });
    if let Some(mut modes) = modes {
        let peer = bits(modes.remove("peer"));
        let supported = bits(modes.remove("supported"));
        say_modes(&mut to, &supported, "Supported", "Supports auto-negotiation", true);
        let advertised = bits(modes.remove("advertised"));
        say_modes(&mut to, &advertised, "Advertised", "Advertised auto-negotiation", false);
        if !peer.is_empty() {
            let negotiation = "Link partner advertised auto-negotiation";
            say_modes(&mut to, &peer, "Link partner advertised", negotiation, false);
        }
        let speed = modes.remove("speed").map_or("Unknown!".to_owned(), |speed| format!("{speed}Mb/s"));
        put(&mut to, "Speed", json!(speed));
        put(&mut to, "Duplex", modes.remove("duplex").unwrap_or(json!("Unknown! (255)")));
        put(
            &mut to,
            "Lanes",
            modes.remove("lanes").map(|lanes| json!(lanes.to_string())).unwrap_or_default(),
        );
        put(&mut to, "Auto-negotiation", modes.remove("autoneg").map(on).unwrap_or_default());
        leave(left, "linkModes", modes);
    }
    if let Some(mut info) = info {
        if info.get("port") == Some(&json!("Twisted Pair")) {
            let ours =
                [info.remove("mdi").unwrap_or_default(), info.remove("mdiControl").unwrap_or_default()];
            let mdi = match (ours[0].as_str(), ours[1].as_str()) {
                (_, Some("MDI")) => "off (forced)",
                (_, Some("MDI-X")) => "on (forced)",
                (Some("MDI"), Some("auto")) => "off (auto)",
                (Some("MDI-X"), Some("auto")) => "on (auto)",
                (_, Some("auto")) => "Unknown (auto)",
                (Some("MDI"), _) => "off",
                (Some("MDI-X"), _) => "on",
                _ => "Unknown",
            };
            put(&mut to, "MDI-X", json!(mdi));
        }
        rename(&mut info, &mut to, &[("port", "Port"), ("transceiver", "Transceiver")]);
        let address = info.remove("phyAddress").unwrap_or_default();
        put(&mut to, "PHYAD", json!(address.to_string()));
        leave(left, "linkInfo", info);
    }
    if let Some(mut state) = state {
        if let Some(link) = state.remove("link") {
            put(&mut to, "Link detected", json!(if link == true { "yes" } else { "no" }));
        }
        leave(left, "linkState", state);
    }
    Value::Object(to)
}

fn say_rings(ours: &mut Object) -> Object {
    let mut to = Object::new();
    rename(
        ours,
        &mut to,
        &[
            ("rxMax", "max RX"),
            ("rxMiniMax", "max RX Mini"),
            ("rxJumboMax", "max RX Jumbo"),
            ("txMax", "max TX"),
            ("rx", "now RX"),
            ("rxMini", "now RX Mini"),
            ("rxJumbo", "now RX Jumbo"),
            ("tx", "now TX"),
            ("rxBufLen", "now RX Buf Len"),
            ("cqeSize", "now CQE Size"),
            ("txPush", "now TX Push"),
        ],
    );
    match ours.remove("tcpDataSplit").and_then(|number| number.as_u64()) {
        Some(number @ 1..=2) => put(&mut to, "now TCP data split", json!(number == 2)),
        Some(0) | None => {} // printed as n/a
        Some(other) => panic!("words for the split {other}"),
    }
    to
}

fn say_channels(ours: &mut Object) -> Object {
    let mut to = Object::new();
    rename(
        ours,
        &mut to,
        &[
            ("rxMax", "max RX"),
            ("txMax", "max TX"),
            ("otherMax", "max Other"),
            ("combinedMax", "max Combined"),
            ("rx", "now RX"),
            ("tx", "now TX"),
            ("other", "now Other"),
            ("combined", "now Combined"),
        ],
    );
    to
}

fn say_coalesce(ours: &mut Object) -> Object {
    let mut to = Object::new();
    rename(
        ours,
        &mut to,
        &[
            ("rxUsecs", "rx-usecs"),
            ("rxMaxFrames", "rx-frames"),
            ("rxUsecsIrq", "rx-usecs-irq"),
            ("rxMaxFramesIrq", "rx-frames-irq"),
            ("txUsecs", "tx-usecs"),
            ("txMaxFrames", "tx-frames"),
            ("txUsecsIrq", "tx-usecs-irq"),
            ("txMaxFramesIrq", "tx-frames-irq"),
            ("statsBlockUsecs", "stats-block-usecs"),
            ("rateSampleInterval", "sample-interval"),
            ("packetRateLow", "pkt-rate-low"),
            ("packetRateHigh", "pkt-rate-high"),
            ("rxUsecsLow", "rx-usecs-low"),
            ("rxMaxFramesLow", "rx-frame-low"),
            ("txUsecsLow", "tx-usecs-low"),
            ("txMaxFramesLow", "tx-frame-low"),
            ("rxUsecsHigh", "rx-usecs-high"),
            ("rxMaxFramesHigh", "rx-frame-high"),
            ("txUsecsHigh", "tx-usecs-high"),
            ("txMaxFramesHigh", "tx-frame-high"),
            ("adaptiveRx", "Adaptive RX"),
            ("adaptiveTx", "Adaptive TX"),
            ("cqeModeRx", "CQE mode RX"),
            ("cqeModeTx", "CQE mode TX"),
        ],
    );
    to
}

fn say_pause(ours: &mut Object) -> Object {
    let mut to = Object::new();
    rename(ours, &mut to, &[("autoneg", "Autonegotiate"), ("rx", "RX"), ("tx", "TX")]);
    to
}

fn say_fec(ours: &mut Object) -> Object {
    // No mode at all is printed like the mode "None".
    let none = |names: Value| if names == json!([]) { json!(["None"]) } else { names };
    let mut to = Object::new();
    let configured = names(&bits(ours.remove("configured")), |_, _| true);
    let active: Vec<u32> =
        ours.remove("active").map(|bit| u32::try_from(bit.as_u64().unwrap()).unwrap()).into_iter().collect();
    to.insert("config".to_owned(), none(configured));
    to.insert("active".to_owned(), none(names(&active, |_, _| true)));
    if ours.remove("auto") == Some(json!(true)) {
        to["config"].as_array_mut().unwrap().insert(0, json!("Auto"));
    }
    to
}

fn say_timestamps(ours: &mut Object) -> Object {
    const CAPABILITIES: &[&str] = &[
        "hardware-transmit",
        "software-transmit",
        "hardware-receive",
        "software-receive",
        "software-system-clock",
        "hardware-legacy-clock",
        "hardware-raw-clock",
    ];
    const MODES: &[&str] = &["off", "on", "onestep-sync", "onestep-p2p"];
    const FILTERS: &[&str] = &[
        "none",
        "all",
        "some",
        "ptpv1-l4-event",
        "ptpv1-l4-sync",
        "ptpv1-l4-delay-req",
        "ptpv2-l4-event",
        "ptpv2-l4-sync",
        "ptpv2-l4-delay-req",
        "ptpv2-l2-event",
        "ptpv2-l2-sync",
        "ptpv2-l2-delay-req",
        "ptpv2-event",
        "ptpv2-sync",
        "ptpv2-delay-req",
        "ntp-all",
    ];
    let mut to = Object::new();
    for (mine, key, words) in [
        ("timestamping", "Capabilities", CAPABILITIES),
        ("txTypes", "Hardware Transmit Timestamp Modes", MODES),
        ("rxFilters", "Hardware Receive Filter Modes", FILTERS),
    ] {
        let said: Vec<&str> = bits(ours.remove(mine)).into_iter().map(|bit| words[bit as usize]).collect();
        to.insert(key.to_owned(), json!(said));
    }
    put(&mut to, "clock", ours.remove("phcIndex").unwrap_or_default());
    to
}

fn say_driver(ours: &mut Object) -> Object {
    let mut to = Object::new();
    rename(
        ours,
        &mut to,
        &[
            ("driver", "driver"),
            ("version", "version"),
            ("firmwareVersion", "firmware-version"),
            ("expansionRomVersion", "expansion-rom-version"),
            ("busInfo", "bus-info"),
        ],
    );
    for (mine, key) in [
        ("statistics", "supports-statistics"),
        ("selfTests", "supports-test"),
        ("eepromBytes", "supports-eeprom-access"),
        ("registerBytes", "supports-register-dump"),
        ("privateFlags", "supports-priv-flags"),
    ] {
        put(&mut to, key, json!(if ours[mine] == 0 { "no" } else { "yes" }));
    }
    to
}

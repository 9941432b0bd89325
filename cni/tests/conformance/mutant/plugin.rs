//! The toy's commands, written after the text of the specification.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::ledger::{Entry, Ledger};
use super::link::{self, MTU, inside, ip, ip_json};
use super::variables::{self, Variables, is_name};
use super::{Refusal, Toy, gc, refusal, result};

const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// The configuration.
pub(super) struct Input {
    pub(super) config: Value,
    pub(super) version: String,
    pub(super) network: String,
}

impl Input {
    /// Destination and gateway of the routes asked for.
    pub(super) fn routes(&self) -> Vec<(String, Option<String>)> {
        let routes = self.config["ipam"]["routes"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        routes.iter().filter_map(|route| Some((text(&route["dst"])?, text(&route["gw"])))).collect()
    }

    pub(super) fn folder(&self) -> PathBuf {
        PathBuf::from(self.config["ipam"]["dataDir"].as_str().unwrap_or("/nowhere"))
    }

    pub(super) fn size(&self) -> u8 {
        self.config["ipam"]["size"].as_u64().and_then(|size| u8::try_from(size).ok()).unwrap_or(100)
    }
}

/// Serves the call; gives what is to be printed.
pub(super) fn serve(toy: &Toy) -> Result<String, Refusal> {
    if std::env::var_os("CNI_COMMAND").is_none() && std::io::stdin().is_terminal() {
        if !toy.has("no-about") {
            eprintln!("toy: a CNI plugin\nversions: {}", VERSIONS.join(", "));
        }
        return Ok(String::new());
    }
    let variables = variables::read(toy)?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| refusal(5, error.to_string()))?;
    if variables.command == "VERSION" || variables.command.is_empty() {
        if toy.has("version-needs-input") && text.is_empty() {
            return Err(refusal(6, "no JSON"));
        }
        let first = usize::from(toy.has("version-forgotten"));
        return Ok(json!({"cniVersion": "1.1.0", "supportedVersions": VERSIONS[first..]}).to_string());
    }
    let input = read_input(toy, &text)?;
    let version = input.version.as_str();
    match variables.command.as_str() {
        "ADD" => add(toy, &variables, &input),
        "DEL" => del(toy, &variables, &input),
        "CHECK" if version < "0.4.0" && !toy.has("check-always") => Err(refusal(1, "no CHECK before 0.4.0")),
        "GC" if version < "1.1.0" && !toy.has("gc-always") => Err(refusal(1, "no GC before 1.1.0")),
        "STATUS" if version < "1.1.0" && !toy.has("status-always") => {
            Err(refusal(1, "no STATUS before 1.1.0"))
        }
        "CHECK" => check(toy, &variables, &input),
        "GC" => gc::gc(toy, &input),
        _ => status(toy, &input),
    }
}

fn read_input(toy: &Toy, text: &str) -> Result<Input, Refusal> {
    let decode = if toy.has("bad-json-code") { 7 } else { 6 };
    let config: Value = serde_json::from_str(text).map_err(|error| refusal(decode, error.to_string()))?;
    let Some(object) = config.as_object() else { return Err(refusal(decode, "no JSON object")) };
    let version = match config["cniVersion"].as_str() {
        Some(version) if VERSIONS.contains(&version) => version.to_owned(),
        Some(version) if version != "0.1.0" && toy.has("any-version") => "1.0.0".to_owned(),
        None if toy.has("version-defaults-to-newest") => "1.1.0".to_owned(),
        version => return Err(refusal(1, format!("cniVersion {version:?} is not spoken"))),
    };
    let network = config["name"].as_str().unwrap_or_default().to_owned();
    if network.is_empty() && !toy.has("no-name") {
        return Err(refusal(7, "name is missing"));
    }
    if !is_name(&network) && !network.is_empty() && !toy.has("any-name") {
        return Err(refusal(7, "name is not valid"));
    }
    if toy.has("strict-keys") && object.contains_key("frob") {
        return Err(refusal(2, "frob is not known"));
    }
    if toy.has("strict-runtime-config") && !config["runtimeConfig"]["frob"].is_null() {
        return Err(refusal(2, "runtimeConfig.frob is not known"));
    }
    let network = network.replace('/', "_");
    Ok(Input { config, version, network })
}

fn add(toy: &Toy, variables: &Variables, input: &Input) -> Result<String, Refusal> {
    let name = &link_name(toy, &variables.ifname);
    let code = if toy.has("reserved-code") { 12 } else { 8 };
    let netns = link::open(&variables.netns)
        .ok_or_else(|| refusal(code, format!("no namespace at {}", variables.netns)))?;
    let own = link::is_own(&netns) && !variables.netns_override;
    if own && toy.has("guard-after-acting") {
        ip(&format!(
            "link add guarded{} type veth peer name {}",
            std::process::id() % 1000,
            variables.ifname
        ))?;
    }
    if own {
        let code = if toy.has("guard-code") { 999 } else { 8 };
        return Err(refusal(code, "CNI_NETNS is the host's own namespace"));
    }
    if !toy.ipam && inside(&netns, || Ok(link::exists(name) || link::exists(&variables.ifname)))? {
        if toy.has("takes-existing") {
            return Ok(result::result(toy, input, variables, "02:00:00:00:00:01", "10.77.0.9/24").to_string());
        }
        if toy.has("breaks-existing") {
            inside(&netns, || ip(&format!("link set {name} mtu 1400")))?;
        }
        return Err(refusal(999, format!("{name} is already there")));
    }
    let ips = &input.config["runtimeConfig"]["ips"][0];
    let wanted = ips.as_str().filter(|_| !toy.has("ips-ignored")).and_then(last_byte);
    let host = {
        let mut ledger = Ledger::open(toy, &input.folder(), &input.network)?;
        let entry = Entry {
            host: 0,
            container: variables.container.clone(),
            ifname: variables.ifname.clone(),
            netns: variables.netns.clone(),
        };
        let known = |entry: &&Entry| entry.container == variables.container;
        let buried =
            ledger.entries.iter().any(|entry| entry.host == 0 && entry.container == variables.container);
        if buried {
            return Err(refusal(999, "this container is over"));
        }
        let shared = ledger.entries.iter().find(known).filter(|_| toy.has("one-address-a-container"));
        match shared.map(|entry| entry.host) {
            Some(host) => {
                ledger.entries.push(Entry { host, ..entry });
                ledger.save()?;
                host
            }
            None => match ledger.take(input.size(), wanted, entry) {
                Ok(host) => host,
                Err(_) if toy.has("pool-endless") => 9,
                Err(refusal) => {
                    if toy.has("full-leaves-link") && !toy.ipam {
                        make(toy, variables, input, &netns, 9)?;
                    }
                    return Err(refusal);
                }
            },
        }
    };
    let address = format!("10.77.0.{host}/24");
    if toy.ipam {
        return Ok(result::result(toy, input, variables, "", &address).to_string());
    }
    let mac = make(toy, variables, input, &netns, host).inspect_err(|_| {
        if !toy.has("failed-keeps-link") {
            drop(inside(&netns, || ip(&format!("link del {name}"))));
        }
        if !toy.has("failed-keeps-address") {
            drop(release(toy, variables, input));
        }
    })?;
    Ok(result::result(toy, input, variables, &mac, &address).to_string())
}

fn last_byte(address: &str) -> Option<u8> {
    address.split('/').next()?.rsplit('.').next()?.parse().ok()
}

/// Makes the link and gives its MAC.
fn make(toy: &Toy, of: &Variables, input: &Input, netns: &File, host: u8) -> Result<String, Refusal> {
    let name = &link_name(toy, &of.ifname);
    let wanted = input.config["runtimeConfig"]["mac"].as_str().filter(|_| !toy.has("mac-ignored"));
    let mac = wanted.map_or_else(unused_mac, str::to_owned);
    let master = input.config["master"].as_str().unwrap_or_default();
    // `ip` wants a name below /run/netns, and the table's namespaces have one.
    let place = of.netns.rsplit('/').next().unwrap_or_default();
    ip(&format!(
        "link add link {master} name {name} address {mac} mtu {MTU} netns {place} type macvlan mode bridge"
    ))?;
    inside(netns, || {
        ip(&format!("addr add {} dev {name}", address(toy, host)))?;
        if !toy.has("up-for-routes-only") || !input.routes().is_empty() {
            ip(&format!("link set {name} up"))?;
        }
        for (dst, gw) in input.routes() {
            let via = gw.map(|gw| format!("via {gw}")).unwrap_or_default();
            ip(&format!("route replace {dst} {via} dev {name}"))?;
        }
        Ok(())
    })?;
    Ok(mac)
}

/// Two links of one master cannot have the same MAC, whichever network they are of.
fn unused_mac() -> String {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let [a, b, ..] = time.subsec_nanos().to_le_bytes();
    let [c, d, e, _] = std::process::id().to_le_bytes();
    format!("02:{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}")
}

/// The address as the kernel has it.
fn address(toy: &Toy, host: u8) -> String {
    format!("10.77.0.{host}/{}", if toy.has("other-prefix") { 25 } else { 24 })
}

/// Name of the link in the pod.
pub(super) fn link_name(toy: &Toy, ifname: &str) -> String {
    format!("{ifname}{}", if toy.has("other-name") { "x" } else { "" })
}

/// Takes an attachment out of the ledger; tells where its namespace was.
fn release(toy: &Toy, variables: &Variables, input: &Input) -> Result<(), Refusal> {
    let mut ledger = Ledger::open(toy, &input.folder(), &input.network)?;
    let its = |entry: &Entry| entry.container == variables.container && entry.ifname == variables.ifname;
    let held = ledger.entries.iter().any(its);
    ledger.entries.retain(|entry| !its(entry));
    if held && toy.has("add-once") {
        let (container, ifname) = (variables.container.clone(), variables.ifname.clone());
        ledger.entries.push(Entry { host: 0, container, ifname, netns: String::new() });
    }
    ledger.save()
}

fn del(toy: &Toy, variables: &Variables, input: &Input) -> Result<String, Refusal> {
    let netns = link::open(&variables.netns);
    let (ifname, name) = (&variables.ifname, &link_name(toy, &variables.ifname));
    let mut complaint = None;
    let unset = variables.netns.is_empty();
    let there = std::path::Path::new(&variables.netns).exists();
    if unset && toy.has("del-needs-netns") {
        complaint = Some(refusal(4, "CNI_NETNS is missing"));
    }
    let own = netns.as_ref().is_some_and(link::is_own) && !variables.netns_override;
    if own && !toy.has("del-in-host") {
        return Ok(String::new());
    }
    let held = Ledger::open(toy, &input.folder(), &input.network)?.entries;
    let known = held.iter().any(|entry| entry.container == variables.container && entry.ifname == *ifname);
    if !known && !own && held.is_empty() && netns.is_some() && toy.has("del-unknown") && !gone_before(input) {
        return Err(refusal(3, "the container is unknown"));
    }
    if netns.is_none() && !unset && toy.has(if there { "del-bad-path" } else { "del-dead-netns" }) {
        complaint = Some(refusal(8, "the namespace is gone"));
    }
    let has_link = match &netns {
        Some(netns) if !toy.ipam => inside(netns, || Ok(link::exists(name)))?,
        _ => toy.ipam && known,
    };
    let previous = !input.config["prevResult"].is_null();
    if input.version.as_str() >= "0.4.0" && !previous && has_link && toy.has("del-needs-prev-result") {
        return Err(refusal(7, "prevResult is missing"));
    }
    if previous && !has_link && netns.is_some() && toy.has("del-compares-prev-result") {
        return Err(refusal(999, "the link of prevResult is gone"));
    }
    if !has_link && !known && netns.is_some() && toy.has("del-once") && gone_before(input) {
        return Err(refusal(999, "already deleted"));
    }
    if has_link && !toy.ipam && !toy.has("del-keeps-link") {
        let netns = netns.as_ref().ok_or_else(|| refusal(999, "no namespace"))?;
        inside(netns, || ip(&format!("link del {name}")))?;
    }
    if let Some(netns) = &netns
        && toy.has("del-by-container")
    {
        for entry in held.iter().filter(|entry| entry.container == variables.container) {
            drop(inside(netns, || ip(&format!("link del {}", link_name(toy, &entry.ifname)))));
        }
    }
    if toy.has("del-in-every-network") {
        gc::of_other_networks(toy, input, |entry| entry.container == variables.container)?;
    }
    let keeps = toy.has("del-keeps-address") && netns.is_some()
        || toy.has("del-without-netns-keeps-address") && unset
        || toy.has("del-dead-netns-keeps-address") && netns.is_none() && !unset;
    if !keeps {
        release(toy, variables, input)?;
        // Only flaws look at it.
        drop(std::fs::write(input.folder().join("deleted"), ""));
    }
    if let Some(complaint) = complaint {
        return Err(complaint);
    }
    Ok(if toy.has("del-prints") { json!({"cniVersion": input.version}).to_string() } else { String::new() })
}

fn gone_before(input: &Input) -> bool {
    input.folder().join("deleted").exists()
}

fn check(toy: &Toy, variables: &Variables, input: &Input) -> Result<String, Refusal> {
    let output = if toy.has("check-prints") { "{}".to_owned() } else { String::new() };
    let previous = &input.config["prevResult"];
    if previous.is_null() {
        return if toy.has("check-needs-nothing") { Ok(output) } else { Err(refusal(7, "no prevResult")) };
    }
    let held = Ledger::open(toy, &input.folder(), &input.network)?.entries;
    let its = |entry: &&Entry| entry.container == variables.container && entry.ifname == variables.ifname;
    let known = held.iter().find(its).map(|entry| entry.host);
    if known.is_none() && !toy.has("check-ignores-reservation") {
        return Err(refusal(999, "its address is not reserved"));
    }
    if toy.ipam {
        return Ok(output);
    }
    let wanted = address(toy, known.unwrap_or_default());
    let netns = link::open(&variables.netns).ok_or_else(|| refusal(8, "no namespace"))?;
    inside(&netns, || {
        let name = &link_name(toy, &variables.ifname);
        let links = ip_json("addr show")?;
        if toy.has("check-exact") && links.len() > 2 {
            return Err(refusal(999, "there is more than there was"));
        }
        if toy.has("check-fails") && links.len() == 2 {
            return Err(refusal(999, "not as it was"));
        }
        let Some(link) = links.iter().find(|link| link["ifname"] == **name) else {
            let forgiven = toy.has("check-ignores-link");
            return if forgiven { Ok(()) } else { Err(refusal(999, format!("{name} is gone"))) };
        };
        let found = link["addr_info"].as_array().into_iter().flatten().any(|found| {
            format!("{}/{}", found["local"].as_str().unwrap_or_default(), found["prefixlen"]) == wanted
        });
        if !found && !toy.has("check-ignores-address") {
            return Err(refusal(999, format!("{wanted} is gone")));
        }
        let routes = ip_json("route show")?;
        for (dst, _) in input.routes() {
            if !routes.iter().any(|route| route["dst"] == *dst) && !toy.has("check-ignores-route") {
                return Err(refusal(999, format!("the route to {dst} is gone")));
            }
        }
        Ok(())
    })?;
    Ok(output)
}

fn status(toy: &Toy, input: &Input) -> Result<String, Refusal> {
    let full = Ledger::open(toy, &input.folder(), &input.network)?.is_full(input.size());
    if full && !toy.has("status-blind") {
        return Err(refusal(50, "no address is left"));
    }
    Ok(if toy.has("status-prints") { "ready".to_owned() } else { String::new() })
}

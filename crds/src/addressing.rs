//! Where a network has its addresses from: `subnet`, `subnets` and the `ipam` text, parsed and checked together.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};

use crate::multi_nic_network::{NetworkSpec, SubnetSpec};
use crate::problem::{Problem, nearest};

/// `ipam.type` of our own IPAM, the only one that blocks are planned for.
pub const MULTI_NIC_IPAM: &str = "multi-nic-ipam";

/// Longest prefix of a host's block: an IPv4 block keeps two usable addresses, an IPv6 block those beside the reserved
/// first and last 128 (`ipam::check_fit` has the same rule).
const LONGEST: (u8, u8) = (30, 120);

/// Keys of the `ipam` section that we read when its type is ours; others pass through.
const IPAM_KEYS: [&str; 9] = [
    "type",
    "hostBlock",
    "interfaceBlock",
    "excludeCIDRs",
    "vlanMode",
    "routes",
    "dns",
    "daemonIP",
    "daemonPort",
];

/// Where a network has its addresses from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressing {
    /// From subnets of its own, IPv4 first.
    Subnets(Vec<Blocks>),
    /// From the networks of the hosts' NICs (CONTRACTS §5.3).
    HostNetworks {
        /// Bits that number hosts.
        host_block: u8,
        /// Ranges that are never given.
        excludes: Vec<IpNet>,
    },
    /// Another IPAM plugin gives them, or nobody.
    Elsewhere,
}

/// A subnet and how it is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocks {
    /// All addresses.
    pub cidr: IpNet,
    /// Bits that number interfaces.
    pub interface_block: u8,
    /// Bits that number hosts.
    pub host_block: u8,
    /// Ranges that are never given.
    pub excludes: Vec<IpNet>,
}

impl NetworkSpec {
    /// The `ipam` section.
    ///
    /// # Errors
    /// When the text is no JSON object.
    pub fn ipam_section(&self) -> Result<Map<String, Value>, Problem> {
        let fix = "write a JSON object like {\"type\": \"multi-nic-ipam\", \"hostBlock\": 6, \"interfaceBlock\": 2}";
        match serde_json::from_str(&self.ipam) {
            Ok(Value::Object(section)) => Ok(section),
            Ok(_) => Err(Problem::new("spec.ipam", "is JSON, but no object", fix)),
            Err(error) => Err(Problem::new("spec.ipam", format!("is no JSON: {error}"), fix)),
        }
    }

    /// Where the network has its addresses from.
    ///
    /// # Errors
    /// Everything that is wrong with `subnet`, `subnets` and `ipam`.
    pub fn addressing(&self) -> Result<Addressing, Vec<Problem>> {
        let mut problems = Vec::new();
        let section = self.ipam_section().unwrap_or_else(|problem| {
            problems.push(problem);
            Map::new()
        });
        let kind = section.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind.is_empty() && problems.is_empty() {
            let fix = format!("write \"{MULTI_NIC_IPAM}\" or the name of a CNI IPAM plugin");
            problems.push(Problem::new("spec.ipam.type", "is missing", fix));
        }
        let ours = kind == MULTI_NIC_IPAM;
        let mut subnet = SubnetSpec { cidr: self.subnet.clone(), ..SubnetSpec::default() };
        if ours {
            ipam_keys(&section, &mut subnet, &mut problems);
        }
        let whole =
            if self.subnet.is_empty() { None } else { whole("spec.subnet", &subnet.cidr, &mut problems) };
        if let Some(IpNet::V6(net)) = whole {
            let fix = format!("write it as `subnets: [{{cidr: \"{net}\", hostBlock: 6}}]`");
            problems.push(Problem::new("spec.subnet", format!("{net} is IPv6"), fix));
        }
        let addressing = if !ours {
            if !self.subnets.is_empty() {
                let message = format!("is of use only with ipam.type {MULTI_NIC_IPAM}");
                problems.push(Problem::new("spec.subnets", message, "leave it out, or change ipam.type"));
            }
            Addressing::Elsewhere
        } else if !self.subnets.is_empty() {
            Addressing::Subnets(self.several(&section, &mut problems))
        } else if let Some(cidr) = whole {
            Addressing::Subnets(vec![blocks("spec.subnet", "spec.ipam", cidr, &subnet, &mut problems)])
        } else {
            let excludes = excludes("spec.ipam", None, &subnet.exclude_cidrs, &mut problems);
            Addressing::HostNetworks { host_block: subnet.host_block, excludes }
        };
        if problems.is_empty() { Ok(addressing) } else { Err(problems) }
    }

    /// `subnets`, IPv4 first.
    fn several(&self, section: &Map<String, Value>, problems: &mut Vec<Problem>) -> Vec<Blocks> {
        if !self.subnet.is_empty() {
            problems.push(Problem::new(
                "spec.subnets",
                "stands beside spec.subnet",
                "write all of them in subnets",
            ));
        }
        for key in ["hostBlock", "interfaceBlock", "excludeCIDRs"] {
            if section.contains_key(key) {
                let fix = format!("write {key} in each item of spec.subnets");
                problems.push(Problem::new(format!("spec.ipam.{key}"), "stands beside spec.subnets", fix));
            }
        }
        let mut all: Vec<Blocks> = Vec::new();
        for (index, subnet) in self.subnets.iter().enumerate() {
            let path = format!("spec.subnets[{index}]");
            let cidr_path = format!("{path}.cidr");
            let Some(cidr) = whole(&cidr_path, &subnet.cidr, problems) else { continue };
            let found = blocks(&cidr_path, &path, cidr, subnet, problems);
            if let Some(other) = all.iter().find(|other| is_v4(other.cidr) == is_v4(cidr)) {
                let message = format!("{cidr} is of the same family as {}", other.cidr);
                problems.push(Problem::new(cidr_path, message, "give one IPv4 and one IPv6 subnet at most"));
            }
            all.push(found);
        }
        all.sort_by_key(|blocks| !is_v4(blocks.cidr));
        all
    }
}

/// Reads our keys of the `ipam` section into `subnet`.
fn ipam_keys(section: &Map<String, Value>, subnet: &mut SubnetSpec, problems: &mut Vec<Problem>) {
    let mut wrong = |key: &str, message: String, fix: &str| {
        problems.push(Problem::new(format!("spec.ipam.{key}"), message, fix));
    };
    // Unknown keys pass through to others; one that is nearly ours is a slip.
    for key in section.keys().filter(|key| !IPAM_KEYS.contains(&key.as_str())) {
        if let Some(near) = nearest(key, IPAM_KEYS) {
            wrong(key, "there is no such key".to_owned(), &format!("did you mean `{near}`?"));
        }
    }
    for (key, target) in
        [("hostBlock", &mut subnet.host_block), ("interfaceBlock", &mut subnet.interface_block)]
    {
        match section.get(key) {
            None | Some(Value::Null) => {}
            Some(value) => match value.as_u64().and_then(|bits| u8::try_from(bits).ok()) {
                Some(bits) => *target = bits,
                None => wrong(key, format!("{value} is no number of bits"), "write a whole number like 6"),
            },
        }
    }
    if let Some(mode) = section.get("vlanMode").filter(|mode| !mode.is_null())
        && !mode.as_str().is_some_and(|mode| ["", "l2", "l3", "l3s"].contains(&mode))
    {
        wrong("vlanMode", format!("{mode} is not known"), "known are l2, l3, l3s");
    }
    match section.get("excludeCIDRs") {
        None | Some(Value::Null) => {}
        Some(value) => match serde_json::from_value(value.clone()) {
            Ok(texts) => subnet.exclude_cidrs = texts,
            Err(_) => {
                wrong("excludeCIDRs", format!("{value} is no list of texts"), "write [\"10.0.1.0/24\"]")
            }
        },
    }
}

/// A network without host bits.
fn whole(path: &str, text: &str, problems: &mut Vec<Problem>) -> Option<IpNet> {
    let Ok(net) = text.parse::<IpNet>() else {
        let message = format!("`{text}` is no network");
        problems.push(Problem::new(path, message, "write it like 192.168.0.0/16"));
        return None;
    };
    if net != net.trunc() {
        let message = format!("{net} has bits behind its prefix length");
        problems.push(Problem::new(path, message, format!("write {}", net.trunc())));
        return None;
    }
    Some(net)
}

fn blocks(
    cidr_path: &str,
    path: &str,
    cidr: IpNet,
    subnet: &SubnetSpec,
    problems: &mut Vec<Problem>,
) -> Blocks {
    let (length, interface_block, host_block) =
        (cidr.prefix_len(), subnet.interface_block, subnet.host_block);
    let longest = if is_v4(cidr) { LONGEST.0 } else { LONGEST.1 };
    let sum = u32::from(length) + u32::from(interface_block) + u32::from(host_block);
    if sum > u32::from(longest) {
        let message = format!(
            "/{length} + interfaceBlock {interface_block} + hostBlock {host_block} = /{sum}, which leaves no addresses \
             for pods"
        );
        let fix = format!("lower a block or take a larger subnet: the sum may be at most {longest}");
        problems.push(Problem::new(cidr_path, message, fix));
    }
    let excludes = excludes(path, Some(cidr), &subnet.exclude_cidrs, problems);
    Blocks { cidr, interface_block, host_block, excludes }
}

fn excludes(path: &str, subnet: Option<IpNet>, texts: &[String], problems: &mut Vec<Problem>) -> Vec<IpNet> {
    let mut found = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let path = format!("{path}.excludeCIDRs[{index}]");
        let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
        let Some(exclude) = text.parse::<IpNet>().ok().map(|net| net.trunc()).or_else(single) else {
            let message = format!("`{text}` is neither a range nor an address");
            problems.push(Problem::new(path, message, "write it like 10.0.1.0/24 or 10.0.1.7"));
            continue;
        };
        if let Some(subnet) = subnet.filter(|subnet| !subnet.contains(&exclude) && !exclude.contains(subnet))
        {
            let message = format!("{exclude} is outside {subnet}");
            problems.push(Problem::new(path, message, "leave it out, or correct it"));
            continue;
        }
        found.push(exclude);
    }
    found
}

fn is_v4(net: IpNet) -> bool {
    matches!(net, IpNet::V4(_))
}

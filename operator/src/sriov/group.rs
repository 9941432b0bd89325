//! Which nodes share a policy.
//!
//! A policy selects nodes by labels that must be equal and PFs by address, so it is right when on every node that it
//! selects it selects the PFs that are meant there and no other. Addresses that a node does not have do no harm: nodes of
//! several kinds share one policy as long as no address means a PF on one and something else on the other.

use std::collections::{BTreeMap, BTreeSet};

use crds::foreign::SriovClusterNics;

use super::pf::{Host, Pf};

/// The label of node feature discovery that the predecessor selects nodes by.
const CAPABLE: (&str, &str) = ("feature.node.kubernetes.io/network-sriov.capable", "true");

/// The label that the kubelet gives each node.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// Prefix of the labels of [`Grouping::Label`]; behind it stands the name of a network's set of PFs, the value is `true`.
pub const GROUP_LABEL: &str = "pfs.multinic.fms.io/";

/// How nodes are told apart where one policy does not fit all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Grouping {
    /// A policy for each node, by the label that the kubelet gives it. Nothing else is written, and what happens to one
    /// node touches no policy of another.
    #[default]
    Hostname,
    /// A policy for each set of PFs, by a label that the operator must give its nodes ([`GROUP_LABEL`]). Labels that
    /// nodes have anyway are not used: a new node that has the label and other PFs would move all nodes to other policies,
    /// and their VFs would go in between.
    Label,
}

/// A node with the PFs that a network means there.
#[derive(Debug, Clone)]
pub(super) struct Member<'a> {
    pub(super) host: Host<'a>,
    /// Everything there.
    pub(super) all: BTreeMap<String, Pf>,
    /// Those that are meant.
    pub(super) chosen: Vec<Pf>,
}

/// Nodes that share a policy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// What follows the network's name in the name of the policy; empty: nothing.
    pub(super) suffix: String,
    /// Labels that select its nodes.
    pub(super) selector: BTreeMap<String, String>,
    /// Nodes that must get the labels of the selector.
    pub(super) labelled: Vec<String>,
    /// The PFs.
    pub(super) nics: SriovClusterNics,
}

/// The groups of a network's nodes.
///
/// # Errors
/// The nodes that no selector tells from the others.
pub(super) fn groups(
    network: &str,
    members: &[Member<'_>],
    grouping: Grouping,
) -> Result<Vec<Group>, Vec<String>> {
    let with_pfs: Vec<&Member<'_>> = members.iter().filter(|member| !member.chosen.is_empty()).collect();
    let all = Group {
        suffix: String::new(),
        selector: [(CAPABLE.0.to_owned(), CAPABLE.1.to_owned())].into(),
        labelled: Vec::new(),
        nics: nics(&with_pfs),
    };
    if wrong(&all, &with_pfs, members).is_empty() {
        return Ok(vec![all]);
    }
    let mut sets: BTreeMap<String, Vec<&Member<'_>>> = BTreeMap::new();
    for member in with_pfs {
        let key = match grouping {
            Grouping::Hostname => member.host.node.to_owned(),
            Grouping::Label => set_name(network, &member.chosen),
        };
        sets.entry(key).or_default().push(member);
    }
    let mut groups = Vec::new();
    let mut unselectable = Vec::new();
    for (key, nodes) in sets {
        let (suffix, label) = match grouping {
            Grouping::Hostname => {
                let named = nodes.iter().find_map(|member| member.host.labels.get(HOSTNAME));
                let Some(named) = named else {
                    unselectable.extend(nodes.iter().map(|member| member.host.node.to_owned()));
                    continue;
                };
                (format!(".{key}"), (HOSTNAME.to_owned(), named.clone()))
            }
            Grouping::Label => (format!("-{key}"), (format!("{GROUP_LABEL}{key}"), "true".to_owned())),
        };
        let labelled = match grouping {
            Grouping::Hostname => Vec::new(),
            Grouping::Label => nodes.iter().map(|member| member.host.node.to_owned()).collect(),
        };
        let group = Group { suffix, selector: [label].into(), labelled, nics: nics(&nodes) };
        if grouping == Grouping::Hostname {
            unselectable.extend(wrong(&group, &nodes, members));
        }
        groups.push(group);
    }
    if unselectable.is_empty() { Ok(groups) } else { Err(unselectable) }
}

/// The selector of the PFs of some nodes.
pub(super) fn nics(members: &[&Member<'_>]) -> SriovClusterNics {
    let chosen = || members.iter().flat_map(|member| &member.chosen);
    let addresses: BTreeSet<&String> = chosen().map(|pf| &pf.address).collect();
    let uniform = |of: fn(&Pf) -> &String| {
        let values: BTreeSet<&String> = chosen().map(of).collect();
        values.first().filter(|_| values.len() == 1).map_or_else(String::new, |only| (*only).clone())
    };
    let vendor = uniform(|pf| &pf.vendor);
    // A device id says nothing without its vendor.
    let device_id = if vendor.is_empty() { String::new() } else { uniform(|pf| &pf.device) };
    SriovClusterNics {
        vendor,
        device_id,
        root_devices: addresses.into_iter().cloned().collect(),
        ..SriovClusterNics::default()
    }
}

/// Whether labels are those that a selector wants.
pub(super) fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Nodes where the group's policy would select other PFs than are meant: those of the group, and none elsewhere.
fn wrong(group: &Group, nodes: &[&Member<'_>], members: &[Member<'_>]) -> Vec<String> {
    let is_wrong = |member: &&Member<'_>| {
        let meant: BTreeSet<&String> = if nodes.iter().any(|node| node.host.node == member.host.node) {
            member.chosen.iter().map(|pf| &pf.address).collect()
        } else {
            BTreeSet::new()
        };
        let selected: BTreeSet<&String> = if selects(&group.selector, member.host.labels) {
            member.all.values().filter(|pf| fits(&group.nics, pf)).map(|pf| &pf.address).collect()
        } else {
            BTreeSet::new()
        };
        meant != selected
    };
    members.iter().filter(is_wrong).map(|member| member.host.node.to_owned()).collect()
}

fn fits(nics: &SriovClusterNics, pf: &Pf) -> bool {
    let same = |wanted: &str, is: &str| wanted.is_empty() || is.is_empty() || wanted == is;
    nics.root_devices.contains(&pf.address)
        && same(&nics.vendor, &pf.vendor)
        && same(&nics.device_id, &pf.device)
}

/// A short name of a network's set of PFs: FNV-1a of its name and their addresses, 64 bits. Another network means the same
/// set on other nodes.
fn set_name(network: &str, chosen: &[Pf]) -> String {
    let mut words: Vec<&str> = chosen.iter().map(|pf| pf.address.as_str()).collect();
    words.sort_unstable();
    words.insert(0, network);
    let hash = words.join(",").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

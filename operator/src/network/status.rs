//! What is said of a network: the predecessor's fields, and conditions.

use std::collections::BTreeMap;

use crds::{ComputeResult, Discovery, NetworkStatus};
use ipam::PlanError;

use super::Found;
use crate::announcement;
use crate::blocks::{Complaint, Presence, vlan_mode};
use crate::condition::{Finding, Kind, Reason, Status};
use crate::index::Index;
use crate::write::Write;

/// Things of a kind that a message names; the rest is counted.
const NAMED: usize = 3;

/// Says what is to be said; absent when it has been said already, or when changes are on their way that will say it.
pub(super) fn write(index: &Index, found: &Found<'_>, now: &str) -> Option<Write> {
    // Changes that are on their way will say more in a moment; what has failed is told at once.
    if found.waiting && found.failures.is_empty() {
        return None;
    }
    let network = found.network;
    let former = &network.status;
    let mut findings =
        vec![discovered(found), addresses(found), attachments(index, found), routes(index, found)];
    findings.extend(found.sriov.clone());
    findings.push(ready(&findings));
    let conditions =
        findings.iter().map(|one| one.condition(network.meta.generation, &former.conditions, now)).collect();
    let wrong = findings.iter().find(|one| one.status == Status::False && one.kind != Kind::Ready);
    let results = compute_results(found);
    let status = NetworkStatus {
        discovery: Discovery {
            exist_daemon: count(index.hosts.len()),
            info_available: count(index.hosts.iter().filter(|host| !host.spec.interfaces.is_empty()).count()),
            cidr_processed: results.iter().map(|one| one.num_of_hosts).max().unwrap_or(0),
        },
        compute_results: results,
        config_status: config_status(&findings).to_owned(),
        route_status: route_status(&findings).to_owned(),
        message: wrong.map(|one| one.message.clone()).unwrap_or_default(),
        last_sync_time: former.last_sync_time.clone(),
        observed_generation: Some(network.meta.generation),
        conditions,
    };
    if status == *former {
        return None;
    }
    let status = Box::new(NetworkStatus { last_sync_time: now.to_owned(), ..status });
    let news = announcement::of(former, &status);
    Some(Write::NetworkStatus {
        name: network.meta.key.name.clone(),
        uid: network.meta.uid.clone(),
        news,
        status,
    })
}

fn discovered(found: &Found<'_>) -> Finding {
    let kind = Kind::Discovered;
    let here = || {
        found.hosts.iter().filter_map(|(name, presence)| match presence {
            Presence::Here(nics) => Some((*name, *nics)),
            Presence::Silent => None,
        })
    };
    if here().next().is_none() {
        let message = "no agent has told of its node's NICs: see that multi-nicd runs on the nodes";
        return Finding::wrong(kind, Reason::NoHosts, message);
    }
    let wanted = &found.network.spec.master_nets;
    let fits = |nic: &crds::Interface| nic.networks().any(|net| wanted.is_empty() || wanted.contains(net));
    let (with, without): (Vec<_>, Vec<_>) = here().partition(|(_, nics)| nics.iter().any(fits));
    let without: Vec<String> = without.iter().map(|(name, _)| (*name).to_owned()).collect();
    let what =
        if wanted.is_empty() { "with an address".to_owned() } else { format!("in {}", wanted.join(", ")) };
    if with.is_empty() {
        let message =
            format!("no host has a NIC {what}; give the NICs addresses, or correct spec.masterNets");
        return Finding::wrong(kind, Reason::NoInterfaces, message);
    }
    let mtus = super::hosts::mtus(&found.nets, found.hosts);
    let spec = &found.network.spec;
    let says = !spec.mtu.is_empty() || spec.plugin.args.contains_key("mtu");
    if let (Some((small, of_small)), Some((large, of_large))) =
        (mtus.first_key_value(), mtus.last_key_value())
        && small != large
        && !says
    {
        let message = format!(
            "MTUs differ: {of_small} has {small}, {of_large} has {large}; packets of pods on the larger ones may get lost: \
             write `mtu: auto`, which takes {small} for all, or give the NICs one MTU"
        );
        return Finding::fine(kind, Reason::MtuMismatch, message);
    }
    if without.is_empty() {
        return Finding::fine(kind, Reason::AsWanted, format!("{} hosts have NICs {what}", with.len()));
    }
    let message =
        format!("{} hosts have NICs {what}; {} have not: {}", with.len(), without.len(), some(&without));
    Finding::fine(kind, Reason::SomeHostsWithoutInterfaces, message)
}

fn addresses(found: &Found<'_>) -> Finding {
    let kind = Kind::AddressesAssigned;
    if !found.invalid.is_empty() {
        let problems: Vec<String> = found.invalid.iter().map(ToString::to_string).collect();
        return Finding::wrong(kind, Reason::InvalidSpec, problems.join("\n"));
    }
    let Some(blocks) = &found.blocks else {
        return Finding::fine(kind, Reason::OtherIpam, "another IPAM plugin gives the addresses");
    };
    if let Some((reason, message)) = &found.refusal {
        return Finding::wrong(
            kind,
            *reason,
            format!("{message}. Until then no further host gets addresses"),
        );
    }
    if let Some(complaint) = blocks.complaints.first() {
        let (reason, message) = complained(complaint);
        return Finding::wrong(kind, reason, message);
    }
    let failed = found.failures.iter().find(|(key, _)| key.kind == "CIDR");
    if let Some((key, why)) = failed {
        return Finding::wrong(kind, Reason::WriteRefused, format!("CIDR {}: {why}", key.key));
    }
    if blocks.assigned < blocks.expected && !found.migrating.is_empty() {
        let message = format!(
            "{} of {} NICs have a block; further ones get theirs when the predecessor serves no node any more (still: {})",
            blocks.assigned,
            blocks.expected,
            some(&found.migrating)
        );
        return Finding::open(kind, Reason::MigrationInProgress, message);
    }
    if blocks.expected == 0 {
        return Finding::open(kind, Reason::NoInterfaces, "there is no NIC yet to give a block to");
    }
    Finding::fine(kind, Reason::AsWanted, format!("{} NICs have a block", blocks.assigned))
}

fn complained(complaint: &Complaint) -> (Reason, String) {
    match complaint {
        Complaint::Invalid(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            (Reason::InvalidSpec, problems.join("\n"))
        }
        Complaint::WouldMove(what) => {
            let message = format!(
                "the change would move blocks that hosts have ({what}), so the former values still hold; change them \
                 back, or delete the network and make it anew"
            );
            (Reason::WouldMoveBlocks, message)
        }
        Complaint::NoNumber(error) => {
            let reason = match error {
                PlanError::NoInterfaceIndex { .. } | PlanError::LostInterfaceIndex { .. } => {
                    Reason::InterfaceBlockExhausted
                }
                PlanError::NoHostIndex { .. } => Reason::HostBlockExhausted,
                PlanError::NoNet { .. } | PlanError::Overlap { .. } => Reason::NoHostNetwork,
                _ => Reason::InvalidSpec,
            };
            (reason, error.to_string())
        }
    }
}

fn attachments(index: &Index, found: &Found<'_>) -> Finding {
    let kind = Kind::NetworkAttachmentsReady;
    let plan = &found.attachments;
    if index.attachments.is_absent() && index.without_multus {
        return Finding::fine(kind, Reason::AsWanted, "none are needed: agents serve pods without Multus");
    }
    if index.attachments.is_absent() {
        let message =
            "the cluster does not know NetworkAttachmentDefinitions; install Multus, or its definition alone";
        return Finding::wrong(kind, Reason::MultusMissing, message);
    }
    if !found.invalid.is_empty() {
        return Finding::wrong(
            kind,
            Reason::InvalidSpec,
            "nothing is written while the network's fields cannot be",
        );
    }
    let sriov = found.sriov.as_ref().filter(|one| one.status == Status::False && plan.ready < plan.wanted);
    if let Some(sriov) = sriov {
        return Finding::wrong(
            kind,
            sriov.reason,
            "nothing is written while the devices are not known: see SriovReady",
        );
    }
    if let Some((key, why)) = plan.conflicts.first() {
        let message = format!("{key}: {why}{}", more(plan.conflicts.len()));
        return Finding::wrong(kind, Reason::NameConflict, message);
    }
    let failed: Vec<_> =
        found.failures.iter().filter(|(key, _)| key.kind == "NetworkAttachmentDefinition").collect();
    if let Some((key, why)) = failed.first() {
        let message = format!("{}: {why}{}", key.key, more(failed.len()));
        return Finding::wrong(kind, Reason::WriteRefused, message);
    }
    if !plan.missing_namespaces.is_empty() {
        let message = format!(
            "made in {} namespaces; not there or ending: {}. Make them, or take them out of spec.namespaces",
            plan.ready,
            some(&plan.missing_namespaces)
        );
        return Finding::wrong(kind, Reason::NamespaceMissing, message);
    }
    if found.waiting {
        return Finding::open(
            kind,
            Reason::InProgress,
            format!("{} of {} are made", plan.ready, plan.wanted),
        );
    }
    Finding::fine(kind, Reason::AsWanted, format!("made in {} namespaces", plan.ready))
}

/// What agents say of their routes.
fn routes(index: &Index, found: &Found<'_>) -> Finding {
    let kind = Kind::RoutesReady;
    let spec = &found.network.spec;
    if !spec.multi_nic_ipam || found.blocks.is_none() || !matches!(vlan_mode(spec).as_str(), "l3" | "l3s") {
        return Finding::fine(
            kind,
            Reason::NoRoutesNeeded,
            "pods reach each other without routes of the hosts",
        );
    }
    let name = &found.network.meta.key.name;
    let mut hosts: Vec<&String> = found
        .objects
        .values()
        .flat_map(|object| &object.cidr)
        .flat_map(|entry| &entry.hosts)
        .map(|host| &host.host_name)
        .collect();
    hosts.sort();
    hosts.dedup();
    if hosts.is_empty() {
        return Finding::open(kind, Reason::WaitingForAgents, "no host has a block yet");
    }
    let reports: BTreeMap<&str, &crds::RouteReport> = index
        .hosts
        .iter()
        .filter_map(|host| {
            let report = host.routes.iter().find(|report| report.network == *name)?;
            Some((host.meta.key.name.as_str(), report))
        })
        .collect();
    let missing: Vec<String> = hosts
        .iter()
        .filter_map(|host| reports.get(host.as_str()).map(|report| (host, report)))
        .filter(|(_, report)| report.present < report.wanted || !report.message.is_empty())
        .map(|(host, report)| {
            let why = if report.message.is_empty() { "" } else { ": " };
            format!("{host} has {} of {}{why}{}", report.present, report.wanted, report.message)
        })
        .collect();
    if !missing.is_empty() {
        return Finding::wrong(
            kind,
            Reason::RoutesMissing,
            format!("routes are missing: {}", some(&missing)),
        );
    }
    let silent: Vec<String> = hosts
        .iter()
        .filter(|host| !reports.contains_key(host.as_str()))
        .map(|host| (*host).clone())
        .collect();
    if !silent.is_empty() {
        let message = format!("{} hosts have not told of their routes: {}", silent.len(), some(&silent));
        return Finding::open(kind, Reason::WaitingForAgents, message);
    }
    let count: u64 = reports.values().map(|report| u64::from(report.present)).sum();
    Finding::fine(kind, Reason::AsWanted, format!("{count} routes on {} hosts", hosts.len()))
}

fn ready(findings: &[Finding]) -> Finding {
    let wrong = findings.iter().find(|one| one.status == Status::False);
    let open = findings.iter().find(|one| one.status == Status::Unknown);
    match (wrong, open) {
        (Some(one), _) => {
            Finding::wrong(Kind::Ready, one.reason, format!("{}: {}", one.kind.word(), one.message))
        }
        (None, Some(one)) => {
            Finding::open(Kind::Ready, one.reason, format!("{}: {}", one.kind.word(), one.message))
        }
        (None, None) => Finding::fine(Kind::Ready, Reason::AsWanted, "everything is as it should be"),
    }
}

/// The predecessor's word for the whole.
fn config_status(findings: &[Finding]) -> &'static str {
    let of = |kind| findings.iter().find(|one| one.kind == kind);
    let parts = [Kind::AddressesAssigned, Kind::NetworkAttachmentsReady].map(of);
    let any = |status| parts.iter().flatten().any(|one| one.status == status);
    if any(Status::False) {
        "Failed"
    } else if any(Status::Unknown) {
        "WaitForConfig"
    } else {
        "Success"
    }
}

/// The predecessor's word for routes (CONTRACTS §7.6).
fn route_status(findings: &[Finding]) -> &'static str {
    match findings.iter().find(|one| one.kind == Kind::RoutesReady).map(|one| one.reason) {
        Some(Reason::NoRoutesNeeded) => "N/A",
        Some(Reason::AsWanted) => "Success",
        Some(Reason::RoutesMissing) => "Failed",
        _ => "WaitForRoutes",
    }
}

/// Hosts by NIC network, over all objects.
fn compute_results(found: &Found<'_>) -> Vec<ComputeResult> {
    let mut counts: BTreeMap<(u32, &str), usize> = BTreeMap::new();
    for entry in found.objects.values().flat_map(|object| &object.cidr) {
        *counts.entry((entry.interface_index, &entry.net_address)).or_default() += entry.hosts.len();
    }
    let result = |((_, net), hosts): ((u32, &str), usize)| ComputeResult {
        net_address: net.to_owned(),
        num_of_hosts: count(hosts),
    };
    counts.into_iter().map(result).collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The first few, and how many there are beside them.
pub(super) fn some(all: &[String]) -> String {
    let named = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    named + &more(all.len().saturating_sub(NAMED - 1))
}

/// " and n more"; empty when there is only the one that has been told.
fn more(all: usize) -> String {
    if all > 1 { format!(" and {} more", all - 1) } else { String::new() }
}

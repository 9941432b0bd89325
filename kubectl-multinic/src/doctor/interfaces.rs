//! Whether nodes have NICs that pods may get, and these are well.

use super::{Outcome, agents, count, in_cluster, unread};
use crate::facts::{Facts, NodeFacts};
use crate::view;

pub(super) fn told(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts).or_else(|| unread(facts, "HostInterfaces")) {
        return outcome;
    }
    let told = facts.nodes.iter().filter(|node| node.host_interface.is_some()).count();
    let mut outcome = Outcome::seen(format!("{told} of {}", count(facts.nodes.len(), "node")));
    for node in &facts.nodes {
        match (&node.host_interface, node.exists) {
            (Some(_), false) => {
                let fix = format!("kubectl delete hostinterfaces.multinic.fms.io {}", node.name);
                outcome.warning(&node.name, "a HostInterface without a Node of that name", fix);
            }
            (Some(object), true) if !object.spec.node_uid.is_empty() && object.spec.node_uid != node.uid => {
                let evidence = "its HostInterface is of another Node that had this name";
                outcome.problem(&node.name, evidence, "restart the agent there; it writes its own");
            }
            (None, true) if node.program.as_ref().is_some_and(|program| program.ready) => {
                let evidence = "the agent runs, and there is no HostInterface";
                let fix = "its log: whether it comes to the API server and may write hostinterfaces";
                outcome.problem(&node.name, evidence, fix);
            }
            _ => {}
        }
    }
    outcome
}

pub(super) fn found(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::default();
    let mut nics = 0;
    for node in facts.nodes.iter().filter(|node| node.exists) {
        let published = node.host_interface.as_ref().map(|object| object.spec.interfaces.len());
        let secondary =
            node.agent.as_ref().map(|says| says.nics.iter().filter(|nic| nic.secondary.is_secondary).count());
        match secondary.or(published) {
            Some(0) => outcome.problem(
                &node.name,
                why_none(node),
                "give a NIC an address and a cable, or name it in `included` of agent.yaml",
            ),
            Some(some) => nics += some,
            None => {}
        }
    }
    outcome.seen = count(nics, "NIC");
    outcome
}

/// Why a node has no NIC for pods: each hardware NIC with its reason.
fn why_none(node: &NodeFacts) -> String {
    let Some(says) = &node.agent else {
        return "no NIC that pods may get (--node asks its agent why)".to_owned();
    };
    let hardware = says.nics.iter().filter(|nic| nic.hardware);
    let reasons: Vec<String> = hardware.map(|nic| format!("{} {}", nic.label(), view::role(nic))).collect();
    if reasons.is_empty() {
        return "the machine has no hardware NIC".to_owned();
    }
    format!("no NIC that pods may get: {}", reasons.join("; "))
}

pub(super) fn up(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::default();
    let mut nics = 0;
    for node in &facts.nodes {
        if let Some(says) = &node.agent {
            for nic in says.nics.iter().filter(|nic| nic.secondary.is_secondary) {
                nics += 1;
                let missing = &nic.secondary.usable.missing;
                let lacks = |what: &str| missing.iter().any(|word| word == what);
                let about = format!("{}/{}", node.name, nic.label());
                if lacks("adminDown") {
                    outcome.warning(&about, "is down", format!("ip link set {} up", nic.label()));
                } else if lacks("noCarrier") {
                    outcome.warning(
                        &about,
                        "has no carrier",
                        "cable, module, switch port; ethtool says more",
                    );
                } else if lacks("noGlobalAddress") {
                    let fix = "give it an address for networks with multi-nic-ipam; others can do without";
                    outcome.warning(&about, "has no address", fix);
                }
            }
            continue;
        }
        for nic in node.host_interface.iter().flat_map(|object| &object.spec.interfaces) {
            nics += 1;
            if nic.state == crds::SUSPENDED {
                let about = format!("{}/{}", node.name, nic.interface_name);
                let evidence = "its address or carrier is gone; nothing is freed";
                outcome.problem(&about, evidence, "bring the link or its address back");
            }
        }
    }
    outcome.seen = count(nics, "NIC");
    outcome
}

pub(super) fn hardware(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::seen(count(facts.nodes.len(), "node"));
    for node in &facts.nodes {
        if let Some(says) = &node.agent {
            let about_nics =
                says.warnings.iter().filter(|one| !agents::ABOUT_AGENT.contains(&one.code.as_str()));
            for warning in about_nics {
                outcome.warning(&node.name, warning.message.clone(), warning.fix.clone());
            }
            continue;
        }
        for nic in node.host_interface.iter().flat_map(|object| &object.spec.interfaces) {
            for warning in &nic.warnings {
                let about = format!("{}/{}", node.name, nic.interface_name);
                outcome.warning(&about, warning.clone(), "--node asks its agent for the fix");
            }
        }
    }
    outcome
}

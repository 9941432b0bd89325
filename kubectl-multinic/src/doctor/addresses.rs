//! Whether blocks have addresses left, and nobody's is another's.

use std::collections::BTreeMap;

use super::{Outcome, count, in_cluster, unread};
use crate::facts::Facts;

/// A block with less than this part free is near its end.
const NEARLY: u64 = 10;

pub(super) fn left(facts: &Facts) -> Outcome {
    let mut outcome = Outcome::default();
    let mut blocks = 0;
    let fix = "delete pods there, or a network with smaller hostBlock and interfaceBlock (docs/operator.md)";
    let judge = |outcome: &mut Outcome, about: &str, used: u64, usable: u64| {
        if used >= usable {
            outcome.problem(about, format!("full: {used} of {usable} addresses are held"), fix);
        } else if (usable - used) * NEARLY < usable {
            outcome.warning(about, format!("{used} of {usable} addresses are held"), fix);
        }
    };
    for node in &facts.nodes {
        let told = node.agent.as_ref().and_then(|says| says.addresses.as_ref());
        for network in told.iter().flat_map(|list| &list.networks) {
            for block in &network.blocks {
                blocks += 1;
                let about = format!("{} {} on {}/{}", network.network, block.block, node.name, block.master);
                let counts = block.counts;
                judge(&mut outcome, &about, counts.used, counts.total.saturating_sub(counts.reserved));
            }
        }
    }
    let asked = |host: &str| facts.node(host).is_some_and(|node| node.agent.is_some());
    for pool in facts.pools.iter().filter(|pool| !asked(&pool.spec.host_name)) {
        blocks += 1;
        let spec = &pool.spec;
        let Some(usable) = usable(&spec.pod_cidr).filter(|_| spec.excludes.is_empty()) else { continue };
        let about = format!(
            "{} {} on {}/{}",
            spec.net_attach_def, spec.pod_cidr, spec.host_name, spec.interface_name
        );
        judge(&mut outcome, &about, spec.allocations.len() as u64, usable);
    }
    outcome.seen = count(blocks, "block");
    outcome
}

/// Addresses of an IPv4 block less its ends; absent: IPv6, or no block.
fn usable(block: &str) -> Option<u64> {
    let (address, length) = block.split_once('/')?;
    address.parse::<std::net::Ipv4Addr>().ok()?;
    let bits = 32u32.checked_sub(length.parse().ok()?)?;
    (1u64 << bits).checked_sub(2)
}

pub(super) fn once(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts).or_else(|| unread(facts, "IPPools")) {
        return outcome;
    }
    let mut holders: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for pool in &facts.pools {
        for held in &pool.spec.allocations {
            let holder = format!("{}/{}", held.namespace, held.pod);
            holders.entry((&pool.spec.net_attach_def, &held.address)).or_default().push(holder);
        }
    }
    let mut outcome = Outcome::seen(count(holders.len(), "address").replace("addresss", "addresses"));
    for ((network, address), pods) in holders.into_iter().filter(|(_, pods)| pods.len() > 1) {
        let evidence = format!("{} hold it", pods.join(" and "));
        outcome.problem(
            &format!("{network} {address}"),
            evidence,
            "delete the pod that was later; it gets another",
        );
    }
    outcome
}

pub(super) fn in_step(facts: &Facts) -> Outcome {
    if let Some(outcome) =
        in_cluster(facts).or_else(|| unread(facts, "IPPools")).or_else(|| unread(facts, "pods"))
    {
        return outcome;
    }
    let held = facts.pools.iter().flat_map(|pool| pool.spec.allocations.iter().map(move |held| (pool, held)));
    let mut outcome = Outcome::seen(count(held.clone().count(), "allocation"));
    for (pool, held) in held {
        let alive = facts.pods.iter().any(|pod| pod.name == held.pod && pod.namespace == held.namespace);
        if !alive && !held.pod.is_empty() {
            let about = format!("{}/{}", held.namespace, held.pod);
            let evidence = format!(
                "holds {} of {} on {} and is not there",
                held.address, pool.spec.net_attach_def, pool.spec.host_name
            );
            let fix = "wait some minutes: the agent frees what no sandbox holds; then its log says what it waits for";
            outcome.warning(&about, evidence, fix);
        }
    }
    outcome
}

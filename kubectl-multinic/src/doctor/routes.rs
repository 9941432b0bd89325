//! Whether hosts have routes to each other's pods.

use super::{Outcome, count, in_cluster};
use crate::facts::Facts;
use crate::{guide, view};

pub(super) fn present(facts: &Facts) -> Outcome {
    if let Some(outcome) = in_cluster(facts) {
        return outcome;
    }
    let rows = view::routes(facts, None, None);
    let present: u32 = rows.iter().map(|row| row.present).sum();
    let mut outcome = Outcome::seen(count(present as usize, "route"));
    for row in rows.iter().filter(|row| row.missing > 0 || !row.message.is_empty()) {
        let about = format!("{} on {}", row.network, row.node);
        let why = if row.message.is_empty() { "the agent gives no reason yet" } else { &row.message };
        let evidence = format!("{} of {} are missing: {why}", row.missing, row.desired);
        if row.missing > 0 {
            outcome.problem(&about, evidence, guide::fix("RoutesMissing"));
        } else {
            outcome.warning(&about, row.message.clone(), guide::fix("RoutesMissing"));
        }
    }
    outcome
}

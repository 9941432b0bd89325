//! `multi-nicd sriov-plan`: what the policies of a configuration want of the PFs of this machine, and what would be done.
//! Changes nothing, and asks no agent: what was given over the API is the agent's, see `GET /v1/sriov/pfs`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use hwprobe::{Probe, ProbeError};
use sriov::{Roots, plan};

use super::task::observed;
use super::wish::Wishes;
use crate::config::{ConfigError, FILE, pf_policies};
use crate::standalone::folder_policies;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SriovPlanError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The machine cannot be read.
    #[error("read the machine")]
    Probe(#[from] ProbeError),
}

/// The plans for the PFs that policies of the folder `config` name, and what is wrong with the policies, as text for
/// people.
///
/// # Errors
/// When the configuration or the machine cannot be read.
pub fn sriov_plan(config: &Path) -> Result<String, SriovPlanError> {
    let settings = crate::config::read(&config.join(FILE))?;
    let inventory = Probe::live(settings.probe())?.inventory();
    let (configured, reports) = pf_policies(&settings.sriov);
    let folder = folder_policies(config);
    let mut classes = BTreeMap::new();
    classes.extend(settings.device_classes.iter().map(|(name, class)| (name.clone(), class.into())));
    classes.extend(folder.classes);
    let wishes = Wishes { configured, files: Arc::new(folder.policies), classes, ..Wishes::default() };
    let mut text = String::new();
    for report in reports {
        let (field, fix) = (report.field.unwrap_or_default(), report.fix.unwrap_or_default());
        line(&mut text, &format!("{FILE}: {field}: {}; {fix}", report.message));
    }
    folder.reports.iter().for_each(|report| line(&mut text, report));
    for (policy, class, known) in wishes.unknown_classes() {
        line(&mut text, &format!("policy {policy}: there is no device class {class}; known are {known}"));
    }
    let policies = wishes.policies(&inventory);
    for pf in observed(&inventory, &Roots::default(), &[]) {
        let Some(wish) = wishes.of(&pf, &policies) else {
            line(&mut text, &format!("{}: {} VFs; no policy names it", pf.label(), pf.enabled));
            continue;
        };
        let (is, wanted, by) = (pf.enabled, wish.desired.count, wish.policies.join(", "));
        line(&mut text, &format!("{}: {is} VFs, {wanted} are wanted by {by}", pf.label()));
        let plan = plan(&pf, &wish.desired);
        if plan.is_empty() {
            line(&mut text, "  nothing is to be done");
        }
        for step in &plan.steps {
            line(&mut text, &format!("  {}: {}", step.action, step.disturbs));
        }
        plan.blocked.iter().for_each(|blocked| line(&mut text, &format!("  {blocked}")));
        plan.problems.iter().for_each(|problem| line(&mut text, &format!("  cannot be: {problem}")));
        plan.notes.iter().for_each(|note| line(&mut text, &format!("  {note}")));
    }
    if text.is_empty() {
        line(&mut text, "this machine has no NIC with SR-IOV");
    }
    Ok(text)
}

fn line(text: &mut String, line: &str) {
    // A text takes everything.
    let _ = writeln!(text, "{line}");
}

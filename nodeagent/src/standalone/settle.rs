//! What is wanted, from what stands in the folder now and what counted before.

use std::collections::BTreeMap;

use attach::network::{DeviceClass, DeviceId};
use crds::{NetworkSpec, Object};

use super::folder::Reading;
use super::report::Gravity;
use crate::planning::device_class;
use crate::sriov::NodePolicy;

/// What is wanted of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Networks by name.
    pub(crate) networks: BTreeMap<String, WantedNetwork>,
    /// Networks that were never right, with the first reason.
    pub(crate) refused: BTreeMap<String, String>,
    /// Policies for PFs by name.
    pub(crate) policies: BTreeMap<String, WantedPolicy>,
    /// Device classes by name.
    pub(crate) classes: BTreeMap<String, WantedClass>,
}

/// A network that is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedNetwork {
    /// The file that defines it.
    pub(crate) file: String,
    /// As it was when it was right last.
    pub(crate) spec: NetworkSpec,
}

/// A policy for PFs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedPolicy {
    /// The file that defines it.
    pub(crate) file: String,
    /// What it says.
    pub(crate) policy: NodePolicy,
}

/// A device class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedClass {
    /// The file that defines it.
    pub(crate) file: String,
    /// As attaching sees it.
    pub(crate) class: DeviceClass,
}

/// What is wanted now. What counted before and stands in a file that is faulty now goes on; so does a network whose
/// own document is faulty, wherever it has moved. When a name is defined twice, the file that defined it before counts.
pub(crate) fn settle(reading: &Reading, before: &Wanted) -> Wanted {
    let mut wanted = Wanted::default();
    for (place, object) in &reading.objects {
        let (file, name) = (place.file.clone(), object.name().to_owned());
        match object {
            Object::MultiNicNetwork(network) => {
                let here = before.networks.get(&name).is_some_and(|before| before.file == file);
                let new = WantedNetwork { file, spec: network.spec.clone() };
                put(&mut wanted.networks, name, new, here, |one| &one.file);
            }
            Object::DeviceClass(class) => {
                let here = before.classes.get(&name).is_some_and(|before| before.file == file);
                let new = WantedClass { file, class: device_class(&class.spec) };
                put(&mut wanted.classes, name, new, here, |one| &one.file);
            }
        }
    }
    for (place, policy) in &reading.policies {
        let (file, name) = (place.file.clone(), policy.policy.name.clone());
        let here = before.policies.get(&name).is_some_and(|before| before.file == file);
        put(&mut wanted.policies, name, WantedPolicy { file, policy: policy.clone() }, here, |one| &one.file);
    }
    let errors = || reading.reports.iter().filter(|report| report.gravity == Gravity::Error);
    let faulty_networks = || errors().filter_map(|report| Some((report.network()?, report)));
    for (name, old) in &before.networks {
        let own_document = faulty_networks().any(|(faulty, _)| faulty == name);
        if !wanted.networks.contains_key(name) && (reading.is_faulty(&old.file) || own_document) {
            wanted.networks.insert(name.clone(), old.clone());
        }
    }
    for (name, old) in &before.classes {
        if !wanted.classes.contains_key(name) && reading.is_faulty(&old.file) {
            wanted.classes.insert(name.clone(), old.clone());
        }
    }
    for (name, old) in &before.policies {
        if !wanted.policies.contains_key(name) && reading.is_faulty(&old.file) {
            wanted.policies.insert(name.clone(), old.clone());
        }
    }
    for (name, report) in faulty_networks() {
        if !wanted.networks.contains_key(name) && !wanted.refused.contains_key(name) {
            wanted.refused.insert(name.to_owned(), report.to_string());
        }
    }
    wanted
}

/// What a folder says of PFs.
#[derive(Debug, Default)]
pub(crate) struct FolderPolicies {
    pub(crate) policies: Vec<NodePolicy>,
    /// Device classes of the folder.
    pub(crate) classes: BTreeMap<String, DeviceClass>,
    /// What is wrong with policies, or files that cannot be read.
    pub(crate) reports: Vec<String>,
}

/// What the folder says of PFs, for who plans without an agent.
pub(crate) fn folder_policies(folder: &std::path::Path) -> FolderPolicies {
    let reading = super::folder::read(folder);
    let wanted = settle(&reading, &Wanted::default());
    let about = reading.reports.iter().filter(|report| report.policy().is_some() || report.object.is_none());
    FolderPolicies {
        policies: wanted.policies.into_values().map(|one| one.policy).collect(),
        classes: wanted.classes.into_iter().map(|(name, one)| (name, one.class)).collect(),
        reports: about.map(ToString::to_string).collect(),
    }
}

/// Enters a definition unless there is one that counts more: the one `here`, where it was before, and of one file the
/// first.
fn put<T>(all: &mut BTreeMap<String, T>, name: String, new: T, here: bool, file: impl Fn(&T) -> &String) {
    match all.get(&name) {
        Some(old) if !here || file(old) == file(&new) => {}
        _ => drop(all.insert(name, new)),
    }
}

/// The class of the agent's own configuration as attaching sees it.
impl From<&crate::config::DeviceClass> for DeviceClass {
    fn from(class: &crate::config::DeviceClass) -> Self {
        let ids =
            class.ids.iter().map(|id| DeviceId { vendor: id.vendor.clone(), device: id.device.clone() });
        Self {
            ids: ids.collect(),
            min_speed: class.min_speed,
            class: class.class,
            expression: class.expression.clone(),
        }
    }
}

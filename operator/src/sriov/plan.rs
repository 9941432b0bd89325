//! The plan of all networks of plugin `sriov` together: none takes what another has.

mod others;

use std::collections::{BTreeMap, BTreeSet};

use crds::foreign::{SriovClusterPolicySpec, SriovNetworkSpec};
use crds::{DeviceClassSpec, NetworkSpec, PluginType, SriovPlan};
use serde_json::Value;

use super::SriovSettings;
use super::arguments::{Manager, SriovArguments};
use super::group::{GROUP_LABEL, Member, groups, nics};
use super::objects;
use super::overlap::{Scope, share};
use super::pf::{Class, Host};
use super::problem::Problem;
use crate::condition::Reason;

/// What the plans are made for.
#[derive(Debug, Clone)]
pub struct World<'a> {
    /// Every node.
    pub hosts: Vec<Host<'a>>,
    /// Every policy in the SR-IOV operator's namespace.
    pub policies: Vec<Existing<'a, SriovClusterPolicySpec>>,
    /// Every SriovNetwork there.
    pub networks: Vec<Existing<'a, SriovNetworkSpec>>,
    /// Device classes by name.
    pub classes: BTreeMap<&'a str, &'a DeviceClassSpec>,
    /// The server knows the SR-IOV operator's kinds.
    pub operator: bool,
    /// Names of this cluster.
    pub settings: &'a SriovSettings,
}

/// An object that there is.
#[derive(Debug, Clone, Copy)]
pub struct Existing<'a, Spec> {
    /// Its name.
    pub name: &'a str,
    /// It has the label of what we generate.
    pub generated: bool,
    /// What it says.
    pub spec: &'a Spec,
}

/// What a network wants.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Who makes the VFs.
    pub manager: Manager,
    /// Annotation `resourceName` of its attachment definitions; absent: they cannot be written yet.
    pub annotation: Option<String>,
    /// Policies, or plans for agents.
    pub policies: Policies,
    /// Its SriovNetwork, by name; absent: leave what is there.
    pub network: Option<(String, SriovNetworkSpec)>,
    /// Nodes where VFs that there are would go before the wanted ones come.
    pub disturbed: BTreeSet<String>,
    /// What is the matter; empty: nothing.
    pub problems: Vec<Problem>,
}

/// Policies, or plans for agents.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Policies {
    /// Write nothing and take nothing away.
    #[default]
    AsTheyAre,
    /// These, and no others of the network.
    Exactly {
        /// Objects of the SR-IOV operator, by name.
        policies: BTreeMap<String, SriovClusterPolicySpec>,
        /// Plans for agents, by node.
        nodes: BTreeMap<String, SriovPlan>,
        /// Labels that nodes must have before, each with the value `true`; no others that begin as [`GROUP_LABEL`].
        labels: BTreeMap<String, BTreeSet<String>>,
    },
}

impl Plan {
    /// The objects of the SR-IOV operator as they are applied: policies by name, then the SriovNetwork.
    pub fn objects(&self, namespace: &str) -> Vec<Value> {
        let mut objects = Vec::new();
        if let Policies::Exactly { policies, .. } = &self.policies {
            let each = policies.iter();
            objects.extend(
                each.map(|(name, spec)| objects::object("SriovNetworkNodePolicy", namespace, name, spec)),
            );
        }
        let network = self.network.iter();
        objects.extend(network.map(|(name, spec)| objects::object("SriovNetwork", namespace, name, spec)));
        objects
    }
}

/// Plans the networks of plugin `sriov`, by name. Of two that want the same PFs the first one in the list gets them:
/// pass the older first.
pub fn plan(networks: &[(&str, &NetworkSpec)], world: &World<'_>) -> BTreeMap<String, Plan> {
    let ours: Vec<(&str, &NetworkSpec)> = networks
        .iter()
        .copied()
        .filter(|(_, spec)| PluginType::of(&spec.plugin.kind) == PluginType::Sriov)
        .collect();
    let mut plans: BTreeMap<String, Plan> = BTreeMap::new();
    for (name, spec) in &ours {
        let planner = Planner { name, networks: &ours, world, plans: &plans };
        let made = planner.plan(spec);
        plans.insert((*name).to_owned(), made);
    }
    plans
}

/// Plans one network; `plans` are those of the networks before it.
struct Planner<'a> {
    name: &'a str,
    networks: &'a [(&'a str, &'a NetworkSpec)],
    world: &'a World<'a>,
    plans: &'a BTreeMap<String, Plan>,
}

impl Planner<'_> {
    fn plan(&self, spec: &NetworkSpec) -> Plan {
        let arguments = match SriovArguments::read(self.name, spec) {
            Ok(arguments) => arguments,
            Err(problems) => return Plan { problems, ..Plan::default() },
        };
        let manager = match arguments.manager {
            Some(asked) => asked,
            None if self.world.operator => Manager::Operator,
            None => Manager::Agent,
        };
        let mut plan = Plan {
            manager,
            annotation: Some(format!("{}/{}", self.world.settings.resource_prefix, arguments.resource)),
            ..Plan::default()
        };
        if manager == Manager::Operator {
            if !self.world.operator {
                let message = "manager is operator, but the cluster has no SR-IOV operator; install it, or write manager: agent";
                plan.problems.push(Problem::new(Reason::NoSriovOperator, message));
                return plan;
            }
            let name = objects::network_name(self.name);
            let taken = self.world.networks.iter().any(|one| one.name == name && !one.generated);
            if taken {
                plan.problems.push(self.name_conflict("SriovNetwork", &name));
            } else {
                plan.network = Some((name, objects::network(&arguments)));
            }
        }
        match self.policies(spec, &arguments, manager) {
            Ok(policies) => {
                plan.disturbed = self.disturbed(spec, &arguments, &policies);
                plan.policies = policies;
            }
            Err(problems) => plan.problems.extend(problems),
        }
        plan
    }

    /// What should be.
    fn policies(
        &self,
        spec: &NetworkSpec,
        arguments: &SriovArguments,
        manager: Manager,
    ) -> Result<Policies, Vec<Problem>> {
        let (mut policies, mut nodes, mut labels) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        if arguments.given {
            return Ok(Policies::Exactly { policies, nodes, labels });
        }
        let members = self.members(spec).map_err(|problem| vec![problem])?;
        let mut problems: Vec<Problem> = self.too_many(&members, arguments).into_iter().collect();
        match manager {
            Manager::Agent => {
                for member in members.iter().filter(|member| !member.chosen.is_empty()) {
                    let plan = objects::node_plan(self.name, arguments, nics(&[member]));
                    nodes.insert(member.host.node.to_owned(), plan);
                }
            }
            Manager::Operator => {
                let groups = groups(self.name, &members, self.world.settings.grouping).map_err(|nodes| {
                    let message = format!(
                        "no label tells {} from the nodes with other PFs; give each node its own kubernetes.io/hostname, or \
                         choose PFs that mean the same on all nodes",
                        some(&nodes)
                    );
                    vec![Problem::new(Reason::NodesNotSelectable, message)]
                })?;
                for group in groups {
                    let name = format!("{}{}", self.name, group.suffix);
                    for node in group.labelled {
                        let keys = group.selector.keys().filter(|key| key.starts_with(GROUP_LABEL)).cloned();
                        labels.entry(node).or_insert_with(BTreeSet::new).extend(keys);
                    }
                    policies.insert(name, objects::policy(arguments, group.selector, group.nics));
                }
                problems.extend(self.taken_names(policies.keys()));
            }
        }
        problems.extend(self.collisions(&members, arguments));
        if problems.is_empty() { Ok(Policies::Exactly { policies, nodes, labels }) } else { Err(problems) }
    }

    /// Every node with the PFs that are meant there.
    fn members(&self, spec: &NetworkSpec) -> Result<Vec<Member<'_>>, Problem> {
        let class = Class::of(spec, &self.world.classes).map_err(|name| {
            let known: Vec<&str> = self.world.classes.keys().copied().collect();
            let message = format!("there is no device class {name}; known are highspeed {}", known.join(" "));
            Problem::new(Reason::NoSuchDeviceClass, message)
        })?;
        let members: Vec<Member<'_>> = self
            .world
            .hosts
            .iter()
            .map(|host| Member { host: *host, all: host.pfs(), chosen: host.chosen(spec, class.as_ref()) })
            .collect();
        if members.iter().all(|member| member.chosen.is_empty()) {
            let mut wanted = "a secondary NIC with virtual functions".to_owned();
            if !spec.master_nets.is_empty() {
                wanted += &format!(" and an address in masterNets ({})", spec.master_nets.join(", "));
            }
            if class.is_some() {
                wanted += " of the network's device class";
            }
            let message = format!("no node has {wanted} yet; kubectl get mnhost shows what the agents found");
            return Err(Problem::new(Reason::NoSriovNic, message));
        }
        Ok(members)
    }

    fn too_many(&self, members: &[Member<'_>], arguments: &SriovArguments) -> Option<Problem> {
        let all = members.iter().flat_map(|member| member.chosen.iter().map(move |pf| (member, pf)));
        let (member, pf) = all.min_by_key(|(_, pf)| pf.total_vfs)?;
        (arguments.num_vfs > pf.total_vfs).then(|| {
            let message = format!(
                "args.numVfs is {}, but PF {} ({}) of node {} can have {} at most; lower it, raise the number in the NIC's \
                 firmware, or leave the PF out with masterNets or a device class",
                arguments.num_vfs, pf.name, pf.address, member.host.node, pf.total_vfs
            );
            Problem::new(Reason::TooManyVfs, message)
        })
    }

    /// Names of policies that are somebody else's.
    fn taken_names<'n>(&self, names: impl Iterator<Item = &'n String>) -> Vec<Problem> {
        let planned = |name: &str| {
            self.plans.values().any(|plan| match &plan.policies {
                Policies::Exactly { policies, .. } => policies.contains_key(name),
                Policies::AsTheyAre => false,
            })
        };
        let taken = names.filter(|name| {
            let theirs = |one: &Existing<'_, SriovClusterPolicySpec>| one.name == **name && !one.generated;
            planned(name) || self.world.policies.iter().any(theirs)
        });
        taken.map(|name| self.name_conflict("SriovNetworkNodePolicy", name)).collect()
    }

    fn name_conflict(&self, kind: &str, name: &str) -> Problem {
        let message = format!(
            "{kind} {name} in namespace {} is not ours and is left as it is; rename it, or give the network another name",
            self.world.settings.namespace
        );
        Problem::new(Reason::SriovNameConflict, message)
    }

    /// Nodes where VFs would go for a while.
    fn disturbed(
        &self,
        spec: &NetworkSpec,
        arguments: &SriovArguments,
        wanted: &Policies,
    ) -> BTreeSet<String> {
        let Policies::Exactly { policies, nodes, .. } = wanted else { return BTreeSet::new() };
        let own =
            self.world.policies.iter().filter(|one| one.generated && self.owner(one.name) == Some(self.name));
        let leaving: Vec<_> = own.filter(|one| !policies.contains_key(one.name)).collect();
        let members = self.members(spec).unwrap_or_default();
        let is_disturbed = |member: &&Member<'_>| {
            let gone = || {
                let here = leaving
                    .iter()
                    .filter(|one| Scope::Labels(&one.spec.node_selector).holds_on(&member.host));
                here.flat_map(|one| member.all.values().filter(|pf| share(one.spec, pf).is_some()))
                    .any(|pf| pf.num_vfs > 0)
            };
            let planned = !policies.is_empty() || nodes.contains_key(member.host.node);
            let other_count =
                || member.chosen.iter().any(|pf| pf.num_vfs > 0 && pf.num_vfs != arguments.num_vfs);
            gone() || (planned && other_count())
        };
        members.iter().filter(is_disturbed).map(|member| member.host.node.to_owned()).collect()
    }
}

/// `node a`, `nodes a, b, c and 7 more`.
fn some(nodes: &[String]) -> String {
    let first: Vec<&str> = nodes.iter().take(3).map(String::as_str).collect();
    let more = match nodes.len().saturating_sub(first.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{} {}{more}", if nodes.len() == 1 { "node" } else { "nodes" }, first.join(", "))
}

#[cfg(test)]
mod tests;

//! What others have of the PFs that a network means.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crds::SriovPlan;
use crds::foreign::{SriovClusterNics, SriovClusterPolicySpec};

use super::{Planner, Policies, some};
use crate::condition::Reason;
use crate::sriov::arguments::SriovArguments;
use crate::sriov::group::{Member, nics};
use crate::sriov::objects;
use crate::sriov::overlap::{Scope, collide, share, shown};
use crate::sriov::problem::Problem;

/// A policy that is not this network's.
struct Other<'a> {
    name: &'a str,
    scope: Scope<'a>,
    spec: Cow<'a, SriovClusterPolicySpec>,
}

impl Planner<'_> {
    /// Policies and plans of others.
    fn others(&self) -> Vec<Other<'_>> {
        let mut others = Vec::new();
        for one in &self.world.policies {
            let owner = if one.generated { self.owner(one.name) } else { None };
            // What a network before this one wants counts, not what it has; leftovers of no network are on their way out.
            let counts = match owner {
                Some(owner) if owner == self.name => false,
                Some(owner) => {
                    let plan = self.plans.get(owner).map(|plan| &plan.policies);
                    !matches!(plan, Some(Policies::Exactly { .. }))
                }
                None => !one.generated,
            };
            if counts {
                let (scope, spec) = (Scope::Labels(&one.spec.node_selector), Cow::Borrowed(one.spec));
                others.push(Other { name: one.name, scope, spec });
            }
        }
        for (network, plan) in self.plans {
            let Policies::Exactly { policies, nodes, .. } = &plan.policies else { continue };
            others.extend(policies.iter().map(|(name, spec)| Other {
                name,
                scope: Scope::Labels(&spec.node_selector),
                spec: Cow::Borrowed(spec),
            }));
            others.extend(nodes.iter().map(|(node, plan)| Other {
                name: network,
                scope: Scope::Node(node),
                spec: Cow::Owned(of_plan(plan)),
            }));
        }
        others
    }

    /// The network that a generated policy is of; absent: of none that there is.
    pub(super) fn owner(&self, policy: &str) -> Option<&str> {
        let is_of = |network: &str| {
            let Some(rest) = policy.strip_prefix(network) else { return false };
            let of_group = |name: &str| name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            rest.is_empty()
                || rest.strip_prefix('-').is_some_and(of_group)
                || rest.strip_prefix('.').is_some_and(|node| !node.is_empty())
        };
        let owners = self.networks.iter().map(|(name, _)| *name).filter(|name| is_of(name));
        owners.max_by_key(|name| name.len())
    }

    /// What others have of the PFs that are meant, and of the resource.
    pub(super) fn collisions(&self, members: &[Member<'_>], arguments: &SriovArguments) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut others: BTreeMap<String, Vec<Other<'_>>> = BTreeMap::new();
        for other in self.others() {
            others.entry(other.name.to_owned()).or_default().push(other);
        }
        for (name, parts) in others {
            let mut nodes: Vec<String> = Vec::new();
            let mut first = None;
            for (member, other) in
                members.iter().flat_map(|member| parts.iter().map(move |part| (member, part)))
            {
                if !other.scope.holds_on(&member.host) {
                    continue;
                }
                let own = objects::policy(arguments, BTreeMap::new(), nics(&[member]));
                let Some(pf) = member.chosen.iter().find(|pf| collide(&own, &other.spec, pf)) else {
                    continue;
                };
                nodes.push(member.host.node.to_owned());
                first.get_or_insert_with(|| {
                    let range = share(&other.spec, pf).map(|range| shown(&range)).unwrap_or_default();
                    (
                        format!("VFs {range} of PF {} ({})", pf.name, pf.address),
                        other.spec.resource_name.clone(),
                    )
                });
            }
            if let Some((first, resource)) = first {
                let message = format!(
                    "policy {name} has {first} on {}, which this network wants, too (0-{}); narrow its nicSelector, or choose \
                     other PFs with masterNets or a device class, or take its VFs with args.resourceName: {resource}",
                    some(&nodes),
                    arguments.num_vfs.saturating_sub(1),
                );
                problems.push(Problem::new(Reason::SriovPolicyOverlap, message));
            } else if parts
                .iter()
                .any(|other| other.spec.resource_name == arguments.resource && other.spec.num_vfs > 0)
            {
                let message = format!(
                    "policy {name} gives its VFs out as {0}, too, so that pods would get VFs of either; rename that resource or \
                     the network, or write args.resourceName: {0} if the VFs of that policy are meant",
                    arguments.resource
                );
                problems.push(Problem::new(Reason::SriovResourceTaken, message));
            }
        }
        problems
    }
}

/// A plan for an agent as a policy.
fn of_plan(plan: &SriovPlan) -> SriovClusterPolicySpec {
    SriovClusterPolicySpec {
        resource_name: plan.policy.resource_name.clone(),
        nic_selector: SriovClusterNics {
            vendor: plan.policy.nic_selector.vendor.clone(),
            device_id: plan.policy.nic_selector.device_id.clone(),
            root_devices: plan.policy.nic_selector.root_devices.clone(),
            ..SriovClusterNics::default()
        },
        num_vfs: plan.policy.num_vfs,
        ..SriovClusterPolicySpec::default()
    }
}

//! What is wanted of each PF: what was given over the API, else what the policies say together. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use attach::network::{DeviceClass, class_of};
use attach::select::is_member;
use hwprobe::Inventory;
use sriov::{DesiredPf, ObservedPf, PfPolicy, desired};

use super::policy::NodePolicy;

/// Everything that is wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// Policies of the configuration.
    pub(crate) configured: Vec<NodePolicy>,
    /// Policies of files, or of the operator's plans in a cluster.
    pub(crate) files: Arc<Vec<NodePolicy>>,
    /// Device classes, by name.
    pub(crate) classes: BTreeMap<String, DeviceClass>,
    /// Given over the API, by device.
    pub(crate) posted: BTreeMap<String, DesiredPf>,
}

/// What is wanted of one PF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) desired: DesiredPf,
    /// It was given over the API.
    pub(crate) posted: bool,
    /// Policies that select the PF, by name.
    pub(crate) policies: Vec<String>,
}

impl Wishes {
    /// The policies for an inventory: classes have become NICs.
    pub(crate) fn policies(&self, inventory: &Inventory) -> Vec<PfPolicy> {
        let of_class = |name: &str| {
            let class = class_of(&self.classes, name);
            let members = inventory.nics.iter().filter(|nic| nic.hardware);
            let members = members.filter(|nic| class.as_ref().is_ok_and(|class| is_member(class, nic)));
            members.map(|nic| nic.id.clone()).collect()
        };
        self.configured.iter().chain(self.files.iter()).map(|policy| policy.resolved(of_class)).collect()
    }

    /// Classes that policies name and that are not there, with the policy and the classes that are.
    pub(crate) fn unknown_classes(&self) -> Vec<(String, String, String)> {
        let named = |policy: &NodePolicy| {
            let class = policy.class.clone()?;
            let known = class_of(&self.classes, &class).err()?.join(", ");
            Some((policy.policy.name.clone(), class, known))
        };
        self.configured.iter().chain(self.files.iter()).filter_map(named).collect()
    }

    /// What is wanted of a PF; absent when nobody wants anything.
    pub(crate) fn of(&self, pf: &ObservedPf, policies: &[PfPolicy]) -> Option<Wish> {
        let selecting = policies.iter().filter(|policy| policy.selector.selects(pf));
        let names = selecting.map(|policy| policy.name.clone()).collect();
        match self.posted.get(&pf.key) {
            Some(desired) => Some(Wish { desired: desired.clone(), posted: true, policies: names }),
            None => Some(Wish { desired: desired(policies, pf)?, posted: false, policies: names }),
        }
    }
}

#[cfg(test)]
mod tests {
    use sriov::PfSelector;

    use super::*;

    fn policy(name: &str, pf: &str, count: u16) -> NodePolicy {
        let selector = PfSelector::name(pf.parse().unwrap());
        NodePolicy { policy: PfPolicy::new(name, selector, count), class: None }
    }

    fn pf(key: &str, name: &str) -> ObservedPf {
        let mut pf = ObservedPf::new(key, "pci");
        pf.name = Some(name.to_owned());
        pf
    }

    #[test]
    fn what_was_given_over_the_api_counts_and_not_the_policies() {
        let inventory = openapi::example_inventory().unwrap();
        let mut wishes = Wishes { configured: vec![policy("a", "eth1", 4)], ..Wishes::default() };
        wishes.files = Arc::new(vec![policy("b", "eth2", 3)]);
        let posted = DesiredPf { count: 2, ..DesiredPf::default() };
        wishes.posted.insert("0000:01:00.0".to_owned(), posted);
        let policies = wishes.policies(&inventory);
        let count = |wishes: &Wishes, pf: &ObservedPf| {
            wishes.of(pf, &policies).map(|wish| (wish.desired.count, wish.posted))
        };

        let (one, two) = (pf("0000:01:00.0", "eth1"), pf("0000:02:00.0", "eth2"));
        assert_eq!(count(&wishes, &one), Some((2, true)));
        assert_eq!(count(&wishes, &two), Some((3, false)));
        assert_eq!(count(&wishes, &pf("0000:03:00.0", "eth3")), None);
        wishes.posted.clear();
        assert_eq!(count(&wishes, &one), Some((4, false)));
    }

    #[test]
    fn a_class_selects_its_members_alone_and_an_unknown_one_nobody() {
        let inventory = openapi::example_inventory().unwrap();
        let nic = inventory.nics.iter().find(|nic| nic.sriov.is_some()).unwrap();
        let mut observed = pf(nic.id.as_str(), "x");
        observed.nic = nic.id.clone();
        let of = |class: &str, classes: BTreeMap<String, DeviceClass>| {
            let mut all = policy("a", "x", 4);
            (all.policy.selector, all.class) = (PfSelector::default(), Some(class.to_owned()));
            let wishes = Wishes { configured: vec![all], classes, ..Wishes::default() };
            let policies = wishes.policies(&inventory);
            (wishes.of(&observed, &policies).is_some(), wishes.unknown_classes().len())
        };
        let any = BTreeMap::from([("any".to_owned(), DeviceClass::default())]);

        assert_eq!(of("any", any.clone()), (true, 0));
        assert_eq!(of("other", any), (false, 1));
    }
}

//! Policies that want the same virtual functions. The SR-IOV operator's own check is off by default and stops early.

use std::collections::BTreeMap;
use std::ops::Range;

use crds::foreign::SriovClusterPolicySpec;

use super::group::selects;
use super::pf::{Host, Pf};

/// Where a policy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// On nodes with these labels.
    Labels(&'a BTreeMap<String, String>),
    /// On this node: a plan for its agent.
    Node(&'a str),
}

impl Scope<'_> {
    /// Whether it holds on a host.
    pub(super) fn holds_on(self, host: &Host<'_>) -> bool {
        match self {
            Self::Labels(selector) => selects(selector, host.labels),
            Self::Node(node) => node == host.node,
        }
    }
}

/// The VFs of a PF that a policy is for; absent: it does not select the PF.
pub(super) fn share(policy: &SriovClusterPolicySpec, pf: &Pf) -> Option<Range<u32>> {
    let nics = &policy.nic_selector;
    let same = |wanted: &str, is: &str| wanted.is_empty() || wanted.eq_ignore_ascii_case(is);
    let nothing = nics.vendor.is_empty()
        && nics.device_id.is_empty()
        && nics.pf_names.is_empty()
        && nics.root_devices.is_empty()
        && nics.net_filter.is_empty();
    let by_address = nics.root_devices.is_empty()
        || nics.root_devices.iter().any(|address| address.eq_ignore_ascii_case(&pf.address));
    let fits = same(&nics.vendor, &pf.vendor)
        && same(&nics.device_id, &pf.device)
        && same(&nics.net_filter, &pf.net_filter)
        && by_address;
    if nothing || !fits {
        return None;
    }
    let whole = 0..policy.num_vfs;
    if nics.pf_names.is_empty() {
        return Some(whole);
    }
    nics.pf_names.iter().find_map(|text| {
        let (name, range) =
            text.split_once('#').map_or((text.as_str(), None), |(name, range)| (name, Some(range)));
        if name != pf.name && !pf.alt_names.iter().any(|other| other == name) {
            return None;
        }
        let of_range = |range: &str| {
            let (first, last) = range.split_once('-')?;
            Some(first.parse().ok()?..last.parse::<u32>().ok()?.saturating_add(1))
        };
        // The SR-IOV operator, too, takes the whole PF where it cannot read the range.
        Some(range.and_then(of_range).unwrap_or_else(|| whole.clone()))
    })
}

/// Whether two policies cannot both have what they want of a PF.
pub(super) fn collide(one: &SriovClusterPolicySpec, other: &SriovClusterPolicySpec, pf: &Pf) -> bool {
    let (Some(first), Some(second)) = (share(one, pf), share(other, pf)) else { return false };
    if first.is_empty() || second.is_empty() {
        return false;
    }
    let both = first.start < second.end && second.start < first.end;
    // Groups of one resource on one PF replace one another, and who makes the VFs is asked of the PF as a whole.
    both || one.resource_name == other.resource_name || one.externally_managed != other.externally_managed
}

/// `0-3`, as policies write ranges.
pub(super) fn shown(range: &Range<u32>) -> String {
    format!("{}-{}", range.start, range.end.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(resource: &str, count: u32, selector: Value) -> SriovClusterPolicySpec {
        serde_json::from_value(json!({"resourceName": resource, "numVfs": count, "nicSelector": selector}))
            .unwrap()
    }

    fn pf() -> Pf {
        Pf {
            address: "0000:3b:00.0".to_owned(),
            name: "ens1".to_owned(),
            alt_names: vec!["enp59s0".to_owned()],
            vendor: "15b3".to_owned(),
            device: "101d".to_owned(),
            ..Pf::default()
        }
    }

    #[test]
    fn every_key_of_a_selector_must_fit_and_of_a_list_one_entry() {
        let rows = [
            (json!({}), None),
            (json!({"vendor": "15b3"}), Some(0..8)),
            (json!({"vendor": "8086"}), None),
            (json!({"deviceID": "101D"}), Some(0..8)),
            (json!({"vendor": "15b3", "deviceID": "1017"}), None),
            (json!({"rootDevices": ["0000:5e:00.0", "0000:3B:00.0"]}), Some(0..8)),
            (json!({"rootDevices": ["0000:5e:00.0"]}), None),
            (json!({"pfNames": ["ens2", "ens1"]}), Some(0..8)),
            (json!({"pfNames": ["ens1#2-3"]}), Some(2..4)),
            (json!({"pfNames": ["enp59s0#2-3"]}), Some(2..4)),
            (json!({"pfNames": ["ens1#odd"]}), Some(0..8)),
            (json!({"pfNames": ["ens10"]}), None),
            (json!({"pfNames": ["ens1"], "rootDevices": ["0000:5e:00.0"]}), None),
            (json!({"netFilter": "aws/NetworkID:1"}), None),
        ];
        for (selector, wanted) in rows {
            assert_eq!(share(&policy("x", 8, selector.clone()), &pf()), wanted, "{selector}");
        }
    }

    #[test]
    fn policies_collide_where_ranges_meet_and_where_they_share_a_resource_or_a_maker() {
        let ours = policy("ours", 4, json!({"rootDevices": ["0000:3b:00.0"]}));
        let by_name = |resource: &str, name: &str| policy(resource, 8, json!({"pfNames": [name]}));
        let mut external = by_name("other", "ens1#4-7");
        external.externally_managed = true;
        let rows = [
            (by_name("other", "ens1"), true),
            (by_name("other", "ens1#3-5"), true),
            (by_name("other", "ens1#4-7"), false),
            (by_name("ours", "ens1#4-7"), true),
            (by_name("other", "ens2"), false),
            (external, true),
            (policy("other", 0, json!({"vendor": "15b3"})), false),
        ];
        for (theirs, wanted) in rows {
            assert_eq!(collide(&ours, &theirs, &pf()), wanted, "{theirs:?}");
            assert_eq!(collide(&theirs, &ours, &pf()), wanted, "{theirs:?}");
        }
    }

    #[test]
    fn all_labels_of_a_selector_must_be_there_and_an_empty_one_selects_every_node() {
        let labels: BTreeMap<String, String> =
            [("a", "1"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let host = Host { node: "n1", labels: &labels, interfaces: &[], state: None };
        let of = |pairs: &[(&str, &str)]| {
            let selector = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Scope::Labels(&selector).holds_on(&host)
        };

        assert!(of(&[]) && of(&[("a", "1")]) && of(&[("a", "1"), ("b", "2")]));
        assert!(!of(&[("a", "2")]) && !of(&[("a", "1"), ("c", "3")]));
        assert!(Scope::Node("n1").holds_on(&host) && !Scope::Node("n2").holds_on(&host));
    }
}

use std::cell::Cell;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sriov::Grouping;

mod cluster;

use cluster::{Cluster, exact, network, pf};

fn reasons(plan: &Plan) -> Vec<Reason> {
    plan.problems.iter().map(|problem| problem.reason).collect()
}

fn policies(plan: &Plan) -> &BTreeMap<String, SriovClusterPolicySpec> {
    match &plan.policies {
        Policies::Exactly { policies, .. } => policies,
        Policies::AsTheyAre => panic!("{:?}", plan.problems),
    }
}

fn two_nodes() -> Cluster {
    Cluster::default().node("n1", true, &[pf("3b", "10.0.1.0/24"), pf("5e", "10.0.2.0/24")]).node(
        "n2",
        true,
        &[pf("3b", "10.0.1.0/24"), pf("5e", "10.0.2.0/24")],
    )
}

#[test]
fn nodes_that_are_alike_share_the_predecessors_policy() {
    let cluster = two_nodes();
    let args = json!({"numVfs": "2", "vlan": "999", "isRdma": "true"});

    let plan = cluster.plan("net-c", &network(args));

    let objects = plan.objects("openshift-sriov-network-operator");
    let wanted = json!([
        {
            "apiVersion": "sriovnetwork.openshift.io/v1", "kind": "SriovNetworkNodePolicy",
            "metadata": {"name": "net-c", "namespace": "openshift-sriov-network-operator", "labels": {"multi-nic-cni-generated": "true"}},
            "spec": {
                "resourceName": "netc",
                "nodeSelector": {"feature.node.kubernetes.io/network-sriov.capable": "true"},
                "nicSelector": {"vendor": "15b3", "deviceID": "101d", "rootDevices": ["0000:3b:00.0", "0000:5e:00.0"]},
                "numVfs": 2, "priority": 99, "isRdma": true,
            },
        },
        {
            "apiVersion": "sriovnetwork.openshift.io/v1", "kind": "SriovNetwork",
            "metadata": {"name": "net-c-net", "namespace": "openshift-sriov-network-operator", "labels": {"multi-nic-cni-generated": "true"}},
            "spec": {"resourceName": "netc", "vlan": 999},
        },
    ]);
    assert_eq!(serde_json::Value::Array(objects), wanted);
    assert_eq!(plan.annotation.as_deref(), Some("openshift.io/netc"));
    assert_eq!((plan.manager, plan.problems, plan.disturbed), (Manager::Operator, vec![], BTreeSet::new()));
}

#[test]
fn every_argument_reaches_its_object() {
    let args = json!({"numVfs": "3", "priority": "7", "mtu": "9000", "needVhostNet": "true", "deviceType": "vfio-pci",
                      "vlan": "5", "vlanQoS": "3", "minTxRate": "10", "maxTxRate": "0", "spoofchk": "false", "trust": "1", "linkState": "enable"});

    let plan = two_nodes().plan("a", &network(args));

    let objects = plan.objects("ns");
    let mut policy = objects[0]["spec"].clone();
    policy.as_object_mut().unwrap().retain(|key, _| !["nodeSelector", "nicSelector"].contains(&key.as_str()));
    assert_eq!(
        policy,
        json!({"resourceName": "a", "numVfs": 3, "priority": 7, "mtu": 9000, "needVhostNet": true, "deviceType": "vfio-pci"})
    );
    assert_eq!(
        objects[1]["spec"],
        json!({"resourceName": "a", "vlan": 5, "vlanQoS": 3, "minTxRate": 10, "maxTxRate": 0, "spoofChk": "off", "trust": "on", "linkState": "enable"})
    );
}

#[test]
fn a_given_resource_has_no_policy_but_a_network() {
    let plan = two_nodes().plan("a-b", &network(json!({"resourceName": "theirs", "numVfs": "0"})));

    assert!(policies(&plan).is_empty());
    assert_eq!(plan.network.unwrap().1.resource_name, "theirs");
    assert_eq!(plan.annotation.as_deref(), Some("openshift.io/theirs"));
    assert_eq!(plan.problems, []);
}

#[test]
fn nodes_that_differ_share_a_policy_as_long_as_no_address_means_two_things() {
    // n2 has nothing at 5e, and n1 nothing at af.
    let cluster = Cluster::default()
        .node("n1", true, &[pf("3b", "10.0.1.0/24"), pf("5e", "10.0.1.0/24")])
        .node("n2", true, &[pf("3b", "10.0.1.0/24"), pf("af", "10.0.1.0/24").device("1017")]);

    let plan = cluster.plan("a", &network(json!({})));

    let only = &policies(&plan)["a"];
    assert_eq!(only.nic_selector.root_devices, ["0000:3b:00.0", "0000:5e:00.0", "0000:af:00.0"]);
    assert_eq!((only.nic_selector.vendor.as_str(), only.nic_selector.device_id.as_str()), ("15b3", ""));
}

#[test]
fn an_address_that_means_two_things_parts_the_nodes() {
    // 5e is in the network on n1 and n3 alone.
    let cluster = Cluster::default()
        .node("n1", true, &[pf("3b", "10.0.1.0/24"), pf("5e", "10.0.1.0/24")])
        .node("n2", true, &[pf("3b", "10.0.1.0/24"), pf("5e", "10.9.9.0/24")])
        .node("n3", true, &[pf("3b", "10.0.1.0/24"), pf("5e", "10.0.1.0/24")]);
    let mut spec = network(json!({}));
    spec.master_nets = vec!["10.0.1.0/24".to_owned()];

    let by_name = cluster.plan("a", &spec);
    let by_label = cluster.clone().grouping(Grouping::Label).plan("a", &spec);

    let names: Vec<&String> = policies(&by_name).keys().collect();
    assert_eq!(names, ["a.n1", "a.n2", "a.n3"]);
    assert_eq!(
        policies(&by_name)["a.n2"].node_selector,
        [("kubernetes.io/hostname".to_owned(), "n2".to_owned())].into()
    );
    assert_eq!(policies(&by_name)["a.n2"].nic_selector.root_devices, ["0000:3b:00.0"]);
    exact(&cluster, &spec, policies(&by_name), &BTreeMap::new());
    let Policies::Exactly { policies: grouped, labels, .. } = &by_label.policies else { panic!() };
    assert_eq!((grouped.len(), labels.len()), (2, 3));
    assert_eq!(labels["n1"], labels["n3"]);
    assert_ne!(labels["n1"], labels["n2"]);
    exact(&cluster, &spec, grouped, labels);
}

#[test]
fn another_device_at_an_address_is_kept_out_by_its_ids() {
    let cluster = Cluster::default()
        .node("n1", true, &[pf("3b", "10.0.1.0/24"), pf("5e", "10.0.1.0/24")])
        .node("n2", true, &[pf("3b", "10.0.1.0/24"), pf("5e", "10.9.9.0/24").device("1017")]);
    let mut spec = network(json!({}));
    spec.master_nets = vec!["10.0.1.0/24".to_owned()];

    let plan = cluster.plan("a", &spec);

    assert_eq!(policies(&plan).keys().collect::<Vec<_>>(), ["a"]);
    exact(&cluster, &spec, policies(&plan), &BTreeMap::new());
}

#[test]
fn nodes_without_the_label_of_feature_discovery_are_selected_by_name() {
    let cluster = Cluster::default().node("n1", false, &[pf("3b", "10.0.1.0/24")]);

    let plan = cluster.plan("a", &network(json!({})));

    assert_eq!(policies(&plan).keys().collect::<Vec<_>>(), ["a.n1"]);
}

#[test]
fn the_pf_that_carries_a_node_is_not_taken_by_the_policy_of_another() {
    // On n2 the agent counts 3b to nothing: it is the uplink. The SR-IOV operator sees it.
    let cluster = Cluster::default()
        .node("n1", true, &[pf("3b", "10.0.1.0/24")])
        .node("n2", true, &[])
        .state("n2", json!([{"name": "eth0", "pciAddress": "0000:3b:00.0", "vendor": "15b3", "deviceID": "101d", "totalvfs": 8}]));

    let plan = cluster.plan("a", &network(json!({})));

    assert_eq!(policies(&plan).keys().collect::<Vec<_>>(), ["a.n1"]);
}

#[test]
fn nodes_that_no_label_tells_apart_are_named() {
    let cluster = Cluster::default()
        .node("n1", true, &[pf("3b", "10.0.1.0/24")])
        .node("n2", true, &[pf("3b", "10.9.9.0/24")])
        .hostname("n2", "n1");
    let mut spec = network(json!({}));
    spec.master_nets = vec!["10.0.1.0/24".to_owned()];

    let plan = cluster.plan("a", &spec);

    assert_eq!((reasons(&plan), &plan.policies), (vec![Reason::NodesNotSelectable], &Policies::AsTheyAre));
    assert!(plan.problems[0].message.contains("node n2"), "{}", plan.problems[0]);
}

#[test]
fn only_secondary_nics_with_vfs_an_address_and_the_class_are_chosen() {
    let nics = [
        pf("3b", "10.0.1.0/24"),
        pf("5e", "10.0.1.0/24").total(0),
        pf("af", ""),
        pf("b1", "10.0.2.0/24").device("1017").class("high"),
    ];
    let cluster = Cluster::default().node("n1", true, &nics).class("cx5", &[("15B3", &["1017"])]);
    let chosen = |more: &dyn Fn(&mut NetworkSpec)| {
        let mut spec = network(json!({}));
        more(&mut spec);
        let plan = cluster.plan("a", &spec);
        match &plan.policies {
            Policies::Exactly { policies, .. } => policies
                .values()
                .flat_map(|policy| policy.nic_selector.root_devices.clone())
                .collect::<Vec<_>>()
                .join(" "),
            Policies::AsTheyAre => reasons(&plan)[0].word().to_owned(),
        }
    };
    let class = |name: &'static str| {
        move |spec: &mut NetworkSpec| {
            let class = name.to_owned();
            spec.attach_policy = Some(crds::AttachPolicy { class, ..crds::AttachPolicy::default() });
        }
    };
    let nets = |net: &'static str| move |spec: &mut NetworkSpec| spec.master_nets = vec![net.to_owned()];

    assert_eq!(chosen(&|_| ()), "0000:3b:00.0 0000:b1:00.0");
    assert_eq!(chosen(&nets("10.0.2.0/24")), "0000:b1:00.0");
    assert_eq!(chosen(&nets("10.7.0.0/24")), "NoSriovNic");
    assert_eq!(chosen(&class("cx5")), "0000:b1:00.0");
    assert_eq!(chosen(&class("highspeed")), "0000:b1:00.0");
    assert_eq!(chosen(&class("cx9")), "NoSuchDeviceClass");
    let bare = Cluster::default().node("n1", true, &[pf("af", "")]);
    assert_eq!(
        policies(&bare.plan("a", &network(json!({}))))["a"].nic_selector.root_devices,
        ["0000:af:00.0"]
    );
}

#[test]
fn agents_of_the_predecessor_are_helped_out_by_the_node_state() {
    let mut old = pf("3b", "10.0.1.0/24").total(0);
    old.0.pci_address.clear();
    old.0.interface_name = "ens1".to_owned();
    let cluster = Cluster::default().node("n1", true, &[old]).state(
        "n1",
        json!([{"name": "ens1", "pciAddress": "0000:3b:00.0", "vendor": "15b3", "deviceID": "101d", "totalvfs": 8},
               {"name": "ens2", "pciAddress": "0000:3b:00.1", "vendor": "15b3", "deviceID": "101d", "totalvfs": 8}]),
    );

    let plan = cluster.plan("a", &network(json!({})));

    assert_eq!(policies(&plan)["a"].nic_selector.root_devices, ["0000:3b:00.0"]);
}

#[test]
fn what_cannot_be_leaves_the_policies_as_they_are_and_says_why() {
    let rows = [
        (json!({"numVfs": "9"}), Reason::TooManyVfs, "PF ens3b (0000:3b:00.0) of node n1 can have 8"),
        (json!({"numVfs": "0"}), Reason::BadSriovArgument, "numVfs is 0"),
        (json!({"isRdma": "true", "deviceType": "vfio-pci"}), Reason::BadSriovArgument, "isRdma does not go"),
    ];
    for (args, reason, said) in rows {
        let plan = two_nodes().plan("a", &network(args));
        assert_eq!((reasons(&plan), &plan.policies), (vec![reason], &Policies::AsTheyAre));
        assert!(plan.problems[0].message.contains(said), "{}", plan.problems[0]);
    }
    let nothing = Cluster::default().node("n1", true, &[]).plan("a", &network(json!({})));
    assert_eq!((reasons(&nothing), nothing.policies), (vec![Reason::NoSriovNic], Policies::AsTheyAre));
}

#[test]
fn policies_of_others_on_the_same_pfs_are_named_beforehand() {
    let theirs = |resource: &str, nodes: serde_json::Value, nics: serde_json::Value| json!({"resourceName": resource, "numVfs": 4, "nodeSelector": nodes, "nicSelector": nics});
    let rows = [
        (theirs("x", json!({}), json!({"rootDevices": ["0000:5e:00.0"]})), Some(Reason::SriovPolicyOverlap)),
        (theirs("x", json!({}), json!({"pfNames": ["ens3b#2-3"]})), None),
        (theirs("x", json!({}), json!({"pfNames": ["ens3b#1-3"]})), Some(Reason::SriovPolicyOverlap)),
        (
            theirs("x", json!({"kubernetes.io/hostname": "n2"}), json!({"vendor": "15b3"})),
            Some(Reason::SriovPolicyOverlap),
        ),
        (theirs("x", json!({"kubernetes.io/hostname": "n3"}), json!({"vendor": "15b3"})), None),
        (theirs("x", json!({}), json!({"vendor": "8086"})), None),
        (theirs("netc", json!({}), json!({"vendor": "8086"})), Some(Reason::SriovResourceTaken)),
    ];
    for (spec, wanted) in rows {
        let cluster = two_nodes().policy("rails", false, spec.clone());
        let plan = cluster.plan("net-c", &network(json!({"numVfs": "2"})));
        assert_eq!(reasons(&plan), wanted.into_iter().collect::<Vec<_>>(), "{spec}");
        assert_eq!(plan.policies == Policies::AsTheyAre, wanted.is_some(), "{spec}");
        assert!(plan.problems.iter().all(|problem| problem.message.contains("policy rails")), "{plan:?}");
    }
}

#[test]
fn objects_of_others_with_our_names_are_left_alone() {
    let spec = json!({"resourceName": "x", "numVfs": 0, "nodeSelector": {}, "nicSelector": {}});
    let cluster = two_nodes().policy("a", false, spec).network("a-net", false);

    let plan = cluster.plan("a", &network(json!({})));

    assert_eq!(reasons(&plan), [Reason::SriovNameConflict, Reason::SriovNameConflict]);
    assert_eq!((plan.network, plan.policies), (None, Policies::AsTheyAre));
}

#[test]
fn what_is_written_is_wanted_again_and_is_no_overlap_with_itself() {
    let spec = network(json!({"numVfs": "4"}));
    let first = two_nodes().plan("net-c", &spec);
    let mut cluster = two_nodes().network("net-c-net", true);
    for (name, policy) in policies(&first) {
        cluster = cluster.policy(name, true, serde_json::to_value(policy).unwrap());
    }

    assert_eq!(cluster.plan("net-c", &spec), first);
}

#[test]
fn of_two_networks_with_the_same_pfs_the_first_one_gets_them() {
    let spec = network(json!({}));

    let plans = two_nodes().plans(&[("b", &spec), ("a", &spec)]);

    assert_eq!(reasons(&plans["b"]), []);
    assert_eq!(reasons(&plans["a"]), [Reason::SriovPolicyOverlap]);
    assert!(plans["a"].problems[0].message.contains("policy b"));
    let apart = |net: &str| {
        let mut spec = network(json!({}));
        spec.master_nets = vec![net.to_owned()];
        spec
    };
    let (one, two) = (apart("10.0.1.0/24"), apart("10.0.2.0/24"));
    let plans = two_nodes().plans(&[("b", &one), ("a", &two)]);
    assert!(plans.values().all(|plan| plan.problems.is_empty()), "{plans:?}");
}

#[test]
fn without_the_sriov_operator_the_agents_have_a_plan_for_their_node_alone() {
    let cluster = Cluster::default()
        .node("n1", false, &[pf("3b", "10.0.1.0/24"), pf("5e", "10.0.1.0/24")])
        .node("n2", false, &[pf("3b", "10.0.1.0/24").device("1017")])
        .node("n3", false, &[])
        .operator(false);

    let plan = cluster.plan("net-c", &network(json!({"numVfs": "4", "mtu": "9000"})));

    let Policies::Exactly { policies, nodes, .. } = &plan.policies else { panic!("{:?}", plan.problems) };
    assert_eq!((plan.manager, policies.len(), &plan.network), (Manager::Agent, 0, &None));
    assert_eq!(
        serde_json::to_value(nodes).unwrap(),
        json!({
            "n1": {"network": "net-c", "policy": {"resourceName": "netc", "numVfs": 4, "priority": 99, "mtu": 9000,
                   "nicSelector": {"rootDevices": ["0000:3b:00.0", "0000:5e:00.0"], "vendor": "15b3", "deviceID": "101d"}}},
            "n2": {"network": "net-c", "policy": {"resourceName": "netc", "numVfs": 4, "priority": 99, "mtu": 9000,
                   "nicSelector": {"rootDevices": ["0000:3b:00.0"], "vendor": "15b3", "deviceID": "1017"}}},
        })
    );
    for plan in nodes.values() {
        assert_eq!(plan.policy().map(|policy| policy.num_vfs), Ok(4), "the agent reads it");
    }
}

#[test]
fn who_makes_vfs_is_chosen_or_follows_from_what_is_installed() {
    let of = |operator: bool, manager: &str| {
        let mut spec = network(json!({}));
        let manager = manager.to_owned();
        spec.attach_policy = Some(crds::AttachPolicy { manager, ..crds::AttachPolicy::default() });
        let plan = two_nodes().operator(operator).plan("a", &spec);
        (plan.manager, reasons(&plan))
    };

    assert_eq!(of(true, ""), (Manager::Operator, vec![]));
    assert_eq!(of(false, ""), (Manager::Agent, vec![]));
    assert_eq!(of(true, "agent"), (Manager::Agent, vec![]));
    assert_eq!(of(false, "operator"), (Manager::Operator, vec![Reason::NoSriovOperator]));
}

#[test]
fn agents_do_not_take_pfs_that_a_policy_has() {
    let theirs = json!({"resourceName": "x", "numVfs": 4, "nodeSelector": {"kubernetes.io/hostname": "n2"}, "nicSelector": {"vendor": "15b3"}});
    let spec = network(json!({"manager": "agent"}));

    let plan = two_nodes().policy("rails", false, theirs).plan("a", &spec);
    let both = two_nodes().plans(&[("b", &spec), ("a", &network(json!({})))]);

    assert_eq!(reasons(&plan), [Reason::SriovPolicyOverlap]);
    assert_eq!(reasons(&both["a"]), [Reason::SriovPolicyOverlap]);
}

#[test]
fn nodes_whose_vfs_would_go_are_named() {
    let with = |count: u32| {
        Cluster::default().node("n1", true, &[pf("3b", "10.0.1.0/24").vfs(count)]).node(
            "n2",
            true,
            &[pf("3b", "10.0.1.0/24")],
        )
    };
    let disturbed = |cluster: Cluster, name: &str| {
        cluster.plan(name, &network(json!({"numVfs": "4"}))).disturbed.into_iter().collect::<Vec<_>>()
    };

    assert_eq!(disturbed(with(0), "a"), [""; 0]);
    assert_eq!(disturbed(with(4), "a"), [""; 0]);
    assert_eq!(disturbed(with(2), "a"), ["n1"]);
    // A policy of its own that goes: its VFs go first.
    let old = json!({"resourceName": "a", "numVfs": 4, "nodeSelector": {"kubernetes.io/hostname": "n1"}, "nicSelector": {"rootDevices": ["0000:3b:00.0"]}});
    assert_eq!(disturbed(with(4).policy("a.n1", true, old), "a"), ["n1"]);
}

proptest! {
    #[test]
    fn plans_are_the_same_twice_and_no_two_policies_want_one_vf(
        // Of each node: whether it has the label, and of each of three addresses what stands there: nothing, a PF of the
        // first network, of the second, of neither.
        nodes in prop::collection::vec((any::<bool>(), prop::array::uniform3(0u8..4)), 1..6),
        by_label in any::<bool>(),
    ) {
        let mut cluster = Cluster::default().grouping(if by_label { Grouping::Label } else { Grouping::Hostname });
        for (number, (labelled, pfs)) in nodes.iter().enumerate() {
            let there = pfs.iter().zip(["3b", "5e", "af"]).filter(|(kind, _)| **kind > 0);
            let pfs: Vec<_> = there.map(|(kind, bus)| pf(bus, &format!("10.0.{kind}.0/24"))).collect();
            cluster = cluster.node(&format!("n{number}"), *labelled, &pfs);
        }
        let of = |net: &str| {
            let mut spec = network(json!({"numVfs": "4"}));
            spec.master_nets = vec![net.to_owned()];
            spec
        };
        let (one, two) = (of("10.0.1.0/24"), of("10.0.2.0/24"));
        let networks = [("one", &one), ("two", &two)];
        let plans = cluster.plans(&networks);
        prop_assert_eq!(&cluster.plans(&networks), &plans);

        let seen = Cell::new(0);
        let mut written = cluster.clone();
        let mut all_labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for ((name, spec), plan) in networks.iter().map(|network| (*network, &plans[network.0])) {
            match &plan.policies {
                Policies::Exactly { policies, labels, .. } => {
                    exact(&cluster, spec, policies, labels);
                    seen.set(seen.get() + 1);
                    for (node, keys) in labels {
                        all_labels.entry(node.clone()).or_default().extend(keys.iter().cloned());
                    }
                    for (policy, spec) in policies {
                        written = written.policy(policy, true, serde_json::to_value(spec).unwrap());
                    }
                }
                Policies::AsTheyAre => prop_assert_eq!(reasons(plan), [Reason::NoSriovNic], "{}", name),
            }
        }
        // Once it is written, it is wanted again, and nothing of it overlaps.
        for (node, keys) in &all_labels {
            written = written.labels(node, keys);
        }
        prop_assert_eq!(&written.plans(&networks), &plans);
    }
}

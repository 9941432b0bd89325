//! Who may know whom: the table of the design, against the dependency lines of the members.

use crate::workspace::{Dependency, Member};

/// A crate, the crates of ours that it may use, and what outside crates may never enter it.
struct Rule {
    crate_name: &'static str,
    may_use: &'static [&'static str],
}

/// The table. Test-only dependencies are free: tests stand above what they test.
const RULES: &[Rule] = &[
    Rule { crate_name: "netlink", may_use: &[] },
    Rule { crate_name: "hwprobe", may_use: &["netlink"] },
    Rule { crate_name: "datapath", may_use: &["netlink"] },
    Rule { crate_name: "sriov", may_use: &["netlink", "hwprobe", "datapath"] },
    Rule { crate_name: "ipam", may_use: &[] },
    Rule { crate_name: "crds", may_use: &[] },
    // The inventory's model is the wire format (docs/decisions/0003); see MODEL_ONLY.
    Rule { crate_name: "openapi", may_use: &["hwprobe"] },
    Rule { crate_name: "cni", may_use: &[] },
    Rule { crate_name: "store", may_use: &["ipam"] },
    Rule {
        crate_name: "attach",
        may_use: &["netlink", "hwprobe", "datapath", "sriov", "ipam", "cni", "store"],
    },
    Rule {
        crate_name: "nodeagent",
        may_use: &[
            "netlink", "hwprobe", "datapath", "sriov", "ipam", "crds", "openapi", "cni", "store", "attach",
        ],
    },
    Rule { crate_name: "operator", may_use: &["crds", "ipam"] },
    Rule { crate_name: "concheck", may_use: &["crds", "openapi"] },
    Rule { crate_name: "kubectl-multinic", may_use: &["crds", "openapi"] },
    Rule {
        crate_name: "xtask",
        may_use: &[
            "netlink",
            "hwprobe",
            "datapath",
            "sriov",
            "ipam",
            "crds",
            "openapi",
            "cni",
            "store",
            "attach",
            "nodeagent",
            "operator",
        ],
    },
];

/// Outside crates by the beginning of their name, and the only members that may name them.
const ROOMS: &[(&[&str], &[&str])] = &[
    // They break together every few months: one room, one repair.
    (
        &["netlink-packet-", "netlink-sys", "rtnetlink", "ethtool", "genetlink", "kobject-uevent"],
        &["netlink"],
    ),
    (&["kube", "k8s-openapi"], &["crds", "nodeagent", "operator", "concheck", "kubectl-multinic"]),
    (&["axum", "tower", "utoipa-axum", "utoipa-swagger-ui"], &["nodeagent", "operator"]),
    (&["tokio"], &["openapi", "nodeagent", "operator", "concheck", "kubectl-multinic"]),
    (&["redb"], &["store"]),
    (&["anyhow"], &["hwprobe", "nodeagent", "operator", "cni", "concheck", "kubectl-multinic", "xtask"]),
];

/// `openapi` may see the model of `hwprobe`, never what reads a machine.
const MODEL_ONLY: (&str, &str, &[&str]) = ("openapi", "hwprobe", &["schema"]);

/// One line for each arrow that is not in the table.
pub(crate) fn check(members: &[Member]) -> Vec<String> {
    let ours = |name: &str| members.iter().any(|member| member.name == name);
    let mut findings = Vec::new();
    for member in members {
        let Some(rule) = RULES.iter().find(|rule| rule.crate_name == member.name) else {
            findings.push(format!(
                "crate {} is not in the table of arrows (xtask/src/tidy/arrows.rs)",
                member.name
            ));
            continue;
        };
        for dependency in member.dependencies.iter().filter(|dependency| !dependency.dev) {
            if ours(&dependency.name) {
                if !rule.may_use.contains(&dependency.name.as_str()) {
                    findings.push(format!("{} may not depend on {}", member.name, dependency.name));
                }
                findings.extend(beyond_model(member, dependency));
            } else if let Some((_, owners)) = ROOMS.iter().find(|(names, _)| room(names, &dependency.name))
                && !owners.contains(&member.name.as_str())
            {
                findings.push(format!("{} may not name the crate {}", member.name, dependency.name));
            }
        }
    }
    findings
}

fn room(names: &[&str], dependency: &str) -> bool {
    names.iter().any(|name| {
        dependency == *name
            || dependency.strip_prefix(name).is_some_and(|rest| name.ends_with('-') || rest.starts_with('-'))
    })
}

fn beyond_model(member: &Member, dependency: &Dependency) -> Option<String> {
    let (user, used, features) = MODEL_ONLY;
    let beyond = dependency.default_features
        || dependency.features.iter().any(|feature| !features.contains(&feature.as_str()));
    (member.name == user && dependency.name == used && beyond).then(|| {
        format!("{user} may use only the model of {used}: no default features, none but {features:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(name: &str) -> Dependency {
        Dependency { name: name.to_owned(), dev: false, default_features: false, features: vec![] }
    }

    fn members(lines: Vec<(&str, Vec<Dependency>)>) -> Vec<Member> {
        let member = |(name, dependencies): (&str, Vec<Dependency>)| Member {
            name: name.to_owned(),
            folder: name.into(),
            dependencies,
            targets: vec![],
        };
        lines.into_iter().map(member).collect()
    }

    #[test]
    fn an_arrow_of_the_table_is_fine_and_a_reversed_one_is_not() {
        let members = members(vec![("netlink", vec![uses("hwprobe")]), ("hwprobe", vec![uses("netlink")])]);

        assert_eq!(check(&members), ["netlink may not depend on hwprobe"]);
    }

    #[test]
    fn a_test_may_look_upwards() {
        let upwards = Dependency { dev: true, ..uses("hwprobe") };

        assert_eq!(check(&members(vec![("netlink", vec![upwards]), ("hwprobe", vec![])])), [""; 0]);
    }

    #[test]
    fn packet_crates_stay_in_their_room() {
        let line = vec![uses("netlink-packet-route"), uses("nix")];

        assert_eq!(
            check(&members(vec![("hwprobe", line)])),
            ["hwprobe may not name the crate netlink-packet-route"]
        );
    }

    #[test]
    fn tokio_and_its_family_stay_out_of_the_kernel_crates() {
        let found = check(&members(vec![("attach", vec![uses("tokio"), uses("tokio-stream")])]));

        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn the_contract_sees_the_model_only() {
        let schema = Dependency { features: vec!["schema".to_owned()], ..uses("hwprobe") };
        let probe = Dependency { features: vec!["probe".to_owned()], ..uses("hwprobe") };

        assert_eq!(check(&members(vec![("openapi", vec![schema]), ("hwprobe", vec![])])), [""; 0]);
        assert_eq!(check(&members(vec![("openapi", vec![probe]), ("hwprobe", vec![])])).len(), 1);
    }

    #[test]
    fn a_crate_nobody_planned_is_found() {
        assert_eq!(check(&members(vec![("surprise", vec![])])).len(), 1);
    }
}

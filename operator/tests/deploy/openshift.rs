//! What OpenShift's admission would say to our pods. No Debian package has it: its rules for the fields that we use are
//! written down here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::rendered::{Objects, folder};

fn of<'a>(objects: &'a Objects, kind: &str, name: &str) -> &'a Value {
    objects
        .iter()
        .find(|(key, _)| key.0 == kind && key.2 == name)
        .unwrap_or_else(|| panic!("{kind} {name}"))
        .1
}

fn set(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn containers(pod: &Value) -> Vec<Value> {
    let of = |name: &str| pod[name].as_array().cloned().unwrap_or_default();
    [of("initContainers"), of("containers")].concat()
}

/// What a pod asks for, in the words of constraints.
fn asked(pod: &Value) -> Value {
    let mut added = BTreeSet::new();
    let mut volumes = BTreeSet::new();
    for container in containers(pod) {
        added.extend(set(&container["securityContext"]["capabilities"]["add"]));
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        volumes.extend(volume.as_object().unwrap().keys().filter(|key| *key != "name").cloned());
    }
    if pod["automountServiceAccountToken"] != false {
        volumes.insert("projected".to_owned());
    }
    let flag = |name: &str| pod[name] == true;
    let any = |test: &dyn Fn(&Value) -> bool| containers(pod).iter().any(|one| test(&one["securityContext"]));
    json!({
        "allowHostNetwork": flag("hostNetwork"), "allowHostPID": flag("hostPID"), "allowHostIPC": flag("hostIPC"),
        "allowHostDirVolumePlugin": volumes.contains("hostPath"),
        "allowPrivilegedContainer": any(&|context| context["privileged"] == true),
        "allowPrivilegeEscalation": any(&|context| context["allowPrivilegeEscalation"] != false),
        "allowHostPorts": containers(pod).iter().any(|one| one["ports"].is_array()),
        "writesRoot": any(&|context| context["readOnlyRootFilesystem"] != true),
        "keepsCapabilities": any(&|context| context["capabilities"]["drop"] != json!(["ALL"])),
        "capabilities": added, "volumes": volumes,
        "seccomp": any(&|context| !["", "RuntimeDefault"].contains(&context["seccompProfile"]["type"].as_str().unwrap_or_default())),
    })
}

/// Why the constraints do not admit the pod.
fn refused(constraints: &Value, pod: &Value) -> Vec<String> {
    let asked = asked(pod);
    let mut why = Vec::new();
    for name in [
        "allowHostNetwork",
        "allowHostPID",
        "allowHostIPC",
        "allowHostDirVolumePlugin",
        "allowPrivilegedContainer",
        "allowPrivilegeEscalation",
        "allowHostPorts",
    ] {
        if asked[name] == true && constraints[name] != true {
            why.push(name.to_owned());
        }
    }
    if constraints["readOnlyRootFilesystem"] == true && asked["writesRoot"] == true {
        why.push("readOnlyRootFilesystem".to_owned());
    }
    if set(&constraints["requiredDropCapabilities"]).contains("ALL") && asked["keepsCapabilities"] == true {
        why.push("requiredDropCapabilities".to_owned());
    }
    if asked["seccomp"] == true && constraints["seccompProfiles"] == json!(["runtime/default"]) {
        why.push("seccompProfiles".to_owned());
    }
    for (asked, allowed) in [("capabilities", "allowedCapabilities"), ("volumes", "volumes")] {
        let allowed = set(&constraints[allowed]);
        why.extend(set(&self::asked(pod)[asked]).difference(&allowed).cloned());
    }
    why
}

fn pod(objects: &Objects, kind: &str, name: &str) -> Value {
    of(objects, kind, name)["spec"]["template"]["spec"].clone()
}

#[test]
fn the_agents_constraints_are_what_it_asks_for_and_nothing_more() {
    let objects = folder("overlays/openshift");
    let constraints = of(&objects, "SecurityContextConstraints", "multi-nicd");
    let agent = pod(&objects, "DaemonSet", "multi-nicd");

    assert_eq!(refused(constraints, &agent), Vec::<String>::new());

    let asked = asked(&agent);
    for flag in constraints
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| key.starts_with("allow") && asked[*key].is_boolean())
    {
        assert_eq!(constraints[flag], asked[flag], "{flag}");
    }
    assert_eq!(set(&constraints["allowedCapabilities"]), set(&asked["capabilities"]));
    assert_eq!(set(&constraints["volumes"]), set(&asked["volumes"]));
}

#[test]
fn a_pod_that_asks_for_more_is_refused() {
    let objects = folder("overlays/openshift");
    let constraints = of(&objects, "SecurityContextConstraints", "multi-nicd");
    let agent = pod(&objects, "DaemonSet", "multi-nicd");
    for (pointer, value, why) in [
        ("/hostIPC", json!(true), "allowHostIPC"),
        ("/containers/0/securityContext/privileged", json!(true), "allowPrivilegedContainer"),
        ("/containers/0/securityContext/capabilities/add", json!(["SYS_MODULE"]), "SYS_MODULE"),
        ("/containers/0/securityContext/seccompProfile/type", json!("Unconfined"), "seccompProfiles"),
    ] {
        let mut more = agent.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        more.pointer_mut(parent).unwrap()[name] = value;

        assert_eq!(refused(constraints, &more), [why]);
    }
}

#[test]
fn constraints_are_bound_by_rbac_to_the_account_of_the_agent_alone() {
    let objects = folder("overlays/openshift");
    let constraints = of(&objects, "SecurityContextConstraints", "multi-nicd");
    let (role, binding) =
        (of(&objects, "Role", "multi-nicd-scc"), of(&objects, "RoleBinding", "multi-nicd-scc"));

    assert_eq!((&constraints["users"], &constraints["groups"]), (&json!([]), &json!([])));
    assert_eq!(
        role["rules"],
        json!([{"apiGroups": ["security.openshift.io"], "resources": ["securitycontextconstraints"],
                "resourceNames": ["multi-nicd"], "verbs": ["use"]}])
    );
    assert_eq!(
        binding["subjects"][0]["name"],
        pod(&objects, "DaemonSet", "multi-nicd")["serviceAccountName"]
    );
}

#[test]
fn the_operator_needs_no_constraints_but_the_strictest() {
    let operator = pod(&folder("overlays/openshift"), "Deployment", "multi-nic-operator");
    let strictest = json!({
        "readOnlyRootFilesystem": false, "requiredDropCapabilities": ["ALL"], "seccompProfiles": ["runtime/default"],
        "allowedCapabilities": ["NET_BIND_SERVICE"],
        "volumes": ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"],
    });

    assert_eq!(refused(&strictest, &operator), Vec::<String>::new());
    let context = &operator["containers"][0]["securityContext"];
    assert_eq!((&context["runAsUser"], &context["runAsNonRoot"]), (&Value::Null, &json!(true)));
}

#[test]
fn what_uninstalls_is_admitted_by_the_agents_constraints_and_looks_where_they_installed() {
    let installed = folder("overlays/openshift");
    let uninstall = pod(&folder("uninstall-openshift"), "DaemonSet", "multi-nic-uninstall");

    let constraints = of(&installed, "SecurityContextConstraints", "multi-nicd");
    assert_eq!(refused(constraints, &uninstall), Vec::<String>::new());
    let agent = pod(&installed, "DaemonSet", "multi-nicd");
    assert_eq!(uninstall["serviceAccountName"], agent["serviceAccountName"]);
    let folder_of = |pod: &Value| {
        let volumes = pod["volumes"].as_array().unwrap();
        volumes.iter().find(|volume| volume["name"] == "plugins").unwrap()["hostPath"]["path"].clone()
    };
    assert_eq!(
        (folder_of(&agent), folder_of(&uninstall)),
        (json!("/var/lib/cni/bin"), json!("/var/lib/cni/bin"))
    );
}

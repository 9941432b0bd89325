//! §1.2, §1.5, §1.7: the configuration, errors, what nobody knows.

use serde_json::{Value, json};

use super::environment::refused;
use crate::runner::scene::{ensure, list};
use crate::runner::subject::Pool;
use crate::runner::table::Case;

/// The rows.
pub const CASES: &[Case] = &[
    Case::new("1.5", "no JSON object on standard input: code 6", |scene| {
        let pod = scene.pod()?;
        for wrong in ["{", "", "[]", "\"x\""] {
            refused(scene, &scene.add(&pod).stdin(wrong), wrong, 6)?;
        }
        Ok(())
    }),
    Case::new("1.1", "unknown cniVersion: code 1", |scene| {
        let pod = scene.pod()?;
        for wrong in ["9.9.9", "1.0", "x"] {
            refused(scene, &scene.add(&pod).key("cniVersion", wrong), wrong, 1)?;
        }
        Ok(())
    }),
    Case::new("1.1", "no cniVersion is 0.1.0", |scene| {
        let pod = scene.pod()?;
        let add = scene.add(&pod).without_key("cniVersion");
        if !scene.spoken.iter().any(|version| version == "0.1.0") {
            return refused(scene, &add, "no cniVersion", 1);
        }
        let result = scene.run(&add)?.result()?;
        ensure(result["ip4"].is_object() || result["ip6"].is_object(), || format!("not 0.1.0: {result}"))
    }),
    Case::new("1.1", "wrong network name: code 7", |scene| {
        let pod = scene.pod()?;
        for wrong in ["a/b", "-a", "../x", "a b"] {
            refused(scene, &scene.add(&pod).key("name", wrong), wrong, 7)?;
        }
        Ok(())
    }),
    Case::new("1.1", "no network name: code 7", |scene| {
        let pod = scene.pod()?;
        refused(scene, &scene.add(&pod).without_key("name"), "no name", 7)?;
        refused(scene, &scene.add(&pod).key("name", ""), "an empty name", 7)
    }),
    Case::new("1.2", "unknown keys of the configuration are fine", |scene| {
        let pod = scene.pod()?;
        let mut add = scene.add(&pod).key("frob", json!({"a": [1, null]})).key("cni.dev/frob", true);
        if add.config["ipam"].is_object() {
            add.config["ipam"]["frob"] = Value::from("x");
        }
        scene.attach_with(add)?;
        Ok(())
    }),
    Case::new("1.6", "unknown keys of runtimeConfig and args are fine", |scene| {
        let pod = scene.pod()?;
        let add = scene.add(&pod).key("runtimeConfig", json!({"frob": {"a": 1}}));
        let add =
            add.key("args", json!({"cni": {"frob": 1, "labels": [{"key": "a", "value": "b"}]}, "x": 1}));
        scene.attach_with(add)?;
        Ok(())
    }),
    Case::new("1.7", "unknown keys of CNI_ARGS are fine", |scene| {
        let pod = scene.pod()?;
        let args = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=p;K8S_POD_UID=u;FROB=x";
        scene.attach_with(scene.add(&pod).with("CNI_ARGS", args))?;
        Ok(())
    }),
    Case::new("1.5", "a failed ADD prints one error object on stdout", |scene| {
        let pod = scene.pod()?;
        let add = scene.add(&pod).with("CNI_NETNS", "/run/netns/cf-never-was");
        scene.run(&add)?.error()?;
        Ok(())
    })
    .main(),
    Case::new("1.5", "no reserved error code", |scene| {
        let pod = scene.pod()?;
        let answer = scene.run(&scene.add(&pod).with("CNI_NETNS", "/run/netns/cf-never-was"))?;
        let error: Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
        let code = error["code"].as_u64().unwrap_or_default();
        // 3, 50 and 51 have a meaning that an ADD cannot have.
        let taken = matches!(code, 3 | 9 | 10 | 12..=99);
        ensure(!taken, || format!("code {code}"))
    })
    .main(),
    Case::new("1.4", "ADD gives an address", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach_with(scene.call("ADD", &pod, Pool::Wide))?;
        ensure(!list(&attachment.result["ips"]).is_empty(), || "no address".to_owned())
    }),
];

//! kubectl, and our definitions as the lab's API server takes them. Tests of several crates have this file as a module of
//! their own (`#[path]`).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs kubectl with something on its standard input. Whether it was content, and what it printed: then its output, else
/// its complaint.
pub(crate) fn run(mut kubectl: Command, arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = kubectl
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Files of `deploy/crds`, as people apply them: our kinds in both groups.
pub(crate) fn our_definitions() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/crds");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| !file.ends_with("kustomization.yaml")).collect()
}

/// Applies definitions and waits until they are served; their names, `crd/…`. The lab's server is 1.20 and does not know
/// CEL rules: those are taken out here, never in the product.
pub(crate) fn install(kubectl: impl Fn(&[&str], &str) -> (bool, String), files: &[PathBuf]) -> Vec<String> {
    let must = |arguments: &[&str], input: &str| {
        let (well, said) = kubectl(arguments, input);
        assert!(well, "kubectl {arguments:?}: {said}");
    };
    let definitions: Vec<Value> = files.iter().map(|file| for_the_lab(file)).collect();
    let named = |definition: &Value| format!("crd/{}", definition["metadata"]["name"].as_str().unwrap());
    let names: Vec<String> = definitions.iter().map(named).collect();
    // One call: each costs seconds on an emulated CPU.
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": definitions});
    must(&["apply", "-f", "-"], &list.to_string());
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    must(&[&["wait", "--for=condition=Established", "--timeout=60s"][..], &all].concat(), "");
    names
}

fn for_the_lab(file: &Path) -> Value {
    let mut definition: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    strip(&mut definition);
    definition
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.remove("x-kubernetes-validations");
            // Built with a newer Go than it was written for, it takes an empty text for null (go-openapi compares with
            // Go's zero value). Of ours, the one that must be there and may be empty:
            if let Some(Value::Object(subnet)) = members.get_mut("subnet") {
                subnet.insert("nullable".to_owned(), true.into());
            }
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

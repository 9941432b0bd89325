//! What kustomize folders and the chart make, as objects.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

/// Kind, namespace, name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) String, pub(crate) String, pub(crate) String);

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.0, self.1, self.2)
    }
}

/// Objects by what they are.
pub(crate) type Objects = BTreeMap<Key, Value>;

/// The clone.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// One of the programs of `lab/deploy-tools`.
pub(crate) fn tool(name: &str) -> Command {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let output = Command::new(root().join("lab/deploy-tools")).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "lab/deploy-tools: {}", output.status);
        String::from_utf8(output.stdout).unwrap().trim().into()
    });
    Command::new(FOLDER.join(name))
}

/// What it prints; it has to succeed.
pub(crate) fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A folder below `deploy/`, by the kustomize of a kubectl.
pub(crate) fn folder_by(mut kubectl: Command, folder: &str) -> Objects {
    objects(&printed(kubectl.arg("kustomize").arg(root().join("deploy").join(folder))))
}

/// A folder below `deploy/`.
pub(crate) fn folder(folder: &str) -> Objects {
    folder_by(tool("kubectl"), folder)
}

/// Folders and components below `deploy/` together.
pub(crate) fn together(name: &str, folders: &[&str], components: &[&str]) -> Objects {
    // kustomize takes folders by relative names only.
    let aside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&aside).unwrap();
    let up = "../".repeat(aside.components().count() - 1);
    let deploy = root().join("deploy");
    let list = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| format!("{up}{}", &deploy.join(name).to_str().unwrap()[1..])).collect()
    };
    let text = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": list(folders), "components": list(components),
    });
    std::fs::write(aside.join("kustomization.yaml"), text.to_string()).unwrap();
    objects(&printed(tool("kubectl").arg("kustomize").arg(&aside)))
}

/// The chart with values.
pub(crate) fn chart(values: &[&str]) -> Objects {
    let mut helm = tool("helm");
    helm.args(["template", "multi-nic", "--include-crds", "-n", "multi-nic-cni-operator"]);
    helm.arg(root().join("deploy/helm/multi-nic"));
    values.iter().for_each(|value| {
        helm.args(["--set", value]);
    });
    objects(&printed(&mut helm))
}

/// Documents of YAML.
pub(crate) fn objects(text: &str) -> Objects {
    let documents = text.split("\n---").filter(|text| text.lines().any(|line| line.starts_with("kind:")));
    let mut objects = Objects::new();
    for document in documents {
        let object: Value = serde_saphyr::from_str(document.trim_start_matches("---"))
            .unwrap_or_else(|error| panic!("{error}\n{document}"));
        let of =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = Key(of("/kind"), of("/metadata/namespace"), of("/metadata/name"));
        assert!(!key.2.is_empty(), "an object without a name:\n{document}");
        assert_eq!(objects.insert(key.clone(), object), None, "{key} is there twice");
    }
    objects
}

//! The workspace as cargo sees it: root, target folder, packages and what they depend on.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::program;

/// The clone that the command works on.
pub(crate) struct Workspace {
    /// The folder with the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Where cargo builds (`CARGO_TARGET_DIR` or `target/`).
    pub(crate) target: PathBuf,
    metadata: Value,
}

/// One dependency line of a member.
pub(crate) struct Dependency {
    /// The package's own name, not what the member calls it.
    pub(crate) name: String,
    /// Only for tests, examples and benches.
    pub(crate) dev: bool,
    /// Whether the member leaves the default features on.
    pub(crate) default_features: bool,
    /// The features that the member asks for.
    pub(crate) features: Vec<String>,
}

/// One target of a member.
pub(crate) struct Target {
    /// `lib`, `bin`, `test`, `bench` …
    pub(crate) kind: String,
    /// Its root file.
    pub(crate) source: PathBuf,
}

/// One member of the workspace.
pub(crate) struct Member {
    /// The crate's name.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its dependency lines.
    pub(crate) dependencies: Vec<Dependency>,
    /// Its targets.
    pub(crate) targets: Vec<Target>,
}

impl Member {
    /// Whether the member has a target of this kind.
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.targets.iter().any(|target| target.kind == kind)
    }
}

impl Workspace {
    /// The workspace that this command was started in.
    pub(crate) fn load() -> Result<Self> {
        let mut locate = cargo();
        locate.args(["locate-project", "--workspace", "--message-format", "plain"]);
        let manifest = String::from_utf8(program::stdout(&mut locate)?)?;
        let root = Path::new(manifest.trim()).parent().context("the workspace has no folder")?.to_owned();
        let mut metadata = cargo();
        metadata.current_dir(&root).args(["metadata", "--format-version", "1", "--no-deps"]);
        let metadata: Value = serde_json::from_slice(&program::stdout(&mut metadata)?)?;
        let target = metadata["target_directory"].as_str().context("cargo names no target folder")?.into();
        Ok(Self { root, target, metadata })
    }

    /// A workspace that is only a folder, for tests of what runs there.
    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), target: root.join("target"), metadata: Value::Null }
    }

    /// A command that runs in the root.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// `cargo` in the root.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }

    /// A script of `lab/`.
    pub(crate) fn lab(&self, script: &str) -> Command {
        self.command(self.root.join("lab").join(script))
    }

    /// The members, in the order of the root manifest.
    pub(crate) fn members(&self) -> Vec<Member> {
        array(&self.metadata["packages"]).map(member).collect()
    }

    /// The files that git tracks, plus the new ones that it would not ignore.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut list = self.command("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let names = program::stdout(&mut list)?;
        let mut files: Vec<PathBuf> = names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
            .filter(|path| self.root.join(path).is_file())
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }
}

/// The cargo that started this command, without what it set for this command.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        // Left in, they would make every crate look changed to a build script that reads them.
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            command.env_remove(name);
        }
    }
    command
}

/// The elements of a JSON array; none when it is something else.
pub(crate) fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A JSON string, owned; empty when it is something else.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn member(package: &Value) -> Member {
    let dependencies = array(&package["dependencies"]).map(|line| Dependency {
        name: text(&line["name"]),
        dev: line["kind"] == "dev",
        default_features: line["uses_default_features"].as_bool().unwrap_or(true),
        features: array(&line["features"]).map(text).collect(),
    });
    let targets = array(&package["targets"]).map(|target| Target {
        kind: array(&target["kind"]).next().map(text).unwrap_or_default(),
        source: text(&target["src_path"]).into(),
    });
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    Member {
        name: text(&package["name"]),
        folder: manifest.parent().map(Path::to_owned).unwrap_or_default(),
        dependencies: dependencies.collect(),
        targets: targets.collect(),
    }
}

/// The platform whose dependencies count; the product runs on Linux only.
pub(crate) fn platform() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

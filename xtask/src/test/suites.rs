//! The test executables of the workspace as `cargo nextest list` names them.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::groups::GROUPS;
use crate::program;
use crate::workspace::{Workspace, platform, text};

/// One test executable.
pub(crate) struct Suite {
    /// nextest's own name for it, `netlink::vm_nics`.
    pub(crate) id: String,
    /// The crate it belongs to.
    pub(crate) package: String,
    /// `lib`, `bin`, `test` …
    pub(crate) kind: String,
    /// The target's name, `vm_nics`.
    pub(crate) name: String,
    /// How many of its tests are marked `#[ignore]`.
    pub(crate) ignored: u64,
}

impl Suite {
    /// Whether its ignored tests run in a machine of the lab.
    pub(crate) fn in_lab(&self) -> bool {
        self.kind == "test" && self.name.starts_with("vm_")
    }

    /// Whether its ignored tests drive a browser on this host.
    pub(crate) fn in_browser(&self) -> bool {
        self.kind == "test" && self.name.starts_with("page_")
    }

    /// Whether its ignored tests want an API server on this host, which they may stop and fill as they like.
    pub(crate) fn on_api_server(&self) -> bool {
        self.kind == "test" && self.name.starts_with("kube_")
    }
}

/// What `cargo nextest list --message-format json` found.
pub(crate) struct Suites {
    /// Every test executable.
    pub(crate) all: Vec<Suite>,
}

impl Suites {
    /// Builds the tests and lists them; nothing is run but each executable's own listing.
    pub(crate) fn build(workspace: &Workspace, scope: &[String]) -> Result<Self> {
        let mut list = workspace.cargo();
        list.args(["nextest", "list", "--all-features", "--run-ignored", "all", "--message-format", "json"]);
        list.args(scope);
        Self::parse(&program::stdout(&mut list)?)
    }

    fn parse(json: &[u8]) -> Result<Self> {
        let list: Value = serde_json::from_slice(json).context("cargo nextest list")?;
        let suites = list["rust-suites"].as_object().context("cargo nextest list has no rust-suites")?;
        let all = suites.values().map(|suite| Suite {
            id: text(&suite["binary-id"]),
            package: text(&suite["package-name"]),
            kind: text(&suite["kind"]),
            name: text(&suite["binary-name"]),
            ignored: suite["testcases"]
                .as_object()
                .map_or(0, |cases| cases.values().filter(|case| case["ignored"] == true).count() as u64),
        });
        Ok(Self { all: all.collect() })
    }

    /// Ignored tests that no step of their own runs: nobody ever sees them pass.
    pub(crate) fn ignored_for_good(&self) -> u64 {
        self.ignored(|suite| !suite.in_lab() && !suite.in_browser() && !suite.on_api_server())
    }

    /// The tests against an API server.
    pub(crate) fn of_api_server(&self) -> u64 {
        self.ignored(Suite::on_api_server)
    }

    /// The tests in a browser.
    pub(crate) fn of_browser(&self) -> u64 {
        self.ignored(Suite::in_browser)
    }

    fn ignored(&self, which: impl Fn(&Suite) -> bool) -> u64 {
        self.all.iter().filter(|suite| which(suite)).map(|suite| suite.ignored).sum()
    }

    /// The tests of the lab.
    pub(crate) fn of_lab(&self) -> u64 {
        self.ignored(Suite::in_lab)
    }

    /// Where the table of groups and the test files disagree. With a scope only its crates count.
    pub(crate) fn disagreements(&self, packages: &[String]) -> Vec<String> {
        let wanted = |package: &str| packages.is_empty() || packages.iter().any(|name| name == package);
        let table = || GROUPS.iter().flat_map(|group| group.suites);
        let mut found = Vec::new();
        for (package, name) in table().filter(|(package, _)| wanted(package)) {
            match self.all.iter().find(|suite| suite.package == *package && suite.name == *name) {
                None => found.push(format!("{package} has no tests/{name}.rs, which a lab group names")),
                Some(suite) if suite.ignored == 0 => {
                    found.push(format!("{package}/tests/{name}.rs has no test marked as needing the lab"));
                }
                Some(_) => {}
            }
        }
        for suite in self.all.iter().filter(|suite| suite.in_lab()) {
            if !table().any(|(package, name)| suite.package == *package && suite.name == *name) {
                found.push(format!("{}/tests/{}.rs stands in no lab group", suite.package, suite.name));
            }
        }
        found
    }
}

/// What a machine without cargo needs to run the executables: nextest's and cargo's descriptions.
pub(crate) struct Reuse {
    /// `cargo metadata`.
    pub(crate) cargo: PathBuf,
    /// `cargo nextest list --list-type binaries-only`.
    pub(crate) binaries: PathBuf,
}

impl Reuse {
    /// Writes both below the target folder.
    pub(crate) fn write(workspace: &Workspace, scope: &[String]) -> Result<Self> {
        let folder = workspace.target.join("lab");
        std::fs::create_dir_all(&folder)?;
        let reuse = Self { cargo: folder.join("cargo.json"), binaries: folder.join("binaries.json") };
        let mut metadata = workspace.cargo();
        metadata.args(["metadata", "--format-version", "1", "--all-features"]);
        metadata.args(["--filter-platform", &platform()]);
        std::fs::write(&reuse.cargo, program::stdout(&mut metadata)?)?;
        let mut list = workspace.cargo();
        list.args(["nextest", "list", "--all-features", "--list-type", "binaries-only"]);
        list.args(["--message-format", "json"]).args(scope);
        let binaries = program::stdout(&mut list)?;
        if binaries.is_empty() {
            bail!("cargo nextest list printed nothing");
        }
        std::fs::write(&reuse.binaries, binaries)?;
        Ok(reuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suites(json: &str) -> Suites {
        Suites::parse(json.as_bytes()).unwrap()
    }

    const LIST: &str = r#"{"rust-suites": {
        "netlink": {"binary-id": "netlink", "package-name": "netlink", "kind": "lib", "binary-name": "netlink",
            "testcases": {"a": {"ignored": false}, "slow": {"ignored": true}}},
        "netlink::vm_nics": {"binary-id": "netlink::vm_nics", "package-name": "netlink", "kind": "test",
            "binary-name": "vm_nics", "testcases": {"x": {"ignored": true}, "y": {"ignored": true}}},
        "store::vm_disk": {"binary-id": "store::vm_disk", "package-name": "store", "kind": "test",
            "binary-name": "vm_disk", "testcases": {"x": {"ignored": true}}},
        "nodeagent::page_browser": {"binary-id": "nodeagent::page_browser", "package-name": "nodeagent",
            "kind": "test", "binary-name": "page_browser", "testcases": {"x": {"ignored": true}}}}}"#;

    #[test]
    fn ignored_tests_are_counted_where_they_run() {
        let suites = suites(LIST);

        assert_eq!(suites.ignored_for_good(), 1);
        assert_eq!(suites.of_lab(), 3);
        assert_eq!(suites.of_browser(), 1);
    }

    #[test]
    fn a_lab_file_in_no_group_and_a_group_without_its_file_are_both_found() {
        let found = suites(LIST).disagreements(&[]);

        assert!(found.contains(&"store/tests/vm_disk.rs stands in no lab group".to_owned()), "{found:?}");
        assert!(
            found.iter().any(|line| line.starts_with("nodeagent has no tests/vm_events.rs")),
            "{found:?}"
        );
        assert!(!found.iter().any(|line| line.contains("vm_nics")), "{found:?}");
    }
}

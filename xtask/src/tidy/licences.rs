//! `deny.toml` against the packages that the workspace really builds.
//!
//! `cargo deny` does it when it is installed (offline, without its advisories). Otherwise the
//! same file is read here: licences, bans, sources and doubled versions, over `cargo metadata`.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use toml::Table;

use super::spdx;
use crate::workspace::{Workspace, array, platform, text};
use crate::{output, program};

/// One line for each package that the rules refuse.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    if program::path_of("cargo-deny").is_some() {
        output::line("licences by cargo-deny");
        let mut deny = workspace.cargo();
        deny.args(["deny", "--offline", "--all-features", "check", "licenses", "bans", "sources"]);
        let status = program::status(&mut deny)?;
        return Ok(if status.success() { vec![] } else { vec![format!("cargo deny: {status}")] });
    }
    output::line("licences by xtask itself, after deny.toml (cargo-deny is not installed)");
    let rules = std::fs::read_to_string(workspace.root.join("deny.toml")).context("deny.toml")?;
    let rules = Rules::parse(&rules)?;
    let mut metadata = workspace.cargo();
    metadata.args(["metadata", "--format-version", "1", "--all-features", "--locked"]);
    metadata.args(["--filter-platform", &platform()]);
    let metadata: Value = serde_json::from_slice(&program::stdout(&mut metadata)?)?;
    Ok(judge(&rules, &packages(&metadata)))
}

/// The parts of `deny.toml` that are read here.
struct Rules {
    /// Licences that we may ship.
    licences: Vec<String>,
    /// Crates that must not be in the tree.
    bans: Vec<String>,
    /// Crates, with a version or without, that may be there twice.
    doubled: Vec<String>,
    /// Where crates may come from.
    registries: Vec<String>,
}

impl Rules {
    fn parse(deny: &str) -> Result<Self> {
        let deny: Table = deny.parse().context("deny.toml")?;
        let list = |section: &str, key: &str| -> Result<Vec<String>> {
            let value = deny.get(section).and_then(|section| section.get(key));
            let lines = value.and_then(|value| value.as_array());
            let lines = lines.with_context(|| format!("deny.toml: [{section}] has no list {key}"))?;
            let name = |line: &toml::Value| {
                let table = line.as_table();
                let named = table.and_then(|table| table.get("crate").or_else(|| table.get("name")));
                line.as_str().or_else(|| named.and_then(toml::Value::as_str)).map(str::to_owned)
            };
            lines
                .iter()
                .map(|line| name(line).with_context(|| format!("deny.toml: odd {key}: {line:?}")))
                .collect()
        };
        Ok(Self {
            licences: list("licenses", "allow")?,
            bans: list("bans", "deny")?,
            doubled: list("bans", "skip")?,
            registries: list("sources", "allow-registry")?,
        })
    }

    fn may_be_doubled(&self, package: &Package) -> bool {
        self.doubled.contains(&package.name)
            || self.doubled.contains(&format!("{}@{}", package.name, package.version))
    }
}

struct Package {
    name: String,
    version: String,
    licence: String,
    /// `None` for members of the workspace.
    source: Option<String>,
}

/// The packages that the resolved tree of this platform holds.
fn packages(metadata: &Value) -> Vec<Package> {
    let nodes: Vec<&Value> = array(&metadata["resolve"]["nodes"]).map(|node| &node["id"]).collect();
    array(&metadata["packages"])
        .filter(|package| nodes.contains(&&package["id"]))
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: text(&package["license"]),
            source: package["source"].as_str().map(str::to_owned),
        })
        .collect()
}

fn judge(rules: &Rules, packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    for package in packages {
        let Package { name, version, licence, source } = package;
        match spdx::satisfied(licence, &rules.licences) {
            Ok(true) => {}
            Ok(false) => findings.push(format!("{name} {version}: licence {licence} is not allowed")),
            Err(error) => findings.push(format!("{name} {version}: {error}")),
        }
        if rules.bans.contains(name) {
            findings.push(format!("{name} {version} is banned"));
        }
        let foreign = |source: &String| {
            let place = source.strip_prefix("registry+").or_else(|| source.strip_prefix("sparse+"));
            !place.is_some_and(|place| rules.registries.iter().any(|registry| registry == place))
        };
        if let Some(source) = source.as_ref().filter(|source| foreign(source)) {
            findings.push(format!("{name} {version} comes from {source}"));
        }
        versions.entry(name).or_default().push(package);
    }
    for (name, doubled) in versions.iter().filter(|(_, packages)| packages.len() > 1) {
        let unexcused = doubled.iter().filter(|package| !rules.may_be_doubled(package)).count();
        if unexcused > 1 {
            let versions: Vec<&str> = doubled.iter().map(|package| package.version.as_str()).collect();
            findings.push(format!("{name} is there {} times: {}", doubled.len(), versions.join(", ")));
        }
    }
    for skip in &rules.doubled {
        let name = skip.split('@').next().unwrap_or(skip);
        if versions.get(name).is_none_or(|packages| packages.len() < 2) {
            findings.push(format!("deny.toml skips {skip}, which is no longer doubled"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = r#"
        [licenses]
        allow = ["MIT"]
        [bans]
        deny = [{ crate = "openssl-sys", reason = "x" }]
        skip = [{ crate = "syn@1.0.0", reason = "x" }]
        [sources]
        allow-registry = ["https://example.org/index"]
    "#;

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: "MIT".to_owned(),
            source: Some("registry+https://example.org/index".to_owned()),
        }
    }

    fn judged(mut packages: Vec<Package>) -> Vec<String> {
        packages.push(package("syn", "1.0.0"));
        packages.push(package("syn", "2.0.0"));
        judge(&Rules::parse(DENY).unwrap(), &packages)
    }

    #[test]
    fn an_excused_double_is_fine() {
        assert_eq!(judged(vec![]), [""; 0]);
    }

    #[test]
    fn a_third_version_is_not_excused() {
        assert_eq!(judged(vec![package("syn", "3.0.0")]), ["syn is there 3 times: 3.0.0, 1.0.0, 2.0.0"]);
    }

    #[test]
    fn an_excuse_that_is_no_longer_needed_is_found() {
        assert_eq!(judge(&Rules::parse(DENY).unwrap(), &[]).len(), 1);
    }

    #[test]
    fn licence_ban_and_source_are_judged() {
        let copyleft = Package { licence: "GPL-3.0".to_owned(), ..package("a", "1.0.0") };
        let forked =
            Package { source: Some("git+https://example.org/b".to_owned()), ..package("b", "1.0.0") };

        let found = judged(vec![copyleft, forked, package("openssl-sys", "1.0.0")]);

        assert_eq!(found.len(), 3, "{found:?}");
    }
}

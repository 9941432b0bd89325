//! `cargo xtask codegen`: the files that are written by a program, and whether they are up to date.

mod chart;
mod definitions;
mod kubelet_api;
mod openapi;
mod pci_names;
mod public_api;
mod reference;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::output;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail when a file is not what it should be.
    #[arg(long)]
    check: bool,
    /// Only these, as some build half the workspace; none: all.
    #[arg(value_parser = NAMES)]
    only: Vec<String>,
}

/// One file as it should be.
struct Generated {
    /// Relative to the root.
    path: PathBuf,
    content: String,
}

type Generator = fn(&Workspace) -> Result<Vec<Generated>>;

/// Each makes its files from what the workspace holds; one that cannot never hides the others.
const GENERATORS: [Generator; 7] = [
    pci_names::generate,
    kubelet_api::generate,
    openapi::generate,
    definitions::generate,
    chart::generate,
    public_api::generate,
    reference::generate,
];

/// Their names, in that order.
const NAMES: [&str; 7] =
    ["pci-names", "kubelet-api", "openapi", "definitions", "helm", "public-api", "reference"];

/// The generators of these names; of none, all.
fn chosen(only: &[String]) -> impl Iterator<Item = &'static Generator> {
    let named = NAMES.iter().zip(&GENERATORS);
    named.filter(move |(name, _)| only.is_empty() || only.iter().any(|one| one == *name)).map(|(_, one)| one)
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    if arguments.check {
        let outdated = findings(&workspace, chosen(&arguments.only));
        outdated.iter().for_each(|finding| output::failure(finding));
        return Ok(if outdated.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut failed = false;
    for generate in chosen(&arguments.only) {
        match generate(&workspace) {
            Ok(files) => write(&workspace, &files)?,
            Err(error) => {
                output::failure(&format!("{error:#}"));
                failed = true;
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write(workspace: &Workspace, files: &[Generated]) -> Result<()> {
    for file in files.iter().filter(|file| differs(workspace, file)) {
        std::fs::write(workspace.root.join(&file.path), &file.content)
            .with_context(|| format!("write {}", file.path.display()))?;
        output::line(&format!("wrote {} ({} kB)", file.path.display(), file.content.len().div_ceil(1000)));
    }
    Ok(())
}

/// One line for each generated file that is missing or not what it should be, and for each that
/// cannot be made.
pub(crate) fn outdated(workspace: &Workspace) -> Vec<String> {
    findings(workspace, GENERATORS.iter())
}

fn findings<'a>(workspace: &Workspace, generators: impl Iterator<Item = &'a Generator>) -> Vec<String> {
    let findings = generators.flat_map(|generate| match generate(workspace) {
        Ok(files) => {
            let outdated = files.into_iter().filter(|file| differs(workspace, file));
            outdated
                .map(|file| format!("{} is out of date: run cargo xtask codegen", file.path.display()))
                .collect()
        }
        Err(error) => vec![format!("codegen: {error:#}")],
    });
    findings.collect()
}

fn differs(workspace: &Workspace, file: &Generated) -> bool {
    std::fs::read(workspace.root.join(&file.path)).ok().as_deref() != Some(file.content.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{GENERATORS, chosen};

    #[test]
    fn names_choose_generators_and_no_name_means_all() {
        let only =
            |names: &[&str]| chosen(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).count();

        assert_eq!(
            (only(&[]), only(&["public-api"]), only(&["openapi", "definitions"])),
            (GENERATORS.len(), 1, 2)
        );
    }
}

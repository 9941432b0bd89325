//! `cargo xtask tidy`: the rules of this workspace that no compiler knows.

mod arrows;
mod block;
mod documents;
mod file_names;
mod licences;
mod spdx;
mod traces;
mod unsafe_code;

use std::process::ExitCode;

use anyhow::Result;

pub(crate) use block::Block;
pub(crate) use documents::beside_the_book;

use crate::workspace::Workspace;
use crate::{codegen, output};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Do not run the tested shell blocks of the documents.
    #[arg(long)]
    no_blocks: bool,
    /// Run those blocks too that need a machine of the lab.
    #[arg(long)]
    lab: bool,
}

/// Arguments of `cargo check` for what must also build alone: the model without the probe
/// (docs/decisions/0003), and the contract that uses nothing more.
pub(crate) const BUILT_ALONE: [&[&str]; 2] =
    [&["-p", "hwprobe", "--no-default-features"], &["-p", "openapi"]];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let mut findings = licences(&workspace)?;
    findings.extend(check(&workspace)?);
    let (blocks, lab_blocks) = blocks(&workspace)?;
    let wanted = blocks.iter().filter(|_| !arguments.no_blocks);
    let wanted = wanted.chain(lab_blocks.iter().filter(|_| arguments.lab && !arguments.no_blocks));
    for block in wanted {
        output::line(&format!("running {}", block.title()));
        findings.extend(block.run(&workspace).err());
    }
    findings.iter().for_each(|finding| output::failure(finding));
    output::line(&format!("tidy: {} findings", findings.len()));
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything that only reads: each finding is one line, an empty list is tidy.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let files = workspace.files()?;
    let members = workspace.members();
    let mut findings = arrows::check(&members);
    findings.extend(file_names::check(&files));
    findings.extend(unsafe_code::check(workspace, &members, &files)?);
    findings.extend(traces::check(workspace, &files)?);
    findings.extend(documents::check(workspace, &files)?);
    findings.extend(codegen::outdated(workspace));
    for (path, lines) in file_names::long(workspace, &files)? {
        output::line(&format!("warning: {} has {lines} lines: is it one noun?", path.display()));
    }
    Ok(findings)
}

/// Licences, bans, sources and doubled versions after `deny.toml`.
pub(crate) fn licences(workspace: &Workspace) -> Result<Vec<String>> {
    licences::check(workspace)
}

/// The tested shell blocks of all documents: those that run anywhere, those that need the lab.
pub(crate) fn blocks(workspace: &Workspace) -> Result<(Vec<Block>, Vec<Block>)> {
    let mut blocks = Vec::new();
    for path in workspace.files()? {
        let document = path.extension().is_some_and(|extension| extension == "md");
        if document
            && (path.components().count() == 1 || path.starts_with("docs") || path.ends_with("README.md"))
        {
            let markdown = std::fs::read_to_string(workspace.root.join(&path))?;
            blocks.extend(block::parse(&path, &markdown)?);
        }
    }
    Ok(blocks.into_iter().partition(|block: &Block| !block.needs_lab()))
}

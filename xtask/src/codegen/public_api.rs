//! The public API of the contract crates as texts, so that a review sees what changes for who uses them.
//!
//! Read from the sources: rustdoc's own list is for nightly compilers only. Shown are the items that another crate can
//! name, each where it is named, without comments and bodies, and the implementations of their types. Derives and
//! serde's attributes are shown: they are the form on the wire.

mod source;
mod surface;

use anyhow::Result;

use super::Generated;
use crate::workspace::Workspace;

/// The crates whose API others rely on beyond this workspace.
const CONTRACTS: [&str; 4] = ["cni", "crds", "ipam", "openapi"];

pub(super) fn generate(workspace: &Workspace) -> Result<Vec<Generated>> {
    let files = CONTRACTS.iter().map(|name| {
        let source = source::Module::read(&workspace.root.join(name).join("src/lib.rs"))?;
        let content = format!(
            "// The public API of {name}, written by `cargo xtask codegen` from its sources.\n\n{}",
            surface::text(&source)
        );
        Ok(Generated { path: format!("{name}/public-api.txt").into(), content })
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use crate::workspace::Workspace;

    #[test]
    fn the_texts_are_what_the_sources_say() {
        let workspace = Workspace::load().unwrap();

        for file in super::generate(&workspace).unwrap() {
            let text = std::fs::read_to_string(workspace.root.join(&file.path)).unwrap_or_default();
            let first = text.lines().zip(file.content.lines()).find(|(is, should)| is != should);
            assert_eq!(first, None, "{}: run cargo xtask codegen", file.path.display());
            assert_eq!(text.len(), file.content.len(), "{}: run cargo xtask codegen", file.path.display());
        }
    }
}

//! File names that say nothing, and files that are more than one noun.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::workspace::Workspace;

/// Names of files and folders that could hold anything.
const EMPTY: [&str; 9] =
    ["util", "utils", "helper", "helpers", "common", "misc", "types", "test_utils", "test_helpers"];

/// Lines from which a file is worth a second look.
const LONG: usize = 500;

/// One line for each Rust or shell file whose name says nothing.
pub(crate) fn check(files: &[PathBuf]) -> Vec<String> {
    files
        .iter()
        .filter_map(|path| {
            let stems = path.iter().filter_map(|part| Path::new(part).file_stem()?.to_str());
            let empty = stems.into_iter().find(|stem| EMPTY.contains(&stem.to_ascii_lowercase().as_str()))?;
            Some(format!("{}: \"{empty}\" names nothing", path.display()))
        })
        .collect()
}

/// Rust files over the limit, generated ones left out.
pub(crate) fn long(workspace: &Workspace, files: &[PathBuf]) -> Result<Vec<(PathBuf, usize)>> {
    let mut long = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let source = std::fs::read_to_string(workspace.root.join(path))?;
        let lines = source.lines().count();
        if lines > LONG && !source.starts_with("// @generated") {
            long.push((path.clone(), lines));
        }
    }
    Ok(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_that_name_nothing_are_found() {
        let files = ["a/src/utils.rs", "a/src/common/mod.rs", "a/src/vf.rs", "a/src/typescript.rs"];

        let found = check(&files.map(PathBuf::from));

        assert_eq!(found.len(), 2, "{found:?}");
    }
}

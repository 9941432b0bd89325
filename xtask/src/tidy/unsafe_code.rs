//! Where unsafe code may sit: one file in each of three crates, forbidden everywhere else.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::workspace::{Member, Workspace};

/// (crate, the one file that may lower the lint).
const ROOMS: [(&str, &str); 3] =
    [("netlink", "src/sys.rs"), ("datapath", "src/netns.rs"), ("cni", "src/sys.rs")];

/// One line for each crate root without the rule and each file that lowers it.
pub(crate) fn check(workspace: &Workspace, members: &[Member], files: &[PathBuf]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for member in members.iter().filter(|member| !ROOMS.iter().any(|(name, _)| *name == member.name)) {
        for target in member.targets.iter().filter(|target| target.kind == "lib" || target.kind == "bin") {
            if !std::fs::read_to_string(&target.source)?.contains("#![forbid(unsafe_code)]") {
                let path = target.source.strip_prefix(&workspace.root).unwrap_or(&target.source);
                findings.push(format!("{} lacks #![forbid(unsafe_code)]", path.display()));
            }
        }
    }
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let source = std::fs::read_to_string(workspace.root.join(path))?;
        if lowers(&source) && !allowed(members, workspace, path) {
            findings.push(format!("{} lowers unsafe_code, which only {ROOMS:?} may", path.display()));
        }
    }
    Ok(findings)
}

fn allowed(members: &[Member], workspace: &Workspace, path: &Path) -> bool {
    let path = workspace.root.join(path);
    members.iter().any(|member| {
        let relative = path.strip_prefix(&member.folder).ok();
        ROOMS.iter().any(|(name, file)| *name == member.name && relative == Some(Path::new(file)))
    })
}

fn lowers(source: &str) -> bool {
    source.lines().map(str::trim_start).any(|line| {
        (line.starts_with("#![") || line.starts_with("#["))
            && (line.contains("allow(") || line.contains("expect("))
            && line.contains("unsafe_code")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_lower_the_lint_are_seen() {
        assert!(lowers("#![expect(unsafe_code, reason = \"x\")]"));
        assert!(lowers("mod a;\n    #[allow(dead_code, unsafe_code)]\nfn f() {}"));
        assert!(!lowers("#![forbid(unsafe_code)]\n// allow(unsafe_code)"));
    }
}

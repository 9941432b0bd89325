//! Traces of one developer's machine: its paths, and the hosts that packages came from.

use std::path::PathBuf;

use anyhow::Result;

use crate::workspace::Workspace;

/// What no tracked file may hold. Spelt in two halves, or this file would find itself.
const TRACES: [(&str, &str); 13] = [
    ("/work", "/"),
    ("/root", "/."),
    ("/tmp/bash", "_jobs"),
    ("/home", "/user"),
    ("deb.debian", ".org"),
    ("security.debian", ".org"),
    ("snapshot.debian", ".org"),
    ("static.crates", ".io"),
    ("index.crates", ".io"),
    ("registry.npmjs", ".org"),
    ("proxy.golang", ".org"),
    ("pypi", ".org/simple"),
    ("archive.ubuntu", ".com"),
];

/// One line for each place; data that others wrote (`*/data/`) is theirs.
pub(crate) fn check(workspace: &Workspace, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in files.iter().filter(|path| !path.iter().any(|part| part == "data")) {
        let bytes = std::fs::read(workspace.root.join(path))?;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(trace) = trace(line) {
                findings.push(format!(
                    "{}:{}: \"{trace}\" is a trace of one machine",
                    path.display(),
                    number + 1
                ));
            }
        }
    }
    Ok(findings)
}

fn trace(line: &str) -> Option<String> {
    TRACES.iter().map(|(head, tail)| format!("{head}{tail}")).find(|trace| {
        // "…/framework/…" holds no path of this kind.
        line.match_indices(trace.as_str()).any(|(at, _)| {
            !line[..at]
                .ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | '-' | '.' | '}'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_this_machine_is_found_and_a_longer_word_is_not() {
        assert!(trace(concat!("see /wor", "k/main/docs")).is_some());
        assert!(trace(concat!("mirror https://deb.debian", ".org/debian")).is_some());
        assert!(trace(concat!("src/wor", "k/queue.rs and $HOME/wor", "k/x")).is_none());
    }
}

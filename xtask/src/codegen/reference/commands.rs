//! Command lines: what each executable says of itself.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::program;
use crate::workspace::Workspace;

/// Executables in the order of the page.
const EXECUTABLES: [&str; 5] =
    ["multi-nicd", "multi-nic-operator", "hwprobe", "kubectl-multinic", "multi-nic-concheck"];

/// Those that a runtime starts: they take no arguments from people.
const TAIL: &str = "
## `multi-nic`, `multi-nic-ipam`

CNI plugins: a container runtime starts them, with everything in the environment and on standard input. At a terminal they say which
versions of CNI they speak. `multi-nic --pay-debts` runs the DELs of other plugins that could not be run before.
";

/// Builds them all in the way that `cargo xtask test` does, so that there nothing is built twice, and asks each.
pub(super) fn page(workspace: &Workspace) -> Result<String> {
    program::must(workspace.cargo().args(["build", "--quiet", "--all-features", "--workspace", "--bins"]))?;
    let mut page = "# Commands\n\nWhat each executable answers to `--help`.\n".to_owned();
    for name in EXECUTABLES {
        chapter(&mut page, &workspace.target.join("debug").join(name), name, &[])?;
    }
    page.push_str(TAIL);
    Ok(page)
}

fn chapter(page: &mut String, executable: &Path, name: &str, subcommands: &[&str]) -> Result<()> {
    let help = help(executable, subcommands)?;
    let title = [&[name], subcommands].concat().join(" ");
    let level = if subcommands.is_empty() { "##" } else { "###" };
    writeln!(page, "\n{level} `{title}`\n\n```text\n{}\n```", help.trim_end())?;
    for subcommand in names(&help) {
        chapter(page, executable, name, &[subcommands, &[subcommand.as_str()]].concat())?;
    }
    Ok(())
}

/// What it says without a terminal, whose width would count, and without an environment, whose values it would show.
fn help(executable: &Path, subcommands: &[&str]) -> Result<String> {
    let mut command = Command::new(executable);
    command.args(subcommands).arg("--help").env_clear().env("COLUMNS", "100").stdin(Stdio::null());
    let out = command.stderr(Stdio::piped()).output().with_context(|| program::shown(&command))?;
    if !out.status.success() {
        bail!("`{}`: {}", program::shown(&command), out.status);
    }
    let help = String::from_utf8(out.stdout)?;
    // No page has blanks at the end of a line.
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    if lines.iter().all(|line| line.is_empty()) {
        bail!("`{}` prints nothing", program::shown(&command));
    }
    Ok(lines.join("\n"))
}

/// The subcommands that a help lists, but for `help` itself.
fn names(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // What goes on from the line before stands further in.
    let begun = listed.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    begun
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn subcommands_are_read_from_the_help() {
        let help = "X\n\nCommands:\n  openapi     Prints\n              NETWORK.conflist\n  wait        Does\n  help        Print\n\nOptions:\n  -h  x\n";

        assert_eq!(names(help), ["openapi", "wait"]);
        assert!(names("Usage: x\n").is_empty());
    }
}

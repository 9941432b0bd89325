//! Shell blocks of documents that are marked as tested, and are.
//!
//! ```` ```sh tested ````: run from the root by `bash -e`, must succeed. `console tested`: its lines
//! that begin with `$ ` are run. `sh tested=run`: one command that goes on for ever; it is started,
//! the `curl` lines that it prints are run, and it must end well on SIGINT. `sh tested=self`: must be
//! what `.ci/run` calls, for it would run itself.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::READY;
use crate::workspace::Workspace;

/// How long a block may take.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Run,
    Serve,
    OwnCheck,
}

/// One marked block.
#[derive(Debug)]
pub(crate) struct Block {
    document: PathBuf,
    line: usize,
    mode: Mode,
    script: String,
}

/// The marked blocks of one document.
///
/// # Errors
/// An unknown mark, or a block that never ends.
pub(crate) fn parse(document: &Path, markdown: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some((fence, info)) = fence(line) else { continue };
        let mut content = Vec::new();
        loop {
            let Some((_, line)) = lines.next() else {
                bail!("{}: block at line {} never ends", document.display(), number + 1)
            };
            if line.trim_start().starts_with(&fence) {
                break;
            }
            content.push(line);
        }
        let mut words = info.split_whitespace();
        let language = words.next().unwrap_or_default();
        for mark in words.filter(|word| *word == "tested" || word.starts_with("tested=")) {
            let mode = match mark {
                "tested" => Mode::Run,
                "tested=run" => Mode::Serve,
                "tested=self" => Mode::OwnCheck,
                _ => bail!("{}:{}: unknown mark {mark}", document.display(), number + 1),
            };
            let script = match language {
                "console" => {
                    content.iter().filter_map(|line| line.strip_prefix("$ ")).collect::<Vec<_>>().join("\n")
                }
                "sh" | "bash" => content.join("\n"),
                _ => bail!("{}:{}: a tested block is sh or console", document.display(), number + 1),
            };
            blocks.push(Block { document: document.to_owned(), line: number + 1, mode, script });
        }
    }
    Ok(blocks)
}

pub(super) fn fence(line: &str) -> Option<(String, &str)> {
    let line = line.trim_start();
    let info = line.trim_start_matches('`');
    let ticks = line.len() - info.len();
    (ticks >= 3).then(|| ("`".repeat(ticks), info))
}

impl Block {
    /// `README.md:12`.
    pub(crate) fn title(&self) -> String {
        format!("{}:{}", self.document.display(), self.line)
    }

    /// Whether the block boots a machine of the lab.
    pub(crate) fn needs_lab(&self) -> bool {
        ["--vm", "xtask lab", "lab/"].iter().any(|sign| self.script.contains(sign))
    }

    /// Runs the block as its mark says; the error is one line.
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<(), String> {
        let result = match self.mode {
            Mode::Run => self.finish(workspace),
            Mode::Serve => self.serve(workspace),
            Mode::OwnCheck => self.compare(workspace),
        };
        result.map_err(|error| format!("{}: {error:#}", self.title()))
    }

    fn finish(&self, workspace: &Workspace) -> Result<()> {
        let mut child = bash(workspace, &self.script).stdin(Stdio::null()).spawn().context("bash")?;
        let status = wait(&mut child, LIMIT)?;
        if status.success() { Ok(()) } else { bail!("{status}") }
    }

    fn compare(&self, workspace: &Workspace) -> Result<()> {
        let ci = std::fs::read_to_string(workspace.root.join(".ci/run")).context(".ci/run")?;
        let called = ci.lines().find_map(|line| line.split_once("exec ")).map(|(_, command)| command.trim());
        if called == Some(self.script.trim()) {
            Ok(())
        } else {
            bail!("says `{}`, .ci/run calls `{}`", self.script.trim(), called.unwrap_or_default())
        }
    }

    fn serve(&self, workspace: &Workspace) -> Result<()> {
        let mut child = bash(workspace, &format!("exec {}", self.script.trim()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("bash")?;
        let tried = try_printed_lines(workspace, &mut child);
        if child.try_wait()?.is_none() {
            kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT)?;
        }
        let status = wait(&mut child, Duration::from_secs(60))?;
        tried?;
        if status.success() { Ok(()) } else { bail!("after SIGINT: {status}") }
    }
}

fn bash(workspace: &Workspace, script: &str) -> Command {
    let mut bash = workspace.command("bash");
    bash.args(["-euo", "pipefail", "-c", script]);
    // What cargo set for this command would change what the block's own cargo builds.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_")) {
        if name != "CARGO_TARGET_DIR" && name != "CARGO_HOME" {
            bash.env_remove(name);
        }
    }
    bash
}

/// Waits for the ready line, then runs each `curl` line that was printed before it.
fn try_printed_lines(workspace: &Workspace, child: &mut Child) -> Result<()> {
    let output = child.stdout.take().context("no output")?;
    let (sender, lines) = mpsc::channel();
    // It reads on after we stop listening: a full pipe would stop the command.
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let end = Instant::now() + LIMIT;
    let mut curls = Vec::new();
    loop {
        let line = lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .context("never became ready")?;
        let line = line.trim();
        if line.starts_with("curl ") {
            curls.push(line.to_owned());
        }
        if line.starts_with(READY) {
            break;
        }
    }
    if curls.is_empty() {
        bail!("printed no curl line");
    }
    for curl in curls {
        let status = bash(workspace, &curl).stdout(Stdio::null()).status()?;
        if !status.success() {
            bail!("`{curl}`: {status}");
        }
    }
    Ok(())
}

fn wait(child: &mut Child, limit: Duration) -> Result<std::process::ExitStatus> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > end {
            child.kill()?;
            child.wait()?;
            bail!("not done after {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(markdown: &str) -> Vec<Block> {
        parse(Path::new("README.md"), markdown).unwrap()
    }

    #[test]
    fn only_marked_blocks_are_taken() {
        let blocks = parsed("a\n```sh\nfalse\n```\n\n```sh tested\ntrue\necho x\n```\n");

        assert_eq!(blocks.len(), 1);
        assert_eq!(
            (blocks[0].title(), blocks[0].script.as_str()),
            ("README.md:6".to_owned(), "true\necho x")
        );
    }

    #[test]
    fn console_blocks_are_their_prompts() {
        assert_eq!(parsed("```console tested\n$ ip link\n1: lo\n$ true\n```")[0].script, "ip link\ntrue");
    }

    #[test]
    fn a_mark_inside_a_longer_fence_is_text() {
        assert!(parsed("````md\n```sh tested\nfalse\n```\n````").is_empty());
    }

    #[test]
    fn modes_are_told_apart_and_unknown_ones_refused() {
        assert_eq!(parsed("```sh tested=run\ncargo xtask run\n```")[0].mode, Mode::Serve);
        assert!(parse(Path::new("a"), "```sh tested=maybe\n```").is_err());
        assert!(parse(Path::new("a"), "```python tested\n```").is_err());
        assert!(parse(Path::new("a"), "```sh tested\nfalse").is_err());
    }

    #[test]
    fn a_block_with_a_machine_needs_the_lab() {
        assert!(parsed("```sh tested=run\ncargo xtask run --vm\n```")[0].needs_lab());
        assert!(!parsed("```sh tested=run\ncargo xtask run\n```")[0].needs_lab());
    }

    fn clone_with_ci(ci: &str) -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".ci")).unwrap();
        std::fs::write(folder.path().join(".ci/run"), ci).unwrap();
        let workspace = Workspace::at(folder.path());
        (folder, workspace)
    }

    #[test]
    fn a_failing_line_fails_the_block() {
        let (_folder, workspace) = clone_with_ci("");

        assert!(parsed("```sh tested\nfalse\ntrue\n```")[0].run(&workspace).is_err());
        assert!(parsed("```sh tested\ntrue\n```")[0].run(&workspace).is_ok());
    }

    #[test]
    fn its_own_command_is_compared_with_ci() {
        let (_folder, workspace) = clone_with_ci("#!/bin/bash\ncd x && exec cargo xtask test\n");

        assert!(parsed("```sh tested=self\ncargo xtask test\n```")[0].run(&workspace).is_ok());
        assert!(parsed("```sh tested=self\ncargo xtask test --quick\n```")[0].run(&workspace).is_err());
    }

    #[test]
    fn a_server_is_asked_and_stopped() {
        let (_folder, workspace) = clone_with_ci("");
        let server = |curl: &str, end: &str| {
            let script = format!(
                "bash -c 'trap \"exit {end}\" INT; echo \"{curl}\"; echo \"{READY}\"; while :; do sleep 0.1; done'"
            );
            parsed(&format!("```sh tested=run\n{script}\n```")).remove(0).run(&workspace)
        };
        let file = concat!("curl -sf file://", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

        assert_eq!(server(file, "0"), Ok(()));
        assert!(server("curl -sf file:///nowhere", "0").is_err());
        assert!(server(file, "3").is_err());
        assert!(server("no line to try", "0").is_err());
    }
}

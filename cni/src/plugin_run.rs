//! Runs another plugin (FOREIGN §1.3): found over `CNI_PATH`, whole configuration on standard input, its standard
//! error passed on, what it prints and how long it takes bounded.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use crate::environment::Environment;
use crate::error::{Error, code};
use crate::protocol::{DelegateCall, Outcome};

/// Bytes of an answer at most.
const OUTPUT: usize = 1024 * 1024;

/// Between two looks whether a plugin has ended: its end alone wakes nobody.
const LOOK: Duration = Duration::from_millis(20);

/// The same for a plugin that has closed its output, as one does that ends now.
const SHORT_LOOK: Duration = Duration::from_millis(1);

/// Runs a plugin to its end. `caller` is the environment of the call being served: its `CNI_PATH` counts where the
/// delegate's own is empty.
pub fn run(call: &DelegateCall, caller: &Environment) -> Outcome {
    match output(call, caller) {
        Ok(output) => Outcome { id: call.id, output: Some(output), error: None },
        Err(error) => Outcome { id: call.id, output: None, error: Some(error) },
    }
}

fn find(plugin: &str, path: &str) -> Option<PathBuf> {
    if plugin.is_empty() || plugin.contains('/') || plugin == "." || plugin == ".." {
        return None;
    }
    path.split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(plugin))
        .find(|file| file.is_file())
}

fn failed(words: String) -> Error {
    Error::new(code::DELEGATE, words)
}

fn output(call: &DelegateCall, caller: &Environment) -> Result<String, Error> {
    let environment = &call.environment;
    let path = if environment.path.is_empty() { &caller.path } else { &environment.path };
    let file = find(&call.plugin, path).ok_or_else(|| {
        failed(format!("plugin {}: is not in CNI_PATH ({path})", call.plugin))
            .with_details("install it there, or name another plugin.type or ipam.type")
    })?;
    let mut program = Program::new(&file);
    program
        .env("CNI_COMMAND", environment.command.as_str())
        .env("CNI_CONTAINERID", &environment.container_id)
        .env("CNI_NETNS", &environment.netns)
        .env("CNI_IFNAME", &environment.ifname)
        .env("CNI_ARGS", &environment.args)
        .env("CNI_PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        // A group of its own can be killed with all that it started.
        .process_group(0);
    if environment.netns_override {
        program.env("CNI_NETNS_OVERRIDE", "1");
    } else {
        program.env_remove("CNI_NETNS_OVERRIDE");
    }
    let wrong = |error: io::Error| failed(format!("plugin {}: run {}: {error}", call.plugin, file.display()));
    let mut child = program.spawn().map_err(wrong)?;
    let end = Instant::now().checked_add(Duration::from_millis(call.timeout_ms));
    let (text, status) = match exchange(&mut child, call.config.as_bytes(), end) {
        Ok(Some(ended)) => ended,
        Ok(None) => {
            kill(&mut child);
            return Err(failed(format!(
                "plugin {}: did not end within {} ms and was killed",
                call.plugin, call.timeout_ms
            )));
        }
        Err(error) => {
            kill(&mut child);
            return Err(wrong(error));
        }
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    if status.success() {
        return Ok(text);
    }
    // The plugin's own error under its own code, with its name before it.
    let own: Option<Error> = serde_json::from_str(&text).ok();
    Err(match own {
        Some(own) => Error { msg: format!("plugin {}: {}", call.plugin, own.msg), version: None, ..own },
        None => {
            let shown: String = text.trim().chars().take(200).collect();
            failed(format!("plugin {}: ended with {status}: {shown}", call.plugin))
        }
    })
}

/// Gives a program its input and takes its output until it ends; `None`: the time is over.
///
/// A program may print before it has read everything, may never read, and may leave somebody behind who holds its
/// output open: none of that holds us up.
fn exchange(
    child: &mut Child,
    input: &[u8],
    end: Option<Instant>,
) -> io::Result<Option<(Vec<u8>, ExitStatus)>> {
    let mut stdin = child.stdin.take().map(|pipe| without_waiting(pipe.into())).transpose()?;
    let mut stdout = child.stdout.take().map(|pipe| without_waiting(pipe.into())).transpose()?;
    let (mut left, mut text) = (input, Vec::new());
    let mut short_looks = 50_u32;
    loop {
        let time = end.map_or(LOOK, |end| end.saturating_duration_since(Instant::now()));
        if time.is_zero() {
            return Ok(None);
        }
        let look = if stdout.is_none() && short_looks > 0 { SHORT_LOOK } else { LOOK };
        short_looks -= u32::from(look == SHORT_LOOK);
        wait(stdin.as_ref(), stdout.as_ref(), time.min(look))?;
        if let Some(pipe) = &mut stdin
            && give(pipe, &mut left)?
        {
            stdin = None;
        }
        // Asked before the last reading, so that nothing is missed of what it printed.
        let ended = child.try_wait()?;
        if let Some(pipe) = &mut stdout
            && take(pipe, &mut text)?
        {
            stdout = None;
        }
        if let Some(status) = ended {
            return Ok(Some((text, status)));
        }
    }
}

fn without_waiting(pipe: OwnedFd) -> io::Result<File> {
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(File::from(pipe))
}

/// Waits until there is something to read or room to write.
fn wait(stdin: Option<&File>, stdout: Option<&File>, time: Duration) -> io::Result<()> {
    let time = PollTimeout::try_from(time.max(SHORT_LOOK)).unwrap_or(PollTimeout::ZERO);
    let stdin = stdin.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLOUT));
    let stdout = stdout.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
    let mut pipes: Vec<PollFd<'_>> = stdin.into_iter().chain(stdout).collect();
    match poll(&mut pipes, time) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes what fits; whether the pipe is done with.
fn give(pipe: &mut File, left: &mut &[u8]) -> io::Result<bool> {
    while !left.is_empty() {
        match pipe.write(left) {
            Ok(count) => *left = left.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // It does not want to know.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Reads what is there; whether the pipe is at its end.
fn take(pipe: &mut File, text: &mut Vec<u8>) -> io::Result<bool> {
    let mut part = [0; 4096];
    loop {
        match pipe.read(&mut part) {
            Ok(0) => return Ok(true),
            Ok(count) => text.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if text.len() > OUTPUT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it prints over 1 MiB"));
        }
    }
}

fn kill(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
    drop(child.kill());
    drop(child.wait());
}

/// What a plugin printed, as JSON; nothing is an empty object.
///
/// # Errors
/// Code 6 when it is no JSON.
pub fn printed(plugin: &str, text: &str) -> Result<Value, Error> {
    if text.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(text)
        .map_err(|error| Error::new(code::DECODE, format!("plugin {plugin} printed no JSON: {error}")))
}

#[cfg(test)]
mod tests;

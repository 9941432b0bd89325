//! Runs another plugin (FOREIGN §1.3): found over `CNI_PATH`, whole configuration on standard input, bounded.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::environment::Environment;
use crate::error::{Error, code};
use crate::protocol::{DelegateCall, Outcome};

/// Bytes of an answer at most.
const OUTPUT: u64 = 1024 * 1024;

/// Runs a plugin to its end.
pub fn run(call: &DelegateCall, caller: &Environment) -> Outcome {
    match output(call, caller) {
        Ok(output) => Outcome { id: call.id, output: Some(output), error: None },
        Err(error) => Outcome { id: call.id, output: None, error: Some(error) },
    }
}

fn find(plugin: &str, path: &str) -> Option<PathBuf> {
    if plugin.is_empty() || plugin.contains('/') {
        return None;
    }
    path.split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(plugin))
        .find(|file| file.is_file())
}

fn output(call: &DelegateCall, caller: &Environment) -> Result<String, Error> {
    let environment = &call.environment;
    let path = if environment.path.is_empty() { &caller.path } else { &environment.path };
    let failed = |words: String| Error::new(code::DELEGATE, words);
    let file = find(&call.plugin, path)
        .ok_or_else(|| failed(format!("plugin {} is not in CNI_PATH ({path})", call.plugin)))?;
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
        .stderr(Stdio::inherit());
    let mut child = program.spawn().map_err(|error| failed(format!("start {}: {error}", file.display())))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let config = call.config.clone();
    let (tell, told) = mpsc::channel();
    // A plugin may print before it has read everything, or never read: neither may hold us up.
    std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            drop(stdin.write_all(config.as_bytes()));
        }
    });
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(stdout) = stdout {
            drop(stdout.take(OUTPUT).read_to_end(&mut text));
        }
        drop(tell.send(text));
    });
    let Ok(text) = told.recv_timeout(Duration::from_millis(call.timeout_ms)) else {
        drop(child.kill());
        drop(child.wait());
        return Err(failed(format!("plugin {} did not end within {} ms", call.plugin, call.timeout_ms)));
    };
    let status = child.wait().map_err(|error| failed(format!("wait for {}: {error}", call.plugin)))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    if status.success() {
        return Ok(text);
    }
    // The plugin's own error, under its own code, with its name before it.
    let own: Option<Error> = serde_json::from_str(&text).ok();
    Err(match own {
        Some(own) => Error { msg: format!("plugin {}: {}", call.plugin, own.msg), version: None, ..own },
        None => failed(format!("plugin {} ended with {status}: {}", call.plugin, text.trim())),
    })
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

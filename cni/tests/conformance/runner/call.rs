//! One call of a plugin, as a runtime makes it, and what came back.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use serde_json::Value;

/// How long a call may take; then it is ended.
const LIMIT: Duration = Duration::from_secs(30);

/// A call that can be changed before it is made.
#[derive(Clone)]
pub struct Call {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) others: Vec<(String, String)>,
    /// The `CNI_*` variables.
    pub variables: BTreeMap<&'static str, String>,
    /// The configuration.
    pub config: Value,
    pub(super) stdin: Option<String>,
}

impl Call {
    /// Without a variable.
    pub fn without(mut self, variable: &'static str) -> Self {
        self.variables.remove(variable);
        self
    }

    /// With another value of a variable.
    pub fn with(mut self, variable: &'static str, value: impl Into<String>) -> Self {
        self.variables.insert(variable, value.into());
        self
    }

    /// With another value of a key of the configuration; `null` is a value.
    pub fn key(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.config[key] = value.into();
        self
    }

    /// Without a key of the configuration.
    pub fn without_key(mut self, key: &str) -> Self {
        if let Some(config) = self.config.as_object_mut() {
            config.remove(key);
        }
        self
    }

    /// With this text on standard input instead of the configuration.
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    /// Starts it.
    pub fn start(&self) -> Result<Running, String> {
        let mut command = Command::new(&self.program);
        // A group of its own: its children end with it.
        command.args(&self.arguments).process_group(0);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CNI_")) {
            command.env_remove(name);
        }
        command.envs(self.others.iter().map(|(name, value)| (name, value))).envs(&self.variables);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let wrong = |error: std::io::Error| format!("{}: {error}", self.program.display());
        let mut child = command.spawn().map_err(wrong)?;
        let text = self.stdin.clone().unwrap_or_else(|| self.config.to_string());
        if let Some(mut stdin) = child.stdin.take() {
            // A plugin may end without reading.
            drop(stdin.write_all(text.as_bytes()));
        }
        let (ended, watched) = mpsc::channel();
        let group = child.id().cast_signed();
        std::thread::spawn(move || {
            if watched.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            }
        });
        Ok(Running { child, program: self.program.clone(), _ended: ended })
    }

    /// Makes it.
    pub fn run(&self) -> Result<Answer, String> {
        self.start()?.wait()
    }

    /// Makes it with a terminal as standard input.
    pub fn run_at_terminal(&self) -> Result<Answer, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (out, err) = (folder.path().join("out"), folder.path().join("err"));
        let words: Vec<_> = std::iter::once(self.program.display().to_string())
            .chain(self.arguments.iter().cloned())
            .map(|word| format!("'{word}'"))
            .collect();
        let line = format!("{} >{} 2>{}", words.join(" "), out.display(), err.display());
        let mut command = Command::new("timeout");
        command.args(["--foreground", "-k", "1", "5", "script", "-qec", &line, "/dev/null"]);
        command.env_remove("CNI_COMMAND").env("SHELL", "/bin/sh");
        command.envs(self.others.iter().map(|(name, value)| (name, value))).envs(&self.variables);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status().map_err(|error| format!("script: {error}"))?.code();
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Ok(Answer { status, stdout: read(out), stderr: read(err) })
    }
}

/// A call that is under way.
pub struct Running {
    child: Child,
    program: PathBuf,
    /// Its end tells the watch that the call is over.
    _ended: mpsc::Sender<()>,
}

impl Running {
    /// Waits for its end.
    pub fn wait(self) -> Result<Answer, String> {
        let output = self.child.wait_with_output();
        let output = output.map_err(|error| format!("{}: {error}", self.program.display()))?;
        Ok(Answer {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Exit status; absent after a signal.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// It succeeded, whatever it printed.
    pub fn succeeded(&self) -> Result<(), String> {
        if self.status == Some(0) { Ok(()) } else { Err(format!("it failed: {}", self.words())) }
    }

    /// It failed, whatever it printed.
    pub fn failed(&self) -> Result<(), String> {
        if self.status != Some(0) { Ok(()) } else { Err(format!("it succeeded: {}", self.words())) }
    }

    /// It succeeded and standard output is empty.
    pub fn printed_nothing(&self) -> Result<(), String> {
        self.succeeded()?;
        if self.stdout.trim().is_empty() { Ok(()) } else { Err(format!("it printed {}", self.words())) }
    }

    /// The object it printed on success.
    pub fn result(&self) -> Result<Value, String> {
        self.succeeded()?;
        self.object()
    }

    /// The error object it printed.
    pub fn error(&self) -> Result<Value, String> {
        self.failed()?;
        let error = self.object()?;
        let whole = error["code"].is_u64() && error["msg"].as_str().is_some_and(|msg| !msg.is_empty());
        if whole {
            Ok(error)
        } else {
            Err(format!("no error object with `code` and `msg`: {}", self.words()))
        }
    }

    /// It failed with this code; gives the message and the details.
    pub fn failed_with(&self, code: u64) -> Result<String, String> {
        let error = self.error()?;
        if error["code"] != code {
            return Err(format!("code {} instead of {code}: {}", error["code"], self.words()));
        }
        Ok(format!("{} {}", error["msg"], error["details"]))
    }

    fn object(&self) -> Result<Value, String> {
        match serde_json::from_str(&self.stdout) {
            Ok(Value::Object(object)) => Ok(Value::Object(object)),
            _ => Err(format!("standard output is no single JSON object: {}", self.words())),
        }
    }

    fn words(&self) -> String {
        let short = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = format!("{:?} {}", short(&self.stdout), short(&self.stderr));
        text.chars().take(300).collect()
    }
}

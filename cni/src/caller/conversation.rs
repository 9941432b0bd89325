//! A call that the agent serves.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{PATIENCE, eprint, print};
use crate::delegate_file::DelegateFile;
use crate::environment::Command;
use crate::error::{Error, code};
use crate::note;
use crate::plugin_run;
use crate::protocol::{Answer, Call, Connection, DelegateCall, Outcome, Ran, served};

/// How long an agent may say nothing; the predecessor waited as long for one of its plugins.
const SILENCE: Duration = Duration::from_secs(300);

/// How long all debts may take that a call is handed.
const DEBT_TIME: Duration = Duration::from_secs(2);

/// How many debts a call takes.
const DEBTS: usize = 4;

/// A call that is being served.
pub(super) struct Work {
    pub(super) call: Call,
    pub(super) netns: Option<OwnedFd>,
    /// Name of the network.
    pub(super) network: String,
    /// `cniVersion`, for errors.
    pub(super) version: Option<String>,
    pub(super) socket: PathBuf,
    pub(super) state_dir: PathBuf,
}

/// The agent is not there to answer.
pub(super) enum Gone {
    /// It never was.
    Away,
    /// It went.
    InTheMiddle(io::Error),
}

impl Work {
    /// Has the call served, by the agent or without it.
    pub(super) fn serve(mut self) -> Result<i32, Error> {
        let gone = match Connection::connect_within(&self.socket, PATIENCE) {
            Ok(connection) => match self.converse(&connection) {
                Ok(status) => return Ok(status),
                Err(error) => Gone::InTheMiddle(error),
            },
            Err(_) => Gone::Away,
        };
        self.without_agent(&gone)
    }

    /// The whole conversation, the answer printed; an error means that the agent is gone.
    pub(super) fn converse(&mut self, connection: &Connection) -> io::Result<i32> {
        let (output, debts, status) = self.ask(connection)?;
        if let Some(output) = output {
            print(&output);
        }
        if status == 0 && self.call.environment.command == Command::Del {
            DelegateFile::remove(&self.state_dir, &self.file());
        }
        if !debts.is_empty() {
            let end = Instant::now() + DEBT_TIME;
            let outcomes = self.pay(debts.iter().take(DEBTS), Some(end));
            drop(connection.send(&Ran { outcomes }, None));
        }
        Ok(status)
    }

    /// The conversation up to its answer: what is to be printed, debts, exit status.
    pub(super) fn ask(
        &mut self,
        connection: &Connection,
    ) -> io::Result<(Option<String>, Vec<DelegateCall>, i32)> {
        connection.set_deadline(SILENCE)?;
        let sent = connection.send(&self.call, self.netns.as_ref().map(AsFd::as_fd));
        if let Err(error) = &sent
            && error.kind() == io::ErrorKind::InvalidInput
        {
            return Ok((Some(self.printed(&Error::new(code::IO, error.to_string()))), Vec::new(), 1));
        }
        loop {
            // An agent that takes no more calls says so without listening: its answer counts, not our failure to send.
            let answer = connection.receive::<Answer>();
            match answer.map_err(|error| sent.as_ref().err().map_or(error, copied))?.0 {
                Answer::Speak { protocol } => {
                    if let Err(error) = served(protocol) {
                        return Ok((Some(self.printed(&error)), Vec::new(), 1));
                    }
                    self.call.protocol = protocol;
                    connection.send(&self.call, None)?;
                }
                Answer::Run(calls) => {
                    let outcomes = self.run(&calls);
                    connection.send(&Ran { outcomes }, None)?;
                }
                Answer::Done { output, debts } => return Ok((output, debts, 0)),
                Answer::Failed { error, debts } => return Ok((Some(self.printed(&error)), debts, 1)),
            }
        }
    }

    fn printed(&self, error: &Error) -> String {
        error.print(error.version.as_deref().or(self.version.as_deref()))
    }

    /// Name of this call's files.
    pub(super) fn file(&self) -> String {
        let environment = &self.call.environment;
        note::file_name(&self.network, &environment.container_id, &environment.ifname)
    }

    /// Runs plugins. What an ADD gets is written down before it runs, what it answered after it.
    fn run(&self, calls: &[DelegateCall]) -> Vec<Outcome> {
        if !calls.iter().any(|call| call.environment.command == Command::Add) {
            return self.pay(calls, None);
        }
        let name = self.file();
        let mut file = DelegateFile::read(&self.state_dir, &name).unwrap_or_else(|error| {
            eprint(&format!("multi-nic: {name} is replaced, since it cannot be read: {error}\n"));
            None
        });
        let file = file.get_or_insert_default();
        calls.iter().for_each(|call| file.begin(call));
        if let (Err(error), Some(first)) = (file.write(&self.state_dir, &name), calls.first()) {
            let words = format!("{name} below {}: cannot be written: {error}", self.state_dir.display());
            let error = Error::new(code::TRY_AGAIN, words).with_details(
                "without it nobody could undo the plugin; free space there, or mount it writable",
            );
            return vec![Outcome { id: first.id, output: None, error: Some(error) }];
        }
        let mut outcomes = Vec::new();
        for call in calls {
            let outcome = plugin_run::run(call, &self.call.environment);
            if let Some(output) = &outcome.output {
                file.ended(call, output);
            }
            let failed = outcome.error.is_some();
            outcomes.push(outcome);
            if failed {
                break;
            }
        }
        // It was not durable that an ADD ended well, but that it began: its DEL then goes without prevResult.
        drop(file.write(&self.state_dir, &name));
        outcomes
    }

    /// Runs calls that are no ADDs, a failure not being in the way of the next, and forgets what they have undone.
    pub(super) fn pay<'a>(
        &self,
        calls: impl IntoIterator<Item = &'a DelegateCall>,
        end: Option<Instant>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for call in calls {
            let mut call = call.clone();
            if let Some(end) = end {
                let left = u64::try_from(end.saturating_duration_since(Instant::now()).as_millis());
                call.timeout_ms = call.timeout_ms.min(left.unwrap_or(u64::MAX));
                if call.timeout_ms == 0 {
                    break;
                }
            }
            let outcome = plugin_run::run(&call, &self.call.environment);
            if outcome.error.is_none() && call.environment.command == Command::Del {
                self.undone(&call);
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    fn undone(&self, del: &DelegateCall) {
        let name = if crate::file::is_name(&del.file) { del.file.clone() } else { self.file() };
        if let Ok(Some(mut file)) = DelegateFile::read(&self.state_dir, &name) {
            file.undone(del);
            // A DEL that is forgotten to be done is done twice, which is allowed.
            drop(file.write(&self.state_dir, &name));
        }
    }
}

fn copied(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

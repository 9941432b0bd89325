//! A call that nobody serves: the agent is away.

use super::conversation::{Gone, Work};
use super::{eprint, namespace};
use crate::delegate_file::DelegateFile;
use crate::environment::Command;
use crate::error::{Error, code};
use crate::note::{self, Note};
use crate::plugin_run;
use crate::protocol::Connection;

impl Work {
    /// What can be answered without the agent.
    pub(super) fn without_agent(&mut self, gone: &Gone) -> Result<i32, Error> {
        let (words, details) = match gone {
            Gone::Away => {
                let place = format!("nobody listens at {}; start it", self.socket.display());
                ("the agent multi-nicd does not answer", place)
            }
            Gone::InTheMiddle(error) => ("the agent multi-nicd went away in the middle", error.to_string()),
        };
        let code = match self.call.environment.command {
            Command::Del => return self.delete(),
            Command::Check | Command::Status => code::NOT_AVAILABLE,
            Command::Add | Command::Gc | Command::Version => code::TRY_AGAIN,
        };
        Err(Error::new(code, words).with_details(details))
    }

    /// DEL: delegates are undone from their file, and a note says so to the agent (TRAPS P1, P7).
    fn delete(&mut self) -> Result<i32, Error> {
        let delegates_done = self.delete_delegates();
        let environment = &self.call.environment;
        let note = Note {
            network: self.network.clone(),
            container_id: environment.container_id.clone(),
            ifname: environment.ifname.clone(),
            boot: note::boot_id(),
            cookie: self.netns.as_ref().and_then(|fd| namespace::cookie(fd).ok()),
            time: note::now(),
            delegates_done,
        };
        note.write(&self.state_dir).map_err(|error| {
            let words =
                format!("the agent multi-nicd does not answer, and no note for it can be written: {error}");
            Error::new(code::TRY_AGAIN, words)
                .with_details(format!("free space in {}, or mount it writable", self.state_dir.display()))
        })?;
        // The agent may have come between our look and the note, after it had looked for notes.
        if let Ok(connection) = Connection::connect(&self.socket)
            && let Ok(status) = self.converse(&connection)
        {
            if status == 0 {
                Note::remove(&self.state_dir, &note.network, &note.container_id, &note.ifname);
            }
            return Ok(status);
        }
        Ok(0)
    }

    /// Whether all DELs in the delegate file were run; not when there is none, for then nobody knows.
    fn delete_delegates(&self) -> bool {
        let name = self.file();
        let file = match DelegateFile::read(&self.state_dir, &name) {
            Ok(Some(file)) => file,
            Ok(None) => return false,
            Err(error) => {
                eprint(&format!("multi-nic: {name}: {error}\n"));
                return false;
            }
        };
        let mut all = true;
        let mut left = file.clone();
        for call in file.deletions() {
            match plugin_run::run(&call, &self.call.environment).error {
                None => left.undone(&call),
                Some(error) => {
                    eprint(&format!("multi-nic: {error}\n"));
                    all = false;
                }
            }
        }
        // What was not undone stays for the next one who tries.
        drop(left.write(&self.state_dir, &name));
        all
    }
}

//! What delegated plugins got, in a file of its own for each attachment, so that their DELs can be run without the
//! agent (TRAPS P1).
//!
//! ```text
//! <state folder>/delegates/<network>-<container>-<ifname>.json    0600
//! ```

use std::fs;
use std::io;
use std::path::Path;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::environment::Command;
use crate::file;
use crate::protocol::DelegateCall;

/// Folder of the files inside the state folder.
pub const FOLDER: &str = "delegates";

/// Bytes of a file at most; a call is 4 MiB at most, and 64 NICs are plenty.
const SIZE: u64 = 64 * 1024 * 1024;

/// The delegates of an attachment in the order of their ADDs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DelegateFile {
    /// Delegates.
    pub delegates: Vec<Remembered>,
}

/// A delegate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remembered {
    /// Its ADD: configuration, environment, plugin.
    pub call: DelegateCall,
    /// The very text that the ADD printed; absent when nobody knows how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

impl DelegateFile {
    /// Reads the file of a name ([`crate::note::file_name`]); absent when there is none.
    ///
    /// # Errors
    /// When it cannot be read or is none of ours.
    pub fn read(state_dir: &Path, name: &str) -> io::Result<Option<Self>> {
        let path = state_dir.join(FOLDER).join(name);
        let length = match fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if length > SIZE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{length} bytes are no such file"),
            ));
        }
        Ok(Some(serde_json::from_slice(&fs::read(&path)?)?))
    }

    /// Writes it; on return it outlives a loss of power. Without delegates it is removed.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, state_dir: &Path, name: &str) -> io::Result<()> {
        if self.delegates.is_empty() {
            Self::remove(state_dir, name);
            return Ok(());
        }
        file::write(&state_dir.join(FOLDER), name, &serde_json::to_vec(self)?).map(drop)
    }

    /// Removes it; none there is fine.
    pub fn remove(state_dir: &Path, name: &str) {
        drop(fs::remove_file(state_dir.join(FOLDER).join(name)));
    }

    /// Takes in an ADD that is about to be run; any other command changes nothing.
    pub fn begin(&mut self, call: &DelegateCall) {
        if call.environment.command == Command::Add && !self.delegates.iter().any(|known| known.call == *call)
        {
            self.delegates.push(Remembered { call: call.clone(), result: None });
        }
    }

    /// Takes in what an ADD printed.
    pub fn ended(&mut self, call: &DelegateCall, output: &str) {
        if let Some(known) = self.delegates.iter_mut().find(|known| known.call == *call) {
            known.result = Some(output.to_owned());
        }
    }

    /// Forgets the ADDs that a DEL has undone: same plugin, interface and configuration.
    pub fn undone(&mut self, del: &DelegateCall) {
        self.delegates.retain(|known| {
            let add = &known.call;
            add.plugin != del.plugin
                || add.environment.ifname != del.environment.ifname
                || !del.config.starts_with(open_end(&add.config))
        });
    }

    /// The DELs, last ADD first, each with what its ADD answered as `prevResult` where the version has that.
    pub fn deletions(&self) -> Vec<DelegateCall> {
        self.delegates
            .iter()
            .rev()
            .map(|known| with_result(&known.call, Command::Del, known.result.as_deref()))
            .collect()
    }
}

/// The DEL that undoes an ADD: the very same configuration, from 0.4.0 on with the ADD's result as `prevResult`.
pub fn deletion(add: &DelegateCall, result: Option<&Value>) -> DelegateCall {
    with_result(add, Command::Del, result.map(Value::to_string).as_deref())
}

/// The CHECK of what an ADD made.
pub fn check(add: &DelegateCall, result: Option<&Value>) -> DelegateCall {
    with_result(add, Command::Check, result.map(Value::to_string).as_deref())
}

fn with_result(add: &DelegateCall, command: Command, result: Option<&str>) -> DelegateCall {
    let mut call = add.clone();
    call.environment.command = command;
    if let Some(result) = result.map(str::trim)
        && has_previous_result(&add.config)
        && result.starts_with('{')
        && serde_json::from_str::<IgnoredAny>(result).is_ok()
    {
        let config = open_end(&add.config);
        let comma = if config.trim_end().ends_with('{') { "" } else { "," };
        call.config = format!("{config}{comma}\"prevResult\":{result}}}");
    }
    call
}

/// An object's text without its last brace: `prevResult` goes behind all keys, and every other byte stays as it was.
fn open_end(config: &str) -> &str {
    let config = config.trim_end();
    config.strip_suffix('}').unwrap_or(config)
}

/// Whether the version of a configuration knows `prevResult` on DEL.
fn has_previous_result(config: &str) -> bool {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "cniVersion", default)]
        version: String,
    }
    serde_json::from_str::<Head>(config)
        .is_ok_and(|head| !matches!(head.version.as_str(), "" | "0.1.0" | "0.2.0" | "0.3.0" | "0.3.1"))
}

#[cfg(test)]
mod tests;

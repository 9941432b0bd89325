//! What delegated plugins got, in a file of its own for each attachment, so that their DELs can be run without the
//! agent (TRAPS P1).

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::environment::Command;
use crate::protocol::DelegateCall;

/// Folder of the files inside the state folder.
pub const FOLDER: &str = "delegates";

/// The delegates of an attachment in the order of their ADDs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DelegateFile {
    /// Delegates.
    pub delegates: Vec<Remembered>,
}

/// A delegate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Remembered {
    /// Its ADD.
    pub call: DelegateCall,
    /// What the ADD answered; absent when nobody knows how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

impl DelegateFile {
    /// Reads the file of a name; absent when there is none or it cannot be read.
    pub fn read(state_dir: &Path, name: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(state_dir.join(FOLDER).join(name)).ok()?).ok()
    }

    /// Writes it; on return it outlives a loss of power.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, state_dir: &Path, name: &str) -> io::Result<()> {
        let folder = state_dir.join(FOLDER);
        fs::create_dir_all(&folder)?;
        crate::note::write_durably(&folder, name, &serde_json::to_vec(self)?).map(drop)
    }

    /// Removes it; none there is fine.
    pub fn remove(state_dir: &Path, name: &str) {
        drop(fs::remove_file(state_dir.join(FOLDER).join(name)));
    }

    /// Takes in calls that are about to be run.
    pub fn add(&mut self, calls: &[DelegateCall]) {
        for call in calls.iter().filter(|call| call.environment.command == Command::Add) {
            let same = |known: &Remembered| {
                known.call.plugin == call.plugin
                    && known.call.environment.ifname == call.environment.ifname
                    && known.call.config == call.config
            };
            if !self.delegates.iter().any(same) {
                self.delegates.push(Remembered { call: call.clone(), result: None });
            }
        }
    }

    /// The DELs, last ADD first, each with what its ADD answered as `prevResult` where the version has that.
    pub fn deletions(&self) -> Vec<DelegateCall> {
        self.delegates.iter().rev().map(|known| deletion(&known.call, known.result.as_ref())).collect()
    }
}

/// The DEL that undoes an ADD.
pub fn deletion(add: &DelegateCall, result: Option<&Value>) -> DelegateCall {
    let mut call = add.clone();
    call.environment.command = Command::Del;
    if let (Some(result), Ok(Value::Object(mut config))) = (result, serde_json::from_str(&add.config)) {
        let version = config.get("cniVersion").and_then(Value::as_str).unwrap_or_default();
        if !matches!(version, "" | "0.1.0" | "0.2.0" | "0.3.0" | "0.3.1") {
            config.insert("prevResult".to_owned(), result.clone());
            call.config = Value::Object(config).to_string();
        }
    }
    call
}

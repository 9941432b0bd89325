//! One agent a state folder: a locked file that says who holds it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the lock file in the state folder. It stays when the agent ends; only the lock on it counts.
const NAME: &str = "agent.lock";

/// Between two looks at a lock that another one holds: no way of waiting for it has an end.
const LOOK: Duration = Duration::from_millis(50);

/// Holds the state folder until it is dropped, or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the state folder cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another agent has it.
    #[error("{} is in use by another agent{}", .folder.display(), holder(.pid, .program))]
    Held {
        /// The state folder.
        folder: PathBuf,
        /// Process id of that agent, as it wrote it down.
        pid: Option<u32>,
        /// Name of that process, when it is to be seen from here.
        program: Option<String>,
    },
    /// The folder or the file cannot be made or written.
    #[error("lock {}", file.display())]
    Unusable {
        /// The lock file.
        file: PathBuf,
        /// The kernel's word.
        #[source]
        source: io::Error,
    },
}

fn holder(pid: &Option<u32>, program: &Option<String>) -> String {
    match (pid, program) {
        (Some(pid), Some(program)) => format!(": {program}, process {pid}"),
        (Some(pid), None) => format!(": process {pid}"),
        (None, _) => String::new(),
    }
}

impl Lock {
    /// Takes the state folder, and waits for another agent's end where it has it: one that is replaced may take a few
    /// seconds.
    ///
    /// # Errors
    /// When the other one still has it after `patience`, or it cannot be written.
    pub fn acquire_within(folder: &Path, patience: Duration) -> Result<Self, LockError> {
        let end = Instant::now() + patience;
        loop {
            match Self::acquire(folder) {
                Err(LockError::Held { .. }) if Instant::now() < end => std::thread::sleep(LOOK),
                ended => return ended,
            }
        }
    }

    /// Takes the state folder, which is made (0700) when it is missing.
    ///
    /// # Errors
    /// When another agent has it, or it cannot be written.
    pub fn acquire(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join(NAME);
        let unusable = |source| LockError::Unusable { file: path.clone(), source };
        if !folder.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
        }
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {
                // The number is for people only, so the old one may stay when it cannot be replaced.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
                let pid: Option<u32> = text.trim().parse().ok();
                let name = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
                let program = name.map(|name| name.trim().to_owned());
                Err(LockError::Held { folder: folder.to_owned(), pid, program })
            }
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lock, LockError};

    #[test]
    fn second_holder_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state");
        let first = Lock::acquire(&folder).unwrap();

        let error = Lock::acquire(&folder).unwrap_err();

        let own = std::process::id();
        assert!(matches!(error, LockError::Held { pid: Some(pid), .. } if pid == own), "{error}");
        assert!(error.to_string().contains(&format!("process {own}")), "{error}");
        drop(first);
        Lock::acquire(&folder).unwrap();
    }
}

//! Puts the CNI executables where the runtime looks for them, and keeps them there.
//!
//! Only once the agent's socket answers: until then nothing that a runtime starts would find it. They are never taken
//! away here: a pod that runs needs them for its DEL, whoever stops the agent (TRAPS C3).

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hwprobe::{Warning, WarningCode};

use tokio::sync::watch;

use crate::inventory::cache::CacheHandle;
use crate::kubelet_folder::FolderWatch;

/// What is installed.
pub(crate) const EXECUTABLES: [&str; 2] = ["multi-nic", "multi-nic-ipam"];

/// How soon another try is made.
const RETRY: Duration = Duration::from_secs(10);

/// What the warning is about.
const ABOUT: &str = "plugins";

/// From where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFolders {
    /// The folder that the runtime starts plugins from.
    pub into: PathBuf,
    /// The folder that has the executables.
    pub from: PathBuf,
}

/// Why an executable is not where it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    #[error("read {}", file.display())]
    Read {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("write {}", file.display())]
    Write {
        file: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Keeps the executables where they should be, as long as the program runs.
pub(crate) async fn keep(folders: PluginFolders, cache: CacheHandle, installed: watch::Sender<bool>) {
    let mut told = String::new();
    let mut watch = FolderWatch::new(&folders.into)
        .inspect_err(|error| tracing::warn!(%error, "nobody notices when executables of ours vanish"))
        .ok();
    loop {
        match tokio::task::block_in_place(|| install(&folders)) {
            Ok(written) => {
                for name in written {
                    tracing::info!(name, folder = %folders.into.display(), "installed");
                }
                cache.clear_warning(WarningCode::PluginsNotInstalled, ABOUT);
                installed.send_replace(true);
                told.clear();
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => return,
                }
            }
            Err(error) => {
                let error = crate::agent::chain(&error);
                if error != told {
                    tracing::error!(error, "runtimes do not find our executables; trying again");
                    let fix = "let the agent write there (in a cluster: the mount of /opt/cni/bin in its DaemonSet)";
                    let warning = Warning::new(WarningCode::PluginsNotInstalled, None, error.clone(), fix);
                    cache.raise_warning(warning, ABOUT);
                    told = error;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Installs what is not there as it should be; what was written.
fn install(folders: &PluginFolders) -> Result<Vec<&'static str>, InstallError> {
    let mut written = Vec::new();
    for name in EXECUTABLES {
        let (from, into) = (folders.from.join(name), folders.into.join(name));
        let wanted = fs::read(&from).map_err(|source| InstallError::Read { file: from, source })?;
        if !is(&into, &wanted) {
            put(&folders.into, name, &wanted).map_err(|source| InstallError::Write { file: into, source })?;
            written.push(name);
        }
    }
    Ok(written)
}

/// Whether there is a program with these bytes; one that cannot be read is another.
fn is(file: &Path, wanted: &[u8]) -> bool {
    let same = || -> io::Result<bool> {
        let mut file = File::open(file)?;
        let found = file.metadata()?;
        if found.len() != wanted.len() as u64 || found.permissions().mode() & 0o7777 != 0o755 {
            return Ok(false);
        }
        let mut bytes = Vec::with_capacity(wanted.len());
        file.read_to_end(&mut bytes)?;
        Ok(bytes == wanted)
    };
    same().unwrap_or(false)
}

/// Puts a program there, whole or not at all: one that runs keeps its own bytes.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = folder.join(format!(".{name}.new"));
    let write = || {
        // What an agent left that was killed here.
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(&aside)?;
        file.write_all(bytes)?;
        // The mask of the process may have taken some of it.
        file.set_permissions(Permissions::from_mode(0o755))?;
        file.sync_all()?;
        drop(file);
        fs::rename(&aside, folder.join(name))?;
        File::open(folder)?.sync_all()
    };
    write().inspect_err(|_| drop(fs::remove_file(&aside)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::process::Command;

    use super::*;

    fn folders() -> (tempfile::TempDir, PluginFolders) {
        let root = tempfile::tempdir().unwrap();
        let folders = PluginFolders { into: root.path().join("into"), from: root.path().join("from") };
        for folder in [&folders.into, &folders.from] {
            fs::create_dir(folder).unwrap();
        }
        for name in EXECUTABLES {
            fs::copy("/bin/busybox", folders.from.join(name)).unwrap();
        }
        (root, folders)
    }

    #[test]
    fn what_is_there_already_is_not_written_again() {
        let (_root, folders) = folders();

        assert_eq!(install(&folders).unwrap(), EXECUTABLES);
        let before = fs::metadata(folders.into.join("multi-nic")).unwrap();
        assert_eq!(install(&folders).unwrap(), [""; 0]);

        let after = fs::metadata(folders.into.join("multi-nic")).unwrap();
        assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
        assert_eq!(after.mode() & 0o7777, 0o755);
        assert_eq!(fs::read_dir(&folders.into).unwrap().count(), 2, "nothing lies aside");
    }

    #[test]
    fn a_program_that_runs_is_replaced() {
        let (_root, folders) = folders();
        let place = folders.into.join("multi-nic");
        fs::copy("/bin/sleep", &place).unwrap();
        let mut runs = Command::new(&place).arg("60").spawn().unwrap();

        assert_eq!(install(&folders).unwrap(), EXECUTABLES);

        assert!(runs.try_wait().unwrap().is_none(), "it goes on");
        assert_eq!(fs::read(&place).unwrap(), fs::read("/bin/busybox").unwrap());
        runs.kill().unwrap();
        runs.wait().unwrap();
    }

    #[test]
    fn one_that_lost_its_mode_is_put_right_and_what_a_killed_agent_left_is_no_obstacle() {
        let (_root, folders) = folders();
        install(&folders).unwrap();
        fs::set_permissions(folders.into.join("multi-nic"), Permissions::from_mode(0o644)).unwrap();
        fs::write(folders.into.join(".multi-nic.new"), "half").unwrap();

        assert_eq!(install(&folders).unwrap(), ["multi-nic"]);

        assert_eq!(fs::metadata(folders.into.join("multi-nic")).unwrap().mode() & 0o7777, 0o755);
        assert_eq!(fs::read_dir(&folders.into).unwrap().count(), 2);
    }

    #[test]
    fn an_error_names_the_file() {
        let (_root, folders) = folders();
        fs::remove_dir(&folders.into).unwrap();

        let error = install(&folders).unwrap_err();

        assert!(error.to_string().contains("into/multi-nic"), "{error}");
    }
}

//! sriov-cni's lock and allocation files, so that both plugins can share a machine (TRAPS V5).
//!
//! ```text
//! /var/lib/cni/sriov/pci/<VF address>                the path of the namespace that has the VF
//! /var/lib/cni/sriov/pci/vf_lock/<VF address>.lock   flock, exclusive, around every use of the VF
//! ```

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hwprobe::PciAddress;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::statfs::{NSFS_MAGIC, statfs};

use crate::Roots;

/// How long sriov-cni itself waits for the lock.
pub const LOCK_WAIT: Duration = Duration::from_secs(60);

/// Between two tries for a lock that somebody else has.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// What sriov-cni's file says about a VF.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allocation {
    /// The network namespace that has it.
    pub namespace: PathBuf,
    /// Whether that namespace still lives. A dead one's VF is free.
    pub alive: bool,
}

/// The lock of a VF, held until it is dropped.
#[derive(Debug)]
pub struct VfLock {
    _file: Flock<File>,
}

/// sriov-cni's files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AllocationError {
    /// A file cannot be read or written.
    #[error("{action} {}", path.display())]
    File {
        /// What was being done: `lock`, `read`, `write`, `remove`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Somebody else has the lock.
    #[error("{} is locked by another CNI plugin for over {} s; see who has it open", path.display(), waited.as_secs())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
}

fn pci_folder(roots: &Roots) -> PathBuf {
    roots.cni_state.join("pci")
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AllocationError {
    let path = path.to_owned();
    move |source| AllocationError::File { action, path, source }
}

/// Locks a VF as sriov-cni does; waits for another holder, `wait` at most.
///
/// # Errors
/// [`AllocationError::Locked`] when somebody else keeps it.
pub fn lock(roots: &Roots, vf: PciAddress, wait: Duration) -> Result<VfLock, AllocationError> {
    let folder = pci_folder(roots).join("vf_lock");
    fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
    let path = folder.join(format!("{vf}.lock"));
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let mut file = open.map_err(failed("lock", &path))?;
    let begun = Instant::now();
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(VfLock { _file: lock }),
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) if begun.elapsed() < wait => {
                file = back;
                std::thread::sleep(TRY_AGAIN);
            }
            Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => {
                return Err(AllocationError::Locked { path, waited: wait });
            }
            Err((_, errno)) => return Err(failed("lock", &path)(errno.into())),
        }
    }
}

/// Who has a VF, as sriov-cni's file says; none when it has no file.
///
/// # Errors
/// When the file cannot be read.
pub fn of(roots: &Roots, vf: PciAddress) -> Result<Option<Allocation>, AllocationError> {
    let path = pci_folder(roots).join(vf.to_string());
    match fs::read_to_string(&path) {
        Ok(text) => {
            let namespace = PathBuf::from(text.trim());
            let alive = is_namespace(&namespace);
            Ok(Some(Allocation { namespace, alive }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", &path)(error)),
    }
}

/// Writes that `namespace` has the VF.
///
/// # Errors
/// When the file cannot be written.
pub fn enter(roots: &Roots, vf: PciAddress, namespace: &Path) -> Result<(), AllocationError> {
    let folder = pci_folder(roots);
    fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
    let path = folder.join(vf.to_string());
    let text = namespace.as_os_str().as_encoded_bytes();
    fs::write(&path, text).map_err(failed("write", &path))
}

/// Takes the file of a VF away; fine when there is none.
///
/// # Errors
/// When it cannot be removed.
pub fn leave(roots: &Roots, vf: PciAddress) -> Result<(), AllocationError> {
    let path = pci_folder(roots).join(vf.to_string());
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
        _ => Ok(()),
    }
}

/// Whether a living namespace (on nsfs) is there.
/// A path that cannot be looked at for other reasons than absence counts as alive: the VF stays held.
fn is_namespace(path: &Path) -> bool {
    match statfs(path) {
        Ok(found) => found.filesystem_type() == NSFS_MAGIC,
        Err(errno) => !matches!(errno, Errno::ENOENT | Errno::ENOTDIR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vf() -> PciAddress {
        "0000:01:10.0".parse().unwrap()
    }

    #[test]
    fn an_allocation_of_a_living_namespace_is_told_and_one_of_a_dead_one_is_dead() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());

        assert_eq!(of(&roots, vf()).unwrap(), None);
        enter(&roots, vf(), Path::new("/proc/self/ns/net")).unwrap();
        assert!(of(&roots, vf()).unwrap().unwrap().alive);
        enter(&roots, vf(), Path::new("/run/netns/gone-long-ago")).unwrap();
        assert!(!of(&roots, vf()).unwrap().unwrap().alive);

        leave(&roots, vf()).unwrap();
        leave(&roots, vf()).unwrap();
        assert_eq!(of(&roots, vf()).unwrap(), None);
    }

    #[test]
    fn an_ordinary_file_where_the_namespace_was_is_a_dead_namespace() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        let left = folder.path().join("left");
        fs::write(&left, "").unwrap();

        enter(&roots, vf(), &left).unwrap();

        assert_eq!(of(&roots, vf()).unwrap(), Some(Allocation { namespace: left, alive: false }));
    }

    #[test]
    fn a_locked_vf_is_refused_with_the_files_name_and_free_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        let first = lock(&roots, vf(), Duration::ZERO).unwrap();

        let refused = lock(&roots, vf(), Duration::from_millis(30)).unwrap_err();

        assert!(refused.to_string().contains("pci/vf_lock/0000:01:10.0.lock is locked"), "{refused}");
        drop(first);
        lock(&roots, vf(), Duration::ZERO).unwrap();
    }

    #[test]
    fn the_lock_is_the_one_that_flock_takes() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        let held = lock(&roots, vf(), Duration::ZERO).unwrap();
        let path = folder.path().join("var/lib/cni/sriov/pci/vf_lock/0000:01:10.0.lock");
        let other = || {
            let tried = std::process::Command::new("flock").arg("-n").arg(&path).arg("true").status();
            tried.unwrap().success()
        };

        assert!(!other());
        drop(held);
        assert!(other());
    }
}

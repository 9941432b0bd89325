//! The Unix socket: made aside and renamed, so that it is never there without its permissions.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Name of the socket in the run folder.
const NAME: &str = "api.sock";

/// The bound socket. Removed when dropped, unless another agent has put its own there meanwhile.
#[derive(Debug)]
pub(super) struct UnixSocket {
    path: PathBuf,
    inode: u64,
    /// Takes connections.
    pub(super) listener: UnixListener,
}

/// Where the socket of `run_dir` is.
pub(super) fn path(run_dir: &Path) -> PathBuf {
    run_dir.join(NAME)
}

impl UnixSocket {
    /// Makes the folder (0700) when it is missing and binds the socket (0600) in it. A socket that an earlier
    /// agent left is replaced.
    pub(super) fn bind(run_dir: &Path) -> io::Result<Self> {
        if !run_dir.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(run_dir)?;
        }
        let path = path(run_dir);
        let aside = run_dir.join(format!(".{NAME}.{}", std::process::id()));
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&aside)?;
        fs::set_permissions(&aside, Permissions::from_mode(0o600))?;
        let inode = fs::metadata(&aside)?.ino();
        fs::rename(&aside, &path)?;
        Ok(Self { path, inode, listener })
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{UnixSocket, path};
    use std::os::unix::fs::PermissionsExt;

    #[tokio::test]
    async fn socket_is_for_its_owner_only_and_goes_with_the_agent() {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = folder.path().join("run");

        let socket = UnixSocket::bind(&run_dir).unwrap();

        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&run_dir), mode(&path(&run_dir))), (0o700, 0o600));
        drop(socket);
        assert_eq!(std::fs::read_dir(&run_dir).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn socket_of_a_later_agent_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = UnixSocket::bind(folder.path()).unwrap();
        let second = UnixSocket::bind(folder.path()).unwrap();

        drop(first);

        assert!(path(folder.path()).exists());
        drop(second);
        assert!(!path(folder.path()).exists());
    }
}

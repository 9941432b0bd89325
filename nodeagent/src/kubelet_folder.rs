//! Notices changes in a folder of the kubelet: its sockets, its checkpoint, the folder itself.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, Inotify};
use tokio::sync::watch;

use crate::folder_events;

/// How long the folder must be quiet: a restart of the kubelet removes and makes several files.
const QUIET: Duration = Duration::from_millis(50);

/// How often it is looked while the kernel gives no watch (`fs.inotify.max_user_instances`).
const BLIND: Duration = Duration::from_secs(5);

/// A folder that is watched, until the last clone is dropped. Each clone tells of what changed since it was asked last.
#[derive(Debug, Clone)]
pub(crate) struct FolderWatch {
    changes: watch::Receiver<u64>,
    _end: Arc<End>,
}

/// Ends the thread: tokio could wait for the descriptor itself only through unsafe code.
#[derive(Debug)]
struct End(Arc<EventFd>);

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.0.write(1);
    }
}

impl FolderWatch {
    /// Watches `folder`, or while it is not there the nearest folder above it.
    ///
    /// # Errors
    /// When there is no thread or descriptor to be had.
    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        let end = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let (tell, changes) = watch::channel(0);
        let (mine, folder) = (Arc::clone(&end), folder.to_owned());
        let first = folder_events::watch(&folder, AddWatchFlags::empty());
        thread::Builder::new()
            .name("kubelet-folder".to_owned())
            .spawn(move || look(first, &folder, &mine, &tell))?;
        Ok(Self { changes, _end: Arc::new(End(end)) })
    }

    /// Waits until something has changed since the last call. What is looked at afterwards is watched already.
    pub(crate) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // The thread is gone, and with it whoever could tell.
            std::future::pending::<()>().await;
        }
    }
}

fn look(first: io::Result<Inotify>, folder: &Path, end: &EventFd, tell: &watch::Sender<u64>) {
    let mut watching = first;
    loop {
        if let Err(error) = &watching {
            tracing::warn!(%error, folder = %folder.display(), "changes are not noticed at once");
        }
        let mut fds = vec![PollFd::new(end.as_fd(), PollFlags::POLLIN)];
        fds.extend(watching.as_ref().ok().map(|watching| PollFd::new(watching.as_fd(), PollFlags::POLLIN)));
        let most = if watching.is_ok() { PollTimeout::NONE } else { timeout(BLIND) };
        let _ = poll(&mut fds, most);
        if end.read().is_ok() {
            return;
        }
        let _ = poll(&mut [PollFd::new(end.as_fd(), PollFlags::POLLIN)], timeout(QUIET));
        // Anew, since the folder itself may be another one; and before anybody looks at it.
        watching = folder_events::watch(folder, AddWatchFlags::empty());
        tell.send_modify(|count| *count += 1);
    }
}

fn timeout(time: Duration) -> PollTimeout {
    PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO)
}

/// Which incarnation of a file is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
    /// Numbers of inodes are used again.
    changed: (i64, i64),
}

impl FileId {
    /// What is at a path now.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let data = std::fs::symlink_metadata(path).ok()?;
        Some(Self { device: data.dev(), inode: data.ino(), changed: (data.ctime(), data.ctime_nsec()) })
    }
}

#[cfg(test)]
mod tests {
    use super::FolderWatch;
    use std::fs;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn changes_are_noticed_also_of_a_folder_that_comes_later() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("kubelet/device-plugins");
        let mut watch = FolderWatch::new(&folder).unwrap();

        assert!(timeout(Duration::from_millis(100), watch.changed()).await.is_err(), "nothing has changed");
        fs::create_dir_all(&folder).unwrap();
        timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
        fs::write(folder.join("kubelet.sock"), "").unwrap();
        timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
        fs::remove_dir_all(&folder).unwrap();
        timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
        fs::create_dir_all(&folder).unwrap();
        timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
    }
}

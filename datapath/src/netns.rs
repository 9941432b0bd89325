//! Network namespaces: which one this is, and work inside another one.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use netlink::{Family, Socket};
use nix::sched::{CloneFlags, setns};

use crate::DatapathError;

/// The network namespace that this program works for: the one it was started in.
#[derive(Debug)]
pub struct HostNamespace {
    fd: OwnedFd,
    cookie: u64,
    /// Cookie of PID 1's, where it can be seen.
    init_cookie: Option<u64>,
    proc: PathBuf,
}

/// A pod's network namespace, open for work. Nothing of it stays when this is dropped.
#[derive(Debug)]
pub struct PodNamespace {
    fd: OwnedFd,
    cookie: u64,
    /// Route socket inside.
    pub route: Socket,
}

impl HostNamespace {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When it cannot be opened or has no cookie (Linux before 5.14).
    pub fn current() -> Result<Self, DatapathError> {
        Self::with_proc(Path::new("/proc"))
    }

    /// The namespace of the calling thread, with settings written and PID 1 looked at below another `/proc`: in a
    /// container the own one is often read-only and shows the container's processes.
    ///
    /// # Errors
    /// As [`HostNamespace::current`].
    pub fn with_proc(proc: &Path) -> Result<Self, DatapathError> {
        let action = "open this program's own network namespace";
        // Not `self`: that is the main thread's.
        let file = File::open("/proc/thread-self/ns/net").map_err(namespace_error(action))?;
        let cookie = Socket::open(Family::Route)?.namespace_cookie()?;
        let init = open_path(&proc.join("1/ns/net")).ok();
        let init_cookie = init.and_then(|fd| cookie_of(fd.as_fd()).ok());
        Ok(Self { fd: file.into(), cookie, init_cookie, proc: proc.to_owned() })
    }

    /// Whether a namespace is this one or the machine's first: no pod ever lives there.
    pub fn is_host(&self, cookie: u64) -> bool {
        cookie == self.cookie || Some(cookie) == self.init_cookie
    }

    /// Cookie of this namespace.
    pub fn cookie(&self) -> u64 {
        self.cookie
    }

    /// Where `/proc` is.
    pub(crate) fn proc(&self) -> &Path {
        &self.proc
    }
}

impl AsFd for HostNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl PodNamespace {
    /// Opens what is needed inside the namespace behind `fd`.
    ///
    /// # Errors
    /// When `fd` is no network namespace, or it may not be entered.
    pub fn open(fd: OwnedFd) -> Result<Self, DatapathError> {
        let (route, cookie) = inside(fd.as_fd(), || {
            let socket = Socket::open(Family::Route)?;
            let cookie = socket.namespace_cookie()?;
            Ok::<_, DatapathError>((socket, cookie))
        })??;
        Ok(Self { fd, cookie, route })
    }

    /// Its cookie: unique while the machine runs.
    pub fn cookie(&self) -> u64 {
        self.cookie
    }
}

impl AsFd for PodNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens a namespace by path.
///
/// # Errors
/// As `open(2)`.
pub fn open_path(path: &Path) -> io::Result<OwnedFd> {
    File::open(path).map(OwnedFd::from)
}

/// Cookie of the namespace behind `fd` (`SO_NETNS_COOKIE`).
///
/// # Errors
/// When it may not be entered.
pub fn cookie_of(fd: BorrowedFd<'_>) -> Result<u64, DatapathError> {
    inside(fd, || Ok(Socket::open(Family::Route)?.namespace_cookie()?))?
}

/// Runs `work` inside the namespace behind `fd`, on the calling thread, which comes back. There and back costs
/// 3 µs, a thread of its own for it 50 to 100.
///
/// A thread that cannot come back must not go on: it unwinds to its end. So call this only from threads that may
/// end, and never from one of an async runtime.
///
/// # Errors
/// When the namespace cannot be entered; then `work` did not run.
pub fn inside<T>(fd: BorrowedFd<'_>, work: impl FnOnce() -> T) -> Result<T, DatapathError> {
    let home = File::open("/proc/thread-self/ns/net")
        .map_err(namespace_error("open this thread's own network namespace"))?;
    setns(fd, CloneFlags::CLONE_NEWNET)
        .map_err(|errno| namespace_error("enter the pod's network namespace")(errno.into()))?;
    let back = Back { home };
    let result = work();
    drop(back);
    Ok(result)
}

/// Brings the thread back, also when the work panicked.
struct Back {
    home: File,
}

impl Drop for Back {
    fn drop(&mut self) {
        if let Err(errno) = setns(self.home.as_fd(), CloneFlags::CLONE_NEWNET) {
            if std::thread::panicking() {
                return;
            }
            std::panic::resume_unwind(Box::new(format!(
                "this thread cannot leave a pod's namespace: {errno}"
            )));
        }
    }
}

pub(crate) fn namespace_error(action: &str) -> impl FnOnce(io::Error) -> DatapathError {
    let action = action.to_owned();
    move |source| DatapathError::Namespace { action, source }
}

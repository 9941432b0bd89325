//! The namespace of a call.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};

use crate::environment::{Command, Environment};
use crate::error::{Error, code};

/// Magic number of nsfs (`NSFS_MAGIC`, linux/magic.h).
const NSFS: FsType = FsType(0x6e73_6673);

/// What `CNI_NETNS` leads to.
pub(super) enum Namespace {
    /// A namespace.
    Open(OwnedFd),
    /// None: the command has none, or DEL comes after its end.
    None,
    /// DEL in this program's own namespace.
    Host,
}

/// Opens the namespace; the host's own is refused before anything is done.
pub(super) fn open(environment: &Environment) -> Result<Namespace, Error> {
    let deleting = environment.command == Command::Del;
    if !environment.command.is_of_container() || environment.netns.is_empty() {
        return Ok(Namespace::None);
    }
    let wrong = |words: String| {
        Err(Error::new(code::INVALID_NAMESPACE, format!("CNI_NETNS: {}: {words}", environment.netns)))
    };
    let file = match File::open(&environment.netns) {
        Ok(file) => file,
        Err(_) if deleting => return Ok(Namespace::None),
        Err(error) => return wrong(format!("cannot be opened: {error}")),
    };
    // A bind mount that is gone leaves a plain file at the path.
    if fstatfs(&file).map_or(true, |found| found.filesystem_type() != NSFS) {
        return if deleting { Ok(Namespace::None) } else { wrong("is no network namespace".to_owned()) };
    }
    if !environment.netns_override && is_own(&file) {
        let words = "is the network namespace of the host, where no container lives";
        return if deleting { Ok(Namespace::Host) } else { wrong(words.to_owned()) };
    }
    Ok(Namespace::Open(file.into()))
}

fn is_own(file: &File) -> bool {
    let own = File::open("/proc/thread-self/ns/net").and_then(|own| Ok(fstat(&own)?));
    match (own, fstat(file)) {
        (Ok(own), Ok(its)) => own.st_ino == its.st_ino && own.st_dev == its.st_dev,
        _ => false,
    }
}

/// Cookie of a namespace, asked by a thread that goes there and ends.
pub(super) fn cookie(netns: &OwnedFd) -> io::Result<u64> {
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            setns(netns, CloneFlags::CLONE_NEWNET)?;
            let inside = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
            crate::sys::namespace_cookie(inside.as_fd())
        });
        asked.join().unwrap_or_else(|_| Err(io::Error::other("the thread is lost")))
    })
}

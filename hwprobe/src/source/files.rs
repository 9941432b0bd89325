//! Files of the machine under one seam: live, captured in a folder, or recorded.
//!
//! Paths are relative to a root that holds `sys`, `proc` and `run`, like `sys/class/net/eth0/mtu`. A file
//! that is not there, or that the driver does not answer now, is `None`; anything else that goes wrong is a
//! [`Failure`] with the file's name. Devices vanish while they are read: that is `None` too.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2, readlinkat};

use crate::model::Failure;

/// The most that is read of one file, bytes. VPD is at most 32 KiB, text attributes one page.
pub(crate) const READ_LIMIT: usize = 64 * 1024;

/// The size of a memory page: the most that sysfs gives of a text attribute.
const PAGE: usize = 4096;

/// Reads files of a machine.
pub(crate) trait Files {
    /// The content of a file.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// The target of a symbolic link, as written in it.
    fn read_link(&self, path: &str) -> Result<Option<String>, Failure>;

    /// Names in a folder, sorted; none when there is no folder.
    fn list(&self, path: &str) -> Result<Vec<String>, Failure>;

    /// The number that the file system gave a folder when it was made.
    fn inode(&self, path: &str) -> Option<u64>;

    /// The content of a file as text without the white space around it; empty text is `None`.
    fn text(&self, path: &str) -> Result<Option<String>, Failure> {
        let bytes = self.read(path)?;
        Ok(bytes
            .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
            .filter(|text| !text.is_empty()))
    }

    /// The last part of a symbolic link's target.
    fn link_name(&self, path: &str) -> Result<Option<String>, Failure> {
        Ok(self.read_link(path)?.and_then(|target| target.rsplit('/').next().map(str::to_owned)))
    }
}

/// The content of a file, parsed. Content that does not parse is a failure.
pub(crate) fn value<F: Files + ?Sized, T>(
    files: &F,
    path: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Failure> {
    let Some(text) = files.text(path)? else { return Ok(None) };
    let wrong = || Failure { source: shown(path), error: format!("unexpected content `{}`", shorten(&text)) };
    parse(&text).map(Some).ok_or_else(wrong)
}

/// A file's name as people know it, with the leading slash.
pub(crate) fn shown(path: &str) -> String {
    format!("/{path}")
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Errors by which sysfs says "not there" or "not now" (`carrier` of a link that is down answers EINVAL,
/// `phys_port_id` EOPNOTSUPP, a device that goes away ENODEV).
pub(crate) fn is_absent(errno: i32) -> bool {
    matches!(
        Errno::from_raw(errno),
        Errno::ENOENT
            | Errno::ENOTDIR
            | Errno::ENODEV
            | Errno::ENXIO
            | Errno::EINVAL
            | Errno::EOPNOTSUPP
            | Errno::ELOOP
            | Errno::EXDEV
    )
}

/// Real files: the machine's own, or a tree that was captured from another one.
#[derive(Debug)]
pub(crate) struct RootedFiles {
    roots: Roots,
}

#[derive(Debug)]
enum Roots {
    /// The running machine; sysfs and procfs are the kernel's, so links can be trusted.
    Live,
    /// A captured tree: the folder that holds `sys`, `proc` and `run`. Its links lead nowhere outside it.
    Machine(File),
    /// A captured `sys` alone.
    Sys(File),
}

impl RootedFiles {
    /// The running machine.
    pub(crate) fn live() -> Self {
        Self { roots: Roots::Live }
    }

    /// A captured tree: `dir` holds `sys` (and `proc`, `run`), or is a `sys` itself.
    pub(crate) fn captured(dir: &Path) -> io::Result<Self> {
        if dir.join("sys").is_dir() {
            return Ok(Self { roots: Roots::Machine(File::open(dir)?) });
        }
        if !["class", "devices", "bus"].iter().any(|name| dir.join(name).is_dir()) {
            let text = "holds neither `sys` nor any of `class`, `devices`, `bus`";
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(Self { roots: Roots::Sys(File::open(dir)?) })
    }

    fn open(&self, path: &str, flags: OFlag) -> io::Result<Option<File>> {
        let mut flags = flags | OFlag::O_CLOEXEC;
        // A FIFO in a captured tree must not block; `openat2` refuses the flag together with `O_PATH`.
        if !flags.contains(OFlag::O_PATH) {
            flags |= OFlag::O_NONBLOCK;
        }
        let within = |root: &File, path: &str| {
            openat2(root.as_fd(), path, OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT))
        };
        let opened = match &self.roots {
            Roots::Live => nix::fcntl::open(&live_path(path), flags, nix::sys::stat::Mode::empty()),
            Roots::Machine(root) => within(root, path),
            Roots::Sys(root) => match path.strip_prefix("sys/") {
                Some(path) => within(root, path),
                None => return Ok(None),
            },
        };
        match opened {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(errno) if is_absent(errno as i32) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Reads a file to its end, [`READ_LIMIT`] at most. sysfs gives the whole of a text attribute in one read, so
/// there a short one is the end: half of the system calls of a probe.
fn read_whole(file: &mut File, one_piece: bool, content: &mut Vec<u8>) -> io::Result<()> {
    let mut page = [0; PAGE];
    while content.len() < READ_LIMIT {
        let count = match file.read(&mut page) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        content.extend_from_slice(page.get(..count).unwrap_or_default());
        if count == 0 || (one_piece && count < PAGE) {
            break;
        }
    }
    content.truncate(READ_LIMIT);
    Ok(())
}

fn live_path(path: &str) -> PathBuf {
    let mut full = String::with_capacity(path.len() + 1);
    full.push('/');
    full.push_str(path);
    PathBuf::from(full)
}

impl Files for RootedFiles {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let failure = |error: io::Error| Failure { source: shown(path), error: reason(&error) };
        let Some(mut file) = self.open(path, OFlag::O_RDONLY).map_err(failure)? else { return Ok(None) };
        let mut content = Vec::with_capacity(PAGE);
        match read_whole(&mut file, path.starts_with("sys/"), &mut content) {
            Ok(()) => {
                content.shrink_to_fit();
                Ok(Some(content))
            }
            Err(error) if error.raw_os_error().is_some_and(is_absent) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    fn read_link(&self, path: &str) -> Result<Option<String>, Failure> {
        let target = match &self.roots {
            Roots::Live => nix::fcntl::readlink(&live_path(path)),
            _ => match self.open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
                Ok(Some(link)) => readlinkat(&link, ""),
                Ok(None) => return Ok(None),
                Err(error) => return Err(Failure { source: shown(path), error: reason(&error) }),
            },
        };
        match target {
            Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
            Err(errno) if is_absent(errno as i32) => Ok(None),
            Err(errno) => Err(Failure { source: shown(path), error: reason(&errno.into()) }),
        }
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Failure> {
        let failure = |error: io::Error| Failure { source: shown(path), error: reason(&error) };
        let Some(folder) = self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY).map_err(failure)? else {
            return Ok(Vec::new());
        };
        let mut folder = nix::dir::Dir::from_fd(folder.into()).map_err(|errno| failure(errno.into()))?;
        let mut names = Vec::new();
        for entry in folder.iter() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) if is_absent(errno as i32) => break,
                Err(errno) => return Err(failure(errno.into())),
            };
            let name = entry.file_name().to_string_lossy();
            if name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn inode(&self, path: &str) -> Option<u64> {
        match &self.roots {
            Roots::Live => std::fs::metadata(live_path(path)).ok().map(|meta| meta.ino()),
            // The number of a copied folder says nothing about the device.
            _ => None,
        }
    }
}

/// The system's words for an error, without "os error N".
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => format!("{} ({:?})", Errno::from_raw(errno).desc(), Errno::from_raw(errno)),
        None => error.to_string(),
    }
}

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

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::Mode;

use crate::model::Failure;

/// The most that is read of one file, bytes. VPD is at most 32 KiB, text attributes one page.
pub(crate) const READ_LIMIT: usize = 64 * 1024;

/// The size of a memory page: the most that sysfs gives of a text attribute.
const PAGE: usize = 4096;

/// Reads files of a machine, on several threads at once.
pub(crate) trait Files: Sync {
    /// The content of a file.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure>;

    /// The target of a symbolic link, as written in it.
    fn read_link(&self, path: &str) -> Result<Option<String>, Failure>;

    /// Names in a folder, sorted; none when there is no folder.
    fn list(&self, path: &str) -> Result<Vec<String>, Failure>;

    /// The number that the file system gave a folder when it was made.
    fn inode(&self, path: &str) -> Option<u64>;

    /// The same files for reading many of one folder, where that costs less: the way to it is walked once.
    fn near(&self, _folder: &str) -> Option<Box<dyn Files + '_>> {
        None
    }

    /// The content of a file as text without the white space around it; empty text is `None`.
    fn text(&self, path: &str) -> Result<Option<String>, Failure> {
        Ok(self.read(path)?.as_deref().and_then(text_of))
    }

    /// The last part of a symbolic link's target.
    fn link_name(&self, path: &str) -> Result<Option<String>, Failure> {
        Ok(self.read_link(path)?.and_then(|target| target.rsplit('/').next().map(str::to_owned)))
    }
}

/// Text without the white space around it; empty text is `None`.
fn text_of(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
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
            | Errno::EISDIR
            | Errno::ENODEV
            | Errno::ENXIO
            | Errno::EINVAL
            | Errno::EOPNOTSUPP
            | Errno::ELOOP
            | Errno::EXDEV
    )
}

/// How a file is opened: a FIFO in a captured tree must not block.
const FILE: OFlag = OFlag::O_RDONLY.union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK);

/// How a folder is opened.
const FOLDER: OFlag = FILE.union(OFlag::O_DIRECTORY);

/// How a link itself is opened; `openat2` refuses this together with `O_NONBLOCK`.
const LINK: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);

/// A rename anywhere on the machine makes the kernel unsure of a `..` on the way; then it wants to be asked again.
const MOST_TRIES: usize = 100;

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

    fn open(&self, path: &str, flags: OFlag) -> io::Result<File> {
        let within = |root: &File, path: &str| {
            let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT);
            let mut tries = (0..MOST_TRIES).map(|_| openat2(root.as_fd(), path, how));
            tries.find(|opened| !matches!(opened, Err(Errno::EAGAIN))).unwrap_or(Err(Errno::EAGAIN))
        };
        let opened = match &self.roots {
            Roots::Live => nix::fcntl::open(&live_path(path), flags, Mode::empty()),
            Roots::Machine(root) => within(root, path),
            Roots::Sys(root) => {
                path.strip_prefix("sys/").map_or(Err(Errno::ENOENT), |path| within(root, path))
            }
        };
        Ok(File::from(opened?))
    }
}

/// Reads a file to its end, [`READ_LIMIT`] at most. sysfs gives the whole of a text attribute in one read, so
/// there a short one is the end: half of the system calls of a probe.
fn read_whole(mut file: File, path: &str) -> io::Result<Vec<u8>> {
    let one_piece = path.starts_with("sys/");
    let mut page = [0; PAGE];
    // No more room than is needed: most files are a few bytes long, and a thousand NICs have many.
    let mut content = Vec::new();
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
    Ok(content)
}

/// Names in an open folder, sorted.
fn names_in(folder: File) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    // By value: by reference it would be set to its beginning again.
    for entry in Dir::from_fd(folder.into())? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(errno) if is_absent(errno as i32) => break,
            Err(errno) => return Err(errno.into()),
        };
        let name = entry.file_name().to_string_lossy();
        if name != "." && name != ".." {
            names.push(name.into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The system's answer for a path; none when it says "not there" or "not now".
fn told<T>(path: &str, answer: io::Result<T>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.raw_os_error().is_some_and(is_absent) => Ok(None),
        Err(error) => Err(Failure { source: shown(path), error: reason(&error) }),
    }
}

fn live_path(path: &str) -> PathBuf {
    let mut full = String::with_capacity(path.len() + 1);
    full.push('/');
    full.push_str(path);
    PathBuf::from(full)
}

impl Files for RootedFiles {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        told(path, self.open(path, FILE).and_then(|file| read_whole(file, path)))
    }

    fn read_link(&self, path: &str) -> Result<Option<String>, Failure> {
        let target = match &self.roots {
            Roots::Live => nix::fcntl::readlink(&live_path(path)).map_err(io::Error::from),
            _ => self.open(path, LINK).and_then(|link| Ok(readlinkat(&link, "")?)),
        };
        Ok(told(path, target)?.map(|target| target.to_string_lossy().into_owned()))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Failure> {
        Ok(told(path, self.open(path, FOLDER).and_then(names_in))?.unwrap_or_default())
    }

    fn near(&self, folder: &str) -> Option<Box<dyn Files + '_>> {
        match &self.roots {
            Roots::Live => None,
            _ => {
                let open = self.open(folder, FOLDER).ok()?;
                Some(Box::new(OpenFolder { files: self, path: folder.to_owned(), folder: open }))
            }
        }
    }

    fn inode(&self, path: &str) -> Option<u64> {
        match &self.roots {
            Roots::Live => std::fs::metadata(live_path(path)).ok().map(|meta| meta.ino()),
            // The number of a copied folder says nothing about the device.
            _ => None,
        }
    }
}

/// A folder of a captured tree that stays open: the way to it is walked once for all that lies in it.
struct OpenFolder<'a> {
    files: &'a RootedFiles,
    path: String,
    folder: File,
}

impl OpenFolder<'_> {
    /// The name in this folder that a path stands for.
    fn name<'p>(&self, path: &'p str) -> Option<&'p str> {
        let name = path.strip_prefix(&*self.path)?.strip_prefix('/')?;
        (!name.contains('/') && name != "..").then_some(name)
    }
}

impl Files for OpenFolder<'_> {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let Some(name) = self.name(path) else { return self.files.read(path) };
        match openat(&self.folder, name, FILE | OFlag::O_NOFOLLOW, Mode::empty()) {
            // A link: where it leads is followed within the root.
            Err(Errno::ELOOP) => self.files.read(path),
            opened => told(path, opened.map_err(io::Error::from).and_then(|fd| read_whole(fd.into(), path))),
        }
    }

    fn read_link(&self, path: &str) -> Result<Option<String>, Failure> {
        let Some(name) = self.name(path) else { return self.files.read_link(path) };
        let target = told(path, readlinkat(&self.folder, name).map_err(io::Error::from))?;
        Ok(target.map(|target| target.to_string_lossy().into_owned()))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Failure> {
        let below = |name| openat(&self.folder, name, FOLDER | OFlag::O_NOFOLLOW, Mode::empty());
        let folder = match self.name(path).map(below) {
            Some(Ok(folder)) => Ok(File::from(folder)),
            None if path == self.path => self.folder.try_clone(),
            // Elsewhere, or a link.
            _ => return self.files.list(path),
        };
        Ok(told(path, folder.and_then(names_in))?.unwrap_or_default())
    }

    fn inode(&self, path: &str) -> Option<u64> {
        self.files.inode(path)
    }

    fn near(&self, folder: &str) -> Option<Box<dyn Files + '_>> {
        self.files.near(folder)
    }
}

/// The system's words for an error, without "os error N".
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => format!("{} ({:?})", Errno::from_raw(errno).desc(), Errno::from_raw(errno)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// The kernel answers EAGAIN when it saw a rename while it went through `..`.
    #[test]
    fn renames_elsewhere_on_the_machine_hide_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        std::fs::create_dir_all(at("sys/class/net")).unwrap();
        std::fs::create_dir_all(at("sys/devices/net/eth0")).unwrap();
        std::fs::write(at("sys/devices/net/eth0/mtu"), "1500\n").unwrap();
        std::os::unix::fs::symlink("../../devices/net/eth0", at("sys/class/net/eth0")).unwrap();
        std::fs::write(at("old"), "").unwrap();
        let files = RootedFiles::captured(dir.path()).unwrap();
        let (done, mut unread) = (AtomicBool::new(false), 0);

        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    std::fs::rename(at("old"), at("new")).unwrap();
                    std::fs::rename(at("new"), at("old")).unwrap();
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                let read = files.read("sys/class/net/eth0/mtu");
                unread += u32::from(read != Ok(Some(b"1500\n".to_vec())));
            }
        });

        assert_eq!(unread, 0);
    }
}

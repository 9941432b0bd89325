//! The kernel's word on changes in a folder, also of one that is not there yet.

use std::io;
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Watches `folder`, or while it is not there the nearest folder above it: for entries that come, go or are written, and
/// for what `more` says. After each event it is watched anew, since the folder itself may be another one.
///
/// # Errors
/// When there is no instance to be had (`fs.inotify.max_user_instances`).
pub(crate) fn watch(folder: &Path, more: AddWatchFlags) -> io::Result<Inotify> {
    let watching = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let inside = more
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF;
    let above = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_MOVE_SELF;
    // What was made while we looked is looked at again, a few times at most.
    for _ in 0..4 {
        let paths =
            folder.ancestors().map(|path| if path.as_os_str().is_empty() { Path::new(".") } else { path });
        let mut below = None;
        for (distance, path) in paths.enumerate() {
            if watching.add_watch(path, if distance == 0 { inside } else { above }).is_ok() {
                break;
            }
            below = Some(path);
        }
        if !below.is_some_and(Path::exists) {
            break;
        }
    }
    Ok(watching)
}

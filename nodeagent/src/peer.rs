//! Who is at the other end of a Unix socket (TRAPS P13).
//!
//! The kernel tells the user as this agent's user namespace counts users. A process in another one may still be user 0
//! here (root made that namespace, or it maps 0 to 0) without any of root's rights on this machine: it is not root.

use std::fs;

/// Whether the process is root of this machine. `pid` as the kernel gave it when the connection was made; absent or 0
/// when it has no number here, and then its user is all that is known of it.
pub(crate) fn is_root(uid: u32, pid: Option<i32>) -> bool {
    uid == 0 && !is_elsewhere(pid)
}

/// Whether the process is in another user namespace than this agent.
pub(crate) fn is_elsewhere(pid: Option<i32>) -> bool {
    let Some(pid) = pid.filter(|pid| *pid > 0) else { return false };
    let own = fs::read_link("/proc/self/ns/user");
    // One that has ended waits for no answer.
    match (own, fs::read_link(format!("/proc/{pid}/ns/user"))) {
        (Ok(own), Ok(its)) => own != its,
        _ => false,
    }
}

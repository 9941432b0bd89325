//! Named steps at which a test kills or holds this program. Nothing of it is in a build without the feature.

/// Every step of an attach and a detach, in order. Kill tests go through all of them.
pub const STEPS: [&str; 15] = [
    "add.selected",
    "add.committed",
    "add.delegated",
    "add.links",
    "add.sysctls",
    "add.addresses",
    "add.readBack",
    "add.wired",
    "add.ended",
    "del.begun",
    "del.unwired",
    "del.delegated",
    "del.vlans",
    "del.released",
    // What no call waited for is on the disk.
    "flushed",
];

/// Steps that only attachments with VFs come by.
pub const VF_STEPS: [&str; 2] = ["add.vfs", "del.vfs"];

/// A step is reached.
///
/// With the feature `failpoints`, `MULTI_NIC_FAIL` in the environment says what happens: `STEP=kill` ends the
/// process at once, `STEP=kill:N` at the N-th time; `STEP=hang:MILLISECONDS` holds the first one who comes by, and
/// nobody else.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(step: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static TIMES: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("MULTI_NIC_FAIL") else { return };
    let Some((name, action)) = wanted.split_once('=') else { return };
    if name != step {
        return;
    }
    let (verb, number) = action.split_once(':').unwrap_or((action, "1"));
    let number: u64 = number.parse().unwrap_or(1);
    let time = TIMES.fetch_add(1, Ordering::SeqCst) + 1;
    match verb {
        "kill" if time == number => {
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        }
        "hang" if time == 1 => std::thread::sleep(std::time::Duration::from_millis(number)),
        _ => {}
    }
}

/// A step is reached.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn reached(_step: &str) {}

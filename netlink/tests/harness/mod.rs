//! What the tests on the real kernel share: private namespaces, the witnesses `ip`, `ethtool`
//! and `devlink`, comparisons that can fail.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

pub mod compare;
pub mod ethtool_words;
pub mod ip_words;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

/// Puts this thread, and every program it starts from now on, into a new network namespace.
/// The namespace ends with the test's thread.
pub fn enter_private_namespace() {
    unshare(CloneFlags::CLONE_NEWNET).expect("a new network namespace (needs root)");
    ip("link set lo up");
}

/// This thread's network namespace.
pub fn this_namespace() -> OwnedFd {
    File::open("/proc/thread-self/ns/net").expect("the namespace of this thread").into()
}

/// Another namespace, made on a thread that has ended; the descriptor keeps it alive.
pub fn another_namespace() -> OwnedFd {
    std::thread::spawn(|| {
        enter_private_namespace();
        this_namespace()
    })
    .join()
    .expect("a thread that makes a namespace")
}

/// Runs `program` with words split at white space; panics with its errors when it fails.
pub fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program)
        .args(arguments.split_whitespace())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Runs `ip`.
pub fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

/// Runs `ip -batch` with these lines.
pub fn ip_batch(lines: &str) {
    let path = std::env::temp_dir().join(format!("netlink-test-{}", std::process::id()));
    std::fs::write(&path, lines).expect("a batch file");
    let output = Command::new("ip").arg("-batch").arg(&path).output().expect("ip");
    std::fs::remove_file(&path).expect("remove the batch file");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What `ip -d -j` says.
pub fn ip_json(arguments: &str) -> Vec<Value> {
    let text = ip(&format!("-d -j {arguments}"));
    serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text }).expect("JSON of ip")
}

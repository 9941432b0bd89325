//! Real runtimes in the lab VM: wires, plugins and the runtimes themselves, each replaceable.
//!
//! The machine is thrown away after the run, so the runtimes' own folders in `/etc` and `/var/lib` are used.

pub(crate) mod containerd;
mod grpc;
pub(crate) mod pages;
pub(crate) mod plugins;
pub(crate) mod podman;
pub(crate) mod wires;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use plugins::List;

/// What the containers run: sleeps until it is killed.
pub(crate) const IMAGE: &str = "localhost/runtimes:1";

/// How long something that must come is waited for; on an emulated CPU all is slow.
const PATIENCE: Duration = Duration::from_secs(40);

/// A running container of any runtime.
pub(crate) struct Container {
    /// Its first process, in this machine's numbers.
    pub(crate) pid: u32,
}

impl Container {
    /// Runs a program of this machine in the container's network.
    pub(crate) fn run(&self, command: &str) -> String {
        run("nsenter", &format!("-t {} -n {command}", self.pid))
    }
}

/// Runs a program with blank-separated arguments; its standard output. It must succeed.
pub(crate) fn run(program: &str, arguments: &str) -> String {
    try_run(program, arguments).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`run`], and what went wrong when it does not succeed.
pub(crate) fn try_run(program: &str, arguments: &str) -> Result<String, String> {
    let out = Command::new(program)
        .args(arguments.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}: is its Debian package installed?"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if out.status.success() {
        return Ok(text(&out.stdout));
    }
    Err(format!("{program} {arguments}: {}\n{}{}", out.status, text(&out.stdout), text(&out.stderr)))
}

/// Waits until there is a value.
pub(crate) fn wait_for<T>(what: &str, mut value: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = value() {
            return value;
        }
        assert!(Instant::now() < end, "{what} did not come within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Writes a file whose folder may not exist yet.
pub(crate) fn write(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().expect("a folder")).expect("make a folder");
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Removes the named network namespaces whose names begin so.
pub(crate) fn remove_namespaces(beginnings: &[&str]) {
    for namespace in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = namespace.file_name().to_string_lossy().into_owned();
        if beginnings.iter().any(|beginning| name.starts_with(beginning)) {
            run("umount", &namespace.path().display().to_string());
            fs::remove_file(namespace.path()).expect("remove a namespace");
        }
    }
}

/// The archive of [`IMAGE`], made once a machine.
fn image() -> PathBuf {
    let archive = PathBuf::from("/run/runtimes/image.tar");
    if !archive.exists() {
        fs::create_dir_all("/run/runtimes").expect("a folder");
        let maker = concat!(env!("CARGO_MANIFEST_DIR"), "/../lab/image");
        run(maker, &format!("{IMAGE} {}", archive.display()));
    }
    archive
}

/// Puts these network lists, and no others, where the runtimes look.
fn install(lists: &[List], folder: &Path) {
    let _ = fs::remove_dir_all("/etc/cni/net.d");
    for (position, list) in lists.iter().enumerate() {
        write(format!("/etc/cni/net.d/{position}0-{}.conflist", list.name), &list.text);
    }
    let _ = fs::remove_dir_all("/opt/cni/bin");
    fs::create_dir_all("/opt/cni/bin").expect("a folder");
    for from in [Path::new("/usr/lib/cni"), folder] {
        for plugin in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
            let plugin = plugin.expect("a plugin");
            let link = Path::new("/opt/cni/bin").join(plugin.file_name());
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(plugin.path(), &link).expect("a link to a plugin");
        }
    }
}

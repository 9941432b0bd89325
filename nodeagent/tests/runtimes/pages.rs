//! The commands of docs/podman.md and of README.md, run as they stand there.
//!
//! Marks of the blocks: `sh` is run, `sh lab` too (for machines without a disk of their own), `sh build` is not: the
//! test run has built the same executables, and this machine has no network to fetch crates from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::wires::netdev;
use super::{remove_namespaces, run, try_run, wait_for};

/// PCI addresses of the NICs that the pages call `eth1` and `eth2`; every other NIC stands aside.
const NICS: [(&str, &str); 2] = [("0000:41:00.0", "eth1"), ("0000:81:00.0", "eth2")];

/// Where the other NICs wait.
const ASIDE: &str = "runtimes-aside";

/// A folder that looks like a checkout in which `cargo build --release` ran, on a machine with two NICs.
pub(crate) struct Checkout {
    folder: PathBuf,
}

/// The shell blocks of a page whose mark is one of these, in order.
pub(crate) fn blocks(page: &str, marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(mark) = line.strip_prefix("```").filter(|mark| !mark.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if marks.contains(&mark) {
            found.push(block.join("\n"));
        }
    }
    found
}

/// A page of the repository.
pub(crate) fn page(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Checkout {
    /// Makes it, and takes away what other tests left where the pages put something.
    pub(crate) fn new() -> Self {
        assert!(Path::new("/run/vm").is_dir(), "this runs in a machine of lab/vm-run only");
        remove_namespaces(&["netns-", "cni-", "runtimes-"]);
        for left in
            ["/etc/cni/net.d", "/opt/cni/bin", "/etc/multi-nic", "/var/lib/multi-nic", "/run/multi-nic"]
        {
            let _ = fs::remove_dir_all(left);
        }
        let nics = NICS.map(|(pci, name)| (netdev(pci), name));
        run("ip", &format!("netns add {ASIDE}"));
        for other in fs::read_dir("/sys/class/net").expect("links") {
            let other = other.expect("a link").file_name().into_string().expect("text");
            let is_hardware = Path::new("/sys/class/net").join(&other).join("device").exists();
            if is_hardware && nics.iter().all(|(nic, _)| *nic != other) {
                run("ip", &format!("link set {other} netns {ASIDE}"));
            }
        }
        for (nic, name) in &nics {
            run("ip", &format!("address flush dev {nic}"));
            run("ip", &format!("link set {nic} down"));
            run("ip", &format!("link set {nic} name wait-{name}"));
        }
        for (_, name) in &nics {
            run("ip", &format!("link set wait-{name} name {name}"));
        }
        let folder = PathBuf::from("/run/runtimes/checkout");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("target")).expect("a folder");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
        let built = Path::new(env!("CARGO_BIN_EXE_multi-nicd")).parent().expect("a folder");
        let link = |from: &Path, to: &str| {
            std::os::unix::fs::symlink(from, folder.join(to)).expect("a link in the checkout");
        };
        link(built, "target/release");
        for part in ["lab", "deploy"] {
            link(&root.join(part), part);
        }
        Self { folder }
    }

    /// Runs a script there by `bash -e`, which must succeed; what it printed.
    pub(crate) fn bash(&self, script: &str) -> String {
        let out = self.folder.join("printed");
        let file = fs::File::create(&out).expect("a file");
        let built = self.folder.join("target/release").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut bash = Command::new("bash");
        // A file, not a pipe: what goes on in the background would keep that open.
        bash.args(["-e", "-c", script]).current_dir(&self.folder).stdin(Stdio::null());
        bash.env("PATH", format!("{path}:{built}"));
        bash.stdout(file.try_clone().expect("the file")).stderr(file);
        let status = bash.status().expect("run bash");
        let printed = fs::read_to_string(&out).expect("what it printed");
        assert!(status.success(), "{status}\n{printed}");
        printed
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = try_run("podman", "rm -f -t 0 -a");
        let _ = try_run("ip", &format!("netns delete {ASIDE}"));
        if !std::thread::panicking() {
            // The NICs come back by themselves, a little later.
            wait_for("the other NICs", || {
                let back = ["0000:82:00.0", "0000:02:00.0"].map(|pci| {
                    Path::new("/sys/bus/pci/devices").join(pci).join("net").read_dir().ok()?.next()?.ok()
                });
                back.iter().all(Option::is_some).then_some(())
            });
        }
    }
}

#[test]
fn blocks_are_chosen_by_their_marks() {
    let page = "a\n```sh\none\ntwo\n```\n```yaml\nno\n```\n```sh build\nno\n```\nb\n```sh lab\nthree\n```\n";

    assert_eq!(blocks(page, &["sh", "sh lab"]), ["one\ntwo", "three"]);
}

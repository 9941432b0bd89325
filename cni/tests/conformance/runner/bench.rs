//! What a run stands on: network namespaces in the roles of host and pods, a wire, a folder.

use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;
use tempfile::TempDir;

/// The host's end of the wire; the other end, [`FAR`], is up as well.
pub const WIRE: &str = "wire0";
const FAR: &str = "wire1";

/// A host role with a wire, and a folder for what plugins keep. Both are gone when it is dropped.
pub struct Bench {
    /// The namespace in the role of the host.
    pub host: Netns,
    folder: TempDir,
    /// Namespaces of cases that are over. The kernel holds up new ones while old ones end, and ends many together
    /// as fast as one: so they all end with the bench.
    over: RefCell<Vec<Netns>>,
}

impl Bench {
    /// A new one. The calling thread, and what it starts, is in the host role from now on.
    pub fn enter() -> Result<Self, String> {
        remove_orphans();
        let host = Netns::new("host")?;
        host.enter()?;
        ip(&format!("link add {WIRE} type veth peer name {FAR}"))?;
        for link in ["lo", WIRE, FAR] {
            ip(&format!("link set {link} up"))?;
        }
        let folder = tempfile::Builder::new().prefix("cni-conformance-").tempdir();
        Ok(Self {
            host,
            folder: folder.map_err(|error| format!("a folder: {error}"))?,
            over: RefCell::default(),
        })
    }

    /// Keeps a namespace until the end.
    pub fn keep(&self, netns: Netns) {
        self.over.borrow_mut().push(netns);
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A network namespace with a path, like a runtime makes one; removed when it is dropped.
pub struct Netns {
    path: PathBuf,
}

static COUNT: AtomicUsize = AtomicUsize::new(0);

impl Netns {
    /// A new namespace; `role` is a part of its name.
    pub fn new(role: &str) -> Result<Self, String> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/run/netns/cf-{role}-{}-{number}", std::process::id()));
        let wrong = |what: &str| format!("make the namespace {}: {what}", path.display());
        std::fs::create_dir_all("/run/netns").map_err(|error| wrong(&error.to_string()))?;
        File::create(&path).map_err(|error| wrong(&error.to_string()))?;
        // A thread of its own: nobody else may end up inside.
        let made = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    unshare(CloneFlags::CLONE_NEWNET)?;
                    let none: Option<&str> = None;
                    mount(Some("/proc/thread-self/ns/net"), &path, none, MsFlags::MS_BIND, none)
                })
                .join()
        });
        match made {
            Ok(Ok(())) => Ok(Self { path }),
            Ok(Err(error)) => Err(wrong(&format!("{error} (needs root)"))),
            Err(_) => Err(wrong("its thread broke")),
        }
    }

    /// No namespace, for calls that name none.
    pub fn none() -> Self {
        Self { path: PathBuf::new() }
    }

    /// Its path.
    pub fn path(&self) -> &str {
        self.path.to_str().unwrap_or_default()
    }

    /// Puts the calling thread inside.
    pub fn enter(&self) -> Result<(), String> {
        let wrong = |error: &dyn std::fmt::Display| format!("enter {}: {error}", self.path.display());
        let file = File::open(&self.path).map_err(|error| wrong(&error))?;
        setns(file, CloneFlags::CLONE_NEWNET).map_err(|error| wrong(&error))
    }

    /// Takes the namespace away as a runtime does; the path is gone as well.
    pub fn remove(&self) {
        if self.path.exists() {
            let _ = umount2(&self.path, MntFlags::MNT_DETACH);
            drop(std::fs::remove_file(&self.path));
        }
    }

    /// Takes away the links that are left: a bench keeps namespaces until its end, and some kinds of link hold an
    /// address for a whole master (ipvlan).
    pub fn clear(&self) {
        if !self.path.exists() {
            return;
        }
        let left = std::thread::scope(|scope| {
            let read = scope.spawn(|| {
                self.enter()?;
                std::fs::read_to_string("/proc/thread-self/net/dev").map_err(|error| error.to_string())
            });
            read.join().unwrap_or_else(|_| Err("the thread broke".to_owned()))
        });
        let left = left.unwrap_or_default();
        let names = left.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
        for name in names.filter(|name| *name != "lo") {
            // The other end of a pair goes with the first.
            drop(self.ip(&format!("link del {name}")));
        }
    }

    /// Runs `ip` inside.
    pub fn ip(&self, arguments: &str) -> Result<String, String> {
        std::thread::scope(|scope| {
            let run = scope.spawn(|| self.enter().and_then(|()| ip(arguments)));
            run.join().unwrap_or_else(|_| Err("the thread that runs ip broke".to_owned()))
        })
    }

    /// What `ip -j` prints inside.
    pub fn ip_json(&self, arguments: &str) -> Result<Vec<Value>, String> {
        let text = self.ip(&format!("-j {arguments}"))?;
        let text = if text.trim().is_empty() { "[]" } else { &text };
        serde_json::from_str(text).map_err(|error| format!("ip -j {arguments}: {error}"))
    }

    /// The link that `name` finds: a name or an alternative name.
    pub fn link(&self, name: &str) -> Result<Option<Value>, String> {
        let links = self.ip_json("-d addr show")?;
        Ok(links.into_iter().find(|link| {
            let others = link["altnames"].as_array().map_or(&[][..], Vec::as_slice);
            link["ifname"] == name || others.iter().any(|other| other == name)
        }))
    }

    /// Links and addresses, without what changes by itself, to be compared.
    pub fn snapshot(&self) -> Result<Vec<String>, String> {
        let links = self.ip_json("-d addr show")?;
        Ok(links
            .iter()
            .map(|link| {
                let addresses = link["addr_info"].as_array().map_or(&[][..], Vec::as_slice);
                let addresses: Vec<_> = addresses
                    .iter()
                    .filter(|address| address["scope"] != "link")
                    .map(|of| format!("{}/{}", of["local"].as_str().unwrap_or("?"), of["prefixlen"]))
                    .collect();
                let up = link["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
                let name = link["ifname"].as_str().unwrap_or("?");
                let mac = link["address"].as_str().unwrap_or("?");
                let addresses = addresses.join(" ");
                format!("{} {name} {mac} up={up} mtu={} [{addresses}]", link["ifindex"], link["mtu"])
            })
            .collect())
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Takes away what a run left that was killed: the second last part of a name is the process.
fn remove_orphans() {
    for file in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let of = name.strip_prefix("cf-").and_then(|rest| rest.rsplit('-').nth(1)).map(str::to_owned);
        if of.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            Netns { path: file.path() }.remove();
        }
    }
}

/// Runs `ip` where the calling thread is.
pub fn ip(arguments: &str) -> Result<String, String> {
    let output = Command::new("ip").args(arguments.split_whitespace()).output();
    let output = output.map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

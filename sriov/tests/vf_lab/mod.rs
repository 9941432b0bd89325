//! PFs and VFs of the lab VM, made and read with `ip` and sysfs, never with our own code alone.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hwprobe::PciAddress;
use serde_json::{Value, json};

/// The two igb PFs of the lab VM.
pub(crate) const PFS: [&str; 2] = ["0000:41:00.0", "0000:81:00.0"];

pub(crate) fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split_whitespace()).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Many lines of `ip` in one start of it.
pub(crate) fn ip_batch(lines: &str) {
    batch(&["-batch", "-"], lines);
}

fn batch(arguments: &[&str], lines: &str) {
    let mut command = Command::new("ip");
    let mut child = command.args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{lines}");
}

pub(crate) fn ip_json(words: &str) -> Value {
    serde_json::from_str(&ip(&format!("-j -d {words}"))).unwrap()
}

pub(crate) fn folder(pci: &str) -> PathBuf {
    Path::new("/sys/bus/pci/devices").join(pci)
}

/// Name of a function's netdev in the first namespace.
pub(crate) fn name(pci: &str) -> Option<String> {
    let mut entries = fs::read_dir(folder(pci).join("net")).ok()?;
    Some(entries.next()?.unwrap().file_name().to_str().unwrap().to_owned())
}

pub(crate) fn wait<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Raises a PF and makes so many VFs of it; their addresses.
pub(crate) fn vfs(pf: &str, count: usize) -> Vec<PciAddress> {
    let file = folder(pf).join("sriov_numvfs");
    ip(&format!("link set {} up", name(pf).unwrap()));
    if fs::read_to_string(&file).unwrap().trim() != count.to_string() {
        fs::write(&file, "0").unwrap();
        fs::write(&file, count.to_string()).unwrap();
    }
    let carrier = folder(pf).join("net").join(name(pf).unwrap()).join("carrier");
    wait("the PF's carrier", || fs::read_to_string(&carrier).ok().filter(|text| text.trim() == "1"));
    let address = |index: usize| fs::read_link(folder(pf).join(format!("virtfn{index}"))).unwrap();
    let all = (0..count).map(|index| address(index).file_name().unwrap().to_str().unwrap().to_owned());
    all.map(|pci| {
        wait("the VF's netdev", || name(&pci));
        pci.parse().unwrap()
    })
    .collect()
}

/// What `ip link show PF` says of a VF.
pub(crate) fn admin(pf: &str, index: u16) -> Value {
    let shown = ip_json(&format!("link show {}", name(pf).unwrap()));
    let vfs = shown[0]["vfinfo_list"].as_array().unwrap();
    vfs.iter().find(|vf| vf["vf"] == index).unwrap().clone()
}

/// Everything that must be as it was when a VF has come back (TRAPS V1). A MAC that the driver made up is `random`.
pub(crate) fn state(pf: &str, index: u16, pci: &str) -> Value {
    let pci: PciAddress = pci.parse().unwrap();
    let pf = PFS.into_iter().find(|known| *known == pf).unwrap();
    states(&[(pf, index, pci)]).remove(0)
}

/// The same of many, each as (PF, number, VF): a program start is dear on an emulated processor.
pub(crate) fn states(vfs: &[(&str, u16, PciAddress)]) -> Vec<Value> {
    let links = ip_json("link show");
    let addresses = ip_json("address show");
    let of = |all: &Value, name: &str| {
        all.as_array().unwrap().iter().find(|link| link["ifname"] == name).unwrap().clone()
    };
    let state = |(pf, index, pci): &(&str, u16, PciAddress)| {
        let pci = pci.to_string();
        let pf = of(&links, &name(pf).unwrap());
        let mut admin =
            pf["vfinfo_list"].as_array().unwrap().iter().find(|vf| vf["vf"] == *index).unwrap().clone();
        let file =
            |name: &str| fs::read_to_string(folder(&pci).join(name)).unwrap_or_default().trim().to_owned();
        let driver = fs::read_link(folder(&pci).join("driver")).ok();
        let driver = driver.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        let (mut link, mut own) = (Value::Null, Value::Null);
        if let Some(name) = name(&pci) {
            link = of(&links, &name);
            own = of(&addresses, &name)["addr_info"].clone();
            if file(&format!("net/{name}/addr_assign_type")) == "1" {
                // igb shows at the PF what the VF took.
                if admin["address"] == link["address"] {
                    admin["address"] = json!("random");
                }
                link["address"] = json!("random");
            }
            // The kernel's choice at each bind.
            link["ifindex"] = Value::Null;
        }
        json!({"admin": admin, "link": link, "addresses": own, "driver": driver,
            "override": file("driver_override")})
    };
    vfs.iter().map(state).collect()
}

/// A network namespace with a name; gone at the end.
pub(crate) struct Space {
    pub(crate) name: String,
    fd: fs::File,
}

pub(crate) fn space() -> Space {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    let name = format!("vf-{}-{number}", std::process::id());
    ip(&format!("netns add {name}"));
    let fd = fs::File::open(format!("/run/netns/{name}")).unwrap();
    Space { name, fd }
}

impl Space {
    pub(crate) fn ip(&self, words: &str) -> String {
        ip(&format!("-n {} {words}", self.name))
    }

    pub(crate) fn batch(&self, lines: &str) {
        batch(&["-n", &self.name, "-batch", "-"], lines);
    }

    /// Takes a netdev in, as `vf0`, with an address, up.
    pub(crate) fn take_in(&self, index: u32, address: &str) {
        let shown = ip_json("link show");
        let link = shown.as_array().unwrap().iter().find(|link| link["ifindex"] == index).unwrap();
        let now = link["ifname"].as_str().unwrap();
        ip(&format!("link set {now} netns {} name vf0", self.name));
        self.ip("link set vf0 addrgenmode none");
        self.ip(&format!("address add {address} dev vf0"));
        self.ip("link set vf0 up");
    }

    pub(crate) fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        datapath::netns::inside(self.fd.as_fd(), work).unwrap()
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(Command::new("ip").args(["netns", "del", &self.name]).status());
    }
}

/// A socket at an address of a namespace (none: the first one).
pub(crate) fn socket(space: Option<&Space>, address: &str) -> UdpSocket {
    let open = || UdpSocket::bind(SocketAddr::new(address.parse().unwrap(), 4000)).unwrap();
    let socket = match space {
        Some(space) => space.inside(open),
        None => open(),
    };
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket
}

/// How many of ten packets from one socket arrive at the other; `within` at most.
pub(crate) fn arrived(from: &UdpSocket, to: &UdpSocket, within: Duration) -> u32 {
    let end = Instant::now() + within;
    let target = to.local_addr().unwrap();
    let mut count = 0;
    while count < 10 && Instant::now() < end {
        // Without a neighbour's answer the kernel says that the host is not there.
        drop(from.send_to(b"hello", target));
        while count < 10 && to.recv(&mut [0; 16]).is_ok_and(|length| length == 5) {
            count += 1;
            drop(from.send_to(b"hello", target));
        }
    }
    count
}

/// How many packets of each sender arrive while all of them send.
pub(crate) fn heard(from: &[&UdpSocket], to: &UdpSocket, within: Duration) -> Vec<u32> {
    let end = Instant::now() + within;
    let mut counts = vec![0; from.len()];
    while Instant::now() < end {
        for sender in from {
            drop(sender.send_to(b"hello", to.local_addr().unwrap()));
        }
        while let Ok((_, sender)) = to.recv_from(&mut [0; 16]) {
            let who = from.iter().position(|socket| socket.local_addr().unwrap() == sender);
            counts[who.unwrap()] += 1;
        }
    }
    counts
}

/// What stands for the PF's lock where nobody else works on it.
pub(crate) fn lock() -> Arc<()> {
    Arc::new(())
}

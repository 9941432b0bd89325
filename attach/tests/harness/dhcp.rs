//! A DHCP server on the wire (busybox) and the daemon of Debian's plugin `dhcp`, which leases for pods.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Both; they end with it.
pub(crate) struct Dhcp {
    server: Child,
    daemon: Child,
    /// Socket of the daemon.
    pub(crate) socket: PathBuf,
}

impl Drop for Dhcp {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.daemon] {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Dhcp {
    /// A server at `10.88.0.1` on `link` of the calling thread's namespace, which has `10.88.0.100` alone to lease.
    pub(crate) fn start(folder: &Path, link: &str) -> Self {
        super::ip(&format!("address add 10.88.0.1/24 dev {link}"));
        let (conf, socket) = (folder.join("udhcpd.conf"), folder.join("dhcp.sock"));
        let (leases, pid) = (folder.join("udhcpd.leases"), folder.join("udhcpd.pid"));
        fs::write(&leases, "").unwrap();
        let text = format!(
            "start 10.88.0.100\nend 10.88.0.100\ninterface {link}\nlease_file {}\npidfile {}\n\
             option subnet 255.255.255.0\noption router 10.88.0.1\noption lease 600\n",
            leases.display(),
            pid.display()
        );
        fs::write(&conf, text).unwrap();
        let mut server = Command::new("busybox");
        let server = server.arg("udhcpd").arg("-f").arg(&conf);
        let server = server
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("busybox: install busybox-static");
        let mut daemon = Command::new("/usr/lib/cni/dhcp");
        let daemon = daemon.args(["daemon", "-broadcast=true", "-socketpath"]).arg(&socket);
        let daemon = daemon.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while !socket.exists() {
            assert!(Instant::now() < end, "the daemon of the plugin dhcp did not begin");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { server, daemon, socket }
    }
}

//! Debian's real systemd-networkd, which takes all routes and rules of others away when it starts (TRAPS C5).
//! REQUIRES: root, veth, systemd-networkd.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use nix::mount::{MsFlags, mount};

use super::*;

const PROGRAM: &str = "/lib/systemd/systemd-networkd";

/// It manages m0 from now on, as on a machine where udev runs.
struct Networkd {
    child: Option<Child>,
}

impl Networkd {
    /// Nothing of it runs yet; the calling thread gets its own `/run`, `/sys` and configuration.
    fn new() -> Self {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        for folder in ["/run", "/etc/systemd"] {
            mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), none).unwrap();
        }
        // Read-only, it would not wait for udev, and begin before it knows what others have made.
        mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).unwrap();
        for folder in ["/run/systemd/netif", "/run/systemd/network", "/run/udev/data"] {
            fs::create_dir_all(folder).unwrap();
        }
        for link in ["lo", "m0", "m1", "w0", "w1"] {
            let index = fs::read_to_string(format!("/sys/class/net/{link}/ifindex")).unwrap();
            // What udev writes when it is done with a link.
            fs::write(format!("/run/udev/data/n{}", index.trim()), "I:1\n").unwrap();
        }
        let user = nix::unistd::User::from_name("systemd-network").unwrap().expect("its user");
        chown("/run/systemd/netif", Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        let network =
            "[Match]\nName=m0\n[Network]\nAddress=10.0.0.1/24\nAddress=fd00:0::1/64\nIPv6AcceptRA=no\n";
        fs::write("/run/systemd/network/10-m0.network", network).unwrap();
        Self { child: None }
    }

    /// `systemctl restart systemd-networkd`; back when it has configured m0.
    fn restart(&mut self) {
        self.stop();
        let state = PathBuf::from(format!(
            "/run/systemd/netif/links/{}",
            fs::read_to_string("/sys/class/net/m0/ifindex").unwrap().trim()
        ));
        let _ = fs::remove_file(&state);
        let child = Command::new(PROGRAM).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.expect("systemd-networkd"));
        let end = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(&state).is_ok_and(|text| text.contains("ADMIN_STATE=configured")) {
            assert!(Instant::now() < end, "{:?}", fs::read_to_string(&state));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Networkd {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn networkds_restarts_are_survived_counted_and_told_with_the_way_out() {
    let host = Host::new();
    let mut networkd = Networkd::new();
    networkd.restart();
    let (routes, _thread) = host.start(None);
    routes.want(wanted(true, &[("red", red())]));
    until("the routes", || ours() == RED);
    assert_eq!(metric(&host, "put_back"), 0);

    for restarts in 1..=3 {
        networkd.restart();
        let begun = Instant::now();
        until("the loss to be counted", || metric(&host, "put_back") >= restarts);
        until("the routes are back", || ours() == RED);
        println!("back {:?} after networkd was done", begun.elapsed());
        let said = state(&routes, "red").message;
        assert_eq!(said.contains("systemd-networkd"), restarts == 3, "after {restarts}: {said}");
        assert_eq!(metric(&host, "put_back"), restarts);
    }

    // What the message says to do.
    let said = state(&routes, "red").message;
    let settings: String = said
        .split_whitespace()
        .filter(|word| word.ends_with("=no"))
        .map(|word| format!("{word}\n"))
        .collect();
    fs::create_dir_all("/etc/systemd/networkd.conf.d").unwrap();
    fs::write("/etc/systemd/networkd.conf.d/multi-nic.conf", format!("[Network]\n{settings}")).unwrap();
    networkd.restart();
    networkd.restart();
    until("the routes stand", || ours() == RED);
    assert_eq!(metric(&host, "put_back"), 3, "nothing was taken any more");
}

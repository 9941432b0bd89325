//! Debian's podman with its CNI backend.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::plugins::List;
use super::{Container, IMAGE, image, install, remove_namespaces, run, try_run, wait_for, write};

pub(crate) struct Podman {
    networks: Vec<String>,
}

impl Podman {
    /// Podman with these networks and no others.
    pub(crate) fn with(lists: Vec<List>, plugins: &Path) -> Self {
        install(&lists, plugins);
        // netavark is another network backend and calls no CNI plugin.
        write(
            "/etc/containers/containers.conf",
            "[network]\nnetwork_backend = \"cni\"\ncni_plugin_dirs = [\"/opt/cni/bin\"]\n\
             network_config_dir = \"/etc/cni/net.d\"\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\n",
        );
        write(
            "/etc/containers/storage.conf",
            "[storage]\ndriver = \"vfs\"\nrunroot = \"/run/containers/storage\"\n\
             graphroot = \"/var/lib/containers/storage\"\n",
        );
        let backend = run("podman", "info --format {{.Host.NetworkBackend}}");
        assert_eq!(backend.trim(), "cni", "podman's network backend");
        run("podman", &format!("load -q -i {}", image().display()));
        Self { networks: lists.into_iter().map(|list| list.name).collect() }
    }

    pub(crate) fn run(&self, name: &str) -> Container {
        let networks: String = self.networks.iter().map(|network| format!("--network {network} ")).collect();
        run("podman", &format!("run -d --name {name} {networks} {IMAGE}"));
        self.container(name)
    }

    /// Where a container's namespace is: a name of its own for each. Its inode is no name: the kernel gives it again.
    pub(crate) fn namespace(&self, name: &str) -> String {
        run("podman", &format!("inspect {name} --format {{{{.NetworkSettings.SandboxKey}}}}"))
    }

    pub(crate) fn restart(&self, name: &str) -> Container {
        run("podman", &format!("restart -t 0 {name}"));
        self.container(name)
    }

    pub(crate) fn start(&self, name: &str) -> Container {
        run("podman", &format!("start {name}"));
        self.container(name)
    }

    /// Stops it; its network is taken down by a process of podman that outlives this command.
    pub(crate) fn stop(&self, name: &str) {
        run("podman", &format!("stop -t 0 {name}"));
    }

    pub(crate) fn remove(&self, name: &str) {
        run("podman", &format!("rm -f -t 0 {name}"));
    }

    /// Leaves of running containers what a machine that lost power leaves: nothing was told, and /run is empty.
    pub(crate) fn lose_power(&self, names: &[&str]) {
        for name in names {
            // The monitor first, or it would tidy up after the container.
            for number in ["ConmonPid", "Pid"] {
                let pid = number_of(name, number);
                kill(Pid::from_raw(pid), Signal::SIGKILL).expect("end a process of podman's");
                wait_for("its end", || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(()));
            }
        }
        remove_namespaces(&["netns-"]);
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        for mount in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if ["/run/containers/", "/run/libpod/", "/var/lib/containers/"]
                .iter()
                .any(|of| mount.starts_with(of))
            {
                run("umount", mount);
            }
        }
        for folder in ["/run/libpod", "/run/containers", "/run/runc"] {
            let _ = fs::remove_dir_all(folder);
        }
        // podman's locks are shared memory, which no boot outlives.
        let _ = fs::remove_file("/dev/shm/libpod_lock");
    }

    fn container(&self, name: &str) -> Container {
        Container { pid: u32::try_from(number_of(name, "Pid")).expect("a pid") }
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = try_run("podman", "rm -f -t 0 -a");
    }
}

fn number_of(name: &str, field: &str) -> i32 {
    let number = run("podman", &format!("inspect {name} --format {{{{.State.{field}}}}}"));
    let pid = number.trim().parse().expect("a number");
    assert!(pid > 0, "{name} does not run");
    pid
}

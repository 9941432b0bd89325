//! Pods for tests: a process in a network namespace of its own, and masters that pods may get.

use std::fs;
use std::process::{Child, Command};

use serde_json::Value;

use super::{Lab, run, wait_for};

/// A pod: nothing but a namespace.
pub(crate) struct Pod {
    child: Child,
}

impl Pod {
    pub(crate) fn new() -> Self {
        let child = Command::new("unshare").args(["--net", "sleep", "600"]).spawn().expect("unshare");
        // Of this thread: until `unshare` has done its work the pod is where this is.
        let own = fs::read_link("/proc/thread-self/ns/net").expect("own namespace");
        let pod = Self { child };
        wait_for("the pod's namespace", || {
            fs::read_link(pod.netns()).ok().filter(|namespace| *namespace != own)
        });
        pod
    }

    /// Path of its namespace.
    pub(crate) fn netns(&self) -> String {
        format!("/proc/{}/ns/net", self.child.id())
    }

    /// What `ip -j` says in it.
    pub(crate) fn ip(&self, arguments: &str) -> Value {
        let text = run("nsenter", &format!("--net={} ip -j {arguments}", self.netns()));
        if text.trim().is_empty() {
            Value::Array(Vec::new())
        } else {
            serde_json::from_str(&text).expect("JSON")
        }
    }

    /// IPv4 addresses of a link in it.
    pub(crate) fn addresses(&self, link: &str) -> Vec<String> {
        let all = self.ip("-4 addr");
        let of = all.as_array().expect("links").iter().filter(|one| one["ifname"] == link);
        of.flat_map(|one| one["addr_info"].as_array().expect("addresses"))
            .map(|one| format!("{}/{}", one["local"].as_str().expect("an address"), one["prefixlen"]))
            .collect()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lab {
    /// Makes veth masters `m0`, `m1`, … and networks over them: `red` with blocks of `2^(24 - host_block)` addresses.
    pub(crate) fn with_network(&self, masters: u32, host_bits: u32) {
        let mut names = Vec::new();
        for number in 0..masters {
            self.ip(&format!("link add m{number} type veth peer name w{number}"));
            self.ip(&format!("link set m{number} up"));
            self.ip(&format!("link set w{number} up"));
            self.ip(&format!("addr add 10.0.{number}.1/24 dev m{number}"));
            names.push(format!("m{number}"));
        }
        self.configure(&format!("included: [{}]\n", names.join(", ")));
        let interface_bits = 2;
        let host_block = 16 - interface_bits - host_bits;
        let network = format!(
            r#"apiVersion: multinic.fms.io/v1
kind: MultiNicNetwork
metadata: {{ name: red }}
spec:
  subnet: 192.168.0.0/16
  ipam: '{{"type": "multi-nic-ipam", "hostBlock": {host_block}, "interfaceBlock": {interface_bits}, "vlanMode": "l2"}}'
  multiNICIPAM: true
  plugin:
    cniVersion: "1.0.0"
    type: macvlan
    args: {{ mode: bridge }}
"#
        );
        fs::write(self.path("config/red.yaml"), network).expect("red.yaml");
    }
}

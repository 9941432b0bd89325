//! Pods, and what Multus does for them (FOREIGN §2): it starts `multi-nic` with the text of the attachment definition.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::cluster::Cluster;
use crate::harness::pods::Pod;
use crate::node::Node;

/// A pod with its attachments.
pub(crate) struct PodOfHost {
    /// Place of its host in the list of hosts.
    pub(crate) host: usize,
    id: String,
    pub(crate) namespace: Pod,
    attachments: Vec<Attachment>,
    /// Attachments so far.
    count: u32,
}

struct Attachment {
    network: String,
    /// As it was at ADD: Multus keeps it for DEL.
    config: String,
    ifname: String,
    /// By link.
    addresses: BTreeMap<String, Vec<IpAddr>>,
}

impl PodOfHost {
    pub(crate) fn new(host: usize, id: &str) -> Self {
        Self { host, id: id.to_owned(), namespace: Pod::new(), attachments: Vec::new(), count: 0 }
    }

    /// One more network, as the next item of the pod's annotation.
    pub(crate) fn attach(&mut self, cluster: &Cluster, node: &Node, network: &str) {
        let config = cluster.config(network);
        self.count += 1;
        let ifname = format!("net{}", self.count);
        let result = self.call(node, "ADD", &config, &ifname);
        let result: Value = serde_json::from_str(&result).expect("a result");
        let interfaces = result["interfaces"].as_array().expect("interfaces");
        // Multus writes an entry of network-status for each of them, and gives an address without its index to the last.
        assert_eq!(interfaces.len() as u32, node.nics, "{result}");
        assert!(interfaces.iter().all(|one| one["sandbox"] == self.namespace.netns()), "{result}");
        let mut addresses: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for ip in result["ips"].as_array().expect("ips") {
            let index = ip["interface"].as_u64().expect("an index");
            let link = interfaces[index as usize]["name"].as_str().unwrap();
            let address = ip["address"].as_str().unwrap().split('/').next().unwrap().parse().unwrap();
            addresses.entry(link.to_owned()).or_default().push(address);
        }
        self.attachments.push(Attachment { network: network.to_owned(), config, ifname, addresses });
    }

    /// The pod leaves networks.
    pub(crate) fn detach(&mut self, node: &Node, goes: impl Fn(&str) -> bool) {
        let (gone, stays) =
            std::mem::take(&mut self.attachments).into_iter().partition(|one| goes(&one.network));
        self.attachments = stays;
        let gone: Vec<Attachment> = gone;
        for one in gone.iter().rev() {
            let said = self.call(node, "DEL", &one.config, &one.ifname);
            assert_eq!(said, "", "a DEL says nothing");
        }
    }

    fn call(&self, node: &Node, command: &str, config: &str, ifname: &str) -> String {
        let program = Path::new(env!("CARGO_BIN_EXE_multi-nicd")).with_file_name("multi-nic");
        let arguments = format!(
            "IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-{0};K8S_POD_INFRA_CONTAINER_ID={0};\
             K8S_POD_UID=7d2a9f10-0000-4000-8000-00000000000{1}",
            self.id, node.number
        );
        let start = || {
            let mut child = Command::new(&program)
                .env_clear()
                .envs(node.folders())
                .env("CNI_COMMAND", command)
                .env("CNI_CONTAINERID", &self.id)
                .env("CNI_NETNS", self.namespace.netns())
                .env("CNI_IFNAME", ifname)
                .env("CNI_ARGS", &arguments)
                .env("CNI_PATH", "/opt/cni/bin")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| panic!("{}: {error}: is it built?", program.display()));
            child.stdin.take().unwrap().write_all(config.as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        };
        let output = node.inside(start);
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(
            output.status.success(),
            "{command} {config} on {}: {said}\n{}",
            node.name,
            node.agent().log()
        );
        said
    }

    /// Addresses on the link of a network that is on a wire.
    pub(crate) fn addresses(&self, network: &str, wire: u32) -> Vec<IpAddr> {
        self.link(network, wire).map(|(_, addresses)| addresses.clone()).unwrap_or_default()
    }

    fn link(&self, network: &str, wire: u32) -> Option<(String, &Vec<IpAddr>)> {
        let one = self.attachments.iter().find(|one| one.network == network)?;
        let link = format!("{}-{}", one.ifname, wire - 1);
        let addresses = one.addresses.get(&link)?;
        Some((link, addresses))
    }

    /// Asks each address from the link of a network on a wire, all at once; those that do not answer.
    pub(crate) fn deaf(&self, network: &str, wire: u32, targets: &[IpAddr]) -> Vec<String> {
        let Some((link, _)) = self.link(network, wire) else {
            return targets.iter().map(IpAddr::to_string).collect();
        };
        let targets: Vec<String> = targets.iter().map(IpAddr::to_string).collect();
        let first = self.ask(&link, &targets, 1);
        // On a machine that is out of breath a packet is lost: who still does not answer is deaf.
        if first.is_empty() { first } else { self.ask(&link, &first, 5) }
    }

    /// Sends so many packets to each address, all at once; those from which none came back.
    fn ask(&self, link: &str, targets: &[String], packets: u32) -> Vec<String> {
        // A first packet may wait for the neighbour's address.
        let script = format!(
            "for a in {}; do (ping -q -c {packets} -W 8 -s {SIZE} -I {link} $a > /dev/null 2>&1 || echo $a) & done; wait",
            targets.join(" ")
        );
        let output = Command::new("nsenter")
            .arg(format!("--net={}", self.namespace.netns()))
            .args(["busybox", "sh", "-c", &script])
            .output()
            .expect("nsenter");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

impl PodOfHost {
    /// Asks an address so many times, and says at the end how many answers came.
    pub(crate) fn ping(&self, target: IpAddr, times: u32) -> Child {
        Command::new("nsenter")
            .arg(format!("--net={}", self.namespace.netns()))
            .args([
                "busybox",
                "ping",
                "-q",
                "-i",
                "0.2",
                "-W",
                "8",
                "-c",
                &times.to_string(),
                &target.to_string(),
            ])
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter")
    }
}

/// Bytes in a packet, beside its heads.
pub(crate) const SIZE: u64 = 1000;

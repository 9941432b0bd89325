//! The work that nobody can avoid: the kernel's, as the very messages that make a pod's links, and one durable write.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use datapath::netns::{HostNamespace, PodNamespace};
use datapath::{PodLink, PolicyTable, Source};
use netlink::route::{Change, IpvlanFlag, IpvlanMode, MacvlanMode, NewLinkKind};
use netlink::{Family, Recording, Socket, route};
use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use super::place::{Place, Pod, master};
use super::{Contender, Kind, caller};
use crate::program;

/// Index of a pod's first link, and the group of its links.
const FIRST: u32 = 1000;

/// Kernel work of an attach and its opposite, with what an agent keeps open.
pub(super) struct Bare {
    host: Socket,
    home: File,
    links: Vec<PodLink>,
    outside: Recording,
    inside: Recording,
}

impl Bare {
    /// For pods with `nics` links as `ours` makes them: one pod of ours is read, the same is made by the code that the
    /// agent calls, and its messages are kept. That nothing differs in the two pods is looked at.
    pub(super) fn new(place: &Place, kind: Kind, ours: &Contender, nics: usize) -> Result<Self> {
        let callers = if nics == 1 { &ours.one } else { &ours.many };
        let (first, second) = (place.pod(0)?, place.pod(1)?);
        let answer = caller::answer(callers, "recorded", first)?;
        let mut host = Socket::open(Family::Route)?;
        let home = HostNamespace::current()?;
        let links = pod_links(&mut host, kind, nics, &answer)?;
        let theirs = described(first)?;
        // Two ipvlan links of one master cannot have the same address.
        caller::del(callers, "recorded", first)?;
        let mut pod = PodNamespace::open(File::open(&second.path)?.into())?;
        host.start_recording();
        pod.route.start_recording();
        let made = datapath::wire(&mut host, &home, &mut pod, FIRST, &links, &[], &mut |_| Ok(()))?;
        let (outside, inside) = (host.take_recording(), pod.route.take_recording());
        drop(made);
        let again = described(second)?;
        let home = File::open("/proc/thread-self/ns/net")?;
        let mut bare = Self { host, home, links, outside, inside };
        bare.del(second)?;
        ensure!(theirs == again, "the recorded messages make another pod than the agent:\n{theirs}\n{again}");
        Ok(bare)
    }

    /// All links in one send, then what stands on them in one more.
    pub(super) fn add(&mut self, pod: &Pod) -> Result<()> {
        sent(&mut self.host, &self.outside.in_namespace(pod.as_fd()))?;
        sent(&mut self.inside(pod)?, &self.inside)
    }

    /// The rules, which do not go with their links, and each link by itself, as whoever has not given them a group.
    pub(super) fn del(&mut self, pod: &Pod) -> Result<()> {
        let links = self.links.iter().map(|link| route::delete_link(link.index));
        let rules = self.links.iter().flat_map(PodLink::policy_rules);
        let changes: Vec<Change<'_>> = rules.map(|rule| route::delete_rule(&rule)).chain(links).collect();
        self.inside(pod)?.apply(&changes).into_iter().try_for_each(|verdict| Ok(verdict?))
    }

    /// A socket in the pod; this thread goes there and comes back.
    fn inside(&self, pod: &Pod) -> Result<Socket> {
        setns(pod.as_fd(), CloneFlags::CLONE_NEWNET)?;
        let socket = Socket::open(Family::Route);
        setns(self.home.as_fd(), CloneFlags::CLONE_NEWNET)?;
        Ok(socket?)
    }
}

fn sent(socket: &mut Socket, recording: &Recording) -> Result<()> {
    socket.send_again(recording)?.into_iter().try_for_each(|verdict| Ok(verdict?))
}

/// The links of an answer, as the agent asks for them.
fn pod_links(host: &mut Socket, kind: Kind, nics: usize, answer: &Value) -> Result<Vec<PodLink>> {
    let ips = answer["ips"].as_array().context("the answer has no ips")?;
    ensure!(ips.len() == nics, "the answer has {} addresses, not {nics}", ips.len());
    let link = |(position, ip): (u16, &Value)| {
        let below = route::link_by_name(host, &master(usize::from(position)))?.context("a master is gone")?;
        let name = answer["interfaces"][usize::from(position)]["name"].as_str().context("a nameless link")?;
        let address = ip["address"].as_str().context("no address")?.parse()?;
        Ok(PodLink {
            position,
            name: name.to_owned(),
            alt_name: (position == 0).then(|| "eth0".to_owned()),
            index: FIRST + u32::from(position),
            source: Source::Above { kind: link_kind(kind), master: below.index },
            mtu: None,
            address: None,
            addresses: vec![address],
            routes: Vec::new(),
            policy: (nics > 1).then(|| PolicyTable { gateways: Vec::new() }),
            announce: true,
            duplicate_check: None,
        })
    };
    (0..).zip(ips).map(link).collect()
}

fn link_kind(kind: Kind) -> NewLinkKind {
    match kind {
        Kind::Macvlan => NewLinkKind::Macvlan { mode: MacvlanMode::Bridge, sources: Vec::new() },
        Kind::Ipvlan => NewLinkKind::Ipvlan { mode: IpvlanMode::L2, flag: IpvlanFlag::Bridge },
    }
}

/// Links, addresses, routes and rules of a pod, without the numbers and MACs that differ from pod to pod.
fn described(pod: &Pod) -> Result<String> {
    let mut all = String::new();
    for what in ["-d link", "-4 address", "route show table all", "rule"] {
        let mut show = Command::new("nsenter");
        show.arg(format!("--net={}", pod.path.display())).args(["ip", "-j"]).args(what.split(' '));
        let mut shown: Value = serde_json::from_slice(&program::stdout(&mut show)?)?;
        forget(&mut shown);
        all.push_str(&format!("{shown}\n"));
    }
    Ok(all)
}

fn forget(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(forget),
        Value::Object(all) => {
            // A policy table's number is made of the link's index.
            for key in ["ifindex", "group", "address", "table", "operstate", "flags"] {
                if all.get("ifname").is_some() || key == "table" {
                    all.remove(key);
                }
            }
            all.values_mut().for_each(forget);
        }
        _ => {}
    }
}

/// A file on the disk of the agent's memory that grows by one record and is durable then.
pub(super) struct Log(File);

/// Bytes of a record: a page.
const RECORD: [u8; 4096] = [0x4d; 4096];

impl Log {
    pub(super) fn new(place: &Place) -> Result<Self> {
        let path = place.folder().join("log");
        Ok(Self(OpenOptions::new().create(true).append(true).open(path)?))
    }

    pub(super) fn append(&mut self) -> Result<()> {
        self.0.write_all(&RECORD)?;
        Ok(self.0.sync_data()?)
    }
}

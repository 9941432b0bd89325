//! The work that nobody can avoid: the kernel's, as raw netlink messages, and one durable write.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use netlink::route::{
    AddressChange, Change, IpvlanMode, LinkSettings, MacvlanMode, NewLink, NewLinkKind, RouteChange,
    RouteNextHop,
};
use netlink::{Family, Socket, route};
use nix::sched::{CloneFlags, setns};

use super::Kind;
use super::place::{Place, Pod, master};

/// Index of a pod's first link.
const FIRST: u32 = 1000;

/// Kernel work of an attach and its opposite, with what an agent keeps open.
pub(super) struct Bare {
    host: Socket,
    home: File,
    masters: Vec<u32>,
    kind: Kind,
}

impl Bare {
    /// For pods with `nics` links.
    pub(super) fn new(kind: Kind, nics: usize) -> Result<Self> {
        let mut host = Socket::open(Family::Route)?;
        let masters = (0..nics).map(|index| {
            let found = route::link_by_name(&mut host, &master(index))?;
            found.map(|link| link.index).context("a master is gone")
        });
        let masters = masters.collect::<Result<_>>()?;
        Ok(Self { host, home: File::open("/proc/thread-self/ns/net")?, masters, kind })
    }

    /// All links in one send, then address, up and a route of each in one more.
    pub(super) fn add(&mut self, pod: &Pod) -> Result<()> {
        let links: Vec<(u32, u32)> = (FIRST..).zip(self.masters.iter().copied()).collect();
        let kind = self.link_kind();
        let create = links.iter().map(|(index, master)| {
            route::create_link(&NewLink {
                name: format!("eth{}", index - FIRST),
                kind: kind.clone(),
                parent: Some(*master),
                namespace: Some(pod.as_fd()),
                index: Some(*index),
                ..NewLink::default()
            })
        });
        must(&mut self.host, &create.collect::<Vec<_>>())?;
        must(
            &mut self.inside(pod)?,
            &links.iter().flat_map(|(index, _)| configure(*index)).collect::<Vec<_>>(),
        )
    }

    /// Each link by itself, as whoever has not given them a group.
    pub(super) fn del(&mut self, pod: &Pod) -> Result<()> {
        let links = (FIRST..).take(self.masters.len());
        must(&mut self.inside(pod)?, &links.map(route::delete_link).collect::<Vec<_>>())
    }

    fn link_kind(&self) -> NewLinkKind {
        match self.kind {
            Kind::Macvlan => NewLinkKind::Macvlan { mode: MacvlanMode::Bridge, sources: Vec::new() },
            Kind::Ipvlan => NewLinkKind::Ipvlan { mode: IpvlanMode::L2, flag: route::IpvlanFlag::Bridge },
        }
    }

    /// A socket in the pod; this thread goes there and comes back.
    fn inside(&self, pod: &Pod) -> Result<Socket> {
        setns(pod.as_fd(), CloneFlags::CLONE_NEWNET)?;
        let socket = Socket::open(Family::Route);
        setns(self.home.as_fd(), CloneFlags::CLONE_NEWNET)?;
        Ok(socket?)
    }
}

fn configure(index: u32) -> [Change<'static>; 3] {
    let octet = u8::try_from(index - FIRST).unwrap_or(u8::MAX);
    let address = AddressChange {
        link: index,
        address: IpAddr::V4(Ipv4Addr::new(10, 61, octet, 2)),
        prefix_len: 24,
        metric: None,
        no_dad: false,
    };
    let up = LinkSettings { up: Some(true), ..LinkSettings::default() };
    let gateway = IpAddr::V4(Ipv4Addr::new(10, 61, octet, 254));
    let to = RouteChange {
        destination: IpAddr::V4(Ipv4Addr::new(10, 99, octet, 0)),
        prefix_len: 24,
        table: 254,
        protocol: 4,
        scope: 0,
        metric: None,
        source: None,
        mtu: None,
        advmss: None,
        hops: vec![RouteNextHop { link: Some(index), gateway: Some(gateway), ..RouteNextHop::default() }],
    };
    [route::add_address(&address), route::set_link(index, &up), route::add_route(&to)]
}

fn must(socket: &mut Socket, changes: &[Change<'_>]) -> Result<()> {
    socket.apply(changes).into_iter().try_for_each(|verdict| Ok(verdict?))
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

//! Hears what changes: netlink notifications, uevents and mounts.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink::events::{Event, EventSocket};
use netlink::route::Link;
use netlink::uevent::UeventSocket;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long it must be quiet before a burst counts as over.
const QUIET: Duration = Duration::from_millis(2);

/// The longest that a burst is gathered.
const BURST: Duration = Duration::from_millis(20);

/// Something that may have changed the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A link came, changed or went.
    Link {
        /// Its index.
        index: u32,
        /// Its name.
        name: String,
    },
    /// Only the number of those who hear all frames of a link changed (`IFLA_PROMISCUITY`, `IFLA_ALLMULTI`): the first
    /// macvlan of a pod came, or the last one went.
    Listeners {
        /// Its index.
        index: u32,
    },
    /// An address came or went.
    Address {
        /// Index of its link.
        index: u32,
    },
    /// A default route came or went.
    DefaultRoute,
    /// A device came, went, was bound or changed.
    Device {
        /// Its folder, like `sys/devices/pci0000:00/0000:00:03.0`.
        path: String,
        /// `add`, `remove`, `bind`, `unbind`, `change` …
        action: String,
    },
    /// Somebody changed settings through ethtool.
    Ethtool {
        /// Index of the link.
        index: u32,
    },
    /// A devlink device or port changed.
    Devlink,
    /// Another namespace got or lost its number in this one.
    Namespace,
    /// Something was mounted or unmounted.
    Mounts,
    /// Notifications were lost: anything may have changed.
    Everything,
}

/// Why watching is not possible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// A socket cannot be opened or read.
    #[error("watch for changes")]
    Netlink(#[from] netlink::Error),
    /// Waiting failed.
    #[error("wait for changes")]
    Wait(#[from] Errno),
}

/// Watches the network namespace and the devices of this machine.
pub struct Watcher {
    events: EventSocket,
    uevents: UeventSocket,
    /// Becomes urgent (`POLLPRI`) when a mount comes or goes; absent where `/proc` is not there.
    mounts: Option<File>,
    links: Links,
}

impl Watcher {
    /// Begins to watch, in the network namespace of the calling thread.
    pub fn open() -> Result<Self, WatchError> {
        let mounts = File::open("/proc/self/mounts").ok();
        Ok(Self {
            events: EventSocket::open()?,
            uevents: UeventSocket::open()?,
            mounts,
            links: Links::default(),
        })
    }

    /// Waits for changes, at most for `timeout`, or until `wake` becomes readable; then gathers until it is
    /// quiet. Nothing = time is up or `wake`.
    pub fn wait(
        &mut self,
        timeout: Option<Duration>,
        wake: Option<BorrowedFd<'_>>,
    ) -> Result<Vec<Change>, WatchError> {
        let until = timeout.map(|timeout| Instant::now() + timeout);
        let mut changes = Vec::new();
        while changes.is_empty() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if self.poll(left, wake)? {
                return Ok(changes);
            }
            self.receive(&mut changes)?;
            if changes.is_empty() && left.is_some_and(|left| left.is_zero()) {
                return Ok(changes);
            }
        }
        let end = Instant::now() + BURST;
        loop {
            let before = changes.len();
            let left = end.saturating_duration_since(Instant::now()).min(QUIET);
            if left.is_zero() || self.poll(Some(left), wake)? {
                return Ok(changes);
            }
            self.receive(&mut changes)?;
            if changes.len() == before {
                return Ok(changes);
            }
        }
    }

    /// Waits until something is readable; `true` when that is `wake`.
    fn poll(&self, timeout: Option<Duration>, wake: Option<BorrowedFd<'_>>) -> Result<bool, WatchError> {
        let mut fds = vec![
            PollFd::new(self.events.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.uevents.as_fd(), PollFlags::POLLIN),
        ];
        fds.extend(self.mounts.as_ref().map(|mounts| PollFd::new(mounts.as_fd(), PollFlags::POLLPRI)));
        let sources = fds.len();
        fds.extend(wake.map(|wake| PollFd::new(wake, PollFlags::POLLIN)));
        let timeout = match timeout {
            None => PollTimeout::NONE,
            // Rounded up, or a rest below a millisecond would spin.
            Some(left) => {
                PollTimeout::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut fds, timeout) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        }
        Ok(fds.get(sources).is_some_and(|wake| wake.any().unwrap_or_default()))
    }

    fn receive(&mut self, changes: &mut Vec<Change>) -> Result<(), WatchError> {
        let mut add = |change: Change| {
            if !changes.contains(&change) {
                changes.push(change);
            }
        };
        for event in self.events.receive()? {
            if let Some(change) = self.links.of_event(event) {
                add(change);
            }
        }
        match self.uevents.receive() {
            Ok(uevents) => {
                for uevent in uevents {
                    if let Some(change) =
                        of_uevent(&uevent.action, &uevent.devpath, uevent.subsystem.as_deref())
                    {
                        add(change);
                    }
                }
            }
            Err(netlink::Error::Overrun { .. }) => add(Change::Everything),
            Err(error) => return Err(error.into()),
        }
        if let Some(mounts) = &self.mounts {
            let mut fd = [PollFd::new(mounts.as_fd(), PollFlags::POLLPRI)];
            if poll(&mut fd, PollTimeout::ZERO).unwrap_or_default() > 0 {
                add(Change::Mounts);
            }
        }
        Ok(())
    }
}

/// What the kernel has last told of each link.
#[derive(Default)]
struct Links(HashMap<u32, Box<Link>>);

impl Links {
    fn of_event(&mut self, event: Event) -> Option<Change> {
        match event {
            Event::LinkChanged(link) => Some(self.changed(link)),
            Event::LinkRemoved(link) => {
                self.0.remove(&link.index);
                Some(Change::Link { index: link.index, name: link.name })
            }
            Event::Overrun => {
                self.0.clear();
                Some(Change::Everything)
            }
            other => of_event(other),
        }
    }

    fn changed(&mut self, link: Box<Link>) -> Change {
        let (index, name) = (link.index, link.name.clone());
        let (promiscuity, all_multi) = (link.promiscuity, link.all_multi);
        let Some(mut before) = self.0.insert(index, link) else { return Change::Link { index, name } };
        // Said twice without a difference is another thing than we can see here.
        let differs = (before.promiscuity, before.all_multi) != (promiscuity, all_multi);
        (before.promiscuity, before.all_multi) = (promiscuity, all_multi);
        let only = differs && self.0.get(&index) == Some(&before);
        if only { Change::Listeners { index } } else { Change::Link { index, name } }
    }
}

fn of_event(event: Event) -> Option<Change> {
    match event {
        Event::AddressChanged(address) | Event::AddressRemoved(address) => {
            Some(Change::Address { index: address.index })
        }
        Event::RouteChanged(route) | Event::RouteRemoved(route) => {
            route.is_default().then_some(Change::DefaultRoute)
        }
        Event::NamespaceAppeared(_) | Event::NamespaceGone(_) => Some(Change::Namespace),
        Event::Ethtool { index: Some(index), .. } => Some(Change::Ethtool { index }),
        Event::Devlink { .. } => Some(Change::Devlink),
        _ => Some(Change::Everything),
    }
}

/// Uevents of devices that the inventory shows; a `net` uevent comes beside a link notification, but also
/// when a netdev moves between namespaces.
fn of_uevent(action: &str, devpath: &str, subsystem: Option<&str>) -> Option<Change> {
    let shown = matches!(
        subsystem?,
        "pci"
            | "net"
            | "virtio"
            | "auxiliary"
            | "vmbus"
            | "xen"
            | "usb"
            | "infiniband"
            | "vfio"
            | "vfio-dev"
            | "iommu"
            | "netdevsim"
            | "nvme"
            | "iscsi_connection"
            | "platform"
            | "ptp"
    );
    // Every veth of every pod has a `net` uevent; its link notification says it all.
    let virtual_link = devpath.starts_with("/devices/virtual/net/");
    (shown && !virtual_link)
        .then(|| Change::Device { path: format!("sys{devpath}"), action: action.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(promiscuity: u32, mtu: u32) -> Event {
        let mut link = Link::default();
        (link.index, link.name) = (3, "eth1".to_owned());
        (link.promiscuity, link.mtu) = (Some(promiscuity), Some(mtu));
        Event::LinkChanged(Box::new(link))
    }

    #[test]
    fn a_link_that_only_more_or_fewer_listen_to_is_told_from_one_that_changed() {
        let mut links = Links::default();
        let whole = Some(Change::Link { index: 3, name: "eth1".to_owned() });
        let listeners = Some(Change::Listeners { index: 3 });

        assert_eq!(links.of_event(link(0, 1500)), whole, "the first time nothing is known");
        assert_eq!(links.of_event(link(1, 1500)), listeners);
        assert_eq!(links.of_event(link(0, 1500)), listeners);
        assert_eq!(links.of_event(link(0, 1500)), whole, "something that the message does not show");
        assert_eq!(links.of_event(link(1, 9000)), whole, "both at once");
        assert_eq!(links.of_event(Event::Overrun), Some(Change::Everything));
        assert_eq!(links.of_event(link(2, 9000)), whole, "what was lost may have been anything");
    }
}

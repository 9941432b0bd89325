//! ARP of the host on masters (TRAPS P11): changed where pods need it, put back with the last of them.
//!
//! Pods on ipvlan l3 and l3s speak no ARP: others reach them by the host's own address on the master. Where two NICs of
//! the host are on one subnet, either answers for the other's address (`arp_ignore` 0), a neighbour sends to the wrong
//! one, and ipvlan there knows no such pod. All other links answer ARP themselves and need nothing of the host; reverse
//! path filters do not see packets of pods at all (docs/link-modes.md).

use hwprobe::{Inventory, NicId};
use ipnet::Ipv4Net;

use crate::book::Book;
use crate::engine::{Engine, words};
use crate::record::{Attachment, HostArp, PodLink};
use crate::select::LinkUse;

/// An address is answered for by the NIC that has it alone, and announced with that NIC's own address only.
const QUIET: HostArp = HostArp { ignore: 1, announce: 2 };

/// How long one waits for another one that changes the same master.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Whether pods on this link need it. A VLAN of ours above the NIC has no address of the host.
fn is_needed(link: &PodLink, inventory: &Inventory) -> bool {
    let by_host = matches!(&link.link, LinkUse::Ipvlan { mode, .. } if mode != "l2") && link.vlan.is_none();
    if !by_host {
        return false;
    }
    let others = subnets(inventory, |nic| *nic != link.nic);
    subnets(inventory, |nic| *nic == link.nic).iter().any(|subnet| others.contains(subnet))
}

fn subnets(inventory: &Inventory, wanted: impl Fn(&NicId) -> bool) -> Vec<Ipv4Net> {
    let nics = inventory.nics.iter().filter(|nic| wanted(&nic.id));
    let addresses = nics.flat_map(|nic| &nic.addresses).filter(|one| one.is_global());
    let subnet = |one: &hwprobe::IpInterface| match one.address {
        std::net::IpAddr::V4(address) => Ipv4Net::new(address, one.prefix_length).ok().map(|net| net.trunc()),
        std::net::IpAddr::V6(_) => None,
    };
    addresses.filter_map(subnet).collect()
}

impl Engine {
    /// Notes what masters are, before they are changed: as the kernel has it, or as whoever changed it first found it.
    /// Under the book's lock, so that nobody puts back meanwhile what is read here.
    pub(crate) fn note_masters(&self, book: &Book, attachment: &mut Attachment, inventory: &Inventory) {
        for link in attachment.links.iter_mut().filter(|link| is_needed(link, inventory)) {
            link.host_arp = first_found(book, link).or_else(|| self.host_arp(&link.master));
        }
    }

    /// Changes masters. Without the right to (a read-only `/proc/sys`) pods are attached all the same.
    pub(crate) fn quiet_masters(&self, attachment: &Attachment) {
        for link in &attachment.links {
            let Some(found) = link.host_arp else { continue };
            let _alone = self.vlans.enter(&link.master_ifindex, PATIENCE);
            let quiet = HostArp {
                ignore: found.ignore.max(QUIET.ignore),
                announce: found.announce.max(QUIET.announce),
            };
            self.set_host_arp(&link.master, quiet);
        }
    }

    /// Puts masters back that no other attachment needs changed. What somebody else changed meanwhile stays.
    pub(crate) fn restore_masters(&self, attachment: &Attachment) {
        for link in attachment.links.iter().filter(|_| attachment.boot == self.parts.boot) {
            let Some(found) = link.host_arp else { continue };
            // Whoever changes it has its record in the book already.
            let _alone = self.vlans.enter(&link.master_ifindex, PATIENCE);
            let needs = |other: &Attachment| {
                other.key != attachment.key && other.links.iter().any(|theirs| same(theirs, link))
            };
            if self.book().attachments.values().any(|other| needs(other)) {
                continue;
            }
            if let Some(now) = self.host_arp(&link.master) {
                let ours =
                    |now: u32, found: u32, quiet: u32| if now == found.max(quiet) { found } else { now };
                let back = HostArp {
                    ignore: ours(now.ignore, found.ignore, QUIET.ignore),
                    announce: ours(now.announce, found.announce, QUIET.announce),
                };
                self.set_host_arp(&link.master, back);
            }
        }
    }

    /// Absent when there is no such master any more.
    fn host_arp(&self, master: &str) -> Option<HostArp> {
        let read = |setting| datapath::masters::setting(&self.home, "ipv4", master, setting);
        Some(HostArp { ignore: read("arp_ignore")?, announce: read("arp_announce")? })
    }

    fn set_host_arp(&self, master: &str, arp: HostArp) {
        for (setting, value) in [("arp_ignore", arp.ignore), ("arp_announce", arp.announce)] {
            if let Err(error) = datapath::masters::set_setting(&self.home, "ipv4", master, setting, value) {
                tracing::warn!(
                    master,
                    setting,
                    value,
                    error = words(&error),
                    "two NICs of this host share a subnet and may answer for one another; set it by hand"
                );
            }
        }
    }
}

fn same(one: &PodLink, other: &PodLink) -> bool {
    one.host_arp.is_some() && one.master_ifindex == other.master_ifindex && one.master == other.master
}

/// What the first attachment on the same master found.
fn first_found(book: &Book, link: &PodLink) -> Option<HostArp> {
    let others = book.attachments.values().flat_map(|other| &other.links);
    others
        .filter(|other| other.master_ifindex == link.master_ifindex && other.master == link.master)
        .find_map(|other| other.host_arp)
}

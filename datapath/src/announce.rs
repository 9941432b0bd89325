//! Tells the neighbours of a pod's addresses, and asks them beforehand whether somebody has one already.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink::{LinkAddress, PacketSocket};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::DatapathError;
use crate::frame::{self, ETH_P_ARP, ETH_P_IPV6, Frame};

/// After the answer it is said twice more, this long after the one before: a link of hardware has no carrier yet when
/// it is said first, and a frame may be lost. All is over within five seconds (TRAPS P4).
pub const REPEATS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];

/// How often a question is asked within its time.
const QUESTIONS: u32 = 3;

/// Says which addresses a pod's links have. It keeps the pod's namespace alive: drop it within five seconds, and
/// where nobody waits, as that takes a grace period of the kernel (some 16 ms).
#[derive(Debug)]
pub struct Announcer {
    mouth: PacketSocket,
    frames: Vec<(u32, Frame)>,
}

impl Announcer {
    /// `mouth` is a packet socket in the pod; `links` are index, link-layer address and addresses of each link.
    pub(crate) fn new(
        mouth: PacketSocket,
        links: impl IntoIterator<Item = (u32, [u8; 6], Vec<IpAddr>)>,
    ) -> Self {
        let frames = links.into_iter().flat_map(|(index, mac, addresses)| {
            let frames = addresses.into_iter().flat_map(move |address| frame::announcements(mac, address));
            frames.map(move |frame| (index, frame))
        });
        Self { mouth, frames: frames.collect() }
    }

    /// Says it once; what could not be sent, for the log: an attachment does not fail for it.
    pub fn say(&self) -> Vec<netlink::Error> {
        let send = |(link, frame): &(u32, Frame)| {
            self.mouth.send(*link, frame.protocol, &frame.destination, &frame.payload).err()
        };
        self.frames.iter().filter_map(send).collect()
    }
}

/// A link on whose wire neighbours are asked for addresses.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The link's name in the pod, for the error.
    pub(crate) name: String,
    /// Index of the link that is asked on, in the namespace of its sockets.
    pub(crate) index: u32,
    /// Link-layer address of that link.
    pub(crate) mac: [u8; 6],
    pub(crate) addresses: Vec<IpAddr>,
    /// How long answers are waited for.
    pub(crate) within: Duration,
    pub(crate) ears: Vec<PacketSocket>,
}

/// Opens what hears the answers about `addresses` on a link of the calling thread's namespace.
pub(crate) fn ears(index: u32, addresses: &[IpAddr]) -> Result<Vec<PacketSocket>, netlink::Error> {
    let mut ears = Vec::new();
    for (protocol, wanted) in
        [(ETH_P_ARP, IpAddr::is_ipv4 as fn(&IpAddr) -> bool), (ETH_P_IPV6, IpAddr::is_ipv6)]
    {
        if addresses.iter().any(wanted) {
            ears.push(PacketSocket::listen(index, protocol)?);
        }
    }
    Ok(ears)
}

/// Asks on all links at once, and waits for the longest of their times.
///
/// # Errors
/// When somebody has one of the addresses.
pub(crate) fn ask(links: &[Asked]) -> Result<(), DatapathError> {
    let start = Instant::now();
    let Some(longest) = links.iter().map(|link| link.within).max() else { return Ok(()) };
    for round in 0..QUESTIONS {
        for link in links {
            // Without carrier nothing goes out; then nobody answers, now or later.
            link.question();
        }
        let until = start + longest * (round + 1) / QUESTIONS;
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            wait(links, left);
            for link in links {
                link.listen()?;
            }
        }
    }
    Ok(())
}

fn wait(links: &[Asked], left: Duration) {
    let descriptors = links.iter().flat_map(|link| &link.ears).map(|ear| ear.as_fd());
    let mut ready: Vec<PollFd<'_>> =
        descriptors.map(|fd: BorrowedFd<'_>| PollFd::new(fd, PollFlags::POLLIN)).collect();
    // Rounded up, so that the last millisecond is not spent spinning.
    let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    // Interrupted or not: the caller looks at its clock.
    let _ = poll(&mut ready, timeout);
}

impl Asked {
    fn question(&self) {
        for address in &self.addresses {
            let frame = frame::question(self.mac, *address);
            if let Some(ear) = self.ears.first() {
                let _ = ear.send(self.index, frame.protocol, &frame.destination, &frame.payload);
            }
        }
    }

    fn listen(&self) -> Result<(), DatapathError> {
        for ear in &self.ears {
            // What cannot be received (the link went down) says nothing.
            while let Ok(Some(packet)) = ear.receive() {
                let Some(address) = frame::claimed(&packet) else { continue };
                if self.addresses.contains(&address) && packet.source != LinkAddress::new(self.mac) {
                    let (link, holder) = (self.name.clone(), packet.source);
                    return Err(DatapathError::AddressTaken { address, link, holder });
                }
            }
        }
        Ok(())
    }
}

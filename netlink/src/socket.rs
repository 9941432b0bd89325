//! The synchronous transport: batches, answers by sequence number, a bound on every wait.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_sys::SocketAddr;
use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_RDMA, NETLINK_ROUTE};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{setsockopt, sockopt};

use crate::error::{Error, libc_errno};
use crate::generic::FamilyInfo;
use crate::message::{
    Answers, Message, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    NLMSG_MIN_TYPE, Request, messages, verdict,
};
use crate::route::Change;

mod recording;

pub use recording::Recording;

const DEADLINE: Duration = Duration::from_secs(5);

/// A dump's datagrams are at most 32 KiB; one link with very many VFs exceeds that, but its
/// list of VFs is one attribute and so below 64 KiB.
const BUFFER: usize = 128 * 1024;

/// Answers wait in the socket while the kernel works through a send.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Requests in one send. Bounded so that their answers fit the smallest receive buffer that an
/// unprivileged process gets (212 KiB), at some 3 KiB of kernel memory an answer.
const BATCH: usize = 64;

/// Bytes in one send, far below the least send buffer.
const BATCH_BYTES: usize = 32 * 1024;

/// How often a dump is taken when the tables change under it.
const DUMP_ATTEMPTS: u32 = 8;

/// A netlink protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Links, addresses, routes (`NETLINK_ROUTE`).
    Route,
    /// Ethtool, devlink and other families by name (`NETLINK_GENERIC`).
    Generic,
    /// RDMA devices (`NETLINK_RDMA`); see [`rdma::open`](crate::rdma::open).
    Rdma,
}

impl Family {
    fn protocol(self) -> isize {
        match self {
            Self::Route => NETLINK_ROUTE,
            Self::Generic => NETLINK_GENERIC,
            Self::Rdma => NETLINK_RDMA,
        }
    }
}

/// A socket for requests and their answers.
///
/// It belongs to the network namespace it was opened in, for life. The kernel works through a
/// request inside the sending call, so the deadline bounds waits for answers, not the time that
/// a driver takes to give them.
#[derive(Debug)]
pub struct Socket {
    raw: Raw,
    deadline: Duration,
    sequence: u32,
    /// Answers of an abandoned exchange may still arrive.
    unsettled: bool,
    pub(crate) families: HashMap<String, FamilyInfo>,
    recording: Option<Recording>,
}

impl Socket {
    /// Opens a socket in the current network namespace.
    pub fn open(family: Family) -> Result<Self, Error> {
        let raw = Raw::open(family.protocol(), 0, RECEIVE_BUFFER)?;
        // Options that an old kernel lacks cost words in errors, not answers.
        for (option, result) in [
            ("NETLINK_EXT_ACK", raw.socket.set_ext_ack(true)),
            ("NETLINK_CAP_ACK", raw.socket.set_cap_ack(true)),
            ("NETLINK_GET_STRICT_CHK", raw.socket.set_netlink_get_strict_chk(true)),
        ] {
            match result {
                Err(error) if error.raw_os_error() != Some(libc::ENOPROTOOPT) => {
                    return Err(Error::io(format!("set socket option {option}"), error));
                }
                _ => {}
            }
        }
        Ok(Self {
            raw,
            deadline: DEADLINE,
            sequence: 0,
            unsettled: false,
            families: HashMap::new(),
            recording: None,
        })
    }

    /// Opens a socket in the namespace behind `netns`.
    ///
    /// A thread made for it enters the namespace and ends; the caller's thread stays where it
    /// is. Needs `CAP_SYS_ADMIN` over that namespace.
    pub fn open_in(netns: BorrowedFd<'_>, family: Family) -> Result<Self, Error> {
        in_namespace(netns, || Self::open(family))
    }

    /// How long a call waits for the kernel at most; 5 s unless set.
    ///
    /// The time runs anew with every datagram that arrives.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }

    /// Sends requests in as few sends as the kernel can answer, and returns the answers of each.
    pub(crate) fn batch(&mut self, requests: &[Request]) -> Vec<Result<Answers, Error>> {
        let mut results = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest
                .iter()
                .take(BATCH)
                .take_while(|request| {
                    bytes += request.body.len();
                    bytes <= BATCH_BYTES
                })
                .count()
                .max(1);
            let (now, later) = rest.split_at(fit);
            results.extend(self.exchange(now));
            rest = later;
        }
        results
    }

    /// Sends changes in as few sends as the kernel can answer, and returns the verdict on each, in order.
    ///
    /// A refused one does not stop those after it. An error that is not [`Error::Kernel`] means that nobody knows
    /// whether the change was made.
    pub fn apply(&mut self, changes: &[Change<'_>]) -> Vec<Result<(), Error>> {
        let requests: Vec<Request> = changes.iter().map(|change| change.request.clone()).collect();
        self.batch(&requests).into_iter().map(|result| result.map(|_| ())).collect()
    }

    /// Sends one change, and returns the verdict on it, as [`apply`](Self::apply) does of many.
    pub fn apply_one(&mut self, change: &Change<'_>) -> Result<(), Error> {
        self.ask(&change.request).map(|_| ())
    }

    /// Cookie of the namespace that the socket is in (`SO_NETNS_COOKIE`, Linux 5.14): unique while the machine
    /// runs, never reused.
    pub fn namespace_cookie(&self) -> Result<u64, Error> {
        crate::sys::namespace_cookie(self.as_fd())
            .map_err(|error| Error::io("read the cookie of a network namespace", error))
    }

    /// One request, its answers.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Answers, Error> {
        self.exchange(std::slice::from_ref(request))
            .pop()
            .unwrap_or_else(|| Err(Error::NoAnswer { operation: request.operation.clone() }))
    }

    fn exchange(&mut self, requests: &[Request]) -> Vec<Result<Answers, Error>> {
        self.settle();
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            request.emit(NLM_F_REQUEST | NLM_F_ACK, self.sequence, &mut datagram);
        }
        self.record(requests, &datagram);
        let mut answers: Vec<Answers> = vec![Vec::new(); requests.len()];
        let mut verdicts: Vec<Option<Result<(), Error>>> = requests.iter().map(|_| None).collect();
        let mut open = requests.len();

        let mut failure = self.raw.send(&datagram).err().map(Failure::Send);
        while open > 0 && failure.is_none() {
            if let Err(reason) = self.raw.receive(self.deadline) {
                failure = Some(reason);
                break;
            }
            for message in messages(&self.raw.buffer) {
                let position = message.sequence.wrapping_sub(first) as usize;
                let (Some(request), Some(answers), Some(state)) =
                    (requests.get(position), answers.get_mut(position), verdicts.get_mut(position))
                else {
                    continue; // of an exchange that was given up
                };
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE if state.is_none() => {
                        open -= 1;
                        *state = Some(refusal(&message, request));
                    }
                    NLMSG_MIN_TYPE.. => answers.push((message.kind, message.body.to_vec())),
                    _ => {}
                }
            }
        }

        self.unsettled = failure.is_some();
        requests
            .iter()
            .zip(answers)
            .zip(verdicts)
            .map(|((request, answers), verdict)| match (verdict, &failure) {
                (Some(verdict), _) => verdict.map(|()| answers),
                (None, Some(failure)) => Err(failure.of(&request.operation, self.deadline)),
                (None, None) => Err(Error::NoAnswer { operation: request.operation.clone() }),
            })
            .collect()
    }

    /// Takes a dump that no change tore, item by item: `each` sees a message's type and body.
    pub(crate) fn dump<T>(
        &mut self,
        request: &Request,
        mut each: impl FnMut(&mut Vec<T>, u16, &[u8]),
    ) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        for _ in 0..DUMP_ATTEMPTS {
            items.clear();
            match self.dump_once(request, &mut |kind, body| each(&mut items, kind, body)) {
                Ok(Dump::Whole) => return Ok(items),
                Ok(Dump::Torn) => {}
                Err(Failure::Truncated(_)) if self.raw.grow() => {}
                Err(Failure::Refused(error)) => return Err(error),
                Err(failure) => return Err(failure.of(&request.operation, self.deadline)),
            }
        }
        Err(Error::DumpInterrupted { operation: request.operation.clone(), attempts: DUMP_ATTEMPTS })
    }

    fn dump_once(&mut self, request: &Request, each: &mut dyn FnMut(u16, &[u8])) -> Result<Dump, Failure> {
        self.settle();
        self.sequence = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        request.emit(NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP, self.sequence, &mut datagram);
        // Set until the end is seen: whatever leaves this function early leaves a dump running.
        self.unsettled = true;
        self.raw.send(&datagram).map_err(Failure::Send)?;
        let mut dump = Dump::Whole;
        loop {
            self.raw.receive(self.deadline)?;
            for message in messages(&self.raw.buffer) {
                if message.sequence != self.sequence {
                    continue;
                }
                if message.flags & NLM_F_DUMP_INTR != 0 {
                    dump = Dump::Torn;
                }
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE => {
                        self.unsettled = false;
                        return refusal(&message, request).map(|()| dump).map_err(Failure::Refused);
                    }
                    NLMSG_MIN_TYPE.. => each(message.kind, message.body),
                    _ => {}
                }
            }
        }
    }

    /// Reads what an abandoned exchange left, which also lets an abandoned dump run to its end:
    /// until then the kernel refuses another one.
    fn settle(&mut self) {
        let end = Instant::now() + self.deadline;
        while self.unsettled && Instant::now() < end {
            match self.raw.receive_now() {
                Ok(true) | Err(Failure::Overrun | Failure::Truncated(_)) => {}
                Ok(false) | Err(_) => self.unsettled = false,
            }
        }
    }
}

enum Dump {
    Whole,
    Torn,
}

fn refusal(message: &Message<'_>, request: &Request) -> Result<(), Error> {
    verdict(message, &request.body)
        .map_err(|source| Error::Kernel { operation: request.operation.clone(), source })
}

/// Runs `open` on a thread of its own inside `netns`. The thread ends whatever happens, so no
/// thread that lives on can be left in a foreign namespace.
pub(crate) fn in_namespace<T: Send>(
    netns: BorrowedFd<'_>,
    open: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let operation = "open a socket in another network namespace";
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("netlink-open-in".to_owned())
            .spawn_scoped(scope, move || {
                setns(netns, CloneFlags::CLONE_NEWNET)
                    .map_err(|errno| Error::io("enter another network namespace", errno.into()))?;
                open()
            })
            .map_err(|error| Error::io(operation, error))?
            .join()
            .map_err(|_| Error::io(operation, io::Error::other("the thread panicked")))?
    })
}

/// Why an exchange ended without all its answers.
#[derive(Debug)]
pub(crate) enum Failure {
    Send(io::Error),
    Receive(io::Error),
    Deadline,
    Overrun,
    Truncated(usize),
    Refused(Error),
}

impl Failure {
    pub(crate) fn of(&self, operation: &str, after: Duration) -> Error {
        let operation = operation.to_owned();
        let again = |error: &io::Error| match error.raw_os_error() {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => error.kind().into(),
        };
        match self {
            Self::Send(error) => Error::io(format!("{operation}: send"), again(error)),
            Self::Receive(error) => Error::io(format!("{operation}: receive"), again(error)),
            Self::Deadline => Error::Deadline { operation, after },
            Self::Overrun => Error::Overrun { operation },
            Self::Truncated(length) => Error::Truncated { operation, length: *length },
            Self::Refused(_) => Error::NoAnswer { operation },
        }
    }
}

/// A bound socket and the last datagram it received.
pub(crate) struct Raw {
    pub(crate) socket: netlink_sys::Socket,
    pub(crate) buffer: Vec<u8>,
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Raw").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Raw {
    pub(crate) fn open(protocol: isize, groups: u32, receive_buffer: usize) -> Result<Self, Error> {
        let mut socket =
            netlink_sys::Socket::new(protocol).map_err(|error| Error::io("open a netlink socket", error))?;
        // Beyond the system's limit only with CAP_NET_ADMIN; without it, what the limit allows.
        if setsockopt(&socket, sockopt::RcvBufForce, &receive_buffer).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &receive_buffer)
                .map_err(|errno| Error::io("set the receive buffer", errno.into()))?;
        }
        socket
            .bind(&SocketAddr::new(0, groups))
            .map_err(|error| Error::io("bind a netlink socket", error))?;
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER) })
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        loop {
            match self.socket.send_to(datagram, &SocketAddr::new(0, 0), 0) {
                Ok(sent) if sent == datagram.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the kernel's next datagram, at most `deadline`.
    fn receive(&mut self, deadline: Duration) -> Result<(), Failure> {
        let end = Instant::now() + deadline;
        loop {
            if self.receive_now()? {
                return Ok(());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Deadline);
            }
            // Rounded up: a wait of under a millisecond must not become a spin.
            let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
            let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match nix::poll::poll(&mut ready, left) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(Failure::Receive(errno.into())),
            }
        }
    }

    /// Takes the kernel's next datagram if there is one. What others sent is dropped: anybody
    /// may send to a netlink socket whose number he knows.
    pub(crate) fn receive_now(&mut self) -> Result<bool, Failure> {
        loop {
            self.buffer.clear();
            match self.socket.recv_from(&mut self.buffer, libc::MSG_DONTWAIT | libc::MSG_TRUNC) {
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok((length, _)) if length > self.buffer.len() => return Err(Failure::Truncated(length)),
                Ok(_) => return Ok(true),
                Err(error) => match error.raw_os_error() {
                    Some(libc_errno::EAGAIN) => return Ok(false),
                    Some(libc_errno::EINTR) => {}
                    Some(libc_errno::ENOBUFS) => return Err(Failure::Overrun),
                    _ => return Err(Failure::Receive(error)),
                },
            }
        }
    }

    /// Doubles the buffer, up to 4 MiB; says whether it did.
    fn grow(&mut self) -> bool {
        let capacity = self.buffer.capacity();
        if capacity >= 4 * 1024 * 1024 {
            return false;
        }
        self.buffer = Vec::with_capacity(capacity * 2);
        true
    }
}

#[cfg(test)]
mod tests;

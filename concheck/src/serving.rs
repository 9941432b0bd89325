//! A pod of a run: it listens, counts what it receives, and measures others when the driver says so.

use std::collections::VecDeque;
use std::io::{self, BufReader, Read};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal};
use socket2::{Domain, Protocol, Socket, Type};

use crate::counters::{Counters, counters, interface_of};
use crate::measurement::measure;
use crate::output;
use crate::protocol::{
    Ask, DATAGRAM_NONCE, Greeting, Question, Received, Reply, Token, random, read_line, write_line,
};

/// Connections at a time; a measurement needs one and as many as it has streams on the other side.
const CONNECTIONS: usize = 256;

/// How long somebody may take to say what they want.
const MANNERS: Duration = Duration::from_secs(10);

/// How long a stream may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Longest stream.
const LONGEST: Duration = Duration::from_secs(400);

/// Datagrams that are remembered.
const REMEMBERED: usize = 4096;

/// What the threads of a listener share.
struct Listener {
    token: Token,
    busy: AtomicUsize,
    seen: Mutex<VecDeque<String>>,
}

/// Listens until SIGTERM or SIGINT: the first process of a container has no other way to notice them.
///
/// # Errors
/// When the port is taken.
pub(crate) fn serve(port: u16, token: Token) -> anyhow::Result<()> {
    let mut ends = SigSet::empty();
    ends.add(Signal::SIGTERM);
    ends.add(Signal::SIGINT);
    ends.thread_block()?;
    let streams = listen(port).with_context(|| format!("listen on TCP port {port}"))?;
    let datagrams = datagrams(port).with_context(|| format!("listen on UDP port {port}"))?;
    let listener = Arc::new(Listener { token, busy: AtomicUsize::new(0), seen: Mutex::default() });
    let theirs = Arc::clone(&listener);
    thread::spawn(move || theirs.notes(&datagrams));
    thread::spawn(move || listener.accepts(&streams));
    output::progress(&format!("multi-nic-concheck listens on port {port}"));
    ends.wait()?;
    Ok(())
}

/// Both families where the machine has IPv6, else IPv4.
fn socket(port: u16, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let v6 = Socket::new(Domain::IPV6, kind, Some(protocol)).and_then(|socket| {
        socket.set_only_v6(false)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
        Ok(socket)
    });
    v6.or_else(|error| {
        if error.kind() == io::ErrorKind::AddrInUse {
            return Err(error);
        }
        let socket = Socket::new(Domain::IPV4, kind, Some(protocol))?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from(([0, 0, 0, 0], port)).into())?;
        Ok(socket)
    })
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = socket(port, Type::STREAM, Protocol::TCP)?;
    socket.listen(256)?;
    Ok(socket.into())
}

fn datagrams(port: u16) -> io::Result<UdpSocket> {
    // Two sockets with SO_REUSEADDR share a UDP port without a word; TCP's listener has already found a rival.
    Ok(socket(port, Type::DGRAM, Protocol::UDP)?.into())
}

impl Listener {
    fn accepts(self: Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Out of descriptors: others have to end first.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let own = Arc::clone(&self);
            thread::spawn(move || {
                let busy = own.busy.fetch_add(1, Ordering::SeqCst);
                let _ = own.converse(stream, busy >= CONNECTIONS);
                own.busy.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }

    fn converse(&self, mut stream: TcpStream, full: bool) -> io::Result<()> {
        stream.set_read_timeout(Some(MANNERS))?;
        stream.set_write_timeout(Some(MANNERS))?;
        stream.set_nodelay(true)?;
        if full {
            return write_line(&mut stream, &Reply::Busy);
        }
        let nonce = random(16)?;
        write_line(&mut stream, &Greeting { nonce: nonce.clone() })?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let question: Question = read_line(&mut reader)?;
        // Whoever does not know the token learns nothing, not even that it was wrong.
        let Some(ask) = question.open(&self.token, &nonce) else { return Ok(()) };
        let reply = match ask {
            Ask::Alive => Reply::Alive,
            Ask::Receive => {
                stream.set_read_timeout(Some(SILENCE))?;
                Reply::Received(receive(&mut stream, &mut reader)?)
            }
            Ask::Measure(order) => Reply::Measured { outcome: Box::new(measure(&self.token, &order)) },
            Ask::Seen { id } => Reply::Seen { seen: self.seen().contains(&id) },
            Ask::Probe { .. } => return Ok(()),
        };
        write_line(&mut stream, &reply)
    }

    fn notes(&self, socket: &UdpSocket) {
        let mut datagram = [0; 1024];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
            let Some(bytes) = datagram.get(..length) else { continue };
            let Ok(question) = serde_json::from_slice::<Question>(bytes) else { continue };
            let Some(Ask::Probe { id }) = question.open(&self.token, DATAGRAM_NONCE) else { continue };
            let mut seen = self.seen();
            if seen.len() == REMEMBERED {
                seen.pop_front();
            }
            seen.push_back(id);
            drop(seen);
            let _ = socket.send_to(bytes, from);
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes everything until the sender says that it was all.
fn receive(stream: &mut TcpStream, reader: &mut BufReader<TcpStream>) -> io::Result<Received> {
    let interface = interface_of(stream.local_addr()?.ip().to_canonical());
    let counter = || interface.as_deref().and_then(counters).map(|Counters { received, .. }| received);
    let counter_before = counter();
    write_line(stream, &Reply::Ready)?;
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = 0;
    let mut begun: Option<Instant> = None;
    loop {
        let length = reader.read(&mut buffer)?;
        let since = begun.get_or_insert_with(Instant::now).elapsed();
        if length == 0 {
            let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
            return Ok(Received {
                bytes,
                micros,
                counter_before,
                counter_after: counter(),
                interface: interface.clone(),
            });
        }
        if since > LONGEST {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the stream has no end"));
        }
        bytes += length as u64;
    }
}

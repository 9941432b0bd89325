//! One measurement: from an interface of this pod to an address of another.

use std::io::{self, BufReader, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::counters::{Counters, counters, interface_of};
use crate::protocol::{
    Ask, DATAGRAM_NONCE, Greeting, Order, Question, Received, Reply, Token, random, read_line, write_line,
};
use crate::socket::Exit;

/// What a path must carry before it is measured, bytes: many segments of full size.
const LARGE: usize = 64 * 1024;

/// What is written at once, bytes.
const CHUNK: usize = 256 * 1024;

/// Datagrams that are sent where no connection comes about.
const DATAGRAMS: u32 = 3;

/// What became of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// Connected and measured.
    Connected(Measured),
    /// Not connected.
    Failed(Failure),
}

/// What was measured. The receiver's count is the truth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    /// Bits a second that arrived, of all streams together.
    pub(crate) bits_per_second: f64,
    /// Bytes that arrived.
    pub(crate) bytes: u64,
    /// Seconds of the longest stream, by the receiver's clock.
    pub(crate) seconds: f64,
    /// Largest segment, bytes.
    pub(crate) segment: Option<u32>,
    /// Interface that sent.
    pub(crate) interface: Option<String>,
    /// Bytes that it sent in that time, headers and all.
    pub(crate) sent: Option<u64>,
    /// Interface that received.
    pub(crate) peer_interface: Option<String>,
    /// Bytes that it received in that time, headers and all.
    pub(crate) received: Option<u64>,
    /// Whether the sockets were bound to the interface itself, and not to its address alone.
    pub(crate) bound_to_device: bool,
    /// What is odd about it, though it is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
}

/// Why it is not connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    /// One word.
    pub(crate) reason: Reason,
    /// For people.
    pub(crate) sentence: String,
    /// Name of the datagrams that were sent besides, whose arrival the other side can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) probe: Option<String>,
    /// Whether one of them was answered.
    #[serde(default)]
    pub(crate) answered: bool,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Reason {
    /// No interface of the pod has the source address.
    NoSource,
    /// No route leads there.
    NoRoute,
    /// A router or the kernel said that the host is not there.
    Unreachable,
    /// The host said that nobody listens.
    Refused,
    /// Nothing came back.
    TimedOut,
    /// Small packets get through, large ones do not.
    LargeStalled,
    /// It was connected, and then nothing moved, or the connection broke.
    Broken,
    /// A pod is not there.
    NoPod,
    /// The pod has no address or no interface for it.
    NoInterface,
    /// The pod cannot be told to measure.
    NoControl,
    /// It was not this pair's turn before the end.
    NotMeasured,
}

impl Failure {
    /// With neither datagrams nor anything else.
    pub(crate) fn new(reason: Reason, sentence: String) -> Self {
        Self { reason, sentence, probe: None, answered: false }
    }
}

/// Measures; takes `seconds` and a few times `patience_ms` at most.
pub(crate) fn measure(token: &Token, order: &Order) -> Outcome {
    if let Some(problem) = order.problem() {
        return Outcome::Failed(Failure::new(Reason::Broken, format!("the order is wrong: {problem}")));
    }
    match path(order).and_then(|path| path.try_large(token).and_then(|()| path.measure(token))) {
        Ok(measured) => Outcome::Connected(measured),
        Err(failure) => Outcome::Failed(probed(token, order, *failure)),
    }
}

/// From here to there.
struct Path<'a> {
    exit: Exit,
    order: &'a Order,
    patience: Duration,
}

fn path(order: &Order) -> Result<Path<'_>, Box<Failure>> {
    let Some(interface) = interface_of(order.source) else {
        let sentence = format!("no interface of the pod has the address {}", order.source);
        return Err(Box::new(Failure::new(Reason::NoSource, sentence)));
    };
    let exit = Exit { address: order.source, interface };
    Ok(Path { exit, order, patience: Duration::from_millis(order.patience_ms.into()) })
}

impl Path<'_> {
    /// Whether a route leads there, somebody of this run listens there, and packets of full size get through.
    fn try_large(&self, token: &Token) -> Result<(), Box<Failure>> {
        self.exit.route(self.order.peer).map_err(|error| self.failure(&error))?;
        let (stream, _) = self.connect().map_err(|error| self.failure(&error))?;
        let mut stream = Stream::open(stream, token, &Ask::Receive).map_err(|error| self.failure(&error))?;
        let segment = stream.segment();
        let large = stream.send(&vec![0; LARGE]).and_then(|()| stream.finish());
        match large {
            Ok(received) if received.bytes == LARGE as u64 => Ok(()),
            Ok(received) => {
                let sentence = format!("of {LARGE} bytes {} arrived", received.bytes);
                Err(Box::new(Failure::new(Reason::Broken, sentence)))
            }
            Err(error) if timed_out(&error) => {
                let size = segment.map_or_else(String::new, |segment| format!(" of {segment} bytes"));
                let sentence = format!(
                    "connected, but segments{size} from {} do not get through, small ones do: the MTU of {} is larger than \
                     that of the path (a switch, or the other host's NIC)",
                    self.exit.address, self.exit.interface,
                );
                Err(Box::new(Failure::new(Reason::LargeStalled, sentence)))
            }
            Err(error) => Err(self.failure(&error)),
        }
    }

    fn measure(&self, token: &Token) -> Result<Measured, Box<Failure>> {
        let streams = (0..self.order.streams).map(|_| {
            let (stream, to_device) = self.connect()?;
            Ok((Stream::open(stream, token, &Ask::Receive)?, to_device))
        });
        let streams: io::Result<Vec<(Stream, bool)>> = streams.collect();
        let streams = streams.map_err(|error| self.failure(&error))?;
        let segment = streams.first().and_then(|(stream, _)| stream.segment());
        let bound_to_device = streams.iter().all(|(_, to_device)| *to_device);
        let before = counters(&self.exit.interface);
        let together = Barrier::new(streams.len());
        let received: Vec<io::Result<Received>> = thread::scope(|scope| {
            let running: Vec<_> = streams
                .into_iter()
                .map(|(stream, _)| scope.spawn(|| stream.fill(&together, self.order.seconds.into())))
                .collect();
            let ended = running.into_iter().map(|thread| thread.join());
            ended.map(|end| end.unwrap_or_else(|_| Err(io::Error::other("a stream's thread died")))).collect()
        });
        let after = counters(&self.exit.interface);
        let received: io::Result<Vec<Received>> = received.into_iter().collect();
        let received = received.map_err(|error| {
            let said =
                if timed_out(&error) { "nothing moved any more".to_owned() } else { error.to_string() };
            Box::new(Failure::new(
                Reason::Broken,
                format!("the connection broke while it was measured: {said}"),
            ))
        })?;
        let sent = before.zip(after).map(|(before, after)| delta(before, after, |counters| counters.sent));
        Ok(Measured { sent, segment, bound_to_device, ..sum(&received) }.from(&self.exit))
    }

    fn connect(&self) -> io::Result<(TcpStream, bool)> {
        self.exit.connect(self.order.peer, self.patience)
    }

    fn failure(&self, error: &io::Error) -> Box<Failure> {
        let Exit { address, interface } = &self.exit;
        let peer = self.order.peer.ip();
        let port = self.order.peer.port();
        let (reason, sentence) = match error.kind() {
            ErrorKind::NetworkUnreachable => {
                (Reason::NoRoute, format!("no route from {address} by {interface} to {peer}"))
            }
            ErrorKind::HostUnreachable => (
                Reason::Unreachable,
                format!(
                    "nobody answers for {peer} on the wire of {interface}, or no route leads there by it"
                ),
            ),
            ErrorKind::ConnectionRefused => {
                (Reason::Refused, format!("refused: {peer} is there and nothing listens on its port {port}"))
            }
            _ if timed_out(error) => (Reason::TimedOut, format!("no answer from {peer} to {address}")),
            ErrorKind::UnexpectedEof => (
                Reason::Broken,
                format!("whoever listens at {peer} port {port} hung up: it is no pod of this run"),
            ),
            _ => (Reason::Broken, format!("from {address} to {peer}: {error}")),
        };
        Box::new(Failure::new(reason, sentence))
    }
}

fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

fn delta(before: Counters, after: Counters, which: impl Fn(Counters) -> u64) -> u64 {
    which(after).saturating_sub(which(before))
}

impl Measured {
    /// Names the interface, and says when the bytes did not leave by it.
    fn from(mut self, exit: &Exit) -> Self {
        // Half: counters of some VFs lag behind.
        if let Some(sent) = self.sent.filter(|sent| *sent < self.bytes / 2) {
            self.warning = Some(format!(
                "{} counted {sent} of {} bytes: the traffic took another way, or the counter lags",
                exit.interface, self.bytes
            ));
        }
        self.interface = Some(exit.interface.clone());
        self
    }
}

/// All streams together, by what the receiver says.
fn sum(streams: &[Received]) -> Measured {
    let bytes: u64 = streams.iter().map(|stream| stream.bytes).sum();
    let micros = streams.iter().map(|stream| stream.micros).max().unwrap_or(0);
    let before = streams.iter().filter_map(|stream| stream.counter_before).min();
    let after = streams.iter().filter_map(|stream| stream.counter_after).max();
    Measured {
        bits_per_second: if micros == 0 { 0.0 } else { bytes as f64 * 8e6 / micros as f64 },
        bytes,
        seconds: micros as f64 / 1e6,
        peer_interface: streams.iter().find_map(|stream| stream.interface.clone()),
        received: before.zip(after).map(|(before, after)| after.saturating_sub(before)),
        ..Measured::default()
    }
}

/// One connection whose other side counts.
struct Stream {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Stream {
    fn open(mut stream: TcpStream, token: &Token, ask: &Ask) -> io::Result<Self> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let Greeting { nonce } = read_line(&mut reader)?;
        write_line(&mut stream, &Question::new(token, &nonce, ask)?)?;
        match read_line(&mut reader)? {
            Reply::Ready => Ok(Self { stream, reader }),
            other => Err(io::Error::other(format!("it answers {other:?}"))),
        }
    }

    fn segment(&self) -> Option<u32> {
        nix::sys::socket::getsockopt(&self.stream, nix::sys::socket::sockopt::TcpMaxSeg).ok()
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Says that it was all, and waits for what was received.
    fn finish(&mut self) -> io::Result<Received> {
        self.stream.shutdown(Shutdown::Write)?;
        match read_line(&mut self.reader)? {
            Reply::Received(received) => Ok(received),
            other => Err(io::Error::other(format!("it answers {other:?}"))),
        }
    }

    /// Sends for so many seconds.
    fn fill(mut self, together: &Barrier, seconds: u64) -> io::Result<Received> {
        let bytes = vec![0; CHUNK];
        together.wait();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(seconds) {
            self.send(&bytes)?;
        }
        // What lies in the buffers has to arrive as well.
        self.stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        self.finish()
    }
}

/// Where nothing came back, datagrams tell later which direction is at fault.
fn probed(token: &Token, order: &Order, failure: Failure) -> Failure {
    if failure.reason != Reason::TimedOut {
        return failure;
    }
    match path(order).map_err(|_| io::Error::other("no path")).and_then(|path| path.probe(token)) {
        Ok((probe, answered)) => Failure { probe: Some(probe), answered, ..failure },
        Err(_) => failure,
    }
}

impl Path<'_> {
    fn probe(&self, token: &Token) -> io::Result<(String, bool)> {
        let id = random(8)?;
        let question = Question::new(token, DATAGRAM_NONCE, &Ask::Probe { id: id.clone() })?;
        let datagram = serde_json::to_vec(&question)?;
        let socket = self.exit.datagrams(self.order.peer)?;
        socket.set_read_timeout(Some(self.patience / DATAGRAMS))?;
        let mut buffer = [0; 1024];
        for _ in 0..DATAGRAMS {
            // An error of an earlier one is told by the next call.
            let _ = socket.send(&datagram);
            if socket.recv(&mut buffer).is_ok_and(|length| buffer.get(..length) == Some(&datagram[..])) {
                return Ok((id, true));
            }
        }
        Ok((id, false))
    }
}

/// What a failure without an answer means, once the other side has told whether datagrams came.
pub(crate) fn directions(from: &str, to: &str, answered: bool, seen: bool) -> String {
    match (answered, seen) {
        (true, _) => format!(
            "datagrams pass in both directions, TCP does not: a firewall or a policy between {from} and {to} drops connections"
        ),
        (false, true) => format!("packets of {from} arrive at {to}, its answers do not come back"),
        (false, false) => format!("nothing of {from} arrives at {to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_add_up_and_the_longest_one_counts() {
        let stream = |bytes, micros, before, after| Received {
            bytes,
            micros,
            interface: Some("net1-0".to_owned()),
            counter_before: Some(before),
            counter_after: Some(after),
        };

        let measured =
            sum(&[stream(1_000_000, 1_000_000, 10, 3_000_010), stream(2_000_000, 2_000_000, 5, 2_900_000)]);

        assert_eq!(measured.bytes, 3_000_000);
        assert_eq!(measured.bits_per_second, 12_000_000.0);
        assert_eq!(measured.received, Some(3_000_005));
    }

    #[test]
    fn no_time_is_no_speed() {
        assert_eq!(sum(&[]).bits_per_second, 0.0);
    }

    #[test]
    fn bytes_that_another_interface_sent_are_told() {
        let exit = Exit { address: [10, 0, 0, 1].into(), interface: "net1-0".to_owned() };
        let of = |sent| Measured { bytes: 1000, sent: Some(sent), ..Measured::default() }.from(&exit).warning;

        assert_eq!(of(1040), None);
        assert!(of(3).unwrap().contains("net1-0 counted 3 of 1000 bytes"));
    }
}

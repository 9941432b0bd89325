//! What the driver and the pods of a run say to each other: lines of JSON over TCP, and one kind of datagram.
//!
//! ```text
//! listener: {"nonce": "…"}     asker: {"proof": "…", "ask": "…"}     listener: a Reply
//! ```
//! The proof is HMAC-SHA256 of nonce and question with the run's token, which never goes over a wire: an open port measures
//! for nobody else, and what was overheard cannot be used again.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::net::{IpAddr, SocketAddr};

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::measurement::Outcome;

/// Where a pod of a run listens, TCP and UDP, unless it is told otherwise.
pub(crate) const PORT: u16 = 5301;

/// Longest line, bytes.
const LINE: u64 = 16 * 1024;

/// Environment variable of the token, in each pod of a run.
pub(crate) const TOKEN: &str = "CONCHECK_TOKEN";

/// What the sides of a run know and nobody else.
#[derive(Clone)]
pub(crate) struct Token(hmac::Key);

impl Token {
    /// Of the text that both sides were given: at least 16 characters.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.len() < 16 {
            return Err(format!(
                "{TOKEN} has {} characters: give both sides the same 16 or more",
                text.len()
            ));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())))
    }

    fn sign(&self, nonce: &str, ask: &str) -> String {
        hex(hmac::sign(&self.0, format!("{nonce} {ask}").as_bytes()).as_ref())
    }

    fn knows(&self, nonce: &str, ask: &str, proof: &str) -> bool {
        unhex(proof)
            .is_some_and(|proof| hmac::verify(&self.0, format!("{nonce} {ask}").as_bytes(), &proof).is_ok())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// So many random bytes in hexadecimal digits.
///
/// # Errors
/// When the kernel gives none.
pub(crate) fn random(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| io::Error::other("the kernel gives no random bytes"))?;
    Ok(hex(&random))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect()
}

/// First line of a listener.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// Never twice the same.
    pub(crate) nonce: String,
}

/// First line of who asks, and the whole of a datagram.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    proof: String,
    ask: String,
}

impl Question {
    pub(crate) fn new(token: &Token, nonce: &str, ask: &Ask) -> serde_json::Result<Self> {
        let ask = serde_json::to_string(ask)?;
        Ok(Self { proof: token.sign(nonce, &ask), ask })
    }

    /// What is asked; absent when it was asked by somebody who does not know the token.
    pub(crate) fn open(&self, token: &Token, nonce: &str) -> Option<Ask> {
        token.knows(nonce, &self.ask, &self.proof).then(|| serde_json::from_str(&self.ask).ok()).flatten()
    }
}

/// What can be asked of a pod of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum Ask {
    /// Are you there?
    Alive,
    /// Count what I send until I say that it was all.
    Receive,
    /// Measure that one.
    Measure(Order),
    /// A datagram: note that you saw it.
    Probe {
        /// Its name.
        id: String,
    },
    /// Did you see that datagram?
    Seen {
        /// Its name.
        id: String,
    },
}

/// What a listener answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub(crate) enum Reply {
    /// Here.
    Alive,
    /// Send now.
    Ready,
    /// All of it came.
    Received(Received),
    /// The measurement is over.
    Measured {
        /// What became of it.
        outcome: Box<Outcome>,
    },
    /// Whether the datagram was seen.
    Seen {
        /// It was.
        seen: bool,
    },
    /// Not now.
    Busy,
}

/// What a listener received on one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Received {
    /// Bytes.
    pub(crate) bytes: u64,
    /// Microseconds from the first byte to the end.
    pub(crate) micros: u64,
    /// Interface that has the address which was connected to.
    pub(crate) interface: Option<String>,
    /// Bytes that the interface had received before the first byte.
    pub(crate) counter_before: Option<u64>,
    /// Bytes that it had received after the last one.
    pub(crate) counter_after: Option<u64>,
}

/// A measurement that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    /// Whom to measure.
    pub(crate) peer: SocketAddr,
    /// Address of this pod's interface that the packets leave by.
    pub(crate) source: IpAddr,
    /// TCP streams at once, 1 to 64.
    pub(crate) streams: u8,
    /// How long data is sent, seconds, 1 to 300.
    pub(crate) seconds: u16,
    /// How long a connection and each answer may take, milliseconds, 100 to 60,000.
    pub(crate) patience_ms: u32,
}

impl Order {
    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<String> {
        let bad = |name: &str, range: &str| Some(format!("{name} must be {range}"));
        match self {
            order if !(1..=64).contains(&order.streams) => bad("streams", "1 to 64"),
            order if !(1..=300).contains(&order.seconds) => bad("seconds", "1 to 300"),
            order if !(100..=60_000).contains(&order.patience_ms) => bad("patience", "100 to 60000 ms"),
            order if order.peer.is_ipv4() != order.source.is_ipv4() => {
                bad("source", "of the family of the address that is measured")
            }
            _ => None,
        }
    }
}

/// Nonce of datagrams: they are answered with nothing that is worth a replay.
pub(crate) const DATAGRAM_NONCE: &str = "datagram";

/// Writes one line.
///
/// # Errors
/// When the other side is gone, or does not read in time.
pub(crate) fn write_line(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// Reads one line.
///
/// # Errors
/// When it ends before, is too long, comes too late, or is not what was expected.
pub(crate) fn read_line<T: for<'de> Deserialize<'de>>(stream: &mut impl BufRead) -> io::Result<T> {
    let mut line = Vec::new();
    stream.take(LINE).read_until(b'\n', &mut line)?;
    parse_line(&line)
}

/// A line that was read.
///
/// # Errors
/// When it is not whole, or not what was expected.
pub(crate) fn parse_line<T: for<'de> Deserialize<'de>>(line: &[u8]) -> io::Result<T> {
    if line.last() != Some(&b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the connection was closed in mid-sentence",
        ));
    }
    Ok(serde_json::from_slice(line)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::measurement::{Failure, Measured, Reason};

    fn token(text: &str) -> Token {
        Token::new(text).unwrap()
    }

    #[test]
    fn a_question_is_opened_by_who_knows_the_token_and_with_its_own_nonce_only() {
        let ours = token("0123456789abcdef");
        let question = Question::new(&ours, "n1", &Ask::Alive).unwrap();

        assert_eq!(question.open(&ours, "n1"), Some(Ask::Alive));
        assert_eq!(question.open(&ours, "n2"), None);
        assert_eq!(question.open(&token("0123456789abcdeF"), "n1"), None);
    }

    #[test]
    fn a_changed_question_is_not_opened() {
        let ours = token("0123456789abcdef");
        let mut question = Question::new(&ours, "n1", &Ask::Seen { id: "a".to_owned() }).unwrap();
        question.ask = question.ask.replace("\"a\"", "\"b\"");

        assert_eq!(question.open(&ours, "n1"), None);
    }

    #[test]
    fn a_short_token_is_refused_with_the_fix() {
        assert!(Token::new("short").unwrap_err().contains("16 or more"));
    }

    #[test]
    fn a_line_without_an_end_is_no_line() {
        assert!(read_line::<Reply>(&mut &b"{\"kind\":\"alive\"}"[..]).is_err());
        assert_eq!(read_line::<Reply>(&mut &b"{\"kind\":\"alive\"}\n"[..]).unwrap(), Reply::Alive);
        let long = vec![b' '; 1 << 20];
        assert!(read_line::<Reply>(&mut &long[..]).is_err());
    }

    #[test]
    fn every_answer_is_read_as_it_was_written() {
        let failure = Failure::new(Reason::Refused, "refused".to_owned());
        let outcomes = [Outcome::Connected(Measured::default()), Outcome::Failed(failure)];
        let measured = outcomes.map(|outcome| Reply::Measured { outcome: Box::new(outcome) });
        let others =
            [Reply::Alive, Reply::Ready, Reply::Received(Received::default()), Reply::Seen { seen: true }];

        for reply in measured.into_iter().chain(others) {
            let mut line = Vec::new();
            write_line(&mut line, &reply).unwrap();
            assert_eq!(read_line::<Reply>(&mut &line[..]).unwrap(), reply);
        }
    }

    #[test]
    fn orders_out_of_range_are_named() {
        let order = |streams, seconds, source: &str| Order {
            peer: "10.0.0.1:5301".parse().unwrap(),
            source: source.parse().unwrap(),
            streams,
            seconds,
            patience_ms: 1000,
        };

        assert_eq!(order(1, 1, "10.0.0.2").problem(), None);
        assert!(order(0, 1, "10.0.0.2").problem().unwrap().contains("streams"));
        assert!(order(1, 301, "10.0.0.2").problem().unwrap().contains("seconds"));
        assert!(order(1, 1, "fd00::2").problem().unwrap().contains("family"));
    }

    proptest! {
        #[test]
        fn no_bytes_of_strangers_make_it_panic(bytes: Vec<u8>, proof: String, ask: String) {
            let _ = read_line::<Question>(&mut &bytes[..]);
            prop_assert_eq!(Question { proof, ask }.open(&token("0123456789abcdef"), "n"), None);
        }
    }
}

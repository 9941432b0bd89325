//! A connection of the kubelet whose `:authority` is made acceptable.
//!
//! grpc-go, which the kubelet uses, sends the path of a Unix socket as `:authority` (percent-encoded in newer versions).
//! That is no authority (RFC 3986 §3.2), and `h2` ends each such request with PROTOCOL_ERROR, without a switch to turn
//! that off. Nobody reads the value, so its `/` and `%` become `-` on their way in. All three are six bits in HPACK's
//! Huffman code (RFC 7541, appendix B), so neither a length nor the header table of either side changes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

/// What a client sends first (RFC 9113 §3.4).
const PREFACE: usize = 24;

/// Length of a frame's head (RFC 9113 §4.1).
const HEAD: usize = 9;

/// Largest frame that is looked into; we allow clients 16 KiB, which is the default.
const LARGEST: usize = 64 * 1024;

/// The connection.
#[derive(Debug)]
pub(crate) struct Mended {
    stream: UnixStream,
    mender: Mender,
}

/// What came in and what of it may be read.
#[derive(Debug, Default)]
struct Mender {
    /// Came in and is not whole yet.
    waiting: Vec<u8>,
    /// May be read, from `read` on.
    whole: Vec<u8>,
    read: usize,
    greeted: bool,
    /// Something is unlike HTTP/2: the other side shall judge, of what came as it came.
    foreign: bool,
}

impl Mended {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, mender: Mender::default() }
    }
}

impl Connected for Mended {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Mended {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let ready = this.mender.whole.get(this.mender.read..).unwrap_or_default();
            if !ready.is_empty() {
                let count = ready.len().min(out.remaining());
                out.put_slice(ready.get(..count).unwrap_or_default());
                this.mender.read += count;
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; 4096];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.mender.take(buffer.filled());
        }
    }
}

impl AsyncWrite for Mended {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Mender {
    /// Takes in what came; all whole frames may be read then.
    fn take(&mut self, bytes: &[u8]) {
        self.whole.clear();
        self.read = 0;
        self.waiting.extend_from_slice(bytes);
        while let Some(length) = self.next() {
            let rest = self.waiting.split_off(length);
            let mut frame = std::mem::replace(&mut self.waiting, rest);
            if self.greeted && !self.foreign {
                mend_frame(&mut frame);
            }
            self.greeted = true;
            self.whole.append(&mut frame);
        }
    }

    /// Length of what is whole at the beginning of what waits.
    fn next(&mut self) -> Option<usize> {
        let there = self.waiting.len();
        if self.foreign {
            return (there > 0).then_some(there);
        }
        if !self.greeted {
            self.foreign = there >= 3 && !self.waiting.starts_with(b"PRI");
            return if self.foreign { Some(there) } else { (there >= PREFACE).then_some(PREFACE) };
        }
        let [a, b, c] = *self.waiting.first_chunk::<3>()?;
        let length = HEAD + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c));
        if length > LARGEST {
            self.foreign = true;
            return Some(there);
        }
        (there >= length).then_some(length)
    }
}

/// Mends the header block of a HEADERS frame that is whole in itself (RFC 9113 §6.2).
fn mend_frame(frame: &mut [u8]) {
    let (Some(kind), Some(flags)) = (frame.get(3).copied(), frame.get(4).copied()) else { return };
    let (padded, priority, whole) = (flags & 0x8 != 0, flags & 0x20 != 0, flags & 0x4 != 0);
    if kind != 1 || !whole {
        return;
    }
    let padding = if padded { frame.get(HEAD).copied().unwrap_or_default() } else { 0 };
    let begin = HEAD + usize::from(padded) + if priority { 5 } else { 0 };
    let end = frame.len().saturating_sub(usize::from(padding));
    if let Some(block) = frame.get_mut(begin..end) {
        // What is no header block is left for the other side to refuse.
        let _ = mend_block(block);
    }
}

/// Mends each literal `:authority` of a header block (RFC 7541 §6).
fn mend_block(block: &mut [u8]) -> Option<()> {
    /// Place of `:authority` in the static table.
    const AUTHORITY: usize = 1;
    let mut at = 0;
    while let Some(first) = block.get(at).copied() {
        let prefix = match first {
            0x80.. => {
                at = integer(block, at, 7)?.1;
                continue;
            }
            0x40.. => 6,
            0x20.. => {
                at = integer(block, at, 5)?.1;
                continue;
            }
            _ => 4,
        };
        let (name, mut value) = integer(block, at, prefix)?;
        if name == 0 {
            value = string(block, value)?.1.end;
        }
        let (huffman, range) = string(block, value)?;
        at = range.end;
        if name == AUTHORITY {
            let text = block.get_mut(range)?;
            if huffman {
                mend_huffman(text)?;
            } else {
                text.iter_mut().filter(|byte| matches!(byte, b'/' | b'%')).for_each(|byte| *byte = b'-');
            }
        }
    }
    Some(())
}

/// An integer with a prefix of `bits` (RFC 7541 §5.1), and where what follows begins.
fn integer(block: &[u8], at: usize, bits: u32) -> Option<(usize, usize)> {
    let most = (1usize << bits) - 1;
    let mut value = usize::from(*block.get(at)?) & most;
    let mut at = at + 1;
    if value < most {
        return Some((value, at));
    }
    for shift in (0..28).step_by(7) {
        let byte = usize::from(*block.get(at)?);
        at += 1;
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((value, at));
        }
    }
    None
}

/// Whether a string (RFC 7541 §5.2) is Huffman-coded, and where its bytes are.
fn string(block: &[u8], at: usize) -> Option<(bool, std::ops::Range<usize>)> {
    let huffman = block.get(at)? & 0x80 != 0;
    let (length, begin) = integer(block, at, 7)?;
    let end = begin.checked_add(length).filter(|end| *end <= block.len())?;
    Some((huffman, begin..end))
}

/// Makes `/` (011000) and `%` (010101) to `-` (010110). Codes of more than eight bits are no letters of a path.
fn mend_huffman(text: &mut [u8]) -> Option<()> {
    let bits = text.len() * 8;
    let bit = |text: &[u8], at: usize| text.get(at / 8).map(|byte| u32::from(byte >> (7 - at % 8) & 1));
    let mut at = 0;
    while at < bits {
        let (mut code, mut length) = (0, 0);
        loop {
            if at + length == bits {
                // Padding.
                return Some(());
            }
            code = code << 1 | bit(text, at + length)?;
            length += 1;
            // The code is canonical: each length has a range of its own.
            match (length, code) {
                (5, 0..=9) | (6, 20..=45) | (7, 92..=123) | (8, 248..=253) => break,
                (9.., _) => return None,
                _ => {}
            }
        }
        if length == 6 && matches!(code, 0b01_1000 | 0b01_0101) {
            for (place, wanted) in (at..at + 6).zip([0, 1, 0, 1, 1, 0u8]) {
                let byte = text.get_mut(place / 8)?;
                let mask = 1 << (7 - place % 8);
                *byte = if wanted == 1 { *byte | mask } else { *byte & !mask };
            }
        }
        at += length;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Mender, mend_block, mend_huffman};
    use proptest::prelude::*;

    /// `/var/lib/kubelet/x.sock`, coded with the table of RFC 7541, appendix B.
    fn coded(text: &str) -> Vec<u8> {
        let mut bits = String::new();
        for byte in text.bytes() {
            bits += match byte {
                b'/' => "011000",
                b'%' => "010101",
                b'-' => "010110",
                b'.' => "010111",
                b'_' => "100010",
                b'a' => "00011",
                b'b' => "100011",
                b'c' => "00100",
                b'e' => "00101",
                b'i' => "00110",
                b'k' => "1110101",
                b'l' => "101000",
                b'o' => "00111",
                b'r' => "101100",
                b's' => "01000",
                b't' => "01001",
                b'u' => "101101",
                b'v' => "1110111",
                b'X' => "11111100",
                b'2' => "00010",
                b'F' => "1100001",
                other => panic!("{other}"),
            };
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        bits.as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect()
    }

    fn literal(index: u8, huffman: bool, value: &[u8]) -> Vec<u8> {
        let mut bytes =
            vec![0x40 | index, u8::try_from(value.len()).unwrap() | if huffman { 0x80 } else { 0 }];
        bytes.extend_from_slice(value);
        bytes
    }

    #[test]
    fn paths_become_authorities_in_both_codings_and_nothing_else_changes() {
        for (from, to) in [
            ("/var/lib/kubelet/X_a.sock", "-var-lib-kubelet-X_a.sock"),
            ("%2Fvar%2Flib", "-2Fvar-2Flib"),
            ("localuser", "localuser"),
        ] {
            let from_coded = if from == "localuser" { coded("kubelet") } else { coded(from) };
            let mut text = from_coded.clone();
            mend_huffman(&mut text).unwrap();
            assert_eq!(text, if from == "localuser" { from_coded } else { coded(to) });
            assert!(to.parse::<axum::http::uri::Authority>().is_ok());

            // POST, http, a path, the authority in each coding, a path again.
            let block = |path: &str| {
                let mut block = vec![0x83, 0x86];
                block.extend(literal(4, false, b"/v1beta1.DevicePlugin/Allocate"));
                block.extend(literal(1, false, path.as_bytes()));
                block.extend(literal(4, true, &coded("/a%")));
                block
            };
            let mut mended = block(from);
            mend_block(&mut mended).unwrap();
            assert_eq!(mended, block(to));
        }
    }

    fn connection() -> (Vec<u8>, Vec<u8>) {
        let frames = |authority: &str| {
            let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
            let block = literal(1, true, &coded(authority));
            bytes.extend([0, 0, u8::try_from(block.len()).unwrap(), 1, 4, 0, 0, 0, 1]);
            bytes.extend(&block);
            // Data that looks like a header stays as it is.
            let data = literal(1, true, &coded("/a"));
            bytes.extend([0, 0, u8::try_from(data.len()).unwrap(), 0, 1, 0, 0, 0, 1]);
            bytes.extend(&data);
            bytes
        };
        (frames("/var/lib/kubelet/a.sock"), frames("-var-lib-kubelet-a.sock"))
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_come(cuts in prop::collection::vec(1usize..20, 0..60)) {
            let (sent, wanted) = connection();
            let (mut mender, mut got, mut rest) = (Mender::default(), Vec::new(), &sent[..]);
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                mender.take(now);
                got.extend_from_slice(&mender.whole);
                rest = later;
            }
            prop_assert_eq!(got, wanted);
        }

        /// Whatever comes, it comes out as long as it was, and nothing panics.
        #[test]
        fn no_byte_is_lost_or_made(bytes in prop::collection::vec(any::<u8>(), 0..300), greeted in any::<bool>()) {
            let mut mender = Mender::default();
            let mut got = 0;
            if greeted {
                mender.take(&connection().0[..24 + HEAD]);
            }
            mender.take(&bytes);
            got += mender.whole.len() + mender.waiting.len();
            prop_assert_eq!(got, bytes.len());
        }
    }
}

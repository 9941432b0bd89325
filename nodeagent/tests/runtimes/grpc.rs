//! As much of gRPC and protocol buffers as a few calls to CRI need; curl speaks HTTP/2 over the Unix socket.

use std::io::Write;
use std::process::{Command, Stdio};

/// A protocol-buffer message of length-delimited fields (wire type 2), which is all that these calls use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(crate) fn nest(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.number(field << 3 | 2);
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number as u8 & 0x7f | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Text of the first such field.
    pub(crate) fn text_at(&self, field: u64) -> Option<String> {
        let mut rest = &self.0[..];
        while !rest.is_empty() {
            let key = take_number(&mut rest)?;
            assert_eq!(key & 7, 2, "an answer with other than length-delimited fields");
            let length = usize::try_from(take_number(&mut rest)?).ok()?;
            let (value, later) = rest.split_at_checked(length)?;
            if key >> 3 == field {
                return String::from_utf8(value.to_vec()).ok();
            }
            rest = later;
        }
        None
    }
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// One call; it must succeed.
pub(crate) fn call(socket: &str, method: &str, request: &Message) -> Message {
    let trailers = tempfile::NamedTempFile::new().expect("a file");
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--http2-prior-knowledge", "--unix-socket", socket, "-X", "POST", "--max-time", "60"]);
    curl.args(["-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-", "-D"]);
    curl.arg(trailers.path()).arg(format!("http://localhost/{method}"));
    let mut curl = curl
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("start curl");
    // Not compressed, and the length.
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(request.0.len()).expect("a short message").to_be_bytes());
    framed.extend_from_slice(&request.0);
    curl.stdin.take().expect("curl's input").write_all(&framed).expect("send the call");
    let out = curl.wait_with_output().expect("curl's end");
    let headers = std::fs::read_to_string(trailers.path()).unwrap_or_default();
    assert!(out.status.success(), "{method}: curl: {}", out.status);
    assert!(headers.contains("grpc-status: 0"), "{method}: {headers}");
    Message(out.stdout.get(5..).unwrap_or_default().to_vec())
}

#[test]
fn a_message_is_read_as_it_was_written() {
    let long = "x".repeat(300);
    let message = Message::new().nest(1, &Message::new().text(1, "inner")).text(20, &long);

    assert_eq!(message.text_at(20), Some(long));
    assert_eq!(message.text_at(2), None);
    // As any protocol-buffer compiler writes it: field 1, seven bytes; in it field 1, five bytes.
    assert_eq!(message.0[..9], *b"\x0a\x07\x0a\x05inner");
}

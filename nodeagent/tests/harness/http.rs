//! A small HTTP client of our own, so that answers are looked at byte by byte and not through the library
//! that made them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code at the end of the problem's type. Checks what every problem must have.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert!(problem["title"].is_string(), "{problem}");
        let kind = problem["type"].as_str().expect("a type");
        kind.strip_prefix("urn:multi-nic:problem:").expect("our type").to_owned()
    }

    /// Splits the bytes of one answer; what is behind its body is an error.
    pub(crate) fn parse(bytes: &[u8], has_body: bool) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(bytes)));
        let head = std::str::from_utf8(&bytes[..end]).expect("a head of text");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut reply = Self { status: status.expect("a status"), headers, body: bytes[end + 4..].to_vec() };
        if let Some(length) = reply.header("content-length").filter(|_| has_body) {
            let length: usize = length.parse().expect("a length");
            assert_eq!(length, reply.body.len(), "{reply:?}");
        }
        if reply.header("transfer-encoding") == Some("chunked") {
            reply.body = unchunked(&reply.body);
        }
        reply
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let length =
            usize::from_str_radix(std::str::from_utf8(&bytes[..end]).expect("text"), 16).expect("a length");
        all.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 2 + length + 2..];
    }
    all
}

/// One request over the Unix socket.
pub(crate) fn unix(socket: &Path, method: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<Reply> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(super::PATIENCE))?;
    ask(stream, method, path, &[&[("host", "localhost")], headers].concat())
}

/// One request with a JSON body over the Unix socket.
pub(crate) fn unix_with(socket: &Path, method: &str, path: &str, body: &str) -> io::Result<Reply> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(super::PATIENCE))?;
    ask_with(stream, method, path, &[("host", "localhost"), ("content-type", "application/json")], body)
}

/// One request with a body over TCP.
pub(crate) fn tcp_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(super::PATIENCE))?;
    ask_with(stream, method, path, headers, body)
}

/// One request over TCP. The header `host` is the caller's.
pub(crate) fn tcp(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> io::Result<Reply> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(super::PATIENCE))?;
    ask(stream, method, path, headers)
}

fn ask(stream: impl Read + Write, method: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<Reply> {
    ask_with(stream, method, path, headers, "")
}

fn ask_with(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Reply> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed without an answer"));
    }
    Ok(Reply::parse(&bytes, method != "HEAD"))
}

/// Sends raw bytes over TCP, says that there is no more, and gives everything that comes until the other side closes.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    exchange(address, bytes, true)
}

/// Sends raw bytes over TCP, and gives everything that comes until the other side closes.
pub(crate) fn raw_open(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    exchange(address, bytes, false)
}

fn exchange(address: SocketAddr, bytes: &[u8], is_all: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    // The server may refuse in the middle of it.
    let _ = stream.write_all(bytes);
    if is_all {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    }
    answer
}

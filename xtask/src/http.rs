//! A small HTTP/1.1 client over one TCP connection that is kept open: enough to ask our own agent
//! whether it is ready, and to load it without measuring the client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    host: String,
}

/// One answer; its body is read whole, unless it is a stream.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The value of `ETag`, with its quotes.
    pub(crate) etag: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

#[derive(Default)]
struct Head {
    status: u16,
    etag: Option<String>,
    length: Option<usize>,
    chunked: bool,
}

impl Connection {
    /// Connects; every later wait for bytes ends after `patience`.
    pub(crate) fn open(address: SocketAddr, patience: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let reader = BufReader::with_capacity(64 * 1024, stream.try_clone()?);
        Ok(Self { stream, reader, host: address.to_string() })
    }

    /// One request and its whole answer.
    pub(crate) fn get(&mut self, path: &str, etag: Option<&str>) -> Result<Answer> {
        let request = self.request(path, etag);
        self.ask(&request)?;
        self.answer()
    }

    /// The bytes of a request, for those who send the same one often.
    pub(crate) fn request(&self, path: &str, etag: Option<&str>) -> Vec<u8> {
        let condition = etag.map(|etag| format!("If-None-Match: {etag}\r\n")).unwrap_or_default();
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{condition}\r\n", self.host).into_bytes()
    }

    /// Sends bytes of [`Self::request`]; [`Self::answer`] must follow.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(request)?)
    }

    /// Reads the whole answer to what was asked.
    pub(crate) fn answer(&mut self) -> Result<Answer> {
        let head = self.head()?;
        let mut body = Vec::new();
        match head.length {
            _ if head.status == 204 || head.status == 304 => {}
            Some(length) => {
                body.resize(length, 0);
                self.reader.read_exact(&mut body)?;
            }
            None if head.chunked => while self.chunk(&mut body)? {},
            None => bail!("an answer of unknown length"),
        }
        Ok(Answer { status: head.status, etag: head.etag, body })
    }

    /// Begins a stream: [`Self::stream_chunk`] gives its parts as they come.
    pub(crate) fn stream(&mut self, path: &str) -> Result<()> {
        let request = self.request(path, None);
        self.ask(&request)?;
        let head = self.head()?;
        if head.status != 200 || !head.chunked {
            bail!("GET {path}: status {}, not a stream", head.status);
        }
        Ok(())
    }

    /// The next part of a stream.
    pub(crate) fn stream_chunk(&mut self) -> Result<String> {
        let mut bytes = Vec::new();
        if !self.chunk(&mut bytes)? {
            bail!("the stream ended");
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn head(&mut self) -> Result<Head> {
        let status = self.line()?;
        let mut head = Head {
            status: status.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status line")?,
            ..Head::default()
        };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(head);
            }
            let Some((name, value)) = line.split_once(':') else { bail!("odd header: {line}") };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = Some(value.parse()?),
                "transfer-encoding" => head.chunked = value.eq_ignore_ascii_case("chunked"),
                "etag" => head.etag = Some(value.to_owned()),
                _ => {}
            }
        }
    }

    /// Appends one chunk; false at the last one.
    fn chunk(&mut self, body: &mut Vec<u8>) -> Result<bool> {
        let line = self.line()?;
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16)?;
        let start = body.len();
        body.resize(start + size, 0);
        self.reader.read_exact(body.get_mut(start..).unwrap_or_default())?;
        self.line()?;
        Ok(size > 0)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            bail!("the connection was closed");
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Serves one connection: for each answer one request is read first.
    fn server(answers: Vec<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            for answer in answers {
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    reader.read_line(&mut line).unwrap();
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn one_connection_serves_bodies_of_each_kind_in_turn() {
        let address = server(vec![
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"a\"\r\n\r\nhi",
            "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n",
        ]);
        let mut connection = Connection::open(address, Duration::from_secs(5)).unwrap();

        let first = connection.get("/", None).unwrap();
        let second = connection.get("/", first.etag.as_deref()).unwrap();
        let third = connection.get("/", None).unwrap();

        assert_eq!((first.status, first.body.as_slice()), (200, b"hi".as_slice()));
        assert_eq!((second.status, second.body.len()), (304, 0));
        assert_eq!(third.body, b"abc0123456789");
    }

    #[test]
    fn a_closed_connection_is_an_error() {
        let address = server(vec!["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"]);
        let mut connection = Connection::open(address, Duration::from_secs(5)).unwrap();

        assert!(connection.get("/", None).is_err());
    }
}

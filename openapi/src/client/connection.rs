//! One kept-alive HTTP/1.1 connection, made when first needed and again when it broke.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;

use super::{ClientError, Headers};

/// Where the agent listens.
#[derive(Debug, Clone)]
pub(super) enum Transport {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Transport {
    /// The error for a connection that broke during `path`.
    pub(super) fn broken(&self, path: &str, source: hyper::Error) -> ClientError {
        ClientError::Transport { address: self.to_string(), path: path.to_owned(), source }
    }

    /// A fresh connection.
    pub(super) async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let failed = |source| ClientError::Connect { address: self.to_string(), source };
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                self.drive(TokioIo::new(stream)).await
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(failed)?;
                self.drive(TokioIo::new(stream)).await
            }
        }
    }

    async fn drive<I>(&self, io: I) -> Result<SendRequest<Full<Bytes>>, ClientError>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(io).await.map_err(|source| self.broken("", source))?;
        // Its error also reaches the call that waits for the answer.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }

    /// A request with a body, which is JSON unless it is empty.
    pub(super) fn request(&self, ask: &Ask<'_>) -> Result<Request<Full<Bytes>>, ClientError> {
        let wrong = || ClientError::Path(ask.path.to_owned());
        let uri: Uri = ask.path.parse().map_err(|_| wrong())?;
        let host = match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        };
        let mut request = Request::builder().method(ask.method.clone()).uri(uri).header(HOST, host);
        if !ask.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let mut request = request.body(Full::new(ask.body.clone())).map_err(|_| wrong())?;
        request.headers_mut().extend(ask.headers.iter().cloned());
        Ok(request)
    }
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) headers: Headers,
    pub(super) body: Bytes,
}

impl<'a> Ask<'a> {
    /// A `GET`.
    pub(super) fn get(path: &'a str, headers: Headers) -> Self {
        Self { method: Method::GET, path, headers, body: Bytes::new() }
    }
}

/// A connection that is made when it is needed.
#[derive(Debug)]
pub(super) struct Connection {
    transport: Transport,
    kept: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Connection {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, kept: Mutex::new(None) }
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Sends one request. On a kept connection that the agent has closed meanwhile it is sent anew, once: a `GET` in
    /// any case, anything else only when it never left.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<Response<Incoming>, ClientError> {
        let kept = self.kept.lock().await.take();
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            match sender.send_request(self.transport.request(ask)?).await {
                Ok(response) => return Ok(self.keep(sender, response).await),
                Err(error) if error.is_canceled() => {}
                Err(error)
                    if ask.method == Method::GET && (error.is_closed() || error.is_incomplete_message()) => {}
                Err(error) => return Err(self.transport.broken(ask.path, error)),
            }
        }
        let mut sender = self.transport.connect().await?;
        let sent = sender.send_request(self.transport.request(ask)?).await;
        let response = sent.map_err(|source| self.transport.broken(ask.path, source))?;
        Ok(self.keep(sender, response).await)
    }

    async fn keep(
        &self,
        sender: SendRequest<Full<Bytes>>,
        response: Response<Incoming>,
    ) -> Response<Incoming> {
        *self.kept.lock().await = Some(sender);
        response
    }
}

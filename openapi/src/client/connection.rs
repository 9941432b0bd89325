//! One kept-alive HTTP/1.1 connection, made when first needed and again when it broke.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper::{Request, Response, Uri};
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
    pub(super) async fn connect(&self) -> Result<SendRequest<Empty<Bytes>>, ClientError> {
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

    async fn drive<I>(&self, io: I) -> Result<SendRequest<Empty<Bytes>>, ClientError>
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

    /// The request line and head for a `GET`.
    pub(super) fn request(
        &self,
        path: &str,
        headers: &Headers,
    ) -> Result<Request<Empty<Bytes>>, ClientError> {
        let wrong = || ClientError::Path(path.to_owned());
        let uri: Uri = path.parse().map_err(|_| wrong())?;
        let host = match self {
            Self::Tcp(address) => address.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        };
        let mut request = Request::get(uri).header(HOST, host).body(Empty::new()).map_err(|_| wrong())?;
        request.headers_mut().extend(headers.iter().cloned());
        Ok(request)
    }
}

/// A connection that is made when it is needed.
#[derive(Debug)]
pub(super) struct Connection {
    transport: Transport,
    kept: Mutex<Option<SendRequest<Empty<Bytes>>>>,
}

impl Connection {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, kept: Mutex::new(None) }
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Sends one `GET`. A kept connection that the agent has closed meanwhile is made anew, once.
    pub(super) async fn get(&self, path: &str, headers: &Headers) -> Result<Response<Incoming>, ClientError> {
        let kept = self.kept.lock().await.take();
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            match sender.send_request(self.transport.request(path, headers)?).await {
                Ok(response) => return Ok(self.keep(sender, response).await),
                // A `GET` changes nothing, so asking twice is harmless.
                Err(error) if error.is_canceled() || error.is_closed() || error.is_incomplete_message() => {}
                Err(error) => return Err(self.transport.broken(path, error)),
            }
        }
        let mut sender = self.transport.connect().await?;
        let sent = sender.send_request(self.transport.request(path, headers)?).await;
        let response = sent.map_err(|source| self.transport.broken(path, source))?;
        Ok(self.keep(sender, response).await)
    }

    async fn keep(
        &self,
        sender: SendRequest<Empty<Bytes>>,
        response: Response<Incoming>,
    ) -> Response<Incoming> {
        *self.kept.lock().await = Some(sender);
        response
    }
}

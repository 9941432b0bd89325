//! A typed client for the agent's API, over TCP or the Unix socket.

mod connection;
mod error;
mod event_stream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hwprobe::{Inventory, Nic};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    AddressList, Attachment, AttachmentList, AttachmentRequest, Classes, Liveness, Network, NetworkList,
    NicList, NodeView, Pf, PfDesired, PfList, PfVfList, PoolList, Problem, Readiness, SelectAnswer,
    SelectRequest, SriovSummary, Topology, VfList, WarningList,
};
use connection::{Ask, Connection, Transport};
pub use error::ClientError;
pub use event_stream::EventStream;

/// How long one answer may take, from the request's first byte to the body's last.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The same for what changes something: the agent waits its turn in the kernel, and for others with the same key.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(300);

/// A value with the ETag that names this state of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged<T> {
    /// The ETag, for the next `…_if_changed`.
    pub etag: String,
    /// The value.
    pub value: T,
}

/// A client of one agent. Clones share its connection.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Arc<Connection>,
}

impl Client {
    /// A client over TCP. Nothing is connected before the first call.
    pub fn tcp(address: SocketAddr) -> Self {
        Self { connection: Arc::new(Connection::new(Transport::Tcp(address))) }
    }

    /// A client over the Unix socket at `path`.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { connection: Arc::new(Connection::new(Transport::Unix(path.into()))) }
    }

    /// `GET /v1/node`.
    pub async fn node(&self) -> Result<NodeView, ClientError> {
        self.get("/v1/node").await
    }

    /// `GET /v1/nics` with a query like `class=high&state=up`; empty for all. Not with `fields`, which
    /// leaves members out that a [`Nic`] needs: ask [`Self::json`] for those.
    pub async fn nics(&self, query: &str) -> Result<NicList, ClientError> {
        self.get(&with_query("/v1/nics", query)).await
    }

    /// Like [`Self::nics`], but `None` when the list is still the one that has `etag`.
    pub async fn nics_if_changed(
        &self,
        query: &str,
        etag: Option<&str>,
    ) -> Result<Option<Tagged<NicList>>, ClientError> {
        self.get_if_changed(&with_query("/v1/nics", query), etag).await
    }

    /// `GET /v1/nics/{id}`: by id, name, alternative name, PCI address or MAC address.
    pub async fn nic(&self, id: &str) -> Result<Nic, ClientError> {
        self.get(&format!("/v1/nics/{}", encoded(id))).await
    }

    /// `GET /v1/nics/{id}/vfs`.
    pub async fn vfs(&self, id: &str) -> Result<VfList, ClientError> {
        self.get(&format!("/v1/nics/{}/vfs", encoded(id))).await
    }

    /// `GET /v1/sriov`.
    pub async fn sriov(&self) -> Result<SriovSummary, ClientError> {
        self.get("/v1/sriov").await
    }

    /// `GET /v1/sriov/pfs`.
    pub async fn pfs(&self) -> Result<PfList, ClientError> {
        self.get("/v1/sriov/pfs").await
    }

    /// `GET /v1/sriov/pfs/{id}`: by id, name, alternative name, PCI address or MAC address.
    pub async fn pf(&self, id: &str) -> Result<Pf, ClientError> {
        self.get(&pf_path(id)).await
    }

    /// `GET /v1/sriov/pfs/{id}/vfs`.
    pub async fn pf_vfs(&self, id: &str) -> Result<PfVfList, ClientError> {
        self.get(&format!("{}/vfs", pf_path(id))).await
    }

    /// `POST /v1/sriov/pfs/{id}`: says what a PF should be. The answer is the PF as it is then: in place, or on its way
    /// (see its `state`). Waits up to five minutes.
    pub async fn set_pf(&self, id: &str, desired: &PfDesired) -> Result<Pf, ClientError> {
        let path = pf_path(id);
        match self.change(Method::POST, &path, body(&path, desired)?).await? {
            (StatusCode::OK | StatusCode::ACCEPTED, bytes) => parse(&path, &bytes),
            (status, bytes) => Err(refusal(&path, status, &bytes)),
        }
    }

    /// `POST /v1/sriov/pfs/{id}?dryRun=true`: what would be done. Nothing changes.
    pub async fn plan_pf(&self, id: &str, desired: &PfDesired) -> Result<Pf, ClientError> {
        let path = format!("{}?dryRun=true", pf_path(id));
        match self.change(Method::POST, &path, body(&path, desired)?).await? {
            (StatusCode::OK, bytes) => parse(&path, &bytes),
            (status, bytes) => Err(refusal(&path, status, &bytes)),
        }
    }

    /// `DELETE /v1/sriov/pfs/{id}`: only policies count for the PF again.
    pub async fn forget_pf(&self, id: &str) -> Result<(), ClientError> {
        let path = pf_path(id);
        match self.change(Method::DELETE, &path, Bytes::new()).await? {
            (StatusCode::NO_CONTENT, _) => Ok(()),
            (status, bytes) => Err(refusal(&path, status, &bytes)),
        }
    }

    /// `GET /v1/pools`.
    pub async fn pools(&self) -> Result<PoolList, ClientError> {
        self.get("/v1/pools").await
    }

    /// `GET /v1/topology`.
    pub async fn topology(&self) -> Result<Topology, ClientError> {
        self.get("/v1/topology").await
    }

    /// `GET /v1/classes`.
    pub async fn classes(&self) -> Result<Classes, ClientError> {
        self.get("/v1/classes").await
    }

    /// `GET /v1/warnings`.
    pub async fn warnings(&self) -> Result<WarningList, ClientError> {
        self.get("/v1/warnings").await
    }

    /// `GET /v1/inventory`.
    pub async fn inventory(&self) -> Result<Inventory, ClientError> {
        self.get("/v1/inventory").await
    }

    /// Like [`Self::inventory`], but `None` when it is still the one that has `etag`.
    pub async fn inventory_if_changed(
        &self,
        etag: Option<&str>,
    ) -> Result<Option<Tagged<Inventory>>, ClientError> {
        self.get_if_changed("/v1/inventory", etag).await
    }

    /// `GET /v1/networks`.
    pub async fn networks(&self) -> Result<NetworkList, ClientError> {
        self.get("/v1/networks").await
    }

    /// `GET /v1/networks/{name}`.
    pub async fn network(&self, name: &str) -> Result<Network, ClientError> {
        self.get(&format!("/v1/networks/{}", encoded(name))).await
    }

    /// `GET /v1/attachments` with a query like `network=red&phase=attached`; empty for all.
    pub async fn attachments(&self, query: &str) -> Result<AttachmentList, ClientError> {
        self.get(&with_query("/v1/attachments", query)).await
    }

    /// `GET /v1/attachments/{network}/{container}/{ifname}`.
    pub async fn attachment(
        &self,
        network: &str,
        container_id: &str,
        ifname: &str,
    ) -> Result<Attachment, ClientError> {
        self.get(&attachment_path(network, container_id, ifname)).await
    }

    /// `POST /v1/attachments`: attaches a container, or says what it has already. Waits up to five minutes.
    pub async fn attach(&self, request: &AttachmentRequest) -> Result<Attachment, ClientError> {
        let path = "/v1/attachments";
        match self.change(Method::POST, path, body(path, request)?).await? {
            (StatusCode::OK | StatusCode::CREATED, bytes) => parse(path, &bytes),
            (status, bytes) => Err(refusal(path, status, &bytes)),
        }
    }

    /// `DELETE /v1/attachments/{network}/{container}/{ifname}`: detaches a container. Gives what is left of the
    /// attachment when a plugin's part is owed. Waits up to five minutes.
    pub async fn detach(
        &self,
        network: &str,
        container_id: &str,
        ifname: &str,
    ) -> Result<Option<Attachment>, ClientError> {
        let path = attachment_path(network, container_id, ifname);
        match self.change(Method::DELETE, &path, Bytes::new()).await? {
            (StatusCode::NO_CONTENT, _) => Ok(None),
            (StatusCode::ACCEPTED, bytes) => parse(&path, &bytes).map(Some),
            (status, bytes) => Err(refusal(&path, status, &bytes)),
        }
    }

    /// `POST /v1/select`: which NICs would a pod get? Nothing changes.
    pub async fn select(&self, request: &SelectRequest) -> Result<SelectAnswer, ClientError> {
        let path = "/v1/select";
        match self.change(Method::POST, path, body(path, request)?).await? {
            (StatusCode::OK, bytes) => parse(path, &bytes),
            (status, bytes) => Err(refusal(path, status, &bytes)),
        }
    }

    /// `GET /v1/addresses`.
    pub async fn addresses(&self) -> Result<AddressList, ClientError> {
        self.get("/v1/addresses").await
    }

    /// `GET /livez`.
    pub async fn livez(&self) -> Result<Liveness, ClientError> {
        self.get("/livez").await
    }

    /// `GET /readyz`: also an agent that is not ready says why.
    pub async fn readyz(&self) -> Result<Readiness, ClientError> {
        let (status, bytes) = self.bytes("/readyz", None).await?;
        match status {
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => parse("/readyz", &bytes),
            _ => Err(refusal("/readyz", status, &bytes)),
        }
    }

    /// `GET /metrics`: OpenMetrics text.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        self.text("/metrics").await
    }

    /// `GET /openapi.json`: the document that this agent serves.
    pub async fn openapi(&self) -> Result<String, ClientError> {
        self.text("/openapi.json").await
    }

    /// `GET` of any path and query, as JSON without a type.
    pub async fn json(&self, path: &str) -> Result<serde_json::Value, ClientError> {
        self.get(path).await
    }

    /// Any request, answered without a look at it: status and body. For tools that hand answers on.
    ///
    /// # Errors
    /// When there is no answer; a refusal of the agent is one.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Vec<u8>), ClientError> {
        let parsed = Method::from_bytes(method.as_bytes());
        let method = parsed.map_err(|_| ClientError::Path(format!("{method} {path}")))?;
        let (status, bytes) = self.change(method, path, body.into()).await?;
        Ok((status.as_u16(), bytes))
    }

    /// `GET /v1/events`: what comes after the event `after`, or from now on. `types` is a comma list like
    /// `nic.added,nic.removed`; empty for all. The stream connects again by itself and goes on where it was.
    pub async fn events(
        &self,
        after: Option<&crate::EventId>,
        types: &str,
    ) -> Result<EventStream, ClientError> {
        EventStream::open(self.connection.transport().clone(), after.cloned(), types.to_owned()).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        match self.bytes(path, None).await? {
            (StatusCode::OK, bytes) => parse(path, &bytes),
            (status, bytes) => Err(refusal(path, status, &bytes)),
        }
    }

    async fn get_if_changed<T: DeserializeOwned>(
        &self,
        path: &str,
        etag: Option<&str>,
    ) -> Result<Option<Tagged<T>>, ClientError> {
        self.in_time(path, async {
            let response = self.connection.send(&Ask::get(path, conditional(path, etag)?)).await?;
            let etag = header(&response, &ETAG).unwrap_or_default();
            let (status, bytes) = self.read(path, response).await?;
            match status {
                StatusCode::NOT_MODIFIED => Ok(None),
                StatusCode::OK => Ok(Some(Tagged { etag, value: parse(path, &bytes)? })),
                status => Err(refusal(path, status, &bytes)),
            }
        })
        .await
    }

    async fn text(&self, path: &str) -> Result<String, ClientError> {
        match self.bytes(path, None).await? {
            (StatusCode::OK, bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            (status, bytes) => Err(refusal(path, status, &bytes)),
        }
    }

    async fn bytes(&self, path: &str, etag: Option<&str>) -> Result<(StatusCode, Vec<u8>), ClientError> {
        self.in_time(path, async {
            let response = self.connection.send(&Ask::get(path, conditional(path, etag)?)).await?;
            self.read(path, response).await
        })
        .await
    }

    /// A request with a body, or one that changes something.
    async fn change(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Vec<u8>), ClientError> {
        self.within(CHANGE_TIMEOUT, path, async {
            let ask = Ask { method, path, headers: conditional(path, None)?, body };
            self.read(path, self.connection.send(&ask).await?).await
        })
        .await
    }

    async fn read(
        &self,
        path: &str,
        response: Response<Incoming>,
    ) -> Result<(StatusCode, Vec<u8>), ClientError> {
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(|source| self.connection.transport().broken(path, source))?;
        Ok((status, body.to_bytes().to_vec()))
    }

    async fn in_time<T>(
        &self,
        path: &str,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        self.within(TIMEOUT, path, call).await
    }

    async fn within<T>(
        &self,
        most: Duration,
        path: &str,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(most, call).await {
            Ok(answer) => answer,
            Err(_) => Err(ClientError::Timeout {
                address: self.connection.transport().to_string(),
                path: path.to_owned(),
                seconds: most.as_secs(),
            }),
        }
    }
}

type Headers = Vec<(hyper::header::HeaderName, HeaderValue)>;

fn conditional(path: &str, etag: Option<&str>) -> Result<Headers, ClientError> {
    let mut headers =
        vec![(ACCEPT, HeaderValue::from_static("application/json, application/problem+json, */*"))];
    if let Some(etag) = etag {
        let value =
            HeaderValue::from_str(etag).map_err(|_| ClientError::Path(format!("{path} if not {etag}")))?;
        headers.push((IF_NONE_MATCH, value));
    }
    Ok(headers)
}

fn header(response: &Response<Incoming>, name: &hyper::header::HeaderName) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

fn parse<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(|source| ClientError::Answer { path: path.to_owned(), source })
}

/// The error behind an answer that is not 200.
fn refusal(path: &str, status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => ClientError::Problem(Box::new(problem)),
        Err(_) => ClientError::Status { path: path.to_owned(), status: status.as_u16() },
    }
}

fn with_query(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

fn body<T: Serialize>(path: &str, value: &T) -> Result<Bytes, ClientError> {
    let written = serde_json::to_vec(value);
    written.map(Bytes::from).map_err(|source| ClientError::Answer { path: path.to_owned(), source })
}

fn pf_path(id: &str) -> String {
    format!("/v1/sriov/pfs/{}", encoded(id))
}

fn attachment_path(network: &str, container_id: &str, ifname: &str) -> String {
    format!("/v1/attachments/{}/{}/{}", encoded(network), encoded(container_id), encoded(ifname))
}

/// Percent-encodes what may not stand in a path segment (RFC 3986 §3.3).
fn encoded(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'@' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn names_with_odd_characters_stay_one_path_segment() {
        assert_eq!(encoded("0000:3b:00.0"), "0000:3b:00.0");
        assert_eq!(encoded("a/b?c d%é"), "a%2Fb%3Fc%20d%25%C3%A9");
    }
}

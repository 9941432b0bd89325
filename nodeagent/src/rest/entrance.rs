//! Who may ask what: hardware is open to whoever can connect, who holds what is not (DESIGN §6, TRAPS H7).

use std::net::{IpAddr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{HeaderName, ORIGIN};
use axum::http::request::Parts;
use openapi::{Agent, ProblemCode};

use super::problem::Refusal;
use super::query::Query;
use super::state::RestState;

/// How a request came in. The server puts it into the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// Over TCP, to this local address.
    Tcp(SocketAddr),
    /// Over the Unix socket, from a process of this user: root, or the agent's own.
    Unix(u32),
}

impl Entrance {
    /// Over TCP, from this machine.
    fn is_loopback(self) -> bool {
        let own = |ip: IpAddr| ip.to_canonical().is_loopback();
        matches!(self, Self::Tcp(local) if own(local.ip()))
    }

    /// Whether it may see who holds what: root always, others from this machine in standalone mode.
    pub(super) fn sees_pods(self, agent: &Agent) -> bool {
        matches!(self, Self::Unix(_)) || (agent.standalone && self.is_loopback())
    }

    /// Refuses who may not see who holds what.
    pub(super) fn must_see_pods(self, agent: &Agent) -> Result<(), Refusal> {
        if self.sees_pods(agent) {
            return Ok(());
        }
        let detail = if agent.standalone {
            "who holds what is told on loopback and over the Unix socket only"
        } else {
            "who holds what is told to root over the Unix socket only"
        };
        Err(Refusal::new(ProblemCode::SocketOnly, detail))
    }

    /// Refuses everybody but root over the Unix socket.
    pub(super) fn must_be_root(self) -> Result<(), Refusal> {
        match self {
            Self::Unix(0) => Ok(()),
            Self::Unix(uid) => {
                let detail = format!("user {uid} may read; only root may change something");
                Err(Refusal::new(ProblemCode::ForbiddenPeer, detail))
            }
            Self::Tcp(_) => {
                let detail = "what changes something is taken from root over the Unix socket only";
                Err(Refusal::new(ProblemCode::SocketOnly, detail))
            }
        }
    }

    /// For the legacy routes: from this machine, and not from a web page. They change things and ask for no
    /// credentials, so a browser must not be able to send a request there for a page of somebody else.
    pub(super) fn must_be_local_program(self, headers: &HeaderMap) -> Result<(), Refusal> {
        const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
        if !matches!(self, Self::Unix(_)) && !self.is_loopback() {
            return Err(Refusal::new(ProblemCode::SocketOnly, "the legacy routes are for loopback only"));
        }
        if headers.contains_key(ORIGIN) || headers.contains_key(FETCH_SITE) {
            let detail = "the legacy routes are for old executables, not for browsers";
            return Err(Refusal::new(ProblemCode::ForbiddenOrigin, detail));
        }
        Ok(())
    }
}

/// Whoever may see who holds what, and asks without a query: what most routes about pods take before anything else.
pub(super) struct PodReader;

impl FromRequestParts<RestState> for PodReader {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &RestState) -> Result<Self, Refusal> {
        let entrance = parts.extensions.get::<Entrance>();
        let entrance =
            entrance.ok_or_else(|| Refusal::new(ProblemCode::Internal, "nobody knows who asks"))?;
        entrance.must_see_pods(&state.agent)?;
        Query::none(parts.uri.query())?;
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::Entrance;
    use openapi::{Agent, ProblemCode};

    fn agent(standalone: bool) -> Agent {
        Agent { version: String::new(), epoch: String::new(), standalone, started: String::new() }
    }

    #[test]
    fn who_holds_what_is_open_on_loopback_in_standalone_mode_only() {
        let local = ["127.0.0.1:1", "127.7.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"];
        let others = ["192.0.2.1:1", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1"];
        let tcp = |text: &str| Entrance::Tcp(text.parse().unwrap());

        for address in local {
            assert!(tcp(address).must_see_pods(&agent(true)).is_ok(), "{address}");
            let refused = tcp(address).must_see_pods(&agent(false)).unwrap_err().0;
            assert_eq!((refused.code(), refused.status), (Some(ProblemCode::SocketOnly), 403), "{address}");
            assert_eq!(
                refused.detail.as_deref(),
                Some("who holds what is told to root over the Unix socket only")
            );
        }
        for address in others {
            for standalone in [true, false] {
                assert!(tcp(address).must_see_pods(&agent(standalone)).is_err(), "{address}");
            }
        }
        for uid in [0, 1000] {
            assert!(Entrance::Unix(uid).must_see_pods(&agent(false)).is_ok(), "{uid}");
        }
    }

    #[test]
    fn only_root_over_the_socket_changes_something() {
        assert!(Entrance::Unix(0).must_be_root().is_ok());
        let refused = Entrance::Unix(1000).must_be_root().unwrap_err().0;
        assert_eq!((refused.code(), refused.status), (Some(ProblemCode::ForbiddenPeer), 403));
        let refused = Entrance::Tcp("127.0.0.1:1".parse().unwrap()).must_be_root().unwrap_err().0;
        assert_eq!((refused.code(), refused.status), (Some(ProblemCode::SocketOnly), 403));
    }
}

//! Who may ask what: hardware is open to whoever can connect, who holds what is not (DESIGN §6, TRAPS H7).

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::header::{HeaderName, ORIGIN};
use openapi::ProblemCode;

use super::problem::Refusal;
use super::state::Shared;

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
    pub(super) fn sees_pods(self, shared: &Shared) -> bool {
        matches!(self, Self::Unix(_)) || (shared.agent.standalone && self.is_loopback())
    }

    /// Refuses who may not see who holds what.
    pub(super) fn must_see_pods(self, shared: &Shared) -> Result<(), Refusal> {
        if self.sees_pods(shared) {
            return Ok(());
        }
        let detail = if shared.agent.standalone {
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

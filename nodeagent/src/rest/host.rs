//! The `Host` header: a request for a name that is not ours is refused, or a web page could reach the
//! loopback port through a name of its own that it lets point to 127.0.0.1 (DNS rebinding).

use std::net::{IpAddr, SocketAddr};

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{Request, Version};
use openapi::ProblemCode;

use super::problem::{Refusal, shown};

/// Whether a text can be `HOST` or `HOST:PORT`.
pub(crate) fn is_host(text: &str) -> bool {
    !text.is_empty()
        && !text.contains('@')
        && text.parse::<Authority>().is_ok_and(|host| !host.host().is_empty())
}

/// Refuses a request for a host that is not ours. Ours are `localhost`, loopback addresses, the address that the
/// client is connected to, and the `allowed` ones. A port counts only where an allowed host has one.
pub(super) fn check<B>(request: &Request<B>, local: SocketAddr, allowed: &[String]) -> Result<(), Refusal> {
    let malformed = |detail: String| Refusal::new(ProblemCode::MalformedRequest, detail);
    let mut fields = request.headers().get_all(HOST).iter();
    let field = match (fields.next(), fields.next()) {
        (Some(field), None) => Some(String::from_utf8_lossy(field.as_bytes()).to_lowercase()),
        (None, _) if request.version() < Version::HTTP_11 => None,
        (None, _) => return Err(malformed("the request has no Host header".to_owned())),
        (Some(_), Some(_)) => return Err(malformed("the request has several Host headers".to_owned())),
    };
    let target = request.uri().authority().map(|authority| authority.as_str().to_lowercase());
    for host in [field, target].into_iter().flatten() {
        if !is_ours(&host, local, allowed) {
            let detail =
                format!("`{}` is not a name of this agent; `allowedHosts` can make it one", shown(&host));
            return Err(Refusal::new(ProblemCode::ForbiddenHost, detail));
        }
    }
    Ok(())
}

fn is_ours(host: &str, local: SocketAddr, allowed: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    if host.contains('@') {
        return false;
    }
    let name = authority.host();
    if name == "localhost" || allowed.iter().any(|one| one == host || one == name) {
        return true;
    }
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    // An address cannot be rebound; whoever may name ours is connected to it already.
    bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || address == local.ip())
}

#[cfg(test)]
mod tests {
    use super::{check, is_host};
    use axum::http::Request;
    use axum::http::header::HOST;

    fn status(hosts: &[&str], uri: &str) -> u16 {
        let mut request = Request::get(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let allowed = ["node-7.example".to_owned(), "proxy.example:8443".to_owned()];
        let local = "192.0.2.7:11000".parse().unwrap();
        check(&request.body(()).unwrap(), local, &allowed).map_or_else(|refusal| refusal.0.status, |()| 200)
    }

    #[test]
    fn own_names_are_taken_and_foreign_ones_refused() {
        for host in [
            "localhost",
            "LOCALHOST:11000",
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]:11000",
            "192.0.2.7:11000",
            "node-7.example",
            "Node-7.example:1",
            "proxy.example:8443",
        ] {
            assert_eq!(status(&[host], "/"), 200, "{host}");
        }
        for host in [
            "rebound.example",
            "localhost.example",
            "127.0.0.1.example",
            "192.0.2.8",
            "proxy.example",
            "proxy.example:1",
            "user@localhost",
            "local host",
            "",
        ] {
            assert_eq!(status(&[host], "/"), 421, "{host}");
        }
    }

    #[test]
    fn request_target_with_a_foreign_host_is_refused_too() {
        assert_eq!(status(&["localhost"], "http://rebound.example/v1/nics"), 421);
        assert_eq!(status(&["localhost"], "http://localhost/v1/nics"), 200);
    }

    #[test]
    fn no_host_or_two_are_malformed() {
        assert_eq!(status(&[], "/"), 400);
        assert_eq!(status(&["localhost", "localhost"], "/"), 400);
    }

    #[test]
    fn hosts_of_the_configuration_are_checked() {
        assert!(is_host("a.example:80") && is_host("[::1]:80") && is_host("a"));
        assert!(
            !is_host("") && !is_host("a b") && !is_host("http://a") && !is_host("u@a") && !is_host(":80")
        );
    }
}

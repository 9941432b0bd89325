//! Where the API server is, for the sake of the NICs on the way there (TRAPS H1).

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use axum::http::Uri;
use kube::config::Kubeconfig;

use super::access::{Access, words};

/// How long it may take to find the addresses of a name: the agent's start waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Variable that names the API server to a pod.
const HOST: &str = "KUBERNETES_SERVICE_HOST";

impl Access {
    /// Addresses of the API server that this leads to; none when it cannot be told now, which is logged.
    pub(crate) fn server_addresses(&self) -> Vec<IpAddr> {
        let host = match self {
            Self::InCluster => std::env::var(HOST).ok().filter(|host| !host.is_empty()),
            Self::Kubeconfig(file) => match Kubeconfig::read_from(file) {
                Ok(kubeconfig) => host_of(&kubeconfig),
                Err(error) => {
                    tracing::warn!(error = words(&error), "where the API server is cannot be told");
                    return Vec::new();
                }
            },
        };
        let Some(host) = host else { return Vec::new() };
        let found = addresses(&host);
        if found.is_empty() {
            tracing::warn!(
                host,
                "the API server's name has no address now, so the NICs on the way there are not protected for its sake; \
                 write its addresses as `apiServers` in agent.yaml"
            );
        }
        found
    }
}

/// Host of the server that the current context names.
fn host_of(kubeconfig: &Kubeconfig) -> Option<String> {
    let current = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|one| one.name == *current)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|one| one.name == context.cluster)?.cluster.as_ref()?;
    let server: Uri = cluster.server.as_ref()?.parse().ok()?;
    server.host().map(str::to_owned)
}

/// Addresses of a host, which may be one itself.
fn addresses(host: &str) -> Vec<IpAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return vec![address];
    }
    // The resolver has no deadline of its own that would do.
    let (send, found) = mpsc::channel();
    let name = bare.to_owned();
    let looked = thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let all = (name.as_str(), 0).to_socket_addrs();
        let _ = send.send(all.map(|all| all.map(|one| one.ip()).collect()).unwrap_or_default());
    });
    let mut found: Vec<IpAddr> = match looked {
        Ok(_) => found.recv_timeout(PATIENCE).unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(server: &str) -> Kubeconfig {
        let text = format!(
            "{{current-context: b, contexts: [{{name: a, context: {{cluster: one, user: u}}}}, {{name: b, context: \
             {{cluster: two, user: u}}}}], clusters: [{{name: one, cluster: {{server: 'https://192.0.2.9'}}}}, {{name: \
             two, cluster: {{server: '{server}'}}}}]}}"
        );
        Kubeconfig::from_yaml(&text).unwrap()
    }

    #[test]
    fn the_server_of_the_current_context_is_the_one() {
        for (server, host) in [
            ("https://192.0.2.1:6443", Some("192.0.2.1")),
            ("https://[fd00::1]:6443/path", Some("[fd00::1]")),
            ("https://api.example", Some("api.example")),
            ("", None),
        ] {
            assert_eq!(host_of(&kubeconfig(server)).as_deref(), host, "{server}");
        }
        let without = Kubeconfig { current_context: None, ..kubeconfig("https://192.0.2.1") };
        assert_eq!(host_of(&without), None);
    }

    #[test]
    fn an_address_is_taken_as_it_is_and_a_name_is_looked_up() {
        let of = |host: &str| addresses(host).iter().map(ToString::to_string).collect::<Vec<_>>();

        assert_eq!(
            (of("192.0.2.1"), of("[fd00::1]")),
            (vec!["192.0.2.1".to_owned()], vec!["fd00::1".to_owned()])
        );
        assert!(of("localhost").contains(&"127.0.0.1".to_owned()));
        assert!(of("nobody.invalid").is_empty());
    }
}

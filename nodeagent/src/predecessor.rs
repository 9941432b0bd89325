//! Whether the predecessor's daemon runs on this node: two that give the same addresses are one too many (TRAPS C7).

use std::time::Duration;

use hwprobe::{Warning, WarningCode};
use openapi::ListenerState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::health::Health;
use crate::inventory::cache::CacheHandle;

/// Its port (CONTRACTS §6).
const PORT: u16 = 11_000;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How soon it is looked for again.
const RETRY: Duration = Duration::from_secs(5);

/// What the warning is about.
const ABOUT: &str = "predecessor";

/// Bytes that are read of its answer.
const ANSWER: usize = 4096;

/// Returns once it serves no pods of this node any more; `beside`: it may go on.
pub(crate) async fn wait_for_its_end(beside: bool, cache: &CacheHandle, health: &Health) {
    let mut waited = false;
    while !beside && !is_ours(health) && answers(PORT).await {
        if !waited {
            let words = format!("the predecessor's daemon serves this node (port {PORT})");
            tracing::warn!("{words}; this agent gives no addresses and installs nothing until it has ended");
            let fix = "delete its DaemonSet, or start this agent with --take-over";
            let warning = Warning::new(WarningCode::PluginsNotInstalled, None, words, fix);
            cache.raise_warning(warning, ABOUT);
            waited = true;
        }
        tokio::time::sleep(RETRY).await;
    }
    if waited {
        cache.clear_warning(WarningCode::PluginsNotInstalled, ABOUT);
    }
}

/// Whether this agent has the port itself: it answers the old routes there, too, where they are offered.
fn is_ours(health: &Health) -> bool {
    let end = format!(":{PORT}");
    health.listeners().iter().any(|one| one.address.ends_with(&end) && one.state == ListenerState::Open)
}

/// Whether somebody on this port of the loopback answers as it does: `/interface` is a list, by any method.
async fn answers(port: u16) -> bool {
    timeout(PATIENCE, ask(port)).await.unwrap_or(Ok(false)).unwrap_or(false)
}

async fn ask(port: u16) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    connection.write_all(b"GET /interface HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = Vec::new();
    connection.take(ANSWER as u64).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return Ok(false) };
    let is_ok = head.split(' ').nth(1) == Some("200");
    Ok(is_ok && body.trim_start().starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::{answers, is_ours};
    use crate::health::Health;
    use openapi::ListenerState;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    fn serve(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let _ = connection.read(&mut [0; 1024]);
            let _ = connection.write_all(answer.as_bytes());
        });
        port
    }

    #[test]
    fn a_port_that_this_agent_has_is_not_the_predecessors() {
        let health = Health::new();
        assert!(!is_ours(&health));
        health.set_listener("127.0.0.1:11000", ListenerState::Busy, None);
        assert!(!is_ours(&health));
        health.set_listener("127.0.0.1:11000", ListenerState::Open, None);
        assert!(is_ours(&health));
    }

    #[tokio::test]
    async fn only_a_list_of_interfaces_is_its_answer() {
        assert!(answers(serve("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[]\n")).await);
        assert!(!answers(serve("HTTP/1.0 404 Not Found\r\n\r\n[]")).await);
        assert!(!answers(serve("HTTP/1.0 200 OK\r\n\r\n<html>")).await);
        assert!(!answers(serve("")).await);
        assert!(!answers(1).await, "nobody is there");
    }
}

//! `multi-nicd probe` and `multi-nicd request`: ask the agent of this machine over its Unix socket.
//!
//! The port may be somebody else's (TRAPS H7), and then a probe over TCP would end an agent that serves pods well.

use std::path::{Path, PathBuf};

use openapi::{Client, ClientError};

use crate::cli::Question;

/// Why the answer is no.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nobody answers, or not in words that are understood.
    #[error("ask the agent at {}", socket.display())]
    Ask {
        /// Its socket.
        socket: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<ClientError>,
    },
    /// There is no runtime to ask in.
    #[error("start")]
    Start(#[source] std::io::Error),
    /// The agent says so itself.
    #[error("the agent is not ready: its inventory has not been read yet, or nobody reads it any more")]
    NotReady,
    /// The agent refuses what was asked for.
    #[error("the agent refuses {path} ({status}): {said}")]
    Refused {
        /// What was asked for.
        path: String,
        /// The status code.
        status: u16,
        /// Its problem document, as it came.
        said: String,
    },
}

/// Asks the agent whose socket is in `run_dir`.
///
/// # Errors
/// When the answer is no, or there is none.
pub fn probe(run_dir: &Path, what: Question) -> Result<(), ProbeError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ProbeError::Start)?;
    let socket = run_dir.join("api.sock");
    let client = Client::unix(&socket);
    let ask = |source| ProbeError::Ask { socket: socket.clone(), source: Box::new(source) };
    runtime.block_on(async {
        match what {
            Question::Live => client.livez().await.map(drop).map_err(ask),
            Question::Ready if client.readyz().await.map_err(ask)?.ready => Ok(()),
            Question::Ready => Err(ProbeError::NotReady),
        }
    })
}

/// What the agent whose socket is in `run_dir` answers to a request, as it came.
///
/// # Errors
/// When there is no answer, or none with a status of success.
pub fn request(run_dir: &Path, method: &str, path: &str, body: String) -> Result<String, ProbeError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ProbeError::Start)?;
    let socket = run_dir.join("api.sock");
    let answer = runtime.block_on(Client::unix(&socket).request(method, path, body.into_bytes()));
    let (status, bytes) = answer.map_err(|source| ProbeError::Ask { socket, source: Box::new(source) })?;
    let said = String::from_utf8_lossy(&bytes).into_owned();
    match status {
        // 503 is what an agent says of itself that is not ready.
        200..=299 => Ok(said),
        503 if path == "/readyz" => Ok(said),
        _ => Err(ProbeError::Refused { path: path.to_owned(), status, said }),
    }
}

/// Waits until somebody wants this program to end (SIGTERM or SIGINT).
///
/// # Errors
/// When signals cannot be received.
pub fn wait_for_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

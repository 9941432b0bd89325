//! The way to an agent: its socket on this machine, or a program beside it in its pod (`pods/exec`).
//!
//! Agents open no port to the cluster. In their pods `multi-nicd request` asks over the socket and prints the answer.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use openapi::{Client, Problem};
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;

use crate::facts::Program;

/// How long a program in a pod may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most that is read of an answer, bytes.
const MOST: u64 = 256 * 1024 * 1024;

/// The way to one agent.
pub(crate) enum Way {
    /// Over its socket on this machine.
    Socket {
        /// The client.
        client: Client,
        /// `multi-nicd`, which records this machine.
        multi_nicd: PathBuf,
    },
    /// By a program in its pod.
    Exec {
        /// Client of the cluster.
        client: kube::Client,
        /// Its pod.
        program: Box<Program>,
    },
}

impl Way {
    /// What the agent answers to a request.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> anyhow::Result<T> {
        let said = match self {
            Self::Socket { client, .. } => {
                let answer = client.request(method, path, body.unwrap_or_default().into_bytes()).await;
                let (status, said) = answer.context("ask the agent")?;
                let told = status == 503 && path == "/readyz";
                if !told && !(200..=299).contains(&status) {
                    bail!("{}", refusal(&String::from_utf8_lossy(&said)));
                }
                said
            }
            Self::Exec { .. } => {
                let mut command = vec!["request", method, path];
                command.extend(body.as_deref());
                self.exec(&command).await?
            }
        };
        serde_json::from_slice(&said).with_context(|| format!("the agent's answer to {path}"))
    }

    /// `GET`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask("GET", path, None).await
    }

    /// A masked recording of its machine, as `hwprobe --replay` opens it.
    pub(crate) async fn snapshot(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Socket { multi_nicd, .. } => {
                let output = tokio::process::Command::new(multi_nicd).arg("snapshot").output().await;
                let output = output.with_context(|| {
                    format!("run {} (--multi-nicd says where it is)", multi_nicd.display())
                })?;
                if !output.status.success() {
                    bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
                }
                Ok(output.stdout)
            }
            Self::Exec { .. } => self.exec(&["snapshot"]).await,
        }
    }

    /// What `multi-nicd` prints in the agent's pod.
    async fn exec(&self, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        let Self::Exec { client, program } = self else { bail!("there is no pod to run something in") };
        let pods: Api<Pod> = Api::namespaced(client.clone(), &program.namespace);
        let parameters = AttachParams::default().container(&program.container).stderr(true).stdin(false);
        let command = [&["/bin/multi-nicd"], arguments].concat();
        let run = async {
            let mut process = pods.exec(&program.name, command, &parameters).await.map_err(|error| {
                anyhow!("{}; the right to create pods/exec is in deploy/kubectl-multinic", words(&error))
            })?;
            let (stdout, stderr) = (process.stdout(), process.stderr());
            let status = process.take_status();
            let read = |stream| async move {
                let mut bytes = Vec::new();
                if let Some(stream) = stream {
                    tokio::io::AsyncReadExt::take(stream, MOST).read_to_end(&mut bytes).await?;
                }
                anyhow::Ok(bytes)
            };
            let (out, complaint) = tokio::join!(read(stdout), async {
                let mut bytes = Vec::new();
                if let Some(stream) = stderr {
                    stream.take(MOST).read_to_end(&mut bytes).await?;
                }
                anyhow::Ok(bytes)
            });
            let status = match status {
                Some(status) => status.await,
                None => None,
            };
            match status.and_then(|status| status.status).as_deref() {
                Some("Success") => out,
                _ => bail!("{}", refusal(String::from_utf8_lossy(&complaint?).trim())),
            }
        };
        let (pod, seconds) = (&program.name, PATIENCE.as_secs());
        let answer = tokio::time::timeout(PATIENCE, run).await;
        answer.map_err(|_| anyhow!("no answer within {seconds} s"))?.with_context(|| format!("in pod {pod}"))
    }
}

/// The agent's own words, where what it said holds a problem document.
fn refusal(said: &str) -> String {
    let document = said.find('{').and_then(|start| said.get(start..));
    match document.and_then(|text| serde_json::from_str::<Problem>(text).ok()) {
        Some(problem) => problem.detail.unwrap_or(problem.title),
        None => said.to_owned(),
    }
}

/// What went wrong: the server's own words where it has answered.
pub(crate) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("the API server says {}: {}", status.code, status.message),
        other => {
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(error) = cause {
                let more = error.to_string();
                if !text.contains(&more) {
                    text = format!("{text}: {more}");
                }
                cause = error.source();
            }
            text
        }
    }
}

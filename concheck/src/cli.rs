//! The command line.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Args, Parser, Subcommand};

use crate::measurement::{Outcome, measure};
use crate::protocol::{Order, PORT, TOKEN, Token};
use crate::report::Report;
use crate::table::table;
use crate::{driver, matrix, output, serving};

/// Exit code when at least one pair is not connected.
pub(crate) const NOT_CONNECTED: u8 = 1;

/// Exit code when nothing could be checked.
pub(crate) const COULD_NOT_CHECK: u8 = 2;

/// Checks that every host reaches every other one over every interface of a multi-NIC network, and how fast.
#[derive(Debug, Parser)]
#[command(name = "multi-nic-concheck", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Makes a pod on every host, measures every pair, prints a table, and takes everything away again.
    ///
    /// Exit code: 0 all connected, 1 some pair is not, 2 it could not be checked.
    Run(Box<RunArguments>),
    /// Listens in a pod of a run; the environment variable CONCHECK_TOKEN has the run's secret.
    Serve {
        /// TCP and UDP port.
        #[arg(long, default_value_t = PORT)]
        port: u16,
    },
    /// Draws table and page of a check whose `--json` was kept.
    Render {
        /// File with the JSON; `-`: standard input.
        report: PathBuf,
        /// Writes the page here; otherwise the table is printed.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Measures one listener, and prints the outcome as JSON; CONCHECK_TOKEN must be that of the listener.
    Measure(MeasureArguments),
}

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArguments {
    /// Only this network; may be repeated [default: all].
    #[arg(long = "network", value_name = "NAME")]
    pub(crate) networks: Vec<String>,
    /// Only these hosts; may be repeated [default: all that a network is on].
    #[arg(long = "host", value_name = "NODE")]
    pub(crate) hosts: Vec<String>,
    /// Namespace of the pods.
    #[arg(long, default_value = "default")]
    pub(crate) namespace: String,
    /// Image of the pods [default: that of the driver's own pod, else localhost/multi-nic-concheck of this version].
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// How long each pair is measured, seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(crate) seconds: u16,
    /// TCP streams at once for each pair.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) streams: u8,
    /// How long a connection may take, seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=60))]
    pub(crate) connect_timeout: u16,
    /// How long the pods of a network may take to start, seconds.
    #[arg(long, default_value_t = 180)]
    pub(crate) pod_timeout: u32,
    /// How long the whole check may take, seconds; then what is known is printed.
    #[arg(long, default_value_t = 3000)]
    pub(crate) timeout: u32,
    /// Prints JSON instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Also writes a page with a matrix of all hosts.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// How to reach the cluster [default: KUBECONFIG, ~/.kube/config, or the account of the pod].
    #[arg(long, value_name = "FILE", env = "KUBECONFIG_FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// How long other checks wait for this one when it was killed, seconds.
    #[arg(long, hide = true, default_value_t = 15, value_parser = clap::value_parser!(u16).range(3..=600))]
    pub(crate) lease_seconds: u16,
    /// Name of the pod that the driver runs in: its pods get the same owner and image.
    #[arg(long, env = "POD_NAME", hide = true)]
    pub(crate) pod_name: Option<String>,
}

#[derive(Debug, Args)]
struct MeasureArguments {
    /// Address of the listener, with or without its port.
    #[arg(long, value_parser = peer)]
    to: SocketAddr,
    /// Address of the interface that the packets leave by.
    #[arg(long)]
    from: IpAddr,
    /// How long data is sent, seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u16,
    /// TCP streams at once.
    #[arg(long, default_value_t = 5)]
    streams: u8,
    /// How long a connection may take, milliseconds.
    #[arg(long, default_value_t = 5000)]
    patience_ms: u32,
}

fn peer(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse::<SocketAddr>();
    with_port
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT)))
        .map_err(|_| "write 192.168.0.1, 192.168.0.1:5301 or [fd10::1]:5301".to_owned())
}

impl Cli {
    /// Does what was asked for.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.role {
            Role::Run(arguments) => driver::run(&arguments),
            Role::Serve { port } => serving::serve(port, token()?).map(|()| ExitCode::SUCCESS),
            Role::Render { report, html } => render(&report, html.as_deref()),
            Role::Measure(arguments) => arguments.measure(&token()?),
        }
    }
}

fn render(file: &Path, html: Option<&Path>) -> anyhow::Result<ExitCode> {
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(file),
    };
    let text = text.with_context(|| format!("read {}", file.display()))?;
    // The log of a Job has lines of progress before it.
    let json = text.find("\n{").map_or(&*text, |start| text.get(start..).unwrap_or_default());
    let report: Report = serde_json::Deserializer::from_str(json)
        .into_iter()
        .next()
        .context("there is nothing in it")?
        .with_context(|| format!("{}: give it what `run --json` printed", file.display()))?;
    match html {
        Some(html) => {
            std::fs::write(html, matrix::page(&report))
                .with_context(|| format!("write {}", html.display()))?;
        }
        None => {
            let checked = report.networks.iter().filter(|network| network.not_checkable.is_none());
            output::result(&checked.map(table).collect::<String>())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl MeasureArguments {
    fn measure(&self, token: &Token) -> anyhow::Result<ExitCode> {
        let order = Order {
            peer: self.to,
            source: self.from,
            streams: self.streams,
            seconds: self.seconds,
            patience_ms: self.patience_ms,
        };
        if let Some(problem) = order.problem() {
            return Err(anyhow!(problem));
        }
        let outcome = measure(token, &order);
        output::result(&(serde_json::to_string_pretty(&outcome)? + "\n"))?;
        Ok(match outcome {
            Outcome::Connected(_) => ExitCode::SUCCESS,
            Outcome::Failed(_) => ExitCode::from(NOT_CONNECTED),
        })
    }
}

fn token() -> anyhow::Result<Token> {
    let text = std::env::var(TOKEN).with_context(|| format!("{TOKEN}: set it to the run's secret"))?;
    Token::new(&text).map_err(|problem| anyhow!(problem))
}

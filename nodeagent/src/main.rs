//! The executable multi-nicd.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use nodeagent::{Cli, Command, Config};

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // `{:#}` shows every cause on one line.
            let _ = writeln!(io::stderr(), "multi-nicd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    if cli.print_default {
        return print(&nodeagent::default_file());
    }
    match &cli.command {
        None => {}
        Some(Command::Openapi) => {
            return print(&nodeagent::openapi_document().context("make the OpenAPI document")?);
        }
        Some(Command::Probe { what }) => return Ok(nodeagent::probe(&cli.run_dir, *what)?),
        Some(Command::Request { method, path, body }) => {
            let body = body.clone().unwrap_or_default();
            return print(&nodeagent::request(&cli.run_dir, method, path, body)?);
        }
        Some(Command::Snapshot) => return print(&nodeagent::snapshot(&cli.config)?),
        Some(Command::Uninstall) => {
            return nodeagent::uninstall(cli)?
                .iter()
                .try_for_each(|what| print(&format!("taken away: {what}\n")));
        }
        Some(Command::Wait) => return Ok(nodeagent::wait_for_signal()?),
        Some(Command::SriovPlan) => return print(&nodeagent::sriov_plan(&cli.config)?),
        Some(Command::CniConfig { network }) => return print(&nodeagent::cni_config(&cli.config, network)?),
    }
    let config = Config::resolve(cli)?;
    if !cli.standalone && config.cluster.is_none() {
        bail!("say --standalone, or --cluster or --kubeconfig FILE");
    }
    Ok(nodeagent::run(config)?)
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(io::stdout().lock().write_all(text.as_bytes())?)
}

/// The reader has seen enough (`| head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().map(io::Error::kind) == Some(io::ErrorKind::BrokenPipe)
    };
    error.chain().any(io)
}

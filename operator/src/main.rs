//! The executable `multi-nic-operator`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use operator::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let logger = tracing_subscriber::fmt().with_max_level(cli.log_level).with_writer(std::io::stderr);
    let started = if cli.log_text {
        logger.with_target(false).try_init()
    } else {
        logger.json().flatten_event(true).try_init()
    };
    if started.is_err() {
        return ExitCode::FAILURE;
    }
    match operator::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %operator::sentence(&error), "the operator ends");
            ExitCode::FAILURE
        }
    }
}

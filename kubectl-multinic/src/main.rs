//! The executable `kubectl-multinic`.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match kubectl_multinic::run(&kubectl_multinic::Cli::parse(), &mut io::stdout().lock()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
                cause.downcast_ref::<io::Error>().map(io::Error::kind) == Some(io::ErrorKind::BrokenPipe)
            };
            if error.chain().any(broken_pipe) {
                return ExitCode::SUCCESS;
            }
            let _ = writeln!(io::stderr(), "kubectl-multinic: {error:#}");
            ExitCode::from(kubectl_multinic::COULD_NOT_ASK)
        }
    }
}

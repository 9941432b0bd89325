//! Developer commands of the workspace: `cargo xtask COMMAND`.
//!
//! One file per command; this one only dispatches. Whatever a command needs
//! (Debian packages, the lab's machines) it fetches itself and says so first.
#![forbid(unsafe_code)]

mod bench;
mod codegen;
mod dist;
mod docs;
mod http;
mod lab;
mod output;
mod program;
mod run;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of Multi-NIC.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build and start the agent on this machine's NICs, without a cluster.
    Run(run::Arguments),
    /// Run every check and test; ends with one line of counts.
    Test(test::Arguments),
    /// Run one of the scripts in lab/ ("setup" prepares the whole lab).
    Lab(lab::Arguments),
    /// Check the rules that no compiler knows: arrows, names, licences, documents.
    Tidy(tidy::Arguments),
    /// Write the generated files.
    Codegen(codegen::Arguments),
    /// Measure, beside the tools that people use today.
    Bench(bench::Arguments),
    /// Make the executables, and container images of them.
    Dist(dist::Arguments),
    /// Make the site of the documents, to be read without a network.
    Docs,
    /// Let pods come and go while the agent is killed, for long (needs root).
    Soak(soak::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Lab(arguments) => lab::run(&arguments),
        Command::Tidy(arguments) => tidy::run(&arguments),
        Command::Codegen(arguments) => codegen::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Dist(arguments) => dist::run(&arguments),
        Command::Docs => docs::run(),
        Command::Soak(arguments) => soak::run(&arguments),
    };
    result.unwrap_or_else(|error| {
        output::failure(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

//! The executable `multi-nic-concheck`: can every host reach every other one over every interface of a network, and how
//! fast?
//!
//! ```text
//! run (driver) ──pods──► API server          serve (a pod on each host)
//!      │                                         ▲  ▲
//!      └──control, primary address: "measure B"──┘  └── measured streams, over the interface ── serve (another pod)
//! ```
//! The driver decides (pure: `table of addresses → tests → rounds`), the pods measure with plain blocking sockets.

#![forbid(unsafe_code)]

mod addresses;
mod cli;
mod cluster;
mod control;
mod counters;
mod driver;
mod lease;
mod matrix;
mod measurement;
mod networks;
mod output;
mod pods;
mod protocol;
mod report;
mod rounds;
mod serving;
mod socket;
mod table;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            output::progress(&format!("multi-nic-concheck: {error:#}"));
            ExitCode::from(cli::COULD_NOT_CHECK)
        }
    }
}

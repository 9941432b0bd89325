//! `hwprobe`: what NICs this machine has, for people and for scripts.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

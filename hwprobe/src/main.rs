//! `hwprobe`: what NICs this machine has, for people and for scripts.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

//! Everything that the commands print: the only file that writes to the terminal.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this module is for")]

use std::time::Duration;

/// One line of a command's result.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// One line of progress, with the time since the command started.
pub(crate) fn progress(since_start: Duration, text: &str) {
    println!("[{:>4} s] {text}", since_start.as_secs());
}

/// One line that says what went wrong.
pub(crate) fn failure(text: &str) {
    eprintln!("xtask: {text}");
}

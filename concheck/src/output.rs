//! What people read: results on standard output, progress on standard error.

use std::io::{self, Write};

/// Results, as they are.
///
/// # Errors
/// When nobody reads them.
pub(crate) fn result(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A line of progress. A reader that is gone does not stop a check.
pub(crate) fn progress(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

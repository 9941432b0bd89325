//! The rows, by subject.

pub mod add;
pub mod chain;
pub mod check;
pub mod del;
pub mod environment;
pub mod gc;
pub mod input;
pub mod kernel;
pub mod result;
pub mod status;

use super::table::Case;

/// All rows, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        environment::CASES,
        input::CASES,
        result::CASES,
        kernel::CASES,
        add::CASES,
        del::CASES,
        check::CASES,
        chain::CASES,
        gc::CASES,
        status::CASES,
    ]
    .into_iter()
    .flatten()
}

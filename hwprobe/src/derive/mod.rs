//! What follows from the facts. Pure: the same facts give the same answers.

pub(crate) mod capacity;
pub(crate) mod extra_macs;
pub(crate) mod held;
pub(crate) mod protected;
pub(crate) mod secondary;
pub(crate) mod speed;
mod speed_table;
pub(crate) mod topology;
pub(crate) mod warnings;

pub use topology::relation;

//! Gives NICs and addresses to pods and takes them back.
#![forbid(unsafe_code)]

pub mod gate;
pub mod network;
pub mod record;
pub mod select;
pub mod usage;

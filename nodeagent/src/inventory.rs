//! The inventory cache: read when the kernel says that something changed, published as one value.

pub(crate) mod cache;
pub(crate) mod diff;
pub(crate) mod events;
pub(crate) mod published;
mod reprobe;
mod settle;

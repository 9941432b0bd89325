//! Machines that were recorded, or made by hand after public documentation, and what the probe must find on
//! them.

mod collection;
mod facts;
mod replay;

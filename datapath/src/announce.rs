//! Tells the neighbours.

//! The page at `/` in a real browser, against the real agent. The browser, the agent and the links that it
//! shows live in network and mount namespaces of their own, so nothing else of the machine is seen or touched.
//!
//! REQUIRES: root, the Debian packages chromium and chromium-driver.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on stops with the cause"
)]

mod browser;
mod content;
mod live;
mod look;
mod node;
mod start;
mod vf_cells;

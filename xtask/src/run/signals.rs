//! Ctrl-C and its kin as something to wait for, instead of an end in the middle.

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::{SigSet, Signal};

/// SIGINT, SIGTERM and SIGHUP, taken from the whole process.
pub(crate) struct Signals(Receiver<Signal>);

impl Signals {
    /// Must be called while the process has one thread: later ones inherit the mask.
    pub(crate) fn take() -> Result<Self> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block()?;
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            while let Ok(signal) = signals.wait() {
                if sender.send(signal).is_err() {
                    return;
                }
            }
        });
        Ok(Self(receiver))
    }

    /// Waits that long; true when a signal came.
    pub(crate) fn within(&self, time: Duration) -> bool {
        self.0.recv_timeout(time).is_ok()
    }
}

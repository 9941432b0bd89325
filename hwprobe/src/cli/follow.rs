//! `--watch`: changes as they happen.

use std::io::{self, Write};
use std::time::Instant;

use anyhow::Context;
use hwprobe::{Difference, FieldChange, Probe, Watcher, differences};
use serde_json::json;

/// Prints what changes, for ever.
pub(crate) fn follow(probe: &mut Probe, json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
    // Watching begins before the first look: nothing falls between.
    let mut watcher = Watcher::open()?;
    let mut before = probe.inventory();
    let start = Instant::now();
    if !json {
        writeln!(out, "watching {} NICs; Ctrl-C ends", before.nics.len())?;
        out.flush()?;
    }
    loop {
        for change in watcher.wait(None, None)? {
            probe.forget(&change);
        }
        let after = probe.inventory();
        for difference in differences(&before, &after) {
            if json {
                serde_json::to_writer(&mut *out, &as_json(&difference))
                    .map_err(io::Error::from)
                    .context("print a change")?;
                writeln!(out)?;
            } else {
                print(&difference, start, out)?;
            }
        }
        out.flush()?;
        before = after;
    }
}

fn print(difference: &Difference, start: Instant, out: &mut dyn Write) -> std::io::Result<()> {
    let at = start.elapsed().as_secs_f32();
    let mut fields = |name: &str, changes: &[FieldChange]| {
        for change in changes {
            writeln!(out, "+{at:.3}s {name} {}: {} -> {}", change.path, change.from, change.to)?;
        }
        Ok(())
    };
    match difference {
        Difference::NicAdded(nic) => writeln!(out, "+{at:.3}s {} appeared ({})", nic.label(), nic.id),
        Difference::NicRemoved(nic) => writeln!(out, "+{at:.3}s {} vanished ({})", nic.label(), nic.id),
        Difference::NicChanged { nic, changes } => fields(nic.label(), changes),
        Difference::NodeChanged(changes) => fields("node", changes),
        Difference::WarningRaised(warning) => writeln!(out, "+{at:.3}s warning: {}", warning.message),
        Difference::WarningCleared(warning) => writeln!(out, "+{at:.3}s no longer: {}", warning.message),
    }
}

fn as_json(difference: &Difference) -> serde_json::Value {
    match difference {
        Difference::NicAdded(nic) => json!({"event": "nic.added", "nic": nic}),
        Difference::NicRemoved(nic) => json!({"event": "nic.removed", "nic": nic}),
        Difference::NicChanged { nic, changes } => {
            json!({"event": "nic.changed", "id": nic.id, "changes": changes})
        }
        Difference::NodeChanged(changes) => json!({"event": "node.changed", "changes": changes}),
        Difference::WarningRaised(warning) => json!({"event": "warning.raised", "warning": warning}),
        Difference::WarningCleared(warning) => json!({"event": "warning.cleared", "warning": warning}),
    }
}

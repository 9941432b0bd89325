//! `--watch`: changes as they happen.

use std::io::{self, Write};
use std::time::Instant;

use anyhow::Context;
use hwprobe::{Difference, DifferenceKind, FieldChange, Probe, Watcher, differences};
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
        for difference in differences(Some(&before), &after) {
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
    let value = |value: &Option<serde_json::Value>| {
        value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    let mut thing = |kind: DifferenceKind, name: &str, changes: &[FieldChange]| {
        match kind {
            DifferenceKind::Added => writeln!(out, "+{at:.3}s {name} appeared")?,
            DifferenceKind::Removed => writeln!(out, "+{at:.3}s {name} vanished")?,
            DifferenceKind::Changed => {}
        }
        for FieldChange { path, from, to } in changes {
            writeln!(out, "+{at:.3}s {name} {path}: {} -> {}", value(from), value(to))?;
        }
        Ok(())
    };
    match difference {
        Difference::Nic { kind, nic, changes } => {
            thing(*kind, &format!("{} ({})", nic.label(), nic.id), changes)
        }
        Difference::Gpu { kind, gpu, changes } => thing(*kind, &format!("GPU {}", gpu.pci), changes),
        Difference::Node { changes } => thing(DifferenceKind::Changed, "node", changes),
        Difference::WarningRaised(warning) => writeln!(out, "+{at:.3}s warning: {}", warning.message),
        Difference::WarningCleared(warning) => writeln!(out, "+{at:.3}s no longer: {}", warning.message),
    }
}

fn as_json(difference: &Difference) -> serde_json::Value {
    let event = |thing: &str, kind: &DifferenceKind| {
        let what = match kind {
            DifferenceKind::Added => "added",
            DifferenceKind::Removed => "removed",
            DifferenceKind::Changed => "changed",
        };
        format!("{thing}.{what}")
    };
    match difference {
        Difference::Nic { kind, nic, changes } => {
            json!({"event": event("nic", kind), "nic": nic.id, "name": nic.name, "changes": changes})
        }
        Difference::Gpu { kind, gpu, changes } => {
            json!({"event": event("gpu", kind), "gpu": gpu.pci, "changes": changes})
        }
        Difference::Node { changes } => json!({"event": "node.changed", "changes": changes}),
        Difference::WarningRaised(warning) => json!({"event": "warning.raised", "warning": warning}),
        Difference::WarningCleared(warning) => json!({"event": "warning.cleared", "warning": warning}),
    }
}

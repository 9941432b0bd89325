//! The command line of `hwprobe`.

mod args;
mod explain;
mod follow;
mod provenance;
mod table;
mod vf_cells;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use hwprobe::{Inventory, Nic, Probe, is_named};

use args::{Args, Color, Command};

/// Bytes that are printed at once; a pipe takes as many.
const OUTPUT_BUFFER: usize = 64 * 1024;

/// Parses, runs, turns errors into an exit code.
pub(crate) fn run() -> ExitCode {
    match carry_out(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // `hwprobe | head` is no error.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "hwprobe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn carry_out(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings();
    if let Some(Command::Snapshot { file, mask }) = &args.command {
        if args.replay.is_some() {
            bail!("`snapshot` records a machine: leave out --replay");
        }
        let snapshot = Probe::record(args.root.as_deref(), &settings)?;
        let snapshot = if *mask { snapshot.masked()? } else { snapshot };
        snapshot.save(file)?;
        return Ok(());
    }
    let mut probe = match (&args.root, &args.replay) {
        (Some(dir), _) => Probe::tree(dir, settings)?,
        (None, Some(file)) => Probe::replay(file, settings)?,
        (None, None) => Probe::live(settings)?,
    };
    let color = match args.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    // Buffered: an inventory of a thousand NICs has a hundred thousand lines.
    let mut out = io::BufWriter::with_capacity(OUTPUT_BUFFER, io::stdout().lock());
    if args.watch {
        if args.root.is_some() || args.replay.is_some() {
            bail!("--watch needs the running machine: leave out --root and --replay");
        }
        return follow::follow(&mut probe, args.json, &mut out);
    }
    let inventory = probe.inventory();
    if let Some(name) = &args.explain {
        let nic = find(&inventory, name)?;
        return explain::print(nic, &inventory, args.root.is_some(), &mut out).map_err(Into::into);
    }
    if args.json {
        // As the writer's own error: serde_json's hides it from the chain of causes.
        serde_json::to_writer_pretty(&mut out, &inventory)
            .map_err(io::Error::from)
            .context("print the inventory")?;
        writeln!(out)?;
    } else {
        table::print(&inventory, args.wide, args.all, color, &mut out)?;
    }
    out.flush()?;
    Ok(())
}

/// The one NIC that goes by `name`.
fn find<'a>(inventory: &'a Inventory, name: &str) -> anyhow::Result<&'a Nic> {
    let found: Vec<&Nic> = inventory.nics.iter().filter(|nic| is_named(nic, name)).collect();
    match found.as_slice() {
        [nic] => Ok(nic),
        [] => {
            let names: Vec<&str> = inventory.nics.iter().map(Nic::label).collect();
            bail!("no NIC is called `{name}`; there are: {}", names.join(", "))
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|nic| nic.id.as_str()).collect();
            bail!("`{name}` names {} NICs; use one of the ids {}", ids.len(), ids.join(", "))
        }
    }
}

//! Arguments.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use hwprobe::{ProbeSettings, SpeedMbps, SpeedThresholds};

/// Shows the NICs of this machine: what they are, how fast, and what SR-IOV capacity they hold.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = false)]
pub(crate) struct Args {
    /// Read a captured /sys (and /proc) tree from DIR; the running kernel is not asked.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) root: Option<PathBuf>,
    /// Read the machine that a snapshot recorded.
    #[arg(long, value_name = "FILE", conflicts_with = "root")]
    pub(crate) replay: Option<PathBuf>,
    /// Print the whole inventory as JSON: the document of the API's /v1/inventory.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show more columns, and the VFs of each PF as cells: free, held by whom, broken why, missing.
    #[arg(long)]
    pub(crate) wide: bool,
    /// Show virtual functions and virtual links too.
    #[arg(long)]
    pub(crate) all: bool,
    /// Show every fact of one NIC with the file or message that it comes from, and its warnings.
    #[arg(long, value_name = "NIC", conflicts_with_all = ["json", "watch"])]
    pub(crate) explain: Option<String>,
    /// Keep running and print changes as they happen; with --json one JSON object a line.
    #[arg(long)]
    pub(crate) watch: bool,
    /// When to use colour.
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Where the speed class `standard` begins.
    #[arg(long, value_name = "SPEED", default_value = "10G")]
    standard_from: SpeedMbps,
    /// Where the speed class `high` begins.
    #[arg(long, value_name = "SPEED", default_value = "100G")]
    high_from: SpeedMbps,
    /// A NIC that carries the node (name, PCI address or MAC); may be repeated.
    #[arg(long, value_name = "NIC")]
    protected: Vec<String>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What else to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Record all that the probe reads of this machine into one file, for --replay.
    Snapshot {
        /// The file; compressed unless its name ends in .json.
        file: PathBuf,
        /// Replace MAC addresses, serial numbers, IP addresses and host names by made-up ones.
        #[arg(long)]
        mask: bool,
    },
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Args {
    /// The probe's settings that follow.
    pub(crate) fn settings(&self) -> ProbeSettings {
        ProbeSettings {
            thresholds: SpeedThresholds { standard_from: self.standard_from, high_from: self.high_from },
            protected: self.protected.clone(),
            ..ProbeSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Args;

    #[test]
    fn the_definition_holds_for_every_subcommand() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_machine_is_captured_or_recorded_not_both() {
        let parse = |line: &str| Args::try_parse_from(line.split(' ')).is_ok();

        assert!(!parse("hwprobe --root a --replay b"));
        assert!(parse("hwprobe --root a snapshot file"));
        assert!(parse("hwprobe snapshot file --root a"));
    }
}

//! `cargo xtask bench attach`: pods get NICs, by us and by Debian's plugins, beside the work that nobody can avoid.
//!
//! Everything happens in a network and mount namespace of its own; this machine's links are not touched.

mod caller;
mod empty;
mod floor;
mod one_by_one;
mod ours;
mod pair;
mod place;
mod table;
mod together;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{output, program};
use caller::Caller;
use floor::Bare;
use ours::Ours;
use place::Place;
use table::Table;

/// NICs of a pod that asks for many.
const MANY: usize = 8;

/// How much is measured.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Amount {
    /// Turns in which every contender attaches and detaches one pod.
    #[arg(long, default_value_t = 30)]
    pub(super) turns: usize,
    /// Pods that arrive at once, eight at a time.
    #[arg(long, default_value_t = 200)]
    pub(super) pods: usize,
}

/// Which link kind a machine can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The host's kernel has it.
    Macvlan,
    /// The lab's kernel has it; it takes no MAC of its own, so it is the usual kind.
    Ipvlan,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
        }
    }

    /// `mode` of the CNI plugin of that name.
    fn mode(self) -> &'static str {
        match self {
            Self::Macvlan => "bridge",
            Self::Ipvlan => "l2",
        }
    }
}

/// Who attaches: executables that are called one after the other for one pod.
struct Contender {
    name: &'static str,
    /// One NIC a pod.
    one: Vec<Caller>,
    /// [`MANY`] NICs a pod.
    many: Vec<Caller>,
}

/// On this host.
pub(super) fn on_host(workspace: &Workspace, amount: Amount) -> Result<()> {
    program::must(workspace.lab("packages").args(["test", "node"]))?;
    let programs = build(workspace)?;
    run(&programs, &workspace.target.join("bench"), Kind::Macvlan, amount)
}

/// In a machine of the lab, which has ipvlan.
pub(super) fn in_machine(workspace: &Workspace, amount: Amount) -> Result<()> {
    program::must(workspace.lab("packages").args(["test", "vm", "node"]))?;
    let programs = build(workspace)?;
    // The host's root as the machine sees it: with a page cache, as a disk would have.
    let cached = |path: &Path| format!("/run/host{}", path.display());
    let mut machine = workspace.lab("vm-run");
    machine.arg("--share").arg(&workspace.root).args(["--mem", "2048", "--timeout", "1800", "--"]);
    machine.arg(cached(&std::env::current_exe()?)).args(["bench", "attach", "--programs"]);
    machine.arg(cached(&programs));
    machine.args(["--turns", &amount.turns.to_string(), "--pods", &amount.pods.to_string()]);
    output::line("in a machine of the lab (an emulated CPU: compare its times with one another only)");
    program::must(&mut machine)
}

/// As [`on_host`], with what is built already; in a machine of the lab with its kind of links.
pub(super) fn with_programs(programs: &Path, amount: Amount) -> Result<()> {
    let kind = if Path::new("/run/vm").is_dir() { Kind::Ipvlan } else { Kind::Macvlan };
    run(programs, &std::env::temp_dir().join("bench"), kind, amount)
}

/// The very files that ship, and the process that does nothing. Returns their folder.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    output::line("building the release executables (the first time takes minutes)");
    let folder = workspace.target.join("release");
    let crates = ["build", "--quiet", "--release", "-p", "nodeagent", "-p", "cni", "--bins"];
    program::must(workspace.cargo().args(crates))?;
    std::fs::create_dir_all(&folder)?;
    empty::build(workspace, &folder)?;
    Ok(folder)
}

fn run(programs: &Path, folder: &Path, kind: Kind, amount: Amount) -> Result<()> {
    let place = Place::new(folder, amount.pods.max(100))?;
    let pair = pair::contender(&place, kind)?;
    let ours = Ours::start(programs, &place, kind)?;
    let contenders = [&pair, ours.contender()];
    let bare = |nics| Bare::new(&place, kind, ours.contender(), nics);
    describe(&place, kind)?;
    let empty = empty::path(programs);
    let mut table = Table::new(&contenders);
    let one = one_by_one::one_nic(&place, &bare, &contenders, &empty, amount.turns, &mut table)?;
    one_by_one::many_nics(&place, &bare, &contenders, amount.turns.div_ceil(2), &mut table)?;
    together::arrivals(&place, &contenders, amount.pods, &mut table)?;
    together::at_once(&place, &contenders, &one, &mut table)?;
    together::departures(&place, &contenders, &mut table)?;
    table.print();
    Ok(())
}

/// One line that says where the times are from.
fn describe(place: &Place, kind: Kind) -> Result<()> {
    let text = |file: &str| std::fs::read_to_string(file).map(|text| text.trim().to_owned());
    let cpuinfo = text("/proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
    let date = program::stdout(Command::new("date").arg("+%Y-%m-%d"))?;
    output::line(&format!(
        "{}, {} cores ({}), Linux {}, {} on veth masters, state on {}",
        String::from_utf8_lossy(&date).trim(),
        cores(),
        model.trim_start_matches([' ', '\t', ':']),
        text("/proc/sys/kernel/osrelease")?,
        kind.name(),
        place.file_system()?,
    ));
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

//! What grows in an agent that should not: descriptors, threads, memory, the store's file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::model::Model;
use crate::harness::{Agent, Lab};

/// What an agent holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Open descriptors.
    descriptors: usize,
    /// Those that are network namespaces.
    namespaces: usize,
    /// Threads, and how many of them are in another namespace than the agent.
    threads: usize,
    abroad: usize,
    /// Resident memory, kB.
    resident: u64,
    /// Bytes of the store's files on the disk.
    store: u64,
}

/// Idle route sockets that the agent keeps, and a few of its clients.
const DESCRIPTORS: usize = 16 + 8;

/// Threads that wait for CNI calls (`WAITING` in `cni_server.rs`), all but the one that waits from the start, and those
/// that a runtime may start when it is asked something.
const THREADS: usize = 7 + 4;

/// Growth of memory that is no leak, kB: pools of the allocator for hundreds of threads at once.
const RESIDENT: u64 = 24 * 1024;

/// Bytes of a store that has been busy; rows of addresses that rest are in there.
const STORE: u64 = 24 * 1024 * 1024;

/// How long what an answer left behind may take to go (TRAPS P4), and a look at it.
const PATIENCE: Duration = Duration::from_secs(8);

impl Facts {
    pub(crate) fn of(agent: &Agent, lab: &Lab) -> Self {
        let process = format!("/proc/{}", agent.pid());
        let links = |folder: &str| {
            let entries = fs::read_dir(format!("{process}/{folder}")).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let descriptors: Vec<_> =
            links("fd").into_iter().filter_map(|path| fs::read_link(path).ok()).collect();
        let home = fs::read_link(format!("{process}/ns/net")).ok();
        let threads: Vec<_> =
            links("task").into_iter().filter_map(|path| fs::read_link(path.join("ns/net")).ok()).collect();
        let status = fs::read_to_string(format!("{process}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok());
        let files = fs::read_dir(lab.path("state")).into_iter().flatten().flatten();
        let sizes = files.filter_map(|file| file.metadata().ok()).filter(|file| file.is_file());
        Self {
            descriptors: descriptors.len(),
            namespaces: descriptors.iter().filter(|link| link.to_string_lossy().starts_with("net:[")).count(),
            threads: threads.len(),
            abroad: threads.iter().filter(|thread| Some(*thread) != home.as_ref()).count(),
            resident: resident.unwrap_or_default(),
            store: sizes.map(|file| file.blocks() * 512).sum(),
        }
    }

    fn is_quiet(&self, idle: &Self) -> bool {
        self.namespaces <= idle.namespaces
            && self.abroad == 0
            && self.threads <= idle.threads + THREADS
            && self.descriptors <= idle.descriptors + DESCRIPTORS
    }
}

/// One agent's life without a kill.
#[derive(Debug)]
pub(crate) struct Watch {
    begun: Facts,
    cycles: u64,
}

impl Watch {
    /// From now on.
    pub(crate) fn begin(agent: &Agent, lab: &Lab, cycles: u64) -> Self {
        Self { begun: Facts::of(agent, lab), cycles }
    }

    /// Cycles that were over before.
    pub(crate) fn cycles(&self) -> u64 {
        self.cycles
    }

    /// All pods are gone: so is what the agent had of them.
    pub(crate) fn end(&self, agent: &Agent, lab: &Lab, idle: &Facts, model: &Model) {
        let end = Instant::now() + PATIENCE;
        let mut now = Facts::of(agent, lab);
        while !now.is_quiet(idle) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
            now = Facts::of(agent, lab);
        }
        let cycles = model.counts.cycles.load(Ordering::Relaxed) - self.cycles;
        println!("{cycles} cycles of one agent: idle {idle:?}, begun {:?}, at the end {now:?}", self.begun);
        let grown = now.resident.saturating_sub(self.begun.resident);
        if !now.is_quiet(idle) || grown > RESIDENT || now.store > STORE {
            model.is_wrong(format!("the agent holds {now:?}, idle {idle:?}, began with {:?}", self.begun));
        }
    }
}

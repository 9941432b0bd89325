//! What a change of one VF costs the inventory, on a small machine and on one with 1,024 VFs.
//!
//! The machines are synthetic trees mounted over `/sys` in a mount namespace of our own, read as this machine: only so
//! does the cache work that an agent has. Their links are no links of the kernel, so its answers are not in the times.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hwprobe::{Change, Probe, ProbeSettings};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use super::super::synthetic::{self, Shape};
use super::compare;
use crate::output;

const SMALL: Shape = Shape { physical: 2, virtual_each: 4 };
const LARGE: Shape = Shape { physical: 8, virtual_each: 128 };

/// The first VF of the first PF, in both.
const CHANGED: &str = "sys/devices/pci0000:0f/0000:0f:01.0/0000:10:00.2";

pub(super) fn measure(turns: usize) -> Result<()> {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).context("an own mount namespace")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("private mounts")?;
    let folder = std::env::temp_dir().join("bench-sriov");
    let (small, whole_small) = on(&folder, SMALL, turns)?;
    let (large, whole_large) = on(&folder, LARGE, turns)?;
    compare("a VF changed: the inventory anew", &[("8 VFs", small), ("1,024 VFs", large)]);
    compare("everything read anew, for comparison", &[("8 VFs", whole_small), ("1,024 VFs", whole_large)]);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Times of an update after a change of one VF, and of whole readings.
fn on(folder: &Path, shape: Shape, turns: usize) -> Result<(Vec<Duration>, Vec<Duration>)> {
    synthetic::write(folder, shape)?;
    mount(Some(&folder.join("sys")), "/sys", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    let measured = read(shape, turns);
    umount2("/sys", MntFlags::MNT_DETACH)?;
    measured
}

fn read(shape: Shape, turns: usize) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let mut probe = Probe::live(ProbeSettings { read_modules: false, ..ProbeSettings::default() })?;
    let found = probe.inventory();
    let vfs: usize =
        found.nics.iter().filter_map(|nic| nic.sriov.as_ref()).map(|sriov| sriov.vfs.len()).sum();
    let wanted = shape.physical * shape.virtual_each;
    ensure!(vfs == wanted, "the inventory has {vfs} VFs of {wanted}: its times would mean nothing");
    output::line(&format!("a synthetic machine with {vfs} VFs: {} NICs", found.nics.len()));
    let (mut changes, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        let change = Change::Device { path: CHANGED.to_owned(), action: "change".to_owned() };
        let begun = Instant::now();
        probe.forget(&change);
        drop(probe.inventory());
        changes.push(begun.elapsed());
        let begun = Instant::now();
        probe.forget_all();
        drop(probe.inventory());
        whole.push(begun.elapsed());
    }
    Ok((changes, whole))
}

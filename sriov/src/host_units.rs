//! Fresh VFs are left alone by NetworkManager and systemd-networkd (TRAPS V3): both would ask for addresses on them and
//! rename them in the middle of a move.
//!
//! Two files below `/run`, gone after a reboot and with the last PF of ours:
//! `udev/rules.d/10-multi-nic.rules` (`NM_UNMANAGED`) and `systemd/network/00-multi-nic.network` (`Unmanaged=yes`).
//! Each names the VFs by PCI address, so VFs of others stay as they are.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hwprobe::PciAddress;

use crate::Roots;
use crate::stuck::Works;

/// One writer at a time: all PFs share the files.
static WRITING: Mutex<()> = Mutex::new(());

/// What precedes a PF's VFs in the files.
const PF_LINE: &str = "# VFs of ";

/// How long udev and networkd may take to read the files.
const RELOAD: Duration = Duration::from_secs(5);

/// The files cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("write {}: NetworkManager or systemd-networkd would take the VFs", file.display())]
#[non_exhaustive]
pub struct HostUnitError {
    /// The file.
    pub file: PathBuf,
    /// The system's answer.
    #[source]
    pub source: io::Error,
}

/// Says whose VFs are ours: `vfs` of `pf`, or none. Returns what could not be told to a running service, in words.
pub(crate) fn set(
    roots: &Roots,
    works: &Works,
    pf: &str,
    vfs: &[PciAddress],
) -> Result<Vec<String>, HostUnitError> {
    let _one = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let rules = roots.run.join("udev/rules.d/10-multi-nic.rules");
    let network = roots.run.join("systemd/network/00-multi-nic.network");
    let before = fs::read_to_string(&rules).unwrap_or_default();
    let mut ours = parse(&before);
    if vfs.is_empty() {
        ours.remove(pf);
    } else {
        ours.insert(pf.to_owned(), vfs.iter().map(ToString::to_string).collect());
    }
    let text = rules_text(&ours);
    if text == before {
        return Ok(Vec::new());
    }
    put(&network, &network_text(&ours))?;
    put(&rules, &text)?;
    Ok(reload(roots, works))
}

fn put(file: &Path, text: &str) -> Result<(), HostUnitError> {
    let failed = |source| HostUnitError { file: file.to_owned(), source };
    if text.is_empty() {
        return match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        };
    }
    fs::create_dir_all(file.parent().unwrap_or(file)).map_err(failed)?;
    let new = file.with_extension("new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, file)).map_err(failed)
}

/// The VFs by PF in the rules.
fn parse(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut ours = BTreeMap::new();
    for line in text.lines() {
        if let Some((pf, vfs)) = line.strip_prefix(PF_LINE).and_then(|rest| rest.split_once(": ")) {
            ours.insert(pf.to_owned(), vfs.split(' ').map(str::to_owned).collect());
        }
    }
    ours
}

fn rules_text(ours: &BTreeMap<String, Vec<String>>) -> String {
    let mut text = String::new();
    for (pf, vfs) in ours {
        text.push_str(&format!("{PF_LINE}{pf}: {}\n", vfs.join(" ")));
        let which = vfs.join("|");
        text.push_str(&format!(
            "SUBSYSTEM==\"net\", ACTION==\"add|change|move\", KERNELS==\"{which}\", ENV{{NM_UNMANAGED}}=\"1\"\n"
        ));
    }
    if text.is_empty() { text } else { format!("# Written by Multi-NIC; gone with its last VF.\n{text}") }
}

fn network_text(ours: &BTreeMap<String, Vec<String>>) -> String {
    let paths: Vec<String> = ours.values().flatten().map(|vf| format!("pci-{vf}")).collect();
    if paths.is_empty() {
        return String::new();
    }
    format!(
        "# Written by Multi-NIC; gone with its last VF.\n[Match]\nPath={}\n\n[Link]\nUnmanaged=yes\n",
        paths.join(" ")
    )
}

/// Whether the rules name a VF that udev has not marked: it had not read them when the netdev appeared.
pub(crate) fn is_unmarked(roots: &Roots, vf: PciAddress, ifindex: &str) -> bool {
    let told = fs::read_to_string(roots.run.join(format!("udev/data/n{ifindex}"))).unwrap_or_default();
    let rules = fs::read_to_string(roots.run.join("udev/rules.d/10-multi-nic.rules")).unwrap_or_default();
    !told.lines().any(|line| line == "E:NM_UNMANAGED=1")
        && parse(&rules).values().flatten().any(|named| *named == vf.to_string())
}

/// Tells the running services to read the files again; none where they do not run.
fn reload(roots: &Roots, works: &Works) -> Vec<String> {
    let services: [(&str, &str, &[&str]); 2] = [
        ("udev/control", "udevadm", &["control", "--reload"]),
        ("systemd/netif/links", "networkctl", &["reload"]),
    ];
    let mut notes = Vec::new();
    for (there, program, arguments) in services {
        if !roots.run.join(there).exists() {
            continue;
        }
        let run = move || {
            let mut command = Command::new(program);
            // In a mount namespace of its own, as the agent may be, udevadm would do nothing and say that all is well.
            command.env("SYSTEMD_IGNORE_CHROOT", "1").args(arguments);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
        };
        let line = format!("{program} {}", arguments.join(" "));
        let failed = match works.run(program, "read new rules", RELOAD, run) {
            Ok(Ok(status)) if status.success() => continue,
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(stuck) => stuck.to_string(),
        };
        notes.push(format!("`{line}` failed ({failed}): new rules count after a few seconds only"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vfs(last: u8) -> Vec<PciAddress> {
        (0..=last).map(|n| format!("0000:01:10.{}", n * 2).parse().unwrap()).collect()
    }

    #[test]
    fn the_files_name_each_vf_and_go_with_the_last_pf() {
        let folder = tempfile::tempdir().unwrap();
        let (roots, works) = (Roots::below(folder.path()), Works::new());
        let rules = roots.run.join("udev/rules.d/10-multi-nic.rules");
        let network = roots.run.join("systemd/network/00-multi-nic.network");
        let read = |file: &Path| fs::read_to_string(file).unwrap();

        set(&roots, &works, "0000:01:00.0", &vfs(1)).unwrap();
        assert_eq!(
            read(&rules),
            "# Written by Multi-NIC; gone with its last VF.\n\
             # VFs of 0000:01:00.0: 0000:01:10.0 0000:01:10.2\n\
             SUBSYSTEM==\"net\", ACTION==\"add|change|move\", KERNELS==\"0000:01:10.0|0000:01:10.2\", ENV{NM_UNMANAGED}=\"1\"\n"
        );
        assert!(read(&network).contains("Path=pci-0000:01:10.0 pci-0000:01:10.2\n\n[Link]\nUnmanaged=yes\n"));

        let other: PciAddress = "0000:02:10.0".parse().unwrap();
        set(&roots, &works, "0000:02:00.0", &[other]).unwrap();
        set(&roots, &works, "0000:01:00.0", &[]).unwrap();
        assert!(read(&rules).contains("0000:02:10.0") && !read(&rules).contains("0000:01:10.0"));

        set(&roots, &works, "0000:02:00.0", &[]).unwrap();
        assert!(!rules.exists() && !network.exists());
        set(&roots, &works, "0000:02:00.0", &[]).unwrap();
    }
}

//! The number of VFs: the writes, and the wait until each VF is ready.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hwprobe::PciAddress;
use nix::errno::Errno;

use crate::Roots;
use crate::driver::write_attribute;
use crate::host_units;
use crate::pf::ObservedPf;

/// Between two looks at what the kernel and udev have done.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// How long udev may take to know rules that it was not told of: it looks for new ones with an event, but not twice in
/// 3 s (systemd, `udevd.c`). Whoever's own rule takes our mark away waits this long for its VFs.
const RULES_KNOWN: Duration = Duration::from_secs(5);

/// Between two events that make udev look.
const REMIND_AGAIN: Duration = Duration::from_secs(1);

/// A file of a PF did not take what was written.
#[derive(Debug, thiserror::Error)]
#[error("{pf}: write {value} to {}{}", file.display(), hint.map(|hint| format!(" ({hint})")).unwrap_or_default())]
#[non_exhaustive]
pub struct WriteError {
    /// The PF.
    pub pf: String,
    /// The file.
    pub file: PathBuf,
    /// What was written.
    pub value: String,
    /// What the answer usually means, and what to do.
    pub hint: Option<&'static str>,
    /// The kernel's answer.
    #[source]
    pub source: io::Error,
}

/// A VF after it was made or changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VfOutcome {
    /// Index on the PF.
    pub index: u16,
    /// PCI address, once it is there.
    pub pci: Option<PciAddress>,
    /// Its driver.
    pub driver: Option<String>,
    /// Name of its netdev.
    pub name: Option<String>,
    /// What is wrong with it; absent: it is ready.
    pub trouble: Option<VfTrouble>,
}

/// Why a VF is not ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VfTrouble {
    /// The PF has no `virtfnN`.
    #[error("the kernel did not make it; see the kernel's log")]
    NoFunction,
    /// No driver took it.
    #[error("no driver took it; load the VF driver of this card (igbvf, iavf, mlx5_core …)")]
    NoDriver,
    /// Its driver made no netdev.
    #[error("its driver {0} made no netdev in time; see the kernel's log")]
    NoNetdev(String),
    /// udev is not done with its netdev.
    #[error("udev is not done with {0}: a rule may hang; see `udevadm info /sys/class/net/{0}`")]
    Udev(String),
    /// A step for it failed.
    #[error("{0}")]
    Step(String),
}

/// What a VF must have to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The function: a driver is bound later.
    Function,
    /// A driver, and the netdev that it makes.
    Netdev,
}

/// A PF's file below `/sys`.
pub(crate) fn file(roots: &Roots, pf: &ObservedPf, name: &str) -> PathBuf {
    roots.sys.join(&pf.path).join(name)
}

/// Writes a number of VFs. Returns when the kernel has made or removed them, which may be never.
pub(crate) fn write(key: &str, file: &Path, count: u16) -> Result<(), WriteError> {
    let value = count.to_string();
    write_attribute(file, &value).map_err(|source| WriteError {
        pf: key.to_owned(),
        file: file.to_owned(),
        value,
        hint: hint(&source),
        source,
    })
}

fn hint(error: &io::Error) -> Option<&'static str> {
    Some(match error.raw_os_error().map(Errno::from_raw)? {
        Errno::ERANGE => "more than sriov_totalvfs",
        Errno::EBUSY => "somebody else made VFs meanwhile: the number can only be changed from 0",
        Errno::ENOENT => "the PF is gone or has no SR-IOV capability",
        Errno::EPERM | Errno::EOPNOTSUPP => "its driver cannot make VFs",
        Errno::EINVAL => "its driver or firmware refuses so many VFs",
        Errno::ENOMEM | Errno::ENOSPC => {
            "no room for the VFs' registers: enable SR-IOV (above 4G decoding, ARI) in the machine's firmware, or boot with pci=realloc"
        }
        Errno::EROFS | Errno::EACCES => "this program needs a /sys that it may write",
        _ => return None,
    })
}

/// Lets drivers take new VFs, or keeps them off. That they were let before is written down first, so that it is made so
/// again after a crash, too.
pub(crate) fn set_autoprobe(roots: &Roots, pf: &ObservedPf, on: bool) -> Result<(), WriteError> {
    let mark = owed_mark(roots, &pf.key);
    let failed = |file: &Path, source: io::Error| WriteError {
        pf: pf.key.clone(),
        file: file.to_owned(),
        value: u8::from(on).to_string(),
        hint: hint(&source),
        source,
    };
    if !on {
        let folder = mark.parent().unwrap_or(&mark);
        fs::create_dir_all(folder).and_then(|()| fs::write(&mark, "1")).map_err(|e| failed(&mark, e))?;
    }
    let file = file(roots, pf, "sriov_drivers_autoprobe");
    write_attribute(&file, if on { "1" } else { "0" }).map_err(|error| failed(&file, error))?;
    if on {
        match fs::remove_file(&mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&mark, error)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether drivers were kept off a PF's VFs by a change of ours that did not come to its end.
pub(crate) fn autoprobe_owed(roots: &Roots, key: &str) -> bool {
    owed_mark(roots, key).exists()
}

fn owed_mark(roots: &Roots, key: &str) -> PathBuf {
    roots.run.join("multi-nic/sriov").join(format!("{key}.autoprobe"))
}

/// Waits until each VF has what it must have, each no longer than `deadline`. The first that is missing does not hide the
/// others.
pub(crate) fn wait(
    roots: &Roots,
    pf: &ObservedPf,
    count: u16,
    expected: Expected,
    deadline: Duration,
) -> Vec<VfOutcome> {
    let mut outcomes: Vec<VfOutcome> =
        (0..count).map(|index| VfOutcome { index, ..VfOutcome::default() }).collect();
    // Elsewhere VFs are no functions: the PF's word is all there is.
    if pf.bus == "pci" {
        wait_for(roots, pf, &mut outcomes, expected, deadline);
    }
    outcomes
}

/// Waits for one VF, as [`wait`] does for all.
pub(crate) fn wait_one(
    roots: &Roots,
    pf: &ObservedPf,
    vf: u16,
    expected: Expected,
    deadline: Duration,
) -> VfOutcome {
    let mut outcome = VfOutcome { index: vf, ..VfOutcome::default() };
    wait_for(roots, pf, std::slice::from_mut(&mut outcome), expected, deadline);
    outcome
}

fn wait_for(
    roots: &Roots,
    pf: &ObservedPf,
    outcomes: &mut [VfOutcome],
    expected: Expected,
    deadline: Duration,
) {
    let until = Instant::now() + deadline;
    let udev = roots.run.join("udev/control").exists();
    let folder = roots.sys.join(&pf.path);
    let mut unmarked = Unmarked::default();
    loop {
        let late = Instant::now() >= until;
        let mut waiting = 0;
        for outcome in &mut *outcomes {
            if outcome.trouble.is_none() && outcome.pci.is_some() {
                continue;
            }
            *outcome = look(roots, &folder, outcome.index, expected, udev);
            waiting += usize::from(outcome.trouble.is_some());
        }
        if late || (waiting == 0 && !(udev && unmarked.remind(roots, outcomes))) {
            return;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// VFs that udev was done with before it knew our rules.
#[derive(Default)]
struct Unmarked {
    first: Option<Instant>,
    reminded: Option<Instant>,
}

impl Unmarked {
    /// Sends udev an event for each such VF; whether there is any that is worth the wait.
    fn remind(&mut self, roots: &Roots, vfs: &[VfOutcome]) -> bool {
        let netdevs =
            vfs.iter().filter_map(|vf| Some((vf.pci?, roots.sys.join("class/net").join(vf.name.as_ref()?))));
        let missed: Vec<PathBuf> = netdevs
            .filter(|(pci, netdev)| {
                let index = fs::read_to_string(netdev.join("ifindex")).unwrap_or_default();
                host_units::is_unmarked(roots, *pci, index.trim())
            })
            .map(|(_, netdev)| netdev)
            .collect();
        let now = Instant::now();
        if missed.is_empty() || now - *self.first.get_or_insert(now) > RULES_KNOWN {
            return false;
        }
        if self.reminded.is_none_or(|at| now - at > REMIND_AGAIN) {
            self.reminded = Some(now);
            for netdev in missed {
                // A VF that is gone needs no mark.
                let _ = fs::write(netdev.join("uevent"), "change");
            }
        }
        true
    }
}

/// PCI address of a VF.
pub(crate) fn vf_address(roots: &Roots, pf: &ObservedPf, vf: u16) -> Option<PciAddress> {
    look(roots, &roots.sys.join(&pf.path), vf, Expected::Function, false).pci
}

/// Index of a VF's netdev in this namespace.
pub(crate) fn netdev_index(roots: &Roots, pf: &ObservedPf, vf: u16) -> Option<u32> {
    let folder = roots.sys.join(&pf.path).join(format!("virtfn{vf}/net"));
    let netdev = fs::read_dir(folder).ok()?.next()?.ok()?;
    fs::read_to_string(netdev.path().join("ifindex")).ok()?.trim().parse().ok()
}

/// One VF as it is now; what it still lacks is its trouble.
fn look(roots: &Roots, pf: &Path, index: u16, expected: Expected, udev: bool) -> VfOutcome {
    let folder = pf.join(format!("virtfn{index}"));
    let base = |path: PathBuf| {
        fs::read_link(path).ok().and_then(|to| Some(to.file_name()?.to_string_lossy().into_owned()))
    };
    let mut outcome = VfOutcome { index, ..VfOutcome::default() };
    outcome.pci = base(folder.clone()).and_then(|name| name.parse().ok());
    outcome.driver = base(folder.join("driver"));
    let netdev = fs::read_dir(folder.join("net")).ok().and_then(|mut names| names.next()?.ok());
    outcome.name = netdev.as_ref().map(|netdev| netdev.file_name().to_string_lossy().into_owned());
    outcome.trouble = match (&outcome.pci, expected, &outcome.driver, &netdev) {
        (None, ..) => Some(VfTrouble::NoFunction),
        (_, Expected::Function, ..) => None,
        (_, _, None, _) => Some(VfTrouble::NoDriver),
        (_, _, Some(driver), None) => Some(VfTrouble::NoNetdev(driver.clone())),
        (_, _, _, Some(netdev)) => {
            let index = fs::read_to_string(netdev.path().join("ifindex")).unwrap_or_default();
            let name = outcome.name.clone().unwrap_or_default();
            (udev && !settled(roots, index.trim())).then_some(VfTrouble::Udev(name))
        }
    };
    outcome
}

/// Whether udev is done with a netdev: it has entered the time (`I:`) in its file, and no rename is on its way: that is
/// an event of its own, for which the rules are read again.
pub(crate) fn settled(roots: &Roots, ifindex: &str) -> bool {
    let told = fs::read_to_string(roots.run.join(format!("udev/data/n{ifindex}"))).unwrap_or_default();
    let has = |start: &str| told.lines().any(|line| line.starts_with(start));
    has("I:") && !has("E:ID_RENAMING=1")
}

/// The PCI addresses that a PF's VFs will have (SR-IOV specification, 9.3.3.9 and 9.3.3.10: First VF Offset, VF Stride).
pub(crate) fn future_addresses(roots: &Roots, pf: &ObservedPf, count: u16) -> Vec<PciAddress> {
    let number =
        |name: &str| -> Option<u32> { fs::read_to_string(file(roots, pf, name)).ok()?.trim().parse().ok() };
    let (Some(own), Some(offset), Some(stride)) = (pf.pci, number("sriov_offset"), number("sriov_stride"))
    else {
        return Vec::new();
    };
    let (domain, bus, device) = own.slot();
    let function = own.to_string().chars().last().and_then(|digit| digit.to_digit(8)).unwrap_or_default();
    let own = (u32::from(bus) << 8) | (u32::from(device) << 3) | function;
    let address = |index: u16| {
        let id = own + offset + stride * u32::from(index);
        let byte = |shift: u32, mask: u32| u8::try_from((id >> shift) & mask).unwrap_or_default();
        PciAddress::new(domain, byte(8, 0xff), byte(3, 0x1f), byte(0, 7)).ok()
    };
    (0..count).filter_map(address).collect()
}

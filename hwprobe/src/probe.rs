//! One probe: sources in, inventory out.

use std::io;
use std::path::Path;

use crate::model::{Inventory, NicId};
use crate::scan;
use crate::settings::{ProbeSettings, RememberedProtection};
use crate::snapshot::{Snapshot, SnapshotError};
use crate::source::{
    CachedFiles, CachedKernel, CapturedKernel, Files, Forgotten, Kernel, LiveKernel, RecordingFiles,
    RecordingKernel, RootedFiles,
};
use crate::watch::Change;

/// Reads a machine's NICs. Keeps what only changes with a notification, so that a second inventory is cheap.
///
/// ```
/// let mut probe = hwprobe::Probe::live(hwprobe::ProbeSettings::default())?;
/// for nic in probe.inventory().nics {
///     println!("{:<16} {:?}", nic.label(), nic.speed.mbps);
/// }
/// # Ok::<(), hwprobe::ProbeError>(())
/// ```
pub struct Probe {
    machine: Machine,
    settings: ProbeSettings,
}

enum Machine {
    Live { files: Box<CachedFiles<RootedFiles>>, kernel: Box<CachedKernel<LiveKernel>> },
    Other { files: Box<dyn Files>, kernel: Box<dyn Kernel> },
}

/// Why a probe cannot begin. Once begun it never fails as a whole: what cannot be read is in the inventory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// No netlink socket.
    #[error("open the netlink sockets")]
    Netlink(#[from] netlink::Error),
    /// The captured tree cannot be opened.
    #[error("open the captured tree `{path}`")]
    Tree {
        /// The folder that was named.
        path: String,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The snapshot cannot be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl Probe {
    /// This machine, in the network namespace of the calling thread.
    pub fn live(settings: ProbeSettings) -> Result<Self, ProbeError> {
        let files = Box::new(CachedFiles::new(RootedFiles::live()));
        let kernel = Box::new(CachedKernel::new(LiveKernel::open()?));
        Ok(Self { machine: Machine::Live { files, kernel }, settings })
    }

    /// A machine of which `dir` holds a captured `/sys` (and `/proc`); the live kernel is not asked.
    pub fn tree(dir: &Path, settings: ProbeSettings) -> Result<Self, ProbeError> {
        let (files, kernel) = captured(dir)?;
        Ok(Self { machine: Machine::Other { files: Box::new(files), kernel: Box::new(kernel) }, settings })
    }

    /// The machine that a snapshot file recorded.
    pub fn replay(file: &Path, settings: ProbeSettings) -> Result<Self, ProbeError> {
        Ok(Self::of_snapshot(Snapshot::load(file)?, settings))
    }

    /// The machine of a snapshot.
    pub fn of_snapshot(snapshot: Snapshot, settings: ProbeSettings) -> Self {
        let machine = Machine::Other { files: Box::new(snapshot.tree), kernel: Box::new(snapshot.kernel) };
        Self { machine, settings }
    }

    /// Records this machine, or the captured tree in `dir`: all that a probe reads.
    pub fn record(dir: Option<&Path>, settings: &ProbeSettings) -> Result<Snapshot, ProbeError> {
        match dir {
            None => Ok(record(RootedFiles::live(), LiveKernel::open()?, settings)),
            Some(dir) => {
                let (files, kernel) = captured(dir)?;
                Ok(record(files, kernel, settings))
            }
        }
    }

    /// The inventory of this moment.
    pub fn inventory(&mut self) -> Inventory {
        match &self.machine {
            Machine::Live { files, kernel } => scan::inventory(&**files, &**kernel, &self.settings),
            Machine::Other { files, kernel } => scan::inventory(&**files, &**kernel, &self.settings),
        }
    }

    /// Takes a notification: drops what it may have made stale.
    pub fn forget(&mut self, change: &Change) {
        let Machine::Live { files, kernel } = &self.machine else { return };
        match change {
            Change::Link { index, .. } => {
                kernel.forget_link(*index);
                files.forget_netdevs();
            }
            Change::Ethtool { index } => kernel.forget_link(*index),
            Change::Listeners { .. } | Change::Address { .. } | Change::Namespace | Change::Mounts => {}
            Change::DefaultRoute => kernel.forget_routes(),
            Change::Device { path, .. } => {
                // A PF's driver may answer anew for each of its netdevs; the netdev of a VF that is bound anew is a new
                // one, and what changes of one that stays is told of the link.
                if files.forget_device(path) == Forgotten::All {
                    kernel.forget_ethtool();
                }
                kernel.forget_devlink();
            }
            Change::Devlink => kernel.forget_devlink(),
            Change::Everything => self.forget_all(),
        }
    }

    /// Drops everything that was kept.
    pub fn forget_all(&mut self) {
        if let Machine::Live { files, kernel } = &self.machine {
            files.forget();
            kernel.forget();
        }
    }

    /// The protected NICs to go by while there is no default route.
    pub fn remember(&mut self, remembered: Vec<RememberedProtection>) {
        self.settings.remembered = remembered;
    }
}

/// The protected NICs of an inventory, for [`Probe::remember`].
pub fn protections(inventory: &Inventory) -> Vec<RememberedProtection> {
    let protection = |id: &NicId| {
        let nic = inventory.nics.iter().find(|nic| nic.id == *id)?;
        Some(RememberedProtection { nic: id.clone(), protection: nic.protected.clone()? })
    };
    inventory.node.uplink.protected.iter().filter_map(protection).collect()
}

fn captured(dir: &Path) -> Result<(RootedFiles, CapturedKernel), ProbeError> {
    let open = || {
        let wrong = |source| ProbeError::Tree { path: dir.display().to_string(), source };
        RootedFiles::captured(dir).map_err(wrong)
    };
    Ok((open()?, CapturedKernel::new(open()?)))
}

fn record(files: impl Files, kernel: impl Kernel, settings: &ProbeSettings) -> Snapshot {
    let (files, kernel) = (RecordingFiles::new(files), RecordingKernel::new(kernel));
    scan::inventory(&files, &kernel, settings);
    Snapshot::new(files.tree(), kernel.answers())
}

//! Where the kernel's and other programs' files are.

use std::path::PathBuf;

/// Folders that this crate reads and writes. In a container the host's are mounted elsewhere; tests use their own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Roots {
    /// sysfs, writable: `/sys`.
    pub sys: PathBuf,
    /// Character devices: `/dev`.
    pub dev: PathBuf,
    /// State until the next boot, of udev and systemd, too: `/run`.
    pub run: PathBuf,
    /// sriov-cni's state: `/var/lib/cni/sriov`.
    pub cni_state: PathBuf,
    /// What the SR-IOV operator's daemon keeps on the node: `/etc/sriov-operator`.
    pub operator_state: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            sys: PathBuf::from("/sys"),
            dev: PathBuf::from("/dev"),
            run: PathBuf::from("/run"),
            cni_state: PathBuf::from("/var/lib/cni/sriov"),
            operator_state: PathBuf::from("/etc/sriov-operator"),
        }
    }
}

impl Roots {
    /// The same folders below another root, with sysfs at `ROOT/sys` and so on.
    pub fn below(root: &std::path::Path) -> Self {
        Self {
            sys: root.join("sys"),
            dev: root.join("dev"),
            run: root.join("run"),
            cni_state: root.join("var/lib/cni/sriov"),
            operator_state: root.join("etc/sriov-operator"),
        }
    }
}

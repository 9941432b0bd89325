//! RDMA devices of VFs. In exclusive mode each is in one network namespace, and does not follow its netdev by itself.
//!
//! The mode is the whole system's: `rdmaMode` of the SR-IOV operator's SriovNetworkPoolConfig and
//! SriovNetworkNodeState. The kernel changes it only while there is no other network namespace, that is hardly ever on
//! a node with pods; then its module takes it at the next start.

use std::fmt;
use std::fs;
use std::os::fd::BorrowedFd;
use std::str::FromStr;

use hwprobe::PciAddress;
use netlink::rdma::{self, RdmaDevice, RdmaNetnsMode};
use nix::errno::Errno;

use crate::{Roots, UnknownWord};

/// In which network namespaces RDMA devices are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RdmaMode {
    /// Each in all: whoever may open its character device uses it.
    Shared,
    /// Each in one.
    Exclusive,
}

impl fmt::Display for RdmaMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shared => "shared",
            Self::Exclusive => "exclusive",
        })
    }
}

impl FromStr for RdmaMode {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "shared" => Ok(Self::Shared),
            "exclusive" => Ok(Self::Exclusive),
            _ => Err(UnknownWord::new(text, "shared, exclusive")),
        }
    }
}

impl RdmaMode {
    /// What `ib_core` calls it in its parameter `netns_mode`.
    fn parameter(self) -> u8 {
        match self {
            Self::Shared => 1,
            Self::Exclusive => 0,
        }
    }
}

/// The mode is not as wanted, or an RDMA device stays where it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RdmaError {
    /// The kernel has no such mode.
    #[error(
        "rdmaMode {wanted} is wanted, and the kernel has no RDMA or is older than 5.1; load the card's RDMA driver"
    )]
    NoMode {
        /// What is wanted.
        wanted: RdmaMode,
    },
    /// Other namespaces are in the way.
    #[error(
        "rdmaMode {wanted} is wanted, and the mode cannot change while there are other network namespaces; write \
         `options ib_core netns_mode={}` to a file in /etc/modprobe.d and restart the node",
        wanted.parameter()
    )]
    Busy {
        /// What is wanted.
        wanted: RdmaMode,
    },
    /// A driver that cannot do it.
    #[error(
        "RDMA device {device} cannot be in a pod's namespace, its driver does not know how; use rdmaMode shared, or \
         a card whose driver does (mlx5)"
    )]
    Fixed {
        /// The device.
        device: String,
    },
    /// The kernel refused, or did not answer.
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
}

/// The mode of the system; absent where the kernel has no RDMA at this moment, or knows of no mode. Loads no module.
///
/// # Errors
/// When the kernel does not answer.
pub fn mode(roots: &Roots) -> Result<Option<RdmaMode>, RdmaError> {
    // Asking loads ib_core, which nobody who has no RDMA device wants.
    if !roots.sys.join("class/infiniband").exists() {
        return Ok(None);
    }
    let Some(mut socket) = rdma::open()? else { return Ok(None) };
    Ok(rdma::netns_mode(&mut socket)?.and_then(|mode| match mode {
        RdmaNetnsMode::Shared => Some(RdmaMode::Shared),
        RdmaNetnsMode::Exclusive => Some(RdmaMode::Exclusive),
        _ => None,
    }))
}

/// Makes the mode what is wanted; whether it was another one.
///
/// # Errors
/// [`RdmaError::Busy`] with what to write where, and [`RdmaError::NoMode`] when the kernel has none.
pub fn make_mode(roots: &Roots, wanted: RdmaMode) -> Result<bool, RdmaError> {
    let is = mode(roots)?.ok_or(RdmaError::NoMode { wanted })?;
    if is == wanted {
        return Ok(false);
    }
    let mut socket = rdma::open()?.ok_or(RdmaError::NoMode { wanted })?;
    let mode = match wanted {
        RdmaMode::Shared => RdmaNetnsMode::Shared,
        RdmaMode::Exclusive => RdmaNetnsMode::Exclusive,
    };
    match rdma::set_netns_mode(&mut socket, mode) {
        Err(error) if error.errno() == Some(Errno::EBUSY as i32) => Err(RdmaError::Busy { wanted }),
        set => Ok(set.map(|()| true)?),
    }
}

/// Names of the RDMA devices of a function that are in this namespace, in order.
pub fn devices_of(roots: &Roots, pci: PciAddress) -> Vec<String> {
    let entries = fs::read_dir(roots.sys.join(format!("bus/pci/devices/{pci}/infiniband")));
    let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// Moves RDMA devices after their netdev from the namespace `from` into `to`; the names of those that were moved.
/// Nothing in shared mode, and what is not in `from` (any more) is none of ours.
///
/// # Errors
/// [`RdmaError::Fixed`] when a driver cannot; those before it are moved.
pub fn follow(
    roots: &Roots,
    names: &[String],
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
) -> Result<Vec<String>, RdmaError> {
    if names.is_empty() || mode(roots)? != Some(RdmaMode::Exclusive) {
        return Ok(Vec::new());
    }
    let Some(mut socket) = rdma::open_in(from)? else { return Ok(Vec::new()) };
    let there: Vec<RdmaDevice> = rdma::devices(&mut socket)?;
    let mut moved = Vec::new();
    for device in there.into_iter().filter(|device| names.contains(&device.name)) {
        match rdma::move_device(&mut socket, &device, to) {
            Err(error) if error.errno() == Some(Errno::EOPNOTSUPP as i32) => {
                return Err(RdmaError::Fixed { device: device.name });
            }
            // Its driver let go of it meanwhile.
            Err(error) if error.is_absent() => {}
            other => {
                other?;
                moved.push(device.name);
            }
        }
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_back_and_other_words_are_refused_with_those_that_are_known() {
        for mode in [RdmaMode::Shared, RdmaMode::Exclusive] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        let refused = "private".parse::<RdmaMode>().unwrap_err();
        assert_eq!(refused.to_string(), "`private` is none of shared, exclusive");
    }

    #[test]
    fn a_machine_without_rdma_has_no_mode_and_a_wanted_one_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());

        assert!(matches!(mode(&roots), Ok(None)));
        let refused = make_mode(&roots, RdmaMode::Exclusive).unwrap_err().to_string();
        assert!(refused.starts_with("rdmaMode exclusive is wanted, and the kernel has no RDMA"), "{refused}");
        let busy = RdmaError::Busy { wanted: RdmaMode::Exclusive }.to_string();
        assert!(busy.contains("`options ib_core netns_mode=0`"), "{busy}");
    }

    #[test]
    fn the_rdma_devices_of_a_function_are_those_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        let pci: PciAddress = "0000:01:10.0".parse().unwrap();
        let below = roots.sys.join("bus/pci/devices/0000:01:10.0/infiniband");
        fs::create_dir_all(below.join("mlx5_3")).unwrap();
        fs::create_dir_all(below.join("mlx5_2")).unwrap();

        assert_eq!(devices_of(&roots, pci), ["mlx5_2", "mlx5_3"]);
        assert_eq!(devices_of(&roots, "0000:01:10.2".parse().unwrap()), Vec::<String>::new());
    }
}

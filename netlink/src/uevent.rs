//! Kernel uevents: devices that come, go and change (`NETLINK_KOBJECT_UEVENT`).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A message of the kernel about one of its objects.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct Uevent {
    /// What happened: `add`, `remove`, `change`, `move`, `online`, `offline`, `bind`, `unbind`,
    /// or what a newer kernel says.
    pub action: String,
    /// The object's path below `/sys`, with a leading slash.
    pub devpath: String,
    /// Its subsystem: `net`, `pci`, …; absent when the kernel named none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<String>,
    /// The kernel's running number; absent when it sent none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seqnum: Option<u64>,
    /// All keys that the kernel sent, these included.
    pub env: BTreeMap<String, String>,
}

/// A socket that hears the kernel's uevents of its namespace.
#[derive(Debug)]
pub struct UeventSocket {
    socket: crate::socket::Raw,
}

impl UeventSocket {
    /// Opens it in the current network namespace.
    pub fn open() -> Result<Self, Error> {
        todo!()
    }

    /// Everything that has arrived, without waiting; [`Error::Overrun`] when some was lost.
    pub fn receive(&mut self) -> Result<Vec<Uevent>, Error> {
        todo!()
    }
}

impl AsFd for UeventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

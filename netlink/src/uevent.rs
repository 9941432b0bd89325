//! Kernel uevents: devices that come, go and change (`NETLINK_KOBJECT_UEVENT`).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use netlink_sys::protocols::NETLINK_KOBJECT_UEVENT;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::message::text_fields;
use crate::socket::{Failure, Raw};

/// The kernel's own messages; group 2 carries what udev made of them.
const KERNEL_GROUP: u32 = 1;

/// A burst of hot-plugged VFs must fit while the reader is busy.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

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

impl Uevent {
    /// The event in a datagram: `ACTION@DEVPATH`, then `KEY=VALUE`, each ended by a NUL.
    ///
    /// Absent when there is neither an action nor a path, e.g. in udev's own format.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let mut fields = text_fields(datagram);
        let head = fields.next()?;
        let (action, devpath) = head.split_once('@')?;
        let env: BTreeMap<String, String> = fields
            .filter_map(|field| field.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
            .collect();
        let own = |key: &str, head: &str| env.get(key).cloned().unwrap_or_else(|| head.to_owned());
        let event = Self {
            action: own("ACTION", action),
            devpath: own("DEVPATH", devpath),
            subsystem: env.get("SUBSYSTEM").cloned(),
            seqnum: env.get("SEQNUM").and_then(|number| number.parse().ok()),
            env,
        };
        (!event.action.is_empty() && !event.devpath.is_empty()).then_some(event)
    }
}

/// A socket that hears the kernel's uevents.
///
/// Events of network devices reach the sockets of the device's network namespace; events of all
/// other devices reach the sockets of every namespace that the initial user owns.
#[derive(Debug)]
pub struct UeventSocket {
    raw: Raw,
}

impl UeventSocket {
    /// Opens it in the current network namespace.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { raw: Raw::open(NETLINK_KOBJECT_UEVENT, KERNEL_GROUP, RECEIVE_BUFFER)? })
    }

    /// Everything that has arrived, without waiting, in order.
    ///
    /// [`Error::Overrun`] when events were lost: look at everything again, then go on receiving.
    /// What others than the kernel sent is dropped.
    pub fn receive(&mut self) -> Result<Vec<Uevent>, Error> {
        let mut events = Vec::new();
        loop {
            match self.raw.receive_now() {
                Ok(true) => events.extend(Uevent::parse(&self.raw.buffer)),
                Ok(false) => return Ok(events),
                // A datagram that did not fit is as lost as one that the queue had no room for.
                Err(Failure::Truncated(_)) => return Err(Failure::Overrun.of("hear uevents", Duration::ZERO)),
                Err(failure) => return Err(failure.of("hear uevents", Duration::ZERO)),
            }
        }
    }
}

/// Readable when [`UeventSocket::receive`] has something to give.
impl AsFd for UeventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn datagram(head: &str, env: &[(String, String)]) -> Vec<u8> {
        let mut bytes = head.as_bytes().to_vec();
        bytes.push(0);
        for (key, value) in env {
            bytes.extend_from_slice(format!("{key}={value}\0").as_bytes());
        }
        bytes
    }

    proptest! {
        #[test]
        fn what_the_kernel_writes_reads_back(
            action in "[a-z]{1,10}", path in "/[a-z0-9/:.]{1,40}", seqnum in proptest::option::of(any::<u64>()),
            extra in proptest::collection::btree_map("X[A-Z]{0,8}", "[a-z0-9=/]{0,20}", 0..6))
        {
            let mut env: Vec<(String, String)> = vec![
                ("ACTION".to_owned(), action.clone()),
                ("DEVPATH".to_owned(), path.clone()),
                ("SUBSYSTEM".to_owned(), "net".to_owned()),
            ];
            env.extend(extra);
            env.extend(seqnum.map(|number| ("SEQNUM".to_owned(), number.to_string())));

            let event = Uevent::parse(&datagram(&format!("{action}@{path}"), &env)).unwrap();

            prop_assert_eq!((&event.action, &event.devpath, event.seqnum), (&action, &path, seqnum));
            prop_assert_eq!(event.env, env.into_iter().collect::<BTreeMap<_, _>>());
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Uevent::parse(&bytes);
        }
    }

    #[test]
    fn an_unknown_action_and_a_missing_number_are_no_errors() {
        let event = Uevent::parse(b"levitate@/devices/x\0SUBSYSTEM=net\0broken\0").unwrap();

        assert_eq!((event.action.as_str(), event.seqnum), ("levitate", None));
        assert_eq!(event.subsystem.as_deref(), Some("net"));
    }

    #[test]
    fn what_udev_sends_is_not_an_event_of_the_kernel() {
        assert_eq!(Uevent::parse(b"libudev\0\xfe\xed\xca\xfe\0\0"), None);
        assert_eq!(Uevent::parse(b"@\0"), None);
    }
}

//! RDMA devices and the namespaces that they are in (`NETLINK_RDMA`, `rdma system`, `rdma dev`).
//!
//! The system is in one of two modes: shared, where every network namespace sees every RDMA device, or exclusive, where
//! each device is in one namespace like a netdev, but does not follow its netdev by itself.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::attribute::{Malformed, Writer, attributes};
use crate::error::{Error, libc_errno};
use crate::message::Request;
use crate::open_enum::open_enum;
use crate::socket::{Family, Socket};

/// `RDMA_NL_NLDEV` of rdma/rdma_netlink.h (Linux 6.12), in its place in a message's type.
const NLDEV: u16 = 5 << 10;

// enum rdma_nldev_command
const CMD_GET: u16 = NLDEV + 1;
const CMD_SET: u16 = NLDEV + 2;
const CMD_SYS_GET: u16 = NLDEV + 6;
const CMD_SYS_SET: u16 = NLDEV + 7;

// enum rdma_nldev_attr
const DEV_INDEX: u16 = 1;
const DEV_NAME: u16 = 2;
const SYS_NETNS_MODE: u16 = 66;
const NET_NS_FD: u16 = 68;

open_enum! {
    /// In which network namespaces RDMA devices are (`RDMA_NLDEV_SYS_ATTR_NETNS_MODE`).
    RdmaNetnsMode(u8) {
        /// Each in one.
        Exclusive = 0, "exclusive";
        /// Each in all.
        Shared = 1, "shared";
    }
}

/// An RDMA device (`rdma dev show`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RdmaDevice {
    /// The kernel's number of it; another one after each bind.
    pub index: u32,
    /// Name, e.g. `mlx5_2`.
    pub name: String,
}

/// A socket for this module's questions; absent where the kernel has no RDMA (`ib_core`). The kernel loads that module for
/// it where it can, so who only wants to know should look for `/sys/class/infiniband` first.
///
/// # Errors
/// When no socket can be had for another reason.
pub fn open() -> Result<Option<Socket>, Error> {
    absent(Socket::open(Family::Rdma))
}

/// [`open`] in the namespace behind `netns`.
///
/// # Errors
/// As [`open`], and when that namespace cannot be entered.
pub fn open_in(netns: BorrowedFd<'_>) -> Result<Option<Socket>, Error> {
    absent(Socket::open_in(netns, Family::Rdma))
}

fn absent(opened: Result<Socket, Error>) -> Result<Option<Socket>, Error> {
    match opened {
        Err(error) if error.errno() == Some(libc_errno::EPROTONOSUPPORT) => Ok(None),
        opened => opened.map(Some),
    }
}

/// The mode of the system (`rdma system show`, `RDMA_NLDEV_CMD_SYS_GET`); absent where the kernel knows none (before 5.1).
///
/// # Errors
/// When the kernel does not answer.
pub fn netns_mode(socket: &mut Socket) -> Result<Option<RdmaNetnsMode>, Error> {
    let operation = "read the mode of RDMA devices and namespaces";
    match socket.ask(&Request::new(operation, CMD_SYS_GET, Vec::new())) {
        Ok(answers) => {
            let read = answers.first().map(|(_, body)| read_mode(body)).transpose();
            read.map(Option::flatten).map_err(|reason| Error::decode(operation, reason))
        }
        Err(error) if error.errno() == Some(libc_errno::EINVAL) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets the mode of the system (`rdma system set netns MODE`, `RDMA_NLDEV_CMD_SYS_SET`). Needs `CAP_NET_ADMIN` in the
/// initial namespace.
///
/// # Errors
/// `EBUSY` while there is any other network namespace.
pub fn set_netns_mode(socket: &mut Socket, mode: RdmaNetnsMode) -> Result<(), Error> {
    let operation = format!("set the mode of RDMA devices and namespaces to {mode}");
    socket.ask(&Request::new(operation, CMD_SYS_SET, mode_body(mode))).map(|_| ())
}

/// The RDMA devices of the socket's namespace (`rdma dev show`, `RDMA_NLDEV_CMD_GET`).
///
/// # Errors
/// When the kernel does not answer.
pub fn devices(socket: &mut Socket) -> Result<Vec<RdmaDevice>, Error> {
    let operation = "list RDMA devices";
    let request = Request::new(operation, CMD_GET, Vec::new());
    let items = socket.dump(&request, |items, _, body| items.push(read_device(body)))?;
    items.into_iter().collect::<Result<_, _>>().map_err(|reason| Error::decode(operation, reason))
}

/// Moves a device of the socket's namespace into another one (`rdma dev set DEV netns NS`, `RDMA_NLDEV_CMD_SET`, Linux
/// 5.3). Who has it open loses it.
///
/// # Errors
/// `EOPNOTSUPP` in shared mode, and for drivers that cannot take a device away from its users (`rdma_rxe`); `ENODEV` when
/// it is not there.
pub fn move_device(socket: &mut Socket, device: &RdmaDevice, netns: BorrowedFd<'_>) -> Result<(), Error> {
    let operation = format!("move RDMA device {} into another network namespace", device.name);
    socket.ask(&Request::new(operation, CMD_SET, move_body(device.index, netns))).map(|_| ())
}

fn mode_body(mode: RdmaNetnsMode) -> Vec<u8> {
    let mut message = Writer::default();
    message.put(SYS_NETNS_MODE, &[mode.number()]);
    message.0
}

fn move_body(index: u32, netns: BorrowedFd<'_>) -> Vec<u8> {
    let mut message = Writer::default();
    message.put_u32(DEV_INDEX, index);
    message.put(NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
    message.0
}

fn read_mode(message: &[u8]) -> Result<Option<RdmaNetnsMode>, Malformed> {
    for attribute in attributes(message) {
        let attribute = attribute?;
        if attribute.number == SYS_NETNS_MODE {
            return attribute.u8().map(RdmaNetnsMode::from_number).map(Some);
        }
    }
    Ok(None)
}

fn read_device(message: &[u8]) -> Result<RdmaDevice, Malformed> {
    let mut device = RdmaDevice::default();
    for attribute in attributes(message) {
        let attribute = attribute?;
        match attribute.number {
            DEV_INDEX => device.index = attribute.u32()?,
            DEV_NAME => device.name = attribute.string(),
            _ => {}
        }
    }
    Ok(device)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use proptest::prelude::*;

    use super::*;

    /// What Linux 6.12.95 answered `rdma system`: mode, privileged Q keys, monitor mode, copy on fork.
    const SYSTEM: [u8; 32] =
        [5, 0, 66, 0, 1, 0, 0, 0, 5, 0, 96, 0, 0, 0, 0, 0, 5, 0, 103, 0, 1, 0, 0, 0, 5, 0, 93, 0, 1, 0, 0, 0];

    /// What it answered `rdma dev` for an rdma_rxe device on a VF, from its index to its node GUID.
    const DEVICE: [u8; 52] = [
        8, 0, 1, 0, 1, 0, 0, 0, 9, 0, 2, 0, b'r', b'x', b'e', b'0', 0, 0, 0, 0, 8, 0, 3, 0, 1, 0, 0, 0, 12,
        0, 4, 0, 0x76, 0x3c, 0x22, 1, 0xc0, 1, 0, 0, 12, 0, 6, 0, 0x24, 0x55, 0xb9, 0xfe, 0xff, 0x78, 0xc4,
        0xe8,
    ];

    #[test]
    fn the_mode_and_the_devices_are_read_from_what_a_kernel_sent() {
        assert_eq!(read_mode(&SYSTEM), Ok(Some(RdmaNetnsMode::Shared)));
        assert_eq!(read_mode(&SYSTEM[8..]), Ok(None));
        assert_eq!(read_mode(&[5, 0, 66, 0, 0, 0, 0, 0]), Ok(Some(RdmaNetnsMode::Exclusive)));
        assert_eq!(read_device(&DEVICE), Ok(RdmaDevice { index: 1, name: "rxe0".to_owned() }));
    }

    /// As iproute2 6.1 sent `rdma system set netns exclusive` and `rdma dev set rxe0 netns a` (with descriptor 4).
    #[test]
    fn changes_are_sent_as_the_kernels_own_tool_sends_them() {
        assert_eq!((CMD_GET, CMD_SET, CMD_SYS_GET, CMD_SYS_SET), (0x1401, 0x1402, 0x1406, 0x1407));
        assert_eq!(mode_body(RdmaNetnsMode::Exclusive), [5, 0, 66, 0, 0, 0, 0, 0]);
        let folder = std::fs::File::open("/").unwrap();
        let mut want = vec![8, 0, 1, 0, 1, 0, 0, 0, 8, 0, 68, 0];
        want.extend_from_slice(&folder.as_raw_fd().to_ne_bytes());
        assert_eq!(move_body(1, folder.as_fd()), want);
    }

    proptest! {
        #[test]
        fn any_attributes_are_read_or_refused_without_panic(
            items in proptest::collection::vec((0u16..110, proptest::collection::vec(any::<u8>(), 0..24)), 0..8),
            torn in 0usize..40)
        {
            let mut writer = Writer::default();
            for (number, value) in &items {
                writer.put(*number, value);
            }
            let whole = writer.0.as_slice();
            for message in [whole, whole.get(..torn).unwrap_or_default()] {
                let _ = (read_mode(message), read_device(message));
            }
        }
    }
}

//! Questions of the family and the way from its messages to the model.

use super::model::{
    Device, DeviceHandle, Eswitch, EswitchInlineMode, EswitchMode, Info, Port, PortFlavour, PortFunction,
    PortType, Version,
};
use crate::attribute::{Attribute, Malformed, Writer, attributes};
use crate::error::{Error, libc_errno};
use crate::generic::{GENERIC_HEADER, body};
use crate::link_address::LinkAddress;
use crate::message::Request;
use crate::socket::Socket;

pub(crate) const FAMILY: &str = "devlink";
const VERSION: u8 = 1;

// enum devlink_command
const DEVLINK_CMD_GET: u8 = 1;
const DEVLINK_CMD_PORT_GET: u8 = 5;
const DEVLINK_CMD_ESWITCH_GET: u8 = 29;
const DEVLINK_CMD_ESWITCH_SET: u8 = 30;
const DEVLINK_CMD_INFO_GET: u8 = 51;

// enum devlink_attr
const BUS_NAME: u16 = 1;
const DEV_NAME: u16 = 2;
const PORT_INDEX: u16 = 3;
const PORT_TYPE: u16 = 4;
const PORT_NETDEV_IFINDEX: u16 = 6;
const PORT_NETDEV_NAME: u16 = 7;
const PORT_IBDEV_NAME: u16 = 8;
const PORT_SPLIT_GROUP: u16 = 10;
const ESWITCH_MODE: u16 = 25;
const ESWITCH_INLINE_MODE: u16 = 26;
const ESWITCH_ENCAP_MODE: u16 = 62;
const PORT_FLAVOUR: u16 = 77;
const PORT_NUMBER: u16 = 78;
const PORT_SPLIT_SUBPORT_NUMBER: u16 = 79;
const INFO_DRIVER_NAME: u16 = 98;
const INFO_SERIAL_NUMBER: u16 = 99;
const INFO_VERSION_FIXED: u16 = 100;
const INFO_VERSION_RUNNING: u16 = 101;
const INFO_VERSION_STORED: u16 = 102;
const INFO_VERSION_NAME: u16 = 103;
const INFO_VERSION_VALUE: u16 = 104;
const PORT_PCI_PF_NUMBER: u16 = 127;
const PORT_PCI_VF_NUMBER: u16 = 128;
const RELOAD_FAILED: u16 = 136;
const PORT_FUNCTION: u16 = 145;
const INFO_BOARD_SERIAL_NUMBER: u16 = 146;
const PORT_LANES: u16 = 147;
const PORT_SPLITTABLE: u16 = 148;
const PORT_EXTERNAL: u16 = 149;
const PORT_CONTROLLER_NUMBER: u16 = 150;
const PORT_PCI_SF_NUMBER: u16 = 164;

// enum devlink_port_function_attr
const FUNCTION_HW_ADDR: u16 = 1;
const FUNCTION_STATE: u16 = 2;
const FUNCTION_OPSTATE: u16 = 3;

/// All devices, in the kernel's order (`devlink dev show`).
///
/// [`Error::FamilyAbsent`] without devlink in the kernel.
pub fn devices(socket: &mut Socket) -> Result<Vec<Device>, Error> {
    dump(socket, "list devlink devices", DEVLINK_CMD_GET, device)
}

/// All ports of all devices, in the kernel's order (`devlink port show`).
///
/// [`Error::FamilyAbsent`] without devlink in the kernel.
pub fn ports(socket: &mut Socket) -> Result<Vec<Port>, Error> {
    dump(socket, "list devlink ports", DEVLINK_CMD_PORT_GET, port)
}

/// Driver, serials and versions of a device (`devlink dev info`); absent when its driver gives
/// none or the device is gone.
pub fn info(socket: &mut Socket, device: &DeviceHandle) -> Result<Option<Info>, Error> {
    get(socket, &format!("read versions of {device}"), DEVLINK_CMD_INFO_GET, device, read_info)
}

/// Embedded switch of a device (`devlink dev eswitch show`); absent when it has none or the
/// device is gone.
pub fn eswitch(socket: &mut Socket, device: &DeviceHandle) -> Result<Option<Eswitch>, Error> {
    get(socket, &format!("read the eswitch of {device}"), DEVLINK_CMD_ESWITCH_GET, device, read_eswitch)
}

/// Says who programs the embedded switch of a device (`devlink dev eswitch set DEV mode MODE`). The driver takes all
/// VFs' representors, and often the VFs themselves, down and up for it; seconds, inside the call.
///
/// `EOPNOTSUPP` without a switch, `ENODEV` when the device is gone.
pub fn set_eswitch_mode(socket: &mut Socket, device: &DeviceHandle, mode: EswitchMode) -> Result<(), Error> {
    let name = mode.name().map_or_else(|| mode.number().to_string(), str::to_owned);
    let operation = format!("set the eswitch of {device} to {name}");
    let family = socket.family(FAMILY)?;
    let request = Request::new(operation, family.id, eswitch_mode(device, mode));
    let answer = socket.ask(&request).inspect_err(|error| forget(socket, error));
    answer.map(|_| ())
}

fn eswitch_mode(device: &DeviceHandle, mode: EswitchMode) -> Vec<u8> {
    body(DEVLINK_CMD_ESWITCH_SET, VERSION, |message| {
        message.put_string(BUS_NAME, &device.bus);
        message.put_string(DEV_NAME, &device.device);
        message.put(ESWITCH_MODE, &mode.number().to_ne_bytes());
    })
}

fn dump<T>(
    socket: &mut Socket,
    operation: &str,
    command: u8,
    read: fn(&[u8]) -> Result<T, Malformed>,
) -> Result<Vec<T>, Error> {
    let family = socket.family(FAMILY)?;
    let request = Request::new(operation, family.id, body(command, VERSION, |_| {}));
    let items = socket.dump(&request, |items, _, body| items.push(read(body)));
    let items = items.inspect_err(|error| forget(socket, error))?;
    items.into_iter().collect::<Result<_, _>>().map_err(|reason| Error::decode(operation, reason))
}

fn get<T>(
    socket: &mut Socket,
    operation: &str,
    command: u8,
    device: &DeviceHandle,
    read: fn(&[u8]) -> Result<T, Malformed>,
) -> Result<Option<T>, Error> {
    let family = socket.family(FAMILY)?;
    let fill = |message: &mut Writer| {
        message.put_string(BUS_NAME, &device.bus);
        message.put_string(DEV_NAME, &device.device);
    };
    let request = Request::new(operation, family.id, body(command, VERSION, fill));
    match socket.ask(&request) {
        Ok(answers) => {
            // A driver that says nothing at all of itself is answered without a message.
            let answer = answers.first();
            answer.map(|(_, body)| read(body).map_err(|reason| Error::decode(operation, reason))).transpose()
        }
        Err(Error::Kernel { source, .. })
            if [libc_errno::EOPNOTSUPP, libc_errno::ENODEV].contains(&source.errno) =>
        {
            Ok(None)
        }
        Err(error) => {
            forget(socket, &error);
            Err(error)
        }
    }
}

/// `ENOENT` to a family's number means that its module went; it may come back with another.
fn forget(socket: &mut Socket, error: &Error) {
    if error.errno() == Some(libc_errno::ENOENT) {
        socket.forget_family(FAMILY);
    }
}

fn each(
    message: &[u8],
    mut apply: impl FnMut(&Attribute<'_>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let bytes = message
        .get(GENERIC_HEADER..)
        .ok_or_else(|| Malformed(format!("a generic message of {} bytes", message.len())))?;
    attributes(bytes).try_for_each(|attribute| apply(&attribute?))
}

fn set_handle(handle: &mut DeviceHandle, attribute: &Attribute<'_>) {
    match attribute.number {
        BUS_NAME => handle.bus = attribute.string(),
        DEV_NAME => handle.device = attribute.string(),
        _ => {}
    }
}

/// The device that a message is about; absent when it names none.
pub(crate) fn handle(message: &[u8]) -> Result<Option<DeviceHandle>, Malformed> {
    let handle = device(message)?.handle;
    Ok((!handle.device.is_empty()).then_some(handle))
}

fn device(message: &[u8]) -> Result<Device, Malformed> {
    let mut device = Device::default();
    each(message, |attribute| {
        match attribute.number {
            RELOAD_FAILED => device.reload_failed = Some(attribute.flag()?),
            _ => set_handle(&mut device.handle, attribute),
        }
        Ok(())
    })?;
    Ok(device)
}

fn port(message: &[u8]) -> Result<Port, Malformed> {
    let mut port = Port::default();
    each(message, |attribute| {
        match attribute.number {
            PORT_INDEX => port.index = attribute.u32()?,
            PORT_TYPE => port.port_type = Some(PortType::from_number(attribute.u16()?)),
            PORT_NETDEV_IFINDEX => port.netdev_index = Some(attribute.u32()?),
            PORT_NETDEV_NAME => port.netdev_name = Some(attribute.string()),
            PORT_IBDEV_NAME => port.rdma_name = Some(attribute.string()),
            PORT_SPLIT_GROUP => port.split_group = Some(attribute.u32()?),
            PORT_FLAVOUR => port.flavour = Some(PortFlavour::from_number(attribute.u16()?)),
            PORT_NUMBER => port.number = Some(attribute.u32()?),
            PORT_SPLIT_SUBPORT_NUMBER => port.split_subport = Some(attribute.u32()?),
            PORT_PCI_PF_NUMBER => port.pf = Some(attribute.u16()?),
            PORT_PCI_VF_NUMBER => port.vf = Some(attribute.u16()?),
            PORT_PCI_SF_NUMBER => port.sf = Some(attribute.u32()?),
            PORT_LANES => port.lanes = Some(attribute.u32()?),
            PORT_SPLITTABLE => port.splittable = Some(attribute.flag()?),
            PORT_EXTERNAL => port.external = Some(attribute.flag()?),
            PORT_CONTROLLER_NUMBER => port.controller = Some(attribute.u32()?),
            PORT_FUNCTION => port.function = Some(port_function(attribute)?),
            _ => set_handle(&mut port.handle, attribute),
        }
        Ok(())
    })?;
    Ok(port)
}

fn port_function(nest: &Attribute<'_>) -> Result<PortFunction, Malformed> {
    let mut function = PortFunction::default();
    for attribute in nest.nested() {
        let attribute = attribute?;
        match attribute.number {
            FUNCTION_HW_ADDR => function.hardware_address = Some(LinkAddress::from(attribute.value)),
            FUNCTION_STATE => function.active = Some(attribute.flag()?),
            FUNCTION_OPSTATE => function.attached = Some(attribute.flag()?),
            _ => {}
        }
    }
    Ok(function)
}

fn read_info(message: &[u8]) -> Result<Info, Malformed> {
    let mut info = Info::default();
    each(message, |attribute| {
        match attribute.number {
            INFO_DRIVER_NAME => info.driver = Some(attribute.string()),
            INFO_SERIAL_NUMBER => info.serial = Some(attribute.string()),
            INFO_BOARD_SERIAL_NUMBER => info.board_serial = Some(attribute.string()),
            INFO_VERSION_FIXED => info.fixed.push(version(attribute)?),
            INFO_VERSION_RUNNING => info.running.push(version(attribute)?),
            INFO_VERSION_STORED => info.stored.push(version(attribute)?),
            _ => set_handle(&mut info.handle, attribute),
        }
        Ok(())
    })?;
    Ok(info)
}

fn version(nest: &Attribute<'_>) -> Result<Version, Malformed> {
    let mut version = Version::default();
    for attribute in nest.nested() {
        let attribute = attribute?;
        match attribute.number {
            INFO_VERSION_NAME => version.name = attribute.string(),
            INFO_VERSION_VALUE => version.value = attribute.string(),
            _ => {}
        }
    }
    Ok(version)
}

fn read_eswitch(message: &[u8]) -> Result<Eswitch, Malformed> {
    let mut eswitch = Eswitch::default();
    each(message, |attribute| {
        match attribute.number {
            ESWITCH_MODE => eswitch.mode = Some(EswitchMode::from_number(attribute.u16()?)),
            ESWITCH_INLINE_MODE => {
                eswitch.inline_mode = Some(EswitchInlineMode::from_number(attribute.u8()?));
            }
            ESWITCH_ENCAP_MODE => eswitch.encap = Some(attribute.flag()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(eswitch)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As `devlink dev eswitch set pci/0000:01:00.0 mode switchdev` sends it.
    #[test]
    fn a_mode_is_set_with_the_device_and_sixteen_bits() {
        let message = eswitch_mode(&DeviceHandle::new("pci", "0000:01:00.0"), EswitchMode::Switchdev);

        let mut want = vec![30, 1, 0, 0, 8, 0, 1, 0];
        want.extend_from_slice(b"pci\0\x11\0\x02\0");
        want.extend_from_slice(b"0000:01:00.0\0\0\0\0");
        want.extend_from_slice(&[6, 0, 25, 0, 1, 0, 0, 0]);
        assert_eq!(message, want);
    }

    proptest! {
        #[test]
        fn any_attributes_are_read_or_refused_without_panic(
            items in proptest::collection::vec((0u16..170, proptest::collection::vec(any::<u8>(), 0..48)), 0..12))
        {
            let mut writer = Writer(vec![0; GENERIC_HEADER]);
            for (number, value) in &items {
                writer.put(*number, value);
            }
            for message in [writer.0.as_slice(), &[]] {
                let _ = (device(message), port(message), read_info(message), read_eswitch(message));
            }
        }
    }
}

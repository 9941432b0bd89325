//! Signatures first.
#![allow(clippy::todo, reason = "bodies follow in the next commit")]
use super::{Device, DeviceHandle, Eswitch, Info, Port};
use crate::{Error, Socket};

/// All devices (`devlink dev show`). [`Error::FamilyAbsent`] without devlink in the kernel.
pub fn devices(_socket: &mut Socket) -> Result<Vec<Device>, Error> {
    todo!()
}

/// All ports of all devices (`devlink port show`).
pub fn ports(_socket: &mut Socket) -> Result<Vec<Port>, Error> {
    todo!()
}

/// Versions of a device (`devlink dev info`); absent when its driver gives none.
pub fn info(_socket: &mut Socket, _device: &DeviceHandle) -> Result<Option<Info>, Error> {
    todo!()
}

/// Embedded switch of a device (`devlink dev eswitch show`); absent when it has none.
pub fn eswitch(_socket: &mut Socket, _device: &DeviceHandle) -> Result<Option<Eswitch>, Error> {
    todo!()
}

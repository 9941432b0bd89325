//! Devices behind NICs: ports, firmware versions, the embedded switch (generic netlink family
//! `devlink`).

mod model;
mod verbs;

pub use model::{
    Device, DeviceHandle, Eswitch, EswitchInlineMode, EswitchMode, Info, Port, PortFlavour, PortFunction,
    PortType, Version,
};
pub(crate) use verbs::{FAMILY, handle};
pub use verbs::{devices, eswitch, info, ports, set_eswitch_mode};

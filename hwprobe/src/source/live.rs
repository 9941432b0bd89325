//! The running kernel, asked over netlink.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink::ethtool::{Answers, ModulePage};
use netlink::route::{Address, Link, Route, RouteHop};
use netlink::{Error, Family, Socket, devlink, ethtool, route};

use super::kernel::{Answer, DevlinkAnswers, DevlinkDevice, ForeignNamespace, Kernel, Origin, VfioHolder};
use super::namespaces;
use crate::model::Failure;

/// The kernel of this machine, in the network namespace of the thread that opened it.
pub(crate) struct LiveKernel {
    route: RefCell<Socket>,
    generic: RefCell<Socket>,
    unread: RefCell<Vec<Failure>>,
}

impl LiveKernel {
    /// Opens the sockets.
    pub(crate) fn open() -> Result<Self, Error> {
        Ok(Self {
            route: Socket::open(Family::Route)?.into(),
            generic: Socket::open(Family::Generic)?.into(),
            unread: RefCell::default(),
        })
    }
}

/// Names what was asked, and keeps the kernel's sentence.
fn failed(message: &str) -> impl Fn(Error) -> Failure + '_ {
    move |error| {
        let cause = std::error::Error::source(&error);
        let error = cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        Failure { source: message.to_owned(), error }
    }
}

/// A family that the kernel does not have answers nothing.
fn or_absent<T: Default>(result: Result<T, Error>) -> Result<T, Error> {
    match result {
        Err(Error::FamilyAbsent { .. }) => Ok(T::default()),
        other => other,
    }
}

impl Kernel for LiveKernel {
    fn origin(&self) -> Origin {
        Origin::Netlink
    }

    fn links(&self) -> Answer<Vec<Link>> {
        let dump = route::links(&mut self.route.borrow_mut()).map_err(failed("RTM_GETLINK"))?;
        *self.unread.borrow_mut() = dump.failures.into_iter().map(failed("RTM_GETLINK")).collect();
        Ok(dump.links)
    }

    fn unread_links(&self) -> Vec<Failure> {
        self.unread.borrow().clone()
    }

    fn addresses(&self) -> Answer<Vec<Address>> {
        route::addresses(&mut self.route.borrow_mut()).map_err(failed("RTM_GETADDR"))
    }

    fn default_routes(&self) -> Answer<Vec<Route>> {
        route::default_routes(&mut self.route.borrow_mut()).map_err(failed("RTM_GETROUTE"))
    }

    fn route_to(&self, destination: IpAddr) -> Answer<Option<RouteHop>> {
        route::route_to(&mut self.route.borrow_mut(), destination).map_err(failed("RTM_GETROUTE"))
    }

    fn foreign_links(&self) -> Answer<Vec<ForeignNamespace>> {
        let mut socket = self.route.borrow_mut();
        let numbers = route::namespace_ids(&mut socket).map_err(failed("RTM_GETNSID"))?;
        let mut found = Vec::new();
        for number in numbers {
            let Ok(nsid) = u32::try_from(number) else { continue };
            // A namespace that goes away in between has nothing to tell.
            let Ok(dump) = route::links_in(&mut socket, number) else { continue };
            let links: Vec<Link> =
                dump.links.into_iter().filter(|link| link.parent_device.is_some()).collect();
            if !links.is_empty() {
                found.push(ForeignNamespace { nsid, links, ..ForeignNamespace::default() });
            }
        }
        if !found.is_empty() {
            namespaces::name(&mut socket, &mut found);
        }
        Ok(found)
    }

    fn ethtool(&self, indexes: &[u32]) -> Answer<BTreeMap<u32, Answers>> {
        let answers = or_absent(ethtool::answers(&mut self.generic.borrow_mut(), indexes));
        answers.map(|all| all.into_iter().collect()).map_err(failed("ethtool netlink"))
    }

    fn module_identity(&self, index: u32) -> Answer<Option<Vec<u8>>> {
        let mut socket = self.generic.borrow_mut();
        let mut half = |offset| {
            let page = ModulePage { page: 0, bank: 0, i2c_address: 0x50, offset, length: 128 };
            match ethtool::module_page(&mut socket, index, page) {
                Ok(bytes) => Ok(Some(bytes)),
                // No module, no EEPROM, a driver without the call: all the same to us.
                Err(error) if error.errno().is_some() => Ok(None),
                Err(error) => Err(failed("ETHTOOL_MSG_MODULE_EEPROM_GET")(error)),
            }
        };
        let Some(mut identity) = half(0)? else { return Ok(None) };
        identity.extend(half(128)?.unwrap_or_default());
        Ok(Some(identity))
    }

    fn devlink(&self) -> Answer<DevlinkAnswers> {
        let mut socket = self.generic.borrow_mut();
        let devices = or_absent(devlink::devices(&mut socket)).map_err(failed("DEVLINK_CMD_GET"))?;
        if devices.is_empty() {
            return Ok(DevlinkAnswers::default());
        }
        let ports = devlink::ports(&mut socket).map_err(failed("DEVLINK_CMD_PORT_GET"))?;
        let device = |device: devlink::Device| DevlinkDevice {
            info: devlink::info(&mut socket, &device.handle).ok().flatten(),
            eswitch: devlink::eswitch(&mut socket, &device.handle).ok().flatten(),
            device,
        };
        Ok(DevlinkAnswers { devices: devices.into_iter().map(device).collect(), ports })
    }

    fn vfio_holders(&self, nodes: &[String]) -> Answer<Vec<VfioHolder>> {
        namespaces::vfio_holders(nodes)
    }
}

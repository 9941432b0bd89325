//! What the kernel answers over netlink, under one seam: live, read from a captured `/sys`, or recorded.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netlink::devlink::{Device, Eswitch, Info, Port};
use netlink::ethtool::Answers;
use netlink::route::{Address, Link, Route, RouteHop};
use serde::{Deserialize, Serialize};

use crate::model::{Failure, NamespaceRef};

/// An answer, or what went wrong.
pub type Answer<T> = Result<T, Failure>;

/// Asks the kernel. Every call is a question; none changes anything.
pub(crate) trait Kernel {
    /// Where answers come from, for people: `netlink` or `sysfs`.
    fn origin(&self) -> Origin;

    /// All links of the namespace, with the VFs of PFs.
    fn links(&self) -> Answer<Vec<Link>>;

    /// What went wrong with single links of the last [`Kernel::links`]: those are missing from it.
    fn unread_links(&self) -> Vec<Failure>;

    /// All addresses of the namespace.
    fn addresses(&self) -> Answer<Vec<Address>>;

    /// The default routes of all tables, both families.
    fn default_routes(&self) -> Answer<Vec<Route>>;

    /// How packets to an address leave; `None` when there is no route.
    fn route_to(&self, destination: IpAddr) -> Answer<Option<RouteHop>>;

    /// The hardware links in other namespaces, as far as they have a number in this one.
    fn foreign_links(&self) -> Answer<Vec<ForeignNamespace>>;

    /// The ethtool answers of these links, by index.
    fn ethtool(&self, indexes: &[u32]) -> Answer<BTreeMap<u32, Answers>>;

    /// The first 256 bytes of the module EEPROM's pages that identify it; `None` without a module.
    fn module_identity(&self, index: u32) -> Answer<Option<Vec<u8>>>;

    /// All devlink devices.
    fn devlink(&self) -> Answer<DevlinkAnswers>;

    /// Who has these VFIO device nodes (`major:minor`) open; `Err` when we may not look.
    fn vfio_holders(&self, nodes: &[String]) -> Answer<Vec<VfioHolder>>;
}

/// Where answers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// The kernel's netlink families.
    Netlink,
    /// Files of a captured `/sys` and `/proc`.
    Sysfs,
}

/// Links of another namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignNamespace {
    /// Number that the namespace has in ours.
    pub nsid: u32,
    /// Whose it is.
    pub name: NamespaceRef,
    /// Its links that have a device behind them.
    pub links: Vec<Link>,
}

/// What devlink says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DevlinkAnswers {
    /// Devices.
    pub devices: Vec<DevlinkDevice>,
    /// Ports of all devices.
    pub ports: Vec<Port>,
}

/// One devlink device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DevlinkDevice {
    /// The device.
    pub device: Device,
    /// Serials and versions, where the driver tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Info>,
    /// The embedded switch, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eswitch: Option<Eswitch>,
}

/// A process that has a VFIO device node open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VfioHolder {
    /// The node, `major:minor`.
    pub node: String,
    /// The process.
    pub pid: u32,
    /// Its name.
    pub process: String,
}

/// All answers of a machine, as a snapshot keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KernelAnswers {
    /// Where they came from.
    pub origin: Origin,
    /// Links.
    #[serde(default = "unasked")]
    pub links: Answer<Vec<Link>>,
    /// Links that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread_links: Vec<Failure>,
    /// Addresses.
    #[serde(default = "unasked")]
    pub addresses: Answer<Vec<Address>>,
    /// Default routes.
    #[serde(default = "unasked")]
    pub default_routes: Answer<Vec<Route>>,
    /// Routes to single addresses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub routes_to: BTreeMap<IpAddr, Answer<Option<RouteHop>>>,
    /// Hardware links in other namespaces; absent when nobody had to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_links: Option<Answer<Vec<ForeignNamespace>>>,
    /// ethtool answers by link index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ethtool: BTreeMap<u32, Answers>,
    /// The failure when ethtool could not be asked at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ethtool_failure: Option<Failure>,
    /// Module EEPROMs by link index, in hexadecimal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub modules: BTreeMap<u32, String>,
    /// devlink.
    #[serde(default = "unasked")]
    pub devlink: Answer<DevlinkAnswers>,
    /// Open VFIO nodes; absent when nobody had to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vfio_holders: Option<Answer<Vec<VfioHolder>>>,
}

fn unasked<T: Default>() -> Answer<T> {
    Ok(T::default())
}

impl KernelAnswers {
    /// No answers from `origin`.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            links: unasked(),
            unread_links: Vec::new(),
            addresses: unasked(),
            default_routes: unasked(),
            routes_to: BTreeMap::new(),
            foreign_links: None,
            ethtool: BTreeMap::new(),
            ethtool_failure: None,
            modules: BTreeMap::new(),
            devlink: unasked(),
            vfio_holders: None,
        }
    }
}

impl Kernel for KernelAnswers {
    fn origin(&self) -> Origin {
        self.origin
    }

    fn links(&self) -> Answer<Vec<Link>> {
        self.links.clone()
    }

    fn unread_links(&self) -> Vec<Failure> {
        self.unread_links.clone()
    }

    fn addresses(&self) -> Answer<Vec<Address>> {
        self.addresses.clone()
    }

    fn default_routes(&self) -> Answer<Vec<Route>> {
        self.default_routes.clone()
    }

    fn route_to(&self, destination: IpAddr) -> Answer<Option<RouteHop>> {
        self.routes_to.get(&destination).cloned().unwrap_or(Ok(None))
    }

    fn foreign_links(&self) -> Answer<Vec<ForeignNamespace>> {
        self.foreign_links.clone().unwrap_or_else(|| Ok(Vec::new()))
    }

    fn ethtool(&self, indexes: &[u32]) -> Answer<BTreeMap<u32, Answers>> {
        match &self.ethtool_failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(indexes
                .iter()
                .filter_map(|index| Some((*index, self.ethtool.get(index)?.clone())))
                .collect()),
        }
    }

    fn module_identity(&self, index: u32) -> Answer<Option<Vec<u8>>> {
        let Some(hex) = self.modules.get(&index) else { return Ok(None) };
        let byte = |at: usize| hex.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        Ok((0..hex.len()).step_by(2).map(byte).collect())
    }

    fn devlink(&self) -> Answer<DevlinkAnswers> {
        self.devlink.clone()
    }

    fn vfio_holders(&self, nodes: &[String]) -> Answer<Vec<VfioHolder>> {
        let all = self.vfio_holders.clone().unwrap_or_else(|| Ok(Vec::new()))?;
        Ok(all.into_iter().filter(|holder| nodes.contains(&holder.node)).collect())
    }
}

/// Asks another kernel and keeps the answers.
pub(crate) struct RecordingKernel<K> {
    inner: K,
    kept: std::cell::RefCell<KernelAnswers>,
}

impl<K: Kernel> RecordingKernel<K> {
    /// Records the answers of `inner`.
    pub(crate) fn new(inner: K) -> Self {
        let kept = KernelAnswers::new(inner.origin()).into();
        Self { inner, kept }
    }

    /// What was answered so far.
    pub(crate) fn answers(&self) -> KernelAnswers {
        self.kept.borrow().clone()
    }
}

impl<K: Kernel> Kernel for RecordingKernel<K> {
    fn origin(&self) -> Origin {
        self.inner.origin()
    }

    fn links(&self) -> Answer<Vec<Link>> {
        let answer = self.inner.links();
        self.kept.borrow_mut().links = answer.clone();
        answer
    }

    fn unread_links(&self) -> Vec<Failure> {
        let answer = self.inner.unread_links();
        self.kept.borrow_mut().unread_links = answer.clone();
        answer
    }

    fn addresses(&self) -> Answer<Vec<Address>> {
        let answer = self.inner.addresses();
        self.kept.borrow_mut().addresses = answer.clone();
        answer
    }

    fn default_routes(&self) -> Answer<Vec<Route>> {
        let answer = self.inner.default_routes();
        self.kept.borrow_mut().default_routes = answer.clone();
        answer
    }

    fn route_to(&self, destination: IpAddr) -> Answer<Option<RouteHop>> {
        let answer = self.inner.route_to(destination);
        self.kept.borrow_mut().routes_to.insert(destination, answer.clone());
        answer
    }

    fn foreign_links(&self) -> Answer<Vec<ForeignNamespace>> {
        let answer = self.inner.foreign_links();
        self.kept.borrow_mut().foreign_links = Some(answer.clone());
        answer
    }

    fn ethtool(&self, indexes: &[u32]) -> Answer<BTreeMap<u32, Answers>> {
        let answer = self.inner.ethtool(indexes);
        let mut kept = self.kept.borrow_mut();
        match &answer {
            Ok(answers) => kept.ethtool.extend(answers.clone()),
            Err(failure) => kept.ethtool_failure = Some(failure.clone()),
        }
        answer
    }

    fn module_identity(&self, index: u32) -> Answer<Option<Vec<u8>>> {
        let answer = self.inner.module_identity(index);
        if let Ok(Some(bytes)) = &answer {
            let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            self.kept.borrow_mut().modules.insert(index, hex);
        }
        answer
    }

    fn devlink(&self) -> Answer<DevlinkAnswers> {
        let answer = self.inner.devlink();
        self.kept.borrow_mut().devlink = answer.clone();
        answer
    }

    fn vfio_holders(&self, nodes: &[String]) -> Answer<Vec<VfioHolder>> {
        let answer = self.inner.vfio_holders(nodes);
        self.kept.borrow_mut().vfio_holders = Some(answer.clone());
        answer
    }
}

//! What can be wrong with a device.

use std::fmt;

use hwprobe::{Driver, HeldBy, Nic, PodHolder};

use crate::config::{DevicePool, DeviceUse};

/// What is wrong with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not there.
    Gone,
    /// It could not be read; the last reading counts.
    Unread,
    /// It is there, but not what the pool is made of any more; a pod has it.
    NotSelected,
    /// Its port has no carrier.
    NoCarrier {
        /// The port.
        port: String,
    },
    /// Its port is administratively down.
    PortDown {
        /// The port.
        port: String,
    },
    /// The bound driver is not what the pool's use needs.
    Misbound {
        /// The driver; absent when none is bound.
        driver: Option<String>,
        /// The use.
        usage: DeviceUse,
    },
    /// Its driver made no network interface.
    NoNetdev,
    /// It has no IOMMU group: user space cannot have it.
    NoIommu,
    /// Its port is in the same IOMMU group.
    SharedGroup {
        /// The group.
        group: u32,
    },
    /// Somebody has it whom the kubelet did not give it to.
    Taken {
        /// Who.
        by: String,
    },
}

impl fmt::Display for Fault {
    /// What is wrong, and what helps.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("it is not there any more"),
            Self::Unread => f.write_str("it could not be read; /v1/node says why"),
            Self::NotSelected => f.write_str("the pool's selectors do not fit it any more"),
            Self::NoCarrier { port } => write!(f, "{port} has no carrier: check its cable and the switch"),
            Self::PortDown { port } => write!(f, "{port} is down: ip link set {port} up"),
            Self::Misbound { driver, usage } => {
                match driver {
                    Some(driver) => write!(f, "it is bound to {driver}")?,
                    None => f.write_str("no driver is bound")?,
                }
                f.write_str(match usage {
                    DeviceUse::Netdevice => "; a netdevice pool needs its network driver",
                    DeviceUse::Vfio => "; a vfio pool needs vfio-pci",
                })
            }
            Self::NoNetdev => f.write_str("its driver made no network interface: see the kernel's log"),
            Self::NoIommu => f.write_str("it has no IOMMU group: boot with intel_iommu=on or amd_iommu=on"),
            Self::SharedGroup { group } => {
                write!(
                    f,
                    "IOMMU group {group} also has its PF: the platform lacks ACS, so user space cannot have it"
                )
            }
            Self::Taken { by } => write!(f, "{by} has it"),
        }
    }
}

/// What is wrong with a NIC as a device of the pool. `is_held`: a pod has it from this pool, so that it may be
/// anywhere; `holders`: everyone who has it from the kubelet.
pub(super) fn fault(
    pool: &DevicePool,
    nic: &Nic,
    pf: Option<&Nic>,
    is_held: bool,
    holders: &[PodHolder],
    resource: &str,
) -> Option<Fault> {
    taken(nic, is_held, holders, resource)
        .or_else(|| misbound(pool, nic, pf, is_held))
        .or_else(|| port(pf.unwrap_or(nic), is_held))
}

fn taken(nic: &Nic, is_held: bool, holders: &[PodHolder], resource: &str) -> Option<Fault> {
    if let Some(other) = holders.iter().find(|holder| holder.resource != resource) {
        let pod = other.pod.as_deref().or(other.uid.as_deref()).unwrap_or_default();
        return Some(Fault::Taken { by: format!("pod {pod} (as {})", other.resource) });
    }
    let held = nic.held.as_ref().filter(|_| !is_held)?;
    let by = match held.by {
        // Links stand on a NIC that is shared, and whoever waits for VFIO has it open.
        HeldBy::Upper | HeldBy::Node | HeldBy::VfioUnknown | HeldBy::Pod => return None,
        HeldBy::Namespace => "another network namespace".to_owned(),
        HeldBy::Vfio => format!("process {}", held.holder.as_deref().unwrap_or("unknown")),
        _ => held.holder.clone().unwrap_or_else(|| "a bond or bridge".to_owned()),
    };
    Some(Fault::Taken { by })
}

fn misbound(pool: &DevicePool, nic: &Nic, pf: Option<&Nic>, is_held: bool) -> Option<Fault> {
    let driver = nic.driver.as_ref().map(|driver| driver.name.clone());
    if driver.is_none()
        && nic.bus.as_ref().is_none_or(|bus| bus.kind != "pci")
        && pool.usage == DeviceUse::Netdevice
    {
        // A VLAN or a bond has no driver to be bound.
        return None;
    }
    if driver.is_none() && !nic.failures.is_empty() {
        return Some(Fault::Unread);
    }
    let passed_through = driver.as_deref().is_some_and(Driver::is_vfio);
    let right = match pool.usage {
        DeviceUse::Netdevice => driver.is_some() && !passed_through,
        DeviceUse::Vfio => passed_through,
    };
    if !right {
        return Some(Fault::Misbound { driver, usage: pool.usage });
    }
    match pool.usage {
        DeviceUse::Netdevice => {
            (nic.link.is_none() && !is_held && nic.held.is_none()).then_some(Fault::NoNetdev)
        }
        DeviceUse::Vfio => match (nic.iommu_group, pf.and_then(|pf| pf.iommu_group)) {
            (None, _) => Some(Fault::NoIommu),
            (Some(group), Some(of_pf)) if group == of_pf => Some(Fault::SharedGroup { group }),
            _ => None,
        },
    }
}

/// What is wrong with the port below a device.
fn port(port: &Nic, is_held: bool) -> Option<Fault> {
    let name = || port.label().to_owned();
    match &port.link {
        // A port in another namespace, or under another driver, does not show its carrier.
        None if port.failures.is_empty() || is_held => None,
        None => Some(Fault::Unread),
        Some(link) if !link.admin_up => Some(Fault::PortDown { port: name() }),
        Some(link) if link.carrier == Some(false) => Some(Fault::NoCarrier { port: name() }),
        Some(_) => None,
    }
}

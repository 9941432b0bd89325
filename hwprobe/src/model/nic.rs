//! One NIC: the sum of what is known about it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    DevlinkPort, Driver, ExtraMacs, Failure, GpuRelation, Held, HwAddr, IpInterface, LinkFacts,
    LldpNeighbour, PciAddress, PciFunction, PodHolder, Protection, RdmaDevice, Resources, Secondary, Speed,
    Sriov, Stacking, VfOf,
};

/// What a NIC is called wherever it goes: its PCI address, else its bus path, else (virtual links) its name.
/// Several netdevs on one function are told apart by a suffix: `0000:3b:00.0-port1`, `0000:3b:00.0-pf0vf2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct NicId(String);

impl NicId {
    /// The id with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What kind of network interface this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum NicKind {
    /// A hardware function with its own port (a PF, or a NIC without SR-IOV).
    Physical,
    /// An SR-IOV virtual function.
    VirtualFunction,
    /// A sub-function (auxiliary bus).
    SubFunction,
    /// The host's end of a VF or sub-function in switchdev mode.
    Representor,
    /// A NIC that a hypervisor emulates or paravirtualises (virtio, vmxnet3, hv_netvsc, xen-netfront, ENA).
    Paravirtual,
    /// Several NICs bonded or teamed.
    Bond,
    /// A VLAN above another link.
    Vlan,
    /// A software bridge, an Open vSwitch bridge port included.
    Bridge,
    /// macvlan or macvtap.
    Macvlan,
    /// ipvlan or ipvtap.
    Ipvlan,
    /// One end of a veth or netkit pair.
    Veth,
    /// tun or tap.
    Tun,
    /// Intermediate functional block.
    Ifb,
    /// dummy.
    Dummy,
    /// VXLAN, Geneve, GRE, IP-in-IP, WireGuard and other tunnels.
    Tunnel,
    /// Virtual routing and forwarding device.
    Vrf,
    /// An IP-over-InfiniBand child (partition).
    IpoibChild,
    /// The loopback link.
    Loopback,
    /// Any other virtual link.
    OtherVirtual,
}

impl NicKind {
    /// Backed by a device, not made by software in this kernel.
    pub fn is_hardware(self) -> bool {
        matches!(
            self,
            Self::Physical
                | Self::VirtualFunction
                | Self::SubFunction
                | Self::Representor
                | Self::Paravirtual
        )
    }
}

/// The bus that a hardware NIC sits on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Bus {
    /// The bus as the kernel names it: `pci`, `virtio`, `vmbus`, `xen`, `usb`, `platform`, `auxiliary`, `netdevsim` …
    pub kind: String,
    /// Name of the device on that bus, like `0000:3b:00.0`, `virtio2`, `1-1:1.0`.
    pub device: String,
    /// Path of the device below `/sys`, like `devices/pci0000:00/0000:00:03.0/virtio2`.
    pub path: String,
}

impl Bus {
    /// A device on a bus.
    pub fn new(kind: String, device: String, path: String) -> Self {
        Self { kind, device, path }
    }
}

/// Which incarnation of a device this is. A PF reset or a new VF count makes a new device at an old PCI
/// address; whoever holds a device compares both numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Generation {
    /// Index of the netdev; never reused while the kernel runs unless someone asks for a used number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    /// Number that the kernel gave the device's folder in `/sys` when it made it (kernfs inode); a device
    /// that is made anew gets another, also at the same PCI address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u64>,
}

impl Generation {
    /// A generation from both numbers.
    pub fn new(ifindex: Option<u32>, device: Option<u64>) -> Self {
        Self { ifindex, device }
    }
}

/// One NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Nic {
    /// Stable identity.
    pub id: NicId,
    /// What it is.
    pub kind: NicKind,
    /// Backed by a device (`kind` says which).
    pub hardware: bool,
    /// Name of the netdev in the agent's namespace; absent when there is none (no driver, vfio-pci, or in another namespace).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Further names of the netdev.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alt_names: Vec<String>,
    /// Which incarnation of the device this is.
    pub generation: Generation,
    /// Current link-layer address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<HwAddr>,
    /// Address burnt into the card, where the driver tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permanent_mac: Option<HwAddr>,
    /// Where it is plugged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<Bus>,
    /// The PCI function, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci: Option<PciFunction>,
    /// The driver that is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<Driver>,
    /// Facts of the netdev; absent when there is no netdev here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkFacts>,
    /// How fast it is.
    pub speed: Speed,
    /// NUMA node; absent when unknown (−1 in sysfs).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u16>,
    /// CPUs near the device, as a list like `0-15,32-47`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_cpus: Option<String>,
    /// IOMMU group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iommu_group: Option<u32>,
    /// PCI host bridge above it, like `pci0000:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci_root: Option<String>,
    /// PCI bridges above it, nearest the root first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pci_path: Vec<PciAddress>,
    /// How near each GPU is, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuRelation>,
    /// SR-IOV capacity and VFs, on a PF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sriov: Option<Sriov>,
    /// Which VF of which PF this is, on a VF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vf: Option<VfOf>,
    /// The devlink port behind the netdev.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devlink_port: Option<DevlinkPort>,
    /// RDMA devices on the same function.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rdma: Vec<RdmaDevice>,
    /// Queues, rings, offloads, clock.
    pub resources: Resources,
    /// Links above and below.
    pub stacking: Stacking,
    /// IP addresses, IPv4 first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpInterface>,
    /// Carries a default route of the node.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub default_route: bool,
    /// The switch port at the other end, where an LLDP daemon on this node knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lldp: Option<LldpNeighbour>,
    /// Why it is protected: it carries the node. Absent = not protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<Protection>,
    /// Who holds it. Absent = nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Which containers the kubelet has given it, or shares of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<PodHolder>,
    /// Whether pods may get it, and for what it can be used now.
    pub secondary: Secondary,
    /// Whether the port passes more than one MAC address.
    pub extra_macs: ExtraMacs,
    /// What could not be read of this NIC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

impl Nic {
    /// A NIC of which nothing but identity and kind is known yet.
    pub fn new(id: NicId, kind: NicKind) -> Self {
        Self {
            id,
            kind,
            hardware: kind.is_hardware(),
            name: None,
            alt_names: Vec::new(),
            generation: Generation::default(),
            mac: None,
            permanent_mac: None,
            bus: None,
            pci: None,
            driver: None,
            link: None,
            speed: Speed::default(),
            numa_node: None,
            local_cpus: None,
            iommu_group: None,
            pci_root: None,
            pci_path: Vec::new(),
            gpus: Vec::new(),
            sriov: None,
            vf: None,
            devlink_port: None,
            rdma: Vec::new(),
            resources: Resources::default(),
            stacking: Stacking::default(),
            addresses: Vec::new(),
            default_route: false,
            lldp: None,
            protected: None,
            held: None,
            held_by: Vec::new(),
            secondary: Secondary::default(),
            extra_macs: ExtraMacs::default(),
            failures: Vec::new(),
        }
    }

    /// The name that a person would use: the netdev's, else the id.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(self.id.as_str())
    }

    /// The address of its PCI function.
    pub fn pci_address(&self) -> Option<PciAddress> {
        self.pci.as_ref().map(|pci| pci.address)
    }

    /// Whether a device plugin's id means this NIC: its id here, or its PCI address.
    pub fn is_device(&self, id: &str) -> bool {
        self.id.as_str() == id || self.pci_address().is_some_and(|pci| pci.to_string() == id)
    }
}

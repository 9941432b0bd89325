//! The section `devicePlugin`: which devices the kubelet is offered, in which pools.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hwprobe::PciAddress;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::reading::{ConfigError, Section};

/// Devices as extended resources of the kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DevicePlugin {
    /// Whether the kubelet is offered the pools. A resource that another device plugin serves stays with it.
    pub enabled: bool,
    /// First half of the resources' names, like multinic.fms.io in multinic.fms.io/rails.
    pub prefix: String,
    /// The kubelet's folder. Also without pools, which pod holds which device is read there.
    #[schema(value_type = String)]
    pub kubelet_dir: PathBuf,
    /// Where a file for each device that was given out says what it is, for Multus and CNI plugins.
    #[schema(value_type = String)]
    pub device_info_dir: PathBuf,
    /// Seconds that something must be wrong with a device, like a port without carrier, before it is offered no more.
    pub unhealthy_after: u32,
    /// Seconds that all must be well again before it is offered again.
    pub healthy_after: u32,
    /// The pools: a device is in the first one that it fits. Each has `name`, `kind` (vf, or nic: whole NICs
    /// that `count` pods share), `use` (netdevice or vfio), `rdma`, `excludeTopology` and `selectors`: a list of
    /// mappings of which one must fit whole, of vendors, devices, drivers, pciAddresses, pfNames, rootDevices
    /// (both like ens1f0#0-3,5), linkTypes (ether, infiniband) and deviceClasses.
    #[schema(value_type = Vec<Object>)]
    pub pools: Vec<DevicePool>,
}

impl Default for DevicePlugin {
    fn default() -> Self {
        Self {
            enabled: false,
            prefix: "multinic.fms.io".to_owned(),
            kubelet_dir: "/var/lib/kubelet".into(),
            device_info_dir: "/var/run/k8s.cni.cncf.io/devinfo/dp".into(),
            unhealthy_after: 2,
            healthy_after: 15,
            pools: Vec::new(),
        }
    }
}

/// One extended resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DevicePool {
    /// Second half of the resource's name.
    pub name: String,
    /// What its devices are.
    #[serde(flatten)]
    pub kind: PoolKind,
    /// How a pod uses them.
    #[serde(rename = "use")]
    pub usage: DeviceUse,
    /// Whether the pod gets the character devices of RDMA, too.
    pub rdma: bool,
    /// Whether the kubelet is not told their NUMA nodes.
    pub exclude_topology: bool,
    /// What puts a device into the pool; one must fit. None: every device of the kind.
    pub selectors: Vec<Selector>,
}

/// What the devices of a pool are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum PoolKind {
    /// Virtual functions, one pod each.
    Vf,
    /// Whole NICs, each shared by so many pods.
    Nic {
        /// Pods on one NIC, 1 to 1024.
        count: u32,
    },
}

/// How a pod uses a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DeviceUse {
    /// As a network interface.
    Netdevice,
    /// From user space, through vfio-pci.
    Vfio,
}

/// What a device must be; all that is given must fit, and of each list one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// PCI vendors, four lower-case hexadecimal digits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vendors: Vec<String>,
    /// PCI devices, the VF's own on VFs, four lower-case hexadecimal digits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Names of bound drivers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drivers: Vec<String>,
    /// PCI addresses of the devices themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pci_addresses: Vec<PciAddress>,
    /// Names of PFs (of the NICs themselves in pools of NICs), with VF indices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pf_names: Vec<Ranged>,
    /// PCI addresses of PFs, with VF indices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub root_devices: Vec<Ranged>,
    /// Link types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub link_types: Vec<LinkType>,
    /// Names of classes of `deviceClasses`; the PF of a VF counts, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_classes: Vec<String>,
}

/// Type of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LinkType {
    /// Ethernet.
    Ether,
    /// InfiniBand.
    Infiniband,
}

/// A PF, or some of its VFs: `ens1f0`, `ens1f0#0-3,5`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranged {
    /// Name or PCI address of the PF.
    pub pf: String,
    /// First and last index of each range; none = every VF.
    pub ranges: Vec<(u16, u16)>,
}

impl Ranged {
    /// Reads `ens1f0#0-3,5`.
    pub fn parse(text: &str) -> Option<Self> {
        let Some((pf, ranges)) = text.split_once('#') else {
            return (!text.is_empty()).then(|| Self { pf: text.to_owned(), ranges: Vec::new() });
        };
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some((first, last))
        };
        let ranges = ranges.split(',').map(range).collect::<Option<Vec<_>>>()?;
        (!pf.is_empty()).then(|| Self { pf: pf.to_owned(), ranges })
    }

    /// Whether VF `index` is meant; a PF that does not tell the index of a VF means only whole PFs.
    pub fn has(&self, index: Option<u16>) -> bool {
        let within = |index: u16| self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&index));
        self.ranges.is_empty() || index.is_some_and(within)
    }
}

impl std::fmt::Display for Ranged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.pf)?;
        for (position, (first, last)) in self.ranges.iter().enumerate() {
            f.write_str(if position == 0 { "#" } else { "," })?;
            if first == last { write!(f, "{first}")? } else { write!(f, "{first}-{last}")? }
        }
        Ok(())
    }
}

impl Serialize for Ranged {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads the section; `classes` are the names of the device classes.
pub(super) fn read<'a>(
    mut section: Section<'a>,
    classes: &BTreeSet<&str>,
    plugin: &mut DevicePlugin,
) -> Result<(), ConfigError> {
    section.one("enabled", "true or false", &mut plugin.enabled, Value::as_bool)?;
    let prefix = "a DNS name like multinic.fms.io, other than kubernetes.io's, in lower case";
    section.one("prefix", prefix, &mut plugin.prefix, |item| {
        item.as_str().filter(|text| is_prefix(text)).map(str::to_owned)
    })?;
    let path =
        |item: &Value| item.as_str().map(Path::new).filter(|path| path.is_absolute()).map(Path::to_owned);
    section.one("kubeletDir", "an absolute path", &mut plugin.kubelet_dir, path)?;
    section.one("deviceInfoDir", "an absolute path", &mut plugin.device_info_dir, path)?;
    section.number("unhealthyAfter", 0, 3600, &mut plugin.unhealthy_after)?;
    section.number("healthyAfter", 0, 3600, &mut plugin.healthy_after)?;
    for pool in section.sections("pools")? {
        let pool = read_pool(pool, classes, &plugin.pools)?;
        plugin.pools.push(pool);
    }
    section.finish()
}

fn read_pool(
    mut section: Section<'_>,
    classes: &BTreeSet<&str>,
    before: &[DevicePool],
) -> Result<DevicePool, ConfigError> {
    let mut pool = DevicePool {
        name: String::new(),
        kind: PoolKind::Vf,
        usage: DeviceUse::Netdevice,
        rdma: false,
        exclude_topology: false,
        selectors: Vec::new(),
    };
    let name = "up to 63 letters, digits and _ (a variable of the container is named after it), beginning and ending \
                with a letter or digit; no other pool's";
    section.one("name", name, &mut pool.name, |item| {
        let fits =
            |name: &&str| is_name(name) && before.iter().all(|pool| !pool.name.eq_ignore_ascii_case(name));
        item.as_str().filter(fits).map(str::to_owned)
    })?;
    if pool.name.is_empty() {
        return Err(section.wrong("name", name));
    }
    section.one("kind", "vf or nic", &mut pool.kind, |item| match item.as_str()? {
        "vf" => Some(PoolKind::Vf),
        "nic" => Some(PoolKind::Nic { count: 1 }),
        _ => None,
    })?;
    if let PoolKind::Nic { count } = &mut pool.kind {
        section.number("count", 1, 1024, count)?;
    }
    section.one("use", "netdevice or vfio", &mut pool.usage, |item| match item.as_str()? {
        "netdevice" => Some(DeviceUse::Netdevice),
        "vfio" => Some(DeviceUse::Vfio),
        _ => None,
    })?;
    if pool.usage == DeviceUse::Vfio && matches!(pool.kind, PoolKind::Nic { count: 2.. }) {
        return Err(section.wrong("use", "netdevice, or a count of 1: user space shares no device"));
    }
    section.one("rdma", "true or false", &mut pool.rdma, Value::as_bool)?;
    section.one("excludeTopology", "true or false", &mut pool.exclude_topology, Value::as_bool)?;
    for selector in section.sections("selectors")? {
        pool.selectors.push(read_selector(selector, classes)?);
    }
    section.finish()?;
    Ok(pool)
}

fn read_selector(mut section: Section<'_>, classes: &BTreeSet<&str>) -> Result<Selector, ConfigError> {
    let mut selector = Selector::default();
    let hex = |item: &Value| {
        let text = item.as_str()?.trim_start_matches("0x").to_ascii_lowercase();
        (text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(text)
    };
    let word = |item: &Value| item.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let ids = "a list of four hexadecimal digits each, in quotes";
    section.list("vendors", ids, &mut selector.vendors, hex)?;
    section.list("devices", ids, &mut selector.devices, hex)?;
    section.list("drivers", "a list of names of drivers", &mut selector.drivers, word)?;
    let addresses = "a list of PCI addresses like 0000:3b:00.2, in quotes";
    section
        .list("pciAddresses", addresses, &mut selector.pci_addresses, |item| item.as_str()?.parse().ok())?;
    let names = "a list of interface names, each also with VFs like ens1f0#0-3,5";
    section.list("pfNames", names, &mut selector.pf_names, |item| Ranged::parse(item.as_str()?))?;
    let roots = "a list of PCI addresses of PFs, each also with VFs like 0000:3b:00.0#0-3,5, in quotes";
    section.list("rootDevices", roots, &mut selector.root_devices, |item| {
        let mut ranged = Ranged::parse(item.as_str()?)?;
        ranged.pf = ranged.pf.parse::<PciAddress>().ok()?.to_string();
        Some(ranged)
    })?;
    section.list(
        "linkTypes",
        "a list of ether and infiniband",
        &mut selector.link_types,
        |item| match item.as_str()? {
            "ether" | "ethernet" => Some(LinkType::Ether),
            "infiniband" => Some(LinkType::Infiniband),
            _ => None,
        },
    )?;
    let known = classes.iter().copied().collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { "none".to_owned() } else { known };
    let allowed = format!("a list of classes of `deviceClasses` (there are: {known})");
    section.list("deviceClasses", &allowed, &mut selector.device_classes, |item| {
        item.as_str().filter(|name| classes.contains(name)).map(str::to_owned)
    })?;
    section.finish()?;
    Ok(selector)
}

/// A DNS subdomain (RFC 1123) that the kubelet takes before the slash of an extended resource.
fn is_prefix(text: &str) -> bool {
    let label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253
        && text.split('.').all(label)
        && text != "kubernetes.io"
        && !text.ends_with(".kubernetes.io")
        && !text.starts_with("requests.")
}

/// The second half of a resource's name. A hyphen is legal there, but not in the name of a shell's variable.
fn is_name(text: &str) -> bool {
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && end(text.bytes().next())
        && end(text.bytes().last())
}

//! PCI functions from `/sys/bus/pci/devices`: which there are, where they sit, what they are.

use std::collections::BTreeMap;

use crate::model::{Failure, Gpu, PciAddress, PciFunction, PciName, PcieLink, PcieSpeed};
use crate::pci_names;
use crate::source::{Files, shared, shown, value};

/// Every PCI function that matters to us, by address.
#[derive(Debug, Default)]
pub(crate) struct PciFunctions {
    /// Network functions (class 0x02) and whatever else carries a netdev.
    pub(crate) network: BTreeMap<PciAddress, Function>,
    /// GPUs and accelerators.
    pub(crate) gpus: Vec<Gpu>,
    /// What could not be read.
    pub(crate) failures: Vec<Failure>,
}

/// A network function with its place in the tree.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    /// What it is.
    pub(crate) pci: PciFunction,
    /// Folder of the function, like `sys/devices/pci0000:00/0000:00:03.0`.
    pub(crate) folder: String,
    /// The driver bound to it.
    pub(crate) driver: Option<String>,
    /// The group that the IOMMU keeps apart, as its link says.
    pub(crate) iommu_group: Result<Option<String>, Failure>,
    /// PCI host bridge above it.
    pub(crate) root: Option<String>,
    /// Bridges above it, nearest the root first.
    pub(crate) path: Vec<PciAddress>,
    /// What could not be read.
    pub(crate) failures: Vec<Failure>,
}

/// Reads all functions.
pub(crate) fn functions(files: &dyn Files) -> PciFunctions {
    let mut found = PciFunctions::default();
    let names = files.list("sys/bus/pci/devices").unwrap_or_else(|failure| {
        found.failures.push(failure);
        Vec::new()
    });
    for read in shared(&names, |_, names| vec![functions_of(files, names)]) {
        found.network.extend(read.network);
        found.gpus.extend(read.gpus);
        found.failures.extend(read.failures);
    }
    found
}

fn functions_of(files: &dyn Files, names: &[String]) -> PciFunctions {
    let mut found = PciFunctions::default();
    let near = files.near("sys/bus/pci/devices");
    let bus = near.as_deref().unwrap_or(files);
    for name in names {
        let Ok(address) = name.parse::<PciAddress>() else { continue };
        match bus.read_link(&format!("sys/bus/pci/devices/{name}")) {
            Ok(Some(target)) => {
                let folder = folder_of_target(&target);
                let near = files.near(&folder);
                add(near.as_deref().unwrap_or(files), address, &folder, &mut found);
            }
            // A function that went away while we looked.
            Ok(None) => {}
            Err(failure) => found.failures.push(failure),
        }
    }
    found
}

/// `../../../devices/pci0000:00/0000:00:03.0` as a path from the root of the tree.
pub(crate) fn folder_of_target(target: &str) -> String {
    let below = target.find("devices/").and_then(|at| target.get(at..)).unwrap_or(target);
    format!("sys/{below}")
}

fn add(files: &dyn Files, address: PciAddress, folder: &str, found: &mut PciFunctions) {
    let mut failures = Vec::new();
    let uevent = text(files, &format!("{folder}/uevent"), &mut failures).unwrap_or_default();
    let key = |key: &str| {
        uevent.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
    };
    let class = key("PCI_CLASS").or_else(|| text(files, &format!("{folder}/class"), &mut failures));
    let class = class.and_then(|class| u32::from_str_radix(class.trim_start_matches("0x"), 16).ok());
    match class.map(|class| class >> 16) {
        Some(0x02) | None => {
            let function = function(files, address, folder, class, &key, failures);
            // A folder that answers nothing at all is no network function that we could know of.
            if class.is_some() || !files.list(&format!("{folder}/net")).unwrap_or_default().is_empty() {
                found.network.insert(address, function);
            } else {
                found.failures.extend(function.failures);
            }
        }
        Some(0x03 | 0x12) => {
            let mut gpu = Gpu::new(address, format!("{:06x}", class.unwrap_or_default()));
            let (vendor, device) = ids(files, folder, &key("PCI_ID"), ["vendor", "device"], &mut failures);
            (gpu.vendor, gpu.device) = names(vendor, device);
            gpu.driver = key("DRIVER");
            gpu.numa_node = numa_node(files, folder, &mut failures);
            (gpu.pci_root, gpu.pci_path) = place(folder);
            found.gpus.push(gpu);
            found.failures.extend(failures);
        }
        _ => {}
    }
}

/// A function that a netdev sits on although its class is another one, or that the bus folder lacks.
pub(crate) fn function_at(files: &dyn Files, address: PciAddress, folder: &str) -> Function {
    let mut failures = Vec::new();
    let uevent = text(files, &format!("{folder}/uevent"), &mut failures).unwrap_or_default();
    let key = |key: &str| {
        uevent.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
    };
    let class = key("PCI_CLASS").or_else(|| text(files, &format!("{folder}/class"), &mut failures));
    let class = class.and_then(|class| u32::from_str_radix(class.trim_start_matches("0x"), 16).ok());
    function(files, address, folder, class, &key, failures)
}

fn function(
    files: &dyn Files,
    address: PciAddress,
    folder: &str,
    class: Option<u32>,
    key: &dyn Fn(&str) -> Option<String>,
    mut failures: Vec<Failure>,
) -> Function {
    let mut pci = PciFunction::new(address);
    pci.class = class.map(|class| format!("{class:06x}"));
    let (vendor, device) = ids(files, folder, &key("PCI_ID"), ["vendor", "device"], &mut failures);
    (pci.vendor, pci.device) = names(vendor, device);
    let files_of = ["subsystem_vendor", "subsystem_device"];
    let (sub_vendor, sub_device) = ids(files, folder, &key("PCI_SUBSYS_ID"), files_of, &mut failures);
    if (sub_vendor, sub_device) != (Some(0), Some(0)) {
        pci.subsystem_vendor = sub_vendor.map(|id| pci_name(id, pci_names::vendor(id)));
        pci.subsystem_device = sub_device.map(|id| {
            let ids = (vendor, device, sub_vendor);
            let name = match ids {
                (Some(vendor), Some(device), Some(sub_vendor)) => {
                    pci_names::subsystem(vendor, device, sub_vendor, id)
                }
                _ => None,
            };
            pci_name(id, name)
        });
    }
    pci.revision = keep(
        value(files, &format!("{folder}/revision"), |text| hex_id(text).map(|id| format!("{id:02x}"))),
        &mut failures,
    );
    pci.driver_override =
        text(files, &format!("{folder}/driver_override"), &mut failures).filter(|name| name != "(null)");
    let (root, path) = place(folder);
    Function {
        pci,
        folder: folder.to_owned(),
        driver: key("DRIVER").or_else(|| driver(files, folder)),
        iommu_group: files.link_name(&format!("{folder}/iommu_group")),
        root,
        path,
        failures,
    }
}

fn driver(files: &dyn Files, folder: &str) -> Option<String> {
    files.link_name(&format!("{folder}/driver")).ok().flatten()
}

/// The PCIe link, which only a PF or a NIC without SR-IOV has for itself.
pub(crate) fn read_link(files: &dyn Files, function: &mut Function) {
    let folder = &function.folder;
    function.pci.link = pcie_link(files, folder, "current");
    function.pci.link_maximum = pcie_link(files, folder, "max");
    if let Some((above, _)) = folder.rsplit_once('/').filter(|(above, _)| is_pci_folder(above)) {
        function.pci.slot_maximum = pcie_link(files, above, "max");
    }
}

/// Conventional PCI and hidden links say `Unknown` and width 0 or 255, or have no file.
fn pcie_link(files: &dyn Files, folder: &str, which: &str) -> Option<PcieLink> {
    let speed = files.text(&format!("{folder}/{which}_link_speed")).ok().flatten()?;
    let width = files.text(&format!("{folder}/{which}_link_width")).ok().flatten()?;
    PcieLink::new(PcieSpeed::from_sysfs(&speed)?, width.parse().ok()?)
}

/// The last part of a folder is a PCI address.
pub(crate) fn is_pci_folder(folder: &str) -> bool {
    folder.rsplit('/').next().is_some_and(|name| name.parse::<PciAddress>().is_ok())
}

/// Host bridge and bridges above a function, from its folder's path.
fn place(folder: &str) -> (Option<String>, Vec<PciAddress>) {
    let mut root = None;
    let mut path: Vec<PciAddress> = Vec::new();
    for part in folder.split('/') {
        match part.parse() {
            Ok(address) => path.push(address),
            // A PCI domain below another device (Hyper-V, VMD) starts anew.
            Err(_) if part.starts_with("pci") && part.contains(':') => {
                root = Some(part.to_owned());
                path.clear();
            }
            Err(_) => {}
        }
    }
    path.pop();
    (root, path)
}

/// Vendor and device number: from a `vvvv:dddd` text, else from two files.
fn ids(
    files: &dyn Files,
    folder: &str,
    pair: &Option<String>,
    names: [&str; 2],
    failures: &mut Vec<Failure>,
) -> (Option<u16>, Option<u16>) {
    let told = pair.as_ref().and_then(|pair| pair.split_once(':'));
    if let Some(ids) = told.and_then(|(vendor, device)| Some((hex_id(vendor)?, hex_id(device)?))) {
        return (Some(ids.0), Some(ids.1));
    }
    let [vendor, device] =
        names.map(|name| keep(value(files, &format!("{folder}/{name}"), hex_id), failures));
    (vendor, device)
}

fn names(vendor: Option<u16>, device: Option<u16>) -> (Option<PciName>, Option<PciName>) {
    let device_name = vendor.zip(device).and_then(|(vendor, device)| pci_names::device(vendor, device));
    (vendor.map(|id| pci_name(id, pci_names::vendor(id))), device.map(|id| pci_name(id, device_name)))
}

fn pci_name(id: u16, name: Option<&str>) -> PciName {
    PciName { id: format!("{id:04x}"), name: name.map(str::to_owned) }
}

fn hex_id(text: &str) -> Option<u16> {
    u16::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// NUMA node of a device; −1 is unknown.
pub(crate) fn numa_node(files: &dyn Files, folder: &str, failures: &mut Vec<Failure>) -> Option<u16> {
    let node = keep(value(files, &format!("{folder}/numa_node"), |text| text.parse::<i32>().ok()), failures);
    node.and_then(|node| u16::try_from(node).ok())
}

/// The value of an answer; its failure goes to the list.
pub(crate) fn keep<T>(answer: Result<Option<T>, Failure>, failures: &mut Vec<Failure>) -> Option<T> {
    answer.unwrap_or_else(|failure| {
        failures.push(failure);
        None
    })
}

fn text(files: &dyn Files, path: &str, failures: &mut Vec<Failure>) -> Option<String> {
    keep(files.text(path), failures)
}

/// What configuration space tells beyond sysfs files: serial number and MSI-X vectors. Reads as little
/// as the chain of capabilities needs, for each dword is a transaction on the bus.
pub(crate) fn read_config(files: &dyn Files, function: &mut Function) -> Option<u16> {
    let path = format!("{}/config", function.folder);
    let config = keep(files.read(&path), &mut function.failures)?;
    if !config.is_empty() && config.iter().all(|byte| *byte == 0xff) {
        let error = "reads as all ones: the device does not answer".to_owned();
        function.failures.push(Failure { source: shown(&path), error });
        return None;
    }
    function.pci.serial = crate::read::vpd::device_serial(&config);
    crate::read::vpd::msix_vectors(&config)
}

//! What a container gets with its devices: variables, device nodes, and a file for each that says what it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cni::config::nic_of_device;
use hwprobe::{Inventory, Nic};
use serde_json::{Map, Value, json};
use sriov::Roots;

use super::fault::Fault;
use super::pool::Device;
use super::selector::pf_of;
use crate::config::{DevicePool, DeviceUse, PoolKind};
use crate::kubelet_api::v1beta1::{ContainerAllocateResponse, DeviceSpec};

/// Why a container cannot have its devices.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AllocateError {
    /// The pool never had it.
    #[error(
        "{resource} has no device `{device}`: restart the pod, so that the kubelet chooses among those that are there"
    )]
    Unknown { resource: String, device: String },
    /// It died since the kubelet was told of it.
    #[error("device `{device}` of {resource} cannot be given: {fault}")]
    Dead { resource: String, device: String, fault: Fault },
    /// The node of VFIO or RDMA is not there.
    #[error("device `{device}` of {resource} has no {}: {fix}", node.display())]
    NoNode { resource: String, device: String, node: PathBuf, fix: &'static str },
}

/// What is given out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) pool: &'a DevicePool,
    /// `prefix/name`.
    pub(crate) resource: &'a str,
    /// The pool's devices as they are now.
    pub(crate) devices: &'a [Device],
    pub(crate) inventory: &'a Inventory,
    pub(crate) roots: &'a Roots,
}

impl Offer<'_> {
    /// What a container with these devices gets.
    ///
    /// # Errors
    /// When one of them is not there, or of no use, any more.
    pub(crate) fn answer(&self, ids: &[String]) -> Result<ContainerAllocateResponse, AllocateError> {
        let mut answer = ContainerAllocateResponse::default();
        let mut info = Map::new();
        let mut names: Vec<&str> = Vec::new();
        for id in ids {
            let nic = self.usable(id)?;
            let mut providers = Map::new();
            // A share is known by the NIC that it is of: who reads the variable looks for a PCI address.
            let name = nic_of_device(id);
            if !names.contains(&name) {
                names.push(name);
            }
            providers.insert("generic".to_owned(), json!({ "deviceID": name }));
            if self.pool.usage == DeviceUse::Vfio {
                providers.insert("vfio".to_owned(), self.vfio(id, nic, &mut answer)?);
            }
            if self.pool.rdma {
                providers.insert("rdma".to_owned(), self.rdma(id, nic, &mut answer)?);
            }
            info.insert(name.to_owned(), Value::Object(providers));
        }
        let variable = variable(self.resource);
        answer.envs.insert(format!("{variable}_INFO"), Value::Object(info).to_string());
        answer.envs.insert(variable, names.join(","));
        Ok(answer)
    }

    /// What a device is, for Multus and CNI plugins (device information specification 1.1.0).
    pub(crate) fn info(&self, id: &str) -> Option<Value> {
        let nic = self.nic(id)?;
        let address = nic.pci_address()?.to_string();
        let mut pci = Map::from_iter([("pci-address".to_owned(), json!(address))]);
        if let Some(pf) = pf_of(self.inventory, nic).and_then(Nic::pci_address) {
            pci.insert("pf-pci-address".to_owned(), json!(pf.to_string()));
        }
        let rdma: Vec<&str> = nic.rdma.iter().map(|device| device.name.as_str()).collect();
        if !rdma.is_empty() {
            pci.insert("rdma-device".to_owned(), json!(rdma.join(",")));
        }
        if let Some(representor) = self.representor(nic) {
            pci.insert("representor-device".to_owned(), json!(representor));
        }
        Some(json!({ "type": "pci", "version": "1.1.0", "pci": pci }))
    }

    fn nic(&self, id: &str) -> Option<&Nic> {
        let name = nic_of_device(id);
        self.inventory.nics.iter().find(|nic| nic.is_device(name))
    }

    /// The NIC of a device that can be given now.
    fn usable(&self, id: &str) -> Result<&Nic, AllocateError> {
        let names = || (self.resource.to_owned(), id.to_owned());
        let dead = |fault: Fault| {
            let (resource, device) = names();
            Err(AllocateError::Dead { resource, device, fault })
        };
        let Some(device) = self.devices.iter().find(|device| device.id == id) else {
            let (resource, device) = names();
            return Err(AllocateError::Unknown { resource, device });
        };
        match (&device.fault, device.healthy) {
            // A port that has been without carrier for a moment may have it back before the container starts.
            (None, _) | (Some(Fault::NoCarrier { .. } | Fault::PortDown { .. } | Fault::Unread), true) => {}
            (Some(fault), _) => return dead(fault.clone()),
        }
        self.nic(id).map_or_else(|| dead(Fault::Gone), Ok)
    }

    /// Adds the nodes that user space opens.
    fn vfio(
        &self,
        id: &str,
        nic: &Nic,
        answer: &mut ContainerAllocateResponse,
    ) -> Result<Value, AllocateError> {
        let group = nic.iommu_group.map_or_else(String::new, |group| group.to_string());
        let nodes = ["vfio".to_owned(), group].map(|name| format!("vfio/{name}"));
        let [container, group] = self.nodes(id, nodes, "is vfio-pci loaded? modprobe vfio-pci", answer)?;
        Ok(json!({ "mount": container, "dev-mount": group }))
    }

    /// Adds the character devices of RDMA.
    fn rdma(
        &self,
        id: &str,
        nic: &Nic,
        answer: &mut ContainerAllocateResponse,
    ) -> Result<Value, AllocateError> {
        let fix = "is the RDMA driver loaded, and ib_uverbs?";
        let folder = self.roots.sys.join("bus/pci/devices").join(nic_of_device(id));
        let folder =
            nic.pci_address().map_or(folder, |pci| self.roots.sys.join(format!("bus/pci/devices/{pci}")));
        let mut shown = Map::new();
        let mut found = entries(&folder.join("infiniband_verbs"));
        found.extend(entries(&folder.join("infiniband_mad")));
        if !found.iter().any(|name| name.starts_with("uverbs")) {
            let (resource, device) = (self.resource.to_owned(), id.to_owned());
            return Err(AllocateError::NoNode {
                resource,
                device,
                node: folder.join("infiniband_verbs"),
                fix,
            });
        }
        for name in found {
            let [path] = self.nodes(id, [format!("infiniband/{name}")], fix, answer)?;
            shown.insert(name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(), json!(path));
        }
        // The connection manager is one for all; a kernel without it does without.
        if self.roots.dev.join("infiniband/rdma_cm").exists() {
            let [path] = self.nodes(id, ["infiniband/rdma_cm".to_owned()], fix, answer)?;
            shown.insert("rdma_cm".to_owned(), json!(path));
        }
        Ok(Value::Object(shown))
    }

    /// Adds nodes of `/dev`, each once; their paths in the container.
    fn nodes<const N: usize>(
        &self,
        id: &str,
        nodes: [String; N],
        fix: &'static str,
        answer: &mut ContainerAllocateResponse,
    ) -> Result<[String; N], AllocateError> {
        for node in &nodes {
            let host = self.roots.dev.join(node);
            if node.ends_with('/') || !host.exists() {
                let (resource, device) = (self.resource.to_owned(), id.to_owned());
                return Err(AllocateError::NoNode { resource, device, node: host, fix });
            }
            let spec = DeviceSpec {
                container_path: format!("/dev/{node}"),
                host_path: host.display().to_string(),
                permissions: "rw".to_owned(),
            };
            if !answer.devices.contains(&spec) {
                answer.devices.push(spec);
            }
        }
        Ok(nodes.map(|node| format!("/dev/{node}")))
    }

    /// The host's end of a VF in switchdev mode.
    fn representor(&self, nic: &Nic) -> Option<&str> {
        let (pf, index) = (pf_of(self.inventory, nic)?, nic.vf.as_ref()?.index?);
        let switch = pf.link.as_ref()?.phys_switch_id.as_ref()?;
        let is = |one: &&Nic| {
            let port = one.devlink_port.as_ref();
            one.link.as_ref().and_then(|link| link.phys_switch_id.as_ref()) == Some(switch)
                && port.is_some_and(|port| port.flavour.as_deref() == Some("pcivf") && port.vf == Some(index))
        };
        self.inventory.nics.iter().find(is)?.name.as_deref()
    }
}

/// Name of the variable of a resource, as other device plugins name it: dots and the slash become underscores.
pub(crate) fn variable(resource: &str) -> String {
    format!("PCIDEVICE_{}", resource.replace(['.', '/'], "_").to_uppercase())
}

/// Names in a folder, sorted; none when it is not there.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Whether devices of a pool are described by files: shares of a NIC are not devices of their own.
pub(crate) fn has_info(pool: &DevicePool) -> bool {
    pool.kind == PoolKind::Vf || matches!(pool.kind, PoolKind::Nic { count: 1 })
}

/// The devices' files, by name, that a set of ids has.
pub(crate) fn info_files(offer: &Offer<'_>, ids: &[String]) -> BTreeMap<String, Value> {
    let file = |id: &String| Some((super::info_file::name(offer.resource, id), offer.info(id)?));
    if has_info(offer.pool) { ids.iter().filter_map(file).collect() } else { BTreeMap::new() }
}

#[cfg(test)]
mod tests;

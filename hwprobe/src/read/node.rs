//! The machine around the NICs.

use super::pci::keep;
use crate::model::{Failure, Iommu, Node, NumaNode};
use crate::source::Files;

/// Reads what `/proc` and `/sys` tell of the machine.
pub(crate) fn node(files: &dyn Files, failures: &mut Vec<Failure>) -> Node {
    let mut text = |path: &str| keep(files.text(path), failures);
    let mut node = Node::default();
    node.hostname = text("proc/sys/kernel/hostname");
    node.kernel = text("proc/sys/kernel/osrelease");
    node.architecture = text("proc/sys/kernel/arch");
    node.boot_id = text("proc/sys/kernel/random/boot_id");
    let (vendor, product) = (text("sys/class/dmi/id/sys_vendor"), text("sys/class/dmi/id/product_name"));
    node.hypervisor =
        hypervisor(vendor.as_deref(), product.as_deref(), text("sys/hypervisor/type").as_deref());
    node.product = match (vendor, product) {
        (Some(vendor), Some(product)) => Some(format!("{vendor} {product}")),
        (one, other) => one.or(other),
    };
    for name in files.list("sys/devices/system/node").unwrap_or_default() {
        let Some(id) = name.strip_prefix("node").and_then(|id| id.parse().ok()) else { continue };
        let cpus = keep(files.text(&format!("sys/devices/system/node/{name}/cpulist")), failures)
            .unwrap_or_default();
        node.numa_nodes.push(NumaNode::new(id, cpus));
    }
    node.numa_nodes.sort_by_key(|node| node.id);
    node.iommu = Iommu::new(!files.list("sys/class/iommu").unwrap_or_default().is_empty());
    node
}

/// Which hypervisor, from the firmware's maker. A cloud's bare-metal machine has the cloud's name on it too.
fn hypervisor(vendor: Option<&str>, product: Option<&str>, kind: Option<&str>) -> Option<String> {
    let product = product.unwrap_or_default();
    let name = match vendor.unwrap_or_default() {
        "Amazon EC2" if !product.contains("metal") => "Amazon EC2",
        "Google" if !product.contains("metal") => "Google",
        "Microsoft Corporation" if product == "Virtual Machine" => "Hyper-V",
        "VMware, Inc." => "VMware",
        "QEMU" => "QEMU",
        "Red Hat" if product.contains("KVM") => "KVM",
        "OpenStack Foundation" | "OpenStack" => "OpenStack",
        "Xen" => "Xen",
        "innotek GmbH" | "Oracle Corporation" if product.contains("VirtualBox") => "VirtualBox",
        _ if kind == Some("xen") => "Xen",
        _ => return None,
    };
    Some(name.to_owned())
}

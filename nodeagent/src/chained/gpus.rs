//! Which GPUs a pod has: the ids of its devices are PCI addresses (AMD, Intel), or UUIDs that NVIDIA's driver knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use attach::record::Pod;
use hwprobe::PciAddress;

use crate::podresources::Holdings;

/// Where NVIDIA's driver tells of each GPU, below `/proc` (its README, "proc filesystem").
const NVIDIA: &str = "driver/nvidia/gpus";

/// Addresses of a pod's devices that may be GPUs, in order. NICs among them are in nobody's way: nothing is near to them.
pub(super) fn of_pod(held: &Holdings, pod: &Pod, procfs: &Path) -> Vec<PciAddress> {
    let mut found: Vec<PciAddress> = Vec::new();
    let mut uuids = None;
    for (_, id) in held.of_pod(&pod.namespace, &pod.name) {
        let known = id.parse().ok().or_else(|| {
            let uuids = uuids.get_or_insert_with(|| read(procfs));
            uuids.get(id).copied()
        });
        found.extend(known);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Addresses of NVIDIA's GPUs by UUID.
fn read(procfs: &Path) -> BTreeMap<String, PciAddress> {
    let folders = fs::read_dir(procfs.join(NVIDIA)).into_iter().flatten().flatten();
    let each = folders.filter_map(|folder| {
        let address = folder.file_name().to_str()?.parse().ok()?;
        let text = fs::read_to_string(folder.path().join("information")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("GPU UUID:"))?;
        Some((line.trim().to_owned(), address))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hwprobe::PodHolder;

    #[test]
    fn addresses_and_the_uuids_of_nvidias_driver_are_gpus() {
        let proc = tempfile::tempdir().unwrap();
        let folder = proc.path().join(NVIDIA).join("0000:0c:05.0");
        fs::create_dir_all(&folder).unwrap();
        let text =
            "Model: \t\t NVIDIA H100\nIRQ:   \t\t 16\nGPU UUID: \t GPU-581b17ed-1b52\nBus Type: \t PCIe\n";
        fs::write(folder.join("information"), text).unwrap();
        let mut held = Holdings::default();
        for (pod, id) in [
            ("web", "GPU-581b17ed-1b52"),
            ("web", "0000:03:00.0"),
            ("web", "GPU-other"),
            ("db", "0000:04:00.0"),
        ] {
            let mut holder = PodHolder::new("nvidia.com/gpu".into(), id.into());
            (holder.namespace, holder.pod) = (Some("pods".into()), Some(pod.into()));
            held.insert(holder);
        }
        let pod = Pod { namespace: "pods".into(), name: "web".into(), uid: String::new() };

        let found: Vec<String> = of_pod(&held, &pod, proc.path()).iter().map(ToString::to_string).collect();

        assert_eq!(found, ["0000:03:00.0", "0000:0c:05.0"]);
    }
}

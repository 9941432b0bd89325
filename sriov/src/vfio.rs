//! Functions for user space (vfio-pci): what must hold before, and who has one open.

use std::fs;
use std::io;
use std::path::PathBuf;

use hwprobe::{Driver, PciAddress};

use crate::Roots;

/// The driver that hands functions to user space.
pub(crate) const DRIVER: &str = "vfio-pci";

/// A function cannot be handed to user space, or not be taken from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VfioError {
    /// The machine protects no memory from it.
    #[error(
        "{pci}: it has no IOMMU group: turn the IOMMU on in firmware and add intel_iommu=on (Intel) to the kernel's \
         command line; AMD's is on by itself"
    )]
    NoIommu {
        /// The function.
        pci: PciAddress,
    },
    /// Others are not protected from it.
    #[error(
        "{pci}: IOMMU group {group} also has {}: all of a group is handed over together; use a slot with ACS, or \
         another port", others.join(", ")
    )]
    SharedGroup {
        /// The function.
        pci: PciAddress,
        /// Its group.
        group: u32,
        /// The others in it that a driver of the host has, as `ADDRESS (DRIVER)`.
        others: Vec<String>,
    },
    /// A process has it open.
    #[error("{pci}: a process has {node} open; end it (see `fuser {node}`)")]
    Held {
        /// The function.
        pci: PciAddress,
        /// The device node.
        node: String,
    },
}

/// The IOMMU group of a function.
pub fn group(roots: &Roots, pci: PciAddress) -> Option<u32> {
    let link = roots.sys.join("bus/pci/devices").join(pci.to_string()).join("iommu_group");
    fs::read_link(link).ok()?.file_name()?.to_str()?.parse().ok()
}

/// Whether a VF may be handed to user space: there is an IOMMU, and neither its PF nor anybody else whom the host uses is
/// in its group (TRAPS V4).
pub(crate) fn check(roots: &Roots, pci: PciAddress, pf: PciAddress) -> Result<(), VfioError> {
    let group = group(roots, pci).ok_or(VfioError::NoIommu { pci })?;
    let folder = roots.sys.join("kernel/iommu_groups").join(group.to_string()).join("devices");
    let members = fs::read_dir(folder).into_iter().flatten().flatten();
    let others: Vec<String> = members
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.to_owned();
            let driver = fs::read_link(entry.path().join("driver")).ok();
            let driver = driver.and_then(|driver| Some(driver.file_name()?.to_str()?.to_owned()));
            match driver {
                _ if name == pci.to_string() => None,
                // Bridges and functions without a driver harm nobody; the PF does without one, too.
                Some(driver) if driver != "pcieport" && !Driver::is_vfio(&driver) => {
                    Some(format!("{name} ({driver})"))
                }
                _ if name == pf.to_string() => Some(name),
                _ => None,
            }
        })
        .collect();
    if others.is_empty() { Ok(()) } else { Err(VfioError::SharedGroup { pci, group, others }) }
}

/// Refuses when a process has the function's group open: taking it away would wait for that process for ever (TRAPS V2).
pub(crate) fn refuse_held(roots: &Roots, pci: PciAddress) -> Result<(), VfioError> {
    let open = group(roots, pci).and_then(|group| open_node(roots, group));
    open.map_or(Ok(()), |node| Err(VfioError::Held { pci, node: node.display().to_string() }))
}

/// The node of a group that a process has open, also one that cannot be seen from here: the kernel opens a group once.
pub(crate) fn open_node(roots: &Roots, group: u32) -> Option<PathBuf> {
    let node = roots.dev.join("vfio").join(group.to_string());
    let opened = fs::OpenOptions::new().read(true).write(true).open(&node);
    opened.is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy).then_some(node)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(folder: &std::path::Path, members: &[(&str, Option<&str>)]) -> Roots {
        let roots = Roots::below(folder);
        let group = roots.sys.join("kernel/iommu_groups/9/devices");
        fs::create_dir_all(&group).unwrap();
        for (name, driver) in members {
            let device = roots.sys.join("bus/pci/devices").join(name);
            fs::create_dir_all(&device).unwrap();
            symlink("../../../../kernel/iommu_groups/9", device.join("iommu_group")).unwrap();
            symlink(&device, group.join(name)).unwrap();
            if let Some(driver) = driver {
                symlink(format!("../../drivers/{driver}"), device.join("driver")).unwrap();
            }
        }
        roots
    }

    fn checked(members: &[(&str, Option<&str>)]) -> Result<(), VfioError> {
        let folder = tempfile::tempdir().unwrap();
        let roots = tree(folder.path(), members);
        check(&roots, "0000:01:10.0".parse().unwrap(), "0000:01:00.0".parse().unwrap())
    }

    #[test]
    fn a_vf_alone_or_beside_functions_that_the_host_does_not_use_is_fine() {
        checked(&[("0000:01:10.0", Some("igbvf"))]).unwrap();
        checked(&[
            ("0000:01:10.0", Some("igbvf")),
            ("0000:01:10.2", Some("vfio-pci")),
            ("0000:00:01.0", Some("pcieport")),
            ("0000:01:10.4", None),
        ])
        .unwrap();
    }

    #[test]
    fn a_group_with_the_pf_is_refused_and_listed() {
        let error = checked(&[
            ("0000:01:10.0", Some("igbvf")),
            ("0000:01:00.0", Some("igb")),
            ("0000:01:10.2", Some("igbvf")),
        ]);
        let words = error.unwrap_err().to_string();

        assert!(words.contains("IOMMU group 9 also has"), "{words}");
        assert!(words.contains("0000:01:00.0 (igb)") && words.contains("0000:01:10.2 (igbvf)"), "{words}");
    }

    #[test]
    fn without_an_iommu_the_kernels_parameter_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::below(folder.path());
        let error = check(&roots, "0000:01:10.0".parse().unwrap(), "0000:01:00.0".parse().unwrap());

        assert!(error.unwrap_err().to_string().contains("intel_iommu=on"));
    }
}

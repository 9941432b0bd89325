//! A captured tree that nobody captured: a machine with many PFs and VFs, as `/sys` would show it.

use std::collections::HashMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// How large a machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Physical functions, each in a slot of its own; the first half on NUMA node 0.
    pub(super) physical: usize,
    /// Virtual functions of each, all enabled, each with its netdev.
    pub(super) virtual_each: usize,
}

/// ext4 allows 65,000 names for one file.
const MOST_LINKS: usize = 60_000;

/// Writes the tree anew. Files of equal content are one file with many names: a hundred thousand
/// files of their own would fill a disk with their padding.
pub(super) fn write(root: &Path, shape: Shape) -> Result<()> {
    if root.exists() {
        std::fs::remove_dir_all(root)?;
    }
    let mut tree = Tree { root: root.to_owned(), contents: HashMap::new(), pool: 0, next_link: 2 };
    std::fs::create_dir_all(root.join("pool"))?;
    for node in 0..2 {
        tree.file(
            &format!("sys/devices/system/node/node{node}/cpulist"),
            if node == 0 { "0-31" } else { "32-63" },
        )?;
    }
    tree.file("proc/sys/kernel/hostname", "synthetic")?;
    tree.file("proc/sys/kernel/osrelease", "6.12.0")?;
    tree.file("proc/sys/kernel/random/boot_id", "6f1f3c3e-0000-4000-8000-000000000001")?;
    tree.file("proc/mounts", "sysfs /sys sysfs rw 0 0")?;
    tree.file(
        "proc/net/route",
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    )?;
    for physical in 0..shape.physical {
        tree.port(physical, shape)?;
    }
    std::fs::remove_dir_all(root.join("pool"))?;
    Ok(())
}

struct Tree {
    root: PathBuf,
    /// Content → the file that holds it, and how many names it has.
    contents: HashMap<String, (PathBuf, usize)>,
    pool: usize,
    next_link: u32,
}

/// One PCI function to write.
struct Function<'a> {
    /// Its folder below the root.
    folder: &'a str,
    address: String,
    device: &'a str,
    numa: usize,
    netdev: String,
    mac: String,
    up: bool,
}

impl Tree {
    /// One content at one path, with the newline that the kernel writes.
    fn file(&mut self, path: &str, content: &str) -> Result<()> {
        let target = self.root.join(path);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if self.contents.get(content).is_none_or(|(_, names)| *names >= MOST_LINKS) {
            self.pool += 1;
            let holder = self.root.join(format!("pool/{}", self.pool));
            std::fs::write(&holder, format!("{content}\n"))?;
            self.contents.insert(content.to_owned(), (holder, 1));
        }
        let (holder, names) = self.contents.get_mut(content).context("just written")?;
        *names += 1;
        std::fs::hard_link(holder, &target).with_context(|| format!("write {}", target.display()))
    }

    /// A link at `path` to `target`, both below the root, relative as the kernel makes them.
    fn link(&self, path: &str, target: &str) -> Result<()> {
        let from = self.root.join(path);
        let parent = from.parent().context("a link without a folder")?;
        std::fs::create_dir_all(parent)?;
        let up = "../".repeat(path.matches('/').count());
        symlink(format!("{up}{target}"), &from).with_context(|| format!("link {}", from.display()))
    }

    /// A root port, the PF behind it and its VFs.
    fn port(&mut self, physical: usize, shape: Shape) -> Result<()> {
        let bus = 0x10 + physical * 0x10;
        let root_bus = bus - 1;
        let numa = usize::from(physical >= shape.physical / 2);
        let port = format!("sys/devices/pci0000:{root_bus:02x}/0000:{root_bus:02x}:01.0");
        let port_address = format!("0000:{root_bus:02x}:01.0");
        for (name, content) in [
            ("class", "0x060400"),
            ("vendor", "0x8086"),
            ("device", "0x347a"),
            ("numa_node", &numa.to_string()),
            ("current_link_speed", "16.0 GT/s PCIe"),
            ("max_link_speed", "16.0 GT/s PCIe"),
            ("current_link_width", "16"),
            ("max_link_width", "16"),
            (
                "uevent",
                &format!("DRIVER=pcieport\nPCI_CLASS=60400\nPCI_ID=8086:347A\nPCI_SLOT_NAME={port_address}"),
            ),
        ] {
            self.file(&format!("{port}/{name}"), content)?;
        }
        self.link(&format!("sys/bus/pci/devices/{port_address}"), &port)?;

        let address = |function: usize| {
            format!("0000:{:02x}:{:02x}.{}", bus + (function >> 8), (function >> 3) & 31, function & 7)
        };
        let folder = format!("{port}/{}", address(0));
        self.function(&Function {
            folder: &folder,
            address: address(0),
            device: "101d",
            numa,
            netdev: format!("ens{}f0np0", physical + 1),
            mac: format!("b8:ce:f6:00:{physical:02x}:00"),
            up: true,
        })?;
        for (name, content) in [
            ("sriov_totalvfs", shape.virtual_each.to_string()),
            ("sriov_numvfs", shape.virtual_each.to_string()),
            ("sriov_offset", "2".to_owned()),
            ("sriov_stride", "1".to_owned()),
            ("sriov_vf_device", "101e".to_owned()),
            ("sriov_drivers_autoprobe", "1".to_owned()),
        ] {
            self.file(&format!("{folder}/{name}"), &content)?;
        }
        for vf in 0..shape.virtual_each {
            let vf_address = address(vf + 2);
            let vf_folder = format!("{port}/{vf_address}");
            self.function(&Function {
                folder: &vf_folder,
                address: vf_address.clone(),
                device: "101e",
                numa,
                netdev: format!("ens{}f0v{vf}", physical + 1),
                mac: format!("b8:ce:f6:01:{physical:02x}:{vf:02x}"),
                up: false,
            })?;
            self.link(&format!("{vf_folder}/physfn"), &folder)?;
            self.link(&format!("{folder}/virtfn{vf}"), &vf_folder)?;
        }
        Ok(())
    }

    fn function(&mut self, function: &Function<'_>) -> Result<()> {
        let Function { folder, address, device, numa, .. } = function;
        let index = self.next_link;
        let cpus = if *numa == 0 { "0-31" } else { "32-63" };
        let identity = format!(
            "DRIVER=mlx5_core\nPCI_CLASS=20000\nPCI_ID=15B3:{}\nPCI_SUBSYS_ID=15B3:0016\nPCI_SLOT_NAME={address}",
            device.to_uppercase()
        );
        for (name, content) in [
            ("class", "0x020000"),
            ("vendor", "0x15b3"),
            ("device", &format!("0x{device}")),
            ("subsystem_vendor", "0x15b3"),
            ("subsystem_device", "0x0016"),
            ("revision", "0x00"),
            ("numa_node", &numa.to_string()),
            ("local_cpulist", cpus),
            ("irq", "0"),
            ("enable", "1"),
            ("uevent", &identity),
            ("current_link_speed", "16.0 GT/s PCIe"),
            ("max_link_speed", "16.0 GT/s PCIe"),
            ("current_link_width", "16"),
            ("max_link_width", "16"),
        ] {
            self.file(&format!("{folder}/{name}"), content)?;
        }
        self.link(&format!("{folder}/driver"), "sys/bus/pci/drivers/mlx5_core")?;
        self.link(&format!("{folder}/subsystem"), "sys/bus/pci")?;
        self.link(&format!("{folder}/iommu_group"), &format!("sys/kernel/iommu_groups/{index}"))?;
        std::fs::create_dir_all(self.root.join(format!("sys/kernel/iommu_groups/{index}/devices")))?;
        self.link(&format!("sys/bus/pci/devices/{address}"), folder)?;
        std::fs::create_dir_all(self.root.join("sys/bus/pci/drivers/mlx5_core"))?;
        self.netdev(function, index)?;
        self.next_link += 1;
        Ok(())
    }

    fn netdev(&mut self, function: &Function<'_>, index: u32) -> Result<()> {
        let Function { folder, netdev, mac, .. } = function;
        let net = format!("{folder}/net/{netdev}");
        let (state, flags) = if function.up { ("up", "0x1003") } else { ("down", "0x1002") };
        for (name, content) in [
            ("address", mac.as_str()),
            ("addr_len", "6"),
            ("addr_assign_type", "0"),
            ("mtu", "1500"),
            ("type", "1"),
            ("ifindex", &index.to_string()),
            ("iflink", &index.to_string()),
            ("operstate", state),
            ("flags", flags),
            ("dev_id", "0x0"),
            ("dev_port", "0"),
            ("ifalias", ""),
            ("tx_queue_len", "1000"),
            ("name_assign_type", "4"),
            ("netdev_group", "0"),
            ("link_mode", "0"),
            ("broadcast", "ff:ff:ff:ff:ff:ff"),
            ("uevent", &format!("INTERFACE={netdev}\nIFINDEX={index}")),
        ] {
            self.file(&format!("{net}/{name}"), content)?;
        }
        if function.up {
            for (name, content) in [("carrier", "1"), ("speed", "100000"), ("duplex", "full")] {
                self.file(&format!("{net}/{name}"), content)?;
            }
        }
        for queue in ["rx-0", "rx-1", "tx-0", "tx-1"] {
            std::fs::create_dir_all(self.root.join(format!("{net}/queues/{queue}")))?;
        }
        self.link(&format!("{net}/device"), folder)?;
        self.link(&format!("{net}/subsystem"), "sys/class/net")?;
        self.link(&format!("sys/class/net/{netdev}"), &net)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_of_the_tree_leads_somewhere() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("tree");

        write(&root, Shape { physical: 2, virtual_each: 9 }).unwrap();

        let netdevs: Vec<_> = std::fs::read_dir(root.join("sys/class/net")).unwrap().collect();
        assert_eq!(netdevs.len(), 20);
        for netdev in netdevs {
            let netdev = netdev.unwrap().path();
            for link in ["device/driver", "device/subsystem", "device/iommu_group", "subsystem"] {
                assert!(netdev.join(link).canonicalize().is_ok(), "{}: {link}", netdev.display());
            }
        }
        let pf = root.join("sys/bus/pci/devices/0000:10:00.0");
        let last = pf.join("virtfn8").canonicalize().unwrap();
        assert_eq!(last.file_name().unwrap(), "0000:10:01.2");
        assert_eq!(last.join("physfn").canonicalize().unwrap(), pf.canonicalize().unwrap());
        assert_eq!(std::fs::read_to_string(pf.join("sriov_numvfs")).unwrap(), "9\n");
    }
}

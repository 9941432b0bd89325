//! `lspci -D -vvnn`.

use hwprobe::{Inventory, Nic, PcieLink};

use super::{Comparison, Facts, output, put};

const ONE_SIDED: &[(&str, &str)] = &[
    (
        "vf.MSI-X",
        "a VF's configuration space is not read: it would cost a bus transaction a dword on each of a thousand VFs",
    ),
    ("vf.Lnk*", "a VF's link registers repeat its PF's"),
    (
        "LnkSta",
        "QEMU's virtio functions have link registers, but sysfs has no file without a port above that is PCIe",
    ),
];

pub(super) fn compare(inventory: &Inventory) -> Vec<Comparison> {
    let text = output("lspci", &["-D", "-vvnn"]);
    let mut found = Vec::new();
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let Some((address, first)) = block.lines().next().and_then(|line| line.split_once(' ')) else {
            continue;
        };
        if !first.contains("[02") {
            continue;
        }
        let address = address.trim();
        let nic = inventory.nics.iter().find(|nic| nic.id.as_str() == address);
        let vf = nic.is_some_and(|nic| nic.vf.is_some());
        let ours = nic.map(|nic| ours(nic, vf)).unwrap_or_default();
        found.push(Comparison {
            tool: "lspci",
            nic: address.to_owned(),
            theirs: theirs(first, block, vf),
            ours,
            one_sided: ONE_SIDED,
        });
    }
    for nic in inventory
        .nics
        .iter()
        .filter(|nic| nic.pci_address().is_some_and(|pci| pci.to_string() == nic.id.as_str()))
    {
        if !found.iter().any(|comparison| comparison.nic == nic.id.as_str()) {
            let (theirs, ours) = (Facts::new(), ours(nic, nic.vf.is_some()));
            found.push(Comparison {
                tool: "lspci",
                nic: nic.id.to_string(),
                theirs,
                ours,
                one_sided: ONE_SIDED,
            });
        }
    }
    found
}

/// The last `[xxxx:yyyy]` or `[xxxx]` of a text.
fn bracketed(text: &str, length: usize) -> Option<&str> {
    let inside =
        |part: &&str| part.len() == length && part.bytes().all(|c| c.is_ascii_hexdigit() || c == b':');
    text.split(['[', ']']).rfind(inside)
}

fn theirs(first: &str, block: &str, vf: bool) -> Facts {
    let mut facts = Facts::new();
    let line =
        |prefix: &str| block.lines().map(str::trim).find_map(|line| line.strip_prefix(prefix)).map(str::trim);
    let prefix = if vf { "vf." } else { "" };
    put(&mut facts, "class", bracketed(first, 4));
    put(&mut facts, "ids", bracketed(first, 9));
    let revision = first.split("(rev ").nth(1).and_then(|rest| rest.split(')').next());
    put(&mut facts, "revision", Some(revision.unwrap_or("00")));
    put(&mut facts, "subsystem", line("Subsystem:").and_then(|line| bracketed(line, 9)));
    put(&mut facts, "numa", line("NUMA node:"));
    put(&mut facts, "iommu", line("IOMMU group:"));
    put(&mut facts, "driver", line("Kernel driver in use:"));
    put(
        &mut facts,
        "serial",
        block
            .lines()
            .find_map(|line| line.split_once("Device Serial Number "))
            .map(|(_, serial)| serial.trim()),
    );
    let vectors =
        block.lines().find(|line| line.contains("MSI-X:")).and_then(|line| line.split("Count=").nth(1));
    put(&mut facts, &format!("{prefix}MSI-X"), vectors.and_then(|rest| rest.split_whitespace().next()));
    put(&mut facts, &format!("{prefix}LnkCap"), line("LnkCap:").and_then(link));
    put(&mut facts, &format!("{prefix}LnkSta"), line("LnkSta:").and_then(link));
    let vfs = block.lines().find_map(|line| line.split_once("Number of VFs: "));
    put(&mut facts, "vfs", vfs.and_then(|(_, rest)| rest.split(',').next()));
    let device = block
        .lines()
        .find_map(|line| line.trim().starts_with("VF offset").then(|| line.split_once("Device ID: "))?);
    put(&mut facts, "vfDevice", device.map(|(_, id)| id.trim()));
    facts
}

/// `Port #0, Speed 2.5GT/s, Width x1, …` → `2.5 x1`.
fn link(line: &str) -> Option<String> {
    let speed = line.split("Speed ").nth(1)?.split("GT/s").next()?;
    let width = line.split("Width x").nth(1)?.split([',', ' ']).next()?;
    Some(format!("{speed} x{width}"))
}

fn ours(nic: &Nic, vf: bool) -> Facts {
    let mut facts = Facts::new();
    let Some(pci) = &nic.pci else { return facts };
    let prefix = if vf { "vf." } else { "" };
    let pair = |one: &Option<hwprobe::PciName>, other: &Option<hwprobe::PciName>| {
        Some(format!("{}:{}", one.as_ref()?.id, other.as_ref()?.id))
    };
    put(&mut facts, "class", pci.class.as_ref().and_then(|class| class.get(..4)));
    put(&mut facts, "ids", pair(&pci.vendor, &pci.device));
    put(&mut facts, "revision", pci.revision.as_ref());
    put(&mut facts, "subsystem", pair(&pci.subsystem_vendor, &pci.subsystem_device));
    put(&mut facts, "numa", nic.numa_node);
    put(&mut facts, "iommu", nic.iommu_group);
    // lspci names the function's driver, not that of the virtio device on it.
    let on_virtio = nic.bus.as_ref().is_some_and(|bus| bus.kind == "virtio");
    let driver = nic.driver.as_ref().map(|driver| driver.name.as_str());
    put(&mut facts, "driver", if on_virtio { driver.map(|_| "virtio-pci") } else { driver });
    put(&mut facts, "serial", pci.serial.as_ref());
    put(&mut facts, &format!("{prefix}MSI-X"), nic.resources.msix_vectors);
    let text =
        |link: PcieLink| format!("{} x{}", link.speed.to_string().trim_end_matches(" GT/s"), link.width);
    put(&mut facts, &format!("{prefix}LnkCap"), pci.link_maximum.map(text));
    put(&mut facts, &format!("{prefix}LnkSta"), pci.link.map(text));
    put(&mut facts, "vfs", nic.sriov.as_ref().map(|sriov| sriov.capacity.enabled));
    put(&mut facts, "vfDevice", nic.sriov.as_ref().and_then(|sriov| sriov.vf_device.as_ref()));
    facts
}

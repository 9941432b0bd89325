//! Small machines for the tests beside the code.

use hwprobe::{
    Bus, Driver, Inventory, LinkFacts, Nic, NicId, NicKind, Node, OperState, PciAddress, PciFunction,
    PciName, Sriov, SriovCapacity, VfEntry, VfOf,
};

use crate::config::{DevicePool, parse};

/// A PF with `count` VFs on NUMA node `node`; VFs are `0000:<bus>:10.<0..>`.
pub(crate) fn card(bus: u8, name: &str, node: u16, count: u8) -> Vec<Nic> {
    let mut pf = nic(PciAddress::new(0, bus, 0, 0).unwrap(), NicKind::Physical, "10c9", "igb");
    pf.name = Some(name.to_owned());
    pf.numa_node = Some(node);
    pf.iommu_group = Some(u32::from(bus));
    let mut sriov = Sriov::new(SriovCapacity::default());
    sriov.capacity.enabled = u16::from(count);
    sriov.capacity.free = u16::from(count);
    let mut nics = Vec::new();
    for index in 0..count {
        let address = PciAddress::new(0, bus, 16 + index / 8, index % 8).unwrap();
        let mut vf = nic(address, NicKind::VirtualFunction, "10ca", "igbvf");
        vf.name = Some(format!("{name}v{index}"));
        vf.vf = Some(VfOf::new(pf.id.clone(), Some(u16::from(index))));
        vf.iommu_group = Some(1000 * u32::from(bus) + u32::from(index));
        let mut entry = VfEntry::new(u16::from(index));
        entry.pci = Some(address);
        sriov.vfs.push(entry);
        nics.push(vf);
    }
    pf.sriov = Some(sriov);
    nics.insert(0, pf);
    nics
}

fn nic(address: PciAddress, kind: NicKind, device: &str, driver: &str) -> Nic {
    let mut nic = Nic::new(NicId::new(address.to_string()), kind);
    let mut pci = PciFunction::new(address);
    pci.vendor = Some(PciName { id: "8086".to_owned(), name: None });
    pci.device = Some(PciName { id: device.to_owned(), name: None });
    nic.pci = Some(pci);
    nic.bus = Some(Bus::new("pci".to_owned(), address.to_string(), String::new()));
    let mut bound = Driver::default();
    bound.name = driver.to_owned();
    nic.driver = Some(bound);
    nic.secondary.is_secondary = true;
    let mut link = LinkFacts::new(1500, 1);
    (link.admin_up, link.carrier, link.oper_state) = (true, Some(true), OperState::Up);
    nic.link = Some(link);
    nic
}

/// A machine with these cards.
pub(crate) fn machine(cards: Vec<Vec<Nic>>) -> Inventory {
    Inventory::new(Node::default(), cards.into_iter().flatten().collect())
}

/// The NIC of an inventory.
pub(crate) fn find<'a>(inventory: &'a mut Inventory, id: &str) -> &'a mut Nic {
    inventory.nics.iter_mut().find(|nic| nic.id.as_str() == id).unwrap()
}

/// The only pool of a list of pools.
pub(crate) fn pool(text: &str) -> DevicePool {
    let text = format!(
        "deviceClasses: {{ fast: {{ minSpeed: 10G }}, intel: {{ ids: [\"8086\"] }} }}\ndevicePlugin: {{ pools: [{text}] }}"
    );
    parse(std::path::Path::new("agent.yaml"), &text).unwrap().device_plugin.pools.remove(0)
}

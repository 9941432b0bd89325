//! Where each fact comes from: a file or a kernel message, or the rule that derived it.

use hwprobe::Nic;

/// Prefix of a fact's path, its source on the running machine, its source in a captured tree ("" = the same).
/// `{pci}`, `{dev}` and `{name}` stand for the NIC's folders. The longest prefix counts.
const SOURCES: &[(&str, &str, &str)] = &[
    ("id", "derived: PCI address, bus path or name", ""),
    ("kind", "derived: bus, ids, IFLA_INFO_KIND, phys_port_name", ""),
    ("hardware", "derived: kind", ""),
    ("name", "RTM_GETLINK IFLA_IFNAME", "/sys/class/net"),
    ("altNames", "RTM_GETLINK IFLA_PROP_LIST", ""),
    ("generation.ifindex", "RTM_GETLINK ifi_index", "/sys/class/net/{name}/ifindex"),
    ("generation.device", "inode of /sys/{dev}", ""),
    ("mac", "RTM_GETLINK IFLA_ADDRESS", "/sys/class/net/{name}/address"),
    ("permanentMac", "RTM_GETLINK IFLA_PERM_ADDRESS", ""),
    ("bus", "RTM_GETLINK IFLA_PARENT_DEV_NAME, /sys/{dev}", "/sys/class/net/{name}"),
    ("pci.address", "/sys/bus/pci/devices/{pci}", ""),
    ("pci.vendor.name", "embedded PCI id database", ""),
    ("pci.device.name", "embedded PCI id database", ""),
    ("pci.subsystemVendor.name", "embedded PCI id database", ""),
    ("pci.subsystemDevice.name", "embedded PCI id database", ""),
    ("pci.vendor", "/sys/bus/pci/devices/{pci}/uevent PCI_ID", ""),
    ("pci.device", "/sys/bus/pci/devices/{pci}/uevent PCI_ID", ""),
    ("pci.subsystemVendor", "/sys/bus/pci/devices/{pci}/uevent PCI_SUBSYS_ID", ""),
    ("pci.subsystemDevice", "/sys/bus/pci/devices/{pci}/uevent PCI_SUBSYS_ID", ""),
    ("pci.class", "/sys/bus/pci/devices/{pci}/uevent PCI_CLASS", ""),
    ("pci.revision", "/sys/bus/pci/devices/{pci}/revision", ""),
    ("pci.link.bandwidthMbps", "derived: lane rate x width without line coding", ""),
    ("pci.link", "/sys/bus/pci/devices/{pci}/current_link_speed, current_link_width", ""),
    ("pci.linkMaximum.bandwidthMbps", "derived: lane rate x width without line coding", ""),
    ("pci.linkMaximum", "/sys/bus/pci/devices/{pci}/max_link_speed, max_link_width", ""),
    ("pci.slotMaximum.bandwidthMbps", "derived: lane rate x width without line coding", ""),
    ("pci.slotMaximum", "max_link_speed, max_link_width of the bridge above", ""),
    ("pci.serial", "/sys/bus/pci/devices/{pci}/config, capability 0x0003", ""),
    ("pci.vpd", "/sys/bus/pci/devices/{pci}/vpd", ""),
    ("pci.driverOverride", "/sys/bus/pci/devices/{pci}/driver_override", ""),
    ("driver.name", "/sys/{dev}/uevent DRIVER, /sys/{dev}/driver", ""),
    ("driver", "SIOCETHTOOL ETHTOOL_GDRVINFO, DEVLINK_CMD_INFO_GET", ""),
    ("link.devPort", "/sys/class/net/{name}/dev_port", ""),
    ("link.speedMbps", "ETHTOOL_MSG_LINKMODES_GET", "/sys/class/net/{name}/speed"),
    ("link.duplex", "ETHTOOL_MSG_LINKMODES_GET", "/sys/class/net/{name}/duplex"),
    ("link.lanes", "ETHTOOL_MSG_LINKMODES_GET", ""),
    ("link.autonegotiation", "ETHTOOL_MSG_LINKMODES_GET", ""),
    ("link.supportedModes", "ETHTOOL_MSG_LINKMODES_GET", ""),
    ("link.supportedSpeedMbps", "derived: fastest of supportedModes", ""),
    ("link.advertisedModes", "ETHTOOL_MSG_LINKMODES_GET", ""),
    ("link.peerModes", "ETHTOOL_MSG_LINKMODES_GET", ""),
    ("link.port", "ETHTOOL_MSG_LINKINFO_GET", ""),
    ("link.downReason", "ETHTOOL_MSG_LINKSTATE_GET", ""),
    ("link.fec", "ETHTOOL_MSG_FEC_GET", ""),
    ("link.pause", "ETHTOOL_MSG_PAUSE_GET", ""),
    ("link.module", "ETHTOOL_MSG_MODULE_EEPROM_GET", ""),
    ("link", "RTM_GETLINK", "/sys/class/net/{name}"),
    ("speed.class", "derived: speed and thresholds", ""),
    ("speed.pcieLimitMbps", "derived: pci.link (a VF: its PF's)", ""),
    ("speed", "derived: see speed.source", ""),
    ("numaNode", "/sys/{dev}/numa_node", ""),
    ("localCpus", "/sys/bus/pci/devices/{pci}/local_cpulist", ""),
    ("iommuGroup", "/sys/bus/pci/devices/{pci}/iommu_group", ""),
    ("pciRoot", "path of /sys/bus/pci/devices/{pci}", ""),
    ("pciPath", "path of /sys/bus/pci/devices/{pci}", ""),
    ("gpus", "derived: PCIe paths and NUMA nodes", ""),
    ("sriov.capacity.total", "/sys/bus/pci/devices/{pci}/sriov_totalvfs", ""),
    ("sriov.capacity.enabled", "/sys/bus/pci/devices/{pci}/virtfn<N>", ""),
    ("sriov.capacity", "derived: VFs and their holders", ""),
    ("sriov.vfDevice", "/sys/bus/pci/devices/{pci}/sriov_vf_device", ""),
    ("sriov.driversAutoprobe", "/sys/bus/pci/devices/{pci}/sriov_drivers_autoprobe", ""),
    ("sriov.eswitch", "DEVLINK_CMD_ESWITCH_GET", ""),
    (
        "sriov.vfs",
        "RTM_GETLINK IFLA_VFINFO_LIST, /sys/bus/pci/devices/{pci}/virtfn<N>",
        "/sys/bus/pci/devices/{pci}/virtfn<N>",
    ),
    ("vf", "/sys/bus/pci/devices/<PF>/virtfn<N>, /sys/bus/pci/devices/{pci}/physfn", ""),
    ("devlinkPort", "DEVLINK_CMD_PORT_GET", ""),
    ("rdma", "/sys/class/infiniband", ""),
    ("resources.txQueues", "RTM_GETLINK IFLA_NUM_TX_QUEUES", "/sys/class/net/{name}/queues"),
    ("resources.rxQueues", "RTM_GETLINK IFLA_NUM_RX_QUEUES", "/sys/class/net/{name}/queues"),
    ("resources.channels", "ETHTOOL_MSG_CHANNELS_GET", ""),
    ("resources.rings", "ETHTOOL_MSG_RINGS_GET", ""),
    ("resources.coalesce", "ETHTOOL_MSG_COALESCE_GET", ""),
    ("resources.offloads", "ETHTOOL_MSG_FEATURES_GET", ""),
    ("resources.ptpClock", "ETHTOOL_MSG_TSINFO_GET", ""),
    ("resources.msixVectors", "/sys/bus/pci/devices/{pci}/config, capability 0x11", ""),
    ("stacking.linkKind", "RTM_GETLINK IFLA_INFO_KIND", "/sys/class/net/{name}/uevent DEVTYPE"),
    ("stacking.masterKind", "RTM_GETLINK IFLA_INFO_SLAVE_KIND", ""),
    ("stacking.detail", "RTM_GETLINK IFLA_INFO_DATA", "/proc/net/vlan/{name}"),
    ("stacking", "RTM_GETLINK IFLA_LINK, IFLA_MASTER", "/sys/class/net/{name}/iflink, master"),
    ("addresses", "RTM_GETADDR", "/proc/net/if_inet6"),
    ("defaultRoute", "RTM_GETROUTE", "/proc/net/route, /proc/net/ipv6_route"),
    ("lldp", "/run/systemd/netif/lldp", ""),
    ("protected", "derived: routes, node addresses, storage, configuration, links below them", ""),
    ("held", "RTM_GETLINK IFLA_TARGET_NETNSID, /proc/<pid>/fd, IFLA_MASTER", ""),
    ("secondary", "derived: kind, protected, held, link, addresses, capacity", ""),
    ("extraMacs", "derived: see extraMacs.source", ""),
    ("failures", "what could not be read", ""),
];

/// The source of the fact at a dotted path.
pub(crate) fn source_of(path: &str, nic: &Nic, captured: bool) -> String {
    let Some((_, live, tree)) = entry(path) else { return "?".to_owned() };
    let template = if captured && !tree.is_empty() { tree } else { live };
    let pci = nic.pci_address().map(|pci| pci.to_string()).unwrap_or_default();
    let device = nic.bus.as_ref().map(|bus| bus.path.clone()).unwrap_or_default();
    template
        .replace("{pci}", &pci)
        .replace("{dev}", &device)
        .replace("{name}", nic.name.as_deref().unwrap_or_default())
}

fn entry(path: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    let fits =
        |prefix: &str| path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
    SOURCES.iter().filter(|(prefix, ..)| fits(prefix)).max_by_key(|(prefix, ..)| prefix.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hwprobe::{Probe, ProbeSettings};
    use std::path::Path;

    #[test]
    fn every_fact_of_every_recorded_machine_has_a_source() {
        let machines = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
        let mut facts = 0;
        for machine in std::fs::read_dir(machines).unwrap() {
            let dir = machine.unwrap().path();
            let file = ["machine.json", "machine.json.gz"]
                .map(|name| dir.join(name))
                .into_iter()
                .find(|file| file.exists());
            let Some(file) = file else { continue };
            let inventory = Probe::replay(&file, ProbeSettings::default()).unwrap().inventory();
            for nic in &inventory.nics {
                let mut leaves = Vec::new();
                super::super::explain::collect(
                    &mut String::new(),
                    &serde_json::to_value(nic).unwrap(),
                    &mut leaves,
                );
                for (path, _) in leaves {
                    assert!(entry(&path).is_some(), "{}: no source for {path}", file.display());
                    facts += 1;
                }
            }
        }
        assert!(facts > 1000, "only {facts} facts looked at");
    }
}

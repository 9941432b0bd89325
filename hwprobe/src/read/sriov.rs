//! VFs of a PF: sysfs for the PCI side, the link message for what the PF enforces, devlink for the switch.

use netlink::route::{Vf, VfLinkState as KernelVfLinkState};

use super::netdev::{address, vlan_protocol};
use super::pci::keep;
use crate::model::{Eswitch, Failure, PciAddress, SpeedMbps, Sriov, SriovCapacity, VfEntry, VfLinkState};
use crate::source::{DevlinkDevice, Files, value};

/// SR-IOV of the function in `folder`; `None` when it has no such capability.
pub(crate) fn read(files: &dyn Files, folder: &str, failures: &mut Vec<Failure>) -> Option<Sriov> {
    let mut number = |file: &str| {
        keep(value(files, &format!("{folder}/{file}"), |text| text.parse::<u16>().ok()), failures)
    };
    let total = number("sriov_totalvfs")?;
    let mut capacity = SriovCapacity::default();
    capacity.total = total;
    // Never `sriov_numvfs`: reading it waits for whoever writes it (`sriov_numvfs_show`, kernel 5.17), and that one may
    // wait for a process that has a VF open, for ever. The links to the VFs tell the same.
    let mut indexes: Vec<u16> =
        files.list(folder).unwrap_or_default().iter().filter_map(|name| vf_index(name)).collect();
    indexes.sort_unstable();
    capacity.enabled = u16::try_from(indexes.len()).unwrap_or(u16::MAX);
    let mut sriov = Sriov::new(capacity);
    sriov.drivers_autoprobe = number("sriov_drivers_autoprobe").map(|value| value != 0);
    sriov.vf_device = keep(files.text(&format!("{folder}/sriov_vf_device")), failures);
    sriov.vfs = indexes.into_iter().map(|index| vf(files, folder, index, failures)).collect();
    Some(sriov)
}

/// The index in `virtfn0`, `virtfn1` …
fn vf_index(name: &str) -> Option<u16> {
    name.strip_prefix("virtfn")?.parse().ok()
}

fn vf(files: &dyn Files, folder: &str, index: u16, failures: &mut Vec<Failure>) -> VfEntry {
    let mut entry = VfEntry::new(index);
    let target = keep(files.link_name(&format!("{folder}/virtfn{index}")), failures);
    entry.pci = target.and_then(|name| name.parse::<PciAddress>().ok());
    entry
}

/// Writes what the PF's link message says of its VFs. Drivers without SR-IOV files in sysfs (netdevsim) have
/// VFs in the message only.
pub(crate) fn apply_link(sriov: &mut Option<Sriov>, vfs: &[Vf]) {
    if vfs.is_empty() {
        return;
    }
    let sriov = sriov.get_or_insert_with(|| {
        let mut capacity = SriovCapacity::default();
        // Nobody says how many there could be: as many as there are.
        capacity.total = vfs.len() as u16;
        capacity.enabled = vfs.len() as u16;
        Sriov::new(capacity)
    });
    for vf in vfs {
        let Ok(index) = u16::try_from(vf.index) else { continue };
        let entry = match sriov.vfs.iter().position(|entry| entry.index == index) {
            Some(at) => sriov.vfs.get_mut(at),
            None => {
                sriov.vfs.push(VfEntry::new(index));
                sriov.vfs.last_mut()
            }
        };
        let Some(entry) = entry else { continue };
        entry.mac = vf.mac.as_ref().and_then(address);
        entry.vlan = vf.vlan.filter(|vlan| *vlan != 0);
        entry.qos = vf.qos.filter(|_| entry.vlan.is_some());
        entry.vlan_protocol = vf.vlan_protocol.filter(|_| entry.vlan.is_some()).map(vlan_protocol);
        entry.spoof_check = vf.spoof_check;
        entry.trust = vf.trust;
        entry.link_state = match vf.link_state {
            Some(KernelVfLinkState::Auto) => Some(VfLinkState::Auto),
            Some(KernelVfLinkState::Enable) => Some(VfLinkState::Enable),
            Some(KernelVfLinkState::Disable) => Some(VfLinkState::Disable),
            _ => None,
        };
        entry.min_tx_rate = vf.min_tx_rate.and_then(SpeedMbps::new);
        entry.node_guid = vf.node_guid.as_ref().and_then(address);
        entry.port_guid = vf.port_guid.as_ref().and_then(address);
        entry.max_tx_rate = vf.max_tx_rate.and_then(SpeedMbps::new);
    }
    sriov.vfs.sort_by_key(|entry| entry.index);
}

/// The embedded switch of a devlink device.
pub(crate) fn eswitch(device: &DevlinkDevice) -> Option<Eswitch> {
    let told = device.eswitch.as_ref()?;
    let mode = told.mode?;
    let mut eswitch =
        Eswitch::new(mode.name().map_or_else(|| format!("mode {}", mode.number()), str::to_owned));
    eswitch.inline_mode = told.inline_mode.and_then(|mode| mode.name()).map(str::to_owned);
    eswitch.encap_mode = told.encap.map(|encap| if encap { "basic" } else { "none" }.to_owned());
    Some(eswitch)
}

//! RDMA devices from `/sys/class/infiniband`.

use std::collections::BTreeMap;

use super::pci::{folder_of_target, keep};
use crate::model::{Failure, RdmaDevice, RdmaPort, SpeedMbps};
use crate::source::Files;

/// RDMA devices by the folder of the device that they belong to.
pub(crate) fn devices(files: &dyn Files, failures: &mut Vec<Failure>) -> BTreeMap<String, Vec<RdmaDevice>> {
    let mut found: BTreeMap<String, Vec<RdmaDevice>> = BTreeMap::new();
    let names = files.list("sys/class/infiniband").unwrap_or_else(|failure| {
        failures.push(failure);
        Vec::new()
    });
    for name in names {
        let Some(target) = keep(files.read_link(&format!("sys/class/infiniband/{name}")), failures) else {
            continue;
        };
        let folder = folder_of_target(&target);
        let Some((owner, _)) = folder.rsplit_once("/infiniband/") else { continue };
        found.entry(owner.to_owned()).or_default().push(device(files, name, &folder, failures));
    }
    found
}

fn device(files: &dyn Files, name: String, folder: &str, failures: &mut Vec<Failure>) -> RdmaDevice {
    let mut device = RdmaDevice::new(name);
    device.node_guid =
        keep(files.text(&format!("{folder}/node_guid")), failures).filter(|guid| guid != NO_GUID);
    device.firmware = keep(files.text(&format!("{folder}/fw_ver")), failures);
    let ports = files.list(&format!("{folder}/ports")).unwrap_or_default();
    device.ports =
        ports.iter().filter_map(|number| port(files, number.parse().ok()?, folder, failures)).collect();
    device.ports.sort_by_key(|port| port.number);
    device
}

const NO_GUID: &str = "0000:0000:0000:0000";

fn port(files: &dyn Files, number: u32, folder: &str, failures: &mut Vec<Failure>) -> Option<RdmaPort> {
    let mut text = |file: &str| keep(files.text(&format!("{folder}/ports/{number}/{file}")), failures);
    let mut port = RdmaPort::new(number);
    port.link_layer = text("link_layer");
    port.state = text("state").map(|state| after_number(&state));
    port.physical_state = text("phys_state").map(|state| after_number(&state));
    port.rate_mbps = text("rate").and_then(|rate| rate_mbps(&rate));
    // The lower half of the first GID is the port's GUID.
    port.port_guid = text("gids/0")
        .and_then(|gid| Some(gid.get(20..39)?.to_owned()))
        .filter(|guid| guid != NO_GUID && port.link_layer.as_deref() == Some("InfiniBand"));
    Some(port)
}

/// `4: ACTIVE` → `ACTIVE`.
fn after_number(text: &str) -> String {
    text.split_once(':').map_or(text, |(_, name)| name).trim().to_owned()
}

/// `400 Gb/sec (4X NDR)` → 400000; `2.5 Gb/sec (1X SDR)` → 2500.
pub(crate) fn rate_mbps(text: &str) -> Option<SpeedMbps> {
    let (number, rest) = text.split_once(' ')?;
    rest.starts_with("Gb/sec").then(|| format!("{number}G").parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_the_kernel_prints_them() {
        assert_eq!(rate_mbps("400 Gb/sec (4X NDR)").unwrap().get(), 400_000);
        assert_eq!(rate_mbps("2.5 Gb/sec (1X SDR)").unwrap().get(), 2_500);
        assert_eq!(rate_mbps("0 Gb/sec (4X)"), None);
        assert_eq!(rate_mbps("fast"), None);
    }
}

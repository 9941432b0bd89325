//! What the node stands on: default routes, API server, node addresses, storage, configuration.

use std::collections::BTreeMap;

use crate::derive::protected::{Knowledge, Root};
use crate::model::{Failure, HwAddr, Nic, PciAddress, ProtectionReason};
use crate::read::{self, pci::keep};
use crate::settings::ProbeSettings;
use crate::source::{Files, Kernel};

/// What the node stands on: default routes, API server, node addresses, storage, configuration.
pub(super) fn roots(
    files: &dyn Files,
    kernel: &dyn Kernel,
    nics: &mut [Nic],
    settings: &ProbeSettings,
    failures: &mut Vec<Failure>,
) -> (Vec<Root>, Knowledge) {
    let by_index: BTreeMap<u32, usize> = nics
        .iter()
        .enumerate()
        .filter(|(_, nic)| nic.link.is_some())
        .filter_map(|(at, nic)| Some((nic.generation.ifindex?, at)))
        .collect();
    let mut roots = Vec::new();
    let routes = keep(kernel.default_routes().map(Some), failures).unwrap_or_default();
    for route in &routes {
        for at in route.hops.iter().filter_map(|hop| by_index.get(&hop.index?).copied()) {
            let label = format!("default route (table {})", route.table);
            roots.push(Root { reason: ProtectionReason::DefaultRoute, label, nic: at });
            if let Some(nic) = nics.get_mut(at) {
                nic.default_route = true;
            }
        }
    }
    let mut knowledge = if roots.is_empty() { Knowledge::Lacking } else { Knowledge::Full };
    let mut towards = |server: std::net::IpAddr, reason, label: String, roots: &mut Vec<Root>| {
        let hop = keep(kernel.route_to(server), failures).filter(|hop| !hop.local);
        if let Some(at) = hop.and_then(|hop| by_index.get(&hop.index).copied()) {
            roots.push(Root { reason, label, nic: at });
        }
    };
    for server in &settings.api_servers {
        towards(
            *server,
            ProtectionReason::ApiServer,
            format!("route to the API server {server}"),
            &mut roots,
        );
    }
    for storage in read::storage::in_use(files) {
        if let Some(server) = storage.server {
            towards(server, ProtectionReason::Storage, format!("{} from {server}", storage.what), &mut roots);
        }
        if let Some(at) =
            storage.interface.and_then(|name| nics.iter().position(|nic| nic.name.as_ref() == Some(&name)))
        {
            roots.push(Root { reason: ProtectionReason::Storage, label: storage.what, nic: at });
        }
    }
    for (at, nic) in nics.iter().enumerate() {
        let own = nic.addresses.iter().find(|own| settings.node_addresses.contains(&own.address));
        if let Some(own) = own {
            let label = format!("node address {}", own.address);
            roots.push(Root { reason: ProtectionReason::NodeAddress, label, nic: at });
        }
        if settings.protected.iter().any(|name| is_named(nic, name)) {
            roots.push(Root {
                reason: ProtectionReason::Configured,
                label: "configuration".to_owned(),
                nic: at,
            });
        }
    }
    if !settings.protected.is_empty() {
        knowledge = Knowledge::Full;
    }
    (roots, knowledge)
}

/// The NIC goes by this name: netdev name, altname, id, PCI address or MAC, in any case.
pub fn is_named(nic: &Nic, name: &str) -> bool {
    nic.name.as_deref() == Some(name)
        || nic.alt_names.iter().any(|alt| alt == name)
        || nic.id.as_str().eq_ignore_ascii_case(name)
        || name.parse::<PciAddress>().is_ok_and(|address| nic.pci_address() == Some(address))
        || name.parse::<HwAddr>().is_ok_and(|mac| nic.mac == Some(mac) || nic.permanent_mac == Some(mac))
}

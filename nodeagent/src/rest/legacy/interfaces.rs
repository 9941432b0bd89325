//! `/interface`, `/join`, `/greet`: which NICs this node has, and hellos between nodes (CONTRACTS §6, §8.6).

use std::net::IpAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use hwprobe::{Inventory, Nic, OperState, PciName};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::said;
use crate::rest::problem::Answer;
use crate::rest::state::RestState;

/// How long a greeting may take.
const GREETING: Duration = Duration::from_secs(10);

/// Greetings of one `/join` at most: a body of the limit's size could name thousands.
const GREETINGS: usize = 256;

/// A NIC as the old daemon tells it; unknown is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct InterfaceInfo {
    interface_name: String,
    net_address: String,
    #[serde(rename = "hostIP")]
    host_ip: String,
    vendor: String,
    product: String,
    pci_address: String,
}

/// `/interface`: secondary NICs that are up and have an IPv4 address.
pub(super) async fn list(State(state): State<RestState>) -> Answer {
    said(&known(&state))
}

fn known(state: &RestState) -> Vec<InterfaceInfo> {
    let newest = state.newest.borrow().clone();
    newest.map_or_else(Vec::new, |newest| interfaces(&newest.inventory))
}

fn interfaces(inventory: &Inventory) -> Vec<InterfaceInfo> {
    inventory.nics.iter().filter(|nic| nic.secondary.is_secondary).filter_map(interface).collect()
}

fn interface(nic: &Nic) -> Option<InterfaceInfo> {
    if nic.link.as_ref()?.oper_state != OperState::Up {
        return None;
    }
    let own = nic.addresses.iter().find(|ip| ip.address.is_ipv4() && ip.is_global())?;
    let net = IpNet::new(own.address, own.prefix_length).ok()?.trunc();
    let id = |name: Option<&PciName>| name.map(|name| name.id.clone()).unwrap_or_default();
    let pci = nic.pci.as_ref();
    Some(InterfaceInfo {
        interface_name: nic.name.clone()?,
        net_address: net.to_string(),
        host_ip: own.address.to_string(),
        vendor: id(pci.and_then(|pci| pci.vendor.as_ref())),
        product: id(pci.and_then(|pci| pci.device.as_ref())),
        pci_address: nic.pci_address().map(|pci| pci.to_string()).unwrap_or_default(),
    })
}

/// What `/join` is asked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JoinBody {
    hifs: Vec<InterfaceInfo>,
}

/// `/join`: says hello to the other hosts of our networks, in the background; fills neighbour tables.
pub(super) async fn join(State(state): State<RestState>, body: Bytes) -> Answer {
    if let Ok(body) = serde_json::from_slice::<JoinBody>(&body) {
        let mine = known(&state);
        for (host, own) in greetings(&mine, &body.hifs) {
            tokio::spawn(say_hello(host, port(&state), own));
        }
    }
    said(&"")
}

/// Whom to greet, with which address of ours.
fn greetings(mine: &[InterfaceInfo], others: &[InterfaceInfo]) -> Vec<(IpAddr, String)> {
    let to = |other: &InterfaceInfo| {
        let own = mine.iter().find(|own| own.net_address == other.net_address)?;
        if own.host_ip == other.host_ip {
            return None;
        }
        let net: IpNet = own.net_address.parse().ok()?;
        let host = other.host_ip.parse::<IpAddr>().ok()?;
        // Only neighbours: the agent connects nowhere else on somebody's word.
        net.contains(&host).then(|| (host, own.host_ip.clone()))
    };
    others.iter().filter_map(to).take(GREETINGS).collect()
}

/// `/greet`: answers a hello with one, in the background.
pub(super) async fn greet(State(state): State<RestState>, body: Bytes) -> Answer {
    let caller = serde_json::from_slice::<String>(&body).ok().and_then(|text| text.parse::<IpAddr>().ok());
    let near = |caller: &IpAddr| {
        let mine = known(&state);
        mine.iter().any(|own| own.net_address.parse::<IpNet>().is_ok_and(|net| net.contains(caller)))
    };
    if let Some(caller) = caller.filter(near) {
        tokio::spawn(say_hello(caller, port(&state), String::new()));
    }
    said(&"")
}

/// The port that other hosts' daemons listen on: the same as ours.
fn port(state: &RestState) -> u16 {
    state.settings.listen.first().map_or(11000, std::net::SocketAddr::port)
}

/// `POST /greet`. The connection is what counts: it makes both ends learn the other's link-layer address.
async fn say_hello(host: IpAddr, port: u16, own: String) {
    let body = serde_json::Value::from(own).to_string();
    let request = format!(
        "POST /greet HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        std::net::SocketAddr::new(host, port),
        body.len()
    );
    let hello = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.shutdown().await
    };
    match tokio::time::timeout(GREETING, hello).await {
        Ok(Ok(())) => tracing::debug!(%host, "greeted"),
        Ok(Err(error)) => tracing::debug!(%host, %error, "greet"),
        Err(_) => tracing::debug!(%host, "greet: no answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::{InterfaceInfo, greetings, interface};

    fn info(net: &str, host: &str) -> InterfaceInfo {
        InterfaceInfo { net_address: net.to_owned(), host_ip: host.to_owned(), ..InterfaceInfo::default() }
    }

    #[test]
    fn only_other_hosts_of_our_own_networks_are_greeted() {
        let mine = [info("10.0.1.0/24", "10.0.1.1")];
        let others = [
            info("10.0.1.0/24", "10.0.1.2"),
            info("10.0.1.0/24", "10.0.1.1"),
            info("10.0.2.0/24", "10.0.2.2"),
            info("10.0.1.0/24", "203.0.113.9"),
            info("10.0.1.0/24", "nonsense"),
        ];

        let found = greetings(&mine, &others);

        assert_eq!(found, [("10.0.1.2".parse().unwrap(), "10.0.1.1".to_owned())]);
    }

    #[test]
    fn every_member_of_an_interface_is_a_text() {
        let inventory = openapi::example_inventory().unwrap();
        let all: Vec<InterfaceInfo> = inventory.nics.iter().filter_map(interface).collect();

        assert!(!all.is_empty());
        for one in all {
            let value = serde_json::to_value(&one).unwrap();
            let members = value.as_object().unwrap();
            let names: Vec<&str> = members.keys().map(String::as_str).collect();
            for name in ["interfaceName", "netAddress", "hostIP", "vendor", "product", "pciAddress"] {
                assert!(members[name].is_string(), "{names:?}");
            }
            assert_eq!(names.len(), 6);
        }
    }
}

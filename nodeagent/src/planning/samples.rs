//! Machines and networks for the tests.

use hwprobe::{Generation, Inventory, IpInterface, LinkFacts, Nic, NicId, NicKind, Node};
use ipnet::IpNet;
use serde_json::{Value, json};

/// A secondary port in slot `slot` with these addresses.
pub(crate) fn nic(name: &str, slot: u32, addresses: &[&str]) -> Nic {
    let mut nic = Nic::new(NicId::new(format!("0000:{slot:02x}:00.0")), NicKind::Physical);
    nic.hardware = true;
    nic.name = Some(name.to_owned());
    nic.generation = Generation::new(Some(slot + 2), None);
    let mut link = LinkFacts::new(1500, 1);
    (link.admin_up, link.carrier) = (true, Some(true));
    nic.link = Some(link);
    nic.secondary.is_secondary = true;
    let nets = addresses.iter().map(|text| text.parse::<IpNet>().unwrap());
    nic.addresses = nets.map(|net| IpInterface::new(net.addr(), net.prefix_len(), "global")).collect();
    nic
}

pub(crate) fn machine(nics: &[Nic]) -> Inventory {
    Inventory::new(Node::default(), nics.to_vec())
}

/// A network with blocks: 4 interfaces of 64 hosts of 256 addresses.
pub(crate) fn network(name: &str, more: Value) -> Value {
    let mut object = json!({
        "apiVersion": "multinic.fms.io/v1", "kind": "MultiNicNetwork", "metadata": {"name": name},
        "spec": {
            "subnet": "192.168.0.0/16", "multiNICIPAM": true,
            "ipam": r#"{"type": "multi-nic-ipam", "hostBlock": 6, "interfaceBlock": 2}"#,
            "plugin": {"cniVersion": "1.0.0", "type": "ipvlan", "args": {"mode": "l2"}},
        },
    });
    for (key, value) in more.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

/// `master pod-block` of each interface, an absent NIC in brackets.
pub(crate) fn shown(network: &attach::network::Network) -> Vec<String> {
    let of = |one: &attach::network::NetworkInterface| {
        let blocks: Vec<String> = one.blocks.iter().map(|block| block.pod.to_string()).collect();
        let master = if one.nic.is_some() { one.master.clone() } else { format!("[{}]", one.master) };
        format!("{master} {}", blocks.join(" "))
    };
    network.interfaces.iter().map(of).collect()
}

//! Examples about pods: records of the engine, shown by the handlers' own functions.

use attach::network::{Block, Network, NetworkInterface, Policy, Strategy};
use attach::record::Attachment;
use attach::select::{Chosen, LeftOut, LinkUse, Rule, Selection};
use hwprobe::Inventory;
use openapi::{
    AddressCounts, AddressList, AttachmentFailure, AttachmentList, AttachmentRequest, BlockAddresses, Event,
    EventCause, NetworkAddresses, NetworkList, NetworkReport, ReportGravity, SelectAnswer, SelectPlugin,
    SelectRequest,
};
use serde_json::{Value, json};

use crate::rest::{attachments, networks, selection};

/// An attachment of the example machine's first NIC.
pub(super) fn attachment() -> Result<Attachment, serde_json::Error> {
    serde_json::from_value(json!({
        "key": { "network": "rails", "containerId": "4f1c9e2b7a60", "ifname": "net1" },
        "phase": "attached",
        "boot": "b0",
        "netns": "/var/run/netns/cni-6f0c",
        "sweepable": true,
        "digest": 1,
        "config": "{}",
        "pod": { "namespace": "default", "name": "trainer-0", "uid": "0d5f7a5e-52a4-4a6d-9d2e-8f0b7c3a1e11" },
        "since": 1_795_498_023,
        "group": 1_000_000,
        "links": [{
            "index": 0, "name": "net1-0", "ifindex": 1_000_000, "link": { "kind": "ipvlan", "mode": "l3", "flag": "bridge" },
            "nic": "0000:3b:00.0", "generation": {}, "master": "ens1f0np0.100", "masterIfindex": 7,
            "vlan": { "parent": "0000:3b:00.0", "id": 100, "protocol": "802.1q", "ours": true },
            "mtu": 9000, "mac": "02:00:5e:10:00:10", "hostArp": { "ignore": 0, "announce": 0 },
            "addresses": [{ "address": "192.168.0.1/18", "block": "192.168.0.0/24", "gateway": "192.168.63.254" }]
        }],
        "addresses": [[0, { "address": "192.168.64.1/18", "block": "192.168.64.0/24" }]],
        "delegates": [{ "plugin": "tuning", "ifname": "net1-0", "config": "{}" }],
        "result": {
            "cniVersion": "1.1.0",
            "interfaces": [{ "name": "net1-0", "mac": "02:00:5e:10:00:10", "sandbox": "/var/run/netns/cni-6f0c" }],
            "ips": [{ "address": "192.168.0.1/18", "interface": 0 }]
        },
        "timings": [["namespace", 96], ["reserve", 1480], ["wired", 2210]]
    }))
}

/// An event about an attachment, from any other event.
pub(super) fn failed(event: Event) -> Result<Event, serde_json::Error> {
    let failed = attachment()?;
    Ok(Event {
        cause: EventCause::Call,
        gpu: None,
        warning: None,
        changes: Vec::new(),
        attachment: Some(attachments::reference(&failed.key, failed.pod.as_ref())),
        failure: Some(AttachmentFailure {
            cni_code: cni::error::code::NO_NIC,
            message: "no NIC of this node can be used".to_owned(),
        }),
        ..event
    })
}

/// One answer, or request, of every kind.
pub(super) fn answers(inventory: &Inventory) -> Result<Vec<(&'static str, Value)>, serde_json::Error> {
    let shown = attachments::attachment(&attachment()?);
    let request = AttachmentRequest {
        network: "rails".to_owned(),
        container_id: "4f1c9e2b7a60".to_owned(),
        ifname: "net1".to_owned(),
        netns: "/var/run/netns/cni-6f0c".to_owned(),
        config: Some(json!({
            "cniVersion": "1.0.0", "name": "rails", "type": "multi-nic",
            "plugin": { "type": "ipvlan", "mode": "l2" }, "ipam": { "type": "multi-nic-ipam" }
        })),
        args: "K8S_POD_NAMESPACE=default;K8S_POD_NAME=trainer-0".to_owned(),
    };
    let select = SelectRequest {
        network: Some("rails".to_owned()),
        nics: Some(1),
        masters: vec!["ens1f0np0".to_owned()],
        class: Some("highspeed".to_owned()),
        master_nets: vec!["10.1.0.0/16".to_owned()],
        devices: vec!["0000:3b:00.0".to_owned()],
        target: Some("25G".to_owned()),
        gpus: vec!["0000:3d:00.0".to_owned()],
        plugin: Some(SelectPlugin {
            kind: "ipvlan".to_owned(),
            mode: Some("l2".to_owned()),
            vlan: Some(100),
        }),
    };
    let list = AttachmentList { total: 1, attachments: vec![shown.clone()] };
    Ok(vec![
        (
            "NetworkList",
            serde_json::to_value(NetworkList {
                networks: vec![networks::network(&network(), 1)],
                reports: vec![report()],
            })?,
        ),
        ("AddressList", serde_json::to_value(addresses())?),
        ("Attachment", serde_json::to_value(shown)?),
        ("AttachmentList", serde_json::to_value(list)?),
        ("AttachmentRequest", serde_json::to_value(request)?),
        ("SelectRequest", serde_json::to_value(select)?),
        ("SelectAnswer", serde_json::to_value(selected(inventory))?),
    ])
}

fn network() -> Network {
    let block = |pod: &str, interface: &str, exclude: &str| {
        Some(Block {
            pod: pod.parse().ok()?,
            interface: interface.parse().ok()?,
            excludes: exclude.parse().into_iter().collect(),
        })
    };
    Network {
        name: "rails".to_owned(),
        policy: Policy {
            strategy: Strategy::DevClass,
            target: "200G".parse().ok(),
            class: Some("highspeed".to_owned()),
        },
        link: LinkUse::default(),
        vlan: None,
        interfaces: vec![NetworkInterface {
            master: "ens1f0np0".to_owned(),
            nic: Some(hwprobe::NicId::new("0000:3b:00.0".to_owned())),
            net_address: "10.1.0.0/16".parse().ok(),
            index: 0,
            blocks: block("192.168.0.0/24", "192.168.0.0/18", "192.168.0.0/28").into_iter().collect(),
        }],
        allow_uplink: false,
        mtu: None,
        refused: Some("subnet overlaps network `storage`".to_owned()),
    }
}

fn addresses() -> AddressList {
    let counts = AddressCounts { total: 256, reserved: 18, used: 12, quarantined: 3, free: 223 };
    let block = "192.168.0.0/24".to_owned();
    let blocks = vec![BlockAddresses { block, master: "ens1f0np0".to_owned(), counts }];
    AddressList { networks: vec![NetworkAddresses { network: "rails".to_owned(), totals: counts, blocks }] }
}

fn selected(inventory: &Inventory) -> SelectAnswer {
    let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
    for nic in inventory.nics.iter().filter(|nic| nic.hardware) {
        match &nic.name {
            Some(name) if nic.secondary.is_secondary && chosen.is_empty() => chosen.push(Chosen {
                nic: nic.id.clone(),
                generation: nic.generation,
                master: name.clone(),
                ifindex: 3,
                mac: nic.mac,
                mtu: 9000,
                net_address: "10.1.0.0/16".parse().ok(),
                pf: None,
                promise: None,
            }),
            name => left_out.push(LeftOut {
                nic: nic.id.clone(),
                name: name.clone(),
                rule: Rule::EnoughChosen,
                why: "the pod asks for 1 only".to_owned(),
            }),
        }
    }
    selection::answer(Ok(Selection { chosen, left_out }))
}

fn report() -> NetworkReport {
    NetworkReport {
        gravity: ReportGravity::Error,
        network: Some("storage".to_owned()),
        policy: None,
        file: Some("storage.yaml".to_owned()),
        document: Some(1),
        field: Some("spec.subnet".to_owned()),
        message: "`10.7.0.0/33` is no network".to_owned(),
        fix: Some("write address and prefix length, like 192.168.0.0/16".to_owned()),
    }
}

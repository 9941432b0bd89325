//! `devlink -j port show` and `devlink -j dev eswitch show`.

use hwprobe::{Inventory, Nic};
use serde_json::Value;

use super::{Comparison, Facts, output, put};

const ONE_SIDED: &[(&str, &str)] = &[
    ("type", "eth or ib: the link's hardware type says it"),
    ("netdev", "the key by which NIC and port are matched"),
    ("splittable", "whether a port can be split: not an inventory fact yet"),
    ("lanes", "lanes of the cage; the link's own lanes are compared with ethtool"),
    ("port", "number printed at the plug"),
    ("controller", "number of the controller on multi-host cards"),
    ("external", "whether the function belongs to another host"),
    ("function.*", "settings of the function behind a representor"),
];

pub(super) fn compare(inventory: &Inventory) -> Vec<Comparison> {
    let ports: Value = serde_json::from_str(&output("devlink", &["-j", "port", "show"])).unwrap_or_default();
    let mut found = Vec::new();
    for (handle, port) in ports["port"].as_object().into_iter().flatten() {
        let Some(name) = port["netdev"].as_str() else { continue };
        let nic = inventory.nics.iter().find(|nic| nic.name.as_deref() == Some(name));
        let (device, index) = handle.rsplit_once('/').expect("a port has a device");
        let mut theirs =
            Facts::from([("device".to_owned(), device.to_owned()), ("index".to_owned(), index.to_owned())]);
        for (key, value) in port.as_object().into_iter().flatten() {
            flatten(key, value, &mut theirs);
        }
        let ours = nic.map(ours).unwrap_or_default();
        found.push(Comparison { tool: "devlink", nic: name.to_owned(), theirs, ours, one_sided: ONE_SIDED });
    }
    let devices: Value = serde_json::from_str(&output("devlink", &["-j", "dev", "show"])).unwrap_or_default();
    for device in devices["dev"].as_object().into_iter().flatten().map(|(device, _)| device) {
        let answer: Value =
            serde_json::from_str(&output("devlink", &["-j", "dev", "eswitch", "show", device]))
                .unwrap_or_default();
        let switch = &answer["dev"][device];
        let name = device.rsplit('/').next().unwrap_or_default();
        let on_device =
            |nic: &&Nic| nic.bus.as_ref().is_some_and(|bus| bus.device == name) && nic.sriov.is_some();
        let Some(nic) = inventory.nics.iter().find(on_device) else { continue };
        let mut theirs = Facts::new();
        put(&mut theirs, "eswitch.mode", switch["mode"].as_str());
        let mut ours = Facts::new();
        let eswitch = nic.sriov.as_ref().and_then(|sriov| sriov.eswitch.as_ref());
        put(&mut ours, "eswitch.mode", eswitch.map(|eswitch| &eswitch.mode));
        found.push(Comparison { tool: "devlink", nic: nic.label().to_owned(), theirs, ours, one_sided: &[] });
    }
    found
}

fn flatten(name: &str, value: &Value, facts: &mut Facts) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| flatten(&format!("{name}.{key}"), value, facts))
        }
        Value::String(text) => put(facts, name, Some(text)),
        Value::Null => {}
        other => put(facts, name, Some(other)),
    }
}

fn ours(nic: &Nic) -> Facts {
    let mut facts = Facts::new();
    let Some(port) = &nic.devlink_port else { return facts };
    put(&mut facts, "device", Some(&port.device));
    put(&mut facts, "index", Some(port.index));
    put(&mut facts, "flavour", port.flavour.as_ref());
    put(&mut facts, "pfnum", port.pf);
    put(&mut facts, "vfnum", port.vf);
    put(&mut facts, "sfnum", port.sf);
    facts
}

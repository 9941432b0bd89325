use std::fs;

use serde_json::json;

use super::*;
use crate::planning::samples::network;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut old = network(
        "old",
        json!({"multiNICIPAM": false, "masterNets": ["10.0.1.0/24"], "ipam": r#"{"type":"host-local","ranges":[]}"#}),
    );
    old["spec"]["plugin"] = json!({"cniVersion": "0.3.1", "type": "host-device"});
    let mut strange = network("strange", json!({}));
    strange["spec"]["plugin"]["cniVersion"] = json!("0.1.0");
    for (name, text) in [
        ("rails.yaml", format!("{}\n---\n{old}\n---\n{strange}", network("rails", json!({})))),
        ("wrong.yaml", network("wrong", json!({"subnet": "x", "masterNets": ["y"]})).to_string()),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn printed(name: &str) -> Value {
    serde_json::from_str(&cni_config(folder().path(), name).unwrap()).unwrap()
}

#[test]
fn list_is_what_a_runtime_wants() {
    insta::assert_snapshot!(cni_config(folder().path(), "rails").unwrap());

    let old = printed("old");
    assert_eq!(old["cniVersion"], "0.3.1");
    assert_eq!(old["plugins"][0]["capabilities"], json!({"ips": true, "mac": true, "deviceID": true}));
    assert_eq!(old["plugins"][0]["plugin"], json!({"cniVersion": "0.3.1", "type": "host-device"}));
    assert_eq!(old["plugins"][0]["masterNets"], json!(["10.0.1.0/24"]));
    // The network's version is spoken by nobody.
    assert_eq!(printed("strange")["cniVersion"], "1.0.0");
}

#[test]
fn what_the_runtime_makes_of_the_list_is_a_configuration_of_ours() {
    let list = printed("rails");
    // libcni: cniVersion and name of the list go in, capabilities come out as runtimeConfig.
    let mut conf = list["plugins"][0].clone();
    conf["cniVersion"] = list["cniVersion"].clone();
    conf["name"] = list["name"].clone();
    conf.as_object_mut().unwrap().remove("capabilities");
    conf["runtimeConfig"] = json!({"ips": ["192.168.0.9/18"], "mac": "02:00:00:00:00:07"});

    let read = cni::NetConf::parse(&conf.to_string()).unwrap();

    assert_eq!((read.name.as_str(), read.ipam_type.as_str()), ("rails", "multi-nic-ipam"));
    assert_eq!(read.plugin().unwrap().mode, "l2");
    assert!(read.multi_nic_ipam);
    assert_eq!(read.runtime.ips.len(), 1);
}

#[test]
fn networks_that_are_not_there_or_wrong_are_told() {
    let folder = folder();
    let texts: Vec<String> = ["ralis", "nosuch", "wrong"]
        .iter()
        .map(|name| cni_config(folder.path(), name).unwrap_err().to_string())
        .chain([cni_config(&folder.path().join("gone"), "rails").unwrap_err().to_string()])
        .map(|text| text.replace(folder.path().to_str().unwrap(), "DIR"))
        .collect();

    insta::assert_snapshot!(texts.join("\n\n"));
}

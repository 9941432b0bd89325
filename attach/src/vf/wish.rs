//! From a configuration to the settings of a VF: sriov-cni's keys, below `plugin` (FOREIGN §4.3).

use cni::config::Keys;
use cni::error::code;
use cni::{Error, NetConf};
use serde_json::{Value, json};
use sriov::vf::{VfForm, VfOriginal, VfSettings, VfWish};

use crate::request::asked_mac;

/// Most that a rate may be, Mb/s: what 32 bits hold.
const MOST: u32 = u32::MAX;

/// What is asked for the VF of a pod's link number `index`; an address is the first one's, as two cannot have the same.
/// `args` are `CNI_ARGS`.
pub(super) fn settings(conf: &NetConf, args: &str, index: u16) -> Result<VfSettings, Error> {
    let mac = asked_mac(conf, args).map(str::to_owned);
    let plugin = conf.plugin()?;
    let keys = Keys::new(&plugin.raw, "plugin.");
    let text = |key: &str| keys.text(key).map(|text| Some(text).filter(|text| !text.is_empty()));
    let rate = |key: &str, other: &str| -> Result<Option<u32>, Error> {
        // The operator of SR-IOV networks writes them in its own way.
        Ok(keys.number(key, MOST)?.or(keys.number(other, MOST)?))
    };
    // sriov-cni reads it in any letters.
    let plain =
        plugin.raw.keys().find(|key| key.eq_ignore_ascii_case("mac")).map(|key| text(key)).transpose()?;
    let wish = VfWish {
        mac: mac.or(plain.flatten()).filter(|_| index == 0),
        vlan: keys.number("vlan", MOST)?,
        vlan_qos: keys.number("vlanQoS", MOST)?,
        vlan_proto: text("vlanProto")?,
        spoofchk: switch(&plugin.raw, "spoofchk"),
        trust: switch(&plugin.raw, "trust"),
        min_tx_rate: rate("min_tx_rate", "minTxRate")?,
        max_tx_rate: rate("max_tx_rate", "maxTxRate")?,
        link_state: text("link_state")?.or(text("linkState")?),
        guid: conf.runtime.infiniband_guid.clone(),
    };
    wish.check().map_err(|error| Error::new(code::INVALID_CONFIG, format!("plugin.{error}")))
}

/// `on` and `off`, or true and false as the operator's documents say it.
fn switch(raw: &serde_json::Map<String, Value>, key: &str) -> Option<String> {
    match raw.get(key)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// `plugin.deviceType`, as SriovNetworkNodePolicy says it; absent: as the VF is bound now.
pub(super) fn form(conf: &NetConf) -> Result<Option<VfForm>, Error> {
    let plugin = conf.plugin()?;
    match Keys::new(&plugin.raw, "plugin.").text("deviceType")?.as_str() {
        "" => Ok(None),
        "netdevice" => Ok(Some(VfForm::Netdev)),
        "vfio-pci" => Ok(Some(VfForm::Vfio)),
        other => {
            let words = format!("plugin.deviceType: `{other}` is not netdevice or vfio-pci");
            Err(Error::new(code::INVALID_CONFIG, words))
        }
    }
}

/// A device-info file (version 1.1.0 of its specification).
pub(super) fn device_info(vf: &VfOriginal) -> String {
    let pci = json!({"pci-address": vf.pci.to_string(), "pf-pci-address": vf.pf.to_string()});
    json!({"type": "pci", "version": "1.1.0", "pci": pci}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf(plugin: &Value) -> NetConf {
        let text =
            json!({"cniVersion": "1.0.0", "name": "n", "type": "multi-nic", "plugin": plugin}).to_string();
        NetConf::parse(&text).unwrap()
    }

    #[test]
    fn the_keys_of_sriov_cni_and_of_the_operators_documents_are_read() {
        let ours = conf(
            &json!({"type": "sriov", "vlan": 5, "vlanQoS": 2, "vlanProto": "802.1Q", "spoofchk": "off",
            "trust": "on", "min_tx_rate": 3, "max_tx_rate": 9, "link_state": "enable", "MAC": "02:00:00:00:00:01"}),
        );
        let operators =
            conf(&json!({"type": "sriov", "vlan": 5, "vlanQoS": 2, "spoofchk": false, "trust": true,
            "minTxRate": 3, "maxTxRate": 9, "linkState": "enable", "mac": "02:00:00:00:00:01"}));

        let settings = settings(&ours, "", 0).unwrap();

        assert_eq!(settings, super::settings(&operators, "", 0).unwrap());
        assert_eq!(settings.mac().unwrap().to_string(), "02:00:00:00:00:01");
        let missing = settings.missing(&netlink::route::Vf::default());
        assert_eq!(missing.len(), 6, "{missing:?}");
    }

    #[test]
    fn a_wrong_key_is_named_as_it_is_written() {
        for (plugin, words) in [
            (json!({"type": "sriov", "trust": "maybe"}), "plugin.trust: `maybe` is not on or off"),
            (json!({"type": "sriov", "vlan": 3, "vlanQoS": 9}), "plugin.vlanQoS: 9 is not a priority"),
            (json!({"type": "sriov", "mac": "ff:ff:ff:ff:ff:ff"}), "plugin.mac: `ff:ff:ff:ff:ff:ff` is not"),
            (json!({"type": "sriov", "max_tx_rate": "fast"}), "plugin.max_tx_rate: "),
        ] {
            let error = settings(&conf(&plugin), "", 0).unwrap_err();

            assert!(error.msg.starts_with(words), "{error}");
        }
        let error = form(&conf(&json!({"type": "sriov", "deviceType": "uio"}))).unwrap_err();
        assert!(error.msg.starts_with("plugin.deviceType: `uio`"), "{error}");
    }

    #[test]
    fn the_pods_own_mac_goes_before_the_networks() {
        let conf = conf(&json!({"type": "sriov", "mac": "02:00:00:00:00:01"}));

        let mac = |args, index| settings(&conf, args, index).unwrap().mac().map(ToString::to_string);

        assert_eq!(mac("MAC=02:00:00:00:00:02", 0).unwrap(), "02:00:00:00:00:02");
        assert_eq!(mac("", 0).unwrap(), "02:00:00:00:00:01");
        assert_eq!(mac("MAC=02:00:00:00:00:02", 1), None);
    }
}

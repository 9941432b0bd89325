//! What a VF is to be given: read from texts once, checked, and turned into the changes that are still to be made.

use netlink::LinkAddress;
use netlink::route::{Vf, VfAttribute, VfLinkState, VlanProtocol};

/// What somebody writes for a VF, under the keys of sriov-cni (FOREIGN §4.3); absent: not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VfWish {
    /// `mac`.
    pub mac: Option<String>,
    /// `vlan`.
    pub vlan: Option<u32>,
    /// `vlanQoS`.
    pub vlan_qos: Option<u32>,
    /// `vlanProto`.
    pub vlan_proto: Option<String>,
    /// `spoofchk`: `on` or `off`.
    pub spoofchk: Option<String>,
    /// `trust`: `on` or `off`.
    pub trust: Option<String>,
    /// `min_tx_rate`, Mb/s.
    pub min_tx_rate: Option<u32>,
    /// `max_tx_rate`, Mb/s.
    pub max_tx_rate: Option<u32>,
    /// `link_state`: `auto`, `enable` or `disable`.
    pub link_state: Option<String>,
    /// `infinibandGUID`, node and port alike.
    pub guid: Option<String>,
}

/// What a VF is to be given, checked. What is absent stays as it is; a VLAN or rate that is absent is taken away, as it
/// can only be left over from somebody else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VfSettings {
    pub(crate) mac: Option<LinkAddress>,
    pub(crate) vlan: Option<VfVlan>,
    pub(crate) spoof_check: Option<bool>,
    pub(crate) trust: Option<bool>,
    pub(crate) min_tx_rate: Option<u32>,
    pub(crate) max_tx_rate: Option<u32>,
    pub(crate) link_state: Option<VfLinkState>,
    pub(crate) guid: Option<[u8; 8]>,
}

/// VLAN that a PF puts a VF's frames in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VfVlan {
    id: u16,
    qos: u8,
    protocol: VlanProtocol,
}

/// A key that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {value} is not {want}")]
#[non_exhaustive]
pub struct SettingError {
    /// The key, as sriov-cni calls it.
    pub key: &'static str,
    /// What it says.
    pub value: String,
    /// What it may say.
    pub want: &'static str,
}

fn wrong(key: &'static str, value: impl ToString, want: &'static str) -> SettingError {
    SettingError { key, value: value.to_string(), want }
}

impl VfWish {
    /// Checks every key.
    ///
    /// # Errors
    /// The first key that is wrong.
    pub fn check(&self) -> Result<VfSettings, SettingError> {
        let (min, max) =
            (self.min_tx_rate.filter(|rate| *rate > 0), self.max_tx_rate.filter(|rate| *rate > 0));
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            return Err(wrong("min_tx_rate", min, "at most max_tx_rate"));
        }
        Ok(VfSettings {
            mac: self.mac.as_deref().map(mac).transpose()?,
            vlan: self.vlan()?,
            spoof_check: switch("spoofchk", self.spoofchk.as_deref())?,
            trust: switch("trust", self.trust.as_deref())?,
            min_tx_rate: min,
            max_tx_rate: max,
            link_state: self.link_state.as_deref().map(link_state).transpose()?,
            guid: self.guid.as_deref().map(guid).transpose()?,
        })
    }

    fn vlan(&self) -> Result<Option<VfVlan>, SettingError> {
        let id = match self.vlan.unwrap_or(0) {
            // 4095 is reserved; drivers and the kernel take it all the same.
            id @ 0..=4094 => id as u16,
            id => return Err(wrong("vlan", id, "a VLAN from 1 to 4094, or 0 for none")),
        };
        let qos = match self.vlan_qos.unwrap_or(0) {
            qos @ 0..=7 => qos as u8,
            qos => return Err(wrong("vlanQoS", qos, "a priority from 0 to 7")),
        };
        let protocol = match self.vlan_proto.as_deref().unwrap_or("802.1q").to_ascii_lowercase().as_str() {
            "" | "802.1q" => VlanProtocol::Dot1q,
            "802.1ad" => VlanProtocol::Dot1ad,
            other => return Err(wrong("vlanProto", format!("`{other}`"), "802.1q or 802.1ad")),
        };
        if id == 0 && qos > 0 {
            return Err(wrong(
                "vlanQoS",
                qos,
                "possible without `vlan`: give the VLAN that it is the priority of",
            ));
        }
        if id == 0 && protocol == VlanProtocol::Dot1ad {
            return Err(wrong(
                "vlanProto",
                "`802.1ad`",
                "possible without `vlan`: give the VLAN of the outer tag",
            ));
        }
        Ok((id > 0).then_some(VfVlan { id, qos, protocol }))
    }
}

fn mac(text: &str) -> Result<LinkAddress, SettingError> {
    let wrong = |want| wrong("mac", format!("`{text}`"), want);
    let address: LinkAddress = text.parse().map_err(|_| wrong("a MAC address like 02:00:00:00:00:01"))?;
    match address.as_bytes() {
        [0, 0, 0, 0, 0, 0] => Err(wrong("a MAC address of a station: it is all zero")),
        [first, _, _, _, _, _] if first & 1 == 1 => {
            Err(wrong("the MAC address of one station: clear the lowest bit of its first byte"))
        }
        [_, _, _, _, _, _] => Ok(address),
        _ => Err(wrong("a MAC address of six bytes")),
    }
}

fn guid(text: &str) -> Result<[u8; 8], SettingError> {
    let address: Option<LinkAddress> = text.parse().ok();
    let bytes: Option<[u8; 8]> = address.and_then(|address| address.as_bytes().try_into().ok());
    bytes
        .filter(|bytes| *bytes != [0; 8])
        .ok_or_else(|| wrong("infinibandGUID", format!("`{text}`"), "a GUID like c2:11:22:33:44:55:66:77"))
}

fn switch(key: &'static str, text: Option<&str>) -> Result<Option<bool>, SettingError> {
    match text {
        None | Some("") => Ok(None),
        // The predecessor's operator writes true and false.
        Some("on" | "true") => Ok(Some(true)),
        Some("off" | "false") => Ok(Some(false)),
        Some(other) => Err(wrong(key, format!("`{other}`"), "on or off")),
    }
}

fn link_state(text: &str) -> Result<VfLinkState, SettingError> {
    match text {
        "auto" => Ok(VfLinkState::Auto),
        "enable" => Ok(VfLinkState::Enable),
        "disable" => Ok(VfLinkState::Disable),
        other => Err(wrong("link_state", format!("`{other}`"), "auto, enable or disable")),
    }
}

impl VfSettings {
    /// Lets links with MACs of their own stand on the VF (macvlan): trusted, and no check of source addresses.
    pub fn for_macvlan() -> Self {
        Self { trust: Some(true), spoof_check: Some(false), ..Self::default() }
    }

    /// The MAC that the VF is given.
    pub fn mac(&self) -> Option<&LinkAddress> {
        self.mac.as_ref()
    }

    /// Changes from what the PF says of the VF to these settings, in the order in which they are to be made.
    pub(crate) fn changes(&self, now: &Vf) -> Vec<VfAttribute> {
        let mut changes = Vec::new();
        if VfVlan::of(now) != self.vlan {
            let vlan = self.vlan.unwrap_or(VfVlan { id: 0, qos: 0, protocol: VlanProtocol::Dot1q });
            changes.push(VfAttribute::Vlan { id: vlan.id, qos: vlan.qos, protocol: vlan.protocol });
        }
        // Trust first: a driver may let only trusted VFs have an address of their own.
        let differs = |wanted: Option<bool>, now: Option<bool>| wanted.filter(|on| now != Some(*on));
        changes.extend(differs(self.trust, now.trust).map(VfAttribute::Trust));
        // Also when it shows this one: it may be the VF's own choice, which the VF can change again.
        changes.extend(self.mac.clone().map(VfAttribute::Mac));
        changes.extend(differs(self.spoof_check, now.spoof_check).map(VfAttribute::SpoofCheck));
        if (now.min_tx_rate, now.max_tx_rate) != (self.min_tx_rate, self.max_tx_rate) {
            let rate = |rate: Option<u32>| rate.unwrap_or(0);
            changes.push(VfAttribute::Rate { min: rate(self.min_tx_rate), max: rate(self.max_tx_rate) });
        }
        let state = self.link_state.filter(|state| now.link_state != Some(*state));
        changes.extend(state.map(VfAttribute::LinkState));
        let other = |now: Option<&LinkAddress>| {
            self.guid.filter(|guid| now.map(LinkAddress::as_bytes) != Some(guid.as_slice()))
        };
        changes.extend(other(now.node_guid.as_ref()).map(VfAttribute::NodeGuid));
        changes.extend(other(now.port_guid.as_ref()).map(VfAttribute::PortGuid));
        changes
    }

    /// What of these settings the PF does not say of the VF; none: it is as it was given.
    pub fn missing(&self, now: &Vf) -> Vec<String> {
        let is_mac = |change: &VfAttribute| match change {
            VfAttribute::Mac(mac) => now.mac.as_ref() != Some(mac),
            _ => true,
        };
        self.changes(now).iter().filter(|change| is_mac(change)).map(ToString::to_string).collect()
    }
}

impl VfVlan {
    fn of(vf: &Vf) -> Option<Self> {
        let protocol = if vf.vlan_protocol == Some(VlanProtocol::Dot1ad.ether_type()) {
            VlanProtocol::Dot1ad
        } else {
            VlanProtocol::Dot1q
        };
        match (vf.vlan.unwrap_or(0), vf.qos.unwrap_or(0)) {
            (0, 0) => None,
            (id, qos) => Some(Self { id, qos, protocol }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish() -> VfWish {
        VfWish::default()
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn each_wrong_key_is_named_with_what_it_may_say() {
        for (wrong, words) in [
            (VfWish { vlan: Some(4095), ..wish() }, "vlan: 4095 is not a VLAN from 1 to 4094, or 0 for none"),
            (
                VfWish { vlan: Some(1), vlan_qos: Some(8), ..wish() },
                "vlanQoS: 8 is not a priority from 0 to 7",
            ),
            (VfWish { vlan_qos: Some(3), ..wish() }, "vlanQoS: 3 is not possible without `vlan`"),
            (
                VfWish { vlan: Some(1), vlan_proto: text("qinq"), ..wish() },
                "vlanProto: `qinq` is not 802.1q or 802.1ad",
            ),
            (
                VfWish { vlan_proto: text("802.1ad"), ..wish() },
                "vlanProto: `802.1ad` is not possible without `vlan`",
            ),
            (
                VfWish { mac: text("01:00:5e:00:00:01"), ..wish() },
                "mac: `01:00:5e:00:00:01` is not the MAC address of one station",
            ),
            (
                VfWish { mac: text("00:00:00:00:00:00"), ..wish() },
                "mac: `00:00:00:00:00:00` is not a MAC address of a station",
            ),
            (
                VfWish { mac: text("02:00:00:00:01"), ..wish() },
                "mac: `02:00:00:00:01` is not a MAC address of six bytes",
            ),
            (VfWish { mac: text("hello"), ..wish() }, "mac: `hello` is not a MAC address like"),
            (VfWish { spoofchk: text("yes"), ..wish() }, "spoofchk: `yes` is not on or off"),
            (VfWish { trust: text("1"), ..wish() }, "trust: `1` is not on or off"),
            (
                VfWish { min_tx_rate: Some(9), max_tx_rate: Some(8), ..wish() },
                "min_tx_rate: 9 is not at most max_tx_rate",
            ),
            (VfWish { link_state: text("up"), ..wish() }, "link_state: `up` is not auto, enable or disable"),
            (
                VfWish { guid: text("00:00:00:00:00:00:00:00"), ..wish() },
                "infinibandGUID: `00:00:00:00:00:00:00:00` is not a GUID",
            ),
        ] {
            let error = wrong.check().unwrap_err().to_string();

            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn an_untouched_vf_that_nothing_is_wished_of_needs_no_change() {
        assert_eq!(wish().check().unwrap().changes(&Vf::default()), []);
    }

    #[test]
    fn a_vlan_and_rates_that_somebody_left_are_taken_away_and_the_rest_stays() {
        let mut now = Vf::default();
        (now.vlan, now.vlan_protocol, now.max_tx_rate) = (Some(9), Some(0x88a8), Some(50));
        (now.trust, now.spoof_check) = (Some(true), Some(false));

        let changes = wish().check().unwrap().changes(&now);

        let none = VfAttribute::Vlan { id: 0, qos: 0, protocol: VlanProtocol::Dot1q };
        assert_eq!(changes, [none, VfAttribute::Rate { min: 0, max: 0 }]);
    }

    #[test]
    fn what_is_there_already_is_not_set_again_but_a_mac_is() {
        let all = VfWish {
            mac: text("02:00:00:00:00:01"),
            vlan: Some(100),
            vlan_qos: Some(2),
            spoofchk: text("off"),
            trust: text("on"),
            max_tx_rate: Some(10),
            link_state: text("enable"),
            ..wish()
        };
        let settings = all.check().unwrap();
        let mut now = Vf::default();
        (now.vlan, now.qos, now.max_tx_rate) = (Some(100), Some(2), Some(10));
        (now.spoof_check, now.trust, now.link_state) = (Some(false), Some(true), Some(VfLinkState::Enable));
        now.mac = settings.mac.clone();

        assert_eq!(settings.changes(&now), [VfAttribute::Mac(now.mac.clone().unwrap())]);
        assert_eq!(settings.missing(&now), [""; 0]);
        now.trust = Some(false);
        now.mac = Some(LinkAddress::new([2, 0, 0, 0, 0, 2]));
        assert_eq!(settings.missing(&now), ["trust on", "mac 02:00:00:00:00:01"]);
    }
}

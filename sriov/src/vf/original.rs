//! What a VF was, and the way back there.

use hwprobe::PciAddress;
use netlink::LinkAddress;
use netlink::route::{Vf, VfAttribute};
use serde::{Deserialize, Serialize};

use super::{VfNetdev, VfSettings};

/// What a VF was before it was given away. It is written down before the first change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VfOriginal {
    /// The VF.
    pub pci: PciAddress,
    /// Its PF.
    pub pf: PciAddress,
    /// Its number there.
    pub index: u16,
    /// Which incarnation of the device (inode of its folder in `/sys`): another one is left alone.
    pub device: u64,
    /// The driver that it was bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// Address of its netdev.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub netdev_mac: Option<LinkAddress>,
    /// Further names of its netdev.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alt_names: Vec<String>,
    /// What its PF is to say of it again. An address that the VF chose itself is none (all zero), and leftover VLANs and
    /// rates are left out (TRAPS V1).
    pub admin: Vf,
}

impl VfOriginal {
    pub(super) fn new(
        pci: PciAddress,
        pf: PciAddress,
        index: u16,
        device: u64,
        driver: Option<String>,
        netdev: Option<&VfNetdev>,
        mut admin: Vf,
    ) -> Self {
        (admin.vlan, admin.qos, admin.vlan_protocol) = (None, None, None);
        (admin.min_tx_rate, admin.max_tx_rate) = (None, None);
        // Some PFs (igb) show what the VF took by itself.
        if netdev.is_some_and(|netdev| netdev.random_mac && netdev.mac == admin.mac) {
            admin.mac = admin.mac.map(|mac| zero(&mac));
        }
        let netdev_mac = netdev.and_then(|netdev| netdev.mac.clone());
        let alt_names = netdev.map(|netdev| netdev.alt_names.clone()).unwrap_or_default();
        Self { pci, pf, index, device, driver, netdev_mac, alt_names, admin }
    }

    /// Changes at the PF from `now` back to what was, and whether the driver is to be bound again for the MAC.
    pub(super) fn changes(
        &self,
        now: &Vf,
        netdev: Option<&VfNetdev>,
        given: &VfSettings,
    ) -> (Vec<VfAttribute>, bool) {
        let was = VfSettings {
            spoof_check: self.admin.spoof_check,
            trust: self.admin.trust,
            link_state: self.admin.link_state,
            ..VfSettings::default()
        };
        let mut changes = was.changes(now);
        let netdev_mac = netdev.and_then(|netdev| netdev.mac.as_ref());
        let is_given =
            given.mac().is_some_and(|mac| Some(mac) == now.mac.as_ref() || Some(mac) == netdev_mac);
        // A pod may have changed it; a new random one is from a bind since.
        let is_other = netdev.is_some_and(|netdev| !netdev.random_mac && netdev.mac != self.netdev_mac);
        let bind_again = is_given || is_other;
        if let Some(mac) = self.admin.mac.clone().filter(|_| bind_again) {
            changes.push(VfAttribute::Mac(mac));
        }
        let guid = |now: &Option<LinkAddress>, was: &Option<LinkAddress>| -> Option<[u8; 8]> {
            if now == was { None } else { was.as_ref()?.as_bytes().try_into().ok() }
        };
        changes.extend(guid(&now.node_guid, &self.admin.node_guid).map(VfAttribute::NodeGuid));
        changes.extend(guid(&now.port_guid, &self.admin.port_guid).map(VfAttribute::PortGuid));
        (changes, bind_again)
    }
}

fn zero(mac: &LinkAddress) -> LinkAddress {
    LinkAddress::new(vec![0; mac.as_bytes().len()])
}

#[cfg(test)]
mod tests {
    use netlink::route::VlanProtocol;

    use super::super::VfWish;
    use super::*;

    const RANDOM: [u8; 6] = [0x6e, 0, 0, 0, 0, 1];
    const GIVEN: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn netdev(mac: [u8; 6], random_mac: bool) -> VfNetdev {
        let mac = Some(LinkAddress::new(mac));
        VfNetdev { index: 7, name: "vf0".to_owned(), mac, random_mac, mtu: 1500, alt_names: Vec::new() }
    }

    fn admin(mac: [u8; 6]) -> Vf {
        let mut admin = Vf::default();
        admin.mac = Some(LinkAddress::new(mac));
        admin.spoof_check = Some(true);
        admin.trust = Some(false);
        admin
    }

    fn original(netdev: &VfNetdev, admin: Vf) -> VfOriginal {
        let [vf, pf] = ["0000:01:10.0", "0000:01:00.0"].map(|text| text.parse().unwrap());
        VfOriginal::new(vf, pf, 0, 1, Some("igbvf".to_owned()), Some(netdev), admin)
    }

    fn given() -> VfSettings {
        VfWish { mac: Some("02:00:00:00:00:01".to_owned()), ..VfWish::default() }.check().unwrap()
    }

    #[test]
    fn a_random_mac_is_never_the_original_and_an_admins_is() {
        let own = original(&netdev(RANDOM, true), admin(RANDOM));
        let set = original(&netdev([2; 6], false), admin([2; 6]));

        assert_eq!(own.admin.mac, Some(LinkAddress::new([0; 6])));
        assert_eq!(set.admin.mac, Some(LinkAddress::new([2; 6])));
    }

    #[test]
    fn a_vf_that_was_given_a_mac_gets_none_again_and_is_bound_again() {
        let original = original(&netdev(RANDOM, true), admin(RANDOM));

        let (changes, bind_again) = original.changes(&admin(GIVEN), Some(&netdev(GIVEN, false)), &given());

        assert_eq!(changes, [VfAttribute::Mac(LinkAddress::new([0; 6]))]);
        assert!(bind_again);
    }

    #[test]
    fn what_has_been_given_back_is_left_alone_the_second_time() {
        let original = original(&netdev(RANDOM, true), admin(RANDOM));
        let another = [0x6e, 0, 0, 0, 0, 2];

        let again = original.changes(&admin(another), Some(&netdev(another, true)), &given());

        assert_eq!(again, (Vec::new(), false));
    }

    #[test]
    fn a_mac_that_the_pod_changed_does_not_stay() {
        let original = original(&netdev(RANDOM, true), admin(RANDOM));

        let (changes, bind_again) =
            original.changes(&admin([6; 6]), Some(&netdev([6; 6], false)), &VfSettings::default());

        assert_eq!((changes, bind_again), (vec![VfAttribute::Mac(LinkAddress::new([0; 6]))], true));
    }

    #[test]
    fn leftovers_of_others_do_not_come_back_and_the_rest_does() {
        let mut found = admin(RANDOM);
        (found.vlan, found.max_tx_rate) = (Some(7), Some(10));
        let original = original(&netdev(RANDOM, true), found);
        let mut now = admin(RANDOM);
        (now.vlan, now.qos, now.spoof_check, now.trust) = (Some(100), Some(1), Some(false), Some(true));
        now.max_tx_rate = Some(500);

        let (changes, bind_again) =
            original.changes(&now, Some(&netdev(RANDOM, true)), &VfSettings::default());

        let wanted = [
            VfAttribute::Vlan { id: 0, qos: 0, protocol: VlanProtocol::Dot1q },
            VfAttribute::Trust(false),
            VfAttribute::SpoofCheck(true),
            VfAttribute::Rate { min: 0, max: 0 },
        ];
        assert_eq!((changes.as_slice(), bind_again), (wanted.as_slice(), false));
    }
}

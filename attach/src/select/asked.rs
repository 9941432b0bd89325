//! What a pod asks for, and what comes of it together with its network's policy. Attaching, the dry run and the routes of
//! the old daemon read their requests into this one form, so that none of them can grant what another refuses.

use hwprobe::{PciAddress, SpeedMbps};
use ipnet::IpNet;

use super::{LinkUse, Wish};
use crate::network::{Network, Policy};

/// What a pod asks for (`args.cni`), and what its configuration says beside its network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// What will be made of the NICs.
    pub link: LinkUse,
    /// VLAN between the NIC and the link; nothing where the link is the NIC itself.
    pub vlan: Option<u16>,
    /// Names of masters, in order; none: no such wish.
    pub masters: Vec<String>,
    /// Networks that the masters must have an address in, in order; none: no such wish.
    pub master_nets: Vec<IpNet>,
    /// PCI addresses that a device plugin allocated to the pod.
    pub devices: Vec<String>,
    /// At most so many NICs; absent or 0: all that fit.
    pub count: Option<u32>,
    /// A device class beside the network's own.
    pub class: Option<String>,
    /// Bandwidth; absent: the network's.
    pub target: Option<SpeedMbps>,
    /// The pod's GPUs.
    pub gpus: Vec<PciAddress>,
}

/// A pod asks for more bandwidth than its network gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{asked} is more than the {offered} that the network gives a pod")]
pub struct AskedTooMuch {
    /// What the pod asks for.
    pub asked: SpeedMbps,
    /// What the network gives.
    pub offered: SpeedMbps,
}

impl Asked {
    /// The wish of a pod of this network: it may ask for less than the network offers, never for more. Its class counts
    /// beside the network's.
    ///
    /// # Errors
    /// When its target is above the network's.
    pub fn of(self, network: Option<&Network>) -> Result<Wish, AskedTooMuch> {
        let none = Policy::default();
        let policy = network.map_or(&none, |network| &network.policy);
        let target = match (self.target, policy.target) {
            (Some(asked), Some(offered)) if asked > offered => return Err(AskedTooMuch { asked, offered }),
            (asked, offered) => asked.or(offered),
        };
        Ok(Wish {
            vlan: self.vlan.filter(|_| self.link.shares()),
            classes: policy.classes(self.class.as_deref()),
            strategy: policy.strategy,
            target,
            link: self.link,
            masters: self.masters,
            master_nets: self.master_nets,
            devices: self.devices,
            count: self.count,
            gpus: self.gpus,
        })
    }
}

/// A key of a plugin's configuration has a value that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("plugin.{key}: `{value}` is not known; it is one of {}", known.join(", "))]
pub struct UnknownMode {
    /// The key: `mode` or `flag`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What it may be.
    pub known: &'static [&'static str],
}

impl LinkUse {
    /// What a plugin makes of a NIC; absent when it is not one of ours. Empty texts stand for the usual ones.
    ///
    /// # Errors
    /// When the mode or flag is none that the plugin has.
    pub fn of_plugin(kind: &str, mode: &str, flag: &str) -> Result<Option<Self>, UnknownMode> {
        Ok(match kind {
            "ipvlan" => Some(Self::Ipvlan {
                mode: one_of(&["l2", "l3", "l3s"], "mode", mode)?,
                flag: one_of(&["bridge", "private", "vepa"], "flag", flag)?,
            }),
            "macvlan" => {
                let mode = one_of(&["bridge", "private", "vepa", "passthru", "source"], "mode", mode)?;
                Some(Self::Macvlan { passthru: mode == "passthru" })
            }
            "host-device" => Some(Self::Whole),
            "sriov" => Some(Self::Vf),
            _ => None,
        })
    }
}

/// The first one is the usual one.
fn one_of(known: &'static [&'static str], key: &'static str, value: &str) -> Result<String, UnknownMode> {
    let usual = known.first().filter(|_| value.is_empty());
    let found = usual.or_else(|| known.iter().find(|one| **one == value));
    found.map(|one| (*one).to_owned()).ok_or_else(|| UnknownMode { key, value: value.to_owned(), known })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Strategy;

    #[test]
    fn a_pod_narrows_what_its_network_offers() {
        let policy = Policy {
            strategy: Strategy::CostOpt,
            target: SpeedMbps::new(100_000),
            class: Some("fast".to_owned()),
        };
        let network = Network { policy, ..Network::default() };
        let asked = |mbps| Asked {
            class: Some("near".to_owned()),
            target: SpeedMbps::new(mbps),
            vlan: Some(5),
            ..Asked::default()
        };
        let wish = asked(25_000).of(Some(&network)).unwrap();
        assert_eq!(
            (wish.classes, wish.strategy),
            (vec!["fast".to_owned(), "near".to_owned()], Strategy::CostOpt)
        );
        assert_eq!(
            (wish.target, wish.vlan),
            (SpeedMbps::new(25_000), None),
            "a delegated link has no VLAN of ours"
        );
        assert_eq!(Asked::default().of(Some(&network)).unwrap().target, SpeedMbps::new(100_000));
        let words = asked(200_000).of(Some(&network)).unwrap_err().to_string();
        assert!(words.contains("is more than the"), "{words}");
    }

    #[test]
    fn a_mode_that_is_none_is_named_with_those_that_are() {
        assert_eq!(LinkUse::of_plugin("macvlan", "", ""), Ok(Some(LinkUse::Macvlan { passthru: false })));
        assert_eq!(LinkUse::of_plugin("bridge", "l4", ""), Ok(None));
        let words = LinkUse::of_plugin("ipvlan", "l4", "").unwrap_err().to_string();
        assert_eq!(words, "plugin.mode: `l4` is not known; it is one of l2, l3, l3s");
    }
}

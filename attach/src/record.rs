//! What is remembered of an attachment: enough to check it, to undo it and to answer again.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use cni::NetConf;
use cni::result::Route;
use hwprobe::{Generation, HwAddr, NicId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sriov::vf::VfOriginal;

use crate::engine::now;
use crate::ipam_plugin::is_link_first;
use crate::select::{LinkUse, Promise};

/// Names an attachment: what the runtime calls it by. Pod names are labels, never keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// Name of the network (`name` of the NetConf).
    pub network: String,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
}

/// Why a text names no attachment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no attachment: want NETWORK/CONTAINER/IFNAME")]
pub struct KeyError(String);

impl fmt::Display for Key {
    /// `network/container/ifname`; none of the three can hold a slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container_id, self.ifname)
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text.split('/').collect::<Vec<_>>()[..] {
            [network, container_id, ifname]
                if !network.is_empty() && !container_id.is_empty() && !ifname.is_empty() =>
            {
                Ok(Self {
                    network: network.to_owned(),
                    container_id: container_id.to_owned(),
                    ifname: ifname.to_owned(),
                })
            }
            _ => Err(KeyError(text.to_owned())),
        }
    }
}

/// An attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// What it is called.
    pub key: Key,
    /// How far it is.
    pub phase: Phase,
    /// Who asked.
    #[serde(default)]
    pub tool: Tool,
    /// Id of the boot that it was made in.
    pub boot: String,
    /// Cookie of its namespace (`SO_NETNS_COOKIE`); absent for adopted ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u64>,
    /// Path of its namespace as the runtime named it.
    pub netns: String,
    /// Whether the agent can see that path, so that a sweep may judge by it.
    pub sweepable: bool,
    /// Digest of configuration and arguments, to tell the same request from another one.
    pub digest: u64,
    /// The configuration, as it came.
    pub config: String,
    /// `CNI_ARGS`, as they came.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub args: String,
    /// The pod, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// The call of the cluster network's list that it was made for, where a pod's annotation asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Chain>,
    /// When it was asked for, seconds since 1970.
    pub since: u64,
    /// Number that the pod's links of this attachment carry as their group, and that their indices begin from.
    pub group: u32,
    /// Its links, by index.
    pub links: Vec<PodLink>,
    /// Addresses that belong to no link of ours, with the position of the master that they are for
    /// (`multi-nic-ipam` under another plugin).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<(u16, Leased)>,
    /// Routes over several links.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub multipath: Vec<Multipath>,
    /// Plugins that ran for it, in the order of their ADDs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegates: Vec<Delegate>,
    /// The answer in the newest version's form; absent until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// How long each step took, microseconds, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timings: Vec<(String, u64)>,
}

/// How far an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Phase {
    /// Being made. Found at start: compared with the kernel, kept or rolled back.
    Attaching,
    /// Made and answered.
    Attached,
    /// Being taken apart. Found at start: taken apart again.
    Detaching,
    /// A NIC of it is gone; it keeps its addresses until the runtime deletes it.
    Lost,
}

/// Which executable asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Tool {
    /// `multi-nic`: links and addresses.
    #[default]
    MultiNic,
    /// `multi-nic-ipam`: addresses only.
    Ipam,
    /// An old executable over the legacy routes of the REST API: addresses only.
    Api,
    /// Nobody asked us: another program gave the addresses, and the pod was found with them.
    Adopted,
}

/// The pod that asked, as `CNI_ARGS` names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// `K8S_POD_NAMESPACE`.
    pub namespace: String,
    /// `K8S_POD_NAME`.
    pub name: String,
    /// `K8S_POD_UID`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// A call of the cluster network's list (TRAPS C1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// Name of the list.
    pub network: String,
    /// `CNI_IFNAME` of the call.
    pub ifname: String,
    /// Namespace and name of the attachment definition that the annotation names, with a slash between.
    pub name: String,
    /// Position in the annotation, from 0.
    pub position: u16,
    /// What the plugins before ours answered.
    pub cluster: Value,
}

impl Chain {
    /// Whether the attachment of this key was made for the call `of`.
    pub(crate) fn is_of(&self, key: &Key, of: &Key) -> bool {
        self.network == of.network && self.ifname == of.ifname && key.container_id == of.container_id
    }
}

/// One link of a pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodLink {
    /// Position, from 0.
    pub index: u16,
    /// Name in the pod.
    pub name: String,
    /// Further name in the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt_name: Option<String>,
    /// Index in the pod.
    pub ifindex: u32,
    /// What was made of the NIC.
    pub link: LinkUse,
    /// The NIC.
    pub nic: NicId,
    /// Which incarnation of it.
    pub generation: Generation,
    /// The link on the host that it stands on or is: the NIC's netdev, or the VLAN above it.
    pub master: String,
    /// Index of that link.
    pub master_ifindex: u32,
    /// VLAN between the NIC and the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<VlanKey>,
    /// MTU in bytes.
    pub mtu: u32,
    /// Link-layer address, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<HwAddr>,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<Leased>,
    /// Its routes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Whether replies leave by it (a table and rules of its own).
    #[serde(default)]
    pub policy_routing: bool,
    /// What a device was before it went to the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// How the master was before it was changed for this link and others (TRAPS P11); absent: it is not changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_arp: Option<HostArp>,
    /// Name of the PF of a VF: its addresses are those of the PF's network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pf: Option<String>,
    /// Bandwidth that the pod counts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
    /// What a VF was before it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vf: Option<VfRecord>,
}

/// A VF that was changed for a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VfRecord {
    /// What it is used as.
    pub role: VfRole,
    /// What it was.
    pub original: VfOriginal,
    /// File that tells others which device the pod got, where we wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info_file: Option<String>,
    /// Its RDMA devices that went into the pod's namespace with it; none in shared mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rdma: Vec<String>,
}

impl VfRecord {
    /// A VF whose use begins.
    pub(crate) fn new(role: VfRole, original: VfOriginal) -> Self {
        Self { role, original, info_file: None, rdma: Vec::new() }
    }
}

/// What a VF is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum VfRole {
    /// Its netdev is the pod's.
    Netdev,
    /// It is the pod's through vfio-pci.
    Vfio,
    /// Pods' macvlan links stand on it.
    Master,
}

/// How the host treats ARP on a master (`/proc/sys/net/ipv4/conf/MASTER/arp_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostArp {
    /// `arp_ignore`.
    pub ignore: u32,
    /// `arp_announce`.
    pub announce: u32,
}

/// An address and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leased {
    /// The address with the prefix length on the link.
    pub address: IpNet,
    /// The block of ours that it was taken from; absent when another IPAM or the user gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<IpNet>,
    /// Gateway that its IPAM named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
}

/// A route with several next hops (CONTRACTS §4.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Multipath {
    /// Destination.
    pub dst: IpNet,
    /// Next hops, at least two.
    pub gateways: Vec<IpAddr>,
}

/// A VLAN that pods' links stand on: made on demand, shared, removed with its last user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VlanKey {
    /// The NIC below.
    pub parent: NicId,
    /// VLAN id, 1 to 4094.
    pub id: u16,
    /// `802.1q` or `802.1ad`.
    pub protocol: String,
    /// Whether the link is ours: an existing one is used and never removed.
    pub ours: bool,
}

/// What a device was on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Original {
    /// Its name.
    pub name: String,
    /// Its index.
    pub ifindex: u32,
    /// The device behind it on its bus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Its device group.
    #[serde(default)]
    pub group: u32,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its link-layer address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<HwAddr>,
    /// Whether it was up.
    pub up: bool,
    /// Its addresses, so that they can be put back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpNet>,
}

/// A plugin that ran for an attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delegate {
    /// Its executable (`type`).
    pub plugin: String,
    /// `CNI_IFNAME` that it got.
    pub ifname: String,
    /// The very configuration that its ADD got.
    pub config: String,
    /// `CNI_ARGS` that it got.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub args: String,
    /// `CNI_PATH` that it was found on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What its ADD printed; absent when it did not end well or was never heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

impl PodLink {
    /// Name that a network knows it by: its master's, or its PF's.
    pub fn network_name(&self) -> &str {
        self.pf.as_deref().unwrap_or(&self.master)
    }

    /// A link that we make or move: no plugin of others does, and it is no device of user space.
    pub fn is_ours(&self) -> bool {
        self.link != LinkUse::Delegated && !self.is_vfio()
    }

    /// It is a device of user space.
    pub fn is_vfio(&self) -> bool {
        self.vf.as_ref().is_some_and(|vf| vf.role == VfRole::Vfio)
    }
}

impl Attachment {
    /// One that begins now: nothing of it is made, no namespace is known, no sweep may judge it.
    pub(crate) fn new(key: Key, tool: Tool, group: u32, boot: &str) -> Self {
        Self {
            key,
            phase: Phase::Attaching,
            tool,
            boot: boot.to_owned(),
            cookie: None,
            netns: String::new(),
            sweepable: false,
            digest: 0,
            config: String::new(),
            args: String::new(),
            pod: None,
            chain: None,
            since: now(),
            group,
            links: Vec::new(),
            addresses: Vec::new(),
            multipath: Vec::new(),
            delegates: Vec::new(),
            result: None,
            timings: Vec::new(),
        }
    }

    /// Whether VFs are changed for it, or are still to be given back.
    pub(crate) fn has_vfs(&self) -> bool {
        self.links.iter().any(|link| link.vf.is_some())
    }

    /// Whether RDMA devices go into its namespace with VFs.
    pub(crate) fn has_rdma(&self) -> bool {
        self.links.iter().filter_map(|link| link.vf.as_ref()).any(|vf| !vf.rdma.is_empty())
    }

    /// Whether its IPAM plugins were asked, and are to be told of the end, while its links are up (TRAPS P2).
    pub(crate) fn is_link_first(&self) -> bool {
        let has_ours = self.links.iter().any(|link| link.link != LinkUse::Delegated);
        has_ours
            && !self.delegates.is_empty()
            && NetConf::parse(&self.config).is_ok_and(|conf| is_link_first(&conf))
    }

    /// Every address of it that is out of a block of ours, with the link's position.
    pub fn leases(&self) -> impl Iterator<Item = (u16, &Leased)> {
        let links = self.links.iter().flat_map(|link| link.addresses.iter().map(|lease| (link.index, lease)));
        let others = self.addresses.iter().map(|(index, lease)| (*index, lease));
        links.chain(others).filter(|(_, lease)| lease.block.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// As the store has one.
    fn stored() -> Value {
        let key = Key { network: "red".to_owned(), container_id: "c1".to_owned(), ifname: "net1".to_owned() };
        let mut stored = serde_json::to_value(Attachment::new(key, Tool::MultiNic, 1_000_000, "b0")).unwrap();
        stored["pod"] = json!({"namespace": "default", "name": "p", "uid": "u"});
        stored["links"] = json!([{
            "index": 0, "name": "net1-0", "ifindex": 1_000_000,
            "link": {"kind": "ipvlan", "mode": "l2", "flag": "bridge"}, "nic": "0000:3b:00.0", "generation": {},
            "master": "eth1", "masterIfindex": 7,
            "vlan": {"parent": "0000:3b:00.0", "id": 100, "protocol": "802.1q", "ours": true},
            "mtu": 9000, "mac": "02:00:5e:10:00:10",
            "addresses": [{"address": "192.168.0.1/18", "block": "192.168.0.0/24", "gateway": "192.168.63.254"}],
            "routes": [{"dst": "10.0.0.0/8", "gw": "192.168.63.254"}]
        }]);
        stored["delegates"] = json!([{"plugin": "tuning", "ifname": "net1-0", "config": "{}"}]);
        stored
    }

    /// What a value is read as is written and read as the same.
    fn reads_back(bytes: &[u8]) -> Result<(), TestCaseError> {
        if let Ok(read) = serde_json::from_slice::<Attachment>(bytes) {
            let again = serde_json::to_vec(&read).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Attachment>(&again).unwrap(), read);
        }
        Ok(())
    }

    #[test]
    fn the_stored_form_is_whole() {
        let read: Attachment = serde_json::from_value(stored()).unwrap();

        assert_eq!((read.links.len(), read.leases().count(), read.delegates.len()), (1, 1, 1));
    }

    proptest! {
        #[test]
        fn a_record_with_broken_bytes_is_an_error_or_another_record(
            breaks in proptest::collection::vec((0usize..1000, any::<u8>()), 0..4), cut in 0usize..1000)
        {
            let mut bytes = serde_json::to_vec(&stored()).unwrap();
            for (at, byte) in breaks {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            // Most are whole: a cut one is an error and no more.
            bytes.truncate(if cut % 4 == 0 { bytes.len().saturating_sub(cut) } else { bytes.len() });
            reads_back(&bytes)?;
        }

        #[test]
        fn a_record_with_any_value_of_a_member_is_an_error_or_another_record(
            member in 0usize..40, of_link in any::<bool>(), value in prop_oneof![
                Just(json!(null)), Just(json!(-1)), Just(json!(1e99)), Just(json!([[]])), Just(json!({})),
                ".{0,30}".prop_map(Value::String), any::<u64>().prop_map(|number| json!(number))])
        {
            let mut stored = stored();
            let object = if of_link { &mut stored["links"][0] } else { &mut stored };
            let names: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
            object[&names[member % names.len()]] = value;
            reads_back(stored.to_string().as_bytes())?;
        }
    }

    #[test]
    fn a_key_reads_back_and_anything_else_does_not() {
        let key: Key = "net-a/0123abc/net1".parse().unwrap();

        assert_eq!(key.to_string(), "net-a/0123abc/net1");
        assert_eq!(key.container_id, "0123abc");
        for wrong in ["", "a", "a/b", "a/b/c/d", "a//c", "/b/c"] {
            assert!(wrong.parse::<Key>().is_err(), "{wrong}");
        }
    }
}

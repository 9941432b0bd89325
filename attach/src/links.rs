//! From the record of a link to what the kernel is asked for.

use std::time::Duration;

use cni::NetConf;
use cni::result::{CniResult, Interface, Ip, Route};
use datapath::traits::Traits;
use datapath::{MultipathRoute, PodLink as Wired, PodRoute, PolicyTable, Source, Taken};
use netlink::route::{IpvlanFlag, IpvlanMode, MacvlanMode, NewLinkKind};

use crate::engine::{hw_addr, link_address};
use crate::record::{Attachment, Original, PodLink};
use crate::select::LinkUse;

/// How long `dad: true` listens for somebody who has an address already.
const DUPLICATE_CHECK: Duration = Duration::from_millis(600);

/// A link as the kernel is asked for it.
pub(crate) fn wired(link: &PodLink, conf: &NetConf) -> Wired {
    let source = match kind(&link.link, conf) {
        Some(kind) => Source::Above { kind, master: link.master_ifindex },
        None => Source::Device { index: link.master_ifindex },
    };
    let routes = link.routes.iter().map(|route| PodRoute {
        destination: route.dst,
        gateway: route.gw,
        mtu: route.mtu,
        advmss: route.advmss,
        metric: route.priority,
        table: route.table,
        scope: route.scope,
    });
    let gateways = || link.addresses.iter().filter_map(|lease| lease.gateway).collect();
    Wired {
        position: link.index,
        name: link.name.clone(),
        alt_name: link.alt_name.clone(),
        index: link.ifindex,
        source,
        mtu: (link.mtu > 0).then_some(link.mtu),
        address: link.mac.as_ref().filter(|_| !has_given_mac(link)).map(link_address),
        addresses: link.addresses.iter().map(|lease| lease.address).collect(),
        routes: routes.collect(),
        policy: link.policy_routing.then(|| PolicyTable { gateways: gateways() }),
        announce: true,
        duplicate_check: conf.own.dad.then_some(DUPLICATE_CHECK),
    }
}

/// The links of an attachment that are made or moved.
pub(crate) fn all_wired(attachment: &Attachment, conf: &NetConf) -> Vec<Wired> {
    attachment.links.iter().filter(|link| link.is_ours()).map(|link| wired(link, conf)).collect()
}

/// It has its master's address, or the one that its PF gave it.
fn has_given_mac(link: &PodLink) -> bool {
    matches!(link.link, LinkUse::Ipvlan { .. } | LinkUse::Vf)
}

/// What is made above the master; absent: the device itself goes.
pub(crate) fn kind(link: &LinkUse, conf: &NetConf) -> Option<NewLinkKind> {
    match link {
        LinkUse::Ipvlan { mode, flag } => Some(NewLinkKind::Ipvlan {
            mode: IpvlanMode::from_name(mode).unwrap_or(IpvlanMode::L2),
            flag: match flag.as_str() {
                "private" => IpvlanFlag::Private,
                "vepa" => IpvlanFlag::Vepa,
                _ => IpvlanFlag::Bridge,
            },
        }),
        LinkUse::Macvlan { .. } => {
            let mode = conf.plugin.as_ref().map_or("", |plugin| plugin.mode.as_str());
            Some(NewLinkKind::Macvlan {
                mode: MacvlanMode::from_name(mode).unwrap_or(MacvlanMode::Bridge),
                sources: sources(conf),
            })
        }
        LinkUse::Whole | LinkUse::Vf | LinkUse::Delegated => None,
    }
}

/// What links of ours of this kind can and cannot; absent: the device itself goes.
pub(crate) fn traits_of(link: &LinkUse, conf: &NetConf) -> Option<Traits> {
    kind(link, conf).map(|kind| datapath::traits::of(&Source::Above { kind, master: 0 }))
}

/// `plugin.sourceMacs` of macvlan mode source.
fn sources(conf: &NetConf) -> Vec<netlink::LinkAddress> {
    let list = conf.plugin.as_ref().and_then(|plugin| plugin.raw.get("sourceMacs")?.as_array().cloned());
    let parse = |value: &serde_json::Value| value.as_str()?.parse::<hwprobe::HwAddr>().ok();
    list.iter().flatten().filter_map(parse).map(|address| link_address(&address)).collect()
}

/// Multipath routes as the kernel is asked for them.
pub(crate) fn multipath(attachment: &Attachment) -> Vec<MultipathRoute> {
    let routes = attachment.multipath.iter();
    routes.map(|route| MultipathRoute { destination: route.dst, gateways: route.gateways.clone() }).collect()
}

/// What a device was, for the record.
pub(crate) fn original(taken: &Taken) -> Original {
    Original {
        name: taken.name.clone(),
        ifindex: taken.index,
        device: taken.device.clone(),
        group: taken.group,
        mtu: taken.mtu,
        mac: taken.address.as_ref().and_then(hw_addr),
        up: taken.up,
        addresses: taken.addresses.clone(),
    }
}

/// What a device was, for the kernel.
pub(crate) fn taken(original: &Original) -> Taken {
    Taken {
        index: original.ifindex,
        name: original.name.clone(),
        device: original.device.clone(),
        group: original.group,
        mtu: original.mtu,
        address: original.mac.as_ref().map(link_address),
        up: original.up,
        addresses: original.addresses.clone(),
    }
}

/// The answer for links of ours.
pub(crate) fn result(attachment: &Attachment, conf: &NetConf) -> CniResult {
    let mut result = CniResult { dns: conf.dns.clone(), ..CniResult::default() };
    for link in &attachment.links {
        result.interfaces.push(Interface {
            name: link.name.clone(),
            mac: link.mac.map(|mac| mac.to_string()).unwrap_or_default(),
            mtu: link.mtu,
            sandbox: attachment.netns.clone(),
            socket_path: String::new(),
            pci_id: match link.link {
                LinkUse::Whole | LinkUse::Vf => pci(link),
                _ => String::new(),
            },
        });
        for lease in &link.addresses {
            let interface = Some(usize::from(link.index));
            result.ips.push(Ip { address: lease.address, gateway: lease.gateway, interface });
        }
        result.routes.extend(link.routes.iter().cloned());
    }
    for route in &attachment.multipath {
        let each = route.gateways.iter();
        result.routes.extend(each.map(|gw| Route { gw: Some(*gw), ..cni::result::plain(route.dst) }));
    }
    result
}

fn pci(link: &PodLink) -> String {
    let id = link.nic.as_str();
    if id.split(':').count() == 3 { id.to_owned() } else { String::new() }
}

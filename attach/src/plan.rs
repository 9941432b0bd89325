//! From a request and the chosen NICs to what is to be: links, addresses, routes, and the record of it.

use std::net::IpAddr;

use cni::config::StaticIp;
use cni::error::code;
use cni::result::Route;
use cni::{CniResult, Command, Error, delegate};
use datapath::traits::Mac;
use hwprobe::{NicId, PciAddress};
use ipam::{Reservation, Wish as AddressWish};
use ipnet::IpNet;

use crate::book::{Book, MOST_LINKS};
use crate::engine::now;
use crate::links;
use crate::network::{Network, NetworkInterface};
use crate::record::{Attachment, Key, Leased, Multipath, PodLink, VlanKey};
use crate::request::Request;
use crate::select::{Asked, Chosen, LinkUse, SelectError, Selection, Wish, listed};

/// What of the IPAM is whose job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addresses {
    /// Ours: from the blocks of this node.
    Blocks,
    /// The request's own.
    Given,
    /// Those of `prevResult`: no IPAM is asked then.
    Previous,
    /// The host device's own.
    Device,
    /// None.
    Nobody,
    /// A plugin's, called once for all NICs.
    PluginOnce,
    /// A plugin's, called for each NIC.
    PluginEach,
}

/// Who gives the addresses of a request.
pub(crate) fn addresses_by(request: &Request) -> Result<Addresses, Error> {
    let conf = &request.conf;
    if !previous(request)?.ips.is_empty() {
        return Ok(Addresses::Previous);
    }
    Ok(match conf.ipam_type.as_str() {
        "" | "none" => Addresses::Nobody,
        "multi-nic-ipam" => Addresses::Blocks,
        "host-device-ipam" => Addresses::Device,
        "static" => Addresses::Given,
        "multi-config" if !request.static_ips()?.is_empty() => Addresses::Given,
        "multi-config" => Addresses::PluginEach,
        _ if conf.multi_nic_ipam => Addresses::PluginOnce,
        _ => Addresses::PluginEach,
    })
}

/// `prevResult`; empty when there is none, or when this is no ADD.
pub(crate) fn previous(request: &Request) -> Result<CniResult, Error> {
    match &request.conf.prev_result {
        Some(before) if request.is(Command::Add) => CniResult::parse(before),
        _ => Ok(CniResult::default()),
    }
}

/// What is wished for.
///
/// # Errors
/// Code 7, naming what the pod asks wrongly.
pub(crate) fn wish(
    request: &Request,
    network: Option<&Network>,
    link: LinkUse,
    gpus: Vec<PciAddress>,
) -> Result<Wish, Error> {
    let conf = &request.conf;
    let mut masters =
        if conf.pod.masters.is_empty() { conf.masters.clone() } else { conf.pod.masters.clone() };
    if masters.is_empty() && conf.ipam_type == "multi-config" {
        masters = delegate::multi_config_masters(conf);
    }
    if masters.is_empty()
        && let Some(master) = conf.plugin.as_ref().and_then(|plugin| plugin.raw.get("master")?.as_str())
        && !master.is_empty()
    {
        masters.push(master.to_owned());
    }
    let wrong = |words: String| Error::new(code::INVALID_CONFIG, format!("args.cni.target: {words}"));
    let target =
        conf.pod.target.as_deref().map(|text| text.parse().map_err(|error| wrong(format!("{error}"))));
    let asked = Asked {
        link,
        vlan: conf.plugin.as_ref().and_then(|plugin| plugin.vlan),
        masters,
        master_nets: conf.master_nets.clone(),
        devices: conf.devices.clone(),
        count: conf.pod.nics,
        class: conf.pod.class.clone(),
        target: target.transpose()?,
        gpus,
    };
    asked.of(network).map_err(|error| wrong(error.to_string()))
}

/// A refusal to choose, as the runtime reads it.
pub(crate) fn select_error(error: &SelectError) -> Error {
    let code = match error {
        SelectError::NoSuchMaster { .. } | SelectError::NoSuchClass { .. } | SelectError::NotAVf { .. } => {
            code::INVALID_CONFIG
        }
        SelectError::InUse { .. } => code::NIC_IN_USE,
        SelectError::TooSlow { .. } if !error.is_for_ever() => code::NIC_IN_USE,
        _ => code::NO_NIC,
    };
    Error::new(code, error.to_string())
}

/// Names of links in the pod: `<ifname>-<i>`, or with `names: exact` the first one `<ifname>` itself.
pub(crate) fn names(request: &Request, count: usize) -> Result<Vec<String>, Error> {
    let ifname = &request.environment.ifname;
    if count > MOST_LINKS as usize {
        return Err(Error::new(
            code::INVALID_CONFIG,
            format!("{count} links are over the limit of {MOST_LINKS}"),
        ));
    }
    let name = |index: usize| match index {
        0 if request.conf.own.exact_names => ifname.clone(),
        _ => format!("{ifname}-{index}"),
    };
    let names: Vec<String> = (0..count).map(name).collect();
    match names.last().filter(|name| name.len() > 15) {
        None => Ok(names),
        Some(last) => {
            Err(Error::new(code::INVALID_CONFIG, format!("CNI_IFNAME: `{last}` would be over 15 bytes"))
                .with_details("shorten the interface name in the pod's annotation"))
        }
    }
}

/// The record of what is to be; addresses are not in it yet. `mtu`: the network's own, for links that are asked for
/// without one.
pub(crate) fn attachment(
    request: &Request,
    selection: &Selection,
    link: &LinkUse,
    mtu: Option<u32>,
    group: u32,
    boot: &str,
) -> Result<Attachment, Error> {
    let names = names(request, selection.chosen.len())?;
    let plugin = request.conf.plugin()?;
    let (plain, several) = delegate::routes(&request.conf);
    let policy = request.conf.own.policy_routing.unwrap_or(selection.chosen.len() > 1);
    let mut links = Vec::new();
    for (index, (chosen, name)) in selection.chosen.iter().zip(names).enumerate() {
        if plugin.mtu > chosen.mtu && !matches!(link, LinkUse::Whole | LinkUse::Vf) {
            let words =
                format!("plugin.mtu: {} is above the {} of master {}", plugin.mtu, chosen.mtu, chosen.master);
            return Err(Error::new(code::INVALID_CONFIG, words).with_details("0 takes the master's own"));
        }
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        links.push(PodLink {
            index,
            alt_name: (index == 0 && !request.conf.own.exact_names)
                .then(|| request.environment.ifname.clone()),
            name,
            ifindex: group + u32::from(index),
            link: link.clone(),
            nic: chosen.nic.clone(),
            generation: chosen.generation,
            master: chosen.master.clone(),
            master_ifindex: chosen.ifindex,
            vlan: vlan(request, link, &chosen.nic),
            mtu: match (plugin.mtu, mtu) {
                (0, Some(mtu)) => mtu.min(chosen.mtu),
                (asked, _) => asked,
            },
            mac: None,
            addresses: Vec::new(),
            routes: Vec::new(),
            policy_routing: policy,
            original: None,
            host_arp: None,
            pf: chosen.pf.clone(),
            promise: chosen.promise.clone(),
            vf: None,
        });
    }
    let mac = request.mac()?;
    if let (Some(mac), Some(traits)) = (mac, links::traits_of(link, &request.conf))
        && traits.mac == Mac::Masters
    {
        let words = format!("runtimeConfig.mac: {mac} cannot be had: {} has its master's", traits.name);
        return Err(Error::new(code::INVALID_CONFIG, words)
            .with_details("take `mac` out of the request, or use macvlan bridge"));
    }
    // One MAC is for one NIC.
    if let Some(first) = links.first_mut() {
        first.mac = mac;
    }
    let mut attachment = blank(request, group, boot);
    attachment.links = links;
    attachment.multipath = several.into_iter().map(|(dst, gateways)| Multipath { dst, gateways }).collect();
    let plain = plain.into_iter().map(|(dst, gw)| Route { gw, ..cni::result::plain(dst) });
    spread_routes(&mut attachment.links, plain.collect());
    Ok(attachment)
}

/// A record without links.
pub(crate) fn blank(request: &Request, group: u32, boot: &str) -> Attachment {
    Attachment {
        netns: request.environment.netns.clone(),
        sweepable: true,
        digest: request.digest,
        config: request.text.clone(),
        args: request.environment.args.clone(),
        pod: request.pod.clone(),
        chain: request.chain.clone(),
        ..Attachment::new(request.key.clone(), request.tool, group, boot)
    }
}

fn vlan(request: &Request, link: &LinkUse, nic: &NicId) -> Option<VlanKey> {
    let plugin = request.conf.plugin.as_ref()?;
    let id = plugin.vlan.filter(|_| link.shares())?;
    let protocol = plugin.raw.get("vlanProtocol").and_then(serde_json::Value::as_str).unwrap_or("802.1q");
    Some(VlanKey { parent: nic.clone(), id, protocol: protocol.to_owned(), ours: true })
}

/// Routes go to the link whose prefix holds their gateway, once the addresses are known; until then to the first.
pub(crate) fn spread_routes(links: &mut [PodLink], routes: Vec<Route>) {
    for route in routes {
        let on = |link: &PodLink| {
            route.gw.is_some_and(|gw| link.addresses.iter().any(|lease| lease.address.contains(&gw)))
        };
        let position = links.iter().position(on).unwrap_or(0);
        if let Some(link) = links.get_mut(position) {
            link.routes.push(route);
        }
    }
}

/// Spreads them anew, when addresses have come.
pub(crate) fn place_routes(links: &mut [PodLink]) {
    let all: Vec<Route> = links.iter_mut().flat_map(|link| std::mem::take(&mut link.routes)).collect();
    spread_routes(links, all);
}

/// Reserves an address of each family for each link. On an error everything is as before.
pub(crate) fn reserve(
    book: &mut Book,
    network: &Network,
    key: &Key,
    masters: &[(u16, String)],
    wanted: &[StaticIp],
    sticky: &[(IpNet, IpAddr)],
) -> Result<Vec<(u16, Leased, Reservation)>, Error> {
    let now = now();
    let mut reserved: Vec<(u16, Leased, Reservation)> = Vec::new();
    let mut wanted = wanted.to_vec();
    let outcome = masters.iter().try_for_each(|(index, master)| {
        let interface = interface(network, master)?;
        for block in &interface.blocks {
            let mine = wanted.iter().position(|ip| block.interface.contains(&ip.address));
            let kept = sticky.iter().find(|(known, _)| *known == block.pod).map(|(_, address)| *address);
            let kept =
                kept.filter(|kept| !reserved.iter().any(|(_, lease, _)| lease.address.addr() == *kept));
            let wish = match (mine.map(|position| wanted.remove(position)), kept) {
                (Some(ip), _) => AddressWish::Exactly(ip.address),
                (None, Some(kept)) => AddressWish::Prefer(kept),
                (None, None) => AddressWish::Any,
            };
            let found = book.reserve(block.pod, key, *index, wish, now).map_err(|error| {
                let words = format!("network {}, master {master}: {error}", network.name);
                let full = matches!(error, ipam::ReserveError::Full(_));
                let error = Error::new(code::NO_ADDRESS, words);
                if !full {
                    return error;
                }
                error.with_details(format!("held: {}", book.holders(&network.name, block.pod)))
            })?;
            let address = IpNet::new(found.change.address, block.interface.prefix_len());
            let address = address.map_err(|error| Error::new(code::INTERNAL, error.to_string()))?;
            reserved.push((*index, Leased { address, block: Some(block.pod), gateway: None }, found));
        }
        Ok(())
    });
    let outcome = outcome.and_then(|()| match wanted.first() {
        None => Ok(()),
        Some(left) => Err(Error::new(
            code::INVALID_CONFIG,
            format!("ips: {} is in no block of network {} on a chosen NIC", left.address, network.name),
        )),
    });
    if let Err(error) = outcome {
        for (_, _, reservation) in &reserved {
            book.addresses.cancel(reservation);
        }
        return Err(error);
    }
    Ok(reserved)
}

fn interface<'a>(network: &'a Network, master: &str) -> Result<&'a NetworkInterface, Error> {
    let found = network.interface(master).filter(|interface| !interface.blocks.is_empty());
    found.ok_or_else(|| {
        let known = network.interfaces.iter().filter(|interface| !interface.blocks.is_empty());
        let known = listed(known.map(|interface| &interface.master));
        Error::new(
            code::NO_ADDRESS,
            format!("network {} has no addresses on {master} (it has some on: {known})", network.name),
        )
    })
}

/// Gives links the addresses that a request names, one a family and link, in order.
pub(crate) fn give_static(links: &mut [PodLink], request: &Request, chosen: &[Chosen]) -> Result<(), Error> {
    let asked = request.static_ips()?;
    let given = request.gateways()?;
    let mut wanted: Vec<(StaticIp, Option<IpAddr>)> = asked.into_iter().map(|ip| (ip, None)).collect();
    if wanted.is_empty() {
        let listed = request.conf.ipam.get("addresses").and_then(serde_json::Value::as_array);
        for item in listed.into_iter().flatten() {
            let text = |key: &str| item.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
            let wrong = |key: &str| {
                let words = format!("ipam.addresses: {key}: `{}` is no address", text(key));
                Error::new(code::INVALID_CONFIG, words)
            };
            let ip = StaticIp::parse(text("address")).ok_or_else(|| wrong("address"))?;
            let gateway = match text("gateway") {
                "" => None,
                gateway => Some(gateway.parse().map_err(|_| wrong("gateway"))?),
            };
            wanted.push((ip, gateway));
        }
    }
    let families = [true, false];
    for v4 in families {
        let of_family: Vec<_> = wanted.iter().filter(|(ip, _)| ip.address.is_ipv4() == v4).collect();
        for ((link, (ip, gateway)), _) in links.iter_mut().zip(of_family).zip(chosen) {
            let longest = if v4 { 32 } else { 128 };
            let address = IpNet::new(ip.address, ip.prefix_len.unwrap_or(longest));
            let address = address.map_err(|error| Error::new(code::INVALID_CONFIG, error.to_string()))?;
            let gateway = gateway.or_else(|| given.iter().copied().find(|gateway| address.contains(gateway)));
            link.addresses.push(Leased { address, block: None, gateway });
        }
    }
    Ok(())
}

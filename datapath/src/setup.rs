//! What is changed inside the pod once the links are there: settings, addresses, routes, rules.

use std::net::IpAddr;

use ipnet::IpNet;
use netlink::route::{self, AddressChange, Change, Ipv4Conf, LinkSettings, RouteChange, RouteNextHop};

use crate::pod_link::{MultipathRoute, PodLink, PodRoute};
use crate::{METRIC_BASE, PROTOCOL, traits};

const MAIN_TABLE: u32 = 254;
const SCOPE_LINK: u8 = 253;

/// Changes with what each is for.
pub(crate) type Steps = Vec<(String, Change<'static>)>;

/// Settings of a link, and its further name.
pub(crate) fn settings(link: &PodLink) -> Steps {
    let mut steps = vec![conf(link)];
    if let Some(name) = &link.alt_name {
        steps.push((format!("name {} also {name}", link.name), route::add_alt_name(link.index, name)));
    }
    steps
}

/// Settings that netlink can write.
pub(crate) fn conf(link: &PodLink) -> (String, Change<'static>) {
    let settings = LinkSettings {
        // Max of `all` and the link counts, so zero would not do (TRAPS P11).
        ipv4: vec![(Ipv4Conf::RpFilter, 2), (Ipv4Conf::ArpIgnore, 1), (Ipv4Conf::ArpAnnounce, 2)],
        no_ipv6_address: !link.has_ipv6() || !traits::of(&link.source).link_local,
        ..LinkSettings::default()
    };
    (format!("set {}", link.name), route::set_link(link.index, &settings))
}

pub(crate) fn addresses(link: &PodLink) -> Steps {
    let step = |address: &IpNet| {
        let change = AddressChange {
            link: link.index,
            address: address.addr(),
            prefix_len: address.prefix_len(),
            metric: Some(METRIC_BASE + u32::from(link.position)),
            // Its uniqueness is ours to keep, or was asked for before.
            no_dad: address.addr().is_ipv6(),
        };
        (format!("add {address} to {}", link.name), route::add_address(&change))
    };
    link.addresses.iter().map(step).collect()
}

pub(crate) fn up(link: &PodLink) -> (String, Change<'static>) {
    let up = LinkSettings { up: Some(true), ..LinkSettings::default() };
    (format!("set up {}", link.name), route::set_link(link.index, &up))
}

/// Routes of a link that is up: those asked for, then its own table and the rules that lead there.
///
/// A pod may have two networks that lead to one destination: what is asked for goes behind what is there.
pub(crate) fn routes(link: &PodLink) -> Steps {
    let mut steps = Vec::new();
    for asked in &link.routes {
        let words = format!("add the route to {} over {}", asked.destination, link.name);
        steps.push((words, route::append_route(&route_over(link, asked))));
    }
    steps.extend(own_table(link).into_iter().map(|change| {
        (format!("fill routing table {} of {}", link.table(), link.name), route::add_route(&change))
    }));
    steps.extend(
        link.policy_rules()
            .iter()
            .map(|rule| (format!("add the rule of {}", link.name), route::add_rule(rule))),
    );
    steps
}

/// The link's own table: its prefixes, its routes, and a default where a gateway is known.
fn own_table(link: &PodLink) -> Vec<RouteChange> {
    let Some(policy) = &link.policy else { return Vec::new() };
    let mut routes = Vec::new();
    for address in &link.addresses {
        // A route to oneself alone leads nowhere.
        if address.prefix_len() < address.max_prefix_len() {
            let connected = in_table(link, address.trunc(), None);
            routes.push(RouteChange { source: Some(address.addr()), ..route_over(link, &connected) });
        }
    }
    for asked in link.routes.iter().filter(|asked| asked.table.is_none()) {
        routes.push(route_over(link, &PodRoute { table: Some(link.table()), ..asked.clone() }));
    }
    for gateway in &policy.gateways {
        let everything = if gateway.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        let Ok(destination) = everything.parse() else { continue };
        if !link.routes.iter().any(|asked| asked.destination == destination && asked.table.is_none()) {
            routes.push(route_over(link, &in_table(link, destination, Some(*gateway))));
        }
    }
    routes
}

fn in_table(link: &PodLink, destination: IpNet, gateway: Option<IpAddr>) -> PodRoute {
    PodRoute {
        destination,
        gateway,
        mtu: None,
        advmss: None,
        metric: None,
        table: Some(link.table()),
        scope: None,
    }
}

fn route_over(link: &PodLink, asked: &PodRoute) -> RouteChange {
    let v4 = matches!(asked.destination, IpNet::V4(_));
    let onlink = asked.gateway.is_some_and(|gateway| {
        gateway.is_ipv4() == v4 && !link.addresses.iter().any(|address| address.contains(&gateway))
    });
    RouteChange {
        destination: asked.destination.network(),
        prefix_len: asked.destination.prefix_len(),
        table: asked.table.unwrap_or(MAIN_TABLE),
        protocol: PROTOCOL,
        scope: asked.scope.unwrap_or(if asked.gateway.is_none() && v4 { SCOPE_LINK } else { 0 }),
        metric: asked.metric.or(Some(METRIC_BASE + u32::from(link.position))),
        source: None,
        mtu: asked.mtu,
        advmss: asked.advmss,
        hops: vec![RouteNextHop { link: Some(link.index), gateway: asked.gateway, weight: 1, onlink }],
    }
}

/// A route over several links.
pub(crate) fn multipath(links: &[PodLink], several: &MultipathRoute) -> (String, Change<'static>) {
    let mut used: Vec<u32> = Vec::new();
    let hops = several.gateways.iter().map(|gateway| {
        let reaching = || links.iter().filter(|link| link.addresses.iter().any(|own| own.contains(gateway)));
        // Two NICs on one subnet are two ways, not one twice.
        let link = reaching().find(|link| !used.contains(&link.index)).or_else(|| reaching().next());
        let link = link.map(|link| link.index);
        used.extend(link);
        RouteNextHop { link, gateway: Some(*gateway), weight: 1, onlink: false }
    });
    let change = RouteChange {
        destination: several.destination.network(),
        prefix_len: several.destination.prefix_len(),
        table: MAIN_TABLE,
        protocol: PROTOCOL,
        scope: 0,
        metric: None,
        source: None,
        mtu: None,
        advmss: None,
        hops: hops.collect(),
    };
    (format!("add the route to {}", several.destination), route::append_route(&change))
}

//! Addresses that another IPAM plugin gives: when it is asked, over which links it can lease, what its answer means.

use cni::error::code;
use cni::result::Route;
use cni::{CniResult, Error, NetConf};
use datapath::traits::Dhcp;

use crate::links;
use crate::plan::spread_routes;
use crate::record::{Attachment, Leased, PodLink};
use crate::select::LinkUse;

/// The IPAM plugin that leases addresses over the link.
const DHCP: &str = "dhcp";

/// Whether the IPAM plugin is asked when the links are up in the pod (TRAPS P2): it looks at them, or talks over them.
pub(crate) fn is_link_first(conf: &NetConf) -> bool {
    conf.own.ipam_needs_link || name(conf) == DHCP
}

/// The IPAM plugin of a configuration, also below `multi-config`; empty when there is none.
fn name(conf: &NetConf) -> &str {
    if conf.ipam_type != "multi-config" {
        return &conf.ipam_type;
    }
    conf.ipam.get("ipam_type").and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// Refuses links that can lease nothing by DHCP (TRAPS P2, P12).
pub(crate) fn refuse_leases(conf: &NetConf, link: &LinkUse) -> Result<(), Error> {
    if name(conf) != DHCP {
        return Ok(());
    }
    let Some(traits) = links::traits_of(link, conf) else { return Ok(()) };
    let refused = |why: &str, fix: &str| {
        let words = format!("ipam.type: dhcp does not go with {}: {why}", traits.name);
        Err(Error::new(code::INVALID_CONFIG, words).with_details(fix))
    };
    match traits.dhcp {
        Dhcp::Yes => Ok(()),
        Dhcp::WithClientId if has_client_id(conf) => Ok(()),
        Dhcp::WithClientId => refused(
            "all links of a master have its MAC and would share one lease",
            "name a client id in ipam.provide (option dhcp-client-identifier), or use macvlan",
        ),
        Dhcp::No => refused(
            "no broadcast reaches such a link",
            "use ipvlan l2 with a client id, macvlan, or another ipam.type",
        ),
    }
}

/// `ipam.provide` of the plugin `dhcp` names option 61.
fn has_client_id(conf: &NetConf) -> bool {
    let is_client_id = |item: &serde_json::Value| {
        let option = item.get("option").and_then(serde_json::Value::as_str);
        matches!(option, Some("dhcp-client-identifier" | "61"))
    };
    let entries = match conf.ipam.get("args").and_then(serde_json::Value::as_object) {
        Some(args) if conf.ipam_type == "multi-config" => {
            args.values().map(|entry| entry.get("provide")).collect()
        }
        _ => vec![conf.ipam.get("provide")],
    };
    let has = |provide: Option<&serde_json::Value>| {
        provide.and_then(serde_json::Value::as_array).is_some_and(|list| list.iter().any(is_client_id))
    };
    !entries.is_empty() && entries.into_iter().all(has)
}

/// Gives links what IPAM plugins answered, one for each link or (`each` is false) one for all.
///
/// The planned routes are those of `ipam.routes`. A plugin that was told them answers them again, one copy for each NIC:
/// what it answers counts, and what is a route over several links already is none over one.
pub(crate) fn give(attachment: &mut Attachment, results: &[CniResult], each: bool) {
    let several = &attachment.multipath;
    let links = &mut attachment.links;
    let mut planned: Vec<Route> =
        links.iter_mut().flat_map(|link| std::mem::take(&mut link.routes)).collect();
    for (position, result) in results.iter().enumerate() {
        planned.retain(|route| !result.routes.iter().any(|answered| answered.dst == route.dst));
        let routes = result.routes.iter().filter(|route| !several.iter().any(|one| one.dst == route.dst));
        let routes: Vec<Route> = routes.cloned().collect();
        give_addresses(links, result, each.then_some(position));
        match links.get_mut(position).filter(|_| each) {
            Some(link) => link.routes.extend(routes),
            None => spread_routes(links, routes),
        }
    }
    spread_routes(links, planned);
}

/// Gives links the addresses of an answer: to the link at a position, else by interface index where the answer names
/// one, else in order.
pub(crate) fn give_addresses(links: &mut [PodLink], result: &CniResult, position: Option<usize>) {
    for (order, ip) in result.ips.iter().enumerate() {
        let target = position.or(ip.interface).unwrap_or(order);
        if let Some(link) = links.get_mut(target) {
            link.addresses.push(Leased { address: ip.address, block: None, gateway: ip.gateway });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refusal(ipam: Value, link: &LinkUse) -> Option<String> {
        let conf = json!({"cniVersion": "1.0.0", "name": "n", "plugin": {"type": "x"}, "ipam": ipam});
        refuse_leases(&NetConf::parse(&conf.to_string()).unwrap(), link).err().map(|error| error.to_string())
    }

    #[test]
    fn a_link_that_cannot_tell_its_lease_from_its_siblings_needs_a_client_id() {
        let ipvlan = |mode: &str| LinkUse::Ipvlan { mode: mode.to_owned(), flag: "bridge".to_owned() };
        let (l2, macvlan) = (ipvlan("l2"), LinkUse::Macvlan { passthru: false });
        let provide = json!([{"option": "61", "fromArg": "K8S_POD_UID"}]);
        let named = json!([{"option": "dhcp-client-identifier", "value": "x"}]);
        let other = json!([{"option": "host-name", "value": "x"}]);
        let several = |one: Value| json!({"type": "multi-config", "ipam_type": "dhcp", "args": {"m0": {"provide": named}, "m1": one}});
        for (ipam, link, refused) in [
            (json!({"type": "dhcp"}), &macvlan, None),
            (json!({"type": "dhcp"}), &LinkUse::Whole, None),
            (json!({"type": "host-local"}), &l2, None),
            (json!({"type": "dhcp"}), &l2, Some("share one lease")),
            (json!({"type": "dhcp", "provide": other}), &l2, Some("share one lease")),
            (json!({"type": "dhcp", "provide": provide}), &l2, None),
            (json!({"type": "dhcp", "provide": named}), &l2, None),
            (json!({"type": "dhcp", "provide": named}), &ipvlan("l3"), Some("no broadcast")),
            (json!({"type": "dhcp", "provide": named}), &ipvlan("l3s"), Some("no broadcast")),
            (several(json!({})), &l2, Some("share one lease")),
            (several(json!({"provide": provide})), &l2, None),
        ] {
            let found = refusal(ipam.clone(), link);

            assert_eq!(found.is_some(), refused.is_some(), "{ipam} {link:?}: {found:?}");
            assert!(found.unwrap_or_default().contains(refused.unwrap_or_default()), "{ipam} {link:?}");
        }
    }
}

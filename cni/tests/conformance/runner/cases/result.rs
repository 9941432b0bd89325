//! §1.4: the result object, strictly by version.

use serde_json::Value;

use crate::runner::scene::{Attachment, Outcome, Scene, ensure, list};
use crate::runner::table::Case;

/// The rows.
pub const CASES: &[Case] = &[
    Case::new("1.4", "ADD prints one object in the config's cniVersion", |scene| {
        let pod = scene.pod()?;
        let found = scene.attach(&pod)?.result["cniVersion"].clone();
        ensure(found == scene.version, || format!("cniVersion {found}"))
    }),
    Case::new("1.4", "ips[].version below 1.0.0, never from there on", |scene| {
        for ip in list(&added(scene)?.result["ips"]) {
            let address = ip["address"].as_str().unwrap_or_default();
            let family = if address.contains(':') { "6" } else { "4" };
            let wanted = if scene.since("1.0.0") { Value::Null } else { Value::from(family) };
            ensure(ip["version"] == wanted, || format!("{ip} instead of version {wanted}"))?;
        }
        Ok(())
    }),
    Case::new("1.4", "ips[].interface is the index of a pod's link", |scene| {
        let result = added(scene)?.result;
        for ip in list(&result["ips"]) {
            let index = ip["interface"].as_u64().and_then(|index| usize::try_from(index).ok());
            let link = index.and_then(|index| list(&result["interfaces"]).get(index));
            let inside =
                link.is_some_and(|link| link["sandbox"].as_str().is_some_and(|path| !path.is_empty()));
            ensure(inside, || format!("{ip} among {}", result["interfaces"]))?;
        }
        Ok(())
    })
    .main(),
    Case::new("1.3", "an address plugin tells no ips[].interface", |scene| {
        for ip in list(&added(scene)?.result["ips"]) {
            ensure(ip.get("interface").is_none(), || format!("{ip}"))?;
        }
        Ok(())
    })
    .ipam(),
    Case::new("1.3", "an address plugin tells no interfaces", |scene| {
        let result = added(scene)?.result;
        ensure(list(&result["interfaces"]).is_empty(), || format!("{}", result["interfaces"]))
    })
    .ipam(),
    Case::new("1.4", "interfaces: one in the pod, sandbox is CNI_NETNS", |scene| {
        let attachment = added(scene)?;
        let netns = attachment.add.variables.get("CNI_NETNS").cloned().unwrap_or_default();
        let mut inside = 0;
        for link in list(&attachment.result["interfaces"]) {
            let sandbox = link["sandbox"].as_str().unwrap_or_default();
            ensure(sandbox.is_empty() || sandbox == netns, || format!("{link}, not {netns}"))?;
            inside += usize::from(!sandbox.is_empty());
        }
        ensure(inside > 0, || format!("none in the pod: {}", attachment.result["interfaces"]))
    })
    .main(),
    Case::new("1.4", "no key that the version does not have", |scene| {
        let result = added(scene)?.result;
        let newest = scene.since("1.1.0");
        only(&result, &["cniVersion", "interfaces", "ips", "routes", "dns"])?;
        for link in list(&result["interfaces"]) {
            let more: &[&str] = if newest { &["mtu", "socketPath", "pciID"] } else { &[] };
            only(link, &[&["name", "mac", "sandbox"], more].concat())?;
        }
        for ip in list(&result["ips"]) {
            // `version` has its own row.
            only(ip, &["version", "address", "gateway", "interface"])?;
        }
        for route in list(&result["routes"]) {
            let more: &[&str] = if newest { &["mtu", "advmss", "priority", "table", "scope"] } else { &[] };
            only(route, &[&["dst", "gw"], more].concat())?;
        }
        if result["dns"].is_object() {
            only(&result["dns"], &["nameservers", "domain", "search", "options"])?;
        }
        Ok(())
    }),
    Case::new("1.4", "addresses with prefix length, gateways without", |scene| {
        let result = added(scene)?.result;
        for ip in list(&result["ips"]) {
            let address = ip["address"].as_str().unwrap_or_default();
            ensure(is_address(address, true), || format!("address {}", ip["address"]))?;
            if let Some(gateway) = ip.get("gateway").filter(|gateway| !gateway.is_null()) {
                ensure(is_address(gateway.as_str().unwrap_or_default(), false), || {
                    format!("gateway {gateway}")
                })?;
            }
        }
        Ok(())
    }),
    Case::new("1.4", "the result says every route that was asked for", |scene| {
        let attachment = added(scene)?;
        let wanted = list(&attachment.add.config["ipam"]["routes"]).to_vec();
        if wanted.is_empty() {
            return Err(crate::runner::scene::Trouble::NotApplicable("no route in the configuration"));
        }
        for route in wanted {
            let told = list(&attachment.result["routes"]).iter().any(|found| found["dst"] == route["dst"]);
            ensure(told, || format!("{route} is not in {}", attachment.result["routes"]))?;
        }
        Ok(())
    }),
    Case::new("1.2", "dns of the configuration is told", |scene| {
        let attachment = added(scene)?;
        let wanted = &attachment.add.config["dns"];
        if wanted.is_null() {
            return Err(crate::runner::scene::Trouble::NotApplicable("no dns in the configuration"));
        }
        let found = &attachment.result["dns"];
        ensure(found["nameservers"] == wanted["nameservers"], || format!("{found} instead of {wanted}"))
    })
    .main(),
];

fn added(scene: &Scene<'_>) -> Result<Attachment, String> {
    scene.attach(&*scene.pod()?)
}

fn only(object: &Value, known: &[&str]) -> Outcome {
    let keys = object.as_object().into_iter().flat_map(|object| object.keys());
    let odd: Vec<_> = keys.filter(|key| !known.contains(&key.as_str())).collect();
    ensure(odd.is_empty(), || format!("{odd:?} in {object}"))
}

fn is_address(text: &str, with_prefix: bool) -> bool {
    if !with_prefix {
        return text.parse::<std::net::IpAddr>().is_ok();
    }
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let most = if address.contains(':') { 128 } else { 32 };
    is_address(address, false) && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= most)
}

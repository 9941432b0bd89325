//! §1.4: ADD behind another plugin.

use serde_json::{Value, json};

use crate::runner::scene::{Attachment, IFNAME, Scene, ensure, list};
use crate::runner::table::Case;

/// The rows.
pub const CASES: &[Case] = &[
    Case::new("1.4, C 4.2", "ADD prints prevResult back, or uses it up", |scene| {
        let attachment = chained(scene, scene.version)?;
        let result = &attachment.result;
        if scene.subject.uses_prev_result {
            return Ok(used_up(scene, result)?);
        }
        let link = list(&result["interfaces"]).iter().any(|link| link["name"] == "eth0");
        let address = list(&result["ips"]).iter().any(|ip| ip["address"] == BEFORE);
        ensure(link && address, || format!("eth0 with {BEFORE} is not in {result}"))
    })
    .main(),
    Case::new("1.4", "prevResult comes back in the config's cniVersion", |scene| {
        let attachment = chained(scene, if scene.since("1.0.0") { "0.4.0" } else { "1.0.0" })?;
        for ip in list(&attachment.result["ips"]) {
            let good = ip["address"] != BEFORE || ip.get("version").is_none() == scene.since("1.0.0");
            ensure(good, || format!("{ip}"))?;
        }
        Ok(())
    })
    .main(),
    Case::new("1.4", "behind another plugin ips point at their own links", |scene| {
        let result = chained(scene, scene.version)?.result;
        for ip in list(&result["ips"]).iter().filter(|ip| ip["address"] != BEFORE) {
            let index = ip["interface"].as_u64().and_then(|index| usize::try_from(index).ok());
            let link = index.and_then(|index| list(&result["interfaces"]).get(index));
            let own = link.is_none_or(|link| link["name"] != "eth0");
            ensure(own, || format!("{ip} among {}", result["interfaces"]))?;
        }
        Ok(())
    })
    .main(),
];

/// The address of the plugin before.
const BEFORE: &str = "198.51.100.7/24";

/// The first of its own links has the address, and no other link is told.
fn used_up(scene: &Scene<'_>, result: &Value) -> Result<(), String> {
    let own = (scene.subject.link_name)(IFNAME);
    let links: Vec<_> = list(&result["interfaces"]).iter().map(|link| &link["name"]).collect();
    let [ip] = list(&result["ips"]) else { return Err(format!("not one address in {result}")) };
    if links != [&own] || ip["address"] != BEFORE || ip["interface"] != 0 {
        return Err(format!("{BEFORE} is not that of {own} alone in {result}"));
    }
    Ok(())
}

fn chained(scene: &Scene<'_>, version: &str) -> Result<Attachment, String> {
    let pod = scene.pod()?;
    pod.netns.ip("link add eth0 type veth peer name eth0-host")?;
    let mut ip = json!({"address": BEFORE, "interface": 0});
    if version < "1.0.0" {
        ip["version"] = Value::from("4");
    }
    let link = json!({"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": pod.netns.path()});
    let before = json!({"cniVersion": version, "interfaces": [link], "ips": [ip], "dns": {}});
    scene.attach_with(scene.add(&pod).key("prevResult", before))
}

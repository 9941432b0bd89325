//! §1.3, §1.4: what the result says is what the kernel has.

use serde_json::Value;

use crate::runner::scene::{Attachment, IFNAME, Outcome, Pod, Scene, Trouble, ensure, list};
use crate::runner::table::Case;

/// The rows.
pub const CASES: &[Case] = &[
    Case::new("1.4", "the links of the result exist in the pod", |scene| {
        with(scene, |pod, attachment| {
            for told in list(&attachment.result["interfaces"]) {
                let inside = told["sandbox"].as_str().is_some_and(|path| !path.is_empty());
                let name = told["name"].as_str().unwrap_or_default();
                ensure(!inside || pod.netns.link(name)?.is_some(), || format!("{name} is not there"))?;
            }
            Ok(())
        })
    })
    .main(),
    Case::new("P8", "CNI_IFNAME finds a link in the pod", |scene| {
        with(scene, |pod, _| {
            ensure(pod.netns.link(IFNAME)?.is_some(), || format!("no {IFNAME}, not as altname either"))
        })
    })
    .main(),
    Case::new("1.4", "the kernel has the MAC of the result", |scene| {
        each_link(scene, |told, found| {
            let mac = found["address"].as_str().unwrap_or_default();
            let same = told["mac"].as_str().is_some_and(|told| told.eq_ignore_ascii_case(mac));
            ensure(same, || format!("{told}, the kernel has {mac}"))
        })
    })
    .main(),
    Case::new("1.4", "the kernel has the MTU of the result", |scene| {
        each_link(scene, |told, found| match told["mtu"].as_u64() {
            None => Err(Trouble::NotApplicable("no mtu in the result")),
            Some(mtu) => ensure(found["mtu"] == mtu, || format!("{told}, the kernel has {}", found["mtu"])),
        })
    })
    .main()
    .since("1.1.0"),
    Case::new("1.3", "the links are up, even with no route to set", |scene| {
        let pod = scene.pod()?;
        let mut add = scene.add(&pod);
        if let Some(ipam) = add.config["ipam"].as_object_mut() {
            ipam.remove("routes");
        }
        scene.attach_with(add)?;
        for name in pod.links()? {
            let link = pod.netns.link(&name)?.unwrap_or_default();
            let up = list(&link["flags"]).iter().any(|flag| flag == "UP");
            ensure(up, || format!("{name} is down"))?;
        }
        Ok(())
    })
    .main(),
    Case::new("1.4", "the kernel has the addresses of the result", |scene| {
        with(scene, |pod, attachment| {
            for ip in list(&attachment.result["ips"]) {
                let index = ip["interface"].as_u64().and_then(|index| usize::try_from(index).ok());
                let link = list(&attachment.result["interfaces"]).get(index.unwrap_or(0));
                let name = link.and_then(|link| link["name"].as_str()).unwrap_or(IFNAME);
                // Where it is told is another row's business.
                let all = pod.netns.ip_json("addr show")?;
                let on = all.iter().find(|link| link["ifname"] == name);
                let on = on.or_else(|| all.iter().find(|link| link["ifname"] != "lo"));
                let found = on.is_some_and(|on| list(&on["addr_info"]).iter().any(|found| same(ip, found)));
                ensure(found, || format!("{} is not on {name}", ip["address"]))?;
            }
            Ok(())
        })
    })
    .main(),
    Case::new("1.4", "the kernel has the routes of the result", |scene| {
        with(scene, |pod, attachment| {
            let routes = list(&attachment.result["routes"]);
            if routes.is_empty() {
                return Err(Trouble::NotApplicable("no routes in the result"));
            }
            let mut all = pod.netns.ip_json("route show table all")?;
            all.extend(pod.netns.ip_json("-6 route show table all")?);
            for route in routes {
                let dst = route["dst"].as_str().unwrap_or_default();
                let dst = if dst == "0.0.0.0/0" || dst == "::/0" { "default" } else { dst };
                ensure(all.iter().any(|found| found["dst"] == dst), || format!("{route} is not there"))?;
            }
            Ok(())
        })
    })
    .main(),
];

fn with(scene: &Scene<'_>, look: impl Fn(&Pod, &Attachment) -> Outcome) -> Outcome {
    let pod = scene.pod()?;
    let attachment = scene.attach(&pod)?;
    look(&pod, &attachment)
}

/// Looks at every link of the pod that the result tells and the kernel has.
fn each_link(scene: &Scene<'_>, look: impl Fn(&Value, &Value) -> Outcome) -> Outcome {
    with(scene, |pod, attachment| {
        for told in list(&attachment.result["interfaces"]) {
            let name = told["name"].as_str().unwrap_or_default();
            if told["sandbox"].as_str().is_some_and(|path| !path.is_empty())
                && let Some(found) = pod.netns.link(name)?
            {
                look(told, &found)?;
            }
        }
        Ok(())
    })
}

fn same(told: &Value, found: &Value) -> bool {
    let (Some(address), Some(prefix)) = (found["local"].as_str(), found["prefixlen"].as_u64()) else {
        return false;
    };
    // That a prefix length is told has a row of its own.
    told["address"].as_str().is_some_and(|told| told == format!("{address}/{prefix}") || told == address)
}

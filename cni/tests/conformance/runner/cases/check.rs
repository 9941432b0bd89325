//! §1.1, §1.3: CHECK.

use crate::runner::scene::{Attachment, Outcome, Pod, Scene, Trouble, ensure, list};
use crate::runner::subject::Pool;
use crate::runner::table::Case;

/// The rows.
pub const CASES: &[Case] = &[
    Case::new("1.1", "CHECK below 0.4.0: code 1", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        let check = scene.later("CHECK", &attachment).key("prevResult", attachment.result.clone());
        check.run()?.failed_with(1)?;
        Ok(())
    })
    .before("0.4.0"),
    Case::new("1.3", "CHECK of a good attachment succeeds", |scene| {
        let attachment = scene.attach(&*scene.pod()?)?;
        Ok(scene.later("CHECK", &attachment).run()?.succeeded()?)
    })
    .since("0.4.0"),
    Case::new("1.1", "CHECK prints nothing", |scene| {
        let attachment = scene.attach(&*scene.pod()?)?;
        let answer = scene.later("CHECK", &attachment).run()?;
        // Whether it succeeds has a row of its own.
        let silent = answer.status != Some(0) || answer.stdout.trim().is_empty();
        ensure(silent, || format!("it printed {:?}", answer.stdout))
    })
    .since("0.4.0"),
    Case::new("1.3", "CHECK without prevResult fails", |scene| {
        let attachment = scene.attach(&*scene.pod()?)?;
        Ok(scene.later("CHECK", &attachment).without_key("prevResult").run()?.failed()?)
    })
    .since("0.4.0"),
    Case::new("1.3", "CHECK fails when a link is gone", |scene| {
        broken(scene, |pod, _| {
            for link in pod.links()?.iter().take(1) {
                pod.netns.ip(&format!("link del {link}"))?;
            }
            Ok(())
        })
    })
    .main()
    .since("0.4.0"),
    Case::new("1.3", "CHECK fails when an address is gone", |scene| {
        broken(scene, |pod, attachment| {
            for link in pod.links()?.iter().take(1) {
                let all = pod.netns.link(link)?.unwrap_or_default();
                pod.netns.ip(&format!("addr add 192.0.2.1/24 dev {link}"))?;
                for address in list(&all["addr_info"]).iter().filter(|address| address["scope"] == "global") {
                    let local = address["local"].as_str().unwrap_or_default();
                    pod.netns.ip(&format!("addr del {local}/{} dev {link}", address["prefixlen"]))?;
                }
                // What the kernel took along is put back: this row is about the address.
                for route in list(&attachment.add.config["ipam"]["routes"]) {
                    let dst = route["dst"].as_str().unwrap_or_default();
                    let via = route["gw"].as_str().map(|gw| format!("via {gw} onlink")).unwrap_or_default();
                    pod.netns.ip(&format!("route replace {dst} {via} dev {link}"))?;
                }
            }
            Ok(())
        })
    })
    .main()
    .since("0.4.0"),
    Case::new("1.3", "CHECK fails when a route is gone", |scene| {
        broken(scene, |pod, attachment| {
            let Some(route) = list(&attachment.add.config["ipam"]["routes"]).first() else {
                return Err(Trouble::NotApplicable("no route in the configuration"));
            };
            pod.netns.ip(&format!("route del {}", route["dst"].as_str().unwrap_or_default()))?;
            Ok(())
        })
    })
    .main()
    .since("0.4.0"),
    Case::new("1.3", "CHECK does not mind what was added later", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        for link in pod.links()? {
            pod.netns.ip(&format!("addr add 192.0.2.1/24 dev {link}"))?;
        }
        pod.netns.ip("link add later type veth peer name later1")?;
        Ok(scene.later("CHECK", &attachment).run()?.succeeded()?)
    })
    .main()
    .since("0.4.0"),
    Case::new("1.3", "CHECK fails when the reservation is gone", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach_with(scene.call("ADD", &pod, Pool::Wide))?;
        scene.detach(&attachment)?;
        Ok(scene.later("CHECK", &attachment).run()?.failed()?)
    })
    .ipam()
    .since("0.4.0"),
];

fn broken(scene: &Scene<'_>, damage: fn(&Pod, &Attachment) -> Outcome) -> Outcome {
    let pod = scene.pod()?;
    let attachment = scene.attach(&pod)?;
    if scene.later("CHECK", &attachment).run()?.succeeded().is_err() {
        return Err(Trouble::NotApplicable("it fails even when nothing is gone"));
    }
    damage(&pod, &attachment)?;
    Ok(scene.later("CHECK", &attachment).run()?.failed()?)
}

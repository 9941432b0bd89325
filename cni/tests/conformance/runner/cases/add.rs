//! §1.3 and §1.6: ADD.

use std::collections::BTreeSet;

use serde_json::json;

use crate::runner::bench::ip;
use crate::runner::scene::{Attachment, IFNAME, Outcome, Scene, Trouble, ensure};
use crate::runner::subject::Pool;
use crate::runner::table::Case;

/// The rows.
pub const CASES: &[Case] = &[
    Case::new("1.3", "a name that exists in the pod: ADD fails", |scene| {
        let pod = scene.pod()?;
        pod.netns.ip(&format!("link add {} type veth peer name other", taken(scene)))?;
        Ok(scene.run(&scene.add(&pod))?.failed()?)
    })
    .main(),
    Case::new("1.3", "a name that exists in the pod: nothing changes", |scene| {
        let pod = scene.pod()?;
        pod.netns.ip(&format!("link add {} type veth peer name other", taken(scene)))?;
        let before = pod.netns.snapshot()?;
        scene.run(&scene.add(&pod))?;
        let after = pod.netns.snapshot()?;
        ensure(before == after, || format!("{before:?} became {after:?}"))
    })
    .main(),
    Case::new("1.1", "CNI_NETNS is the plugin's own: code 8", |scene| {
        let pod = scene.pod()?;
        let add = scene.add(&pod).with("CNI_NETNS", scene.bench.host.path());
        let links = host_links(scene)?;
        let answer = scene.run(&add);
        clear_host(scene, &links);
        answer?.failed_with(8)?;
        Ok(())
    })
    .main(),
    Case::new("1.1", "CNI_NETNS is the plugin's own: before acting", |scene| {
        let pod = scene.pod()?;
        let (links, before) = (host_links(scene)?, scene.bench.host.snapshot()?);
        scene.run(&scene.add(&pod).with("CNI_NETNS", scene.bench.host.path()))?;
        let after = scene.bench.host.snapshot()?;
        clear_host(scene, &links);
        ensure(before == after, || format!("{before:?} became {after:?}"))
    })
    .main(),
    Case::new("1.1 (code)", "CNI_NETNS_OVERRIDE allows the plugin's own", |scene| {
        let pod = scene.pod()?;
        let add = scene.add(&pod).with("CNI_NETNS", scene.bench.host.path());
        let before = host_links(scene)?;
        let answer = scene.run(&add.with("CNI_NETNS_OVERRIDE", "1"))?;
        let after = host_links(scene)?;
        clear_host(scene, &before);
        answer.succeeded()?;
        ensure(after.len() > before.len(), || format!("no link in the host role: {after:?}"))
    })
    .main(),
    Case::new("1.3", "an ADD that fails late leaves no link", |scene| {
        let Some(fault) = scene.subject.fault else { return Err(NO_FAULT) };
        let pod = scene.pod()?;
        let before = pod.netns.snapshot()?;
        let mut add = scene.add(&pod);
        fault(&mut add.config);
        scene.run(&add)?.failed()?;
        let after = pod.netns.snapshot()?;
        ensure(before == after, || format!("{before:?} became {after:?}"))
    })
    .main(),
    Case::new("1.3", "an ADD that fails late keeps no address", |scene| {
        let Some(fault) = scene.subject.fault else { return Err(NO_FAULT) };
        let pods = (0..scene.subject.narrow_size).map(|_| scene.pod()).collect::<Result<Vec<_>, _>>()?;
        for pod in &pods {
            let mut add = scene.call("ADD", pod, Pool::Narrow);
            fault(&mut add.config);
            // Not remembered: a DEL would put right what must be right before.
            add.run()?.failed()?;
        }
        scene.fill().map_err(|words| format!("afterwards: {words}"))?;
        Ok(())
    })
    .main(),
    Case::new("1.3", "ADD fails when the pool is used up", |scene| {
        scene.fill()?;
        Ok(scene.one_more()?.1.failed()?)
    }),
    Case::new("1.3", "ADD with the pool used up leaves no link", |scene| {
        scene.fill()?;
        let (pod, answer) = scene.one_more()?;
        if answer.status == Some(0) {
            return Err(Trouble::NotApplicable("it did not fail"));
        }
        let links = pod.netns.snapshot()?;
        ensure(links.len() == 1, || format!("{links:?}"))
    })
    .main(),
    Case::new("1.6", "runtimeConfig.mac is the link's MAC", |scene| {
        if !scene.subject.takes_mac {
            return Err(Trouble::NotApplicable("the plugin has no such capability"));
        }
        let mac = "c2:11:22:33:44:55";
        let pod = scene.pod()?;
        scene.attach_with(scene.add(&pod).key("runtimeConfig", json!({"mac": mac})))?;
        let names = pod.links()?;
        let link = pod.netns.link(names.first().map_or(IFNAME, String::as_str))?.unwrap_or_default();
        ensure(link["address"] == mac, || format!("{} instead of {mac}", link["address"]))
    })
    .main(),
    Case::new("1.6", "runtimeConfig.ips are the addresses", |scene| {
        let Some(wanted) = &scene.subject.takes_ip else {
            return Err(Trouble::NotApplicable("the plugin has no such capability"));
        };
        let pod = scene.pod()?;
        let attachment = scene.attach_with(scene.add(&pod).key("runtimeConfig", json!({"ips": [wanted]})))?;
        if !scene.is_main() {
            let told = attachment.addresses();
            return ensure(told.contains(wanted), || format!("{told:?} instead of {wanted}"));
        }
        let address = wanted.split('/').next().unwrap_or_default();
        let links = pod.netns.snapshot()?;
        let there = links.iter().any(|link| link.contains(&format!("{address}/")));
        ensure(there, || format!("no {wanted} in {links:?}"))
    }),
    Case::new("1.3", "two interfaces of a container, two addresses", |scene| {
        let pod = scene.pod()?;
        let first = scene.attach(&pod)?;
        let second = scene.attach_with(scene.add(&pod).with("CNI_IFNAME", "net2"))?;
        distinct(&[first, second])
    }),
    Case::new("1.3", "16 ADDs at once, distinct addresses", |scene| {
        let pods = (0..16).map(|_| scene.pod()).collect::<Result<Vec<_>, _>>()?;
        let calls: Vec<_> = pods.iter().map(|pod| scene.add(pod)).collect();
        calls.iter().for_each(|call| scene.remember(call));
        let running = calls.iter().map(|call| call.start()).collect::<Result<Vec<_>, _>>()?;
        let answers: Vec<_> = running.into_iter().map(|running| running.wait()).collect();
        let attachments = calls.into_iter().zip(answers).map(|(add, answer)| {
            let result = answer?.result()?;
            Ok(Attachment { add, result })
        });
        distinct(&attachments.collect::<Result<Vec<_>, String>>()?)
    }),
];

const NO_FAULT: Trouble = Trouble::NotApplicable("nothing known makes it fail late");

fn taken(scene: &Scene<'_>) -> String {
    (scene.subject.link_name)(IFNAME)
}

/// Links of the host role.
fn host_links(scene: &Scene<'_>) -> Result<Vec<String>, String> {
    let links = scene.bench.host.ip_json("link show")?;
    Ok(links.iter().filter_map(|link| link["ifname"].as_str()).map(str::to_owned).collect())
}

/// Takes away what was not there before, whoever made it: the next case finds the host role as it was.
fn clear_host(scene: &Scene<'_>, before: &[String]) {
    for link in host_links(scene).into_iter().flatten().filter(|link| !before.contains(link)) {
        drop(ip(&format!("link del {link}")));
    }
}

fn distinct(attachments: &[Attachment]) -> Outcome {
    let mut seen = BTreeSet::new();
    for attachment in attachments {
        for address in attachment.addresses() {
            ensure(seen.insert(address.clone()), || format!("{address} twice"))?;
        }
    }
    Ok(())
}

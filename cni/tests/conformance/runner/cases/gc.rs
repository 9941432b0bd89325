//! §1.1, §1.2, §1.3: GC. No runtime of today calls it on secondary networks (P17): the rows are the text's.

use serde_json::{Value, json};

use super::del::room_for;
use crate::runner::scene::{Attachment, Outcome, Pod, ensure, list};
use crate::runner::subject::Pool;
use crate::runner::table::Case;

/// The rows.
pub const CASES: &[Case] = &[
    Case::new("1.1", "GC below 1.1.0: code 1", |scene| {
        scene.gc(Pool::Wide, &[]).run()?.failed_with(1)?;
        Ok(())
    })
    .before("1.1.0"),
    Case::new("1.1", "GC prints nothing", |scene| {
        let attachment = scene.attach(&*scene.pod()?)?;
        let answer = scene.gc(Pool::Wide, &[&attachment]).run()?;
        Ok(answer.printed_nothing()?)
    })
    .since("1.1.0"),
    Case::new("1.2", "GC removes the links of what is not in the list", |scene| {
        let (stale, keep) = (scene.pod()?, scene.pod()?);
        scene.attach(&stale)?;
        let kept = scene.attach(&keep)?;
        scene.gc(Pool::Wide, &[&kept]).run()?;
        has_links(&stale, false)
    })
    .main()
    .since("1.1.0"),
    Case::new("1.2", "GC keeps what is in the list", |scene| {
        let (stale, keep) = (scene.pod()?, scene.pod()?);
        let kept = scene.attach(&keep)?;
        scene.attach(&stale)?;
        scene.gc(Pool::Wide, &[&kept]).run()?;
        has_links(&keep, true)
    })
    .main()
    .since("1.1.0"),
    Case::new("1.2", "GC frees the addresses of what is not in the list", |scene| {
        let held = scene.fill()?;
        let kept: Vec<&Attachment> = held.iter().skip(1).map(|(_, attachment)| attachment).collect();
        scene.gc(Pool::Narrow, &kept).run()?;
        room_for(scene, 1)
    })
    .since("1.1.0"),
    Case::new("1.2", "GC frees no address of what is in the list", |scene| {
        let held = scene.fill()?;
        let kept: Vec<&Attachment> = held.iter().map(|(_, attachment)| attachment).collect();
        scene.gc(Pool::Narrow, &kept).run()?;
        let (_, answer) = scene.one_more()?;
        // That there is no other has a row of its own.
        let result: Value = serde_json::from_str(&answer.stdout).unwrap_or_default();
        let again = list(&result["ips"])
            .iter()
            .find(|ip| kept.iter().any(|of| of.addresses().iter().any(|address| ip["address"] == **address)));
        ensure(again.is_none(), || format!("given twice: {again:?}"))
    })
    .since("1.1.0"),
    Case::new("1.2", "GC with an empty list removes all", |scene| {
        let pods = [scene.pod()?, scene.pod()?];
        for pod in &pods {
            scene.attach(pod)?;
        }
        scene.gc(Pool::Wide, &[]).run()?;
        pods.iter().try_for_each(|pod| has_links(pod, false))
    })
    .main()
    .since("1.1.0"),
    Case::new("1.2", "GC without a list does nothing", |scene| {
        let pod = scene.pod()?;
        scene.attach(&pod)?;
        scene.plain("GC", Pool::Wide).run()?.succeeded()?;
        has_links(&pod, true)
    })
    .main()
    .since("1.1.0"),
    Case::new("1.2", "GC ignores the leftover key cni.dev/attachments", |scene| {
        let pod = scene.pod()?;
        scene.attach(&pod)?;
        scene.plain("GC", Pool::Wide).key("cni.dev/attachments", json!([])).run()?.succeeded()?;
        has_links(&pod, true)
    })
    .main()
    .since("1.1.0"),
    Case::new("1.2", "GC with null keeps what has a living namespace", |scene| {
        let pod = scene.pod()?;
        scene.attach(&pod)?;
        scene.plain("GC", Pool::Wide).key("cni.dev/valid-attachments", Value::Null).run()?;
        has_links(&pod, true)
    })
    .main()
    .since("1.1.0"),
    Case::new("1.2", "GC with null frees what has a dead namespace", |scene| {
        let held = scene.fill()?;
        for (pod, _) in held.iter().take(1) {
            pod.netns.remove();
        }
        scene.plain("GC", Pool::Narrow).key("cni.dev/valid-attachments", Value::Null).run()?;
        room_for(scene, 1)
    })
    .main()
    .since("1.1.0"),
    Case::new("1.3", "GC goes on past a dead namespace", |scene| {
        let held = scene.fill()?;
        for (pod, _) in held.iter().take(1) {
            pod.netns.remove();
        }
        scene.gc(Pool::Narrow, &[]).run()?;
        room_for(scene, held.len())
    })
    .main()
    .since("1.1.0"),
    Case::new("1.2", "GC of one network leaves the others", |scene| {
        let pod = scene.pod()?;
        scene.attach_with(scene.call("ADD", &pod, Pool::Narrow))?;
        scene.gc(Pool::Wide, &[]).run()?;
        has_links(&pod, true)
    })
    .main()
    .since("1.1.0"),
    Case::new("1.2", "GC knows interfaces of a container apart", |scene| {
        let pod = scene.pod()?;
        let kept = scene.attach(&pod)?;
        let one = pod.links()?;
        scene.attach_with(scene.add(&pod).with("CNI_IFNAME", "net2"))?;
        scene.gc(Pool::Wide, &[&kept]).run()?;
        let links = pod.links()?;
        ensure(links == one, || format!("{links:?} instead of {one:?}"))
    })
    .main()
    .since("1.1.0"),
];

fn has_links(pod: &Pod, wanted: bool) -> Outcome {
    let links = pod.links()?;
    ensure(links.is_empty() != wanted, || format!("the pod has {links:?}"))
}

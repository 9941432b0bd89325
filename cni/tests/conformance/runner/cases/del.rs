//! §1.3: DEL.

use crate::runner::bench::ip;
use crate::runner::call::Call;
use crate::runner::scene::{Attachment, IFNAME, Outcome, Pod, Scene, ensure};
use crate::runner::subject::Pool;
use crate::runner::table::Case;

/// The rows.
pub const CASES: &[Case] = &[
    Case::new("1.3", "DEL removes the links", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        scene.detach(&attachment)?;
        let links = pod.netns.snapshot()?;
        ensure(links.len() == 1, || format!("{links:?}"))
    })
    .main(),
    Case::new("1.3", "DEL frees the address", |scene| frees(scene, |call| call)),
    Case::new("1.1", "DEL prints nothing", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        let answer = scene.later("DEL", &attachment).run()?;
        ensure(answer.stdout.trim().is_empty(), || format!("it printed {:?}", answer.stdout))
    }),
    Case::new("1.3", "DEL twice succeeds", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        scene.detach(&attachment)?;
        let again = scene.later("DEL", &attachment).without_key("prevResult");
        Ok(again.run()?.succeeded()?)
    }),
    Case::new("1.3", "DEL without CNI_NETNS succeeds", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        for call in [
            scene.later("DEL", &attachment).with("CNI_NETNS", ""),
            scene.later("DEL", &attachment).without("CNI_NETNS"),
        ] {
            call.run()?.succeeded()?;
        }
        Ok(())
    }),
    Case::new("1.3", "DEL without CNI_NETNS frees the address", |scene| {
        frees(scene, |call| call.without("CNI_NETNS"))
    }),
    Case::new("1.3", "DEL with a dead namespace succeeds", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        pod.netns.remove();
        Ok(scene.detach(&attachment)?)
    }),
    Case::new("1.3", "DEL with a dead namespace frees the address", |scene| {
        let held = scene.fill()?;
        let Some((pod, attachment)) = held.first() else { return Ok(()) };
        pod.netns.remove();
        // Whether it succeeds has a row of its own.
        scene.later("DEL", attachment).run()?;
        room_for(scene, 1)
    }),
    Case::new("1.1", "DEL with a path that is no namespace succeeds", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        pod.netns.remove();
        // What a dead bind mount leaves behind.
        std::fs::write(pod.netns.path(), "").map_err(|error| error.to_string())?;
        let answer = scene.later("DEL", &attachment).run();
        std::fs::remove_file(pod.netns.path()).map_err(|error| error.to_string())?;
        Ok(answer?.succeeded()?)
    }),
    Case::new("1.3", "DEL of an unknown container succeeds", |scene| {
        let pod = scene.pod()?;
        Ok(scene.call("DEL", &pod, Pool::Wide).run()?.succeeded()?)
    }),
    Case::new("1.3", "DEL with prevResult of links that are gone", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        for link in pod.links()? {
            pod.netns.ip(&format!("link del {link}"))?;
        }
        Ok(scene.later("DEL", &attachment).run()?.succeeded()?)
    })
    .main()
    .since("0.4.0"),
    Case::new("1.3", "DEL without prevResult", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        Ok(scene.later("DEL", &attachment).without_key("prevResult").run()?.succeeded()?)
    })
    .since("0.4.0"),
    Case::new("1.1", "DEL in the plugin's own namespace does nothing", |scene| {
        let pod = scene.pod()?;
        let link = (scene.subject.link_name)(IFNAME);
        ip(&format!("link add {link} type veth peer name other"))?;
        let del = scene.call("DEL", &pod, Pool::Wide).with("CNI_NETNS", scene.bench.host.path());
        let answer = del.run();
        let there = scene.bench.host.link(&link);
        drop(ip("link del other"));
        answer?.succeeded()?;
        ensure(there?.is_some(), || format!("{link} is gone"))
    })
    .main(),
    Case::new("1.3", "DEL of one interface leaves the other", |scene| {
        let pod = scene.pod()?;
        let first = scene.attach(&pod)?;
        let one = pod.links()?;
        scene.attach_with(scene.add(&pod).with("CNI_IFNAME", "net2"))?;
        let both = pod.links()?;
        scene.detach(&first)?;
        still(&pod, both.into_iter().filter(|link| !one.contains(link)))
    })
    .main(),
    Case::new("1.2", "DEL in one network leaves the other", |scene| {
        let pod = scene.pod()?;
        let wide = scene.attach(&pod)?;
        let one = pod.links()?;
        let narrow = scene.attach_with(scene.call("ADD", &pod, Pool::Narrow).with("CNI_IFNAME", "net2"))?;
        // The same container and name in a network that knows nothing of it.
        let other = narrow.add.clone().with("CNI_COMMAND", "DEL").with("CNI_IFNAME", IFNAME);
        let both = pod.links()?;
        // Whether it succeeds has a row of its own.
        other.with("CNI_NETNS", "").run()?;
        scene.detach(&wide)?;
        still(&pod, both.into_iter().filter(|link| !one.contains(link)))
    })
    .main(),
    Case::new("1.3", "ADD again after DEL", |scene| {
        let pod = scene.pod()?;
        let attachment = scene.attach(&pod)?;
        scene.detach(&attachment)?;
        // As podman does: the same container, a new namespace.
        let other = scene.pod()?;
        let again = attachment.add.clone().with("CNI_NETNS", other.netns.path());
        scene.run(&again)?.succeeded().map_err(|words| format!("the second ADD: {words}"))?;
        Ok(())
    }),
];

/// Whether the narrow pool has room for so many more, and the reason when not.
pub fn room_for(scene: &Scene<'_>, count: usize) -> Outcome {
    for _ in 0..count {
        let (_, answer) = scene.one_more()?;
        answer.succeeded().map_err(|words| format!("no room afterwards: {words}"))?;
    }
    Ok(())
}

/// These links are in the pod.
fn still(pod: &Pod, links: impl Iterator<Item = String>) -> Outcome {
    for link in links {
        ensure(pod.netns.link(&link)?.is_some(), || format!("{link} is gone"))?;
    }
    Ok(())
}

fn frees(scene: &Scene<'_>, change: fn(Call) -> Call) -> Outcome {
    let held = scene.fill()?;
    let attachments: Vec<&Attachment> = held.iter().map(|(_, attachment)| attachment).collect();
    for attachment in &attachments {
        // Whether it succeeds has a row of its own.
        change(scene.later("DEL", attachment)).run()?;
    }
    // So have the links; and without a path nobody could remove them, which ipvlan's master would mind.
    held.iter().for_each(|(pod, _)| pod.netns.clear());
    room_for(scene, attachments.len())
}

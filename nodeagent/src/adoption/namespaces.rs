//! What is in the network namespace of somebody else's pod: read, never changed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::thread;

use datapath::netns::{PodNamespace, open_path};
use datapath::observe;
use tokio::sync::oneshot;

use crate::agent::chain;

/// A link with its addresses.
pub(super) type Link = (String, Vec<IpAddr>);

/// The links in a namespace; none when it cannot be entered. On a thread of its own, since one that cannot come back ends.
pub(super) async fn links(path: PathBuf) -> Vec<Link> {
    let (tell, told) = oneshot::channel();
    let begun = thread::Builder::new().name("adopt".to_owned()).spawn(move || drop(tell.send(read(&path))));
    match begun {
        Ok(_) => told.await.unwrap_or_default(),
        Err(error) => {
            tracing::warn!(%error, "start a thread");
            Vec::new()
        }
    }
}

fn read(path: &std::path::Path) -> Vec<Link> {
    let there = open_path(path)
        .map_err(|error| chain(&error))
        .and_then(|fd| PodNamespace::open(fd).map_err(|error| chain(&error)))
        .and_then(|mut pod| observe::pod(&mut pod).map_err(|error| chain(&error)));
    let there = match there {
        Ok(there) => there,
        Err(error) => {
            tracing::warn!(error, path = %path.display(), "a pod's namespace cannot be read");
            return Vec::new();
        }
    };
    let addresses = |index: u32| {
        let of = there.addresses.iter().filter(move |one| one.index == index);
        of.map(|one| one.address).collect()
    };
    there.links.iter().map(|link| (link.name.clone(), addresses(link.index))).collect()
}

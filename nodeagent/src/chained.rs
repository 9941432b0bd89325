//! Pods that say by annotation which networks they want, without Multus: `multi-nic` as the last plugin of the cluster
//! network's list (TRAPS C1, C2).
//!
//! ```text
//! /etc/cni/net.d ──conflist──► 00-multi-nic.conflist ──runtime──► multi-nic ──► engine ──annotated──► Asks
//! annotation ──annotation──► elements ──offer──► NetConfs (Wanted) ──► engine ──► network_status ──► the pod's status
//! ```

mod annotation;
mod asks;
mod conflist;
mod gpus;
mod network_status;
mod offer;

pub(crate) use asks::{Asks, Untold};
pub(crate) use conflist::FILE;
pub(crate) use network_status::{NETWORK_STATUS, of_pod};
pub(crate) use offer::{Offer, Offers};

use std::io;
use std::path::{Path, PathBuf};

use self::conflist::Derived;
use crate::agent::chain;
use crate::kubelet_folder::FolderWatch;

/// Keeps the list in `folder` what the cluster network's list is, as long as the program runs. It stays when the agent
/// ends: a pod that asks for nothing does not need the agent.
///
/// # Errors
/// When changes of the folder cannot be noticed.
pub(crate) async fn keep_list(folder: PathBuf) -> io::Result<()> {
    let mut watch = FolderWatch::new(&folder)?;
    let mut told = None;
    loop {
        let now = tokio::task::block_in_place(|| conflist::derive(&folder)).map_err(|error| chain(&error));
        if told.as_ref() != Some(&now) {
            tell(&folder, &now);
            told = Some(now);
        }
        watch.changed().await;
    }
}

fn tell(folder: &Path, now: &Result<Derived, String>) {
    let folder = folder.display();
    match now {
        Ok(Derived::From(source)) => {
            tracing::info!(source = %source.display(), "pods are asked for their annotation with this list");
        }
        Ok(Derived::NoSource) => tracing::info!("there is no cluster network in {folder} yet"),
        Err(error) => tracing::error!(error, "pods cannot be asked for their annotation"),
    }
}

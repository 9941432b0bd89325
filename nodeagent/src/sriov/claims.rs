//! Which functions pods and containers have, by the attachments of this agent and by the kubelet.

use std::sync::Arc;

use attach::record::Attachment;
use hwprobe::{Inventory, PodHolder};
use sriov::Claim;

/// All claims.
pub(crate) fn all(attachments: &[Arc<Attachment>], inventory: Option<&Inventory>) -> Vec<Claim> {
    let of_attachment = |attachment: &Arc<Attachment>| {
        let who = attachment_words(attachment);
        let devices = attachment.links.iter().filter_map(|link| link.nic.as_str().parse().ok());
        devices.map(|device| Claim { device, who: who.clone() }).collect::<Vec<_>>()
    };
    let nics = inventory.into_iter().flat_map(|inventory| &inventory.nics);
    let by_kubelet = nics.flat_map(|nic| {
        let claim =
            |holder: &PodHolder| Some(Claim { device: nic.pci_address()?, who: holder_words(holder) });
        nic.held_by.iter().filter_map(claim).collect::<Vec<_>>()
    });
    attachments.iter().flat_map(of_attachment).chain(by_kubelet).collect()
}

/// Whose attachment it is.
pub(crate) fn attachment_words(attachment: &Arc<Attachment>) -> String {
    let key = &attachment.key;
    match &attachment.pod {
        // A runtime without pods gives the container's name alone.
        Some(pod) if pod.namespace.is_empty() => {
            format!("container {} (network {}, {})", pod.name, key.network, key.ifname)
        }
        Some(pod) => format!("pod {}/{} (network {}, {})", pod.namespace, pod.name, key.network, key.ifname),
        None => format!("container {} (network {}, {})", key.container_id, key.network, key.ifname),
    }
}

/// Whom the kubelet gave a device.
pub(crate) fn holder_words(holder: &PodHolder) -> String {
    let whose = match (&holder.namespace, &holder.pod, &holder.uid) {
        (Some(namespace), Some(pod), _) => format!("pod {namespace}/{pod}"),
        (_, _, Some(uid)) => format!("pod {uid}"),
        _ => "a pod".to_owned(),
    };
    format!("{whose} (resource {})", holder.resource)
}

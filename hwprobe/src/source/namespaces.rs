//! Whose network namespace or VFIO device it is: looks through `/proc` and `/run/netns`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use netlink::{Socket, route};

use super::kernel::{Answer, ForeignNamespace, VfioHolder};
use crate::model::{Failure, NamespaceRef};

/// Writes the name of each namespace into it, as far as it has one.
pub(crate) fn name(socket: &mut Socket, namespaces: &mut [ForeignNamespace]) {
    let mut names: BTreeMap<u32, NamespaceRef> = BTreeMap::new();
    let mut number = |path: &Path| {
        let file = File::open(path).ok()?;
        u32::try_from(route::namespace_id_of(socket, file.as_fd()).ok()??).ok()
    };
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        if let Some(nsid) = number(&entry.path()) {
            names.entry(nsid).or_default().name = Some(entry.file_name().to_string_lossy().into_owned());
        }
    }
    let mut seen: BTreeSet<u64> =
        fs::metadata("/proc/thread-self/ns/net").map(|own| own.ino()).into_iter().collect();
    for pid in processes() {
        let path = format!("/proc/{pid}/ns/net");
        // One question per namespace, not per process.
        let fresh = fs::metadata(&path).is_ok_and(|meta| seen.insert(meta.ino()));
        if let Some(nsid) = fresh.then(|| number(Path::new(&path))).flatten() {
            let (pod_uid, container_id) = fs::read_to_string(format!("/proc/{pid}/cgroup"))
                .map(|text| (pod_uid(&text), container_id(&text)))
                .unwrap_or_default();
            let reference = names.entry(nsid).or_default();
            reference.pid = Some(pid);
            reference.process = process_name(pid);
            reference.pod_uid = pod_uid;
            reference.container_id = container_id;
        }
    }
    for namespace in namespaces {
        namespace.name = names.remove(&namespace.nsid).unwrap_or_default();
    }
}

/// Who has these VFIO device nodes (`major:minor`) open. The node `?` stands for a VFIO device that some
/// process got from a group it closed since: nobody can say which.
pub(crate) fn vfio_holders(nodes: &[String]) -> Answer<Vec<VfioHolder>> {
    if !nix::unistd::Uid::effective().is_root() {
        let error = "only root may see what other processes have open".to_owned();
        return Err(Failure { source: "/proc/<pid>/fd".to_owned(), error });
    }
    let mut found = Vec::new();
    for pid in processes() {
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let node = match target.to_string_lossy() {
                // Only these are stat()ed: a file on a dead NFS server would block for ever.
                name if name.starts_with("/dev/vfio/") => {
                    fs::metadata(entry.path()).ok().map(|meta| device_number(meta.rdev()))
                }
                name if name == "anon_inode:[vfio-device]" => Some("?".to_owned()),
                _ => None,
            };
            if let Some(node) = node.filter(|node| node == "?" || nodes.contains(node)) {
                found.push(VfioHolder { node, pid, process: process_name(pid).unwrap_or_default() });
            }
        }
    }
    // A process that has a group open owns the nameless devices it got from it.
    let named: BTreeSet<u32> =
        found.iter().filter(|holder| holder.node != "?").map(|holder| holder.pid).collect();
    found.retain(|holder| holder.node != "?" || !named.contains(&holder.pid));
    found.sort_by(|a, b| (&a.node, a.pid).cmp(&(&b.node, b.pid)));
    found.dedup();
    Ok(found)
}

fn device_number(device: u64) -> String {
    format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device))
}

/// Process ids, lowest first.
fn processes() -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn process_name(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// The pod's UID in a cgroup path: `…/kubepods-burstable-pod0123_….slice/…` or `/kubepods/pod0123-…/…`.
fn pod_uid(cgroup: &str) -> Option<String> {
    cgroup.split(['/', '\n']).find_map(|part| {
        let part = part.strip_suffix(".slice").unwrap_or(part);
        let uid = part.rsplit_once("pod")?.1.replace('_', "-");
        let shape = uid.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
        (shape && uid.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-')).then_some(uid)
    })
}

/// The container's id in a cgroup path: 64 hexadecimal digits, with or without the runtime's name around.
fn container_id(cgroup: &str) -> Option<String> {
    cgroup.rsplit(['/', '\n']).find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let id = part.rsplit(['-', ':']).next()?;
        (id.len() == 64 && id.bytes().all(|c| c.is_ascii_hexdigit())).then(|| id.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f1b8b1e8a0f8b3a7a2c9d5e6f7081924f1b8b1e8a0f8b3a7a2c9d5e6f708192";

    #[test]
    fn cgroup_paths_of_both_drivers_name_pod_and_container() {
        let systemd = format!(
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_1111_2222_3333_444455556666.slice/cri-containerd-{ID}.scope\n"
        );
        let cgroupfs = format!("0::/kubepods/besteffort/pod0a1b2c3d-1111-2222-3333-444455556666/{ID}\n");

        for path in [systemd, cgroupfs] {
            assert_eq!(pod_uid(&path).as_deref(), Some("0a1b2c3d-1111-2222-3333-444455556666"));
            assert_eq!(container_id(&path).as_deref(), Some(ID));
        }
    }

    #[test]
    fn a_plain_service_is_no_pod() {
        assert_eq!(pod_uid("0::/system.slice/podman-helper.service\n"), None);
        assert_eq!(container_id("0::/system.slice/sshd.service\n"), None);
    }
}

//! Network storage that is mounted or attached now: losing its NIC hangs the node.

use std::net::IpAddr;

use crate::source::Files;

/// Something that the node stores data on over a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Storage {
    /// For people, like `nfs4 mount /data`.
    pub(crate) what: String,
    /// The server.
    pub(crate) server: Option<IpAddr>,
    /// The interface, where the attachment names one.
    pub(crate) interface: Option<String>,
}

/// All network storage in use.
pub(crate) fn in_use(files: &dyn Files) -> Vec<Storage> {
    // The node's own mounts are those of process 1; an agent in a container has others.
    let mounts = ["proc/1/mounts", "proc/mounts"].iter().find_map(|path| files.text(path).ok().flatten());
    let mut found: Vec<Storage> = mounts.unwrap_or_default().lines().filter_map(mount).collect();
    for name in files.list("sys/class/iscsi_connection").unwrap_or_default() {
        let file =
            |file: &str| files.text(&format!("sys/class/iscsi_connection/{name}/{file}")).ok().flatten();
        let server =
            file("persistent_address").or_else(|| file("address")).and_then(|text| text.parse().ok());
        found.push(Storage { what: format!("iSCSI {name}"), server, interface: None });
    }
    for name in files.list("sys/class/nvme").unwrap_or_default() {
        let file = |file: &str| files.text(&format!("sys/class/nvme/{name}/{file}")).ok().flatten();
        if file("transport").is_some_and(|transport| transport == "tcp" || transport == "rdma") {
            let address = file("address").unwrap_or_default();
            let key = |key: &str| address.split(',').find_map(|part| part.trim().strip_prefix(key));
            let server = key("traddr=").and_then(|text| text.parse().ok());
            found.push(Storage {
                what: format!("NVMe {name}"),
                server,
                interface: key("host_iface=").map(str::to_owned),
            });
        }
    }
    found.retain(|storage| {
        storage.interface.is_some() || storage.server.is_some_and(|server| !server.is_loopback())
    });
    found.sort_by(|a, b| a.what.cmp(&b.what));
    found.dedup();
    found
}

/// File systems whose data is on other machines.
pub(crate) fn is_network_file_system(kind: &str) -> bool {
    matches!(
        kind,
        "nfs"
            | "nfs4"
            | "cifs"
            | "smb3"
            | "ceph"
            | "lustre"
            | "glusterfs"
            | "fuse.glusterfs"
            | "afs"
            | "gpfs"
            | "beegfs"
    )
}

/// A line of `/proc/mounts` of a network file system.
fn mount(line: &str) -> Option<Storage> {
    let mut words = line.split_whitespace();
    let (source, place, kind, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if !is_network_file_system(kind) {
        return None;
    }
    let option = options.split(',').find_map(|option| option.strip_prefix("addr=")).map(str::to_owned);
    // `server:/path`, `//server/path`, `10.0.0.1:6789,10.0.0.2:6789:/`, `10.0.0.1@o2ib:/fs`, `[fd00::1]:/path`.
    let host = option.unwrap_or_else(|| {
        let source = source.trim_start_matches('/');
        match source.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default().to_owned(),
            None => source.split([':', '/', ',', '@']).next().unwrap_or_default().to_owned(),
        }
    });
    let server = host.split('%').next().and_then(|host| host.parse().ok());
    Some(Storage { what: format!("{kind} mount {place}"), server, interface: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_mounts_name_their_server() {
        let server =
            |line: &str| mount(line).and_then(|storage| storage.server).map(|server| server.to_string());

        assert_eq!(server("nas:/v /data nfs4 rw,vers=4.2,addr=10.1.2.3 0 0").as_deref(), Some("10.1.2.3"));
        assert_eq!(server("10.1.2.4:6789,10.1.2.5:6789:/ /ceph ceph rw 0 0").as_deref(), Some("10.1.2.4"));
        assert_eq!(server("[fd00::7]:/v /data nfs rw 0 0").as_deref(), Some("fd00::7"));
        assert_eq!(server("//10.9.9.9/share /s cifs rw 0 0").as_deref(), Some("10.9.9.9"));
        assert_eq!(mount("/dev/sda1 / ext4 rw 0 0"), None);
    }
}

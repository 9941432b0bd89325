//! Which namespace is which, that none is held, and settings where `/proc` is not writable.
//!
//! REQUIRES: root (network and mount namespaces); kinds veth, macvlan.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside of test functions"
)]

mod harness;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use datapath::netns::{HostNamespace, PodNamespace, cookie_of, inside, open_path};
use harness::{Host, macvlan, names_in, namespace, pod, run, setting, wait_until};
use nix::sched::{CloneFlags, unshare};

#[test]
fn the_hosts_own_namespace_is_told_from_a_pods() {
    let home = HostNamespace::current().unwrap();
    let own = open_path(Path::new("/proc/thread-self/ns/net")).unwrap();
    let (first, second) = (namespace(), namespace());

    assert!(home.is_host(cookie_of(own.as_fd()).unwrap()));
    let cookies = [cookie_of(first.as_fd()).unwrap(), cookie_of(second.as_fd()).unwrap()];
    assert_ne!(cookies[0], cookies[1]);
    assert!(!cookies.iter().any(|cookie| home.is_host(*cookie)));
    assert_eq!(PodNamespace::open(first).unwrap().cookie(), cookies[0]);
    let file: OwnedFd = std::fs::File::open("/proc/thread-self/ns/mnt").unwrap().into();
    let error = PodNamespace::open(file).unwrap_err();
    assert_eq!(error.to_string(), "enter the pod's network namespace", "a namespace of another kind");
}

#[test]
fn a_thread_comes_back_also_from_work_that_panics() {
    let home = HostNamespace::current().unwrap();
    let away = namespace();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        inside(away.as_fd(), || panic!("on purpose")).unwrap();
    }));
    assert!(caught.is_err());

    let here = open_path(Path::new("/proc/thread-self/ns/net")).unwrap();

    assert_eq!(cookie_of(here.as_fd()).unwrap(), home.cookie());
}

#[test]
fn a_namespace_ends_when_the_pod_ends_although_we_have_worked_there() {
    let mut host = Host::with_masters(1);
    let descriptor = namespace();
    let number = netlink::route::number_namespace(&mut host.socket, descriptor.as_fd()).unwrap().unwrap();
    let mut pod = PodNamespace::open(descriptor).unwrap();
    let made = host.wire(&mut pod, &[macvlan(0, "m0", "192.168.0.1/18")]).unwrap();
    assert!(netlink::route::links_in(&mut host.socket, number).is_ok());

    drop(pod);
    drop(made);

    wait_until("the namespace ends", || netlink::route::links_in(&mut host.socket, number).is_err());
}

#[test]
fn settings_go_through_another_proc_where_the_own_one_is_read_only() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    run("mount", "--make-rprivate /");
    let mut host = Host::with_masters(1);
    let folder = tempfile::tempdir().unwrap();
    run("mount", &format!("-t proc proc {}", folder.path().display()));
    run("mount", "--bind /proc/sys /proc/sys");
    run("mount", "-o remount,ro,bind /proc/sys");
    let mut pod = pod();
    let link = macvlan(0, "m0", "192.168.0.1/18");

    let error = host.wire(&mut pod, std::slice::from_ref(&link)).unwrap_err();
    let words = "write 1 to /proc/sys/net/ipv6/conf/net1-0/disable_ipv6 (this program needs a /proc whose sys/net it may write)";
    assert_eq!(error.to_string(), words);
    assert!(names_in(&pod).is_empty());
    // Where everything is already as it should be, nothing needs to be written.
    let through = folder.path().join("sys/net/ipv6/conf/default/disable_ipv6");
    inside(pod.as_fd(), || std::fs::write(&through, "1").unwrap()).unwrap();
    host.wire(&mut pod, std::slice::from_ref(&link)).unwrap();
    host.unwire(&mut pod, std::slice::from_ref(&link));

    host.home = HostNamespace::with_proc(folder.path()).unwrap();
    let mut other = harness::pod();
    host.wire(&mut other, &[link]).unwrap();

    assert_eq!(setting(&other, "ipv6", "net1-0", "disable_ipv6"), "1");
}

#[test]
fn a_masters_settings_are_read_and_changed() {
    let host = Host::with_masters(1);
    let now = || datapath::masters::setting(&host.home, "ipv4", "m0", "arp_ignore");
    let before = now().unwrap();

    datapath::masters::set_setting(&host.home, "ipv4", "m0", "arp_ignore", before + 1).unwrap();

    assert_eq!(now(), Some(before + 1));
    assert_eq!(datapath::masters::setting(&host.home, "ipv4", "gone", "arp_ignore"), None);
    let error = datapath::masters::set_setting(&host.home, "ipv4", "gone", "arp_ignore", 1).unwrap_err();
    assert!(error.to_string().contains("conf/gone/arp_ignore"), "{error}");
}

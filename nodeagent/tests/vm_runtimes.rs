//! In the lab VM: real runtimes (Debian's podman with its CNI backend, containerd by `ctr` and by its CRI plugin)
//! start and stop real containers on two NICs of two wires, with Debian's plugins and with ours.
//!
//! Wants the machine of the lab's group "runtimes": masters igb 0000:41:00.0 (hub 0) and 0000:81:00.0 (hub 1), on the
//! same hubs an e1000e 0000:82:00.0 and an 8139cp 0000:02:00.0 as the other ends of the wires.
//! REQUIRES: root, and Debian's podman, conmon, containerd, runc, containernetworking-plugins, curl, python3.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail by panicking, in its helpers too"
)]

mod runtimes;

use runtimes::containerd::{Containerd, Cri};
use runtimes::pages::{Checkout, blocks, page};
use runtimes::plugins::{Debian, Ours, Plugins, Runtime};
use runtimes::podman::Podman;
use runtimes::wires::Wires;

fn podman(plugins: &mut dyn Plugins, wires: &Wires) {
    let podman = Podman::with(plugins.lists(Runtime::Podman), plugins.folder());
    let a = podman.run("a");
    let b = podman.run("b");
    wires.check(&a, &plugins.links(Runtime::Podman));
    wires.check_pair(&a, &b, &plugins.links(Runtime::Podman));
    assert_eq!(plugins.held().len(), 4, "two containers of two NICs hold {:?}", plugins.held());

    // The same container id in a new namespace (TRAPS P6).
    let before = podman.namespace("a");
    let a = podman.restart("a");
    assert_ne!(podman.namespace("a"), before, "podman reuses the namespace: nothing is shown");
    wires.check(&a, &plugins.links(Runtime::Podman));
    wires.check_pair(&a, &b, &plugins.links(Runtime::Podman));
    assert_eq!(plugins.held().len(), 4, "after a restart {:?} are held", plugins.held());

    podman.stop("a");
    assert_eq!(plugins.held().len(), 2, "after one of two stopped {:?} are held", plugins.held());
    podman.stop("b");
    assert_eq!(plugins.held(), Vec::<String>::new(), "stopped containers hold addresses");

    // Stopped is not removed: it starts again.
    let a = podman.start("a");
    wires.check(&a, &plugins.links(Runtime::Podman));
    podman.remove("a");
    podman.remove("b");
    assert_eq!(plugins.held(), Vec::<String>::new(), "removed containers hold addresses");
}

fn podman_after_a_reboot(plugins: &mut dyn Plugins, wires: &Wires) {
    let podman = Podman::with(plugins.lists(Runtime::Podman), plugins.folder());
    podman.run("a");
    podman.lose_power(&["a"]);
    plugins.reboot();

    let a = podman.start("a");
    wires.check(&a, &plugins.links(Runtime::Podman));
    assert_eq!(plugins.held().len(), 2, "after a reboot {:?} are held", plugins.held());
    podman.remove("a");
    assert_eq!(plugins.held(), Vec::<String>::new(), "a removed container holds addresses");
}

fn ctr(plugins: &mut dyn Plugins, wires: &Wires) {
    let containerd = Containerd::with(plugins.lists(Runtime::Ctr), plugins.folder());
    let links = plugins.links(Runtime::Ctr);
    let a = containerd.run("a");
    let b = containerd.run("b");
    wires.check(&a.container, &links);
    wires.check_pair(&a.container, &b.container, &links);
    assert_eq!(plugins.held().len(), 2 * links.len(), "two containers hold {:?}", plugins.held());
    containerd.stop(a);
    containerd.stop(b);
    assert_eq!(plugins.held(), Vec::<String>::new(), "stopped containers hold addresses");
}

fn cri(plugins: &mut dyn Plugins, wires: &Wires) {
    let containerd = Containerd::with(plugins.lists(Runtime::Cri), plugins.folder());
    let cri = Cri::of(&containerd);
    let links = plugins.links(Runtime::Cri);
    let a = cri.run_pod("a");
    let b = cri.run_pod("b");
    wires.check(&a.container, &links);
    wires.check_pair(&a.container, &b.container, &links);
    assert_eq!(plugins.held().len(), 2 * links.len(), "two pods hold {:?}", plugins.held());
    cri.remove_pod(a);
    cri.remove_pod(b);
    assert_eq!(plugins.held(), Vec::<String>::new(), "removed pods hold addresses");
}

#[test]
#[ignore = "needs the lab VM"]
fn ctr_with_debians_plugins() {
    let wires = Wires::new();
    ctr(&mut Debian::on(&wires), &wires);
}

#[test]
#[ignore = "needs the lab VM"]
fn podman_with_ours() {
    let wires = Wires::new();
    let Some(mut ours) = Ours::on(&wires) else { return };
    podman(&mut ours, &wires);
}

#[test]
#[ignore = "needs the lab VM"]
fn podman_after_a_reboot_with_ours() {
    let wires = Wires::new();
    let Some(mut ours) = Ours::on(&wires) else { return };
    podman_after_a_reboot(&mut ours, &wires);
}

#[test]
#[ignore = "needs the lab VM"]
fn ctr_with_ours() {
    let wires = Wires::new();
    let Some(mut ours) = Ours::on(&wires) else { return };
    ctr(&mut ours, &wires);
}

#[test]
#[ignore = "needs the lab VM"]
fn cri_with_ours() {
    let wires = Wires::new();
    let Some(mut ours) = Ours::on(&wires) else { return };
    cri(&mut ours, &wires);
}

/// Waits until the agent answers.
const READY: &str = "until curl -sf --unix-socket /run/multi-nic/api.sock http://localhost/readyz >/dev/null; do sleep 0.2; done";

/// The one shell block of a page that has this in it.
fn the_block(page: &str, sign: &str) -> String {
    let mut found = blocks(page, &["sh"]);
    found.retain(|block| block.contains(sign));
    assert_eq!(found.len(), 1, "blocks with `{sign}`: {found:?}");
    found.remove(0)
}

/// The pages are followed from the first command to the last; only the agent is ended between them.
#[test]
#[ignore = "needs the lab VM"]
fn the_commands_of_the_podman_page_and_of_the_readme_work_as_they_stand() {
    let checkout = Checkout::new();
    let walk = blocks(&page("docs/podman.md"), &["sh", "sh lab"]).join("\n");
    assert!(walk.contains("podman run -d --name b"), "docs/podman.md has other blocks: {walk}");
    let readme = page("README.md");
    let short = the_block(&readme, "--network rails");
    // A person is slower than the agent.
    let short = short.replace(" &\n", &format!(" & agent=$!\n{READY}\n"));
    assert!(short.contains(READY), "README.md starts no agent: {short}");

    let printed = checkout.bash(&format!(
        "{walk}\nagent=$!\necho '== left'\n\
         curl -sf --unix-socket /run/multi-nic/api.sock http://localhost/v1/attachments\n\
         kill $agent; wait $agent\n\
         # No registry is in reach: the image that the page made has the name that README.md says.\n\
         lab/image docker.io/library/alpine:latest /tmp/alpine.tar -- && podman load -q -i /tmp/alpine.tar\n\
         echo '== readme'\n{short}\nkill $agent; wait $agent\n"
    ));
    println!("{printed}");

    let (page, rest) = printed.split_once("== left").expect("the page's end");
    let (left, readme) = rest.split_once("== readme").expect("the readme's begin");
    for sign in ["fast", "eth0-0", "eth0-1", "inet 10.62.0.1/16", "inet 10.63.0.1/16", "1 packets received"] {
        assert!(page.contains(sign), "no {sign}:\n{page}");
    }
    assert_eq!(page.matches("\"containerId\"").count(), 2, "a and b hold NICs:\n{page}");
    assert!(left.contains("\"total\":0"), "removed containers hold NICs: {left}");
    for sign in ["eth0-0", "eth0-1", "inet 192.168.0.1/18", "inet 192.168.64.1/18"] {
        assert!(readme.contains(sign), "no {sign}:\n{readme}");
    }
}

/// Capacity, four VFs, one in a container, held, free again: as README.md says it.
#[test]
#[ignore = "needs the lab VM"]
fn the_walk_through_of_virtual_functions_in_the_readme_works_as_it_stands() {
    let checkout = Checkout::new();
    let setup = blocks(&page("docs/podman.md"), &["sh", "sh lab"]);
    let configured = setup.iter().filter(|block| block.contains("/etc/containers/"));
    let configured: Vec<String> =
        configured.map(|block| block.replace("target/release/multi-nicd --config /etc/multi-nic cni-config fast > /etc/cni/net.d/fast.conflist", "")).collect();
    let walk = the_block(&page("README.md"), "--network vfs")
        .replace("/pfs/eth1 -d", "/pfs/eth1 -w '\n%{http_code}\n' -d");

    let printed = checkout.bash(&format!(
        "{}\ninstall -D target/release/multi-nic /opt/cni/bin/multi-nic; mkdir -p /etc/multi-nic\n\
         # The machine's way to others, which no NIC of it is.\n\
         ip link show up0 > /dev/null 2>&1 || ip link add up0 type dummy\n\
         ip address replace 10.99.0.1/24 dev up0; ip link set up0 up; ip route replace default via 10.99.0.254\n\
         lab/image docker.io/library/alpine:latest /tmp/alpine.tar -- && podman load -q -i /tmp/alpine.tar\n\
         multi-nicd --standalone & agent=$!\n{READY}\n\
         echo '== walk'\n{walk}\necho '== end'\n\
         cat /sys/bus/pci/devices/0000:41:00.0/sriov_numvfs\n\
         curl -s --unix-socket /run/multi-nic/api.sock http://localhost/v1/sriov/pfs/eth1 -d '{{\"numVfs\": 0}}' > /dev/null\n\
         cat /sys/bus/pci/devices/0000:41:00.0/sriov_numvfs\nkill $agent; wait $agent\n\
         ip route del default; ip link del up0; ip address flush dev eth1; podman rm -f -t 0 -a\n",
        configured.join("\n"),
    ));
    println!("{printed}");

    let (_, walk) = printed.split_once("== walk").expect("the walk");
    let (walk, end) = walk.split_once("== end").expect("its end");
    for sign in ["\"creatable\":7", "\n200\n", "\"state\":\"inPlace\"", "eth0-0", "inet 10.71.0.1/16"] {
        assert!(walk.contains(sign), "no {sign}:\n{walk}");
    }
    let lists: Vec<&str> = walk.lines().filter(|line| line.contains("\"vfs\":[")).collect();
    let [held, free] = lists[lists.len() - 2..] else { panic!("no two lists of VFs:\n{walk}") };
    let count = |list: &str, state: &str| list.matches(&format!("\"state\":\"{state}\"")).count();
    assert_eq!((count(held, "held"), count(held, "free")), (1, 3), "{held}");
    assert!(held.contains("(network vfs, eth0)"), "{held}");
    assert_eq!((count(free, "held"), count(free, "free")), (0, 4), "{free}");
    assert!(end.contains("4\n") && end.contains("\n0\n"), "{end}");
}

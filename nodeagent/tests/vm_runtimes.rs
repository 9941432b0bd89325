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
    let before = a.namespace();
    let a = podman.restart("a");
    assert_ne!(a.namespace(), before, "podman reuses the namespace: nothing is shown");
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

/// The pages are followed from the first command to the last; only the agent is ended between them.
#[test]
#[ignore = "needs the lab VM"]
fn the_commands_of_the_podman_page_and_of_the_readme_work_as_they_stand() {
    let checkout = Checkout::new();
    let walk = blocks(&page("docs/podman.md"), &["sh", "sh lab"]).join("\n");
    assert!(walk.contains("podman run -d --name b"), "docs/podman.md has other blocks: {walk}");
    let readme = page("README.md");
    let short: Vec<String> =
        blocks(&readme, &["sh"]).into_iter().filter(|block| block.contains("podman run")).collect();
    let [short] = &short[..] else { panic!("README.md has {} blocks with podman", short.len()) };
    // A person is slower than the agent.
    let ready = "until curl -sf --unix-socket /run/multi-nic/api.sock http://localhost/readyz >/dev/null; do sleep 0.2; done";
    let short = short.replace(" &\n", &format!(" & agent=$!\n{ready}\n"));
    assert!(short.contains(ready), "README.md starts no agent: {short}");

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

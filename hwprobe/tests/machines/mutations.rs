//! Machines whose files and answers are damaged: nothing panics, and one broken device never hides the others.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hwprobe::{Failure, Inventory, Nic, Probe, Snapshot};
use netlink::LinkAddress;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::collection::machines;

/// Damaged machines that a run of the test probes; always the same ones.
const CASES: u32 = 2_000;

/// Far more than any of them takes, far less than for ever.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// One way to damage a machine. The indexes choose among what the machine has.
#[derive(Debug, Clone)]
enum Damage {
    DropFile(Index),
    DropLink(Index),
    DropBelow(Index, Index),
    DropFolder(Index),
    Truncate(Index, Index),
    Garbage(Index, Vec<u8>),
    HugeNumber(Index, i128),
    Unreadable(Index),
    Retarget(Index, &'static str),
    Circle(Index, Index),
    NoKernelLink(Index),
    SameIndex(Index, Index),
    SameMac(Index, Index),
    Number(Index, u32),
    Masters(Index, Index),
    Lowers(Index, Index),
    Kind(Index, String),
    LongAddress(Index, u8),
    ForeignVfs(Index, u32),
    NoEthtool(Index),
    Module(Index, String),
    NoDevlinkDevice(Index),
    Refused(u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    use Damage::*;
    let at = any::<Index>;
    let target = prop::sample::select(vec![
        "..",
        ".",
        "",
        "/",
        "../../../../../../../../../../etc",
        "/etc/passwd",
        "../../../devices/pci0000:00/0000:00:99.9",
        "../../../devices/virtual/net/nothing",
        "devices/",
        "self/self/self",
    ]);
    let files = prop_oneof![
        at().prop_map(DropFile),
        at().prop_map(DropLink),
        (at(), at()).prop_map(|(a, b)| DropBelow(a, b)),
        at().prop_map(DropFolder),
        (at(), at()).prop_map(|(a, b)| Truncate(a, b)),
        (at(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(a, bytes)| Garbage(a, bytes)),
        (at(), any::<i128>()).prop_map(|(a, number)| HugeNumber(a, number)),
        at().prop_map(Unreadable),
        (at(), target).prop_map(|(a, target)| Retarget(a, target)),
        (at(), at()).prop_map(|(a, b)| Circle(a, b)),
    ];
    let kernel = prop_oneof![
        at().prop_map(NoKernelLink),
        (at(), at()).prop_map(|(a, b)| SameIndex(a, b)),
        (at(), at()).prop_map(|(a, b)| SameMac(a, b)),
        (at(), any::<u32>()).prop_map(|(a, index)| Number(a, index)),
        (at(), at()).prop_map(|(a, b)| Masters(a, b)),
        (at(), at()).prop_map(|(a, b)| Lowers(a, b)),
        (at(), "[a-z0-9]{0,12}").prop_map(|(a, kind)| Kind(a, kind)),
        (at(), 0u8..255).prop_map(|(a, length)| LongAddress(a, length)),
        (at(), any::<u32>()).prop_map(|(a, index)| ForeignVfs(a, index)),
        at().prop_map(NoEthtool),
        (at(), "[0-9a-fx]{0,9}").prop_map(|(a, hex)| Module(a, hex)),
        at().prop_map(NoDevlinkDevice),
        (0u8..5).prop_map(Refused),
    ];
    prop_oneof![3 => files, 2 => kernel]
}

/// What the damage reached.
#[derive(Debug, Default)]
struct Reached {
    paths: BTreeSet<String>,
    names: BTreeSet<String>,
    all_links: bool,
}

impl Reached {
    /// The damage reached the files of this NIC's PCI function, or a folder above them.
    fn function(&self, nic: &Nic) -> bool {
        let Some(address) = nic.pci_address().map(|address| address.to_string()) else { return true };
        let folder = nic.bus.as_ref().map(|bus| format!("sys/{}/", bus.path)).unwrap_or_default();
        let entry = format!("sys/bus/pci/devices/{address}/");
        self.paths.iter().any(|path| {
            let inside = format!("{path}/");
            path.contains(&address) || folder.starts_with(&inside) || entry.starts_with(&inside)
        })
    }

    /// The damage reached the link of this name, or how it leads to its device.
    fn netdev(&self, name: &str) -> bool {
        let place = format!("sys/class/net/{name}/");
        let mut paths = self.paths.iter().map(|path| format!("{path}/"));
        self.all_links
            || self.names.contains(name)
            || paths.any(|path| place.starts_with(&path) || path.starts_with(&place))
    }
}

fn key<T: Clone + Ord>(keys: impl Iterator<Item = T>, at: &Index) -> Option<T> {
    let keys: Vec<T> = keys.collect();
    (!keys.is_empty()).then(|| at.get(&keys).clone())
}

/// The file's new content, wherever it lay.
fn put(machine: &mut Snapshot, path: &str, content: &[u8]) {
    machine.tree.files.remove(path);
    machine.tree.binary.remove(path);
    machine.tree.insert(path.to_owned(), content);
}

fn apply(damage: &Damage, machine: &mut Snapshot, reached: &mut Reached) {
    let tree = &mut machine.tree;
    let file =
        |tree: &hwprobe::FileTree, at: &Index| key(tree.files.keys().chain(tree.binary.keys()).cloned(), at);
    match damage {
        Damage::DropFile(at) => {
            let Some(path) = file(tree, at) else { return };
            tree.files.remove(&path);
            tree.binary.remove(&path);
            reached.paths.insert(path);
        }
        Damage::DropLink(at) => {
            let Some(path) = key(tree.links.keys().cloned(), at) else { return };
            tree.links.remove(&path);
            reached.paths.insert(path);
        }
        Damage::DropBelow(at, depth) => {
            let Some(path) = file(tree, at) else { return };
            let parts: Vec<&str> = path.split('/').collect();
            let place = parts[..1 + depth.index(parts.len())].join("/");
            let below = |path: &String| *path == place || path.starts_with(&format!("{place}/"));
            tree.files.retain(|path, _| !below(path));
            tree.binary.retain(|path, _| !below(path));
            tree.links.retain(|path, _| !below(path));
            tree.folders.retain(|path, _| !below(path));
            reached.paths.insert(place);
        }
        Damage::DropFolder(at) => {
            let Some(path) = key(tree.folders.keys().cloned(), at) else { return };
            tree.folders.remove(&path);
            reached.paths.insert(path);
        }
        Damage::Truncate(at, length) => {
            let Some(path) = key(tree.files.keys().cloned(), at) else { return };
            let mut bytes = tree.files[&path].clone().into_bytes();
            bytes.truncate(length.index(bytes.len() + 1));
            put(machine, &path, &bytes);
            reached.paths.insert(path);
        }
        Damage::Garbage(at, bytes) => {
            let Some(path) = file(tree, at) else { return };
            put(machine, &path, bytes);
            reached.paths.insert(path);
        }
        Damage::HugeNumber(at, number) => {
            let Some(path) = file(tree, at) else { return };
            put(machine, &path, format!("{number}\n").as_bytes());
            reached.paths.insert(path);
        }
        Damage::Unreadable(at) => {
            let Some(path) = file(tree, at) else { return };
            tree.unreadable.insert(path.clone(), "Input/output error (EIO)".to_owned());
            reached.paths.insert(path);
        }
        Damage::Retarget(at, target) => {
            let Some(path) = key(tree.links.keys().cloned(), at) else { return };
            tree.links.insert(path.clone(), (*target).to_owned());
            reached.paths.insert(path);
        }
        Damage::Circle(one, other) => {
            let links = || tree.links.keys().cloned();
            let (Some(one), Some(other)) = (key(links(), one), key(links(), other)) else { return };
            tree.links.insert(one.clone(), format!("/{other}"));
            tree.links.insert(other.clone(), format!("/{one}"));
            reached.paths.extend([one, other]);
        }
        _ => answers(damage, machine, reached),
    }
}

fn answers(damage: &Damage, machine: &mut Snapshot, reached: &mut Reached) {
    let kernel = &mut machine.kernel;
    if let Damage::Refused(what) = damage {
        let failure = || Failure { source: "netlink".to_owned(), error: "Resource busy (EBUSY)".to_owned() };
        match what {
            0 => (kernel.links, reached.all_links) = (Err(failure()), true),
            1 => kernel.addresses = Err(failure()),
            2 => kernel.default_routes = Err(failure()),
            3 => kernel.devlink = Err(failure()),
            _ => kernel.ethtool_failure = Some(failure()),
        }
        return;
    }
    let (modules, ethtool, devlink) = (&mut kernel.modules, &mut kernel.ethtool, &mut kernel.devlink);
    let Ok(links) = &mut kernel.links else { return };
    if links.is_empty() {
        return;
    }
    let count = links.len();
    let mut reach = |links: &[netlink::route::Link], at: usize| {
        reached.names.insert(links[at].name.clone());
        at
    };
    match damage {
        Damage::NoKernelLink(at) => {
            let at = reach(links, at.index(count));
            links.remove(at);
        }
        Damage::SameIndex(one, other) => {
            let (one, other) = (reach(links, one.index(count)), reach(links, other.index(count)));
            links[one].index = links[other].index;
        }
        Damage::SameMac(one, other) => {
            links[one.index(count)].address = links[other.index(count)].address.clone()
        }
        Damage::Number(at, index) => {
            // Whoever has that number already is reached as well.
            if let Some(twin) = links.iter().position(|link| link.index == *index) {
                reach(links, twin);
            }
            let at = reach(links, at.index(count));
            links[at].index = *index;
        }
        Damage::Masters(one, other) => {
            let (one, other) = (one.index(count), other.index(count));
            (links[one].master, links[other].master) = (Some(links[other].index), Some(links[one].index));
        }
        Damage::Lowers(one, other) => {
            let (one, other) = (one.index(count), other.index(count));
            (links[one].lower, links[other].lower) = (Some(links[other].index), Some(links[one].index));
        }
        Damage::Kind(at, kind) => links[at.index(count)].kind = Some(kind.clone()),
        Damage::LongAddress(at, length) => {
            let bytes: Vec<u8> = (0..*length).collect();
            let link = &mut links[at.index(count)];
            (link.address, link.permanent_address) = (Some(LinkAddress::new(bytes.clone())), None);
            (link.phys_switch_id, link.phys_port_id) = (None, Some(LinkAddress::new(bytes)));
        }
        Damage::ForeignVfs(at, index) => {
            let Some(vf) = links.iter().find_map(|link| link.vfs.first().cloned()) else { return };
            let vfs = &mut links[at.index(count)].vfs;
            vfs.push(vf.clone());
            vfs.push(vf);
            vfs.iter_mut().for_each(|vf| vf.index = *index);
        }
        Damage::NoEthtool(at) => {
            ethtool.remove(&links[at.index(count)].index);
        }
        Damage::Module(at, hex) => {
            modules.insert(links[at.index(count)].index, hex.clone());
        }
        Damage::NoDevlinkDevice(at) => {
            if let Ok(devlink) = devlink
                && !devlink.devices.is_empty()
            {
                devlink.devices.remove(at.index(devlink.devices.len()));
            }
        }
        _ => unreachable!("damage to files"),
    }
}

/// The PCI bus lists it as a network function; others are known by their netdev alone.
fn on_bus(nic: &Nic, machine: &Snapshot) -> bool {
    let class = nic.pci.as_ref().and_then(|pci| pci.class.as_deref()).unwrap_or_default();
    let address = nic.pci_address().map(|address| address.to_string()).unwrap_or_default();
    class.starts_with("02") && machine.tree.links.contains_key(&format!("sys/bus/pci/devices/{address}"))
}

/// The PCI functions and netdevs of a sound machine that the damage did not reach but its inventory lacks.
fn hidden(machine: &Snapshot, sound: &Inventory, damaged: &Inventory, reached: &Reached) -> Vec<String> {
    let functions = sound.nics.iter().filter(|nic| {
        let netdev_stays = nic.name.as_ref().is_some_and(|name| !reached.netdev(name));
        nic.pci_address().is_some() && !reached.function(nic) && (netdev_stays || on_bus(nic, machine))
    });
    let missing = functions.filter(|nic| {
        let address = nic.pci_address();
        !damaged.nics.iter().any(|found| found.pci_address() == address)
    });
    let mut hidden: Vec<String> = missing.map(|nic| nic.id.to_string()).collect();
    let named = sound.nics.iter().filter(|nic| nic.held.as_ref().is_none_or(|held| held.namespace.is_none()));
    for name in named.filter_map(|nic| nic.name.as_ref()).filter(|name| !reached.names.contains(*name)) {
        if !reached.all_links && !damaged.nics.iter().any(|found| found.name.as_ref() == Some(name)) {
            hidden.push(name.clone());
        }
    }
    hidden
}

#[test]
fn one_broken_device_never_hides_the_others() {
    let machines: Vec<_> = machines()
        .into_iter()
        .map(|machine| (machine.snapshot(), machine.settings()))
        .map(|(snapshot, settings)| {
            let sound = Probe::of_snapshot(snapshot.clone(), settings.clone()).inventory();
            (snapshot, settings, sound)
        })
        .collect();
    let config =
        Config { cases: CASES, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);

    let outcome =
        runner.run(&(any::<Index>(), prop::collection::vec(damage(), 1..12)), |(which, damages)| {
            let (snapshot, settings, sound) = which.get(&machines);
            let (mut machine, mut reached) = (snapshot.clone(), Reached::default());
            damages.iter().for_each(|damage| apply(damage, &mut machine, &mut reached));
            let start = Instant::now();

            let damaged = Probe::of_snapshot(machine, settings.clone()).inventory();

            prop_assert!(start.elapsed() < TIME_LIMIT, "took {:?}", start.elapsed());
            let hidden = hidden(snapshot, sound, &damaged, &reached);
            prop_assert!(hidden.is_empty(), "{}: {:?} are hidden", snapshot.note, hidden);
            let ids: BTreeSet<&str> = damaged.nics.iter().map(|nic| nic.id.as_str()).collect();
            prop_assert_eq!(ids.len(), damaged.nics.len(), "an id stands for two NICs");
            Ok(())
        });

    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

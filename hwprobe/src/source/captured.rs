//! The kernel's answers as far as the files of a captured `/sys` and `/proc` give them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink::LinkAddress;
use netlink::ethtool::{Answers, Duplex, LinkModes};
use netlink::route::{Address, Link, NextHop, OperState, Route, RouteHop, Vlan};

use super::files::{Files, value};
use super::kernel::{Answer, DevlinkAnswers, ForeignNamespace, Kernel, Origin, VfioHolder};
use crate::model::Failure;
use crate::read::pci::folder_of_target;

/// The first link index of those that stand for an unknown one: the kernel's are positive `int`s.
pub(crate) const INVENTED_INDEX: u32 = 1 << 31;

/// A machine of which only files are left.
pub(crate) struct CapturedKernel<F> {
    files: F,
    /// Folders of the netdevs by index, as [`Kernel::links`] found them.
    folders: RefCell<BTreeMap<u32, Netdev>>,
}

/// The folder of a netdev, its links resolved, and what is in it: opening what is not there is half the cost
/// of reading a thousand of them.
#[derive(Debug, Clone)]
struct Netdev {
    folder: String,
    names: Vec<String>,
}

impl Netdev {
    fn open(files: &impl Files, name: &str) -> Self {
        let place = format!("sys/class/net/{name}");
        let target = files.read_link(&place).ok().flatten();
        let folder = target.map_or(place, |target| folder_of_target(&target));
        let names = files.list(&folder).unwrap_or_default();
        Self { folder, names }
    }

    /// Path of a file in it; `None` when there is no such file.
    fn path(&self, file: &str) -> Option<String> {
        let there = self.names.binary_search_by(|name| name.as_str().cmp(file)).is_ok();
        there.then(|| format!("{}/{file}", self.folder))
    }

    fn text(&self, files: &impl Files, file: &str) -> Option<String> {
        files.text(&self.path(file)?).ok().flatten()
    }

    fn number<T: std::str::FromStr>(&self, files: &impl Files, file: &str) -> Option<T> {
        number(files, &self.path(file)?)
    }
}

impl<F: Files + Sync> CapturedKernel<F> {
    /// Answers from `files`.
    pub(crate) fn new(files: F) -> Self {
        Self { files, folders: RefCell::default() }
    }

    fn index_of(&self, name: &str) -> Option<u32> {
        index_of(&self.files, name)
    }
}

fn index_of(files: &impl Files, name: &str) -> Option<u32> {
    number(files, &format!("sys/class/net/{name}/ifindex"))
}

/// The links of these names, in their order. A thousand of them are twenty thousand files: as many threads read
/// as there are processors.
fn links_of<F: Files + Sync>(files: &F, names: &[String]) -> Vec<(Link, Netdev)> {
    // A partial tree may lack `ifindex`; then a number that no kernel gives tells the links apart.
    let read = |start: usize, names: &[String]| -> Vec<(Link, Netdev)> {
        let fallback = |at: usize| INVENTED_INDEX + (start + at) as u32;
        names.iter().enumerate().map(|(at, name)| link_of(files, name, fallback(at))).collect()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = names.len().div_ceil(threads).max(64);
    std::thread::scope(|scope| {
        let parts = names.chunks(share).enumerate();
        let running: Vec<_> = parts.map(|(at, part)| scope.spawn(move || read(at * share, part))).collect();
        // A reader that failed has nothing to give; the machine's other links are there.
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

/// A link and its folder; `fallback` is its index where the tree does not tell.
fn link_of(files: &impl Files, name: &str, fallback: u32) -> (Link, Netdev) {
    let netdev = Netdev::open(files, name);
    let text = |file: &str| netdev.text(files, file);
    let num = |file: &str| netdev.number::<u32>(files, file);
    let bytes = |file: &str| text(file)?.parse::<LinkAddress>().ok();
    let mut link = Link::default();
    let uevent = text("uevent").unwrap_or_default();
    let said = |key: &str| uevent.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let index = said("IFINDEX").and_then(|index| index.parse().ok());
    link.index = index.or_else(|| num("ifindex")).unwrap_or(fallback);
    link.name = name.to_owned();
    link.link_type = num("type").and_then(|kind| u16::try_from(kind).ok()).unwrap_or(1);
    link.flags =
        text("flags").and_then(|hex| u32::from_str_radix(hex.trim_start_matches("0x"), 16).ok()).unwrap_or(0);
    link.kind = said("DEVTYPE").map(str::to_owned);
    link.mtu = num("mtu");
    link.address = bytes("address");
    link.oper_state = text("operstate").and_then(|name| OperState::from_name(&name));
    link.carrier = num("carrier").map(|carrier| carrier == 1);
    link.flags |= running_flags(&link);
    link.carrier_changes = num("carrier_changes");
    link.group = num("netdev_group");
    link.tx_queue_len = num("tx_queue_len");
    link.alias = text("ifalias");
    link.phys_port_id = text("phys_port_id").and_then(|hex| bytes_of(&hex));
    link.phys_port_name = text("phys_port_name");
    link.phys_switch_id = text("phys_switch_id").and_then(|hex| bytes_of(&hex));
    let master = netdev.path("master").and_then(|path| files.link_name(&path).ok().flatten());
    link.master = master.and_then(|name| index_of(files, &name));
    link.lower = num("iflink").filter(|lower| *lower != link.index && *lower != 0);
    let queues = netdev.path("queues").and_then(|path| files.list(&path).ok()).unwrap_or_default();
    let count = |prefix| {
        Some(queues.iter().filter(|name| name.starts_with(prefix)).count() as u32).filter(|n| *n > 0)
    };
    (link.tx_queues, link.rx_queues) = (count("tx-"), count("rx-"));
    kind_details(files, &netdev, &mut link);
    (link, netdev)
}

/// What tells a virtual link's kind where there is no `DEVTYPE`.
fn kind_details(files: &impl Files, netdev: &Netdev, link: &mut Link) {
    const FILES: [(&str, &str); 3] = [("bonding", "bond"), ("bridge", "bridge"), ("tun_flags", "tun")];
    if link.kind.is_none() {
        let kind = FILES.iter().find(|(file, _)| netdev.path(file).is_some());
        link.kind = kind.map(|(_, kind)| (*kind).to_owned());
    }
    // Only a link above another one can be a VLAN.
    if link.lower.is_none() {
        return;
    }
    let vlan = files.text(&format!("proc/net/vlan/{}", link.name)).ok().flatten();
    if let Some(id) =
        vlan.and_then(|text| text.split("VID: ").nth(1)?.split_whitespace().next()?.parse().ok())
    {
        let mut vlan = Vlan::default();
        vlan.id = id;
        link.kind = Some("vlan".to_owned());
        link.detail = Some(netlink::route::LinkDetail::Vlan(vlan));
    }
}

/// What `/sys/class/net/*/flags` leaves out and netlink adds (`dev_get_flags`, `net/core/dev.c`).
fn running_flags(link: &Link) -> u32 {
    const RUNNING: u32 = 1 << 6;
    const LOWER_UP: u32 = 1 << 16;
    const DORMANT: u32 = 1 << 17;
    if !link.is_up() {
        return 0;
    }
    let state = match link.oper_state {
        Some(OperState::Up | OperState::Unknown) => RUNNING,
        Some(OperState::Dormant) => DORMANT,
        _ => 0,
    };
    if link.carrier == Some(true) { state | LOWER_UP } else { state }
}

/// A number in a file; anything else is `None`.
fn number<T: std::str::FromStr>(files: &(impl Files + ?Sized), path: &str) -> Option<T> {
    value(files, path, |text| text.parse().ok()).ok().flatten()
}

/// Bytes of hexadecimal text, with or without colons.
fn bytes_of(hex: &str) -> Option<LinkAddress> {
    let digits: Vec<char> = hex.chars().filter(|c| *c != ':').collect();
    let pair = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok();
    digits
        .chunks(2)
        .map(pair)
        .collect::<Option<Vec<u8>>>()
        .filter(|bytes| !bytes.is_empty())
        .map(LinkAddress::new)
}

impl<F: Files + Sync> Kernel for CapturedKernel<F> {
    fn origin(&self) -> Origin {
        Origin::Sysfs
    }

    fn links(&self) -> Answer<Vec<Link>> {
        self.folders.borrow_mut().clear();
        let mut names = self.files.list("sys/class/net")?;
        // A file of the bonding driver lies among the links.
        names.retain(|name| name != "bonding_masters");
        let found = links_of(&self.files, &names);
        let mut folders = self.folders.borrow_mut();
        let links = found.into_iter().map(|(link, netdev)| {
            folders.insert(link.index, netdev);
            link
        });
        Ok(links.collect())
    }

    fn unread_links(&self) -> Vec<Failure> {
        Vec::new()
    }

    fn addresses(&self) -> Answer<Vec<Address>> {
        let text = self.files.text("proc/net/if_inet6")?.unwrap_or_default();
        Ok(text.lines().filter_map(inet6_line).collect())
    }

    fn default_routes(&self) -> Answer<Vec<Route>> {
        let v4 = self.files.text("proc/net/route")?.unwrap_or_default();
        let v6 = self.files.text("proc/net/ipv6_route")?.unwrap_or_default();
        let v4 = v4.lines().skip(1).filter_map(|line| ipv4_default(line, |name| self.index_of(name)));
        let v6 = v6.lines().filter_map(|line| ipv6_default(line, |name| self.index_of(name)));
        Ok(v4.chain(v6).collect())
    }

    fn route_to(&self, _destination: IpAddr) -> Answer<Option<RouteHop>> {
        Ok(None)
    }

    fn foreign_links(&self) -> Answer<Vec<ForeignNamespace>> {
        Ok(Vec::new())
    }

    fn ethtool(&self, indexes: &[u32]) -> Answer<BTreeMap<u32, Answers>> {
        let mut found = BTreeMap::new();
        for (index, netdev) in self.folders.borrow().iter().filter(|(index, _)| indexes.contains(index)) {
            let speed = netdev.number::<i64>(&self.files, "speed");
            let duplex = netdev.text(&self.files, "duplex");
            let mut modes = LinkModes::default();
            modes.speed = speed
                .and_then(|speed| u32::try_from(speed).ok())
                .filter(|speed| !matches!(*speed, 0 | u32::MAX));
            modes.duplex = match duplex.as_deref() {
                Some("full") => Some(Duplex::Full),
                Some("half") => Some(Duplex::Half),
                _ => None,
            };
            let mut answers = Answers::default();
            answers.link_modes = Some(modes);
            found.insert(*index, answers);
        }
        Ok(found)
    }

    fn module_identity(&self, _index: u32) -> Answer<Option<Vec<u8>>> {
        Ok(None)
    }

    fn devlink(&self) -> Answer<DevlinkAnswers> {
        Ok(DevlinkAnswers::default())
    }

    fn vfio_holders(&self, _nodes: &[String]) -> Answer<Vec<VfioHolder>> {
        let error = "a captured tree does not say what processes have open".to_owned();
        Err(Failure { source: "/proc/<pid>/fd".to_owned(), error })
    }
}

/// A line of `/proc/net/if_inet6`: address, index, prefix, scope, flags (all hexadecimal), name.
fn inet6_line(line: &str) -> Option<Address> {
    let mut words = line.split_whitespace();
    let address = Ipv6Addr::from(u128::from_str_radix(words.next()?, 16).ok()?);
    let mut hex = || u32::from_str_radix(words.next()?, 16).ok();
    let (index, prefix, scope, flags) = (hex()?, hex()?, hex()?, hex()?);
    let mut found = Address::new(index, address.into(), u8::try_from(prefix).ok()?);
    // The kernel's IPV6_ADDR_* scope bits, as `ip` names them.
    found.scope = match scope & 0xf0 {
        0x20 => 253,
        0x10 => 254,
        0x40 => 200,
        _ => 0,
    };
    found.flags = flags;
    Some(found)
}

/// A line of `/proc/net/route`: name, destination, gateway, flags, …, mask; little-endian hexadecimal.
fn ipv4_default(line: &str, index_of: impl Fn(&str) -> Option<u32>) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (name, destination, gateway, mask) = (words.first()?, words.get(1)?, words.get(2)?, words.get(7)?);
    if *destination != "00000000" || *mask != "00000000" {
        return None;
    }
    let mut hop = NextHop::default();
    hop.index = Some(index_of(name)?);
    let gateway = Ipv4Addr::from(u32::from_str_radix(gateway, 16).ok()?.swap_bytes());
    hop.gateway = (!gateway.is_unspecified()).then_some(gateway.into());
    Some(Route::new(Ipv4Addr::UNSPECIFIED.into(), 0, 254, vec![hop]))
}

/// A line of `/proc/net/ipv6_route`: destination, prefix, source, prefix, next hop, metric, …, flags, name.
fn ipv6_default(line: &str, index_of: impl Fn(&str) -> Option<u32>) -> Option<Route> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (destination, prefix, gateway, name) = (words.first()?, words.get(1)?, words.get(4)?, words.get(9)?);
    // `lo` carries the kernel's unreachable default.
    if u128::from_str_radix(destination, 16).ok()? != 0 || *prefix != "00" || *name == "lo" {
        return None;
    }
    let mut hop = NextHop::default();
    hop.index = Some(index_of(name)?);
    let gateway = Ipv6Addr::from(u128::from_str_radix(gateway, 16).ok()?);
    hop.gateway = (!gateway.is_unspecified()).then_some(gateway.into());
    Some(Route::new(Ipv6Addr::UNSPECIFIED.into(), 0, 254, vec![hop]))
}

//! The kernel's answers as far as the files of a captured `/sys` and `/proc` give them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink::LinkAddress;
use netlink::ethtool::{Answers, Duplex, LinkModes};
use netlink::route::{Address, Link, NextHop, OperState, Route, RouteHop, Vlan};

use super::files::{Files, RootedFiles};
use super::kernel::{Answer, DevlinkAnswers, ForeignNamespace, Kernel, Origin, VfioHolder};
use super::shares::shared;
use crate::model::Failure;
use crate::read::pci::{folder_of_target, is_pci_folder};

/// The first link index of those that stand for an unknown one: the kernel's are positive `int`s.
pub(crate) const INVENTED_INDEX: u32 = 1 << 31;

/// A machine of which only files are left.
pub(crate) struct CapturedKernel {
    files: RootedFiles,
    /// Speed and duplex by index of the netdevs that know them, as [`Kernel::links`] found them.
    modes: RefCell<BTreeMap<u32, LinkModes>>,
}

impl CapturedKernel {
    /// Answers from `files`.
    pub(crate) fn new(files: RootedFiles) -> Self {
        Self { files, modes: RefCell::default() }
    }

    fn index_of(&self, name: &str) -> Option<u32> {
        index_of(&self.files, name)
    }
}

fn index_of(files: &dyn Files, name: &str) -> Option<u32> {
    files.text(&format!("sys/class/net/{name}/ifindex")).ok()??.parse().ok()
}

/// The links of these names, in their order. A thousand of them are twenty thousand files.
fn links_of(files: &dyn Files, names: &[String]) -> Vec<(Link, Option<LinkModes>)> {
    // A partial tree may lack `ifindex`; then a number that no kernel gives tells the links apart.
    let fallback = |at: usize| INVENTED_INDEX + at as u32;
    shared(names, |start, names| {
        let near = files.near("sys/class/net");
        let files = near.as_deref().unwrap_or(files);
        names.iter().enumerate().map(|(at, name)| link_of(files, name, fallback(start + at))).collect()
    })
}

/// A link, and its speed and duplex if it knows them; `fallback` is its index where the tree does not tell.
fn link_of(files: &dyn Files, name: &str, fallback: u32) -> (Link, Option<LinkModes>) {
    let place = format!("sys/class/net/{name}");
    let target = files.read_link(&place).ok().flatten();
    let folder = target.map_or(place, |target| folder_of_target(&target));
    let near = files.near(&folder);
    let files = near.as_deref().unwrap_or(files);
    // What is not there is not asked for: that would be half the cost of reading a thousand links.
    let names = files.list(&folder).unwrap_or_default();
    let has = |file: &str| names.binary_search_by(|name| name.as_str().cmp(file)).is_ok();
    let path = |file: &str| has(file).then(|| format!("{folder}/{file}"));
    let text = |file: &str| files.text(&path(file)?).ok().flatten();
    let num = |file: &str| text(file)?.parse::<u32>().ok();
    let bytes = |file: &str| text(file)?.parse::<LinkAddress>().ok();
    let mut link = Link::default();
    let device = folder.strip_suffix(&format!("/net/{name}")).filter(|device| is_pci_folder(device));
    link.parent_bus = device.map(|_| "pci".to_owned());
    link.parent_device = device.and_then(|device| device.rsplit('/').next()).map(str::to_owned);
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
    let master = path("master").and_then(|path| files.link_name(&path).ok().flatten());
    link.master = master.and_then(|name| index_of(files, &name));
    link.lower = num("iflink").filter(|lower| *lower != link.index && *lower != 0);
    let queues = path("queues").and_then(|path| files.list(&path).ok()).unwrap_or_default();
    let count = |prefix| {
        Some(queues.iter().filter(|name| name.starts_with(prefix)).count() as u32).filter(|n| *n > 0)
    };
    (link.tx_queues, link.rx_queues) = (count("tx-"), count("rx-"));
    // What tells a virtual link's kind where there is no `DEVTYPE`.
    const KINDS: [(&str, &str); 3] = [("bonding", "bond"), ("bridge", "bridge"), ("tun_flags", "tun")];
    if link.kind.is_none() {
        let kind = KINDS.iter().find(|(file, _)| has(file));
        link.kind = kind.map(|(_, kind)| (*kind).to_owned());
    }
    vlan_details(files, &mut link);
    let modes = modes_of(num("speed"), text("duplex"));
    (link, modes)
}

/// Speed and duplex as ethtool would tell them; `None` when neither is known.
fn modes_of(speed: Option<u32>, duplex: Option<String>) -> Option<LinkModes> {
    let mut modes = LinkModes::default();
    modes.speed = speed.filter(|speed| !matches!(*speed, 0 | u32::MAX));
    modes.duplex = match duplex.as_deref() {
        Some("full") => Some(Duplex::Full),
        Some("half") => Some(Duplex::Half),
        _ => None,
    };
    (modes != LinkModes::default()).then_some(modes)
}

/// The tag of a VLAN.
fn vlan_details(files: &dyn Files, link: &mut Link) {
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

impl Kernel for CapturedKernel {
    fn origin(&self) -> Origin {
        Origin::Sysfs
    }

    fn links(&self) -> Answer<Vec<Link>> {
        self.modes.borrow_mut().clear();
        let mut names = self.files.list("sys/class/net")?;
        // A file of the bonding driver lies among the links.
        names.retain(|name| name != "bonding_masters");
        let mut all = self.modes.borrow_mut();
        let links = links_of(&self.files, &names).into_iter().map(|(link, modes)| {
            modes.map(|modes| all.insert(link.index, modes));
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
        let all = self.modes.borrow();
        let answers = |index: &u32| {
            let mut answers = Answers::default();
            answers.link_modes = Some(all.get(index)?.clone());
            Some((*index, answers))
        };
        Ok(indexes.iter().filter_map(answers).collect())
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

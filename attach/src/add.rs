//! ADD: choose, reserve, write down, wire, answer; everything back when a step fails.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cni::delegate::{self, Target};
use cni::error::code;
use cni::{CniResult, Error};
use datapath::DatapathError;
use datapath::netns::{PodNamespace, cookie_of, open_path};
use ipnet::IpNet;
use store::{Batch, Table};

use crate::book::sticky;
use crate::delegated::{self, Conversation};
use crate::engine::{Engine, Event, hw_addr, kernel_error, words};
use crate::failpoint;
use crate::links;
use crate::network::Network;
use crate::plan::{self, Addresses};
use crate::record::{Attachment, Delegate, Leased, Phase, Tool};
use crate::request::Request;
use crate::select::{Chosen, Known, LinkUse, Selection, select};

/// The steps with their times.
struct Clock {
    last: Instant,
    timings: Vec<(String, u64)>,
}

impl Clock {
    fn new() -> Self {
        Self { last: Instant::now(), timings: Vec::new() }
    }

    fn step(&mut self, name: &str) {
        let now = Instant::now();
        let micros = u64::try_from((now - self.last).as_micros()).unwrap_or(u64::MAX);
        self.timings.push((name.to_owned(), micros));
        self.last = now;
    }
}

impl Engine {
    /// Attaches.
    pub(crate) fn add(
        &self,
        request: &Request,
        netns: Option<OwnedFd>,
        conversation: &mut dyn Conversation,
    ) -> Result<CniResult, Error> {
        let _one = self.one_for(&request.key)?;
        let fd = netns.ok_or_else(|| {
            Error::new(code::INVALID_NAMESPACE, "the call came without a descriptor of the network namespace")
        })?;
        let mut clock = Clock::new();
        if request.tool == Tool::Ipam {
            return self.add_addresses(request, &fd, conversation);
        }
        let mut pod = PodNamespace::open(fd)
            .map_err(|error| Error::new(code::INVALID_NAMESPACE, format!("CNI_NETNS: {}", words(&error))))?;
        self.refuse_host(request, pod.cookie())?;
        self.settle_note(request, conversation);
        let kept = match self.known(request, &mut pod, conversation)? {
            Before::Same(result) => return Ok(result),
            Before::Another(kept) => kept,
        };
        clock.step("namespace");
        let link = request.link_use()?;
        let mut attachment = self.reserve(request, link.as_ref(), pod.cookie(), &kept)?;
        clock.step("reserve");
        failpoint::reached("add.committed");
        let made = match &link {
            Some(_) => self.make(request, &mut attachment, &mut pod, conversation, &mut clock),
            None => self.delegate(request, &mut attachment, conversation),
        };
        match made {
            Ok(result) => {
                clock.step("answer");
                attachment.timings = clock.timings;
                self.end(attachment, &result);
                Ok(result)
            }
            Err(error) => {
                self.take_back(attachment, conversation);
                Err(error)
            }
        }
    }

    fn refuse_host(&self, request: &Request, cookie: u64) -> Result<(), Error> {
        if !self.home.is_host(cookie) || request.environment.netns_override {
            return Ok(());
        }
        let path = &request.environment.netns;
        Err(Error::new(
            code::INVALID_NAMESPACE,
            format!("CNI_NETNS: {path} is the host's own network namespace"),
        ))
    }

    /// What the key stands for already (TRAPS P6).
    fn known(
        &self,
        request: &Request,
        pod: &mut PodNamespace,
        conversation: &mut dyn Conversation,
    ) -> Result<Before, Error> {
        let Some(old) = self.book().attachments.get(&request.key).cloned() else {
            return Ok(Before::Another(Vec::new()));
        };
        let same_place = old.boot == self.parts.boot && old.cookie == Some(pod.cookie());
        if same_place && old.phase == Phase::Attached {
            if old.digest != request.digest {
                let error = Error::new(
                    code::INVALID_CONFIG,
                    format!("{} is attached with another configuration or other arguments", request.key),
                );
                return Err(error.with_details("delete it first"));
            }
            if let (Ok(()), Some(result)) = (self.compare(&old, pod), &old.result) {
                return Ok(Before::Same(CniResult::parse(result)?));
            }
        }
        let kept = sticky(&old);
        let mut old = (*old).clone();
        old.phase = Phase::Detaching;
        self.detach(old, same_place.then_some(pod), conversation)?;
        Ok(Before::Another(kept))
    }

    /// Chooses NICs, reserves addresses and writes both down.
    fn reserve(
        &self,
        request: &Request,
        link: Option<&LinkUse>,
        cookie: u64,
        kept: &[(IpNet, std::net::IpAddr)],
    ) -> Result<Attachment, Error> {
        self.store()?;
        let inventory = (self.parts.inventory)()
            .ok_or_else(|| Error::new(code::TRY_AGAIN, "the agent has not read this node's NICs yet"))?;
        let networks = (self.parts.networks)();
        let network = networks.networks.get(&request.conf.name).map(Arc::as_ref);
        let by = plan::addresses_by(request)?;
        if let Some(refused) = network.and_then(|network| network.refused.as_deref()) {
            return Err(Error::new(
                code::INVALID_CONFIG,
                format!("network {}: {refused}", request.conf.name),
            ));
        }
        let ours = match (by, network) {
            (Addresses::Blocks, None) => return Err(unknown_network(request, &networks)),
            (Addresses::Blocks, Some(network)) => Some(network),
            _ => None,
        };
        let mut book = self.book();
        book.know(&networks);
        self.wake(&mut book);
        let wish = plan::wish(request, network, link.cloned().unwrap_or_default());
        let known = Known { inventory: &inventory, network, classes: &networks.classes, usage: &book.usage };
        let selection = select(&known, &wish).map_err(|error| plan::select_error(&error))?;
        failpoint::reached("add.selected");
        let group = book.new_group();
        let mut attachment = plan::attachment(request, &selection, &wish.link, group, &self.parts.boot)?;
        attachment.cookie = Some(cookie);
        attachment.sweepable = sees(&request.environment.netns, cookie);
        // Before the move: a crash in the middle of it must know what to give back.
        for moved in attachment.links.iter_mut().filter(|link| link.link == LinkUse::Whole) {
            let taken = self.with_host(|host| datapath::observe::device(host, moved.master_ifindex))?;
            moved.original = Some(links::original(&taken.map_err(|error| kernel_error(&error))?));
        }
        let mut batch = Batch::new();
        let mut reserved = Vec::new();
        if let Some(network) = ours {
            let masters: Vec<(u16, String)> =
                attachment.links.iter().map(|link| (link.index, link.master.clone())).collect();
            let wanted = request.static_ips()?;
            reserved = plan::reserve(&mut book, network, &request.key, &masters, &wanted, kept)?;
            for (index, lease, reservation) in &reserved {
                if let Some(link) = attachment.links.get_mut(usize::from(*index)) {
                    link.addresses.push(lease.clone());
                }
                batch.address(&reservation.change).map_err(|error| kernel_error(&error))?;
            }
        }
        let prepared = self.prepare(request, &mut attachment, &selection, link.is_some(), by);
        let written = prepared.and_then(|()| {
            let key = attachment.key.to_string();
            batch.put(Table::Attachments, &key, &attachment).map_err(|error| kernel_error(&error))
        });
        let cancel = |book: &mut crate::book::Book| {
            for (_, _, reservation) in &reserved {
                book.addresses.cancel(reservation);
            }
        };
        if let Err(error) = written {
            cancel(&mut book);
            return Err(error);
        }
        book.put(Arc::new(attachment.clone()));
        drop(book);
        if let Err(error) = self.commit(batch) {
            let mut book = self.book();
            book.remove(&attachment.key);
            cancel(&mut book);
            // The commit may have reached the disk all the same: whatever is there is struck out with the next one.
            let mut batch = Batch::new();
            batch.delete(Table::Attachments, &attachment.key.to_string());
            for (_, _, reservation) in &reserved {
                let mut change = reservation.change.clone();
                change.state = ipam::State::Free;
                drop(batch.address(&change));
            }
            self.with_next(batch);
            return Err(error);
        }
        Ok(attachment)
    }

    /// Addresses that are known without asking anybody, and the plugins that will be asked first.
    fn prepare(
        &self,
        request: &Request,
        attachment: &mut Attachment,
        selection: &Selection,
        built_in: bool,
        by: Addresses,
    ) -> Result<(), Error> {
        match by {
            Addresses::Given => plan::give_static(&mut attachment.links, request, &selection.chosen)?,
            Addresses::Previous => {
                let before = plan::previous(request)?;
                // Their positions are those of another plugin's interfaces.
                let ips = before.ips.into_iter().map(|ip| cni::result::Ip { interface: None, ..ip });
                let before = CniResult { ips: ips.collect(), routes: Vec::new(), ..before };
                plan::give_from_result(&mut attachment.links, &before, None);
            }
            Addresses::Device => {
                for (link, chosen) in attachment.links.iter_mut().zip(&selection.chosen) {
                    let own = self.first_address(chosen);
                    link.addresses.extend(own.map(|address| Leased { address, block: None, gateway: None }));
                }
            }
            Addresses::Blocks | Addresses::Nobody | Addresses::PluginOnce | Addresses::PluginEach => {}
        }
        if by == Addresses::PluginOnce {
            attachment.delegates.push(ipam_delegate(request, attachment));
            return Ok(());
        }
        if built_in && by != Addresses::PluginEach {
            plan::place_routes(&mut attachment.links);
            return Ok(());
        }
        self.link_delegates(request, attachment, &selection.chosen, built_in)
    }

    /// The plugins of each NIC: its IPAM plugin, or where the links are not ours the main plugin.
    fn link_delegates(
        &self,
        request: &Request,
        attachment: &mut Attachment,
        chosen: &[Chosen],
        built_in: bool,
    ) -> Result<(), Error> {
        let conf = &request.conf;
        let plugin = conf.plugin()?;
        let mut kept = Vec::new();
        for (position, link) in attachment.links.iter().enumerate() {
            let target = Target {
                position,
                master: link.master.clone(),
                device: device(conf, position, link),
                host_address: chosen.get(position).and_then(|chosen| self.first_address(chosen)),
                addresses: link.addresses.iter().map(|lease| lease.address).collect(),
            };
            let Some(config) = delegate::config(conf, plugin, &request.environment.ifname, &target)? else {
                continue;
            };
            let ipam_type =
                config.pointer("/ipam/type").and_then(serde_json::Value::as_str).unwrap_or_default();
            let kind = if built_in { ipam_type.to_owned() } else { plugin.kind.clone() };
            if kind.is_empty() {
                return Err(Error::new(code::INVALID_CONFIG, "ipam.type: is missing"));
            }
            attachment.delegates.push(a_delegate(request, kind, &link.name, config.to_string()));
            kept.push(link.index);
        }
        if kept.is_empty() {
            let words =
                "no NIC fits the plugin: it needs a device of a device plugin, or an entry in ipam.args";
            return Err(Error::new(code::NO_NIC, format!("zero config: {words}")));
        }
        attachment.links.retain(|link| kept.contains(&link.index));
        Ok(())
    }

    /// First IPv4 address of a NIC on the host.
    fn first_address(&self, chosen: &Chosen) -> Option<IpNet> {
        let inventory = (self.parts.inventory)()?;
        let nic = inventory.nics.iter().find(|nic| nic.id == chosen.nic)?;
        let mut own = nic.addresses.iter().filter(|ip| ip.is_global() && ip.address.is_ipv4());
        own.next().and_then(|ip| IpNet::new(ip.address, ip.prefix_length).ok())
    }

    /// Makes links of ours, with other plugins' addresses where the request wants those.
    fn make(
        &self,
        request: &Request,
        attachment: &mut Attachment,
        pod: &mut PodNamespace,
        conversation: &mut dyn Conversation,
        clock: &mut Clock,
    ) -> Result<CniResult, Error> {
        if !attachment.delegates.is_empty() {
            let each = plan::addresses_by(request)? == Addresses::PluginEach;
            let results = delegated::add(attachment, 0, conversation)?;
            for (position, result) in results.iter().enumerate() {
                if result.ips.is_empty() {
                    let words = format!("IPAM plugin {} gave no address", request.conf.ipam_type);
                    return Err(Error::new(code::DELEGATE, words));
                }
                plan::give_from_result(&mut attachment.links, result, each.then_some(position));
            }
            plan::place_routes(&mut attachment.links);
            // The addresses are the pod's from now on: a crash must know them to undo the routes and rules.
            self.write_down(attachment)?;
            clock.step("delegates");
            failpoint::reached("add.delegated");
        }
        let _turn = self.permit()?;
        clock.step("wait");
        self.with_host(|host| self.make_vlans(host, attachment))??;
        let wanted: Vec<datapath::PodLink> =
            attachment.links.iter().map(|link| links::wired(link, &request.conf)).collect();
        let several = links::multipath(attachment);
        let mut step = |name: &'static str| -> Result<(), DatapathError> {
            clock.step(name);
            failpoint::reached(&format!("add.{name}"));
            Ok(())
        };
        let made = self.with_host(|host| {
            datapath::wire(host, &self.home, pod, attachment.group, &wanted, &several, &mut step)
        })?;
        let made = made.map_err(|error| wire_error(&error))?;
        let (announcer, ears) = (made.announcer, made.ears);
        if announcer.is_some() || !ears.is_empty() {
            // Letting go of their sockets takes a grace period of the kernel: nobody waits for that here.
            let repeat = move || {
                drop(ears);
                if let Some(announcer) = announcer {
                    announcer.repeat();
                }
            };
            drop(std::thread::Builder::new().name("announce".to_owned()).spawn(repeat));
        }
        for (link, made) in attachment.links.iter_mut().zip(&made.links) {
            link.mac = made.address.as_ref().and_then(hw_addr);
            link.mtu = made.mtu;
            link.original = made.taken.as_ref().map(links::original);
        }
        clock.step("wired");
        failpoint::reached("add.wired");
        Ok(links::result(attachment, &request.conf))
    }

    /// Runs plugins that make the links.
    fn delegate(
        &self,
        request: &Request,
        attachment: &mut Attachment,
        conversation: &mut dyn Conversation,
    ) -> Result<CniResult, Error> {
        let conf = &request.conf;
        let mut first = 0;
        if plan::addresses_by(request)? == Addresses::PluginOnce {
            // What the IPAM plugin gives goes into the configurations of the others.
            let results = delegated::add(attachment, 0, conversation)?;
            for result in &results {
                plan::give_from_result(&mut attachment.links, result, None);
            }
            self.link_delegates(request, attachment, &[], false)?;
            self.write_down(attachment)?;
            first = 1;
        }
        let results = delegated::add(attachment, first, conversation)?;
        let mut merged = CniResult { dns: conf.dns.clone(), ..CniResult::default() };
        for (position, (result, delegate)) in
            results.iter().zip(attachment.delegates.iter().skip(first)).enumerate()
        {
            let name = delegate.ifname.clone();
            let own = result.interfaces.iter().find(|interface| interface.name == name);
            let own =
                own.or_else(|| result.interfaces.iter().rfind(|interface| !interface.sandbox.is_empty()));
            let mut interface = own.cloned().unwrap_or_default();
            interface.name = name;
            interface.sandbox = attachment.netns.clone();
            merged.interfaces.push(interface);
            for ip in &result.ips {
                merged.ips.push(cni::result::Ip { interface: Some(position), ..ip.clone() });
            }
            merged.routes.extend(result.routes.iter().cloned());
        }
        failpoint::reached("add.delegated");
        Ok(merged)
    }

    /// Writes down what has become known meanwhile, and waits.
    fn write_down(&self, attachment: &Attachment) -> Result<(), Error> {
        let mut batch = Batch::new();
        let key = attachment.key.to_string();
        batch.put(Table::Attachments, &key, attachment).map_err(|error| kernel_error(&error))?;
        self.book().put(Arc::new(attachment.clone()));
        self.commit(batch)
    }

    /// Addresses alone, for another main plugin (CONTRACTS §5.10).
    fn add_addresses(
        &self,
        request: &Request,
        fd: &OwnedFd,
        conversation: &mut dyn Conversation,
    ) -> Result<CniResult, Error> {
        if let Some(before) = &request.conf.prev_result {
            let before = CniResult::parse(before)?;
            if !before.ips.is_empty() {
                return Ok(before);
            }
        }
        let cookie = cookie_of(fd.as_fd()).map_err(|error| kernel_error(&error))?;
        self.refuse_host(request, cookie)?;
        let mut kept = Vec::new();
        if let Some(old) = self.book().attachments.get(&request.key).cloned() {
            if old.cookie == Some(cookie)
                && old.boot == self.parts.boot
                && old.digest == request.digest
                && let Some(result) = &old.result
            {
                return CniResult::parse(result);
            }
            kept = sticky(&old);
            self.detach((*old).clone(), None, conversation)?;
        }
        let networks = (self.parts.networks)();
        let network = networks.networks.get(&request.conf.name);
        let network = network.ok_or_else(|| unknown_network(request, &networks))?;
        let mut masters = request.conf.masters.clone();
        if masters.is_empty()
            && let Some(master) = request.conf.raw.get("master").and_then(serde_json::Value::as_str)
        {
            masters.push(master.to_owned());
        }
        let mut result = CniResult { dns: ipam_dns(request), ..CniResult::default() };
        let mut book = self.book();
        book.know(&networks);
        self.wake(&mut book);
        let group = book.new_group();
        let mut attachment = plan::blank(request, group, &self.parts.boot);
        attachment.cookie = Some(cookie);
        attachment.sweepable = sees(&request.environment.netns, cookie);
        let numbered = masters.into_iter().enumerate();
        let numbered: Vec<(u16, String)> =
            numbered.map(|(index, master)| (u16::try_from(index).unwrap_or(u16::MAX), master)).collect();
        let wanted = request.static_ips()?;
        let reserved = plan::reserve(&mut book, network, &request.key, &numbered, &wanted, &kept)?;
        let alone = numbered.len() == 1;
        let mut batch = Batch::new();
        for (index, lease, reservation) in &reserved {
            attachment.addresses.push((*index, lease.clone()));
            // Under a plugin of one link the caller fills the index in; under several it says which is whose.
            let interface = (!alone).then_some(usize::from(*index));
            result.ips.push(cni::result::Ip { address: lease.address, gateway: None, interface });
            batch.address(&reservation.change).map_err(|error| kernel_error(&error))?;
        }
        for (dst, gw) in delegate::routes(&request.conf).0 {
            result.routes.push(cni::result::Route { gw, ..cni::result::plain(dst) });
        }
        attachment.phase = Phase::Attached;
        attachment.result = Some(result.emit(cni::Version::V1_1_0));
        batch
            .put(Table::Attachments, &attachment.key.to_string(), &attachment)
            .map_err(|error| kernel_error(&error))?;
        let attachment = Arc::new(attachment);
        book.put(Arc::clone(&attachment));
        drop(book);
        if let Err(error) = self.commit(batch) {
            let mut book = self.book();
            book.remove(&attachment.key);
            for (_, _, reservation) in &reserved {
                book.addresses.cancel(reservation);
            }
            return Err(error);
        }
        (self.parts.tell)(Event::Attached(attachment));
        Ok(result)
    }

    /// The end of an attach: written with the next commit, waited for by nobody.
    fn end(&self, mut attachment: Attachment, result: &CniResult) {
        attachment.phase = Phase::Attached;
        attachment.result = Some(result.emit(cni::Version::V1_1_0));
        let mut batch = Batch::new();
        drop(batch.put(Table::Attachments, &attachment.key.to_string(), &attachment));
        let attachment = Arc::new(attachment);
        self.book().put(Arc::clone(&attachment));
        self.with_next(batch);
        failpoint::reached("add.ended");
        (self.parts.tell)(Event::Attached(attachment));
    }

    /// After a failure: plugins' DELs, VLANs, addresses, the record. The links are back already.
    fn take_back(&self, mut attachment: Attachment, conversation: &mut dyn Conversation) {
        attachment.phase = Phase::Detaching;
        if let Err(error) = delegated::del(&mut attachment, conversation) {
            tracing::warn!(key = %attachment.key, %error, "a plugin's part of a failed attach is owed");
        }
        self.finish_detach(attachment);
    }
}

enum Before {
    /// The very same is there.
    Same(CniResult),
    /// Nothing, or something else that is gone now; its addresses may be had again.
    Another(Vec<(IpNet, std::net::IpAddr)>),
}

/// A plugin as this request runs it.
fn a_delegate(request: &Request, plugin: String, ifname: &str, config: String) -> Delegate {
    Delegate {
        plugin,
        ifname: ifname.to_owned(),
        config,
        args: cni::environment::without_argument(&request.environment.args, "IP"),
        path: request.environment.path.clone(),
        result: None,
    }
}

/// The IPAM plugin that is called once for all NICs (CONTRACTS §4.2 step 4).
fn ipam_delegate(request: &Request, attachment: &Attachment) -> Delegate {
    let conf = &request.conf;
    let mut raw = conf.raw.clone();
    raw.insert("masters".to_owned(), attachment.links.iter().map(|link| link.master.clone()).collect());
    raw.insert("deviceIDs".to_owned(), conf.devices.clone().into());
    let config = serde_json::Value::Object(raw).to_string();
    a_delegate(request, conf.ipam_type.clone(), &request.environment.ifname, config)
}

fn unknown_network(request: &Request, networks: &crate::network::Networks) -> Error {
    let known: Vec<&str> = networks.networks.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Error::new(code::INVALID_CONFIG, format!("name: this agent has no network `{}`", request.conf.name))
        .with_details(format!("it has: {known}"))
}

/// Whether the agent sees the namespace at its path, so that it may judge by it later (TRAPS P3).
fn sees(path: &str, cookie: u64) -> bool {
    open_path(Path::new(path)).ok().and_then(|fd| cookie_of(fd.as_fd()).ok()) == Some(cookie)
}

fn ipam_dns(request: &Request) -> Option<serde_json::Value> {
    request.conf.ipam.get("dns").cloned()
}

/// PCI address for a delegate: the one that the device plugin gave for this position, else the NIC's own.
fn device(conf: &cni::NetConf, position: usize, link: &crate::record::PodLink) -> String {
    conf.devices.get(position).cloned().unwrap_or_else(|| {
        match conf.plugin.as_ref().map(|plugin| plugin.kind.as_str()) {
            // Those need a device plugin's.
            Some("sriov" | "host-device") => String::new(),
            _ => {
                let id = link.nic.as_str();
                if id.split(':').count() == 3 { id.to_owned() } else { String::new() }
            }
        }
    })
}

fn wire_error(error: &DatapathError) -> Error {
    let code = match error {
        DatapathError::NameTaken { .. } => code::INVALID_CONFIG,
        _ => code::INTERNAL,
    };
    Error::new(code, words(error))
}

impl Network {
    /// For tests and dry runs: whether addresses of this network can be given on every interface.
    pub fn has_blocks(&self) -> bool {
        self.interfaces.iter().any(|interface| !interface.blocks.is_empty())
    }
}

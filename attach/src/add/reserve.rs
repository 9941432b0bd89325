//! What an ADD decides and writes down before the kernel is touched: NICs, addresses, plugins.

use std::sync::Arc;

use cni::delegate::{self, Target};
use cni::error::code;
use cni::{CniResult, Error};
use ipnet::IpNet;
use store::{Batch, Table};

use super::{sees, unknown_network};
use crate::engine::{Engine, kernel_error};
use crate::failpoint;
use crate::ipam_plugin;
use crate::links;
use crate::plan::{self, Addresses};
use crate::record::{Attachment, Delegate, Leased};
use crate::request::Request;
use crate::select::{Chosen, Known, LinkUse, Selection, select};

impl Engine {
    /// Chooses NICs, reserves addresses and writes both down.
    pub(super) fn reserve(
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
        if let (Some(link), Addresses::PluginOnce | Addresses::PluginEach) = (link, by) {
            ipam_plugin::refuse_leases(&request.conf, link)?;
        }
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
        let gpus = self.gpus_of(request.pod.as_ref(), network);
        let wish = plan::wish(request, network, link.cloned().unwrap_or_default(), gpus)?;
        let mut book = self.book();
        book.know(&networks);
        self.wake(&mut book);
        let known = Known { inventory: &inventory, network, classes: &networks.classes, usage: &book.usage };
        let selection = select(&known, &wish).map_err(|error| plan::select_error(&error))?;
        failpoint::reached("add.selected");
        let group = book.new_group();
        let mut attachment = plan::attachment(
            request,
            &selection,
            &wish.link,
            network.and_then(|network| network.mtu),
            group,
            &self.parts.boot,
        )?;
        attachment.cookie = Some(cookie);
        attachment.sweepable = sees(&request.environment.netns, cookie);
        self.note_vfs(request, &inventory, &book, &mut attachment)?;
        // Before the move: a crash in the middle of it must know what to give back.
        for moved in attachment.links.iter_mut().filter(|link| link.link == LinkUse::Whole) {
            let taken = self.with_host(|host| datapath::observe::device(host, moved.master_ifindex))?;
            moved.original = Some(links::original(&taken.map_err(|error| kernel_error(&error))?));
        }
        self.note_masters(&book, &mut attachment, &inventory);
        let mut batch = Batch::new();
        let mut reserved = Vec::new();
        if let Some(network) = ours {
            let masters: Vec<(u16, String)> =
                attachment.links.iter().map(|link| (link.index, link.network_name().to_owned())).collect();
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
                let before = CniResult { ips: ips.collect(), ..CniResult::default() };
                ipam_plugin::give_addresses(&mut attachment.links, &before, None);
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
    pub(super) fn link_delegates(
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
                master: link.network_name().to_owned(),
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
    raw.insert("masters".to_owned(), attachment.links.iter().map(|link| link.network_name()).collect());
    raw.insert("deviceIDs".to_owned(), conf.devices.clone().into());
    let config = serde_json::Value::Object(raw).to_string();
    a_delegate(request, conf.ipam_type.clone(), &request.environment.ifname, config)
}

/// PCI address for a delegate: the one that the device plugin gave for this position, else the NIC's own.
fn device(conf: &cni::NetConf, position: usize, link: &crate::record::PodLink) -> String {
    if link.link == LinkUse::Vf {
        // Which one of the pod's it is was chosen here.
        return link.nic.to_string();
    }
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

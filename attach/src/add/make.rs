//! What an ADD makes: links of ours, or the links of other plugins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cni::error::code;
use cni::{CniResult, Error};
use datapath::netns::PodNamespace;
use datapath::{DatapathError, Made, masters};
use netlink::Socket;
use store::{Batch, Table};

use super::Clock;
use crate::delegated::{self, Conversation};
use crate::engine::{Engine, hw_addr, kernel_error, words};
use crate::failpoint;
use crate::gate::Pass;
use crate::ipam_plugin;
use crate::links;
use crate::plan::{self, Addresses};
use crate::record::Attachment;
use crate::request::Request;
use crate::select::{LinkUse, usage_id};
use crate::vf::RdmaWay;

/// Numbers that are tried for a pod's links.
const NUMBERS: u32 = 16;

/// How long an address is waited for that an ipvlan link on the master still has, and how often it is looked at: the
/// links of a namespace that has ended go a little later, and a full pool gives their addresses before that. A second
/// more than the five in which the agent itself lets go of a namespace (TRAPS P4).
const ENDING: (Duration, Duration) = (Duration::from_secs(6), Duration::from_millis(50));

impl Engine {
    /// Makes links of ours, with other plugins' addresses where the request wants those.
    pub(super) fn make(
        &self,
        request: &Request,
        attachment: &mut Attachment,
        pod: &mut PodNamespace,
        conversation: &mut dyn Conversation,
        clock: &mut Clock,
    ) -> Result<CniResult, Error> {
        let asks = !attachment.delegates.is_empty();
        let link_first = asks && ipam_plugin::is_link_first(&request.conf);
        if asks && !link_first {
            self.ask_ipam(request, attachment, conversation)?;
            clock.step("delegates");
            failpoint::reached("add.delegated");
        }
        let mut turn = Some(self.permit()?);
        clock.step("wait");
        self.with_host(|host| self.make_vlans(host, attachment))??;
        self.refuse_strangers(request, attachment)?;
        self.quiet_masters(attachment);
        self.take_vfs(request, attachment)?;
        if attachment.has_rdma() {
            // A crash must know them to bring them back.
            self.write_down(attachment)?;
        }
        let made = self.wire(request, attachment, pod, link_first, &mut turn, clock)?;
        if attachment.has_rdma() {
            self.move_rdma(attachment, pod, RdmaWay::IntoPod);
        }
        for (link, made) in attachment.links.iter_mut().filter(|link| link.is_ours()).zip(&made.links) {
            link.mac = made.address.as_ref().and_then(hw_addr);
            link.mtu = made.mtu;
            // A VF's was noted before its PF changed it.
            if link.vf.is_none() {
                link.original = made.taken.as_ref().map(links::original);
            }
        }
        self.announcing.again(&attachment.key, made);
        if link_first {
            // A plugin may take its time over the wire, and others wire meanwhile.
            drop(turn);
            clock.step("wired");
            self.ask_ipam(request, attachment, conversation)?;
            clock.step("delegates");
            failpoint::reached("add.delegated");
            let _turn = self.permit()?;
            self.announcing.again(&attachment.key, self.give_addresses(request, attachment, pod)?);
        }
        clock.step("wired");
        failpoint::reached("add.wired");
        Ok(links::result(attachment, &request.conf))
    }

    /// Asks the IPAM plugins, and writes down what they gave: a crash must know the addresses to undo the routes and
    /// rules.
    fn ask_ipam(
        &self,
        request: &Request,
        attachment: &mut Attachment,
        conversation: &mut dyn Conversation,
    ) -> Result<(), Error> {
        let each = plan::addresses_by(request)? == Addresses::PluginEach;
        let results = delegated::add(attachment, 0, conversation)?;
        if results.iter().any(|result| result.ips.is_empty()) {
            let words = format!("IPAM plugin {} gave no address", request.conf.ipam_type);
            return Err(Error::new(code::DELEGATE, words));
        }
        ipam_plugin::give(attachment, &results, each);
        self.write_down(attachment)
    }

    /// Gives links that are up the addresses that came after them.
    fn give_addresses(
        &self,
        request: &Request,
        attachment: &Attachment,
        pod: &mut PodNamespace,
    ) -> Result<Made, Error> {
        let wanted = links::all_wired(attachment, &request.conf);
        let several = links::multipath(attachment);
        self.with_host(|host| datapath::give_addresses(host, &self.home, pod, &wanted, &several))?
            .map_err(|error| wire_error(&error))
    }

    /// Wires, under another number when the one that was taken is somebody's; `bare`: without routes, which need
    /// addresses that are not known yet. `turn` is given up while an address is waited for.
    fn wire<'a>(
        &'a self,
        request: &Request,
        attachment: &mut Attachment,
        pod: &mut PodNamespace,
        bare: bool,
        turn: &mut Option<Pass<'a, ()>>,
        clock: &mut Clock,
    ) -> Result<Made, Error> {
        let several = if bare { Vec::new() } else { links::multipath(attachment) };
        let patience = Instant::now() + ENDING.0;
        let begun = clock.mark();
        let mut numbers = 0;
        while numbers < NUMBERS {
            clock.again(begun);
            let wired = links::all_wired(attachment, &request.conf).into_iter().map(|link| match link {
                link if bare => datapath::PodLink { routes: Vec::new(), policy: None, ..link },
                link => link,
            });
            let wanted: Vec<datapath::PodLink> = wired.collect();
            let mut step = |name: &'static str| -> Result<(), DatapathError> {
                clock.step(name);
                failpoint::reached(&format!("add.{name}"));
                Ok(())
            };
            let made = self.with_host(|host| {
                datapath::wire(host, &self.home, pod, attachment.group, &wanted, &several, &mut step)
            })?;
            match made {
                // A device that came back from a dead pod keeps the number that it had there.
                Err(DatapathError::IndexTaken { .. }) => {
                    numbers += 1;
                    attachment.group = self.book().new_group();
                    for link in &mut attachment.links {
                        link.ifindex = attachment.group + u32::from(link.index);
                    }
                    self.write_down(attachment)?;
                }
                Err(error) if error.is_address_on_master() && Instant::now() < patience => {
                    *turn = None;
                    std::thread::sleep(ENDING.1);
                    *turn = Some(self.permit()?);
                }
                made => return made.map_err(|error| wire_error(&error)),
            }
        }
        Err(Error::new(code::TRY_AGAIN, "no free numbers were found for the pod's links"))
    }

    /// Links that others made on a master: of ours the book knows, and has refused before.
    ///
    /// Asked for by the first ipvlan user of a master only, as it looks through every namespace: the kernel would
    /// change the mode of a stranger's ipvlan without a word. Everything else it refuses itself.
    fn refuse_strangers(&self, request: &Request, attachment: &Attachment) -> Result<(), Error> {
        for link in attachment.links.iter().filter(|link| matches!(link.link, LinkUse::Ipvlan { .. })) {
            let id = usage_id(&link.nic, link.vlan.as_ref().map(|vlan| vlan.id));
            let ours: u32 = self.book().usage.of(&id).map(|used| used.links).sum();
            let Some(kind) = links::kind(&link.link, &request.conf).filter(|_| ours <= 1) else { continue };
            let refused = self.with_host(|host: &mut Socket| {
                let uppers = masters::uppers(host, &self.home, link.master_ifindex)?;
                Ok::<_, DatapathError>(masters::conflict(&link.master, &uppers, &kind))
            })?;
            if let Some(words) = refused.map_err(|error| kernel_error(&error))? {
                return Err(Error::new(code::NIC_IN_USE, words));
            }
        }
        Ok(())
    }

    /// Runs plugins that make the links.
    pub(super) fn delegate(
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
            ipam_plugin::give(attachment, &results, false);
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
}

fn wire_error(error: &DatapathError) -> Error {
    let code = match error {
        DatapathError::NameTaken { .. } => code::INVALID_CONFIG,
        _ if error.is_address_on_master() => code::TRY_AGAIN,
        _ => code::INTERNAL,
    };
    Error::new(code, words(error))
}

//! ADD of `multi-nic-ipam`: addresses alone, for another main plugin (CONTRACTS §5.10).

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use cni::{CniResult, Error, delegate};
use datapath::netns::cookie_of;
use store::{Batch, Table};

use super::{sees, unknown_network};
use crate::book::sticky;
use crate::delegated::Conversation;
use crate::engine::{Engine, Event, kernel_error};
use crate::plan;
use crate::record::Phase;
use crate::request::Request;

impl Engine {
    /// Addresses alone, for another main plugin (CONTRACTS §5.10).
    pub(super) fn add_addresses(
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
        if let Some(old) = self.attachment(&request.key) {
            if old.cookie == Some(cookie)
                && old.boot == self.parts.boot
                && old.digest == request.digest
                && let Some(result) = &old.result
            {
                return CniResult::parse(result);
            }
            kept = sticky(&old);
            self.detach((*old).clone(), None, conversation);
        }
        let networks = (self.parts.networks)();
        let network = networks.networks.get(&request.conf.name);
        let network = network.ok_or_else(|| unknown_network(request, &networks))?;
        let mut result = CniResult { dns: ipam_dns(request), ..CniResult::default() };
        let mut book = self.book();
        book.know(&networks);
        self.wake(&mut book);
        let group = book.new_group();
        let mut attachment = plan::blank(request, group, &self.parts.boot);
        attachment.cookie = Some(cookie);
        attachment.sweepable = sees(&request.environment.netns, cookie);
        let numbered = masters(request).into_iter().enumerate();
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
}

/// The masters that addresses are asked for on: those that `multi-nic` chose, or the one of another main plugin.
pub(crate) fn masters(request: &Request) -> Vec<String> {
    let conf = &request.conf;
    if !conf.masters.is_empty() {
        return conf.masters.clone();
    }
    conf.raw.get("master").and_then(serde_json::Value::as_str).map(str::to_owned).into_iter().collect()
}

fn ipam_dns(request: &Request) -> Option<serde_json::Value> {
    request.conf.ipam.get("dns").cloned()
}

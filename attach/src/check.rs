//! CHECK: is the kernel as the record says?

use std::os::fd::OwnedFd;

use cni::error::code;
use cni::{CniResult, Error};
use datapath::netns::PodNamespace;
use datapath::observe;

use crate::delegated::{self, Conversation};
use crate::engine::{Engine, kernel_error, words};
use crate::record::{Attachment, Phase, Tool};
use crate::request::Request;

impl Engine {
    /// Compares.
    pub(crate) fn check(
        &self,
        request: &Request,
        netns: Option<OwnedFd>,
        conversation: &mut dyn Conversation,
    ) -> Result<(), Error> {
        let Some(before) = &request.conf.prev_result else {
            return Err(Error::new(code::INVALID_CONFIG, "prevResult: CHECK needs the result of ADD"));
        };
        let before = CniResult::parse(before)?;
        let known = self.attachment(&request.key);
        if known.is_none() && !self.adopted_for(&request.key, request.pod.as_ref()).is_empty() {
            // Who made it knew what there is to check; we know that its addresses are its own.
            return Ok(());
        }
        let known = known.filter(|known| matches!(known.phase, Phase::Attached | Phase::Lost));
        let known = known.ok_or_else(|| {
            Error::new(code::INTERNAL, format!("{} is not attached", request.key))
                .with_details("it needs an ADD")
        })?;
        let wrong = |words: String| Error::new(code::INTERNAL, format!("{}: {words}", request.key));
        let of_links = known.links.iter().flat_map(|link| &link.addresses);
        for lease in of_links.chain(known.addresses.iter().map(|(_, lease)| lease)) {
            if !before.ips.iter().any(|ip| ip.address == lease.address) {
                return Err(wrong(format!("prevResult does not have address {}", lease.address)));
            }
        }
        if request.tool == Tool::Ipam || known.tool == Tool::Adopted {
            return Ok(());
        }
        let fd = netns.ok_or_else(|| {
            Error::new(code::INVALID_NAMESPACE, "the call came without a descriptor of the network namespace")
        })?;
        let mut pod = PodNamespace::open(fd)
            .map_err(|error| Error::new(code::INVALID_NAMESPACE, format!("CNI_NETNS: {}", words(&error))))?;
        if Some(pod.cookie()) != known.cookie {
            return Err(wrong("it was attached to another namespace".to_owned()));
        }
        if known.phase == Phase::Lost {
            return Err(wrong("a NIC of it is gone".to_owned()));
        }
        self.compare(&known, &mut pod).map_err(|error| wrong(error.msg))?;
        delegated::check(&known, conversation)
    }

    /// Whether a pod has the links, addresses, routes and rules of an attachment. More than that is fine.
    pub(crate) fn compare(&self, attachment: &Attachment, pod: &mut PodNamespace) -> Result<(), Error> {
        let missing = |words: String| Err(Error::new(code::INTERNAL, words));
        let there = observe::pod(pod).map_err(|error| kernel_error(&error))?;
        for link in attachment.links.iter().filter(|link| link.is_ours()) {
            let Some(now) = there.links.iter().find(|now| now.index == link.ifindex && now.name == link.name)
            else {
                return missing(format!("interface {} is not there", link.name));
            };
            if now.flags & 1 == 0 {
                return missing(format!("interface {} is down", link.name));
            }
            let mac = now.address.as_ref().map(netlink::LinkAddress::as_bytes);
            if link.mac.is_some_and(|wanted| mac != Some(wanted.bytes())) {
                return missing(format!("interface {} has another link-layer address", link.name));
            }
            for lease in &link.addresses {
                let found = there.addresses.iter().any(|address| {
                    address.index == link.ifindex
                        && address.address == lease.address.addr()
                        && address.prefix_len == lease.address.prefix_len()
                });
                if !found {
                    return missing(format!(
                        "interface {} does not have address {}",
                        link.name, lease.address
                    ));
                }
                let table = datapath::TABLE_BASE + link.ifindex;
                if link.policy_routing
                    && !there.rules.iter().any(|rule| {
                        rule.table == table
                            && rule.source.is_some_and(|(source, _)| source == lease.address.addr())
                    })
                {
                    return missing(format!("the rule for {} is not there", lease.address.addr()));
                }
            }
            for route in &link.routes {
                let found = there.routes.iter().any(|now| {
                    now.destination == route.dst.network()
                        && now.prefix_len == route.dst.prefix_len()
                        && now
                            .hops
                            .iter()
                            .any(|hop| hop.index == Some(link.ifindex) && hop.gateway == route.gw)
                });
                if !found {
                    return missing(format!("the route to {} over {} is not there", route.dst, link.name));
                }
            }
        }
        self.compare_vfs(attachment)?;
        for route in &attachment.multipath {
            let found = there.routes.iter().any(|now| {
                now.destination == route.dst.network()
                    && now.prefix_len == route.dst.prefix_len()
                    && route.gateways.iter().all(|gw| now.hops.iter().any(|hop| hop.gateway == Some(*gw)))
            });
            if !found {
                return missing(format!("the route to {} is not there", route.dst));
            }
        }
        Ok(())
    }
}

//! ADD: choose, reserve, write down, wire, answer; everything back when a step fails.

mod addresses;
mod make;
mod reserve;

pub(crate) use addresses::masters;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cni::error::code;
use cni::{CniResult, Command, Error};
use datapath::netns::{PodNamespace, cookie_of, open_path};
use ipnet::IpNet;

use crate::book::sticky;
use crate::delegated::Conversation;
use crate::engine::{Engine, Event, words};
use crate::failpoint;
use crate::network::Networks;
use crate::record::{Attachment, Phase, Tool};
use crate::request::Request;
use crate::select::listed;

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

    /// A moment to go back to.
    fn mark(&self) -> (usize, Instant) {
        (self.timings.len(), self.last)
    }

    /// What was done since is done again: its time belongs to the first step of the next try.
    fn again(&mut self, (steps, last): (usize, Instant)) {
        self.timings.truncate(steps);
        self.last = last;
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
        let _one = self.alone_for(&request.key, Command::Add)?;
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
                self.take_back(attachment, &mut pod, conversation);
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
        let Some(old) = self.attachment(&request.key) else {
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
        self.detach(old, same_place.then_some(pod), conversation);
        self.refuse_owed(&request.key)?;
        Ok(Before::Another(kept))
    }

    /// The end of an attach: written with the next commit, waited for by nobody.
    fn end(&self, mut attachment: Attachment, result: &CniResult) {
        attachment.phase = Phase::Attached;
        attachment.result = Some(result.emit(cni::Version::V1_1_0));
        let attachment = Arc::new(attachment);
        self.enter(&mut self.book(), &attachment);
        failpoint::reached("add.ended");
        (self.parts.tell)(Event::Attached(attachment));
    }

    /// After a failure: plugins' DELs, VLANs, addresses, the record. The links are back already, unless plugins were
    /// asked with them.
    fn take_back(
        &self,
        mut attachment: Attachment,
        pod: &mut PodNamespace,
        conversation: &mut dyn Conversation,
    ) {
        if attachment.is_link_first() {
            return self.detach(attachment, Some(pod), conversation);
        }
        attachment.phase = Phase::Detaching;
        self.return_vfs(&mut attachment);
        self.delete_delegates(&mut attachment, conversation);
        self.finish_detach(attachment);
    }
}

enum Before {
    /// The very same is there.
    Same(CniResult),
    /// Nothing, or something else that is gone now; its addresses may be had again.
    Another(Vec<(IpNet, std::net::IpAddr)>),
}

fn unknown_network(request: &Request, networks: &Networks) -> Error {
    Error::new(code::INVALID_CONFIG, format!("name: this agent has no network `{}`", request.conf.name))
        .with_details(format!("it has: {}", listed(networks.networks.keys())))
}

/// Whether the agent sees the namespace at its path, so that it may judge by it later (TRAPS P3).
fn sees(path: &str, cookie: u64) -> bool {
    open_path(Path::new(path)).ok().and_then(|fd| cookie_of(fd.as_fd()).ok()) == Some(cookie)
}

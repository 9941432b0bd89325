//! Calls of the cluster network's list: a pod's annotation becomes one attachment for each network that it names
//! (TRAPS C1). Each of them is an attachment like any other, under the key that it would have had by itself; what they
//! have in common is the call that they were made for.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use cni::chained::{Asked, Chained};
use cni::config::Valid;
use cni::error::code;
use cni::protocol::Call;
use cni::{CniResult, Command, Error, NetConf};
use datapath::netns::PodNamespace;

use crate::delegated::Conversation;
use crate::engine::{Engine, Event};
use crate::record::{Attachment, Chain, Key, Pod};
use crate::request::Request;

/// Who asks for what by an annotation.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// `CNI_CONTAINERID`.
    pub container_id: &'a str,
    /// The annotation; absent: the runtime did not hand it over.
    pub annotation: Option<&'a str>,
}

/// One network that an annotation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Namespace and name of its attachment definition, with a slash between.
    pub name: String,
    /// Name of the interface.
    pub ifname: String,
    /// The NetConf, as Multus would hand it over.
    pub config: String,
}

impl Engine {
    /// Serves such a call.
    pub(crate) fn chained(
        &self,
        call: &Call,
        chained: &Chained,
        netns: Option<OwnedFd>,
        conversation: &mut dyn Conversation,
    ) -> Result<Option<String>, Error> {
        let request = Request::read(call)?;
        match call.environment.command {
            Command::Add => {
                let result = self.add_chained(call, &request, chained, netns, conversation)?;
                Ok(Some(result.emit(request.conf.version).to_string()))
            }
            Command::Del => self.del_chained(&request, netns, conversation).map(|()| None),
            Command::Check => self.check_chained(&request, chained, netns, conversation).map(|()| None),
            Command::Gc => self.collect_chained(&request, conversation).map(|()| None),
            Command::Status => Ok(None),
            Command::Version => Ok(Some(cni::version::supported())),
        }
    }

    fn add_chained(
        &self,
        call: &Call,
        request: &Request,
        chained: &Chained,
        netns: Option<OwnedFd>,
        conversation: &mut dyn Conversation,
    ) -> Result<CniResult, Error> {
        let before = chained.before()?;
        let cluster = CniResult::parse(before)?;
        let wanted = self.wanted(request, chained)?;
        let Some(pod) = request.pod.as_ref().filter(|_| !wanted.is_empty()) else { return Ok(cluster) };
        let _one = self.alone_for(&request.key, Command::Add)?;
        self.settle_note(request, conversation);
        let mut made = Vec::new();
        let mut results = Vec::new();
        for (position, wanted) in wanted.into_iter().enumerate() {
            let mut one = call.clone();
            one.environment.ifname.clone_from(&wanted.ifname);
            one.config.clone_from(&wanted.config);
            let added = Request::read(&one).and_then(|mut one| {
                one.chain = Some(Chain {
                    network: request.key.network.clone(),
                    ifname: request.key.ifname.clone(),
                    name: wanted.name.clone(),
                    position: u16::try_from(position).unwrap_or(u16::MAX),
                    cluster: before.clone(),
                });
                let result = self.add(&one, copy(netns.as_ref())?, conversation);
                if let Err(error) = &result {
                    (self.parts.tell)(Event::Failed { key: one.key.clone(), error: error.clone() });
                }
                result.map(|result| (one.key, result))
            });
            match added {
                Ok((key, result)) => {
                    made.push(key);
                    results.push(result);
                }
                Err(mut error) => {
                    for key in made.iter().rev() {
                        self.del_member(key, netns.as_ref(), conversation);
                    }
                    error.msg = format!("{} as {}: {}", wanted.name, wanted.ifname, error.msg);
                    return Err(error);
                }
            }
        }
        (self.parts.tell)(Event::Chained { pod: pod.clone() });
        Ok(behind(cluster, results))
    }

    fn wanted(&self, request: &Request, chained: &Chained) -> Result<Vec<Wanted>, Error> {
        let annotation = match &chained.asked {
            Asked::Nothing => return Ok(Vec::new()),
            Asked::Networks(text) => Some(text.as_str()),
            Asked::Unknown => None,
        };
        let Some(pod) = &request.pod else {
            // Somebody's container that is no pod: nothing says what else it should have.
            if annotation.is_none() {
                return Ok(Vec::new());
            }
            return Err(Error::new(code::BAD_ENVIRONMENT, "CNI_ARGS: K8S_POD_NAME is missing"));
        };
        (self.parts.annotated)(&Asking { pod, container_id: &request.key.container_id, annotation })
    }

    fn del_chained(
        &self,
        request: &Request,
        netns: Option<OwnedFd>,
        conversation: &mut dyn Conversation,
    ) -> Result<(), Error> {
        let _one = self.alone_for(&request.key, Command::Del)?;
        for member in self.members(&request.key).iter().rev() {
            self.del_member(&member.key, netns.as_ref(), conversation);
        }
        Ok(())
    }

    fn del_member(&self, key: &Key, netns: Option<&OwnedFd>, conversation: &mut dyn Conversation) {
        let Ok(_one) = self.alone_for(key, Command::Del) else {
            tracing::warn!(%key, "another call for it does not end; the sweep takes it away");
            return;
        };
        let Some(known) = self.attachment(key) else { return };
        let pod = copy(netns).ok().flatten().and_then(|fd| PodNamespace::open(fd).ok());
        let mut pod = pod.filter(|pod| Some(pod.cookie()) == known.cookie);
        self.detach((*known).clone(), pod.as_mut(), conversation);
    }

    fn check_chained(
        &self,
        request: &Request,
        chained: &Chained,
        netns: Option<OwnedFd>,
        conversation: &mut dyn Conversation,
    ) -> Result<(), Error> {
        chained.before()?;
        let members = self.members(&request.key);
        if members.is_empty() && matches!(chained.asked, Asked::Networks(_)) {
            let words = format!("nothing is attached for {}", request.key);
            return Err(Error::new(code::INTERNAL, words).with_details("it needs an ADD"));
        }
        for member in members {
            let mut one = request.clone();
            one.key = member.key.clone();
            // What it was made with; the answer to look at is the whole list's.
            one.conf =
                NetConf { prev_result: request.conf.prev_result.clone(), ..NetConf::parse(&member.config)? };
            self.check(&one, copy(netns.as_ref())?, conversation)?;
        }
        Ok(())
    }

    /// By container alone, and only what is dead besides: the list's own interface name says nothing of ours.
    fn collect_chained(&self, request: &Request, conversation: &mut dyn Conversation) -> Result<(), Error> {
        let valid = match &request.conf.valid {
            Valid::Absent => return Ok(()),
            Valid::Null => &[][..],
            Valid::These(valid) => valid,
        };
        for member in self.attachments() {
            let of_list = member.chain.as_ref().is_some_and(|chain| chain.network == request.key.network);
            let listed = valid.iter().any(|(container_id, _)| *container_id == member.key.container_id);
            if of_list && !listed && member.sweepable && self.namespace_of(&member).is_none() {
                self.del_member(&member.key, None, conversation);
            }
        }
        Ok(())
    }

    /// The attachments that were made for a call, in the order of the annotation.
    pub(crate) fn members(&self, of: &Key) -> Vec<Arc<Attachment>> {
        let position = |one: &Attachment| {
            let chain = one.chain.as_ref().filter(|chain| chain.is_of(&one.key, of))?;
            Some(chain.position)
        };
        let book = self.book();
        let its = book.attachments.values().filter_map(|one| Some((position(one)?, Arc::clone(one))));
        let mut found: Vec<_> = its.collect();
        drop(book);
        found.sort_by_key(|(position, _)| *position);
        found.into_iter().map(|(_, one)| one).collect()
    }
}

fn copy(netns: Option<&OwnedFd>) -> Result<Option<OwnedFd>, Error> {
    let copied = netns.map(OwnedFd::try_clone).transpose();
    copied.map_err(|error| Error::new(code::IO, format!("copy the namespace's descriptor: {error}")))
}

/// The cluster network's interfaces and addresses stay first; the positions of the others move on.
fn behind(mut cluster: CniResult, results: Vec<CniResult>) -> CniResult {
    for result in results {
        let first = cluster.interfaces.len();
        cluster.interfaces.extend(result.interfaces);
        cluster.ips.extend(result.ips.into_iter().map(|mut ip| {
            ip.interface = ip.interface.map(|position| position + first);
            ip
        }));
        cluster.routes.extend(result.routes);
    }
    cluster
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code outside of test functions")]

    use super::*;
    use serde_json::json;

    #[test]
    fn the_clusters_interfaces_stay_first_and_ours_move_on() {
        let result = |name: &str, address: &str| {
            let value = json!({
                "interfaces": [{"name": name, "sandbox": "/run/netns/x"}],
                "ips": [{"address": address, "interface": 0}],
                "routes": [{"dst": "10.9.0.0/16"}],
            });
            CniResult::parse(&value).unwrap()
        };
        let mut cluster = result("veth1", "10.1.0.2/24");
        cluster.interfaces.push(result("eth0", "10.1.0.2/24").interfaces.remove(0));

        let whole = behind(cluster, vec![result("net1-0", "10.2.0.2/24"), result("net2", "10.3.0.2/24")]);

        let names: Vec<&str> = whole.interfaces.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["veth1", "eth0", "net1-0", "net2"]);
        let positions: Vec<_> = whole.ips.iter().map(|ip| ip.interface).collect();
        assert_eq!(positions, [Some(0), Some(2), Some(3)]);
        assert_eq!(whole.routes.len(), 3);
    }
}

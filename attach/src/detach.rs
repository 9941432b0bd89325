//! DEL: links, plugins, VLANs, addresses, record. Never fails because something is gone already.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use cni::error::code;
use cni::{Command, Error, NetConf, note};
use datapath::netns::{PodNamespace, open_path};
use netlink::Socket;
use netlink::route::VlanProtocol;
use store::{Batch, Table};

use crate::delegated::Conversation;
use crate::engine::{Engine, Event, kernel_error, now, words};
use crate::failpoint;
use crate::links;
use crate::record::{Attachment, Key, Phase, PodLink};
use crate::request::Request;
use crate::select::LinkUse;
use crate::vf::RdmaWay;

/// How long one waits for another one that makes or removes a VLAN above the same NIC.
const VLAN_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

impl Engine {
    /// Detaches what the key stands for; nothing is fine.
    pub(crate) fn del(
        &self,
        request: &Request,
        netns: Option<OwnedFd>,
        conversation: &mut dyn Conversation,
    ) -> Result<(), Error> {
        debug_assert!(request.is(Command::Del));
        let _one = self.alone_for(&request.key, Command::Del)?;
        for key in self.adopted_for(&request.key, request.pod.as_ref()) {
            self.let_go(&key);
        }
        let Some(known) = self.attachment(&request.key) else { return Ok(()) };
        let mut pod = netns.and_then(|fd| PodNamespace::open(fd).ok());
        // A path that is another namespace by now is none of ours.
        if pod.as_ref().is_some_and(|pod| Some(pod.cookie()) != known.cookie) {
            pod = None;
        }
        self.detach((*known).clone(), pod.as_mut(), conversation);
        Ok(())
    }

    /// Takes an attachment apart. Its key must be held.
    ///
    /// `pod` is its namespace where somebody has it open; otherwise it is looked for at its path.
    pub(crate) fn detach(
        &self,
        mut attachment: Attachment,
        pod: Option<&mut PodNamespace>,
        conversation: &mut dyn Conversation,
    ) {
        attachment.phase = Phase::Detaching;
        self.announcing.enough(&attachment.key);
        self.book().put(Arc::new(attachment.clone()));
        failpoint::reached("del.begun");
        // Such a plugin gives back over the link what it leased over it.
        let link_first = attachment.is_link_first();
        if link_first {
            self.delete_delegates(&mut attachment, conversation);
            failpoint::reached("del.delegated");
        }
        if attachment.boot == self.parts.boot {
            match pod {
                Some(pod) => self.unwire(&attachment, pod),
                None => match self.namespace_of(&attachment) {
                    Some(mut pod) => self.unwire(&attachment, &mut pod),
                    None => self.recover_devices(&attachment),
                },
            }
            self.return_vfs(&mut attachment);
        }
        failpoint::reached("del.unwired");
        if !link_first {
            self.delete_delegates(&mut attachment, conversation);
            failpoint::reached("del.delegated");
        }
        self.finish_detach(attachment);
    }

    /// The attachment's namespace, if it is still at its path.
    pub(crate) fn namespace_of(&self, attachment: &Attachment) -> Option<PodNamespace> {
        let fd = open_path(Path::new(&attachment.netns)).ok()?;
        let pod = PodNamespace::open(fd).ok()?;
        (Some(pod.cookie()) == attachment.cookie && !self.home.is_host(pod.cookie())).then_some(pod)
    }

    fn unwire(&self, attachment: &Attachment, pod: &mut PodNamespace) {
        let ours = || attachment.links.iter().filter(|link| link.link != LinkUse::Delegated);
        if ours().next().is_none() {
            return;
        }
        if attachment.has_rdma() {
            self.move_rdma(attachment, pod, RdmaWay::Home);
        }
        let Ok(conf) = NetConf::parse(&attachment.config) else { return };
        let wired: Vec<_> = ours()
            .map(|link| (links::wired(link, &conf), link.original.as_ref().map(links::taken)))
            .collect();
        let left = self.with_host(|host| datapath::unwire(host, &self.home, pod, attachment.group, &wired));
        match left {
            Ok(Ok(left)) => {
                for leftover in left {
                    tracing::warn!(key = %attachment.key, "left behind: {}", leftover.0);
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(key = %attachment.key, error = words(&error), "read the pod's links")
            }
            Err(error) => tracing::warn!(key = %attachment.key, %error, "read the pod's links"),
        }
    }

    /// Devices of a dead namespace have fallen back to the host: they are made what they were.
    fn recover_devices(&self, attachment: &Attachment) {
        for link in attachment.links.iter().filter(|link| link.link == LinkUse::Whole) {
            let Some(original) = &link.original else { continue };
            let restored = self.with_host(|host| {
                let taken = links::taken(original);
                match datapath::observe::returned(host, &taken)? {
                    Some(index) => datapath::restore(host, index, &taken),
                    None => Ok(()),
                }
            });
            if let Ok(Err(error)) = restored {
                tracing::warn!(key = %attachment.key, error = words(&error), "restore {}", original.name);
            }
        }
    }

    /// The end of a detach. What plugins are owed keeps the record and its addresses.
    pub(crate) fn finish_detach(&self, attachment: Attachment) {
        // Of a VF that is still in use the record is all that says what it was: it is tried again with the next sweep.
        if !attachment.delegates.is_empty() || attachment.has_vfs() {
            self.enter(&mut self.book(), &Arc::new(attachment));
            return;
        }
        self.drop_vlans(&attachment);
        self.restore_masters(&attachment);
        failpoint::reached("del.vlans");
        let mut batch = Batch::new();
        let mut book = self.book();
        book.remove(&attachment.key);
        let changes = book.release(&attachment, now());
        for change in &changes {
            drop(batch.address(change));
        }
        batch.delete(Table::Attachments, &attachment.key.to_string());
        // Under the lock: a later reservation of the same address must be written behind this.
        self.with_next(batch);
        drop(book);
        failpoint::reached("del.released");
        (self.parts.tell)(Event::Detached(Arc::new(attachment)));
    }

    /// A note of a DEL that came while no agent ran is consumed before an ADD of its key.
    pub(crate) fn settle_note(&self, request: &Request, conversation: &mut dyn Conversation) {
        let key = &request.key;
        let name = note::file_name(&key.network, &key.container_id, &key.ifname);
        let file = self.parts.state_dir.join(note::FOLDER).join(name);
        let Ok(text) = std::fs::read(&file) else { return };
        if let Ok(note) = serde_json::from_slice::<note::Note>(&text) {
            self.apply_note(&note, key, conversation);
        }
        if self.is_written() {
            drop(std::fs::remove_file(&file));
        }
    }

    /// Consumes all notes. To be called at the start and when the folder changes.
    pub fn consume_notes(&self, conversation: &mut dyn Conversation) -> usize {
        let notes = note::Note::all(&self.parts.state_dir);
        let count = notes.len();
        let mut applied = Vec::with_capacity(count);
        for (file, note) in notes {
            for ifname in [note.ifname.clone(), format!("{}:ipam", note.ifname)] {
                let key =
                    Key { network: note.network.clone(), container_id: note.container_id.clone(), ifname };
                // An ADD that came first has taken the note in, and what the key stands for now is that ADD's.
                if let Ok(_one) = self.one_for(&key)
                    && note::Note::read(&file).as_ref() == Some(&note)
                {
                    self.apply_note(&note, &key, conversation);
                }
            }
            applied.push(file);
        }
        // The notes are all that is left of those DELs until the disk has the rest.
        if count > 0 && self.is_written() {
            applied.into_iter().for_each(|file| drop(std::fs::remove_file(file)));
        }
        count
    }

    /// Writes down all that nobody waited for; whether that went well.
    fn is_written(&self) -> bool {
        self.parts.store.as_ref().is_some_and(|store| store.flush().is_ok())
    }

    /// A note counts for what it was written for: the same boot, and the same namespace where it knew one.
    fn apply_note(&self, note: &note::Note, key: &Key, conversation: &mut dyn Conversation) {
        for member in self.members(key) {
            if let Ok(_one) = self.one_for(&member.key) {
                self.apply_note_to(note, &member.key, conversation);
            }
        }
        self.apply_note_to(note, key, conversation);
    }

    fn apply_note_to(&self, note: &note::Note, key: &Key, conversation: &mut dyn Conversation) {
        let Some(known) = self.attachment(key).filter(|known| is_of_its_time(note, known)) else { return };
        let mut known = (*known).clone();
        if note.delegates_done {
            known.delegates.clear();
        }
        self.detach(known, None, conversation);
    }

    /// Makes the VLANs that links stand on. Their count is the number of records that name them.
    pub(crate) fn make_vlans(&self, host: &mut Socket, attachment: &mut Attachment) -> Result<(), Error> {
        for link in &mut attachment.links {
            let Some(vlan) = &mut link.vlan else { continue };
            let protocol = protocol(&vlan.protocol)?;
            let _alone = self.vlans.enter(&link.master_ifindex, VLAN_PATIENCE);
            let made =
                datapath::masters::vlan(host, &self.home, link.master_ifindex, vlan.id, protocol, None)
                    .map_err(|error| kernel_error(&error))?;
            let name = datapath::masters::vlan_name(link.master_ifindex, vlan.id, protocol);
            vlan.ours = made.made || made.name == name;
            link.master = made.name;
            link.master_ifindex = made.index;
        }
        Ok(())
    }

    /// Removes VLANs of ours that nobody else stands on.
    fn drop_vlans(&self, attachment: &Attachment) {
        for link in &attachment.links {
            let Some(vlan) = link.vlan.as_ref().filter(|vlan| vlan.ours) else { continue };
            // Whoever makes one has its record in the book already.
            let _alone = link.generation.ifindex.and_then(|parent| self.vlans.enter(&parent, VLAN_PATIENCE));
            let used = |other: &Attachment| {
                other.key != attachment.key
                    && other.links.iter().any(|link| link.vlan.as_ref().is_some_and(|theirs| theirs == vlan))
            };
            if self.book().attachments.values().any(|other| used(other)) {
                continue;
            }
            let removed = self.with_host(|host| {
                let Ok(protocol) = protocol(&vlan.protocol) else { return Ok(()) };
                let name = match parent_index(host, link) {
                    Some(parent) => datapath::masters::vlan_name(parent, vlan.id, protocol),
                    None => link.master.clone(),
                };
                datapath::masters::remove_vlan(host, &name)
            });
            if let Ok(Err(error)) = removed {
                tracing::warn!(key = %attachment.key, error = words(&error), "remove a VLAN");
            }
        }
    }
}

/// Whether a note is about an attachment: by its key, or by that of the call that it was made for.
pub fn is_about(note: &note::Note, attachment: &Attachment) -> bool {
    let key = &attachment.key;
    let noted = |network: &str, ifname: &str| note.network == network && note.ifname == ifname;
    let of_chain = attachment.chain.as_ref().is_some_and(|chain| noted(&chain.network, &chain.ifname));
    let own = noted(&key.network, key.ifname.trim_end_matches(":ipam"));
    note.container_id == key.container_id && (own || of_chain) && is_of_its_time(note, attachment)
}

/// Whether the attachment is the one that was there when the note was written.
fn is_of_its_time(note: &note::Note, known: &Attachment) -> bool {
    let same_place = note.cookie.is_none() || known.cookie.is_none() || note.cookie == known.cookie;
    known.boot == note.boot && same_place && known.since <= note.time
}

/// Index of the NIC below a link's VLAN: as long as the VLAN is not made, the master is the NIC itself.
fn parent_index(host: &mut Socket, link: &PodLink) -> Option<u32> {
    let known = link.generation.ifindex?;
    netlink::route::link_by_index(host, known).ok().flatten().map(|found| found.index)
}

fn protocol(text: &str) -> Result<VlanProtocol, Error> {
    match text {
        "802.1q" | "802.1Q" => Ok(VlanProtocol::Dot1q),
        "802.1ad" => Ok(VlanProtocol::Dot1ad),
        other => {
            Err(Error::new(code::INVALID_CONFIG, format!("plugin.vlanProtocol: `{other}` is not known"))
                .with_details("it is 802.1q or 802.1ad"))
        }
    }
}

//! What attachments made of the NICs.

use std::collections::BTreeMap;

use hwprobe::{NicId, SpeedMbps};

use crate::select::LinkUse;

/// What is made of each NIC now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    nics: BTreeMap<NicId, Vec<Used>>,
    /// Bandwidth that pods count on, Mb/s.
    promised: BTreeMap<NicId, u64>,
}

/// One kind of use of a NIC by one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The network.
    pub network: String,
    /// What it made.
    pub link: LinkUse,
    /// By how many links.
    pub links: u32,
}

impl Usage {
    /// What is made of a NIC.
    pub fn of(&self, nic: &NicId) -> impl Iterator<Item = &Used> {
        self.nics.get(nic).into_iter().flatten()
    }

    /// Bandwidth of a NIC that pods count on, Mb/s.
    pub fn promised(&self, nic: &NicId) -> u64 {
        self.promised.get(nic).copied().unwrap_or_default()
    }

    /// One more pod counts on this much.
    pub fn promise(&mut self, nic: &NicId, speed: SpeedMbps) {
        *self.promised.entry(nic.clone()).or_default() += u64::from(speed.get());
    }

    /// One pod less does.
    pub fn release(&mut self, nic: &NicId, speed: SpeedMbps) {
        let Some(promised) = self.promised.get_mut(nic) else { return };
        *promised = promised.saturating_sub(u64::from(speed.get()));
        if *promised == 0 {
            self.promised.remove(nic);
        }
    }

    /// One more link on a NIC.
    pub fn add(&mut self, nic: &NicId, network: &str, link: &LinkUse) {
        let all = self.nics.entry(nic.clone()).or_default();
        match all.iter_mut().find(|used| used.network == network && used.link == *link) {
            Some(used) => used.links += 1,
            None => all.push(Used { network: network.to_owned(), link: link.clone(), links: 1 }),
        }
    }

    /// One link less on a NIC.
    pub fn remove(&mut self, nic: &NicId, network: &str, link: &LinkUse) {
        let Some(all) = self.nics.get_mut(nic) else { return };
        if let Some(used) = all.iter_mut().find(|used| used.network == network && used.link == *link) {
            used.links = used.links.saturating_sub(1);
        }
        all.retain(|used| used.links > 0);
        if all.is_empty() {
            self.nics.remove(nic);
        }
    }
}

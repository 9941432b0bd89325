//! How many connections may be open at once, in all and from one peer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections and turns away those above the limits.
#[derive(Debug)]
pub(super) struct Gate {
    most: u32,
    most_per_peer: u32,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: u32,
    peers: HashMap<IpAddr, u32>,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    peer: Option<IpAddr>,
}

impl Gate {
    /// A gate for `most` connections, of which one IP address may have `most_per_peer`.
    pub(super) fn new(most: u32, most_per_peer: u32) -> Arc<Self> {
        Arc::new(Self { most, most_per_peer, open: Mutex::default() })
    }

    /// Lets one more connection in; `None` when there are as many as may be. A peer of the Unix socket has no address.
    pub(super) fn enter(self: &Arc<Self>, peer: Option<IpAddr>) -> Option<Pass> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = peer.and_then(|peer| open.peers.get(&peer).copied()).unwrap_or(0);
        if open.total >= self.most || (peer.is_some() && of_peer >= self.most_per_peer) {
            return None;
        }
        open.total += 1;
        if let Some(peer) = peer {
            open.peers.insert(peer, of_peer + 1);
        }
        Some(Pass { gate: Arc::clone(self), peer })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(peer) = self.peer {
            let left = open.peers.get(&peer).map_or(0, |count| count - 1);
            if left == 0 {
                // Or every address that ever came would stay here.
                open.peers.remove(&peer);
            } else {
                open.peers.insert(peer, left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;

    #[test]
    fn one_peer_cannot_take_every_place() {
        let gate = Gate::new(3, 2);
        let (a, b) = (Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()));

        let first = gate.enter(a).unwrap();
        let _second = gate.enter(a).unwrap();
        assert!(gate.enter(a).is_none());
        let _third = gate.enter(b).unwrap();
        assert!(gate.enter(b).is_none());
        assert!(gate.enter(None).is_none());

        drop(first);
        assert!(gate.enter(a).is_some());
    }

    #[test]
    fn gate_forgets_peers_that_left() {
        let gate = Gate::new(3, 2);
        drop(gate.enter(Some([10, 0, 0, 1].into())));

        assert!(gate.open.lock().unwrap().peers.is_empty());
    }
}

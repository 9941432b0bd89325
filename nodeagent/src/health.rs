//! What the agent knows about itself: its listeners, its memory, its inventory thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use openapi::{Listener, ListenerState, StoreState, StoreStatus};

/// Shared by those who do the work and those who are asked about it.
#[derive(Debug)]
pub(crate) struct Health {
    listeners: Mutex<Vec<Listener>>,
    store: Mutex<StoreStatus>,
    inventory_ended: AtomicBool,
}

impl Health {
    pub(crate) fn new() -> Self {
        let store = StoreStatus { state: StoreState::NotUsed, detail: None };
        Self {
            listeners: Mutex::default(),
            store: Mutex::new(store),
            inventory_ended: AtomicBool::new(false),
        }
    }

    /// Notes how it stands with the listener at `address`.
    pub(crate) fn set_listener(&self, address: &str, state: ListenerState, error: Option<String>) {
        let mut listeners = lock(&self.listeners);
        let now = Listener { address: address.to_owned(), state, error };
        match listeners.iter_mut().find(|known| known.address == address) {
            Some(known) => *known = now,
            None => listeners.push(now),
        }
    }

    pub(crate) fn listeners(&self) -> Vec<Listener> {
        lock(&self.listeners).clone()
    }

    pub(crate) fn set_store(&self, state: StoreState, detail: Option<String>) {
        *lock(&self.store) = StoreStatus { state, detail };
    }

    pub(crate) fn store(&self) -> StoreStatus {
        lock(&self.store).clone()
    }

    /// Notes that nobody reads the machine any more.
    pub(crate) fn inventory_ended(&self) {
        self.inventory_ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_live(&self) -> bool {
        !self.inventory_ended.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each holder replaces one value; a panic in between leaves the old one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! One generation of the inventory, as everybody reads it.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::http::HeaderValue;
use hwprobe::{Inventory, Warning};
use openapi::NicList;
use serde::Serialize;
use tokio::sync::watch;

use crate::podresources::Holdings;

/// One generation. Never changes; a change makes the next one.
#[derive(Debug)]
pub(crate) struct Published {
    /// From 1, one more with each change.
    pub(crate) generation: u64,
    /// What the probe found, with the agent's own warnings.
    pub(crate) inventory: Arc<Inventory>,
    /// The agent's own warnings, which are also in the inventory.
    pub(crate) agent_warnings: Vec<Warning>,
    /// The strong ETag of every answer that is made of this generation alone.
    pub(crate) etag: HeaderValue,
    whole: OnceLock<Bytes>,
    list: OnceLock<Bytes>,
}

/// The newest generation; `None` before the first.
pub(crate) type Newest = watch::Receiver<Option<Arc<Published>>>;

impl Published {
    /// Generation `generation` of the run `epoch`; `holdings`: what the kubelet has given to pods.
    pub(crate) fn new(
        epoch: &str,
        generation: u64,
        mut inventory: Inventory,
        agent_warnings: Vec<Warning>,
        holdings: &Holdings,
    ) -> Self {
        holdings.show(&mut inventory);
        inventory.warnings.extend(agent_warnings.iter().cloned());
        inventory.warnings.sort_by_key(|warning| warning.code);
        // Hexadecimal digits and a dash are always a header value.
        let etag = HeaderValue::from_str(&format!("\"{epoch}-{generation}\""));
        let etag = etag.unwrap_or_else(|_| HeaderValue::from_static("\"0\""));
        Self {
            generation,
            inventory: Arc::new(inventory),
            agent_warnings,
            etag,
            whole: OnceLock::new(),
            list: OnceLock::new(),
        }
    }

    /// The inventory, for who keeps it longer.
    pub(crate) fn inventory(&self) -> Arc<Inventory> {
        Arc::clone(&self.inventory)
    }

    /// The whole inventory as JSON, written once.
    pub(crate) fn whole(&self) -> Bytes {
        self.whole.get_or_init(|| json(&*self.inventory)).clone()
    }

    /// The list of all NICs as JSON, written once.
    pub(crate) fn list(&self) -> Bytes {
        let make = || {
            let nics = self.inventory.nics.clone();
            json(&NicList { generation: self.generation, total: nics.len(), nics })
        };
        self.list.get_or_init(make).clone()
    }
}

/// A value as JSON. Our own types always can be written.
pub(crate) fn json<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}

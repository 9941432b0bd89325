//! What is written together.

use serde::Serialize;

use crate::record::{self, RecordError};

/// The tables, each a map from text to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Table {
    /// Attachments, by `network/container/ifname`.
    Attachments,
    /// Addresses that are held or rest, by `network/block/address`.
    Addresses,
    /// What was changed on the host's own links and must be put back.
    Masters,
    /// Plugins' DELs that nobody could run yet.
    Debts,
    /// Plans of networks.
    Networks,
}

impl Table {
    pub(crate) const ALL: [Self; 5] =
        [Self::Attachments, Self::Addresses, Self::Masters, Self::Debts, Self::Networks];

    pub(crate) fn definition(self) -> redb::TableDefinition<'static, &'static [u8], &'static [u8]> {
        redb::TableDefinition::new(match self {
            Self::Attachments => "attachments",
            Self::Addresses => "addresses",
            Self::Masters => "masters",
            Self::Debts => "debts",
            Self::Networks => "networks",
        })
    }
}

/// Writes that come true together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) writes: Vec<(Table, String, Option<Vec<u8>>)>,
}

/// A value cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
#[error("a value of table {table:?} cannot be written")]
pub struct ValueError {
    table: Table,
    #[source]
    source: RecordError,
}

impl Batch {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a record under a key.
    ///
    /// # Errors
    /// When the value has no JSON form (a map whose keys are no texts).
    pub fn put<T: Serialize>(&mut self, table: Table, key: &str, value: &T) -> Result<(), ValueError> {
        let bytes = record::encode(value).map_err(|source| ValueError { table, source })?;
        self.writes.push((table, key.to_owned(), Some(bytes)));
        Ok(())
    }

    /// Removes the record of a key; none there is fine.
    pub fn delete(&mut self, table: Table, key: &str) {
        self.writes.push((table, key.to_owned(), None));
    }

    /// Writes down what became of an address.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn address(&mut self, change: &ipam::Change) -> Result<(), ValueError> {
        let key = address_key(change);
        if change.state == ipam::State::Free {
            self.delete(Table::Addresses, &key);
            return Ok(());
        }
        self.put(Table::Addresses, &key, change)
    }

    /// Appends the writes of another batch.
    pub fn append(&mut self, mut other: Self) {
        self.writes.append(&mut other.writes);
    }

    /// Nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }
}

fn address_key(change: &ipam::Change) -> String {
    format!("{}/{}/{}", change.network, change.block, change.address)
}

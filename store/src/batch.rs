//! What is written together.

use std::fmt;

use serde::Serialize;

use crate::record;

/// Longest key, bytes. A container id and two names are far below.
pub const KEY_LIMIT: usize = 4 * 1024;

/// Longest record, bytes. The block plan of 10,000 hosts is about 10 MB.
pub const RECORD_LIMIT: usize = 32 * 1024 * 1024;

/// The tables, each a map from text to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Table {
    /// Why a NIC is protected, by NIC id.
    Protected,
    /// Attachments, by `network/container/ifname`.
    Attachments,
    /// Addresses that are held or rest, by `network/block/address`.
    Addresses,
    /// What was changed on the host's own links and must be put back, by link.
    Masters,
    /// Plugins' DELs that nobody could run yet.
    Debts,
    /// Plans of networks, by network.
    Networks,
    /// Desired states of PFs that were given over the API, by device.
    Pfs,
    /// Notes of late DELs that were taken from the folder of notes and are not worked off.
    Notes,
    /// What the cluster said last, by kind and name.
    Cluster,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 9] = [
        Self::Protected,
        Self::Attachments,
        Self::Addresses,
        Self::Masters,
        Self::Debts,
        Self::Networks,
        Self::Pfs,
        Self::Notes,
        Self::Cluster,
    ];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::Attachments => "attachments",
            Self::Addresses => "addresses",
            Self::Masters => "masters",
            Self::Debts => "debts",
            Self::Networks => "networks",
            Self::Pfs => "pfs",
            Self::Notes => "notes",
            Self::Cluster => "cluster",
        }
    }

    pub(crate) fn definition(self) -> redb::TableDefinition<'static, &'static [u8], &'static [u8]> {
        redb::TableDefinition::new(self.name())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes that come true together or not at all, in the order they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    pub(crate) writes: Vec<Write>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    Put(Table, String, Vec<u8>),
    Delete(Table, String),
    /// Removes every record of the table.
    Clear(Table),
}

impl Write {
    pub(crate) fn table(&self) -> Table {
        match self {
            Self::Put(table, ..) | Self::Delete(table, _) | Self::Clear(table) => *table,
        }
    }
}

/// Why a record cannot be written. Only the batch that it was meant for is concerned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// It has no JSON form.
    #[error("write `{key}` to the table of {table}")]
    Form {
        /// The table.
        table: Table,
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It is longer than [`RECORD_LIMIT`].
    #[error("the record of `{key}` in the table of {table} has {length} bytes; at most {RECORD_LIMIT} fit")]
    RecordTooLong {
        /// The table.
        table: Table,
        /// The key.
        key: String,
        /// Length of the record, bytes.
        length: usize,
    },
    /// Its key is longer than [`KEY_LIMIT`].
    #[error("a key for the table of {table} has {length} bytes; at most {KEY_LIMIT} fit")]
    KeyTooLong {
        /// The table.
        table: Table,
        /// Length of the key, bytes.
        length: usize,
    },
}

impl Batch {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a record under a key.
    ///
    /// # Errors
    /// When the value has no JSON form (a map whose keys are no texts), or is too long. It is found here and not
    /// by the commit, so that one caller's record cannot fail the commit of all.
    pub fn put<T: Serialize>(&mut self, table: Table, key: &str, value: &T) -> Result<(), ValueError> {
        if key.len() > KEY_LIMIT {
            return Err(ValueError::KeyTooLong { table, length: key.len() });
        }
        let key = key.to_owned();
        match record::encode(value) {
            Ok(bytes) if bytes.len() > RECORD_LIMIT => {
                Err(ValueError::RecordTooLong { table, key, length: bytes.len() })
            }
            Ok(bytes) => {
                self.writes.push(Write::Put(table, key, bytes));
                Ok(())
            }
            Err(source) => Err(ValueError::Form { table, key, source }),
        }
    }

    /// Removes the record of a key; none there is fine.
    pub fn delete(&mut self, table: Table, key: &str) {
        self.writes.push(Write::Delete(table, key.to_owned()));
    }

    /// Removes every record of a table.
    pub(crate) fn clear(&mut self, table: Table) {
        self.writes.push(Write::Clear(table));
    }

    /// Writes down what became of an address: held and resting ones have a record, free ones have none.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub fn address(&mut self, change: &ipam::Change) -> Result<(), ValueError> {
        let key = format!("{}/{}/{}", change.network, change.block, change.address);
        match change.state {
            ipam::State::Free => {
                self.delete(Table::Addresses, &key);
                Ok(())
            }
            ipam::State::Held { .. } | ipam::State::Resting { .. } => {
                self.put(Table::Addresses, &key, change)
            }
        }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Batch, KEY_LIMIT, RECORD_LIMIT, Table, ValueError};

    #[test]
    fn what_cannot_be_written_is_refused_before_it_reaches_others_and_leaves_the_batch_as_it_was() {
        let mut batch = Batch::new();
        batch.put(Table::Debts, "good", &1).unwrap();
        let before = batch.clone();

        let long = batch.put(Table::Debts, "long", &"x".repeat(RECORD_LIMIT)).unwrap_err();
        let key = batch.put(Table::Debts, &"k".repeat(KEY_LIMIT + 1), &1).unwrap_err();
        let form = batch.put(Table::Debts, "form", &BTreeMap::from([((1, 2), 3)])).unwrap_err();

        assert!(matches!(long, ValueError::RecordTooLong { length, .. } if length > RECORD_LIMIT), "{long}");
        assert!(matches!(key, ValueError::KeyTooLong { length, .. } if length == KEY_LIMIT + 1), "{key}");
        assert!(matches!(form, ValueError::Form { .. }) && form.to_string().contains("form"), "{form}");
        assert_eq!(batch, before);
    }
}

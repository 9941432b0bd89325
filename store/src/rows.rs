//! Rows of tables as bytes: reading them, writing them, and what is owed to them.

use std::collections::BTreeMap;

use redb::{ReadTransaction, TableError, WriteTransaction};

use crate::batch::{Batch, Table, Write};

/// What rows must hold again after a commit that failed: by table and key the record, or none.
#[derive(Debug, Default)]
pub(crate) struct Owed {
    rows: BTreeMap<(Table, String), Option<Vec<u8>>>,
}

impl Owed {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Owes also what `later` says; what was owed before stays as it is.
    pub(crate) fn add(&mut self, later: Self) {
        for (row, record) in later.rows {
            self.rows.entry(row).or_insert(record);
        }
    }

    fn note(&mut self, table: Table, key: &str, before: impl FnOnce() -> Option<Vec<u8>>) {
        self.rows.entry((table, key.to_owned())).or_insert_with(before);
    }

    fn get(&self, table: Table, key: &str) -> Option<&Option<Vec<u8>>> {
        if self.rows.is_empty() { None } else { self.rows.get(&(table, key.to_owned())) }
    }
}

/// The record of a key.
pub(crate) fn get(
    transaction: &ReadTransaction,
    owed: &Owed,
    table: Table,
    key: &str,
) -> Result<Option<Vec<u8>>, redb::Error> {
    if let Some(record) = owed.get(table, key) {
        return Ok(record.clone());
    }
    match transaction.open_table(table.definition()) {
        Ok(open) => Ok(open.get(key.as_bytes())?.map(|record| record.value().to_vec())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Shows every row whose key begins with `prefix`, by key ascending.
pub(crate) fn each(
    transaction: &ReadTransaction,
    owed: &Owed,
    table: Table,
    prefix: &str,
    mut show: impl FnMut(&str, &[u8]),
) -> Result<(), redb::Error> {
    let from = (table, prefix.to_owned());
    let owed = owed.rows.range(from..).take_while(|((of, key), _)| *of == table && key.starts_with(prefix));
    let mut owed = owed.map(|((_, key), record)| (key.as_str(), record)).peekable();
    let open = match transaction.open_table(table.definition()) {
        Ok(open) => Some(open),
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let rows = open.as_ref().map(|open| open.range(prefix.as_bytes()..)).transpose()?;
    for row in rows.into_iter().flatten() {
        let (key, record) = row?;
        if !key.value().starts_with(prefix.as_bytes()) {
            break;
        }
        let key = String::from_utf8_lossy(key.value());
        while let Some((key, record)) = owed.next_if(|(owed, _)| *owed < &*key) {
            record.iter().for_each(|record| show(key, record));
        }
        match owed.next_if(|(owed, _)| *owed == &*key) {
            Some((key, Some(record))) => show(key, record),
            Some((_, None)) => {}
            None => show(&key, record.value()),
        }
    }
    for (key, record) in owed {
        record.iter().for_each(|record| show(key, record));
    }
    Ok(())
}

/// Writes what is owed.
pub(crate) fn restore(transaction: &WriteTransaction, owed: &Owed) -> Result<(), redb::Error> {
    for ((table, key), record) in &owed.rows {
        let mut open = transaction.open_table(table.definition())?;
        match record {
            Some(record) => drop(open.insert(key.as_bytes(), record.as_slice())?),
            None => drop(open.remove(key.as_bytes())?),
        }
    }
    Ok(())
}

/// Writes the batches one after the other; `before` gets what was there.
pub(crate) fn apply(
    transaction: &WriteTransaction,
    batches: &[&Batch],
    before: &mut Owed,
) -> Result<(), redb::Error> {
    // Opening a table costs more than a write: each is opened once, and the order of writes matters within one only.
    for table in Table::ALL {
        let writes = || batches.iter().flat_map(|batch| &batch.writes).filter(|write| write.table() == table);
        if writes().next().is_none() {
            continue;
        }
        let mut open = transaction.open_table(table.definition())?;
        for write in writes() {
            match write {
                Write::Put(_, key, record) => {
                    let old = open.insert(key.as_bytes(), record.as_slice())?;
                    before.note(table, key, || old.map(|old| old.value().to_vec()));
                }
                Write::Delete(_, key) => {
                    let old = open.remove(key.as_bytes())?;
                    before.note(table, key, || old.map(|old| old.value().to_vec()));
                }
                Write::Clear(_) => open.retain(|key, old| {
                    before.note(table, &String::from_utf8_lossy(key), || Some(old.to_vec()));
                    false
                })?,
            }
        }
    }
    Ok(())
}

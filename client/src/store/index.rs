//! Which records there are, in memory: keys are sealed at rest, so a look-up on disk could not find them.

use std::collections::{BTreeMap, BTreeSet};

use super::seal::Head;
use super::{Kind, StoreError};

/// Code of the kind, and the key.
pub(super) type Name = (u8, Vec<u8>);

/// Where a record stands.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its rows by part: what was put, then each append.
    pub(super) rows: Vec<u32>,
    /// Length of its value, bytes.
    pub(super) bytes: usize,
}

/// Every record of an open store, and the row numbers that are free.
#[derive(Default)]
pub(super) struct Index {
    entries: BTreeMap<Name, Entry>,
    free: BTreeSet<u32>,
    next: u32,
}

impl Index {
    /// Builds the index of the rows that a store has, `(row, head)` by rising row.
    pub(super) fn of(rows: Vec<(u32, Head)>) -> Result<Self, StoreError> {
        let mut parts: BTreeMap<Name, BTreeMap<u16, (u32, u32)>> = BTreeMap::new();
        let mut index = Self::default();
        for (row, head) in rows {
            index.free.extend(index.next..row);
            index.next = row.checked_add(1).ok_or(StoreError::Corrupt { what: "the number of a record" })?;
            let record = parts.entry((head.kind, head.key)).or_default();
            if record.insert(head.part, (row, head.body_bytes)).is_some() {
                return Err(StoreError::Corrupt { what: "a record that is there twice" });
            }
        }
        for (name, record) in parts {
            index.entries.insert(name, Entry::of(&record)?);
        }
        Ok(index)
    }

    pub(super) fn get(&self, name: &Name) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The records of a kind whose key begins with `prefix`, by rising key.
    pub(super) fn of_kind(&self, kind: Kind, prefix: &[u8]) -> impl Iterator<Item = (&Vec<u8>, &Entry)> {
        let from = (kind.code(), prefix.to_vec());
        let rest = self.entries.range(from.clone()..);
        let ours = rest.take_while(move |((code, key), _)| *code == from.0 && key.starts_with(&from.1));
        ours.map(|((_, key), entry)| (key, entry))
    }

    /// Takes the lowest free row number, so that the store stays small. `None` after 2^32 rows.
    pub(super) fn claim(&mut self) -> Option<u32> {
        if let Some(row) = self.free.pop_first() {
            return Some(row);
        }
        let row = self.next;
        self.next = row.checked_add(1)?;
        Some(row)
    }

    /// Gives row numbers back.
    pub(super) fn release(&mut self, rows: impl IntoIterator<Item = u32>) {
        self.free.extend(rows);
    }

    /// Takes over what a commit has changed; `None` for a record that is no more.
    pub(super) fn change(&mut self, changed: BTreeMap<Name, Option<Entry>>) {
        for (name, entry) in changed {
            match entry {
                Some(entry) => drop(self.entries.insert(name, entry)),
                None => drop(self.entries.remove(&name)),
            }
        }
    }
}

impl Entry {
    /// Puts a record together; a part that is missing between others is damage.
    fn of(parts: &BTreeMap<u16, (u32, u32)>) -> Result<Self, StoreError> {
        let mut entry = Self::default();
        for (expected, (part, (row, bytes))) in (0_u16..).zip(parts) {
            if *part != expected {
                return Err(StoreError::Corrupt { what: "a record without one of its parts" });
            }
            entry.rows.push(*row);
            entry.bytes = entry.bytes.saturating_add(usize::try_from(*bytes).unwrap_or(usize::MAX));
        }
        Ok(entry)
    }
}

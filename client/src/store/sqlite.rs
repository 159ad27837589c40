//! The store on disk. The module documentation of [`store`](super) describes its files.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::{Transaction, TransactionBehavior};
use zajil_proto::durable::Durable;
use zajil_proto::random::Random;
use zeroize::Zeroizing;

use super::batch::{Change, Operation, within};
use super::database::{Database, remove_row, write_row};
use super::home::{self, HomeLock, Paths};
use super::index::{Entry, Index, Name};
use super::keys::{self, KeyRing, Method, Protection, Unlock};
use super::reserve::Reserve;
use super::seal::{Head, Place, seal_row};
use super::{Batch, DeviceStore, Kind, StoreError, Value};
use crate::limits::{RECORD_PARTS_MAX, RECORD_VALUE_BYTES_MAX};

/// The store in the files of a home.
pub struct SqliteStore {
    database: Database,
    reserve: Reserve,
    ring: KeyRing,
    index: Index,
    random: Box<dyn Random + Send>,
    /// After an error that leaves open what is on disk. Reading or writing on would build on a guess.
    is_broken: bool,
    // Last, so that the home is let go only when the database is closed.
    _lock: HomeLock,
}

impl SqliteStore {
    /// Makes a new store in a home and opens it. The home is made if it is not there; other files in it are left alone.
    ///
    /// Cut off at any point it can be run again. Stretching a passphrase takes a fraction of a second.
    ///
    /// # Errors
    /// [`StoreError::NotEmpty`], [`StoreError::Busy`], [`StoreError::ReadOnly`], [`StoreError::Full`];
    /// [`StoreError::Corrupt`] if there is a key file of another length; [`StoreError::Io`], [`StoreError::Database`].
    pub fn init(home: &Path, protection: &Protection, mut random: Box<dyn Random + Send>) -> Result<Self, StoreError> {
        let paths = Paths::of(home);
        home::make_directory(home)?;
        let lock = HomeLock::take(&paths)?;
        if keys::read_file(&paths.keys)?.is_some() {
            return Err(StoreError::NotEmpty);
        }
        Database::remove_leftover(&paths)?;
        let (ring, file) = KeyRing::create(protection, &mut *random)?;
        Database::create(&paths, ring.store())?;
        // The store is there from this line on.
        home::write_atomically(&paths.keys, &file, "writing the keys file")?;
        Self::start(&paths, ring, random, lock)
    }

    /// Opens the store of a home. Stretching a passphrase takes a fraction of a second.
    ///
    /// # Errors
    /// [`StoreError::NotThere`], [`StoreError::Busy`], [`StoreError::ReadOnly`], [`StoreError::Full`];
    /// [`StoreError::WrongKey`], [`StoreError::WrongPassphrase`], [`StoreError::NoKeyFile`],
    /// [`StoreError::NeedsKeyFile`], [`StoreError::NeedsPassphrase`]; [`StoreError::NewerVersion`],
    /// [`StoreError::Corrupt`]; [`StoreError::Io`], [`StoreError::Database`]. After any of them the files are as they
    /// were.
    pub fn open(home: &Path, unlock: &Unlock, random: Box<dyn Random + Send>) -> Result<Self, StoreError> {
        let paths = Paths::of(home);
        // Before anything is made in a directory that may not be a home at all.
        read_keys(&paths)?;
        let lock = HomeLock::take(&paths)?;
        home::keep_private(home)?;
        let ring = KeyRing::open(&read_keys(&paths)?, unlock)?;
        Self::start(&paths, ring, random, lock)
    }

    /// Says by what the store of a home is opened, without opening it.
    ///
    /// # Errors
    /// [`StoreError::NotThere`], [`StoreError::Corrupt`], [`StoreError::NewerVersion`], [`StoreError::Io`].
    pub fn method(home: &Path) -> Result<Method, StoreError> {
        keys::method(&read_keys(&Paths::of(home))?)
    }

    /// Where a key file is kept if nobody names another place: in the home, as `key`.
    pub fn key_file_of(home: &Path) -> PathBuf {
        home.join("key")
    }

    fn start(paths: &Paths, ring: KeyRing, random: Box<dyn Random + Send>, lock: HomeLock) -> Result<Self, StoreError> {
        let database = Database::open(paths, ring.store())?;
        let index = database.load(&ring)?;
        let reserve = Reserve::of(paths);
        let store = Self { database, reserve, ring, index, random, is_broken: false, _lock: lock };
        match store.tidy() {
            // A full disk is no reason not to read.
            Ok(()) | Err(StoreError::Full) => Ok(store),
            Err(error) => Err(error),
        }
    }

    fn tidy(&self) -> Result<(), StoreError> {
        self.database.scrub()?;
        self.reserve.hold();
        Ok(())
    }

    /// Whether the changes free at least as much as they take, as far as lengths tell.
    fn makes_room(&self, changes: &[Change]) -> bool {
        let (mut taken, mut freed) = (0_usize, 0_usize);
        for Change { kind, key, operation } in changes {
            match operation {
                Operation::Put(value) | Operation::Append(value) => taken = taken.saturating_add(value.len()),
                Operation::Delete => {
                    let entry = self.index.get(&(kind.code(), key.clone()));
                    freed = freed.saturating_add(entry.map_or(0, |entry| entry.bytes));
                }
            }
        }
        freed >= taken
    }

    /// Writes with the space that was held back, and holds back again what the disk has then.
    fn write_from_reserve(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        if !self.reserve.give_up()? {
            return Err(StoreError::Full);
        }
        // Now the log finds room to move into the database, and leaves its own to this commit.
        let written = self.database.scrub().and_then(|()| self.write_or_undo(changes));
        let tidied = self.tidy();
        match (written, tidied) {
            // Durable is durable: that the log could not be emptied behind it takes nothing back.
            (Ok(()), Ok(()) | Err(StoreError::Full)) => Ok(()),
            (Ok(()), Err(error)) | (Err(error), _) => Err(error),
        }
    }

    fn write_or_undo(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut claimed = Vec::new();
        let written = self.write(changes, &mut claimed);
        if written.is_err() {
            self.index.release(claimed);
        }
        written
    }

    fn whole(&self) -> Result<(), StoreError> {
        if self.is_broken { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Writes the changes in one transaction; only what has become durable enters the index.
    fn write(&mut self, changes: &[Change], claimed: &mut Vec<u32>) -> Result<(), StoreError> {
        let connection = &self.database.connection;
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(failed)?;
        let mut staging = Staging {
            transaction: &transaction,
            ring: &self.ring,
            random: &mut *self.random,
            index: &mut self.index,
            changed: BTreeMap::new(),
            claimed,
            released: Vec::new(),
        };
        for change in changes {
            staging.apply(change)?;
        }
        let Staging { changed, released, .. } = staging;
        transaction.commit().map_err(failed)?;
        self.index.change(changed);
        self.index.release(released);
        Ok(())
    }
}

fn read_keys(paths: &Paths) -> Result<Vec<u8>, StoreError> {
    if let Some(file) = keys::read_file(&paths.keys)? {
        return Ok(file);
    }
    if paths.records.try_exists().unwrap_or(false) {
        return Err(StoreError::Corrupt { what: "its keys file is not there" });
    }
    Err(StoreError::NotThere)
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::from_sqlite("writing the records", &error)
}

/// Shows nothing of what is kept.
impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("is_broken", &self.is_broken).finish_non_exhaustive()
    }
}

impl DeviceStore for SqliteStore {
    fn commit(&mut self, batch: Batch) -> Result<Durable<()>, StoreError> {
        self.whole()?;
        let changes = batch.checked()?;
        if changes.is_empty() {
            return Ok(Durable::after_sync(()));
        }
        let mut written = self.write_or_undo(&changes);
        if written == Err(StoreError::Full) && self.makes_room(&changes) {
            written = self.write_from_reserve(&changes);
        }
        if let Err(error) = written {
            // These two are refusals before anything stands. After any other, for one a failed fsync, nobody knows what
            // the disk holds; asking it again would only be told what memory holds.
            self.is_broken = !matches!(error, StoreError::TooLarge { .. } | StoreError::Full);
            return Err(error);
        }
        Ok(Durable::after_sync(()))
    }

    fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Value>, StoreError> {
        self.whole()?;
        let Some(entry) = self.index.get(&(kind.code(), key.to_vec())) else {
            return Ok(None);
        };
        let mut value = Zeroizing::new(Vec::with_capacity(entry.bytes));
        for row in &entry.rows {
            value.extend_from_slice(&self.database.read_body(&self.ring, *row)?);
        }
        if value.len() != entry.bytes {
            return Err(StoreError::Corrupt { what: "the length of a record" });
        }
        Ok(Some(value))
    }

    fn keys_prefix(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        self.whole()?;
        Ok(self.index.of_kind(kind, prefix).map(|(key, _)| key.clone()).collect())
    }

    fn len(&self, kind: Kind, key: &[u8]) -> Result<Option<usize>, StoreError> {
        self.whole()?;
        Ok(self.index.get(&(kind.code(), key.to_vec())).map(|entry| entry.bytes))
    }

    fn room(&self) -> Option<u64> {
        self.reserve.room()
    }

    fn count(&self, kind: Kind) -> Result<usize, StoreError> {
        self.whole()?;
        Ok(self.index.of_kind(kind, &[]).count())
    }

    fn usage(&self, kind: Kind) -> Result<u64, StoreError> {
        self.whole()?;
        let sizes = self.index.of_kind(kind, &[]).map(|(key, entry)| key.len().saturating_add(entry.bytes));
        Ok(sizes.fold(0, |sum: u64, bytes| sum.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))))
    }

    fn scrub(&mut self) -> Result<(), StoreError> {
        self.whole()?;
        self.tidy()
    }

    fn close(mut self: Box<Self>) -> Result<(), StoreError> {
        let scrubbed = self.scrub();
        let closed = self.database.close();
        scrubbed.and(closed)
    }
}

/// A commit on its way.
struct Staging<'a> {
    transaction: &'a Transaction<'a>,
    ring: &'a KeyRing,
    random: &'a mut dyn Random,
    index: &'a mut Index,
    /// What the records become that this commit has touched; `None` for one that is no more.
    changed: BTreeMap<Name, Option<Entry>>,
    /// Rows taken, to be given back if the commit fails.
    claimed: &'a mut Vec<u32>,
    /// Rows emptied, to be given back if it succeeds.
    released: Vec<u32>,
}

impl Staging<'_> {
    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        let Change { kind, key, operation } = change;
        let name = (kind.code(), key.clone());
        let before = match self.changed.remove(&name) {
            Some(entry) => entry,
            None => self.index.get(&name).cloned(),
        };
        let after = match operation {
            Operation::Put(value) => Some(self.put(&name, before, value)?),
            Operation::Append(bytes) => Some(self.append(&name, before.unwrap_or_default(), bytes)?),
            Operation::Delete => {
                self.remove(before.unwrap_or_default().rows)?;
                None
            }
        };
        self.changed.insert(name, after);
        Ok(())
    }

    fn put(&mut self, name: &Name, before: Option<Entry>, value: &[u8]) -> Result<Entry, StoreError> {
        let mut rows = before.unwrap_or_default().rows.into_iter();
        // The first row is used again: its wrap takes the new key, and the old one is gone.
        let row = match rows.next() {
            Some(row) => row,
            None => self.claim()?,
        };
        self.remove(rows)?;
        self.write(row, name, 0, value)?;
        Ok(Entry { rows: vec![row], bytes: value.len() })
    }

    fn append(&mut self, name: &Name, mut entry: Entry, bytes: &[u8]) -> Result<Entry, StoreError> {
        let parts = entry.rows.len();
        within("the number of parts of a record", parts.saturating_add(1), RECORD_PARTS_MAX)?;
        let length = entry.bytes.saturating_add(bytes.len());
        within("the value of a record", length, RECORD_VALUE_BYTES_MAX)?;
        let row = self.claim()?;
        self.write(row, name, parts, bytes)?;
        entry.rows.push(row);
        entry.bytes = length;
        Ok(entry)
    }

    fn remove(&mut self, rows: impl IntoIterator<Item = u32>) -> Result<(), StoreError> {
        for row in rows {
            remove_row(self.transaction, row).map_err(failed)?;
            self.released.push(row);
        }
        Ok(())
    }

    fn claim(&mut self) -> Result<u32, StoreError> {
        let row = self.index.claim().ok_or(StoreError::Full)?;
        self.claimed.push(row);
        Ok(row)
    }

    fn write(&mut self, row: u32, name: &Name, part: usize, body: &[u8]) -> Result<(), StoreError> {
        let too_large = |limit| StoreError::TooLarge { what: "a record", got: body.len(), limit };
        let head = Head {
            kind: name.0,
            part: u16::try_from(part).map_err(|_| too_large(RECORD_PARTS_MAX))?,
            body_bytes: u32::try_from(body.len()).map_err(|_| too_large(RECORD_VALUE_BYTES_MAX))?,
            key: name.1.clone(),
        };
        // A ring without its newest era cannot be built: it is the last of those it has.
        let (era, key) = self.ring.current().ok_or(StoreError::Closed)?;
        let place = Place { era, row };
        let sealed = seal_row(key, place, &head, body, self.random)?;
        write_row(self.transaction, place, &sealed).map_err(failed)
    }
}

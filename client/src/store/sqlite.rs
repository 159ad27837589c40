//! The store on disk. The module documentation of [`store`](super) describes its files.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use rusqlite::{Transaction, TransactionBehavior};
use zajil_proto::durable::Durable;
use zajil_proto::random::Random;
use zeroize::Zeroizing;

use super::batch::{Change, Operation, within};
use super::database::{Database, remove_row, write_row};
use super::destroy::{self, Destruction};
use super::home::{self, HomeLock, Paths};
use super::index::{Entry, Index, Name};
use super::keys::{self, KeyRing, Method, Opened, Passphrase, Protection, Unlock};
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
    /// The `keys` file: once it is gone, this store is.
    keys: PathBuf,
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
        finish_destruction(home, &paths)?;
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
    /// The passphrase of duress destroys the home and is answered as if there had never been one.
    ///
    /// # Errors
    /// [`StoreError::NotThere`], [`StoreError::Busy`], [`StoreError::ReadOnly`], [`StoreError::Full`];
    /// [`StoreError::WrongKey`], [`StoreError::WrongPassphrase`], [`StoreError::NoKeyFile`],
    /// [`StoreError::NeedsKeyFile`], [`StoreError::NeedsPassphrase`]; [`StoreError::NewerVersion`],
    /// [`StoreError::Corrupt`]; [`StoreError::Io`], [`StoreError::Database`]. After any of them but the first the files
    /// are as they were.
    pub fn open(home: &Path, unlock: &Unlock, random: Box<dyn Random + Send>) -> Result<Self, StoreError> {
        let paths = Paths::of(home);
        // Before anything is made in a directory that may not be a home at all.
        read_keys(home, &paths)?;
        let lock = match HomeLock::take(&paths) {
            Ok(lock) => lock,
            // Whoever is under duress must not be told to wait.
            Err(StoreError::Busy) => return Err(unlocked(home, &paths, unlock).err().unwrap_or(StoreError::Busy)),
            Err(error) => return Err(error),
        };
        home::keep_private(home)?;
        let ring = unlocked(home, &paths, unlock)?;
        Self::start(&paths, ring, random, lock)
    }

    /// Tries a passphrase without opening the store, also while another program has it open. That of duress does what
    /// it does in [`SqliteStore::open`].
    ///
    /// # Errors
    /// As [`SqliteStore::open`], without those about the records.
    pub fn try_passphrase(home: &Path, passphrase: &Passphrase) -> Result<(), StoreError> {
        unlocked(home, &Paths::of(home), &Unlock::Passphrase(passphrase.clone())).map(|_| ())
    }

    /// Sets the passphrase of duress of a home that opens with a passphrase, or takes it away with `None`; also while
    /// another program has it open. The files tell nobody which it was.
    ///
    /// # Errors
    /// [`StoreError::DuressIsPassphrase`] if both are the same; [`StoreError::NeedsKeyFile`] if no passphrase is ever
    /// asked for; else as [`SqliteStore::try_passphrase`]. After [`StoreError::Io`] the old or the new one is set.
    pub fn set_duress(
        home: &Path,
        passphrase: &Passphrase,
        duress: Option<&Passphrase>,
        random: &mut dyn Random,
    ) -> Result<(), StoreError> {
        let paths = Paths::of(home);
        Self::try_passphrase(home, passphrase)?;
        if duress.is_some_and(|duress| duress.is_same(passphrase)) {
            return Err(StoreError::DuressIsPassphrase);
        }
        let before = read_keys(home, &paths)?;
        let after = keys::with_duress(&before, duress, random)?;
        // Stretching took time, in which somebody may have destroyed the home: it must not come back.
        if read_keys(home, &paths)? != before {
            return Err(StoreError::NotThere);
        }
        let doing = "writing the keys file";
        let refused = |error: std::io::Error| StoreError::from_io(doing, &error);
        // The old file opens the home as well as the new one does: what lies under no name is overwritten too.
        let mut old = OpenOptions::new().write(true).open(&paths.keys).map_err(refused)?;
        home::write_atomically(&paths.keys, &after, doing)?;
        destroy::overwrite_open(&mut old).map_err(refused)
    }

    /// Says by what the store of a home is opened, without opening it.
    ///
    /// # Errors
    /// [`StoreError::NotThere`], [`StoreError::Corrupt`], [`StoreError::NewerVersion`], [`StoreError::Io`].
    pub fn method(home: &Path) -> Result<Method, StoreError> {
        keys::method(&read_keys(home, &Paths::of(home))?)
    }

    /// Where a key file is kept if nobody names another place: in the home, as `key`.
    pub fn key_file_of(home: &Path) -> PathBuf {
        home.join("key")
    }

    fn start(paths: &Paths, ring: KeyRing, random: Box<dyn Random + Send>, lock: HomeLock) -> Result<Self, StoreError> {
        let database = Database::open(paths, ring.store())?;
        let index = database.load(&ring)?;
        let reserve = Reserve::of(paths);
        let keys = paths.keys.clone();
        let mut store = Self { database, reserve, ring, index, random, keys, is_broken: false, _lock: lock };
        match store.tidy() {
            // A full disk is no reason not to read.
            Ok(()) | Err(StoreError::Full) => Ok(store),
            Err(error) => Err(error),
        }
    }

    fn tidy(&mut self) -> Result<(), StoreError> {
        self.end_if_destroyed()?;
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

    /// Forgets the keys if somebody has destroyed the home meanwhile: nothing more is written, nothing made anew.
    fn end_if_destroyed(&mut self) -> Result<(), StoreError> {
        if keys::is_there(&self.keys, self.ring.store()) {
            return Ok(());
        }
        self.ring.forget();
        self.is_broken = true;
        Err(StoreError::NotThere)
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

fn read_keys(home: &Path, paths: &Paths) -> Result<Vec<u8>, StoreError> {
    finish_destruction(home, paths)?;
    if let Some(file) = keys::read_file(&paths.keys)? {
        return Ok(file);
    }
    if paths.records.try_exists().unwrap_or(false) {
        return Err(StoreError::Corrupt { what: "its keys file is not there" });
    }
    Err(StoreError::NotThere)
}

/// Goes on with a destruction that was cut off.
fn finish_destruction(home: &Path, paths: &Paths) -> Result<(), StoreError> {
    if keys::read_file(&paths.keys)?.is_some_and(|file| destroy::is_mark(&file)) {
        let _ = Destruction::begin(home).finish();
    }
    Ok(())
}

/// Opens the keys of a home, or destroys it if it was the passphrase of duress.
fn unlocked(home: &Path, paths: &Paths, unlock: &Unlock) -> Result<KeyRing, StoreError> {
    match KeyRing::open(&read_keys(home, paths)?, unlock)? {
        Opened::Ring(ring) => Ok(ring),
        Opened::Duress => {
            let _ = Destruction::begin(home).finish();
            Err(StoreError::NotThere)
        }
    }
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
        self.end_if_destroyed()?;
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

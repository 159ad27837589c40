//! The device store: everything a device keeps, sealed at rest, changed only by atomic durable commits.
//!
//! A *record* has a [`Kind`], a key of at most 64 bytes and a value of at most 4 MiB. The engine changes records in
//! [`Batch`]es; a commit that returned survives a power cut, one that did not return is there whole or not at all.
//! Nothing else may say that a thing is durable: [`DeviceStore::commit`] is the only place on a device where a
//! [`Durable`] begins (rules 1 and 3).
//!
//! Two engines mean the same: [`SqliteStore`] in the files of a home, [`MemoryStore`] for tests and the simulated
//! world. One conformance suite runs against both (`client/tests/store/conformance.rs`).
//!
//! # The files of a home, format 1
//!
//! Numbers are big-endian; `seal(key, nonce, text)` is ChaCha20-Poly1305 (RFC 8439) with what is named as context.
//!
//! - `lock`: empty; the program that has it locked (`flock`) has the home.
//! - `key`, or wherever the person keeps it: the key file, 32 random bytes. Not there if the store has a passphrase.
//! - `keys`: `"zajilkey" ‖ version u8 = 2 ‖ method u8 ‖ store id 16 ‖ salt 16 ‖ memory KiB u32 ‖ passes u32 ‖ lanes u32
//!   ‖ duress 32 ‖ eras u16 ‖ eras × (number u32 ‖ nonce 12 ‖ sealed era key 48) ‖ SHA-256 of all before, first 8`.
//!   Method 1 is a key file (memory, passes, lanes are 0), 2 a passphrase. The *top key* is
//!   `HKDF-SHA256(salt, secret, "zajil store 1 top")`, where the secret is the key file, or
//!   `Argon2id(passphrase, salt, memory, passes, lanes)`; it seals each era key, context
//!   `"zajil store 1 era" ‖ the 54 bytes up to lanes, version 1 in them ‖ number`. *Duress* is
//!   `HKDF-SHA256(salt, secret, "zajil store 2 duress")` of the passphrase that destroys the home, or random where there
//!   is none; a file of version 1 has no place for it. Eras rise; records are written in the last. The file is replaced whole (write, fsync, rename, fsync of the
//!   directory) and is written last when a store is made: without it there is no store. One that begins with "zajilend"
//!   is the mark of a destruction (`destroy.rs`). What ends in `.new`, or follows that, is unfinished and may be removed.
//! - `records.db`, with `records.db-wal` while open or after a crash: SQLite, `application_id` "ZAJ1",
//!   `user_version` 1.
//!   - `store`: one row, the store id of `keys`.
//!   - `record (id, head, body)`: one row for what was put and one for each append since. Each write draws a *record
//!     key*; `head = seal(record key, 0, kind u8 ‖ part u16 ‖ body length u32 ‖ key length u8 ‖ key, zeros to 64)`,
//!     `body = seal(record key, 1, value)`, context `"zajil store 1 head"` or `"… body"`, zeros to 20,
//!     `‖ era u32 ‖ id u32`.
//!   - `key_page (id, wraps)`: 63 wraps for the rows `63 × id …`, after 512 zero bytes. A wrap is `era u32 ‖ nonce 12 ‖
//!     sealed record key 48`, sealed by the era key, context `"zajil store 1 key"`, zeros to 20, `‖ era ‖ id`; zeros if
//!     there is no such row.
//! - `reserve`: up to 16 MiB of nothing, given up when a full disk refuses a commit that frees more than it takes.
//!
//! Deleting destroys keys. SQLite moves the cells of its b-trees, and its `secure_delete` does not wipe every place
//! where they were: after 37,202 deletions in 3,000 rows we found 2,095 deleted cells with `FAST` and 4 with `ON`. So
//! wrapped record keys lie beyond the first 489 bytes of a blob, in an overflow page: those stay where they are, and a
//! wrap is overwritten where it stands. What a page or the log still holds of an old row has no key after a
//! [`scrub`](DeviceStore::scrub). Names of records are nowhere in the files but in sealed heads: not even keyed hashes
//! of them, which would outlive the record in such copies; the price is that opening reads every head (not the bodies):
//! 40,000 records took 0.7 s in an unoptimised build.
//!
//! Not promised: that flash memory forgets what a file no longer holds; that sizes and numbers of rows tell nothing;
//! that a file put back from an older copy is noticed; that a log damaged after a crash keeps the commits behind the
//! damage.

mod batch;
mod database;
mod destroy;
mod error;
mod home;
mod index;
mod keys;
mod kind;
mod memory;
pub(crate) mod record;
mod reserve;
mod seal;
mod sqlite;

use zajil_proto::durable::Durable;
use zeroize::Zeroizing;

pub use batch::Batch;
pub use destroy::{Destruction, FilesFate, Holder, KeysFate};
pub use error::StoreError;
pub use keys::{Argon2Cost, Method, Passphrase, Protection, Unlock};
pub use kind::Kind;
pub use memory::{Fault, MemoryDisk, MemoryStore, Snapshot};
pub use record::{Record, Records};
pub use sqlite::SqliteStore;

/// The bytes of a record, wiped from memory when dropped.
pub type Value = Zeroizing<Vec<u8>>;

/// What a device keeps, and how it changes.
///
/// All calls are synchronous and short, but for a commit, which waits for the disk. One program at a time has a store
/// open.
pub trait DeviceStore: Send {
    /// Makes all changes of the batch durable, or none. Changes apply in their order. An empty batch is durable at
    /// once.
    ///
    /// # Errors
    /// After [`StoreError::TooLarge`] and [`StoreError::Full`] nothing has changed and the store goes on; on a full
    /// disk a batch that deletes at least as many bytes as it puts still goes through, from space held back. After any
    /// other error the batch may be on disk or not, whole in either case: drop the store and open it again.
    fn commit(&mut self, batch: Batch) -> Result<Durable<()>, StoreError>;

    /// Reads a value, or `None` if there is no such record.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the record is damaged; [`StoreError::Closed`]; [`StoreError::Io`].
    fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Value>, StoreError>;

    /// The keys of this kind that begin with `prefix`, rising (bytewise). Reads no value.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    fn keys_prefix(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError>;

    /// The length of a value in bytes, or `None` if there is no such record. Reads no value.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    fn len(&self, kind: Kind, key: &[u8]) -> Result<Option<usize>, StoreError>;

    /// How many records of this kind there are.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    fn count(&self, kind: Kind) -> Result<usize, StoreError>;

    /// Bytes of keys and values of this kind, before sealing. The files are larger: about 270 bytes a part, and whole
    /// pages.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    fn usage(&self, kind: Kind) -> Result<u64, StoreError>;

    /// How many more bytes the disk has for this store, space held back apart; `None` if it does not say. Others write to the same
    /// disk: that a batch of fewer bytes goes through is not promised.
    fn room(&self) -> Option<u64>;

    /// Removes from the files what commits have deleted or replaced, so that not even its sealed form is left in them.
    /// Costs disk writes: call it when idle. Also done when opening and closing. What flash memory keeps of old blocks
    /// is not promised.
    ///
    /// # Errors
    /// As [`DeviceStore::commit`]; no record changes.
    fn scrub(&mut self) -> Result<(), StoreError>;

    /// Scrubs and closes. Dropping a store closes it too, and cannot say whether that went well; nothing committed is
    /// lost.
    ///
    /// # Errors
    /// As [`DeviceStore::scrub`].
    fn close(self: Box<Self>) -> Result<(), StoreError>;

    /// Every record of this kind, by rising key. Holds all values in memory: for bodies ask for [`DeviceStore::keys`]
    /// and read one by one.
    ///
    /// # Errors
    /// As [`DeviceStore::get`]; the first record that cannot be read ends it.
    fn scan(&self, kind: Kind) -> Result<Vec<(Vec<u8>, Value)>, StoreError> {
        self.scan_prefix(kind, &[])
    }

    /// Every record of this kind whose key begins with `prefix`, by rising key. Holds all values in memory.
    ///
    /// # Errors
    /// As [`DeviceStore::get`]; the first record that cannot be read ends it.
    fn scan_prefix(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Value)>, StoreError> {
        let mut rows = Vec::new();
        for key in self.keys_prefix(kind, prefix)? {
            if let Some(value) = self.get(kind, &key)? {
                rows.push((key, value));
            }
        }
        Ok(rows)
    }

    /// The keys of this kind, rising (bytewise). Reads no value.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    fn keys(&self, kind: Kind) -> Result<Vec<Vec<u8>>, StoreError> {
        self.keys_prefix(kind, &[])
    }
}

//! SQLite under the store: its file, its settings, rows and key wraps.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rusqlite::blob::Blob;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags, OptionalExtension};

use super::StoreError;
use super::home::{self, Paths};
use super::index::Index;
use super::keys::KeyRing;
use super::seal::{Era, Head, Place, SealedRow, WRAPPED_KEY_BYTES, open_body, open_head};
use super::{Value, seal};

/// "ZAJ1", so that `file` and we can tell what this is.
const APPLICATION: i64 = 0x5a41_4a31;
/// Version of the format; SQLite keeps it as `user_version`.
const FORMAT: i64 = 1;

/// `era u32 ‖ wrapped record key`; all zeros when free.
const WRAP_BYTES: usize = 4 + WRAPPED_KEY_BYTES;
/// Wraps in one key page: what fits one overflow page of SQLite.
const WRAPS_PER_PAGE: u32 = 63;
/// Where the wraps of a key page begin. SQLite keeps the first 485 bytes of this blob in the b-tree, whose cells it
/// moves without wiping where they were; the rest lies in an overflow page, which stays where it is and is changed in
/// place.
const WRAPS_START: usize = 512;
/// Length of a key page, bytes.
const KEY_PAGE_BYTES: usize = WRAPS_START + WRAPS_PER_PAGE as usize * WRAP_BYTES;
/// Bytes of one page of the file.
const PAGE_BYTES: usize = 4_096;
/// What SQLite's header says of a file with a write-ahead log, write and read version (section 1.3 of its file format).
const WAL_FORMAT: [u8; 2] = [2, 2];
/// Pages that may lie free in the file before a scrub gives them back: 1 MiB. Fewer are soon used again.
const FREE_PAGES_KEPT: i64 = 256;

// One overflow page holds all but the first 489 bytes of a payload (489 and 4 by the file format of SQLite, its
// sections 1.6 and 1.7; 4 more are the header of the row).
const _: () = assert!(WRAPS_START >= 489 - 4 && KEY_PAGE_BYTES + 4 - 489 <= PAGE_BYTES - 4);

const SCHEMA: &str = "
    CREATE TABLE store (id BLOB NOT NULL) STRICT;
    CREATE TABLE key_page (id INTEGER PRIMARY KEY, wraps BLOB NOT NULL) STRICT;
    CREATE TABLE record (id INTEGER PRIMARY KEY, head BLOB NOT NULL, body BLOB NOT NULL) STRICT;
";

/// An open database.
pub(super) struct Database {
    pub(super) connection: Connection,
}

/// What a wrap says of its row.
struct Wrap {
    era: Era,
    wrapped: [u8; WRAPPED_KEY_BYTES],
}

impl Database {
    /// Makes the database of a new store, durable with its name. It takes the name when it is whole.
    pub(super) fn create(paths: &Paths, store: [u8; 16]) -> Result<(), StoreError> {
        let doing = "making the database";
        let refused = |error: io::Error| StoreError::from_io(doing, &error);
        let failed = |error: rusqlite::Error| StoreError::from_sqlite(doing, &error);
        for left in &paths.unfinished {
            home::remove_if_there(left).map_err(refused)?;
        }
        let [unfinished, ..] = &paths.unfinished;
        // SQLite would make it readable for others; its write-ahead log takes over the mode of this file.
        home::make_file(unfinished).map_err(refused)?;
        let connection = connect(unfinished).map_err(failed)?;
        let layout = format!("PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL;");
        connection.execute_batch(&layout).map_err(failed)?;
        configure(&connection).map_err(failed)?;
        let head = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};");
        connection.execute_batch(&format!("BEGIN; {head} {SCHEMA}")).map_err(failed)?;
        connection.execute("INSERT INTO store (id) VALUES (?1)", [store.as_slice()]).map_err(failed)?;
        connection.execute_batch("COMMIT").map_err(failed)?;
        let database = Self { connection };
        // Closing does not say when the log could not be moved into the file, and the log does not come along.
        database.scrub()?;
        database.close()?;
        std::fs::rename(unfinished, &paths.records).map_err(refused)?;
        home::sync_directory_of(&paths.records).map_err(refused)
    }

    /// Removes the database of an `init` that was cut off before its keys were written; refuses if it holds records, or
    /// anything that cannot be read.
    pub(super) fn remove_leftover(paths: &Paths) -> Result<(), StoreError> {
        if !paths.records.try_exists().unwrap_or(true) {
            return Ok(());
        }
        let rows = connect(&paths.records).and_then(|connection| {
            connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
            connection.query_row("SELECT count(*) FROM record", [], int)
        });
        if rows != Ok(0) {
            return Err(StoreError::NotEmpty);
        }
        let removed = home::remove_if_there(&paths.records);
        removed.map_err(|error| StoreError::from_io("removing what an earlier init left", &error))
    }

    /// Opens the database of this store.
    pub(super) fn open(paths: &Paths, store: [u8; 16]) -> Result<Self, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::from_sqlite("opening the database", &error);
        if !paths.records.try_exists().unwrap_or(true) {
            return Err(StoreError::Corrupt { what: "its database is not there" });
        }
        if write_format(paths)? != WAL_FORMAT {
            return Err(StoreError::Corrupt { what: "the header of its database" });
        }
        let connection = connect(&paths.records).map_err(failed)?;
        connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE").map_err(failed)?;
        if pragma(&connection, "application_id").map_err(failed)? != APPLICATION {
            return Err(StoreError::Corrupt { what: "its database is not one of Zajil" });
        }
        match pragma(&connection, "user_version").map_err(failed)? {
            FORMAT => {}
            got if got > FORMAT => {
                let [got, expected] = [got, FORMAT].map(|format| u32::try_from(format).unwrap_or(u32::MAX));
                return Err(StoreError::NewerVersion { got, expected });
            }
            _ => return Err(StoreError::Corrupt { what: "the format of its database" }),
        }
        configure(&connection).map_err(failed)?;
        let id: Vec<u8> = connection.query_row("SELECT id FROM store", [], |row| row.get(0)).map_err(failed)?;
        if id != store {
            return Err(StoreError::Corrupt { what: "its keys file is of another store" });
        }
        Ok(Self { connection })
    }

    /// Reads which records there are. Key wraps and rows must agree: a row that a damaged b-tree hides is noticed by
    /// its wrap.
    pub(super) fn load(&self, ring: &KeyRing) -> Result<Index, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::from_sqlite("reading the records", &error);
        let mut wraps = self.wraps()?;
        let mut statement = self.connection.prepare("SELECT id, head FROM record ORDER BY id").map_err(failed)?;
        let mut found = statement.query([]).map_err(failed)?;
        let mut rows: Vec<(u32, Head)> = Vec::new();
        while let Some(row) = found.next().map_err(failed)? {
            let number = row_number(row.get(0).map_err(failed)?)?;
            let sealed: Vec<u8> = row.get(1).map_err(failed)?;
            let wrap = wraps.remove(&number).ok_or(StoreError::Corrupt { what: "a record without its key" })?;
            let (place, key) = wrap.open(number, ring)?;
            rows.push((number, open_head(&key, place, &sealed)?));
        }
        if !wraps.is_empty() {
            return Err(StoreError::Corrupt { what: "a record that is missing" });
        }
        Index::of(rows)
    }

    /// Every wrap that is taken, by row.
    fn wraps(&self) -> Result<BTreeMap<u32, Wrap>, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::from_sqlite("reading the keys of records", &error);
        let damaged = || StoreError::Corrupt { what: "the keys of its records" };
        let mut statement = self.connection.prepare("SELECT id, wraps FROM key_page ORDER BY id").map_err(failed)?;
        let mut found = statement.query([]).map_err(failed)?;
        let mut wraps = BTreeMap::new();
        while let Some(row) = found.next().map_err(failed)? {
            let page = row_number(row.get(0).map_err(failed)?)?;
            let bytes: Vec<u8> = row.get(1).map_err(failed)?;
            let first = page.checked_mul(WRAPS_PER_PAGE).ok_or_else(damaged)?;
            let cells = bytes.get(WRAPS_START..KEY_PAGE_BYTES).filter(|_| bytes.len() == KEY_PAGE_BYTES);
            let (cells, _) = cells.ok_or_else(damaged)?.as_chunks::<WRAP_BYTES>();
            for (offset, cell) in (0..).zip(cells) {
                if *cell != [0; WRAP_BYTES] {
                    let number = first.checked_add(offset).ok_or_else(damaged)?;
                    wraps.insert(number, Wrap::decode(cell));
                }
            }
        }
        Ok(wraps)
    }

    /// Opens the body of one row.
    pub(super) fn read_body(&self, ring: &KeyRing, row: u32) -> Result<Value, StoreError> {
        let failed = |error: rusqlite::Error| StoreError::from_sqlite("reading a record", &error);
        let mut cell = [0; WRAP_BYTES];
        let (page, offset) = wrap_place(row);
        let blob = self.connection.blob_open(MAIN_DB, c"key_page", c"wraps", page, true).map_err(failed)?;
        blob.read_at_exact(&mut cell, offset).map_err(failed)?;
        let (place, key) = Wrap::decode(&cell).open(row, ring)?;
        let mut statement = self.connection.prepare("SELECT body FROM record WHERE id = ?1").map_err(failed)?;
        let body: Option<Vec<u8>> = statement.query_row([row], |row| row.get(0)).optional().map_err(failed)?;
        let body = body.ok_or(StoreError::Corrupt { what: "a record that is missing" })?;
        open_body(&key, place, &body)
    }

    /// Gives pages without content back and empties the write-ahead log. Wraps were wiped in place by their commits, so
    /// after this no file holds the key of a deleted record.
    pub(super) fn scrub(&self) -> Result<(), StoreError> {
        self.try_scrub().map_err(|error| StoreError::from_sqlite("scrubbing the database", &error))
    }

    fn try_scrub(&self) -> Result<(), rusqlite::Error> {
        let sql = format!("DELETE FROM key_page WHERE wraps = zeroblob({KEY_PAGE_BYTES})");
        self.connection.execute(&sql, [])?;
        if pragma(&self.connection, "freelist_count")? > FREE_PAGES_KEPT {
            let mut statement = self.connection.prepare("PRAGMA incremental_vacuum")?;
            let mut steps = statement.query([])?;
            while steps.next()?.is_some() {}
        }
        // Nobody else has the file open, so the answer "busy" (1) cannot come; if it did, the log was not emptied.
        let busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], int)?;
        if busy == 0 { Ok(()) } else { Err(busy_error()) }
    }

    /// Closes the file, and says whether that went well.
    pub(super) fn close(self) -> Result<(), StoreError> {
        let closed = self.connection.close();
        closed.map_err(|(_, error)| StoreError::from_sqlite("closing the database", &error))
    }
}

/// Writes a row and its wrap, whether they were there or not. Belongs into a transaction.
pub(super) fn write_row(connection: &Connection, place: Place, row: &SealedRow) -> Result<(), rusqlite::Error> {
    let sql = "INSERT INTO record (id, head, body) VALUES (?1, ?2, ?3)
               ON CONFLICT (id) DO UPDATE SET head = excluded.head, body = excluded.body";
    connection.execute(sql, (place.row, &row.head, &row.body))?;
    let mut cell = place.era.to_be_bytes().to_vec();
    cell.extend_from_slice(&row.wrapped);
    key_page(connection, place.row)?.write_all_at(&cell, wrap_place(place.row).1)
}

/// Removes a row and wipes its wrap. Belongs into a transaction.
pub(super) fn remove_row(connection: &Connection, row: u32) -> Result<(), rusqlite::Error> {
    connection.execute("DELETE FROM record WHERE id = ?1", [row])?;
    key_page(connection, row)?.write_all_at(&[0; WRAP_BYTES], wrap_place(row).1)
}

/// Opens the key page of a row for writing; makes it if it is not there.
fn key_page(connection: &Connection, row: u32) -> Result<Blob<'_>, rusqlite::Error> {
    let (page, _) = wrap_place(row);
    let sql = format!("INSERT OR IGNORE INTO key_page (id, wraps) VALUES (?1, zeroblob({KEY_PAGE_BYTES}))");
    connection.execute(&sql, [page])?;
    connection.blob_open(MAIN_DB, c"key_page", c"wraps", page, false)
}

/// Key page of a row, and where in it its wrap begins.
fn wrap_place(row: u32) -> (i64, usize) {
    let wrap = usize::try_from(row % WRAPS_PER_PAGE).unwrap_or_default();
    (i64::from(row / WRAPS_PER_PAGE), WRAPS_START.saturating_add(wrap.saturating_mul(WRAP_BYTES)))
}

impl Wrap {
    fn decode(cell: &[u8; WRAP_BYTES]) -> Self {
        let mut era = [0; 4];
        let mut wrapped = [0; WRAPPED_KEY_BYTES];
        for (to, from) in era.iter_mut().chain(&mut wrapped).zip(cell) {
            *to = *from;
        }
        Self { era: Era::from_be_bytes(era), wrapped }
    }

    fn open(&self, row: u32, ring: &KeyRing) -> Result<(Place, zajil_proto::keys::Secret), StoreError> {
        let place = Place { era: self.era, row };
        let key = ring.era(self.era).ok_or(StoreError::Corrupt { what: "the era of a record" })?;
        Ok((place, seal::open_key(key, place, &self.wrapped)?))
    }
}

/// Reads where the header says how the file may be written: SQLite opens a file of an unknown way as read-only, which
/// would be told as a home that cannot be written.
fn write_format(paths: &Paths) -> Result<[u8; 2], StoreError> {
    let mut header = Vec::with_capacity(20);
    let file = File::open(&paths.records).and_then(|file| file.take(20).read_to_end(&mut header));
    file.map_err(|error| StoreError::from_io("opening the database", &error))?;
    Ok(header.last_chunk().copied().unwrap_or_default())
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    // One thread at a time has the store (`&mut`), so SQLite needs no lock of its own; the file is never made here.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// The settings that are not kept in the file.
fn configure(connection: &Connection) -> Result<(), rusqlite::Error> {
    // Exclusive: no file of shared memory beside the log. Full: a commit has returned when it is on disk; fullfsync
    // asks the same of Apple's disks. Fast: wiped where that costs no further write; what must be wiped lies in key
    // pages, which we wipe. Trusted schema off, defensive on, cells checked: a file that somebody else has written must
    // not harm us.
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON; PRAGMA secure_delete = FAST; PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;",
    )?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode == "wal" { Ok(()) } else { Err(busy_error()) }
}

fn busy_error() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, rusqlite::Error> {
    connection.query_row(&format!("PRAGMA {name}"), [], int)
}

fn int(row: &rusqlite::Row<'_>) -> Result<i64, rusqlite::Error> {
    row.get(0)
}

fn row_number(id: i64) -> Result<u32, StoreError> {
    u32::try_from(id).map_err(|_| StoreError::Corrupt { what: "the number of a record" })
}

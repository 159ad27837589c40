//! Rows in SQLite, sealed on the way in and opened on the way out.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use super::super::batch::RequestRows;
use super::super::key::Vault;
use super::super::ledger::{Rows, Table, Visit};
use super::super::{CheckReport, Space, SpaceProbe, StoreError};
use super::directory::StoreDirectory;
use super::{Sync, wal};
use crate::limits::{
    INLINE_BODY_BYTES_MAX, SCRUB_FREE_BYTES_MIN, SCRUB_PAGES_MAX, VACUUM_PAGES_KEPT, VACUUM_PAGES_PER_SWEEP,
    WAL_BYTES_MAX,
};

/// "zajl": tells our files from other databases.
const APPLICATION_ID: i32 = 0x7a61_6a6c;
/// The format of this version. A later one brings older files up to itself here.
const FORMAT: u32 = 1;
/// Page size, bytes. The smallest that keeps a short body on one page: half the flash wear of 4 096 for lonely messages.
const PAGE_BYTES: u64 = 2_048;
/// Bytes of a long value that one page holds: the page but the number of the next.
const OVERFLOW_BYTES: u64 = PAGE_BYTES - 4;
/// Bytes of a long value that stay in the row's own page: more than the least that SQLite leaves there (232), less than the most (2 013).
const BESIDE_OVERFLOW_BYTES: u64 = 300;
/// Row of the meta table that tells a wrong key from damage. Not sealed; a hash of the key says nothing about it.
const CHECK_ROW: i64 = 0;

const SCHEMA: &str = "
    CREATE TABLE meta(r INTEGER PRIMARY KEY, s BLOB NOT NULL);
    CREATE TABLE scopes(r INTEGER PRIMARY KEY, s BLOB NOT NULL);
    CREATE TABLE parcels(r INTEGER PRIMARY KEY, s BLOB NOT NULL, body BLOB);
    CREATE TABLE bodies(r INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE tombstones(r INTEGER PRIMARY KEY, s BLOB NOT NULL);
    CREATE TABLE freed(r INTEGER PRIMARY KEY, s BLOB NOT NULL);
";

/// Prepared statements that are kept: all there are, about thirty.
const STATEMENTS_KEPT: usize = 64;

/// A number for each table and for bodies, sealed with every row. Part of the format.
const BODY_SEAL: u8 = 6;

const fn seal_number(table: Table) -> u8 {
    match table {
        Table::Meta => 1,
        Table::Scopes => 2,
        Table::Parcels => 3,
        Table::Tombstones => 4,
        Table::Freed => 5,
    }
}

/// The SQL of one table.
struct Statements {
    scan: &'static str,
    record: &'static str,
    write: &'static str,
    delete: &'static str,
    delete_below: &'static str,
}

macro_rules! statements {
    ($table:literal) => {
        Statements {
            scan: concat!("SELECT r, s FROM ", $table, " WHERE r > ?1 ORDER BY r"),
            record: concat!("SELECT s FROM ", $table, " WHERE r = ?1"),
            write: concat!("INSERT OR REPLACE INTO ", $table, "(r, s) VALUES(?1, ?2)"),
            delete: concat!("DELETE FROM ", $table, " WHERE r = ?1"),
            delete_below: concat!("DELETE FROM ", $table, " WHERE r < ?1"),
        }
    };
}

const fn statements(table: Table) -> Statements {
    match table {
        Table::Meta => statements!("meta"),
        Table::Scopes => statements!("scopes"),
        Table::Parcels => statements!("parcels"),
        Table::Tombstones => statements!("tombstones"),
        Table::Freed => statements!("freed"),
    }
}

/// The database of a store and the seal over its rows.
pub(in crate::store) struct SealedRows {
    connection: Connection,
    vault: Vault,
    space: SpaceProbe,
    directory: std::path::PathBuf,
    in_transaction: bool,
    /// Whether the request that runs has written.
    wrote: bool,
    /// Whether SQLite itself found damage.
    damaged: bool,
    /// What a sweep asked for: `Some(true)` once a day.
    tidy: Option<bool>,
    /// A day is over whose free pages have not been overwritten.
    scrub_due: bool,
    /// Bytes of the log that the database does not hold yet.
    log_bytes: u64,
}

impl SealedRows {
    pub(super) fn open(
        directory: &StoreDirectory,
        vault: Vault,
        space: SpaceProbe,
        sync: Sync,
    ) -> Result<Self, StoreError> {
        wal::check(&directory.log())?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(directory.database(), flags);
        let connection = opened.map_err(|error| translate("opening the store", &error))?;
        let mut rows = Self {
            connection,
            vault,
            space,
            directory: directory.path().to_owned(),
            in_transaction: false,
            wrote: false,
            damaged: false,
            tidy: None,
            scrub_due: false,
            log_bytes: 0,
        };
        // After an error nothing more may be written, not even by closing; a proper end copies the log itself.
        let kept = rows.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        kept.map(drop).and_then(|()| rows.configure(sync)).map_err(|error| rows.opening_failed(&error))?;
        rows.recognise()?;
        Ok(rows)
    }

    fn configure(&self, sync: Sync) -> rusqlite::Result<()> {
        self.connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        let set = |pragma: &str, value: &str| self.connection.pragma_update_and_check(None, pragma, value, |_| Ok(()));
        // Exclusive before the first access: then SQLite keeps its log's index in memory, not in a file.
        set("locking_mode", "EXCLUSIVE")?;
        let pages: i64 = self.connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        if pages == 0 {
            // Only for a new file: on an old one even saying it again would write, and an opening must not need space.
            self.connection.pragma_update(None, "page_size", "2048")?;
            self.connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        }
        set("journal_mode", "WAL")?;
        let level = match sync {
            Sync::EveryCommit => "FULL",
            Sync::Never => "OFF",
        };
        self.connection.pragma_update(None, "synchronous", level)?;
        set("wal_autocheckpoint", "0")?;
        set("secure_delete", "FAST")?;
        // Nothing of ours may appear in a temporary file.
        self.connection.pragma_update(None, "temp_store", "MEMORY")?;
        self.connection.pragma_update(None, "cache_size", "-8192")?;
        self.connection.pragma_update(None, "cell_size_check", "ON")
    }

    /// Checks that this is a store of ours under our key, or makes it one.
    fn recognise(&mut self) -> Result<(), StoreError> {
        let application: i32 = self.number("application_id")?;
        let format: u32 = self.number("user_version")?;
        let tables = "SELECT count(*) FROM sqlite_schema";
        let tables: u32 = self.ask(|connection| connection.query_row(tables, [], |row| row.get(0)))?;
        if application == 0 && format == 0 && tables == 0 {
            return self.create();
        }
        if application != APPLICATION_ID {
            return Err(StoreError::NotAStore { path: self.directory.clone() });
        }
        if format > FORMAT {
            return Err(StoreError::Newer { got: format, expected: FORMAT });
        }
        let mut report = CheckReport::default();
        self.check_structure("PRAGMA quick_check(1)", &mut report)?;
        if let Some(problem) = report.problems.first() {
            return Err(StoreError::corrupt(problem.clone()));
        }
        let check: Option<Vec<u8>> = self.ask(|connection| {
            connection.query_row("SELECT s FROM meta WHERE r = ?1", [CHECK_ROW], |row| row.get(0)).optional()
        })?;
        match check {
            Some(check) if check == self.vault.check() => Ok(()),
            Some(_) => Err(StoreError::WrongKey),
            None => Err(StoreError::corrupt("the mark of the store key is missing")),
        }
    }

    fn create(&mut self) -> Result<(), StoreError> {
        self.ensure_transaction()?;
        let check = self.vault.check().to_vec();
        self.ask(|connection| {
            connection.execute_batch(SCHEMA)?;
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.pragma_update(None, "user_version", FORMAT)?;
            connection.execute("INSERT INTO meta(r, s) VALUES(?1, ?2)", params![CHECK_ROW, check])
        })
        .map(|_| ())
    }

    /// Returns once everything written is durable.
    pub(super) fn commit(&mut self) -> Result<(), StoreError> {
        if !self.in_transaction {
            return Ok(());
        }
        self.ask(|connection| connection.execute_batch("COMMIT"))?;
        self.in_transaction = false;
        self.log_bytes = self.checkpoint("NOOP")?;
        Ok(())
    }

    /// Puts the files in order after a commit: the log into the database, free pages back to the disk.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        let tidy = self.tidy.take();
        if tidy.is_some() && self.free_pages()? > VACUUM_PAGES_KEPT {
            self.ask(|connection| {
                // Every step of this statement gives back one page.
                let mut statement =
                    connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES_PER_SWEEP})"))?;
                let mut steps = statement.query([])?;
                while steps.next()?.is_some() {}
                Ok(())
            })?;
            self.log_bytes = self.checkpoint("NOOP")?;
        }
        self.scrub_due |= tidy == Some(true);
        if tidy.is_some() && self.scrub_due && self.may_scrub()? {
            self.scrub()?;
        } else if tidy == Some(true) {
            // A log that is cut off holds no old rows.
            self.log_bytes = self.checkpoint("TRUNCATE")?;
        } else if self.log_bytes >= WAL_BYTES_MAX {
            self.log_bytes = self.checkpoint("PASSIVE")?;
        }
        Ok(())
    }

    /// Returns whether the free pages are few enough to be overwritten at once, and the disk has room for that.
    fn may_scrub(&mut self) -> Result<bool, StoreError> {
        Ok(self.free_pages()? <= SCRUB_PAGES_MAX && (self.space)()?.free_bytes >= SCRUB_FREE_BYTES_MIN)
    }

    /// Overwrites every free page with zeros, and cuts off the log: of what was let go nothing is left in the files.
    ///
    /// SQLite zeroes what is deleted from a page that it writes anyway (`secure_delete=FAST`), and leaves pages that became free as they
    /// were: whole bodies. To zero each as it becomes free would write as much as was let go, in one transaction, just when a full
    /// disk is to get room. So once a day a value of zeros takes all free pages, is committed, and goes again; pages that new notes
    /// have taken meanwhile cost nothing.
    fn scrub(&mut self) -> Result<(), StoreError> {
        self.log_bytes = self.checkpoint("TRUNCATE")?;
        // One that a power cut left behind holds pages.
        self.ask(|connection| connection.execute_batch("DROP TABLE IF EXISTS scrub"))?;
        let pages = self.free_pages()?;
        if let Some(apart) = pages.checked_sub(1) {
            // One page becomes the table's, all others hold the value: what is left over lies in the first, so that the file does
            // not grow.
            let zeros = apart.saturating_mul(OVERFLOW_BYTES).saturating_add(BESIDE_OVERFLOW_BYTES);
            let zeros = i64::try_from(zeros).unwrap_or(i64::MAX);
            self.ask(|connection| {
                connection.execute_batch("BEGIN IMMEDIATE; CREATE TABLE scrub(zeros BLOB NOT NULL)")?;
                connection.execute("INSERT INTO scrub(zeros) VALUES(zeroblob(?1))", [zeros])?;
                // Committed first: a page that is taken and freed within one transaction is not written at all.
                connection.execute_batch("COMMIT; DROP TABLE scrub")
            })?;
        }
        self.log_bytes = self.checkpoint("TRUNCATE")?;
        self.scrub_due = false;
        Ok(())
    }

    /// Leaves one file, complete.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        self.commit()?;
        self.checkpoint("TRUNCATE").map(drop)
    }

    /// Runs a checkpoint and returns the bytes of the log that are still only there.
    fn checkpoint(&mut self, mode: &str) -> Result<u64, StoreError> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let (busy, frames, done): (i64, i64, i64) = self.ask(|connection| {
            connection.prepare_cached(&sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        })?;
        if busy != 0 {
            return Err(StoreError::Io {
                what: "copying the log into the database",
                reason: "something else uses the database".to_owned(),
            });
        }
        let left = u64::try_from(frames.saturating_sub(done)).unwrap_or(0);
        Ok(left.saturating_mul(PAGE_BYTES))
    }

    fn free_pages(&mut self) -> Result<u64, StoreError> {
        let pages: i64 = self.number("freelist_count")?;
        Ok(u64::try_from(pages).unwrap_or(0))
    }

    fn number<T: rusqlite::types::FromSql>(&mut self, pragma: &str) -> Result<T, StoreError> {
        self.ask(|connection| connection.pragma_query_value(None, pragma, |row| row.get(0)))
    }

    fn ensure_transaction(&mut self) -> Result<(), StoreError> {
        self.wrote = true;
        if !self.in_transaction {
            self.ask(|connection| connection.execute_batch("BEGIN IMMEDIATE"))?;
            self.in_transaction = true;
        }
        Ok(())
    }

    fn ask<T>(&mut self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        question(&self.connection).map_err(|error| {
            self.damaged |= is_damage(&error);
            match translate("using the store", &error) {
                StoreError::ReadOnly { .. } => StoreError::ReadOnly { path: self.directory.clone() },
                other => other,
            }
        })
    }

    /// Tells a file that never was ours from one that was damaged.
    fn opening_failed(&self, error: &rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => StoreError::NotAStore { path: self.directory.clone() },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                StoreError::ReadOnly { path: self.directory.clone() }
            }
            _ => translate("opening the store", error),
        }
    }

    fn change(&mut self, sql: &str, row: i64, value: Option<&[u8]>) -> Result<(), StoreError> {
        self.ensure_transaction()?;
        self.ask(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            match value {
                Some(value) => statement.execute(params![row, value]),
                None => statement.execute([row]),
            }
        })
        .map(drop)
    }

    fn blob(&mut self, sql: &str, row: i64) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        self.ask(|connection| connection.prepare_cached(sql)?.query_row([row], |row| row.get(0)).optional())
    }

    fn open_record(vault: &Vault, table: Table, row: i64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        match table {
            Table::Tombstones => Ok(sealed.to_vec()),
            _ => vault.open(seal_number(table), row, sealed),
        }
    }

    /// Adds each line that SQLite's own check gives to `report`.
    fn check_structure(&mut self, sql: &str, report: &mut CheckReport) -> Result<(), StoreError> {
        let lines: Vec<String> = self.ask(|connection| {
            let mut statement = connection.prepare(sql)?;
            let lines = statement.query_map([], |row| row.get(0))?;
            lines.collect()
        })?;
        for line in lines.iter().filter(|line| *line != "ok") {
            report.add(format!("the database: {line}"));
        }
        Ok(())
    }
}

impl RequestRows for SealedRows {
    fn request_begins(&mut self) {
        self.wrote = false;
    }

    fn is_unharmed(&self) -> bool {
        !self.wrote && !self.damaged
    }
}

impl Rows for SealedRows {
    fn scan(&mut self, table: Table, after: i64, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let (connection, vault) = (&self.connection, &self.vault);
        let mut failed = Ok(());
        let scanned = (|| {
            let mut statement = connection.prepare_cached(statements(table).scan)?;
            let mut rows = statement.query([after])?;
            while let Some(found) = rows.next()? {
                let (row, sealed): (i64, Vec<u8>) = (found.get(0)?, found.get(1)?);
                match Self::open_record(vault, table, row, &sealed).and_then(|record| visit(row, &record)) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        failed = Err(error);
                        break;
                    }
                }
            }
            Ok(())
        })();
        self.ask(|_| scanned)?;
        failed
    }

    fn record(&mut self, table: Table, row: i64) -> Result<Vec<u8>, StoreError> {
        match self.blob(statements(table).record, row)?.flatten() {
            Some(sealed) => Self::open_record(&self.vault, table, row, &sealed),
            None => Err(StoreError::corrupt("a row is missing")),
        }
    }

    fn body(&mut self, row: i64) -> Result<Vec<u8>, StoreError> {
        let inline = self.blob("SELECT body FROM parcels WHERE r = ?1", row)?;
        let sealed = match inline {
            None => return Err(StoreError::corrupt("a row is missing")),
            Some(Some(sealed)) => Some(sealed),
            Some(None) => self.blob("SELECT body FROM bodies WHERE r = ?1", row)?.flatten(),
        };
        match sealed {
            Some(sealed) => self.vault.open(BODY_SEAL, row, &sealed),
            None => Ok(Vec::new()),
        }
    }

    fn write(&mut self, table: Table, row: i64, record: &[u8], body: &[u8]) -> Result<(), StoreError> {
        if table == Table::Tombstones {
            return self.change(statements(table).write, row, Some(record));
        }
        let sealed = self.vault.seal(seal_number(table), row, record)?;
        if table != Table::Parcels {
            return self.change(statements(table).write, row, Some(&sealed));
        }
        let sealed_body = match body {
            [] => None,
            body => Some(self.vault.seal(BODY_SEAL, row, body)?),
        };
        let (inline, apart) =
            if body.len() > INLINE_BODY_BYTES_MAX { (None, sealed_body) } else { (sealed_body, None) };
        self.change("DELETE FROM bodies WHERE r = ?1", row, None)?;
        if let Some(apart) = apart {
            self.change("INSERT INTO bodies(r, body) VALUES(?1, ?2)", row, Some(&apart))?;
        }
        self.ask(|connection| {
            connection
                .prepare_cached("INSERT OR REPLACE INTO parcels(r, s, body) VALUES(?1, ?2, ?3)")?
                .execute(params![row, sealed, inline])
        })
        .map(drop)
    }

    fn delete(&mut self, table: Table, row: i64) -> Result<(), StoreError> {
        if table == Table::Parcels {
            self.change("DELETE FROM bodies WHERE r = ?1", row, None)?;
        }
        self.change(statements(table).delete, row, None)
    }

    fn delete_below(&mut self, table: Table, row: i64) -> Result<(), StoreError> {
        self.change(statements(table).delete_below, row, None)
    }

    fn space(&mut self) -> Result<Space, StoreError> {
        let space = (self.space)()?;
        // Free pages are written before the file grows; what only the log holds will make it grow.
        let reusable = self.free_pages()?.saturating_mul(PAGE_BYTES);
        Ok(Space {
            free_bytes: space.free_bytes.saturating_add(reusable).saturating_sub(self.log_bytes),
            total_bytes: space.total_bytes,
        })
    }

    fn tidy(&mut self, daily: bool) {
        self.tidy = Some(daily || self.tidy == Some(true));
    }

    fn check(&mut self, deep: bool, report: &mut CheckReport) -> Result<(), StoreError> {
        let sql = if deep { "PRAGMA integrity_check" } else { "PRAGMA quick_check" };
        self.check_structure(sql, report)?;
        for table in [Table::Meta, Table::Scopes, Table::Parcels, Table::Tombstones, Table::Freed] {
            let after = if table == Table::Meta { CHECK_ROW } else { i64::MIN };
            let mut rows = 0_u64;
            let scanned = self.scan(table, after, &mut |_, _| {
                rows = rows.saturating_add(1);
                Ok(true)
            });
            report.rows = report.rows.saturating_add(rows);
            match scanned {
                Ok(()) => {}
                Err(StoreError::Corrupt { what }) => report.add(format!("{table:?} after {rows} rows: {what}")),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn translate(what: &'static str, error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::corrupt("SQLite finds its file damaged")
        }
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path: std::path::PathBuf::new() },
        _ => StoreError::Io { what, reason: error.to_string() },
    }
}

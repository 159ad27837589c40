//! Why a store refused, in words that say what to do.

use std::io;

use rusqlite::ErrorCode;

use super::Kind;

/// Why the device store could not be made, opened, read or written.
///
/// The texts name no path, key or value: they may reach a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// `open`: there is no store in this home.
    #[error("there is no store in this home; make one with init, or name another home")]
    NotThere,
    /// `init`: there is a store in this home already.
    #[error("this home already has a store; open it, or name an empty home")]
    NotEmpty,
    /// Another program has this home open.
    #[error("another program has this home open; stop it (zajil daemon?), or give it the command")]
    Busy,
    /// The home cannot be written.
    #[error("the home cannot be written; check who owns it and whether the disk is mounted read-only")]
    ReadOnly,
    /// The disk is full. Nothing of the commit was kept, everything before it was.
    #[error("the disk is full; free some space and try again, nothing was lost")]
    Full,
    /// The files are damaged. Nothing was changed.
    #[error("the store is damaged ({what}); keep its files as they are and restore a copy, or start anew")]
    Corrupt {
        /// Which part.
        what: &'static str,
    },
    /// The key file is not the one of this store.
    #[error("this is not the key file of this store; name the right one")]
    WrongKey,
    /// The passphrase is not the one of this store.
    #[error("the passphrase is wrong; try again")]
    WrongPassphrase,
    /// The passphrase of duress is that of the store.
    #[error("the passphrase of duress is the one that opens the store; choose another")]
    DuressIsPassphrase,
    /// The passphrase of a new store is empty.
    #[error("the passphrase is empty; choose four words or ten digits")]
    NoPassphrase,
    /// These parameters of Argon2id are not possible.
    #[error("this cost of a passphrase is not possible: memory 8 KiB a lane to 1 GiB, passes and lanes 1 to 64")]
    Cost,
    /// The key file is not where it was said to be.
    #[error("the key file is not there; without it the store cannot be opened")]
    NoKeyFile,
    /// The store opens with a passphrase, and a key file was given.
    #[error("this store opens with a passphrase; give it instead of a key file")]
    NeedsPassphrase,
    /// The store opens with a key file, and a passphrase was given.
    #[error("this store opens with its key file; give that instead of a passphrase")]
    NeedsKeyFile,
    /// A newer Zajil wrote this store.
    #[error("a newer Zajil wrote this store (format {got}, this one knows {expected}); update this one")]
    NewerVersion {
        /// Format of the store.
        got: u32,
        /// Newest format that this version reads.
        expected: u32,
    },
    /// Something is above its limit (`limits.rs`). Nothing of the batch was kept.
    #[error("{what} is too large: {got}, at most {limit}")]
    TooLarge {
        /// What was measured.
        what: &'static str,
        /// How large it was.
        got: usize,
        /// How large it may be.
        limit: usize,
    },
    /// A newer Zajil wrote this record.
    #[error("a newer Zajil wrote this {kind} record (version {got}, this one knows {expected}); update this one")]
    RecordVersion {
        /// Kind of the record.
        kind: Kind,
        /// Version of the record.
        got: u8,
        /// Version that this program reads.
        expected: u8,
    },
    /// A record was read whole but is not what its type says. A defect of this program or of the one that wrote it.
    #[error("a {kind} record is not readable as what it should be; please report this")]
    RecordShape {
        /// Kind of the record.
        kind: Kind,
    },
    /// The store was closed, or broke in an earlier commit. Open it again.
    #[error("the store is closed; open it again")]
    Closed,
    /// The system refused for another reason.
    #[error("{doing} failed: {kind}; check the disk")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system answered.
        kind: io::ErrorKind,
    },
    /// SQLite refused for another reason.
    #[error("{doing} failed: SQLite code {code}; check the disk")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// SQLite's extended result code.
        code: i32,
    },
}

impl StoreError {
    /// Sorts an error of SQLite. Its text is not kept: it may hold a path.
    pub(super) fn from_sqlite(doing: &'static str, error: &rusqlite::Error) -> Self {
        let damaged = Self::Corrupt { what: "its database" };
        let rusqlite::Error::SqliteFailure(failure, _) = error else {
            // Everything else is a value of another type or number than we ever write.
            return damaged;
        };
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::ReadOnly,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy,
            // `Unknown` is a statement that does not fit the schema. Ours are fixed, so the schema is not ours.
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::Unknown => damaged,
            _ => Self::Database { doing, code: failure.extended_code },
        }
    }

    /// Sorts an error of the file system. The error itself is not kept: its text may hold a path.
    pub(super) fn from_io(doing: &'static str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            kind => Self::Io { doing, kind },
        }
    }
}

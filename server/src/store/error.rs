use std::path::PathBuf;

use zajil_proto::wire::Code;

/// Why a store did not do, or could not be opened. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Not taken; the peer is told the reason and nothing has changed. The store goes on.
    #[error("not taken: {0}")]
    Refused(Code),
    /// A write failed earlier, or the store was closed. Nothing is acknowledged until it is opened again.
    #[error(
        "the store has stopped; nothing is acknowledged any more and nothing acknowledged is lost. \
         Look at the disk (the first error is above), then start the relay again"
    )]
    Unavailable,
    /// The disk is full although a reserve was kept: something else fills it.
    #[error("the disk of the store is full, its reserve too. Free space on it, then start the relay again")]
    Full,
    /// What was read is not what was written.
    #[error(
        "the store is damaged ({what}). Do not delete it: stop the relay, copy the store's directory, then \
         begin with an empty one; devices offer again what was not delivered"
    )]
    Corrupt {
        /// What does not fit; names no mailbox and no parcel.
        what: String,
    },
    /// The store cannot be written.
    #[error("{path} cannot be written. Give its files to the relay's user, or mount the disk writable")]
    ReadOnly {
        /// The store's directory.
        path: PathBuf,
    },
    /// Another relay has the store open.
    #[error("another relay has {path} open. Stop that one first; `zajil-relay status` shows whether it runs")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The store lies on a network file system, whose locks and fsync cannot be trusted.
    #[error("{path} lies on a network file system ({kind}), where an fsync proves nothing. Put it on a local disk")]
    NotLocal {
        /// The store's directory.
        path: PathBuf,
        /// What file system it is.
        kind: &'static str,
    },
    /// The store was sealed under another key.
    #[error("this key does not open the store. Give the key it was made with (`store_key` in the configuration)")]
    WrongKey,
    /// The file is not a store of a relay.
    #[error("{path} is not a relay's store. Point `dir` to another directory, or move the file away")]
    NotAStore {
        /// The database file.
        path: PathBuf,
    },
    /// The store was made by a newer version.
    #[error("the store has format {got}; this program knows formats up to {expected}. Use the newer program")]
    Newer {
        /// Its format.
        got: u32,
        /// The newest this program knows.
        expected: u32,
    },
    /// The operating system or the database refused something else.
    #[error("{what}: {reason}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        reason: String,
    },
}

impl StoreError {
    /// Returns the reason to tell the peer, `None` if the store itself failed.
    pub const fn refusal(&self) -> Option<Code> {
        match self {
            Self::Refused(code) => Some(*code),
            _ => None,
        }
    }

    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

//! Looks into SQLite's write-ahead log before SQLite does.
//!
//! SQLite reads its log up to the first frame whose checksum does not fit and takes that for the end: right after a power cut, when
//! the last commit was half written, but silent when a byte in the middle has rotted. Each commit is synced before the next
//! begins, so that a power cut can spoil one commit, the last. If two or more begin or go on after a frame that does not fit, the
//! log is damaged and acknowledged parcels would be lost without a word. (Damage in the very last commit cannot be told from
//! a power cut.) Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use super::StoreError;

const MAGIC_LITTLE_ENDIAN: u32 = 0x377f_0682;
const MAGIC_BIG_ENDIAN: u32 = 0x377f_0683;
const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const PAGE_BYTES_MAX: u32 = 65_536;

/// Checks the log at `path`, and makes durable what it holds; one that is missing or empty is in order.
///
/// A process that was killed during an fsync leaves a commit that only the system knows. From now on requests are answered from
/// it, perhaps without a write and so without an fsync of their own: it must be on the disk before.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::Io { what: "reading the store's log", reason: error.to_string() };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    file.sync_all().map_err(failed)?;
    if scan(BufReader::new(file)).map_err(failed)? {
        Ok(())
    } else {
        Err(StoreError::corrupt("SQLite's log is damaged before its end"))
    }
}

/// A running checksum over words in the log's byte order.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Checksum {
    sums: [u32; 2],
    big_endian: bool,
}

impl Checksum {
    fn add(&mut self, bytes: &[u8]) {
        let word = |bytes: [u8; 4]| {
            if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        let [mut first, mut second] = self.sums;
        let (words, _) = bytes.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        for [one, two] in pairs {
            first = first.wrapping_add(word(*one)).wrapping_add(second);
            second = second.wrapping_add(word(*two)).wrapping_add(first);
        }
        self.sums = [first, second];
    }
}

/// Returns whether a log ends where it may end.
fn scan(mut log: impl Read) -> std::io::Result<bool> {
    let mut header = [0; HEADER_BYTES];
    if !fill(&mut log, &mut header)? {
        return Ok(true);
    }
    let [magic, _, page_bytes, _, salt_one, salt_two, sum_one, sum_two] = words(&header);
    let mut checksum = Checksum { sums: [0, 0], big_endian: magic == MAGIC_BIG_ENDIAN };
    checksum.add(header.get(..24).unwrap_or_default());
    let known = magic == MAGIC_BIG_ENDIAN || magic == MAGIC_LITTLE_ENDIAN;
    if !known || checksum.sums != [sum_one, sum_two] || page_bytes > PAGE_BYTES_MAX {
        // A log's header is synced before its first frame: without it there is nothing, or all of it is unreadable.
        let mut rest = Vec::new();
        log.take(u64::from(PAGE_BYTES_MAX)).read_to_end(&mut rest)?;
        return Ok(rest.iter().all(|byte| *byte == 0));
    }
    let page_bytes = usize::try_from(page_bytes).unwrap_or(usize::MAX);
    let mut frame = vec![0; FRAME_HEADER_BYTES.saturating_add(page_bytes)];
    let (mut fits, mut commits_after) = (true, 0_u32);
    while fill(&mut log, &mut frame)? {
        let Some((head, page)) = frame.split_first_chunk::<FRAME_HEADER_BYTES>() else {
            break;
        };
        let [_, commit, one, two, first, second] = words(head);
        let ours = [one, two] == [salt_one, salt_two];
        checksum.add(head.get(..8).unwrap_or_default());
        checksum.add(page);
        fits &= ours && checksum.sums == [first, second];
        if !fits && ours && commit != 0 {
            commits_after = commits_after.saturating_add(1);
        }
    }
    Ok(commits_after < 2)
}

/// Fills `buffer`, `false` if the log ends before.
fn fill(log: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads big-endian words; those that are not there are zero.
fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut out = [0; N];
    let (chunks, _) = bytes.as_chunks::<4>();
    for (word, chunk) in out.iter_mut().zip(chunks) {
        *word = u32::from_be_bytes(*chunk);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    const FRAME: usize = FRAME_HEADER_BYTES + 4_096;

    /// The log of six commits, as SQLite itself writes it.
    fn log() -> Vec<u8> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let database = Connection::open(&path).unwrap();
        database
            .execute_batch(
                "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x);",
            )
            .unwrap();
        for value in 0..5 {
            database.execute("INSERT INTO t VALUES(?1)", [value]).unwrap();
        }
        std::fs::read(directory.path().join("a.db-wal")).unwrap()
    }

    #[test]
    fn a_log_as_sqlite_writes_it_is_in_order_and_so_is_one_cut_off_anywhere() {
        let log = log();
        for length in (0..=log.len()).step_by(97).chain([log.len()]) {
            assert!(scan(&log[..length]).unwrap(), "cut at {length}");
        }
    }

    #[test]
    fn a_byte_that_rotted_before_the_last_commit_is_noticed() {
        let log = log();
        let frames = (log.len() - HEADER_BYTES) / FRAME;
        for frame in 0..frames - 2 {
            let mut damaged = log.clone();
            damaged[HEADER_BYTES + frame * FRAME + 300] ^= 1;
            assert!(!scan(&damaged[..]).unwrap(), "frame {frame}");
        }
        let mut damaged = log;
        damaged[17] ^= 1;
        assert!(!scan(&damaged[..]).unwrap());
    }

    #[test]
    fn a_last_commit_half_written_is_what_a_power_cut_leaves() {
        let mut log = log();
        let last = log.len() - FRAME;
        log[last + 100..].fill(0);
        assert!(scan(&log[..]).unwrap());
    }
}

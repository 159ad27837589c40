//! What was let go is gone: not only its rows, but the bytes in which they lay. Looked for in the files themselves, sealed as they
//! were: whoever seizes the disk *with* the store key, and later a phone, must find nothing there that the relay has let go.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use zajil_proto::session::custody::Registration;
use zajil_proto::wire::{Precision, Scope};
use zajil_relay::store::{SqliteStore, Store, StoreLimits};

use crate::fixture::{Parcel, block_on, mailbox, options, registration, slot, slot_registration, word};

/// Bytes by which a piece is told from chance.
const PIECE_BYTES: usize = 24;
/// Distance of the pieces of a long value, bytes: every page has one at least.
const PIECE_DISTANCE_BYTES: usize = 1_000;
/// Columns that hold sealed values.
const SEALED: [(&str, &str); 6] =
    [("scopes", "s"), ("parcels", "s"), ("parcels", "body"), ("bodies", "body"), ("tombstones", "s"), ("freed", "s")];

/// Where a value lies: table, column and row.
type Place = (&'static str, &'static str, i64);

/// Every sealed value there is, as the files of a running relay hold it.
fn values(directory: &Path) -> BTreeSet<(Place, Vec<u8>)> {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let connection = Connection::open(SqliteStore::database(copy.path())).unwrap();
    let mut found = BTreeSet::new();
    for (table, column) in SEALED {
        let mut statement = connection.prepare(&format!("SELECT r, {column} FROM {table}")).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            if let Some(value) = row.get::<_, Option<Vec<u8>>>(1).unwrap() {
                found.insert(((table, column, row.get(0).unwrap()), value));
            }
        }
    }
    found
}

/// Pieces of values, with where each came from.
fn pieces<'a>(values: impl IntoIterator<Item = &'a (Place, Vec<u8>)>) -> BTreeMap<Vec<u8>, Place> {
    let mut pieces = BTreeMap::new();
    for (place, value) in values {
        let starts = (0..value.len()).step_by(PIECE_DISTANCE_BYTES).chain([value.len().saturating_sub(PIECE_BYTES)]);
        for start in starts {
            if let Some(piece) = value.get(start..start + PIECE_BYTES) {
                pieces.insert(piece.to_vec(), *place);
            }
        }
    }
    pieces
}

/// Which of the values the files still hold, wherever in them.
fn remaining(directory: &Path, pieces: &BTreeMap<Vec<u8>, Place>) -> BTreeSet<Place> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        found.extend(content.windows(PIECE_BYTES).filter_map(|window| pieces.get(window)));
    }
    found
}

/// A store whose disk is as large as its tests say, with much in it that goes and something that stays.
struct Seized {
    directory: TempDir,
    store: SqliteStore,
    /// Every value that was ever there.
    ever: BTreeSet<(Place, Vec<u8>)>,
}

impl Seized {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(options(directory.path(), StoreLimits::default(), None)).unwrap();
        Self { directory, store, ever: BTreeSet::new() }
    }

    fn look(&mut self) {
        self.ever.extend(values(self.directory.path()));
    }

    /// Lets so many hours pass, in the steps in which a store takes them.
    fn hours_pass(&mut self, hours: u64) {
        for _ in 0..hours / 6 {
            block_on(self.store.sweep(Duration::from_secs(6 * 60 * 60))).unwrap();
            self.look();
        }
    }

    /// Values that were there and are not any more.
    fn gone(&self) -> BTreeSet<(Place, Vec<u8>)> {
        let there = values(self.directory.path());
        self.ever.difference(&there).cloned().collect()
    }
}

/// Notes of every size, those that stay among those that go, so that pages are emptied, joined and used again.
async fn a_busy_day(store: &SqliteStore) -> (Vec<Parcel>, Vec<Parcel>) {
    for number in 0..3 {
        store.register(Registration { ..registration(number) }).await.unwrap();
    }
    store.register(slot_registration(0, Precision::SixHours)).await.unwrap();
    let (mut stay, mut go) = (Vec::new(), Vec::new());
    for number in 0..90 {
        let length = [700, 9_000, 40, 24_000, 1_500, 130_000][usize::try_from(number % 6).unwrap()];
        // One in five stays, another in five expires by itself within two days.
        let hours = if number % 5 == 1 { 30 } else { 720 };
        let parcel = Parcel::new(number % 2, number, hours, length, 8_192, false);
        parcel.store_in(store).await.unwrap();
        if number % 5 == 0 {
            stay.push(parcel)
        } else {
            go.push(parcel)
        }
        store.put_word(word(0, number + 1), None).await.unwrap();
    }
    (stay, go)
}

#[test]
fn what_was_released_withdrawn_dropped_or_has_expired_is_in_no_file_a_day_later_not_even_in_free_pages() {
    let mut seized = Seized::new();
    let (stay, go) = block_on(a_busy_day(&seized.store));
    seized.look();
    let in_dropped = Parcel::plain(2, 200, 50_000);
    block_on(async {
        in_dropped.store_in(&seized.store).await.unwrap();
    });
    seized.look();
    block_on(async {
        for (number, parcel) in go.iter().enumerate() {
            let home = parcel.header.mailbox();
            match number % 3 {
                0 => drop(seized.store.release(home, vec![parcel.id()]).await.unwrap()),
                1 => drop(seized.store.withdraw(home, parcel.id()).await.unwrap()),
                // Left to its lifetime, where that is short; else released with others.
                _ if parcel.header.lifetime().hours() == 30 => {}
                _ => drop(seized.store.release(home, vec![parcel.id()]).await.unwrap()),
            }
        }
        seized.store.drop_scope(Scope::Mailbox, mailbox(2).0).await.unwrap();
    });
    seized.look();
    let gone = pieces(&seized.gone());
    assert!(gone.len() > 500, "{} pieces are looked for", gone.len());
    let at_once = remaining(seized.directory.path(), &gone);
    assert!(!at_once.is_empty(), "until the day is over they are still found: the search finds what is there");

    seized.hours_pass(72);
    let gone = seized.gone();
    assert!(gone.len() > 100, "{} values were let go", gone.len());
    let left = remaining(seized.directory.path(), &pieces(&gone));
    assert!(left.is_empty(), "{} values that were let go lie in the files still: {left:?}", left.len());

    // What stays is there, in the files and for its readers.
    let there = values(seized.directory.path());
    let kept = remaining(seized.directory.path(), &pieces(&there));
    assert!(kept.len() >= stay.len());
    block_on(async {
        for parcel in &stay {
            assert!(parcel.is_whole_in(&seized.store).await.unwrap());
        }
        assert!(seized.store.seen(slot(0)).await.unwrap().word.is_some_and(|word| word.version == 90));
        assert!(seized.store.check(true).await.unwrap().is_sound());
    });
}

#[test]
fn overwriting_what_is_free_makes_no_file_grow_and_a_disk_without_room_is_let_alone() {
    let mut seized = Seized::new();
    let (_, go) = block_on(a_busy_day(&seized.store));
    block_on(async {
        for parcel in &go {
            drop(seized.store.release(parcel.header.mailbox(), vec![parcel.id()]).await.unwrap());
        }
    });
    seized.hours_pass(30);
    let length = || fs::metadata(SqliteStore::database(seized.directory.path())).unwrap().len();
    let before = length();
    for _ in 0..10 {
        for _ in 0..4 {
            block_on(seized.store.sweep(Duration::from_secs(6 * 60 * 60))).unwrap();
        }
        assert!(length() <= before, "{} bytes, and {before} before", length());
    }

    let directory = TempDir::new().unwrap();
    let space = || Ok(zajil_relay::store::Space { free_bytes: 17 * 1024 * 1024, total_bytes: 1 << 30 });
    let limits = StoreLimits { reserve_percent: 0, reserve_bytes_min: 0, ..StoreLimits::default() };
    let store = SqliteStore::open(options(directory.path(), limits, Some(Box::new(space)))).unwrap();
    block_on(async {
        store.register(registration(0)).await.unwrap();
        let parcel = Parcel::plain(0, 1, 60_000);
        parcel.store_in(&store).await.unwrap();
        let held = pieces(&values(directory.path()));
        store.release(mailbox(0), vec![parcel.id()]).await.unwrap();
        for _ in 0..4 {
            store.sweep(Duration::from_secs(6 * 60 * 60)).await.unwrap();
        }
        let log = fs::metadata(directory.path().join("relay.db-wal")).unwrap().len();
        assert_eq!(log, 0, "the log is cut off all the same");
        assert!(!remaining(directory.path(), &held).is_empty(), "and nothing was overwritten for want of room");
    });
}

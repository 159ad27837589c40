//! Damaged files: told, never passed over in silence, never a panic.

use std::fs;

use rusqlite::Connection;
use zajil_client::store::{Batch, DeviceStore, Kind, StoreError};

use crate::rig::{Home, Records, put, read_all};

/// A closed store with small and large records and several parts, and what is in it.
fn filled() -> (Home, Records) {
    let home = Home::fresh();
    let mut store = home.open().unwrap();
    let mut batch = Batch::new();
    for number in 0_u8..70 {
        let value = vec![number; usize::from(number) * 30];
        batch.put(Kind::Note, &[number], value).append(Kind::Note, &[number / 2], vec![number; 9]);
    }
    batch.put(Kind::IncomingBody, b"large", vec![1; 30_000]).append(Kind::IncomingBody, b"large", vec![2; 10_000]);
    for number in 20_u8..30 {
        batch.delete(Kind::Note, &[number]);
    }
    store.commit(batch).unwrap();
    let records = read_all(&*store).unwrap();
    store.close().unwrap();
    (home, records)
}

/// Whether the damage was told: by refusing to open, or by an error for some record. A store that opens must know every
/// record, and give each right or with an error; anything else is silence and fails the test.
fn is_told(home: &Home, records: &Records, what: &str) -> bool {
    let store = match home.open() {
        Ok(store) => store,
        Err(StoreError::Corrupt { .. } | StoreError::NewerVersion { .. } | StoreError::Database { .. }) => return true,
        Err(error) => panic!("{what}: {error}"),
    };
    let known: usize = Kind::ALL.iter().map(|kind| store.count(*kind).unwrap()).sum();
    assert_eq!(known, records.len(), "{what}");
    let mut told = false;
    for ((kind, key), value) in records {
        match store.get(*kind, key) {
            Ok(read) => assert_eq!(read.unwrap().as_slice(), value, "{what}"),
            Err(StoreError::Corrupt { .. } | StoreError::Database { .. }) => told = true,
            Err(error) => panic!("{what}: {error}"),
        }
    }
    told
}

#[test]
fn a_flipped_bit_anywhere_in_the_database_is_told_or_harmless() {
    let (home, records) = filled();
    let whole = fs::read(home.file("records.db")).unwrap();
    // The header of the file and the beginning of each page closely, where structure is; the rest thinly.
    let in_header = 0..100;
    let in_pages = (0..whole.len()).step_by(4_096).flat_map(|page| [page, page + 1, page + 3, page + 6, page + 9]);
    let in_between = (100..whole.len()).step_by(409);
    let (mut tried, mut told) = (0, 0);
    for place in in_header.chain(in_pages).chain(in_between) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(home.file("records.db"), damaged).unwrap();
        tried += 1;
        told += usize::from(is_told(&home, &records, &format!("byte {place}")));
    }
    assert!(told * 2 > tried, "most flips are seen: {told} of {tried}");
    fs::write(home.file("records.db"), whole).unwrap();
    assert_eq!(read_all(&*home.open().unwrap()).unwrap(), records);
}

#[test]
fn a_database_that_was_cut_short_is_told() {
    let (home, _) = filled();
    let whole = fs::read(home.file("records.db")).unwrap();
    for length in (0..whole.len()).step_by(2_048).chain([1, 99, 100, whole.len() - 1]) {
        fs::write(home.file("records.db"), &whole[..length]).unwrap();
        let read = home.open().and_then(|store| read_all(&*store));
        assert!(matches!(read, Err(StoreError::Corrupt { .. } | StoreError::Database { .. })), "{length}: {read:?}");
    }
    fs::remove_file(home.file("records.db")).unwrap();
    assert_eq!(home.open().err(), Some(StoreError::Corrupt { what: "its database is not there" }));
    assert!(!home.file("records.db").exists(), "an empty one in its place would be silence");
}

#[test]
fn every_flipped_bit_of_the_keys_file_is_told_and_nothing_is_changed() {
    let home = Home::fresh();
    let whole = fs::read(home.file("keys")).unwrap();
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(home.file("keys"), &damaged).unwrap();
        let before = home.files();
        let told = home.open().err().unwrap();
        let version = matches!(told, StoreError::NewerVersion { .. }) && place == 8;
        assert!(version || matches!(told, StoreError::Corrupt { .. }), "{place}: {told}");
        assert_eq!(home.files(), before);
    }
}

#[test]
fn a_keys_file_of_every_other_length_is_told() {
    let home = Home::fresh();
    let whole = fs::read(home.file("keys")).unwrap();
    for length in 0..whole.len() {
        fs::write(home.file("keys"), &whole[..length]).unwrap();
        assert!(matches!(home.open(), Err(StoreError::Corrupt { .. })), "{length}");
    }
    for more in [1, 1_000, 1_000_000] {
        fs::write(home.file("keys"), [whole.clone(), vec![0; more]].concat()).unwrap();
        assert!(matches!(home.open(), Err(StoreError::Corrupt { .. })), "{more} more");
    }
}

#[test]
fn formats_from_the_future_are_refused_by_their_number() {
    let home = Home::fresh();
    let connection = Connection::open(home.file("records.db")).unwrap();
    connection.execute_batch("PRAGMA user_version = 2").unwrap();
    drop(connection);
    let newer = StoreError::NewerVersion { got: 2, expected: 1 };
    assert_eq!(home.open().err(), Some(newer));
    let mut keys = fs::read(home.file("keys")).unwrap();
    keys[8] = 3;
    fs::write(home.file("keys"), keys).unwrap();
    assert_eq!(home.open().err(), Some(StoreError::NewerVersion { got: 3, expected: 2 }));
}

#[test]
fn the_keys_of_one_store_do_not_go_with_the_records_of_another() {
    let (home, other) = (filled().0, Home::fresh());
    for name in ["key", "keys"] {
        fs::copy(other.file(name), home.file(name)).unwrap();
    }
    assert_eq!(home.open().err(), Some(StoreError::Corrupt { what: "its keys file is of another store" }));
}

/// Does something to the rows behind our back and opens.
fn after(sql: &str) -> Result<Records, StoreError> {
    let (home, _) = filled();
    let connection = Connection::open(home.file("records.db")).unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    home.open().and_then(|store| read_all(&*store))
}

#[test]
fn rows_that_were_moved_swapped_removed_or_doubled_are_told() {
    for sql in [
        "DELETE FROM record WHERE id = 5",
        "DELETE FROM key_page",
        "UPDATE record SET id = 1000 WHERE id = 5",
        "UPDATE record SET head = (SELECT head FROM record WHERE id = 6) WHERE id = 5",
        "UPDATE record SET body = (SELECT body FROM record WHERE id = 6) WHERE id = 5",
        "INSERT INTO record SELECT 1000, head, body FROM record WHERE id = 5",
        "UPDATE key_page SET id = id + 1 WHERE id = (SELECT max(id) FROM key_page)",
        "UPDATE key_page SET wraps = substr(wraps, 1, 4000)",
        "UPDATE key_page SET id = -1 WHERE id = 0",
        "DROP TABLE record",
        "DELETE FROM store",
        "PRAGMA application_id = 7",
    ] {
        assert!(matches!(after(sql), Err(StoreError::Corrupt { .. })), "{sql}");
    }
}

#[test]
fn a_log_cut_short_after_a_crash_gives_an_earlier_commit_whole() {
    let home = Home::fresh();
    let mut store = home.open().unwrap();
    let mut states = vec![read_all(&*store).unwrap()];
    for number in 0_u8..6 {
        let mut batch = Batch::new();
        batch.put(Kind::Note, &[number], vec![number; 3_000]).put(Kind::Setting, b"last", [number]);
        store.commit(batch).unwrap();
        states.push(read_all(&*store).unwrap());
    }
    let (database, log) = (fs::read(home.file("records.db")).unwrap(), fs::read(home.file("records.db-wal")).unwrap());
    drop(store);
    let mut met = Vec::new();
    for length in (0..=log.len()).step_by(1_000).chain([log.len()]) {
        fs::write(home.file("records.db"), &database).unwrap();
        fs::write(home.file("records.db-wal"), &log[..length]).unwrap();
        let read = read_all(&*home.open().unwrap()).unwrap();
        met.push(states.iter().position(|state| *state == read).unwrap());
    }
    assert!(met.is_sorted(), "{met:?}");
    assert_eq!((met[0], met[met.len() - 1]), (0, 6));
}

#[test]
fn a_damaged_body_is_told_when_it_is_read_and_the_others_are_given() {
    let (home, records) = filled();
    let connection = Connection::open(home.file("records.db")).unwrap();
    let changed = connection.execute("UPDATE record SET body = zeroblob(length(body)) WHERE length(body) > 20000", []);
    assert_eq!(changed, Ok(1));
    drop(connection);
    let mut store = home.open().unwrap();
    let told = store.get(Kind::IncomingBody, b"large");
    assert_eq!(told.err(), Some(StoreError::Corrupt { what: "the body of a record" }));
    for ((kind, key), value) in records.iter().filter(|((kind, _), _)| *kind == Kind::Note) {
        assert_eq!(**store.get(*kind, key).unwrap().unwrap(), *value);
    }
    put(&mut *store, Kind::IncomingBody, b"large", b"fetched again");
    assert_eq!(**store.get(Kind::IncomingBody, b"large").unwrap().unwrap(), *b"fetched again");
}

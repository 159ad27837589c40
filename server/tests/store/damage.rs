//! A disk that rots: what changed is reported, nothing is silently shorter.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use zajil_relay::store::{SqliteOptions, SqliteStore, Store, StoreError, StoreKey, StoreLimits};

use crate::fixture::{Counting, Parcel, block_on, mailbox, options, registration, slot, slot_registration, word};

const MAILBOXES: u64 = 3;
const PARCELS: u64 = 60;

fn open(directory: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(options(directory, StoreLimits::default(), None))
}

fn parcel(number: u64) -> Parcel {
    let length = [300, 2_000, 9_000][usize::try_from(number % 3).unwrap()];
    Parcel::new(number % MAILBOXES, number, 720, length, 4_000, false)
}

async fn fill(store: &SqliteStore) {
    for number in 0..MAILBOXES {
        store.register(registration(number)).await.unwrap();
        store.register(slot_registration(number, zajil_proto::wire::Precision::Day)).await.unwrap();
        store.put_word(word(number, 1), None).await.unwrap();
    }
    for number in 0..PARCELS {
        parcel(number).store_in(store).await.unwrap();
    }
}

/// Whether everything acknowledged is there, told by looking at it as a reader would.
async fn is_complete(store: &SqliteStore) -> Result<bool, StoreError> {
    let mut complete = true;
    for number in 0..MAILBOXES {
        complete &= store.list(mailbox(number)).await?.len() == usize::try_from(PARCELS / MAILBOXES).unwrap();
        complete &= store.seen(slot(number)).await?.word.is_some();
    }
    for number in 0..PARCELS {
        complete &= parcel(number).is_whole_in(store).await?;
    }
    Ok(complete)
}

/// What came of a change to the file.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// Somebody was told, at opening, reading, or by a check.
    Reported,
    /// Nothing was lost.
    Harmless,
    /// Something is gone and nobody was told.
    Hidden,
}

fn change(directory: &Path) -> Change {
    let Ok(store) = open(directory) else { return Change::Reported };
    block_on(async {
        match is_complete(&store).await {
            Ok(true) => Change::Harmless,
            Ok(false) if store.check(true).await.unwrap().is_sound() => Change::Hidden,
            _ => Change::Reported,
        }
    })
}

#[test]
fn a_flipped_byte_anywhere_is_reported_or_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    block_on(async {
        fill(&store).await;
        assert!(is_complete(&store).await.unwrap());
        store.close().await.unwrap();
    });
    let database = SqliteStore::database(directory.path());
    let good = fs::read(&database).unwrap();
    let mut chance = Counting(7);
    let mut reported = 0;
    for round in 0..150 {
        let mut bad = good.clone();
        let at = usize::try_from(chance.below(good.len() as u64)).unwrap();
        bad[at] ^= 1 << chance.below(8);
        fs::write(&database, &bad).unwrap();
        // What a stopped store left of its log belongs to the file before.
        let _none_left = fs::remove_file(directory.path().join("relay.db-wal"));
        let came = change(directory.path());
        assert_ne!(came, Change::Hidden, "round {round}: byte {at} was changed");
        reported += u32::from(came == Change::Reported);
    }
    assert!(reported > 75, "most of the file holds something: {reported}");
    fs::write(&database, &good).unwrap();
    let _none_left = fs::remove_file(directory.path().join("relay.db-wal"));
    assert!(block_on(is_complete(&open(directory.path()).unwrap())).unwrap());
}

#[test]
fn a_row_taken_out_of_the_file_is_missed() {
    for (sql, deep) in [
        ("DELETE FROM bodies WHERE r = (SELECT min(r) FROM bodies)", true),
        ("DELETE FROM parcels WHERE r = (SELECT min(r) FROM parcels)", false),
        ("DELETE FROM meta WHERE r = 2", false),
        ("UPDATE parcels SET s = (SELECT s FROM parcels WHERE r = 1) WHERE r = 3", false),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        block_on(fill(&store));
        drop(store);
        let database = Connection::open(SqliteStore::database(directory.path())).unwrap();
        assert!(database.execute(sql, []).unwrap() > 0);
        drop(database);
        match open(directory.path()) {
            Ok(store) => {
                assert!(deep, "{sql}");
                assert!(!block_on(store.check(true)).unwrap().is_sound(), "{sql}");
                assert!(block_on(is_complete(&store)).is_err(), "{sql}");
            }
            Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "{sql}: {error}"),
        }
    }
}

#[test]
fn a_body_that_rotted_concerns_its_reader_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    block_on(fill(&store));
    drop(store);
    let database = Connection::open(SqliteStore::database(directory.path())).unwrap();
    let sql = "UPDATE bodies SET body = zeroblob(length(body)) WHERE r = (SELECT min(r) FROM bodies)";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    drop(database);
    let store = open(directory.path()).unwrap();
    block_on(async {
        let mut damaged = 0;
        for number in 0..PARCELS {
            match parcel(number).is_whole_in(&store).await {
                Ok(whole) => assert!(whole),
                Err(error) => {
                    assert!(matches!(error, StoreError::Corrupt { .. }));
                    damaged += 1;
                }
            }
        }
        assert_eq!(damaged, 1);
        assert_eq!(store.check(true).await.unwrap().problems.len(), 1);
        parcel(PARCELS).store_in(&store).await.unwrap();
    });
}

#[test]
fn a_sound_store_is_reported_sound() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    block_on(async {
        fill(&store).await;
        let report = store.check(true).await.unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        assert_eq!(report.parcels, PARCELS);
    });
}

#[test]
fn a_wrong_key_another_file_and_a_newer_format_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let epoch = open(directory.path()).unwrap().epoch();
    let wrong =
        SqliteOptions { key: StoreKey::new([1; 32]), ..options(directory.path(), StoreLimits::default(), None) };
    assert_eq!(SqliteStore::open(wrong).err(), Some(StoreError::WrongKey));
    assert_eq!(open(directory.path()).unwrap().epoch(), epoch);

    let database = SqliteStore::database(directory.path());
    Connection::open(&database).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert_eq!(open(directory.path()).err(), Some(StoreError::Newer { got: 2, expected: 1 }));

    Connection::open(&database).unwrap().pragma_update(None, "application_id", 1).unwrap();
    assert!(matches!(open(directory.path()), Err(StoreError::NotAStore { .. })));
    fs::write(&database, b"a letter to my mother, which is no database at all, and longer than a header of SQLite is")
        .unwrap();
    assert!(matches!(open(directory.path()), Err(StoreError::NotAStore { .. })));
}

//! What somebody finds who takes the files: nothing in the clear, and nothing of what was deleted.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;

use data_encoding::{BASE32, BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use proptest::prelude::*;
use rusqlite::Connection;
use zajil_client::store::{Batch, DeviceStore, Kind};

use crate::rig::{Home, contains, put, seeded};

/// The bytes themselves, and as people and programs write bytes; base64 at each of its three alignments.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![secret.to_vec()];
    for encoding in [HEXLOWER, HEXUPPER, BASE32] {
        all.push(encoding.encode(secret).into_bytes());
    }
    for encoding in [BASE64, BASE64URL] {
        for skipped in 0..3 {
            let whole = (secret.len() - skipped) / 3 * 3;
            all.push(encoding.encode(&secret[skipped..skipped + whole]).into_bytes());
        }
    }
    all
}

fn found_in(home: &Home, secret: &[u8]) -> Vec<String> {
    let spellings = spellings(secret);
    let files = home.files().into_iter();
    let hits = files.filter(|(_, file)| spellings.iter().any(|spelling| contains(file, spelling)));
    hits.map(|(path, _)| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn no_key_and_no_value_stands_in_any_file_open_or_closed() {
    let home = Home::absent();
    let mut store = home.init().unwrap();
    let (name, voice) = (b"a name like Umm Khalid", b"sealed voice, twenty-four");
    let mut written = Vec::new();
    for kind in Kind::ALL {
        put(&mut *store, kind, name, voice);
        written.push((kind, name.to_vec()));
    }
    let mut batch = Batch::new();
    batch.put(Kind::IncomingBody, b"long", voice.repeat(1_000)).append(Kind::IncomingBody, b"long", *voice);
    batch.put(Kind::Note, name, *b"another value altogether").delete(Kind::Word, name);
    store.commit(batch).unwrap();
    let secrets: [&[u8]; 3] = [name, voice, b"another value altogether"];
    for secret in secrets {
        assert_eq!(found_in(&home, secret), [""; 0]);
    }
    store.close().unwrap();
    for secret in secrets {
        assert_eq!(found_in(&home, secret), [""; 0]);
    }
    assert_eq!(fs::read(home.file("reserve")).unwrap(), vec![0; 16 << 20]);
}

#[test]
fn the_search_for_plain_text_finds_it_in_each_spelling() {
    let home = Home::fresh();
    let secret = b"a name like Umm Khalid";
    for (number, spelling) in spellings(secret).into_iter().enumerate() {
        for shift in 0..4 {
            let text = [vec![b'.'; shift], spelling.clone(), b"....".to_vec()].concat();
            fs::write(home.file("found"), text).unwrap();
            assert_eq!(found_in(&home, secret), ["found"], "{number}");
        }
    }
    for shift in 0..3 {
        let whole = [vec![1; shift], secret.to_vec(), vec![2; 5]].concat();
        fs::write(home.file("found"), BASE64.encode(&whole)).unwrap();
        assert_eq!(found_in(&home, secret), ["found"], "base64 with {shift} before");
    }
}

#[test]
fn equal_records_are_sealed_differently_each_time() {
    let home = Home::absent();
    let mut store = home.init().unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        put(&mut *store, Kind::Setting, b"a", b"same");
        put(&mut *store, Kind::Setting, b"b", b"same");
        store.close().unwrap();
        for (wrap, head, body) in rows(&home).into_values() {
            assert!(seen.insert(wrap) && seen.insert(head) && seen.insert(body));
        }
        store = home.open().unwrap();
    }
    assert_eq!(seen.len(), 18);
}

#[test]
fn the_length_of_a_key_does_not_show() {
    let home = Home::absent();
    let mut store = home.init().unwrap();
    for length in [0, 1, 16, 63, 64] {
        put(&mut *store, Kind::Setting, &vec![9; length], b"same");
    }
    store.close().unwrap();
    let lengths: BTreeSet<_> =
        rows(&home).into_values().map(|(wrap, head, body)| (wrap.len(), head.len(), body.len())).collect();
    assert_eq!(lengths, BTreeSet::from([(60, 88, 20)]));
}

type Row = (Vec<u8>, Vec<u8>, Vec<u8>);

/// Every row of a closed store as it stands in the file, read without our code: wrapped key, head, body.
fn rows(home: &Home) -> BTreeMap<i64, Row> {
    let connection = Connection::open(home.file("records.db")).unwrap();
    let sql = "SELECT record.id, substr(wraps, 517 + 64 * (record.id % 63), 60), head, body
               FROM record JOIN key_page ON key_page.id = record.id / 63";
    let mut statement = connection.prepare(sql).unwrap();
    let found = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))).unwrap();
    found.map(Result::unwrap).collect()
}

fn key_of(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// What is secret in a wrapped key, in two pieces: the rest of a torn one counts too.
fn pieces(wrap: &[u8]) -> [[u8; 8]; 2] {
    [wrap[12..20].try_into().unwrap(), wrap[36..44].try_into().unwrap()]
}

/// Fills a store so that its trees have many pages, then deletes, replaces and appends at random. Gives the wrapped
/// keys that are alive, and those that were ever seen and should be gone.
fn lived_in(home: &Home) -> (BTreeSet<Vec<u8>>, BTreeSet<Vec<u8>>) {
    let mut runner = seeded();
    let random = runner.rng();
    let mut ever = BTreeSet::new();
    let mut alive = BTreeSet::new();
    for round in 0..8 {
        let mut store = home.open().unwrap();
        let mut batch = Batch::new();
        for number in 0..600 {
            let bytes = vec![7; usize::from(random.random::<u16>() % 300)];
            match random.random::<u8>() % 8 {
                0..3 => batch.put(Kind::Session, &key_of(number), bytes),
                3 => batch.append(Kind::Session, &key_of(number), bytes),
                4 if round % 2 == 0 => batch.put(Kind::Session, &key_of(number), vec![7; 5_000]),
                _ => batch.delete(Kind::Session, &key_of(number)),
            };
        }
        store.commit(batch).unwrap();
        store.close().unwrap();
        alive = rows(home).into_values().map(|(wrap, ..)| wrap).collect();
        ever.extend(alive.iter().cloned());
    }
    let gone = ever.difference(&alive).cloned().collect();
    (alive, gone)
}

#[test]
fn the_wrapped_key_of_a_deleted_or_replaced_record_is_in_no_file() {
    let home = Home::fresh();
    let (alive, gone) = lived_in(&home);
    assert!(alive.len() > 100 && gone.len() > 1_000);
    let mut found = BTreeSet::new();
    let searched: HashSet<[u8; 8]> = alive.union(&gone).flat_map(|wrap| pieces(wrap)).collect();
    for file in home.files().into_values() {
        found.extend(file.array_windows().filter(|window| searched.contains(*window)).copied());
    }
    for wrap in alive {
        assert!(pieces(&wrap).iter().all(|piece| found.contains(piece)), "this very search finds what is alive");
    }
    for wrap in gone {
        assert!(!pieces(&wrap).iter().any(|piece| found.contains(piece)));
    }
}

#[test]
fn an_open_store_forgets_a_deleted_key_when_it_is_scrubbed() {
    let home = Home::fresh();
    let mut store = home.open().unwrap();
    put(&mut *store, Kind::Session, b"pair", b"note key");
    put(&mut *store, Kind::Session, b"other", b"stays");
    store.close().unwrap();
    let before: Vec<_> = rows(&home).into_values().collect();
    let mut store = home.open().unwrap();
    let mut batch = Batch::new();
    batch.delete(Kind::Session, b"pair");
    store.commit(batch).unwrap();
    store.scrub().unwrap();
    let found = |bytes: &[u8]| home.files().values().any(|file| contains(file, bytes));
    assert_eq!(before.iter().map(|(wrap, ..)| found(wrap)).collect::<Vec<_>>(), [false, true]);
    assert_eq!(**store.get(Kind::Session, b"other").unwrap().unwrap(), *b"stays");
}

#[test]
fn a_store_gives_back_what_a_delivered_outbox_took() {
    let home = Home::fresh();
    let mut store = home.open().unwrap();
    for number in 0..8 {
        put(&mut *store, Kind::OutgoingBody, &key_of(number), &vec![5; 1 << 20]);
    }
    put(&mut *store, Kind::Setting, b"stays", b"here");
    store.scrub().unwrap();
    let length = || fs::metadata(home.file("records.db")).unwrap().len();
    assert!(length() > 8 << 20);
    let mut batch = Batch::new();
    for number in 0..8 {
        batch.delete(Kind::OutgoingBody, &key_of(number));
    }
    store.commit(batch).unwrap();
    store.scrub().unwrap();
    assert!(length() < 1 << 20, "{}", length());
    assert_eq!(fs::metadata(home.file("records.db-wal")).unwrap().len(), 0);
    assert_eq!(**store.get(Kind::Setting, b"stays").unwrap().unwrap(), *b"here");
}

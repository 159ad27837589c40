//! Both engines mean the same: what a plain map would hold, atomically, and again after opening.

use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use zajil_client::limits::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, RECORD_KEY_BYTES_MAX, RECORD_PARTS_MAX, RECORD_VALUE_BYTES_MAX,
};
use zajil_client::store::{Batch, DeviceStore, Fault, Kind, MemoryDisk, Record, Records as _, StoreError};

use crate::rig::{Home, Records, put, read_all};

/// Something on which a store can be opened again and again.
enum Disk {
    Memory(MemoryDisk),
    Sqlite(Home),
}

impl Disk {
    fn both() -> [Self; 2] {
        [Self::Memory(MemoryDisk::new()), Self::Sqlite(Home::fresh())]
    }

    fn open(&self) -> Result<Box<dyn DeviceStore>, StoreError> {
        match self {
            Self::Memory(disk) => Ok(Box::new(disk.open()?)),
            Self::Sqlite(home) => Ok(home.open()?),
        }
    }
}

/// Does the same with both engines.
fn on_both(test: impl Fn(Box<dyn DeviceStore>)) {
    for disk in Disk::both() {
        test(disk.open().unwrap());
    }
}

#[derive(Debug, Clone)]
enum Change {
    Put(Kind, Vec<u8>, Vec<u8>),
    Append(Kind, Vec<u8>, Vec<u8>),
    Delete(Kind, Vec<u8>),
}

#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Change>),
    Close,
    Drop,
    Scrub,
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Profile), Just(Kind::OutgoingBody), Just(Kind::Setting)]
}

/// Few and short, so that the same record is met again, and one key is the beginning of another.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => vec(prop_oneof![Just(0), Just(1), Just(255)], 0..3), 1 => vec(any::<u8>(), RECORD_KEY_BYTES_MAX)]
}

fn values() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => vec(any::<u8>(), 0..50), 1 => vec(any::<u8>(), 1_024), 1 => vec(any::<u8>(), 3_900..9_000)]
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (kinds(), keys(), values()).prop_map(|(kind, key, value)| Change::Put(kind, key, value)),
        3 => (kinds(), keys(), values()).prop_map(|(kind, key, value)| Change::Append(kind, key, value)),
        2 => (kinds(), keys()).prop_map(|(kind, key)| Change::Delete(kind, key)),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => vec(changes(), 0..8).prop_map(Step::Commit),
        1 => Just(Step::Close),
        1 => Just(Step::Drop),
        1 => Just(Step::Scrub),
    ]
}

fn batch(changes: &[Change]) -> Batch {
    let mut batch = Batch::new();
    for change in changes.iter().cloned() {
        match change {
            Change::Put(kind, key, value) => batch.put(kind, &key, value),
            Change::Append(kind, key, bytes) => batch.append(kind, &key, bytes),
            Change::Delete(kind, key) => batch.delete(kind, &key),
        };
    }
    batch
}

fn apply(model: &mut Records, changes: &[Change]) {
    for change in changes.iter().cloned() {
        match change {
            Change::Put(kind, key, value) => drop(model.insert((kind, key), value)),
            Change::Append(kind, key, bytes) => model.entry((kind, key)).or_default().extend(bytes),
            Change::Delete(kind, key) => drop(model.remove(&(kind, key))),
        }
    }
}

fn agrees_with_a_map(disk: &Disk, steps: &[Step]) {
    let mut model = Records::new();
    let mut store = disk.open().unwrap();
    for step in steps {
        match step {
            Step::Commit(changes) => {
                store.commit(batch(changes)).unwrap();
                apply(&mut model, changes);
            }
            Step::Close => {
                store.close().unwrap();
                store = disk.open().unwrap();
            }
            Step::Drop => {
                drop(store);
                store = disk.open().unwrap();
            }
            Step::Scrub => store.scrub().unwrap(),
        }
        assert_eq!(read_all(&*store).unwrap(), model);
    }
    drop(store);
    assert_eq!(read_all(&*disk.open().unwrap()).unwrap(), model);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_row_of_changes_leaves_what_a_map_would_hold(steps in vec(steps(), 1..16)) {
        for disk in Disk::both() {
            agrees_with_a_map(&disk, &steps);
        }
    }

    #[test]
    fn a_prefix_finds_exactly_the_keys_that_begin_with_it(all in vec(keys(), 0..20), prefix in keys()) {
        on_both(|mut store| {
            let mut batch = Batch::new();
            for key in &all {
                batch.put(Kind::Incoming, key, *b"it").put(Kind::Note, key, *b"other");
            }
            store.commit(batch).unwrap();
            let mut expected: Vec<Vec<u8>> = all.iter().filter(|key| key.starts_with(&prefix)).cloned().collect();
            expected.sort();
            expected.dedup();
            assert_eq!(store.keys_prefix(Kind::Incoming, &prefix).unwrap(), expected);
            let rows = store.scan_prefix(Kind::Incoming, &prefix).unwrap();
            assert_eq!(rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
        });
    }
}

#[test]
fn changes_of_one_batch_apply_in_their_order() {
    on_both(|mut store| {
        let mut batch = Batch::new();
        batch.put(Kind::Word, b"a", *b"one").append(Kind::Word, b"a", *b" two").delete(Kind::Word, b"b");
        batch.append(Kind::Word, b"b", *b"three").put(Kind::Word, b"c", *b"four").delete(Kind::Word, b"c");
        batch.put(Kind::Word, b"a2", *b"five").put(Kind::Word, b"a2", *b"six");
        store.commit(batch).unwrap();
        assert_eq!(**store.get(Kind::Word, b"a").unwrap().unwrap(), *b"one two");
        assert_eq!(**store.get(Kind::Word, b"b").unwrap().unwrap(), *b"three");
        assert_eq!(store.get(Kind::Word, b"c").unwrap(), None);
        assert_eq!(**store.get(Kind::Word, b"a2").unwrap().unwrap(), *b"six");
    });
}

#[test]
fn the_same_key_in_two_kinds_names_two_records() {
    on_both(|mut store| {
        put(&mut *store, Kind::Outgoing, b"id", b"state");
        put(&mut *store, Kind::OutgoingBody, b"id", b"body");
        let mut batch = Batch::new();
        batch.delete(Kind::Outgoing, b"id");
        store.commit(batch).unwrap();
        assert_eq!(**store.get(Kind::OutgoingBody, b"id").unwrap().unwrap(), *b"body");
    });
}

#[test]
fn an_empty_value_is_a_record() {
    on_both(|mut store| {
        put(&mut *store, Kind::Setting, b"", b"");
        assert_eq!(store.len(Kind::Setting, b"").unwrap(), Some(0));
        assert_eq!(**store.get(Kind::Setting, b"").unwrap().unwrap(), *b"");
        assert_eq!(store.count(Kind::Setting).unwrap(), 1);
    });
}

/// Refused by its limit, and nothing of it kept; the store goes on.
fn refused(store: &mut dyn DeviceStore, batch: Batch, got: usize, limit: usize) {
    let before = read_all(store).unwrap();
    match store.commit(batch) {
        Err(StoreError::TooLarge { got: told, limit: bound, .. }) => assert_eq!((told, bound), (got, limit)),
        other => panic!("{other:?}"),
    }
    assert_eq!(read_all(store).unwrap(), before);
    put(store, Kind::Setting, b"after", b"it goes on");
}

#[test]
fn a_key_of_64_bytes_is_taken_and_one_of_65_refused() {
    on_both(|mut store| {
        put(&mut *store, Kind::Note, &[7; RECORD_KEY_BYTES_MAX], b"longest");
        let mut batch = Batch::new();
        batch.put(Kind::Note, b"beside", *b"x").put(Kind::Note, &[7; RECORD_KEY_BYTES_MAX + 1], *b"x");
        refused(&mut *store, batch, RECORD_KEY_BYTES_MAX + 1, RECORD_KEY_BYTES_MAX);
    });
}

#[test]
fn a_value_of_4_mib_is_taken_and_a_byte_more_refused() {
    on_both(|mut store| {
        let longest = vec![3; RECORD_VALUE_BYTES_MAX];
        put(&mut *store, Kind::IncomingBody, b"id", &longest);
        assert_eq!(**store.get(Kind::IncomingBody, b"id").unwrap().unwrap(), longest);
        let mut batch = Batch::new();
        batch.put(Kind::IncomingBody, b"id", vec![3; RECORD_VALUE_BYTES_MAX + 1]);
        refused(&mut *store, batch, RECORD_VALUE_BYTES_MAX + 1, RECORD_VALUE_BYTES_MAX);
        let mut batch = Batch::new();
        batch.put(Kind::Incoming, b"id", *b"x").append(Kind::IncomingBody, b"id", *b"x");
        refused(&mut *store, batch, RECORD_VALUE_BYTES_MAX + 1, RECORD_VALUE_BYTES_MAX);
    });
}

#[test]
fn a_record_takes_4096_parts_and_one_more_is_refused() {
    on_both(|mut store| {
        let mut expected = Vec::new();
        let mut full = Batch::new();
        for number in 0..RECORD_PARTS_MAX {
            let bytes = u16::try_from(number).unwrap().to_be_bytes();
            full.append(Kind::OutgoingBody, b"id", bytes);
            expected.extend(bytes);
        }
        store.commit(full).unwrap();
        let mut batch = Batch::new();
        batch.append(Kind::OutgoingBody, b"id", *b"x");
        refused(&mut *store, batch, RECORD_PARTS_MAX + 1, RECORD_PARTS_MAX);
        assert_eq!(**store.get(Kind::OutgoingBody, b"id").unwrap().unwrap(), expected);
        put(&mut *store, Kind::OutgoingBody, b"id", &expected);
        let mut batch = Batch::new();
        batch.append(Kind::OutgoingBody, b"id", *b"x");
        store.commit(batch).unwrap();
    });
}

#[test]
fn a_batch_of_too_many_changes_or_bytes_is_refused() {
    on_both(|mut store| {
        let mut batch = Batch::new();
        for _ in 0..=BATCH_OPERATIONS_MAX {
            batch.delete(Kind::Note, b"id");
        }
        refused(&mut *store, batch, BATCH_OPERATIONS_MAX + 1, BATCH_OPERATIONS_MAX);
        let mut batch = Batch::new();
        for key in [b"1", b"2", b"3"] {
            batch.put(Kind::Note, key, vec![0; RECORD_VALUE_BYTES_MAX]);
        }
        refused(&mut *store, batch, 3 * (RECORD_VALUE_BYTES_MAX + 1), BATCH_BYTES_MAX);
    });
}

#[test]
fn a_second_store_on_the_same_disk_is_refused_until_the_first_is_gone() {
    for disk in Disk::both() {
        let mut first = disk.open().unwrap();
        assert_eq!(disk.open().err(), Some(StoreError::Busy));
        put(&mut *first, Kind::Setting, b"a", b"b");
        drop(first);
        assert_eq!(disk.open().unwrap().count(Kind::Setting).unwrap(), 1);
    }
}

#[test]
fn an_empty_batch_is_durable_at_once() {
    on_both(|mut store| assert!(store.commit(Batch::new()).is_ok()));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bird {
    name: String,
    flights: u32,
}

impl Record for Bird {
    const KIND: Kind = Kind::Setting;
    const VERSION: u8 = 2;

    /// Version 1 had no flights.
    fn upgrade(version: u8, bytes: &[u8]) -> Option<Self> {
        let name = String::from_utf8(bytes.to_vec()).ok().filter(|_| version == 1)?;
        Some(Self { name, flights: 0 })
    }
}

#[test]
fn typed_records_come_back_as_they_went() {
    on_both(|mut store| {
        let birds = [("b", 3), ("a", 70_000)].map(|(name, flights)| Bird { name: name.to_owned(), flights });
        let mut batch = Batch::new();
        for bird in &birds {
            batch.put_record(bird.name.as_bytes(), bird).unwrap();
        }
        store.commit(batch).unwrap();
        assert_eq!(store.record::<Bird>(b"b").unwrap().as_ref(), Some(&birds[0]));
        assert_eq!(store.record::<Bird>(b"c").unwrap(), None);
        let [b, a] = birds;
        assert_eq!(store.records::<Bird>().unwrap(), [(b"a".to_vec(), a), (b"b".to_vec(), b)]);
        let mut batch = Batch::new();
        batch.delete_record::<Bird>(b"a");
        store.commit(batch).unwrap();
        assert_eq!(store.records_prefix::<Bird>(b"a").unwrap(), []);
    });
}

#[test]
fn a_record_of_an_older_version_is_read_and_of_a_newer_one_refused_by_name() {
    on_both(|mut store| {
        put(&mut *store, Kind::Setting, b"old", b"\x01hoopoe");
        put(&mut *store, Kind::Setting, b"new", b"\x03whatever");
        let hoopoe = Bird { name: "hoopoe".to_owned(), flights: 0 };
        assert_eq!(store.record::<Bird>(b"old").unwrap(), Some(hoopoe));
        let newer = StoreError::RecordVersion { kind: Kind::Setting, got: 3, expected: 2 };
        assert_eq!(store.record::<Bird>(b"new").unwrap_err(), newer);
    });
}

#[test]
fn bytes_that_are_not_of_the_type_are_refused() {
    on_both(|mut store| {
        for value in [b"".as_slice(), b"\x02", b"\x02\x01x", b"\x02\x01x\x05more", b"\x00"] {
            put(&mut *store, Kind::Setting, b"bird", value);
            let shape = StoreError::RecordShape { kind: Kind::Setting };
            assert_eq!(store.record::<Bird>(b"bird").unwrap_err(), shape, "{value:?}");
        }
    });
}

#[test]
fn a_power_cut_in_memory_keeps_what_was_committed_and_ends_the_store() {
    let disk = MemoryDisk::new();
    let mut store = disk.open().unwrap();
    put(&mut store, Kind::Note, b"a", b"kept");
    disk.crash();
    assert_eq!(store.get(Kind::Note, b"a").err(), Some(StoreError::Closed));
    let mut again = disk.open().unwrap();
    drop(store);
    put(&mut again, Kind::Note, b"b", b"the old store's end does not close the new one");
    assert_eq!(again.count(Kind::Note).unwrap(), 2);
}

#[test]
fn each_fault_in_memory_leaves_the_batch_whole_or_not_at_all() {
    for (fault, error, written) in [
        (Fault::Full, StoreError::Full, false),
        (Fault::CutBefore, StoreError::Closed, false),
        (Fault::CutAfter, StoreError::Closed, true),
        (Fault::SyncLost, StoreError::Database { doing: "writing the records", code: 1_034 }, false),
        (Fault::SyncKept, StoreError::Database { doing: "writing the records", code: 1_034 }, true),
    ] {
        let disk = MemoryDisk::new();
        let mut store = disk.open().unwrap();
        put(&mut store, Kind::Note, b"a", b"1");
        disk.fail_next_commit(fault);
        let mut batch = Batch::new();
        batch.delete(Kind::Note, b"a").put(Kind::Note, b"b", *b"2");
        assert_eq!(store.commit(batch).unwrap_err(), error);
        if fault == Fault::Full {
            assert_eq!(**store.get(Kind::Note, b"a").unwrap().unwrap(), *b"1", "the store goes on");
        }
        drop(store);
        let keys = disk.open().unwrap().keys(Kind::Note).unwrap();
        assert_eq!(keys, [if written { b"b".to_vec() } else { b"a".to_vec() }], "{fault:?}");
        assert_eq!(disk.commits(), if written { 2 } else { 1 });
    }
}

#[test]
fn a_disk_in_memory_that_is_full_refuses_what_takes_and_never_what_frees() {
    let disk = MemoryDisk::new();
    let mut store = disk.open().unwrap();
    put(&mut store, Kind::Note, b"a", &[1; 600]);
    put(&mut store, Kind::Outgoing, b"b", &[2; 300]);
    assert_eq!((disk.bytes(), disk.count(Kind::Note), disk.count(Kind::Outgoing)), (902, 1, 1));
    assert_eq!(store.room(), None);
    disk.set_capacity(Some(1_000));
    assert_eq!(store.room(), Some(98));
    let mut batch = Batch::new();
    batch.put(Kind::Note, b"c", [3; 98]);
    assert_eq!(store.commit(batch).unwrap_err(), StoreError::Full, "one byte too many");
    put(&mut store, Kind::Note, b"c", &[3; 97]);
    let mut batch = Batch::new();
    batch.append(Kind::Note, b"c", [4]);
    assert_eq!(store.commit(batch).unwrap_err(), StoreError::Full);
    // Others fill the disk: what is held is more than there is room for, and one can still delete.
    disk.set_capacity(Some(0));
    assert_eq!(store.room(), Some(0));
    let mut batch = Batch::new();
    batch.delete(Kind::Note, b"a").put(Kind::Outgoing, b"d", [5; 400]);
    store.commit(batch).unwrap();
    let mut batch = Batch::new();
    batch.delete(Kind::Outgoing, b"b").put(Kind::Outgoing, b"e", [5; 301]);
    assert_eq!(store.commit(batch).unwrap_err(), StoreError::Full);
    assert_eq!((disk.bytes(), store.count(Kind::Outgoing).unwrap()), (800, 2));
    disk.set_capacity(None);
    put(&mut store, Kind::Note, b"f", &[6; 5_000]);
}

#[test]
fn an_older_copy_of_a_disk_in_memory_takes_the_place_of_what_was_there() {
    let disk = MemoryDisk::new();
    let mut store = disk.open().unwrap();
    put(&mut store, Kind::Note, b"a", b"old");
    let copy = disk.snapshot();
    put(&mut store, Kind::Note, b"a", b"new");
    put(&mut store, Kind::Note, b"b", b"1");
    disk.restore_from(&copy);
    assert_eq!(store.get(Kind::Note, b"a").err(), Some(StoreError::Closed));
    let again = disk.open().unwrap();
    assert_eq!(**again.get(Kind::Note, b"a").unwrap().unwrap(), *b"old");
    assert_eq!((again.count(Kind::Note).unwrap(), disk.bytes()), (1, 4));
}

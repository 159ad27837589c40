//! Each limit is hit, and what is refused leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zajil_proto::parcel::Travel;
use zajil_proto::session::custody::Registration;
use zajil_proto::time::{Age, Lifetime};
use zajil_proto::wire::{Code, Precision};
use zajil_relay::limits::{ANNOUNCED_MAX, RESERVE_BYTES_MIN};
use zajil_relay::store::{MemoryStore, Opened, Space, SqliteStore, Store, StoreError, StoreLimits};

use crate::fixture::{Counting, Parcel, Subject, block_on, mailbox, options, registration, slot_registration, word};

fn refused(code: Code) -> StoreError {
    StoreError::Refused(code)
}

#[test]
fn a_mailbox_takes_its_bytes_and_not_one_more() {
    for subject in Subject::both(&StoreLimits { mailbox_bytes_max: 20_000, ..StoreLimits::default() }) {
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            Parcel::plain(0, 0, 12_000).store_in(store).await.unwrap();
            let more = Parcel::plain(0, 1, 8_001);
            assert_eq!(store.put(more.header.clone(), Travel::default()).await, Err(refused(Code::MAILBOX_FULL)));
            Parcel::plain(0, 2, 8_000).store_in(store).await.unwrap();
            assert_eq!(store.usage().await.unwrap().bytes, 20_000);
        });
    }
}

#[test]
fn a_live_parcel_is_refused_where_the_mailbox_ends_and_keeps_what_it_has() {
    for subject in Subject::both(&StoreLimits { mailbox_bytes_max: 10_000, ..StoreLimits::default() }) {
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            let live = Parcel::new(0, 0, 720, 16_000, 4_000, true);
            store.put(live.header.clone(), Travel::default()).await.unwrap();
            store.extend(live.part(0, 8_000, 0)).await.unwrap();
            assert_eq!(store.extend(live.part(8_000, 12_000, 0)).await, Err(refused(Code::MAILBOX_FULL)));
            assert_eq!(store.read(live.id(), 0, 16_000).await.unwrap().bytes, live.body[..8_000]);
        });
    }
}

#[test]
fn a_mailbox_takes_as_many_parcels_as_it_was_registered_for_and_never_more_than_the_relay_allows() {
    for subject in Subject::both(&StoreLimits { mailbox_parcels_max: 3, ..StoreLimits::default() }) {
        block_on(async {
            let store = subject.engine();
            store.register(Registration { parcels_max: Some(1), ..registration(0) }).await.unwrap();
            store.register(Registration { parcels_max: Some(50), ..registration(1) }).await.unwrap();
            for number in 0..3 {
                Parcel::plain(1, number, 100).store_in(store).await.unwrap();
            }
            let fourth = Parcel::plain(1, 3, 100).header;
            assert_eq!(store.put(fourth, Travel::default()).await, Err(refused(Code::MAILBOX_FULL)));
            Parcel::plain(0, 10, 100).store_in(store).await.unwrap();
            let second = Parcel::plain(0, 11, 100).header;
            assert_eq!(store.put(second, Travel::default()).await, Err(refused(Code::MAILBOX_FULL)));
        });
    }
}

#[test]
fn a_parcel_too_long_or_too_long_lived_is_refused_by_its_header() {
    let limits = StoreLimits {
        parcel_bytes_max: 5_000,
        lifetime_max: Lifetime::from_hours(24).unwrap(),
        ..StoreLimits::default()
    };
    for subject in Subject::both(&limits) {
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            let put = async |parcel: &Parcel, age| {
                let travel = Travel { age: Age(age), ..Travel::default() };
                store.put(parcel.header.clone(), travel).await
            };
            let fits = Parcel::new(0, 0, 24, 5_000, 4_000, false);
            let long = Parcel::new(0, 1, 24, 5_001, 4_000, false);
            let lasting = Parcel::new(0, 2, 25, 5_000, 4_000, false);
            assert_eq!(put(&long, 0).await, Err(refused(Code::TOO_LONG)));
            assert_eq!(put(&lasting, 0).await, Err(refused(Code::LIFETIME)));
            assert_eq!(put(&fits, 24 * 60).await, Err(refused(Code::LIFETIME)));
            assert!(put(&fits, 24 * 60 - 1).await.is_ok());
            let live = Parcel::new(0, 3, 24, 6_000, 4_000, true);
            assert!(put(&live, 0).await.is_ok());
            store.extend(live.part(0, 5_000, 0)).await.unwrap();
            assert_eq!(store.extend(live.part(5_000, 5_001, 0)).await, Err(refused(Code::TOO_LONG)));
        });
    }
}

#[test]
fn more_mailboxes_and_slots_than_the_relay_holds_are_refused() {
    for subject in Subject::both(&StoreLimits { scopes_max: 2, ..StoreLimits::default() }) {
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            store.register(slot_registration(0, Precision::Day)).await.unwrap();
            assert_eq!(store.register(registration(1)).await, Err(refused(Code::RELAY_FULL)));
            assert!(store.register(registration(0)).await.is_ok(), "one that is there may come again");
        });
    }
}

#[test]
fn parcels_announced_without_a_byte_are_bounded() {
    let limits = StoreLimits { mailbox_parcels_max: u32::MAX, ..StoreLimits::default() };
    let subject = Subject::memory(&limits);
    block_on(async {
        let store = subject.engine();
        store.register(registration(0)).await.unwrap();
        let most = u64::try_from(ANNOUNCED_MAX).unwrap();
        for number in 0..most {
            store.put(Parcel::new(0, number, 24, 1, 1, true).header, Travel::default()).await.unwrap();
        }
        let next = Parcel::new(0, most, 24, 1, 1, true);
        assert_eq!(store.put(next.header.clone(), Travel::default()).await, Err(refused(Code::BUSY)));
        let first = Parcel::new(0, 0, 24, 1, 1, true);
        store.extend(first.whole()).await.unwrap();
        assert!(store.put(next.header, Travel::default()).await.is_ok());
    });
}

/// Fills up by a probe that tells how much is left: new work is refused before anything breaks, old promises are kept.
async fn fill(store: &impl Store, set_free: impl Fn(u64)) {
    store.register(registration(0)).await.unwrap();
    store.register(slot_registration(0, Precision::SixHours)).await.unwrap();
    let (waiting, begun) = (Parcel::plain(0, 0, 3_000), Parcel::plain(0, 1, 3_000));
    waiting.store_in(store).await.unwrap();
    store.put(begun.header.clone(), Travel::default()).await.unwrap();
    store.extend(begun.part(0, 3_000, u32::MAX)).await.unwrap();

    set_free(RESERVE_BYTES_MIN);
    let usage = store.usage().await.unwrap();
    assert!(usage.refusing && usage.reserve_bytes >= RESERVE_BYTES_MIN);
    let new = Parcel::plain(0, 2, 3_000);
    assert_eq!(store.put(new.header.clone(), Travel::default()).await, Err(refused(Code::RELAY_FULL)));
    assert_eq!(store.register(registration(1)).await, Err(refused(Code::RELAY_FULL)));
    // What ends or frees something goes on.
    assert!(store.extend(begun.part(3_000, 3_000, 0)).await.unwrap().get().closed);
    assert!(waiting.is_whole_in(store).await.unwrap());
    store.put_word(word(0, 1), None).await.unwrap();
    assert_eq!(store.release(mailbox(0), vec![waiting.id()]).await.unwrap().get().len(), 1);
    store.withdraw(mailbox(0), begun.id()).await.unwrap();
    assert!(store.list(mailbox(0)).await.unwrap().is_empty());

    set_free(1 << 40);
    assert!(!store.usage().await.unwrap().refusing);
    new.store_in(store).await.unwrap();
}

#[test]
fn the_last_space_is_kept_for_old_promises_in_memory() {
    let limits = StoreLimits { reserve_bytes_max: RESERVE_BYTES_MIN, ..StoreLimits::default() };
    let store = MemoryStore::new(limits, &mut Counting(1)).unwrap();
    block_on(fill(&store, |free| store.set_capacity(Some(store.inspect().unwrap().bytes() + free))));
}

#[test]
fn the_last_space_is_kept_for_old_promises_on_a_disk() {
    let free = Arc::new(AtomicU64::new(1 << 40));
    let told = Arc::clone(&free);
    let probe = Box::new(move || Ok(Space { free_bytes: told.load(Ordering::SeqCst), total_bytes: 100 << 20 }));
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(directory.path(), StoreLimits::default(), Some(probe))).unwrap();
    block_on(fill(&store, |bytes| free.store(bytes, Ordering::SeqCst)));
}

#[test]
fn a_parcel_known_or_refused_takes_no_place() {
    for subject in Subject::both(&StoreLimits { mailbox_parcels_max: 1, ..StoreLimits::default() }) {
        block_on(async {
            let store = subject.engine();
            let parcel = Parcel::plain(0, 0, 100);
            assert_eq!(store.put(parcel.header.clone(), Travel::default()).await, Err(refused(Code::NOT_HERE)));
            store.register(registration(0)).await.unwrap();
            parcel.store_in(store).await.unwrap();
            for _ in 0..3 {
                let again = store.put(parcel.header.clone(), Travel::default()).await.unwrap();
                assert!(matches!(again, Opened::Stored(_)));
            }
            assert_eq!(store.usage().await.unwrap().parcels, 1);
        });
    }
}

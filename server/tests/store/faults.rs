//! The store in memory fails as a disk does: syncs take time, are shared, stall and fail; the power goes at any moment.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zajil_proto::ids::ParcelId;
use zajil_proto::parcel::Travel;
use zajil_proto::wire::Code;
use zajil_relay::limits::{COMMITTER_QUEUE, RESERVE_BYTES_MIN};
use zajil_relay::store::{MemoryStore, Opened, Store, StoreError, StoreLimits};

use crate::fixture::{Counting, Parcel, mailbox, registration};

const SYNC: Duration = Duration::from_millis(20);
const MOMENT: Duration = Duration::from_millis(1);

/// A store with a mailbox, whose syncs take a while.
async fn slow() -> MemoryStore {
    let store = MemoryStore::new(StoreLimits::default(), &mut Counting(1)).unwrap();
    store.register(registration(0)).await.unwrap();
    store.set_sync_time(SYNC);
    store
}

fn syncs(store: &MemoryStore) -> u64 {
    store.inspect().unwrap().syncs()
}

fn held(store: &MemoryStore) -> BTreeSet<ParcelId> {
    store.inspect().unwrap().parcels().iter().filter(|parcel| parcel.whole).map(|parcel| parcel.id).collect()
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_when_its_sync_has_ended_and_not_before() {
    let store = slow().await;
    let parcel = Parcel::plain(0, 0, 9_000);
    store.put(parcel.header.clone(), Travel::default()).await.unwrap();
    let begun = Instant::now();
    store.extend(parcel.whole()).await.unwrap();
    assert_eq!(begun.elapsed(), SYNC);
    let read = Instant::now();
    assert!(parcel.is_whole_in(&store).await.unwrap());
    assert_eq!(read.elapsed(), Duration::ZERO, "what changes nothing and sees nothing new waits for nothing");
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_while_a_sync_runs_share_the_next_one() {
    let store = slow().await;
    let before = syncs(&store);
    let mut writers = JoinSet::new();
    let begun = Instant::now();
    for number in 1..=20 {
        let store = store.clone();
        writers.spawn(async move {
            sleep(MOMENT * u32::from(number > 1)).await;
            store.register(registration(number)).await.unwrap();
        });
    }
    while writers.join_next().await.is_some() {}
    assert_eq!((syncs(&store) - before, begun.elapsed()), (2, SYNC * 2));
}

#[tokio::test(start_paused = true)]
async fn a_reader_is_told_nothing_that_a_power_cut_could_take_back() {
    let store = slow().await;
    let parcel = Parcel::plain(0, 0, 500);
    let (writer, reader) = (store.clone(), store.clone());
    let (own, copy) = (parcel.clone(), parcel.header.clone());
    let writing = tokio::spawn(async move { own.store_in(&writer).await });
    sleep(MOMENT).await;
    let begun = Instant::now();
    let found = reader.put(copy, Travel::default()).await.unwrap();
    assert!(matches!(found, Opened::Stored(_)));
    assert_eq!(begun.elapsed(), SYNC.checked_sub(MOMENT).unwrap());
    writing.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_power_cut_takes_what_no_sync_had_ended_for_and_nothing_else() {
    let store = slow().await;
    let (kept, syncing, waiting) = (Parcel::plain(0, 0, 9_000), Parcel::plain(0, 1, 9_000), Parcel::plain(0, 2, 9_000));
    kept.store_in(&store).await.unwrap();
    let mut writers = JoinSet::new();
    for (parcel, later) in [(&syncing, MOMENT), (&waiting, MOMENT * 2)] {
        let (store, parcel) = (store.clone(), parcel.clone());
        writers.spawn(async move {
            sleep(later).await;
            parcel.store_in(&store).await
        });
    }
    sleep(MOMENT * 3).await;
    let cut = Instant::now();
    store.crash().unwrap();
    while let Some(answered) = writers.join_next().await {
        assert_eq!(answered.unwrap(), Err(StoreError::Unavailable));
    }
    assert_eq!(cut.elapsed(), Duration::ZERO, "nobody waits for a sync that will never end");
    assert_eq!(held(&store), BTreeSet::from([kept.id()]));
    assert!(kept.is_whole_in(&store).await.unwrap());
    syncing.store_in(&store).await.unwrap();
    assert!(store.check(true).await.unwrap().is_sound());
}

#[tokio::test(start_paused = true)]
async fn what_a_killed_process_was_writing_is_there_and_answered_only_once_it_is_synced() {
    let store = slow().await;
    let (syncing, waiting) = (Parcel::plain(0, 1, 9_000), Parcel::plain(0, 2, 9_000));
    for parcel in [&syncing, &waiting] {
        store.put(parcel.header.clone(), Travel::default()).await.unwrap();
    }
    let (first, second) = (store.clone(), store.clone());
    let (one, two) = (syncing.whole(), waiting.whole());
    let writing = tokio::spawn(async move { first.extend(one).await });
    let behind = tokio::spawn(async move { second.extend(two).await });
    sleep(MOMENT).await;
    store.restart().unwrap();
    assert_eq!(writing.await.unwrap(), Err(StoreError::Unavailable));
    assert_eq!(behind.await.unwrap(), Err(StoreError::Unavailable));
    assert_eq!(held(&store), BTreeSet::new(), "a power cut now would take it");
    let begun = Instant::now();
    assert!(matches!(store.put(syncing.header.clone(), Travel::default()).await.unwrap(), Opened::Stored(_)));
    assert_eq!(begun.elapsed(), SYNC);
    assert!(matches!(store.put(waiting.header.clone(), Travel::default()).await.unwrap(), Opened::Open(_)));
    assert_eq!(held(&store), BTreeSet::from([syncing.id()]));
    store.crash().unwrap();
    assert!(syncing.is_whole_in(&store).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_caller_has_gone_is_done_and_holds_nobody_up() {
    let store = slow().await;
    let (left, next) = (Parcel::plain(0, 0, 9_000), Parcel::plain(0, 1, 9_000));
    for parcel in [&left, &next] {
        store.put(parcel.header.clone(), Travel::default()).await.unwrap();
    }
    assert!(timeout(MOMENT, store.extend(left.whole())).await.is_err());
    sleep(SYNC * 10).await;
    assert_eq!(held(&store), BTreeSet::from([left.id()]));
    let begun = Instant::now();
    store.extend(next.whole()).await.unwrap();
    assert_eq!(begun.elapsed(), SYNC, "a sync begins when it is asked for, not when somebody looks");
}

#[tokio::test(start_paused = true)]
async fn a_queue_longer_than_the_committers_is_served_to_its_end() {
    let store = slow().await;
    let count = u64::try_from(COMMITTER_QUEUE).unwrap() + 300;
    let mut writers = JoinSet::new();
    for number in 0..count {
        let store = store.clone();
        writers.spawn(async move { store.register(registration(number)).await });
    }
    while let Some(answered) = writers.join_next().await {
        answered.unwrap().unwrap();
    }
    assert_eq!(store.usage().await.unwrap().mailboxes, count);
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_stalls_keeps_everybody_waiting_and_loses_nothing() {
    let store = slow().await;
    store.stall_next_sync(Duration::from_secs(30));
    let parcel = Parcel::plain(0, 0, 500);
    let begun = Instant::now();
    parcel.store_in(&store).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(30) + SYNC);
    Parcel::plain(0, 1, 500).store_in(&store).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(30) + SYNC * 2, "only one stalls");
}

#[tokio::test(start_paused = true)]
async fn a_sync_that_fails_acknowledges_nothing_and_stops_the_store_until_it_is_opened_again() {
    let store = slow().await;
    let (kept, lost) = (Parcel::plain(0, 0, 500), Parcel::plain(0, 1, 500));
    kept.store_in(&store).await.unwrap();
    store.put(lost.header.clone(), Travel::default()).await.unwrap();
    store.fail_next_sync();
    let (first, second) = (store.clone(), store.clone());
    let bytes = lost.whole();
    let writing = tokio::spawn(async move { first.extend(bytes).await });
    let behind = tokio::spawn(async move { second.list(mailbox(0)).await });
    assert_eq!(writing.await.unwrap(), Err(StoreError::Unavailable));
    assert_eq!(behind.await.unwrap(), Err(StoreError::Unavailable));
    assert_eq!(store.usage().await, Err(StoreError::Unavailable));
    assert!(matches!(store.close().await, Err(StoreError::Io { .. })), "why it stopped is told when it is closed");
    assert_eq!(store.close().await, Ok(()), "and once");
    store.restart().unwrap();
    assert_eq!(held(&store), BTreeSet::from([kept.id()]));
    lost.store_in(&store).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_closed_finishes_what_waits_and_the_next_process_finds_all_of_it() {
    let store = slow().await;
    let writers: Vec<_> = (0..3)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.register(registration(number)).await })
        })
        .collect();
    sleep(MOMENT).await;
    store.close().await.unwrap();
    assert_eq!(store.register(registration(9)).await, Err(StoreError::Unavailable));
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    store.restart().unwrap();
    assert_eq!(store.usage().await.unwrap().mailboxes, 3);
}

#[tokio::test(start_paused = true)]
async fn a_disk_of_a_certain_size_fills_up_and_releases_make_room() {
    let limits = StoreLimits { reserve_bytes_min: 200_000, reserve_percent: 0, ..StoreLimits::default() };
    let store = MemoryStore::new(limits, &mut Counting(1)).unwrap();
    store.register(registration(0)).await.unwrap();
    store.set_sync_time(SYNC);
    store.set_capacity(Some(500_000));
    let empty = store.usage().await.unwrap().free_bytes;
    let mut kept = Vec::new();
    let refused = loop {
        let parcel = Parcel::plain(0, kept.len().try_into().unwrap(), 20_000);
        match parcel.store_in(&store).await {
            Ok(()) => kept.push(parcel),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, StoreError::Refused(Code::RELAY_FULL));
    let full = store.usage().await.unwrap();
    assert!(full.refusing && kept.len() > 8);
    assert!(full.free_bytes < empty - full.bytes && full.free_bytes >= 200_000, "every byte is counted");
    let gone: Vec<_> = kept.drain(..5).map(|parcel| parcel.id()).collect();
    store.release(mailbox(0), gone).await.unwrap();
    let after = store.usage().await.unwrap();
    assert!(after.free_bytes > full.free_bytes + 90_000);
    Parcel::plain(0, 99, 20_000).store_in(&store).await.unwrap();
    for parcel in &kept {
        assert!(parcel.is_whole_in(&store).await.unwrap());
    }
    let counted = store.inspect().unwrap().bytes();
    assert_eq!(counted, 500_000 - store.usage().await.unwrap().free_bytes);
    store.crash().unwrap();
    assert_eq!(store.inspect().unwrap().bytes(), counted, "the count is the same after opening it again");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_others_fill_to_the_last_byte_stops_the_store_and_breaks_no_promise() {
    let store = slow().await;
    let (kept, begun) = (Parcel::plain(0, 0, 9_000), Parcel::plain(0, 1, 9_000));
    kept.store_in(&store).await.unwrap();
    store.put(begun.header.clone(), Travel::default()).await.unwrap();
    store.set_capacity(Some(store.inspect().unwrap().bytes()));
    assert_eq!(store.extend(begun.whole()).await, Err(StoreError::Refused(Code::RELAY_FULL)));
    assert_eq!(store.release(mailbox(0), vec![kept.id()]).await, Err(StoreError::Unavailable));
    assert_eq!(store.close().await, Err(StoreError::Full));
    store.restart().unwrap();
    assert!(kept.is_whole_in(&store).await.unwrap(), "what was kept can be read from a full disk");
    store.set_capacity(Some(store.inspect().unwrap().bytes() + 2 * RESERVE_BYTES_MIN));
    begun.store_in(&store).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_older_copy_of_the_disk_and_an_empty_one_have_another_epoch() {
    let store = slow().await;
    let (old, new) = (Parcel::plain(0, 0, 500), Parcel::plain(0, 1, 500));
    let epoch = store.epoch();
    old.store_in(&store).await.unwrap();
    let snapshot = store.snapshot();
    new.store_in(&store).await.unwrap();
    store.release(mailbox(0), vec![old.id()]).await.unwrap();
    assert!(store.inspect().unwrap().is_buried(&old.id()));
    store.restore_from(&snapshot, &mut Counting(9)).unwrap();
    assert_eq!(held(&store), BTreeSet::from([old.id()]));
    assert!(!store.inspect().unwrap().is_buried(&old.id()));
    let restored = store.epoch();
    assert_ne!(restored, epoch);
    store.crash().unwrap();
    assert_eq!(store.epoch(), restored, "the new epoch is durable");
    store.replace(&mut Counting(2)).unwrap();
    assert_eq!(held(&store), BTreeSet::new());
    assert_eq!(store.usage().await.unwrap().mailboxes, 0);
    let fresh = store.epoch();
    assert!(fresh != epoch && fresh != restored);
    store.crash().unwrap();
    assert_eq!(store.epoch(), fresh);
}

/// Writers write until the power goes; adds what was acknowledged before to `stored`.
async fn write_until_the_power_goes(
    store: &MemoryStore,
    chance: &mut Counting,
    round: u64,
    stored: &Arc<Mutex<BTreeSet<ParcelId>>>,
) {
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (store, stored, mut chance) = (store.clone(), Arc::clone(stored), Counting(chance.next()));
        writers.spawn(async move {
            for count in 0.. {
                sleep(MOMENT * u32::try_from(chance.below(30)).unwrap()).await;
                let number = (round << 32) | (writer << 16) | count;
                let parcel = Parcel::plain(0, number, 1 + u32::try_from(chance.below(20_000)).unwrap());
                store.put(parcel.header.clone(), Travel::default()).await.unwrap();
                store.extend(parcel.part(0, parcel.length() / 2, 0)).await.unwrap();
                store.extend(parcel.whole()).await.unwrap();
                stored.lock().unwrap().insert(parcel.id());
            }
        });
    }
    sleep(MOMENT * u32::try_from(chance.below(300)).unwrap()).await;
    writers.abort_all();
    store.crash().unwrap();
}

#[tokio::test(start_paused = true)]
async fn whenever_the_power_goes_what_was_acknowledged_is_whole_and_the_count_of_bytes_is_right() {
    let (mut lost, mut acknowledged) = (0, 0);
    for seed in 0..40 {
        let mut chance = Counting(seed);
        let store = slow().await;
        store.set_capacity(Some(1 << 40));
        let stored = Arc::default();
        for round in 0..5 {
            write_until_the_power_goes(&store, &mut chance, round, &stored).await;
            let (held, stored) = (held(&store), stored.lock().unwrap().clone());
            assert!(held.is_superset(&stored), "seed {seed}");
            let usage = store.usage().await.unwrap();
            assert_eq!(usage.free_bytes + store.inspect().unwrap().bytes(), 1 << 40, "seed {seed}");
            assert!(store.check(true).await.unwrap().is_sound());
            lost += store.inspect().unwrap().parcels().iter().filter(|parcel| !parcel.whole).count();
            acknowledged += stored.len();
        }
    }
    assert!(lost > 0 && acknowledged > 1_000, "{lost} cut short, {acknowledged} acknowledged");
}

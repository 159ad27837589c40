//! Many at once: each is answered once, and what was answered is there.

use std::sync::Arc;

use zajil_proto::parcel::Travel;
use zajil_relay::store::{SqliteStore, Store, StoreLimits};

use crate::fixture::{Parcel, mailbox, options, registration};

#[test]
fn many_writers_share_commits_and_none_loses_a_parcel_or_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let open = || SqliteStore::open(options(directory.path(), StoreLimits::default(), None)).unwrap();
        let store = Arc::new(open());
        for number in 0..4 {
            store.register(registration(number)).await.unwrap();
        }
        let writers: Vec<_> = (0..16_u64)
            .map(|writer| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    for number in 0..20 {
                        Parcel::plain(writer % 4, writer * 100 + number, 2_000).store_in(&*store).await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        drop(store);
        let store = open();
        for number in 0..4 {
            let waiting = store.list(mailbox(number)).await.unwrap();
            assert_eq!(waiting.len(), 80);
            for writer in (0..16).filter(|writer| writer % 4 == number) {
                // Each writer waited for its answer before the next: its parcels stand in its order.
                let mine: Vec<_> = (0..20).map(|parcel| Parcel::plain(number, writer * 100 + parcel, 2_000)).collect();
                let ids: Vec<_> = mine.iter().map(Parcel::id).collect();
                let order: Vec<_> = waiting.iter().map(|one| one.header.id()).filter(|id| ids.contains(id)).collect();
                assert_eq!(order, ids);
                assert!(mine[7].is_whole_in(&store).await.unwrap());
            }
        }
    });
}

#[test]
fn two_paths_that_bring_one_parcel_make_one_parcel() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(SqliteStore::open(options(directory.path(), StoreLimits::default(), None)).unwrap());
        store.register(registration(0)).await.unwrap();
        let parcel = Arc::new(Parcel::new(0, 0, 720, 60_000, 4_000, false));
        store.put(parcel.header.clone(), Travel::default()).await.unwrap();
        let paths: Vec<_> = [500_u32, 1_700]
            .into_iter()
            .map(|size| {
                let (store, parcel) = (Arc::clone(&store), Arc::clone(&parcel));
                tokio::spawn(async move {
                    let mut at = 0;
                    while at < parcel.length() {
                        let end = (at + size).min(parcel.length());
                        // From the last mark, as a session that resumes sees it.
                        let from = at / 4_000 * 4_000;
                        store.extend(parcel.part(from, end, from)).await.unwrap();
                        at = end;
                    }
                })
            })
            .collect();
        for path in paths {
            path.await.unwrap();
        }
        assert!(parcel.is_whole_in(&*store).await.unwrap());
        assert_eq!(store.usage().await.unwrap().bytes, 60_000);
        assert!(store.check(true).await.unwrap().is_sound());
    });
}

#[test]
fn a_second_relay_on_the_same_store_is_told_so() {
    use zajil_relay::store::StoreError;
    let directory = tempfile::tempdir().unwrap();
    let first = SqliteStore::open(options(directory.path(), StoreLimits::default(), None)).unwrap();
    let second = SqliteStore::open(options(directory.path(), StoreLimits::default(), None));
    assert!(matches!(second, Err(StoreError::Locked { .. })));
    crate::fixture::block_on(first.close()).unwrap();
    assert!(SqliteStore::open(options(directory.path(), StoreLimits::default(), None)).is_ok());
}

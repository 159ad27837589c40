//! Promises in time: what returns when, what is remembered how long, what a restart may not change.

use std::time::Duration;

use zajil_proto::ids::RelayHash;
use zajil_proto::keys::SigningKey;
use zajil_proto::parcel::Travel;
use zajil_proto::session::custody::{Registration, StoreReply, StoreRequest};
use zajil_proto::time::{Age, Minute};
use zajil_proto::wire::{Code, Observation, Precision, Scope};
use zajil_relay::store::{Cursor, Engine, Exported, Guarantee, Opened, Store, StoreError, StoreLimits, execute};

use crate::fixture::{Parcel, Subject, block_on, mailbox, registration, seed, slot, slot_registration, word};

/// Lets hours pass, as sweeps count them.
async fn pass(store: &impl Store, hours: u64) {
    for _ in 0..hours / 6 {
        store.sweep(Duration::from_secs(6 * 3_600)).await.unwrap();
    }
    store.sweep(Duration::from_secs(hours % 6 * 3_600)).await.unwrap();
}

fn is_stored(opened: Result<Opened, StoreError>) -> bool {
    matches!(opened, Ok(Opened::Stored(_)))
}

#[test]
fn a_writer_cannot_tell_collected_from_waiting_until_the_next_step_also_across_a_restart() {
    for mut subject in Subject::both(&StoreLimits { mailbox_parcels_max: 1, ..StoreLimits::default() }) {
        let (first, second) = (Parcel::plain(0, 0, 100), Parcel::plain(0, 1, 100));
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            pass(store, 7).await;
            first.store_in(store).await.unwrap();
            store.release(mailbox(0), vec![first.id()]).await.unwrap();
            assert!(is_stored(store.put(first.header.clone(), Travel::default()).await));
        });
        subject = subject.reopen();
        block_on(async {
            let store = subject.engine();
            let full = Err(StoreError::Refused(Code::MAILBOX_FULL));
            assert_eq!(store.put(second.header.clone(), Travel::default()).await, full);
            pass(store, 4).await;
            assert_eq!(store.put(second.header.clone(), Travel::default()).await, full);
            pass(store, 1).await;
            second.store_in(store).await.unwrap();
            assert!(is_stored(store.put(first.header.clone(), Travel::default()).await));
        });
    }
}

#[test]
fn a_known_id_answers_stored_until_its_lifetime_and_fifteen_days_are_over() {
    for mut subject in Subject::both(&StoreLimits::default()) {
        let collected = Parcel::new(0, 0, 24, 100, 100, false);
        let expired = Parcel::new(0, 1, 24, 100, 100, false);
        let withdrawn = Parcel::new(0, 2, 24, 100, 100, false);
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            for parcel in [&collected, &expired, &withdrawn] {
                parcel.store_in(store).await.unwrap();
            }
            store.release(mailbox(0), vec![collected.id()]).await.unwrap();
            store.withdraw(mailbox(0), withdrawn.id()).await.unwrap();
            pass(store, 24).await;
            assert!(store.list(mailbox(0)).await.unwrap().is_empty());
        });
        subject = subject.reopen();
        block_on(async {
            let store = subject.engine();
            pass(store, 15 * 24 - 6).await;
            for parcel in [&collected, &expired, &withdrawn] {
                assert!(is_stored(store.put(parcel.header.clone(), Travel::default()).await));
            }
            pass(store, 30).await;
            for parcel in [&collected, &expired, &withdrawn] {
                assert!(!is_stored(store.put(parcel.header.clone(), Travel::default()).await));
            }
            assert_eq!(store.usage().await.unwrap().tombstones, 0);
        });
    }
}

#[test]
fn a_parcel_that_was_never_closed_expires_like_the_rest_and_may_come_again() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let store = subject.engine();
            let parcel = Parcel::new(0, 0, 12, 9_000, 4_000, false);
            store.register(registration(0)).await.unwrap();
            store.put(parcel.header.clone(), Travel::default()).await.unwrap();
            store.extend(parcel.part(0, 5_000, 0)).await.unwrap();
            pass(store, 11).await;
            assert_eq!(store.list(mailbox(0)).await.unwrap().len(), 1);
            pass(store, 1).await;
            assert!(store.list(mailbox(0)).await.unwrap().is_empty());
            parcel.store_in(store).await.unwrap();
        });
    }
}

#[test]
fn a_parcel_ages_from_the_moment_it_is_whole_however_long_it_took_to_come() {
    for mut subject in Subject::both(&StoreLimits::default()) {
        let parcel = Parcel::new(0, 0, 12, 9_000, 3_000, false);
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            store.put(parcel.header.clone(), Travel::default()).await.unwrap();
            store.extend(parcel.part(0, 3_000, 0)).await.unwrap();
            pass(store, 10).await;
            store.extend(parcel.part(3_000, 6_000, 3_000)).await.unwrap();
            pass(store, 10).await;
            assert_eq!(store.list(mailbox(0)).await.unwrap()[0].held, 6_000, "twenty hours after its first byte");
        });
        subject = subject.reopen();
        block_on(async {
            let store = subject.engine();
            store.put(parcel.header.clone(), Travel::default()).await.unwrap();
            store.extend(parcel.part(6_000, 9_000, 6_000)).await.unwrap();
            pass(store, 11).await;
            let waiting = store.list(mailbox(0)).await.unwrap();
            assert!(waiting[0].closed && waiting[0].travel.age <= Age(11 * 60));
        });
        subject = subject.reopen();
        block_on(async {
            let store = subject.engine();
            pass(store, 6).await;
            assert!(store.list(mailbox(0)).await.unwrap().is_empty(), "a lifetime and a step after it was whole");
        });
    }
}

#[test]
fn a_parcel_that_another_relay_had_stored_lives_no_longer_for_coming_slowly() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let store = subject.engine();
            let parcel = Parcel::new(0, 0, 48, 9_000, 3_000, false);
            store.register(registration(0)).await.unwrap();
            for (hours, from, to) in [(20, 0, 3_000), (32, 3_000, 9_000)] {
                let travel = Travel { age: Age(hours * 60), ..Travel::default() };
                store.put(parcel.header.clone(), travel).await.unwrap();
                store.extend(parcel.part(from, to, from)).await.unwrap();
                pass(store, 12).await;
            }
            assert_eq!(store.list(mailbox(0)).await.unwrap().len(), 1);
            pass(store, 6).await;
            assert!(store.list(mailbox(0)).await.unwrap().is_empty());
        });
    }
}

#[test]
fn age_goes_on_where_the_last_relay_left_it_and_no_finer_than_a_step() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let store = subject.engine();
            let parcel = Parcel::new(0, 0, 48, 100, 100, false);
            store.register(registration(0)).await.unwrap();
            pass(store, 1).await;
            let travel = Travel { age: Age(20 * 60), ..Travel::default() };
            store.put(parcel.header.clone(), travel).await.unwrap();
            store.extend(parcel.whole()).await.unwrap();
            let age = store.list(mailbox(0)).await.unwrap()[0].travel.age;
            assert_eq!(age, Age(19 * 60), "to a step's end, never older than it is");
            pass(store, 10).await;
            assert_eq!(store.list(mailbox(0)).await.unwrap()[0].travel.age, Age(29 * 60));
            pass(store, 18).await;
            assert_eq!(store.list(mailbox(0)).await.unwrap().len(), 1);
            pass(store, 1).await;
            assert!(store.list(mailbox(0)).await.unwrap().is_empty());
        });
    }
}

#[test]
fn one_jump_of_a_clock_cannot_empty_a_store() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            Parcel::new(0, 0, 24, 100, 100, false).store_in(store).await.unwrap();
            store.sweep(Duration::from_secs(365 * 24 * 3_600)).await.unwrap();
            assert_eq!(store.list(mailbox(0)).await.unwrap().len(), 1);
        });
    }
}

#[test]
fn an_invitation_is_over_after_its_hours_unless_something_was_stored() {
    for mut subject in Subject::both(&StoreLimits::default()) {
        let answer = Parcel::plain(1, 0, 4_096);
        let late = Parcel::plain(0, 1, 4_096);
        block_on(async {
            let store = subject.engine();
            for number in 0..2 {
                let invitation = Registration { valid_hours: Some(168), parcels_max: Some(1), ..registration(number) };
                store.register(invitation).await.unwrap();
            }
            pass(store, 167).await;
            answer.store_in(store).await.unwrap();
            store.put(late.header.clone(), Travel::default()).await.unwrap();
            store.extend(late.part(0, 1_000, 0)).await.unwrap();
            pass(store, 1).await;
        });
        subject = subject.reopen();
        block_on(async {
            let store = subject.engine();
            let over = StoreError::Refused(Code::OVER);
            assert_eq!(store.put(late.header.clone(), Travel::default()).await, Err(over.clone()));
            assert_eq!(store.register(registration(0)).await, Err(over));
            assert!(store.list(mailbox(0)).await.unwrap().is_empty());
            assert!(answer.is_whole_in(store).await.unwrap());
            pass(store, 31 * 24).await;
            let gone = StoreError::Refused(Code::NOT_HERE);
            assert_eq!(store.put(late.header.clone(), Travel::default()).await, Err(gone));
        });
    }
}

#[test]
fn a_mailbox_or_slot_that_nobody_used_for_half_a_year_goes_and_one_in_use_stays() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let store = subject.engine();
            for number in 0..2 {
                store.register(registration(number)).await.unwrap();
                store.register(slot_registration(number, Precision::Day)).await.unwrap();
            }
            pass(store, 100 * 24).await;
            store.list(mailbox(0)).await.unwrap();
            store.seen(slot(0)).await.unwrap();
            pass(store, 79 * 24).await;
            let usage = store.usage().await.unwrap();
            assert_eq!((usage.mailboxes, usage.slots), (2, 2));
            pass(store, 32 * 24).await;
            let usage = store.usage().await.unwrap();
            assert_eq!((usage.mailboxes, usage.slots), (1, 1));
            assert!(store.seen(slot(0)).await.unwrap().registered);
        });
    }
}

#[test]
fn a_new_precision_forgets_an_observation_that_says_more_or_less() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let store = subject.engine();
            let relay = SigningKey::from_seed(&seed(9, 0));
            let observation = Observation::sign(&relay, &slot(0), 1, Minute(10_000), Precision::SixHours);
            store.register(slot_registration(0, Precision::SixHours)).await.unwrap();
            store.put_word(word(0, 1), Some(observation)).await.unwrap();
            assert_eq!(store.seen(slot(0)).await.unwrap().observation, observation);
            store.register(slot_registration(0, Precision::Day)).await.unwrap();
            let state = store.seen(slot(0)).await.unwrap();
            assert_eq!((state.observation, state.word), (Observation::NONE, Some(word(0, 1))));
        });
    }
}

#[test]
fn an_owner_is_observed_once_for_each_version_whoever_brought_the_word_first() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let store = subject.engine();
            let relay = SigningKey::from_seed(&seed(9, 0));
            let at =
                |version, hours: u32, width| Observation::sign(&relay, &slot(0), version, Minute(hours * 60), width);
            let seen = async || store.seen(slot(0)).await.unwrap().observation;
            store.register(slot_registration(0, Precision::SixHours)).await.unwrap();
            store.put_word(word(0, 2), None).await.unwrap();
            assert_eq!(seen().await, Observation::NONE);
            let first = at(2, 6, Precision::SixHours);
            store.put_word(word(0, 2), Some(first)).await.unwrap();
            assert_eq!(seen().await, first);
            // Again, or of an older version: nothing moves. Nor at another precision, which forgets when it was.
            for version in [2, 1] {
                store.put_word(word(0, version), Some(at(version, 12, Precision::SixHours))).await.unwrap();
                assert_eq!(seen().await, first);
            }
            store.register(slot_registration(0, Precision::Day)).await.unwrap();
            store.put_word(word(0, 2), Some(at(2, 24, Precision::Day))).await.unwrap();
            assert_eq!(seen().await, Observation::NONE);
            // Nor of a version that came while nothing might be told.
            store.register(slot_registration(0, Precision::Off)).await.unwrap();
            store.put_word(word(0, 3), Some(at(3, 48, Precision::Off))).await.unwrap();
            store.register(slot_registration(0, Precision::Day)).await.unwrap();
            store.put_word(word(0, 3), Some(at(3, 72, Precision::Day))).await.unwrap();
            assert_eq!(seen().await, Observation::NONE);
            let next = at(4, 96, Precision::Day);
            store.put_word(word(0, 4), Some(next)).await.unwrap();
            assert_eq!(seen().await, next);
        });
    }
}

#[test]
fn what_is_exported_makes_an_equal_store() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let from = subject.engine();
            for number in 0..40 {
                from.register(Registration { homes: vec![RelayHash([3; 8])], ..registration(number) }).await.unwrap();
                from.register(slot_registration(number, Precision::Day)).await.unwrap();
                from.put_word(word(number, 2), None).await.unwrap();
                Parcel::plain(number, number, 9_000).store_in(from).await.unwrap();
            }
            let open = Parcel::new(0, 99, 48, 9_000, 4_000, true);
            from.put(open.header.clone(), Travel::default()).await.unwrap();
            from.extend(open.part(0, 5_000, 0)).await.unwrap();

            let other = Subject::memory(&StoreLimits::default());
            let to = other.engine();
            let mut at = Some(Cursor::default());
            while let Some(cursor) = at {
                let page = from.export(cursor).await.unwrap();
                for record in page.records {
                    import(to, record).await;
                }
                at = page.next;
            }
            for number in 0..40 {
                assert_eq!(to.list(mailbox(number)).await.unwrap(), from.list(mailbox(number)).await.unwrap());
                assert_eq!(to.seen(slot(number)).await.unwrap(), from.seen(slot(number)).await.unwrap());
                assert!(Parcel::plain(number, number, 9_000).is_whole_in(to).await.unwrap());
            }
            assert_eq!(to.read(open.id(), 0, 9_000).await.unwrap(), from.read(open.id(), 0, 9_000).await.unwrap());
        });
    }
}

async fn import(store: &Engine, record: Exported) {
    match record {
        Exported::Mailbox(registration) => drop(store.register(registration).await.unwrap()),
        Exported::Slot { registration, word, observation } => {
            store.register(registration).await.unwrap();
            if let Some(word) = word {
                store.put_word(word, Some(observation)).await.unwrap();
            }
        }
        Exported::Parcel { header, travel, body, marks } => {
            use zajil_proto::parcel::Assembly;
            let mut assembly = Assembly::new(header.clone());
            let mut at = 0;
            for mark in &marks {
                let end = usize::try_from(mark.end).unwrap();
                assembly.take(u32::try_from(at).unwrap(), &body[at..end]).unwrap();
                assembly.mark(mark).unwrap();
                at = end;
            }
            let closed = marks.last().is_some_and(|mark| mark.last);
            let (id, mailbox, chain) = (header.id(), header.mailbox(), assembly.state().chain);
            store.put(header, travel).await.unwrap();
            let extension =
                zajil_proto::session::custody::Extension { id, mailbox, offset: 0, bytes: body, marks, chain, closed };
            store.extend(extension).await.unwrap();
        }
    }
}

#[test]
fn an_epoch_stays_with_its_store_and_is_new_with_a_new_one() {
    let subject = Subject::sqlite(&StoreLimits::default());
    let epoch = subject.engine().epoch();
    assert_eq!(subject.reopen().engine().epoch(), epoch);
    assert_ne!(Subject::sqlite(&StoreLimits::default()).engine().epoch(), epoch);
}

#[test]
fn a_session_is_answered_through_one_function_for_every_request() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let store = subject.engine();
            let parcel = Parcel::plain(0, 0, 100);
            let put = || StoreRequest::Put { header: parcel.header.clone(), travel: Travel::default() };
            assert_eq!(execute(store, put()).await, StoreReply::Refused(Code::NOT_HERE));
            let done = execute(store, StoreRequest::Register(registration(0))).await;
            assert!(matches!(done, StoreReply::Done(_)));
            assert!(matches!(execute(store, put()).await, StoreReply::Open(_)));
            assert!(matches!(execute(store, StoreRequest::Extend(parcel.whole())).await, StoreReply::Extended(_)));
            assert!(matches!(execute(store, put()).await, StoreReply::Stored(_)));
            let read = StoreRequest::Read { id: parcel.id(), offset: 0, bytes_max: 10 };
            assert!(matches!(execute(store, read).await, StoreReply::Bytes { bytes, .. } if bytes.len() == 10));
            let drop = StoreRequest::Drop { scope: Scope::Mailbox, id: mailbox(0).0 };
            assert!(matches!(execute(store, drop).await, StoreReply::Done(_)));
            assert_eq!(execute(store, put()).await, StoreReply::Refused(Code::NOT_HERE));
            store.close().await.unwrap();
            assert_eq!(execute(store, put()).await, StoreReply::Failed);
        });
    }
}

#[test]
fn an_id_that_belongs_to_another_header_is_refused() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            store.register(registration(1)).await.unwrap();
            let bad = Err(StoreError::Refused(Code::BAD_ID));
            let (mine, theirs) = (Parcel::plain(0, 0, 100), Parcel::plain(1, 0, 100));
            store.put(mine.header.clone(), Travel::default()).await.unwrap();
            assert_eq!(store.put(theirs.header.clone(), Travel::default()).await, bad);
            let longer = Parcel::plain(0, 0, 101);
            assert_eq!(store.put(longer.header.clone(), Travel::default()).await, bad);
        });
    }
}

/// Found on 2026-11-22 while the doors were tried one by one: the author of a note, who alone has its key, put it under a mailbox of
/// their own, and was refused for as long as the note waited.
#[test]
fn regression_an_author_who_puts_a_note_under_another_mailbox_cannot_tell_collected_from_waiting() {
    for subject in Subject::both(&StoreLimits::default()) {
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            store.register(registration(1)).await.unwrap();
            let (note, elsewhere) = (Parcel::plain(0, 0, 100), Parcel::plain(1, 0, 100));
            let (longer, nowhere) = (Parcel::plain(0, 0, 101), Parcel::plain(2, 0, 100));
            note.store_in(store).await.unwrap();
            let tried = [&note, &elsewhere, &longer, &nowhere];
            for is_collected in [false, true] {
                if is_collected {
                    store.release(mailbox(0), vec![note.id()]).await.unwrap();
                }
                for parcel in tried {
                    let found = store.put(parcel.header.clone(), Travel::default()).await.unwrap();
                    assert!(matches!(found, Opened::Stored(_)), "collected: {is_collected}");
                }
            }
            assert!(store.list(mailbox(1)).await.unwrap().is_empty(), "nothing of it is in the other mailbox");
        });
    }
}

#[test]
fn after_a_failed_write_nothing_is_acknowledged_until_the_store_is_opened_again() {
    let subject = Subject::memory(&StoreLimits::default());
    let Engine::Memory(store) = subject.engine() else { panic!("it was made in memory") };
    block_on(async {
        let (kept, lost) = (Parcel::plain(0, 0, 9_000), Parcel::plain(0, 1, 9_000));
        store.register(registration(0)).await.unwrap();
        kept.store_in(store).await.unwrap();
        store.put(lost.header.clone(), Travel::default()).await.unwrap();
        store.refuse_writes(true);
        assert_eq!(store.extend(lost.whole()).await, Err(StoreError::Unavailable));
        store.refuse_writes(false);
        assert_eq!(store.extend(lost.whole()).await, Err(StoreError::Unavailable));
        assert_eq!(store.list(mailbox(0)).await, Err(StoreError::Unavailable));
        assert_eq!(store.close().await, Err(StoreError::Full), "the reason is told when it is closed");
        store.crash().unwrap();
        assert!(kept.is_whole_in(store).await.unwrap());
        assert_eq!(store.list(mailbox(0)).await.unwrap().len(), 1);
        lost.store_in(store).await.unwrap();
        assert_eq!(store.guarantee(), Guarantee::Memory);
    });
}

/// Found by `conformance` on 2026-11-20: the row with the marks was met again and again.
#[test]
fn regression_a_cut_before_a_row_that_only_holds_marks_ends_and_leaves_no_gap() {
    for mut subject in Subject::both(&StoreLimits::default()) {
        let parcel = Parcel::new(0, 0, 48, 9_000, 2_500, true);
        block_on(async {
            let store = subject.engine();
            store.register(registration(0)).await.unwrap();
            store.put(parcel.header.clone(), Travel::default()).await.unwrap();
            store.extend(parcel.part(0, 3_000, u32::MAX)).await.unwrap();
            store.extend(parcel.part(3_000, 4_900, 0)).await.unwrap();
            store.cut(parcel.id(), 2_600).await.unwrap();
        });
        subject = subject.reopen();
        block_on(async {
            let store = subject.engine();
            let part = store.read(parcel.id(), 0, 9_000).await.unwrap();
            assert_eq!((part.bytes.len(), part.marks.len()), (2_600, 1));
            store.extend(parcel.part(2_600, 9_000, 0)).await.unwrap();
            assert!(parcel.is_whole_in(store).await.unwrap());
            assert!(store.check(true).await.unwrap().is_sound());
        });
    }
}

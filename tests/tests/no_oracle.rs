//! Doors of a relay that must look alike: what it says is the same byte for byte, and it gives its store the same work.
//!
//! A writer cannot tell what was collected from what waits; who has no key cannot tell what is there from what is not; who has one cannot tell
//! what was taken back from what never was. How long each takes is measured by `zajil-bench --doors`.
#![cfg(test)]

use std::time::Duration;

use zajil_bench::doors::{Heard, Keys, Sealed, Visitor};
use zajil_net::SystemRandom;
use zajil_proto::ids::{MailboxId, ParcelId, SlotId};
use zajil_proto::keys::{Purpose, SigningKey};
use zajil_proto::parcel::Class;
use zajil_proto::wire::{Code, Frame, Held, Scope};
use zajil_relay::store::{MemoryStore, Store, StoreLimits};

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

fn store() -> MemoryStore {
    MemoryStore::new(StoreLimits::default(), &mut SystemRandom::new()).unwrap()
}

fn key() -> SigningKey {
    SigningKey::draw(&mut SystemRandom::new())
}

fn keys() -> Keys {
    Keys::draw(&mut SystemRandom::new())
}

/// Asks once, in a session of its own, and hides in the answer the names that were in the question.
async fn ask(store: &MemoryStore, relay: &SigningKey, proofs: &[Frame], frames: &[Frame], names: &[[u8; 16]]) -> Heard {
    let mut visitor = Visitor::come(store, relay, proofs).await;
    let mut heard = visitor.says(store, frames).await;
    for (_, bytes) in &mut heard.said {
        for name in names {
            while let Some(at) = bytes.windows(16).position(|window| window == name) {
                bytes[at..at + 16].fill(0xaa);
            }
        }
    }
    heard
}

/// Everything an author can say of a note of theirs, under its own mailbox and under others.
fn an_author_asks(note: &Sealed, own: &Keys, elsewhere: [&Keys; 2]) -> Vec<(&'static str, Vec<Frame>)> {
    let moved = |keys: &Keys| Sealed::new(keys, note.key.clone(), Class::Voice).put();
    let withdraw = |keys: &Keys| {
        let mailbox = keys.mailbox();
        Frame::Withdraw {
            request: 1,
            write_key: keys.write.public(),
            read_tag: zajil_proto::ids::ReadTag::of(&keys.read.public()),
            parcel_key: note.key.public(),
            signature: note.key.sign(Purpose::Withdraw, &[&mailbox.0, &note.id().0]),
        }
    };
    vec![
        ("puts it again", note.put()),
        ("puts its header alone", note.put()[..1].to_vec()),
        ("puts it as another class", Sealed::new(own, note.key.clone(), Class::Text).put()),
        ("puts it under another mailbox of theirs", moved(elsewhere[0])),
        ("puts it under a mailbox that is not here", moved(elsewhere[1])),
        ("takes it back from another mailbox", vec![withdraw(elsewhere[0])]),
        ("takes it back from a mailbox that is not here", vec![withdraw(elsewhere[1])]),
        ("takes it back", vec![withdraw(own)]),
        ("puts it after that", note.put()),
    ]
}

#[test]
fn whatever_an_author_asks_about_a_note_tells_nothing_of_whether_it_was_collected() {
    run(async {
        let (relay, own, other, nowhere) = (key(), keys(), keys(), keys());
        let heard = async |collected: bool, expired: bool| {
            let store = store();
            for keys in [&own, &other] {
                store.register(keys.registration(Scope::Mailbox)).await.unwrap();
            }
            let note = Sealed::new(&own, SigningKey::draw(&mut SystemRandom::new()), Class::Voice);
            note.store_in(&store).await;
            if collected {
                store.release(own.mailbox(), vec![note.id()]).await.unwrap();
            }
            if expired {
                // Thirty days of life, and one step.
                for _ in 0..121 {
                    store.sweep(Duration::from_secs(6 * 60 * 60)).await.unwrap();
                }
                assert!(store.list(own.mailbox()).await.unwrap().is_empty());
            }
            let mut answers = Vec::new();
            for (what, frames) in an_author_asks(&note, &own, [&other, &nowhere]) {
                answers.push((what, ask(&store, &relay, &[], &frames, &[note.id().0]).await));
            }
            answers
        };
        let waiting = heard(false, false).await;
        assert!(waiting.iter().all(|(_, heard)| !heard.said.is_empty()), "each is answered");
        for (collected, expired) in [(true, false), (false, true), (true, true)] {
            for ((what, waits), (_, gone)) in waiting.iter().zip(heard(collected, expired).await) {
                assert_eq!(*waits, gone, "{what}; collected: {collected}, expired: {expired}");
            }
        }
    });
}

/// What can be asked at a mailbox and at a slot.
fn questions(mailbox: MailboxId, slot: SlotId, parcel: ParcelId) -> Vec<(&'static str, Vec<Frame>)> {
    let watch = |live, held| vec![Frame::Watch { mailbox, live, more: false, held }];
    vec![
        ("watch", watch(false, Vec::new())),
        ("watch for long", watch(true, Vec::new())),
        ("watch and say what one has", watch(false, vec![Held { id: parcel, offset: Some(100) }])),
        ("release", vec![Frame::Release { mailbox, ids: vec![parcel] }]),
        ("release nothing", vec![Frame::Release { mailbox, ids: Vec::new() }]),
        ("seen", vec![Frame::SeenGet { request: 1, slot }]),
    ]
}

/// What may be asked only by its owner.
fn drops(mailbox: MailboxId, slot: SlotId) -> Vec<(&'static str, Vec<Frame>)> {
    let drop = |scope, id| vec![Frame::Drop { request: 1, scope, id }];
    vec![("drop a mailbox", drop(Scope::Mailbox, mailbox.0)), ("drop a slot", drop(Scope::Slot, slot.0))]
}

/// A relay with something behind one door, nothing behind another, and one that is gone.
struct Street {
    store: MemoryStore,
    relay: SigningKey,
    never: Keys,
    empty: Keys,
    full: Keys,
    gone: Keys,
    note: Sealed,
}

impl Street {
    async fn new() -> Self {
        let (store, full, gone, empty) = (store(), keys(), keys(), keys());
        for keys in [&full, &gone, &empty] {
            for scope in [Scope::Mailbox, Scope::Slot] {
                store.register(keys.registration(scope)).await.unwrap();
            }
        }
        let note = Sealed::new(&full, key(), Class::Voice);
        note.store_in(&store).await;
        for _ in 0..40 {
            Sealed::new(&full, key(), Class::Voice).store_in(&store).await;
        }
        for keys in [&full, &gone] {
            store.put_word(keys.word(3), None).await.unwrap();
        }
        Sealed::new(&gone, key(), Class::Voice).store_in(&store).await;
        for scope in [Scope::Mailbox, Scope::Slot] {
            store.drop_scope(scope, gone.registration(scope).id).await.unwrap();
        }
        Self { store, relay: key(), never: keys(), empty, full, gone, note }
    }

    async fn ask(&self, door: &Keys, proven: bool, frames: &[Frame]) -> Heard {
        let proofs = if proven { vec![door.prove(Scope::Mailbox), door.prove(Scope::Slot)] } else { Vec::new() };
        let names = [door.mailbox().0, door.slot().0, self.note.id().0];
        ask(&self.store, &self.relay, &proofs, frames, &names).await
    }

    fn questions(&self, door: &Keys) -> Vec<(&'static str, Vec<Frame>)> {
        questions(door.mailbox(), door.slot(), self.note.id())
    }
}

#[test]
fn without_the_key_a_mailbox_or_slot_looks_as_if_it_was_never_there() {
    run(async {
        let street = Street::new().await;
        for (at, (what, nothing)) in street.questions(&street.never).iter().enumerate() {
            let expected = street.ask(&street.never, false, nothing).await;
            assert!(!expected.said.is_empty(), "{what} is answered");
            for (behind, door) in [("empty", &street.empty), ("full", &street.full), ("gone", &street.gone)] {
                let frames = &street.questions(door)[at].1;
                assert_eq!(street.ask(door, false, frames).await, expected, "{what}: {behind}");
            }
        }
        for (at, (what, nothing)) in drops(street.never.mailbox(), street.never.slot()).iter().enumerate() {
            let expected = street.ask(&street.never, false, nothing).await;
            for (behind, door) in [("empty", &street.empty), ("full", &street.full), ("gone", &street.gone)] {
                let frames = &drops(door.mailbox(), door.slot())[at].1;
                assert_eq!(street.ask(door, false, frames).await, expected, "{what}: {behind}");
            }
        }
        let there = street.store.list(street.full.mailbox()).await.unwrap();
        assert_eq!(there.len(), 41, "and nothing of it has gone");
    });
}

#[test]
fn with_the_key_what_never_was_what_is_empty_and_what_was_taken_back_look_the_same() {
    run(async {
        let street = Street::new().await;
        for (at, (what, nothing)) in street.questions(&street.never).iter().enumerate() {
            let expected = street.ask(&street.never, true, nothing).await;
            let refused = street.ask(&street.never, false, nothing).await;
            assert_eq!(refused, expected, "{what}: not proven");
            for (behind, door) in [("empty", &street.empty), ("gone", &street.gone)] {
                let frames = &street.questions(door)[at].1;
                assert_eq!(street.ask(door, true, frames).await, expected, "{what}: {behind}");
            }
            // With the key and something there it does differ, or this test would prove nothing.
            if ["watch", "seen"].contains(what) {
                let frames = &street.questions(&street.full)[at].1;
                assert_ne!(street.ask(&street.full, true, frames).await, expected, "{what}: full");
            }
        }
    });
}

#[test]
fn a_stranger_who_asks_every_day_keeps_no_abandoned_mailbox_or_slot_alive() {
    run(async {
        let street = Street::new().await;
        for day in 0..220 {
            for _ in 0..4 {
                street.store.sweep(Duration::from_secs(6 * 60 * 60)).await.unwrap();
            }
            if day % 5 == 0 {
                for (_, frames) in street.questions(&street.empty) {
                    street.ask(&street.empty, false, &frames).await;
                }
            }
        }
        let usage = street.store.usage().await.unwrap();
        assert_eq!((usage.mailboxes, usage.slots), (0, 0), "half a year without its owner");
    });
}

#[test]
fn a_word_for_a_slot_that_never_was_and_for_one_that_was_taken_back_is_refused_alike() {
    run(async {
        let street = Street::new().await;
        let put = |keys: &Keys| {
            let word = keys.word(9);
            let live_proof = zajil_proto::keys::Signature::NONE;
            vec![Frame::WordPut(zajil_proto::wire::WordPut { request: 1, word, live_proof })]
        };
        let expected = street.ask(&street.never, false, &put(&street.never)).await;
        assert_eq!(expected.closed, None::<Code>);
        assert_eq!(street.ask(&street.gone, false, &put(&street.gone)).await, expected);
    });
}

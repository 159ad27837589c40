//! Random rows of requests: every engine answers as the model does, and holds what the model holds.

use std::time::Duration;

use proptest::prelude::*;
use zajil_proto::ids::{ParcelId, RelayHash};
use zajil_proto::keys::SigningKey;
use zajil_proto::parcel::{Home, Travel};
use zajil_proto::session::custody::{Extension, Registration};
use zajil_proto::time::{Age, Lifetime, Minute};
use zajil_proto::wire::{Code, Observation, Precision, Scope};
use zajil_relay::store::{Engine, MemoryStore, Opened, Store, StoreError, StoreLimits, Swept};

use crate::fixture::{
    Counting, Parcel, Subject, block_on, mailbox, registration, seed, short, slot, slot_registration, word,
};
use crate::model::{Model, Put};

#[derive(Debug, Clone)]
enum Request {
    Register(u64),
    RegisterSlot {
        slot: u64,
        precision: Precision,
    },
    Put {
        parcel: usize,
        age: u32,
    },
    /// The next bytes, from `back` before what is held; with their marks, or without.
    Extend {
        parcel: usize,
        back: u32,
        length: u32,
        marks: bool,
    },
    /// Bytes that are not the author's.
    Junk {
        parcel: usize,
        length: u32,
    },
    /// Marks alone.
    Marks {
        parcel: usize,
    },
    Cut {
        parcel: usize,
        to: u32,
    },
    Withdraw {
        parcel: usize,
    },
    Read {
        parcel: usize,
        offset: u32,
        length: u32,
    },
    Release {
        mailbox: u64,
        parcels: Vec<usize>,
    },
    PutWord {
        slot: u64,
        version: u64,
        seen: Option<Precision>,
    },
    Drop {
        mailbox: u64,
    },
    DropSlot {
        slot: u64,
    },
    Sweep {
        minutes: u64,
    },
    Reopen,
}

const PARCELS: usize = 10;
const MAILBOXES: u64 = 4;

fn precision() -> impl Strategy<Value = Precision> {
    prop_oneof![Just(Precision::Off), Just(Precision::SixHours), Just(Precision::Day)]
}

fn request() -> impl Strategy<Value = Request> {
    let parcel = 0..PARCELS;
    prop_oneof![
        3 => (0..MAILBOXES).prop_map(Request::Register),
        1 => (0..2_u64, precision()).prop_map(|(slot, precision)| Request::RegisterSlot { slot, precision }),
        8 => (parcel.clone(), 0..5_000_u32).prop_map(|(parcel, age)| Request::Put { parcel, age: age.saturating_sub(2_000) }),
        12 => (parcel.clone(), 0..3_000_u32, 0..14_000_u32, any::<bool>())
            .prop_map(|(parcel, back, length, marks)| Request::Extend { parcel, back: back.saturating_sub(1_500), length, marks }),
        1 => (parcel.clone(), 1..4_000_u32).prop_map(|(parcel, length)| Request::Junk { parcel, length }),
        2 => parcel.clone().prop_map(|parcel| Request::Marks { parcel }),
        1 => (parcel.clone(), 0..20_000_u32).prop_map(|(parcel, to)| Request::Cut { parcel, to }),
        1 => parcel.clone().prop_map(|parcel| Request::Withdraw { parcel }),
        2 => (parcel.clone(), 0..20_000_u32, 0..20_000_u32)
            .prop_map(|(parcel, offset, length)| Request::Read { parcel, offset, length }),
        3 => (0..MAILBOXES, prop::collection::vec(parcel, 0..4))
            .prop_map(|(mailbox, parcels)| Request::Release { mailbox, parcels }),
        2 => (0..2_u64, 1..6_u64, prop::option::of(precision()))
            .prop_map(|(slot, version, seen)| Request::PutWord { slot, version, seen }),
        1 => (0..MAILBOXES).prop_map(|mailbox| Request::Drop { mailbox }),
        1 => (0..2_u64).prop_map(|slot| Request::DropSlot { slot }),
        4 => (0..700_u64).prop_map(|minutes| Request::Sweep { minutes }),
        2 => Just(Request::Reopen),
    ]
}

/// Small enough that every limit is met.
fn limits() -> StoreLimits {
    StoreLimits {
        mailbox_bytes_max: 40_000,
        mailbox_parcels_max: 4,
        parcel_bytes_max: 20_000,
        lifetime_max: Lifetime::from_hours(48).expect("two days"),
        ..StoreLimits::default()
    }
}

/// Two pair mailboxes, an audience, an invitation that takes one parcel.
fn mailbox_registration(number: u64) -> Registration {
    let plain = registration(number);
    match number {
        1 => Registration { bytes_max: Some(25_000), ..plain },
        2 => Registration { audience: true, ..plain },
        3 => Registration { valid_hours: Some(10), parcels_max: Some(1), ..plain },
        _ => plain,
    }
}

/// Parcels short and long, known and live, for each mailbox; number 8 lives too long and number 9 is too long.
fn parcels() -> Vec<Parcel> {
    (0..10_u16)
        .map(|number| {
            let hours = if number == 8 { 60 } else { 6 + 4 * number };
            let length = if number == 9 { 21_000 } else { 700 + 2_100 * u32::from(number) };
            let distance = 3_000 + 500 * usize::from(number);
            let mailbox = u64::from(number) % MAILBOXES;
            Parcel::new(mailbox, number.into(), hours, length, distance, number % 3 == 0)
        })
        .collect()
}

fn observation(number: u64, version: u64, precision: Precision) -> Observation {
    let relay = SigningKey::from_seed(&seed(9, 0));
    Observation::sign(&relay, &slot(number), version, Minute(u32::try_from(version).unwrap() * 1_000), precision)
}

struct Trial {
    subject: Subject,
    model: Model,
    parcels: Vec<Parcel>,
}

fn code<T>(result: Result<T, StoreError>) -> Result<T, Code> {
    result.map_err(|error| error.refusal().unwrap_or_else(|| panic!("the store failed: {error}")))
}

impl Trial {
    fn new(subject: Subject) -> Self {
        Self { subject, model: Model::new(limits()), parcels: parcels() }
    }

    fn run(mut self, requests: &[Request]) {
        for request in requests {
            if matches!(request, Request::Reopen) {
                self.subject = self.subject.reopen();
                self.model.reopen();
            } else {
                block_on(self.one(request));
            }
            block_on(self.compare());
        }
    }

    fn held(&self, parcel: usize) -> u32 {
        self.model.parcels.get(&self.parcels[parcel].id()).map_or(0, |held| short(held.bytes.len()))
    }

    async fn extend(&mut self, extension: Extension, parcel: usize) {
        let expected = self.model.extend(&extension, &self.parcels[parcel].body);
        let got = code(self.subject.engine().extend(extension).await);
        assert_eq!(got.map(|extended| (extended.get().held, extended.get().closed)), expected);
    }

    async fn one(&mut self, request: &Request) {
        let store = self.subject.engine();
        let parcels = &self.parcels;
        match request {
            Request::Register(number) => {
                let registration = mailbox_registration(*number);
                let expected = self.model.register(&registration);
                assert_eq!(code(store.register(registration).await).map(|done| *done.get()), expected);
            }
            Request::RegisterSlot { slot: number, precision } => {
                self.model.register_slot(slot(*number), *precision);
                store.register(slot_registration(*number, *precision)).await.expect("a slot");
            }
            Request::Put { parcel, age } => {
                let travel = Travel { home: Home(RelayHash([9; 8])), age: Age(*age) };
                let expected = self.model.put(&parcels[*parcel], travel);
                let got = code(store.put(parcels[*parcel].header.clone(), travel).await).map(|opened| match opened {
                    Opened::Stored(id) => {
                        assert_eq!(*id.get(), parcels[*parcel].id());
                        Put::Stored
                    }
                    Opened::Open(resumed) => Put::Open { marked: resumed.chain.1, tail: resumed.tail },
                });
                assert_eq!(got, expected);
            }
            Request::Extend { parcel, back, length, marks } => {
                let whole = parcels[*parcel].length();
                let start = self.held(*parcel).saturating_sub(*back).min(whole);
                let end = start.saturating_add(*length).min(whole);
                let after = if *marks { 0 } else { u32::MAX };
                self.extend(parcels[*parcel].part(start, end, after), *parcel).await;
            }
            Request::Junk { parcel, length } => {
                let mut bytes = vec![0; *length as usize];
                zajil_proto::random::Random::fill(&mut Counting(u64::from(*length)), &mut bytes);
                let nothing = parcels[*parcel].part(0, 0, 0);
                self.extend(Extension { offset: self.held(*parcel), bytes, ..nothing }, *parcel).await;
            }
            Request::Marks { parcel } => {
                let held = self.held(*parcel).min(parcels[*parcel].length());
                self.extend(parcels[*parcel].part(held, held, 0), *parcel).await;
            }
            Request::Cut { parcel, to } => {
                self.model.cut(&parcels[*parcel].id(), *to);
                store.cut(parcels[*parcel].id(), *to).await.expect("a cut is never refused");
            }
            Request::Withdraw { parcel } => {
                let (home, id) = (parcels[*parcel].header.mailbox(), parcels[*parcel].id());
                let expected = self.model.withdraw(home, id);
                assert_eq!(code(store.withdraw(home, id).await).map(|done| *done.get()), expected);
            }
            Request::Read { parcel, offset, length } => self.read(*parcel, *offset, *length).await,
            Request::Release { mailbox: number, parcels: chosen } => {
                let ids: Vec<ParcelId> = chosen.iter().map(|parcel| parcels[*parcel].id()).collect();
                self.model.release(mailbox(*number), &ids);
                let released = store.release(mailbox(*number), ids.clone()).await.expect("never refused");
                assert_eq!(*released.get(), ids);
            }
            _ => self.other(request).await,
        }
    }

    /// Words, drops and time.
    async fn other(&mut self, request: &Request) {
        let store = self.subject.engine();
        match request {
            Request::PutWord { slot: number, version, seen } => {
                let seen = seen.map(|precision| observation(*number, *version, precision));
                let expected = self.model.put_word(slot(*number), word(*number, *version), seen);
                let got = code(store.put_word(word(*number, *version), seen).await).map(|done| *done.get());
                assert_eq!(got, expected);
            }
            Request::Drop { mailbox: number } => {
                self.model.drop_mailbox(mailbox(*number));
                store.drop_scope(Scope::Mailbox, mailbox(*number).0).await.expect("never refused");
            }
            Request::DropSlot { slot: number } => {
                self.model.slots.remove(&slot(*number));
                store.drop_scope(Scope::Slot, slot(*number).0).await.expect("never refused");
            }
            Request::Sweep { minutes } => {
                let (parcels, scopes, announced) = self.model.sweep(*minutes);
                let swept = store.sweep(Duration::from_secs(minutes * 60)).await.expect("never refused");
                assert_eq!(swept, Swept { parcels, scopes, announced });
            }
            _ => {}
        }
    }

    async fn read(&self, parcel: usize, offset: u32, length: u32) {
        let id = self.parcels[parcel].id();
        let got = code(self.subject.engine().read(id, offset, length).await);
        let Some(held) = self.model.parcels.get(&id) else {
            assert_eq!(got, Err(Code::NOT_HERE));
            return;
        };
        let end = offset.saturating_add(length).min(short(held.bytes.len())).max(offset);
        let part = got.expect("it is held");
        assert_eq!(part.bytes, held.bytes.get(offset as usize..end as usize).unwrap_or_default());
        let marks: Vec<_> = held.marks.iter().filter(|mark| mark.end > offset && mark.end <= end).copied().collect();
        assert_eq!(part.marks, marks);
    }

    /// Everything that can be seen from outside is as the model has it.
    async fn compare(&self) {
        let store = self.subject.engine();
        for number in 0..MAILBOXES {
            let id = mailbox(number);
            let mut expected: Vec<_> =
                self.model.parcels.iter().filter(|(_, held)| held.mailbox == id && held.begun.is_some()).collect();
            expected.sort_by_key(|(_, held)| held.begun);
            let waiting = store.list(id).await.expect("never refused");
            let got: Vec<_> = waiting
                .iter()
                .map(|one| {
                    (one.header.id(), one.held as usize, one.closed, u64::from(one.travel.age.0), one.travel.home)
                })
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(id, held)| (**id, held.bytes.len(), held.closed, held.age(self.model.minutes), held.travel.home))
                .collect();
            assert_eq!(got, expected);
        }
        for parcel in 0..PARCELS {
            self.read(parcel, 0, u32::MAX).await;
        }
        for number in 0..2 {
            let state = store.seen(slot(number)).await.expect("never refused");
            let expected = self.model.slots.get(&slot(number));
            assert_eq!(state.registered, expected.is_some());
            let (precision, word, observation, _) =
                expected.cloned().unwrap_or((Precision::Off, None, Observation::NONE, 0));
            assert_eq!((state.precision, state.word, state.observation), (precision, word, observation.told()));
        }
        let usage = store.usage().await.expect("never refused");
        let begun = self.model.parcels.values().filter(|held| held.begun.is_some());
        assert_eq!(usage.parcels, begun.count() as u64);
        assert_eq!(usage.bytes, self.model.parcels.values().map(|held| held.bytes.len() as u64).sum::<u64>());
        assert_eq!(usage.tombstones, self.model.tombstones.len() as u64);
        assert_eq!((usage.mailboxes, usage.slots), (self.model.mailboxes.len() as u64, self.model.slots.len() as u64));
        if let Engine::Memory(store) = store {
            self.inspect(store);
        }
    }

    /// What a judge sees without asking the store is the same.
    fn inspect(&self, store: &MemoryStore) {
        let mut inspection = store.inspect().expect("it can be read");
        let got: Vec<_> = inspection
            .parcels()
            .iter()
            .map(|parcel| (parcel.id, parcel.mailbox, parcel.bytes as usize, parcel.whole))
            .collect();
        let begun = self.model.parcels.iter().filter(|(_, held)| held.begun.is_some());
        let expected: Vec<_> = begun.map(|(id, held)| (*id, held.mailbox, held.bytes.len(), held.closed)).collect();
        assert_eq!(got, expected);
        assert_eq!(inspection.rows().tombstones, self.model.tombstones.len());
        assert_eq!(inspection.rows().scopes, self.model.mailboxes.len() + self.model.slots.len());
        for parcel in &self.parcels {
            assert_eq!(inspection.is_buried(&parcel.id()), self.model.tombstones.contains_key(&parcel.id()));
        }
    }
}

/// Every row begins with a relay in use, or most requests would be refused.
fn requests(most: usize) -> impl Strategy<Value = Vec<Request>> {
    let beginning: Vec<Request> = (0..MAILBOXES)
        .map(Request::Register)
        .chain((0..PARCELS).map(|parcel| Request::Put { parcel, age: 0 }))
        .collect();
    prop::collection::vec(request(), 1..most).prop_map(move |rest| beginning.iter().cloned().chain(rest).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_memory_engine_answers_as_the_model_does(requests in requests(80)) {
        Trial::new(Subject::memory(&limits())).run(&requests);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_sqlite_engine_answers_as_the_model_does(requests in requests(60)) {
        Trial::new(Subject::sqlite(&limits())).run(&requests);
    }
}

//! Doors of a relay that must look alike, tried one by one at its session's machine: what is said, how much work the store is given for
//! it, and how long that takes on a real disk.
//!
//! What is equal, byte for byte and request for request, is a test's (`tests/tests/no_oracle.rs`); how long it takes is measured here, by
//! `zajil-bench --doors`, and never asserted.

use std::time::{Duration, Instant as Moment};

use serde::Serialize;
use zajil_net::SystemRandom;
use zajil_proto::ids::{Epoch, MailboxId, ParcelId, ReadTag, SlotId};
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::parcel::{Class, Header, Mark, MarkChain, Travel};
use zajil_proto::random::Random;
use zajil_proto::session::custody::{Extension, Registration, StoreRequest};
use zajil_proto::session::relay::{RelayCommand, RelayEvent, RelaySession};
use zajil_proto::session::{Input, Lane, Output, Session};
use zajil_proto::time::{Instant, Lifetime, Minute};
use zajil_proto::wire::{Code, Frame, Precision, Prove, PutStart, Scope, Word};
use zajil_relay::store::{Opened, SqliteOptions, SqliteStore, Store, StoreKey, StoreLimits, execute};

use crate::chance::Chance;
use crate::open_relay;

/// The exporter of every session here.
const EXPORTER: [u8; 32] = [7; 32];
/// 2026-11-20, 12:00 UTC.
const WALL: Minute = Minute(29_920_680);

/// The keys of a mailbox and of a slot.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Whoever has it writes.
    pub write: SigningKey,
    /// Whoever has it reads.
    pub read: SigningKey,
}

impl Keys {
    /// Draws fresh ones.
    pub fn draw(random: &mut (impl Random + ?Sized)) -> Self {
        Self { write: SigningKey::draw(random), read: SigningKey::draw(random) }
    }

    fn tag(&self) -> ReadTag {
        ReadTag::of(&self.read.public())
    }

    /// Returns the mailbox they govern.
    pub fn mailbox(&self) -> MailboxId {
        MailboxId::of(&self.write.public(), &self.tag())
    }

    /// Returns the slot they govern.
    pub fn slot(&self) -> SlotId {
        SlotId::of(&self.write.public(), &self.tag())
    }

    /// Proves the read key.
    pub fn prove(&self, scope: Scope) -> Frame {
        Frame::Prove(Prove::sign(scope, self.write.public(), &self.read, &EXPORTER))
    }

    /// Describes the mailbox or slot for a store.
    pub fn registration(&self, scope: Scope) -> Registration {
        Registration {
            scope,
            id: scope.id(&self.write.public(), &self.tag()),
            read_tag: self.tag(),
            parcels_max: None,
            bytes_max: None,
            audience: false,
            valid_hours: None,
            precision: Precision::SixHours,
            homes: Vec::new(),
        }
    }

    /// Signs a word for the slot.
    pub fn word(&self, version: u64) -> Word {
        Word::sign(&self.write, self.tag(), version, [9; 200])
    }
}

/// A closed parcel of one mark, with the key that governs it.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its key.
    pub key: SigningKey,
    /// Its header.
    pub header: Header,
    body: Vec<u8>,
    mark: Mark,
    chain: ([u8; 32], u32),
}

impl Sealed {
    /// Makes one of 600 bytes for a mailbox, under this parcel key.
    pub fn new(keys: &Keys, key: SigningKey, class: Class) -> Self {
        let body = vec![0x5a; 600];
        let header = Header::sign(class, &keys.write, keys.tag(), key.public(), Lifetime::DEFAULT, 600);
        let mut chain = MarkChain::new(&header);
        let mark = chain.sign(&key, &body, true);
        Self { key, header, body, mark, chain: chain.state() }
    }

    /// Returns its id.
    pub fn id(&self) -> ParcelId {
        self.header.id()
    }

    /// Puts it into a store, whole.
    pub async fn store_in(&self, store: &impl Store) {
        let opened = store.put(self.header.clone(), Travel::default()).await.expect("there is room");
        assert!(matches!(opened, Opened::Open(_)), "it is new");
        let extension = Extension {
            id: self.id(),
            mailbox: self.header.mailbox(),
            offset: 0,
            bytes: self.body.clone(),
            marks: vec![self.mark],
            chain: self.chain,
            closed: true,
        };
        assert!(store.extend(extension).await.expect("there is room").get().closed);
    }

    /// Returns what a device says that puts it.
    pub fn put(&self) -> Vec<Frame> {
        let header = *self.header.as_bytes();
        vec![
            Frame::Put(PutStart { transfer: 0, offset: 0, header, travel: Travel::default() }),
            Frame::Body { transfer: 0, offset: 0, bytes: self.body.clone() },
            Frame::Mark { transfer: 0, mark: self.mark },
        ]
    }
}

/// What a relay made of what it was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// What it said, in order, each piece on its lane.
    pub said: Vec<(Lane, Vec<u8>)>,
    /// What it asked of its store, in order, by name.
    pub asked: Vec<&'static str>,
    /// With which code it closed.
    pub closed: Option<Code>,
}

/// One session at a relay, that has been welcomed.
pub struct Visitor {
    session: RelaySession,
    now: Instant,
}

impl std::fmt::Debug for Visitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Visitor(..)")
    }
}

impl Visitor {
    /// Comes to a relay with this key and store, and shows these proofs.
    pub async fn come(store: &impl Store, relay: &SigningKey, proofs: &[Frame]) -> Self {
        let settings = open_relay::settings(relay, Epoch([3; 16]));
        let session = RelaySession::new(settings, WALL, EXPORTER);
        let mut visitor = Self { session, now: Instant::default().after(Duration::from_secs(60)) };
        visitor.says(store, &[Frame::Hello { lowest: 1, highest: 1, features: 0 }]).await;
        visitor.says(store, proofs).await;
        visitor
    }

    /// Says some frames and returns what comes of them. Frames of a transfer go on a lane of their own.
    pub async fn says(&mut self, store: &impl Store, frames: &[Frame]) -> Heard {
        let mut heard = Heard::default();
        self.collect(store, &mut heard).await;
        for frame in frames {
            let lane = match frame {
                Frame::Put(_) | Frame::Body { .. } | Frame::Mark { .. } => Lane::Transfer(0),
                _ => Lane::Control,
            };
            self.session.handle_input(self.now, Input::Received { lane, bytes: frame.encode() });
            self.collect(store, &mut heard).await;
        }
        heard
    }

    async fn collect(&mut self, store: &impl Store, heard: &mut Heard) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Transmit { lane, bytes, .. } => {
                    self.session.handle_input(self.now, Input::Flushed { bytes: bytes.len() });
                    heard.said.push((lane, bytes));
                }
                Output::Event(RelayEvent::Store { ticket, request }) => {
                    heard.asked.push(name(&request));
                    let reply = execute(store, request).await;
                    let command = RelayCommand::Store { ticket, reply, wall: WALL };
                    self.session.handle_input(self.now, Input::Command(command));
                }
                // Tickets are not waited for.
                Output::Event(_) => {}
                Output::Close { code } => heard.closed = Some(code),
            }
        }
    }
}

const fn name(request: &StoreRequest) -> &'static str {
    match request {
        StoreRequest::Register(_) => "register",
        StoreRequest::Put { .. } => "put",
        StoreRequest::Extend(_) => "extend",
        StoreRequest::Cut { .. } => "cut",
        StoreRequest::Withdraw { .. } => "withdraw",
        StoreRequest::List { .. } => "list",
        StoreRequest::Read { .. } => "read",
        StoreRequest::Release { .. } => "release",
        StoreRequest::PutWord { .. } => "put word",
        StoreRequest::Seen { .. } => "seen",
        StoreRequest::Drop { .. } => "drop",
    }
}

/// What is behind a door, and how it is knocked at.
struct Door {
    question: &'static str,
    behind: &'static str,
    proofs: Vec<Frame>,
    knock: Vec<Frame>,
    micros: Vec<f64>,
}

/// How long a relay took at one door, beside the first door of the same question.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// What was asked.
    pub question: &'static str,
    /// Of what.
    pub behind: &'static str,
    /// How often.
    pub samples: usize,
    /// Half of the answers took no longer, microseconds.
    pub median_micros: f64,
    /// Nine of ten took no longer, microseconds.
    pub p90_micros: f64,
    /// How probable it is that an answer here took longer than one at the first door; 0.5 tells nothing. Mann and Whitney's U over the
    /// product of the counts.
    pub longer: f64,
    /// How far that is from chance, in standard deviations of U: beyond ±3.3 once in a thousand by chance.
    pub deviations: f64,
}

/// Measures how long a relay takes at doors that must look alike: `samples` of each, in an order drawn from `seed`, over SQLite in the
/// system's folder for temporary files. Without a network: what is left on a real one is less.
///
/// # Errors
/// What the system says of the folder, or the store of its files.
pub fn measure_doors(samples: usize, seed: u64) -> std::io::Result<Vec<Measured>> {
    let directory = tempfile::tempdir()?;
    let random = &mut SystemRandom::new();
    let options = SqliteOptions {
        directory: directory.path().to_owned(),
        key: StoreKey::new(Secret::draw(random).0),
        limits: StoreLimits::default(),
        random: Box::new(SystemRandom::new()),
        space: None,
    };
    let store = SqliteStore::open(options).map_err(std::io::Error::other)?;
    let relay = SigningKey::draw(random);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut doors = runtime.block_on(doors(&store));
    let mut chance = Chance::new(seed);
    runtime.block_on(async {
        for round in 0..samples.saturating_add(WARM_UP) {
            let mut order: Vec<usize> = (0..doors.len()).collect();
            for place in (1..order.len()).rev() {
                let other = usize::try_from(chance.below(u64::try_from(place + 1).unwrap_or(1))).unwrap_or(0);
                order.swap(place, other);
            }
            for at in order {
                let door = &mut doors[at];
                let mut visitor = Visitor::come(&store, &relay, &door.proofs).await;
                let began = Moment::now();
                let heard = visitor.says(&store, &door.knock).await;
                let took = began.elapsed();
                assert!(!heard.said.is_empty(), "every door answers");
                if round >= WARM_UP {
                    door.micros.push(took.as_secs_f64() * 1e6);
                }
            }
        }
    });
    Ok(compared(&mut doors))
}

/// Rounds before anything counts.
const WARM_UP: usize = 50;

/// Lays out what is behind the doors.
async fn doors(store: &SqliteStore) -> Vec<Door> {
    let random = &mut SystemRandom::new();
    let [family, crowded, empty, gone, never, other] = [(); 6].map(|()| Keys::draw(random));
    for keys in [&family, &crowded, &empty, &gone, &other] {
        for scope in [Scope::Mailbox, Scope::Slot] {
            store.register(keys.registration(scope)).await.expect("there is room");
        }
    }
    let [waiting, collected] = [(); 2].map(|()| Sealed::new(&family, SigningKey::draw(random), Class::Voice));
    for note in [&waiting, &collected] {
        note.store_in(store).await;
    }
    store.release(family.mailbox(), vec![collected.id()]).await.expect("it is released");
    for _ in 0..1_000 {
        Sealed::new(&crowded, SigningKey::draw(random), Class::Voice).store_in(store).await;
    }
    store.put_word(family.word(1), None).await.expect("there is a slot");
    store.put_word(gone.word(1), None).await.expect("there is a slot");
    for scope in [Scope::Mailbox, Scope::Slot] {
        store.drop_scope(scope, gone.registration(scope).id).await.expect("it is dropped");
    }
    // A place that is there and was never used writes once when it is first asked for in a month: that has happened before.
    for keys in [&family, &crowded, &empty] {
        store.list(keys.mailbox()).await.expect("it is listed");
        store.seen(keys.slot()).await.expect("it is seen");
    }
    let mut doors = Vec::new();
    let mut door = |question, behind, proofs, knock| {
        doors.push(Door { question, behind, proofs, knock, micros: Vec::new() });
    };
    door("put again", "waits", Vec::new(), waiting.put());
    door("put again", "collected", Vec::new(), collected.put());
    let elsewhere = |note: &Sealed| Sealed::new(&other, note.key.clone(), Class::Voice).put();
    door("put under another mailbox", "waits", Vec::new(), elsewhere(&waiting));
    door("put under another mailbox", "collected", Vec::new(), elsewhere(&collected));
    let watch =
        |keys: &Keys| vec![Frame::Watch { mailbox: keys.mailbox(), live: false, more: false, held: Vec::new() }];
    let seen = |keys: &Keys| vec![Frame::SeenGet { request: 1, slot: keys.slot() }];
    let unproven = [(&never, "nothing"), (&family, "one note, a word"), (&crowded, "a thousand notes, no word")];
    for (keys, behind) in unproven {
        door("watch without the key", behind, Vec::new(), watch(keys));
    }
    for (keys, behind) in unproven {
        door("seen without the key", behind, Vec::new(), seen(keys));
    }
    for (keys, behind) in [(&never, "never was"), (&empty, "empty"), (&gone, "dropped")] {
        door("watch with the key", behind, vec![keys.prove(Scope::Mailbox)], watch(keys));
    }
    for (keys, behind) in [(&never, "never was"), (&empty, "empty"), (&gone, "taken back")] {
        door("seen with the key", behind, vec![keys.prove(Scope::Slot)], seen(keys));
    }
    doors
}

fn compared(doors: &mut [Door]) -> Vec<Measured> {
    for door in &mut *doors {
        door.micros.sort_by(f64::total_cmp);
    }
    let with_first = doors.iter().map(|door| {
        let first = doors.iter().find(|first| first.question == door.question).unwrap_or(door);
        let (longer, deviations) = rank_test(&first.micros, &door.micros);
        Measured {
            question: door.question,
            behind: door.behind,
            samples: door.micros.len(),
            median_micros: part(&door.micros, 2, 1),
            p90_micros: part(&door.micros, 10, 9),
            longer,
            deviations,
        }
    });
    with_first.collect()
}

/// The value below which `nth` of `parts` equal parts lie.
fn part(sorted: &[f64], parts: usize, nth: usize) -> f64 {
    sorted.get((sorted.len() * nth / parts).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Compares two sorted rows of numbers by rank: how probable it is that one of `second` is larger than one of `first`, equal ones counted
/// half, and how many standard deviations that is from a half (Mann and Whitney 1947, without a correction for ties).
fn rank_test(first: &[f64], second: &[f64]) -> (f64, f64) {
    let mut larger = 0.0;
    for value in second {
        let below = first.partition_point(|other| other < value);
        let not_above = first.partition_point(|other| other <= value);
        larger += count(below) + count(not_above - below) / 2.0;
    }
    let (all, both) = (count(first.len()) * count(second.len()), count(first.len() + second.len()));
    if all == 0.0 {
        return (0.5, 0.0);
    }
    (larger / all, (larger - all / 2.0) / (all * (both + 1.0) / 12.0).sqrt())
}

fn count(length: usize) -> f64 {
    f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}

/// Writes what was measured as a table.
pub fn doors_markdown(lines: &[Measured]) -> String {
    let mut table =
        "| asked | behind the door | median, µs | 90 % within, µs | takes longer than the first | deviations |\n\
                     |---|---|---:|---:|---:|---:|\n"
            .to_owned();
    for line in lines {
        let Measured { question, behind, median_micros, p90_micros, longer, deviations, .. } = line;
        table.push_str(&format!(
            "| {question} | {behind} | {median_micros:.1} | {p90_micros:.1} | {:.1} % | {deviations:+.1} |\n",
            longer * 100.0
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_alike_differ_by_chance_only_and_one_that_is_later_does_not() {
        let row = |offset: f64| (0..2_000).map(|number| f64::from(number * 7_919 % 2_003) + offset).collect::<Vec<_>>();
        let sorted = |mut row: Vec<f64>| {
            row.sort_by(f64::total_cmp);
            row
        };
        let (longer, deviations) = rank_test(&sorted(row(0.0)), &sorted(row(0.0)));
        assert!((longer - 0.5).abs() < 1e-9 && deviations.abs() < 1e-6);
        let (longer, deviations) = rank_test(&sorted(row(0.0)), &sorted(row(200.0)));
        assert!(longer > 0.55 && deviations > 3.3, "{longer} {deviations}");
        let (longer, _) = rank_test(&[1.0, 2.0], &[3.0, 4.0]);
        assert!((longer - 1.0).abs() < 1e-9);
    }
}

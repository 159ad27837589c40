//! A relay that has the key that devices pin, and lies: what a device believes of it, what it tells, and that nothing is lost for good.
//!
//! It is the real machine of a relay's session over a real store; what it asks of the store, and what it says to the device, pass through
//! the hands of whoever runs it. `docs/THREAT_MODEL.md` names each of these tests, and what remains.
#![allow(clippy::result_large_err, reason = "a request that is left alone is handed back whole")]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zajil_client::engine::api::{
    NoteMark, NoteView, Reply, Request, SeenView, StatusView, SyncView, Voice, Wait, WordState,
};
use zajil_client::engine::host::Host;
use zajil_net::{Clock, Connection, EndpointSecrets, ListenOptions, Listener, RelayIdentity, SystemRandom};
use zajil_proto::durable::Durable;
use zajil_proto::ids::{Epoch, MailboxId, SlotId};
use zajil_proto::keys::{Signature, SigningKey};
use zajil_proto::random;
use zajil_proto::session::custody::{StoreReply, StoreRequest};
use zajil_proto::session::relay::{RelayCommand, RelayEvent, RelaySession, RelaySettings};
use zajil_proto::session::{Input, Output, Session};
use zajil_proto::time::{Instant, Minute};
use zajil_proto::wire::{Frame, FrameBuffer, Observation, Precision, SeenAnswer};
use zajil_relay::store::{MemoryStore, execute};

use crate::{
    RELAY, World, ask, confirm, heard_voice, in_one_runtime, note, pair_by_link, seen, send, sync, voice, word,
};

/// What whoever runs the relay makes of it.
struct Crook {
    /// In place of each frame to a device.
    says: Box<dyn FnMut(Frame) -> Vec<Frame>>,
    /// In place of each request to the store: an answer, or another request.
    does: Box<dyn FnMut(StoreRequest) -> Result<StoreReply, StoreRequest>>,
}

impl Crook {
    fn who_says(says: impl FnMut(Frame) -> Vec<Frame> + 'static) -> Self {
        Self { says: Box::new(says), does: Box::new(Err) }
    }

    fn who_does(does: impl FnMut(StoreRequest) -> Result<StoreReply, StoreRequest> + 'static) -> Self {
        Self { says: Box::new(|frame| vec![frame]), does: Box::new(does) }
    }
}

type Shared = Rc<RefCell<Crook>>;

/// A relay's machine whose frames pass through the hands of a crook.
struct Tampered {
    session: RelaySession,
    crook: Shared,
    now: Instant,
}

impl Session for Tampered {
    type Command = RelayCommand;
    type Event = RelayEvent;

    fn handle_input(&mut self, now: Instant, input: Input<RelayCommand>) {
        self.now = now;
        self.session.handle_input(now, input);
    }

    fn poll_output(&mut self) -> Option<Output<RelayEvent>> {
        loop {
            return Some(match self.session.poll_output()? {
                Output::Transmit { lane, rank, bytes, end } => {
                    let mut frames = FrameBuffer::default();
                    frames.push(&bytes);
                    let mut said = Vec::new();
                    while let Ok(Some(frame)) = frames.next_frame() {
                        let changed = (self.crook.borrow_mut().says)(frame);
                        said.extend(changed.iter().flat_map(Frame::encode));
                    }
                    if said.is_empty() && !end {
                        // The machine waits until what it said has left.
                        self.session.handle_input(self.now, Input::Flushed { bytes: bytes.len() });
                        continue;
                    }
                    Output::Transmit { lane, rank, bytes: said, end }
                }
                other => other,
            });
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.session.wake_at()
    }

    fn lingers(&self) -> bool {
        self.session.lingers()
    }
}

async fn serve(
    connection: Connection,
    crook: Shared,
    store: MemoryStore,
    settings: RelaySettings,
    clock: Arc<dyn Clock>,
) {
    let session = match connection.exporter() {
        Some(exporter) => RelaySession::new(settings, clock.wall(), *exporter),
        None => RelaySession::early(settings, clock.wall()),
    };
    let tampered = Tampered { session, crook: Rc::clone(&crook), now: clock.now() };
    let (commands, commands_in) = mpsc::channel(64);
    let (events_out, mut events) = mpsc::channel(64);
    let driving = zajil_net::drive(connection, tampered, commands_in, events_out, Arc::clone(&clock));
    let serving = async move {
        while let Some(event) = events.recv().await {
            let command = match *event {
                RelayEvent::Store { ticket, request } => {
                    let done = (crook.borrow_mut().does)(request);
                    let reply = match done {
                        Ok(reply) => reply,
                        Err(request) => execute(&store, request).await,
                    };
                    RelayCommand::Store { ticket, reply, wall: clock.wall() }
                }
                RelayEvent::Redeem { .. } => RelayCommand::Redeemed { known: None },
                _ => continue,
            };
            let _gone = commands.send(Box::new(command)).await;
        }
    };
    let (_end, ()) = tokio::join!(driving, serving);
}

impl World {
    /// Whoever runs the relay stops it and runs a crooked one, with the same key, address and store, until this is aborted.
    async fn turn_crooked(&mut self, crook: Crook) -> JoinHandle<()> {
        let (stop, running) = self.relay.take().unwrap();
        stop.send(()).unwrap();
        running.await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let store = self.disk.clone().unwrap();
        store.restart().unwrap();
        let settings = zajil_tests::open_relay::settings(&self.key, zajil_relay::store::Store::epoch(&store));
        let clock: Arc<dyn Clock> = self.clock.clone();
        let network = self.network.machine(&[RELAY]);
        let (identity, secrets) =
            (RelayIdentity::new(&self.key).unwrap(), EndpointSecrets::draw(&mut SystemRandom::new()));
        let listen = [SocketAddr::from((RELAY, 443))];
        let options = ListenOptions { rng_seed: Some([8; 32]), ..ListenOptions::default() };
        let mut listener = Listener::bind(&*network, &clock, &identity, &secrets, &listen, &options).unwrap();
        let crook = Rc::new(RefCell::new(crook));
        tokio::task::spawn_local(async move {
            let mut sessions = tokio::task::JoinSet::new();
            while let Some(connection) = listener.accept().await {
                let (crook, store) = (Rc::clone(&crook), store.clone());
                sessions.spawn_local(serve(connection, crook, store, settings.clone(), Arc::clone(&clock)));
            }
        })
    }

    /// An honest relay in its place, with what is in the store, or with an empty one.
    async fn turn_honest(&mut self, crooked: JoinHandle<()>, keeps: bool) {
        crooked.abort();
        let _aborted = crooked.await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        if keeps {
            let disk = self.disk.clone().unwrap();
            disk.restart().unwrap();
            self.start_relay_on(disk);
        } else {
            self.start_relay();
        }
    }
}

/// Two who know each other, and whose devices have met an honest relay.
async fn two(world: &mut World) -> (Host, Host) {
    let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
    pair_by_link(&mut mother, &mut father).await;
    confirm(&mut mother, &mut father).await;
    for _ in 0..2 {
        sync(&mut mother).await;
        sync(&mut father).await;
    }
    (mother, father)
}

async fn inbox(host: &mut Host) -> Vec<NoteView> {
    let Reply::Notes(notes) = ask(host, Request::Inbox { all: true }).await else { panic!() };
    notes
}

async fn status(host: &mut Host) -> StatusView {
    let Reply::Status(view) = ask(host, Request::Status).await else { panic!() };
    view
}

async fn synced(host: &mut Host) -> SyncView {
    let Reply::Synced(view) = ask(host, Request::Sync { timeout_millis: 20_000 }).await else { panic!() };
    view
}

#[test]
fn a_relay_that_says_stored_and_keeps_nothing_gets_its_own_mark_and_no_other_and_the_note_goes_when_it_is_caught() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father) = two(&mut world).await;
        let crook = Crook::who_does(|request| match request {
            StoreRequest::Put { header, .. } => Ok(StoreReply::Stored(Durable::after_sync(header.id()))),
            other => Err(other),
        });
        let crooked = world.turn_crooked(crook).await;
        let spoken = voice(6);
        let Reply::Sent(sent) = ask(&mut mother, send("Father", spoken.clone(), Wait::Stored)).await else { panic!() };
        assert_eq!(sent.mark, NoteMark::AtRelay, "that is what the relay says");
        for _ in 0..3 {
            sync(&mut father).await;
            sync(&mut mother).await;
        }
        assert_eq!(note(&mut mother, sent.number).await, NoteMark::AtRelay, "nobody but the father makes it more");
        assert!(inbox(&mut father).await.is_empty());
        // Its operator is found out, or its disk is: the device still has the sealed note.
        world.turn_honest(crooked, false).await;
        for _ in 0..2 {
            sync(&mut father).await;
            sync(&mut mother).await;
        }
        sync(&mut father).await;
        let notes = inbox(&mut father).await;
        assert_eq!(notes.len(), 1);
        assert_eq!(heard_voice(&mut father, notes[0].number).await, spoken);
    });
}

/// Nothing was lost: at the next honest meeting the note is heard as it was spoken, and its sender knows that it came.
async fn assert_delivered(mother: &mut Host, father: &mut Host, sent: u32, spoken: &Voice) {
    sync(father).await;
    sync(mother).await;
    let notes = inbox(father).await;
    assert_eq!(heard_voice(father, notes[0].number).await, *spoken);
    assert_eq!(note(mother, sent).await, NoteMark::Delivered);
}

#[test]
fn a_relay_that_holds_everything_back_delays_and_loses_nothing() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father) = two(&mut world).await;
        let crook = Crook::who_does(|request| match request {
            StoreRequest::List { .. } => Ok(StoreReply::Waiting(Vec::new())),
            other => Err(other),
        });
        let crooked = world.turn_crooked(crook).await;
        let spoken = voice(6);
        let Reply::Sent(sent) = ask(&mut mother, send("Father", spoken.clone(), Wait::Stored)).await else { panic!() };
        for _ in 0..2 {
            sync(&mut father).await;
            sync(&mut mother).await;
        }
        assert!(inbox(&mut father).await.is_empty());
        assert_eq!(note(&mut mother, sent.number).await, NoteMark::AtRelay, "nobody is told that he has it");
        world.turn_honest(crooked, true).await;
        assert_delivered(&mut mother, &mut father, sent.number, &spoken).await;
    });
}

#[test]
fn a_relay_that_reorders_and_sends_again_what_was_released_shows_each_note_once_in_its_senders_order() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father) = two(&mut world).await;
        for seconds in 1..=9 {
            ask(&mut mother, send("Father", voice(seconds), Wait::Stored)).await;
        }
        let store = world.disk.clone().unwrap();
        let crook = Crook::who_does(move |request| match request {
            // *Released* is said, and nothing goes.
            StoreRequest::Release { ids, .. } => Ok(StoreReply::Released(Durable::after_sync(ids))),
            StoreRequest::List { mailbox } => {
                let StoreReply::Waiting(mut waiting) = at_once(execute(&store, StoreRequest::List { mailbox })) else {
                    panic!("a list is answered with one")
                };
                waiting.reverse();
                Ok(StoreReply::Waiting(waiting))
            }
            other => Err(other),
        });
        let _crooked = world.turn_crooked(crook).await;
        for _ in 0..4 {
            sync(&mut father).await;
        }
        let lengths: Vec<u32> = inbox(&mut father).await.iter().map(|note| note.duration_millis / 1_000).collect();
        assert_eq!(lengths, (1..=9).collect::<Vec<_>>());
    });
}

/// The store in memory answers at once here: a sync takes no time.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(work).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the store in memory waits for nothing"),
    }
}

#[test]
fn a_relay_that_lies_about_the_time_ends_no_notes_life_and_the_person_is_told_that_the_clocks_differ() {
    for years in [-10_i64, 10] {
        in_one_runtime(async {
            let mut world = World::new();
            let (mut mother, mut father) = two(&mut world).await;
            let crook = Crook::who_says(move |frame| match frame {
                Frame::Welcome(mut welcome) => {
                    let minute = i64::from(welcome.minute.0) + years * 365 * 24 * 60;
                    (welcome.minute, welcome.clock_trust) = (Minute(u32::try_from(minute).unwrap()), 2);
                    vec![Frame::Welcome(welcome)]
                }
                other => vec![other],
            });
            let crooked = world.turn_crooked(crook).await;
            let spoken = voice(6);
            let Reply::Sent(sent) = ask(&mut mother, send("Father", spoken.clone(), Wait::Stored)).await else {
                panic!()
            };
            for _ in 0..3 {
                sync(&mut mother).await;
                tokio::time::sleep(Duration::from_secs(3_600)).await;
            }
            assert_eq!(note(&mut mother, sent.number).await, NoteMark::AtRelay, "{years} years");
            let off = status(&mut mother).await.clock_off_minutes.unwrap();
            assert!(off.abs() > 9 * 365 * 24 * 60, "the person is told: {off} minutes");
            world.turn_honest(crooked, true).await;
            assert_delivered(&mut mother, &mut father, sent.number, &spoken).await;
        });
    }
}

#[test]
fn a_relay_that_changes_its_epoch_at_will_costs_bytes_and_loses_and_doubles_nothing() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father) = two(&mut world).await;
        let crook = Crook::who_says(|frame| match frame {
            Frame::Welcome(mut welcome) => {
                welcome.epoch = Epoch(random::bytes(&mut SystemRandom::new()));
                vec![Frame::Welcome(welcome)]
            }
            other => vec![other],
        });
        let crooked = world.turn_crooked(crook).await;
        let spoken = voice(6);
        let Reply::Sent(sent) = ask(&mut mother, send("Father", spoken.clone(), Wait::Device)).await else { panic!() };
        for _ in 0..4 {
            sync(&mut mother).await;
            sync(&mut father).await;
        }
        world.turn_honest(crooked, true).await;
        for _ in 0..2 {
            sync(&mut mother).await;
            sync(&mut father).await;
        }
        sync(&mut mother).await;
        let notes = inbox(&mut father).await;
        assert_eq!(notes.len(), 1);
        assert_eq!(heard_voice(&mut father, notes[0].number).await, spoken);
        assert_eq!(note(&mut mother, sent.number).await, NoteMark::Delivered);
    });
}

#[test]
fn a_relay_that_gives_one_mailboxs_parcels_for_anothers_is_shown_the_door_and_nobody_hears_what_is_not_theirs() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father) = two(&mut world).await;
        let mut aunt = world.person().0;
        let Reply::Invited { link, .. } = ask(&mut mother, Request::Invite { name: "Aunt".into() }).await else {
            panic!()
        };
        ask(&mut aunt, Request::Accept { name: "Mother".into(), link, in_person: false }).await;
        for _ in 0..3 {
            sync(&mut mother).await;
            sync(&mut aunt).await;
        }
        sync(&mut father).await;
        // What is put into whose mailbox is seen by whoever runs the relay.
        let mailboxes: Rc<RefCell<Vec<MailboxId>>> = Rc::default();
        let seen_there = Rc::clone(&mailboxes);
        let crook = Crook::who_does(move |request| {
            let mut known = seen_there.borrow_mut();
            match request {
                StoreRequest::Put { ref header, .. } if !known.contains(&header.mailbox()) => {
                    known.push(header.mailbox());
                    Err(request)
                }
                StoreRequest::List { mailbox } if known.len() == 2 && known.contains(&mailbox) => {
                    let other = known.iter().find(|other| **other != mailbox).copied().unwrap();
                    Err(StoreRequest::List { mailbox: other })
                }
                other => Err(other),
            }
        });
        let crooked = world.turn_crooked(crook).await;
        ask(&mut mother, send("Father", voice(3), Wait::Stored)).await;
        ask(&mut mother, send("Aunt", voice(4), Wait::Stored)).await;
        assert_eq!(mailboxes.borrow().len(), 2);
        let view = synced(&mut father).await;
        assert!(!view.finished || view.trouble.is_some(), "he is told that not all went well: {view:?}");
        assert!(inbox(&mut father).await.is_empty());
        world.turn_honest(crooked, true).await;
        sync(&mut father).await;
        let lengths: Vec<u32> = inbox(&mut father).await.iter().map(|note| note.duration_millis).collect();
        assert_eq!(lengths, [3_000]);
    });
}

async fn writes(host: &mut Host, text: &str) {
    let written = ask(host, word(WordState::Well, text)).await;
    assert!(matches!(written, Reply::WordWritten { stored: 1.., .. }), "{written:?}");
}

async fn text_seen(host: &mut Host) -> (Option<String>, SeenView) {
    let view = seen(host, 20_000).await;
    (view.word.as_ref().map(|word| word.text.clone()), view)
}

#[test]
fn a_relay_that_shows_an_older_word_or_none_is_not_believed_and_the_reader_is_told() {
    for shows_none in [false, true] {
        in_one_runtime(async {
            let mut world = World::new();
            let (mut mother, mut father) = two(&mut world).await;
            writes(&mut mother, "first").await;
            sync(&mut father).await;
            let first: Rc<RefCell<Option<SeenAnswer>>> = Rc::default();
            let remembered = Rc::clone(&first);
            let crook = Crook::who_says(move |frame| match frame {
                Frame::SeenAnswer(answer) if remembered.borrow().is_none() => {
                    *remembered.borrow_mut() = Some(answer.clone());
                    vec![Frame::SeenAnswer(answer)]
                }
                Frame::SeenAnswer(answer) if answer.version > 2 => {
                    let mut old = remembered.borrow().clone().unwrap();
                    old.request = answer.request;
                    if shows_none {
                        (old.version, old.sealed, old.signature) = (0, [0; 200], Signature::NONE);
                        old.observation = Observation::NONE;
                    }
                    vec![Frame::SeenAnswer(old)]
                }
                other => vec![other],
            });
            let crooked = world.turn_crooked(crook).await;
            assert_eq!(text_seen(&mut father).await.0.as_deref(), Some("first"));
            writes(&mut mother, "second").await;
            assert_eq!(text_seen(&mut father).await.0.as_deref(), Some("second"));
            writes(&mut mother, "third").await;
            let (text, view) = text_seen(&mut father).await;
            assert_eq!(text.as_deref(), Some("second"), "he keeps the newest that he has seen");
            assert!(view.relay_is_older, "and is told that the relay shows another");
            world.turn_honest(crooked, true).await;
            let (text, view) = text_seen(&mut father).await;
            assert_eq!((text.as_deref(), view.relay_is_older), (Some("third"), false));
        });
    }
}

/// What a crooked relay states about a word's arrival, from the true answer.
type Invented = fn(&SigningKey, &SlotId, &SeenAnswer) -> Observation;

#[test]
fn an_observation_that_the_pinned_relay_did_not_sign_for_this_slot_and_version_is_not_shown() {
    let invented: [(&str, Invented); 4] = [
        ("unsigned", |_, _, answer| Observation { signature: Signature::NONE, ..answer.observation }),
        ("another hour", |_, _, answer| {
            let mut hour = answer.observation.hour;
            hour.0 += 6;
            Observation { hour, ..answer.observation }
        }),
        ("another key", |_, slot, answer| {
            let key = SigningKey::draw(&mut SystemRandom::new());
            Observation::sign(&key, slot, answer.version, crate::START, Precision::SixHours)
        }),
        ("another slot", |key, _, answer| {
            Observation::sign(key, &SlotId([7; 16]), answer.version, crate::START, Precision::SixHours)
        }),
    ];
    for (what, invent) in invented {
        in_one_runtime(async {
            let mut world = World::new();
            let (mut mother, mut father) = two(&mut world).await;
            let key = world.key.clone();
            let asked: Rc<RefCell<SlotId>> = Rc::new(RefCell::new(SlotId([0; 16])));
            let slot = Rc::clone(&asked);
            let crook = Crook {
                says: Box::new(move |frame| match frame {
                    Frame::SeenAnswer(mut answer) if answer.version > 0 => {
                        answer.observation = invent(&key, &slot.borrow(), &answer);
                        vec![Frame::SeenAnswer(answer)]
                    }
                    other => vec![other],
                }),
                does: Box::new(move |request| {
                    if let StoreRequest::Seen { slot } = &request {
                        *asked.borrow_mut() = *slot;
                    }
                    Err(request)
                }),
            };
            let crooked = world.turn_crooked(crook).await;
            writes(&mut mother, "we are well").await;
            sync(&mut father).await;
            let (text, view) = text_seen(&mut father).await;
            assert_eq!(text.as_deref(), Some("we are well"), "the word itself is hers");
            assert_eq!(view.bucket, None, "{what}: no relay has told when it came");
            world.turn_honest(crooked, true).await;
            assert!(text_seen(&mut father).await.1.bucket.is_some(), "what an honest one signs is shown");
        });
    }
}

#[test]
fn a_relay_that_shows_one_reader_the_word_for_another_shows_nothing() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father) = two(&mut world).await;
        writes(&mut mother, "for the father").await;
        sync(&mut father).await;
        assert_eq!(text_seen(&mut father).await.0.as_deref(), Some("for the father"));
        // A word of the same owner's for somebody else: other keys, another slot.
        let crook = Crook::who_says(|frame| match frame {
            Frame::SeenAnswer(mut answer) => {
                (answer.version, answer.sealed) = (answer.version + 1, [9; 200]);
                vec![Frame::SeenAnswer(answer)]
            }
            other => vec![other],
        });
        let crooked = world.turn_crooked(crook).await;
        let (text, view) = text_seen(&mut father).await;
        assert_eq!(text.as_deref(), Some("for the father"));
        assert!(!view.fresh, "no relay has answered what could be believed");
        world.turn_honest(crooked, true).await;
        assert!(text_seen(&mut father).await.1.fresh);
    });
}

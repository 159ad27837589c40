//! Two devices without a relay between them: what one has sealed is put where the other keeps what came, in any order.

mod renewals;

use std::collections::BTreeSet;

use zajil_net::SystemRandom;
use zajil_proto::ids::{Epoch, ParcelId};
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::limits::CONTROL_UNACKNOWLEDGED_MAX;
use zajil_proto::parcel::MarkChain;
use zajil_proto::sealing::contents::Content;
use zajil_proto::sealing::{Address, HomeRelay};
use zajil_proto::session::client::{ClientCommand, ClientEvent};
use zajil_proto::time::{Instant, Lifetime, Minute};
use zajil_proto::wire::{Code, Welcome};

use super::api::{NoteMark, SeenPrecision, Voice, WaitReason, WordState};
use super::meeting::Meeting;
use super::model::{Cargo, Incoming, Outgoing, Profile, Stage};
use super::state::{Device, segment_key};
use super::words::Saying;
use crate::limits::{LATER_MINUTES_MAX, LATER_MINUTES_MIN, OFFERED_BYTES_MAX};
use crate::store::{Batch, Kind, MemoryStore};

/// 2026-11-20, 12:00 UTC.
const START: Minute = Minute(29_920_680);
const DAY: u32 = 24 * 60;
/// The only contact of each.
const OTHER: u32 = 0;

fn later(days: u32) -> Minute {
    Minute(START.0 + days * DAY)
}

fn device() -> Device {
    device_on(MemoryStore::new())
}

fn device_on(store: MemoryStore) -> Device {
    let key = SigningKey::from_seed(&Secret([1; 32])).public();
    let home = HomeRelay { key, address: Address::parse("relay.example:443").unwrap() };
    let profile = Profile::draw(&mut SystemRandom::new(), home, String::new());
    Device::create(Box::new(store), Box::new(SystemRandom::new()), profile).unwrap()
}

/// Puts one parcel that `from` has sealed where `to` keeps what came whole.
fn arrive(from: &Device, to: &mut Device, id: &ParcelId, batch: &mut Batch) {
    let sealed = from.sealed(id).unwrap().unwrap();
    let incoming = Incoming {
        contact: OTHER,
        mailbox: sealed.header.mailbox(),
        header: sealed.header.as_bytes().to_vec(),
        chain: MarkChain::new(&sealed.header).state(),
        held: u32::try_from(sealed.body.len()).unwrap(),
        closed: true,
        note: None,
    };
    to.incoming.insert(*id, incoming);
    batch.put(Kind::IncomingBody, &segment_key(id, 0), sealed.body);
}

/// Puts what `from` has sealed, and `which` fits, where `to` keeps what came whole. Returns it.
fn carry(from: &Device, to: &mut Device, which: impl Fn(&Cargo) -> bool) -> Vec<ParcelId> {
    let fitting = from.outgoing.iter().filter(|(_, outgoing)| which(&outgoing.cargo));
    let ids: Vec<ParcelId> = fitting.map(|(id, _)| *id).collect();
    for id in &ids {
        let mut batch = Batch::new();
        arrive(from, to, id, &mut batch);
        to.commit(batch).unwrap();
    }
    ids
}

/// Two devices that are paired as far as both need to speak: the second took up a link of the first.
fn pair() -> (Device, Device) {
    pair_of(device(), device())
}

fn pair_of(mut first: Device, mut second: Device) -> (Device, Device) {
    assert_eq!(first.invite("other", START).unwrap(), OTHER);
    let link = match &first.contacts[&OTHER].stage {
        Stage::Invited { inviter, .. } => inviter.link.to_text().to_string(),
        _ => panic!("invited a moment ago"),
    };
    assert_eq!(second.take_link("other", &link, false, START).unwrap(), OTHER);
    for id in carry(&first, &mut second, |cargo| *cargo == Cargo::Invitation) {
        let header = second.incoming[&id].header().unwrap();
        second.answer_invitation(OTHER, &id, &header, START).unwrap();
    }
    for id in carry(&second, &mut first, |cargo| *cargo == Cargo::Reply) {
        let header = first.incoming[&id].header().unwrap();
        first.take_reply(OTHER, &id, &header, START).unwrap();
    }
    (first, second)
}

fn say(device: &mut Device, millis: u32, now: Minute) -> u32 {
    say_for(device, millis, Lifetime::DEFAULT, now)
}

fn say_for(device: &mut Device, millis: u32, lifetime: Lifetime, now: Minute) -> u32 {
    say_packets(device, 17, millis, lifetime, now)
}

fn say_packets(device: &mut Device, packets: usize, millis: u32, lifetime: Lifetime, now: Minute) -> u32 {
    let packets = vec![vec![7; 80]; packets];
    let voice = Voice {
        codec: 4,
        toc: 0x5c,
        packets,
        duration_millis: millis,
        loudness: 19,
        waveform: [5; 24],
        complete: true,
    };
    device.send_voice(OTHER, &voice, lifetime, now).unwrap()
}

/// Opens all that came.
fn open_all(device: &mut Device, now: Minute) {
    let own = device.contacts[&OTHER].own.mailbox();
    let ids: Vec<ParcelId> = device.incoming.keys().copied().collect();
    device.take_frames(&own, true, now).unwrap();
    for id in ids {
        let is_note = device.incoming.get(&id).is_some_and(|incoming| incoming.closed);
        if is_note {
            device.take_note(&id, now).unwrap();
        }
    }
    device.unlock_notes(now).unwrap();
}

#[test]
fn notes_stand_in_their_senders_order_though_their_sessions_came_in_another() {
    let (mut reader, mut speaker) = pair();
    // Three sessions: one came with the reply, two follow in frames of their own.
    let said: Vec<u32> = (0..3).map(|week| say(&mut speaker, 1_000 + week, later(8 * week))).collect();
    carry(&speaker, &mut reader, |cargo| *cargo == Cargo::Note(said[0]));
    open_all(&mut reader, later(17));
    let frames = |lowest: u32| move |cargo: &Cargo| matches!(cargo, Cargo::Frame { number } if *number >= lowest);
    carry(&speaker, &mut reader, frames(1));
    carry(&speaker, &mut reader, |cargo| *cargo == Cargo::Note(said[2]));
    open_all(&mut reader, later(17));
    carry(&speaker, &mut reader, frames(0));
    carry(&speaker, &mut reader, |cargo| *cargo == Cargo::Note(said[1]));
    open_all(&mut reader, later(17));
    let views = reader.note_views(true).unwrap();
    assert!(views.iter().all(|view| view.mark == NoteMark::Delivered));
    let lengths: Vec<u32> = views.iter().map(|view| view.duration_millis).collect();
    assert_eq!(lengths, [1_000, 1_001, 1_002]);
}

#[test]
fn two_who_have_said_all_they_may_without_an_answer_still_answer_each_other() {
    let (mut first, mut second) = pair();
    let is_frame = |cargo: &Cargo| matches!(cargo, Cargo::Frame { .. });
    for (device, times) in [(&mut first, 50), (&mut second, 70)] {
        for _ in 0..times {
            let mut batch = Batch::new();
            device.tell(&mut batch, OTHER, &[Content::DigitsConfirmed], START).unwrap();
            device.commit(batch).unwrap();
        }
    }
    for round in 0..20 {
        carry(&first, &mut second, is_frame);
        carry(&second, &mut first, is_frame);
        for device in [&mut first, &mut second] {
            open_all(device, later(round));
            device.tell_what_is_due(later(round)).unwrap();
            let span = device.outgoing.values().filter(|outgoing| is_frame(&outgoing.cargo)).count();
            assert!(span <= CONTROL_UNACKNOWLEDGED_MAX, "{span} in round {round}");
        }
    }
    for device in [&first, &second] {
        let control = device.contacts[&OTHER].control.as_ref().unwrap();
        assert!(control.pending.is_empty(), "{} wait for an answer", control.pending.len());
    }
    let next = |device: &Device| device.contacts[&OTHER].control.as_ref().unwrap().next;
    let expected = |device: &Device| device.contacts[&OTHER].control.as_ref().unwrap().expected;
    // The last acknowledgement may still be on its way.
    assert!(next(&first) - expected(&second) <= 1 && next(&second) - expected(&first) <= 1);
}

#[test]
fn a_session_that_was_forgotten_leaves_its_place_to_no_other() {
    let (mut reader, mut speaker) = pair();
    for week in 0..2 {
        say(&mut speaker, 1_000 + week, later(8 * week));
        carry(&speaker, &mut reader, |cargo| matches!(cargo, Cargo::Note(_) | Cargo::Frame { .. }));
        open_all(&mut reader, later(8 * week));
    }
    let before: Vec<u32> = reader.note_views(true).unwrap().iter().map(|view| view.sequence).collect();
    reader.sessions.clear();
    say(&mut speaker, 1_002, later(60));
    let newest = speaker.outgoing.values().filter_map(|outgoing| match outgoing.cargo {
        Cargo::Frame { number } => Some(number),
        _ => None,
    });
    let newest = newest.max().unwrap();
    let last = *speaker.notes.keys().next_back().unwrap();
    carry(&speaker, &mut reader, |cargo| *cargo == Cargo::Frame { number: newest } || *cargo == Cargo::Note(last));
    open_all(&mut reader, later(60));
    let views = reader.note_views(true).unwrap();
    let newest = views.iter().find(|view| view.duration_millis == 1_002).unwrap();
    assert!(before.iter().all(|place| *place < newest.sequence), "{before:?} {}", newest.sequence);
}

/// The numbers of frames that are not acknowledged.
fn frames_of(device: &Device) -> BTreeSet<u32> {
    let number = |cargo: &Cargo| if let Cargo::Frame { number } = cargo { Some(*number) } else { None };
    device.outgoing.values().filter_map(|outgoing| number(&outgoing.cargo)).collect()
}

/// Has something said to `to` that takes a frame, and brings what is not `late`.
fn tell(from: &mut Device, to: &mut Device, round: u32, late: Option<u32>) {
    if round.is_multiple_of(2) {
        let saying = Saying { state: WordState::Well, text: "", tell_minute: false };
        from.set_seen(OTHER, SeenPrecision::Day, START).unwrap();
        from.write_word(&[OTHER], &saying, START).unwrap();
    } else {
        from.set_seen(OTHER, SeenPrecision::Off, START).unwrap();
    }
    from.tell_what_is_due(START).unwrap();
    carry(from, to, |cargo| matches!(cargo, Cargo::Frame { number } if Some(*number) != late));
    open_all(to, START);
}

#[test]
fn a_frame_that_comes_after_many_answers_still_opens() {
    let (mut speaker, mut reader) = pair();
    for device in [&mut speaker, &mut reader] {
        device.contacts.get_mut(&OTHER).unwrap().confirmed = true;
    }
    // What does not get there is the second session, without which the second note stays locked.
    say(&mut speaker, 1_000, START);
    let before = frames_of(&speaker);
    say(&mut speaker, 1_001, later(8));
    let late = *frames_of(&speaker).difference(&before).next().unwrap();
    for round in 0..12 {
        tell(&mut reader, &mut speaker, round, None);
        tell(&mut speaker, &mut reader, round, Some(late));
    }
    tell(&mut speaker, &mut reader, 0, None);
    carry(&speaker, &mut reader, |cargo| matches!(cargo, Cargo::Note(_)));
    open_all(&mut reader, START);
    let marks: Vec<NoteMark> = reader.note_views(true).unwrap().iter().map(|view| view.mark).collect();
    assert_eq!(marks, [NoteMark::Delivered; 2]);
    // What was put off meanwhile follows.
    tell(&mut reader, &mut speaker, 0, None);
    tell(&mut speaker, &mut reader, 1, None);
    let control = speaker.contacts[&OTHER].control.as_ref().unwrap();
    assert!(control.pending.is_empty());
    assert_eq!(reader.contacts[&OTHER].control.as_ref().unwrap().expected, control.next);
}

#[test]
fn a_slot_that_was_taken_back_before_its_grant_came_is_not_asked_about() {
    let (mut owner, mut reader) = pair();
    let tell = |owner: &mut Device, seen| owner.set_seen(OTHER, seen, START).unwrap();
    owner.contacts.get_mut(&OTHER).unwrap().confirmed = true;
    let saying = Saying { state: WordState::Well, text: "", tell_minute: false };
    owner.write_word(&[OTHER], &saying, START).unwrap();
    tell(&mut owner, SeenPrecision::Off);
    let frame = |number: u32| move |cargo: &Cargo| *cargo == Cargo::Frame { number };
    let numbers = owner.outgoing.values().filter_map(|outgoing| match outgoing.cargo {
        Cargo::Frame { number } => Some(number),
        _ => None,
    });
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    for number in numbers.iter().rev() {
        carry(&owner, &mut reader, frame(*number));
        open_all(&mut reader, START);
    }
    assert!(reader.contacts[&OTHER].granted.is_none());
    owner.write_word(&[OTHER], &saying, START).unwrap();
    carry(&owner, &mut reader, |cargo| matches!(cargo, Cargo::Frame { .. }));
    open_all(&mut reader, START);
    assert!(reader.contacts[&OTHER].granted.is_some(), "a later one counts");
}

#[test]
fn what_a_relay_says_of_a_slot_that_was_taken_back_meanwhile_is_no_fresh_news() {
    let (mut owner, mut reader) = pair();
    let comes = |owner: &Device, reader: &mut Device| {
        carry(owner, reader, |cargo| matches!(cargo, Cargo::Frame { .. }));
        open_all(reader, START);
        reader.readable_slot(OTHER)
    };
    owner.contacts.get_mut(&OTHER).unwrap().confirmed = true;
    let saying = Saying { state: WordState::Well, text: "", tell_minute: false };
    owner.write_word(&[OTHER], &saying, START).unwrap();
    let slot = comes(&owner, &mut reader);
    assert!(slot.is_some());
    assert!(reader.seen(OTHER, slot, START).unwrap().fresh);
    assert!(!reader.seen(OTHER, None, START).unwrap().fresh);
    owner.set_seen(OTHER, SeenPrecision::Off, START).unwrap();
    assert_eq!(comes(&owner, &mut reader), None);
    let view = reader.seen(OTHER, slot, START).unwrap();
    assert!(!view.granted && !view.fresh);
}

#[test]
fn a_note_that_is_here_is_shown_whole_while_its_parcel_comes_again() {
    let (mut reader, mut speaker) = pair();
    say(&mut speaker, 1_000, START);
    carry(&speaker, &mut reader, |cargo| matches!(cargo, Cargo::Note(_) | Cargo::Frame { .. }));
    open_all(&mut reader, START);
    let before = reader.note_views(true).unwrap()[0].progress;
    for id in carry(&speaker, &mut reader, |cargo| matches!(cargo, Cargo::Note(_))) {
        let again = reader.incoming.get_mut(&id).unwrap();
        (again.closed, again.held) = (false, 5);
    }
    assert_eq!(reader.note_views(true).unwrap()[0].progress, before);
}

/// A device whose note may wait for a day, and what its relay says of that note in one meeting after the other.
struct Waiting {
    device: Device,
    note: u32,
    parcel: ParcelId,
    /// By how much its clock is wrong, minutes.
    own_off: i64,
    /// By how much the relay's is.
    relay_off: i64,
}

/// What a relay says of a parcel on offer.
#[derive(PartialEq)]
enum Says {
    Nothing,
    Unfinished,
    Stored,
}

impl Waiting {
    fn new() -> Self {
        let (mut device, _) = pair();
        let note = say_for(&mut device, 1_000, Lifetime::from_hours(24).unwrap(), START);
        let mut carrying = device.outgoing.iter().filter(|(_, outgoing)| outgoing.cargo == Cargo::Note(note));
        let parcel = *carrying.next().unwrap().0;
        Self { device, note, parcel, own_off: 0, relay_off: 0 }
    }

    /// Meets the relay; it says this, and that is all. Returns what the note's sender sees then.
    fn meet(&mut self, hour: u32, epoch: u8, says: &[Says]) -> NoteMark {
        let clock = |off: i64| Minute(u32::try_from(i64::from(START.0 + hour * 60) + off).unwrap());
        let (now, at) = (clock(self.own_off), Instant::from_millis(u64::from(hour) * 3_600_000));
        let mut meeting = Meeting::new(self.device.profile.home.clone(), None);
        meeting.connected(&self.device, now, at);
        let welcome = Welcome {
            version: 1,
            features: 0,
            epoch: Epoch([epoch; 16]),
            minute: clock(self.relay_off),
            clock_trust: 1,
            next_visit_minutes: 0,
            parcel_bytes_max: u32::MAX,
            lifetime_hours_max: u16::MAX,
        };
        meeting.take(&mut self.device, ClientEvent::Welcomed(welcome), now, at).unwrap();
        meeting.expire(&mut self.device, now, at).unwrap();
        meeting.plan(&self.device, &BTreeSet::new(), at, now).unwrap();
        for said in says {
            let event = match said {
                Says::Nothing => continue,
                Says::Unfinished => ClientEvent::Progress { id: self.parcel, durable: 0 },
                Says::Stored => ClientEvent::Stored { id: self.parcel },
            };
            meeting.take(&mut self.device, event, now, at).unwrap();
            meeting.expire(&mut self.device, now, at).unwrap();
        }
        meeting.keep(&mut self.device).unwrap();
        self.device.notes[&self.note].mark
    }

    fn outgoing(&mut self) -> &mut Outgoing {
        self.device.outgoing.get_mut(&self.parcel).unwrap()
    }

    /// Looks for the relay, says what waits, and gives up: with a connection that brings no answer, or without one.
    fn miss(&mut self, hour: u32, connects: bool) {
        let (now, at) = (Minute(START.0 + hour * 60), Instant::from_millis(u64::from(hour) * 3_600_000));
        let mut meeting = Meeting::new(self.device.profile.home.clone(), None);
        meeting.plan(&self.device, &BTreeSet::new(), at, now).unwrap();
        if connects {
            meeting.connected(&self.device, now, at);
        }
        meeting.keep(&mut self.device).unwrap();
    }
}

#[test]
fn a_note_does_not_age_while_a_relay_is_looked_for_in_vain() {
    // Met at hour 30, where the answer is lost, and heard an hour later: stored at hour 30, unless it can have left before.
    for (connects, mark) in [(false, NoteMark::AtRelay), (true, NoteMark::Expired)] {
        let mut waiting = Waiting::new();
        waiting.meet(0, 1, &[]);
        waiting.outgoing().perhaps = None;
        waiting.miss(1, connects);
        waiting.meet(30, 1, &[]);
        assert_eq!(waiting.meet(31, 1, &[Says::Stored]), mark, "connected: {connects}");
    }
}

#[test]
fn a_note_that_a_relay_has_from_a_copy_put_in_place_is_as_old_as_it_was() {
    let mut waiting = Waiting::new();
    assert_eq!(waiting.meet(0, 1, &[Says::Unfinished, Says::Stored]), NoteMark::AtRelay);
    assert_eq!(waiting.meet(20, 2, &[Says::Stored]), NoteMark::AtRelay);
    assert_eq!(waiting.meet(23, 2, &[]), NoteMark::AtRelay);
    assert_eq!(waiting.meet(24, 2, &[]), NoteMark::Expired);
}

#[test]
fn a_note_that_a_relay_lost_and_has_again_begins_its_day_anew() {
    let mut heard = Waiting::new();
    heard.meet(0, 1, &[Says::Unfinished, Says::Stored]);
    heard.meet(20, 2, &[Says::Unfinished, Says::Stored]);
    assert_eq!(heard.meet(43, 2, &[]), NoteMark::AtRelay);
    assert_eq!(heard.meet(44, 2, &[]), NoteMark::Expired);
    // The relay had it again, and its answer did not get here.
    for unheard in [&[Says::Unfinished][..], &[Says::Nothing]] {
        let mut waiting = Waiting::new();
        waiting.meet(0, 1, &[Says::Unfinished, Says::Stored]);
        waiting.meet(20, 2, unheard);
        assert_eq!(waiting.meet(23, 2, &[Says::Stored]), NoteMark::AtRelay);
        assert_eq!(waiting.meet(43, 2, &[]), NoteMark::AtRelay);
        assert_eq!(waiting.meet(44, 2, &[]), NoteMark::Expired);
    }
}

#[test]
fn a_device_that_stops_while_a_relay_gets_again_what_it_lost_ends_its_day_no_sooner() {
    let mut waiting = Waiting::new();
    waiting.meet(0, 1, &[Says::Unfinished, Says::Stored]);
    waiting.meet(20, 2, &[Says::Unfinished]);
    waiting.device.reload().unwrap();
    assert_eq!(waiting.meet(21, 2, &[Says::Stored]), NoteMark::AtRelay);
    assert_eq!(waiting.meet(43, 2, &[]), NoteMark::AtRelay);
}

#[test]
fn whoever_hears_after_a_day_in_the_dark_that_a_note_was_stored_is_told_at_once_that_its_time_is_over() {
    let mut waiting = Waiting::new();
    waiting.meet(0, 1, &[Says::Nothing]);
    assert_eq!(waiting.meet(30, 1, &[Says::Stored]), NoteMark::Expired);
}

#[test]
fn a_clock_that_is_set_back_in_the_dark_keeps_nothing_from_a_program_that_ran_all_the_while() {
    let dark = |own: i64, relay: i64, restarts: bool| {
        let mut waiting = Waiting::new();
        waiting.meet(0, 1, &[Says::Nothing]);
        (waiting.own_off, waiting.relay_off) = (own * i64::from(DAY), relay * i64::from(DAY));
        if restarts {
            waiting.device.reload().unwrap();
        }
        waiting.meet(30, 1, &[Says::Stored])
    };
    for (own, relay) in [(0, 0), (-18, 0), (0, -18), (-18, -18), (18, -18)] {
        assert_eq!(dark(own, relay, false), NoteMark::Expired, "{own} {relay}");
    }
    assert_eq!(dark(0, 0, true), NoteMark::Expired);
    assert_eq!(dark(-18, 0, true), NoteMark::AtRelay, "no two clocks agree that a day has passed");
}

#[test]
fn clocks_that_are_ahead_end_no_lifetime_alone() {
    for (own, relay) in [(365, 0), (0, 365), (365, -365), (-365, 365)] {
        let mut waiting = Waiting::new();
        waiting.meet(0, 1, &[Says::Unfinished, Says::Stored]);
        (waiting.own_off, waiting.relay_off) = (own * i64::from(DAY), relay * i64::from(DAY));
        assert_eq!(waiting.meet(23, 1, &[]), NoteMark::AtRelay, "{own} {relay}");
        (waiting.own_off, waiting.relay_off) = (0, 0);
        assert_eq!(waiting.meet(23, 1, &[]), NoteMark::AtRelay, "{own} {relay}");
        assert_eq!(waiting.meet(24, 1, &[]), NoteMark::Expired, "{own} {relay}");
    }
}

/// Seed 16 of the mixture: a phone held 29 MB of notes for its relay, because those that it had refused before did not count.
#[test]
fn no_more_is_on_offer_at_once_because_the_relay_had_no_time_for_it_before() {
    let (mut device, _) = pair();
    for _ in 0..22 {
        // Ten minutes.
        say_packets(&mut device, 10_000, 600_000, Lifetime::DEFAULT, START);
    }
    for outgoing in device.outgoing.values_mut() {
        outgoing.waits = Some(WaitReason::Busy);
    }
    let mut meeting = Meeting::new(device.profile.home.clone(), None);
    let (first, at_first) = offers(&mut meeting, &device);
    assert!((OFFERED_BYTES_MAX..OFFERED_BYTES_MAX + 1_000_000).contains(&at_first), "{at_first}");
    assert_eq!(offers(&mut meeting, &device), (Vec::new(), 0), "none of it is settled");
    // What is refused makes room for others, until it is offered again itself.
    let refused = *first.iter().max_by_key(|id| device.outgoing[id].length).unwrap();
    meeting.refused(&mut device, &refused, Code::BUSY).unwrap();
    let (next, bytes) = offers(&mut meeting, &device);
    assert!(!next.contains(&refused) && (1..1_000_000).contains(&bytes), "{bytes}");
}

/// What a meeting puts on offer now, and how many bytes that are.
fn offers(meeting: &mut Meeting, device: &Device) -> (Vec<ParcelId>, u64) {
    let commands = meeting.plan(device, &BTreeSet::new(), Instant::from_millis(1_000), START).unwrap();
    let offered = commands.into_iter().filter_map(|command| match command {
        ClientCommand::Offer(offer) => Some((offer.parcel.header.id(), offer.parcel.body.len() as u64)),
        _ => None,
    });
    offered.fold((Vec::new(), 0), |(mut ids, sum), (id, bytes)| {
        ids.push(id);
        (ids, sum + bytes)
    })
}

#[test]
fn what_is_told_later_is_told_at_a_time_that_nobody_can_count_back_from() {
    let (mut device, _) = pair();
    let mut dues = BTreeSet::new();
    for _ in 0..200 {
        device.contacts.get_mut(&OTHER).unwrap().due = None;
        device.owe(OTHER, false, START);
        dues.insert(device.contacts[&OTHER].due.unwrap().0 - START.0);
    }
    let (first, last) = (*dues.first().unwrap(), *dues.last().unwrap());
    assert!(first >= LATER_MINUTES_MIN && last < LATER_MINUTES_MAX);
    // 200 draws of 1 380 minutes: fewer than 120 different ones, or none in a tenth at either end, come once in a million runs.
    assert!(dues.len() > 120, "{} different times", dues.len());
    assert!(first < LATER_MINUTES_MIN + 138 && last > LATER_MINUTES_MAX - 138, "{first} to {last}");
}

#[test]
fn what_waited_for_room_takes_no_receipts_along_that_are_not_due() {
    let (mut speaker, mut reader) = pair();
    reader.contacts.get_mut(&OTHER).unwrap().confirmed = true;
    let is_frame = |cargo: &Cargo| matches!(cargo, Cargo::Frame { .. });
    for _ in 0..CONTROL_UNACKNOWLEDGED_MAX + 20 {
        let mut batch = Batch::new();
        reader.tell(&mut batch, OTHER, &[Content::DigitsConfirmed], START).unwrap();
        reader.commit(batch).unwrap();
    }
    let note = say(&mut speaker, 1_000, START);
    carry(&speaker, &mut reader, |cargo| *cargo == Cargo::Note(note) || is_frame(cargo));
    open_all(&mut reader, START);
    let state = |device: &Device| {
        let contact = &device.contacts[&OTHER];
        (contact.owed.len(), contact.control.as_ref().unwrap().pending.len())
    };
    let (owed, before) = state(&reader);
    assert!(owed == 1 && before > 0, "a receipt is owed, and {before} wait for room");
    // The answer makes room in the same minute; what waited leaves, and tells nobody that the note came just now.
    carry(&reader, &mut speaker, is_frame);
    open_all(&mut speaker, START);
    speaker.tell_what_is_due(Minute(START.0 + LATER_MINUTES_MAX)).unwrap();
    carry(&speaker, &mut reader, is_frame);
    open_all(&mut reader, START);
    reader.tell_what_is_due(START).unwrap();
    let (owed, after) = state(&reader);
    assert!(after < before, "{after} still wait for room");
    assert_eq!(owed, 1);
    reader.tell_what_is_due(Minute(START.0 + LATER_MINUTES_MAX)).unwrap();
    assert_eq!(state(&reader).0, 0, "it is due by then");
}

#[test]
fn somebody_who_is_forgotten_leaves_nothing_behind() {
    let (mut speaker, mut reader) = pair();
    let note = say(&mut speaker, 1_000, START);
    carry(&speaker, &mut reader, |cargo| *cargo == Cargo::Note(note) || matches!(cargo, Cargo::Frame { .. }));
    open_all(&mut reader, START);
    say(&mut reader, 2_000, START);
    for device in [&mut speaker, &mut reader] {
        device.forget(OTHER).unwrap();
        let left = Kind::ALL.iter().filter(|kind| **kind != Kind::Profile && device.store.count(**kind).unwrap() > 0);
        assert_eq!(left.collect::<Vec<_>>(), [&Kind::Relay; 0]);
        assert!(device.notes.is_empty() && device.sessions.is_empty() && device.contacts.is_empty());
    }
}

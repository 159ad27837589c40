//! Requests, repeated and refused.

use std::collections::BTreeSet;

use zajil_proto::durable::Durable;
use zajil_proto::ids::RelayHash;
use zajil_proto::limits::{UNANSWERED_BYTES_MAX, UNSAVED_REST_MILLIS};
use zajil_proto::parcel::{Class, Home, Travel};
use zajil_proto::session::client::{
    Asked, ClientCommand, ClientEvent, ClientSession, ClientSettings, HeldState, Offer, Registering, Room,
};
use zajil_proto::session::relay::{Admission, Counter};
use zajil_proto::session::{Input, Lane, Output, Session};
use zajil_proto::time::{Age, Instant, Lifetime};
use zajil_proto::wire::{Code, Frame, Precision, PutState, Scope};

use crate::by_hand::{EXPORTER, welcome};
use crate::world::{Owner, Transport, World, offer, parcel_key};

fn answers(world: &World, link: usize) -> Vec<(Asked, Code)> {
    let mut answers = Vec::new();
    for event in &world.links[link].events {
        if let ClientEvent::Answered { asked, code } = event {
            answers.push((*asked, *code));
        }
    }
    answers
}

fn refusals(world: &World, link: usize) -> Vec<Code> {
    let mut codes = Vec::new();
    for event in &world.links[link].events {
        if let ClientEvent::Refused { code, .. } = event {
            codes.push(*code);
        }
    }
    codes
}

fn withdraw(owner: &Owner, number: u8) -> ClientCommand {
    ClientCommand::Withdraw { write_key: owner.write.public(), read_tag: owner.tag(), parcel_key: parcel_key(number) }
}

#[test]
fn a_request_that_is_repeated_changes_nothing() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    let reader = world.reader(&owner, true);
    let note = owner.parcel(1, Class::Voice, 9_000, 8_000);
    let sender = world.device();
    for _ in 0..3 {
        let link = world.connect(sender);
        world.command(link, offer(&note, 0));
        world.command(link, withdraw(&owner, 9));
        world.command(link, ClientCommand::Finish);
        world.run();
        assert!(world.links[link].events.contains(&ClientEvent::Stored { id: note.header.id() }));
        assert_eq!(world.links[link].client_closed, Some(Code::OK));
    }
    assert!(world.events(reader).iter().any(|event| matches!(event, ClientEvent::Arriving { .. })));
    for _ in 0..3 {
        world.command(reader, owner.prove(Scope::Mailbox));
        world.command(reader, owner.register(Scope::Mailbox));
        world.command(reader, owner.watch(true));
        world.release_whole(reader, &owner);
        world.run();
    }
    assert_eq!(world.links[reader].client_closed, None);
    assert!(!world.events(reader).iter().any(|event| matches!(event, ClientEvent::Arriving { .. })));
    assert!(world.store.parcels.is_empty());
}

#[test]
fn a_writer_cannot_tell_a_note_that_was_collected_from_one_that_waits() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    world.mailbox(&owner);
    let note = owner.parcel(1, Class::Voice, 9_000, 8_000);
    let sender = world.device();
    let mut told = Vec::new();
    for collected in [false, true] {
        if collected {
            let reader = world.reader(&owner, false);
            world.release_whole(reader, &owner);
            world.run();
            assert!(world.store.parcels.is_empty());
        } else {
            let first = world.connect(sender);
            world.command(first, offer(&note, 0));
            world.run();
        }
        let link = world.connect(sender);
        world.command(link, offer(&note, 9_000));
        world.run();
        told.push((world.events(link), world.delivered(link)));
    }
    assert_eq!(told[0], told[1]);
}

#[test]
fn what_an_author_withdraws_is_gone_and_stays_gone() {
    for transport in [Transport::Quic, Transport::Tcp] {
        let (mut world, owner) = (World::new(transport), Owner::new(1));
        world.mailbox(&owner);
        let note = owner.parcel(1, Class::Voice, 200_000, 8_000);
        let sender = world.device();
        let link = world.connect(sender);
        world.command(link, offer(&note, 0));
        for _ in 0..40 {
            world.step();
        }
        world.command(link, withdraw(&owner, 1));
        world.command(link, ClientCommand::Finish);
        world.run();
        let id = note.header.id();
        assert_eq!(answers(&world, link), [(Asked::Withdraw { id }, Code::OK)]);
        assert_eq!(world.links[link].client_closed, Some(Code::OK));
        let again = world.connect(sender);
        world.command(again, offer(&note, 0));
        world.run();
        assert!(world.links[again].events.contains(&ClientEvent::Stored { id }));
        let reader = world.reader(&owner, false);
        assert!(world.devices[world.links[reader].device].inbox.is_empty());
    }
}

#[test]
fn from_an_audience_mailbox_nobody_releases() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    let device = world.device();
    let link = world.connect(device);
    let registering = Registering { room: Room::Audience, ..owner.registering(Scope::Mailbox) };
    world.command(link, owner.prove(Scope::Mailbox));
    world.command(link, ClientCommand::Register(Box::new(registering)));
    world.command(link, owner.watch(true));
    world.run();
    let note = owner.parcel(1, Class::Voice, 9_000, 8_000);
    let sender = world.device();
    let sending = world.connect(sender);
    world.command(sending, offer(&note, 0));
    world.run();
    world.release_whole(link, &owner);
    world.run();
    let released = ClientEvent::Released { mailbox: owner.mailbox(), ids: vec![note.header.id()] };
    assert!(world.links[link].events.contains(&released), "it is answered");
    assert!(world.store.parcels.contains_key(&note.header.id()), "and kept");
    let other = world.reader(&owner, false);
    assert!(world.devices[world.links[other].device].inbox[&note.header.id()].closed);
}

#[test]
fn a_mailbox_that_is_not_proven_looks_empty_and_keeps_what_it_has() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    world.mailbox(&owner);
    let note = owner.parcel(1, Class::Voice, 9_000, 8_000);
    let device = world.device();
    let sending = world.connect(device);
    world.command(sending, offer(&note, 0));
    world.run();

    let (known, unknown) = (owner.mailbox(), Owner::new(50).mailbox());
    let mut told = Vec::new();
    // Of what comes in one piece, a device is not told that a mailbox is drained which the next frame says is gone.
    world.portion = 1;
    for mailbox in [known, unknown] {
        let requests = world.store.requests;
        let link = world.connect(device);
        let ids = vec![Durable::after_sync(note.header.id())];
        world.command(link, ClientCommand::Watch { mailbox, live: false, held: Vec::new() });
        world.command(link, ClientCommand::Release { mailbox, ids });
        world.command(link, ClientCommand::Drop { scope: Scope::Mailbox, id: mailbox.0 });
        world.command(link, ClientCommand::Finish);
        world.run();
        let kinds: Vec<_> = world.events(link).iter().map(std::mem::discriminant).collect();
        told.push((kinds.len(), world.delivered(link), world.store.requests - requests));
        assert_eq!(world.links[link].client_closed, Some(Code::OK));
    }
    assert_eq!(told[0], told[1], "same answers, same sizes, same questions to the store");
    assert!(world.store.parcels.contains_key(&note.header.id()));
    assert!(world.store.mailboxes.contains_key(&known.0));
}

#[test]
fn only_whoever_proves_the_key_and_knows_the_code_may_register() {
    let mut world = World::new(Transport::Quic);
    world.settings.admission = Admission::Code("zeitun".into());
    let owner = Owner::new(1);
    let device = world.device();
    let link = world.connect(device);
    let with = |admission: &str| {
        let admission = admission.to_owned();
        ClientCommand::Register(Box::new(Registering { admission, ..owner.registering(Scope::Mailbox) }))
    };
    world.command(link, with("zeitun"));
    world.command(link, owner.prove(Scope::Mailbox));
    for shown in ["", "zeitu", "zeituns", "Zeitun", "zeitun"] {
        world.command(link, with(shown));
    }
    world.run();
    let codes: Vec<Code> = answers(&world, link).into_iter().map(|(_, code)| code).collect();
    let refused = Code::NOT_ADMITTED;
    // The store's answer comes behind those the session gives by itself.
    assert_eq!(codes, [Code::NOT_HERE, refused, refused, refused, refused, Code::OK]);
    assert!(world.links[link].counters.contains(&Counter::Registered(Code::NOT_ADMITTED)));
    assert_eq!(world.store.mailboxes.len(), 1);
}

#[test]
fn a_dropped_mailbox_is_gone_with_all_in_it() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    let reader = world.reader(&owner, true);
    let device = world.device();
    let sending = world.connect(device);
    world.command(sending, offer(&owner.parcel(1, Class::Voice, 50_000, 8_000), 0));
    for _ in 0..60 {
        world.step();
    }
    let id = owner.mailbox().0;
    world.command(reader, ClientCommand::Drop { scope: Scope::Mailbox, id });
    world.command(reader, ClientCommand::Finish);
    world.run();
    assert_eq!(answers(&world, reader).last(), Some(&(Asked::Drop { scope: Scope::Mailbox, id }, Code::OK)));
    assert_eq!(world.links[reader].client_closed, Some(Code::OK));
    assert!(world.store.mailboxes.is_empty() && world.store.parcels.is_empty());
    assert!(world.links[reader].watched.is_empty());
}

#[test]
fn what_a_relay_does_not_take_is_refused_with_its_reason_and_the_session_goes_on() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    world.settings.parcel_bytes_max = 10_000;
    world.settings.lifetime_hours_max = 30 * 24;
    world.mailbox(&owner);
    let device = world.device();
    let link = world.connect(device);

    let long = owner.parcel(1, Class::Voice, 10_001, 8_000);
    let mut old = owner.parcel(2, Class::Voice, 100, 8_000);
    old.header = zajil_proto::parcel::Header::sign(
        Class::Voice,
        &owner.write,
        owner.tag(),
        parcel_key(2).public(),
        Lifetime::LONGEST,
        100,
    );
    let late = Offer {
        parcel: owner.parcel(3, Class::Voice, 100, 8_000),
        travel: Travel { home: Home::default(), age: Age(30 * 24 * 60) },
        from: 0,
        opens_waiting: false,
        age: 0,
        turn: 0,
        refused_before: false,
    };
    let elsewhere = Owner::new(60).parcel(4, Class::Voice, 100, 8_000);
    world.command(link, offer(&long, 0));
    world.command(link, offer(&old, 0));
    world.command(link, ClientCommand::Offer(Box::new(late)));
    world.command(link, offer(&elsewhere, 0));
    let mut growing = owner.open_parcel(5);
    growing.body = vec![1; 8_000];
    world.command(link, offer(&growing, 0));
    world.run();
    let mut codes = refusals(&world, link);
    codes.sort();
    assert_eq!(codes, [Code::NOT_HERE, Code::TOO_LONG, Code::LIFETIME, Code::LIFETIME]);

    // A live note that outgrows the relay.
    let id = growing.header.id();
    growing.marks = crate::world::marks(&growing.header, 5, &growing.body, 8_000, false);
    world.command(link, ClientCommand::Extend { id, bytes: Vec::new(), marks: growing.marks.clone() });
    world.command(link, ClientCommand::Extend { id, bytes: vec![1; 3_000], marks: Vec::new() });
    world.run();
    assert!(world.links[link].events.contains(&ClientEvent::Refused { id, code: Code::TOO_LONG }));

    for code in [Code::MAILBOX_FULL, Code::RELAY_FULL, Code::BUSY, Code::OVER] {
        world.store.refuse.push(code);
        let note = owner.parcel(u8::try_from(code.0).unwrap() + 100, Class::Text, 600, 8_000);
        world.command(link, offer(&note, 0));
        world.run();
        assert_eq!(refusals(&world, link).last(), Some(&code));
        assert!(world.links[link].counters.contains(&Counter::ParcelRefused(code)));
        world.command(link, offer(&note, 0));
        world.run();
        assert!(world.links[link].events.contains(&ClientEvent::Stored { id: note.header.id() }), "later it is taken");
    }
    assert_eq!(world.links[link].relay_closed, None);
}

#[test]
fn a_parcel_for_this_relay_by_name_is_taken_as_for_this_relay() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    world.mailbox(&owner);
    let device = world.device();
    let link = world.connect(device);
    let parcel = owner.parcel(1, Class::Text, 600, 8_000);
    let home = Home(RelayHash::of(&world.settings.relay_key.public()));
    let travel = Travel { home, age: Age(5) };
    let offer =
        Offer { parcel: parcel.clone(), travel, from: 0, opens_waiting: false, age: 0, turn: 0, refused_before: false };
    world.command(link, ClientCommand::Offer(Box::new(offer)));
    world.run();
    let stored = world.store.parcels[&parcel.header.id()].travel;
    assert_eq!(stored, Travel { home: Home::default(), age: Age(5) });
}

#[test]
fn a_device_that_holds_much_says_so_in_several_frames_and_gets_only_what_is_new() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    world.mailbox(&owner);
    let device = world.device();
    let link = world.connect(device);
    let mut held = Vec::new();
    for number in 0..250_u8 {
        let parcel = owner.parcel(number, Class::Control, 512, 8_192);
        held.push((parcel.header.id(), HeldState::Whole));
        world.command(link, offer(&parcel, 0));
    }
    world.run();
    assert_eq!(world.store.parcels.len(), 250);
    // Ids of parcels that are long gone, before those that are there: the list needs three frames.
    let gone = (0..400_u16).map(|n| {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&n.to_be_bytes());
        (zajil_proto::ids::ParcelId(id), HeldState::Whole)
    });
    let new = held.pop().unwrap().0;
    let held = gone.chain(held).collect();
    let reader = world.device();
    let reading = world.connect(reader);
    world.command(reading, owner.prove(Scope::Mailbox));
    world.command(reading, ClientCommand::Watch { mailbox: owner.mailbox(), live: false, held });
    world.command(reading, ClientCommand::Finish);
    world.run();
    assert_eq!(world.devices[reader].inbox.keys().copied().collect::<Vec<_>>(), [new]);
    assert_eq!(world.links[reading].client_closed, Some(Code::OK));
}

#[test]
fn precision_and_homes_may_be_changed_by_registering_again() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    let device = world.device();
    let link = world.connect(device);
    world.command(link, owner.prove(Scope::Slot));
    for precision in [Precision::SixHours, Precision::Off] {
        let registering = Registering { precision, ..owner.registering(Scope::Slot) };
        world.command(link, ClientCommand::Register(Box::new(registering)));
        world.run();
        assert_eq!(world.store.slots[&owner.slot().0].0.precision, precision);
    }
}

/// The notes whose bytes a device sends before the relay says how far it is with any of them, and how many bytes these are.
fn leaves_unanswered(offers: impl IntoIterator<Item = ClientCommand>) -> (usize, usize) {
    let now = Instant::from_millis(5);
    let mut machine = ClientSession::new(ClientSettings::default(), EXPORTER);
    let bytes = Frame::Welcome(welcome(1)).encode();
    machine.handle_input(now, Input::Received { lane: Lane::Control, bytes });
    for offer in offers {
        machine.handle_input(now, Input::Command(offer));
    }
    leaves(&mut machine)
}

/// How many transfers a device sends bytes of until it waits, and how many bytes.
fn leaves(machine: &mut ClientSession) -> (usize, usize) {
    let (mut lanes, mut sent) = (BTreeSet::new(), 0);
    while let Some(output) = machine.poll_output() {
        if let Output::Transmit { lane: Lane::Transfer(transfer), bytes, .. } = output {
            lanes.insert(transfer);
            sent += bytes.len();
            machine.handle_input(Instant::from_millis(5), Input::Flushed { bytes: bytes.len() });
        }
    }
    (lanes.len(), sent)
}

/// A telephone with many notes on a thin link sent the beginnings of six in every link, and heard of none before it went
/// (simulated storm 7).
#[test]
fn many_notes_together_send_little_before_the_relay_says_how_far_they_are() {
    let owner = Owner::new(1);
    let notes: Vec<_> = (1..=6).map(|number| owner.parcel(number, Class::Voice, 40_000, 8_000)).collect();
    let least = usize::try_from(UNANSWERED_BYTES_MAX).unwrap();
    let (_, sent) = leaves_unanswered(notes.iter().map(|note| offer(note, 0)));
    assert!((least..2 * least + 1_000).contains(&sent), "{sent} bytes of new notes");
    let (asked, sent) = leaves_unanswered(notes.iter().take(1).map(|note| offer(note, 16_384)));
    assert_eq!(asked, 1);
    assert!(sent < 2_000, "{sent} bytes of a note that was under way before");
}

/// A relay with a little room opened every parcel and refused its bytes, again and again (simulated disks 247).
#[test]
fn of_a_note_that_was_refused_a_little_leaves_until_the_relay_keeps_some_of_it() {
    let (owner, now) = (Owner::new(1), Instant::from_millis(5));
    let note = owner.parcel(1, Class::Voice, 40_000, 8_000);
    let ClientCommand::Offer(mut again) = offer(&note, 0) else { panic!("an offer") };
    again.refused_before = true;
    let mut machine = ClientSession::new(ClientSettings::default(), EXPORTER);
    let hears = |machine: &mut ClientSession, frame: Frame| {
        machine.handle_input(now, Input::Received { lane: Lane::Control, bytes: frame.encode() });
        leaves(machine).1
    };
    hears(&mut machine, Frame::Welcome(welcome(1)));
    machine.handle_input(now, Input::Command(ClientCommand::Offer(again)));
    assert!((1_024..2_000).contains(&leaves(&mut machine).1));
    let open = |durable| Frame::PutAnswer { id: note.header.id(), state: PutState::Open, durable };
    assert_eq!(hears(&mut machine, open(0)), 0, "it was opened, and may be refused yet");
    assert_eq!(hears(&mut machine, open(0)), 0);
    assert!(hears(&mut machine, open(1_024)) > 30_000, "some of it is kept: the rest leaves as ever");
    // The relay has room again: all of it gets there.
    let mut world = World::new(Transport::Quic);
    world.mailbox(&owner);
    let device = world.device();
    let link = world.connect(device);
    let ClientCommand::Offer(mut again) = offer(&note, 0) else { panic!("an offer") };
    again.refused_before = true;
    world.command(link, ClientCommand::Offer(again));
    world.run();
    world.pass(UNSAVED_REST_MILLIS);
    assert!(world.links[link].events.contains(&ClientEvent::Stored { id: note.header.id() }));
}

//! A note on its way: up, down, cut anywhere, resumed.

use zajil_proto::parcel::{Class, SealedParcel};
use zajil_proto::session::client::{ClientCommand, ClientEvent};
use zajil_proto::session::relay::{Counter, RelayCommand};
use zajil_proto::wire::{Code, Scope};

use crate::link::Budget;
use crate::world::{Owner, Transport, World, body, marks, offer};

fn assert_stored(world: &World, parcel: &SealedParcel) {
    let row = &world.store.parcels[&parcel.header.id()];
    assert!(row.closed && row.body == parcel.body && row.marks == parcel.marks, "the relay has it byte for byte");
}

fn assert_kept(world: &World, device: usize, parcel: &SealedParcel) {
    let kept = &world.devices[device].inbox[&parcel.header.id()];
    assert!(kept.closed && kept.body == parcel.body && kept.marks == parcel.marks, "the device has it byte for byte");
}

#[test]
fn a_note_travels_to_a_reader_who_was_offline() {
    for transport in Transport::ALL {
        let (mut world, owner) = (World::new(transport), Owner::new(1));
        world.mailbox(&owner);
        let note = owner.parcel(1, Class::Voice, 30_000, 8_000);

        let sender = world.device();
        let link = world.connect(sender);
        world.command(link, offer(&note, 0));
        world.command(link, ClientCommand::Finish);
        world.run();
        assert_stored(&world, &note);
        assert!(world.links[link].events.contains(&ClientEvent::Stored { id: note.header.id() }));
        assert_eq!(world.links[link].client_closed, Some(Code::OK));

        let reader = world.reader(&owner, false);
        assert_kept(&world, world.links[reader].device, &note);
        assert_eq!(world.links[reader].events.last(), Some(&ClientEvent::Drained { mailbox: owner.mailbox() }));
        world.release_whole(reader, &owner);
        world.run();
        assert!(world.store.parcels.is_empty());
    }
}

#[test]
fn stored_is_not_said_before_the_store_has_said_durable() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    world.mailbox(&owner);
    let note = owner.parcel(1, Class::Voice, 3_000, 8_000);
    let sender = world.device();
    let link = world.connect(sender);
    world.store_is_slow = true;
    world.command(link, offer(&note, 0));
    world.run();
    world.pass(5_000);
    let answered = |event: &ClientEvent| matches!(event, ClientEvent::Stored { .. } | ClientEvent::Progress { .. });
    assert!(!world.links[link].events.iter().any(answered));
    world.store_is_slow = false;
    world.run();
    assert!(world.links[link].events.contains(&ClientEvent::Stored { id: note.header.id() }));
}

#[test]
fn a_note_can_be_heard_while_it_is_still_being_spoken() {
    for transport in Transport::ALL {
        let (mut world, owner) = (World::new(transport), Owner::new(1));
        let reader = world.reader(&owner, true);
        let device = world.links[reader].device;
        let sender = world.device();
        let link = world.connect(sender);
        let mut note = owner.open_parcel(7);
        world.command(link, offer(&note, 0));
        let (whole, id) = (body(7, 20_480), note.header.id());
        let all_marks = marks(&note.header, 7, &whole, 2_048, true);
        for (part, mark) in whole.chunks(2_048).zip(&all_marks) {
            let (bytes, marks) = (part.to_vec(), vec![*mark]);
            note.body.extend_from_slice(part);
            note.marks.push(*mark);
            world.command(link, ClientCommand::Extend { id, bytes, marks });
            world.run();
            assert_eq!(world.devices[device].inbox[&id].body, note.body, "every word arrives as it is spoken");
        }
        assert_kept(&world, device, &note);
        assert!(world.links[link].events.contains(&ClientEvent::Stored { id }));
        // Two drained mailboxes at least: when nothing waited, and after the note.
        let drained = world.links[reader].events.iter().filter(|event| matches!(event, ClientEvent::Drained { .. }));
        assert!(drained.count() >= 2);
    }
}

#[test]
fn an_unmarked_tail_is_durable_after_a_second_and_passed_on() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    let reader = world.reader(&owner, true);
    let sender = world.device();
    let link = world.connect(sender);
    let mut note = owner.open_parcel(7);
    note.body = body(7, 3_000);
    world.command(link, offer(&note, 0));
    world.run();
    let id = note.header.id();
    assert_eq!(world.devices[sender].durable[&id], 0);
    world.pass(999);
    assert_eq!(world.devices[sender].durable[&id], 0);
    world.pass(1);
    assert_eq!(world.devices[sender].durable[&id], 3_000);
    let kept = &world.devices[world.links[reader].device].inbox[&id];
    assert_eq!((kept.body.len(), kept.chain.1), (3_000, 0));
}

/// Places to cut at: around every frame's beginning and end, and across the whole in steps.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    let edges = [0, 1, 2, 11, 12, 13, 190, 191, 192, 193, 194, 195].into_iter();
    edges.chain((200..length + 3_000).step_by(173))
}

#[test]
fn an_upload_goes_on_where_it_was_cut_wherever_that_is() {
    for transport in Transport::ALL {
        for cut in cuts(20_000) {
            let (mut world, owner) = (World::new(transport), Owner::new(1));
            world.mailbox(&owner);
            let note = owner.parcel(1, Class::Voice, 20_000, 7_000);
            let id = note.header.id();
            let sender = world.device();
            let first = world.connect(sender);
            world.links[first].up.budget = Budget::of_bytes(cut);
            world.command(first, offer(&note, 0));
            world.run();
            world.cut(first);
            world.run();

            let kept = world.store.parcels.get(&id).map_or(0, |row| row.body.len());
            let lost = cut.min(20_000).saturating_sub(kept);
            assert!(lost < 2_048 + 700, "a cut after {cut} bytes loses {lost}: at most a frame, and what frames it");
            let second = world.connect(sender);
            let from = world.devices[sender].durable.get(&id).copied().unwrap_or(0);
            world.command(second, offer(&note, from));
            world.command(second, ClientCommand::Finish);
            world.run();
            assert_stored(&world, &note);
            assert_eq!(world.links[second].client_closed, Some(Code::OK), "cut after {cut}");
        }
    }
}

#[test]
fn a_delivery_goes_on_where_it_was_cut_wherever_that_is() {
    for transport in Transport::ALL {
        for cut in cuts(20_000) {
            let (mut world, owner) = (World::new(transport), Owner::new(1));
            world.mailbox(&owner);
            let note = owner.parcel(1, Class::Voice, 20_000, 7_000);
            let sender = world.device();
            let link = world.connect(sender);
            world.command(link, offer(&note, 0));
            world.run();

            let reader = world.device();
            let first = world.connect(reader);
            world.links[first].down.budget = Budget::of_bytes(cut);
            world.command(first, owner.prove(Scope::Mailbox));
            world.command(first, owner.watch(true));
            world.run();
            world.cut(first);
            let kept = world.devices[reader].inbox.get(&note.header.id()).map_or(0, |kept| kept.body.len());
            assert!(cut.min(20_000).saturating_sub(kept) < 2_048 + 700, "a cut after {cut} bytes keeps {kept}");

            let second = world.connect(reader);
            let held = world.devices[reader].held(owner.mailbox());
            world.command(second, owner.prove(Scope::Mailbox));
            world.command(second, ClientCommand::Watch { mailbox: owner.mailbox(), live: false, held });
            world.command(second, ClientCommand::Finish);
            world.run();
            assert_kept(&world, reader, &note);
            assert_eq!(world.links[second].client_closed, Some(Code::OK), "cut after {cut}");
            assert!(world.delivered(second).1 < 20_000 - kept + 1_000, "nothing is sent twice");
        }
    }
}

#[test]
fn two_links_that_bring_the_same_note_at_once_agree_on_it() {
    for seed in 0..40 {
        let (mut world, owner) = (World::seeded(Transport::Quic, seed), Owner::new(1));
        world.mailbox(&owner);
        let note = owner.parcel(1, Class::Voice, 60_000, 8_000);
        let sender = world.device();
        let old = world.connect(sender);
        world.command(old, offer(&note, 0));
        for _ in 0..world.draw(60) {
            world.step();
        }
        let new = world.connect(sender);
        world.command(new, offer(&note, 0));
        world.run();
        world.pass(2_000);
        for link in [old, new] {
            if world.links[link].client_closed.is_some() {
                let again = world.connect(sender);
                world.command(again, offer(&note, 0));
                world.run();
            }
        }
        assert_stored(&world, &note);
    }
}

#[test]
fn many_notes_share_a_link_and_all_arrive() {
    for transport in Transport::ALL {
        let (mut world, owner) = (World::new(transport), Owner::new(1));
        world.mailbox(&owner);
        let sender = world.device();
        let link = world.connect(sender);
        let classes = [Class::Voice, Class::Control, Class::Text, Class::Voice];
        let notes: Vec<SealedParcel> = (0..120_u8)
            .map(|number| {
                let class = classes[usize::from(number) % classes.len()];
                let length = if class == Class::Voice { 9_000 + usize::from(number) * 100 } else { 512 };
                owner.parcel(number, class, length, 8_192)
            })
            .collect();
        for note in &notes {
            world.command(link, offer(note, 0));
        }
        world.run();
        let stored = world.links[link].counters.iter().filter(|counter| **counter == Counter::ParcelStored).count();
        assert_eq!(stored, notes.len());

        let reader = world.reader(&owner, false);
        for note in &notes {
            assert_kept(&world, world.links[reader].device, note);
        }
        let delivered = world.links[reader].counters.iter().filter(|counter| **counter == Counter::ParcelDelivered);
        assert_eq!(delivered.count(), notes.len());
    }
}

#[test]
fn sessions_and_text_overtake_voice_and_every_note_begins_before_one_ends() {
    let (mut world, owner) = (World::new(Transport::Tcp), Owner::new(1));
    world.mailbox(&owner);
    let sender = world.device();
    let link = world.connect(sender);
    let voices: Vec<SealedParcel> = (0..5).map(|n| owner.parcel(n, Class::Voice, 40_000, 8_192)).collect();
    let text = owner.parcel(20, Class::Text, 700, 8_192);
    let control = owner.parcel(21, Class::Control, 512, 8_192);
    for parcel in voices.iter().chain([&text, &control]) {
        world.command(link, offer(parcel, 0));
    }
    world.run();

    let reader = world.reader(&owner, false);
    let mut order = Vec::new();
    for event in &world.links[reader].events {
        match event {
            ClientEvent::Arriving { header, .. } => order.push((header.class(), "begins")),
            ClientEvent::Body(arrived) if arrived.closed => {
                let inbox = &world.devices[world.links[reader].device].inbox;
                order.push((inbox[&arrived.id].header.class(), "ends"));
            }
            _ => {}
        }
    }
    let first_voice_end = order.iter().position(|step| *step == (Class::Voice, "ends")).unwrap();
    let last_voice_begin = order.iter().rposition(|step| *step == (Class::Voice, "begins")).unwrap();
    assert!(last_voice_begin < first_voice_end, "{order:?}");
    assert_eq!((order[0].0, order[0].1), (Class::Control, "begins"));
    let text_begins = order.iter().position(|step| *step == (Class::Text, "begins")).unwrap();
    assert!(order[..text_begins].iter().all(|(class, _)| *class == Class::Control || *class == Class::Voice));
    assert!(text_begins < order.iter().position(|step| *step == (Class::Voice, "begins")).unwrap());
}

#[test]
fn a_relay_that_stops_keeps_and_answers_what_came_and_says_so() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    world.mailbox(&owner);
    let sender = world.device();
    let link = world.connect(sender);
    let mut note = owner.open_parcel(7);
    note.body = body(7, 3_000);
    world.command(link, offer(&note, 0));
    world.run();
    world.relay_command(link, RelayCommand::Drain);
    world.run();
    assert_eq!(world.devices[sender].durable[&note.header.id()], 3_000);
    assert_eq!(world.links[link].relay_closed, Some(Code::DRAINING));
    let closed = ClientEvent::Closed { code: Code::DRAINING, by_relay: true };
    assert_eq!(world.links[link].events.last(), Some(&closed));
}

#[test]
fn a_session_that_says_nothing_ends_after_two_minutes_and_one_that_watches_does_not() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    let watching = world.reader(&owner, true);
    let device = world.device();
    let silent = world.connect(device);
    world.run();
    world.pass(119_999);
    assert_eq!(world.links[silent].relay_closed, None);
    world.pass(1);
    assert_eq!(world.links[silent].relay_closed, Some(Code::IDLE));
    world.pass(3_600_000);
    assert_eq!(world.links[watching].relay_closed, None);
}

#[test]
fn regression_bytes_that_lost_a_race_with_an_older_session_are_offered_to_the_store_again() {
    let (mut world, owner) = (World::new(Transport::Tcp), Owner::new(1));
    world.mailbox(&owner);
    let sender = world.device();
    let mut note = owner.open_parcel(7);
    let id = note.header.id();
    world.store_is_slow = true;
    for length in [1_000, 3_000] {
        // The relay has not noticed that the older link is gone, and holds what came of it.
        let link = world.connect(sender);
        note.body = body(7, length);
        world.command(link, offer(&note, 0));
        world.run();
    }
    world.store_is_slow = false;
    world.run();
    // The older session makes its tail durable first; the newer one finds out, and what it has beyond rests once more.
    world.pass(1_000);
    world.pass(1_000);
    assert_eq!(world.devices[sender].durable[&id], 3_000);
    assert_eq!(world.store.parcels[&id].body, note.body);
}

#[test]
fn regression_a_drained_for_a_burst_is_not_taken_for_the_end_of_a_later_watch() {
    for steps in 0..120 {
        let (mut world, owner) = (World::seeded(Transport::Tcp, steps), Owner::new(1));
        let reader = world.reader(&owner, true);
        let sender = world.device();
        let link = world.connect(sender);
        world.command(link, offer(&owner.parcel(1, Class::Text, 700, 700), 0));
        for _ in 0..steps {
            world.step();
        }
        world.command(reader, owner.watch(false));
        world.run();
        assert_eq!(world.links[reader].client_closed, None, "after {steps} steps");
        assert!(matches!(world.links[reader].events.last(), Some(ClientEvent::Drained { .. })));
    }
}

#[test]
fn regression_what_comes_in_one_piece_is_told_in_the_order_it_came() {
    // Growth of a note ends one transfer and begins another; both may be in one piece of a byte stream.
    for seed in 0..60 {
        let (mut world, owner) = (World::seeded(Transport::Tcp, seed), Owner::new(1));
        let reader = world.reader(&owner, true);
        world.portion = 60_000;
        let sender = world.device();
        let link = world.connect(sender);
        let mut note = owner.open_parcel(7);
        let (whole, id) = (body(7, 24_000), note.header.id());
        let all_marks = marks(&note.header, 7, &whole, 2_000, true);
        world.command(link, offer(&note, 0));
        for (part, mark) in whole.chunks(2_000).zip(&all_marks) {
            note.body.extend_from_slice(part);
            note.marks.push(*mark);
            world.command(link, ClientCommand::Extend { id, bytes: part.to_vec(), marks: vec![*mark] });
            for _ in 0..world.draw(6) {
                world.step();
            }
        }
        world.run();
        assert_kept(&world, world.links[reader].device, &note);
    }
}

#[test]
fn a_device_that_believes_more_is_durable_than_is_goes_back_in_the_same_session() {
    for transport in Transport::ALL {
        for (held, believed) in [(0, 5_000), (0, 20_000), (3_000, 12_345), (9_000, 20_000)] {
            let (mut world, owner) = (World::new(transport), Owner::new(1));
            world.mailbox(&owner);
            let note = owner.parcel(1, Class::Voice, 20_000, 3_000);
            let sender = world.device();
            let before = world.connect(sender);
            let mut part = note.clone();
            part.body.truncate(held);
            part.marks.retain(|mark| usize::try_from(mark.end).unwrap() <= held);
            world.command(before, offer(&part, 0));
            world.run();
            world.cut(before);
            let link = world.connect(sender);
            world.command(link, offer(&note, believed));
            world.command(link, ClientCommand::Finish);
            world.run();
            assert_stored(&world, &note);
            assert_eq!(world.links[link].client_closed, Some(Code::OK), "{held} held, {believed} believed");
        }
    }
}

#[test]
fn a_mark_that_was_cut_off_from_its_bytes_is_brought_again() {
    // The relay calls 4 096 bytes durable before their mark has come; the device hears it, and the link breaks.
    let mut without_mark = 0;
    for cut in (4_200..4_600).step_by(7) {
        let (mut world, owner) = (World::new(Transport::Tcp), Owner::new(1));
        world.mailbox(&owner);
        let note = owner.parcel(1, Class::Voice, 20_000, 4_096);
        let sender = world.device();
        let first = world.connect(sender);
        world.links[first].up.budget = Budget::of_bytes(cut);
        world.command(first, offer(&note, 0));
        world.run();
        world.cut(first);
        world.run();
        let second = world.connect(sender);
        let from = world.devices[sender].durable[&note.header.id()];
        without_mark += u32::from(from == 4_096 && world.store.parcels[&note.header.id()].marks.is_empty());
        world.command(second, offer(&note, from));
        world.command(second, ClientCommand::Finish);
        world.run();
        assert_stored(&world, &note);
        assert_eq!(world.links[second].client_closed, Some(Code::OK), "cut after {cut}, {from} durable");
    }
    assert!(without_mark > 0, "some cut falls between the bytes and their mark");
}

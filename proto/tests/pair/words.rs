//! Last words, buckets, and "when were they last seen?" (P7, P8.14, P8.15).

use zajil_proto::keys::Signature;
use zajil_proto::session::client::{Asked, ClientCommand, ClientEvent, Registering};
use zajil_proto::session::relay::Counter;
use zajil_proto::time::{Hour, Minute};
use zajil_proto::wire::{
    Code, LinkReport, LinkState, LinkStatus, Observation, Precision, SEALED_WORD_BYTES, Scope, Word,
};

use crate::world::{Owner, Transport, World, relay_key};

fn word(owner: &Owner, version: u64) -> Word {
    let filling = u8::try_from(version).unwrap();
    Word::sign(&owner.write, owner.tag(), version, [filling; SEALED_WORD_BYTES])
}

fn put(world: &mut World, link: usize, owner: &Owner, version: u64, live: bool) {
    let write_key = live.then(|| owner.write.clone());
    world.command(link, ClientCommand::PutWord { word: word(owner, version), write_key });
    world.run();
    let asked = Asked::Word { slot: owner.slot(), version };
    assert!(world.links[link].events.contains(&ClientEvent::Answered { asked, code: Code::OK }));
}

fn seen(world: &mut World, link: usize, owner: &Owner) -> (Option<Word>, Option<Observation>) {
    world.command(link, ClientCommand::GetSeen { slot: owner.slot() });
    world.run();
    match world.events(link).pop() {
        Some(ClientEvent::Seen { slot, word, observation, .. }) => {
            assert_eq!(slot, owner.slot());
            (word.map(|word| *word), observation.map(|observation| *observation))
        }
        other => panic!("asked for what was seen, got {other:?}"),
    }
}

/// A world with a registered slot, and its owner's link.
fn slot(precision: Precision) -> (World, Owner, usize) {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    let device = world.device();
    let link = world.connect(device);
    world.command(link, owner.prove(Scope::Slot));
    let registering = Registering { precision, ..owner.registering(Scope::Slot) };
    world.command(link, ClientCommand::Register(Box::new(registering)));
    world.run();
    (world, owner, link)
}

#[test]
fn the_bucket_moves_only_for_a_higher_version_on_its_owners_own_connection() {
    let (mut world, owner, link) = slot(Precision::SixHours);
    world.wall = Minute(60 * 100 + 59);
    put(&mut world, link, &owner, 1, true);
    let first = Observation::sign(&relay_key(), &owner.slot(), 1, Minute(60 * 96), Precision::SixHours);
    assert_eq!(seen(&mut world, link, &owner), (Some(word(&owner, 1)), Some(first)));
    assert_eq!((first.hour, first.version), (Hour(96), 1));
    assert!(first.is_signed_by(&relay_key().public(), &owner.slot()));

    // The same word again, hours later: nothing moves.
    world.wall = Minute(60 * 120);
    put(&mut world, link, &owner, 1, true);
    assert_eq!(seen(&mut world, link, &owner), (Some(word(&owner, 1)), Some(first)));

    // A newer word that somebody else passes on: the word counts, the bucket stays.
    let friend = world.device();
    let passing = world.connect(friend);
    put(&mut world, passing, &owner, 2, false);
    assert_eq!(seen(&mut world, link, &owner), (Some(word(&owner, 2)), Some(first)));
    assert!(world.links[passing].counters.contains(&Counter::WordPut(false)));

    // An older word from the owner: nothing moves.
    put(&mut world, link, &owner, 1, true);
    assert_eq!(seen(&mut world, link, &owner), (Some(word(&owner, 2)), Some(first)));

    // Passed on once more, in words of nobody's connection: nothing moves.
    put(&mut world, passing, &owner, 2, false);
    assert_eq!(seen(&mut world, link, &owner), (Some(word(&owner, 2)), Some(first)));

    // A newer one from the owner: both move.
    put(&mut world, link, &owner, 3, true);
    let (newest, observation) = seen(&mut world, link, &owner);
    assert_eq!(newest, Some(word(&owner, 3)));
    assert_eq!(observation.map(|observation| (observation.version, observation.hour)), Some((3, Hour(120))));
}

#[test]
fn who_passes_a_word_on_does_not_keep_its_owner_from_being_seen() {
    let (mut world, owner, link) = slot(Precision::SixHours);
    world.wall = Minute(60 * 6);
    put(&mut world, link, &owner, 1, true);
    let friend = world.device();
    let passing = world.connect(friend);
    put(&mut world, passing, &owner, 2, false);
    let shown = |world: &mut World| seen(world, link, &owner).1.map(|seen| (seen.version, seen.hour));
    assert_eq!(shown(&mut world), Some((1, Hour(6))));
    // The owner comes with the word that a friend has brought before: once.
    for (hour, expected) in [(12, 12), (18, 12)] {
        world.wall = Minute(60 * hour);
        put(&mut world, link, &owner, 2, true);
        assert_eq!(shown(&mut world), Some((2, Hour(expected))));
    }
}

#[test]
fn an_owner_who_wants_it_leaves_a_word_without_a_time() {
    let (mut world, owner, link) = slot(Precision::Off);
    put(&mut world, link, &owner, 1, true);
    assert_eq!(seen(&mut world, link, &owner), (Some(word(&owner, 1)), None));
}

#[test]
fn no_word_an_unknown_slot_and_one_that_is_not_proven_look_the_same() {
    let (mut world, owner, link) = slot(Precision::SixHours);
    world.settings.links = vec![LinkStatus { link: 3, state: LinkState::Down, since: Hour(5), checked: Minute(400) }];
    put(&mut world, link, &owner, 1, true);
    let empty = Owner::new(2);
    let device = world.device();
    let registering = world.connect(device);
    world.command(registering, empty.prove(Scope::Slot));
    world.command(registering, empty.register(Scope::Slot));
    world.run();

    let mut told = Vec::new();
    for (asked, proven) in [(&empty, true), (&Owner::new(3), true), (&owner, false), (&Owner::new(4), false)] {
        let link = world.connect(device);
        if proven {
            world.command(link, asked.prove(Scope::Slot));
        }
        world.run();
        let (requests, bytes) = (world.store.requests, world.delivered(link).1);
        assert_eq!(seen(&mut world, link, asked), (None, None));
        told.push((world.store.requests - requests, world.delivered(link).1 - bytes));
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
}

#[test]
fn links_are_told_after_a_first_proven_key_and_not_before() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    let link_status = LinkStatus { link: 3, state: LinkState::Down, since: Hour(5), checked: Minute(400) };
    world.settings.links = vec![link_status];
    let device = world.device();
    let link = world.connect(device);
    world.command(link, ClientCommand::GetSeen { slot: owner.slot() });
    world.run();
    let nothing = LinkStatus { link: 0, state: LinkState::Unknown, since: Hour(0), checked: Minute(0) };
    match world.events(link).pop() {
        Some(ClientEvent::Seen { links, .. }) => assert_eq!(links.links, [nothing]),
        other => panic!("{other:?}"),
    }
    world.command(link, owner.prove(Scope::Slot));
    world.command(link, owner.prove(Scope::Mailbox));
    world.run();
    let report = ClientEvent::Links(LinkReport { links: vec![link_status] });
    assert_eq!(world.events(link), [report], "once");
}

#[test]
fn a_word_for_a_slot_that_is_not_here_is_answered_so() {
    let (mut world, owner) = (World::new(Transport::Quic), Owner::new(1));
    let device = world.device();
    let link = world.connect(device);
    for write_key in [Some(owner.write.clone()), None] {
        world.command(link, ClientCommand::PutWord { word: word(&owner, 1), write_key });
        world.run();
        let asked = Asked::Word { slot: owner.slot(), version: 1 };
        assert_eq!(world.events(link).pop(), Some(ClientEvent::Answered { asked, code: Code::NOT_HERE }));
    }
    assert_ne!(word(&owner, 1).signature, Signature::NONE);
}

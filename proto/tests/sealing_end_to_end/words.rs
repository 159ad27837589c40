//! Last words: only their owner writes them, only readers of the slot read them (P7.1 to P7.3).

use core::num::NonZeroU16;

use proptest::prelude::*;
use zajil_proto::sealing::word::{
    Freshness, LastWord, SlotOwner, WordError, WordState, chain_hash, compare, word_head,
};
use zajil_proto::wire::{Precision, Word};

use crate::support::{NOW, Seeded, homes};

fn word(text: &str) -> LastWord {
    LastWord { state: WordState::Well, minute: Some(NOW), place: NonZeroU16::new(3), text: text.to_owned() }
}

#[test]
fn a_reader_opens_what_the_owner_wrote_and_follows_the_chain() {
    let mut random = Seeded::new(1);
    let owner = SlotOwner::draw(&mut random);
    let grant = owner.grant(Precision::SixHours, homes("camp"));
    assert!(grant.slot() == owner.slot() && grant.read_tag() == owner.read_tag());
    let first = owner.seal(&mut random, 5, None, &word("نحن بخير")).unwrap();
    let second = owner.seal(&mut random, 9, Some(&first), &word("")).unwrap();
    let (one, two) = (grant.open(&first).unwrap(), grant.open(&second).unwrap());
    assert!(one.word == word("نحن بخير") && one.version == 5 && one.previous == [0; 16]);
    assert!(two.follows(&first) && !one.follows(&second));
    assert!(word_head(&second).hash == chain_hash(&second)[..8]);
}

#[test]
fn what_is_not_told_stays_untold() {
    let mut random = Seeded::new(2);
    let owner = SlotOwner::draw(&mut random);
    let quiet = LastWord { state: WordState::None, minute: None, place: None, text: String::new() };
    let sealed = owner.seal(&mut random, 1, None, &quiet).unwrap();
    let opened = owner.grant(Precision::Off, homes("camp")).open(&sealed).unwrap();
    assert!(opened.word == quiet);
}

#[test]
fn every_word_has_the_same_length_and_none_looks_like_another() {
    let mut random = Seeded::new(3);
    let owner = SlotOwner::draw(&mut random);
    let longest = "ا".repeat(72);
    let one = owner.seal(&mut random, 1, None, &word(&longest)).unwrap();
    let two = owner.seal(&mut random, 1, None, &word(&longest)).unwrap();
    assert_ne!(one.sealed, two.sealed);
    let (got, expected) = (145, 144);
    let refused = owner.seal(&mut random, 1, None, &word(&"a".repeat(145))).err();
    assert_eq!(refused, Some(WordError::TooLong { got, expected }));
}

#[test]
fn a_word_that_was_moved_changed_or_given_another_version_is_refused() {
    let mut random = Seeded::new(4);
    let (owner, other) = (SlotOwner::draw(&mut random), SlotOwner::draw(&mut random));
    let grant = owner.grant(Precision::Day, homes("camp"));
    let good = owner.seal(&mut random, 7, None, &word("x")).unwrap();
    let elsewhere = other.seal(&mut random, 7, None, &word("x")).unwrap();
    assert_eq!(grant.open(&elsewhere).err(), Some(WordError::OtherSlot));
    let changed = Word { version: 8, ..good.clone() };
    assert_eq!(grant.open(&changed).err(), Some(WordError::Signature));
    // Even the owner's own signature does not carry a sealed word to another version.
    let signed = Word::sign(&owner.write_key, owner.read_tag(), 8, good.sealed);
    assert_eq!(grant.open(&signed).err(), Some(WordError::Forged));
    let mut sealed = good.sealed;
    sealed[100] ^= 1;
    let signed = Word::sign(&owner.write_key, owner.read_tag(), 7, sealed);
    assert_eq!(grant.open(&signed).err(), Some(WordError::Forged));
}

#[test]
fn a_relay_that_shows_an_older_or_a_second_word_is_noticed() {
    let mut random = Seeded::new(5);
    let owner = SlotOwner::draw(&mut random);
    let mut seal = |version| owner.seal(&mut random, version, None, &word("x")).unwrap();
    let (old, held, fork, new) = (seal(1), seal(2), seal(2), seal(3));
    assert_eq!(compare(&held, &old), Freshness::Older);
    assert_eq!(compare(&held, &held.clone()), Freshness::Same);
    assert_eq!(compare(&held, &fork), Freshness::Forked);
    assert_eq!(compare(&held, &new), Freshness::Newer);
}

#[test]
fn a_slot_survives_the_device_store_on_both_ends() {
    let mut random = Seeded::new(6);
    let owner = SlotOwner::draw(&mut random);
    let grant = owner.grant(Precision::SixHours, homes("camp"));
    let owner: SlotOwner = postcard::from_bytes(&postcard::to_stdvec(&owner).unwrap()).unwrap();
    let kept = postcard::to_stdvec(&grant).unwrap();
    let grant: zajil_proto::sealing::contents::SlotGrant = postcard::from_bytes(&kept).unwrap();
    let sealed = owner.seal(&mut random, 1, None, &word("x")).unwrap();
    assert!(grant.open(&sealed).is_ok());
}

proptest! {
    #[test]
    fn every_text_that_is_short_enough_comes_back(text in "\\PC{0,36}", version in any::<u64>(), seed in any::<u64>()) {
        prop_assume!(text.len() <= 144);
        let mut random = Seeded::new(seed);
        let owner = SlotOwner::draw(&mut random);
        let sealed = owner.seal(&mut random, version, None, &word(&text)).unwrap();
        let opened = owner.grant(Precision::Off, homes("camp")).open(&sealed);
        prop_assert!(opened.is_ok_and(|opened| opened.word.text == text));
    }
}

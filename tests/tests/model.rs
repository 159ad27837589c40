//! The protocol in symbols, asked for its promises; and protocols that lack one safeguard, in which the attack must be found.
//!
//! A promise that holds where nothing can break it would say nothing: each stands here beside what breaks it. Where two safeguards
//! hold the same promise, leaving out either changes nothing, and that is said too, so that nobody takes the second for idle.
#![cfg(test)] // always true here; tells clippy that the functions beside the tests are test code too

use zajil_tests::model::notes::{self, Notes};
use zajil_tests::model::pairing::{self, Channel, Pairing};
use zajil_tests::model::seizure::{self, Seizure};
use zajil_tests::model::terms::Broken;
use zajil_tests::model::{Outcome, World, explore};

fn holds(start: impl World, what: &str) {
    match explore(start) {
        Outcome::Holds { worlds } => println!("{what}: holds in {worlds} worlds"),
        Outcome::Attack { promise, steps } => panic!("{what}: {promise}, by\n  {}", steps.join("\n  ")),
    }
}

fn breaks(start: impl World, promise: &str, what: &str) {
    match explore(start) {
        Outcome::Holds { worlds } => panic!("{what}: no attack in {worlds} worlds"),
        Outcome::Attack { promise: found, steps } => {
            println!("{what}: {found}, by\n  {}", steps.join("\n  "));
            assert_eq!(found, promise, "{what}");
        }
    }
}

fn pairing(channel: Channel, question: pairing::Question, left_out: &'static [pairing::Safeguard]) -> Pairing {
    Pairing::new(pairing::Setting { channel, left_out, question })
}

mod pairings {
    use super::pairing::{Question, Safeguard};
    use super::{Channel, breaks, holds, pairing};

    #[test]
    fn over_a_secret_link_alice_and_bob_pair_with_each_other_and_nobody_hears_them() {
        holds(pairing(Channel::Secret, Question::EachOther, &[]), "a secret link");
    }

    /// What an intercepted link gives before digits are compared, exactly: Bob's place at Alice's, and so what she then says.
    #[test]
    fn who_reads_a_link_can_take_bobs_place_and_hears_what_alice_says_to_him() {
        let promise = "Alice takes somebody else for Bob";
        breaks(pairing(Channel::Read, Question::EachOther, &[]), promise, "a link that is read");
    }

    /// And what it does not give: Bob's contact is Alice, and what he says in his reply is for her.
    #[test]
    fn who_reads_a_link_gets_nothing_that_bob_says_to_alice() {
        holds(pairing(Channel::Read, Question::WhatTheReplierSays, &[]), "a link that is read");
        let promise = "Bob takes somebody else for Alice";
        let left_out = &[Safeguard::BundleHash];
        breaks(pairing(Channel::Read, Question::WhatTheReplierSays, left_out), promise, "no bundle hash in the link");
        breaks(pairing(Channel::Replaced, Question::WhatTheReplierSays, &[]), promise, "a link that is replaced");
    }

    #[test]
    fn once_digits_were_compared_nobody_stands_between_whatever_became_of_the_link() {
        for channel in [Channel::Secret, Channel::Read, Channel::Replaced] {
            holds(pairing(channel, Question::AfterDigits, &[]), "digits compared");
        }
    }

    #[test]
    fn digits_without_comparison_commitment_or_bundles_let_somebody_stand_between() {
        let promise = "Alice takes somebody else for Bob";
        for (left_out, what) in [
            (&[Safeguard::Comparison][..], "digits not compared"),
            (&[Safeguard::Commitment], "no commitment to the inviter's nonce"),
            (&[Safeguard::BundlesInDigits], "digits of the nonces alone"),
        ] {
            breaks(pairing(Channel::Replaced, Question::AfterDigits, left_out), promise, what);
        }
    }

    /// The boxes under the link's secret and the pre-shared key made of it hold the same promise: one of them is enough, as long as
    /// X-Wing stands. Without both, anybody who has seen the bundle answers.
    #[test]
    fn the_links_secret_is_asked_for_twice() {
        for left_out in [&[Safeguard::Psk][..], &[Safeguard::Boxes]] {
            holds(pairing(Channel::Secret, Question::EachOther, left_out), "one of the two");
        }
        let promise = "Alice takes somebody else for Bob";
        let left_out = &[Safeguard::Psk, Safeguard::Boxes];
        breaks(pairing(Channel::Secret, Question::EachOther, left_out), promise, "neither box nor psk");
    }

    #[test]
    fn nobody_puts_a_device_key_of_others_into_a_bundle() {
        for channel in [Channel::Secret, Channel::Read, Channel::Replaced] {
            holds(pairing(channel, Question::DeviceKeys, &[]), "bundles are signed");
        }
        let promise = "a device key stands in a bundle that its owner never made";
        let left_out = &[Safeguard::BundleSignature];
        breaks(pairing(Channel::Secret, Question::DeviceKeys, left_out), promise, "bundles are not signed");
    }
}

mod sent_notes {
    use super::notes::{Question, Safeguard};
    use super::{Notes, breaks, holds, notes as play};

    fn notes(left_out: &'static [Safeguard]) -> Notes {
        Notes::new(play::Setting { left_out, question: Question::AsSent })
    }

    #[test]
    fn what_bob_takes_for_alices_she_sent_so_and_there_and_once() {
        holds(notes(&[]), "notes");
    }

    #[test]
    fn an_insider_who_has_the_keys_of_a_family_needs_a_signature_left_out_to_speak_as_another() {
        let promise = "Bob takes for Alice's what she never sent so";
        for (left_out, what) in [
            (&[Safeguard::HeadSignature][..], "heads are not signed"),
            (&[Safeguard::HeadNamesParcel], "heads name no parcel"),
            (&[Safeguard::Marks], "marks are not checked"),
        ] {
            breaks(notes(left_out), promise, what);
        }
    }

    #[test]
    fn a_note_whose_pair_is_not_erased_is_shown_again() {
        breaks(notes(&[Safeguard::Erasure]), "a note is shown twice", "pairs stay");
    }

    /// A note is held to its mailbox three times: by the session that is looked for there, by its head and by its marks.
    #[test]
    fn any_one_of_three_keeps_a_note_in_its_mailbox() {
        const ALL: [Safeguard; 3] =
            [Safeguard::SessionsOfOneMailbox, Safeguard::HeadNamesMailbox, Safeguard::MarksNameMailbox];
        for kept in 0..3 {
            let left_out: Vec<Safeguard> =
                ALL.iter().enumerate().filter(|(place, _)| *place != kept).map(|(_, left)| *left).collect();
            holds(notes(left_out.leak()), "one of three");
        }
        let promise = "Bob takes for Alice's what she never sent so";
        breaks(notes(&ALL), promise, "none of three");
    }

    /// Open in version 1, and without effect while there are only pairs: who is in a family has the seed of its members' sessions,
    /// and may hand one out as his own. docs/PROOFS.md says what families will need.
    #[test]
    fn a_session_that_an_insider_hands_out_as_his_own_shows_anothers_notes_as_his() {
        let start = Notes::new(play::Setting { left_out: &[], question: Question::NeverAsMallorys });
        breaks(start, "what Alice sent is shown as Mallory's", "a session handed out by another");
    }
}

mod seizures {
    use super::seizure::{Question, Safeguard};
    use super::{Broken, Seizure, breaks, holds, seizure};

    const NOW: Broken = Broken { exchange: false, lattice: false };
    const QUANTUM: Broken = Broken { exchange: true, lattice: false };
    const LATTICE: Broken = Broken { exchange: false, lattice: true };

    fn seized(question: Question, broken: Broken, left_out: &'static [Safeguard]) -> Seizure {
        Seizure::new(seizure::Setting { broken, left_out, question })
    }

    #[test]
    fn a_note_that_was_heard_stays_closed_when_both_phones_are_taken_afterwards() {
        holds(seized(Question::HeardBefore, NOW, &[]), "heard before");
        holds(seized(Question::HeardBefore, LATTICE, &[]), "heard before, and ML-KEM is broken");
    }

    /// Record now, compute later: X-Wing keeps it while one of its halves stands, also where the link was read; where both fall,
    /// the link's secret still does, by the pre-shared key.
    #[test]
    fn what_was_written_down_stays_closed_to_who_breaks_one_half_of_x_wing_and_to_who_breaks_both_without_the_link() {
        for broken in [NOW, QUANTUM, LATTICE] {
            holds(seized(Question::NoSeizure, broken, &[]), "written down");
        }
        let both = Broken { exchange: true, lattice: true };
        holds(seized(Question::NoSeizureSecretLink, both, &[]), "written down, both halves broken, the link secret");
        let promise = "the note of session 0 is known";
        breaks(seized(Question::NoSeizure, both, &[]), promise, "both halves broken, the link read");
        let left_out = &[Safeguard::Psk];
        breaks(seized(Question::NoSeizureSecretLink, both, left_out), promise, "both halves broken, no psk");
    }

    #[test]
    fn keys_that_are_not_erased_open_it() {
        let promise = "the note of session 0 is known";
        for (left_out, what) in [
            (&[Safeguard::OneTimeKeyErased][..], "the one-time key stays"),
            (&[Safeguard::SeedErased], "the seed stays"),
            (&[Safeguard::PairErased], "the pair stays"),
            (&[Safeguard::MessageKeyErased], "the message key stays"),
        ] {
            breaks(seized(Question::HeardBefore, NOW, left_out), promise, what);
        }
    }

    /// The limit of it: who has the outer key from a phone, has written down what travelled, and breaks X25519 one day, opens the
    /// frames of that outer key, and in them the seeds. Erasing an outer key by renewal is what ends that.
    #[test]
    fn a_seized_outer_key_leaves_only_x25519_around_the_frames_it_sealed() {
        let promise = "the note of session 0 is known";
        breaks(seized(Question::HeardBefore, QUANTUM, &[]), promise, "a seized phone and a quantum computer");
        holds(seized(Question::RenewedBefore, QUANTUM, &[]), "renewed before the phone was seized");
        let left_out = &[Safeguard::BundleKeyErased];
        breaks(seized(Question::RenewedBefore, QUANTUM, left_out), promise, "the X-Wing secret of pairing stays");
    }

    #[test]
    fn a_seizure_is_healed_when_both_have_turned_their_ratchets() {
        holds(seized(Question::AfterTurning, NOW, &[]), "turned");
        let promise = "the note of session 0 is known";
        let left_out = &[Safeguard::FreshRatchetKey];
        breaks(seized(Question::AfterTurning, NOW, left_out), promise, "turned without a fresh key");
        breaks(seized(Question::AfterNothing, NOW, &[]), promise, "nothing has happened since");
        breaks(seized(Question::AfterTurning, QUANTUM, &[]), promise, "turned, before a quantum computer");
        // Alice's phone, then Bob's: his still has the ratchet key that healed hers, until he turns again.
        breaks(seized(Question::AfterTurningForGood, NOW, &[]), promise, "turned once, and then the other phone");
    }

    #[test]
    fn a_renewal_heals_a_seizure_also_before_a_quantum_computer() {
        for (broken, what) in
            [(NOW, "renewed"), (QUANTUM, "renewed, X25519 broken"), (LATTICE, "renewed, ML-KEM broken")]
        {
            holds(seized(Question::AfterRenewal, broken, &[]), what);
        }
        let promise = "the note of session 0 is known";
        let left_out = &[Safeguard::FreshEncapsulation];
        breaks(seized(Question::AfterRenewal, QUANTUM, left_out), promise, "renewed by a hash");
        let both = Broken { exchange: true, lattice: true };
        breaks(seized(Question::AfterRenewal, both, &[]), promise, "both halves of X-Wing are broken");
    }
}

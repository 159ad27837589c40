//! Pairing: from a link to two people who can speak (P6), and what an attacker on the way gets.

use proptest::prelude::*;
use zajil_proto::codec::Reader;
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::limits::REPLY_CONTENTS_BYTES_MAX;
use zajil_proto::parcel::{Header, SealedParcel};
use zajil_proto::sealing::bundle::{BundleError, BundleFacts};
use zajil_proto::sealing::contents::{decode_contents, encode_contents};
use zajil_proto::sealing::control::{ControlFrame, FrameSize, open_control, seal_control};
use zajil_proto::sealing::link::LinkError;
use zajil_proto::sealing::outer::{OuterError, XWingSecret};
use zajil_proto::sealing::pairing::{
    Accepted, Digits, Invited, Inviter, Pair, PairingError, PairingSecrets, Replied, Replier, accept_reply, invite,
    open_invitation, reply,
};
use zajil_proto::sealing::roster::RosterLink;
use zajil_proto::sealing::seal::Destination;
use zajil_proto::sealing::{
    Address, Bundle, Content, DeviceIdentity, HomeRelay, Homes, Link, MailboxOwner, NoteSession, RING, ReturnCode,
};
use zajil_proto::time::{Lifetime, Minute};

use crate::support::{NOW, Seeded, device, home, homes};

/// Two devices, and an invitation between them.
struct Meeting {
    random: Seeded,
    inviter: DeviceIdentity,
    replier: DeviceIdentity,
    invited: Invited,
}

fn meet(seed: u64) -> Meeting {
    let mut random = Seeded::new(seed);
    let mut inviter = device(&mut random);
    let replier = device(&mut random);
    let invited = invite(&RING, &mut random, &mut inviter, &home("camp"), &homes("camp"), NOW);
    Meeting { random, inviter, replier, invited }
}

impl Meeting {
    fn link(&self) -> Link {
        Link::parse(&self.invited.inviter.link.to_text()).unwrap()
    }

    fn bundle(&self) -> Bundle {
        let parcel = &self.invited.parcel;
        open_invitation(&RING, &self.link(), &parcel.header, &parcel.body).unwrap()
    }

    fn reply(&mut self) -> Replied {
        let (link, bundle) = (self.link(), self.bundle());
        let mailbox = bundle.facts().writer.mailbox();
        let (_, grant) = NoteSession::draw(&mut self.random, mailbox, NOW, Lifetime::DEFAULT);
        let contents = [Content::Session(grant)];
        reply(&RING, &mut self.random, &mut self.replier, (&link, &bundle), &homes("town"), &contents, NOW).unwrap()
    }

    fn accept(&mut self, parcel: &SealedParcel) -> Result<Accepted, PairingError> {
        let inviter = &self.invited.inviter;
        accept_reply(&RING, inviter, &mut self.inviter, &parcel.header, &parcel.body)
    }
}

/// Sends contents from one end of a pair and reads them at the other, as an engine does.
fn send(random: &mut Seeded, from: &mut Pair, to: &mut Pair, number: u32, contents: &[Content]) -> Vec<Content> {
    let text = encode_contents(contents, FrameSize::Small.contents_bytes_max()).unwrap();
    let message = from.olm.encrypt(&text).unwrap();
    let frame = ControlFrame { number, message };
    let destination = Destination { to: &from.contact.facts().writer, lifetime: Lifetime::DEFAULT };
    let parcel = seal_control(&RING, random, from.outer.sealing(), destination, &frame, FrameSize::Small).unwrap();
    assert_eq!(parcel.header.mailbox(), to.mailbox.mailbox());
    let keys = to.outer.accepted().map(|(_, key)| key);
    let (opened, _) = open_control(&RING, keys, &parcel.header.id(), &parcel.body).unwrap();
    assert_eq!(opened.number, number);
    decode_contents(&to.olm.decrypt(&opened.message).unwrap()).unwrap()
}

#[test]
fn two_people_pair_over_a_link_and_read_the_same_digits() {
    let mut meeting = meet(1);
    let mut replied = meeting.reply();
    let mut accepted = meeting.accept(&replied.parcel).unwrap();
    assert!(matches!(accepted.contents.as_slice(), [Content::Session(grant)]
        if grant.mailbox == accepted.pair.mailbox.mailbox()));
    let answer = [accepted.answer.clone()];
    let got = send(&mut meeting.random, &mut accepted.pair, &mut replied.pair, 0, &answer);
    let [Content::PairingAnswer(nonce)] = got.as_slice() else { panic!("the answer is one nonce") };
    assert_eq!(replied.replier.accept_answer(nonce), Ok(accepted.digits));
    let confirmed = [Content::DigitsConfirmed];
    assert_eq!(send(&mut meeting.random, &mut replied.pair, &mut accepted.pair, 0, &confirmed), confirmed);
    assert_eq!(replied.pair.contact, meeting.invited.inviter.bundle);
    assert!(accepted.pair.contact.facts().device_key == meeting.replier.key.public());
}

#[test]
fn every_state_of_a_pairing_survives_the_device_store() {
    let mut meeting = meet(2);
    let inviter: Inviter = postcard::from_bytes(&postcard::to_stdvec(&meeting.invited.inviter).unwrap()).unwrap();
    meeting.invited.inviter = inviter;
    meeting.inviter = postcard::from_bytes(&postcard::to_stdvec(&meeting.inviter).unwrap()).unwrap();
    let replied = meeting.reply();
    let replier: Replier = postcard::from_bytes(&postcard::to_stdvec(&replied.replier).unwrap()).unwrap();
    let mut there: Pair = postcard::from_bytes(&postcard::to_stdvec(&replied.pair).unwrap()).unwrap();
    let accepted = meeting.accept(&replied.parcel).unwrap();
    let mut here: Pair = postcard::from_bytes(&postcard::to_stdvec(&accepted.pair).unwrap()).unwrap();
    let got = send(&mut meeting.random, &mut here, &mut there, 0, &[accepted.answer]);
    let [Content::PairingAnswer(nonce)] = got.as_slice() else { panic!("the answer is one nonce") };
    assert_eq!(replier.accept_answer(nonce), Ok(accepted.digits));
}

#[test]
fn a_reply_counts_once_and_a_second_one_is_told_that_it_came_late() {
    let mut meeting = meet(3);
    let (first, second) = (meeting.reply(), meeting.reply());
    assert!(meeting.accept(&first.parcel).is_ok());
    assert_eq!(meeting.accept(&first.parcel).err(), Some(PairingError::Used));
    assert_eq!(meeting.accept(&second.parcel).err(), Some(PairingError::Used));
}

#[test]
fn rubbish_in_the_reply_mailbox_does_not_use_up_the_invitation() {
    let mut meeting = meet(4);
    let good = meeting.reply();
    let mut bad = good.parcel.clone();
    bad.body[2_000] ^= 1;
    assert_eq!(meeting.accept(&bad).err(), Some(PairingError::Forged));
    bad.body.truncate(512);
    assert_eq!(meeting.accept(&bad).err(), Some(PairingError::Forged));
    let other = meet(5).reply();
    assert_eq!(meeting.accept(&other.parcel).err(), Some(PairingError::Forged));
    assert!(meeting.accept(&good.parcel).is_ok());
}

#[test]
fn an_invitation_is_over_after_seven_days() {
    let mut meeting = meet(6);
    let (link, bundle) = (meeting.link(), meeting.bundle());
    let minute = NOW.0 + 7 * 24 * 60;
    assert!(!link.is_expired(Minute(minute - 1)) && link.is_expired(Minute(minute)));
    let (random, device) = (&mut meeting.random, &mut meeting.replier);
    let late = reply(&RING, random, device, (&link, &bundle), &homes("town"), &[], Minute(minute));
    assert_eq!(late.err(), Some(PairingError::Expired));
}

#[test]
fn somebody_who_swaps_the_bundle_is_found_by_the_hash_in_the_link() {
    // The relay cannot read the box. Somebody who has seen the link can, and can put another bundle there.
    let meeting = meet(7);
    let mut other = meet(8);
    let mut link = other.link();
    link.secret = other.invited.inviter.link.secret.clone();
    link.bundle_hash = meeting.link().bundle_hash;
    let parcel = &other.invited.parcel;
    let opened = open_invitation(&RING, &link, &parcel.header, &parcel.body);
    assert_eq!(opened.err(), Some(PairingError::WrongBundle));
    link.secret = Secret([1; 32]);
    let opened = open_invitation(&RING, &link, &parcel.header, &parcel.body);
    assert_eq!(opened.err(), Some(PairingError::Forged));
    let replied = other.reply();
    let opened = open_invitation(&RING, &other.link(), &replied.parcel.header, &replied.parcel.body);
    assert_eq!(opened.err(), Some(PairingError::Forged), "a reply is no invitation");
}

#[test]
fn a_nonce_chosen_after_seeing_the_other_ones_is_refused() {
    let mut meeting = meet(9);
    let replied = meeting.reply();
    let chosen = Secret([1; 32]);
    assert_eq!(replied.replier.accept_answer(&chosen), Err(PairingError::WrongNonce));
}

#[test]
fn ones_own_link_pairs_nobody() {
    let mut meeting = meet(10);
    let (link, bundle) = (meeting.link(), meeting.bundle());
    let (random, device) = (&mut meeting.random, &mut meeting.inviter);
    let own = reply(&RING, random, device, (&link, &bundle), &homes("camp"), &[], NOW);
    assert_eq!(own.err(), Some(PairingError::Own));
}

#[test]
fn the_largest_reply_fits_and_a_larger_one_says_so() {
    let mut meeting = meet(11);
    let long = |n: u8| HomeRelay {
        key: home("x").key,
        address: Address::parse(&format!("{}{n}.example:443", "a".repeat(67))).unwrap(),
    };
    let homes = Homes::new(vec![long(1), long(2), long(3)]).unwrap();
    let (link, bundle) = (meeting.link(), meeting.bundle());
    let homes_of = |count: usize| vec![Content::Homes(bundle.facts().writer.mailbox(), homes.clone()); count];
    let most = encode_contents(&homes_of(2), REPLY_CONTENTS_BYTES_MAX).unwrap().len();
    assert!(most > 700, "close to the limit: {most}");
    let fill = vec![
        Content::WordHead(zajil_proto::sealing::contents::WordHead {
            slot: zajil_proto::ids::SlotId([0; 16]),
            version: 0,
            hash: [0; 8],
        });
        (REPLY_CONTENTS_BYTES_MAX - most) / 34
    ];
    let contents = [homes_of(2), fill].concat();
    let (random, device) = (&mut meeting.random, &mut meeting.replier);
    let replied = reply(&RING, random, device, (&link, &bundle), &homes, &contents, NOW).unwrap();
    let (random, device) = (&mut meeting.random, &mut meeting.replier);
    let larger = reply(&RING, random, device, (&link, &bundle), &homes, &homes_of(3), NOW);
    assert!(matches!(larger.err(), Some(PairingError::Contents(_))));
    let accepted = meeting.accept(&replied.parcel).unwrap();
    assert_eq!(accepted.contents, contents);
}

#[test]
fn a_return_code_names_both_bundles() {
    let mut meeting = meet(12);
    let replied = meeting.reply();
    let text = replied.replier.return_code().to_text();
    assert!(text.starts_with("zajil-back:"));
    let accepted = meeting.accept(&replied.parcel).unwrap();
    assert!(ReturnCode::parse(&text) == Ok(accepted.code));
    assert_eq!(ReturnCode::parse(&text[..text.len() - 1]).err(), Some(LinkError::Damaged));
    assert_eq!(Link::parse(&text).err(), Some(LinkError::Other));
}

#[test]
fn a_link_survives_what_messengers_and_people_do_to_it() {
    let link = meet(13).link();
    let text = link.to_text();
    assert!(text.len() < 300 && text.is_ascii());
    let wrapped = format!(" \u{2066}{}\n{}\u{2069}\r\n", &text[..40], &text[40..]);
    for variant in [text.to_string(), wrapped, text.replacen("zajil:", "ZAJIL:", 1)] {
        assert!(Link::parse(&variant) == Ok(link.clone()), "{variant}");
    }
}

#[test]
fn a_mistyped_link_is_refused_wherever_the_mistake_is() {
    let text = meet(14).link().to_text();
    for at in 6..text.len() {
        let mut wrong = text.as_bytes().to_vec();
        wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
        let wrong = String::from_utf8(wrong).unwrap();
        assert_eq!(Link::parse(&wrong).err(), Some(LinkError::Damaged), "at {at}");
        assert_eq!(Link::parse(&text[..at]).err(), Some(LinkError::Damaged), "cut at {at}");
    }
    for other in ["", "zajil", "https://example.org/", "مرحبا", "zajil-relay:AQ"] {
        assert_eq!(Link::parse(other).err(), Some(LinkError::Other), "{other}");
    }
    let endless = format!("zajil:{}", "A".repeat(5_000));
    assert_eq!(Link::parse(&endless).err(), Some(LinkError::Other));
}

#[test]
fn a_pairing_parcel_put_into_another_mailbox_is_refused() {
    // Whoever has the link can sign for its mailboxes, and anybody can move a body under a header of their own.
    let mut meeting = meet(18);
    let replied = meeting.reply();
    let elsewhere = MailboxOwner::draw(&mut meeting.random);
    let moved = |parcel: &SealedParcel| {
        let (write, tag, key) = (&elsewhere.write_key, elsewhere.read_tag(), *parcel.header.parcel_key());
        let class = parcel.header.class();
        let header = Header::sign(class, write, tag, key, Lifetime::PAIRING, 4_096);
        SealedParcel { header, ..parcel.clone() }
    };
    let invitation = moved(&meeting.invited.parcel);
    let opened = open_invitation(&RING, &meeting.link(), &invitation.header, &invitation.body);
    assert_eq!(opened.err(), Some(PairingError::Forged));
    assert_eq!(meeting.accept(&moved(&replied.parcel)).err(), Some(PairingError::Forged));
    assert!(meeting.accept(&replied.parcel).is_ok());
}

/// A bundle's facts with another X-Wing key or mailbox are signed by their author, so only its author can do this.
#[test]
fn a_bundle_with_a_small_order_key_or_a_wrong_signature_is_refused() {
    let bundle = meet(15).bundle();
    let mut bytes = bundle.as_bytes().to_vec();
    for at in [1, 33, 65, 97, 1_313, 1_345, 1_400, bytes.len() - 1] {
        bytes[at] ^= 1;
        assert!(matches!(Bundle::verify(&bytes).err(), Some(BundleError::Signature | BundleError::Decode(_))));
        bytes[at] ^= 1;
    }
    assert!(Bundle::verify(&bytes).is_ok());
    for length in 0..bytes.len() {
        assert!(Bundle::verify(&bytes[..length]).is_err());
    }
    bytes[0] = 2;
    assert!(matches!(Bundle::verify(&bytes).err(), Some(BundleError::Decode(_))));
}

#[test]
fn a_signed_bundle_with_a_point_of_small_order_is_refused_all_the_same() {
    let mut random = Seeded::new(16);
    let key = SigningKey::draw(&mut random);
    let facts = BundleFacts {
        device_key: key.public(),
        olm_identity: [1; 32],
        olm_one_time_key: [2; 32],
        x_wing: XWingSecret::draw(&mut random).public(),
        writer: MailboxOwner::draw(&mut random).writer(),
        homes: homes("camp"),
        commit: [0; 32],
    };
    let signed = Bundle::sign(&key, facts);
    let mut bytes = signed.as_bytes()[..signed.as_bytes().len() - 64].to_vec();
    bytes[97 + 1_216 - 32..97 + 1_216].fill(0);
    let signature = key.sign(zajil_proto::keys::Purpose::Bundle, &[&bytes]);
    bytes.extend_from_slice(&signature.0);
    let refused = Bundle::verify(&bytes).err();
    assert_eq!(refused, Some(BundleError::Outer(OuterError::SmallOrder)));
}

#[test]
fn digits_depend_on_roles_bundles_and_both_nonces() {
    let code = ReturnCode { inviter: [1; 32], replier: [2; 32] };
    let swapped = ReturnCode { inviter: [2; 32], replier: [1; 32] };
    let (a, b) = (Secret([3; 32]), Secret([4; 32]));
    let digits = Digits::of(&code, &a, &b);
    for other in [Digits::of(&swapped, &a, &b), Digits::of(&code, &b, &a), Digits::of(&code, &a, &a)] {
        assert_ne!(digits, other);
    }
    let shown = digits.to_string();
    assert_eq!(shown.len(), 14);
    assert!(shown.split(' ').all(|group| group.len() == 4 && group.bytes().all(|digit| digit.is_ascii_digit())));
}

#[test]
fn pairing_parcels_go_to_the_two_mailboxes_of_the_secret() {
    let mut meeting = meet(17);
    let secrets = PairingSecrets::of(&meeting.link().secret);
    let replied = meeting.reply();
    let check = |header: &Header, owner: &MailboxOwner| {
        assert_eq!(header.mailbox(), owner.mailbox());
        assert_eq!(header.lifetime(), Lifetime::PAIRING);
        assert_eq!(header.sealed_length(), Some(4_096));
    };
    check(&meeting.invited.parcel.header, &secrets.invitation);
    check(&replied.parcel.header, &secrets.reply);
}

proptest! {
    #[test]
    fn no_text_and_no_bytes_make_the_reading_of_links_and_bundles_panic(
        text in "\\PC{0,300}",
        noise in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        prop_assert!(Link::parse(&text).is_err());
        let code = format!("zajil-back:{text}");
        prop_assert!(ReturnCode::parse(&code).is_err());
        let link = format!("zajil:{}", data_encoding::BASE64URL_NOPAD.encode(&noise));
        prop_assert!(Link::parse(&link).is_err());
        prop_assert!(Bundle::verify(&noise).is_err());
        prop_assert!(Bundle::verify(&[&[1], noise.as_slice()].concat()).is_err());
        let _ = Homes::decode(&mut Reader::new(&noise));
        let link = RosterLink::decode(&mut Reader::new(&noise));
        prop_assert!(link.is_err() || link.is_ok_and(|link| !link.is_signed()));
    }
}

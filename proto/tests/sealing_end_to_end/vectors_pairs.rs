//! The golden vectors of what pairs of people exchange: contents, pairing, words. See `vectors.rs`.

use core::num::NonZeroU16;

use zajil_proto::codec::{Reader, Writer};
use zajil_proto::ids::{NoteId, NoteTag, RosterHash, SlotId};
use zajil_proto::keys::{Secret, SigningKey, VerifyingKey};
use zajil_proto::parcel::{Class, Header, SealedParcel};
use zajil_proto::sealing::bundle::{Bundle, BundleFacts};
use zajil_proto::sealing::contents::{
    Acknowledgement, AudienceGrant, Content, OutOfHands, Receipt, ReceiptState, SessionGrant, SlotGrant, WordHead,
    decode_contents, encode_contents,
};
use zajil_proto::sealing::control::FrameSize;
use zajil_proto::sealing::olm::OlmError;
use zajil_proto::sealing::outer::{Encapsulation, XWingSecret, open_first, seal_first};
use zajil_proto::sealing::pairing::{Digits, Inviter, PairingError, PairingSecrets, accept_reply, open_invitation};
use zajil_proto::sealing::provider::Sealing;
use zajil_proto::sealing::roster::{Role, RosterLink};
use zajil_proto::sealing::word::{LastWord, SlotOwner, WordState, chain_hash};
use zajil_proto::sealing::{Link, MailboxOwner, RING, ReturnCode};
use zajil_proto::time::{Hour, Lifetime, Minute};
use zajil_proto::wire::{LinkReport, LinkState, Observation, Precision, Word};

use crate::support::{Seeded, device};
use crate::vectors::{Dictated, Vectors, check_parcel, homes};

/// The fixed seeds of the model.
fn secret(byte: u8) -> Secret {
    Secret([byte; 32])
}

fn public(byte: u8) -> VerifyingKey {
    SigningKey::from_seed(&secret(byte)).public()
}

const MINUTE: Minute = Minute(29_900_000);
const NOTE: [u8; 8] = [0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37];

/// The model's bundle of a device.
fn bundle(device: u8, commit: [u8; 32]) -> Bundle {
    let facts = BundleFacts {
        device_key: public(device),
        olm_identity: [0x63; 32],
        olm_one_time_key: [0x64; 32],
        x_wing: XWingSecret::from_seed(&secret(0x52)).public(),
        writer: MailboxOwner::from_seeds(&secret(0x11), &secret(0x12)).writer(),
        homes: homes(),
        commit,
    };
    Bundle::sign(&SigningKey::from_seed(&secret(device)), facts)
}

fn second_roster_link(first: &RosterLink) -> RosterLink {
    let founder = SigningKey::from_seed(&secret(0x67));
    let members = [(founder.public(), Role::Founder), (public(0x68), Role::Deputy), (public(0x69), Role::Member)];
    RosterLink::sign(&founder, first.hash(), 1, members)
}

#[test]
fn roster_links() {
    let v = Vectors::read("rosters");
    let founder = v.key("founder_seed");
    let (deputy, member) = (VerifyingKey(v.array("deputy_key")), VerifyingKey(v.array("member_key")));
    assert!(deputy == public(0x68) && member == public(0x69));
    let first = RosterLink::sign(&founder, [0; 32], 0, [(founder.public(), Role::Founder), (member, Role::Member)]);
    let second = second_roster_link(&first);
    for (link, bytes, hash) in [(&first, "first", "first_hash"), (&second, "second", "second_hash")] {
        let mut writer = Writer::new();
        link.encode(&mut writer);
        assert_eq!(writer.as_bytes(), v.get(bytes));
        let read = RosterLink::decode(&mut Reader::new(v.get(bytes))).unwrap();
        assert!(read == *link && read.is_signed());
        assert_eq!(read.hash(), v.array(hash));
        assert_eq!(read.short_hash().0, v.get(hash)[..8]);
    }
    let mut forged = second;
    forged.members[2].1 = Role::Deputy;
    assert!(!forged.is_signed());
}

/// The model's content of each name.
fn content(name: &str, encapsulation: &[u8]) -> Content {
    let owner = MailboxOwner::from_seeds(&secret(0x11), &secret(0x12));
    let slot = SlotId::of(&owner.write_key.public(), &owner.read_tag());
    let first = {
        let founder = SigningKey::from_seed(&secret(0x67));
        let members = [(founder.public(), Role::Founder), (public(0x69), Role::Member)];
        RosterLink::sign(&founder, [0; 32], 0, members)
    };
    let receipt = |note, state| Receipt { note: NoteId(note), state };
    let mut backwards = NOTE;
    backwards.reverse();
    match name {
        "session" => Content::Session(SessionGrant {
            seed: secret(0x21),
            verify_key: public(0x22),
            mailbox: owner.mailbox(),
            first_minute: MINUTE,
            longest_lifetime: Lifetime::DEFAULT,
            notes: 32,
        }),
        "acknowledgement" => Content::Acknowledgement(Acknowledgement { next: 41, bitmap: 0x8000_0005 }),
        "receipts" => {
            Content::Receipts(vec![receipt(NOTE, ReceiptState::Delivered), receipt(backwards, ReceiptState::Heard)])
        }
        "pairing_answer" => Content::PairingAnswer(secret(0x61)),
        "slot_grant" => Content::SlotGrant(Box::new(SlotGrant {
            write_key: owner.write_key.public(),
            read_key: SigningKey::from_seed(&secret(0x12)),
            word_key: secret(0x6a),
            precision: Precision::SixHours,
            homes: homes(),
        })),
        "slot_revoked" => Content::SlotRevoked(slot),
        "session_wanted" => {
            // Pair 5 of the session in `sealing_session.txt`.
            let pairs = Vectors::read("session");
            let (_, _, _) = (pairs.get("seed"), pairs.get("signer_seed"), pairs.get("verify_key"));
            Content::SessionWanted(NoteTag(pairs.all("pair")[5][..8].try_into().unwrap()))
        }
        "homes" => Content::Homes(owner.mailbox(), homes()),
        "renewal" => Content::Renewal(3, Encapsulation::from_bytes(encapsulation).unwrap()),
        "renewal_prekey" => Content::RenewalPrekey(3, XWingSecret::from_seed(&secret(0x52)).public()),
        "audience_grant" => Content::AudienceGrant(Box::new(AudienceGrant {
            write_seed: secret(0x11),
            read_seed: secret(0x12),
            roster: RosterHash(second_roster_link(&first).short_hash().0),
            homes: homes(),
        })),
        "roster_link" => Content::RosterLink(second_roster_link(&first)),
        "further_device" => {
            let commit = zajil_proto::ids::sha256(&[b"zajil nonce", &[0x61; 32]]);
            Content::FurtherDevice(Box::new(bundle(0x65, commit)))
        }
        "note_withdrawn" => Content::NoteWithdrawn(NoteId(NOTE)),
        "digits_confirmed" => Content::DigitsConfirmed,
        "word_head" => Content::WordHead(WordHead { slot, version: 9, hash: [0, 1, 2, 3, 4, 5, 6, 7] }),
        "outer_key_in_use" => Content::OuterKeyInUse(3),
        "renewal_wanted" => Content::RenewalWanted(3),
        "out_of_hands" => Content::OutOfHands(OutOfHands { day: 20_778 }),
        other => panic!("the model has no {other}"),
    }
}

#[test]
fn every_kind_of_content() {
    let v = Vectors::read("contents");
    let kinds = [
        "session",
        "acknowledgement",
        "receipts",
        "pairing_answer",
        "slot_grant",
        "slot_revoked",
        "session_wanted",
        "homes",
        "renewal",
        "renewal_prekey",
        "audience_grant",
        "roster_link",
        "further_device",
        "note_withdrawn",
        "digits_confirmed",
        "word_head",
        "outer_key_in_use",
        "renewal_wanted",
        "out_of_hands",
    ];
    let limit = FrameSize::Large.contents_bytes_max();
    let encapsulation = v.get("renewal")[7..].to_vec();
    for (number, name) in kinds.into_iter().enumerate() {
        let row = v.get(name);
        assert_eq!(usize::from(row[0]), number + 1, "{name}");
        let expected = [content(name, &encapsulation)];
        assert!(decode_contents(row).unwrap() == expected, "{name}");
        assert_eq!(encode_contents(&expected, limit).unwrap(), row, "{name}");
    }
    let read = decode_contents(v.get("with_unknown")).unwrap();
    assert!(read == [Content::DigitsConfirmed, Content::OuterKeyInUse(3)]);
}

#[test]
fn links_codes_bundles_and_digits() {
    let v = Vectors::read("pairing_texts");
    let commit = v.array("commit");
    assert_eq!(commit, zajil_proto::ids::sha256(&[b"zajil nonce", v.get("inviter_nonce")]));
    for (device, commit, bytes, hash) in
        [(0x65, commit, "inviter_bundle", "inviter_hash"), (0x66, [0; 32], "replier_bundle", "replier_hash")]
    {
        let made = bundle(device, commit);
        assert_eq!(made.as_bytes(), v.get(bytes));
        let read = Bundle::verify(v.get(bytes)).unwrap();
        assert_eq!((read.hash(), read.facts().commit), (v.array(hash), commit));
        assert!(read.facts().device_key == public(device) && read.facts().homes == homes());
        assert_eq!(read.facts().olm_identity, [0x63; 32]);
        assert_eq!(read.facts().olm_one_time_key, [0x64; 32]);
    }
    let link = Link {
        expiry: Minute(v.minute("minute_of_invitation").0 + 7 * 24 * 60),
        home: homes().as_slice()[0].clone(),
        secret: v.secret("secret"),
        bundle_hash: v.array("inviter_hash"),
    };
    assert_eq!(link.to_text().as_str(), v.text("link"));
    assert!(Link::parse(v.text("link")).unwrap() == link);
    let code = ReturnCode { inviter: v.array("inviter_hash"), replier: v.array("replier_hash") };
    assert_eq!(code.to_text(), v.text("return_code"));
    assert!(ReturnCode::parse(v.text("return_code")).unwrap() == code);
    let digits = Digits::of(&code, &v.secret("inviter_nonce"), &v.secret("replier_nonce"));
    assert_eq!(digits.to_string(), v.text("digits"));
}

/// A box as P6.3 has it, put together from the provider's parts.
fn boxed(secret: &Secret, header: &Header, text: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    body.extend_from_slice(text);
    body.resize(4_080, 0);
    let key = RING.box_key(&header.id(), secret, b"zajil/1 pairing box");
    RING.seal(&key, [0; 12], &mut body);
    body
}

#[test]
fn an_invitation_and_a_reply_to_it() {
    let v = Vectors::read("pairing_parcels");
    let link = Link::parse(v.text("link")).unwrap();
    let secrets = PairingSecrets::of(&link.secret);
    for (owner, write, read) in
        [(&secrets.invitation, "invitation_write", "invitation_read"), (&secrets.reply, "reply_write", "reply_read")]
    {
        assert!(*owner.write_key.seed() == v.secret(write) && *owner.read_key.seed() == v.secret(read));
    }
    let header = Header::verify(&v.array("invitation_header")).unwrap();
    let opened = open_invitation(&RING, &link, &header, v.get("invitation_body")).unwrap();
    let body = boxed(&v.secret("invitation_box"), &header, opened.as_bytes());
    let marks = vec![zajil_proto::parcel::Mark::decode(&mut Reader::new(v.get("invitation_mark"))).unwrap()];
    check_parcel(&v, "invitation_", &SealedParcel { header, body, marks });

    let psk = v.secret("psk");
    let x_wing = XWingSecret::from_seed(&v.secret("x_wing_secret"));
    let mut chance = Dictated(v.get("randomness").to_vec());
    let (encapsulation, sealed, key) = seal_first(&mut chance, &x_wing.public(), &psk, v.get("reply_text")).unwrap();
    assert_eq!((encapsulation.as_bytes(), sealed.as_slice()), (v.get("encapsulation"), v.get("reply_sealed")));
    assert_eq!(key.0, v.secret("reply_outer_key"));
    let opened = open_first(&x_wing, &psk, &encapsulation, v.get("reply_sealed"));
    assert_eq!(opened, Ok((v.get("reply_text").to_vec().into(), key)));
    let reply = [v.get("encapsulation"), v.get("reply_sealed")].concat();
    let parcel = SigningKey::from_seed(&secret(0x13)).public();
    let (write, tag) = (&secrets.reply.write_key, secrets.reply.read_tag());
    let header = Header::sign(Class::Control, write, tag, parcel, Lifetime::PAIRING, 4_096);
    assert_eq!(boxed(&v.secret("reply_box"), &header, &reply), v.get("reply_body"));

    // The model has no Olm: everything around its message is accepted, and the message itself is not one.
    let mailbox = MailboxOwner::from_seeds(&v.secret("write_seed"), &v.secret("read_seed"));
    let kept =
        postcard::to_stdvec(&(&link, &bundle(0x65, v.array("commit")), &mailbox, v.secret("inviter_nonce"), &x_wing));
    let inviter: Inviter = postcard::from_bytes(&kept.unwrap()).unwrap();
    let mut device = device(&mut Seeded::new(1));
    let accepted = accept_reply(&RING, &inviter, &mut device, &header, v.get("reply_body"));
    assert_eq!(accepted.err(), Some(PairingError::Olm(OlmError::Malformed)));
}

#[test]
fn words_observations_and_link_reports() {
    let v = Vectors::read("word");
    let owner =
        SlotOwner { write_key: v.key("write_seed"), read_key: v.key("read_seed"), word_key: v.secret("word_key") };
    let minute = v.minute("minute");
    let mut random = Dictated(v.get("salt").to_vec());
    let grant = owner.grant(Precision::SixHours, homes());
    let mut previous: Option<Word> = None;
    for (version, name, text) in [(8, "first", "first_text"), (9, "second", "second_text")] {
        let said = LastWord {
            state: WordState::Well,
            minute: Some(minute),
            place: NonZeroU16::new(7),
            text: v.text(text).to_owned(),
        };
        let made = owner.seal(&mut random, version, previous.as_ref(), &said).unwrap();
        let mut writer = Writer::new();
        made.encode(&mut writer);
        assert_eq!(writer.as_bytes(), v.get(name));
        let read = Word::decode(&mut Reader::new(v.get(name))).unwrap();
        let opened = grant.open(&read).unwrap();
        assert!(opened.word == said && opened.version == version);
        assert!(previous.is_none_or(|previous| opened.follows(&previous)));
        previous = Some(read);
    }
    let first = Word::decode(&mut Reader::new(v.get("first"))).unwrap();
    assert_eq!(chain_hash(&first), v.array("first_chain_hash"));

    let relay = v.key("relay_seed");
    let made = Observation::sign(&relay, &owner.slot(), 9, minute, Precision::SixHours);
    let read = Observation::decode(&mut Reader::new(v.get("observation"))).unwrap();
    assert!(read == made && read.is_signed_by(&relay.public(), &owner.slot()));
    let report = LinkReport::decode(&mut Reader::new(v.get("link_report"))).unwrap();
    let [down, shaky] = report.links.as_slice() else { panic!("two links") };
    assert_eq!((down.link, down.state, down.checked), (1, LinkState::Down, minute));
    let since = Hour(read.hour.0 - 6);
    assert_eq!((shaky.link, shaky.state, shaky.since), (900, LinkState::ComesAndGoes, since));
    let mut writer = Writer::new();
    report.encode(&mut writer);
    assert_eq!(writer.as_bytes(), v.get("link_report"));
}

//! Nothing here prints: every public type of sealing shows its name, and no key, name, address or time.

use zajil_proto::codec::{Reader, Writer};
use zajil_proto::ids::{NoteId, RosterHash, SlotId};
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::parcel::SealedParcel;
use zajil_proto::sealing::chunks::{ChunkOpener, ChunkSealer};
use zajil_proto::sealing::content::{ContentReader, HeadCheck, Part};
use zajil_proto::sealing::contents::{
    AudienceGrant, Content, Receipt, ReceiptState, WordHead, decode_contents, encode_contents,
};
use zajil_proto::sealing::control::ControlFrame;
use zajil_proto::sealing::olm::{Account, OlmError, OlmMessage};
use zajil_proto::sealing::outer::{OuterKey, XWingSecret, renew};
use zajil_proto::sealing::pairing::{PairingSecrets, accept_reply, invite, open_invitation, reply};
use zajil_proto::sealing::roster::{Role, RosterLink};
use zajil_proto::sealing::seal::NoteContent;
use zajil_proto::sealing::word::{LastWord, SlotOwner, WordState};
use zajil_proto::sealing::{MailboxOwner, NoteOpener, NoteSealer, NoteSession, RING, ReceivedSession};
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{FrameBuffer, Precision};

use crate::support::{Line, NOW, Seeded, TOC, about, device, home, homes, tail};

#[test]
fn sessions_notes_and_their_parts_show_only_what_they_are() {
    let mut line = Line::new(1);
    let about = about(&mut line.random);
    let sealed = line.voice(&[vec![TOC; 90]]);
    let pair = line.session.take().unwrap();
    let tail = tail();
    let content = NoteContent::Text("secret");
    let id = sealed.parcel.header.id();
    let chunks = ChunkSealer::new(&RING, &pair.key, &id);
    let opener = ChunkOpener::new(&RING, &pair.key, &id, chunks.commitment()).unwrap();
    let note = NoteOpener::new(&RING, &sealed.parcel.header, &pair, line.verify_key());
    let check = HeadCheck { session: line.verify_key(), parcel: id, mailbox: line.owner.mailbox() };
    let reader = ContentReader::new(check);
    let shown = format!(
        "{:?} {:?} {pair:?} {about:?} {:?} {content:?} {sealed:?} {:?} {chunks:?} {opener:?} {note:?} \
         {check:?} {reader:?} {tail:?} {:?}",
        line.session,
        line.received,
        line.destination(),
        chunks.state(),
        Part::Text("secret".to_owned()),
    );
    assert_eq!(
        shown,
        "NoteSession(..) ReceivedSession(..) NotePair(..) About(..) Destination(..) NoteContent(..) SealedNote(..) \
         ChunkSealerState(..) ChunkSealer(..) ChunkOpener(..) NoteOpener(..) HeadCheck(..) ContentReader(..) Tail(..) \
         Part(..)"
    );
    let writer = line.writer.clone();
    let destination = zajil_proto::sealing::seal::Destination { to: &writer, lifetime: Lifetime::DEFAULT };
    let codec = (zajil_proto::sealing::Codec::Default, TOC);
    let live = NoteSealer::begin(&RING, &mut line.random, &line.session, pair, destination, &about, codec);
    let shown = format!("{live:?} {:?} {:?} {:?}", live.state(), line.owner, line.writer);
    assert_eq!(shown, "NoteSealer(..) NoteSealerState(..) MailboxOwner(..) MailboxWriter(..)");
}

#[test]
fn pairing_and_control_show_only_what_they_are() {
    let mut random = Seeded::new(2);
    let (mut one, mut two) = (device(&mut random), device(&mut random));
    let invited = invite(&RING, &mut random, &mut one, &home("camp"), &homes("camp"), NOW);
    let (link, parcel) = (&invited.inviter.link, &invited.parcel);
    let bundle = open_invitation(&RING, link, &parcel.header, &parcel.body).unwrap();
    let replied = reply(&RING, &mut random, &mut two, (link, &bundle), &homes("town"), &[], NOW).unwrap();
    let (header, body) = (&replied.parcel.header, &replied.parcel.body);
    let accepted = accept_reply(&RING, &invited.inviter, &mut one, header, body).unwrap();
    let shown = format!(
        "{one:?} {invited:?} {:?} {link:?} {:?} {:?} {bundle:?} {:?} {replied:?} {:?} {:?} {:?} \
         {accepted:?} {:?} {:?} {:?}",
        invited.inviter,
        link.home,
        link.home.address,
        bundle.facts(),
        replied.replier,
        replied.pair,
        replied.replier.return_code(),
        accepted.digits,
        accepted.answer,
        PairingSecrets::of(&link.secret),
    );
    assert_eq!(
        shown,
        "DeviceIdentity(..) Invited(..) Inviter(..) Link(..) HomeRelay(..) Address(..) Bundle(..) BundleFacts(..) \
         Replied(..) Replier(..) Pair(..) ReturnCode(..) Accepted(..) Digits(..) Content(..) PairingSecrets(..)"
    );
}

#[test]
fn keys_words_and_frames_show_only_what_they_are() {
    let mut random = Seeded::new(3);
    let x_wing = XWingSecret::draw(&mut random);
    let key = OuterKey(Secret([1; 32]));
    let (encapsulation, _) = renew(&mut random, &x_wing.public(), &key).unwrap();
    let slot = SlotOwner::draw(&mut random);
    let word = LastWord { state: WordState::Well, minute: Some(NOW), place: None, text: "secret".to_owned() };
    let grant = slot.grant(Precision::Day, homes("camp"));
    let opened = grant.open(&slot.seal(&mut random, 1, None, &word).unwrap()).unwrap();
    let message = OlmMessage { kind: 1, bytes: vec![1] };
    let frame = ControlFrame { number: 1, message: message.clone() };
    let (one, other) = (zajil_proto::keys::VerifyingKey([1; 32]), zajil_proto::keys::VerifyingKey([2; 32]));
    let (keys, public) = (zajil_proto::sealing::OuterKeys::first(key.clone(), &one, &other), x_wing.public());
    let shown = format!(
        "{x_wing:?} {public:?} {key:?} {keys:?} {encapsulation:?} {slot:?} {word:?} {grant:?} {opened:?} \
         {message:?} {frame:?} {:?}",
        homes("camp"),
    );
    assert_eq!(
        shown,
        "XWingSecret(..) XWingPublic(..) OuterKey(..) OuterKeys(..) Encapsulation(..) SlotOwner(..) LastWord(..) \
         SlotGrant(..) OpenedWord(..) OlmMessage(..) ControlFrame(..) Homes(..)"
    );
}

/// What bytes go through on their way in and out shows none of them.
#[test]
fn readers_writers_and_buffers_show_no_byte_of_what_they_hold() {
    let mut writer = Writer::new();
    writer.bytes(b"secret");
    let mut buffer = FrameBuffer::default();
    buffer.push(b"secret");
    assert_eq!(format!("{writer:?} {:?} {buffer:?}", Reader::new(b"secret")), "Writer(..) Reader(..) FrameBuffer(..)");
}

#[test]
fn what_families_and_receipts_carry_shows_only_what_it_is() {
    let owner = MailboxOwner::draw(&mut Seeded::new(6));
    let roster = RosterHash([7; 8]);
    let (write_seed, read_seed) = (owner.write_key.seed().clone(), owner.read_key.seed().clone());
    let grant = AudienceGrant { write_seed, read_seed, roster, homes: homes("camp") };
    let head = WordHead { slot: SlotId([1; 16]), version: 9, hash: [2; 8] };
    let receipt = Receipt { note: NoteId([3; 8]), state: ReceiptState::Heard };
    let founder = SigningKey::from_seed(&Secret([4; 32]));
    let link = RosterLink::sign(&founder, [0; 32], 0, [(founder.public(), Role::Founder)]);
    let shown =
        format!("{grant:?} {head:?} {receipt:?} {link:?} {:?}", Content::AudienceGrant(Box::new(grant.clone())));
    assert_eq!(shown, "AudienceGrant(..) WordHead(..) Receipt(..) RosterLink(..) Content(..)");
}

/// The errors of Olm, as vodozemac words them, name keys. Ours do not.
#[test]
fn errors_name_no_key() {
    let (alice, mut bob, eve) = (Account::new(), Account::new(), Account::new());
    let first = alice.outbound(bob.identity(), bob.one_time_key()).unwrap().encrypt(b"x").unwrap();
    let error = bob.inbound(eve.identity(), &first).err().unwrap();
    assert_eq!(error, OlmError::WrongIdentity);
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(text.len() < 60 && !text.contains('('), "{text}");
    }
}

#[test]
fn a_sealed_parcel_shows_no_key_of_its_mailbox() {
    let mut line = Line::new(4);
    let SealedParcel { header, .. } = line.voice(&[vec![TOC; 90]]).parcel;
    assert_eq!(format!("{header:?}"), "Header { class: Voice, lifetime: Lifetime(720), .. }");
}

/// A grant that is read back is the one written: what tests above compare by their `Debug` would not show a difference.
#[test]
fn contents_are_compared_by_value_and_not_by_what_they_show() {
    let mut random = Seeded::new(5);
    let mailbox = MailboxOwner::draw(&mut random).mailbox();
    let draw = |random: &mut Seeded| Content::Session(NoteSession::draw(random, mailbox, NOW, Lifetime::DEFAULT).1);
    let (one, two) = (draw(&mut random), draw(&mut random));
    assert_ne!(one, two);
    let row = encode_contents(&[one.clone(), two.clone()], 300).unwrap();
    let read = decode_contents(&row).unwrap();
    assert!(read == [one.clone(), two]);
    let Content::Session(grant) = one else { panic!("a session was written") };
    assert_eq!(ReceivedSession::from_grant(&grant).tags().count(), 32);
}

/// The provider that hides nothing is for packages of tests. Nothing that is shipped may ask for it.
#[test]
fn no_program_can_link_the_fake_provider() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let asks = |package: &str| {
        std::fs::read_to_string(root.join(package).join("Cargo.toml")).unwrap().contains("fake-sealing")
    };
    assert!(asks("proto"), "the feature has another name now");
    for package in ["net", "server", "client", "xtask", "."] {
        assert!(!asks(package), "{package} asks for fake-sealing");
    }
}

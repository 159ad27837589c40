//! The golden vectors of `proto/vectors/sealing_*.txt`, which an independent model made: each is read, and made again
//! byte for byte. They fix version 1; a change here is a change of the protocol.

use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use zajil_proto::codec::{Reader, Writer};
use zajil_proto::ids::{MailboxId, NoteId, ParcelId, ReadTag, RelayHash, RosterHash, SlotId, sha256};
use zajil_proto::keys::{Secret, SigningKey, VerifyingKey};
use zajil_proto::parcel::{Assembly, Class, Header, Mark, SealedParcel};
use zajil_proto::random::Random;
use zajil_proto::sealing::chunks::{ChunkOpener, ChunkSealer};
use zajil_proto::sealing::content::{NoteKind, Part, PartOf};
use zajil_proto::sealing::control::{ControlFrame, FrameSize, open_control, seal_control};
use zajil_proto::sealing::olm::OlmMessage;
use zajil_proto::sealing::outer::{
    Encapsulation, OuterKey, XWingSecret, accept_renewal, open_first, renew, seal_first,
};
use zajil_proto::sealing::padding::padded;
use zajil_proto::sealing::seal::{About, Destination, Grown, NoteContent, seal_note};
use zajil_proto::sealing::{
    Address, Codec, HomeRelay, Homes, MailboxOwner, NoteOpener, NoteSealer, NoteSession, RING, ReceivedSession, Tail,
};
use zajil_proto::time::{Lifetime, Minute};

/// One file of `name = hex` lines; a name may stand several times. Every name must be asked for.
pub(crate) struct Vectors {
    file: String,
    values: BTreeMap<String, Vec<Vec<u8>>>,
    asked: RefCell<BTreeSet<String>>,
}

impl Vectors {
    pub(crate) fn read(file: &str) -> Self {
        let path = format!("{}/vectors/sealing_{file}.txt", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let mut values: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, hex) = line.split_once(" =").unwrap();
            let hex = data_encoding::HEXLOWER.decode(hex.trim().as_bytes()).unwrap();
            values.entry(name.to_owned()).or_default().push(hex);
        }
        Self { file: file.to_owned(), values, asked: RefCell::default() }
    }

    pub(crate) fn all(&self, name: &str) -> &[Vec<u8>] {
        self.asked.borrow_mut().insert(name.to_owned());
        let found = self.values.get(name);
        found.unwrap_or_else(|| panic!("no {name} in {}", self.file))
    }

    pub(crate) fn get(&self, name: &str) -> &[u8] {
        &self.all(name)[0]
    }

    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.get(name).try_into().unwrap()
    }

    pub(crate) fn secret(&self, name: &str) -> Secret {
        Secret(self.array(name))
    }

    pub(crate) fn key(&self, name: &str) -> SigningKey {
        SigningKey::from_seed(&self.secret(name))
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        core::str::from_utf8(self.get(name)).unwrap()
    }

    pub(crate) fn minute(&self, name: &str) -> Minute {
        Minute(u32::from_be_bytes(self.array(name)))
    }

    pub(crate) fn owner(&self) -> MailboxOwner {
        MailboxOwner::from_seeds(&self.secret("write_seed"), &self.secret("read_seed"))
    }
}

impl Drop for Vectors {
    /// A vector that no test looked at fixes nothing.
    fn drop(&mut self) {
        let known: BTreeSet<&String> = self.values.keys().collect();
        let asked = self.asked.borrow();
        if !std::thread::panicking() {
            assert_eq!(known, asked.iter().collect(), "{}", self.file);
        }
    }
}

/// Chance that was written down: gives these bytes and no others.
pub(crate) struct Dictated(pub(crate) Vec<u8>);

impl Random for Dictated {
    fn fill(&mut self, bytes: &mut [u8]) {
        let rest = self.0.split_off(bytes.len());
        bytes.copy_from_slice(&self.0);
        self.0 = rest;
    }
}

pub(crate) fn homes() -> Homes {
    let home = |byte, address| HomeRelay {
        key: SigningKey::from_seed(&Secret([byte; 32])).public(),
        address: Address::parse(address).unwrap(),
    };
    Homes::new(vec![home(0x71, "relay.example:443"), home(0x72, "[2001:db8::1]:8443")]).unwrap()
}

#[test]
fn names_and_headers() {
    let v = Vectors::read("names");
    let owner = v.owner();
    let (write, tag) = (owner.write_key.public(), owner.read_tag());
    let parcel = v.key("parcel_seed");
    assert_eq!(write.0, v.array("write_key"));
    assert!(tag == ReadTag(v.array("read_tag")) && owner.mailbox() == MailboxId(v.array("mailbox")));
    assert!(SlotId::of(&write, &tag) == SlotId(v.array("slot")));
    assert!(parcel.public() == VerifyingKey(v.array("parcel_key")));
    assert!(ParcelId::of(&parcel.public()) == ParcelId(v.array("parcel_id")));
    assert!(RelayHash::of(&homes().as_slice()[0].key) == RelayHash(v.array("relay_hash")));
    for (name, class, hours, length) in [
        ("header_text_720_hours_1234_bytes", Class::Text, 720, 1_234),
        ("header_voice_2160_hours_open", Class::Voice, 2_160, 0),
    ] {
        let read = Header::verify(&v.array(name)).unwrap();
        assert_eq!((read.class(), read.lifetime().hours()), (class, hours));
        assert_eq!(read.sealed_length().unwrap_or_default(), length);
        let lifetime = Lifetime::from_hours(hours).unwrap();
        let made = Header::sign(class, &owner.write_key, tag, parcel.public(), lifetime, length);
        assert!(made == read);
    }
}

#[test]
fn a_session_expands_to_its_pairs() {
    let v = Vectors::read("session");
    let mut random = Dictated([v.get("seed"), v.get("signer_seed")].concat());
    let (mut session, grant) = NoteSession::draw(&mut random, MailboxId([0; 16]), Minute(0), Lifetime::DEFAULT);
    assert!(grant.verify_key == VerifyingKey(v.array("verify_key")));
    for pair in v.all("pair") {
        let taken = session.take().unwrap();
        assert_eq!([taken.tag.0.as_slice(), &taken.key.0].concat(), *pair);
    }
    assert_eq!((session.remaining(), v.all("pair").len()), (0, 32));
}

#[test]
fn a_stream_of_chunks() {
    let v = Vectors::read("chunks");
    let (key, id) = (v.secret("note_key"), ParcelId(v.array("parcel_id")));
    let (commitment, sealed) = v.get("body_after_tag").split_at(32);
    let mut sealer = ChunkSealer::new(&RING, &key, &id);
    assert_eq!(sealer.commitment(), commitment);
    let mut made = sealer.push(v.get("content"));
    made.extend(sealer.finish());
    assert_eq!(made, sealed);
    let mut opener = ChunkOpener::new(&RING, &key, &id, commitment.try_into().unwrap()).unwrap();
    let mut opened = Vec::new();
    opener.push(sealed, true, &mut opened).unwrap();
    assert_eq!(opened, v.get("content"));
}

#[test]
fn lengths_of_padded_content() {
    let v = Vectors::read("padding");
    for pad in v.all("pad") {
        let mut reader = Reader::new(pad);
        let length = |reader: &mut Reader<'_>| usize::try_from(reader.u32().unwrap()).unwrap();
        let (from, to) = (length(&mut reader), length(&mut reader));
        assert_eq!(padded(from), to, "{from}");
    }
}

/// A note of a file: what it is sealed from, and what it must become.
struct NoteVector {
    v: Vectors,
    owner: MailboxOwner,
    session: NoteSession,
    received: ReceivedSession,
    random: Dictated,
    about: About,
}

impl NoteVector {
    fn read(file: &str, keep_days: u8, roster: Option<RosterHash>, part: PartOf) -> Self {
        let v = Vectors::read(file);
        let owner = v.owner();
        let chance = [v.get("session_seed"), v.get("signer_seed"), v.get("parcel_seed")].concat();
        let mut random = Dictated(chance);
        let minute = v.minute("minute");
        let (session, grant) = NoteSession::draw(&mut random, owner.mailbox(), minute, Lifetime::DEFAULT);
        let about = About { note: NoteId(v.array("note")), minute, keep_days, roster, part };
        Self { v, owner, session, received: ReceivedSession::from_grant(&grant), random, about }
    }

    fn seal(&mut self, content: NoteContent<'_>) -> SealedParcel {
        let pair = self.session.take().unwrap();
        let destination = Destination { to: &self.owner.writer(), lifetime: Lifetime::DEFAULT };
        let random = &mut self.random;
        seal_note(&RING, random, &self.session, pair, destination, &self.about, content).unwrap().parcel
    }

    /// Holds the sealed parcel against the file, and opens the file's.
    fn check(&self, made: &SealedParcel) -> Vec<Part> {
        check_parcel(&self.v, "", made);
        let header = Header::verify(&self.v.array("header")).unwrap();
        let body = self.v.get("body");
        let pair = self.received.find(&zajil_proto::sealing::note::body_tag(body).unwrap()).unwrap();
        // What the seal holds is the file's content, and that begins with the file's head.
        let commitment = body[8..40].try_into().unwrap();
        let mut opener = ChunkOpener::new(&RING, &pair.key, &header.id(), &commitment).unwrap();
        let mut content = Vec::new();
        opener.push(&body[40..], true, &mut content).unwrap();
        assert_eq!(content, self.v.get("content"));
        assert!(content.starts_with(self.v.get("head")));
        let mut opener = NoteOpener::new(&RING, &header, pair, self.received.verify_key);
        opener.push(body, true).unwrap();
        core::iter::from_fn(|| opener.next_part().unwrap()).collect()
    }
}

/// Holds header, body and marks against a file's, and lets an assembly check the file's as a relay does.
pub(crate) fn check_parcel(v: &Vectors, prefix: &str, made: &SealedParcel) {
    let name = |name: &str| format!("{prefix}{name}");
    assert_eq!(made.header.as_bytes().as_slice(), v.get(&name("header")));
    assert_eq!(made.body, v.get(&name("body")));
    let mut assembly = Assembly::new(Header::verify(&v.array(&name("header"))).unwrap());
    let mut start = 0;
    for (mark, made) in v.all(&name("mark")).iter().zip(&made.marks) {
        let mut writer = Writer::new();
        made.encode(&mut writer);
        assert_eq!(writer.as_bytes(), mark);
        let mark = Mark::decode(&mut Reader::new(mark)).unwrap();
        let end = usize::try_from(mark.end).unwrap();
        let offset = u32::try_from(start).unwrap();
        assembly.take(offset, &v.get(&name("body"))[start..end]).unwrap();
        assert!(assembly.mark(&mark).unwrap());
        start = end;
    }
    assert!(assembly.is_closed());
    assert_eq!(v.all(&name("mark")).len(), made.marks.len());
}

fn tail(v: &Vectors) -> Tail {
    let peaks: [u8; 48] = v.array("peaks");
    let tail = Tail { duration_millis: 3_120, loudness: 19, waveform: Tail::waveform(&peaks) };
    assert_eq!(tail.peaks(), peaks);
    assert_eq!(&tail.encode()[1..], v.get("tail"));
    tail
}

fn check_voice(vector: &NoteVector, made: &SealedParcel, flags: u8) {
    let v = &vector.v;
    let parts = vector.check(made);
    let [Part::Head(head), packets @ .., Part::Tail(found)] = parts.as_slice() else {
        panic!("a head, packets, a tail")
    };
    assert_eq!([flags], v.array("flags"));
    let [toc] = v.array("toc");
    let codec = Codec::Default;
    assert_eq!(head.kind, NoteKind::Voice { codec, toc });
    assert_eq!((head.live, head.number), (flags & 1 == 1, 0));
    assert!(head.note == vector.about.note && head.minute == vector.about.minute);
    assert_eq!((head.keep_days, head.part), (vector.about.keep_days, vector.about.part));
    let roster = head.roster.map(|roster| roster.0.to_vec()).unwrap_or_default();
    assert_eq!(roster, v.get("roster"));
    assert!(*found == tail(v));
    assert_eq!(packets.len(), v.all("packet").len());
    for (part, packet) in packets.iter().zip(v.all("packet")) {
        assert!(matches!(part, Part::Packet(bytes) if *bytes == packet[1..]));
    }
}

#[test]
fn voice_notes() {
    for (file, flags, part) in [("voice", 2, PartOf::Whole), ("voice_full", 8, PartOf::Full)] {
        let roster = (flags & 2 != 0).then_some(RosterHash([0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47]));
        let mut vector = NoteVector::read(file, 7, roster, part);
        let (packets, tail) = (vector.v.all("packet").to_vec(), tail(&vector.v));
        let made = vector.seal(NoteContent::Voice { codec: Codec::Default, packets: &packets, tail: &tail });
        check_voice(&vector, &made, flags);
    }
}

#[test]
fn a_live_voice_note() {
    let mut vector = NoteVector::read("voice_live", 7, None, PartOf::Whole);
    let (packets, tail) = (vector.v.all("packet").to_vec(), tail(&vector.v));
    let pair = vector.session.take().unwrap();
    let destination = Destination { to: &vector.owner.writer(), lifetime: Lifetime::DEFAULT };
    let [toc] = vector.v.array("toc");
    let (random, session) = (&mut vector.random, &vector.session);
    let codec = (Codec::Default, toc);
    let mut sealer = NoteSealer::begin(&RING, random, session, pair, destination, &vector.about, codec);
    let header = sealer.header().clone();
    let mut grown: Vec<Grown> = packets.iter().map(|packet| sealer.push(packet).unwrap()).collect();
    grown.push(sealer.finish(&tail));
    let made = SealedParcel {
        header,
        body: grown.iter().flat_map(|grown| grown.body.clone()).collect(),
        marks: grown.into_iter().flat_map(|grown| grown.marks).collect(),
    };
    assert!(made.marks.len() > 1);
    check_voice(&vector, &made, 1);
}

#[test]
fn a_text_note() {
    let mut vector = NoteVector::read("text", 0, None, PartOf::Thumbnail);
    let text = vector.v.text("text").to_owned();
    let made = vector.seal(NoteContent::Text(&text));
    let parts = vector.check(&made);
    assert!(matches!(parts.as_slice(), [Part::Head(head), Part::Text(found)]
        if *found == text && head.kind == NoteKind::Text && head.part == PartOf::Thumbnail));
}

#[test]
fn control_frames() {
    let v = Vectors::read("control");
    let outer = OuterKey(v.secret("outer_key"));
    for (name, size) in [("small", FrameSize::Small), ("large", FrameSize::Large)] {
        let [kind] = v.array(&format!("{name}_kind"));
        let frame = ControlFrame {
            number: u32::from_be_bytes(v.array(&format!("{name}_number"))),
            message: OlmMessage { kind, bytes: v.get(&format!("{name}_message")).to_vec() },
        };
        let destination = Destination { to: &v.owner().writer(), lifetime: Lifetime::DEFAULT };
        let mut random = Dictated(v.get("parcel_seed").to_vec());
        let made = seal_control(&RING, &mut random, &outer, destination, &frame, size).unwrap();
        check_parcel(&v, &format!("{name}_"), &made);
        let opened = open_control(&RING, [&outer], &made.header.id(), v.get(&format!("{name}_body")));
        assert_eq!(opened, Ok((frame, 0)));
    }
}

#[test]
fn outer_keys() {
    let v = Vectors::read("outer");
    let secret = XWingSecret::from_seed(&v.secret("x_wing_secret"));
    let public = secret.public();
    assert_eq!(public.as_bytes(), v.get("x_wing_public"));
    let chance = || Dictated(v.get("randomness").to_vec());
    let (psk, previous) = (v.secret("psk"), OuterKey(v.secret("previous_outer_key")));
    let (first, renewed) = (OuterKey(v.secret("outer_key")), OuterKey(v.secret("renewed_outer_key")));
    let (encapsulation, sealed, key) = seal_first(&mut chance(), &public, &psk, v.get("text")).unwrap();
    assert_eq!((encapsulation.as_bytes(), sealed.as_slice()), (v.get("encapsulation"), v.get("sealed")));
    assert_eq!(key, first);
    assert_eq!(renew(&mut chance(), &public, &previous), Ok((encapsulation, renewed.clone())));
    let read = Encapsulation::from_bytes(v.get("encapsulation")).unwrap();
    assert_eq!(open_first(&secret, &psk, &read, v.get("sealed")), Ok((v.get("text").to_vec().into(), first)));
    assert_eq!(accept_renewal(&secret, &previous, &read), Ok(renewed));
}

/// The published X-Wing vectors, as far as they can be driven through what we use of it: the same secret gives their public
/// key, their randomness their encapsulation, and their shared secret the outer key that the model computes of it.
#[test]
fn the_drafts_x_wing_vectors_give_the_outer_keys_of_the_model() {
    let v = Vectors::read("x_wing_draft");
    let (psk, text) = (Secret([0x54; 32]), b"first notes");
    for place in 0..v.all("secret").len() {
        let at = |name: &str| v.all(name)[place].clone();
        let secret = XWingSecret::from_seed(&Secret(at("secret").try_into().unwrap()));
        assert_eq!(sha256(&[secret.public().as_bytes()]).to_vec(), at("public_hash"));
        let made = seal_first(&mut Dictated(at("randomness")), &secret.public(), &psk, text).unwrap();
        let (encapsulation, sealed, key) = made;
        assert_eq!(sha256(&[encapsulation.as_bytes()]).to_vec(), at("encapsulation_hash"));
        let outer = OuterKey(Secret(at("outer_key").try_into().unwrap()));
        assert!(sealed == at("sealed") && key == outer);
        assert_eq!(open_first(&secret, &psk, &encapsulation, &sealed), Ok((text.to_vec().into(), outer)));
    }
    assert_eq!(v.all("secret").len(), 3);
}

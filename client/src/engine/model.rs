//! What a device keeps, record by record. Each is sealed at rest by the store; none prints.

use serde::{Deserialize, Serialize};
use zajil_proto::codec::{Reader, Writer};
use zajil_proto::ids::{Epoch, MailboxId, NoteId, NoteTag, ParcelId};
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::parcel::{HEADER_BYTES, Header, MARK_BYTES, Mark, Resumed};
use zajil_proto::random::Random;
use zajil_proto::sabotaged;
use zajil_proto::sealing::contents::{OutOfHands, SlotGrant};
use zajil_proto::sealing::olm::{Account, Session as OlmSession};
use zajil_proto::sealing::pairing::{Inviter, Replier};
use zajil_proto::sealing::word::SlotOwner;
use zajil_proto::sealing::{
    DeviceIdentity, HomeRelay, Homes, Link, MailboxOwner, MailboxWriter, NoteSession, OuterKeys, ReceivedSession,
};
use zajil_proto::time::{Lifetime, Minute};
use zajil_proto::wire::Word;

use super::api::{LinkView, NoteMark, Receipts, SeenPrecision, Voice, WaitReason};
use super::fading::Choices;
use super::lived::{Lived, Moment};
use crate::store::{Kind, Record};

macro_rules! records {
    (version $version:literal: $($name:ident => $kind:ident),+ $(,)?) => {$(
        impl Record for $name {
            const KIND: Kind = Kind::$kind;
            const VERSION: u8 = $version;
        }

        impl std::fmt::Debug for $name {
            /// What it holds is about people: it never prints.
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+};
}

records! {
    version 1:
    Profile => Profile,
    Note => Note,
    Recording => Recording,
    Outgoing => Outgoing,
    Incoming => Incoming,
    KnownSession => ReceivedSession,
    KnownRelay => Relay,
    KeptRelease => Release,
    Disappearing => Setting,
    Countdown => Countdown,
}

records! {
    // 2: outer keys that are renewed, and phones that were out of their owners' hands. Nothing was released with version 1.
    version 2:
    Contact => Contact,
}

/// This device.
#[derive(Serialize, Deserialize)]
pub(crate) struct Profile {
    /// Its keys.
    pub(crate) identity: DeviceIdentity,
    /// Where its mailboxes live.
    pub(crate) home: HomeRelay,
    /// What that relay asks for when registering.
    pub(crate) admission: String,
    /// The next contact's key in the store.
    pub(crate) next_contact: u32,
    /// The next note's number.
    pub(crate) next_note: u32,
    /// Slots nobody may read any more, to be dropped at the home.
    pub(crate) dropped_slots: Vec<SlotOwner>,
}

impl Profile {
    /// Draws the keys of a new device.
    pub(crate) fn draw(random: &mut dyn Random, home: HomeRelay, admission: String) -> Self {
        let identity = DeviceIdentity { key: SigningKey::draw(random), account: Account::new() };
        Self { identity, home, admission, next_contact: 0, next_note: 1, dropped_slots: Vec::new() }
    }
}

/// A person, as far as this device knows them.
#[derive(Serialize, Deserialize)]
pub(crate) struct Contact {
    /// The name on this device.
    pub(crate) name: String,
    /// How far the pairing is.
    pub(crate) stage: Stage,
    /// Secret of a pairing that is over: both its mailboxes are to be dropped at the home.
    pub(crate) retired: Option<Secret>,
    /// Whether the digits were compared, or the pairing was in person.
    pub(crate) confirmed: bool,
    /// Receipts they get.
    pub(crate) receipts: Receipts,
    /// What they may see.
    pub(crate) seen: SeenPrecision,
    /// Where they write to this device.
    pub(crate) own: MailboxOwner,
    /// Store epoch of the home at which `own` was registered.
    pub(crate) registered: Option<Epoch>,
    /// Where this device writes to them.
    pub(crate) peer: Option<Peer>,
    /// The digits to compare, once both nonces are known.
    pub(crate) digits: Option<String>,
    /// Hashes of the inviter's and the replier's bundle.
    pub(crate) bundles: Option<([u8; 32], [u8; 32])>,
    /// Keys of control frames.
    pub(crate) control: Option<Control>,
    /// The session in which notes to them are sealed.
    pub(crate) session: Option<NoteSession>,
    /// The slot in which this device leaves its word for them.
    pub(crate) slot: Option<OwnSlot>,
    /// The slot in which they leave theirs.
    pub(crate) granted: Option<Granted>,
    /// Number of the latest of their frames that granted or took back a slot.
    pub(crate) slot_told: Option<u32>,
    /// When anything last came from them.
    pub(crate) news: Option<Minute>,
    /// Receipts not told yet, and when they are due.
    pub(crate) owed: Vec<(NoteId, bool)>,
    /// When the receipts, or an acknowledgement, should leave at the latest.
    pub(crate) due: Option<Minute>,
    /// Notes sent to them so far.
    pub(crate) notes_sent: u32,
    /// When their phone was out of their hands, as they last said.
    pub(crate) out_of_hands: Option<OutOfHands>,
    /// When this one was, as they were last told.
    pub(crate) told_out_of_hands: Option<OutOfHands>,
}

/// How far a pairing is.
#[derive(Serialize, Deserialize)]
pub(crate) enum Stage {
    /// This device made a link.
    Invited {
        /// The inviter's state, link included.
        inviter: Box<Inviter>,
        /// Hash of the replier's bundle as its screen showed it, if that was scanned before the reply came.
        shown: Option<[u8; 32]>,
    },
    /// This device took up a link and fetches what it leads to.
    Fetching {
        /// The link.
        link: Box<Link>,
        /// Whether it was scanned from the other person's screen.
        in_person: bool,
    },
    /// This device has answered; the inviter has not come by.
    Replied {
        /// The link.
        link: Box<Link>,
        /// The replier's state.
        replier: Box<Replier>,
        /// Whether the relay has the reply durably.
        stored: bool,
    },
    /// Both ends hold keys.
    Paired,
    /// Nobody answered in time, or somebody else did.
    Over,
}

/// Where and how a contact is written to.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Peer {
    /// The right to write.
    pub(crate) writer: MailboxWriter,
    /// Where that is.
    pub(crate) homes: Homes,
}

/// The control frames of a pair.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Control {
    /// The Olm session.
    pub(crate) olm: OlmSession,
    /// The keys around it.
    pub(crate) outer: OuterKeys,
    /// When these last changed, or something was told to renew them.
    pub(crate) renewed: Moment,
    /// Number of the next frame to them.
    pub(crate) next: u32,
    /// The chain of the last frame to them.
    pub(crate) chain: Option<[u8; 32]>,
    /// With which frames to them the newest chains began.
    pub(crate) chains: Vec<u32>,
    /// Lowest number from them not held yet.
    pub(crate) expected: u32,
    /// Bit k: `expected + 1 + k` is held.
    pub(crate) held: u32,
    /// Whether they wait for an acknowledgement.
    pub(crate) owes_acknowledgement: bool,
    /// What `expected` was when it was last told them.
    pub(crate) acknowledged: u32,
    /// Contents, encoded, that wait because too many frames are unacknowledged (P5.3).
    pub(crate) pending: Vec<Vec<u8>>,
}

/// The slot of this device's word for one contact.
#[derive(Serialize, Deserialize)]
pub(crate) struct OwnSlot {
    /// Its keys.
    pub(crate) owner: SlotOwner,
    /// What relays may tell.
    pub(crate) precision: SeenPrecision,
    /// The newest word, encoded.
    pub(crate) newest: Option<Vec<u8>>,
    /// Whether a relay has the newest word durably.
    pub(crate) stored: bool,
    /// Store epoch at which the slot was registered with this precision.
    pub(crate) registered: Option<Epoch>,
}

/// The slot of a contact's word for this device.
#[derive(Serialize, Deserialize)]
pub(crate) struct Granted {
    /// The grant.
    pub(crate) grant: SlotGrant,
    /// The newest word known, encoded.
    pub(crate) newest: Option<Vec<u8>>,
    /// Version, bucket hour and width of the newest observation known.
    pub(crate) observed: Option<(u64, u32, u8)>,
    /// When the relay last answered.
    pub(crate) checked: Option<Minute>,
    /// The relay's last answer was older than `newest`.
    pub(crate) relay_is_older: bool,
    /// Links the relay last reported.
    pub(crate) links: Vec<LinkView>,
}

/// Writes a word's 320 bytes.
pub(crate) fn encode_word(word: &Word) -> Vec<u8> {
    let mut writer = Writer::new();
    word.encode(&mut writer);
    writer.into_bytes()
}

/// Reads a word back.
pub(crate) fn decode_word(bytes: &[u8]) -> Option<Word> {
    Word::decode(&mut Reader::new(bytes)).ok()
}

/// A note as this device lists it.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Note {
    /// Key of the contact in the store.
    pub(crate) contact: u32,
    /// Whether it goes out.
    pub(crate) outgoing: bool,
    /// Unique for its sender.
    pub(crate) id: NoteId,
    /// The parcel it travels in.
    pub(crate) parcel: ParcelId,
    /// By the sender's clock.
    pub(crate) recorded: Minute,
    /// By this device's clock.
    pub(crate) arrived: Minute,
    /// 0 while unknown.
    pub(crate) duration_millis: u32,
    /// How far it has come.
    pub(crate) mark: NoteMark,
    /// Bytes of the sealed body, 0 while unknown.
    pub(crate) sealed_bytes: u32,
    /// Where it stands among its sender's notes.
    pub(crate) sequence: u32,
}

/// The recording of a note, opened: kept apart so that listing notes does not read it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Recording {
    pub(crate) voice: Voice,
}

/// What an outgoing parcel carries.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
pub(crate) enum Cargo {
    /// A note, by its number.
    Note(u32),
    /// A control frame, by its number.
    Frame {
        /// Its number.
        number: u32,
    },
    /// The invitation behind a link.
    Invitation,
    /// The reply to one.
    Reply,
}

/// A sealed parcel on its way out. Its body is a record of its own.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Outgoing {
    /// Key of the contact in the store.
    pub(crate) contact: u32,
    /// Where it goes.
    pub(crate) home: HomeRelay,
    /// What it carries.
    pub(crate) cargo: Cargo,
    /// The 152 bytes.
    pub(crate) header: Vec<u8>,
    /// All marks, encoded one after the other.
    pub(crate) marks: Vec<u8>,
    /// Length of the body.
    pub(crate) length: u32,
    /// Bytes durable at the relay.
    pub(crate) durable: u32,
    /// Store epoch of the relay that has it, and when it said so, on that relay's count.
    pub(crate) stored: Option<(Epoch, Moment)>,
    /// Since when it may have it whole without this device having heard so, on the same count.
    pub(crate) perhaps: Option<Moment>,
    /// Why it waits.
    pub(crate) waits: Option<WaitReason>,
    /// When it was sealed.
    pub(crate) sealed_at: Minute,
}

impl Outgoing {
    pub(crate) fn header(&self) -> Option<Header> {
        let bytes: [u8; HEADER_BYTES] = self.header.as_slice().try_into().ok()?;
        Header::trusted(&bytes).ok()
    }

    pub(crate) fn marks(&self) -> Vec<Mark> {
        decode_marks(&self.marks)
    }

    /// Returns whether a relay whose store has this epoch is to be offered it: a new store has lost what an old one had.
    pub(crate) fn is_due(&self, epoch: Epoch) -> bool {
        self.stored.is_none_or(|(stored, _)| stored != epoch && !sabotaged!(EpochIgnored))
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.header().map_or(Lifetime::DEFAULT, |header| header.lifetime())
    }

    pub(crate) fn lifetime_minutes(&self) -> u32 {
        u32::from(self.lifetime().hours()) * 60
    }
}

/// A parcel on its way in. Its body is kept in records of their own, by offset.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Incoming {
    /// Key of the contact in the store.
    pub(crate) contact: u32,
    /// The mailbox it lies in.
    pub(crate) mailbox: MailboxId,
    /// The 152 bytes.
    pub(crate) header: Vec<u8>,
    /// State of the mark chain.
    pub(crate) chain: ([u8; 32], u32),
    /// Bytes held, marked or not.
    pub(crate) held: u32,
    /// Whether the last mark is there.
    pub(crate) closed: bool,
    /// The note it became.
    pub(crate) note: Option<u32>,
}

impl Incoming {
    pub(crate) fn header(&self) -> Option<Header> {
        let bytes: [u8; HEADER_BYTES] = self.header.as_slice().try_into().ok()?;
        Header::trusted(&bytes).ok()
    }

    /// Returns the state from which an assembly goes on; `tail` is what is held beyond the last mark.
    pub(crate) fn resumed(&self, tail: Vec<u8>) -> Resumed {
        Resumed { chain: self.chain, tail, closed: self.closed }
    }
}

/// A session from a contact.
#[derive(Serialize, Deserialize)]
pub(crate) struct KnownSession {
    /// Key of the contact in the store.
    pub(crate) contact: u32,
    /// Where it stands among their sessions: rises in their order, with gaps.
    pub(crate) number: u32,
    /// The pairs left.
    pub(crate) session: ReceivedSession,
    /// Tags whose notes were opened: a parcel with one of them is a replay.
    pub(crate) used: Vec<NoteTag>,
    /// Those of them that came again and were let go before they were whole.
    pub(crate) again: Vec<NoteTag>,
    /// When it came, on the home's count.
    pub(crate) since: Moment,
}

/// A relay this device has met.
#[derive(Serialize, Deserialize, Clone, Default)]
pub(crate) struct KnownRelay {
    /// `host:port`.
    pub(crate) address: String,
    /// When it last answered.
    pub(crate) reached: Option<Minute>,
    /// Difference of this device's clock to the relay's in minutes, if that relay trusts its own.
    pub(crate) clock_off_minutes: Option<i64>,
    /// How long this device has lived from one meeting with it to the next.
    pub(crate) lived: Lived,
    /// Its store's epoch then.
    pub(crate) epoch: Option<Epoch>,
}

/// Encodes marks one after the other.
pub(crate) fn encode_marks(marks: &[Mark]) -> Vec<u8> {
    let mut writer = Writer::new();
    for mark in marks {
        mark.encode(&mut writer);
    }
    writer.into_bytes()
}

fn decode_marks(bytes: &[u8]) -> Vec<Mark> {
    bytes.chunks_exact(MARK_BYTES).filter_map(|mark| Mark::decode(&mut Reader::new(mark)).ok()).collect()
}

/// A parcel that is durable here and that no relay has said it let go, by its id.
#[derive(Serialize, Deserialize)]
pub(crate) struct KeptRelease {
    /// Where it came.
    pub(crate) mailbox: MailboxId,
}

/// What the person has chosen about notes that disappear.
#[derive(Serialize, Deserialize, Default)]
pub(crate) struct Disappearing {
    pub(crate) choices: Choices,
}

/// Since when the sound of a note has done its work, by the age of the device.
#[derive(Serialize, Deserialize)]
pub(crate) struct Countdown {
    pub(crate) since: Moment,
}

//! What a program may ask of the engine, and what it answers: plain values, the same in one process and over the daemon's socket.

use std::fmt;

use serde::{Deserialize, Serialize};
use zajil_proto::limits::SESSION_NOTES_MAX;
use zajil_proto::time::Minute;

use crate::store::Passphrase;

pub use super::choices::{DisappearingView, Link, Receipts, SeenPrecision, Span, SpanChoice};

/// Places that the notes of one session have among their sender's: what [`NoteView::sequence`] counts sessions by.
pub const PLACES_PER_SESSION: u32 = SESSION_NOTES_MAX as u32;

/// One request.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "simulation", derive(Debug))]
pub enum Request {
    /// Makes an invitation link for a new contact. Needs the relay.
    Invite {
        /// The contact's name, known on this device only.
        name: String,
    },
    /// Takes up a link. Needs the relay.
    Accept {
        /// The contact's name, known on this device only.
        name: String,
        /// `zajil:…`
        link: String,
        /// Whether the link was scanned from the other person's screen: confirms at once.
        in_person: bool,
    },
    /// Takes the return code that the other person's screen shows: confirms at once.
    TakeReturn {
        /// Whose.
        name: String,
        /// `zajil-back:…`
        code: String,
    },
    /// Lists contacts.
    Contacts,
    /// Shows the digits to compare (`digits` empty), or states what was heard.
    Verify {
        /// Whose.
        name: String,
        /// Twelve digits as typed, in any script and grouping; `None` only asks for them.
        digits: Option<String>,
    },
    /// Changes what a contact is told.
    SetContact {
        /// Whose.
        name: String,
        /// Receipts.
        receipts: Option<Receipts>,
        /// Precision of "last seen".
        seen: Option<SeenPrecision>,
    },
    /// Seals a voice note and sends it as far as the links allow.
    Send {
        /// To whom.
        to: String,
        /// The recording.
        voice: Voice,
        /// How long it may wait at relays, days; `None` = 30.
        lifetime_days: Option<u16>,
        /// How far to wait.
        wait: Wait,
        /// How long to wait at most, milliseconds.
        timeout_millis: u64,
    },
    /// Lists notes, newest last.
    Inbox {
        /// Also notes heard, and notes sent.
        all: bool,
    },
    /// One note's state.
    Note {
        /// Its number on this device.
        number: u32,
    },
    /// One note's recording, as far as it has arrived.
    Voice {
        /// Its number on this device.
        number: u32,
    },
    /// States that a note was played to 90 %.
    Heard {
        /// Its number on this device.
        number: u32,
    },
    /// Writes the last word for contacts.
    WriteWord {
        /// How the writer is.
        state: WordState,
        /// In own words, at most 144 bytes of UTF-8.
        text: String,
        /// Whether the exact minute is told.
        tell_minute: bool,
        /// Names; empty for every confirmed contact whose "last seen" is not off.
        to: Vec<String>,
        /// How long to try to reach the relay, milliseconds.
        timeout_millis: u64,
    },
    /// "When were they last seen?"
    Seen {
        /// Who.
        name: String,
        /// How long to try the relay; 0 answers from what this device holds.
        timeout_millis: u64,
    },
    /// This phone was out of its owner's hands: every contact gets new keys and is told the day. Needs no link: what is to be told
    /// is kept until it can leave.
    OutOfHands {
        /// The last day of it, days since 1970-01-01 by the owner's calendar.
        day: u16,
    },
    /// The device's state.
    Status,
    /// States what the link carries, from the next dial on.
    SetLink {
        /// `None` leaves it to the program again.
        link: Option<Link>,
    },
    /// Chooses how long the sound of heard notes stays, or only shows it.
    Disappear {
        /// For whom; `None` for everybody without a choice of their own.
        name: Option<String>,
        /// What is chosen; `None` only shows it.
        choice: Option<SpanChoice>,
    },
    /// Chooses whether nothing but what was not heard stays on this device, or only shows it.
    Quiet {
        /// What is chosen; `None` only shows it.
        on: Option<bool>,
    },
    /// Meets the relays: sends what waits, fetches what came.
    Sync {
        /// How long at most, milliseconds.
        timeout_millis: u64,
    },
    /// Has the daemon forget its keys.
    Lock,
    /// Has a daemon that forgot its keys open the home again.
    Unlock {
        /// What opens it.
        passphrase: Passphrase,
    },
    /// Ends the daemon.
    Stop,
    /// Ends the daemon at once, because its home was destroyed: it forgets its keys, tells no relay, and writes nothing more.
    Abandon,
}

/// One answer.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "simulation", derive(Debug))]
pub enum Reply {
    /// To `Invite`.
    Invited {
        /// `zajil:…`, to be shown as a QR or sent.
        link: String,
        /// When it ends.
        expires: Minute,
    },
    /// To `Accept`.
    Accepted {
        /// The code to show to the inviter's camera (P6.8).
        return_code: String,
        /// The contact as it is now.
        contact: ContactView,
    },
    /// To `TakeReturn`, `SetContact`.
    Contact(ContactView),
    /// To `Contacts`.
    Contacts(Vec<ContactView>),
    /// To `Verify`.
    Digits {
        /// Three groups of four.
        digits: String,
        /// Whether the contact is confirmed now.
        confirmed: bool,
    },
    /// To `Send`: how far it has come.
    Sent(NoteView),
    /// To `Inbox`.
    Notes(Vec<NoteView>),
    /// To `Note`, `Heard`.
    Note(NoteView),
    /// To `Voice`.
    Voice {
        /// The note.
        note: NoteView,
        /// What has arrived of it.
        voice: Voice,
    },
    /// To `WriteWord`.
    WordWritten {
        /// Contacts it was written for.
        contacts: u32,
        /// Of these, slots whose relay has it durably.
        stored: u32,
    },
    /// To `OutOfHands`.
    OutOfHands {
        /// Contacts that are told. With each of them new keys are in use once [`ContactView::renewing`] is over.
        contacts: u32,
    },
    /// To `Seen`.
    Seen(SeenView),
    /// To `Status`.
    Status(StatusView),
    /// To `Disappear`, `Quiet`.
    Disappearing(DisappearingView),
    /// To `Sync`.
    Synced(SyncView),
    /// To `SetLink`.
    LinkSet,
    /// To `Lock`: the keys are gone.
    Locked,
    /// To `Unlock`.
    Unlocked,
    /// To `Stop`, `Abandon`.
    Stopping,
}

/// A voice note's recording: Opus packets of one kind.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voice {
    /// The profile's code, 1 to 5 (P4.5).
    pub codec: u8,
    /// The Opus TOC byte all packets share.
    pub toc: u8,
    /// Packets without the TOC byte.
    pub packets: Vec<Vec<u8>>,
    /// Length in milliseconds; 0 while the end has not arrived.
    pub duration_millis: u32,
    /// Level in dB below full scale.
    pub loudness: u8,
    /// 48 peaks of 4 bits.
    pub waveform: [u8; 24],
    /// Whether all of it is here.
    pub complete: bool,
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voice").field("packets", &self.packets.len()).finish_non_exhaustive()
    }
}

/// How far a command waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Wait {
    /// Durable on this device.
    Device,
    /// Durable at a relay.
    Stored,
    /// Durable on their device.
    Delivered,
    /// Played to 90 %.
    Heard,
}

/// How the writer of a last word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WordState {
    /// Not said.
    None,
    /// "I am well."
    Well,
    /// "We are moving."
    Moving,
    /// "We have arrived."
    Arrived,
    /// "I cannot speak now."
    Silent,
}

/// A contact as a program sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactView {
    /// The name on this device.
    pub name: String,
    /// How far the pairing is.
    pub pairing: Pairing,
    /// Receipts they get.
    pub receipts: Receipts,
    /// What they may see.
    pub seen: SeenPrecision,
    /// Whether they let this device ask for their last word.
    pub shows_word: bool,
    /// How long the sound of their notes stays after hearing.
    pub disappear: Span,
    /// Notes from them not heard yet.
    pub unheard: u32,
    /// Notes for them that no relay has yet.
    pub waiting: u32,
    /// Last day on which their phone was out of their hands, as they said: days since 1970-01-01 by their calendar.
    pub out_of_hands: Option<u16>,
    /// Whether new keys with them are wanted, or not yet known to be in use at both ends.
    pub renewing: bool,
}

/// How far a pairing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pairing {
    /// This device made a link; nobody has answered yet.
    Invited,
    /// This device answered a link; the inviter has not come by yet. Notes can be sent.
    Answered,
    /// Both ends hold keys; the digits were not compared.
    Unconfirmed,
    /// Digits compared, or met in person.
    Confirmed,
    /// The link's seven days are over without an answer.
    Expired,
}

/// A note as a program sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteView {
    /// Its number on this device.
    pub number: u32,
    /// From whom or to whom.
    pub contact: String,
    /// Which way.
    pub direction: Direction,
    /// When it was recorded, by its sender's clock.
    pub recorded: Minute,
    /// When this device got its first byte, or sealed it.
    pub arrived: Minute,
    /// Length in milliseconds, 0 while unknown.
    pub duration_millis: u32,
    /// How far it has come.
    pub mark: NoteMark,
    /// Whether its sound was here and is erased.
    pub erased: bool,
    /// Why it waits, while it waits.
    pub waits: Option<WaitReason>,
    /// For an outgoing note: bytes durable at the relay and bytes in all. For an incoming one: bytes here and in all (0 = unknown).
    pub progress: (u32, u32),
    /// Bytes of the sealed parcel.
    pub sealed_bytes: u32,
    /// Where it stands among its sender's notes. Of an incoming one: [`PLACES_PER_SESSION`] × a number of its session, which rises with
    /// gaps, + its place in that session, from 0 and without gaps.
    pub sequence: u32,
}

/// Which way a note goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From this device.
    Out,
    /// To this device.
    In,
}

/// The marks of a note; they only move forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NoteMark {
    /// Incoming: some of it is here.
    Arriving,
    /// On this device.
    OnDevice,
    /// Durable at a relay.
    AtRelay,
    /// Durable on their device. For an incoming note: whole, here, not heard.
    Delivered,
    /// Played to 90 %.
    Heard,
    /// Nobody fetched it within its lifetime.
    Expired,
    /// Incoming: it cannot be opened; its sender was asked for the key.
    Locked,
}

/// Why something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WaitReason {
    /// No relay was reached.
    NoLink,
    /// Something answered that is not their relay.
    WrongKey,
    /// Their relay no longer knows this mailbox.
    NotHere,
    /// Their mailbox is full.
    MailboxFull,
    /// The relay is full.
    RelayFull,
    /// The relay asked to come later.
    Busy,
    /// The relay refused for another reason.
    Refused,
}

/// The answer to "when were they last seen?", as facts; a program words them without inferring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenView {
    /// Who.
    pub name: String,
    /// Whether they let this device ask.
    pub granted: bool,
    /// Their last word.
    pub word: Option<WordView>,
    /// When a relay observed it.
    pub bucket: Option<SeenBucket>,
    /// When this device last got anything from them (a note, a receipt, a word).
    pub news: Option<Minute>,
    /// When their relay last answered this device about them; `None` = never.
    pub checked: Option<Minute>,
    /// Whether this answer was fetched now.
    pub fresh: bool,
    /// The relay showed an older word than this device already knew; `word` is the newer one.
    pub relay_is_older: bool,
    /// Links the relay reported.
    pub links: Vec<LinkView>,
    /// Now, by this device's clock.
    pub now: Minute,
}

/// A last word, opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordView {
    /// How they said they are.
    pub state: WordState,
    /// In their words.
    pub text: String,
    /// The minute they wrote it, if they told.
    pub written: Option<Minute>,
}

/// When a relay observed a word: from `start_hour`, `width_hours` long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenBucket {
    /// Hours since 1970.
    pub start_hour: u32,
    /// 6 or 24.
    pub width_hours: u8,
}

/// A link as a relay reported it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// The operator's number.
    pub link: u16,
    /// How it was.
    pub state: LinkCondition,
    /// Since when, hours since 1970.
    pub since_hour: u32,
    /// When the relay checked.
    pub checked: Minute,
}

/// State of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkCondition {
    /// Not known.
    Unknown,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Up and down in turn.
    ComesAndGoes,
}

/// The device's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// Relays this device meets: address, and when each last answered.
    pub relays: Vec<RelayView>,
    /// Contacts.
    pub contacts: u32,
    /// Notes not heard.
    pub unheard: u32,
    /// Notes and frames that no relay has yet.
    pub waiting: u32,
    /// Bytes waiting to be sent.
    pub waiting_bytes: u64,
    /// Bytes this device stores.
    pub stored_bytes: u64,
    /// Limit of the outbox, bytes.
    pub outbox_bytes_max: u64,
    /// Whether the disk was full and is not fit again to fetch what waits.
    pub disk_full: bool,
    /// What looking for relays has cost.
    pub probing: ProbingView,
    /// What the link is said to carry, if somebody said it.
    pub link: Option<Link>,
    /// What is chosen about notes that disappear.
    pub disappearing: DisappearingView,
    /// Whether a daemon answered.
    pub daemon: bool,
    /// Difference of this device's clock to the relay's, minutes, if a relay that trusts its clock told one.
    pub clock_off_minutes: Option<i64>,
}

/// What looking for relays has cost that did not answer, since the program that answers began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ProbingView {
    /// Bytes of the last day, to the hour, with the headers of IP and UDP.
    pub day_bytes: u64,
    /// From how many on it is done every minute only.
    pub day_bytes_max: u64,
    /// Whether that is so now.
    pub slowed: bool,
}

/// A relay as this device knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayView {
    /// `host:port`.
    pub address: String,
    /// Whether it is a home of this device.
    pub home: bool,
    /// When it last answered.
    pub reached: Option<Minute>,
    /// What went wrong at the last attempt, if it did.
    pub trouble: Option<Trouble>,
}

/// What a meeting with the relays brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SyncView {
    /// Relays that answered.
    pub reached: u32,
    /// Relays that did not.
    pub missed: u32,
    /// Notes that came whole.
    pub received: u32,
    /// Notes now stored at a relay.
    pub stored: u32,
    /// Still waiting to be sent.
    pub waiting: u32,
    /// Whether every relay was met and all that waited there came; if not, there may be more.
    pub finished: bool,
    /// Why a relay was missed, if one was.
    pub trouble: Option<Trouble>,
}

/// What kept a relay from being met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// This device has no way to the network.
    NoRoute,
    /// The relay's name is not known.
    NameUnknown,
    /// Nothing answered.
    NoAnswer,
    /// Something answered that is not this relay.
    WrongKey,
    /// The relay closed with a reason of its own.
    Refused,
    /// The relay keeps its last space, or asks for an invite.
    NotAdmitted,
}

/// Told while a request is being carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Looking for the relay.
    Connecting,
    /// The relay answered.
    Connected,
    /// Bytes durable at the relay, of all.
    Uploading {
        /// Durable.
        done: u64,
        /// All.
        all: u64,
    },
    /// Bytes that arrived.
    Downloading {
        /// So far in this meeting.
        done: u64,
    },
    /// The note in hand reached a mark.
    Reached(NoteMark),
}

/// Why a request failed: a person is told what happened and what to do by the message catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// No contact of that name.
    #[error("no such contact")]
    UnknownContact {
        /// The name asked for.
        name: String,
        /// The nearest there is.
        nearest: Option<String>,
    },
    /// The name is taken.
    #[error("that name is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The name is empty, too long, or holds control characters.
    #[error("that is no name")]
    BadName,
    /// No note of that number.
    #[error("no such note")]
    UnknownNote {
        /// The number.
        number: u32,
    },
    /// The contact has not answered the link yet, so nothing can be sealed for them.
    #[error("not paired yet")]
    NotPaired {
        /// The name.
        name: String,
    },
    /// The digits differ.
    #[error("the digits differ")]
    DigitsDiffer,
    /// The digits are not known yet: the other side has not come by.
    #[error("no digits yet")]
    NoDigitsYet,
    /// The link cannot be read: mistyped or cut.
    #[error("the link cannot be read")]
    BadLink,
    /// The link's seven days are over.
    #[error("the link is over")]
    LinkExpired,
    /// Somebody has used the link already.
    #[error("the link was used")]
    LinkUsed,
    /// What lay behind the link is not what the link promises.
    #[error("the link leads to something else")]
    LinkForged,
    /// The return code is not of this pairing.
    #[error("the code is of another pairing")]
    WrongReturnCode,
    /// The link is this device's own.
    #[error("the link is one's own")]
    OwnLink,
    /// The recording is longer than ten minutes.
    #[error("the note is too long")]
    NoteTooLong {
        /// Its length, milliseconds.
        got_millis: u32,
        /// The limit, milliseconds.
        max_millis: u32,
    },
    /// The outbox is full.
    #[error("the outbox is full")]
    OutboxFull,
    /// The text is too long for a last word.
    #[error("the word is too long")]
    WordTooLong {
        /// Its bytes.
        got: u32,
        /// The limit.
        max: u32,
    },
    /// The contact is not confirmed, so no last word can be shown to them.
    #[error("not confirmed")]
    NotConfirmed {
        /// The name.
        name: String,
    },
    /// No relay could be met, and the request needs one.
    #[error("no relay was met")]
    NoRelay(Trouble),
    /// The relay refused.
    #[error("the relay refused")]
    Refused(WaitReason),
    /// Nothing of this note can be played yet.
    #[error("nothing to play yet")]
    NothingYet,
    /// The note cannot be opened.
    #[error("the note is locked")]
    Locked,
    /// The daemon has forgotten its keys.
    #[error("the device is locked")]
    DeviceLocked,
    /// The home opens with a key file, so forgetting its keys would protect nothing.
    #[error("there is nothing to lock")]
    NothingToLock,
    /// The sound of the note was erased.
    #[error("the note is erased")]
    Erased,
    /// The device's store refused: disk full.
    #[error("this device's disk is full")]
    DiskFull,
    /// The device's store failed.
    #[error("this device's store failed")]
    Store(String),
    /// The daemon is busy with too many requests.
    #[error("too much at once")]
    Busy,
}

//! What was seen of a simulated world: everything the oracle may judge by, and nothing that only the judged code knows.

use std::collections::BTreeMap;

use zajil_client::engine::api::{
    ContactView, Direction, Failure, NoteMark, NoteView, Reply, SeenView, StatusView, WaitReason,
};

use super::memory::Held;
use super::plan::{Event, Millis, PersonId};

/// One thing seen, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When.
    pub at: Millis,
    /// What.
    pub seen: Seen,
}

/// What can be seen from outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// An event of the plan was played.
    Played(Event),
    /// A person's phone began to run (`true`), or no longer runs.
    Phone(PersonId, bool),
    /// The relay began to run, or no longer runs.
    Relay(bool),
    /// The relay got another store: with nothing in it, or an older copy.
    RelayStoreReplaced,
    /// A person sees a change in their list of contacts.
    Contact(PersonId, ContactView),
    /// Two people are confirmed at both ends.
    Paired(PersonId, PersonId),
    /// A pairing was given up, and why.
    PairingFailed(PersonId, PersonId, String),
    /// The program took a note: it said so, so it is durable on the device.
    Taken(Taken),
    /// The program refused a note: nothing may come of it.
    NotTaken(PersonId, u32, Failure),
    /// A person sees that a note's state has changed, or the note for the first time.
    Note(PersonId, Shown),
    /// A person sees their list of notes in this order (numbers on the device), whenever it changes.
    Order(PersonId, Vec<u32>),
    /// A person listened to a note.
    Heard(Heard),
    /// A word was written. `stored` of `contacts` slots were durable when the program answered.
    WordTaken {
        /// Who.
        by: PersonId,
        /// Which (its text).
        serial: u32,
        /// For how many contacts.
        contacts: u32,
        /// How many of these the relay had.
        stored: u32,
    },
    /// The program did not take a word.
    WordNotTaken(PersonId, u32, Failure),
    /// An answer to "when were they last seen?".
    Answer(Box<Answer>),
    /// A request failed in a way that is nobody's note or word.
    Failed(PersonId, String, Failure),
    /// What a phone and its store held at a full hour and at the end.
    PhoneLoad(PersonId, PhoneLoad),
    /// What the relay held at a full hour and at the end.
    RelayLoad(RelayLoad),
    /// What memory a phone, or the relay (`None`), holds, and the most it held since the last full hour. No part of the trace: what ring
    /// and vodozemac drew may take a byte more or less.
    Memory(Option<PersonId>, Held),
    /// How many words of people lie in slots of the relay at the end.
    WordsLeft(u64),
    /// A person's link began to carry both ways (`true`), or stopped.
    Link(PersonId, bool),
    /// A thief of a link could open a note.
    Stolen(Stolen),
    /// The attacker got what nobody may get, in words.
    Breach(String),
    /// The auditor found a promise of the relay broken: which invariant, and how.
    Audited(u8, String),
    /// Something ended by a panic, or never ended.
    Broken(String),
}

/// A note that the program took.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The sender.
    pub from: PersonId,
    /// For whom.
    pub to: PersonId,
    /// Which, by the plan.
    pub serial: u32,
    /// Its number on the sender's device.
    pub number: u32,
    /// Length, milliseconds.
    pub duration_millis: u32,
    /// Bytes sealed.
    pub sealed_bytes: u32,
}

/// A note as somebody sees it in their list.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Its number on this device.
    pub number: u32,
    /// The other person.
    pub other: PersonId,
    /// Which way.
    pub direction: Direction,
    /// How far it has come.
    pub mark: NoteMark,
    /// Why it waits.
    pub waits: Option<WaitReason>,
    /// Durable (out) or here (in), and all.
    pub progress: (u32, u32),
    /// Its place among its sender's notes.
    pub sequence: u32,
    /// Length, milliseconds.
    pub duration_millis: u32,
    /// When it was recorded, by its sender's clock, minutes since 1970.
    pub recorded: u32,
    /// When the device sealed it or got its first byte, by its own clock, minutes since 1970.
    pub arrived: u32,
    /// Which note it is by the plan, if anybody can tell by what it sounds like.
    pub serial: Option<u32>,
}

/// What somebody heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Who listened.
    pub by: PersonId,
    /// The sender's place, by the name this device shows.
    pub from: PersonId,
    /// Its number on this device.
    pub number: u32,
    /// Which note it is, told by its sound alone; `None` = nobody said that.
    pub serial: Option<u32>,
    /// Whether every packet is what was spoken, all of them, in order.
    pub identical: bool,
    /// Whether the decoder made sound of it.
    pub decodes: bool,
    /// Its place among its sender's notes.
    pub sequence: u32,
    /// Whether the program took the word that it was heard.
    pub told: bool,
}

/// A note that a thief of a link could open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stolen {
    /// Who made the link.
    pub from: PersonId,
    /// For whom.
    pub to: PersonId,
    /// Whether the relay let the thief have it as the first who came.
    pub opened: bool,
    /// Which note it is, told by its sound alone; `None` = nobody said that.
    pub serial: Option<u32>,
}

/// An answer to "when were they last seen?".
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Who asked.
    pub by: PersonId,
    /// About whom.
    pub of: PersonId,
    /// Whether the relay was to be asked.
    pub asked_relay: bool,
    /// When the question was put.
    pub asked_at: Millis,
    /// The answer.
    pub view: SeenView,
    /// The word shown, by its serial, if it is one of ours; `None` where there is no word or it is strange.
    pub serial: Option<u32>,
    /// The asker's and the relay's wall clocks at the answer, minutes since 1970.
    pub clocks: (u32, u32),
}

/// What a phone holds.
#[derive(Debug, Clone, PartialEq)]
pub struct PhoneLoad {
    /// Tasks alive on the machine.
    pub tasks: usize,
    /// Sockets and streams open.
    pub sockets: usize,
    /// Connections begun so far.
    pub connections: u64,
    /// Bytes of datagrams sent so far.
    pub sent_bytes: u64,
    /// Bytes on its disk.
    pub disk_bytes: u64,
    /// Notes that were opened and that what lies on its disk opens again.
    pub opened_keys: usize,
    /// Records on its disk that belong to nothing that is there.
    pub left_behind: usize,
    /// What the program tells of itself.
    pub status: Option<StatusView>,
}

/// What the relay holds.
#[derive(Debug, Clone, PartialEq)]
pub struct RelayLoad {
    /// Tasks alive on the machine.
    pub tasks: usize,
    /// Sockets and streams open.
    pub sockets: usize,
    /// Sessions open.
    pub sessions: u64,
    /// Sessions of which it believes that they watch mailboxes.
    pub watching: u64,
    /// Bytes its disk holds.
    pub disk_bytes: u64,
    /// Parcels it holds.
    pub parcels: u64,
    /// Parcels in each mailbox that holds any.
    pub per_mailbox: Vec<u64>,
    /// Rows of tombstones.
    pub tombstones: u64,
    /// Rows of mailboxes and slots.
    pub scopes: u64,
    /// Parcels, announced ones among them, that are there more than a step after they had to go.
    pub overdue: u64,
    /// The most requests of one session that have waited for the store at once, since the relay began to run.
    pub requests_most: u64,
}

/// What one machine sent and got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Datagrams it sent.
    pub sent: u64,
    /// Their bytes with headers.
    pub sent_bytes: u64,
    /// Bytes of these that were lost on the way.
    pub lost_bytes: u64,
    /// Datagrams that came.
    pub received: u64,
    /// Their bytes with headers.
    pub received_bytes: u64,
    /// Connections it began.
    pub connections: u64,
}

/// One run, as it was seen.
#[derive(Debug)]
pub struct Record {
    /// Everything, in order of time.
    pub entries: Vec<Entry>,
    /// When faults had ended and everybody was online.
    pub calm_at: Millis,
    /// When the run ended.
    pub ended_at: Millis,
    /// What each phone sent and got in all.
    pub traffic: BTreeMap<PersonId, Traffic>,
    /// Every log line, if logs were kept.
    pub log: Option<String>,
    /// What no log line may contain, with what it is, if logs were kept.
    pub secrets: Vec<(String, Vec<u8>)>,
}

/// Says in a few words what the program answered, for a timeline.
pub fn in_words(reply: &Result<Reply, Failure>) -> String {
    match reply {
        Ok(reply) => {
            let text = format!("{reply:?}");
            text.chars().take(100).collect()
        }
        Err(failure) => format!("failed: {failure}"),
    }
}

/// Says how a note is shown.
pub fn shown(view: &NoteView, other: PersonId, serial: Option<u32>) -> Shown {
    Shown {
        number: view.number,
        other,
        direction: view.direction,
        mark: view.mark,
        waits: view.waits,
        progress: view.progress,
        sequence: view.sequence,
        duration_millis: view.duration_millis,
        recorded: view.recorded.0,
        arrived: view.arrived.0,
        serial,
    }
}

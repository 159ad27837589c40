//! What a simulated world is to play: people, their links, and everything that happens, as plain data.
//!
//! A plan holds all chance of a run but that of the machines in it. It can be written down, read back, and shortened: any subset of
//! its events is a plan, because a deed that cannot be done is left out by whoever would do it.

use serde::{Deserialize, Serialize};

/// Milliseconds since the world began.
pub type Millis = u64;

/// One second, in [`Millis`].
pub const SECOND: Millis = 1_000;
/// One minute, in [`Millis`].
pub const MINUTE: Millis = 60 * SECOND;
/// One hour, in [`Millis`].
pub const HOUR: Millis = 60 * MINUTE;
/// One day, in [`Millis`].
pub const DAY: Millis = 24 * HOUR;

/// A person's place in [`Plan::people`].
pub type PersonId = u8;

/// What is played, from the first event to the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seed of the machines' own chance, and of the links'.
    pub seed: u64,
    /// Which sort of world it is, for people who read a report.
    pub profile: String,
    /// Who takes part. Nobody is ever taken out of the list, so that places keep their meaning: whom the events do not name has
    /// no device.
    pub people: Vec<Person>,
    /// The relay's machine.
    pub relay: RelayMachine,
    /// What happens, in order of time; those of one time in the order of the list.
    pub events: Vec<Event>,
    /// When faults end, everybody goes online, and all that waits has to settle.
    pub calm_at: Millis,
}

/// Somebody with a phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Where they are; families are split between both.
    pub side: Side,
    /// How they use the program.
    pub habit: Habit,
    /// The link their phone has when it has one: a profile's name of `zajil_net::links` (`edge`, `gprs`, …).
    pub access: String,
    /// Whether their provider translates addresses.
    pub behind_nat: bool,
    /// Receipts they give to confirmed contacts.
    pub receipts: GivesReceipts,
    /// What they let relays tell about when they were seen.
    pub seen: TellsSeen,
    /// How far their clock is off at the beginning, minutes.
    pub clock_off_minutes: i32,
    /// How fast their clock drifts, parts in a million.
    pub drift_ppm: i32,
    /// Bytes their phone has for us; `None` = enough.
    pub disk_bytes: Option<u64>,
}

impl Person {
    /// Returns somebody about whom there is nothing to say, and whose link loses nothing.
    pub fn plain(side: Side) -> Self {
        Self {
            side,
            habit: Habit::Daemon,
            access: "lan".into(),
            behind_nat: false,
            receipts: GivesReceipts::AtOnce,
            seen: TellsSeen::SixHours,
            clock_off_minutes: 0,
            drift_ppm: 0,
            disk_bytes: None,
        }
    }
}

/// Where somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// The town that was cut off.
    Town,
    /// The camp.
    Camp,
}

/// How somebody uses the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Habit {
    /// A daemon runs whenever the phone does.
    Daemon,
    /// Single commands; relays are met by `sync`, and by what waits for an answer.
    Commands,
}

/// Receipts somebody gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GivesReceipts {
    /// None.
    Off,
    /// Within a day.
    Later,
    /// At once.
    AtOnce,
}

/// What somebody lets relays tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TellsSeen {
    /// Nothing: there is no slot.
    Off,
    /// Within six hours.
    SixHours,
    /// Within a day.
    Day,
}

/// The relay's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayMachine {
    /// Bytes of its disk; `None` = enough.
    pub disk_bytes: Option<u64>,
    /// How long one sync takes, milliseconds.
    pub sync_millis: u64,
    /// How fast its clock drifts, parts in a million.
    #[serde(default)]
    pub drift_ppm: i32,
}

/// Something that happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When.
    pub at: Millis,
    /// What.
    pub deed: Deed,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    /// To, or by, one person.
    Person(PersonId, PersonDeed),
    /// To the relay, or by its operator.
    Relay(RelayDeed),
    /// By somebody who means harm.
    Attacker(AttackerDeed),
    /// By somebody who holds the relay to its word: looks after what they keep there, and does something more.
    Audit {
        /// How many things more.
        things: u16,
    },
}

/// What a person does, or what happens to their phone or link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PersonDeed {
    /// Wants to exchange notes with somebody. From here on both go on trying until they are confirmed, or the link is over:
    /// invite, pass the link on (or meet), accept, compare digits.
    Pair {
        /// With whom.
        with: PersonId,
        /// Whether they stand side by side.
        in_person: bool,
        /// How long the link is on its way, milliseconds.
        link_takes: Millis,
    },
    /// Compares no digits with somebody for a time: would rather hear their voice before.
    Hesitate {
        /// With whom.
        with: PersonId,
        /// How long, milliseconds.
        millis: Millis,
    },
    /// Records a note and sends it.
    Send {
        /// To whom.
        to: PersonId,
        /// Names the note: no other of the plan has this number. Says what it sounds like, too.
        serial: u32,
        /// Its length, seconds.
        seconds: u32,
        /// Days it may wait at relays; `None` = the default.
        lifetime_days: Option<u16>,
    },
    /// Listens to everything that has come and was not heard; leaves every `skip`-th out (0 = none).
    Listen {
        /// Which are left out.
        skip: u32,
    },
    /// Looks at the list of notes, without listening.
    Look,
    /// Writes the last word for everybody confirmed.
    WriteWord {
        /// Names the word: rises with time in one person's words, and is its text.
        serial: u32,
        /// Whether the exact minute is told.
        tell_minute: bool,
    },
    /// Asks when somebody was last seen.
    AskSeen {
        /// Whom.
        of: PersonId,
        /// Whether the relay is asked (else what the device holds).
        ask_relay: bool,
    },
    /// Changes what relays may tell.
    SetSeen {
        /// To whom.
        to: PersonId,
        /// What.
        tells: TellsSeen,
    },
    /// Meets the relay (people with the habit of commands; a daemon does it anyway).
    Sync,
    /// Their link comes up.
    LinkUp,
    /// Their phone knows that it has no link.
    LinkDown,
    /// Their link is there and carries nothing.
    LinkSilent,
    /// Their link carries in one direction only.
    OneWay {
        /// Whether what the phone sends gets out (else what comes for it gets in).
        out: bool,
    },
    /// They get another kind of link: a profile's name.
    Access(String),
    /// Their network lets UDP through, or only everything else.
    Udp {
        /// Whether it is let through.
        passes: bool,
    },
    /// Their provider forgets all its translations, or their address changes.
    Rebind,
    /// The battery is out: power is cut in the middle of whatever goes on.
    PowerCut,
    /// The phone is switched off as it should be.
    SwitchOff,
    /// The phone is switched on.
    SwitchOn,
    /// After `commits` more commits the device's disk does this, once.
    DiskFault {
        /// Commits that still go well.
        commits: u64,
        /// What happens then.
        fault: DiskFault,
    },
    /// The phone's disk has this many bytes for us (`None` = enough).
    DiskBytes(Option<u64>),
    /// The wall clock jumps by minutes.
    ClockJump(i32),
}

/// How a commit on a phone goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskFault {
    /// Full: refused, and the program goes on.
    Full,
    /// Power is cut before the write; the phone starts again after a minute.
    CutBefore,
    /// Power is cut after the write; the phone starts again after a minute.
    CutAfter,
    /// The sync fails, and what was written is not there; the program is started again after a minute.
    SyncLost,
    /// The sync fails, and what was written is there all the same; the program is started again after a minute.
    SyncKept,
}

impl DiskFault {
    /// Every one; all but the first close the store.
    pub const ALL: [Self; 5] = [Self::Full, Self::CutBefore, Self::CutAfter, Self::SyncLost, Self::SyncKept];
}

/// What happens to the relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelayDeed {
    /// Power is cut.
    PowerCut,
    /// The operator stops it as it should be done.
    Stop,
    /// The operator starts it, if it does not run.
    Start,
    /// Its disk has this many bytes (`None` = enough).
    DiskBytes(Option<u64>),
    /// Its next sync fails. It then ends by itself, and its operator's service manager starts it again after ten seconds.
    SyncFails,
    /// From here on a sync takes so long, milliseconds.
    SyncTakes(u64),
    /// Its disk is gone; the operator starts again with the same key on an empty one.
    DiskLost,
    /// The operator copies its disk.
    DiskCopied,
    /// The operator puts the last copy in place and starts again, with a new epoch. Without a copy nothing happens.
    CopyRestored,
    /// Its wall clock jumps by minutes.
    WallJump(i32),
    /// Its link carries nothing.
    LinkSilent,
    /// Its link carries again.
    LinkUp,
}

/// What somebody does who means harm. They hold no secret, but may have seen a link's packets or bought a phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttackerDeed {
    /// Sends again every datagram that a person's phone sent in the last `seconds`.
    ReplayDatagrams {
        /// Whose.
        of: PersonId,
        /// How far back, seconds.
        seconds: u32,
    },
    /// Opens so many connections at once and says nothing.
    Flood {
        /// How many.
        connections: u16,
    },
    /// Registers mailboxes of their own and fills them as far as the relay lets them.
    Hoard {
        /// Notes of 100 kB.
        parcels: u16,
    },
    /// Asks for so many things in one breath, without waiting for an answer.
    Pour {
        /// How many.
        requests: u16,
    },
    /// Guesses mailboxes, parcels and slots: reads, puts, releases, withdraws.
    Guess {
        /// How many of each.
        tries: u16,
    },
    /// Cuts what a person's phone sends short: every datagram of the next `seconds` loses its last byte.
    Truncate {
        /// Whose.
        of: PersonId,
        /// How long, seconds.
        seconds: u32,
    },
    /// Holds back what an own phone says before its handshake is over, and brings it to the relay `hours` later.
    HoldBack {
        /// How much later, hours.
        hours: u16,
    },
    /// Opens somebody's invitation link first, or again: whoever overheard it.
    StealLink {
        /// The inviter.
        from: PersonId,
        /// The invited.
        to: PersonId,
    },
}

impl Plan {
    /// Puts events in order of time, keeping the order of those at one time.
    pub fn sort(&mut self) {
        self.events.sort_by_key(|event| event.at);
    }

    /// Returns whom the events name: they have devices.
    pub fn cast(&self) -> Vec<PersonId> {
        let mut cast: Vec<PersonId> = self.events.iter().flat_map(|event| event.deed.people()).collect();
        cast.sort_unstable();
        cast.dedup();
        cast.retain(|id| usize::from(*id) < self.people.len());
        cast
    }
}

impl Deed {
    /// Returns whom it needs.
    pub fn people(&self) -> Vec<PersonId> {
        match self {
            Self::Person(who, deed) => match deed {
                PersonDeed::Pair { with: other, .. }
                | PersonDeed::Hesitate { with: other, .. }
                | PersonDeed::Send { to: other, .. }
                | PersonDeed::AskSeen { of: other, .. }
                | PersonDeed::SetSeen { to: other, .. } => vec![*who, *other],
                _ => vec![*who],
            },
            Self::Relay(_) | Self::Audit { .. } => Vec::new(),
            Self::Attacker(deed) => match deed {
                AttackerDeed::ReplayDatagrams { of, .. } | AttackerDeed::Truncate { of, .. } => vec![*of],
                AttackerDeed::StealLink { from, to } => vec![*from, *to],
                AttackerDeed::Flood { .. }
                | AttackerDeed::Hoard { .. }
                | AttackerDeed::Pour { .. }
                | AttackerDeed::Guess { .. }
                | AttackerDeed::HoldBack { .. } => Vec::new(),
            },
        }
    }
}

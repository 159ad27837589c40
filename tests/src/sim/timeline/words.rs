//! What was seen, in a few words.

use zajil_client::engine::api::Direction;

use crate::sim::memory::Held;
use crate::sim::oracle::Violation;
use crate::sim::plan::{AttackerDeed, Deed, Event, Person, PersonDeed, PersonId, RelayDeed};
use crate::sim::record::{Answer, Heard, PhoneLoad, RelayLoad, Seen, Shown, Stolen, Taken};

/// Mark of a broken promise.
pub(super) const BROKEN: &str = ">>>";
const FAULT: &str = "!";
const HARM: &str = "x";
const DEED: &str = "*";
const SEEN: &str = "";

/// One line without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) mark: &'static str,
    pub(super) who: String,
    pub(super) what: String,
    /// Lines of one person with the same word here are told once; `None` = each is told.
    pub(super) fold: Option<String>,
}

impl Told {
    fn new(mark: &'static str, who: String, what: impl Into<String>) -> Self {
        Self { mark, who, what: what.into(), fold: None }
    }

    fn seen(who: PersonId, what: impl Into<String>) -> Self {
        Self::new(SEEN, person_name(who), what)
    }

    fn folded(self, fold: impl Into<String>) -> Self {
        Self { fold: Some(fold.into()), ..self }
    }

    /// Folds lines that say the same.
    fn folded_by_itself(self) -> Self {
        let fold = format!("{}{}", self.mark, self.what);
        self.folded(fold)
    }

    pub(super) fn calm() -> Self {
        Self::new(DEED, "all".into(), "CALM: faults end, everybody goes online")
    }

    pub(super) fn broken(violation: &Violation) -> Self {
        let text = violation.text.replace('\n', "\n        ");
        Self::new(BROKEN, String::new(), format!("INVARIANT {}: {text}", violation.invariant))
    }

    /// Tells one entry.
    pub(super) fn of(seen: &Seen) -> Self {
        match seen {
            Seen::Played(Event { deed, .. }) => played(deed),
            Seen::Phone(who, runs) => Self::seen(*who, if *runs { "phone runs" } else { "phone does not run" }),
            Seen::Relay(runs) => relay(SEEN, if *runs { "runs" } else { "does not run" }),
            Seen::RelayStoreReplaced => relay(SEEN, "has an empty store"),
            Seen::Contact(who, view) => {
                let what = format!(
                    "sees {}: {:?}, receipts {:?}, tells {:?}, shows word: {}",
                    view.name, view.pairing, view.receipts, view.seen, view.shows_word
                );
                Self::seen(*who, format!("{what}; {} unheard, {} waiting", view.unheard, view.waiting)).folded(what)
            }
            Seen::Paired(a, b) => Self::seen(*a, format!("is paired with person {b}, confirmed at both ends")),
            Seen::PairingFailed(a, b, why) => Self::seen(*a, format!("gives up pairing with person {b}: {why}")),
            Seen::Taken(Taken { from, to, serial, number, duration_millis, sealed_bytes }) => Self::seen(
                *from,
                format!(
                    "note {serial} for person {to} is taken as number {number}: {duration_millis} ms, {sealed_bytes} B"
                ),
            ),
            Seen::NotTaken(who, serial, failure) => Self::seen(*who, format!("note {serial} is not taken: {failure}")),
            Seen::Note(who, shown) => note(*who, shown),
            Seen::Order(who, numbers) => Self::seen(*who, format!("list of notes: {numbers:?}")).folded("order"),
            Seen::Heard(heard) => Self::heard(heard),
            Seen::WordTaken { by, serial, contacts, stored } => {
                Self::seen(*by, format!("word {serial} is written for {contacts} contacts, {stored} at the relay"))
            }
            Seen::WordNotTaken(who, serial, failure) => {
                Self::seen(*who, format!("word {serial} is not taken: {failure}"))
            }
            Seen::Answer(answer) => told_answer(answer),
            Seen::Failed(who, what, failure) => {
                Self::seen(*who, format!("{what} failed: {failure}")).folded_by_itself()
            }
            Seen::PhoneLoad(who, load) => phone_load(*who, load),
            Seen::RelayLoad(load) => relay_load(load),
            Seen::Memory(None, Held { now, most }) => {
                relay(SEEN, format!("holds {now} B of memory, and held {most}")).folded("memory")
            }
            Seen::Memory(Some(who), Held { now, most }) => {
                let what = format!("person {who} has {now} B of memory in use, and had {most}");
                Self::new(SEEN, "phones".into(), what).folded("memory")
            }
            Seen::WordsLeft(words) => relay(SEEN, format!("has words of {words} slots at the end")),
            Seen::Link(who, carries) => {
                Self::seen(*who, if *carries { "link carries" } else { "link does not carry" }).folded_by_itself()
            }
            Seen::Stolen(Stolen { from, to, serial, .. }) => {
                let which = serial.map_or_else(|| "what nobody said".to_owned(), |serial| format!("note {serial}"));
                let text = format!("opens {which} by the link of person {from} for person {to}");
                Self::new(SEEN, "attacker".into(), text)
            }
            Seen::Breach(what) => Self::new(BROKEN, "attacker".into(), format!("BREACH: {what}")),
            Seen::Audited(_, what) => Self::new(BROKEN, "auditor".into(), format!("BROKEN PROMISE: {what}")),
            Seen::Broken(what) => Self::new(BROKEN, String::new(), format!("BROKEN: {what}")),
        }
    }

    fn heard(heard: &Heard) -> Self {
        let Heard { by, from, number, serial, identical, decodes, sequence, told } = heard;
        let which = serial.map_or("what nobody said".into(), |serial| format!("note {serial}"));
        let faults =
            [(!identical, ", NOT IDENTICAL"), (!decodes, ", NO SOUND"), (!told, ", not told that it was heard")];
        let faults: String = faults.iter().filter(|(is, _)| *is).map(|(_, words)| *words).collect();
        Self::seen(*by, format!("hears {which} of person {from} (number {number}, their {sequence}th){faults}"))
    }
}

fn person_name(who: PersonId) -> String {
    format!("person {who}")
}

fn relay(mark: &'static str, what: impl Into<String>) -> Told {
    Told::new(mark, "relay".into(), what)
}

fn played(deed: &Deed) -> Told {
    match deed {
        Deed::Person(who, deed) => {
            let told = Told::new(person_mark(deed), person_name(*who), person_deed(deed));
            if matches!(deed, PersonDeed::Sync | PersonDeed::Look) { told.folded_by_itself() } else { told }
        }
        Deed::Relay(deed) => relay(FAULT, relay_deed(deed)),
        Deed::Attacker(deed) => Told::new(HARM, "attacker".into(), attacker_deed(deed)),
        Deed::Audit { things } => {
            Told::new(DEED, "auditor".into(), format!("looks after what they keep, and does {things} things more"))
        }
    }
}

const fn person_mark(deed: &PersonDeed) -> &'static str {
    match deed {
        PersonDeed::Pair { .. }
        | PersonDeed::Hesitate { .. }
        | PersonDeed::Send { .. }
        | PersonDeed::Listen { .. }
        | PersonDeed::Look
        | PersonDeed::WriteWord { .. }
        | PersonDeed::AskSeen { .. }
        | PersonDeed::SetSeen { .. }
        | PersonDeed::Sync
        | PersonDeed::SwitchOn
        | PersonDeed::LinkUp => DEED,
        PersonDeed::LinkDown
        | PersonDeed::LinkSilent
        | PersonDeed::OneWay { .. }
        | PersonDeed::Access(_)
        | PersonDeed::Udp { .. }
        | PersonDeed::Rebind
        | PersonDeed::PowerCut
        | PersonDeed::SwitchOff
        | PersonDeed::DiskFault { .. }
        | PersonDeed::DiskBytes(_)
        | PersonDeed::ClockJump(_) => FAULT,
    }
}

fn person_deed(deed: &PersonDeed) -> String {
    match deed {
        PersonDeed::Pair { with, in_person: true, .. } => format!("pairs with person {with}, side by side"),
        PersonDeed::Pair { with, in_person: false, link_takes } => {
            format!("pairs with person {with} by a link that takes {} s", link_takes / 1_000)
        }
        PersonDeed::Hesitate { with, millis } => {
            format!("compares no digits with person {with} for {} s", millis / 1_000)
        }
        PersonDeed::Send { to, serial, seconds, lifetime_days } => {
            let lifetime = lifetime_days.map_or(String::new(), |days| format!(", to wait {days} days at most"));
            format!("says note {serial} to person {to}: {seconds} s{lifetime}")
        }
        PersonDeed::Listen { skip: 0 } => "listens".into(),
        PersonDeed::Listen { skip } => format!("listens, leaving out every {skip}th"),
        PersonDeed::Look => "looks at the list".into(),
        PersonDeed::WriteWord { serial, tell_minute } => {
            format!("writes word {serial}{}", if *tell_minute { " with the minute" } else { "" })
        }
        PersonDeed::AskSeen { of, ask_relay: true } => format!("asks the relay about person {of}"),
        PersonDeed::AskSeen { of, ask_relay: false } => format!("asks the device about person {of}"),
        PersonDeed::SetSeen { to, tells } => format!("lets relays tell person {to}: {tells:?}"),
        PersonDeed::Sync => "meets the relay".into(),
        PersonDeed::LinkUp => "link comes up".into(),
        PersonDeed::LinkDown => "link is gone".into(),
        PersonDeed::LinkSilent => "link carries nothing".into(),
        PersonDeed::OneWay { out: true } => "link carries only out".into(),
        PersonDeed::OneWay { out: false } => "link carries only in".into(),
        PersonDeed::Access(name) => format!("link is now {name}"),
        PersonDeed::Udp { passes: false } => "network carries no UDP".into(),
        PersonDeed::Udp { passes: true } => "network carries UDP".into(),
        PersonDeed::Rebind => "address changes".into(),
        PersonDeed::PowerCut => "POWER CUT".into(),
        PersonDeed::SwitchOff => "switches off".into(),
        PersonDeed::SwitchOn => "switches on".into(),
        PersonDeed::DiskFault { commits, fault } => format!("disk: after {commits} more commits {fault:?}"),
        PersonDeed::DiskBytes(Some(bytes)) => format!("disk has {bytes} B for us"),
        PersonDeed::DiskBytes(None) => "disk has enough".into(),
        PersonDeed::ClockJump(minutes) => format!("clock jumps {minutes} min"),
    }
}

fn relay_deed(deed: &RelayDeed) -> String {
    match deed {
        RelayDeed::PowerCut => "POWER CUT".into(),
        RelayDeed::Stop => "is stopped".into(),
        RelayDeed::Start => "is started".into(),
        RelayDeed::DiskBytes(Some(bytes)) => format!("disk has {bytes} B"),
        RelayDeed::DiskBytes(None) => "disk has enough".into(),
        RelayDeed::SyncFails => "next sync fails".into(),
        RelayDeed::SyncTakes(millis) => format!("a sync takes {millis} ms"),
        RelayDeed::DiskLost => "DISK LOST".into(),
        RelayDeed::DiskCopied => "disk is copied".into(),
        RelayDeed::CopyRestored => "OLDER COPY of the disk put in place".into(),
        RelayDeed::WallJump(minutes) => format!("clock jumps {minutes} min"),
        RelayDeed::LinkSilent => "link carries nothing".into(),
        RelayDeed::LinkUp => "link carries again".into(),
    }
}

fn attacker_deed(deed: &AttackerDeed) -> String {
    match deed {
        AttackerDeed::ReplayDatagrams { of, seconds } => format!("sends person {of}'s last {seconds} s again"),
        AttackerDeed::Flood { connections } => format!("opens {connections} connections and says nothing"),
        AttackerDeed::Hoard { parcels } => format!("fills mailboxes of their own with {parcels} parcels"),
        AttackerDeed::Pour { requests } => format!("asks for {requests} things in one breath"),
        AttackerDeed::Guess { tries } => format!("guesses {tries} times"),
        AttackerDeed::Truncate { of, seconds } => format!("cuts person {of}'s datagrams short for {seconds} s"),
        AttackerDeed::HoldBack { hours } => format!("holds back what their own phone says first, for {hours} h"),
        AttackerDeed::StealLink { from, to } => format!("opens the link from person {from} to person {to}"),
    }
}

/// How a note is shown; while nothing but its progress changes, it is told once.
fn note(who: PersonId, shown: &Shown) -> Told {
    let Shown { number, other, direction, mark, waits, progress: (done, all), sequence, serial, .. } = shown;
    let which = serial.map_or("a note".into(), |serial| format!("note {serial}"));
    let way = match direction {
        Direction::Out => "to",
        Direction::In => "from",
    };
    let waits = waits.map_or(String::new(), |reason| format!(", waits: {reason:?}"));
    let what = format!("sees {which} {way} person {other} (number {number}, {sequence}th): {mark:?}{waits}");
    Told::seen(who, format!("{what}, {done} of {all} B")).folded(what)
}

fn told_answer(answer: &Answer) -> Told {
    let Answer { by, of, asked_relay, view, serial, .. } = answer;
    let word = match (&view.word, serial) {
        (None, _) => "no word".into(),
        (Some(_), Some(serial)) => format!("word {serial}"),
        (Some(_), None) => "A STRANGE WORD".into(),
    };
    let mut what = format!("is told of person {of}: {word}");
    if let Some(bucket) = &view.bucket {
        what.push_str(&format!(", observed from hour {} for {} h", bucket.start_hour, bucket.width_hours));
    }
    for (is, words) in [
        (!view.granted, ", not granted"),
        (view.fresh, ", fresh"),
        (*asked_relay && !view.fresh, ", the relay did not answer"),
        (view.relay_is_older, ", the relay's is older"),
    ] {
        what.push_str(if is { words } else { "" });
    }
    Told::seen(*by, what)
}

/// What phones hold is taken down every hour, and tells something only where it is too much, which the broken promise
/// says.
fn phone_load(who: PersonId, load: &PhoneLoad) -> Told {
    let what =
        format!("person {who} has {} tasks, {} sockets, {} B on disk", load.tasks, load.sockets, load.disk_bytes);
    Told::new(SEEN, "phones".into(), what).folded("load")
}

fn relay_load(load: &RelayLoad) -> Told {
    let RelayLoad { tasks, sockets, sessions, disk_bytes, parcels, tombstones, .. } = load;
    let held = format!("holds {parcels} parcels, {tombstones} tombstones, {disk_bytes} B");
    relay(SEEN, format!("{held}; {tasks} tasks, {sockets} sockets, {sessions} sessions")).folded("load")
}

/// Describes somebody.
pub(super) fn person(person: &Person) -> String {
    let Person { side, habit, access, behind_nat, receipts, seen, clock_off_minutes, drift_ppm, disk_bytes } = person;
    let nat = if *behind_nat { " behind a NAT" } else { "" };
    let disk = disk_bytes.map_or(String::new(), |bytes| format!(", disk {bytes} B"));
    format!(
        "{side:?}, {habit:?}, {access}{nat}, receipts {receipts:?}, tells {seen:?}, \
         clock {clock_off_minutes:+} min {drift_ppm:+} ppm{disk}"
    )
}

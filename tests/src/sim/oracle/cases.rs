//! Runs made by hand, with which the oracle is tried: one that is good, and what can be changed in it.

use std::collections::BTreeMap;

use zajil_client::engine::api::{
    ContactView, Direction, DisappearingView, NoteMark, Pairing, ProbingView, Receipts, SeenBucket, SeenPrecision,
    SeenView, Span, StatusView, WordState, WordView,
};
use zajil_proto::time::Minute;

use super::{Violation, judge};
use crate::sim::plan::{Deed, Event, MINUTE, Millis, Person, PersonDeed, PersonId, Plan, RelayMachine, Side};
use crate::sim::record::{Answer, Entry, Heard, PhoneLoad, Record, RelayLoad, Seen, Shown, Taken, Traffic};

/// Minutes since 1970 when these worlds begin: the start of a day.
pub(super) const BEGAN: u32 = 28_800_000;
/// The same in hours.
pub(super) const BEGAN_HOUR: u32 = BEGAN / 60;

/// Bytes in which every note of these worlds is sealed: a length that padding gives.
pub(super) const SEALED_BYTES: u32 = 15_582;

/// A run that can be changed.
pub(super) struct Tale {
    pub(super) plan: Plan,
    pub(super) record: Record,
}

impl Tale {
    /// Nothing happens, to three people.
    pub(super) fn quiet() -> Self {
        let plan = Plan {
            seed: 1,
            profile: "made by hand".into(),
            people: vec![person(); 4],
            relay: RelayMachine { disk_bytes: None, sync_millis: 5, drift_ppm: 0 },
            events: Vec::new(),
            calm_at: 100 * MINUTE,
        };
        let record = Record {
            entries: Vec::new(),
            calm_at: 100 * MINUTE,
            ended_at: 110 * MINUTE,
            traffic: BTreeMap::new(),
            log: None,
            secrets: Vec::new(),
        };
        Self { plan, record }
    }

    /// Persons 1 and 2 pair; 1 sends notes 7 and 8, which 2 hears, and a word, about which 2 asks.
    pub(super) fn good() -> Self {
        let mut tale = Self::quiet();
        tale.pair(1, 2, 1);
        tale.send(1, 2, 7, 20);
        tale.send(1, 2, 8, 30);
        tale.arrives(1, 2, 7, 40);
        tale.arrives(1, 2, 8, 41);
        tale.hear(1, 2, 7, 50);
        tale.hear(1, 2, 8, 51);
        tale.write_word(1, 3, 60);
        tale.add(70, answer(2, 1, 70, Some(3), Some(bucket(0, 6))));
        for who in [1, 2] {
            tale.add(110, Seen::PhoneLoad(who, load(0)));
        }
        tale
    }

    /// Adds what is seen in a minute.
    pub(super) fn add(&mut self, minute: Millis, seen: Seen) -> &mut Self {
        self.record.entries.push(Entry { at: minute * MINUTE, seen });
        self.record.entries.sort_by_key(|entry| entry.at);
        self
    }

    /// Adds something that is played, to the plan too.
    pub(super) fn play(&mut self, minute: Millis, deed: Deed) -> &mut Self {
        let event = Event { at: minute * MINUTE, deed };
        self.plan.events.push(event.clone());
        self.plan.sort();
        self.add(minute, Seen::Played(event))
    }

    /// Lets two people pair in ten minutes.
    pub(super) fn pair(&mut self, one: PersonId, other: PersonId, minute: Millis) -> &mut Self {
        self.play(minute, Deed::Person(one, PersonDeed::Pair { with: other, in_person: true, link_takes: 0 }));
        for (whose, of) in [(one, other), (other, one)] {
            self.add(minute + 2, Seen::Contact(whose, contact(of, Pairing::Answered)));
            self.add(minute + 5, Seen::Contact(whose, contact(of, Pairing::Confirmed)));
        }
        self.add(minute + 6, Seen::Paired(one, other))
    }

    /// Lets somebody send a note, which gets the serial as its number, and come to the relay.
    pub(super) fn send(&mut self, from: PersonId, to: PersonId, serial: u32, minute: Millis) -> &mut Self {
        let deed = PersonDeed::Send { to, serial, seconds: 10, lifetime_days: None };
        self.play(minute, Deed::Person(from, deed));
        self.add(minute, Seen::Taken(taken(from, to, serial)));
        self.add(minute, Seen::Note(from, out(to, serial, NoteMark::OnDevice)));
        self.lists(from, minute);
        self.add(minute + 1, Seen::Note(from, out(to, serial, NoteMark::AtRelay)))
    }

    /// Lets a note come to its reader.
    pub(super) fn arrives(&mut self, from: PersonId, to: PersonId, serial: u32, minute: Millis) -> &mut Self {
        self.add(minute, Seen::Note(to, coming(from, serial, NoteMark::Arriving)));
        self.lists(to, minute);
        self.add(minute + 1, Seen::Note(to, coming(from, serial, NoteMark::Delivered)));
        self.add(minute + 2, Seen::Note(from, out(to, serial, NoteMark::Delivered)))
    }

    /// Lets somebody listen to a note, and its sender know.
    pub(super) fn hear(&mut self, from: PersonId, to: PersonId, serial: u32, minute: Millis) -> &mut Self {
        self.add(minute, Seen::Heard(heard(from, to, serial)));
        self.add(minute, Seen::Note(to, coming(from, serial, NoteMark::Heard)));
        self.add(minute + 1, Seen::Note(from, out(to, serial, NoteMark::Heard)))
    }

    /// Lets somebody write a word that everybody's slot has a minute later.
    pub(super) fn write_word(&mut self, by: PersonId, serial: u32, minute: Millis) -> &mut Self {
        self.play(minute, Deed::Person(by, PersonDeed::WriteWord { serial, tell_minute: false }));
        self.add(minute + 1, Seen::WordTaken { by, serial, contacts: 1, stored: 1 })
    }

    /// Lets somebody see their list: every number they were shown until then.
    pub(super) fn lists(&mut self, who: PersonId, minute: Millis) -> &mut Self {
        let shown = self.record.entries.iter().filter(|entry| entry.at <= minute * MINUTE);
        let mut numbers: Vec<u32> = shown
            .filter_map(|entry| match &entry.seen {
                Seen::Note(whose, shown) if *whose == who => Some(shown.number),
                _ => None,
            })
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.add(minute, Seen::Order(who, numbers))
    }

    /// Takes away what fits.
    pub(super) fn without(&mut self, fits: impl Fn(&Seen) -> bool) -> &mut Self {
        let before = self.record.entries.len();
        self.record.entries.retain(|entry| !fits(&entry.seen));
        assert!(self.record.entries.len() < before, "nothing of that kind is there to be taken away");
        self
    }

    /// Changes all that fits.
    pub(super) fn change(&mut self, change: impl Fn(&mut Seen) -> bool) -> &mut Self {
        let changed = self.record.entries.iter_mut().map(|entry| change(&mut entry.seen));
        assert!(changed.filter(|changed| *changed).count() > 0, "nothing of that kind is there to be changed");
        self
    }

    /// Gives a note a lifetime of a day.
    pub(super) fn lasts_a_day(&mut self, note: u32) -> &mut Self {
        self.change(|seen| match seen {
            Seen::Played(event) => match &mut event.deed {
                Deed::Person(_, PersonDeed::Send { serial, lifetime_days, .. }) if *serial == note => {
                    *lifetime_days = Some(1);
                    true
                }
                _ => false,
            },
            _ => false,
        })
    }

    /// Asks the oracle.
    pub(super) fn verdict(&self) -> Vec<Violation> {
        judge(&self.plan, &self.record)
    }

    /// The oracle must find nothing.
    #[track_caller]
    pub(super) fn is_good(&self) {
        let found = self.verdict();
        assert!(found.is_empty(), "{found:#?}");
    }

    /// The oracle must find just this, as the first thing that is wrong.
    #[track_caller]
    pub(super) fn breaks(&self, invariant: u8, part: &str) {
        let found = self.verdict();
        let first = found.first().expect("something is wrong, and the oracle must see it");
        assert!(first.invariant == invariant && first.text.contains(part), "{invariant} {part:?}: {found:#?}");
    }
}

/// A person like many.
pub(super) fn person() -> Person {
    Person { access: "edge".into(), ..Person::plain(Side::Town) }
}

/// A contact as a list shows it.
pub(super) fn contact(of: PersonId, pairing: Pairing) -> ContactView {
    ContactView {
        name: format!("person {of}"),
        pairing,
        receipts: Receipts::AtOnce,
        seen: SeenPrecision::SixHours,
        disappear: Span::default(),
        shows_word: true,
        unheard: 0,
        waiting: 0,
        out_of_hands: None,
        renewing: false,
    }
}

/// A note that was taken.
pub(super) fn taken(from: PersonId, to: PersonId, serial: u32) -> Taken {
    Taken { from, to, serial, number: serial, duration_millis: 10_000, sealed_bytes: SEALED_BYTES }
}

/// A note as its sender sees it.
pub(super) fn out(to: PersonId, serial: u32, mark: NoteMark) -> Shown {
    let direction = Direction::Out;
    Shown {
        number: serial,
        other: to,
        direction,
        mark,
        waits: None,
        progress: (SEALED_BYTES, SEALED_BYTES),
        sequence: serial,
        duration_millis: 10_000,
        recorded: BEGAN,
        arrived: BEGAN,
        serial: Some(serial),
    }
}

/// A note as its reader sees it; its number there is its serial and a hundred.
pub(super) fn coming(from: PersonId, serial: u32, mark: NoteMark) -> Shown {
    let whole = mark != NoteMark::Arriving;
    Shown {
        number: 100 + serial,
        other: from,
        direction: Direction::In,
        mark,
        waits: None,
        progress: (if whole { SEALED_BYTES } else { 9_000 }, SEALED_BYTES),
        sequence: serial,
        duration_millis: if whole { 10_000 } else { 0 },
        recorded: BEGAN,
        arrived: BEGAN,
        serial: Some(serial),
    }
}

/// A note as it is listened to.
pub(super) fn heard(from: PersonId, by: PersonId, serial: u32) -> Heard {
    let number = 100 + serial;
    Heard { by, from, number, serial: Some(serial), identical: true, decodes: true, sequence: serial, told: true }
}

/// An answer to a question that was put in a minute, and answered in the same.
pub(super) fn answer(by: PersonId, of: PersonId, minute: u32, serial: Option<u32>, bucket: Option<SeenBucket>) -> Seen {
    let now = Minute(BEGAN + minute);
    let word = serial.map(|serial| WordView { state: WordState::Well, text: serial.to_string(), written: None });
    let view = SeenView {
        name: format!("person {of}"),
        granted: true,
        word,
        bucket,
        news: Some(now),
        checked: Some(now),
        fresh: true,
        relay_is_older: false,
        links: Vec::new(),
        now,
    };
    let asked_at = Millis::from(minute) * MINUTE;
    Seen::Answer(Box::new(Answer { by, of, asked_relay: true, asked_at, view, serial, clocks: (now.0, now.0) }))
}

/// A bucket some hours after these worlds begin.
pub(super) fn bucket(after: u32, width_hours: u8) -> SeenBucket {
    SeenBucket { start_hour: BEGAN_HOUR + after, width_hours }
}

/// What a phone holds at rest.
pub(super) fn load(waiting: u32) -> PhoneLoad {
    let status = StatusView {
        relays: Vec::new(),
        contacts: 1,
        unheard: 0,
        waiting,
        waiting_bytes: 0,
        stored_bytes: 1_000,
        outbox_bytes_max: zajil_client::limits::OUTBOX_BYTES_MAX,
        disk_full: false,
        probing: ProbingView::default(),
        link: None,
        disappearing: DisappearingView::default(),
        daemon: true,
        clock_off_minutes: Some(0),
    };
    PhoneLoad {
        tasks: 3,
        sockets: 1,
        connections: 1,
        sent_bytes: 1_200,
        disk_bytes: 10_000,
        opened_keys: 0,
        left_behind: 0,
        status: Some(status),
    }
}

/// What a relay holds at rest.
pub(super) fn relay_load() -> RelayLoad {
    RelayLoad {
        tasks: 2,
        sockets: 1,
        sessions: 1,
        watching: 1,
        disk_bytes: 10_000,
        parcels: 0,
        per_mailbox: Vec::new(),
        tombstones: 4,
        scopes: 4,
        overdue: 0,
        requests_most: 3,
    }
}

/// What a phone sent that had little to say.
pub(super) fn traffic() -> Traffic {
    Traffic { sent: 100, sent_bytes: 40_000, lost_bytes: 0, received: 100, received_bytes: 20_000, connections: 1 }
}

mod tests {
    use super::*;
    use crate::sim::oracle::summary;

    #[test]
    fn a_good_run_is_found_good_and_an_empty_one_is_told_from_it_by_its_summary() {
        Tale::good().is_good();
        Tale::quiet().is_good();
        let good = summary(&Tale::good().record);
        assert_eq!(
            (good.taken, good.heard, good.told_heard, good.words, good.answers, good.paired),
            (2, 2, 2, 1, 1, 1)
        );
        assert_eq!(summary(&Tale::quiet().record), summary::Summary::default());
    }

    #[test]
    fn what_broke_and_what_was_taken_by_an_attacker_come_first_among_what_is_wrong_at_one_time() {
        let mut tale = Tale::good();
        tale.add(50, Seen::Breach("a mailbox of person 2 was read".into()));
        tale.breaks(0, "breach: a mailbox");
        tale.add(49, Seen::Broken("a task panicked".into()));
        tale.breaks(0, "a task panicked");
    }
}

//! A run put in order: who sent what to whom, what became of it, who knew whom, and when anybody could reach the relay.

use std::collections::{BTreeMap, BTreeSet};

use zajil_client::engine::api::{ContactView, Direction, Failure, NoteMark, Pairing, WaitReason};

use super::spans::Spans;
use crate::sim::plan::{Deed, Millis, PersonDeed, PersonId, Plan, RelayDeed};
use crate::sim::record::{Heard, Record, Seen, Shown, Taken};

/// A note of the plan that somebody was told to send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    /// When.
    pub(super) at: Millis,
    /// Who.
    pub(super) from: PersonId,
    /// To whom.
    pub(super) to: PersonId,
    /// Its length, seconds.
    pub(super) seconds: u32,
    /// How long it may wait at relays, days.
    pub(super) lifetime_days: Option<u16>,
}

/// A note as somebody saw it at one time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) at: Millis,
    pub(super) shown: &'a Shown,
}

/// Two people's pairing as the oracle needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fallen {
    pub(super) at: Millis,
    pub(super) one: PersonId,
    pub(super) other: PersonId,
}

/// A run put in order.
pub(super) struct Story<'a> {
    pub(super) plan: &'a Plan,
    pub(super) record: &'a Record,
    /// What the plan had sent, by serial.
    pub(super) sendings: BTreeMap<u32, Sending>,
    /// What programs took, by serial; only the first time.
    pub(super) takings: BTreeMap<u32, (Millis, &'a Taken)>,
    /// The how-manieth of all notes it was that a program took, by serial.
    pub(super) nth: BTreeMap<u32, usize>,
    /// Which note of the plan a number is, at its sender.
    pub(super) outgoing: BTreeMap<(PersonId, u32), u32>,
    /// What programs refused, by serial.
    pub(super) refused: BTreeMap<u32, Millis>,
    /// Every view of every note, by person and number.
    pub(super) sights: BTreeMap<(PersonId, u32), Vec<Sight<'a>>>,
    /// What was heard.
    pub(super) heard: Vec<(Millis, &'a Heard)>,
    /// Lists as people saw them.
    pub(super) orders: Vec<(Millis, PersonId, &'a [u32])>,
    /// Contacts as people saw them: whose list, of whom.
    pub(super) contacts: BTreeMap<(PersonId, PersonId), Vec<(Millis, &'a ContactView)>>,
    /// Pairings that were given up.
    pub(super) fallen: Vec<Fallen>,
    /// When the relay got an empty store.
    pub(super) store_replaced: Vec<Millis>,
    /// When phone, link and relay were all up, by person.
    talks: BTreeMap<PersonId, Spans>,
    /// The same, and the time in which something may still have been on its way.
    reach: BTreeMap<PersonId, Spans>,
    /// The same, where what leaves a phone counts as carried: answers may be lost.
    sends: BTreeMap<PersonId, Spans>,
    /// Which note of the plan a number is, at its reader.
    serials: BTreeMap<(PersonId, u32), u32>,
}

/// How long what left in time may still be on its way when a link goes, milliseconds: a queue of 2G.
const ON_ITS_WAY_MILLIS: Millis = 60_000;

impl<'a> Story<'a> {
    /// Puts a run in order.
    pub(super) fn of(plan: &'a Plan, record: &'a Record) -> Self {
        let mut story = Self {
            plan,
            record,
            sendings: BTreeMap::new(),
            takings: BTreeMap::new(),
            nth: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            refused: BTreeMap::new(),
            sights: BTreeMap::new(),
            heard: Vec::new(),
            orders: Vec::new(),
            contacts: BTreeMap::new(),
            fallen: Vec::new(),
            store_replaced: Vec::new(),
            talks: BTreeMap::new(),
            reach: BTreeMap::new(),
            sends: BTreeMap::new(),
            serials: BTreeMap::new(),
        };
        for entry in &record.entries {
            story.take(entry.at, &entry.seen);
        }
        story.name_numbers();
        story.find_reach();
        story
    }

    fn take(&mut self, at: Millis, seen: &'a Seen) {
        match seen {
            Seen::Played(event) => {
                if let Deed::Person(from, PersonDeed::Send { to, serial, seconds, lifetime_days }) = &event.deed {
                    let sending =
                        Sending { at, from: *from, to: *to, seconds: *seconds, lifetime_days: *lifetime_days };
                    self.sendings.insert(*serial, sending);
                }
            }
            Seen::Taken(taken) => {
                self.takings.entry(taken.serial).or_insert((at, taken));
                self.outgoing.insert((taken.from, taken.number), taken.serial);
                let nth = self.nth.len();
                self.nth.entry(taken.serial).or_insert(nth);
            }
            // A store that failed, failed before the note was durable or after; power was cut, and nobody was told.
            Seen::NotTaken(_, _, Failure::Store(_)) => {}
            Seen::NotTaken(_, serial, _) => {
                self.refused.insert(*serial, at);
            }
            Seen::Note(who, shown) => {
                self.sights.entry((*who, shown.number)).or_default().push(Sight { at, shown });
            }
            Seen::Heard(heard) => self.heard.push((at, heard)),
            Seen::Order(who, numbers) => self.orders.push((at, *who, numbers)),
            Seen::Contact(who, view) => {
                if let Some(other) = person_named(&view.name) {
                    self.contacts.entry((*who, other)).or_default().push((at, view));
                }
            }
            Seen::PairingFailed(one, other, _) => self.fallen.push(Fallen { at, one: *one, other: *other }),
            Seen::RelayStoreReplaced => self.store_replaced.push(at),
            _ => {}
        }
    }

    /// Finds out which note a reader's number is: by what was heard, or by what its beginning sounds like.
    fn name_numbers(&mut self) {
        for (_, heard) in &self.heard {
            if let Some(serial) = heard.serial {
                self.serials.entry((heard.by, heard.number)).or_insert(serial);
            }
        }
        for ((who, number), sights) in &self.sights {
            let incoming = sights.iter().filter(|sight| sight.shown.direction == Direction::In);
            if let Some(serial) = incoming.filter_map(|sight| sight.shown.serial).next() {
                self.serials.entry((*who, *number)).or_insert(serial);
            }
        }
    }

    fn find_reach(&mut self) {
        let end = self.record.ended_at;
        let mut relay = Vec::new();
        let mut relay_link = Vec::new();
        let mut phones: BTreeMap<PersonId, [Vec<(Millis, bool)>; 3]> = BTreeMap::new();
        for id in self.plan.cast() {
            phones.insert(id, Default::default());
        }
        for entry in &self.record.entries {
            match &entry.seen {
                Seen::Relay(on) => relay.push((entry.at, *on)),
                Seen::Phone(who, on) => phones.entry(*who).or_default()[0].push((entry.at, *on)),
                Seen::Link(who, on) => {
                    let [_, link, out] = phones.entry(*who).or_default();
                    link.push((entry.at, *on));
                    out.push((entry.at, *on));
                }
                Seen::Played(event) => match &event.deed {
                    Deed::Relay(RelayDeed::LinkSilent) => relay_link.push((entry.at, false)),
                    Deed::Relay(RelayDeed::LinkUp) => relay_link.push((entry.at, true)),
                    Deed::Person(who, PersonDeed::OneWay { out: true }) => {
                        // One millisecond later: after the entry which says that it no longer carries both ways.
                        phones.entry(*who).or_default()[2].push((entry.at.saturating_add(1), true));
                    }
                    Deed::Person(
                        who,
                        PersonDeed::OneWay { out: false } | PersonDeed::LinkDown | PersonDeed::LinkSilent,
                    ) => phones.entry(*who).or_default()[2].push((entry.at, false)),
                    _ => {}
                },
                _ => {}
            }
        }
        // A silent link before the first word about it would be strange: it was up.
        relay_link.insert(0, (0, true));
        // Calm brings it back without a word.
        relay_link.push((self.record.calm_at, true));
        let up = |mut changes: Vec<(Millis, bool)>| {
            changes.sort_by_key(|(at, _)| *at);
            Spans::of_changes(&changes, end)
        };
        let relay = up(relay).both(&up(relay_link));
        let relay_late = relay.longer(ON_ITS_WAY_MILLIS);
        for (who, [phone, link, out]) in phones {
            let phone = up(phone);
            let linked = phone.both(&up(link));
            let sends = phone.both(&up(out)).longer(ON_ITS_WAY_MILLIS).both(&relay_late);
            self.reach.insert(who, linked.longer(ON_ITS_WAY_MILLIS).both(&relay_late));
            self.talks.insert(who, linked.both(&relay));
            self.sends.insert(who, sends);
        }
    }

    /// Returns when a person's phone and the relay were up, and the link between them.
    pub(super) fn talks(&self, who: PersonId) -> Spans {
        self.talks.get(&who).cloned().unwrap_or_default()
    }

    /// Returns when something could pass between a person's phone and the relay, to its last moment on the way.
    pub(super) fn reach(&self, who: PersonId) -> Spans {
        self.reach.get(&who).cloned().unwrap_or_default()
    }

    /// Returns when something from a person's phone could come to the relay, whether or not an answer could come back.
    pub(super) fn sends(&self, who: PersonId) -> Spans {
        self.sends.get(&who).cloned().unwrap_or_default()
    }

    /// Returns which note of the plan a number at its reader is, as far as anybody could tell by its sound.
    pub(super) fn serial_at(&self, reader: PersonId, number: u32) -> Option<u32> {
        self.serials.get(&(reader, number)).copied()
    }

    /// Returns under which numbers a reader has a note.
    pub(super) fn numbers_of(&self, reader: PersonId, serial: u32) -> BTreeSet<u32> {
        let here = self.serials.range((reader, 0)..=(reader, u32::MAX));
        here.filter(|(_, found)| **found == serial).map(|((_, number), _)| *number).collect()
    }

    /// Returns whether a reader has whole notes from somebody that nobody has listened to: any of them may be any of theirs.
    pub(super) fn has_unnamed(&self, reader: PersonId, from: PersonId) -> bool {
        self.sights.range((reader, 0)..=(reader, u32::MAX)).any(|((_, number), sights)| {
            let of_them = |sight: &Sight<'_>| sight.shown.direction == Direction::In && sight.shown.other == from;
            sights.iter().any(of_them) && !self.serials.contains_key(&(reader, *number))
        })
    }

    /// Returns what a person's views of one contact were.
    pub(super) fn views(&self, whose: PersonId, of: PersonId) -> &[(Millis, &'a ContactView)] {
        self.contacts.get(&(whose, of)).map_or(&[], Vec::as_slice)
    }

    /// Returns when a person first saw that both ends hold keys.
    fn stood_at(&self, whose: PersonId, of: PersonId) -> Option<Millis> {
        let stands = |view: &ContactView| matches!(view.pairing, Pairing::Unconfirmed | Pairing::Confirmed);
        self.views(whose, of).iter().find(|(_, view)| stands(view)).map(|(at, _)| *at)
    }

    /// Returns when two people had seen, each on their own phone, that both ends hold keys.
    pub(super) fn both_stood_at(&self, one: PersonId, other: PersonId) -> Option<Millis> {
        Some(self.stood_at(one, other)?.max(self.stood_at(other, one)?))
    }

    /// Returns whether a pairing of these two was given up in this span.
    pub(super) fn fell_within(&self, one: PersonId, other: PersonId, from: Millis, to: Millis) -> bool {
        self.fallen.iter().any(|fallen| fallen.joins(one, other) && (from..=to).contains(&fallen.at))
    }

    /// Returns whether a note was sealed for a pairing that never came about: nobody promised that it would arrive.
    pub(super) fn led_nowhere(&self, from: PersonId, to: PersonId, taken_at: Millis) -> bool {
        match self.both_stood_at(from, to) {
            None => true,
            Some(stood) => taken_at < stood && self.fell_within(from, to, 0, Millis::MAX),
        }
    }

    /// Returns when each note was taken that somebody's phone holds to the end because there is nobody to get it: a thief took up the
    /// link and went away, or its maker gave it up, and the relay knows no mailbox of theirs. Nobody will make it again.
    pub(super) fn waiting_for_nobody(&self, from: PersonId) -> impl Iterator<Item = Millis> + '_ {
        let taken = self.takings.values().filter(move |(_, taken)| taken.from == from);
        let waiting = taken.filter(|(at, taken)| {
            let shown = self.last_sight(taken.from, taken.number).map(|sight| sight.shown);
            let waits = shown.is_some_and(|shown| shown.waits == Some(WaitReason::NotHere));
            waits && self.led_nowhere(taken.from, taken.to, *at)
        });
        waiting.map(|(at, _)| *at)
    }

    /// Returns in how many pairings with `other` before this one `who` has sent and got notes: each counts anew.
    pub(super) fn pairings_before(&self, who: PersonId, other: PersonId, number: u32) -> usize {
        let began = self.sights.get(&(who, number)).and_then(|sights| sights.first()).map_or(0, |sight| sight.at);
        self.fallen.iter().filter(|fallen| fallen.joins(who, other) && fallen.at <= began).count()
    }

    /// Returns what a note looked like to somebody at the end.
    pub(super) fn last_sight(&self, who: PersonId, number: u32) -> Option<&Sight<'a>> {
        self.sights.get(&(who, number)).and_then(|sights| sights.last())
    }

    /// Returns what a note looked like to somebody at that time or before.
    pub(super) fn sight_at(&self, who: PersonId, number: u32, at: Millis) -> Option<&Sight<'a>> {
        self.sights.get(&(who, number))?.iter().rev().find(|sight| sight.at <= at)
    }

    /// Returns the sum of the jumps of a wall clock up to a moment, minutes; `who`: a person, or else the relay.
    pub(super) fn jumped_by(&self, who: Option<PersonId>, until: Millis) -> i64 {
        self.jumps(who).filter(|(at, _)| *at <= until).map(|(_, minutes)| i64::from(minutes)).sum()
    }

    /// Returns the jumps of a wall clock; `who`: a person, or else the relay.
    pub(super) fn jumps(&self, who: Option<PersonId>) -> impl Iterator<Item = (Millis, i32)> + '_ {
        self.record.entries.iter().filter_map(move |entry| match (&entry.seen, who) {
            (Seen::Played(event), Some(who)) => match event.deed {
                Deed::Person(whose, PersonDeed::ClockJump(minutes)) if whose == who => Some((entry.at, minutes)),
                _ => None,
            },
            (Seen::Played(event), None) => match event.deed {
                Deed::Relay(RelayDeed::WallJump(minutes)) => Some((entry.at, minutes)),
                _ => None,
            },
            _ => None,
        })
    }
}

impl Fallen {
    fn joins(&self, one: PersonId, other: PersonId) -> bool {
        (self.one, self.other) == (one, other) || (self.one, self.other) == (other, one)
    }
}

/// Returns whom a name on a device means: names end with the person's place.
pub(super) fn person_named(name: &str) -> Option<PersonId> {
    let digits = name.len() - name.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
    name[name.len() - digits..].parse().ok()
}

/// Returns whether a note is whole where it was sent to.
pub(super) const fn is_whole(mark: NoteMark) -> bool {
    matches!(mark, NoteMark::Delivered | NoteMark::Heard)
}

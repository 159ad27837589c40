//! The last words of a run: who wrote which, when the relay can have had it, and what it was allowed to tell.

use std::collections::{BTreeMap, BTreeSet};

use zajil_client::engine::api::{Pairing, SeenPrecision};

use super::story::Story;
use crate::sim::plan::{Deed, MINUTE, Millis, PersonDeed, PersonId, TellsSeen};
use crate::sim::record::{Answer, Entry, Seen};

/// A word that somebody was told to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    /// When they began.
    pub(super) at: Millis,
    /// Whether the exact minute is told.
    pub(super) tells_minute: bool,
    /// Whether the program took it for anybody.
    pub(super) was_taken: bool,
    /// When the program said that the relay had it for everybody, if it said so.
    pub(super) kept_by: Option<Millis>,
}

/// Every word of a run, and every change of who may see one.
pub(super) struct Words {
    by_owner: BTreeMap<PersonId, BTreeMap<u32, Written>>,
    /// Owner, reader, when, what.
    settings: Vec<(PersonId, PersonId, Millis, TellsSeen)>,
    /// Milliseconds since 1970 by the relay's clock when the world began, as if it had never been moved.
    relay_began: Option<i64>,
}

impl Words {
    /// Collects the words of a run.
    pub(super) fn of(story: &Story<'_>) -> Self {
        let mut words = Self { by_owner: BTreeMap::new(), settings: Vec::new(), relay_began: None };
        for Entry { at, seen } in &story.record.entries {
            match seen {
                Seen::Played(event) => match &event.deed {
                    Deed::Person(who, PersonDeed::WriteWord { serial, tell_minute }) => {
                        let written = Written { at: *at, tells_minute: *tell_minute, was_taken: false, kept_by: None };
                        words.by_owner.entry(*who).or_default().insert(*serial, written);
                    }
                    Deed::Person(who, PersonDeed::SetSeen { to, tells }) => {
                        words.settings.push((*who, *to, *at, *tells));
                    }
                    _ => {}
                },
                Seen::WordTaken { by, serial, contacts, stored } if *contacts > 0 => {
                    if let Some(written) = words.by_owner.get_mut(by).and_then(|all| all.get_mut(serial)) {
                        written.was_taken = true;
                        written.kept_by = (contacts == stored).then_some(*at);
                    }
                }
                Seen::Answer(answer) if words.relay_began.is_none() => {
                    let wall = i64::from(answer.clocks.1) * signed(MINUTE);
                    let moved = story.jumped_by(None, *at) * signed(MINUTE);
                    words.relay_began = Some(wall - signed(*at) - relay_drift(story, *at) - moved);
                }
                _ => {}
            }
        }
        words
    }

    /// Returns a word that its owner had begun to write.
    pub(super) fn written(&self, owner: PersonId, serial: u32) -> Option<&Written> {
        self.by_owner.get(&owner)?.get(&serial)
    }

    /// Returns the newest word of an owner that the relay surely had for a reader at a moment.
    ///
    /// It surely had one if the owner's program said so for all contacts, if this reader was one of them, and if nothing took
    /// the slot or the relay's store away since.
    pub(super) fn surely_kept(&self, story: &Story<'_>, answer: &Answer, at: Millis) -> Option<u32> {
        let (owner, reader) = (answer.of, answer.by);
        if self.was_ever_off(story, owner, reader, answer.asked_at) {
            return None;
        }
        let kept = self.by_owner.get(&owner)?.iter().rev().find(|(_, written)| {
            let views = story.views(owner, reader);
            let confirmed = views.iter().rev().find(|(seen, _)| *seen < written.at);
            written.kept_by.is_some_and(|kept| kept < at)
                && confirmed.is_some_and(|(_, view)| view.pairing == Pairing::Confirmed)
                && !story.store_replaced.iter().any(|lost| *lost >= written.at)
        });
        kept.map(|(serial, _)| *serial)
    }

    /// Returns the newest word that an owner's program took while this reader was surely one of those it is for.
    pub(super) fn newest_for(&self, story: &Story<'_>, answer: &Answer) -> Option<u32> {
        let (owner, reader) = (answer.of, answer.by);
        let met_anew = story.fell_within(owner, reader, 0, Millis::MAX);
        if met_anew || self.was_ever_off(story, owner, reader, answer.asked_at) {
            return None;
        }
        let taken = self.by_owner.get(&owner)?.iter().rev().find(|(_, written)| {
            let before = story.views(owner, reader).iter().rev().find(|(seen, _)| *seen < written.at);
            written.was_taken && before.is_some_and(|(_, view)| view.pairing == Pairing::Confirmed)
        });
        taken.map(|(serial, _)| *serial)
    }

    /// Returns whether an owner may have shown nothing to a reader at some time until `until`.
    pub(super) fn was_ever_off(&self, story: &Story<'_>, owner: PersonId, reader: PersonId, until: Millis) -> bool {
        let begins_off = story.plan.people.get(usize::from(owner)).is_none_or(|person| person.seen == TellsSeen::Off);
        let set = |setting: &(PersonId, PersonId, Millis, TellsSeen)| {
            let (who, to, at, tells) = *setting;
            (who, to, tells) == (owner, reader, TellsSeen::Off) && at <= until
        };
        let views = story.views(owner, reader);
        begins_off
            || self.settings.iter().any(set)
            || views.iter().any(|(at, view)| *at <= until && view.seen == SeenPrecision::Off)
    }

    /// Returns whether an owner can never have shown anything to a reader until `until`.
    pub(super) fn was_always_off(&self, story: &Story<'_>, owner: PersonId, reader: PersonId, until: Millis) -> bool {
        let begins_off = story.plan.people.get(usize::from(owner)).is_some_and(|person| person.seen == TellsSeen::Off);
        let opened = |setting: &(PersonId, PersonId, Millis, TellsSeen)| {
            let (who, to, at, tells) = *setting;
            (who, to) == (owner, reader) && tells != TellsSeen::Off && at <= until
        };
        // Before the owner's own setting is in force the program's is: a word written then may have been shown.
        let closed = story.views(owner, reader).iter().find(|(_, view)| view.seen == SeenPrecision::Off);
        let written_before = closed.is_none_or(|(closed, _)| {
            self.by_owner.get(&owner).into_iter().flatten().any(|(_, written)| written.at <= *closed)
        });
        begins_off && !written_before && !self.settings.iter().any(opened)
    }

    /// Returns the widths in hours that a relay may have been allowed to tell at some time in a span.
    pub(super) fn widths(
        &self,
        story: &Story<'_>,
        owner: PersonId,
        reader: PersonId,
        span: (Millis, Millis),
    ) -> BTreeSet<u8> {
        let (from, to) = span;
        let views = story.views(owner, reader);
        let mut widths = BTreeSet::new();
        // What the owner's list showed before, in the span, and when they next looked.
        let before = views.iter().rev().find(|(at, _)| *at <= from);
        let after = views.iter().find(|(at, _)| *at > to);
        let within = views.iter().filter(|(at, _)| (from..=to).contains(at));
        widths.extend(before.into_iter().chain(within).chain(after).map(|(_, view)| hours(view.seen)));
        let set = self.settings.iter().filter(|(who, whom, ..)| (*who, *whom) == (owner, reader));
        let last = set.clone().rfind(|(.., at, _)| *at <= from);
        let later = set.filter(|(.., at, _)| (from..=to).contains(at));
        widths.extend(last.into_iter().chain(later).map(|(.., tells)| hours(said(*tells))));
        // Until the owner's list has shown their own setting, it may just be being made, and the program's be in force.
        let own = story.plan.people.get(usize::from(owner)).map_or(0, |person| hours(said(person.seen)));
        if !views.iter().any(|(at, view)| *at <= from && hours(view.seen) == own) {
            widths.extend([own, hours(SeenPrecision::SixHours)]);
        }
        widths
    }

    /// Returns the time by the relay's wall clock at a moment, milliseconds since 1970; known to a minute.
    pub(super) fn relay_wall(&self, story: &Story<'_>, at: Millis) -> Option<i64> {
        let moved = story.jumped_by(None, at) * signed(MINUTE);
        Some(self.relay_began? + signed(at) + relay_drift(story, at) + moved)
    }

    /// Returns the time by a person's wall clock at a moment as far as their crystal is good, milliseconds since 1970, and by how
    /// much that may be wrong.
    pub(super) fn wall_of(&self, story: &Story<'_>, who: PersonId, at: Millis) -> Option<(i64, i64)> {
        let person = story.plan.people.get(usize::from(who))?;
        let minutes = i64::from(person.clock_off_minutes) + story.jumped_by(Some(who), at);
        let drifts = signed(at) * i64::from(person.drift_ppm.unsigned_abs()) / 1_000_000;
        Some((self.relay_began? + signed(at) + minutes * signed(MINUTE), drifts))
    }
}

/// Returns by how much the relay's clock has gone wrong by itself until a moment, milliseconds.
fn relay_drift(story: &Story<'_>, at: Millis) -> i64 {
    signed(at) * i64::from(story.plan.relay.drift_ppm) / 1_000_000
}

/// Returns milliseconds as a difference.
pub(super) fn signed(millis: Millis) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

const fn hours(seen: SeenPrecision) -> u8 {
    match seen {
        SeenPrecision::Off => 0,
        SeenPrecision::SixHours => 6,
        SeenPrecision::Day => 24,
    }
}

const fn said(tells: TellsSeen) -> SeenPrecision {
    match tells {
        TellsSeen::Off => SeenPrecision::Off,
        TellsSeen::SixHours => SeenPrecision::SixHours,
        TellsSeen::Day => SeenPrecision::Day,
    }
}

//! Invariant 8: answers to "when were they last seen?" are right, or stale and say so; never misleading. A bucket never moves
//! without its owner.
//!
//! What is right is modelled here from what people did: which words an owner had begun to write, when their program said that the
//! relay had them, when phone, link and relay were up. A word is accepted somewhere between; its bucket must hold such a moment.
//!
//! Not judged: freshness for a reader who was ever to see nothing (their slot goes and comes, and which one they know is not
//! told); answers that a question of the same minute had asked for before (they may be on their way already); the reports of links,
//! of which the world has none; whether news came, beyond that it cannot come from tomorrow and that a new word is news.

use std::collections::BTreeMap;

use zajil_client::engine::api::{ContactView, Pairing, SeenBucket, SeenPrecision, SeenView};

use zajil_proto::time::Minute;

use super::Violation;
use super::story::Story;
use super::words::{Words, signed};
use crate::sim::plan::{Deed, HOUR, MINUTE, Millis, PersonId, RelayDeed};
use crate::sim::record::{Answer, Seen};

/// How long before a question an answer to an earlier one may have left the relay.
const ASKED_BEFORE_MILLIS: Millis = MINUTE;
/// Minutes by which two readings of one clock may differ.
const MINUTES_ROUNDED: i64 = 2;

/// What one device has shown about one person.
#[derive(Debug, Clone, Copy)]
struct Before {
    serial: u32,
    bucket: Option<(u32, Millis, SeenBucket)>,
    /// When that was, and what the device took it for.
    told: (Millis, Minute),
}

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let words = Words::of(story);
    let mut before: BTreeMap<(PersonId, PersonId), Before> = BTreeMap::new();
    for entry in &story.record.entries {
        let Seen::Answer(answer) = &entry.seen else { continue };
        let case = Case { story, words: &words, answer, view: &answer.view, at: entry.at };
        let known = before.get(&(answer.by, answer.of)).copied();
        let checks = [
            case.strange_word(),
            case.clocks(),
            case.never_granted(),
            case.is_not_confirmed(),
            case.goes_back(known),
            case.is_no_news(known),
            case.claims_to_be_fresh(),
            case.is_not_the_newest(),
            case.has_not_come(),
            case.was_taken_back(),
            case.blames_the_relay(),
            case.covers_the_relay(),
            case.tells_the_minute(),
            case.bucket_moved(known),
            case.bucket_is_false(),
        ];
        for why in checks.into_iter().flatten() {
            let text = format!("person {} asked about person {}: {why}", answer.by, answer.of);
            violations.push(Violation::new(8, entry.at, text));
        }
        if let Some(serial) = answer.serial {
            let bucket = answer.view.bucket.map(|bucket| (serial, entry.at, bucket));
            let bucket = bucket.or(known.and_then(|known| known.bucket));
            let told = (entry.at, answer.view.now);
            before.insert((answer.by, answer.of), Before { serial, bucket, told });
        }
    }
}

/// One answer and all that it is judged by.
struct Case<'a> {
    story: &'a Story<'a>,
    words: &'a Words,
    answer: &'a Answer,
    view: &'a SeenView,
    at: Millis,
}

impl Case<'_> {
    /// The word is one that its owner had begun to write.
    fn strange_word(&self) -> Option<String> {
        self.view.word.as_ref()?;
        let Some(serial) = self.answer.serial else { return Some("a word is shown that nobody wrote".to_owned()) };
        let written = self.words.written(self.answer.of, serial).is_some_and(|written| written.at <= self.at);
        (!written).then(|| format!("word {serial} is shown, which they had not written"))
    }

    /// Nothing is told to have happened later than now, by the clock of the device that tells it.
    fn clocks(&self) -> Option<String> {
        let now = i64::from(self.view.now.0);
        if (now - i64::from(self.answer.clocks.0)).abs() > MINUTES_ROUNDED {
            return Some("the answer's now is not the device's".to_owned());
        }
        let by = self.answer.by;
        let back: i64 =
            self.story.jumps(Some(by)).filter(|(at, _)| *at <= self.at).map(|(_, by)| i64::from(by.min(0))).sum();
        let latest = now - back + MINUTES_ROUNDED;
        let tomorrow = |minute: Option<Minute>| minute.is_some_and(|m| i64::from(m.0) > latest);
        if tomorrow(self.view.checked) || tomorrow(self.view.news) {
            return Some("something is told to have happened later than now".to_owned());
        }
        let moved = self.story.jumps(Some(by)).any(|(at, _)| (self.answer.asked_at..=self.at).contains(&at));
        let checked = self.view.checked.map_or(0, |minute| i64::from(minute.0));
        let stale = self.view.fresh && !moved && (now - checked).abs() > MINUTES_ROUNDED;
        stale.then(|| "a fresh answer was checked at another time".to_owned())
    }

    /// Who may see nothing is told nothing.
    fn never_granted(&self) -> Option<String> {
        let off = self.words.was_always_off(self.story, self.answer.of, self.answer.by, self.at);
        let tells = self.view.granted || self.view.word.is_some() || self.view.bucket.is_some();
        (off && tells).then(|| "something is told, though they never showed anything".to_owned())
    }

    /// Who is not confirmed is told nothing: seen as not confirmed at this time or later, they were not before either.
    fn is_not_confirmed(&self) -> Option<String> {
        let views = self.story.views(self.answer.of, self.answer.by);
        let later = views.iter().rev().take_while(|(seen, _)| *seen >= self.at).chain(views.last());
        let unconfirmed = later.into_iter().any(|(_, view)| view.pairing == Pairing::Unconfirmed);
        let tells = self.view.granted || self.view.word.is_some() || self.view.bucket.is_some();
        (unconfirmed && tells).then(|| "something is told, though they had not confirmed them".to_owned())
    }

    /// A device never shows an older word than it showed before, nor none.
    fn goes_back(&self, known: Option<Before>) -> Option<String> {
        let known = known?.serial;
        match self.answer.serial {
            Some(serial) if serial < known => Some(format!("word {serial} is shown, and word {known} was before")),
            None if !self.words.was_ever_off(self.story, self.answer.of, self.answer.by, self.at) => {
                Some(format!("no word is shown, and word {known} was before"))
            }
            _ => None,
        }
    }

    /// A word that is shown for the first time is news, and news since the last answer.
    fn is_no_news(&self, known: Option<Before>) -> Option<String> {
        let serial = self.answer.serial?;
        let Some(news) = self.view.news else { return Some(format!("word {serial} is shown, and nothing came ever")) };
        let known = known.filter(|known| known.serial < serial)?;
        let (at, minute) = known.told;
        let moved = self.story.jumps(Some(self.answer.by)).any(|(jumped, _)| (at..=self.at).contains(&jumped));
        let stands = i64::from(news.0) + MINUTES_ROUNDED < i64::from(minute.0);
        (stands && !moved).then(|| format!("word {serial} is new, and nothing came since word {}", known.serial))
    }

    /// Fresh is what the relay was asked now.
    fn claims_to_be_fresh(&self) -> Option<String> {
        if !self.view.fresh {
            return None;
        }
        if !self.answer.asked_relay {
            return Some("the answer is called fresh, and no relay was to be asked".to_owned());
        }
        let up = self.story.talks(self.answer.by).touch(self.answer.asked_at, self.at);
        (!up).then(|| "the answer is called fresh, and no relay could be reached".to_owned())
    }

    /// A fresh answer shows at least what the relay surely had when it was asked.
    fn is_not_the_newest(&self) -> Option<String> {
        if !self.view.fresh || !self.view.granted {
            return None;
        }
        let since = self.answer.asked_at.saturating_sub(ASKED_BEFORE_MILLIS);
        let newest = self.words.surely_kept(self.story, self.answer, since)?;
        let shown = self.answer.serial;
        (shown < Some(newest))
            .then(|| format!("the answer is called fresh and shows word {shown:?}; the relay had word {newest}"))
    }

    /// A relay that lost nothing is not said to show an older word.
    fn blames_the_relay(&self) -> Option<String> {
        let lost = self.story.store_replaced.iter().any(|lost| *lost <= self.at);
        let off = self.words.was_ever_off(self.story, self.answer.of, self.answer.by, self.at);
        let blamed = self.view.relay_is_older && !lost && !off;
        blamed.then(|| "the relay is said to show an older word, and it has lost none".to_owned())
    }

    /// A relay that has lost a word which its owner cannot have brought again is said to show an older one.
    fn covers_the_relay(&self) -> Option<String> {
        let serial =
            self.answer.serial.filter(|_| self.view.fresh && self.view.granted && !self.view.relay_is_older)?;
        let owner = self.answer.of;
        let written = self.words.written(owner, serial)?.at;
        let lost = *self.story.store_replaced.iter().rev().find(|lost| **lost <= self.answer.asked_at)?;
        let copied = self.story.record.entries.iter().any(|entry| match &entry.seen {
            Seen::Played(event) => event.deed == Deed::Relay(RelayDeed::DiskCopied) && entry.at >= written,
            _ => false,
        });
        // An answer to an earlier question may have left before it was lost.
        let soon = self.answer.asked_at < lost.saturating_add(ASKED_BEFORE_MILLIS);
        let lacks = written < lost && !copied && !soon && !self.story.reach(owner).touch(lost, self.at);
        lacks.then(|| {
            format!("the answer is called fresh, the relay has lost word {serial}, and it is not said to be older")
        })
    }

    /// In the calm, when all has settled, every word is there that a program took for this reader: whatever the relay lost meanwhile,
    /// its owner has brought it again, and the right to ask has come.
    fn has_not_come(&self) -> Option<String> {
        let settled = self.story.record.calm_at.saturating_add(MINUTE);
        if !self.view.fresh || self.answer.asked_at < settled {
            return None;
        }
        let taken = self.words.newest_for(self.story, self.answer)?;
        let short = self.answer.serial.is_none_or(|shown| shown < taken);
        short.then(|| format!("all is calm, they have left word {taken}, and {:?} is shown", self.answer.serial))
    }

    /// In the calm, nobody goes on showing what its owner has taken back.
    fn was_taken_back(&self) -> Option<String> {
        let calm_at = self.story.record.calm_at;
        if !self.view.granted || self.answer.asked_at < calm_at.saturating_add(MINUTE) {
            return None;
        }
        let off = |(_, view): &&(Millis, &ContactView)| view.seen == SeenPrecision::Off;
        let views = self.story.views(self.answer.of, self.answer.by);
        let since = views.iter().rev().take_while(off).last().map(|(at, _)| *at)?;
        (since < calm_at).then(|| format!("they took the right to it back at {since} ms, and it is shown in the calm"))
    }

    /// The minute of writing is told if, and only if, its writer wanted so, and it is that of their clock.
    fn tells_the_minute(&self) -> Option<String> {
        let (word, serial) = (self.view.word.as_ref()?, self.answer.serial?);
        let written = self.words.written(self.answer.of, serial)?;
        if word.written.is_some() != written.tells_minute {
            let told = if written.tells_minute { "is not told" } else { "is told, and they did not want that" };
            return Some(format!("the minute of word {serial} {told}"));
        }
        let told = i64::from(word.written?.0) * signed(MINUTE);
        let until = written.kept_by.unwrap_or(self.at);
        if self.story.jumps(Some(self.answer.of)).any(|(at, _)| (written.at..=until).contains(&at)) {
            return None;
        }
        let (from, wrong) = self.words.wall_of(self.story, self.answer.of, written.at)?;
        let slack = wrong + MINUTES_ROUNDED * signed(MINUTE);
        let right = from - slack..=from + signed(until - written.at) + slack;
        (!right.contains(&told)).then(|| format!("the minute of word {serial} is not that of their clock"))
    }

    /// The bucket of a word stays where it is, unless a relay that lost its store got the word anew.
    fn bucket_moved(&self, known: Option<Before>) -> Option<String> {
        let (serial, since, before) = known?.bucket?;
        let bucket = self.view.bucket.filter(|_| self.answer.serial == Some(serial))?;
        let lost = self.story.store_replaced.iter().any(|lost| (since..=self.at).contains(lost));
        // An answer that was asked for before the store was lost may still show what came after it, and the other way round.
        let ever =
            lost || self.story.store_replaced.iter().any(|lost| *lost <= since && self.knows_older(*lost, serial));
        (bucket != before && !ever).then(|| format!("the bucket of word {serial} has moved, and they wrote no other"))
    }

    /// Whether a word was written before a moment: a relay that lost its store then got it twice.
    fn knows_older(&self, lost: Millis, serial: u32) -> bool {
        self.words.written(self.answer.of, serial).is_some_and(|written| written.at <= lost)
    }

    /// The bucket holds a moment at which the owner can have brought the word, and is as wide as they allowed.
    fn bucket_is_false(&self) -> Option<String> {
        let bucket = self.view.bucket?;
        let Some(serial) = self.answer.serial else { return Some("a bucket is told without a word".to_owned()) };
        let written = self.words.written(self.answer.of, serial)?;
        let width = u32::from(bucket.width_hours);
        if ![6, 24].contains(&width) || bucket.start_hour % width != 0 {
            return Some(format!("{bucket:?} is no bucket"));
        }
        let again = self.story.store_replaced.iter().any(|lost| (written.at..=self.at).contains(lost));
        let until = if again { self.at } else { written.kept_by.unwrap_or(self.at).min(self.at) };
        let widths = self.words.widths(self.story, self.answer.of, self.answer.by, (written.at, until));
        if !widths.contains(&bucket.width_hours) {
            return Some(format!("the bucket is {width} hours wide; they allowed {widths:?}"));
        }
        let within = self.accepted_within(bucket, written.at, until)?;
        (!within).then(|| {
            format!("the bucket of word {serial} holds no moment at which they could have brought it ({bucket:?})")
        })
    }

    /// Whether the owner could reach the relay at a moment of a span that lies in a bucket by the relay's clock.
    fn accepted_within(&self, bucket: SeenBucket, from: Millis, to: Millis) -> Option<bool> {
        let starts = i64::from(bucket.start_hour) * signed(HOUR);
        let ends = starts + i64::from(bucket.width_hours) * signed(HOUR);
        let slack = MINUTES_ROUNDED * signed(MINUTE);
        let reach = self.story.reach(self.answer.of);
        for (begun, ended) in reach.within(from, to) {
            // Between two jumps the clock runs evenly.
            let jumps = self.story.jumps(None).map(|(at, _)| at).filter(|at| (begun..=ended).contains(at));
            let mut edges: Vec<Millis> = jumps.flat_map(|at| [at.saturating_sub(1), at]).collect();
            edges.extend([begun, ended]);
            edges.sort_unstable();
            for pair in edges.windows(2) {
                let first = self.words.relay_wall(self.story, pair[0])?;
                let last = first + signed(pair[1] - pair[0]);
                if first - slack < ends && last + slack >= starts {
                    return Some(true);
                }
            }
        }
        Some(false)
    }
}

#[cfg(test)]
mod tests;

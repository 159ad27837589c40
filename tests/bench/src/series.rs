//! Many transfers of one kind, and what is said of them together.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zajil_net::links::{LinkSettings, Loss, Profile, Windows};
use zajil_net::{KeyExchange, LinkClass};

use crate::note::Note;
use crate::trial::{Link, Outcome, Start, Trial, Way, play};
use crate::{floor, limit, limit_of_word};

/// One kind of transfer: a line of the table.
#[derive(Debug, Clone)]
pub struct Case {
    /// The link's name.
    pub name: String,
    /// Which way.
    pub way: Way,
    /// What the program remembers.
    pub start: Start,
    /// What the device takes its link for.
    pub class: LinkClass,
    /// Which key exchange it offers where nothing was measured.
    pub exchange: KeyExchange,
    /// What is sent.
    pub note: Note,
    link: Link,
    /// The whole time after which the link is as it was, where it comes and goes.
    period: Option<Duration>,
}

/// What came of all transfers of one kind. Times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The link's name.
    pub link: String,
    /// `send`, `receive` or `word`.
    pub way: String,
    /// `cold` or `warm`.
    pub start: String,
    /// How many transfers.
    pub transfers: usize,
    /// How many were not over within [`PATIENCE`](crate::PATIENCE).
    pub failed: usize,
    /// What the link needs at best; for a word, the time in which issue 4 wants it at the relay.
    pub limit: f64,
    /// Until it was stored, whole, or at the relay; the median.
    pub median: f64,
    /// What the same transport takes with nothing on top, in as many transfers; the median. Not of words, nor where the link comes and goes.
    pub floor: Option<f64>,
    /// 95 of 100 take no longer.
    pub p95: f64,
    /// The longest.
    pub worst: f64,
    /// Which seed that was.
    pub worst_seed: u64,
    /// Receiving: until a second of it could be played; the median.
    pub first_second: Option<f64>,
    /// Bytes of IP offered both ways; the median.
    pub bytes: u64,
    /// Where the link comes and goes: how much longer it took than at best.
    pub over: Option<OverIdeal>,
}

/// How much longer transfers took than they would have at best, each beginning where it began. Seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverIdeal {
    /// The median.
    pub median: f64,
    /// 95 of 100 took no longer.
    pub p95: f64,
    /// How many took half a period longer and more: they needed another window.
    pub a_window_more: usize,
}

/// Returns the cases of a link by its name, `None` if there is no such link. Beside the profiles there is `siege-time`: `siege`
/// with its bursts in time, not in packets. Each may end in `-classical` or `-hybrid`, the key exchange that is offered; else it is that of
/// its class. Or in `-speech`, where a person's voice is sent.
pub fn cases(whole: &str) -> Option<[Case; 5]> {
    let name = without_ending(whole);
    let (mut link, mut period) = (Link::from(Profile::named(name.strip_suffix("-time").unwrap_or(name))?), None);
    if name.ends_with("-time") {
        if name != "siege-time" {
            return None;
        }
        for way in [&mut link.up, &mut link.down] {
            way.loss = spells();
        }
    }
    if let Windows::Cycle { up, down, .. } = link.up.windows {
        period = Some(up + down);
    }
    let class = match name {
        "gprs" => LinkClass::Slowest,
        "3g" | "lan" | "none" => LinkClass::Ordinary,
        "vsat" => LinkClass::Satellite,
        _ => LinkClass::Slow,
    };
    let exchange = match whole.strip_prefix(name) {
        Some(CLASSICAL) => KeyExchange::Classical,
        Some(HYBRID) => KeyExchange::Hybrid,
        _ => class.key_exchange(),
    };
    let note = if whole.ends_with(SPEECH) { Note::Speech } else { Note::Random };
    let ways = [
        (Way::Send, Start::Cold),
        (Way::Send, Start::Warm),
        (Way::Receive, Start::Cold),
        (Way::Receive, Start::Warm),
        (Way::Word, Start::Warm),
    ];
    let case =
        |(way, start)| Case { name: whole.to_owned(), way, start, class, exchange, note, link: link.clone(), period };
    Some(ways.map(case))
}

/// Ends of the name of a link over which one key exchange is offered, whatever its class.
const CLASSICAL: &str = "-classical";
const HYBRID: &str = "-hybrid";
/// End of the name of a link over which a voice is sent.
const SPEECH: &str = "-speech";

fn without_ending(name: &str) -> &str {
    [CLASSICAL, HYBRID, SPEECH].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// A fifth is lost, in spells of two thirds of a second: what four packets take on `siege`.
const fn spells() -> Loss {
    Loss::Spells {
        good: Duration::from_millis(2_620),
        bad: Duration::from_millis(656),
        lost_bad_ppm: 1_000_000,
        lost_good_ppm: 0,
    }
}

impl Case {
    /// Returns what its way is called.
    pub const fn way(&self) -> &'static str {
        match self.way {
            Way::Send => "send",
            Way::Receive => "receive",
            Way::Word => "word",
        }
    }

    /// Returns what is remembered, in a word.
    pub const fn start(&self) -> &'static str {
        match self.start {
            Start::Cold => "cold",
            Start::Warm => "warm",
        }
    }

    /// Returns whether there is something to measure under it.
    const fn has_floor(&self) -> bool {
        !matches!(self.way, Way::Word) && self.period.is_none()
    }

    /// Returns whether it can be played between real sockets, and is.
    pub fn is_compared(&self) -> bool {
        self.start == Start::Cold && self.way != Way::Word && self.period.is_none()
    }

    /// Returns by which name linkem knows the link.
    pub(crate) fn profile(&self) -> &str {
        let name = without_ending(&self.name);
        name.strip_suffix("-time").unwrap_or(name)
    }

    /// Returns what linkem is told besides.
    pub(crate) fn spells(&self) -> &'static [&'static str] {
        if without_ending(&self.name).ends_with("-time") { &["--ge-time", "2.62,0.656"] } else { &[] }
    }

    /// Returns the way that a note takes.
    pub(crate) const fn busy_way(&self) -> &LinkSettings {
        if matches!(self.way, Way::Receive) { &self.link.down } else { &self.link.up }
    }

    /// Returns how far into the coming and going of its link a transfer begins.
    pub(crate) fn phase(&self, number: u64, count: u64) -> Duration {
        self.period.map_or(Duration::ZERO, |period| period.mul_f64(precise(number) / precise(count)))
    }

    pub(crate) fn trial(&self, seed: u64, number: u64, count: u64) -> Trial {
        let mut link = self.link.clone();
        // Every phase alike.
        let offset = self.phase(number, count);
        for way in [&mut link.up, &mut link.down] {
            shift(way, offset);
        }
        Trial {
            link,
            way: self.way,
            start: self.start,
            class: self.class,
            exchange: self.exchange,
            note: self.note,
            seed,
        }
    }
}

fn shift(way: &mut LinkSettings, by: Duration) {
    if let Windows::Cycle { up, down, .. } = way.windows {
        way.windows = Windows::Cycle { up, down, offset: by };
    }
}

/// Plays `count` transfers of a case, the seeds from `first` on, in `jobs` threads.
pub fn measure(case: &Case, first: u64, count: u64, jobs: usize) -> Summary {
    let (next, outcomes, floors) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let number = u64::try_from(next.fetch_add(1, Ordering::Relaxed)).expect("a number");
                    if number >= count {
                        return;
                    }
                    let trial = case.trial(first + number, number, count);
                    let outcome = play(&trial);
                    let bare = case.has_floor().then(|| floor(&trial).unwrap_or(crate::PATIENCE));
                    outcomes.lock().expect("nobody has panicked").push((first + number, outcome));
                    floors.lock().expect("nobody has panicked").extend(bare);
                }
            });
        }
    });
    let unlocked = "nobody has panicked";
    sum_up(case, outcomes.into_inner().expect(unlocked), floors.into_inner().expect(unlocked))
}

fn sum_up(case: &Case, mut outcomes: Vec<(u64, Outcome)>, floors: Vec<Duration>) -> Summary {
    let time = |outcome: &Outcome| outcome.whole.unwrap_or(crate::PATIENCE);
    outcomes.sort_by_key(|(seed, outcome)| (time(outcome), *seed));
    let middle = |mut list: Vec<u64>| {
        list.sort_unstable();
        list.get(list.len() / 2).copied()
    };
    let at = |part: usize| &outcomes[(outcomes.len() - 1) * part / 100];
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).expect("minutes");
    let seconds = |nanos| Duration::from_nanos(nanos).as_secs_f64();
    let firsts: Vec<u64> = outcomes.iter().filter_map(|(_, outcome)| outcome.first_second.map(nanos)).collect();
    let limit = match case.way {
        Way::Send | Way::Receive => limit(case.busy_way(), case.note.bytes()),
        Way::Word => limit_of_word(case.busy_way()),
    };
    Summary {
        link: case.name.clone(),
        way: case.way().to_owned(),
        start: case.start().to_owned(),
        transfers: outcomes.len(),
        failed: outcomes.iter().filter(|(_, outcome)| outcome.whole.is_none()).count(),
        limit: limit.as_secs_f64(),
        median: time(&at(50).1).as_secs_f64(),
        floor: middle(floors.into_iter().map(nanos).collect()).map(seconds),
        p95: time(&at(95).1).as_secs_f64(),
        worst: time(&at(100).1).as_secs_f64(),
        worst_seed: at(100).0,
        first_second: middle(firsts).map(seconds),
        bytes: middle(outcomes.iter().map(|(_, outcome)| outcome.bytes.0 + outcome.bytes.1).collect()).unwrap_or(0),
        over: case.period.and_then(|period| over_ideal(&outcomes, period)),
    }
}

fn over_ideal(outcomes: &[(u64, Outcome)], period: Duration) -> Option<OverIdeal> {
    let over = |(_, outcome): &(u64, Outcome)| {
        let took = outcome.whole.unwrap_or(crate::PATIENCE).as_secs_f64();
        outcome.ideal.map(|ideal| took - ideal.as_secs_f64())
    };
    let mut over: Vec<f64> = outcomes.iter().filter_map(over).collect();
    over.sort_by(f64::total_cmp);
    let at = |part: usize| over.get(over.len().saturating_sub(1) * part / 100).copied();
    let a_window_more = over.iter().filter(|seconds| **seconds >= period.as_secs_f64() / 2.0).count();
    Some(OverIdeal { median: at(50)?, p95: at(95)?, a_window_more })
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn precise(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_over_a_clean_link_takes_hardly_more_than_the_link_needs() {
        for case in cases("lan").unwrap().into_iter().filter(|case| case.way != Way::Word) {
            let summary = measure(&case, 1, 3, 2);
            assert_eq!((summary.transfers, summary.failed), (3, 0), "{summary:?}");
            assert!(summary.median >= summary.limit && summary.median < 0.2, "{summary:?}");
            let floor = summary.floor.unwrap();
            assert!(floor >= summary.limit && floor <= summary.median, "{summary:?}");
            assert!(summary.bytes > case.note.bytes() && summary.bytes < 2 * case.note.bytes(), "{summary:?}");
        }
    }

    #[test]
    fn a_word_for_a_relay_that_was_met_lies_there_after_one_way_there() {
        for case in cases("lan").unwrap().into_iter().filter(|case| case.way == Way::Word) {
            let summary = measure(&case, 1, 3, 2);
            assert_eq!((summary.transfers, summary.failed), (3, 0), "{summary:?}");
            assert!(summary.worst <= summary.limit, "{summary:?}");
        }
    }

    #[test]
    fn the_same_seed_takes_the_same_time() {
        for send in cases("siege").unwrap().into_iter().filter(|case| case.way == Way::Send) {
            let times = || measure(&send, 7, 2, 1);
            assert_eq!(format!("{:?}", times()), format!("{:?}", times()));
        }
    }

    #[test]
    fn no_note_fails_where_the_link_is_there_for_ten_seconds_of_every_minute() {
        for case in cases("windows").unwrap() {
            let summary = measure(&case, 1, 12, 2);
            assert_eq!(summary.failed, 0, "{summary:?}");
        }
    }

    #[test]
    fn a_link_nobody_knows_has_no_cases() {
        assert!(cases("fibre").is_none() && cases("edge-time").is_none());
    }
}

//! One world from its plan to the verdict: played, played again where that tells more, judged.

use std::collections::BTreeMap;
use std::time::Duration;

use zajil_proto::simulation::{Situation, Switch};

use super::directed::stuck::{STUCK_SERIAL, Stuck};
use super::oracle::{self, Violation};
use super::plan::{Millis, Plan};
use super::world::{self, Options, Played};

/// One in so many seeds is played twice, for invariant 10.
const TWICE_EVERY: u64 = 10;
/// One in so many seeds keeps its logs, for invariant 7: every line is searched for every secret.
const LOG_EVERY: u64 = 5;
/// One in so many seeds plays the story of a stuck note, for invariant 5.
const WITHOUT_EVERY: u64 = 5;

/// The number that stands for "it did not even end": no promise of the architecture, but never right.
pub const BROKEN: u8 = 0;
/// The invariant that the same seed gives the same trace.
pub const SAME_TRACE: u8 = 10;

/// Which of the costly checks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checks {
    /// A safeguard that is off.
    pub switch: Option<Switch>,
    /// Whether logs are kept and searched (invariant 7).
    pub log: bool,
    /// Whether the story of a stuck note is played by the seed's chance, with that note and without it (invariant 5).
    pub without: bool,
    /// Whether the plan is played twice (invariant 10).
    pub twice: bool,
}

impl Checks {
    /// Returns all of them.
    pub const fn all() -> Self {
        Self { switch: None, log: true, without: true, twice: true }
    }

    /// Returns those for a seed among many: each costly one on a fixed share of seeds.
    pub const fn for_seed(seed: u64) -> Self {
        Self {
            switch: None,
            log: seed % LOG_EVERY == 1,
            without: seed % WITHOUT_EVERY == 2,
            twice: seed.is_multiple_of(TWICE_EVERY),
        }
    }

    /// Returns those that a missing safeguard needs to be seen.
    pub fn against(switch: Switch) -> Self {
        Self { switch: Some(switch), ..Self::of(|invariant| switch.breaks().contains(&invariant)) }
    }

    /// Returns those without which one invariant is not judged.
    pub fn only(invariant: u8) -> Self {
        Self::of(|other| other == invariant)
    }

    fn of(wanted: impl Fn(u8) -> bool) -> Self {
        Self { switch: None, log: wanted(7), without: wanted(5), twice: wanted(SAME_TRACE) }
    }
}

/// What came of one world.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// Every broken invariant, in order of time.
    pub violations: Vec<Violation>,
    /// How often each rare situation came about.
    pub situations: BTreeMap<Situation, u64>,
    /// The hash of the trace, and how many lines it has.
    pub trace: ([u8; 32], u64),
    /// Simulated time.
    pub simulated: Millis,
    /// Time it took to play and judge, all repetitions included.
    pub wall: Duration,
    /// How often the safeguard that is off made a difference.
    pub switch_used: u64,
}

impl Trial {
    /// Returns a trial of which nothing is left but why.
    pub fn broken(text: String) -> Self {
        Self { violations: vec![Violation { invariant: BROKEN, at: 0, text }], ..Self::default() }
    }

    /// Returns whether anything was broken.
    pub fn failed(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Returns the first broken invariant.
    pub fn first(&self) -> Option<&Violation> {
        self.violations.first()
    }
}

/// Plays a plan and judges it.
///
/// A panic is not caught here: [`guarded`](super::campaign::guarded) does that.
pub fn trial(plan: &Plan, checks: &Checks) -> Trial {
    let options = Options { switch: checks.switch, log: checks.log, ..Options::default() };
    let played = world::play(plan, &options);
    let mut violations = oracle::judge(plan, &played.record);
    if checks.without {
        violations.extend(stuck_note(plan.seed, &options));
    }
    if checks.twice {
        violations.extend(played_again(plan, &played, &options));
    }
    violations.sort_by_key(|violation| (violation.at, violation.invariant));
    Trial {
        violations,
        trace: (played.trace.hash, played.trace.entries),
        situations: played.situations,
        simulated: played.record.ended_at,
        wall: Duration::ZERO,
        switch_used: played.switch_used,
    }
}

/// Plays the seed's story of a stuck note, with that note and without it, and judges invariant 5.
pub fn stuck_note(seed: u64, options: &Options) -> Vec<Violation> {
    let Stuck { with, without, rate_bits, .. } = Stuck::of(seed);
    let options = Options { lossless: true, ..options.clone() };
    let [one, other] = [&with, &without].map(|plan| world::play(plan, &options).record);
    oracle::judge_without((&with, &one), (&without, &other), STUCK_SERIAL, rate_bits)
}

/// Plays the plan once more; the traces must be the same.
fn played_again(plan: &Plan, first: &Played, options: &Options) -> Option<Violation> {
    let second = world::play(plan, options);
    if second.trace.hash == first.trace.hash && second.trace.entries == first.trace.entries {
        return None;
    }
    Some(Violation { invariant: SAME_TRACE, at: 0, text: first_difference(plan, options) })
}

/// Says where two runs of a plan part, with the lines before.
fn first_difference(plan: &Plan, options: &Options) -> String {
    let lines = || {
        let options = Options { trace: true, ..options.clone() };
        world::play(plan, &options).trace.lines.unwrap_or_default()
    };
    let (one, other) = (lines(), lines());
    match difference(&one, &other) {
        Some(text) => text,
        None => "two traces differed, and two more of the same plan did not".to_owned(),
    }
}

/// Lines before the first difference that are told.
const LINES_BEFORE: usize = 5;

/// Says where two traces part; `None` = nowhere.
pub fn difference(one: &[String], other: &[String]) -> Option<String> {
    let end = "(the end)".to_owned();
    let place = (0..one.len().max(other.len())).find(|place| one.get(*place) != other.get(*place))?;
    let before = one[place.saturating_sub(LINES_BEFORE)..place].join("\n    ");
    let (here, there) = (one.get(place).unwrap_or(&end), other.get(place).unwrap_or(&end));
    Some(format!("traces part in line {}:\n    {before}\n  - {here}\n  + {there}", place + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_in_which_two_traces_differ_is_told_with_those_before() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(difference(&lines("a b c"), &lines("a b c")), None);
        let told = difference(&lines("a b c"), &lines("a b d")).expect("they differ");
        assert!(told.contains("line 3") && told.contains("- c") && told.contains("+ d"), "{told}");
        let told = difference(&lines("a b"), &lines("a b d")).expect("one is longer");
        assert!(told.contains("- (the end)") && told.contains("+ d"), "{told}");
    }

    #[test]
    fn every_costly_check_is_made_in_a_hundred_seeds_and_on_the_seeds_of_a_switch_that_needs_it() {
        let made = |check: fn(&Checks) -> bool| (1..=100).filter(|seed| check(&Checks::for_seed(*seed))).count();
        assert_eq!(made(|checks| checks.log), 20);
        assert_eq!(made(|checks| checks.without), 20);
        assert_eq!(made(|checks| checks.twice), 10);
        assert!(Checks::against(Switch::LogTellsMailbox).log && Checks::against(Switch::OrderByChance).twice);
        assert!(Checks::against(Switch::HeadOfLineBlocks).without);
    }
}

//! A seed that failed, as people need it: what was broken, the least that breaks it, how to see it again.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use zajil_proto::simulation::Switch;

use super::campaign::{self, Ending, Settings};
use super::oracle::{self, Violation};
use super::plan::Plan;
use super::shrink::shrink;
use super::timeline::{as_test, time, timeline};
use super::trial::{Checks, Trial, trial};
use super::world::{self, Options};

/// The invariant that is judged by a story of its own.
const STUCK: u8 = 5;

/// A plan that breaks a promise, as short as time allowed.
#[derive(Debug)]
pub struct Failure {
    /// The plan.
    pub plan: Plan,
    /// What it breaks.
    pub violation: Violation,
    checks: Checks,
    /// Events before it was shortened.
    events: usize,
    /// Worlds that were played to shorten it.
    tries: u64,
}

impl Failure {
    /// Looks for the least plan that still breaks the first invariant that `broken` broke, for at most `time`, and only
    /// until `stop` is set.
    ///
    /// `plan` and `checks` are what came to `broken`, which failed.
    pub fn look_into(plan: &Plan, checks: &Checks, broken: &Trial, time: Duration, stop: &AtomicBool) -> Self {
        let violation = broken.first().cloned().expect("what is looked into has failed");
        let invariant = violation.invariant;
        let mut failure = Self {
            plan: plan.clone(),
            violation,
            checks: Checks { switch: checks.switch, ..Checks::only(invariant) },
            events: plan.events.len(),
            tries: 0,
        };
        let started = Instant::now();
        let mut stuck = false;
        let settings = Settings { jobs: 1, give_up_after: time, ..Settings::default() };
        // A story of its own is not in the plan: nothing that is taken out of it makes a difference.
        let time = if invariant == STUCK { Duration::ZERO } else { time };
        let plan = shrink(
            plan,
            &mut |shorter| {
                failure.tries += 1;
                let (again, ending) = failure.play(shorter, &settings);
                stuck = stuck || ending == Ending::Stuck;
                // A later plan of the shrinker's is a shorter one, so the last that fails is what is told of.
                let same = again.violations.into_iter().find(|violation| violation.invariant == invariant);
                same.map(|violation| failure.violation = violation).is_some()
            },
            &mut || started.elapsed() < time && !stop.load(Ordering::Relaxed),
        );
        failure.plan = plan;
        failure
    }

    fn play(&self, plan: &Plan, settings: &Settings) -> (Trial, Ending) {
        let (plan, checks) = (plan.clone(), self.checks);
        campaign::watched(settings, move || trial(&plan, &checks))
    }

    /// Writes the plan into a folder, under a name that says what it is, and returns where.
    ///
    /// # Errors
    ///
    /// If the folder cannot be made, or the file not written.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(folder)?;
        let Plan { seed, profile, .. } = &self.plan;
        let without = self.checks.switch.map_or(String::new(), |switch| format!("-without-{}", switch.name()));
        // Somebody may have written anything there, and it must not lead out of the folder.
        let profile = profile.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-");
        let file = folder.join(format!("{profile}-{seed}-invariant-{}{without}.json", self.violation.invariant));
        std::fs::write(&file, self.plan.to_json())?;
        Ok(file)
    }

    /// Says what is left, what happens in it, and how to play it again from `file`, if it could be written. Plays it once more for that.
    pub fn text(&self, file: Option<&Path>) -> String {
        let Self { plan, violation, events, tries, .. } = self;
        let left = plan.events.len();
        let shortened = match tries {
            _ if violation.invariant == STUCK => {
                "It was broken in a story of its own, with the safeguard and the seed of this schedule, whatever else is in it \
                 (tests/src/sim/directed.rs)."
                    .to_owned()
            }
            0 => format!("Its schedule has {events} events."),
            _ => format!("Of {events} events {left} are left, after {tries} shorter schedules were tried."),
        };
        let kept = file.map_or_else(String::new, |file| {
            let command = replay_command(file, self.checks.switch);
            format!("The schedule is in {}. Play it again:\n    {command}\n", file.display())
        });
        format!(
            "{shortened}\n\n{}\nTo keep, in tests/tests/simulation/regressions.rs, under a name that says what was wrong:\n\n{}\n{kept}",
            self.timeline(),
            as_test(plan, violation),
        )
    }

    /// Tells the run; of one that panics there is nothing to tell but that.
    fn timeline(&self) -> String {
        let Self { plan, violation, checks, .. } = self;
        let options = Options { switch: checks.switch, log: checks.log, ..Options::default() };
        let played = catch_unwind(AssertUnwindSafe(|| world::play(plan, &options)));
        match played {
            Ok(played) => {
                let mut violations = oracle::judge(plan, &played.record);
                // Some invariants are judged by another run, which is not told of here.
                if violations.is_empty() {
                    violations.push(violation.clone());
                }
                timeline(plan, &played.record, &violations)
            }
            Err(_) => format!("invariant {} at {}: {}\n", violation.invariant, time(violation.at), violation.text),
        }
    }
}

/// Says what a trial broke first, and how to see it again by the command `again`.
pub fn headline(broken: &Trial, again: &str) -> String {
    let Some(Violation { invariant, at, text }) = broken.first() else { return String::new() };
    let more = match broken.violations.len() {
        1 => String::new(),
        count => format!(" (and {} more violations)", count - 1),
    };
    format!("invariant {invariant} is broken at {}{more}: {text}\n  again: {again}\n", time(*at))
}

/// Returns the command that plays a schedule from a file.
pub fn replay_command(file: &Path, switch: Option<Switch>) -> String {
    let without = switch.map_or(String::new(), |switch| format!(" --switch {}", switch.name()));
    format!("cargo xtask sim --replay {}{without}", file.display())
}

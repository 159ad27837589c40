//! Everything that `zajil-sim` does.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zajil_proto::simulation::{Situation, Switch};
use zajil_tests::sim::campaign::{self, Ending, Outcome, Settings};
use zajil_tests::sim::failure::{self, Failure};
use zajil_tests::sim::make::Profile;
use zajil_tests::sim::panics;
use zajil_tests::sim::plan::{DAY, Plan};
use zajil_tests::sim::sabotage::{self, Finding, Sabotaged};
use zajil_tests::sim::seeded::Seeded;
use zajil_tests::sim::trial::{Checks, Trial, trial};
use zajil_tests::sim::world::{self, Options};

use crate::arguments::Arguments;
use crate::screen::{Screen, Tell};
use crate::signals;
use crate::told::{self, tell};

/// Seeds that are played unless said.
const SEEDS_USUAL: u64 = 100;
/// How long a shorter schedule is looked for.
const SHRINK_TIME_MAX: Duration = Duration::from_secs(300);

/// What came of it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every promise was kept.
    Good,
    /// One was not.
    Broken,
    /// A file could not be read or written.
    NotDone,
    /// A world did not end.
    Stuck,
    /// Somebody stopped it.
    Stopped,
    /// Nobody reads what it prints.
    Unread,
}

impl Verdict {
    /// The number a shell sees; of the last two what it shows of a program that a signal has ended.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Broken => 1,
            Self::NotDone => 3,
            Self::Stuck => 4,
            Self::Stopped => 130,
            Self::Unread => 141,
        }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        Self::from(verdict.status())
    }
}

/// Does what the arguments ask for.
///
/// # Errors
///
/// If a file cannot be read or written, in words.
pub(crate) fn run(arguments: &Arguments) -> Result<Verdict, String> {
    panics::listen();
    if let Some(file) = &arguments.trace {
        return trace(arguments, file);
    }
    if let Some(file) = &arguments.replay {
        return replay(arguments, file);
    }
    if arguments.sabotage {
        return sabotages(arguments);
    }
    if arguments.speed {
        return Ok(speed(arguments));
    }
    play(arguments)
}

/// Plays many seeds.
fn play(arguments: &Arguments) -> Result<Verdict, String> {
    let count = arguments.seeds.unwrap_or(SEEDS_USUAL);
    if let Some(folder) = &arguments.out {
        // Now, and not after an hour.
        std::fs::create_dir_all(folder).map_err(|error| format!("could not make {}: {error}", folder.display()))?;
    }
    let (profile, days, switch) = (arguments.profile, arguments.days, arguments.switch);
    let first = arguments.seed;
    let worlds =
        (first..=first.saturating_add(count.saturating_sub(1))).map(move |seed| Seeded::new(seed, profile, days));
    let thorough = arguments.thorough;
    let checks = move |seed| {
        let share = if thorough { Checks::all() } else { Checks::for_seed(seed) };
        Checks { switch, ..share }
    };
    let mut screen = Screen::new(count, if arguments.json { Tell::Json } else { Tell::Failures });
    let settings = Settings { stop: signals::listen()?, ..arguments.settings() };
    let outcome = campaign::run(
        &settings,
        worlds,
        move |world: &Seeded| trial(&world.plan(), &checks(world.seed)),
        |notice| screen.show(&notice, of_world),
    );
    screen.clear();
    // A world that did not end cannot be played again to be looked into.
    let failure = outcome.first_failure().filter(|_| outcome.ending != Ending::Stuck);
    if let Some((world, broken)) = failure {
        let again = again(arguments, world);
        if !settings.stop.load(Ordering::Relaxed) {
            tell_failure(arguments, &world.plan(), &checks(world.seed), broken, &again, &settings.stop);
        } else if !arguments.json {
            // Who stops it does not wait until it is looked into, which takes some worlds more.
            told::text(format_args!("{}", failure::headline(broken, &again)));
        }
    }
    if arguments.situations {
        tell_situations(arguments, &outcome);
    }
    sum(arguments, &outcome);
    if settings.stop.load(Ordering::Relaxed) {
        return Ok(Verdict::Stopped);
    }
    Ok(match (outcome.ending, outcome.first_failure()) {
        (Ending::Stuck, _) => Verdict::Stuck,
        (_, Some(_)) => Verdict::Broken,
        (_, None) => Verdict::Good,
    })
}

/// Returns the command that plays a world again as it was played here.
fn again(arguments: &Arguments, world: &Seeded) -> String {
    let switch = arguments.switch.map_or(String::new(), |switch| format!(" --switch {}", switch.name()));
    let thorough = if arguments.thorough { " --thorough" } else { "" };
    format!("{}{switch}{thorough}", world.command())
}

fn read_plan(file: &Path) -> Result<Plan, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("could not read {}: {error}", file.display()))?;
    Plan::from_json(&text).map_err(|error| format!("{}: {error}", file.display()))
}

/// Plays one plan from a file.
fn replay(arguments: &Arguments, file: &Path) -> Result<Verdict, String> {
    let plan = read_plan(file)?;
    let checks = Checks { switch: arguments.switch, ..Checks::all() };
    let own = plan.clone();
    let (played, ending) = campaign::watched(&arguments.settings(), move || trial(&own, &checks));
    if arguments.json {
        tell!("{}", of_trial(&played));
    }
    if ending == Ending::Stuck {
        tell!("the world of {} does not end", file.display());
        return Ok(Verdict::Stuck);
    }
    if played.failed() {
        let stop = signals::listen()?;
        tell_failure(arguments, &plan, &checks, &played, &failure::replay_command(file, arguments.switch), &stop);
        return Ok(Verdict::Broken);
    }
    if !arguments.json {
        tell!("every promise was kept in {}", file.display());
    }
    Ok(Verdict::Good)
}

/// Says what was broken and how to see it again; writes the schedule into a file, as short as it is when it is told to `stop`.
fn tell_failure(
    arguments: &Arguments,
    plan: &Plan,
    checks: &Checks,
    broken: &Trial,
    again: &str,
    stop: &Arc<AtomicBool>,
) {
    if !arguments.json {
        told::text(format_args!("{}", failure::headline(broken, again)));
    }
    let time = if arguments.no_shrink { Duration::ZERO } else { SHRINK_TIME_MAX };
    if !arguments.json && !time.is_zero() {
        tell!("looking for a shorter schedule, {} s at most …", time.as_secs());
    }
    let failure = Failure::look_into(plan, checks, broken, time, stop);
    let folder = folder(arguments);
    let file = failure.write(&folder);
    if arguments.json {
        tell!("{}", json!({ "schedule": file.as_ref().ok(), "events": failure.plan.events.len() }));
    } else {
        told::text(format_args!("{}", failure.text(file.as_deref().ok())));
    }
    // All else is told: what was found counts for more than that it could not be kept.
    if let Err(error) = file {
        eprintln!("could not write into {}: {error}", folder.display());
    }
}

/// Where the schedules of failures go.
fn folder(arguments: &Arguments) -> PathBuf {
    arguments.out.clone().unwrap_or_else(usual_folder)
}

/// In what cargo built this program in; here, if it was copied from there.
fn usual_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().nth(2).filter(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.unwrap_or_else(|| Path::new(".")).join("zajil-sim")
}

/// Writes the trace of one world.
fn trace(arguments: &Arguments, file: &Path) -> Result<Verdict, String> {
    let plan = match &arguments.replay {
        Some(file) => read_plan(file)?,
        None => Seeded::new(arguments.seed, arguments.profile, arguments.days).plan(),
    };
    // Now, and not when it has been played.
    let told = |error: std::io::Error| format!("could not write {}: {error}", file.display());
    let mut out = std::io::BufWriter::new(std::fs::File::create(file).map_err(told)?);
    let options = Options { switch: arguments.switch, trace: true, ..Options::default() };
    let kept = Arc::new(Mutex::new(None));
    let keeps = Arc::clone(&kept);
    let (played, ending) = campaign::watched(&arguments.settings(), move || {
        *keeps.lock().unwrap_or_else(PoisonError::into_inner) = Some(world::play(&plan, &options).trace);
        Trial::default()
    });
    if ending == Ending::Stuck {
        tell!("the world does not end");
        return Ok(Verdict::Stuck);
    }
    let Some(trace) = kept.lock().unwrap_or_else(PoisonError::into_inner).take() else {
        tell!("the world broke: {}", played.first().map_or("", |broken| broken.text.as_str()));
        return Ok(Verdict::Broken);
    };
    let mut lines = trace.lines.iter().flatten();
    lines.try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush()).map_err(told)?;
    let (hash, entries) = (hexadecimal(&trace.hash), trace.entries);
    if arguments.json {
        tell!("{}", json!({ "trace": hash, "trace_lines": entries }));
    } else {
        tell!("{hash} {entries}");
    }
    Ok(Verdict::Good)
}

/// Switches each safeguard off.
fn sabotages(arguments: &Arguments) -> Result<Verdict, String> {
    let seeds = arguments.seeds.unwrap_or(sabotage::SEEDS_MAX);
    let settings = Settings { stop: signals::listen()?, ..arguments.settings() };
    let switches = Switch::ALL.iter().copied().filter(|switch| arguments.switch.is_none_or(|only| only == *switch));
    let mut findings = Vec::new();
    for switch in switches {
        let started = Instant::now();
        let (profile, days) = (arguments.profile, arguments.days);
        let plan_of = move |seed| Seeded::new(seed, profile, days).plan();
        let mut screen = Screen::new(seeds, Tell::Nothing);
        let show = |notice: campaign::Notice<'_, Sabotaged>| screen.show(&notice, of_world);
        let finding = sabotage::find(switch, seeds, &settings, plan_of, show);
        screen.clear();
        if settings.stop.load(Ordering::Relaxed) {
            // Half a search says nothing, and half a table is not written.
            return Ok(Verdict::Stopped);
        }
        tell_finding(arguments, &finding, started.elapsed());
        findings.push(finding);
    }
    let table = sabotage::table(&findings);
    if let Some(document) = &arguments.write {
        let told = |error: std::io::Error| format!("{}: {error}", document.display());
        let text = std::fs::read_to_string(document).map_err(told)?;
        std::fs::write(document, sabotage::replace(&text, &table)?).map_err(told)?;
    }
    let unseen = findings.iter().filter(|finding| finding.seen.is_none()).count();
    if !arguments.json {
        tell!("{} of {} safeguards were missed when they were off", findings.len() - unseen, findings.len());
    }
    Ok(if unseen == 0 { Verdict::Good } else { Verdict::Broken })
}

fn tell_finding(arguments: &Arguments, finding: &Finding, took: Duration) {
    let name = finding.switch.name();
    if arguments.json {
        let seen = finding.seen.map(|seen| json!({ "invariant": seen.invariant, "seeds": seen.seed }));
        tell!("{}", json!({ "sabotage": name, "seen": seen, "tried": finding.tried, "bit": finding.used }));
        return;
    }
    let seconds = took.as_secs();
    match finding.seen {
        Some(seen) => {
            tell!("{name:<30} → invariant {:>2} → {:>3} seeds  ({seconds} s)", seen.invariant, seen.seed);
        }
        None => {
            tell!("{name:<30} not seen in {} seeds; it bit in {}  ({seconds} s)", finding.tried, finding.used);
        }
    }
}

/// Plays the whole town and says how fast.
fn speed(arguments: &Arguments) -> Verdict {
    let profile = arguments.profile.unwrap_or(Profile::Town);
    let count = arguments.seeds.unwrap_or(1);
    for seed in arguments.seed..arguments.seed.saturating_add(count) {
        let plan = Seeded::new(seed, Some(profile), arguments.days).plan();
        let started = Instant::now();
        let played = world::play(&plan, &Options::default());
        let wall = started.elapsed();
        let simulated = Duration::from_millis(played.record.ended_at);
        let times = simulated.as_secs_f64() / wall.as_secs_f64();
        let (people, profile) = (plan.cast().len(), profile.name());
        if arguments.json {
            tell!(
                "{}",
                json!({ "seed": seed, "profile": profile, "people": people, "simulated_seconds": simulated.as_secs(),
                    "wall_seconds": wall.as_secs_f64(), "times_real_time": times })
            );
        } else {
            let days = simulated.as_secs_f64() / Duration::from_millis(DAY).as_secs_f64();
            let (wall, per_day) = (wall.as_secs_f64(), wall.as_secs_f64() / days);
            tell!("seed {seed}, {profile}, {people} people: {days:.1} days in {wall:.1} s on one core");
            tell!("  {per_day:.2} s for a simulated day, {times:.0} × real time");
        }
    }
    Verdict::Good
}

/// Prints how often each situation came about, and in how many worlds.
fn tell_situations(arguments: &Arguments, outcome: &Outcome<Seeded>) {
    let mut counts: BTreeMap<Situation, (u64, u64)> = BTreeMap::new();
    for (_, trial) in &outcome.trials {
        for (situation, times) in &trial.situations {
            let (all, worlds) = counts.entry(*situation).or_default();
            *all += times;
            *worlds += 1;
        }
    }
    let of = |situation: &Situation| counts.get(situation).copied().unwrap_or_default();
    if arguments.json {
        let named = Situation::ALL.iter().map(|situation| (situation.name().to_owned(), json!(of(situation).0)));
        tell!("{}", json!({ "situations": Value::Object(named.collect()) }));
        return;
    }
    tell!("{:<32} {:>10} {:>8}", "situation", "times", "worlds");
    for situation in Situation::ALL {
        let (times, worlds) = of(situation);
        tell!("{:<32} {times:>10} {worlds:>8}", situation.name());
    }
}

/// Prints the last line.
fn sum(arguments: &Arguments, outcome: &Outcome<Seeded>) {
    let played = outcome.trials.len();
    let failed = outcome.failures().count();
    let days = outcome.trials.iter().map(|(_, trial)| trial.simulated).sum::<u64>() / DAY;
    let seconds = outcome.wall.as_secs();
    if arguments.json {
        tell!("{}", json!({ "played": played, "failed": failed, "simulated_days": days, "wall_seconds": seconds }));
        return;
    }
    let why = match outcome.ending {
        Ending::AllPlayed => "",
        Ending::Failure => "; no more were begun",
        Ending::TimeUp => "; time was up",
        Ending::Stuck => "; one did not end",
        Ending::Stopped => "; stopped",
    };
    tell!("{played} worlds of {days} simulated days in {seconds} s: {failed} failed{why}");
}

fn of_world<T: std::fmt::Display>(world: &T, trial: &Trial) -> Value {
    let mut value = of_trial(trial);
    if let Value::Object(fields) = &mut value {
        fields.insert("world".to_owned(), json!(world.to_string()));
    }
    value
}

fn of_trial(trial: &Trial) -> Value {
    let violations = trial.violations.iter().map(
        |violation| json!({ "invariant": violation.invariant, "at_millis": violation.at, "text": violation.text }),
    );
    json!({
        "violations": violations.collect::<Vec<_>>(),
        "simulated_millis": trial.simulated,
        "wall_seconds": trial.wall.as_secs_f64(),
        "trace": hexadecimal(&trial.trace.0),
        "trace_lines": trial.trace.1,
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

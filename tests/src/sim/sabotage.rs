//! The proof that the oracle sees something: each safeguard is switched off until a seed fails, and the table of it is kept.

use std::fmt;
use std::fmt::Write as _;

use zajil_proto::simulation::Switch;

use super::campaign::{self, Ending, Notice, Settings, guarded};
use super::plan::Plan;
use super::trial::{Checks, Trial, trial};

/// Seeds within which the oracle must see a safeguard missing.
pub const SEEDS_MAX: u64 = 200;

/// Stands before the table in docs/TESTING.md.
pub const TABLE_BEGIN: &str = "<!-- sabotage table: written by `cargo xtask sim --sabotage --write` -->";
/// Stands behind the table in docs/TESTING.md.
pub const TABLE_END: &str = "<!-- end of the sabotage table -->";

/// A seed played with a safeguard off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sabotaged {
    /// The safeguard.
    pub switch: Switch,
    /// The seed.
    pub seed: u64,
}

impl fmt::Display for Sabotaged {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "seed {} without {}", self.seed, self.switch.name())
    }
}

/// What came of switching one safeguard off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The safeguard.
    pub switch: Switch,
    /// The first seed that failed, counted from 1, and the invariant that broke; `None` = none of those tried.
    pub seen: Option<Seen>,
    /// Seeds tried in which it made a difference at all.
    pub used: u64,
    /// Seeds tried.
    pub tried: u64,
}

/// When the oracle saw that a safeguard was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The first seed that failed: so many seeds were needed.
    pub seed: u64,
    /// The first broken invariant, 1 to 10.
    pub invariant: u8,
}

/// Plays the seeds from 1 with `switch` off, until one fails that does not fail with it on.
///
/// `plan_of` makes the plan of a seed.
pub fn find(
    switch: Switch,
    seeds: u64,
    settings: &Settings,
    plan_of: impl Fn(u64) -> Plan + Send + Sync + 'static,
    tell: impl FnMut(Notice<'_, Sabotaged>),
) -> Finding {
    let worlds = (1..=seeds).map(move |seed| Sabotaged { switch, seed });
    let play = move |world: &Sabotaged| play(world, &plan_of(world.seed));
    let settings = Settings { keep_going: false, ..settings.clone() };
    let outcome = campaign::run(&settings, worlds, play, tell);
    let used = outcome.trials.iter().filter(|(_, trial)| trial.switch_used > 0).count();
    let seen = outcome
        .first_failure()
        .filter(|_| outcome.ending != Ending::Stuck)
        .and_then(|(world, trial)| Some(Seen { seed: world.seed, invariant: invariant(switch, trial)? }));
    let count = |trials: usize| u64::try_from(trials).expect("a count");
    Finding { switch, seen, used: count(used), tried: count(outcome.trials.len()) }
}

/// Returns which invariant to write down: the first broken one that the safeguard is there for, else the first.
fn invariant(switch: Switch, trial: &Trial) -> Option<u8> {
    let meant = trial.violations.iter().find(|violation| switch.breaks().contains(&violation.invariant));
    meant.or_else(|| trial.first()).map(|violation| violation.invariant)
}

/// Plays one seed with a safeguard off. What fails with the safeguard on as well is no proof, and does not count.
pub fn play(world: &Sabotaged, plan: &Plan) -> Trial {
    let checks = Checks::against(world.switch);
    let sabotaged = guarded(|| trial(plan, &checks));
    if !sabotaged.failed() {
        return sabotaged;
    }
    let sound = guarded(|| trial(plan, &Checks { switch: None, ..checks }));
    if sound.failed() { Trial { violations: Vec::new(), ..sabotaged } } else { sabotaged }
}

/// Writes the table as it stands in docs/TESTING.md.
pub fn table(findings: &[Finding]) -> String {
    let mut text = String::from("| sabotage | what it does | breaks | seeds needed |\n|---|---|---|---|\n");
    for Finding { switch, seen, tried, .. } in findings {
        let (name, what) = (switch.name(), switch.what().trim());
        let (invariant, seeds) = match seen {
            Some(seen) => (seen.invariant.to_string(), seen.seed.to_string()),
            None => ("–".to_owned(), format!("not seen in {tried}")),
        };
        writeln!(text, "| `{name}` | {what} | {invariant} | {seeds} |").expect("a string takes text");
    }
    text
}

/// Reads the table back: every sabotage that was seen.
///
/// # Errors
///
/// If the markers are not there, or a row is not as [`table`] writes it.
pub fn parse(document: &str) -> Result<Vec<(Switch, Seen)>, String> {
    let (_, inside, _) = cut(document)?;
    let rows = inside.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.filter(|line| !line.contains("| not seen in "));
    rows.map(|line| row(line).ok_or_else(|| format!("no row of the sabotage table: {line}"))).collect()
}

fn row(line: &str) -> Option<(Switch, Seen)> {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let switch = Switch::from_name(cells.first()?.trim_matches('`'))?;
    let [invariant, seed] = cells.get(cells.len().checked_sub(2)?..)? else { return None };
    Some((switch, Seen { seed: seed.parse().ok()?, invariant: invariant.parse().ok()? }))
}

/// Puts a table between the markers of a document.
///
/// # Errors
///
/// If the markers are not there.
pub fn replace(document: &str, table: &str) -> Result<String, String> {
    let (before, _, after) = cut(document)?;
    Ok(format!("{before}{TABLE_BEGIN}\n\n{table}\n{TABLE_END}{after}"))
}

fn cut(document: &str) -> Result<(&str, &str, &str), String> {
    let missing = || format!("the markers of the sabotage table are missing: {TABLE_BEGIN} … {TABLE_END}");
    let (before, rest) = document.split_once(TABLE_BEGIN).ok_or_else(missing)?;
    let (inside, after) = rest.split_once(TABLE_END).ok_or_else(missing)?;
    Ok((before, inside, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_back_as_it_was_written_and_what_was_not_seen_is_left_out() {
        let finding = |switch, seen| Finding { switch, seen, used: 1, tried: 200 };
        let seen = Seen { seed: 17, invariant: 4 };
        let written = table(&[finding(Switch::UploadRestarts, Some(seen)), finding(Switch::LogTellsMailbox, None)]);
        let document = replace(&format!("above\n{TABLE_BEGIN}old{TABLE_END}\nbelow\n"), &written).unwrap();
        assert_eq!(parse(&document), Ok(vec![(Switch::UploadRestarts, seen)]));
        assert!(document.starts_with("above\n") && document.ends_with("\nbelow\n") && !document.contains("old"));
        assert_eq!(replace(&document, &written).as_ref(), Ok(&document), "writing it twice changes nothing");
    }

    #[test]
    fn a_document_without_the_markers_and_a_row_of_another_shape_are_errors() {
        assert!(parse("nothing").is_err() && replace("nothing", "").is_err());
        let row = "| `no-such-switch` | what | 1 | 2 |";
        assert!(parse(&format!("{TABLE_BEGIN}\n{row}\n{TABLE_END}")).is_err());
    }
}

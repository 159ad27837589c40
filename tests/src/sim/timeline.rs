//! A run as a person reads it: who did and saw what, when, with faults and broken promises where they were; and the
//! test to keep.

mod words;

use std::fmt::Write as _;

use super::oracle::Violation;
use super::plan::{DAY, HOUR, MINUTE, Millis, Plan, SECOND};
use super::record::{Entry, Record};
use words::Told;

/// Lines before the first broken promise that are told.
const LINES_BEFORE: usize = 200;
/// Lines after it that are told: what was broken is often seen late, and what came of it seldom matters.
const LINES_AFTER: usize = 20;
/// Broken promises that are listed in front.
const LISTED_MAX: usize = 12;
/// Characters of one line; only broken promises may have more.
const LINE_CHARS_MAX: usize = 160;

/// Tells a run: what was broken, who took part, and the last 200 lines before the first broken promise (or the end).
///
/// Lines begin with the day and the time of day since the world began. `!` marks faults, `x` what is done by somebody
/// who means harm, `*` what a person does, `>>>` a broken promise. What is seen again and again is told once, with how
/// often.
pub fn timeline(plan: &Plan, record: &Record, violations: &[Violation]) -> String {
    let lines = lines(record, violations);
    let first = lines.iter().position(|line| line.told.mark == words::BROKEN).unwrap_or(lines.len());
    let (start, end) = (first.saturating_sub(LINES_BEFORE), lines.len().min(first + LINES_AFTER));
    let mut text = head(plan, record, violations);
    if start > 0 {
        writeln!(text, "… {start} lines before").expect("a string takes text");
    }
    for line in &lines[start..end] {
        text.push_str(&line.text());
        text.push('\n');
    }
    if end < lines.len() {
        writeln!(text, "… {} lines after", lines.len() - end).expect("a string takes text");
    }
    text
}

/// Writes the test that keeps a failure from coming back, to be pasted where regressions are.
pub fn as_test(plan: &Plan, first: &Violation) -> String {
    let Violation { invariant, text, .. } = first;
    let json = plan.to_json();
    let mut fence = "#".to_owned();
    while json.contains(&format!("\"{fence}")) {
        fence.push('#');
    }
    let profile: String = plan.profile.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let said = text.lines().map(|line| format!("    // {line}\n")).collect::<String>();
    let checks = match invariant {
        5 => "Checks { without: true, ..Checks::default() }",
        7 => "Checks { log: true, ..Checks::default() }",
        10 => "Checks { twice: true, ..Checks::default() }",
        _ => "Checks::default()",
    };
    format!(
        "#[test]\nfn regression_{profile}_seed_{seed}_keeps_invariant_{invariant}() {{\n    \
         // Found by the simulated world:\n\
         {said}    let plan = Plan::from_json(r{fence}\"{json}\"{fence}).expect(\"this is a plan\");\n    \
         assert_eq!(trial(&plan, &{checks}).violations, []);\n}}\n",
        seed = plan.seed,
    )
}

/// Writes a time as day and time of day: "day 3 14:05:09.123"; days count from 0.
pub fn time(at: Millis) -> String {
    let (day, hours, minutes) = (at / DAY, at / HOUR % 24, at / MINUTE % 60);
    format!("day {day} {hours:02}:{minutes:02}:{:02}.{:03}", at / SECOND % 60, at % SECOND)
}

fn head(plan: &Plan, record: &Record, violations: &[Violation]) -> String {
    let mut text = format!(
        "seed {}, profile {}: {} events, {} people of {}; calm at {}, ended at {}\n",
        plan.seed,
        plan.profile,
        plan.events.len(),
        plan.cast().len(),
        plan.people.len(),
        time(record.calm_at),
        time(record.ended_at),
    );
    for who in plan.cast() {
        let person = words::person(&plan.people[usize::from(who)]);
        writeln!(text, "  person {who}: {person}").expect("a string takes text");
    }
    if violations.is_empty() {
        text.push_str("nothing was broken\n");
    }
    for violation in violations.iter().take(LISTED_MAX) {
        let said = violation.text.lines().next().unwrap_or_default();
        writeln!(text, "broken: invariant {} at {}: {said}", violation.invariant, time(violation.at))
            .expect("a string takes text");
    }
    if violations.len() > LISTED_MAX {
        writeln!(text, "broken: {} more", violations.len() - LISTED_MAX).expect("a string takes text");
    }
    text
}

/// One line, perhaps for several entries.
struct Line {
    at: Millis,
    told: Told,
    /// How often more, and when for the last time.
    again: Option<(u32, Millis)>,
}

impl Line {
    fn text(&self) -> String {
        let Told { mark, who, what, .. } = &self.told;
        let mut text = format!("{:<22} {who:>9} {mark:>3} {what}", time(self.at));
        if *mark != words::BROKEN && text.chars().count() > LINE_CHARS_MAX {
            text = text.chars().take(LINE_CHARS_MAX - 1).chain(['…']).collect();
        }
        if let Some((times, last)) = self.again {
            write!(text, " (and {times} more until {})", time(last)).expect("a string takes text");
        }
        text
    }
}

/// Tells all entries; each broken promise stands behind what was seen at its time, calm in front of it.
fn lines(record: &Record, violations: &[Violation]) -> Vec<Line> {
    let broken = violations.iter().map(|violation| ((violation.at, 1), Told::broken(violation)));
    let mut between: Vec<_> = broken.chain([((record.calm_at, 0), Told::calm())]).collect();
    between.sort_by_key(|(place, _)| *place);
    let mut between = between.into_iter().peekable();
    let mut lines: Vec<Line> = Vec::new();
    for Entry { at, seen } in &record.entries {
        while let Some(((earlier, _), told)) = between.next_if(|(place, _)| *place < (*at, 1)) {
            add(&mut lines, earlier, told);
        }
        add(&mut lines, *at, Told::of(seen));
    }
    for ((at, _), told) in between {
        add(&mut lines, at, told);
    }
    lines
}

/// Adds a line, or counts it to the last of the same person if that said the same.
fn add(lines: &mut Vec<Line>, at: Millis, told: Told) {
    let same = |line: &&mut Line| line.told.who == told.who && line.told.fold == told.fold && told.fold.is_some();
    // Others' lines may stand between, but not so many that the eye would miss the line.
    let near = lines.len().saturating_sub(6);
    let last_of_theirs = lines[near..].iter_mut().rev().find(|line| line.told.who == told.who);
    if let Some(line) = last_of_theirs.filter(same) {
        let times = line.again.map_or(0, |(times, _)| times);
        line.again = Some((times + 1, at));
        line.told.what = told.what;
    } else {
        lines.push(Line { at, told, again: None });
    }
}

#[cfg(test)]
mod tests;

//! Timelines of records made by hand.

use zajil_client::engine::api::{Direction, NoteMark};

use super::*;
use crate::sim::make::{self, Profile};
use crate::sim::plan::{Deed, Event, PersonDeed, RelayDeed};
use crate::sim::record::{Heard, Seen, Shown};

fn record(entries: Vec<Entry>) -> Record {
    let ended_at = entries.last().map_or(0, |entry| entry.at);
    Record { entries, calm_at: ended_at, ended_at, traffic: Default::default(), log: None, secrets: Vec::new() }
}

fn violation(invariant: u8, at: Millis, text: &str) -> Violation {
    Violation { invariant, at, text: text.into() }
}

fn shown(done: u32) -> Seen {
    Seen::Note(
        1,
        Shown {
            number: 4,
            other: 2,
            direction: Direction::Out,
            mark: NoteMark::OnDevice,
            waits: None,
            progress: (done, 9_000),
            sequence: 3,
            duration_millis: 12_000,
            recorded: 0,
            arrived: 0,
            serial: Some(17),
        },
    )
}

fn heard(serial: Option<u32>) -> Seen {
    let (identical, decodes, told) = (serial.is_some(), true, true);
    Seen::Heard(Heard { by: 2, from: 1, number: 1, serial, identical, decodes, sequence: 3, told })
}

fn played(at: Millis, deed: Deed) -> Entry {
    Entry { at, seen: Seen::Played(Event { at, deed }) }
}

#[test]
fn a_timeline_tells_deeds_faults_and_what_was_seen_with_broken_promises_in_their_place() {
    let plan = make::plan(Profile::Family, 1, None);
    let at = DAY + 14 * HOUR + 5 * MINUTE + 9_123;
    let record = record(vec![
        played(at, Deed::Person(1, PersonDeed::Send { to: 2, serial: 17, seconds: 12, lifetime_days: None })),
        played(at + 10, Deed::Relay(RelayDeed::PowerCut)),
        Entry { at: at + 20, seen: heard(None) },
        Entry { at: at + 40, seen: Seen::Relay(true) },
    ]);
    let violations = [violation(2, at + 20, "person 2 heard what nobody said")];
    let text = timeline(&plan, &record, &violations);
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("day ")).collect();
    assert_eq!(
        lines,
        [
            "day 1 14:05:09.123      person 1   * says note 17 to person 2: 12 s",
            "day 1 14:05:09.133         relay   ! POWER CUT",
            "day 1 14:05:09.143      person 2     hears what nobody said of person 1 (number 1, their 3th), NOT IDENTICAL",
            "day 1 14:05:09.143               >>> INVARIANT 2: person 2 heard what nobody said",
            "day 1 14:05:09.163           all   * CALM: faults end, everybody goes online",
            "day 1 14:05:09.163         relay     runs",
        ]
    );
    assert!(text.starts_with("seed 1, profile family: "), "{text}");
    assert!(text.contains("broken: invariant 2 at day 1 14:05:09.143: person 2 heard what nobody said"), "{text}");
}

#[test]
fn what_changes_only_in_progress_is_told_once() {
    let plan = make::plan(Profile::Family, 1, None);
    let mut entries: Vec<Entry> =
        (0..9).map(|nth| Entry { at: nth * SECOND, seen: shown(u32::try_from(nth).unwrap() * 1_000) }).collect();
    entries.insert(3, Entry { at: 2_500, seen: Seen::Relay(true) });
    let text = timeline(&plan, &record(entries), &[]);
    assert_eq!(text.matches("note 17").count(), 1, "{text}");
    assert!(text.contains("OnDevice, 8000 of 9000 B (and 8 more until day 0 00:00:08.000)"), "{text}");
}

#[test]
fn a_timeline_is_bounded_around_the_first_broken_promise() {
    let plan = make::plan(Profile::Family, 1, None);
    let entries = (0..5_000).map(|at| Entry { at, seen: heard(Some(u32::try_from(at).unwrap())) }).collect();
    let violations: Vec<Violation> = (3_000..4_000).map(|at| violation(2, at, "heard twice")).collect();
    let text = timeline(&plan, &record(entries), &violations);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("day ")).collect();
    assert_eq!(lines.len(), LINES_BEFORE + LINES_AFTER);
    assert!(lines[LINES_BEFORE].contains(">>> INVARIANT 2"), "{}", lines[LINES_BEFORE]);
    assert!(lines[LINES_BEFORE - 1].contains("hears note 3000 "), "{}", lines[LINES_BEFORE - 1]);
    assert!(text.contains("broken: 988 more") && text.contains("… 2801 lines before"), "{text}");
}

#[test]
fn every_deed_of_a_plan_can_be_told_in_a_line() {
    for seed in 0..20 {
        let plan = make::plan(Profile::mixture(seed), seed, None);
        let entries = plan.events.iter().map(|event| played(event.at, event.deed.clone())).collect();
        let text = timeline(&plan, &record(entries), &[]);
        assert!(text.lines().all(|line| line.chars().count() <= LINE_CHARS_MAX + 60), "{text}");
        assert!(text.lines().count() <= LINES_BEFORE + plan.people.len() + 4);
    }
}

#[test]
fn the_test_of_a_failure_holds_the_plan_and_says_what_was_broken() {
    let mut plan = make::plan(Profile::Storm, 77, None);
    plan.profile = "storm \"# of mine".into();
    let text = as_test(&plan, &violation(5, 1_000, "note 3 waited for note 2\nby 9 s"));
    assert!(text.starts_with("#[test]\nfn regression_storm____of_mine_seed_77_keeps_invariant_5() {\n"), "{text}");
    assert!(text.contains("    // note 3 waited for note 2\n    // by 9 s\n"), "{text}");
    assert!(text.contains("trial(&plan, &Checks { without: true, ..Checks::default() })"), "{text}");
    let json = text.split_once("r##\"").unwrap().1.split_once("\"##)").unwrap().0;
    assert_eq!(Plan::from_json(json), Ok(plan));
}

//! What becomes of a failure: it is shortened, written into a file, and fails again from there.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use zajil_proto::simulation::Switch;
use zajil_tests::sim::failure::Failure;
use zajil_tests::sim::plan::Plan;
use zajil_tests::sim::sabotage;
use zajil_tests::sim::seeded::Seeded;
use zajil_tests::sim::trial::{Checks, Trial, trial};

/// How long the shrinker may take here: not long enough for the least plan, long enough for a much smaller one.
const SHRINK_TIME: Duration = Duration::from_secs(20);

/// A safeguard whose absence is seen in many plans, and the seed in which it was seen first.
pub(crate) fn sabotaged() -> (Switch, u64) {
    let rows = sabotage::parse(include_str!("../../../docs/TESTING.md")).expect("the table can be read");
    let easiest = rows.into_iter().min_by_key(|(switch, seen)| (seen.seed, *switch));
    let (switch, seen) = easiest.expect("the table has rows");
    (switch, seen.seed)
}

fn zajil_sim(arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zajil-sim"));
    command.args(arguments).arg("--replay").arg(file).arg("--no-shrink").arg("--out").arg(file.with_extension("out"));
    command.output().expect("zajil-sim starts")
}

fn breaks(trial: &Trial, invariant: u8) -> bool {
    trial.violations.iter().any(|violation| violation.invariant == invariant)
}

#[test]
fn a_sabotaged_world_is_shortened_to_one_that_fails_still_and_again_from_its_file() {
    let (switch, seed) = sabotaged();
    let (plan, checks) = (Seeded::standard(seed).plan(), Checks::against(switch));
    let broken = trial(&plan, &checks);
    let failure = Failure::look_into(&plan, &checks, &broken, SHRINK_TIME, &AtomicBool::new(false));
    let invariant = failure.violation.invariant;
    assert!(failure.plan.events.len() < plan.events.len(), "nothing could be left out of {}", switch.name());

    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = failure.write(folder.path()).expect("the schedule can be written");
    let text = std::fs::read_to_string(&file).expect("it is there");
    let read = Plan::from_json(&text).expect("it is a plan");
    assert_eq!(read, failure.plan);
    assert!(breaks(&trial(&read, &checks), invariant), "{text}");

    let told = failure.text(Some(&file));
    for part in ["#[test]", "cargo xtask sim --replay", switch.name(), &format!("invariant {invariant}")] {
        assert!(told.contains(part), "no {part} in:\n{told}");
    }

    let output = zajil_sim(&["--switch", switch.name()], &file);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains(&format!("invariant {invariant} is broken")), "{printed}");
}

#[test]
fn a_schedule_that_keeps_every_promise_ends_well_and_one_that_is_none_does_not() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("plan.json");
    let mut plan = Seeded::standard(1).plan();
    plan.events.clear();
    std::fs::write(&file, plan.to_json()).expect("a file can be written");
    let output = zajil_sim(&[], &file);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));

    std::fs::write(&file, "{}").expect("a file can be written");
    let output = zajil_sim(&[], &file);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("plan.json") && said.contains("this is not a plan"), "{said}");
    assert_eq!(zajil_sim(&[], &folder.path().join("missing")).status.code(), Some(3));
    assert_eq!(zajil_sim(&["--seeds", "0"], &file).status.code(), Some(2));
}

#[test]
fn what_happens_in_a_schedule_can_be_written_down() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let [file, into] = ["plan.json", "trace"].map(|name| folder.path().join(name));
    let mut plan = Seeded::standard(1).plan();
    plan.events.truncate(20);
    std::fs::write(&file, plan.to_json()).expect("a file can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_zajil-sim"));
    let output =
        command.arg("--replay").arg(&file).arg("--trace").arg(&into).arg("--json").output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let lines = std::fs::read_to_string(&into).expect("it was written").lines().count();
    assert_eq!(told["trace_lines"], lines);
}

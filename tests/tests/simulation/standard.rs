//! The standard seeds keep every promise, and come into every situation.

use std::collections::BTreeSet;
use std::process::Command;

use zajil_proto::simulation::Situation;
use zajil_tests::sim::campaign::{self, Notice, Outcome, Settings};
use zajil_tests::sim::failure;
use zajil_tests::sim::record::{Entry, Seen};
use zajil_tests::sim::seeded::{OPEN, STANDARD, Seeded};
use zajil_tests::sim::situations;
use zajil_tests::sim::trial::{Checks, Trial, trial};
use zajil_tests::sim::world::{self, Options};

use crate::every_core;

/// A seed whose world is played in several processes.
const TRACED: u64 = 1;

fn all_standard_seeds() -> Outcome<Seeded> {
    let settings = Settings { keep_going: true, ..Settings::default() };
    let play = |world: &Seeded| trial(&world.plan(), &Checks::for_seed(world.seed));
    campaign::run(&settings, STANDARD.map(Seeded::standard), play, |notice| match notice {
        Notice::Slow(world, took) => println!("{world} has been running for {} s", took.as_secs()),
        Notice::Ended(world, trial) => println!("{world}: {:.1} s", trial.wall.as_secs_f64()),
    })
}

#[test]
fn the_standard_seeds_keep_every_promise_and_come_into_every_situation() {
    let _alone = every_core();
    let outcome = all_standard_seeds();
    let open = |seed: u64, invariant| OPEN.iter().any(|open| (open.seed, open.invariant) == (seed, invariant));
    let known = |world: &Seeded, trial: &Trial| trial.first().is_some_and(|first| open(world.seed, first.invariant));
    let mended: Vec<_> = OPEN
        .iter()
        .filter(|open| !outcome.trials.iter().any(|(world, trial)| world.seed == open.seed && known(world, trial)))
        .collect();
    assert!(
        mended.is_empty(),
        "mended, or broken in another way; strike them out of OPEN or say what is new: {mended:?}"
    );
    let told: String = outcome
        .failures()
        .filter(|(world, trial)| !known(world, trial))
        .map(|(world, trial)| format!("\n{world}\n{}", failure::headline(trial, &world.command())))
        .collect();
    assert!(told.is_empty(), "{} of {} seeds failed{told}", outcome.failures().count(), outcome.trials.len());

    let reached: BTreeSet<Situation> =
        outcome.trials.iter().flat_map(|(_, trial)| trial.situations.keys().copied()).collect();
    let faults = situations::judge(&reached);
    assert!(faults.is_empty(), "after {} seeds:\n{}", outcome.trials.len(), faults.join("\n"));
    println!("{} seeds in {:.0} s", outcome.trials.len(), outcome.wall.as_secs_f64());
}

#[test]
fn a_seed_gives_the_same_trace_twice_in_one_process() {
    let plan = Seeded::standard(TRACED).plan();
    let options = Options { trace: true, ..Options::default() };
    let (one, other) = (world::play(&plan, &options), world::play(&plan, &options));
    let lines = [&one, &other].map(|played| played.trace.lines.as_deref().unwrap_or_default());
    assert_eq!(zajil_tests::sim::trial::difference(lines[0], lines[1]), None);
    assert_eq!((one.trace.hash, one.trace.entries), (other.trace.hash, other.trace.entries));
    // By value: times and lists of links are shown by no `Debug`, so the trace has none of them.
    // How much memory was held may differ by what ring and vodozemac drew; when it was looked at may not.
    let is_memory = |entry: &Entry| matches!(entry.seen, Seen::Memory(..));
    let differs = |(a, b): &(&Entry, &Entry)| a.at != b.at || (a.seen != b.seen && !(is_memory(a) && is_memory(b)));
    let entries = one.record.entries.iter().zip(&other.record.entries);
    assert_eq!(entries.clone().find(differs), None, "the network saw the same, people did not");
    assert_eq!(one.record.entries.len(), other.record.entries.len());
    assert!(one.trace.entries > 100, "a world in which almost nothing happens proves nothing");
}

#[test]
fn a_seed_gives_the_same_trace_in_another_process_and_another_seed_gives_another() {
    let own = world::play(&Seeded::standard(TRACED).plan(), &Options::default()).trace;
    let own = data_encoding::HEXLOWER.encode(&own.hash);
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    let of = |seed: u64| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zajil-sim"));
        let output = command.arg("--trace").arg(file.path()).args(["--seed", &seed.to_string()]).output();
        let output = output.expect("zajil-sim starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("it prints text")
    };
    assert_eq!(of(TRACED).split_whitespace().next(), Some(own.as_str()));
    assert_ne!(of(TRACED + 1).split_whitespace().next(), Some(own.as_str()));
}

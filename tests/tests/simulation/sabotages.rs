//! The oracle sees what it is there to see: each safeguard that docs/TESTING.md says it misses, it misses in the recorded seed.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use zajil_proto::simulation::Switch;
use zajil_tests::sim::campaign::{self, Settings};
use zajil_tests::sim::sabotage::{self, Sabotaged, Seen};
use zajil_tests::sim::seeded::Seeded;
use zajil_tests::sim::trial::{Checks, trial};

use crate::every_core;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
struct Recorded {
    switch: Switch,
    seen: Seen,
}

impl fmt::Display for Recorded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sabotaged { switch: self.switch, seed: self.seen.seed }.fmt(out)
    }
}

fn document() -> String {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/TESTING.md");
    std::fs::read_to_string(document).expect("docs/TESTING.md is there")
}

fn recorded() -> Vec<Recorded> {
    let rows = sabotage::parse(&document()).expect("the table can be read");
    rows.into_iter().map(|(switch, seen)| Recorded { switch, seen }).collect()
}

#[test]
fn every_safeguard_was_missed_within_two_hundred_seeds_when_the_table_was_made() {
    let rows = recorded();
    let seen: BTreeSet<&str> = rows.iter().map(|row| row.switch.name()).collect();
    let unseen: Vec<&str> =
        Switch::ALL.iter().map(|switch| switch.name()).filter(|name| !seen.contains(name)).collect();
    assert!(unseen.is_empty(), "not in the table, or not seen (`cargo xtask sim --sabotage --write`): {unseen:?}");
    for row in rows {
        assert!((1..=sabotage::SEEDS_MAX).contains(&row.seen.seed), "{row}");
    }
}

#[test]
fn every_sabotage_is_seen_in_its_recorded_seed_by_its_recorded_invariant() {
    let _alone = every_core();
    let play = |row: &Recorded| trial(&Seeded::standard(row.seen.seed).plan(), &Checks::against(row.switch));
    let settings = Settings { keep_going: true, ..Settings::default() };
    let outcome = campaign::run(&settings, recorded().into_iter(), play, |_| {});
    let unseen = outcome.trials.iter().filter_map(|(row, trial)| {
        let broken: BTreeSet<u8> = trial.violations.iter().map(|violation| violation.invariant).collect();
        let told =
            format!("{row}: invariant {} was broken when the table was made, now {broken:?}", row.seen.invariant);
        (!broken.contains(&row.seen.invariant)).then_some(told)
    });
    let unseen: Vec<String> = unseen.collect();
    assert!(unseen.is_empty(), "make the table again if the plans have changed:\n{}", unseen.join("\n"));
}

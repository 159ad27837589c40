//! How much happened in a run, so that a world in which nothing happens is not taken for a good one.

use std::collections::BTreeSet;

use zajil_client::engine::api::{Direction, NoteMark};

use crate::sim::record::{Record, Seen};

/// What happened in a run, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Notes that a program took.
    pub taken: u64,
    /// Notes that a program refused.
    pub refused: u64,
    /// Notes that were heard, each once.
    pub heard: u64,
    /// Notes of which a sender was told that they were heard.
    pub told_heard: u64,
    /// Notes whose time was over.
    pub expired: u64,
    /// Last words written.
    pub words: u64,
    /// Answers to "when were they last seen?".
    pub answers: u64,
    /// Answers that a relay gave.
    pub fresh_answers: u64,
    /// Pairings that came about.
    pub paired: u64,
    /// Pairings that were given up.
    pub unpaired: u64,
}

/// Counts what happened in a run.
pub fn summary(record: &Record) -> Summary {
    let mut summary = Summary::default();
    let mut heard = BTreeSet::new();
    let mut told = BTreeSet::new();
    let mut expired = BTreeSet::new();
    for entry in &record.entries {
        match &entry.seen {
            Seen::Taken(_) => summary.taken += 1,
            Seen::NotTaken(..) => summary.refused += 1,
            Seen::Heard(one) => drop(heard.insert((one.by, one.number))),
            Seen::Note(who, shown) if shown.direction == Direction::Out => match shown.mark {
                NoteMark::Heard => drop(told.insert((*who, shown.number))),
                NoteMark::Expired => drop(expired.insert((*who, shown.number))),
                _ => {}
            },
            Seen::WordTaken { .. } => summary.words += 1,
            Seen::Answer(answer) => {
                summary.answers += 1;
                summary.fresh_answers += u64::from(answer.view.fresh);
            }
            Seen::Paired(..) => summary.paired += 1,
            Seen::PairingFailed(..) => summary.unpaired += 1,
            _ => {}
        }
    }
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    (summary.heard, summary.told_heard, summary.expired) =
        (count(heard.len()), count(told.len()), count(expired.len()));
    summary
}

//! The oracle: what must hold of every run, judged by the plan and by what was seen, and by nothing the judged code says of itself.
//!
//! One file per subject; each says what it does not judge, and why. A check is as strict as it can be without ever being false:
//! what a person sees is seen when they look, so that a state may be older than its entry, never younger.

pub mod bytes;
mod custody;
mod gaps;
mod hearing;
mod later;
mod left;
mod load;
mod logs;
mod marks;
mod memory;
mod padding;
mod reasons;
mod reserve;
mod seen;
mod seized;
mod settled;
mod spans;
mod stolen;
mod story;
mod stuck;
mod summary;
mod untold;
mod words;

#[cfg(test)]
mod cases;

use super::plan::{Millis, Plan};
use super::record::{Record, Seen};
use story::Story;

pub use stuck::judge_without;
pub use summary::{Summary, summary};

/// Something that was not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise, 1 to 10; 0 = something broke.
    pub invariant: u8,
    /// When it was seen.
    pub at: Millis,
    /// What, naming people as "person 3" and notes by their serial.
    pub text: String,
}

impl Violation {
    /// States that a promise was broken.
    fn new(invariant: u8, at: Millis, text: String) -> Self {
        Self { invariant, at, text }
    }
}

/// Judges a run. What was broken first stands first; of two at one time, the lower number.
pub fn judge(plan: &Plan, record: &Record) -> Vec<Violation> {
    let story = Story::of(plan, record);
    let mut violations = broken(record);
    stolen::judge(&story, &mut violations);
    custody::judge(&story, &mut violations);
    hearing::judge(&story, &mut violations);
    gaps::judge(&story, &mut violations);
    marks::judge(&story, &mut violations);
    later::judge(&story, &mut violations);
    padding::judge(&story, &mut violations);
    bytes::judge(&story, &mut violations);
    load::judge(&story, &mut violations);
    memory::judge(&story, &mut violations);
    reserve::judge(&story, &mut violations);
    reasons::judge(&story, &mut violations);
    logs::judge(&story, &mut violations);
    left::judge(&story, &mut violations);
    seen::judge(&story, &mut violations);
    seized::judge(&story, &mut violations);
    settled::judge(&story, &mut violations);
    violations.sort_by_key(|violation| (violation.at, violation.invariant));
    violations
}

/// What the world itself found broken: a panic, a task that never ended, an attacker who got what is not theirs, a promise that the
/// relay did not keep to the auditor.
fn broken(record: &Record) -> Vec<Violation> {
    let told = record.entries.iter().filter_map(|entry| match &entry.seen {
        Seen::Broken(text) => Some(Violation::new(0, entry.at, text.clone())),
        Seen::Breach(text) => Some(Violation::new(0, entry.at, format!("breach: {text}"))),
        Seen::Audited(invariant, text) => Some(Violation::new(*invariant, entry.at, format!("auditor: {text}"))),
        _ => None,
    });
    told.collect()
}

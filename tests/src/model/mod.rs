//! The protocol of docs/PROTOCOL.md as an enemy sees it, in symbols, played through to the end.
//!
//! A **world** is what honest people hold and what the attacker knows. From each world some others follow: an honest device does
//! its next step, with whatever the attacker can make for it to read; or somebody's phone is seized. All of them are visited, each
//! once, from the shortest way on; a world in which a promise is broken is an *attack*, and the way there is told.
//!
//! The attacker is the relay, every line between, and Mallory, whom both Alice and Bob have paired with: it sees all that is sent,
//! holds back, says again, takes apart and puts together ([`terms`]). What it can say to a device is bounded by what that device
//! would read at that step: one message of the right form, its fields of the right sort. docs/PROOFS.md says why that is enough,
//! and what symbols cannot show.
//!
//! - [`pairing`]: from a link to a pair (P6), up to the digits
//! - [`notes`]: notes of two sessions, one of a pair and one of a family with the insider in it (P3, P4)
//! - [`seizure`]: what a phone in the wrong hands opens, before and after (P4.9 to P4.11, P5)
//!
//! Every promise stands beside a protocol in which one safeguard is left out, and there the attack must be found.

use std::collections::BTreeSet;
use std::rc::Rc;

pub mod notes;
pub mod pairing;
pub mod seizure;
pub mod terms;

/// Worlds that one question may visit. The largest needs less than half; a step that makes the worlds explode fails here and not in
/// the machine's memory.
pub const WORLDS_MAX: usize = 400_000;

/// What can come to pass, step by step.
pub trait World: Clone + Ord {
    /// Returns every world that can follow, with what happened.
    fn next(&self) -> Vec<(String, Self)>;

    /// Returns the promise that is broken here, if one is.
    fn broken(&self) -> Option<String>;
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No world breaks a promise.
    Holds {
        /// How many there are.
        worlds: usize,
    },
    /// The promise that is broken on the shortest way, and the way.
    Attack {
        /// What is broken.
        promise: String,
        /// What happened, one step after the other.
        steps: Vec<String>,
    },
}

/// Visits every world that can follow from `start`.
pub fn explore<W: World>(start: W) -> Outcome {
    let start = Rc::new(start);
    let mut known = BTreeSet::from([Rc::clone(&start)]);
    // Each world with the one it came from and what happened between.
    let mut worlds = vec![Reached { world: start, from: 0, step: String::new() }];
    let mut at = 0;
    while let Some(world) = worlds.get(at).map(|reached| Rc::clone(&reached.world)) {
        if let Some(promise) = world.broken() {
            return Outcome::Attack { promise, steps: way(&worlds, at) };
        }
        for (step, next) in world.next() {
            let next = Rc::new(next);
            if known.insert(Rc::clone(&next)) {
                worlds.push(Reached { world: next, from: at, step });
            }
        }
        assert!(worlds.len() <= WORLDS_MAX, "more than {WORLDS_MAX} worlds");
        at += 1;
    }
    Outcome::Holds { worlds: worlds.len() }
}

/// A world, and how it came about.
struct Reached<W> {
    world: Rc<W>,
    from: usize,
    step: String,
}

fn way<W>(worlds: &[Reached<W>], mut at: usize) -> Vec<String> {
    let mut steps = Vec::new();
    while at != 0 {
        let reached = &worlds[at];
        steps.push(reached.step.clone());
        at = reached.from;
    }
    steps.reverse();
    steps
}

//! The simulated world in every test run: the standard seeds, every situation, every sabotage, the same trace from the same seed.
//!
//! docs/TESTING.md tells how to read a failure. Tests that play many worlds take every core, one test after the other.
#![cfg(test)]

mod directed;
mod program;
mod regressions;
mod replays;
mod sabotages;
mod standard;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by a test that plays on every core: two at once would both take twice as long.
fn every_core() -> MutexGuard<'static, ()> {
    static EVERY_CORE: Mutex<()> = Mutex::new(());
    EVERY_CORE.lock().unwrap_or_else(PoisonError::into_inner)
}

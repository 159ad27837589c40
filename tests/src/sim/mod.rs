//! The simulated world: the real relay and the real engines, weeks of faults in minutes, repeatable from a seed.
//!
//! [`plan`] says what happens, `play` plays it, [`record`] holds what was seen, the oracle judges it. docs/TESTING.md tells how to use it.

pub mod plan;
pub mod record;

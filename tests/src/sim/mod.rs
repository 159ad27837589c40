//! The simulated world: the real relay and the real engines, weeks of faults in minutes, repeatable from a seed.
//!
//! [`plan`] says what happens, `play` plays it, [`record`] holds what was seen, the oracle judges it. docs/TESTING.md tells how to use it.

pub mod attacker;
pub mod auditor;
pub mod campaign;
pub mod directed;
pub mod failure;
pub mod make;
pub mod memory;
pub mod oracle;
pub mod panics;
pub mod plan;
pub mod plan_file;
pub mod record;
pub mod sabotage;
pub mod seeded;
pub mod shrink;
pub mod situations;
pub mod timeline;
pub mod trial;
pub mod world;

pub use world::{Options, Played, Trace, play};

//! The relay's store, tried as an engine of the relay would be and as a bad day treats it.
//!
//! One suite for every engine: `conformance` compares it with a small model of the same verbs, the others look at one promise each.

mod conformance;
mod crowd;
mod damage;
mod fixture;
mod limits;
mod loop_disk;
mod model;
mod power_cut;
mod promises;
mod seizure;

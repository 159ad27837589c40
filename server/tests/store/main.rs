//! The relay's store, tried as an engine of the relay would be and as a bad day treats it.
//!
//! One suite for every engine: `conformance` compares it with a small model of the same verbs, the others look at one promise each.

// Marked as tests, so that lints know what they look at.
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod loop_disk;
#[cfg(test)]
mod model;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod remains;
#[cfg(test)]
mod seizure;

//! What the tests of the whole system share: programs, relays as processes, devices without an engine, chance from one seed.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this package is nothing but tests: what cannot go on shall fail loudly"
)]

pub mod addresses;
pub mod binaries;
pub mod device;
pub mod failing_sends;
pub mod model;
pub mod needles;
pub mod parcels;
pub mod person;
pub mod relay_process;
pub mod sessions;
pub mod sim;
pub mod skipped;

pub use zajil_bench::{chance, open_relay};

//! What Zajil says, and how it decides: no sockets, no clock, no chance of its own.
//!
//! Everything here is a value or a state machine. Time (`now`) and randomness ([`random::Random`]) are arguments; bytes
//! go in, values come out. (`vodozemac` alone draws its own randomness; it offers no other way.) `docs/PROTOCOL.md`
//! fixes every byte; its clauses are cited as `P4.2`.
//!
//! - [`ids`], [`keys`], [`time`]: newtypes, parsed once at the edge
//! - [`codec`]: bytes to values and back, never panicking
//! - [`wire`]: the frames of a session
//! - [`parcel`]: header, marks, and the checked assembly of a body
//! - [`sealing`]: end to end: notes, control frames, pairing, words
//! - [`session`]: the two machines, device and relay
//! - [`outbox`]: what to send next, as a pure function
//! - [`simulation`]: safeguards that the simulated world can break, and what it reached; nothing of it in a program
//! - [`limits`]: every bound, with unit and reason
#![forbid(unsafe_code)]

// vodozemac takes every code for right under this flag. Fuzzers build with debug assertions; what is released has none.
#[cfg(all(fuzzing, not(debug_assertions)))]
compile_error!(
    "this flag is for fuzzers: with it, Olm's authentication codes are not checked. No release may have it."
);

#[macro_use]
pub mod redact;
#[macro_use]
pub mod simulation;

pub mod codec;
pub mod durable;
pub mod ids;
pub mod keys;
pub mod limits;
pub mod outbox;
pub mod parcel;
pub mod random;
pub mod relay_link;
pub mod sealing;
pub mod session;
pub mod time;
pub mod wire;

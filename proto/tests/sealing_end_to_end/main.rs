//! Sealing, end to end (P4 to P7): vectors, people who use it, people who attack it.

mod control;
mod notes;
mod pairing;
mod secrets;
mod sizes;
mod support;
mod words;

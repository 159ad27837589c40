//! The engine that phones wrap: no terminal, no paths, no environment. Built from its arguments.
//!
//! - [`api`]: what may be asked of it, and what it answers; `choices` has a part of it
//! - [`host`]: carries out requests, holds links; `goals` knows when a request is done
//! - `links`: one task for each relay met: dials, drives a session
//! - `lived`: how long this device has lived, by two clocks of which one may lie
//! - `fading`: what is erased after it was heard
//! - `meeting`: what to ask one relay, and what to do with what comes
//! - `state`, `model`: what this device knows and how it is kept
//! - `inspection`: what a disk tells, for the simulated world
//! - `probing`: what looking for relays costs
//! - `remembered`: what this program remembers of relays that it has met
//! - `pairings`: what pairing secrets give, derived once
//! - `pairs`, `frames`, `notes`, `words`: pairing, control frames, notes, last words
//! - `renewals`: new keys for a pair, in time or after a phone was out of its owner's hands
//! - `views`: the state as programs see it

pub mod api;
#[cfg(test)]
mod by_hand_tests;
mod choices;
mod fading;
mod frames;
mod goals;
pub mod host;
mod hunting;
#[cfg(feature = "simulation")]
pub mod inspection;
mod links;
mod lived;
mod meeting;
mod model;
mod notes;
mod pairings;
mod pairs;
#[cfg(not(feature = "simulation"))]
mod printing;
mod probing;
mod remembered;
mod renewals;
mod state;
mod surroundings;
mod views;
mod words;

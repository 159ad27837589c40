//! The relay: keeps sealed parcels and last words for people whose links drop, and can read none of it.
//!
//! - [`relay`]: the relay from its arguments; `gateway` runs one session, `watchers` tells sessions what arrived for them,
//!   `tickets` what they need not prove again
//! - [`store`]: what is kept, durably, before anything is acknowledged
//! - [`config`], [`files`]: what an operator decides, and what a relay's directory holds
//! - [`admin`], [`metrics`], [`logging`]: what an operator sees; nothing of it is about people
//! - [`cli`]: `zajil-relay init | check | run | status`
//! - `inventory`, only with the feature `simulation`: everything a relay holds, by name
//! - [`limits`]: every bound, with unit and reason
#![forbid(unsafe_code)]

pub mod admin;
pub mod cli;
pub mod config;
pub mod files;
mod gateway;
#[cfg(feature = "simulation")]
pub mod inventory;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod relay;
pub mod store;
mod tickets;
mod watchers;

//! The daemon's private socket: other commands of the same account on the same machine reach the engine that holds the
//! links.
//!
//! - [`wire`]: greeting and length-prefixed messages
//! - [`client`]: what a command does
//! - [`server`]: what the daemon does
//! - [`keeper`]: what it does while it has its keys, and while it has forgotten them
//!
//! The socket lies in the home (0700) with mode 0600, and peers of other accounts are turned away. Whoever may speak
//! here may do everything, so nothing more is asked.

pub mod client;
pub mod keeper;
pub mod server;
pub mod wire;

#[cfg(test)]
mod tests;

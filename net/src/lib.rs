//! The transport that both ends of Zajil share: QUIC, and TLS over TCP where UDP does not pass. It drives
//! `zajil-proto`'s session machines and takes no decision of the protocol.
//!
//! - [`dial()`] and [`Listener`] make a [`Connection`], encrypted, to a relay whose key is pinned
//! - [`drive()`] carries a session machine over it until either ends
//! - [`seams`]: clock and network are arguments
//! - [`transport`]: how quinn is set up for links that drop
//! - [`limits`]: every bound, with unit and reason
//! - `links` and `memory`, only with the feature `memory-network`: what bad links do, and a network made of them
//!
//! Nothing here logs: addresses and times of contact would be in it.
#![forbid(unsafe_code)]

mod attention;
#[cfg(target_os = "linux")]
mod changes;
mod congestion;
mod connection;
mod dial;
mod drive;
mod handshake;
pub mod identity;
mod key_exchange;
mod lanes;
pub mod limits;
#[cfg(feature = "memory-network")]
pub mod links;
mod listen;
#[cfg(feature = "memory-network")]
pub mod memory;
mod meter;
mod networks;
mod remembered;
pub mod seams;
mod sessions;
mod stop;
mod system;
mod system_random;
pub mod transport;

pub use connection::{Connection, ConnectionKind, ConnectionMover};
pub use dial::{DialError, DialOptions, Fault, Pace, Transports, dial, dial_early};
pub use drive::{DriveEnd, drive};
pub use identity::{IdentityError, PinnedKeys, RelayIdentity};
pub use key_exchange::KeyExchange;
pub use lanes::Loss;
pub use listen::{ListenError, ListenOptions, Listener};
pub use meter::DialCost;
pub use networks::{Networks, Place};
pub use remembered::RelayMemory;
pub use seams::{ByteListener, ByteStream, Changes, Clock, Network, SystemClock};
pub use sessions::TlsSessions;
#[cfg(feature = "simulation")]
pub use sessions::name_all;
pub use stop::{Stop, Stopping, stop_signal};
pub use system::SystemNetwork;
pub use system_random::SystemRandom;
pub use transport::{EndpointSecrets, LinkClass};

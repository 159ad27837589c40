//! The transport that both ends of Zajil share.
#![forbid(unsafe_code)]

pub mod identity;
pub mod limits;
pub mod seams;
mod system;
pub mod transport;

pub use identity::{IdentityError, PinnedKeys, RelayIdentity};
pub use seams::{ByteListener, ByteStream, Clock, Network, SystemClock};
pub use system::SystemNetwork;
pub use transport::{EndpointSecrets, LinkClass};

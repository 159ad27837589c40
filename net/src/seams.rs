//! Where time and the network come from: arguments, so that the simulated world can pass its own.

use core::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use quinn::{AsyncUdpSocket, Runtime};
use tokio::io::{AsyncRead, AsyncWrite};
use zajil_proto::time::{Instant, Minute};

use crate::networks::Place;

/// An answer that comes later, from behind a trait object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The two clocks of a machine, kept apart: one for durations, one for what people are told.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns a time that never runs backwards. It must run as fast as tokio's clock does.
    fn now(&self) -> Instant;

    /// Returns what the wall clock says, right or wrong, to the minute: nothing of ours tells a time more finely.
    fn wall(&self) -> Minute;
}

/// The operating system's clocks. The monotonic one stands still with tokio's when a test pauses that.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    /// Starts counting now.
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::default().after(self.start.elapsed())
    }

    fn wall(&self) -> Minute {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is a clock that was never set: "minute 0", as P7.3 writes "not told".
        since.map_or(Minute(0), |since| Minute::from_unix_seconds(since.as_secs()))
    }
}

/// A reliable ordered stream of bytes, both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Takes byte streams that others open.
pub trait ByteListener: Send + fmt::Debug {
    /// Waits for the next stream. Dropping the answer before it comes loses no stream.
    ///
    /// # Errors
    /// What the operating system says, mostly that there are no file descriptors left. The listener stays usable.
    fn accept(&mut self) -> Pending<'_, io::Result<Box<dyn ByteStream>>>;

    /// Returns the address it listens on.
    ///
    /// # Errors
    /// What the operating system says.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// Tells of changes of a machine's network.
pub trait Changes: Send + fmt::Debug {
    /// Waits until a link, an address or a route has come or gone since the last call, or since it began to listen. Dropping the
    /// answer before it comes forgets nothing. Promises neither that a way is open now nor that every change is told.
    fn next(&mut self) -> Pending<'_, ()>;
}

/// A network as one machine sees it.
///
/// No implementation logs an address.
pub trait Network: Send + Sync + fmt::Debug {
    /// Returns what runs the tasks of QUIC endpoints over this network's sockets.
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// Opens a UDP socket. One bound to an IPv6 address carries IPv6 only: an IPv4 peer seen as `::ffff:a.b.c.d` would
    /// lose its congestion state at every change of port (`quinn-proto` keeps it for `is_ipv4()` only).
    ///
    /// # Errors
    /// What the operating system says.
    fn bind_udp(&self, local: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>>;

    /// Opens a byte stream to a listener.
    fn connect(&self, remote: SocketAddr) -> Pending<'_, io::Result<Box<dyn ByteStream>>>;

    /// Listens for byte streams. An IPv6 address takes IPv6 only.
    ///
    /// # Errors
    /// What the operating system says.
    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn ByteListener>>;

    /// Says whether this machine knows a way to `remote`, without sending anything. `Ok` promises no answer.
    ///
    /// # Errors
    /// What the operating system says: no network, no route.
    fn route(&self, remote: SocketAddr) -> io::Result<()>;

    /// Says which network this machine would reach others through; `None` where it cannot tell.
    fn place(&self) -> Option<Place> {
        None
    }

    /// Begins to listen for changes of this machine's network; `None` where it cannot tell. Must be called within a runtime.
    fn changes(&self) -> Option<Box<dyn Changes>> {
        None
    }

    /// Looks up `host:port` (P2.6): at most [`ADDRESSES_PER_NAME_MAX`](crate::limits::ADDRESSES_PER_NAME_MAX)
    /// addresses, in the order in which they should be tried, within
    /// [`LOOK_UP_TIMEOUT`](crate::limits::LOOK_UP_TIMEOUT).
    fn look_up<'a>(&'a self, address: &'a str) -> Pending<'a, io::Result<Vec<SocketAddr>>>;
}

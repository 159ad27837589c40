use core::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::VarInt;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsStream;
use zajil_proto::wire::Code;
use zeroize::Zeroizing;

use crate::handshake::Handshake;
use crate::limits::TLS_BUFFER_BYTES;
use crate::networks::{Networks, Place};
use crate::seams::{ByteStream, Network};
use crate::system::unspecified;

/// Label of the TLS exporter that binds proofs to a session (P8.2).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-zajil/1";

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    /// QUIC over UDP.
    Quic,
    /// TLS over TCP.
    Tls,
}

/// Which end of a connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Device,
    Relay,
}

/// An encrypted connection between a device and a relay whose key is the pinned one. Its handshake is over, unless it is an
/// [early](Self::is_early) one.
///
/// Give it to [`drive`](crate::drive()) with a session machine. Dropped, it is closed without a word.
pub struct Connection {
    pub(crate) link: Link,
    pub(crate) side: Side,
    exporter: Option<Zeroizing<[u8; 32]>>,
    /// What is left of the handshake.
    pub(crate) handshake: Option<Handshake>,
    /// A place among the listener's connections, given back when this is dropped.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

pub(crate) enum Link {
    Quic {
        connection: quinn::Connection,
        /// A device's own end.
        own: Option<OwnEnd>,
        /// The first stream of the peer, where it was waited for.
        begun: Option<Begun>,
    },
    Tls(Box<TlsStream<Box<dyn ByteStream>>>),
}

/// A stream that the peer opened before anybody listened.
pub(crate) enum Begun {
    Control(quinn::SendStream, quinn::RecvStream),
    Transfer(quinn::RecvStream),
}

/// What a device holds of its QUIC connection.
#[derive(Clone)]
pub(crate) struct OwnEnd {
    /// Lives as long as its one connection.
    pub(crate) endpoint: quinn::Endpoint,
    /// What the relay may send ahead once it has learned what the link carries, bytes.
    pub(crate) window_bytes: u32,
    /// Where to note what it has measured when it is over.
    pub(crate) network: Option<(Arc<Networks>, Option<Place>)>,
}

/// The TLS exporter gave nothing, though the handshake is over. Not seen.
#[derive(Debug, thiserror::Error)]
#[error("the connection gives no exporter")]
pub(crate) struct NoExporter;

impl Connection {
    pub(crate) fn quic(
        connection: quinn::Connection,
        own: Option<OwnEnd>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Self, NoExporter> {
        let exporter = Some(exporter_of(&connection)?);
        let side = if own.is_some() { Side::Device } else { Side::Relay };
        Ok(Self { side, link: Link::Quic { connection, own, begun: None }, exporter, handshake: None, place })
    }

    /// One whose handshake is not over.
    pub(crate) fn early(
        connection: quinn::Connection,
        own: Option<OwnEnd>,
        begun: Option<Begun>,
        handshake: Handshake,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let side = if own.is_some() { Side::Device } else { Side::Relay };
        let link = Link::Quic { connection, own, begun };
        Self { side, link, exporter: None, handshake: Some(handshake), place }
    }

    pub(crate) fn tls(
        mut stream: TlsStream<Box<dyn ByteStream>>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<Self, NoExporter> {
        let room = [0; 32];
        let (side, exported) = match &mut stream {
            TlsStream::Client(stream) => {
                let connection = stream.get_mut().1;
                connection.set_buffer_limit(Some(TLS_BUFFER_BYTES));
                (Side::Device, connection.export_keying_material(room, EXPORTER_LABEL, Some(&[])))
            }
            TlsStream::Server(stream) => {
                let connection = stream.get_mut().1;
                connection.set_buffer_limit(Some(TLS_BUFFER_BYTES));
                (Side::Relay, connection.export_keying_material(room, EXPORTER_LABEL, Some(&[])))
            }
        };
        let exporter = Some(Zeroizing::new(exported.map_err(|_| NoExporter)?));
        Ok(Self { link: Link::Tls(Box::new(stream)), side, exporter, handshake: None, place })
    }

    /// Returns the TLS exporter (P8.2): the same at both ends, and of this connection alone. Keep it out of logs. `None` for an
    /// [early](Self::is_early) connection: the machine hears of it as [`Input::Confirmed`](zajil_proto::session::Input::Confirmed).
    pub fn exporter(&self) -> Option<&[u8; 32]> {
        self.exporter.as_deref()
    }

    /// Returns whether a session may begin though the handshake is not over: what is said then may be refused, and what is heard
    /// may have been sent again by somebody else.
    pub const fn is_early(&self) -> bool {
        self.handshake.is_some()
    }

    /// Returns what carries it.
    pub const fn kind(&self) -> ConnectionKind {
        match self.link {
            Link::Quic { .. } => ConnectionKind::Quic,
            Link::Tls(_) => ConnectionKind::Tls,
        }
    }

    /// Returns a handle that moves this connection to another local address while it is driven; `None` where that
    /// cannot be done: over TCP, and at a relay.
    pub fn mover(&self) -> Option<ConnectionMover> {
        match &self.link {
            Link::Quic { own, .. } => own.as_ref().map(|own| ConnectionMover(own.endpoint.clone())),
            Link::Tls(_) => None,
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("kind", &self.kind()).field("side", &self.side).finish_non_exhaustive()
    }
}

/// Moves a device's QUIC connection to another socket, as after a change of network. The session goes on.
#[derive(Clone)]
pub struct ConnectionMover(quinn::Endpoint);

impl ConnectionMover {
    /// Opens a socket at `local` and goes on from there. The peer learns of it with the next packet.
    ///
    /// # Errors
    /// What the operating system says; the old socket stays in use then.
    pub fn move_to(&self, network: &dyn Network, local: SocketAddr) -> io::Result<()> {
        self.0.rebind_abstract(network.bind_udp(local)?)
    }

    /// Opens another socket of the same family, wherever this machine would reach others from now, and goes on from there.
    ///
    /// # Errors
    /// As [`ConnectionMover::move_to`].
    pub fn move_on(&self, network: &dyn Network) -> io::Result<()> {
        self.move_to(network, unspecified(self.0.local_addr()?))
    }
}

impl fmt::Debug for ConnectionMover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionMover(..)")
    }
}

/// Returns the TLS exporter of a connection whose handshake is over.
pub(crate) fn exporter_of(connection: &quinn::Connection) -> Result<Zeroizing<[u8; 32]>, NoExporter> {
    let mut exporter = Zeroizing::new([0; 32]);
    let exported = connection.export_keying_material(exporter.as_mut_slice(), EXPORTER_LABEL, &[]);
    exported.map_err(|_| NoExporter)?;
    Ok(exporter)
}

/// Returns a code as QUIC carries it.
pub(crate) fn quic_code(code: Code) -> VarInt {
    VarInt::from_u32(code.0.into())
}

//! The lanes of a session over what carries it (P8.1).

mod quic;
mod tls;

use core::time::Duration;
use std::task::{Context, Poll};

use bytes::Bytes;
use quinn::ConnectionError;
use zajil_proto::reached;
use zajil_proto::session::{Lane, Rank};
use zajil_proto::wire::Code;

use crate::connection::Link;
use crate::lanes::quic::QuicLanes;
use crate::lanes::tls::TlsLanes;

/// Why a transport went away by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing was heard for the idle time-out: the link is down, or the peer.
    Silence,
    /// The peer does not know this connection any more: it has started again.
    Forgotten,
    /// The transport broke: an error of the operating system, or of the peer's transport.
    Broken,
    /// This end's listener was shut down.
    ShutDown,
}

/// What the lanes tell the driver.
#[derive(Debug)]
pub(crate) enum Step {
    /// The transport took this many bytes.
    Flushed(usize),
    /// Bytes arrived.
    Received { lane: Lane, bytes: Vec<u8> },
    /// The peer ended a lane, or it broke.
    Ended(Lane),
    /// Nothing more will come or go. Said once everything that had arrived was told.
    Gone(Gone),
}

/// How the transport ended without us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The peer closed it; the code where the transport carries one.
    Closed(Option<Code>),
    /// Nobody closed it.
    Lost(Loss),
}

impl From<ConnectionError> for Gone {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                Self::Closed(u16::try_from(close.error_code.into_inner()).ok().map(Code))
            }
            ConnectionError::TimedOut => {
                reached!(ConnectionWentSilent);
                Self::Lost(Loss::Silence)
            }
            ConnectionError::Reset => {
                reached!(ConnectionForgotten);
                Self::Lost(Loss::Forgotten)
            }
            ConnectionError::LocallyClosed => Self::Lost(Loss::ShutDown),
            ConnectionError::ConnectionClosed(_)
            | ConnectionError::TransportError(_)
            | ConnectionError::VersionMismatch
            | ConnectionError::CidsExhausted => Self::Lost(Loss::Broken),
        }
    }
}

/// The lanes of one connection, either kind.
pub(crate) enum Lanes {
    Quic(Box<QuicLanes>),
    Tls(TlsLanes),
}

impl Lanes {
    pub(crate) fn new(link: Link) -> Self {
        match link {
            Link::Quic { connection, own, begun } => Self::Quic(Box::new(QuicLanes::new(connection, own, begun))),
            Link::Tls(stream) => Self::Tls(TlsLanes::new(stream)),
        }
    }

    /// Begins anew on the same connection, which took nothing of what was written; `None` where that cannot be.
    pub(crate) fn anew(&self) -> Option<Self> {
        match self {
            Self::Quic(lanes) => Some(Self::Quic(Box::new(lanes.anew()))),
            Self::Tls(_) => None,
        }
    }

    /// Queues whole frames.
    pub(crate) fn transmit(&mut self, lane: Lane, rank: Rank, bytes: Vec<u8>, end: bool) {
        match self {
            Self::Quic(lanes) => lanes.transmit(lane, rank, bytes.into(), end),
            Self::Tls(lanes) => lanes.transmit(lane, rank, bytes.into()),
        }
    }

    /// Returns how many datagrams have come and how long the way there and back takes; `None` where a reliable stream below
    /// looks after both.
    pub(crate) fn heard(&self) -> Option<(u64, Duration)> {
        match self {
            Self::Quic(lanes) => Some(lanes.heard()),
            Self::Tls(_) => None,
        }
    }

    /// Asks the peer for a sign of life.
    pub(crate) fn ask(&self) {
        if let Self::Quic(lanes) = self {
            lanes.ask();
        }
    }

    /// Returns whether something that was written may not have arrived.
    pub(crate) fn is_unsettled(&self) -> bool {
        match self {
            Self::Quic(lanes) => lanes.is_unsettled(),
            Self::Tls(_) => false,
        }
    }

    /// Returns the bytes that the transport has not taken yet.
    pub(crate) fn queued(&self) -> usize {
        match self {
            Self::Quic(lanes) => lanes.queued(),
            Self::Tls(lanes) => lanes.queued(),
        }
    }

    /// Moves bytes out of the queues; ready when some were taken.
    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        match self {
            Self::Quic(lanes) => lanes.poll_write(context),
            Self::Tls(lanes) => lanes.poll_write(context),
        }
    }

    /// Takes what arrived; ready when there is something to tell.
    pub(crate) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        match self {
            Self::Quic(lanes) => lanes.poll_read(context),
            Self::Tls(lanes) => lanes.poll_read(context),
        }
    }

    /// Ends every lane and waits until the peer has all that was written, however long that takes. Queues must be
    /// empty.
    pub(crate) async fn settle(&mut self) {
        match self {
            Self::Quic(lanes) => lanes.settle().await,
            Self::Tls(lanes) => lanes.settle().await,
        }
    }

    /// Closes the transport, where it carries one with a code.
    pub(crate) async fn close(self, code: Code) {
        match self {
            Self::Quic(lanes) => lanes.close(code).await,
            Self::Tls(lanes) => drop(lanes),
        }
    }
}

/// Bytes waiting on one lane, in order.
type Queue = std::collections::VecDeque<Bytes>;

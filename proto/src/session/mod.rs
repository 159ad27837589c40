//! The two machines of a session (P8): [`client`] on the device, [`relay`] at the relay. Sans-IO.
//!
//! A machine is fed with [`Input`] and polled for [`Output`] until it has none; it never waits, reads no clock and
//! touches no socket. `zajil-net` drives either over QUIC or TLS.

pub mod client;
pub mod custody;
mod lanes;
pub mod relay;

use core::fmt;

use crate::time::Instant;
use crate::wire::Code;

/// One ordered row of bytes within a session (P8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// The control lane, both ways.
    Control,
    /// One transfer. Outgoing: the number of the transfer. Incoming: any number the transport gives that stream.
    Transfer(u64),
}

/// How soon something leaves when the link cannot take all: lower leaves first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(pub u8);

impl Rank {
    /// Frames of the control lane, words among them.
    pub const FIRST: Self = Self(0);
    /// Control parcels.
    pub const CONTROL: Self = Self(1);
    /// Text.
    pub const TEXT: Self = Self(2);
    /// The beginning of a voice note.
    pub const NOTE_BEGINNING: Self = Self(3);
    /// The rest of a voice note.
    pub const NOTE_REST: Self = Self(4);
}

/// What happened to a session.
pub enum Input<C> {
    /// Bytes arrived on a lane.
    Received {
        /// Which lane.
        lane: Lane,
        /// The bytes, any cut.
        bytes: Vec<u8>,
    },
    /// The peer ended a lane, or it broke.
    Ended {
        /// Which lane.
        lane: Lane,
    },
    /// The transport has taken this many bytes of what was transmitted.
    Flushed {
        /// How many.
        bytes: usize,
    },
    /// [`Session::wake_at`] has come.
    Wake,
    /// The program wants something.
    Command(C),
    /// The handshake is over, and what was said before it has been taken. Comes once, to a machine that began early.
    Confirmed {
        /// The TLS exporter of this connection (P8.2).
        exporter: [u8; 32],
    },
    /// The handshake is over, and of what was said before it nothing has been taken: all lanes begin anew. Comes once, to a
    /// device's machine that began early, in the place of [`Input::Confirmed`].
    Refused {
        /// The TLS exporter of this connection (P8.2).
        exporter: [u8; 32],
    },
    /// The transport is gone. The machine says what remains to be said in events; it transmits nothing more.
    Disconnected,
}

/// What a session wants done.
pub enum Output<E> {
    /// Send bytes on a lane.
    Transmit {
        /// Which lane.
        lane: Lane,
        /// How soon.
        rank: Rank,
        /// Whole frames.
        bytes: Vec<u8>,
        /// Whether the lane ends after them.
        end: bool,
    },
    /// Tell the program.
    Event(E),
    /// Send what was transmitted, then close the transport. Nothing is transmitted after it; a relay's session may
    /// still ask its store to keep what it received ([`relay::RelaySession::awaits_store`]).
    Close {
        /// Why; the `Close` frame was transmitted already where one is due.
        code: Code,
    },
}

impl<C: fmt::Debug> fmt::Debug for Input<C> {
    /// Bytes of people's things never print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received { lane, bytes } => write!(f, "Received({lane:?}, {} bytes)", bytes.len()),
            Self::Ended { lane } => write!(f, "Ended({lane:?})"),
            Self::Flushed { bytes } => write!(f, "Flushed({bytes})"),
            Self::Wake => f.write_str("Wake"),
            Self::Command(command) => f.debug_tuple("Command").field(command).finish(),
            Self::Confirmed { .. } => f.write_str("Confirmed"),
            Self::Refused { .. } => f.write_str("Refused"),
            Self::Disconnected => f.write_str("Disconnected"),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for Output<E> {
    /// Bytes of people's things never print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transmit { lane, rank, bytes, end } => {
                write!(f, "Transmit({lane:?}, {rank:?}, {} bytes, end: {end})", bytes.len())
            }
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
            Self::Close { code } => f.debug_tuple("Close").field(code).finish(),
        }
    }
}

/// A session machine.
pub trait Session {
    /// What the program asks of it.
    type Command;
    /// What it tells the program.
    type Event;

    /// Takes one input at `now`.
    fn handle_input(&mut self, now: Instant, input: Input<Self::Command>);

    /// Returns the next output, `None` when there is none for now.
    fn poll_output(&mut self) -> Option<Output<Self::Event>>;

    /// Returns when it wants [`Input::Wake`] at the latest.
    fn wake_at(&self) -> Option<Instant>;

    /// Returns whether it waits for something that the peer has to say or send.
    fn awaits(&self) -> bool {
        false
    }

    /// Returns whether it waits for commands even after [`Output::Close`] or [`Input::Disconnected`]: a relay's
    /// session, until its store has answered what was asked for the bytes that had arrived.
    fn lingers(&self) -> bool {
        false
    }
}

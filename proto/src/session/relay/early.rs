//! A session whose handshake is not over (P8.20), and tickets (P8.21).

use std::collections::BTreeSet;

use crate::keys::{Secret, Signature};
use crate::limits::{HALTED_BYTES_MAX, PROOFS_PER_SESSION_MAX};
use crate::session::Lane;
use crate::session::relay::{Keys, RelayEvent, RelaySession, State};
use crate::time::Instant;
use crate::wire::{Code, Frame, LinkReport, Scope};

/// A mailbox or slot.
type Key = (Scope, [u8; 16]);

/// Why the control lane is not read on.
#[derive(Debug)]
pub(super) enum Halt {
    /// This frame does what may not be done twice, or rests on the exporter.
    Handshake(Box<Frame>),
    /// The program looks up what a ticket stands for.
    Ticket,
}

/// What the device may read here, and by what.
#[derive(Debug, Default)]
pub(super) struct Authority {
    /// Keys proven in this session.
    pub(super) proven: BTreeSet<Key>,
    /// Keys that a ticket stands for.
    redeemed: BTreeSet<Key>,
    /// How many `Prove` frames came.
    proofs: u16,
    /// Keys were proven since a ticket was last asked for.
    ticket_due: bool,
    /// Bytes that came while the control lane was halted.
    halted_bytes: usize,
}

/// See [`super::name_all`].
#[cfg(feature = "simulation")]
pub(super) fn name_all(list: &mut Vec<&'static str>) {
    name_fields!(list, "memory:authority", Authority, Authority { proven, redeemed, proofs, ticket_due, halted_bytes });
}

impl Authority {
    /// Notes a key that was proven. Returns whether the device had shown none before.
    pub(super) fn prove(&mut self, key: Key) -> bool {
        let is_first = self.proven.is_empty() && self.redeemed.is_empty();
        self.proven.insert(key);
        self.proofs = self.proofs.saturating_add(1);
        self.ticket_due = true;
        is_first
    }

    /// Returns whether the device may read what is there.
    pub(super) fn may_read(&self, scope: Scope, id: [u8; 16]) -> bool {
        self.proven.contains(&(scope, id)) || self.redeemed.contains(&(scope, id))
    }
}

/// Returns whether a frame waits for the end of the handshake: its effect may not come from early data, which somebody else may
/// have sent again.
///
/// A word without a live proof does not wait: whoever sends it again moves nothing.
pub(super) fn waits(frame: &Frame) -> bool {
    match frame {
        Frame::Prove(_) | Frame::Register(_) | Frame::Withdraw { .. } | Frame::WordLive(_) | Frame::Drop { .. } => true,
        Frame::WordPut(put) => put.live_proof != Signature::NONE,
        _ => false,
    }
}

impl RelaySession {
    /// The handshake is over.
    pub(super) fn confirmed(&mut self, now: Instant, exporter: [u8; 32]) {
        self.exporter.get_or_insert(exporter);
        if let Some(Halt::Handshake(frame)) = self.halt.take_if(|halt| matches!(halt, Halt::Handshake(_))) {
            self.authority.halted_bytes = 0;
            if self.state == State::Open
                && let Err(code) = self.frame(now, Lane::Control, *frame)
            {
                self.fail(code);
            }
            self.read(now, Lane::Control);
        }
    }

    /// Counts what comes on a control lane that is not read.
    pub(super) const fn halted(&mut self, bytes: usize) -> Result<(), Code> {
        if self.halt.is_none() {
            return Ok(());
        }
        self.authority.halted_bytes = self.authority.halted_bytes.saturating_add(bytes);
        if self.authority.halted_bytes > HALTED_BYTES_MAX { Err(Code::TOO_MANY) } else { Ok(()) }
    }

    /// The device shows a ticket.
    pub(super) fn redeem(&mut self, ticket: Secret) {
        self.desk.port.event(RelayEvent::Redeem { ticket });
        self.halt = Some(Halt::Ticket);
    }

    /// The program has looked a ticket up: `None` if nobody knows it.
    pub(super) fn redeemed(&mut self, now: Instant, known: Option<(Secret, Keys)>) {
        if self.halt.take_if(|halt| matches!(halt, Halt::Ticket)).is_none() || self.state != State::Open {
            return;
        }
        self.authority.halted_bytes = 0;
        let (ticket, keys) = known.map_or(([0; 32], Vec::new()), |(ticket, keys)| (ticket.0, keys.0));
        if !keys.is_empty() && self.authority.proven.is_empty() && self.authority.redeemed.is_empty() {
            self.tell_links();
        }
        self.authority.redeemed.extend(keys.into_iter().take(PROOFS_PER_SESSION_MAX));
        self.desk.port.control(&Frame::Ticket { ticket, proofs: 0 });
        self.read(now, Lane::Control);
    }

    /// Asks the program for a ticket once what came at one time is read.
    pub(super) fn want_ticket(&mut self) {
        if core::mem::take(&mut self.authority.ticket_due) && self.state == State::Open {
            let keys = Keys(self.authority.proven.union(&self.authority.redeemed).copied().collect());
            self.desk.port.event(RelayEvent::TicketWanted { keys, proofs: self.authority.proofs });
        }
    }

    /// Gives the device a ticket for the keys of its first `proofs` proofs.
    pub(super) fn give_ticket(&mut self, ticket: &Secret, proofs: u16) {
        if self.state == State::Open {
            self.desk.port.control(&Frame::Ticket { ticket: ticket.0, proofs });
        }
    }

    /// Tells what is known of the links, to who has shown a key.
    pub(super) fn tell_links(&mut self) {
        if !self.settings.links.is_empty() {
            let links = self.settings.links.clone();
            self.desk.port.control(&Frame::LinkReport(LinkReport { links }));
        }
    }
}

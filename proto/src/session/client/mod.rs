//! The device's side of a session.
//!
//! [`ClientSession`] sends what it is told ([`ClientCommand`]) by rank, resumes where the relay is, checks all that
//! arrives, and hands it on to be made durable ([`ClientEvent`]). It trusts the relay with nothing: a header, a mark, a
//! word that does not fit, or a parcel nobody asked for, ends the session with a code; what was good before it is kept.

mod api;
mod arrivals;
mod early;
mod order;
mod requests;
mod uploads;

use core::fmt;

pub use api::{
    Arrived, Asked, ClientCommand, ClientEvent, ClientSettings, HeldState, Offer, Registering, Room, Ticket,
};

use arrivals::Arrivals;
use early::{Early, Proofs, say_hello};
use requests::Requests;
use uploads::Uploads;

use crate::durable::Durable;
use crate::ids::{MailboxId, ParcelId};
use crate::limits::{EARLY_DOWNLOAD_BYTES_MAX, UNFLUSHED_BYTES_MAX};
use crate::session::lanes::{Lanes, Port};
use crate::session::{Input, Lane, Output, Session};
use crate::time::Instant;
use crate::wire::{Code, Frame, Scope, Welcome};

/// The version this crate speaks.
const VERSION: u8 = 1;

/// The device's machine of one session.
pub struct ClientSession {
    settings: ClientSettings,
    /// Until the handshake is over.
    early: Option<Early>,
    /// Nothing that needs it is done before the handshake is over.
    exporter: [u8; 32],
    proofs: Proofs,
    is_open: bool,
    finishing: bool,
    lanes: Lanes,
    port: Port<ClientEvent>,
    requests: Requests,
    uploads: Uploads,
    arrivals: Arrivals,
}

impl ClientSession {
    /// Starts a session whose transport is up. `exporter` is the TLS exporter of this connection (P8.2). `Hello` leaves
    /// at once.
    pub fn new(settings: ClientSettings, exporter: [u8; 32]) -> Self {
        let mut port = Port::default();
        say_hello(&mut port);
        Self {
            settings,
            early: None,
            exporter,
            proofs: Proofs::default(),
            is_open: true,
            finishing: false,
            lanes: Lanes::new(EARLY_DOWNLOAD_BYTES_MAX),
            port,
            requests: Requests::default(),
            uploads: Uploads::new(settings.unanswered_bytes_max),
            arrivals: Arrivals::default(),
        }
    }

    /// Starts a session whose transport is up, and shows `ticket`, the newest that this relay gave: what it stands for need not be
    /// proven before it is read. If the relay does not know it, the session ends with [`ClientEvent::TicketUnknown`].
    pub fn with_ticket(settings: ClientSettings, exporter: [u8; 32], ticket: Option<Ticket>) -> Self {
        let mut session = Self::new(settings, exporter);
        session.show(ticket);
        session
    }

    /// Starts a session whose handshake is not over: what may be said twice leaves at once, the rest waits for
    /// [`Input::Confirmed`] or [`Input::Refused`]. `ticket` is the newest that this relay gave.
    pub fn early(settings: ClientSettings, ticket: Option<Ticket>) -> Self {
        let mut session = Self::new(settings, [0; 32]);
        session.early = Some(Early::default());
        session.show(ticket);
        session
    }

    fn show(&mut self, ticket: Option<Ticket>) {
        if let Some(ticket) = &ticket {
            self.port.control(&Frame::Redeem(ticket.secret));
        }
        self.proofs.ticket = ticket;
    }

    fn received(&mut self, lane: Lane, bytes: &[u8]) {
        let held = if self.arrivals.holds(lane) { self.arrivals.hold(bytes.len()) } else { Ok(()) };
        if let Err(code) = held.and_then(|()| self.lanes.push(lane, bytes)) {
            self.fail(code);
        }
        self.read(lane);
        self.read_on();
        self.arrivals.tell(&mut self.port);
    }

    /// Reads lanes whose transfers no longer wait for earlier ones.
    fn read_on(&mut self) {
        while let Some(taken_up) = self.arrivals.take_up_next(&mut self.port).filter(|_| self.is_open) {
            match taken_up {
                Ok(lane) => {
                    self.read(lane);
                    if !self.arrivals.holds(lane) && self.arrivals.has_ended(lane) {
                        self.ended(lane);
                    }
                }
                Err(code) => self.fail(code),
            }
        }
    }

    fn read(&mut self, lane: Lane) {
        while self.is_open && !self.arrivals.holds(lane) {
            let result = match self.lanes.next(lane) {
                Ok(Some(frame)) => self.frame(lane, frame),
                Ok(None) => return,
                Err(code) => Err(code),
            };
            if let Err(code) = result {
                self.fail(code);
            }
        }
    }

    fn frame(&mut self, lane: Lane, frame: Frame) -> Result<(), Code> {
        if !self.lanes.is_greeted() && !matches!(frame, Frame::Welcome(_) | Frame::Padding(_) | Frame::Close { .. }) {
            return Err(Code::UNEXPECTED);
        }
        match frame {
            Frame::Welcome(welcome) => self.welcomed(welcome)?,
            Frame::Answer { request, code } => self.answered(request, code)?,
            Frame::PutAnswer { id, state, durable } => self.uploads.answered(&mut self.port, id, state, durable)?,
            Frame::Parcel(start) => self.arrivals.parcel(&mut self.port, lane, &start)?,
            Frame::Body { transfer, offset, bytes } => self.arrivals.body(transfer, offset, &bytes)?,
            Frame::Mark { transfer, mark } => self.arrivals.mark(&mut self.port, transfer, mark)?,
            Frame::Drained { mailbox, transfers } => self.arrivals.drained(mailbox, transfers)?,
            Frame::Released { mailbox, ids } => {
                self.requests.released(mailbox, &ids)?;
                self.port.event(ClientEvent::Released { mailbox, ids });
            }
            Frame::SeenAnswer(answer) => {
                let event = self.requests.seen(answer)?;
                self.port.event(event);
            }
            Frame::LinkReport(report) => self.port.event(ClientEvent::Links(report)),
            Frame::Close { code, .. } => self.close(code, true),
            Frame::Ticket { ticket, proofs } => self.ticket(ticket, proofs)?,
            Frame::Padding(_) => {}
            Frame::Redeem(_)
            | Frame::Hello { .. }
            | Frame::Prove(_)
            | Frame::Register(_)
            | Frame::Put(_)
            | Frame::Watch { .. }
            | Frame::Release { .. }
            | Frame::Withdraw { .. }
            | Frame::WordPut(_)
            | Frame::WordLive(_)
            | Frame::SeenGet { .. }
            | Frame::Drop { .. } => return Err(Code::UNEXPECTED),
        }
        Ok(())
    }

    fn welcomed(&mut self, welcome: Welcome) -> Result<(), Code> {
        if self.lanes.is_greeted() {
            return Err(Code::UNEXPECTED);
        }
        if welcome.version != VERSION {
            return Err(Code::VERSION);
        }
        self.port.event(ClientEvent::Welcomed(welcome));
        let (lanes, ended) = self.lanes.greet();
        for lane in lanes {
            self.read(lane);
        }
        for lane in ended {
            self.ended(lane);
        }
        Ok(())
    }

    fn answered(&mut self, request: u64, code: Code) -> Result<(), Code> {
        let Some(asked) = self.requests.answered(request)? else { return Ok(()) };
        match asked {
            Asked::Withdraw { id } => self.uploads.withdrawn(&mut self.port, id, code),
            Asked::Drop { scope: Scope::Mailbox, id } if code == Code::OK => self.arrivals.dropped(MailboxId(id)),
            _ => {}
        }
        self.port.event(ClientEvent::Answered { asked, code });
        Ok(())
    }

    fn carry_out(&mut self, command: ClientCommand) {
        let port = &mut self.port;
        match command {
            ClientCommand::Prove { scope, write_key, read_key } => {
                let id = self.requests.prove(port, &self.exporter, (scope, write_key), &read_key);
                self.proofs.prove(scope, id);
            }
            ClientCommand::Register(registering) => self.requests.register(port, *registering),
            ClientCommand::Offer(offer) => self.uploads.offer(port, *offer),
            ClientCommand::Extend { id, bytes, marks } => self.uploads.extend(id, &bytes, &marks),
            ClientCommand::Watch { mailbox, live, held } => self.arrivals.watch(port, mailbox, live, held),
            ClientCommand::Release { mailbox, ids } => {
                let ids: Vec<ParcelId> = ids.into_iter().map(Durable::into_inner).collect();
                self.requests.release(port, mailbox, &ids);
            }
            ClientCommand::Withdraw { write_key, read_tag, parcel_key } => {
                let id = self.requests.withdraw(port, (write_key, read_tag), &parcel_key);
                self.uploads.withdraw(id);
            }
            ClientCommand::PutWord { word, write_key } => {
                self.requests.put_word(port, &self.exporter, word, write_key.as_ref());
            }
            ClientCommand::GetSeen { slot } => self.requests.get_seen(port, slot),
            ClientCommand::Drop { scope, id } => self.requests.drop_request(port, scope, id),
            ClientCommand::Finish => self.finishing = true,
        }
    }

    fn ended(&mut self, lane: Lane) {
        if self.arrivals.holds(lane) {
            self.arrivals.hold_end(lane);
            return;
        }
        if !self.lanes.end(lane) {
            return;
        }
        if lane == Lane::Control {
            self.close(Code::OK, true);
        } else {
            self.arrivals.lane_ended(lane);
            self.read_on();
            self.arrivals.tell(&mut self.port);
        }
    }

    /// Sends what may leave now, and ends the session if all is done.
    fn go_on(&mut self) {
        if !self.is_open {
            return;
        }
        let unflushed_bytes_max = self.settings.unflushed_bytes_max.clamp(1, UNFLUSHED_BYTES_MAX);
        let in_all = if self.early.is_some() { self.settings.early_bytes_max } else { usize::MAX };
        self.uploads.pump(&mut self.port, unflushed_bytes_max, in_all);
        if self.finishing && !self.awaits() {
            self.port.say_close(Code::OK);
            self.close(Code::OK, false);
        }
    }

    /// Ends the session over a mistake of the relay.
    fn fail(&mut self, code: Code) {
        if self.is_open {
            self.arrivals.tell(&mut self.port);
            self.port.say_close(code);
            self.close(code, false);
        }
    }

    fn close(&mut self, code: Code, by_relay: bool) {
        if self.is_open {
            self.is_open = false;
            self.arrivals.tell(&mut self.port);
            self.port.event(ClientEvent::Closed { code, by_relay });
            self.port.close(code);
        }
    }
}

impl Session for ClientSession {
    type Command = ClientCommand;
    type Event = ClientEvent;

    fn handle_input(&mut self, _now: Instant, input: Input<ClientCommand>) {
        if !self.is_open {
            return;
        }
        match input {
            Input::Received { lane, bytes } => self.received(lane, &bytes),
            Input::Ended { lane } => self.ended(lane),
            Input::Flushed { bytes } => self.port.flushed(bytes),
            Input::Wake => {}
            Input::Command(command) => self.command(command),
            Input::Confirmed { exporter } => self.confirmed(exporter),
            Input::Refused { exporter } => self.refused(exporter),
            Input::Disconnected => {
                self.port.silence();
                self.close(Code::OK, false);
            }
        }
        self.go_on();
    }

    fn poll_output(&mut self) -> Option<Output<ClientEvent>> {
        self.port.poll()
    }

    fn awaits(&self) -> bool {
        let is_said = self.early.as_ref().is_none_or(Early::is_said);
        let is_answered = self.lanes.is_greeted() && self.requests.is_empty();
        self.is_open && !(is_said && is_answered && self.uploads.is_settled() && self.arrivals.is_drained())
    }

    /// A device's session wants nothing by the clock: whether a link still answers is the transport's to see.
    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession").field("is_open", &self.is_open).finish_non_exhaustive()
    }
}

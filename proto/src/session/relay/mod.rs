//! The relay's side of a session.
//!
//! [`RelaySession`] takes the device's frames, turns them into requests to the store ([`RelayEvent::Store`]), and
//! answers only what the store has made durable. It holds no parcel in memory: at most one tail of each open upload,
//! what came while the store works (bounded), and 64 KiB on their way out.

mod api;
mod desk;
mod downloads;
mod early;
mod requests;
mod uploads;

use core::fmt;
use core::time::Duration;

pub use api::{Admission, Counter, Keys, RelayCommand, RelayEvent, RelaySettings};

use desk::{Desk, Pending};
use downloads::Downloads;
use early::{Authority, Halt, waits};
use uploads::Uploads;

use crate::ids::{MailboxId, RelayHash};
use crate::keys::Secret;
use crate::limits::{EARLY_UPLOAD_BYTES_MAX, IDLE_MILLIS, PARCEL_BYTES_MAX};
use crate::parcel::{Header, HeaderError, Home};
use crate::session::custody::{StoreReply, StoreRequest};
use crate::session::lanes::Lanes;
use crate::session::{Input, Lane, Output, Session};
use crate::time::{Instant, Minute};
use crate::wire::{Code, Frame, PutStart, Scope, Welcome};

/// Adds to `list` the name of everything that a session holds while it lasts: see the relay's `inventory`.
#[cfg(feature = "simulation")]
pub fn name_all(list: &mut Vec<&'static str>) {
    name_fields!(
        list,
        "memory:machine",
        RelaySession,
        RelaySession { settings, exporter, wall, state, lanes, desk, authority, halt, uploads, downloads, active }
    );
    early::name_all(list);
}

/// The version this crate speaks.
const VERSION: u8 = 1;

/// The relay's machine of one session.
pub struct RelaySession {
    settings: RelaySettings,
    /// Known once the handshake is over.
    exporter: Option<[u8; 32]>,
    /// The wall clock at the start.
    wall: Minute,
    state: State,
    lanes: Lanes,
    desk: Desk,
    authority: Authority,
    /// Why the control lane is not read on.
    halt: Option<Halt>,
    uploads: Uploads,
    downloads: Downloads,
    /// When the device last said something or took something; unknown before the first input.
    active: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Frames are taken.
    Open,
    /// The relay stops: what came is made durable and answered first.
    Draining,
    /// Nothing is said any more; answers of the store still count for what was received.
    Closed,
}

impl RelaySession {
    /// Starts a session whose transport is up. `wall` is the wall clock now; `exporter` the TLS exporter of this
    /// connection (P8.2). The first `wake_at` lies in the past: the machine asks for the time.
    pub fn new(settings: RelaySettings, wall: Minute, exporter: [u8; 32]) -> Self {
        Self { exporter: Some(exporter), ..Self::early(settings, wall) }
    }

    /// Starts a session whose handshake is not over. What comes before [`Input::Confirmed`] may have been sent again by somebody
    /// else: only what may be done twice is done.
    pub fn early(settings: RelaySettings, wall: Minute) -> Self {
        Self {
            settings,
            exporter: None,
            wall,
            state: State::Open,
            lanes: Lanes::new(EARLY_UPLOAD_BYTES_MAX),
            desk: Desk::default(),
            authority: Authority::default(),
            halt: None,
            uploads: Uploads::default(),
            downloads: Downloads::default(),
            active: None,
        }
    }

    /// Returns whether the store still owes answers.
    ///
    /// A program that keeps feeding them after [`Output::Close`] or [`Input::Disconnected`] until this is `false` loses
    /// no byte that was received; one that does not loses at most what was on its way into the store, and has not
    /// acknowledged it.
    pub fn awaits_store(&self) -> bool {
        self.desk.awaits_store()
    }

    fn received(&mut self, now: Instant, lane: Lane, bytes: &[u8]) {
        if self.state != State::Open {
            return;
        }
        self.active = Some(now);
        let bounded = if lane == Lane::Control { self.halted(bytes.len()) } else { Ok(()) };
        if let Err(code) = bounded.and_then(|()| self.lanes.push(lane, bytes)) {
            self.fail(code);
        }
        self.read(now, lane);
    }

    fn read(&mut self, now: Instant, lane: Lane) {
        while self.state == State::Open && !(lane == Lane::Control && self.halt.is_some()) {
            let result = match self.lanes.next(lane) {
                Ok(Some(frame)) => self.frame(now, lane, frame).and_then(|()| self.desk.check_load()),
                Ok(None) => break,
                Err(code) => Err(code),
            };
            if let Err(code) = result {
                self.fail(code);
            }
        }
        self.want_ticket();
    }

    fn frame(&mut self, now: Instant, lane: Lane, frame: Frame) -> Result<(), Code> {
        if !self.lanes.is_greeted() && !matches!(frame, Frame::Hello { .. } | Frame::Padding(_) | Frame::Close { .. }) {
            return Err(Code::UNEXPECTED);
        }
        if self.exporter.is_none() && waits(&frame) && !sabotaged!(HandshakeNotAwaited) {
            reached!(WaitedForHandshake);
            self.halt = Some(Halt::Handshake(Box::new(frame)));
            return Ok(());
        }
        match frame {
            Frame::Hello { lowest, highest, .. } => self.hello(now, lowest, highest)?,
            Frame::Prove(prove) => self.prove(&prove)?,
            Frame::Register(register) => self.register(register),
            Frame::Put(put) => self.put(lane, &put)?,
            Frame::Body { transfer, offset, bytes } => {
                let longest = self.settings.parcel_bytes_max.min(PARCEL_BYTES_MAX);
                self.uploads.body(&mut self.desk, now, transfer, offset, bytes, longest)?;
            }
            Frame::Mark { transfer, mark } => self.uploads.mark(&mut self.desk, now, transfer, mark)?,
            Frame::Watch { mailbox, live, more, held } if self.authority.may_read(Scope::Mailbox, mailbox.0) => {
                self.downloads.watch(&mut self.desk, mailbox, (live, more), &held)?;
            }
            Frame::Watch { mailbox, more, .. } => {
                reached!(UnprovenWatched);
                if !more {
                    let pending = Pending::ListUnproven { mailbox };
                    self.desk.store(StoreRequest::List { mailbox: MailboxId::NOBODYS }, pending);
                }
            }
            Frame::Release { mailbox, ids } => self.release(mailbox, ids),
            Frame::Withdraw { request, write_key, read_tag, parcel_key, signature } => {
                self.withdraw(request, (write_key, read_tag), parcel_key, &signature)?;
            }
            Frame::WordPut(put) => self.word_put(put)?,
            Frame::WordLive(live) => self.word_live(live),
            Frame::SeenGet { request, slot } => self.seen_get(request, slot),
            Frame::Drop { request, scope, id } => self.drop_request(request, scope, id),
            Frame::Close { code, .. } => self.close(code, false),
            Frame::Redeem(ticket) => self.redeem(Secret(ticket)),
            // Odd types may be ignored (P1.3).
            Frame::Ticket { .. } | Frame::LinkReport(_) | Frame::Padding(_) => {}
            Frame::Welcome(_)
            | Frame::Answer { .. }
            | Frame::PutAnswer { .. }
            | Frame::Parcel(_)
            | Frame::Drained { .. }
            | Frame::Released { .. }
            | Frame::SeenAnswer(_) => return Err(Code::UNEXPECTED),
        }
        Ok(())
    }

    fn hello(&mut self, now: Instant, lowest: u8, highest: u8) -> Result<(), Code> {
        if self.lanes.is_greeted() {
            return Err(Code::UNEXPECTED);
        }
        if !(lowest..=highest).contains(&VERSION) {
            return Err(Code::VERSION);
        }
        let welcome = Welcome {
            version: VERSION,
            features: 0,
            epoch: self.settings.epoch,
            minute: self.wall,
            clock_trust: self.settings.clock_trust,
            next_visit_minutes: self.settings.next_visit_minutes,
            parcel_bytes_max: self.settings.parcel_bytes_max,
            lifetime_hours_max: self.settings.lifetime_hours_max,
        };
        self.desk.port.control(&Frame::Welcome(welcome));
        self.desk.metric(Counter::SessionWelcomed);
        let (lanes, ended) = self.lanes.greet();
        for lane in lanes {
            self.read(now, lane);
        }
        for lane in ended {
            self.ended(lane);
        }
        Ok(())
    }

    fn put(&mut self, lane: Lane, put: &PutStart) -> Result<(), Code> {
        let header = Header::verify(&put.header).map_err(|error| match error {
            HeaderError::Decode(_) => Code::MALFORMED,
            HeaderError::Signature => Code::BAD_SIGNATURE,
        })?;
        let length = header.sealed_length().unwrap_or(0);
        let is_late = put.travel.age.expired(header.lifetime());
        if length > self.settings.parcel_bytes_max {
            return self.uploads.refuse(&mut self.desk, put.transfer, &header, Code::TOO_LONG);
        }
        if header.lifetime().hours() > self.settings.lifetime_hours_max || is_late {
            return self.uploads.refuse(&mut self.desk, put.transfer, &header, Code::LIFETIME);
        }
        let mut travel = put.travel;
        if travel.home.0 == RelayHash::of(&self.settings.relay_key.public()) {
            travel.home = Home(RelayHash::HERE);
        }
        self.uploads.put(&mut self.desk, lane, (put.transfer, put.offset), header, travel)
    }

    fn ended(&mut self, lane: Lane) {
        if !self.lanes.end(lane) {
            return;
        }
        if lane == Lane::Control {
            self.close(Code::OK, false);
        } else {
            self.uploads.lane_ended(&mut self.desk, lane);
        }
    }

    fn command(&mut self, now: Instant, command: RelayCommand) {
        match command {
            RelayCommand::Store { ticket, reply, wall } => {
                if let Some(pending) = self.desk.answered(ticket)
                    && let Err(code) = self.store_answered(now, pending, reply, wall)
                {
                    self.fail(code);
                }
                self.finish_draining();
            }
            RelayCommand::Arrived { mailbox } => {
                if self.state == State::Open {
                    self.downloads.arrived(&mut self.desk, mailbox);
                }
            }
            RelayCommand::Redeemed { known } => self.redeemed(now, known),
            RelayCommand::Ticket { ticket, proofs } => self.give_ticket(&ticket, proofs),
            RelayCommand::Replaced => self.fail(Code::REPLACED),
            RelayCommand::Drain => {
                if self.state == State::Open {
                    reached!(RelayDrained);
                    self.state = State::Draining;
                    self.downloads.stop();
                    self.uploads.close(&mut self.desk);
                    self.finish_draining();
                }
            }
        }
    }

    fn store_answered(&mut self, now: Instant, pending: Pending, reply: StoreReply, wall: Minute) -> Result<(), Code> {
        match pending {
            Pending::Put(key) => self.uploads.put_answered(&mut self.desk, now, key, reply)?,
            Pending::Extend(key) => self.uploads.extend_answered(&mut self.desk, key, reply)?,
            Pending::Cut => {}
            Pending::List { mailbox } => self.downloads.listed(&mut self.desk, mailbox, reply)?,
            Pending::ListUnproven { mailbox } => self.downloads.drained_unproven(&mut self.desk, mailbox),
            Pending::Read(reading) => self.downloads.read(&mut self.desk, &reading, reply)?,
            Pending::Register { request, mailbox } => self.registered(request, mailbox, reply)?,
            Pending::Release { mailbox, ids } => self.released(mailbox, ids, reply)?,
            Pending::Withdraw { request } => {
                if self.done(request, reply)? == Code::OK {
                    self.desk.metric(Counter::Withdrawn);
                }
            }
            Pending::WordLookup { put } => self.word_looked_up(*put, reply, wall)?,
            Pending::WordProof { live } => self.word_proven(&live, reply, wall)?,
            Pending::Word { request, live } => {
                if self.done(request, reply)? == Code::OK {
                    self.desk.metric(Counter::WordPut(live));
                }
            }
            Pending::Seen { request, proven } => self.seen_answered(request, proven, reply)?,
            Pending::Drop { request } => _ = self.done(request, reply)?,
            Pending::DropUnproven { request } => self.answer(request, Code::OK),
        }
        Ok(())
    }

    fn registered(&mut self, request: u64, mailbox: Option<MailboxId>, reply: StoreReply) -> Result<(), Code> {
        let code = self.done(request, reply)?;
        self.desk.metric(Counter::Registered(code));
        if let Some(mailbox) = mailbox.filter(|_| code == Code::OK) {
            // It may have been watched before it was here.
            self.downloads.arrived(&mut self.desk, mailbox);
        }
        Ok(())
    }

    fn released(&mut self, mailbox: MailboxId, ids: Vec<crate::ids::ParcelId>, reply: StoreReply) -> Result<(), Code> {
        match reply {
            StoreReply::Released(gone) => {
                if !gone.get().is_empty() {
                    self.desk.metric(Counter::Released);
                }
            }
            StoreReply::Refused(_) => {}
            _ => return Err(Code::INTERNAL),
        }
        self.desk.port.control(&Frame::Released { mailbox, ids });
        Ok(())
    }

    fn finish_draining(&mut self) {
        if self.state == State::Draining && !self.desk.awaits_store() {
            self.close(Code::DRAINING, true);
        }
    }

    /// Ends the session over a mistake: what was good is kept.
    fn fail(&mut self, code: Code) {
        if self.state != State::Closed {
            reached!(SessionRefused);
            self.desk.metric(Counter::SessionRefused(code));
            self.close(code, true);
        }
    }

    fn close(&mut self, code: Code, said: bool) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.uploads.close(&mut self.desk);
            self.downloads.close(&mut self.desk);
            if said {
                self.desk.port.say_close(code);
            }
            self.desk.port.close(code);
        }
    }

    fn wake(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        self.active.get_or_insert(now);
        self.uploads.wake(&mut self.desk, now);
        if self.idle_at().is_some_and(|at| at <= now) {
            reached!(SessionIdle);
            self.close(Code::IDLE, true);
        }
    }

    fn idle_at(&self) -> Option<Instant> {
        let counts = self.state == State::Open && !self.downloads.is_live();
        let active = self.active.filter(|_| counts)?;
        Some(active.after(Duration::from_millis(IDLE_MILLIS)))
    }
}

impl Session for RelaySession {
    type Command = RelayCommand;
    type Event = RelayEvent;

    fn handle_input(&mut self, now: Instant, input: Input<RelayCommand>) {
        match input {
            Input::Received { lane, bytes } => self.received(now, lane, &bytes),
            Input::Ended { lane } => {
                if self.state == State::Open {
                    self.ended(lane);
                }
            }
            Input::Flushed { bytes } => {
                self.active = Some(now);
                self.desk.port.flushed(bytes);
                if self.state == State::Open {
                    self.downloads.pump(&mut self.desk);
                }
            }
            Input::Wake => self.wake(now),
            // A relay is never told that nothing was taken: it would have taken it.
            Input::Confirmed { exporter } | Input::Refused { exporter } => self.confirmed(now, exporter),
            Input::Command(command) => self.command(now, command),
            Input::Disconnected => {
                self.desk.port.silence();
                self.close(Code::OK, false);
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output<RelayEvent>> {
        self.desk.port.poll()
    }

    fn wake_at(&self) -> Option<Instant> {
        if self.state == State::Closed {
            return None;
        }
        if self.active.is_none() {
            return Some(Instant::default());
        }
        self.uploads.wake_at().into_iter().chain(self.idle_at()).min()
    }

    fn lingers(&self) -> bool {
        self.awaits_store()
    }
}

impl fmt::Debug for RelaySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelaySession").field("state", &self.state).finish_non_exhaustive()
    }
}

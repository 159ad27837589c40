use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
#[cfg(feature = "simulation")]
use zajil_proto::sabotaged;
use zajil_proto::session::{Input, Output, Session};
use zajil_proto::wire::Code;

use crate::attention::{Attention, Verdict};
use crate::connection::{Connection, Side};
use crate::dial::DialError;
use crate::handshake::{Handshake, Over};
use crate::lanes::{Gone, Lanes, Loss, Step};
use crate::limits::{CLOSE_TIMEOUT, EVENTS_WAITING_MAX, TRANSMIT_QUEUE_BYTES_MAX};
use crate::seams::Clock;

/// How a session's transport ended.
#[derive(Debug, Clone, PartialEq)]
pub enum DriveEnd {
    /// This end closed it: the machine with its code, or, with [`Code::OK`], because the program has gone.
    Closed(Code),
    /// The peer closed it. The code is there over QUIC; over TLS only its `Close` frame told the machine.
    PeerClosed(Option<Code>),
    /// Nobody closed it.
    Lost(Loss),
    /// What was begun [early](Connection::is_early) was not answered, and no other connection could be made.
    Unmet(DialError),
}

/// Carries a session machine over a connection until either ends.
///
/// Over QUIC the control lane is the device's first bidirectional stream and each transfer a unidirectional stream of
/// its own, with quinn's priority from the rank. Over TLS all frames go in order on the one stream, each `Transmit`
/// whole, the lowest rank first; what arrives comes as
/// [`Lane::Control`](zajil_proto::session::Lane::Control).
///
/// The machine decides everything else:
/// - [`Input::Flushed`] tells it what the transport has taken, on all lanes together; that is how it bounds what is on
///   its way. A lane that the peer stopped counts as flushed.
/// - Nothing is read from the network while an event waits for the program or too much waits to leave
///   ([`TRANSMIT_QUEUE_BYTES_MAX`]); what was read before a connection ended is still told.
/// - Commands are taken also while events wait (up to [`EVENTS_WAITING_MAX`]), so that a program that answers events
///   with commands cannot lock itself out.
/// - A machine keeps at most [`TRANSFERS_OPEN_MAX`](zajil_proto::limits::TRANSFERS_OPEN_MAX) transfers open; one more
///   waits for another to end, with all its bytes.
/// - [`Session::wake_at`] must lie ahead again after [`Input::Wake`].
///
/// An [early](Connection::is_early) connection takes what the machine says at once, and tells it later what became of that
/// ([`Input::Confirmed`], [`Input::Refused`]). If nobody is heard, the relay is dialled from the beginning, which is
/// [`Input::Refused`] too. Nobody is asked for a sign of life before.
///
/// When `commands` is closed, or nobody takes `events` any more, what is queued is sent and the connection closed with
/// [`Code::OK`]. At the end, however it came, the machine gets [`Input::Disconnected`] once and its last events are
/// delivered before this returns; the program must go on taking them. While the machine [lingers](Session::lingers), so
/// does this, and hands it the program's commands until `commands` is closed.
///
/// Commands and events come boxed: a channel makes room for 32 of them in one piece, twice for each direction, and most connections wait
/// for something nearly all the time.
///
/// Dropping the answer before it comes closes the connection at once. There are no tasks behind it.
pub fn drive<S: Session>(
    connection: Connection,
    session: S,
    commands: mpsc::Receiver<Box<S::Command>>,
    events: mpsc::Sender<Box<S::Event>>,
    clock: Arc<dyn Clock>,
) -> impl Future<Output = DriveEnd> {
    let Connection { link, side, place, handshake, .. } = connection;
    // Made before there is anything to wait for: a future keeps a second place for whatever is moved within it.
    let driver = Driver {
        session,
        handshake,
        clock,
        commands,
        events,
        waiting: VecDeque::new(),
        closing: None,
        commands_closed: false,
        read_first: false,
        gives_up: side == Side::Device,
        is_cut: false,
        attention: None,
    };
    carry(Box::new(driver), Box::new(Lanes::new(link)), place)
}

async fn carry<S: Session>(
    mut driver: Box<Driver<S>>,
    mut lanes: Box<Lanes>,
    place: Option<OwnedSemaphorePermit>,
) -> DriveEnd {
    let end = driver.run(&mut lanes).await;
    if let DriveEnd::Closed(code) = end {
        lanes.close(code).await;
    } else {
        drop(lanes);
    }
    // The listener may count this place as free from here on.
    drop(place);
    driver.say_last().await;
    #[cfg(feature = "simulation")]
    if sabotaged!(EndedSessionsKept) {
        Box::leak(Box::new(driver.session));
    }
    end
}

struct Driver<S: Session> {
    session: S,
    /// Until it is over.
    handshake: Option<Handshake>,
    clock: Arc<dyn Clock>,
    commands: mpsc::Receiver<Box<S::Command>>,
    events: mpsc::Sender<Box<S::Event>>,
    /// Events that the program has not taken. Bounded by what one input brings, and by [`EVENTS_WAITING_MAX`] for
    /// commands.
    waiting: VecDeque<Box<S::Event>>,
    closing: Option<Code>,
    /// Whether the program gives no commands any more.
    commands_closed: bool,
    /// Reading and writing go first in turn, so that neither starves the other.
    read_first: bool,
    /// Whether a long silence ends it.
    gives_up: bool,
    /// Whether an early connection is gone, and another one awaited.
    is_cut: bool,
    /// While something is awaited, and when to look again.
    attention: Option<(Attention, Instant)>,
}

impl<S: Session> Driver<S> {
    async fn run(&mut self, lanes: &mut Lanes) -> DriveEnd {
        loop {
            self.take_outputs(lanes);
            if let Some(code) = self.closing {
                return self.finish(lanes, code).await;
            }
            let has_room = lanes.queued() < TRANSMIT_QUEUE_BYTES_MAX;
            let listens = self.waiting.is_empty() && !self.is_cut;
            let may_command = has_room && self.waiting.len() < EVENTS_WAITING_MAX;
            let wake_at = self.session.wake_at();
            let asleep = wake_at.map(|at| at.since(self.clock.now())).unwrap_or_default();
            let read_first = self.read_first;
            let look_at = self.attend(lanes);
            let next = tokio::select! {
                biased;
                permit = self.events.reserve(), if !self.waiting.is_empty() => match (permit, self.waiting.pop_front()) {
                    (Ok(permit), Some(event)) => {
                        permit.send(event);
                        Next::Told
                    }
                    _ => Next::ProgramGone,
                },
                () = sleep(asleep), if wake_at.is_some() => Next::Input(Input::Wake),
                over = handshake_over(&mut self.handshake), if self.handshake.is_some() => Next::Over(over),
                () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => Next::Look,
                command = self.commands.recv(), if may_command => match command {
                    Some(command) => Next::Input(Input::Command(*command)),
                    None => Next::ProgramGone,
                },
                step = poll_fn(|context| poll_step(lanes, context, listens, read_first)) => Next::Step(step),
            };
            let input = match next {
                Next::Told => continue,
                Next::Look => match self.look(lanes) {
                    Some(end) => return end,
                    None => continue,
                },
                Next::Over(over) => match self.handshake_over(lanes, over) {
                    Ok(input) => input,
                    Err(end) => return end,
                },
                Next::ProgramGone => return self.finish(lanes, Code::OK).await,
                // An early connection that is gone was not made: its handshake says what comes of that.
                Next::Step(Step::Gone(_)) if self.dials_again() => {
                    self.is_cut = true;
                    continue;
                }
                Next::Step(Step::Gone(Gone::Closed(code))) => return DriveEnd::PeerClosed(code),
                Next::Step(Step::Gone(Gone::Lost(loss))) => return DriveEnd::Lost(loss),
                Next::Step(Step::Flushed(bytes)) => Input::Flushed { bytes },
                Next::Step(Step::Received { lane, bytes }) => Input::Received { lane, bytes },
                Next::Step(Step::Ended(lane)) => Input::Ended { lane },
                Next::Input(input) => input,
            };
            self.read_first = matches!(input, Input::Flushed { .. });
            if let Some((attention, _)) = &mut self.attention
                && matches!(input, Input::Flushed { .. } | Input::Received { .. })
            {
                attention.moved(Instant::now());
            }
            self.feed(input);
        }
    }

    /// Begins to listen for the peer when something is awaited, and stops when nothing is. Returns when to look again.
    fn attend(&mut self, lanes: &Lanes) -> Option<Instant> {
        if self.handshake.is_some() || (!self.session.awaits() && !lanes.is_unsettled()) {
            self.attention = None;
            return None;
        }
        if self.attention.is_none() {
            let (heard, _) = lanes.heard()?;
            let now = Instant::now();
            self.attention = Some((Attention::new(now, heard, self.gives_up), now));
        }
        self.attention.as_ref().map(|(_, at)| *at)
    }

    /// Looks whether the peer is heard.
    fn look(&mut self, lanes: &mut Lanes) -> Option<DriveEnd> {
        let (heard, round_trip) = lanes.heard()?;
        let (attention, at) = self.attention.as_mut()?;
        match attention.look(Instant::now(), heard, round_trip) {
            Verdict::Wait(next) => *at = next,
            Verdict::Ask(next) => {
                *at = next;
                lanes.ask();
            }
            Verdict::Silent => return Some(DriveEnd::Lost(Loss::Silence)),
        }
        None
    }

    /// Returns whether a connection that is gone is made anew.
    const fn dials_again(&self) -> bool {
        self.handshake.is_some() && self.gives_up
    }

    /// Takes what became of the handshake.
    fn handshake_over(&mut self, lanes: &mut Lanes, over: Over) -> Result<Input<S::Command>, DriveEnd> {
        self.handshake = None;
        self.is_cut = false;
        match over {
            Over::Confirmed(exporter) => Ok(Input::Confirmed { exporter: *exporter }),
            Over::Refused(exporter) => {
                *lanes = lanes.anew().ok_or(DriveEnd::Lost(Loss::Broken))?;
                Ok(Input::Refused { exporter: *exporter })
            }
            Over::Anew(connection) => {
                let exporter = connection.exporter().copied().ok_or(DriveEnd::Lost(Loss::Broken))?;
                *lanes = Lanes::new(connection.link);
                Ok(Input::Refused { exporter })
            }
            Over::Unmet(error) => Err(DriveEnd::Unmet(error)),
            Over::Unfinished => Err(DriveEnd::Lost(Loss::Silence)),
        }
    }

    fn feed(&mut self, input: Input<S::Command>) {
        self.session.handle_input(self.clock.now(), input);
    }

    /// Takes all the machine has to say: it says a bounded amount to one input, and only inputs can be held back.
    fn take_outputs(&mut self, lanes: &mut Lanes) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Transmit { lane, rank, bytes, end } => lanes.transmit(lane, rank, bytes, end),
                Output::Event(event) => self.waiting.push_back(Box::new(event)),
                Output::Close { code } => {
                    self.closing = Some(code);
                    return;
                }
            }
        }
    }

    /// Sends what is queued and waits until the peer has it, within bounds.
    async fn finish(&mut self, lanes: &mut Lanes, code: Code) -> DriveEnd {
        let last = async {
            poll_fn(|context| {
                while lanes.queued() > 0 && lanes.poll_write(context).is_ready() {}
                if lanes.queued() == 0 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            lanes.settle().await;
        };
        // A peer that no longer takes anything must not hold this end.
        let _ = timeout(CLOSE_TIMEOUT, last).await;
        DriveEnd::Closed(code)
    }

    /// Tells the machine that it is over and the program what remains to be said, and hands on commands while it
    /// lingers.
    async fn say_last(&mut self) {
        let mut input = Some(Input::Disconnected);
        loop {
            if let Some(input) = input.take() {
                self.feed(input);
            }
            while let Some(output) = self.session.poll_output() {
                if let Output::Event(event) = output {
                    self.waiting.push_back(Box::new(event));
                }
            }
            let has_events = !self.waiting.is_empty();
            let lingers = self.session.lingers() && !self.commands_closed;
            let next = tokio::select! {
                biased;
                permit = self.events.reserve(), if has_events => match (permit, self.waiting.pop_front()) {
                    (Ok(permit), Some(event)) => {
                        permit.send(event);
                        Next::Told
                    }
                    _ => return,
                },
                command = self.commands.recv(), if lingers && self.waiting.len() < EVENTS_WAITING_MAX => match command {
                    Some(command) => Next::Input(Input::Command(*command)),
                    None => Next::ProgramGone,
                },
                else => return,
            };
            match next {
                Next::Input(command) => input = Some(command),
                Next::ProgramGone => self.commands_closed = true,
                Next::Told | Next::Step(_) | Next::Look | Next::Over(_) => {}
            }
        }
    }
}

/// What the loop does next.
enum Next<C> {
    /// The program took an event.
    Told,
    /// The program takes no events or gives no commands any more.
    ProgramGone,
    /// The machine gets this.
    Input(Input<C>),
    /// The transport moved.
    Step(Step),
    /// The handshake is over.
    Over(Over),
    /// It is time to look whether the peer is heard.
    Look,
}

/// Waits for the end of the handshake.
async fn handshake_over(handshake: &mut Option<Handshake>) -> Over {
    match handshake {
        Some(handshake) => handshake.await,
        None => pending().await,
    }
}

/// One step of the transport, in or out.
fn poll_step(lanes: &mut Lanes, context: &mut Context<'_>, listens: bool, read_first: bool) -> Poll<Step> {
    for reads in [read_first, !read_first] {
        let step = match reads {
            false => lanes.poll_write(context),
            // Asked anew each time: a connection that breaks while being written to makes room.
            true if listens && lanes.queued() < TRANSMIT_QUEUE_BYTES_MAX => lanes.poll_read(context),
            true => Poll::Pending,
        };
        if step.is_ready() {
            return step;
        }
    }
    Poll::Pending
}

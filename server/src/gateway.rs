//! One session: carries out what its machine asks of the store, and feeds it what others bring. Decides nothing.

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{Notify, mpsc};
use zajil_net::{Clock, Connection, Stopping, SystemRandom, TlsSessions};
use zajil_proto::ids::MailboxId;
use zajil_proto::keys::Secret;
use zajil_proto::session::custody::{StoreReply, StoreRequest};
use zajil_proto::session::relay::{RelayCommand, RelayEvent, RelaySession, RelaySettings};
use zajil_proto::{reached, sabotaged};

use crate::limits::{SESSION_COMMANDS_QUEUED_MAX, SESSION_EVENTS_QUEUED_MAX};
use crate::metrics::{ASKED_MOST, Metrics};
use crate::store::{self, Engine};
use crate::tickets::{Given, Tickets};
use crate::watchers::{Bell, Watchers};

/// What all sessions of a relay share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The store.
    pub(crate) store: Engine,
    /// Rings when the store failed a request: whoever looks after the store should see whether it stopped.
    pub(crate) store_failed: Notify,
    /// Live watches.
    pub(crate) watchers: Watchers,
    /// What devices need not prove again.
    pub(crate) tickets: Tickets,
    /// What the listener keeps of earlier connections.
    pub(crate) tls: TlsSessions,
    /// Counters.
    pub(crate) metrics: Metrics,
    /// What each session's machine is made with.
    pub(crate) settings: RelaySettings,
    /// The clocks.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Names all of it: see `crate::inventory`.
#[cfg(feature = "simulation")]
pub(crate) fn name_all(list: &mut Vec<&'static str>) {
    use crate::inventory::fields;
    fields!(
        list,
        "memory:relay",
        Shared,
        Shared { store, store_failed, watchers, tickets, tls, metrics, settings, clock }
    );
    fields!(
        list,
        "memory:session",
        Gateway<'_>,
        Gateway { shared, number, bell, watching, given, asked, asked_most, told }
    );
}

/// Runs one session to its end. When `draining` is given, it is asked to make durable what arrived, answer, and close.
///
/// What arrived before a connection broke still goes into the store: the machine lingers until the store has answered.
pub(crate) async fn serve(shared: &Shared, connection: Connection, number: u64, draining: Stopping) {
    let _open = shared.metrics.session();
    let (settings, wall) = (shared.settings.clone(), shared.clock.wall());
    let session = match connection.exporter() {
        Some(exporter) => RelaySession::new(settings, wall, *exporter),
        None => RelaySession::early(settings, wall),
    };
    let (commands, commands_in) = mpsc::channel(SESSION_COMMANDS_QUEUED_MAX);
    let (events_out, events) = mpsc::channel(SESSION_EVENTS_QUEUED_MAX);
    let driving = zajil_net::drive(connection, session, commands_in, events_out, Arc::clone(&shared.clock));
    let gateway = Gateway {
        shared,
        number,
        bell: Arc::default(),
        watching: BTreeSet::new(),
        given: Given::default(),
        asked: Vec::new(),
        asked_most: 0,
        told: VecDeque::new(),
    };
    let (_end, ()) = tokio::join!(driving, gateway.run(commands, events, draining));
}

/// A request that the store has not answered.
type Asked<'a> = Pin<Box<dyn Future<Output = Answered> + Send + 'a>>;

struct Answered {
    ticket: u64,
    reply: StoreReply,
    /// The mailbox in which the request may have made something new to read.
    brings: Option<MailboxId>,
}

struct Gateway<'a> {
    shared: &'a Shared,
    number: u64,
    bell: Arc<Bell>,
    watching: BTreeSet<MailboxId>,
    /// The ticket of this session.
    given: Given,
    /// In the order in which the machine asked. At most `STORE_REQUESTS_MAX` and a few: the machine ends a session that asks faster
    /// than the store answers.
    asked: Vec<Asked<'a>>,
    /// The most of these that there ever were.
    asked_most: usize,
    /// What the machine is to be told. Bounded by what it asks and what it watches.
    told: VecDeque<RelayCommand>,
}

impl Gateway<'_> {
    async fn run(
        mut self,
        commands: mpsc::Sender<Box<RelayCommand>>,
        mut events: mpsc::Receiver<Box<RelayEvent>>,
        draining: Stopping,
    ) {
        let (mut drains, mut listens) = (false, true);
        loop {
            // Events are always taken: a machine that waits for room to ask would not take answers either.
            tokio::select! {
                biased;
                () = draining.given(), if !drains => {
                    drains = true;
                    self.told.push_back(RelayCommand::Drain);
                }
                event = events.recv() => match event {
                    Some(event) => self.take(*event),
                    None => break,
                },
                answered = next_answer(&mut self.asked), if !self.asked.is_empty() => self.answered(answered),
                permit = commands.reserve(), if listens && !self.told.is_empty() => match (permit, self.told.pop_front()) {
                    (Ok(permit), Some(command)) => permit.send(Box::new(command)),
                    // The machine is gone; what it asked for last may still be among the events.
                    _ => listens = false,
                },
                // The bell remembers while the machine has not heard of earlier arrivals.
                news = self.bell.rung(), if self.told.is_empty() => {
                    self.told.extend(news.is_replaced.then_some(RelayCommand::Replaced));
                    self.told.extend(news.mailboxes.into_iter().map(|mailbox| RelayCommand::Arrived { mailbox }));
                }
            }
        }
        while !self.asked.is_empty() {
            let answered = next_answer(&mut self.asked).await;
            self.answered(answered);
        }
        for mailbox in &self.watching {
            self.shared.watchers.end(mailbox, self.number);
        }
    }

    fn take(&mut self, event: RelayEvent) {
        match event {
            RelayEvent::Store { ticket, request } => {
                let (store, brings) = (&self.shared.store, brings_to(&request));
                self.asked.push(Box::pin(async move {
                    let reply = store::execute(store, request).await;
                    Answered { ticket, reply, brings }
                }));
                if self.asked.len() > self.asked_most {
                    self.asked_most = self.asked.len();
                    self.shared.metrics.most(ASKED_MOST, self.asked_most);
                }
            }
            RelayEvent::WatchStarted { mailbox } => {
                if sabotaged!(LogTellsMailbox) {
                    tracing::debug!(mailbox = data_encoding::HEXLOWER.encode(&mailbox.0), "somebody watches");
                }
                if sabotaged!(LogTellsHour) {
                    let minute = self.shared.clock.wall().0;
                    tracing::info!("somebody watches since {:02}:{:02}", minute / 60 % 24, minute % 60);
                }
                self.watching.insert(mailbox);
                self.shared.watchers.start(mailbox, self.number, &self.bell);
            }
            RelayEvent::WatchEnded { mailbox } => {
                self.watching.remove(&mailbox);
                self.shared.watchers.end(&mailbox, self.number);
            }
            RelayEvent::Redeem { ticket } => {
                let (now, by) = (self.shared.clock.now(), (self.number, &self.bell));
                let keys = self.shared.tickets.redeem(now, &mut self.given, &ticket, by);
                self.told.push_back(RelayCommand::Redeemed { known: keys.map(|keys| (ticket, keys)) });
            }
            RelayEvent::TicketWanted { keys, proofs } => {
                let ticket = Secret::draw(&mut SystemRandom::new());
                self.shared.tickets.give(self.shared.clock.now(), &mut self.given, &ticket, keys);
                self.told.push_back(RelayCommand::Ticket { ticket, proofs });
            }
            RelayEvent::Metric(counter) => self.shared.metrics.count(counter.name()),
        }
    }

    fn answered(&mut self, answered: Answered) {
        let Answered { ticket, reply, brings } = answered;
        match (&reply, brings) {
            (StoreReply::Extended(_), Some(mailbox)) => self.shared.watchers.arrived(mailbox),
            (StoreReply::Failed, _) => {
                reached!(RelayStoreFailed);
                self.shared.metrics.count("store_failed");
                self.shared.store_failed.notify_one();
            }
            _ => {}
        }
        let wall = self.shared.clock.wall();
        self.told.push_back(RelayCommand::Store { ticket, reply, wall });
    }
}

/// Returns the mailbox in which a request makes something new to read.
const fn brings_to(request: &StoreRequest) -> Option<MailboxId> {
    match request {
        StoreRequest::Extend(extension) => Some(extension.mailbox),
        _ => None,
    }
}

/// Waits for the next answer. Every request is polled in the order asked, which is the order in which the store takes them
/// ([`RelayEvent::Store`]): a store queues a request when its future is first polled.
async fn next_answer(asked: &mut Vec<Asked<'_>>) -> Answered {
    poll_fn(|context| {
        let done = asked.iter_mut().enumerate().find_map(|(nth, one)| match one.as_mut().poll(context) {
            Poll::Ready(answered) => Some((nth, answered)),
            Poll::Pending => None,
        });
        let Some((nth, answered)) = done else { return Poll::Pending };
        drop(asked.remove(nth));
        Poll::Ready(answered)
    })
    .await
}

//! One session: carries out what its machine asks of the store, and feeds it what others bring. Decides nothing.

use std::sync::Arc;

use tokio::sync::mpsc;
use zajil_net::{Clock, Connection};
use zajil_proto::ids::MailboxId;
use zajil_proto::session::custody::{StoreReply, StoreRequest};
use zajil_proto::session::relay::{RelayCommand, RelayEvent, RelaySession, RelaySettings};

use crate::limits::{SESSION_COMMANDS_QUEUED_MAX, SESSION_EVENTS_QUEUED_MAX};
use crate::metrics::Metrics;
use crate::store::{self, Engine};
use crate::watchers::Watchers;

/// What all sessions of a relay share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The store.
    pub(crate) store: Engine,
    /// Live watches.
    pub(crate) watchers: Watchers,
    /// Counters.
    pub(crate) metrics: Metrics,
    /// What each session's machine is made with.
    pub(crate) settings: RelaySettings,
    /// The clocks.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Runs one session to its end. `drain` asks it to close at the next frame boundary.
pub(crate) async fn serve(
    shared: &Shared,
    connection: Connection,
    number: u64,
    mut drain: tokio::sync::watch::Receiver<bool>,
) {
    let _open = shared.metrics.session();
    let session = RelaySession::new(shared.settings.clone(), shared.clock.wall(), connection.exporter());
    let (commands, commands_in) = mpsc::channel(SESSION_COMMANDS_QUEUED_MAX);
    let (events_out, mut events) = mpsc::channel(SESSION_EVENTS_QUEUED_MAX);
    let driving = zajil_net::drive(connection, session, commands_in, events_out, Arc::clone(&shared.clock));
    let mut watching = Vec::new();
    let asking = async {
        let mut draining = *drain.borrow();
        if draining {
            let _ = commands.send(RelayCommand::Drain).await;
        }
        loop {
            tokio::select! {
                biased;
                changed = drain.changed(), if !draining => {
                    draining = changed.is_err() || *drain.borrow();
                    if draining {
                        let _ = commands.send(RelayCommand::Drain).await;
                    }
                }
                event = events.recv() => {
                    let Some(event) = event else { break };
                    act(shared, event, number, &commands, &mut watching).await;
                }
            }
        }
    };
    tokio::join!(driving, asking);
    for mailbox in watching {
        shared.watchers.end(&mailbox, number);
    }
}

async fn act(
    shared: &Shared,
    event: RelayEvent,
    number: u64,
    commands: &mpsc::Sender<RelayCommand>,
    watching: &mut Vec<MailboxId>,
) {
    match event {
        RelayEvent::Store { ticket, request } => {
            let brings = brings_to(&request);
            let reply = store::execute(&shared.store, request).await;
            if let (Some(mailbox), StoreReply::Extended(_)) = (brings, &reply) {
                shared.watchers.arrived(mailbox);
            }
            if matches!(reply, StoreReply::Failed) {
                shared.metrics.count("store_failures");
            }
            // A session that is gone needs no reply: what was durable stays so, and its device asks again.
            let _ = commands.send(RelayCommand::Store { ticket, reply, wall: shared.clock.wall() }).await;
        }
        RelayEvent::WatchStarted { mailbox } => {
            watching.push(mailbox);
            shared.watchers.start(mailbox, number, commands.clone());
        }
        RelayEvent::WatchEnded { mailbox } => {
            watching.retain(|other| *other != mailbox);
            shared.watchers.end(&mailbox, number);
        }
        RelayEvent::Metric(counter) => shared.metrics.count(counter.name()),
    }
}

/// Returns the mailbox in which a request makes something new to read.
const fn brings_to(request: &StoreRequest) -> Option<MailboxId> {
    match request {
        StoreRequest::Extend(extension) => Some(extension.mailbox),
        _ => None,
    }
}

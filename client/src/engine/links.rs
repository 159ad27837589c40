//! The links to relays: dials, drives a session, passes commands and events. Decides nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use zajil_net::{Clock, DialError, DialOptions, DriveEnd, Network, Pace, PinnedKeys, dial, dial_early, drive};
use zajil_proto::ids::Epoch;
use zajil_proto::keys::VerifyingKey;
use zajil_proto::sealing::HomeRelay;
use zajil_proto::session::client::{ClientCommand, ClientEvent, ClientSession, ClientSettings, Ticket};
use zajil_proto::time::Instant;
use zajil_proto::wire::Code;

use super::api::Trouble;
use super::meeting::Meeting;
use crate::limits::{LINK_COMMANDS_QUEUED_MAX, LINK_EVENTS_QUEUED_MAX};

/// What a link tells the host.
#[derive(Debug)]
pub(crate) struct LinkEvent {
    /// Which relay.
    pub(crate) relay: VerifyingKey,
    /// Which of the links to it: events of one that was given up are not mistaken for its successor's.
    pub(crate) number: u64,
    /// What happened.
    pub(crate) what: Happened,
}

#[derive(Debug)]
pub(crate) enum Happened {
    /// There is a connection: what is said leaves from now on.
    Connected,
    /// A session event.
    Session(ClientEvent),
    /// There was no connection, or it is over; nothing follows.
    Over(Option<Trouble>),
}

/// A link under way.
pub(crate) struct Link {
    pub(crate) number: u64,
    /// When it was dialled.
    pub(crate) began: Instant,
    pub(crate) meeting: Meeting,
    commands: mpsc::Sender<Box<ClientCommand>>,
    queued: VecDeque<Box<ClientCommand>>,
    finishing: bool,
    /// Tells the task that the device is in another network.
    moved: Arc<Notify>,
    /// Whether the dial says nothing but itself.
    hunts: bool,
    /// Tells the task that what there is to ask was handed over.
    planned: Arc<Notify>,
    /// Ends the task.
    task: Option<AbortHandle>,
}

/// What a link's task is made of.
pub(crate) struct LinkTask {
    pub(crate) relay: HomeRelay,
    /// Of its store when it was met last.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) number: u64,
    /// The time now.
    pub(crate) began: Instant,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: DialOptions,
    /// What this relay gave last.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) events: mpsc::Sender<LinkEvent>,
    /// Says when the device is in another network.
    pub(crate) moved: Arc<Notify>,
    /// Says when what there is to ask was handed over.
    pub(crate) planned: Arc<Notify>,
}

impl Link {
    /// Makes a link and the task that carries it.
    pub(crate) fn new(task: LinkTask) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (commands, commands_in) = mpsc::channel(LINK_COMMANDS_QUEUED_MAX);
        let link = Self {
            number: task.number,
            began: task.began,
            meeting: Meeting::new(task.relay.clone(), task.epoch),
            commands,
            queued: VecDeque::new(),
            finishing: false,
            moved: Arc::clone(&task.moved),
            hunts: task.hunts(),
            planned: Arc::clone(&task.planned),
            task: None,
        };
        (link, task.run(commands_in))
    }

    /// Returns whether to think of what to ask. Most dials of a hunt find nobody and carry nothing but themselves: on an old
    /// phone, what is sealed and kept is not to be gone through every three seconds for that.
    pub(crate) const fn wants_plan(&self) -> bool {
        !self.hunts || self.meeting.is_connected()
    }

    /// Says that what there is to ask was handed over.
    pub(crate) fn planned(&self) {
        self.planned.notify_one();
    }

    /// Hands commands over, as many as the queue takes; the rest follow with the next call.
    pub(crate) fn say(&mut self, commands: Vec<ClientCommand>) {
        self.queued.extend(commands.into_iter().map(Box::new));
        while let Some(command) = self.queued.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(command)) = self.commands.try_send(command) {
                self.queued.push_front(command);
                return;
            }
        }
    }

    /// Notes by what the task that carries it can be ended.
    pub(crate) fn carried_by(&mut self, task: AbortHandle) {
        self.task = Some(task);
    }

    /// Ends the task at once: of a dial that is given up, nothing need be said to anybody.
    pub(crate) fn give_up(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }

    /// Says that the device is in another network: a connection goes on from there.
    pub(crate) fn moved(&self) {
        self.moved.notify_one();
    }

    /// Returns whether commands are still to be handed over.
    pub(crate) fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Asks for an orderly end once everything is answered.
    pub(crate) fn finish(&mut self) {
        if !self.finishing {
            self.finishing = true;
            self.say(vec![ClientCommand::Finish]);
        }
    }
}

impl LinkTask {
    async fn run(self, commands: mpsc::Receiver<Box<ClientCommand>>) {
        let over = Box::pin(self.carry(commands)).await;
        self.tell(Happened::Over(over)).await;
    }

    async fn carry(&self, commands: mpsc::Receiver<Box<ClientCommand>>) -> Option<Trouble> {
        let keys = PinnedKeys::one(self.relay.key);
        let address = self.relay.address.as_str();
        let connection = match dial_early(&self.network, address, keys, &self.options).await {
            Some(connection) => connection,
            None => match dial(&*self.network, address, keys, &self.options).await {
                Ok(connection) => connection,
                Err(error) => return Some(trouble(&error)),
            },
        };
        self.tell(Happened::Connected).await;
        if self.hunts() {
            // It leaves with the greeting, in the same datagrams.
            self.planned.notified().await;
        }
        let settings = ClientSettings {
            unanswered_bytes_max: self.options.link_class.unanswered_bytes_max(),
            early_bytes_max: self.options.link_class.early_bytes_max(),
            ..ClientSettings::default()
        };
        let session = match connection.exporter() {
            Some(exporter) => ClientSession::with_ticket(settings, *exporter, self.ticket.clone()),
            None => ClientSession::early(settings, self.ticket.clone()),
        };
        let (events, mut received) = mpsc::channel(LINK_EVENTS_QUEUED_MAX);
        let mover = connection.mover();
        let moving = async {
            loop {
                self.moved.notified().await;
                // A byte stream stays with the address that it began at: the relay is dialled anew.
                let Some(mover) = &mover else { return };
                // Where no socket can be had now, the old one may carry yet; if not, silence ends it.
                let _moved = mover.move_on(&*self.network);
            }
        };
        let driving = drive(connection, session, commands, events, Arc::clone(&self.clock));
        let telling = async {
            while let Some(event) = received.recv().await {
                self.tell(Happened::Session(*event)).await;
            }
        };
        let driven = async { tokio::join!(driving, telling) };
        let (end, ()) = tokio::select! {
            biased;
            driven = driven => driven,
            () = moving => return None,
        };
        match end {
            DriveEnd::Closed(Code::OK) | DriveEnd::PeerClosed(Some(Code::OK | Code::DRAINING) | None) => None,
            DriveEnd::Closed(_) | DriveEnd::PeerClosed(Some(_)) => Some(Trouble::Refused),
            DriveEnd::Lost(_) => Some(Trouble::NoAnswer),
            DriveEnd::Unmet(error) => Some(trouble(&error)),
        }
    }

    /// Returns whether the relay may well not be there: the dial is one datagram.
    fn hunts(&self) -> bool {
        self.options.pace == Pace::OneDatagram
    }

    /// Tells the host. When the host has gone, so will this task, with its connection.
    async fn tell(&self, what: Happened) {
        let _ = self.events.send(LinkEvent { relay: self.relay.key, number: self.number, what }).await;
    }
}

/// Says what a person can be told.
pub(crate) const fn trouble(error: &DialError) -> Trouble {
    match error {
        DialError::NameUnknown | DialError::BadAddress => Trouble::NameUnknown,
        DialError::NoRoute => Trouble::NoRoute,
        DialError::WrongKey | DialError::NotARelay => Trouble::WrongKey,
        DialError::Refused => Trouble::Refused,
        DialError::NoAnswer | DialError::NobodyListens => Trouble::NoAnswer,
        _ => Trouble::NoRoute,
    }
}

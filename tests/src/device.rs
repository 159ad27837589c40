//! A device without an engine: a session with a relay, command by command.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zajil_net::{
    Clock, Connection, ConnectionMover, DialError, DialOptions, DriveEnd, Network, PinnedKeys, SystemClock, Transports,
};
use zajil_proto::keys::VerifyingKey;
use zajil_proto::session::Session;
use zajil_proto::session::client::{ClientCommand, ClientEvent, ClientSession, ClientSettings};

/// Commands and events that may wait; a test takes events as they come.
const WAITING_MAX: usize = 256;

/// A session of a device, driven in a task of its own. Dropped, its connection is closed at once.
#[derive(Debug)]
pub struct Device<C = ClientCommand, E = ClientEvent> {
    commands: mpsc::Sender<Box<C>>,
    events: mpsc::Receiver<Box<E>>,
    mover: Option<ConnectionMover>,
    driving: JoinSet<DriveEnd>,
}

impl Device {
    /// Dials the relay at `address` that holds `key`.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn connect(
        network: &dyn Network,
        address: &str,
        key: VerifyingKey,
        transports: Transports,
    ) -> Result<Self, DialError> {
        let session = |exporter| ClientSession::new(ClientSettings::default(), exporter);
        Self::connect_with(network, address, key, transports, session).await
    }
}

impl<C: Send + 'static, E: Send + 'static> Device<C, E> {
    /// Dials, and speaks through the session that `make` gives for an exporter.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn connect_with<S: Session<Command = C, Event = E> + Send + 'static>(
        network: &dyn Network,
        address: &str,
        key: VerifyingKey,
        transports: Transports,
        make: impl FnOnce([u8; 32]) -> S,
    ) -> Result<Self, DialError> {
        let options = DialOptions { transports, ..DialOptions::default() };
        let connection = zajil_net::dial(network, address, PinnedKeys::one(key), &options).await?;
        let session = make(*connection.exporter().expect("the handshake is over"));
        Ok(Self::over(connection, session, Arc::new(SystemClock::new())))
    }

    /// Speaks through `session` over a connection that is there already.
    pub fn over<S: Session<Command = C, Event = E> + Send + 'static>(
        connection: Connection,
        session: S,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mover = connection.mover();
        let (commands, commands_in) = mpsc::channel(WAITING_MAX);
        let (events_out, events) = mpsc::channel(WAITING_MAX);
        let mut driving = JoinSet::new();
        driving.spawn(zajil_net::drive(connection, session, commands_in, events_out, clock));
        Self { commands, events, mover, driving }
    }

    /// Says something to the session; nothing if it is over.
    pub async fn say(&self, command: C) {
        let _over = self.commands.send(Box::new(command)).await;
    }

    /// Returns what the session tells next, `None` once it is over.
    pub async fn next(&mut self) -> Option<E> {
        self.events.recv().await.map(|event| *event)
    }

    /// Returns what the session tells until `wanted` gives something for it.
    ///
    /// # Panics
    /// If the session ends before.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(E) -> Option<T>) -> T {
        loop {
            let event = self.next().await.expect("the session goes on");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    }

    /// Returns what moves its connection to another address, over QUIC.
    pub const fn mover(&self) -> Option<&ConnectionMover> {
        self.mover.as_ref()
    }

    /// Waits for the end of the session and says how its transport ended.
    pub async fn end(mut self) -> DriveEnd {
        while self.next().await.is_some() {}
        self.driving.join_next().await.expect("there is one task").expect("it does not panic")
    }
}

//! The relay as a library: built from its arguments, so that the simulated world runs the very same thing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use zajil_net::{Clock, EndpointSecrets, Listener, Network, RelayIdentity};
use zajil_proto::session::relay::RelaySettings;
use zajil_proto::time::Instant;

use crate::gateway::{self, Shared};
use crate::limits::{DRAIN_SECONDS_MAX, SESSIONS_MAX, SWEEP_SECONDS};
use crate::metrics::Metrics;
use crate::store::{Engine, Store, StoreError, Usage};
use crate::watchers::Watchers;

/// Everything a relay is made of.
pub struct Parts {
    /// The clocks, wall and monotonic apart.
    pub clock: Arc<dyn Clock>,
    /// Sockets.
    pub network: Arc<dyn Network>,
    /// Where parcels wait.
    pub store: Engine,
    /// The key that devices pin.
    pub identity: RelayIdentity,
    /// What survives a restart of the endpoint.
    pub secrets: EndpointSecrets,
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// What each session is told.
    pub settings: RelaySettings,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts(..)")
    }
}

/// Why a relay ended otherwise than asked to.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// It cannot listen where it should.
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
    /// Its store failed; nothing acknowledged is lost. A new process opens it again.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

/// A relay that listens. It serves while [`Relay::run`] is polled.
#[derive(Debug)]
pub struct Relay {
    listener: Listener,
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    started: Instant,
}

impl Relay {
    /// Starts listening.
    ///
    /// # Errors
    /// [`RelayError::Listen`].
    pub async fn start(parts: Parts) -> Result<Self, RelayError> {
        let Parts { clock, network, store, identity, secrets, listen, settings } = parts;
        let listener =
            Listener::bind(network, identity, secrets, &listen).await.map_err(RelayError::Listen)?;
        let addresses = listener.addresses().to_vec();
        let started = clock.now();
        let (watchers, metrics) = (Watchers::default(), Metrics::default());
        let shared = Arc::new(Shared { store, watchers, metrics, settings, clock });
        Ok(Self { listener, shared, addresses, started })
    }

    /// Returns the addresses it listens on, ports filled in.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns what can be asked of it while it runs.
    pub fn observer(&self) -> Observer {
        Observer { shared: Arc::clone(&self.shared), started: self.started }
    }

    /// Serves until `stop` resolves, then drains: no new sessions, open ones are asked to close, the store is flushed.
    ///
    /// # Errors
    /// [`RelayError::Store`] if the store failed.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), RelayError> {
        let (drain, draining) = watch::channel(false);
        let places = Arc::new(Semaphore::new(SESSIONS_MAX));
        let numbers = AtomicU64::new(0);
        let mut sessions = JoinSet::new();
        let mut sweeps = tokio::time::interval(Duration::from_secs(SWEEP_SECONDS));
        sweeps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut swept = self.shared.clock.now();
        tokio::pin!(stop);
        let failure = loop {
            tokio::select! {
                biased;
                () = &mut stop => break None,
                Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
                _ = sweeps.tick() => {
                    let now = self.shared.clock.now();
                    let elapsed = now.since(swept);
                    swept = now;
                    if let Err(error) = self.shared.store.sweep(elapsed).await {
                        break Some(error);
                    }
                }
                connection = self.listener.accept() => {
                    let Some(connection) = connection else { break None };
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                        self.shared.metrics.count("sessions_refused");
                        continue;
                    };
                    let (shared, draining) = (Arc::clone(&self.shared), draining.clone());
                    let number = numbers.fetch_add(1, Ordering::Relaxed);
                    sessions.spawn(async move {
                        gateway::serve(&shared, connection, number, draining).await;
                        drop(place);
                    });
                }
            }
        };
        let _ = drain.send(true);
        let ended = async { while sessions.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(DRAIN_SECONDS_MAX), ended).await.is_err() {
            sessions.shutdown().await;
        }
        self.listener.shutdown().await;
        let closed = self.shared.store.close().await;
        match failure {
            Some(error) => Err(error.into()),
            None => Ok(closed?),
        }
    }
}

/// Asks a running relay about itself.
#[derive(Debug, Clone)]
pub struct Observer {
    shared: Arc<Shared>,
    started: Instant,
}

impl Observer {
    /// Returns minutes since the start.
    pub fn uptime_minutes(&self) -> u64 {
        self.shared.clock.now().since(self.started).as_secs() / 60
    }

    /// Returns what the store holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn usage(&self) -> Result<Usage, StoreError> {
        self.shared.store.usage().await
    }

    /// Returns the counters.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }
}

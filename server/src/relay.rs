//! The relay as a library: built from its arguments, so that the simulated world runs the very same thing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};
use zajil_net::{
    Clock, EndpointSecrets, ListenError, ListenOptions, Listener, Network, RelayIdentity, Stopping, stop_signal,
};
use zajil_proto::accounted;
#[cfg(feature = "simulation")]
use zajil_proto::sabotaged;
use zajil_proto::session::relay::RelaySettings;
use zajil_proto::time::Instant;

use crate::gateway::{self, Shared};
use crate::limits::{DRAIN_SECONDS_MAX, SESSIONS_MAX, SWEEP_SECONDS, SWEEPS_PER_COUNT};
use crate::metrics::Metrics;
use crate::store::{Engine, Store, StoreError, Usage};
use crate::tickets::Tickets;
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
    /// Seed of the transport's own chance, for the simulated world; `None` draws from the system.
    pub rng_seed: Option<[u8; 32]>,
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
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its store stopped; nothing acknowledged is lost. A new process opens it again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A relay that listens. It serves while [`Relay::run`] is polled.
#[derive(Debug)]
pub struct Relay {
    listener: Listener,
    shared: Arc<Shared>,
    started: Instant,
}

impl Relay {
    /// Starts listening. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`RelayError::Listen`].
    pub fn start(parts: Parts) -> Result<Self, RelayError> {
        let Parts { clock, network, store, identity, secrets, listen, settings, rng_seed } = parts;
        let options = ListenOptions { connections_max: SESSIONS_MAX, rng_seed, ..ListenOptions::default() };
        let listener = Listener::bind(&*network, &clock, &identity, &secrets, &listen, &options)?;
        let started = clock.now();
        let shared = Shared {
            store,
            store_failed: Notify::new(),
            watchers: Watchers::default(),
            tickets: Tickets::default(),
            tls: listener.sessions(),
            metrics: Metrics::default(),
            settings,
            clock,
        };
        Ok(Self { listener, shared: Arc::new(shared), started })
    }

    /// Returns the addresses it listens on, ports filled in.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.listener.addresses()
    }

    /// Returns what can be asked of it while it runs.
    pub fn observer(&self) -> Observer {
        Observer { shared: Arc::clone(&self.shared), started: self.started }
    }

    /// Serves until `stop` resolves, then drains: no new sessions; open ones make durable what arrived, answer, and close, for
    /// which they have [`DRAIN_SECONDS_MAX`]; then the store is closed.
    ///
    /// # Errors
    /// [`RelayError::Store`] if the store stopped by itself, or cannot be closed.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), RelayError> {
        let Self { mut listener, shared, .. } = self;
        let (drain, draining) = stop_signal();
        let mut sessions = JoinSet::new();
        let stopped = tokio::select! {
            biased;
            () = stop => Ok(()),
            error = look_after_store(&shared) => Err(error),
            () = take_sessions(&mut listener, &shared, &mut sessions, &draining) => Ok(()),
        };
        tracing::info!("stopping: open sessions are asked to close");
        listener.stop();
        drain.give();
        let ended = async {
            while let Some(ended) = sessions.join_next().await {
                note_end(&shared.metrics, &ended);
            }
        };
        if timeout(Duration::from_secs(DRAIN_SECONDS_MAX), ended).await.is_err() {
            tracing::warn!("some sessions did not close in time and were cut; nothing acknowledged is lost");
            sessions.shutdown().await;
        }
        listener.shut_down(Duration::ZERO).await;
        let closed = shared.store.close().await;
        log_counts(&shared.metrics);
        // A store that stopped tells why when it is closed, and before that only that it has stopped.
        closed.and(stopped)?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Serves every connection that comes, until the listener stops.
async fn take_sessions(listener: &mut Listener, shared: &Arc<Shared>, sessions: &mut JoinSet<()>, draining: &Stopping) {
    let mut number = 0;
    loop {
        tokio::select! {
            biased;
            Some(ended) = sessions.join_next() => note_end(&shared.metrics, &ended),
            connection = listener.accept() => {
                let Some(connection) = connection else { return };
                let (shared, draining) = (Arc::clone(shared), draining.clone());
                sessions.spawn(accounted!(async move { gateway::serve(&shared, connection, number, draining).await }));
                number += 1;
            }
        }
    }
}

fn note_end(metrics: &Metrics, ended: &Result<(), JoinError>) {
    if ended.as_ref().is_err_and(JoinError::is_panic) {
        metrics.count("session_panicked");
    }
}

/// Sweeps the store every minute and watches whether it goes on; returns when it does not.
async fn look_after_store(shared: &Shared) -> StoreError {
    let mut ticks = interval(Duration::from_secs(SWEEP_SECONDS));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut swept_at = shared.clock.now();
    #[cfg(feature = "simulation")]
    let mut wall_at = shared.clock.wall();
    let (mut was_refusing, mut sweeps) = (false, 0_u32);
    loop {
        let is_due = tokio::select! {
            biased;
            () = shared.store_failed.notified() => false,
            _ = ticks.tick() => true,
        };
        if is_due {
            let now = shared.clock.now();
            let elapsed = now.since(swept_at);
            #[cfg(feature = "simulation")]
            let elapsed = by_wall_clock(shared, &mut wall_at).max(elapsed);
            let swept = match shared.store.sweep(elapsed).await {
                Ok(swept) => swept,
                Err(error) => return error,
            };
            swept_at = now;
            // What a day has made worthless is not left for whoever seizes the machine of a relay that nobody visits.
            shared.tickets.forget_old(now);
            shared.tls.forget_old();
            sweeps = sweeps.wrapping_add(1);
            tracing::trace!(swept.parcels, swept.scopes, swept.announced, "swept the store");
            if sweeps.is_multiple_of(SWEEPS_PER_COUNT) {
                log_counts(&shared.metrics);
            }
        }
        match shared.store.usage().await {
            Ok(usage) => was_refusing = note_room(usage.refusing, was_refusing),
            Err(error) => return error,
        }
    }
}

/// Returns how far the wall clock has moved on by a jump since `wall_at`, where that is believed.
#[cfg(feature = "simulation")]
fn by_wall_clock(shared: &Shared, wall_at: &mut zajil_proto::time::Minute) -> Duration {
    let wall = shared.clock.wall();
    let minutes = wall.0.saturating_sub(std::mem::replace(wall_at, wall).0);
    let has_jumped = minutes > 60;
    Duration::from_secs(if has_jumped && sabotaged!(ExpiryByWallClock) { 60 * u64::from(minutes) } else { 0 })
}

/// Logs when the disk has become too full for new work, and when it has room again.
fn note_room(refusing: bool, was_refusing: bool) -> bool {
    if refusing && !was_refusing {
        tracing::warn!(
            "the disk is down to its reserve: new parcels are refused until there is room, old promises are kept"
        );
    } else if was_refusing && !refusing {
        tracing::info!("the disk has room again: new parcels are taken");
    }
    refusing
}

fn log_counts(metrics: &Metrics) {
    for (counter, count) in metrics.counts() {
        tracing::debug!(counter, count, "counted since the start");
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

    /// Returns how many sessions watch mailboxes: never more than are open.
    pub fn sessions_watching(&self) -> usize {
        self.shared.watchers.sessions()
    }

    /// Returns how many tickets and how many TLS sessions of earlier connections are in memory.
    #[cfg(feature = "simulation")]
    pub fn remembered(&self) -> (usize, usize) {
        (self.shared.tickets.kept(), self.shared.tls.count())
    }

    /// Returns the counters.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }
}

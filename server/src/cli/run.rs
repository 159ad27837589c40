//! `run`: the relay until it is asked to stop.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use zajil_net::{EndpointSecrets, RelayIdentity, SystemClock, SystemNetwork};
use zajil_proto::ids::Epoch;
use zajil_proto::keys::SigningKey;
use zajil_proto::session::relay::{Admission, RelaySettings};

use crate::admin::{self, Status};
use crate::cli::{Exit, Failure};
use crate::config::{AdmissionRule, Config};
use crate::files::{Layout, RelayKeys, read_secret};
use crate::limits::ADMIN_CONNECTIONS_MAX;
use crate::logging;
use crate::relay::{Observer, Parts, Relay, RelayError};
use crate::store::{Engine, Store, StoreKey, StoreLimits};
use crate::system_random::SystemRandom;

/// What a relay's directory holds, read and checked.
pub(crate) struct Opened {
    pub(crate) layout: Layout,
    pub(crate) config: Config,
    pub(crate) keys: RelayKeys,
    pub(crate) store_key: StoreKey,
}

/// Reads configuration and keys.
pub(crate) fn open(directory: &Path) -> Result<Opened, Failure> {
    let layout = Layout::new(directory);
    let config = Config::read(&layout.config()).map_err(|error| Failure::new(Exit::Configuration, error))?;
    let keys = RelayKeys::read(&layout.keys()).map_err(|error| Failure::new(Exit::Configuration, error))?;
    let path = config.store_key.clone().unwrap_or_else(|| layout.store_key());
    let bytes = read_secret(&path).map_err(|error| Failure::new(Exit::Configuration, error))?;
    let store_key = <[u8; 32]>::try_from(bytes)
        .map(StoreKey::new)
        .map_err(|_| Failure::new(Exit::Configuration, crate::files::FileError::Damaged(path)))?;
    Ok(Opened { layout, config, keys, store_key })
}

/// Opens the store of a relay's directory.
pub(crate) fn open_store(opened: &Opened) -> Result<Engine, Failure> {
    let limits = StoreLimits {
        mailbox_bytes_max: opened.config.mailbox_bytes_max,
        mailbox_parcels_max: opened.config.mailbox_parcels_max,
        lifetime_hours_max: opened.config.lifetime_days_max.saturating_mul(24),
        disk_reserve_bytes: opened.config.disk_reserve_bytes,
    };
    Engine::open_sqlite(&opened.layout.store(), &opened.store_key, limits, Box::new(SystemRandom))
        .map_err(|error| Failure::new(Exit::Store, error))
}

pub(crate) fn run(directory: &Path, json: bool) -> Result<(), Failure> {
    let opened = open(directory)?;
    let subscriber = logging::subscriber(opened.config.log, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| Failure::new(Exit::Failed, error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    runtime.block_on(serve(opened, json))
}

async fn serve(opened: Opened, json: bool) -> Result<(), Failure> {
    let store = open_store(&opened)?;
    let epoch = store.epoch();
    let identity = SigningKey::from_seed(&opened.keys.identity);
    let parts = Parts {
        clock: Arc::new(SystemClock::new()),
        network: Arc::new(SystemNetwork),
        store,
        secrets: EndpointSecrets { reset_key: opened.keys.reset, token_key: opened.keys.token },
        listen: opened.config.listen.clone(),
        settings: settings(&opened.config, &opened.keys, identity.clone(), epoch),
        identity: RelayIdentity::new(identity),
    };
    let relay = Relay::start(parts).await.map_err(|error| {
        let text = format!("{error}. Is another program on that port? Ports below 1024 need root or a capability");
        Failure::new(Exit::Listen, text)
    })?;
    let listener = admin::listen(&opened.layout.admin_socket()).map_err(|error| {
        let path = opened.layout.admin_socket();
        Failure::new(Exit::Failed, format!("{}: {error}. Use a shorter path", path.display()))
    })?;
    let addresses: Vec<String> = relay.addresses().iter().map(ToString::to_string).collect();
    ready(&addresses, json);
    let observer = relay.observer();
    let answering = answer_questions(listener, observer, addresses);
    let running = relay.run(stop_signal()?);
    let result = tokio::select! {
        biased;
        result = running => result,
        () = answering => Ok(()),
    };
    let _ = std::fs::remove_file(opened.layout.admin_socket());
    result.map_err(|error| match error {
        RelayError::Listen(_) => Failure::new(Exit::Listen, error),
        RelayError::Store(_) => Failure::new(Exit::Store, format!("{error}. Start it again; check the disk first")),
    })
}

fn settings(config: &Config, keys: &RelayKeys, relay_key: SigningKey, epoch: Epoch) -> RelaySettings {
    RelaySettings {
        relay_key,
        epoch,
        admission: match config.admission {
            AdmissionRule::Open => Admission::Open,
            AdmissionRule::Code => Admission::Code(keys.admission.clone()),
        },
        clock_trust: u8::from(config.clock_trusted),
        next_visit_minutes: config.next_visit_minutes,
        parcel_bytes_max: zajil_proto::limits::PARCEL_BYTES_MAX,
        lifetime_hours_max: config.lifetime_days_max.saturating_mul(24),
        links: Vec::new(),
    }
}

fn ready(addresses: &[String], json: bool) {
    let line = if json {
        serde_json::json!({ "zajil": 1, "event": "ready", "listening": addresses }).to_string()
    } else {
        format!("ready on {}", addresses.join(", "))
    };
    // Whoever started it may have closed its output: that is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{line}").and_then(|()| std::io::stdout().flush());
}

fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let failed = |error| Failure::new(Exit::Failed, format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: open sessions are asked to close");
    })
}

async fn answer_questions(listener: tokio::net::UnixListener, observer: Observer, listening: Vec<String>) {
    let mut answers = tokio::task::JoinSet::new();
    loop {
        while answers.len() >= ADMIN_CONNECTIONS_MAX {
            let _ = answers.join_next().await;
        }
        let Ok((stream, _)) = listener.accept().await else { continue };
        let Ok(usage) = observer.usage().await else { continue };
        let status = Status {
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_minutes: observer.uptime_minutes(),
            listening: listening.clone(),
            parcels: usage.parcels,
            bytes: usage.bytes,
            mailboxes: usage.mailboxes,
            slots: usage.slots,
            sessions_open: observer.metrics().sessions_open(),
            disk_free_bytes: usage.disk_free_bytes,
            disk_reserve_bytes: usage.disk_reserve_bytes,
            accepting: usage.accepting,
            counts: observer.metrics().counts().into_iter().map(|(name, count)| (name.into(), count)).collect(),
        };
        answers.spawn(async move { admin::answer(stream, &status).await });
    }
}

//! `run`: the relay until it is asked to stop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use zajil_net::{EndpointSecrets, ListenError, RelayIdentity, SystemClock, SystemNetwork};
use zajil_proto::ids::Epoch;
use zajil_proto::keys::SigningKey;
use zajil_proto::limits::PARCEL_BYTES_MAX;
use zajil_proto::session::relay::{Admission, RelaySettings};

use crate::admin::{self, Status};
use crate::cli::open::{self, Opened, lifetime_max};
use crate::cli::{Exit, Failure, say};
use crate::config::{AdmissionRule, Config};
use crate::files::RelayKeys;
use crate::limits::{ADMIN_CONNECTIONS_MAX, ADMIN_PAUSE_MILLIS};
use crate::logging;
use crate::relay::{Observer, Parts, Relay, RelayError};
use crate::store::{Engine, Store, Usage};

pub(crate) fn run(directory: &Path, json: bool, json_logs: bool) -> Result<(), Failure> {
    let opened = open::open(directory)?;
    let subscriber = logging::subscriber(opened.config.log, json_logs, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| Failure::new(Exit::Failed, error))?;
    let store = opened.store()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    runtime.block_on(serve(&opened, store, json))
}

async fn serve(opened: &Opened, store: Engine, json: bool) -> Result<(), Failure> {
    let relay = Relay::start(parts(opened, store)?).map_err(|error| failure(&error))?;
    let socket = opened.layout.admin_socket();
    let listener = admin::listen(&socket).map_err(|error| {
        let advice = "Use a directory whose path is shorter than 90 bytes, on a file system that has sockets";
        Failure::new(Exit::Failed, format!("{}: {error}. {advice}", socket.display()))
    })?;
    let stop = stop_signal()?;
    let addresses: Vec<String> = relay.addresses().iter().map(ToString::to_string).collect();
    tracing::info!("listening");
    say(&ready(&addresses, json));
    let answering = answer_questions(listener, relay.observer(), addresses);
    let result = tokio::select! {
        biased;
        result = relay.run(stop) => result,
        () = answering => Ok(()),
    };
    let _may_be_missing = std::fs::remove_file(&socket);
    result.map_err(|error| failure(&error))
}

fn parts(opened: &Opened, store: Engine) -> Result<Parts, Failure> {
    let relay_key = SigningKey::from_seed(&opened.keys.identity);
    let identity = RelayIdentity::new(&relay_key).map_err(|error| Failure::new(Exit::Failed, error))?;
    let secrets = EndpointSecrets { reset_key: opened.keys.reset.clone(), token_key: opened.keys.token.clone() };
    let settings = settings(&opened.config, &opened.keys, relay_key, store.epoch());
    Ok(Parts {
        clock: Arc::new(SystemClock::new()),
        network: Arc::new(SystemNetwork),
        store,
        identity,
        secrets,
        listen: opened.config.listen.clone(),
        settings,
        rng_seed: None,
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
        parcel_bytes_max: PARCEL_BYTES_MAX,
        lifetime_hours_max: lifetime_max(config).hours(),
        links: Vec::new(),
    }
}

fn failure(error: &RelayError) -> Failure {
    match error {
        RelayError::Listen(ListenError::Bind { source, .. }) => {
            let advice = "Stop what uses the port, or change `listen`; ports below 1024 need root or \
                          CAP_NET_BIND_SERVICE";
            Failure::new(Exit::Listen, format!("{error}: {source}. {advice}"))
        }
        RelayError::Listen(_) => Failure::new(Exit::Listen, error),
        RelayError::Store(_) => Failure::new(Exit::Store, error),
    }
}

fn ready(addresses: &[String], json: bool) -> String {
    match json {
        true => serde_json::json!({ "zajil": 1, "event": "ready", "listening": addresses }).to_string(),
        false => format!("ready on {}", addresses.join(", ")),
    }
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
    })
}

/// Answers on the operator's socket for as long as it is polled.
async fn answer_questions(listener: UnixListener, observer: Observer, listening: Vec<String>) {
    let mut answers = JoinSet::new();
    loop {
        while answers.len() >= ADMIN_CONNECTIONS_MAX {
            let _answered = answers.join_next().await;
        }
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(ADMIN_PAUSE_MILLIS)).await;
            continue;
        };
        // A store that has stopped ends the relay; whoever asks now hears that none runs.
        let Ok(usage) = observer.usage().await else { continue };
        let status = status(&usage, &observer, &listening);
        answers.spawn(async move { admin::answer(stream, &status).await });
    }
}

fn status(usage: &Usage, observer: &Observer, listening: &[String]) -> Status {
    let counts = observer.metrics().counts();
    Status {
        version: env!("CARGO_PKG_VERSION").into(),
        uptime_minutes: observer.uptime_minutes(),
        listening: listening.to_vec(),
        parcels: usage.parcels,
        bytes: usage.bytes,
        mailboxes: usage.mailboxes,
        slots: usage.slots,
        sessions_open: observer.metrics().sessions_open(),
        disk_free_bytes: usage.free_bytes,
        disk_reserve_bytes: usage.reserve_bytes,
        accepting: !usage.refusing,
        counts: counts.into_iter().map(|(name, count)| (name.into(), count)).collect(),
    }
}

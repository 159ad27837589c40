//! The floor under a transfer: the same bytes of sound over the same transport, and nothing on top. No seal, head, padding or mark,
//! no store, no greeting; whoever gets them whole answers with one byte.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until, timeout};
use zajil_net::memory::{MemoryWorld, SimulatedClock};
use zajil_net::{
    Clock, Connection, DialOptions, EndpointSecrets, ListenOptions, Listener, Network, PinnedKeys, RelayIdentity,
    RelayMemory, dial, dial_early, drive,
};
use zajil_proto::keys::{SigningKey, VerifyingKey};
use zajil_proto::session::{Input, Lane, Output, Rank, Session};

use crate::chance::Chance;
use crate::trial::{NEAR, PATIENCE, RELAY, REST, START, Start, Trial, Way};

/// What the device says first, and whoever got all of it last.
const WORD: u8 = 0x5a;

/// Plays a transfer with nothing but bytes; returns how long it took, `None` if not in [`PATIENCE`].
pub fn floor(trial: &Trial) -> Option<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime can be made");
    LocalSet::new().block_on(&runtime, run(trial))
}

async fn run(trial: &Trial) -> Option<Duration> {
    let network = MemoryWorld::seeded(Duration::ZERO, trial.seed);
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(START));
    let mut chance = Chance::new(trial.seed ^ 0x0e1a);
    let key = SigningKey::draw(&mut chance);
    let relay = SocketAddr::from((RELAY, 443));
    let mut rng_seed = [0x9e; 32];
    rng_seed[..8].copy_from_slice(&trial.seed.to_be_bytes());
    let listener = Listener::bind(
        &*network.machine(&[RELAY]),
        &clock,
        &RelayIdentity::new(&key).expect("a certificate can be made"),
        &EndpointSecrets::draw(&mut chance),
        &[relay],
        &ListenOptions { rng_seed: Some(rng_seed), ..ListenOptions::default() },
    );
    let sending = if trial.way == Way::Receive { trial.note.bytes() } else { 0 };
    tokio::task::spawn_local(listen(listener.expect("it can listen"), Arc::clone(&clock), sending));
    let device = Device {
        network: network.machine(&[NEAR]),
        clock,
        relay: (relay.to_string(), key.public()),
        options: DialOptions {
            link_class: trial.class,
            key_exchange: trial.exchange,
            memory: RelayMemory::new(PinnedKeys::one(key.public())).ok().map(Arc::new),
            networks: Some(Arc::default()),
            rng_seed: Some(rng_seed),
            ..DialOptions::default()
        },
    };
    network.set_access(NEAR, trial.link.up.clone(), trial.link.down.clone());
    // It begins when the transfer does under which this is the floor.
    let begin_at = Instant::now() + if trial.start == Start::Warm { PATIENCE + REST } else { REST };
    if trial.start == Start::Warm {
        timeout(PATIENCE, device.meets(Way::Send, 1)).await.ok()?;
    }
    sleep_until(begin_at).await;
    let begin = Instant::now();
    let over = timeout(PATIENCE, device.meets(trial.way, trial.note.bytes())).await.ok()?;
    Some(over - begin)
}

struct Device {
    network: Arc<dyn Network>,
    clock: Arc<dyn Clock>,
    relay: (String, VerifyingKey),
    options: DialOptions,
}

impl Device {
    /// Sends or gets so many bytes, and dials as often as it takes. Returns when it knew that all had come.
    async fn meets(&self, way: Way, bytes: u64) -> Instant {
        loop {
            let Some(connection) = self.dials().await else { continue };
            let end = if way == Way::Receive { Bare::asks(bytes) } else { Bare::sends(bytes) };
            let (commands, no_commands) = mpsc::channel(1);
            let (events, mut whole) = mpsc::channel(1);
            let mut driving = std::pin::pin!(drive(connection, end, no_commands, events, Arc::clone(&self.clock)));
            tokio::select! {
                biased;
                Some(_) = whole.recv() => {
                    let over = Instant::now();
                    drop(commands);
                    // The rest of the visit counts for nobody.
                    tokio::task::spawn_local(async move { while whole.recv().await.is_some() {} });
                    let _gone = timeout(Duration::from_secs(1), driving).await;
                    return over;
                }
                _lost = &mut driving => {}
            }
        }
    }

    async fn dials(&self) -> Option<Connection> {
        let (address, key) = (self.relay.0.as_str(), PinnedKeys::one(self.relay.1));
        match dial_early(&self.network, address, key, &self.options).await {
            Some(connection) => Some(connection),
            None => dial(&*self.network, address, key, &self.options).await.ok(),
        }
    }
}

async fn listen(mut listener: Listener, clock: Arc<dyn Clock>, sending: u64) {
    while let Some(connection) = listener.accept().await {
        let clock = Arc::clone(&clock);
        tokio::task::spawn_local(async move {
            let (_commands, no_commands) = mpsc::channel(1);
            let (events, mut whole) = mpsc::channel(1);
            let driving = drive(connection, Bare::answers(sending), no_commands, events, clock);
            let hearing = async { while whole.recv().await.is_some() {} };
            tokio::join!(driving, hearing);
        });
    }
}

/// Everything that was to come has come.
struct Whole;

/// One end: sends so many bytes on a lane of their own, and is told that they came, or gets them.
struct Bare {
    device: bool,
    /// What it sends, once it has heard the other end (a device: at once).
    sending: u64,
    /// What it waits for before it tells its program, or answers.
    awaited: u64,
    outputs: VecDeque<Output<Whole>>,
}

impl Bare {
    fn new(device: bool, sending: u64, awaited: u64) -> Self {
        let mut end = Self { device, sending, awaited, outputs: VecDeque::new() };
        if device {
            end.says();
        }
        end
    }

    fn sends(bytes: u64) -> Self {
        Self::new(true, bytes, 1)
    }

    fn asks(bytes: u64) -> Self {
        Self::new(true, 0, bytes)
    }

    fn answers(sending: u64) -> Self {
        Self::new(false, sending, 1)
    }

    /// A device says whom it visits, and what it has.
    fn says(&mut self) {
        self.transmit(Lane::Control, 1, false);
        if self.sending > 0 {
            self.transmit(Lane::Transfer(0), self.sending, true);
        }
    }

    fn transmit(&mut self, lane: Lane, bytes: u64, end: bool) {
        let rank = if lane == Lane::Control { Rank::FIRST } else { Rank::NOTE_REST };
        let bytes = vec![WORD; usize::try_from(bytes).expect("it is small")];
        self.outputs.push_back(Output::Transmit { lane, rank, bytes, end });
    }
}

impl Session for Bare {
    type Command = Infallible;
    type Event = Whole;

    fn handle_input(&mut self, _: zajil_proto::time::Instant, input: Input<Infallible>) {
        match input {
            Input::Received { lane: Lane::Control, .. } if !self.device && self.sending > 0 => {
                let sending = std::mem::take(&mut self.sending);
                self.transmit(Lane::Transfer(0), sending, true);
            }
            Input::Received { lane, bytes } if self.device && (lane == Lane::Control) == (self.awaited == 1) => {
                self.awaited = self.awaited.saturating_sub(u64::try_from(bytes.len()).expect("it is small"));
                if self.awaited == 0 {
                    self.outputs.push_back(Output::Event(Whole));
                }
            }
            Input::Ended { lane: Lane::Transfer(_) } if !self.device => self.transmit(Lane::Control, 1, false),
            // Nothing of it was taken.
            Input::Refused { .. } if self.device => self.says(),
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output<Whole>> {
        self.outputs.pop_front()
    }

    fn wake_at(&self) -> Option<zajil_proto::time::Instant> {
        None
    }

    fn awaits(&self) -> bool {
        self.device && self.awaited > 0
    }
}

use core::time::Duration;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use quinn::{ConnectError, ConnectionError, Endpoint, TransportErrorCode};
use rustls::pki_types::ServerName;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;
use zajil_proto::{reached, sabotaged};

use crate::connection::{Connection, ConnectionKind, NoExporter, OwnEnd};
use crate::handshake;
use crate::identity::{IdentityError, PinVerifier, PinnedKeys, UNCHECKED_NAME, client_config};
use crate::key_exchange::KeyExchange;
use crate::limits::{ADDRESS_STAGGER, HANDSHAKE_SILENCE, HANDSHAKE_TIMEOUT, TCP_HEAD_START, UNHEARD_RTT};
use crate::meter::{Costing, DialCost, Meter, Metered};
use crate::networks::{Networks, Place};
use crate::remembered::{Early, RelayMemory, unremembered};
use crate::seams::{Network, Pending};
use crate::system::unspecified;
use crate::transport::{self, LinkClass};

/// Which transports to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transports {
    /// QUIC first; TLS over TCP joins after three seconds, or as soon as QUIC has failed. The first to finish wins.
    #[default]
    Race,
    /// QUIC only.
    QuicOnly,
    /// TLS over TCP only.
    TlsOnly,
}

/// How much a dial says before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// The link is believed to be there: what is not answered is repeated soon, and begun anew after some seconds.
    #[default]
    Eager,
    /// Nothing is known of the link: one datagram over QUIC, and some seconds in which it may be answered.
    OneDatagram,
}

/// How to dial.
#[derive(Debug, Clone)]
pub struct DialOptions {
    /// Longest time one attempt may take, from its first packet to the end of the handshake.
    pub handshake_timeout: Duration,
    /// Which transports to try.
    pub transports: Transports,
    /// How much is said before there is an answer.
    pub pace: Pace,
    /// What is believed of the link.
    pub link_class: LinkClass,
    /// Which key exchange is offered.
    pub key_exchange: KeyExchange,
    /// What is remembered of the relay, of one whose keys are those that are dialled; else nothing is made of it.
    pub memory: Option<Arc<RelayMemory>>,
    /// What is remembered of the networks that this device has been in.
    pub networks: Option<Arc<Networks>>,
    /// Where to add what was said to who did not answer.
    pub cost: Option<Arc<DialCost>>,
    /// Seed of quinn's own chance, for the simulated world; `None` draws from the system.
    pub rng_seed: Option<[u8; 32]>,
}

impl Default for DialOptions {
    fn default() -> Self {
        Self {
            handshake_timeout: HANDSHAKE_TIMEOUT,
            transports: Transports::default(),
            pace: Pace::default(),
            link_class: LinkClass::default(),
            key_exchange: KeyExchange::default(),
            memory: None,
            networks: None,
            cost: None,
            rng_seed: None,
        }
    }
}

/// Whose fault a failed dial is, as far as this end can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This device: its settings or its operating system.
    Here,
    /// The link from here: there is none just now.
    Link,
    /// The relay, or whoever runs it.
    Relay,
    /// The link, a filter on the way, or the relay: it looks the same from here.
    Unknown,
}

/// Why there is no connection. Texts name no address: the caller knows it, and a log must not.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DialError {
    /// The address is not `host:port`.
    #[error("the relay's address is not host:port")]
    BadAddress,
    /// The name gave no address: it does not exist, or there is no way to ask.
    #[error("the relay's name could not be looked up")]
    NameUnknown,
    /// This device knows no way to the address: no network, or none that leads there.
    #[error("there is no network that leads to the relay")]
    NoRoute,
    /// Nothing answered in time.
    #[error("the relay does not answer")]
    NoAnswer,
    /// A machine answers, but on this port nobody listens.
    #[error("nobody listens at the relay's address")]
    NobodyListens,
    /// The relay takes no connection now: it is full, or it stops.
    #[error("the relay takes no connections now")]
    Refused,
    /// Something answers that does not speak as a relay does.
    #[error("what answers at the relay's address is not a relay")]
    NotARelay,
    /// Whoever answers holds another key than the pinned ones: another relay, or somebody in between.
    #[error("whoever answers does not hold the relay's key")]
    WrongKey,
    /// This device could not open a socket.
    #[error("this device could not open a connection: {kind}")]
    Local {
        /// What the operating system says.
        kind: io::ErrorKind,
    },
    /// TLS could not be set up on this device.
    #[error("TLS could not be set up on this device")]
    SetUp(#[from] IdentityError),
}

impl DialError {
    /// Says whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::BadAddress | Self::Local { .. } | Self::SetUp(_) => Fault::Here,
            Self::NoRoute => Fault::Link,
            Self::NobodyListens | Self::Refused | Self::NotARelay | Self::WrongKey => Fault::Relay,
            Self::NameUnknown | Self::NoAnswer => Fault::Unknown,
        }
    }

    /// Says how much it tells a person: of several attempts that failed, the one that tells most is reported.
    const fn weight(&self) -> u8 {
        match self {
            Self::NoRoute => 0,
            Self::Local { .. } => 1,
            Self::NoAnswer => 2,
            Self::NobodyListens => 3,
            Self::NotARelay => 4,
            Self::Refused => 5,
            Self::WrongKey => 6,
            // These end a dial at once and are never weighed against others.
            Self::BadAddress | Self::NameUnknown | Self::SetUp(_) => 7,
        }
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => {
                Self::NoRoute
            }
            Kind::ConnectionRefused => Self::NobodyListens,
            Kind::TimedOut => Self::NoAnswer,
            // It took the connection and let go of it before the handshake was over.
            Kind::ConnectionReset | Kind::ConnectionAborted | Kind::UnexpectedEof | Kind::BrokenPipe => Self::Refused,
            // rustls, about what the other side said.
            Kind::InvalidData => Self::NotARelay,
            kind => Self::Local { kind },
        }
    }
}

impl From<ConnectionError> for DialError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::TimedOut => Self::NoAnswer,
            ConnectionError::ConnectionClosed(close) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
                Self::Refused
            }
            ConnectionError::ApplicationClosed(_) | ConnectionError::Reset => Self::Refused,
            ConnectionError::ConnectionClosed(_)
            | ConnectionError::TransportError(_)
            | ConnectionError::VersionMismatch => Self::NotARelay,
            ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
                Self::Local { kind: io::ErrorKind::Other }
            }
        }
    }
}

impl From<ConnectError> for DialError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::InvalidRemoteAddress(_) => Self::BadAddress,
            _ => Self::Local { kind: io::ErrorKind::Other },
        }
    }
}

impl From<NoExporter> for DialError {
    fn from(_: NoExporter) -> Self {
        Self::NotARelay
    }
}

/// Connects to the relay at `address` (`host:port`, P2.6) that holds one of `keys`.
///
/// Every address of the name is tried, a quarter of a second apart; the first finished handshake wins and the others
/// are dropped. Must be called within a tokio runtime.
///
/// # Errors
/// [`DialError`]. After several attempts, the one that tells a person most.
pub async fn dial(
    network: &dyn Network,
    address: &str,
    keys: PinnedKeys,
    options: &DialOptions,
) -> Result<Connection, DialError> {
    dial_joined(network, address, keys, options, TCP_HEAD_START).await
}

/// Returns whether TLS over TCP need not wait for QUIC where this device is now.
fn is_udp_blocked(network: &dyn Network, options: &DialOptions) -> bool {
    let networks = options.networks.as_ref().filter(|_| options.transports == Transports::Race);
    networks.is_some_and(|networks| networks.blocks_udp(network.place()))
}

/// Begins to speak with the relay at `address` at once, where this device has met it and remembers how: `None` if it does not.
///
/// The connection is [early](Connection::is_early), and nobody knows whether the relay is there. If it is not heard,
/// [`drive`](crate::drive()) dials it as [`dial`] does, TLS over TCP at once, and goes on there. Must be called within a tokio
/// runtime.
pub async fn dial_early(
    network: &Arc<dyn Network>,
    address: &str,
    keys: PinnedKeys,
    options: &DialOptions,
) -> Option<Connection> {
    let memory = options.memory.as_ref().filter(|memory| memory.is_of(&keys))?;
    if options.pace != Pace::Eager || options.transports == Transports::TlsOnly || is_udp_blocked(&**network, options) {
        return None;
    }
    let remote = memory.early_at()?;
    if !network.look_up(address).await.ok()?.contains(&remote) {
        return None;
    }
    let again: Pending<'static, _> = {
        let (network, address, options) = (Arc::clone(network), address.to_owned(), options.clone());
        let head_start = TCP_HEAD_START.saturating_sub(HANDSHAKE_SILENCE);
        Box::pin(async move { dial_joined(&*network, &address, keys, &options, head_start).await })
    };
    Dialler { network: &**network, keys, options }.early(remote, again).ok().flatten()
}

async fn dial_joined(
    network: &dyn Network,
    address: &str,
    keys: PinnedKeys,
    options: &DialOptions,
    tcp_head_start: Duration,
) -> Result<Connection, DialError> {
    let addresses = match network.look_up(address).await {
        Ok(addresses) => addresses,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(DialError::BadAddress),
        Err(_) => return Err(DialError::NameUnknown),
    };
    if addresses.is_empty() {
        return Err(DialError::NameUnknown);
    }
    let dialler = Dialler { network, keys, options };
    let transports = if sabotaged!(TlsNotTried) { Transports::QuicOnly } else { options.transports };
    // Both at once: where UDP passes again QUIC is a round trip ahead, and wins.
    let is_blocked = is_udp_blocked(network, options);
    let head_start = if is_blocked { Duration::ZERO } else { tcp_head_start };
    let place = network.place();
    let connection = dialler.race(plan(&addresses, transports, head_start)).await?;
    if let Some(networks) = options.networks.as_ref().filter(|_| transports == Transports::Race) {
        networks.met(place, connection.kind());
    }
    if is_blocked && connection.kind() == ConnectionKind::Tls {
        reached!(WinnerRemembered);
    }
    Ok(connection)
}

/// One way to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Quic(SocketAddr),
    Tls(SocketAddr),
}

/// Returns what to try, each with its start after the first, in that order.
fn plan(addresses: &[SocketAddr], transports: Transports, tcp_head_start: Duration) -> VecDeque<(Duration, Attempt)> {
    let staggered = |head_start: Duration, attempt: fn(SocketAddr) -> Attempt| {
        let starts = (0..).map(move |nth| head_start + ADDRESS_STAGGER * nth);
        starts.zip(addresses.iter().copied().map(attempt))
    };
    match transports {
        Transports::QuicOnly => staggered(Duration::ZERO, Attempt::Quic).collect(),
        Transports::TlsOnly => staggered(Duration::ZERO, Attempt::Tls).collect(),
        Transports::Race => {
            let tls = staggered(tcp_head_start, Attempt::Tls);
            staggered(Duration::ZERO, Attempt::Quic).chain(tls).collect()
        }
    }
}

struct Dialler<'a> {
    network: &'a dyn Network,
    keys: PinnedKeys,
    options: &'a DialOptions,
}

impl Dialler<'_> {
    async fn race(&self, mut waiting: VecDeque<(Duration, Attempt)>) -> Result<Connection, DialError> {
        let start = Instant::now();
        let mut running: Vec<Pending<'_, Result<Connection, DialError>>> = Vec::new();
        let mut reported = DialError::NoRoute;
        loop {
            // Nothing runs: there is nothing to wait for before the next.
            let next_at =
                if running.is_empty() { Some(start) } else { waiting.front().map(|(after, _)| start + *after) };
            if running.is_empty() && waiting.is_empty() {
                return Err(reported);
            }
            tokio::select! {
                biased;
                done = first_done(&mut running), if !running.is_empty() => match done {
                    Ok(connection) => return Ok(connection),
                    Err(error) if error.weight() >= reported.weight() => reported = error,
                    Err(_) => {}
                },
                () = sleep_until(next_at.unwrap_or(start)), if next_at.is_some() => {
                    if let Some((_, attempt)) = waiting.pop_front() {
                        running.push(Box::pin(self.attempt(attempt)));
                    }
                }
            }
        }
    }

    async fn attempt(&self, attempt: Attempt) -> Result<Connection, DialError> {
        let verifier = self.memory().map_or_else(|| PinVerifier::new(self.keys), RelayMemory::verifier);
        let wrong_keys = verifier.wrong_keys_seen();
        let tried = timeout(self.options.handshake_timeout, async {
            match attempt {
                Attempt::Quic(remote) => self.quic(remote, Arc::clone(&verifier)).await,
                Attempt::Tls(remote) => self.tls(remote, Arc::clone(&verifier)).await,
            }
        });
        match tried.await {
            Ok(Ok(connection)) => {
                if matches!(attempt, Attempt::Tls(_)) {
                    reached!(ReachedOverTls);
                }
                Ok(connection)
            }
            _ if verifier.wrong_keys_seen() > wrong_keys => {
                reached!(WrongKeyShown);
                Err(DialError::WrongKey)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                reached!(HandshakeUnanswered);
                Err(DialError::NoAnswer)
            }
        }
    }

    async fn quic(&self, remote: SocketAddr, verifier: Arc<PinVerifier>) -> Result<Connection, DialError> {
        // quinn takes "no route" for one more lost packet; asking first spares the person the wait.
        self.network.route(remote)?;
        let window_bytes = self.options.link_class.window_bytes();
        let initial_rtt = match self.options.pace {
            Pace::Eager => self.options.link_class.initial_rtt(),
            Pace::OneDatagram => UNHEARD_RTT,
        };
        let (exchange, short) = (self.options.key_exchange, self.options.pace == Pace::OneDatagram);
        let (tls, tokens) = match self.memory() {
            Some(memory) => memory.quic(exchange, short),
            None if short => (client_config(verifier, KeyExchange::Classical)?, unremembered()),
            None => (client_config(verifier, exchange)?, unremembered()),
        };
        let config = transport::device(self.options.link_class, initial_rtt, tls, tokens)?;
        loop {
            let (endpoint, mut connecting, meter) = self.begin(remote, config.clone())?;
            let mut costing = Costing::new(Arc::clone(&meter), self.options.cost.clone());
            let mut heard = 0;
            // QUIC repeats itself at growing distances; a first packet anew is as good as a repeated one, and comes sooner.
            loop {
                match timeout(HANDSHAKE_SILENCE, &mut connecting).await {
                    Ok(connection) => {
                        let own = Some(OwnEnd { endpoint, window_bytes, network: self.network_now() });
                        let connection = Connection::quic(connection?, own, None)?;
                        costing.met();
                        if let Some(memory) = self.memory() {
                            memory.met(remote);
                        }
                        return Ok(connection);
                    }
                    Err(_) if meter.heard() > heard => heard = meter.heard(),
                    Err(_) => break,
                }
            }
            meter.mute();
            if self.options.pace == Pace::OneDatagram {
                return Err(DialError::NoAnswer);
            }
        }
    }

    /// Returns where to note what this network carries.
    fn network_now(&self) -> Option<(Arc<Networks>, Option<Place>)> {
        self.options.networks.as_ref().map(|networks| (Arc::clone(networks), self.network.place()))
    }

    /// Begins to speak with a relay that was met before; `again` is for when it is not heard. `None` if no session can be taken up.
    fn early(
        &self,
        remote: SocketAddr,
        again: Pending<'static, Result<Connection, DialError>>,
    ) -> Result<Option<Connection>, DialError> {
        let Some(memory) = self.memory() else { return Ok(None) };
        self.network.route(remote)?;
        let Early { tls, tokens, basis } = memory.early(self.options.key_exchange);
        let class = self.options.link_class;
        let config = transport::device(class, class.initial_rtt(), tls, tokens)?;
        let (endpoint, connecting, meter) = self.begin(remote, config)?;
        let Ok((connection, accepted)) = connecting.into_0rtt() else {
            meter.mute();
            return Ok(None);
        };
        let costing = Costing::new(Arc::clone(&meter), self.options.cost.clone());
        let handshake = handshake::of_device(connection.clone(), accepted, basis, (meter, costing), again);
        let own = OwnEnd { endpoint, window_bytes: class.window_bytes(), network: self.network_now() };
        Ok(Some(Connection::early(connection, Some(own), None, handshake, None)))
    }

    /// Opens a socket and says the first packet.
    fn begin(&self, remote: SocketAddr, config: quinn::ClientConfig) -> Result<Begun, DialError> {
        let (socket, meter) = Metered::new(self.network.bind_udp(unspecified(remote))?);
        let endpoint_config = transport::device_endpoint(self.options.rng_seed);
        let endpoint = Endpoint::new_with_abstract_socket(endpoint_config, None, socket, self.network.runtime())?;
        let connecting = endpoint.connect_with(config, remote, UNCHECKED_NAME)?;
        Ok((endpoint, connecting, meter))
    }

    async fn tls(&self, remote: SocketAddr, verifier: Arc<PinVerifier>) -> Result<Connection, DialError> {
        let stream = self.network.connect(remote).await?;
        let exchange = self.options.key_exchange;
        let config =
            self.memory().map_or_else(|| client_config(verifier, exchange), |memory| Ok(memory.tcp(exchange)))?;
        let connector = TlsConnector::from(Arc::new(config));
        // INVARIANT: the name is a constant of ours that a test connects with.
        let name = ServerName::try_from(UNCHECKED_NAME).map_err(|_| DialError::BadAddress)?;
        Ok(Connection::tls(connector.connect(name, stream).await?.into(), None)?)
    }

    /// Returns what is remembered of the relay that is dialled.
    fn memory(&self) -> Option<&RelayMemory> {
        self.options.memory.as_deref().filter(|memory| memory.is_of(&self.keys))
    }
}

/// A handshake that has begun.
type Begun = (Endpoint, quinn::Connecting, Arc<Meter>);

/// Waits for the first of several to end and takes it out.
async fn first_done<T>(running: &mut Vec<Pending<'_, T>>) -> T {
    poll_fn(|context| {
        let done = running.iter_mut().enumerate().find_map(|(nth, one)| match one.as_mut().poll(context) {
            Poll::Ready(value) => Some((nth, value)),
            Poll::Pending => None,
        });
        let Some((nth, value)) = done else { return Poll::Pending };
        drop(running.remove(nth));
        Poll::Ready(value)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64, attempt: Attempt) -> (Duration, Attempt) {
        (Duration::from_millis(millis), attempt)
    }

    #[test]
    fn tcp_joins_after_quic_and_addresses_follow_each_other() {
        let [a, b] = ["1.1.1.1:443", "[::1]:443"].map(|text| text.parse().unwrap());
        let planned = [
            at(0, Attempt::Quic(a)),
            at(250, Attempt::Quic(b)),
            at(3_000, Attempt::Tls(a)),
            at(3_250, Attempt::Tls(b)),
        ];
        assert_eq!(plan(&[a, b], Transports::Race, TCP_HEAD_START), planned);
    }

    #[test]
    fn one_transport_alone_starts_at_once() {
        let a = "1.1.1.1:443".parse().unwrap();
        assert_eq!(plan(&[a], Transports::TlsOnly, TCP_HEAD_START), [at(0, Attempt::Tls(a))]);
        assert_eq!(plan(&[a], Transports::QuicOnly, TCP_HEAD_START), [at(0, Attempt::Quic(a))]);
    }

    #[test]
    fn every_error_has_a_fault_and_a_wrong_key_outweighs_silence() {
        assert_eq!(DialError::from(io::Error::from(io::ErrorKind::NetworkUnreachable)).fault(), Fault::Link);
        assert_eq!(DialError::from(io::Error::from(io::ErrorKind::ConnectionRefused)).fault(), Fault::Relay);
        assert_eq!(DialError::from(io::Error::from(io::ErrorKind::PermissionDenied)).fault(), Fault::Here);
        assert_eq!(DialError::from(ConnectionError::TimedOut).fault(), Fault::Unknown);
        assert!(DialError::WrongKey.weight() > DialError::NoAnswer.weight());
    }
}

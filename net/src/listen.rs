use core::time::Duration;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Endpoint, Incoming, ZeroRttAccepted};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use zajil_proto::wire::Code;
use zajil_proto::{accounted, reached};

use crate::connection::{Begun, Connection, quic_code};
use crate::handshake;
use crate::identity::{IdentityError, RelayIdentity};
use crate::limits::{
    ACCEPT_PAUSE, CLOSE_LINGER, CONNECTIONS_FREE_UNPROVEN_PARTS, CONNECTIONS_MAX, CONNECTIONS_READY_MAX,
    HANDSHAKE_TIMEOUT, PORT_TRIES_MAX,
};
use crate::seams::{ByteListener, ByteStream, Clock, Network};
use crate::sessions::{KeptSessions, TlsSessions};
use crate::stop::{Stop, Stopping, stop_signal};
use crate::transport::{self, EndpointSecrets, OwnIds};

/// How to listen.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Connections at once, handshakes among them. Whoever comes then is refused.
    pub connections_max: u32,
    /// Longest time one handshake may take.
    pub handshake_timeout: Duration,
    /// Seed of quinn's own chance, for the simulated world; `None` draws from the system.
    pub rng_seed: Option<[u8; 32]>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { connections_max: CONNECTIONS_MAX, handshake_timeout: HANDSHAKE_TIMEOUT, rng_seed: None }
    }
}

/// Why a relay does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// No address was given.
    #[error("no address to listen at")]
    NoAddress,
    /// The operating system does not let it. The address is the relay's own, from its configuration.
    #[error("cannot listen at {address} over {transport}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    SetUp(#[from] IdentityError),
}

/// Takes connections over QUIC and over TLS on TCP, at the same port numbers.
///
/// Handshakes run in tasks of this listener. Dropped, it stops them; connections that were taken go on.
#[derive(Debug)]
pub struct Listener {
    ready: mpsc::Receiver<Connection>,
    acceptors: JoinSet<()>,
    endpoints: Vec<Endpoint>,
    addresses: Vec<SocketAddr>,
    places: Arc<Semaphore>,
    connections_max: u32,
    stop: Stop,
    sessions: TlsSessions,
}

impl Listener {
    /// Listens at every one of `addresses`, over UDP and TCP. IPv4 and IPv6 need one each: an IPv6 address takes IPv6
    /// only. Port 0 asks for any port that both have free. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ListenError`].
    pub fn bind(
        network: &dyn Network,
        clock: &Arc<dyn Clock>,
        identity: &RelayIdentity,
        secrets: &EndpointSecrets,
        addresses: &[SocketAddr],
        options: &ListenOptions,
    ) -> Result<Self, ListenError> {
        if addresses.is_empty() {
            return Err(ListenError::NoAddress);
        }
        let (finished, ready) = mpsc::channel(CONNECTIONS_READY_MAX);
        let (stop, stopping) = stop_signal();
        let connections_max = usize::try_from(options.connections_max)
            .map_or(Semaphore::MAX_PERMITS, |max| max.min(Semaphore::MAX_PERMITS));
        let places = Arc::new(Semaphore::new(connections_max));
        let door = Door {
            places: Arc::clone(&places),
            connections_max,
            handshake_timeout: options.handshake_timeout,
            own_ids: OwnIds::new(secrets),
            finished,
            stopping,
        };
        // A session of one transport means nothing on the other.
        let [over_tcp, over_quic] = [0, 1].map(|_| KeptSessions::new(Arc::clone(clock)));
        let tls = TlsAcceptor::from(Arc::new(identity.server_config(over_tcp.clone(), false)?));
        let quic = transport::relay(identity.server_config(over_quic.clone(), true)?, secrets, clock)?;
        let mut listener = Self {
            ready,
            acceptors: JoinSet::new(),
            endpoints: Vec::new(),
            addresses: Vec::new(),
            places,
            connections_max: options.connections_max,
            stop,
            sessions: TlsSessions([over_tcp, over_quic]),
        };
        for address in addresses {
            let (tcp, udp) = bind_both(network, *address)?;
            let local = local(&*tcp, *address)?;
            let config = transport::relay_endpoint(secrets, options.rng_seed);
            let endpoint = Endpoint::new_with_abstract_socket(config, Some(quic.clone()), udp, network.runtime())
                .map_err(bind_error(local, "UDP"))?;
            listener.acceptors.spawn(accounted!(door.clone().take_quic(endpoint.clone())));
            listener.acceptors.spawn(accounted!(door.clone().take_tcp(tcp, tls.clone())));
            listener.endpoints.push(endpoint);
            listener.addresses.push(local);
        }
        Ok(listener)
    }

    /// Returns the addresses it listens at, with the ports it was given.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Returns how many connections there are, handshakes among them.
    pub fn connections(&self) -> usize {
        let max = usize::try_from(self.connections_max).unwrap_or(usize::MAX);
        max.saturating_sub(self.places.available_permits())
    }

    /// Returns the TLS sessions it keeps.
    pub fn sessions(&self) -> TlsSessions {
        self.sessions.clone()
    }

    /// Waits for the next connection whose handshake is over; `None` after [`stop`](Self::stop). Dropping the answer
    /// before it comes loses no connection.
    pub async fn accept(&mut self) -> Option<Connection> {
        self.ready.recv().await
    }

    /// Takes no more connections: new ones are refused, unfinished handshakes end. Those that were taken go on.
    pub fn stop(&self) {
        self.stop.give();
    }

    /// Stops, waits up to `grace` for every connection to be dropped, and closes what is left. Returns whether all had
    /// ended by themselves.
    pub async fn shut_down(mut self, grace: Duration) -> bool {
        self.stop();
        self.ready.close();
        while self.ready.recv().await.is_some() {}
        let all = Arc::clone(&self.places).acquire_many_owned(self.connections_max);
        let drained = timeout(grace, all).await.is_ok();
        for endpoint in &self.endpoints {
            endpoint.close(quic_code(Code::DRAINING), &[]);
        }
        let said = async {
            for endpoint in &self.endpoints {
                endpoint.wait_idle().await;
            }
        };
        // Whoever did not hear it notices by itself.
        let _ = timeout(CLOSE_LINGER, said).await;
        self.acceptors.shutdown().await;
        drained
    }
}

/// What every acceptor needs.
#[derive(Debug, Clone)]
struct Door {
    places: Arc<Semaphore>,
    connections_max: usize,
    handshake_timeout: Duration,
    own_ids: OwnIds,
    finished: mpsc::Sender<Connection>,
    stopping: Stopping,
}

impl Door {
    async fn take_quic(self, endpoint: Endpoint) {
        let mut handshakes = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.stopping.given() => break,
                Some(_) = handshakes.join_next() => {}
                incoming = endpoint.accept() => match incoming {
                    Some(incoming) => self.admit_quic(incoming, &mut handshakes),
                    None => return,
                },
            }
        }
        handshakes.shutdown().await;
        let own_ids = self.own_ids;
        drop(self);
        // A refusal sends a device to its next home at once; silence would cost it the whole time-out.
        while let Some(incoming) = endpoint.accept().await {
            if begins(&incoming, own_ids) {
                incoming.refuse();
            } else {
                incoming.ignore();
            }
        }
    }

    fn admit_quic(&self, incoming: Incoming, handshakes: &mut JoinSet<()>) {
        if !begins(&incoming, self.own_ids) {
            return incoming.ignore();
        }
        let Some(place) = self.place() else {
            reached!(ListenerFull);
            return incoming.refuse();
        };
        let crowded = self.places.available_permits() < self.connections_max / CONNECTIONS_FREE_UNPROVEN_PARTS;
        if crowded && !incoming.remote_address_validated() {
            reached!(AddressAskedToRetry);
            // INVARIANT: an address that is not validated may be asked to retry, so quinn takes it; else it is refused.
            let _ = incoming.retry();
            return;
        }
        let door = self.clone();
        handshakes.spawn(accounted!(async move {
            let longest = door.handshake_timeout;
            if let Ok(Some(begun)) = timeout(longest, begin(incoming)).await {
                door.hand_over(begun.connection(longest, place)).await;
            }
        }));
    }

    async fn take_tcp(self, mut listener: Box<dyn ByteListener>, tls: TlsAcceptor) {
        let mut handshakes = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.stopping.given() => break,
                Some(_) = handshakes.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok(stream) => self.admit_tcp(stream, &tls, &mut handshakes),
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
            }
        }
        handshakes.shutdown().await;
    }

    fn admit_tcp(&self, stream: Box<dyn ByteStream>, tls: &TlsAcceptor, handshakes: &mut JoinSet<()>) {
        let Some(place) = self.place() else { return };
        let (door, handshake) = (self.clone(), tls.accept(stream));
        handshakes.spawn(accounted!(async move {
            if let Ok(Ok(stream)) = timeout(door.handshake_timeout, handshake).await {
                door.hand_over(Connection::tls(stream.into(), Some(place)).ok()).await;
            }
        }));
    }

    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    async fn hand_over(&self, connection: Option<Connection>) {
        if let Some(connection) = connection {
            // An error: the listener is gone, and the connection with it.
            let _ = self.finished.send(connection).await;
        }
    }
}

/// A connection that is worth a place.
struct Beginning {
    connection: quinn::Connection,
    /// What was said before the handshake was over.
    early: Option<(Begun, ZeroRttAccepted)>,
}

/// Waits until a handshake is over, or something is said before that: who has only begun one gets no session.
async fn begin(incoming: Incoming) -> Option<Beginning> {
    let (connection, mut accepted) = incoming.accept().ok()?.into_0rtt().ok()?;
    let begun = tokio::select! {
        biased;
        _ = &mut accepted => None,
        Ok((send, receive)) = connection.accept_bi() => Some(Begun::Control(send, receive)),
        Ok(receive) = connection.accept_uni() => Some(Begun::Transfer(receive)),
    };
    match begun {
        Some(begun) => Some(Beginning { connection, early: Some((begun, accepted)) }),
        None if connection.close_reason().is_none() => Some(Beginning { connection, early: None }),
        None => None,
    }
}

impl Beginning {
    fn connection(self, longest: Duration, place: OwnedSemaphorePermit) -> Option<Connection> {
        let Self { connection, early } = self;
        match early {
            Some((begun, accepted)) => {
                let handshake = handshake::of_relay(connection.clone(), accepted, longest);
                Some(Connection::early(connection, None, Some(begun), handshake, Some(place)))
            }
            None => Connection::quic(connection, None, Some(place)).ok(),
        }
    }
}

/// Returns whether this may begin a connection. What may not is not answered.
///
/// From the relay's first answer on, a device writes to an id that the relay drew, under keys made of one that the device drew.
/// Where that connection is forgotten, nobody can read this any more, and the device could not read an answer. quinn takes it
/// for a beginning if two bits of it look good under keys that do not fit, one in four: it would take a place for a moment, and
/// have a full relay refuse what somebody sends again.
fn begins(incoming: &Incoming, own_ids: OwnIds) -> bool {
    !own_ids.has(&incoming.orig_dst_cid())
}

type Bound = (Box<dyn ByteListener>, Arc<dyn quinn::AsyncUdpSocket>);

/// Binds TCP and UDP at one port. If any port will do, several are tried.
fn bind_both(network: &dyn Network, address: SocketAddr) -> Result<Bound, ListenError> {
    let mut tries = if address.port() == 0 { PORT_TRIES_MAX } else { 1 };
    loop {
        tries -= 1;
        let tcp = network.listen(address).map_err(bind_error(address, "TCP"))?;
        let local = local(&*tcp, address)?;
        match network.bind_udp(local) {
            Ok(udp) => return Ok((tcp, udp)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err(error) => return Err(bind_error(local, "UDP")(error)),
        }
    }
}

fn local(tcp: &dyn ByteListener, asked: SocketAddr) -> Result<SocketAddr, ListenError> {
    tcp.local_addr().map_err(bind_error(asked, "TCP"))
}

fn bind_error(address: SocketAddr, transport: &'static str) -> impl FnOnce(io::Error) -> ListenError {
    move |source| ListenError::Bind { address, transport, source }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::IoSliceMut;
    use std::net::Ipv4Addr;

    use quinn::ConnectionId;
    use quinn::udp::{RecvMeta, Transmit};
    use zajil_proto::keys::{Secret, SigningKey};

    use super::*;
    use crate::memory::MemoryWorld;
    use crate::seams::SystemClock;

    const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    /// Bytes of an Initial packet to this id (RFC 9000 §17.2.2), with two reserved bits that only keys can tell.
    fn initial(id: &ConnectionId, reserved: u8) -> Vec<u8> {
        let to = [&[u8::try_from(id.len()).unwrap()], &id[..]].concat();
        let (no_source, no_token, length) = ([0], [0], (0x4000_u16 | 1_200).to_be_bytes());
        [&[0xc0 | reserved, 0, 0, 0, 1][..], &to, &no_source, &no_token, &length, &[7; 1_200]].concat()
    }

    /// Returns how many bytes a full relay, or one that stops, answers to packets of which one looks good, whatever the keys are.
    async fn answered(id: &ConnectionId, stops: bool) -> usize {
        let (world, address) = (MemoryWorld::new(Duration::from_millis(50)), (RELAY, 443).into());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let identity = RelayIdentity::new(&SigningKey::from_seed(&Secret([1; 32]))).unwrap();
        let options = ListenOptions { connections_max: u32::from(stops), ..ListenOptions::default() };
        let relay = world.machine(&[RELAY.into()]);
        let listener = Listener::bind(&*relay, &clock, &identity, &secrets(), &[address], &options).unwrap();
        if stops {
            listener.stop();
        }
        let socket = world.machine(&[STRANGER.into()]).bind_udp((Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
        for reserved in [0x0, 0x4, 0x8, 0xc] {
            let contents = &initial(id, reserved)[..];
            let transmit = Transmit { destination: address, ecn: None, contents, segment_size: None, src_ip: None };
            socket.try_send(&transmit).unwrap();
        }
        let (mut buffer, mut meta) = ([0; 2_000], [RecvMeta::default()]);
        let received = poll_fn(|context| socket.poll_recv(context, &mut [IoSliceMut::new(&mut buffer)], &mut meta));
        timeout(Duration::from_secs(10), received).await.map_or(0, |_| meta[0].len)
    }

    fn secrets() -> EndpointSecrets {
        EndpointSecrets { reset_key: Secret([1; 32]), token_key: Secret([2; 32]) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_beginning_is_refused_and_what_is_left_of_a_forgotten_connection_is_not_answered() {
        let forgotten = OwnIds::new(&secrets()).draw();
        for stops in [false, true] {
            assert_ne!(answered(&ConnectionId::new(&[7; 20]), stops).await, 0);
            assert_eq!(answered(&forgotten, stops).await, 0);
        }
    }
}

//! What a device keeps of a relay that it has met, so that it meets it sooner the next time. In memory only: on disk it would be a log
//! of connections.

use core::fmt;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use quinn::{NoneTokenStore, TokenStore};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, NamedGroup};
use tokio::time::Instant;

use crate::identity::{IdentityError, PinVerifier, PinnedKeys, client_config};
use crate::key_exchange::KeyExchange;
use crate::limits::{SESSION_LIFETIME, SESSIONS_PER_RELAY_MAX, TOKENS_PER_RELAY_MAX};

/// What is remembered of one relay: TLS sessions and address tokens, each good for one connection, and where it was met.
///
/// Hand the same one to every dial of the same relay ([`DialOptions::memory`](crate::DialOptions)). Does not print.
pub struct RelayMemory {
    keys: PinnedKeys,
    verifier: Arc<PinVerifier>,
    // rustls takes a session up only with the very same verifier, and the very same lack of a client certificate, as it was made
    // with: every configuration is a copy of one of these.
    quic: Configs,
    tcp: Configs,
    sessions: Arc<Sessions>,
    tokens: Arc<Tokens>,
    /// Where it was met over QUIC.
    met_at: Mutex<Option<SocketAddr>>,
}

impl RelayMemory {
    /// Remembers nothing yet of the relay that holds one of `keys`.
    ///
    /// # Errors
    /// [`IdentityError`]; not seen.
    pub fn new(keys: PinnedKeys) -> Result<Self, IdentityError> {
        let verifier = PinVerifier::new(keys);
        let (sessions, by_tcp) = (Arc::<Sessions>::default(), Arc::<Sessions>::default());
        let quic = Configs::new(&verifier, &sessions)?;
        let tcp = Configs::new(&verifier, &by_tcp)?;
        Ok(Self { keys, verifier, quic, tcp, sessions, tokens: Arc::default(), met_at: Mutex::default() })
    }

    /// Returns whether it is that of the relay that holds one of `keys`.
    pub(crate) fn is_of(&self, keys: &PinnedKeys) -> bool {
        self.keys == *keys
    }

    pub(crate) fn verifier(&self) -> Arc<PinVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Returns what to say something at once with, over QUIC: takes out of it what is good once. Where a session rests on a hybrid
    /// exchange, whoever takes it up has its secret in every key: the classical share is enough, and 2.3 kB less.
    pub(crate) fn early(&self, exchange: KeyExchange) -> Early {
        let taken = self.sessions.take();
        let rests = taken.as_ref().is_some_and(|session| session.hybrid);
        let mut tls = if rests { &self.quic.classical } else { self.quic.of(exchange) }.clone();
        let basis =
            Arc::new(Basis { hybrid: AtomicBool::new(rests), wanted: rests && exchange == KeyExchange::Hybrid });
        tls.resumption = Resumption::store(Arc::new(OneConnection {
            kept: Arc::clone(&self.sessions),
            gives: Mutex::new(taken.map(|session| session.value)),
            share: None,
            basis: Arc::clone(&basis),
        }));
        tls.enable_early_data = true;
        Early { tls, tokens: Arc::<Tokens>::clone(&self.tokens), basis }
    }

    /// Returns what to dial with over QUIC, to see whether somebody is there: takes nothing out of it, and keeps what is given. `short`:
    /// what is said first fits one datagram. Of a hybrid exchange only the classical share does; the relay asks for the other.
    pub(crate) fn quic(&self, exchange: KeyExchange, short: bool) -> (ClientConfig, Arc<dyn TokenStore>) {
        let mut config = self.quic.of(exchange).clone();
        let share = short.then_some(NamedGroup::X25519);
        let (kept, basis) = (Arc::clone(&self.sessions), Arc::default());
        config.resumption = Resumption::store(Arc::new(OneConnection { kept, gives: Mutex::default(), share, basis }));
        (config, Arc::new(KeptTokens(Arc::clone(&self.tokens))))
    }

    /// Returns what to dial with over TLS on TCP.
    pub(crate) fn tcp(&self, exchange: KeyExchange) -> ClientConfig {
        self.tcp.of(exchange).clone()
    }

    /// Returns where to say something at once: where it was met last, if there is a session to take up.
    pub(crate) fn early_at(&self) -> Option<SocketAddr> {
        self.sessions.newest_is_good().then(|| *lock(&self.met_at)).flatten()
    }

    /// Notes where it was met over QUIC.
    pub(crate) fn met(&self, at: SocketAddr) {
        *lock(&self.met_at) = Some(at);
    }

    /// Returns how many connections may begin with a TLS session that was kept.
    pub fn sessions(&self) -> usize {
        lock(&self.sessions.tickets).len()
    }
}

impl fmt::Debug for RelayMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayMemory(..)")
    }
}

/// What begins with what is remembered.
pub(crate) struct Early {
    pub(crate) tls: ClientConfig,
    pub(crate) tokens: Arc<dyn TokenStore>,
    pub(crate) basis: Arc<Basis>,
}

/// What the secrets of one connection rest on.
#[derive(Default)]
pub(crate) struct Basis {
    /// On a hybrid exchange, in this connection or in the one that gave its session.
    hybrid: AtomicBool,
    /// On that of its session alone, and nothing less is wanted.
    wanted: bool,
}

impl Basis {
    /// Takes it that the relay has not taken the session up. Returns whether the connection is less than was wanted.
    pub(crate) fn refused(&self) -> bool {
        self.hybrid.store(false, Ordering::Relaxed);
        self.wanted
    }
}

/// One configuration for each key exchange. Whichever it was made with, a session can be taken up with the other.
struct Configs {
    classical: ClientConfig,
    hybrid: ClientConfig,
}

impl Configs {
    fn new(verifier: &Arc<PinVerifier>, sessions: &Arc<Sessions>) -> Result<Self, IdentityError> {
        let of = |exchange| -> Result<ClientConfig, IdentityError> {
            let mut config = client_config(Arc::clone(verifier), exchange)?;
            config.resumption = Resumption::store(Arc::<Sessions>::clone(sessions));
            Ok(config)
        };
        let (classical, mut hybrid) = (of(KeyExchange::Classical)?, of(KeyExchange::Hybrid)?);
        hybrid.client_auth_cert_resolver = Arc::clone(&classical.client_auth_cert_resolver);
        Ok(Self { classical, hybrid })
    }

    const fn of(&self, exchange: KeyExchange) -> &ClientConfig {
        match exchange {
            KeyExchange::Classical => &self.classical,
            KeyExchange::Hybrid => &self.hybrid,
        }
    }
}

/// Returns what is behind a lock; nobody panics while holding one.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// TLS sessions of one relay, the newest last, with the time at which each was given.
#[derive(Default)]
struct Sessions {
    tickets: Mutex<VecDeque<Session>>,
}

struct Session {
    given: Instant,
    /// Whether its secret rests on a hybrid exchange.
    hybrid: bool,
    value: Tls13ClientSessionValue,
}

impl Sessions {
    fn insert(&self, value: Tls13ClientSessionValue, hybrid: bool) {
        let mut tickets = lock(&self.tickets);
        if tickets.len() >= SESSIONS_PER_RELAY_MAX {
            tickets.pop_front();
        }
        tickets.push_back(Session { given: Instant::now(), hybrid, value });
    }

    fn take(&self) -> Option<Session> {
        let session = lock(&self.tickets).pop_back()?;
        is_good(session.given).then_some(session)
    }

    fn newest_is_good(&self) -> bool {
        lock(&self.tickets).back().is_some_and(|session| is_good(session.given))
    }
}

fn is_good(given: Instant) -> bool {
    given.elapsed() < SESSION_LIFETIME
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions(..)")
    }
}

// One relay to a store: the name, which is the same for all relays, tells nothing. TLS 1.2 is never spoken.
impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        // Each connection over TCP exchanges keys as its link wants it: nobody asks what its session rests on.
        self.insert(value, false);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.take().map(|session| session.value)
    }
}

/// Address tokens of one relay, the newest last.
#[derive(Default)]
struct Tokens(Mutex<VecDeque<Bytes>>);

impl TokenStore for Tokens {
    fn insert(&self, _: &str, token: Bytes) {
        let mut tokens = lock(&self.0);
        if tokens.len() >= TOKENS_PER_RELAY_MAX {
            tokens.pop_front();
        }
        tokens.push_back(token);
    }

    fn take(&self, _: &str) -> Option<Bytes> {
        lock(&self.0).pop_back()
    }
}

/// Takes the sessions that one connection is given, and gives it at most one.
struct OneConnection {
    kept: Arc<Sessions>,
    gives: Mutex<Option<Tls13ClientSessionValue>>,
    /// Which share to say first, of those that are offered; `None`: that of the most wanted.
    share: Option<NamedGroup>,
    basis: Arc<Basis>,
}

impl fmt::Debug for OneConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneConnection(..)")
    }
}

impl ClientSessionStore for OneConnection {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.basis.hybrid.fetch_or(group == NamedGroup::X25519MLKEM768, Ordering::Relaxed);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.share
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.kept.insert(value, self.basis.hybrid.load(Ordering::Relaxed));
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        lock(&self.gives).take()
    }
}

/// Takes the tokens that it is given, and gives none.
struct KeptTokens(Arc<Tokens>);

impl TokenStore for KeptTokens {
    fn insert(&self, name: &str, token: Bytes) {
        self.0.insert(name, token);
    }

    fn take(&self, _: &str) -> Option<Bytes> {
        None
    }
}

/// Returns what to dial a relay with over QUIC of which nothing is remembered.
pub(crate) fn unremembered() -> Arc<dyn TokenStore> {
    Arc::new(NoneTokenStore)
}

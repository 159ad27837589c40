//! How quinn is set up for links that drop. Every number stands with its reason in [`limits`](crate::limits).

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    BloomTokenLog, ConnectionId, EndpointConfig, IdleTimeout, TokenStore, TransportConfig, ValidationTokenConfig,
    VarInt,
};
use quinn_proto::{ConnectionIdGenerator, HashedConnectionIdGenerator, RandomConnectionIdGenerator};
use ring::{hkdf, hmac};
use zajil_proto::keys::Secret;
use zajil_proto::random::Random;
use zajil_proto::time::{Instant, Minute};

use crate::congestion::{LossTolerantFactory, Measured};
use crate::identity::IdentityError;
use crate::key_exchange::KeyExchange;
use crate::limits::{
    CRYPTO_BUFFER_BYTES, DATAGRAM_BUFFER_BYTES, DEVICE_SEND_WINDOW_BYTES, DEVICE_STREAM_WINDOW_BYTES,
    DEVICE_WINDOW_BYTES, DEVICE_WINDOW_BYTES_SLOWEST, EARLY_BYTES_ORDINARY, EARLY_BYTES_SATELLITE, EARLY_BYTES_SLOW,
    EARLY_BYTES_SLOWEST, IDLE_TIMEOUT, INCOMING_BUFFER_BYTES, INCOMING_BUFFER_BYTES_TOTAL, INCOMING_MAX, INITIAL_RTT,
    INITIAL_RTT_SLOWEST, KEEP_ALIVE, PACKET_BYTES, PERSISTENT_CONGESTION_PROBES, RELAY_INITIAL_PACKETS,
    RELAY_SEND_WINDOW_BYTES, RELAY_STREAM_WINDOW_BYTES, RELAY_WINDOW_BYTES, RESET_INTERVAL_MIN, SATELLITE_ROUND_TRIP,
    SLOW_BITS, SLOWEST_BITS, TIME_THRESHOLD, TOKEN_LIFETIME, TOKEN_LOG_BYTES, TOKENS_GIVEN, TOKENS_SHOWN,
    TRANSFER_STREAMS_MAX,
};
use crate::seams::Clock;

/// What a device believes of its link before it has measured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkClass {
    /// GPRS: 20 kbit/s up, 40 down, 700 ms.
    Slowest,
    /// EDGE: 60 kbit/s up, 120 down, 400 ms; also the answer when nobody knows.
    #[default]
    Slow,
    /// Third generation and better, Wi-Fi, cables: 400 kbit/s and more, 100 ms.
    Ordinary,
    /// A satellite terminal: 128 kbit/s up, 512 down, 600 ms.
    Satellite,
}

impl LinkClass {
    /// Returns which one a link that was measured belongs to.
    pub(crate) fn of(measured: Measured) -> Self {
        if measured.rate_bits < SLOWEST_BITS {
            Self::Slowest
        } else if measured.round_trip >= SATELLITE_ROUND_TRIP {
            Self::Satellite
        } else if measured.rate_bits < SLOW_BITS {
            Self::Slow
        } else {
            Self::Ordinary
        }
    }

    /// Returns the first guess of the round trip.
    pub const fn initial_rtt(self) -> Duration {
        match self {
            Self::Slowest => INITIAL_RTT_SLOWEST,
            _ => INITIAL_RTT,
        }
    }

    /// Returns how many packets may be under way before anything was measured, up and down: what such a link holds, and
    /// [a few more](crate::limits::STANDING_PACKETS).
    const fn packets(self) -> (u64, u32) {
        match self {
            Self::Slowest => (7, 8),
            Self::Slow => (8, 10),
            Self::Ordinary => (10, 16),
            Self::Satellite => (24, 40),
        }
    }

    /// Returns how many bytes of notes may leave before the relay has said how much of them it has: what such a link carries on
    /// the way there and back, so that it does not stand still.
    pub const fn unanswered_bytes_max(self) -> u32 {
        match self {
            Self::Slowest => 4 << 10,
            Self::Slow => 8 << 10,
            Self::Ordinary => 12 << 10,
            Self::Satellite => 16 << 10,
        }
    }

    /// Returns how many bytes may leave before the handshake is over: what the link carries until the relay has answered, and no more
    /// than half of what may be under way at first. What is beyond stands in the queue before the handshake's own last packet.
    pub const fn early_bytes_max(self) -> usize {
        match self {
            Self::Slowest => EARLY_BYTES_SLOWEST,
            Self::Slow => EARLY_BYTES_SLOW,
            Self::Ordinary => EARLY_BYTES_ORDINARY,
            Self::Satellite => EARLY_BYTES_SATELLITE,
        }
    }

    /// Returns which key exchange is offered on such a link: the hybrid one, but not where its bytes take a quarter of a second and more.
    pub const fn key_exchange(self) -> KeyExchange {
        match self {
            Self::Slowest | Self::Slow => KeyExchange::Classical,
            Self::Ordinary | Self::Satellite => KeyExchange::Hybrid,
        }
    }

    /// Returns how many bytes the relay may send ahead once it has learned what the link carries.
    pub(crate) const fn window_bytes(self) -> u32 {
        match self {
            Self::Slowest => DEVICE_WINDOW_BYTES_SLOWEST,
            _ => DEVICE_WINDOW_BYTES,
        }
    }
}

/// What a relay's transport keeps across restarts, and nothing else of it (architecture §7). Does not print.
#[derive(Clone)]
pub struct EndpointSecrets {
    /// Signs stateless resets: with it, a restarted relay can tell a device at once that its connection is gone.
    pub reset_key: Secret,
    /// Seals the tokens by which a device shows that its address is its own.
    pub token_key: Secret,
}

impl EndpointSecrets {
    /// Draws fresh ones.
    pub fn draw(random: &mut (impl Random + ?Sized)) -> Self {
        Self { reset_key: Secret::draw(random), token_key: Secret::draw(random) }
    }
}

impl fmt::Debug for EndpointSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointSecrets(..)")
    }
}

/// Returns quinn's settings for a device.
pub(crate) fn device(
    class: LinkClass,
    initial_rtt: Duration,
    tls: rustls::ClientConfig,
    tokens: Arc<dyn TokenStore>,
) -> Result<quinn::ClientConfig, IdentityError> {
    let (up, down) = class.packets();
    let mut transport = both_ends(initial_rtt, up);
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(DEVICE_STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(down * PACKET_BYTES))
        .send_window(DEVICE_SEND_WINDOW_BYTES)
        // Offload fails on Android and on some network cards, and saves a slow link nothing.
        .enable_segmentation_offload(false);
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(Arc::new(transport)).token_store(tokens);
    Ok(config)
}

/// Returns quinn's settings for a relay.
pub(crate) fn relay(
    tls: rustls::ServerConfig,
    secrets: &EndpointSecrets,
    clock: &Arc<dyn Clock>,
) -> Result<quinn::ServerConfig, IdentityError> {
    let mut transport = both_ends(INITIAL_RTT, RELAY_INITIAL_PACKETS);
    transport
        // One stream: the control lane (P8.1).
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .stream_receive_window(VarInt::from_u32(RELAY_STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(RELAY_WINDOW_BYTES))
        .send_window(RELAY_SEND_WINDOW_BYTES)
        .enable_segmentation_offload(true);
    let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&secrets.token_key.0);
    let mut config = quinn::ServerConfig::new(Arc::new(QuicServerConfig::try_from(tls)?), Arc::new(token_key));
    // Without a token no more than three times what has come may be said before the handshake is over: early data would be read and
    // not answered. One on the way can tell from it as little as from the TLS session beside it: both are good once.
    let mut validation = ValidationTokenConfig::default();
    let log = BloomTokenLog::new_expected_items(TOKEN_LOG_BYTES, TOKENS_SHOWN);
    validation.lifetime(TOKEN_LIFETIME).sent(TOKENS_GIVEN).log(Arc::new(log));
    config
        .transport_config(Arc::new(transport))
        .validation_token_config(validation)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BUFFER_BYTES)
        .incoming_buffer_size_total(INCOMING_BUFFER_BYTES_TOTAL)
        .time_source(Arc::new(TokenTime::new(Arc::clone(clock))));
    Ok(config)
}

/// The connection ids that a relay draws, and by which it knows them again: also after a restart. Does not print its key.
#[derive(Clone, Copy)]
pub(crate) struct OwnIds {
    key: u64,
}

impl OwnIds {
    /// Those of a relay with these secrets.
    pub(crate) fn new(secrets: &EndpointSecrets) -> Self {
        // quinn drops a packet whose connection id it cannot have made itself, and sends no reset. The key by which it
        // tells is drawn anew at every start, so the reset key alone would survive a restart in vain.
        let tag = hmac::sign(&reset_key(secrets), b"zajil connection ids");
        Self { key: tag.as_ref().iter().take(8).fold(0, |key: u64, byte| (key << 8) | u64::from(*byte)) }
    }

    /// Returns whether the relay has drawn this id, in this run or an earlier one. Of those that others draw it takes one in 2^40
    /// for its own, and none of a device: those are longer.
    pub(crate) fn has(self, id: &ConnectionId) -> bool {
        let generator = self.generator();
        id.len() == generator.cid_len() && generator.validate(id).is_ok()
    }

    /// Draws one.
    #[cfg(test)]
    pub(crate) fn draw(self) -> ConnectionId {
        self.generator().generate_cid()
    }

    fn generator(self) -> HashedConnectionIdGenerator {
        HashedConnectionIdGenerator::from_key(self.key)
    }
}

impl fmt::Debug for OwnIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnIds(..)")
    }
}

/// Returns the endpoint settings of a relay.
pub(crate) fn relay_endpoint(secrets: &EndpointSecrets, rng_seed: Option<[u8; 32]>) -> EndpointConfig {
    let own_ids = OwnIds::new(secrets);
    let mut config = EndpointConfig::new(Arc::new(reset_key(secrets)));
    config
        .cid_generator(move || Box::new(own_ids.generator()))
        .min_reset_interval(RESET_INTERVAL_MIN)
        .rng_seed(rng_seed);
    config
}

fn reset_key(secrets: &EndpointSecrets) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &secrets.reset_key.0)
}

/// Returns the endpoint settings of a device, whose resets nobody needs after a restart.
pub(crate) fn device_endpoint(rng_seed: Option<[u8; 32]>) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    // One connection to a socket: its address is name enough, and saves 8 B of every packet and 28 B for each spare name.
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(0))).rng_seed(rng_seed);
    config
}

fn both_ends(initial_rtt: Duration, packets: u64) -> TransportConfig {
    let congestion = LossTolerantFactory::new(packets);
    let mut transport = TransportConfig::default();
    transport
        .initial_rtt(initial_rtt)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(millis(IDLE_TIMEOUT)))))
        // Probes for a larger packet cost 5.7 KB each way on every new connection.
        .mtu_discovery_config(None)
        .time_threshold(TIME_THRESHOLD)
        .persistent_congestion_threshold(PERSISTENT_CONGESTION_PROBES)
        .congestion_controller_factory(Arc::new(congestion))
        // One note whole before the next begins; rank decides which.
        .send_fairness(false)
        // The spin bit shows the round trip to whoever listens.
        .allow_spin(false)
        .max_concurrent_uni_streams(VarInt::from_u32(TRANSFER_STREAMS_MAX))
        .crypto_buffer_size(CRYPTO_BUFFER_BYTES)
        // Datagrams only ask for a sign of life, and nobody reads what is in them.
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES);
    transport
}

/// Returns a limit of ours in milliseconds.
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Time for address tokens: the wall clock as it was at the start, then the monotonic one. So a token survives a
/// restart, and a jump of the wall clock spoils none.
#[derive(Debug)]
struct TokenTime {
    clock: Arc<dyn Clock>,
    start: (Minute, Instant),
}

impl TokenTime {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let start = (clock.wall(), clock.now());
        Self { clock, start }
    }
}

impl quinn::TimeSource for TokenTime {
    fn now(&self) -> SystemTime {
        let (wall, start) = self.start;
        UNIX_EPOCH + Duration::from_secs(wall.unix_seconds()) + self.clock.now().since(start)
    }
}

#[cfg(test)]
mod tests {
    use quinn::TimeSource;

    use super::*;

    #[derive(Debug)]
    struct StoppedClock(u64, u32);

    impl Clock for StoppedClock {
        fn now(&self) -> Instant {
            Instant::from_millis(self.0)
        }

        fn wall(&self) -> Minute {
            Minute(self.1)
        }
    }

    #[test]
    fn token_time_goes_on_from_the_wall_clock_of_the_start() {
        let mut time = TokenTime::new(Arc::new(StoppedClock(5_000, 10)));
        time.clock = Arc::new(StoppedClock(7_500, 99_999));
        assert_eq!(time.now(), UNIX_EPOCH + Duration::from_millis(602_500));
    }

    #[test]
    fn a_link_that_was_measured_belongs_to_a_class() {
        for (kbit, millis, class) in [
            (20, 700, LinkClass::Slowest),
            (60, 400, LinkClass::Slow),
            (48, 430, LinkClass::Slow),
            (128, 600, LinkClass::Satellite),
            (400, 100, LinkClass::Ordinary),
            (9_000, 20, LinkClass::Ordinary),
        ] {
            let measured = Measured { rate_bits: kbit * 1_000, round_trip: Duration::from_millis(millis) };
            assert_eq!(LinkClass::of(measured), class, "{measured:?}");
        }
    }

    #[test]
    fn what_leaves_early_leaves_room_for_the_handshake() {
        for class in [LinkClass::Slowest, LinkClass::Slow, LinkClass::Ordinary, LinkClass::Satellite] {
            let under_way = class.packets().0 * u64::from(PACKET_BYTES);
            assert!(class.early_bytes_max() as u64 <= under_way / 2, "{class:?}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let secrets = EndpointSecrets { reset_key: Secret([1; 32]), token_key: Secret([2; 32]) };
        assert_eq!(format!("{secrets:?}"), "EndpointSecrets(..)");
        assert_eq!(format!("{:?}", OwnIds::new(&secrets)), "OwnIds(..)");
    }

    #[test]
    fn a_relay_knows_its_connection_ids_again_and_takes_no_other_for_its_own() {
        let ids = |reset_key| {
            OwnIds::new(&EndpointSecrets { reset_key: Secret([reset_key; 32]), token_key: Secret([2; 32]) })
        };
        let id = ids(1).draw();
        assert!(ids(1).has(&id));
        assert!(!ids(3).has(&id), "another relay's");
        assert!(!ids(1).has(&ConnectionId::new(&[])) && !ids(1).has(&ConnectionId::new(&[7; 20])), "of other lengths");
    }
}

//! Every bound of the transport, with its unit and its reason. Relations are asserted when compiling.

use core::time::Duration;

use zajil_proto::limits::{FRAME_BODY_BYTES_MAX, TRANSFERS_OPEN_MAX};

/// Addresses one name may give. Two of each family are tried before anybody loses patience.
pub const ADDRESSES_PER_NAME_MAX: usize = 4;
/// Longest wait for a name, seconds. A resolver that has not answered by then has lost our question.
pub const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest handshake on either end, from its first byte. On 2G a lossless one takes 3 s; with the first retransmissions
/// at 1.8, 5.4 and 12.6 s this leaves four chances.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// Silence after which a QUIC handshake is begun anew. What it would repeat by itself it would repeat later and later.
pub const HANDSHAKE_SILENCE: Duration = Duration::from_secs(3);
/// How long QUIC runs alone before TLS over TCP joins the race. A QUIC reply takes 1.7 s on 20 kbit/s.
pub const TCP_HEAD_START: Duration = Duration::from_secs(3);
/// Between two addresses of one relay over the same transport (RFC 8305 §5 recommends 250 ms).
pub const ADDRESS_STAGGER: Duration = Duration::from_millis(250);

/// How long a TLS session may be taken up: what RFC 8446 §4.6.1 and rustls give a day is not kept longer, since its keys open
/// whatever early data is recorded on the way.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// TLS sessions that a relay gives with each connection: one for the next, and one for what is said at once while the link is gone. Each
/// takes about 110 B on the way.
pub const SESSIONS_GIVEN: usize = 2;
/// TLS sessions a relay keeps: two for each of 32 thousand telephones, more than one relay has places for. About 400 B each, 26 MB.
pub const SESSIONS_KEPT_MAX: usize = 65_536;
/// TLS sessions a device keeps of one relay: those of the last two connections. About 1 kB each.
pub const SESSIONS_PER_RELAY_MAX: usize = 4;
/// Address tokens that a relay gives with each connection. Each takes about 70 B on the way; without one the handshake is as long as ever,
/// and only what comes with it has to wait.
pub const TOKENS_GIVEN: u32 = 1;
/// Address tokens a device keeps of one relay.
pub const TOKENS_PER_RELAY_MAX: usize = 4;
/// How long an address token is good. Telephones change their address more often than that.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Bytes in which a relay notes the tokens it was shown, so that none counts twice.
pub const TOKEN_LOG_BYTES: usize = 1 << 20;
/// Tokens that are shown in one lifetime, as far as that was reckoned with.
pub const TOKENS_SHOWN: u64 = 500_000;
/// Bytes that a device on the slowest links says before the handshake is over: what 20 kbit/s carry until the relay has answered, a second
/// and a quarter. With 4 200 B, half of what may be under way at first, the handshake's own last packet stood two seconds in the queue,
/// and one connection of 41 hung on it for 15 s (gprs, seed 10).
pub const EARLY_BYTES_SLOWEST: usize = 3_200;
/// The same at 60 kbit/s: half of what may be under way at first. With 3 600 B a note took 1.29 times the limit, with this 1.27.
pub const EARLY_BYTES_SLOW: usize = 4_800;
/// The same on ordinary links: half of what may be under way at first.
pub const EARLY_BYTES_ORDINARY: usize = 6_000;
/// The same over a satellite: 128 kbit/s and three quarters of a second.
pub const EARLY_BYTES_SATELLITE: usize = 12_000;

/// Silence after which a connection is gone. With 30 s, up to a quarter of uploads on lossy 2G died of it.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a device makes its relay answer while nothing is awaited, so that address translators remember it: they forget UDP
/// after 30 s and more.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Silence after which who awaits something asks for a sign of life, in parts of a round trip, and its bounds. An answer resets
/// QUIC's growing probe timeout and shows what was lost at the end: p95 of a note on a link that loses a fifth fell from 6.1 to
/// 4.4 times the limit with 250 ms instead of 1 s. It costs 60 B each way.
pub const ASK_ROUND_TRIP_PARTS: u32 = 3;
/// Who has waited long, though the other end is heard, or does not give up, asks as often as this many times in the time that it has
/// waited, and at least every [`KEEP_ALIVE`]: a day of waiting costs 6 000 questions instead of 600 000.
pub const ASK_QUIET_PARTS: u32 = 40;
/// See [`ASK_ROUND_TRIP_PARTS`].
pub const ASK_AFTER_MIN: Duration = Duration::from_millis(100);
/// See [`ASK_ROUND_TRIP_PARTS`].
pub const ASK_AFTER_MAX: Duration = Duration::from_millis(250);
/// Silence after which a device that awaits something gives the connection up and dials anew: windows of links are ten seconds
/// long, and QUIC's probes sleep through them. In round trips, for a thin link's queue may hold seconds, and its bounds.
pub const STALL_ROUND_TRIPS: u32 = 4;
/// See [`STALL_ROUND_TRIPS`].
pub const STALL_AFTER_MIN: Duration = Duration::from_secs(3);
/// See [`STALL_ROUND_TRIPS`].
pub const STALL_AFTER_MAX: Duration = Duration::from_secs(15);
/// First guess of the round trip on ordinary links. A smaller one fires spurious probes of 1 200 B before a slow link can answer.
pub const INITIAL_RTT: Duration = Duration::from_millis(300);
/// The same on the slowest links, where one full packet takes half a second to send.
pub const INITIAL_RTT_SLOWEST: Duration = Duration::from_millis(600);
/// The same where only one packet shall leave within [`HANDSHAKE_SILENCE`]: QUIC repeats the first after three of these.
pub const UNHEARD_RTT: Duration = Duration::from_millis(1_100);
/// Networks of which a device remembers that UDP does not pass there.
pub const NETWORKS_MAX: usize = 16;
/// Bytes that IPv4 and UDP put before each datagram.
pub const IPV4_UDP_HEADER_BYTES: usize = 28;
/// The same of IPv6.
pub const IPV6_UDP_HEADER_BYTES: usize = 48;
/// Bytes of a full packet of ours.
pub const PACKET_BYTES: u32 = 1_200;
/// Rounds in which a link was full before it is known what it carries.
pub const MEASURED_ROUNDS_MIN: usize = 2;
/// Rounds of which the best tells that.
pub const MEASURED_ROUNDS_MAX: usize = 8;
/// A link that carries less than so many bits in a second is as slow as GPRS (20 kbit/s up).
pub const SLOWEST_BITS: u64 = 35_000;
/// One that carries less than so many is as slow as EDGE (60 kbit/s up).
pub const SLOW_BITS: u64 = 150_000;
/// One that is not as slow as GPRS and takes so long there and back goes by a satellite (600 ms; EDGE 400 ms).
pub const SATELLITE_ROUND_TRIP: Duration = Duration::from_millis(500);
/// Fewest packets that may be under way: below that a loss leaves nobody to tell of it.
pub const WINDOW_PACKETS_MIN: u64 = 4;
/// Most packets that may be under way: three times a satellite link's.
pub const WINDOW_PACKETS_MAX: u64 = 128;
/// Packets that shall stand in the narrowest queue, so that it never runs dry.
pub const STANDING_PACKETS: u64 = 5;
/// The same where a fifth and more is lost.
pub const STANDING_PACKETS_MAX: u64 = 16;
/// Packets over which loss is reckoned; those before them count by half.
pub const LOSS_MEMORY_PACKETS: u64 = 64;
/// For how long the least delay counts as that of an empty link. A path may change below us.
pub const BASE_DELAY_SPAN: Duration = Duration::from_secs(30);
/// Rounds in which a queue is let run empty when the least delay is to be measured anew: one to empty it, one to look.
pub const DRAINING_ROUNDS: u32 = 2;
/// Packets by which a window may exceed what was made use of: what was not tried is not known to fit.
pub const UNUSED_PACKETS: u64 = 4;
/// Rounds with fewer packets say nothing about a window: a question and its answer.
pub const ROUND_PACKETS_MIN: u64 = 4;
/// Packets a relay sends before anything is acknowledged: a satellite link's worth. The device grants less where less fits.
pub const RELAY_INITIAL_PACKETS: u64 = 40;
/// Probe timeouts until a link counts as congested to a standstill. Outages are ordinary here.
pub const PERSISTENT_CONGESTION_PROBES: u32 = 10;
/// Reordering before a packet counts as lost, in round trips. Radio links jitter.
pub const TIME_THRESHOLD: f32 = 1.25;

/// Bytes a relay lets one stream send ahead: a mark distance several times over.
pub const RELAY_STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// Bytes a relay lets one connection send ahead; what a stranger can pin.
pub const RELAY_WINDOW_BYTES: u32 = 128 << 10;
/// Bytes a relay keeps unacknowledged for one connection: bandwidth × delay of a satellite link down (39 KB). More
/// would lie in the queue of a thin link: with 128 KiB half of what a telephone on 40 kbit/s was sent lay behind a
/// hole when its link went (simulated storm 6).
pub const RELAY_SEND_WINDOW_BYTES: u64 = 40 << 10;
/// Bytes a device lets one stream send ahead: above bandwidth × delay of a satellite link (41 KB).
pub const DEVICE_STREAM_WINDOW_BYTES: u32 = 48 << 10;
/// Bytes a device lets its relay send ahead once the first of them have come: what a relay keeps unacknowledged at most.
/// Before that it is what its [class](crate::transport::LinkClass) of link holds, for a relay does not know the link and begins
/// with what the longest of them holds.
pub const DEVICE_WINDOW_BYTES: u32 = 48 << 10;
/// The same on the slowest links: more would lie in their queue, and overflow it.
pub const DEVICE_WINDOW_BYTES_SLOWEST: u32 = 20_000;
/// Bytes a device keeps unacknowledged.
pub const DEVICE_SEND_WINDOW_BYTES: u64 = 256 << 10;
/// Bytes of datagrams kept either way: signs of life, which are empty.
pub const DATAGRAM_BUFFER_BYTES: usize = 1_024;
/// Handshake bytes buffered out of order, before anybody has proven anything.
pub const CRYPTO_BUFFER_BYTES: usize = 8 << 10;
/// Streams a peer may have open at once, one for each transfer: twice what a machine keeps open. Those that are over take places
/// until all of them was read, and quinn tells of a place only when an eighth and one more are free: with eight streams and seven
/// transfers that waited for the machine, what the machine waited for found none, for ever.
pub const TRANSFER_STREAMS_MAX: u32 = 16;

/// Connections one listener holds, handshakes among them: 47 kB each with its session, so about 190 MB.
pub const CONNECTIONS_MAX: u32 = 4_096;
/// When less than one part in this many is free, a stranger must show that its address is its own: a QUIC Retry costs
/// it a round trip, and costs whoever forges addresses everything.
pub const CONNECTIONS_FREE_UNPROVEN_PARTS: usize = 4;
/// Finished handshakes that wait for the relay to take them.
pub const CONNECTIONS_READY_MAX: usize = 64;
/// First packets that may wait for the relay to look at them.
pub const INCOMING_MAX: usize = 1_024;
/// Bytes buffered for one such first packet.
pub const INCOMING_BUFFER_BYTES: u64 = 64 << 10;
/// Bytes buffered for all of them together.
pub const INCOMING_BUFFER_BYTES_TOTAL: u64 = 8 << 20;
/// Least time between two stateless resets. quinn's 20 ms would let 50 phones a second learn of a restart.
pub const RESET_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// Ports tried when any will do: UDP and TCP must both have the same one free.
pub const PORT_TRIES_MAX: usize = 16;
/// Bytes the kernel is asked to hold of datagrams that we have not read or that have not left. Linux gives 212 KB
/// unasked: a relay that is busy for a moment would lose packets of every device at once.
pub const UDP_BUFFER_BYTES: usize = 2 << 20;
/// TCP connections the kernel may hold for us to accept.
pub const TCP_BACKLOG: i32 = 1_024;
/// Pause after a failed `accept`: it fails for want of file descriptors, and at once again.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Silence on TCP until the kernel asks whether the peer is there, and between two such questions. With four questions
/// this comes to about [`IDLE_TIMEOUT`], and keeps address translators (30 minutes for TCP) aware of us.
pub const TCP_KEEP_ALIVE: Duration = Duration::from_secs(24);
/// Unanswered questions until TCP gives up.
pub const TCP_KEEP_ALIVE_RETRIES: u32 = 4;
/// Bytes the kernel holds unsent before it takes no more. What it holds cannot be overtaken by what matters more.
pub const TCP_UNSENT_BYTES_MAX: u32 = 16 << 10;
/// Bytes rustls holds encrypted and unsent, for the same reason; one record is at most 16 KB.
pub const TLS_BUFFER_BYTES: usize = 16 << 10;

/// Bytes read from one lane at a time; small, so that lanes take turns.
pub const READ_BYTES_MAX: usize = 8 << 10;
/// Bytes waiting to be sent above which a session reads no more and takes no more commands. Far above what a machine of
/// ours keeps in flight, so only a peer that asks and never reads the answers meets it.
pub const TRANSMIT_QUEUE_BYTES_MAX: usize = 512 << 10;
/// Events waiting for the program above which it must take some before its next command is taken.
pub const EVENTS_WAITING_MAX: usize = 1_024;
/// How long what was sent last may take to be acknowledged before the transport closes all the same.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a device stays after closing so that its last packet leaves the machine.
pub const CLOSE_LINGER: Duration = Duration::from_secs(1);

const _: () = assert!(TRANSFER_STREAMS_MAX as usize >= 2 * TRANSFERS_OPEN_MAX);
const _: () = assert!(RELAY_STREAM_WINDOW_BYTES as usize >= 2 * FRAME_BODY_BYTES_MAX);
const _: () =
    assert!(RELAY_STREAM_WINDOW_BYTES <= RELAY_WINDOW_BYTES && DEVICE_STREAM_WINDOW_BYTES <= DEVICE_WINDOW_BYTES);
const _: () = assert!(TRANSMIT_QUEUE_BYTES_MAX as u64 > RELAY_SEND_WINDOW_BYTES);
const _: () = assert!(UNHEARD_RTT.as_millis() * 3 > HANDSHAKE_SILENCE.as_millis());
const _: () = assert!(KEEP_ALIVE.as_secs() * 4 < IDLE_TIMEOUT.as_secs());

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
/// How long QUIC runs alone before TLS over TCP joins the race. A QUIC reply takes 1.7 s on 20 kbit/s.
pub const TCP_HEAD_START: Duration = Duration::from_secs(3);
/// Between two addresses of one relay over the same transport (RFC 8305 §5 recommends 250 ms).
pub const ADDRESS_STAGGER: Duration = Duration::from_millis(250);

/// Silence after which a connection is gone. With 30 s, up to a quarter of uploads on lossy 2G died of it.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a device makes its relay answer while a session runs. Each answer resets QUIC's growing probe timeout:
/// p95 of 20 KB on lossy 2G fell from 75 to 34 s.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// First guess of the round trip. A smaller one fires spurious probes of 1 200 B before a slow link can answer.
pub const INITIAL_RTT: Duration = Duration::from_millis(600);
/// The same on second-generation mobile links, where one full packet takes half a second to send.
pub const INITIAL_RTT_SECOND_GENERATION: Duration = Duration::from_millis(1_000);
/// Congestion window at the start, bytes: 10 packets.
pub const INITIAL_WINDOW_BYTES: u64 = 10 * 1_200;
/// Part of the window that stays after a loss. Loss on our links is mostly radio, not queues.
pub const LOSS_REDUCTION_FACTOR: f32 = 0.9;
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
pub const DEVICE_STREAM_WINDOW_BYTES: u32 = 128 << 10;
/// Bytes a device lets its relay send ahead.
pub const DEVICE_WINDOW_BYTES: u32 = 256 << 10;
/// Bytes a device keeps unacknowledged.
pub const DEVICE_SEND_WINDOW_BYTES: u64 = 256 << 10;
/// Handshake bytes buffered out of order, before anybody has proven anything.
pub const CRYPTO_BUFFER_BYTES: usize = 8 << 10;
/// Streams a peer may have open at once, one for each transfer: twice what a machine keeps open. Those that are over take places
/// until all of them was read, and quinn tells of a place only when an eighth and one more are free: with eight streams and seven
/// transfers that waited for the machine, what the machine waited for found none, for ever.
pub const TRANSFER_STREAMS_MAX: u32 = 16;

/// Connections one listener holds, handshakes among them: 26 kB each, so about 110 MB.
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
const _: () = assert!(KEEP_ALIVE.as_secs() * 4 < IDLE_TIMEOUT.as_secs());

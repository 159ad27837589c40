//! Every bound of the relay, with its unit and its reason. Relations are asserted when compiling.

use zajil_proto::limits::{PARCEL_BYTES_MAX, TOMBSTONE_EXTRA_HOURS};
use zajil_proto::time::Lifetime;

/// Bytes of bodies one mailbox may hold. About 400 notes of a minute: a month of a family's talk behind a blackout.
pub const MAILBOX_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Parcels one mailbox may hold. Small control parcels would else cost more in rows than in bytes.
pub const MAILBOX_PARCELS_MAX: u32 = 2_000;
/// Mailboxes and slots together at one relay. Each costs about 300 bytes of memory: 300 MB at the limit.
pub const SCOPES_MAX: usize = 1_000_000;
/// Tombstones at one relay. Each costs about 20 bytes of memory: 160 MB at the limit. Only tombstones of parcels that
/// nobody ever put are refused above it; one for a parcel that was here is always written.
pub const TOMBSTONES_MAX: usize = 8_000_000;
/// Parcels announced by their header of which no byte has come, at one relay. They live in memory only, about 400 bytes each.
pub const ANNOUNCED_MAX: usize = 16_384;

/// Share of the disk that is kept free for old promises, percent.
pub const RESERVE_PERCENT: u64 = 5;
/// The most that is kept free, bytes: a big disk need not idle 5 % for what a gigabyte does.
///
/// The reserve is the *smaller* of the two. What it protects is that releases, withdrawals, words and expiry, which all write
/// before they free anything, can always be committed. That takes the write-ahead log and one checkpoint, a few tens of
/// megabytes, on any disk; the larger of the two would take 1 GB from an 8 GB card, which is an eighth of what a small
/// relay has for people's notes.
pub const RESERVE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The least that is kept free, bytes: the write-ahead log at its largest, its checkpoint, and one batch.
pub const RESERVE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Steps in which expiry is filed and freed quota returns, minutes (6 hours). No time at rest is finer.
pub const STEP_MINUTES: u64 = 6 * 60;
/// The most store time one sweep may add, minutes. A caller with a broken clock cannot empty a store at one blow.
pub const SWEEP_MINUTES_MAX: u64 = STEP_MINUTES;
/// Parcels that one transaction of a sweep lets go. Bounds how long a release waits behind an expiring backlog.
pub const SWEEP_PARCELS_MAX: usize = 1_000;
/// Steps for which an announced parcel waits for its first byte. Two: at least six hours, whenever in a step it came.
pub const ANNOUNCED_STEPS: u32 = 2;
/// Steps for which a mailbox whose time is over still answers so (30 days); afterwards nobody remembers it.
pub const OVER_STEPS: u32 = 30 * 4;

/// Length of the periods in which the use of a mailbox or slot is remembered, minutes (30 days). Coarse, because it is a trace
/// of contact at rest.
pub const IDLE_PERIOD_MINUTES: u64 = 30 * 24 * 60;
/// A mailbox or slot goes when it was not used in its period nor in this many after it: 180 to 210 days.
pub const IDLE_PERIODS: u32 = 6;

/// Requests that may wait for the committer. At about 10 kB each they pin 10 MB.
pub const COMMITTER_QUEUE: usize = 1_024;
/// Requests in one commit. More gain nothing once the fsync is shared by this many.
pub const BATCH_REQUESTS_MAX: usize = 256;
/// Bytes in the write-ahead log after which it is copied into the database. Bounds recovery time and what the reserve must hold.
pub const WAL_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Free pages of the database given back to the file system per sweep. Bounds the time a sweep takes.
pub const VACUUM_PAGES_PER_SWEEP: u32 = 512;
/// Free pages kept for the next notes before any is given back: giving back and growing again costs flash.
pub const VACUUM_PAGES_KEPT: u64 = 4_096;
/// Most free pages of the database that are overwritten at once, when a day is over. With their log 18 MB are written at most, in a
/// second or two on the slowest cards; a longer list is given back to the file system first.
pub const SCRUB_PAGES_MAX: u64 = VACUUM_PAGES_KEPT;
/// Free bytes on the disk below which nothing is overwritten: the log of it must not be what fills the disk.
pub const SCRUB_FREE_BYTES_MIN: u64 = 2 * RESERVE_BYTES_MIN;
/// Longest body kept beside its description, bytes. Longer ones would make the scan at opening read them all.
pub const INLINE_BODY_BYTES_MAX: usize = 1_024;
/// Records in one page of an export. With the longest bodies a page takes 64 MB of memory.
pub const EXPORT_RECORDS_MAX: usize = 32;
/// Most bytes of a body in one read. Two marks' distances: a session hands out no more at a time.
pub const READ_BYTES_MAX: u32 = 64 * 1024;

/// Connections one relay serves at once, handshakes among them: what the transport's own bound allows. Whoever comes then is
/// refused at once and can try its next home.
pub const SESSIONS_MAX: u32 = zajil_net::limits::CONNECTIONS_MAX;
/// How long a ticket stands for the keys that were proven, hours. As long as the TLS session beside which it is shown.
pub const TICKET_HOURS: u64 = 24;
/// Tickets at one relay: one for each of 32 thousand devices, about 150 bytes of memory each beside their keys.
pub const TICKETS_MAX: usize = 32_768;
/// Mailboxes and slots of all tickets together, 17 bytes each. A device has five to two hundred.
pub const TICKET_KEYS_MAX: usize = 1_000_000;

/// Commands that wait for one session's machine. Answers of the store wait in the gateway, which the machine bounds.
pub const SESSION_COMMANDS_QUEUED_MAX: usize = 16;
/// Events of one session that wait to be carried out. The gateway takes them at once; more would only cost memory.
pub const SESSION_EVENTS_QUEUED_MAX: usize = 16;
/// Longest wait for open sessions when the relay stops, seconds. An honest session needs one fsync and one round trip; the
/// supervisors we know kill after 90.
pub const DRAIN_SECONDS_MAX: u64 = 10;
/// Between two sweeps of the store, seconds: the store's clock counts minutes.
pub const SWEEP_SECONDS: u64 = 60;
/// Sweeps after which the counters go to the log, at `debug` (6 hours): finer, a log would tell when people talk.
pub const SWEEPS_PER_COUNT: u32 = 6 * 60;
/// Addresses one relay listens at. Two families on four networks; each costs two sockets.
pub const LISTEN_ADDRESSES_MAX: usize = 8;

/// Operators who ask at once. There is one; a script that forgot to read must not shut them out.
pub const ADMIN_CONNECTIONS_MAX: usize = 4;
/// Longest time for one answer on the operator's socket, seconds. A disk under load answers `usage` in one.
pub const ADMIN_ANSWER_SECONDS_MAX: u64 = 5;
/// Longest answer on the operator's socket, bytes: all counters there are take 4 kB.
pub const ADMIN_ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// Pause after the operator's socket failed, milliseconds: it fails for want of file descriptors, and at once again.
pub const ADMIN_PAUSE_MILLIS: u64 = 100;

const _: () = assert!(MAILBOX_BYTES_MAX >= PARCEL_BYTES_MAX as u64);
const _: () = assert!(RESERVE_BYTES_MIN >= 2 * WAL_BYTES_MAX + 2 * PARCEL_BYTES_MAX as u64);
// What is overwritten at once, and its log, take no more of a disk than is asked for before.
const _: () = assert!(SCRUB_FREE_BYTES_MIN > SCRUB_PAGES_MAX * 2 * (2_048 + 24));
const _: () = assert!(RESERVE_BYTES_MIN <= RESERVE_BYTES_MAX);
const _: () = assert!(SWEEP_MINUTES_MAX <= STEP_MINUTES);
// A mailbox must outlive everything that may wait in it, and the memory of it.
const _: () = assert!(
    IDLE_PERIODS as u64 * IDLE_PERIOD_MINUTES > (Lifetime::LONGEST.hours() as u64 + TOMBSTONE_EXTRA_HOURS as u64) * 60
);

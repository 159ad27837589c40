//! Every bound of the protocol, with its unit and its reason. Relations are asserted when compiling.

/// Longest frame body, bytes (P1.2). Two 8 KiB bodies with room: a peer can pin no more than this before we act on it.
pub const FRAME_BODY_BYTES_MAX: usize = 16_384;
/// Longest body bytes in one `Body` frame. Small enough that a word never waits behind more than 3 s of it at 20 kbit/s.
pub const BODY_FRAME_BYTES_MAX: usize = 8_192;
/// Greatest distance between two marks, bytes (P3.7). A lost tail costs at most this much again.
pub const MARK_DISTANCE_BYTES_MAX: u32 = 8_192;
/// Longest sealed body, bytes (P3.3). Ten minutes at 16 kbit/s seal to 1.2 MB; the rest is room for a better profile.
pub const PARCEL_BYTES_MAX: u32 = 2 * 1024 * 1024;
/// Longest note, milliseconds. Ten minutes: what a window of 2G can still carry in one night.
pub const NOTE_MILLIS_MAX: u32 = 10 * 60 * 1000;
/// Bytes of content sealed into one chunk (P4.3).
pub const CHUNK_CONTENT_BYTES: usize = 1_008;
/// Bytes of one full sealed chunk (P4.3).
pub const CHUNK_BYTES: usize = 1_024;
/// Notes in one session (P4.9).
pub const SESSION_NOTES_MAX: u8 = 32;
/// Longest use of one session, hours (P4.9): 7 days.
pub const SESSION_HOURS_MAX: u32 = 7 * 24;
/// Control frames without acknowledgement per pair (P5.3). vodozemac keeps 40 skipped keys; 32 leaves room for late ones.
pub const CONTROL_UNACKNOWLEDGED_MAX: usize = 32;
/// Homes of a mailbox (P2.6).
pub const HOMES_MAX: usize = 3;
/// Longest address of a home, bytes (P2.6).
pub const ADDRESS_BYTES_MAX: usize = 80;
/// Longest text note, bytes of UTF-8 (P4.8).
pub const TEXT_BYTES_MAX: usize = 4_000;
/// Longest text of a last word, bytes of UTF-8 (P7.3).
pub const WORD_TEXT_BYTES_MAX: usize = 144;
/// Keys proven in one session. A device with 100 contacts has about 200 mailboxes and slots.
pub const PROOFS_PER_SESSION_MAX: usize = 512;
/// Transfers a peer may have open at once in a session. Eight streams keep a small relay's memory bounded.
pub const TRANSFERS_OPEN_MAX: usize = 8;
/// Ids in one `Watch` or `Release` (their count is one byte).
pub const IDS_PER_FRAME_MAX: usize = 255;
/// Entries of a link report (P7.6).
pub const LINKS_REPORTED_MAX: usize = 8;
/// Longest admission code, bytes (P8.9).
pub const ADMISSION_BYTES_MAX: usize = 64;
/// Longest text of a `Close` frame, bytes.
pub const CLOSE_TEXT_BYTES_MAX: usize = 128;
/// How long an invitation may be answered, hours (P6.3).
pub const INVITATION_HOURS: u16 = 7 * 24;
/// Hours a tombstone outlives the lifetime of its parcel: 15 days, the longest a hand-carried copy may be late.
pub const TOMBSTONE_EXTRA_HOURS: u32 = 15 * 24;

const _: () = assert!(BODY_FRAME_BYTES_MAX + 16 < FRAME_BODY_BYTES_MAX);
const _: () = assert!(CHUNK_CONTENT_BYTES + 16 == CHUNK_BYTES);
const _: () = assert!(MARK_DISTANCE_BYTES_MAX < PARCEL_BYTES_MAX);

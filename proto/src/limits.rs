//! Every bound of the protocol, with its unit and its reason. Relations are asserted when compiling.

/// Longest frame body, bytes (P1.2). Two 8 KiB bodies with room: a peer can pin no more than this before we act on it.
pub const FRAME_BODY_BYTES_MAX: usize = 16_384;
/// Longest body bytes in one `Body` frame. Small enough that a word never waits behind more than 3 s of it at 20
/// kbit/s.
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
/// Control frames without acknowledgement per pair (P5.3). vodozemac keeps 40 skipped keys; 32 leaves room for late
/// ones.
pub const CONTROL_UNACKNOWLEDGED_MAX: usize = 32;
/// Newest chains of the peer in which vodozemac still opens what comes late. Whoever has a frame unacknowledged in the oldest of so
/// many begins no other (simulated storm 1470: a session that came after five answers never opened, nor did 27 notes).
pub const CONTROL_CHAINS_KEPT: usize = 5;
/// Of those, how many only somebody may use who has taken many since they last acknowledged: two who have said all they may at the
/// same time would wait for each other's acknowledgement for ever (simulated disks 16). One is enough where nothing is lost.
pub const CONTROL_KEPT_FOR_ANSWERS: usize = 4;
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
/// Longest Opus packet without its TOC byte, bytes (P4.6): what two length bytes can say, and what RFC 6716 allows.
pub const PACKET_BYTES_MAX: usize = 1_274;
/// Longest row of contents in a 512-byte control frame, bytes (P5.1). Olm makes at most 489 of it, which is what fits.
pub const CONTENTS_SMALL_BYTES_MAX: usize = 300;
/// Longest row of contents in a 4 096-byte control frame, bytes (P5.1).
pub const CONTENTS_LARGE_BYTES_MAX: usize = 3_600;
/// Longest row of contents in a pairing reply, bytes: what the largest bundle, Olm and HPKE leave of 4 096, rounded
/// down.
pub const REPLY_CONTENTS_BYTES_MAX: usize = 900;
/// Receipts in one content (their count is one byte).
pub const RECEIPTS_MAX: usize = 255;
/// Members one roster link can list (their count is one byte). A family has 2 to 15.
pub const ROSTER_MEMBERS_MAX: usize = 255;
/// Longest text that is looked at as a pairing link, bytes. The longest link has 252; a whole message is not searched.
pub const LINK_TEXT_BYTES_MAX: usize = 2_048;

const _: () = assert!(BODY_FRAME_BYTES_MAX + 16 < FRAME_BODY_BYTES_MAX);
const _: () = assert!(CHUNK_CONTENT_BYTES + 16 == CHUNK_BYTES);
const _: () = assert!(MARK_DISTANCE_BYTES_MAX < PARCEL_BYTES_MAX);

// Sessions with a relay (P8).

/// Body bytes that our machines put into one `Body` frame. A cut loses the frame it falls into: 2 KiB cost 0.8 s at 20
/// kbit/s, and the frames' heads 0.5 %.
pub const BODY_SENT_BYTES_MAX: usize = 2 * 1024;
/// Bytes handed to the transport and not yet taken by it, before a machine offers it more of a parcel. Enough for 1 s
/// at 500 kbit/s; more would only let a word wait behind a note.
pub const UNFLUSHED_BYTES_MAX: usize = 64 * 1024;
/// Bytes of answers a peer may leave unread before the session ends: it asks and does not listen.
pub const ANSWERS_UNFLUSHED_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of bodies a device sends beyond what the relay has called durable. Fills a link of 1.3 Mbit/s at 200 ms, so
/// that ten minutes of voice take 6 s there. More would lie in the queue of a thin link: with 128 KiB a telephone on
/// 20 kbit/s had ten seconds on the way at any time, overflowed its queue, and lost whatever lay behind a hole
/// whenever the link went.
pub const UNACKNOWLEDGED_BYTES_MAX: usize = 32 * 1024;
/// Bytes of notes, together, that leave before the relay has said how much of them is there, where nobody knows the link: what a
/// thin one carries on a way there and back (4 KiB are 1.6 s at 20 kbit/s, 0.5 s at 60), so that nobody waits there, and no
/// more, because a relay may have all of it since a meeting that this device remembers nothing of. With 12 KiB for each of
/// six notes, a telephone on 20 kbit/s that met its relay for twenty seconds at a time sent the same beginnings
/// whenever it did (simulated storm 7).
pub const UNANSWERED_BYTES_MAX: u32 = 4 * 1024;
/// Bytes that a device says before the handshake is over, where nobody knows the link: half of what may be under way before
/// anything was measured, so that the last packet of the handshake itself finds room.
pub const EARLY_BYTES_MAX: usize = 4 * 1024;
/// Bytes left of that below which no parcel is begun or gone on with: a header, a mark and a chunk's beginning.
pub const EARLY_ROOM_BYTES_MIN: usize = 640;
/// Bytes on the control lane that a relay keeps while they wait for the end of the handshake, or for what a ticket stands for:
/// the proofs of a device with the most mailboxes and slots, and as many requests.
pub const HALTED_BYTES_MAX: usize = 256 * 1024;
/// The same for a parcel that was under way before or that the relay refused when it was last offered: one chunk, to
/// learn how far it is, or whether it is taken now. Of one that was refused no more leaves until some of it is durable: a
/// relay with a little room opened them all and refused their bytes, 94 KB every eight minutes (simulated disks 247).
pub const ASKING_BYTES_MAX: u32 = 1024;
/// Bytes of bodies a relay's session holds while its store works: what an honest device sends ahead, eight times, for
/// devices of another make may send more.
pub const UPLOAD_HELD_BYTES_MAX: usize = 8 * UNACKNOWLEDGED_BYTES_MAX;
/// Bytes that a relay takes on transfer lanes before a device's first words, whose packet may have been lost.
pub const EARLY_UPLOAD_BYTES_MAX: usize = UPLOAD_HELD_BYTES_MAX;
/// The same for a device before the relay's first words. Nothing but the link bounds what a relay sends ahead: one
/// resending of a lost packet takes 0.6 s, in which 50 Mbit/s bring this much.
pub const EARLY_DOWNLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a body without a mark at which a relay makes them durable; a lost relay costs a sender at most this much
/// again.
pub const UNSAVED_BYTES_MAX: usize = 4 * 1024;
/// Rest after the last bytes of a body at which a relay makes them durable, milliseconds.
pub const UNSAVED_REST_MILLIS: u64 = 1_000;
/// Silence after which a relay ends a session that watches nothing, milliseconds. As long as the transport's own idle
/// time.
pub const IDLE_MILLIS: u64 = 120_000;
/// Beginning of a voice note that goes before the rest of all notes, bytes: 4 s at 12 kbit/s tell who speaks and of
/// what.
pub const NOTE_BEGINNING_BYTES: u32 = 6 * 1024;
/// Voice notes a relay begins to send before it finishes some: a device holds a tail of each in memory.
pub const NOTES_BEGUN_MAX: usize = 64;
/// Half-received parcels a device keeps in memory, with a tail of at most 8 KiB each.
pub const PARTIALS_HELD_MAX: usize = 1_024;
/// Requests one session may have waiting at the store. A device with 200 mailboxes and 200 slots asks for all at once.
pub const STORE_REQUESTS_MAX: usize = 1_024;
/// Requests one device session may have waiting at a relay, and parcels it may have on offer.
pub const REQUESTS_WAITING_MAX: usize = 1_024;
/// Lanes a peer may have open: its transfers, and those whose end is still on the way. A transport that counts streams
/// allows fewer: many control parcels of 512 bytes fit what may be unflushed.
pub const LANES_MAX: usize = 256;
/// Ended transfers a session remembers, so that what is still on the way for them is dropped and not taken for a
/// mistake.
pub const TRANSFERS_REMEMBERED_MAX: usize = 256;
/// Parcels of one mailbox that a relay's session lines up at a time, about 300 bytes each.
pub const LISTED_MAX: usize = 512;
/// Parcels of one mailbox of which a session knows how far the device is, about 40 bytes each: twice a mailbox's quota.
pub const HELD_ENTRIES_MAX: usize = 4_096;

const _: () = assert!(BODY_SENT_BYTES_MAX <= BODY_FRAME_BYTES_MAX);
const _: () = assert!(UNACKNOWLEDGED_BYTES_MAX < UPLOAD_HELD_BYTES_MAX);
const _: () = assert!(UNSAVED_BYTES_MAX < MARK_DISTANCE_BYTES_MAX as usize);
const _: () = assert!(TRANSFERS_OPEN_MAX < LANES_MAX);
const _: () = assert!(NOTES_BEGUN_MAX < PARTIALS_HELD_MAX);

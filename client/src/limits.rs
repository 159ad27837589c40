//! Every bound of the device's side, with its unit and its reason. Relations are asserted when compiling.

use zajil_proto::limits::{CHUNK_BYTES, NOTE_MILLIS_MAX, PARCEL_BYTES_MAX};
use zajil_proto::time::Lifetime;

use crate::audio::SAMPLE_RATE;

// The device store.

/// Longest key of a record, bytes. The longest name in use is two 32-byte keys.
pub const RECORD_KEY_BYTES_MAX: usize = 64;
/// Longest value of a record, bytes. Twice the longest sealed body, so that no note ever needs a second record.
pub const RECORD_VALUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Parts of one record: one for its last put, one for each append since. A body appended chunk by chunk stays below it.
pub const RECORD_PARTS_MAX: usize = 4_096;
/// Operations in one batch. A batch is held in memory and in the write-ahead log at once.
pub const BATCH_OPERATIONS_MAX: usize = 4_096;
/// Bytes of keys and values in one batch. Two of the longest values and room for the records that go with them.
pub const BATCH_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Longest passphrase, bytes of UTF-8. Far above what anybody types; bounds what is hashed.
pub const PASSPHRASE_BYTES_MAX: usize = 1_024;
/// Most memory that a `keys` file may ask of Argon2id, KiB: 1 GiB. A damaged file must not exhaust the device.
pub const ARGON2_MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// Most passes that a `keys` file may ask of Argon2id. Same reason.
pub const ARGON2_PASSES_MAX: u32 = 64;
/// Most lanes that a `keys` file may ask of Argon2id. Same reason.
pub const ARGON2_LANES_MAX: u32 = 64;
/// Wrapped keys in a `keys` file: the index key and the eras. At one era a day a store lives 11 years before it must rewrap.
pub const STORE_KEYS_MAX: usize = 4_096;
/// Disk space that a home holds back, bytes: 16 MiB. The largest batch may fill the log before the disk refuses, and must then
/// move into the database before anything can be deleted.
pub const DISK_RESERVE_BYTES: u64 = 16 * 1024 * 1024;
/// Least disk space worth holding back, bytes: 2 MiB, for the log of ordinary commits.
pub const DISK_RESERVE_BYTES_MIN: u64 = 2 * 1024 * 1024;

const _: () = assert!(PARCEL_BYTES_MAX as usize <= RECORD_VALUE_BYTES_MAX / 2);
const _: () = assert!(RECORD_VALUE_BYTES_MAX <= RECORD_PARTS_MAX * CHUNK_BYTES);
const _: () = assert!(DISK_RESERVE_BYTES > BATCH_BYTES_MAX as u64 && DISK_RESERVE_BYTES > DISK_RESERVE_BYTES_MIN);
const _: () = assert!(BATCH_BYTES_MAX > 2 * (RECORD_VALUE_BYTES_MAX + RECORD_KEY_BYTES_MAX));

// Voice.

/// Seconds a note may last: what a person listens to, and 870 kB at the default profile, minutes of a 2G link.
pub const NOTE_SECONDS_MAX: u32 = NOTE_MILLIS_MAX / 1_000;

/// Samples at 48 kHz a note may have.
pub const NOTE_SAMPLES_MAX: u64 = NOTE_SECONDS_MAX as u64 * SAMPLE_RATE as u64;

/// Milliseconds a note must have: a spoken syllable takes 200, a word with its breath more; less is a slip of a finger.
pub const NOTE_MS_MIN: u32 = 700;

/// A recording whose loudest moment is below this level (dBFS, RMS of 60 ms) is silence: a good room has −65, soft
/// speech far from the microphone −50.
pub const SILENCE_DBFS: f32 = -60.0;

/// Bytes of one Opus packet: a single frame cannot have more (RFC 6716 §3.2.1), and P4.6 carries no more.
pub const OPUS_PACKET_BYTES_MAX: usize = 1_275;

/// Samples at 48 kHz of one Opus packet: 120 ms (RFC 6716 §3.2.5).
pub const OPUS_PACKET_SAMPLES_MAX: usize = 5_760;

/// Bytes of a file to import: an hour of studio WAV fits, so that "too long" can be said with the true length.
pub const IMPORT_FILE_BYTES_MAX: u64 = 1 << 30;

/// Channels of a file to import: surround sound has eight.
pub const IMPORT_CHANNELS_MAX: usize = 8;

/// Slowest rate of a file or a device, in samples a second: below it no speech is left.
pub const SAMPLE_RATE_MIN: u32 = 4_000;

/// Fastest rate of a file or a device, in samples a second: the highest that recorders have.
pub const SAMPLE_RATE_MAX: u32 = 192_000;

/// Samples at 48 kHz by which an imported file may pass the longest note; they are cut. 100 ms: coded files carry the
/// codec's delay and a padded last frame, so ten minutes of M4A are a little more than ten minutes.
pub const IMPORT_END_SLACK_SAMPLES: u64 = SAMPLE_RATE as u64 / 10;

/// Milliseconds of sound that may be missing from an MP3 against the count in its header: some encoders count that header
/// as a frame, and the longest frame has 72 ms.
pub const IMPORT_MISSING_MS_MAX: u64 = 80;

/// Packets of an imported file that may be lost, or one in a hundred if that is more: a click, not a missing word.
pub const IMPORT_LOST_PACKETS_MAX: u64 = 2;

/// Headers read while a container is walked: ten minutes of the shortest packets have a quarter of it.
pub const CONTAINER_STEPS_MAX: u32 = 1_000_000;

/// ID3 tags before the sound: more than two are never seen, endless ones would keep us reading.
pub const ID3_TAGS_MAX: u32 = 8;

/// Bytes in which the first frame of a bare stream must be found: three of the longest MP3 frames fit.
pub const STREAM_SEARCH_BYTES_MAX: usize = 8 * 1024;

/// Polls of a loudspeaker without any progress before it counts as dead, 50 ms each: 5 s, while a slow Bluetooth
/// loudspeaker takes 2 s to wake up.
pub const IDLE_DEVICE_POLLS_MAX: u32 = 100;

// --- Terminal and daemon ---------------------------------------------------------------------------------------------

/// Pixels of a picture in which a QR code is looked for: cameras of telephones make 12 to 50 million.
pub const PICTURE_PIXELS_MAX: u64 = 64_000_000;

/// Bytes unpacking a picture may take: its pixels in four colours of two bytes.
pub const PICTURE_BYTES_MAX: usize = 8 * 64_000_000;

/// Bytes of a recording on standard input, which is held in memory: ten minutes of studio stereo are 115 MB.
pub const STANDARD_INPUT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes of one message over the daemon's socket: a note of ten minutes in the largest packets there are has 12.8 MB.
pub const DAEMON_FRAME_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Commands the daemon serves at once: a person has a few terminals open, a page a few requests.
pub const DAEMON_CONNECTIONS_MAX: usize = 32;

/// Progress messages that may wait for one slow reader; further ones are left out, the answer never is.
pub const DAEMON_PROGRESS_QUEUE: usize = 64;

/// Milliseconds in which a command must have said what it wants of the daemon: it is on the same machine.
pub const DAEMON_REQUEST_MS_MAX: u64 = 10_000;

/// Milliseconds a command may take to read what the daemon wrote; a stopped one (Ctrl-Z) must not hold the engine up.
pub const DAEMON_WRITE_MS_MAX: u64 = 10_000;

/// Milliseconds the daemon gives commands under way to end when it stops.
pub const DAEMON_DRAIN_MS_MAX: u64 = 3_000;

/// Minutes without a request after which a daemon under a passphrase forgets its keys, if nobody chooses otherwise: four hours. Shorter,
/// and it would meet no relay while its owner works or sleeps; longer, and a phone taken at night would be open in the morning.
pub const DAEMON_LOCK_MINUTES: u32 = 4 * 60;

/// Most minutes that may be chosen for it: a week. Who wants longer wants it never to lock by itself.
pub const DAEMON_LOCK_MINUTES_MAX: u32 = 7 * 24 * 60;

/// Milliseconds a daemon whose home was destroyed has to forget its keys and end, before it is killed: it finishes nothing.
pub const DAEMON_ABANDON_MS_MAX: u64 = 1_000;

/// Milliseconds a command waits for another one to let go of the home: one that only looks takes far less.
pub const HOME_WAIT_MS_MAX: u64 = 5_000;

const _: () = {
    assert!(NOTE_SECONDS_MAX as u64 * 1_000 <= u32::MAX as u64, "durations travel as u32 milliseconds");
    assert!(NOTE_MS_MIN < NOTE_SECONDS_MAX * 1_000, "some length must be allowed");
    assert!(OPUS_PACKET_SAMPLES_MAX as u64 * 25 == SAMPLE_RATE as u64 * 3, "120 ms");
};

// The engine.

/// Bytes of sealed parcels on this device that wait for a relay or for their receipt: 1 GB, 300 hours of voice.
pub const OUTBOX_BYTES_MAX: u64 = 1_000_000_000;
/// What a disk that was full must have again, bytes, before a device fetches what waits by itself: what a relay sends ahead, and as
/// much again for the log of the store. With less, the same bytes would come at every meeting, be paid for, and be thrown away.
pub const FULL_DISK_FETCHES_BYTES_MIN: u64 = 128 << 10;
/// What such a disk must have before a device meets a relay by itself, bytes: what it notes there of what has left, some pages of the
/// store and of its log. With less, all that leaves would leave again.
pub const FULL_DISK_MEETS_BYTES_MIN: u64 = 32 << 10;
/// Contacts of one device. A session proves two keys for each, below `zajil_proto::limits::PROOFS_PER_SESSION_MAX`.
pub const CONTACTS_MAX: usize = 200;
/// Longest name of a contact, bytes of UTF-8: 50 Arabic letters, more than fits a line.
pub const NAME_BYTES_MAX: usize = 100;
/// Notes kept from one contact that cannot be opened: two sessions of them. What is beyond is let go.
pub const LOCKED_NOTES_MAX: usize = 64;
/// Pieces in which an incoming body is kept before they are joined: far below what one batch can delete.
pub const BODY_SEGMENTS_MAX: usize = 256;
/// Bytes of parcels on offer at once in one meeting. The rest waits on the disk for its turn.
pub const OFFERED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of memory that the engine holds at once, 24 MiB: what is on offer, and sealing or opening a note of the longest, which takes about ten
/// times its sealed length. A telephone of 512 MB ends programs in the background that take more. The simulated world holds the engine to it.
pub const MEMORY_BYTES_MAX: u64 = 24 * 1024 * 1024;
/// How often it is looked for parcels that have expired while a meeting goes on, minutes: lifetimes are whole hours.
pub const EXPIRY_MINUTES: u32 = 60;
/// Frames after which an acknowledgement is not put off (P5.3): half of what may be unacknowledged.
pub const ACKNOWLEDGED_AT_ONCE: u32 = 16;
/// How often it is looked for notes whose sound is to be erased while nothing calls for it, minutes: their times are whole days.
pub const FADING_MINUTES: u32 = 60;
/// Notes erased in one commit, three operations each: far below what a batch holds.
pub const ERASED_AT_ONCE: usize = 256;
/// Before a word that a relay refused is put there again in the same meeting, milliseconds. It costs a kilobyte.
pub const WORD_PAUSE_MILLIS: u64 = 30_000;
/// Before a relay that had no room for a mailbox or slot is asked for it again in the same meeting, milliseconds. It costs 300 bytes,
/// and until then nobody can write to its owner.
pub const REGISTER_PAUSE_MILLIS: u64 = 60_000;
/// Sessions kept from one contact: three a day for the 52 days that one is needed by default, and room. One who sends more than they
/// use is not listened to.
pub const SESSIONS_PER_CONTACT_MAX: usize = 256;
/// Parcels that are durable here and that a relay has not said it let go, of which a daemon remembers that; 64 bytes each. As many as a
/// mailbox has room for; what is beyond comes twice if a link breaks just then.
pub const RELEASES_KEPT_MAX: usize = 2_048;
/// Age at which the outer key of a pair is renewed, minutes: 30 days. A renewal costs 10 kB both ways; what a stolen key opens ends
/// with it. After as long a step of it that had no effect is told again: a frame that is lost for good was lost by then.
pub const RENEWAL_MINUTES: u32 = 30 * 24 * 60;
/// Relays met at once. Each costs 30 kB and a socket.
pub const LINKS_MAX: usize = 32;
/// Relays of which this program remembers how to meet them sooner. About 5 kB each.
pub const RELAYS_REMEMBERED_MAX: usize = LINKS_MAX;
/// How long a relay's ticket is shown, hours: an hour less than it counts, for it is older than it seems here by the time of its way, and
/// one that is not known costs a connection.
pub const TICKET_SHOWN_HOURS_MAX: u64 = 23;
/// Commands waiting for one link's session. What is beyond waits in the engine.
pub const LINK_COMMANDS_QUEUED_MAX: usize = 64;
/// Events of one session waiting for its link's task.
pub const LINK_EVENTS_QUEUED_MAX: usize = 16;
/// Events of all links waiting for the engine.
pub const HOST_EVENTS_QUEUED_MAX: usize = 64;
/// Steps of progress waiting to be shown; what finds no room is left out.
pub const PROGRESS_QUEUED_MAX: usize = 64;
/// Requests under way at once. A person has two hands; a script that asks for more is told to wait.
pub const REQUESTS_WAITING_MAX: usize = 32;
/// How long pairing may take, milliseconds: two meetings on a slow link.
pub const PAIRING_MILLIS: u64 = 30_000;
/// How long hanging up may take, milliseconds. What is not said by then is said at the next meeting.
pub const FINISH_MILLIS_MAX: u64 = 3_000;
/// From one dial of a relay to the next, milliseconds, while it may be there again at any moment: windows of a link are seconds long.
pub const HUNT_OFTEN_MILLIS: u64 = 3_000;
/// How long after the last sign of it, milliseconds: half an hour, which costs 750 kB.
pub const HUNT_OFTEN_FOR_MILLIS: u64 = 30 * 60_000;
/// From one dial to the next after that, milliseconds.
pub const HUNT_SELDOM_MILLIS: u64 = 15_000;
/// How long after the last sign, milliseconds: six hours, which cost 1.6 MB more.
pub const HUNT_SELDOM_FOR_MILLIS: u64 = 6 * 60 * 60_000;
/// From one dial to the next after that, milliseconds: who is without a link for hours is so for days, and each try takes from the
/// battery and 1.8 MB a day.
pub const HUNT_RARELY_MILLIS: u64 = 60_000;
/// Bytes a day that looking for relays may cost before it is done every minute only: more than one relay costs that is out of reach for
/// a whole day (3.8 MB).
pub const PROBE_BYTES_PER_DAY_MAX: u64 = 4_000_000;
/// Of so many dials one tries TLS over TCP too: a link that drops UDP is found in 12 seconds.
pub const HUNT_TLS_EACH: u32 = 4;
/// Milliseconds one such dial may take once it was answered: nothing was heard before, so another may be better.
pub const HUNT_TRY_MILLIS_MAX: u64 = 8_000;
/// Receipts and acknowledgements that need not go at once leave after at least this long, minutes: their time tells nothing then.
pub const LATER_MINUTES_MIN: u32 = 60;
/// And after at most this long, minutes: within a day.
pub const LATER_MINUTES_MAX: u32 = 24 * 60;

const _: () = assert!(ERASED_AT_ONCE * 3 < BATCH_OPERATIONS_MAX);
const _: () = assert!(MEMORY_BYTES_MAX >= OFFERED_BYTES_MAX + 6 * PARCEL_BYTES_MAX as u64);
// Who comes back within two renewals finds every frame of the first still waiting.
const _: () = assert!(2 * RENEWAL_MINUTES < Lifetime::LONGEST.hours() as u32 * 60);
const _: () = assert!(CONTACTS_MAX * 2 < zajil_proto::limits::PROOFS_PER_SESSION_MAX);
const _: () = assert!(LATER_MINUTES_MIN < LATER_MINUTES_MAX);
const _: () = assert!(ACKNOWLEDGED_AT_ONCE as usize * 2 == zajil_proto::limits::CONTROL_UNACKNOWLEDGED_MAX);
// Who has said all they may leaves the other so much to take that an answer may use what is kept for it.
const _: () = assert!(
    ACKNOWLEDGED_AT_ONCE as usize + zajil_proto::limits::CONTROL_KEPT_FOR_ANSWERS
        <= zajil_proto::limits::CONTROL_UNACKNOWLEDGED_MAX
);

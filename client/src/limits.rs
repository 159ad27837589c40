//! Every bound of the device's side, with its unit and its reason. Relations are asserted when compiling.

use zajil_proto::limits::{CHUNK_BYTES, NOTE_MILLIS_MAX, PARCEL_BYTES_MAX};

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

const _: () = assert!(PARCEL_BYTES_MAX as usize <= RECORD_VALUE_BYTES_MAX / 2);
const _: () = assert!(RECORD_VALUE_BYTES_MAX <= RECORD_PARTS_MAX * CHUNK_BYTES);
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

const _: () = {
    assert!(
        NOTE_SECONDS_MAX as u64 * 1_000 <= u32::MAX as u64,
        "durations travel as u32 milliseconds"
    );
    assert!(NOTE_MS_MIN < NOTE_SECONDS_MAX * 1_000, "some length must be allowed");
    assert!(OPUS_PACKET_SAMPLES_MAX as u64 * 25 == SAMPLE_RATE as u64 * 3, "120 ms");
};

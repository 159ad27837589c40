//! Every bound of the client, each with its unit and its reason.

use crate::audio::SAMPLE_RATE;

// --- Voice -----------------------------------------------------------------------------------------------------------

/// Seconds a note may last: what a person listens to, and 870 kB at the default profile, minutes of a 2G link.
pub const MAX_NOTE_SECONDS: u32 = 600;

/// Samples at 48 kHz a note may have.
pub const MAX_NOTE_SAMPLES: u64 = MAX_NOTE_SECONDS as u64 * SAMPLE_RATE as u64;

/// Milliseconds a note must have: a spoken syllable takes 200, a word with its breath more; less is a slip of a finger.
pub const MIN_NOTE_MS: u32 = 700;

/// A recording whose loudest moment is below this level (dBFS, RMS of 60 ms) is silence: a good room has −65, soft
/// speech far from the microphone −50.
pub const SILENCE_DBFS: f32 = -60.0;

/// Bytes of one Opus packet: a single frame cannot have more (RFC 6716 §3.2.1), and P4.6 carries no more.
pub const MAX_OPUS_PACKET_BYTES: usize = 1_275;

/// Samples at 48 kHz of one Opus packet: 120 ms (RFC 6716 §3.2.5).
pub const MAX_OPUS_PACKET_SAMPLES: usize = 5_760;

/// Bytes of a file to import: an hour of studio WAV fits, so that "too long" can be said with the true length.
pub const MAX_IMPORT_FILE_BYTES: u64 = 1 << 30;

/// Channels of a file to import: surround sound has eight.
pub const MAX_IMPORT_CHANNELS: usize = 8;

/// Slowest rate of a file or a device, in samples a second: below it no speech is left.
pub const MIN_DEVICE_RATE: u32 = 4_000;

/// Fastest rate of a file or a device, in samples a second: the highest that recorders have.
pub const MAX_DEVICE_RATE: u32 = 192_000;

/// Samples at 48 kHz by which an imported file may pass the longest note; they are cut. 100 ms: coded files carry the
/// codec's delay and a padded last frame, so ten minutes of M4A are a little more than ten minutes.
pub const IMPORT_END_SLACK_SAMPLES: u64 = SAMPLE_RATE as u64 / 10;

/// Milliseconds of sound that may be missing against the count in the file: delay and padding are counted differently.
pub const TRUNCATION_TOLERANCE_MS: u64 = 150;

/// Packets of an imported file that may be lost, or one in a hundred if that is more: a click, not a missing word.
pub const MAX_LOST_PACKET_SHARE: u64 = 2;

/// Headers read while a container is walked: ten minutes of the shortest packets have a quarter of it.
pub const MAX_CONTAINER_STEPS: u32 = 1_000_000;

/// ID3 tags before the sound: more than two are never seen, endless ones would keep us reading.
pub const MAX_ID3_TAGS: u32 = 8;

/// Bytes in which the first frame of a bare stream must be found: three of the longest MP3 frames fit.
pub const MAX_STREAM_SEARCH_BYTES: usize = 8 * 1024;

/// Polls of a loudspeaker without any progress before it counts as dead, 50 ms each: 5 s, while a slow Bluetooth
/// loudspeaker takes 2 s to wake up.
pub const MAX_IDLE_DEVICE_POLLS: u32 = 100;

const _: () = {
    assert!(MAX_NOTE_SECONDS as u64 * 1_000 <= u32::MAX as u64, "durations travel as u32 milliseconds");
    assert!(MIN_NOTE_MS < MAX_NOTE_SECONDS * 1_000, "some length must be allowed");
    assert!(MAX_OPUS_PACKET_SAMPLES as u64 * 25 == SAMPLE_RATE as u64 * 3, "120 ms");
};

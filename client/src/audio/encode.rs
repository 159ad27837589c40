//! From sound to Opus packets: a whole recording, or one that is still being spoken.

use std::fmt;

use opus::{Application, Bitrate, Channels, Signal};
use thiserror::Error;

use crate::audio::profile::Profile;
use crate::audio::{Pcm, SAMPLE_RATE, SAMPLES_PER_MS, duration_ms};
use crate::limits::{NOTE_SAMPLES_MAX, NOTE_SECONDS_MAX, OPUS_PACKET_BYTES_MAX};

/// Samples of one frame, and so of one packet: 60 ms, the longest that one Opus frame can be.
///
/// A third of the framing bytes of 20 ms and slightly better speech; the delay means nothing to a note.
pub const FRAME_SAMPLES: usize = 60 * SAMPLES_PER_MS as usize;

/// Samples at the start of the decoded sound that are the codec's own delay (RFC 7845 §4.2), in every note.
pub const PRE_SKIP: u16 = 312;

/// Work that the encoder may do, 0 to 10. 10 is worth as much as a third more bytes and costs 0.8 % of one core.
const COMPLEXITY: i32 = 10;

/// Why sound could not become packets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// There is no sound at all.
    #[error("there is nothing to encode")]
    Empty,
    /// A note lasts ten minutes at most.
    #[error("the recording lasts {got_s} s; a note may last {max_s} s")]
    TooLong {
        /// Seconds of the recording, rounded up.
        got_s: u64,
        /// Seconds a note may last.
        max_s: u32,
    },
    /// The encoder changed its mode within a note, which forced settings prevent.
    ///
    /// The TOC byte is stored once per note; sending on would make the note unreadable.
    #[error("the voice encoder changed its mode in mid-note (TOC {got:#04x}, expected {expected:#04x})")]
    TocChanged {
        /// First byte of the new packet.
        got: u8,
        /// First byte of all packets before it.
        expected: u8,
    },
    /// This libopus has another delay than the one that every receiver cuts off.
    #[error("the voice encoder has a delay of {got} samples, expected {expected}")]
    Delay {
        /// Samples at 48 kHz.
        got: i32,
        /// Samples at 48 kHz, see [`PRE_SKIP`].
        expected: u16,
    },
    /// libopus gave no packet.
    #[error("the voice encoder failed: {reason}")]
    Library {
        /// libopus's own words.
        reason: &'static str,
    },
}

impl From<opus::Error> for EncodeError {
    fn from(error: opus::Error) -> Self {
        Self::Library { reason: error.description() }
    }
}

/// A recording in Opus packets, as it is sealed, exported or decoded. `Debug` shows no byte of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    /// How it was coded.
    pub profile: Profile,
    /// The first byte of every packet (RFC 6716 §3.1).
    pub toc: u8,
    /// Whole Opus packets of 60 ms, TOC byte first, 2 to 1 275 bytes each.
    pub packets: Vec<Vec<u8>>,
    /// Length of the sound without the codec's delay and without the padding of the last frame, in samples at 48 kHz.
    pub samples_48k: u64,
    /// Samples to cut off at the start of the decoded sound, [`PRE_SKIP`].
    pub pre_skip: u16,
}

impl Encoded {
    /// Length in milliseconds, a started millisecond counted whole.
    #[must_use]
    pub fn duration_ms(&self) -> u32 {
        duration_ms(self.samples_48k)
    }

    /// Bytes of all packets, TOC bytes included.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.packets.iter().map(Vec::len).sum()
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded")
            .field("profile", &self.profile)
            .field("toc", &self.toc)
            .field("packets", &self.packets.len())
            .field("samples_48k", &self.samples_48k)
            .finish_non_exhaustive()
    }
}

/// Encodes a whole recording.
///
/// # Errors
///
/// [`EncodeError::Empty`] and [`EncodeError::TooLong`] are about the recording; the others mean that libopus is not the
/// one this was built for.
pub fn encode(pcm: &Pcm, profile: Profile) -> Result<Encoded, EncodeError> {
    let mut encoder = Encoder::new(profile)?;
    let mut packets = encoder.push(&pcm.samples)?;
    let end = encoder.finish()?;
    packets.extend(end.packets);
    Ok(Encoded { profile, toc: end.toc, packets, samples_48k: end.samples_48k, pre_skip: PRE_SKIP })
}

/// Encodes a recording while it is being made: sound in, finished packets out.
pub struct Encoder {
    opus: opus::Encoder,
    profile: Profile,
    /// Less than one frame of sound that waits for more.
    pending: Vec<f32>,
    /// The TOC byte, known from the first packet on.
    toc: Option<u8>,
    /// Samples given to `push` so far.
    samples_48k: u64,
}

/// What is known only when the recording has ended.
#[derive(Clone, PartialEq, Eq)]
pub struct End {
    /// The last packets, one or two.
    pub packets: Vec<Vec<u8>>,
    /// The first byte of every packet.
    pub toc: u8,
    /// Length of the recording in samples at 48 kHz.
    pub samples_48k: u64,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").field("samples_48k", &self.samples_48k).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Sets up an encoder for one note.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Library`] or [`EncodeError::Delay`], never because of the sound.
    pub fn new(profile: Profile) -> Result<Self, EncodeError> {
        let mut opus = opus::Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Voip)?;
        opus.set_signal(Signal::Voice)?;
        opus.set_complexity(COMPLEXITY)?;
        opus.set_vbr(true)?;
        // The quality figures behind the profiles were measured with free variable bitrate.
        opus.set_vbr_constraint(false)?;
        opus.set_bitrate(Bitrate::Bits(profile.bits_per_second()))?;
        // Before the bandwidth itself: at 16 kbit/s and more libopus would else use hybrid modes, which score lower.
        opus.set_max_bandwidth(profile.bandwidth())?;
        opus.set_bandwidth(profile.bandwidth())?;
        // Loss is repaired by sending again, and DTX clips soft word edges.
        opus.set_inband_fec(false)?;
        opus.set_dtx(false)?;
        let delay = opus.get_lookahead()?;
        if delay != i32::from(PRE_SKIP) {
            return Err(EncodeError::Delay { got: delay, expected: PRE_SKIP });
        }
        Ok(Self { opus, profile, pending: Vec::with_capacity(FRAME_SAMPLES), toc: None, samples_48k: 0 })
    }

    /// Takes mono samples at 48 kHz, any number of them, and gives the packets that became whole.
    ///
    /// Samples beyond ±1.0 are limited, those that are no number are taken as silence.
    ///
    /// # Errors
    ///
    /// [`EncodeError::TooLong`] if the recording would pass ten minutes; nothing of `samples` is taken then.
    pub fn push(&mut self, samples: &[f32]) -> Result<Vec<Vec<u8>>, EncodeError> {
        let total = self.samples_48k.saturating_add(u64::try_from(samples.len()).unwrap_or(u64::MAX));
        if total > NOTE_SAMPLES_MAX {
            let got_s = total.div_ceil(u64::from(SAMPLE_RATE));
            return Err(EncodeError::TooLong { got_s, max_s: NOTE_SECONDS_MAX });
        }
        self.samples_48k = total;
        let mut packets = Vec::new();
        let mut rest = samples;
        while !rest.is_empty() {
            let missing = FRAME_SAMPLES - self.pending.len();
            let (taken, later) = rest.split_at(missing.min(rest.len()));
            self.pending.extend(taken.iter().map(|sample| if sample.is_nan() { 0.0 } else { sample.clamp(-1.0, 1.0) }));
            rest = later;
            if self.pending.len() == FRAME_SAMPLES {
                packets.push(self.frame()?);
            }
        }
        Ok(packets)
    }

    /// Ends the recording: fills the last frame with silence, and adds one if the codec's delay still holds sound.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Empty`] if there never was a sample.
    pub fn finish(mut self) -> Result<End, EncodeError> {
        if self.samples_48k == 0 {
            return Err(EncodeError::Empty);
        }
        let mut owed = self.pending.len() + usize::from(PRE_SKIP);
        let mut packets = Vec::new();
        while owed > 0 {
            self.pending.resize(FRAME_SAMPLES, 0.0);
            packets.push(self.frame()?);
            owed = owed.saturating_sub(FRAME_SAMPLES);
        }
        // INVARIANT: samples_48k > 0, so the loop ran at least once and a frame set the TOC byte.
        let toc = self.toc.ok_or(EncodeError::Empty)?;
        Ok(End { packets, toc, samples_48k: self.samples_48k })
    }

    /// The first byte of every packet, once there is one.
    #[must_use]
    pub fn toc(&self) -> Option<u8> {
        self.toc
    }

    /// Samples taken so far, at 48 kHz.
    #[must_use]
    pub fn samples_48k(&self) -> u64 {
        self.samples_48k
    }

    /// How it codes.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Encodes the full frame in `pending` and empties it.
    fn frame(&mut self) -> Result<Vec<u8>, EncodeError> {
        let packet = self.opus.encode_vec_float(&self.pending, OPUS_PACKET_BYTES_MAX)?;
        self.pending.clear();
        let got = *packet.first().ok_or(EncodeError::Library { reason: "it gave an empty packet" })?;
        let expected = *self.toc.get_or_insert(got);
        if got == expected { Ok(packet) } else { Err(EncodeError::TocChanged { got, expected }) }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("profile", &self.profile)
            .field("samples_48k", &self.samples_48k)
            .finish_non_exhaustive()
    }
}

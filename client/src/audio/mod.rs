//! Voice: from any sound file to Opus packets, and from Opus packets to ears and files.
//!
//! The way of one note, file by file:
//!
//! | step | file |
//! |---|---|
//! | a file becomes mono 48 kHz sound, or a clear refusal | [`import`] |
//! | sound becomes Opus packets, whole or as it is spoken | [`encode`], with the settings of [`profile`] |
//! | what the listener sees before playing: waveform, loudness | [`level`] |
//! | packets become sound again, from strangers too | [`decode`] (the C library is called in `ffi` only) |
//! | sound reaches a loudspeaker | [`play`] (feature `sound`) |
//! | sound leaves as a file | [`export`] |
//! | any rate becomes 48 kHz, and 48 kHz any rate | `resample` |
//!
//! Nothing here reads a clock or knows a path; a source is a reader, a destination is a writer.

pub mod decode;
pub mod encode;
pub mod export;
mod ffi;
pub mod import;
#[cfg(test)]
mod import_tests;
pub mod level;
pub mod play;
pub mod profile;
mod resample;
#[cfg(test)]
mod voice_tests;

use std::fmt;

/// Samples in one second of [`Pcm`].
///
/// Opus, its container and every device of today speak 48 kHz; one rate everywhere means one resampler, at the border.
pub const SAMPLE_RATE: u32 = 48_000;

/// Samples in one millisecond of [`Pcm`].
pub const SAMPLES_PER_MS: u32 = SAMPLE_RATE / 1_000;

/// Mono sound at 48 kHz, full scale at ±1.0.
///
/// Values outside ±1.0 are allowed and are limited where they leave (encoder, file, device). `Debug` shows the length
/// and never a sample: this is somebody's voice.
#[derive(Clone, Default, PartialEq)]
pub struct Pcm {
    /// The samples, in order of time.
    pub samples: Vec<f32>,
}

impl Pcm {
    /// Wraps samples that are mono and 48 kHz already.
    #[must_use]
    pub fn new(samples: Vec<f32>) -> Self {
        Self { samples }
    }

    /// Length in samples at 48 kHz.
    #[must_use]
    pub fn samples_48k(&self) -> u64 {
        u64::try_from(self.samples.len()).unwrap_or(u64::MAX)
    }

    /// Length in milliseconds, a started millisecond counted whole.
    #[must_use]
    pub fn duration_ms(&self) -> u32 {
        duration_ms(self.samples_48k())
    }
}

impl fmt::Debug for Pcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pcm").field("samples_48k", &self.samples_48k()).finish_non_exhaustive()
    }
}

/// Milliseconds that hold `samples` at 48 kHz, a started millisecond counted whole.
///
/// The wire says durations in milliseconds; rounding up never cuts a last sample.
#[must_use]
pub fn duration_ms(samples: u64) -> u32 {
    u32::try_from(samples.div_ceil(u64::from(SAMPLES_PER_MS))).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_sound_shows_its_length_and_no_sample() {
        let text = format!("{:?}", Pcm::new(vec![0.123_456; 96]));
        assert_eq!(text, "Pcm { samples_48k: 96, .. }");
    }

    #[test]
    fn a_started_millisecond_counts_whole() {
        assert_eq!(Pcm::new(vec![0.0; 48]).duration_ms(), 1);
        assert_eq!(Pcm::new(vec![0.0; 49]).duration_ms(), 2);
        assert_eq!(Pcm::default().duration_ms(), 0);
    }
}

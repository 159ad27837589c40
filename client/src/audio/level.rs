//! What can be said of a recording before anybody plays it: a waveform, how loud it is, whether it is silence.

use std::fmt;
use std::ops::Range;

use crate::audio::{Pcm, SAMPLES_PER_MS};
use crate::limits::SILENCE_DBFS;

/// Peaks in a [`Waveform`].
pub const PEAKS: usize = 48;

/// Bytes of a packed [`Waveform`]: 48 peaks of 4 bits.
pub const WAVEFORM_BYTES: usize = PEAKS / 2;

/// Highest value of one peak.
pub const PEAK_MAX: u8 = 15;

/// A step of one in a peak is this many decibels.
const PEAK_STEP_DB: f32 = 3.0;

/// Peaks below this are 0.
const PEAK_FLOOR_DBFS: f32 = -45.0;

/// Window over which silence is judged: long enough that a click does not count as sound, shorter than a syllable.
const SILENCE_WINDOW: usize = 60 * SAMPLES_PER_MS as usize;

/// The outline of a note: 48 equal parts, each with its highest peak on a logarithmic scale.
///
/// A value `v` from 1 to 15 means that the loudest sample of that part is at least `-48 + 3·v` dBFS: 1 is −45 dBFS, 15
/// is −3 dBFS and more; 0 is anything softer. `Debug` hides the values: the outline of speech says something about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Waveform([u8; PEAKS]);

impl Waveform {
    /// Measures a recording. One shorter than 48 samples has some empty parts, which are 0.
    #[must_use]
    pub fn of(pcm: &Pcm) -> Self {
        let thresholds = peak_thresholds();
        let mut peaks = [0; PEAKS];
        for (part, peak) in peaks.iter_mut().enumerate() {
            let loudest = pcm
                .samples
                .get(part_range(part, pcm.samples.len()))
                .unwrap_or_default()
                .iter()
                .fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
            for threshold in thresholds {
                *peak += u8::from(loudest >= threshold);
            }
        }
        Self(peaks)
    }

    /// The 48 values, each 0 to 15.
    #[must_use]
    pub fn peaks(&self) -> &[u8; PEAKS] {
        &self.0
    }

    /// 24 bytes, the earlier peak of each pair in the high half (docs/PROTOCOL.md, P4.7).
    #[must_use]
    pub fn pack(&self) -> [u8; WAVEFORM_BYTES] {
        let mut packed = [0; WAVEFORM_BYTES];
        let (pairs, _) = self.0.as_chunks::<2>();
        for (byte, [high, low]) in packed.iter_mut().zip(pairs) {
            *byte = (high << 4) | low;
        }
        packed
    }

    /// Reads what [`Waveform::pack`] wrote. Every input is valid.
    #[must_use]
    pub fn unpack(packed: [u8; WAVEFORM_BYTES]) -> Self {
        let mut peaks = [0; PEAKS];
        let (pairs, _) = peaks.as_chunks_mut::<2>();
        for ([high, low], byte) in pairs.iter_mut().zip(packed) {
            *high = byte >> 4;
            *low = byte & 0x0f;
        }
        Self(peaks)
    }
}

impl fmt::Debug for Waveform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waveform(..)")
    }
}

/// How loud a recording is: whole decibels below full scale, 0 to 255.
///
/// The mean power (RMS) of the 60 ms windows that are not silence, so that pauses do not make a voice look soft. A
/// full-scale square wave is 0, ordinary speech 15 to 35, a recording that is silence 255. It is not a loudness in the
/// sense of EBU R 128: nothing is weighted by frequency.
#[must_use]
pub fn loudness(pcm: &Pcm) -> u8 {
    let floor = amplitude(SILENCE_DBFS).powi(2);
    let heard: Vec<f64> = pcm.samples.chunks(SILENCE_WINDOW).map(power).filter(|power| *power >= floor).collect();
    if heard.is_empty() {
        return u8::MAX;
    }
    let windows = u32::try_from(heard.len()).unwrap_or(u32::MAX);
    let mean = heard.iter().sum::<f64>() / f64::from(windows);
    let below = (-10.0 * mean.log10()).round().clamp(0.0, 254.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=254 the line before")]
    let below = below as u8;
    below
}

/// Whether nothing in the recording rises above about −60 dBFS.
///
/// Judged on 60 ms windows around their own mean, so neither one click nor a constant offset counts as sound.
#[must_use]
pub fn is_silent(pcm: &Pcm) -> bool {
    let floor = amplitude(SILENCE_DBFS).powi(2);
    pcm.samples.chunks(SILENCE_WINDOW).all(|window| power(window) < floor)
}

/// Linear amplitude of a level in dBFS.
fn amplitude(dbfs: f32) -> f64 {
    10.0_f64.powf(f64::from(dbfs) / 20.0)
}

/// Mean power of a window around its mean, 1.0 for a full-scale square wave; 0 for an empty one.
fn power(window: &[f32]) -> f64 {
    let Ok(count) = u32::try_from(window.len()) else {
        return 0.0;
    };
    if count == 0 {
        return 0.0;
    }
    let count = f64::from(count);
    let mean = window.iter().map(|sample| f64::from(*sample)).sum::<f64>() / count;
    window.iter().map(|sample| (f64::from(*sample) - mean).powi(2)).sum::<f64>() / count
}

/// The amplitude from which a peak is at least 1, 2, … 15.
fn peak_thresholds() -> [f32; PEAK_MAX as usize] {
    let mut dbfs = PEAK_FLOOR_DBFS;
    [(); PEAK_MAX as usize].map(|()| {
        let threshold = 10.0_f32.powf(dbfs / 20.0);
        dbfs += PEAK_STEP_DB;
        threshold
    })
}

/// The samples of part `part` of 48.
fn part_range(part: usize, samples: usize) -> Range<usize> {
    // u128: the product of two lengths cannot overflow it.
    let edge = |part: usize| usize::try_from(part as u128 * samples as u128 / PEAKS as u128).unwrap_or(samples);
    edge(part)..edge(part + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A sine of `seconds` at `level` of full scale.
    fn tone(seconds: f32, level: f32) -> Pcm {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive test length")]
        let samples = (seconds * 48_000.0) as u32;
        Pcm::new((0..samples).map(|n| level * (n as f32 * 0.05).sin()).collect())
    }

    #[test]
    fn peaks_follow_the_loudness_over_time() {
        let mut pcm = tone(1.0, 1.0);
        pcm.samples.extend(tone(1.0, 0.001).samples);
        let peaks = *Waveform::of(&pcm).peaks();
        assert!(peaks[..24].iter().all(|peak| *peak == 15), "{peaks:?}");
        assert!(peaks[24..].iter().all(|peak| *peak == 0), "{peaks:?}");
    }

    #[test]
    fn a_peak_of_minus_twenty_decibels_is_nine() {
        // -48 + 3·9 = -21 <= -20 < -18
        assert_eq!(Waveform::of(&Pcm::new(vec![0.1; 480])).peaks(), &[9; PEAKS]);
    }

    #[test]
    fn very_short_and_empty_recordings_have_a_waveform() {
        assert_eq!(Waveform::of(&Pcm::default()).peaks(), &[0; PEAKS]);
        assert_eq!(Waveform::of(&Pcm::new(vec![1.0])).peaks().iter().filter(|peak| **peak == 15).count(), 1);
    }

    #[test]
    fn the_earlier_peak_is_in_the_high_half() {
        let mut packed = [0; WAVEFORM_BYTES];
        packed[0] = 0xa1;
        let peaks = *Waveform::unpack(packed).peaks();
        assert_eq!(peaks[..3], [0xa, 0x1, 0]);
    }

    #[test]
    fn loudness_is_the_power_of_what_is_heard_and_not_of_the_pauses() {
        let mut pcm = Pcm::new(vec![0.0; 48_000]);
        pcm.samples.extend(tone(1.0, 0.1).samples); // a sine at -20 dBFS peak is -23 dBFS RMS
        assert_eq!(loudness(&pcm), 23);
        assert_eq!(loudness(&tone(1.0, 1.0)), 3);
        assert_eq!(loudness(&Pcm::default()), 255);
    }

    #[test]
    fn soft_speech_is_not_silence_but_a_click_and_an_offset_are() {
        assert!(!is_silent(&tone(1.0, 0.003)), "-53 dBFS RMS");
        assert!(is_silent(&tone(1.0, 0.001)), "-63 dBFS RMS");
        assert!(is_silent(&Pcm::new(vec![0.25; 48_000])), "a constant offset");
        let mut click = vec![0.0; 48_000];
        click[100] = 0.05;
        assert!(is_silent(&Pcm::new(click)), "one click");
        assert!(is_silent(&Pcm::default()));
    }

    proptest! {
        #[test]
        fn packing_loses_nothing(packed: [u8; WAVEFORM_BYTES]) {
            prop_assert_eq!(Waveform::unpack(packed).pack(), packed);
        }

        #[test]
        fn any_float_at_all_can_be_measured(samples in proptest::collection::vec(any::<f32>(), 0..4_000)) {
            let pcm = Pcm::new(samples);
            prop_assert!(Waveform::of(&pcm).peaks().iter().all(|peak| *peak <= PEAK_MAX));
            let _ = loudness(&pcm);
            let _ = is_silent(&pcm);
        }
    }
}

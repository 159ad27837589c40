//! From one rate to another, piece by piece, so that memory holds the result only.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};

use thiserror::Error;

use crate::limits::{SAMPLE_RATE_MAX, SAMPLE_RATE_MIN};

/// Samples per step at the source's rate: long enough for a steep filter, and one step is one transform.
const STEP: usize = 1_024;

/// A rate that no recorder and no loudspeaker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a rate of {from} or {to} samples a second is not supported")]
pub(super) struct UnsupportedRate {
    /// Samples a second of the source.
    from: u32,
    /// Samples a second that are wanted.
    to: u32,
}

/// Turns mono sound of one rate into another; the length is the source's, to the sample, rounded up.
pub(super) struct Resampler {
    from: u32,
    to: u32,
    /// `None` if both rates are the same.
    fft: Option<Fft<f32>>,
    /// Samples that wait for a full step.
    pending: Vec<f32>,
    /// One step of output.
    step: Vec<f32>,
    taken: u64,
    made: Vec<f32>,
}

impl Resampler {
    /// Sets up a resampler, which may hold about as much memory as one second of sound.
    pub(super) fn new(from: u32, to: u32) -> Result<Self, UnsupportedRate> {
        let known = SAMPLE_RATE_MIN..=SAMPLE_RATE_MAX;
        if !known.contains(&from) || !known.contains(&to) {
            return Err(UnsupportedRate { from, to });
        }
        let fft = if from == to { None } else { Some(transform(from, to)?) };
        let step = fft.as_ref().map_or(0, Fft::output_frames_max);
        Ok(Self { from, to, fft, pending: Vec::new(), step: vec![0.0; step], taken: 0, made: Vec::new() })
    }

    /// Takes the next samples. What is no number is taken as silence, what is far beyond full scale is limited.
    pub(super) fn push(&mut self, samples: &[f32]) {
        self.taken += u64::try_from(samples.len()).unwrap_or_default();
        let sound = samples.iter().map(|sample| if sample.is_nan() { 0.0 } else { sample.clamp(-4.0, 4.0) });
        let Some(fft) = &mut self.fft else {
            self.made.extend(sound);
            return;
        };
        self.pending.extend(sound);
        let mut used = 0;
        while let Some(input) = self.pending.get(used..).filter(|input| input.len() >= fft.input_frames_next()) {
            match run(fft, input, None, &mut self.step, &mut self.made) {
                0 => break,
                taken => used += taken,
            }
        }
        self.pending.drain(..used.min(self.pending.len()));
    }

    /// Ends the sound: pushes out what the filter still holds, cuts its delay off the start.
    pub(super) fn finish(mut self) -> Vec<f32> {
        let Some(fft) = &mut self.fft else { return self.made };
        let wanted = (self.taken * u64::from(self.to)).div_ceil(u64::from(self.from));
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let delay = fft.output_delay();
        while self.made.len() < delay.saturating_add(wanted) {
            let (left, before) = (self.pending.len(), self.made.len());
            run(fft, &self.pending, Some(left), &mut self.step, &mut self.made);
            self.pending.clear();
            if self.made.len() == before {
                break;
            }
        }
        self.made.drain(..delay.min(self.made.len()));
        self.made.truncate(wanted);
        self.made
    }
}

fn transform(from: u32, to: u32) -> Result<Fft<f32>, UnsupportedRate> {
    let unsupported = UnsupportedRate { from, to };
    let (Ok(from), Ok(to)) = (usize::try_from(from), usize::try_from(to)) else {
        return Err(unsupported);
    };
    Fft::new_custom(from, to, STEP, 1, 1, WindowFunction::BlackmanHarris2, FixedSync::Both).map_err(|_| unsupported)
}

/// One step; `partial` says that fewer samples than a step are there. Returns the samples used.
///
/// INVARIANT: `step` has the resampler's largest output and `input` what it asked for, so no buffer is ever refused; were
/// one, nothing would be used or made, and the callers stop.
fn run(fft: &mut Fft<f32>, input: &[f32], partial: Option<usize>, step: &mut [f32], made: &mut Vec<f32>) -> usize {
    let room = step.len();
    let Ok(source) = InterleavedSlice::new(input, 1, input.len()) else {
        return 0;
    };
    let Ok(mut destination) = InterleavedSlice::new_mut(step, 1, room) else {
        return 0;
    };
    let indexing = partial.map(|length| Indexing::new().partial_len(length));
    let Ok((used, written)) = fft.process_into_buffer(&source, &mut destination, indexing.as_ref()) else {
        return 0;
    };
    made.extend(step.iter().take(written));
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sine of 100 Hz at `rate`, one second, in uneven pieces.
    fn second(rate: u32) -> Vec<f32> {
        let sound: Vec<f32> =
            (0..rate).map(|n| (std::f32::consts::TAU * 100.0 * n as f32 / rate as f32).sin()).collect();
        let mut resampler = Resampler::new(rate, 48_000).unwrap();
        for piece in sound.chunks(777) {
            resampler.push(piece);
        }
        resampler.finish()
    }

    #[test]
    fn one_second_of_any_rate_is_one_second_of_the_same_tone() {
        for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 47_999, 48_000, 96_000, 192_000] {
            let sound = second(rate);
            assert_eq!(sound.len(), 48_000, "{rate}");
            // In the middle, away from the edges that the filter sees as steps.
            for (n, sample) in sound.iter().enumerate().skip(4_000).take(40_000) {
                let expected = (std::f32::consts::TAU * 100.0 * n as f32 / 48_000.0).sin();
                // 3 samples of shift, 60 µs, which odd lengths of the filter give, are 0.04.
                assert!((sample - expected).abs() < 0.05, "{rate}: sample {n} is {sample}, expected {expected}");
            }
        }
    }

    #[test]
    fn rates_that_no_recorder_has_are_refused() {
        for rate in [0, 1, 3_999, 192_001, u32::MAX] {
            assert!(Resampler::new(rate, 48_000).is_err() && Resampler::new(48_000, rate).is_err(), "{rate}");
        }
    }

    #[test]
    fn numbers_that_are_none_become_silence() {
        let mut resampler = Resampler::new(16_000, 48_000).unwrap();
        resampler.push(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY].repeat(1_000));
        assert!(resampler.finish().iter().all(|sample| sample.is_finite()));
    }

    #[test]
    fn sound_shorter_than_one_step_keeps_its_length() {
        let mut resampler = Resampler::new(44_100, 48_000).unwrap();
        resampler.push(&[0.5; 10]);
        assert_eq!(resampler.finish().len(), 11);
    }
}

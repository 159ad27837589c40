//! Many channels to one.
//!
//! The mean of left and right, which is the usual rule, halves a voice that a headset or a broken cable puts into one
//! ear, and erases one that is in both ears with opposite sign. So it is listened first: the mean of the channels in which
//! something is, unless they cancel each other; then the loudest alone.

/// A channel this much weaker in power than the loudest (20 dB) holds hum or nothing, and is left out.
const ACTIVE_SHARE: f64 = 0.01;

/// If the mean has less than this share (−9 dB) of the loudest channel's power, the channels cancel each other.
const CANCELLED_SHARE: f64 = 0.125;

/// Sums of products of every pair of channels.
#[derive(Debug)]
pub(super) struct Correlation {
    channels: usize,
    /// Row by row, `channels × channels`.
    sums: Vec<f64>,
}

impl Correlation {
    /// For so many channels; sound with another number of them is not added.
    pub(super) fn new(channels: usize) -> Self {
        Self { channels, sums: vec![0.0; channels * channels] }
    }

    /// Adds one piece of sound, a slice per channel.
    pub(super) fn add(&mut self, planes: &[Vec<f32>]) {
        if planes.len() != self.channels {
            return;
        }
        let pairs = planes.iter().flat_map(|left| planes.iter().map(move |right| (left, right)));
        for (sum, (left, right)) in self.sums.iter_mut().zip(pairs) {
            let product: f64 = left.iter().zip(right).map(|(l, r)| f64::from(*l) * f64::from(*r)).sum();
            if product.is_finite() {
                *sum += product;
            }
        }
    }

    /// How much of each channel goes into the one.
    pub(super) fn weights(&self) -> Weights {
        let rows: Vec<&[f64]> = self.sums.chunks(self.channels.max(1)).collect();
        let power: Vec<f64> = rows.iter().zip(0..).filter_map(|(row, n): (_, usize)| row.get(n)).copied().collect();
        let (loudest, top) = power
            .iter()
            .enumerate()
            .fold((0, 0.0), |best: (usize, f64), (n, power)| if *power > best.1 { (n, *power) } else { best });
        let active: Vec<bool> = power.iter().map(|power| *power >= top * ACTIVE_SHARE).collect();
        let count: f64 = active.iter().map(|active| f64::from(u8::from(*active))).sum();
        let both = |row: usize, column: usize| {
            active.get(row).copied().unwrap_or(false) && active.get(column).copied().unwrap_or(false)
        };
        let together: f64 = rows
            .iter()
            .enumerate()
            .flat_map(|(row, sums)| sums.iter().enumerate().map(move |(column, sum)| (row, column, *sum)))
            .filter(|(row, column, _)| both(*row, *column))
            .map(|(_, _, sum)| sum)
            .sum();
        if count > 0.0 && together / (count * count) >= top * CANCELLED_SHARE {
            #[expect(clippy::cast_possible_truncation, reason = "1 ÷ a small whole number; precision does not matter")]
            let share = (1.0 / count) as f32;
            Weights(active.into_iter().map(|active| if active { share } else { 0.0 }).collect())
        } else {
            Weights((0..power.len()).map(|n| if n == loudest { 1.0 } else { 0.0 }).collect())
        }
    }
}

/// Factor of each channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights(Vec<f32>);

impl Weights {
    /// Mixes one piece of sound into `mixed`, whose old content goes.
    pub(super) fn mix(&self, planes: &[Vec<f32>], mixed: &mut Vec<f32>) {
        mixed.clear();
        mixed.resize(planes.first().map_or(0, Vec::len), 0.0);
        for (plane, weight) in planes.iter().zip(&self.0) {
            for (sum, sample) in mixed.iter_mut().zip(plane) {
                *sum += weight * sample;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice() -> Vec<f32> {
        (0..4_800).map(|n| 0.5 * (n as f32 * 0.05).sin()).collect()
    }

    fn other_voice() -> Vec<f32> {
        (0..4_800).map(|n| 0.5 * (n as f32 * 0.031).sin()).collect()
    }

    fn weights(planes: &[Vec<f32>]) -> Vec<f32> {
        let mut correlation = Correlation::new(planes.len());
        correlation.add(planes);
        correlation.weights().0
    }

    #[test]
    fn a_voice_in_one_ear_keeps_its_full_level() {
        assert_eq!(weights(&[vec![0.0; 4_800], voice()]), [0.0, 1.0]);
        let hum: Vec<f32> = voice().iter().map(|sample| sample * 0.05).collect();
        assert_eq!(weights(&[voice(), hum]), [1.0, 0.0]);
    }

    #[test]
    fn the_same_voice_in_both_ears_keeps_its_level_too() {
        assert_eq!(weights(&[voice(), voice()]), [0.5, 0.5]);
    }

    #[test]
    fn two_people_in_two_ears_are_both_heard() {
        assert_eq!(weights(&[voice(), other_voice()]), [0.5, 0.5]);
    }

    #[test]
    fn opposite_signs_do_not_erase_the_voice() {
        let negative: Vec<f32> = voice().iter().map(|sample| -sample).collect();
        assert_eq!(weights(&[voice(), negative]), [1.0, 0.0]);
    }

    #[test]
    fn silence_in_every_channel_is_mixed_to_silence() {
        let planes = [vec![0.0; 480], vec![0.0; 480]];
        let mut mixed = vec![9.0];
        Weights(weights(&planes)).mix(&planes, &mut mixed);
        assert_eq!(mixed, vec![0.0; 480]);
    }

    #[test]
    fn six_channels_of_which_one_speaks_give_that_one() {
        let mut planes = vec![vec![0.0; 4_800]; 6];
        planes[2] = voice();
        assert_eq!(weights(&planes), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    }
}

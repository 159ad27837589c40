/// A million: shares and chances are parts of it.
pub(super) const MILLION: u32 = 1_000_000;

/// A seeded generator of 64-bit values: `SplitMix64` (Steele, Lea, Flood 2014). Not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Draws(u64);

impl Draws {
    /// Starts the stream of one purpose. Streams of one seed are as independent as two seeds are.
    pub(super) fn new(seed: u64, purpose: u64) -> Self {
        // Mixed twice: neighbouring seeds and purposes must not lie on one another's path.
        Self(mix(mix(seed) ^ mix(purpose.wrapping_add(STEP))))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Says yes with this chance, in parts of a million. It always draws, so that a stream's position is the number of
    /// questions asked, whatever the chances were.
    pub(super) fn says_yes(&mut self, parts: u32) -> bool {
        self.next() % u64::from(MILLION) < u64::from(parts)
    }

    /// Returns a number from 0 up to and including `most`, all alike.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(count) => self.next() % count,
            None => self.next(),
        }
    }

    /// Returns a length with this mean, exponentially distributed; at most 37 times the mean.
    pub(super) fn exponential(&mut self, mean: core::time::Duration) -> core::time::Duration {
        mean.mul_f64(-self.share().ln())
    }

    /// Returns a number of mean 0 and standard deviation 1, normally distributed (Box and Muller 1958). It draws twice.
    pub(super) fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.share(), self.share());
        (-2.0 * radius.ln()).sqrt() * (core::f64::consts::TAU * angle).cos()
    }

    /// Returns a number between 0 and 1, neither of them.
    fn share(&mut self) -> f64 {
        // 53 bits are what a float holds; half a step away from zero, whose logarithm is infinite.
        const STEPS: f64 = (1_u64 << 53) as f64;
        ((self.next() >> 11) as f64 + 0.5) / STEPS
    }
}

/// The most that [`Draws::normal`] can differ from zero: the root of −2 ln 2^−54 is 8.65.
pub(super) const NORMAL_MAX: u32 = 9;

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Joins a seed and what it is for into the seed of that.
pub(crate) fn seed_for(seed: u64, name: &[u8]) -> u64 {
    name.iter().fold(mix(seed.wrapping_add(STEP)), |seed, byte| mix(seed.wrapping_add(STEP) ^ u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_repeats_and_two_purposes_differ() {
        let drawn = |seed, purpose| {
            let mut draws = Draws::new(seed, purpose);
            (0..50).map(|_| draws.next()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7, 1), drawn(7, 1));
        assert_ne!(drawn(7, 1), drawn(7, 2));
        assert_ne!(drawn(7, 1), drawn(8, 1));
    }

    #[test]
    fn a_chance_is_met_as_often_as_it_says() {
        let mut draws = Draws::new(1, 1);
        let met = (0..100_000).filter(|_| draws.says_yes(50_000)).count();
        assert!((4_700..5_300).contains(&met), "{met}");
        assert!((0..1_000).all(|_| !draws.says_yes(0) && draws.says_yes(MILLION)));
    }

    #[test]
    fn an_exponential_length_has_the_mean_asked_for() {
        let mut draws = Draws::new(3, 1);
        let mean = core::time::Duration::from_millis(100);
        let sum: core::time::Duration = (0..100_000).map(|_| draws.exponential(mean)).sum();
        assert!((sum.as_secs_f64() / 10_000.0 - 1.0).abs() < 0.02, "{sum:?}");
    }

    #[test]
    fn a_normal_number_has_mean_zero_and_deviation_one() {
        let mut draws = Draws::new(3, 1);
        let drawn: Vec<f64> = (0..100_000).map(|_| draws.normal()).collect();
        let mean = drawn.iter().sum::<f64>() / 100_000.0;
        let variance = drawn.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / 100_000.0;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        assert!(drawn.iter().all(|number| number.abs() < f64::from(NORMAL_MAX)));
        // Two thirds lie within one deviation: what is uniform with the same variance has 58 %.
        let near = drawn.iter().filter(|number| number.abs() < 1.0).count();
        assert!((67_000..69_500).contains(&near), "{near}");
    }
}

//! Chance that can be played again: everything random in a test comes from one printed seed.

use zajil_proto::random::{self, Random};

/// A seeded generator (SplitMix64). Good enough for tests, and for nothing else.
#[derive(Debug, Clone)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// Plays the chance of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Takes the seed from the environment variable `name`, or draws one. Prints it, so that a failure can be played
    /// again.
    pub fn from_environment(name: &str) -> Self {
        let drawn = || u64::from_be_bytes(random::bytes(&mut zajil_net::SystemRandom::new()));
        let given = std::env::var(name).ok().map(|text| text.parse().expect("the seed is a whole number"));
        let seed = given.unwrap_or_else(drawn);
        println!("play this again with {name}={seed}");
        Self::new(seed)
    }

    /// Draws 64 bits.
    pub const fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws a number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// Says yes in `percent` of a hundred cases.
    pub const fn happens(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns other chance, told from that of other labels, without drawing: what one part of a test draws does not
    /// shift what another gets.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        // FNV-1a: labels are few and short, and SplitMix64 spreads what it is given.
        let hash = label
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut fork = Self { state: self.state ^ hash };
        Self { state: fork.draw() }
    }

    /// Draws a number from `low` to `high`, both included; `low` if there is nothing between them.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.below((high - low).saturating_add(1)) }
    }

    /// Draws a place in a list of `length` things, of which there is at least one.
    pub fn place(&mut self, length: usize) -> usize {
        let bound = u64::try_from(length).expect("a length");
        usize::try_from(self.below(bound)).expect("below a length")
    }

    /// Draws one of `things`, of which there is at least one.
    pub fn pick<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.place(things.len())]
    }

    /// Draws one of `things` by their weights, of which at least one is not 0.
    pub fn weighted<'a, T>(&mut self, things: &'a [(u64, T)]) -> &'a T {
        let mut left = self.below(things.iter().map(|(weight, _)| weight).sum());
        for (weight, thing) in things {
            if left < *weight {
                return thing;
            }
            left -= weight;
        }
        unreachable!("what is below the sum of the weights falls to one of them")
    }

    /// Puts `things` in any order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.place(last + 1));
        }
    }

    /// Draws a number of which `quantiles` tells how it is spread: (per mille, value), both rising, from 0 to 1000 per
    /// mille; straight between them. Any distribution, and no logarithm, whose last bit may differ from machine to
    /// machine.
    pub fn spread(&mut self, quantiles: &[(u64, u64)]) -> u64 {
        let millionth = self.below(1_000_000);
        let above =
            quantiles.iter().position(|(mille, _)| mille * 1_000 > millionth).expect("they go up to 1000 per mille");
        let ((low_at, low), (high_at, high)) = (quantiles[above.saturating_sub(1)], quantiles[above]);
        let (part, whole) = (millionth - low_at * 1_000, (high_at - low_at) * 1_000);
        ((high - low) * part).checked_div(whole).map_or(high, |more| low + more)
    }

    /// Draws how long it takes until something happens that happens every `mean` (exponentially spread, at most 44
    /// times the mean, at least 1).
    pub fn wait(&mut self, mean: u64) -> u64 {
        // -ln(u) = ln 2 * -log2(u). The whole part of the logarithm counts leading zeros, 16 more bits come by
        // squaring.
        let drawn = self.draw() | 1;
        let zeros = drawn.leading_zeros();
        let mut mantissa = u128::from(drawn << zeros);
        let mut fraction = 0_u64;
        for _ in 0..16 {
            mantissa = (mantissa * mantissa) >> 63;
            fraction <<= 1;
            if mantissa >> 64 != 0 {
                mantissa >>= 1;
                fraction |= 1;
            }
        }
        let minus_log2 = ((u64::from(zeros) + 1) << 16) - fraction;
        let scaled = (u128::from(mean) * u128::from(minus_log2) * 45_426) >> 32; // 45,426 = ln 2 * 2^16
        u64::try_from(scaled).unwrap_or(u64::MAX).max(1)
    }
}

impl Random for Chance {
    fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.draw().to_be_bytes()[..part.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_part_draws_does_not_shift_another() {
        let root = Chance::new(7);
        let mut early = root.fork("b");
        let mut talkative = root.fork("a");
        for _ in 0..100 {
            talkative.draw();
        }
        let mut late = root.fork("b");
        assert_eq!(early.draw(), late.draw());
        assert_ne!(root.fork("a").draw(), root.fork("b").draw());
    }

    #[test]
    fn waits_have_the_mean_and_the_median_of_the_exponential_distribution() {
        let mut chance = Chance::new(1);
        let mut waits: Vec<u64> = (0..20_001).map(|_| chance.wait(1_000_000)).collect();
        waits.sort_unstable();
        let mean = waits.iter().sum::<u64>() / 20_001;
        assert!((970_000..1_030_000).contains(&mean), "the mean is {mean}");
        assert!((670_000..716_000).contains(&waits[10_000]), "the median is {}", waits[10_000]);
    }

    #[test]
    fn spread_numbers_keep_their_quantiles() {
        let mut chance = Chance::new(1);
        let mut drawn: Vec<u64> = (0..20_001).map(|_| chance.spread(&[(0, 1), (500, 12), (1_000, 600)])).collect();
        drawn.sort_unstable();
        assert_eq!(drawn[0], 1);
        assert!((11..=20).contains(&drawn[10_000]), "the median is {}", drawn[10_000]);
        assert!(*drawn.last().unwrap() < 600);
    }

    #[test]
    fn everything_is_drawn_of_a_weighted_list_but_what_weighs_nothing() {
        let mut chance = Chance::new(1);
        let drawn: std::collections::BTreeSet<char> =
            (0..1_000).map(|_| *chance.weighted(&[(1, 'a'), (0, 'b'), (20, 'c')])).collect();
        assert_eq!(drawn, ['a', 'c'].into());
    }
}

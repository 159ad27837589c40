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

    /// Takes the seed from the environment variable `name`, or draws one. Prints it, so that a failure can be played again.
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
}

impl Random for Chance {
    fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.draw().to_be_bytes()[..part.len()]);
        }
    }
}

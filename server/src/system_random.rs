//! The operating system's randomness behind proto's argument.

use ring::rand::{SecureRandom, SystemRandom as Ring};
use zajil_proto::random::Random;

/// Draws from the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        if Ring::new().fill(bytes).is_err() {
            // No key may come from a broken source, and nothing sensible can go on without one.
            std::process::abort();
        }
    }
}

use ring::rand::SecureRandom;
use zajil_proto::random::Random;

/// The operating system's generator of random bytes, behind proto's argument.
///
/// Ends the process when the system has none to give: a key from a broken source would betray everything it ever seals,
/// and no caller could do anything better.
#[derive(Debug, Clone)]
pub struct SystemRandom {
    source: ring::rand::SystemRandom,
}

impl SystemRandom {
    /// Returns the system's generator. Reads nothing yet.
    pub fn new() -> Self {
        Self { source: ring::rand::SystemRandom::new() }
    }
}

impl Default for SystemRandom {
    fn default() -> Self {
        Self::new()
    }
}

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        if self.source.fill(bytes).is_err() {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_of_the_system_differ() {
        let mut random = SystemRandom::new();
        let first: [u8; 32] = zajil_proto::random::bytes(&mut random);
        let second: [u8; 32] = zajil_proto::random::bytes(&mut random);
        assert_ne!(first, second);
        assert_ne!(first, [0; 32]);
    }
}

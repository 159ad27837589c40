//! A world that a seed names: how its plan is made, and how it is asked for again.

use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;

use super::make::{self, Profile};
use super::plan::Plan;

/// The seeds that every test run plays.
pub const STANDARD: RangeInclusive<u64> = 1..=100;

/// A standard seed that is known to break an invariant, by a fault that is understood or at least recorded, and is not mended yet.
/// It must go on failing in that way until it is: then it is struck out, and never added to without a word in the notes of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// The seed.
    pub seed: u64,
    /// The first invariant that it breaks.
    pub invariant: u8,
    /// What is wrong.
    pub why: &'static str,
}

/// What is open. An issue that is about these promises is not closed before this is empty.
pub const OPEN: &[Open] = &[];

/// A seed, and what is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seeded {
    /// The seed.
    pub seed: u64,
    profile: Profile,
    asked_for: Option<Profile>,
    days: Option<u32>,
}

impl Seeded {
    /// Returns the world of `seed`; without a profile as the mixture has it, without days as the profile has it.
    pub fn new(seed: u64, profile: Option<Profile>, days: Option<u32>) -> Self {
        Self { seed, profile: profile.unwrap_or_else(|| Profile::mixture(seed)), asked_for: profile, days }
    }

    /// Returns the world of a standard seed.
    pub fn standard(seed: u64) -> Self {
        Self::new(seed, None, None)
    }

    /// Makes its plan.
    pub fn plan(&self) -> Plan {
        make::plan(self.profile, self.seed, self.days)
    }

    /// Returns the command that plays it again.
    pub fn command(&self) -> String {
        let mut command = format!("cargo xtask sim --seeds 1 --seed {}", self.seed);
        if let Some(profile) = self.asked_for {
            command.push_str(" --profile ");
            command.push_str(profile.name());
        }
        if let Some(days) = self.days {
            write!(command, " --days {days}").expect("a string takes text");
        }
        command
    }
}

impl fmt::Display for Seeded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "seed {} ({})", self.seed, self.profile.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_a_world_says_all_that_was_asked_for_and_no_more() {
        assert_eq!(Seeded::standard(7).command(), "cargo xtask sim --seeds 1 --seed 7");
        let asked = Seeded::new(7, Some(Profile::Town), Some(3));
        assert_eq!(asked.command(), "cargo xtask sim --seeds 1 --seed 7 --profile town --days 3");
        assert_eq!(asked.to_string(), "seed 7 (town)");
    }
}

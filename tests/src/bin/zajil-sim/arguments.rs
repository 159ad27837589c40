//! What can be asked of `zajil-sim`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use zajil_proto::simulation::Switch;
use zajil_tests::sim::campaign;
use zajil_tests::sim::make::Profile;

/// What the program's exit status means.
const EXIT_CODES: &str = "Exit status:
  0  every world kept every promise (with --sabotage: every safeguard was missed when it was off)
  1  a promise was broken (with --sabotage: a safeguard was not missed)
  2  wrong usage
  3  a file could not be read or written
  4  a world did not end
  130  stopped by Ctrl-C, SIGTERM or SIGHUP; what was played until then is told
  141  nobody reads what it prints any more: the pipe was closed

docs/TESTING.md says how to read a failure, and how to add to the world.";

/// Plays towns, camps, their links and everything that goes wrong, from seeds, and judges what was seen.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim", after_help = EXIT_CODES, max_term_width = 120)]
#[command(group = ArgGroup::new("what").args(["sabotage", "speed", "trace"]))]
pub(crate) struct Arguments {
    /// How many seeds are played (with --sabotage: at most, for each safeguard; 200 unless said).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    #[arg(conflicts_with_all = ["replay", "trace"])]
    pub(crate) seeds: Option<u64>,
    /// The first seed.
    #[arg(long, value_name = "S", default_value_t = 1, conflicts_with_all = ["replay", "sabotage"])]
    pub(crate) seed: u64,
    /// Simulated days before the calm at the end; else as the profile has it.
    #[arg(long, value_name = "D", value_parser = clap::value_parser!(u32).range(1..=365), conflicts_with = "replay")]
    pub(crate) days: Option<u32>,
    /// Which sort of world; else a mixture, by seed.
    #[arg(long, value_name = "P", value_parser = profile, conflicts_with = "replay")]
    pub(crate) profile: Option<Profile>,
    /// Worlds played at once; else as many as there are cores.
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u16).range(1..))]
    #[arg(conflicts_with_all = ["replay", "speed", "trace"])]
    jobs: Option<u16>,
    /// No world is begun after so many minutes.
    #[arg(long, value_name = "M", value_parser = minutes, conflicts_with_all = ["replay", "sabotage", "speed", "trace"])]
    minutes: Option<u64>,
    /// Go on after a world that failed.
    #[arg(long, conflicts_with_all = ["replay", "sabotage", "speed", "trace"])]
    pub(crate) keep_going: bool,
    /// Print one JSON object per line: a world each, then the sum.
    #[arg(long)]
    pub(crate) json: bool,
    /// Do not look for a shorter schedule that fails as well (it takes up to five minutes).
    #[arg(long, conflicts_with_all = ["sabotage", "speed", "trace"])]
    pub(crate) no_shrink: bool,
    /// Where the schedules of failures are written; else `zajil-sim` in the folder of what cargo builds.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["sabotage", "speed", "trace"])]
    pub(crate) out: Option<PathBuf>,
    /// Make every costly check on every seed (logs, without a note, twice), not on a share of them.
    #[arg(long, conflicts_with_all = ["replay", "sabotage", "speed", "trace"])]
    pub(crate) thorough: bool,
    /// Play without this safeguard (docs/TESTING.md lists them); with --sabotage: this one alone.
    #[arg(long, value_name = "NAME", value_parser = switch, conflicts_with = "speed")]
    pub(crate) switch: Option<Switch>,
    /// Print how often each rare situation came about, too.
    #[arg(long, conflicts_with_all = ["replay", "sabotage", "speed", "trace"])]
    pub(crate) situations: bool,
    /// Play one schedule from a file, with every check; with --trace: write down what happens in it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sabotage", "speed"])]
    pub(crate) replay: Option<PathBuf>,
    /// Switch each safeguard off and count the seeds until a promise is broken.
    #[arg(long)]
    pub(crate) sabotage: bool,
    /// Put the table of --sabotage into this document, between its markers; docs/TESTING.md unless named.
    #[arg(long, value_name = "DOCUMENT", requires = "sabotage", num_args = 0..=1)]
    #[arg(default_missing_value = "docs/TESTING.md", conflicts_with_all = ["switch", "seeds", "days", "profile"])]
    pub(crate) write: Option<PathBuf>,
    /// Play the whole town and say how much faster than real time that goes.
    #[arg(long)]
    pub(crate) speed: bool,
    /// Write everything that happens in one world, of a seed or of --replay, into a file, line by line.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
}

impl Arguments {
    /// Returns whether there are as many seeds as are asked for.
    pub(crate) fn seeds_exist(&self) -> bool {
        self.seeds.is_none_or(|count| self.seed.checked_add(count - 1).is_some())
    }

    /// How a campaign is led.
    pub(crate) fn settings(&self) -> campaign::Settings {
        let usual = campaign::Settings::default();
        campaign::Settings {
            jobs: self.jobs.map_or(usual.jobs, usize::from),
            keep_going: self.keep_going,
            stop_after: self.minutes.map(|minutes| Duration::from_secs(60 * minutes)),
            ..usual
        }
    }
}

fn minutes(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("in no time nothing is played; leave --minutes out to play them all".to_owned()),
        Ok(minutes) => Ok(minutes),
        Err(_) => Err("a number of minutes, 1 or more".to_owned()),
    }
}

fn switch(name: &str) -> Result<Switch, String> {
    Switch::from_name(name).ok_or_else(|| format!("one of {}", names(Switch::ALL.iter().map(|switch| switch.name()))))
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::named(name).ok_or_else(|| format!("one of {}", names(Profile::ALL.iter().map(|profile| profile.name()))))
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

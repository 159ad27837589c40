//! What people see while worlds are played: a bar on a terminal, a line now and then elsewhere, JSON for programs.

use std::fmt::Display;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use zajil_tests::sim::campaign::Notice;
use zajil_tests::sim::trial::Trial;

use crate::told::tell;

/// Time between two lines where output goes to a file: often enough to see progress, rare enough to read.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// How the bar looks. It has no colour, so there is none to switch off.
const BAR: &str = "{elapsed_precise} {bar:30} {pos}/{len} worlds, {msg}";

/// How each world is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tell {
    /// A line for each that failed.
    Failures,
    /// A JSON object for each.
    Json,
    /// A failure is what is hoped for, and only the bar moves.
    Nothing,
}

/// Tells how a campaign goes.
pub(crate) struct Screen {
    bar: ProgressBar,
    tell: Tell,
    all: u64,
    ended: u64,
    failed: u64,
    started: Instant,
    told: Instant,
}

impl Screen {
    /// Nothing has ended yet of `all` worlds.
    pub(crate) fn new(all: u64, tell: Tell) -> Self {
        let bar = if std::io::stderr().is_terminal() && tell != Tell::Json {
            let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::with_template(BAR).expect("the template is right"));
            bar.set_message("none failed");
            bar.enable_steady_tick(LINE_EVERY / 15);
            bar
        } else {
            ProgressBar::hidden()
        };
        let now = Instant::now();
        Self { bar, tell, all, ended: 0, failed: 0, started: now, told: now }
    }

    /// Shows one notice; `describe` makes the JSON of a world.
    pub(crate) fn show<T: Display>(&mut self, notice: &Notice<'_, T>, describe: impl Fn(&T, &Trial) -> Value) {
        match notice {
            Notice::Ended(world, trial) => {
                self.ended += 1;
                self.failed += u64::from(trial.failed());
                match (self.tell, trial.first()) {
                    (Tell::Json, _) => tell!("{}", describe(world, trial)),
                    (Tell::Failures, Some(violation)) => {
                        let text = violation.text.lines().next().unwrap_or_default();
                        self.line(&format!("{world}: invariant {} is broken: {text}", violation.invariant));
                    }
                    (Tell::Failures, None) | (Tell::Nothing, _) => {}
                }
                self.bar.set_position(self.ended);
                self.bar.set_message(match self.failed {
                    0 => "none failed".to_owned(),
                    failed => format!("{failed} failed"),
                });
            }
            Notice::Slow(world, took) => {
                if self.tell == Tell::Json {
                    tell!("{}", json!({ "slow": world.to_string(), "seconds": took.as_secs() }));
                } else {
                    self.line(&format!("{world} has been running for {} s", took.as_secs()));
                }
            }
        }
        if self.bar.is_hidden() && self.tell == Tell::Failures && self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let seconds = self.started.elapsed().as_secs();
            tell!("  {seconds} s  {} of {} worlds, {} failed", self.ended, self.all, self.failed);
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| tell!("{text}"));
    }
}

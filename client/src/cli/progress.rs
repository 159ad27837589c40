//! How it goes, on a terminal's standard error.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::Output;
use crate::engine::api::Progress;
use crate::i18n::{Message, msg, size};

/// A line that moves while a request is carried out. Shows nothing where nobody looks.
pub(super) struct Bar<'a> {
    bar: ProgressBar,
    output: &'a Output,
}

impl<'a> Bar<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        let bar = if output.shows_progress() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        } else {
            ProgressBar::hidden()
        };
        Self { bar, output }
    }

    /// Shows where the request stands.
    pub(super) fn show(&self, step: Progress) {
        match step {
            Progress::Connecting => self.phrase(&msg("progress-connecting")),
            Progress::Connected => self.phrase(&msg("progress-connected")),
            Progress::Uploading { done, all } => {
                self.part(done, all);
                let message = msg("progress-uploading").say("done", size(done)).say("all", size(all));
                self.phrase(&message);
            }
            Progress::Downloading { done } => {
                self.phrase(&msg("progress-downloading").say("done", size(done)));
            }
            Progress::Reached(_) => {}
        }
    }

    /// Shows how far a note has been played, in thousandths.
    pub(super) fn playing(&self, thousandths: u64) {
        self.part(thousandths, 1_000);
        self.phrase(&msg("progress-playing"));
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn part(&self, done: u64, all: u64) {
        if self.bar.length() != Some(all) {
            // The bar runs from left to right in every language, as media time does.
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
                self.bar.set_style(style);
            }
            self.bar.set_length(all);
        }
        self.bar.set_position(done);
    }

    fn phrase(&self, message: &Message) {
        self.bar.set_message(self.output.catalogue.say(message));
    }
}

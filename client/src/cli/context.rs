//! What every command works with.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use zajil_proto::time::Minute;

use super::output::Output;
use super::problem::{Problem, quoted};
use super::progress::Bar;
use crate::engine::api::{Failure, Progress, Reply, Request};
use crate::i18n::Calendar;

/// Who carries out requests: the engine in this process, the daemon, or a test.
pub(super) trait Executor {
    /// Carries out one request.
    async fn execute(&mut self, request: Request, progress: &mut dyn FnMut(Progress)) -> Result<Reply, Problem>;
}

/// Where a command speaks, and in which zone it tells times.
pub(super) struct Context {
    pub(super) output: Output,
    pub(super) home: PathBuf,
    /// Whether `--home` named it, so that what is proposed to type next must name it too.
    pub(super) home_named: bool,
    /// Whether `--passphrase-file` named the passphrase: then it counts also beside a daemon that needs none.
    pub(super) passphrase_typed: bool,
    pub(super) zone: TimeZone,
    /// By this device's clock.
    pub(super) now: Minute,
}

impl Context {
    /// Words for times as they stand now.
    pub(super) fn calendar(&self) -> Calendar {
        Calendar::new(self.zone.clone(), self.now)
    }

    /// A command line that the person can type next.
    pub(super) fn command(&self, words: &str) -> String {
        if self.home_named { format!("zajil --home {} {words}", quoted(&self.home)) } else { format!("zajil {words}") }
    }

    /// Has a request carried out while a bar shows how it goes.
    pub(super) async fn ask(&self, engine: &mut impl Executor, request: Request) -> Result<Reply, Problem> {
        let bar = Bar::new(&self.output);
        let answer = engine.execute(request, &mut |step| bar.show(step)).await;
        bar.clear();
        answer
    }

    /// Looks a contact up, so that a wrong name is told before any long work. Changes nothing.
    pub(super) async fn look_up(&self, engine: &mut impl Executor, name: &str) -> Result<(), Problem> {
        let request = Request::SetContact { name: name.to_owned(), receipts: None, seen: None };
        self.ask(engine, request).await.map(|_| ())
    }
}

/// An answer of another kind than the question: the two sides are of different versions.
pub(super) fn mismatched() -> Problem {
    Problem::from(Failure::Busy)
}

/// A path for sentences.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

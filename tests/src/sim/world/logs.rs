//! Log lines of one world, for invariant 7.

use std::cell::RefCell;
use std::io;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

thread_local! {
    /// One world is one thread.
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Runs a world, keeping every log line of this thread if asked to.
pub(super) fn kept<T>(keep: bool, run: impl FnOnce() -> T) -> T {
    LINES.set(keep.then(Vec::new));
    if !keep {
        return run();
    }
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Lines);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), run)
}

/// Returns what was kept.
pub(super) fn taken() -> Option<String> {
    LINES.take().map(|lines| String::from_utf8_lossy(&lines).into_owned())
}

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

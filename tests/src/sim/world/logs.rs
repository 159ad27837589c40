//! Log lines of one world, for invariant 7: what the programs would write if they were asked for all they have to say.
//!
//! The filters and the formatters are the programs' own, at their most talkative level, so that nothing is judged that they keep
//! out, and nothing is missed that they let through. Whatever our crates say is kept in any case. Both programs run in one thread:
//! a line may stand there several times.

use std::cell::RefCell;
use std::io;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use zajil_proto::uncounted;
use zajil_relay::config::LogLevel;

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
    let relay = zajil_relay::logging::lines(LogLevel::Trace, false, Lines);
    let client = zajil_client::cli::log::lines(Level::TRACE, Lines);
    let ours = tracing_subscriber::fmt::layer().with_ansi(false).without_time().with_writer(Lines);
    let all = tracing_subscriber::registry().with(relay).with(client).with(ours.with_filter(FilterFn::new(is_ours)));
    tracing::subscriber::with_default(all, run)
}

/// Says whether a crate of this project speaks.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("zajil_")
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
                uncounted!(lines.extend_from_slice(bytes));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_our_crates_say_is_kept_without_a_time_and_what_the_programs_keep_out_is_not() {
        kept(true, || {
            tracing::trace!(target: "zajil_relay::gateway", "somebody watches");
            tracing::error!(target: "quinn_udp", "sendmsg error: 203.0.113.9:4433");
        });
        let log = taken().expect("it was to be kept");
        assert!(!log.is_empty() && !log.contains("203.0.113.9"), "{log}");
        let spoken = |line: &str| line.trim_start().starts_with("TRACE") || line.starts_with('\u{1b}');
        assert!(log.lines().all(|line| spoken(line) && line.ends_with("somebody watches")), "{log}");
        kept(false, || tracing::error!(target: "zajil_relay::gateway", "nobody asked"));
        assert_eq!(taken(), None);
    }
}

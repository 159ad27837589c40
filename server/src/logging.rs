//! What reaches the log: this program's own events, and nobody else's. A filter in code, not an environment variable: quinn-udp
//! prints a peer's address at WARN, and no setting may let that through.
//!
//! Our own events name no mailbox, parcel, key, address, or time of contact, at any level; there is none for a session or a frame.

use std::io::IsTerminal;
use std::panic::Location;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::config::LogLevel;

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        Self::from_level(match level {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Trace => Level::TRACE,
        })
    }
}

/// Returns whether an event may be logged: only those of our own crates.
pub fn is_ours(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    matches!(root, "zajil_relay" | "zajil_net" | "zajil_proto")
}

/// Makes the subscriber that writes to `writer`, without times: who collects logs adds one.
pub fn subscriber<W>(level: LogLevel, json: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    Registry::default().with(lines(level, json, writer))
}

/// Returns what writes events of at least this level to `writer`, as [`subscriber`] does, for whoever has a subscriber.
pub fn lines<S, W>(level: LogLevel, json: bool, writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colours).without_time();
    let lines = if json { lines.json().boxed() } else { lines.boxed() };
    lines.with_filter(LevelFilter::from(level)).with_filter(FilterFn::new(is_ours))
}

/// Makes every panic say where it happened, to `write`, and nothing else: its message may quote what a person's device sent.
pub fn hush_panics(write: impl Fn(String) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(Location::to_string).unwrap_or_else(|| "an unknown place".into());
        write(format!(
            "zajil-relay: a fault of the program at {place}. Nothing acknowledged is lost. Please report this line"
        ));
    }));
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        tracing::subscriber::with_default(subscriber(LogLevel::Trace, json, move || writer.clone()), || {
            tracing::error!(target: "quinn_udp", "sendmsg error: 203.0.113.9:4433");
            tracing::error!(target: "zajil_relay_impostor", "not ours");
            tracing::trace!(target: "zajil_relay::run", "ours");
        });
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn events_of_other_crates_never_reach_the_log_at_any_level() {
        for text in [logged(false), logged(true)] {
            assert!(text.contains("\"ours\"") || text.ends_with(": ours\n"), "{text}");
            assert!(!text.contains("203.0.113.9") && !text.contains("not ours"), "{text}");
        }
    }

    #[test]
    fn a_log_in_json_is_one_object_a_line() {
        for line in logged(true).lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
        }
    }
}

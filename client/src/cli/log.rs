//! The log: off, unless `ZAJIL_LOG` asks for it, and then only what this project wrote.

use std::io;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{fmt, registry};

use super::exit::Exit;
use super::problem::Problem;
use crate::i18n::msg;

/// Starts writing events of at least this level to standard error.
pub(super) fn start(level: &str) -> Result<(), Problem> {
    let unknown = |_| Problem::new(Exit::Usage, msg("err-log-level").text("value", level), msg("rec-log-level"));
    let level = Level::from_str(level).map_err(unknown)?;
    // Refused only if there is a log already, and then that one goes on.
    tracing::subscriber::set_global_default(registry().with(lines(level, io::stderr))).ok();
    Ok(())
}

/// Returns what writes events of at least this level to `writer`, one a line.
///
/// Events of other crates are never let through: they print addresses. That is decided here and cannot be undone from
/// the environment. Nor are there times: one beside a line about a relay would tell when somebody was in contact.
pub fn lines<S, W>(level: Level, writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let ours = FilterFn::new(move |event| admits(event, level)).with_max_level_hint(LevelFilter::from_level(level));
    fmt::layer().with_writer(writer).with_ansi(false).without_time().with_filter(ours)
}

fn admits(event: &Metadata<'_>, level: Level) -> bool {
    is_ours(event.target()) && *event.level() <= level
}

/// Our crates are `zajil_proto`, `zajil_net` and `zajil_client`.
fn is_ours(target: &str) -> bool {
    target.starts_with("zajil_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_targets_of_this_project_are_admitted() {
        for ours in ["zajil_net", "zajil_client::engine::host", "zajil_proto::session"] {
            assert!(is_ours(ours));
        }
        for other in ["quinn_udp", "rustls::client", "tokio", "zajil", "my_zajil_net", ""] {
            assert!(!is_ours(other));
        }
    }

    #[test]
    fn a_level_nobody_knows_is_told() {
        assert_eq!(start("loud").unwrap_err().told.code(), "log-level");
    }
}

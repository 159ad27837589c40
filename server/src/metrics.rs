//! Counts of what happened since the start: no labels that could tell one person from another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counter of the most requests that one session ever had waiting for the store: at [`STORE_REQUESTS_MAX`] and a few somebody asked
/// faster than the disk writes, and was sent away.
///
/// [`STORE_REQUESTS_MAX`]: zajil_proto::limits::STORE_REQUESTS_MAX
pub const ASKED_MOST: &str = "store_requests_most";

/// Counters by name, shared by all sessions.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Sessions open now.
    open: AtomicU64,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

/// Names all of it: see `crate::inventory`.
#[cfg(feature = "simulation")]
pub(crate) fn name_all(list: &mut Vec<&'static str>) {
    use crate::inventory::fields;
    fields!(list, "memory:metrics", Metrics, Metrics { open, counts });
}

impl Metrics {
    /// Adds one to the counter `name`. Names are known when compiling, so that there are only so many.
    pub fn count(&self, name: &'static str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name).or_default();
        *count = count.saturating_add(1);
    }

    /// Raises the counter `name` to `value`, if it is lower: what was the most of something.
    pub fn most(&self, name: &'static str, value: usize) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let most = counts.entry(name).or_default();
        *most = u64::try_from(value).unwrap_or(u64::MAX).max(*most);
    }

    /// Notes a session for as long as the returned value lives.
    pub fn session(&self) -> OpenSession<'_> {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.count("session_opened");
        OpenSession { open: &self.open }
    }

    /// Returns how many sessions are open.
    pub fn sessions_open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// Returns all counters that have moved.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One open session; dropping it notes its end.
#[derive(Debug)]
pub struct OpenSession<'a> {
    open: &'a AtomicU64,
}

impl Drop for OpenSession<'_> {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_counts_as_open_until_it_is_dropped() {
        let metrics = Metrics::default();
        let session = metrics.session();
        assert_eq!(metrics.sessions_open(), 1);
        drop(session);
        assert_eq!((metrics.sessions_open(), metrics.counts().get("session_opened")), (0, Some(&1)));
    }

    #[test]
    fn the_most_of_something_never_falls() {
        let metrics = Metrics::default();
        for value in [3, 7, 5] {
            metrics.most("waited", value);
        }
        assert_eq!(metrics.counts().get("waited"), Some(&7));
    }
}

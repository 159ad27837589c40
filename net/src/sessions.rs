//! TLS sessions that a relay keeps, each good for one connection. In memory only: on disk they would be a log of connections.

use core::fmt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::server::StoresServerSessions;
use zajil_proto::time::Instant;

use crate::limits::{SESSION_LIFETIME, SESSIONS_KEPT_MAX};
use crate::seams::Clock;

/// See the module. Does not print.
pub(crate) struct KeptSessions {
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    sessions: BTreeMap<Vec<u8>, (Instant, Vec<u8>)>,
    /// As they were made, those that were taken among them.
    order: VecDeque<Vec<u8>>,
}

impl KeptSessions {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, kept: Mutex::default() })
    }
}

/// Adds to `list` the name of everything that a listener keeps of earlier connections: see the relay's `inventory`.
#[cfg(feature = "simulation")]
pub fn name_all(list: &mut Vec<&'static str>) {
    zajil_proto::name_fields!(list, "memory:tls", KeptSessions, KeptSessions { clock, kept });
    zajil_proto::name_fields!(list, "memory:tls-kept", Kept, Kept { sessions, order });
}

/// The TLS sessions that a listener keeps, over both transports. Clones are the same ones. Does not print.
#[derive(Clone)]
pub struct TlsSessions(pub(crate) [Arc<KeptSessions>; 2]);

impl TlsSessions {
    /// Erases those that nobody may take up any more, though nobody comes who would get a new one. To be called every few minutes.
    pub fn forget_old(&self) {
        for kept in &self.0 {
            let now = kept.clock.now();
            kept.kept.lock().unwrap_or_else(PoisonError::into_inner).forget_old(now);
        }
    }

    /// Returns how many there are.
    pub fn count(&self) -> usize {
        let held = |kept: &Arc<KeptSessions>| kept.kept.lock().unwrap_or_else(PoisonError::into_inner).sessions.len();
        self.0.iter().map(held).sum()
    }
}

impl fmt::Debug for TlsSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSessions(..)")
    }
}

impl Kept {
    fn put(&mut self, now: Instant, id: Vec<u8>, session: Vec<u8>) {
        self.forget_old(now);
        if self.order.len() >= 2 * SESSIONS_KEPT_MAX {
            let sessions = &self.sessions;
            self.order.retain(|id| sessions.contains_key(id));
        }
        while self.sessions.len() >= SESSIONS_KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.sessions.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.sessions.insert(id, (now, session));
    }
}

impl Kept {
    /// Erases what nobody may take up any more: whoever seizes the relay opens with it what was recorded on the way.
    fn forget_old(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front() {
            match self.sessions.get(oldest) {
                Some((since, _)) if now.since(*since) < SESSION_LIFETIME => return,
                _ => {
                    self.sessions.remove(oldest);
                    self.order.pop_front();
                }
            }
        }
    }
}

impl StoresServerSessions for KeptSessions {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        let now = self.clock.now();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).put(now, id, session);
        true
    }

    /// A session that is not taken could be shown twice.
    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        let (since, session) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).sessions.remove(id)?;
        (self.clock.now().since(since) < SESSION_LIFETIME).then_some(session)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

impl fmt::Debug for KeptSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptSessions(..)")
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU64, Ordering};
    use core::time::Duration;

    use zajil_proto::time::Minute;

    use super::*;

    #[test]
    fn a_session_is_taken_once_and_the_oldest_go_when_there_are_too_many() {
        let mut kept = Kept::default();
        for number in 0..SESSIONS_KEPT_MAX + 5 {
            kept.put(Instant::default(), number.to_be_bytes().to_vec(), vec![1]);
        }
        assert_eq!(kept.sessions.len(), SESSIONS_KEPT_MAX);
        assert!(!kept.sessions.contains_key(&4_usize.to_be_bytes()[..]));
        assert!(kept.sessions.contains_key(&5_usize.to_be_bytes()[..]));
    }

    /// A clock that stands at so many seconds.
    #[derive(Debug, Default)]
    struct Standing(AtomicU64);

    impl Clock for Standing {
        fn now(&self) -> Instant {
            Instant::default().after(Duration::from_secs(self.0.load(Ordering::Relaxed)))
        }

        fn wall(&self) -> Minute {
            Minute(0)
        }
    }

    #[test]
    fn what_nobody_may_take_up_any_more_is_erased_though_nobody_comes() {
        let clock = Arc::new(Standing::default());
        let sessions = TlsSessions([0, 1].map(|_| KeptSessions::new(clock.clone())));
        for kept in &sessions.0 {
            assert!(kept.put(vec![1], vec![1]));
        }
        for (before_the_end, left) in [(1, 2), (0, 0)] {
            clock.0.store(SESSION_LIFETIME.as_secs() - before_the_end, Ordering::Relaxed);
            sessions.forget_old();
            assert_eq!(sessions.count(), left);
        }
    }

    #[test]
    fn what_nobody_may_take_up_any_more_is_erased_by_whoever_comes_next() {
        let mut kept = Kept::default();
        let at = |minutes: u32| Instant::default().after(Duration::from_secs(60) * minutes);
        for number in 0..3_u8 {
            kept.put(at(u32::from(number) * 60), vec![number], vec![1]);
        }
        kept.put(at(24 * 60 + 59), vec![3], vec![1]);
        assert_eq!(kept.sessions.keys().collect::<Vec<_>>(), [&[1], &[2], &[3]]);
        kept.put(at(50 * 60), vec![4], vec![1]);
        assert_eq!(kept.sessions.keys().collect::<Vec<_>>(), [&[4]]);
        assert_eq!(kept.order.len(), 1);
    }

    #[test]
    fn what_was_taken_does_not_pile_up() {
        let mut kept = Kept::default();
        for number in 0..3 * SESSIONS_KEPT_MAX {
            let id = number.to_be_bytes().to_vec();
            kept.put(Instant::default(), id.clone(), vec![1]);
            kept.sessions.remove(&id);
        }
        assert!(kept.order.len() <= 2 * SESSIONS_KEPT_MAX);
    }
}

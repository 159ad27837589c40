//! Who waits for what: live watches of all sessions, in memory only, and gone with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use zajil_proto::ids::MailboxId;
use zajil_proto::sabotaged;

/// Tells live sessions that something arrived in a mailbox they watch.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    sessions: Mutex<BTreeMap<MailboxId, Vec<Watching>>>,
}

/// A session's number, and its bell.
type Watching = (u64, Arc<Bell>);

/// One session's bell: remembers which of its mailboxes rang until the session looks, however often they did. Bounded by what a
/// session may watch.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    news: Mutex<News>,
    rung: Notify,
}

/// What a bell rang for.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Something came into these.
    pub(crate) mailboxes: BTreeSet<MailboxId>,
    /// Another session of the same device has taken over.
    pub(crate) is_replaced: bool,
}

/// Names all of it: see `crate::inventory`.
#[cfg(feature = "simulation")]
pub(crate) fn name_all(list: &mut Vec<&'static str>) {
    use crate::inventory::fields;
    fields!(list, "memory:watchers", Watchers, Watchers { sessions });
    fields!(list, "memory:bell", Bell, Bell { news, rung });
    fields!(list, "memory:news", News, News { mailboxes, is_replaced });
}

impl Watchers {
    /// Notes that session `number` watches `mailbox`.
    pub(crate) fn start(&self, mailbox: MailboxId, number: u64, bell: &Arc<Bell>) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let watching = sessions.entry(mailbox).or_default();
        if watching.iter().all(|(other, _)| *other != number) {
            watching.push((number, Arc::clone(bell)));
        }
    }

    /// Notes that session `number` no longer watches `mailbox`.
    pub(crate) fn end(&self, mailbox: &MailboxId, number: u64) {
        if sabotaged!(WatchesOutliveSessions) {
            return;
        }
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watching) = sessions.get_mut(mailbox) {
            watching.retain(|(other, _)| *other != number);
            if watching.is_empty() {
                sessions.remove(mailbox);
            }
        }
    }

    /// Returns how many sessions watch anything.
    pub(crate) fn sessions(&self) -> usize {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.values().flatten().map(|(number, _)| *number).collect::<BTreeSet<u64>>().len()
    }

    /// Rings for everyone who watches `mailbox`.
    pub(crate) fn arrived(&self, mailbox: MailboxId) {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, bell) in sessions.get(&mailbox).into_iter().flatten() {
            bell.ring(mailbox);
        }
    }
}

impl Bell {
    /// Says that something came into a mailbox.
    pub(crate) fn ring(&self, mailbox: MailboxId) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).mailboxes.insert(mailbox);
        self.rung.notify_one();
    }

    /// Says that another session has taken over.
    pub(crate) fn replace(&self) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).is_replaced = true;
        self.rung.notify_one();
    }

    /// Waits until it rings and returns for what. Dropping the answer before it comes loses nothing.
    pub(crate) async fn rung(&self) -> News {
        self.rung.notified().await;
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(name: u8) -> MailboxId {
        MailboxId([name; 16])
    }

    #[tokio::test]
    async fn a_bell_that_rang_often_tells_each_mailbox_once_and_forgets_none() {
        let (watchers, bell) = (Watchers::default(), Arc::new(Bell::default()));
        watchers.start(mailbox(1), 7, &bell);
        watchers.start(mailbox(2), 7, &bell);
        for name in [1, 2, 1, 3, 1] {
            watchers.arrived(mailbox(name));
        }
        assert_eq!(bell.rung().await.mailboxes, BTreeSet::from([mailbox(1), mailbox(2)]));
    }

    #[tokio::test]
    async fn one_session_that_ends_its_watch_leaves_the_others() {
        let watchers = Watchers::default();
        let (first, second) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
        watchers.start(mailbox(1), 1, &first);
        watchers.start(mailbox(1), 2, &second);
        assert_eq!(watchers.sessions(), 2);
        watchers.end(&mailbox(1), 1);
        assert_eq!(watchers.sessions(), 1);
        watchers.arrived(mailbox(1));
        assert_eq!(second.rung().await.mailboxes.len(), 1);
        assert!(first.news.lock().unwrap().mailboxes.is_empty());
        watchers.end(&mailbox(1), 2);
        assert!(watchers.sessions.lock().unwrap().is_empty());
    }
}

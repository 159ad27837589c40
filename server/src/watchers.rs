//! Who waits for what: live watches of all sessions, in memory only, and gone with them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;
use zajil_proto::ids::MailboxId;
use zajil_proto::session::relay::RelayCommand;

/// Tells live sessions that something arrived in a mailbox they watch.
#[derive(Debug, Default)]
pub struct Watchers {
    sessions: Mutex<BTreeMap<MailboxId, Vec<(u64, mpsc::Sender<RelayCommand>)>>>,
}

impl Watchers {
    /// Notes that session `number` watches `mailbox`.
    pub fn start(&self, mailbox: MailboxId, number: u64, commands: mpsc::Sender<RelayCommand>) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let watching = sessions.entry(mailbox).or_default();
        if watching.iter().all(|(other, _)| *other != number) {
            watching.push((number, commands));
        }
    }

    /// Notes that session `number` no longer watches `mailbox`.
    pub fn end(&self, mailbox: &MailboxId, number: u64) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watching) = sessions.get_mut(mailbox) {
            watching.retain(|(other, _)| *other != number);
            if watching.is_empty() {
                sessions.remove(mailbox);
            }
        }
    }

    /// Tells everyone who watches `mailbox`, except session `except`, to look again. One whose queue is full misses nothing: what
    /// fills a session's queue are such hints and store replies, after each of which it looks on.
    pub fn arrived(&self, mailbox: MailboxId) {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, commands) in sessions.get(&mailbox).into_iter().flatten() {
            let _ = commands.try_send(RelayCommand::Arrived { mailbox });
        }
    }
}

//! What this program remembers of relays that it has met, so that it meets them sooner the next time. Never on disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zajil_net::{PinnedKeys, RelayMemory};
use zajil_proto::keys::VerifyingKey;
use zajil_proto::session::client::Ticket;
use zajil_proto::time::Instant;

use crate::limits::{RELAYS_REMEMBERED_MAX, TICKET_SHOWN_HOURS_MAX};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Remembered(BTreeMap<VerifyingKey, Relay>);

#[derive(Debug)]
struct Relay {
    memory: Option<Arc<RelayMemory>>,
    /// The newest that it gave, and when.
    ticket: Option<(Ticket, Instant)>,
    dialled: Instant,
}

impl Remembered {
    /// Returns what to dial a relay with, and what to show it. Of the relays that were dialled longest ago one is forgotten if they
    /// are too many.
    pub(crate) fn of(&mut self, relay: VerifyingKey, now: Instant) -> (Option<Arc<RelayMemory>>, Option<Ticket>) {
        if self.0.len() >= RELAYS_REMEMBERED_MAX && !self.0.contains_key(&relay) {
            let oldest = self.0.iter().min_by_key(|(_, known)| known.dialled).map(|(key, _)| *key);
            oldest.and_then(|key| self.0.remove(&key));
        }
        let known = self.0.entry(relay).or_insert_with(|| Relay {
            // Without it a relay is met as if for the first time.
            memory: RelayMemory::new(PinnedKeys::one(relay)).ok().map(Arc::new),
            ticket: None,
            dialled: now,
        });
        known.dialled = now;
        let longest = Duration::from_secs(TICKET_SHOWN_HOURS_MAX * 60 * 60);
        known.ticket.take_if(|(_, given)| now.since(*given) >= longest);
        (known.memory.clone(), known.ticket.as_ref().map(|(ticket, _)| ticket.clone()))
    }

    /// Keeps a ticket, `None`: forgets the one there is.
    pub(crate) fn keep(&mut self, relay: &VerifyingKey, ticket: Option<Ticket>, now: Instant) {
        if let Some(known) = self.0.get_mut(relay) {
            let before = known.ticket.take().map_or(now, |(_, given)| given);
            known.ticket = ticket.map(|ticket| {
                let given = if ticket.rests_on_another() { before } else { now };
                (ticket, given)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_that_was_dialled_longest_ago_is_forgotten_first() {
        let mut remembered = Remembered::default();
        let relay = |number: usize| VerifyingKey([u8::try_from(number).unwrap(); 32]);
        let at = |second: usize| Instant::from_millis(u64::try_from(second).unwrap() * 1_000);
        let (first, _) = remembered.of(relay(0), at(0));
        for number in 1..=RELAYS_REMEMBERED_MAX {
            remembered.of(relay(number), at(number));
            remembered.of(relay(0), at(number));
        }
        assert_eq!(remembered.0.len(), RELAYS_REMEMBERED_MAX);
        assert!(!remembered.0.contains_key(&relay(1)));
        let (again, _) = remembered.of(relay(0), at(100));
        assert!(Arc::ptr_eq(&first.unwrap(), &again.unwrap()));
    }
}

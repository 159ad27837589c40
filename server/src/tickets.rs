//! Tickets: what a device showed here lately it need not show again within a day. In memory only, like the TLS sessions beside which
//! they are shown.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::digest;
use zajil_proto::keys::Secret;
use zajil_proto::reached;
use zajil_proto::session::relay::Keys;
use zajil_proto::time::Instant;

use crate::limits::{TICKET_HOURS, TICKET_KEYS_MAX, TICKETS_MAX};
use crate::watchers::Bell;

/// All tickets of a relay, by their hash: how long a look-up takes tells nothing of one.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    tickets: BTreeMap<Name, Ticket>,
    /// As they were given, those that are gone among them.
    order: VecDeque<Name>,
    /// Keys of all of them together.
    keys: usize,
}

type Name = [u8; 32];

#[derive(Debug)]
struct Ticket {
    keys: Keys,
    until: Instant,
    /// The session that showed it last, and its bell.
    shown_by: Option<(u64, Arc<Bell>)>,
}

/// A session's own tickets.
#[derive(Debug, Default)]
pub(crate) struct Given {
    name: Option<Name>,
    /// The one before: the device has it yet where the newer was lost on the way.
    former: Option<Name>,
    /// Until when the ticket counts that was shown in it.
    rests_until: Option<Instant>,
}

/// Names all of it: see `crate::inventory`.
#[cfg(feature = "simulation")]
pub(crate) fn name_all(list: &mut Vec<&'static str>) {
    use crate::inventory::fields;
    fields!(list, "memory:tickets", Kept, Kept { tickets, order, keys });
    fields!(list, "memory:ticket", Ticket, Ticket { keys, until, shown_by });
    fields!(list, "memory:session", Given, Given { name, former, rests_until });
}

impl Tickets {
    /// Keeps `ticket`, just drawn, for keys that session proved, in the place of earlier ones of it but the last. A session that rests on a
    /// ticket itself gets none that counts longer.
    pub(crate) fn give(&self, now: Instant, given: &mut Given, ticket: &Secret, keys: Keys) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = given.former.take() {
            kept.forget(&before);
        }
        // A connection that is there stands for all that was proven on it.
        let until = given.rests_until.unwrap_or_else(|| now.after(Duration::from_secs(TICKET_HOURS * 60 * 60)));
        let name = name(ticket);
        kept.forget_old(now);
        kept.keep(name, Ticket { keys, until, shown_by: None });
        given.former = given.name.replace(name);
    }

    /// Forgets what counts no more, though nobody comes: it tells whoever seizes the relay which mailboxes are one device's.
    pub(crate) fn forget_old(&self, now: Instant) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).forget_old(now);
    }

    /// Returns how many are kept.
    #[cfg(feature = "simulation")]
    pub(crate) fn kept(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).tickets.len()
    }

    /// Returns what a ticket stands for that session `number` shows. An earlier session that showed it is told to close.
    pub(crate) fn redeem(
        &self,
        now: Instant,
        given: &mut Given,
        ticket: &Secret,
        (number, bell): (u64, &Arc<Bell>),
    ) -> Option<Keys> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept_ticket = kept.tickets.get_mut(&name(ticket)).filter(|kept| now < kept.until)?;
        if let Some((before, earlier)) = kept_ticket.shown_by.replace((number, Arc::clone(bell)))
            && before != number
        {
            if Arc::strong_count(&earlier) > 1 {
                reached!(TicketShownTwice);
            }
            earlier.replace();
        }
        reached!(TicketRedeemed);
        given.rests_until = Some(kept_ticket.until);
        Some(kept_ticket.keys.clone())
    }
}

impl Kept {
    fn keep(&mut self, name: Name, ticket: Ticket) {
        self.keys = self.keys.saturating_add(ticket.keys.0.len());
        self.tickets.insert(name, ticket);
        self.order.push_back(name);
        while (self.tickets.len() > TICKETS_MAX || self.keys > TICKET_KEYS_MAX)
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(&oldest);
        }
        if self.order.len() > 2 * TICKETS_MAX {
            let tickets = &self.tickets;
            self.order.retain(|name| tickets.contains_key(name));
        }
    }

    /// See [`Tickets::forget_old`].
    fn forget_old(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front().copied() {
            if self.tickets.get(&oldest).is_some_and(|ticket| now < ticket.until) {
                return;
            }
            self.forget(&oldest);
            self.order.pop_front();
        }
    }

    fn forget(&mut self, name: &Name) {
        if let Some(ticket) = self.tickets.remove(name) {
            self.keys = self.keys.saturating_sub(ticket.keys.0.len());
        }
    }
}

fn name(ticket: &Secret) -> Name {
    let mut name = [0; 32];
    let hash = digest::digest(&digest::SHA256, &ticket.0);
    name.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    name
}

#[cfg(test)]
mod tests {
    use zajil_proto::wire::Scope;

    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn keys(name: u8) -> Keys {
        Keys(vec![(Scope::Mailbox, [name; 16])])
    }

    fn at(hours: u32) -> Instant {
        Instant::default().after(HOUR * hours)
    }

    #[test]
    fn a_ticket_stands_for_its_keys_for_a_day_and_one_that_rests_on_it_no_longer() {
        let (tickets, bell) = (Tickets::default(), Arc::new(Bell::default()));
        let (first, second) = (Secret([1; 32]), Secret([2; 32]));
        tickets.give(at(0), &mut Given::default(), &first, keys(7));
        let mut given = Given::default();
        assert_eq!(tickets.redeem(at(23), &mut given, &first, (1, &bell)), Some(keys(7)));
        tickets.give(at(23), &mut given, &second, keys(8));
        assert_eq!(tickets.redeem(at(23), &mut Given::default(), &second, (2, &bell)), Some(keys(8)));
        for ticket in [first, second, Secret([3; 32])] {
            assert_eq!(tickets.redeem(at(24), &mut Given::default(), &ticket, (3, &bell)), None);
        }
    }

    #[tokio::test]
    async fn who_showed_it_earlier_is_replaced() {
        let tickets = Tickets::default();
        let (earlier, later) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
        let ticket = Secret([1; 32]);
        tickets.give(at(0), &mut Given::default(), &ticket, keys(7));
        for (number, bell) in [(1, &earlier), (2, &later)] {
            assert!(tickets.redeem(at(1), &mut Given::default(), &ticket, (number, bell)).is_some());
        }
        assert!(earlier.rung().await.is_replaced);
        later.ring(zajil_proto::ids::MailboxId([1; 16]));
        assert!(!later.rung().await.is_replaced);
    }

    #[test]
    fn what_counts_no_more_is_forgotten_when_somebody_gets_another() {
        let tickets = Tickets::default();
        for name in 1..=3 {
            tickets.give(at(u32::from(name)), &mut Given::default(), &Secret([name; 32]), keys(name));
        }
        let held = || tickets.kept.lock().unwrap().tickets.len();
        tickets.give(at(26), &mut Given::default(), &Secret([4; 32]), keys(4));
        assert_eq!(held(), 2, "the first two are a day old");
        tickets.give(at(60), &mut Given::default(), &Secret([5; 32]), keys(5));
        let kept = tickets.kept.lock().unwrap();
        assert_eq!((kept.tickets.len(), kept.order.len(), kept.keys), (1, 1, 1));
    }

    #[test]
    fn what_counts_no_more_is_forgotten_though_nobody_comes() {
        let tickets = Tickets::default();
        for (name, hours) in [(1, 0), (2, 5)] {
            tickets.give(at(hours), &mut Given::default(), &Secret([name; 32]), keys(name));
        }
        let held = || tickets.kept.lock().unwrap().tickets.len();
        for (hours, left) in [(23, 2), (24, 1), (28, 1), (29, 0)] {
            tickets.forget_old(at(hours));
            assert_eq!(held(), left, "after {hours} hours");
        }
    }

    #[test]
    fn the_oldest_go_when_they_are_too_many() {
        let (tickets, bell) = (Tickets::default(), Arc::new(Bell::default()));
        let ticket = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            Secret(bytes)
        };
        for number in 0..TICKETS_MAX + 1 {
            tickets.give(at(0), &mut Given::default(), &ticket(number), keys(1));
        }
        let known = |number| tickets.redeem(at(1), &mut Given::default(), &ticket(number), (1, &bell)).is_some();
        assert!(!known(0) && known(1) && known(TICKETS_MAX));
    }
}

//! The device's state as programs see it.

use std::collections::BTreeMap;

use zajil_proto::keys::VerifyingKey;
use zajil_proto::time::Minute;

use super::api::{
    ContactView, Direction, Failure, NoteMark, NoteView, ProbingView, RelayView, StatusView, Trouble, WaitReason,
};
use super::model::{Cargo, Note};
use super::state::Device;
use crate::limits::OUTBOX_BYTES_MAX;
use crate::store::Kind;

impl Device {
    pub(crate) fn contact_view(&self, key: u32) -> Result<ContactView, Failure> {
        let contact = self.contacts.get(&key).ok_or(Failure::Busy)?;
        let unheard = self.notes.values().filter(|note| note.contact == key && is_unheard(note)).count();
        let waiting = self
            .outgoing
            .values()
            .filter(|o| o.contact == key && self.waits(o) && matches!(o.cargo, Cargo::Note(_)))
            .count();
        Ok(ContactView {
            name: contact.name.clone(),
            pairing: contact.pairing(),
            receipts: contact.receipts,
            seen: contact.seen,
            disappear: self.span_of(key),
            shows_word: contact.granted.is_some(),
            unheard: count(unheard),
            waiting: count(waiting),
            out_of_hands: contact.out_of_hands.map(|told| told.day),
            renewing: contact.control.as_ref().is_some_and(|control| control.outer.is_under_way()),
        })
    }

    pub(crate) fn contact_views(&self) -> Result<Vec<ContactView>, Failure> {
        self.contacts.keys().map(|key| self.contact_view(*key)).collect()
    }

    pub(crate) fn note_view(&self, number: u32) -> Result<NoteView, Failure> {
        let note = self.notes.get(&number).ok_or(Failure::UnknownNote { number })?;
        let outgoing = self.outgoing.get(&note.parcel);
        let incoming = self.incoming.get(&note.parcel);
        let progress = match (outgoing, incoming) {
            (Some(outgoing), _) => (outgoing.durable, outgoing.length),
            // A note that is whole stays so while its parcel comes again.
            (None, Some(incoming)) if incoming.note == Some(number) => {
                let all = incoming.header().and_then(|header| header.sealed_length()).unwrap_or(0);
                (incoming.held, all)
            }
            (None, _) => (note.sealed_bytes, note.sealed_bytes),
        };
        let waits = outgoing
            .filter(|outgoing| self.waits(outgoing))
            .map(|outgoing| outgoing.waits.unwrap_or(WaitReason::NoLink));
        Ok(NoteView {
            number,
            contact: self.contacts.get(&note.contact).map(|contact| contact.name.clone()).unwrap_or_default(),
            direction: if note.outgoing { Direction::Out } else { Direction::In },
            recorded: note.recorded,
            arrived: note.arrived,
            duration_millis: note.duration_millis,
            mark: note.mark,
            erased: self.is_erased(number, note)?,
            waits,
            progress,
            sealed_bytes: note.sealed_bytes,
            sequence: note.sequence,
        })
    }

    /// Lists notes, in the order they were sealed or arrived; those of one sender in that sender's order.
    pub(crate) fn note_views(&self, all: bool) -> Result<Vec<NoteView>, Failure> {
        let mut numbers: Vec<u32> = self
            .notes
            .iter()
            .filter(|(_, note)| all || (!note.outgoing && note.mark != NoteMark::Heard))
            .map(|(number, _)| *number)
            .collect();
        let mut orders: BTreeMap<(u32, bool), Vec<(u32, u32)>> = BTreeMap::new();
        for number in &numbers {
            if let Some(note) = self.notes.get(number) {
                orders.entry((note.contact, note.outgoing)).or_default().push((note.sequence, *number));
            }
        }
        // Each sender keeps the places that its notes have in the list, and fills them in its own order.
        let mut queues: BTreeMap<(u32, bool), std::vec::IntoIter<(u32, u32)>> = orders
            .into_iter()
            .map(|(sender, mut notes)| {
                notes.sort_unstable();
                (sender, notes.into_iter())
            })
            .collect();
        for number in &mut numbers {
            if let Some(note) = self.notes.get(number)
                && let Some((_, next)) = queues.get_mut(&(note.contact, note.outgoing)).and_then(Iterator::next)
            {
                *number = next;
            }
        }
        numbers.into_iter().map(|number| self.note_view(number)).collect()
    }

    pub(crate) fn status(&self, troubles: &BTreeMap<VerifyingKey, Trouble>) -> Result<StatusView, Failure> {
        let waiting: Vec<_> = self.outgoing.values().filter(|outgoing| self.waits(outgoing)).collect();
        let mut relays = vec![self.relay_view(&self.profile.home.key, troubles)];
        relays.extend(
            self.relays.keys().filter(|key| **key != self.profile.home.key).map(|key| self.relay_view(key, troubles)),
        );
        let mut stored_bytes = 0_u64;
        for kind in Kind::ALL {
            stored_bytes = stored_bytes.saturating_add(self.store.usage(kind)?);
        }
        Ok(StatusView {
            relays,
            contacts: count(self.contacts.len()),
            unheard: count(self.notes.values().filter(|note| is_unheard(note)).count()),
            waiting: count(waiting.len()),
            waiting_bytes: waiting.iter().map(|outgoing| u64::from(outgoing.length)).sum(),
            stored_bytes,
            outbox_bytes_max: OUTBOX_BYTES_MAX,
            disk_full: false,
            probing: ProbingView::default(),
            link: None,
            disappearing: self.disappearing_view(None),
            daemon: false,
            clock_off_minutes: self.relays.get(&self.profile.home.key).and_then(|relay| relay.clock_off_minutes),
        })
    }

    fn relay_view(&self, key: &VerifyingKey, troubles: &BTreeMap<VerifyingKey, Trouble>) -> RelayView {
        let home = *key == self.profile.home.key;
        let known = self.relays.get(key);
        let address = match known {
            Some(known) => known.address.clone(),
            None => self.profile.home.address.as_str().to_owned(),
        };
        let reached: Option<Minute> = known.and_then(|known| known.reached);
        RelayView { address, home, reached, trouble: troubles.get(key).copied() }
    }
}

fn is_unheard(note: &Note) -> bool {
    !note.outgoing && matches!(note.mark, NoteMark::Arriving | NoteMark::Delivered)
}

/// Counts for people: nobody has four thousand million of anything.
pub(crate) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

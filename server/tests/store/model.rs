//! The verbs once more, as plainly as they can be said: no rows, no index, no wear, everything whole in maps.

use std::collections::{BTreeMap, BTreeSet};

use zajil_proto::ids::{MailboxId, ParcelId, SlotId};
use zajil_proto::parcel::{Mark, Travel};
use zajil_proto::session::custody::{Extension, Registration};
use zajil_proto::time::Age;
use zajil_proto::wire::{Code, Observation, Precision, Word};
use zajil_relay::store::StoreLimits;

use crate::fixture::{Parcel, short};

const STEP: u64 = 360;
const DAY: u64 = 1_440;

pub(crate) struct Model {
    pub(crate) limits: StoreLimits,
    pub(crate) minutes: u64,
    pub(crate) mailboxes: BTreeMap<MailboxId, Box>,
    pub(crate) parcels: BTreeMap<ParcelId, Held>,
    /// With the version of which the owner came last.
    pub(crate) slots: BTreeMap<SlotId, (Precision, Option<Word>, Observation, u64)>,
    /// Day on which each is forgotten.
    pub(crate) tombstones: BTreeMap<ParcelId, u64>,
    pub(crate) freed: BTreeMap<MailboxId, (u64, u64)>,
    begun: u64,
}

pub(crate) struct Box {
    registration: Registration,
    /// Minute at which it is over, and after that the one at which it is forgotten.
    until: Option<u64>,
    over: bool,
}

pub(crate) struct Held {
    pub(crate) mailbox: MailboxId,
    pub(crate) travel: Travel,
    /// The age that it was last put with since the store was opened.
    pub(crate) age: Option<Age>,
    pub(crate) lifetime: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) closed: bool,
    /// Its place in the order of first bytes; `None` before one.
    pub(crate) begun: Option<u64>,
    /// Minute at which it goes.
    pub(crate) until: u64,
    told: u64,
}

impl Held {
    fn marked(&self) -> usize {
        self.marks.last().map_or(0, |mark| mark.end as usize)
    }

    fn charge(&self) -> u64 {
        self.told.max(self.bytes.len() as u64)
    }

    pub(crate) fn age(&self, now: u64) -> u64 {
        self.lifetime.saturating_sub(self.until.saturating_sub(now))
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Stored,
    Open { marked: u32, tail: Vec<u8> },
}

fn up(minutes: u64, unit: u64) -> u64 {
    minutes.div_ceil(unit) * unit
}

impl Model {
    pub(crate) fn new(limits: StoreLimits) -> Self {
        Self {
            limits,
            minutes: 0,
            mailboxes: BTreeMap::new(),
            parcels: BTreeMap::new(),
            slots: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            freed: BTreeMap::new(),
            begun: 0,
        }
    }

    pub(crate) fn register(&mut self, registration: &Registration) -> Result<(), Code> {
        let id = MailboxId(registration.id);
        if let Some(found) = self.mailboxes.get(&id) {
            return if found.over { Err(Code::OVER) } else { Ok(()) };
        }
        let until = registration.valid_hours.map(|hours| up(self.minutes + u64::from(hours) * 60, STEP));
        self.mailboxes.insert(id, Box { registration: registration.clone(), until, over: false });
        Ok(())
    }

    pub(crate) fn register_slot(&mut self, id: SlotId, precision: Precision) {
        let slot = self.slots.entry(id).or_insert((precision, None, Observation::NONE, 0));
        slot.0 = precision;
        if slot.2.width != precision {
            slot.2 = Observation::NONE;
        }
    }

    fn taken(&self, mailbox: &MailboxId) -> (u64, u64) {
        let mine = self.parcels.values().filter(|parcel| parcel.mailbox == *mailbox);
        let freed = self.freed.get(mailbox).copied().unwrap_or_default();
        mine.fold(freed, |(bytes, parcels), parcel| (bytes + parcel.charge(), parcels + 1))
    }

    fn fits(&self, mailbox: &MailboxId, bytes: u64, parcels: u64) -> bool {
        let asked = &self.mailboxes[mailbox].registration;
        let bytes_max = asked.bytes_max.map_or(u64::MAX, u64::from).min(self.limits.mailbox_bytes_max);
        let parcels_max = asked.parcels_max.map_or(u32::MAX, u32::from).min(self.limits.mailbox_parcels_max);
        let (taken, count) = self.taken(mailbox);
        (bytes == 0 || taken + bytes <= bytes_max) && (parcels == 0 || count + parcels <= u64::from(parcels_max))
    }

    pub(crate) fn put(&mut self, parcel: &Parcel, travel: Travel) -> Result<Put, Code> {
        let (id, mailbox) = (parcel.id(), parcel.header.mailbox());
        if let Some(held) = self.parcels.get_mut(&id) {
            held.age = Some(travel.age);
            return Ok(if held.closed {
                Put::Stored
            } else {
                Put::Open { marked: short(held.marked()), tail: held.bytes[held.marked()..].to_vec() }
            });
        }
        if self.tombstones.contains_key(&id) {
            return Ok(Put::Stored);
        }
        let found = self.mailboxes.get(&mailbox).ok_or(Code::NOT_HERE)?;
        let told = u64::from(parcel.header.sealed_length().unwrap_or(0));
        if found.over {
            return Err(Code::OVER);
        }
        let lifetime = parcel.header.lifetime();
        if lifetime > self.limits.lifetime_max || travel.age.expired(lifetime) {
            return Err(Code::LIFETIME);
        }
        if told > u64::from(self.limits.parcel_bytes_max) {
            return Err(Code::TOO_LONG);
        }
        if !self.fits(&mailbox, told.max(1), 1) {
            return Err(Code::MAILBOX_FULL);
        }
        let held = Held {
            mailbox,
            travel,
            age: Some(travel.age),
            lifetime: u64::from(lifetime.hours()) * 60,
            bytes: Vec::new(),
            marks: Vec::new(),
            closed: false,
            begun: None,
            until: (self.minutes / STEP + 2) * STEP,
            told,
        };
        self.parcels.insert(id, held);
        Ok(Put::Open { marked: 0, tail: Vec::new() })
    }

    /// `truth` is the body the author's marks speak for.
    pub(crate) fn extend(&mut self, extension: &Extension, truth: &[u8]) -> Result<(u32, bool), Code> {
        let held = self.parcels.get(&extension.id).ok_or(Code::NOT_HERE)?;
        if held.closed {
            return Ok((short(held.bytes.len()), true));
        }
        let (offset, marked) = (extension.offset as usize, held.marked());
        if offset > held.bytes.len() {
            return Err(Code::BAD_OFFSET);
        }
        let mut theirs = held.bytes[..offset].to_vec();
        theirs.extend(&extension.bytes);
        // What the store has under a mark stands, whatever the extension says about it.
        theirs.splice(..marked.min(theirs.len()), held.bytes[..marked].to_vec());
        let marks: Vec<Mark> = extension.marks.iter().filter(|mark| mark.end as usize > marked).copied().collect();
        let bytes = match marks.last() {
            None if theirs.len() <= held.bytes.len() => held.bytes.clone(),
            None => [&held.bytes[..], &theirs[held.bytes.len()..]].concat(),
            Some(last) if theirs.get(..last.end as usize) != truth.get(..last.end as usize) => {
                return Err(Code::BAD_OFFSET);
            }
            Some(last) if !last.last && held.bytes.starts_with(&theirs) => held.bytes.clone(),
            Some(_) => theirs,
        };
        let newest = marks.last().map_or(marked, |mark| mark.end as usize);
        if bytes.len() - newest > 8_192 || (held.told != 0 && bytes.len() as u64 > held.told) {
            return Err(Code::BAD_OFFSET);
        }
        if bytes.len() > self.limits.parcel_bytes_max as usize {
            return Err(Code::TOO_LONG);
        }
        let more = (bytes.len() as u64).saturating_sub(held.charge());
        if !self.fits(&held.mailbox, more, 0) {
            return Err(Code::MAILBOX_FULL);
        }
        let (minutes, closed) = (self.minutes, marks.last().is_some_and(|mark| mark.last));
        let Some(held) = self.parcels.get_mut(&extension.id) else { unreachable!("it was there") };
        if held.begun.is_none() && !bytes.is_empty() {
            self.begun += 1;
            held.begun = Some(self.begun);
            held.until = 0;
        }
        if let Some(age) = held.age.filter(|_| bytes != held.bytes || !marks.is_empty()) {
            held.until = held.until.max(up(minutes + held.lifetime.saturating_sub(u64::from(age.0)), STEP));
        }
        held.bytes = bytes;
        held.marks.extend(marks);
        held.closed = closed;
        let found = self.mailboxes.get_mut(&held.mailbox).filter(|found| closed && !found.over);
        found.into_iter().for_each(|found| found.until = None);
        Ok((short(held.bytes.len()), closed))
    }

    pub(crate) fn cut(&mut self, id: &ParcelId, to: u32) {
        if let Some(held) = self.parcels.get_mut(id).filter(|held| !held.closed) {
            held.bytes.truncate((to as usize).max(held.marked()));
        }
    }

    fn bury(&mut self, id: ParcelId, until: u64) {
        self.tombstones.entry(id).or_insert(up(until + 15 * DAY, DAY) / DAY);
    }

    fn longest(&self) -> u64 {
        up(self.minutes + u64::from(self.limits.lifetime_max.hours()) * 60, STEP)
    }

    fn remove_by_hand(&mut self, id: &ParcelId) {
        if let Some(held) = self.parcels.remove(id) {
            let freed = self.freed.entry(held.mailbox).or_default();
            *freed = (freed.0 + held.charge(), freed.1 + 1);
        }
    }

    pub(crate) fn withdraw(&mut self, mailbox: MailboxId, id: ParcelId) -> Result<(), Code> {
        if let Some(held) = self.parcels.get(&id) {
            let until = if held.begun.is_some() { held.until } else { self.longest() };
            self.bury(id, until);
            self.remove_by_hand(&id);
        } else if self.mailboxes.contains_key(&mailbox) && !self.tombstones.contains_key(&id) {
            if !self.fits(&mailbox, 0, 1) {
                return Err(Code::MAILBOX_FULL);
            }
            self.bury(id, self.longest());
            self.freed.entry(mailbox).or_default().1 += 1;
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, mailbox: MailboxId, ids: &[ParcelId]) {
        if self.mailboxes.get(&mailbox).is_none_or(|found| found.registration.audience) {
            return;
        }
        for id in ids {
            let held = self.parcels.get(id).filter(|held| held.mailbox == mailbox);
            if let Some(until) = held.map(|held| held.closed.then_some(held.until)) {
                until.into_iter().for_each(|until| self.bury(*id, until));
                self.remove_by_hand(id);
            }
        }
    }

    pub(crate) fn put_word(&mut self, id: SlotId, word: Word, observation: Option<Observation>) -> Result<(), Code> {
        let slot = self.slots.get_mut(&id).ok_or(Code::NOT_HERE)?;
        let (version, held) = (word.version, slot.1.as_ref().map_or(0, |held| held.version));
        if let Some(seen) = observation.filter(|seen| seen.width == slot.0 && version >= held && version > slot.3) {
            (slot.2, slot.3) = (seen, version);
        }
        if version > held {
            slot.1 = Some(word);
        }
        Ok(())
    }

    pub(crate) fn drop_mailbox(&mut self, id: MailboxId) {
        self.mailboxes.remove(&id);
        self.parcels.retain(|_, parcel| parcel.mailbox != id);
    }

    /// What a restart forgets: parcels of which no byte came.
    pub(crate) fn reopen(&mut self) {
        self.parcels.retain(|_, parcel| parcel.begun.is_some());
        self.parcels.values_mut().for_each(|parcel| parcel.age = None);
    }

    /// Returns parcels, mailboxes and announcements let go.
    pub(crate) fn sweep(&mut self, minutes: u64) -> (u64, u64, u64) {
        let before = self.minutes;
        self.minutes += minutes.min(STEP);
        let now = self.minutes;
        let (mut scopes, mut announced) = (0, 0);
        if now / STEP != before / STEP {
            self.freed.clear();
            let count = self.parcels.len();
            self.parcels.retain(|_, parcel| parcel.begun.is_some() || parcel.until > now);
            announced = (count - self.parcels.len()) as u64;
            let mut empty = BTreeSet::new();
            self.mailboxes.retain(|id, found| {
                if found.until.is_none_or(|until| until > now) {
                    return true;
                }
                scopes += 1;
                empty.insert(*id);
                let forgotten = std::mem::replace(&mut found.over, true);
                found.until = Some((now / STEP + 120) * STEP);
                !forgotten
            });
            self.parcels.retain(|_, parcel| !empty.contains(&parcel.mailbox));
        }
        self.tombstones.retain(|_, day| *day > now / DAY);
        let expired: Vec<ParcelId> = self
            .parcels
            .iter()
            .filter(|(_, held)| held.begun.is_some() && held.until <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in &expired {
            if let Some(held) = self.parcels.remove(id).filter(|held| held.closed) {
                self.bury(*id, held.until);
            }
        }
        (expired.len() as u64, scopes, announced)
    }
}

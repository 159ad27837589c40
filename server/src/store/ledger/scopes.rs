//! The verbs of mailboxes and slots: register, drop, words.

use std::cmp::Ordering;

use zajil_proto::ids::{MailboxId, SlotId};
use zajil_proto::session::custody::{Registration, SlotState};
use zajil_proto::wire::{Code, Observation, Precision, Scope, Word};
use zajil_proto::{reached, sabotaged};

use super::parcels::Leaving;
use super::record::{MailboxRow, SlotRow, Validity};
use super::{Ledger, Mailbox, Rows, Slot, StoreError, Table};

impl<R: Rows> Ledger<R> {
    /// See [`crate::store::Store::register`].
    pub(in crate::store) fn register(&mut self, registration: &Registration) -> Result<(), StoreError> {
        match registration.scope {
            Scope::Mailbox => self.register_mailbox(registration),
            Scope::Slot => self.register_slot(registration),
        }
    }

    fn register_mailbox(&mut self, registration: &Registration) -> Result<(), StoreError> {
        let (id, period) = (MailboxId(registration.id), self.clock.period());
        if let Some(mailbox) = self.mailboxes.get_mut(&id) {
            if mailbox.is_over() {
                return Err(StoreError::Refused(Code::OVER));
            }
            if mailbox.kept.homes == registration.homes && mailbox.kept.period == period {
                return Ok(());
            }
            mailbox.kept.homes.clone_from(&registration.homes);
            mailbox.kept.period = period;
            let record = mailbox.kept.encode();
            return self.rows.write(Table::Scopes, mailbox.row, &record, &[]);
        }
        let kept = MailboxRow {
            id,
            read_tag: registration.read_tag,
            audience: registration.audience,
            parcels_max: registration.parcels_max.filter(|limit| *limit != 0),
            bytes_max: registration.bytes_max.filter(|limit| *limit != 0),
            homes: registration.homes.clone(),
            period,
            validity: match registration.valid_hours {
                None | Some(0) => Validity::Lasting,
                Some(hours) => Validity::Until(self.clock.step_after_hours(u32::from(hours))),
            },
        };
        let row = self.new_scope(&kept.encode())?;
        self.mailboxes.insert(id, Mailbox::new(row, kept));
        Ok(())
    }

    fn register_slot(&mut self, registration: &Registration) -> Result<(), StoreError> {
        let (id, period) = (SlotId(registration.id), self.clock.period());
        if let Some(slot) = self.slots.get_mut(&id) {
            let before = slot.kept.clone();
            slot.kept.homes.clone_from(&registration.homes);
            slot.kept.precision = registration.precision;
            slot.kept.period = period;
            if slot.kept.observation.width != registration.precision && !sabotaged!(OldPrecisionTold) {
                // Of which version its owner came stays known: a repeat of it is no arrival at the new precision either.
                slot.kept.observation = Observation { version: slot.kept.observation.version, ..Observation::NONE };
            }
            if slot.kept == before {
                return Ok(());
            }
            let record = slot.kept.encode();
            return self.rows.write(Table::Scopes, slot.row, &record, &[]);
        }
        let kept = SlotRow {
            id,
            read_tag: registration.read_tag,
            precision: registration.precision,
            homes: registration.homes.clone(),
            period,
            word: None,
            observation: Observation::NONE,
        };
        let row = self.new_scope(&kept.encode())?;
        self.slots.insert(id, Slot { row, kept });
        Ok(())
    }

    /// Writes the row of a new mailbox or slot and returns its number.
    fn new_scope(&mut self, record: &[u8]) -> Result<i64, StoreError> {
        if self.mailboxes.len().saturating_add(self.slots.len()) >= self.limits.scopes_max {
            return Err(StoreError::Refused(Code::RELAY_FULL));
        }
        self.take_room(0)?;
        let row = self.next_scope_row;
        self.rows.write(Table::Scopes, row, record, &[])?;
        self.next_scope_row = row.saturating_add(1);
        Ok(row)
    }

    /// Remembers that a mailbox is in use: one small write in thirty days.
    pub(super) fn touch_mailbox(&mut self, id: &MailboxId) -> Result<(), StoreError> {
        let period = self.clock.period();
        match self.mailboxes.get_mut(id) {
            Some(mailbox) if mailbox.kept.period != period => {
                mailbox.kept.period = period;
                let record = mailbox.kept.encode();
                self.rows.write(Table::Scopes, mailbox.row, &record, &[])
            }
            _ => Ok(()),
        }
    }

    /// See [`crate::store::Store::put_word`].
    pub(in crate::store) fn put_word(
        &mut self,
        word: Word,
        observation: Option<Observation>,
    ) -> Result<(), StoreError> {
        let period = self.clock.period();
        let slot = self.slots.get_mut(&word.slot()).ok_or(StoreError::Refused(Code::NOT_HERE))?;
        let compared = slot.kept.word.as_ref().map_or(Ordering::Greater, |held| word.version.cmp(&held.version));
        if compared == Ordering::Less {
            reached!(WordOutdated);
            if !sabotaged!(OlderWordReplacesNewer) {
                return Ok(());
            }
        }
        // A word that was only passed on leaves the older observation: what it says is still true. And whoever passed it on does not
        // keep its owner's own arrival from being seen.
        let is_observed = observation.is_some_and(|seen| slot.kept.observe(seen));
        if compared == Ordering::Equal && !is_observed {
            reached!(WordRepeated);
            return Ok(());
        }
        if compared != Ordering::Equal {
            slot.kept.word = Some(word);
        }
        slot.kept.period = period;
        let record = slot.kept.encode();
        self.rows.write(Table::Scopes, slot.row, &record, &[])
    }

    /// See [`crate::store::Store::seen`].
    pub(in crate::store) fn seen(&mut self, id: &SlotId) -> Result<SlotState, StoreError> {
        let period = self.clock.period();
        let Some(slot) = self.slots.get_mut(id) else {
            return Ok(SlotState {
                registered: false,
                precision: Precision::Off,
                word: None,
                observation: Observation::NONE,
            });
        };
        if slot.kept.period != period {
            slot.kept.period = period;
            let record = slot.kept.encode();
            self.rows.write(Table::Scopes, slot.row, &record, &[])?;
        }
        Ok(SlotState {
            registered: true,
            precision: slot.kept.precision,
            word: slot.kept.word.clone(),
            observation: slot.kept.observation.told(),
        })
    }

    /// See [`crate::store::Store::drop_scope`].
    pub(in crate::store) fn drop_scope(&mut self, scope: Scope, id: [u8; 16]) -> Result<(), StoreError> {
        match scope {
            Scope::Mailbox => self.drop_mailbox(&MailboxId(id)),
            Scope::Slot => match self.slots.remove(&SlotId(id)) {
                Some(slot) => self.rows.delete(Table::Scopes, slot.row),
                None => Ok(()),
            },
        }
    }

    /// Removes a mailbox and all in it.
    pub(super) fn drop_mailbox(&mut self, id: &MailboxId) -> Result<(), StoreError> {
        let Some(mailbox) = self.mailboxes.get(id) else {
            return Ok(());
        };
        let (row, parcels) = (mailbox.row, mailbox.parcels.clone());
        self.remove(&parcels, Leaving::ByTime)?;
        self.mailboxes.remove(id);
        self.rows.delete(Table::Scopes, row)
    }
}

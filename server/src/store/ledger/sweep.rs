//! What time does: the clock, expiry, quota that returns, mailboxes and slots that are over.

use std::time::Duration;

use zajil_proto::ids::{MailboxId, ParcelId, SlotId};
use zajil_proto::{reached, sabotaged};

use super::parcels::Leaving;
use super::record::Validity;
use super::{Ledger, Rows, StoreError, Table, Tombstones};
use crate::limits::{IDLE_PERIODS, OVER_STEPS, SWEEP_PARCELS_MAX};
use crate::store::Swept;

impl<R: Rows> Ledger<R> {
    /// Moves the clock on, and does what a new step brings except expiry, which [`Ledger::expire_some`] does in parts.
    pub(in crate::store) fn advance(&mut self, elapsed: Duration) -> Result<Swept, StoreError> {
        let before = self.clock;
        self.clock = before.after(elapsed);
        if self.clock != before {
            self.write_clock()?;
        }
        let mut swept = Swept::default();
        if self.clock.step() != before.step() {
            self.return_quota()?;
            swept.announced = self.forget_announced()?;
            swept.scopes = self.end_scopes()?;
        }
        let new_day = self.clock.day() != before.day();
        if new_day {
            self.forget_tombstones()?;
        }
        self.rows.tidy(new_day);
        Ok(swept)
    }

    /// Lets go at most [`SWEEP_PARCELS_MAX`] expired parcels and returns how many. What was closed leaves a tombstone: a late copy
    /// must not come to life again with a new age.
    pub(in crate::store) fn expire_some(&mut self) -> Result<u64, StoreError> {
        let now = self.clock.step();
        let mut gone = 0_u64;
        while let Some(mut entry) = self.due.first_entry()
            && *entry.key() <= now
            && gone < u64::try_from(SWEEP_PARCELS_MAX).unwrap_or(u64::MAX)
        {
            let (step, Some(id)) = (*entry.key(), entry.get_mut().pop()) else {
                entry.remove();
                continue;
            };
            // Released and put again since, it goes at another step.
            let Some(parcel) = self.parcels.get(&id).filter(|p| p.begin.is_some() && p.expires == step) else {
                continue;
            };
            reached!(ParcelExpiredAtRelay);
            if parcel.open.is_none() {
                self.bury(&id, step)?;
            }
            self.remove(&[id], Leaving::ByTime)?;
            gone = gone.saturating_add(1);
        }
        Ok(gone)
    }

    fn return_quota(&mut self) -> Result<(), StoreError> {
        if !self.freed.is_empty() {
            reached!(QuotaReturned);
        }
        self.freed.clear();
        self.rows.delete_below(Table::Freed, self.next_freed_row)
    }

    fn forget_announced(&mut self) -> Result<u64, StoreError> {
        let now = self.clock.step();
        let silent: Vec<ParcelId> = self
            .parcels
            .iter()
            .filter(|(_, parcel)| parcel.begin.is_none() && parcel.expires <= now)
            .map(|(id, _)| *id)
            .collect();
        #[cfg(feature = "simulation")]
        if !silent.is_empty() && sabotaged!(AnnouncedKept) {
            return Ok(0);
        }
        for id in &silent {
            self.remove(&[*id], Leaving::ByTime)?;
        }
        Ok(u64::try_from(silent.len()).unwrap_or(u64::MAX))
    }

    /// Returns how many parcels are still there more than a step after they had to go.
    pub(in crate::store) fn overdue(&self) -> usize {
        let now = self.clock.step();
        self.parcels.values().filter(|parcel| parcel.expires.saturating_add(1) < now).count()
    }

    fn forget_tombstones(&mut self) -> Result<(), StoreError> {
        let today = self.clock.day();
        self.tombstones.days.retain(|_, day| *day > today);
        self.tombstones.next.retain(|day, _| *day > today);
        self.rows.delete_below(Table::Tombstones, Tombstones::row(today.saturating_add(1), 0))
    }

    /// Ends invitations whose time is over, and lets go mailboxes and slots that nobody used.
    fn end_scopes(&mut self) -> Result<u64, StoreError> {
        let (step, period) = (self.clock.step(), self.clock.period());
        let idle = |used: u32| period > used.saturating_add(IDLE_PERIODS);
        let mut ended: Vec<MailboxId> = Vec::new();
        let mut gone: Vec<MailboxId> = Vec::new();
        for (id, mailbox) in &self.mailboxes {
            match mailbox.kept.validity {
                Validity::Until(end) if end <= step && !sabotaged!(InvitationNeverEnds) => ended.push(*id),
                Validity::Over(end) if end <= step => gone.push(*id),
                Validity::Lasting | Validity::Until(_) if idle(mailbox.kept.period) => gone.push(*id),
                _ => {}
            }
        }
        let idle_slots: Vec<SlotId> =
            self.slots.iter().filter(|(_, slot)| idle(slot.kept.period)).map(|(id, _)| *id).collect();
        for id in &ended {
            reached!(InvitationOverAtRelay);
            self.end_mailbox(id, step.saturating_add(OVER_STEPS))?;
        }
        for id in &gone {
            self.drop_mailbox(id)?;
        }
        for id in &idle_slots {
            if let Some(slot) = self.slots.remove(id) {
                self.rows.delete(Table::Scopes, slot.row)?;
            }
        }
        let count = ended.len().saturating_add(gone.len()).saturating_add(idle_slots.len());
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// Empties an invitation and lets it answer "over" until `forget`.
    fn end_mailbox(&mut self, id: &MailboxId, forget: u32) -> Result<(), StoreError> {
        let parcels = self.mailboxes.get(id).map(|mailbox| mailbox.parcels.clone()).unwrap_or_default();
        self.remove(&parcels, Leaving::ByTime)?;
        let Some(mailbox) = self.mailboxes.get_mut(id) else {
            return Ok(());
        };
        mailbox.kept.validity = Validity::Over(forget);
        let record = mailbox.kept.encode();
        self.rows.write(Table::Scopes, mailbox.row, &record, &[])
    }
}

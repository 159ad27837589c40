//! What an operator asks of a store: usage, check, export.

use zajil_proto::ids::ParcelId;
use zajil_proto::limits::PARCEL_BYTES_MAX;
use zajil_proto::parcel::{Header, Home, MarkChain, Travel};
use zajil_proto::session::custody::Registration;
use zajil_proto::wire::{Observation, Precision, Scope};

use super::record::{MailboxRow, ParcelRow, ScopeRow, SlotRow, Validity};
use super::{Ledger, Rows, StoreError, Table};
use crate::limits::{EXPORT_RECORDS_MAX, STEP_MINUTES};
use crate::store::{CheckReport, Cursor, ExportPage, Exported, HeldParcel, Usage};

impl<R: Rows> Ledger<R> {
    /// See [`crate::store::Store::usage`].
    pub(in crate::store) fn usage(&mut self) -> Result<Usage, StoreError> {
        let space = self.rows.space()?;
        let reserve_bytes = self.limits.reserve_bytes(space.total_bytes);
        Ok(Usage {
            bytes: self.bytes,
            parcels: count(self.parcels.len().saturating_sub(self.announced)),
            mailboxes: count(self.mailboxes.len()),
            slots: count(self.slots.len()),
            tombstones: count(self.tombstones.days.len()),
            free_bytes: space.free_bytes,
            reserve_bytes,
            refusing: space.free_bytes < reserve_bytes.saturating_add(u64::from(PARCEL_BYTES_MAX)),
        })
    }

    /// See [`crate::store::Store::check`].
    pub(in crate::store) fn check(&mut self, deep: bool) -> Result<CheckReport, StoreError> {
        let mut report = CheckReport::default();
        self.rows.check(deep, &mut report)?;
        if deep {
            let ids: Vec<ParcelId> = self.parcels.keys().copied().collect();
            for id in &ids {
                match self.check_parcel(id) {
                    Ok(()) => report.parcels = report.parcels.saturating_add(1),
                    Err(StoreError::Corrupt { what }) => report.add(what),
                    Err(other) => return Err(other),
                }
            }
        }
        Ok(report)
    }

    /// Returns every parcel of which there are bytes, by rising id.
    pub(in crate::store) fn held_parcels(&self) -> Vec<HeldParcel> {
        let begun = self.parcels.iter().filter(|(_, parcel)| parcel.begin.is_some());
        begun
            .map(|(id, parcel)| HeldParcel {
                id: *id,
                mailbox: parcel.mailbox,
                bytes: parcel.held(),
                whole: parcel.open.is_none(),
            })
            .collect()
    }

    /// Returns whether there is a tombstone for this parcel.
    pub(in crate::store) fn is_buried(&self, id: &ParcelId) -> bool {
        self.tombstones.days.contains_key(&self.names.name(id))
    }

    /// Opens every row of a parcel and follows its marks with their signatures.
    fn check_parcel(&mut self, id: &ParcelId) -> Result<(), StoreError> {
        let Some(parcel) = self.parcels.get(id) else { return Ok(()) };
        let Some(begin) = parcel.begin else { return Ok(()) };
        let (held, marked) = (parcel.held(), parcel.marked());
        let (header, _) = self.beginning(begin)?;
        let mut chain = MarkChain::new(&header);
        for mark in self.marks_of(id, 0, held)? {
            let bytes = self.bytes_of(id, chain.end(), mark.end)?;
            if !chain.accept(&header, &bytes, &mark) {
                return Err(StoreError::corrupt("a mark does not fit the bytes before it"));
            }
        }
        if chain.end() != marked {
            return Err(StoreError::corrupt("a mark is missing"));
        }
        self.bytes_of(id, marked, held).map(drop)
    }

    fn beginning(&mut self, row: i64) -> Result<(Header, Home), StoreError> {
        match ParcelRow::decode(&self.rows.record(Table::Parcels, row)?)? {
            ParcelRow::Begin { header, home, .. } => Ok((header, home)),
            ParcelRow::Segment(_) => Err(StoreError::corrupt("a parcel does not begin where it was written")),
        }
    }

    /// See [`crate::store::Store::export`].
    pub(in crate::store) fn export(&mut self, from: Cursor) -> Result<ExportPage, StoreError> {
        let mut records = Vec::new();
        let mut last = from.after;
        if from.parcels {
            let mut found = Vec::new();
            self.rows.scan(Table::Parcels, from.after, &mut |row, record| {
                last = row;
                if let ParcelRow::Begin { header, home, .. } = ParcelRow::decode(record)? {
                    found.push((header, home));
                }
                Ok(found.len() < EXPORT_RECORDS_MAX)
            })?;
            let whole = found.len() < EXPORT_RECORDS_MAX;
            for (header, home) in found {
                records.extend(self.export_parcel(header, home)?);
            }
            let next = Cursor { parcels: true, after: last };
            return Ok(ExportPage { records, next: (!whole).then_some(next) });
        }
        let step = self.clock.step();
        self.rows.scan(Table::Scopes, from.after, &mut |row, record| {
            last = row;
            records.extend(match ScopeRow::decode(record)? {
                ScopeRow::Mailbox(kept) => export_mailbox(kept, step),
                ScopeRow::Slot(kept) => Some(export_slot(kept)),
            });
            Ok(records.len() < EXPORT_RECORDS_MAX)
        })?;
        let parcels = records.len() < EXPORT_RECORDS_MAX;
        Ok(ExportPage { records, next: Some(Cursor { parcels, after: if parcels { 0 } else { last } }) })
    }

    fn export_parcel(&mut self, header: Header, home: Home) -> Result<Option<Exported>, StoreError> {
        let id = header.id();
        let Some(parcel) = self.parcels.get(&id) else {
            return Ok(None);
        };
        let (held, age) = (parcel.held(), self.clock.age(header.lifetime(), parcel.expires));
        Ok(Some(Exported::Parcel {
            header,
            travel: Travel { home, age },
            body: self.bytes_of(&id, 0, held)?,
            marks: self.marks_of(&id, 0, held)?,
        }))
    }
}

/// A mailbox as another store would register it; `None` for one whose time is over.
fn export_mailbox(kept: MailboxRow, step: u32) -> Option<Exported> {
    let valid_hours = match kept.validity {
        Validity::Lasting => None,
        Validity::Until(end) => {
            let hours = u64::from(end.saturating_sub(step)) * STEP_MINUTES / 60;
            Some(u16::try_from(hours).unwrap_or(u16::MAX).max(1))
        }
        Validity::Over(_) => return None,
    };
    Some(Exported::Mailbox(Registration {
        scope: Scope::Mailbox,
        id: kept.id.0,
        read_tag: kept.read_tag,
        parcels_max: kept.parcels_max,
        bytes_max: kept.bytes_max,
        audience: kept.audience,
        valid_hours,
        precision: Precision::Off,
        homes: kept.homes,
    }))
}

fn export_slot(kept: SlotRow) -> Exported {
    let observation: Observation = kept.observation;
    Exported::Slot {
        registration: Registration {
            scope: Scope::Slot,
            id: kept.id.0,
            read_tag: kept.read_tag,
            parcels_max: None,
            bytes_max: None,
            audience: false,
            valid_hours: None,
            precision: kept.precision,
            homes: kept.homes,
        },
        word: kept.word,
        observation,
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

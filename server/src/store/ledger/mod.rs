//! What every verb means, decided once for every engine that keeps rows.
//!
//! The ledger holds an index of everything in memory (about 150 bytes a parcel) and is rebuilt from its rows when a store is opened.
//! Rows are numbered in order of arrival, so that an engine writes at one end and deletes at the other. A verb first decides,
//! then writes, then changes the index: a refusal has changed nothing. An engine whose write failed must not use the ledger
//! again, since the index may be ahead of the rows.

mod clock;
mod inspect;
#[cfg(feature = "simulation")]
mod inventory;
mod join;
mod parcels;
mod record;
mod scopes;
mod sweep;

use std::collections::BTreeMap;

use clock::StoreClock;
#[cfg(feature = "simulation")]
pub(crate) use inventory::name_all;
use record::{FreedRow, MailboxRow, ParcelRow, ScopeRow, SegmentRow, SlotRow, Validity};
use zajil_proto::ids::{Epoch, MailboxId, ParcelId, SlotId};
use zajil_proto::parcel::{Header, Home, MarkChain, Resumed};
use zajil_proto::time::Age;
use zajil_proto::wire::Code;
use zajil_proto::{reached, sabotaged};

use super::key::TombstoneNames;
use super::{CheckReport, Space, StoreError, StoreLimits};

/// The tables of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    /// Epoch and clock.
    Meta,
    /// Mailboxes and slots.
    Scopes,
    /// The log of parcels, with bodies.
    Parcels,
    /// Tombstones; the row's number begins with the day it goes, the record is a keyed hash and is not sealed again.
    Tombstones,
    /// Quota that returns at the next step.
    Freed,
}

/// Takes a row's number and record, and tells whether it wants another.
pub(super) type Visit<'a> = dyn FnMut(i64, &[u8]) -> Result<bool, StoreError> + 'a;

/// Where a ledger keeps its rows. An implementation seals them, and commits what one verb changed together or not at all.
pub(super) trait Rows: Send + 'static {
    /// Gives every row after `after` to `visit`, rising, until it answers `false`.
    fn scan(&mut self, table: Table, after: i64, visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Returns a row that must be there.
    fn record(&mut self, table: Table, row: i64) -> Result<Vec<u8>, StoreError>;

    /// Returns the body of a row of [`Table::Parcels`].
    fn body(&mut self, row: i64) -> Result<Vec<u8>, StoreError>;

    /// Writes a row, in place of one with this number. Only [`Table::Parcels`] has bodies.
    fn write(&mut self, table: Table, row: i64, record: &[u8], body: &[u8]) -> Result<(), StoreError>;

    /// Deletes a row and its body.
    fn delete(&mut self, table: Table, row: i64) -> Result<(), StoreError>;

    /// Deletes every row with a smaller number, of a table without bodies.
    fn delete_below(&mut self, table: Table, row: i64) -> Result<(), StoreError>;

    /// Tells the room there is for more rows.
    fn space(&mut self) -> Result<Space, StoreError>;

    /// A minute, or a day, has passed: the implementation may put its files in order after the commit.
    fn tidy(&mut self, daily: bool);

    /// Adds to `report` what is wrong with the files below the rows.
    fn check(&mut self, deep: bool, report: &mut CheckReport) -> Result<(), StoreError>;
}

/// Row of [`Table::Meta`] that holds the epoch.
const EPOCH_ROW: i64 = 1;
/// Row of [`Table::Meta`] that holds the clock.
const CLOCK_ROW: i64 = 2;

/// Bytes an engine may write around one record of ours: page ends, log frames, table nodes. Counted against free space.
const RECORD_OVERHEAD_BYTES: u64 = 8 * 1024;

/// The index of a store and the rules of its verbs.
pub(super) struct Ledger<R> {
    rows: R,
    limits: StoreLimits,
    names: TombstoneNames,
    epoch: Epoch,
    clock: StoreClock,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    slots: BTreeMap<SlotId, Slot>,
    parcels: BTreeMap<ParcelId, Parcel>,
    /// Parcels by the step at which they go; an id may be gone already.
    due: BTreeMap<u32, Vec<ParcelId>>,
    tombstones: Tombstones,
    /// Bytes and parcels of quota that return at the next step. It outlives a mailbox that is dropped and made again.
    freed: BTreeMap<MailboxId, (u64, u32)>,
    announced: usize,
    bytes: u64,
    next_parcel_row: i64,
    next_scope_row: i64,
    next_freed_row: i64,
    /// Room left as far as this batch knows; `None` = ask.
    room: Option<u64>,
}

struct Mailbox {
    row: i64,
    kept: MailboxRow,
    /// In order of arrival.
    parcels: Vec<ParcelId>,
    /// What its parcels take of its quota.
    charged: u64,
}

struct Slot {
    row: i64,
    kept: SlotRow,
}

struct Parcel {
    mailbox: MailboxId,
    /// Row in which it begins; `None` while it is only announced.
    begin: Option<i64>,
    segments: Vec<Segment>,
    /// Step at which it goes; of an announced one, the step at which it is forgotten.
    expires: u32,
    /// Its length as its header tells, 0 if it does not.
    sealed_length: u32,
    /// Present until it is closed.
    open: Option<Box<OpenParcel>>,
}

struct OpenParcel {
    header: Header,
    home: Home,
    /// What it was put with; not known of one that was read back from the disk.
    age: Option<Age>,
    chain: [u8; 32],
}

/// One row of a parcel's bytes and marks. Its bytes begin where the one before it ends; its marks, after its last mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    row: i64,
    /// End of its bytes.
    end: u32,
    /// End of the newest mark, here or before.
    marked: u32,
}

impl Parcel {
    fn held(&self) -> u32 {
        self.segments.last().map_or(0, |segment| segment.end)
    }

    fn marked(&self) -> u32 {
        self.segments.last().map_or(0, |segment| segment.marked)
    }

    /// What it takes of its mailbox's quota: what it was announced as, so that what was begun can be ended.
    fn charge(&self) -> u64 {
        u64::from(self.sealed_length.max(self.held()))
    }
}

#[derive(Default)]
struct Tombstones {
    /// Day at which each goes, by name.
    days: BTreeMap<u64, u32>,
    /// Next number within a day.
    next: BTreeMap<u32, u32>,
}

impl Tombstones {
    fn row(day: u32, number: u32) -> i64 {
        i64::from(day) << 32 | i64::from(number)
    }

    /// Takes a row and remembers it.
    fn add(&mut self, name: u64, day: u32) -> i64 {
        self.days.insert(name, day);
        let number = self.next.entry(day).or_default();
        let row = Self::row(day, *number);
        *number = number.saturating_add(1);
        row
    }

    fn load(&mut self, row: i64, record: &[u8]) -> Result<(), StoreError> {
        let name = record.first_chunk::<8>().filter(|_| record.len() == 8);
        let (Some(name), Ok(day)) = (name, u32::try_from(row >> 32)) else {
            return Err(StoreError::corrupt("a tombstone has a wrong length or day"));
        };
        let number = u32::try_from(row & 0xffff_ffff).unwrap_or(u32::MAX);
        self.days.insert(u64::from_be_bytes(*name), day);
        let next = self.next.entry(day).or_default();
        *next = (*next).max(number.saturating_add(1));
        Ok(())
    }
}

/// What `put` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Open(Resumed),
    Stored,
}

impl<R: Rows> Ledger<R> {
    /// Takes up what `rows` hold. A store without an epoch is new and gets `fresh`.
    pub(super) fn open(rows: R, limits: StoreLimits, names: TombstoneNames, fresh: Epoch) -> Result<Self, StoreError> {
        let mut ledger = Self {
            rows,
            limits,
            names,
            epoch: fresh,
            clock: StoreClock::default(),
            mailboxes: BTreeMap::new(),
            slots: BTreeMap::new(),
            parcels: BTreeMap::new(),
            due: BTreeMap::new(),
            tombstones: Tombstones::default(),
            freed: BTreeMap::new(),
            announced: 0,
            bytes: 0,
            next_parcel_row: 1,
            next_scope_row: 1,
            next_freed_row: 1,
            room: None,
        };
        ledger.load()?;
        Ok(ledger)
    }

    /// Returns the epoch.
    pub(super) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns the rows, for the engine.
    pub(super) const fn rows(&mut self) -> &mut R {
        &mut self.rows
    }

    /// Begins another epoch: this store no longer holds all that was acknowledged under the old one.
    pub(super) fn begin_epoch(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        self.rows.write(Table::Meta, EPOCH_ROW, &epoch.0, &[])?;
        self.epoch = epoch;
        Ok(())
    }

    /// Tells that what was written is committed: room is asked for anew.
    pub(super) const fn batch_ended(&mut self) {
        self.room = None;
    }

    fn load(&mut self) -> Result<(), StoreError> {
        let mut meta = BTreeMap::new();
        self.rows.scan(Table::Meta, 0, &mut |row, record| {
            meta.insert(row, record.to_vec());
            Ok(true)
        })?;
        if let Some(epoch) = meta.get(&EPOCH_ROW) {
            self.epoch = record::whole(epoch, "the epoch", |reader| Ok(Epoch(reader.array()?)))?;
            let clock = meta.get(&CLOCK_ROW).ok_or_else(|| StoreError::corrupt("the store's clock is missing"))?;
            self.clock = StoreClock::from_millis(record::whole(clock, "the store's clock", |reader| reader.u64())?);
        } else {
            self.rows.write(Table::Meta, EPOCH_ROW, &self.epoch.0, &[])?;
            self.write_clock()?;
        }
        self.load_scopes()?;
        self.load_parcels()?;
        let tombstones = &mut self.tombstones;
        self.rows.scan(Table::Tombstones, i64::MIN, &mut |row, record| tombstones.load(row, record).map(|()| true))?;
        let (freed, next) = (&mut self.freed, &mut self.next_freed_row);
        self.rows.scan(Table::Freed, 0, &mut |row, record| {
            *next = row.saturating_add(1);
            FreedRow::decode(record)?.add_to(freed);
            Ok(true)
        })
    }

    fn write_clock(&mut self) -> Result<(), StoreError> {
        if self.clock.as_millis() > 0 && sabotaged!(ClockNotKept) {
            return Ok(());
        }
        let millis = self.clock.as_millis().to_be_bytes();
        self.rows.write(Table::Meta, CLOCK_ROW, &millis, &[])
    }

    fn load_scopes(&mut self) -> Result<(), StoreError> {
        let (mailboxes, slots, next) = (&mut self.mailboxes, &mut self.slots, &mut self.next_scope_row);
        self.rows.scan(Table::Scopes, 0, &mut |row, record| {
            *next = row.saturating_add(1);
            match ScopeRow::decode(record)? {
                ScopeRow::Mailbox(kept) => {
                    mailboxes.insert(kept.id, Mailbox::new(row, kept));
                }
                ScopeRow::Slot(kept) => {
                    slots.insert(kept.id, Slot { row, kept });
                }
            }
            Ok(true)
        })
    }

    fn load_parcels(&mut self) -> Result<(), StoreError> {
        let mut begun: BTreeMap<i64, ParcelId> = BTreeMap::new();
        let (parcels, mailboxes, due) = (&mut self.parcels, &mut self.mailboxes, &mut self.due);
        let next = &mut self.next_parcel_row;
        self.rows.scan(Table::Parcels, 0, &mut |row, record| {
            *next = row.saturating_add(1);
            match ParcelRow::decode(record)? {
                ParcelRow::Begin { header, home, expires } => {
                    let (id, mailbox) = (header.id(), header.mailbox());
                    begun.insert(row, id);
                    due.entry(expires).or_default().push(id);
                    mailboxes
                        .get_mut(&mailbox)
                        .ok_or_else(|| StoreError::corrupt("a parcel has no mailbox"))?
                        .parcels
                        .push(id);
                    parcels.insert(id, Parcel::begun(row, header, home, expires));
                }
                ParcelRow::Segment(segment) => begun
                    .get(&segment.begin)
                    .and_then(|id| parcels.get_mut(id))
                    .ok_or_else(|| StoreError::corrupt("bytes belong to no parcel"))?
                    .load_segment(row, &segment)?,
            }
            Ok(true)
        })?;
        for parcel in self.parcels.values() {
            self.bytes = self.bytes.saturating_add(u64::from(parcel.held()));
            if let Some(mailbox) = self.mailboxes.get_mut(&parcel.mailbox) {
                mailbox.charged = mailbox.charged.saturating_add(parcel.charge());
            }
        }
        Ok(())
    }

    /// Refuses what a mailbox's quota does not allow: one more parcel if `parcels` is 1, and `bytes` more.
    fn allow(&self, id: &MailboxId, parcels: u32, bytes: u64) -> Result<(), StoreError> {
        let mailbox = self.mailboxes.get(id).ok_or(StoreError::Refused(Code::NOT_HERE))?;
        let (freed_bytes, freed_parcels) = self.freed.get(id).copied().unwrap_or_default();
        let parcels_max = mailbox.kept.parcels_max.map_or(u32::MAX, u32::from);
        let bytes_max = mailbox.kept.bytes_max.map_or(u64::MAX, u64::from);
        let count = u32::try_from(mailbox.parcels.len()).unwrap_or(u32::MAX);
        let count = count.saturating_add(freed_parcels).saturating_add(parcels);
        let taken = mailbox.charged.saturating_add(freed_bytes).saturating_add(bytes);
        let fits = (parcels == 0 || count <= parcels_max.min(self.limits.mailbox_parcels_max))
            && (bytes == 0 || taken <= bytes_max.min(self.limits.mailbox_bytes_max));
        let takes_replies = !fits && mailbox.kept.parcels_max == Some(1) && sabotaged!(UsedLinkAccepted);
        if fits || takes_replies || sabotaged!(QuotaNotCounted) {
            return Ok(());
        }
        Err(StoreError::Refused(Code::MAILBOX_FULL))
    }

    /// Counts what is about to be written for new work, and refuses it if that would eat the reserve.
    fn take_room(&mut self, bytes: u64) -> Result<(), StoreError> {
        let room = match self.room {
            Some(room) => room,
            None => {
                let space = self.rows.space()?;
                space.free_bytes.saturating_sub(self.limits.reserve_bytes(space.total_bytes))
            }
        };
        let needed = bytes.saturating_add(RECORD_OVERHEAD_BYTES);
        self.room = Some(room.saturating_sub(needed));
        if room < needed && !sabotaged!(ReserveNotKept) {
            reached!(RelayFull);
            self.room = Some(room);
            return Err(StoreError::Refused(Code::RELAY_FULL));
        }
        Ok(())
    }
}

impl Mailbox {
    fn new(row: i64, kept: MailboxRow) -> Self {
        Self { row, kept, parcels: Vec::new(), charged: 0 }
    }

    fn is_over(&self) -> bool {
        matches!(self.kept.validity, Validity::Over(_))
    }
}

impl Parcel {
    fn begun(row: i64, header: Header, home: Home, expires: u32) -> Self {
        Self {
            mailbox: header.mailbox(),
            begin: Some(row),
            segments: Vec::new(),
            expires,
            sealed_length: header.sealed_length().unwrap_or(0),
            open: Some(Box::new(OpenParcel::new(header, home))),
        }
    }

    /// Takes up a segment from its row; a gap means that a row is lost.
    fn load_segment(&mut self, row: i64, kept: &SegmentRow) -> Result<(), StoreError> {
        let open = self.open.as_mut().filter(|_| kept.start == self.segments.last().map_or(0, |segment| segment.end));
        let Some(open) = open else {
            return Err(StoreError::corrupt("the bytes of a parcel have a gap"));
        };
        let marked = self.segments.last().map_or(0, |segment| segment.marked);
        self.segments.push(Segment {
            row,
            end: kept.start.saturating_add(kept.length),
            marked: kept.marks.last().map_or(marked, |mark| mark.end),
        });
        if let Some(mark) = kept.marks.last() {
            open.chain = kept.chain;
            if mark.last {
                self.open = None;
            }
        }
        Ok(())
    }
}

impl OpenParcel {
    fn new(header: Header, home: Home) -> Self {
        let (chain, _) = MarkChain::new(&header).state();
        Self { header, home, age: None, chain }
    }
}

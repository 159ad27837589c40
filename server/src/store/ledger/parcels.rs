//! The verbs of parcels: put, extend, cut, withdraw, list, read, release.

use zajil_proto::ids::{MailboxId, ParcelId};
use zajil_proto::limits::TOMBSTONE_EXTRA_HOURS;
use zajil_proto::parcel::{Header, Mark, Resumed, Travel};
use zajil_proto::session::custody::{Extended, Extension, Waiting};
use zajil_proto::time::Age;
use zajil_proto::wire::Code;
use zajil_proto::{reached, sabotaged};

use super::clock::tombstone_day;
use super::join::{Held, Joined};
use super::record::{FreedRow, ParcelRow, SegmentRow, Validity};
use super::{Found, Ledger, OpenParcel, Parcel, Rows, Segment, StoreError, Table};
use crate::limits::{ANNOUNCED_MAX, ANNOUNCED_STEPS, READ_BYTES_MAX, TOMBSTONES_MAX};
use crate::store::Part;

/// Why a parcel goes, which decides when its quota comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Released or withdrawn: at the next step, so that a writer cannot tell when.
    ByHand,
    /// Expired, or never had a byte: at once, since everybody knows when.
    ByTime,
}

impl<R: Rows> Ledger<R> {
    /// See [`crate::store::Store::put`].
    pub(in crate::store) fn put(&mut self, header: Header, travel: Travel) -> Result<Found, StoreError> {
        let (id, mailbox_id) = (header.id(), header.mailbox());
        // Asked of every id, also of one that is here: the keyed hash must not tell by its time what was collected.
        let is_buried = self.is_buried(&id);
        if let Some(parcel) = self.parcels.get_mut(&id) {
            let (marked, held) = (parcel.marked(), parcel.held());
            return match &mut parcel.open {
                // Whatever header it comes under, another mailbox's among them: a tombstone answers by the id alone, and an author who
                // got another answer while the parcel waits would know when it was collected.
                None => {
                    reached!(HeldParcelPutAgain);
                    Ok(Found::Stored)
                }
                Some(open) if open.header != header => Err(StoreError::Refused(Code::BAD_ID)),
                Some(open) => {
                    // Not kept at rest: whoever goes on with it says it again.
                    open.age = Some(travel.age);
                    let chain = (open.chain, marked);
                    let tail = self.bytes_of(&id, marked, held)?;
                    Ok(Found::Open(Resumed { chain, tail, closed: false }))
                }
            };
        }
        if is_buried {
            reached!(ReleasedParcelPutAgain);
            if sabotaged!(ReleaseToldToWriter) {
                return Err(StoreError::Refused(Code::OVER));
            }
            return Ok(Found::Stored);
        }
        let sealed_length = header.sealed_length().unwrap_or(0);
        self.admit(&mailbox_id, &header, travel, sealed_length)?;
        let mut open = OpenParcel::new(header, travel.home);
        open.age = Some(travel.age);
        let chain = (open.chain, 0);
        let parcel = Parcel {
            mailbox: mailbox_id,
            begin: None,
            segments: Vec::new(),
            expires: self.clock.step().saturating_add(ANNOUNCED_STEPS),
            sealed_length,
            open: Some(Box::new(open)),
        };
        if let Some(mailbox) = self.mailboxes.get_mut(&mailbox_id) {
            mailbox.parcels.push(id);
            mailbox.charged = mailbox.charged.saturating_add(parcel.charge());
        }
        self.parcels.insert(id, parcel);
        self.announced = self.announced.saturating_add(1);
        Ok(Found::Open(Resumed { chain, tail: Vec::new(), closed: false }))
    }

    /// Refuses a new parcel before its sender spends a window on it.
    fn admit(
        &mut self,
        mailbox: &MailboxId,
        header: &Header,
        travel: Travel,
        sealed_length: u32,
    ) -> Result<(), StoreError> {
        let refuse = |code| Err(StoreError::Refused(code));
        let Some(found) = self.mailboxes.get(mailbox) else {
            return refuse(Code::NOT_HERE);
        };
        if found.is_over() {
            return refuse(Code::OVER);
        }
        let lifetime = header.lifetime();
        if lifetime > self.limits.lifetime_max || travel.age.expired(lifetime) {
            return refuse(Code::LIFETIME);
        }
        if sealed_length > self.limits.parcel_bytes_max {
            return refuse(Code::TOO_LONG);
        }
        // A parcel of unknown length needs room for a first byte at least.
        self.allow(mailbox, 1, u64::from(sealed_length.max(1))).inspect_err(|_| reached!(QuotaRefusedAtOpen))?;
        if self.announced >= ANNOUNCED_MAX {
            return refuse(Code::BUSY);
        }
        let taken = self.take_room(u64::from(sealed_length));
        #[cfg(feature = "simulation")]
        if taken.is_err() && sabotaged!(EvictedWhenFull) {
            return self.evict_oldest();
        }
        taken
    }

    /// Makes room for a new parcel at the cost of one that was promised to be kept.
    #[cfg(feature = "simulation")]
    fn evict_oldest(&mut self) -> Result<(), StoreError> {
        let begun = self.parcels.iter().filter_map(|(id, parcel)| Some((parcel.begin?, *id)));
        let Some((_, oldest)) = begun.min() else { return Ok(()) };
        self.remove(&[oldest], Leaving::ByTime)
    }

    /// See [`crate::store::Store::extend`].
    pub(in crate::store) fn extend(&mut self, extension: &Extension) -> Result<Extended, StoreError> {
        let id = extension.id;
        let parcel = self.parcels.get(&id).filter(|parcel| parcel.mailbox == extension.mailbox);
        let parcel = parcel.ok_or(StoreError::Refused(Code::NOT_HERE))?;
        let (held, marked, sealed_length) = (parcel.held(), parcel.marked(), parcel.sealed_length);
        let Some(open) = &parcel.open else {
            reached!(ClosedParcelExtended);
            return Ok(Extended { id, held, closed: true });
        };
        let chain = open.chain;
        let tail = self.bytes_of(&id, marked, held)?;
        let joined =
            Held { marked, chain, tail: &tail }.join(extension).ok_or(StoreError::Refused(Code::BAD_OFFSET))?;
        let length = u32::try_from(joined.bytes.len()).unwrap_or(u32::MAX);
        let end = joined.keep.saturating_add(length);
        self.admit_bytes(&id, sealed_length, end, length)?;
        if joined.keep < held {
            self.truncate(&id, joined.keep)?;
        }
        if !joined.bytes.is_empty() || !joined.marks.is_empty() {
            self.append(&id, &joined, length)?;
        }
        Ok(Extended { id, held: end, closed: joined.closed })
    }

    /// Refuses bytes that lead past what the parcel, its mailbox or the disk may hold.
    fn admit_bytes(&mut self, id: &ParcelId, sealed_length: u32, end: u32, length: u32) -> Result<(), StoreError> {
        if sealed_length != 0 && end > sealed_length {
            return Err(StoreError::Refused(Code::BAD_OFFSET));
        }
        if end > self.limits.parcel_bytes_max {
            return Err(StoreError::Refused(Code::TOO_LONG));
        }
        if let Some(parcel) = self.parcels.get(id) {
            let more = u64::from(end).saturating_sub(parcel.charge());
            self.allow(&parcel.mailbox, 0, more).inspect_err(|_| reached!(QuotaRefusedMidParcel))?;
        }
        // Marks alone are let through: they end what was begun.
        if length > 0 { self.take_room(u64::from(length)) } else { Ok(()) }
    }

    fn append(&mut self, id: &ParcelId, joined: &Joined<'_>, length: u32) -> Result<(), StoreError> {
        let begin = self.begin(id)?;
        self.renew(id, begin)?;
        let row = self.next_parcel_row;
        let segment =
            SegmentRow { begin, start: joined.keep, length, marks: joined.marks.clone(), chain: joined.chain };
        let record = ParcelRow::Segment(segment).encode();
        self.rows.write(Table::Parcels, row, &record, joined.bytes)?;
        self.next_parcel_row = row.saturating_add(1);

        let Some(parcel) = self.parcels.get_mut(id) else {
            return Ok(());
        };
        let (mailbox_id, before) = (parcel.mailbox, parcel.charge());
        let marked = joined.marks.last().map_or(parcel.marked(), |mark| mark.end);
        parcel.segments.push(Segment { row, end: joined.keep.saturating_add(length), marked });
        if let Some(open) = &mut parcel.open {
            open.chain = joined.chain;
        }
        if joined.closed {
            parcel.open = None;
            parcel.segments.shrink_to_fit();
        }
        let more = parcel.charge().saturating_sub(before);
        self.bytes = self.bytes.saturating_add(u64::from(length));
        if let Some(mailbox) = self.mailboxes.get_mut(&mailbox_id) {
            mailbox.charged = mailbox.charged.saturating_add(more);
            if joined.closed && matches!(mailbox.kept.validity, Validity::Until(_)) {
                mailbox.kept.validity = Validity::Lasting;
                let record = mailbox.kept.encode();
                self.rows.write(Table::Scopes, mailbox.row, &record, &[])?;
            }
        }
        self.touch_mailbox(&mailbox_id)
    }

    /// Lets a parcel that grows live on: its age starts when it is whole (P3.10), and an upload may take longer than a lifetime. What
    /// nobody goes on with goes when a lifetime has passed since it last grew. Written once for each step, not for each piece.
    fn renew(&mut self, id: &ParcelId, begin: i64) -> Result<(), StoreError> {
        let Some(parcel) = self.parcels.get_mut(id) else { return Ok(()) };
        let Some(open) = &parcel.open else { return Ok(()) };
        // Of one that nobody has put since the store was opened it is not known whether another relay had it before.
        let Some(age) = open.age else { return Ok(()) };
        let expires = self.clock.expiry_step(open.header.lifetime(), age);
        if expires <= parcel.expires || sabotaged!(GrowthNotRenewed) {
            return Ok(());
        }
        reached!(LifetimeRenewed);
        let record = ParcelRow::Begin { header: open.header.clone(), home: open.home, expires }.encode();
        self.rows.write(Table::Parcels, begin, &record, &[])?;
        parcel.expires = expires;
        self.due.entry(expires).or_default().push(*id);
        Ok(())
    }

    /// Puts the beginning of an announced parcel on disk. Returns its row.
    fn begin(&mut self, id: &ParcelId) -> Result<i64, StoreError> {
        let gone = || StoreError::Refused(Code::NOT_HERE);
        let parcel = self.parcels.get_mut(id).ok_or_else(gone)?;
        if let Some(row) = parcel.begin {
            return Ok(row);
        }
        let open = parcel.open.as_ref().ok_or_else(gone)?;
        let row = self.next_parcel_row;
        let expires = self.clock.expiry_step(open.header.lifetime(), open.age.unwrap_or_default());
        let record = ParcelRow::Begin { header: open.header.clone(), home: open.home, expires }.encode();
        self.rows.write(Table::Parcels, row, &record, &[])?;
        self.next_parcel_row = row.saturating_add(1);
        parcel.begin = Some(row);
        parcel.expires = expires;
        self.announced = self.announced.saturating_sub(1);
        self.due.entry(expires).or_default().push(*id);
        // In order of arrival means of first bytes, as after a restart; parcels announced later may have come first.
        if let Some(mailbox) = self.mailboxes.get_mut(&parcel.mailbox) {
            mailbox.parcels.retain(|other| other != id);
            mailbox.parcels.push(*id);
        }
        Ok(row)
    }

    /// See [`crate::store::Store::cut`].
    pub(in crate::store) fn cut(&mut self, id: &ParcelId, to: u32) -> Result<(), StoreError> {
        match self.parcels.get(id) {
            Some(parcel) if parcel.open.is_some() && to < parcel.held() => {
                let to = to.max(parcel.marked());
                self.truncate(id, to)
            }
            _ => Ok(()),
        }
    }

    /// Drops the bytes of an open parcel after `to`, which lies at or after its newest mark.
    fn truncate(&mut self, id: &ParcelId, to: u32) -> Result<(), StoreError> {
        let Some(parcel) = self.parcels.get_mut(id) else {
            return Ok(());
        };
        let (held, before) = (parcel.held(), parcel.charge());
        let mut index = parcel.segments.len();
        while let Some(at) = index.checked_sub(1)
            && let Some(segment) = parcel.segments.get(at).copied()
            && segment.end > to
        {
            index = at;
            let earlier = at.checked_sub(1).and_then(|before| parcel.segments.get(before)).copied();
            let start = earlier.map_or(0, |earlier| earlier.end);
            if start >= to && segment.marked == earlier.map_or(0, |earlier| earlier.marked) {
                self.rows.delete(Table::Parcels, segment.row)?;
                parcel.segments.remove(at);
                continue;
            }
            // Part of the row stays: bytes before `to`, or marks over earlier bytes.
            let mut kept = segment_row(&mut self.rows, segment.row)?;
            let mut body = self.rows.body(segment.row)?;
            kept.start = start.min(to);
            kept.length = to - kept.start;
            body.truncate(usize::try_from(kept.length).unwrap_or(usize::MAX));
            self.rows.write(Table::Parcels, segment.row, &ParcelRow::Segment(kept).encode(), &body)?;
            if let Some(segment) = parcel.segments.get_mut(at) {
                segment.end = to;
            }
        }
        let less = before.saturating_sub(parcel.charge());
        self.bytes = self.bytes.saturating_sub(u64::from(held.saturating_sub(parcel.held())));
        if let Some(mailbox) = self.mailboxes.get_mut(&parcel.mailbox) {
            mailbox.charged = mailbox.charged.saturating_sub(less);
        }
        Ok(())
    }

    /// See [`crate::store::Store::withdraw`].
    pub(in crate::store) fn withdraw(&mut self, mailbox: &MailboxId, id: &ParcelId) -> Result<(), StoreError> {
        if let Some(parcel) = self.parcels.get(id) {
            if parcel.mailbox == *mailbox {
                let expires = match parcel.begin {
                    Some(_) => parcel.expires,
                    None => self.longest_step(),
                };
                self.bury(id, expires)?;
                return self.remove(&[*id], Leaving::ByHand);
            }
            return Ok(());
        }
        if !self.mailboxes.contains_key(mailbox) {
            return Ok(());
        }
        if self.is_buried(id) {
            return Ok(());
        }
        // It may still come by another way. A place in the quota until the next step keeps these from being free.
        self.allow(mailbox, 1, 0)?;
        if self.tombstones.days.len() >= TOMBSTONES_MAX {
            return Err(StoreError::Refused(Code::RELAY_FULL));
        }
        self.take_room(0)?;
        self.bury(id, self.longest_step())?;
        self.free(mailbox, 0, 1)
    }

    fn longest_step(&self) -> u32 {
        self.clock.expiry_step(self.limits.lifetime_max, Age(0))
    }

    /// Leaves a tombstone for a parcel that goes, or would have gone, at step `expires`.
    pub(super) fn bury(&mut self, id: &ParcelId, expires: u32) -> Result<(), StoreError> {
        const { assert!(TOMBSTONE_EXTRA_HOURS > 0) };
        let name = self.names.name(id);
        if self.tombstones.days.contains_key(&name) || sabotaged!(TombstoneForgotten) {
            return Ok(());
        }
        let row = self.tombstones.add(name, tombstone_day(expires));
        self.rows.write(Table::Tombstones, row, &name.to_be_bytes(), &[])
    }

    /// See [`crate::store::Store::list`].
    pub(in crate::store) fn list(&mut self, mailbox: &MailboxId) -> Result<Vec<Waiting>, StoreError> {
        let Some(found) = self.mailboxes.get(mailbox) else {
            return Ok(Vec::new());
        };
        let mut waiting = Vec::with_capacity(found.parcels.len());
        for id in &found.parcels {
            let Some(parcel) = self.parcels.get(id) else { continue };
            let Some(begin) = parcel.begin else { continue };
            let row = ParcelRow::decode(&self.rows.record(Table::Parcels, begin)?)?;
            let ParcelRow::Begin { header, home, .. } = row else {
                return Err(StoreError::corrupt("a parcel does not begin where it was written"));
            };
            waiting.push(Waiting {
                travel: Travel { home, age: self.clock.age(header.lifetime(), parcel.expires) },
                header,
                held: parcel.held(),
                closed: parcel.open.is_none(),
            });
        }
        self.touch_mailbox(mailbox)?;
        Ok(waiting)
    }

    /// See [`crate::store::Store::read`].
    pub(in crate::store) fn read(&mut self, id: &ParcelId, offset: u32, bytes_max: u32) -> Result<Part, StoreError> {
        let parcel = self.parcels.get(id).ok_or(StoreError::Refused(Code::NOT_HERE))?;
        let end = offset.saturating_add(bytes_max.min(READ_BYTES_MAX)).min(parcel.held());
        let marks = self.marks_of(id, offset, end)?;
        Ok(Part { bytes: self.bytes_of(id, offset, end)?, marks })
    }

    /// Returns the bytes from `start` to `end`, which are held.
    pub(super) fn bytes_of(&mut self, id: &ParcelId, start: u32, end: u32) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        let Some(parcel) = self.parcels.get(id).filter(|_| start < end) else {
            return Ok(bytes);
        };
        let first = parcel.segments.partition_point(|segment| segment.end <= start);
        let mut from = first.checked_sub(1).and_then(|index| parcel.segments.get(index)).map_or(0, |s| s.end);
        for segment in parcel.segments.iter().skip(first) {
            if from >= end {
                break;
            }
            if segment.end > from {
                let body = self.rows.body(segment.row)?;
                let skip = usize::try_from(start.saturating_sub(from)).unwrap_or(usize::MAX);
                let upto = usize::try_from(end.min(segment.end).saturating_sub(from)).unwrap_or(usize::MAX);
                let part = body
                    .get(skip..upto)
                    .ok_or_else(|| StoreError::corrupt("a parcel's bytes are shorter than they were"))?;
                bytes.extend_from_slice(part);
            }
            from = segment.end;
        }
        Ok(bytes)
    }

    /// Returns the marks whose ends lie after `start` and not after `end`.
    pub(super) fn marks_of(&mut self, id: &ParcelId, start: u32, end: u32) -> Result<Vec<Mark>, StoreError> {
        let mut marks = Vec::new();
        let Some(parcel) = self.parcels.get(id) else {
            return Ok(marks);
        };
        let mut marked = 0;
        for segment in &parcel.segments {
            if marked >= end {
                break;
            }
            if segment.marked > marked && segment.marked > start {
                let kept = segment_row(&mut self.rows, segment.row)?;
                marks.extend(kept.marks.iter().filter(|mark| mark.end > start && mark.end <= end));
            }
            marked = segment.marked;
        }
        Ok(marks)
    }

    /// See [`crate::store::Store::release`].
    pub(in crate::store) fn release(&mut self, mailbox: &MailboxId, ids: &[ParcelId]) -> Result<(), StoreError> {
        let Some(found) = self.mailboxes.get(mailbox) else {
            return Ok(());
        };
        if found.kept.audience {
            return Ok(());
        }
        let mut leaving = Vec::new();
        for id in ids {
            let Some(parcel) = self.parcels.get(id).filter(|parcel| parcel.mailbox == *mailbox) else {
                reached!(ReleaseRepeated);
                continue;
            };
            if leaving.contains(id) {
                continue;
            }
            let (closed, expires) = (parcel.open.is_none(), parcel.expires);
            // Without a tombstone an open one may be put again: "stored" was never said of it.
            if closed {
                self.bury(id, expires)?;
            }
            leaving.push(*id);
        }
        self.remove(&leaving, Leaving::ByHand)?;
        self.touch_mailbox(mailbox)
    }

    /// Deletes parcels of one mailbox, rows and all.
    pub(super) fn remove(&mut self, ids: &[ParcelId], leaving: Leaving) -> Result<(), StoreError> {
        let (mut bytes, mut parcels, mut mailbox_id) = (0_u64, 0_u32, None);
        for id in ids {
            let Some(parcel) = self.parcels.remove(id) else { continue };
            match parcel.begin {
                Some(begin) => self.rows.delete(Table::Parcels, begin)?,
                None => self.announced = self.announced.saturating_sub(1),
            }
            for segment in &parcel.segments {
                self.rows.delete(Table::Parcels, segment.row)?;
            }
            self.bytes = self.bytes.saturating_sub(u64::from(parcel.held()));
            if let Some(mailbox) = self.mailboxes.get_mut(&parcel.mailbox) {
                mailbox.charged = mailbox.charged.saturating_sub(parcel.charge());
                mailbox.parcels.retain(|other| other != id);
            }
            bytes = bytes.saturating_add(parcel.charge());
            parcels = parcels.saturating_add(1);
            mailbox_id = Some(parcel.mailbox);
        }
        match mailbox_id {
            Some(mailbox) if leaving == Leaving::ByHand && !sabotaged!(QuotaReturnsAtOnce) => {
                self.free(&mailbox, bytes, parcels)
            }
            _ => Ok(()),
        }
    }

    /// Keeps quota taken until the next step, also across a restart.
    fn free(&mut self, mailbox: &MailboxId, bytes: u64, parcels: u32) -> Result<(), StoreError> {
        let freed = FreedRow { mailbox: *mailbox, bytes, parcels };
        freed.add_to(&mut self.freed);
        if sabotaged!(FreedNotKept) {
            return Ok(());
        }
        let row = self.next_freed_row;
        self.rows.write(Table::Freed, row, &freed.encode(), &[])?;
        self.next_freed_row = row.saturating_add(1);
        Ok(())
    }
}

/// Reads a row that must be of a parcel's bytes and marks.
fn segment_row(rows: &mut impl Rows, row: i64) -> Result<SegmentRow, StoreError> {
    match ParcelRow::decode(&rows.record(Table::Parcels, row)?)? {
        ParcelRow::Segment(kept) => Ok(kept),
        ParcelRow::Begin { .. } => Err(StoreError::corrupt("a parcel's bytes are not where they were written")),
    }
}

//! Parcels on their way to their readers (P8.11, P8.18).

use std::collections::BTreeMap;

use crate::ids::{MailboxId, ParcelId};
use crate::limits::{
    BODY_SENT_BYTES_MAX, HELD_ENTRIES_MAX, LISTED_MAX, MARK_DISTANCE_BYTES_MAX, NOTES_BEGUN_MAX, TRANSFERS_OPEN_MAX,
    UNFLUSHED_BYTES_MAX,
};
use crate::outbox::{Candidate, Portion, Share};
use crate::parcel::{Class, Header, Mark, Travel};
use crate::session::custody::{StoreReply, StoreRequest, Waiting};
use crate::session::relay::desk::{Desk, Pending};
use crate::session::relay::{Counter, RelayEvent};
use crate::session::{Lane, Rank};
use crate::wire::{Code, Frame, Held, ParcelStart};

/// All watched mailboxes of one session.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    watches: BTreeMap<MailboxId, Watch>,
    /// Transfers whose lanes are open, and their parcels.
    open: BTreeMap<u64, (MailboxId, ParcelId)>,
    /// `Parcel` frames sent so far; the next transfer's number.
    transfers: u64,
    share: Share,
    /// Bytes asked of the store and not read yet.
    reading: usize,
    /// Nothing new is asked of the store.
    stopped: bool,
}

#[derive(Debug, Default)]
struct Watch {
    live: bool,
    /// Whether a `Watch` without "more" came.
    begun: bool,
    listing: bool,
    /// What waits has changed since it was listed.
    stale: bool,
    /// The last listing did not fit.
    truncated: bool,
    /// `Drained` frames owed.
    owed: u32,
    /// How far the device is with each parcel.
    progress: BTreeMap<ParcelId, Progress>,
    /// What is to be sent.
    queue: BTreeMap<ParcelId, Item>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// Bytes of body the device has or has been sent.
    next: u32,
    /// It has or has been sent all marks that end here or before.
    marked: u32,
    /// It has the whole parcel.
    whole: bool,
}

#[derive(Debug)]
struct Item {
    header: Header,
    travel: Travel,
    held: u32,
    closed: bool,
    /// Place in the mailbox, oldest first.
    position: u32,
    transfer: Option<u64>,
    reading: bool,
}

/// A portion that was asked of the store.
#[derive(Debug)]
pub(super) struct Reading {
    mailbox: MailboxId,
    portion: Portion<Key>,
    /// Where the bytes asked for begin.
    offset: u32,
}

/// Oldest first within a mailbox.
type Key = (u32, MailboxId, ParcelId);

impl Downloads {
    /// Takes a `Watch` of a proven mailbox.
    pub(super) fn watch(
        &mut self,
        desk: &mut Desk,
        mailbox: MailboxId,
        (live, more): (bool, bool),
        held: &[Held],
    ) -> Result<(), Code> {
        let watch = self.watches.entry(mailbox).or_default();
        for entry in held {
            let is_part = entry.offset.is_some_and(|offset| offset > 0);
            if is_part {
                reached!(DownloadResumed);
            }
            if entry.offset.is_none() {
                reached!(HeldDownloadLeftOut);
            }
            if is_part && sabotaged!(DownloadRestarts) {
                continue;
            }
            watch.progress.entry(entry.id).or_default().claim(entry.offset);
        }
        if watch.progress.len() > HELD_ENTRIES_MAX {
            return Err(Code::TOO_MANY);
        }
        if more {
            return Ok(());
        }
        if live && !watch.live {
            desk.port.event(RelayEvent::WatchStarted { mailbox });
        } else if !live && watch.live {
            desk.port.event(RelayEvent::WatchEnded { mailbox });
        }
        watch.live = live;
        watch.begun = true;
        watch.owed = watch.owed.saturating_add(1);
        self.list(desk, mailbox);
        Ok(())
    }

    /// What the device holds durably is never sent again.
    pub(super) fn released(&mut self, mailbox: MailboxId, ids: &[ParcelId]) {
        if let Some(watch) = self.watches.get_mut(&mailbox) {
            for id in ids {
                // One that is neither waiting nor known cannot come by a later listing.
                if watch.queue.contains_key(id) || watch.progress.contains_key(id) || watch.listing {
                    watch.progress.entry(*id).or_default().claim(None);
                }
            }
        }
    }

    /// Something came into a mailbox.
    pub(super) fn arrived(&mut self, desk: &mut Desk, mailbox: MailboxId) {
        if self.watches.get(&mailbox).is_some_and(|watch| watch.begun) {
            self.list(desk, mailbox);
        }
    }

    /// A mailbox is gone.
    pub(super) fn dropped(&mut self, desk: &mut Desk, mailbox: MailboxId) {
        if self.watches.remove(&mailbox).is_some_and(|watch| watch.live) {
            desk.port.event(RelayEvent::WatchEnded { mailbox });
        }
        self.close_lanes_without_item(desk);
    }

    /// The session is over.
    pub(super) fn close(&mut self, desk: &mut Desk) {
        for (mailbox, watch) in core::mem::take(&mut self.watches) {
            if watch.live {
                desk.port.event(RelayEvent::WatchEnded { mailbox });
            }
        }
    }

    /// The relay stops: nothing more is read.
    pub(super) const fn stop(&mut self) {
        self.stopped = true;
    }

    /// Returns whether a live watch keeps the session.
    pub(super) fn is_live(&self) -> bool {
        self.watches.values().any(|watch| watch.live)
    }

    /// Says that a mailbox that is not proven has nothing.
    pub(super) fn drained_unproven(&self, desk: &mut Desk, mailbox: MailboxId) {
        say_drained(desk, mailbox, self.transfers);
    }

    /// The store listed a mailbox.
    pub(super) fn listed(&mut self, desk: &mut Desk, mailbox: MailboxId, reply: StoreReply) -> Result<(), Code> {
        let waiting = match reply {
            StoreReply::Waiting(waiting) => waiting,
            StoreReply::Refused(_) => Vec::new(),
            _ => return Err(Code::INTERNAL),
        };
        let Some(watch) = self.watches.get_mut(&mailbox) else {
            return Ok(());
        };
        watch.listing = false;
        watch.line_up(waiting);
        self.close_lanes_without_item(desk);
        if self.watches.get(&mailbox).is_some_and(|watch| watch.stale) {
            self.list(desk, mailbox);
        }
        self.settle(desk, mailbox);
        self.pump(desk);
        Ok(())
    }

    /// Asks the store for the next portions, as long as the link takes them.
    pub(super) fn pump(&mut self, desk: &mut Desk) {
        while !self.stopped && desk.port.unflushed().saturating_add(self.reading) < UNFLUSHED_BYTES_MAX {
            // Of the open lanes one must always be free to end: a lane beyond them waits for the device to grant a stream, and
            // its bytes would fill the budget that the others need to come to their end.
            if self.readings() >= TRANSFERS_OPEN_MAX {
                return;
            }
            let Some(portion) = self.share.pick(self.candidates()) else {
                return;
            };
            let (_, mailbox, id) = portion.key;
            let Some(watch) = self.watches.get_mut(&mailbox) else {
                return;
            };
            let progress = watch.progress.entry(id).or_default();
            let Some(item) = watch.queue.get_mut(&id) else {
                return;
            };
            item.reading = true;
            self.share.spend(&portion);
            self.reading += weight(&portion);
            let (offset, tail) = (progress.marked, progress.next.saturating_sub(progress.marked));
            let request = StoreRequest::Read { id, offset, bytes_max: tail.saturating_add(portion.bytes) };
            let reading = Reading { mailbox, portion, offset };
            desk.store(request, Pending::Read(reading));
        }
    }

    /// The store read a portion: sends it.
    pub(super) fn read(&mut self, desk: &mut Desk, reading: &Reading, reply: StoreReply) -> Result<(), Code> {
        self.reading = self.reading.saturating_sub(weight(&reading.portion));
        let (mailbox, id) = (reading.mailbox, reading.portion.key.2);
        match reply {
            StoreReply::Bytes { bytes, marks } => self.send(desk, reading, &bytes, &marks),
            // Withdrawn, released or expired meanwhile.
            StoreReply::Refused(_) => {
                reached!(GoneWhileReading);
                if let Some(watch) = self.watches.get_mut(&mailbox) {
                    watch.queue.remove(&id);
                }
                self.close_lanes_without_item(desk);
            }
            _ => return Err(Code::INTERNAL),
        }
        self.settle(desk, mailbox);
        self.pump(desk);
        Ok(())
    }

    fn send(&mut self, desk: &mut Desk, reading: &Reading, bytes: &[u8], marks: &[Mark]) {
        let (mailbox, id, rank) = (reading.mailbox, reading.portion.key.2, reading.portion.rank);
        let Some(watch) = self.watches.get_mut(&mailbox) else {
            return;
        };
        let (Some(item), Some(progress)) = (watch.queue.get_mut(&id), watch.progress.get_mut(&id)) else {
            return;
        };
        item.reading = false;
        let before = *progress;
        let known = item.transfer;
        let transfer = known.unwrap_or(self.transfers);
        let frames = progress.frames(transfer, reading.offset, bytes, marks);
        let is_whole = progress.whole;
        if frames.is_empty() {
            // Another cut of the parcel than was listed; the next listing tells.
            watch.queue.remove(&id);
            self.close_lanes_without_item(desk);
            return;
        }
        let mut out = Vec::new();
        if known.is_none() {
            out = Frame::Parcel(ParcelStart {
                transfer,
                mailbox,
                offset: before.next,
                header: *item.header.as_bytes(),
                travel: item.travel,
            })
            .encode();
            item.transfer = Some(transfer);
        }
        for frame in frames {
            out.extend(frame.encode());
        }
        watch.owed = watch.owed.max(1);
        let end = !item.is_wanted(progress);
        if end {
            watch.queue.remove(&id);
        }
        if known.is_none() {
            self.transfers += 1;
            self.make_room(desk);
            self.open.insert(transfer, (mailbox, id));
        }
        if end {
            self.open.remove(&transfer);
        }
        desk.port.transmit(Lane::Transfer(transfer), rank, out, end);
        if is_whole {
            desk.metric(Counter::ParcelDelivered);
        }
    }

    /// Ends the lane of the oldest transfer that is not being read for, if as many are open as may be. Its parcel goes on in
    /// another later.
    ///
    /// The oldest, because it is the one that surely has a stream: a younger one may still wait until the device grants one,
    /// and ending that would free nothing. With all streams held by lanes that this machine believes to have ended long ago,
    /// and its budget full of bytes for lanes without a stream, nothing would move any more.
    fn make_room(&mut self, desk: &mut Desk) {
        if self.open.len() < TRANSFERS_OPEN_MAX {
            return;
        }
        let can_end = |(mailbox, id): &(MailboxId, ParcelId)| {
            self.watches.get(mailbox).and_then(|watch| watch.queue.get(id)).is_some_and(|item| !item.reading)
        };
        let oldest = self.open.iter().find(|(_, key)| can_end(key)).map(|(transfer, key)| (*transfer, *key));
        if let Some((transfer, (mailbox, id))) = oldest {
            self.open.remove(&transfer);
            if let Some(item) = self.watches.get_mut(&mailbox).and_then(|watch| watch.queue.get_mut(&id)) {
                item.transfer = None;
            }
            desk.port.transmit(Lane::Transfer(transfer), Rank::NOTE_REST, Vec::new(), true);
        }
    }

    fn close_lanes_without_item(&mut self, desk: &mut Desk) {
        let watches = &self.watches;
        self.open.retain(|transfer, (mailbox, id)| {
            let wanted = watches.get(mailbox).is_some_and(|watch| watch.queue.contains_key(id));
            if !wanted {
                desk.port.transmit(Lane::Transfer(*transfer), Rank::NOTE_REST, Vec::new(), true);
            }
            wanted
        });
    }

    fn list(&mut self, desk: &mut Desk, mailbox: MailboxId) {
        if let Some(watch) = self.watches.get_mut(&mailbox).filter(|_| !self.stopped) {
            watch.stale = watch.listing;
            if !watch.listing {
                watch.listing = true;
                desk.store(StoreRequest::List { mailbox }, Pending::List { mailbox });
            }
        }
    }

    /// Says `Drained` when all that waits has been sent, and lists again what did not fit.
    fn settle(&mut self, desk: &mut Desk, mailbox: MailboxId) {
        let transfers = self.transfers;
        let Some(watch) = self.watches.get_mut(&mailbox) else {
            return;
        };
        if self.stopped || !watch.begun || watch.listing || !watch.queue.is_empty() {
            return;
        }
        if watch.truncated {
            watch.truncated = false;
            self.list(desk, mailbox);
            return;
        }
        for _ in 0..core::mem::take(&mut watch.owed) {
            say_drained(desk, mailbox, transfers);
        }
        if !watch.live {
            self.watches.remove(&mailbox);
        }
    }

    /// Returns how many parcels are being read from the store.
    fn readings(&self) -> usize {
        self.watches.values().flat_map(|watch| watch.queue.values()).filter(|item| item.reading).count()
    }

    fn candidates(&self) -> impl Iterator<Item = (Key, Candidate)> {
        let begun = self
            .watches
            .values()
            .flat_map(|watch| watch.queue.iter().map(|(id, item)| (watch.progress.get(id), item)))
            .filter(|(progress, item)| item.header.class() == Class::Voice && progress.is_some_and(|p| p.next > 0))
            .count();
        self.watches.iter().flat_map(move |(mailbox, watch)| {
            watch.queue.iter().filter_map(move |(id, item)| {
                let progress = watch.progress.get(id).copied().unwrap_or_default();
                let waits = progress.next == 0 && item.header.class() == Class::Voice && begun >= NOTES_BEGUN_MAX;
                if item.reading || waits {
                    return None;
                }
                let candidate = Candidate {
                    class: item.header.class(),
                    opens_waiting: false,
                    age: item.travel.age.0,
                    turn: 0,
                    from: progress.next,
                    end: item.held.max(progress.next),
                };
                Some(((item.position, *mailbox, *id), candidate))
            })
        })
    }
}

impl Watch {
    /// Takes a listing: keeps what is on its way, adds what the device wants, at most [`LISTED_MAX`] with control
    /// parcels first.
    fn line_up(&mut self, waiting: Vec<Waiting>) {
        let mut queue = BTreeMap::new();
        let mut progress = BTreeMap::new();
        let mut wanted: Vec<(Class, u32, ParcelId, Waiting)> = Vec::new();
        for (position, parcel) in (0_u32..).zip(waiting) {
            let id = parcel.header.id();
            if let Some(known) = self.progress.get(&id) {
                progress.insert(id, *known);
            }
            wanted.push((parcel.header.class(), position, id, parcel));
        }
        wanted.sort_by_key(|(class, position, _, _)| (*class, *position));
        self.truncated = false;
        for (_, position, id, parcel) in wanted {
            let mut item = Item {
                header: parcel.header,
                travel: parcel.travel,
                held: parcel.held,
                closed: parcel.closed,
                position,
                transfer: None,
                reading: false,
            };
            if let Some(old) = self.queue.remove(&id) {
                (item.transfer, item.reading) = (old.transfer, old.reading);
                queue.insert(id, item);
            } else if item.is_wanted(&progress.get(&id).copied().unwrap_or_default()) {
                if queue.len() < LISTED_MAX {
                    queue.insert(id, item);
                } else {
                    self.truncated = true;
                }
            }
        }
        self.queue = queue;
        self.progress = progress;
    }
}

impl Item {
    const fn is_wanted(&self, progress: &Progress) -> bool {
        !progress.whole && (progress.next < self.held || self.closed)
    }
}

impl Progress {
    /// The device says how far it is; `None`: it has the whole.
    const fn claim(&mut self, offset: Option<u32>) {
        match offset {
            None => self.whole = true,
            Some(offset) if offset > self.next => {
                self.next = offset;
                // It may have the bytes and not the marks over them; those of the last 8 KiB are repeated (P8.18).
                self.marked = offset.saturating_sub(MARK_DISTANCE_BYTES_MAX);
            }
            Some(_) => {}
        }
    }

    /// Moves on over `bytes` at `offset` and their marks; returns the frames that say so.
    fn frames(&mut self, transfer: u64, offset: u32, bytes: &[u8], marks: &[Mark]) -> Vec<Frame> {
        let end = offset.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let mut frames = Vec::new();
        for mark in marks {
            if mark.end <= self.marked || mark.end > end {
                continue;
            }
            self.bodies(&mut frames, transfer, offset, bytes, mark.end);
            frames.push(Frame::Mark { transfer, mark: *mark });
            self.marked = mark.end;
            self.whole |= mark.last;
        }
        self.bodies(&mut frames, transfer, offset, bytes, end);
        frames
    }

    fn bodies(&mut self, frames: &mut Vec<Frame>, transfer: u64, offset: u32, bytes: &[u8], to: u32) {
        let index = |at: u32| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
        let new = bytes.get(index(self.next)..index(to)).unwrap_or_default();
        for part in new.chunks(BODY_SENT_BYTES_MAX) {
            frames.push(Frame::Body { transfer, offset: self.next, bytes: part.to_vec() });
            self.next = self.next.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
        }
    }
}

/// Says that all that waits has been sent. Last in rank: where all lanes share one stream of bytes, a device cannot see
/// the end of a lane, so that nothing that was sent before may come after it.
fn say_drained(desk: &mut Desk, mailbox: MailboxId, transfers: u64) {
    let bytes = Frame::Drained { mailbox, transfers }.encode();
    desk.port.transmit(Lane::Control, Rank::NOTE_REST, bytes, false);
}

/// What a portion counts against the window: its bytes, and something for marks alone.
fn weight<K>(portion: &Portion<K>) -> usize {
    usize::try_from(portion.bytes).unwrap_or(usize::MAX).max(64)
}

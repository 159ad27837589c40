//! Parcels on their way into the relay (P3.5 to P3.9, P8.10).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use core::time::Duration;

use crate::ids::ParcelId;
use crate::limits::{TRANSFERS_OPEN_MAX, UNSAVED_BYTES_MAX, UNSAVED_REST_MILLIS, UPLOAD_HELD_BYTES_MAX};
use crate::parcel::{Assembly, AssemblyError, Header, Mark, Resumed, Travel};
use crate::session::Lane;
use crate::session::custody::{Extended, Extension, StoreReply, StoreRequest};
use crate::session::lanes::Ended;
use crate::session::relay::Counter;
use crate::session::relay::desk::{Desk, Pending, UploadKey};
use crate::time::Instant;
use crate::wire::{Code, Frame, PutState};

/// Times a session asks the store again how far a parcel is because another session writes to it, before it gives way.
const RESYNCS_MAX: u8 = 3;

/// All uploads of one session. Several transfers of one parcel feed one upload.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    transfers: BTreeMap<u64, Transfer>,
    ended: Ended,
    parcels: BTreeMap<ParcelId, Upload>,
    serials: u64,
}

#[derive(Debug)]
struct Transfer {
    lane: Lane,
    id: ParcelId,
    /// Where its `Put` stands.
    offset: u32,
}

#[derive(Debug)]
struct Upload {
    header: Header,
    travel: Travel,
    phase: Phase,
    serial: u64,
    /// What the store was handed and has not answered, in order: offered again if another session came first.
    in_flight: VecDeque<Unsaved>,
    resyncs: u8,
    /// No more will come of it here: kept only until what was received is durable.
    ending: bool,
    /// The last thing was said about it.
    settled: bool,
}

#[derive(Debug)]
enum Phase {
    /// The store has not said yet how far the parcel is. With each frame, where the `Put` of its transfer stands.
    Waiting(Vec<(u32, Piece)>),
    /// Bytes are checked and collected.
    Open(Box<Open>),
}

#[derive(Debug)]
struct Open {
    assembly: Assembly,
    unsaved: Unsaved,
    /// When the last bytes came.
    touched: Instant,
}

/// What the assembly has accepted and the store has not been handed.
#[derive(Debug, Clone, Default)]
struct Unsaved {
    offset: u32,
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// A frame of a body that waits.
#[derive(Debug)]
enum Piece {
    Body { offset: u32, bytes: Vec<u8> },
    Mark(Mark),
}

impl Uploads {
    /// Takes a `Put` at `offset`: a parcel begins, or goes on.
    pub(super) fn put(
        &mut self,
        desk: &mut Desk,
        lane: Lane,
        (transfer, offset): (u64, u32),
        header: Header,
        travel: Travel,
    ) -> Result<(), Code> {
        let id = header.id();
        let known = self.transfers.get(&transfer).map(|known| known.id);
        if known.or_else(|| self.ended.parcel(transfer)).is_some_and(|known| known != id) {
            return Err(Code::BAD_ID);
        }
        if known.is_none() && self.transfers.len() >= TRANSFERS_OPEN_MAX {
            return Err(Code::TOO_MANY);
        }
        self.transfers.insert(transfer, Transfer { lane, id, offset });
        if let Some(upload) = self.parcels.get_mut(&id).filter(|upload| !upload.settled) {
            reached!(PutAgainInSession);
            upload.ending = false;
            if let Phase::Open(open) = &upload.phase {
                let durable = upload.in_flight.front().map_or(open.unsaved.offset, |unsaved| unsaved.offset);
                let held = open.assembly.held();
                answer(desk, id, PutState::Open, durable);
                self.end_ahead(id, held);
            }
            return Ok(());
        }
        self.serials += 1;
        let serial = self.serials;
        self.parcels.insert(id, Upload::new(header.clone(), travel, serial));
        desk.store(StoreRequest::Put { header, travel }, Pending::Put((id, serial)));
        Ok(())
    }

    /// Answers a parcel that this relay does not take, and drops what follows of it.
    pub(super) fn refuse(&mut self, desk: &mut Desk, transfer: u64, header: &Header, code: Code) -> Result<(), Code> {
        let id = header.id();
        let known = self.transfers.get(&transfer).map(|known| known.id);
        if known.or_else(|| self.ended.parcel(transfer)).is_some_and(|known| known != id) {
            return Err(Code::BAD_ID);
        }
        self.ended.add(transfer, id);
        answer(desk, id, PutState::Refused(code), 0);
        desk.metric(Counter::ParcelRefused(code));
        Ok(())
    }

    /// Takes bytes of a body.
    pub(super) fn body(
        &mut self,
        desk: &mut Desk,
        now: Instant,
        transfer: u64,
        offset: u32,
        bytes: Vec<u8>,
        parcel_bytes_max: u32,
    ) -> Result<(), Code> {
        let end = offset.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let held = self.held_bytes().saturating_add(bytes.len());
        let Some((id, began, upload)) = self.of_transfer(transfer)? else {
            return Ok(());
        };
        if end > parcel_bytes_max {
            self.finish(desk, id, PutState::Refused(Code::TOO_LONG), 0);
        } else if held > UPLOAD_HELD_BYTES_MAX {
            self.finish(desk, id, PutState::Refused(Code::BUSY), 0);
        } else {
            upload.piece(desk, now, id, (began, Piece::Body { offset, bytes }))?;
        }
        Ok(())
    }

    /// Takes a mark.
    pub(super) fn mark(&mut self, desk: &mut Desk, now: Instant, transfer: u64, mark: Mark) -> Result<(), Code> {
        if self.held_bytes() > UPLOAD_HELD_BYTES_MAX {
            return Err(Code::TOO_MANY);
        }
        match self.of_transfer(transfer)? {
            Some((id, began, upload)) => upload.piece(desk, now, id, (began, Piece::Mark(mark))),
            None => Ok(()),
        }
    }

    /// A lane is over: so are its transfers; what they brought is made durable.
    pub(super) fn lane_ended(&mut self, desk: &mut Desk, lane: Lane) {
        let over: Vec<u64> =
            self.transfers.iter().filter(|(_, known)| known.lane == lane).map(|(transfer, _)| *transfer).collect();
        for transfer in over {
            if let Some(known) = self.transfers.remove(&transfer) {
                self.ended.add(transfer, known.id);
            }
        }
        let feeding: BTreeSet<ParcelId> = self.transfers.values().map(|known| known.id).collect();
        for (id, upload) in &mut self.parcels {
            if !feeding.contains(id) {
                upload.ending = true;
                upload.save(desk, *id);
            }
        }
        self.forget_saved();
    }

    /// The session is over: everything received is handed to the store as it stands.
    pub(super) fn close(&mut self, desk: &mut Desk) {
        for (id, upload) in &mut self.parcels {
            if !upload.settled {
                reached!(UploadCutShort);
            }
            upload.ending = true;
            upload.save(desk, *id);
        }
        self.forget_saved();
    }

    /// Makes durable what has rested for a second.
    pub(super) fn wake(&mut self, desk: &mut Desk, now: Instant) {
        for (id, upload) in &mut self.parcels {
            if upload.rests_at().is_some_and(|at| at <= now) {
                upload.save(desk, *id);
            }
        }
    }

    /// Returns when [`Uploads::wake`] has something to do.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.parcels.values().filter_map(Upload::rests_at).min()
    }

    /// The store answered a `Put`.
    pub(super) fn put_answered(
        &mut self,
        desk: &mut Desk,
        now: Instant,
        key: UploadKey,
        reply: StoreReply,
    ) -> Result<(), Code> {
        let id = key.0;
        if self.of_key(key).is_none() {
            return Ok(());
        }
        match reply {
            StoreReply::Open(resumed) => self.open(desk, now, id, resumed)?,
            StoreReply::Stored(_) => self.finish(desk, id, PutState::Stored, 0),
            StoreReply::Refused(code) => self.finish(desk, id, PutState::Refused(code), 0),
            _ => return Err(Code::INTERNAL),
        }
        self.forget_saved();
        Ok(())
    }

    /// The store answered an `Extend`.
    pub(super) fn extend_answered(&mut self, desk: &mut Desk, key: UploadKey, reply: StoreReply) -> Result<(), Code> {
        let id = key.0;
        let Some(upload) = self.of_key(key) else {
            return Ok(());
        };
        let handed = upload.in_flight.pop_front().unwrap_or_default();
        match reply {
            StoreReply::Extended(durable) => {
                let Extended { held, closed, .. } = *durable.get();
                if closed || sabotaged!(StoredBeforeLastMark) {
                    desk.metric(Counter::ParcelStored);
                    self.finish(desk, id, PutState::Stored, 0);
                } else if let Some(upload) = self.parcels.get_mut(&id) {
                    if !upload.settled {
                        answer(desk, id, PutState::Open, held);
                    }
                    upload.save_if_due(desk, id);
                }
            }
            StoreReply::Stored(_) => self.finish(desk, id, PutState::Stored, 0),
            StoreReply::Refused(Code::BAD_OFFSET) => self.resync(desk, id, handed),
            StoreReply::Refused(code) => self.finish(desk, id, PutState::Refused(code), 0),
            _ => return Err(Code::INTERNAL),
        }
        self.forget_saved();
        Ok(())
    }

    fn open(&mut self, desk: &mut Desk, now: Instant, id: ParcelId, resumed: Resumed) -> Result<(), Code> {
        let Some(upload) = self.parcels.get_mut(&id) else {
            return Ok(());
        };
        let Phase::Waiting(pieces) = &mut upload.phase else {
            return Ok(());
        };
        let pieces = core::mem::take(pieces);
        let assembly = Assembly::resume(upload.header.clone(), resumed);
        let held = assembly.held();
        if held > 0 {
            reached!(UploadResumed);
        }
        if upload.header.sealed_length() == Some(held) {
            reached!(CloseResumed);
        }
        answer(desk, id, PutState::Open, held);
        upload.phase = Phase::Open(Box::new(Open {
            assembly,
            unsaved: Unsaved { offset: held, ..Unsaved::default() },
            touched: now,
        }));
        for piece in pieces.into_iter().filter(|(began, _)| *began <= held) {
            upload.piece(desk, now, id, piece)?;
        }
        if upload.ending {
            upload.save(desk, id);
        }
        self.end_ahead(id, held);
        Ok(())
    }

    /// Another session has written to the parcel meanwhile: asks again how far it is, and offers what was not taken
    /// once more.
    fn resync(&mut self, desk: &mut Desk, id: ParcelId, handed: Unsaved) {
        let Some(upload) = self.parcels.get_mut(&id).filter(|upload| !upload.settled) else {
            return;
        };
        // While the store is being asked, later answers of this kind say nothing new: what they speak of is offered
        // again, too.
        let Phase::Open(open) = &mut upload.phase else {
            return;
        };
        reached!(UploadedTwiceAtOnce);
        let later = upload.in_flight.iter().cloned().chain([core::mem::take(&mut open.unsaved)]);
        let pieces = [handed].into_iter().chain(later).flat_map(Unsaved::into_pieces).map(|piece| (0, piece)).collect();
        upload.resyncs += 1;
        if upload.resyncs > RESYNCS_MAX {
            self.finish(desk, id, PutState::Refused(Code::BUSY), 0);
            return;
        }
        upload.phase = Phase::Waiting(pieces);
        let (header, travel) = (upload.header.clone(), upload.travel);
        desk.store(StoreRequest::Put { header, travel }, Pending::Put((id, upload.serial)));
    }

    /// Says the last thing about a parcel; what still comes of it is dropped.
    fn finish(&mut self, desk: &mut Desk, id: ParcelId, state: PutState, durable: u32) {
        let Some(upload) = self.parcels.get_mut(&id).filter(|upload| !upload.settled) else {
            return;
        };
        // The same for the first answer and for each later one, which the store gives from the id alone.
        let durable = match state {
            PutState::Stored => upload.header.sealed_length().unwrap_or(0),
            _ => durable,
        };
        if let PutState::Refused(code) = state {
            desk.metric(Counter::ParcelRefused(code));
        }
        answer(desk, id, state, durable);
        upload.ending = true;
        upload.settled = true;
        match state {
            // The store is slow, not unwilling: what came so far is kept.
            PutState::Refused(Code::BUSY) => upload.save(desk, id),
            _ => upload.drop_unsaved(),
        }
        let over: Vec<u64> =
            self.transfers.iter().filter(|(_, known)| known.id == id).map(|(transfer, _)| *transfer).collect();
        for transfer in over {
            self.transfers.remove(&transfer);
            self.ended.add(transfer, id);
        }
        self.forget_saved();
    }

    /// Ends the transfers that began above what is held: their device believed that more was durable here. It has been
    /// told, and goes on in another (P8.10).
    fn end_ahead(&mut self, id: ParcelId, held: u32) {
        let ahead: Vec<u64> = self
            .transfers
            .iter()
            .filter(|(_, known)| known.id == id && known.offset > held)
            .map(|(transfer, _)| *transfer)
            .collect();
        for transfer in &ahead {
            reached!(UploadSentBack);
            self.transfers.remove(transfer);
            self.ended.add(*transfer, id);
        }
        if !ahead.is_empty()
            && self.transfers.values().all(|known| known.id != id)
            && let Some(upload) = self.parcels.get_mut(&id)
        {
            upload.ending = true;
        }
        self.forget_saved();
    }

    fn of_transfer(&mut self, transfer: u64) -> Result<Option<(ParcelId, u32, &mut Upload)>, Code> {
        let Some(Transfer { id, offset, .. }) = self.transfers.get(&transfer) else {
            // After a refusal or *stored* the rest of a transfer is read and dropped.
            return if self.ended.parcel(transfer).is_some() { Ok(None) } else { Err(Code::BAD_ID) };
        };
        Ok(self.parcels.get_mut(id).map(|upload| (*id, *offset, upload)))
    }

    fn of_key(&mut self, (id, serial): UploadKey) -> Option<&mut Upload> {
        self.parcels.get_mut(&id).filter(|upload| upload.serial == serial)
    }

    fn held_bytes(&self) -> usize {
        self.parcels.values().map(Upload::unsaved).sum()
    }

    fn forget_saved(&mut self) {
        self.parcels.retain(|_, upload| {
            let waits = matches!(&upload.phase, Phase::Waiting(_)) && !upload.settled;
            let unsaved = matches!(&upload.phase, Phase::Open(open) if !open.unsaved.is_empty());
            !upload.ending || !upload.in_flight.is_empty() || waits || unsaved
        });
    }
}

impl Upload {
    const fn new(header: Header, travel: Travel, serial: u64) -> Self {
        Self {
            header,
            travel,
            phase: Phase::Waiting(Vec::new()),
            serial,
            in_flight: VecDeque::new(),
            resyncs: 0,
            ending: false,
            settled: false,
        }
    }

    fn piece(&mut self, desk: &mut Desk, now: Instant, id: ParcelId, (began, piece): (u32, Piece)) -> Result<(), Code> {
        match &mut self.phase {
            Phase::Waiting(pieces) => pieces.push((began, piece)),
            Phase::Open(open) => {
                open.touched = now;
                match piece {
                    Piece::Body { offset, bytes } => {
                        let new = open.assembly.take(offset, &bytes).map_err(|_| Code::BAD_OFFSET)?;
                        open.unsaved.bytes.extend_from_slice(new);
                    }
                    Piece::Mark(mark) => match open.assembly.mark(&mark) {
                        Ok(true) => open.unsaved.marks.push(mark),
                        Ok(false) => {}
                        Err(AssemblyError::Offset { .. }) => return Err(Code::BAD_OFFSET),
                        Err(AssemblyError::Mark { .. }) => {
                            open.cut(desk, id);
                            return Err(Code::BAD_SIGNATURE);
                        }
                    },
                }
                self.save_if_due(desk, id);
            }
        }
        Ok(())
    }

    /// Hands to the store what must not wait: marked bytes, and a long tail. One request at a time, so that each
    /// carries much.
    fn save_if_due(&mut self, desk: &mut Desk, id: ParcelId) {
        let Phase::Open(open) = &self.phase else {
            return;
        };
        let due = !open.unsaved.marks.is_empty() || open.unsaved.bytes.len() >= UNSAVED_BYTES_MAX || self.ending;
        if due && self.in_flight.is_empty() {
            self.save(desk, id);
        }
    }

    fn save(&mut self, desk: &mut Desk, id: ParcelId) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        if let Some(unsaved) = open.hand_over() {
            desk.store(open.extension(id, unsaved.clone()), Pending::Extend((id, self.serial)));
            self.in_flight.push_back(unsaved);
        }
    }

    /// Returns what is held in memory for it: bytes, and 256 for each mark or frame.
    fn unsaved(&self) -> usize {
        const EACH: usize = 256;
        let in_flight: usize = self.in_flight.iter().map(|unsaved| unsaved.bytes.len() + EACH).sum();
        in_flight
            + match &self.phase {
                Phase::Waiting(pieces) => pieces
                    .iter()
                    .map(|(_, piece)| match piece {
                        Piece::Body { bytes, .. } => bytes.len() + EACH,
                        Piece::Mark(_) => EACH,
                    })
                    .sum(),
                Phase::Open(open) => open.unsaved.bytes.len() + EACH * open.unsaved.marks.len(),
            }
    }

    fn rests_at(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Open(open) if !open.unsaved.is_empty() && self.in_flight.is_empty() => {
                Some(open.touched.after(Duration::from_millis(UNSAVED_REST_MILLIS)))
            }
            _ => None,
        }
    }

    /// The store has said its last word about the parcel: what it was not handed yet is worth nothing.
    fn drop_unsaved(&mut self) {
        match &mut self.phase {
            Phase::Waiting(pieces) => pieces.clear(),
            Phase::Open(open) => open.unsaved = Unsaved::default(),
        }
    }
}

impl Open {
    /// Takes what the store has not been handed.
    fn hand_over(&mut self) -> Option<Unsaved> {
        if self.unsaved.is_empty() {
            return None;
        }
        let offset = self.assembly.held();
        Some(core::mem::replace(&mut self.unsaved, Unsaved { offset, ..Unsaved::default() }))
    }

    fn extension(&self, id: ParcelId, unsaved: Unsaved) -> StoreRequest {
        StoreRequest::Extend(Extension {
            id,
            mailbox: self.assembly.header().mailbox(),
            offset: unsaved.offset,
            bytes: unsaved.bytes,
            marks: unsaved.marks,
            chain: self.assembly.state().chain,
            closed: self.assembly.is_closed(),
        })
    }

    /// A mark did not fit: the tail goes, in memory and in the store, and nothing else (P3.8).
    fn cut(&mut self, desk: &mut Desk, id: ParcelId) {
        let to = self.assembly.marked();
        if self.unsaved.offset > to {
            self.unsaved = Unsaved { offset: to, ..Unsaved::default() };
            desk.store(StoreRequest::Cut { id, to }, Pending::Cut);
            answer(desk, id, PutState::Open, to);
        } else {
            let keep = usize::try_from(to - self.unsaved.offset).unwrap_or(usize::MAX);
            self.unsaved.bytes.truncate(keep);
        }
    }
}

impl Unsaved {
    const fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.marks.is_empty()
    }

    /// Turns it back into the frames it came in: bytes up to each mark, then the mark.
    fn into_pieces(self) -> Vec<Piece> {
        let (mut pieces, mut rest, mut offset) = (Vec::new(), self.bytes, self.offset);
        for mark in self.marks {
            let count = usize::try_from(mark.end.saturating_sub(offset)).unwrap_or(usize::MAX);
            let after = rest.split_off(count.min(rest.len()));
            if !rest.is_empty() {
                pieces.push(Piece::Body { offset, bytes: rest });
            }
            (rest, offset) = (after, offset.max(mark.end));
            pieces.push(Piece::Mark(mark));
        }
        if !rest.is_empty() {
            pieces.push(Piece::Body { offset, bytes: rest });
        }
        pieces
    }
}

fn answer(desk: &mut Desk, id: ParcelId, state: PutState, durable: u32) {
    desk.port.control(&Frame::PutAnswer { id, state, durable });
}

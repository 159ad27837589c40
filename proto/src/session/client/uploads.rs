//! Parcels on their way to the relay (P8.10, P8.18).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::ParcelId;
use crate::limits::{
    ASKING_BYTES_MAX, BODY_SENT_BYTES_MAX, EARLY_ROOM_BYTES_MIN, MARK_DISTANCE_BYTES_MAX, REQUESTS_WAITING_MAX,
    TRANSFERS_OPEN_MAX, TRANSFERS_REMEMBERED_MAX, UNACKNOWLEDGED_BYTES_MAX,
};
use crate::outbox::{Candidate, Share};
use crate::parcel::{Class, Mark, SealedParcel, Travel};
use crate::session::client::{ClientEvent, Offer};
use crate::session::lanes::Port;
use crate::session::{Lane, Rank};
use crate::wire::{Code, Frame, PutStart, PutState};

/// Transfers that voice notes may take up; the rest is kept for control parcels and text, which open notes cannot block
/// then.
const VOICE_TRANSFERS_MAX: usize = TRANSFERS_OPEN_MAX - 2;

/// All parcels on offer in one session.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    offers: BTreeMap<ParcelId, Upload>,
    transfers: u64,
    offered: u64,
    settled: Settled,
    share: Share,
    /// Bytes of notes, together, that leave before the relay has said what it has of them.
    unanswered_max: u32,
}

#[derive(Debug)]
struct Upload {
    parcel: SealedParcel,
    travel: Travel,
    opens_waiting: bool,
    age: u32,
    turn: u32,
    /// Earlier offers come first among equals.
    place: u64,
    transfer: Option<u64>,
    /// Whether a `Put` was sent.
    begun: bool,
    /// Where sending began.
    from: u32,
    /// Bytes sent, or known to be there.
    next: u32,
    /// First mark that was not sent.
    next_mark: usize,
    durable: u32,
    /// Whether the relay said how far it is.
    is_answered: bool,
    /// Bytes that leave before it has.
    unanswered_max: u32,
    /// It was refused when it was last offered, and the relay has made no more of it durable since: it is asked, by a little.
    asks: bool,
    /// Its author has taken it back: nothing more is sent, and its answers are not told.
    withdrawn: bool,
}

/// Parcels that are no longer on offer, the newest of them: an answer that was on its way is no mistake.
#[derive(Debug, Default)]
struct Settled {
    ids: BTreeSet<ParcelId>,
    order: VecDeque<ParcelId>,
}

impl Uploads {
    /// Starts with nothing on offer; of notes `unanswered_max` bytes leave before the relay has said what it has of them.
    pub(super) fn new(unanswered_max: u32) -> Self {
        Self { unanswered_max, ..Self::default() }
    }

    /// Takes an offer.
    pub(super) fn offer(&mut self, port: &mut Port<ClientEvent>, offer: Offer) {
        let id = offer.parcel.header.id();
        if self.offers.contains_key(&id) {
            return;
        }
        if self.offers.len() >= REQUESTS_WAITING_MAX {
            port.event(ClientEvent::Refused { id, code: Code::BUSY });
            return;
        }
        let from = if offer.from > 0 && sabotaged!(UploadRestarts) { 0 } else { offer.from };
        let from = from.min(length(&offer.parcel));
        let mut upload = Upload {
            parcel: offer.parcel,
            travel: offer.travel,
            opens_waiting: offer.opens_waiting,
            age: offer.age,
            turn: offer.turn,
            place: self.offered,
            transfer: None,
            begun: false,
            from,
            next: from,
            next_mark: 0,
            durable: from,
            is_answered: false,
            // Of a parcel that was under way before, the relay may have more than this device heard of: it is asked.
            unanswered_max: if offer.refused_before || from > 0 { ASKING_BYTES_MAX } else { self.unanswered_max },
            asks: offer.refused_before,
            withdrawn: false,
        };
        upload.start_at(from);
        self.offered += 1;
        self.offers.insert(id, upload);
    }

    /// A parcel on offer has grown.
    pub(super) fn extend(&mut self, id: ParcelId, bytes: &[u8], marks: &[Mark]) {
        if let Some(upload) = self.offers.get_mut(&id) {
            upload.parcel.body.extend_from_slice(bytes);
            upload.parcel.marks.extend_from_slice(marks);
        }
    }

    /// Stops sending a parcel that its author takes back. Its transfer counts until the relay has answered the
    /// withdrawal.
    pub(super) fn withdraw(&mut self, id: ParcelId) {
        if let Some(upload) = self.offers.get_mut(&id) {
            upload.withdrawn = true;
        }
    }

    /// The relay has answered a withdrawal.
    pub(super) fn withdrawn(&mut self, port: &mut Port<ClientEvent>, id: ParcelId, code: Code) {
        if let Some(upload) = self.offers.get_mut(&id).filter(|upload| upload.withdrawn) {
            if code == Code::OK {
                self.settle(port, id);
            } else {
                upload.withdrawn = false;
            }
        }
    }

    /// Takes the relay's answer about a parcel.
    pub(super) fn answered(
        &mut self,
        port: &mut Port<ClientEvent>,
        id: ParcelId,
        state: PutState,
        durable: u32,
    ) -> Result<(), Code> {
        let Some(upload) = self.offers.get_mut(&id).filter(|upload| upload.begun) else {
            return if self.settled.ids.contains(&id) { Ok(()) } else { Err(Code::BAD_ID) };
        };
        let is_told = !upload.withdrawn;
        match state {
            PutState::Open => {
                if durable > length(&upload.parcel) {
                    return Err(Code::BAD_OFFSET);
                }
                if let Some(transfer) = upload.answered(durable) {
                    port.transmit(Lane::Transfer(transfer), Rank::NOTE_REST, Vec::new(), true);
                }
                if is_told {
                    port.event(ClientEvent::Progress { id, durable });
                }
            }
            PutState::Stored => {
                self.settle(port, id);
                if is_told {
                    port.event(ClientEvent::Stored { id });
                }
            }
            PutState::Refused(code) => {
                self.settle(port, id);
                if is_told {
                    port.event(ClientEvent::Refused { id, code });
                }
            }
        }
        Ok(())
    }

    /// Returns whether every closed parcel is settled, and every open one durable as far as it goes.
    pub(super) fn is_settled(&self) -> bool {
        self.offers.values().all(|upload| {
            let is_durable = upload.is_answered && upload.durable == length(&upload.parcel);
            is_durable && !upload.parcel.is_closed() && !upload.withdrawn
        })
    }

    /// Nothing of what was sent has come anywhere, and nothing was answered: all of it leaves again.
    pub(super) fn begin_again(&mut self) {
        self.transfers = 0;
        for upload in self.offers.values_mut() {
            upload.transfer = None;
            upload.begun = false;
            upload.is_answered = false;
            upload.durable = upload.from;
            upload.start_at(upload.from);
        }
    }

    /// Sends portions by rank, as long as `unflushed_bytes_max`, what may be transmitted in all, and what the relay has not called
    /// durable allow.
    pub(super) fn pump(&mut self, port: &mut Port<ClientEvent>, unflushed_bytes_max: usize, in_all: usize) {
        while port.unflushed() < unflushed_bytes_max && self.unacknowledged() < UNACKNOWLEDGED_BYTES_MAX {
            let room = in_all.saturating_sub(port.transmitted());
            if room < EARLY_ROOM_BYTES_MIN {
                return;
            }
            let Some(mut portion) = self.share.pick(self.candidates()) else {
                return;
            };
            // A header and a mark go with it.
            let room = u32::try_from(room - EARLY_ROOM_BYTES_MIN / 2).unwrap_or(u32::MAX);
            portion.bytes = portion.bytes.min(room);
            self.share.spend(&portion);
            let (_, id) = portion.key;
            let Some(upload) = self.offers.get_mut(&id) else {
                return;
            };
            let mut out = Vec::new();
            let transfer = *upload.transfer.get_or_insert_with(|| {
                let transfer = self.transfers;
                self.transfers += 1;
                out = Frame::Put(PutStart {
                    transfer,
                    offset: upload.from,
                    header: *upload.parcel.header.as_bytes(),
                    travel: upload.travel,
                })
                .encode();
                transfer
            });
            upload.begun = true;
            upload.write_portion(transfer, portion.bytes, &mut out);
            let end = upload.has_ended();
            port.transmit(Lane::Transfer(transfer), portion.rank, out, end);
        }
    }

    fn candidates(&self) -> impl Iterator<Item = ((u64, ParcelId), Candidate)> {
        let open = || self.offers.values().filter(|upload| upload.transfer.is_some());
        let is_voice = |upload: &&Upload| upload.parcel.header.class() == Class::Voice;
        let unanswered_max = self.unanswered_max;
        let (all, voice) = (open().count(), open().filter(is_voice).count());
        let unanswered: u32 = open().filter(is_voice).map(Upload::unanswered).sum();
        self.offers.iter().filter_map(move |(id, upload)| {
            let class = upload.parcel.header.class();
            let room = all < TRANSFERS_OPEN_MAX && (class != Class::Voice || voice < VOICE_TRANSFERS_MAX);
            let begins = upload.transfer.is_none();
            let end = upload.sendable();
            let waits = upload.next >= end && upload.next < length(&upload.parcel);
            // Notes share what may leave unanswered: what several begin at once on a thin link is not answered before
            // that is gone, and would leave again, and again, with every link to come.
            let share_spent = class == Class::Voice && !upload.is_answered && unanswered >= unanswered_max;
            let is_next = if begins { room } else { upload.has_more() && !waits };
            if upload.withdrawn || !is_next || share_spent {
                return None;
            }
            let candidate = Candidate {
                class,
                opens_waiting: upload.opens_waiting,
                age: upload.age,
                turn: upload.turn,
                from: upload.next,
                end,
            };
            Some(((upload.place, *id), candidate))
        })
    }

    fn unacknowledged(&self) -> usize {
        let sent = |upload: &Upload| usize::try_from(upload.next.saturating_sub(upload.durable)).unwrap_or(usize::MAX);
        self.offers.values().map(sent).sum()
    }

    /// Takes a parcel off; ends its lane if the parcel is not all sent.
    fn settle(&mut self, port: &mut Port<ClientEvent>, id: ParcelId) {
        let Some(upload) = self.offers.remove(&id) else {
            return;
        };
        if let Some(transfer) = upload.transfer.filter(|_| !upload.has_ended()) {
            port.transmit(Lane::Transfer(transfer), Rank::NOTE_REST, Vec::new(), true);
        }
        self.settled.add(id);
        #[cfg(feature = "simulation")]
        if sabotaged!(SentNotFreed) {
            Box::leak(Box::new(upload));
        }
    }
}

impl Upload {
    /// Puts the next byte at `offset`, and repeats the marks over the 8 KiB before it: the relay may have the bytes
    /// only.
    fn start_at(&mut self, offset: u32) {
        self.next = offset;
        let known = offset.saturating_sub(MARK_DISTANCE_BYTES_MAX);
        self.next_mark = self.parcel.marks.partition_point(|mark| mark.end <= known);
    }

    /// The relay says how far it is: skips ahead; or goes back in another transfer if it has less than was believed.
    /// Returns the transfer whose lane is to end.
    fn answered(&mut self, durable: u32) -> Option<u64> {
        let mut over = None;
        let sent = self.next_mark;
        let skips = durable > self.next && !sabotaged!(UploadRestarts);
        if skips {
            reached!(UploadSkippedAhead);
            self.start_at(durable);
            self.next_mark = self.next_mark.max(sent);
        } else if !self.is_answered && durable < self.from {
            let had_ended = self.has_ended();
            over = self.transfer.take().filter(|_| !had_ended);
            self.from = durable;
            self.start_at(durable);
        }
        // A relay without room may open a parcel and refuse the bytes: only what it keeps of these shows that it takes it now.
        self.asks &= !self.is_answered || durable <= self.durable;
        self.durable = durable;
        self.is_answered = true;
        over
    }

    /// Returns whether the parcel is closed and wholly sent: its lane ends then.
    fn has_ended(&self) -> bool {
        self.parcel.is_closed() && !self.has_more()
    }

    /// Returns how many bytes have left before the relay has said how far it is.
    const fn unanswered(&self) -> u32 {
        if self.is_answered { 0 } else { self.next.saturating_sub(self.from) }
    }

    /// Returns where to stop until the relay has answered, or taken a little of what it refused before.
    fn sendable(&self) -> u32 {
        let end = length(&self.parcel);
        match (self.is_answered, self.asks) {
            _ if sabotaged!(UploadRestarts) => end,
            (false, _) => end.min(self.from.saturating_add(self.unanswered_max)),
            (true, true) => end.min(self.durable.saturating_add(ASKING_BYTES_MAX)),
            (true, false) => end,
        }
    }

    fn has_more(&self) -> bool {
        let mark = self.parcel.marks.get(self.next_mark);
        self.next < length(&self.parcel) || mark.is_some_and(|mark| mark.end <= self.next)
    }

    /// Writes up to `budget` bytes of body, each stretch followed by its mark.
    fn write_portion(&mut self, transfer: u64, budget: u32, out: &mut Vec<u8>) {
        let mut left = budget;
        loop {
            let mark = self.parcel.marks.get(self.next_mark).copied();
            if let Some(mark) = mark.filter(|mark| mark.end <= self.next) {
                out.extend(Frame::Mark { transfer, mark }.encode());
                self.next_mark += 1;
                continue;
            }
            let end = mark.map_or_else(|| length(&self.parcel), |mark| mark.end.min(length(&self.parcel)));
            let whole = u32::try_from(BODY_SENT_BYTES_MAX).unwrap_or(u32::MAX);
            let count = end.saturating_sub(self.next).min(left).min(whole);
            let start = usize::try_from(self.next).unwrap_or(usize::MAX);
            let stop = start.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
            let bytes = self.parcel.body.get(start..stop).unwrap_or_default().to_vec();
            if bytes.is_empty() {
                return;
            }
            let offset = self.next;
            out.extend(Frame::Body { transfer, offset, bytes }.encode());
            self.next += count;
            left -= count;
        }
    }
}

impl Settled {
    fn add(&mut self, id: ParcelId) {
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
        if self.order.len() > TRANSFERS_REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

fn length(parcel: &SealedParcel) -> u32 {
    u32::try_from(parcel.body.len()).unwrap_or(u32::MAX)
}

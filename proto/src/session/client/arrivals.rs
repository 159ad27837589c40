//! Parcels on their way to this device (P8.11, P8.18).

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{MailboxId, ParcelId};
use crate::limits::{HELD_ENTRIES_MAX, IDS_PER_FRAME_MAX, PARTIALS_HELD_MAX};
use crate::parcel::{Assembly, AssemblyError, Header, HeaderError, Mark};
use crate::session::Lane;
use crate::session::client::order::{Begun, Order};
use crate::session::client::{Arrived, ClientEvent, HeldState};
use crate::session::lanes::{Ended, Port};
use crate::wire::{Code, Frame, Held, ParcelStart};

/// All watched mailboxes of one session, and what arrives from them.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    watches: BTreeMap<MailboxId, Watch>,
    transfers: BTreeMap<u64, Transfer>,
    ended: Ended,
    partials: BTreeMap<ParcelId, Partial>,
    order: Order,
    /// Counts what arrives, to know which partial parcel has rested longest.
    touches: u64,
}

#[derive(Debug, Default)]
struct Watch {
    /// `Watch` frames whose `Drained` has not come.
    asked: u32,
    /// `Drained` frames that wait for lanes: how many `Parcel` frames each wants to be seen.
    drained: Vec<u64>,
    /// The mailbox was dropped; what is still on the way from it is not wanted.
    gone: bool,
    /// Parcels this device has wholly, or had and released: lanes overtake each other, and one that was sent twice may
    /// begin after the relay has said that it let go.
    whole: BTreeSet<ParcelId>,
    /// Partial parcels of which the state is no longer in memory: their engine has it.
    set_aside: BTreeSet<ParcelId>,
}

#[derive(Debug)]
struct Transfer {
    lane: Lane,
    mailbox: MailboxId,
    id: ParcelId,
}

#[derive(Debug)]
struct Partial {
    mailbox: MailboxId,
    assembly: Assembly,
    touched: u64,
    /// What this input brought and the program was not told.
    news: Option<Arrived>,
}

impl Arrivals {
    /// Asks for what waits in a mailbox.
    pub(super) fn watch(
        &mut self,
        port: &mut Port<ClientEvent>,
        mailbox: MailboxId,
        live: bool,
        held: Vec<(ParcelId, HeldState)>,
    ) {
        let watch = self.watches.entry(mailbox).or_default();
        watch.gone = false;
        watch.asked = watch.asked.saturating_add(1);
        let mut list = Vec::with_capacity(held.len());
        // More than a relay can note is left out: what is held wholly and sent again is only dropped.
        for (id, state) in held.into_iter().take(HELD_ENTRIES_MAX) {
            let offset = match state {
                HeldState::Whole => {
                    watch.note_whole(id);
                    None
                }
                HeldState::Partial { header, resumed } => {
                    let assembly = Assembly::resume(*header, resumed);
                    let held = assembly.held();
                    self.partials.entry(id).or_insert(Partial { mailbox, assembly, touched: 0, news: None });
                    Some(held)
                }
            };
            list.push(Held { id, offset });
        }
        let frames = list.len().div_ceil(IDS_PER_FRAME_MAX).max(1);
        for part in 1..=frames {
            let rest = list.split_off(list.len().min(IDS_PER_FRAME_MAX));
            let held = core::mem::replace(&mut list, rest);
            let more = part < frames;
            port.control(&Frame::Watch { mailbox, live, more, held });
        }
    }

    /// The relay begins a parcel, or goes on with it.
    pub(super) fn parcel(&mut self, port: &mut Port<ClientEvent>, lane: Lane, start: &ParcelStart) -> Result<(), Code> {
        let header = Header::verify(&start.header).map_err(|error| match error {
            HeaderError::Decode(_) => Code::MALFORMED,
            HeaderError::Signature => Code::BAD_SIGNATURE,
        })?;
        let (mailbox, transfer) = (start.mailbox, start.transfer);
        if !self.watches.contains_key(&mailbox) || header.mailbox() != mailbox {
            return Err(Code::BAD_ID);
        }
        self.order.begin(transfer)?;
        let begun = Begun { transfer, lane, mailbox, offset: start.offset, header, travel: start.travel };
        let transfers = &self.transfers;
        if self.order.must_wait(&begun, |id| is_open(transfers, id)) {
            self.order.wait(begun);
            return Ok(());
        }
        self.take_up(port, begun)
    }

    /// Takes up the next transfer that had to wait; returns its lane, which may be read on.
    pub(super) fn take_up_next(&mut self, port: &mut Port<ClientEvent>) -> Option<Result<Lane, Code>> {
        let transfers = &self.transfers;
        let begun = self.order.ready(|id| is_open(transfers, id))?;
        let lane = begun.lane;
        Some(self.take_up(port, begun).map(|()| lane))
    }

    fn take_up(&mut self, port: &mut Port<ClientEvent>, begun: Begun) -> Result<(), Code> {
        let Begun { transfer, lane, mailbox, offset, header, travel } = begun;
        let id = header.id();
        let watch = self.watches.entry(mailbox).or_default();
        if watch.gone || watch.whole.contains(&id) || watch.set_aside.contains(&id) {
            self.ended.add(transfer, id);
            return Ok(());
        }
        self.touches += 1;
        let partial = match self.partials.entry(id) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(Partial { mailbox, assembly: Assembly::new(header.clone()), touched: 0, news: None })
            }
        };
        let from = partial.assembly.held();
        if offset > from || partial.mailbox != mailbox {
            return Err(Code::BAD_OFFSET);
        }
        partial.touched = self.touches;
        // What came before in the same input stands before `from`.
        partial.tell(port);
        // One transfer at a time brings a parcel; over one lane of bytes the end of the one before cannot be seen.
        self.transfers.retain(|old, other| {
            let is_other = other.id != id;
            if !is_other {
                self.ended.add(*old, id);
            }
            is_other
        });
        self.transfers.insert(transfer, Transfer { lane, mailbox, id });
        let header = Box::new(header);
        port.event(ClientEvent::Arriving { mailbox, header, travel, from });
        self.set_longest_rested_aside();
        Ok(())
    }

    /// Bytes of a parcel.
    pub(super) fn body(&mut self, transfer: u64, offset: u32, bytes: &[u8]) -> Result<(), Code> {
        let Some((id, partial)) = self.of_transfer(transfer)? else {
            return Ok(());
        };
        let at = partial.assembly.held();
        let new = partial.assembly.take(offset, bytes).map_err(|_| Code::BAD_OFFSET)?;
        if !new.is_empty() {
            let new = new.to_vec();
            partial.news(id, at).bytes.extend(new);
        }
        Ok(())
    }

    /// A mark of a parcel.
    pub(super) fn mark(&mut self, port: &mut Port<ClientEvent>, transfer: u64, mark: Mark) -> Result<(), Code> {
        let Some((id, partial)) = self.of_transfer(transfer)? else {
            return Ok(());
        };
        let at = partial.assembly.held();
        match partial.assembly.mark(&mark) {
            Ok(true) => partial.news(id, at).marks.push(mark),
            Ok(false) => return Ok(()),
            Err(AssemblyError::Offset { .. }) => return Err(Code::BAD_OFFSET),
            Err(AssemblyError::Mark { .. }) => {
                partial.cut(port, id);
                return Err(Code::BAD_SIGNATURE);
            }
        }
        if partial.assembly.is_closed() {
            partial.tell(port);
            let mailbox = partial.mailbox;
            self.partials.remove(&id);
            self.transfers.remove(&transfer);
            self.ended.add(transfer, id);
            if let Some(watch) = self.watches.get_mut(&mailbox) {
                watch.note_whole(id);
            }
        }
        Ok(())
    }

    /// Tells the program what has come since the last time.
    pub(super) fn tell(&mut self, port: &mut Port<ClientEvent>) {
        for partial in self.partials.values_mut() {
            partial.tell(port);
        }
        self.settle(port);
    }

    /// Returns whether a lane is not to be read for now: its transfer waits for earlier ones.
    pub(super) fn holds(&self, lane: Lane) -> bool {
        self.order.holds(lane)
    }

    /// Bytes came on a lane that is not read for now.
    pub(super) const fn hold(&mut self, bytes: usize) -> Result<(), Code> {
        self.order.hold(bytes)
    }

    /// A lane that is not read for now has ended behind its last bytes.
    pub(super) fn hold_end(&mut self, lane: Lane) {
        self.order.end(lane);
    }

    /// Returns whether a lane ended while it was not read; says so once.
    pub(super) fn has_ended(&mut self, lane: Lane) -> bool {
        self.order.has_ended(lane)
    }

    /// A lane is over: so are its transfers.
    pub(super) fn lane_ended(&mut self, lane: Lane) {
        let over: Vec<u64> =
            self.transfers.iter().filter(|(_, transfer)| transfer.lane == lane).map(|(number, _)| *number).collect();
        for number in over {
            if let Some(transfer) = self.transfers.remove(&number) {
                self.ended.add(number, transfer.id);
            }
        }
    }

    /// The relay says that it has sent all that waits.
    pub(super) fn drained(&mut self, mailbox: MailboxId, transfers: u64) -> Result<(), Code> {
        let watch = self.watches.get_mut(&mailbox).ok_or(Code::BAD_ID)?;
        if watch.drained.len() > usize::from(u8::MAX) {
            return Err(Code::TOO_MANY);
        }
        if !watch.gone {
            watch.drained.push(transfers);
        }
        Ok(())
    }

    /// A mailbox is gone.
    pub(super) fn dropped(&mut self, mailbox: MailboxId) {
        if let Some(watch) = self.watches.get_mut(&mailbox) {
            (watch.gone, watch.asked) = (true, 0);
            watch.drained.clear();
        }
    }

    /// Returns whether every `Watch` was answered with `Drained`.
    pub(super) fn is_drained(&self) -> bool {
        self.watches.values().all(|watch| watch.asked == 0 && watch.drained.is_empty())
    }

    /// Says `Drained` once what the relay had sent before it has arrived: lanes overtake each other.
    fn settle(&mut self, port: &mut Port<ClientEvent>) {
        let (begun, transfers) = (self.order.count(), &self.transfers);
        // A watch that has ended stays known: a `Drained` for an earlier burst may have been taken for the last one.
        for (mailbox, watch) in &mut self.watches {
            let open = transfers.values().any(|t| t.mailbox == *mailbox && t.lane != Lane::Control);
            let arriving = open || self.order.holds_of(*mailbox);
            let before = watch.drained.len();
            watch.drained.retain(|wanted| *wanted > begun || arriving);
            let done = before - watch.drained.len();
            for _ in 0..done {
                watch.asked = watch.asked.saturating_sub(1);
                port.event(ClientEvent::Drained { mailbox: *mailbox });
            }
        }
    }

    fn of_transfer(&mut self, transfer: u64) -> Result<Option<(ParcelId, &mut Partial)>, Code> {
        let Some(id) = self.transfers.get(&transfer).map(|transfer| transfer.id) else {
            return if self.ended.parcel(transfer).is_some() { Ok(None) } else { Err(Code::BAD_ID) };
        };
        self.touches += 1;
        let touched = self.touches;
        Ok(self.partials.get_mut(&id).map(|partial| {
            partial.touched = touched;
            (id, partial)
        }))
    }

    /// Keeps memory bounded: the state of the partial parcel that has rested longest goes; its bytes are with the
    /// program, and the next session takes it up. Parcels the program itself has handed in count as longest rested.
    fn set_longest_rested_aside(&mut self) {
        if self.partials.len() <= PARTIALS_HELD_MAX {
            return;
        }
        let rested = self.partials.iter().filter(|(_, partial)| partial.news.is_none());
        let Some(id) = rested.min_by_key(|(_, partial)| partial.touched).map(|(id, _)| *id) else {
            return;
        };
        if let Some(partial) = self.partials.remove(&id)
            && let Some(watch) = self.watches.get_mut(&partial.mailbox)
        {
            watch.set_aside.insert(id);
        }
    }
}

/// Returns whether a transfer of the parcel is open on a lane of its own.
fn is_open(transfers: &BTreeMap<u64, Transfer>, id: ParcelId) -> bool {
    transfers.values().any(|transfer| transfer.id == id && transfer.lane != Lane::Control)
}

impl Watch {
    fn note_whole(&mut self, id: ParcelId) {
        self.whole.insert(id);
        if self.whole.len() > HELD_ENTRIES_MAX {
            // Forgetting one costs no more than receiving it again.
            self.whole.pop_first();
        }
    }
}

impl Partial {
    fn news(&mut self, id: ParcelId, offset: u32) -> &mut Arrived {
        let mailbox = self.mailbox;
        self.news.get_or_insert_with(|| Arrived {
            id,
            mailbox,
            offset,
            bytes: Vec::new(),
            marks: Vec::new(),
            chain: ([0; 32], 0),
            closed: false,
        })
    }

    fn tell(&mut self, port: &mut Port<ClientEvent>) {
        if let Some(mut news) = self.news.take() {
            news.chain = self.assembly.state().chain;
            news.closed = self.assembly.is_closed();
            port.event(ClientEvent::Body(Box::new(news)));
        }
    }

    /// A mark did not fit: what came with it and before is told without the tail.
    fn cut(&mut self, port: &mut Port<ClientEvent>, id: ParcelId) {
        let to = self.assembly.marked();
        if let Some(news) = &mut self.news {
            let keep = usize::try_from(to.saturating_sub(news.offset)).unwrap_or(usize::MAX);
            news.bytes.truncate(keep);
            if news.bytes.is_empty() && news.marks.is_empty() {
                self.news = None;
            }
        }
        self.tell(port);
        port.event(ClientEvent::Cut { id, to });
    }
}

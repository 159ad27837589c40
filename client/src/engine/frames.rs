//! Control frames of a pair: contents out, contents in (P4.10, P5).

use zajil_proto::durable::Durable;
use zajil_proto::ids::{MailboxId, ParcelId, SlotId};
use zajil_proto::keys::Secret;
use zajil_proto::limits::{CONTROL_CHAINS_KEPT, CONTROL_KEPT_FOR_ANSWERS, CONTROL_UNACKNOWLEDGED_MAX};
use zajil_proto::parcel::Class;
use zajil_proto::random;
use zajil_proto::sealing::contents::{
    Acknowledgement, Content, Receipt, ReceiptState, SessionGrant, SlotGrant, decode_contents, encode_contents,
};
use zajil_proto::sealing::control::{ControlFrame, FrameSize, open_control, seal_control};
use zajil_proto::sealing::seal::Destination;
use zajil_proto::sealing::{RING, ReceivedSession};
use zajil_proto::time::{Lifetime, Minute};
use zajil_proto::{reached, sabotaged};

use super::api::{Failure, NoteMark, Receipts};
use super::lived::Moment;
use super::model::{Cargo, Contact, Control, Granted, KnownSession, Stage};
use super::state::Device;
use crate::limits::{ACKNOWLEDGED_AT_ONCE, LATER_MINUTES_MAX, LATER_MINUTES_MIN, SESSIONS_PER_CONTACT_MAX};
use crate::store::Batch;

/// Bytes of contents in one frame of ours: the small one. Only the keys of a renewal need the large one, and they have it for themselves.
const CONTENTS_BYTES: usize = FrameSize::Small.contents_bytes_max();

impl Device {
    /// Seals `contents` for a contact, with the receipts and the acknowledgement owed to them; durable with `batch`.
    ///
    /// What finds no room waits for acknowledgements. Does nothing for a contact without keys.
    pub(crate) fn tell(
        &mut self,
        batch: &mut Batch,
        key: u32,
        contents: &[Content],
        now: Minute,
    ) -> Result<(), Failure> {
        let Some(contact) = self.contacts.get_mut(&key) else { return Ok(()) };
        let is_due = contact.is_due(now);
        let Some(control) = &mut contact.control else { return Ok(()) };
        for content in contents {
            control.pending.push(encoded(content)?);
        }
        // What waits for room takes no receipts along that are not due: they would tell when this phone was in contact.
        let with_receipts = is_due || !contents.is_empty();
        if with_receipts {
            self.step_renewal(key)?;
        }
        while let Some(row) = self.next_row(key, with_receipts)? {
            self.seal_frame(batch, key, &row, now)?;
        }
        if with_receipts
            && let Some(contact) = self.contacts.get_mut(&key)
            && contact.owed.is_empty()
            && !contact.control.as_ref().is_some_and(|control| control.owes_acknowledgement)
        {
            contact.due = None;
        }
        self.put_contact(batch, key)
    }

    /// Takes what the next frame to a contact says: what waits, the acknowledgement and, if wanted, receipts, as far as they fit.
    /// `None`: nothing, or there is no room for a frame.
    fn next_row(&mut self, key: u32, with_receipts: bool) -> Result<Option<Vec<u8>>, Failure> {
        if !self.may_seal(key) {
            return Ok(None);
        }
        let Some(contact) = self.contacts.get_mut(&key) else { return Ok(None) };
        let Some(control) = &mut contact.control else { return Ok(None) };
        let owes = control.owes_acknowledgement || !contact.owed.is_empty();
        if control.pending.is_empty() && !(with_receipts && owes) {
            return Ok(None);
        }
        let acknowledgement = Acknowledgement { next: control.expected, bitmap: control.held };
        let acknowledgement = encoded(&Content::Acknowledgement(acknowledgement))?;
        let mut row = merge(&mut control.pending, CONTENTS_BYTES - acknowledgement.len());
        let size = FrameSize::for_contents(row.len()).unwrap_or(FrameSize::Large);
        // Every frame acknowledges along: so frames that only acknowledge are acknowledged too, and none is missed for good.
        if row.len() + acknowledgement.len() <= size.contents_bytes_max() {
            row.extend(acknowledgement);
            control.owes_acknowledgement = false;
            control.acknowledged = control.expected;
        }
        let room = CONTENTS_BYTES.saturating_sub(row.len() + RECEIPTS_OVERHEAD_BYTES) / RECEIPT_BYTES;
        let told = room.min(contact.owed.len());
        if with_receipts && told > 0 {
            let receipts = contact.owed.drain(..told).map(|(note, heard)| Receipt {
                note,
                state: if heard { ReceiptState::Heard } else { ReceiptState::Delivered },
            });
            row.extend(encoded(&Content::Receipts(receipts.collect()))?);
        }
        Ok(Some(row))
    }

    /// Returns whether one more frame may be sealed for a contact (P5.3).
    fn may_seal(&self, key: u32) -> bool {
        let Some(contact) = self.contacts.get(&key) else { return false };
        let (Some(control), Some(peer)) = (&contact.control, &contact.peer) else { return false };
        if peer.homes.as_slice().is_empty() {
            return false;
        }
        let numbers = self.outgoing.values().filter(|outgoing| outgoing.contact == key).filter_map(|outgoing| {
            match outgoing.cargo {
                Cargo::Frame { number, .. } => Some(number),
                _ => None,
            }
        });
        let lowest = numbers.min();
        if lowest.is_some_and(|lowest| control.would_outrun(lowest)) {
            return false;
        }
        // The span counts, not the number of frames: what the other end cannot note in its bitmap must not be sent.
        let span = lowest.map_or(0, |lowest| control.next.saturating_sub(lowest));
        // Two who have said all they may would otherwise wait for each other's acknowledgement for ever.
        let answers = control.has_taken_many() && !sabotaged!(AnswersHeldBack);
        let kept = if answers { 0 } else { CONTROL_KEPT_FOR_ANSWERS };
        usize::try_from(span).is_ok_and(|span| span + kept < CONTROL_UNACKNOWLEDGED_MAX) || sabotaged!(FramesNotBounded)
    }

    /// Seals one frame with these contents.
    fn seal_frame(&mut self, batch: &mut Batch, key: u32, row: &[u8], now: Minute) -> Result<(), Failure> {
        let Some(contact) = self.contacts.get_mut(&key) else { return Ok(()) };
        let (Some(control), Some(peer)) = (&mut contact.control, &contact.peer) else { return Ok(()) };
        let Some(home) = peer.homes.as_slice().first().cloned() else { return Ok(()) };
        let message = control.olm.encrypt(row).map_err(internal)?;
        control.note_chain(message.chain().map_err(internal)?);
        let frame = ControlFrame { number: control.next, message };
        control.next = control.next.saturating_add(1);
        let lifetime = Lifetime::from_hours(1).filter(|_| sabotaged!(HandOutShortLived));
        let destination = Destination { to: &peer.writer, lifetime: lifetime.unwrap_or(Lifetime::LONGEST) };
        let size = FrameSize::for_contents(row.len()).unwrap_or(FrameSize::Large);
        let parcel = seal_control(&RING, &mut self.random, control.outer.sealing(), destination, &frame, size)
            .map_err(internal)?;
        self.put_sealed(batch, key, home, Cargo::Frame { number: frame.number }, parcel, now).map(drop)
    }

    /// Seals what is owed and due by now, and what waited for room, for every contact.
    pub(crate) fn tell_what_is_due(&mut self, now: Minute) -> Result<(), Failure> {
        self.renew_old_keys(now)?;
        let wants = |contact: &Contact| {
            contact.is_due(now) || contact.control.as_ref().is_some_and(|control| !control.pending.is_empty())
        };
        let wanting: Vec<u32> =
            self.contacts.iter().filter(|(_, contact)| wants(contact)).map(|(key, _)| *key).collect();
        for key in wanting {
            if self.may_seal(key) {
                let mut batch = Batch::new();
                self.tell(&mut batch, key, &[], now)?;
                self.commit(batch)?;
            } else {
                reached!(FramesHeldBack);
            }
        }
        Ok(())
    }

    /// Notes that something is owed to a contact: told at once, or within hours and together with whatever goes there earlier.
    pub(crate) fn owe(&mut self, key: u32, at_once: bool, now: Minute) {
        let [a, b]: [u8; 2] = random::bytes(&mut self.random);
        let spread = u32::from(u16::from_be_bytes([a, b])) % (LATER_MINUTES_MAX - LATER_MINUTES_MIN);
        let Some(contact) = self.contacts.get_mut(&key) else { return };
        let later = Minute(now.0.saturating_add(LATER_MINUTES_MIN + spread));
        let due = if at_once { now } else { later };
        contact.due = Some(contact.due.map_or(due, |before| before.min(due)));
    }

    /// Opens the control frames that are whole, in order of their numbers: up to the first that is missing, or with `all` those
    /// behind it too, once nothing is on its way any more. Returns the parcels that may be released.
    ///
    /// What is next is not put off: hundreds of notes may come before the mailbox is drained, and this frame opens them.
    pub(crate) fn take_frames(
        &mut self,
        mailbox: &MailboxId,
        all: bool,
        now: Minute,
    ) -> Result<Vec<Durable<ParcelId>>, Failure> {
        let mut frames = Vec::new();
        let mut released = Vec::new();
        let candidates: Vec<(ParcelId, u32)> = self
            .incoming
            .iter()
            .filter(|(_, incoming)| incoming.mailbox == *mailbox && incoming.closed)
            .filter(|(_, incoming)| incoming.header().is_some_and(|header| header.class() == Class::Control))
            .map(|(id, incoming)| (*id, incoming.contact))
            .collect();
        for (id, key) in candidates {
            let body = self.incoming_body(&id)?;
            let Some(control) = self.contacts.get(&key).and_then(|contact| contact.control.as_ref()) else { continue };
            let keys: Vec<_> = control.outer.accepted().collect();
            match open_control(&RING, keys.iter().map(|(_, key)| *key), &id, &body) {
                Ok((frame, which)) => {
                    let generation = keys.get(which).map_or(0, |(generation, _)| *generation);
                    frames.push((frame.number, id, key, frame, generation));
                }
                // Both ends have had their keys since the pairing: what they do not open is from somebody else, and goes.
                Err(_) => {
                    reached!(FrameForeign);
                    let mut batch = Batch::new();
                    self.delete_incoming(&mut batch, &id)?;
                    released.push(self.commit(batch)?.map(|()| id));
                }
            }
        }
        frames.sort_by_key(|(number, ..)| *number);
        for (number, id, key, frame, generation) in frames {
            let control = self.contacts.get(&key).and_then(|contact| contact.control.as_ref());
            if !all && control.is_some_and(|control| number > control.expected) {
                break;
            }
            released.push(self.take_frame(&id, key, &frame, generation, now)?);
        }
        Ok(released)
    }

    fn take_frame(
        &mut self,
        id: &ParcelId,
        key: u32,
        frame: &ControlFrame,
        generation: u32,
        now: Minute,
    ) -> Result<Durable<ParcelId>, Failure> {
        let mut batch = Batch::new();
        self.delete_incoming(&mut batch, id)?;
        let mut contents = Vec::new();
        if let Some(contact) = self.contacts.get_mut(&key)
            && let Some(control) = &mut contact.control
            && control.note_number(frame.number)
        {
            // What does not decrypt or decode never will: it is let go, and its number counts as come.
            let decrypted = control.olm.decrypt(&frame.message).ok();
            if generation < control.outer.generation() {
                reached!(FrameUnderOldKey);
            }
            // Only what Olm vouches for shows that they use a key.
            let took_up = decrypted.is_some() && control.outer.opened(generation, frame.number, control.expected);
            contents = decrypted.and_then(|bytes| decode_contents(&bytes).ok()).unwrap_or_default();
            contact.news = Some(now);
            if contents.iter().any(|content| !matches!(content, Content::Acknowledgement(_))) {
                control.owes_acknowledgement = true;
            }
            if took_up {
                reached!(OuterKeyRenewed);
                contact.end_session();
            }
        }
        if !contents.is_empty() && sabotaged!(AcknowledgedBeforeDurable) {
            self.put_contact(&mut batch, key)?;
            self.commit(std::mem::take(&mut batch))?;
        }
        let owes = contents.iter().any(|content| !matches!(content, Content::Acknowledgement(_)));
        let at_once = self.contacts.get(&key).is_some_and(|c| c.confirmed && c.receipts == Receipts::AtOnce);
        let many = self.owes_many(key);
        if owes || many {
            self.owe(key, at_once || many, now);
        }
        for content in contents {
            self.take_content(&mut batch, key, content, Some(frame.number))?;
        }
        if self.has_to_tell_of_renewal(key) {
            self.owe(key, at_once, now);
        }
        self.put_contact(&mut batch, key)?;
        Ok(self.commit(batch)?.map(|()| *id))
    }

    /// Returns whether so much of a contact has come since the last acknowledgement that the next is not put off: it would hold up
    /// their receipts and, worse, their sessions, without which their notes stay locked.
    fn owes_many(&mut self, key: u32) -> bool {
        let control = self.contacts.get_mut(&key).and_then(|contact| contact.control.as_mut());
        control.is_some_and(|control| {
            let many = control.has_taken_many();
            control.owes_acknowledgement |= many;
            many
        })
    }

    /// Does what one content asks for. `frame`: the number of the frame that it came in, which its sender counts up; none for what
    /// came with the pairing, before all frames.
    pub(crate) fn take_content(
        &mut self,
        batch: &mut Batch,
        key: u32,
        content: Content,
        frame: Option<u32>,
    ) -> Result<(), Failure> {
        match content {
            Content::Session(grant) => self.take_session(batch, key, &grant, frame)?,
            Content::Acknowledgement(acknowledgement) => {
                let gone: Vec<ParcelId> = self
                    .outgoing
                    .iter()
                    .filter(|(_, outgoing)| outgoing.contact == key)
                    .filter(|(_, outgoing)| match outgoing.cargo {
                        Cargo::Frame { number, .. } => acknowledgement.holds(number),
                        _ => false,
                    })
                    .map(|(id, _)| *id)
                    .collect();
                for id in gone {
                    self.delete_outgoing(batch, &id);
                }
            }
            Content::Receipts(receipts) => {
                for receipt in receipts {
                    self.take_receipt(batch, key, &receipt)?;
                }
            }
            Content::PairingAnswer(nonce) => self.take_answer(batch, key, &nonce),
            Content::SlotGrant(grant) => self.take_grant(key, *grant, frame),
            Content::SlotRevoked(slot) => self.take_revocation(key, slot, frame),
            Content::Homes(mailbox, homes) => {
                if let Some(peer) = self.contacts.get_mut(&key).and_then(|contact| contact.peer.as_mut())
                    && peer.writer.mailbox() == mailbox
                {
                    peer.homes = homes;
                }
            }
            Content::Renewal(..)
            | Content::RenewalPrekey(..)
            | Content::RenewalWanted(_)
            | Content::OuterKeyInUse(_) => self.take_renewal(key, &content),
            Content::OutOfHands(told) => self.take_out_of_hands(key, told),
            // What later versions of this program will act on: read, acknowledged, and without effect today.
            Content::SessionWanted(_)
            | Content::AudienceGrant(_)
            | Content::RosterLink(_)
            | Content::FurtherDevice(_)
            | Content::NoteWithdrawn(_)
            | Content::DigitsConfirmed
            | Content::WordHead(_) => {}
        }
        Ok(())
    }

    /// Takes the right to ask for a contact's last word, unless what they said of it later came earlier.
    fn take_grant(&mut self, key: u32, grant: SlotGrant, frame: Option<u32>) {
        let Some(contact) = self.contacts.get_mut(&key) else { return };
        let same = contact.granted.as_ref().is_some_and(|granted| granted.grant.slot() == grant.slot());
        if same || frame < contact.slot_told {
            return;
        }
        contact.slot_told = frame;
        contact.granted = Some(Granted {
            grant,
            newest: None,
            observed: None,
            checked: None,
            relay_is_older: false,
            links: Vec::new(),
        });
    }

    /// Gives that right up, and notes when it was taken back: frames may come in another order than they were sealed, and a grant
    /// that was overtaken must not count.
    fn take_revocation(&mut self, key: u32, slot: SlotId, frame: Option<u32>) {
        let Some(contact) = self.contacts.get_mut(&key) else { return };
        if sabotaged!(RevocationIgnored) {
            return;
        }
        contact.slot_told = contact.slot_told.max(frame);
        contact.granted.take_if(|granted| granted.grant.slot() == slot);
    }

    /// Takes a session. Its number says where its notes stand among all of this sender's, so it follows from the frame's: frames may
    /// come in another order than they were sealed, and earlier sessions may be forgotten by then.
    fn take_session(
        &mut self,
        batch: &mut Batch,
        key: u32,
        grant: &SessionGrant,
        frame: Option<u32>,
    ) -> Result<(), Failure> {
        let theirs = || self.sessions.range((key, 0)..=(key, u32::MAX));
        let first = frame.map_or(0, |frame| frame.saturating_add(1).saturating_mul(SESSIONS_PER_FRAME));
        let free = (first..=u32::MAX).find(|number| !self.sessions.contains_key(&(key, *number)));
        let Some(number) = free else { return Ok(()) };
        let known = theirs().any(|(_, known)| known.session.verify_key == grant.verify_key);
        let own = self.contacts.get(&key).is_some_and(|contact| contact.own.mailbox() == grant.mailbox);
        if known || !own {
            return Ok(());
        }
        let used_up: Vec<(u32, u32)> =
            theirs().filter(|(_, known)| known.session.tags().next().is_none()).map(|(session, _)| *session).collect();
        let many = theirs().count() >= SESSIONS_PER_CONTACT_MAX;
        if many && used_up.is_empty() {
            return Ok(());
        }
        if many && let Some(oldest) = used_up.first() {
            self.sessions.remove(oldest);
            self.delete_session(batch, *oldest);
        }
        let session = ReceivedSession::from_grant(grant);
        let since = self.lived_at_home();
        self.sessions.insert(
            (key, number),
            KnownSession { contact: key, number, session, used: Vec::new(), again: Vec::new(), since },
        );
        self.put_session(batch, (key, number))
    }

    /// Erases sessions whose notes can no longer come: ended, their longest lifetime and fifteen days over since they came, and
    /// the mailbox drained after that. What their sender's clock said does not matter.
    pub(crate) fn retire_sessions(&mut self, mailbox: &MailboxId, lived: Moment) -> Result<(), Failure> {
        let over: Vec<(u32, u32)> = self
            .sessions
            .iter()
            .filter(|(_, known)| known.session.mailbox == *mailbox)
            .filter(|(_, known)| {
                let age = lived.minutes_since(known.since);
                age > known.session.needed_minutes() || (age > 24 * 60 && sabotaged!(SessionRetiredEarly))
            })
            .map(|(session, _)| *session)
            .collect();
        let mut batch = Batch::new();
        for session in over {
            reached!(SessionRetired);
            self.sessions.remove(&session);
            self.delete_session(&mut batch, session);
        }
        if !batch.is_empty() {
            self.commit(batch)?;
        }
        Ok(())
    }

    fn take_receipt(&mut self, batch: &mut Batch, key: u32, receipt: &Receipt) -> Result<(), Failure> {
        let mark = match receipt.state {
            ReceiptState::Delivered => NoteMark::Delivered,
            ReceiptState::Heard => NoteMark::Heard,
        };
        let found =
            self.notes.iter_mut().find(|(_, note)| note.outgoing && note.contact == key && note.id == receipt.note);
        let Some((number, note)) = found else { return Ok(()) };
        let (number, parcel) = (*number, note.parcel);
        count_receipt(note.mark, mark);
        if note.mark < mark || note.mark == NoteMark::Expired || (note.mark > mark && sabotaged!(MarksMoveBackward)) {
            note.mark = mark;
        }
        self.put_note(batch, number)?;
        self.fading_due = true;
        if self.outgoing.contains_key(&parcel) && sabotaged!(DeliveredNotLetGo) {
            return Ok(());
        }
        self.delete_outgoing(batch, &parcel);
        Ok(())
    }

    fn take_answer(&mut self, batch: &mut Batch, key: u32, nonce: &Secret) {
        let Some(contact) = self.contacts.get_mut(&key) else { return };
        if let Stage::Replied { replier, .. } = &contact.stage
            && let Ok(digits) = replier.accept_answer(nonce)
        {
            contact.digits = Some(digits.to_string());
            contact.stage = Stage::Paired;
            // The reply has done its work: it must not be offered again to a relay that has forgotten it.
            self.delete_cargo(batch, key, &Cargo::Reply);
        }
    }
}

impl Contact {
    /// Returns whether something that is owed is not put off any longer.
    fn is_due(&self, now: Minute) -> bool {
        // Nothing is put off for longer than that: one due later than that was put off before the clock went back.
        let latest = Minute(now.0.saturating_add(LATER_MINUTES_MAX));
        self.due.is_some_and(|due| due <= now || due > latest)
    }
}

impl Control {
    /// Returns whether much has come since the last acknowledgement.
    const fn has_taken_many(&self) -> bool {
        self.expected.saturating_sub(self.acknowledged) >= ACKNOWLEDGED_AT_ONCE
    }

    /// Notes the chain of the next frame.
    fn note_chain(&mut self, chain: [u8; 32]) {
        if self.chain.replace(chain) != Some(chain) {
            self.chains.push(self.next);
            let beyond = self.chains.len().saturating_sub(CONTROL_CHAINS_KEPT);
            self.chains.drain(..beyond);
        }
    }

    /// Returns whether one more frame would begin a chain, and so many others have begun since this frame, which is not acknowledged,
    /// that it could not be opened any more.
    ///
    /// The two ends never wait for each other by this: only one of them has heard a chain that it has not answered.
    fn would_outrun(&self, lowest: u32) -> bool {
        let newer = self.chains.iter().filter(|first| **first > lowest).count();
        // It should not fail; if it does, so will the frame.
        let begins = || self.chain.is_some_and(|chain| self.olm.leaves_chain(&chain).unwrap_or(false));
        newer + 1 >= CONTROL_CHAINS_KEPT && begins()
    }

    /// Notes that a frame has come; `false` if it had come before.
    fn note_number(&mut self, number: u32) -> bool {
        let Some(ahead) = number.checked_sub(self.expected) else {
            reached!(FrameRepeated);
            return false;
        };
        if ahead == 0 {
            self.expected = self.expected.saturating_add(1);
            while self.held & 1 == 1 {
                self.held >>= 1;
                self.expected = self.expected.saturating_add(1);
            }
            self.held >>= 1;
            return true;
        }
        // Further ahead than the bitmap reaches: their sender keeps within it, so it has given up what lies before.
        let beyond = ahead.saturating_sub(u32::BITS);
        self.expected = self.expected.saturating_add(beyond);
        self.held = self.held.checked_shr(beyond).unwrap_or(0);
        let bit = 1_u32.checked_shl(ahead - beyond - 1).unwrap_or(0);
        reached!(FrameOutOfOrder);
        let new = self.held & bit == 0;
        self.held |= bit;
        new
    }
}

/// Counts a receipt that comes early, late or out of order.
fn count_receipt(known: NoteMark, told: NoteMark) {
    match known {
        NoteMark::Expired => reached!(ReceiptAfterExpiry),
        NoteMark::OnDevice => reached!(ReceiptBeforeStored),
        NoteMark::AtRelay if told == NoteMark::Heard => reached!(HeardBeforeDelivered),
        NoteMark::Heard if told == NoteMark::Delivered => reached!(ReceiptLate),
        _ => {}
    }
}

/// Numbers that the sessions of one frame have to themselves: a small frame holds three, of 89 bytes each.
const SESSIONS_PER_FRAME: u32 = 4;

/// Bytes of one receipt: the note's id and its state.
const RECEIPT_BYTES: usize = 9;
/// Bytes around the receipts in one content: kind, length and count.
const RECEIPTS_OVERHEAD_BYTES: usize = 4;

/// Encodes one content, as it waits for a frame.
pub(super) fn encoded(content: &Content) -> Result<Vec<u8>, Failure> {
    encode_contents(core::slice::from_ref(content), FrameSize::Large.contents_bytes_max()).map_err(internal)
}

/// Takes as many encoded contents from the front as fit into `room` bytes, and the first in any case: one that needs a large frame alone.
fn merge(pending: &mut Vec<Vec<u8>>, room: usize) -> Vec<u8> {
    let mut row: Vec<u8> = Vec::new();
    while let Some(next) = pending.first() {
        if !row.is_empty() && row.len() + next.len() > room {
            break;
        }
        row.extend(pending.remove(0));
    }
    row
}

/// Something our own limits exclude failed all the same: said plainly, nothing is lost.
pub(crate) fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::Store(error.to_string())
}

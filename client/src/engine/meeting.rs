//! One meeting of this device with one relay: what to ask (`plan`), what to do with what comes, and what ages meanwhile (`ages`).
//! Decides; touches no socket.

mod ages;
mod plan;
mod refusals;
mod releases;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zajil_proto::durable::Durable;
use zajil_proto::ids::{Epoch, MailboxId, ParcelId, SlotId};
use zajil_proto::outbox::Retry;
use zajil_proto::parcel::Class;
use zajil_proto::sealing::HomeRelay;
use zajil_proto::session::client::{Arrived, Asked, ClientCommand, ClientEvent};
use zajil_proto::time::{Instant, Minute};
use zajil_proto::wire::{Code, Welcome};
use zajil_proto::{reached, sabotaged};

pub(crate) use self::releases::Unconfirmed;
use super::api::{Failure, NoteMark};
use super::lived::Moment;
use super::model::{Cargo, Incoming, KnownRelay, Stage};
use super::state::{Device, segment_key};
use super::words::Shown;
use crate::limits::{BODY_SEGMENTS_MAX, REGISTER_PAUSE_MILLIS, WORD_PAUSE_MILLIS};
use crate::store::{Batch, Kind};

/// A meeting under way.
pub(crate) struct Meeting {
    relay: HomeRelay,
    /// Of its store, as it says; `None` before it has answered.
    epoch: Option<Epoch>,
    /// Of its store when it was met last. What is asked before it answers rests on this.
    expected: Option<Epoch>,
    proven: BTreeSet<[u8; 16]>,
    registering: BTreeSet<[u8; 16]>,
    /// Mailboxes and slots that the relay has said it has.
    made: BTreeSet<[u8; 16]>,
    /// Whether what waits may come. Not while the disk is full: each meeting would bring the same bytes, for nothing.
    pub(crate) fetches: bool,
    watched: BTreeSet<MailboxId>,
    /// For which contact each *invitation* mailbox is watched.
    fetching: BTreeMap<MailboxId, u32>,
    drained: BTreeSet<MailboxId>,
    /// Whether there was a connection: without one nothing that was offered has left.
    connected: bool,
    /// What was offered, and when.
    offered: BTreeMap<ParcelId, Moment>,
    /// When it was last looked for what has expired.
    expired_at: Option<Moment>,
    /// When to offer again what was refused.
    retries: BTreeMap<ParcelId, Retry>,
    /// Contacts for whom the relay took something that it had refused before.
    has_room: BTreeSet<u32>,
    refusals: Vec<(ParcelId, Code)>,
    words: BTreeSet<(SlotId, u64)>,
    /// When to put again a word that was refused.
    word_pauses: BTreeMap<(SlotId, u64), Instant>,
    asked: BTreeSet<SlotId>,
    dropping: BTreeSet<[u8; 16]>,
    commands: Vec<ClientCommand>,
    /// What is durable here and may go at the relay, once the mailbox is proven.
    releases: Vec<(MailboxId, Durable<ParcelId>)>,
    /// What the relay was asked to let go, and has not said that it has.
    unconfirmed: Unconfirmed,
    /// When the relay answered.
    met: Option<Instant>,
    /// Parcels of which the relay has said in this meeting that they are not whole there.
    unfinished: BTreeSet<ParcelId>,
    /// Pairings that failed, with what to tell.
    pub(crate) failed: BTreeMap<u32, Failure>,
    /// Slots that were answered.
    pub(crate) seen: BTreeSet<SlotId>,
    /// Notes that came whole.
    pub(crate) received: u32,
    /// Notes that were stored.
    pub(crate) stored: u32,
    /// Bytes that came.
    pub(crate) bytes_in: u64,
    /// Whether the relay refused to register what it was asked last.
    pub(crate) not_admitted: bool,
    /// When it may be asked again, if it makes sense in this meeting.
    registers_at: Option<Instant>,
    /// Mailboxes and slots that it refused.
    unmade: BTreeSet<[u8; 16]>,
}

impl Meeting {
    /// Begins to meet `relay`, whose store had the epoch `expected` when it was met last.
    pub(crate) fn new(relay: HomeRelay, expected: Option<Epoch>) -> Self {
        Self {
            relay,
            epoch: None,
            expected,
            proven: BTreeSet::new(),
            registering: BTreeSet::new(),
            made: BTreeSet::new(),
            fetches: true,
            watched: BTreeSet::new(),
            fetching: BTreeMap::new(),
            drained: BTreeSet::new(),
            connected: false,
            offered: BTreeMap::new(),
            expired_at: None,
            retries: BTreeMap::new(),
            has_room: BTreeSet::new(),
            refusals: Vec::new(),
            words: BTreeSet::new(),
            word_pauses: BTreeMap::new(),
            asked: BTreeSet::new(),
            dropping: BTreeSet::new(),
            commands: Vec::new(),
            releases: Vec::new(),
            unconfirmed: Unconfirmed::new(),
            met: None,
            unfinished: BTreeSet::new(),
            failed: BTreeMap::new(),
            seen: BTreeSet::new(),
            received: 0,
            stored: 0,
            bytes_in: 0,
            not_admitted: false,
            registers_at: None,
            unmade: BTreeSet::new(),
        }
    }

    /// Returns whether there is, or was, a connection.
    pub(crate) const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Returns whether the relay has answered.
    pub(crate) const fn is_welcomed(&self) -> bool {
        self.epoch.is_some()
    }

    /// Returns whether the relay has lost its store since it was met last. What was asked before it said so rests on the old one,
    /// so it is to be met anew.
    pub(crate) fn is_outdated(&self) -> bool {
        self.expected.is_some_and(|expected| self.epoch.is_some_and(|epoch| epoch != expected))
    }

    /// Returns whether this meeting has fetched what is behind a contact's link already, for one who was given up since: a relay
    /// does not send it again within one meeting.
    pub(crate) fn has_fetched_for_another(&self, device: &Device, key: u32) -> bool {
        match device.contacts.get(&key).map(|contact| &contact.stage) {
            Some(Stage::Fetching { link, .. }) => {
                let mailbox = device.pairings.of(key, &link.secret).invitation.mailbox();
                self.fetching.get(&mailbox).is_some_and(|before| *before != key)
            }
            _ => false,
        }
    }

    /// Lets a slot be asked about once more.
    pub(crate) fn ask_again(&mut self, slot: &SlotId) {
        self.asked.remove(slot);
        self.seen.remove(slot);
    }

    /// Returns whether all that was asked has been answered.
    pub(crate) fn is_idle(&self, device: &Device) -> bool {
        let due = self.epoch.is_some_and(|epoch| {
            let asked_first = self.asked_first(device, epoch);
            device.outgoing.iter().any(|(id, outgoing)| {
                outgoing.home.key == self.relay.key && outgoing.is_due(epoch) && !self.waits(id, outgoing, &asked_first)
            })
        });
        self.is_welcomed()
            && self.registering.is_empty()
            && self.dropping.is_empty()
            && self.words.is_empty()
            && self.watched.iter().all(|mailbox| self.drained.contains(mailbox))
            && self.asked.iter().all(|slot| self.seen.contains(slot))
            && !due
    }

    /// Does what one event asks for. What is to be said in answer comes with the next [`Meeting::plan`].
    pub(crate) fn take(
        &mut self,
        device: &mut Device,
        event: ClientEvent,
        now: Minute,
        at: Instant,
    ) -> Result<(), Failure> {
        self.go_on(device, at);
        match event {
            ClientEvent::Welcomed(welcome) => {
                self.met = Some(at);
                self.welcomed(device, &welcome, now, at)
            }
            ClientEvent::Answered { asked, code } => self.answered(device, asked, code, at),
            ClientEvent::Progress { id, durable } => self.progressed(device, id, durable),
            ClientEvent::Stored { id } => self.stored(device, &id),
            ClientEvent::Refused { id, code } => self.refused(device, &id, code),
            ClientEvent::Arriving { mailbox, header, .. } => {
                if let Some(contact) = device.contact_of(&mailbox) {
                    device.incoming.entry(header.id()).or_insert_with(|| Incoming {
                        contact,
                        mailbox,
                        header: header.as_bytes().to_vec(),
                        chain: zajil_proto::parcel::MarkChain::new(&header).state(),
                        held: 0,
                        closed: false,
                        note: None,
                    });
                }
                Ok(())
            }
            ClientEvent::Body(arrived) => self.arrived(device, &arrived, now),
            ClientEvent::Cut { id, to } => device.cut_incoming(&id, to),
            ClientEvent::Drained { mailbox } => self.mailbox_drained(device, mailbox, now),
            ClientEvent::Seen { slot, word, observation, links } => {
                self.seen.insert(slot);
                let shown = Shown { word: word.as_deref(), observation: observation.as_deref(), links: &links };
                device.take_seen(&self.relay.key, &slot, &shown, now)
            }
            ClientEvent::Released { ids, .. } => {
                self.released(&ids);
                Ok(())
            }
            ClientEvent::Links(_)
            | ClientEvent::Ticket(_)
            | ClientEvent::TicketRefused
            | ClientEvent::TicketUnknown
            | ClientEvent::Closed { .. } => Ok(()),
        }
    }

    fn welcomed(&mut self, device: &mut Device, welcome: &Welcome, now: Minute, at: Instant) -> Result<(), Failure> {
        self.epoch = Some(welcome.epoch);
        #[cfg(feature = "simulation")]
        if device.profile.home.key == self.relay.key
            && device.contacts.values().any(|contact| contact.registered.is_some_and(|known| known != welcome.epoch))
        {
            reached!(EpochChanged);
        }
        let trusted = welcome.clock_trust > 0;
        let off = i64::from(now.0) - i64::from(welcome.minute.0);
        if off.abs() > 60 {
            reached!(ClocksDisagree);
        }
        let mut lived = device.relays.get(&self.relay.key).map(|known| known.lived).unwrap_or_default();
        // A safeguard gone: the device's own clock counts alone.
        let witness = if off != 0 && sabotaged!(OwnClockEndsLifetime) { now } else { welcome.minute };
        lived.meet(now, witness, at);
        // It has begun to age what it was offered before this at the earliest now.
        self.offered.values_mut().for_each(|since| *since = lived.moment());
        let relay = KnownRelay {
            address: self.relay.address.as_str().to_owned(),
            reached: Some(now),
            clock_off_minutes: trusted.then_some(off),
            lived,
            epoch: Some(welcome.epoch),
        };
        let before = device.relays.get(&self.relay.key).and_then(|known| known.epoch);
        device.save_relay(self.relay.key, relay)?;
        if before.is_some_and(|before| before != welcome.epoch) {
            self.forget_unconfirmed();
        }
        self.take_up(device, now)
    }

    /// Takes up what had arrived whole when this device last stopped, and was not acted on any more.
    fn take_up(&mut self, device: &mut Device, now: Minute) -> Result<(), Failure> {
        let whole: Vec<ParcelId> =
            device.incoming.iter().filter(|(_, incoming)| incoming.closed).map(|(id, _)| *id).collect();
        for id in whole {
            let Some(incoming) = device.incoming.get(&id) else { continue };
            reached!(TakenUpAfterStop);
            let (key, mailbox) = (incoming.contact, incoming.mailbox);
            let class = incoming.header().map(|header| header.class());
            let mut batch = Batch::new();
            device.put_incoming(&mut batch, &id)?;
            let durable = device.commit(batch)?.map(|()| id);
            match class {
                Some(Class::Control) => self.control_arrived(device, durable, mailbox, key, now)?,
                _ => {
                    let released = device.take_note(&id, now)?.unwrap_or(durable);
                    self.release(mailbox, vec![released]);
                }
            }
        }
        Ok(())
    }

    fn answered(&mut self, device: &mut Device, asked: Asked, code: Code, at: Instant) -> Result<(), Failure> {
        match asked {
            Asked::Register { id, .. } => {
                self.registering.remove(&id);
                if code != Code::OK {
                    reached!(NotAdmitted);
                    self.not_admitted = true;
                    self.unmade.insert(id);
                    // An invite is missing for as long as nobody gives one; room may be there soon.
                    let pause = Duration::from_millis(REGISTER_PAUSE_MILLIS);
                    self.registers_at = (code != Code::NOT_ADMITTED).then(|| at.after(pause));
                    return Ok(());
                }
                if self.unmade.remove(&id) {
                    // It was watched in vain.
                    self.watched.remove(&MailboxId(id));
                }
                self.made.insert(id);
                self.registered(device, &id)
            }
            Asked::Word { slot, version } => {
                self.words.remove(&(slot, version));
                if code == Code::OK {
                    return device.word_stored(&slot, version);
                }
                // A relay that has no room now has none a moment later: asked again at once, it would eat up a thin link.
                self.word_pauses.insert((slot, version), at.after(Duration::from_millis(WORD_PAUSE_MILLIS)));
                Ok(())
            }
            Asked::Drop { id, .. } => {
                self.dropping.remove(&id);
                device.dropped(&id)
            }
            Asked::Seen { slot } => {
                self.seen.insert(slot);
                Ok(())
            }
            Asked::Withdraw { .. } | Asked::Release { .. } => Ok(()),
        }
    }

    /// Notes which of a contact's mailboxes and slots the relay has; a contact is registered once all of its mailboxes are.
    fn registered(&mut self, device: &mut Device, id: &[u8; 16]) -> Result<(), Failure> {
        let Some(epoch) = self.epoch else { return Ok(()) };
        let mut changed = None;
        for (key, contact) in &mut device.contacts {
            let mut ids = vec![contact.own.mailbox().0];
            if let Stage::Invited { inviter, .. } = &contact.stage {
                let secrets = device.pairings.of(*key, &inviter.link.secret);
                ids.extend([secrets.invitation.mailbox().0, secrets.reply.mailbox().0]);
            }
            if ids.contains(id) && ids.iter().all(|id| self.made.contains(id)) {
                contact.registered = Some(epoch);
                changed = Some(*key);
            }
            if let Some(slot) = &mut contact.slot
                && slot.owner.slot().0 == *id
            {
                slot.registered = Some(epoch);
                changed = Some(*key);
            }
        }
        changed.map_or(Ok(()), |key| device.save_contact(key))
    }

    fn stored(&mut self, device: &mut Device, id: &ParcelId) -> Result<(), Failure> {
        let Some(epoch) = self.epoch else { return Ok(()) };
        let lived = self.lived(device);
        let Some(outgoing) = device.outgoing.get_mut(id) else { return Ok(()) };
        outgoing.stored = Some((epoch, self.ages_since(id, outgoing, lived)));
        outgoing.perhaps = None;
        outgoing.durable = outgoing.length;
        if outgoing.waits.take().is_some() {
            self.has_room.insert(outgoing.contact);
        }
        let (cargo, key) = (outgoing.cargo.clone(), outgoing.contact);
        let mut batch = Batch::new();
        device.put_outgoing(&mut batch, id)?;
        match cargo {
            Cargo::Note(number) => {
                self.stored = self.stored.saturating_add(1);
                if let Some(note) = device.notes.get_mut(&number)
                    && note.mark == NoteMark::OnDevice
                {
                    note.mark = NoteMark::AtRelay;
                    device.put_note(&mut batch, number)?;
                }
                if sabotaged!(StoredMeansForgotten) {
                    device.delete_outgoing(&mut batch, id);
                }
            }
            Cargo::Reply => {
                if let Some(contact) = device.contacts.get_mut(&key)
                    && let Stage::Replied { stored, .. } = &mut contact.stage
                {
                    *stored = true;
                    device.put_contact(&mut batch, key)?;
                }
            }
            Cargo::Frame { .. } | Cargo::Invitation => {}
        }
        device.commit(batch)?;
        Ok(())
    }

    /// The reply mailbox takes one parcel, and goes with the invitation: somebody else was first, or it is too late.
    fn reply_refused(&mut self, device: &mut Device, key: u32, code: Code) -> Result<(), Failure> {
        let stage = device.contacts.get(&key).map(|contact| &contact.stage);
        if !matches!(stage, Some(Stage::Replied { stored: false, .. })) {
            return Ok(());
        }
        let failure = match code {
            Code::MAILBOX_FULL => Failure::LinkUsed,
            // In a later meeting than the one that found the invitation it means nothing: a reply whose *stored* was lost on the
            // way is gone from there as soon as the inviter has taken it, and who forgot her then would be lost to her for good.
            Code::OVER | Code::NOT_HERE if self.fetching.values().any(|fetched| *fetched == key) => {
                Failure::LinkExpired
            }
            _ => return Ok(()),
        };
        reached!(UsedLinkRefused);
        self.failed.insert(key, failure);
        device.end_reply(key)
    }

    fn arrived(&mut self, device: &mut Device, arrived: &Arrived, now: Minute) -> Result<(), Failure> {
        let length = u64::try_from(arrived.bytes.len()).unwrap_or(u64::MAX);
        self.bytes_in = self.bytes_in.saturating_add(length);
        let Some(incoming) = device.incoming.get_mut(&arrived.id) else { return Ok(()) };
        if incoming.closed {
            return Ok(());
        }
        incoming.chain = arrived.chain;
        incoming.held = arrived.offset.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
        incoming.closed = arrived.closed;
        let key = incoming.contact;
        let class = incoming.header().map(|header| header.class());
        let mut batch = Batch::new();
        if !arrived.bytes.is_empty() {
            batch.put(Kind::IncomingBody, &segment_key(&arrived.id, arrived.offset), arrived.bytes.clone());
        }
        device.put_incoming(&mut batch, &arrived.id)?;
        let durable = device.commit(batch)?.map(|()| arrived.id);
        device.join_segments(&arrived.id)?;
        match class {
            Some(Class::Control) if arrived.closed => self.control_arrived(device, durable, arrived.mailbox, key, now),
            Some(Class::Text | Class::Voice) => {
                if !arrived.closed && sabotaged!(ReleasedBeforeWhole) {
                    self.release_replay(arrived.mailbox, durable);
                }
                let Some(durable) = device.take_note(&arrived.id, now)? else { return Ok(()) };
                self.received = self.received.saturating_add(1);
                if arrived.closed {
                    self.release(arrived.mailbox, vec![durable]);
                } else {
                    self.release_replay(arrived.mailbox, durable);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn control_arrived(
        &mut self,
        device: &mut Device,
        durable: Durable<ParcelId>,
        mailbox: MailboxId,
        key: u32,
        now: Minute,
    ) -> Result<(), Failure> {
        let id = *durable.get();
        let Some(header) = device.incoming.get(&id).and_then(Incoming::header) else { return Ok(()) };
        let pairing = device.contacts.get(&key).filter(|contact| contact.own.mailbox() != mailbox);
        match pairing.map(|contact| &contact.stage) {
            Some(Stage::Fetching { .. }) => {
                // Not released: the same link, opened again after a lost reply, must still find its invitation.
                match device.answer_invitation(key, &id, &header, now) {
                    // The disk's fault is not the link's: what is behind it is held, and answered when there is room.
                    Err(failure @ (Failure::DiskFull | Failure::Store(_))) => Err(failure),
                    Err(failure) => {
                        self.failed.insert(key, failure);
                        device.forget(key)
                    }
                    Ok(()) => Ok(()),
                }
            }
            Some(Stage::Invited { .. }) => {
                let released = device.take_reply(key, &id, &header, now)?;
                self.release(mailbox, vec![released]);
                device.unlock_notes(now)?;
                // Frames that came before the reply was taken can be opened now.
                let own = device.contacts.get(&key).map(|contact| contact.own.mailbox());
                own.map_or(Ok(()), |own| self.take_frames(device, own, now))
            }
            _ => {
                self.release(mailbox, vec![durable]);
                self.take_frames(device, mailbox, now)
            }
        }
    }

    fn mailbox_drained(&mut self, device: &mut Device, mailbox: MailboxId, now: Minute) -> Result<(), Failure> {
        self.drained.insert(mailbox);
        self.take_frames(device, mailbox, now)?;
        device.let_locked_go(&mailbox)?;
        let lived = self.lived(device);
        device.retire_sessions(&mailbox, lived)?;
        device.end_invitation(&mailbox, lived)?;
        let fetching = device.contacts.iter().find_map(|(key, contact)| match &contact.stage {
            Stage::Fetching { link, .. } if device.pairings.of(*key, &link.secret).invitation.mailbox() == mailbox => {
                Some(*key)
            }
            _ => None,
        });
        if let Some(key) = fetching {
            reached!(LinkLedNowhere);
            // Nothing behind the link: its inviter has taken a reply and dropped it, or its seven days are over.
            self.failed.insert(key, Failure::LinkUsed);
            device.forget(key)?;
        }
        Ok(())
    }

    fn take_frames(&mut self, device: &mut Device, mailbox: MailboxId, now: Minute) -> Result<(), Failure> {
        let released = device.take_frames(&mailbox, self.drained.contains(&mailbox), now)?;
        if !released.is_empty() {
            self.release(mailbox, released);
            device.unlock_notes(now)?;
        }
        Ok(())
    }
}

impl Device {
    /// Drops what an incoming body holds after `to`: its author never vouched for it.
    fn cut_incoming(&mut self, id: &ParcelId, to: u32) -> Result<(), Failure> {
        let mut body = self.incoming_body(id)?;
        body.truncate(usize::try_from(to).unwrap_or(usize::MAX));
        let Some(incoming) = self.incoming.get_mut(id) else { return Ok(()) };
        incoming.held = incoming.held.min(to);
        let mut batch = Batch::new();
        for key in self.store.keys_prefix(Kind::IncomingBody, &id.0)? {
            batch.delete(Kind::IncomingBody, &key);
        }
        if !body.is_empty() {
            batch.put(Kind::IncomingBody, &segment_key(id, 0), body);
        }
        self.put_incoming(&mut batch, id)?;
        self.commit(batch)?;
        Ok(())
    }

    /// Joins the pieces of an incoming body when they have become many.
    fn join_segments(&mut self, id: &ParcelId) -> Result<(), Failure> {
        let keys = self.store.keys_prefix(Kind::IncomingBody, &id.0)?;
        if keys.len() < BODY_SEGMENTS_MAX {
            return Ok(());
        }
        let body = self.incoming_body(id)?;
        let mut batch = Batch::new();
        for key in keys {
            batch.delete(Kind::IncomingBody, &key);
        }
        batch.put(Kind::IncomingBody, &segment_key(id, 0), body);
        self.commit(batch)?;
        Ok(())
    }

    /// Notes that a relay has dropped a mailbox or slot.
    fn dropped(&mut self, id: &[u8; 16]) -> Result<(), Failure> {
        let mut batch = Batch::new();
        self.profile.dropped_slots.retain(|slot| slot.slot().0 != *id);
        self.put_profile(&mut batch)?;
        let retired = self.contacts.iter().find_map(|(key, contact)| {
            let secret = contact.retired.as_ref()?;
            (self.pairings.of(*key, secret).reply.mailbox().0 == *id).then_some(*key)
        });
        // The reply mailbox is dropped after the invitation: with its answer both are gone.
        if let Some(key) = retired {
            if let Some(contact) = self.contacts.get_mut(&key) {
                contact.retired = None;
            }
            self.put_contact(&mut batch, key)?;
        }
        self.commit(batch)?;
        Ok(())
    }
}

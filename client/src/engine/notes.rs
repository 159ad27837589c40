//! Notes out: taken from a session, sealed, into the outbox. Notes in: opened as they come, kept, receipted (P4).

use zajil_proto::durable::Durable;
use zajil_proto::ids::{MailboxId, NoteId, NoteTag, ParcelId};
use zajil_proto::limits::NOTE_MILLIS_MAX;
use zajil_proto::parcel::Class;
use zajil_proto::random;
use zajil_proto::sealing::contents::Content;
use zajil_proto::sealing::note::body_tag;
use zajil_proto::sealing::seal::{About, Destination, NoteContent, seal_note};
use zajil_proto::sealing::{Codec, Head, NoteKind, NoteOpener, NoteSession, Part, PartOf, RING, Tail};
use zajil_proto::time::{Lifetime, Minute};
use zajil_proto::{reached, sabotaged};

use super::api::{Failure, NoteMark, PLACES_PER_SESSION, Receipts, Voice};
use super::frames::internal;
use super::model::{Cargo, Note, Recording};
use super::state::{Device, number_key};
use crate::limits::LOCKED_NOTES_MAX;
use crate::store::{Batch, Kind, Records};

/// What could be opened of a note.
pub(crate) struct Opened {
    pub(crate) head: Head,
    pub(crate) voice: Voice,
}

impl Device {
    /// Seals a voice note for a contact and keeps it in the outbox. Returns its number.
    pub(crate) fn send_voice(
        &mut self,
        key: u32,
        voice: &Voice,
        lifetime: Lifetime,
        now: Minute,
    ) -> Result<u32, Failure> {
        if voice.duration_millis > NOTE_MILLIS_MAX {
            let (got_millis, max_millis) = (voice.duration_millis, NOTE_MILLIS_MAX);
            return Err(Failure::NoteTooLong { got_millis, max_millis });
        }
        self.check_outbox(voice.packets.iter().map(Vec::len).sum())?;
        let codec = codec_of(voice.codec).ok_or(Failure::NothingYet)?;
        let pair = {
            self.renew_session(key, lifetime, now)?;
            let Some(contact) = self.contacts.get_mut(&key) else { return Err(Failure::Busy) };
            let not_paired = Failure::NotPaired { name: contact.name.clone() };
            contact.session.as_mut().and_then(NoteSession::take).ok_or(not_paired)?
        };
        // The step is durable before anything is sealed with it: after a crash this pair is gone, not used twice.
        self.save_contact(key)?;
        let packets: Vec<Vec<u8>> =
            voice.packets.iter().map(|packet| [&[voice.toc], packet.as_slice()].concat()).collect();
        let tail = Tail { duration_millis: voice.duration_millis, loudness: voice.loudness, waveform: voice.waveform };
        let about = About {
            note: NoteId(random::bytes(&mut self.random)),
            minute: now,
            keep_days: 0,
            roster: None,
            part: PartOf::Whole,
        };
        let number = self.take_note_number();
        let Some(contact) = self.contacts.get_mut(&key) else { return Err(Failure::Busy) };
        let (Some(peer), Some(session)) = (&contact.peer, &contact.session) else {
            return Err(Failure::NotPaired { name: contact.name.clone() });
        };
        let destination = Destination { to: &peer.writer, lifetime };
        let content = NoteContent::Voice { codec, packets: &packets, tail: &tail };
        let sealed =
            seal_note(&RING, &mut self.random, session, pair, destination, &about, content).map_err(internal)?;
        let home = peer.homes.as_slice().first().cloned().ok_or(Failure::Busy)?;
        let sequence = contact.notes_sent;
        contact.notes_sent = sequence.saturating_add(1);
        let note = Note {
            contact: key,
            outgoing: true,
            id: about.note,
            parcel: sealed.parcel.header.id(),
            recorded: now,
            arrived: now,
            duration_millis: voice.duration_millis,
            mark: NoteMark::OnDevice,
            sealed_bytes: u32::try_from(sealed.parcel.body.len()).unwrap_or(u32::MAX),
            sequence,
        };
        self.notes.insert(number, note);
        let mut batch = Batch::new();
        batch.put_record(&number_key(number), &Recording { voice: voice.clone() })?;
        self.put_sealed(&mut batch, key, home, Cargo::Note(number), sealed.parcel, now)?;
        self.put_note(&mut batch, number)?;
        self.put_contact(&mut batch, key)?;
        self.put_profile(&mut batch)?;
        self.commit(batch)?;
        Ok(number)
    }

    /// Begins a new session with a contact if the present one cannot seal a note of this lifetime.
    fn renew_session(&mut self, key: u32, lifetime: Lifetime, now: Minute) -> Result<(), Failure> {
        let Some(contact) = self.contacts.get_mut(&key) else { return Err(Failure::Busy) };
        let Some(peer) = contact.peer.as_ref().filter(|_| contact.control.is_some()) else {
            return Err(Failure::NotPaired { name: contact.name.clone() });
        };
        if contact.session.as_ref().is_some_and(|session| !session.is_over(now) && session.allows(lifetime)) {
            return Ok(());
        }
        if contact.session.is_some() {
            reached!(SessionRenewed);
        }
        let longest = if lifetime > Lifetime::DEFAULT { Lifetime::LONGEST } else { Lifetime::DEFAULT };
        let (session, grant) = NoteSession::draw(&mut self.random, peer.writer.mailbox(), now, longest);
        contact.session = Some(session);
        let mut batch = Batch::new();
        self.tell(&mut batch, key, &[Content::Session(grant)], now)?;
        self.commit(batch)?;
        Ok(())
    }

    /// Does what can be done with an incoming note: lists it once its head is there, keeps its recording once it is whole.
    /// Returns the parcel if it may be released.
    pub(crate) fn take_note(&mut self, id: &ParcelId, now: Minute) -> Result<Option<Durable<ParcelId>>, Failure> {
        let Some(incoming) = self.incoming.get(id) else { return Ok(None) };
        let (key, closed, known) = (incoming.contact, incoming.closed, incoming.note);
        if known.is_some() && !closed {
            return Ok(None);
        }
        let body = self.incoming_body(id)?;
        let Some(tag) = body_tag(&body) else { return Ok(None) };
        if let Some(session) = self.session_of_replay(key, &tag) {
            return self.take_replay(id, session, tag, closed);
        }
        let Some((session, opened)) = self.open_note(id, &tag, &body, closed) else {
            return self.keep_locked(id, closed, now);
        };
        if known.is_none() && self.has_note(key, &opened.head.note) {
            // The first stays as it was heard: nobody changes afterwards what they said.
            return if closed { self.let_go(id, session, &tag).map(Some) } else { Ok(None) };
        }
        let number = match known {
            Some(number) => number,
            None => self.take_note_number(),
        };
        let heard = self.notes.get(&number).is_some_and(|note| note.mark == NoteMark::Heard);
        let note = Note {
            contact: key,
            outgoing: false,
            id: opened.head.note,
            parcel: *id,
            recorded: if opened.head.minute != now && sabotaged!(DatedByArrival) { now } else { opened.head.minute },
            arrived: match self.notes.get(&number) {
                Some(note) if !(note.arrived != now && sabotaged!(ArrivesAnew)) => note.arrived,
                _ => now,
            },
            duration_millis: opened.voice.duration_millis,
            mark: match (heard, closed) {
                (true, _) => NoteMark::Heard,
                (false, true) => NoteMark::Delivered,
                (false, false) => NoteMark::Arriving,
            },
            sealed_bytes: u32::try_from(body.len()).unwrap_or(u32::MAX),
            sequence: match session.1.saturating_mul(PLACES_PER_SESSION).saturating_add(u32::from(opened.head.number)) {
                _ if sabotaged!(ShownByArrival) => number,
                sequence => sequence,
            },
        };
        #[cfg(feature = "simulation")]
        self.count_arrival(number, &note);
        self.notes.insert(number, note);
        let mut batch = Batch::new();
        self.put_note(&mut batch, number)?;
        self.put_profile(&mut batch)?;
        if let Some(contact) = self.contacts.get_mut(&key) {
            contact.news = Some(now);
        }
        if !closed {
            if let Some(known) = self.sessions.get_mut(&session)
                && sabotaged!(KeyErasedEarly)
            {
                known.session.erase(&tag);
                self.put_session(&mut batch, session)?;
            }
            return self.list_in_part(batch, key, id, number);
        }
        batch.put_record(&number_key(number), &Recording { voice: opened.voice })?;
        // The key goes with the same commit that makes the opened note durable.
        if let Some(known) = self.sessions.get_mut(&session) {
            if !sabotaged!(KeyNotErased) {
                known.session.erase(&tag);
            }
            known.used.push(tag);
        }
        self.put_session(&mut batch, session)?;
        self.delete_incoming(&mut batch, id)?;
        self.owe_receipt(key, opened.head.note, sabotaged!(HeardOnDelivery), now);
        self.put_contact(&mut batch, key)?;
        Ok(Some(self.commit(batch)?.map(|()| *id)))
    }

    /// Lets go of a note that this device has had. Returns the parcel if it may be released.
    fn take_replay(
        &mut self,
        id: &ParcelId,
        session: (u32, u32),
        tag: NoteTag,
        closed: bool,
    ) -> Result<Option<Durable<ParcelId>>, Failure> {
        let again = self.sessions.get(&session).is_some_and(|known| known.again.contains(&tag));
        if again && !closed {
            // Its sender offers it anew, to a relay that lost it. Let go of before it is whole there, it would be begun again and
            // again.
            return Ok(None);
        }
        reached!(DuplicateNote);
        let mut batch = Batch::new();
        if !closed && let Some(known) = self.sessions.get_mut(&session) {
            // Most often only the release was lost, and the relay has it whole: then none of it need come twice.
            known.again.push(tag);
            self.put_session(&mut batch, session)?;
        }
        self.delete_incoming(&mut batch, id)?;
        #[cfg(feature = "simulation")]
        if sabotaged!(DuplicateShown) {
            self.list_again(&mut batch, id)?;
        }
        Ok(Some(self.commit(batch)?.map(|()| *id)))
    }

    /// Lists a note of which only a part is here; durable with `batch`.
    fn list_in_part(
        &mut self,
        mut batch: Batch,
        key: u32,
        id: &ParcelId,
        number: u32,
    ) -> Result<Option<Durable<ParcelId>>, Failure> {
        reached!(NoteShownInPart);
        if let Some(incoming) = self.incoming.get_mut(id) {
            incoming.note = Some(number);
        }
        self.put_incoming(&mut batch, id)?;
        self.put_contact(&mut batch, key)?;
        self.commit(batch)?;
        Ok(None)
    }

    /// Keeps a note that cannot be opened: its session may still come. What is whole and durable here need not wait at the relay.
    fn keep_locked(&mut self, id: &ParcelId, closed: bool, now: Minute) -> Result<Option<Durable<ParcelId>>, Failure> {
        if !closed {
            return Ok(None);
        }
        let Some(incoming) = self.incoming.get(id) else { return Ok(None) };
        let (key, known, held) = (incoming.contact, incoming.note, incoming.held);
        if known.is_none() && sabotaged!(LockedNoteDropped) {
            let mut batch = Batch::new();
            self.delete_incoming(&mut batch, id)?;
            return Ok(Some(self.commit(batch)?.map(|()| *id)));
        }
        reached!(NoteLocked);
        let number = match known {
            Some(number) => number,
            None => self.take_note_number(),
        };
        let note = Note {
            contact: key,
            outgoing: false,
            id: NoteId([0; 8]),
            parcel: *id,
            recorded: now,
            arrived: now,
            duration_millis: 0,
            mark: NoteMark::Locked,
            sealed_bytes: held,
            sequence: u32::MAX,
        };
        self.notes.entry(number).or_insert(note).mark = NoteMark::Locked;
        if let Some(incoming) = self.incoming.get_mut(id) {
            incoming.note = Some(number);
        }
        let mut batch = Batch::new();
        self.put_note(&mut batch, number)?;
        self.put_incoming(&mut batch, id)?;
        self.put_profile(&mut batch)?;
        Ok(Some(self.commit(batch)?.map(|()| *id)))
    }

    /// Lets go of what nobody can open, beyond what is kept for sessions that are late. Only once a mailbox is drained: until then
    /// the session of any of them may be next.
    pub(crate) fn let_locked_go(&mut self, mailbox: &MailboxId) -> Result<(), Failure> {
        let locked = self.notes.iter().filter(|(_, note)| {
            let incoming = self.incoming.get(&note.parcel);
            note.mark == NoteMark::Locked && incoming.is_some_and(|incoming| incoming.mailbox == *mailbox)
        });
        // Somebody fills this mailbox with what nobody can open; the disk is for those who speak.
        let many: Vec<(u32, ParcelId)> =
            locked.map(|(number, note)| (*number, note.parcel)).skip(LOCKED_NOTES_MAX).collect();
        for (number, id) in many {
            let mut batch = Batch::new();
            self.notes.remove(&number);
            batch.delete(Kind::Note, &number_key(number));
            self.delete_incoming(&mut batch, &id)?;
            self.commit(batch)?;
        }
        Ok(())
    }

    /// Tries again to open what was locked, after a session has come.
    pub(crate) fn unlock_notes(&mut self, now: Minute) -> Result<(), Failure> {
        let locked: Vec<ParcelId> = self
            .incoming
            .iter()
            .filter(|(_, incoming)| incoming.closed)
            .filter(|(_, incoming)| incoming.header().is_some_and(|header| header.class() != Class::Control))
            .map(|(id, _)| *id)
            .collect();
        for id in locked {
            let body = self.incoming_body(&id)?;
            let Some(incoming) = self.incoming.get(&id) else { continue };
            let found = body_tag(&body).is_some_and(|tag| self.find_session(incoming.contact, &tag).is_some());
            if found {
                self.take_note(&id, now)?;
            }
        }
        Ok(())
    }

    /// Returns the recording of a note, as far as it is here.
    pub(crate) fn voice(&self, number: u32) -> Result<Voice, Failure> {
        let note = self.notes.get(&number).ok_or(Failure::UnknownNote { number })?;
        if note.mark == NoteMark::Locked {
            return Err(Failure::Locked);
        }
        if let Some(recording) = self.store.record::<Recording>(&number_key(number))? {
            return Ok(recording.voice);
        }
        if self.is_erased(number, note)? {
            return Err(Failure::Erased);
        }
        let body = self.incoming_body(&note.parcel)?;
        let tag = body_tag(&body).ok_or(Failure::NothingYet)?;
        let (_, opened) = self.open_note(&note.parcel, &tag, &body, false).ok_or(Failure::NothingYet)?;
        if opened.voice.packets.is_empty() { Err(Failure::NothingYet) } else { Ok(opened.voice) }
    }

    /// Notes that a note was played to 90 %.
    pub(crate) fn heard(&mut self, number: u32, now: Minute) -> Result<(), Failure> {
        let note = self.notes.get_mut(&number).ok_or(Failure::UnknownNote { number })?;
        if note.outgoing || note.mark != NoteMark::Delivered {
            return Ok(());
        }
        note.mark = NoteMark::Heard;
        let (key, id) = (note.contact, note.id);
        self.fading_due = true;
        self.owe_receipt(key, id, true, now);
        let mut batch = Batch::new();
        self.put_note(&mut batch, number)?;
        if !sabotaged!(HeardNotKept) {
            self.put_contact(&mut batch, key)?;
        }
        self.commit(batch)?;
        Ok(())
    }

    fn owe_receipt(&mut self, key: u32, id: NoteId, heard: bool, now: Minute) {
        let Some(contact) = self.contacts.get_mut(&key) else { return };
        // An unconfirmed contact may be anybody: it gets notes and learns nothing (P6, pairing by link).
        let may_know = contact.confirmed || sabotaged!(ReceiptsToUnconfirmed);
        if !may_know || contact.receipts == Receipts::Off {
            return;
        }
        contact.owed.retain(|(note, _)| *note != id);
        contact.owed.push((id, heard));
        let at_once = contact.receipts == Receipts::AtOnce || sabotaged!(LaterAtOnce);
        self.owe(key, at_once, now);
    }

    /// Returns whether a note of this id has come from this contact.
    fn has_note(&self, key: u32, id: &NoteId) -> bool {
        self.notes
            .values()
            .any(|note| !note.outgoing && note.contact == key && note.id == *id && note.mark != NoteMark::Locked)
    }

    /// Lets a parcel and its key go without keeping what is in it.
    fn let_go(&mut self, id: &ParcelId, session: (u32, u32), tag: &NoteTag) -> Result<Durable<ParcelId>, Failure> {
        let mut batch = Batch::new();
        if let Some(known) = self.sessions.get_mut(&session) {
            known.session.erase(tag);
            known.used.push(*tag);
        }
        self.put_session(&mut batch, session)?;
        self.delete_incoming(&mut batch, id)?;
        Ok(self.commit(batch)?.map(|()| *id))
    }

    /// Counts a note that is opened late: after one that was sealed later, or after its session came late.
    #[cfg(feature = "simulation")]
    fn count_arrival(&self, number: u32, note: &Note) {
        let theirs = |other: &&Note| !other.outgoing && other.contact == note.contact && other.mark != NoteMark::Locked;
        let is_new = self.notes.get(&number).is_none_or(|before| before.mark == NoteMark::Locked);
        if is_new && self.notes.values().filter(theirs).any(|other| other.sequence > note.sequence) {
            reached!(NoteOutOfOrder);
        }
        if self.notes.get(&number).is_some_and(|before| before.mark == NoteMark::Locked) {
            reached!(NoteUnlocked);
        }
    }

    /// Lists a note that came twice as if it were another one.
    #[cfg(feature = "simulation")]
    fn list_again(&mut self, batch: &mut Batch, id: &ParcelId) -> Result<(), Failure> {
        let known = self.notes.iter().find(|(_, note)| !note.outgoing && note.parcel == *id);
        let Some((first, note)) = known.map(|(number, note)| (*number, note.clone())) else { return Ok(()) };
        let number = self.take_note_number();
        if let Some(recording) = self.store.record::<Recording>(&number_key(first))? {
            batch.put_record(&number_key(number), &recording)?;
        }
        self.notes.insert(number, Note { mark: NoteMark::Delivered, ..note });
        self.put_note(batch, number)?;
        self.put_profile(batch)
    }

    fn session_of_replay(&self, key: u32, tag: &NoteTag) -> Option<(u32, u32)> {
        let mut theirs = self.sessions.range((key, 0)..=(key, u32::MAX));
        theirs.find(|(_, known)| known.used.contains(tag)).map(|(session, _)| *session)
    }

    fn find_session(&self, key: u32, tag: &NoteTag) -> Option<(u32, u32)> {
        self.sessions
            .range((key, 0)..=(key, u32::MAX))
            .find(|(_, known)| known.session.find(tag).is_some())
            .map(|(session, _)| *session)
    }

    /// Opens as much of a note as is authentic; `None` without its key, or if not even its head can be opened yet.
    fn open_note(&self, id: &ParcelId, tag: &NoteTag, body: &[u8], closed: bool) -> Option<((u32, u32), Opened)> {
        let incoming = self.incoming.get(id)?;
        let header = incoming.header()?;
        let session = self.find_session(incoming.contact, tag)?;
        let known = self.sessions.get(&session)?;
        let pair = known.session.find(tag)?;
        let mut opener = NoteOpener::new(&RING, &header, pair, known.session.verify_key);
        // What was opened before an error is authentic all the same.
        let _ = opener.push(body, closed);
        let mut head = None;
        let mut voice = Voice {
            codec: 0,
            toc: 0,
            packets: Vec::new(),
            duration_millis: 0,
            loudness: 0,
            waveform: [0; 24],
            complete: false,
        };
        while let Ok(Some(part)) = opener.next_part() {
            match part {
                Part::Head(found) => {
                    let NoteKind::Voice { codec, toc } = found.kind else { return None };
                    (voice.codec, voice.toc) = (codec.code(), toc);
                    head = Some(found);
                }
                Part::Packet(packet) => voice.packets.push(packet),
                Part::Tail(tail) => {
                    voice.duration_millis = tail.duration_millis;
                    voice.loudness = tail.loudness;
                    voice.waveform = tail.waveform;
                }
                Part::Text(_) => return None,
            }
        }
        voice.complete = opener.is_ended() && opener.is_whole();
        head.map(|head| (session, Opened { head, voice }))
    }
}

fn codec_of(code: u8) -> Option<Codec> {
    [Codec::Emergency, Codec::Thumbnail, Codec::Saver, Codec::Default, Codec::GoodLink]
        .into_iter()
        .find(|codec| codec.code() == code)
}

//! From a link to a contact (P6): what each side keeps at each step.

use zajil_proto::durable::Durable;
use zajil_proto::ids::{MailboxId, ParcelId};
use zajil_proto::keys::Secret;
use zajil_proto::parcel::Header;
use zajil_proto::sealing::contents::Content;
use zajil_proto::sealing::pairing::{Pair, PairingError, accept_reply, invite, open_invitation, reply};
use zajil_proto::sealing::{Homes, Link, MailboxOwner, NoteSession, RING, ReturnCode};
use zajil_proto::time::{Lifetime, Minute};
use zajil_proto::{reached, sabotaged};

use super::api::{Failure, NoteMark, Pairing, Receipts, SeenPrecision};
use super::frames::internal;
use super::lived::Moment;
use super::model::{Cargo, Contact, Control, Peer, Stage};
use super::state::{Device, number_key};
use crate::limits::{CONTACTS_MAX, NAME_BYTES_MAX};
use crate::store::{Batch, Kind};

impl Device {
    /// Makes an invitation for `name` and keeps it. Its parcel and mailboxes go to the home at the next meeting.
    ///
    /// For a name that is invited already it is the same invitation: its link can be shown again.
    pub(crate) fn invite(&mut self, name: &str, now: Minute) -> Result<u32, Failure> {
        let invited = self
            .contacts
            .iter()
            .find(|(_, contact)| contact.name == name.trim() && matches!(contact.stage, Stage::Invited { .. }));
        if let Some((key, _)) = invited {
            return Ok(*key);
        }
        let name = self.free_name(name)?;
        let homes = Homes::one(self.profile.home.clone());
        let invited = invite(&RING, &mut self.random, &mut self.profile.identity, &self.profile.home, &homes, now);
        let key = self.take_contact_key();
        let own = invited.inviter.mailbox.clone();
        let stage = Stage::Invited { inviter: Box::new(invited.inviter), shown: None };
        self.contacts.insert(key, Contact::new(name, stage, own));
        let mut batch = Batch::new();
        let home = self.profile.home.clone();
        self.put_sealed(&mut batch, key, home, Cargo::Invitation, invited.parcel, now)?;
        self.put_contact(&mut batch, key)?;
        self.put_profile(&mut batch)?;
        self.commit(batch)?;
        Ok(key)
    }

    /// Takes up a link and keeps it. What it leads to is fetched at the next meeting with its home.
    pub(crate) fn take_link(&mut self, name: &str, text: &str, in_person: bool, now: Minute) -> Result<u32, Failure> {
        let link = Link::parse(text).map_err(|_| Failure::BadLink)?;
        let known = self.contacts.iter().find_map(|(key, contact)| match &contact.stage {
            Stage::Fetching { link: other, .. } | Stage::Replied { link: other, .. } => {
                (other.secret == link.secret).then_some(*key)
            }
            Stage::Invited { .. } | Stage::Paired | Stage::Over => None,
        });
        if let Some(key) = known {
            // The same link once more, under the same name or another: it goes on where it was.
            return Ok(key);
        }
        let own = self.contacts.values().any(|contact| match &contact.stage {
            Stage::Invited { inviter, .. } => inviter.link.secret == link.secret,
            _ => false,
        });
        if own {
            return Err(Failure::OwnLink);
        }
        if link.is_expired(now) {
            return Err(Failure::LinkExpired);
        }
        let name = self.free_name(name)?;
        let key = self.take_contact_key();
        // Replaced by the mailbox of the reply once the bundle has come.
        let own = MailboxOwner::draw(&mut self.random);
        let stage = Stage::Fetching { link: Box::new(link), in_person };
        self.contacts.insert(key, Contact::new(name, stage, own));
        let mut batch = Batch::new();
        self.put_contact(&mut batch, key)?;
        self.put_profile(&mut batch)?;
        self.commit(batch)?;
        Ok(key)
    }

    /// Ends a pairing whose inviter has taken another reply, or none. What was spoken to them meanwhile stays, and says that it
    /// went nowhere.
    pub(crate) fn end_reply(&mut self, key: u32) -> Result<(), Failure> {
        if self.notes.values().all(|note| note.contact != key) {
            return self.forget(key);
        }
        let mut batch = Batch::new();
        let spoken: Vec<u32> =
            self.notes.iter().filter(|(_, note)| note.contact == key).map(|(number, _)| *number).collect();
        for number in spoken {
            if let Some(note) = self.notes.get_mut(&number) {
                note.mark = NoteMark::Expired;
            }
            self.put_note(&mut batch, number)?;
        }
        self.let_go_of_parcels(&mut batch, key)?;
        if let Some(contact) = self.contacts.get_mut(&key) {
            contact.stage = Stage::Over;
        }
        self.put_contact(&mut batch, key)?;
        self.commit(batch)?;
        Ok(())
    }

    /// Forgets a contact whose pairing never came about, and what was spoken to them. The one-time key of an invitation goes
    /// with it: nobody is to begin a session with it, and each one kept makes the account slower to take up.
    pub(crate) fn forget(&mut self, key: u32) -> Result<(), Failure> {
        let mut batch = Batch::new();
        if let Some(Stage::Invited { inviter, .. }) = self.contacts.get(&key).map(|contact| &contact.stage) {
            let one_time_key = inviter.bundle.facts().olm_one_time_key;
            self.profile.identity.account.take_back_one_time_key(one_time_key);
            self.put_profile(&mut batch)?;
        }
        let spoken: Vec<u32> =
            self.notes.iter().filter(|(_, note)| note.contact == key).map(|(number, _)| *number).collect();
        for number in spoken {
            self.notes.remove(&number);
            self.countdowns.remove(&number);
            let number = number_key(number);
            batch.delete(Kind::Note, &number).delete(Kind::Recording, &number).delete(Kind::Countdown, &number);
        }
        let theirs: Vec<(u32, u32)> = self.sessions.keys().filter(|(contact, _)| *contact == key).copied().collect();
        for session in theirs {
            self.sessions.remove(&session);
            self.delete_session(&mut batch, session);
        }
        self.let_go_of_parcels(&mut batch, key)?;
        self.contacts.remove(&key);
        batch.delete(Kind::Contact, &key.to_be_bytes());
        self.commit(batch)?;
        Ok(())
    }

    /// Lets go of a contact's parcels, those to them and those from them; durable with `batch`.
    fn let_go_of_parcels(&mut self, batch: &mut Batch, key: u32) -> Result<(), Failure> {
        let sealed: Vec<ParcelId> =
            self.outgoing.iter().filter(|(_, outgoing)| outgoing.contact == key).map(|(id, _)| *id).collect();
        for id in sealed {
            self.delete_outgoing(batch, &id);
        }
        let fetched: Vec<ParcelId> =
            self.incoming.iter().filter(|(_, incoming)| incoming.contact == key).map(|(id, _)| *id).collect();
        for id in fetched {
            self.delete_incoming(batch, &id)?;
        }
        Ok(())
    }

    /// Opens what lay behind a link and answers it. On success the reply is in the outbox.
    pub(crate) fn answer_invitation(
        &mut self,
        key: u32,
        id: &ParcelId,
        header: &Header,
        now: Minute,
    ) -> Result<(), Failure> {
        let body = self.incoming_body(id)?;
        let Some(contact) = self.contacts.get(&key) else { return Ok(()) };
        let Stage::Fetching { link, in_person } = &contact.stage else { return Ok(()) };
        let (link, in_person) = (link.clone(), *in_person);
        let bundle = open_invitation(&RING, &link, header, &body).map_err(refusal)?;
        let theirs = bundle.facts().writer.mailbox();
        let (session, grant) = NoteSession::draw(&mut self.random, theirs, now, Lifetime::LONGEST);
        let homes = Homes::one(self.profile.home.clone());
        let identity = &mut self.profile.identity;
        let contents = [Content::Session(grant)];
        let replied =
            reply(&RING, &mut self.random, identity, (&link, &bundle), &homes, &contents, now).map_err(refusal)?;
        let code = *replied.replier.return_code();
        let mut batch = Batch::new();
        self.delete_incoming(&mut batch, id)?;
        let home = link.home.clone();
        self.put_sealed(&mut batch, key, home, Cargo::Reply, replied.parcel, now)?;
        let lived = self.lived_at_home();
        if let Some(contact) = self.contacts.get_mut(&key) {
            contact.take_pair(replied.pair, lived);
            contact.bundles = Some((code.inviter, code.replier));
            contact.session = Some(session);
            contact.confirmed = in_person;
            contact.stage = Stage::Replied { link, replier: Box::new(replied.replier), stored: false };
        }
        self.put_contact(&mut batch, key)?;
        self.put_profile(&mut batch)?;
        self.commit(batch)?;
        Ok(())
    }

    /// Takes a reply. One that is not valid is let go: the right one may still come.
    pub(crate) fn take_reply(
        &mut self,
        key: u32,
        id: &ParcelId,
        header: &Header,
        now: Minute,
    ) -> Result<Durable<ParcelId>, Failure> {
        let body = self.incoming_body(id)?;
        let mut batch = Batch::new();
        self.delete_incoming(&mut batch, id)?;
        let accepted = match self.contacts.get(&key).map(|contact| &contact.stage) {
            Some(Stage::Invited { inviter, .. }) => {
                accept_reply(&RING, inviter, &mut self.profile.identity, header, &body).ok()
            }
            _ => None,
        };
        if accepted.is_none() {
            reached!(ReplyNotTaken);
        }
        let lived = self.lived_at_home();
        if let Some(accepted) = accepted
            && let Some(contact) = self.contacts.get_mut(&key)
        {
            if let Stage::Invited { inviter, shown } = &contact.stage {
                contact.retired = Some(inviter.link.secret.clone());
                contact.confirmed = *shown == Some(accepted.code.replier);
            }
            contact.take_pair(accepted.pair, lived);
            contact.bundles = Some((accepted.code.inviter, accepted.code.replier));
            contact.digits = Some(accepted.digits.to_string());
            contact.news = Some(now);
            contact.stage = Stage::Paired;
            self.delete_cargo(&mut batch, key, &Cargo::Invitation);
            for content in accepted.contents {
                self.take_content(&mut batch, key, content, None)?;
            }
            self.tell(&mut batch, key, &[accepted.answer], now)?;
        }
        self.put_contact(&mut batch, key)?;
        self.put_profile(&mut batch)?;
        Ok(self.commit(batch)?.map(|()| *id))
    }

    /// Ends an invitation that nobody answered in its seven days, once its *reply* mailbox was found empty after them. They count
    /// from when the home had its parcel.
    pub(crate) fn end_invitation(&mut self, mailbox: &MailboxId, lived: Moment) -> Result<(), Failure> {
        let over = self.contacts.iter().find_map(|(key, contact)| match &contact.stage {
            Stage::Invited { inviter, .. } if !self.is_open(*key, lived) => {
                let secret = &inviter.link.secret;
                (self.pairings.of(*key, secret).reply.mailbox() == *mailbox).then(|| (*key, secret.clone()))
            }
            _ => None,
        });
        let Some((key, secret)) = over else { return Ok(()) };
        reached!(InvitationEnded);
        let mut batch = Batch::new();
        self.delete_cargo(&mut batch, key, &Cargo::Invitation);
        if let Some(contact) = self.contacts.get_mut(&key) {
            contact.stage = Stage::Over;
            contact.retired = Some(secret);
        }
        self.put_contact(&mut batch, key)?;
        self.commit(batch)?;
        Ok(())
    }

    /// Returns whether the parcel of an invitation may still be fetched.
    fn is_open(&self, key: u32, lived: Moment) -> bool {
        let parcel = self.outgoing.values().find(|o| o.contact == key && o.cargo == Cargo::Invitation);
        parcel.is_some_and(|outgoing| {
            outgoing.stored.is_none_or(|(_, since)| lived.minutes_since(since) < outgoing.lifetime_minutes())
        })
    }

    /// Takes the code that the replier's screen shows: whoever stands there is the one whose reply counts.
    pub(crate) fn take_return(&mut self, key: u32, text: &str) -> Result<(), Failure> {
        let code = ReturnCode::parse(text).map_err(|_| Failure::BadLink)?;
        let Some(contact) = self.contacts.get_mut(&key) else { return Ok(()) };
        match (&mut contact.stage, contact.bundles) {
            (Stage::Invited { inviter, shown }, _) if inviter.bundle.hash() == code.inviter => {
                *shown = Some(code.replier);
            }
            (_, Some(bundles)) if bundles == (code.inviter, code.replier) => contact.confirmed = true,
            _ => return Err(Failure::WrongReturnCode),
        }
        self.save_contact(key)
    }

    /// Compares digits as somebody typed them, in any script and grouping.
    pub(crate) fn compare_digits(&mut self, key: u32, typed: &str) -> Result<String, Failure> {
        let Some(contact) = self.contacts.get_mut(&key) else { return Err(Failure::NoDigitsYet) };
        let digits = contact.digits.clone().ok_or(Failure::NoDigitsYet)?;
        let plain = |text: &str| text.chars().filter_map(digit_value).collect::<Vec<u32>>();
        if plain(typed) != plain(&digits) && !sabotaged!(DigitsNotCompared) {
            return Err(Failure::DigitsDiffer);
        }
        contact.confirmed = true;
        self.save_contact(key)?;
        Ok(digits)
    }

    fn free_name(&mut self, name: &str) -> Result<String, Failure> {
        let name = name.trim();
        let bad = name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control);
        if bad || self.contacts.len() >= CONTACTS_MAX {
            return Err(if bad { Failure::BadName } else { Failure::Busy });
        }
        let taken = self.contacts.iter().find(|(_, contact)| contact.name == name);
        match taken.map(|(key, contact)| (*key, matches!(contact.stage, Stage::Over) && contact.retired.is_none())) {
            None => {}
            // A link that nobody answered in time leaves its name free.
            Some((key, true)) => self.forget(key)?,
            Some((_, false)) => return Err(Failure::NameTaken { name: name.to_owned() }),
        }
        Ok(name.to_owned())
    }
}

impl Contact {
    /// Returns the secret of a pairing of which something is still to be asked of a relay.
    pub(super) fn pairing_secret(&self) -> Option<&Secret> {
        self.retired.as_ref().or(match &self.stage {
            Stage::Invited { inviter, .. } => Some(&inviter.link.secret),
            Stage::Fetching { link, .. } => Some(&link.secret),
            Stage::Replied { .. } | Stage::Paired | Stage::Over => None,
        })
    }

    pub(crate) fn new(name: String, stage: Stage, own: MailboxOwner) -> Self {
        Self {
            name,
            stage,
            retired: None,
            confirmed: false,
            receipts: Receipts::Later,
            seen: SeenPrecision::SixHours,
            own,
            registered: None,
            peer: None,
            digits: None,
            bundles: None,
            control: None,
            session: None,
            slot: None,
            granted: None,
            slot_told: None,
            news: None,
            owed: Vec::new(),
            due: None,
            notes_sent: 0,
            out_of_hands: None,
            told_out_of_hands: None,
        }
    }

    fn take_pair(&mut self, pair: Pair, lived: Moment) {
        let Pair { contact, mailbox, outer, olm } = pair;
        let facts = contact.facts();
        self.peer = Some(Peer { writer: facts.writer.clone(), homes: facts.homes.clone() });
        self.own = mailbox;
        self.registered = None;
        self.control = Some(Control {
            olm,
            outer,
            renewed: lived,
            next: 0,
            chain: None,
            chains: Vec::new(),
            expected: 0,
            held: 0,
            owes_acknowledgement: false,
            acknowledged: 0,
            pending: Vec::new(),
        });
    }

    /// Returns how far the pairing is, as a program sees it.
    pub(crate) const fn pairing(&self) -> Pairing {
        match (&self.stage, self.confirmed) {
            (Stage::Invited { .. }, _) => Pairing::Invited,
            (Stage::Fetching { .. } | Stage::Replied { .. }, _) => Pairing::Answered,
            (Stage::Paired, false) => Pairing::Unconfirmed,
            (Stage::Paired, true) => Pairing::Confirmed,
            (Stage::Over, _) => Pairing::Expired,
        }
    }
}

/// Says what a person can be told about a pairing that fails.
fn refusal(error: PairingError) -> Failure {
    match error {
        PairingError::Expired => Failure::LinkExpired,
        PairingError::Own => Failure::OwnLink,
        PairingError::Used => Failure::LinkUsed,
        PairingError::TooLong { .. } => internal(error),
        PairingError::Forged
        | PairingError::WrongBundle
        | PairingError::WrongNonce
        | PairingError::Decode(_)
        | PairingError::Bundle(_)
        | PairingError::Outer(_)
        | PairingError::Olm(_)
        | PairingError::Contents(_) => Failure::LinkForged,
    }
}

/// Returns the value of a decimal digit of the scripts people here type in.
fn digit_value(character: char) -> Option<u32> {
    let base = match character {
        '0'..='9' => '0',
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        _ => return None,
    };
    u32::from(character).checked_sub(u32::from(base))
}

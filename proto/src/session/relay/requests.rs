//! Frames of the control lane, and what the store answers to them.

use ring::hmac;

use crate::ids::{MailboxId, ParcelId, ReadTag, SlotId};
use crate::keys::{Purpose, Signature, VerifyingKey};
use crate::limits::PROOFS_PER_SESSION_MAX;
use crate::session::custody::{Registration, SlotState, StoreReply, StoreRequest};
use crate::session::relay::desk::Pending;
use crate::session::relay::{Admission, Counter, RelaySession};
use crate::time::Minute;
use crate::wire::{
    Code, Frame, LinkReport, LinkState, LinkStatus, Observation, Precision, Prove, Register, SEALED_WORD_BYTES, Scope,
    SeenAnswer, WordLive, WordPut,
};

impl RelaySession {
    pub(super) fn prove(&mut self, prove: &Prove) -> Result<(), Code> {
        if !self.exporter.is_some_and(|exporter| prove.holds(&exporter)) && !sabotaged!(ProofNotChecked) {
            return Err(Code::BAD_SIGNATURE);
        }
        let is_first = self.authority.prove((prove.scope, prove.id()));
        if self.authority.proven.len() > PROOFS_PER_SESSION_MAX {
            return Err(Code::TOO_MANY);
        }
        if is_first {
            self.tell_links();
        }
        Ok(())
    }

    pub(super) fn register(&mut self, register: Register) {
        let id = register.scope.id(&register.write_key, &register.read_tag);
        let request = register.request;
        let code = if !self.authority.proven.contains(&(register.scope, id)) {
            Code::NOT_HERE
        } else if !self.settings.admission.admits(&register.admission, &self.exporter.unwrap_or_default()) {
            Code::NOT_ADMITTED
        } else {
            let audience = register.bytes_max == u32::MAX;
            let registration = Registration {
                scope: register.scope,
                id,
                read_tag: register.read_tag,
                parcels_max: Some(register.parcels_max).filter(|max| *max > 0),
                bytes_max: Some(register.bytes_max).filter(|max| *max > 0 && !audience),
                audience,
                valid_hours: Some(register.valid_hours).filter(|hours| *hours > 0),
                precision: register.precision,
                homes: register.homes,
            };
            let mailbox = (register.scope == Scope::Mailbox).then_some(MailboxId(id));
            let pending = Pending::Register { request, mailbox };
            self.desk.store(StoreRequest::Register(registration), pending);
            return;
        };
        self.desk.metric(Counter::Registered(code));
        self.answer(request, code);
    }

    pub(super) fn release(&mut self, mailbox: MailboxId, ids: Vec<ParcelId>) {
        let is_proven = self.authority.may_read(Scope::Mailbox, mailbox.0) || sabotaged!(ReleasedByAnybody);
        if is_proven {
            self.downloads.released(mailbox, &ids);
        }
        // For a mailbox that is not proven: the path of one that is not here, and the same answer.
        let (asked, leaving) = if is_proven { (mailbox, ids.clone()) } else { (MailboxId::NOBODYS, Vec::new()) };
        self.desk.store(StoreRequest::Release { mailbox: asked, ids: leaving }, Pending::Release { mailbox, ids });
    }

    pub(super) fn withdraw(
        &mut self,
        request: u64,
        (write_key, read_tag): (VerifyingKey, ReadTag),
        parcel_key: VerifyingKey,
        signature: &Signature,
    ) -> Result<(), Code> {
        let (mailbox, id) = (MailboxId::of(&write_key, &read_tag), ParcelId::of(&parcel_key));
        if !parcel_key.verifies(Purpose::Withdraw, &[&mailbox.0, &id.0], signature) {
            return Err(Code::BAD_SIGNATURE);
        }
        let pending = Pending::Withdraw { request };
        self.desk.store(StoreRequest::Withdraw { mailbox, id }, pending);
        Ok(())
    }

    pub(super) fn word_put(&mut self, put: WordPut) -> Result<(), Code> {
        if !put.word.is_signed() {
            return Err(Code::BAD_SIGNATURE);
        }
        let is_passed_on = put.live_proof == Signature::NONE;
        let is_believed = self.exporter.is_none() && sabotaged!(SeenMovesEarly);
        if is_passed_on && !is_believed && !sabotaged!(SeenMovesWithoutOwner) {
            self.keep_word(put, None);
        } else if is_passed_on || self.exporter.is_some_and(|exporter| put.is_live(&exporter)) {
            let slot = put.word.slot();
            let pending = Pending::WordLookup { put: Box::new(put) };
            self.desk.store(StoreRequest::Seen { slot }, pending);
        } else {
            return Err(Code::BAD_SIGNATURE);
        }
        Ok(())
    }

    /// The store knows which slot a word is for that its owner brought.
    pub(super) fn word_looked_up(&mut self, put: WordPut, reply: StoreReply, wall: Minute) -> Result<(), Code> {
        let StoreReply::Slot(slot) = reply else {
            return self.refused(put.request, reply);
        };
        let observation = self.observe(&slot, (put.word.slot(), put.word.version), wall);
        self.keep_word(put, observation);
        Ok(())
    }

    /// The owner of a word that was put without a live proof shows one: its write key is that of the word that is held.
    pub(super) fn word_live(&mut self, live: WordLive) {
        let slot = live.slot;
        self.desk.store(StoreRequest::Seen { slot }, Pending::WordProof { live: Box::new(live) });
    }

    /// The store knows which word a live proof is for.
    pub(super) fn word_proven(&mut self, live: &WordLive, reply: StoreReply, wall: Minute) -> Result<(), Code> {
        let StoreReply::Slot(slot) = reply else {
            return self.refused(live.request, reply);
        };
        let Some(word) = slot.word.clone().filter(|_| slot.registered) else {
            self.answer(live.request, Code::NOT_HERE);
            return Ok(());
        };
        if !self.exporter.is_some_and(|exporter| live.is_live(&word.write_key, &exporter)) {
            return Err(Code::BAD_SIGNATURE);
        }
        if word.version < live.version {
            // The word itself is not here: it is to be put again.
            self.answer(live.request, Code::BUSY);
            return Ok(());
        }
        reached!(EarlyWordProven);
        let observation = self.observe(&slot, (live.slot, live.version), wall);
        let pending = Pending::Word { request: live.request, live: true };
        self.desk.store(StoreRequest::PutWord { word, observation }, pending);
        Ok(())
    }

    /// Says that the owner of a slot is there with this version of its word. Whether it is the first time, and so moves the bucket
    /// (P7.5), is the store's to see: it knows of which version it was said before.
    fn observe(&self, slot: &SlotState, (id, version): (SlotId, u64), wall: Minute) -> Option<Observation> {
        let is_older = slot.word.as_ref().is_some_and(|held| version < held.version);
        let relay_key = &self.settings.relay_key;
        (slot.registered && !is_older).then(|| Observation::sign(relay_key, &id, version, wall, slot.precision))
    }

    fn keep_word(&mut self, put: WordPut, observation: Option<Observation>) {
        let pending = Pending::Word { request: put.request, live: put.live_proof != Signature::NONE };
        let word = put.word;
        self.desk.store(StoreRequest::PutWord { word, observation }, pending);
    }

    pub(super) fn seen_get(&mut self, request: u64, slot: SlotId) {
        let proven = self.authority.may_read(Scope::Slot, slot.0);
        self.desk.metric(Counter::SeenAsked);
        let pending = Pending::Seen { request, proven };
        let asked = if proven { slot } else { SlotId::NOBODYS };
        self.desk.store(StoreRequest::Seen { slot: asked }, pending);
    }

    pub(super) fn seen_answered(&mut self, request: u64, proven: bool, reply: StoreReply) -> Result<(), Code> {
        let slot = match reply {
            StoreReply::Slot(slot) => slot,
            StoreReply::Refused(_) => {
                SlotState { registered: false, precision: Precision::Off, word: None, observation: Observation::NONE }
            }
            _ => return Err(Code::INTERNAL),
        };
        let known = &self.settings.links;
        let links = LinkReport { links: if proven { known.clone() } else { vec![NOTHING; known.len()] } };
        let word = slot.word.filter(|_| proven && slot.registered);
        let answer = SeenAnswer {
            request,
            version: word.as_ref().map_or(0, |word| word.version),
            sealed: word.as_ref().map_or([0; SEALED_WORD_BYTES], |word| word.sealed),
            signature: word.as_ref().map_or(Signature::NONE, |word| word.signature),
            observation: match &word {
                Some(word) if sabotaged!(SeenMovesOnRead) => {
                    let relay_key = &self.settings.relay_key;
                    Observation::sign(relay_key, &word.slot(), word.version, self.wall, slot.precision)
                }
                Some(_) => slot.observation.told(),
                None => Observation::NONE,
            },
            links,
        };
        self.desk.port.control(&Frame::SeenAnswer(answer));
        Ok(())
    }

    pub(super) fn drop_request(&mut self, request: u64, scope: Scope, id: [u8; 16]) {
        if self.authority.proven.contains(&(scope, id)) {
            if scope == Scope::Mailbox {
                self.downloads.dropped(&mut self.desk, MailboxId(id));
            }
            self.desk.store(StoreRequest::Drop { scope, id }, Pending::Drop { request });
        } else {
            self.desk.store(StoreRequest::List { mailbox: MailboxId::NOBODYS }, Pending::DropUnproven { request });
        }
    }

    /// Answers a request that the store has carried out, or has refused.
    pub(super) fn done(&mut self, request: u64, reply: StoreReply) -> Result<Code, Code> {
        match reply {
            StoreReply::Done(_) => {
                self.answer(request, Code::OK);
                Ok(Code::OK)
            }
            StoreReply::Refused(code) => {
                self.answer(request, code);
                Ok(code)
            }
            _ => Err(Code::INTERNAL),
        }
    }

    fn refused(&mut self, request: u64, reply: StoreReply) -> Result<(), Code> {
        let StoreReply::Refused(code) = reply else {
            return Err(Code::INTERNAL);
        };
        self.answer(request, code);
        Ok(())
    }

    pub(super) fn answer(&mut self, request: u64, code: Code) {
        self.desk.port.control(&Frame::Answer { request, code });
    }
}

impl Admission {
    /// Compares in constant time, under a key that differs for each session.
    fn admits(&self, shown: &str, exporter: &[u8; 32]) -> bool {
        match self {
            Self::Open => true,
            Self::Code(code) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, exporter);
                let expected = hmac::sign(&key, code.as_bytes());
                hmac::verify(&key, shown.as_bytes(), expected.as_ref()).is_ok()
            }
        }
    }
}

/// A link of a report that says nothing, and is as long as one that does (P8.15).
const NOTHING: LinkStatus =
    LinkStatus { link: 0, state: LinkState::Unknown, since: Minute(0).hour(), checked: Minute(0) };

//! Requests on the control lane, and their answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::{MailboxId, ParcelId, ReadTag, SlotId};
use crate::keys::{Purpose, SigningKey, VerifyingKey};
use crate::limits::{IDS_PER_FRAME_MAX, REQUESTS_WAITING_MAX};
use crate::session::client::{Asked, ClientEvent, Registering, Room};
use crate::session::lanes::Port;
use crate::wire::{Code, Frame, Observation, Prove, Register, Scope, SeenAnswer, Word, WordLive, WordPut};

/// What was asked and not answered.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: BTreeMap<u64, Asked>,
    /// Words put before the handshake was over. What counts is the answer to their proofs.
    early_words: BTreeSet<u64>,
    releases: VecDeque<(MailboxId, Vec<ParcelId>)>,
    next: u64,
    /// Keys of the slots that this session asks about, to check words with.
    slots: BTreeMap<SlotId, (VerifyingKey, ReadTag)>,
}

impl Requests {
    /// Proves a key; returns the mailbox or slot.
    pub(super) fn prove(
        &mut self,
        port: &mut Port<ClientEvent>,
        exporter: &[u8; 32],
        (scope, write_key): (Scope, VerifyingKey),
        read_key: &SigningKey,
    ) -> [u8; 16] {
        let prove = Prove::sign(scope, write_key, read_key, exporter);
        let id = prove.id();
        port.control(&Frame::Prove(prove));
        id
    }

    /// Learns the keys with which the words of a slot are checked.
    pub(super) fn know_slot(&mut self, write_key: VerifyingKey, read_key: &SigningKey) {
        let read_tag = ReadTag::of(&read_key.public());
        self.slots.insert(SlotId::of(&write_key, &read_tag), (write_key, read_tag));
    }

    pub(super) fn register(&mut self, port: &mut Port<ClientEvent>, registering: Registering) {
        let id = registering.scope.id(&registering.write_key, &registering.read_tag);
        let scope = registering.scope;
        self.ask(port, Asked::Register { scope, id }, |request| {
            Frame::Register(Register {
                request,
                scope,
                write_key: registering.write_key,
                read_tag: registering.read_tag,
                parcels_max: registering.parcels_max.unwrap_or(0),
                bytes_max: match registering.room {
                    Room::Usual => 0,
                    // The greatest number stands for an audience (P8.17).
                    Room::Bytes(bytes) => bytes.clamp(1, u32::MAX - 1),
                    Room::Audience => u32::MAX,
                },
                valid_hours: registering.valid_hours.unwrap_or(0),
                precision: registering.precision,
                homes: registering.homes,
                admission: registering.admission,
            })
        });
    }

    pub(super) fn release(&mut self, port: &mut Port<ClientEvent>, mailbox: MailboxId, ids: &[ParcelId]) {
        for ids in ids.chunks(IDS_PER_FRAME_MAX) {
            if self.is_full() {
                let asked = Asked::Release { mailbox };
                port.event(ClientEvent::Answered { asked, code: Code::BUSY });
                return;
            }
            let ids = ids.to_vec();
            self.releases.push_back((mailbox, ids.clone()));
            port.control(&Frame::Release { mailbox, ids });
        }
    }

    /// Returns the parcel's id.
    pub(super) fn withdraw(
        &mut self,
        port: &mut Port<ClientEvent>,
        (write_key, read_tag): (VerifyingKey, ReadTag),
        parcel_key: &SigningKey,
    ) -> ParcelId {
        let (mailbox, id) = (MailboxId::of(&write_key, &read_tag), ParcelId::of(&parcel_key.public()));
        let signature = parcel_key.sign(Purpose::Withdraw, &[&mailbox.0, &id.0]);
        self.ask(port, Asked::Withdraw { id }, |request| Frame::Withdraw {
            request,
            write_key,
            read_tag,
            parcel_key: parcel_key.public(),
            signature,
        });
        id
    }

    pub(super) fn put_word(
        &mut self,
        port: &mut Port<ClientEvent>,
        exporter: &[u8; 32],
        word: Word,
        write_key: Option<&SigningKey>,
    ) {
        let asked = Asked::Word { slot: word.slot(), version: word.version };
        self.ask(port, asked, |request| {
            Frame::WordPut(match write_key {
                Some(write_key) => WordPut::live(request, word, write_key, exporter),
                None => WordPut::passed_on(request, word),
            })
        });
    }

    /// Puts a word of one's own before the handshake is over, as if it was passed on. Returns whether it has left; then
    /// [`Requests::prove_word`] is to follow, whose answer is what is told.
    pub(super) fn put_word_early(&mut self, port: &mut Port<ClientEvent>, word: Word) -> bool {
        if self.is_full() {
            let asked = Asked::Word { slot: word.slot(), version: word.version };
            port.event(ClientEvent::Answered { asked, code: Code::BUSY });
            return false;
        }
        let request = self.number();
        self.early_words.insert(request);
        port.control(&Frame::WordPut(WordPut::passed_on(request, word)));
        true
    }

    /// Shows that the owner of a word is there that was put early.
    pub(super) fn prove_word(
        &mut self,
        port: &mut Port<ClientEvent>,
        exporter: &[u8; 32],
        (slot, version): (SlotId, u64),
        write_key: &SigningKey,
    ) {
        self.ask(port, Asked::Word { slot, version }, |request| {
            Frame::WordLive(WordLive::sign(request, (slot, version), write_key, exporter))
        });
    }

    /// Nothing that was put early has come anywhere.
    pub(super) fn forget_early_words(&mut self) {
        self.early_words.clear();
    }

    pub(super) fn get_seen(&mut self, port: &mut Port<ClientEvent>, slot: SlotId) {
        self.ask(port, Asked::Seen { slot }, |request| Frame::SeenGet { request, slot });
    }

    pub(super) fn drop_request(&mut self, port: &mut Port<ClientEvent>, scope: Scope, id: [u8; 16]) {
        self.ask(port, Asked::Drop { scope, id }, |request| Frame::Drop { request, scope, id });
    }

    /// Takes an `Answer`; returns what it is for, `None` if that is answered otherwise.
    pub(super) fn answered(&mut self, request: u64) -> Result<Option<Asked>, Code> {
        if self.early_words.remove(&request) {
            return Ok(None);
        }
        match self.waiting.remove(&request) {
            Some(Asked::Seen { .. }) | None => Err(Code::BAD_ID),
            Some(asked) => Ok(Some(asked)),
        }
    }

    /// Takes a `Released`, which repeats a `Release`.
    pub(super) fn released(&mut self, mailbox: MailboxId, ids: &[ParcelId]) -> Result<(), Code> {
        let place = self.releases.iter().position(|(of, asked)| *of == mailbox && asked == ids);
        place.and_then(|place| self.releases.remove(place)).map(drop).ok_or(Code::BAD_ID)
    }

    /// Takes a `SeenAnswer` and checks its word.
    pub(super) fn seen(&mut self, answer: SeenAnswer) -> Result<ClientEvent, Code> {
        let Some(Asked::Seen { slot }) = self.waiting.remove(&answer.request) else {
            return Err(Code::BAD_ID);
        };
        let word = if answer.version == 0 {
            None
        } else {
            // A word of a slot that was not proven, or one that its owner did not sign, is nobody's.
            let (write_key, read_tag) = *self.slots.get(&slot).ok_or(Code::BAD_SIGNATURE)?;
            let word = Word {
                write_key,
                read_tag,
                version: answer.version,
                sealed: answer.sealed,
                signature: answer.signature,
            };
            if !word.is_signed() {
                return Err(Code::BAD_SIGNATURE);
            }
            Some(Box::new(word))
        };
        let has_observation = word.is_some() && answer.observation != Observation::NONE;
        Ok(ClientEvent::Seen {
            slot,
            word,
            observation: has_observation.then(|| Box::new(answer.observation)),
            links: answer.links,
        })
    }

    /// Returns whether everything was answered.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.early_words.is_empty() && self.releases.is_empty()
    }

    fn is_full(&self) -> bool {
        self.waiting.len() + self.early_words.len() + self.releases.len() >= REQUESTS_WAITING_MAX
    }

    fn number(&mut self) -> u64 {
        let request = self.next;
        self.next += 1;
        request
    }

    fn ask(&mut self, port: &mut Port<ClientEvent>, asked: Asked, frame: impl FnOnce(u64) -> Frame) {
        if self.is_full() {
            port.event(ClientEvent::Answered { asked, code: Code::BUSY });
            return;
        }
        let request = self.number();
        self.waiting.insert(request, asked);
        port.control(&frame(request));
    }
}

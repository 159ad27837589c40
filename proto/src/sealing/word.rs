//! Last words (P7): sealed for the readers of one slot, in a register their owner overwrites.

use core::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{ReadTag, SlotId, first, sha256};
use crate::keys::{Secret, SigningKey};
use crate::limits::WORD_TEXT_BYTES_MAX;
use crate::random::{self, Random};
use crate::sealing::contents::{SlotGrant, WordHead};
use crate::sealing::homes::Homes;
use crate::sealing::{aead, hkdf};
use crate::time::Minute;
use crate::wire::{Precision, SEALED_WORD_BYTES, Word};

const SALT_BYTES: usize = 16;
/// Bytes of a word before it is sealed (P7.3).
const TEXT_BYTES: usize = SEALED_WORD_BYTES - SALT_BYTES - aead::TAG_BYTES;
const CHAIN_BYTES: usize = 16;

/// Why a word is not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// The text is too long: the caller's fault.
    #[error("a word of {got} bytes, at most {expected}")]
    TooLong {
        /// Its length.
        got: usize,
        /// The limit.
        expected: usize,
    },
    /// The signature is not by the slot's owner.
    #[error("the word is not signed by its slot's owner")]
    Signature,
    /// The word is for another slot than the grant.
    #[error("the word is for another slot")]
    OtherSlot,
    /// It was sealed with another key, or changed.
    #[error("the word does not open")]
    Forged,
    /// It opens and cannot be read: its owner's fault.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// What somebody says of themselves (P7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WordState {
    /// Nothing, or a state of a later version.
    None,
    /// "I am well."
    Well,
    /// "We are moving."
    Moving,
    /// "We have arrived."
    Arrived,
    /// "I cannot speak now."
    CannotSpeak,
}

/// What a last word says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWord {
    /// How they are.
    pub state: WordState,
    /// When they wrote it, by their clock, if they tell.
    pub minute: Option<Minute>,
    /// A place agreed among the readers, if they tell.
    pub place: Option<NonZeroU16>,
    /// Their own words, at most 144 bytes.
    pub text: String,
}

/// A last word that was opened.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedWord {
    /// Its version.
    pub version: u64,
    /// What it says.
    pub word: LastWord,
    /// [`chain_hash`] of the word before it, zeros in the first.
    pub previous: [u8; CHAIN_BYTES],
}

/// A slot as its owner keeps it: one per contact, and a new one instead of a revoked one.
#[derive(Clone, Serialize, Deserialize)]
pub struct SlotOwner {
    /// Signs words.
    pub write_key: SigningKey,
    /// Reads; also handed to the contact.
    pub read_key: SigningKey,
    /// Seals words; also handed to the contact.
    pub word_key: Secret,
}

/// How a word that a relay shows relates to the one held already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Newer. Keep it.
    Newer,
    /// The same.
    Same,
    /// "This relay shows an older word": it has not got the newer one yet, or hides it.
    Older,
    /// Another word of the same version: the owner's key is in two hands, or the owner's device was restored.
    Forked,
}

redacted!(LastWord, OpenedWord, SlotOwner);

impl SlotOwner {
    /// Draws a fresh slot.
    pub fn draw(random: &mut (impl Random + ?Sized)) -> Self {
        Self { write_key: SigningKey::draw(random), read_key: SigningKey::draw(random), word_key: Secret::draw(random) }
    }

    /// Returns the slot.
    pub fn slot(&self) -> SlotId {
        SlotId::of(&self.write_key.public(), &self.read_tag())
    }

    /// Returns the read tag.
    pub fn read_tag(&self) -> ReadTag {
        ReadTag::of(&self.read_key.public())
    }

    /// Returns what to hand to the contact.
    pub fn grant(&self, precision: Precision, homes: Homes) -> SlotGrant {
        SlotGrant {
            write_key: self.write_key.public(),
            read_key: self.read_key.clone(),
            word_key: self.word_key.clone(),
            precision,
            homes,
        }
    }

    /// Seals and signs a word of `version`, which is higher than any before it; `previous` is the last one, `None` for
    /// the first.
    ///
    /// # Errors
    /// [`WordError::TooLong`].
    pub fn seal(
        &self,
        random: &mut (impl Random + ?Sized),
        version: u64,
        previous: Option<&Word>,
        word: &LastWord,
    ) -> Result<Word, WordError> {
        let got = word.text.len();
        if got > WORD_TEXT_BYTES_MAX {
            let expected = WORD_TEXT_BYTES_MAX;
            return Err(WordError::TooLong { got, expected });
        }
        let previous = previous.map_or([0; CHAIN_BYTES], chain_hash);
        let mut text = word.encode(&previous);
        let salt = random::bytes::<SALT_BYTES>(random);
        let key = hkdf::key(&salt, &self.word_key.0, b"zajil/1 word");
        aead::seal(&key, aead::ONCE, &associated(&self.slot(), version), &mut text);
        let mut sealed = [0; SEALED_WORD_BYTES];
        let (front, back) = sealed.split_at_mut(SALT_BYTES);
        front.copy_from_slice(&salt);
        back.copy_from_slice(&text);
        Ok(Word::sign(&self.write_key, self.read_tag(), version, sealed))
    }
}

impl SlotGrant {
    /// Returns the slot.
    pub fn slot(&self) -> SlotId {
        SlotId::of(&self.write_key, &self.read_tag())
    }

    /// Returns the read tag.
    pub fn read_tag(&self) -> ReadTag {
        ReadTag::of(&self.read_key.public())
    }

    /// Checks and opens a word of this slot.
    ///
    /// # Errors
    /// [`WordError`].
    pub fn open(&self, word: &Word) -> Result<OpenedWord, WordError> {
        let slot = self.slot();
        if word.slot() != slot {
            return Err(WordError::OtherSlot);
        }
        if !word.is_signed() {
            return Err(WordError::Signature);
        }
        let (salt, sealed) = word.sealed.split_at(SALT_BYTES);
        let key = hkdf::key(salt, &self.word_key.0, b"zajil/1 word");
        let text = aead::open(&key, aead::ONCE, &associated(&slot, word.version), sealed).ok_or(WordError::Forged)?;
        let (opened, previous) = LastWord::decode(&text)?;
        Ok(OpenedWord { version: word.version, word: opened, previous })
    }
}

impl OpenedWord {
    /// Returns whether this word names `held` as the one before it. A gap in versions is no fault: words in between
    /// were not seen.
    pub fn follows(&self, held: &Word) -> bool {
        self.previous == chain_hash(held)
    }
}

impl LastWord {
    fn encode(&self, previous: &[u8; CHAIN_BYTES]) -> Vec<u8> {
        let state = match self.state {
            WordState::None => 0,
            WordState::Well => 1,
            WordState::Moving => 2,
            WordState::Arrived => 3,
            WordState::CannotSpeak => 4,
        };
        let mut writer = Writer::new();
        writer.u8(state).u32(self.minute.map_or(0, |minute| minute.0));
        writer.bytes(previous).u16(self.place.map_or(0, NonZeroU16::get));
        writer.text8(&self.text);
        let mut out = writer.into_bytes();
        out.resize(TEXT_BYTES, 0);
        out
    }

    fn decode(text: &[u8]) -> Result<(Self, [u8; CHAIN_BYTES]), DecodeError> {
        let mut reader = Reader::new(text);
        let state = match reader.u8()? {
            1 => WordState::Well,
            2 => WordState::Moving,
            3 => WordState::Arrived,
            4 => WordState::CannotSpeak,
            _ => WordState::None,
        };
        let minute = Some(Minute(reader.u32()?)).filter(|minute| minute.0 != 0);
        let previous = reader.array()?;
        let place = NonZeroU16::new(reader.u16()?);
        let text = reader.text8("word", WORD_TEXT_BYTES_MAX)?.to_owned();
        let word = Self { state, minute, place, text };
        Ok((word, previous))
    }
}

fn associated(slot: &SlotId, version: u64) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.bytes(&slot.0).u64(version);
    writer.into_bytes()
}

/// Computes what the next word names as its previous (P7.3).
pub fn chain_hash(word: &Word) -> [u8; CHAIN_BYTES] {
    first(&sha256(&[&word.version.to_be_bytes(), &word.sealed]))
}

/// Returns what to tell other readers of a slot about the newest word held (P5.1, kind 16).
pub fn word_head(word: &Word) -> WordHead {
    let mut hash = [0; 8];
    hash.copy_from_slice(chain_hash(word).split_at(8).0);
    WordHead { slot: word.slot(), version: word.version, hash }
}

/// Compares a word that a relay shows with the one held. Both have been opened before.
pub fn compare(held: &Word, shown: &Word) -> Freshness {
    match shown.version.cmp(&held.version) {
        core::cmp::Ordering::Greater => Freshness::Newer,
        core::cmp::Ordering::Less => Freshness::Older,
        core::cmp::Ordering::Equal if shown.sealed == held.sealed => Freshness::Same,
        core::cmp::Ordering::Equal => Freshness::Forked,
    }
}

//! Sessions of independent note keys (P4.9), and the opening of notes.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::ids::{MailboxId, NoteTag};
use crate::keys::{Secret, SigningKey, VerifyingKey};
use crate::limits::{SESSION_HOURS_MAX, SESSION_NOTES_MAX, TOMBSTONE_EXTRA_HOURS};
use crate::parcel::Header;
use crate::random::Random;
use crate::sealing::chunks::{ChunkError, ChunkOpener};
use crate::sealing::content::{ContentError, ContentReader, HeadCheck, Part};
use crate::sealing::contents::SessionGrant;
use crate::sealing::hkdf;
use crate::sealing::padding::PREFIX_BYTES;
use crate::sealing::provider::Provider;
use crate::time::{Lifetime, Minute};

/// One tag and one key of a session: they seal one note. There is no way to copy a pair.
#[derive(Serialize, Deserialize)]
pub struct NotePair {
    /// Place in the session, 0 to 31.
    pub number: u8,
    /// What the note's body begins with.
    pub tag: NoteTag,
    /// The note key.
    pub key: Secret,
}

/// A session as its sender keeps it: the pairs not used yet, and the key that signs heads.
#[derive(Serialize, Deserialize)]
pub struct NoteSession {
    signer: SigningKey,
    mailbox: MailboxId,
    first_minute: Minute,
    longest_lifetime: u16,
    pairs: VecDeque<NotePair>,
}

/// A session as its receiver keeps it: the pairs whose notes have not been opened yet.
#[derive(Serialize, Deserialize)]
pub struct ReceivedSession {
    /// Checks heads.
    pub verify_key: VerifyingKey,
    /// Where its notes are put.
    pub mailbox: MailboxId,
    /// When it began, by the sender's clock.
    pub first_minute: Minute,
    longest_lifetime: u16,
    pairs: BTreeMap<NoteTag, NotePair>,
}

redacted!(NotePair, NoteSession, ReceivedSession, NoteOpener);

/// Expands a seed into its pairs (P4.9).
fn expand(seed: &Secret, notes: u8) -> impl Iterator<Item = NotePair> {
    let seed = seed.clone();
    (0..notes.min(SESSION_NOTES_MAX)).map(move |number| {
        let out = hkdf::derive::<40>(b"zajil/1 session", &seed.0, &[number]);
        let (mut tag, mut key) = ([0; 8], [0; 32]);
        let (front, back) = out.split_at(8);
        tag.copy_from_slice(front);
        key.copy_from_slice(back);
        NotePair { number, tag: NoteTag(tag), key: Secret(key) }
    })
}

impl NoteSession {
    /// Draws a session for notes into `mailbox`, none of which will live longer than `longest`. The seed is only in the
    /// grant, which goes to every device of the audience in a control frame; this side keeps the pairs.
    pub fn draw(
        random: &mut (impl Random + ?Sized),
        mailbox: MailboxId,
        now: Minute,
        longest: Lifetime,
    ) -> (Self, SessionGrant) {
        let seed = Secret::draw(random);
        let signer = SigningKey::draw(random);
        let session = Self {
            mailbox,
            first_minute: now,
            longest_lifetime: longest.hours(),
            pairs: expand(&seed, SESSION_NOTES_MAX).collect(),
            signer,
        };
        let grant = SessionGrant {
            seed,
            verify_key: session.signer.public(),
            mailbox,
            first_minute: now,
            longest_lifetime: longest,
            notes: SESSION_NOTES_MAX,
        };
        (session, grant)
    }

    /// Takes the next pair out. The session must be durable without it before a note is sealed with it.
    pub fn take(&mut self) -> Option<NotePair> {
        if sabotaged!(NoteKeyReused) {
            let again = |pair: &NotePair| NotePair { number: pair.number, tag: pair.tag, key: pair.key.clone() };
            return self.pairs.front().map(again);
        }
        self.pairs.pop_front()
    }

    /// Returns how many notes it can still seal.
    pub fn remaining(&self) -> usize {
        self.pairs.len()
    }

    /// Returns whether a new session is due: all pairs are used, or 7 days have passed since the first.
    pub fn is_over(&self, now: Minute) -> bool {
        self.pairs.is_empty() || now.0.saturating_sub(self.first_minute.0) >= SESSION_HOURS_MAX * 60
    }

    /// Returns the key that signs heads.
    pub const fn signer(&self) -> &SigningKey {
        &self.signer
    }

    /// Returns where its notes go.
    pub const fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// Returns whether a note of this lifetime may be sealed in it: receivers keep keys for the longest that was
    /// announced.
    pub const fn allows(&self, lifetime: Lifetime) -> bool {
        lifetime.hours() <= self.longest_lifetime
    }
}

impl ReceivedSession {
    /// Expands a grant and lets its seed go.
    pub fn from_grant(grant: &SessionGrant) -> Self {
        Self {
            verify_key: grant.verify_key,
            mailbox: grant.mailbox,
            first_minute: grant.first_minute,
            longest_lifetime: grant.longest_lifetime.hours(),
            pairs: expand(&grant.seed, grant.notes).map(|pair| (pair.tag, pair)).collect(),
        }
    }

    /// Returns the pair of a tag, `None` if it is not of this session or its note has been opened.
    pub fn find(&self, tag: &NoteTag) -> Option<&NotePair> {
        self.pairs.get(tag)
    }

    /// Erases a pair, once its note is durably opened. Returns whether it was there.
    pub fn erase(&mut self, tag: &NoteTag) -> bool {
        self.pairs.remove(tag).is_some()
    }

    /// Returns the tags of notes not opened yet, in no particular order.
    pub fn tags(&self) -> impl Iterator<Item = NoteTag> {
        self.pairs.keys().copied()
    }

    /// Returns how many minutes after it came a session's unused pairs may be erased, if the mailbox has been drained after
    /// that: the session's own length, its longest lifetime, and 15 days. Count them by a clock that cannot jump.
    pub const fn needed_minutes(&self) -> u32 {
        let hours = SESSION_HOURS_MAX + self.longest_lifetime as u32 + TOMBSTONE_EXTRA_HOURS;
        hours * 60
    }
}

/// Why a note is not opened, or no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The body begins with another tag than this pair's.
    #[error("the body belongs to another key")]
    Tag,
    /// A chunk, or the commitment before them, does not fit.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// What was opened is not understood.
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// Returns the tag a note's body begins with, once it is there.
pub fn body_tag(body: &[u8]) -> Option<NoteTag> {
    body.first_chunk().map(|tag| NoteTag(*tag))
}

/// Opens one note's body as it arrives. Everything it returns is authentic.
pub struct NoteOpener {
    sealing: Provider,
    header: Header,
    tag: NoteTag,
    key: Secret,
    prefix: Vec<u8>,
    received: usize,
    chunks: Option<ChunkOpener>,
    reader: ContentReader,
    failed: Option<OpenError>,
}

impl NoteOpener {
    /// Starts opening the body of the parcel with `header`, whose tag found `pair` in a session with `verify_key`.
    pub fn new(sealing: Provider, header: &Header, pair: &NotePair, verify_key: VerifyingKey) -> Self {
        let check = HeadCheck { session: verify_key, parcel: header.id(), mailbox: header.mailbox() };
        Self {
            sealing,
            header: header.clone(),
            tag: pair.tag,
            key: pair.key.clone(),
            prefix: Vec::new(),
            received: 0,
            chunks: None,
            reader: ContentReader::new(check),
            failed: None,
        }
    }

    /// Takes the next bytes of the body, from its start on. `closed` says that the body is known to end with them, by
    /// its last mark; if the header gives a length, that length says it too. Then read with [`NoteOpener::next_part`],
    /// also after an error: what came before it is authentic.
    ///
    /// # Errors
    /// [`OpenError`]; the same one again after the first.
    pub fn push(&mut self, body: &[u8], closed: bool) -> Result<(), OpenError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.take(body, closed);
        self.failed = result.err();
        result
    }

    /// Returns the next part of the note, `None` until more of the body is there.
    ///
    /// # Errors
    /// [`ContentError`] if what was opened is not understood.
    pub fn next_part(&mut self) -> Result<Option<Part>, ContentError> {
        self.reader.next_part()
    }

    /// Returns whether the last chunk has been opened: nothing more will come.
    pub fn is_ended(&self) -> bool {
        self.chunks.as_ref().is_some_and(ChunkOpener::is_ended)
    }

    /// Returns whether the tail or the text has been read. A live note whose sender broke off may end without a tail.
    pub fn is_whole(&self) -> bool {
        self.reader.is_whole()
    }

    fn take(&mut self, body: &[u8], closed: bool) -> Result<(), OpenError> {
        self.received = self.received.saturating_add(body.len());
        let known = self.header.sealed_length().is_some_and(|length| usize::try_from(length) == Ok(self.received));
        let closed = closed || known;
        let missing = PREFIX_BYTES.saturating_sub(self.prefix.len()).min(body.len());
        let (prefix, rest) = body.split_at(missing);
        self.prefix.extend_from_slice(prefix);
        let Some(chunks) = self.open_prefix()? else {
            return if closed { Err(ChunkError::Truncated { chunks: 0 }.into()) } else { Ok(()) };
        };
        let mut content = Vec::new();
        let result = chunks.push(rest, closed, &mut content);
        self.reader.push(&content);
        Ok(result?)
    }

    /// Checks tag and commitment as soon as both are there.
    fn open_prefix(&mut self) -> Result<Option<&mut ChunkOpener>, OpenError> {
        if self.chunks.is_none() {
            let Some((tag, commitment)) = self.prefix.split_first_chunk::<8>() else {
                return Ok(None);
            };
            if *tag != self.tag.0 {
                return Err(OpenError::Tag);
            }
            let Ok(commitment) = <[u8; 32]>::try_from(commitment) else {
                return Ok(None);
            };
            let opener = ChunkOpener::new(self.sealing, &self.key, &self.header.id(), &commitment)?;
            self.chunks = Some(opener);
        }
        Ok(self.chunks.as_mut())
    }
}

//! The chunks of a note's body (P4.1 to P4.3): STREAM with ChaCha20-Poly1305, and a commitment to the key before them.

use serde::{Deserialize, Serialize};

use crate::ids::ParcelId;
use crate::keys::Secret;
use crate::limits::{CHUNK_BYTES, CHUNK_CONTENT_BYTES};
use crate::sealing::provider::Provider;

/// Why chunks are not opened. The fault is the writer's, or somebody's on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The commitment is not to this key: the body was sealed with another, or was made to open under two (P4.2).
    #[error("the body does not commit to this note key")]
    Commitment,
    /// A chunk does not open at its place.
    #[error("chunk {index} does not open at its place")]
    Chunk {
        /// Which one, from 0.
        index: u64,
    },
    /// The body ends without its last chunk.
    #[error("the body ends after {chunks} chunks, none of them the last")]
    Truncated {
        /// Chunks there were.
        chunks: u64,
    },
    /// Something follows the last chunk.
    #[error("the body goes on after its last chunk")]
    AfterLast,
}

fn nonce(index: u64, last: bool) -> [u8; 12] {
    let mut nonce = [0; 12];
    let (_, rest) = nonce.split_at_mut(3);
    let (place, flag) = rest.split_at_mut(8);
    place.copy_from_slice(&index.to_be_bytes());
    flag.copy_from_slice(&[u8::from(last)]);
    nonce
}

/// Seals content as it grows. What it has returned is never sealed again.
pub struct ChunkSealer {
    sealing: Provider,
    state: ChunkSealerState,
}

/// What a [`ChunkSealer`] must remember to go on after a restart.
#[derive(Clone, Serialize, Deserialize)]
pub struct ChunkSealerState {
    key: Secret,
    commitment: [u8; 32],
    index: u64,
    /// Content not sealed yet: at most one chunk's, because only what is followed by more is known not to be last.
    waiting: Vec<u8>,
}

redacted!(ChunkSealer, ChunkSealerState);

impl ChunkSealer {
    /// Starts the chunks of one parcel.
    pub fn new(sealing: Provider, note_key: &Secret, parcel: &ParcelId) -> Self {
        let (key, commitment) = sealing.commit(parcel, note_key);
        let state = ChunkSealerState { key, commitment, index: 0, waiting: Vec::new() };
        Self { sealing, state }
    }

    /// Goes on from a state that was kept together with every chunk returned before it.
    pub const fn resume(sealing: Provider, state: ChunkSealerState) -> Self {
        Self { sealing, state }
    }

    /// Returns the state to keep.
    pub const fn state(&self) -> &ChunkSealerState {
        &self.state
    }

    /// Returns the commitment that stands before the chunks.
    pub const fn commitment(&self) -> &[u8; 32] {
        &self.state.commitment
    }

    /// Takes content and returns the full chunks that it completes, none or several.
    pub fn push(&mut self, content: &[u8]) -> Vec<u8> {
        self.state.waiting.extend_from_slice(content);
        let mut sealed = Vec::new();
        let waiting = core::mem::take(&mut self.state.waiting);
        let mut rest = waiting.as_slice();
        while rest.len() > CHUNK_CONTENT_BYTES {
            let (chunk, after) = rest.split_at(CHUNK_CONTENT_BYTES);
            sealed.extend_from_slice(&self.seal(chunk, false));
            rest = after;
        }
        self.state.waiting = rest.to_vec();
        sealed
    }

    /// Returns bytes of content that are taken but not sealed yet: 0 before the first content, then 1 to 1 008.
    pub fn waiting(&self) -> usize {
        self.state.waiting.len()
    }

    /// Seals the rest as the last chunk. Without any content there is none, and such a body cannot be opened.
    pub fn finish(mut self) -> Vec<u8> {
        let waiting = core::mem::take(&mut self.state.waiting);
        if waiting.is_empty() {
            return Vec::new();
        }
        self.seal(&waiting, true)
    }

    fn seal(&mut self, content: &[u8], last: bool) -> Vec<u8> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        chunk.extend_from_slice(content);
        self.sealing.seal(&self.state.key, nonce(self.state.index, last), &mut chunk);
        self.state.index = self.state.index.saturating_add(1);
        chunk
    }
}

/// Opens chunks as they arrive; every prefix gives the content it seals.
pub struct ChunkOpener {
    sealing: Provider,
    key: Secret,
    index: u64,
    held: Vec<u8>,
    ended: bool,
}

redacted!(ChunkOpener);

impl ChunkOpener {
    /// Starts opening the chunks of one parcel.
    ///
    /// # Errors
    /// [`ChunkError::Commitment`] if the body does not commit to this key: nothing of it is opened then.
    pub fn new(
        sealing: Provider,
        note_key: &Secret,
        parcel: &ParcelId,
        commitment: &[u8; 32],
    ) -> Result<Self, ChunkError> {
        let (key, expected) = sealing.commit(parcel, note_key);
        // Both sides are public to whoever sees the body: no secret decides how long this takes.
        if expected != *commitment {
            return Err(ChunkError::Commitment);
        }
        Ok(Self { sealing, key, index: 0, held: Vec::new(), ended: false })
    }

    /// Takes the next bytes and appends to `content` what they open to, also before an error. `closed` says that the
    /// body is known to end with them; without it a chunk is never taken for the last one.
    ///
    /// # Errors
    /// [`ChunkError`]; after one, nothing more of this body can be opened.
    pub fn push(&mut self, body: &[u8], closed: bool, content: &mut Vec<u8>) -> Result<(), ChunkError> {
        if self.ended {
            return if body.is_empty() { Ok(()) } else { Err(ChunkError::AfterLast) };
        }
        self.held.extend_from_slice(body);
        let held = core::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        while rest.len() > CHUNK_BYTES {
            let (chunk, after) = rest.split_at(CHUNK_BYTES);
            content.extend_from_slice(&self.open(chunk, false)?);
            rest = after;
        }
        if closed {
            if rest.is_empty() {
                return Err(ChunkError::Truncated { chunks: self.index });
            }
            content.extend_from_slice(&self.open(rest, true)?);
            self.ended = true;
            return Ok(());
        }
        if rest.len() == CHUNK_BYTES {
            // It may be the last one. Then it does not open here, and waits until more comes or the body is closed.
            if let Ok(middle) = self.open(rest, false) {
                content.extend_from_slice(&middle);
                rest = &[];
            }
        }
        self.held = rest.to_vec();
        Ok(())
    }

    /// Returns whether the last chunk has been opened.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    fn open(&mut self, chunk: &[u8], last: bool) -> Result<Vec<u8>, ChunkError> {
        let index = self.index;
        let content = self.sealing.open(&self.key, nonce(index, last), chunk).filter(|content| !content.is_empty());
        let content = content.ok_or(ChunkError::Chunk { index })?;
        self.index = self.index.saturating_add(1);
        Ok(content)
    }
}

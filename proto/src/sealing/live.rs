//! The sealing of a note while it is being spoken: it leaves in chunks, under an open header.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::ParcelId;
use crate::keys::SigningKey;
use crate::limits::MARK_DISTANCE_BYTES_MAX;
use crate::parcel::{Class, HEADER_BYTES, Header, MarkChain};
use crate::random::Random;
use crate::sealing::chunks::{ChunkSealer, ChunkSealerState};
use crate::sealing::content::{Codec, NoteKind, Tail};
use crate::sealing::note::{NotePair, NoteSession};
use crate::sealing::padding::{body_length, padded};
use crate::sealing::provider::Provider;
use crate::sealing::seal::{About, Destination, Grown, SealError, check_length, framed, head};

/// Seals a note whose end is not known yet. Use a constant bitrate: the times of chunks tell the lengths of packets.
///
/// What [`NoteSealer::push`] and [`NoteSealer::finish`] return must be durable together with [`NoteSealer::state`]
/// before it is offered to a link. After a crash [`NoteSealer::resume`] goes on exactly there, and nothing is ever
/// sealed twice.
pub struct NoteSealer {
    chunks: ChunkSealer,
    state: Growing,
}

/// What a [`NoteSealer`] must remember.
#[derive(Serialize, Deserialize)]
pub struct NoteSealerState {
    chunks: ChunkSealerState,
    growing: Growing,
}

#[derive(Clone, Serialize, Deserialize)]
struct Growing {
    #[serde(serialize_with = "write_header", deserialize_with = "read_header")]
    header: Header,
    parcel_key: SigningKey,
    chain: ([u8; 32], u32),
    /// Body after the newest mark.
    unmarked: Vec<u8>,
    /// Body that is not returned yet: tag and commitment, before the first push.
    prefix: Vec<u8>,
    content_bytes: usize,
    packets: usize,
    toc: u8,
}

redacted!(NoteSealer, NoteSealerState);

fn write_header<S: Serializer>(header: &Header, serializer: S) -> Result<S::Ok, S::Error> {
    header.as_bytes().as_slice().serialize(serializer)
}

fn read_header<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
    let bytes = <[u8; HEADER_BYTES]>::try_from(Vec::deserialize(deserializer)?)
        .map_err(|bytes: Vec<u8>| serde::de::Error::invalid_length(bytes.len(), &"152 bytes"))?;
    Header::trusted(&bytes).map_err(serde::de::Error::custom)
}

/// Bytes of the zero byte and the tail that end every voice note.
const ENDING_BYTES: usize = 30;

impl NoteSealer {
    /// Starts a voice note whose packets all begin with `toc`. The pair must already be durably gone from `session`.
    pub fn begin(
        sealing: Provider,
        random: &mut (impl Random + ?Sized),
        session: &NoteSession,
        pair: NotePair,
        destination: Destination<'_>,
        about: &About,
        (codec, toc): (Codec, u8),
    ) -> Self {
        let parcel_key = SigningKey::draw(random);
        let parcel = ParcelId::of(&parcel_key.public());
        let to = destination.to;
        let header =
            Header::sign(Class::Voice, &to.write_key, to.read_tag, parcel_key.public(), destination.lifetime, 0);
        let mut chunks = ChunkSealer::new(sealing, &pair.key, &parcel);
        let mut prefix = pair.tag.0.to_vec();
        prefix.extend_from_slice(chunks.commitment());
        let head = head(about, NoteKind::Voice { codec, toc }, true, &pair);
        let head = head.encode(session.signer(), &parcel, &to.mailbox());
        prefix.extend_from_slice(&chunks.push(&head));
        let state = Growing {
            chain: MarkChain::new(&header).state(),
            header,
            parcel_key,
            unmarked: Vec::new(),
            prefix,
            content_bytes: head.len(),
            packets: 0,
            toc,
        };
        Self { chunks, state }
    }

    /// Goes on from a kept state.
    pub fn resume(sealing: Provider, state: NoteSealerState) -> Self {
        Self { chunks: ChunkSealer::resume(sealing, state.chunks), state: state.growing }
    }

    /// Returns the state to keep beside everything returned so far.
    pub fn state(&self) -> NoteSealerState {
        NoteSealerState { chunks: self.chunks.state().clone(), growing: self.state.clone() }
    }

    /// Returns the header, under which bytes can leave at once.
    pub const fn header(&self) -> &Header {
        &self.state.header
    }

    /// Returns the key that can withdraw the note.
    pub const fn parcel_key(&self) -> &SigningKey {
        &self.state.parcel_key
    }

    /// Takes the next packet with its TOC byte. Mostly nothing grows; about every 1 008 bytes a chunk does.
    ///
    /// # Errors
    /// [`SealError`]: the packet is not taken, and the note can go on or be finished.
    pub fn push(&mut self, packet: &[u8]) -> Result<Grown, SealError> {
        let framed = framed(packet, self.state.toc, self.state.packets)?;
        let content_bytes = self.state.content_bytes + framed.len();
        check_length(body_length(padded(content_bytes + ENDING_BYTES)))?;
        self.state.content_bytes = content_bytes;
        self.state.packets += 1;
        let sealed = self.chunks.push(&framed);
        Ok(self.state.grow(&sealed, false))
    }

    /// Ends the note: tail, padding, last chunk, last mark.
    pub fn finish(mut self, tail: &Tail) -> Grown {
        let length = padded(self.state.content_bytes + ENDING_BYTES);
        let mut rest = tail.encode();
        rest.resize(length - self.state.content_bytes, 0);
        let mut sealed = self.chunks.push(&rest);
        sealed.extend_from_slice(&self.chunks.finish());
        self.state.grow(&sealed, true)
    }
}

impl Growing {
    /// Moves on over newly sealed bytes and signs the marks that are due.
    fn grow(&mut self, sealed: &[u8], last: bool) -> Grown {
        let mut body = Vec::new();
        if last || !sealed.is_empty() {
            body = core::mem::take(&mut self.prefix);
            body.extend_from_slice(sealed);
        }
        self.unmarked.extend_from_slice(&body);
        let distance = usize::try_from(MARK_DISTANCE_BYTES_MAX).unwrap_or(usize::MAX);
        let mut chain = MarkChain::resume(&self.header, self.chain);
        let mut marks = Vec::new();
        while self.unmarked.len() > distance {
            let rest = self.unmarked.split_off(distance);
            marks.push(chain.sign(&self.parcel_key, &self.unmarked, false));
            self.unmarked = rest;
        }
        if last {
            marks.push(chain.sign(&self.parcel_key, &self.unmarked, true));
            self.unmarked.clear();
        }
        self.chain = chain.state();
        Grown { body, marks }
    }
}

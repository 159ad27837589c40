use crate::codec::{DecodeError, Reader};
use crate::ids::{Epoch, MailboxId, ParcelId, ReadTag, RelayHash, SlotId};
use crate::keys::{Signature, VerifyingKey};
use crate::limits::{
    ADMISSION_BYTES_MAX, BODY_FRAME_BYTES_MAX, CLOSE_TEXT_BYTES_MAX, FRAME_BODY_BYTES_MAX, HOMES_MAX, IDS_PER_FRAME_MAX,
};
use crate::parcel::{HEADER_BYTES, Home, Mark, Travel};
use crate::time::{Age, Minute};
use crate::wire::{
    Code, Frame, Held, LinkReport, Observation, ParcelStart, Precision, Prove, PutStart, PutState, Register, Scope,
    SeenAnswer, Welcome, Word, WordLive, WordPut,
};

/// Collects the bytes of one lane and hands out whole frames. Holds at most one frame and what came with its end.
#[derive(Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    read: usize,
}

redacted!(FrameBuffer);

impl FrameBuffer {
    /// Adds bytes as they arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next whole frame, `None` until more bytes come. Frames that may be skipped are.
    ///
    /// # Errors
    /// [`DecodeError`]; the lane cannot go on then. `TooLong` for a frame above P1.2, `UnknownFrame` for P1.3.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        loop {
            let mut reader = Reader::new(self.bytes.get(self.read..).unwrap_or_default());
            let before = reader.rest().len();
            let (Some(kind), Some(length)) = (whole(reader.varint())?, whole(reader.varint())?) else {
                return Ok(None);
            };
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length > FRAME_BODY_BYTES_MAX {
                return Err(DecodeError::TooLong { field: "frame", got: length, expected: FRAME_BODY_BYTES_MAX });
            }
            let Some(body) = whole(reader.bytes(length))? else {
                return Ok(None);
            };
            self.read += before - reader.rest().len();
            if let Some(frame) = Frame::decode(kind, body)? {
                return Ok(Some(frame));
            }
        }
    }

    /// Returns whether bytes of an unfinished frame are left: a lane that ends then was cut.
    pub fn is_cut(&self) -> bool {
        self.read < self.bytes.len()
    }
}

/// Turns "too short" into "not yet".
fn whole<T>(result: Result<T, DecodeError>) -> Result<Option<T>, DecodeError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(DecodeError::Short { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Frame {
    /// Reads the body of a frame of type `kind`; `None` for a type that may be skipped (P1.3).
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(kind: u64, body: &[u8]) -> Result<Option<Self>, DecodeError> {
        let r = &mut Reader::new(body);
        let frame = match kind {
            0x00 => Self::Hello { lowest: r.u8()?, highest: r.u8()?, features: r.u64()? },
            0x02 => Self::Welcome(welcome(r)?),
            0x04 => Self::Prove(Prove {
                scope: scope(r)?,
                write_key: VerifyingKey(r.array()?),
                read_key: VerifyingKey(r.array()?),
                signature: Signature(r.array()?),
            }),
            0x06 => Self::Register(register(r)?),
            0x08 => Self::Answer { request: r.varint()?, code: Code(r.u16()?) },
            0x0a => {
                let transfer = r.varint()?;
                let (offset, header, travel) = start(r)?;
                Self::Put(PutStart { transfer, offset, header, travel })
            }
            0x0c => Self::Body { transfer: r.varint()?, offset: r.u32()?, bytes: body_bytes(r)? },
            0x0e => Self::Mark { transfer: r.varint()?, mark: Mark::decode(r)? },
            0x10 => put_answer(r)?,
            0x12 => watch(r)?,
            0x14 => {
                let (transfer, mailbox) = (r.varint()?, MailboxId(r.array()?));
                let (offset, header, travel) = start(r)?;
                Self::Parcel(ParcelStart { transfer, mailbox, offset, header, travel })
            }
            0x16 => Self::Drained { mailbox: MailboxId(r.array()?), transfers: r.varint()? },
            0x18 => Self::Release { mailbox: MailboxId(r.array()?), ids: ids(r)? },
            0x1a => Self::Released { mailbox: MailboxId(r.array()?), ids: ids(r)? },
            0x1c => Self::Withdraw {
                request: r.varint()?,
                write_key: VerifyingKey(r.array()?),
                read_tag: ReadTag(r.array()?),
                parcel_key: VerifyingKey(r.array()?),
                signature: Signature(r.array()?),
            },
            0x1e => Self::WordPut(WordPut {
                request: r.varint()?,
                word: Word::decode(r)?,
                live_proof: Signature(r.array()?),
            }),
            0x20 => Self::WordLive(WordLive {
                request: r.varint()?,
                slot: SlotId(r.array()?),
                version: r.u64()?,
                live_proof: Signature(r.array()?),
            }),
            0x22 => Self::SeenGet { request: r.varint()?, slot: SlotId(r.array()?) },
            0x24 => Self::SeenAnswer(seen_answer(r)?),
            0x26 => Self::Drop { request: r.varint()?, scope: scope(r)?, id: r.array()? },
            0x28 => Self::Close { code: Code(r.u16()?), text: r.text8("close text", CLOSE_TEXT_BYTES_MAX)?.into() },
            0x01 => Self::Ticket { ticket: r.array()?, proofs: r.u16()? },
            0x03 => Self::Redeem(r.array()?),
            0x05 => Self::LinkReport(LinkReport::decode(r)?),
            0x07 => Self::Padding(body.len()),
            odd if odd % 2 == 1 => return Ok(None),
            got => return Err(DecodeError::UnknownFrame { got }),
        };
        Ok(Some(frame))
    }
}

fn welcome(r: &mut Reader<'_>) -> Result<Welcome, DecodeError> {
    Ok(Welcome {
        version: r.u8()?,
        features: r.u64()?,
        epoch: Epoch(r.array()?),
        minute: Minute(r.u32()?),
        clock_trust: r.u8()?,
        next_visit_minutes: r.u16()?,
        parcel_bytes_max: r.u32()?,
        lifetime_hours_max: r.u16()?,
    })
}

fn scope(r: &mut Reader<'_>) -> Result<Scope, DecodeError> {
    match r.u8()? {
        0 => Ok(Scope::Mailbox),
        1 => Ok(Scope::Slot),
        got => Err(DecodeError::Range { field: "scope", got: got.into() }),
    }
}

fn register(r: &mut Reader<'_>) -> Result<Register, DecodeError> {
    Ok(Register {
        request: r.varint()?,
        scope: scope(r)?,
        write_key: VerifyingKey(r.array()?),
        read_tag: ReadTag(r.array()?),
        parcels_max: r.u16()?,
        bytes_max: r.u32()?,
        valid_hours: r.u16()?,
        precision: Precision::from_hours(r.u8()?)?,
        homes: r.list("homes", HOMES_MAX, |r| Ok(RelayHash(r.array()?)))?,
        admission: r.text8("admission", ADMISSION_BYTES_MAX)?.into(),
    })
}

fn start(r: &mut Reader<'_>) -> Result<(u32, [u8; HEADER_BYTES], Travel), DecodeError> {
    let (offset, header) = (r.u32()?, r.array()?);
    Ok((offset, header, Travel { home: Home(RelayHash(r.array()?)), age: Age(r.u32()?) }))
}

fn body_bytes(r: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let bytes = r.rest();
    match bytes.len() {
        0 => Err(DecodeError::Short { expected: 1, got: 0 }),
        1..=BODY_FRAME_BYTES_MAX => Ok(bytes.to_vec()),
        got => Err(DecodeError::TooLong { field: "body", got, expected: BODY_FRAME_BYTES_MAX }),
    }
}

fn put_answer(r: &mut Reader<'_>) -> Result<Frame, DecodeError> {
    let (id, state, durable, code) = (ParcelId(r.array()?), r.u8()?, r.u32()?, Code(r.u16()?));
    let state = match state {
        0 => PutState::Open,
        1 => PutState::Stored,
        2 => PutState::Refused(code),
        got => {
            return Err(DecodeError::Range { field: "put state", got: got.into() });
        }
    };
    Ok(Frame::PutAnswer { id, state, durable })
}

fn watch(r: &mut Reader<'_>) -> Result<Frame, DecodeError> {
    let (mailbox, flags) = (MailboxId(r.array()?), r.u8()?);
    let held = r.list("held parcels", IDS_PER_FRAME_MAX, |r| {
        let (id, offset) = (ParcelId(r.array()?), r.u32()?);
        Ok(Held { id, offset: if offset == u32::MAX { None } else { Some(offset) } })
    })?;
    Ok(Frame::Watch { mailbox, live: flags & 1 == 0, more: flags & 2 != 0, held })
}

fn ids(r: &mut Reader<'_>) -> Result<Vec<ParcelId>, DecodeError> {
    r.list("ids", IDS_PER_FRAME_MAX, |r| Ok(ParcelId(r.array()?)))
}

fn seen_answer(r: &mut Reader<'_>) -> Result<SeenAnswer, DecodeError> {
    Ok(SeenAnswer {
        request: r.varint()?,
        version: r.u64()?,
        sealed: r.array()?,
        signature: Signature(r.array()?),
        observation: Observation::decode(r)?,
        links: LinkReport::decode(r)?,
    })
}

use crate::codec::Writer;
use crate::parcel::{HEADER_BYTES, Travel};
use crate::wire::{Frame, Held, PutState, Register, SeenAnswer, Welcome};

impl Frame {
    /// Writes the frame as `type ‖ length ‖ body` (P1.2).
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        let kind = self.write_body(&mut body);
        let mut frame = Writer::new();
        frame.varint(kind).varint(u64::try_from(body.as_bytes().len()).unwrap_or(u64::MAX)).bytes(body.as_bytes());
        frame.into_bytes()
    }

    fn write_body(&self, w: &mut Writer) -> u64 {
        match self {
            Self::Hello { lowest, highest, features } => (w.u8(*lowest).u8(*highest).u64(*features), 0x00).1,
            Self::Welcome(welcome) => (welcome.write(w), 0x02).1,
            Self::Prove(p) => {
                (w.u8(p.scope.code()).bytes(&p.write_key.0).bytes(&p.read_key.0).bytes(&p.signature.0), 0x04).1
            }
            Self::Register(register) => (register.write(w), 0x06).1,
            Self::Answer { request, code } => (w.varint(*request).u16(code.0), 0x08).1,
            Self::Put(p) => {
                w.varint(p.transfer);
                (write_start(w, p.offset, &p.header, &p.travel), 0x0a).1
            }
            Self::Body { transfer, offset, bytes } => (w.varint(*transfer).u32(*offset).bytes(bytes), 0x0c).1,
            Self::Mark { transfer, mark } => {
                w.varint(*transfer);
                (mark.encode(w), 0x0e).1
            }
            Self::PutAnswer { id, state, durable } => {
                let (state, code) = match state {
                    PutState::Open => (0, 0),
                    PutState::Stored => (1, 0),
                    PutState::Refused(code) => (2, code.0),
                };
                (w.bytes(&id.0).u8(state).u32(*durable).u16(code), 0x10).1
            }
            Self::Watch { mailbox, live, more, held } => {
                w.bytes(&mailbox.0).u8(u8::from(!live) | u8::from(*more) << 1);
                (w.list(held, |w, held: &Held| _ = w.bytes(&held.id.0).u32(held.offset.unwrap_or(u32::MAX))), 0x12).1
            }
            Self::Parcel(p) => {
                w.varint(p.transfer).bytes(&p.mailbox.0);
                (write_start(w, p.offset, &p.header, &p.travel), 0x14).1
            }
            Self::Drained { mailbox, transfers } => (w.bytes(&mailbox.0).varint(*transfers), 0x16).1,
            Self::Release { mailbox, ids } => (w.bytes(&mailbox.0).list(ids, |w, id| _ = w.bytes(&id.0)), 0x18).1,
            Self::Released { mailbox, ids } => (w.bytes(&mailbox.0).list(ids, |w, id| _ = w.bytes(&id.0)), 0x1a).1,
            Self::Withdraw { request, write_key, read_tag, parcel_key, signature } => {
                w.varint(*request).bytes(&write_key.0).bytes(&read_tag.0);
                (w.bytes(&parcel_key.0).bytes(&signature.0), 0x1c).1
            }
            Self::WordPut(put) => {
                w.varint(put.request);
                put.word.encode(w);
                (w.bytes(&put.live_proof.0), 0x1e).1
            }
            Self::WordLive(live) => {
                w.varint(live.request).bytes(&live.slot.0).u64(live.version);
                (w.bytes(&live.live_proof.0), 0x20).1
            }
            Self::SeenGet { request, slot } => (w.varint(*request).bytes(&slot.0), 0x22).1,
            Self::SeenAnswer(answer) => (answer.write(w), 0x24).1,
            Self::Drop { request, scope, id } => (w.varint(*request).u8(scope.code()).bytes(id), 0x26).1,
            Self::Close { code, text } => (w.u16(code.0).text8(text), 0x28).1,
            Self::Ticket { ticket, proofs } => (w.bytes(ticket).u16(*proofs), 0x01).1,
            Self::Redeem(ticket) => (w.bytes(ticket), 0x03).1,
            Self::LinkReport(report) => (report.encode(w), 0x05).1,
            Self::Padding(length) => (w.bytes(&vec![0; *length]), 0x07).1,
        }
    }
}

fn write_start(w: &mut Writer, offset: u32, header: &[u8; HEADER_BYTES], travel: &Travel) {
    w.u32(offset).bytes(header).bytes(&travel.home.0.0).u32(travel.age.0);
}

impl Welcome {
    fn write(&self, w: &mut Writer) {
        w.u8(self.version).u64(self.features).bytes(&self.epoch.0).u32(self.minute.0).u8(self.clock_trust);
        w.u16(self.next_visit_minutes).u32(self.parcel_bytes_max).u16(self.lifetime_hours_max);
    }
}

impl Register {
    fn write(&self, w: &mut Writer) {
        w.varint(self.request).u8(self.scope.code()).bytes(&self.write_key.0).bytes(&self.read_tag.0);
        w.u16(self.parcels_max).u32(self.bytes_max).u16(self.valid_hours).u8(self.precision.hours());
        w.list(&self.homes, |w, home| _ = w.bytes(&home.0)).text8(&self.admission);
    }
}

impl SeenAnswer {
    fn write(&self, w: &mut Writer) {
        w.varint(self.request).u64(self.version).bytes(&self.sealed).bytes(&self.signature.0);
        self.observation.encode(w);
        self.links.encode(w);
    }
}

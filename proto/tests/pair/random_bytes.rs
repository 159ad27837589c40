//! Bytes that mean nothing, and frames that mean something else: neither machine panics, both end with a code or go on.

use proptest::prelude::*;

use zajil_proto::codec::Writer;
use zajil_proto::parcel::Class;
use zajil_proto::session::client::{ClientCommand, ClientEvent, ClientSession, ClientSettings};
use zajil_proto::session::relay::{RelayCommand, RelayEvent, RelaySession};
use zajil_proto::session::{Input, Lane, Output, Session};
use zajil_proto::time::{Instant, Minute};
use zajil_proto::wire::{Code, Frame, FrameBuffer, Prove, PutStart, Scope, Welcome};

use crate::store::Store;
use crate::world::{Owner, Transport, World, offer};

/// A frame of any type with any body: most are refused, some are not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..420);
    (0..0x2c_u64, body).prop_map(|(kind, body)| {
        let mut writer = Writer::new();
        writer.varint(kind).varint(u64::try_from(body.len()).unwrap()).bytes(&body);
        writer.into_bytes()
    })
}

/// An honest row of frames, with one byte changed, or cut.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    (0..4_000_usize, any::<u8>(), 0..4_000_usize).prop_map(|(at, flip, length)| {
        let owner = Owner::new(1);
        let parcel = owner.parcel(1, Class::Voice, 2_500, 1_000);
        let mut frames = vec![
            Frame::Prove(Prove::sign(Scope::Mailbox, owner.write.public(), &owner.read, &[1; 32])),
            Frame::Watch { mailbox: owner.mailbox(), live: true, more: false, held: Vec::new() },
            Frame::Put(PutStart {
                transfer: 0,
                offset: 0,
                header: *parcel.header.as_bytes(),
                travel: zajil_proto::parcel::Travel::default(),
            }),
        ];
        for (bytes, mark) in parcel.body.chunks(1_000).zip(&parcel.marks) {
            let offset = mark.end - u32::try_from(bytes.len()).unwrap();
            frames.push(Frame::Body { transfer: 0, offset, bytes: bytes.to_vec() });
            frames.push(Frame::Mark { transfer: 0, mark: *mark });
        }
        let mut bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        bytes.truncate(length);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= flip;
        }
        bytes
    })
}

fn pieces() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let bytes = prop_oneof![prop::collection::vec(any::<u8>(), 0..60), any_frame(), any_frame(), damaged(),];
    prop::collection::vec((any::<bool>(), bytes), 1..12)
}

fn lane(control: bool) -> Lane {
    if control { Lane::Control } else { Lane::Transfer(3) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_relay_panic(pieces in pieces(), greeted in any::<bool>()) {
        let mut world = World::new(Transport::Tcp);
        world.mailbox(&Owner::new(1));
        let mut store: Store = world.store;
        let mut relay = RelaySession::new(world.settings, Minute(1), [1; 32]);
        let (now, mut closed) = (Instant::from_millis(9), None);
        let hello = Frame::Hello { lowest: 1, highest: 1, features: 0 }.encode();
        let first = greeted.then_some((true, hello));
        for (control, bytes) in first.into_iter().chain(pieces) {
            relay.handle_input(now, Input::Received { lane: lane(control), bytes });
            while let Some(output) = relay.poll_output() {
                match output {
                    Output::Event(RelayEvent::Store { ticket, request }) => {
                        let reply = store.execute(request);
                        let command = RelayCommand::Store { ticket, reply, wall: Minute(2) };
                        relay.handle_input(now, Input::Command(command));
                    }
                    Output::Transmit { .. } => prop_assert_eq!(closed, None),
                    Output::Close { code } => closed = Some(code),
                    Output::Event(_) => {}
                }
            }
        }
        relay.handle_input(now, Input::Ended { lane: Lane::Transfer(3) });
        relay.handle_input(now, Input::Disconnected);
    }

    #[test]
    fn no_bytes_make_a_device_panic_or_believe_a_parcel(pieces in pieces(), greeted in any::<bool>()) {
        let owner = Owner::new(1);
        let mut device = ClientSession::new(ClientSettings::default(), [1; 32]);
        let (now, mut closed) = (Instant::from_millis(9), None);
        for command in [
            owner.prove(Scope::Mailbox),
            owner.register(Scope::Mailbox),
            owner.watch(true),
            offer(&owner.parcel(1, Class::Voice, 2_500, 1_000), 0),
            ClientCommand::GetSeen { slot: owner.slot() },
        ] {
            device.handle_input(now, Input::Command(command));
        }
        let welcome = Frame::Welcome(Welcome {
            version: 1,
            features: 0,
            epoch: zajil_proto::ids::Epoch([1; 16]),
            minute: Minute(1),
            clock_trust: 0,
            next_visit_minutes: 0,
            parcel_bytes_max: 1,
            lifetime_hours_max: 1,
        });
        let first = greeted.then_some((true, welcome.encode()));
        for (control, bytes) in first.into_iter().chain(pieces) {
            device.handle_input(now, Input::Received { lane: lane(control), bytes });
            while let Some(output) = device.poll_output() {
                prop_assert_eq!(closed, None, "nothing follows a close");
                match output {
                    Output::Close { code } => closed = Some(code),
                    Output::Event(ClientEvent::Arriving { header, .. }) => {
                        prop_assert_eq!(header.mailbox(), owner.mailbox());
                    }
                    _ => {}
                }
            }
        }
        if let Some(code) = closed {
            prop_assert!(code == Code::OK || code.0 >= 256 || Code::ALL.contains(&code) || code.name() == "UNKNOWN");
        }
    }

    #[test]
    fn a_frame_that_is_read_is_written_the_same(bytes in any_frame()) {
        let mut buffer = FrameBuffer::default();
        buffer.push(&bytes);
        if let Ok(Some(frame)) = buffer.next_frame() {
            let mut again = FrameBuffer::default();
            again.push(&frame.encode());
            prop_assert_eq!(again.next_frame(), Ok(Some(frame)));
        }
    }
}

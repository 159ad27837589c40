//! A note on its way up and down is cut at every frame there is, at its boundary and inside it, and goes on from there.

use zajil_proto::parcel::{Class, SealedParcel};
use zajil_proto::session::client::ClientCommand;
use zajil_proto::wire::{Code, Scope};

use crate::link::{Budget, LaneOrder};
use crate::world::{Owner, Transport, World, offer};

const LENGTH: usize = 20_000;
/// The longest frame of a body, its mark, and what frames both.
const LOST_BYTES_MAX: usize = 2_048 + 700;
/// What a session says beside the bytes of a note.
const TALK_BYTES_MAX: usize = 1_500;
/// Bytes of the next frame that still arrive: none, the first, some.
const INSIDE: [usize; 3] = [0, 1, 300];
const ORDERS: [LaneOrder; 3] = [LaneOrder::Any, LaneOrder::ControlFirst, LaneOrder::ControlLast];

struct Scene {
    world: World,
    owner: Owner,
    note: SealedParcel,
}

impl Scene {
    fn new(transport: Transport, order: LaneOrder, note: &SealedParcel) -> Self {
        let (mut world, owner) = (World::new(transport), Owner::new(1));
        world.mailbox(&owner);
        world.order = order;
        Self { world, owner, note: note.clone() }
    }

    fn offer(&mut self, link: usize, device: usize) {
        let from = self.world.devices[device].durable.get(&self.note.header.id()).copied().unwrap_or(0);
        self.world.command(link, offer(&self.note, from));
    }

    fn watch(&mut self, link: usize, device: usize) {
        let (mailbox, held) = (self.owner.mailbox(), self.world.devices[device].held(self.owner.mailbox()));
        self.world.command(link, self.owner.prove(Scope::Mailbox));
        self.world.command(link, ClientCommand::Watch { mailbox, live: false, held });
    }

    fn at_relay(&self) -> usize {
        self.world.store.parcels.get(&self.note.header.id()).map_or(0, |row| row.body.len())
    }

    fn at_device(&self, device: usize) -> usize {
        self.world.devices[device].inbox.get(&self.note.header.id()).map_or(0, |kept| kept.body.len())
    }

    /// Runs until the budget is used up, then breaks the link. `true` if it never was.
    fn run_and_cut(&mut self, link: usize) -> bool {
        self.world.run();
        let stuck = self.world.links[link].up.is_stuck() || self.world.links[link].down.is_stuck();
        self.world.cut(link);
        self.world.run();
        !stuck
    }
}

/// Calls `cut` with every number of frames, until it says that there are no more.
fn at_every_frame(mut cut: impl FnMut(Transport, LaneOrder, Budget) -> bool) -> usize {
    let mut cuts = 0;
    for transport in Transport::ALL {
        for order in ORDERS.into_iter().take(if transport == Transport::Quic { 3 } else { 1 }) {
            for inside in INSIDE {
                cuts += (0..).take_while(|frames| !cut(transport, order, Budget::of_frames(*frames, inside))).count();
            }
        }
    }
    cuts
}

fn note() -> SealedParcel {
    Owner::new(1).parcel(1, Class::Voice, LENGTH, 7_000)
}

#[test]
fn an_upload_goes_on_after_a_cut_at_any_frame_in_either_direction() {
    let note = note();
    for up in [true, false] {
        let cuts = at_every_frame(|transport, order, budget| {
            let mut scene = Scene::new(transport, order, &note);
            let sender = scene.world.device();
            let first = scene.world.connect(sender);
            let cut = &mut scene.world.links[first];
            *(if up { &mut cut.up.budget } else { &mut cut.down.budget }) = budget;
            scene.offer(first, sender);
            let came_through = scene.run_and_cut(first);
            let kept = scene.at_relay();
            let arrived = scene.world.delivered(first).0.min(LENGTH);
            assert!(arrived.saturating_sub(kept) < LOST_BYTES_MAX, "{transport:?} {order:?} {budget:?}: {kept} kept");

            let durable = scene.world.devices[sender].durable.get(&note.header.id()).copied().unwrap_or(0);
            assert!(usize::try_from(durable).unwrap() <= kept, "what was called durable is");
            let second = scene.world.connect(sender);
            scene.offer(second, sender);
            scene.world.command(second, ClientCommand::Finish);
            scene.world.run();
            assert_eq!(scene.world.links[second].client_closed, Some(Code::OK), "{transport:?} {order:?} {budget:?}");
            let row = &scene.world.store.parcels[&note.header.id()];
            assert!(row.closed && row.body == note.body && row.marks == note.marks);
            came_through
        });
        assert!(cuts > if up { 100 } else { 30 }, "{cuts} cuts");
    }
}

#[test]
fn a_download_goes_on_after_a_cut_at_any_frame_in_either_direction_and_nothing_comes_twice() {
    let note = note();
    for up in [true, false] {
        let cuts = at_every_frame(|transport, order, budget| {
            let mut scene = Scene::new(transport, order, &note);
            let sender = scene.world.device();
            let sending = scene.world.connect(sender);
            scene.offer(sending, sender);
            scene.world.run();

            let reader = scene.world.device();
            let first = scene.world.connect(reader);
            let cut = &mut scene.world.links[first];
            *(if up { &mut cut.up.budget } else { &mut cut.down.budget }) = budget;
            scene.watch(first, reader);
            let came_through = scene.run_and_cut(first);
            let kept = scene.at_device(reader);
            let arrived = scene.world.delivered(first).1.min(LENGTH);
            assert!(arrived.saturating_sub(kept) < LOST_BYTES_MAX, "{transport:?} {order:?} {budget:?}: {kept} kept");

            let second = scene.world.connect(reader);
            scene.watch(second, reader);
            scene.world.command(second, ClientCommand::Finish);
            scene.world.run();
            assert_eq!(scene.world.links[second].client_closed, Some(Code::OK), "{transport:?} {order:?} {budget:?}");
            assert!(scene.world.delivered(second).1 < LENGTH - kept + TALK_BYTES_MAX);
            let whole = &scene.world.devices[reader].inbox[&note.header.id()];
            assert!(whole.closed && whole.body == note.body && whole.marks == note.marks);
            came_through
        });
        assert!(cuts > if up { 5 } else { 100 }, "{cuts} cuts");
    }
}

#[test]
fn a_relay_that_falls_at_any_frame_of_an_upload_keeps_what_it_has_called_durable() {
    let note = note();
    let cuts = at_every_frame(|transport, order, budget| {
        let mut scene = Scene::new(transport, order, &note);
        let sender = scene.world.device();
        let first = scene.world.connect(sender);
        scene.world.links[first].up.budget = budget;
        scene.offer(first, sender);
        // Some of it is done by the store when the relay falls, some of what is done was told.
        for _ in 0..scene.world.draw(200) {
            scene.world.step();
        }
        let came_through = !scene.world.links[first].up.is_stuck() && scene.at_relay() == LENGTH;
        scene.world.restart_relay();
        scene.world.run();
        let durable = scene.world.devices[sender].durable.get(&note.header.id()).copied().unwrap_or(0);
        assert!(usize::try_from(durable).unwrap() <= scene.at_relay(), "{transport:?} {order:?} {budget:?}");
        let second = scene.world.connect(sender);
        scene.offer(second, sender);
        scene.world.command(second, ClientCommand::Finish);
        scene.world.run();
        assert_eq!(scene.world.links[second].client_closed, Some(Code::OK), "{transport:?} {order:?} {budget:?}");
        assert!(scene.world.store.parcels[&note.header.id()].closed);
        came_through || budget.frames > Some(60)
    });
    assert!(cuts > 100, "{cuts} cuts");
}

//! A relay that a program has met before: what leaves at once, and that nothing is lost or counted twice when it is not taken.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use zajil_client::engine::api::{NoteMark, Reply, Request, Wait, WordState};
use zajil_client::engine::host::Host;
use zajil_net::memory::LinkState;
use zajil_net::{Clock, DialOptions, Network, PinnedKeys, RelayMemory, dial, dial_early};
use zajil_proto::session::client::{ClientCommand, ClientEvent, ClientSession, ClientSettings, Ticket};
use zajil_proto::simulation::{self, Situation};
use zajil_proto::wire::{Code, Scope};
use zajil_tests::chance::Chance;
use zajil_tests::device::Device;
use zajil_tests::parcels::Pair;

use crate::{World, ask, confirm, heard_voice, in_one_runtime, note, pair_by_link, seen, send, sync, voice, word};

/// Of the first person of a world.
const MOTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));
/// More than it takes to the relay, less than it takes there and back.
const AFTER_ONE_WAY: Duration = Duration::from_millis(300);

/// Two people who know each other, and what their programs have met until now does not count.
async fn two(world: &mut World) -> (Host, Host) {
    let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
    pair_by_link(&mut mother, &mut father).await;
    confirm(&mut mother, &mut father).await;
    sync(&mut father).await;
    simulation::begin(None);
    (mother, father)
}

fn reached(situation: Situation) -> u64 {
    simulation::reached().get(&situation).copied().unwrap_or_default()
}

/// The father has one note, whole and once, and it is what was said.
async fn has_it_once(father: &mut Host, spoken: zajil_client::engine::api::Voice) {
    sync(father).await;
    let Reply::Notes(notes) = ask(father, Request::Inbox { all: true }).await else { panic!() };
    assert_eq!((notes.len(), notes[0].mark), (1, NoteMark::Delivered));
    assert_eq!(heard_voice(father, notes[0].number).await, spoken);
}

#[test]
fn a_relay_that_was_met_takes_a_note_and_gives_one_without_waiting_and_proofs_are_not_said_again() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father) = two(&mut world).await;
        let spoken = voice(15);
        let Reply::Sent(sent) = ask(&mut mother, send("Father", spoken.clone(), Wait::Stored)).await else { panic!() };
        assert_eq!(sent.mark, NoteMark::AtRelay);
        assert_eq!((reached(Situation::EarlyDataAccepted), reached(Situation::TicketRedeemed)), (1, 1));
        has_it_once(&mut father, spoken).await;
        assert_eq!((reached(Situation::EarlyDataAccepted), reached(Situation::TicketRedeemed)), (2, 2));
        sync(&mut mother).await;
        assert_eq!(note(&mut mother, sent.number).await, NoteMark::Delivered);
        assert_eq!(reached(Situation::TicketUnknown), 0);
    });
}

#[test]
fn a_day_after_the_last_visit_a_relay_has_nobody_in_its_memory() {
    in_one_runtime(async {
        let mut world = World::new();
        let _both = two(&mut world).await;
        let observer = world.observer.clone().unwrap();
        let (tickets, sessions) = observer.remembered();
        assert!(tickets >= 2 && sessions >= 4, "{tickets} tickets, {sessions} TLS sessions");
        tokio::time::sleep(Duration::from_secs(23 * 60 * 60)).await;
        assert!(observer.remembered().0 >= 2, "for a day they serve");
        tokio::time::sleep(Duration::from_secs(65 * 60)).await;
        assert_eq!((observer.remembered(), observer.sessions_watching()), ((0, 0), 0));
    });
}

#[test]
fn a_relay_that_has_started_again_refuses_it_and_the_note_is_there_once() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father) = two(&mut world).await;
        world.lose_relays_store().await;
        // The father's mailbox is made anew before anything is put into it.
        sync(&mut father).await;
        assert_eq!(reached(Situation::EarlyDataRefused), 1);
        let spoken = voice(15);
        let Reply::Sent(sent) = ask(&mut mother, send("Father", spoken.clone(), Wait::Stored)).await else { panic!() };
        assert_eq!(sent.mark, NoteMark::AtRelay);
        assert_eq!(reached(Situation::EarlyDataRefused), 2);
        has_it_once(&mut father, spoken).await;
    });
}

#[test]
fn a_relay_that_does_not_answer_at_once_is_met_when_the_link_is_back() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father) = two(&mut world).await;
        let spoken = voice(15);
        world.network.set_link(crate::RELAY, LinkState::Silent);
        let Reply::Sent(sent) = ask(&mut mother, send("Father", spoken.clone(), Wait::Device)).await else { panic!() };
        assert_eq!(sent.mark, NoteMark::OnDevice);
        ask(&mut mother, Request::Sync { timeout_millis: 10_000 }).await;
        assert!(reached(Situation::EarlyDataUnanswered) > 0);
        world.network.set_link(crate::RELAY, LinkState::Up);
        sync(&mut mother).await;
        assert_eq!(note(&mut mother, sent.number).await, NoteMark::AtRelay);
        has_it_once(&mut father, spoken).await;
    });
}

/// What the father is shown: the mother's word, and the beginning of the bucket in which she came with it.
async fn shown(father: &mut Host) -> (String, Option<u32>) {
    let view = seen(father, 20_000).await;
    assert!(view.fresh && !view.relay_is_older, "{view:?}");
    (view.word.unwrap().text, view.bucket.map(|bucket| bucket.start_hour))
}

#[test]
fn a_word_is_shown_after_one_way_there_and_its_writer_was_there_only_when_the_handshake_is_over() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father) = two(&mut world).await;
        let bucket = |world: &World| world.clock.wall().hour().0 / 6 * 6;
        ask(&mut mother, word(WordState::Well, "at home")).await;
        sync(&mut father).await;
        assert_eq!(shown(&mut father).await, ("at home".to_owned(), Some(bucket(&world))));

        // Her link goes before the relay's answer is back.
        world.clock.shift_wall(60 * 12);
        let network = world.network.clone();
        let cut = tokio::task::spawn_local(async move {
            tokio::time::sleep(AFTER_ONE_WAY).await;
            network.set_link(MOTHER, LinkState::Silent);
        });
        let written = ask(&mut mother, word(WordState::Moving, "on our way")).await;
        assert!(matches!(written, Reply::WordWritten { contacts: 1, stored: 0 }), "{written:?}");
        cut.await.unwrap();
        assert_eq!(shown(&mut father).await, ("on our way".to_owned(), None));
        assert_eq!(reached(Situation::EarlyWordProven), 0);

        world.clock.shift_wall(60 * 12);
        world.network.set_link(MOTHER, LinkState::Up);
        sync(&mut mother).await;
        assert_eq!(shown(&mut father).await, ("on our way".to_owned(), Some(bucket(&world))));

        // With a link that lasts, the proof follows at once.
        world.clock.shift_wall(60 * 12);
        let before = reached(Situation::EarlyWordProven);
        let written = ask(&mut mother, word(WordState::Arrived, "here")).await;
        assert!(matches!(written, Reply::WordWritten { contacts: 1, stored: 1 }), "{written:?}");
        assert_eq!(reached(Situation::EarlyWordProven), before + 1);
        assert_eq!(shown(&mut father).await, ("here".to_owned(), Some(bucket(&world))));
    });
}

#[test]
fn a_ticket_that_is_shown_in_a_second_session_ends_the_first() {
    in_one_runtime(async {
        let world = World::new();
        simulation::begin(None);
        let network: Arc<dyn Network> = world.network.machine(&[MOTHER]);
        let (keys, address) = (PinnedKeys::one(world.link.key), world.link.address.as_str());
        let memory = Some(Arc::new(RelayMemory::new(keys).unwrap()));
        let options = DialOptions { memory, rng_seed: Some([3; 32]), ..DialOptions::default() };
        let settings = ClientSettings::default();
        let owner = Pair::draw(&mut Chance::new(3));

        let connection = dial(&*network, address, keys, &options).await.unwrap();
        let session = ClientSession::new(settings, *connection.exporter().unwrap());
        let mut first = Device::over(connection, session, world.clock.clone());
        first.say(owner.prove(Scope::Mailbox)).await;
        let ticket: Ticket =
            first.until(|event| if let ClientEvent::Ticket(ticket) = event { Some(*ticket) } else { None }).await;
        first.say(ClientCommand::Finish).await;
        first.end().await;

        let show = async || {
            let connection = dial_early(&network, address, keys, &options).await.expect("it was met");
            let session = ClientSession::early(settings, Some(ticket.clone()));
            let mut device = Device::over(connection, session, world.clock.clone());
            device.say(ClientCommand::Watch { mailbox: owner.mailbox(), live: true, held: Vec::new() }).await;
            device.until(|event| matches!(event, ClientEvent::Drained { .. }).then_some(())).await;
            device
        };
        let mut earlier = show().await;
        let _later = show().await;
        let closed = earlier.until(|event| match event {
            ClientEvent::Closed { code, by_relay } => Some((code, by_relay)),
            _ => None,
        });
        assert_eq!(closed.await, (Code::REPLACED, true));
        assert_eq!(reached(Situation::TicketShownTwice), 1);
    });
}

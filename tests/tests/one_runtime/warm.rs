//! A relay that a program has met before: what leaves at once, and that nothing is lost or counted twice when it is not taken.

use zajil_client::engine::api::{NoteMark, Reply, Request, Wait};
use zajil_client::engine::host::Host;
use zajil_net::memory::LinkState;
use zajil_proto::simulation::{self, Situation};

use crate::{World, ask, confirm, heard_voice, in_one_runtime, note, pair_by_link, send, sync, voice};

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

//! The attacker against a relay as it is, from which they get nothing; and against what was broken, of which they tell.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use zajil_client::engine::api::{NoteMark, Reply, Request, Voice, Wait};
use zajil_client::engine::host::{Host, Parts, create};
use zajil_client::store::MemoryStore as DeviceMemory;
use zajil_net::limits::TCP_HEAD_START;
use zajil_net::memory::{MemoryWorld, SimulatedClock, Way};
use zajil_net::{DialOptions, EndpointSecrets, RelayIdentity};
use zajil_proto::keys::SigningKey;
use zajil_proto::simulation::{self, Situation, Switch};
use zajil_proto::time::Minute;
use zajil_relay::relay::{Parts as RelayParts, Relay};
use zajil_relay::store::{Engine, MemoryStore, Store, StoreLimits};

use super::estate::{Keeper, Meanwhile};
use super::guess::{Answer, NOTHING, Question, told_apart};
use super::wiretap::Wiretapped;
use super::*;
use crate::sim::plan::{Deed, Event, Plan, RelayMachine};

const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// 2026-11-20, 12:00 UTC.
const START: Minute = Minute(29_920_680);

/// A relay, and whoever comes to it.
pub(in crate::sim) struct Arena {
    network: MemoryWorld,
    clock: Arc<SimulatedClock>,
    pub(in crate::sim) scene: AttackScene,
    captured: Captured,
}

/// Plays `test` with a relay that runs.
pub(in crate::sim) fn with_a_relay(test: impl AsyncFnOnce(&mut Arena)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime needs nothing");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut chance = Chance::new(11);
        let network = MemoryWorld::new(Duration::from_millis(200));
        let clock = Arc::new(SimulatedClock::new(START));
        let key = SigningKey::draw(&mut chance);
        let store = MemoryStore::new(StoreLimits::default(), &mut chance).expect("memory takes a store");
        store.set_sync_time(Duration::from_millis(8));
        let relay = relay(&network, &clock, &key, store, &mut chance);
        let running = tokio::task::spawn_local(relay.run(std::future::pending()));
        let scene = AttackScene {
            network: network.machine(&[IpAddr::V4(Ipv4Addr::new(10, 0, 9, 9))]),
            relay: RelayLink { key: key.public(), admission: String::new(), address: "10.0.0.1:443".into() },
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            chance,
            known: Known::default(),
            links: BTreeMap::new(),
            mangler: Mangler::default(),
            memory: None,
            loot: Rc::default(),
            answers: 0,
        };
        let mut arena = Arena { network, clock, scene, captured: Captured::default() };
        test(&mut arena).await;
        running.abort();
    });
}

fn relay(
    network: &MemoryWorld,
    clock: &Arc<SimulatedClock>,
    key: &SigningKey,
    store: MemoryStore,
    chance: &mut Chance,
) -> Relay {
    let store = Engine::Memory(store);
    let settings = crate::open_relay::settings(key, store.epoch());
    let parts = RelayParts {
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        network: network.machine(&[RELAY]),
        settings,
        store,
        rng_seed: Some([9; 32]),
        identity: RelayIdentity::new(key).expect("a key makes an identity"),
        secrets: EndpointSecrets::draw(chance),
        listen: vec![SocketAddr::from((RELAY, 443))],
    };
    Relay::start(parts).expect("nobody listens there")
}

impl Arena {
    async fn act(&mut self, deed: AttackerDeed) -> Vec<String> {
        act(&deed, &mut self.scene, &self.captured).await
    }

    /// A person's device, with an eavesdropper at its link.
    fn person(&mut self, id: PersonId) -> Host {
        let network = self.network.machine(&[IpAddr::V4(Ipv4Addr::new(10, 0, 1, id))]);
        let network = Wiretapped::new(network, id, &self.captured, &self.scene.mangler);
        let parts = Parts {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            network: Arc::new(network),
            random: Box::new(self.scene.chance.fork(&format!("person {id}"))),
            store: Box::new(DeviceMemory::new()),
            dial: DialOptions { rng_seed: Some([id; 32]), ..DialOptions::default() },
        };
        create(parts, &self.scene.relay).expect("an empty store takes a device")
    }
}

async fn ask(host: &mut Host, request: Request) -> Reply {
    host.execute(request, &mut |_| {}).await.expect("the relay is there")
}

async fn invite(host: &mut Host) -> String {
    match ask(host, Request::Invite { name: "Other".into() }).await {
        Reply::Invited { link, .. } => link,
        other => panic!("{other:?}"),
    }
}

async fn accept(host: &mut Host, link: String) {
    ask(host, Request::Accept { name: "Other".into(), link, in_person: false }).await;
}

fn note(seconds: usize) -> Request {
    let voice = Voice {
        codec: 4,
        toc: 0x5c,
        packets: vec![vec![7; 80]; seconds * 1_000 / 60],
        duration_millis: u32::try_from(seconds).expect("short") * 1_000,
        loudness: 19,
        waveform: [0; 24],
        complete: true,
    };
    Request::Send { to: "Other".into(), voice, lifetime_days: None, wait: Wait::Stored, timeout_millis: 60_000 }
}

#[test]
fn what_a_phone_says_first_is_good_once_it_comes_hours_later_but_moves_nothing() {
    with_a_relay(async |arena| {
        simulation::begin(None);
        assert_eq!(arena.act(AttackerDeed::HoldBack { hours: 13 }).await, Vec::<String>::new());
        assert_eq!(simulation::reached().get(&Situation::WaitedForHandshake), Some(&1), "the relay took no early data");
    });
    for (switch, what) in [
        (Switch::SeenMovesEarly, "what the relay observed of a word has changed without its owner"),
        (Switch::HandshakeNotAwaited, "0 parcels where 1 were left"),
    ] {
        simulation::begin(Some(switch));
        with_a_relay(async |arena| {
            let breaches = arena.act(AttackerDeed::HoldBack { hours: 13 }).await;
            assert!(breaches.len() == 1 && breaches[0].ends_with(what), "{}: {breaches:?}", switch.name());
        });
        simulation::begin(None);
    }
}

#[test]
fn who_asks_for_too_much_in_one_breath_is_answered_or_sent_away() {
    with_a_relay(async |arena| {
        assert_eq!(arena.act(AttackerDeed::Pour { requests: 3_000 }).await, Vec::<String>::new());
    });
}

#[test]
fn whoever_guesses_gets_nothing_and_learns_nothing() {
    with_a_relay(async |arena| {
        assert_eq!(arena.act(AttackerDeed::Guess { tries: 24 }).await, Vec::<String>::new());
        // Six questions at four doors, three at four with a proof of one's own, what is forged, and what is older.
        assert_eq!(arena.scene.answers, 24 * (6 * 4 + 3 * 4) + 9 + 1);
    });
}

#[test]
fn a_relay_that_checks_no_signature_is_found_out() {
    for (switch, what) in [
        (Switch::ProofNotChecked, "a proof with another key was accepted"),
        (Switch::HeaderNotChecked, "a parcel for somebody else's mailbox was accepted"),
        (Switch::MarkNotChecked, "a parcel that another key vouches for was accepted"),
        (Switch::MarkNotChecked, "a parcel's header with other bytes behind it was accepted"),
    ] {
        simulation::begin(Some(switch));
        with_a_relay(async |arena| {
            let breaches = arena.act(AttackerDeed::Guess { tries: 1 }).await;
            assert!(breaches.iter().any(|breach| breach.starts_with(what)), "{}: {breaches:?}", switch.name());
        });
        simulation::begin(None);
    }
}

#[test]
fn whoever_guesses_with_a_stolen_list_gets_nothing_and_changes_nothing() {
    with_a_relay(async |arena| {
        let network = Arc::clone(&arena.scene.network);
        let mut keeper = Keeper::open(&mut arena.scene, &network).await.expect("the relay is there");
        let estate = keeper.lay_out(&mut arena.scene).await.expect("there is room");
        arena.scene.known =
            Known { headers: vec![estate.parcel.parcel.header.clone()], slots: vec![estate.told.slot()] };
        assert_eq!(arena.act(AttackerDeed::Guess { tries: 24 }).await, Vec::<String>::new());
        assert_eq!(estate.damage(&mut arena.scene, Meanwhile::Nothing).await, Vec::<String>::new());
    });
}

#[test]
fn what_is_gone_is_missed() {
    with_a_relay(async |arena| {
        let network = Arc::clone(&arena.scene.network);
        let mut keeper = Keeper::open(&mut arena.scene, &network).await.expect("the relay is there");
        let estate = keeper.lay_out(&mut arena.scene).await.expect("there is room");
        keeper.release(&estate).await.expect("the session goes on");
        assert_eq!(estate.damage(&mut arena.scene, Meanwhile::Nothing).await, ["0 parcels where 1 were left"]);
        assert_eq!(estate.damage(&mut arena.scene, Meanwhile::Released).await, Vec::<String>::new());
    });
}

#[test]
fn an_answer_of_another_content_or_another_time_tells_two_doors_apart() {
    let heard = |millis: u64, bytes: &[u8]| -> Vec<Answer> {
        (0..12).map(|nth| Answer { millis: millis + nth % 3, bytes: bytes.to_vec() }).collect()
    };
    let told = |millis: u64, bytes: &[u8]| {
        let nothing = ((Question::Seen, NOTHING), heard(400, &[0; 9]));
        let something = ((Question::Seen, "a word"), heard(millis, bytes));
        told_apart(&[nothing, something].into()).len()
    };
    assert_eq!(told(400, &[0; 9]), 0);
    assert_eq!(told(402, &[0; 9]), 0, "times that overlap tell nothing");
    assert_eq!(told(403, &[0; 9]), 1);
    assert_eq!(told(400, &[0; 8]), 1);
    assert_eq!(told(400, &[1; 9]), 1);
}

#[test]
fn datagrams_sent_again_change_nothing_and_bring_little_back() {
    with_a_relay(async |arena| {
        let minute = Duration::from_secs(60);
        arena.captured.listen_to(1, minute);
        let (mut one, mut other) = (arena.person(1), arena.person(2));
        let link = invite(&mut one).await;
        accept(&mut other, link).await;
        ask(&mut one, Request::Sync { timeout_millis: 20_000 }).await;
        let Reply::Sent(sent) = ask(&mut one, note(10)).await else { panic!() };
        assert_eq!(sent.mark, NoteMark::AtRelay);
        assert!(arena.captured.last(1, 60).len() > 20);
        assert_eq!(arena.captured.last(2, 60), [], "nobody listens there");
        assert_eq!(arena.act(AttackerDeed::ReplayDatagrams { of: 1, seconds: 60 }).await, Vec::<String>::new());
        ask(&mut other, Request::Sync { timeout_millis: 20_000 }).await;
        let Reply::Notes(notes) = ask(&mut other, Request::Inbox { all: false }).await else { panic!() };
        assert_eq!(notes.len(), 1);
    });
}

#[test]
fn datagrams_that_the_relay_never_had_bring_hardly_more_than_they_cost_whenever_the_link_broke() {
    with_a_relay(async |arena| {
        arena.captured.listen_to(1, Duration::from_secs(600));
        let mut one = arena.person(1);
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));
        invite(&mut one).await;
        let mut overheard = 0;
        for breaks_after in [600, 1_000, 1_400] {
            let speaking = async { one.execute(note(30), &mut |_| {}).await };
            let breaking = async {
                tokio::time::sleep(Duration::from_millis(breaks_after)).await;
                arena.network.set_direction(ip, Way::Up, false);
            };
            let (_unreachable, ()) = tokio::join!(speaking, breaking);
            overheard += arena.captured.last(1, 600).len();
            assert_eq!(arena.act(AttackerDeed::ReplayDatagrams { of: 1, seconds: 600 }).await, Vec::<String>::new());
            arena.network.set_direction(ip, Way::Up, true);
        }
        assert!(overheard > 10, "{overheard}");
    });
}

#[test]
fn datagrams_without_their_last_byte_are_worth_nothing_and_the_phone_finds_the_other_way() {
    with_a_relay(async |arena| {
        let mut one = arena.person(1);
        arena.act(AttackerDeed::Truncate { of: 1, seconds: 40 }).await;
        let began = tokio::time::Instant::now();
        invite(&mut one).await;
        assert!(began.elapsed() > TCP_HEAD_START, "over TCP, which this does not touch");
        tokio::time::sleep(Duration::from_secs(40)).await;
        let began = tokio::time::Instant::now();
        ask(&mut one, Request::Sync { timeout_millis: 20_000 }).await;
        assert!(began.elapsed() < TCP_HEAD_START, "afterwards over UDP again");
    });
}

#[test]
fn a_flood_of_silent_connections_ends_and_leaves_room() {
    with_a_relay(async |arena| {
        assert_eq!(arena.act(AttackerDeed::Flood { connections: 40 }).await, Vec::<String>::new());
        let mut one = arena.person(1);
        invite(&mut one).await;
    });
}

#[test]
fn a_hoarder_fills_no_more_than_a_mailbox_may_hold() {
    with_a_relay(async |arena| {
        assert_eq!(arena.act(AttackerDeed::Hoard { parcels: 20 }).await, Vec::<String>::new());
        let mut one = arena.person(1);
        invite(&mut one).await;
    });
}

#[test]
fn a_thief_who_comes_second_finds_a_link_used() {
    with_a_relay(async |arena| {
        let (mut one, mut other) = (arena.person(1), arena.person(2));
        let link = invite(&mut one).await;
        accept(&mut other, link.clone()).await;
        arena.scene.links.insert((1, 2), link);
        assert_eq!(arena.act(AttackerDeed::StealLink { from: 1, to: 2 }).await, Vec::<String>::new());
        assert_eq!(*arena.scene.loot.borrow(), [Loot { from: 1, to: 2, opened: false, notes: Vec::new() }]);
    });
}

#[test]
fn a_thief_who_comes_first_gets_what_is_said_to_a_stranger_and_nothing_more() {
    with_a_relay(async |arena| {
        let mut one = arena.person(1);
        let link = invite(&mut one).await;
        arena.scene.links.insert((1, 2), link);
        let deed = AttackerDeed::StealLink { from: 1, to: 2 };
        let stealing = act(&deed, &mut arena.scene, &arena.captured);
        let speaking = async {
            tokio::time::sleep(Duration::from_secs(120)).await;
            ask(&mut one, Request::Sync { timeout_millis: 20_000 }).await;
            ask(&mut one, note(3)).await;
        };
        let (breaches, ()) = tokio::join!(stealing, speaking);
        assert_eq!(breaches, Vec::<String>::new());
        let loot = arena.scene.loot.take();
        assert!(loot[0].opened && loot[0].notes.len() == 1, "{loot:?}");
    });
}

#[test]
fn only_phones_whose_datagrams_will_be_sent_again_are_listened_to() {
    let replay = |of, seconds| Event { at: 5, deed: Deed::Attacker(AttackerDeed::ReplayDatagrams { of, seconds }) };
    let plan = Plan {
        seed: 1,
        profile: "test".into(),
        people: Vec::new(),
        relay: RelayMachine { disk_bytes: None, sync_millis: 5, drift_ppm: 0 },
        events: vec![replay(3, 10), replay(3, 60)],
        calm_at: 0,
    };
    let captured = Captured::of(&plan);
    assert!(captured.listens_to(3) && !captured.listens_to(0));
}

//! What a machine tells of its own network: a device looks for its relay at once, and takes what is under way along.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use zajil_client::engine::api::{NoteMark, Reply, Request, Wait};
use zajil_client::engine::host::{Call, Host};
use zajil_net::links::Profile;
use zajil_net::memory::LinkState;
use zajil_proto::simulation::{self, Situation};

use crate::{World, confirm, in_one_runtime, pair_by_link, send, sync, voice};

const HOUR: Duration = Duration::from_secs(3_600);
const OUTSIDE: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::new(100, 64, 0, 1)), IpAddr::V4(std::net::Ipv4Addr::new(100, 64, 0, 2))];

/// A device that holds its links, and how to ask it.
fn daemon(mut host: Host) -> mpsc::Sender<Call> {
    let (calls, requests) = mpsc::channel(1);
    tokio::task::spawn_local(async move { host.serve(requests, std::future::pending()).await });
    calls
}

async fn ask(calls: &mpsc::Sender<Call>, request: Request) -> Reply {
    let (progress, _) = mpsc::channel(1);
    let (reply, answer) = oneshot::channel();
    assert!(calls.send(Call { request, progress, reply }).await.is_ok());
    answer.await.unwrap().unwrap()
}

async fn mark(calls: &mpsc::Sender<Call>, number: u32) -> NoteMark {
    let Reply::Note(view) = ask(calls, Request::Note { number }).await else { panic!() };
    view.mark
}

fn reached(situation: Situation) -> u64 {
    simulation::reached().get(&situation).copied().unwrap_or_default()
}

/// A mother whose device holds its links, her machine, and her father, who is met and confirmed.
async fn two(world: &mut World) -> (mpsc::Sender<Call>, IpAddr) {
    let ((mut mother, address), (mut father, _)) = (world.person(), world.person());
    pair_by_link(&mut mother, &mut father).await;
    confirm(&mut mother, &mut father).await;
    sync(&mut mother).await;
    simulation::begin(None);
    (daemon(mother), address)
}

/// Whether a note has left two seconds after a link has come back that was gone in this way for seven hours.
fn leaves_at_once(gone: LinkState) -> (bool, u64) {
    let mut left = (false, 0);
    in_one_runtime(async {
        let mut world = World::new();
        let (mother, address) = two(&mut world).await;
        sleep(Duration::from_secs(5)).await;
        world.network.set_link(address, gone);
        let Reply::Sent(sent) = ask(&mother, send("Father", voice(3), Wait::Device)).await else { panic!() };
        // By now it looks for the relay once a minute.
        sleep(7 * HOUR + Duration::from_secs(10)).await;
        assert_eq!(mark(&mother, sent.number).await, NoteMark::OnDevice);
        world.network.set_link(address, LinkState::Up);
        sleep(Duration::from_secs(2)).await;
        left = (mark(&mother, sent.number).await == NoteMark::AtRelay, reached(Situation::NetworkChanged));
    });
    left
}

#[test]
fn a_device_that_has_long_been_dark_meets_its_relay_as_soon_as_its_machine_tells_of_a_link() {
    assert_eq!(leaves_at_once(LinkState::Down), (true, 2), "it went, and it came");
    assert_eq!(leaves_at_once(LinkState::Silent), (false, 0), "of a link that carries nothing no machine tells");
}

#[test]
fn a_note_under_way_goes_on_from_another_network_without_a_new_connection() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mother, address) = two(&mut world).await;
        let (up, down) = Profile::Edge.settings();
        world.network.set_access(address, up, down);
        world.network.set_nat(address, OUTSIDE[0]);
        sleep(Duration::from_secs(60)).await;
        let note = send("Father", voice(60), Wait::Device);
        let Reply::Sent(sent) = ask(&mother, note).await else { panic!() };
        sleep(Duration::from_secs(3)).await;
        let met = reached(Situation::EarlyDataAccepted) + reached(Situation::EarlyDataRefused);
        let sockets = world.network.traffic(address).sockets_opened;
        world.network.set_link(address, LinkState::Down);
        world.network.set_nat(address, OUTSIDE[1]);
        world.network.set_link(address, LinkState::Up);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(mark(&mother, sent.number).await, NoteMark::AtRelay);
        assert_eq!(world.network.traffic(address).sockets_opened, sockets + 1, "it moved once");
        assert_eq!(reached(Situation::EarlyDataAccepted) + reached(Situation::EarlyDataRefused), met);
    });
}

//! Power cuts, lost stores, full disks, and what is wiped when nothing happens.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use zajil_client::engine::api::{Direction, Failure, NoteMark, NoteView, Pairing, Receipts, Reply, Request, Wait};
use zajil_client::engine::host::{Host, open};
use zajil_client::store::{Fault, Kind, MemoryDisk};
use zajil_net::memory::{LinkState, WayTraffic};

use crate::{World, ask, call, confirm, in_one_runtime, pair_by_link, refuse, send, sync, voice};

/// A person whose device loses its power at a chosen commit, and who then simply switches it on again and repeats what they did.
struct Stubborn {
    host: Option<Host>,
    disk: MemoryDisk,
    address: IpAddr,
    cuts: u32,
}

impl Stubborn {
    fn new(world: &mut World) -> Self {
        let disk = MemoryDisk::new();
        let (host, address) = world.person_on(&disk);
        Self { host: Some(host), disk, address, cuts: 0 }
    }

    async fn ask(&mut self, world: &World, request: Request) -> Result<Reply, Failure> {
        loop {
            let host = self.host.as_mut().unwrap();
            match host.execute(request.clone(), &mut |_| {}).await {
                Err(Failure::Store(_)) => {
                    self.cuts += 1;
                    assert!(self.cuts < 3, "one cut leads to one restart");
                    self.host = None;
                    self.disk.crash();
                    self.host = Some(open(world.parts(self.address, self.disk.open().unwrap())).unwrap());
                    // A note that was sealed is not sealed again: its sender sees it in the list.
                    if matches!(request, Request::Send { .. }) && !self.notes(true).await.is_empty() {
                        return Ok(Reply::Sent(self.notes(true).await.remove(0)));
                    }
                }
                answer => return answer,
            }
        }
    }

    async fn notes(&mut self, all: bool) -> Vec<NoteView> {
        let Ok(Reply::Notes(notes)) = self.host.as_mut().unwrap().execute(Request::Inbox { all }, &mut |_| {}).await
        else {
            panic!()
        };
        notes
    }
}

/// Two people pair, one sends, the other hears, and the marks come back, whatever one cut does.
async fn whole_story(world: &World, mother: &mut Stubborn, father: &mut Stubborn) {
    let sync = || Request::Sync { timeout_millis: 20_000 };
    let Ok(Reply::Invited { link, .. }) = mother.ask(world, Request::Invite { name: "Father".into() }).await else {
        panic!()
    };
    let accept = Request::Accept { name: "Mother".into(), link, in_person: false };
    let accepted = father.ask(world, accept).await;
    assert!(matches!(accepted, Ok(Reply::Accepted { .. })), "{accepted:?}");
    for _ in 0..3 {
        mother.ask(world, sync()).await.unwrap();
        father.ask(world, sync()).await.unwrap();
    }
    let verify = |name: &str, digits| Request::Verify { name: name.into(), digits };
    let Ok(Reply::Digits { digits, .. }) = mother.ask(world, verify("Father", None)).await else { panic!() };
    father.ask(world, verify("Mother", Some(digits.clone()))).await.unwrap();
    mother.ask(world, verify("Father", Some(digits))).await.unwrap();
    for (person, name) in [(&mut *mother, "Father"), (&mut *father, "Mother")] {
        let set = Request::SetContact { name: name.into(), receipts: Some(Receipts::AtOnce), seen: None };
        person.ask(world, set).await.unwrap();
    }
    let spoken = voice(2);
    mother.ask(world, send("Father", spoken.clone(), Wait::Stored)).await.unwrap();
    for _ in 0..2 {
        mother.ask(world, sync()).await.unwrap();
        father.ask(world, sync()).await.unwrap();
    }
    let notes = father.notes(true).await;
    assert_eq!(notes.len(), 1, "one note was sent: {notes:?}");
    assert_eq!(notes[0].mark, NoteMark::Delivered);
    let Ok(Reply::Voice { voice, .. }) = father.ask(world, Request::Voice { number: notes[0].number }).await else {
        panic!()
    };
    assert_eq!(voice, spoken);
    father.ask(world, Request::Heard { number: notes[0].number }).await.unwrap();
    for _ in 0..2 {
        father.ask(world, sync()).await.unwrap();
        mother.ask(world, sync()).await.unwrap();
    }
    let sent = mother.notes(true).await;
    assert_eq!((sent.len(), sent[0].mark), (1, NoteMark::Heard));
}

#[test]
fn a_power_cut_at_any_commit_of_either_device_loses_nothing_and_doubles_nothing() {
    for who in 0..2 {
        for fault in [Fault::CutBefore, Fault::CutAfter] {
            for commit in 0.. {
                let mut reached = false;
                in_one_runtime(async {
                    let mut world = World::new();
                    let (mut mother, mut father) = (Stubborn::new(&mut world), Stubborn::new(&mut world));
                    let unlucky = if who == 0 { &mother } else { &father };
                    unlucky.disk.fail_commit_after(commit, fault);
                    println!("device {who}, {fault:?} at commit {commit}");
                    whole_story(&world, &mut mother, &mut father).await;
                    reached = mother.cuts + father.cuts > 0;
                });
                if !reached {
                    assert!(commit > 20, "the story has more commits than that");
                    break;
                }
            }
        }
    }
}

#[test]
fn an_invitation_that_nobody_answers_ends_and_leaves_its_name_free() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, _) = world.person();
        let invite = || Request::Invite { name: "Father".into() };
        let Reply::Invited { link: first, .. } = ask(&mut mother, invite()).await else { panic!() };
        let Reply::Invited { link: again, .. } = ask(&mut mother, invite()).await else { panic!() };
        assert_eq!(first, again, "asked again, it is the same invitation");
        world.clock.shift_wall(7 * 24 * 60 + 1);
        sync(&mut mother).await;
        let Reply::Contacts(contacts) = ask(&mut mother, Request::Contacts).await else { panic!() };
        assert_eq!(contacts[0].pairing, Pairing::Expired);
        sync(&mut mother).await;
        let Reply::Invited { link, .. } = ask(&mut mother, invite()).await else { panic!() };
        assert_ne!(first, link);
    });
}

#[test]
fn two_who_exchange_notes_over_a_relay_that_loses_its_store_again_and_again_miss_nothing_in_the_end() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        for round in 0..80 {
            ask(&mut mother, send("Father", voice(1), Wait::Device)).await;
            ask(&mut father, send("Mother", voice(1), Wait::Device)).await;
            sync(&mut mother).await;
            if round % 20 == 10 {
                world.lose_relays_store().await;
            }
            sync(&mut father).await;
        }
        for _ in 0..4 {
            sync(&mut mother).await;
            sync(&mut father).await;
        }
        for host in [&mut mother, &mut father] {
            let Reply::Notes(notes) = ask(host, Request::Inbox { all: true }).await else { panic!() };
            let (out, come): (Vec<_>, Vec<_>) = notes.iter().partition(|note| note.direction == Direction::Out);
            assert_eq!((out.len(), come.len()), (80, 80));
            assert!(notes.iter().all(|note| note.mark == NoteMark::Delivered), "{notes:?}");
        }
    });
}

#[test]
fn a_full_disk_is_told_and_what_was_not_written_is_as_if_it_had_not_been() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut father, _) = world.person();
        let disk = MemoryDisk::new();
        let (mut mother, _) = world.person_on(&disk);
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        for commit in 0..4 {
            disk.fail_commit_after(commit, Fault::Full);
            let sent = mother.execute(send("Father", voice(1), Wait::Stored), &mut |_| {}).await;
            assert!(matches!(sent, Err(Failure::DiskFull) | Ok(Reply::Sent(_))), "{sent:?}");
            ask(&mut mother, send("Father", voice(2), Wait::Stored)).await;
        }
        for _ in 0..2 {
            sync(&mut mother).await;
            sync(&mut father).await;
        }
        let Reply::Notes(notes) = ask(&mut father, Request::Inbox { all: false }).await else { panic!() };
        assert!(notes.len() >= 4 && notes.iter().all(|note| note.mark == NoteMark::Delivered), "{notes:?}");
    });
}

#[test]
fn an_invitation_that_could_not_be_given_up_for_a_full_disk_can_still_be_answered() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut father, _) = world.person();
        let disk = MemoryDisk::new();
        let (mut mother, address) = world.person_on(&disk);
        let invite = |name: &str| Request::Invite { name: name.into() };
        world.network.set_link(address, LinkState::Down);
        disk.fail_commit_after(1, Fault::Full);
        assert_eq!(
            refuse(&mut mother, invite("Father")).await,
            Failure::DiskFull,
            "it was kept, and cannot be forgotten"
        );
        world.network.set_link(address, LinkState::Up);
        // Whatever else writes the device's keys down.
        assert!(matches!(ask(&mut mother, invite("Aunt")).await, Reply::Invited { .. }));
        drop(mother);
        let mut mother = open(world.parts(address, disk.open().unwrap())).unwrap();
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
    });
}

#[test]
fn what_is_left_of_erased_keys_is_wiped_after_a_meeting_and_while_a_daemon_rests() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, _) = world.person();
        let mut father = Stubborn::new(&mut world);
        pair_by_link(&mut mother, father.host.as_mut().unwrap()).await;
        ask(&mut mother, Request::Sync { timeout_millis: 20_000 }).await;
        let before = father.disk.scrubs();
        father.ask(&world, Request::Sync { timeout_millis: 20_000 }).await.unwrap();
        assert!(father.disk.scrubs() > before, "after a meeting");

        let (calls, requests) = mpsc::channel(4);
        let mut host = father.host.take().unwrap();
        let daemon = tokio::task::spawn_local(async move { host.serve(requests, std::future::pending()).await });
        ask(&mut mother, send("Father", voice(1), Wait::Stored)).await;
        let before = father.disk.scrubs();
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(father.disk.scrubs() > before, "while the daemon rests");
        assert!(matches!(call(&calls, Request::Stop).await, Ok(Reply::Stopping)));
        daemon.await.unwrap().unwrap();
    });
}

#[test]
fn a_phone_without_room_leaves_its_relay_alone_and_one_with_a_little_room_sends_and_fetches_nothing() {
    // Found by simulated disks 2786 and 2969: a phone that was full for an hour and a half was sent 8 MB that it threw away.
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, _) = world.person();
        let disk = MemoryDisk::new();
        let (mut father, address) = world.person_on(&disk);
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        ask(&mut mother, send("Father", voice(500), Wait::Stored)).await;
        world.network.set_link(address, LinkState::Down);
        ask(&mut father, send("Mother", voice(200), Wait::Device)).await;
        world.network.set_link(address, LinkState::Up);
        let (calls, requests) = mpsc::channel(4);
        let daemon = tokio::task::spawn_local(async move { father.serve(requests, std::future::pending()).await });
        let mut earlier = (0, 0);
        let mut within = async |seconds| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let traffic = world.network.traffic(address);
            let bytes = |way: &WayTraffic| way.offered.bytes + way.stream_bytes;
            let after = (bytes(&traffic.down), bytes(&traffic.up));
            let (came, left) = (after.0 - earlier.0, after.1 - earlier.1);
            earlier = after;
            (came, left)
        };
        let marks = async || {
            let Ok(Reply::Notes(notes)) = call(&calls, Request::Inbox { all: true }).await else { panic!() };
            notes.iter().map(|note| note.mark).collect::<Vec<_>>()
        };
        within(0).await;
        disk.set_capacity(Some(disk.bytes() + 50_000));
        let (came, left) = within(3_600).await;
        assert!((40_000..200_000).contains(&came), "{came} bytes came to a phone that had room for 50,000");
        assert!(left < 200_000, "{left} bytes left, and nothing of it could be noted");
        let is_full = async || {
            let Ok(Reply::Status(status)) = call(&calls, Request::Status).await else { panic!() };
            status.disk_full
        };
        assert!(is_full().await);
        let held = |disk: &MemoryDisk| -> usize {
            disk.records(Kind::IncomingBody).iter().map(|(_, value)| value.len()).sum()
        };
        let before = held(&disk);
        disk.set_capacity(Some(disk.bytes() + 60_000));
        let (_, left) = within(3_600).await;
        assert!(left < 400_000, "{left} bytes left");
        assert_eq!(held(&disk), before, "nothing came");
        assert!(marks().await.contains(&NoteMark::AtRelay), "it was sent");
        disk.set_capacity(None);
        within(300).await;
        assert!(marks().await.contains(&NoteMark::Delivered), "the other one came");
        assert!(!is_full().await);
        daemon.abort();
    });
}

//! The end of a run: faults stop, everybody goes online, and all that waits has to settle.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use zajil_client::engine::api::{Reply, Request};
use zajil_client::engine::inspection::{keys_of_opened_notes, left_behind};
use zajil_client::store::StoreError;
use zajil_net::memory::LinkState;

use super::phone::{self, Link, Phone, ask};
use super::relay;
use super::{World, deeds, eyes, person_named, secrets, trouble};
use crate::sim::plan::{Habit, MINUTE, Millis, PersonId};
use crate::sim::record::{PhoneLoad, Seen};

/// Between two rounds in which everybody meets the relay, listens and looks.
const ROUND: Duration = Duration::from_secs(20);
/// Rounds without anything new after which nothing more is expected.
const QUIET_ROUNDS: u32 = 3;
/// What an open link has besides the transfers themselves, milliseconds.
const OPEN_LINK: Millis = 10 * MINUTE;

/// Ends all faults and gives the world the time it may take.
pub(super) async fn calm(world: &Rc<World>) {
    relay::set_link(world, LinkState::Up);
    let disk = &world.relay.disk;
    disk.set_capacity(None);
    disk.set_sync_time(Duration::from_millis(world.plan.relay.sync_millis));
    relay::start(world);
    for phone in world.phones() {
        phone.disk.set_capacity(None);
        phone.disk.clear_fault();
        phone.access.borrow_mut().profile.clone_from(&phone.person.access);
        world.set_access(phone);
        phone::set_link(world, phone, Link::Up);
        phone::switch_on(world, phone);
    }
    let deadline = world.now() + OPEN_LINK + 2 * transfers(world).await;
    let mut quiet = 0;
    while world.now() < deadline && quiet < QUIET_ROUNDS {
        round(world).await;
        tokio::time::sleep(ROUND).await;
        quiet = if is_settled(world).await { quiet + 1 } else { 0 };
    }
    ask_all(world).await;
    // To ask is to meet the relay, where what has become due by now is put, too: whoever has their answer hangs up before it has it.
    let mut rounds = 0;
    while rounds < QUIET_ROUNDS && something_waits(world).await {
        round(world).await;
        tokio::time::sleep(ROUND).await;
        rounds += 1;
    }
    load(world).await;
    if let Some(words) = world.audit.with(|auditor| world.relay.words(|slot| !auditor.owns_slot(slot))) {
        world.see(Seen::WordsLeft(words));
    }
}

/// How long everything that waits takes on the slowest way there is: up and down, one after the other.
async fn transfers(world: &Rc<World>) -> Millis {
    let mut millis = 0;
    for phone in world.phones() {
        if let Ok(Reply::Status(status)) = ask(world, phone, Request::Status).await {
            // Up at the sender's rate, down at the reader's: nobody's is below 20 kbit/s.
            millis += 2 * status.waiting_bytes * 8 / 20;
        }
        millis += eyes::unheard(phone).len() as u64 * 1_000;
    }
    // What the relay holds still has to come down.
    millis + world.relay.load(&world.network).disk_bytes * 8 / 20
}

/// Lets everybody meet the relay, listen and look, all at once, and waits until they have.
async fn round(world: &Rc<World>) {
    let mut people = JoinSet::new();
    for phone in world.phones() {
        // It may have restarted by itself, or not: a person would look.
        phone::switch_on(world, phone);
        let (seen_by, phone) = (Rc::clone(world), Rc::clone(phone));
        people.spawn_local(async move {
            if phone.person.habit == Habit::Commands {
                deeds::sync(&seen_by, &phone).await;
            }
            eyes::listen(&seen_by, &phone, 0).await;
            eyes::look(&seen_by, &phone).await;
        });
    }
    while let Some(ended) = people.join_next().await {
        if ended.is_err() {
            world.broken("somebody's round ended by a panic".into());
        }
    }
}

/// Lets everybody ask about all they know who have left a word: whatever was lost or put back, now it must be there.
async fn ask_all(world: &Rc<World>) {
    let owners: BTreeSet<PersonId> = world.entries.borrow().iter().filter_map(|entry| wrote(&entry.seen)).collect();
    let mut people = JoinSet::new();
    for phone in world.phones() {
        let known: Vec<PersonId> = phone.view.borrow().contacts.keys().filter_map(|name| person_named(name)).collect();
        let (seen_by, phone, owners) = (Rc::clone(world), Rc::clone(phone), owners.clone());
        people.spawn_local(async move {
            for of in known.into_iter().filter(|of| owners.contains(of)) {
                eyes::ask_seen(&seen_by, &phone, of, true).await;
            }
        });
    }
    while let Some(ended) = people.join_next().await {
        if ended.is_err() {
            world.broken("somebody's questions ended by a panic".into());
        }
    }
}

/// Who wrote a word that their program took.
const fn wrote(seen: &Seen) -> Option<PersonId> {
    match seen {
        Seen::WordTaken { by, .. } => Some(*by),
        _ => None,
    }
}

/// Whether somebody's phone says that something waits for the relay.
async fn something_waits(world: &Rc<World>) -> bool {
    for phone in world.phones() {
        match ask(world, phone, Request::Status).await {
            Ok(Reply::Status(status)) if status.waiting == 0 => {}
            _ => return true,
        }
    }
    false
}

/// Whether nothing waits anywhere, as people see it.
async fn is_settled(world: &Rc<World>) -> bool {
    if world.pairings_under_way() > 0 {
        return false;
    }
    for phone in world.phones() {
        let Ok(Reply::Status(status)) = ask(world, phone, Request::Status).await else { return false };
        if status.waiting > 0 || status.unheard > 0 || !eyes::unheard(phone).is_empty() {
            return false;
        }
    }
    // What the auditor keeps may stay.
    world.audit.with(|auditor| !world.relay.holds(|mailbox| !auditor.owns(mailbox))).unwrap_or(false)
}

/// Writes down what every machine holds.
pub(super) async fn load(world: &Rc<World>) {
    secrets::gather(world);
    for phone in world.phones() {
        phone_load(world, phone).await;
    }
    world.see(Seen::RelayLoad(world.relay.load(&world.network)));
    let held = |whose: Option<PersonId>| {
        let held = world.accounts.held(whose.map_or(relay::ACCOUNT, phone::account_of))?;
        Some(Seen::Memory(whose, held))
    };
    let machines = world.phones().map(|phone| Some(phone.id)).chain([None]);
    machines.filter_map(held).for_each(|seen| world.see_untraced(seen));
}

async fn phone_load(world: &Rc<World>, phone: &Rc<Phone>) {
    let status = match ask(world, phone, Request::Status).await {
        Ok(Reply::Status(status)) => Some(status),
        _ => None,
    };
    let (tasks, sockets) = (world.network.tasks(phone.ip), world.network.sockets(phone.ip));
    let traffic = world.traffic(phone);
    let (connections, sent_bytes) = (traffic.connections, traffic.sent_bytes);
    let looked = |found: Result<usize, StoreError>| {
        found.unwrap_or_else(|error| {
            world.broken(trouble("the disk of a phone", &error));
            0
        })
    };
    let opened_keys = looked(keys_of_opened_notes(&phone.disk));
    let left_behind = looked(left_behind(&phone.disk));
    let disk_bytes = phone.disk.bytes();
    let load = PhoneLoad { tasks, sockets, connections, sent_bytes, disk_bytes, opened_keys, left_behind, status };
    world.see(Seen::PhoneLoad(phone.id, load));
}

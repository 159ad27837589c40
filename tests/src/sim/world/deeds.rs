//! Plays what a plan says.

use std::rc::Rc;
use std::time::Duration;

use zajil_client::engine::api::{Reply, Request, Wait, WordState};
use zajil_client::store::Fault;
use zajil_net::memory::LinkState;

use super::phone::{self, Link, NoAnswer, Phone, ask};
use super::relay;
use super::{World, eyes, name, pairing, speech};
use crate::sim::plan::{Deed, DiskFault, PersonDeed, PersonId, RelayDeed};
use crate::sim::record::{Seen, Taken};

/// Begins one event of the plan. What takes time goes on by itself.
pub(super) fn begin(world: &Rc<World>, deed: &Deed) {
    match deed {
        Deed::Person(who, deed) => {
            if let Some(phone) = world.phone(*who) {
                person(world, &phone, deed);
            }
        }
        Deed::Relay(deed) => relay(world, deed),
        Deed::Attacker(deed) => super::attack::begin(world, deed),
        Deed::Audit { things } => super::audit::begin(world, *things),
    }
}

fn person(world: &Rc<World>, phone: &Rc<Phone>, deed: &PersonDeed) {
    match deed {
        PersonDeed::LinkUp => phone::set_link(world, phone, Link::Up),
        PersonDeed::LinkDown => phone::set_link(world, phone, Link::Down),
        PersonDeed::LinkSilent => phone::set_link(world, phone, Link::Silent),
        PersonDeed::OneWay { out } => phone::set_link(world, phone, if *out { Link::OnlyOut } else { Link::OnlyIn }),
        PersonDeed::Access(profile) => {
            profile.clone_into(&mut phone.access.borrow_mut().profile);
            world.set_access(phone);
        }
        PersonDeed::Udp { passes } => {
            phone.access.borrow_mut().blocks_udp = !passes;
            world.set_access(phone);
        }
        PersonDeed::Rebind => world.network.rebind_nat(phone.ip),
        PersonDeed::PowerCut => phone::cut_power(world, phone),
        PersonDeed::SwitchOn => phone::switch_on(world, phone),
        PersonDeed::DiskFault { commits, fault } => phone.disk.fail_commit_after(*commits, disk_fault(*fault)),
        PersonDeed::DiskBytes(bytes) => phone.disk.set_capacity(*bytes),
        PersonDeed::Hesitate { with, millis } => {
            let until = tokio::time::Instant::now() + Duration::from_millis(*millis);
            world.hesitations.borrow_mut().insert((phone.id, *with), until);
        }
        PersonDeed::ClockJump(minutes) => phone.clock.shift_wall(i64::from(*minutes)),
        PersonDeed::SwitchOff
        | PersonDeed::Pair { .. }
        | PersonDeed::Send { .. }
        | PersonDeed::Listen { .. }
        | PersonDeed::Look
        | PersonDeed::WriteWord { .. }
        | PersonDeed::AskSeen { .. }
        | PersonDeed::SetSeen { .. }
        | PersonDeed::Sync => {
            let (world_of_it, phone, deed) = (Rc::clone(world), Rc::clone(phone), deed.clone());
            let _task = world.spawn(async move { take_time(&world_of_it, &phone, deed).await });
        }
    }
}

fn disk_fault(fault: DiskFault) -> Fault {
    match fault {
        DiskFault::Full => Fault::Full,
        DiskFault::CutBefore => Fault::CutBefore,
        DiskFault::CutAfter => Fault::CutAfter,
        DiskFault::SyncLost => Fault::SyncLost,
        DiskFault::SyncKept => Fault::SyncKept,
    }
}

/// What a person does that has to wait for the program.
async fn take_time(world: &Rc<World>, phone: &Rc<Phone>, deed: PersonDeed) {
    match deed {
        PersonDeed::SwitchOff => return phone::switch_off(world, phone).await,
        PersonDeed::Pair { with, in_person, link_takes } => {
            let wish = pairing::Wish { inviter: phone.id, invited: with, in_person, link_takes };
            return pairing::pair(world, wish).await;
        }
        PersonDeed::Send { to, serial, seconds, lifetime_days } => {
            send(world, phone, to, serial, seconds, lifetime_days).await;
        }
        PersonDeed::Listen { skip } => {
            eyes::look(world, phone).await;
            eyes::listen(world, phone, skip).await;
        }
        PersonDeed::WriteWord { serial, tell_minute } => write_word(world, phone, serial, tell_minute).await,
        PersonDeed::AskSeen { of, ask_relay } => return eyes::ask_seen(world, phone, of, ask_relay).await,
        PersonDeed::SetSeen { to, tells } => {
            let seen = Some(pairing::precision(tells));
            let set = Request::SetContact { name: name(to), receipts: None, seen };
            if let Err(NoAnswer::Failed(failure)) = ask(world, phone, set).await {
                world.see(Seen::Failed(phone.id, "changing what is told".into(), failure));
            }
        }
        PersonDeed::Sync => sync(world, phone).await,
        // Looking is what everybody does after doing anything; the others take no time.
        _ => {}
    }
    eyes::look(world, phone).await;
}

/// Meets the relays.
pub(super) async fn sync(world: &Rc<World>, phone: &Rc<Phone>) {
    let sync = Request::Sync { timeout_millis: eyes::PATIENCE_MILLIS };
    if let Err(NoAnswer::Failed(failure)) = ask(world, phone, sync).await {
        world.see(Seen::Failed(phone.id, "meeting the relays".into(), failure));
    }
}

async fn send(
    world: &Rc<World>,
    phone: &Rc<Phone>,
    to: PersonId,
    serial: u32,
    seconds: u32,
    lifetime_days: Option<u16>,
) {
    let voice = speech::voice(world.plan.seed, serial, seconds);
    let duration_millis = voice.duration_millis;
    world.speaks(serial, seconds);
    world.secrets.keep_voice(serial, &voice);
    let request = Request::Send { to: name(to), voice, lifetime_days, wait: Wait::Device, timeout_millis: 1_000 };
    match ask(world, phone, request).await {
        Ok(Reply::Sent(view)) => {
            let (number, sealed_bytes) = (view.number, view.sealed_bytes);
            phone.view.borrow_mut().serials.insert(number, serial);
            let taken = Taken { from: phone.id, to, serial, number, duration_millis, sealed_bytes };
            world.see(Seen::Taken(taken));
        }
        Ok(_) | Err(NoAnswer::Off) => {}
        Err(NoAnswer::Failed(failure)) => world.see(Seen::NotTaken(phone.id, serial, failure)),
    }
}

async fn write_word(world: &Rc<World>, phone: &Rc<Phone>, serial: u32, tell_minute: bool) {
    let state = [WordState::Well, WordState::Moving, WordState::Arrived, WordState::Silent];
    let state = state[usize::try_from(serial % 4).expect("it is small")];
    let (text, to) = (speech::word(serial), Vec::new());
    world.secrets.keep(|| format!("word {serial}"), text.as_bytes());
    let request = Request::WriteWord { state, text, tell_minute, to, timeout_millis: eyes::PATIENCE_MILLIS };
    match ask(world, phone, request).await {
        Ok(Reply::WordWritten { contacts, stored }) => {
            world.see(Seen::WordTaken { by: phone.id, serial, contacts, stored });
        }
        Ok(_) | Err(NoAnswer::Off) => {}
        Err(NoAnswer::Failed(failure)) => world.see(Seen::WordNotTaken(phone.id, serial, failure)),
    }
}

fn relay(world: &Rc<World>, deed: &RelayDeed) {
    let host = &world.relay;
    match deed {
        RelayDeed::PowerCut => relay::cut_power(world),
        RelayDeed::Start => relay::start(world),
        RelayDeed::Stop => {
            let seen_by = Rc::clone(world);
            let _task = world.spawn(async move { relay::stop(&seen_by).await });
        }
        RelayDeed::DiskBytes(bytes) => {
            world.see(Seen::RelayLoad(host.load(&world.network)));
            host.disk.set_capacity(*bytes);
        }
        RelayDeed::SyncFails => host.disk.fail_next_sync(),
        RelayDeed::SyncTakes(millis) => host.disk.set_sync_time(Duration::from_millis(*millis)),
        RelayDeed::DiskLost => relay::lose_disk(world),
        RelayDeed::DiskCopied => relay::copy_disk(world),
        RelayDeed::CopyRestored => relay::restore_copy(world),
        RelayDeed::WallJump(minutes) => host.clock.shift_wall(i64::from(*minutes)),
        RelayDeed::LinkSilent => relay::set_link(world, LinkState::Silent),
        RelayDeed::LinkUp => relay::set_link(world, LinkState::Up),
    }
}

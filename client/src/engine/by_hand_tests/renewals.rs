//! New keys for a pair: by age, and after a phone was out of its owner's hands.

use zajil_proto::sealing::OuterKeys;
use zajil_proto::sealing::contents::OutOfHands;

use super::*;
use crate::engine::api::Receipts;
use crate::engine::lived::Lived;
use crate::engine::model::KnownRelay;
use crate::limits::RENEWAL_MINUTES;
use crate::store::Fault;

const TOLD: OutOfHands = OutOfHands { day: 20_777 };

fn keys(device: &Device) -> &OuterKeys {
    &device.contacts[&OTHER].control.as_ref().unwrap().outer
}

/// Lets a device live up to a day of this, as its home agrees.
fn lives_until(device: &mut Device, day: u32) {
    let home = device.profile.home.key;
    let mut lived = device.relays.get(&home).map_or_else(Lived::default, |known| known.lived);
    for at in [0, day] {
        lived.meet(later(at), later(at), Instant::from_millis(u64::from(at) * 86_400_000));
    }
    device.relays.insert(home, KnownRelay { lived, ..KnownRelay::default() });
}

/// Two who are paired, with the one that renews first.
fn paired() -> [Device; 2] {
    let (first, second) = answered(pair());
    if keys(&first).renews() { [first, second] } else { [second, first] }
}

/// Lets the answer to a pairing come.
fn answered((mut first, mut second): (Device, Device)) -> (Device, Device) {
    carry(&first, &mut second, is_frame);
    open_all(&mut second, START);
    carry(&second, &mut first, is_frame);
    open_all(&mut first, START);
    for device in [&mut first, &mut second] {
        assert!(matches!(device.contacts[&OTHER].stage, Stage::Paired));
        lives_until(device, 0);
    }
    (first, second)
}

fn is_frame(cargo: &Cargo) -> bool {
    matches!(cargo, Cargo::Frame { .. })
}

/// Both say what is due and hear each other, a few times, some days apart: nothing is put off for longer.
fn exchange(devices: &mut [Device; 2], from_day: u32) {
    for round in 0..8 {
        let now = later(from_day + 2 * round);
        for device in devices.iter_mut() {
            device.tell_what_is_due(now).unwrap();
        }
        let [one, other] = devices;
        carry(one, other, is_frame);
        carry(other, one, is_frame);
        for device in devices.iter_mut() {
            open_all(device, now);
        }
    }
}

/// Says what is due now, and what becomes due by that within two days.
fn tell_within_days(device: &mut Device, now: Minute) {
    for day in [0, 2] {
        device.tell_what_is_due(Minute(now.0 + day * DAY)).unwrap();
    }
}

fn assert_renewed(devices: &[Device; 2], generation: u32) {
    let [one, other] = devices.each_ref().map(keys);
    assert_eq!((one.generation(), other.generation()), (generation, generation));
    assert!(one.sealing() == other.sealing(), "both ends have one key");
    for keys in [one, other] {
        assert!(!keys.is_under_way() && keys.accepted().count() == 1, "nothing is left over");
    }
}

/// A note goes each way.
fn assert_speak(devices: &mut [Device; 2], day: u32) {
    for way in 0..2 {
        let note = say(&mut devices[way], 1_500, later(day));
        let id = devices[way].notes[&note].id;
        let (one, rest) = devices.split_at_mut(1);
        let (from, to) = if way == 0 { (&one[0], &mut rest[0]) } else { (&rest[0], &mut one[0]) };
        carry(from, to, |cargo| *cargo == Cargo::Note(note) || is_frame(cargo));
        open_all(to, later(day));
        let came = to.notes.values().find(|other| !other.outgoing && other.id == id);
        assert_eq!(came.map(|note| note.mark), Some(NoteMark::Delivered));
    }
}

#[test]
fn an_outer_key_of_a_month_is_renewed_and_again_a_month_later() {
    let mut devices = paired();
    let first = keys(&devices[0]).sealing().clone();
    for device in &mut devices {
        lives_until(device, 29);
    }
    exchange(&mut devices, 29);
    assert_renewed(&devices, 0);
    for (month, day) in [(1, 31), (2, 62)] {
        for device in &mut devices {
            lives_until(device, day);
        }
        exchange(&mut devices, day);
        assert_renewed(&devices, month);
        assert!(*keys(&devices[0]).sealing() != first);
        assert_speak(&mut devices, day + 20);
    }
}

#[test]
fn keys_for_notes_are_new_with_a_new_outer_key() {
    let mut devices = paired();
    assert_speak(&mut devices, 0);
    assert!(devices.iter().all(|device| device.contacts[&OTHER].session.is_some()));
    for device in &mut devices {
        lives_until(device, 31);
    }
    exchange(&mut devices, 31);
    assert_renewed(&devices, 1);
    assert!(devices.iter().all(|device| device.contacts[&OTHER].session.is_none()), "the next note begins one");
    assert_speak(&mut devices, 50);
}

#[test]
fn a_session_that_was_sealed_before_a_renewal_still_comes_when_it_is_over() {
    for who in [0, 1] {
        let mut devices = paired();
        let before = frames_of(&devices[who]);
        let note = say(&mut devices[who], 1_000, later(9));
        let late = frames_of(&devices[who]).difference(&before).copied().next();
        for device in &mut devices {
            lives_until(device, 31);
        }
        // The session's frame is late by weeks; all others come.
        for round in 0..8 {
            let now = later(31 + 2 * round);
            for device in &mut devices {
                device.tell_what_is_due(now).unwrap();
            }
            let [one, other] = &mut devices;
            let comes = |from: usize| {
                move |cargo: &Cargo| match cargo {
                    Cargo::Frame { number } => from != who || Some(*number) != late,
                    _ => false,
                }
            };
            carry(one, other, comes(0));
            carry(other, one, comes(1));
            for device in &mut devices {
                open_all(device, now);
            }
        }
        assert_eq!(devices.each_ref().map(|device| keys(device).generation()), [1, 1]);
        assert_eq!(keys(&devices[1 - who]).accepted().count(), 2, "the old key waits for what is late");
        let (one, rest) = devices.split_at_mut(1);
        let (from, to) = if who == 0 { (&one[0], &mut rest[0]) } else { (&rest[0], &mut one[0]) };
        carry(from, to, |cargo| *cargo == Cargo::Note(note) || is_frame(cargo));
        open_all(to, later(60));
        let marks: Vec<NoteMark> = to.note_views(true).unwrap().iter().map(|view| view.mark).collect();
        assert_eq!(marks, [NoteMark::Delivered]);
        exchange(&mut devices, 60);
        assert_renewed(&devices, 1);
    }
}

#[test]
fn two_who_are_in_the_dark_for_two_months_in_the_middle_of_a_renewal_end_it_when_they_are_back() {
    for rounds in 0..5 {
        let mut devices = paired();
        for device in &mut devices {
            lives_until(device, 31);
        }
        for round in 0..rounds {
            let now = later(31 + 4 * round);
            let at = usize::from(round % 2 == 1);
            tell_within_days(&mut devices[at], now);
            let (one, rest) = devices.split_at_mut(1);
            let (from, to) = if at == 0 { (&one[0], &mut rest[0]) } else { (&rest[0], &mut one[0]) };
            carry(from, to, is_frame);
            open_all(to, now);
        }
        for device in &mut devices {
            device.reload().unwrap();
            lives_until(device, 91 + 4 * rounds);
        }
        exchange(&mut devices, 91 + 4 * rounds);
        exchange(&mut devices, 140);
        let generation = keys(&devices[0]).generation();
        assert!((1..=2).contains(&generation), "{generation} after {rounds} steps");
        assert_renewed(&devices, generation);
        assert_speak(&mut devices, 170);
    }
}

#[test]
fn a_step_that_is_lost_for_good_is_told_again_after_a_month() {
    for lost in 0..3_u32 {
        let mut devices = paired();
        for device in &mut devices {
            lives_until(device, 31);
        }
        for step in 0..=lost {
            let now = later(31 + 4 * step);
            let at = usize::from(step % 2 == 1);
            tell_within_days(&mut devices[at], now);
            if step < lost {
                let (one, rest) = devices.split_at_mut(1);
                let (from, to) = if at == 0 { (&one[0], &mut rest[0]) } else { (&rest[0], &mut one[0]) };
                carry(from, to, is_frame);
                open_all(to, now);
            } else {
                // Its lifetime is over at a relay that nobody came to.
                devices[at].delete_all_frames();
            }
        }
        exchange(&mut devices, 45);
        assert!(devices.iter().any(|device| keys(device).is_under_way()), "step {lost} was lost");
        for device in &mut devices {
            lives_until(device, 90);
        }
        exchange(&mut devices, 90);
        let generations = devices.each_ref().map(|device| keys(device).generation());
        assert_eq!(generations, [1, 1], "step {lost}");
        assert!(keys(&devices[0]).sealing() == keys(&devices[1]).sealing());
        assert_speak(&mut devices, 120);
    }
}

impl Device {
    /// Lets go of what frames wait, as if they had expired.
    fn delete_all_frames(&mut self) {
        let frames = self.outgoing.iter().filter(|(_, outgoing)| is_frame(&outgoing.cargo));
        let gone: Vec<ParcelId> = frames.map(|(id, _)| *id).collect();
        let mut batch = Batch::new();
        for id in gone {
            self.delete_outgoing(&mut batch, &id);
        }
        self.commit(batch).unwrap();
    }
}

#[test]
fn power_that_fails_at_any_commit_of_a_renewal_loses_nothing() {
    for fault in [Fault::Full, Fault::CutBefore, Fault::CutAfter] {
        for who in [0, 1] {
            for commits in 0..12 {
                let disks = [MemoryStore::new(), MemoryStore::new()];
                let handles = disks.each_ref().map(MemoryStore::disk);
                let [one, other] = disks;
                let (first, second) = answered(pair_of(device_on(one), device_on(other)));
                let mut devices = [first, second];
                for device in &mut devices {
                    let home = device.profile.home.key;
                    lives_until(device, 31);
                    let known = KnownRelay { lived: device.relays[&home].lived, ..KnownRelay::default() };
                    device.save_relay(home, known).unwrap();
                }
                handles[who].fail_commit_after(commits, fault);
                for round in 0..12 {
                    let now = later(31 + 2 * round);
                    for at in [0, 1] {
                        let done = devices[at].tell_what_is_due(now);
                        if done.is_err() {
                            devices[at] = back_on(&handles[at]);
                        }
                    }
                    for at in [0, 1] {
                        let (one, rest) = devices.split_at_mut(1);
                        let (from, to) = if at == 0 { (&one[0], &mut rest[0]) } else { (&rest[0], &mut one[0]) };
                        if try_to_take(from, to, now).is_err() {
                            *to = back_on(&handles[1 - at]);
                        }
                    }
                }
                handles.each_ref().iter().for_each(|disk| disk.clear_fault());
                exchange(&mut devices, 60);
                assert_renewed(&devices, 1);
                assert_speak(&mut devices, 90);
            }
        }
    }
}

/// Takes a device up from its disk.
fn back_on(disk: &crate::store::MemoryDisk) -> Device {
    disk.crash();
    let store = disk.open().unwrap();
    Device::open(Box::new(store), Box::new(SystemRandom::new())).unwrap().unwrap()
}

/// Lets all frames of one come to the other, whose disk may fail.
fn try_to_take(from: &Device, to: &mut Device, now: Minute) -> Result<(), crate::engine::api::Failure> {
    let frames = from.outgoing.iter().filter(|(_, outgoing)| is_frame(&outgoing.cargo));
    for (id, _) in frames {
        let mut batch = Batch::new();
        arrive(from, to, id, &mut batch);
        to.put_incoming(&mut batch, id)?;
        to.commit(batch)?;
    }
    let own = to.contacts[&OTHER].own.mailbox();
    to.take_frames(&own, true, now).map(drop)
}

#[test]
fn a_phone_that_was_out_of_hands_gets_new_keys_whichever_end_it_is_and_its_contact_is_told_the_day() {
    for who in [0, 1] {
        let mut devices = paired();
        assert_speak(&mut devices, 0);
        let stolen = keys(&devices[who]).sealing().clone();
        assert_eq!(devices[who].out_of_hands(TOLD, later(1)).unwrap(), 1);
        assert!(devices[who].contacts[&OTHER].session.is_none(), "the next note begins a session");
        assert!(devices[who].contact_view(OTHER).unwrap().renewing);
        // It needs no link, and is kept over a restart.
        devices[who].reload().unwrap();
        assert!(devices[who].contact_view(OTHER).unwrap().renewing);
        exchange(&mut devices, 2);
        assert_renewed(&devices, 1);
        assert!(*keys(&devices[who]).sealing() != stolen);
        let view = devices[1 - who].contact_view(OTHER).unwrap();
        assert_eq!((view.out_of_hands, view.renewing), (Some(TOLD.day), false));
        assert_eq!(devices[who].contact_view(OTHER).unwrap().out_of_hands, None);
        assert_speak(&mut devices, 20);
    }
}

#[test]
fn who_hears_that_a_phone_was_out_of_hands_ends_the_session_whose_keys_it_holds() {
    let mut devices = paired();
    assert_speak(&mut devices, 0);
    devices[1].out_of_hands(TOLD, later(1)).unwrap();
    let [one, other] = &mut devices;
    carry(other, one, is_frame);
    open_all(one, later(1));
    assert!(one.contacts[&OTHER].session.is_none());
}

#[test]
fn what_is_said_twice_of_one_day_is_told_once_and_a_later_day_is_told_again() {
    let mut devices = paired();
    let told = |device: &mut Device, told| {
        let before = frames_of(device);
        device.out_of_hands(told, later(1)).unwrap();
        frames_of(device).difference(&before).count()
    };
    assert!(told(&mut devices[0], TOLD) > 0);
    assert_eq!(told(&mut devices[0], TOLD), 0, "it is under way");
    exchange(&mut devices, 2);
    assert_renewed(&devices, 1);
    // Taken once more on the same day, or the next: new keys again.
    assert!(told(&mut devices[0], TOLD) > 0);
    exchange(&mut devices, 20);
    assert_renewed(&devices, 2);
    let next = OutOfHands { day: TOLD.day + 1 };
    assert!(told(&mut devices[0], next) > 0);
    exchange(&mut devices, 40);
    assert_renewed(&devices, 3);
    assert_eq!(devices[1].contact_view(OTHER).unwrap().out_of_hands, Some(next.day));
}

#[test]
fn a_step_in_answer_to_another_tells_nobody_when_a_phone_was_in_contact() {
    let mut devices = paired();
    for device in &mut devices {
        let contact = device.contacts.get_mut(&OTHER).unwrap();
        (contact.confirmed, contact.receipts) = (true, Receipts::Later);
    }
    devices[0].out_of_hands(TOLD, START).unwrap();
    let [one, other] = &mut devices;
    carry(one, other, is_frame);
    open_all(other, START);
    let before = frames_of(other);
    other.tell_what_is_due(START).unwrap();
    assert_eq!(frames_of(other), before, "it leaves later");
    other.tell_what_is_due(later(2)).unwrap();
    assert!(frames_of(other).len() > before.len());
}

#[test]
fn a_month_is_what_a_device_and_its_home_agree_on() {
    let mut devices = paired();
    // Its own clock is years ahead.
    devices[0].tell_what_is_due(later(1_000)).unwrap();
    assert!(!keys(&devices[0]).is_under_way());
    lives_until(&mut devices[0], RENEWAL_MINUTES / DAY);
    devices[0].tell_what_is_due(later(30)).unwrap();
    assert!(keys(&devices[0]).is_under_way());
}

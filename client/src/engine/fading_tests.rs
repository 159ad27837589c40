use tempfile::TempDir;
use zajil_net::SystemRandom;
use zajil_proto::ids::{NoteId, ParcelId};
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::sealing::{Address, HomeRelay, MailboxOwner};
use zajil_proto::time::Minute;

use super::*;
use crate::engine::api::{Receipts, Voice};
use crate::engine::model::{Cargo, Contact, KnownRelay, Outgoing, Profile, Recording, Stage};
use crate::store::{DeviceStore, MemoryStore, Protection, SqliteStore};

const DAY: u32 = 24 * 60;

fn device_in(store: Box<dyn DeviceStore>) -> Device {
    let key = SigningKey::from_seed(&Secret([1; 32])).public();
    let home = HomeRelay { key, address: Address::parse("relay.example:443").unwrap() };
    let profile = Profile::draw(&mut SystemRandom::new(), home, String::new());
    let mut device = Device::create(store, Box::new(SystemRandom::new()), profile).unwrap();
    let own = MailboxOwner::draw(&mut device.random);
    device.contacts.insert(0, Contact::new("Amal".to_owned(), Stage::Paired, own));
    device.save_contact(0).unwrap();
    device
}

fn device() -> Device {
    device_in(Box::new(MemoryStore::new()))
}

/// What is said in a note, long enough to be looked for.
fn sound(number: u32) -> Vec<u8> {
    format!("what was said in note {number}, and nobody else may ever hear").into_bytes()
}

fn voice(number: u32) -> Voice {
    let packets = vec![sound(number); 20];
    Voice { codec: 4, toc: 8, packets, duration_millis: 1_200, loudness: 20, waveform: [7; 24], complete: true }
}

fn add(device: &mut Device, number: u32, outgoing: bool, mark: NoteMark) {
    let parcel = ParcelId([u8::try_from(number).unwrap(); 16]);
    let note = Note {
        contact: 0,
        outgoing,
        id: NoteId([u8::try_from(number).unwrap(); 8]),
        parcel,
        recorded: Minute(1),
        arrived: Minute(1),
        duration_millis: 1_200,
        mark,
        sealed_bytes: 2_048,
        sequence: number,
    };
    device.notes.insert(number, note);
    let mut batch = Batch::new();
    device.put_note(&mut batch, number).unwrap();
    batch.put_record(&number_key(number), &Recording { voice: voice(number) }).unwrap();
    let _kept = device.commit(batch).unwrap();
}

fn age(minutes: u32) -> Moment {
    Moment::default().after(std::time::Duration::from_secs(u64::from(minutes) * 60))
}

/// The numbers of the notes that can be played.
fn playable(device: &Device) -> Vec<u32> {
    device.notes.keys().copied().filter(|number| device.voice(*number).is_ok()).collect()
}

fn choose(device: &mut Device, name: Option<&str>, span: Span) {
    let request = Request::Disappear { name: name.map(ToOwned::to_owned), choice: Some(SpanChoice::Own(span)) };
    device.take_choice(&request).unwrap();
}

#[test]
fn the_sound_of_a_heard_note_is_erased_seven_days_after_and_its_line_stays() {
    let mut device = device();
    add(&mut device, 1, false, NoteMark::Delivered);
    add(&mut device, 2, false, NoteMark::Delivered);
    device.heard(1, Minute(5)).unwrap();
    assert!(device.fading_due, "hearing begins the count at once");
    assert!(!device.fade(age(100)).unwrap());
    assert!(!device.fade(age(100 + 7 * DAY - 1)).unwrap());
    assert_eq!(playable(&device), [1, 2]);
    assert!(device.fade(age(100 + 7 * DAY)).unwrap());
    assert_eq!(playable(&device), [2], "what was not heard stays however old it is");
    assert_eq!(device.voice(1).unwrap_err(), Failure::Erased);
    let view = device.note_view(1).unwrap();
    assert_eq!((view.mark, view.erased, view.duration_millis), (NoteMark::Heard, true, 1_200));
    assert!(!device.note_view(2).unwrap().erased);
    assert!(!device.fade(age(100 + 8 * DAY)).unwrap(), "erased once");
    assert!(device.countdowns.is_empty());
    device.reload().unwrap();
    assert_eq!(playable(&device), [2]);
}

#[test]
fn the_count_goes_on_where_it_was_after_a_restart() {
    let mut device = device();
    add(&mut device, 1, false, NoteMark::Heard);
    device.fade(age(100)).unwrap();
    device.reload().unwrap();
    assert_eq!(device.countdowns.get(&1), Some(&age(100)));
    device.fade(age(50 + 7 * DAY)).unwrap();
    assert_eq!(playable(&device), [1]);
    // Of a program that did not run, a younger age than before may be told; nothing goes sooner for it.
    device.fade(age(3)).unwrap();
    device.fade(age(100 + 7 * DAY)).unwrap();
    assert_eq!(playable(&device), [0; 0]);
}

#[test]
fn a_clock_that_jumps_erases_nothing_sooner() {
    let mut device = device();
    add(&mut device, 1, false, NoteMark::Heard);
    let home = device.profile.home.key;
    let mut relay = KnownRelay::default();
    relay.lived.meet(Minute(29_000_000), Minute(29_000_000), Instant::default());
    device.relays.insert(home, relay.clone());
    device.fade(device.age()).unwrap();
    // Its own clock jumps by a year; the relay's does not.
    relay.lived.meet(Minute(29_500_000), Minute(29_000_060), Instant::from_millis(60_000));
    device.relays.insert(home, relay.clone());
    device.fade(device.age()).unwrap();
    assert_eq!(playable(&device), [1]);
    // Both say that a year has passed: the program was not running.
    relay.lived.meet(Minute(30_000_000), Minute(29_500_060), Instant::from_millis(120_000));
    device.relays.insert(home, relay);
    device.fade(device.age()).unwrap();
    assert_eq!(playable(&device), [0; 0]);
}

#[test]
fn a_program_that_runs_without_any_relay_counts_by_itself() {
    let device = device();
    let began = Instant::from_millis(5_000);
    let running = Running::new(&device, began);
    assert_eq!(running.age(&device, began), Moment::default());
    let later = Instant::from_millis(5_000 + 8 * 24 * 3_600_000);
    assert_eq!(running.age(&device, later), age(8 * DAY));
}

#[test]
fn ones_own_sound_stays_until_it_need_not_be_sent_again() {
    let mut device = device();
    for (number, mark) in [
        (1, NoteMark::OnDevice),
        (2, NoteMark::AtRelay),
        (3, NoteMark::Delivered),
        (4, NoteMark::Heard),
        (5, NoteMark::Expired),
    ] {
        add(&mut device, number, true, mark);
    }
    // Delivered, but its parcel is still offered to a relay.
    add(&mut device, 6, true, NoteMark::Delivered);
    let waiting = Outgoing {
        contact: 0,
        home: device.profile.home.clone(),
        cargo: Cargo::Note(6),
        header: Vec::new(),
        marks: Vec::new(),
        length: 1,
        durable: 0,
        stored: None,
        perhaps: None,
        waits: None,
        sealed_at: Minute(0),
    };
    device.outgoing.insert(ParcelId([6; 16]), waiting);
    device.fade(age(0)).unwrap();
    device.fade(age(7 * DAY)).unwrap();
    assert_eq!(playable(&device), [1, 2, 6]);
    device.outgoing.clear();
    device.fade(age(8 * DAY)).unwrap();
    assert_eq!(playable(&device), [1, 2, 6], "counted from when it was over");
    device.fade(age(15 * DAY)).unwrap();
    assert_eq!(playable(&device), [1, 2]);
}

#[test]
fn each_contact_may_have_a_span_of_their_own_and_off_keeps_for_ever() {
    let mut device = device();
    let own = MailboxOwner::draw(&mut device.random);
    device.contacts.insert(1, Contact::new("Yusuf".to_owned(), Stage::Paired, own));
    for number in [1, 2, 3] {
        add(&mut device, number, false, NoteMark::Heard);
    }
    device.notes.get_mut(&2).unwrap().contact = 1;
    device.notes.get_mut(&3).unwrap().contact = 2;
    choose(&mut device, Some("Amal"), Span::Off);
    choose(&mut device, Some("Yusuf"), Span::Day);
    device.fade(age(0)).unwrap();
    device.fade(age(DAY)).unwrap();
    assert_eq!(playable(&device), [1, 3]);
    choose(&mut device, None, Span::Month);
    device.fade(age(29 * DAY)).unwrap();
    assert_eq!(playable(&device), [1, 3]);
    device.fade(age(30 * DAY)).unwrap();
    assert_eq!(playable(&device), [1]);
    device.reload().unwrap();
    assert_eq!(device.contact_view(0).unwrap().disappear, Span::Off, "kept over a restart");
    let as_default = Request::Disappear { name: Some("Amal".to_owned()), choice: Some(SpanChoice::AsDefault) };
    device.take_choice(&as_default).unwrap();
    assert_eq!(device.disappearing_view(Some(0)).own, None);
    device.fade(age(31 * DAY)).unwrap();
    assert_eq!(playable(&device), [0; 0], "what was heard long ago is meant too");
}

#[test]
fn in_quiet_mode_nothing_stays_but_what_was_not_heard() {
    let mut device = device();
    add(&mut device, 1, false, NoteMark::Delivered);
    add(&mut device, 2, false, NoteMark::Delivered);
    for (number, mark) in [(3, NoteMark::AtRelay), (4, NoteMark::Delivered), (5, NoteMark::Heard)] {
        add(&mut device, number, true, mark);
    }
    device.fade(age(0)).unwrap();
    assert_eq!(device.notes.len(), 5);
    device.take_choice(&Request::Quiet { on: Some(true) }).unwrap();
    assert!(device.fading_due);
    device.heard(1, Minute(5)).unwrap();
    assert!(device.fade(age(0)).unwrap(), "at once, whatever the age");
    assert_eq!(device.notes.keys().copied().collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(playable(&device), [2, 3], "of one that was not heard yet the line stays, and the mark can still come");
    device.reload().unwrap();
    assert_eq!(device.notes.keys().copied().collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!(device.store.count(Kind::Recording).unwrap(), 2);
    assert_eq!(device.store.count(Kind::Countdown).unwrap(), 0);
}

#[test]
fn a_receipt_for_a_heard_note_is_still_owed_in_quiet_mode() {
    let mut device = device();
    let contact = device.contacts.get_mut(&0).unwrap();
    (contact.confirmed, contact.receipts) = (true, Receipts::Later);
    add(&mut device, 1, false, NoteMark::Delivered);
    device.take_choice(&Request::Quiet { on: Some(true) }).unwrap();
    device.heard(1, Minute(5)).unwrap();
    device.fade(age(0)).unwrap();
    assert!(device.notes.is_empty());
    assert_eq!(device.contacts[&0].owed, [(NoteId([1; 8]), true)]);
}

/// Every file of a home, as somebody copies it who takes the disk.
fn copy_of(home: &std::path::Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let files = std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|file| file.file_name() != "reserve");
    files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect()
}

/// Every text that the keys on a disk still open: whole wraps anywhere in any file, tried on every row's sealed bytes.
fn opens(home: &std::path::Path, copy: &[(std::ffi::OsString, Vec<u8>)], sought: &[u8]) -> bool {
    let at = home.with_file_name("taken");
    std::fs::create_dir_all(&at).unwrap();
    for (name, content) in copy {
        std::fs::write(at.join(name), content).unwrap();
    }
    let unlock = crate::store::Unlock::KeyFile(SqliteStore::key_file_of(&at));
    let store = SqliteStore::open(&at, &unlock, Box::new(SystemRandom::new())).unwrap();
    let found = Kind::ALL.iter().any(|kind| {
        let values = store.scan(*kind).unwrap();
        values.iter().any(|(_, value)| value.windows(sought.len()).any(|window| window == sought))
    });
    drop(store);
    std::fs::remove_dir_all(&at).unwrap();
    found
}

/// The 60 bytes that wrap the key of each row of a closed or open store, from its key pages in all files of a copy.
fn wraps(copy: &[(std::ffi::OsString, Vec<u8>)]) -> std::collections::BTreeSet<Vec<u8>> {
    // A wrap begins with era 1 and stands at 512 + 64 k of a key page; every place of a file is tried.
    let files = copy.iter().filter(|(name, _)| name.to_string_lossy().starts_with("records.db"));
    let cells = files.flat_map(|(_, file)| file.windows(64).filter(|cell| cell.starts_with(&[0, 0, 0, 1])));
    cells.filter(|cell| cell.iter().filter(|byte| **byte == 0).count() < 8).map(<[u8]>::to_vec).collect()
}

#[test]
fn a_disk_taken_after_a_note_disappeared_opens_neither_its_sound_nor_its_key() {
    let folder = TempDir::new().unwrap();
    let home = folder.path().join("home");
    let protection = Protection::KeyFile(SqliteStore::key_file_of(&home));
    let store = SqliteStore::init(&home, &protection, Box::new(SystemRandom::new())).unwrap();
    let mut device = device_in(Box::new(store));
    add(&mut device, 1, false, NoteMark::Heard);
    add(&mut device, 2, false, NoteMark::Delivered);
    device.store.scrub().unwrap();
    let before = copy_of(&home);
    assert!(
        opens(&home, &before, &sound(1)) && opens(&home, &before, &sound(2)),
        "this very search finds what is there"
    );
    device.fade(age(0)).unwrap();
    assert!(device.fade(age(7 * DAY)).unwrap());
    device.store.scrub().unwrap();
    // Taken while the program runs: with the log, and the free pages of the database.
    let after = copy_of(&home);
    assert!(!opens(&home, &after, &sound(1)) && opens(&home, &after, &sound(2)));
    // The wrapped key that opened it before is in no file any more, wherever that may be; so the old sealed bytes, which may well
    // lie in a free page, open with nothing that is there.
    let gone: Vec<Vec<u8>> = wraps(&before).difference(&wraps(&after)).cloned().collect();
    assert!(!gone.is_empty(), "the record's wrap was there, and is not");
    for wrap in gone {
        let secret = wrap.get(16..).unwrap();
        let left = after.iter().any(|(_, file)| file.windows(secret.len()).any(|window| window == secret));
        assert!(!left, "a piece of an erased wrap lies about");
    }
    for text in [sound(1), sound(2), b"Amal".to_vec()] {
        let plain = after.iter().any(|(_, file)| file.windows(text.len()).any(|window| window == text));
        assert!(!plain, "nothing lies in the clear");
    }
}

//! What whoever takes a phone finds after its owner had a moment: the program as it is installed, its files, its daemon.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use zajil_net::SystemRandom;
use zajil_proto::keys::SigningKey;
use zajil_proto::relay_link::RelayLink;
use zajil_tests::person::{Ended, Person, ended};

/// A relay that nobody runs.
fn nobody() -> RelayLink {
    let key = SigningKey::draw(&mut SystemRandom::new()).public();
    RelayLink { key, admission: String::new(), address: "127.0.0.1:1".to_owned() }
}

/// Somebody whose device is set up under a passphrase, with another one for duress.
fn under_passphrase() -> Person {
    let person = Person::new();
    for name in ["right", "duress", "wrong"] {
        fs::write(person.file(name), format!("the {name} passphrase\n")).unwrap();
    }
    let link = nobody().to_string();
    let _told = person.zajil(["init", "--relay", &link, "--passphrase-file", &path(&person, "right")]).with_code(0);
    let words =
        ["duress", "set", "--passphrase-file", &path(&person, "right"), "--duress-file", &path(&person, "duress")];
    let set = person.zajil(words).with_code(0);
    assert!(set.out.contains("Know its limits"), "{}", set.out);
    person
}

fn path(person: &Person, name: &str) -> String {
    person.file(name).to_string_lossy().into_owned()
}

fn files(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let Ok(entries) = fs::read_dir(home) else { return BTreeMap::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    // The socket of a daemon cannot be read, and holds nothing.
    paths.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect()
}

/// What `status`, `inbox` and `daemon` say, without what differs between any two people: the path of the home.
fn faces(person: &Person, more: &[&str]) -> Vec<(String, String, i32)> {
    let told = |words: &[&str]| {
        let Ended { out, errors, code } = person.zajil(words.iter().chain(more).copied());
        let home = person.home().to_string_lossy().into_owned();
        (out.replace(&home, "HOME"), errors.replace(&home, "HOME"), code)
    };
    [
        &["status"][..],
        &["inbox", "--all"],
        &["contact", "list"],
        &["daemon"],
        &["status", "--lang", "ar"],
        &["status", "--json"],
    ]
    .map(told)
    .to_vec()
}

fn is_as_fresh(person: &Person) {
    // An empty folder is what is left if it was killed just before its end.
    assert!(files(&person.home()).is_empty(), "{:?}", files(&person.home()).keys());
    assert_eq!(faces(person, &[]), faces(&Person::new(), &[]));
}

#[test]
fn panic_leaves_a_device_that_was_never_set_up_and_it_can_be_set_up_again() {
    let person = Person::with_relay(&nobody());
    let told = person.zajil(["panic", "--now"]).with_code(0);
    assert!(told.out.contains("The keys are destroyed.") && told.out.contains("What this cannot do"), "{}", told.out);
    is_as_fresh(&person);
    let again = person.json(["panic", "--now"]);
    assert_eq!((&again["ok"], &again["found"], &again["files_gone"]), (&true.into(), &false.into(), &true.into()));
    let told = person.zajil(["panic", "--now"]).with_code(0);
    assert!(told.out.contains("Nothing was destroyed"), "{}", told.out);
    let _told = person.zajil(["init", "--relay", &nobody().to_string()]).with_code(0);
    let _told = person.zajil(["status"]).with_code(0);
}

#[test]
fn panic_asks_unless_it_is_told_not_to() {
    let person = Person::with_relay(&nobody());
    let before = files(&person.home());
    for answer in ["", "no\n", "\n", "y e s\n"] {
        let told = person.zajil_reading(["panic"], answer.as_bytes()).with_code(2);
        assert!(told.errors.contains("Nothing was destroyed"), "{}", told.errors);
    }
    let told = person.zajil_reading(["panic", "--json"], b"yes\n").with_code(2);
    assert!(told.out.contains("panic-not-asked"), "{}", told.out);
    assert_eq!(files(&person.home()), before);
    let _told = person.zajil_reading(["panic", "--lang", "ar"], "نعم\n".as_bytes()).with_code(0);
    is_as_fresh(&person);
}

#[test]
fn panic_needs_no_passphrase_and_ends_the_daemon_that_has_the_keys() {
    let person = under_passphrase();
    let mut daemon = person.daemon_with(&[("ZAJIL_PASSPHRASE_FILE", &path(&person, "right"))]);
    let told = person.zajil(["panic", "--now"]).with_code(0);
    assert!(!told.out.contains("Another zajil program"), "{}", told.out);
    daemon.wait();
    is_as_fresh(&person);
}

#[test]
fn panic_ends_a_daemon_that_stands_still() {
    let person = Person::with_relay(&nobody());
    let mut daemon = person.daemon();
    let told = daemon.sleeps(|| person.zajil(["panic", "--now"]).with_code(0));
    assert!(!told.out.contains("Another zajil program"), "{}", told.out);
    assert!(!daemon.wait().success(), "it was killed");
    is_as_fresh(&person);
}

#[test]
fn panic_works_on_a_damaged_home() {
    for name in ["records.db", "keys", "key"] {
        let person = Person::with_relay(&nobody());
        fs::write(person.home().join(name), "damaged").unwrap();
        let _told = person.zajil(["panic", "--now"]).with_code(0);
        is_as_fresh(&person);
    }
}

#[test]
fn a_panic_killed_at_any_moment_leaves_the_device_whole_or_as_if_never_set_up() {
    let mut whole = 0;
    for tenths in 0..24_u64 {
        let person = Person::with_relay(&nobody());
        let mut child = person.command(["panic", "--now"]).stdout(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_micros(tenths * 500));
        child.kill().unwrap();
        child.wait().unwrap();
        if person.zajil(["status"]).code == 0 {
            whole += 1;
            let _told = person.zajil(["panic", "--now"]).with_code(0);
        }
        is_as_fresh(&person);
    }
    assert!(whole < 24, "some of them were killed after they had begun");
}

#[test]
fn the_passphrase_of_duress_shows_a_device_that_was_never_set_up() {
    let person = under_passphrase();
    let _told = person.zajil(["status", "--passphrase-file", &path(&person, "wrong")]).with_code(7);
    let _told = person.zajil(["status", "--passphrase-file", &path(&person, "right")]).with_code(0);
    let fresh = Person::new();
    fs::write(fresh.file("duress"), "the duress passphrase\n").unwrap();
    let given = faces(&person, &["--passphrase-file", &path(&person, "duress")]);
    assert_eq!(given, faces(&fresh, &["--passphrase-file", &path(&fresh, "duress")]));
    is_as_fresh(&person);
}

#[test]
fn duress_beside_a_running_daemon_ends_it_and_a_wrong_passphrase_is_no_way_in() {
    let person = under_passphrase();
    let mut daemon = person.daemon_with(&[("ZAJIL_PASSPHRASE_FILE", &path(&person, "right"))]);
    let _told = person.zajil(["status"]).with_code(0);
    let wrong = person.zajil(["status", "--passphrase-file", &path(&person, "wrong")]).with_code(7);
    assert!(wrong.errors.contains("nobody can recover it"), "{}", wrong.errors);
    let _told = person.zajil(["status", "--passphrase-file", &path(&person, "right")]).with_code(0);
    let told = person.zajil(["status", "--passphrase-file", &path(&person, "duress")]).with_code(7);
    assert!(told.errors.contains("is not set up yet"), "{}", told.errors);
    daemon.wait();
    is_as_fresh(&person);
}

#[test]
fn duress_can_be_taken_away_and_is_refused_where_no_passphrase_is_asked_for() {
    let person = under_passphrase();
    let _told = person.zajil(["duress", "clear", "--passphrase-file", &path(&person, "right")]).with_code(0);
    let told = person.zajil(["status", "--passphrase-file", &path(&person, "duress")]).with_code(7);
    assert!(told.errors.contains("The passphrase is wrong."), "{}", told.errors);
    let same =
        ["duress", "set", "--passphrase-file", &path(&person, "right"), "--duress-file", &path(&person, "right")];
    assert!(person.zajil(same).with_code(7).errors.contains("is the one that opens this home"));
    let open = Person::with_relay(&nobody());
    fs::write(open.file("any"), "any\n").unwrap();
    let words = ["duress", "set", "--passphrase-file", &path(&open, "any"), "--duress-file", &path(&open, "any")];
    assert!(open.zajil(words).with_code(7).errors.contains("opens with its key file"));
    let none = ended(&mut person.command(["duress", "clear"])).with_code(7);
    assert!(none.errors.contains("opens with a passphrase"), "{}", none.errors);
}

#[test]
fn what_is_chosen_about_heard_notes_is_kept_and_told() {
    let person = Person::with_relay(&nobody());
    assert!(person.zajil(["status"]).with_code(0).out.contains("is erased 7 days after hearing"));
    let _told = person.zajil(["disappear", "--default", "1d"]).with_code(0);
    let _told = person.zajil(["quiet", "on"]).with_code(0);
    let status = person.json(["status"]);
    assert_eq!((&status["disappear"], &status["quiet"]), (&"1d".into(), &true.into()));
    assert!(person.zajil(["status"]).with_code(0).out.contains("Quiet mode is on"));
    let _told = person.zajil(["disappear", "Nobody", "1d"]).with_code(4);
}

#[test]
fn a_locked_daemon_has_let_go_of_the_home_and_opens_it_again_for_the_passphrase() {
    let person = under_passphrase();
    let mut daemon = person.daemon_with(&[("ZAJIL_PASSPHRASE_FILE", &path(&person, "right"))]);
    let _told = person.zajil(["lock"]).with_code(0);
    let lock = fs::File::open(person.home().join("lock")).unwrap();
    assert!(lock.try_lock().is_ok(), "the store is closed, and its keys with it");
    drop(lock);
    let told = person.zajil(["status"]).with_code(7);
    assert!(told.errors.contains("This device is locked"), "{}", told.errors);
    let _told = person.zajil(["lock"]).with_code(0);
    let _told = person.zajil(["unlock"]).with_code(7);
    let wrong = person.zajil(["unlock", "--passphrase-file", &path(&person, "wrong")]).with_code(7);
    assert!(wrong.errors.contains("The passphrase is wrong."), "{}", wrong.errors);
    let _told = person.zajil(["status"]).with_code(7);
    let second = person.zajil(["daemon", "--passphrase-file", &path(&person, "right")]).with_code(7);
    assert!(second.errors.contains("runs on this home already"), "{}", second.errors);
    let _told = person.zajil(["unlock", "--passphrase-file", &path(&person, "right")]).with_code(0);
    let _told = person.zajil(["status"]).with_code(0);
    // A command that names the passphrase needs no other to unlock first.
    let _told = person.zajil(["lock"]).with_code(0);
    let status = person.json(["status", "--passphrase-file", &path(&person, "right")]);
    assert_eq!((&status["ok"], &status["daemon"]), (&true.into(), &true.into()));
    let _told = person.zajil(["lock"]).with_code(0);
    let told = person.zajil(["unlock", "--passphrase-file", &path(&person, "duress")]).with_code(7);
    assert!(told.errors.contains("is not set up yet"), "{}", told.errors);
    daemon.wait();
    is_as_fresh(&person);
}

#[test]
fn panic_ends_a_locked_daemon_and_a_home_without_a_passphrase_cannot_be_locked() {
    let person = under_passphrase();
    let mut daemon = person.daemon_with(&[("ZAJIL_PASSPHRASE_FILE", &path(&person, "right"))]);
    let _told = person.zajil(["lock"]).with_code(0);
    let _told = person.zajil(["panic", "--now"]).with_code(0);
    daemon.wait();
    is_as_fresh(&person);
    let open = Person::with_relay(&nobody());
    let refused = open.zajil(["daemon", "--lock-after", "5"]).with_code(7);
    assert!(refused.errors.contains("nothing to lock"), "{}", refused.errors);
    let _daemon = open.daemon();
    let _told = open.zajil(["lock"]).with_code(7);
    let _told = open.zajil(["status"]).with_code(0);
    let _told = open.zajil(["daemon", "--stop"]).with_code(0);
}

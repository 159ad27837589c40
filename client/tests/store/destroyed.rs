//! Destroying a home: at any point of it nothing opens any more, and what was begun is finished by whoever comes next.

use std::fs;
use std::path::Path;

use zajil_client::store::{
    Batch, Destruction, DeviceStore, FilesFate, Holder, KeysFate, Kind, SqliteStore, StoreError,
};

use crate::rig::{Home, contains, open_at, open_with, passphrase, put, read_all, system, under_passphrase};

const GONE: FilesFate = FilesFate { gone: true, in_use: false };

fn set(home: &Home, text: &str, duress: Option<&str>) -> Result<(), StoreError> {
    let duress = duress.map(passphrase);
    SqliteStore::set_duress(&home.path(), &passphrase(text), duress.as_ref(), &mut *system())
}

/// A home as a device leaves it that lost power in the middle of everything: with a log, and with half-made files.
fn in_the_middle() -> Home {
    let home = Home::fresh();
    let mut store = home.open().unwrap();
    put(&mut *store, Kind::Contact, b"id", b"mother");
    let copies: Vec<_> = home.files().into_iter().collect();
    drop(store);
    for (path, content) in copies {
        fs::write(path, content).unwrap();
    }
    for name in ["keys", "key"] {
        fs::copy(home.file(name), home.file(&format!("{name}.new"))).unwrap();
    }
    for name in ["records.db.new", "records.db.new-wal", "records.db.new-journal", "daemon.sock"] {
        fs::write(home.file(name), "left").unwrap();
    }
    home
}

#[test]
fn a_destroyed_home_is_as_one_that_never_was_and_another_can_be_made_in_its_place() {
    for make in [Home::fresh, in_the_middle, || under_passphrase("a pigeon at night")] {
        let home = make();
        let destruction = Destruction::begin(&home.path());
        assert_eq!(destruction.keys(), KeysFate::Destroyed);
        assert_eq!(destruction.finish(), GONE);
        assert!(!home.path().exists());
        assert_eq!(home.open().err(), Some(StoreError::NotThere));
        assert_eq!(SqliteStore::method(&home.path()), Err(StoreError::NotThere));
        assert!(!home.path().exists());
        let again = Destruction::begin(&home.path());
        assert_eq!((again.keys(), again.finish()), (KeysFate::NoHome, GONE), "once more is no error");
        drop(home.init().unwrap());
        assert!(read_all(&*home.open().unwrap()).unwrap().is_empty());
    }
}

#[test]
fn a_destruction_cut_off_anywhere_leaves_nothing_that_opens_and_is_finished_by_the_next_start() {
    let whole = in_the_middle();
    let old_keys = [fs::read(whole.file("keys")).unwrap(), fs::read(whole.file("key")).unwrap()];
    let mut names: Vec<String> =
        whole.files().into_keys().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    names.push("reserve".to_owned());
    names.retain(|name| name != "keys");
    // The keys go first, then each file, in any order; the mark last.
    for removed in 0..=names.len() {
        for reversed in [false, true] {
            let home = in_the_middle();
            let before = old_keys_of(&home);
            assert_eq!(Destruction::begin(&home.path()).keys(), KeysFate::Destroyed);
            let mut order = names.clone();
            if reversed {
                order.reverse();
            }
            for name in order.iter().take(removed) {
                fs::remove_file(home.file(name)).unwrap();
            }
            for content in home.files().into_values() {
                assert!(!before.iter().any(|key| contains(&content, key)), "a key is left after {removed} steps");
            }
            let next = [home.open().err(), SqliteStore::method(&home.path()).err()];
            assert_eq!(next, [Some(StoreError::NotThere), Some(StoreError::NotThere)]);
            assert!(!home.path().exists(), "the next start has finished it");
        }
    }
    assert!(old_keys.iter().all(|key| key.len() > 8));
}

/// What is secret in the two files that open a home, in pieces that a torn one would still have.
fn old_keys_of(home: &Home) -> Vec<Vec<u8>> {
    ["keys", "key"]
        .iter()
        .flat_map(|name| fs::read(home.file(name)).unwrap().rchunks(16).map(<[u8]>::to_vec).collect::<Vec<_>>())
        .filter(|piece| piece.len() == 16 && piece.iter().any(|byte| *byte != 0))
        .collect()
}

#[test]
fn an_init_after_a_destruction_that_was_cut_off_makes_a_new_store() {
    let home = in_the_middle();
    assert_eq!(Destruction::begin(&home.path()).keys(), KeysFate::Destroyed);
    drop(home.init().unwrap());
    assert!(read_all(&*home.open().unwrap()).unwrap().is_empty());
}

#[test]
fn the_keys_are_overwritten_where_they_lie_and_not_only_given_up() {
    let home = in_the_middle();
    let names = ["keys", "key", "keys.new", "key.new"];
    for name in names {
        fs::hard_link(home.file(name), home.path().with_file_name(name)).unwrap();
    }
    let before = old_keys_of(&home);
    let _ = Destruction::begin(&home.path()).finish();
    for name in names {
        let left = fs::read(home.path().with_file_name(name)).unwrap();
        assert!(!left.is_empty() && !before.iter().any(|key| contains(&left, key)), "{name}");
    }
}

#[test]
fn what_is_damaged_can_be_destroyed() {
    for (name, content) in [
        ("records.db", b"no database".as_slice()),
        ("records.db", b""),
        ("keys", b""),
        ("keys", b"zajilkey, but not really"),
        ("keys", b"something else"),
        ("key", b"short"),
    ] {
        let home = Home::fresh();
        fs::write(home.file(name), content).unwrap();
        let destruction = Destruction::begin(&home.path());
        assert_eq!((destruction.keys(), destruction.finish()), (KeysFate::Destroyed, GONE), "{name}");
        assert!(!home.path().exists());
    }
}

#[test]
fn a_folder_that_is_no_home_is_not_touched() {
    let home = Home::absent();
    fs::create_dir(home.path()).unwrap();
    for name in ["key", "keys", "lock", "reserve", "daemon.sock"] {
        fs::write(home.file(name), "somebody else's").unwrap();
    }
    let before = home.files();
    let destruction = Destruction::begin(&home.path());
    assert_eq!((destruction.keys(), destruction.finish()), (KeysFate::NoHome, GONE));
    assert_eq!(home.files(), before);
}

#[test]
fn files_of_other_programs_in_a_home_stay() {
    let home = Home::fresh();
    fs::write(home.file("photo.jpg"), "a face").unwrap();
    assert_eq!(Destruction::begin(&home.path()).finish(), GONE);
    let left: Vec<_> = home.files().into_keys().collect();
    assert_eq!(left, [home.file("photo.jpg")]);
}

#[test]
fn a_program_that_has_the_home_open_keeps_nobody_from_destroying_it_and_writes_nothing_more() {
    let home = Home::fresh();
    let mut store = home.open().unwrap();
    put(&mut *store, Kind::Contact, b"id", b"mother");
    let holder = Holder::of(&home.path());
    assert!(holder.is_there());
    let destruction = Destruction::begin(&home.path());
    let mut batch = Batch::new();
    batch.put(Kind::Contact, b"id", *b"father");
    assert_eq!(store.commit(batch).err(), Some(StoreError::NotThere), "already before the files are gone");
    assert_eq!(destruction.finish(), FilesFate { gone: true, in_use: true });
    assert_eq!(store.get(Kind::Contact, b"id").err(), Some(StoreError::Closed));
    assert_eq!(store.scrub().err(), Some(StoreError::Closed));
    assert!(!home.path().exists(), "not even the reserve was made anew");
    assert!(holder.is_there(), "known also when the lock's name is gone");
    drop(store);
    assert!(!holder.is_there());
}

#[test]
fn a_store_whose_home_another_one_has_taken_writes_nothing_into_it() {
    let home = Home::fresh();
    let mut old = home.open().unwrap();
    let _ = Destruction::begin(&home.path()).finish();
    let mut new = home.init().unwrap();
    put(&mut *new, Kind::Contact, b"id", b"new");
    let mut batch = Batch::new();
    batch.put(Kind::Contact, b"id", *b"old");
    assert_eq!(old.commit(batch).err(), Some(StoreError::NotThere));
    drop(old);
    put(&mut *new, Kind::Contact, b"more", b"new");
    drop(new);
    let store = home.open().unwrap();
    assert_eq!(**store.get(Kind::Contact, b"id").unwrap().unwrap(), *b"new");
    assert_eq!(store.count(Kind::Contact).unwrap(), 2);
}

#[test]
fn a_copy_with_its_keys_made_before_still_opens_and_that_is_told() {
    let home = Home::fresh();
    let copy = Home::absent();
    fs::create_dir(copy.path()).unwrap();
    for (path, content) in home.files() {
        fs::write(copy.file(&path.file_name().unwrap().to_string_lossy()), content).unwrap();
    }
    let _ = Destruction::begin(&home.path()).finish();
    assert!(open_at(&copy.path()).is_ok(), "what cannot be destroyed is not promised to be");
    let told = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("i18n/en/device.ftl")).unwrap();
    assert!(told.contains("What this cannot do: destroy copies made before"));
}

#[test]
fn the_passphrase_of_duress_destroys_the_home_and_is_told_that_there_never_was_one() {
    let home = under_passphrase("right");
    set(&home, "right", Some("duress")).unwrap();
    assert_eq!(open_with(&home, "wrong").err(), Some(StoreError::WrongPassphrase));
    let store = open_with(&home, "right").unwrap();
    assert_eq!(**store.get(Kind::Contact, b"id").unwrap().unwrap(), *b"mother");
    drop(store);
    assert_eq!(open_with(&home, "duress").err(), Some(StoreError::NotThere));
    assert!(!home.path().exists());
    assert_eq!(open_with(&home, "right").err(), Some(StoreError::NotThere));
}

#[test]
fn duress_counts_also_while_another_program_has_the_home_open() {
    for try_it in [
        |home: &Home| open_with(home, "duress").err(),
        |home: &Home| SqliteStore::try_passphrase(&home.path(), &passphrase("duress")).err(),
    ] {
        let home = under_passphrase("right");
        let store = open_with(&home, "right").unwrap();
        set(&home, "right", Some("duress")).unwrap();
        assert_eq!(open_with(&home, "right").err(), Some(StoreError::Busy));
        assert_eq!(open_with(&home, "wrong").err(), Some(StoreError::WrongPassphrase));
        assert_eq!(SqliteStore::try_passphrase(&home.path(), &passphrase("right")), Ok(()));
        assert_eq!(try_it(&home), Some(StoreError::NotThere));
        assert!(!home.path().exists());
        drop(store);
    }
}

#[test]
fn a_keys_file_does_not_tell_whether_there_is_a_passphrase_of_duress() {
    let home = under_passphrase("right");
    let never = fs::read(home.file("keys")).unwrap();
    set(&home, "right", Some("duress")).unwrap();
    let with = fs::read(home.file("keys")).unwrap();
    set(&home, "right", None).unwrap();
    let cleared = fs::read(home.file("keys")).unwrap();
    // 32 bytes behind the header and the check sum differ, and nothing else; none of the three is a pattern.
    let differ = |a: &[u8], b: &[u8]| (0..a.len()).filter(|at| a[*at] != b[*at]).collect::<Vec<_>>();
    for (a, b) in [(&never, &with), (&with, &cleared), (&never, &cleared)] {
        assert_eq!(a.len(), b.len());
        let places = differ(a, b);
        let check = a.len() - 8;
        assert!(places.iter().all(|at| (54..86).contains(at) || *at >= check), "{places:?}");
        assert!(places.iter().filter(|at| (54..86).contains(*at)).count() > 20, "{places:?}");
    }
    assert_eq!(open_with(&home, "duress").err(), Some(StoreError::WrongPassphrase), "it was taken away");
    assert!(open_with(&home, "right").is_ok());
}

#[test]
fn a_keys_file_of_the_first_version_opens_and_can_be_given_a_passphrase_of_duress() {
    let home = under_passphrase("right");
    let new = fs::read(home.file("keys")).unwrap();
    let mut first = [&new[..54], &new[86..new.len() - 8]].concat();
    first[8] = 1;
    let check = ring::digest::digest(&ring::digest::SHA256, &first);
    first.extend_from_slice(&check.as_ref()[..8]);
    fs::write(home.file("keys"), first).unwrap();
    drop(open_with(&home, "right").unwrap());
    assert_eq!(open_with(&home, "duress").err(), Some(StoreError::WrongPassphrase));
    set(&home, "right", Some("duress")).unwrap();
    assert_eq!(fs::read(home.file("keys")).unwrap().len(), new.len());
    drop(open_with(&home, "right").unwrap());
    assert_eq!(open_with(&home, "duress").err(), Some(StoreError::NotThere));
}

#[test]
fn the_keys_file_from_before_a_change_of_duress_lies_nowhere() {
    let home = under_passphrase("right");
    let old = home.path().with_file_name("old");
    fs::hard_link(home.file("keys"), &old).unwrap();
    let before = old_keys_of_passphrase(&home);
    set(&home, "right", Some("duress")).unwrap();
    let left = fs::read(old).unwrap();
    assert!(!before.iter().any(|key| contains(&left, key)));
}

fn old_keys_of_passphrase(home: &Home) -> Vec<Vec<u8>> {
    fs::read(home.file("keys")).unwrap().rchunks(16).take(4).map(<[u8]>::to_vec).collect()
}

#[test]
fn duress_is_set_by_the_right_passphrase_only_and_is_another_one() {
    let home = under_passphrase("right");
    let before = fs::read(home.file("keys")).unwrap();
    assert_eq!(set(&home, "wrong", Some("duress")), Err(StoreError::WrongPassphrase));
    assert_eq!(set(&home, "right", Some("right")), Err(StoreError::DuressIsPassphrase));
    assert_eq!(fs::read(home.file("keys")).unwrap(), before);
    set(&home, "right", Some("duress")).unwrap();
    assert_eq!(set(&home, "duress", None), Err(StoreError::NotThere), "here too it is given at a prompt");
    assert!(!home.path().exists());
    let open = Home::fresh();
    assert_eq!(set(&open, "any", Some("duress")), Err(StoreError::NeedsKeyFile));
}

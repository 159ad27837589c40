//! Making and opening a home: what is there, what opens it, who else has it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use zajil_client::store::{
    Argon2Cost, DeviceStore, Kind, Method, Passphrase, Protection, SqliteStore, StoreError, Unlock,
};

use crate::rig::{Home, open_with, passphrase, put, read_all, system, under_passphrase};

#[test]
fn only_its_owner_may_enter_a_home_or_read_its_files() {
    let home = Home::absent();
    let mut store = home.init().unwrap();
    put(&mut *store, Kind::Contact, b"id", b"mother");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.path()), 0o700);
    let names: Vec<_> = home.files().into_keys().collect();
    let expected = ["key", "keys", "lock", "records.db", "records.db-wal"].map(|name| home.file(name));
    assert_eq!(names, expected);
    for name in names.into_iter().chain([home.file("reserve")]) {
        assert_eq!(mode(name.clone()), 0o600, "{name:?}");
    }
}

#[test]
fn opening_takes_back_what_a_copy_has_allowed_to_others() {
    let home = Home::fresh();
    fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    drop(home.open().unwrap());
    assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn where_no_store_is_opening_says_so_and_leaves_nothing() {
    let home = Home::absent();
    assert_eq!(home.open().err(), Some(StoreError::NotThere));
    assert!(!home.path().exists());
    fs::create_dir(home.path()).unwrap();
    assert_eq!(home.open().err(), Some(StoreError::NotThere));
    assert_eq!(SqliteStore::method(&home.path()), Err(StoreError::NotThere));
    assert!(home.files().is_empty());
}

#[test]
fn init_leaves_a_store_that_is_there_and_other_files_alone() {
    let home = Home::absent();
    fs::create_dir(home.path()).unwrap();
    fs::write(home.file("config.toml"), "language = \"ar\"").unwrap();
    drop(home.init().unwrap());
    let before = home.files();
    assert_eq!(home.init().err(), Some(StoreError::NotEmpty));
    assert_eq!(home.files(), before);
    assert!(before.contains_key(&home.file("config.toml")));
}

#[test]
fn init_refuses_a_database_with_records_whose_keys_are_gone() {
    let home = Home::absent();
    let mut store = home.init().unwrap();
    put(&mut *store, Kind::Contact, b"id", b"mother");
    store.close().unwrap();
    fs::remove_file(home.file("keys")).unwrap();
    assert_eq!(home.open().err(), Some(StoreError::Corrupt { what: "its keys file is not there" }));
    assert_eq!(home.init().err(), Some(StoreError::NotEmpty));
    assert!(home.file("records.db").exists());
}

#[test]
fn an_init_that_was_cut_off_can_be_run_again() {
    for left in [
        ["key"].as_slice(),
        &["key", "records.db.new"],
        &["key", "records.db.new", "records.db.new-wal", "records.db.new-journal"],
        &["key", "records.db"],
        &["key", "records.db", "keys.new"],
    ] {
        let home = Home::fresh();
        for path in home.files().into_keys().filter(|path| !left.iter().any(|name| home.file(name) == *path)) {
            fs::remove_file(path).unwrap();
        }
        for unfinished in left.iter().filter(|name| name.contains(".new")) {
            fs::write(home.file(unfinished), "half of it").unwrap();
        }
        drop(home.init().unwrap());
        assert!(read_all(&*home.open().unwrap()).unwrap().is_empty());
        let names: Vec<_> = home.files().into_keys().collect();
        assert_eq!(names, ["key", "keys", "lock", "records.db"].map(|name| home.file(name)), "{left:?}");
    }
}

#[test]
fn init_refuses_a_database_that_it_cannot_read() {
    let home = Home::absent();
    fs::create_dir(home.path()).unwrap();
    for content in ["", "no database at all"] {
        fs::write(home.file("records.db"), content).unwrap();
        assert_eq!(home.init().err(), Some(StoreError::NotEmpty));
        assert_eq!(fs::read_to_string(home.file("records.db")).unwrap(), content);
    }
}

#[test]
fn a_wrong_passphrase_is_told_and_changes_nothing() {
    let home = under_passphrase("حمام زاجل يطير ليلا");
    let before = home.files();
    for wrong in ["حمام زاجل يطير نهارا", "x", "حمام زاجل يطير ليلا "] {
        assert_eq!(open_with(&home, wrong).err(), Some(StoreError::WrongPassphrase));
    }
    assert_eq!(home.files(), before);
    let store = open_with(&home, "حمام زاجل يطير ليلا").unwrap();
    assert_eq!(**store.get(Kind::Contact, b"id").unwrap().unwrap(), *b"mother");
}

#[test]
fn a_key_file_of_another_store_is_told_and_changes_nothing() {
    let (home, other) = (Home::fresh(), Home::fresh());
    let before = home.files();
    let unlock = Unlock::KeyFile(SqliteStore::key_file_of(&other.path()));
    assert_eq!(SqliteStore::open(&home.path(), &unlock, system()).err(), Some(StoreError::WrongKey));
    assert_eq!(home.files(), before);
}

#[test]
fn a_key_file_that_is_missing_or_of_another_length_is_told() {
    let home = Home::fresh();
    fs::write(home.file("key"), [1; 33]).unwrap();
    assert_eq!(home.open().err(), Some(StoreError::Corrupt { what: "its key file" }));
    fs::write(home.file("key"), [1; 31]).unwrap();
    assert_eq!(home.open().err(), Some(StoreError::Corrupt { what: "its key file" }));
    fs::remove_file(home.file("key")).unwrap();
    assert_eq!(home.open().err(), Some(StoreError::NoKeyFile));
}

#[test]
fn the_other_kind_of_key_is_asked_for() {
    let (by_passphrase, by_file) = (under_passphrase("pass"), Home::fresh());
    assert_eq!(SqliteStore::method(&by_passphrase.path()), Ok(Method::Passphrase));
    assert_eq!(SqliteStore::method(&by_file.path()), Ok(Method::KeyFile));
    assert_eq!(by_passphrase.open().err(), Some(StoreError::NeedsPassphrase));
    assert_eq!(open_with(&by_file, "pass").err(), Some(StoreError::NeedsKeyFile));
}

#[test]
fn a_key_file_may_lie_outside_the_home() {
    let (home, stick) = (Home::absent(), Home::absent());
    fs::create_dir(stick.path()).unwrap();
    let key = stick.file("zajil-key");
    drop(SqliteStore::init(&home.path(), &Protection::KeyFile(key.clone()), system()).unwrap());
    assert!(!home.file("key").exists());
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    drop(SqliteStore::open(&home.path(), &Unlock::KeyFile(key), system()).unwrap());
}

#[test]
fn passphrases_and_costs_out_of_bounds_are_refused() {
    assert_eq!(Passphrase::new("").err(), Some(StoreError::NoPassphrase));
    assert!(Passphrase::new("x".repeat(1_024)).is_ok());
    assert!(matches!(Passphrase::new("x".repeat(1_025)), Err(StoreError::TooLarge { got: 1_025, limit: 1_024, .. })));
    for (memory, passes, lanes) in [(7, 1, 1), (8, 0, 1), (8, 1, 0), (1 << 20 | 1, 1, 1), (8, 65, 1), (1 << 20, 1, 65)]
    {
        assert_eq!(Argon2Cost::new(memory, passes, lanes), Err(StoreError::Cost), "{memory} {passes} {lanes}");
    }
    assert_eq!(Argon2Cost::new(64 * 1024, 3, 4), Ok(Argon2Cost::RECOMMENDED));
}

#[test]
fn a_passphrase_at_the_recommended_cost_opens() {
    let home = Home::absent();
    let protection = Protection::Passphrase(passphrase("four good words here"), Argon2Cost::RECOMMENDED);
    drop(SqliteStore::init(&home.path(), &protection, system()).unwrap());
    drop(open_with(&home, "four good words here").unwrap());
}

#[test]
fn two_names_of_one_home_are_one_home() {
    let home = Home::fresh();
    let store = home.open().unwrap();
    let alias = Home::absent();
    symlink(home.path(), alias.path()).unwrap();
    assert_eq!(alias.open().err(), Some(StoreError::Busy));
    assert_eq!(alias.init().err(), Some(StoreError::Busy));
    drop(store);
    assert!(read_all(&*alias.open().unwrap()).unwrap().is_empty());
}

#[test]
fn what_prints_of_a_store_and_its_keys_tells_nothing() {
    let home = Home::fresh();
    let store = home.open().unwrap();
    let secret = passphrase("سر");
    let shown = format!("{store:?} {secret:?} {:?}", Unlock::Passphrase(secret.clone()));
    assert_eq!(shown, "SqliteStore { is_broken: false, .. } Passphrase(..) Passphrase(Passphrase(..))");
}

/// A home that the first version wrote. Whoever changes the format must still open it, and may never change this
/// fixture.
#[test]
fn a_home_of_format_1_opens_with_everything_in_it() {
    let home = Home::absent();
    fs::create_dir(home.path()).unwrap();
    for name in ["key", "keys", "records.db"] {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/store/format_1/");
        fs::copy(format!("{fixture}{name}"), home.file(name)).unwrap();
    }
    let body = [vec![0x5a; 6_000], vec![0xa5; 1_024], b"end".to_vec()].concat();
    let expected = [
        ((Kind::Profile, b"".to_vec()), b"this device".to_vec()),
        ((Kind::Contact, vec![0xab; 64]), b"".to_vec()),
        ((Kind::Setting, b"replaced".to_vec()), b"new".to_vec()),
        ((Kind::IncomingBody, b"body".to_vec()), body),
        ((Kind::OutgoingBody, b"begun by an append".to_vec()), b"live".to_vec()),
    ];
    assert_eq!(read_all(&*home.open().unwrap()).unwrap(), expected.into_iter().collect());
}

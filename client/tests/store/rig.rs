//! Homes to try things on, and a look at everything in a store.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tempfile::TempDir;
use zajil_client::store::{
    Argon2Cost, Batch, DeviceStore, Kind, Passphrase, Protection, SqliteStore, StoreError, Unlock,
};
use zajil_net::SystemRandom;

/// Every record, by kind and key.
pub(crate) type Records = BTreeMap<(Kind, Vec<u8>), Vec<u8>>;

/// A home of its own, removed at the end.
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    /// A place where no home is yet.
    pub(crate) fn absent() -> Self {
        let directory = TempDir::new().unwrap();
        Self { directory }
    }

    /// A home with an empty store under a key file.
    pub(crate) fn fresh() -> Self {
        let home = Self::absent();
        home.init().unwrap();
        home
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn init(&self) -> Result<Box<SqliteStore>, StoreError> {
        let protection = Protection::KeyFile(SqliteStore::key_file_of(&self.path()));
        SqliteStore::init(&self.path(), &protection, system()).map(Box::new)
    }

    pub(crate) fn open(&self) -> Result<Box<SqliteStore>, StoreError> {
        open_at(&self.path())
    }

    /// Every file of the home with its content, but the reserve: it has none.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let with_content = entries.filter(|path| *path != self.file("reserve"));
        with_content.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }
}

pub(crate) fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text).unwrap()
}

/// What a guess costs here: next to nothing.
pub(crate) fn cheap() -> Argon2Cost {
    Argon2Cost::new(8, 1, 1).unwrap()
}

/// A home with a record, under a passphrase.
pub(crate) fn under_passphrase(text: &str) -> Home {
    let home = Home::absent();
    let protection = Protection::Passphrase(passphrase(text), cheap());
    let mut store = SqliteStore::init(&home.path(), &protection, system()).unwrap();
    put(&mut store, Kind::Contact, b"id", b"mother");
    Box::new(store).close().unwrap();
    home
}

pub(crate) fn open_with(home: &Home, text: &str) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(&home.path(), &Unlock::Passphrase(passphrase(text)), system())
}

pub(crate) fn open_at(home: &Path) -> Result<Box<SqliteStore>, StoreError> {
    let unlock = Unlock::KeyFile(SqliteStore::key_file_of(home));
    SqliteStore::open(home, &unlock, system()).map(Box::new)
}

pub(crate) fn system() -> Box<SystemRandom> {
    Box::new(SystemRandom::new())
}

/// Reads everything, through every way of reading, and finds them in agreement.
pub(crate) fn read_all(store: &dyn DeviceStore) -> Result<Records, StoreError> {
    let mut records = Records::new();
    for kind in Kind::ALL {
        let rows = store.scan(kind)?;
        let keys: Vec<Vec<u8>> = rows.iter().map(|(key, _)| key.clone()).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "keys rise");
        assert_eq!(store.keys(kind)?, keys);
        assert_eq!(store.count(kind)?, rows.len());
        let bytes: usize = rows.iter().map(|(key, value)| key.len() + value.len()).sum();
        assert_eq!(store.usage(kind)?, bytes as u64);
        for (key, value) in rows {
            assert_eq!(store.get(kind, &key)?.as_ref(), Some(&value));
            assert_eq!(store.len(kind, &key)?, Some(value.len()));
            records.insert((kind, key), value.to_vec());
        }
    }
    Ok(records)
}

/// Random numbers that are the same in every run.
pub(crate) fn seeded() -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

pub(crate) fn put(store: &mut dyn DeviceStore, kind: Kind, key: &[u8], value: &[u8]) {
    let mut batch = Batch::new();
    batch.put(kind, key, value);
    store.commit(batch).unwrap();
}

/// Where in a file these bytes stand.
pub(crate) fn contains(file: &[u8], bytes: &[u8]) -> bool {
    file.windows(bytes.len()).any(|window| window == bytes)
}

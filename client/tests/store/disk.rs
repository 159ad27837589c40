//! Disks that are full or may not be written: told as that, with everything that was committed still there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use zajil_client::limits::FULL_DISK_FETCHES_BYTES_MIN;
use zajil_client::store::{Batch, Destruction, DeviceStore, KeysFate, Kind, Protection, SqliteStore, StoreError};

use crate::rig::{Records, open_at, put, read_all, system};

/// A small disk of its own: an image with ext4, mounted while this lives.
struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    /// Mounts one; `None`, and said so, where this user may not mount.
    fn mount(test: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            report_skipped(&format!("{test}: mounting a small disk needs root"));
            return None;
        }
        let directory = TempDir::new().unwrap();
        let disk = Self { directory };
        let image = fs::File::create(disk.image()).unwrap();
        image.set_len(40 << 20).unwrap();
        fs::create_dir(disk.root()).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(disk.image()));
        run(Command::new("mount").args(["-o", "loop"]).arg(disk.image()).arg(disk.root()));
        Some(disk)
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    fn remount(&self, how: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(self.root()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Not asserted: this runs while a failed test unwinds too.
        Command::new("umount").arg(self.root()).status().ok();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Tells `cargo xtask test` what was not tried.
fn report_skipped(line: &str) {
    println!("skipped: {line}");
    if let Some(path) = std::env::var_os("ZAJIL_SKIPPED") {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

fn init_at(home: &Path) -> Result<Box<SqliteStore>, StoreError> {
    let protection = Protection::KeyFile(SqliteStore::key_file_of(home));
    SqliteStore::init(home, &protection, system()).map(Box::new)
}

/// Puts bodies from `first` on until the disk is full, and notes in `expected` what was put.
fn fill(store: &mut dyn DeviceStore, first: u16, expected: &mut Records) {
    for number in first.. {
        let (key, value) = (number.to_be_bytes().to_vec(), vec![(number % 251) as u8; 100_000]);
        let mut batch = Batch::new();
        batch.put(Kind::Setting, b"last", key.clone()).put(Kind::IncomingBody, &key, value.clone());
        match store.commit(batch) {
            Ok(_) => {
                expected.insert((Kind::Setting, b"last".to_vec()), key.clone());
                expected.insert((Kind::IncomingBody, key), value);
            }
            Err(error) => {
                assert_eq!(error, StoreError::Full);
                break;
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_the_commit_and_keeps_all_before_it() {
    let Some(disk) = SmallDisk::mount("a_full_disk_refuses_the_commit_and_keeps_all_before_it") else {
        return;
    };
    let mut store = init_at(&disk.home()).unwrap();
    // Something that can make way.
    fs::write(disk.root().join("ballast"), vec![1; 2 << 20]).unwrap();
    let mut expected = Records::new();
    fill(&mut *store, 0, &mut expected);
    assert!(expected.len() > 20);
    assert_eq!(read_all(&*store).unwrap(), expected);
    fs::remove_file(disk.root().join("ballast")).unwrap();
    put(&mut *store, Kind::Setting, b"room", b"again");
    expected.insert((Kind::Setting, b"room".to_vec()), b"again".to_vec());
    assert_eq!(read_all(&*store).unwrap(), expected, "the store goes on");
    drop(store);
    assert_eq!(read_all(&*open_at(&disk.home()).unwrap()).unwrap(), expected);
}

#[test]
fn one_can_delete_on_a_full_disk_and_write_again_in_the_room_of_what_was_deleted() {
    let Some(disk) = SmallDisk::mount("one_can_delete_on_a_full_disk_and_write_again") else {
        return;
    };
    let mut store = init_at(&disk.home()).unwrap();
    let mut expected = Records::new();
    fill(&mut *store, 0, &mut expected);
    let held = || fs::metadata(disk.home().join("reserve")).map_or(0, |file| file.len());
    assert_eq!(held(), 16 << 20);
    assert!(store.room().unwrap() < FULL_DISK_FETCHES_BYTES_MIN, "it says so");
    for round in 0_u16..4 {
        // As an engine would: the voice goes, and a line stays that says so.
        let mut batch = Batch::new();
        for number in 0_u16..30 {
            let key = (round * 30 + number).to_be_bytes();
            batch.delete(Kind::IncomingBody, &key).put(Kind::Note, &key, *b"deleted");
            assert!(expected.remove(&(Kind::IncomingBody, key.to_vec())).is_some());
            expected.insert((Kind::Note, key.to_vec()), b"deleted".to_vec());
        }
        store.commit(batch).unwrap();
        let before = expected.len();
        fill(&mut *store, 1_000 * (round + 1), &mut expected);
        assert!(expected.len() >= before + 10, "round {round}: there is room again");
        assert_eq!(read_all(&*store).unwrap(), expected);
        assert!(held() >= 2 << 20, "round {round}: some is held back again");
    }
    drop(store);
    assert_eq!(read_all(&*open_at(&disk.home()).unwrap()).unwrap(), expected);
}

#[test]
fn without_a_reserve_a_full_disk_refuses_to_delete() {
    let Some(disk) = SmallDisk::mount("without_a_reserve_a_full_disk_refuses_to_delete") else {
        return;
    };
    let mut store = init_at(&disk.home()).unwrap();
    let mut expected = Records::new();
    fill(&mut *store, 0, &mut expected);
    fs::remove_file(disk.home().join("reserve")).unwrap();
    fill(&mut *store, 1_000, &mut expected);
    let mut batch = Batch::new();
    batch.delete(Kind::IncomingBody, &0_u16.to_be_bytes());
    assert_eq!(store.commit(batch).err(), Some(StoreError::Full));
    assert_eq!(read_all(&*store).unwrap(), expected);
}

#[test]
fn a_disk_that_fills_up_at_any_stage_of_init_refuses_it_and_init_can_be_run_again() {
    let Some(disk) = SmallDisk::mount("a_disk_that_fills_up_at_any_stage_of_init") else {
        return;
    };
    let mut ballast = fs::File::create(disk.root().join("ballast")).unwrap();
    while ballast.write_all(&[1; 1_024]).is_ok() {}
    ballast.sync_all().ok();
    let mut length = ballast.metadata().unwrap().len();
    let mut refusals = 0;
    // A little more room each time, so that one stage after the other is reached.
    let mut store = loop {
        match init_at(&disk.home()) {
            Ok(store) => break store,
            Err(error) => assert_eq!(error, StoreError::Full, "after {refusals} refusals"),
        }
        refusals += 1;
        length -= 1_024;
        ballast.set_len(length).unwrap();
        ballast.sync_all().unwrap();
    };
    assert!(refusals > 20, "{refusals}");
    ballast.set_len(0).unwrap();
    put(&mut *store, Kind::Note, b"id", b"there is room now");
    drop(store);
    assert_eq!(read_all(&*open_at(&disk.home()).unwrap()).unwrap().len(), 1);
}

#[test]
fn a_home_on_a_disk_that_may_not_be_written_is_told_as_that() {
    let Some(disk) = SmallDisk::mount("a_home_on_a_disk_that_may_not_be_written_is_told_as_that") else {
        return;
    };
    let mut store = init_at(&disk.home()).unwrap();
    put(&mut *store, Kind::Note, b"id", b"kept");
    store.close().unwrap();
    disk.remount("ro");
    assert_eq!(open_at(&disk.home()).err(), Some(StoreError::ReadOnly));
    assert_eq!(init_at(&disk.root().join("other")).err(), Some(StoreError::ReadOnly));
    disk.remount("rw");
    assert_eq!(read_all(&*open_at(&disk.home()).unwrap()).unwrap().len(), 1);
}

#[test]
fn a_home_on_a_full_disk_is_destroyed_and_one_that_cannot_be_written_is_told() {
    let Some(disk) = SmallDisk::mount("a home on a full disk is destroyed") else { return };
    let mut store = init_at(&disk.home()).unwrap();
    fill(&mut *store, 0, &mut Records::new());
    drop(store);
    disk.remount("ro");
    let destruction = Destruction::begin(&disk.home());
    assert_eq!(destruction.keys(), KeysFate::StillThere);
    assert!(!destruction.finish().gone);
    disk.remount("rw");
    assert!(open_at(&disk.home()).is_ok(), "what could not be destroyed is whole");
    let destruction = Destruction::begin(&disk.home());
    assert_eq!(destruction.keys(), KeysFate::Destroyed);
    assert!(destruction.finish().gone && !disk.home().exists());
}

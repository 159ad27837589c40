//! Destroying a home: the top of the key hierarchy first and at once, then the rest as far as it goes.
//!
//! The order is what counts, for whoever destroys a home may have seconds, and may be interrupted in any of them:
//!
//! 1. `keys` is overwritten in place and synced. From here on nothing in the home can be opened. The file stays as the
//!    *mark* of a destruction that was begun: whoever finds the mark finishes it.
//! 2. The key file in the home goes the same way: an older copy of `keys` would open with it.
//! 3. Every other file of a home is removed, then the mark, then the home itself if nothing else is in it.
//!
//! A folder is taken for a home if `keys` in it begins as ours do, or as the mark, or if a database of ours has its name
//! there: somebody may mistype a path, and `key` and `lock` are names that others use too.
//!
//! None of it needs the lock, a key, a database that can be read, or space on the disk. A program that still has the
//! home open stops at its next commit or scrub.
//!
//! Not promised: that flash memory forgets what was overwritten; that copies of the home, or of its key file, made
//! before are gone; that memory of a program that still runs is wiped before it ends. Files in the home that are not
//! of its format are left alone: somebody may have named a folder that holds other things too.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::home::{self, Paths};
use super::{SqliteStore, keys};
use crate::paths;

/// How a `keys` file begins that a destruction has overwritten; zeros follow. Nothing that a failing disk makes up: that
/// must destroy no records.
const MARK: [u8; 8] = *b"zajilend";

/// What became of the keys of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysFate {
    /// Nothing here is a home, so there was nothing to destroy.
    NoHome,
    /// They were overwritten and the disk says so, or were gone before.
    Destroyed,
    /// The file could not be overwritten and was only removed: its bytes may still be found on the disk.
    OnlyRemoved,
    /// The file could neither be overwritten nor removed.
    StillThere,
}

/// What became of the other files of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesFate {
    /// Whether every file of the home is gone.
    pub gone: bool,
    /// Whether another program had the home open. It holds keys in its memory until it ends, and stops at its next
    /// commit.
    pub in_use: bool,
}

/// A home whose keys were destroyed.
#[derive(Debug)]
pub struct Destruction {
    home: PathBuf,
    keys: KeysFate,
}

impl Destruction {
    /// Destroys what opens a home, so that nothing in it can be read any more: steps 1 and 2. Takes some milliseconds.
    ///
    /// Where no home is there is nothing to destroy, and nothing is touched. May be repeated.
    #[must_use]
    pub fn begin(home: &Path) -> Self {
        let paths = Paths::of(home);
        if !is_home(&paths) {
            return Self { home: home.to_owned(), keys: KeysFate::NoHome };
        }
        let mut overwritten = overwrite(&paths.keys);
        if overwritten.is_err() {
            // What took the right to write away must not keep us from destroying, and a file system that never writes
            // in place needs room for the zeros. Where neither helps, that is told below.
            allow(home, 0o700);
            allow(&paths.keys, home::FILE_MODE);
            fs::remove_file(&paths.reserve).ok();
            overwritten = overwrite(&paths.keys);
        }
        let removed = || home::remove_if_there(&paths.keys).and_then(|()| home::sync_directory_of(&paths.keys));
        let keys = match overwritten {
            Ok(()) => KeysFate::Destroyed,
            Err(_) if removed().is_ok() => KeysFate::OnlyRemoved,
            Err(_) => KeysFate::StillThere,
        };
        // A `keys` file that was just being replaced opens the home as well. What cannot be overwritten of these is
        // removed with the other files, or told as left.
        for path in [home.join("keys.new"), SqliteStore::key_file_of(home), home.join("key.new")] {
            overwrite(&path).ok();
        }
        Self { home: home.to_owned(), keys }
    }

    /// What became of the keys.
    #[must_use]
    pub fn keys(&self) -> KeysFate {
        self.keys
    }

    /// Removes every file of the home: step 3. Does nothing while its keys are still there: then the files are all that
    /// a person has. May be repeated, for a program that still ran may have left something again.
    #[must_use]
    pub fn finish(&self) -> FilesFate {
        if matches!(self.keys, KeysFate::NoHome | KeysFate::StillThere) {
            return FilesFate { gone: self.keys == KeysFate::NoHome, in_use: false };
        }
        let paths = Paths::of(&self.home);
        let in_use = Holder::of(&self.home).is_there();
        let mut gone = true;
        let files =
            ["records.db", "records.db-wal", "records.db-shm", "records.db-journal", "key", "key.new", "keys.new"];
        let files = files.map(|name| self.home.join(name));
        let others = [&paths.reserve, &paths.lock, &paths::socket(&self.home)];
        for path in files.iter().chain(&paths.unfinished).chain(others) {
            gone &= is_removed(path);
        }
        // The mark goes last, when what it asks for is done and durable.
        if gone {
            sync(&paths.keys);
            gone = is_removed(&paths.keys);
            sync(&paths.keys);
        }
        // Refused if anything else is in it, and then it is not ours to remove.
        if fs::remove_dir(&self.home).is_ok() {
            sync(&self.home);
        }
        FilesFate { gone, in_use }
    }
}

/// Whoever has a home open: to be found before its files are removed, and still known after.
#[derive(Debug)]
pub struct Holder {
    lock: Option<File>,
}

impl Holder {
    /// Looks at the lock of a home.
    #[must_use]
    pub fn of(home: &Path) -> Self {
        Self { lock: File::open(Paths::of(home).lock).ok() }
    }

    /// Whether a program has the home open now, and so holds its keys in memory.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let Some(lock) = &self.lock else { return false };
        let tried = lock.try_lock();
        if tried.is_ok() {
            // Where this fails the end of this program lets go.
            lock.unlock().ok();
        }
        matches!(tried, Err(TryLockError::WouldBlock))
    }
}

/// Whether these are the first bytes of a `keys` file that a destruction has overwritten.
pub(super) fn is_mark(keys: &[u8]) -> bool {
    keys.starts_with(&MARK)
}

/// Puts the mark and zeros in the place of a small file's bytes, and waits until the disk has them. That it is not there
/// is no error.
fn overwrite(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Ok(mut file) => overwrite_open(&mut file),
        Err(_) if is_nothing(path) => Ok(()),
        Err(error) => Err(error),
    }
}

/// As [`overwrite`], for an open file that was not read or written yet.
pub(super) fn overwrite_open(file: &mut File) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // At least the mark; of a file longer than any of ours, what one of ours could have.
    let mut bytes = vec![0; length.clamp(MARK.len(), keys::FILE_BYTES_MAX)];
    bytes.iter_mut().zip(MARK).for_each(|(byte, mark)| *byte = mark);
    file.write_all(&bytes)?;
    file.sync_all()
}

fn is_home(paths: &Paths) -> bool {
    let mut first = [0; MARK.len()];
    let read = File::open(&paths.keys).and_then(|mut file| file.read_exact(&mut first));
    let unreadable = read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    let begins_as_ours = read.is_ok() && (first == keys::MAGIC || is_mark(&first));
    begins_as_ours || unreadable || paths.unfinished.iter().chain([&paths.records]).any(|path| !is_nothing(path))
}

/// Whether nothing has this name, also where its folder is not there or is a file.
fn is_nothing(path: &Path) -> bool {
    let kind = fs::symlink_metadata(path).err().map(|error| error.kind());
    matches!(kind, Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

fn is_removed(path: &Path) -> bool {
    home::remove_if_there(path).is_ok() || is_nothing(path)
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).ok();
}

/// Makes durable that a name is gone. Where the disk refuses, the next start finds what is left and removes it again.
fn sync(path: &Path) {
    home::sync_directory_of(path).ok();
}

//! The files of a home: private, locked by one program, replaced whole.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;

/// Only its owner may read, write or enter.
const DIRECTORY_MODE: u32 = 0o700;
/// Only its owner may read or write.
pub(super) const FILE_MODE: u32 = 0o600;

/// Where the files of a store are.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) lock: PathBuf,
    pub(super) keys: PathBuf,
    pub(super) records: PathBuf,
    /// A database that is being made, with what SQLite puts beside it.
    pub(super) unfinished: [PathBuf; 3],
    pub(super) reserve: PathBuf,
}

impl Paths {
    pub(super) fn of(home: &Path) -> Self {
        Self {
            lock: home.join("lock"),
            keys: home.join("keys"),
            records: home.join("records.db"),
            unfinished: ["", "-wal", "-journal"].map(|end| home.join(format!("records.db.new{end}"))),
            reserve: home.join("reserve"),
        }
    }
}

/// The home, ours alone until dropped. The system lets go when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct HomeLock {
    file: File,
}

impl Drop for HomeLock {
    fn drop(&mut self) {
        // Closing the file would let go too, but not while a program that is just being started still has a copy of it.
        // Where even this fails, the end of the process lets go.
        self.file.unlock().ok();
    }
}

impl HomeLock {
    /// Locks the home, or says that another program has it.
    pub(super) fn take(paths: &Paths) -> Result<Self, StoreError> {
        let doing = "locking the home";
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(FILE_MODE);
        let file = options.open(&paths.lock).map_err(|error| StoreError::from_io(doing, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Busy),
            Err(TryLockError::Error(error)) => Err(StoreError::from_io(doing, &error)),
        }
    }
}

/// Makes the home with what leads to it, if it is not there.
pub(super) fn make_directory(home: &Path) -> Result<(), StoreError> {
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(DIRECTORY_MODE).create(home);
    made.map_err(|error| StoreError::from_io("making the home", &error))?;
    keep_private(home)
}

/// Takes away what others may do in the home: copies and archives often bring it back.
pub(super) fn keep_private(home: &Path) -> Result<(), StoreError> {
    let doing = "making the home private";
    let refused = |error: io::Error| StoreError::from_io(doing, &error);
    let mode = fs::metadata(home).map_err(refused)?.permissions().mode();
    if mode & 0o777 == DIRECTORY_MODE {
        return Ok(());
    }
    fs::set_permissions(home, Permissions::from_mode(DIRECTORY_MODE)).map_err(refused)
}

/// Makes an empty private file where none is.
pub(super) fn make_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

/// Puts these bytes in the place of the file: after a power cut either the old file is there or the new one, whole.
pub(super) fn write_atomically(path: &Path, bytes: &[u8], doing: &'static str) -> Result<(), StoreError> {
    let refused = |error: io::Error| StoreError::from_io(doing, &error);
    let mut new = OsString::from(path);
    new.push(".new");
    let new = PathBuf::from(new);
    remove_if_there(&new).map_err(refused)?;
    let written = make_file(&new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&new, path));
    if let Err(error) = replaced {
        // What was refused half-way must not lie about: it may hold a key. If even that fails, the first error says
        // why.
        remove_if_there(&new).ok();
        return Err(refused(error));
    }
    sync_directory_of(path).map_err(refused)
}

/// Makes durable which names are in the directory of this file.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Removes a file; that it is not there is no error.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reads a file of at most `limit` bytes; a longer one is [`io::ErrorKind::FileTooLarge`].
pub(super) fn read_at_most(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // One byte more than allowed tells the longer file; the capacity is reserved so that no copies of a key are left
    // behind.
    let room = limit.saturating_add(1);
    let mut bytes = Vec::with_capacity(room);
    File::open(path)?.take(u64::try_from(room).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_let_go_even_while_a_starting_program_holds_a_copy_of_the_lock() {
        let directory = tempfile::TempDir::new().unwrap();
        let paths = Paths::of(directory.path());
        let first = HomeLock::take(&paths).unwrap();
        let copy = first.file.try_clone().unwrap();
        assert_eq!(HomeLock::take(&paths).err(), Some(StoreError::Busy));
        drop(first);
        assert!(HomeLock::take(&paths).is_ok());
        drop(copy);
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("keys");
        fs::write(directory.path().join("keys.new"), "left by a power cut").unwrap();
        for content in ["first", "second, longer", ""] {
            write_atomically(&path, content.as_bytes(), "testing").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_leaves_no_half_of_the_new_one() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("keys");
        fs::create_dir(&path).unwrap();
        assert!(write_atomically(&path, b"secret", "testing").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}

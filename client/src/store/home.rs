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
    pub(super) log: PathBuf,
    pub(super) reserve: PathBuf,
}

impl Paths {
    pub(super) fn of(home: &Path) -> Self {
        Self {
            lock: home.join("lock"),
            keys: home.join("keys"),
            records: home.join("records.db"),
            log: home.join("records.db-wal"),
            reserve: home.join("reserve"),
        }
    }
}

/// The home, ours alone until dropped. The system lets go when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Locks the home, or says that another program has it.
    pub(super) fn take(paths: &Paths) -> Result<Self, StoreError> {
        let doing = "locking the home";
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(FILE_MODE);
        let file = options.open(&paths.lock).map_err(|error| StoreError::from_io(doing, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
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
        // What was refused half-way must not lie about: it may hold a key. If even that fails, the first error says why.
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
    // One byte more than allowed tells the longer file; the capacity is reserved so that no copies of a key are left behind.
    let room = limit.saturating_add(1);
    let mut bytes = Vec::with_capacity(room);
    File::open(path)?.take(u64::try_from(room).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

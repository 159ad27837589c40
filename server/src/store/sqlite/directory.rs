//! The directory of a store: made for its owner alone, on a local disk, used by one relay at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::{Space, SpaceProbe, StoreError};

/// Name of the database's file.
pub(super) const DATABASE: &str = "relay.db";
/// Name of the write-ahead log's file, as SQLite forms it.
const LOG: &str = "relay.db-wal";
/// Name of the file that is locked while the store is open.
const LOCK: &str = "lock";

/// File systems whose other end may have another opinion about locks and fsync, by their magic number (statfs(2)).
#[cfg(target_os = "linux")]
const NETWORK_FILE_SYSTEMS: [(u32, &str); 12] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB 2"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x7461_636f, "OCFS2"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
];

/// A store's directory, locked until this is dropped.
pub(super) struct StoreDirectory {
    path: PathBuf,
    _lock: File,
}

impl StoreDirectory {
    /// Makes the directory if need be, checks where it lies, and locks it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| failure(path, "making the store's directory", &error))?;
        refuse_network(path)?;
        warn_of_writeback(path);
        let lock_path = path.join(LOCK);
        let lock = owned(&lock_path).map_err(|error| failure(path, "opening the store's lock", &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: lock_path }),
            Err(TryLockError::Error(error)) => return Err(failure(path, "locking the store", &error)),
        }
        // SQLite would let everybody read what it makes.
        owned(&path.join(DATABASE)).map_err(|error| failure(path, "opening the store", &error))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// Makes the names of new files durable; SQLite does it for its log only.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        for directory in [Some(self.path.as_path()), parent].into_iter().flatten() {
            File::open(directory)
                .and_then(|file| file.sync_all())
                .map_err(|error| failure(&self.path, "syncing the store's directory", &error))?;
        }
        Ok(())
    }
}

/// Asks the file system of `path` for its room.
pub(super) fn space_probe(path: &Path) -> SpaceProbe {
    let path = path.to_owned();
    Box::new(move || {
        let answer = rustix::fs::statvfs(&path)
            .map_err(|error| StoreError::Io { what: "asking for free space", reason: error.to_string() })?;
        Ok(Space {
            free_bytes: answer.f_bavail.saturating_mul(answer.f_frsize),
            total_bytes: answer.f_blocks.saturating_mul(answer.f_frsize),
        })
    })
}

fn owned(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn failure(path: &Path, what: &'static str, error: &std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path: path.to_owned() },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        _ => StoreError::Io { what, reason: error.to_string() },
    }
}

#[cfg(target_os = "linux")]
fn refuse_network(path: &Path) -> Result<(), StoreError> {
    let answer = rustix::fs::statfs(path)
        .map_err(|error| StoreError::Io { what: "asking which file system this is", reason: error.to_string() })?;
    let magic = low_half(answer.f_type);
    match NETWORK_FILE_SYSTEMS.iter().find(|(known, _)| *known == magic) {
        Some((_, kind)) => Err(StoreError::NotLocal { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

/// Elsewhere there is no such number to ask for.
#[cfg(not(target_os = "linux"))]
fn refuse_network(_path: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// The type of a magic number differs between machines, its lower half does not.
#[cfg(target_os = "linux")]
fn low_half(magic: impl TryInto<i64>) -> u32 {
    let bits = magic.try_into().unwrap_or(0) & 0xffff_ffff;
    u32::try_from(bits).unwrap_or(0)
}

/// Some single-board images mount ext4 with `data=writeback`: after a power cut files may then hold what was there before.
/// Damage is found by the row's seals, but the row is lost, so that the operator should know.
fn warn_of_writeback(path: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if mounts_with_writeback(&mounts, &path) {
        tracing::warn!("the store's disk is mounted with data=writeback: mount it with data=ordered");
    }
}

/// Reads proc(5)'s mountinfo: the fifth field is where a file system is mounted, options stand in the sixth and the last.
fn mounts_with_writeback(mounts: &str, path: &Path) -> bool {
    mounts
        .lines()
        .filter_map(|line| {
            let mounted_at = line.split_whitespace().nth(4)?;
            path.starts_with(mounted_at).then_some((mounted_at.len(), line))
        })
        .max_by_key(|(length, _)| *length)
        .is_some_and(|(_, line)| line.contains("data=writeback"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_mounted_with_writeback_is_recognised_by_its_longest_mount_point() {
        let mounts = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                      30 22 7:0 / /srv rw - ext4 /dev/loop0 rw,data=writeback\n";
        assert!(mounts_with_writeback(mounts, Path::new("/srv/zajil")));
        assert!(!mounts_with_writeback(mounts, Path::new("/var/zajil")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_magic_number_is_the_same_whatever_type_a_machine_gives_it() {
        assert_eq!(low_half(0x6969_i64), 0x6969);
        assert_eq!(low_half(0xff53_4d42_u32), 0xff53_4d42);
        assert_eq!(low_half(-0x00ac_b2be_i32), 0xff53_4d42);
    }
}

//! The relay's directory: configuration, keys, store. Secrets are readable by their owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use zajil_proto::keys::Secret;
use zajil_proto::random::{self, Random};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Where things lie below the relay's directory.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The directory itself.
    pub directory: PathBuf,
}

impl Layout {
    /// Lays out `directory`.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.directory.join("zajil-relay.toml")
    }

    /// The relay's own keys.
    pub fn keys(&self) -> PathBuf {
        self.directory.join("relay.key")
    }

    /// The store key, where the configuration names no other place.
    pub fn store_key(&self) -> PathBuf {
        self.directory.join("store.key")
    }

    /// The store's directory.
    pub fn store(&self) -> PathBuf {
        self.directory.join("store")
    }

    /// The socket through which `status` asks.
    pub fn admin_socket(&self) -> PathBuf {
        self.directory.join("admin.sock")
    }
}

/// Why a file of the relay's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is something already.
    #[error("{0} is there already. Use another directory, or remove it if no family depends on it")]
    Exists(PathBuf),
    /// It is not there.
    #[error("{0} is missing. Make the directory with `zajil-relay init --dir DIR`, or restore it from a backup")]
    Missing(PathBuf),
    /// It is there, but not what it should be.
    #[error("{0} is damaged. Restore it from a backup")]
    Damaged(PathBuf),
    /// Others may read it.
    #[error("{0} can be read by other users of this machine. Run `chmod 600` on it")]
    Exposed(PathBuf),
    /// The system refused.
    #[error("{path}: {error}. Check who owns the directory and whether the disk is full or read-only")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// What makes this relay this relay. Lost, every phone has to be told a new link.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RelayKeys {
    /// Seed of the Ed25519 key that phones pin.
    pub identity: Secret,
    /// Key of stateless resets; survives restarts so that phones learn at once that a connection is gone.
    pub reset: Secret,
    /// Key of address-validation tokens.
    pub token: Secret,
    /// What an invite-only relay asks for; part of the relay link.
    pub admission: String,
}

impl std::fmt::Debug for RelayKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RelayKeys(..)")
    }
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    version: u8,
    identity: String,
    reset: String,
    token: String,
    admission: String,
}

impl RelayKeys {
    /// Draws fresh keys.
    pub fn draw(random: &mut (impl Random + ?Sized)) -> Self {
        let code: [u8; 10] = random::bytes(random);
        Self {
            identity: Secret::draw(random),
            reset: Secret::draw(random),
            token: Secret::draw(random),
            admission: data_encoding::BASE32_NOPAD.encode(&code).to_ascii_lowercase(),
        }
    }

    /// Writes the key file; it must not be there yet.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn create(&self, path: &Path) -> Result<(), FileError> {
        let file = KeyFile {
            version: 1,
            identity: HEXLOWER.encode(&self.identity.0),
            reset: HEXLOWER.encode(&self.reset.0),
            token: HEXLOWER.encode(&self.token.0),
            admission: self.admission.clone(),
        };
        let text = toml::to_string(&file).map(Zeroizing::new).map_err(|_| FileError::Damaged(path.to_owned()))?;
        write_secret(path, text.as_bytes())
    }

    /// Reads the key file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let damaged = || FileError::Damaged(path.to_owned());
        let bytes = read_secret(path)?;
        let text = str::from_utf8(&bytes).map_err(|_| damaged())?;
        let file = toml::from_str::<KeyFile>(text).ok().filter(|file| file.version == 1).ok_or_else(damaged)?;
        Ok(Self {
            identity: Secret(unhex(&file.identity).ok_or_else(damaged)?),
            reset: Secret(unhex(&file.reset).ok_or_else(damaged)?),
            token: Secret(unhex(&file.token).ok_or_else(damaged)?),
            admission: file.admission.clone(),
        })
    }
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// Makes the directory, for its owner only.
///
/// # Errors
/// [`FileError::Io`].
pub fn make_directory(path: &Path) -> Result<(), FileError> {
    let io = |error| FileError::Io { path: path.to_owned(), error };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(io)
}

/// Writes a new file that only its owner may read, durably.
///
/// # Errors
/// [`FileError::Exists`], [`FileError::Io`].
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists(path.to_owned()),
        _ => FileError::Io { path: path.to_owned(), error },
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io)?;
    match path.parent() {
        Some(parent) => fs::File::open(parent).and_then(|directory| directory.sync_all()).map_err(io),
        None => Ok(()),
    }
}

/// Reads a file that only its owner may read.
///
/// # Errors
/// [`FileError::Missing`], [`FileError::Exposed`], [`FileError::Io`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let io = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileError::Missing(path.to_owned()),
        _ => FileError::Io { path: path.to_owned(), error },
    };
    let mode = fs::metadata(path).map_err(io)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed(path.to_owned()));
    }
    fs::read(path).map(Zeroizing::new).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u8);

    impl Random for Counting {
        fn fill(&mut self, bytes: &mut [u8]) {
            for byte in bytes {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
        }
    }

    #[test]
    fn keys_survive_being_written_and_read_and_are_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relay.key");
        let keys = RelayKeys::draw(&mut Counting(0));
        keys.create(&path).unwrap();
        let read = RelayKeys::read(&path).unwrap();
        assert!(read.identity == keys.identity && read.reset == keys.reset && read.token == keys.token);
        assert_eq!(read.admission, keys.admission);
        assert!(matches!(keys.create(&path), Err(FileError::Exists(_))));
        assert_eq!(format!("{keys:?}"), "RelayKeys(..)");
    }

    #[test]
    fn keys_that_others_may_read_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relay.key");
        RelayKeys::draw(&mut Counting(0)).create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(RelayKeys::read(&path), Err(FileError::Exposed(_))));
    }

    #[test]
    fn a_damaged_or_missing_key_file_is_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relay.key");
        assert!(matches!(RelayKeys::read(&path), Err(FileError::Missing(_))));
        write_secret(&path, b"version = 1\nidentity = \"00\"").unwrap();
        assert!(matches!(RelayKeys::read(&path), Err(FileError::Damaged(_))));
    }
}

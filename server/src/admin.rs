//! The operator's socket: answers `status` on a Unix socket that only the relay's user may open. It can ask, not change.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::limits::{ADMIN_ANSWER_BYTES_MAX, ADMIN_ANSWER_SECONDS_MAX};

/// What a running relay says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// Minutes since it started.
    pub uptime_minutes: u64,
    /// Addresses it listens on.
    pub listening: Vec<String>,
    /// Parcels it holds.
    pub parcels: u64,
    /// Bytes of bodies it holds.
    pub bytes: u64,
    /// Mailboxes registered.
    pub mailboxes: u64,
    /// Slots registered.
    pub slots: u64,
    /// Sessions open now.
    pub sessions_open: u64,
    /// Free bytes on the store's disk.
    pub disk_free_bytes: u64,
    /// Bytes kept free for old promises.
    pub disk_reserve_bytes: u64,
    /// Whether new parcels are taken.
    pub accepting: bool,
    /// Counts since the start.
    pub counts: BTreeMap<String, u64>,
}

/// Listens for questions.
///
/// # Errors
/// What the system says, for example that the path is too long for a socket.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    // The store's lock is held: a socket that is still there belongs to a relay that was killed.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers one question with `status`, then closes.
pub async fn answer(mut stream: UnixStream, status: &Status) {
    let Ok(text) = serde_json::to_vec(status) else { return };
    let write = async {
        stream.write_all(&text).await?;
        stream.shutdown().await
    };
    // A client that does not read loses its answer and nobody else's.
    let _ = tokio::time::timeout(Duration::from_secs(ADMIN_ANSWER_SECONDS_MAX), write).await;
}

/// Asks the relay that runs in a directory.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] or `ConnectionRefused` if none runs there; `InvalidData` if the answer is no status.
pub async fn ask(path: &Path) -> io::Result<Status> {
    let read = async {
        let stream = UnixStream::connect(path).await?;
        let mut text = Vec::new();
        stream.take(ADMIN_ANSWER_BYTES_MAX).read_to_end(&mut text).await?;
        serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    match tokio::time::timeout(Duration::from_secs(ADMIN_ANSWER_SECONDS_MAX), read).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

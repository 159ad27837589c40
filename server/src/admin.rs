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

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            version: "0.1.0".into(),
            uptime_minutes: 5,
            listening: vec!["127.0.0.1:443".into()],
            parcels: 1,
            bytes: 2,
            mailboxes: 3,
            slots: 4,
            sessions_open: 6,
            disk_free_bytes: 7,
            disk_reserve_bytes: 8,
            accepting: true,
            counts: BTreeMap::from([("parcel_stored".into(), 9)]),
        }
    }

    #[tokio::test]
    async fn an_answer_comes_as_it_was_given_and_only_the_owner_may_ask() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        std::fs::write(&path, "left by a relay that was killed").unwrap();
        let listener = listen(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let answering = async { answer(listener.accept().await.unwrap().0, &status()).await };
        let (asked, ()) = tokio::join!(ask(&path), answering);
        assert_eq!(asked.unwrap(), status());
    }

    #[tokio::test]
    async fn without_a_relay_nobody_answers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        assert_eq!(ask(&path).await.unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(listen(&path).unwrap());
        assert_eq!(ask(&path).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_answers_and_who_never_reads_hold_nobody_for_long() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let listener = listen(&path).unwrap();
        assert_eq!(ask(&path).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let _never_reads = UnixStream::connect(&path).await.unwrap();
        drop(listener.accept().await.unwrap());
        let long = Status { version: "x".repeat(10_000_000), ..status() };
        answer(listener.accept().await.unwrap().0, &long).await;
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_no_answer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("admin.sock");
        let listener = listen(&path).unwrap();
        let version = "x".repeat(usize::try_from(ADMIN_ANSWER_BYTES_MAX).unwrap());
        let long = Status { version, ..status() };
        let answering = async { answer(listener.accept().await.unwrap().0, &long).await };
        let (asked, ()) = tokio::join!(ask(&path), answering);
        assert_eq!(asked.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

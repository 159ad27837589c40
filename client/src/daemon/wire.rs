//! What goes over the socket.
//!
//! Each side first sends [`GREETING`]. Then the command sends one request, and the daemon any number of progress
//! messages and one answer, each as `length u32, big-endian ‖ postcard`. One connection carries one request. Both sides
//! are the same program on the same machine, so the form may change with any version; the greeting's last byte changes
//! with it.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::engine::api::{Failure, Progress, Reply};
use crate::limits::DAEMON_FRAME_BYTES_MAX;

/// First bytes of each side. The last one is the version: raise it whenever `engine::api` or this file changes form.
pub const GREETING: [u8; 8] = *b"zajild\0\x02";

/// One message of the daemon.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub enum FromDaemon {
    /// Something to show while the request is carried out.
    Progress(Progress),
    /// The end.
    Done(Result<Reply, Failure>),
}

/// Why the two did not understand each other.
#[derive(Debug, Error)]
pub enum WireError {
    /// The other side closed, or broke in the middle.
    #[error("the other side is gone")]
    Gone,
    /// It is no daemon of this version.
    #[error("the other side speaks another version")]
    Version,
    /// More bytes than [`DAEMON_FRAME_BYTES_MAX`].
    #[error("a message of {got} bytes, more than {max}")]
    TooLarge {
        /// Bytes of the message.
        got: u64,
        /// Bytes it may have.
        max: u32,
    },
    /// Not the bytes of a message.
    #[error("a message that cannot be read")]
    Malformed,
    /// The system refused.
    #[error("the socket failed: {0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Gone,
            _ => Self::Io(error),
        }
    }
}

/// Sends this side's greeting and reads the other's.
///
/// # Errors
///
/// [`WireError::Version`] if it is another, [`WireError::Gone`] or [`WireError::Io`] if none comes.
pub async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<(), WireError> {
    stream.write_all(&GREETING).await?;
    stream.flush().await?;
    let mut theirs = [0; GREETING.len()];
    stream.read_exact(&mut theirs).await?;
    if theirs == GREETING { Ok(()) } else { Err(WireError::Version) }
}

/// Writes one message.
///
/// # Errors
///
/// [`WireError::TooLarge`] before anything is written; [`WireError::Gone`], [`WireError::Io`].
pub async fn write<S: AsyncWrite + Unpin, T: Serialize>(stream: &mut S, message: &T) -> Result<(), WireError> {
    // It may hold a passphrase.
    let bytes = Zeroizing::new(postcard::to_stdvec(message).map_err(|_| WireError::Malformed)?);
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= DAEMON_FRAME_BYTES_MAX);
    let Some(length) = length else {
        return Err(WireError::TooLarge {
            got: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            max: DAEMON_FRAME_BYTES_MAX,
        });
    };
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(&bytes).await?;
    stream.flush().await?;
    Ok(())
}

/// Reads one message. Memory is taken as bytes arrive, not as the length promises.
///
/// # Errors
///
/// See [`WireError`].
pub async fn read<S: AsyncRead + Unpin, T: DeserializeOwned>(stream: &mut S) -> Result<T, WireError> {
    let length = stream.read_u32().await?;
    if length > DAEMON_FRAME_BYTES_MAX {
        return Err(WireError::TooLarge { got: length.into(), max: DAEMON_FRAME_BYTES_MAX });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let got = stream.take(length.into()).read_to_end(&mut bytes).await?;
    if u32::try_from(got) != Ok(length) {
        return Err(WireError::Gone);
    }
    match postcard::take_from_bytes(&bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(WireError::Malformed),
    }
}

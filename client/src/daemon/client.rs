//! A command's side of the socket.

use std::io;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

use super::wire::{self, FromDaemon, WireError};
use crate::engine::api::{Failure, Progress, Reply, Request};

/// The way to a daemon that answered.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Finds the daemon behind a socket; `None` if none listens there, be the file left over or not there at all.
    ///
    /// # Errors
    ///
    /// [`WireError::Version`] if it is of another version; [`WireError::Io`] if the socket may not be used.
    pub async fn find(socket: &Path) -> Result<Option<Self>, WireError> {
        match connect(socket).await {
            Ok(_) => Ok(Some(Self { socket: socket.to_owned() })),
            Err(WireError::Io(error)) if is_nobody(&error) => Ok(None),
            // It stops at this very moment.
            Err(WireError::Gone) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Has a request carried out. Dropping the future leaves the daemon to finish it alone.
    ///
    /// # Errors
    ///
    /// [`WireError`] if there is no answer; the inner [`Failure`] if there is and it is a refusal.
    pub async fn execute(
        &self,
        request: &Request,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Result<Reply, Failure>, WireError> {
        let mut stream = connect(&self.socket).await?;
        wire::write(&mut stream, request).await?;
        loop {
            match wire::read(&mut stream).await? {
                FromDaemon::Progress(news) => progress(news),
                FromDaemon::Done(answer) => return Ok(answer),
            }
        }
    }
}

async fn connect(socket: &Path) -> Result<UnixStream, WireError> {
    let mut stream = UnixStream::connect(socket).await.map_err(WireError::Io)?;
    wire::greet(&mut stream).await?;
    Ok(stream)
}

/// Whether connecting failed because nobody is there. A path that no socket can have has nobody behind it either.
fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::NotADirectory
    )
}

//! A command's side of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::wire::{self, FromDaemon, WireError};
use crate::engine::api::{Failure, Progress, Reply, Request};
use crate::limits::DAEMON_ABANDON_MS_MAX;

/// How often it is looked whether a daemon has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

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

/// A daemon that is to end because its home is destroyed. Found before that, for its socket goes with the home.
#[derive(Debug)]
pub struct Condemned {
    stream: UnixStream,
    process: Option<Pid>,
}

impl Condemned {
    /// Finds whoever listens behind a socket, of whatever version.
    pub async fn find(socket: &Path) -> Option<Self> {
        let stream = UnixStream::connect(socket).await.ok()?;
        let process = stream.peer_cred().ok()?.pid().and_then(Pid::from_raw);
        Some(Self { stream, process })
    }

    /// Asks it to end, waits a little, and makes it end. Returns whether it is gone, as far as `is_gone` knows.
    pub async fn end(mut self, is_gone: impl Fn() -> bool) -> bool {
        let asked = async {
            wire::greet(&mut self.stream).await?;
            wire::write(&mut self.stream, &Request::Abandon).await?;
            wire::read::<_, FromDaemon>(&mut self.stream).await
        };
        let most = Duration::from_millis(DAEMON_ABANDON_MS_MAX);
        // One that does not understand, or stands still, is killed below.
        let answered = matches!(timeout(most, asked).await, Ok(Ok(_)));
        let gone = async {
            while !is_gone() {
                sleep(LOOK_AGAIN).await;
            }
        };
        tokio::pin!(gone);
        if answered && timeout(most, &mut gone).await.is_ok() {
            return true;
        }
        if let Some(process) = self.process {
            kill_process(process, Signal::KILL).ok();
        }
        timeout(most, gone).await.is_ok()
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

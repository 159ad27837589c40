//! The daemon's side of the socket: takes requests from commands and hands them to the engine.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::wire::{self, FromDaemon, WireError};
use crate::engine::api::{Failure, Request};
use crate::engine::host::Call;
use crate::limits::{
    DAEMON_CONNECTIONS_MAX, DAEMON_DRAIN_MS_MAX, DAEMON_PROGRESS_QUEUE, DAEMON_REQUEST_MS_MAX, DAEMON_WRITE_MS_MAX,
};

/// Connections at which even "too much at once" is not said any more.
const TURNED_AWAY_MAX: usize = 2 * DAEMON_CONNECTIONS_MAX;

/// A socket that listens.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    socket: PathBuf,
}

impl Server {
    /// Listens. The caller holds the home's lock, so a socket that lies there is left over and is replaced.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn bind(socket: &Path) -> io::Result<Self> {
        match fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(socket)?;
        // Until this line only the home's own mode keeps others away, and it does.
        fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, socket: socket.to_owned() })
    }

    /// Takes requests until `stop` resolves, then lets those under way end and takes the socket away.
    pub async fn serve(self, calls: mpsc::Sender<Call>, stop: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if is_ours(&stream) => match connections.len() {
                        0..DAEMON_CONNECTIONS_MAX => drop(connections.spawn(serve_one(stream, Some(calls.clone())))),
                        // As many again are told why; beyond that something is out of hand.
                        DAEMON_CONNECTIONS_MAX..TURNED_AWAY_MAX => drop(connections.spawn(serve_one(stream, None))),
                        _ => drop(stream),
                    },
                    Ok(_) => tracing::warn!("another account tried to use the daemon; turned away"),
                    // Most likely out of file descriptors: those of ended commands come back soon.
                    Err(error) => {
                        tracing::warn!(kind = ?error.kind(), "a command could not be let in");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(self.listener);
        if let Err(error) = fs::remove_file(&self.socket) {
            tracing::debug!(kind = ?error.kind(), "the socket was not there any more");
        }
        drop(calls);
        let drained = async { while connections.join_next().await.is_some() {} };
        if timeout(Duration::from_millis(DAEMON_DRAIN_MS_MAX), drained).await.is_err() {
            connections.shutdown().await;
        }
    }
}

/// Whether the peer is a process of this account.
fn is_ours(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw())
}

/// Serves one command; without a way to the engine only says that there is too much to do.
async fn serve_one(mut stream: UnixStream, calls: Option<mpsc::Sender<Call>>) {
    if let Err(error) = converse(&mut stream, calls).await
        && !matches!(error, WireError::Gone)
    {
        tracing::debug!(%error, "a command was not served");
    }
}

async fn converse(stream: &mut UnixStream, calls: Option<mpsc::Sender<Call>>) -> Result<(), WireError> {
    let asked = async {
        wire::greet(stream).await?;
        wire::read(stream).await
    };
    let request: Request =
        timeout(Duration::from_millis(DAEMON_REQUEST_MS_MAX), asked).await.map_err(|_| WireError::Gone)??;
    let Some(calls) = calls else {
        return say(stream, &FromDaemon::Done(Err(Failure::Busy))).await;
    };
    let (progress, mut news) = mpsc::channel(DAEMON_PROGRESS_QUEUE);
    let (reply, mut answer) = oneshot::channel();
    let call = Call { request, progress, reply };
    // Closed: the daemon stops. The command sees the connection end and says so.
    calls.send(call).await.map_err(|_| WireError::Gone)?;
    drop(calls);
    loop {
        let mut unexpected = [0; 1];
        tokio::select! {
            biased;
            Some(step) = news.recv() => say(stream, &FromDaemon::Progress(step)).await?,
            answer = &mut answer => {
                let answer = answer.map_err(|_| WireError::Gone)?;
                while let Ok(step) = news.try_recv() {
                    say(stream, &FromDaemon::Progress(step)).await?;
                }
                return say(stream, &FromDaemon::Done(answer)).await;
            }
            // A command says nothing after its request: this is its end.
            _ = stream.read(&mut unexpected) => return Err(WireError::Gone),
        }
    }
}

/// Writes to a command that may have stopped reading.
async fn say(stream: &mut UnixStream, message: &FromDaemon) -> Result<(), WireError> {
    let written = timeout(Duration::from_millis(DAEMON_WRITE_MS_MAX), wire::write(stream, message)).await;
    match written {
        // An answer above the limit is told as such; nothing of it was written.
        Ok(Err(WireError::TooLarge { got, max })) => {
            tracing::error!(got, max, "an answer was too large for the socket");
            wire::write(stream, &FromDaemon::Done(Err(Failure::Busy))).await
        }
        Ok(result) => result,
        Err(_) => Err(WireError::Gone),
    }
}

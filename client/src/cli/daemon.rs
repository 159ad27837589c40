//! `zajil daemon`, `lock` and `unlock`: holding the links, and forgetting the keys.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::arguments::{Daemon, LinkGiven};
use super::context::{Context, mismatched, shown};
use super::exit::Exit;
use super::problem::{self, Problem};
use super::{home, panic};
use crate::daemon::keeper::{Locking, keep};
use crate::daemon::server::Server;
use crate::engine::api::{Failure, Reply, Request};
use crate::i18n::msg;
use crate::limits::{DAEMON_CONNECTIONS_MAX, DAEMON_LOCK_MINUTES};
use crate::store::{Method, SqliteStore, StoreError};

/// Holds the links and serves other commands until a signal or a request to stop.
///
/// `link`: what somebody says that the link carries.
pub(super) async fn daemon(
    context: &mut Context,
    given: &Daemon,
    passphrase: Option<&Path>,
    link: Option<LinkGiven>,
) -> Result<Exit, Problem> {
    let socket = home::socket_path(&context.home)?;
    let mut host = home::hold(&context.home, passphrase).await?;
    let locking = locking(context, given)?;
    if let Some(link) = link {
        host.execute(Request::SetLink { link: link.into() }, &mut |_| {}).await?;
    }
    let server = Server::bind(&socket).map_err(|error| home::socket(&error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(problem::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(problem::internal)?;
    let command = context.command("daemon --stop");
    context.output.line(&msg("daemon-ready").text("command", command));
    if let Locking::After(time) = locking {
        context.output.line(&msg("daemon-locks").figures("n", time.as_secs() / 60));
    }
    context.output.done("daemon", Exit::Done, json!({ "socket": shown(&socket) }));

    let (calls, requests) = mpsc::channel(DAEMON_CONNECTIONS_MAX);
    let (stop, stopping) = zajil_net::stop_signal();
    let home = context.home.clone();
    let engine = async move {
        let signalled = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let ended = keep(host, requests, locking, |passphrase| home::reopen(&home, passphrase), signalled).await;
        // From here on no request can be carried out; the socket goes, so that commands open the home themselves.
        stop.give();
        ended
    };
    let doors = server.serve(calls, async move { stopping.given().await });
    let (ended, ()) = tokio::join!(engine, doors);
    ended?;
    context.output.line(&msg("daemon-stopped"));
    Ok(Exit::Done)
}

fn locking(context: &Context, given: &Daemon) -> Result<Locking, Problem> {
    let method = SqliteStore::method(&context.home).map_err(|error| problem::home(&error, &context.home))?;
    match (method, given.lock_after.unwrap_or(DAEMON_LOCK_MINUTES)) {
        (Method::KeyFile, _) if given.lock_after.is_some_and(|minutes| minutes > 0) => {
            Err(Failure::NothingToLock.into())
        }
        (Method::KeyFile, _) => Ok(Locking::Never),
        (Method::Passphrase, 0) => Ok(Locking::Told),
        (Method::Passphrase, minutes) => Ok(Locking::After(Duration::from_secs(u64::from(minutes) * 60))),
    }
}

/// Stops the daemon of this home.
pub(super) async fn stop(context: &mut Context) -> Result<Exit, Problem> {
    match home::ask_daemon(&context.home, &Request::Stop).await? {
        Reply::Stopping => {}
        _ => return Err(mismatched()),
    }
    context.output.line(&msg("daemon-stopped"));
    context.output.done("daemon", Exit::Done, json!({ "stopped": true }));
    Ok(Exit::Done)
}

/// Has the daemon forget its keys.
pub(super) async fn lock(context: &mut Context) -> Result<Exit, Problem> {
    match home::ask_daemon(&context.home, &Request::Lock).await? {
        Reply::Locked => {}
        _ => return Err(mismatched()),
    }
    context.output.line(&msg("lock-done"));
    let command = context.command("unlock --passphrase-file FILE");
    context.output.hint(&msg("lock-next").text("command", command));
    context.output.done("lock", Exit::Done, json!({ "locked": true }));
    Ok(Exit::Done)
}

/// Gives a daemon that forgot its keys the passphrase.
pub(super) async fn unlock(context: &mut Context, passphrase: Option<&Path>) -> Result<Exit, Problem> {
    let Some(file) = passphrase else { return Err(problem::home(&StoreError::NeedsPassphrase, &context.home)) };
    let passphrase = home::read_passphrase(file)?;
    // Here, and not by the daemon, so that the passphrase of duress ends the daemon too.
    panic::try_passphrase(&context.home, &passphrase).await?;
    match home::ask_daemon(&context.home, &Request::Unlock { passphrase }).await? {
        Reply::Unlocked => {}
        _ => return Err(mismatched()),
    }
    context.output.line(&msg("unlock-done"));
    context.output.done("unlock", Exit::Done, json!({ "locked": false }));
    Ok(Exit::Done)
}

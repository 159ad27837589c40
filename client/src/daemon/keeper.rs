//! What a daemon does while it has its keys, and while it has forgotten them.
//!
//! While it has them it hands requests to the engine. When it is told to lock, or nothing was asked for a time, the engine
//! ends and the store is closed, and with them go the keys; relays are not met then, and notes wait there. The socket stays,
//! and answers that the device is locked, until somebody gives the passphrase.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::engine::api::{Failure, Progress, Reply, Request};
use crate::engine::host::{Call, Host};
use crate::limits::DAEMON_CONNECTIONS_MAX;
use crate::store::Passphrase;

/// When a daemon forgets its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// Never: they lie in a file beside the home, and forgetting them would protect nothing.
    Never,
    /// When it is told to.
    Told,
    /// When it is told to, or nothing was asked for this long and nobody waits for an answer. Time in which the machine
    /// sleeps does not count.
    After(Duration),
}

/// Why the engine is to end.
enum End {
    /// The daemon ends.
    Stop,
    /// It forgets its keys, and says so if somebody has told it to.
    Lock(Option<oneshot::Sender<Result<Reply, Failure>>>),
}

/// Serves requests until `stop` resolves or one asks to stop. `open` opens the home again.
///
/// # Errors
/// [`Failure`] if the store fails, as [`Host::serve`].
pub async fn keep(
    mut host: Host,
    mut calls: mpsc::Receiver<Call>,
    locking: Locking,
    open: impl Fn(&Passphrase) -> Result<Host, Failure>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    tokio::pin!(stop);
    loop {
        let (inner, requests) = mpsc::channel(DAEMON_CONNECTIONS_MAX);
        let (give, given) = zajil_net::stop_signal();
        let end = {
            let serving = host.serve(requests, async move { given.given().await });
            tokio::pin!(serving);
            tokio::select! {
                ended = &mut serving => return ended,
                end = hand_over(&mut calls, &inner, locking, &mut stop) => {
                    give.give();
                    serving.await?;
                    end
                }
            }
        };
        // The keys go here.
        drop(host);
        match end {
            End::Stop => return Ok(()),
            End::Lock(Some(told)) => drop(told.send(Ok(Reply::Locked))),
            End::Lock(None) => {}
        }
        match while_locked(&mut calls, &open, &mut stop).await {
            Some(opened) => host = opened,
            None => return Ok(()),
        }
    }
}

/// Hands requests over to the engine until it is to end.
async fn hand_over(
    calls: &mut mpsc::Receiver<Call>,
    engine: &mpsc::Sender<Call>,
    locking: Locking,
    mut stop: impl Future<Output = ()> + Unpin,
) -> End {
    let mut under_way: Vec<mpsc::Sender<Progress>> = Vec::new();
    loop {
        let idle = async {
            match locking {
                Locking::After(time) => sleep(time).await,
                Locking::Never | Locking::Told => std::future::pending().await,
            }
        };
        let call = tokio::select! {
            biased;
            () = &mut stop => return End::Stop,
            call = calls.recv() => call,
            () = idle => {
                under_way.retain(|waiting| !waiting.is_closed());
                if under_way.is_empty() {
                    return End::Lock(None);
                }
                continue;
            }
        };
        let Some(call) = call else { return End::Stop };
        match (&call.request, locking) {
            (Request::Lock, Locking::Never) => drop(call.reply.send(Err(Failure::NothingToLock))),
            (Request::Lock, Locking::Told | Locking::After(_)) => return End::Lock(Some(call.reply)),
            (Request::Unlock { .. }, _) => drop(call.reply.send(Ok(Reply::Unlocked))),
            _ => {
                // Closed when its command was answered, or has left.
                under_way.retain(|waiting| !waiting.is_closed());
                under_way.push(call.progress.clone());
                // Refused only by an engine that ends now: the command is told by its reply.
                engine.send(call).await.ok();
            }
        }
    }
}

/// Answers that the device is locked until somebody opens it; `None` if the daemon ends.
async fn while_locked(
    calls: &mut mpsc::Receiver<Call>,
    open: &impl Fn(&Passphrase) -> Result<Host, Failure>,
    mut stop: impl Future<Output = ()> + Unpin,
) -> Option<Host> {
    loop {
        let call = tokio::select! {
            biased;
            () = &mut stop => return None,
            call = calls.recv() => call?,
        };
        // Nobody may be there any more to read an answer.
        let answer = match &call.request {
            Request::Unlock { passphrase } => match open(passphrase) {
                Ok(host) => {
                    let _ = call.reply.send(Ok(Reply::Unlocked));
                    return Some(host);
                }
                Err(failure) => Err(failure),
            },
            Request::Stop | Request::Abandon => {
                let _ = call.reply.send(Ok(Reply::Stopping));
                return None;
            }
            Request::Lock => Ok(Reply::Locked),
            _ => Err(Failure::DeviceLocked),
        };
        let _ = call.reply.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A time without requests after which a daemon locks.
    const TIME: Duration = Duration::from_secs(600);

    struct Command {
        answer: oneshot::Receiver<Result<Reply, Failure>>,
        news: mpsc::Receiver<Progress>,
    }

    async fn ask(calls: &mpsc::Sender<Call>, request: Request) -> Command {
        let ((progress, news), (reply, answer)) = (mpsc::channel(1), oneshot::channel());
        calls.send(Call { request, progress, reply }).await.unwrap();
        Command { answer, news }
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_nobody_asks_locks_after_its_time_and_one_that_somebody_waits_for_does_not() {
        let (calls, mut requests) = mpsc::channel(4);
        let (engine, mut inner) = mpsc::channel(4);
        let began = tokio::time::Instant::now();
        let waiting = ask(&calls, Request::Status).await;
        let command = async {
            sleep(TIME * 3).await;
            drop(waiting);
        };
        let stop = Box::pin(std::future::pending());
        let handing = hand_over(&mut requests, &engine, Locking::After(TIME), stop);
        let (end, ()) = tokio::join!(handing, command);
        assert!(matches!(end, End::Lock(None)));
        let took = began.elapsed();
        assert!(took >= TIME * 3 && took <= TIME * 5, "{took:?}");
        assert!(matches!(inner.recv().await.unwrap().request, Request::Status));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_passphrase_is_never_locked() {
        let (calls, mut requests) = mpsc::channel(4);
        let (engine, _inner) = mpsc::channel(4);
        let lock = ask(&calls, Request::Lock).await;
        let stop = Box::pin(sleep(TIME * 1_000));
        assert!(matches!(hand_over(&mut requests, &engine, Locking::Never, stop).await, End::Stop));
        assert_eq!(lock.answer.await.unwrap().unwrap_err(), Failure::NothingToLock);
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_is_told_locks_at_once_and_says_so_only_when_the_keys_are_gone() {
        let (calls, mut requests) = mpsc::channel(4);
        let (engine, _inner) = mpsc::channel(4);
        let mut lock = ask(&calls, Request::Lock).await;
        let stop = Box::pin(std::future::pending());
        let end = hand_over(&mut requests, &engine, Locking::Told, stop).await;
        assert!(matches!(end, End::Lock(Some(_))));
        assert!(lock.answer.try_recv().is_err(), "not answered yet");
    }

    #[tokio::test(start_paused = true)]
    async fn a_locked_daemon_says_so_to_every_request_and_can_be_ended() {
        let (calls, mut requests) = mpsc::channel(4);
        let passphrase = Passphrase::new("wrong").unwrap();
        let status = ask(&calls, Request::Status).await;
        let lock = ask(&calls, Request::Lock).await;
        let unlock = ask(&calls, Request::Unlock { passphrase }).await;
        let abandon = ask(&calls, Request::Abandon).await;
        let open = |_: &Passphrase| Err(Failure::Store("wrong".to_owned()));
        let stop = Box::pin(std::future::pending());
        assert!(while_locked(&mut requests, &open, stop).await.is_none());
        assert_eq!(status.answer.await.unwrap().unwrap_err(), Failure::DeviceLocked);
        assert!(matches!(lock.answer.await.unwrap(), Ok(Reply::Locked)));
        assert!(unlock.answer.await.unwrap().is_err());
        assert!(matches!(abandon.answer.await.unwrap(), Ok(Reply::Stopping)));
        drop(lock.news);
    }
}

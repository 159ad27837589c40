//! Signals as something to wait for.

use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::errors::LinkError;

/// What is listened to. Programs that are started from here get the usual handling back, by `exec`.
const HEARD: [i32; 5] = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD];

/// What a signal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// A program has ended, or a [`Bell`] rings.
    Look,
    /// Somebody wants figures.
    Snapshot,
    /// Somebody wants an end: the signal's number.
    End(u8),
}

/// The signals of this process, from now until the end.
#[derive(Debug)]
pub(crate) struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    ear: UnixStream,
    bell: UnixStream,
}

/// Wakes whoever waits for signals when it is dropped, as at the end of another thread.
#[derive(Debug)]
pub(crate) struct Bell(UnixStream);

impl Signals {
    /// Begins to listen; from now on no signal of [`HEARD`] ends the process by itself.
    pub(crate) fn listen() -> Result<Self, LinkError> {
        let failed = LinkError::system("could not listen to signals");
        let (read, write) = UnixStream::pair().map_err(&failed)?;
        let (ear, bell) = (read.try_clone().map_err(&failed)?, write.try_clone().map_err(&failed)?);
        bell.set_nonblocking(true).map_err(&failed)?;
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, HEARD).map_err(&failed)?;
        Ok(Self { delivery, ear, bell })
    }

    /// Returns what becomes readable when a signal arrives.
    pub(crate) fn ear(&self) -> BorrowedFd<'_> {
        self.ear.as_fd()
    }

    /// Returns what has arrived: the wish for an end last, and always a look at what may have ended.
    pub(crate) fn arrived(&mut self) -> Vec<Signal> {
        let arrived: Vec<i32> = self.delivery.pending().collect();
        let snapshot = arrived.contains(&SIGUSR1).then_some(Signal::Snapshot);
        let end = arrived.iter().find(|number| [SIGINT, SIGTERM, SIGHUP].contains(number));
        let end = end.and_then(|number| u8::try_from(*number).ok()).map(Signal::End);
        snapshot.into_iter().chain([Signal::Look]).chain(end).collect()
    }

    /// Makes a bell for another thread.
    pub(crate) fn bell(&self) -> Result<Bell, LinkError> {
        self.bell.try_clone().map(Bell).map_err(LinkError::system("could not make a bell"))
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        // One that has not been heard yet is as good as two.
        let _heard_anyway = (&self.0).write(&[0]);
    }
}

use tokio::sync::mpsc;

use super::rows::SealedRows;
use super::{Ledger, StoreError};
use crate::limits::BATCH_REQUESTS_MAX;

/// One request on its way to the ledger.
pub(super) type Job = Box<dyn FnOnce(&mut Ledger<SealedRows>) -> Outcome + Send>;

/// What a request came to, to be told after the commit.
pub(super) struct Outcome {
    /// Why it failed, if the store failed it.
    pub(super) failed: Option<StoreError>,
    /// Tells whoever asked, given whether the commit held.
    pub(super) reply: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// Does requests in turn until nobody can send any more: all that wait together in one commit, answers after it.
///
/// # Errors
/// What stopped it. Nothing was acknowledged after that, and the queue is gone with it.
pub(super) fn run(mut ledger: Ledger<SealedRows>, mut queue: mpsc::Receiver<Job>) -> Result<(), StoreError> {
    while let Some(first) = queue.blocking_recv() {
        if let Err(error) = batch(&mut ledger, first, &mut queue) {
            tracing::error!(%error, "the store has stopped: nothing is acknowledged until it is opened again");
            return Err(error);
        }
    }
    ledger.rows().finish()
}

fn batch(ledger: &mut Ledger<SealedRows>, first: Job, queue: &mut mpsc::Receiver<Job>) -> Result<(), StoreError> {
    let mut replies = Vec::new();
    let mut next = Some(first);
    let mut stopped = Ok(());
    while let Some(job) = next {
        ledger.rows().request_begins();
        let outcome = job(ledger);
        match outcome.failed {
            // A body that rots concerns its reader; anything else concerns everybody.
            Some(StoreError::Corrupt { .. }) if ledger.rows().is_unharmed() => {
                tracing::error!("a row of the store is damaged; `zajil-relay check` tells how many");
            }
            Some(error) => stopped = Err(error),
            None => {}
        }
        replies.push(outcome.reply);
        next = if stopped.is_ok() && replies.len() < BATCH_REQUESTS_MAX { queue.try_recv().ok() } else { None };
    }
    let committed = stopped.and_then(|()| ledger.rows().commit());
    ledger.batch_ended();
    for reply in replies {
        reply(committed.as_ref().map_err(|_| StoreError::Unavailable).copied());
    }
    committed?;
    ledger.rows().settle()
}

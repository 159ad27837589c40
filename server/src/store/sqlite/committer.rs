use tokio::sync::mpsc;

use super::super::batch::{self, Batch};
use super::rows::SealedRows;
use super::{Ledger, StoreError};

/// One request on its way to the ledger.
pub(super) type Job = batch::Job<SealedRows>;

/// Does requests in turn until nobody can send any more: all that wait together in one commit, answers after it.
///
/// # Errors
/// What stopped it. Nothing was acknowledged after that, and the queue is gone with it.
pub(super) fn run(mut ledger: Ledger<SealedRows>, mut queue: mpsc::Receiver<Job>) -> Result<(), StoreError> {
    while let Some(first) = queue.blocking_recv() {
        if let Err(error) = commit_together(&mut ledger, first, &mut queue) {
            tracing::error!(%error, "the store has stopped: nothing is acknowledged until it is opened again");
            return Err(error);
        }
    }
    ledger.rows().finish()
}

fn commit_together(
    ledger: &mut Ledger<SealedRows>,
    first: Job,
    queue: &mut mpsc::Receiver<Job>,
) -> Result<(), StoreError> {
    let mut first = Some(first);
    let (batch, done) = Batch::run(ledger, || first.take().or_else(|| queue.try_recv().ok()));
    let committed = done.and_then(|()| ledger.rows().commit());
    ledger.batch_ended();
    batch.answer(&committed);
    committed?;
    ledger.rows().settle()
}

//! Requests that share one commit: the same for every engine that keeps a ledger.

use tokio::sync::oneshot;
use zajil_proto::durable::Durable;
use zajil_proto::sabotaged;

use super::StoreError;
use super::ledger::{Ledger, Rows};
use crate::limits::BATCH_REQUESTS_MAX;

/// Rows that know what the request that runs did to them.
pub(super) trait RequestRows: Rows {
    /// Forgets what the last request did.
    fn request_begins(&mut self);

    /// Returns whether the request that failed has changed nothing and what lies below the rows is in order.
    fn is_unharmed(&self) -> bool;
}

/// One request on its way to the ledger.
pub(super) type Job<R> = Box<dyn FnOnce(&mut Ledger<R>) -> Outcome + Send>;

/// Tells whoever asked, given whether the commit held.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What a request came to, to be told after the commit.
pub(super) struct Outcome {
    /// Why it failed, if the store failed it.
    failed: Option<StoreError>,
    reply: Reply,
}

/// Wraps `work`; what comes of it is told after the commit, or never if the job or its outcome is dropped. `durable` is how the
/// engine says that a result is durable.
pub(super) fn job<R: Rows, T: Send + 'static>(
    work: impl FnOnce(&mut Ledger<R>) -> Result<T, StoreError> + Send + 'static,
    durable: fn(T) -> Durable<T>,
) -> (Job<R>, oneshot::Receiver<Result<Durable<T>, StoreError>>) {
    let (tell, answer) = oneshot::channel();
    let job: Job<R> = Box::new(move |ledger| {
        let result = work(ledger);
        Outcome {
            failed: result.as_ref().err().filter(|error| error.refusal().is_none()).cloned(),
            reply: Box::new(move |committed| {
                // Whoever asked may have gone; what was done stays done.
                let _nobody_waits = tell.send(committed.and(result).map(durable));
            }),
        }
    });
    (job, answer)
}

/// Requests that were done and wait for one commit.
#[derive(Default)]
pub(super) struct Batch {
    replies: Vec<Reply>,
}

impl Batch {
    /// Does jobs in turn until there is none, or as many as share a commit, or one stops the store.
    pub(super) fn run<R: RequestRows>(
        ledger: &mut Ledger<R>,
        mut next: impl FnMut() -> Option<Job<R>>,
    ) -> (Self, Result<(), StoreError>) {
        let mut batch = Self::default();
        while batch.replies.len() < BATCH_REQUESTS_MAX {
            let Some(job) = next() else { break };
            ledger.rows().request_begins();
            let Outcome { failed, reply } = job(ledger);
            if failed.is_none() && sabotaged!(StoredBeforeSync) {
                reply(Ok(()));
            } else {
                batch.replies.push(reply);
            }
            match failed {
                // A body that rots concerns its reader; anything else concerns everybody.
                Some(StoreError::Corrupt { .. }) if ledger.rows().is_unharmed() => {
                    tracing::error!("a row of the store is damaged; `zajil-relay check` tells how many");
                }
                Some(error) => return (batch, Err(error)),
                None => {}
            }
        }
        (batch, Ok(()))
    }

    /// Tells everybody what came of it.
    pub(super) fn answer(self, committed: &Result<(), StoreError>) {
        for reply in self.replies {
            reply(committed.as_ref().map_err(|_| StoreError::Unavailable).copied());
        }
    }
}

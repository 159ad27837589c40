//! Telling many tasks to stop, in the order in which they began to wait.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Tells every [`Stopping`] of [`stop_signal`] to stop; dropped, it does so too.
///
/// tokio's `watch` would wake who waits in an order drawn by chance, and no run of a simulated world would be like the one before
/// it.
#[derive(Debug)]
pub struct Stop(Arc<Semaphore>);

/// Learns of a [`Stop`]. Clones learn of the same.
#[derive(Debug, Clone)]
pub struct Stopping(Arc<Semaphore>);

/// Returns a signal that is given once, and what waits for it.
pub fn stop_signal() -> (Stop, Stopping) {
    // Nobody is ever given a permit; closing wakes everybody, first come, first told.
    let signal = Arc::new(Semaphore::new(0));
    (Stop(Arc::clone(&signal)), Stopping(signal))
}

impl Stop {
    /// Gives the signal. Doing so again changes nothing.
    pub fn give(&self) {
        self.0.close();
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.give();
    }
}

impl Stopping {
    /// Waits for the signal; returns at once if it was given. May be dropped and called again.
    pub async fn given(&self) {
        // INVARIANT: no permits exist, so the only answer is that the semaphore was closed.
        let _ = self.0.acquire().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn who_waited_first_is_told_first() {
        let (stop, stopping) = stop_signal();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for number in 0..100 {
            let (stopping, order) = (stopping.clone(), Arc::clone(&order));
            tasks.spawn(async move {
                stopping.given().await;
                order.lock().unwrap().push(number);
            });
        }
        // A runtime looks at other things after some dozens of tasks; by the third time all of them wait.
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        assert!(order.lock().unwrap().is_empty(), "nobody was told to stop");
        stop.give();
        while tasks.join_next().await.is_some() {}
        assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_signal_that_is_dropped_was_given_and_stays_given() {
        let (stop, stopping) = stop_signal();
        drop(stop);
        stopping.given().await;
        stopping.clone().given().await;
    }
}

//! On whose account memory is taken in this thread's world: each machine of it has a number, and 0 stands for the world itself, disks included.
//!
//! Whoever counts allocations says how by [`count_with`]; until then nothing is counted and everything runs as it is. A machine's
//! tasks begin on the account on which they were spawned, where the code says so with [`accounted!`](crate::accounted).

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The account of the world: what it sees, what lies on disks, what is on its way.
pub const WORLD: u32 = 0;

/// Does the work so that what it allocates goes to the account.
pub type Counter = fn(account: u32, work: &mut dyn FnMut());

thread_local! {
    static ACCOUNT: Cell<u32> = const { Cell::new(WORLD) };
    static COUNTER: Cell<Option<Counter>> = const { Cell::new(None) };
}

/// Has this thread's allocations counted in this way from now on, or not at all.
pub fn count_with(counter: Option<Counter>) {
    COUNTER.set(counter);
}

/// Does `work` on an account. What is allocated in it belongs to that account until it is freed, by whomever.
///
/// # Panics
/// If the counter does not do the work: a fault of the world.
#[expect(clippy::expect_used, reason = "a world whose counter is broken must not go on")]
pub fn on_account<T>(account: u32, work: impl FnOnce() -> T) -> T {
    let Some(counter) = COUNTER.get() else { return work() };
    let _before = Restored(ACCOUNT.replace(account));
    let (mut work, mut done) = (Some(work), None);
    counter(account, &mut || done = work.take().map(|work| work()));
    done.expect("the counter does the work")
}

/// Lets a future go on, wherever it is polled, on the account that is current here.
pub fn accounted<F: Future>(future: F) -> Accounted<F> {
    on(ACCOUNT.get(), future)
}

/// Lets a future go on, wherever it is polled, on this account.
pub fn on<F: Future>(account: u32, future: F) -> Accounted<F> {
    Accounted { account, future: Box::pin(future) }
}

/// A future whose every step is on one account.
#[derive(Debug)]
pub struct Accounted<F> {
    account: u32,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Accounted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let account = self.account;
        on_account(account, || self.future.as_mut().poll(context))
    }
}

/// Puts the account back that was before, also when somebody panics.
struct Restored(u32);

impl Drop for Restored {
    fn drop(&mut self) {
        ACCOUNT.set(self.0);
    }
}

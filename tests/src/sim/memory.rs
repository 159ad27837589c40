//! How much memory each machine of a world holds, and held at most: every allocation goes to the account of the machine on which it
//! is made, and is taken off that account when it is freed, by whomever.
//!
//! Accounts are a world's, and so a thread's. What is counted are the bytes that were asked for, not those that the allocator took for them.

use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use tracking_allocator::{AllocationGroupId, AllocationGroupToken, AllocationRegistry, AllocationTracker, Allocator};
use zajil_proto::simulation::account;

#[global_allocator]
static ALLOCATOR: Allocator<std::alloc::System> = Allocator::system();

/// Accounts that a process can have open: those of eight towns of 80 at once, with room. A world that finds none counts nothing.
const ACCOUNTS_MAX: usize = 4_096;

/// What each account holds.
static HELD: [AtomicI64; ACCOUNTS_MAX] = [const { AtomicI64::new(0) }; ACCOUNTS_MAX];
/// The most that each account held since somebody asked.
static MOST: [AtomicI64; ACCOUNTS_MAX] = [const { AtomicI64::new(0) }; ACCOUNTS_MAX];
/// Accounts that no world has open: they are never given back.
static FREE: Mutex<Vec<AllocationGroupToken>> = Mutex::new(Vec::new());

thread_local! {
    static OPEN: RefCell<Vec<Place>> = const { RefCell::new(Vec::new()) };
}

/// One account of the world in this thread.
struct Place {
    /// `None` while something runs on it.
    token: Option<AllocationGroupToken>,
    group: usize,
    /// What an earlier world left on it.
    before: i64,
}

/// Bytes of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Now.
    pub now: u64,
    /// The most at once since somebody asked.
    pub most: u64,
}

/// The open accounts of a world; they are closed when it is dropped.
#[derive(Debug)]
pub struct Accounts(());

impl Accounts {
    /// Opens this many accounts for the world in this thread: 0 is its own, the others its machines'.
    ///
    /// # Panics
    /// If this thread has some open.
    pub fn open(count: usize) -> Self {
        begin();
        let mut tokens = {
            let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
            let from = free.len().saturating_sub(count);
            free.split_off(from)
        };
        while tokens.len() < count {
            let Some(token) = AllocationGroupToken::register() else { break };
            if number(&token.id()) >= ACCOUNTS_MAX {
                break;
            }
            tokens.push(token);
        }
        let place = |token: AllocationGroupToken| {
            let group = number(&token.id());
            let before = HELD[group].load(Ordering::Relaxed);
            MOST[group].store(before, Ordering::Relaxed);
            Place { token: Some(token), group, before }
        };
        let places = tokens.into_iter().map(place).collect();
        OPEN.with_borrow_mut(|open| {
            assert!(open.is_empty(), "a world is one thread");
            *open = places;
        });
        account::count_with(Some(within));
        Self(())
    }

    /// Returns what an account holds, and the most it held since it was asked for, or opened; `None` if it is not open.
    pub fn held(&self, account: u32) -> Option<Held> {
        OPEN.with_borrow(|open| {
            let place = open.get(usize::try_from(account).ok()?)?;
            let now = HELD[place.group].load(Ordering::Relaxed);
            let most = MOST[place.group].swap(now, Ordering::Relaxed);
            let bytes = |bytes: i64| u64::try_from(bytes - place.before).unwrap_or(0);
            Some(Held { now: bytes(now), most: bytes(most) })
        })
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        account::count_with(None);
        let places = OPEN.take();
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        free.extend(places.into_iter().filter_map(|place| place.token));
    }
}

/// Does something on an account; on the one that is current if that account is, further out, or is not open.
fn within(account: u32, work: &mut dyn FnMut()) {
    let place = usize::try_from(account).unwrap_or(usize::MAX);
    let taken = OPEN.with_borrow_mut(|open| open.get_mut(place).and_then(|open| open.token.take()));
    let Some(token) = taken else { return work() };
    let mut entered = Entered { place, token: Some(token) };
    if let Some(token) = &mut entered.token {
        let _counted = token.enter();
        work();
    }
}

/// Puts the token back, also when somebody panics.
struct Entered {
    place: usize,
    token: Option<AllocationGroupToken>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(|open| {
            if let Some(place) = open.get_mut(self.place) {
                place.token = self.token.take();
            }
        });
    }
}

/// Counts from now on what is allocated on an account.
fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        if AllocationRegistry::set_global_tracker(Counter).is_ok() {
            AllocationRegistry::enable_tracking();
        }
    });
}

fn number(group: &AllocationGroupId) -> usize {
    group.as_usize().get()
}

struct Counter;

impl AllocationTracker for Counter {
    fn allocated(&self, _: usize, bytes: usize, _: usize, group: AllocationGroupId) {
        // What is on no account is everybody's: threads would only get into each other's way.
        if group == AllocationGroupId::ROOT {
            return;
        }
        let group = number(&group);
        if let (Some(held), Some(most)) = (HELD.get(group), MOST.get(group)) {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            let now = held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
            // An account is one thread's: nobody stores between the two.
            if now > most.load(Ordering::Relaxed) {
                most.store(now, Ordering::Relaxed);
            }
        }
    }

    fn deallocated(&self, _: usize, bytes: usize, _: usize, from: AllocationGroupId, _: AllocationGroupId) {
        if from == AllocationGroupId::ROOT {
            return;
        }
        if let Some(held) = HELD.get(number(&from)) {
            held.fetch_sub(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABYTE: usize = 1 << 20;

    fn holds(bytes: u64, megabytes: usize) -> bool {
        (megabytes * MEGABYTE..megabytes * MEGABYTE + 10_000).contains(&usize::try_from(bytes).unwrap())
    }

    #[test]
    fn what_a_machine_allocates_is_on_its_account_until_somebody_frees_it() {
        let accounts = Accounts::open(3);
        let kept = account::on_account(1, || vec![1_u8; MEGABYTE]);
        let passed = account::on_account(2, || (vec![2_u8; 2 * MEGABYTE], drop(vec![3_u8; MEGABYTE])).0);
        let (one, other) = (accounts.held(1).unwrap(), accounts.held(2).unwrap());
        assert!(holds(one.most, 1) && holds(other.most, 3) && holds(other.now, 2), "{one:?} {other:?}");
        account::on_account(1, || drop(passed));
        let (one, other) = (accounts.held(1).unwrap(), accounts.held(2).unwrap());
        assert!(holds(one.now, 1) && holds(other.now, 0) && holds(other.most, 2), "freed elsewhere: {one:?} {other:?}");
        assert_eq!(accounts.held(3), None);
        drop(kept);
    }

    #[test]
    fn a_disk_is_nobodys_memory_and_a_task_stays_on_the_account_that_began_it() {
        let accounts = Accounts::open(3);
        let (disk, task) = account::on_account(2, || {
            let disk = zajil_proto::uncounted!(vec![0_u8; MEGABYTE]);
            (disk, zajil_proto::accounted!(async { vec![0_u8; 2 * MEGABYTE] }))
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let made = account::on_account(1, || runtime.block_on(task));
        let held = |account| accounts.held(account).unwrap().now;
        assert!(holds(held(0), 1) && holds(held(2), 2) && held(1) < 10_000);
        drop((disk, made));
    }

    #[test]
    fn a_world_that_panics_leaves_its_accounts_to_the_next_with_nothing_on_them() {
        let panicked = std::thread::spawn(|| {
            let _accounts = Accounts::open(2);
            let leaked = account::on_account(1, || Box::leak(Box::new([7_u8; MEGABYTE])));
            account::on_account(1, || panic!("{} of a test", leaked.len()));
        });
        assert!(panicked.join().is_err());
        for _ in 0..3 {
            let accounts = Accounts::open(2);
            assert!(accounts.held(1).unwrap().most < 10_000);
            drop(account::on_account(1, || vec![0_u8; MEGABYTE]));
            assert!(holds(accounts.held(1).unwrap().most, 1));
        }
    }
}

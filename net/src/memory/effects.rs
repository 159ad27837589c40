use core::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::memory::passing::Passing;

/// Whoever wants to see everything that passes.
pub(super) type Observer = Arc<dyn Fn(&Passing) + Send + Sync>;

/// What a change of the world has to set off once its lock is free: all of this may come back to the world.
#[derive(Default)]
pub(super) struct Effects {
    /// To wake.
    wake: Vec<Waker>,
    /// To drop: with the last waker may go what it would have woken.
    spent: Vec<Waker>,
    told: Vec<Passing>,
    pub(super) observer: Option<Observer>,
    /// Something is on the way and nobody carries it.
    pub(super) carrier_wanted: bool,
}

impl Effects {
    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        self.wake.extend(waker);
    }

    pub(super) fn spend(&mut self, waker: Option<Waker>) {
        self.spent.extend(waker);
    }

    /// Says what became of something, if anybody wants to know.
    pub(super) fn tell(&mut self, passing: impl FnOnce() -> Passing) {
        if self.observer.is_some() {
            self.told.push(passing());
        }
    }

    /// Takes everything out, or says that there is nothing.
    pub(super) fn take(&mut self) -> Option<Self> {
        let nothing = self.wake.is_empty() && self.spent.is_empty() && self.told.is_empty() && !self.carrier_wanted;
        if nothing {
            return None;
        }
        let observer = self.observer.clone();
        let taken = std::mem::take(self);
        self.observer.clone_from(&observer);
        Some(taken)
    }

    /// Sets everything off, and leaves the empty room.
    pub(super) fn run(&mut self) {
        self.wake.drain(..).for_each(Waker::wake);
        self.spent.clear();
        for passing in self.told.drain(..) {
            if let Some(observer) = &self.observer {
                observer(&passing);
            }
        }
    }

    /// Takes the room of one that has run, to allocate no other.
    pub(super) fn use_room_of(&mut self, run: Self) {
        for (ours, theirs) in [(&mut self.wake, run.wake), (&mut self.spent, run.spent)] {
            if ours.capacity() == 0 {
                *ours = theirs;
            }
        }
        if self.told.capacity() == 0 {
            self.told = run.told;
        }
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Effects(..)")
    }
}

/// Keeps whom to wake; a waker it replaces is handed back, to be dropped where that is safe.
pub(super) fn keep_waker(place: &mut Option<Waker>, waker: &Waker) -> Option<Waker> {
    if place.as_ref().is_some_and(|kept| kept.will_wake(waker)) { None } else { place.replace(waker.clone()) }
}

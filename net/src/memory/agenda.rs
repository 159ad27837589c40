use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens when: earliest first, and of two at one time the one that was entered first.
///
/// Room is used again, so that a world that runs for weeks does not allocate.
pub(super) struct Agenda<T> {
    order: BinaryHeap<Reverse<Entry>>,
    slots: Vec<Option<T>>,
    free: Vec<usize>,
    entered: u64,
}

/// A time in nanoseconds, how many were entered before, and where it lies.
type Entry = (u64, u64, usize);

impl<T> Agenda<T> {
    pub(super) const fn new() -> Self {
        Self { order: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), entered: 0 }
    }

    pub(super) fn enter(&mut self, at: u64, what: T) {
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(room) = self.slots.get_mut(slot) {
                    *room = Some(what);
                }
                slot
            }
            None => {
                self.slots.push(Some(what));
                self.slots.len() - 1
            }
        };
        self.entered += 1;
        self.order.push(Reverse((at, self.entered, slot)));
    }

    /// Returns how much it holds, what was struck out among it.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Returns when the next is due.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.order.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes out the next one due by `now`, with its time. One that was struck out is passed over.
    pub(super) fn take_due(&mut self, now: u64) -> Option<(u64, T)> {
        while self.next_at().is_some_and(|at| at <= now) {
            let Reverse((at, _, slot)) = self.order.pop()?;
            self.free.push(slot);
            if let Some(what) = self.slots.get_mut(slot).and_then(Option::take) {
                return Some((at, what));
            }
        }
        None
    }

    /// Strikes out all that `wanted` says, in their order. Looks at everything there is.
    pub(super) fn strike_out(&mut self, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let mut found: Vec<_> = self.order.iter().map(|Reverse(entry)| *entry).collect();
        found.retain(|(_, _, slot)| self.slots.get(*slot).and_then(Option::as_ref).is_some_and(&wanted));
        found.sort_unstable();
        found.into_iter().filter_map(|(_, _, slot)| self.slots.get_mut(slot).and_then(Option::take)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_of_time_and_then_of_entry() {
        let mut agenda = Agenda::new();
        for (at, what) in [(5, 'd'), (3, 'a'), (5, 'e'), (3, 'b'), (4, 'c'), (9, 'f')] {
            agenda.enter(at, what);
        }
        let struck_out = agenda.strike_out(|what| ['b', 'e'].contains(what));
        assert_eq!(struck_out, ['b', 'e']);
        let due: Vec<_> = std::iter::from_fn(|| agenda.take_due(8)).collect();
        assert_eq!(due, [(3, 'a'), (4, 'c'), (5, 'd')]);
        assert_eq!(agenda.next_at(), Some(9));
    }

    #[test]
    fn room_is_used_again() {
        let mut agenda = Agenda::new();
        for at in 0..1_000 {
            agenda.enter(at, at);
            agenda.enter(at, at);
            while agenda.take_due(at).is_some() {}
        }
        assert_eq!((agenda.slots.len(), agenda.len()), (2, 0));
    }
}

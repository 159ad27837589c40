//! Which switch is on in this thread's world, and what its counters say.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::hint::black_box;

use super::{Situation, Switch};

thread_local! {
    static SWITCH: Cell<Option<Switch>> = const { Cell::new(None) };
    static USED: Cell<u64> = const { Cell::new(0) };
    static REACHED: [Cell<u64>; Situation::ALL.len()] = const { [const { Cell::new(0) }; Situation::ALL.len()] };
}

/// Begins a world in this thread: `switch` alone is on, and every counter is zero.
pub fn begin(switch: Option<Switch>) {
    SWITCH.set(switch);
    USED.set(0);
    REACHED.with(|counters| counters.iter().for_each(|counter| counter.set(0)));
}

/// Returns whether `switch` is on in this thread.
pub fn on(switch: Switch) -> bool {
    SWITCH.get() == Some(switch)
}

/// Returns whether `switch` is on, and counts that it changed something. For [`sabotaged!`](crate::sabotaged).
pub fn bites(switch: Switch) -> bool {
    let is_on = on(switch);
    if is_on {
        // Keeps the names in whatever is built with the feature, so that a search through its bytes finds them.
        black_box(switch.name());
        USED.set(USED.get().saturating_add(1));
    }
    is_on
}

/// Returns how often the switch that is on changed something since [`begin`].
///
/// 0 means that the world never came where it matters, not that nobody saw it.
pub fn used() -> u64 {
    USED.get()
}

/// Counts a situation. For [`reached!`](crate::reached).
pub fn reach(situation: Situation) {
    black_box(situation.name());
    REACHED.with(|counters| {
        if let Some(counter) = counters.get(situation as usize) {
            counter.set(counter.get().saturating_add(1));
        }
    });
}

/// Returns how often each situation came about since [`begin`]; one that never did is left out.
pub fn reached() -> BTreeMap<Situation, u64> {
    REACHED.with(|counters| {
        let counts = Situation::ALL.iter().copied().zip(counters.iter().map(Cell::get));
        counts.filter(|(_, count)| *count > 0).collect()
    })
}

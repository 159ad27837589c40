use core::time::Duration;

use super::chance::{Draws, seed_for};
use super::nanos;

/// Windows over which one packet may be sent, a piece in each. Who makes windows shorter than a thousandth of a packet means
/// that none passes.
const PIECES_MAX: usize = 1_000;

/// When a link is there. Time counts from the zero of the clock that the link is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Windows {
    /// Always.
    #[default]
    Always,
    /// There for `up`, gone for `down`, and so on; time zero lies `offset` into the cycle. A cycle of no length is
    /// `Always`.
    Cycle {
        /// Length of a window.
        up: Duration,
        /// Length of a gap.
        down: Duration,
        /// Where in the cycle time begins.
        offset: Duration,
    },
    /// There only within these spans, from the first time of each up to but not including the second; they must rise
    /// and not touch. With `repeat` they come again after that time, which must not lie within one.
    Spans {
        /// Beginning and end of each window.
        up: Vec<(Duration, Duration)>,
        /// Length of the whole pattern, if it repeats.
        repeat: Option<Duration>,
    },
}

/// What holds at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Now {
    pub(super) up: bool,
    /// When to look again, nanoseconds; `None` if it stays so for ever. Looking again may find the same.
    pub(super) until: Option<u64>,
}

impl Windows {
    /// Makes a cycle that has begun at a moment drawn from `seed`, all alike.
    pub fn cycle_from_anywhere(up: Duration, down: Duration, seed: u64) -> Self {
        let length = nanos(up).saturating_add(nanos(down));
        let offset = Draws::new(seed_for(seed, b"windows"), 0).up_to(length.saturating_sub(1));
        Self::Cycle { up, down, offset: Duration::from_nanos(offset) }
    }

    /// Says whether the link is there at `now`.
    pub fn is_up(&self, now: Duration) -> bool {
        self.at(nanos(now)).up
    }

    pub(super) fn at(&self, now: u64) -> Now {
        match self {
            Self::Always => Now { up: true, until: None },
            Self::Cycle { up, down, offset } => cycle(now, nanos(*up), nanos(*down), nanos(*offset)),
            Self::Spans { up, repeat } => spans(now, up, repeat.map_or(0, nanos)),
        }
    }

    /// Returns the first time from `now` on at which the link is there; `None` if never.
    pub(super) fn next_up(&self, now: u64) -> Option<u64> {
        // Two looks pass over the end of a pattern; a pattern without a window says so by then.
        const LOOKS: usize = 3;
        let mut at = now;
        for _ in 0..LOOKS {
            let state = self.at(at);
            if state.up {
                return Some(at);
            }
            at = state.until?;
        }
        None
    }

    /// Returns when the link will have been there for `time`, counted from `from` on; `None` if never, or not within
    /// [`PIECES_MAX`] windows.
    pub(super) fn spent(&self, from: u64, time: u64) -> Option<u64> {
        let (mut at, mut left) = (self.next_up(from)?, time);
        for _ in 0..PIECES_MAX {
            let end = self.at(at).until.unwrap_or(u64::MAX);
            if left <= end - at {
                return at.checked_add(left);
            }
            left -= end - at;
            at = self.next_up(end)?;
        }
        None
    }
}

fn cycle(now: u64, up: u64, down: u64, offset: u64) -> Now {
    let length = up.saturating_add(down);
    if length == 0 || down == 0 {
        return Now { up: true, until: None };
    }
    let position = now.wrapping_add(offset) % length;
    if position < up {
        Now { up: true, until: now.checked_add(up - position) }
    } else {
        Now { up: false, until: if up == 0 { None } else { now.checked_add(length - position) } }
    }
}

fn spans(now: u64, up: &[(Duration, Duration)], repeat: u64) -> Now {
    let position = if repeat > 0 { now % repeat } else { now };
    let base = now - position;
    for (from, to) in up {
        let (from, to) = (nanos(*from), nanos(*to));
        if position < to {
            let until = if position < from { from } else { to };
            return Now { up: position >= from, until: base.checked_add(until) };
        }
    }
    let again = if repeat > 0 && !up.is_empty() { base.checked_add(repeat) } else { None };
    Now { up: false, until: again }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn at(windows: &Windows, second: u64) -> (bool, Option<u64>) {
        let now = windows.at(second * SECOND);
        (now.up, now.until.map(|until| until / SECOND))
    }

    #[test]
    fn a_cycle_is_up_first_and_down_then() {
        let windows = Windows::Cycle { up: seconds(8), down: seconds(30), offset: Duration::ZERO };
        assert_eq!(
            [0, 8, 38].map(|second| at(&windows, second)),
            [(true, Some(8)), (false, Some(38)), (true, Some(46))]
        );
        let later = Windows::Cycle { up: seconds(8), down: seconds(30), offset: seconds(10) };
        assert_eq!(at(&later, 0), (false, Some(28)));
    }

    #[test]
    fn spans_are_up_between_their_ends_and_may_repeat() {
        let up = vec![(seconds(2), seconds(4)), (seconds(6), seconds(7))];
        let once = Windows::Spans { up: up.clone(), repeat: None };
        let seen = [0, 3, 4, 6, 9].map(|second| at(&once, second));
        assert_eq!(seen, [(false, Some(2)), (true, Some(4)), (false, Some(6)), (true, Some(7)), (false, None)]);
        let again = Windows::Spans { up, repeat: Some(seconds(10)) };
        assert_eq!((at(&again, 13), at(&again, 8)), ((true, Some(14)), (false, Some(10))));
        assert_eq!((again.next_up(8 * SECOND), once.next_up(8 * SECOND)), (Some(12 * SECOND), None));
    }

    #[test]
    fn time_is_spent_only_while_the_link_is_there() {
        let windows = Windows::Cycle { up: seconds(8), down: seconds(30), offset: Duration::ZERO };
        let spent = |from, time| windows.spent(from * SECOND, time * SECOND).map(|at| at / SECOND);
        assert_eq!([spent(0, 8), spent(0, 9), spent(10, 0), spent(4, 20)], [Some(8), Some(39), Some(38), Some(84)]);
        let once = Windows::Spans { up: vec![(seconds(2), seconds(4))], repeat: None };
        assert_eq!((once.spent(0, 2 * SECOND), once.spent(0, 3 * SECOND)), (Some(4 * SECOND), None));
        let slivers = Windows::Cycle { up: Duration::from_nanos(1), down: seconds(1), offset: Duration::ZERO };
        assert_eq!(slivers.spent(0, SECOND), None);
        assert_eq!(Windows::Always.spent(SECOND, SECOND), Some(2 * SECOND));
    }

    #[test]
    fn a_cycle_from_anywhere_begins_where_its_seed_says() {
        let offset = |seed| match Windows::cycle_from_anywhere(seconds(10), seconds(50), seed) {
            Windows::Cycle { offset, .. } => offset,
            other => panic!("{other:?}"),
        };
        assert_eq!(offset(7), offset(7));
        let early = (0..1_000).filter(|seed| offset(*seed) < seconds(10)).count();
        assert!((130..210).contains(&early) && (0..1_000).all(|seed| offset(seed) < seconds(60)), "{early}");
    }
}

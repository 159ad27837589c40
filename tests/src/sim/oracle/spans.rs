//! Spans of time in which something was so, made from the moments at which it changed.

use crate::sim::plan::Millis;

/// Spans in order of time that do not meet: each from its first moment to its last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Spans(Vec<(Millis, Millis)>);

impl Spans {
    /// Makes spans of the changes of something, up to `end`. Before its first change it was the other way; with none it always was.
    pub(super) fn of_changes(changes: &[(Millis, bool)], end: Millis) -> Self {
        let mut since = changes.first().is_none_or(|(_, on)| !*on).then_some(0);
        let mut spans = Vec::new();
        for (at, on) in changes {
            match (since, on) {
                (None, true) => since = Some(*at),
                (Some(begun), false) => {
                    spans.push((begun, *at));
                    since = None;
                }
                _ => {}
            }
        }
        spans.extend(since.map(|begun| (begun, end.max(begun))));
        Self(spans)
    }

    /// Returns the time that belongs to both.
    pub(super) fn both(&self, other: &Self) -> Self {
        let mut spans = Vec::new();
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some((a, b)), Some((c, d))) = (mine.peek(), theirs.peek()) {
            let (from, to) = (*a.max(c), *b.min(d));
            if from <= to {
                spans.push((from, to));
            }
            if b < d {
                mine.next().map(drop)
            } else {
                theirs.next().map(drop)
            };
        }
        Self(spans)
    }

    /// Lets every span last `longer`: what was on its way at its end may still have come.
    pub(super) fn longer(&self, longer: Millis) -> Self {
        Self(self.0.iter().map(|(from, to)| (*from, to.saturating_add(longer))).collect())
    }

    /// Returns the first moment from `from` on that lies in a span.
    pub(super) fn first_from(&self, from: Millis) -> Option<Millis> {
        self.0.iter().find(|(_, to)| *to >= from).map(|(begun, _)| from.max(*begun))
    }

    /// Returns the parts of spans between two moments, both included.
    pub(super) fn within(&self, from: Millis, to: Millis) -> impl Iterator<Item = (Millis, Millis)> + '_ {
        let cut = self.0.iter().map(move |(begun, ended)| (from.max(*begun), to.min(*ended)));
        cut.filter(|(begun, ended)| begun <= ended)
    }

    /// Returns whether any moment between two lies in a span.
    pub(super) fn touch(&self, from: Millis, to: Millis) -> bool {
        self.within(from, to).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_changed_yet_was_the_other_way_before_its_first_change() {
        assert_eq!(Spans::of_changes(&[], 9).0, [(0, 9)]);
        assert_eq!(Spans::of_changes(&[(3, true), (5, false), (7, true)], 9).0, [(3, 5), (7, 9)]);
        assert_eq!(Spans::of_changes(&[(3, false), (5, true), (6, true)], 9).0, [(0, 3), (5, 9)]);
    }

    #[test]
    fn time_that_belongs_to_both_is_found_and_nothing_else() {
        let one = Spans(vec![(0, 4), (6, 9), (12, 20)]);
        let other = Spans(vec![(3, 7), (8, 8), (13, 14), (15, 30)]);
        assert_eq!(one.both(&other).0, [(3, 4), (6, 7), (8, 8), (13, 14), (15, 20)]);
        assert_eq!(one.first_from(5), Some(6));
        assert_eq!(one.first_from(13), Some(13));
        assert_eq!(one.first_from(21), None);
        assert!(one.touch(9, 11) && !one.touch(10, 11));
        assert!(one.longer(1).touch(10, 11));
    }
}

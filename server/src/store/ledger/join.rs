//! How an extension joins what is held: pure, and the only place where bytes under a mark are compared with it.
//!
//! Two connections of one device may bring the same parcel at once, each from what it knew. Bytes after the newest mark are not
//! vouched for by anybody, so the two may differ; bytes under a mark may not. The hash of P3.6 is computed again over what will
//! stand on disk: what a session has checked on its own copy holds for ours, or nothing is taken.

use zajil_proto::ids::sha256;
use zajil_proto::limits::MARK_DISTANCE_BYTES_MAX;
use zajil_proto::parcel::Mark;
use zajil_proto::session::custody::Extension;

/// An open parcel as it is held.
#[derive(Debug)]
pub(super) struct Held<'a> {
    /// End of the newest mark.
    pub(super) marked: u32,
    /// The chain there.
    pub(super) chain: [u8; 32],
    /// The bytes after it.
    pub(super) tail: &'a [u8],
}

/// What an extension changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Joined<'a> {
    /// Bytes that stay; those after are dropped.
    pub(super) keep: u32,
    /// Bytes that follow them.
    pub(super) bytes: &'a [u8],
    /// New marks.
    pub(super) marks: Vec<Mark>,
    /// The chain after them.
    pub(super) chain: [u8; 32],
    /// Whether the last mark is among them.
    pub(super) closed: bool,
}

impl Held<'_> {
    fn end(&self) -> u32 {
        self.marked.saturating_add(length(self.tail))
    }

    /// Joins `extension`, `None` if it leaves a gap or its marks do not fit.
    pub(super) fn join<'a>(&self, extension: &'a Extension) -> Option<Joined<'a>> {
        if extension.offset > self.end() {
            return None;
        }
        let marks: Vec<Mark> = extension.marks.iter().filter(|mark| mark.end > self.marked).copied().collect();
        match marks.last() {
            Some(last) => self.join_marks(extension, &marks, *last),
            None => self.join_tail(extension),
        }
    }

    /// Without a mark the bytes that came first count (P3.8).
    fn join_tail<'a>(&self, extension: &'a Extension) -> Option<Joined<'a>> {
        let bytes = from(&extension.bytes, self.end() - extension.offset);
        let tail = length(self.tail).checked_add(length(bytes))?;
        (tail <= MARK_DISTANCE_BYTES_MAX).then(|| Joined {
            keep: self.end(),
            bytes,
            marks: Vec::new(),
            chain: self.chain,
            closed: false,
        })
    }

    fn join_marks<'a>(&self, extension: &'a Extension, marks: &[Mark], last: Mark) -> Option<Joined<'a>> {
        // The bytes from the newest mark on, as the session saw them when it checked its marks.
        let before = usize::try_from(extension.offset.saturating_sub(self.marked)).ok()?;
        let own = self.tail.get(..before)?;
        let theirs = from(&extension.bytes, self.marked.saturating_sub(extension.offset));
        let view = [own, theirs].concat();

        let (mut chain, mut at) = (self.chain, 0);
        for mark in marks {
            let end = usize::try_from(mark.end - self.marked).ok()?;
            let under = view.get(at..end)?;
            let fits = !under.is_empty() && length(under) <= MARK_DISTANCE_BYTES_MAX;
            if !fits || (mark.last && end != view.len()) {
                return None;
            }
            chain = sha256(&[&chain, under]);
            at = end;
        }
        if extension.chain != (chain, last.end) || view.len() - at > usize::try_from(MARK_DISTANCE_BYTES_MAX).ok()? {
            return None;
        }
        let common = view.len().min(self.tail.len());
        let agrees = view.get(..common) == self.tail.get(..common) && !(last.last && self.tail.len() > view.len());
        let keep = if agrees { self.end() } else { extension.offset.max(self.marked) };
        Some(Joined {
            keep,
            bytes: from(&extension.bytes, keep - extension.offset),
            marks: marks.to_vec(),
            chain,
            closed: last.last,
        })
    }
}

fn from(bytes: &[u8], offset: u32) -> &[u8] {
    usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default()
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zajil_proto::ids::{MailboxId, ParcelId};
    use zajil_proto::keys::Signature;

    fn extension(offset: u32, bytes: &[u8], marks: &[(u32, bool)], chain: ([u8; 32], u32)) -> Extension {
        Extension {
            id: ParcelId([1; 16]),
            mailbox: MailboxId([2; 16]),
            offset,
            bytes: bytes.to_vec(),
            marks: marks
                .iter()
                .map(|(end, last)| Mark { end: *end, last: *last, signature: Signature::NONE })
                .collect(),
            chain,
            closed: marks.last().is_some_and(|(_, last)| *last),
        }
    }

    const START: [u8; 32] = [9; 32];

    fn held(tail: &[u8]) -> Held<'_> {
        Held { marked: 0, chain: START, tail }
    }

    #[test]
    fn bytes_that_are_held_already_are_skipped() {
        let late = extension(0, b"abcdef", &[], (START, 0));
        let joined = held(b"abcd").join(&late).unwrap();
        assert_eq!((joined.keep, joined.bytes), (4, &b"ef"[..]));
        assert!(held(b"abcd").join(&extension(5, b"f", &[], (START, 0))).is_none());
    }

    #[test]
    fn a_mark_wins_over_a_tail_that_nobody_vouched_for() {
        let chain = sha256(&[&START, b"abcdef"]);
        let vouched = extension(0, b"abcdef", &[(6, true)], (chain, 6));
        let joined = held(b"abXX").join(&vouched).unwrap();
        assert_eq!((joined.keep, joined.bytes, joined.closed), (0, &b"abcdef"[..], true));
        let joined = held(b"abcdefgh").join(&vouched).unwrap();
        assert_eq!((joined.keep, joined.bytes), (0, &b"abcdef"[..]));
        let joined = held(b"abcd").join(&vouched).unwrap();
        assert_eq!((joined.keep, joined.bytes), (4, &b"ef"[..]));
    }

    #[test]
    fn a_mark_over_bytes_that_have_changed_since_is_not_taken() {
        let chain = sha256(&[&START, b"abcdef"]);
        assert!(held(b"abXX").join(&extension(4, b"ef", &[(6, false)], (chain, 6))).is_none());
        assert!(held(b"abcd").join(&extension(4, b"ef", &[(6, false)], (chain, 6))).is_some());
    }
}

use crate::limits::{MARK_DISTANCE_BYTES_MAX, PARCEL_BYTES_MAX};
use crate::parcel::{Header, Mark, MarkChain};

/// Why bytes or a mark are not taken. The fault is the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// Bytes begin after the end of what is held, or go past where the parcel may end.
    #[error("body at {got} does not join what is held up to {expected}")]
    Offset {
        /// Where the bytes begin or end.
        got: u32,
        /// Where they had to join, or to end.
        expected: u32,
    },
    /// A mark does not fit the bytes before it; the tail was dropped, nothing else (P3.8).
    #[error("a mark at {end} does not fit its bytes")]
    Mark {
        /// Where the mark stands.
        end: u32,
    },
}

/// A body on its way in: checks offsets and marks, hands out what is new (P3.5 to P3.9). Holds at most one tail in
/// memory.
#[derive(Clone)]
pub struct Assembly {
    header: Header,
    chain: MarkChain,
    tail: Vec<u8>,
    closed: bool,
}

/// The state of a half-received parcel as a store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Resumed {
    /// [`MarkChain::state`] at the newest mark.
    pub chain: ([u8; 32], u32),
    /// Bytes after the newest mark.
    pub tail: Vec<u8>,
    /// Whether the last mark is there.
    pub closed: bool,
}

impl Assembly {
    /// Starts a parcel of which nothing is held.
    pub fn new(header: Header) -> Self {
        let chain = MarkChain::new(&header);
        Self { header, chain, tail: Vec::new(), closed: false }
    }

    /// Takes up a parcel of which a part is held.
    pub fn resume(header: Header, resumed: Resumed) -> Self {
        let chain = MarkChain::resume(&header, resumed.chain);
        Self { header, chain, tail: resumed.tail, closed: resumed.closed }
    }

    /// Returns the state to keep.
    pub fn state(&self) -> Resumed {
        Resumed { chain: self.chain.state(), tail: self.tail.clone(), closed: self.closed }
    }

    /// Returns the header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Returns how many bytes of body are held, marked or not.
    pub fn held(&self) -> u32 {
        self.chain.end().saturating_add(u32::try_from(self.tail.len()).unwrap_or(u32::MAX))
    }

    /// Returns the end of the newest mark.
    pub const fn marked(&self) -> u32 {
        self.chain.end()
    }

    /// Returns whether the last mark has been accepted.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes `bytes` at `offset` and returns the part of them that is new. Repeated bytes are skipped without
    /// comparing: the first to arrive count, and the next mark tells whether they were right.
    ///
    /// # Errors
    /// [`AssemblyError::Offset`] for a gap, for bytes past the parcel's end, and for more than a mark's distance
    /// without a mark.
    pub fn take<'a>(&mut self, offset: u32, bytes: &'a [u8]) -> Result<&'a [u8], AssemblyError> {
        let held = self.held();
        if offset > held {
            return Err(AssemblyError::Offset { got: offset, expected: held });
        }
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let end = offset.saturating_add(length);
        if end <= held {
            return Ok(&[]);
        }
        let limit = self.header.sealed_length().unwrap_or(PARCEL_BYTES_MAX);
        let limit = if self.closed { held } else { limit.min(self.marked().saturating_add(MARK_DISTANCE_BYTES_MAX)) };
        if end > limit {
            return Err(AssemblyError::Offset { got: end, expected: limit });
        }
        let known = usize::try_from(held - offset).unwrap_or(usize::MAX);
        let new = bytes.get(known..).unwrap_or_default();
        self.tail.extend_from_slice(new);
        Ok(new)
    }

    /// Takes a mark. Returns `true` if it is new and fits, `false` if it was known already.
    ///
    /// # Errors
    /// [`AssemblyError::Mark`] if it does not fit: the tail is dropped then. [`AssemblyError::Offset`] if its bytes are
    /// not held yet.
    pub fn mark(&mut self, mark: &Mark) -> Result<bool, AssemblyError> {
        if mark.end <= self.marked() {
            return Ok(false);
        }
        if mark.end > self.held() {
            return Err(AssemblyError::Offset { got: mark.end, expected: self.held() });
        }
        let count = usize::try_from(mark.end - self.marked()).unwrap_or(usize::MAX);
        let length_fits = match self.header.sealed_length() {
            Some(length) => mark.last == (mark.end == length),
            None => true,
        };
        let bytes = self.tail.get(..count).unwrap_or_default();
        let nothing_after = !mark.last || count == self.tail.len();
        if !length_fits || !nothing_after || !self.chain.accept(&self.header, bytes, mark) {
            self.tail.clear();
            return Err(AssemblyError::Mark { end: mark.end });
        }
        self.tail.drain(..count);
        self.closed = mark.last;
        Ok(true)
    }
}

redacted!(Assembly, Resumed);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ReadTag;
    use crate::keys::{Secret, SigningKey};
    use crate::parcel::Class;
    use crate::time::Lifetime;

    fn parcel(body: &[u8], distance: usize) -> (Header, Vec<Mark>) {
        let write = SigningKey::from_seed(&Secret([1; 32]));
        let key = SigningKey::from_seed(&Secret([2; 32]));
        let length = u32::try_from(body.len()).unwrap();
        let header = Header::sign(Class::Voice, &write, ReadTag([3; 16]), key.public(), Lifetime::DEFAULT, length);
        let mut chain = MarkChain::new(&header);
        let count = body.len().div_ceil(distance);
        let marks = body.chunks(distance).enumerate().map(|(i, part)| chain.sign(&key, part, i + 1 == count)).collect();
        (header, marks)
    }

    #[test]
    fn bytes_in_any_cut_with_repeats_close_under_their_marks() {
        let body: Vec<u8> = (0..20_000_u32).map(|i| i.to_le_bytes()[0]).collect();
        let (header, marks) = parcel(&body, 8_000);
        let mut assembly = Assembly::new(Header::verify(header.as_bytes()).unwrap());
        assert_eq!(assembly.take(0, &body[..5_000]).unwrap().len(), 5_000);
        assert_eq!(assembly.take(1_000, &body[1_000..8_000]).unwrap().len(), 3_000);
        assert!(assembly.mark(&marks[0]).unwrap());
        assert!(!assembly.mark(&marks[0]).unwrap());
        let mut assembly = Assembly::resume(header, assembly.state());
        assembly.take(8_000, &body[8_000..16_000]).unwrap();
        assert!(assembly.mark(&marks[1]).unwrap());
        assembly.take(16_000, &body[16_000..]).unwrap();
        assert!(assembly.mark(&marks[2]).unwrap() && assembly.is_closed());
        assert!(assembly.take(20_000, &[0]).is_err());
    }

    #[test]
    fn a_mark_that_does_not_fit_drops_the_tail_and_nothing_else() {
        let body = vec![9; 10_000];
        let (header, marks) = parcel(&body, 8_000);
        let mut assembly = Assembly::new(header);
        assembly.take(0, &body[..8_000]).unwrap();
        assembly.mark(&marks[0]).unwrap();
        assembly.take(8_000, &[1; 2_000]).unwrap();
        assert_eq!(assembly.mark(&marks[1]), Err(AssemblyError::Mark { end: 10_000 }));
        assert_eq!(assembly.held(), 8_000);
        assembly.take(8_000, &body[8_000..]).unwrap();
        assert!(assembly.mark(&marks[1]).unwrap());
    }

    #[test]
    fn a_gap_is_refused_and_so_is_more_than_a_mark_may_cover() {
        let body = vec![9; 20_000];
        let (header, _) = parcel(&body, 8_000);
        let mut assembly = Assembly::new(header);
        assert!(matches!(assembly.take(1, &[1]), Err(AssemblyError::Offset { got: 1, expected: 0 })));
        assembly.take(0, &body[..8_192]).unwrap();
        assert!(assembly.take(8_192, &[9]).is_err());
    }
}

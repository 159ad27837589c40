//! Rank in a window: which parcel gets the next few kilobytes of a thin link. One rule for both ends.

use core::cmp::Reverse;

use crate::limits::{BODY_FRAME_BYTES_MAX, NOTE_BEGINNING_BYTES};
use crate::parcel::Class;
use crate::session::Rank;

/// Minutes of age that halve, then third, … what a note counts as having left: an old long note overtakes new short
/// ones.
const AGEING_MINUTES: u32 = 12 * 60;
/// One byte in this many of those spent on voice goes to the oldest note.
const OLDEST_SHARE: u64 = 5;

/// A parcel that has something to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its class.
    pub class: Class,
    /// For a control parcel: whether notes that wait for the same reader cannot be opened without it.
    pub opens_waiting: bool,
    /// How long it has waited, minutes.
    pub age: u32,
    /// Its place among the voice notes of the same contact, 0 for the first: contacts take turns in the beginnings.
    pub turn: u32,
    /// Bytes of body the other side has, or has been sent.
    pub from: u32,
    /// Bytes of body there are.
    pub end: u32,
}

impl Candidate {
    /// Returns how soon its next bytes leave.
    pub const fn rank(&self) -> Rank {
        match self.class {
            Class::Control => Rank::CONTROL,
            Class::Text => Rank::TEXT,
            Class::Voice if self.from < NOTE_BEGINNING_BYTES => Rank::NOTE_BEGINNING,
            Class::Voice => Rank::NOTE_REST,
        }
    }

    /// Returns bytes that remain.
    pub const fn left(&self) -> u32 {
        self.end.saturating_sub(self.from)
    }

    /// Lower goes first among candidates of all ranks.
    const fn order(&self) -> (Rank, u32, Reverse<u32>) {
        let within = match self.class {
            Class::Control => !self.opens_waiting as u32,
            Class::Text => 0,
            Class::Voice if self.from < NOTE_BEGINNING_BYTES => self.turn,
            Class::Voice => self.left() / (1 + self.age / AGEING_MINUTES),
        };
        (self.rank(), within, Reverse(self.age))
    }
}

/// The next bytes to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion<K> {
    /// Which parcel.
    pub key: K,
    /// How soon they leave.
    pub rank: Rank,
    /// How many, 1 to 8 192; 0 if only marks remain.
    pub bytes: u32,
    /// Whether it is the oldest voice note, which gets its own share.
    oldest: bool,
}

/// Deals out a window, portion by portion, and remembers how much the oldest note got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    voice: u64,
    oldest: u64,
}

impl Share {
    /// Chooses among `candidates`: control parcels (sessions of waiting notes first), text, the first 6 kB of each
    /// note, then fewest bytes left with ageing; about a fifth of what voice gets goes to the oldest note. Ties go to
    /// the lower key.
    pub fn pick<K: Copy + Ord>(&self, candidates: impl Iterator<Item = (K, Candidate)>) -> Option<Portion<K>> {
        let (mut first, mut oldest) = (None, None);
        for (key, candidate) in candidates {
            let order = (candidate.order(), key);
            if first.as_ref().is_none_or(|(best, _)| order < *best) {
                first = Some((order, candidate));
            }
            let order = (Reverse(candidate.age), key);
            if candidate.class == Class::Voice && oldest.as_ref().is_none_or(|(best, _)| order < *best) {
                oldest = Some((order, candidate));
            }
        }
        let (((_, _, _), key), candidate) = first?;
        let mut chosen = (key, candidate);
        let mut is_oldest = false;
        if let Some(((_, key), candidate)) = oldest {
            let owed = chosen.1.class == Class::Voice && self.oldest * OLDEST_SHARE < self.voice;
            is_oldest = owed || key == chosen.0;
            if owed {
                chosen = (key, candidate);
            }
        }
        let (key, candidate) = chosen;
        let whole = u32::try_from(BODY_FRAME_BYTES_MAX).unwrap_or(u32::MAX);
        let bytes = match candidate.rank() {
            Rank::NOTE_BEGINNING => NOTE_BEGINNING_BYTES - candidate.from,
            _ => whole,
        };
        Some(Portion { key, rank: candidate.rank(), bytes: bytes.min(candidate.left()), oldest: is_oldest })
    }

    /// Notes that `portion` was sent.
    pub fn spend<K>(&mut self, portion: &Portion<K>) {
        if portion.rank >= Rank::NOTE_BEGINNING {
            self.voice = self.voice.saturating_add(u64::from(portion.bytes));
            if portion.oldest {
                self.oldest = self.oldest.saturating_add(u64::from(portion.bytes));
            }
        }
    }
}

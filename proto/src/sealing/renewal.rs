//! The outer keys of one end of a pair, and how they are renewed (P5.4 to P5.8).
//!
//! ```text
//! renews (the smaller device key)                 offers
//!   step() ── 18 renewal wanted ────────────────► take()
//!   take() ◄───────────────── 10 renewal prekey ─ step(): a fresh X-Wing key, its secret kept
//!   step() ── 9 renewal ────────────────────────► take(): seals under the renewed key from here on, and opens both
//!   opened() ◄──────────── any frame under it ─── proves that the other side has it: now this end uses it, too
//!   step() ── 17 outer key in use, under it ────► opened(): every earlier frame has come: the old key is erased
//! ```
//! Frames may be lost, doubled, late by weeks and in any order; either end may stop between any two steps, if what a step
//! changed is durable together with the frame that tells of it. There is never a second renewal under way beside a first:
//! one that is wanted meanwhile follows it. So an end never has more than two keys, and the two ends are never further
//! apart than one generation.

use serde::{Deserialize, Serialize};

use crate::keys::VerifyingKey;
use crate::random::Random;
use crate::sealing::contents::Content;
use crate::sealing::outer::{Encapsulation, OuterKey, XWingPublic, XWingSecret, accept_renewal, renew};

/// The outer keys that a device seals under and accepts from one contact's device, and the renewal under way.
///
/// Every change must be durable before a frame leaves that rests on it.
#[derive(Clone, Serialize, Deserialize)]
pub struct OuterKeys {
    generation: u32,
    current: OuterKey,
    /// Still opens what the other side sealed before it took up the current one.
    previous: Option<OuterKey>,
    /// Lowest number of a frame that came under the current key: all that were sealed under the previous one have lower numbers.
    first_under_current: Option<u32>,
    /// Whether a renewal is to begin as soon as one may.
    wanted: bool,
    /// Whether the current key was taken up and the other side has not been told so.
    untold: bool,
    part: Part,
}

/// Which end of a pair this is.
#[derive(Clone, Serialize, Deserialize)]
enum Part {
    /// The device with the smaller key, which renews.
    Renews {
        /// Whether it has said that it wants a prekey for the next generation.
        asked: bool,
        /// The other side's prekey for the next generation, until the previous key is gone.
        prekey: Option<XWingPublic>,
        /// The next key, which the other side has not been seen to use.
        made: Option<Box<Made>>,
    },
    /// The other one, which offers what to renew with.
    Offers {
        /// Secret of the prekey that was told, until a renewal has used it.
        offered: Option<XWingSecret>,
    },
}

/// A renewed key with what lets the other side make it.
#[derive(Clone, Serialize, Deserialize)]
struct Made {
    key: OuterKey,
    encapsulation: Encapsulation,
}

redacted!(OuterKeys, Part, Made);

impl OuterKeys {
    /// Starts with the key that pairing gave, between a device with the key `own` and one with the key `theirs`: the
    /// smaller of the two renews.
    pub fn first(current: OuterKey, own: &VerifyingKey, theirs: &VerifyingKey) -> Self {
        let part = if own < theirs {
            Part::Renews { asked: false, prekey: None, made: None }
        } else {
            Part::Offers { offered: None }
        };
        Self { generation: 0, current, previous: None, first_under_current: None, wanted: false, untold: false, part }
    }

    /// Returns the generation of the current key: 0 from pairing, one more with each renewal.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Returns whether this end is the one that renews, and has to see to it in time.
    pub const fn renews(&self) -> bool {
        matches!(self.part, Part::Renews { .. })
    }

    /// Returns the key to seal under.
    pub const fn sealing(&self) -> &OuterKey {
        &self.current
    }

    /// Returns the keys a frame may be sealed under with their generations, the likelier first; at most two.
    pub fn accepted(&self) -> impl Iterator<Item = (u32, &OuterKey)> {
        let next = match &self.part {
            Part::Renews { made: Some(made), .. } => Some((self.generation.saturating_add(1), &made.key)),
            _ => None,
        };
        let previous = self.previous.as_ref().map(|key| (self.generation.saturating_sub(1), key));
        core::iter::once((self.generation, &self.current)).chain(next).chain(previous)
    }

    /// Returns whether a renewal is wanted, or under way, or its old key not yet erased.
    pub const fn is_under_way(&self) -> bool {
        self.wanted || self.previous.is_some() || self.is_open()
    }

    /// Returns whether this end has told something that the other has not answered.
    const fn is_open(&self) -> bool {
        match &self.part {
            Part::Renews { asked, prekey, made } => *asked || prekey.is_some() || made.is_some(),
            Part::Offers { offered } => offered.is_some(),
        }
    }

    /// Returns whether [`OuterKeys::step`] has something to tell.
    pub const fn has_to_tell(&self) -> bool {
        let begins = self.previous.is_none()
            && match &self.part {
                Part::Renews { made: Some(_), .. } => false,
                Part::Renews { prekey: Some(_), .. } => true,
                Part::Renews { asked, .. } => self.wanted && !*asked,
                Part::Offers { offered } => self.wanted && offered.is_none(),
            };
        self.untold || begins
    }

    /// Wants a renewal that rests on chance drawn after this, as soon as one may begin: the key is old, or a device was in
    /// other hands. One that is under way is ended first.
    pub const fn want(&mut self) {
        self.wanted = true;
    }

    /// Takes the next step, and returns what to tell for it, if anything: at most two contents. They belong into frames
    /// that are durable together with this change.
    pub fn step(&mut self, random: &mut (impl Random + ?Sized)) -> Vec<Content> {
        let mut told = Vec::new();
        if core::mem::take(&mut self.untold) {
            told.push(Content::OuterKeyInUse(self.generation));
        }
        if self.previous.is_none() {
            told.extend(self.begin(random));
        }
        told
    }

    fn begin(&mut self, random: &mut (impl Random + ?Sized)) -> Option<Content> {
        // After 4 000 million renewals the last key stays.
        let next = self.generation.checked_add(1)?;
        match &mut self.part {
            Part::Renews { made: Some(_), .. } => None,
            Part::Renews { asked, prekey, made } => {
                if let Some(public) = prekey.take() {
                    // A key that cannot be used was refused when it was read; should it be all the same, another is asked for.
                    let Ok((encapsulation, key)) = renew(random, &public, &self.current) else {
                        *asked = false;
                        return None;
                    };
                    *made = Some(Box::new(Made { key, encapsulation: encapsulation.clone() }));
                    self.wanted = false;
                    return Some(Content::Renewal(next, encapsulation));
                }
                let asks = self.wanted && !*asked;
                *asked |= asks;
                asks.then_some(Content::RenewalWanted(next))
            }
            Part::Offers { offered } => {
                if !self.wanted || offered.is_some() {
                    return None;
                }
                self.wanted = false;
                let secret = XWingSecret::draw(random);
                let public = secret.public();
                *offered = Some(secret);
                Some(Content::RenewalPrekey(next, public))
            }
        }
    }

    /// Returns what this end told last and still waits to see the effect of: to be told again, word for word, after a time
    /// in which a frame may have been lost for good. The other side takes no harm from hearing it twice.
    pub fn again(&self) -> Option<Content> {
        let next = self.generation.checked_add(1)?;
        match &self.part {
            Part::Renews { made: Some(made), .. } => Some(Content::Renewal(next, made.encapsulation.clone())),
            Part::Renews { asked: true, prekey: None, .. } => Some(Content::RenewalWanted(next)),
            Part::Renews { .. } => None,
            Part::Offers { offered } => offered.as_ref().map(|secret| Content::RenewalPrekey(next, secret.public())),
        }
    }

    /// Takes what the other side tells of a renewal; what is of another generation, or of the wrong end, has no effect.
    /// Returns whether a renewed key was taken up.
    pub fn take(&mut self, content: &Content) -> bool {
        let next = self.generation.checked_add(1);
        match (content, &mut self.part) {
            (Content::RenewalWanted(generation), Part::Offers { offered: None }) if Some(*generation) == next => {
                self.wanted = true;
                false
            }
            (Content::RenewalPrekey(generation, public), Part::Renews { prekey, made: None, .. })
                if Some(*generation) == next =>
            {
                *prekey = Some(public.clone());
                false
            }
            (Content::Renewal(generation, encapsulation), Part::Offers { offered })
                if Some(*generation) == next && self.previous.is_none() =>
            {
                let renewed =
                    offered.as_ref().and_then(|secret| accept_renewal(secret, &self.current, encapsulation).ok());
                let Some(renewed) = renewed else { return false };
                *offered = None;
                self.take_up(renewed);
                true
            }
            _ => false,
        }
    }

    /// Notes that frame `number` was opened under the key of `generation`, and that all with numbers below `expected` have
    /// come. Returns whether a renewed key was taken up by that.
    pub fn opened(&mut self, generation: u32, number: u32, expected: u32) -> bool {
        let mut took_up = false;
        if Some(generation) == self.generation.checked_add(1)
            && let Part::Renews { asked, made, .. } = &mut self.part
            && let Some(made) = made.take()
        {
            *asked = false;
            self.take_up(made.key);
            took_up = true;
        }
        if generation == self.generation {
            self.first_under_current = Some(self.first_under_current.map_or(number, |first| first.min(number)));
        }
        if self.first_under_current.is_some_and(|first| first < expected) {
            self.previous = None;
        }
        took_up
    }

    fn take_up(&mut self, renewed: OuterKey) {
        let before = core::mem::replace(&mut self.current, renewed);
        self.previous = Some(before);
        self.generation = self.generation.saturating_add(1);
        self.first_under_current = None;
        self.untold = true;
    }
}

#[cfg(test)]
#[path = "renewal_tests.rs"]
mod tests;

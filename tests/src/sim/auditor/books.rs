//! What the auditor has at the relay, and what the relay has said about it.

use std::collections::{BTreeMap, BTreeSet};

use zajil_proto::ids::{MailboxId, ParcelId};
use zajil_proto::limits::TOMBSTONE_EXTRA_HOURS;
use zajil_proto::random::Random;
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{Observation, Precision, Word};

use super::growing::Growing;
use super::passing::Passing;
use super::talk::{Found, Told};
use super::{Breach, Standing};
use crate::parcels::{OwnParcel, Pair};
use crate::sim::plan::{HOUR, MINUTE, Millis};

/// The mailbox for one parcel.
pub(super) const SINGLE: usize = 2;
/// The mailbox for few bytes.
pub(super) const NARROW: usize = 3;
/// The mailbox that is too small for what is begun in it.
pub(super) const CRAMPED: usize = 4;
/// How long after its time a parcel may still lie at a relay that runs: a step of its clock, and what full and slow disks delay.
pub(super) const LATE_MAX: Millis = 12 * HOUR;
/// A step of the relay's clock.
pub(super) const STEP: Millis = 6 * HOUR;
/// How long after a parcel has left its room may still be taken: a step of the relay's clock, and a minute.
const ROOM_RETURNS: Millis = 6 * HOUR + MINUTE;
/// What a relay's clock loses of each run: it counts minutes.
pub(super) const LOST_PER_START: Millis = 2 * MINUTE;

/// Everything that was entrusted to one store.
#[derive(Debug)]
pub(super) struct Books {
    /// Two as everybody has, [`SINGLE`], [`NARROW`], [`CRAMPED`].
    pub(super) boxes: [Pair; 5],
    pub(super) slot: Pair,
    /// Whether the relay has said that all of these are there.
    pub(super) registered: bool,
    pub(super) entrusted: Vec<Entrusted>,
    /// The parcel that grows.
    pub(super) growing: Option<Growing>,
    /// Every one that ever grew: what nobody goes on with may lie there for a while.
    pub(super) grown: BTreeSet<ParcelId>,
    /// Words in order of their versions.
    pub(super) words: Vec<Word>,
    /// The version of the newest one.
    pub(super) version: u64,
    /// The version that the relay surely has, or a newer one.
    pub(super) surely: u64,
    /// What was observed of a version, when that was first told.
    pub(super) observed: Option<(u64, Option<Observation>)>,
    /// How exactly the relay may tell when the slot's owner was there, as far as that is known.
    pub(super) precision: Option<Precision>,
    /// The mailbox for a while.
    pub(super) passing: Option<Passing>,
}

/// A parcel that was put.
#[derive(Debug)]
pub(super) struct Entrusted {
    pub(super) place: usize,
    pub(super) parcel: OwnParcel,
    lifetime: Lifetime,
    /// How things were just before it was first offered.
    since: Standing,
    /// How things were when the relay last said something of it that was not *stored* before: until it is whole, it does not age.
    grew: Standing,
    pub(super) state: State,
    /// How things were when it was surely gone.
    left: Option<Standing>,
    /// Whether it was let go, and did not go by itself.
    by_hand: bool,
}

/// What the relay has said of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing: it may be there, or a part of it.
    Unsure,
    /// *Stored*.
    Stored,
    /// Nothing since it was to go.
    Leaving,
    /// It is gone, or its time is over.
    Gone,
}

/// What surely lies in a mailbox.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holds {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

fn breach(invariant: u8, text: impl Into<String>) -> Breach {
    Breach { invariant, text: text.into() }
}

impl Books {
    /// Draws keys for everything.
    pub(super) fn draw(chance: &mut impl Random) -> Self {
        Self {
            boxes: core::array::from_fn(|_| Pair::draw(chance)),
            slot: Pair::draw(chance),
            registered: false,
            entrusted: Vec::new(),
            growing: None,
            grown: BTreeSet::new(),
            words: Vec::new(),
            version: 0,
            surely: 0,
            observed: None,
            precision: Some(Precision::SixHours),
            passing: None,
        }
    }

    /// Returns all mailboxes.
    pub(super) fn mailboxes(&self) -> Vec<MailboxId> {
        self.boxes.iter().map(Pair::mailbox).collect()
    }

    /// Takes a parcel down that is about to be offered. Returns its number.
    pub(super) fn add(&mut self, place: usize, parcel: OwnParcel, lifetime: Lifetime, since: Standing) -> usize {
        self.entrusted.push(Entrusted {
            place,
            parcel,
            lifetime,
            since,
            grew: since,
            state: State::Unsure,
            left: None,
            by_hand: false,
        });
        self.entrusted.len() - 1
    }

    /// Returns the numbers of parcels of which this was said.
    pub(super) fn places_of(&self, wanted: impl Fn(State) -> bool) -> impl Iterator<Item = usize> {
        self.entrusted.iter().enumerate().filter(move |(_, one)| wanted(one.state)).map(|(nth, _)| nth)
    }

    /// Returns what may wait at the relay.
    pub(super) fn waiting(&self) -> impl Iterator<Item = usize> {
        self.places_of(|state| state != State::Gone)
    }

    /// Returns what surely lies in a mailbox.
    pub(super) fn stored_in(&self, place: usize) -> Holds {
        let stored = self.entrusted.iter().filter(|one| one.place == place && one.state == State::Stored);
        stored.fold(Holds::default(), |holds, one| Holds {
            count: holds.count + 1,
            bytes: holds.bytes + one.parcel.parcel.body.len(),
        })
    }

    /// Takes down that a parcel which may not have been whole was offered, and whether it is stored now.
    pub(super) fn offered(&mut self, nth: usize, stored: bool, standing: Standing) {
        let one = &mut self.entrusted[nth];
        if one.state == State::Unsure {
            one.grew = standing;
            one.state = if stored { State::Stored } else { State::Unsure };
        }
    }

    /// Takes down that a parcel is gone.
    pub(super) fn leaves(&mut self, nth: usize, standing: Standing) {
        let one = &mut self.entrusted[nth];
        (one.state, one.left, one.by_hand) = (State::Gone, Some(standing), true);
    }

    /// Returns whether something was let go of in a mailbox so shortly before that the relay's clock is in the same step.
    pub(super) fn was_just_left(&self, place: usize, standing: Standing) -> bool {
        let step = Self::surely_in_step(standing);
        let left =
            |one: &Entrusted| one.left.filter(|_| one.place == place && one.by_hand).and_then(Self::surely_in_step);
        step.is_some() && self.entrusted.iter().filter_map(left).any(|left| Some(left) == step)
    }

    /// Returns whether the relay's clock may be at the beginning of a step, or nobody knows where it is.
    pub(super) fn may_have_stepped(standing: Standing) -> bool {
        Self::surely_in_step(standing).is_none()
    }

    /// Returns the step in which the relay's clock surely is: it began with the store, and loses a little with each start.
    fn surely_in_step(standing: Standing) -> Option<Millis> {
        let (first, last) = (standing.ran.checked_sub((standing.starts + 5) * LOST_PER_START)?, standing.ran);
        (standing.replaced == 0 && first / STEP == last / STEP).then_some(last / STEP)
    }

    /// Returns whether nothing has been in a mailbox for so long that all of its room is free again.
    pub(super) fn has_room(&self, place: usize, standing: Standing) -> bool {
        let free = |one: &Entrusted| {
            one.left.is_some_and(|left| {
                standing.ran - left.ran > ROOM_RETURNS + (standing.starts - left.starts) * LOST_PER_START
            })
        };
        self.entrusted.iter().filter(|one| one.place == place).all(free)
    }

    /// Holds what lies in the mailboxes against what was said.
    pub(super) fn compare(&mut self, found: &BTreeMap<ParcelId, Found>, standing: Standing) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for (id, found) in found {
            match self.entrusted.iter().find(|one| one.parcel.id() == *id) {
                Some(one) => {
                    let own = self.boxes[one.place].mailbox();
                    breaches.extend(one.found(found, own, standing));
                }
                None if self.grown.contains(id) => {}
                None => breaches.push(breach(0, "a parcel that nobody put lies in a mailbox")),
            }
        }
        for one in &mut self.entrusted {
            if one.state == State::Stored && !found.contains_key(&one.parcel.id()) {
                (one.state, one.left) = (State::Gone, Some(standing));
                let lasted = standing.now - one.since.now;
                if lasted < one.lasts() {
                    let text = format!("a parcel was stored and is gone, after {lasted} ms of {}", one.lasts());
                    breaches.push(breach(1, text));
                }
            }
        }
        self.entrusted.retain(|one| !one.is_past(standing));
        breaches
    }

    /// Holds what the slot tells against what was said.
    pub(super) fn compare_word(&mut self, told: Told) -> Vec<Breach> {
        let version = told.word.as_ref().map_or(0, |word| word.version);
        if version < self.surely {
            return vec![breach(8, format!("word {version} is told, and the relay had word {}", self.surely))];
        }
        let Some(word) = &told.word else { return Vec::new() };
        if !self.words.contains(word) {
            return vec![breach(8, "a word is told that nobody wrote")];
        }
        self.surely = version;
        if let (Some(precision), Some(seen)) = (self.precision, &told.observation)
            && seen.width != precision
        {
            return vec![breach(8, format!("{:?} is told, and its owner allows {precision:?}", seen.width))];
        }
        let observed = (version, told.observation);
        let moved = self.observed.as_ref().is_some_and(|before| before.0 == version && *before != observed);
        self.observed = Some(observed);
        let text = "what was observed of a word has changed, and its owner wrote no other";
        if moved { vec![breach(8, text)] } else { Vec::new() }
    }
}

impl Entrusted {
    fn lasts(&self) -> Millis {
        Millis::from(self.lifetime.hours()) * HOUR
    }

    /// Returns whether its time has been over for so long that it cannot lie there. A relay that does not run counts no time.
    fn is_overdue(&self, standing: Standing, extra: Millis) -> bool {
        let delayed = LATE_MAX + (standing.starts - self.grew.starts) * LOST_PER_START;
        standing.ran - self.grew.ran > self.lasts() + delayed + extra
    }

    /// Returns whether the relay, too, has forgotten that it ever was.
    fn is_past(&self, standing: Standing) -> bool {
        self.is_overdue(standing, Millis::from(TOMBSTONE_EXTRA_HOURS) * HOUR)
    }

    /// Says what is wrong with a parcel as it was found.
    fn found(&self, found: &Found, own: MailboxId, standing: Standing) -> Vec<Breach> {
        let (body, mut breaches) = (&self.parcel.parcel.body, Vec::new());
        if found.mailbox != Some(own) {
            breaches.push(breach(0, "a parcel lies in another mailbox than it was put in"));
        }
        if !body.starts_with(&found.body) {
            breaches.push(breach(2, "the bytes of a parcel are not those that were put"));
        }
        if self.state == State::Gone {
            breaches.push(breach(4, "a parcel that was released, or whose time was over, has come once more"));
        }
        if self.state == State::Stored && !(found.closed && found.body.len() == body.len()) {
            let text = format!("of a parcel that was stored {} of {} B are left", found.body.len(), body.len());
            breaches.push(breach(1, text));
        }
        let lasted = standing.now - self.since.now;
        if Millis::from(found.age) * MINUTE > lasted + 2 * MINUTE {
            breaches.push(breach(1, format!("a parcel is called {} minutes old after {lasted} ms", found.age)));
        }
        if self.is_overdue(standing, 0) {
            breaches.push(breach(6, "a parcel still takes up room long after its time"));
        }
        breaches
    }
}

//! What to send next over a link that may end any second, as a pure function; and how long to wait after a refusal.

mod rank;
mod refusal;

use std::collections::BTreeMap;

pub use rank::{Candidate, Portion, Share};
pub use refusal::{Reason, Retry};

use crate::ids::ParcelId;
use crate::parcel::{Class, HEADER_BYTES, MARK_BYTES};

/// A parcel in the outbox, as far as its rank is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which parcel.
    pub id: ParcelId,
    /// Its class.
    pub class: Class,
    /// For a control parcel: whether notes that wait for the same reader cannot be opened without it.
    pub opens_waiting: bool,
    /// Any number that is the same for all parcels of one contact and differs between contacts.
    pub contact: u64,
    /// How long it has waited in this outbox, minutes.
    pub age: u32,
    /// Bytes of sealed body there are.
    pub length: u32,
    /// Bytes of it the relay has called durable.
    pub durable: u32,
}

/// A stretch of a body to offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Which parcel.
    pub id: ParcelId,
    /// First byte.
    pub from: u32,
    /// Byte after the last.
    pub to: u32,
}

/// Plans a window of `budget` bytes on the wire: stretches in the order they should leave, headers counted once per
/// parcel and a mark per 8 KiB. Words are not planned: they always go first.
///
/// The plan covers what fits; a parcel that is wholly durable but not yet *stored* gets a step of no bytes, so that it
/// is offered. Same input, same plan. Offer parcels in the order of [`first_offers`].
pub fn plan(waiting: &[Waiting], budget: u64) -> Vec<Step> {
    let turns = turns(waiting);
    let mut rows: BTreeMap<usize, Candidate> = waiting
        .iter()
        .enumerate()
        .map(|(row, parcel)| (row, candidate(parcel, turns.get(row).copied().unwrap_or_default())))
        .collect();
    let (mut share, mut spent, mut steps) = (Share::default(), 0_u64, Vec::<Step>::new());
    let mut begun = vec![false; waiting.len()];
    while let Some(mut portion) = share.pick(rows.iter().map(|(row, candidate)| (*row, *candidate))) {
        let (Some(parcel), Some(candidate)) = (waiting.get(portion.key), rows.get_mut(&portion.key)) else {
            break;
        };
        let begins = begun.get_mut(portion.key).is_some_and(|begun| !core::mem::replace(begun, true));
        let overhead = MARK_BYTES + if begins { HEADER_BYTES } else { 0 };
        let room = budget.saturating_sub(spent.saturating_add(u64::try_from(overhead).unwrap_or(u64::MAX)));
        if room == 0 {
            break;
        }
        portion.bytes = portion.bytes.min(u32::try_from(room).unwrap_or(u32::MAX));
        spent = budget - room + u64::from(portion.bytes);
        share.spend(&portion);
        let to = candidate.from + portion.bytes;
        match steps.last_mut() {
            Some(last) if last.id == parcel.id && last.to == candidate.from => last.to = to,
            _ => steps.push(Step { id: parcel.id, from: candidate.from, to }),
        }
        candidate.from = to;
        if candidate.left() == 0 {
            rows.remove(&portion.key);
        }
    }
    steps
}

/// Returns each parcel of a plan once, in the order of its first stretch.
pub fn first_offers(plan: &[Step]) -> Vec<ParcelId> {
    let mut known = std::collections::BTreeSet::new();
    plan.iter().filter(|step| known.insert(step.id)).map(|step| step.id).collect()
}

fn candidate(parcel: &Waiting, turn: u32) -> Candidate {
    Candidate {
        class: parcel.class,
        opens_waiting: parcel.opens_waiting,
        age: parcel.age,
        turn,
        from: parcel.durable.min(parcel.length),
        end: parcel.length,
    }
}

/// Numbers the voice notes of each contact, oldest first.
fn turns(waiting: &[Waiting]) -> Vec<u32> {
    let mut order: Vec<(usize, &Waiting)> = waiting.iter().enumerate().collect();
    order.sort_by_key(|(row, parcel)| (core::cmp::Reverse(parcel.age), *row));
    let mut counts = BTreeMap::<u64, u32>::new();
    let mut turns = vec![0; waiting.len()];
    for (row, parcel) in order {
        if parcel.class == Class::Voice {
            let count = counts.entry(parcel.contact).or_default();
            if let Some(turn) = turns.get_mut(row) {
                *turn = *count;
            }
            *count += 1;
        }
    }
    turns
}

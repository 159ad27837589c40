//! What a relay refuses: why it waits, and how it is asked for again without all of it leaving each time.

use std::collections::BTreeMap;

use zajil_proto::ids::{Epoch, ParcelId};
use zajil_proto::outbox::Retry;
use zajil_proto::sabotaged;
use zajil_proto::time::Instant;
use zajil_proto::wire::Code;

use super::Meeting;
use crate::engine::api::{Failure, WaitReason};
use crate::engine::model::{Cargo, Outgoing};
use crate::engine::state::Device;
use crate::store::Batch;

/// When what is on offer again is due again: only once it is refused again.
const NEVER: Instant = Instant::from_millis(u64::MAX);

/// The parcel by which a relay is asked whether there is room again, for each contact with parcels that found none: the shortest, for
/// where that has no room none has. The others wait for its answer: forty notes that a full mailbox had refused cost 94 kB in every
/// meeting, and those were 800 (simulated disks 1469).
pub(super) struct AskedFirst(BTreeMap<u32, ParcelId>);

impl AskedFirst {
    /// Returns whether a parcel waits for the answer about another.
    pub(super) fn keeps_back(&self, id: &ParcelId, outgoing: &Outgoing) -> bool {
        found_no_room(outgoing) && self.0.get(&outgoing.contact).is_some_and(|first| first != id)
    }
}

/// Whether a parcel waits for room, in a mailbox in which others may wait for it too.
const fn found_no_room(outgoing: &Outgoing) -> bool {
    matches!(outgoing.cargo, Cargo::Note(_) | Cargo::Frame { .. })
        && matches!(outgoing.waits, Some(WaitReason::NotHere | WaitReason::MailboxFull | WaitReason::RelayFull))
}

impl Meeting {
    /// Returns by which parcels the relay is asked for room, where it has not shown in this meeting that there is some.
    pub(super) fn asked_first(&self, device: &Device, epoch: Epoch) -> AskedFirst {
        let mut first: BTreeMap<u32, (u32, ParcelId)> = BTreeMap::new();
        for (id, outgoing) in &device.outgoing {
            let is_ours = outgoing.home.key == self.relay.key && outgoing.is_due(epoch);
            let no_room = found_no_room(outgoing) && !self.has_room.contains(&outgoing.contact);
            if is_ours && no_room && !sabotaged!(AllAskedAgain) {
                let left = (outgoing.length.saturating_sub(outgoing.durable), *id);
                first.entry(outgoing.contact).and_modify(|least| *least = left.min(*least)).or_insert(left);
            }
        }
        AskedFirst(first.into_iter().map(|(contact, (_, id))| (contact, id)).collect())
    }

    /// Returns whether the relay has refused a parcel in this meeting and not taken it since, or that by which it was asked. What it
    /// refused in an earlier one it may take now.
    pub(super) fn waits(&self, id: &ParcelId, outgoing: &Outgoing, asked_first: &AskedFirst) -> bool {
        let asked = if asked_first.keeps_back(id, outgoing) { asked_first.0.get(&outgoing.contact) } else { Some(id) };
        let refused = asked.is_some_and(|asked| {
            self.retries.contains_key(asked) || self.refusals.iter().any(|(refused, _)| refused == asked)
        });
        refused && outgoing.waits.is_some()
    }

    /// Returns whether the relay has refused a parcel in this meeting, and it is not on offer until its pause is over.
    pub(super) fn pauses(&self, id: &ParcelId) -> bool {
        self.retries.get(id).is_some_and(|retry| retry.at != NEVER)
    }

    /// Lets refused parcels be offered again once their pause is over.
    pub(super) fn plan_retries(&mut self, now: Instant) {
        for (id, code) in self.refusals.drain(..) {
            let retry = self.retries.entry(id).or_insert_with(|| Retry::new(now));
            *retry = retry.refused(now, code);
        }
        let due: Vec<ParcelId> =
            self.retries.iter().filter(|(_, retry)| retry.is_due(now)).map(|(id, _)| *id).collect();
        for id in due {
            // Due again only when it is refused again.
            if let Some(retry) = self.retries.get_mut(&id) {
                retry.at = NEVER;
            }
            self.offered.remove(&id);
        }
    }

    /// Notes that a relay takes no parcel now.
    pub(in crate::engine) fn refused(&mut self, device: &mut Device, id: &ParcelId, code: Code) -> Result<(), Failure> {
        let Some(outgoing) = device.outgoing.get_mut(id) else { return Ok(()) };
        outgoing.waits = Some(reason(code));
        self.has_room.remove(&outgoing.contact);
        self.refusals.push((*id, code));
        let key = outgoing.contact;
        let is_note = matches!(outgoing.cargo, Cargo::Note(_));
        let mut batch = Batch::new();
        device.put_outgoing(&mut batch, id)?;
        if is_note && sabotaged!(RefusedMeansForgotten) {
            device.delete_outgoing(&mut batch, id);
        }
        device.commit(batch)?;
        match device.outgoing.get(id).map(|outgoing| &outgoing.cargo) {
            Some(Cargo::Reply) => self.reply_refused(device, key, code),
            _ => Ok(()),
        }
    }
}

/// Says why a refused parcel waits.
fn reason(code: Code) -> WaitReason {
    match code {
        Code::NOT_HERE | Code::RELAY_FULL | Code::BUSY if sabotaged!(ReasonMistold) => WaitReason::MailboxFull,
        Code::NOT_HERE | Code::OVER => WaitReason::NotHere,
        Code::MAILBOX_FULL => WaitReason::MailboxFull,
        Code::RELAY_FULL => WaitReason::RelayFull,
        Code::BUSY => WaitReason::Busy,
        _ => WaitReason::Refused,
    }
}

//! What ages in a meeting: stored parcels expire, and what a relay has not answered for yet may have begun to age there.

use zajil_proto::ids::ParcelId;
use zajil_proto::keys::VerifyingKey;
use zajil_proto::time::{Instant, Minute};
use zajil_proto::{reached, sabotaged};

use super::Meeting;
use crate::engine::api::{Failure, NoteMark};
use crate::engine::lived::Moment;
use crate::engine::model::{Cargo, Outgoing};
use crate::engine::state::Device;
use crate::limits::EXPIRY_MINUTES;
use crate::store::Batch;

impl Meeting {
    /// Notes that there is a connection: until now nothing of what was offered can have left.
    pub(crate) fn connected(&mut self, device: &Device, own: Minute, at: Instant) {
        let lived = self.lived_by_own_clocks(device, own, at);
        self.offered.values_mut().for_each(|since| *since = lived);
        self.connected = true;
    }

    /// Notes that time has passed since the relay answered.
    pub(crate) fn go_on(&self, device: &mut Device, at: Instant) {
        if let Some(met) = self.met
            && let Some(known) = device.relays.get_mut(&self.relay.key)
        {
            known.lived.go_on(at.since(met));
        }
    }

    /// Returns how long this device has lived by now, as this relay and it count.
    pub(super) fn lived(&self, device: &Device) -> Moment {
        device.relays.get(&self.relay.key).map(|known| known.lived.moment()).unwrap_or_default()
    }

    /// Notes how far the relay has a parcel that is not whole there: it does not age.
    pub(super) fn progressed(&mut self, device: &mut Device, id: ParcelId, durable: u32) -> Result<(), Failure> {
        let lived = self.lived(device);
        self.unfinished.insert(id);
        let Some(outgoing) = device.outgoing.get_mut(&id) else { return Ok(()) };
        // Taken after all: it is under way like any other. To have been opened is not enough: a relay with a little room opens much.
        if durable > outgoing.durable && outgoing.waits.take().is_some() {
            self.has_room.insert(outgoing.contact);
        }
        outgoing.durable = durable;
        let is_news = outgoing.stored.is_some() && outgoing.perhaps.is_none();
        outgoing.perhaps = Some(lived);
        if is_news {
            // A relay has lost it: whatever happens to this device now, its age from there counts no more.
            let mut batch = Batch::new();
            device.put_outgoing(&mut batch, &id)?;
            device.commit(batch)?;
        }
        Ok(())
    }

    /// Returns since when the relay ages a parcel of which it says now that it has it whole.
    pub(super) fn ages_since(&mut self, id: &ParcelId, outgoing: &Outgoing, lived: Moment) -> Moment {
        // The first answer in this meeting: the relay has had it whole since an earlier one, and ages it since then. So does one
        // whose operator put a copy in place that has it: its epoch is new, and the parcel as old as it was. If one that lost it may
        // have got it again unheard, the later of the two counts, lest its time end too early.
        let earlier = outgoing.perhaps.or(outgoing.stored.map(|(_, since)| since));
        let earlier = earlier.filter(|_| !self.unfinished.contains(id) && !sabotaged!(UnansweredForgotten));
        let since = earlier.unwrap_or(lived);
        if lived.minutes_since(since) >= outgoing.lifetime_minutes() {
            // Over by now: not left for the next hour.
            self.expired_at = None;
        }
        since
    }

    /// Returns the same before the relay has answered.
    pub(super) fn lived_by_own_clocks(&self, device: &Device, own: Minute, at: Instant) -> Moment {
        device.relays.get(&self.relay.key).map(|known| known.lived.by_own_clock(own, at)).unwrap_or_default()
    }

    /// Lets go of what has expired while the meeting goes on, which may be for weeks.
    pub(crate) fn expire(&mut self, device: &mut Device, now: Minute, at: Instant) -> Result<(), Failure> {
        self.go_on(device, at);
        let lived = self.lived(device);
        if self.met.is_none() || self.expired_at.is_some_and(|last| lived.minutes_since(last) < EXPIRY_MINUTES) {
            return Ok(());
        }
        self.expired_at = Some(lived);
        device.expire_outgoing(&self.relay.key, lived, now)
    }

    /// Keeps what must outlive the meeting, which is over: how far the relay has what it has not stored,
    /// since when it may have it whole without having said so, and what it has not let go of.
    pub(crate) fn keep(&mut self, device: &mut Device) -> Result<(), Failure> {
        let mut batch = Batch::new();
        self.keep_releases(device, &mut batch)?;
        let offered = self.offered.iter().filter(|_| self.connected);
        for (id, since) in offered {
            let Some(outgoing) = device.outgoing.get_mut(id) else { continue };
            let is_due = self.epoch.or(self.expected).is_none_or(|epoch| outgoing.is_due(epoch));
            if is_due && (outgoing.perhaps.is_none() || self.unfinished.contains(id)) {
                outgoing.perhaps = outgoing.perhaps.or(Some(*since));
                device.put_outgoing(&mut batch, id)?;
            }
        }
        if !batch.is_empty() {
            device.commit(batch)?;
        }
        Ok(())
    }
}

impl Device {
    /// Lets go of parcels that nobody fetched within their lifetime, and says so on their notes.
    fn expire_outgoing(&mut self, relay: &VerifyingKey, lived: Moment, now: Minute) -> Result<(), Failure> {
        let expired: Vec<ParcelId> = self
            .outgoing
            .iter()
            .filter(|(_, outgoing)| outgoing.home.key == *relay)
            .filter(|(_, outgoing)| {
                let lifetime = outgoing.lifetime_minutes();
                match outgoing.stored {
                    Some((_, since)) => lived.minutes_since(since) >= lifetime,
                    // What no relay has stored does not age.
                    None => now.0.saturating_sub(outgoing.sealed_at.0) >= lifetime && sabotaged!(NotesAgeInOutbox),
                }
            })
            .map(|(id, _)| *id)
            .collect();
        for id in expired {
            let Some(outgoing) = self.outgoing.get(&id) else { continue };
            let mut batch = Batch::new();
            if let Cargo::Note(number) = outgoing.cargo
                && let Some(note) = self.notes.get_mut(&number)
                && note.mark < NoteMark::Delivered
                && !sabotaged!(ExpiredSilently)
            {
                reached!(NoteExpired);
                note.mark = NoteMark::Expired;
                self.put_note(&mut batch, number)?;
            }
            self.delete_outgoing(&mut batch, &id);
            self.commit(batch)?;
        }
        Ok(())
    }
}

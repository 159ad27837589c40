//! What is durable here and may go at the relay: asked for until the relay has said that it is gone, in a later meeting too.
//!
//! A relay that breaks off before it has let a parcel go has it whole, and would send it again at every meeting: with its disk full
//! for an hour that is the same notes every few seconds. So what was not confirmed is named as held, and released once more, in the
//! next meeting. When a meeting is over it is on the disk: a command is a program of its own each time, and one that hung up before it heard
//! of a release fetched a whole note anew, over a link that carries 20 kbit/s (simulated storm 24). After a crash the keys that are
//! used up tell what came before.

use std::collections::BTreeMap;

use zajil_proto::durable::Durable;
use zajil_proto::ids::{MailboxId, ParcelId};
use zajil_proto::sabotaged;
use zajil_proto::session::client::{ClientCommand, HeldState};

use super::Meeting;
use crate::engine::api::Failure;
use crate::engine::state::Device;
use crate::limits::RELEASES_KEPT_MAX;
use crate::store::Batch;

/// Parcels whose release no relay has confirmed.
pub(crate) type Unconfirmed = BTreeMap<ParcelId, (MailboxId, Durable<ParcelId>)>;

impl Meeting {
    /// Lets parcels go that are here wholly.
    pub(super) fn release(&mut self, mailbox: MailboxId, ids: Vec<Durable<ParcelId>>) {
        for id in ids {
            if self.unconfirmed.len() < RELEASES_KEPT_MAX {
                self.unconfirmed.insert(*id.get(), (mailbox, id));
            }
            self.releases.push((mailbox, id));
        }
    }

    /// Lets a replay go of which only the beginning is here. It may be one that its sender offers anew, and not whole at the relay:
    /// that must not be let go of twice.
    pub(super) fn release_replay(&mut self, mailbox: MailboxId, id: Durable<ParcelId>) {
        self.releases.push((mailbox, id));
    }

    /// Notes that the relay has let parcels go.
    pub(super) fn released(&mut self, ids: &[ParcelId]) {
        for id in ids {
            self.unconfirmed.remove(id);
        }
    }

    /// Takes over what earlier meetings with the home have asked for in vain. To be called before anything is planned.
    pub(crate) fn take_over(&mut self, device: &mut Device) {
        if device.profile.home.key != self.relay.key {
            return;
        }
        let before = std::mem::take(&mut device.unconfirmed);
        for (mailbox, id) in before.into_values().filter(|_| !sabotaged!(ReleaseNotAskedAgain)) {
            self.release(mailbox, vec![id]);
        }
    }

    /// Forgets all that: a relay that has lost its store has none of it, and what comes from there under the same id is offered anew.
    pub(super) fn forget_unconfirmed(&mut self) {
        self.unconfirmed.clear();
        self.releases.clear();
    }

    /// Leaves to the next meeting what was asked for in vain. To be called when this one is over.
    pub(crate) fn hand_over(&mut self, device: &mut Device) {
        device.unconfirmed.append(&mut self.unconfirmed);
    }

    /// The same, durable with `batch`.
    pub(super) fn keep_releases(&mut self, device: &mut Device, batch: &mut Batch) -> Result<(), Failure> {
        self.hand_over(device);
        // While the home is met, that meeting has all the others.
        if device.profile.home.key == self.relay.key { device.put_releases(batch) } else { Ok(()) }
    }

    /// Returns what the relay need not send though it has not let it go.
    pub(super) fn held_unconfirmed(&self, device: &Device, mailbox: &MailboxId) -> Vec<(ParcelId, HeldState)> {
        let here = self.unconfirmed.iter().filter(|(id, (of, _))| of == mailbox && !device.incoming.contains_key(id));
        here.map(|(id, _)| (*id, HeldState::Whole)).collect()
    }

    pub(super) fn plan_releases(&mut self) {
        let mut by_mailbox: BTreeMap<MailboxId, Vec<Durable<ParcelId>>> = BTreeMap::new();
        for (mailbox, id) in self.releases.drain(..) {
            by_mailbox.entry(mailbox).or_default().push(id);
        }
        self.commands.extend(by_mailbox.into_iter().map(|(mailbox, ids)| ClientCommand::Release { mailbox, ids }));
    }
}

//! What to ask a relay: whatever is due and has not been asked for in this meeting.

use std::collections::{BTreeMap, BTreeSet};

use zajil_proto::ids::{Epoch, ParcelId, ReadTag};
use zajil_proto::keys::{SigningKey, VerifyingKey};
use zajil_proto::limits::INVITATION_HOURS;
use zajil_proto::parcel::Travel;
use zajil_proto::sealing::MailboxOwner;
use zajil_proto::session::client::{ClientCommand, HeldState, Offer, Registering, Room};
use zajil_proto::time::{Instant, Minute};
use zajil_proto::wire::{Precision, Scope};
use zajil_proto::{reached, sabotaged};

use super::Meeting;
use crate::engine::api::Failure;
use crate::engine::model::{Cargo, Stage, decode_word};
use crate::engine::state::Device;
use crate::engine::words::precision;
use crate::limits::OFFERED_BYTES_MAX;

/// Stands for the epoch of a store that nobody here has seen: nothing was left in it.
const NEVER_MET: Epoch = Epoch([0; 16]);

impl Meeting {
    /// Asks for whatever is due and has not been asked for in this meeting. `ask_seen`: contacts whose slots to ask about.
    pub(crate) fn plan(
        &mut self,
        device: &Device,
        ask_seen: &BTreeSet<u32>,
        now: Instant,
        wall: Minute,
    ) -> Result<Vec<ClientCommand>, Failure> {
        // A round trip is dear: what the relay most likely wants is asked behind the greeting, before it has answered.
        let epoch = self.epoch.or(self.expected).unwrap_or(NEVER_MET);
        if self.registers_at.take_if(|at| *at <= now).is_some() {
            self.not_admitted = false;
        }
        if device.profile.home.key == self.relay.key {
            self.plan_home(device, epoch, now)?;
        }
        self.plan_pairings(device)?;
        for key in ask_seen {
            if let Some(granted) = device.contacts.get(key).and_then(|contact| contact.granted.as_ref())
                && granted.grant.homes.as_slice().iter().any(|home| home.key == self.relay.key)
                && self.asked.insert(granted.grant.slot())
            {
                self.prove(Scope::Slot, granted.grant.write_key, &granted.grant.read_key);
                self.commands.push(ClientCommand::GetSeen { slot: granted.grant.slot() });
            }
        }
        self.plan_retries(now);
        self.plan_offers(device, epoch, now, wall)?;
        self.plan_releases();
        Ok(std::mem::take(&mut self.commands))
    }

    /// What only the home is asked: mailboxes to make and watch, words to leave, what is over to drop.
    fn plan_home(&mut self, device: &Device, epoch: Epoch, now: Instant) -> Result<(), Failure> {
        for (key, contact) in &device.contacts {
            if let Some(secret) = &contact.retired {
                let secrets = device.pairings.of(*key, secret);
                for owner in [&secrets.invitation, &secrets.reply] {
                    self.drop_it(Scope::Mailbox, owner);
                }
            }
            if let Stage::Invited { inviter, .. } = &contact.stage {
                let secrets = device.pairings.of(*key, &inviter.link.secret);
                if contact.registered != Some(epoch) {
                    self.register_mailbox(device, &secrets.invitation, None);
                    self.register_mailbox(device, &secrets.reply, Some(1));
                }
                self.watch(device, &secrets.reply)?;
            }
            let has_mailbox = matches!(contact.stage, Stage::Invited { .. } | Stage::Replied { .. } | Stage::Paired);
            if has_mailbox {
                if contact.registered != Some(epoch) {
                    self.register_mailbox(device, &contact.own, None);
                }
                self.watch(device, &contact.own)?;
            }
            if let Some(slot) = &contact.slot {
                let id = slot.owner.slot().0;
                self.prove(Scope::Slot, slot.owner.write_key.public(), &slot.owner.read_key);
                if slot.registered != Some(epoch) && !self.not_admitted && self.registering.insert(id) {
                    let registering = Registering {
                        scope: Scope::Slot,
                        write_key: slot.owner.write_key.public(),
                        read_tag: slot.owner.read_tag(),
                        parcels_max: None,
                        room: Room::Usual,
                        valid_hours: None,
                        precision: precision(slot.precision),
                        homes: Vec::new(),
                        admission: device.profile.admission.clone(),
                    };
                    self.commands.push(ClientCommand::Register(Box::new(registering)));
                }
                let word = slot.newest.as_deref().and_then(decode_word);
                let pauses =
                    |version| self.word_pauses.get(&(slot.owner.slot(), version)).is_some_and(|until| now < *until);
                let is_lost = slot.registered != Some(epoch);
                if let Some(word) = word.filter(|_| !slot.stored || (is_lost && !sabotaged!(WordNotOfferedAgain)))
                    && !pauses(word.version)
                    && self.words.insert((slot.owner.slot(), word.version))
                {
                    let write_key = Some(slot.owner.write_key.clone());
                    self.commands.push(ClientCommand::PutWord { word, write_key });
                }
            }
        }
        for slot in &device.profile.dropped_slots {
            self.prove(Scope::Slot, slot.write_key.public(), &slot.read_key);
            if self.dropping.insert(slot.slot().0) {
                self.commands.push(ClientCommand::Drop { scope: Scope::Slot, id: slot.slot().0 });
            }
        }
        Ok(())
    }

    /// Fetches what the links of others lead to, where this relay is their home.
    fn plan_pairings(&mut self, device: &Device) -> Result<(), Failure> {
        for (key, contact) in &device.contacts {
            if let Stage::Fetching { link, .. } = &contact.stage
                && link.home.key == self.relay.key
            {
                let secrets = device.pairings.of(*key, &link.secret);
                self.fetching.entry(secrets.invitation.mailbox()).or_insert(*key);
                self.watch(device, &secrets.invitation)?;
            }
        }
        Ok(())
    }

    fn plan_offers(&mut self, device: &Device, epoch: Epoch, now: Instant, wall: Minute) -> Result<(), Failure> {
        let lived = if self.is_welcomed() { self.lived(device) } else { self.lived_by_own_clocks(device, wall, now) };
        let mut turns: BTreeMap<u32, u32> = BTreeMap::new();
        let mut due: Vec<ParcelId> = device
            .outgoing
            .iter()
            .filter(|(_, outgoing)| outgoing.home.key == self.relay.key)
            .filter(|(_, outgoing)| outgoing.is_due(epoch))
            .filter(|(id, _)| !self.offered.contains_key(*id))
            .map(|(id, _)| *id)
            .collect();
        if due.is_empty() {
            return Ok(());
        }
        if due.len() > 1 && sabotaged!(OrderByChance) {
            let chance = std::hash::RandomState::new();
            due.sort_by_key(|id| std::hash::BuildHasher::hash_one(&chance, id));
        }
        let on_offer = |id: &ParcelId| {
            let outgoing = device.outgoing.get(id).filter(|outgoing| outgoing.is_due(epoch) && !self.pauses(id));
            outgoing.map_or(0, |outgoing| u64::from(outgoing.length))
        };
        let mut bytes: u64 = self.offered.keys().map(on_offer).sum();
        let asked_first = self.asked_first(device, epoch);
        for id in due {
            let Some(outgoing) = device.outgoing.get(&id) else { continue };
            if asked_first.keeps_back(&id, outgoing) {
                continue;
            }
            if bytes >= OFFERED_BYTES_MAX && !sabotaged!(OffersNotBounded) {
                break;
            }
            #[cfg(feature = "simulation")]
            if outgoing.waits.is_none()
                && device.outgoing.values().any(|other| other.waits.is_some())
                && sabotaged!(HeadOfLineBlocks)
            {
                continue;
            }
            if outgoing.stored.is_some() {
                reached!(OfferedAgain);
            }
            bytes = bytes.saturating_add(u64::from(outgoing.length));
            let contact = device.contacts.get(&outgoing.contact);
            // Put on another lane may overtake Register: what goes into a mailbox of our own waits until that is made.
            if outgoing.cargo == Cargo::Invitation && contact.is_none_or(|contact| contact.registered != Some(epoch)) {
                continue;
            }
            let Some(parcel) = device.sealed(&id)? else { continue };
            let turn = turns.entry(outgoing.contact).or_default();
            let offer = Offer {
                parcel,
                travel: Travel::default(),
                from: outgoing.durable,
                opens_waiting: matches!(outgoing.cargo, Cargo::Frame { .. } | Cargo::Reply),
                age: 0,
                turn: *turn,
                // In this meeting or in an earlier one: a relay that is full for hours is met again and again.
                refused_before: self.retries.contains_key(&id) || outgoing.waits.is_some(),
            };
            *turn = turn.saturating_add(u32::from(matches!(outgoing.cargo, Cargo::Note(_))));
            self.offered.insert(id, lived);
            self.commands.push(ClientCommand::Offer(Box::new(offer)));
        }
        Ok(())
    }

    fn prove(&mut self, scope: Scope, write_key: VerifyingKey, read_key: &SigningKey) {
        let id = scope.id(&write_key, &ReadTag::of(&read_key.public()));
        if self.proven.insert(id) {
            self.commands.push(ClientCommand::Prove { scope, write_key, read_key: read_key.clone() });
        }
    }

    fn register_mailbox(&mut self, device: &Device, owner: &MailboxOwner, parcels_max: Option<u16>) {
        self.prove(Scope::Mailbox, owner.write_key.public(), &owner.read_key);
        let id = owner.mailbox().0;
        if !self.made.contains(&id) && !self.not_admitted && self.registering.insert(id) {
            let registering = Registering {
                scope: Scope::Mailbox,
                write_key: owner.write_key.public(),
                read_tag: owner.read_tag(),
                parcels_max,
                room: Room::Usual,
                valid_hours: parcels_max.map(|_| INVITATION_HOURS),
                precision: Precision::Off,
                homes: Vec::new(),
                admission: device.profile.admission.clone(),
            };
            self.commands.push(ClientCommand::Register(Box::new(registering)));
        }
    }

    fn watch(&mut self, device: &Device, owner: &MailboxOwner) -> Result<(), Failure> {
        let mailbox = owner.mailbox();
        self.prove(Scope::Mailbox, owner.write_key.public(), &owner.read_key);
        if !self.fetches {
            reached!(FullDeviceFetchesNothing);
            return Ok(());
        }
        if !self.watched.insert(mailbox) {
            return Ok(());
        }
        let mut held = Vec::new();
        for (id, incoming) in device.incoming.iter().filter(|(_, incoming)| incoming.mailbox == mailbox) {
            let Some(header) = incoming.header() else { continue };
            let state = if incoming.closed {
                HeldState::Whole
            } else {
                let resumed = incoming.resumed(device.incoming_from(id, incoming.chain.1)?);
                HeldState::Partial { header: Box::new(header), resumed }
            };
            held.push((*id, state));
        }
        held.extend(self.held_unconfirmed(device, &mailbox));
        self.commands.push(ClientCommand::Watch { mailbox, live: true, held });
        Ok(())
    }

    fn drop_it(&mut self, scope: Scope, owner: &MailboxOwner) {
        self.prove(scope, owner.write_key.public(), &owner.read_key);
        let id = scope.id(&owner.write_key.public(), &owner.read_tag());
        if self.dropping.insert(id) {
            self.commands.push(ClientCommand::Drop { scope, id });
        }
    }
}

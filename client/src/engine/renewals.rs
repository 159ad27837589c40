//! Keys of pairs that become old, and phones that were out of their owners' hands (P5.4 to P5.9).
//!
//! Which step a renewal takes next is decided in `zajil_proto::sealing::renewal`. Here: when one begins, when its steps are told, and
//! what goes with it. A step in answer to another leaves with the receipts and the acknowledgement that are owed, so that whoever gives
//! these later does not tell by it when their phone was in contact.

use zajil_proto::reached;
use zajil_proto::sealing::contents::{Content, OutOfHands};
use zajil_proto::time::Minute;

use super::api::Failure;
use super::frames::encoded;
use super::lived::Moment;
use super::model::{Cargo, Contact, Stage};
use super::state::Device;
use crate::limits::RENEWAL_MINUTES;
use crate::store::Batch;

impl Device {
    /// Returns how long this device has lived, as its home counts.
    pub(super) fn lived_at_home(&self) -> Moment {
        self.relays.get(&self.profile.home.key).map(|home| home.lived.moment()).unwrap_or_default()
    }

    /// Wants new outer keys where they are a month old, if this device is the one that renews; and tells again what had no effect in
    /// that time, once nothing more is on its way.
    pub(super) fn renew_old_keys(&mut self, now: Minute) -> Result<(), Failure> {
        let lived = self.lived_at_home();
        let is_old = |contact: &Contact| {
            let control = contact.control.as_ref().filter(|_| matches!(contact.stage, Stage::Paired));
            control.is_some_and(|control| lived.minutes_since(control.renewed) >= RENEWAL_MINUTES)
        };
        let old: Vec<u32> = self.contacts.iter().filter(|(_, contact)| is_old(contact)).map(|(key, _)| *key).collect();
        for key in old {
            let on_its_way = self.has_frames_on_their_way(key);
            let Some(control) = self.contacts.get_mut(&key).and_then(|contact| contact.control.as_mut()) else {
                continue;
            };
            if control.outer.is_under_way() {
                if on_its_way {
                    continue;
                }
                if let Some(again) = control.outer.again() {
                    reached!(RenewalToldAgain);
                    control.pending.push(encoded(&again)?);
                }
            } else if control.outer.renews() {
                reached!(OuterKeyOld);
                control.outer.want();
            }
            control.renewed = lived;
            if self.has_to_tell_of_renewal(key) {
                self.owe(key, false, now);
            }
            self.save_contact(key)?;
        }
        Ok(())
    }

    /// Returns whether a frame to a contact is not acknowledged.
    fn has_frames_on_their_way(&self, key: u32) -> bool {
        let is_frame = |cargo: &Cargo| matches!(cargo, Cargo::Frame { .. });
        self.outgoing.values().any(|outgoing| outgoing.contact == key && is_frame(&outgoing.cargo))
    }

    /// Returns whether the renewal of a contact's outer key has something to tell.
    pub(super) fn has_to_tell_of_renewal(&self, key: u32) -> bool {
        let contact = self.contacts.get(&key).filter(|contact| matches!(contact.stage, Stage::Paired));
        contact.and_then(|contact| contact.control.as_ref()).is_some_and(|control| control.outer.has_to_tell())
    }

    /// Takes the next step of renewing a contact's outer key, if there is one: what it tells waits for the next frame.
    pub(super) fn step_renewal(&mut self, key: u32) -> Result<(), Failure> {
        if !self.has_to_tell_of_renewal(key) {
            return Ok(());
        }
        let lived = self.lived_at_home();
        let Some(control) = self.contacts.get_mut(&key).and_then(|contact| contact.control.as_mut()) else {
            return Ok(());
        };
        for content in control.outer.step(&mut self.random) {
            control.pending.push(encoded(&content)?);
        }
        control.renewed = lived;
        Ok(())
    }

    /// Takes what a contact tells of a renewal. With a new outer key come new keys for notes: those before it travelled under the old one.
    pub(super) fn take_renewal(&mut self, key: u32, content: &Content) {
        let lived = self.lived_at_home();
        let Some(contact) = self.contacts.get_mut(&key) else { return };
        let Some(control) = &mut contact.control else { return };
        if control.outer.take(content) {
            reached!(OuterKeyRenewed);
            control.renewed = lived;
            contact.end_session();
        }
    }

    /// Takes it that a contact's phone was out of their hands: whoever had it may have the keys of notes that are not yet spoken.
    pub(super) fn take_out_of_hands(&mut self, key: u32, told: OutOfHands) {
        let Some(contact) = self.contacts.get_mut(&key) else { return };
        reached!(OutOfHandsHeard);
        contact.out_of_hands = contact.out_of_hands.max(Some(told));
        contact.end_session();
    }

    /// Takes it that this phone was out of its owner's hands: wants new outer keys for every contact, ends every session for notes, and
    /// tells each contact the day, once for each day. Returns how many contacts that are. Durable as a whole or not at all.
    ///
    /// It needs no link. Said again it begins again, for the phone may have been taken again; what is under way is not begun twice.
    pub(crate) fn out_of_hands(&mut self, told: OutOfHands, now: Minute) -> Result<usize, Failure> {
        let reachable = |contact: &Contact| {
            contact.control.is_some() && matches!(contact.stage, Stage::Paired | Stage::Replied { .. })
        };
        let keys: Vec<u32> =
            self.contacts.iter().filter(|(_, contact)| reachable(contact)).map(|(key, _)| *key).collect();
        let mut batch = Batch::new();
        for key in &keys {
            let Some(contact) = self.contacts.get_mut(key) else { continue };
            let was_told = contact.told_out_of_hands.replace(told) == Some(told);
            contact.end_session();
            if let Some(control) = &mut contact.control {
                control.outer.want();
            }
            // Their owner says something, and so what is owed goes along.
            self.owe(*key, true, now);
            let contents = if was_told { Vec::new() } else { vec![Content::OutOfHands(told)] };
            self.tell(&mut batch, *key, &contents, now)?;
        }
        self.commit(batch)?;
        Ok(keys.len())
    }
}

impl Contact {
    /// Ends the session for notes to them: the next note begins one.
    pub(super) fn end_session(&mut self) {
        self.session = None;
    }
}

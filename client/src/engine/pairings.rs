//! What the pairing secrets of contacts give, derived once while the device is open: their four keys cost more than all the rest
//! of a plan, and a device that looks for its relay plans every few seconds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use zajil_proto::keys::Secret;
use zajil_proto::sealing::pairing::PairingSecrets;

use super::model::Contact;

/// What was derived for each contact, and of what secret.
#[derive(Default)]
pub(crate) struct Pairings(Mutex<BTreeMap<u32, (Secret, Arc<PairingSecrets>)>>);

impl Pairings {
    /// Returns what the secret of the contact with this key gives.
    pub(crate) fn of(&self, contact: u32, secret: &Secret) -> Arc<PairingSecrets> {
        let mut derived = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match derived.get(&contact) {
            Some((of, secrets)) if of == secret => Arc::clone(secrets),
            _ => {
                let secrets = Arc::new(PairingSecrets::of(secret));
                derived.insert(contact, (secret.clone(), Arc::clone(&secrets)));
                secrets
            }
        }
    }

    /// Forgets what no contact's pairing needs any more.
    pub(crate) fn forget_all_but_those_of(&mut self, contacts: &BTreeMap<u32, Contact>) {
        let derived = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        derived.retain(|key, (secret, _)| {
            contacts.get(key).and_then(Contact::pairing_secret).is_some_and(|needed| needed == secret)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_derived_once_and_another_of_the_same_contact_anew() {
        let pairings = Pairings::default();
        let (one, other) = (Secret([1; 32]), Secret([2; 32]));
        let first = pairings.of(7, &one);
        assert!(Arc::ptr_eq(&first, &pairings.of(7, &one)));
        assert_eq!(first.reply.mailbox(), PairingSecrets::of(&one).reply.mailbox());
        let second = pairings.of(7, &other);
        assert_ne!(first.reply.mailbox(), second.reply.mailbox());
        assert_eq!(pairings.of(8, &one).reply.mailbox(), first.reply.mailbox());
    }

    #[test]
    fn what_no_contact_needs_is_forgotten() {
        let mut pairings = Pairings::default();
        let derived = Arc::downgrade(&pairings.of(7, &Secret([1; 32])));
        assert!(derived.upgrade().is_some());
        pairings.forget_all_but_those_of(&BTreeMap::new());
        assert!(derived.upgrade().is_none());
    }
}

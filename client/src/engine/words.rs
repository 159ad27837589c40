//! Last words: this device's for its contacts, theirs for it (P7).

use zajil_proto::ids::SlotId;
use zajil_proto::keys::VerifyingKey;
use zajil_proto::limits::WORD_TEXT_BYTES_MAX;
use zajil_proto::sealing::Homes;
use zajil_proto::sealing::contents::Content;
use zajil_proto::sealing::word::{Freshness, LastWord, SlotOwner, WordState as Said, compare};
use zajil_proto::time::Minute;
use zajil_proto::wire::{LinkReport, LinkState, Observation, Precision, Word};
use zajil_proto::{reached, sabotaged};

use super::api::{Failure, LinkCondition, LinkView, SeenBucket, SeenPrecision, SeenView, WordState, WordView};
use super::frames::internal;
use super::model::{OwnSlot, Stage, decode_word, encode_word};
use super::state::Device;
use crate::store::Batch;

/// What is to be said.
pub(crate) struct Saying<'a> {
    pub(crate) state: WordState,
    pub(crate) text: &'a str,
    pub(crate) tell_minute: bool,
}

/// What a relay shows of a slot.
pub(crate) struct Shown<'a> {
    pub(crate) word: Option<&'a Word>,
    pub(crate) observation: Option<&'a Observation>,
    pub(crate) links: &'a LinkReport,
}

impl Device {
    /// Finds for whom a word is: those named, or every confirmed contact who may see one.
    ///
    /// # Errors
    /// [`Failure::UnknownContact`], [`Failure::NotConfirmed`] for a name that may not see one.
    pub(crate) fn word_readers(&self, names: &[String]) -> Result<Vec<u32>, Failure> {
        if names.is_empty() {
            let may = |(_, contact): &(&u32, &super::model::Contact)| {
                (contact.confirmed || sabotaged!(WordToUnconfirmed))
                    && matches!(contact.stage, Stage::Paired)
                    && (contact.seen != SeenPrecision::Off || sabotaged!(WordToShutOut))
            };
            return Ok(self.contacts.iter().filter(may).map(|(key, _)| *key).collect());
        }
        names
            .iter()
            .map(|name| {
                let key = self.contact_named(name)?;
                match self.contacts.get(&key) {
                    Some(contact) if contact.confirmed && matches!(contact.stage, Stage::Paired) => Ok(key),
                    _ => Err(Failure::NotConfirmed { name: name.clone() }),
                }
            })
            .collect()
    }

    /// Seals a word for each of `readers` and keeps it; it goes to the home at the next meeting.
    pub(crate) fn write_word(&mut self, readers: &[u32], saying: &Saying<'_>, now: Minute) -> Result<(), Failure> {
        if saying.text.len() > WORD_TEXT_BYTES_MAX {
            let bytes = |count| u32::try_from(count).unwrap_or(u32::MAX);
            let (got, max) = (bytes(saying.text.len()), bytes(WORD_TEXT_BYTES_MAX));
            return Err(Failure::WordTooLong { got, max });
        }
        let said = LastWord {
            state: match saying.state {
                WordState::None => Said::None,
                WordState::Well => Said::Well,
                WordState::Moving => Said::Moving,
                WordState::Arrived => Said::Arrived,
                WordState::Silent => Said::CannotSpeak,
            },
            minute: saying.tell_minute.then_some(now),
            place: None,
            text: saying.text.to_owned(),
        };
        for key in readers {
            let mut batch = Batch::new();
            self.open_slot(&mut batch, *key, now)?;
            let Some(slot) = self.contacts.get_mut(key).and_then(|contact| contact.slot.as_mut()) else { continue };
            let before = slot.newest.as_deref().and_then(decode_word);
            let version = before.as_ref().map_or(1, |word| word.version.saturating_add(1));
            let word = slot.owner.seal(&mut self.random, version, before.as_ref(), &said).map_err(internal)?;
            slot.newest = Some(encode_word(&word));
            slot.stored = false;
            self.put_contact(&mut batch, *key)?;
            self.commit(batch)?;
        }
        Ok(())
    }

    /// Makes the slot for a contact's eyes, and hands them the grant, if there is none yet.
    fn open_slot(&mut self, batch: &mut Batch, key: u32, now: Minute) -> Result<(), Failure> {
        let Some(contact) = self.contacts.get_mut(&key) else { return Ok(()) };
        if contact.slot.is_some() {
            return Ok(());
        }
        if contact.seen == SeenPrecision::Off {
            // Named explicitly: the owner wants them to see it, at the default precision.
            contact.seen = SeenPrecision::SixHours;
        }
        let owner = SlotOwner::draw(&mut self.random);
        let grant = owner.grant(precision(contact.seen), Homes::one(self.profile.home.clone()));
        let slot = OwnSlot { owner, precision: contact.seen, newest: None, stored: false, registered: None };
        contact.slot = Some(slot);
        self.tell(batch, key, &[Content::SlotGrant(Box::new(grant))], now)
    }

    /// Changes what a contact may see. Off takes the slot away: they are told, and the relay drops it.
    pub(crate) fn set_seen(&mut self, key: u32, seen: SeenPrecision, now: Minute) -> Result<(), Failure> {
        let Some(contact) = self.contacts.get_mut(&key) else { return Ok(()) };
        contact.seen = seen;
        let mut batch = Batch::new();
        match &mut contact.slot {
            Some(slot) if seen == SeenPrecision::Off => {
                let gone = slot.owner.slot();
                if !sabotaged!(SlotLeftBehind) {
                    self.profile.dropped_slots.push(slot.owner.clone());
                }
                contact.slot = None;
                self.tell(&mut batch, key, &[Content::SlotRevoked(gone)], now)?;
                self.put_profile(&mut batch)?;
            }
            Some(slot) if slot.precision != seen => {
                slot.precision = seen;
                slot.registered = None;
            }
            Some(_) | None => {}
        }
        self.put_contact(&mut batch, key)?;
        self.commit(batch)?;
        Ok(())
    }

    /// Notes that the relay has a slot's word durably.
    pub(crate) fn word_stored(&mut self, slot: &SlotId, version: u64) -> Result<(), Failure> {
        let found = self.contacts.iter_mut().find_map(|(key, contact)| {
            contact.slot.as_mut().filter(|own| own.owner.slot() == *slot).map(|own| (*key, own))
        });
        let Some((key, own)) = found else { return Ok(()) };
        let newest = own.newest.as_deref().and_then(decode_word).map(|word| word.version);
        if newest == Some(version) {
            own.stored = true;
        }
        self.save_contact(key)
    }

    /// Takes what a relay says of a contact's slot. A relay can hold back or repeat; it cannot make this device forget or believe.
    pub(crate) fn take_seen(
        &mut self,
        relay: &VerifyingKey,
        slot: &SlotId,
        shown: &Shown<'_>,
        now: Minute,
    ) -> Result<(), Failure> {
        let found = self.contacts.iter_mut().find_map(|(key, contact)| {
            contact.granted.as_mut().filter(|granted| granted.grant.slot() == *slot).map(|granted| (*key, granted))
        });
        let Some((key, granted)) = found else { return Ok(()) };
        granted.checked = Some(now);
        granted.links = shown.links.links.iter().map(link_view).collect();
        let held = granted.newest.as_deref().and_then(decode_word);
        let mut news = false;
        granted.relay_is_older = match (&held, shown.word) {
            (Some(_), None) => true,
            (_, Some(word)) if granted.grant.open(word).is_ok() => {
                let freshness = held.as_ref().map_or(Freshness::Newer, |held| compare(held, word));
                let is_older = freshness == Freshness::Older;
                if freshness == Freshness::Newer || (is_older && sabotaged!(OlderWordBelieved)) {
                    granted.newest = Some(encode_word(word));
                    news = !sabotaged!(NewsStandsStill);
                }
                is_older
            }
            (held, _) => held.is_some(),
        };
        if granted.relay_is_older {
            reached!(OlderWordShown);
            granted.relay_is_older = !sabotaged!(OlderRelayNotTold);
        }
        if let Some(observation) = shown.observation {
            let newer = granted.observed.is_none_or(|(version, ..)| observation.version >= version);
            let believable = observation.width != Precision::Off && observation.is_signed_by(relay, slot);
            if newer && believable {
                granted.observed = Some((observation.version, observation.hour.0, observation.width.hours()));
            }
        }
        if news && let Some(contact) = self.contacts.get_mut(&key) {
            contact.news = Some(now);
        }
        self.save_contact(key)
    }

    /// Returns the slot that this device may read of a contact.
    pub(crate) fn readable_slot(&self, key: u32) -> Option<SlotId> {
        self.contacts.get(&key)?.granted.as_ref().map(|granted| granted.grant.slot())
    }

    /// Returns what this device knows about when a contact was last seen. `answered` is the slot about which a relay has just answered:
    /// of one that was taken back meanwhile, or changed, that is no fresh news.
    pub(crate) fn seen(&self, key: u32, answered: Option<SlotId>, now: Minute) -> Result<SeenView, Failure> {
        let Some(contact) = self.contacts.get(&key) else { return Err(Failure::Busy) };
        let granted = contact.granted.as_ref();
        let word = granted.and_then(|granted| granted.grant.open(&decode_word(granted.newest.as_deref()?)?).ok());
        let newest = word.as_ref().map(|word| word.version);
        Ok(SeenView {
            name: contact.name.clone(),
            granted: granted.is_some(),
            word: word.map(|opened| WordView {
                state: match opened.word.state {
                    Said::None => WordState::None,
                    Said::Well => WordState::Well,
                    Said::Moving => WordState::Moving,
                    Said::Arrived => WordState::Arrived,
                    Said::CannotSpeak => WordState::Silent,
                },
                text: opened.word.text,
                written: opened.word.minute,
            }),
            bucket: granted
                .and_then(|granted| granted.observed)
                .filter(|(version, ..)| newest == Some(*version))
                .map(|(_, start_hour, width_hours)| SeenBucket { start_hour, width_hours }),
            news: contact.news,
            checked: granted.and_then(|granted| granted.checked),
            fresh: granted.is_some_and(|granted| answered == Some(granted.grant.slot())),
            relay_is_older: granted.is_some_and(|granted| granted.relay_is_older),
            links: granted.map(|granted| granted.links.clone()).unwrap_or_default(),
            now,
        })
    }
}

/// Returns what the wire calls a precision.
pub(crate) const fn precision(seen: SeenPrecision) -> Precision {
    match seen {
        SeenPrecision::Off => Precision::Off,
        SeenPrecision::SixHours => Precision::SixHours,
        SeenPrecision::Day => Precision::Day,
    }
}

fn link_view(link: &zajil_proto::wire::LinkStatus) -> LinkView {
    LinkView {
        link: link.link,
        state: match link.state {
            LinkState::Unknown => LinkCondition::Unknown,
            LinkState::Up => LinkCondition::Up,
            LinkState::Down => LinkCondition::Down,
            LinkState::ComesAndGoes => LinkCondition::ComesAndGoes,
        },
        since_hour: link.since.0,
        checked: link.checked,
    }
}

//! Notes that disappear: the sound of a note that has done its work is erased by destroying its record's key, after a time
//! that the person has chosen.
//!
//! A note from somebody has done its work when it was heard; one's own, when it arrived on their device, or can no longer:
//! then nothing of it may have to be sent again. The time counts by the age of the device with its home ([`Lived`], rule 8),
//! or by how long this program runs, whichever is more: a clock that jumps hastens nothing. A device that meets no
//! relay while its program does not run ages not at all; then the sound goes that much later. What a log or a free page
//! still holds opens with no key once the store is scrubbed.
//!
//! [`Lived`]: super::lived::Lived

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zajil_proto::time::Instant;

use super::api::{DisappearingView, Failure, NoteMark, Request, Span, SpanChoice};
use super::lived::Moment;
use super::model::{Countdown, Note};
use super::state::{Device, number_key};
use crate::limits::{ERASED_AT_ONCE, FADING_MINUTES};
use crate::store::{Batch, Kind};

/// The one record of what the person has chosen.
pub(crate) const DISAPPEARING_KEY: &[u8] = b"disappearing";

/// What is chosen about notes that disappear.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Choices {
    /// For everybody without a choice of their own.
    pub(crate) default: Span,
    /// By contact.
    pub(crate) own: BTreeMap<u32, Span>,
    /// Whether nothing but what was not heard stays.
    pub(crate) quiet: bool,
}

/// How long this program has run, and how old the device was when it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    base: Moment,
    since: Instant,
}

impl Running {
    /// Begins to count.
    pub(crate) fn new(device: &Device, now: Instant) -> Self {
        Self { base: device.age(), since: now }
    }

    /// Returns how old the device is at least.
    pub(crate) fn age(&self, device: &Device, now: Instant) -> Moment {
        device.age().max(self.base.after(now.since(self.since)))
    }
}

impl Device {
    /// Returns the age of this device as its home counts it.
    pub(crate) fn age(&self) -> Moment {
        self.relays.get(&self.profile.home.key).map(|home| home.lived.moment()).unwrap_or_default()
    }

    /// Returns what is chosen for one contact, or for everybody.
    pub(crate) fn disappearing_view(&self, key: Option<u32>) -> DisappearingView {
        let Choices { default, own, quiet } = &self.disappearing.choices;
        let contact = key.and_then(|key| Some((key, self.contacts.get(&key)?)));
        DisappearingView {
            default: *default,
            quiet: *quiet,
            contact: contact.map(|(_, contact)| contact.name.clone()),
            own: contact.and_then(|(key, _)| own.get(&key).copied()),
        }
    }

    /// Returns how long the sound of this contact's notes stays.
    pub(crate) fn span_of(&self, key: u32) -> Span {
        let Choices { default, own, .. } = &self.disappearing.choices;
        own.get(&key).copied().unwrap_or(*default)
    }

    /// Does what a request of the person chooses. Returns whom it is about.
    pub(crate) fn take_choice(&mut self, request: &Request) -> Result<Option<u32>, Failure> {
        let mut choices = self.disappearing.choices.clone();
        let mut about = None;
        match request {
            Request::Disappear { name: Some(name), choice } => {
                let key = self.contact_named(name)?;
                about = Some(key);
                match choice {
                    Some(SpanChoice::Own(span)) => {
                        choices.own.insert(key, *span);
                    }
                    Some(SpanChoice::AsDefault) => {
                        choices.own.remove(&key);
                    }
                    None => {}
                }
            }
            Request::Disappear { name: None, choice } => {
                choices.default = match choice {
                    Some(SpanChoice::Own(span)) => *span,
                    Some(SpanChoice::AsDefault) => Span::default(),
                    None => choices.default,
                };
            }
            Request::Quiet { on } => choices.quiet = on.unwrap_or(choices.quiet),
            _ => {}
        }
        if choices != self.disappearing.choices {
            self.choose(choices)?;
        }
        Ok(about)
    }

    /// Keeps what the person has chosen. It holds for what was heard before, too.
    fn choose(&mut self, choices: Choices) -> Result<(), Failure> {
        self.disappearing.choices = choices;
        self.fading_due = true;
        let mut batch = Batch::new();
        batch.put_record(DISAPPEARING_KEY, &self.disappearing)?;
        self.commit(batch)?;
        Ok(())
    }

    /// Returns whether the sound of a note was here and is not any more.
    pub(crate) fn is_erased(&self, number: u32, note: &Note) -> Result<bool, Failure> {
        let was_whole = note.outgoing || note.mark == NoteMark::Heard;
        Ok(was_whole && self.store.len(Kind::Recording, &number_key(number))?.is_none())
    }

    /// Erases what is over at this age, and begins to count for what has done its work since. Returns whether anything was
    /// erased: it is wholly gone when the store was scrubbed.
    pub(crate) fn fade(&mut self, age: Moment) -> Result<bool, Failure> {
        self.fading_due = false;
        let done: Vec<u32> =
            self.notes.iter().filter(|(_, note)| self.has_done_its_work(note)).map(|(number, _)| *number).collect();
        let mut erased = false;
        for numbers in done.chunks(ERASED_AT_ONCE) {
            let mut batch = Batch::new();
            for number in numbers {
                erased |= self.fade_one(&mut batch, *number, age)?;
            }
            if !batch.is_empty() {
                self.commit(batch)?;
            }
        }
        Ok(erased)
    }

    fn fade_one(&mut self, batch: &mut Batch, number: u32, age: Moment) -> Result<bool, Failure> {
        let Some(note) = self.notes.get(&number) else { return Ok(false) };
        let key = number_key(number);
        let has_sound = self.store.len(Kind::Recording, &key)?.is_some();
        let quiet = self.disappearing.choices.quiet;
        // A receipt that is still to come would find no note, and that one was heard is all that it can say.
        if quiet && note.mark != NoteMark::Delivered {
            batch.delete(Kind::Recording, &key).delete(Kind::Countdown, &key).delete(Kind::Note, &key);
            self.countdowns.remove(&number);
            self.notes.remove(&number);
            return Ok(true);
        }
        if !has_sound {
            return Ok(false);
        }
        let (span, since) = (self.span_of(note.contact).minutes(), self.countdowns.get(&number).copied());
        let over = |since: Moment| span.is_some_and(|span| age.minutes_since(since) >= span);
        if quiet || since.is_some_and(over) {
            batch.delete(Kind::Recording, &key).delete(Kind::Countdown, &key);
            self.countdowns.remove(&number);
            return Ok(true);
        }
        // Counted also while it is to stay for ever: who shortens that means what was heard long ago.
        if since.is_none() {
            self.countdowns.insert(number, age);
            batch.put_record(&key, &Countdown { since: age })?;
        }
        Ok(false)
    }

    /// Returns whether nothing of a note is to be played for the first time here, or may have to be sent again from here.
    fn has_done_its_work(&self, note: &Note) -> bool {
        if !note.outgoing {
            return note.mark == NoteMark::Heard;
        }
        let is_over = matches!(note.mark, NoteMark::Delivered | NoteMark::Heard | NoteMark::Expired);
        is_over && !self.outgoing.contains_key(&note.parcel)
    }
}

/// Whether it is to be looked for what is over, `last` time being that age.
pub(crate) fn is_due(last: Option<Moment>, age: Moment) -> bool {
    last.is_none_or(|last| age.minutes_since(last) >= FADING_MINUTES)
}

#[cfg(test)]
#[path = "fading_tests.rs"]
mod tests;

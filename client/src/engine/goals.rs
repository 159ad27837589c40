//! What a request waits for, and when it has waited enough.

use tokio::sync::{mpsc, oneshot};
use zajil_proto::ids::SlotId;
use zajil_proto::sealing::HomeRelay;
use zajil_proto::sealing::contents::OutOfHands;
use zajil_proto::time::{Instant, Lifetime};
use zajil_proto::{reached, sabotaged};

use super::api::{
    Failure, NoteMark, NoteView, Progress, Receipts, Reply, Request, SyncView, Trouble, Wait, WaitReason,
};
use super::host::Host;
use super::model::{Cargo, Stage};
use super::state::Device;
use super::views::count;
use super::words::Saying;
use crate::limits::PAIRING_MILLIS;

/// What a request waits for.
pub(crate) enum Goal {
    /// Nothing: here is the answer.
    Done(Box<Reply>),
    /// The invitation lies at the home.
    Invite(u32),
    /// The reply lies at the inviter's relay.
    Accept(u32),
    /// The note has come this far.
    Note(u32, NoteMark),
    /// The words for these contacts lie at the home.
    Words(Vec<u32>),
    /// The contact's relay has answered about this slot.
    Seen(u32, SlotId),
    /// Everything is sent and fetched.
    Sync,
}

/// A request under way.
pub(crate) struct Waiting {
    pub(crate) goal: Goal,
    pub(crate) until: Instant,
    progress: mpsc::Sender<Progress>,
    reply: Option<oneshot::Sender<Result<Reply, Failure>>>,
    received: u32,
    stored: u32,
    last: Option<Progress>,
}

impl Waiting {
    pub(crate) fn new(
        goal: Goal,
        until: Instant,
        progress: mpsc::Sender<Progress>,
        reply: oneshot::Sender<Result<Reply, Failure>>,
    ) -> Self {
        Self { goal, until, progress, reply: Some(reply), received: 0, stored: 0, last: None }
    }

    /// Tells how it goes, if there is room to.
    pub(crate) fn tell(&self, step: Progress) {
        let _ = self.progress.try_send(step);
    }

    /// Answers the request.
    pub(crate) fn answer(mut self, result: Result<Reply, Failure>) {
        if let Some(reply) = self.reply.take() {
            let _ = reply.send(result);
        }
    }

    fn tell_once(&mut self, step: Progress) {
        if self.last != Some(step) {
            self.last = Some(step);
            self.tell(step);
        }
    }
}

impl Goal {
    /// Returns how long a request may wait, milliseconds.
    pub(crate) const fn timeout_millis(&self, request: &Request) -> u64 {
        match request {
            Request::Send { timeout_millis, .. }
            | Request::WriteWord { timeout_millis, .. }
            | Request::Seen { timeout_millis, .. }
            | Request::Sync { timeout_millis } => *timeout_millis,
            _ => PAIRING_MILLIS,
        }
    }
}

impl Host {
    /// Does at once what a request asks of this device, and says what it waits for.
    pub(crate) fn start(&mut self, request: &Request) -> Result<Goal, Failure> {
        let wall = self.clock.wall();
        let device = &mut self.device;
        let done = |reply| Ok(Goal::Done(Box::new(reply)));
        match request {
            Request::Invite { .. }
            | Request::Accept { .. }
            | Request::TakeReturn { .. }
            | Request::Contacts
            | Request::Verify { .. } => self.start_pairing(request),
            Request::SetContact { .. }
            | Request::OutOfHands { .. }
            | Request::Disappear { .. }
            | Request::Quiet { .. } => self.start_deciding(request),
            Request::Send { to, voice, lifetime_days, wait, .. } => {
                let key = device.contact_named(to)?;
                let hours = lifetime_days.map_or(Lifetime::DEFAULT.hours(), |days| days.saturating_mul(24));
                let lifetime = Lifetime::from_hours(hours).unwrap_or(Lifetime::LONGEST);
                let number = device.send_voice(key, voice, lifetime, wall)?;
                match wait {
                    Wait::Device => done(Reply::Sent(device.note_view(number)?)),
                    Wait::Stored => Ok(Goal::Note(number, NoteMark::AtRelay)),
                    Wait::Delivered => Ok(Goal::Note(number, NoteMark::Delivered)),
                    Wait::Heard => Ok(Goal::Note(number, NoteMark::Heard)),
                }
            }
            Request::Inbox { all } => done(Reply::Notes(device.note_views(*all)?)),
            Request::Note { number } => done(Reply::Note(device.note_view(*number)?)),
            Request::Voice { number } => {
                let voice = device.voice(*number)?;
                done(Reply::Voice { note: device.note_view(*number)?, voice })
            }
            Request::Heard { number } => {
                device.heard(*number, wall)?;
                done(Reply::Note(device.note_view(*number)?))
            }
            Request::WriteWord { state, text, tell_minute, to, .. } => {
                let readers = device.word_readers(to)?;
                let saying = Saying { state: *state, text, tell_minute: *tell_minute };
                device.write_word(&readers, &saying, wall)?;
                Ok(Goal::Words(readers))
            }
            Request::Seen { name, timeout_millis } => {
                let key = device.contact_named(name)?;
                match device.readable_slot(key) {
                    Some(slot) if *timeout_millis > 0 => {
                        self.ask_about(key, slot);
                        Ok(Goal::Seen(key, slot))
                    }
                    _ => done(Reply::Seen(device.seen(key, None, wall)?)),
                }
            }
            Request::Status => done(Reply::Status(self.status()?)),
            Request::SetLink { link } => {
                self.set_link(*link);
                done(Reply::LinkSet)
            }
            Request::Sync { .. } => {
                self.ask_seen =
                    device.contacts.iter().filter(|(_, c)| c.granted.is_some()).map(|(key, _)| *key).collect();
                Ok(Goal::Sync)
            }
            // Handled before anything is started.
            Request::Stop | Request::Abandon => done(Reply::Stopping),
            // Of the daemon around this engine, which hands neither over.
            Request::Lock => Err(Failure::NothingToLock),
            Request::Unlock { .. } => done(Reply::Unlocked),
        }
    }

    /// The part of [`Host::start`] that takes what its owner has decided.
    fn start_deciding(&mut self, request: &Request) -> Result<Goal, Failure> {
        let wall = self.clock.wall();
        let device = &mut self.device;
        let done = |reply| Ok(Goal::Done(Box::new(reply)));
        match request {
            Request::SetContact { name, receipts, seen } => {
                let key = device.contact_named(name)?;
                if let Some(seen) = seen {
                    device.set_seen(key, *seen, wall)?;
                }
                if let Some(receipts) = receipts {
                    device.set_receipts(key, *receipts)?;
                }
                done(Reply::Contact(device.contact_view(key)?))
            }
            Request::OutOfHands { day } => {
                let contacts = count(device.out_of_hands(OutOfHands { day: *day }, wall)?);
                done(Reply::OutOfHands { contacts })
            }
            _ => {
                let key = device.take_choice(request)?;
                done(Reply::Disappearing(device.disappearing_view(key)))
            }
        }
    }

    /// The part of [`Host::start`] that is about who is who.
    fn start_pairing(&mut self, request: &Request) -> Result<Goal, Failure> {
        let wall = self.clock.wall();
        let device = &mut self.device;
        let done = |reply| Ok(Goal::Done(Box::new(reply)));
        match request {
            Request::Invite { name } => Ok(Goal::Invite(device.invite(name, wall)?)),
            Request::Accept { name, link, in_person } => {
                let key = device.take_link(name, link, *in_person, wall)?;
                // Tried before in a meeting that still goes on: it is met anew.
                self.links.retain(|_, link| !link.meeting.has_fetched_for_another(&self.device, key));
                Ok(Goal::Accept(key))
            }
            Request::TakeReturn { name, code } => {
                let key = device.contact_named(name)?;
                device.take_return(key, code)?;
                done(Reply::Contact(device.contact_view(key)?))
            }
            Request::Verify { name, digits } => {
                let key = device.contact_named(name)?;
                let digits = match digits {
                    Some(typed) => device.compare_digits(key, typed)?,
                    None => device.contacts.get(&key).and_then(|c| c.digits.clone()).ok_or(Failure::NoDigitsYet)?,
                };
                let confirmed = device.contacts.get(&key).is_some_and(|contact| contact.confirmed);
                done(Reply::Digits { digits, confirmed })
            }
            _ => done(Reply::Contacts(device.contact_views()?)),
        }
    }

    /// Asks about a slot anew, even in a meeting that has asked before.
    fn ask_about(&mut self, key: u32, slot: SlotId) {
        self.ask_seen.insert(key);
        for link in self.links.values_mut() {
            link.meeting.ask_again(&slot);
        }
    }

    /// Answers every request whose goal is reached, has failed, or has waited long enough.
    pub(crate) fn settle(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|waiting| {
            self.report(waiting);
            let over = waiting.until <= self.clock.now() || self.nothing_more_will_come(waiting);
            let result = self.reached(waiting).or_else(|| over.then(|| self.given_up(waiting)));
            if let Some(Err(failure)) = &result {
                // What could not be forgotten on the disk is not half forgotten here: the next commit would make that durable.
                self.recover_or_end(failure);
            }
            match result {
                Some(result) => {
                    if let Some(reply) = waiting.reply.take() {
                        let _ = reply.send(result);
                    }
                    false
                }
                None => true,
            }
        });
        self.waiting = waiting;
        for link in self.links.values_mut() {
            link.meeting.received = 0;
            link.meeting.stored = 0;
        }
        if self.waiting.iter().all(|waiting| !matches!(waiting.goal, Goal::Seen(..) | Goal::Sync)) {
            self.ask_seen.clear();
        }
    }

    /// Tells how far a request has come.
    fn report(&self, waiting: &mut Waiting) {
        for link in self.links.values() {
            waiting.received = waiting.received.saturating_add(link.meeting.received);
            waiting.stored = waiting.stored.saturating_add(link.meeting.stored);
        }
        if self.links.values().any(|link| link.meeting.is_welcomed()) && waiting.last.is_none() {
            waiting.tell_once(Progress::Connected);
        }
        if let Goal::Note(number, _) = waiting.goal
            && let Ok(view) = self.device.note_view(number)
        {
            let (done, all) = view.progress;
            if view.mark == NoteMark::OnDevice && done > 0 {
                waiting.tell_once(Progress::Uploading { done: done.into(), all: all.into() });
            } else if view.mark > NoteMark::OnDevice {
                waiting.tell_once(Progress::Reached(view.mark));
            }
        }
        if matches!(waiting.goal, Goal::Sync) {
            let done = self.links.values().map(|link| link.meeting.bytes_in).sum();
            if done > 0 {
                waiting.tell_once(Progress::Downloading { done });
            }
        }
    }

    fn reached(&self, waiting: &Waiting) -> Option<Result<Reply, Failure>> {
        let device = &self.device;
        let failed = |key: &u32| self.links.values().find_map(|link| link.meeting.failed.get(key).cloned());
        match &waiting.goal {
            Goal::Done(reply) => Some(Ok((**reply).clone())),
            Goal::Invite(key) => device.invitation_is_stored(*key).then(|| device.invited(*key)),
            Goal::Accept(key) => {
                if let Some(failure) = failed(key) {
                    return Some(Err(failure));
                }
                let contact = device.contacts.get(key)?;
                let done = matches!(contact.stage, Stage::Replied { stored: true, .. } | Stage::Paired);
                done.then(|| device.accepted(*key))
            }
            Goal::Note(number, mark) => {
                let view = self.note_view(*number).ok()?;
                let refused =
                    view.waits.is_some_and(|reason| !matches!(reason, WaitReason::NoLink | WaitReason::WrongKey));
                (view.mark >= *mark || refused).then_some(Ok(Reply::Sent(view)))
            }
            Goal::Words(readers) => {
                let stored = device.words_stored(readers);
                (stored == readers.len()).then(|| Ok(words_written(readers, stored)))
            }
            Goal::Seen(key, slot) => {
                let answered = self.links.values().any(|link| link.meeting.seen.contains(slot));
                answered.then(|| device.seen(*key, Some(*slot), self.clock.wall()).map(Reply::Seen))
            }
            Goal::Sync => {
                let idle = !self.links.is_empty() && self.links.values().all(|link| link.meeting.is_idle(device));
                idle.then(|| Ok(self.synced(waiting)))
            }
        }
    }

    /// A note as a program sees it, and why it waits as far as only the links know.
    fn note_view(&self, number: u32) -> Result<NoteView, Failure> {
        let mut view = self.device.note_view(number)?;
        let relay = self.device.notes.get(&number).and_then(|note| self.device.outgoing.get(&note.parcel));
        let trouble = relay.and_then(|outgoing| self.troubles.get(&outgoing.home.key));
        if view.waits == Some(WaitReason::NoLink) && trouble == Some(&Trouble::WrongKey) {
            view.waits = Some(WaitReason::WrongKey);
        }
        Ok(view)
    }

    /// What is said when the time is up, or nothing more will come.
    fn given_up(&mut self, waiting: &Waiting) -> Result<Reply, Failure> {
        let trouble = self.troubles.values().next().copied().unwrap_or(Trouble::NoAnswer);
        let no_relay = Failure::NoRelay(trouble);
        match &waiting.goal {
            Goal::Done(reply) => Ok((**reply).clone()),
            Goal::Invite(key) => {
                // A link that leads nowhere must not be given away.
                self.device.forget(*key)?;
                Err(no_relay)
            }
            Goal::Accept(key) => match self.device.contacts.get(key).map(|contact| &contact.stage) {
                Some(Stage::Replied { .. } | Stage::Paired) => self.device.accepted(*key),
                _ => {
                    self.device.forget(*key)?;
                    Err(no_relay)
                }
            },
            Goal::Note(number, _) => self.note_view(*number).map(Reply::Sent),
            Goal::Words(readers) => Ok(words_written(readers, self.device.words_stored(readers))),
            Goal::Seen(key, slot) => {
                reached!(SeenFromMemory);
                let answered = sabotaged!(FreshnessLies).then_some(*slot);
                self.device.seen(*key, answered, self.clock.wall()).map(Reply::Seen)
            }
            Goal::Sync => Ok(self.synced(waiting)),
        }
    }

    /// Returns whether waiting longer is in vain: every relay that counts refuses for good.
    fn nothing_more_will_come(&self, waiting: &Waiting) -> bool {
        let for_good = |trouble: &Trouble| matches!(trouble, Trouble::WrongKey | Trouble::NotAdmitted);
        let targets = self.targets();
        let refused = targets.iter().filter(|relay| self.troubles.get(&relay.key).is_some_and(for_good)).count();
        let unreachable =
            |relay: &HomeRelay| !self.links.contains_key(&relay.key) && self.troubles.contains_key(&relay.key);
        match waiting.goal {
            Goal::Sync => targets.iter().all(|relay| {
                unreachable(relay) || self.links.get(&relay.key).is_some_and(|link| link.meeting.is_idle(&self.device))
            }),
            _ => refused == targets.len(),
        }
    }

    fn synced(&self, waiting: &Waiting) -> Reply {
        let reached = self.links.values().filter(|link| link.meeting.is_welcomed()).count();
        let missed = self.targets().len().saturating_sub(reached);
        let left = self.device.outgoing.values().filter(|outgoing| self.device.waits(outgoing)).count();
        Reply::Synced(SyncView {
            reached: count(reached),
            missed: count(missed),
            received: waiting.received,
            stored: waiting.stored,
            waiting: count(left),
            finished: missed == 0 && self.links.values().all(|link| link.meeting.is_idle(&self.device)),
            trouble: if missed > 0 { self.troubles.values().next().copied() } else { None },
        })
    }
}

fn words_written(readers: &[u32], stored: usize) -> Reply {
    Reply::WordWritten { contacts: count(readers.len()), stored: count(stored) }
}

impl Device {
    pub(crate) fn set_receipts(&mut self, key: u32, receipts: Receipts) -> Result<(), Failure> {
        if let Some(contact) = self.contacts.get_mut(&key) {
            contact.receipts = receipts;
            if receipts == Receipts::Off {
                contact.owed.clear();
            }
        }
        self.save_contact(key)
    }

    fn invitation_is_stored(&self, key: u32) -> bool {
        self.outgoing
            .values()
            .any(|outgoing| outgoing.contact == key && outgoing.cargo == Cargo::Invitation && outgoing.stored.is_some())
    }

    fn invited(&self, key: u32) -> Result<Reply, Failure> {
        match self.contacts.get(&key).map(|contact| &contact.stage) {
            Some(Stage::Invited { inviter, .. }) => {
                Ok(Reply::Invited { link: inviter.link.to_text().to_string(), expires: inviter.link.expiry })
            }
            _ => Err(Failure::LinkUsed),
        }
    }

    fn accepted(&self, key: u32) -> Result<Reply, Failure> {
        let contact = self.contacts.get(&key).ok_or(Failure::LinkExpired)?;
        let (inviter, replier) = contact.bundles.ok_or(Failure::LinkExpired)?;
        let code = zajil_proto::sealing::ReturnCode { inviter, replier };
        Ok(Reply::Accepted { return_code: code.to_text(), contact: self.contact_view(key)? })
    }

    fn words_stored(&self, readers: &[u32]) -> usize {
        let stored = |key: &&u32| {
            self.contacts.get(*key).and_then(|contact| contact.slot.as_ref()).is_some_and(|slot| slot.stored)
        };
        readers.iter().filter(stored).count()
    }

    /// Returns the relays, besides the home, where something is to be put, fetched or asked.
    pub(crate) fn wanted_relays(&self, ask_seen: &std::collections::BTreeSet<u32>) -> impl Iterator<Item = &HomeRelay> {
        let put = self.outgoing.values().filter(|outgoing| self.waits(outgoing)).map(|outgoing| &outgoing.home);
        let others = self.contacts.iter().flat_map(|(key, contact)| {
            let fetched = match &contact.stage {
                Stage::Fetching { link, .. } => Some(&link.home),
                _ => None,
            };
            let granted = contact.granted.as_ref().filter(|_| ask_seen.contains(key));
            fetched.into_iter().chain(granted.and_then(|granted| granted.grant.homes.as_slice().first()))
        });
        put.chain(others)
    }
}

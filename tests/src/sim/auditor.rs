//! Somebody who holds the relay to its word: keeps things of their own there, by hand, remembers what was said about each, and comes
//! back for as long as the world lasts to see whether it is so.
//!
//! A family notices a relay that forgets only where its own devices cannot make up for it. The auditor makes up for nothing. What they
//! remember is what a device is told, and no more; what was asked and not answered may or may not have been done. A store that
//! an operator lost or put back, as the world itself tells, ends every promise that was made under it.

mod books;
mod growing;
mod passing;
mod precision;
mod stranger;
mod talk;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use zajil_net::{Clock, Network};
use zajil_proto::ids::{Epoch, MailboxId, SlotId};
use zajil_proto::random;
use zajil_proto::relay_link::RelayLink;
use zajil_proto::session::client::{Registering, Room};
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{Code, Scope, Word};

use super::plan::Millis;
use crate::chance::Chance;
use books::{Books, CRAMPED, NARROW, SINGLE, State};
use growing::CRAMPED_BYTES;
use passing::Passing;
use talk::Talk;

/// Longest time of one visit.
const VISIT_MAX: Duration = Duration::from_secs(20 * 60);
/// Things of the auditor that wait at once, at most.
const ENTRUSTED_MAX: usize = 8;
/// Visits after which somebody else tries the same doors, percent.
const STRANGER_PERCENT: u64 = 40;
/// Visits at which the owner of the slot chooses how exactly is told when they were there, percent.
const PRECISION_PERCENT: u64 = 40;
/// Visits at which a parcel is begun that its mailbox has no room for, percent.
const OVERGROWN_PERCENT: u64 = 20;
/// Between an answer and a look whether something has come that should not.
const MOMENT: Duration = Duration::from_secs(2);
/// Bytes that the narrow mailbox may hold.
const NARROW_BYTES: u32 = 6_000;

/// A promise of the relay that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which of the ten.
    pub invariant: u8,
    /// What was seen.
    pub text: String,
}

/// What the world knows of the relay at a moment, whatever the relay itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The moment.
    pub now: Millis,
    /// How often its store was lost, or an older one put in its place.
    pub replaced: u64,
    /// How long it has run in all.
    pub ran: Millis,
    /// How often it was started.
    pub starts: u64,
}

/// Where the auditor is, and with what.
pub struct AuditScene {
    /// The network as their own machine sees it.
    pub network: Arc<dyn Network>,
    /// The relay.
    pub relay: RelayLink,
    /// The clocks of their machine.
    pub clock: Arc<dyn Clock>,
    /// Their chance.
    pub chance: Chance,
    /// Tells what is so now.
    pub standing: Rc<dyn Fn() -> Standing>,
}

impl fmt::Debug for AuditScene {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AuditScene").field("relay", &self.relay).finish_non_exhaustive()
    }
}

/// The auditor, between two visits.
#[derive(Debug, Default)]
pub struct Auditor {
    books: Option<Books>,
    /// The store that was met last: how often it had been replaced, and its epoch.
    met: Option<(u64, Epoch)>,
    /// All mailboxes that were ever made: a copy of a store that is put back has old ones.
    owned: BTreeSet<MailboxId>,
    /// The same of slots.
    slots: BTreeSet<SlotId>,
    /// Answers that were held against what was promised: with none, nothing was looked at.
    pub looked: u64,
}

impl Auditor {
    /// Returns whether a mailbox is the auditor's.
    pub fn owns(&self, mailbox: &MailboxId) -> bool {
        self.owned.contains(mailbox)
    }

    /// Returns whether a slot is the auditor's.
    pub fn owns_slot(&self, slot: &SlotId) -> bool {
        self.slots.contains(slot)
    }

    /// Looks after everything, and does some `things` more. Returns what was not as promised.
    ///
    /// Takes up to twenty minutes. Of a relay that cannot be reached, nothing is said.
    pub async fn visit(&mut self, scene: &mut AuditScene, things: u16) -> Vec<Breach> {
        let before = (scene.standing)().replaced;
        let mut visit = Visit { breaches: Vec::new(), looked: 0 };
        let _cut_short = timeout(VISIT_MAX, visit.make(self, scene, things)).await;
        self.looked += visit.looked;
        if (scene.standing)().replaced != before {
            // Nobody can tell which store gave which answer.
            (self.books, self.met) = (None, None);
            return Vec::new();
        }
        visit.breaches
    }
}

/// What one visit has found.
struct Visit {
    breaches: Vec<Breach>,
    looked: u64,
}

impl Visit {
    fn breach(&mut self, invariant: u8, text: impl Into<String>) {
        self.breaches.push(Breach { invariant, text: text.into() });
    }

    /// `None`: the relay could not be reached any more.
    async fn make(&mut self, auditor: &mut Auditor, scene: &mut AuditScene, things: u16) -> Option<()> {
        let mut reader = Talk::open(scene).await?;
        let mut writer = Talk::open(scene).await?;
        self.meet(auditor, scene, reader.epoch);
        let books = auditor.books.get_or_insert_with(|| Books::draw(&mut scene.chance));
        if !books.registered {
            auditor.owned.extend(books.mailboxes());
            auditor.slots.insert(books.slot.slot());
            register(books, &mut writer, scene).await?;
        }
        for pair in &books.boxes {
            reader.prove(Scope::Mailbox, pair).await;
        }
        reader.prove(Scope::Slot, &books.slot).await;
        let mailboxes = books.mailboxes();
        reader.watch(&mailboxes).await?;
        self.looked += 1;
        self.breaches.extend(books.compare(&reader.found, (scene.standing)()));
        self.look_at_word(books, &mut reader).await?;
        for _ in 0..things {
            self.thing(books, &mut reader, &mut writer, scene).await?;
        }
        self.grow(books, &reader, &mut writer, scene).await?;
        self.announce(books, &mut writer, scene).await?;
        let passing = books.passing.take();
        books.passing = self.pass(passing, &mut writer, scene).await?;
        auditor.owned.extend(books.passing.as_ref().map(Passing::mailbox));
        if scene.chance.happens(PRECISION_PERCENT) {
            self.choose_precision(books, &mut reader, &mut writer, scene).await?;
        }
        if scene.chance.happens(OVERGROWN_PERCENT) {
            self.overgrow(books, &mut writer, scene).await?;
        }
        if scene.chance.happens(STRANGER_PERCENT) {
            self.try_the_door(books, scene).await?;
        }
        Some(())
    }

    /// A store is the same as long as nobody has put another in its place, and then it is another.
    fn meet(&mut self, auditor: &mut Auditor, scene: &AuditScene, epoch: Epoch) {
        let replaced = (scene.standing)().replaced;
        match auditor.met {
            Some((before, old)) if before == replaced && old != epoch => {
                self.breach(4, "the relay has a new epoch, though its store is the same: everything is offered again");
            }
            Some((before, old)) if before != replaced && old == epoch => {
                self.breach(1, "another store has the same epoch: nobody offers again what it lost");
            }
            _ => {}
        }
        if auditor.met.is_some_and(|(before, _)| before != replaced) {
            auditor.books = None;
        }
        auditor.met = Some((replaced, epoch));
    }

    async fn look_at_word(&mut self, books: &mut Books, reader: &mut Talk) -> Option<()> {
        let told = reader.told(&books.slot).await?;
        self.looked += 1;
        self.breaches.extend(books.compare_word(told));
        Some(())
    }

    async fn thing(
        &mut self,
        books: &mut Books,
        reader: &mut Talk,
        writer: &mut Talk,
        scene: &mut AuditScene,
    ) -> Option<()> {
        match scene.chance.below(100) {
            0..30 => {
                let place = scene.chance.place(2);
                self.entrust(books, place, reader, writer, scene).await
            }
            30..48 => self.offer_again(books, reader, writer, scene).await,
            48..66 => {
                let place = let_go(books, reader, writer, scene).await?;
                // Whoever puts the next sees whether there is room.
                if place == Some(SINGLE) { self.entrust(books, SINGLE, reader, writer, scene).await } else { Some(()) }
            }
            66..74 => self.write_word(books, reader, writer, scene).await,
            74..79 => self.pass_on_older_word(books, reader, writer).await,
            79..84 => self.pass_on_newer_word(books, reader, writer, scene).await,
            84..92 => self.entrust(books, SINGLE, reader, writer, scene).await,
            _ => self.entrust(books, NARROW, reader, writer, scene).await,
        }
    }

    /// Puts a new parcel, which whoever watches its mailbox is to get at once, and which is refused where there is no room.
    async fn entrust(
        &mut self,
        books: &mut Books,
        place: usize,
        reader: &mut Talk,
        writer: &mut Talk,
        scene: &mut AuditScene,
    ) -> Option<()> {
        if books.waiting().count() >= ENTRUSTED_MAX {
            return Some(());
        }
        let chunks =
            if place == NARROW { *scene.chance.pick(&[1, 2, 4]) } else { *scene.chance.pick(&[1, 1, 2, 4, 9]) };
        let hours = if place < SINGLE { *scene.chance.pick(&[12, 30, 24 * 30, 24 * 30, 24 * 30]) } else { 24 * 30 };
        let lifetime = Lifetime::from_hours(hours).expect("it is between an hour and 90 days");
        let parcel = books.boxes[place].parcel(&mut scene.chance, chunks, lifetime);
        let (id, length) = (parcel.id(), parcel.parcel.body.len());
        let (holds, has_room) = (books.stored_in(place), books.has_room(place, (scene.standing)()));
        let was_left = place == SINGLE && books.was_just_left(place, (scene.standing)());
        let nth = books.add(place, parcel.clone(), lifetime, (scene.standing)());
        let code = writer.offer(&parcel).await?;
        self.looked += 1;
        books.offered(nth, code == Code::OK, (scene.standing)());
        match code {
            Code::OK => {}
            Code::NOT_HERE | Code::OVER => self.breach(1, "a mailbox is gone in which parcels may wait"),
            Code::MAILBOX_FULL if has_room => self.breach(9, "a mailbox is called full in which nothing is"),
            _ => {}
        }
        if code != Code::OK {
            return Some(());
        }
        if was_left && !Books::may_have_stepped((scene.standing)()) {
            self.breach(
                0,
                "the room of a parcel that was let go is free at once: its writer learns when it was fetched",
            );
        }
        if place == SINGLE && holds.count > 0 {
            self.breach(6, "a mailbox for one parcel, as an invitation has it, took another");
        }
        if place == NARROW && holds.bytes + length > usize::try_from(NARROW_BYTES).expect("small") {
            self.breach(6, format!("a mailbox for {NARROW_BYTES} B took {length} B more than {} B", holds.bytes));
        }
        match reader.wait_for(id, &books.slot).await? {
            false => self.breach(9, "a parcel was stored, and whoever watches its mailbox is not told"),
            true if reader.found[&id].body != parcel.parcel.body => {
                self.breach(2, "a parcel came otherwise than it was put");
            }
            true => {}
        }
        Some(())
    }

    /// Offers what the relay has, or has had, once more: as a writer does who heard no answer. It is *stored* and goes nowhere.
    async fn offer_again(
        &mut self,
        books: &mut Books,
        reader: &mut Talk,
        writer: &mut Talk,
        scene: &mut AuditScene,
    ) -> Option<()> {
        if books.entrusted.is_empty() {
            return Some(());
        }
        let nth = scene.chance.place(books.entrusted.len());
        let (parcel, state) = (books.entrusted[nth].parcel.clone(), books.entrusted[nth].state);
        let times = |reader: &Talk| reader.found.get(&parcel.id()).map_or(0, |found| found.times);
        let before = times(reader);
        books.offered(nth, false, (scene.standing)());
        let code = writer.offer(&parcel).await?;
        self.looked += 1;
        books.offered(nth, code == Code::OK, (scene.standing)());
        match (state, code) {
            (State::Stored | State::Gone, Code::OK) | (State::Unsure | State::Leaving, _) => {}
            (State::Gone, Code::OVER) => self.breach(9, "a writer is told that their parcel was taken away"),
            // A session that has enough on offer.
            (_, Code::BUSY | Code::TOO_MANY) => {}
            (State::Gone, _) => self.breach(4, format!("a parcel that was released is asked for again ({code:?})")),
            (State::Stored, _) => self.breach(1, format!("a parcel that was stored is refused ({code:?})")),
        }
        sleep(MOMENT).await;
        let _told = reader.told(&books.slot).await?;
        if matches!(state, State::Stored | State::Gone) && times(reader) > before {
            self.breach(4, "a parcel that was stored before has come once more");
        }
        Some(())
    }

    async fn write_word(
        &mut self,
        books: &mut Books,
        reader: &mut Talk,
        writer: &mut Talk,
        scene: &mut AuditScene,
    ) -> Option<()> {
        books.version += 1;
        let pair = books.slot.clone();
        let word = Word::sign(&pair.write, pair.read_tag(), books.version, random::bytes(&mut scene.chance));
        books.words.push(word.clone());
        match writer.put_word(&word, Some(&pair)).await? {
            Code::OK => books.surely = word.version,
            Code::NOT_HERE => self.breach(8, "a slot is gone that was there"),
            _ => {}
        }
        self.look_at_word(books, reader).await
    }

    /// Lets somebody pass on a newer word: it is shown, and what was observed stays what it was, since its owner did not come.
    async fn pass_on_newer_word(
        &mut self,
        books: &mut Books,
        reader: &mut Talk,
        writer: &mut Talk,
        scene: &mut AuditScene,
    ) -> Option<()> {
        let before = reader.told(&books.slot).await?;
        self.breaches.extend(books.compare_word(before.clone()));
        books.version += 1;
        let pair = books.slot.clone();
        let word = Word::sign(&pair.write, pair.read_tag(), books.version, random::bytes(&mut scene.chance));
        books.words.push(word.clone());
        if writer.put_word(&word, None).await? == Code::OK {
            books.surely = word.version;
        }
        let after = reader.told(&books.slot).await?;
        self.looked += 1;
        if after.observation != before.observation {
            self.breach(8, "what was observed has changed, and somebody else passed the word on");
        }
        self.breaches.extend(books.compare_word(after));
        Some(())
    }

    /// Passes on the word before the newest, as anybody may who has it.
    async fn pass_on_older_word(&mut self, books: &mut Books, reader: &mut Talk, writer: &mut Talk) -> Option<()> {
        let older = books.words.iter().rev().find(|word| word.version < books.surely).cloned();
        if let Some(older) = older {
            let _answer = writer.put_word(&older, None).await?;
        }
        self.look_at_word(books, reader).await
    }
}

/// Makes the mailboxes and the slot.
async fn register(books: &mut Books, writer: &mut Talk, scene: &AuditScene) -> Option<()> {
    for (place, pair) in books.boxes.iter().enumerate() {
        writer.prove(Scope::Mailbox, pair).await;
        let usual = pair.registering(Scope::Mailbox);
        let registering = match place {
            SINGLE => Registering { parcels_max: Some(1), ..usual },
            NARROW => Registering { room: Room::Bytes(NARROW_BYTES), ..usual },
            CRAMPED => Registering { room: Room::Bytes(CRAMPED_BYTES), ..usual },
            _ => usual,
        };
        (writer.register(scene, registering).await? == Code::OK).then_some(())?;
    }
    writer.prove(Scope::Slot, &books.slot).await;
    let slot = books.slot.registering(Scope::Slot);
    (writer.register(scene, slot).await? == Code::OK).then_some(())?;
    books.registered = true;
    Some(())
}

/// Lets a parcel go: as its reader who has it, or as its writer who takes it back.
///
/// Returns from which mailbox one surely went.
async fn let_go(
    books: &mut Books,
    reader: &mut Talk,
    writer: &mut Talk,
    scene: &mut AuditScene,
) -> Option<Option<usize>> {
    let here: Vec<usize> = books.places_of(|state| matches!(state, State::Stored | State::Leaving)).collect();
    if here.is_empty() {
        return Some(None);
    }
    let nth = *scene.chance.pick(&here);
    let entrusted = &mut books.entrusted[nth];
    let place = entrusted.place;
    entrusted.state = State::Leaving;
    let pair = &books.boxes[entrusted.place];
    let code = if scene.chance.happens(70) {
        reader.release(pair.mailbox(), entrusted.parcel.id()).await?;
        Code::OK
    } else {
        writer.withdraw(pair, &entrusted.parcel).await?
    };
    if code != Code::OK {
        return Some(None);
    }
    books.leaves(nth, (scene.standing)());
    Some(Some(place))
}

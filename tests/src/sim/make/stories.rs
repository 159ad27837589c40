//! Short stories between two people, woven into ordinary lives: each brings about what one safeguard is there for, which chance alone
//! brings about once in thousands of seeds.
//!
//! A story has its people for itself: whatever else was to happen to their links and power in that time does not, and what a
//! story takes away it gives back. What happens to the relay and to everybody else stays.

use super::people::{Couple, Window};
use super::{Making, Profile};
use zajil_relay::limits::RESERVE_BYTES_MIN;

use crate::chance::Chance;
use crate::sim::plan::{
    DAY, Deed, DiskFault, GivesReceipts, HOUR, Habit, MINUTE, Millis, PersonDeed, PersonId, RelayDeed, SECOND,
    TellsSeen,
};

/// How long two are online before their story begins, so that a pairing that was held up comes about.
const MEETING: Millis = 12 * MINUTE;
/// Notes of somebody who has much to say: more than control frames may be unacknowledged (32).
const MANY_NOTES: (u64, u64) = (37, 42);

/// How long somebody is in the dark who gives receipts later: whatever they owed before is overdue then.
const DARK_DAY: Millis = 26 * HOUR;
/// From the last note of somebody who hears no answer to the end of all: its day, a step of the relay's clock, and two meetings.
const UNANSWERED: Millis = DAY + 8 * HOUR;
/// How long a sync takes while an answer is to be lost, milliseconds.
const SLOW_SYNC_MILLIS: u64 = 12_000;

/// What happens between two people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// Somebody's clock is days ahead for half an hour, while one note of theirs waits at the relay and one on their phone.
    Clock,
    /// A note's day is over before its reader comes back.
    Over,
    /// Somebody gets many notes, and listens to them one by one without a link.
    Listens,
    /// The relay's operator puts back a copy from before a word that somebody has seen.
    Copied,
    /// Power is cut while receipts and session keys come in.
    Cut,
    /// A note's day passes at a relay whose *stored* was lost on the way.
    Unanswered,
    /// Somebody who gives receipts later comes back after a day in the dark.
    Later,
    /// Somebody would rather hear a voice before they compare digits.
    Hesitates,
    /// The relay's disk is full while somebody fetches what waits.
    Crowded,
    /// Somebody takes the right to see their word back.
    TakenBack,
    /// Two get many notes of each other, and both listen without a link: each then has said all it may without an answer.
    BothListen,
    /// A relay has no room for hours, and somebody with many notes meets it every two minutes.
    NoRoom,
}

impl Making {
    /// Weaves stories into the lives of `profile`.
    pub(super) fn weave(&mut self, profile: Profile) {
        use Story::{Clock, Copied, Crowded, Cut, Hesitates, Later, Listens, Over, TakenBack, Unanswered};
        let mut chance = self.chance.fork("stories");
        let (count, stories): (u32, &[(u64, Story)]) = match profile {
            Profile::Family => (2, &[(3, Clock), (3, Over), (2, Listens), (2, Copied), (2, Cut)]),
            Profile::Storm => (1, &[(3, Clock), (3, Listens), (2, Cut)]),
            Profile::Disks => (1, &[(1, Over), (3, Cut)]),
            Profile::Words => (1, &[(1, Clock), (3, Copied)]),
            Profile::Hostile => (1, &[(1, Clock), (1, Listens), (1, Copied), (1, Cut)]),
            Profile::Weeks => (2, &[(1, Clock), (2, Over), (1, Listens), (1, Copied)]),
            Profile::Town => (0, &[(1, Clock)]),
        };
        for _ in 0..count {
            let story = *chance.weighted(stories);
            self.tell_story(story, &mut chance);
        }
        // One more, of what takes long or must stand at one end of a life, by a chance of its own.
        let mut chance = self.chance.fork("more stories");
        let (count, stories): (u32, &[(u64, Story)]) = match profile {
            Profile::Weeks => (1, &[(1, Unanswered), (1, Later), (1, TakenBack)]),
            Profile::Family => (2, &[(1, Unanswered), (1, Later), (1, Hesitates), (1, Crowded), (1, TakenBack)]),
            Profile::Words => (1, &[(1, Hesitates), (2, TakenBack)]),
            Profile::Disks => (1, &[(1, Hesitates), (2, Crowded)]),
            Profile::Storm | Profile::Hostile => (1, &[(1, Hesitates), (1, Crowded)]),
            Profile::Town => (0, &[(1, Crowded)]),
        };
        for _ in 0..count {
            let story = *chance.weighted(stories);
            self.tell_story(story, &mut chance);
        }
        let mut chance = self.chance.fork("a story of many notes");
        let (percent, story) = match profile {
            Profile::Family => (40, Story::BothListen),
            Profile::Storm => (25, Story::BothListen),
            Profile::Disks => (60, Story::NoRoom),
            Profile::Words | Profile::Hostile | Profile::Weeks | Profile::Town => return,
        };
        if chance.happens(percent) {
            self.tell_story(story, &mut chance);
        }
    }

    fn tell_story(&mut self, story: Story, chance: &mut Chance) {
        let lasts = MEETING
            + match story {
                Story::Clock => 100 * MINUTE,
                Story::Over => 26 * HOUR,
                Story::Listens | Story::BothListen => HOUR,
                Story::Copied | Story::Cut | Story::Hesitates | Story::Crowded | Story::TakenBack => 40 * MINUTE,
                Story::Unanswered => UNANSWERED,
                Story::Later => DARK_DAY + 3 * HOUR,
                Story::NoRoom => 3 * HOUR,
            };
        let room = |couple: &&Couple| couple.ready() + lasts < self.span;
        let couples: Vec<Couple> = self.couples.iter().filter(room).copied().collect();
        if couples.is_empty() {
            return;
        }
        let couple = *chance.pick(&couples);
        let at = match story {
            Story::Hesitates => couple.ready(),
            // What is believed at its end is to be seen at the end of all.
            Story::Unanswered => self.span - lasts,
            _ => chance.between(couple.ready(), self.span - lasts),
        };
        let (one, other) = (couple.inviter, couple.invited);
        let (one, other) = if chance.happens(50) { (other, one) } else { (one, other) };
        for who in [one, other] {
            let alone = if story == Story::Over && who == one { MEETING + 20 * MINUTE } else { lasts };
            self.leave_alone(who, at, at + alone);
            self.online(who, at, at + MEETING);
        }
        let begins = at + MEETING;
        match story {
            Story::Clock => self.clock_is_ahead(one, other, begins, chance),
            Story::Over => self.comes_too_late(one, other, begins, chance),
            Story::Listens => self.listens_in_the_dark(one, other, begins, chance),
            Story::Copied => self.copy_is_put_back(one, other, begins, chance),
            Story::Cut => self.cut_among_frames(one, other, begins, chance),
            Story::Unanswered => self.answer_is_lost(one, other, begins, chance),
            Story::Later => self.tells_later(one, other, begins, chance),
            Story::Hesitates => self.hears_before_comparing(&couple, one, other, chance),
            Story::TakenBack => self.takes_back(one, other, begins, chance),
            Story::Crowded => self.fetches_from_a_full_disk(one, other, begins, chance),
            Story::BothListen => self.both_listen_in_the_dark(one, other, begins, chance),
            Story::NoRoom => self.meets_a_full_relay(one, other, begins, chance),
        }
    }

    /// Takes away what was to happen to somebody's link and power in a time, and gives back at its end what they would have then.
    fn leave_alone(&mut self, who: PersonId, from: Millis, to: Millis) {
        self.events.retain(|event| match &event.deed {
            Deed::Person(person, deed) if *person == who => !((from..to).contains(&event.at) && interferes(deed)),
            _ => true,
        });
        self.push(from, who, PersonDeed::SwitchOn);
        let covers = |window: &Window| window.start <= to && to < window.end;
        let has_link = self.windows[usize::from(who)].iter().any(covers);
        self.push(to, who, if has_link { PersonDeed::LinkUp } else { PersonDeed::LinkDown });
    }

    /// Somebody has a link for a time.
    fn online(&mut self, who: PersonId, from: Millis, to: Millis) {
        self.push(from, who, PersonDeed::LinkUp);
        if self.people[usize::from(who)].habit == Habit::Commands {
            let mut at = from + 5 * SECOND;
            while at < to {
                self.push(at, who, PersonDeed::Sync);
                at += 4 * MINUTE;
            }
        }
        self.push(to, who, PersonDeed::LinkDown);
    }

    /// One note of a day is at the relay and one on its phone, when the clock of that phone is set days ahead.
    fn clock_is_ahead(&mut self, sender: PersonId, reader: PersonId, at: Millis, chance: &mut Chance) {
        let ahead = i32::try_from(chance.between(26, 40 * 24) * 60).expect("days");
        self.online(sender, at, at + 6 * MINUTE);
        self.send(at + MINUTE, sender, reader, chance.between(1, 9), Some(1));
        self.send(at + 10 * MINUTE, sender, reader, chance.between(1, 9), Some(1));
        self.push(at + 20 * MINUTE, sender, PersonDeed::ClockJump(ahead));
        self.online(sender, at + 25 * MINUTE, at + 35 * MINUTE);
        self.push(at + 34 * MINUTE, sender, PersonDeed::Look);
        self.push(at + 40 * MINUTE, sender, PersonDeed::ClockJump(-ahead));
        self.online(sender, at + 50 * MINUTE, at + HOUR);
        self.online(reader, at + 55 * MINUTE, at + 70 * MINUTE);
        self.push(at + 65 * MINUTE, reader, PersonDeed::Listen { skip: 0 });
    }

    /// A note may wait for a day; its reader comes back after it, and its sender has met the relay before them.
    fn comes_too_late(&mut self, sender: PersonId, reader: PersonId, at: Millis, chance: &mut Chance) {
        self.online(sender, at + MINUTE, at + 12 * MINUTE);
        self.send(at + 2 * MINUTE, sender, reader, chance.between(1, 9), Some(1));
        let over = at + DAY + 40 * MINUTE;
        self.leave_alone(sender, over, over + 15 * MINUTE);
        self.online(sender, over, over + 10 * MINUTE);
        self.push(over + 9 * MINUTE, sender, PersonDeed::Look);
        self.online(reader, over + 20 * MINUTE, over + 30 * MINUTE);
    }

    /// Much is said; the reader's link goes before what is owed for the last of it has left. They listen without a link.
    fn listens_in_the_dark(&mut self, speaker: PersonId, reader: PersonId, at: Millis, chance: &mut Chance) {
        let person = &mut self.people[usize::from(reader)];
        (person.habit, person.receipts) = (Habit::Daemon, GivesReceipts::AtOnce);
        self.people[usize::from(speaker)].habit = Habit::Daemon;
        let mut spoken = at + 30 * SECOND;
        for _ in 0..chance.between(MANY_NOTES.0, MANY_NOTES.1) {
            self.send(spoken, speaker, reader, chance.between(1, 2), None);
            spoken += chance.between(2, 7) * SECOND;
        }
        let goes = spoken - chance.below(10 * SECOND);
        self.online(speaker, at, goes + 35 * MINUTE);
        self.online(reader, at, goes);
        // What comes last comes while nothing gets out any more: *delivered* and *heard* are told of it at one time.
        self.push(goes - 15 * SECOND, reader, PersonDeed::OneWay { out: false });
        self.push(goes + 4 * MINUTE, reader, PersonDeed::Listen { skip: 0 });
        self.online(reader, goes + 12 * MINUTE, goes + 35 * MINUTE);
        self.push(goes + 18 * MINUTE, reader, PersonDeed::Listen { skip: 0 });
        self.push(goes + 20 * MINUTE, speaker, PersonDeed::Look);
    }

    /// Much is said both ways. Both listen without a link, and meet the relay again.
    fn both_listen_in_the_dark(&mut self, one: PersonId, other: PersonId, at: Millis, chance: &mut Chance) {
        let mut spoken = at + 30 * SECOND;
        for _ in 0..chance.between(MANY_NOTES.0, MANY_NOTES.1) {
            for (from, to) in [(one, other), (other, one)] {
                self.send(spoken, from, to, chance.between(1, 2), None);
                spoken += chance.between(1, 4) * SECOND;
            }
        }
        for who in [one, other] {
            let person = &mut self.people[usize::from(who)];
            (person.habit, person.receipts) = (Habit::Daemon, GivesReceipts::AtOnce);
            self.online(who, at, spoken + 2 * MINUTE);
            self.push(spoken + 4 * MINUTE, who, PersonDeed::Listen { skip: 0 });
            self.online(who, spoken + 10 * MINUTE, spoken + 35 * MINUTE);
            self.push(spoken + 34 * MINUTE, who, PersonDeed::Look);
        }
    }

    /// What the relay keeps free for old promises is all it has, while somebody with many notes meets it again and again.
    fn meets_a_full_relay(&mut self, speaker: PersonId, reader: PersonId, at: Millis, chance: &mut Chance) {
        self.people[usize::from(speaker)].habit = Habit::Commands;
        let end = at + 3 * HOUR - 15 * MINUTE;
        self.push(at, speaker, PersonDeed::LinkUp);
        self.push_relay(at, RelayDeed::DiskBytes(Some(RESERVE_BYTES_MIN + 30_000)));
        for nth in 0..chance.between(MANY_NOTES.0, MANY_NOTES.1) {
            self.send(at + MINUTE + nth * 2 * SECOND, speaker, reader, chance.between(1, 2), None);
        }
        let mut meets = at + 4 * MINUTE;
        while meets < end {
            self.push(meets, speaker, PersonDeed::Sync);
            meets += 2 * MINUTE;
        }
        self.push_relay(end, RelayDeed::DiskBytes(None));
    }

    /// Somebody sees a word; its owner goes dark, and the relay gets a disk from before that word.
    fn copy_is_put_back(&mut self, owner: PersonId, reader: PersonId, at: Millis, chance: &mut Chance) {
        let word = |chance: &mut Chance| PersonDeed::WriteWord { serial: 0, tell_minute: chance.happens(50) };
        self.online(owner, at, at + 16 * MINUTE);
        self.online(reader, at, at + 30 * MINUTE);
        self.push(at, owner, PersonDeed::SetSeen { to: reader, tells: TellsSeen::SixHours });
        self.push(at + MINUTE, owner, word(chance));
        self.push(at + 6 * MINUTE, reader, PersonDeed::AskSeen { of: owner, ask_relay: true });
        self.push_relay(at + 8 * MINUTE, RelayDeed::DiskCopied);
        self.push(at + 10 * MINUTE, owner, word(chance));
        self.push(at + 13 * MINUTE, reader, PersonDeed::AskSeen { of: owner, ask_relay: true });
        self.push_relay(at + 18 * MINUTE, RelayDeed::CopyRestored);
        self.push(at + 20 * MINUTE, reader, PersonDeed::AskSeen { of: owner, ask_relay: true });
        self.push(at + 22 * MINUTE, reader, PersonDeed::AskSeen { of: owner, ask_relay: false });
    }

    /// A slow disk has all of a note, its sender's link goes before they hear so, and nobody fetches it. They come back when its day
    /// is over.
    fn answer_is_lost(&mut self, sender: PersonId, reader: PersonId, at: Millis, chance: &mut Chance) {
        self.people[usize::from(sender)].habit = Habit::Daemon;
        self.push(at, reader, PersonDeed::LinkDown);
        self.online(sender, at, at + 6 * MINUTE);
        self.push_relay(at + MINUTE, RelayDeed::SyncTakes(SLOW_SYNC_MILLIS));
        self.send(at + 2 * MINUTE, sender, reader, chance.between(1, 3), Some(1));
        self.push(at + 2 * MINUTE + chance.between(4, 10) * SECOND, sender, PersonDeed::OneWay { out: true });
        self.push_relay(at + 4 * MINUTE, RelayDeed::SyncTakes(self.relay.sync_millis));
        let over = at + DAY + 6 * HOUR + 30 * MINUTE;
        self.online(sender, over, over + 10 * MINUTE);
        // What is over is looked for once in an hour, and when a relay is met.
        self.online(sender, over + 20 * MINUTE, over + 40 * MINUTE);
        self.push(over + 35 * MINUTE, sender, PersonDeed::Look);
    }

    /// Somebody who gives receipts later was in the dark for a day, gets two notes, listens, and says nothing themselves.
    fn tells_later(&mut self, speaker: PersonId, reader: PersonId, at: Millis, chance: &mut Chance) {
        let person = &mut self.people[usize::from(reader)];
        (person.habit, person.receipts) = (Habit::Daemon, GivesReceipts::Later);
        self.people[usize::from(speaker)].habit = Habit::Daemon;
        let back = at + DARK_DAY;
        self.events.retain(|event| match &event.deed {
            Deed::Person(person, deed) if *person == reader => {
                !((at..back + 2 * HOUR).contains(&event.at) && says(deed))
            }
            _ => true,
        });
        // A phone that takes a dead link for a live one goes on dialling.
        let dark = if chance.happens(50) { PersonDeed::LinkSilent } else { PersonDeed::LinkDown };
        self.push(at, reader, dark);
        self.online(speaker, back - 40 * MINUTE, back + 2 * HOUR);
        for nth in 1..=2 {
            self.send(back - nth * 10 * MINUTE, speaker, reader, chance.between(1, 5), None);
        }
        self.online(reader, back, back + HOUR + 30 * MINUTE);
        self.push(back + 10 * MINUTE, reader, PersonDeed::Listen { skip: 0 });
        self.push(back + 45 * MINUTE, speaker, PersonDeed::Look);
    }

    /// Two know each other by a link; one of them hears the other, and answers, before they compare digits.
    fn hears_before_comparing(&mut self, couple: &Couple, speaker: PersonId, reader: PersonId, chance: &mut Chance) {
        let at = couple.ready() + MEETING;
        let hesitates = PersonDeed::Hesitate { with: speaker, millis: at + 30 * MINUTE - couple.at };
        self.push(couple.at, reader, hesitates);
        for who in [speaker, reader] {
            self.online(who, at, at + 38 * MINUTE);
        }
        for from in [at + MINUTE, at + 2 * MINUTE, at + 16 * MINUTE] {
            self.send(from, speaker, reader, chance.between(1, 5), None);
        }
        self.push(at + 8 * MINUTE, reader, PersonDeed::Listen { skip: 0 });
        self.send(at + 10 * MINUTE, reader, speaker, chance.between(1, 5), None);
        self.push(at + 11 * MINUTE, reader, PersonDeed::WriteWord { serial: 0, tell_minute: chance.happens(50) });
        self.push(at + 15 * MINUTE, speaker, PersonDeed::Look);
        self.push(at + 18 * MINUTE, speaker, PersonDeed::AskSeen { of: reader, ask_relay: true });
        self.push(at + 24 * MINUTE, reader, PersonDeed::Listen { skip: 0 });
        self.push(at + 25 * MINUTE, reader, PersonDeed::Look);
    }

    /// The relay's disk is full while somebody fetches what waits: it can hand out, and let nothing go.
    fn fetches_from_a_full_disk(&mut self, speaker: PersonId, reader: PersonId, at: Millis, chance: &mut Chance) {
        self.people[usize::from(reader)].habit = Habit::Daemon;
        self.push(at, reader, PersonDeed::LinkDown);
        self.online(speaker, at, at + 12 * MINUTE);
        for nth in 0..2 {
            self.send(at + nth * MINUTE, speaker, reader, chance.between(15, 30), None);
        }
        self.push_relay(at + 14 * MINUTE, RelayDeed::DiskBytes(Some(0)));
        self.online(reader, at + 15 * MINUTE, at + 38 * MINUTE);
        self.push_relay(at + 33 * MINUTE, RelayDeed::DiskBytes(None));
        self.push(at + 36 * MINUTE, reader, PersonDeed::Listen { skip: 0 });
    }

    /// Somebody leaves a word, and then takes the right to see it back: with a link, or on the way to the next one.
    fn takes_back(&mut self, owner: PersonId, reader: PersonId, at: Millis, chance: &mut Chance) {
        self.online(owner, at, at + 10 * MINUTE);
        self.online(reader, at, at + 25 * MINUTE);
        self.push(at, owner, PersonDeed::SetSeen { to: reader, tells: TellsSeen::SixHours });
        self.push(at + MINUTE, owner, PersonDeed::WriteWord { serial: 0, tell_minute: chance.happens(50) });
        self.push(at + 5 * MINUTE, reader, PersonDeed::AskSeen { of: owner, ask_relay: true });
        let off = at + chance.between(6, 14) * MINUTE;
        self.push(off, owner, PersonDeed::SetSeen { to: reader, tells: TellsSeen::Off });
        self.online(owner, at + 16 * MINUTE, at + 25 * MINUTE);
        self.push(at + 18 * MINUTE, owner, PersonDeed::WriteWord { serial: 0, tell_minute: chance.happens(50) });
        self.push(at + 22 * MINUTE, reader, PersonDeed::AskSeen { of: owner, ask_relay: true });
    }

    /// Power is cut between two commits of somebody to whom receipts, answers and keys come, a few times.
    fn cut_among_frames(&mut self, speaker: PersonId, reader: PersonId, at: Millis, chance: &mut Chance) {
        for who in [speaker, reader] {
            let person = &mut self.people[usize::from(who)];
            (person.habit, person.receipts) = (Habit::Daemon, GivesReceipts::AtOnce);
            self.online(who, at, at + 25 * MINUTE);
        }
        for round in 0..4 {
            let from = at + round * 6 * MINUTE;
            self.send(from, speaker, reader, chance.between(1, 3), None);
            let fault = *chance.pick(&DiskFault::ALL[1..]);
            let fault = PersonDeed::DiskFault { commits: chance.below(4), fault };
            let (who, when) = if chance.happens(25) { (reader, from) } else { (speaker, from + MINUTE) };
            self.push(when, who, fault);
            self.push(from + MINUTE + 5 * SECOND, reader, PersonDeed::Listen { skip: 0 });
        }
        self.push(at + 24 * MINUTE, reader, PersonDeed::Listen { skip: 0 });
        self.push(at + 24 * MINUTE + 30 * SECOND, speaker, PersonDeed::Look);
    }
}

/// Whether a deed would be in the way of a story.
const fn interferes(deed: &PersonDeed) -> bool {
    matches!(
        deed,
        PersonDeed::LinkUp
            | PersonDeed::LinkDown
            | PersonDeed::LinkSilent
            | PersonDeed::OneWay { .. }
            | PersonDeed::PowerCut
            | PersonDeed::SwitchOff
            | PersonDeed::Sync
    )
}

/// Whether somebody tells others anything by a deed, with which receipts would travel; or moves the clock by which these are given.
const fn says(deed: &PersonDeed) -> bool {
    matches!(
        deed,
        PersonDeed::Send { .. }
            | PersonDeed::WriteWord { .. }
            | PersonDeed::SetSeen { .. }
            | PersonDeed::Pair { .. }
            | PersonDeed::ClockJump(_)
    )
}

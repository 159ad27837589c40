//! What people do: meet the relay, pair, talk and listen, write words and ask.

use super::Making;
use super::people::{Couple, awake};
use crate::chance::Chance;
use crate::sim::plan::{DAY, HOUR, Habit, MINUTE, Millis, PersonDeed, PersonId, SECOND, TellsSeen};

/// Turns of one conversation.
const TURNS_MAX: u32 = 6;
/// When in a day people talk: all day, most of all in the evening (ten to fifteen hours after eight in the morning).
const HOURS_OF_TALK: &[(u64, u64)] = &[(0, 0), (350, 9 * HOUR), (900, 15 * HOUR), (970, 17 * HOUR), (1_000, 24 * HOUR)];
/// How long somebody talks before the next note of the same breath.
const BREATH: &[(u64, u64)] = &[(0, 2 * SECOND), (700, 15 * SECOND), (1_000, 2 * MINUTE)];

impl Making {
    /// Links come and go; people with the habit of commands meet the relay when they have one; pairs are made.
    pub(super) fn live(&mut self) {
        let root = self.chance.fork("live");
        for who in self.everybody() {
            let mut chance = root.fork(&who.to_string());
            let windows = self.windows[usize::from(who)].clone();
            if windows.first().is_none_or(|window| window.start > 0) {
                self.push(0, who, PersonDeed::LinkDown);
            }
            for window in windows {
                self.push(window.start, who, PersonDeed::LinkUp);
                self.sync_within(who, window.start, window.end, &mut chance);
                if window.end < self.span {
                    self.push(window.end, who, PersonDeed::LinkDown);
                }
                if chance.happens(25) {
                    let at = chance.between(window.start, window.end);
                    self.listen(who, at, &mut chance);
                }
            }
        }
        for Couple { inviter, invited, at, in_person, link_takes } in self.couples.clone() {
            self.push(at, inviter, PersonDeed::Pair { with: invited, in_person, link_takes });
        }
    }

    /// Somebody with the habit of commands looks for news at once, and now and then while the link lasts.
    fn sync_within(&mut self, who: PersonId, start: Millis, end: Millis, chance: &mut Chance) {
        if self.people[usize::from(who)].habit != Habit::Commands {
            return;
        }
        let mut at = start + chance.between(3 * SECOND, 40 * SECOND);
        while at < end {
            self.push(at, who, PersonDeed::Sync);
            at += 10 * MINUTE + chance.wait(self.span / 24);
        }
    }

    /// Somebody listens, or only looks.
    fn listen(&mut self, who: PersonId, at: Millis, chance: &mut Chance) {
        let skip = if chance.happens(15) { u32::try_from(chance.between(2, 4)).expect("small") } else { 0 };
        self.push(at, who, if chance.happens(12) { PersonDeed::Look } else { PersonDeed::Listen { skip } });
    }

    /// People talk with those they know, in bursts and mostly in the evening, and answer after they have listened.
    pub(super) fn talk(&mut self) {
        let mut chance = self.chance.fork("talk");
        let mut at = 0;
        loop {
            at += chance.wait(self.pace.conversation);
            if at >= self.span {
                return;
            }
            let couple = *chance.pick(&self.couples);
            let in_day = if self.span < DAY { at % DAY } else { chance.spread(HOURS_OF_TALK) };
            let begins = (at / DAY * DAY + in_day).max(couple.ready() + chance.wait(20 * MINUTE));
            let (one, other) = (couple.inviter, couple.invited);
            let turned = chance.happens(50);
            let (one, other) = if turned { (other, one) } else { (one, other) };
            self.converse(one, other, begins, &mut chance);
        }
    }

    fn converse(&mut self, mut speaker: PersonId, mut listener: PersonId, begins: Millis, chance: &mut Chance) {
        let mut at = begins;
        for _ in 0..TURNS_MAX {
            for _ in 0..*chance.weighted(&[(60, 1), (25, 2), (10, 3), (5, 5)]) {
                at = self.speak(speaker, listener, at, chance);
            }
            // It can be heard when both have had a link, and a bit later.
            let put = self.next_link(speaker, at);
            let Some(came) = put.and_then(|put| self.next_link(listener, put)) else { return };
            let heard = came + chance.between(15 * SECOND, 5 * MINUTE);
            if heard >= self.span {
                return;
            }
            if self.people[usize::from(listener)].habit == Habit::Commands {
                self.push(heard - 10 * SECOND, listener, PersonDeed::Sync);
            }
            self.listen(listener, heard, chance);
            if !chance.happens(60) {
                return;
            }
            at = heard + chance.between(20 * SECOND, 10 * MINUTE);
            (speaker, listener) = (listener, speaker);
        }
    }

    /// One note; returns when its sender could say the next.
    fn speak(&mut self, speaker: PersonId, listener: PersonId, at: Millis, chance: &mut Chance) -> Millis {
        let seconds = chance.spread(self.pace.seconds);
        let lifetime_days = chance.happens(self.pace.own_lifetime).then(|| self.lifetime(chance));
        let spoken = at + seconds * SECOND;
        if spoken < self.span {
            self.send(spoken, speaker, listener, seconds, lifetime_days);
            if self.people[usize::from(speaker)].habit == Habit::Commands && chance.happens(30) {
                self.push(spoken + 5 * SECOND, speaker, PersonDeed::Sync);
            }
        }
        spoken + chance.spread(BREATH)
    }

    fn lifetime(&self, chance: &mut Chance) -> u16 {
        let most = if self.span > 10 * DAY { 30 } else { 3 };
        u16::try_from(chance.between(1, most)).expect("small")
    }

    /// Sends a note; its number comes at the end.
    pub(super) fn send(&mut self, at: Millis, who: PersonId, to: PersonId, seconds: u64, lifetime_days: Option<u16>) {
        let seconds = u32::try_from(seconds).expect("notes are short");
        self.push(at, who, PersonDeed::Send { to, serial: 0, seconds, lifetime_days });
    }

    /// People write words, ask for words, and change what they let relays tell.
    pub(super) fn tell(&mut self) {
        let root = self.chance.fork("tell");
        for who in self.everybody() {
            let mut chance = root.fork(&who.to_string());
            for _ in 0..self.times(self.pace.words, &mut chance) {
                let at = self.time_of_day(who, &mut chance);
                self.push(at, who, PersonDeed::WriteWord { serial: 0, tell_minute: chance.happens(50) });
            }
            let others = self.known_to(who);
            if others.is_empty() {
                continue;
            }
            for _ in 0..self.times(self.pace.asks, &mut chance) {
                let of = *chance.pick(&others);
                let at = self.time_of_day(who, &mut chance).max(10 * MINUTE);
                let ask_relay = chance.happens(65);
                self.push(at, who, PersonDeed::AskSeen { of, ask_relay });
                if ask_relay && chance.happens(40) {
                    // And again: now from what the device holds.
                    self.push(at + chance.wait(HOUR), who, PersonDeed::AskSeen { of, ask_relay: false });
                }
            }
        }
        self.change_seen(&mut root.fork("change"));
    }

    fn change_seen(&mut self, chance: &mut Chance) {
        let mut at = chance.wait(self.pace.change);
        while at < self.span {
            let couple = *chance.pick(&self.couples);
            let turned = chance.happens(50);
            let (who, to) = if turned { (couple.invited, couple.inviter) } else { (couple.inviter, couple.invited) };
            let tells = *chance.weighted(&[(2, TellsSeen::Off), (3, TellsSeen::SixHours), (3, TellsSeen::Day)]);
            self.push(at.max(couple.ready()), who, PersonDeed::SetSeen { to, tells });
            if chance.happens(50) {
                let word = PersonDeed::WriteWord { serial: 0, tell_minute: chance.happens(50) };
                self.push(at.max(couple.ready()) + chance.wait(20 * MINUTE), who, word);
            }
            at += chance.wait(self.pace.change);
        }
    }

    /// Draws how often something happens that somebody does `in_ten_days` times, give or take.
    fn times(&self, in_ten_days: u64, chance: &mut Chance) -> u64 {
        let hundredths = in_ten_days * 10 * self.span / DAY;
        let drawn = chance.between(hundredths / 2, hundredths * 3 / 2);
        drawn / 100 + u64::from(chance.below(100) < drawn % 100)
    }

    /// Draws a time at which somebody does something by their own will: mostly with a link.
    fn time_of_day(&self, who: PersonId, chance: &mut Chance) -> Millis {
        if chance.happens(65) {
            self.time_with_link(who, chance)
        } else {
            let at = chance.below(self.span);
            awake(at, chance).min(self.span)
        }
    }

    /// Returns whom somebody knows.
    pub(super) fn known_to(&self, who: PersonId) -> Vec<PersonId> {
        let other = |couple: &Couple| match (couple.inviter == who, couple.invited == who) {
            (true, _) => Some(couple.invited),
            (_, true) => Some(couple.inviter),
            _ => None,
        };
        self.couples.iter().filter_map(other).collect()
    }
}

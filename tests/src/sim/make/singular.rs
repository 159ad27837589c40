//! What only some profiles have: storms, faults aimed at commits, a mailbox over its quota, a session used up, a phone
//! dark for two months.

use super::faults::Fault;
use super::people::Window;
use super::{Making, Profile};
use crate::chance::Chance;
use crate::sim::plan::{DAY, Deed, DiskFault, HOUR, MINUTE, Millis, PersonDeed, PersonId, RelayDeed, SECOND};

/// Longest darkness of the profile `weeks`.
const DARK_DAYS: u64 = 60;
/// More notes than one session carries (32).
const BURST_NOTES: (u64, u64) = (34, 40);
/// Notes of ten minutes that are more than one mailbox holds (64 MiB) at 660 bytes a second, the least there is.
const QUOTA_NOTES: u64 = 175;

impl Making {
    /// Adds what only `profile` has.
    pub(super) fn singular(&mut self, profile: Profile) {
        let mut chance = self.chance.fork("singular");
        match profile {
            Profile::Storm => self.storm(&mut chance),
            Profile::Disks => self.disks(&mut chance),
            Profile::Weeks => self.weeks(&mut chance),
            Profile::Family | Profile::Town | Profile::Words | Profile::Hostile => {}
        }
    }

    /// Spells of twenty to fifty minutes in which links fail every minute or so, and power is cut while notes are on
    /// their way.
    fn storm(&mut self, chance: &mut Chance) {
        let kinds = [
            (4, Fault::Silent),
            (4, Fault::OneWay),
            (4, Fault::Rebind),
            (2, Fault::Siege),
            (2, Fault::OtherAccess),
            (2, Fault::UdpBlocked),
            (1, Fault::RelaySilent),
        ];
        let spells = (self.span / (4 * HOUR)).clamp(1, 200);
        for spell in 0..spells {
            let start = spell * (self.span / spells) + chance.between(25 * MINUTE, 2 * HOUR);
            let end = start + chance.between(20, 50) * MINUTE;
            let mut at = start;
            while at < end.min(self.span) {
                let (fault, who) = (*chance.weighted(&kinds), self.anybody(chance));
                let length = chance.spread(&[(0, 500), (500, 15 * SECOND), (1_000, 3 * MINUTE)]);
                self.fault(fault, who, at, length, chance);
                at += chance.wait(MINUTE);
            }
        }
        self.cut_after_notes(35, 90 * SECOND, chance);
    }

    /// Power is cut soon after `percent` of the notes: while they are on their way. Both phones and the relay may be
    /// who loses it.
    fn cut_after_notes(&mut self, percent: u64, within: Millis, chance: &mut Chance) {
        for (at, from, to) in self.notes() {
            if !chance.happens(percent) {
                continue;
            }
            let at = at + chance.below(within);
            let fault = *chance.weighted(&[(3, Fault::PowerCut), (2, Fault::RelayPower)]);
            let who = *chance.pick(&[from, to]);
            self.fault(fault, who, at, chance.between(SECOND, 5 * MINUTE), chance);
        }
    }

    /// Returns when each note is sent, by whom and to whom.
    fn notes(&self) -> Vec<(Millis, PersonId, PersonId)> {
        let note = |(at, deed): (Millis, &Deed)| match deed {
            Deed::Person(from, PersonDeed::Send { to, .. }) => Some((at, *from, *to)),
            _ => None,
        };
        self.events.iter().filter_map(|event| note((event.at, &event.deed))).collect()
    }

    /// Faults aimed at the commits of notes, small disks from the beginning, and in one plan of ten a mailbox over its
    /// quota.
    fn disks(&mut self, chance: &mut Chance) {
        for (at, from, to) in self.notes() {
            let fault = *chance.pick(&DiskFault::ALL);
            let commits = chance.below(6);
            match chance.below(100) {
                0..18 => self.push(at.saturating_sub(1), from, PersonDeed::DiskFault { commits, fault }),
                18..30 => {
                    let arrives = self.next_link(to, at).unwrap_or(at);
                    self.push(arrives + chance.below(2 * SECOND), to, PersonDeed::DiskFault { commits, fault });
                }
                30..38 => {
                    let cut = at + chance.below(20 * SECOND);
                    self.push_relay(cut, RelayDeed::PowerCut);
                    self.push_relay(cut + chance.between(SECOND, MINUTE), RelayDeed::Start);
                }
                38..42 => self.push_relay(at + chance.below(5 * SECOND), RelayDeed::SyncFails),
                42..48 => self.relay_slow_cut(at, chance),
                _ => {}
            }
        }
        if chance.happens(30) {
            self.relay.disk_bytes = Some(*chance.pick(&[18_000_000, 20_000_000, 30_000_000]));
            self.push_relay(self.span, RelayDeed::DiskBytes(None));
        }
        for who in self.everybody() {
            if chance.happens(12) {
                self.people[usize::from(who)].disk_bytes = Some(chance.between(2, 12) * 1_000_000);
                self.push(self.span, who, PersonDeed::DiskBytes(None));
            }
        }
        if chance.happens(10) {
            self.fill_mailbox(chance);
        }
    }

    /// One sends another, who is dark, more than a mailbox holds. Both then have better links than they are used to.
    fn fill_mailbox(&mut self, chance: &mut Chance) {
        let couple = *chance.pick(&self.couples);
        let (from, to) = (couple.inviter, couple.invited);
        self.relay.disk_bytes = None;
        for who in [from, to] {
            let person = &mut self.people[usize::from(who)];
            (person.access, person.disk_bytes) = ("lan".into(), None);
        }
        let begins = couple.ready() + HOUR;
        self.push(begins, from, PersonDeed::LinkUp);
        self.push(begins, to, PersonDeed::SwitchOff);
        let mut at = begins + MINUTE;
        for _ in 0..QUOTA_NOTES {
            self.send(at, from, to, 600, None);
            at += chance.between(5, 20) * SECOND;
        }
        let ends = at + chance.between(HOUR, 6 * HOUR);
        self.push(ends, to, PersonDeed::SwitchOn);
        self.push(ends, to, PersonDeed::LinkUp);
        self.push(ends + 20 * MINUTE, to, PersonDeed::Listen { skip: 0 });
    }

    /// More notes in a burst than a session carries, some people dark for weeks, one for two months.
    fn weeks(&mut self, chance: &mut Chance) {
        let dark = self.anybody(chance);
        let longest = (DARK_DAYS * DAY).min(self.span - self.span / 15);
        let starts = chance.between(self.span / 30, self.span - longest);
        self.go_dark(dark, starts, starts + longest);
        for who in self.everybody().filter(|who| *who != dark) {
            if chance.happens(50) {
                let starts = chance.between(self.span / 20, self.span);
                let ends = starts + chance.between(7 * DAY, 25 * DAY);
                self.go_dark(who, starts, ends.min(self.span));
            }
        }
        for _ in 0..chance.between(1, 2) {
            let couple = *chance.pick(&self.couples);
            let mut at = couple.ready() + chance.below((self.span / 2).max(1));
            for _ in 0..chance.between(BURST_NOTES.0, BURST_NOTES.1) {
                self.send(at, couple.inviter, couple.invited, chance.between(1, 3), None);
                at += chance.between(4, 20) * SECOND;
            }
        }
    }

    /// Takes somebody's links away, and all that was to happen to them. They come back for an hour.
    fn go_dark(&mut self, who: PersonId, starts: Millis, ends: Millis) {
        let windows = &mut self.windows[usize::from(who)];
        windows.retain(|Window { start, end }| *end <= starts || *start >= ends);
        let link = |deed: &PersonDeed| {
            matches!(deed, PersonDeed::LinkUp | PersonDeed::LinkSilent | PersonDeed::OneWay { .. } | PersonDeed::Sync)
        };
        self.events.retain(|event| match &event.deed {
            Deed::Person(person, deed) => !(*person == who && (starts..ends).contains(&event.at) && link(deed)),
            _ => true,
        });
        self.push(starts, who, PersonDeed::LinkDown);
        self.push(ends, who, PersonDeed::LinkUp);
        self.push(ends + MINUTE, who, PersonDeed::Sync);
        self.push(ends + HOUR, who, PersonDeed::LinkDown);
    }
}

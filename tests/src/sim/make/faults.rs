//! What breaks, and when it works again.

use super::Making;
use super::people::signed;
use crate::chance::Chance;
use crate::sim::plan::{DiskFault, HOUR, MINUTE, Millis, PersonDeed, PersonId, RelayDeed, SECOND};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A link carries nothing.
    Silent,
    /// A link carries one way.
    OneWay,
    /// Translations are forgotten.
    Rebind,
    /// A network that carries no UDP.
    UdpBlocked,
    /// Another kind of link.
    OtherAccess,
    /// A link as under siege.
    Siege,
    /// The battery is out.
    PowerCut,
    /// The battery is out, and the clock is wrong when it is charged.
    CutAndWrongClock,
    /// Switched off.
    SwitchOff,
    /// A phone's disk is full.
    PhoneFull,
    /// A commit goes wrong.
    CommitFails,
    /// A phone's clock jumps.
    ClockJump,
    /// The relay loses power.
    RelayPower,
    /// The relay is stopped.
    RelayStop,
    /// The relay's disk is full.
    RelayFull,
    /// The relay's sync fails.
    RelaySyncFails,
    /// The relay's disk is slow.
    RelaySlow,
    /// The relay's disk is slow, and it loses power meanwhile.
    RelaySlowCut,
    /// The relay's disk is gone.
    RelayLost,
    /// The relay's clock jumps.
    RelayWallJump,
    /// The relay's link carries nothing.
    RelaySilent,
}

impl Making {
    /// Things break, as often as the pace has it, and are mended.
    pub(super) fn fail(&mut self) {
        let mut chance = self.chance.fork("faults");
        let mut at = chance.wait(self.pace.fault);
        while at < self.span {
            let fault = *chance.weighted(self.pace.faults);
            let who = self.anybody(&mut chance);
            let length = chance.spread(self.pace.trouble);
            self.fault(fault, who, at, length, &mut chance);
            at += chance.wait(self.pace.fault);
        }
    }

    /// One fault from `at` on for `length`, and its end. A link's fault comes while there is a link.
    pub(super) fn fault(&mut self, fault: Fault, who: PersonId, at: Millis, length: Millis, chance: &mut Chance) {
        let end = (at + length).min(self.span).max(at + SECOND);
        match fault {
            Fault::Silent => self.link_fault(PersonDeed::LinkSilent, who, at, length),
            Fault::OneWay => self.link_fault(PersonDeed::OneWay { out: chance.happens(50) }, who, at, length),
            Fault::Rebind => {
                let at = self.next_link(who, at).unwrap_or(at);
                self.push(at + chance.below(MINUTE), who, PersonDeed::Rebind);
            }
            Fault::UdpBlocked => {
                self.push(at, who, PersonDeed::Udp { passes: false });
                // Some networks are so for good.
                if !chance.happens(20) {
                    self.push(end, who, PersonDeed::Udp { passes: true });
                }
            }
            Fault::OtherAccess => {
                let other = (*chance.weighted(self.pace.access)).into();
                self.push(at, who, PersonDeed::Access(other));
            }
            Fault::Siege => {
                let at = self.next_link(who, at).unwrap_or(at);
                self.push(at, who, PersonDeed::Access("siege".into()));
                self.push(at + length, who, PersonDeed::Access(self.people[usize::from(who)].access.clone()));
            }
            Fault::PowerCut => self.pair_of(who, at, PersonDeed::PowerCut, end, PersonDeed::SwitchOn),
            Fault::CutAndWrongClock => {
                self.pair_of(who, at, PersonDeed::PowerCut, end, PersonDeed::SwitchOn);
                self.clock_fault(who, end, length, chance);
            }
            Fault::SwitchOff => self.pair_of(who, at, PersonDeed::SwitchOff, end, PersonDeed::SwitchOn),
            Fault::PhoneFull => {
                let bytes = *chance.pick(&[0, 20_000, 60_000, 150_000, 400_000, 1_000_000]);
                self.pair_of(who, at, PersonDeed::DiskBytes(Some(bytes)), end, PersonDeed::DiskBytes(None));
            }
            Fault::CommitFails => {
                let fault = *chance.weighted(&[
                    (2, DiskFault::Full),
                    (3, DiskFault::CutBefore),
                    (3, DiskFault::CutAfter),
                    (1, DiskFault::SyncLost),
                    (1, DiskFault::SyncKept),
                ]);
                self.push(at, who, PersonDeed::DiskFault { commits: chance.below(12), fault });
            }
            Fault::ClockJump => self.clock_fault(who, at, length, chance),
            _ => self.relay_fault(fault, at, end, chance),
        }
    }

    fn relay_fault(&mut self, fault: Fault, at: Millis, end: Millis, chance: &mut Chance) {
        let (begins, ends) = match fault {
            Fault::RelayPower => (RelayDeed::PowerCut, Some(RelayDeed::Start)),
            Fault::RelayStop => (RelayDeed::Stop, Some(RelayDeed::Start)),
            // A relay keeps 16 MB of its disk for old promises; the least leaves nothing for them either.
            Fault::RelayFull => {
                let bytes = *chance.pick(&[0, 1_000_000, 16_900_000, 17_500_000, 20_000_000]);
                if chance.happens(30) {
                    // Its operator comes by in the evening.
                    return self.relay_is_full(at, at + chance.between(HOUR, 8 * HOUR), bytes);
                }
                (RelayDeed::DiskBytes(Some(bytes)), Some(RelayDeed::DiskBytes(None)))
            }
            Fault::RelaySlowCut => return self.relay_slow_cut(at, chance),
            Fault::RelaySyncFails => (RelayDeed::SyncFails, None),
            Fault::RelaySlow => {
                let millis = *chance.pick(&[200, 1_000, 4_000, 20_000]);
                (RelayDeed::SyncTakes(millis), Some(RelayDeed::SyncTakes(self.relay.sync_millis)))
            }
            // An operator who is careful has a copy to put in its place, from before.
            Fault::RelayLost if chance.happens(50) => (RelayDeed::DiskCopied, Some(RelayDeed::CopyRestored)),
            Fault::RelayLost => (RelayDeed::DiskLost, None),
            Fault::RelayWallJump => {
                let minutes = jump(chance);
                (RelayDeed::WallJump(minutes), chance.happens(70).then_some(RelayDeed::WallJump(-minutes)))
            }
            _ => (RelayDeed::LinkSilent, Some(RelayDeed::LinkUp)),
        };
        self.push_relay(at, begins);
        if let Some(ends) = ends {
            self.push_relay(end, ends);
        }
    }

    fn relay_is_full(&mut self, at: Millis, end: Millis, bytes: u64) {
        self.push_relay(at, RelayDeed::DiskBytes(Some(bytes)));
        self.push_relay(end.min(self.span).max(at + SECOND), RelayDeed::DiskBytes(None));
    }

    /// The relay's disk takes seconds for what took milliseconds, and power is cut before it has done: what was not said to be
    /// durable may be gone, and nothing else.
    pub(super) fn relay_slow_cut(&mut self, at: Millis, chance: &mut Chance) {
        self.push_relay(at, RelayDeed::SyncTakes(*chance.pick(&[2_000, 6_000, 15_000])));
        let cut = at + chance.between(SECOND, 25 * SECOND);
        self.push_relay(cut, RelayDeed::PowerCut);
        self.push_relay(cut, RelayDeed::SyncTakes(self.relay.sync_millis));
        self.push_relay(cut + chance.between(5 * SECOND, 3 * MINUTE), RelayDeed::Start);
    }

    fn pair_of(&mut self, who: PersonId, at: Millis, begins: PersonDeed, end: Millis, ends: PersonDeed) {
        self.push(at, who, begins);
        self.push(end, who, ends);
    }

    /// A link's fault at the next time with a link, which ends at the latest with the link.
    fn link_fault(&mut self, deed: PersonDeed, who: PersonId, at: Millis, length: Millis) {
        let window = self.windows[usize::from(who)].iter().copied().find(|window| window.end > at + SECOND);
        let Some(window) = window else { return };
        let at = window.start.max(at) + 1;
        self.push(at, who, deed);
        // The last window has no end of its own.
        if at + length < window.end || window.end >= self.span {
            self.push((at + length).min(window.end.max(at + 1)), who, PersonDeed::LinkUp);
        }
    }

    /// A clock jumps, and mostly somebody sets it right.
    fn clock_fault(&mut self, who: PersonId, at: Millis, length: Millis, chance: &mut Chance) {
        let minutes = jump(chance);
        self.push(at, who, PersonDeed::ClockJump(minutes));
        if chance.happens(75) {
            self.push(at + length.clamp(MINUTE, 12 * HOUR), who, PersonDeed::ClockJump(-minutes));
        }
    }
}

/// Draws how far a clock jumps, minutes: from what nobody notices to the year of the factory.
fn jump(chance: &mut Chance) -> i32 {
    let most = *chance.weighted(&[(3, 10), (3, 180), (3, 2 * 24 * 60), (2, 40 * 24 * 60)]);
    if chance.happens(12) { -365 * 24 * 60 } else { signed(chance, most) }
}

//! Somebody who means harm.

use super::Making;
use crate::chance::Chance;
use crate::sim::plan::{AttackerDeed, Deed, Event, HOUR, MINUTE, Millis, RelayDeed, SECOND};

/// How often somebody's first words are held back in the life of a world: a relay that starts again meanwhile takes none of them.
const HELD_BACK: usize = 3;

impl Making {
    /// Links are overheard, packets kept and sent again, the relay is flooded and guessed at.
    pub(super) fn harm(&mut self) {
        if self.pace.harm == 0 {
            return;
        }
        let mut chance = self.chance.fork("harm");
        self.overhear(&mut chance);
        let mut at = chance.wait(self.pace.harm);
        while at < self.span {
            let of = self.anybody(&mut chance);
            let deed = match chance.below(100) {
                0..35 => AttackerDeed::ReplayDatagrams { of, seconds: small(&mut chance, 1, 900) },
                35..50 => AttackerDeed::Flood { connections: below_u16(&mut chance, 10, 200) },
                50..58 => AttackerDeed::Hoard { parcels: below_u16(&mut chance, 2, 60) },
                58..64 => {
                    // The moment when the disk has much to do is the best for them.
                    let millis = *chance.pick(&[2_000, 4_000, 10_000]);
                    self.push_relay(at, RelayDeed::SyncTakes(millis));
                    self.push_relay(at + 2 * MINUTE, RelayDeed::SyncTakes(self.relay.sync_millis));
                    at += 10 * SECOND;
                    AttackerDeed::Pour { requests: below_u16(&mut chance, 1_500, 4_000) }
                }
                64..80 => AttackerDeed::Guess { tries: below_u16(&mut chance, 5, 80) },
                _ => AttackerDeed::Truncate { of, seconds: small(&mut chance, 1, 90) },
            };
            // Whoever watches a link acts when there is something to see.
            let seen = match &deed {
                AttackerDeed::ReplayDatagrams { .. } | AttackerDeed::Truncate { .. } => {
                    self.time_to_watch(of, at, &mut chance)
                }
                _ => at,
            };
            self.push_harm(seen, deed);
            at += chance.wait(self.pace.harm);
        }
        self.hold_back();
    }

    /// What a phone says first is held back, for long enough that a relay that believed it would move a bucket.
    fn hold_back(&mut self) {
        let mut chance = self.chance.fork("held back");
        let last = self.events.iter().map(|event| event.at).max().unwrap_or(0);
        for _ in 0..HELD_BACK {
            let hours = below_u16(&mut chance, 6, 20);
            let Some(latest) = last.checked_sub(u64::from(hours) * HOUR).filter(|latest| *latest > 0) else { continue };
            self.push_harm(chance.below(latest), AttackerDeed::HoldBack { hours });
        }
    }

    /// Links on their way are opened by whoever overheard them: before the invited, or after.
    fn overhear(&mut self, chance: &mut Chance) {
        for couple in self.couples.clone() {
            if couple.in_person || !chance.happens(35) {
                continue;
            }
            let after = chance.below(couple.link_takes * 2 + 60 * SECOND);
            let deed = AttackerDeed::StealLink { from: couple.inviter, to: couple.invited };
            self.push_harm(couple.at + 5 * SECOND + after, deed);
        }
    }

    fn time_to_watch(&self, of: u8, at: Millis, chance: &mut Chance) -> Millis {
        let begins = self.next_link(of, at).unwrap_or(at);
        let window = self.windows[usize::from(of)].iter().find(|window| window.end > begins);
        let most = window.map_or(SECOND, |window| window.end - begins).min(600 * SECOND);
        begins + chance.below(most.max(1))
    }

    fn push_harm(&mut self, at: Millis, deed: AttackerDeed) {
        self.events.push(Event { at, deed: Deed::Attacker(deed) });
    }
}

fn small(chance: &mut Chance, low: u64, high: u64) -> u32 {
    u32::try_from(chance.between(low, high)).expect("small")
}

fn below_u16(chance: &mut Chance, low: u64, high: u64) -> u16 {
    u16::try_from(chance.between(low, high)).expect("small")
}

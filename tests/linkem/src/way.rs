//! One direction of a standing link: the model decides, this keeps what is on its way and counts what came of it. Pure.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::time::Duration;

use zajil_net::links::{Counters, DropCause, Fate, LinkSettings, OneWay};

/// Of which protocol a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Icmp,
    Other,
}

impl Protocol {
    /// All, in the order of [`Way::delivered`].
    pub(crate) const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Icmp, Self::Other];

    /// Reads an IP header (RFC 791 §3.1, RFC 8200 §3). Extension headers are not walked: QUIC and TCP have none here.
    pub(crate) fn of(packet: &[u8]) -> Self {
        let number = match packet {
            [first, ..] if first >> 4 == 4 => packet.get(9),
            [first, ..] if first >> 4 == 6 => packet.get(6),
            _ => None,
        };
        match number {
            Some(6) => Self::Tcp,
            Some(17) => Self::Udp,
            Some(1 | 58) => Self::Icmp,
            _ => Self::Other,
        }
    }

    /// Returns its name in small letters.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Other => "other",
        }
    }
}

/// Packets and their bytes, IP header included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Count {
    fn add(&mut self, packet: &[u8]) {
        self.packets += 1;
        self.bytes += length(packet);
    }

    fn take(&mut self, packet: &[u8]) {
        self.packets -= 1;
        self.bytes -= length(packet);
    }
}

/// A packet that will arrive.
#[derive(Debug)]
pub(crate) struct Flying {
    /// When.
    pub(crate) at: Duration,
    /// When it was offered.
    pub(crate) offered: Duration,
    /// How many were offered before it. A duplicate has the number of its twin.
    pub(crate) number: u64,
    /// Its bytes.
    pub(crate) packet: Box<[u8]>,
    /// Which was entered first, of those that arrive at the same time.
    turn: u64,
}

/// One direction of a link.
#[derive(Debug)]
pub(crate) struct Way {
    link: OneWay,
    flying: BinaryHeap<Reverse<Flying>>,
    turns: u64,
    inside: Count,
    delivered: [Count; 4],
    refused: Count,
    first_offer: Option<Duration>,
    last_delivery: Option<Duration>,
}

impl Way {
    /// Nothing is on its way yet.
    pub(crate) fn new(link: OneWay) -> Self {
        Self {
            link,
            flying: BinaryHeap::new(),
            turns: 0,
            inside: Count::default(),
            delivered: [Count::default(); 4],
            refused: Count::default(),
            first_offer: None,
            last_delivery: None,
        }
    }

    /// Takes a packet in; returns its number, and why it will not arrive if it will not.
    pub(crate) fn offer(&mut self, now: Duration, packet: &[u8]) -> (u64, Option<DropCause>) {
        self.first_offer.get_or_insert(now);
        let number = self.link.counters().offered;
        let fate = match Protocol::of(packet) {
            Protocol::Udp => self.link.offer(now, packet.len()),
            Protocol::Tcp | Protocol::Icmp | Protocol::Other => self.link.offer_other(now, packet.len()),
        };
        match fate {
            Fate::Dropped(cause) => (number, Some(cause)),
            Fate::Arrives { at, again, .. } => {
                for at in [Some(at), again].into_iter().flatten() {
                    self.inside.add(packet);
                    self.turns += 1;
                    let flying = Flying { at, offered: now, number, packet: packet.into(), turn: self.turns };
                    self.flying.push(Reverse(flying));
                }
                (number, None)
            }
        }
    }

    /// Returns when the next packet arrives.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.flying.peek().map(|Reverse(flying)| flying.at)
    }

    /// Takes the next packet that has arrived by now.
    pub(crate) fn take_due(&mut self, now: Duration) -> Option<Flying> {
        let Reverse(flying) = self.flying.peek_mut().filter(|next| next.0.at <= now).map(PeekMut::pop)?;
        self.inside.take(&flying.packet);
        Some(flying)
    }

    /// Counts a packet that was handed to the other end, or that it `refused`.
    pub(crate) fn count(&mut self, now: Duration, packet: &[u8], refused: bool) {
        if refused {
            return self.refused.add(packet);
        }
        self.last_delivery = Some(now);
        let protocol = Protocol::of(packet);
        let counts = Protocol::ALL.iter().zip(&mut self.delivered);
        for (_, count) in counts.filter(|(known, _)| **known == protocol) {
            count.add(packet);
        }
    }

    /// Returns what the link does.
    pub(crate) const fn settings(&self) -> &LinkSettings {
        self.link.settings()
    }

    /// Returns what the model has counted. What it says is delivered may be on its way yet.
    pub(crate) const fn counters(&self) -> &Counters {
        self.link.counters()
    }

    /// Returns what was handed to the other end, by protocol.
    pub(crate) fn delivered(&self) -> impl Iterator<Item = (Protocol, Count)> {
        Protocol::ALL.into_iter().zip(self.delivered)
    }

    /// Returns what was handed to the other end, of all protocols.
    pub(crate) fn delivered_in_all(&self) -> Count {
        let add =
            |sum: Count, count: &Count| Count { packets: sum.packets + count.packets, bytes: sum.bytes + count.bytes };
        self.delivered.iter().fold(Count::default(), add)
    }

    /// Returns what will arrive and has not yet.
    pub(crate) const fn inside(&self) -> Count {
        self.inside
    }

    /// Returns what the other end did not take, as one that is down.
    pub(crate) const fn refused(&self) -> Count {
        self.refused
    }

    /// Returns when the first packet was offered, and when the last was delivered.
    pub(crate) const fn first_and_last(&self) -> (Option<Duration>, Option<Duration>) {
        (self.first_offer, self.last_delivery)
    }

    /// Says whether everything that was offered is accounted for.
    pub(crate) fn balances(&self) -> bool {
        let (counters, delivered) = (self.link.counters(), self.delivered_in_all());
        let packets = delivered.packets + counters.dropped() + self.refused.packets + self.inside.packets;
        let bytes = delivered.bytes + counters.dropped_bytes + self.refused.bytes + self.inside.bytes;
        (packets, bytes) == (counters.offered + counters.duplicated, counters.offered_bytes + counters.duplicated_bytes)
    }
}

impl PartialEq for Flying {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Flying {}

impl PartialOrd for Flying {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Flying {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.turn).cmp(&(other.at, other.turn))
    }
}

fn length(packet: &[u8]) -> u64 {
    u64::try_from(packet.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use zajil_net::links::{Loss, Profile};

    use super::*;

    const UDP: u8 = 17;

    fn packet(protocol: u8, length: usize) -> Vec<u8> {
        let mut packet = vec![0; length];
        (packet[0], packet[9]) = (0x45, protocol);
        packet
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_protocol_is_read_from_either_header() {
        let six = |next| [&[0x60, 0, 0, 0, 0, 0, next][..], &[0; 40]].concat();
        assert_eq!([6, 17, 1, 50].map(|number| Protocol::of(&packet(number, 40))), Protocol::ALL);
        assert_eq!([6, 17, 58, 0].map(|number| Protocol::of(&six(number))), Protocol::ALL);
        assert_eq!([&[][..], &[0x45], &[0x60, 0]].map(Protocol::of), [Protocol::Other; 3]);
    }

    #[test]
    fn packets_come_out_when_the_model_says_and_in_its_order() {
        let settings = LinkSettings { rate_bits: Some(8_000), delay: millis(10), ..LinkSettings::default() };
        let mut way = Way::new(OneWay::new(settings, 1));
        for length in [100, 200] {
            way.offer(Duration::ZERO, &packet(UDP, length));
        }
        assert_eq!((way.next_at(), way.take_due(millis(109)).is_none()), (Some(millis(110)), true));
        let first = way.take_due(millis(110)).unwrap();
        assert_eq!((first.number, first.packet.len(), first.at), (0, 100, millis(110)));
        assert_eq!(way.inside(), Count { packets: 1, bytes: 200 });
        assert_eq!(way.take_due(millis(999)).unwrap().at, millis(310));
        assert_eq!((way.next_at(), way.inside()), (None, Count::default()));
    }

    #[test]
    fn what_arrives_at_one_time_comes_in_the_order_it_was_offered() {
        let mut way = Way::new(OneWay::new(LinkSettings::default(), 1));
        for _ in 0..100 {
            way.offer(Duration::ZERO, &packet(UDP, 60));
        }
        let numbers = std::iter::from_fn(|| way.take_due(Duration::ZERO)).map(|flying| flying.number);
        assert!(numbers.eq(0..100));
    }

    #[test]
    fn the_fates_of_a_seed_are_those_of_the_model() {
        let (up, down) = Profile::Siege.settings();
        let (mut model, _) = OneWay::both(up.clone(), down.clone(), 7);
        let mut way = Way::new(OneWay::both(up, down, 7).0);
        for nth in 0..500 {
            let (now, length) = (millis(nth * 150), 100 + usize::try_from(nth).unwrap());
            let (number, dropped) = way.offer(now, &packet(UDP, length));
            let expected = model.offer(now, length);
            assert_eq!((number, dropped.map(Fate::Dropped)), (nth, Some(expected).filter(|_| dropped.is_some())));
        }
        assert!(way.counters().lost > 50 && way.counters() == model.counters());
    }

    #[test]
    fn everything_is_accounted_for_whatever_happens() {
        let settings = LinkSettings {
            rate_bits: Some(800_000),
            loss: Loss::Random { lost_ppm: 100_000 },
            duplicate_ppm: 100_000,
            queue_packets: 5,
            blocks_udp: true,
            ..LinkSettings::default()
        };
        let mut way = Way::new(OneWay::new(settings, 3));
        for nth in 0..1_000 {
            let now = millis(nth * 2);
            way.offer(now, &packet(if nth % 7 == 0 { UDP } else { 6 }, 100 + usize::try_from(nth % 300).unwrap()));
            while let Some(flying) = way.take_due(now) {
                way.count(now, &flying.packet, flying.number % 11 == 0);
            }
            assert!(way.balances());
        }
        let counters = way.counters();
        let all = [counters.lost, counters.duplicated, counters.queue_full, counters.blocked, way.refused().packets];
        assert!(all.iter().all(|count| *count > 10), "{all:?}");
        let tcp = way.delivered().find(|(protocol, _)| *protocol == Protocol::Tcp).unwrap().1;
        assert_eq!(tcp, way.delivered_in_all());
    }
}

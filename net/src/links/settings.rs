use core::time::Duration;

use crate::links::Windows;

/// Packets that wait in a queue where nobody said otherwise.
const QUEUE_PACKETS: usize = 1_000;
/// Bytes that wait in a queue where nobody said otherwise: a thousand full packets.
const QUEUE_BYTES: usize = 1_500_000;
/// Largest IP packet where nobody said otherwise: what Ethernet carries.
const MTU_BYTES: usize = 1_500;
/// How much later a reordered packet comes where nobody said otherwise.
const REORDER_DELAY: Duration = Duration::from_millis(50);

/// What one direction of a link does to packets. All chances are parts of a million.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkSettings {
    /// Bits a second, IP header included; `None` sends everything at once. Zero carries nothing.
    pub rate_bits: Option<u64>,
    /// Time from the end of sending to arrival.
    pub delay: Duration,
    /// How much arrival differs from `delay`, either way, as `jitter_shape` says.
    pub jitter: Duration,
    /// What `jitter` means.
    pub jitter_shape: JitterShape,
    /// Whether jitter may let packets overtake each other. Without it, a packet waits for the one before it.
    pub jitter_reorders: bool,
    /// Bytes that may wait, the packet being sent not among them.
    pub queue_bytes: usize,
    /// Packets that may wait, likewise.
    pub queue_packets: usize,
    /// Largest packet, bytes, IP header included.
    pub mtu_bytes: usize,
    /// Bytes that each packet takes on the air besides its own, as of a link's header. No counter has them.
    pub overhead_bytes: usize,
    /// Whether UDP is dropped, as behind a firewall that lets only TCP pass.
    pub blocks_udp: bool,
    /// What is lost on the air, after it was sent: a lost packet has used its time.
    pub loss: Loss,
    /// Chance that a packet arrives twice.
    pub duplicate_ppm: u32,
    /// Chance that a packet comes `reorder_delay` later than its turn; those behind it do not wait.
    pub reorder_ppm: u32,
    /// How much later.
    pub reorder_delay: Duration,
    /// When the link is there.
    pub windows: Windows,
    /// What becomes of packets while it is not.
    pub outage: Outage,
}

/// How jitter is spread around the delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JitterShape {
    /// `jitter` is the most, and all values are alike.
    #[default]
    Uniform,
    /// `jitter` is the standard deviation of a normal distribution; no packet arrives before it has left.
    Normal,
}

/// What becomes of packets while a link is not there. What is in the air by then arrives in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outage {
    /// What is offered, waits, or is being sent is lost.
    #[default]
    Loses,
    /// What is offered waits, as far as the queue takes it, and sending goes on where it stopped.
    Holds,
}

impl Default for LinkSettings {
    /// A link that does nothing to anything.
    fn default() -> Self {
        Self {
            rate_bits: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            jitter_shape: JitterShape::Uniform,
            jitter_reorders: false,
            queue_bytes: QUEUE_BYTES,
            queue_packets: QUEUE_PACKETS,
            mtu_bytes: MTU_BYTES,
            overhead_bytes: 0,
            blocks_udp: false,
            loss: Loss::None,
            duplicate_ppm: 0,
            reorder_ppm: 0,
            reorder_delay: REORDER_DELAY,
            windows: Windows::Always,
            outage: Outage::Loses,
        }
    }
}

/// Which packets are lost on the air. Chances are parts of a million; chains start in their stationary state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// None.
    None,
    /// Each for itself.
    Random {
        /// Chance of each packet.
        lost_ppm: u32,
    },
    /// Gilbert-Elliott, one step for each packet: hard on whoever sends little, for a bad spell waits for packets.
    Bursts {
        /// Chance that a good spell ends with the next packet.
        good_to_bad_ppm: u32,
        /// Chance that a bad spell ends with the next packet.
        bad_to_good_ppm: u32,
        /// Chance of loss in a bad spell.
        lost_bad_ppm: u32,
        /// Chance of loss in a good spell.
        lost_good_ppm: u32,
    },
    /// Gilbert-Elliott in time: spells of exponential length, whether anybody sends or not.
    Spells {
        /// Mean length of a good spell.
        good: Duration,
        /// Mean length of a bad spell.
        bad: Duration,
        /// Chance of loss in a bad spell.
        lost_bad_ppm: u32,
        /// Chance of loss in a good spell.
        lost_good_ppm: u32,
    },
}

/// A link known by name, with the figures that the whole project measures by.
///
/// | name | round trip | down / up | loss each way | MTU | queue |
/// |---|---|---|---|---|---|
/// | `none` | 0 | no limit | 0 | 1500 | |
/// | `lan` | 1 ms | 100 / 100 Mbit/s | 0 | 1500 | 250 kB |
/// | `3g` | 100 ± 10 ms | 1 Mbit/s / 384 kbit/s | 1 % | 1400 | 64 kB |
/// | `edge` | 400 ± 40 ms | 120 / 60 kbit/s | 2 % | 1400 | 32 kB |
/// | `gprs` | 700 ± 100 ms | 40 / 20 kbit/s | 5 % | 1400 | 24 kB |
/// | `vsat` | 600 ± 10 ms | 512 / 128 kbit/s | 1 % in bursts of 5 | 1500 | 64 kB |
/// | `siege` | 400 ± 40 ms | 120 / 60 kbit/s | 20 % in bursts of 4 | 1400 | 32 kB |
/// | `windows` | edge, there 10 s in every 60 s | | 2 % | 1400 | 32 kB |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Nothing is impaired.
    None,
    /// A local network.
    Lan,
    /// Third-generation mobile.
    ThirdGeneration,
    /// Second-generation mobile at its best.
    Edge,
    /// Second-generation mobile at its worst.
    Gprs,
    /// A small satellite terminal.
    Vsat,
    /// `edge` with a fifth lost, in bursts, in place of its own loss.
    Siege,
    /// `edge` that is there for ten seconds of every minute.
    Windows,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 8] =
        [Self::None, Self::Lan, Self::ThirdGeneration, Self::Edge, Self::Gprs, Self::Vsat, Self::Siege, Self::Windows];

    /// Finds a profile by the name in the table.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Returns the name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lan => "lan",
            Self::ThirdGeneration => "3g",
            Self::Edge => "edge",
            Self::Gprs => "gprs",
            Self::Vsat => "vsat",
            Self::Siege => "siege",
            Self::Windows => "windows",
        }
    }

    /// Returns both directions: up (away from the device), then down.
    pub fn settings(self) -> (LinkSettings, LinkSettings) {
        let both = |up_bits, down_bits, link: LinkSettings| {
            let up = LinkSettings { rate_bits: Some(up_bits), ..link.clone() };
            (up, LinkSettings { rate_bits: Some(down_bits), ..link })
        };
        let edge = mobile(200, 20, 32_000, Loss::Random { lost_ppm: 20_000 });
        let edged = |link| both(60_000, 120_000, link);
        match self {
            Self::None => (LinkSettings::default(), LinkSettings::default()),
            Self::Lan => {
                let delay = Duration::from_micros(500);
                both(100_000_000, 100_000_000, LinkSettings { delay, queue_bytes: 250_000, ..LinkSettings::default() })
            }
            Self::ThirdGeneration => both(384_000, 1_000_000, mobile(50, 5, 64_000, Loss::Random { lost_ppm: 10_000 })),
            Self::Edge => edged(edge),
            Self::Gprs => both(20_000, 40_000, mobile(350, 50, 24_000, Loss::Random { lost_ppm: 50_000 })),
            // Mean loss 2 020 ÷ (2 020 + 200 000) = 1 %, mean burst 1 ÷ 0.2 = 5 packets.
            Self::Vsat => {
                let vsat = mobile(300, 5, 64_000, bursts(2_020, 200_000));
                both(128_000, 512_000, LinkSettings { mtu_bytes: MTU_BYTES, ..vsat })
            }
            // Mean loss 62 500 ÷ (62 500 + 250 000) = 20 %, mean burst 1 ÷ 0.25 = 4 packets.
            Self::Siege => edged(LinkSettings { loss: bursts(62_500, 250_000), ..edge }),
            Self::Windows => {
                let (up, down) = (Duration::from_secs(10), Duration::from_secs(50));
                edged(LinkSettings { windows: Windows::Cycle { up, down, offset: Duration::ZERO }, ..edge })
            }
        }
    }
}

/// A link over the air: 1 400 bytes a packet, `delay` and `jitter` in milliseconds.
fn mobile(delay: u64, jitter: u64, queue_bytes: usize, loss: Loss) -> LinkSettings {
    LinkSettings {
        delay: Duration::from_millis(delay),
        jitter: Duration::from_millis(jitter),
        queue_bytes,
        mtu_bytes: 1_400,
        loss,
        ..LinkSettings::default()
    }
}

/// Every packet of a bad spell is lost, none of a good one.
const fn bursts(good_to_bad_ppm: u32, bad_to_good_ppm: u32) -> Loss {
    Loss::Bursts { good_to_bad_ppm, bad_to_good_ppm, lost_bad_ppm: super::chance::MILLION, lost_good_ppm: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name() {
        for profile in Profile::ALL {
            assert_eq!(Profile::named(profile.name()), Some(profile));
        }
        assert_eq!(Profile::named("fibre"), None);
    }

    #[test]
    fn siege_and_windows_are_edge_but_for_what_their_names_say() {
        let ((edge, down), (siege, _)) = (Profile::Edge.settings(), Profile::Siege.settings());
        assert_eq!((edge.rate_bits, down.rate_bits), (Some(60_000), Some(120_000)));
        assert_eq!(LinkSettings { loss: edge.loss, ..siege }, edge);
        let (windows, _) = Profile::Windows.settings();
        assert_eq!(LinkSettings { windows: Windows::Always, ..windows }, edge);
    }
}

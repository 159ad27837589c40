//! `linkem check`: whether links on this machine are what they should be.
//!
//! What they should be is asked of the model itself: the round trip of a packet, the rate of a full link, and exactly which
//! packets a seed loses.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, stdout};
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use zajil_net::links::{Fate, LinkSettings, OneWay, Profile};

use crate::arguments::{CheckArguments, Ends};
use crate::commands::be_punctual;
use crate::errors::LinkError;
use crate::link::Link;
use crate::probe::{Direction, Probe};
use crate::report::{self, Report};
use crate::signals::{Signal, Signals};

/// Exit status when a figure was not right.
const NOT_RIGHT: u8 = 1;
/// Round trips measured.
const ROUND_TRIPS: usize = 10;
/// Size of what goes round: what `ping` sends.
const ROUND_TRIP_BYTES: usize = 84;
/// Size of what fills a link: an IPv4 packet of a QUIC that has not looked for a larger one.
const FULL_BYTES: usize = 1_228;
/// How long a link is kept full; at least [`FULL_PACKETS_MIN`].
const FULL_TIME: Duration = Duration::from_secs(2);
/// Fewer would say little about a rate.
const FULL_PACKETS_MIN: u64 = 8;
/// Packets offered to see which are lost.
const LOSS_PACKETS: u32 = 2_000;
/// Their size.
const LOSS_BYTES: usize = 60;
/// How far the least round trip may be from the exact one: the kernel and who measures take some of it.
const ROUND_TRIP_SLACK: Duration = Duration::from_millis(1);
/// How far a rate may be off, in parts of a million: what being woken late by 20 ms makes of [`FULL_TIME`].
const RATE_SLACK_PPM: u128 = 10_000;

/// Something that was measured.
struct Figure {
    name: &'static str,
    right: bool,
    measured: Value,
}

/// What measuring came to: figures and how late packets were, or the signal that called it off.
enum Measured {
    Figures(Vec<Figure>, Value),
    CalledOff(u8),
}

/// Measures each profile, and tells a line for each figure.
pub(crate) fn check(arguments: &CheckArguments) -> Result<u8, LinkError> {
    let mut signals = Signals::listen()?;
    let mut report = Report::new(None, Box::new(stdout()))?;
    if !arguments.no_rt {
        be_punctual();
    }
    let usual = [Profile::Lan, Profile::Edge, Profile::Gprs];
    let profiles = if arguments.profile.is_empty() { &usual[..] } else { &arguments.profile };
    let mut right = true;
    for profile in profiles {
        for stage in [timing, losses] {
            let (figures, late) = match stage(*profile, arguments.seed, &mut signals)? {
                Measured::Figures(figures, late) => (figures, late),
                Measured::CalledOff(number) => return Ok(128 + number),
            };
            for Figure { name, right: figure_right, measured } in figures {
                right &= figure_right;
                report.tell(&json!({
                    "event": "check",
                    "profile": profile.name(),
                    "figure": name,
                    "right": figure_right,
                    "measured": measured,
                    "late": late,
                }))?;
            }
        }
    }
    Ok(if right { 0 } else { NOT_RIGHT })
}

/// Round trip and rates, of a link without chance.
fn timing(profile: Profile, seed: u64, signals: &mut Signals) -> Result<Measured, LinkError> {
    let (up, down) = profile.settings();
    let (up, down) = (without_chance(up), without_chance(down));
    let wanted = exact_round_trip(&up, &down);
    let (ways, settings) = ([(Direction::Up, up.clone()), (Direction::Down, down.clone())], (up, down));
    measure(settings, seed, signals, |probe| {
        let mut trips = probe.round_trips(ROUND_TRIPS, ROUND_TRIP_BYTES)?;
        trips.sort_unstable();
        let mut figures = vec![round_trip_figure(&trips, wanted)];
        for (way, settings) in ways {
            if let Some(rate) = settings.rate_bits {
                let count = full_packets(rate);
                figures.push(rate_figure(way, rate, count, probe.spread(way, count, FULL_BYTES)?));
            }
        }
        Ok(figures)
    })
}

/// Which packets are lost, of a link that does nothing else.
fn losses(profile: Profile, seed: u64, signals: &mut Signals) -> Result<Measured, LinkError> {
    let (up, down) = profile.settings();
    let only_loss = |link: LinkSettings| LinkSettings { loss: link.loss, ..LinkSettings::default() };
    let (up, down) = (only_loss(up), only_loss(down));
    let (model_up, model_down) = OneWay::both(up.clone(), down.clone(), seed);
    measure((up, down), seed, signals, |probe| {
        let ways = [(Direction::Up, model_up), (Direction::Down, model_down)];
        let figure = |(way, model)| {
            Ok(loss_figure(way, &expected_arrivals(model), &probe.arrivals(way, LOSS_PACKETS, LOSS_BYTES)?))
        };
        ways.into_iter().map(figure).collect()
    })
}

/// Brings a link up, and carries its packets while another thread measures.
fn measure(
    settings: (LinkSettings, LinkSettings),
    seed: u64,
    signals: &mut Signals,
    measuring: impl FnOnce(&Probe) -> io::Result<Vec<Figure>> + Send,
) -> Result<Measured, LinkError> {
    let failed = LinkError::system("could not measure");
    let process = std::process::id();
    let ends = Ends::named(format!("linkem-{process}-camp"), format!("linkem-{process}-town"));
    let mut link = Link::new(&ends, settings, seed, None)?;
    let probe = Probe::new(&link, ends.ip_a, ends.ip_b).map_err(&failed)?;
    let (bell, (done, measured)) = (signals.bell()?, mpsc::sync_channel(1));
    thread::scope(|scope| {
        let probe = &probe;
        scope.spawn(move || {
            let _rings_at_the_end = bell;
            // Nobody listens any more if it was called off.
            let _heard = done.send(measuring(probe));
        });
        loop {
            link.carry(signals.ear(), None).inspect_err(|_| probe.call_off())?;
            for signal in signals.arrived() {
                if let Signal::End(number) = signal {
                    probe.call_off();
                    return Ok(Measured::CalledOff(number));
                }
            }
            match measured.try_recv() {
                Ok(figures) => {
                    return Ok(Measured::Figures(figures.map_err(&failed)?, report::lateness(&link.lateness)));
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(failed(ErrorKind::BrokenPipe.into())),
            }
        }
    })
}

/// The link without what chance does, and with a queue that holds whatever it is filled with.
fn without_chance(link: LinkSettings) -> LinkSettings {
    let (rate_bits, delay, mtu_bytes) = (link.rate_bits, link.delay, link.mtu_bytes);
    let (queue_packets, queue_bytes) = (usize::MAX, usize::MAX);
    LinkSettings { rate_bits, delay, mtu_bytes, queue_packets, queue_bytes, ..LinkSettings::default() }
}

/// Asks the model how long a packet takes there and back.
fn exact_round_trip(up: &LinkSettings, down: &LinkSettings) -> Duration {
    let (mut up, mut down) = OneWay::both(up.clone(), down.clone(), 0);
    let arrival = |fate| match fate {
        Fate::Arrives { at, .. } => at,
        Fate::Dropped(_) => Duration::ZERO,
    };
    let there = arrival(up.offer(Duration::ZERO, ROUND_TRIP_BYTES));
    arrival(down.offer(there, ROUND_TRIP_BYTES))
}

/// Asks the model which packets arrive.
fn expected_arrivals(mut model: OneWay) -> BTreeSet<u32> {
    let arrives = |_: &u32| matches!(model.offer(Duration::ZERO, LOSS_BYTES), Fate::Arrives { .. });
    (0..LOSS_PACKETS).filter(arrives).collect()
}

/// Returns how many packets keep a link of this rate full.
fn full_packets(rate: u64) -> u32 {
    let bits = packet_bits();
    u32::try_from((rate * FULL_TIME.as_secs() / bits).max(FULL_PACKETS_MIN)).unwrap_or(u32::MAX)
}

fn packet_bits() -> u64 {
    u64::try_from(FULL_BYTES * 8).unwrap_or(u64::MAX)
}

fn round_trip_figure(sorted: &[Duration], wanted: Duration) -> Figure {
    let millis = |time: Option<&Duration>| time.copied().map(report::millis);
    let least = sorted.first().copied().unwrap_or_default();
    let measured = json!({
        "wanted_ms": millis(Some(&wanted)),
        "least_ms": millis(sorted.first()),
        "median_ms": millis(sorted.get(sorted.len() / 2)),
        "most_ms": millis(sorted.last()),
    });
    Figure { name: "round trip", right: least >= wanted && least - wanted <= ROUND_TRIP_SLACK, measured }
}

fn rate_figure(way: Direction, rate: u64, count: u32, spread: Duration) -> Figure {
    // What the first packet took is not in the time.
    let bits = u128::from(packet_bits()) * u128::from(count.saturating_sub(1));
    let got = (bits * 1_000_000_000).checked_div(spread.as_nanos()).unwrap_or(0);
    let off = got.abs_diff(u128::from(rate));
    let name = match way {
        Direction::Up => "rate up",
        Direction::Down => "rate down",
    };
    let measured = json!({ "wanted_bps": rate, "bps": u64::try_from(got).unwrap_or(u64::MAX), "packets": count });
    Figure { name, right: off * 1_000_000 <= u128::from(rate) * RATE_SLACK_PPM, measured }
}

fn loss_figure(way: Direction, wanted: &BTreeSet<u32>, arrived: &BTreeSet<u32>) -> Figure {
    let lost = |arrived: &BTreeSet<u32>| usize::try_from(LOSS_PACKETS).unwrap_or(0) - arrived.len();
    let name = match way {
        Direction::Up => "loss up",
        Direction::Down => "loss down",
    };
    let others = wanted.symmetric_difference(arrived).count();
    let measured = json!({
        "packets": LOSS_PACKETS,
        "wanted_lost": lost(wanted),
        "lost": lost(arrived),
        "with_another_fate": others,
    });
    Figure { name, right: others == 0, measured }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_round_trip_of_edge_is_what_its_table_says() {
        let (up, down) = Profile::Edge.settings();
        let (up, down) = (without_chance(up), without_chance(down));
        // Twice 200 ms, and 84 bytes at 60 and 120 kbit/s.
        assert_eq!(exact_round_trip(&up, &down), Duration::from_micros(416_800));
    }

    #[test]
    fn a_figure_is_right_only_near_what_is_wanted() {
        let millis = Duration::from_millis;
        let round_trip = |least| round_trip_figure(&[millis(least), millis(900)], millis(416)).right;
        assert_eq!([415, 416, 417, 418].map(round_trip), [false, true, true, false]);
        let rate = |spread| rate_figure(Direction::Up, 9_824, 101, millis(spread)).right;
        assert_eq!([98_000, 99_500, 102_000].map(rate), [false, true, false]);
        let (all, fewer) = (BTreeSet::from_iter(0..2_000), BTreeSet::from_iter(1..2_000));
        assert!(!loss_figure(Direction::Up, &fewer, &all).right);
        let same = loss_figure(Direction::Up, &fewer, &fewer);
        assert_eq!((same.right, &same.measured["lost"]), (true, &json!(1)));
    }

    #[test]
    fn a_link_is_kept_full_for_two_seconds_or_eight_packets() {
        assert_eq!((full_packets(100_000_000), full_packets(20_000)), (20_358, 8));
    }
}

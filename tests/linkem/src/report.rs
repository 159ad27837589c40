//! What is told: a JSON object a line.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};
use zajil_net::links::{DropCause, JitterShape, LinkSettings, Loss, Outage, Profile, Windows};

use crate::arguments::{Ends, Way as WayArguments};
use crate::clock::processor_time;
use crate::errors::LinkError;
use crate::lateness::Lateness;
use crate::link::{Lane, Link};
use crate::trace::cause_name;
use crate::way::Count;

/// Where the lines go.
pub(crate) struct Report(Box<dyn Write>);

impl Report {
    /// Writes into a file, or else where `usual` says.
    pub(crate) fn new(file: Option<&Path>, usual: Box<dyn Write>) -> Result<Self, LinkError> {
        let Some(path) = file else { return Ok(Self(usual)) };
        let file = File::create(path).map_err(|source| LinkError::File { path: path.to_owned(), source })?;
        Ok(Self(Box::new(file)))
    }

    /// Writes one line.
    pub(crate) fn tell(&mut self, line: &Value) -> Result<(), LinkError> {
        let told = writeln!(self.0, "{line}").and_then(|()| self.0.flush());
        // Whoever has closed its end wants to hear no more; the link goes on.
        let told = told.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) });
        told.map_err(LinkError::system("could not write the figures"))
    }
}

/// A line that says what stands.
pub(crate) fn ready(link: &Link, settings: Value) -> Value {
    json!({
        "event": "ready",
        "start_monotonic_ns": nanos(link.clock.started()),
        "pid": std::process::id(),
        "settings": settings,
    })
}

/// A line with every figure.
pub(crate) fn figures(event: &str, link: &Link) -> Value {
    json!({
        "event": event,
        "t_s": link.clock.now().as_secs_f64(),
        "start_monotonic_ns": nanos(link.clock.started()),
        "loop": {
            "wakeups": link.wakeups,
            "late": lateness(&link.lateness),
            "cpu_s": processor_time().as_secs_f64(),
        },
        "up": figures_of_lane(&link.up, link.clock.now()),
        "down": figures_of_lane(&link.down, link.clock.now()),
    })
}

/// What a link was asked to be.
pub(crate) fn settings(way: &WayArguments, ends: &Ends) -> Value {
    json!({
        "link": link_settings(way),
        "ns": [ends.ns_a, ends.ns_b],
        "ip": [ends.ip_a, ends.ip_b],
        "ipv6": ends.ipv6,
        "tcp_cc": ends.tcp_cc,
        "sysctl": ends.sysctl.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>(),
    })
}

/// What a link was asked to do to packets.
pub(crate) fn link_settings(way: &WayArguments) -> Value {
    let (up, down) = way.settings();
    json!({ "profile": way.profile.name(), "seed": way.seed, "up": direction(&up), "down": direction(&down) })
}

/// A line for people that says what a profile is like.
pub(crate) fn profile(profile: Profile) -> String {
    let (up, down) = profile.settings();
    let rate =
        |link: &LinkSettings| link.rate_bits.map_or("any rate".to_owned(), |bits| format!("{} kbit/s", bits / 1_000));
    let loss = match up.loss {
        Loss::None => "nothing lost",
        Loss::Random { .. } => "random loss",
        Loss::Bursts { .. } | Loss::Spells { .. } => "loss in bursts",
    };
    let windows = if up.windows == Windows::Always { "" } else { ", in windows" };
    format!(
        "{:<8} {} up, {} down, {:?} ± {:?} each way, {loss}, packets up to {} bytes{windows}",
        profile.name(),
        rate(&up),
        rate(&down),
        up.delay,
        up.jitter,
        up.mtu_bytes,
    )
}

/// How late packets were handed over; nothing before the first.
pub(crate) fn lateness(lateness: &Lateness) -> Value {
    let Some(mean) = lateness.mean() else { return Value::Null };
    json!({
        "mean_us": mean.as_micros(),
        "p50_below_us": lateness.below(50).map(|time| time.as_micros()),
        "p99_below_us": lateness.below(99).map(|time| time.as_micros()),
        "max_us": lateness.max().as_micros(),
    })
}

fn figures_of_lane(lane: &Lane, now: Duration) -> Value {
    let (way, counters) = (&lane.way, lane.way.counters());
    let causes = [
        (DropCause::Outage, counters.outage),
        (DropCause::TooLarge, counters.too_large),
        (DropCause::QueueFull, counters.queue_full),
        (DropCause::Lost, counters.lost),
        (DropCause::Blocked, counters.blocked),
    ];
    let causes: Map<_, _> =
        causes.into_iter().map(|(cause, packets)| (cause_name(cause).to_owned(), json!(packets))).collect();
    let protocols: Map<_, _> =
        way.delivered().map(|(protocol, delivered)| (protocol.name().to_owned(), count(delivered))).collect();
    let (first_offer, last_delivery) = way.first_and_last();
    json!({
        "offered": { "packets": counters.offered, "bytes": counters.offered_bytes },
        "delivered": count(way.delivered_in_all()),
        "delivered_by_protocol": protocols,
        "duplicated": { "packets": counters.duplicated, "bytes": counters.duplicated_bytes },
        "reordered_packets": counters.reordered,
        "dropped": { "packets": counters.dropped(), "bytes": counters.dropped_bytes },
        "dropped_packets_by_cause": causes,
        "refused": count(way.refused()),
        "inside": count(way.inside()),
        "balanced": way.balances(),
        "queue_peak": { "packets": counters.waiting_max, "bytes": counters.waiting_bytes_max },
        "first_offer_s": first_offer.map(|time| time.as_secs_f64()),
        "last_delivery_s": last_delivery.map(|time| time.as_secs_f64()),
        "up_now": way.settings().windows.is_up(now),
    })
}

fn count(count: Count) -> Value {
    json!({ "packets": count.packets, "bytes": count.bytes })
}

fn direction(link: &LinkSettings) -> Value {
    json!({
        "rate_bps": link.rate_bits,
        "delay_ms": millis(link.delay),
        "jitter_ms": millis(link.jitter),
        "jitter_dist": match link.jitter_shape { JitterShape::Uniform => "uniform", JitterShape::Normal => "normal" },
        "jitter_reorder": link.jitter_reorders,
        "loss": loss(&link.loss),
        "dup_ppm": link.duplicate_ppm,
        "reorder_ppm": link.reorder_ppm,
        "reorder_delay_ms": millis(link.reorder_delay),
        "queue_bytes": link.queue_bytes,
        "queue_pkts": link.queue_packets,
        "mtu": link.mtu_bytes,
        "overhead_bytes": link.overhead_bytes,
        "block_udp": link.blocks_udp,
        "outage": windows(&link.windows),
        "outage_mode": match link.outage { Outage::Loses => "drop", Outage::Holds => "hold" },
    })
}

fn loss(loss: &Loss) -> Value {
    match *loss {
        Loss::None => Value::Null,
        Loss::Random { lost_ppm } => json!({ "kind": "random", "lost_ppm": lost_ppm }),
        Loss::Bursts { good_to_bad_ppm, bad_to_good_ppm, lost_bad_ppm, lost_good_ppm } => json!({
            "kind": "bursts by packet",
            "good_to_bad_ppm": good_to_bad_ppm,
            "bad_to_good_ppm": bad_to_good_ppm,
            "lost_bad_ppm": lost_bad_ppm,
            "lost_good_ppm": lost_good_ppm,
        }),
        Loss::Spells { good, bad, lost_bad_ppm, lost_good_ppm } => json!({
            "kind": "bursts in time",
            "mean_good_ms": millis(good),
            "mean_bad_ms": millis(bad),
            "lost_bad_ppm": lost_bad_ppm,
            "lost_good_ppm": lost_good_ppm,
        }),
    }
}

fn windows(windows: &Windows) -> Value {
    match windows {
        Windows::Always => Value::Null,
        Windows::Cycle { up, down, offset } => {
            json!({ "up_s": up.as_secs_f64(), "down_s": down.as_secs_f64(), "offset_s": offset.as_secs_f64() })
        }
        Windows::Spans { up, repeat } => {
            let spans: Vec<_> = up.iter().map(|(from, to)| [from.as_secs_f64(), to.as_secs_f64()]).collect();
            json!({ "up_spans_s": spans, "repeat_s": repeat.map(|time| time.as_secs_f64()) })
        }
    }
}

/// Returns a time in milliseconds, to the microsecond.
pub(crate) fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

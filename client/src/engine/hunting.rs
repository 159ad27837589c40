//! When a relay that was not met is dialled again, and how.
//!
//! Without any sign of it every try is one datagram: often while its link may come back at any moment, seldom after that. Any sign
//! begins anew.

use std::time::Duration;

use zajil_net::{DialOptions, KeyExchange, LinkClass, Pace, Transports};
use zajil_proto::time::Instant;
use zajil_proto::{reached, sabotaged};

use crate::limits::{
    HUNT_OFTEN_FOR_MILLIS, HUNT_OFTEN_MILLIS, HUNT_RARELY_MILLIS, HUNT_SELDOM_FOR_MILLIS, HUNT_SELDOM_MILLIS,
    HUNT_TLS_EACH, HUNT_TRY_MILLIS_MAX,
};

/// Looking for one relay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hunt {
    /// When there was the last sign of it, or somebody began to want it.
    since: Instant,
    /// Dials since then that found nothing.
    tries: u32,
    /// When to dial next.
    next: Instant,
}

impl Hunt {
    /// Begins, the first dial at `next`.
    pub(crate) const fn new(since: Instant, next: Instant) -> Self {
        Self { since, tries: 0, next }
    }

    /// Begins anew, the first dial at once and with one datagram.
    pub(crate) const fn quietly(now: Instant) -> Self {
        Self { since: now, tries: 1, next: now }
    }

    /// Begins after a dial that began at `began`.
    pub(crate) fn after(began: Instant, now: Instant) -> Self {
        Self::new(now, began.after(Duration::from_millis(HUNT_OFTEN_MILLIS)))
    }

    /// Returns when to dial next.
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// Notes that a dial that began at `began` has found nothing.
    /// `spent`: the day's bytes are used up.
    pub(crate) fn over(&mut self, began: Instant, now: Instant, spent: bool) {
        self.tries = self.tries.saturating_add(1);
        let mut pause = if spent { HUNT_RARELY_MILLIS } else { pause_millis(millis(now.since(self.since))) };
        if pause > HUNT_OFTEN_MILLIS && sabotaged!(RedialNeverSlows) {
            pause = HUNT_OFTEN_MILLIS;
        }
        self.next = began.after(Duration::from_millis(pause));
        if pause > HUNT_OFTEN_MILLIS {
            reached!(RedialSlow);
            if sabotaged!(RedialGivenUp) {
                self.next = Instant::from_millis(u64::MAX);
            }
        }
    }

    /// Returns how to dial now, where `options` are those of a link that is there.
    /// Where UDP did not pass when a relay was met last, each try joins TLS.
    pub(crate) fn options(&self, options: &DialOptions, udp_blocked: bool) -> DialOptions {
        if self.tries == 0 || sabotaged!(HuntsLoudly) {
            return options.clone();
        }
        let joins_tls =
            options.transports == Transports::Race && (udp_blocked || self.tries.is_multiple_of(HUNT_TLS_EACH));
        DialOptions {
            pace: Pace::OneDatagram,
            handshake_timeout: options.handshake_timeout.min(Duration::from_millis(HUNT_TRY_MILLIS_MAX)),
            transports: match options.transports {
                Transports::Race if !joins_tls => Transports::QuicOnly,
                other => other,
            },
            ..options.clone()
        }
    }
}

/// Returns which key exchange a dial offers: that of the link, and over one of which nothing is known what the program was told, but
/// nothing that takes a round trip more to a relay that may well not be there.
pub(crate) fn key_exchange(known: Option<LinkClass>, options: &DialOptions) -> KeyExchange {
    match known {
        Some(class) => class.key_exchange(),
        None if options.pace == Pace::OneDatagram => KeyExchange::Classical,
        None => options.key_exchange,
    }
}

/// Returns how far apart dials begin, so long after the last sign.
const fn pause_millis(since: u64) -> u64 {
    if since < HUNT_OFTEN_FOR_MILLIS {
        HUNT_OFTEN_MILLIS
    } else if since < HUNT_SELDOM_FOR_MILLIS {
        HUNT_SELDOM_MILLIS
    } else {
        HUNT_RARELY_MILLIS
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    /// Returns when a hunt dials, each dial over at once.
    fn dials(until: u64) -> Vec<u64> {
        let mut hunt = Hunt::new(Instant::default(), Instant::default());
        let mut dialled = Vec::new();
        while let now = hunt.next()
            && now <= Instant::from_millis(until)
        {
            dialled.push(millis(now.since(Instant::default())));
            hunt.over(now, now, false);
        }
        dialled
    }

    #[test]
    fn a_relay_is_looked_for_every_three_seconds_then_fifteen_then_sixty() {
        let dialled = dials(8 * 60 * MINUTE);
        let apart = |from: u64, to: u64| {
            let within: Vec<u64> = dialled.iter().copied().filter(|at| (from..to).contains(at)).collect();
            within.windows(2).map(|pair| pair[1] - pair[0]).collect::<std::collections::BTreeSet<u64>>()
        };
        assert_eq!(apart(0, 30 * MINUTE), [3_000].into());
        assert_eq!(apart(31 * MINUTE, 360 * MINUTE), [15_000].into());
        assert_eq!(apart(361 * MINUTE, 480 * MINUTE), [60_000].into());
    }

    #[test]
    fn the_first_dial_is_eager_and_the_others_cost_one_datagram() {
        let options = DialOptions::default();
        let mut hunt = Hunt::new(Instant::default(), Instant::default());
        assert_eq!(hunt.options(&options, false).pace, Pace::Eager);
        let mut tls = 0;
        for _ in 0..40 {
            hunt.over(hunt.next(), hunt.next(), false);
            let options = hunt.options(&options, false);
            assert_eq!(options.pace, Pace::OneDatagram);
            tls += u32::from(options.transports == Transports::Race);
        }
        assert_eq!(tls, 40 / HUNT_TLS_EACH, "a link that drops UDP is found too");
        hunt.over(hunt.next(), hunt.next(), false);
        assert_eq!(hunt.options(&options, false).transports, Transports::QuicOnly);
        assert_eq!(hunt.options(&options, true).transports, Transports::Race, "and at once where it is known to");
    }

    #[test]
    fn the_hybrid_key_exchange_is_offered_but_on_2g_and_in_one_datagram_over_who_knows_what() {
        let eager = DialOptions::default();
        let short = DialOptions { pace: Pace::OneDatagram, ..DialOptions::default() };
        let told = DialOptions { key_exchange: KeyExchange::Classical, ..DialOptions::default() };
        let hybrid = |known, options| key_exchange(known, options) == KeyExchange::Hybrid;
        assert!(hybrid(None, &eager) && !hybrid(None, &short) && !hybrid(None, &told));
        for options in [&eager, &short, &told] {
            assert!(hybrid(Some(LinkClass::Ordinary), options) && hybrid(Some(LinkClass::Satellite), options));
            assert!(!hybrid(Some(LinkClass::Slow), options) && !hybrid(Some(LinkClass::Slowest), options));
        }
    }

    #[test]
    fn who_has_used_up_the_days_bytes_looks_every_minute() {
        let mut hunt = Hunt::new(Instant::default(), Instant::default());
        hunt.over(Instant::default(), Instant::default(), true);
        assert_eq!(hunt.next(), Instant::from_millis(HUNT_RARELY_MILLIS));
    }

    #[test]
    fn after_a_meeting_that_lasted_the_next_dial_waits_for_nothing_and_is_eager() {
        let hunt = Hunt::after(Instant::default(), Instant::from_millis(90_000));
        assert!(hunt.next() <= Instant::from_millis(90_000));
        assert_eq!(hunt.options(&DialOptions::default(), false).pace, Pace::Eager);
    }
}

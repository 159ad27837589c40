//! Whether the other end is still heard while something is awaited from it.
//!
//! QUIC's own probes come at growing distances, up to minutes, and sleep through the seconds in which a link is there. So what
//! waits asks now and then for a sign of life, and a device that hears none for some seconds gives the connection up and begins
//! anew.

use core::time::Duration;

use tokio::time::Instant;

use crate::limits::{
    ASK_AFTER_MAX, ASK_AFTER_MIN, ASK_QUIET_PARTS, ASK_ROUND_TRIP_PARTS, KEEP_ALIVE, STALL_AFTER_MAX, STALL_AFTER_MIN,
    STALL_ROUND_TRIPS,
};

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing until then.
    Wait(Instant),
    /// Say something that has to be acknowledged, and look again then.
    Ask(Instant),
    /// Nothing was heard for too long.
    Silent,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Attention {
    /// Datagrams that had come when one last did.
    heard: u64,
    heard_at: Instant,
    asked_at: Instant,
    /// Since when nothing has come that was waited for, and nothing of ours was taken.
    quiet_since: Instant,
    /// When it was asked first since something was heard.
    unanswered_since: Option<Instant>,
    gives_up: bool,
}

impl Attention {
    /// Begins to listen: `heard` datagrams have come. Who `gives_up` calls a long silence the end.
    pub(crate) const fn new(now: Instant, heard: u64, gives_up: bool) -> Self {
        Self { heard, heard_at: now, asked_at: now, quiet_since: now, unanswered_since: None, gives_up }
    }

    /// Notes that something came that was waited for, or that something of ours was taken.
    pub(crate) const fn moved(&mut self, now: Instant) {
        self.quiet_since = now;
    }

    /// Looks what has come. `round_trip` is what the transport takes it for.
    pub(crate) fn look(&mut self, now: Instant, heard: u64, round_trip: Duration) -> Verdict {
        if heard != self.heard {
            self.heard = heard;
            self.heard_at = now;
            self.unanswered_since = None;
        }
        let often = (round_trip / ASK_ROUND_TRIP_PARTS).clamp(ASK_AFTER_MIN, ASK_AFTER_MAX);
        // A queue of our own making lengthens the round trip: who waits behind it is not gone.
        let stall = (round_trip * STALL_ROUND_TRIPS).clamp(STALL_AFTER_MIN, STALL_AFTER_MAX);
        if self.gives_up && self.unanswered_since.is_some_and(|since| now.duration_since(since) + often >= stall) {
            return Verdict::Silent;
        }
        // Who hears the other end, and not what it waits for, has time; so has who will not give up.
        let pause = if self.gives_up && self.unanswered_since.is_some() {
            often
        } else {
            often.max(now.duration_since(self.quiet_since) / ASK_QUIET_PARTS).min(KEEP_ALIVE)
        };
        let next = self.heard_at.max(self.asked_at) + pause;
        if next > now {
            return Verdict::Wait(next);
        }
        self.asked_at = now;
        self.unanswered_since.get_or_insert(now);
        Verdict::Ask(now + often)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(400);

    #[tokio::test(start_paused = true)]
    async fn who_is_heard_is_not_asked() {
        let start = Instant::now();
        let mut attention = Attention::new(start, 0, true);
        for step in 1..100_u32 {
            let now = start + ASK_AFTER_MIN / 2 * step;
            assert!(matches!(attention.look(now, step.into(), ROUND_TRIP), Verdict::Wait(_)), "{step}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_asked_about_several_times_and_then_given_up() {
        let start = Instant::now();
        let mut attention = Attention::new(start, 7, true);
        let (mut now, mut asked) = (start, 0);
        loop {
            match attention.look(now, 7, ROUND_TRIP) {
                Verdict::Wait(next) => now = next,
                Verdict::Ask(next) => (now, asked) = (next, asked + 1),
                Verdict::Silent => break,
            }
        }
        assert!(asked > 10, "{asked}");
        let after = now - start;
        assert!(after >= STALL_AFTER_MIN && after < STALL_AFTER_MIN + ASK_AFTER_MAX, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_long_for_what_does_not_come_asks_more_and_more_seldom() {
        for gives_up in [true, false] {
            let start = Instant::now();
            let (mut attention, mut now, mut heard) = (Attention::new(start, 0, gives_up), start, 0);
            let (mut asked, mut in_first_seconds, mut longest) = (0, 0, Duration::ZERO);
            let mut last = start;
            while now < start + Duration::from_secs(24 * 60 * 60) {
                match attention.look(now, heard, ROUND_TRIP) {
                    Verdict::Wait(next) => now = next,
                    Verdict::Ask(next) => {
                        // A device is answered; a relay is not.
                        heard += u64::from(gives_up);
                        asked += 1;
                        in_first_seconds += u32::from(now < start + Duration::from_secs(5));
                        longest = longest.max(now - last);
                        last = now;
                        now = next;
                    }
                    Verdict::Silent => panic!("it was heard"),
                }
            }
            assert!(in_first_seconds > 15, "{in_first_seconds}");
            assert!(asked < 6_500 && longest <= KEEP_ALIVE + ASK_AFTER_MAX, "{asked} {longest:?}");
            attention.moved(now);
            heard += 1;
            assert!(matches!(attention.look(now, heard, ROUND_TRIP), Verdict::Wait(at) if at <= now + ASK_AFTER_MAX));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_relay_that_falls_silent_late_is_given_up_as_soon() {
        let start = Instant::now();
        let mut attention = Attention::new(start, 0, true);
        let late = start + Duration::from_secs(60 * 60);
        let (mut now, mut asked) = (late, None);
        assert!(matches!(attention.look(late, 1, ROUND_TRIP), Verdict::Wait(_)));
        loop {
            match attention.look(now, 1, ROUND_TRIP) {
                Verdict::Wait(next) => now = next,
                Verdict::Ask(next) => {
                    asked.get_or_insert(now);
                    now = next;
                }
                Verdict::Silent => break,
            }
        }
        let silent_for = now - asked.expect("nobody is given up unasked");
        assert!(silent_for <= STALL_AFTER_MIN && silent_for + ASK_AFTER_MAX * 2 > STALL_AFTER_MIN, "{silent_for:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_relay_asks_and_never_gives_up() {
        let start = Instant::now();
        let mut attention = Attention::new(start, 0, false);
        assert!(matches!(attention.look(start + Duration::from_secs(100), 0, ROUND_TRIP), Verdict::Ask(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_queue_is_not_taken_for_silence() {
        let start = Instant::now();
        let mut attention = Attention::new(start, 0, true);
        let verdict = attention.look(start + STALL_AFTER_MIN, 0, Duration::from_secs(3));
        assert!(matches!(verdict, Verdict::Ask(_)), "{verdict:?}");
    }
}

//! Answers that are right, and each way in which one can mislead.

use zajil_client::engine::api::{Pairing, SeenPrecision};
use zajil_proto::time::Minute;

use crate::sim::oracle::cases::{BEGAN, Tale, answer, bucket, contact};
use crate::sim::plan::{Deed, PersonDeed, RelayDeed, TellsSeen};
use crate::sim::record::{Answer, Seen};

/// The good run, and one more answer in minute 90, as it is changed.
fn asked(change: impl Fn(&mut Answer)) -> Tale {
    let mut tale = Tale::good();
    let mut seen = answer(2, 1, 90, Some(3), Some(bucket(0, 6)));
    if let Seen::Answer(answer) = &mut seen {
        change(answer);
    }
    tale.add(90, seen);
    tale
}

#[test]
fn a_right_answer_is_right() {
    asked(|_| {}).is_good();
    asked(|answer| (answer.asked_relay, answer.view.fresh) = (false, false)).is_good();
}

#[test]
fn a_word_that_nobody_wrote_is_found() {
    asked(|answer| answer.serial = None).breaks(8, "a word is shown that nobody wrote");
    asked(|answer| answer.serial = Some(4)).breaks(8, "word 4 is shown, which they had not written");
    let mut tale = asked(|answer| answer.serial = Some(4));
    // Not even one that is written later.
    tale.write_word(1, 4, 95).breaks(8, "word 4 is shown");
}

#[test]
fn an_older_word_than_before_is_found_and_none_as_well() {
    let mut tale = asked(|answer| (answer.serial, answer.view.bucket) = (Some(2), None));
    tale.write_word(1, 2, 55);
    tale.breaks(8, "word 2 is shown, and word 3 was before");
    let none = |answer: &mut Answer| {
        (answer.serial, answer.view.bucket, answer.view.word) = (None, None, None);
        (answer.view.fresh, answer.asked_relay) = (false, false);
    };
    asked(none).breaks(8, "no word is shown");
    // Whoever shows nothing any more has taken it away.
    let mut tale = asked(none);
    tale.play(80, Deed::Person(1, PersonDeed::SetSeen { to: 2, tells: TellsSeen::Off })).is_good();
}

#[test]
fn a_word_that_comes_and_is_no_news_is_found() {
    asked(|answer| answer.view.news = None).breaks(8, "word 3 is shown, and nothing came ever");
    let newer = |news: u32| {
        let mut tale = asked(|answer| {
            answer.serial = Some(4);
            answer.view.news = Some(Minute(BEGAN + news));
        });
        tale.write_word(1, 4, 80);
        tale
    };
    newer(88).is_good();
    let shown = Tale::good().record.entries.iter().rev().find_map(|entry| match &entry.seen {
        Seen::Answer(answer) if (answer.by, answer.of) == (2, 1) => Some(answer.view.now.0 - BEGAN),
        _ => None,
    });
    newer(shown.unwrap() - 3).breaks(8, "word 4 is new, and nothing came since word 3");
    // Clocks that are put back make news older than it is.
    newer(shown.unwrap() - 3).play(85, Deed::Person(2, PersonDeed::ClockJump(-60))).is_good();
}

#[test]
fn an_answer_that_nobody_fetched_is_not_fresh() {
    asked(|answer| answer.asked_relay = false).breaks(8, "no relay was to be asked");
    let mut tale = asked(|_| {});
    tale.add(80, Seen::Link(2, false)).breaks(8, "no relay could be reached");
    let mut tale = asked(|_| {});
    tale.add(80, Seen::Relay(false)).add(95, Seen::Relay(true)).breaks(8, "no relay could be reached");
}

#[test]
fn a_fresh_answer_shows_what_the_relay_surely_had() {
    let mut tale = asked(|_| {});
    tale.write_word(1, 4, 80).breaks(8, "shows word Some(3); the relay had word 4");
    // It has not said that it has it, or has just said so.
    let mut tale = asked(|_| {});
    tale.write_word(1, 4, 80).without(|seen| matches!(seen, Seen::WordTaken { serial: 4, .. })).is_good();
    let mut tale = asked(|_| {});
    tale.write_word(1, 4, 89).is_good();
    // It has lost what it had.
    let mut tale = asked(|answer| answer.view.relay_is_older = true);
    tale.write_word(1, 4, 80).add(85, Seen::RelayStoreReplaced).is_good();
    // What is not called fresh may be old.
    let mut tale = asked(|answer| answer.view.fresh = false);
    tale.write_word(1, 4, 80).is_good();
}

#[test]
fn a_relay_that_lost_nothing_is_not_blamed() {
    asked(|answer| answer.view.relay_is_older = true).breaks(8, "it has lost none");
}

#[test]
fn a_relay_that_lost_a_word_is_not_covered() {
    let lost = |change: fn(&mut Answer)| {
        let mut tale = asked(change);
        tale.add(75, Seen::Link(1, false)).add(80, Seen::RelayStoreReplaced).add(95, Seen::Link(1, true));
        tale
    };
    lost(|_| {}).breaks(8, "the relay has lost word 3, and it is not said to be older");
    lost(|answer| answer.view.relay_is_older = true).is_good();
    lost(|answer| (answer.asked_relay, answer.view.fresh) = (false, false)).is_good();
    // What was copied when it was there is there again.
    lost(|_| {}).play(70, Deed::Relay(RelayDeed::DiskCopied)).is_good();
    let mut brought_again = asked(|_| {});
    brought_again.add(80, Seen::RelayStoreReplaced).is_good();
}

#[test]
fn nothing_is_told_of_tomorrow() {
    asked(|answer| answer.view.checked = Some(Minute(BEGAN + 95))).breaks(8, "later than now");
    asked(|answer| answer.view.news = Some(Minute(BEGAN + 95))).breaks(8, "later than now");
    asked(|answer| answer.clocks.0 += 5).breaks(8, "now is not the device's");
    asked(|answer| answer.view.checked = Some(Minute(BEGAN + 80))).breaks(8, "was checked at another time");
    let mut tale = asked(|answer| answer.view.news = Some(Minute(BEGAN + 95)));
    tale.play(80, Deed::Person(2, PersonDeed::ClockJump(-20))).is_good();
}

#[test]
fn who_shows_nothing_is_not_told_about() {
    let mut tale = asked(|_| {});
    tale.plan.people[1].seen = TellsSeen::Off;
    let mut closed = contact(2, Pairing::Confirmed);
    closed.seen = SeenPrecision::Off;
    tale.add(8, Seen::Contact(1, closed)).breaks(8, "they never showed anything");
    tale.play(9, Deed::Person(1, PersonDeed::SetSeen { to: 2, tells: TellsSeen::SixHours }));
    assert!(!tale.verdict().iter().any(|found| found.text.contains("never showed")));
}

#[test]
fn the_minute_of_writing_is_its_writers_to_tell() {
    let told = |minute| {
        move |answer: &mut Answer| {
            if let Some(word) = &mut answer.view.word {
                word.written = Some(Minute(BEGAN + minute));
            }
        }
    };
    asked(told(60)).breaks(8, "they did not want that");
    let wanted = |tale: &mut Tale| {
        tale.change(|seen| match seen {
            Seen::Played(event) => match &mut event.deed {
                Deed::Person(1, PersonDeed::WriteWord { tell_minute, .. }) => {
                    *tell_minute = true;
                    true
                }
                _ => false,
            },
            Seen::Answer(answer) if answer.asked_at < 80 * 60_000 => {
                told(60)(answer);
                true
            }
            _ => false,
        });
    };
    let mut tale = asked(told(60));
    wanted(&mut tale);
    tale.is_good();
    let mut tale = asked(told(66));
    wanted(&mut tale);
    tale.breaks(8, "is not that of their clock");
    let mut tale = asked(|_| {});
    wanted(&mut tale);
    tale.breaks(8, "the minute of word 3 is not told");
}

#[test]
fn a_bucket_that_moves_without_its_owner_is_found() {
    let moved = |answer: &mut Answer| answer.view.bucket = Some(bucket(6, 6));
    asked(moved).breaks(8, "the bucket of word 3 has moved");
    // A relay that lost its store gets the word anew; the bucket is then when it did, and not hours later.
    let mut tale = asked(moved);
    tale.add(80, Seen::RelayStoreReplaced).breaks(8, "holds no moment at which they could have brought it");
    tale.play(75, Deed::Relay(RelayDeed::WallJump(6 * 60))).is_good();
}

#[test]
fn a_bucket_in_which_its_owner_was_nowhere_is_found() {
    asked(|answer| answer.view.bucket = Some(bucket(24, 6))).breaks(8, "has moved");
    let late = |seen: &mut Seen| match seen {
        Seen::Answer(answer) => {
            answer.view.bucket = Some(bucket(6, 6));
            true
        }
        _ => false,
    };
    let mut tale = Tale::good();
    tale.change(late).breaks(8, "holds no moment at which they could have brought it");
    let mut tale = Tale::good();
    // The owner's link was down from before the word to after the answer, but for what had left already.
    tale.add(55, Seen::Link(1, false)).without(|seen| matches!(seen, Seen::WordTaken { .. }));
    tale.breaks(8, "holds no moment at which they could have brought it");
}

#[test]
fn a_bucket_is_as_wide_as_its_owner_allowed() {
    asked(|answer| answer.view.bucket = Some(bucket(1, 6))).breaks(8, "");
    let width = |hours| {
        move |seen: &mut Seen| match seen {
            Seen::Answer(answer) => {
                answer.view.bucket = Some(bucket(0, hours));
                true
            }
            _ => false,
        }
    };
    let mut tale = Tale::good();
    tale.change(width(24)).breaks(8, "the bucket is 24 hours wide; they allowed {6}");
    let mut tale = Tale::good();
    tale.play(58, Deed::Person(1, PersonDeed::SetSeen { to: 2, tells: TellsSeen::Day })).change(width(24)).is_good();
    let mut day = contact(2, Pairing::Confirmed);
    day.seen = SeenPrecision::Day;
    tale.add(59, Seen::Contact(1, day)).change(width(6)).breaks(8, "the bucket is 6 hours wide; they allowed {24}");
    let mut tale = Tale::good();
    tale.change(|seen| match seen {
        Seen::Answer(answer) => {
            answer.view.bucket = Some(bucket(3, 6));
            true
        }
        _ => false,
    });
    tale.breaks(8, "is no bucket");
}

#[test]
fn a_word_that_is_not_there_when_all_is_calm_is_found() {
    let shows = |serial| {
        let mut tale = Tale::good();
        tale.write_word(1, 4, 80).add(90, Seen::RelayStoreReplaced);
        let mut seen = answer(2, 1, 105, Some(serial), Some(bucket(0, 6)));
        if let Seen::Answer(answer) = &mut seen {
            answer.view.bucket = None;
        }
        tale.add(105, seen);
        tale
    };
    shows(4).is_good();
    shows(3).breaks(8, "all is calm, they have left word 4, and Some(3) is shown");
    let mut never = shows(3);
    let deed = PersonDeed::SetSeen { to: 2, tells: TellsSeen::Off };
    never.play(75, Deed::Person(1, deed)).is_good();
}

#[test]
fn a_word_that_was_taken_back_and_is_shown_in_the_calm_is_found() {
    let taken_back = |minute| {
        let mut tale = Tale::good();
        let mut view = contact(2, Pairing::Confirmed);
        view.seen = SeenPrecision::Off;
        tale.play(70, Deed::Person(1, PersonDeed::SetSeen { to: 2, tells: TellsSeen::Off }));
        tale.add(75, Seen::Contact(1, view));
        let mut seen = answer(2, 1, minute, Some(3), Some(bucket(0, 6)));
        if let Seen::Answer(answer) = &mut seen {
            (answer.view.fresh, answer.asked_relay) = (false, false);
        }
        tale.add(minute.into(), seen);
        tale
    };
    taken_back(80).is_good();
    taken_back(105).breaks(8, "took the right to it back");
}

//! Schedules that were thought out: a fault at each place of one story, each judged by the oracle as any other run.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::RangeInclusive;

use zajil_tests::sim::directed::stuck::Stuck;
use zajil_tests::sim::directed::{
    Clog, LISTENER, LISTENS_AT, PAIRS_AT, SPEAKER, SPEAKS_AT, WRONG_BY, after_months, attacked, clogged, crossing,
    cut_again, cut_at_commit, long_note, one_note, rebound, relay_cut_again, relay_cut_at, relay_cut_while_it_stops,
    story,
};
use zajil_tests::sim::oracle::{judge, summary};
use zajil_tests::sim::plan::{AttackerDeed, Deed, DiskFault, Habit, Millis, PersonDeed, PersonId, Plan, SECOND};
use zajil_tests::sim::record::{Record, Seen, Traffic};
use zajil_tests::sim::trial::stuck_note;
use zajil_tests::sim::{Options, play};

/// Whose stories of a stuck note are played: both causes several times.
const STUCK_SEEDS: RangeInclusive<u64> = 1..=16;

/// Plans of one kind, played one after the other; ends with what was wrong in any of them.
#[derive(Default)]
struct Family {
    played: usize,
    wrong: Vec<String>,
}

impl Family {
    /// Plays a plan and judges it.
    fn play(&mut self, name: impl Display, plan: &Plan) -> Record {
        let record = play(plan, &Options::default()).record;
        self.played += 1;
        if let Some(first) = judge(plan, &record).first() {
            self.wrong.push(format!("{name}: {first:?}\n{}", plan.to_json()));
        }
        record
    }

    /// Plays one in which the story has to come to its good end as well.
    fn play_to_the_end(&mut self, name: impl Display, plan: &Plan, notes: u64) {
        let record = self.play(&name, plan);
        let (heard, told) = (summary(&record).heard, summary(&record).told_heard);
        if (heard, told) != (notes, notes) {
            self.wrong.push(format!("{name}: of {notes} notes {heard} were heard, and {told} known to be"));
        }
    }

    fn end(self, at_least: usize) {
        println!("{} schedules played", self.played);
        assert!(self.played >= at_least, "only {} were played", self.played);
        assert!(self.wrong.is_empty(), "{} of {}:\n{}", self.wrong.len(), self.played, self.wrong[0]);
    }
}

/// The milliseconds in which a datagram was on its way, between two moments of a plan.
fn datagrams(plan: &Plan, from: Millis, to: Millis) -> Vec<Millis> {
    let played = play(plan, &Options { trace: true, ..Options::default() });
    let lines = played.trace.lines.expect("they were asked for");
    let datagrams = lines.iter().filter(|line| line.contains(" Datagram "));
    let micros = datagrams.filter_map(|line| line.split(' ').next()?.parse::<u64>().ok());
    let moments: BTreeSet<Millis> = micros.map(|micros| micros / 1_000).filter(|at| (from..to).contains(at)).collect();
    moments.into_iter().collect()
}

/// When a phone first went dark.
fn went_dark(record: &Record, who: PersonId) -> Option<Millis> {
    record.entries.iter().find(|entry| entry.seen == Seen::Phone(who, false)).map(|entry| entry.at)
}

#[test]
fn the_story_comes_to_its_end_without_any_fault() {
    let mut family = Family::default();
    for habit in [Habit::Daemon, Habit::Commands] {
        family.play_to_the_end(format!("{habit:?}"), &story("edge", habit), 1);
    }
    family.end(2);
}

fn faults_at_every_commit(habit: Habit, who: PersonId) {
    let mut family = Family::default();
    for fault in DiskFault::ALL {
        for commits in 0.. {
            let record =
                family.play(format!("{fault:?} at commit {commits}"), &cut_at_commit(habit, who, commits, fault));
            let reached = match fault {
                DiskFault::Full => commits < 25,
                _ => went_dark(&record, who).is_some(),
            };
            if !reached {
                assert!(commits > 20, "the story has more commits than {commits}");
                break;
            }
        }
    }
    family.end(60);
}

#[test]
fn a_power_cut_and_a_failed_sync_at_any_commit_of_the_speakers_daemon_lose_nothing() {
    faults_at_every_commit(Habit::Daemon, SPEAKER);
}

#[test]
fn a_power_cut_and_a_failed_sync_at_any_commit_of_the_listeners_daemon_lose_nothing() {
    faults_at_every_commit(Habit::Daemon, LISTENER);
}

#[test]
fn a_power_cut_and_a_failed_sync_at_any_commit_of_the_speakers_commands_lose_nothing() {
    faults_at_every_commit(Habit::Commands, SPEAKER);
}

#[test]
fn a_power_cut_and_a_failed_sync_at_any_commit_of_the_listeners_commands_lose_nothing() {
    faults_at_every_commit(Habit::Commands, LISTENER);
}

#[test]
fn a_second_power_cut_while_the_first_is_recovered_from_loses_nothing() {
    let mut family = Family::default();
    for who in [SPEAKER, LISTENER] {
        for first in (0..).step_by(6) {
            let once = cut_at_commit(Habit::Daemon, who, first, DiskFault::CutAfter);
            let record = play(&once, &Options::default()).record;
            let Some(dark) = went_dark(&record, who) else { break };
            for second in 0..4 {
                let plan = cut_again(Habit::Daemon, who, first, dark + SECOND, second);
                family.play(format!("person {who}: commit {first}, and {second} after it"), &plan);
            }
        }
    }
    family.end(40);
}

#[test]
fn a_relay_whose_power_fails_after_any_datagram_of_a_note_loses_nothing() {
    let mut family = Family::default();
    let plan = long_note();
    // What goes up and down, and what comes of listening; between them nobody says anything new.
    let notes = datagrams(&plan, SPEAKS_AT, SPEAKS_AT + 20 * SECOND);
    let receipts = datagrams(&plan, SPEAKS_AT + 40 * SECOND, SPEAKS_AT + 44 * SECOND);
    for (nth, at) in notes.into_iter().chain(receipts).enumerate() {
        // After it was sent, and now and then while the disk syncs what it brought.
        let also = (nth % 8 == 0).then_some(75);
        for after in [Some(1), also].into_iter().flatten() {
            let cut = relay_cut_at(&plan, at + after);
            family.play_to_the_end(format!("{after} ms after the datagram at {at} ms"), &cut, 1);
        }
    }
    family.end(60);
}

#[test]
fn a_relay_whose_power_fails_again_while_it_takes_up_its_work_loses_nothing() {
    let mut family = Family::default();
    let plan = long_note();
    // In the upload, and when the note is fetched. Phones are back within seconds, and then the disk syncs what they bring.
    for at in [SPEAKS_AT + 1_500, SPEAKS_AT + 3_000, LISTENS_AT] {
        for after in [0, 1, 150, 300, 900, 1_800, 2_400, 3_000, 3_600, 4_200, 5_000, 7_500] {
            let cut = relay_cut_again(&plan, at, after);
            family.play_to_the_end(format!("cut at {at} ms and {after} ms after its start"), &cut, 1);
        }
    }
    family.end(36);
}

#[test]
fn a_relay_whose_power_fails_while_it_stops_loses_nothing() {
    let mut family = Family::default();
    let plan = long_note();
    for at in [0, 500, 1_000, 1_500, 2_000, 3_000] {
        for after in [0, 1, 20, 140, 160, 1_000, 5_000] {
            let cut = relay_cut_while_it_stops(&plan, SPEAKS_AT + at, after);
            family.play_to_the_end(format!("stopped {at} ms after the note, cut {after} ms later"), &cut, 1);
        }
    }
    family.end(42);
}

#[test]
fn a_link_that_falls_silent_anywhere_and_comes_back_loses_nothing() {
    let mut family = Family::default();
    let plan = story("edge", Habit::Daemon);
    // In the pairing, in the upload, and in what comes of it at both ends.
    for at in [PAIRS_AT + 700, SPEAKS_AT + 300, SPEAKS_AT + 1_200, SPEAKS_AT + 3_500] {
        for lasts in [1, 5, 30, 130] {
            for clog in Clog::ALL {
                let (name, clogged) =
                    (format!("{clog:?} for {lasts} s at {at} ms"), clogged(&plan, clog, at, lasts * SECOND));
                if at < SPEAKS_AT {
                    // A pairing that comes about late leaves a note that was heard before it without a receipt.
                    family.play(name, &clogged);
                } else {
                    family.play_to_the_end(name, &clogged, 1);
                }
            }
        }
    }
    family.end(112);
}

#[test]
fn a_note_that_nobody_can_take_delays_no_other() {
    let mut family = Family::default();
    for seed in STUCK_SEEDS {
        let Stuck { cause, with, .. } = Stuck::of(seed);
        family.play(format!("{cause:?} by seed {seed}"), &with);
        assert_eq!(stuck_note(seed, &Options::default()), [], "{cause:?} by seed {seed}");
    }
    family.end(STUCK_SEEDS.count());
}

#[test]
fn a_mailbox_that_nobody_used_for_five_months_is_there_when_they_come_back() {
    let mut family = Family::default();
    family.play_to_the_end("five months in the dark", &after_months(150), 1);
    family.end(1);
}

/// What the first phone sent for its note: all it sent, but what it sends in the same time, with the same cuts, without
/// one.
fn sent_for_the_note(plan: &Plan) -> (Record, Traffic) {
    let mut without = plan.clone();
    without.events.retain(|event| !matches!(event.deed, Deed::Person(_, PersonDeed::Send { .. })));
    let (record, idle) = (play(plan, &Options::default()).record, play(&without, &Options::default()).record);
    let (with, without) = (record.traffic[&SPEAKER], idle.traffic[&SPEAKER]);
    let extra = Traffic {
        sent: with.sent.saturating_sub(without.sent),
        sent_bytes: with.sent_bytes.saturating_sub(without.sent_bytes),
        lost_bytes: with.lost_bytes,
        received: with.received.saturating_sub(without.received),
        received_bytes: with.received_bytes.saturating_sub(without.received_bytes),
        connections: with.connections,
    };
    (record, extra)
}

#[test]
fn a_note_costs_what_it_weighs_and_what_was_lost_and_little_more() {
    for access in ["lan", "edge"] {
        for cuts in [&[][..], &[1_000, 4_000, 9_000]] {
            let plan = one_note(access, 30, cuts);
            let (record, sent) = sent_for_the_note(&plan);
            assert_eq!(judge(&plan, &record), [], "{access} with {cuts:?}");
            let sealed = record.entries.iter().find_map(|entry| match &entry.seen {
                Seen::Taken(taken) => Some(u64::from(taken.sealed_bytes)),
                _ => None,
            });
            let sealed = sealed.expect("the note was taken");
            let allowed = (sealed + sent.lost_bytes) * 110 / 100 + 6_000 * sent.connections;
            println!("{access}, {cuts:?}: {sealed} B sealed, {sent:?}, {allowed} B allowed");
            assert!(sent.sent_bytes >= sealed, "{access}: {} B for a note of {sealed} B", sent.sent_bytes);
            assert!(sent.sent_bytes <= allowed, "{access}: {} B of {allowed} B", sent.sent_bytes);
        }
    }
}

#[test]
fn a_long_note_arrives_through_a_provider_who_forgets_its_translations_every_twenty_seconds() {
    let mut family = Family::default();
    family.play_to_the_end("rebound", &rebound(), 1);
    family.end(1);
}

#[test]
fn two_notes_cross_while_both_phones_restart() {
    let mut family = Family::default();
    for cut_after in (100..6_000).step_by(300) {
        family.play_to_the_end(format!("cut after {cut_after} ms"), &crossing(cut_after), 2);
    }
    family.end(20);
}

#[test]
fn a_clock_that_is_wrong_or_jumps_lets_nothing_expire() {
    let mut family = Family::default();
    for minutes in WRONG_BY {
        for jumps in [false, true] {
            let plan = zajil_tests::sim::directed::wrong_clock(minutes, jumps);
            family.play_to_the_end(format!("{minutes} minutes, jumps: {jumps}"), &plan, 1);
        }
    }
    family.end(8);
}

#[test]
fn somebody_who_means_harm_gets_nothing_and_stops_nothing() {
    let mut family = Family::default();
    let deeds = [
        AttackerDeed::ReplayDatagrams { of: SPEAKER, seconds: 900 },
        AttackerDeed::Flood { connections: 30 },
        AttackerDeed::Hoard { parcels: 10 },
        AttackerDeed::Guess { tries: 12 },
        AttackerDeed::Truncate { of: SPEAKER, seconds: 20 },
    ];
    for deed in deeds {
        for at in [PAIRS_AT + 6 * SECOND, SPEAKS_AT + SECOND] {
            family.play_to_the_end(format!("{deed:?} at {at} ms"), &attacked(deed.clone(), at), 1);
        }
    }
    family.end(10);
}

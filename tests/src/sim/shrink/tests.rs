//! The shrinker with failures made up for it.

use super::*;
use crate::sim::make::{Profile, plan};

/// Shrinks `plan` with all the time there is; states that each plan it tries can be played.
fn shrunk(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> (Plan, u32) {
    let mut tries = 0;
    let small = shrink(
        plan,
        &mut |plan| {
            assert_eq!(plan.check(), Ok(()));
            tries += 1;
            fails(plan)
        },
        &mut || true,
    );
    assert!(fails(&small));
    assert_eq!(small.check(), Ok(()));
    (small, tries)
}

fn by(who: PersonId, deed: fn(&PersonDeed) -> bool) -> impl Fn(&Event) -> bool {
    move |event| matches!(&event.deed, Deed::Person(person, what) if *person == who && deed(what))
}

fn is_send(deed: &PersonDeed) -> bool {
    matches!(deed, PersonDeed::Send { .. })
}

fn is_word(deed: &PersonDeed) -> bool {
    matches!(deed, PersonDeed::WriteWord { .. })
}

#[test]
fn exactly_the_two_events_that_a_failure_needs_are_left() {
    let big = plan(Profile::Family, 1, None);
    let (note, word) = (by(1, is_send), by(2, is_word));
    let fails = |plan: &Plan| {
        let first = plan.events.iter().position(&note);
        first.is_some_and(|first| plan.events[first..].iter().any(&word))
    };
    assert!(fails(&big), "this seed has a note of person 1 before a word of person 2");
    let (small, tries) = shrunk(&big, fails);
    assert_eq!(small.events.len(), 2, "{small:?}");
    assert!(note(&small.events[0]) && word(&small.events[1]));
    assert!(small.cast().len() <= 3, "person 1, person 2, and whom the note is for");
    assert_eq!(small.people.len(), big.people.len(), "places keep their meaning");
    assert!(small.people.iter().all(|person| *person == Person::plain(person.side)));
    assert!(small.calm_at <= SECOND, "{} ms", small.calm_at);
    assert!(matches!(small.events[0].deed, Deed::Person(1, PersonDeed::Send { seconds: 1, lifetime_days: None, .. })));
    assert!(tries < 400, "{tries} tries of {} events", big.events.len());
}

#[test]
fn no_single_event_of_the_result_can_be_taken_out() {
    for seed in 0..10 {
        let big = plan(Profile::Storm, seed, None);
        // Three notes, and power cut somewhere after the second.
        let fails = |plan: &Plan| {
            let notes: Vec<usize> = places(plan, |deed| matches!(deed, Deed::Person(_, PersonDeed::Send { .. })));
            let cuts = places(plan, |deed| matches!(deed, Deed::Person(_, PersonDeed::PowerCut)));
            notes.len() >= 3 && cuts.iter().any(|cut| *cut > notes[1])
        };
        let (small, _) = shrunk(&big, fails);
        for place in 0..small.events.len() {
            let mut without = small.clone();
            without.events.remove(place);
            assert!(!fails(&without));
        }
        assert_eq!(small.events.len(), 4);
    }
}

fn places(plan: &Plan, which: impl Fn(&Deed) -> bool) -> Vec<usize> {
    (0..plan.events.len()).filter(|place| which(&plan.events[*place].deed)).collect()
}

#[test]
fn a_fault_and_its_end_go_together_when_neither_goes_alone() {
    let mut big = plan(Profile::Family, 4, None);
    let event = |at, deed| Event { at, deed: Deed::Person(0, deed) };
    big.events = vec![
        event(1, PersonDeed::PowerCut),
        event(2, PersonDeed::Look),
        event(3, PersonDeed::SwitchOn),
        event(4, PersonDeed::Sync),
    ];
    // Fails when the phone is on at the end, with as many switchings off as on.
    let fails = |plan: &Plan| {
        let count = |which: fn(&PersonDeed) -> bool| plan.events.iter().filter(|event| by(0, which)(event)).count();
        count(|deed| matches!(deed, PersonDeed::PowerCut)) == count(|deed| matches!(deed, PersonDeed::SwitchOn))
            && count(|deed| matches!(deed, PersonDeed::Sync)) == 1
    };
    let (small, _) = shrunk(&big, fails);
    assert_eq!(small.events.len(), 1, "{:?}", small.events);
}

#[test]
fn settings_times_and_lengths_that_a_failure_needs_stay() {
    let mut big = plan(Profile::Weeks, 2, None);
    big.people[3].access = "gprs".into();
    let fails = |plan: &Plan| {
        let notes = places(plan, |deed| matches!(deed, Deed::Person(_, PersonDeed::Send { .. })));
        let (Some(first), Some(last)) = (notes.first(), notes.last()) else { return false };
        let apart = plan.events[*last].at - plan.events[*first].at;
        let Deed::Person(_, PersonDeed::Send { seconds, .. }) = plan.events[*last].deed else { return false };
        apart >= 8 * DAY && seconds >= 3 && plan.people[3].access == "gprs"
    };
    assert!(fails(&big));
    let (small, _) = shrunk(&big, fails);
    assert_eq!(small.events.len(), 2);
    assert!((8 * DAY..16 * DAY + HOUR).contains(&small.calm_at), "{} h", small.calm_at / HOUR);
    let expected = Person { access: "gprs".into(), ..Person::plain(small.people[3].side) };
    assert_eq!(small.people[3], expected);
    assert!(matches!(small.events[1].deed, Deed::Person(_, PersonDeed::Send { seconds: 3..6, .. })), "{small:?}");
}

#[test]
fn nothing_is_tried_once_the_budget_is_spent_and_the_best_so_far_is_returned() {
    let big = plan(Profile::Family, 1, None);
    for allowed in [0, 1, 7, 15] {
        let (mut asked, mut tries) = (0, 0);
        let small = shrink(
            &big,
            &mut |plan| {
                tries += 1;
                plan.events.iter().any(|event| by(1, is_send)(event))
            },
            &mut || {
                asked += 1;
                asked <= allowed
            },
        );
        assert_eq!((tries, asked), (allowed, allowed + 1));
        assert!(small.events.iter().any(|event| by(1, is_send)(event)));
        assert_eq!(small.events.len() < big.events.len(), allowed >= 7, "the very first tries take out too much");
    }
}

#[test]
fn a_failure_that_needs_nothing_leaves_nothing_and_one_that_comes_and_goes_ends_too() {
    let big = plan(Profile::Town, 1, None);
    let (small, tries) = shrunk(&big, |_| true);
    assert!(small.events.is_empty() && tries < 100, "{tries} tries");
    let mut turn = 0;
    let small = shrink(
        &plan(Profile::Family, 1, None),
        &mut |_| {
            turn += 1;
            turn % 3 == 0
        },
        &mut || true,
    );
    assert_eq!(small.check(), Ok(()));
}

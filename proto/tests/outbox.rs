//! What leaves first over a link that may end any second.

// `cfg(test)` is always on here; said once more, it tells clippy that helper functions are tests too.
#![cfg(test)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use zajil_proto::ids::ParcelId;
use zajil_proto::outbox::{Step, Waiting, first_offers, plan};
use zajil_proto::parcel::{Class, HEADER_BYTES, MARK_BYTES};

const BEGINNING: u32 = 6 * 1024;

fn waiting(number: u8, class: Class, contact: u64, age: u32, length: u32) -> Waiting {
    Waiting { id: ParcelId([number; 16]), class, opens_waiting: false, contact, age, length, durable: 0 }
}

fn numbers(ids: &[ParcelId]) -> Vec<u8> {
    ids.iter().map(|id| id.0[0]).collect()
}

#[test]
fn sessions_go_before_control_before_text_before_voice() {
    let outbox = [
        waiting(1, Class::Voice, 1, 900, 40_000),
        waiting(2, Class::Text, 1, 5, 700),
        waiting(3, Class::Control, 1, 1, 512),
        Waiting { opens_waiting: true, ..waiting(4, Class::Control, 2, 0, 512) },
    ];
    assert_eq!(numbers(&first_offers(&plan(&outbox, u64::MAX))), [4, 3, 2, 1]);
}

#[test]
fn every_note_begins_before_any_goes_on_and_contacts_take_turns() {
    let outbox = [
        waiting(1, Class::Voice, 1, 30, 40_000),
        waiting(2, Class::Voice, 1, 20, 40_000),
        waiting(3, Class::Voice, 1, 10, 40_000),
        waiting(4, Class::Voice, 2, 5, 40_000),
    ];
    let steps = plan(&outbox, u64::MAX);
    // The first notes of both contacts, then the second, then the third; the oldest gets its own share between.
    let begins: Vec<u8> = steps.iter().filter(|step| step.from == 0).map(|step| step.id.0[0]).collect();
    assert_eq!(begins, [1, 4, 2, 3]);
    let later = steps.iter().position(|step| step.from >= BEGINNING && step.id.0[0] != 1).unwrap();
    assert!(steps[later..].iter().all(|step| step.from > 0));
}

#[test]
fn of_notes_that_have_begun_the_one_with_least_left_is_finished_first() {
    let begun = |number, age, length| Waiting { durable: BEGINNING, ..waiting(number, Class::Voice, 1, age, length) };
    let outbox = [begun(1, 0, 90_000), begun(2, 0, 20_000), begun(3, 0, 50_000)];
    let steps = plan(&outbox, u64::MAX);
    let end = |number: u8| steps.iter().rposition(|step| step.id.0[0] == number).unwrap();
    assert!(end(2) < end(3) && end(3) <= end(1).max(end(3)));
    assert_eq!(steps[0].id.0[0], 2);
}

#[test]
fn a_long_note_that_has_waited_for_days_overtakes_short_new_ones() {
    let begun = |number, age, length| Waiting { durable: BEGINNING, ..waiting(number, Class::Voice, 1, age, length) };
    let steps = plan(&[begun(1, 0, 30_000), begun(2, 0, 31_000), begun(3, 5 * 24 * 60, 200_000)], 20_000);
    assert_eq!(steps[0].id.0[0], 3, "it counts as a tenth of what it has left");
}

#[test]
fn about_a_fifth_of_the_window_goes_to_the_oldest_note() {
    // The oldest is long and would always be last; new short ones fill the window.
    let mut outbox: Vec<Waiting> = (1..60)
        .map(|number| Waiting { durable: BEGINNING, ..waiting(number, Class::Voice, u64::from(number), 0, 24_000) })
        .collect();
    outbox.push(Waiting { durable: BEGINNING, ..waiting(99, Class::Voice, 99, 600, 2_000_000) });
    for budget in [200_000_u64, 500_000] {
        let steps = plan(&outbox, budget);
        let oldest: u32 = steps.iter().filter(|step| step.id.0[0] == 99).map(|step| step.to - step.from).sum();
        let share = f64::from(oldest) / f64::from(u32::try_from(budget).unwrap());
        assert!((0.15..0.25).contains(&share), "{share}");
    }
}

#[test]
fn a_parcel_that_is_durable_but_not_yet_stored_is_offered() {
    let outbox = [Waiting { durable: 700, ..waiting(1, Class::Text, 1, 0, 700) }];
    assert_eq!(plan(&outbox, 10_000), [Step { id: ParcelId([1; 16]), from: 700, to: 700 }]);
}

#[test]
fn a_window_too_small_for_a_header_plans_nothing() {
    assert!(plan(&[waiting(1, Class::Voice, 1, 0, 4_000)], 200).is_empty());
    assert!(plan(&[], 10_000).is_empty());
}

fn any_waiting() -> impl Strategy<Value = Waiting> {
    let class = prop_oneof![Just(Class::Control), Just(Class::Text), Just(Class::Voice), Just(Class::Voice)];
    (class, any::<bool>(), 0..4_u64, 0..20_000_u32, 0..120_000_u32, 0..120_000_u32).prop_map(
        |(class, opens_waiting, contact, age, length, durable)| Waiting {
            id: ParcelId([0; 16]),
            class,
            opens_waiting,
            contact,
            age,
            length,
            durable: durable.min(length),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_covers_each_byte_at_most_once_within_its_budget_and_all_if_there_is_room(
        mut outbox in prop::collection::vec(any_waiting(), 0..30),
        budget in prop_oneof![0..400_000_u64, Just(u64::MAX)],
    ) {
        for (number, parcel) in (0_u8..).zip(&mut outbox) {
            parcel.id = ParcelId([number; 16]);
        }
        let steps = plan(&outbox, budget);
        prop_assert_eq!(&steps, &plan(&outbox, budget), "same input, same plan");
        let mut at: BTreeMap<ParcelId, u32> = outbox.iter().map(|parcel| (parcel.id, parcel.durable)).collect();
        let mut bytes = 0_u64;
        for step in &steps {
            prop_assert_eq!(at[&step.id], step.from, "stretches of a parcel join");
            prop_assert!(step.to >= step.from);
            at.insert(step.id, step.to);
            bytes += u64::from(step.to - step.from);
        }
        let headers = u64::try_from(first_offers(&steps).len() * (HEADER_BYTES + MARK_BYTES)).unwrap();
        prop_assert!(bytes == 0 || bytes.saturating_add(headers) <= budget);
        if budget == u64::MAX {
            for parcel in &outbox {
                prop_assert_eq!(at[&parcel.id], parcel.length);
            }
            prop_assert_eq!(first_offers(&steps).len(), outbox.len());
        }
    }
}

//! Plans that once broke a promise, each under a name that says what was wrong. `cargo xtask sim` prints such a test to paste.

use zajil_proto::simulation::Switch;
use zajil_relay::limits::RESERVE_BYTES_MIN;
use zajil_tests::sim::oracle::judge;
use zajil_tests::sim::plan::{
    Deed, Event, GivesReceipts, Habit, MINUTE, Person, PersonDeed, Plan, RelayDeed, RelayMachine, SECOND, Side,
};
use zajil_tests::sim::trial::{Checks, trial};
use zajil_tests::sim::world::{Options, play};

#[test]
fn a_disk_that_is_full_while_a_link_is_answered_does_not_end_the_pairing() {
    let plan = Plan::from_json(
        r#"
{
"seed":1,
"profile":"directed",
"people":[
{"side":"Town","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null},
{"side":"Camp","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null}
],
"relay":{"disk_bytes":null,"sync_millis":1},
"events":[
{"at":500,"deed":{"Person":[1,{"DiskFault":{"commits":3,"fault":"Full"}}]}},
{"at":500,"deed":{"Person":[0,{"Pair":{"with":1,"in_person":false,"link_takes":0}}]}}
],
"calm_at":60500
}
"#,
    )
    .expect("this is a plan");
    assert_eq!(trial(&plan, &Checks::default()).violations, []);
}

#[test]
fn a_link_that_was_given_up_is_fetched_again_in_a_meeting_that_goes_on() {
    let plan = Plan::from_json(
        r#"
{
"seed":1,
"profile":"directed",
"people":[
{"side":"Town","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null},
{"side":"Camp","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null}
],
"relay":{"disk_bytes":null,"sync_millis":5},
"events":[
{"at":1000,"deed":{"Person":[0,{"Pair":{"with":1,"in_person":false,"link_takes":5000}}]}},
{"at":6020,"deed":{"Person":[1,{"OneWay":{"out":true}}]}},
{"at":90000,"deed":{"Person":[1,"LinkUp"]}}
],
"calm_at":720000
}
"#,
    )
    .expect("this is a plan");
    assert_eq!(trial(&plan, &Checks::default()).violations, []);
}

#[test]
fn a_note_that_is_stored_late_in_a_long_meeting_is_not_called_expired_early() {
    let plan = Plan::from_json(
        r#"
{
"seed":1,"profile":"directed",
"people":[
{"side":"Town","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null},
{"side":"Camp","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null}
],
"relay":{"disk_bytes":null,"sync_millis":5},
"events":[
{"at":1000,"deed":{"Person":[0,{"Pair":{"with":1,"in_person":true,"link_takes":0}}]}},
{"at":3600000,"deed":{"Person":[1,"SwitchOff"]}},
{"at":129600000,"deed":{"Person":[0,{"Send":{"to":1,"serial":1,"seconds":5,"lifetime_days":1}}]}},
{"at":151200000,"deed":{"Person":[0,"LinkDown"]}},
{"at":151500000,"deed":{"Person":[0,"LinkUp"]}},
{"at":154800000,"deed":{"Person":[0,"Look"]}}
],
"calm_at":158400000
}
"#,
    )
    .expect("this is a plan");
    assert_eq!(trial(&plan, &Checks::default()).violations, []);
}

#[test]
fn a_note_whose_upload_takes_most_of_its_lifetime_is_not_lost_as_soon_as_it_is_stored() {
    let plan = Plan::from_json(
        r#"
{
"seed":1,"profile":"directed",
"people":[
{"side":"Town","habit":"Daemon","access":"gprs","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null},
{"side":"Camp","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null}
],
"relay":{"disk_bytes":null,"sync_millis":5},
"events":[
{"at":1000,"deed":{"Person":[0,{"Pair":{"with":1,"in_person":true,"link_takes":0}}]}},
{"at":600000,"deed":{"Person":[1,"SwitchOff"]}},
{"at":1200000,"deed":{"Person":[0,"LinkDown"]}},
{"at":1800000,"deed":{"Person":[0,{"Send":{"to":1,"serial":1,"seconds":600,"lifetime_days":1}}]}},
{"at":3600000,"deed":{"Person":[0,"LinkUp"]}},
{"at":3750000,"deed":{"Person":[0,"LinkDown"]}},
{"at":23400000,"deed":{"Person":[0,"LinkUp"]}},
{"at":23550000,"deed":{"Person":[0,"LinkDown"]}},
{"at":43200000,"deed":{"Person":[0,"LinkUp"]}},
{"at":43350000,"deed":{"Person":[0,"LinkDown"]}},
{"at":63000000,"deed":{"Person":[0,"LinkUp"]}},
{"at":63150000,"deed":{"Person":[0,"LinkDown"]}},
{"at":82800000,"deed":{"Person":[0,"LinkUp"]}},
{"at":84000000,"deed":{"Person":[0,"LinkDown"]}},
{"at":144000000,"deed":{"Person":[0,"Look"]}}
],
"calm_at":147600000
}
"#,
    )
    .expect("this is a plan");
    assert_eq!(trial(&plan, &Checks::default()).violations, []);
}

#[test]
fn a_note_that_its_reader_has_had_is_not_begun_again_and_again_at_a_relay_that_lost_it() {
    let plan = Plan::from_json(
        r#"
{
"seed":1,"profile":"directed",
"people":[
{"side":"Town","habit":"Daemon","access":"gprs","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null},
{"side":"Camp","habit":"Commands","access":"lan","behind_nat":false,"receipts":"Off","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null}
],
"relay":{"disk_bytes":null,"sync_millis":5},
"events":[
{"at":1000,"deed":{"Person":[0,{"Pair":{"with":1,"in_person":true,"link_takes":0}}]}},
{"at":600000,"deed":{"Person":[0,{"Send":{"to":1,"serial":1,"seconds":60,"lifetime_days":null}}]}},
{"at":1800000,"deed":{"Person":[1,"Sync"]}},
{"at":1860000,"deed":{"Person":[1,{"Listen":{"skip":0}}]}},
{"at":3600000,"deed":{"Relay":"Stop"}},
{"at":3601000,"deed":{"Relay":"DiskLost"}},
{"at":3605000,"deed":{"Relay":"Start"}}
],
"calm_at":3606000
}
"#,
    )
    .expect("this is a plan");
    assert_eq!(trial(&plan, &Checks::default()).violations, []);
}

#[test]
fn receipts_are_not_held_up_by_one_who_acknowledges_them_later() {
    let person = |side, receipts| Person { receipts, ..Person::plain(side) };
    let mut plan = Plan {
        seed: 1,
        profile: "directed".into(),
        people: vec![person(Side::Town, GivesReceipts::AtOnce), person(Side::Camp, GivesReceipts::Later)],
        relay: RelayMachine { disk_bytes: None, sync_millis: 5, drift_ppm: 0 },
        events: Vec::new(),
        calm_at: 57 * MINUTE,
    };
    let mut play = |at, who, deed| plan.events.push(Event { at, deed: Deed::Person(who, deed) });
    play(SECOND, 0, PersonDeed::Pair { with: 1, in_person: true, link_takes: 0 });
    // More than 32 frames, delivered and heard of each, before the other has anything to say that acknowledges along.
    for note in 1..=22 {
        let at = 8 * MINUTE + 2 * MINUTE * u64::from(note);
        play(at, 1, PersonDeed::Send { to: 0, serial: note, seconds: 2, lifetime_days: None });
        play(at + MINUTE, 0, PersonDeed::Listen { skip: 0 });
    }
    assert_eq!(trial(&plan, &Checks::default()).violations, []);
}

#[test]
fn a_disk_that_is_full_for_one_commit_while_a_command_hangs_up_leaves_no_hole_in_a_note() {
    let plan = Plan::from_json(
        r#"
{
"seed":11,
"profile":"disks",
"people":[
{"side":"Town","habit":"Daemon","access":"3g","behind_nat":true,"receipts":"AtOnce","seen":"Day",
 "clock_off_minutes":0,"drift_ppm":100,"disk_bytes":null},
{"side":"Camp","habit":"Commands","access":"gprs","behind_nat":true,"receipts":"AtOnce","seen":"Off",
 "clock_off_minutes":0,"drift_ppm":-58,"disk_bytes":null},
{"side":"Camp","habit":"Daemon","access":"edge","behind_nat":true,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":18,"disk_bytes":null}
],
"relay":{"disk_bytes":null,"sync_millis":4},
"events":[
{"at":25317,"deed":{"Person":[1,"Sync"]}},
{"at":35257,"deed":{"Person":[0,"Sync"]}},
{"at":941674,"deed":{"Person":[0,{"WriteWord":{"serial":1,"tell_minute":true}}]}},
{"at":1019140,"deed":{"Person":[1,{"Pair":{"with":0,"in_person":false,"link_takes":67065}}]}},
{"at":1320137,"deed":{"Person":[1,"Sync"]}},
{"at":1686205,"deed":{"Person":[1,{"SetSeen":{"to":0,"tells":"Off"}}]}},
{"at":8262412,"deed":{"Relay":"SyncFails"}},
{"at":9451494,"deed":{"Relay":{"SyncTakes":4000}}},
{"at":9498673,"deed":{"Relay":{"SyncTakes":4}}},
{"at":9906593,"deed":{"Person":[1,{"DiskFault":{"commits":11,"fault":"CutBefore"}}]}},
{"at":10248155,"deed":{"Person":[1,"Sync"]}},
{"at":12167961,"deed":{"Relay":"SyncFails"}},
{"at":12172320,"deed":{"Relay":{"SyncTakes":20000}}},
{"at":12286435,"deed":{"Person":[1,{"Send":{"to":0,"serial":1,"seconds":16,"lifetime_days":null}}]}},
{"at":12553761,"deed":{"Relay":"PowerCut"}},
{"at":12900364,"deed":{"Relay":"Start"}},
{"at":13330464,"deed":{"Person":[0,"Sync"]}},
{"at":13840920,"deed":{"Relay":{"SyncTakes":4}}},
{"at":14265372,"deed":{"Person":[1,{"Send":{"to":0,"serial":2,"seconds":19,"lifetime_days":null}}]}},
{"at":14270372,"deed":{"Person":[1,"Sync"]}},
{"at":14616938,"deed":{"Person":[0,"LinkDown"]}},
{"at":14719989,"deed":{"Person":[0,{"Send":{"to":1,"serial":3,"seconds":56,"lifetime_days":null}}]}},
{"at":14800323,"deed":{"Person":[0,{"Send":{"to":1,"serial":4,"seconds":15,"lifetime_days":null}}]}},
{"at":15886738,"deed":{"Person":[1,"Sync"]}},
{"at":19552284,"deed":{"Person":[1,"Sync"]}},
{"at":20657130,"deed":{"Relay":{"SyncTakes":200}}},
{"at":26988765,"deed":{"Relay":"SyncFails"}},
{"at":26990497,"deed":{"Person":[1,{"Send":{"to":0,"serial":5,"seconds":5,"lifetime_days":null}}]}},
{"at":26995497,"deed":{"Person":[1,"Sync"]}},
{"at":31857871,"deed":{"Person":[0,"LinkUp"]}},
{"at":32417789,"deed":{"Person":[1,"Sync"]}},
{"at":33002871,"deed":{"Person":[0,{"Listen":{"skip":0}}]}},
{"at":33484047,"deed":{"Person":[1,{"DiskFault":{"commits":11,"fault":"Full"}}]}},
{"at":36299678,"deed":{"Person":[1,"Sync"]}}
],
"calm_at":36400000
}
"#,
    )
    .expect("this is a plan");
    assert_eq!(trial(&plan, &Checks::default()).violations, []);
}

#[test]
fn what_a_relay_with_a_full_disk_cannot_let_go_is_not_fetched_again_at_every_meeting() {
    // The relay ends at each release, and has all of the note again ten seconds later.
    let plan = Plan::from_json(
        r#"
{
"seed":1,
"profile":"directed",
"people":[
{"side":"Town","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"Off","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null},
{"side":"Camp","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"Off","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null}
],
"relay":{"disk_bytes":null,"sync_millis":5},
"events":[
{"at":1000,"deed":{"Person":[0,{"Pair":{"with":1,"in_person":true,"link_takes":0}}]}},
{"at":60000,"deed":{"Person":[1,"LinkDown"]}},
{"at":61000,"deed":{"Person":[0,{"Send":{"to":1,"serial":1,"seconds":60,"lifetime_days":null}}]}},
{"at":120000,"deed":{"Relay":{"DiskBytes":0}}},
{"at":120000,"deed":{"Person":[1,"LinkUp"]}}
],
"calm_at":1320000
}
"#,
    )
    .expect("this is a plan");
    assert_eq!(trial(&plan, &Checks::default()).violations, []);
}

#[test]
fn who_gives_no_receipts_any_more_before_a_later_one_has_left_owes_it_no_more() {
    // Listened to before the pairing was confirmed on the other side, where they say what their contact is told.
    let plan = Plan::from_json(
        r#"
{
"seed":100,
"profile":"disks",
"people":[
{"side":"Town","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null},
{"side":"Town","habit":"Commands","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours",
 "clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null},
{"side":"Camp","habit":"Commands","access":"gprs","behind_nat":true,"receipts":"Off","seen":"Off",
 "clock_off_minutes":0,"drift_ppm":-2,"disk_bytes":null},
{"side":"Camp","habit":"Commands","access":"edge","behind_nat":false,"receipts":"AtOnce","seen":"Day",
 "clock_off_minutes":0,"drift_ppm":12,"disk_bytes":null},
{"side":"Camp","habit":"Daemon","access":"gprs","behind_nat":false,"receipts":"Later","seen":"Day",
 "clock_off_minutes":0,"drift_ppm":-11,"disk_bytes":null},
{"side":"Camp","habit":"Commands","access":"siege","behind_nat":true,"receipts":"AtOnce","seen":"Day",
 "clock_off_minutes":-525600,"drift_ppm":-18,"disk_bytes":null}
],
"relay":{"disk_bytes":null,"sync_millis":1},
"events":[
{"at":270767,"deed":{"Person":[2,{"Pair":{"with":1,"in_person":false,"link_takes":228252}}]}},
{"at":327715,"deed":{"Person":[4,{"Pair":{"with":3,"in_person":false,"link_takes":3251240}}]}},
{"at":809755,"deed":{"Person":[3,{"Pair":{"with":2,"in_person":true,"link_takes":0}}]}},
{"at":1552571,"deed":{"Person":[2,{"DiskFault":{"commits":8,"fault":"CutBefore"}}]}},
{"at":4485102,"deed":{"Person":[3,{"Send":{"to":2,"serial":1,"seconds":70,"lifetime_days":1}}]}},
{"at":8901502,"deed":{"Person":[2,{"Send":{"to":1,"serial":5,"seconds":4,"lifetime_days":null}}]}},
{"at":10229892,"deed":{"Person":[1,"Sync"]}},
{"at":14622103,"deed":{"Person":[3,"LinkUp"]}},
{"at":14625676,"deed":{"Person":[3,"Sync"]}},
{"at":31283695,"deed":{"Person":[2,"LinkUp"]}},
{"at":31320958,"deed":{"Person":[2,"Sync"]}},
{"at":31427617,"deed":{"Person":[2,"Sync"]}},
{"at":31772531,"deed":{"Person":[2,"Sync"]}},
{"at":31782531,"deed":{"Person":[2,{"Listen":{"skip":3}}]}}
],
"calm_at":151200001
}
"#,
    )
    .expect("this is a plan");
    assert_eq!(trial(&plan, &Checks::default()).violations, []);
}

#[test]
fn a_list_of_notes_is_as_old_as_the_answer_that_brought_it() {
    // Found by the simulated world: person 2 had a list, listened in to two notes behind a long meeting, and took the list down
    // when a note was in it that they had spoken meanwhile.
    let plan = Plan::from_json(
        r#"{
"seed":2018,"profile":"disks",
"people":[
{"side":"Town","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours","clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null},
{"side":"Camp","habit":"Daemon","access":"lan","behind_nat":false,"receipts":"AtOnce","seen":"SixHours","clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null},
{"side":"Camp","habit":"Commands","access":"gprs","behind_nat":false,"receipts":"AtOnce","seen":"SixHours","clock_off_minutes":0,"drift_ppm":0,"disk_bytes":null}
],
"relay":{"disk_bytes":null,"sync_millis":1},
"events":[
{"at":0,"deed":{"Person":[1,{"Pair":{"with":2,"in_person":true,"link_takes":0}}]}},
{"at":60000,"deed":{"Person":[1,{"Send":{"to":2,"serial":29,"seconds":26,"lifetime_days":null}}]}},
{"at":60000,"deed":{"Person":[1,{"Send":{"to":2,"serial":31,"seconds":33,"lifetime_days":null}}]}},
{"at":60000,"deed":{"Person":[2,"Sync"]}},
{"at":60000,"deed":{"Person":[2,"Sync"]}},
{"at":60000,"deed":{"Person":[2,{"Listen":{"skip":0}}]}},
{"at":60000,"deed":{"Person":[2,"Sync"]}},
{"at":102787,"deed":{"Person":[2,{"Send":{"to":1,"serial":39,"seconds":1,"lifetime_days":null}}]}},
{"at":102787,"deed":{"Person":[2,"Sync"]}}
],
"calm_at":102788
}"#,
    )
    .expect("this is a plan");
    assert_eq!(trial(&plan, &Checks::default()).violations, []);
}

/// What somebody sends in all who meets a relay without room 150 times while so many notes wait, and which invariants that breaks.
fn sent_while_waiting(notes: u32, switch: Option<Switch>) -> (u64, Vec<u8>) {
    let by = |at, deed| Event { at, deed: Deed::Person(0, deed) };
    let mut events = vec![
        by(SECOND, PersonDeed::Pair { with: 1, in_person: true, link_takes: 0 }),
        // What it keeps free for old promises, and nothing for new ones.
        Event { at: 5 * MINUTE, deed: Deed::Relay(RelayDeed::DiskBytes(Some(RESERVE_BYTES_MIN))) },
    ];
    events.extend((1..10).map(|nth| by(nth * 20 * SECOND, PersonDeed::Sync)));
    events.extend((0..notes).map(|nth| {
        let at = 6 * MINUTE + u64::from(nth) * 2 * SECOND;
        by(at, PersonDeed::Send { to: 1, serial: nth + 1, seconds: 1, lifetime_days: None })
    }));
    events.extend((0..150).map(|nth| by(10 * MINUTE + nth * MINUTE, PersonDeed::Sync)));
    let plan = Plan {
        seed: 1,
        profile: "directed".into(),
        people: vec![Person { habit: Habit::Commands, ..Person::plain(Side::Town) }, Person::plain(Side::Camp)],
        relay: RelayMachine { disk_bytes: None, sync_millis: 5, drift_ppm: 0 },
        events,
        calm_at: 180 * MINUTE,
    };
    let played = play(&plan, &Options { switch, ..Options::default() });
    let violations = judge(&plan, &played.record);
    (played.record.traffic[&0].sent_bytes, violations.iter().map(|violation| violation.invariant).collect())
}

#[test]
fn a_relay_without_room_is_asked_by_one_note_and_not_by_all_that_wait() {
    let (few, none) = sent_while_waiting(2, None);
    let (many, either) = sent_while_waiting(45, None);
    assert_eq!((none, either), (vec![], vec![]));
    // Each of the 43 others is offered once, leaves once, and is acknowledged.
    assert!(many < few + 43 * 12_000, "{few} {many}");
    assert_eq!(sent_while_waiting(45, Some(Switch::AllAskedAgain)).1, [4]);
}

//! Plans that once broke a promise, each under a name that says what was wrong. `cargo xtask sim` prints such a test to paste.

use zajil_tests::sim::plan::Plan;
use zajil_tests::sim::trial::{Checks, trial};

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

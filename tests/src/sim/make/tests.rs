//! What plans are, over many seeds.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::sim::plan::{AttackerDeed, DiskFault};

const SEEDS: u64 = 200;

fn seeds(profile: Profile) -> std::ops::Range<u64> {
    if profile == Profile::Town { 0..SEEDS / 10 } else { 0..SEEDS }
}

/// Says what a deed is, and which of its variants that matter.
fn kind(deed: &Deed) -> String {
    match deed {
        Deed::Person(_, PersonDeed::DiskFault { fault: DiskFault::Full, .. }) => "DiskFault Full".into(),
        Deed::Person(_, PersonDeed::DiskFault { fault: DiskFault::CutBefore, .. }) => "DiskFault CutBefore".into(),
        Deed::Person(_, PersonDeed::DiskFault { fault: DiskFault::CutAfter, .. }) => "DiskFault CutAfter".into(),
        Deed::Person(_, PersonDeed::DiskFault { fault: DiskFault::SyncLost, .. }) => "DiskFault SyncLost".into(),
        Deed::Person(_, PersonDeed::DiskFault { fault: DiskFault::SyncKept, .. }) => "DiskFault SyncKept".into(),
        Deed::Person(_, PersonDeed::Udp { passes }) => format!("Udp {passes}"),
        Deed::Person(_, PersonDeed::OneWay { out }) => format!("OneWay {out}"),
        Deed::Person(_, PersonDeed::Pair { in_person, .. }) => format!("Pair {in_person}"),
        Deed::Person(_, PersonDeed::SetSeen { tells, .. }) => format!("SetSeen {tells:?}"),
        Deed::Person(_, PersonDeed::AskSeen { ask_relay, .. }) => format!("AskSeen {ask_relay}"),
        Deed::Person(_, PersonDeed::DiskBytes(bytes)) => format!("DiskBytes {}", bytes.is_some()),
        Deed::Relay(RelayDeed::DiskBytes(bytes)) => format!("Relay DiskBytes {}", bytes.is_some()),
        Deed::Person(_, deed) => first_word(&format!("{deed:?}")),
        Deed::Relay(deed) => format!("Relay {}", first_word(&format!("{deed:?}"))),
        Deed::Attacker(deed) => format!("Attacker {}", first_word(&format!("{deed:?}"))),
        Deed::Audit { .. } => "Audit".into(),
    }
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|character| character.is_alphanumeric()).collect()
}

/// What is broken when all events have happened.
fn broken_at_the_end(plan: &Plan) -> Vec<String> {
    let mut broken: BTreeSet<String> = BTreeSet::new();
    let mut access: BTreeMap<PersonId, String> = BTreeMap::new();
    for event in &plan.events {
        let (what, is) = match &event.deed {
            Deed::Person(who, PersonDeed::LinkSilent | PersonDeed::OneWay { .. }) => (format!("{who} link"), true),
            Deed::Person(who, PersonDeed::LinkUp | PersonDeed::LinkDown) => (format!("{who} link"), false),
            Deed::Person(who, PersonDeed::PowerCut | PersonDeed::SwitchOff) => (format!("{who} power"), true),
            Deed::Person(who, PersonDeed::SwitchOn) => (format!("{who} power"), false),
            Deed::Person(who, PersonDeed::DiskBytes(bytes)) => (format!("{who} disk"), bytes.is_some()),
            Deed::Person(who, PersonDeed::Access(name)) => {
                access.insert(*who, name.clone());
                continue;
            }
            Deed::Relay(RelayDeed::PowerCut | RelayDeed::Stop) => ("relay power".into(), true),
            Deed::Relay(RelayDeed::Start) => ("relay power".into(), false),
            Deed::Relay(RelayDeed::DiskBytes(bytes)) => ("relay disk".into(), bytes.is_some()),
            Deed::Relay(RelayDeed::SyncTakes(millis)) => ("relay sync".into(), *millis != plan.relay.sync_millis),
            Deed::Relay(RelayDeed::LinkSilent) => ("relay link".into(), true),
            Deed::Relay(RelayDeed::LinkUp) => ("relay link".into(), false),
            _ => continue,
        };
        if is {
            broken.insert(what)
        } else {
            broken.remove(&what)
        };
    }
    broken.into_iter().collect()
}

#[test]
fn plans_can_be_played_and_everybody_is_in_them() {
    for profile in Profile::ALL {
        for seed in seeds(profile) {
            let plan = plan(profile, seed, None);
            assert_eq!(plan.check(), Ok(()), "{} {seed}", profile.name());
            assert_eq!(plan.cast().len(), plan.people.len(), "{} {seed}", profile.name());
            assert!(plan.people.iter().any(|person| person.side == crate::sim::plan::Side::Town));
            assert!(plan.people.iter().any(|person| person.side == crate::sim::plan::Side::Camp));
        }
    }
}

#[test]
fn all_that_breaks_works_again_before_calm() {
    for profile in Profile::ALL {
        for seed in seeds(profile) {
            let plan = plan(profile, seed, None);
            assert_eq!(broken_at_the_end(&plan), Vec::<String>::new(), "{} {seed}", profile.name());
            let latest = plan.events.iter().map(|event| event.at + harm_lasts(&event.deed)).max().unwrap();
            assert!(latest <= plan.calm_at, "{} {seed}: harm lasts into the calm", profile.name());
        }
    }
}

/// Returns how long a deed goes on by itself.
fn harm_lasts(deed: &Deed) -> Millis {
    match deed {
        Deed::Attacker(AttackerDeed::Truncate { seconds, .. }) => u64::from(*seconds) * 1_000,
        Deed::Attacker(AttackerDeed::HoldBack { hours }) => u64::from(*hours) * HOUR,
        _ => 0,
    }
}

#[test]
fn plans_are_small_enough_to_be_played_by_the_hundred() {
    let bounds = [
        (Profile::Family, 700, 240),
        (Profile::Town, 2_200, 500),
        (Profile::Weeks, 1_100, 310),
        (Profile::Storm, 720, 240),
        (Profile::Disks, 1_200, 430),
        (Profile::Words, 780, 120),
        (Profile::Hostile, 520, 150),
    ];
    let mut wrong = Vec::new();
    for (profile, events_most, notes_most) in bounds {
        let sizes = seeds(profile).map(|seed| size(&plan(profile, seed, None)));
        let (mut events, mut notes): (Vec<usize>, Vec<usize>) = sizes.unzip();
        events.sort_unstable();
        notes.sort_unstable();
        let figures = [&events, &notes].map(|all| (all[0], all[all.len() / 2], all[all.len() - 1]));
        println!("{}: least, middle and most of events and notes: {figures:?}", profile.name());
        if figures[0].1 < 80 || figures[0].2 > events_most || figures[1].2 > notes_most {
            wrong.push((profile, figures));
        }
    }
    assert_eq!(wrong, []);
}

fn size(plan: &Plan) -> (usize, usize) {
    let notes = plan.events.iter().filter(|event| matches!(event.deed, Deed::Person(_, PersonDeed::Send { .. })));
    (plan.events.len(), notes.count())
}

#[test]
fn every_kind_of_deed_is_done_in_some_plan() {
    let done: BTreeSet<String> = (0..SEEDS)
        .flat_map(|seed| plan(Profile::mixture(seed), seed, None).events)
        .map(|event| kind(&event.deed))
        .collect();
    let all = "AskSeen false,AskSeen true,Access,Attacker Flood,Attacker Guess,Attacker Hoard,Attacker HoldBack,Attacker Pour,\
        Attacker ReplayDatagrams,Attacker StealLink,Attacker Truncate,Audit,ClockJump,DiskBytes false,DiskBytes true,DiskFault CutAfter,\
        DiskFault CutBefore,DiskFault Full,DiskFault SyncKept,DiskFault SyncLost,Hesitate,LinkDown,LinkSilent,LinkUp,Listen,Look,OneWay false,OneWay true,\
        Pair false,Pair true,PowerCut,Rebind,Relay CopyRestored,Relay DiskBytes false,\
        Relay DiskBytes true,Relay DiskCopied,Relay DiskLost,Relay LinkSilent,Relay LinkUp,Relay PowerCut,Relay Start,Relay Stop,Relay SyncFails,Relay SyncTakes,\
        Relay WallJump,Send,SetSeen Day,SetSeen Off,SetSeen SixHours,SwitchOff,SwitchOn,Sync,Udp false,Udp true,WriteWord";
    assert_eq!(done, all.split(',').map(String::from).collect());
}

#[test]
fn a_seed_gives_one_plan_and_another_seed_another() {
    for profile in Profile::ALL {
        assert_eq!(plan(profile, 11, None), plan(profile, 11, None));
        assert_ne!(plan(profile, 11, None).events, plan(profile, 12, None).events);
    }
    assert_ne!(plan(Profile::Family, 11, None).events, plan(Profile::Hostile, 11, None).events);
}

#[test]
fn people_live_as_long_as_they_are_told() {
    for profile in Profile::ALL {
        let plan = plan(profile, 5, Some(3));
        assert!((2 * DAY..4 * DAY).contains(&plan.calm_at), "{}: {} h", profile.name(), plan.calm_at / HOUR);
    }
}

#[test]
fn every_profile_is_known_by_its_name_and_all_but_the_town_are_some_seeds_own() {
    let drawn: BTreeSet<Profile> = (0..1_000).map(Profile::mixture).collect();
    let mut wanted = BTreeSet::from(Profile::ALL);
    wanted.remove(&Profile::Town);
    assert_eq!(drawn, wanted);
    for profile in Profile::ALL {
        assert_eq!(Profile::named(profile.name()), Some(profile));
    }
    assert_eq!(Profile::named("village"), None);
}

#[test]
fn words_rise_with_time() {
    let plan = plan(Profile::Words, 1, None);
    let words: Vec<u32> = plan
        .events
        .iter()
        .filter_map(|event| match event.deed {
            Deed::Person(_, PersonDeed::WriteWord { serial, .. }) => Some(serial),
            _ => None,
        })
        .collect();
    assert!(words.len() > 10 && words.is_sorted(), "{words:?}");
}

#[test]
fn weeks_have_two_dark_months_a_session_used_up_and_notes_that_do_not_wait_so_long() {
    let (mut dark, mut bursts, mut brief) = (0, 0, 0);
    for seed in 0..50 {
        let plan = plan(Profile::Weeks, seed, None);
        dark += u32::from(plan.cast().into_iter().any(|who| longest_dark(&plan, who) >= 59 * DAY));
        bursts += u32::from(longest_burst(&plan) > 32);
        brief += plan.events.iter().filter(|event| is_brief(&event.deed)).count();
    }
    assert!(dark >= 10 && bursts >= 45 && brief >= 200, "{dark} {bursts} {brief}");
}

fn is_brief(deed: &Deed) -> bool {
    matches!(deed, Deed::Person(_, PersonDeed::Send { lifetime_days: Some(1..30), .. }))
}

fn longest_dark(plan: &Plan, who: PersonId) -> Millis {
    let (mut since, mut longest) = (Some(0), 0);
    for event in &plan.events {
        match &event.deed {
            Deed::Person(person, PersonDeed::LinkUp) if *person == who => {
                longest = longest.max(since.map_or(0, |since| event.at - since));
                since = None;
            }
            Deed::Person(person, PersonDeed::LinkDown) if *person == who => since = since.or(Some(event.at)),
            _ => {}
        }
    }
    longest.max(since.map_or(0, |since| plan.calm_at - since))
}

/// Returns the most notes that one sent another within half an hour.
fn longest_burst(plan: &Plan) -> usize {
    let mut sent: BTreeMap<(PersonId, PersonId), Vec<Millis>> = BTreeMap::new();
    for event in &plan.events {
        if let Deed::Person(from, PersonDeed::Send { to, .. }) = &event.deed {
            sent.entry((*from, *to)).or_default().push(event.at);
        }
    }
    let within =
        |times: &Vec<Millis>, from: Millis| times.iter().filter(|at| (from..from + 30 * MINUTE).contains(at)).count();
    sent.values().flat_map(|times| times.iter().map(|from| within(times, *from))).max().unwrap_or(0)
}

#[test]
fn the_generator_was_not_changed_by_accident() {
    let hashes: Vec<String> = Profile::ALL
        .into_iter()
        .map(|profile| {
            let text = plan(profile, 2_026, None).to_json();
            let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
            format!("{} {}", profile.name(), data_encoding::HEXLOWER.encode(&hash.as_ref()[..8]))
        })
        .collect();
    // Whoever changes plans on purpose writes the new hashes here, and plays the seeds that regressions name again.
    assert_eq!(
        hashes,
        [
            "family 5aa882a8e7b96993",
            "town 66ec313966ac7ce5",
            "weeks 44a536f45b29df50",
            "storm 80f0d9618a9fe77e",
            "disks a34e745ad009714b",
            "words 27077f7568b11091",
            "hostile 5a53f3381b3a1b9e",
        ]
    );
}

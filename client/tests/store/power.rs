//! A program that is killed at any moment: every commit that had returned is there, and none by half.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use zajil_client::store::{Batch, DeviceStore, Kind};

use crate::rig::{Home, Records, open_at, read_all, seeded};

/// Names the home to the child, and tells it that it is the child.
const CHILD_HOME: &str = "ZAJIL_TEST_STORE_HOME";
/// Kills in one run.
const KILLS: u32 = 12;

/// The changes of commit `number`, the same whenever they are asked for: small and large, new, replaced, appended,
/// deleted.
fn batch(number: u32, model: &mut Records) -> Batch {
    let mut batch = Batch::new();
    let mut put = |kind, key: &[u8], value: Vec<u8>| {
        batch.put(kind, key, value.clone());
        model.insert((kind, key.to_vec()), value);
    };
    put(Kind::Setting, b"last", number.to_be_bytes().to_vec());
    let record = [(number % 37) as u8];
    let length = if number.is_multiple_of(11) { 20_000 } else { 200 };
    put(Kind::Note, &record, vec![(number % 251) as u8; length]);
    let grown = vec![(number % 251) as u8; 1_024];
    batch.append(Kind::OutgoingBody, b"live", grown.clone());
    model.entry((Kind::OutgoingBody, b"live".to_vec())).or_default().extend(grown);
    if number.is_multiple_of(64) {
        batch.delete(Kind::OutgoingBody, b"live");
        model.remove(&(Kind::OutgoingBody, b"live".to_vec()));
    }
    let old = [((number + 18) % 37) as u8];
    batch.delete(Kind::Note, &old);
    model.remove(&(Kind::Note, old.to_vec()));
    batch
}

fn last_of(records: &Records) -> u32 {
    let last = records.get(&(Kind::Setting, b"last".to_vec()));
    last.map_or(0, |last| u32::from_be_bytes(last.as_slice().try_into().unwrap()))
}

/// Commits until it is killed, and says each time when a commit has returned.
fn child(home: &Path) {
    let mut store = open_at(home).unwrap();
    let mut number = last_of(&read_all(&*store).unwrap());
    loop {
        number += 1;
        store.commit(batch(number, &mut Records::new())).unwrap();
        println!("\ndone {number}");
        if number.is_multiple_of(23) {
            store.scrub().unwrap();
        }
    }
}

/// Starts the child, kills it after `until` commits have returned, and tells the last one of which it said so.
fn killed_after(home: &Home, test: &str, until: u32) -> u32 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD_HOME, home.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut told, mut seen) = (0, 0);
    for line in lines {
        if let Some(number) = line.unwrap().strip_prefix("done ") {
            told = number.parse().unwrap();
            seen += 1;
            if seen == until {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(seen >= until, "the child ended by itself");
    told
}

#[test]
fn a_killed_program_has_every_commit_that_returned() {
    if let Some(home) = std::env::var_os(CHILD_HOME) {
        return child(Path::new(&home));
    }
    let home = Home::fresh();
    let mut runner = seeded();
    let (mut model, mut applied) = (Records::new(), 0);
    for _ in 0..KILLS {
        let until = 1 + runner.rng().random::<u32>() % 60;
        let told = killed_after(&home, "power::a_killed_program_has_every_commit_that_returned", until);
        let store = home.open().unwrap();
        let found = read_all(&*store).unwrap();
        let last = last_of(&found);
        assert!(last == told || last == told + 1, "told {told}, found {last}");
        for number in applied + 1..=last {
            let _ = batch(number, &mut model);
        }
        applied = last;
        assert_eq!(found, model);
    }
}

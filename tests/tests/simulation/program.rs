//! `zajil-sim` as a program: what it refuses, and how it ends when it is not let go on.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::replays::sabotaged;

/// Seeds that it does not get through while a test looks on.
const MANY: &str = "100000";

fn zajil_sim(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zajil-sim"));
    command.args(arguments).args(["--jobs", "1"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("zajil-sim starts")
}

#[test]
fn who_stops_it_is_told_what_was_played_until_then() {
    let (switch, seed) = sabotaged();
    let (seed, folder) = (seed.to_string(), tempfile::tempdir().expect("a folder can be made"));
    let folder = folder.path().to_str().expect("it has a name in UTF-8");
    // A line as soon as a world has ended: each has one in JSON, and without a safeguard one that failed.
    let failing = ["--keep-going", "--switch", switch.name(), "--seed", &seed, "--out", folder];
    for (signal, arguments, part) in
        [(Signal::INT, failing.as_slice(), "; stopped"), (Signal::TERM, &["--json", "--days", "1"], "\"played\":")]
    {
        let mut program = zajil_sim(&[&["--seeds", MANY], arguments].concat());
        let mut lines = BufReader::new(program.stdout.take().expect("it is a pipe")).lines();
        let first = lines.next().expect("a world ends").expect("it is text");
        let id = Pid::from_child(&program);
        kill_process(id, signal).expect("it can be stopped");
        let rest: Vec<String> = lines.map(|line| line.expect("it is text")).collect();
        let status = program.wait().expect("it ends");
        let last = rest.last().expect("it tells what was played");
        assert_eq!(status.code(), Some(130), "{first}\n{last}");
        assert!(last.contains(part), "{last}");
    }
}

#[test]
fn when_nobody_reads_what_it_prints_it_ends_without_a_word() {
    let mut program = zajil_sim(&["--seeds", MANY, "--json", "--days", "1"]);
    drop(program.stdout.take());
    let mut said = String::new();
    program.stderr.take().expect("it is a pipe").read_to_string(&mut said).expect("it is text");
    assert_eq!((program.wait().expect("it ends").code(), said.as_str()), (Some(141), ""));
}

#[test]
fn to_play_for_no_minutes_is_refused_in_words() {
    let output = zajil_sim(&["--minutes", "0"]).wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("leave --minutes out"), "{said}");
}

#[test]
fn seeds_that_there_are_not_are_refused() {
    let arguments = ["--seed", "18446744073709551615", "--seeds", "2"];
    let output = Command::new(env!("CARGO_BIN_EXE_zajil-sim")).args(arguments).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("fewer seeds are left"), "{said}");
}

#[test]
fn an_option_that_would_do_nothing_is_refused() {
    for arguments in [
        &["--speed", "--switch", "order-by-chance"] as &[&str],
        &["--speed", "--replay", "plan.json"],
        &["--trace", "trace", "--seeds", "3"],
        &["--trace", "trace", "--speed"],
        &["--replay", "plan.json", "--seeds", "3"],
        &["--replay", "plan.json", "--keep-going"],
        &["--sabotage", "--situations"],
        &["--sabotage", "--write", "--seeds", "3"],
        &["--sabotage", "--write", "--profile", "storm"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_zajil-sim")).args(arguments).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("cannot be used with"), "{arguments:?}: {said}");
    }
}

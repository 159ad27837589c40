//! The way of a note at the command line: two people, a relay that runs, is killed and comes back. What they read and
//! the exit codes.
#![cfg(test)]

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use zajil_net::limits::IDLE_TIMEOUT;
use zajil_proto::relay_link::RelayLink;
use zajil_tests::person::{Person, recording};
use zajil_tests::relay_process::{RelayHome, RunningRelay};

/// Longest time in which what waits has come to who is awake again: a minute until a relay is looked for, and its answer.
const WAKES_MAX: Duration = Duration::from_secs(90);

/// A relay with an address that stays the same over restarts, and two people who have it as their home.
struct Town {
    home: RelayHome,
    relay: Option<RunningRelay>,
    amal: Person,
    yusuf: Person,
}

impl Town {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(init: &[&str]) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let home = RelayHome::init_at(&listen, init);
        let relay = home.start();
        assert_eq!(relay.address(), listen.parse::<SocketAddr>().unwrap());
        let (amal, yusuf) = (Person::with_relay(home.link()), Person::with_relay(home.link()));
        Self { home, relay: Some(relay), amal, yusuf }
    }

    fn stop_relay(&mut self) {
        self.relay = None;
    }

    fn start_relay(&mut self) {
        self.relay = Some(self.home.start());
    }

    /// Pairs the two over a link and digits: `amal` invites.
    fn pair(&self) {
        let link = text(&self.amal.json(["contact", "add", "Yusuf"])["link"]);
        let answer = self.yusuf.json(["contact", "add", "Amal", &link]);
        assert_eq!(answer["ok"], true, "{answer}");
        for person in [&self.amal, &self.yusuf, &self.amal] {
            assert_eq!(person.json(["sync"])["ok"], true);
        }
        let digits = text(&self.amal.json(["contact", "verify", "Yusuf"])["digits"]);
        let arabic: String = digits
            .chars()
            .map(|digit| digit.to_digit(10).map_or(digit, |value| char::from_u32(0x660 + value).unwrap()))
            .collect();
        let confirmed = self.amal.json([
            "contact",
            "verify",
            "Yusuf",
            "--digits",
            &text(&self.yusuf.json(["contact", "verify", "Amal"])["digits"]),
        ]);
        assert_eq!(confirmed["confirmed"], true, "{confirmed}");
        let confirmed = self.yusuf.json(["contact", "verify", "Amal", "--digits", &arabic]);
        assert_eq!(confirmed["confirmed"], true, "{confirmed}");
    }
}

/// A port that was free a moment ago. Both UDP and TCP are asked, for the relay listens on both.
fn free_port() -> u16 {
    loop {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn path() -> String {
    recording().to_str().unwrap().to_owned()
}

#[test]
fn a_note_reaches_somebody_who_was_away_through_a_relay_that_was_killed() {
    let mut town = Town::new();
    town.pair();
    let sent = town.amal.zajil(["send", "Yusuf", &path()]).with_code(0);
    assert!(
        sent.out.starts_with("Note 1 for Yusuf (0:11, ") && sent.out.ends_with("): at the relay.\n"),
        "{}",
        sent.out
    );
    town.relay.as_mut().unwrap().kill();
    town.start_relay();

    let told = town.yusuf.zajil(["sync"]).with_code(0);
    assert!(told.out.starts_with("The relay answered.\nOne note came.\n"), "{}", told.out);
    let inbox = town.yusuf.zajil(["inbox"]).with_code(0);
    assert!(inbox.out.contains("from Amal, today ") && inbox.out.contains("0:11: not heard yet"), "{}", inbox.out);

    let (wav, opus) = (town.yusuf.file("heard.wav"), town.yusuf.file("heard.opus"));
    let exported = town.yusuf.zajil(["export", "1", opus.to_str().unwrap()]).with_code(0);
    assert!(exported.out.contains("Exporting does not count as hearing."), "{}", exported.out);
    assert_eq!(town.yusuf.json(["inbox"])["notes"][0]["mark"], "delivered");
    let played = town.yusuf.zajil(["play", "next", "--to", wav.to_str().unwrap()]).with_code(0);
    assert!(played.out.ends_with("Heard.\n"), "{}", played.out);
    assert_eq!(town.yusuf.json(["inbox", "--all"])["notes"][0]["mark"], "heard");
    let samples = hound::WavReader::open(&wav).unwrap().duration();
    assert_eq!(samples, 11 * 48_000, "sample for sample as long as what was spoken");
    assert!(fs::read(&opus).unwrap().starts_with(b"OggS"));
    assert_eq!(town.yusuf.zajil(["inbox"]).with_code(0).out, "Nothing new.\n");
}

#[test]
fn receipts_at_once_bring_all_four_marks_back() {
    let town = Town::new();
    town.pair();
    let set = town.yusuf.zajil(["contact", "set", "Amal", "--receipts", "at-once"]).with_code(0);
    assert_eq!(set.out, "Amal: receipts at once; “last seen” within six hours.\n");
    let _told = town.amal.zajil(["send", "Yusuf", &path()]).with_code(0);
    let mark = || text(&town.amal.json(["inbox", "--all"])["notes"][0]["mark"]);
    assert_eq!(mark(), "at-relay");
    let _told = town.yusuf.zajil(["sync"]).with_code(0);
    let _told = town.amal.zajil(["sync"]).with_code(0);
    assert_eq!(mark(), "delivered");
    let _told = town.yusuf.zajil(["play", "1", "--to", town.yusuf.file("a.wav").to_str().unwrap()]).with_code(0);
    let _told = town.yusuf.zajil(["sync"]).with_code(0);
    let _told = town.amal.zajil(["sync"]).with_code(0);
    assert_eq!(mark(), "heard");
}

#[test]
fn a_note_without_a_relay_waits_and_goes_later() {
    let mut town = Town::new();
    town.pair();
    town.stop_relay();
    let waits = town.amal.zajil(["send", "Yusuf", &path(), "--timeout", "2"]).with_code(3);
    assert!(waits.out.contains("on this device.\nIt waits, and nothing of it is lost."), "{}", waits.out);
    let answer = town.amal.json(["send", "Yusuf", &path(), "--timeout", "1"]);
    assert_eq!((&answer["ok"], &answer["exit"]), (&Value::Bool(true), &Value::from(3)), "{answer}");
    assert_eq!(town.amal.zajil(["send", "Yusuf", &path(), "--wait", "device"]).with_code(0).errors, "");
    let status = town.amal.json(["status"]);
    assert!(status["waiting"].as_u64() >= Some(3), "three notes, and what else there is to say: {status}");
    town.start_relay();
    let told = town.amal.zajil(["sync"]).with_code(0);
    assert!(told.out.contains("3 notes are now at the relay.\nNothing waits to be sent."), "{}", told.out);
}

#[test]
fn a_daemon_delivers_while_the_command_waits_for_it() {
    let town = Town::new();
    town.pair();
    let _told = town.yusuf.zajil(["contact", "set", "Amal", "--receipts", "at-once"]).with_code(0);
    let _daemon = town.yusuf.daemon();
    let told = town.amal.zajil(["send", "Yusuf", &path(), "--wait", "delivered", "--timeout", "60"]).with_code(0);
    assert!(told.out.ends_with("): on their device.\n"), "{}", told.out);
    let answer = town.amal.json(["send", "Yusuf", &path(), "--wait", "heard", "--timeout", "2"]);
    assert_eq!(answer["exit"], 3, "delivered is not heard: {answer}");
}

/// Waits until so many notes are on somebody's list that were not heard.
fn until_there_are(notes: usize, person: &Person) {
    let began = Instant::now();
    loop {
        let there = person.json(["inbox"])["notes"].as_array().expect("a list").len();
        assert!(there <= notes, "{there} notes, and {notes} were sent");
        if there == notes {
            return;
        }
        assert!(began.elapsed() < WAKES_MAX, "{}", person.json(["status"]));
        sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_phone_that_has_slept_longer_than_its_connection_lasts_gets_what_came_meanwhile() {
    let town = Town::new();
    town.pair();
    let daemon = town.yusuf.daemon();
    let _told = town.amal.zajil(["send", "Yusuf", &path()]).with_code(0);
    until_there_are(1, &town.yusuf);
    daemon.sleeps(|| {
        let _told = town.amal.zajil(["send", "Yusuf", &path()]).with_code(0);
        // The relay ends what has been silent for so long.
        sleep(IDLE_TIMEOUT + Duration::from_secs(10));
    });
    until_there_are(2, &town.yusuf);
}

#[test]
fn a_relay_that_sleeps_is_out_of_reach_and_has_lost_nothing_when_it_wakes() {
    let town = Town::new();
    town.pair();
    let _daemon = town.yusuf.daemon();
    let relay = town.relay.as_ref().unwrap();
    relay.sleeps(|| {
        let waits = town.amal.zajil(["send", "Yusuf", &path(), "--timeout", "8"]).with_code(3);
        assert!(waits.out.contains("It waits, and nothing of it is lost."), "{}", waits.out);
    });
    let _told = town.amal.zajil(["sync", "--timeout", "60"]).with_code(0);
    until_there_are(1, &town.yusuf);
}

#[test]
fn the_last_word_is_asked_for_also_when_the_relay_is_gone() {
    let mut town = Town::new();
    town.pair();
    for person in [&town.amal, &town.yusuf] {
        let _told = person.zajil(["sync"]).with_code(0);
    }
    let written = town.amal.zajil(["word", "نحن في الطريق", "--state", "moving"]).with_code(0);
    assert_eq!(written.out, "Your last word is ready for one contact.\nIt is at the relay.\n");
    let _told = town.yusuf.zajil(["sync"]).with_code(0);
    let seen = town.yusuf.json(["seen", "Amal"]);
    assert_eq!(seen["word"]["text"], "نحن في الطريق", "{seen}");
    assert_eq!((&seen["word"]["state"], &seen["fresh"]), (&Value::from("moving"), &Value::Bool(true)));
    assert_eq!(seen["bucket"]["hours"], 6);
    town.stop_relay();

    let told = town.yusuf.zajil(["seen", "Amal", "--timeout", "2"]).with_code(0);
    for sentence in [
        "The last news reached this device today at ",
        "Last word: “\u{2068}We are moving.\u{2069} \u{2068}نحن في الطريق\u{2069}”",
        "by their clock.",
        "A relay received it ",
        "Their relay did not answer now; this is what this device holds.",
        "Checked just now.",
    ] {
        assert!(told.out.contains(sentence), "{sentence:?} is not in {:?}", told.out);
    }
    let offline = town.yusuf.zajil(["seen", "Amal", "--offline"]).with_code(0);
    assert!(!offline.out.contains("did not answer now"), "{}", offline.out);
    let arabic = town.yusuf.zajil(["--lang", "ar", "seen", "Amal", "--offline"]).with_code(0);
    assert!(arabic.out.contains("آخر كلمة: «"), "{}", arabic.out);
}

#[test]
fn a_link_works_once_and_not_for_its_maker() {
    let town = Town::new();
    let link = text(&town.amal.json(["contact", "add", "Yusuf"])["link"]);
    assert_eq!(town.amal.json(["contact", "add", "Me", &link])["error"]["code"], "own-link");
    assert_eq!(town.yusuf.json(["contact", "add", "Amal", &link])["ok"], true);
    let late = Person::with_relay(town.home.link());
    let told = late.json(["contact", "add", "Amal", &link]);
    assert_eq!((&told["error"]["code"], &told["exit"]), (&Value::from("link-used"), &Value::from(9)), "{told}");
    let mut wrong = link.clone();
    let end = wrong.pop().unwrap();
    wrong.push(if end == 'A' { 'B' } else { 'A' });
    assert_eq!(late.json(["contact", "add", "Amal", &wrong])["error"]["code"], "bad-link");
}

#[test]
fn who_takes_up_a_link_speaks_at_once_and_who_made_it_waits() {
    let town = Town::new();
    let link = text(&town.amal.json(["contact", "add", "Yusuf"])["link"]);
    let early = town.amal.json(["send", "Yusuf", &path(), "--timeout", "3"]);
    assert_eq!((&early["error"]["code"], &early["exit"]), (&Value::from("not-paired"), &Value::from(4)), "{early}");
    let taken = town.yusuf.zajil(["contact", "add", "Amal", &link]).with_code(0);
    assert!(taken.out.starts_with("You can send notes to Amal now.\n"), "{}", taken.out);
    let _told = town.yusuf.zajil(["send", "Amal", &path()]).with_code(0);
    let _told = town.amal.zajil(["sync"]).with_code(0);
    assert_eq!(town.amal.json(["inbox"])["notes"][0]["mark"], "delivered");
}

#[test]
fn two_who_meet_scan_both_ways_and_are_confirmed() {
    let town = Town::new();
    let (link, back) = (town.amal.file("link.png"), town.yusuf.file("back.png"));
    let (link, back) = (link.to_str().unwrap(), back.to_str().unwrap());
    let _told = town.amal.zajil(["contact", "add", "Yusuf", "--qr", link]).with_code(0);
    let taken = town.yusuf.json(["contact", "add", "Amal", "--scan", link, "--in-person", "--qr", back]);
    assert_eq!(taken["ok"], true, "{taken}");
    let _told = town.amal.zajil(["sync"]).with_code(0);
    let verified = town.amal.zajil(["contact", "verify", "Yusuf", "--scan", back]).with_code(0);
    assert_eq!(verified.out, "Yusuf is confirmed.\n");
    let _told = town.yusuf.zajil(["sync"]).with_code(0);
    for person in [&town.amal, &town.yusuf] {
        let contacts = person.json(["contact", "list"]);
        assert_eq!(contacts["contacts"][0]["pairing"], "confirmed", "{contacts}");
    }
}

#[test]
fn digits_that_differ_confirm_nobody() {
    let town = Town::new();
    let link = text(&town.amal.json(["contact", "add", "Yusuf"])["link"]);
    assert_eq!(town.yusuf.json(["contact", "verify", "Amal"])["error"]["code"], "unknown-contact");
    assert_eq!(town.amal.json(["contact", "verify", "Yusuf"])["error"]["code"], "no-digits-yet");
    let _told = town.yusuf.zajil(["contact", "add", "Amal", &link]).with_code(0);
    let _told = town.amal.zajil(["sync"]).with_code(0);
    let digits = text(&town.amal.json(["contact", "verify", "Yusuf"])["digits"]);
    let first = if digits.starts_with('1') { '2' } else { '1' };
    let wrong = format!("{first}{}", &digits[1..]);
    let told = town.amal.json(["contact", "verify", "Yusuf", "--digits", &wrong]);
    assert_eq!((&told["error"]["code"], &told["exit"]), (&Value::from("digits-differ"), &Value::from(9)), "{told}");
    assert_eq!(town.amal.json(["contact", "list"])["contacts"][0]["pairing"], "unconfirmed");
    let word = town.amal.json(["word", "--state", "well", "--to", "Yusuf", "--timeout", "1"]);
    assert_eq!(word["error"]["code"], "not-confirmed", "{word}");
}

#[test]
fn an_invite_only_relay_takes_whom_its_link_names_and_nobody_else() {
    let town = Town::with(&["--invite-only"]);
    town.pair();
    let link = town.home.link();
    let stranger =
        Person::with_relay(&RelayLink { key: link.key, admission: String::new(), address: link.address.clone() });
    let told = stranger.json(["contact", "add", "Amal"]);
    assert_eq!((&told["error"]["code"], &told["exit"]), (&Value::from("not-admitted"), &Value::from(5)), "{told}");
}

#[test]
fn a_relay_with_another_key_is_told_nothing() {
    let town = Town::new();
    let link = town.home.link();
    let other = zajil_proto::keys::SigningKey::draw(&mut zajil_net::SystemRandom::new()).public();
    let lured = Person::with_relay(&RelayLink { key: other, admission: String::new(), address: link.address.clone() });
    for words in [&["sync", "--timeout", "20"][..], &["contact", "add", "Amal"]] {
        let told = lured.json(words);
        assert_eq!((&told["error"]["code"], &told["exit"]), (&Value::from("wrong-key"), &Value::from(8)), "{told}");
    }
    assert_eq!(
        lured.json(["contact", "list"])["contacts"],
        Value::Array(Vec::new()),
        "no link is given away for nothing"
    );
}

#[test]
fn names_are_free_in_any_script_and_taken_once() {
    let town = Town::new();
    town.pair();
    let name = "يوسف ابن الجيران";
    let link = text(&town.amal.json(["contact", "add", name])["link"]);
    let again = text(&town.amal.json(["contact", "add", name])["link"]);
    assert_eq!(link, again, "asked again for somebody who has not answered, it is the same link");
    let taken = town.amal.json(["contact", "add", "Yusuf"]);
    assert_eq!((&taken["error"]["code"], &taken["exit"]), (&Value::from("name-taken"), &Value::from(1)), "{taken}");
    let near = town.amal.zajil(["send", "يوسف ابن الجيرا", &path()]).with_code(4);
    assert!(near.errors.contains("Did you mean \u{2068}يوسف ابن الجيران\u{2069}?"), "{}", near.errors);
    for bad in [" ", "a\nb", &"ن".repeat(51)] {
        let told = town.amal.json(["contact", "add", bad]);
        assert_eq!((&told["error"]["code"], &told["exit"]), (&Value::from("bad-name"), &Value::from(2)), "{told}");
    }
}

/// Runs `zajil` on a terminal of its own and gives what a person sees.
fn on_terminal(person: &Person, words: &str, no_color: bool) -> String {
    let line = format!("{} {words}", zajil_tests::binaries::client().display());
    let mut command = Command::new("script");
    person.environment(&mut command);
    if no_color {
        command.env("NO_COLOR", "1");
    }
    let output = command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_terminal_shows_the_code_to_scan_and_a_pipe_does_not() {
    let town = Town::new();
    let piped = town.amal.zajil(["contact", "add", "A"]).with_code(0);
    assert!(!piped.out.contains('▀') && !piped.out.contains('\u{1b}'), "{}", piped.out);
    assert_eq!(piped.errors, "", "no progress into a pipe");
    let coloured = on_terminal(&town.amal, "contact add B", false);
    assert!(coloured.contains('▀') && coloured.contains("\u{1b}[38;5;16;48;5;231m"), "{coloured}");
    let plain = on_terminal(&town.amal, "contact add C", true);
    assert!(plain.contains('▀') && !plain.contains("\u{1b}[38"), "{plain}");
    let quiet = on_terminal(&town.amal, "--quiet contact add D", false);
    assert!(!quiet.contains('▀') && quiet.contains("zajil:"), "{quiet}");
}

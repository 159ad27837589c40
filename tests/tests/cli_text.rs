//! What `zajil` says and with which code it ends, where no relay is needed: in both languages, for people and for
//! programs.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use zajil_proto::keys::SigningKey;
use zajil_proto::relay_link::RelayLink;
use zajil_tests::person::{Ended, Person, ended, recording};
use zajil_tests::skipped::skipped;

/// A relay that does not exist, on a port of this machine where nothing listens.
fn relay_at(address: &str) -> RelayLink {
    RelayLink {
        key: SigningKey::draw(&mut zajil_net::SystemRandom::new()).public(),
        admission: String::new(),
        address: address.to_owned(),
    }
}

fn person() -> Person {
    Person::with_relay(&relay_at("127.0.0.1:1"))
}

/// Demands an error: its exit code, its name for programs, its words, and that both languages tell it in two lines.
fn refused(person: &Person, words: &[&str], code: i32, name: &str, says: &str) -> Ended {
    let english = person.zajil(words).with_code(code);
    assert!(english.errors.contains(says), "{says:?} is not in {:?}", english.errors);
    assert!(english.out.is_empty(), "errors go to standard error: {:?}", english.out);
    assert_eq!(english.errors.lines().count(), 2, "what happened, and what to do next: {:?}", english.errors);

    let mut arabic = person.command(["--lang", "ar"]);
    let arabic = ended(arabic.args(words)).with_code(code);
    assert_eq!(arabic.errors.lines().count(), 2, "{:?}", arabic.errors);
    let is_arabic = |letter| matches!(letter, '\u{600}'..='\u{6ff}');
    for line in arabic.errors.lines() {
        assert!(line.chars().any(is_arabic), "{line:?} is not Arabic");
        let count = |mark: char| line.matches(mark).count();
        assert_eq!(count('\u{2068}'), count('\u{2069}'), "isolates close: {line:?}");
    }

    let mut json = person.command(["--json"]);
    let answer = ended(json.args(words)).with_code(code).json();
    assert_eq!(answer["error"]["code"], name, "{answer}");
    assert_eq!(
        (answer["zajil"].as_u64(), answer["ok"].as_bool(), answer["exit"].as_i64()),
        (Some(1), Some(false), Some(code.into()))
    );
    english
}

#[test]
fn help_and_version_are_no_errors() {
    let person = Person::new();
    let help = person.zajil(["--help"]).with_code(0);
    for text in ["Usage: zajil", "Exit codes:", "  3  not so far yet", "contact", "daemon"] {
        assert!(help.out.contains(text), "{text:?} is not in {}", help.out);
    }
    let arabic = person.zajil(["--lang", "ar", "send", "--help"]).with_code(0);
    assert!(arabic.out.contains("أرسل تسجيلًا"), "{}", arabic.out);
    let by_environment = ended(person.command(["--help"]).env("LC_ALL", "ar_SY.UTF-8")).with_code(0);
    assert!(by_environment.out.contains("الاستعمال:"));
    assert!(person.zajil(["--version"]).with_code(0).out.starts_with("zajil 0."));
}

#[test]
fn what_cannot_be_understood_ends_with_two() {
    let person = Person::new();
    refused(&person, &["sned"], 2, "usage-unknown-command", "Did you mean send?");
    refused(&person, &["status", "--fast"], 2, "usage-unknown-argument", "There is no option --fast here.");
    refused(&person, &["send", "Amal"], 2, "usage-missing", "Something is missing");
    refused(&person, &["sync", "--timeout", "soon"], 2, "usage-value", "“soon” does not fit");
    refused(&person, &["seen", "Amal", "--offline", "--timeout", "1"], 2, "usage-conflict", "do not go together");
    let loud = ended(person.command(["status"]).env("ZAJIL_LOG", "loud")).with_code(2);
    assert!(loud.errors.starts_with("ZAJIL_LOG knows no “loud”."));
}

#[test]
fn a_device_that_is_not_set_up_says_how_to_set_it_up() {
    let person = Person::new();
    for words in [&["status"][..], &["inbox"], &["contact", "list"], &["sync"], &["seen", "Amal"], &["daemon"]] {
        refused(&person, words, 7, "home-not-set-up", "not set up yet");
    }
    assert!(!person.home().exists(), "looking makes nothing");
}

#[test]
fn a_device_is_set_up_once_in_a_home_that_nobody_else_may_enter() {
    let person = Person::new();
    let link = relay_at("127.0.0.1:1").to_string();
    let told = person.zajil(["init", "--relay", &link]).with_code(0);
    assert!(told.out.starts_with("This device is set up.\n"), "{}", told.out);
    assert!(told.out.contains("Relay: 127.0.0.1:1\n"), "{}", told.out);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&person.home()), 0o700);
    for entry in fs::read_dir(person.home()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    refused(&person, &["init", "--relay", &link], 7, "home-exists", "set up already");
    assert!(person.zajil(["contact", "list"]).with_code(0).out.starts_with("No contacts yet."));
    assert_eq!(person.zajil(["inbox"]).with_code(0).out, "Nothing new.\n");
}

#[test]
fn a_mistyped_relay_link_sets_nothing_up() {
    let person = Person::new();
    let link = relay_at("127.0.0.1:1").to_string();
    let mut swapped = link.clone();
    swapped.replace_range(20..21, if &link[20..21] == "A" { "B" } else { "A" });
    for wrong in [swapped.as_str(), "zajil-relay:", "hello", &link[..link.len() - 2]] {
        refused(&person, &["init", "--relay", wrong], 9, "relay-link", "The relay link cannot be read.");
    }
    assert!(!person.home().exists());
}

#[test]
fn a_home_behind_a_passphrase_opens_with_it_alone() {
    let person = Person::new();
    let right = person.file("right");
    let wrong = person.file("wrong");
    fs::write(&right, "عبارة طويلة لا يعرفها أحد\nsecond line\n").unwrap();
    fs::write(&wrong, "guess\n").unwrap();
    let (right, wrong) = (right.to_str().unwrap(), wrong.to_str().unwrap());
    let link = relay_at("127.0.0.1:1").to_string();
    let _told = person.zajil(["init", "--relay", &link, "--passphrase-file", right]).with_code(0);
    assert!(!person.home().join("key").exists(), "no key file beside a passphrase");

    refused(&person, &["status"], 7, "passphrase-needed", "opens with a passphrase");
    refused(&person, &["status", "--passphrase-file", wrong], 7, "passphrase-wrong", "The passphrase is wrong.");
    refused(&person, &["status", "--passphrase-file", "/nowhere/at/all"], 7, "passphrase-file", "it is not there");
    for text in ["", "\nsecond line", &"x".repeat(1_025)] {
        fs::write(wrong, text).unwrap();
        refused(&person, &["status", "--passphrase-file", wrong], 7, "passphrase-form", "1 to 1024 bytes");
    }
    let _told = person.zajil(["status", "--passphrase-file", right]).with_code(0);
    let _told = ended(person.command(["status"]).env("ZAJIL_PASSPHRASE_FILE", right)).with_code(0);
}

#[test]
fn a_home_without_its_key_file_or_with_another_is_told_as_such() {
    let (person, other) = (person(), person());
    let key = person.home().join("key");
    let passphrase = person.file("passphrase");
    fs::write(&passphrase, "not wanted here").unwrap();
    let with_passphrase = ["status", "--passphrase-file", passphrase.to_str().unwrap()];
    refused(&person, &with_passphrase, 7, "passphrase-not-wanted", "not with a passphrase");

    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    refused(&person, &["status"], 7, "home-key-missing", "The key file of this home is not there.");
    fs::copy(other.home().join("key"), &key).unwrap();
    refused(&person, &["status"], 7, "home-key-wrong", "does not belong to it");
    fs::write(&key, kept).unwrap();
    let _told = person.zajil(["status"]).with_code(0);
}

#[test]
fn a_home_of_a_newer_version_and_a_damaged_one_are_not_touched() {
    let person = person();
    let records = person.home().join("records.db");
    let kept = fs::read(&records).unwrap();
    let mut newer = kept.clone();
    newer[63] += 1; // user_version in the header of SQLite
    fs::write(&records, &newer).unwrap();
    refused(&person, &["status"], 7, "home-newer", "A newer zajil has written this home.");
    assert_eq!(fs::read(&records).unwrap(), newer, "nothing was changed");

    fs::write(&records, b"this is no database").unwrap();
    refused(&person, &["status"], 7, "home-damaged", "damaged");
    fs::write(&records, kept).unwrap();
    let _told = person.zajil(["status"]).with_code(0);
}

#[test]
fn a_place_that_cannot_be_written_is_told() {
    let person = Person::new();
    let link = relay_at("127.0.0.1:1").to_string();
    // Nobody, not even root, makes folders there.
    refused(
        &person,
        &["--home", "/sys/zajil", "init", "--relay", &link],
        7,
        "home-read-only",
        "cannot be written: /sys/zajil",
    );
}

/// Runs a shell line with mounts of its own, which only root may make. Others get the same through modes of files.
fn with_mounts(person: &Person, script: &str, words: &[&str]) -> Ended {
    let program = zajil_tests::binaries::client();
    let line = format!("{script} && exec \"$0\" \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &line]).arg(program).args(words);
    person.environment(&mut command);
    ended(&mut command)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_home_that_became_read_only_is_told() {
    let person = person();
    let told = if is_root() {
        with_mounts(
            &person,
            "mount --bind \"$ZAJIL_HOME\" \"$ZAJIL_HOME\" && mount -o remount,ro,bind \"$ZAJIL_HOME\"",
            &["--json", "status"],
        )
    } else {
        let set = |mode| fs::set_permissions(person.home(), fs::Permissions::from_mode(mode)).unwrap();
        set(0o500);
        let told = person.zajil(["--json", "status"]);
        set(0o700);
        told
    };
    assert_eq!(told.with_code(7).json()["error"]["code"], "home-read-only");
}

#[test]
fn a_full_disk_is_told_and_nothing_half_made_is_left() {
    if !is_root() {
        skipped("a full disk at the command line", "only root makes a disk of this size");
        return;
    }
    let person = Person::new();
    fs::create_dir(person.home()).unwrap();
    let link = relay_at("127.0.0.1:1").to_string();
    let script = "mount -t tmpfs -o size=8k tmpfs \"$ZAJIL_HOME\"";
    let told = with_mounts(&person, script, &["--json", "init", "--relay", &link]).with_code(7);
    assert_eq!(told.json()["error"]["code"], "disk-full");
}

#[test]
fn recordings_that_cannot_be_used_are_refused_with_advice_and_nothing_is_sent() {
    let person = person();
    let path = |name: &str| person.file(name).to_str().unwrap().to_owned();
    let whole = fs::read(recording()).unwrap();
    fs::write(path("empty.wav"), b"").unwrap();
    fs::write(path("story.txt"), "a story in letters, and no sound in it, however long it may be").unwrap();
    fs::write(path("call.amr"), b"#!AMR\n\x3c\x91\x17\x16\xbe\x66\x79\xe1").unwrap();
    fs::write(path("cut.wav"), &whole[..whole.len() / 3]).unwrap();
    silence(&person.file("silent.wav"), 3);
    silence(&person.file("hour.wav"), 3_600);

    let send = |name: &str| ["send", "Amal", &path(name)].map(str::to_owned);
    for (name, code, says) in [
        ("empty.wav", "audio-empty", "There is no sound in the file."),
        ("story.txt", "audio-not-sound", "This is not a sound file."),
        ("call.amr", "audio-amr", "ffmpeg -i "),
        ("cut.wav", "audio-cut-off", "The file is cut off after"),
        ("silent.wav", "audio-silent", "The recording is silent."),
        ("hour.wav", "audio-too-long", "The recording lasts 60:00; a note may last 10:00."),
        ("absent.wav", "recording-missing", "it is not there"),
    ] {
        let words = send(name);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = refused(&person, &words, 6, code, says);
        assert!(told.errors.contains("Nothing was sent."), "{}", told.errors);
    }
    refused(&person, &["send", "Amal", person.home().to_str().unwrap()], 6, "recording-missing", "it is a folder");
    let told = person.zajil_reading(["send", "Amal", "-"], b"no sound").with_code(6);
    assert!(told.errors.starts_with("This is not a sound file."), "{}", told.errors);
    assert_eq!(person.json(["inbox", "--all"])["notes"], serde_json::json!([]));
}

/// A WAV file of so many seconds of nothing, as a microphone that is switched off makes it.
fn silence(path: &Path, seconds: u32) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for _ in 0..seconds * spec.sample_rate {
        writer.write_sample(0_i16).unwrap();
    }
    writer.finalize().unwrap();
}

#[test]
fn whom_and_what_nobody_knows_ends_with_four() {
    let person = person();
    let recording = recording();
    refused(
        &person,
        &["send", "Amal", recording.to_str().unwrap()],
        4,
        "unknown-contact",
        "There is no contact called Amal.",
    );
    refused(&person, &["seen", "أمل"], 4, "unknown-contact", "There is no contact called");
    refused(&person, &["contact", "verify", "Amal"], 4, "unknown-contact", "There is no contact called Amal.");
    refused(&person, &["contact", "set", "Amal", "--receipts", "none"], 4, "unknown-contact", "There is no contact");
    refused(&person, &["play", "7", "--to", "x.wav"], 4, "unknown-note", "There is no note 7.");
    refused(&person, &["export", "٧", "x.wav"], 4, "unknown-note", "There is no note 7.");
    assert_eq!(person.zajil(["play", "next"]).with_code(0).out, "Nothing new to play.\n");
}

#[test]
fn links_codes_and_digits_that_cannot_be_right_end_with_nine() {
    let person = person();
    refused(&person, &["contact", "add", "Amal", "zajil:AQ"], 9, "bad-link", "The link or code cannot be read.");
    refused(&person, &["contact", "verify", "Amal", "--digits", "12"], 9, "digits-form", "not twelve digits");
    assert_eq!(person.json(["contact", "list"])["contacts"], serde_json::json!([]), "a wrong link makes no contact");
}

#[test]
fn pictures_without_a_code_to_read_are_told_apart() {
    let person = person();
    let picture = |name: &str| person.file(name).to_str().unwrap().to_owned();
    refused(
        &person,
        &["contact", "add", "Amal", "--scan", &picture("absent.png")],
        1,
        "picture-missing",
        "it is not there",
    );
    fs::write(picture("photo.png"), b"\xff\xd8\xff\xe0 JFIF").unwrap();
    refused(
        &person,
        &["contact", "add", "Amal", "--scan", &picture("photo.png")],
        9,
        "picture-kind",
        "not a PNG picture",
    );
    refused(&person, &["contact", "add", "Amal", "--qr", "code.gif"], 2, "qr-file-kind", ".png or .svg");
    refused(&person, &["export", "1", "note.mp3"], 2, "file-kind", ".wav or .opus");
}

#[test]
fn a_relay_that_cannot_be_reached_is_told_with_its_reason() {
    let person = person();
    refused(&person, &["sync", "--timeout", "3"], 8, "no-answer", "The relay did not answer.");

    let lost = Person::with_relay(&relay_at("relay.invalid:443"));
    let told = lost.json(["sync", "--timeout", "5"]);
    assert_eq!(told["exit"], 8, "{told}");
}

#[test]
fn a_device_without_any_network_is_told_so() {
    if !is_root() {
        skipped("a device without any network", "only root takes a program's network away");
        return;
    }
    let person = Person::with_relay(&relay_at("192.0.2.1:443"));
    let mut command = Command::new("unshare");
    command.arg("--net").arg(zajil_tests::binaries::client()).args(["--json", "sync", "--timeout", "3"]);
    person.environment(&mut command);
    let told = ended(&mut command).with_code(8);
    assert_eq!(told.json()["error"]["code"], "no-route");
}

#[test]
fn a_daemon_serves_other_commands_and_a_second_one_is_refused() {
    let person = person();
    let mut daemon = person.daemon();
    assert_eq!(person.json(["status"])["daemon"], true);
    refused(&person, &["daemon"], 7, "daemon-running", "A daemon runs on this home already.");
    let socket = person.home().join("daemon.sock");
    assert_eq!(fs::symlink_metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    assert_eq!(person.zajil(["daemon", "--stop"]).with_code(0).out, "The daemon has stopped.\n");
    assert!(daemon.wait().success());
    assert!(!socket.exists());
    refused(&person, &["daemon", "--stop"], 1, "daemon-not-running", "No daemon runs on this home.");
    assert_eq!(person.json(["status"])["daemon"], false);
}

#[test]
fn signals_stop_a_daemon_gently_and_a_killed_one_leaves_nothing_in_the_way() {
    let person = person();
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        assert!(person.daemon().stop(signal).success());
        assert!(!person.home().join("daemon.sock").exists());
    }
    person.daemon().kill();
    assert!(person.home().join("daemon.sock").exists(), "a killed daemon leaves its socket");
    assert_eq!(person.json(["status"])["daemon"], false);
    drop(person.daemon());
    let _told = person.zajil(["inbox"]).with_code(0);
}

#[test]
fn a_home_with_a_long_path_works_without_a_daemon() {
    let person = Person::new();
    let home = person.file(&"long".repeat(30));
    let home = home.to_str().unwrap();
    let link = relay_at("127.0.0.1:1").to_string();
    let _told = person.zajil(["--home", home, "init", "--relay", &link]).with_code(0);
    let _told = person.zajil(["--home", home, "status"]).with_code(0);
    refused(&person, &["--home", home, "daemon"], 7, "socket-path-long", "too long for a daemon");
}

#[test]
fn commands_at_the_same_time_wait_for_one_another() {
    let person = person();
    let running: Vec<_> = (0..6)
        .map(|_| person.command(["status", "--json"]).stdout(std::process::Stdio::null()).spawn().unwrap())
        .collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn the_log_is_off_unless_asked_for_and_names_nobody() {
    let person = person();
    let quiet = person.zajil(["sync", "--timeout", "2"]).with_code(8);
    assert_eq!(quiet.errors.lines().count(), 2, "{}", quiet.errors);
    let loud = ended(person.command(["sync", "--timeout", "2"]).env("ZAJIL_LOG", "trace").env("RUST_LOG", "trace"));
    for line in loud.errors.lines() {
        for secret in ["127.0.0.1", person.home().to_str().unwrap(), "quinn", "rustls"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[test]
fn output_that_nobody_reads_is_no_crash() {
    let person = person();
    let mut child = person.command(["contact", "list"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

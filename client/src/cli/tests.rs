//! Commands against an engine that answers as a test says: what is asked of it, what is told, how it ends.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use serde_json::Value;
use tempfile::TempDir;
use zajil_proto::time::Minute;

use super::output::tests::{Written, kept};
use super::*;
use crate::audio::Pcm;
use crate::engine::api::{
    ContactView, Direction, DisappearingView, Failure, Link, NoteMark, NoteView, Pairing, ProbingView, Progress,
    Receipts, Reply, Request, SeenPrecision, SeenView, Span, SpanChoice, StatusView, SyncView, Trouble, Voice,
    WaitReason,
};

/// An engine that answers in order, and keeps what it was asked.
#[derive(Default)]
struct Engine {
    answers: VecDeque<Result<Reply, Failure>>,
    asked: Vec<Request>,
}

impl Engine {
    fn answering(answers: impl IntoIterator<Item = Result<Reply, Failure>>) -> Self {
        Self { answers: answers.into_iter().collect(), asked: Vec::new() }
    }
}

impl Executor for Engine {
    async fn execute(&mut self, request: Request, _: &mut dyn FnMut(Progress)) -> Result<Reply, Problem> {
        self.asked.push(request);
        Ok(self.answers.pop_front().expect("an answer for every request")?)
    }
}

/// What a command wrote, and its exit code.
struct Ended {
    out: String,
    errors: String,
    exit: Exit,
}

async fn run_in(locale: Locale, engine: &mut Engine, words: &[&str]) -> Ended {
    let Arguments { common, command } =
        Arguments::try_parse_from(std::iter::once("zajil").chain(words.iter().copied()))
            .unwrap_or_else(|e| panic!("{e}"));
    let (output, out, errors): (Output, Written, Written) = kept(locale, common.json);
    let mut context = Context {
        output,
        home: PathBuf::from("/nobody"),
        home_named: common.home.is_some(),
        passphrase_typed: false,
        zone: TimeZone::UTC,
        now: Minute(29_919_750), // Friday 2026-11-20 14:30 UTC
    };
    let exit = ask(&mut context, engine, &command, common.link_class).await.unwrap_or_else(|problem| {
        context.output.problem(Some(name_of(&command)), &problem);
        problem.exit
    });
    Ended { out: out.text(), errors: errors.text(), exit }
}

async fn run(engine: &mut Engine, words: &[&str]) -> Ended {
    run_in(Locale::ENGLISH, engine, words).await
}

fn contact(pairing: Pairing) -> ContactView {
    ContactView {
        name: "Amal".to_owned(),
        pairing,
        receipts: Receipts::Later,
        seen: SeenPrecision::SixHours,
        disappear: Span::default(),
        shows_word: false,
        unheard: 0,
        waiting: 0,
        out_of_hands: None,
        renewing: false,
    }
}

fn note(direction: Direction, mark: NoteMark) -> NoteView {
    NoteView {
        number: 3,
        contact: "Amal".to_owned(),
        direction,
        recorded: Minute(29_919_740),
        arrived: Minute(29_919_745),
        duration_millis: 1_000,
        mark,
        erased: false,
        waits: None,
        progress: (0, 0),
        sealed_bytes: 2_000,
        sequence: 0,
    }
}

/// A second of real speech, as the engine gives it.
fn voice(complete: bool) -> Voice {
    let mut pcm = speech();
    pcm.samples.truncate(48_000);
    let encoded = crate::audio::encode::encode(&pcm, crate::audio::profile::Profile::Default).unwrap();
    Voice {
        codec: 4,
        toc: encoded.toc,
        packets: encoded.packets.iter().map(|packet| packet[1..].to_vec()).collect(),
        duration_millis: if complete { 1_000 } else { 0 },
        loudness: 20,
        waveform: [0; 24],
        complete,
    }
}

/// A file with one second of real speech.
fn recording(folder: &TempDir) -> String {
    let mut pcm = speech();
    pcm.samples.truncate(48_000);
    let path = folder.path().join("second.wav");
    crate::audio::export::write_wav(&pcm, fs::File::create(&path).unwrap()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn speech() -> Pcm {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/voices/jfk.wav");
    crate::audio::import::import(fs::File::open(path).unwrap()).unwrap()
}

#[tokio::test]
async fn an_invitation_prints_the_link_alone_on_its_line() {
    let mut engine = Engine::answering([Ok(Reply::Invited {
        link: "zajil:AQabc".to_owned(),
        expires: Minute(29_919_750 + 7 * 1_440),
    })]);
    let ended = run(&mut engine, &["contact", "add", "Amal"]).await;
    assert_eq!(ended.exit, Exit::Done);
    assert_eq!(
        ended.out,
        "Give this link to Amal and to nobody else. It works once:\nzajil:AQabc\nIt ends 27 November 14:30.\n\
         When Amal has answered, compare the digits: zajil contact verify Amal\n"
    );
    assert!(!ended.out.contains('\u{1b}'), "no QR where nobody looks");
}

#[tokio::test]
async fn an_arabic_invitation_keeps_the_link_free_of_invisible_marks() {
    let mut engine =
        Engine::answering([Ok(Reply::Invited { link: "zajil:AQabc".to_owned(), expires: Minute(29_919_750) })]);
    let ended = run_in(Locale::ARABIC, &mut engine, &["contact", "add", "أمل"]).await;
    assert!(ended.out.lines().any(|line| line == "zajil:AQabc"), "{:?}", ended.out);
    assert!(ended.out.contains("\u{2068}أمل\u{2069}"), "names are isolated: {:?}", ended.out);
}

#[tokio::test]
async fn a_link_can_be_written_as_png_and_scanned_by_the_other_side() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("link.png");
    let picture = picture.to_str().unwrap();
    let mut inviter =
        Engine::answering([Ok(Reply::Invited { link: "zajil:AQabc".to_owned(), expires: Minute(29_919_750) })]);
    let ended = run(&mut inviter, &["contact", "add", "Amal", "--qr", picture]).await;
    assert!(ended.out.contains(&format!("The QR code is in: {picture}")));

    let mut other = Engine::answering([Ok(Reply::Accepted {
        return_code: "zajil-back:AQ".to_owned(),
        contact: contact(Pairing::Confirmed),
    })]);
    let ended = run(&mut other, &["contact", "add", "Yusuf", "--scan", picture, "--in-person"]).await;
    assert_eq!(ended.exit, Exit::Done);
    assert!(ended.out.lines().any(|line| line == "zajil-back:AQ"));
    let [Request::Accept { name, link, in_person: true }] = &other.asked[..] else { panic!("the link was taken up") };
    assert_eq!((name.as_str(), link.as_str()), ("Yusuf", "zajil:AQabc"));
}

#[tokio::test]
async fn a_qr_file_of_another_kind_is_refused_before_a_link_is_made() {
    let mut engine = Engine::default();
    let ended = run(&mut engine, &["contact", "add", "Amal", "--qr", "link.jpg"]).await;
    assert_eq!(ended.exit, Exit::Usage);
    assert!(ended.errors.contains("link.jpg") && engine.asked.is_empty());
}

#[tokio::test]
async fn digits_are_shown_in_one_order_for_every_reader() {
    let digits = || Engine::answering([Ok(Reply::Digits { digits: "1234 5678 9012".to_owned(), confirmed: false })]);
    let ended = run(&mut digits(), &["contact", "verify", "Amal"]).await;
    assert!(ended.out.lines().any(|line| line == "1234 5678 9012"), "{}", ended.out);
    assert!(ended.out.contains("zajil contact verify Amal --digits \"1234 5678 9012\""));
    let ended = run_in(Locale::ARABIC, &mut digits(), &["contact", "verify", "Amal"]).await;
    let groups: Vec<&str> = ended.out.lines().skip(1).take(3).collect();
    assert_eq!(groups, ["١٢٣٤", "٥٦٧٨", "٩٠١٢"], "one group a line: on one line two people could read two orders");
}

#[tokio::test]
async fn digits_are_taken_in_any_script_and_grouping() {
    for typed in
        ["1234 5678 9012", "123456789012", "١٢٣٤ ٥٦٧٨ ٩٠١٢", "۱۲۳۴-۵۶۷۸-۹۰۱۲", "\u{2068}1234\u{2069} 5678\n9012"]
    {
        let mut engine =
            Engine::answering([Ok(Reply::Digits { digits: "1234 5678 9012".to_owned(), confirmed: true })]);
        let ended = run(&mut engine, &["contact", "verify", "Amal", "--digits", typed]).await;
        assert_eq!((ended.exit, ended.out.as_str()), (Exit::Done, "Amal is confirmed.\n"), "{typed}");
        let [Request::Verify { digits: Some(digits), .. }] = &engine.asked[..] else { panic!("digits were stated") };
        assert_eq!(digits, "123456789012");
    }
    for typed in ["123", "1234 5678 901x", ""] {
        let mut engine = Engine::default();
        let ended = run(&mut engine, &["contact", "verify", "Amal", "--digits", typed]).await;
        assert_eq!(ended.exit, Exit::Link, "{typed}");
        assert!(engine.asked.is_empty(), "half a number is no claim that digits differ");
    }
}

#[tokio::test]
async fn digits_that_differ_end_with_nine_and_say_what_it_can_mean() {
    let mut engine = Engine::answering([Err(Failure::DigitsDiffer)]);
    let ended = run(&mut engine, &["contact", "verify", "Amal", "--digits", "123456789012"]).await;
    assert_eq!(ended.exit, Exit::Link);
    assert!(ended.errors.starts_with("The digits differ. Somebody may be in between"));
}

#[tokio::test]
async fn a_note_at_the_relay_ends_with_zero_and_one_that_waits_with_three() {
    let sent = |mark, waits| {
        Engine::answering([
            Ok(Reply::Contact(contact(Pairing::Confirmed))),
            Ok(Reply::Sent(NoteView { waits, ..note(Direction::Out, mark) })),
        ])
    };
    let folder = tempfile::tempdir().unwrap();
    let recording = recording(&folder);
    let ended = run(&mut sent(NoteMark::AtRelay, None), &["send", "Amal", &recording]).await;
    assert_eq!((ended.exit, ended.out.as_str()), (Exit::Done, "Note 3 for Amal (0:01, 2 kB): at the relay.\n"));

    let mut engine = sent(NoteMark::OnDevice, Some(WaitReason::NoLink));
    let ended = run(&mut engine, &["send", "Amal", &recording]).await;
    assert_eq!(ended.exit, Exit::Waits);
    assert_eq!(
        ended.out,
        "Note 3 for Amal (0:01, 2 kB): on this device.\n\
         It waits, and nothing of it is lost. No relay was reached; it goes as soon as one is.\n\
         It goes by itself while “zajil daemon” runs, or with: zajil sync\n"
    );
    let Request::Send { to, voice, timeout_millis, .. } = &engine.asked[1] else { panic!("a note was sent") };
    assert_eq!((to.as_str(), *timeout_millis, voice.complete, voice.codec), ("Amal", 30_000, true, 4));
    assert_eq!(voice.duration_millis, 1_000);

    let ended = run(&mut sent(NoteMark::AtRelay, None), &["send", "Amal", &recording, "--wait", "heard"]).await;
    assert_eq!(ended.exit, Exit::Waits, "stored is not heard");
    let ended = run(&mut sent(NoteMark::OnDevice, None), &["send", "Amal", &recording, "--wait", "device"]).await;
    assert_eq!(ended.exit, Exit::Done);
}

#[tokio::test]
async fn a_wrong_name_is_told_before_a_recording_is_encoded_and_the_nearest_is_offered() {
    let mut engine =
        Engine::answering([Err(Failure::UnknownContact { name: "Amla".to_owned(), nearest: Some("Amal".to_owned()) })]);
    let folder = tempfile::tempdir().unwrap();
    let ended = run(&mut engine, &["send", "Amla", &recording(&folder)]).await;
    assert_eq!(ended.exit, Exit::NotThere);
    assert_eq!(ended.errors, "There is no contact called Amla.\nDid you mean Amal?\n");
    assert_eq!(engine.asked.len(), 1);
}

#[tokio::test]
async fn a_recording_that_cannot_be_used_never_reaches_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("empty.wav"), b"").unwrap();
    fs::write(path("story.txt"), "this is no sound at all, only letters, many of them").unwrap();
    fs::write(path("old.amr"), b"#!AMR\n\x3c\x91\x17\x16").unwrap();
    for (name, code) in [
        ("empty.wav", "audio-empty"),
        ("story.txt", "audio-not-sound"),
        ("old.amr", "audio-amr"),
        ("absent.wav", "recording-missing"),
        ("", "recording-missing"),
    ] {
        let mut engine = Engine::default();
        let ended = run(&mut engine, &["--json", "send", "Amal", &path(name)]).await;
        assert_eq!(ended.exit, Exit::Recording, "{name}");
        let answer: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(answer["error"]["code"], code, "{name}");
        assert_eq!((&answer["ok"], &answer["exit"]), (&Value::Bool(false), &Value::from(6)));
        assert!(answer["error"]["advice"].as_str().unwrap().starts_with("Nothing was sent."));
        assert!(engine.asked.is_empty());
    }
}

#[tokio::test]
async fn a_note_written_whole_counts_as_heard_and_an_export_never_does() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["note.wav", "note.opus"] {
        let path = folder.path().join(name);
        let mut engine = Engine::answering([
            Ok(Reply::Voice { note: note(Direction::In, NoteMark::Delivered), voice: voice(true) }),
            Ok(Reply::Note(note(Direction::In, NoteMark::Heard))),
        ]);
        let ended = run(&mut engine, &["play", "3", "--to", path.to_str().unwrap()]).await;
        assert_eq!(ended.exit, Exit::Done);
        assert!(ended.out.ends_with("Heard.\n"), "{}", ended.out);
        assert!(matches!(engine.asked[..], [Request::Voice { number: 3 }, Request::Heard { number: 3 }]));
        let written = crate::audio::import::import(fs::File::open(&path).unwrap()).unwrap();
        assert_eq!(written.duration_ms(), 1_000, "{name}");
    }
    let path = folder.path().join("export.wav");
    let mut engine =
        Engine::answering([Ok(Reply::Voice { note: note(Direction::In, NoteMark::Delivered), voice: voice(true) })]);
    let ended = run(&mut engine, &["export", "3", path.to_str().unwrap()]).await;
    assert!(ended.out.contains("Exporting does not count as hearing."));
    assert!(matches!(engine.asked[..], [Request::Voice { number: 3 }]));
}

#[tokio::test]
async fn the_beginning_of_a_note_is_played_and_does_not_count_as_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.wav");
    let mut beginning = voice(false);
    beginning.packets.truncate(5);
    let mut engine =
        Engine::answering([Ok(Reply::Voice { note: note(Direction::In, NoteMark::Arriving), voice: beginning })]);
    let ended = run(&mut engine, &["play", "3", "--to", path.to_str().unwrap()]).await;
    assert_eq!(ended.exit, Exit::Done);
    assert!(ended.out.contains("Only the beginning has arrived (0:01); the rest follows."), "{}", ended.out);
    assert_eq!(engine.asked.len(), 1, "nothing is said to be heard");
    assert!(
        crate::audio::import::import(fs::File::open(&path).unwrap()).is_err(),
        "294 ms are no note, but they are written"
    );
}

#[cfg(not(feature = "sound"))]
#[tokio::test]
async fn a_build_without_sound_says_how_to_get_a_file_and_hears_nothing() {
    let mut engine =
        Engine::answering([Ok(Reply::Voice { note: note(Direction::In, NoteMark::Delivered), voice: voice(true) })]);
    let ended = run(&mut engine, &["play", "3"]).await;
    assert_eq!(ended.exit, Exit::Failed);
    assert!(ended.errors.contains("Write the note to a file: zajil play 3 --to note-3.wav"), "{}", ended.errors);
    assert_eq!(engine.asked.len(), 1);
}

#[tokio::test]
async fn next_is_the_oldest_note_that_is_whole() {
    let notes = vec![
        NoteView { number: 9, recorded: Minute(5), ..note(Direction::In, NoteMark::Arriving) },
        NoteView { number: 7, recorded: Minute(20), ..note(Direction::In, NoteMark::Delivered) },
        NoteView { number: 8, recorded: Minute(10), ..note(Direction::In, NoteMark::Delivered) },
    ];
    let mut engine = Engine::answering([Ok(Reply::Notes(notes)), Err(Failure::Locked)]);
    let ended = run(&mut engine, &["play", "next", "--to", "x.wav"]).await;
    assert!(matches!(engine.asked[1], Request::Voice { number: 8 }));
    assert_eq!(ended.exit, Exit::NotThere);

    let mut engine = Engine::answering([Ok(Reply::Notes(Vec::new()))]);
    let ended = run(&mut engine, &["play", "next"]).await;
    assert_eq!((ended.exit, ended.out.as_str()), (Exit::Done, "Nothing new to play.\n"));
}

#[tokio::test]
async fn seen_asks_the_relay_unless_told_not_to() {
    let view = || {
        Ok(Reply::Seen(SeenView {
            name: "Amal".to_owned(),
            granted: true,
            word: None,
            bucket: None,
            news: None,
            checked: None,
            fresh: false,
            relay_is_older: false,
            links: Vec::new(),
            now: Minute(29_919_750),
        }))
    };
    let mut engine = Engine::answering([view(), view()]);
    let asked = run(&mut engine, &["seen", "Amal"]).await;
    let offline = run(&mut engine, &["seen", "Amal", "--offline"]).await;
    assert!(asked.out.contains("Their relay did not answer now"));
    assert!(!offline.out.contains("did not answer now"));
    let [Request::Seen { timeout_millis: 15_000, .. }, Request::Seen { timeout_millis: 0, .. }] = &engine.asked[..]
    else {
        panic!("once with a relay, once without")
    };
}

#[tokio::test]
async fn a_word_needs_something_to_say_and_tells_where_it_is() {
    let mut engine = Engine::default();
    let ended = run(&mut engine, &["word"]).await;
    assert_eq!(ended.exit, Exit::Usage);
    assert!(engine.asked.is_empty(), "an empty word would replace the last one");

    for (contacts, stored, exit, line) in [
        (2, 2, Exit::Done, "Your last word is ready for 2 contacts.\nIt is at the relay.\n"),
        (3, 1, Exit::Waits, "1 of 3 are at the relay; the others wait on this device.\n"),
        (0, 0, Exit::NotThere, "There is nobody to show a last word to"),
    ] {
        let mut engine = Engine::answering([Ok(Reply::WordWritten { contacts, stored })]);
        let ended = run(&mut engine, &["word", "--state", "well", "--no-time"]).await;
        assert_eq!(ended.exit, exit);
        assert!(ended.out.contains(line), "{}", ended.out);
        assert!(matches!(engine.asked[0], Request::WriteWord { tell_minute: false, .. }));
    }
}

#[tokio::test]
async fn a_phone_that_was_out_of_hands_is_told_by_its_day_and_nobody_to_tell_ends_with_four() {
    let mut engine = Engine::answering([Ok(Reply::OutOfHands { contacts: 3 })]);
    let ended = run(&mut engine, &["--json", "out-of-hands", "--days-ago", "2"]).await;
    let [Request::OutOfHands { day }] = &engine.asked[..] else { panic!("one request") };
    assert_eq!(ended.exit, Exit::Done);
    let told: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&told["contacts"], &told["day"]), (&Value::from(3), &Value::from("2026-11-18")));
    let mut engine = Engine::answering([Ok(Reply::OutOfHands { contacts: 1 }), Ok(Reply::OutOfHands { contacts: 0 })]);
    let ended = run(&mut engine, &["out-of-hands"]).await;
    let [Request::OutOfHands { day: today }] = &engine.asked[..] else { panic!("one request") };
    assert_eq!(*today, *day + 2);
    assert!(ended.out.contains("One contact is told") && ended.out.contains("may still read along"), "{}", ended.out);
    assert_eq!(run(&mut engine, &["out-of-hands"]).await.exit, Exit::NotThere);
    assert!(Arguments::try_parse_from(["zajil", "out-of-hands", "--days-ago", "366"]).is_err());
}

#[tokio::test]
async fn a_meeting_that_reached_nobody_says_why_and_what_to_do() {
    for (trouble, exit, words) in [
        (Trouble::NoRoute, Exit::Unreached, "This device has no way to the network."),
        (Trouble::NameUnknown, Exit::Unreached, "The relay's name is not known here."),
        (Trouble::NoAnswer, Exit::Unreached, "The relay did not answer."),
        (Trouble::WrongKey, Exit::Unreached, "Something answered that is not your relay."),
        (Trouble::Refused, Exit::Refused, "The relay ended the conversation."),
        (Trouble::NotAdmitted, Exit::Refused, "This relay takes only those it was asked to take."),
    ] {
        let sync = SyncView { missed: 1, trouble: Some(trouble), ..SyncView::default() };
        let mut engine = Engine::answering([Ok(Reply::Synced(sync))]);
        let ended = run(&mut engine, &["sync"]).await;
        assert_eq!(ended.exit, exit);
        assert!(ended.errors.starts_with(words) && ended.errors.lines().count() == 2, "{}", ended.errors);
        assert!(ended.out.is_empty());
    }
}

#[tokio::test]
async fn what_is_said_of_the_link_is_passed_on_before_anything_is_asked() {
    for (word, link) in [("gprs", Some(Link::Gprs)), ("satellite", Some(Link::Satellite)), ("auto", None)] {
        let mut engine = Engine::answering([Ok(Reply::LinkSet), Ok(Reply::Synced(SyncView::default()))]);
        let _ended = run(&mut engine, &["sync", "--link", word]).await;
        let [Request::SetLink { link: said }, Request::Sync { .. }] = &engine.asked[..] else {
            panic!("{:?}", engine.asked)
        };
        assert_eq!(*said, link);
    }
}

#[tokio::test]
async fn status_tells_the_clock_and_what_waits() {
    let status = StatusView {
        relays: Vec::new(),
        contacts: 1,
        unheard: 0,
        waiting: 2,
        waiting_bytes: 48_000,
        stored_bytes: 1_400_000,
        outbox_bytes_max: 1_000_000_000,
        disk_full: true,
        probing: ProbingView { day_bytes: 4_100_000, day_bytes_max: 4_000_000, slowed: true },
        link: Some(Link::Gprs),
        disappearing: DisappearingView::default(),
        daemon: false,
        clock_off_minutes: Some(-90),
    };
    let mut engine = Engine::answering([Ok(Reply::Status(status))]);
    let ended = run(&mut engine, &["status"]).await;
    assert_eq!(
        ended.out,
        "The disk of this device is full. Free some space: what waits for you is not fetched before.\n\
         One contact.\nNo new notes.\nWaiting to be sent: 2 (48 kB).\n\
         Space used: 1.4 MB. Room for notes that wait: 1.0 GB.\n\
         The sound of heard notes is erased 7 days after hearing.\n\
         No daemon runs; each command meets the relay by itself.\n\
         Looking for relays that did not answer has cost 4.1 MB within a day.\n\
         A day's 4.0 MB for that are used up: it is done once a minute now.\n\
         The link is taken for GPRS, as you said.\n\
         This device's clock is 90 min behind the relay's. One of them is wrong.\n"
    );
}

#[tokio::test]
async fn json_is_one_object_in_every_language_and_carries_no_marks() {
    let mut engine = Engine::answering([Ok(Reply::Notes(vec![note(Direction::In, NoteMark::Delivered)]))]);
    let ended = run_in(Locale::ARABIC, &mut engine, &["inbox", "--json"]).await;
    let answer: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(ended.out.lines().count(), 1);
    assert_eq!(
        answer,
        serde_json::json!({
            "zajil": 1, "command": "inbox", "ok": true, "exit": 0,
            "notes": [{
                "number": 3, "contact": "Amal", "direction": "in", "recorded": "2026-11-20T14:20:00Z",
                "arrived": "2026-11-20T14:25:00Z", "duration_ms": 1000, "mark": "delivered", "erased": false, "waits": null,
                "bytes_done": 0, "bytes_all": 0, "sealed_bytes": 2000, "sequence": 0,
            }],
        })
    );
}

#[test]
fn every_failure_of_the_engine_has_words_in_both_languages() {
    let name = || "Amal".to_owned();
    let failures = [
        Failure::UnknownContact { name: name(), nearest: None },
        Failure::UnknownContact { name: name(), nearest: Some("أمل".to_owned()) },
        Failure::NameTaken { name: name() },
        Failure::BadName,
        Failure::UnknownNote { number: 3 },
        Failure::NotPaired { name: name() },
        Failure::DigitsDiffer,
        Failure::NoDigitsYet,
        Failure::BadLink,
        Failure::LinkExpired,
        Failure::LinkUsed,
        Failure::LinkForged,
        Failure::WrongReturnCode,
        Failure::OwnLink,
        Failure::NoteTooLong { got_millis: 601_000, max_millis: 600_000 },
        Failure::OutboxFull,
        Failure::WordTooLong { got: 200, max: 144 },
        Failure::NotConfirmed { name: name() },
        Failure::NoRelay(Trouble::WrongKey),
        Failure::Refused(WaitReason::MailboxFull),
        Failure::NothingYet,
        Failure::Locked,
        Failure::Erased,
        Failure::DeviceLocked,
        Failure::NothingToLock,
        Failure::DiskFull,
        Failure::Store("damaged".to_owned()),
        Failure::Busy,
    ];
    let mut codes = std::collections::BTreeSet::new();
    for failure in failures {
        let problem = Problem::from(failure);
        codes.insert(problem.told.code());
        for locale in [Locale::ENGLISH, Locale::ARABIC] {
            let catalogue = Catalogue::new(locale);
            for message in [&problem.told.what, &problem.told.advice] {
                let said = catalogue.say(message);
                assert!(said != message.key() && !said.contains('{'), "{said}");
            }
        }
        assert_ne!(problem.exit, Exit::Done);
    }
    assert_eq!(codes.len(), 27, "each has a code of its own");
}

#[tokio::test]
async fn what_is_proposed_next_names_the_home_that_was_named() {
    let mut engine = Engine::answering([Ok(Reply::Contacts(Vec::new()))]);
    let ended = run(&mut engine, &["contact", "list", "--home", "/media/my card"]).await;
    assert_eq!(ended.out, "No contacts yet. To add one: zajil --home /nobody contact add NAME\n");
}

#[tokio::test]
async fn what_stays_of_heard_notes_is_chosen_for_one_or_for_everybody() {
    let view = |contact: Option<&str>, own| {
        let contact = contact.map(ToOwned::to_owned);
        Ok(Reply::Disappearing(DisappearingView { default: Span::Month, quiet: false, contact, own }))
    };
    let mut engine =
        Engine::answering([view(Some("Amal"), Some(Span::Day)), view(None, None), view(Some("Amal"), None)]);
    let one = run(&mut engine, &["disappear", "Amal", "1d"]).await;
    assert!(
        one.out.starts_with("The sound of notes heard from Amal, or heard by them, is erased one day after"),
        "{}",
        one.out
    );
    let all = run(&mut engine, &["disappear", "--default", "30d", "--json"]).await;
    let all: Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!((&all["default"], &all["own"], &all["quiet"]), (&"30d".into(), &Value::Null, &false.into()));
    let shown = run(&mut engine, &["disappear", "Amal"]).await;
    assert!(shown.out.contains("is erased 30 days after hearing"), "{}", shown.out);
    let [
        Request::Disappear { name: Some(one), choice: Some(SpanChoice::Own(Span::Day)) },
        Request::Disappear { name: None, choice: Some(SpanChoice::Own(Span::Month)) },
        Request::Disappear { name: Some(_), choice: None },
    ] = &engine.asked[..]
    else {
        panic!("{:?}", engine.asked)
    };
    assert_eq!(one, "Amal");
    for wrong in [&["zajil", "disappear"][..], &["zajil", "disappear", "Amal", "2d"], &["zajil", "quiet", "maybe"]] {
        assert!(Arguments::try_parse_from(wrong.iter().copied()).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn in_quiet_mode_a_gap_in_the_list_is_not_told_as_a_note_that_is_missing() {
    for quiet in [false, true] {
        let gap = vec![NoteView { sequence: 4, ..note(Direction::In, NoteMark::Delivered) }];
        let view = DisappearingView { quiet, ..DisappearingView::default() };
        let mut engine = Engine::answering([Ok(Reply::Notes(gap)), Ok(Reply::Disappearing(view))]);
        let ended = run(&mut engine, &["inbox", "--all"]).await;
        assert_eq!(ended.out.contains("have not arrived yet"), !quiet, "{}", ended.out);
    }
    let view = DisappearingView { quiet: true, ..DisappearingView::default() };
    let mut engine = Engine::answering([Ok(Reply::Disappearing(view))]);
    let ended = run(&mut engine, &["quiet", "on"]).await;
    assert!(ended.out.starts_with("Quiet mode is on"), "{}", ended.out);
    assert!(matches!(engine.asked[..], [Request::Quiet { on: Some(true) }]));
}

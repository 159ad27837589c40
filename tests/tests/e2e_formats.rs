//! Recordings of every kind and of every length travel by the programs people run to somebody who is away, through a relay that
//! is killed on the way, and come out byte for byte as they were sealed.
#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use zajil_client::audio::Pcm;
use zajil_client::audio::encode::encode;
use zajil_client::audio::import::import;
use zajil_client::audio::profile::Profile;
use zajil_proto::ids::NoteId;
use zajil_proto::sealing::padding::{body_length, wire_length};
use zajil_proto::sealing::seal::{About, Destination, NoteContent, seal_note};
use zajil_proto::sealing::{Codec, MailboxOwner, NoteSession, PartOf, RING, Tail};
use zajil_proto::time::{Lifetime, Minute};
use zajil_tests::person::{Person, recording};
use zajil_tests::relay_process::{RelayHome, RunningRelay};

/// Every sound file of `client/tests/fixtures/audio/` that must be taken.
const TAKEN: [&str; 22] = [
    "4k-alac.m4a",
    "6k.flac",
    "8bit.aiff",
    "aac.3gp",
    "aac.m4a",
    "adts.aac",
    "alac.caf",
    "fragmented.mp4",
    "ima.wav",
    "lame.mp3",
    "ms.wav",
    "mulaw.wav",
    "no-xing.mp3",
    "opus.mp4",
    "opus.ogg",
    "opus.webm",
    "opusenc.opus",
    "streamed.flac",
    "streamed.webm",
    "unmarked-end.ogg",
    "video.mp4",
    "vorbis.ogg",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/tests/fixtures/audio")
}

/// A free port, for a relay that comes back where it was.
fn relay() -> (RelayHome, RunningRelay) {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = RelayHome::init_at(&format!("127.0.0.1:{port}"), &[]);
    let running = home.start();
    (home, running)
}

fn ok(person: &Person, words: &[&str]) -> Value {
    let answer = person.json(words);
    assert_eq!(answer["ok"], true, "{words:?}: {answer}");
    answer
}

fn pair(amal: &Person, yusuf: &Person) {
    let link = ok(amal, &["contact", "add", "Yusuf"])["link"].as_str().unwrap().to_owned();
    ok(yusuf, &["contact", "add", "Amal", &link]);
    for person in [amal, yusuf] {
        ok(person, &["sync"]);
    }
}

/// Real speech of any length: the bundled recording, over and over.
fn speech(seconds: usize) -> Pcm {
    let once = import(fs::File::open(recording()).unwrap()).unwrap();
    Pcm::new(once.samples.iter().copied().cycle().take(seconds * 48_000).collect())
}

fn write_wav(path: &Path, pcm: &Pcm) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for sample in &pcm.samples {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of 16 bits")]
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
}

#[test]
fn every_format_and_length_arrives_byte_for_byte_through_a_relay_that_is_killed() {
    let (home, mut running) = relay();
    let (amal, yusuf) = (Person::with_relay(home.link()), Person::with_relay(home.link()));
    pair(&amal, &yusuf);
    let mut sent: Vec<(String, i64)> = Vec::new();
    for name in TAKEN {
        let file = fixtures().join(name);
        let answer = ok(&amal, &["send", "Yusuf", file.to_str().unwrap(), "--wait", "device"]);
        sent.push((name.to_owned(), answer["note"]["number"].as_i64().unwrap()));
    }
    for seconds in [1, 10, 61, 600] {
        let file = amal.file(&format!("{seconds}.wav"));
        write_wav(&file, &speech(seconds));
        let answer = ok(&amal, &["send", "Yusuf", file.to_str().unwrap(), "--wait", "device"]);
        sent.push((format!("{seconds} s"), answer["note"]["number"].as_i64().unwrap()));
    }
    let too_long = amal.file("601.wav");
    write_wav(&too_long, &speech(601));
    let refused = amal.json(["send", "Yusuf", too_long.to_str().unwrap()]);
    assert_eq!((refused["ok"].as_bool(), refused["exit"].as_i64()), (Some(false), Some(6)), "{refused}");

    ok(&amal, &["sync", "--timeout", "60"]);
    running.kill();
    drop(running);
    let running = home.start();
    ok(&yusuf, &["sync", "--timeout", "60"]);
    drop(running);

    let received = ok(&yusuf, &["inbox"])["notes"].as_array().unwrap().clone();
    assert_eq!(received.len(), sent.len());
    for ((name, out), note) in sent.iter().zip(&received) {
        let (mine, theirs) = (amal.file("mine.opus"), yusuf.file("theirs.opus"));
        ok(&amal, &["export", &out.to_string(), mine.to_str().unwrap()]);
        ok(&yusuf, &["export", &note["number"].to_string(), theirs.to_str().unwrap()]);
        assert!(fs::read(&mine).unwrap() == fs::read(&theirs).unwrap(), "{name} came out otherwise than it was sealed");
        for file in [mine, theirs] {
            fs::remove_file(file).unwrap();
        }
    }
}

#[test]
fn a_sealed_parcel_of_real_speech_is_at_most_six_percent_longer_than_its_opus_and_eleven_when_padded() {
    let random = &mut zajil_net::SystemRandom::new();
    for seconds in [10, 11, 12, 15, 17, 21, 30, 45, 60, 120] {
        let encoded = encode(&speech(seconds), Profile::Default).unwrap();
        let payload: usize = encoded.packets.iter().map(Vec::len).sum();
        let mailbox = MailboxOwner::draw(random);
        let (mut session, _) = NoteSession::draw(random, mailbox.mailbox(), Minute(1), Lifetime::DEFAULT);
        let pair = session.take().unwrap();
        let tail = Tail { duration_millis: 1, loudness: 1, waveform: [0; 24] };
        let about = About { note: NoteId([1; 8]), minute: Minute(1), keep_days: 0, roster: None, part: PartOf::Whole };
        let writer = mailbox.writer();
        let destination = Destination { to: &writer, lifetime: Lifetime::DEFAULT };
        let content = NoteContent::Voice { codec: Codec::Default, packets: &encoded.packets, tail: &tail };
        let sealed = seal_note(&RING, random, &session, pair, destination, &about, content).unwrap();
        // Head 82, a length byte for each packet in place of its TOC byte, an end byte and the tail.
        let unpadded = wire_length(body_length(82 + payload + 30));
        let padded = sealed.parcel.wire_length();
        println!("{seconds} s: Opus {payload} B, sealed {unpadded} B, padded {padded} B");
        assert!(unpadded * 100 <= payload * 106, "{seconds} s: {unpadded} B for {payload} B");
        assert!(padded * 100 <= payload * 111, "{seconds} s: {padded} B for {payload} B");
    }
}

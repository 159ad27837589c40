//! `cargo xtask demo`: a real recording goes from one person to another who is offline, through a relay that is killed on
//! the way, and then that person asks when the first was last seen.
//!
//! It drives the two programs as a person would, and decides nothing by itself: what it prints is what they answered.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::parts::Stage;
use crate::scene::{Person, Relay, Scene};
use crate::setup;
use crate::workspace::{CLIENT, RELAY, Workspace};

/// One man's voice, 11 s; its README says where it comes from.
const RECORDING: &str = "client/assets/voices/jfk.wav";

/// The marks of a note, in the order in which it gets them, as `--json` and as people say them.
const MARKS: [(&str, &str); 4] = [
    ("on-device", "on this device"),
    ("at-relay", "at the relay"),
    ("delivered", "on their device"),
    ("heard", "heard"),
];

/// Installs what is missing, builds both programs, and plays the demo.
pub(crate) fn demo(workspace: &Workspace) -> Result<bool> {
    setup::install_missing(workspace)?;
    println!("building the relay and the command line (the first time this takes some minutes)");
    let stage = Stage::new(workspace);
    let (Some(relay), Some(client)) = (stage.program(RELAY)?, stage.program(CLIENT)?) else {
        bail!("the programs do not build");
    };
    let started = Instant::now();
    let scene = Scene::new(relay, client)?;
    println!("everything of this demo lies in {}", scene.folder.display());
    let files = play(&scene, &workspace.root.join(RECORDING)).with_context(|| {
        let folder = scene.folder.display();
        format!("the demo stopped; what each program printed lies in {folder}")
    })?;
    println!("\nThe files:");
    for (what, path) in files {
        println!("  {what:<22} {}", path.display());
    }
    println!("The demo took {:.0} s.", started.elapsed().as_secs_f64());
    Ok(true)
}

/// The whole story; returns what it leaves behind.
fn play(scene: &Scene, recording: &Path) -> Result<Vec<(&'static str, PathBuf)>> {
    let relay = Relay::set_up(scene)?;
    let running = relay.start()?;
    println!("1. A relay listens on {}; it will keep what it cannot read.", relay.address);

    let maryam = scene.person("Maryam", &relay.link)?;
    let yusuf = scene.person("Yusuf", &relay.link)?;
    println!("2. Maryam, in the town, and Yusuf, in the camp, each have a device that knows this relay.");

    let digits = pair(&maryam, &yusuf)?;
    println!("3. Yusuf made a link and Maryam took it up. Both read the same digits, {digits}: they are who they say.");

    for (person, other) in [(&maryam, &yusuf), (&yusuf, &maryam)] {
        person.say(&["contact", "set", other.name, "--receipts", "at-once", "--seen", "6h"])?;
        person.say(&["sync"])?;
    }
    maryam.say(&["sync"])?;
    maryam.say(&["word", "We are well. The line is cut at times.", "--state", "well"])?;
    println!("4. Both give receipts at once, and let the other see within six hours when they were there.");

    println!("5. Yusuf's device is switched off. Maryam sends him a recording of 11 s.");
    let sound = recording.to_str().context("the project lies in a folder whose name is no text")?;
    let sent = maryam.say(&["send", yusuf.name, sound, "--wait", "device"])?;
    let number = number(&sent)?;
    show_mark(&maryam, number, "on-device")?;
    maryam.say(&["sync"])?;
    show_mark(&maryam, number, "at-relay")?;

    running.kill()?;
    let _running = relay.start()?;
    println!("6. The relay was killed without warning, as by a power cut, and is up again.");

    yusuf.say(&["sync"])?;
    println!("7. Yusuf's device is switched on and meets the relay: the note is there.");
    maryam.say(&["sync"])?;
    show_mark(&maryam, number, "delivered")?;

    let heard = hear(scene, &yusuf)?;
    maryam.say(&["sync"])?;
    show_mark(&maryam, number, "heard")?;

    println!("9. Maryam's device is cut off: from here on, nothing of hers runs. Yusuf asks: last seen?");
    for line in yusuf.read(&["seen", maryam.name])?.lines() {
        println!("     {line}");
    }
    let [wav, opus] = heard;
    let left = [
        ("the recording", recording.to_owned()),
        ("what Yusuf heard, WAV", wav),
        ("the same, Ogg Opus", opus),
        ("Maryam's device", maryam.home),
        ("Yusuf's device", yusuf.home),
        ("the relay's folder", relay.folder.clone()),
        ("what they printed", scene.logs.clone()),
    ];
    Ok(left.into())
}

/// By a link, then the digits over any telephone; returns the digits.
fn pair(maryam: &Person, yusuf: &Person) -> Result<String> {
    let invitation = yusuf.say(&["contact", "add", maryam.name])?;
    maryam.say(&["contact", "add", yusuf.name, text(&invitation, "link")?])?;
    // The reply, the nonce that answers it, and what both send each other once they have keys.
    for person in [yusuf, maryam, yusuf] {
        person.say(&["sync"])?;
    }
    let digits = [(maryam, yusuf), (yusuf, maryam)].map(|(person, other)| {
        let shown = person.say(&["contact", "verify", other.name])?;
        text(&shown, "digits").map(str::to_owned)
    });
    let [hers, his] = digits;
    let (hers, his) = (hers?, his?);
    ensure!(hers == his, "the digits differ: {hers} and {his}");
    maryam.say(&["contact", "verify", yusuf.name, "--digits", &his])?;
    yusuf.say(&["contact", "verify", maryam.name, "--digits", &hers])?;
    Ok(hers)
}

/// Plays the note into a file, which counts as heard, and exports it as it was sent, which does not.
fn hear(scene: &Scene, yusuf: &Person) -> Result<[PathBuf; 2]> {
    let files = ["heard.wav", "heard.opus"].map(|name| scene.folder.join(name));
    let [wav, opus] = &files;
    let played = yusuf.say(&["play", "next", "--to", &wav.to_string_lossy()])?;
    yusuf.say(&["export", &number(&played)?.to_string(), &opus.to_string_lossy()])?;
    yusuf.say(&["sync"])?;
    for file in &files {
        let size = std::fs::metadata(file).with_context(|| format!("{} was not written", file.display()))?.len();
        ensure!(size > 0, "{} is empty", file.display());
    }
    println!("8. Yusuf hears it.");
    Ok(files)
}

/// Says which mark Maryam sees on her note, and holds it against the one it must have reached.
fn show_mark(person: &Person, number: u64, expected: &str) -> Result<()> {
    let inbox = person.say(&["inbox", "--all"])?;
    let notes = field(&inbox, "notes").and_then(Value::as_array).context("the inbox lists no notes")?;
    let note = notes.iter().find(|note| field(note, "number").and_then(Value::as_u64) == Some(number));
    let got = text(note.with_context(|| format!("note {number} is not in the inbox"))?, "mark")?;
    let place = |mark: &str| MARKS.iter().position(|(name, _)| *name == mark);
    ensure!(place(got) >= place(expected), "the mark is {got}, and should be {expected} by now");
    let words = MARKS.iter().find(|(name, _)| *name == got).map_or(got, |(_, words)| words);
    println!("     {}'s device says of the note: {words}.", person.name);
    Ok(())
}

fn number(answer: &Value) -> Result<u64> {
    field(answer, "number").and_then(Value::as_u64).with_context(|| format!("no number in {answer}"))
}

fn text<'a>(answer: &'a Value, name: &str) -> Result<&'a str> {
    field(answer, name).and_then(Value::as_str).with_context(|| format!("no {name} in {answer}"))
}

/// The first field of that name, at any depth: what surrounds an answer is not the demo's business.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(name).or_else(|| fields.values().find_map(|inner| field(inner, name))),
        Value::Array(values) => values.iter().find_map(|inner| field(inner, name)),
        _ => None,
    }
}

//! Every type that holds a secret, and every type that prints and holds bytes or text: read from the sources, so that none can be
//! forgotten.
//!
//! Two rules. What holds a secret prints its name or nothing. A derived `Debug` prints what its fields print, so it can leak only by
//! a field that is plain bytes or text; each such type stands below with what those are, and a new one fails until it does.
#![cfg(test)] // always true here; tells clippy that the functions beside the tests are test code too

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a secret lies in at the lowest level: ours, and those of the crates we use.
const SECRETS: [&str; 11] = [
    "Secret",
    "SigningKey",
    "Passphrase",
    "Zeroizing",
    "Ed25519KeyPair",
    "DecapsulationKey",
    "SharedSecret",
    "LessSafeKey",
    "hmac::Key",
    "olm::Account",
    "olm::Session",
];

/// How a type shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shows {
    /// Its name, by `redacted!`.
    Redacted,
    /// What its own `Debug` says.
    Own,
    /// What its fields show.
    Derived,
    /// Nothing: it has no `Debug`, and cannot be printed.
    Nothing,
}

use Shows::{Derived, Nothing, Own, Redacted};

/// Types with a secret in a field that derive their `Debug` all the same, and why that says nothing.
const DERIVED: [(&str, &str); 4] = [
    ("Method", "the name of a way to open a store, and no passphrase"),
    ("Protection", "a path, or a passphrase that shows its name"),
    ("RelaySettings", "its key shows its name"),
    ("Unlock", "a path, or a passphrase that shows its name"),
];

/// Types that derive `Debug` and have bytes or text in them, with what those are. None is a secret, a key or a note; one that is no
/// longer there does no harm.
const PLAIN: [(&str, &str); 31] = [
    ("CaptureError", "what the sound system calls its mistake, and the name of a microphone"),
    ("CheckReport", "what is wrong with a relay's store, counted"),
    ("Command", "paths and words that an operator typed"),
    ("Config", "an operator's settings"),
    ("ConfigError", "the setting that is wrong"),
    ("ContactView", "the name that a person gave a contact, for that person's eyes"),
    ("DialOptions", "chance of the simulated world; none in a program"),
    ("DisappearingView", "the name that a person gave a contact, for that person's eyes"),
    ("DraftRequest", "the name that a person gave a contact"),
    ("DraftView", "the name that a person gave a contact, for that person's eyes"),
    ("Failure", "a name or path that the person typed"),
    ("Grown", "sealed bytes, as they travel"),
    ("Held", "a running hash over sealed bytes"),
    ("HomeView", "an address that the person typed"),
    ("Joined", "a running hash over sealed bytes"),
    ("ListenOptions", "chance of the simulated world; none in a program"),
    ("Microphone", "the name of a microphone"),
    ("Mp4Box", "four letters of a format"),
    ("NoteView", "the name that a person gave a contact, for that person's eyes"),
    ("Piece", "sealed bytes, as they travel"),
    ("PlayError", "what the sound system calls its mistake"),
    ("RelayView", "an address that the person typed"),
    ("Room", "a number of bytes"),
    ("SeenView", "what a contact wrote for this person's eyes"),
    ("SegmentRow", "a running hash over sealed bytes"),
    ("Status", "an operator's settings and versions"),
    ("Step", "bytes of a connection, between two layers of the transport"),
    ("StoreError", "what was being done, and a path"),
    ("UnknownProfileName", "a word that a person typed"),
    ("Unsaved", "sealed bytes, as they travel"),
    ("WordView", "what a contact wrote for this person's eyes"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The sources of what people run, without their tests.
fn sources() -> Vec<(String, String)> {
    let mut command = Command::new("git");
    let output = command.args(["ls-files", "proto/src", "net/src", "server/src", "client/src"]).current_dir(root());
    let output = output.output().expect("git starts");
    let paths = String::from_utf8(output.stdout).expect("our paths are text");
    let is_source = |path: &&str| path.ends_with(".rs") && !path.contains("test") && !path.ends_with("/published.rs");
    let paths: Vec<String> = paths.lines().filter(is_source).map(str::to_owned).collect();
    assert!(paths.len() > 100, "git tracks almost nothing here: {}", paths.len());
    paths
        .into_iter()
        .filter(|path| root().join(path).exists())
        .map(|path| (read(&path), path))
        .map(without_tests)
        .collect()
}

fn without_tests((text, path): (String, String)) -> (String, String) {
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    (path, text[..end].to_owned())
}

/// A type as its source has it.
struct Declared {
    name: String,
    body: String,
    shows: Shows,
}

/// The word at the start of `text`.
fn first_word(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default()
}

/// The name that a line declares as a struct or an enum.
fn declares(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub").map_or(line, |rest| rest.split_once(' ').map_or(rest, |(_, rest)| rest));
    let rest = line.strip_prefix("struct ").or_else(|| line.strip_prefix("enum "))?;
    Some(first_word(rest)).filter(|name| name.starts_with(|letter: char| letter.is_ascii_uppercase()))
}

/// Names in the `redacted!` of a file, and those with a `Debug` of their own.
fn shown_by_name(text: &str) -> BTreeMap<String, Shows> {
    let redacted = text.split("redacted!(").skip(1).filter_map(|rest| rest.split_once(')'));
    let redacted = redacted.flat_map(|(names, _)| names.split(','));
    let redacted = redacted.map(|name| (first_word(name.trim()).to_owned(), Redacted));
    let own = text.split("Debug for ").skip(1).map(|rest| (first_word(rest).to_owned(), Own));
    redacted.chain(own).collect()
}

fn declared() -> Vec<Declared> {
    let mut types = Vec::new();
    for (_path, text) in sources() {
        let by_name = shown_by_name(&text);
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(name) = declares(line) else { continue };
            let indent = line.len() - line.trim_start().len();
            let end = format!("{}}}", " ".repeat(indent));
            let many = !line.trim_end().ends_with([';', '}']);
            let length = if many { lines[at..].iter().position(|line| **line == end).unwrap_or(0) } else { 0 };
            let code = |line: &&str| line.split("//").next().unwrap_or_default().to_owned();
            let declaration: Vec<String> = lines[at..=at + length].iter().map(code).collect();
            let body = declaration.join("\n");
            let body = body.split_once(name).map(|(_, rest)| rest.to_owned()).unwrap_or_default();
            let above = lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with(['#', '/']));
            let derives = above
                .clone()
                .any(|line| line.contains("derive(") && line.contains("Debug") && !line.contains("cfg_attr"));
            let shows = by_name.get(name).copied().unwrap_or(if derives { Derived } else { Nothing });
            types.push(Declared { name: name.to_owned(), body, shows });
        }
    }
    types
}

/// Whether `word` stands in `text` with no letter before or behind it.
fn names(text: &str, word: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_letter) && !text[at + word.len()..].starts_with(is_letter))
}

/// Every type with a field that is a secret, and how it shows itself.
fn holders() -> BTreeSet<(String, Shows)> {
    let holds = |declared: &Declared| SECRETS.iter().any(|secret| names(&declared.body, secret));
    declared().into_iter().filter(holds).map(|declared| (declared.name, declared.shows)).collect()
}

#[test]
fn every_type_that_holds_a_secret_prints_its_name_or_nothing() {
    let found = holders();
    for (name, shows) in &found {
        let is_known = DERIVED.iter().any(|(known, _)| known == name);
        assert!(*shows != Derived || is_known, "{name} holds a secret and derives its Debug");
    }
    // Shows that the search finds what is there, in every way there is.
    let some = [("ChunkOpener", Redacted), ("KeyRing", Nothing), ("Passphrase", Own), ("Unlock", Derived)];
    for (name, shows) in some {
        assert!(found.contains(&(name.to_owned(), shows)), "{name}: {found:#?}");
    }
    assert!(found.len() > 40, "{found:#?}");
}

#[test]
fn every_type_that_prints_bytes_or_text_is_known() {
    let plain = ["Vec<u8>", "[u8;", "[u8]", "String", "str", "Zeroizing", "Bytes"];
    let found: BTreeSet<String> = declared()
        .into_iter()
        .filter(|declared| declared.shows == Derived)
        .filter(|declared| plain.iter().any(|plain| holds(&declared.body.replace("'static str", ""), plain)))
        .map(|declared| declared.name)
        .collect();
    let known: BTreeSet<String> = PLAIN.iter().map(|(name, _)| (*name).to_owned()).collect();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "say in PLAIN what these print: {new:?}");
    assert!(found.len() > 20, "{found:?}");
}

fn holds(body: &str, plain: &str) -> bool {
    if plain.starts_with('[') { body.contains(plain) } else { names(body, plain) }
}

/// What a type with a `Debug` of its own says: its name, wherever it holds a secret.
#[test]
fn a_debug_that_is_written_out_says_the_name_of_what_holds_a_secret() {
    let own: Vec<String> = holders().into_iter().filter(|(_, shows)| *shows == Own).map(|(name, _)| name).collect();
    assert!(own.len() > 4, "{own:?}");
    let texts = sources();
    // A connection says its kind and its side, and nothing of the exporter it holds.
    for name in own.iter().filter(|name| *name != "Connection") {
        let start = format!("Debug for {name} {{");
        let body = texts.iter().find_map(|(_, text)| text.split_once(start.as_str())).map(|(_, rest)| rest);
        let body =
            body.and_then(|rest| rest.split_once("\n}")).map_or_else(|| panic!("no Debug of {name}"), |(body, _)| body);
        assert!(body.contains(&format!("f.write_str(\"{name}(..)\")")), "{name}: {body}");
    }
}

/// vodozemac takes every message authentication code for right under `cfg(fuzzing)`, for its fuzzers. No source of ours asks for that
/// flag, except to refuse: no program is built with it, and no library without debug assertions.
#[test]
fn what_fuzzers_switch_off_is_in_no_program_and_in_no_release() {
    let flag = concat!("fuz", "zing");
    let gates = ["client/src/main.rs", "proto/src/lib.rs", "server/src/main.rs"];
    let asks: BTreeSet<String> = sources()
        .into_iter()
        .filter(|(_, text)| text.lines().any(|line| line.contains("cfg") && line.contains(flag)))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(asks, gates.map(str::to_owned).into());
    let settings = read(".cargo/config.toml") + &read("Cargo.toml");
    assert!(settings.lines().all(|line| !line.contains(flag) || line.contains("check-cfg")), "{settings}");
    for (gate, options, refused) in [
        ("client/src/main.rs", &["--cfg", flag][..], true),
        ("client/src/main.rs", &[], false),
        ("server/src/main.rs", &["--cfg", flag], true),
        ("server/src/main.rs", &[], false),
        ("proto/src/lib.rs", &["--cfg", flag, "-C", "debug-assertions=off"], true),
        ("proto/src/lib.rs", &["--cfg", flag, "-C", "debug-assertions=on"], false),
        ("proto/src/lib.rs", &["-C", "debug-assertions=off"], false),
    ] {
        // Without the crates it stands on: whether it is refused is known before they are missed.
        let folder = tempfile::tempdir().expect("a folder");
        let mut rustc = Command::new("rustc");
        rustc.args(["--edition", "2024", "--emit", "metadata", "--crate-type", "lib", "--out-dir"]).arg(folder.path());
        let output = rustc.args(options).arg(root().join(gate)).output().expect("rustc starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.contains("authentication codes are not checked"), refused, "{gate} {options:?}: {said}");
    }
}

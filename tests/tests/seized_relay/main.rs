//! What somebody learns who seizes a relay, and that `docs/THREAT_MODEL.md` lists all of it.
//!
//! `document` reads the tables there. What a relay is made of ([`zajil_relay::inventory`]), its columns, files, counters, status and log
//! lines are each compared with them: what is new and not in the document fails. `month` lets people live with a real relay for a
//! month and then takes it all away from its operator.
#![cfg(test)]

mod document;
mod month;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use document::Document;
use zajil_relay::admin::Status;
use zajil_relay::files::Layout;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Fails with what is on one side only.
fn assert_same(found: &BTreeSet<String>, listed: &BTreeSet<String>, what: &str) {
    let unlisted: Vec<&String> = found.difference(listed).collect();
    assert!(unlisted.is_empty(), "{what}, and docs/THREAT_MODEL.md does not say what it tells whom: {unlisted:?}");
    let stale: Vec<&String> = listed.difference(found).collect();
    assert!(stale.is_empty(), "docs/THREAT_MODEL.md lists what is not there any more: {stale:?}");
}

#[test]
fn everything_that_a_relay_holds_of_people_in_memory_and_at_rest_is_listed_with_what_it_tells() {
    let document = Document::read();
    let found: BTreeSet<String> = zajil_relay::inventory::inventory().into_iter().map(str::to_owned).collect();
    assert!(found.len() > 80, "the inventory has {} entries", found.len());
    let listed = &(&document.listed("row:") | &document.listed("memory:")) - &document.listed("memory:other.");
    assert_same(&found, &listed, "a relay holds it");
}

/// A line as the document's tables have it, where names stand in back quotes.
pub(crate) fn in_a_table(line: &str) -> String {
    line.replace('`', "'")
}

/// Every message of `tracing` in a file of source, tests left out.
fn messages(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let levels = ["error", "warn", "info", "debug", "trace"].map(|level| format!("tracing::{level}!("));
    let starts = levels.iter().flat_map(|start| code.match_indices(start.as_str()));
    starts
        .map(|(at, start)| {
            let rest = &code[at + start.len()..];
            // The message is the last literal of the statement.
            let statement = &rest[..rest.find(");").expect("a statement ends")];
            let literal = statement.rsplit('"').nth(1).expect("a message is a literal");
            in_a_table(literal)
        })
        .collect()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_line_that_a_relay_may_log_is_listed() {
    let mut files = Vec::new();
    for part in ["server/src", "net/src", "proto/src"] {
        sources(&root().join(part), &mut files);
    }
    let all = files.iter().flat_map(|path| messages(&std::fs::read_to_string(path).unwrap()));
    // Two safeguards that the simulated world takes away; in no program.
    let found: BTreeSet<String> =
        all.filter(|line| !line.starts_with("somebody watches")).map(|line| format!("log:{line}")).collect();
    assert!(found.len() >= 8, "the search finds what is there: {found:?}");
    assert_same(&found, &Document::read().listed("log:"), "a relay may log it");
}

#[test]
fn messages_are_found_wherever_in_a_statement_they_stand() {
    let source = "tracing::info!(\"one\");\ntracing::warn!(\n    %error, count,\n    \"two: three\"\n);\n\
                  #[cfg(test)]\nmod tests { tracing::info!(\"not\"); }";
    assert_eq!(messages(source), ["two: three", "one"]);
}

#[test]
fn every_field_of_a_relays_status_is_listed() {
    let status = Status {
        version: String::new(),
        uptime_minutes: 0,
        listening: Vec::new(),
        parcels: 0,
        bytes: 0,
        mailboxes: 0,
        slots: 0,
        sessions_open: 0,
        disk_free_bytes: 0,
        disk_reserve_bytes: 0,
        accepting: true,
        counts: Default::default(),
    };
    let fields = serde_json::to_value(status).unwrap();
    let found = fields.as_object().unwrap().keys().map(|field| format!("status:{field}")).collect();
    assert_same(&found, &Document::read().listed("status:"), "a status tells it");
}

#[test]
fn every_file_of_a_relays_directory_is_listed() {
    let layout = Layout::new(Path::new(""));
    let own = [layout.config(), layout.keys(), layout.store_key(), layout.admin_socket()];
    let store = ["relay.db", "relay.db-wal", "lock"].map(|name| layout.store().join(name));
    let found = own.iter().chain(&store).map(|path| format!("file:{}", path.display())).collect();
    assert_same(&found, &Document::read().listed("file:"), "it lies in a relay's directory");
}

/// A test that a document names: `path`, or `path: function`.
fn is_there(named: &str) -> bool {
    let (path, function) = named.split_once("::").map_or((named, None), |(path, function)| (path, Some(function)));
    let path = root().join(path);
    let mut files = Vec::new();
    if path.is_dir() {
        sources(&path, &mut files);
    } else {
        files.push(path);
    }
    let Some(function) = function else { return files.iter().all(|path| path.exists()) };
    let signature = format!("fn {function}(");
    files.iter().any(|path| std::fs::read_to_string(path).is_ok_and(|source| source.contains(&signature)))
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let document = Document::read();
    let named = document.tests();
    assert!(named.len() >= 20, "{} tests are named", named.len());
    let missing: Vec<&String> = named.iter().filter(|named| !is_there(named)).collect();
    assert!(missing.is_empty(), "docs/THREAT_MODEL.md names tests that are not there: {missing:?}");
    assert!(!is_there("tests/tests/seized_relay::no_test_of_this_name") && !is_there("tests/tests/no_such_file.rs"));
}

#[test]
fn every_threat_names_a_test_or_says_that_there_is_none() {
    for row in Document::read().threats() {
        let shown = row.cells.get(4).expect("a threat has five cells");
        assert!(shown.contains('`') || shown.contains('—'), "{} says neither", row.id);
    }
}

#[test]
fn the_threat_model_in_arabic_has_the_same_threats_in_the_same_order() {
    let (english, arabic) = (Document::read(), Document::read_arabic());
    let ids = |document: &Document| document.threats().iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    assert!(ids(&english).len() >= 30, "{} threats", ids(&english).len());
    assert_eq!(ids(&english), ids(&arabic));
    let distinct: BTreeSet<String> = ids(&english).into_iter().collect();
    assert_eq!(distinct.len(), ids(&english).len(), "an id stands for one threat");
    for (ours, theirs) in english.threats().iter().zip(arabic.threats()) {
        for cell in &theirs.cells {
            assert!(cell.chars().any(|letter| ('\u{600}'..='\u{6ff}').contains(&letter)), "{}: {cell}", theirs.id);
        }
        // What remains is told in both, at about the same length: neither is a summary of the other.
        let length = |row: &document::Threat| row.cells.iter().take(4).map(|cell| cell.chars().count()).sum::<usize>();
        assert!(length(&theirs) * 3 > length(ours), "{} is shorter in Arabic", ours.id);
    }
}

#[test]
fn the_arabic_page_reads_from_right_to_left() {
    let text = std::fs::read_to_string(root().join("docs/THREAT_MODEL.ar.md")).unwrap();
    assert!(text.starts_with("<div dir=\"rtl\" lang=\"ar\">\n"), "a viewer is told the direction");
    assert!(text.trim_end().ends_with("</div>"));
}

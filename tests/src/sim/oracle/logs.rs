//! Invariant 7: no log line at any level tells of people: no id, key, address, nor when somebody was in contact.
//!
//! The world hands over what must not be there; every form of it is looked for that [`Needles`] knows. Times of contact are looked
//! for as numbers: a minute, second or millisecond of the world's calendar can only be there if somebody wrote it. The lines'
//! own stamps are of the day on which the test runs, by a clock that the world does not have.
//!
//! An hour is a small number like many. So every line must be one of [`KNOWN`], which somebody has looked at: what it says, and that its
//! numbers are counts of everybody together. A new line of the programs is a failure until it is written there.
//!
//! Not judged: runs whose logs were not kept.

use super::Violation;
use super::story::Story;
use super::words::{Words, signed};
use crate::needles::Needles;
use crate::sim::plan::MINUTE;

/// Bytes above which a secret is looked for in every form; a shorter one would be found by chance, and is looked for as text.
const FORMS_FROM_BYTES: usize = 8;
/// Minutes of which a clock in the world may be wrong and its times still be told from other numbers.
const CLOCKS_OFF_MINUTES: i64 = 24 * 60;
/// Bytes of a line that are shown.
const SHOWN_BYTES: usize = 160;

/// What our programs may say in a world: a number for every `#`, a name of a counter for `*`. Nothing here tells of one session, one
/// mailbox or one person.
const KNOWN: [&str; 11] = [
    "stopping: open sessions are asked to close",
    "some sessions did not close in time and were cut; nothing acknowledged is lost",
    "stopped",
    "swept the store swept.parcels=# swept.scopes=# swept.announced=#",
    "the disk is down to its reserve: new parcels are refused until there is room, old promises are kept",
    "the disk has room again: new parcels are taken",
    "counted since the start counter=\"*\" count=#",
    "listening",
    "a row of the store is damaged; `zajil-relay check` tells how many",
    "the store of this device cannot be read any more",
    "",
];
/// Before the target of every line.
const TARGET: &str = "zajil_";

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let Some(log) = &story.record.log else { return };
    let end = story.record.ended_at;
    let mut needles = Needles::default();
    for (name, secret) in &story.record.secrets {
        if secret.len() >= FORMS_FROM_BYTES {
            needles.bytes(name, secret);
        } else if let Ok(text) = std::str::from_utf8(secret) {
            needles.text(name, text);
        }
    }
    let mut found = needles.found_in(log.as_bytes());
    found.sort();
    found.dedup();
    violations.extend(found.into_iter().map(|what| Violation::new(7, end, format!("a log line tells {what}"))));
    if let Some(line) = tells_a_time(story, log) {
        violations.push(Violation::new(7, end, format!("a log line tells when: {line}")));
    }
    if let Some(line) = log.lines().find(|line| !is_known(line)) {
        let text = format!("a log line is none of those that tell nothing: {}", beginning(line));
        violations.push(Violation::new(7, end, text));
    }
}

/// Whether a line is one that may be written.
fn is_known(line: &str) -> bool {
    let plain = without_colours(line);
    let said = match plain.split_once(TARGET) {
        Some((_, rest)) => rest.split_once(": ").map_or("", |(_, said)| said),
        None => plain.as_str(),
    };
    KNOWN.contains(&shape(said.trim()).as_str())
}

/// Puts `#` in the place of every number, and `*` in that of a counter's name.
fn shape(said: &str) -> String {
    let mut shape = String::with_capacity(said.len());
    for letter in said.chars() {
        if !letter.is_ascii_digit() {
            shape.push(letter);
        } else if !shape.ends_with('#') {
            shape.push('#');
        }
    }
    let Some((before, named)) = shape.split_once("counter=\"") else { return shape };
    match named.split_once('"') {
        Some((name, after)) if name.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_') => {
            format!("{before}counter=\"*\"{after}")
        }
        _ => shape,
    }
}

/// Leaves out what a terminal takes for colours.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or("", |(_, text)| text))
}

/// Returns a line that holds a time of the world.
fn tells_a_time<'a>(story: &Story<'_>, log: &'a str) -> Option<&'a str> {
    let began = Words::of(story).relay_wall(story, 0)?;
    let slack = CLOCKS_OFF_MINUTES * signed(MINUTE);
    let (from, to) = (began - slack, began + signed(story.record.ended_at) + slack);
    let is_time =
        |number: i64| [1, 1_000, signed(MINUTE)].iter().any(|unit| (from / unit..=to / unit).contains(&number));
    let tells = |line: &&str| {
        let numbers = line.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| digits.len() >= 8);
        numbers.filter_map(|digits| digits.parse::<i64>().ok()).any(is_time)
    };
    log.lines().find(tells).map(beginning)
}

/// Returns as much of a line as is shown.
fn beginning(line: &str) -> &str {
    let mut end = line.len().min(SHOWN_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::super::cases::{BEGAN, Tale};

    fn logged(line: &str) -> Tale {
        let mut tale = Tale::good();
        tale.record.log = Some(format!(" INFO zajil_relay::relay: {line}\n INFO zajil_relay::relay: stopped\n"));
        tale.record.secrets = vec![
            ("the mailbox of person 2".into(), (7..23).collect()),
            ("the address of person 1".into(), b"10.0.1.2".to_vec()),
            ("the port of person 1".into(), b":40312".to_vec()),
        ];
        tale
    }

    #[test]
    fn a_secret_in_a_log_is_found_in_each_form() {
        logged("listening").is_good();
        logged("mailbox=0708090a0b0c0d0e0f10111213141516").breaks(7, "the mailbox of person 2 (hex)");
        logged("mailbox=0708090A0B0C0D0E0F10111213141516").breaks(7, "the mailbox of person 2 (HEX)");
        logged("mailbox BwgJCgsMDQ4PEBESExQVFg").breaks(7, "the mailbox of person 2 (base64)");
        logged("[7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22]").breaks(7, "(numbers)");
        logged("from 10.0.1.2:40000").breaks(7, "the address of person 1 (raw)");
        logged("from [redacted]:40312").breaks(7, "the port of person 1 (text)");
    }

    #[test]
    fn a_time_of_contact_in_a_log_is_found_and_another_number_is_not() {
        logged(&format!("word at {}", BEGAN + 60)).breaks(7, "a log line tells when");
        logged(&format!("word at {}", (u64::from(BEGAN) + 60) * 60)).breaks(7, "a log line tells when");
        logged(&format!("counted since the start counter=\"bytes\" count={}", BEGAN / 7)).is_good();
    }

    #[test]
    fn a_line_that_nobody_has_looked_at_is_found_whatever_its_numbers_mean() {
        for line in
            ["met at 17", "somebody watches since 17:42", "stopped day=20777", "counted since the start count=17"]
        {
            logged(line).breaks(7, "a log line is none of those");
        }
        logged("counted since the start counter=\"met_at_17\" count=1").breaks(7, "none of those");
        logged("counted since the start counter=\"session_opened\" count=17").is_good();
        logged("\u{1b}[2mswept the store\u{1b}[0m swept.parcels=3 swept.scopes=0 swept.announced=12").is_good();
    }
}

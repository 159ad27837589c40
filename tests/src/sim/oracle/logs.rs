//! Invariant 7: no log line at any level tells of people: no id, key, address, nor when somebody was in contact.
//!
//! The world hands over what must not be there; every form of it is looked for that [`Needles`] knows. Times of contact are looked
//! for as numbers: a minute, second or millisecond of the world's calendar can only be there if somebody wrote it. The lines'
//! own stamps are of the day on which the test runs, by a clock that the world does not have.
//!
//! Not judged: hours and days, which are small numbers like many; and runs whose logs were not kept.

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
    let line = log.lines().find(tells)?;
    let mut end = line.len().min(SHOWN_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    Some(&line[..end])
}

#[cfg(test)]
mod tests {
    use super::super::cases::{BEGAN, Tale};

    fn logged(line: &str) -> Tale {
        let mut tale = Tale::good();
        tale.record.log = Some(format!("a session began\n{line}\na session ended\n"));
        tale.record.secrets = vec![
            ("the mailbox of person 2".into(), (7..23).collect()),
            ("the address of person 1".into(), b"10.0.1.2".to_vec()),
            ("the port of person 1".into(), b":40312".to_vec()),
        ];
        tale
    }

    #[test]
    fn a_secret_in_a_log_is_found_in_each_form() {
        logged("nothing else").is_good();
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
        logged(&format!("stored {} bytes", BEGAN / 7)).is_good();
    }
}

//! Invariant 0: a thief of a link gets what is said to whoever opened it, as long as nobody has compared digits, and nothing else.
//!
//! Whoever opens a link first is the one whom the inviter speaks to: that is what a link is. It ends when digits are compared:
//! nobody but the right one has the right ones. A person sees that somebody is confirmed at the earliest when they are, so a note
//! that is said afterwards was said to the right one.
//!
//! Words, and being confirmed, are judged where the thief looks for them. Not judged: receipts, of which a thief gets none,
//! because they say nothing.

use zajil_client::engine::api::Pairing;

use super::Violation;
use super::story::Story;
use crate::sim::plan::{Millis, PersonId};
use crate::sim::record::{Seen, Stolen};

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    for entry in &story.record.entries {
        if let Seen::Stolen(stolen) = &entry.seen {
            let (from, to) = (stolen.from, stolen.to);
            let told = |why| format!("a thief of the link of person {from} for person {to} opened {why}");
            violations.extend(too_much(story, stolen).map(|why| Violation::new(0, entry.at, told(why))));
        }
    }
}

/// Says why a thief may not have what they have.
fn too_much(story: &Story<'_>, stolen: &Stolen) -> Option<String> {
    let said = stolen.serial.and_then(|serial| Some((serial, story.sendings.get(&serial)?)));
    let Some((serial, sending)) = said else { return Some("what nobody ever said".to_owned()) };
    if !stolen.opened {
        return Some(format!("note {serial}, and the link had not opened for them"));
    }
    if (sending.from, sending.to) != (stolen.from, stolen.to) {
        return Some(format!("note {serial}, which person {} said to person {}", sending.from, sending.to));
    }
    let since = confirmed_at(story, stolen.from, stolen.to)?;
    (sending.at > since).then(|| format!("note {serial}, which was said when digits had been compared"))
}

/// Returns when somebody first saw that another is confirmed.
fn confirmed_at(story: &Story<'_>, who: PersonId, other: PersonId) -> Option<Millis> {
    let views = story.contacts.get(&(who, other))?;
    views.iter().find(|(_, view)| view.pairing == Pairing::Confirmed).map(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, contact};
    use super::*;

    fn stolen(from: PersonId, to: PersonId, serial: Option<u32>) -> Seen {
        Seen::Stolen(Stolen { from, to, opened: true, serial })
    }

    #[test]
    fn what_is_said_before_digits_were_compared_may_be_anybodys() {
        let mut tale = Tale::good();
        tale.add(12, Seen::Contact(1, contact(3, Pairing::Answered)));
        tale.send(1, 3, 9, 80).add(90, stolen(1, 3, Some(9))).is_good();
        tale.add(79, Seen::Contact(1, contact(3, Pairing::Confirmed)));
        tale.breaks(0, "opened note 9, which was said when digits had been compared");
    }

    #[test]
    fn a_thief_has_no_note_of_anybody_else_and_none_that_nobody_said() {
        Tale::good().add(90, stolen(1, 3, Some(7))).breaks(0, "opened note 7, which person 1 said to person 2");
        Tale::good().add(90, stolen(1, 2, Some(7))).breaks(0, "note 7, which was said when digits had been compared");
        Tale::good().add(90, stolen(1, 3, None)).breaks(0, "opened what nobody ever said");
    }

    #[test]
    fn a_link_that_does_not_open_brings_nothing() {
        let mut tale = Tale::good();
        tale.send(1, 3, 9, 80).is_good();
        let stolen = Stolen { from: 1, to: 3, opened: false, serial: Some(9) };
        tale.add(90, Seen::Stolen(stolen)).breaks(0, "the link had not opened for them");
    }
}

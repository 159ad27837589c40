//! What the engine answers, as messages.

use std::collections::{BTreeMap, BTreeSet};

use super::{Calendar, Message, length, msg, size};
use crate::engine::api::{
    ContactView, Direction, NoteMark, NoteView, PLACES_PER_SESSION, Pairing, Receipts, SeenPrecision, Span, SyncView,
    WaitReason, WordState,
};

/// What somebody said of themselves, to be quoted.
#[must_use]
pub fn word_state(state: WordState) -> Message {
    match state {
        WordState::None => msg("word-none"),
        WordState::Well => msg("word-well"),
        WordState::Moving => msg("word-moving"),
        WordState::Arrived => msg("word-arrived"),
        WordState::Silent => msg("word-silent"),
    }
}

/// How far a pairing is, as half a sentence after a name.
#[must_use]
pub fn pairing(pairing: Pairing) -> Message {
    match pairing {
        Pairing::Invited => msg("pairing-invited"),
        Pairing::Answered => msg("pairing-answered"),
        Pairing::Unconfirmed => msg("pairing-unconfirmed"),
        Pairing::Confirmed => msg("pairing-confirmed"),
        Pairing::Expired => msg("pairing-expired"),
    }
}

/// Which receipts somebody gets.
#[must_use]
pub fn receipts(receipts: Receipts) -> Message {
    match receipts {
        Receipts::Off => msg("receipts-none"),
        Receipts::Later => msg("receipts-later"),
        Receipts::AtOnce => msg("receipts-at-once"),
    }
}

/// How exactly somebody may learn when a last word arrived.
#[must_use]
pub fn seen_precision(precision: SeenPrecision) -> Message {
    match precision {
        SeenPrecision::Off => msg("precision-off"),
        SeenPrecision::SixHours => msg("precision-six-hours"),
        SeenPrecision::Day => msg("precision-day"),
    }
}

/// One contact in a list: a line, and further ones for what is not usual.
#[must_use]
pub fn contact_line(contact: &ContactView, calendar: &Calendar) -> Vec<Message> {
    let mut told = vec![msg("contact-line").text("name", &contact.name).say("state", pairing(contact.pairing))];
    if contact.unheard > 0 {
        told.push(msg("contact-unheard").count("n", contact.unheard.into()));
    }
    if contact.waiting > 0 {
        told.push(msg("contact-waiting").count("n", contact.waiting.into()));
    }
    if contact.shows_word {
        told.push(msg("contact-shows-word"));
    }
    if let Some(day) = contact.out_of_hands {
        told.push(msg("contact-out-of-hands").text("name", &contact.name).say("day", calendar.date_of(day)));
    }
    if contact.renewing {
        told.push(msg("contact-renewing"));
    }
    if contact.disappear != Span::default() {
        told.push(msg("contact-disappear").say("span", span(contact.disappear)));
    }
    told
}

/// What a contact is told by this device.
#[must_use]
pub fn contact_settings(contact: &ContactView) -> Message {
    msg("contact-settings")
        .text("name", &contact.name)
        .say("receipts", receipts(contact.receipts))
        .say("seen", seen_precision(contact.seen))
}

/// How long the sound of heard notes stays, as the end of a sentence.
#[must_use]
pub fn span(span: Span) -> Message {
    match span {
        Span::Off => msg("span-off"),
        Span::Day => msg("span-day"),
        Span::Week => msg("span-week"),
        Span::Month => msg("span-month"),
    }
}

/// Why a note waits, as a sentence.
#[must_use]
pub fn wait_reason(reason: WaitReason) -> Message {
    match reason {
        WaitReason::NoLink => msg("wait-no-link"),
        WaitReason::WrongKey => msg("wait-wrong-key"),
        WaitReason::NotHere => msg("wait-not-here"),
        WaitReason::MailboxFull => msg("wait-mailbox-full"),
        WaitReason::RelayFull => msg("wait-relay-full"),
        WaitReason::Busy => msg("wait-busy"),
        WaitReason::Refused => msg("wait-refused"),
    }
}

/// How far a note has come, as half a sentence.
#[must_use]
pub fn note_mark(note: &NoteView) -> Message {
    match (note.direction, note.mark) {
        (_, NoteMark::Heard) => msg("mark-heard"),
        (_, NoteMark::Expired) => msg("mark-expired"),
        (_, NoteMark::Locked) => msg("mark-locked"),
        (Direction::In, NoteMark::Arriving | NoteMark::OnDevice | NoteMark::AtRelay) => {
            let (here, all) = note.progress;
            if all == 0 {
                msg("mark-arriving").say("here", size(here.into()))
            } else {
                msg("mark-arriving-of").say("here", size(here.into())).say("all", size(all.into()))
            }
        }
        (Direction::In, NoteMark::Delivered) => msg("mark-unheard"),
        (Direction::Out, NoteMark::Arriving | NoteMark::OnDevice) => match note.progress {
            (0, _) => msg("mark-on-device"),
            (done, all) => msg("mark-on-the-way").say("done", size(done.into())).say("all", size(all.into())),
        },
        (Direction::Out, NoteMark::AtRelay) => msg("mark-at-relay"),
        (Direction::Out, NoteMark::Delivered) => msg("mark-delivered"),
    }
}

/// One note in a list.
#[must_use]
pub fn note_line(note: &NoteView, calendar: &Calendar) -> Message {
    let line = match note.direction {
        Direction::In => msg("note-line-in")
            .figures("number", note.number)
            .text("name", &note.contact)
            .say("when", calendar.moment(note.recorded))
            .say("length", note_length(note))
            .say("mark", note_mark(note)),
        Direction::Out => msg("note-line-out")
            .figures("number", note.number)
            .text("name", &note.contact)
            .say("when", calendar.moment(note.recorded))
            .say("length", note_length(note))
            .say("mark", note_mark(note)),
    };
    let line = if note.erased { msg("note-line-erased").say("line", line) } else { line };
    match note.waits {
        Some(reason) => msg("note-line-waits").say("line", line).say("reason", wait_reason(reason)),
        None => line,
    }
}

/// The length of a note, or that it is not known before its end has arrived.
fn note_length(note: &NoteView) -> Message {
    if note.duration_millis == 0 {
        msg("length-unknown")
    } else {
        msg("length").figures("length", length(note.duration_millis))
    }
}

/// Notes that a sender numbered and that have not come, told per sender: within each session those before the last that came, for
/// nobody says how many a session had. `notes` must hold all there are, heard ones too.
#[must_use]
pub fn missing_notes(notes: &[NoteView]) -> Vec<Message> {
    let is_numbered = |note: &&NoteView| note.direction == Direction::In && note.mark != NoteMark::Locked;
    let mut senders: Vec<&str> = Vec::new();
    for note in notes.iter().filter(is_numbered) {
        if !senders.contains(&note.contact.as_str()) {
            senders.push(&note.contact);
        }
    }
    senders
        .into_iter()
        .filter_map(|sender| {
            let mut sessions: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
            for note in notes.iter().filter(is_numbered).filter(|note| note.contact == sender) {
                let (session, place) = (note.sequence / PLACES_PER_SESSION, note.sequence % PLACES_PER_SESSION);
                sessions.entry(session).or_default().insert(place);
            }
            let missing = |places: &BTreeSet<u32>| {
                let before = places.last().map_or(0, |last| u64::from(*last) + 1);
                before.saturating_sub(u64::try_from(places.len()).unwrap_or(u64::MAX))
            };
            let missing: u64 = sessions.values().map(missing).sum();
            (missing > 0).then(|| msg("notes-missing").text("name", sender).count("n", missing))
        })
        .collect()
}

/// What a meeting with the relays brought.
#[must_use]
pub fn sync_lines(sync: &SyncView) -> Vec<Message> {
    let mut told = Vec::new();
    if sync.reached > 0 {
        told.push(msg("sync-reached").count("n", sync.reached.into()));
        told.push(msg("sync-received").count("n", sync.received.into()));
    }
    if sync.stored > 0 {
        told.push(msg("sync-stored").count("n", sync.stored.into()));
    }
    told.push(msg("sync-waiting").count("n", sync.waiting.into()));
    if sync.reached > 0 && !sync.finished {
        told.push(msg("sync-unfinished"));
    }
    told
}

#[cfg(test)]
#[path = "views_tests.rs"]
mod tests;

use jiff::tz::TimeZone;

use super::*;
use crate::i18n::time::tests::at;
use crate::i18n::{Catalogue, Locale, without_direction_marks};

fn note(direction: Direction, mark: NoteMark) -> NoteView {
    NoteView {
        number: 3,
        contact: "Amal".to_owned(),
        direction,
        recorded: at(-3, 14, 5),
        arrived: at(0, 9, 0),
        duration_millis: 33_900,
        mark,
        erased: false,
        waits: None,
        progress: (0, 0),
        sealed_bytes: 48_000,
        sequence: 1,
    }
}

fn line(note: &NoteView) -> String {
    let calendar = Calendar::new(TimeZone::UTC, at(0, 14, 30));
    Catalogue::new(Locale::ENGLISH).say(&note_line(note, &calendar))
}

#[test]
fn a_note_is_told_on_one_line_with_how_far_it_has_come() {
    assert_eq!(line(&note(Direction::In, NoteMark::Delivered)), "3  from Amal, Tuesday 14:05, 0:34: not heard yet");
    assert_eq!(line(&note(Direction::Out, NoteMark::Delivered)), "3  to Amal, Tuesday 14:05, 0:34: on their device");
    let arriving =
        NoteView { duration_millis: 0, progress: (12_000, 48_000), ..note(Direction::In, NoteMark::Arriving) };
    assert_eq!(line(&arriving), "3  from Amal, Tuesday 14:05, length not known yet: arriving, 12 kB of 48 kB");
    let waiting = NoteView { waits: Some(WaitReason::MailboxFull), ..note(Direction::Out, NoteMark::OnDevice) };
    assert_eq!(
        line(&waiting),
        "3  to Amal, Tuesday 14:05, 0:34: on this device. \
         Their mailbox is full; it goes when they have fetched something."
    );
}

#[test]
fn arabic_lines_read_from_right_to_left() {
    let calendar = Calendar::new(TimeZone::UTC, at(0, 14, 30));
    let message = note_line(&note(Direction::In, NoteMark::Delivered), &calendar);
    let said = Catalogue::new(Locale::ARABIC).say(&message);
    assert_eq!(without_direction_marks(&said), "٣  من Amal، يوم الثلاثاء الساعة ١٤:٠٥، ٠:٣٤: لم تُسمع بعد");
    assert!(said.contains("\u{2068}Amal\u{2069}"), "a Latin name is isolated: {said:?}");
}

fn numbered(contact: &str, sequence: u32) -> NoteView {
    NoteView { contact: contact.to_owned(), sequence, ..note(Direction::In, NoteMark::Delivered) }
}

fn missing(notes: &[NoteView]) -> Vec<String> {
    missing_notes(notes).iter().map(|line| Catalogue::new(Locale::ENGLISH).say(line)).collect()
}

#[test]
fn gaps_in_a_senders_numbers_are_notes_that_have_not_arrived() {
    let notes = [
        numbered("Amal", 2),
        numbered("Yusuf", 0),
        numbered("Amal", 0),
        NoteView { sequence: 40, ..note(Direction::Out, NoteMark::AtRelay) },
    ];
    assert_eq!(missing(&notes), ["One note from Amal has not arrived yet."]);
    assert!(missing(&[]).is_empty());
}

#[test]
fn a_new_session_leaves_no_gap_behind_the_one_before() {
    // Three notes of one session, two of another that came in a much later frame.
    let notes = [0, 1, 2, 32 * 40, 32 * 40 + 1].map(|place| numbered("Amal", place));
    assert!(missing(&notes).is_empty(), "nobody has to miss what was never said");
    assert_eq!(missing(&[&notes[..2], &notes[4..]].concat()), ["One note from Amal has not arrived yet."]);
}

#[test]
fn a_note_that_cannot_be_opened_yet_leaves_no_gap_before_it() {
    let locked = NoteView { mark: NoteMark::Locked, ..numbered("Amal", u32::MAX) };
    assert!(missing(&[numbered("Amal", 0), locked]).is_empty());
}

#[test]
fn a_meeting_is_summed_up_in_sentences() {
    let sync = SyncView { reached: 1, received: 2, finished: true, ..SyncView::default() };
    let said: Vec<String> = sync_lines(&sync).iter().map(|line| Catalogue::new(Locale::ENGLISH).say(line)).collect();
    assert_eq!(said, ["The relay answered.", "2 notes came.", "Nothing waits to be sent."]);
}

#[test]
fn a_meeting_that_ran_out_of_time_does_not_claim_that_all_has_come() {
    let sync = SyncView { reached: 1, ..SyncView::default() };
    let told = sync_lines(&sync);
    assert!(told.iter().any(|line| line.key() == "sync-unfinished"), "there may be more");
}

#[test]
fn a_contact_is_told_with_what_is_not_usual() {
    let contact = ContactView {
        name: "Amal".to_owned(),
        pairing: Pairing::Confirmed,
        receipts: Receipts::AtOnce,
        seen: SeenPrecision::Day,
        disappear: Span::Day,
        shows_word: true,
        unheard: 1,
        waiting: 0,
        out_of_hands: Some(20_700),
        renewing: true,
    };
    let english = Catalogue::new(Locale::ENGLISH);
    let calendar = Calendar::new(TimeZone::UTC, at(0, 14, 30));
    let said: Vec<String> = contact_line(&contact, &calendar).iter().map(|line| english.say(line)).collect();
    let unusual = [
        "Amal: confirmed",
        "One note not heard yet.",
        "They share a last word with this device.",
        "Amal’s phone was out of their hands on 4 September.",
        "New keys with them are wanted, and not in use yet.",
        "The sound of notes exchanged with them is erased one day after hearing.",
    ];
    assert_eq!(said, unusual);
    assert_eq!(english.say(&contact_settings(&contact)), "Amal: receipts at once; “last seen” within a day.");
}

#[test]
fn a_note_whose_sound_is_erased_says_so() {
    let heard = NoteView { erased: true, ..note(Direction::In, NoteMark::Heard) };
    assert!(line(&heard).ends_with("heard; its sound is erased"), "{}", line(&heard));
    assert!(!line(&NoteView { erased: false, ..heard }).contains("erased"));
}

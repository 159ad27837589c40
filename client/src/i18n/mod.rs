//! What people read: one catalogue in Arabic and English, and the values that are put into it.
//!
//! | step | file |
//! |---|---|
//! | code says *what* to tell, as a value that tests can compare | [`Message`] in `message.rs` |
//! | a language and its way of writing figures is chosen | [`Locale`] in `locale.rs` |
//! | what the engine answers becomes messages | `time.rs`, `seen.rs`, `views.rs`, `failure.rs` |
//! | the sentence is made from `client/i18n/<language>/*.ftl` | [`Catalogue`] in `catalogue.rs` |
//!
//! Code never holds a sentence. A test reads the sources and holds that every key exists in both languages with the
//! same variables, and that no key is left over (`catalogue_tests.rs`).

mod catalogue;
#[cfg(test)]
mod catalogue_tests;
mod failure;
mod locale;
mod message;
mod seen;
mod time;
mod views;

pub use catalogue::Catalogue;
pub use locale::{Digits, Language, Locale, latin_digits, without_direction_marks};
pub use message::{Message, msg};

pub use failure::{Told, refusal, trouble};
pub use seen::seen;
pub use time::{Calendar, date_of_day, length, size};
pub use views::{
    contact_line, contact_settings, missing_notes, note_line, note_mark, pairing, receipts, seen_precision, span,
    sync_lines, wait_reason, word_state,
};

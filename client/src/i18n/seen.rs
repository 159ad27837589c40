//! The honest answer to "when were they last seen?".
//!
//! Every sentence states one fact with its source and its age. None infers from silence: no word for being reachable or
//! not, and none about how somebody fares, except as a quotation of their own last word.

use jiff::tz::TimeZone;
use zajil_proto::time::Minute;

use super::views::word_state;
use super::{Calendar, Message, msg};
use crate::engine::api::{LinkCondition, LinkView, SeenView, WordState, WordView};

/// Composes the answer, one message a sentence, in the order in which they are to be read.
///
/// `asked` says whether this answer tried to reach the relay, so that a failed attempt is told and an answer that was
/// to come from this device alone says nothing of the kind.
#[must_use]
pub fn seen(view: &SeenView, asked: bool, zone: &TimeZone) -> Vec<Message> {
    let calendar = Calendar::new(zone.clone(), view.now);
    let mut told = vec![news(view, &calendar)];
    match &view.word {
        Some(word) => told.extend(last_word(word, &calendar)),
        None if view.granted => told.push(msg("seen-no-word")),
        None => {}
    }
    match view.bucket {
        Some(bucket) => {
            let from = Minute(bucket.start_hour.saturating_mul(60));
            told.push(msg("seen-bucket").say("range", calendar.range(from, bucket.width_hours)));
        }
        None if view.word.is_some() => told.push(msg("seen-bucket-untold")),
        None => {}
    }
    if view.relay_is_older {
        told.push(msg("seen-relay-older"));
    }
    let single = view.links.len() == 1;
    told.extend(view.links.iter().map(|link| link_state(link, single, &calendar)));
    if view.granted {
        told.extend(checked(view, asked, &calendar));
    } else {
        told.push(msg("seen-not-granted").text("name", &view.name));
    }
    told
}

fn news(view: &SeenView, calendar: &Calendar) -> Message {
    match view.news {
        None => msg("seen-nothing-yet").text("name", &view.name),
        Some(news) if calendar.is_later_than_now(news) => msg("seen-news-clock").say("moment", calendar.moment(news)),
        Some(news) if calendar.is_today(news) => msg("seen-news-today").figures("time", calendar.time(news)),
        Some(news) => msg("seen-no-news-since").say("day", calendar.day(news)),
    }
}

fn last_word(word: &WordView, calendar: &Calendar) -> [Message; 2] {
    let quoted = match (word.state, word.text.is_empty()) {
        (WordState::None, true) => msg("seen-word-empty"),
        (WordState::None, false) => msg("seen-word-text").text("text", &word.text),
        (state, true) => msg("seen-word-state").say("state", word_state(state)),
        (state, false) => msg("seen-word-both").say("state", word_state(state)).text("text", &word.text),
    };
    let written = match word.written {
        Some(minute) => msg("seen-written").say("moment", calendar.moment(minute)),
        None => msg("seen-written-untold"),
    };
    [quoted, written]
}

fn link_state(link: &LinkView, single: bool, calendar: &Calendar) -> Message {
    let name = if single { msg("seen-link-single") } else { msg("seen-link-numbered").figures("number", link.link) };
    let since = calendar.moment(Minute(link.since_hour.saturating_mul(60)));
    let looked = calendar.ago_or_moment(link.checked);
    match link.state {
        LinkCondition::Unknown => msg("seen-link-unknown").say("link", name).say("looked", looked),
        LinkCondition::Up => msg("seen-link-up").say("link", name).say("since", since).say("looked", looked),
        LinkCondition::Down => msg("seen-link-down").say("link", name).say("since", since).say("looked", looked),
        LinkCondition::ComesAndGoes => {
            msg("seen-link-comes-and-goes").say("link", name).say("since", since).say("looked", looked)
        }
    }
}

fn checked(view: &SeenView, asked: bool, calendar: &Calendar) -> Vec<Message> {
    let mut told = Vec::new();
    if asked && !view.fresh {
        told.push(msg("seen-relay-not-reached"));
    }
    told.push(match view.checked {
        _ if view.fresh => msg("seen-checked-now"),
        None => msg("seen-checked-never"),
        Some(minute) => match calendar.ago(minute) {
            Some(ago) => msg("seen-checked-ago").say("ago", ago),
            None => msg("seen-checked-clock").say("moment", calendar.moment(minute)),
        },
    });
    told
}

#[cfg(test)]
#[path = "seen_tests.rs"]
mod tests;
